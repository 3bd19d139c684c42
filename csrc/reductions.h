/* Reductions of the rows of a matrix (m x n) to one number each: sums, largest and smallest elements, and
 * the places of the largest.
 *
 * Sums run in LANES fixed lanes, column j in lane j mod LANES, joined in a fixed tree, within blocks of
 * FN_SUM_BLOCK elements; the door has the sums of a long row's blocks summed in the same way. So a rounding
 * error grows with the length of a block and the few levels of sums, not with n, and a single long row is
 * work for several threads. The units of `sum_rows` are blocks, those of the others rows.
 *
 * The trees of WIDTH blocks are joined at once, which makes short rows cheap. The largest elements of short
 * rows are found for WIDTH rows at once, one in each lane, and nothing is left to join. In a long row the
 * largest value is found in LANES lanes and then looked for from the beginning: reading a row twice while it
 * is in a cache is cheaper than carrying indices along.
 *
 * NaN: the first one is the largest, and the smallest, as in NumPy. The smallest element is the negative of
 * the largest of the negatives.
 */
#ifndef REDUCTION_SIZES
#define REDUCTION_SIZES
enum { SHORT_ROW = 32, SEARCHED = 64 };
#endif

/* Whether a bit is set. */
INLINE int NAME(any)(NAME(mask) mask)
{
    uint64_t word[VECTOR_BYTES / 8], all = 0;
    memcpy(word, &mask, sizeof word);
    UNROLL for (int w = 0; w < VECTOR_BYTES / 8; w++) all |= word[w];
    return all != 0;
}

INLINE NAME(vector) NAME(folded_sum)(const T *x, size_t n)
{
    NAME(vector) sum[LANE_VECTORS] = {{0}}, last[LANE_VECTORS];
    for (; n > LANES; n -= LANES, x += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++) sum[v] += NAME(load)(x + v * WIDTH);
    NAME(load_lanes)(last, x, n, 0);
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) sum[v] += last[v];
    return NAME(fold)(sum);
}

/* The lanes of `count` <= WIDTH blocks that follow each other from x on, where a row has `left` elements
 * left. */
INLINE void NAME(fold_blocks)(NAME(vector) *folded, const T *x, size_t n, size_t left, size_t count)
{
    if (n <= LANES) {
        /* The masks of a short row are made once. */
        for (size_t r = 0; r < count; r++) folded[r] = NAME(folded_sum)(x + r * n, n);
        return;
    }
    for (size_t r = 0; r < count; r++) {
        const size_t length = left < FN_SUM_BLOCK ? left : FN_SUM_BLOCK;
        folded[r] = NAME(folded_sum)(x, length);
        x += length;
        left = left == length ? n : left - length;
    }
}

/* y (m x blocks) = the sums of the blocks of each row of a */
KERNEL(sum_rows)
{
    const fn_rows_args *g = args;
    const size_t n = g->n, blocks = (n + FN_SUM_BLOCK - 1) / FN_SUM_BLOCK;
    if (n == 1) {
        const T *x = g->a;
        T *y = g->y;
        for (size_t i = begin; i < end; i++) y[i] = x[i] + 0; /* the sum of -0 is 0 */
        return;
    }
    for (size_t i = begin; i < end; i += WIDTH) {
        const size_t count = end - i < WIDTH ? end - i : WIDTH;
        const size_t before = i % blocks * FN_SUM_BLOCK;
        NAME(vector) folded[WIDTH];
        NAME(fold_blocks)(folded, (const T *)g->a + i / blocks * n + before, n, n - before, count);
        for (size_t r = count; r < WIDTH; r++) folded[r] = (NAME(vector)){0};
        const NAME(vector) sums = NAME(sums_of)(folded);
        if (count == WIDTH)
            NAME(store)((T *)g->y + i, sums);
        else
            STORE_FEW((T *)g->y + i, sums, count);
    }
}

/* The largest elements of `count` <= WIDTH short rows, and where they are. */
INLINE void NAME(best_of_short)(T *best, UINT *at, const int least, const T *x, size_t n, size_t count)
{
    const T *row[WIDTH];
    UNROLL for (size_t l = 0; l < WIDTH; l++) row[l] = x + (l < count ? l : 0) * n;
    NAME(vector) largest = {0};
    NAME(mask) where = {0};
    for (size_t j = 0; j < n; j++) {
        NAME(vector) element;
        UNROLL for (int l = 0; l < WIDTH; l++) element[l] = row[l][j];
        if (least) element = -element;
        const NAME(mask) larger = (NAME(mask))~(element <= largest) & (NAME(mask))(largest == largest);
        const NAME(mask) taken = j ? larger : ~(NAME(mask)){0};
        largest = NAME(select)(taken, element, largest);
        where = (taken & (UINT)j) | (~taken & where);
    }
    if (least) largest = -largest;
    memcpy(best, &largest, sizeof largest);
    memcpy(at, &where, sizeof where);
}

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

