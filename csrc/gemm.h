/* c = relu(alpha * op(a) . op(b) + bias) and its kin: the matrix product.
 *
 * One exact meaning. An element of op(a) . op(b) is a chain of fused multiply-adds over k ascending within
 * each block of k, and the blocks' sums are added in order to +0. All blocks but the last have the same
 * length, which follows from k alone (fn_block_length). If n <= 16 and a is not transposed, the chain of a
 * block is replaced by LANES chains, k modulo LANES being the lane, joined in a fixed tree. Nothing else
 * has a say: not the number of rows, not the tile a row falls in, not which operand is copied, not the
 * level (but for `base`, which rounds the multiplication too). So the rest of this page is free to choose.
 *
 * Loops, from outside: blocks of k; panels of rows; panels of columns, one tile wide; tiles of c,
 * TILE_ROWS x TILE_VECTORS vectors, whose sums live in registers over the whole block of k. A step of k
 * loads TILE_VECTORS vectors of the column operand and broadcasts TILE_ROWS elements of the row operand:
 * fewer loads than multiply-adds, and enough chains to fill the pipeline.
 *
 * What lies where: the columns of a tile over a block of k (16 to 20 KB, on AVX-512 four times that) are
 * needed dense, zero-padded and in the order of use. There they stay in the first-level cache (AVX-512:
 * the second), beside the few KB of rows that stream past. The first tile of a column makes that copy as it
 * goes, in the shadow of its arithmetic, while it fetches ahead what the copy is made of; with rows for one
 * tile only nothing is copied. A panel of rows takes about half of a second-level cache of 512 KB.
 * Rows are copied where that pays (many columns, and rows that are columns in memory or that lie a large
 * power of two apart, and so push each other out of the cache).
 *
 * Which operand gives rows and which columns is free, since c may be computed as the transpose of
 * op(b)' . op(a)': `is_swapped` compares what both ways cost in padding and in transposing copies. Tiles of
 * a swapped product are transposed in registers as they go out.
 *
 * Few rows (m <= 4) take tiles of few rows and many columns instead, straight from b; n <= 16 takes tiles
 * of LANE_ROWS x LANE_COLUMNS dot products, whose sums are joined for WIDTH columns at a time.
 */

#undef TILE_COLUMNS
#undef TILE_SUMS
#undef PANEL_ROWS
#undef LANE_ROWS
#undef LANE_COLUMNS
#undef SHORT_COLUMNS
#undef GEMM_SCRATCH
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
#define TILE_SUMS (TILE_ROWS * TILE_VECTORS)
#define PANEL_ROWS (960 / (int)sizeof(T)) /* a multiple of TILE_ROWS */
/* The tile of the short-n path: as many chains as the other tiles have, or nearly so. */
#define LANE_COLUMNS (LANE_VECTORS == 1 ? 5 : 2)
#define LANE_ROWS                                                                                  \
    (TILE_SUMS < 2 * LANE_COLUMNS * LANE_VECTORS    ? 1                                            \
     : TILE_SUMS >= 4 * LANE_COLUMNS * LANE_VECTORS ? 4                                            \
                                                    : TILE_SUMS / (LANE_COLUMNS * LANE_VECTORS))
#define SHORT_COLUMNS (SHORT_N + LANE_COLUMNS - 1)
/* A panel of rows, and then one of columns or all columns of a short b. */
#define GEMM_SCRATCH                                                                               \
    (sizeof(T) * (FN_BLOCK_MAX + LANES) *                                                          \
     (PANEL_ROWS + (TILE_COLUMNS > SHORT_COLUMNS ? TILE_COLUMNS : SHORT_COLUMNS)))

