/* How a product is cut between threads: into a grid of parts, small enough that a thread which loses its
 * processor holds up little work, large enough that what each part repeats (copying the panels of a or b)
 * costs little. The inner dimension is never cut. */
#include "fastnn.h"

enum {
    ONE_THREAD = 200000,  /* a product of fewer multiply-adds stays on one thread */
    PART = 2000000,       /* multiply-adds that a part should have */
    PARTS_PER_THREAD = 4, /* but no more parts than that */
    ROWS = 48, COLUMNS = 64 /* parts are multiples of these, and so of every level's tile */
};

static size_t divide_up(size_t x, size_t by)
{
    return (x + by - 1) / by;
}

/* The length of each of about `parts` near-equal parts of `length`, as a multiple of `unit`. */
static size_t part_length(size_t length, size_t parts, size_t unit)
{
    const size_t part = divide_up(divide_up(length, parts), unit) * unit;
    return part ? part : 1;
}

size_t fn_gemm_cut(fn_gemm_args *g, int threads)
{
    const double work = (double)g->m * (double)g->n * (double)g->k;
    double parts = work / PART;
    if (parts < threads) parts = threads;
    if (parts > PARTS_PER_THREAD * threads) parts = PARTS_PER_THREAD * threads;
    if (threads == 1 || work < ONE_THREAD) parts = 1;
    /* Rows where the columns are few, or where a has to be copied; otherwise columns, then rows. */
    size_t by_columns = divide_up(g->n, COLUMNS), by_rows = (size_t)parts;
    if (g->transpose_a || by_columns < (size_t)threads) by_columns = 1;
    if (by_columns > (size_t)parts) by_columns = (size_t)parts;
    if (by_columns) by_rows = divide_up((size_t)parts, by_columns);
    g->part_rows = part_length(g->m, by_rows, ROWS);
    g->part_columns = by_columns > 1 ? part_length(g->n, by_columns, COLUMNS) : g->n + !g->n;
    return divide_up(g->m, g->part_rows) * divide_up(g->n, g->part_columns);
}
