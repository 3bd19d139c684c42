/* c = relu(alpha * op(a) . op(b) + bias) and its kin: the matrix product. (Short ones: short.h. In which
 * parts, and which way each is computed: product.h.)
 *
 * One exact meaning. An element of op(a) . op(b) is a chain of fused multiply-adds over k ascending within
 * each block of k, and the blocks' sums are added in order to +0. All blocks but the last have the same
 * length, which follows from k alone (fn_block_length). In short products (short.h: of few columns, where a is
 * not transposed) blocks are longer, and the chain of one is replaced by LANES chains, k modulo LANES being the
 * lane, joined in a fixed tree. Nothing else has a say: not the number of rows, not the tile a row falls in, not
 * which operand is copied, not the level (but for `base`, which rounds the multiplication too). So the rest of
 * this page is free to choose.
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

#undef PANEL_ROWS
#undef GEMM_SCRATCH
#define PANEL_ROWS (1152 / (int)sizeof(T)) /* a multiple of TILE_ROWS */
/* A panel of rows, and then one of columns; a short product needs less. */
#define GEMM_SCRATCH (sizeof(T) * (FN_BLOCK_MAX + LANES) * (PANEL_ROWS + TILE_COLUMNS))

#ifndef GEMM_CHOICES
#define GEMM_CHOICES
enum {
    UNCOPIED = 18,      /* up to so many rows take columns as they lie, and most rows of a panel do */
    WIDE_TILE = 256,    /* if those are so many bytes wide and fill lines: they come as soon from anywhere */
    TRANSPOSE_COST = 2, /* of copying an element transposed, in multiply-adds */
    /* Of transposing an element of a tile in registers, which are many on AVX-512. */
    STORE_COST = VECTOR_BYTES == 64 ? 6 : 24,
    SWAP_ROWS = 48 /* rows of a swapped product that are transposed together */
};
#endif

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
