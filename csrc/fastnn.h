/* The C API of fastnn: plain C11 that knows nothing of Python.
 *
 * Every kernel exists once per instruction set (a "level") and per floating-point type. A level is a
 * constant table of pointers; dispatch.c lists the levels. All kernels have one form (fn_kernel): they
 * compute the units of work [begin, end) of what their arguments describe, a unit being an element, a row
 * or a part of a product, so that pool.c can cut any of them between threads. What is computed, and its
 * bits, do not depend on the cut.
 *
 * The caller has checked everything: dtypes, shapes, contiguity, overlap, overflow. Kernels allocate
 * nothing. Arrays are dense and row-major unless a leading dimension is given. Elementwise kernels may
 * run in place (an output identical to an input).
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

/* `worker`, below the number of threads at work, tells which part of the scratch is the caller's. */
typedef void fn_kernel(const void *args, size_t begin, size_t end, int worker);

/* Elementwise, over units that are elements. */
typedef struct fn_unary_args {
    void *y;
    const void *x;
} fn_unary_args;

typedef struct fn_binary_args {
    void *y;
    const void *a, *b;
} fn_binary_args;

/* Over the n columns of each of m rows. */
typedef struct fn_rows_args {
    void *y;
    const void *a, *b;
    size_t m, n;
} fn_rows_args;

/* Bytes of a line of the caches. */
enum { FN_LINE = 64 };

/* The rows whose sums `add_grad` makes a row of; `add_groups` adds those up. */
enum { FN_GROUP = 64 };

/* The elements of a row whose sum `sum_rows` makes one of; it is called again with those, if there are
 * several. */
enum { FN_SUM_BLOCK = 1024 };

/* loss (m); dlogits (m x n) and dloss (m, taken as ones) may be NULL; units are rows. */
typedef struct fn_cross_entropy_args {
    void *loss, *dlogits;
    const void *logits;
    const int64_t *labels;
    const void *dloss;
    size_t n;
} fn_cross_entropy_args;

/* y = x * scale where the element's random word is at least `threshold`, else 0. */
typedef struct fn_dropout_args {
    void *y;
    const void *x;
    double scale;
    uint64_t key;
    const uint64_t *counter; /* read when the kernel runs */
    uint32_t threshold;
} fn_dropout_args;

/* order (n) = the numbers from 0 on in an order that depends on n and the key. One unit. */
typedef struct fn_order_args {
    int64_t *order;
    uint64_t n, key;
} fn_order_args;

/* y (units x n) = the chosen rows of the array at *x, n elements of `itemsize` bytes each, times scale. */
typedef enum fn_type {
    FN_UINT8, FN_INT8, FN_UINT16, FN_INT16, FN_UINT32, FN_INT32, FN_UINT64, FN_INT64,
    FN_FLOAT16, FN_FLOAT32, FN_FLOAT64
} fn_type;

typedef struct fn_gather_args {
    void *y;
    char **x;
    const int64_t *rows;
    size_t n, itemsize;
    fn_type type;
    double scale;
} fn_gather_args;

/* y = x as class labels; *bad, 0 before, becomes 1 + the index of the first element that is none, if any
 * is. */
typedef struct fn_labels_args {
    int64_t *y;
    const void *x;
    size_t *bad;
    uint64_t classes;
    fn_type type;
} fn_labels_args;

/* A variable w, its gradient g and the optimizer's slots, element by element. The learning rate is read
 * when the kernel runs: it may change from step to step. */
typedef struct fn_update_args {
    void *w, *slot[2];
    const void *g;
    const double *learning_rate;
    double decay[2], epsilon;
    int nesterov;
} fn_update_args;

/* c (m x n) = relu(alpha * op(a) (m x k) . op(b) (k x n) + bias), op being the identity or the transpose.
 * `lda`, `ldb`, `ldc` are the distances between stored rows, in elements. `bias` (n) may be NULL, as may
 * `mask` (m x n, distance ldc): the result is 0 where the mask is not positive. With `accumulate`, for
 * k <= FN_BLOCK_MAX and without bias, relu and mask, c = fma(alpha, op(a) . op(b), c) instead.
 * Where `rate` is given, alpha is the number there with a minus. Units are the parts that fn_gemm_cut has
 * cut c into. */
