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
 * Joining the lanes of a row, to its maximum and to its sum, is a chain of steps that wait for each other, as
 * long as the rest of a short row. So up to WIDTH rows go together, as many as stay in the first-level cache:
 * their trees are computed at once, on vectors of rows, and so are their reciprocals and logarithms.
 *
 * A NaN anywhere in a row, or an infinite maximum (infinity - infinity), makes the sum NaN and so the
 * whole row; the maximum itself may pass a NaN by.
 */

#ifndef SOFTMAX_CHOICES
#define SOFTMAX_CHOICES
enum { TOGETHER = 1 << 14 }; /* bytes of the rows that are taken together; as many come of their results */
#endif

/* How many of the rows that are left to take together. */
INLINE size_t NAME(rows_together)(size_t left, size_t n)
{
    const size_t elements = TOGETHER / sizeof(T), fit = n * WIDTH <= elements ? WIDTH : elements / n;
    const size_t most = fit ? fit : 1;
    return left < most ? left : most;
}

/* The largest of each of WIDTH rows of lanes; see `sums_of`. */
INLINE NAME(vector) NAME(largest_of)(const NAME(vector) folded[WIDTH])
{
    NAME(vector) row[WIDTH];
    UNROLL for (int i = 0; i < WIDTH; i++) row[i] = folded[i];
    UNROLL for (int h = WIDTH / 2; h > 0; h /= 2)
        UNROLL for (int i = 0; i < h; i++) {
            NAME(exchange)(h, &row[i], &row[i + h]);
            row[i] = VECTOR_MAX(row[i + h], row[i]);
        }
    return row[0];
}

/* The columns before the last lanes of a row, which those may fill. */
INLINE size_t NAME(whole_lanes)(size_t n)
{
    return n ? (n - 1) / LANES * LANES : 0;
}

/* The largest elements of the lanes of a row, in one vector. */
INLINE NAME(vector) NAME(row_max)(const T *x, size_t n)
{
    const size_t whole = NAME(whole_lanes)(n);
    NAME(vector) max[LANE_VECTORS];
    NAME(load_lanes)(max, x + whole, n - whole, -(T)INFINITY);
    for (size_t j = 0; j < whole; j += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++)
            max[v] = VECTOR_MAX(NAME(load)(x + j + v * WIDTH), max[v]);
    UNROLL for (int s = LANE_VECTORS / 2; s > 0; s /= 2)
        UNROLL for (int v = 0; v < s; v++) max[v] = VECTOR_MAX(max[v + s], max[v]);
    return max[0];
}

/* exp(x), with what vanishes masked: a product that underflows holds up the processor for long, and the
 * lanes behind the end of a row would do so every time. */
INLINE NAME(vector) NAME(masked_exp)(NAME(vector) x)
{
    const NAME(mask) kept = ~(NAME(mask))(x < EXP_MIN);
    return (NAME(vector))((NAME(mask))NAME(bounded_exp)((NAME(vector))((NAME(mask))x & kept)) & kept);
}

/* Adds exp(x - max) of some vectors to the sums of its lanes, and stores it where e is not NULL. */
INLINE void NAME(add_powers)(const int vectors, NAME(vector) sum[LANE_VECTORS], T *e, T max, const T *x)
{
    NAME(vector) power[2 * LANE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) power[v] = NAME(bounded_exp)(NAME(load)(x + v * WIDTH) - max);
    UNROLL for (int v = 0; v < vectors; v++) sum[v % LANE_VECTORS] += power[v];
    if (e)
        UNROLL for (int v = 0; v < vectors; v++) NAME(store)(e + v * WIDTH, power[v]);
}

/* e = exp(x - max) where e is not NULL; returns the sum of these, folded. Whole lanes are followed by the
 * last, filled up with minus infinities, whose exponentials are 0. */
INLINE NAME(vector) NAME(row_exp)(T *e, T max, const T *x, size_t n)
{
    const size_t whole = NAME(whole_lanes)(n);
    NAME(vector) last[LANE_VECTORS], sum[LANE_VECTORS] = {{0}};
    size_t j = 0;
    for (; j + LANES < whole; j += 2 * LANES) NAME(add_powers)(2 * LANE_VECTORS, sum, e ? e + j : NULL, max, x + j);
    if (j < whole) NAME(add_powers)(LANE_VECTORS, sum, e ? e + j : NULL, max, x + j);
    NAME(load_lanes)(last, x + whole, n - whole, -(T)INFINITY);
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) {
        last[v] = NAME(masked_exp)(last[v] - max);
        sum[v] += last[v];
    }
    if (e) NAME(store_lanes)(e + whole, last, n - whole);
    return NAME(fold)(sum);
}

/* The same for at most WIDTH rows; returns their sums and stores their maxima. */
INLINE NAME(vector) NAME(exp_sums)(T *e, T max[WIDTH], const T *x, size_t rows, size_t n)
{
    NAME(vector) folded[WIDTH];
    for (size_t r = rows; r < WIDTH; r++) folded[r] = (NAME(vector)){0};
    for (size_t r = 0; r < rows; r++) folded[r] = NAME(row_max)(x + r * n, n);
    NAME(store)(max, NAME(largest_of)(folded));
    for (size_t r = 0; r < rows; r++) folded[r] = NAME(row_exp)(e ? e + r * n : NULL, max[r], x + r * n, n);
    return NAME(sums_of)(folded);
}

KERNEL(softmax)
{
    const fn_rows_args *g = args;
    const size_t n = g->n;
    for (size_t i = begin, rows; i < end; i += rows) {
        rows = NAME(rows_together)(end - i, n);
        T *y = (T *)g->y + i * n, max[WIDTH];
        const NAME(vector) factor = 1 / NAME(exp_sums)(y, max, (const T *)g->a + i * n, rows, n);
        for (size_t r = 0; r < rows; r++, y += n) {
            const T f = factor[r];
            INDEPENDENT for (size_t j = 0; j < n; j++) y[j] *= f;
        }
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
    for (size_t i = begin, rows; i < end; i += rows) {
        rows = NAME(rows_together)(end - i, n);
        const T *x = (const T *)g->logits + i * n;
        T *dx = g->dlogits ? (T *)g->dlogits + i * n : NULL;
        T at_label[WIDTH], max[WIDTH];
        for (size_t r = rows; r < WIDTH; r++) at_label[r] = 0;
        for (size_t r = 0; r < rows; r++) at_label[r] = (x + r * n)[g->labels[i + r]];
        const NAME(vector) sums = NAME(exp_sums)(dx, max, x, rows, n);
        const NAME(vector) loss = NAME(log_of)(sums) - (NAME(load)(at_label) - NAME(load)(max));
        for (size_t r = 0; r < rows; r++) {
            ((T *)g->loss)[i + r] = loss[r];
            if (!dx) continue;
            const T scale = g->dloss ? ((const T *)g->dloss)[i + r] : 1;
            T *row = dx + r * n, *label = row + g->labels[i + r];
            const T probability = *label / sums[r], factor = scale / sums[r];
            INDEPENDENT for (size_t j = 0; j < n; j++) row[j] *= factor;
            *label = (probability - 1) * scale;
        }
    }
}
