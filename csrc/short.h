/* Short products: at most SHORT_N columns, a not transposed, and more than SHORT_K steps of k or one column
 * only. Their sums run in LANES lanes, as gemm.h promises.
 *
 * The columns of b over a block of k are copied as rows, padded with zeros to whole LANES, and stay in the
 * first-level cache, but for the most and longest. A tile is LANE_ROWS x LANE_COLUMNS dot products; its sums,
 * LANES wide each, fill the registers, and both operands are loaded as vectors. What costs is joining the
 * lanes: WIDTH sums are joined together, in a tree of exchanges that leaves them side by side in one vector; so
 * few steps are not worth it, and blocks are as long as the cache has room for. Rounding errors grow with a
 * LANESth of that.
 *
 * A single column takes WIDTH rows together instead. Such a product is bound by how fast a comes: a few rows
 * are read through DOT_BLOCKS blocks of k before the next ones, since the machine fetches ahead along a row.
 *
 * Shallow products, of as few columns and so few steps that the rows of b fit into the registers of a tile's
 * sums, are over so soon that k is known to the compiler, which keeps them there. Where the columns fill tiles
 * those of gemm.h take less time, and have the same bits.
 */

#undef LANE_ROWS
#undef DOT_ROWS
#undef SHALLOW_K
#define SHALLOW_K (TILE_SUMS < 16 ? TILE_SUMS : 16)
/* A tile has as many chains as those of gemm.h, or nearly so. */
#define LANE_ROWS                                                                                  \
    (TILE_SUMS < 2 * LANE_COLUMNS * LANE_VECTORS    ? 1                                            \
     : TILE_SUMS >= 4 * LANE_COLUMNS * LANE_VECTORS ? 4                                            \
                                                    : TILE_SUMS / (LANE_COLUMNS * LANE_VECTORS))
/* And where b has one column only: rows, of which WIDTH is a multiple. */
#define DOT_ROWS (LANE_VECTORS <= 2 && WIDTH >= 4 ? 4 : 2)

#ifndef SHORT_CHOICES
#define SHORT_CHOICES
enum { SHORT_N = 16, SHORT_K = 64, SHORT_BLOCK_MAX = 1024, DOT_BLOCKS = 5 };
#endif

INLINE int NAME(is_short)(const fn_gemm_args *g)
{
    return !g->transpose_a && g->n <= SHORT_N && (g->n == 1 || g->k > SHORT_K);
}

INLINE int NAME(is_shallow)(const fn_gemm_args *g)
{
    return !g->transpose_a && g->n <= SHORT_N && g->n > 1 && g->n % TILE_COLUMNS && g->k <= SHALLOW_K;
}

/* The length of the blocks of k of any product. */
INLINE size_t NAME(block_length)(const fn_gemm_args *g)
{
    return fn_block_length(g->k, NAME(is_short)(g) ? SHORT_BLOCK_MAX : FN_BLOCK_MAX);
}

/* LANES steps of k of a tile of dot products, or those that `kept` has bits of. */
INLINE void NAME(lane_step)(const int rows, const int columns, NAME(vector) *sum, const T *a, size_t lda,
                            const T *b, size_t ldb, const NAME(mask) *kept)
{
    UNROLL for (int v = 0; v < LANE_VECTORS; v++)
    {
        NAME(vector) bv[SHORT_N];
        UNROLL for (int j = 0; j < columns; j++) bv[j] = NAME(load)(b + (size_t)j * ldb + v * WIDTH);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const T *at = a + (size_t)i * lda + v * WIDTH;
            NAME(vector) av;
            if (kept)
                av = (NAME(vector))MASKED_LOAD(at, kept[v]);
            else
                av = NAME(load)(at);
            IN_REGISTER(av);
            UNROLL for (int j = 0; j < columns; j++)
            {
                NAME(vector) *to = &sum[(i * columns + j) * LANE_VECTORS + v];
                *to = VECTOR_FMA(av, bv[j], *to);
            }
        }
    }
}

/* Dot products of `rows` rows of a with `columns` columns of b, which lie as rows padded with zeros: the
 * folded lanes of row i and column j go to folded[i * row_step + j]. */
