/* Copies of the operands of a product, in the order in which tiles use them. */

#ifndef PACKING_CHOICES
#define PACKING_CHOICES
enum {
    COPY_ROWS = 128,     /* from so many on, rows that lie badly: */
    BAD_DISTANCE = 4096, /* a multiple of so many bytes apart */
    FEW_TO_TRANSPOSE = 4 /* rows, or elements of each, that are as soon copied one by one */
};
#endif

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
