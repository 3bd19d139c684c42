/* add_grad: the sums of the columns of a matrix (m x n), which are the gradient of what was added to each
 * of its rows.
 *
 * The order of the additions depends on m alone. Rows are taken in groups of FN_GROUP. Within a group row i
 * belongs to lane i mod LANES; the rows of a lane are added in order, then the lanes in order, then the
 * groups in order. So a rounding error grows with m / FN_GROUP instead of m, and up to LANES consecutive rows
 * can be added without waiting for each other. That is what makes one order serve all widths:
 *
 * - In a wide matrix a vector holds columns. The sums of a strip of columns wait in the first-level cache
 *   while the rows stream by, the four rows of a lane together, so that sums are loaded and stored once for
 *   four rows.
 * - In a narrow one (a bias of one unit, or of ten) a row is shorter than a vector; but LANES rows lie
 *   next to each other and are a whole number of vectors, whatever n is, whose elements are all sums of
 *   their own. They are added as one long row, and only a group's sums are then taken apart.
 *
 * Units of work are groups: rows are read as they lie in memory, which a cut between columns would break
 * into pieces too short for the processor to fetch ahead. Each group leaves its sums in a row of a small
 * matrix; `add_groups`, whose units are columns, adds those.
 */
#ifndef COLUMN_SIZES
#define COLUMN_SIZES
enum { NARROW = 32, STRIP = 1024 };
#endif

/* sum[j] += x[j] + x[j + distance] + ..., of `rows` terms */
INLINE void NAME(add_lane_of)(const size_t rows, T *sum, const T *x, size_t distance, size_t width)
{
    for (; width >= WIDTH; width -= WIDTH, sum += WIDTH, x += WIDTH) {
        NAME(vector) lane = NAME(load)(x);
        UNROLL for (size_t r = 1; r < rows; r++) lane += NAME(load)(x + r * distance);
        NAME(store)(sum, NAME(load)(sum) + lane);
    }
    for (size_t j = 0; j < width; j++) {
        T lane = x[j];
        UNROLL for (size_t r = 1; r < rows; r++) lane += x[j + r * distance];
        sum[j] += lane;
    }
}

static void NAME(add_lane)(size_t rows, T *sum, const T *x, size_t distance, size_t width)
{
    switch (rows) {
    case 4: NAME(add_lane_of)(4, sum, x, distance, width); break;
    case 3: NAME(add_lane_of)(3, sum, x, distance, width); break;
    case 2: NAME(add_lane_of)(2, sum, x, distance, width); break;
    case 1: NAME(add_lane_of)(1, sum, x, distance, width); break;
    }
}

/* The number of a group's `rows` rows that are in a lane. */
INLINE size_t NAME(rows_of_lane)(size_t rows, size_t lane)
{
    return (rows + LANES - 1 - lane) / LANES;
}

INLINE void NAME(add_wide_group)(T *sum, const T *x, size_t rows, size_t n, size_t width)
{
    const size_t lanes = rows < LANES ? rows : LANES;
    for (size_t l = 0; l < lanes; l++)
        NAME(add_lane)(NAME(rows_of_lane)(rows, l), sum, x + l * n, LANES * n, width);
}

INLINE void NAME(add_narrow_group)(T *sum, const T *x, size_t rows, size_t n)
{
    T lanes[LANES * NARROW];
    memset(lanes, 0, LANES * n * sizeof(T));
    /* The first `longer` lanes have one row more than the others. */
    const size_t longer = rows % LANES, distance = LANES * n;
    NAME(add_lane)(rows / LANES + 1, lanes, x, distance, longer * n);
    NAME(add_lane)(rows / LANES, lanes + longer * n, x + longer * n, distance, distance - longer * n);
    for (size_t j = 0; j < n; j++)
        UNROLL for (size_t l = 0; l < LANES; l++) sum[j] += lanes[l * n + j];
}

/* y (groups x n) = the sums of each group of rows of a (m x n) */
KERNEL(add_grad)
{
    const fn_rows_args *g = args;
    const size_t n = g->n;
    for (size_t group = begin; group < end; group++) {
        const T *x = (const T *)g->a + group * FN_GROUP * n;
        T *sum = (T *)g->y + group * n;
        const size_t left = g->m - group * FN_GROUP, rows = left < FN_GROUP ? left : FN_GROUP;
        memset(sum, 0, n * sizeof(T));
        if (n <= NARROW)
            NAME(add_narrow_group)(sum, x, rows, n);
        else
            for (size_t j = 0; j < n; j += STRIP)
                NAME(add_wide_group)(sum + j, x + j, rows, n, n - j < STRIP ? n - j : STRIP);
    }
}

/* y (n) = the sum of the m rows of a */
KERNEL(add_groups)
{
    const fn_rows_args *g = args;
    T *y = g->y;
    memcpy(y + begin, (const T *)g->a + begin, (end - begin) * sizeof(T));
    for (size_t i = 1; i < g->m; i++) {
        const T *x = (const T *)g->a + i * g->n;
        for (size_t j = begin; j < end; j++) y[j] += x[j];
    }
}
