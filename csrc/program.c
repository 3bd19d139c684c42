/* The executor of compiled steps: a list of instructions, each a kernel with its arguments, run in order
 * and as often as asked for. Nothing is looked up, checked or allocated while a program runs.
 *
 * What changes from one run to the next stays in memory that the arguments point to. Small kernels that
 * are instructions like all others move it on: which rows of the data come next, where the next rows of a
 * result go, the numbers of an optimizer, sums over an epoch.
 *
 * A kernel that finds fault with its data (a label that is no class) says so in `failed`, and the program
 * stops there. An instruction may depend on a flag that an earlier one has set. */
#define _GNU_SOURCE
#include <string.h>

#include "fastnn.h"

static void execute(const fn_instruction *at)
{
    if (at->when && (*at->when != 0) != at->is) return;
    if (at->threads == 1)
        at->kernel(at->args, 0, at->count, 0);
    else
        fn_parallel(at->kernel, at->args, at->count, at->grain, at->threads);
}

size_t fn_run(const fn_program *program, size_t times, int64_t until)
{
    for (size_t done = 0; done < times; done++) {
        for (size_t i = 0; i < program->length; i++) {
            const int64_t start = program->nanoseconds ? fn_now() : 0;
            execute(&program->instructions[i]);
            if (program->nanoseconds) program->nanoseconds[i] += fn_now() - start;
            if (*program->failed) return done;
        }
        if (fn_now() >= until) return done + 1;
    }
    return times;
}

#define SCALAR_KERNEL(name)                                                                        \
    void name(const void *args, __attribute__((unused)) size_t begin,                              \
              __attribute__((unused)) size_t end, __attribute__((unused)) int worker)

SCALAR_KERNEL(fn_count_up)
{
    const fn_count_args *g = args;
    *g->to += g->by;
}

SCALAR_KERNEL(fn_accumulate)
{
    const fn_accumulate_args *g = args;
    *g->sum += (g->is_double ? *(const double *)g->value : *(const float *)g->value) * g->weight;
}

SCALAR_KERNEL(fn_read_next)
{
    const fn_stream_args *g = args;
    memcpy(g->here, *g->there, g->bytes);
    *g->there += g->bytes;
}

SCALAR_KERNEL(fn_write_next)
{
    const fn_stream_args *g = args;
    memcpy(*g->there, g->here, g->bytes);
    *g->there += g->bytes;
}

SCALAR_KERNEL(fn_clear)
{
    const fn_clear_args *g = args;
    memset(g->to, 0, g->bytes);
}

/* Units are rows. */
void fn_pick(const void *args, size_t begin, size_t end, __attribute__((unused)) int worker)
{
    const fn_pick_args *g = args;
    for (size_t i = begin; i < end; i++)
        memcpy((char *)g->y + i * g->bytes, *g->x + (size_t)g->rows[i] * g->bytes, g->bytes);
}