typedef struct fn_gemm_args {
    void *c;
    const void *a, *b, *bias, *mask;
    size_t m, n, k, lda, ldb, ldc;
    double alpha;
    const double *rate;
    int transpose_a, transpose_b, accumulate, relu;
    int swapped;                     /* 0; the kernel's own */
    size_t parts_down, parts_across; /* set by fn_gemm_cut */
    void *scratch;                   /* gemm_scratch bytes for each worker, aligned for the type */
} fn_gemm_args;

/* Sums over k are cut into blocks of at most this length: longer ones would leave the cache that gemm.h keeps
 * them in, and let rounding errors grow. (Those of short.h are longer.) */
enum { FN_BLOCK_MAX = 320 };

/* From so many columns of c on, the columns of a transposed a are copied, as rows. */
enum { FN_COPY_COLUMNS = 192 };

/* A part of c has all of its columns or so many at least, so that short products are never cut across. */
enum { FN_PART_COLUMNS = 64 };

/* The length of all blocks of at most `most` but the last, which may be shorter. */
static inline size_t fn_block_length(size_t k, size_t most)
{
    const size_t blocks = (k + most - 1) / most;
    return blocks ? (k + blocks - 1) / blocks : 1;
}

/* The columns of a compressed matrix, 16 bits each if they are `narrow`, else 32. */
typedef struct fn_columns {
    void *data;
    int narrow;
} fn_columns;

static inline size_t fn_column(fn_columns columns, int64_t at)
{
    return columns.narrow ? ((const uint16_t *)columns.data)[at] : ((const uint32_t *)columns.data)[at];
}

static inline void fn_set_column(fn_columns columns, size_t at, size_t column)
{
    if (columns.narrow)
        ((uint16_t *)columns.data)[at] = (uint16_t)column;
    else
        ((uint32_t *)columns.data)[at] = (uint32_t)column;
}

/* c = relu(alpha * a . b + bias) as above, a being compressed: the elements of its row i that are not zero
 * are values[starts[i] .. ends[i]), in the columns given there, which ascend. b is dense; where it is not
 * finite, *infinite is set and c is of no use; `infinite` is NULL where b is known to be finite, and then
 * only the rows of b that are needed are read. With `accumulate`, *spoilt is set where c becomes infinite or
 * NaN, unless `spoilt` is NULL. `product` has all but a; its transpose_a says that these rows
 * are the columns of the op's a. Units are parts_down times parts_across, which is the number of strips of
 * sparse_strip columns, or 1 where fn_is_outer says so; a part has at most FN_SPARSE_ROWS rows. */
typedef struct fn_sparse_args {
    fn_gemm_args product; /* scratch: sparse_scratch bytes for each worker */
    const int64_t *starts, *ends;
    fn_columns columns;
    const void *values;
    int *infinite;
    int *spoilt;
} fn_sparse_args;

/* In one part; and few enough not to copy b for. */
enum { FN_SPARSE_ROWS = 1024, FN_SPARSE_FEW = 4 };

/* Whether c takes so few outer products that it is gone through by whole rows. */
static inline int fn_is_outer(const fn_gemm_args *g)
{
    return g->accumulate && g->k <= FN_SPARSE_FEW;
}

/* The m rows of x, of n elements, in units of `rows`: compressed, each unit from its first element's place on,
 * where there is room for all, and counted into `starts` (m + 1), from 1 on; then, when that tells where each
 * row begins, moved there. */
typedef struct fn_compress_args {
    const void *x;
    size_t m, n, rows;
    int64_t *starts;
    fn_columns columns, to_columns;
    void *values, *to;
} fn_compress_args;

/* Room for the transpose: starts has k + 1 elements, bounds 2 m for each of the parts, which are the units. */
typedef struct fn_transpose_args {
    fn_sparse_args of;
    int64_t *starts, *bounds;
    fn_columns columns;
    void *values;
    size_t parts;
} fn_transpose_args;

/* The m rows of x, `ldx` apart, compressed, row i from i * k on; and *whole, whether it is better to take all
 * their elements: they are mostly not zero, or *infinite is set. One unit. */
