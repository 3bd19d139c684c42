/* c = relu(op(a) . op(b) + bias): the matrix product.
 *
 * One exact meaning. An element of c is a chain of fused multiply-adds over k ascending within each block
 * of k, and the blocks' sums are added in order. All blocks but the last have the same length, which
 * follows from k alone (block_length). If n <= 16 and a is not transposed, the chain of a block is
 * replaced by LANES chains, k modulo LANES being the lane, joined in a fixed tree. Nothing else has a
 * say: not the number of rows, not the tile a row falls in, not the level (but for `base`, which rounds
 * the multiplication too).
 *
 * Loops, from outside: blocks of k; panels of rows of a; panels of columns of b, one tile wide; tiles of
 * c, TILE_ROWS x TILE_VECTORS vectors, whose sums live in registers over the whole block of k.
 *
 * What lies where: a tile's part of b (a block of k times the tile's width, 25 to 100 KB) is copied into
 * the scratch, dense, zero-padded and in the order of use. It stays in the first-level cache (AVX-512: the
 * second) for all tiles of its column, and each of its vectors is loaded once per tile. With few rows the
 * copy would cost more than it saves and b is read in place. A panel of a fills three quarters of half a
 * megabyte of second-level cache; its elements are broadcast from where they lie. Only a transposed a is
 * copied, where there are columns enough to pay for it: there each step of k is on another row, and rows
 * that lie a power of two apart push each other out of the cache.
 *
 * A tile goes out through `store_vectors`, where bias and activation are applied; through a row on the
 * stack if it reaches beyond the last column. A single row takes tiles of one row and many columns, since a
 * few chains of additions cannot fill the pipeline.
 */

#undef TILE_COLUMNS
#undef ROW_VECTORS
#undef ROW_COLUMNS
#undef PANEL_ROWS
#undef LANE_ROWS
#undef LANE_COLUMNS
#undef SHORT_VECTORS
#undef PART_COLUMNS
#undef GEMM_SCRATCH
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
/* The tile of a single row. */
#define ROW_VECTORS (TILE_ROWS * TILE_VECTORS)
#define ROW_COLUMNS (ROW_VECTORS * WIDTH)
#define PANEL_ROWS (960 / (int)sizeof(T)) /* a multiple of TILE_ROWS */
/* The tile of the short-n path: rows x columns x vectors fill the registers as the other tiles do. */
#define LANE_ROWS (LANE_VECTORS <= 2 ? 2 : 1)
#define LANE_COLUMNS                                                                               \
    (ROW_VECTORS > 2 * LANE_ROWS * LANE_VECTORS ? ROW_VECTORS / (LANE_ROWS * LANE_VECTORS) : 1)
#define SHORT_VECTORS (2 * SHORT_N / WIDTH) /* short rows rounded up to whole tiles */
#define PART_COLUMNS (ROW_COLUMNS > 2 * SHORT_N ? ROW_COLUMNS : 2 * SHORT_N)
/* A panel of a, and then a panel of b or the columns of a short b rounded up to whole tiles. */
#define GEMM_SCRATCH                                                                               \
    (sizeof(T) * (BLOCK_MAX + LANES) *                                                             \
     (PANEL_ROWS + (TILE_COLUMNS > 2 * SHORT_N ? TILE_COLUMNS : 2 * SHORT_N)))

#ifndef GEMM_BLOCKS
#define GEMM_BLOCKS
enum {
    BLOCK_MAX = 400,    /* the longest block of k: 800 would double the rounding error */
    COPY_B_ROWS = 16,   /* from so many rows on b is copied */
    COPY_A_COLUMNS = 256, /* from so many columns on a transposed a is copied */
    SHORT_N = 16
};

static size_t block_length(size_t k)
{
    const size_t blocks = (k + BLOCK_MAX - 1) / BLOCK_MAX;
    return blocks ? (k + blocks - 1) / blocks : 1;
}
#endif

/* Where in c a tile goes, and which sums it holds: those of the first block of k are stored, later ones
 * are added, and after the last one come bias and activation. */
typedef struct NAME(target) {
    T *c;
    size_t ldc;
    const T *bias;
    size_t columns;
    int first, last, relu;
} NAME(target);

/* One row of a tile: `vectors` sums into c, which has room for them, as has `bias`. */
INLINE void NAME(store_vectors)(const NAME(target) *t, T *c, const T *bias, const int vectors,
                                const NAME(vector) *sums)
{
    UNROLL for (int v = 0; v < vectors; v++)
    {
        NAME(vector) x = sums[v];
        if (!t->first) x = NAME(load)(c + v * WIDTH) + x;
        if (t->last && t->bias) x += NAME(load)(bias + v * WIDTH);
        if (t->last && t->relu) x = (NAME(vector))(~(NAME(mask))(x < 0) & (NAME(mask))x);
        memcpy(c + v * WIDTH, &x, sizeof x);
    }
}

