/* c = relu(op(a) . op(b) + bias): the matrix product.
 *
 * One exact meaning. An element of c is a chain of fused multiply-adds over k ascending within each block
 * of k, and the blocks' sums are added in order. All blocks but the last have the same length, which
 * follows from k alone (block_length). If n <= 16 and a is not transposed, the chain of a block is
 * replaced by LANES chains, k modulo LANES being the lane, joined in a fixed tree. Nothing else has a
 * say: not the number of rows, not the tile a row falls in, not the level (but for `base`, which rounds
 * the multiplication too).
 *
 * Loops, from outside: blocks of k; panels of rows of a (PANEL_ROWS, so that a's part stays in the
 * second-level cache); panels of columns of b, one tile wide; tiles of c, TILE_ROWS x TILE_VECTORS
 * vectors, whose sums live in registers over the whole block of k. A tile's part of b (a block of k times
 * the tile's width, 25 to 100 KB) is copied into `scratch`, dense, zero-padded and in the order of use: it
 * stays in the first-level cache (AVX-512: the second) and each of its vectors is loaded once per tile.
 * With few rows the copy would cost more than it saves and b is read in place. a is never copied: its
 * elements are broadcast from the rows (or, transposed, from neighbouring columns) where they lie.
 *
 * A tile goes out through `store_tile`: straight from the registers if it is whole and nothing is to be
 * done to it, else through a row on the stack where bias and activation are applied.
 */

#undef TILE_COLUMNS
#undef LANE_VECTORS
#undef LANE_ROWS
#undef LANE_COLUMNS
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
/* The tile of the short-n path: its rows x columns x vectors fill the registers as the other tile does. */
#define LANE_VECTORS (LANES / WIDTH)
#define LANE_ROWS (LANE_VECTORS <= 2 ? 2 : 1)
#define LANE_COLUMNS                                                                               \
    (TILE_ROWS * TILE_VECTORS / (LANE_ROWS * LANE_VECTORS) > 1                                      \
         ? TILE_ROWS * TILE_VECTORS / (LANE_ROWS * LANE_VECTORS)                                    \
         : 1)

#ifndef GEMM_BLOCKS
#define GEMM_BLOCKS
enum {
    BLOCK_MAX = 400,  /* the longest block of k: 800 is up to 5% faster and doubles the rounding error */
    PANEL_ROWS = 240, /* a multiple of every TILE_ROWS */
    COPY_ROWS = 16,   /* from here on b is copied */
    SHORT_N = 16
};

static size_t block_length(size_t k)
{
    const size_t blocks = (k + BLOCK_MAX - 1) / BLOCK_MAX;
    return blocks ? (k + blocks - 1) / blocks : 1;
}
#endif

/* The scratch holds one panel of b, or the columns of a short b rounded up to whole tiles. */
#undef GEMM_SCRATCH
#define GEMM_SCRATCH                                                                               \
    (sizeof(T) * (BLOCK_MAX + LANES) * (TILE_COLUMNS > 2 * SHORT_N ? TILE_COLUMNS : 2 * SHORT_N))

/* Where in c a tile goes, and which sums it holds: those of the first block of k are stored, later ones
 * are added, and after the last one come bias and activation. */
typedef struct NAME(target) {
    T *c;
    size_t ldc;
    const T *bias;
    size_t columns;
    int first, last, relu;
} NAME(target);

INLINE void NAME(store_row)(const NAME(target) *t, T *c, const T *sums)
{
    T row[TILE_COLUMNS > SHORT_N ? TILE_COLUMNS : SHORT_N];
    memcpy(row, sums, t->columns * sizeof(T));
    if (!t->first)
        for (size_t j = 0; j < t->columns; j++) row[j] = c[j] + row[j];
    if (t->last && t->bias)
        for (size_t j = 0; j < t->columns; j++) row[j] += t->bias[j];
    if (t->last && t->relu)
        for (size_t j = 0; j < t->columns; j++) row[j] = row[j] < 0 ? 0 : row[j];
    memcpy(c, row, t->columns * sizeof(T));
}

/* One tile of `rows` rows, a constant after inlining, over a block of k. Element (i, p) of op(a) lies at
 * a[i * row_step + p * k_step]. */
