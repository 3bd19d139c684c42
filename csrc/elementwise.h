/* Elementwise kernels and their gradients: each element is one short chain of IEEE operations, so its bits
 * do not depend on the width of the vectors.
 *
 * All are one loop, `map`, round a function of one or two vectors that is inlined into it. What matters is
 * one pass, no temporary and no branch: relu, add and the gradients are bound by memory, the functions of
 * exponential.h by arithmetic. Their units of work are elements; those of `add_rows` rows.
 *
 * Arrays often lie a few bytes apart modulo the page size, where a load just behind a store would wait for
 * it, as if both had the same address. So `map` goes in steps of several vectors whose results wait in
 * registers until all their inputs are loaded: STREAM vectors where memory is the limit; COMPUTE where it
 * is arithmetic, for there more vectors at once would only push each other out of the registers.
 *
 * NaN: comparisons are written so that NaN falls through as in NumPy's maximum (relu(nan) is nan).
 */

#ifndef ELEMENTWISE_STEPS
#define ELEMENTWISE_STEPS
enum { STREAM = 8, COMPUTE = 2 };
#endif

INLINE NAME(vector) NAME(relu_of)(NAME(vector) x)
{
    return (NAME(vector))(~(NAME(mask))(x < 0) & (NAME(mask))x);
}

INLINE NAME(vector) NAME(relu_grad_of)(NAME(vector) dy, NAME(vector) y)
{
    return (NAME(vector))((NAME(mask))(y > 0) & (NAME(mask))dy);
}

INLINE NAME(vector) NAME(tanh_grad_of)(NAME(vector) dy, NAME(vector) y)
{
    return dy * VECTOR_FMA(-y, y, NAME(broadcast)(1));
}

INLINE NAME(vector) NAME(sigmoid_grad_of)(NAME(vector) dy, NAME(vector) y)
{
    return dy * (y * (1 - y));
}

INLINE NAME(vector) NAME(add_of)(NAME(vector) a, NAME(vector) b)
{
    return a + b;
}

/* y = f(a, b) over `n` elements, f being inlined. */
INLINE void NAME(map)(NAME(vector) (*f)(NAME(vector), NAME(vector)), const int vectors, T *y,
                      const T *a, const T *b, size_t n)
{
    const size_t step = (size_t)vectors * WIDTH;
    for (; n >= step; n -= step, y += step, a += step, b += step) {
        NAME(vector) result[STREAM];
        UNROLL for (int v = 0; v < vectors; v++)
            result[v] = f(NAME(load)(a + v * WIDTH), NAME(load)(b + v * WIDTH));
        UNROLL for (int v = 0; v < vectors; v++) NAME(store)(y + v * WIDTH, result[v]);
    }
    for (; n >= WIDTH; n -= WIDTH, y += WIDTH, a += WIDTH, b += WIDTH)
        NAME(store)(y, f(NAME(load)(a), NAME(load)(b)));
    if (n) STORE_FEW(y, f(NAME(load_few)(a, n, 0), NAME(load_few)(b, n, 0)), n);
}

#undef UNARY
#undef BINARY
#define UNARY(name, vectors)                                                                                \
    INLINE NAME(vector)                                                                            \
        NAME(name##_first)(NAME(vector) x, __attribute__((unused)) NAME(vector) same)              \
    {                                                                                              \
        return NAME(name##_of)(x);                                                                 \
    }                                                                                              \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        const fn_unary_args *g = args;                                                             \
        const T *x = (const T *)g->x + begin;                                                      \
        NAME(map)(NAME(name##_first), vectors, (T *)g->y + begin, x, x, end - begin);              \
    }
#define BINARY(name)                                                                               \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        const fn_binary_args *g = args;                                                            \
        NAME(map)(NAME(name##_of), STREAM, (T *)g->y + begin, (const T *)g->a + begin,             \
                  (const T *)g->b + begin, end - begin);                                           \
    }

UNARY(relu, STREAM)
UNARY(exp, COMPUTE)
UNARY(log, COMPUTE)
UNARY(tanh, COMPUTE)
UNARY(sigmoid, COMPUTE)
BINARY(add)
/* b is the op's output: relu's is positive exactly where the input was. */
BINARY(relu_grad)
BINARY(tanh_grad)
BINARY(sigmoid_grad)

/* y (m x n) = a (m x n) + b (n) */
KERNEL(add_rows)
{
    const fn_rows_args *g = args;
    for (size_t i = begin; i < end; i++)
        NAME(map)(NAME(add_of), STREAM, (T *)g->y + i * g->n, (const T *)g->a + i * g->n, g->b,
                  g->n);
}