/* The same for a tile that reaches beyond the last column. */
INLINE void NAME(store_part)(const NAME(target) *t, T *c, const int vectors, const NAME(vector) *sums)
{
    T part[PART_COLUMNS], bias[PART_COLUMNS];
    memset(part, 0, vectors * sizeof *sums);
    memset(bias, 0, vectors * sizeof *sums);
    if (!t->first)
        for (size_t j = 0; j < t->columns; j++) part[j] = c[j];
    if (t->last && t->bias)
        for (size_t j = 0; j < t->columns; j++) bias[j] = t->bias[j];
    NAME(store_vectors)(t, part, bias, vectors, sums);
    for (size_t j = 0; j < t->columns; j++) c[j] = part[j];
}

/* One tile of rows x vectors, constants after inlining, over a block of k. Element (i, p) of op(a) lies at
 * a[i * row_step + p * k_step]. */
INLINE void NAME(tile)(const int rows, const int vectors, size_t k, const T *a, size_t row_step,
                       size_t k_step, const T *b, size_t ldb, const NAME(target) *t)
{
    NAME(vector) sum[ROW_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) sum[i] = (NAME(vector)){0};
    for (size_t p = 0; p < k; p++, a += k_step, b += ldb) {
        NAME(vector) bv[ROW_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) bv[v] = NAME(load)(b + v * WIDTH);
        UNROLL for (int i = 0; i < rows; i++) {
            const NAME(vector) ai = NAME(broadcast)(a[(size_t)i * row_step]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = VECTOR_FMA(ai, bv[v], sum[i * vectors + v]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        T *c = t->c + (size_t)i * t->ldc;
        if (t->columns == (size_t)(vectors * WIDTH))
            NAME(store_vectors)(t, c, t->bias, vectors, sum + i * vectors);
        else
            NAME(store_part)(t, c, vectors, sum + i * vectors);
    }
}

/* An operand over a block of k: element (i, p) of tile r's rows lies at
 * data[r * TILE_ROWS * tile_step + i * row_step + p * k_step]. */
typedef struct NAME(panel) {
    const T *data;
    size_t tile_step, row_step, k_step;
} NAME(panel);

/* The column of tiles that uses one panel of b, for `m` rows. */
static void NAME(tile_column)(size_t m, size_t k, NAME(panel) a, const T *b, size_t ldb,
                              NAME(target) t)
{
    const T *rows = a.data;
    for (; m >= TILE_ROWS; m -= TILE_ROWS) {
        NAME(tile)(TILE_ROWS, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t);
        rows += TILE_ROWS * a.tile_step;
        t.c += TILE_ROWS * t.ldc;
    }
    switch (m) {
    case 1: NAME(tile)(1, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t); break;
    case 2: NAME(tile)(2, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t); break;
    case 3: NAME(tile)(3, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t); break;
    case 4: NAME(tile)(4, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t); break;
    case 5: NAME(tile)(5, TILE_VECTORS, k, rows, a.row_step, a.k_step, b, ldb, &t); break;
    }
}

/* Copies `columns` columns of op(b) over a block of k, row by row, padded with zeros to a tile's width. */
static void NAME(copy_b)(T *to, const T *b, size_t ldb, int transpose, size_t k, size_t columns)
{
    if (!transpose && columns == TILE_COLUMNS) {
        for (size_t p = 0; p < k; p++)
            memcpy(to + p * TILE_COLUMNS, b + p * ldb, TILE_COLUMNS * sizeof(T));
        return;
    }
    if (columns < TILE_COLUMNS) memset(to, 0, k * TILE_COLUMNS * sizeof(T));
    if (!transpose) {
        for (size_t p = 0; p < k; p++) memcpy(to + p * TILE_COLUMNS, b + p * ldb, columns * sizeof(T));
        return;
    }
    /* A cache line of each column at a time, into a part of the copy that stays in the first level. */
    for (size_t start = 0; start < k; start += LANES) {
        const size_t end = k - start < LANES ? k : start + LANES;
        for (size_t j = 0; j < columns; j++)
            for (size_t p = start; p < end; p++) to[p * TILE_COLUMNS + j] = b[j * ldb + p];
    }
}

/* Copies `rows` rows of a transposed a over a block of k, tile by tile, each in the order of use. */
static NAME(panel) NAME(copy_a)(T *to, const T *a, size_t lda, size_t rows, size_t k)
{
    for (size_t p = 0; p < k; p++, a += lda) {
        size_t i = 0;
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
            memcpy(to + i * k + p * TILE_ROWS, a + i, TILE_ROWS * sizeof(T));
        for (size_t r = i; r < rows; r++) to[i * k + p * TILE_ROWS + r - i] = a[r];
    }
    return (NAME(panel)){to, k, 1, TILE_ROWS};
}

static NAME(target) NAME(target_at)(const fn_gemm_args *g, size_t i, size_t j, size_t p, size_t k,
                                    size_t columns)
{
    return (NAME(target)){.c = (T *)g->c + i * g->ldc + j,
                          .ldc = g->ldc,
                          .bias = g->bias ? (const T *)g->bias + j : NULL,
                          .columns = columns,
                          .first = p == 0,
                          .last = p + k == g->k,
                          .relu = g->relu};
}

static void NAME(gemm_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *a = (const T *)g->a + (g->transpose_a ? p * g->lda : p);
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t row_step = g->transpose_a ? 1 : g->lda, k_step = g->transpose_a ? g->lda : 1;
    T *a_copy = g->scratch, *b_copy = a_copy + (BLOCK_MAX + LANES) * PANEL_ROWS;
    size_t j = 0;
    if (g->m == 1 && !g->transpose_b)
        for (; j + ROW_COLUMNS <= g->n; j += ROW_COLUMNS) {
            const NAME(target) t = NAME(target_at)(g, 0, j, p, k, ROW_COLUMNS);
            NAME(tile)(1, ROW_VECTORS, k, a, row_step, k_step, b + j, g->ldb, &t);
        }
    const size_t start = j;
    for (size_t i = 0; i < g->m; i += PANEL_ROWS) {
        const size_t rows = g->m - i < PANEL_ROWS ? g->m - i : PANEL_ROWS;
        NAME(panel) panel = {a + i * row_step, row_step, row_step, k_step};
        if (g->transpose_a && g->n >= COPY_A_COLUMNS)
            panel = NAME(copy_a)(a_copy, panel.data, g->lda, rows, k);
        for (j = start; j < g->n; j += TILE_COLUMNS) {
            const size_t columns = g->n - j < TILE_COLUMNS ? g->n - j : TILE_COLUMNS;
            const T *b_panel = b + (g->transpose_b ? j * g->ldb : j);
            size_t ldb = g->ldb;
            if (g->transpose_b || columns < TILE_COLUMNS || rows >= COPY_B_ROWS) {
                NAME(copy_b)(b_copy, b_panel, ldb, g->transpose_b, k, columns);
                b_panel = b_copy;
                ldb = TILE_COLUMNS;
            }
            NAME(tile_column)(rows, k, panel, b_panel, ldb,
                              NAME(target_at)(g, i, j, p, k, columns));
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

/* Sums of `rows` rows of a with LANE_COLUMNS columns of b, which lie as rows padded with zeros. */
INLINE void NAME(lane_tile)(const int rows, size_t k, const T *a, size_t lda, const T *b, size_t ldb,
                            size_t column, NAME(vector) sums[LANE_ROWS][SHORT_VECTORS])
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
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < LANE_COLUMNS; j++)
            ((T *)sums[i])[column + j] = NAME(lane_sum)(sum[i][j]);
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
    const NAME(target) t = NAME(target_at)(g, 0, 0, p, k, g->n);
    NAME(vector) sums[LANE_ROWS][SHORT_VECTORS] = {{{0}}};
    for (size_t i = 0; i < g->m; i += LANE_ROWS, a += LANE_ROWS * g->lda) {
        const size_t rows = g->m - i < LANE_ROWS ? g->m - i : LANE_ROWS;
        for (size_t j = 0; j < g->n; j += LANE_COLUMNS) {
            if (rows == LANE_ROWS)
                NAME(lane_tile)(LANE_ROWS, k, a, g->lda, columns + j * ldt, ldt, j, sums);
            else
                NAME(lane_tile)(1, k, a, g->lda, columns + j * ldt, ldt, j, sums);
        }
        for (size_t r = 0; r < rows; r++)
            NAME(store_part)(&t, (T *)g->c + (i + r) * g->ldc, SHORT_VECTORS, sums[r]);
    }
}

/* The part `unit` of the product, as a product of its own. */
static fn_gemm_args NAME(gemm_part)(const fn_gemm_args *g, size_t unit, int worker)
{
    const size_t across = (g->n + g->part_columns - 1) / g->part_columns;
    const size_t i = unit / across * g->part_rows, j = unit % across * g->part_columns;
    fn_gemm_args part = *g;
    part.c = (T *)g->c + i * g->ldc + j;
    part.a = (const T *)g->a + (g->transpose_a ? i : i * g->lda);
    part.b = (const T *)g->b + (g->transpose_b ? j * g->ldb : j);
    if (g->bias) part.bias = (const T *)g->bias + j;
    part.m = g->m - i < g->part_rows ? g->m - i : g->part_rows;
    part.n = g->n - j < g->part_columns ? g->n - j : g->part_columns;
    part.scratch = (char *)g->scratch + worker * GEMM_SCRATCH;
    return part;
}

KERNEL(gemm)
{
    const fn_gemm_args *whole = args;
    const int is_short = whole->n <= SHORT_N && !whole->transpose_a;
    const size_t length = block_length(whole->k);
    for (size_t unit = begin; unit < end; unit++) {
        const fn_gemm_args g = NAME(gemm_part)(whole, unit, worker);
        size_t p = 0;
        do {
            const size_t k = g.k - p < length ? g.k - p : length;
            if (is_short)
                NAME(short_block)(&g, p, k);
            else
                NAME(gemm_block)(&g, p, k);
            p += k;
        } while (p < g.k);
    }
}