INLINE void NAME(tile)(const int rows, size_t k, const T *a, size_t row_step, size_t k_step,
                       const T *b, size_t ldb, const NAME(target) *t)
{
    NAME(vector) sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (size_t p = 0; p < k; p++, a += k_step, b += ldb) {
        NAME(vector) bv[TILE_VECTORS];
        UNROLL for (int v = 0; v < TILE_VECTORS; v++) bv[v] = NAME(load)(b + v * WIDTH);
        UNROLL for (int i = 0; i < rows; i++) {
            const NAME(vector) ai = NAME(broadcast)(a[(size_t)i * row_step]);
            UNROLL for (int v = 0; v < TILE_VECTORS; v++)
                sum[i][v] = VECTOR_FMA(ai, bv[v], sum[i][v]);
        }
    }
    const int direct = t->columns == TILE_COLUMNS && t->first && !(t->last && (t->bias || t->relu));
    UNROLL for (int i = 0; i < rows; i++)
    {
        T *c = t->c + (size_t)i * t->ldc;
        if (direct) {
            memcpy(c, sum[i], sizeof sum[i]);
        } else {
            T sums[TILE_COLUMNS];
            memcpy(sums, sum[i], sizeof sums);
            NAME(store_row)(t, c, sums);
        }
    }
}

/* The column of tiles that uses one panel of b, for `m` rows. */
static void NAME(tile_column)(size_t m, size_t k, const T *a, size_t row_step, size_t k_step,
                              const T *b, size_t ldb, NAME(target) t)
{
    size_t i = 0;
    for (; i + TILE_ROWS <= m; i += TILE_ROWS, t.c += TILE_ROWS * t.ldc)
        NAME(tile)(TILE_ROWS, k, a + i * row_step, row_step, k_step, b, ldb, &t);
    a += i * row_step;
    switch (m - i) {
    case 1: NAME(tile)(1, k, a, row_step, k_step, b, ldb, &t); break;
    case 2: NAME(tile)(2, k, a, row_step, k_step, b, ldb, &t); break;
    case 3: NAME(tile)(3, k, a, row_step, k_step, b, ldb, &t); break;
    case 4: NAME(tile)(4, k, a, row_step, k_step, b, ldb, &t); break;
    case 5: NAME(tile)(5, k, a, row_step, k_step, b, ldb, &t); break;
    }
}

/* Copies `columns` columns of op(b) over a block of k, row by row and padded with zeros to a tile's width. */
static void NAME(copy_panel)(T *to, const T *b, size_t ldb, int transpose, size_t k, size_t columns)
{
    for (size_t p = 0; p < k; p++) {
        T *row = to + p * TILE_COLUMNS;
        if (transpose)
            for (size_t j = 0; j < columns; j++) row[j] = b[j * ldb + p];
        else
            for (size_t j = 0; j < columns; j++) row[j] = b[p * ldb + j];
        for (size_t j = columns; j < TILE_COLUMNS; j++) row[j] = 0;
    }
}

static void NAME(gemm_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *a = (const T *)g->a + (g->transpose_a ? p * g->lda : p);
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t row_step = g->transpose_a ? 1 : g->lda, k_step = g->transpose_a ? g->lda : 1;
    for (size_t i = 0; i < g->m; i += PANEL_ROWS) {
        const size_t rows = g->m - i < PANEL_ROWS ? g->m - i : PANEL_ROWS;
        for (size_t j = 0; j < g->n; j += TILE_COLUMNS) {
            const size_t columns = g->n - j < TILE_COLUMNS ? g->n - j : TILE_COLUMNS;
            const T *panel = b + (g->transpose_b ? j * g->ldb : j);
            size_t ldb = g->ldb;
            if (g->transpose_b || columns < TILE_COLUMNS || rows >= COPY_ROWS) {
                NAME(copy_panel)(g->scratch, panel, ldb, g->transpose_b, k, columns);
                panel = g->scratch;
                ldb = TILE_COLUMNS;
            }
            const NAME(target) t = {
                .c = (T *)g->c + i * g->ldc + j, .ldc = g->ldc,
                .bias = g->bias ? (const T *)g->bias + j : NULL, .columns = columns,
                .first = p == 0, .last = p + k == g->k, .relu = g->relu};
            NAME(tile_column)(rows, k, a + i * row_step, row_step, k_step, panel, ldb, t);
        }
    }
}

