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
#include "rounding.h"

static void execute(const fn_instruction *at)
{
    if (at->when && (*at->when != 0) != at->is) return;
    if (at->threads == 1)
        at->kernel(at->args, 0, at->count, 0);
    else
        fn_parallel(at->kernel, at->args, at->count, at->grain, at->threads);
}

static size_t run_exactly(const fn_program *program, size_t times, int64_t until)
{
    for (size_t done = 0; done < times; done++) {
        for (size_t i = 0; i < program->length; i++) {
            const int64_t start = program->nanoseconds ? fn_now() : 0;
            execute(&program->instructions[i]);
            if (program->nanoseconds) program->nanoseconds[i] += fn_now() - start;
            if (*program->failed) return done;
        }
        /* Not after the last: to read the clock takes as long as a small kernel. */
        if (done + 1 < times && fn_now() >= until) return done + 1;
    }
    return times;
}

size_t fn_run(const fn_program *program, size_t times, int64_t until)
{
    const unsigned rounding = fn_round_exactly();
    const size_t done = run_exactly(program, times, until);
    fn_round_again(rounding);
    return done;
}

#define SCALAR_KERNEL(name)                                                                        \
    void name(const void *args, __attribute__((unused)) size_t begin,                              \
              __attribute__((unused)) size_t end, __attribute__((unused)) int worker)

SCALAR_KERNEL(fn_count_up)
{
    const fn_count_args *g = args;
    ++*g->to;
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

/* Rows of a shuffled set lie anywhere: a run that takes less time than one of them to come from memory would
 * wait for each. Of a long row the beginning is enough. */
SCALAR_KERNEL(fn_fetch_next)
{
    const fn_fetch_args *g = args;
    const size_t left = (size_t)(*g->end - *g->there) / sizeof(int64_t);
    const size_t count = left < g->count ? left : g->count;
    for (size_t i = 0; i < count; i++) {
        int64_t row;
        memcpy(&row, *g->there + i * sizeof row, sizeof row);
        __builtin_prefetch(*g->x + (size_t)row * g->bytes);
    }
}

static inline __attribute__((always_inline)) void pick(const fn_pick_args *g, size_t begin, size_t end,
                                                       size_t bytes)
{
    for (size_t i = begin; i < end; i++)
        memcpy((char *)g->y + i * bytes, *g->x + (size_t)g->rows[i] * bytes, bytes);
}

/* Units are rows. Where the compiler knows their length, no function is called to copy a few bytes. */
void fn_pick(const void *args, size_t begin, size_t end, __attribute__((unused)) int worker)
{
    const fn_pick_args *g = args;
    switch (g->bytes) {
    case 4: pick(g, begin, end, 4); break;
    case 8: pick(g, begin, end, 8); break;
    case 16: pick(g, begin, end, 16); break;
    case 32: pick(g, begin, end, 32); break;
    default: pick(g, begin, end, g->bytes);
    }
}
