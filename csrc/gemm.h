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
#undef DOT_ROWS
#undef GEMM_SCRATCH
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
#define TILE_SUMS (TILE_ROWS * TILE_VECTORS)
#define PANEL_ROWS (1152 / (int)sizeof(T)) /* a multiple of TILE_ROWS */
/* The tile of the short-n path: as many chains as the other tiles have, or nearly so. */
#define LANE_COLUMNS (LANE_VECTORS == 1 ? 5 : 2)
#define LANE_ROWS                                                                                  \
    (TILE_SUMS < 2 * LANE_COLUMNS * LANE_VECTORS    ? 1                                            \
     : TILE_SUMS >= 4 * LANE_COLUMNS * LANE_VECTORS ? 4                                            \
                                                    : TILE_SUMS / (LANE_COLUMNS * LANE_VECTORS))
#define SHORT_COLUMNS (SHORT_N + LANE_COLUMNS - 1)
/* And where b has one column only: rows, of which WIDTH is a multiple. */
#define DOT_ROWS (LANE_VECTORS <= 2 && WIDTH >= 4 ? 4 : WIDTH < 2 ? 1 : 2)
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
    AHEAD = 24,              /* steps of k that the copying tile fetches ahead */
    TRANSPOSE_COST = 2,      /* of copying an element transposed, in multiply-adds */
    STORE_COST = 6,          /* of transposing an element of a tile in registers */
    ROWS_AT_ONCE = 4,        /* rows of b that a single row takes together, */
    ROW_COLUMNS = 2048,      /* over so many columns */
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

/* Stores the first n elements of a vector of sums at c; bias and mask, where they are not NULL, are what
 * belongs there. */
INLINE void NAME(finish)(const NAME(target) *t, NAME(vector) sum, T *c, const T *bias, const T *mask, size_t n)
{
    const int held = !t->first || t->accumulate;
    const NAME(vector) before = held ? NAME(load_left)(c, n) : (NAME(vector)){0};
    NAME(vector) x = (t->first ? (NAME(vector)){0} : before) + sum;
    if (t->accumulate)
        x = VECTOR_FMA(NAME(broadcast)(t->alpha), x, before);
    else if (!t->plain) {
        x *= NAME(broadcast)(t->alpha);
        if (bias) x += NAME(load_left)(bias, n);
        if (t->relu) x = NAME(relu_of)(x);
        if (mask) x = NAME(relu_grad_of)(x, NAME(load_left)(mask, n));
    }
    if (n < WIDTH)
        NAME(store_few)(c, x, n);
    else
        NAME(store)(c, x);
}

/* Stores n elements of a row of sums, which fill whole vectors. */
INLINE void NAME(finish_row)(const NAME(target) *t, const T *sums, T *c, const T *bias, const T *mask,
                             size_t n)
{
    size_t j = 0;
    for (; j + WIDTH <= n; j += WIDTH)
        NAME(finish)(t, NAME(load)(sums + j), c + j, bias ? bias + j : NULL, mask ? mask + j : NULL, WIDTH);
    if (j < n)
        NAME(finish)(t, NAME(load)(sums + j), c + j, bias ? bias + j : NULL, mask ? mask + j : NULL, n - j);
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
    for (size_t p = 0; p < k; p++, to += TILE_COLUMNS, b += ldb)
        UNROLL for (size_t j = 0; j < TILE_COLUMNS; j += WIDTH)
            NAME(store)(to + j, NAME(load_left)(b + j, columns > j ? columns - j : 0));
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
    if (g->m == 2) ROW_TILE(2)
    if (g->m == 3) ROW_TILE(3)
    if (g->m == 4) ROW_TILE(4)
    return j;
}

/* sums += a few elements of a, k_step apart, times as many rows of b, the rows following each other. */
INLINE void NAME(add_rows_of_b)(const int few, T *sums, const T *a, size_t k_step, const T *b, size_t ldb,
                                size_t columns)
{
    NAME(vector) av[ROWS_AT_ONCE];
    UNROLL for (int q = 0; q < few; q++) av[q] = NAME(broadcast)(a[q * k_step]);
    size_t j = 0;
    for (; j + WIDTH <= columns; j += WIDTH) {
        NAME(vector) sum = NAME(load)(sums + j);
        UNROLL for (int q = 0; q < few; q++) sum = VECTOR_FMA(av[q], NAME(load)(b + q * ldb + j), sum);
        NAME(store)(sums + j, sum);
    }
    for (; j < columns; j++)
        UNROLL for (int q = 0; q < few; q++) sums[j] = FMA(a[q * k_step], b[q * ldb + j], sums[j]);
}

/* One row: b is read as it lies, from which the machine can foresee what comes next, and sums wait in the
 * first-level cache. */
static void NAME(one_row)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
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
            NAME(add_rows_of_b)(1, sums, a.data + q * a.k_step, a.k_step, b + q * g->ldb + j, g->ldb, columns);
        const NAME(target) t = NAME(target_at)(g, 0, j, p, k, columns);
        NAME(finish_tile)(&t, sums, 1, columns);
    }
}

