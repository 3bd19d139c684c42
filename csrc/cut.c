/* How a product is cut between threads: into a grid of near-equal parts, small enough that a thread which
 * loses its processor holds up little work, large enough that what each part repeats (copying rows or
 * columns) costs little, and as many as the threads can share evenly. Many rows are cut before columns are,
 * since tiles are lower than they are wide, and so the parts more equal. The inner dimension is never cut. */
#include "fastnn.h"

enum {
    ONE_THREAD = 100000,    /* a product of fewer multiply-adds stays on one thread */
    PART = 2000000,         /* multiply-adds that a part should have */
    PARTS_PER_THREAD = 4,   /* but no more parts than that */
    ROWS = 12,              /* that a part should have at least, */
    MANY_ROWS = 120,        /* so many to be cut before columns are, */
    SHORT_K = 64,           /* or, where k is so short that copies of b are small, */
    MANY_SHORT = 32         /* so many, since whole rows of c are pages of one thread */
};

size_t fn_gemm_cut(fn_gemm_args *g, int threads)
{
    g->parts_down = g->parts_across = 1;
    const double work = (double)g->m * (double)g->n * (double)g->k;
    if (threads == 1 || work < ONE_THREAD) return 1;
    const size_t wanted = work >= (double)PART * PARTS_PER_THREAD * threads
                              ? PARTS_PER_THREAD
                              : (size_t)(work / ((double)PART * threads)) + 1;
    const size_t parts = wanted * (size_t)threads, columns = g->transpose_a ? FN_COPY_COLUMNS : FN_PART_COLUMNS;
    const size_t many = g->k < SHORT_K ? MANY_SHORT : MANY_ROWS;
    size_t of_many_rows = parts, even = 1;
    while (of_many_rows > 1 && (parts % of_many_rows || g->m / of_many_rows < many)) of_many_rows--;
    for (size_t across = 1; across <= parts / of_many_rows; across++)
        if (parts % across == 0 && g->n / across >= columns) {
            g->parts_across = across;
            if (g->n % (across * FN_PART_COLUMNS) == 0) even = across;
        }
    /* Parts of one or two tiles would keep one thread waiting for another's two. */
    if (even > 1 && g->n < 2 * FN_PART_COLUMNS * g->parts_across) g->parts_across = even;
    g->parts_down = parts / g->parts_across;
    if (g->parts_down > g->m / ROWS) g->parts_down = g->m < ROWS ? 1 : g->m / ROWS;
    return g->parts_down * g->parts_across;
}