#ifndef GEMM_CHOICES
#define GEMM_CHOICES
enum {
    SHORT_N = 16,
    COPY_PANEL = 192,        /* from so many columns on, rows that are columns in memory are copied */
    COPY_ROWS = 128,         /* from so many on, rows that lie badly: */
    BAD_DISTANCE = 4096,     /* a multiple of so many bytes apart */
    AHEAD = 6,               /* steps of k that the copying tile fetches ahead */
    TRANSPOSE_COST = 2,      /* of copying an element transposed, in multiply-adds */
    STORE_COST = 6,          /* of transposing an element of a tile in registers */
    SWAP_ROWS = 48           /* rows of a swapped product that are transposed together */
};
#endif

/* Where in c a tile goes, and which sums it holds: those of the first block of k are stored, later ones
 * are added, and after the last one comes the rest, unless the sums are `plain`. */
typedef struct NAME(target) {
    T *c;
    const T *mask, *bias;
    size_t ldc, columns;
    T alpha;
    int first, plain, accumulate, relu;
} NAME(target);

/* A matrix that gives rows: element (i, p) lies at data[i * row_step + p * k_step], and every tile
 * tile_step * TILE_ROWS after the one above it. */
typedef struct NAME(panel) {
    const T *data;
    size_t tile_step, row_step, k_step;
} NAME(panel);

/* Stores a vector of sums at c; bias and mask, where they are not NULL, are what belongs there. */
INLINE void NAME(finish)(const NAME(target) *t, NAME(vector) sum, T *c, const T *bias, const T *mask)
{
    NAME(vector) x = (t->first ? (NAME(vector)){0} : NAME(load)(c)) + sum;
    if (t->accumulate)
        x = VECTOR_FMA(NAME(broadcast)(t->alpha), x, NAME(load)(c));
    else if (!t->plain) {
        x *= NAME(broadcast)(t->alpha);
        if (bias) x += NAME(load)(bias);
        if (t->relu) x = NAME(relu_of)(x, x);
        if (mask) x = NAME(relu_grad_of)(x, NAME(load)(mask));
    }
    NAME(store)(c, x);
}

/* Copies n < WIDTH elements into a vector's room. */
INLINE const T *NAME(hold)(T room[WIDTH], const T *from, size_t n)
{
    NAME(store)(room, (NAME(vector)){0});
    NAME(copy_few)(room, from, n);
    return room;
}

/* Stores n elements of a row of sums, which fill whole vectors. */
INLINE void NAME(finish_row)(const NAME(target) *t, const T *sums, T *c, const T *bias, const T *mask,
                             size_t n)
{
    for (; n >= WIDTH; n -= WIDTH, sums += WIDTH, c += WIDTH) {
        NAME(finish)(t, NAME(load)(sums), c, bias, mask);
        if (bias) bias += WIDTH;
        if (mask) mask += WIDTH;
    }
    if (!n) return;
    T out[WIDTH], held[2][WIDTH];
    if (!t->first || t->accumulate) NAME(hold)(out, c, n);
    NAME(finish)(t, NAME(load)(sums), out, bias ? NAME(hold)(held[0], bias, n) : NULL,
                 mask ? NAME(hold)(held[1], mask, n) : NULL);
    NAME(copy_few)(c, out, n);
}

/* Stores a tile, whose rows of sums lie `width` apart. */
static void NAME(finish_tile)(const NAME(target) *target, const T *sums, size_t rows, size_t width)
{
    const NAME(target) t = *target; /* which no store can change: its parts stay in registers */
    for (size_t i = 0; i < rows; i++)
        NAME(finish_row)(&t, sums + i * width, t.c + i * t.ldc, t.bias,
                         t.mask ? t.mask + i * t.ldc : NULL, t.columns);
}

/* One tile of rows x vectors, constants after inlining, over a block of k. If `copying`, the vectors of
 * b that it loads are also written to `copy`, one row of the tile after another. */