INLINE void NAME(lane_tile)(const int rows, const int columns, size_t k, const T *a, size_t lda, const T *b,
                            size_t ldb, const NAME(mask) *last, NAME(vector) *folded, size_t row_step)
{
    NAME(vector) sum[TILE_SUMS + LANE_VECTORS];
    UNROLL for (int i = 0; i < rows * columns * LANE_VECTORS; i++) sum[i] = (NAME(vector)){0};
    for (; k >= LANES; k -= LANES, a += LANES, b += LANES)
        NAME(lane_step)(rows, columns, sum, a, lda, b, ldb, NULL);
    if (k) NAME(lane_step)(rows, columns, sum, a, lda, b, ldb, last);
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++)
            folded[(size_t)i * row_step + (size_t)j] = NAME(fold)(sum + (i * columns + j) * LANE_VECTORS);
}

/* Functions of their own, for the compiler to find registers for one tile at a time. */
#undef LANE_COLUMNS
#undef LANE_TILE
#undef LANE_TILES
#define LANE_TILE(rows, columns)                                                                   \
    case columns: NAME(lane_tile)(rows, columns, k, a, lda, b, ldb, last, folded, row_step); break;
#if VECTOR_BYTES * 8 / T_BITS == LANES
#define LANE_COLUMNS 5
#define LANE_TILES(rows)                                                                           \
    LANE_TILE(rows, 1)                                                                             \
    LANE_TILE(rows, 2)                                                                             \
    LANE_TILE(rows, 3)                                                                             \
    LANE_TILE(rows, 4)                                                                             \
    LANE_TILE(rows, 5)
#else
#define LANE_COLUMNS 2
#define LANE_TILES(rows)                                                                           \
    LANE_TILE(rows, 1)                                                                             \
    LANE_TILE(rows, 2)
#endif

static __attribute__((noinline)) void NAME(lane_rows)(size_t columns, size_t k, const T *a, size_t lda,
                                                      const T *b, size_t ldb, const NAME(mask) *last,
                                                      NAME(vector) *folded, size_t row_step)
{
    switch (columns) {
        LANE_TILES(LANE_ROWS)
    }
}

static __attribute__((noinline)) void NAME(lane_row)(size_t columns, size_t k, const T *a, size_t lda,
                                                     const T *b, size_t ldb, const NAME(mask) *last,
                                                     NAME(vector) *folded, size_t row_step)
{
    switch (columns) {
        LANE_TILES(1)
    }
}

/* The lanes of the last, incomplete step of k. */
INLINE void NAME(last_lanes)(NAME(mask) kept[LANE_VECTORS], size_t k)
{
    UINT bits[LANES];
    for (size_t l = 0; l < LANES; l++) bits[l] = l < k % LANES ? ~(UINT)0 : 0;
    memcpy(kept, bits, sizeof bits);
}

/* At most LANE_ROWS rows of a short product over a block of k: `columns` holds those of b as rows of length
 * ldt. Rows of sums follow each other, so that few columns share a tree, and go to c, which is dense since so
 * few columns are never cut, as one row, for which `bias` is repeated. */
static void NAME(short_rows)(size_t rows, const NAME(target) *target, size_t k, const T *a, size_t lda,
                             const T *columns, size_t ldt, const NAME(mask) *last, NAME(vector) *folded,
                             const T *bias)
{
    _Static_assert((int)SHORT_N < (int)FN_PART_COLUMNS, "c is dense");
    const NAME(target) t = *target;
    /* Near-equal groups of columns. */
    size_t groups = (t.columns + LANE_COLUMNS - 1) / LANE_COLUMNS;
    for (size_t j = 0, few; j < t.columns; j += few, groups--) {
        const T *b = columns + j * ldt;
        few = (t.columns - j + groups - 1) / groups;
        if (rows == LANE_ROWS)
            NAME(lane_rows)(few, k, a, lda, b, ldt, last, folded + j, t.columns);
        else
            for (size_t r = 0; r < rows; r++)
                NAME(lane_row)(few, k, a + r * lda, lda, b, ldt, last, folded + r * t.columns + j, t.columns);
    }
    T sums[LANE_ROWS * SHORT_N];
    for (size_t s = 0; s < rows * t.columns; s += WIDTH) NAME(store)(sums + s, NAME(sums_of)(folded + s));
    NAME(finish_row)(&t, sums, t.c, t.bias ? bias : NULL, t.mask, rows * t.columns);
}

