/* Softmax and its cross-entropy, row by row. A row is read three times (maximum, sum of exponentials,
 * result) while it is in the first-level cache. Subtracting the maximum first keeps every exponential in
 * [0, 1] and one of them at 1, so nothing overflows and the logarithm is never taken of 0.
 *
 * A row's sums run in LANES fixed lanes, column j in lane j mod LANES, joined in a fixed tree: the same
 * bits on every level.
 *
 * A NaN anywhere in a row, or an infinite maximum (infinity - infinity), makes the sum NaN and so the
 * whole row; the maximum itself may pass a NaN by.
 */

INLINE T NAME(row_max)(const T *x, size_t n)
{
    NAME(vector) max[LANE_VECTORS];
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) max[v] = NAME(broadcast)(-(T)INFINITY);
    for (; n >= LANES; n -= LANES, x += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++)
            max[v] = NAME(larger)(max[v], NAME(load)(x + v * WIDTH));
    T lane[2 * LANES];
    memcpy(lane, max, sizeof max);
    memcpy(lane + LANES, x, n * sizeof(T));
    T row = lane[0];
    for (size_t l = 1; l < LANES + n; l++) row = lane[l] > row ? lane[l] : row;
    return row;
}

/* e = exp(x - max) where e is not NULL; returns the sum of the exponentials. */
INLINE T NAME(exp_sum)(T *e, const T *x, T max, size_t n)
{
    enum { CHUNK = 16 * LANES };
    T unused[CHUNK];
    NAME(vector) lanes[LANE_VECTORS] = {{0}};
    for (size_t j = 0; j < n; j += CHUNK) {
        const size_t width = n - j < CHUNK ? n - j : CHUNK;
        T *to = e ? e + j : unused;
        INDEPENDENT for (size_t l = 0; l < width; l++) to[l] = NAME(exp_of)(x[j + l] - max);
        NAME(add_to_lanes)(lanes, to, width);
    }
    return NAME(lane_sum)(lanes);
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

INLINE T NAME(dot)(const T *x, const T *y, size_t n)
{
    enum { CHUNK = 16 * LANES };
    NAME(vector) lanes[LANE_VECTORS] = {{0}};
    for (size_t j = 0; j < n; j += CHUNK) {
        const size_t width = n - j < CHUNK ? n - j : CHUNK;
        T products[CHUNK];
        for (size_t l = 0; l < width; l++) products[l] = x[j + l] * y[j + l];
        NAME(add_to_lanes)(lanes, products, width);
    }
    return NAME(lane_sum)(lanes);
}

/* dx = y * (dy - sum(dy * y)) */
static void NAME(softmax_grad)(void *dx_, const void *dy_, const void *y_, size_t m, size_t n)
{
    T *dx = dx_;
    const T *dy = dy_, *y = y_;
    for (size_t i = 0; i < m; i++, dx += n, dy += n, y += n) {
        const T dot = NAME(dot)(dy, y, n);
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