INLINE void NAME(tile)(const int rows, const int vectors, const int copying, size_t k, NAME(panel) a,
                       const T *b, size_t ldb, T *copy, const NAME(target) *t)
{
    NAME(vector) sum[TILE_SUMS];
    UNROLL for (int i = 0; i < rows * vectors; i++) sum[i] = (NAME(vector)){0};
    const T *ap = a.data;
    for (size_t p = 0; p < k; p++, ap += a.k_step, b += ldb) {
        NAME(vector) bv[TILE_SUMS];
        UNROLL for (int v = 0; v < vectors; v++) bv[v] = NAME(load)(b + v * WIDTH);
        if (copying) {
            __builtin_prefetch(b + AHEAD * ldb);
            UNROLL for (int v = 0; v < vectors; v++) NAME(store)(copy + v * WIDTH, bv[v]);
            copy += vectors * WIDTH;
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const NAME(vector) ai = NAME(broadcast)(ap[(size_t)i * a.row_step]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = VECTOR_FMA(ai, bv[v], sum[i * vectors + v]);
        }
    }
    if (t->plain && t->columns == (size_t)vectors * WIDTH) {
        T *c = t->c;
        const size_t ldc = t->ldc;
        if (t->first)
            UNROLL for (int i = 0; i < rows; i++, c += ldc)
                UNROLL for (int v = 0; v < vectors; v++)
                    NAME(store)(c + v * WIDTH, sum[i * vectors + v] + 0);
        else
            UNROLL for (int i = 0; i < rows; i++, c += ldc)
                UNROLL for (int v = 0; v < vectors; v++)
                    NAME(store)(c + v * WIDTH, NAME(load)(c + v * WIDTH) + sum[i * vectors + v]);
    } else {
        T sums[TILE_SUMS * WIDTH];
        UNROLL for (int i = 0; i < rows * vectors; i++) NAME(store)(sums + i * WIDTH, sum[i]);
        NAME(finish_tile)(t, sums, rows, vectors * WIDTH);
    }
}

#undef TILE
#define TILE(rows)                                                                                 \
    case rows:                                                                                     \
        if (copying)                                                                               \
            NAME(tile)(rows, TILE_VECTORS, 1, k, a, b, ldb, copy, t);                              \
        else                                                                                       \
            NAME(tile)(rows, TILE_VECTORS, 0, k, a, b, ldb, copy, t);                              \
        break;

static void NAME(any_tile)(int rows, int copying, size_t k, NAME(panel) a, const T *b, size_t ldb, T *copy,
                           const NAME(target) *t)
{
    switch (rows) {
        TILE(1)
        TILE(2)
        TILE(3)
        TILE(4)
        TILE(5)
        TILE(6)
    }
}

/* A column of tiles, m rows high. If `copying`, the first tile copies b for the others. */
static void NAME(tile_column)(size_t m, int copying, size_t k, NAME(panel) a, const T *b, size_t ldb,
                              T *copy, NAME(target) t)
{
    while (m) {
        size_t rows = m < TILE_ROWS ? m : TILE_ROWS;
        /* The last rows go as two near-equal tiles: one row alone would wait for its own additions. */
        if (m > TILE_ROWS && m < 10 && a.tile_step == a.row_step) rows = (m + 1) / 2;
        NAME(any_tile)((int)rows, copying, k, a, b, ldb, copy, &t);
        if (copying) {
            copying = 0;
            b = copy;
            ldb = TILE_COLUMNS;
        }
        a.data += rows * (rows == TILE_ROWS ? a.tile_step : a.row_step);
        t.c += rows * t.ldc;
        if (t.mask) t.mask += rows * t.ldc;
        m -= rows;
    }
}

/* Copies `columns` rows of x over a block of k as columns, row by row of length `width`, zero-padded. */
static void NAME(copy_transposed)(T *to, size_t width, const T *x, size_t ldx, size_t k, size_t columns)
{
    if (columns < width) memset(to, 0, k * width * sizeof(T));
    size_t j = 0;
    for (; j + WIDTH <= columns; j += WIDTH) {
        size_t p = 0;
        for (; p + WIDTH <= k; p += WIDTH) {
            NAME(vector) square[WIDTH];
            UNROLL for (int i = 0; i < WIDTH; i++) square[i] = NAME(load)(x + (j + i) * ldx + p);
            NAME(transpose)(square);
            UNROLL for (int i = 0; i < WIDTH; i++) NAME(store)(to + (p + i) * width + j, square[i]);
        }
        for (; p < k; p++)
            for (size_t i = j; i < j + WIDTH; i++) to[p * width + i] = x[i * ldx + p];
    }
    for (; j < columns; j++)
        for (size_t p = 0; p < k; p++) to[p * width + j] = x[j * ldx + p];
}

/* Copies the rows of a tile's columns that are too few for a tile, zero-padded. */
static void NAME(copy_narrow)(T *to, const T *b, size_t ldb, size_t k, size_t columns)
{
    memset(to, 0, k * TILE_COLUMNS * sizeof(T));
    for (size_t p = 0; p < k; p++, to += TILE_COLUMNS, b += ldb)
        for (size_t j = 0; j < columns; j++) to[j] = b[j];
}

/* Copies a panel of rows, which are columns in memory, over a block of k, tile by tile. */
static NAME(panel) NAME(copy_panel)(T *to, NAME(panel) a, size_t rows, size_t k)
{
    const NAME(panel) copied = {to, k, 1, TILE_ROWS};
    for (size_t p = 0; p < k; p++) {
        const T *from = a.data + p * a.k_step;
        size_t i = 0;
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
            memcpy(to + i * k + p * TILE_ROWS, from + i, TILE_ROWS * sizeof(T));
        for (size_t r = i; r < rows; r++) to[i * k + p * TILE_ROWS + r - i] = from[r];
    }
    return copied;
}

/* Copies a panel of rows as they are, close together. */
static NAME(panel) NAME(copy_rows)(T *to, NAME(panel) a, size_t rows, size_t k)
{
    const size_t distance = k + LANES - k % LANES;
    for (size_t i = 0; i < rows; i++) memcpy(to + i * distance, a.data + i * a.row_step, k * sizeof(T));
    return (NAME(panel)){to, distance, distance, 1};
}

static NAME(panel) NAME(copy_if_better)(T *to, const fn_gemm_args *g, NAME(panel) a, size_t rows, size_t k)
{
    if (g->transpose_a) return g->n < COPY_PANEL ? a : NAME(copy_panel)(to, a, rows, k);
    return g->n < COPY_ROWS || g->lda * sizeof(T) % BAD_DISTANCE ? a : NAME(copy_rows)(to, a, rows, k);
}

static NAME(target) NAME(target_at)(const fn_gemm_args *g, size_t i, size_t j, size_t p, size_t k,
                                    size_t columns)
{
    return (NAME(target)){
        .c = (T *)g->c + i * g->ldc + j,
        .mask = g->mask ? (const T *)g->mask + i * g->ldc + j : NULL,
        .bias = g->bias ? (const T *)g->bias + j : NULL,
        .ldc = g->ldc,
        .columns = columns,
        .alpha = (T)g->alpha,
        .first = p == 0,
        .plain = !g->accumulate && (p + k < g->k || (g->alpha == 1 && !g->bias && !g->relu && !g->mask)),
        .accumulate = g->accumulate,
        .relu = g->relu};
}

#undef ROW_TILE
#define ROW_TILE(rows)                                                                             \
    for (; j + TILE_SUMS / rows * WIDTH <= g->n; j += TILE_SUMS / rows * WIDTH) {                  \
        const NAME(target) t = NAME(target_at)(g, 0, j, p, k, TILE_SUMS / rows * WIDTH);           \
        NAME(tile)(rows, TILE_SUMS / rows, 0, k, a, b + j, g->ldb, NULL, &t);                      \
    }

/* Few rows: as many columns as whole wide tiles cover, whose number is returned. */
static size_t NAME(few_rows)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
{
    size_t j = 0;
    if (g->m == 1) ROW_TILE(1)
    if (g->m == 2) ROW_TILE(2)
    if (g->m == 3) ROW_TILE(3)
    if (g->m == 4) ROW_TILE(4)
    return j;
}

/* Stores a square of sums transposed, or the part of it that c has room for. */
static void NAME(finish_square)(const NAME(target) *target, const T *sums, size_t rows, size_t columns)
{
    const NAME(target) t = *target;
    NAME(vector) square[WIDTH];
    UNROLL for (int s = 0; s < WIDTH; s++) square[s] = NAME(load)(sums + s * TILE_COLUMNS);
    NAME(transpose)(square);
    T *c = t.c;
    const T *mask = t.mask;
    if (rows == WIDTH && columns >= WIDTH)
        UNROLL for (int s = 0; s < WIDTH; s++)
        {
            NAME(finish)(&t, square[s], c, t.bias, mask);
            c += t.ldc;
            if (mask) mask += t.ldc;
        }
    else
        for (size_t s = 0; s < WIDTH && s < columns; s++)
            NAME(finish_row)(&t, (const T *)&square[s], c + s * t.ldc, t.bias,
                             mask ? mask + s * t.ldc : NULL, rows);
}

/* Columns [j, j + columns) of rows [i, i + m) of a swapped product: a few tiles into a buffer at a time, and
 * from there, transposed, to c. */
static void NAME(swapped_column)(const fn_gemm_args *g, size_t i, size_t m, size_t j, size_t columns, size_t p,
                                 size_t k, int copying, NAME(panel) a, const T *b, size_t ldb, T *copy)
{
    T buffer[(SWAP_ROWS + WIDTH) * TILE_COLUMNS];
    const NAME(target) t = {.c = buffer, .ldc = TILE_COLUMNS, .columns = TILE_COLUMNS, .first = 1, .plain = 1};
    for (size_t start = 0; start < m; start += SWAP_ROWS) {
        const size_t rows = m - start < SWAP_ROWS ? m - start : SWAP_ROWS;
        NAME(tile_column)(rows, copying, k, a, b, ldb, copy, t);
        if (copying) {
            copying = 0;
            b = copy;
            ldb = TILE_COLUMNS;
        }
        a.data += SWAP_ROWS * a.tile_step;
        for (size_t r = 0; r < rows; r += WIDTH)
            for (size_t v = 0; v < columns; v += WIDTH) {
                const NAME(target) out = NAME(target_at)(g, j + v, i + start + r, p, k, 0);
                const size_t width = rows - r < WIDTH ? rows - r : WIDTH;
                NAME(finish_square)(&out, buffer + r * TILE_COLUMNS + v, width, columns - v);
            }
    }
}

static void NAME(gemm_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t row_step = g->transpose_a ? 1 : g->lda, k_step = g->transpose_a ? g->lda : 1;
    const NAME(panel) a = {(const T *)g->a + p * k_step, row_step, row_step, k_step};
    T *a_copy = g->scratch, *b_copy = a_copy + (FN_BLOCK_MAX + LANES) * PANEL_ROWS;
    const size_t start = g->transpose_b || g->swapped ? 0 : NAME(few_rows)(g, a, b, p, k);
    if (start == g->n) return;
    for (size_t i = 0; i < g->m; i += PANEL_ROWS) {
        const size_t rows = g->m - i < PANEL_ROWS ? g->m - i : PANEL_ROWS;
        NAME(panel) panel = a;
        panel.data += i * row_step;
        panel = NAME(copy_if_better)(a_copy, g, panel, rows, k);
        for (size_t j = start; j < g->n; j += TILE_COLUMNS) {
            const size_t columns = g->n - j < TILE_COLUMNS ? g->n - j : TILE_COLUMNS;
            const T *columns_of_b = b + (g->transpose_b ? j * g->ldb : j);
            size_t ldb = g->ldb;
            int copying = rows > TILE_ROWS;
            if (g->transpose_b || columns < TILE_COLUMNS) {
                if (g->transpose_b)
                    NAME(copy_transposed)(b_copy, TILE_COLUMNS, columns_of_b, ldb, k, columns);
                else
                    NAME(copy_narrow)(b_copy, columns_of_b, ldb, k, columns);
                columns_of_b = b_copy;
                ldb = TILE_COLUMNS;
                copying = 0;
            }
            if (g->swapped)
                NAME(swapped_column)(g, i, rows, j, columns, p, k, copying, panel, columns_of_b, ldb, b_copy);
            else
                NAME(tile_column)(rows, copying, k, panel, columns_of_b, ldb, b_copy,
                                  NAME(target_at)(g, i, j, p, k, columns));
        }
    }
}

/* LANES steps of k of a tile of dot products. */
INLINE void NAME(lane_step)(const int rows, NAME(vector) sum[LANE_ROWS][LANE_COLUMNS][LANE_VECTORS],
                            const T *a, size_t lda, const T *b, size_t ldb)
{
    UNROLL for (int v = 0; v < LANE_VECTORS; v++)
    {
        NAME(vector) bv[LANE_COLUMNS];
        UNROLL for (int j = 0; j < LANE_COLUMNS; j++)
            bv[j] = NAME(load)(b + (size_t)j * ldb + v * WIDTH);
        UNROLL for (int i = 0; i < rows; i++)
        {
            NAME(vector) av = NAME(load)(a + (size_t)i * lda + v * WIDTH);
            IN_REGISTER(av);
            UNROLL for (int j = 0; j < LANE_COLUMNS; j++) sum[i][j][v] = VECTOR_FMA(av, bv[j], sum[i][j][v]);
        }
    }
}

/* Dot products of `rows` rows of a with LANE_COLUMNS columns of b, which lie as rows padded with zeros: the
 * folded lanes of row i and column j go to folded[i * SHORT_COLUMNS + j]. */
INLINE void NAME(lane_tile)(const int rows, size_t k, const T *a, size_t lda, const T *b, size_t ldb,
                            NAME(vector) *folded)
{
    NAME(vector) sum[LANE_ROWS][LANE_COLUMNS][LANE_VECTORS] = {{{{0}}}};
    for (; k >= LANES; k -= LANES, a += LANES, b += LANES) NAME(lane_step)(rows, sum, a, lda, b, ldb);
    if (k) {
        T tail[LANE_ROWS][LANES] = {{0}};
        for (int i = 0; i < rows; i++) memcpy(tail[i], a + i * lda, k * sizeof(T));
        NAME(lane_step)(rows, sum, tail[0], LANES, b, ldb);
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < LANE_COLUMNS; j++)
            folded[i * SHORT_COLUMNS + j] = NAME(fold)(sum[i][j]);
}

static void NAME(short_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *a = (const T *)g->a + p;
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t ldt = (k + LANES - 1) / LANES * LANES;
    T *columns = g->scratch;
    memset(columns, 0, (g->n + LANE_COLUMNS - 1) * ldt * sizeof(T));
    if (g->transpose_b)
        for (size_t j = 0; j < g->n; j++) memcpy(columns + j * ldt, b + j * g->ldb, k * sizeof(T));
    else
        NAME(copy_transposed)(columns, ldt, b, g->ldb, g->n, k);
    NAME(vector) folded[LANE_ROWS][SHORT_COLUMNS] = {{{0}}};
    for (size_t i = 0; i < g->m; i += LANE_ROWS, a += LANE_ROWS * g->lda) {
        const size_t rows = g->m - i < LANE_ROWS ? g->m - i : LANE_ROWS;
        const NAME(target) t = NAME(target_at)(g, i, 0, p, k, g->n);
        for (size_t j = 0; j < g->n; j += LANE_COLUMNS)
            if (rows == LANE_ROWS)
                NAME(lane_tile)(LANE_ROWS, k, a, g->lda, columns + j * ldt, ldt, &folded[0][j]);
            else
                for (size_t r = 0; r < rows; r++)
                    NAME(lane_tile)(1, k, a + r * g->lda, g->lda, columns + j * ldt, ldt, &folded[r][j]);
        T sums[LANE_ROWS * SHORT_N];
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < g->n; j += WIDTH)
                NAME(store)(sums + r * SHORT_N + j, NAME(sums_of)(&folded[r][j]));
        NAME(finish_tile)(&t, sums, rows, SHORT_N);
    }
}

