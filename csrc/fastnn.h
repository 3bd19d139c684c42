/* The C API of fastnn: plain C11 that knows nothing of Python.
 *
 * Every kernel exists once per instruction set (a "level") and per floating-point type. A level is a
 * constant table of pointers; the caller picks one (dispatch.c) and passes outputs, inputs, sizes, in
 * this order. The caller has checked everything: dtypes, shapes, contiguity, overlap, overflow. Kernels
 * allocate nothing. Arrays are dense and row-major unless a leading dimension is given.
 *
 * Elementwise kernels may be called in place (an output identical to an input).
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

/* c (m x n) = activation(op(a) (m x k) . op(b) (k x n) + bias), op being the identity or the transpose.
 * `lda`, `ldb`, `ldc` are the distances between stored rows, in elements. `bias` (n) may be NULL. */
typedef struct fn_gemm_args {
    void *c;
    size_t ldc;
    const void *a;
    size_t lda;
    const void *b;
    size_t ldb;
    const void *bias;
    int transpose_a, transpose_b, relu;
    size_t m, n, k;
    void *scratch; /* gemm_scratch bytes, aligned for the type */
} fn_gemm_args;

typedef struct fn_kernels {
    /* elementwise.h */
    void (*relu)(void *y, const void *x, size_t n);
    void (*relu_grad)(void *dx, const void *dy, const void *y, size_t n);
    void (*exp)(void *y, const void *x, size_t n);
    void (*log)(void *y, const void *x, size_t n);
    /* y (m x n) = x (m x n) + b (n), b being added to every row; and the sum over the rows of dy */
    void (*add)(void *y, const void *x, const void *b, size_t m, size_t n);
    void (*add_grad)(void *db, const void *dy, size_t m, size_t n);
    /* gemm.h */
    void (*gemm)(const fn_gemm_args *args);
    size_t gemm_scratch;
    /* softmax.h, over the n columns of each of the m rows. In the cross-entropy, loss (m), dlogits
     * (m x n) and dloss (m, taken as ones) may be NULL. */
    void (*softmax)(void *y, const void *x, size_t m, size_t n);
    void (*softmax_grad)(void *dx, const void *dy, const void *y, size_t m, size_t n);
    void (*softmax_cross_entropy)(void *loss, void *dlogits, const void *logits,
                                  const int64_t *labels, const void *dloss, size_t m, size_t n);
    /* optimizer.h: one pass over a variable w, its gradient g and its slots, all of n elements */
    void (*sgd)(void *w, const void *g, size_t n, double learning_rate);
    void (*momentum)(void *w, void *velocity, const void *g, size_t n, double learning_rate,
                     double momentum, int nesterov);
    void (*adagrad)(void *w, void *accumulator, const void *g, size_t n, double learning_rate,
                    double epsilon);
    void (*rmsprop)(void *w, void *velocity, const void *g, size_t n, double learning_rate,
                    double rho, double epsilon);
    void (*adam)(void *w, void *momentum, void *velocity, const void *g, size_t n, double alpha,
                 double beta_1, double beta_2, double epsilon);
} fn_kernels;

typedef struct fn_level {
    const char *name;
    int (*supported)(void); /* by this processor and its operating system */
    const fn_kernels *f32, *f64;
} fn_level;

/* The levels built for this architecture, worst first, closed by NULL. */
extern const fn_level *const fn_levels[];

#endif