/* Some blocks of k of a single column: padded with zeros, `distance` lies between one and the next. All are of
 * `length` steps but the last one, of `rest`; `last` is last_lanes of the two. */
typedef struct NAME(column) {
    const T *data;
    size_t blocks, distance, length, rest;
    NAME(mask) last[2][LANE_VECTORS];
} NAME(column);

INLINE size_t NAME(steps_of)(const NAME(column) *b, size_t blocks, size_t q)
{
    return q + 1 == blocks ? b->rest : b->length;
}

/* Copies k elements of b, `step` apart, in blocks of `length` to `to`. */
INLINE void NAME(copy_column)(NAME(column) *of, T *to, const T *b, size_t step, size_t k, size_t length)
{
    _Static_assert(DOT_BLOCKS * (SHORT_BLOCK_MAX + LANES) * sizeof(T) <= GEMM_SCRATCH, "there is room");
    of->data = to;
    of->blocks = k ? (k + length - 1) / length : 1;
    of->distance = (length + LANES - 1) / LANES * LANES;
    of->length = length;
    of->rest = k - (of->blocks - 1) * length;
    for (size_t q = 0; q < of->blocks; q++, to += of->distance, b += length * step) {
        const size_t steps = NAME(steps_of)(of, of->blocks, q);
        if (step == 1)
            memcpy(to, b, steps * sizeof(T));
        else
            for (size_t s = 0; s < steps; s++) to[s] = b[s * step];
        memset(to + steps, 0, (of->distance - steps) * sizeof(T));
    }
    if (of->blocks > 1) NAME(last_lanes)(of->last[0], length);
    NAME(last_lanes)(of->last[1], of->rest);
}

/* At most WIDTH rows from i on, whose sums make one vector, over the blocks of k from p on; the compiler is told
 * where there is one only. */
INLINE void NAME(dot_rows)(const size_t blocks, const fn_gemm_args *g, size_t i, size_t p, const NAME(column) *b)
{
    const size_t rows = g->m - i < WIDTH ? g->m - i : WIDTH, lda = g->lda;
    const T *a = (const T *)g->a + i * lda + p;
    NAME(vector) folded[DOT_BLOCKS * WIDTH];
    size_t r = 0;
    for (; r + DOT_ROWS <= rows; r += DOT_ROWS)
        for (size_t q = 0; q < blocks; q++)
            NAME(lane_tile)(DOT_ROWS, 1, NAME(steps_of)(b, blocks, q), a + r * lda + q * b->length, lda,
                            b->data + q * b->distance, 0, b->last[q + 1 == blocks], folded + q * WIDTH + r, 1);
    for (; r < rows; r++)
        for (size_t q = 0; q < blocks; q++)
            NAME(lane_tile)(1, 1, NAME(steps_of)(b, blocks, q), a + r * lda + q * b->length, lda,
                            b->data + q * b->distance, 0, b->last[q + 1 == blocks], folded + q * WIDTH + r, 1);
    for (size_t q = 0; q < blocks; q++, p += b->length) {
        const NAME(target) t = NAME(target_at)(g, i, 0, p, NAME(steps_of)(b, blocks, q), 1);
        T sums[WIDTH], bias[WIDTH];
        for (r = rows; r < WIDTH; r++) folded[q * WIDTH + r] = (NAME(vector)){0};
        NAME(store)(sums, NAME(sums_of)(folded + q * WIDTH));
        if (t.bias) NAME(store)(bias, NAME(broadcast)(*t.bias));
        NAME(finish_row)(&t, sums, t.c, t.bias ? bias : NULL, t.mask, rows);
    }
}

/* A product with a single column. */
static void NAME(dots)(const fn_gemm_args *g)
{
    const size_t length = NAME(block_length)(g), most = DOT_BLOCKS * length;
    const size_t step = g->transpose_b ? 1 : g->ldb;
    size_t p = 0;
    do {
        const size_t k = g->k - p < most ? g->k - p : most;
        NAME(column) b;
        NAME(copy_column)(&b, g->scratch, (const T *)g->b + p * step, step, k, length);
        if (b.blocks == 1)
            for (size_t i = 0; i < g->m; i += WIDTH) NAME(dot_rows)(1, g, i, p, &b);
        else
            for (size_t i = 0; i < g->m; i += WIDTH) NAME(dot_rows)(b.blocks, g, i, p, &b);
        p += k;
    } while (p < g->k);
}

