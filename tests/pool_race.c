/* Jobs and programs from several threads at once, for a build with the thread sanitizer: every unit must be
 * computed exactly once, by a worker that the job asked for, and every product must be right. Pauses let workers fall
 * asleep. An error aborts the program; so does a hang, after a minute. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fastnn.h"

enum { CALLERS = 4, JOBS = 20000, UNITS = 1000, THREADS = 7, M = 100, N = 70, K = 64 };

typedef struct counts {
    unsigned char of[UNITS];
    int threads;
} counts;

static void count(const void *args, size_t begin, size_t end, int worker)
{
    counts *seen = (counts *)args;
    if (worker >= seen->threads) abort();
    for (size_t i = begin; i < end; i++) seen->of[i]++;
}

static void check_units(unsigned *random)
{
    counts seen = {.threads = 1 + rand_r(random) % THREADS};
    const size_t units = (size_t)rand_r(random) % UNITS, grain = 1 + (size_t)rand_r(random) % 50;
    fn_parallel(count, &seen, units, grain, seen.threads);
    for (size_t i = 0; i < UNITS; i++)
        if (seen.of[i] != (i < units)) abort();
}

/* Instructions in order, run after run, each over several threads or on one. */
static void check_program(unsigned *random)
{
    counts seen = {.threads = 1 + rand_r(random) % THREADS};
    const size_t units = (size_t)rand_r(random) % UNITS, times = 1 + (size_t)rand_r(random) % 5;
    int64_t runs = 0, failed = 0;
    const fn_count_args up = {&runs};
    const fn_instruction instructions[] = {
        {.kernel = count, .args = &seen, .count = units, .grain = 10, .threads = seen.threads},
        {.kernel = fn_count_up, .args = &up, .count = 1, .grain = 1, .threads = 1},
    };
    const fn_program program = {.instructions = instructions, .length = 2, .failed = &failed};
    if (fn_run(&program, times, INT64_MAX) != times || runs != (int64_t)times) abort();
    for (size_t i = 0; i < UNITS; i++)
        if (seen.of[i] != (i < units ? times : 0)) abort();
}

static void check_product(unsigned *random, const fn_level *level)
{
    const int threads = 1 + rand_r(random) % THREADS;
    float a[M * K], b[K * N], c[M * N];
    for (size_t i = 0; i < M * K; i++) a[i] = 1;
    for (size_t i = 0; i < K * N; i++) b[i] = 2;
    fn_gemm_args g = {.alpha = 1, .a = a, .b = b, .c = c, .m = M, .n = N, .k = K, .lda = K, .ldb = N, .ldc = N};
    const size_t parts = fn_gemm_cut(&g, threads);
    g.scratch = malloc(level->f32->gemm_scratch * (size_t)threads);
    if (!g.scratch) abort();
    fn_parallel(level->f32->gemm, &g, parts, 1, threads);
    free(g.scratch);
    for (size_t i = 0; i < M * N; i++)
        if (c[i] != 2 * K) abort();
}

static void *call(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    for (int job = 0; job < JOBS; job++) {
        check_units(&random);
        check_program(&random);
        if (job % 500) continue;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        for (int i = 0; fn_levels[i]; i++)
            if (fn_levels[i]->supported()) check_product(&random, fn_levels[i]);
    }
    return NULL;
}

int main(void)
{
    pthread_t callers[CALLERS];
    alarm(60);
    for (uintptr_t i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i], NULL, call, (void *)(i + 1))) abort();
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    return 0;
}
