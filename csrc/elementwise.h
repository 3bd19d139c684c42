/* Elementwise kernels and their gradients, as plain loops that the compiler turns into vector code: each
 * element is one short chain of IEEE operations, so its bits do not depend on the width of the vectors.
 * They are bound by memory; what matters is one pass, no temporary, and no branch.
 *
 * NaN: comparisons are written so that NaN falls through as in NumPy's maximum (relu(nan) is nan).
 */

static void NAME(relu)(void *y_, const void *x_, size_t n)
{
    T *y = y_;
    const T *x = x_;
    INDEPENDENT for (size_t i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
}

/* y is relu's output: it is positive exactly where the input was. */
static void NAME(relu_grad)(void *dx_, const void *dy_, const void *y_, size_t n)
{
    T *dx = dx_;
    const T *dy = dy_, *y = y_;
    INDEPENDENT for (size_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

static void NAME(exp)(void *y_, const void *x_, size_t n)
{
    T *y = y_;
    const T *x = x_;
    INDEPENDENT for (size_t i = 0; i < n; i++) y[i] = NAME(exp_of)(x[i]);
}

static void NAME(log)(void *y_, const void *x_, size_t n)
{
    T *y = y_;
    const T *x = x_;
    INDEPENDENT for (size_t i = 0; i < n; i++) y[i] = NAME(log_of)(x[i]);
}

/* Eight vectors are loaded before the first is stored: arrays often lie a few bytes apart modulo the page
 * size, where a load just behind a store would wait for it, as if both had the same address. */
INLINE void NAME(add_row)(T *y, const T *x, const T *b, size_t n)
{
    enum { VECTORS = 8, STEP = VECTORS * VECTOR_BYTES / sizeof(T) };
    size_t j = 0;
    for (; j + STEP <= n; j += STEP) {
        NAME(vector) sum[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++)
            sum[v] = NAME(load)(x + j + v * WIDTH) + NAME(load)(b + j + v * WIDTH);
        UNROLL for (int v = 0; v < VECTORS; v++) memcpy(y + j + v * WIDTH, &sum[v], sizeof sum[v]);
    }
    INDEPENDENT for (; j < n; j++) y[j] = x[j] + b[j];
}

static void NAME(add)(void *y_, const void *x_, const void *b_, size_t m, size_t n)
{
    T *y = y_;
    const T *x = x_, *b = b_;
    for (size_t i = 0; i < m; i++, x += n, y += n) NAME(add_row)(y, x, b, n);
}

/* Rows are added in order within blocks of 256, and the blocks in order: a rounding error that grows
 * with m / 256 instead of m, and an order that depends on m alone. Columns go in strips whose sums stay
 * in the first-level cache; eight rows at a time, so that they are loaded and stored less often. */
static void NAME(add_grad)(void *db_, const void *dy_, size_t m, size_t n)
{
    enum { STRIP = 4096 / sizeof(T), BLOCK = 256 };
    T *db = db_;
    const T *dy = dy_;
    for (size_t j = 0; j < n; j += STRIP) {
        const size_t width = n - j < STRIP ? n - j : STRIP;
        T total[STRIP] = {0};
        for (size_t i = 0; i < m; i += BLOCK) {
            const size_t end = m - i < BLOCK ? m : i + BLOCK;
            T sum[STRIP] = {0};
            size_t row = i;
            for (; row + 8 <= end; row += 8) {
                const T *x = dy + row * n + j;
                for (size_t l = 0; l < width; l++)
                    sum[l] = sum[l] + x[l] + x[l + n] + x[l + 2 * n] + x[l + 3 * n] + x[l + 4 * n] +
                             x[l + 5 * n] + x[l + 6 * n] + x[l + 7 * n];
            }
            for (; row < end; row++)
                for (size_t l = 0; l < width; l++) sum[l] += dy[row * n + j + l];
            for (size_t l = 0; l < width; l++) total[l] += sum[l];
        }
        memcpy(db + j, total, width * sizeof(T));
    }
}
