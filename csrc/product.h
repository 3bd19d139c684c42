/* The matrix product as a kernel: its parts, each as a product of its own, and the way each is computed.
 *
 * Which operand gives the rows of tiles and which the columns is free, since c may be computed as the
 * transpose of op(b)' . op(a)': `is_swapped` compares what both ways cost in padding and in transposing
 * copies. */

/* Whether it costs less to compute the transpose of c, per step of k. */
static int NAME(is_swapped)(const fn_gemm_args *g)
{
    const double m = (double)g->m, n = (double)g->n, k = (double)NAME(block_length)(g);
    const double padded_m = (double)((g->m + WIDTH - 1) / WIDTH * WIDTH);
    const double padded_n = (double)((g->n + WIDTH - 1) / WIDTH * WIDTH);
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

/* The part `unit` of the product, as a product of its own. It is written in place, here as in what follows:
 * to copy it as a whole would wait for each of its elements to be stored. */
INLINE void NAME(gemm_part)(fn_gemm_args *part, const fn_gemm_args *g, size_t unit, int worker)
{
    const size_t down = unit / g->parts_across, across = unit % g->parts_across;
    const size_t i = NAME(part_start)(g->m, down, g->parts_down, TILE_ROWS);
    const size_t j = NAME(part_start)(g->n, across, g->parts_across, TILE_COLUMNS);
    *part = *g;
    part->c = (T *)g->c + i * g->ldc + j;
    part->a = (const T *)g->a + (g->transpose_a ? i : i * g->lda);
    part->b = (const T *)g->b + (g->transpose_b ? j * g->ldb : j);
    if (g->mask) part->mask = (const T *)g->mask + i * g->ldc + j;
    if (g->bias) part->bias = (const T *)g->bias + j;
    part->m = NAME(part_start)(g->m, down + 1, g->parts_down, TILE_ROWS) - i;
    part->n = NAME(part_start)(g->n, across + 1, g->parts_across, TILE_COLUMNS) - j;
    part->scratch = (char *)g->scratch + (size_t)worker * GEMM_SCRATCH;
}

/* Makes the product its transpose: op(b)' gives the rows and op(a)' the columns. */
INLINE void NAME(swap)(fn_gemm_args *g)
{
    /* The transpose of one dense column is a row. */
    g->swapped = g->n > 1 || g->ldc > 1 || g->bias;
    const void *a = g->a;
    const size_t lda = g->lda, m = g->m;
    const int transpose_a = g->transpose_a;
    g->a = g->b;
    g->lda = g->ldb;
    g->transpose_a = !g->transpose_b;
    g->m = g->n;
    g->b = a;
    g->ldb = lda;
    g->transpose_b = !transpose_a;
    g->n = m;
}

KERNEL(gemm)
{
    const fn_gemm_args *whole = args;
    const int is_short = NAME(is_short)(whole), is_shallow = NAME(is_shallow)(whole);
    const size_t length = NAME(block_length)(whole);
    for (size_t unit = begin; unit < end; unit++) {
        fn_gemm_args g;
        NAME(gemm_part)(&g, whole, unit, worker);
        if (g.k == 1 && g.ldb == 1) g.transpose_b = 0; /* a column is a row */
        if (is_short && g.n == 1) {
            NAME(dots)(&g);
            continue;
        }
        if (!is_short && !is_shallow && NAME(is_swapped)(&g)) NAME(swap)(&g);
        size_t p = 0;
        do {
            const size_t k = g.k - p < length ? g.k - p : length;
            if (is_shallow)
                NAME(shallow_block)(&g);
            else if (is_short)
                NAME(short_block)(&g, p, k);
            else
                NAME(gemm_block)(&g, p, k);
            p += k;
        } while (p < g.k);
    }
}
