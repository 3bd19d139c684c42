/* Products of one to four rows, which would not pay for copies: b is taken as it lies (gemm.h says why). */

#undef DOT_COLUMNS
#define DOT_COLUMNS (WIDTH < 16 ? 2 * WIDTH : WIDTH)

#ifndef FEW_ROWS_CHOICES
#define FEW_ROWS_CHOICES
enum {
    ROWS_AT_ONCE = 4,   /* rows of b that a single row takes together, */
    ROW_COLUMNS = 2048, /* over so many columns */
    UNCOPIED_ROWS = 3   /* up to so many rows take squares of a transposed b as they need them */
};
#endif

/* sums += a few elements of a, k_step apart, times as many rows of b, the rows following each other. */
INLINE void NAME(add_rows_of_b)(const size_t few, T *sums, const T *a, size_t k_step, const T *b, size_t ldb,
                                size_t columns)
{
    NAME(vector) av[ROWS_AT_ONCE];
    UNROLL for (size_t q = 0; q < few; q++) av[q] = NAME(broadcast)(a[q * k_step]);
    size_t j = 0;
    for (; j + WIDTH <= columns; j += WIDTH) {
        NAME(vector) sum = NAME(load)(sums + j);
        UNROLL for (size_t q = 0; q < few; q++) sum = VECTOR_FMA(av[q], NAME(load)(b + q * ldb + j), sum);
        NAME(store)(sums + j, sum);
    }
    if (j < columns) {
        NAME(vector) sum = NAME(load)(sums + j);
        UNROLL for (size_t q = 0; q < few; q++)
            sum = VECTOR_FMA(av[q], NAME(load_few)(b + q * ldb + j, columns - j, 0), sum);
        NAME(store)(sums + j, sum);
    }
}

/* One row: b is read as it lies, from which the machine can foresee what comes next, and sums wait in the
 * first-level cache. */
static size_t NAME(one_row)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
{
    T *sums = g->scratch;
    for (size_t j = 0; j < g->n; j += ROW_COLUMNS) {
        const size_t columns = g->n - j < ROW_COLUMNS ? g->n - j : ROW_COLUMNS;
        memset(sums, 0, (columns + WIDTH) * sizeof(T));
        size_t q = 0;
        for (; q + ROWS_AT_ONCE <= k; q += ROWS_AT_ONCE)
            NAME(add_rows_of_b)(ROWS_AT_ONCE, sums, a.data + q * a.k_step, a.k_step, b + q * g->ldb + j,
                                g->ldb, columns);
        for (; q < k; q++)
            NAME(add_rows_of_b)(1, sums, a.data + q * a.k_step, a.k_step, b + q * g->ldb + j, g->ldb,
                                columns);
        const NAME(target) t = NAME(target_at)(g, 0, j, p, k, columns);
        NAME(finish_tile)(&t, sums, 1, columns);
    }
    return g->n;
}

/* WIDTH steps of k of few rows against WIDTH rows of b, a square of which is transposed on its way. */
INLINE void NAME(add_square)(const int rows, NAME(vector) *sum, NAME(panel) a, const T *b, size_t ldb)
{
    NAME(vector) square[WIDTH];
    NAME(load_transposed)(square, b, ldb);
    UNROLL for (size_t s = 0; s < WIDTH; s++)
        UNROLL for (int r = 0; r < rows; r++)
            sum[r] = VECTOR_FMA(NAME(broadcast)(a.data[(size_t)r * a.row_step + s * a.k_step]), square[s],
                                sum[r]);
}

/* Columns [j, j + DOT_COLUMNS) of few rows, or as many as there are: the last ones together with as many before
 * them as make a whole strip, since parts of one take longer. */
INLINE void NAME(strip_of_dots)(const int rows, const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p,
                                size_t k, size_t j)
{
    enum { SQUARES = DOT_COLUMNS / WIDTH };
    const size_t columns = g->n - j < DOT_COLUMNS ? g->n - j : DOT_COLUMNS;
    const NAME(target) t = NAME(target_at)(g, 0, j, p, k, columns);
    NAME(vector) sum[SQUARES * UNCOPIED_ROWS];
    UNROLL for (int i = 0; i < SQUARES * rows; i++) sum[i] = (NAME(vector)){0};
    const size_t again = g->n < DOT_COLUMNS ? 0 : DOT_COLUMNS - columns;
    b += (j - again) * g->ldb;
    if (g->n >= DOT_COLUMNS)
        for (; k >= WIDTH; k -= WIDTH, a.data += WIDTH * a.k_step, b += WIDTH)
            UNROLL for (int s = 0; s < SQUARES; s++)
                NAME(add_square)(rows, sum + s * rows, a, b + (size_t)s * WIDTH * g->ldb, g->ldb);
    while (k > 0) {
        T part[WIDTH * DOT_COLUMNS];
        const size_t steps = k < WIDTH ? k : WIDTH;
        NAME(copy_transposed)(part, DOT_COLUMNS, b, g->ldb, steps, again + columns);
        for (size_t q = 0; q < steps; q++, a.data += a.k_step)
            UNROLL for (int s = 0; s < SQUARES; s++)
            {
                const NAME(vector) row = NAME(load)(part + q * DOT_COLUMNS + (size_t)s * WIDTH);
                UNROLL for (int r = 0; r < rows; r++)
                {
                    const NAME(vector) x = NAME(broadcast)(a.data[(size_t)r * a.row_step]);
                    sum[s * rows + r] = VECTOR_FMA(x, row, sum[s * rows + r]);
                }
            }
        b += WIDTH;
        k -= steps;
    }
    T sums[UNCOPIED_ROWS * DOT_COLUMNS + WIDTH]; /* whole vectors are loaded */
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int s = 0; s < SQUARES; s++)
            NAME(store)(sums + r * DOT_COLUMNS + s * WIDTH, sum[s * rows + r]);
    NAME(finish_tile)(&t, sums + again, (size_t)rows, DOT_COLUMNS);
}

static size_t NAME(rows_of_dots)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
{
#define STRIPS(rows)                                                                               \
    case rows:                                                                                     \
        for (size_t j = 0; j < g->n; j += DOT_COLUMNS)                                             \
            NAME(strip_of_dots)(rows, g, a, b, p, k, j);                                           \
        break;
    _Static_assert(UNCOPIED_ROWS == 3, "each number of rows has its line here");
    switch (g->m) {
        STRIPS(1)
        STRIPS(2)
        STRIPS(3)
    }
#undef STRIPS
    return g->n;
}

#undef ROW_TILE
#define ROW_TILE(rows)                                                                             \
    for (; j + TILE_SUMS / rows * WIDTH <= g->n; j += TILE_SUMS / rows * WIDTH) {                  \
        const NAME(target) t = NAME(target_at)(g, 0, j, p, k, TILE_SUMS / rows * WIDTH);           \
        NAME(tile)(rows, TILE_SUMS / rows, 0, k, a, b + j, g->ldb, NULL, &t);                      \
    }

/* Few rows: as many columns as can be done without copies, whose number is returned. */
static size_t NAME(few_rows)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
{
    if (g->transpose_b) return g->m <= UNCOPIED_ROWS && g->k >= WIDTH ? NAME(rows_of_dots)(g, a, b, p, k) : 0;
    if (g->m == 1) return NAME(one_row)(g, a, b, p, k);
    size_t j = 0;
    if (g->m == 2) ROW_TILE(2)
    if (g->m == 3) ROW_TILE(3)
    if (g->m == 4) ROW_TILE(4)
    return j;
}