/* Whether it costs less to compute the transpose of c, per step of k. */
static int NAME(is_swapped)(const fn_gemm_args *g)
{
    const double m = (double)g->m, n = (double)g->n, k = (double)fn_block_length(g->k);
    const double padded_m = (double)((g->m + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS);
    const double padded_n = (double)((g->n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS);
    const double straight = m * padded_n + TRANSPOSE_COST * n * g->transpose_b;
    return n * padded_m + TRANSPOSE_COST * m * !g->transpose_a + STORE_COST * m * n / k < straight;
}

/* The first of `length` rows or columns of part `unit` of `parts`, which differ by one tile at most. */
static size_t NAME(part_start)(size_t length, size_t unit, size_t parts, size_t tile)
{
    const size_t start = (length + tile - 1) / tile * unit / parts * tile;
    return start < length ? start : length;
}

/* The part `unit` of the product, as a product of its own. */
static fn_gemm_args NAME(gemm_part)(const fn_gemm_args *g, size_t unit, int worker)
{
    const size_t down = unit / g->parts_across, across = unit % g->parts_across;
    const size_t i = NAME(part_start)(g->m, down, g->parts_down, TILE_ROWS);
    const size_t j = NAME(part_start)(g->n, across, g->parts_across, TILE_COLUMNS);
    fn_gemm_args part = *g;
    part.c = (T *)g->c + i * g->ldc + j;
    part.a = (const T *)g->a + (g->transpose_a ? i : i * g->lda);
    part.b = (const T *)g->b + (g->transpose_b ? j * g->ldb : j);
    if (g->mask) part.mask = (const T *)g->mask + i * g->ldc + j;
    if (g->bias) part.bias = (const T *)g->bias + j;
    part.m = NAME(part_start)(g->m, down + 1, g->parts_down, TILE_ROWS) - i;
    part.n = NAME(part_start)(g->n, across + 1, g->parts_across, TILE_COLUMNS) - j;
    part.scratch = (char *)g->scratch + worker * GEMM_SCRATCH;
    return part;
}

/* The transpose of the product: op(b)' gives the rows and op(a)' the columns. */
static fn_gemm_args NAME(swap)(const fn_gemm_args *g)
{
    fn_gemm_args swapped = *g;
    swapped.swapped = 1;
    swapped.a = g->b;
    swapped.lda = g->ldb;
    swapped.transpose_a = !g->transpose_b;
    swapped.m = g->n;
    swapped.b = g->a;
    swapped.ldb = g->lda;
    swapped.transpose_b = !g->transpose_a;
    swapped.n = g->m;
    return swapped;
}

KERNEL(gemm)
{
    const fn_gemm_args *whole = args;
    const int is_short = whole->n <= SHORT_N && !whole->transpose_a;
    const size_t length = fn_block_length(whole->k);
    for (size_t unit = begin; unit < end; unit++) {
        fn_gemm_args g = NAME(gemm_part)(whole, unit, worker);
        if (!is_short && NAME(is_swapped)(&g)) g = NAME(swap)(&g);
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