typedef struct fn_compress_few_args {
    const void *x;
    size_t m, k, ldx;
    int64_t *starts, *ends;
    fn_columns columns;
    void *values;
    const int *infinite;
    int *whole;
} fn_compress_few_args;

typedef struct fn_finite_args {
    const void *x;
    int *infinite;
} fn_finite_args;

/* The ops that a chain is made of, with the number of their operands. What they do is in chain.h,
 * elementwise.h and exponential.h. Those from EQUAL to GREATER_EQUAL, and no others, give booleans. */
#define FN_CHAIN_OPS(OP)                                                                           \
    OP(ADD, add, 2)                                                                                \
    OP(SUBTRACT, subtract, 2)                                                                      \
    OP(MULTIPLY, multiply, 2)                                                                      \
    OP(DIVIDE, divide, 2)                                                                          \
    OP(MAXIMUM, maximum, 2)                                                                        \
    OP(MINIMUM, minimum, 2)                                                                        \
    OP(EQUAL, equal, 2)                                                                            \
    OP(NOT_EQUAL, not_equal, 2)                                                                    \
    OP(LESS, less, 2)                                                                              \
    OP(LESS_EQUAL, less_equal, 2)                                                                  \
    OP(GREATER, greater, 2)                                                                        \
    OP(GREATER_EQUAL, greater_equal, 2)                                                            \
    OP(WHERE, where, 3)                                                                            \
    OP(NEGATIVE, negative, 1)                                                                      \
    OP(ABS, abs, 1)                                                                                \
    OP(SIGN, sign, 1)                                                                              \
    OP(SQUARE, square, 1)                                                                          \
    OP(SQRT, sqrt, 1)                                                                              \
    OP(EXP, exp, 1)                                                                                \
    OP(LOG, log, 1)                                                                                \
    OP(TANH, tanh, 1)                                                                              \
    OP(SIGMOID, sigmoid, 1)                                                                        \
    OP(RELU, relu, 1)                                                                              \
    OP(RELU_GRAD, relu_grad, 2)                                                                    \
    OP(TANH_GRAD, tanh_grad, 2)                                                                    \
    OP(SIGMOID_GRAD, sigmoid_grad, 2)                                                              \
    OP(COPY, copy, 1)

#define FN_CHAIN_OP(upper, lower, operands) FN_##upper,
typedef enum fn_chain_op { FN_CHAIN_OPS(FN_CHAIN_OP) FN_CHAIN_OP_COUNT } fn_chain_op;
#undef FN_CHAIN_OP

enum { FN_CHAIN_INPUTS = 8, FN_CHAIN_STEPS = 16 };

/* Element (i, j) is data[i * down + j * across]: a matrix (n, 1), a row (0, 1) or a column (1, 0) that is
 * repeated, or a number (0, 0). Elements are of the kernel's type or, where `boolean`, bytes of 0 and 1. */
typedef struct fn_chain_input {
    const void *data;
    size_t down, across;
    int boolean;
} fn_chain_input;

/* Operands below `inputs` are inputs, others the results of earlier steps; 0 where the op has fewer. */
typedef struct fn_chain_step {
    uint8_t op, operand[3];
} fn_chain_step;

/* y (rows of n elements) = the result of the last step, in bytes of 0 and 1 where `boolean`. Units are
 * elements. */
typedef struct fn_chain_args {
    void *y;
    size_t n;
    int boolean, inputs, steps;
    fn_chain_input input[FN_CHAIN_INPUTS];
    fn_chain_step step[FN_CHAIN_STEPS];
} fn_chain_args;

