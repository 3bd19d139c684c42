/* c = relu(alpha * op(a) . op(b) + bias) and its kin: the matrix product. (Short ones: short.h. In which
 * parts, and which way each is computed: product.h.)
 *
 * One exact meaning. An element of op(a) . op(b) is a chain of fused multiply-adds over k ascending within
 * each block of k, and the blocks' sums are added in order to +0. All blocks but the last have the same
 * length, which follows from k alone (fn_block_length). In short products (short.h) blocks are longer, and the
 * chain of one is replaced by LANES chains, k modulo LANES being the lane, joined in a fixed tree. Nothing else
 * has a say: not the number of rows, not the tile a row falls in, not which operand is copied, not the level
 * (but for `base`, which rounds the multiplication too). So the rest of this page is free to choose.
 *
 * Loops, from outside: blocks of k; panels of rows; panels of columns, one tile wide; tiles of c,
 * TILE_ROWS x TILE_VECTORS vectors, whose sums live in registers over the whole block of k. A step of k
 * loads TILE_VECTORS vectors of the column operand and broadcasts TILE_ROWS elements of the row operand:
 * fewer loads than multiply-adds, and enough chains to fill the pipeline.
 *
 * What lies where: the columns of a tile over a block of k (10 to 20 KB, on AVX-512 four times that) are needed
 * again for every tile below. Copied dense, zero-padded and in the order of use they stay in the first-level
 * cache (AVX-512: the second), beside the few KB of rows that stream past. The first tile of a column makes that
 * copy as it goes, while it fetches ahead what the copy is made of. It pays for many rows only, on AVX-512 for
 * most of a panel's, unless vectors lie across lines of the cache, which are two loads each. A panel of rows
 * takes up to 360 KB of the second-level cache.
 * The last columns take tiles of as few vectors as hold them; where they do not fill these, AVX-512 alone
 * can do without the copy.
 * Rows are copied where that pays (many columns, and rows that are columns in memory or that lie a large
 * power of two apart, and so push each other out of the cache).
 *
 * Tiles of a swapped product, which is the transpose of the one asked for, are transposed in registers as
 * they go out.
 *
 * Few rows cannot fill the pipeline with tiles of this shape, nor would they pay for copies. Two to four
 * take tiles of few rows and many columns, straight from b. One row is bound by how fast b comes: it takes
 * b as it lies, several rows at a time. Where b is transposed, up to three rows take squares of it, transposed
 * in registers.
 */

#undef TILE_COLUMNS
#undef TILE_SUMS
#undef PANEL_ROWS
#undef DOT_COLUMNS
#undef GEMM_SCRATCH
#define DOT_COLUMNS (WIDTH < 16 ? 2 * WIDTH : WIDTH)
#define TILE_COLUMNS (TILE_VECTORS * WIDTH)
#define TILE_SUMS (TILE_ROWS * TILE_VECTORS)
#define PANEL_ROWS (1152 / (int)sizeof(T)) /* a multiple of TILE_ROWS */
/* A panel of rows, and then one of columns; a short product needs less. */
#define GEMM_SCRATCH (sizeof(T) * (FN_BLOCK_MAX + LANES) * (PANEL_ROWS + TILE_COLUMNS))

