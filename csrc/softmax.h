/* Softmax and its cross-entropy, row by row. A row is read three times (maximum, sum of exponentials,
 * result) while it is in the first-level cache. Subtracting the maximum first keeps every exponential in
 * [0, 1] and one of them at 1, so nothing overflows and the logarithm is never taken of 0.
 *
 * Dividing by the sum would take as long as the exponentials; a product with its reciprocal, which lies
 * between 1 / n and 1, costs half a unit in the last place and no range.
 *
 * A row's sums run in LANES fixed lanes, column j in lane j mod LANES, joined in a fixed tree: the same
 * bits on every level.
 *
 * A NaN anywhere in a row, or an infinite maximum (infinity - infinity), makes the sum NaN and so the
 * whole row; the maximum itself may pass a NaN by.
 */

/* The largest of the lanes and of `last`. */
INLINE T NAME(lane_max)(NAME(vector) max[LANE_VECTORS], const NAME(vector) last[LANE_VECTORS])
{
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) max[v] = VECTOR_MAX(last[v], max[v]);
    UNROLL for (int s = LANE_VECTORS / 2; s > 0; s /= 2)
        UNROLL for (int v = 0; v < s; v++) max[v] = VECTOR_MAX(max[v + s], max[v]);
    T lane[WIDTH];
    NAME(store)(lane, max[0]);
    UNROLL for (int s = WIDTH / 2; s > 0; s /= 2)
        UNROLL for (int l = 0; l < s; l++) lane[l] = lane[l + s] > lane[l] ? lane[l + s] : lane[l];
    return lane[0];
}

/* e = exp(x - max) where e is not NULL; returns the sum of these and stores the maximum. Whole lanes are
 * followed by the last, filled up with minus infinities, whose exponentials are 0. */
INLINE T NAME(exp_sum)(T *e, T *row_max, const T *x, size_t n)
{
    const size_t whole = n ? (n - 1) / LANES * LANES : 0;
    NAME(vector) max[LANE_VECTORS], last[LANE_VECTORS], sum[LANE_VECTORS] = {{0}};
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) max[v] = NAME(broadcast)(-(T)INFINITY);
    NAME(load_lanes)(last, x + whole, n - whole, -(T)INFINITY);
    for (size_t j = 0; j < whole; j += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++)
            max[v] = VECTOR_MAX(NAME(load)(x + j + v * WIDTH), max[v]);
    const T largest = *row_max = NAME(lane_max)(max, last);
    for (size_t j = 0; j < whole; j += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++) {
            const NAME(vector) power = NAME(exp_of)(NAME(load)(x + j + v * WIDTH) - largest);
            sum[v] += power;
            if (e) NAME(store)(e + j + v * WIDTH, power);
        }
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) {
        last[v] = NAME(exp_of)(last[v] - largest);
        sum[v] += last[v];
    }
    if (e) NAME(store_lanes)(e + whole, last, n - whole);
    return NAME(lane_sum)(sum);
}

KERNEL(softmax)
{
    const fn_rows_args *g = args;
    const size_t n = g->n;
    for (size_t i = begin; i < end; i++) {
        T *y = (T *)g->y + i * n, max;
        const T factor = 1 / NAME(exp_sum)(y, &max, (const T *)g->a + i * n, n);
        INDEPENDENT for (size_t j = 0; j < n; j++) y[j] *= factor;
    }
}

INLINE T NAME(dot)(const T *x, const T *y, size_t n)
{
    NAME(vector) sum[LANE_VECTORS] = {{0}}, a[LANE_VECTORS], b[LANE_VECTORS];
    for (; n > LANES; n -= LANES, x += LANES, y += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++)
            sum[v] = VECTOR_FMA(NAME(load)(x + v * WIDTH), NAME(load)(y + v * WIDTH), sum[v]);
    NAME(load_lanes)(a, x, n, 0);
    NAME(load_lanes)(b, y, n, 0);
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) sum[v] = VECTOR_FMA(a[v], b[v], sum[v]);
    return NAME(lane_sum)(sum);
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
        const size_t label = g->labels[i];
        const T at_label = x[label];
        T max;
        const T sum = NAME(exp_sum)(dx, &max, x, n);
        if (g->loss) ((T *)g->loss)[i] = NAME(log_of)(NAME(broadcast)(sum))[0] - (at_label - max);
        if (dx) {
            const T scale = g->dloss ? ((const T *)g->dloss)[i] : 1;
            const T probability = dx[label] / sum, factor = scale / sum;
            INDEPENDENT for (size_t j = 0; j < n; j++) dx[j] *= factor;
            dx[label] = (probability - 1) * scale;
        }
    }
}