/* Columns [j, j + WIDTH) of a product of so few steps that k, a constant after inlining, vectors of b stay in
 * registers. */
INLINE void NAME(shallow_column)(const int k, const fn_gemm_args *g, const NAME(target) *target,
                                 const T *rows, size_t j)
{
    const NAME(target) t = *target;
    const size_t columns = g->n - j < WIDTH ? g->n - j : WIDTH;
    const T *a = g->a, *bias = t.bias ? t.bias + j : NULL, *mask = t.mask ? t.mask + j : NULL;
    T *c = t.c + j;
    NAME(vector) b[LANES];
    UNROLL for (int l = 0; l < k; l++) b[l] = NAME(load)(rows + l * SHORT_N + j);
    for (size_t i = 0; i < g->m; i++, a += g->lda, c += t.ldc, mask += mask ? t.ldc : 0) {
        NAME(vector) sum = {0};
        UNROLL for (int l = 0; l < k; l++) sum = VECTOR_FMA(NAME(broadcast)(a[l]), b[l], sum);
        NAME(finish)(&t, sum, c, bias, mask, columns);
    }
}

#undef SHALLOW
#define SHALLOW(k)                                                                                 \
    case k:                                                                                        \
        for (size_t j = 0; k <= SHALLOW_K && j < g->n; j += WIDTH)                                 \
            NAME(shallow_column)(k, g, &t, rows, j);                                               \
        break;

static void NAME(shallow_block)(const fn_gemm_args *g)
{
    const T *b = g->b;
    T *rows = g->scratch;
    if (g->transpose_b)
        NAME(copy_transposed)(rows, SHORT_N, b, g->ldb, g->k, g->n);
    else
        for (size_t p = 0; p < g->k; p++)
            for (size_t j = 0; j < g->n; j += WIDTH)
                NAME(store)(rows + p * SHORT_N + j, NAME(load_left)(b + p * g->ldb + j, g->n - j));
    const NAME(target) t = NAME(target_at)(g, 0, 0, 0, g->k, g->n);
    switch (g->k) {
        SHALLOW(0)
        SHALLOW(1)
        SHALLOW(2)
        SHALLOW(3)
        SHALLOW(4)
        SHALLOW(5)
        SHALLOW(6)
        SHALLOW(7)
        SHALLOW(8)
        SHALLOW(9)
        SHALLOW(10)
        SHALLOW(11)
        SHALLOW(12)
        SHALLOW(13)
        SHALLOW(14)
        SHALLOW(15)
        SHALLOW(16)
    }
}

static void NAME(short_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *a = (const T *)g->a + p;
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t ldt = (k + LANES - 1) / LANES * LANES;
    _Static_assert(SHORT_N * (SHORT_BLOCK_MAX + LANES) * sizeof(T) <= GEMM_SCRATCH, "there is room");
    T *columns = g->scratch;
    if (g->transpose_b)
        for (size_t j = 0; j < g->n; j++) {
            memcpy(columns + j * ldt, b + j * g->ldb, k * sizeof(T));
            memset(columns + j * ldt + k, 0, (ldt - k) * sizeof(T));
        }
    else
        NAME(copy_transposed)(columns, ldt, b, g->ldb, g->n, k);
    NAME(mask) last[LANE_VECTORS];
    NAME(last_lanes)(last, k);
    NAME(vector) folded[LANE_ROWS * SHORT_N];
    /* What the last tree joins beside sums. */
    for (size_t s = (g->m < LANE_ROWS ? g->m : LANE_ROWS) * g->n; s % WIDTH; s++) folded[s] = (NAME(vector)){0};
    NAME(target) t = NAME(target_at)(g, 0, 0, p, k, g->n);
    T bias[LANE_ROWS * SHORT_N];
    if (t.bias)
        for (size_t r = 0; r < LANE_ROWS; r++) memcpy(bias + r * g->n, t.bias, g->n * sizeof(T));
    for (size_t i = 0; i < g->m; i += LANE_ROWS) {
        const size_t rows = g->m - i < LANE_ROWS ? g->m - i : LANE_ROWS;
        NAME(short_rows)(rows, &t, k, a + i * g->lda, g->lda, columns, ldt, last, folded, bias);
        t.c += LANE_ROWS * t.ldc;
        if (t.mask) t.mask += LANE_ROWS * t.ldc;
    }
}