typedef struct fn_kernels {
    fn_kernel *relu, *exp, *log, *tanh, *sigmoid; /* elementwise.h: fn_unary_args */
    fn_kernel *add;                               /* fn_binary_args */
    fn_kernel *relu_grad, *tanh_grad, *sigmoid_grad; /* fn_binary_args: dx, dy, the op's output */
    fn_kernel *add_rows;                   /* fn_rows_args */
    fn_kernel *chain;                      /* chain.h: fn_chain_args */
    fn_kernel *add_grad, *add_groups;      /* columns.h: fn_rows_args; units are groups, columns */
    fn_kernel *softmax, *softmax_grad;     /* softmax.h: fn_rows_args; softmax_grad: dx, dy, y */
    fn_kernel *softmax_cross_entropy;      /* fn_cross_entropy_args */
    fn_kernel *sum_rows;                   /* reductions.h: fn_rows_args; units are blocks */
    fn_kernel *max_rows, *min_rows, *argmax_rows, *hits; /* fn_rows_args */
    fn_kernel *labels;                     /* labels.h: fn_labels_args; the same for both types */
    fn_kernel *dropout;                    /* philox.h: fn_dropout_args */
    fn_kernel *random_order;               /* philox.h: fn_order_args */
    fn_kernel *gather;                     /* gather.h: fn_gather_args; units are rows */
    fn_kernel *sgd, *momentum, *adagrad, *rmsprop, *adam; /* optimizer.h: fn_update_args */
    fn_kernel *gemm;                       /* product.h: fn_gemm_args */
    fn_kernel *sparse_gemm, *expand;       /* sparse.h: fn_sparse_args; expand, of compress.h: c (m x k) is a */
    fn_kernel *compress, *move_rows;       /* compress.h: fn_compress_args */
    fn_kernel *transpose_compressed;       /* fn_transpose_args */
    fn_kernel *find_infinite;              /* fn_finite_args */
    fn_kernel *compress_few;               /* fn_compress_few_args */
    size_t gemm_scratch, sparse_scratch, sparse_strip;
} fn_kernels;

typedef struct fn_level {
    const char *name;
    int (*supported)(void); /* by this processor and its operating system */
    const fn_kernels *f32, *f64;
} fn_level;

/* The levels built for this architecture, worst first, closed by NULL. */
extern const fn_level *const fn_levels[];

/* pool.c */

/* Runs a kernel over `count` units on at most `threads` threads, which take `grain` units at a time. */
void fn_parallel(fn_kernel *kernel, const void *args, size_t count, size_t grain, int threads);

/* Nanoseconds of a clock that only goes forward. */
int64_t fn_now(void);

/* The limit on the number of threads, from 1 to FN_MAX_THREADS; 0 until it is set. */
enum { FN_MAX_THREADS = 256 };
int fn_threads(void);
void fn_set_threads(int threads);

/* program.c */

/* A kernel to run, by the caller alone where `threads` is 1; with `when`, only if (*when != 0) == is. */
typedef struct fn_instruction {
    fn_kernel *kernel;
    const void *args;
    size_t count, grain;
    int threads, is;
    const int *when;
} fn_instruction;

typedef struct fn_program {
    const fn_instruction *instructions;
    size_t length;
    const int64_t *failed; /* set to something else than 0 by a kernel that cannot go on */
    int64_t *nanoseconds;  /* for each instruction, or NULL */
} fn_program;

/* Runs the program so many times, but begins no run after the time `until`; returns how often it ran. */
size_t fn_run(const fn_program *program, size_t times, int64_t until);

/* Kernels of one unit over what stays from one run to the next. */
typedef struct fn_count_args { /* to += 1 */
    int64_t *to;
} fn_count_args;

typedef struct fn_accumulate_args { /* sum += value * weight */
    double *sum;
    const void *value;
    int is_double;
    double weight;
} fn_accumulate_args;

typedef struct fn_stream_args { /* from *there to here, or back; then *there += bytes */
    void *here;
    char **there;
    size_t bytes;
} fn_stream_args;

typedef struct fn_clear_args {
    void *to;
    size_t bytes;
} fn_clear_args;

typedef struct fn_pick_args { /* y[i] = (*x)[rows[i]], rows of so many bytes; units are rows */
    void *y;
    char **x;
    const int64_t *rows;
    size_t bytes;
} fn_pick_args;

typedef struct fn_fetch_args { /* asks for the rows of *x, of so many bytes, that lie from *there on */
    char **there, **end;
    char **x;
    size_t count, bytes;
} fn_fetch_args;

fn_kernel fn_count_up, fn_accumulate, fn_read_next, fn_write_next, fn_clear,
    fn_pick, fn_fetch_next;

/* cut.c: cuts a product between `threads` and returns the number of parts. */
size_t fn_gemm_cut(fn_gemm_args *args, int threads);

#endif