#ifndef GEMM_CHOICES
#define GEMM_CHOICES
enum {
    COPY_ROWS = 128,         /* from so many on, rows that lie badly: */
    BAD_DISTANCE = 4096,     /* a multiple of so many bytes apart */
    UNCOPIED = 18,           /* up to so many rows take columns as they lie, and most rows of a panel do */
    WIDE_TILE = 256,         /* if those are so many bytes wide and fill lines: they come as soon from anywhere */
    AHEAD = 24,              /* steps of k that the copying tile fetches ahead */
    FETCHED = 24,            /* steps of k in whose time the place of a tile's sums can be fetched */
    TRANSPOSE_COST = 2,      /* of copying an element transposed, in multiply-adds */
    /* Of transposing an element of a tile in registers, which are many on AVX-512. */
    STORE_COST = VECTOR_BYTES == 64 ? 6 : 24,
    FEW_TO_TRANSPOSE = 4,    /* rows, or elements of each, that are as soon copied one by one */
    ROWS_AT_ONCE = 4,        /* rows of b that a single row takes together, */
    ROW_COLUMNS = 2048,      /* over so many columns */
    UNCOPIED_ROWS = 3,       /* up to so many rows take squares of a transposed b as they need them */
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
INLINE void NAME(finish)(const NAME(target) *t, NAME(vector) sum, T *c, const T *bias, const T *mask,
                         size_t n)
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
    NAME(store_left)(c, x, n);
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

/* Whether sums are stored in one of the ways of `store_whole`. An accumulation has one block of k. */
INLINE int NAME(is_usual)(const NAME(target) *t)
{
    if (t->plain || t->accumulate) return 1;
    return t->first && t->alpha == 1 && (t->mask ? !t->bias && !t->relu : t->bias && t->relu);
}

/* Stores the first `whole` vectors of each row of a tile from their registers: which of the ways it is is asked
 * once, and not of each vector. */
INLINE void NAME(store_whole)(const int rows, const int vectors, const int whole, const NAME(target) *t,
                              const NAME(vector) *sum, T *c)
{
    const NAME(target) first_block = {.first = 1, .plain = 1}, later_block = {.plain = 1},
                       added = {.first = 1, .accumulate = 1, .alpha = t->alpha},
                       masked = {.first = 1, .alpha = 1}, rectified = {.first = 1, .alpha = 1, .relu = 1};
    const T *bias = t->bias, *mask = t->mask;
    const size_t ldc = t->ldc;
/* Of vector v of row i, which begins `at` elements into the tile. */
#define EACH_VECTOR(how, its_bias, its_mask)                                                       \
    UNROLL for (int i = 0; i < rows; i++)                                                          \
        UNROLL for (int v = 0; v < whole; v++)                                                     \
        {                                                                                          \
            const size_t at = (size_t)i * ldc + (size_t)v * WIDTH;                                 \
            NAME(finish)(&how, sum[i * vectors + v], c + at, its_bias, its_mask, WIDTH);           \
        }
    if (t->plain && t->first) {
        EACH_VECTOR(first_block, NULL, NULL)
    } else if (t->plain) {
        EACH_VECTOR(later_block, NULL, NULL)
    } else if (t->accumulate) {
        EACH_VECTOR(added, NULL, NULL)
    } else if (mask) {
        EACH_VECTOR(masked, NULL, mask + at)
    } else {
        EACH_VECTOR(rectified, bias + v * WIDTH, NULL)
    }
#undef EACH_VECTOR
}

/* Stores the last, incomplete vectors of a tile, from column j on. */
static void NAME(store_last)(const NAME(target) *target, const T *sums, size_t rows, size_t j)
{
    T *c = target->c + j;
    const size_t ldc = target->ldc, columns = target->columns - j;
    for (size_t i = 0; i < rows; i++, c += ldc) STORE_FEW(c, NAME(load)(sums + i * WIDTH), columns);
}

/* One tile of rows x vectors, constants after inlining, over a block of k. If `copying`, the vectors of
 * b that it loads are also written to `copy`, one row of the tile after another. */
INLINE void NAME(tile)(const int rows, const int vectors, const int copying, size_t k, NAME(panel) a,
                       const T *b, size_t ldb, T *copy, const NAME(target) *t)
{
    _Static_assert(TILE_SUMS <= MOST_ROUNDS, "all sums are in registers");
    NAME(vector) sum[TILE_SUMS];
    UNROLL for (int i = 0; i < rows * vectors; i++) sum[i] = (NAME(vector)){0};
    /* Where the sums will go is fetched meanwhile, unless there is no time for that. */
    if (t->accumulate || !t->first || k > FETCHED)
        for (size_t i = 0; i < (size_t)rows; i++)
            UNROLL for (int v = 0; v < vectors * VECTOR_BYTES; v += FN_LINE)
                __builtin_prefetch((const char *)(t->c + i * t->ldc) + v, 1);
    /* Two pointers and one distance take fewer registers than the distances of all rows. */
    _Static_assert(TILE_ROWS <= 6, "no row is farther from a pointer than twice the distance");
    const T *upper = a.data, *lower = a.data + (rows > 3 ? 3 * a.row_step : 0);
    __attribute__((unused)) const size_t last = t->columns - (size_t)(vectors - 1) * WIDTH;
    for (size_t p = 0; p < k; p++, upper += a.k_step, lower += a.k_step, b += ldb) {
        NAME(vector) bv[TILE_SUMS];
        UNROLL for (int v = 0; v < vectors - 1; v++) bv[v] = NAME(load)(b + v * WIDTH);
        bv[vectors - 1] = LOAD_LAST(b + (vectors - 1) * WIDTH, last);
        if (copying) {
            __builtin_prefetch(b + AHEAD * ldb);
            UNROLL for (int v = 0; v < vectors; v++) NAME(store)(copy + v * WIDTH, bv[v]);
            copy += vectors * WIDTH;
        }
        UNROLL for (int i = 0; i < rows; i++) {
            const NAME(vector) ai = NAME(broadcast)((i < 3 ? upper : lower)[(size_t)(i % 3) * a.row_step]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i * vectors + v] = VECTOR_FMA(ai, bv[v], sum[i * vectors + v]);
        }
    }
    if (t->columns == (size_t)vectors * WIDTH && NAME(is_usual)(t)) {
        NAME(store_whole)(rows, vectors, vectors, t, sum, t->c);
        return;
    }
    T sums[TILE_SUMS * WIDTH];
    if (t->plain && t->first) {
        NAME(store_whole)(rows, vectors, vectors - 1, t, sum, t->c);
        UNROLL for (int i = 0; i < rows; i++) NAME(store)(sums + i * WIDTH, sum[(i + 1) * vectors - 1] + 0);
        NAME(store_last)(t, sums, (size_t)rows, (size_t)(vectors - 1) * WIDTH);
    } else {
        UNROLL for (int i = 0; i < rows * vectors; i++) NAME(store)(sums + i * WIDTH, sum[i]);
        NAME(finish_tile)(t, sums, (size_t)rows, (size_t)vectors * WIDTH);
    }
}

#undef TILE
#undef TILES
#define TILE(rows, vectors, copying)                                                               \
    case rows: NAME(tile)(rows, vectors, copying, k, a, b, ldb, copy, t); break;
#define TILES(vectors, copying)                                                                    \
    switch (rows) {                                                                                \
        TILE(1, vectors, copying)                                                                  \
        TILE(2, vectors, copying)                                                                  \
        TILE(3, vectors, copying)                                                                  \
        TILE(4, vectors, copying)                                                                  \
        TILE(5, vectors, copying)                                                                  \
        TILE(6, vectors, copying)                                                                  \
    }

static void NAME(any_tile)(int rows, int vectors, int copying, size_t k, NAME(panel) a, const T *b,
                           size_t ldb, T *copy, const NAME(target) *t)
{
    if (copying)
        TILES(TILE_VECTORS, 1)
    else if (vectors == TILE_VECTORS)
        TILES(TILE_VECTORS, 0)
#if TILE_VECTORS > 2
    else if (vectors == 3)
        TILES(3, 0)
    else if (vectors == 2)
        TILES(2, 0)
#endif
    else
        TILES(1, 0)
}

/* A column of tiles, m rows high. If `copying`, the first tile, of full width, copies b for the others. */
static void NAME(tile_column)(size_t m, int vectors, int copying, size_t k, NAME(panel) a, const T *b,
                              size_t ldb, T *copy, NAME(target) t)
{
    while (m) {
        size_t rows = m < TILE_ROWS ? m : TILE_ROWS;
        /* The last rows go as two near-equal tiles: one row alone would wait for its own additions. */
        if (m > TILE_ROWS && m < 10 && a.tile_step == a.row_step) rows = (m + 1) / 2;
        NAME(any_tile)((int)rows, vectors, copying, k, a, b, ldb, copy, &t);
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

/* Copies `steps` elements of fewer than WIDTH rows of x as columns, and zeros for the rows that are missing. */
static void NAME(copy_few_rows)(T *to, size_t width, const T *x, size_t ldx, size_t steps, size_t rows)
{
    size_t p = 0;
    if (rows > FEW_TO_TRANSPOSE)
        for (; p + WIDTH <= steps; p += WIDTH) {
            NAME(vector) square[WIDTH];
            for (size_t i = 0; i < WIDTH; i++)
                square[i] = i < rows ? NAME(load)(x + i * ldx + p) : (NAME(vector)){0};
            NAME(transpose)(square);
            for (size_t i = 0; i < WIDTH; i++) NAME(store)(to + (p + i) * width, square[i]);
        }
    for (size_t q = p; q < steps; q++) NAME(store)(to + q * width, (NAME(vector)){0});
    for (size_t i = 0; i < rows; i++)
        for (size_t q = p; q < steps; q++) to[q * width + i] = x[i * ldx + q];
}

/* Copies rows of few elements, which follow each other, as columns; the number of rows is a multiple of
 * WIDTH. */
INLINE void NAME(pull_apart)(const size_t few, T *restrict to, size_t width, const T *restrict x, size_t rows)
{
    for (; rows; rows -= WIDTH, x += WIDTH * few, to += WIDTH)
        INDEPENDENT for (size_t i = 0; i < WIDTH; i++)
            UNROLL for (size_t q = 0; q < few; q++) to[q * width + i] = x[i * few + q];
}

/* And few rows of sums as WIDTH columns of such elements. */
INLINE void NAME(put_together)(const size_t few, T *restrict to, const T *restrict sums)
{
    INDEPENDENT for (size_t i = 0; i < WIDTH; i++)
        UNROLL for (size_t q = 0; q < few; q++) to[i * few + q] = sums[q * TILE_COLUMNS + i];
}

/* Cases of either, in which the compiler knows how few. */
#undef FEW
#define FEW(copy, ...)                                                                             \
    case 2: NAME(copy)(2, __VA_ARGS__); break;                                                     \
    case 3: NAME(copy)(3, __VA_ARGS__); break;                                                     \
    case 4: NAME(copy)(4, __VA_ARGS__); break;
_Static_assert(FEW_TO_TRANSPOSE == 4, "each number of elements has its case here");

/* The same as copy_few_rows, of WIDTH rows. */
static void NAME(copy_rows_transposed)(T *to, size_t width, const T *x, size_t ldx, size_t steps)
{
    NAME(vector) square[WIDTH];
    for (; steps >= WIDTH; steps -= WIDTH, x += WIDTH, to += WIDTH * width) {
        NAME(load_transposed)(square, x, ldx);
        UNROLL for (size_t i = 0; i < WIDTH; i++) NAME(store)(to + i * width, square[i]);
    }
    if (steps > FEW_TO_TRANSPOSE) {
        UNROLL for (size_t i = 0; i < WIDTH; i++) square[i] = NAME(load_few)(x + i * ldx, steps, 0);
        NAME(transpose)(square);
        for (size_t i = 0; i < steps; i++) NAME(store)(to + i * width, square[i]);
    } else
        for (size_t i = 0; i < WIDTH; i++)
            for (size_t q = 0; q < steps; q++) to[q * width + i] = x[i * ldx + q];
}

/* Copies `columns` rows of x over a block of k as columns, row by row of length `width`, zero-padded. */
static void NAME(copy_transposed)(T *to, size_t width, const T *x, size_t ldx, size_t k, size_t columns)
{
    const size_t whole = columns / WIDTH * WIDTH;
    if (k > 1 && k <= FEW_TO_TRANSPOSE && ldx == k)
        switch (k) {
            FEW(pull_apart, to, width, x, whole)
        }
    else
        for (size_t j = 0; j < whole; j += WIDTH) NAME(copy_rows_transposed)(to + j, width, x + j * ldx, ldx, k);
    for (size_t j = whole; j < width; j += WIDTH)
        NAME(copy_few_rows)(to + j, width, x + j * ldx, ldx, k, columns > j ? columns - j : 0);
}

/* Copies the rows of a tile's columns that do not fill its vectors, zero-padded. */
static void NAME(copy_narrow)(T *to, size_t width, const T *b, size_t ldb, size_t k, size_t columns)
{
    for (size_t p = 0; p < k; p++, to += width, b += ldb)
        for (size_t j = 0; j < width; j += WIDTH)
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
    if (g->transpose_a) return g->n < FN_COPY_COLUMNS ? a : NAME(copy_panel)(to, a, rows, k);
    return g->n < COPY_ROWS || g->lda * sizeof(T) % BAD_DISTANCE ? a : NAME(copy_rows)(to, a, rows, k);
}

INLINE NAME(target) NAME(target_at)(const fn_gemm_args *g, size_t i, size_t j, size_t p, size_t k,
                                    size_t columns)
{
    return (NAME(target)){
        .c = (T *)g->c + i * g->ldc + j,
        .mask = g->mask ? (const T *)g->mask + i * g->ldc + j : NULL,
        .bias = g->bias ? (const T *)g->bias + j : NULL,
        .ldc = g->ldc,
        .columns = columns,
        .alpha = (T)(g->rate ? -*g->rate : g->alpha),
        .first = p == 0,
        .plain = !g->accumulate &&
                 (p + k < g->k || (!g->rate && g->alpha == 1 && !g->bias && !g->relu && !g->mask)),
        .accumulate = g->accumulate,
        .relu = g->relu};
}

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

INLINE void NAME(load_square)(NAME(vector) *square, const T *sums)
{
    UNROLL for (int s = 0; s < WIDTH; s++) square[s] = NAME(load)(sums + s * TILE_COLUMNS);
    NAME(transpose)(square);
}

/* Stores a square of sums transposed where rows of c, of fewer than WIDTH elements, follow each other: put
 * together they are one row, and need no stores of parts of vectors, which would wait for each other. */
static void NAME(finish_together)(const NAME(target) *t, const T *sums, size_t rows, size_t columns)
{
    T together[WIDTH * WIDTH], bias[WIDTH * WIDTH];
    NAME(vector) square[WIDTH];
    switch (rows) {
        FEW(put_together, together, sums)
    default:
        NAME(load_square)(square, sums);
        UNROLL for (size_t s = 0; s < WIDTH; s++) NAME(store)(together + s * rows, square[s]);
    }
    if (t->bias) {
        const NAME(vector) once = NAME(load_few)(t->bias, rows, 0);
        UNROLL for (size_t s = 0; s < WIDTH; s++) NAME(store)(bias + s * rows, once);
    }
    NAME(finish_row)(t, together, t->c, t->bias ? bias : NULL, t->mask, rows * columns);
}

/* Stores a square of sums transposed, or the part of it that c has room for. */
static void NAME(finish_square)(const NAME(target) *target, const T *sums, size_t rows, size_t columns)
{
    const NAME(target) t = *target;
    if (columns > WIDTH) columns = WIDTH;
    if (rows > 1 && rows < WIDTH && t.ldc == rows) {
        NAME(finish_together)(&t, sums, rows, columns);
        return;
    }
    NAME(vector) square[WIDTH];
    NAME(load_square)(square, sums);
    T *c = t.c;
    const T *mask = t.mask;
    if (rows == WIDTH && columns == WIDTH)
        UNROLL for (int s = 0; s < WIDTH; s++)
        {
            NAME(finish)(&t, square[s], c, t.bias, mask, WIDTH);
            c += t.ldc;
            if (mask) mask += t.ldc;
        }
    else
        for (size_t s = 0; s < columns; s++)
            NAME(finish_row)(&t, (const T *)&square[s], c + s * t.ldc, t.bias,
                             mask ? mask + s * t.ldc : NULL, rows);
}

/* Columns [j, j + columns) of rows [i, i + m) of a swapped product: a few tiles into a buffer at a time,
 * and from there, transposed, to c. */
static void NAME(swapped_column)(const fn_gemm_args *g, size_t i, size_t m, size_t j, size_t columns,
                                 size_t p, size_t k, int vectors, int copying, NAME(panel) a, const T *b,
                                 size_t ldb, T *copy)
{
    T buffer[(SWAP_ROWS + WIDTH) * TILE_COLUMNS];
    const NAME(target) t = {.c = buffer,
                            .ldc = TILE_COLUMNS,
                            .columns = (size_t)vectors * WIDTH,
                            .first = 1,
                            .plain = 1};
    for (size_t start = 0; start < m; start += SWAP_ROWS) {
        const size_t rows = m - start < SWAP_ROWS ? m - start : SWAP_ROWS;
        NAME(tile_column)(rows, vectors, copying, k, a, b, ldb, copy, t);
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

/* The rows of each of near-equal panels. */
static size_t NAME(panel_rows)(size_t m)
{
    const size_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS, panels = (m + PANEL_ROWS - 1) / PANEL_ROWS;
    return panels ? (tiles + panels - 1) / panels * TILE_ROWS : TILE_ROWS;
}

/* Columns [j, j + TILE_COLUMNS) of rows [i, i + rows) over a block of k, copied to `copy` where needed. */
static void NAME(panel_column)(const fn_gemm_args *g, size_t i, size_t rows, size_t j, size_t p, size_t k,
                               NAME(panel) a, const T *b, T *copy)
{
    const size_t columns = g->n - j < TILE_COLUMNS ? g->n - j : TILE_COLUMNS;
    const size_t vectors = (columns + WIDTH - 1) / WIDTH, width = vectors * WIDTH;
    size_t ldb = g->ldb;
    b += g->transpose_b ? j * ldb : j;
    const int is_wide = columns * sizeof(T) >= WIDE_TILE;
    const int in_lines = ((uintptr_t)b | ldb * sizeof(T)) % FN_LINE == 0;
    /* By the first tile, unless it is done before. */
    int copying = rows > (is_wide && in_lines ? PANEL_ROWS * 2 / 3 : UNCOPIED);
    const int as_it_lies = !copying && (columns == width || (LOADS_LAST && !g->swapped));
    if (g->transpose_b || (columns < TILE_COLUMNS && !as_it_lies)) {
        if (g->transpose_b)
            NAME(copy_transposed)(copy, width, b, ldb, k, columns);
        else
            NAME(copy_narrow)(copy, width, b, ldb, k, columns);
        b = copy;
        ldb = width;
        copying = 0;
    }
    if (g->swapped)
        NAME(swapped_column)(g, i, rows, j, columns, p, k, (int)vectors, copying, a, b, ldb, copy);
    else
        NAME(tile_column)(rows, (int)vectors, copying, k, a, b, ldb, copy,
                          NAME(target_at)(g, i, j, p, k, columns));
}

static void NAME(gemm_block)(const fn_gemm_args *g, size_t p, size_t k)
{
    const T *b = (const T *)g->b + (g->transpose_b ? p : p * g->ldb);
    const size_t row_step = g->transpose_a ? 1 : g->lda, k_step = g->transpose_a ? g->lda : 1;
    const NAME(panel) a = {(const T *)g->a + p * k_step, row_step, row_step, k_step};
    T *a_copy = g->scratch, *b_copy = a_copy + (FN_BLOCK_MAX + LANES) * PANEL_ROWS;
    const size_t start = g->swapped ? 0 : NAME(few_rows)(g, a, b, p, k);
    if (start == g->n) return;
    const size_t panel_rows = NAME(panel_rows)(g->m);
    const size_t panels = (g->m + panel_rows - 1) / panel_rows;
    for (size_t n = 0; n < panels; n++) {
        /* A gradient begins with the weights that the forward product ended with: they are still in the cache. */
        const size_t i = (g->transpose_a ? panels - 1 - n : n) * panel_rows;
        const size_t rows = g->m - i < panel_rows ? g->m - i : panel_rows;
        NAME(panel) panel = a;
        panel.data += i * row_step;
        panel = NAME(copy_if_better)(a_copy, g, panel, rows, k);
        for (size_t j = start; j < g->n; j += TILE_COLUMNS)
            NAME(panel_column)(g, i, rows, j, p, k, panel, b, b_copy);
    }
}