/* One row against rows of b, squares of which are transposed in registers on their way: as many columns as
 * whole squares cover, whose number is returned. */
static size_t NAME(row_of_dots)(const fn_gemm_args *g, NAME(panel) a, const T *b, size_t p, size_t k)
{
    enum { SQUARES = 2 };
    size_t j = 0;
    for (; j + SQUARES * WIDTH <= g->n; j += SQUARES * WIDTH) {
        NAME(vector) sum[SQUARES] = {{0}};
        const T *x = a.data, *from = b + j * g->ldb;
        size_t left = k;
        for (; left >= WIDTH; left -= WIDTH, from += WIDTH, x += WIDTH * a.k_step)
            UNROLL for (int s = 0; s < SQUARES; s++)
            {
                NAME(vector) row[WIDTH];
                UNROLL for (int i = 0; i < WIDTH; i++)
                    row[i] = NAME(load)(from + (size_t)(s * WIDTH + i) * g->ldb);
                NAME(transpose)(row);
                UNROLL for (int i = 0; i < WIDTH; i++)
                    sum[s] = VECTOR_FMA(NAME(broadcast)(x[i * a.k_step]), row[i], sum[s]);
            }
        for (; left > 0; left--, from++, x += a.k_step)
            for (int s = 0; s < SQUARES; s++) {
                NAME(vector) row;
                for (int i = 0; i < WIDTH; i++) row[i] = from[(size_t)(s * WIDTH + i) * g->ldb];
                sum[s] = VECTOR_FMA(NAME(broadcast)(*x), row, sum[s]);
            }
        const NAME(target) t = NAME(target_at)(g, 0, j, p, k, SQUARES * WIDTH);
        NAME(finish_tile)(&t, (const T *)sum, 1, SQUARES * WIDTH);
    }
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
            NAME(finish)(&t, square[s], c, t.bias, mask, WIDTH);
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
    if (g->m == 1 && !g->transpose_b && !g->swapped) {
        NAME(one_row)(g, a, b, p, k);
        return;
    }
    size_t start = 0;
    if (g->transpose_b)
        start = g->m == 1 ? NAME(row_of_dots)(g, a, b, p, k) : 0;
    else if (!g->swapped)
        start = NAME(few_rows)(g, a, b, p, k);
    if (start == g->n) return;
    const size_t panels = (g->m + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t panel_rows = ((g->m + panels - 1) / (panels ? panels : 1) + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    for (size_t i = 0; i < g->m; i += panel_rows) {
        const size_t rows = g->m - i < panel_rows ? g->m - i : panel_rows;
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
            /* Each of a's elements is used once here: what counts is how soon the next rows come. */
            if (columns == 1 && v * VECTOR_BYTES % 64 == 0) __builtin_prefetch(at + (size_t)rows * lda);
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
            folded[i * row_step + j] = NAME(fold)(sum + (i * columns + j) * LANE_VECTORS);
}

/* Functions of their own, for the compiler to find registers for one tile at a time. */
#undef LANE_TILE
#define LANE_TILE(name, rows, columns)                                                             \
    static __attribute__((noinline)) void NAME(name)(                                              \
        size_t k, const T *a, size_t lda, const T *b, size_t ldb, const NAME(mask) *last,          \
        NAME(vector) *folded, size_t row_step)                                                     \
    {                                                                                              \
        NAME(lane_tile)(rows, columns, k, a, lda, b, ldb, last, folded, row_step);                 \
    }
LANE_TILE(lane_rows, LANE_ROWS, LANE_COLUMNS)
LANE_TILE(lane_row, 1, LANE_COLUMNS)
LANE_TILE(dots_of_rows, DOT_ROWS, 1)
LANE_TILE(dots_of_row, 1, 1)

/* The lanes of the last, incomplete step of k. */
INLINE void NAME(last_lanes)(NAME(mask) kept[LANE_VECTORS], size_t k)
{
    UINT bits[LANES];
    for (size_t l = 0; l < LANES; l++) bits[l] = l < k % LANES ? ~(UINT)0 : 0;
    memcpy(kept, bits, sizeof bits);
}

/* LANE_ROWS rows or one of a short product over a block of k: `columns` holds those of b as rows of length
 * ldt. */
static void NAME(short_rows)(int rows, const fn_gemm_args *g, size_t i, size_t p, size_t k, const T *a,
                             const T *columns, size_t ldt, const NAME(mask) *last,
                             NAME(vector) folded[LANE_ROWS][SHORT_COLUMNS])
{
    const NAME(target) t = NAME(target_at)(g, i, 0, p, k, g->n);
    for (size_t j = 0; j < g->n; j += LANE_COLUMNS)
        (rows == LANE_ROWS ? NAME(lane_rows) : NAME(lane_row))(k, a, g->lda, columns + j * ldt, ldt, last,
                                                               &folded[0][j], SHORT_COLUMNS);
    T sums[LANE_ROWS * SHORT_N];
    for (int r = 0; r < rows; r++)
        for (size_t j = 0; j < g->n; j += WIDTH)
            NAME(store)(sums + r * SHORT_N + j, NAME(sums_of)(&folded[r][j]));
    NAME(finish_tile)(&t, sums, rows, SHORT_N);
}

/* The same where b has one column: sums of WIDTH rows make one vector. */
static void NAME(dot_rows)(size_t rows, const fn_gemm_args *g, size_t i, size_t p, size_t k, const T *a,
                           const T *column, const NAME(mask) *last)
{
    NAME(vector) folded[WIDTH];
    size_t r = 0;
    for (; r + DOT_ROWS <= rows; r += DOT_ROWS)
        NAME(dots_of_rows)(k, a + r * g->lda, g->lda, column, 0, last, folded + r, 1);
    for (; r < rows; r++) NAME(dots_of_row)(k, a + r * g->lda, g->lda, column, 0, last, folded + r, 1);
    for (; r < WIDTH; r++) folded[r] = (NAME(vector)){0};
    T sums[WIDTH];
    NAME(store)(sums, NAME(sums_of)(folded));
    const NAME(target) t = NAME(target_at)(g, i, 0, p, k, 1);
    if (g->ldc == 1 && !t.mask && !t.bias)
        NAME(finish_row)(&t, sums, t.c, NULL, NULL, rows);
    else
        for (size_t s = 0; s < rows; s++)
            NAME(finish_row)(&t, sums + s, t.c + s * t.ldc, t.bias, t.mask ? t.mask + s * t.ldc : NULL, 1);
}

/* A short product of at most LANES steps of k, of which each lane holds one: rows of b times elements of a,
 * added in the order of the tree. */
INLINE NAME(vector) NAME(product)(const T *a, const T *b, size_t k, size_t l)
{
    NAME(vector) x = {0};
    if (l < k) x = VECTOR_FMA(NAME(broadcast)(a[l]), NAME(load)(b + l * SHORT_N), x);
    return x;
}

static void NAME(shallow_block)(const fn_gemm_args *g)
{
    const T *a = g->a, *b = g->b;
    const size_t k = g->k;
    T *rows = g->scratch;
    if (g->transpose_b)
        NAME(copy_transposed)(rows, SHORT_N, b, g->ldb, k, g->n);
    else
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < g->n; j += WIDTH)
                NAME(store)(rows + p * SHORT_N + j, NAME(load_left)(b + p * g->ldb + j, g->n - j));
    NAME(target) t = NAME(target_at)(g, 0, 0, 0, k, g->n);
    for (size_t i = 0; i < g->m; i++, a += g->lda) {
        for (size_t j = 0; j < g->n; j += WIDTH) {
            NAME(vector) sum[2];
            UNROLL for (int l = 0; l < 2; l++)
            {
                NAME(vector) part[2];
                UNROLL for (int q = 0; q < 2; q++)
                {
                    NAME(vector) quarter[2];
                    UNROLL for (int e = 0; e < 2; e++)
                    {
                        const int at = l + 2 * q + 4 * e;
                        quarter[e] = NAME(product)(a, rows + j, k, at);
                        if (k > 8) quarter[e] += NAME(product)(a, rows + j, k, at + 8);
                    }
                    part[q] = quarter[0];
                    if (k > 4) part[q] += quarter[1];
                }
                sum[l] = part[0] + part[1];
            }
            const size_t left = g->n - j;
            NAME(finish)(&t, sum[0] + sum[1], t.c + j, t.bias ? t.bias + j : NULL,
                         t.mask ? t.mask + j : NULL, left < WIDTH ? left : WIDTH);
        }
        t.c += g->ldc;
        if (t.mask) t.mask += g->ldc;
    }
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
    NAME(mask) last[LANE_VECTORS];
    NAME(last_lanes)(last, k);
    NAME(vector) folded[LANE_ROWS][SHORT_COLUMNS] = {{{0}}};
    const size_t step = g->n == 1 ? WIDTH : LANE_ROWS;
    for (size_t i = 0; i < g->m; i += step, a += step * g->lda) {
        const size_t rows = g->m - i < step ? g->m - i : step;
        if (g->n == 1)
            NAME(dot_rows)(rows, g, i, p, k, a, columns, last);
        else if (rows == LANE_ROWS)
            NAME(short_rows)(LANE_ROWS, g, i, p, k, a, columns, ldt, last, folded);
        else
            for (size_t r = 0; r < rows; r++)
                NAME(short_rows)(1, g, i + r, p, k, a + r * g->lda, columns, ldt, last, folded);
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
    const size_t tiles = (length + tile - 1) / tile;
    const size_t start = (parts == 1 ? tiles * unit : tiles * unit / parts) * tile;
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
    /* The transpose of one dense column is a row. */
    swapped.swapped = g->n > 1 || g->ldc > 1 || g->bias;
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
            if (is_short && g.k <= LANES && g.n > 1)
                NAME(shallow_block)(&g);
            else if (is_short)
                NAME(short_block)(&g, p, k);
            else
                NAME(gemm_block)(&g, p, k);
            p += k;
        } while (p < g.k);
    }
}
