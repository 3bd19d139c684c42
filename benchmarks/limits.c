/* The most that a processor does, for limits.py to time: multiply-adds between registers, copies, and jobs
 * of a thread pool in which every thread takes part. Compiled for the processor at hand. */
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

/* Chains of dependent multiply-adds: enough of them for several units that take four or five cycles each,
 * and no more than the registers hold. */
#if defined(__AVX512F__)
enum { VECTOR = 64, CHAINS = 24 };
#elif defined(__AVX__)
enum { VECTOR = 32, CHAINS = 12 };
#elif defined(__aarch64__)
enum { VECTOR = 16, CHAINS = 24 };
#else
enum { VECTOR = 16, CHAINS = 12 };
#endif

/* Returns the number of operations. The chains differ, and their sum is asked for, lest the compiler merge
 * them or drop them. */
#define MULTIPLY_ADDS(T)                                                                                    \
    size_t multiply_adds_##T(size_t times, T *x)                                                            \
    {                                                                                                       \
        typedef T vector __attribute__((vector_size(VECTOR)));                                              \
        const vector factor = (vector){0} + *x;                                                             \
        vector chain[CHAINS];                                                                               \
        for (int c = 0; c < CHAINS; c++) chain[c] = factor + (T)c;                                          \
        for (size_t i = 0; i < times; i++) {                                                                \
            _Pragma("GCC unroll 24") for (int c = 0; c < CHAINS; c++) chain[c] = chain[c] * factor + factor; \
        }                                                                                                   \
        for (int c = 1; c < CHAINS; c++) chain[0] += chain[c];                                              \
        *x = chain[0][0];                                                                                   \
        return 2 * times * CHAINS * (VECTOR / sizeof(T));                                                   \
    }

MULTIPLY_ADDS(float)
MULTIPLY_ADDS(double)

/* `bytes` must be a multiple of 512. A plain loop: memcpy changes its method at some sizes, for the worse. */
void copies(size_t times, char *to, const char *from, size_t bytes)
{
    typedef char vector __attribute__((vector_size(VECTOR)));
    for (size_t i = 0; i < times; i++) {
#pragma GCC unroll 8
        for (size_t at = 0; at < bytes; at += VECTOR) {
            *(vector *)(to + at) = *(const vector *)(from + at);
            __asm__ volatile("" ::: "memory"); /* or the compiler calls memcpy */
        }
    }
}

/* As in fastnn.h. */
typedef void kernel(const void *args, size_t begin, size_t end, int worker);
typedef void parallel(kernel *job, const void *args, size_t count, size_t grain, int threads);

static atomic_size_t arrived, shares;

static void meet(const void *expected, size_t begin, size_t end, int worker)
{
    (void)worker;
    if (end - begin == 1) atomic_fetch_add(&shares, 1);
    atomic_fetch_add(&arrived, end - begin);
    for (int spins = 0; atomic_load(&arrived) < *(const size_t *)expected; spins++)
        if (spins > 1000) sched_yield(); /* there may be more threads than processors */
}

/* Returns the number of jobs that the pool did not leave to the caller alone. */
size_t fork_joins(size_t times, parallel *run, int threads)
{
    atomic_store(&arrived, 0);
    atomic_store(&shares, 0);
    for (size_t i = 1; i <= times; i++) {
        const size_t expected = i * (size_t)threads;
        run(meet, &expected, (size_t)threads, 1, threads);
    }
    return atomic_load(&shares) / (size_t)threads;
}
