/* The thread pool: fn_parallel cuts a kernel's units into chunks that threads take one after another, so
 * a thread that loses its processor holds up no more than one chunk.
 *
 * One job at a time. The caller publishes it by raising `epoch`, works on it like the others, closes it,
 * and waits for the workers inside. A worker enters (raises `inside`) and only then looks whether the job
 * is still open; the caller closes the job and only then looks who is inside. So a worker that comes late,
 * or not at all because its processor is taken, delays nobody. A caller that finds the pool at work for
 * another thread does all of its own job itself.
 *
 * Workers are started when first needed. They wait for the next job by spinning for SPIN_NS, which covers
 * the gaps of a training loop (a parked thread takes 25 to 50 us to wake, a spinning one 0.2), and then
 * sleep: an idle process uses no processor. In a forked child, which has none of the workers, the pool
 * starts anew.
 *
 * All atomic operations are sequentially consistent: the two pairs of store and load above need it, and
 * none is on a path that is taken often. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "fastnn.h"

enum { SPIN_NS = 300000, PAUSES = 64, YIELD_AFTER = 1000 };

static atomic_int limit;

static struct {
    /* The job, written before `epoch` is raised. */
    fn_kernel *kernel;
    const void *args;
    size_t count, grain;
    int threads;
    atomic_size_t next; /* the first unit that nobody has taken */

    atomic_uint epoch;
    atomic_int open, inside, asleep;
    int workers; /* started so far; they are numbered from 1, the caller being 0 */
} pool;

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held by the caller whose job it is */
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER; /* for `job`, on which workers sleep */
static pthread_cond_t job = PTHREAD_COND_INITIALIZER;

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void take_chunks(int worker)
{
    for (;;) {
        const size_t begin = atomic_fetch_add(&pool.next, pool.grain);
        if (begin >= pool.count) return;
        const size_t rest = pool.count - begin;
        pool.kernel(pool.args, begin, begin + (rest < pool.grain ? rest : pool.grain), worker);
    }
}

/* Returns when `epoch` is no longer `seen`. */
static void wait_for_job(unsigned seen)
{
    const int64_t end = now() + SPIN_NS;
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (atomic_load(&pool.epoch) != seen) return;
            relax();
        }
    } while (now() < end);
    pthread_mutex_lock(&door);
    atomic_fetch_add(&pool.asleep, 1);
    while (atomic_load(&pool.epoch) == seen) pthread_cond_wait(&job, &door);
    atomic_fetch_sub(&pool.asleep, 1);
    pthread_mutex_unlock(&door);
}

static void *work(void *number)
{
    const int worker = (int)(intptr_t)number;
    unsigned seen = 0;
    for (;;) {
        wait_for_job(seen);
        seen = atomic_load(&pool.epoch);
        atomic_fetch_add(&pool.inside, 1);
        if (atomic_load(&pool.open) && worker < pool.threads) take_chunks(worker);
        atomic_fetch_sub(&pool.inside, 1);
    }
    return NULL;
}

/* Starts workers until there are `wanted`; with fewer, if the system refuses, the job only takes longer. */
static void start_workers(int wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(intptr_t)(pool.workers + 1))) break;
        pthread_detach(thread);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void start_anew(void)
{
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&door, NULL);
    pthread_cond_init(&job, NULL);
    pool.workers = 0;
    atomic_store(&pool.epoch, 0);
    atomic_store(&pool.open, 0);
    atomic_store(&pool.inside, 0);
    atomic_store(&pool.asleep, 0);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, start_anew);
}

void fn_parallel(fn_kernel *kernel, const void *args, size_t count, size_t grain, int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const size_t chunks = count / grain + (count % grain != 0);
    if ((size_t)threads > chunks) threads = (int)chunks;
    if (threads <= 1 || pthread_mutex_trylock(&busy)) {
        kernel(args, 0, count, 0);
        return;
    }
    pthread_once(&once, watch_forks);
    if (pool.workers < threads - 1) start_workers(threads - 1);
    pool.kernel = kernel;
    pool.args = args;
    pool.count = count;
    pool.grain = grain;
    pool.threads = threads;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.open, 1);
    atomic_fetch_add(&pool.epoch, 1);
    if (atomic_load(&pool.asleep)) {
        pthread_mutex_lock(&door);
        pthread_cond_broadcast(&job);
        pthread_mutex_unlock(&door);
    }
    take_chunks(0);
    atomic_store(&pool.open, 0);
    for (int i = 0; atomic_load(&pool.inside); i++)
        if (i < YIELD_AFTER)
            relax();
        else
            sched_yield();
    pthread_mutex_unlock(&busy);
}

int fn_threads(void)
{
    return atomic_load(&limit);
}

void fn_set_threads(int threads)
{
    atomic_store(&limit, threads);
}
