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

KERNEL(softmax)
{
    const fn_rows_args *g = args;
    const size_t n = g->n;
    for (size_t i = begin; i < end; i++) {
        const T *x = (const T *)g->a + i * n;
        T *y = (T *)g->y + i * n;
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

/* dx = y * (dy - sum(dy * y)), dx being g->y, dy g->a and y g->b */
KERNEL(softmax_grad)
{
    const fn_rows_args *g = args;
    const size_t n = g->n;
    for (size_t i = begin; i < end; i++) {
        T *dx = (T *)g->y + i * n;
        const T *dy = (const T *)g->a + i * n, *y = (const T *)g->b + i * n;
        const T dot = NAME(dot)(dy, y, n);
        INDEPENDENT for (size_t j = 0; j < n; j++) dx[j] = y[j] * (dy[j] - dot);
    }
}

/* loss = log(sum(exp(x - max))) - (x[label] - max); dlogits = dloss * (softmax(x) - onehot(label)) */
KERNEL(softmax_cross_entropy)
{
    const fn_cross_entropy_args *g = args;
    const size_t n = g->n;
    for (size_t i = begin; i < end; i++) {
        const T *x = (const T *)g->logits + i * n;
        T *dx = g->dlogits ? (T *)g->dlogits + i * n : NULL;
        const T max = NAME(row_max)(x, n);
        const size_t label = g->labels[i];
        const T at_label = x[label];
        const T sum = NAME(exp_sum)(dx, x, max, n);
        if (g->loss) ((T *)g->loss)[i] = NAME(log_of)(sum) - (at_label - max);
        if (dx) {
            const T scale = g->dloss ? ((const T *)g->dloss)[i] : 1;
            const T probability = dx[label] / sum;
            INDEPENDENT for (size_t j = 0; j < n; j++) dx[j] = dx[j] / sum * scale;
            dx[label] = (probability - 1) * scale;
        }
    }
}