/* LANES steps of k of a short-n tile. */
INLINE void NAME(lane_step)(const int rows, NAME(vector) sum[LANE_ROWS][LANE_COLUMNS][LANE_VECTORS],
                            const T *a, size_t lda, const T *b, size_t ldb)
{
    UNROLL for (int v = 0; v < LANE_VECTORS; v++)
    {
        NAME(vector) av[LANE_ROWS];
        UNROLL for (int i = 0; i < rows; i++) av[i] = NAME(load)(a + (size_t)i * lda + v * WIDTH);
        UNROLL for (int j = 0; j < LANE_COLUMNS; j++)
        {
            const NAME(vector) bv = NAME(load)(b + (size_t)j * ldb + v * WIDTH);
            UNROLL for (int i = 0; i < rows; i++) sum[i][j][v] = VECTOR_FMA(av[i], bv, sum[i][j][v]);
        }
    }
}

/* Sums of `rows` rows of a with LANE_COLUMNS columns of b, which lie as rows padded with zeros. A row of
 * `sums` has room for whole tiles. */
INLINE void NAME(lane_tile)(const int rows, size_t k, const T *a, size_t lda, const T *b, size_t ldb,
                            T *sums)
{
    NAME(vector) sum[LANE_ROWS][LANE_COLUMNS][LANE_VECTORS] = {{{{0}}}};
    const size_t whole = k - k % LANES;
    for (size_t p = 0; p < whole; p += LANES) NAME(lane_step)(rows, sum, a + p, lda, b + p, ldb);
    if (whole < k) {
        T tail[LANE_ROWS][LANES] = {{0}};
        for (int i = 0; i < rows; i++)
            memcpy(tail[i], a + (size_t)i * lda + whole, (k - whole) * sizeof(T));
        NAME(lane_step)(rows, sum, tail[0], LANES, b + whole, ldb);
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < LANE_COLUMNS; j++) {
            T lane[LANES];
            memcpy(lane, sum[i][j], sizeof lane);
            sums[i * 2 * SHORT_N + j] = NAME(lane_sum)(lane);
        }
}

/* Copies the columns of op(b) over a block of k into rows of length `ldt`, padded with zeros. */
static void NAME(copy_columns)(T *to, size_t ldt, const T *b, size_t ldb, int transpose, size_t k,
                               size_t columns)
{
    memset(to, 0, (columns + LANE_COLUMNS - 1) * ldt * sizeof(T));
    for (size_t j = 0; j < columns; j++)
        for (size_t p = 0; p < k; p++) to[j * ldt + p] = transpose ? b[j * ldb + p] : b[p * ldb + j];
}

static void NAME(short_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *a = (const T *)g->a + p;
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t ldt = (k + LANES - 1) / LANES * LANES;
    T *columns = g->scratch;
    NAME(copy_columns)(columns, ldt, b, g->ldb, g->transpose_b, k, g->n);
    const NAME(target) t = {.bias = g->bias, .columns = g->n, .first = p == 0,
                            .last = p + k == g->k, .relu = g->relu};
    for (size_t i = 0; i < g->m; i += LANE_ROWS, a += LANE_ROWS * g->lda) {
        const size_t rows = g->m - i < LANE_ROWS ? g->m - i : LANE_ROWS;
        T sums[LANE_ROWS * 2 * SHORT_N];
        for (size_t j = 0; j < g->n; j += LANE_COLUMNS) {
            if (rows == LANE_ROWS)
                NAME(lane_tile)(LANE_ROWS, k, a, g->lda, columns + j * ldt, ldt, sums + j);
            else
                NAME(lane_tile)(1, k, a, g->lda, columns + j * ldt, ldt, sums + j);
        }
        for (size_t r = 0; r < rows; r++)
            NAME(store_row)(&t, (T *)g->c + (i + r) * g->ldc, sums + r * 2 * SHORT_N);
    }
}

static void NAME(gemm)(const fn_gemm_args *g)
{
    const size_t length = block_length(g->k);
    size_t p = 0;
    if (g->m == 0 || g->n == 0) return;
    do {
        const size_t k = g->k - p < length ? g->k - p : length;
        if (g->n <= SHORT_N && !g->transpose_a)
            NAME(short_block)(g, p, k);
        else
            NAME(gemm_block)(g, p, k);
        p += k;
    } while (p < g->k);
}
