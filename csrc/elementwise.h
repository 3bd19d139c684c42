/* Elementwise kernels and their gradients, as plain loops that the compiler turns into vector code: each
 * element is one short chain of IEEE operations, so its bits do not depend on the width of the vectors.
 * They are bound by memory; what matters is one pass, no temporary, and no branch.
 *
 * Their units of work are elements; those of `add_rows` rows, and those of `add_grad` columns.
 *
 * Arrays often lie a few bytes apart modulo the page size, where a load just behind a store would wait for
 * it, as if both had the same address. So the loops bound by memory go in steps of STEP elements whose
 * results wait in registers until all their inputs are loaded.
 *
 * NaN: comparisons are written so that NaN falls through as in NumPy's maximum (relu(nan) is nan).
 */

#undef STEP_VECTORS
#undef STEP
#define STEP_VECTORS 8
#define STEP (STEP_VECTORS * WIDTH)

INLINE NAME(vector) NAME(relu_of)(NAME(vector) x, __attribute__((unused)) NAME(vector) y)
{
    return (NAME(vector))(~(NAME(mask))(x < 0) & (NAME(mask))x);
}

INLINE NAME(vector) NAME(relu_grad_of)(NAME(vector) dy, NAME(vector) y)
{
    return (NAME(vector))((NAME(mask))(y > 0) & (NAME(mask))dy);
}

INLINE NAME(vector) NAME(sum_of)(NAME(vector) a, NAME(vector) b)
{
    return a + b;
}

/* y = f(a, b) over `n` elements, f being inlined. */
INLINE void NAME(map)(NAME(vector) (*f)(NAME(vector), NAME(vector)), T *y, const T *a, const T *b,
                      size_t n)
{
    for (; n >= STEP; n -= STEP, y += STEP, a += STEP, b += STEP) {
        NAME(vector) result[STEP_VECTORS];
        UNROLL for (int v = 0; v < STEP_VECTORS; v++)
            result[v] = f(NAME(load)(a + v * WIDTH), NAME(load)(b + v * WIDTH));
        UNROLL for (int v = 0; v < STEP_VECTORS; v++)
            memcpy(y + v * WIDTH, &result[v], sizeof result[v]);
    }
    for (; n >= WIDTH; n -= WIDTH, y += WIDTH, a += WIDTH, b += WIDTH) {
        const NAME(vector) result = f(NAME(load)(a), NAME(load)(b));
        memcpy(y, &result, sizeof result);
    }
    for (size_t i = 0; i < n; i++)
        y[i] = f(NAME(broadcast)(a[i]), NAME(broadcast)(b[i]))[0];
}

KERNEL(relu)
{
    const fn_unary_args *g = args;
    const T *x = (const T *)g->x + begin;
    NAME(map)(NAME(relu_of), (T *)g->y + begin, x, x, end - begin);
}

/* b is relu's output: it is positive exactly where the input was. */
KERNEL(relu_grad)
{
    const fn_binary_args *g = args;
    NAME(map)(NAME(relu_grad_of), (T *)g->y + begin, (const T *)g->a + begin,
              (const T *)g->b + begin, end - begin);
}

KERNEL(add)
{
    const fn_binary_args *g = args;
    NAME(map)(NAME(sum_of), (T *)g->y + begin, (const T *)g->a + begin, (const T *)g->b + begin,
              end - begin);
}

/* y (m x n) = a (m x n) + b (n) */
KERNEL(add_rows)
{
    const fn_rows_args *g = args;
    for (size_t i = begin; i < end; i++)
        NAME(map)(NAME(sum_of), (T *)g->y + i * g->n, (const T *)g->a + i * g->n, g->b, g->n);
}

KERNEL(exp)
{
    const fn_unary_args *g = args;
    T *y = g->y;
    const T *x = g->x;
    INDEPENDENT for (size_t i = begin; i < end; i++) y[i] = NAME(exp_of)(x[i]);
}

KERNEL(log)
{
    const fn_unary_args *g = args;
    T *y = g->y;
    const T *x = g->x;
    INDEPENDENT for (size_t i = begin; i < end; i++) y[i] = NAME(log_of)(x[i]);
}

/* y (n) = the sum over the m rows of a (m x n). Rows are added in order within blocks of 256, and the
 * blocks in order: a rounding error that grows with m / 256 instead of m, and an order that depends on m
 * alone. Columns go in strips whose sums stay in the first-level cache; eight rows at a time, so that
 * they are loaded and stored less often. */
KERNEL(add_grad)
{
    enum { STRIP = 4096 / sizeof(T), BLOCK = 256 };
    const fn_rows_args *g = args;
    const size_t m = g->m, n = g->n;
    for (size_t j = begin; j < end; j += STRIP) {
        const size_t width = end - j < STRIP ? end - j : STRIP;
        T total[STRIP] = {0};
        for (size_t i = 0; i < m; i += BLOCK) {
            const size_t last = m - i < BLOCK ? m : i + BLOCK;
            T sum[STRIP] = {0};
            size_t row = i;
            for (; row + 8 <= last; row += 8) {
                const T *x = (const T *)g->a + row * n + j;
                for (size_t l = 0; l < width; l++)
                    sum[l] = sum[l] + x[l] + x[l + n] + x[l + 2 * n] + x[l + 3 * n] + x[l + 4 * n] +
                             x[l + 5 * n] + x[l + 6 * n] + x[l + 7 * n];
            }
            for (; row < last; row++)
                for (size_t l = 0; l < width; l++) sum[l] += ((const T *)g->a)[row * n + j + l];
            for (size_t l = 0; l < width; l++) total[l] += sum[l];
        }
        memcpy((T *)g->y + j, total, width * sizeof(T));
    }
}