INLINE T NAME(best_of_long)(const int least, const T *x, size_t n)
{
    NAME(vector) max[LANE_VECTORS], last[LANE_VECTORS];
    NAME(mask) nan = {0};
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) max[v] = NAME(broadcast)(-(T)INFINITY);
    for (; n > LANES; n -= LANES, x += LANES)
        UNROLL for (int v = 0; v < LANE_VECTORS; v++) {
            const NAME(vector) element = NAME(load)(x + v * WIDTH);
            max[v] = VECTOR_MAX(least ? -element : element, max[v]);
            nan |= (NAME(mask))(element != element);
        }
    NAME(load_lanes)(last, x, n, least ? (T)INFINITY : -(T)INFINITY);
    UNROLL for (int v = 0; v < LANE_VECTORS; v++) {
        nan |= (NAME(mask))(last[v] != last[v]);
        if (least) last[v] = -last[v];
    }
    const T best = NAME(lane_max)(max, last);
    if (NAME(any)(nan)) return (T)NAN;
    return least ? -best : best;
}

/* Whether one of the elements of so many vectors is the row's largest or a NaN. */
INLINE int NAME(is_among)(const T *x, const int vectors, T best)
{
    NAME(mask) hit = {0};
    UNROLL for (int v = 0; v < vectors; v++) {
        const NAME(vector) element = NAME(load)(x + v * WIDTH);
        hit |= (NAME(mask))(element == best) | (NAME(mask))(element != element);
    }
    return NAME(any)(hit);
}

/* The place of the row's largest element, which is NaN if one is. */
INLINE size_t NAME(place_of)(const T *x, size_t n, T best)
{
    size_t j = 0;
    while (n - j >= SEARCHED && !NAME(is_among)(x + j, SEARCHED / WIDTH, best)) j += SEARCHED;
    while (n - j >= WIDTH && !NAME(is_among)(x + j, 1, best)) j += WIDTH;
    while (x[j] != best && x[j] == x[j]) j++;
    return j;
}

/* The largest (or smallest) elements of `count` <= WIDTH rows. */
INLINE void NAME(best_of)(T *best, const int least, const T *x, size_t n, size_t count)
{
    UINT at[WIDTH];
    if (n <= SHORT_ROW)
        NAME(best_of_short)(best, at, least, x, n, count);
    else
        for (size_t r = 0; r < count; r++) best[r] = NAME(best_of_long)(least, x + r * n, n);
}

/* The places of the largest ones. */
INLINE void NAME(places_of)(size_t *place, const T *x, size_t n, size_t count)
{
    T best[WIDTH];
    UINT at[WIDTH];
    if (n <= SHORT_ROW) {
        NAME(best_of_short)(best, at, 0, x, n, count);
        for (size_t r = 0; r < count; r++) place[r] = at[r];
        return;
    }
    for (size_t r = 0; r < count; r++, x += n)
        place[r] = NAME(place_of)(x, n, NAME(best_of_long)(0, x, n));
}

INLINE void NAME(all_best)(const fn_rows_args *g, const int least, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i += WIDTH) {
        T best[WIDTH];
        const size_t count = end - i < WIDTH ? end - i : WIDTH;
        NAME(best_of)(best, least, (const T *)g->a + i * g->n, g->n, count);
        memcpy((T *)g->y + i, best, count * sizeof(T));
    }
}

KERNEL(max_rows)
{
    NAME(all_best)(args, 0, begin, end);
}

KERNEL(min_rows)
{
    NAME(all_best)(args, 1, begin, end);
}

/* y (m, int64_t) */
KERNEL(argmax_rows)
{
    const fn_rows_args *g = args;
    for (size_t i = begin; i < end; i += WIDTH) {
        size_t place[WIDTH];
        const size_t count = end - i < WIDTH ? end - i : WIDTH;
        NAME(places_of)(place, (const T *)g->a + i * g->n, g->n, count);
        for (size_t r = 0; r < count; r++) ((int64_t *)g->y)[i + r] = (int64_t)place[r];
    }
}

/* y = 1 where the place is b (m), else 0 */
KERNEL(hits)
{
    const fn_rows_args *g = args;
    const T *labels = g->b; /* for so few columns that indices are exact in T */
    for (size_t i = begin; i < end; i += WIDTH) {
        size_t place[WIDTH];
        const size_t count = end - i < WIDTH ? end - i : WIDTH;
        NAME(places_of)(place, (const T *)g->a + i * g->n, g->n, count);
        for (size_t r = 0; r < count; r++) ((T *)g->y)[i + r] = (T)place[r] == labels[i + r];
    }
}
