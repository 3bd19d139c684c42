/* Softmax and its cross-entropy, row by row. A row is read three times (maximum, sum of exponentials,
 * result) while it is in the first-level cache. Subtracting the maximum first keeps every exponential in
 * [0, 1] and one of them at 1, so nothing overflows and the logarithm is never taken of 0.
 *
 * A row's maximum and sum run in LANES fixed lanes, column j in lane j mod LANES, joined in a fixed tree:
 * the same bits on every level.
 *
 * A NaN anywhere in a row, or an infinite maximum, makes the whole row NaN (infinity - infinity).
 */

INLINE T NAME(larger)(T a, T b)
{
    return b > a || b != b ? b : a;
}

INLINE T NAME(row_max)(const T *x, size_t n)
{
    T lane[LANES];
    for (size_t l = 0; l < LANES; l++) lane[l] = -(T)INFINITY;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] = NAME(larger)(lane[l], x[j + l]);
    for (size_t l = 0; j + l < n; l++) lane[l] = NAME(larger)(lane[l], x[j + l]);
    for (size_t s = LANES / 2; s > 0; s /= 2)
        for (size_t l = 0; l < s; l++) lane[l] = NAME(larger)(lane[l], lane[l + s]);
    return lane[0];
}

/* e = exp(x - max) where e is not NULL; returns the sum of the exponentials. */
INLINE T NAME(exp_sum)(T *e, const T *x, T max, size_t n)
{
    T lane[LANES] = {0};
    for (size_t j = 0; j < n; j += LANES) {
        const size_t width = n - j < LANES ? n - j : LANES;
        T block[LANES] = {0};
        if (width == LANES)
            for (size_t l = 0; l < LANES; l++) block[l] = NAME(exp_of)(x[j + l] - max);
        else
            for (size_t l = 0; l < width; l++) block[l] = NAME(exp_of)(x[j + l] - max);
        for (size_t l = 0; l < LANES; l++) lane[l] += block[l];
        if (e) memcpy(e + j, block, width * sizeof(T));
    }
    return NAME(lane_sum)(lane);
}

static void NAME(softmax)(void *y_, const void *x_, size_t m, size_t n)
{
    T *y = y_;
    const T *x = x_;
    for (size_t i = 0; i < m; i++, x += n, y += n) {
        const T sum = NAME(exp_sum)(y, x, NAME(row_max)(x, n), n);
        INDEPENDENT for (size_t j = 0; j < n; j++) y[j] /= sum;
    }
}

/* dx = y * (dy - sum(dy * y)) */
static void NAME(softmax_grad)(void *dx_, const void *dy_, const void *y_, size_t m, size_t n)
{
    T *dx = dx_;
    const T *dy = dy_, *y = y_;
    for (size_t i = 0; i < m; i++, dx += n, dy += n, y += n) {
        T lane[LANES] = {0};
        size_t j = 0;
        for (; j + LANES <= n; j += LANES)
            for (size_t l = 0; l < LANES; l++) lane[l] = FMA(dy[j + l], y[j + l], lane[l]);
        for (size_t l = 0; j + l < n; l++) lane[l] = FMA(dy[j + l], y[j + l], lane[l]);
        const T dot = NAME(lane_sum)(lane);
        INDEPENDENT for (size_t l = 0; l < n; l++) dx[l] = y[l] * (dy[l] - dot);
    }
}

/* loss = log(sum(exp(x - max))) - (x[label] - max); dlogits = dloss * (softmax(x) - onehot(label)) */
static void NAME(softmax_cross_entropy)(void *loss_, void *dlogits_, const void *logits_,
                                        const int64_t *labels, const void *dloss_, size_t m,
                                        size_t n)
{
    T *loss = loss_, *dlogits = dlogits_;
    const T *logits = logits_, *dloss = dloss_;
    for (size_t i = 0; i < m; i++) {
        const T *x = logits + i * n;
        T *dx = dlogits ? dlogits + i * n : NULL;
        const T max = NAME(row_max)(x, n);
        const T label = x[labels[i]];
        const T sum = NAME(exp_sum)(dx, x, max, n);
        if (loss) loss[i] = NAME(log_of)(sum) - (label - max);
        if (dx) {
            const T scale = dloss ? dloss[i] : 1;
            const T probability = dx[labels[i]] / sum;
            INDEPENDENT for (size_t j = 0; j < n; j++) dx[j] = dx[j] / sum * scale;
            dx[labels[i]] = (probability - 1) * scale;
        }
    }
}
