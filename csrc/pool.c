/* The thread pool: fn_parallel cuts a kernel's units into chunks that threads take one after another, so
 * a thread that loses its processor holds up no more than one chunk. Each begins with its own share, which
 * step after step is the same part of an array, and so in the caches of its processor.
 *
 * One job at a time. The caller publishes it by raising `epoch`, works on it like the others, closes it,
 * and waits for the workers inside. A worker enters (raises `inside`) and only then looks whether the job
 * is still open; the caller closes the job and only then looks who is inside. So a worker that comes late,
 * or not at all because its processor is taken, delays nobody. A caller that finds the pool at work for
 * another thread does all of its own job itself.
 *
 * Workers are started when first needed. After a job that they were wanted for they wait for the next one
 * by spinning for SPIN_NS, which covers the gaps of a training loop (a thread asleep takes 25 to 50 us to
 * wake, a spinning one 0.2), and then sleep: an idle process uses no processor. Only those whom a job wants
 * are woken for it. In a forked child, which has none of the workers, the pool starts anew.
 *
 * Other threads may want the processors too. Whoever waits yields, since the scheduler may have put the one
 * that is waited for on the same processor. A worker that is sent away in the middle of a chunk, say while
 * a thread of another library spins on its processor, holds up the job for a time slice of milliseconds.
 * Such a wait, of SLICE_NS or more, is noticed: the jobs of the time after, as long as the wait, stay with
 * their callers; twice as long, up to MOST_ALONE times, where the next wait follows soon. No wait counts as
 * more than LONGEST_NS: a process that was stopped is not to do without its threads for as long.
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
#include "rounding.h"

enum {
    SPIN_NS = 300000,
    PAUSES = 64,
    YIELD_AFTER = 1000,
    SLICE_NS = 500000,
    LONGEST_NS = 100000000,
    MOST_ALONE = 32
};

static atomic_int limit;

static struct {
    /* The job, written before `epoch` is raised. */
    fn_kernel *kernel;
    const void *args;
    size_t grain;
    atomic_int threads;
    /* What is written while others read something else has cache lines of its own. */
    _Alignas(FN_LINE) atomic_uint epoch;
    atomic_int open, inside;
    _Atomic int64_t alone_until;
    int alone; /* how many times the last wait */
    int workers; /* started so far; they are numbered from 1, the caller being 0 */
} pool;

/* The units of the job that are meant for each thread: from `next` on nobody has taken them. */
static struct share {
    _Alignas(FN_LINE) atomic_size_t next;
    size_t end;
} shares[FN_MAX_THREADS];

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held by the caller whose job it is */

/* Where each worker sleeps; made when it is started. */
static struct bed {
    pthread_mutex_t lock;
    pthread_cond_t job;
    atomic_int taken;
} beds[FN_MAX_THREADS];

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int64_t fn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* First the thread's own share, then what others have left of theirs. */
static void take_chunks(int worker, int threads)
{
    for (int n = 0; n < threads; n++) {
        struct share *share = &shares[(worker + n) % threads];
        for (;;) {
            const size_t begin = atomic_fetch_add(&share->next, pool.grain);
            if (begin >= share->end) break;
            const size_t rest = share->end - begin;
            pool.kernel(pool.args, begin, begin + (rest < pool.grain ? rest : pool.grain), worker);
        }
    }
}

static void share_out(size_t count, size_t grain, int threads)
{
    const size_t chunks = count / grain + (count % grain != 0);
    for (int worker = 0; worker < threads; worker++) {
        const size_t end = chunks * (size_t)(worker + 1) / (size_t)threads * grain;
        atomic_store(&shares[worker].next, chunks * (size_t)worker / (size_t)threads * grain);
        shares[worker].end = end < count ? end : count;
    }
}

static void sleep_until_job(struct bed *bed, unsigned seen)
{
    pthread_mutex_lock(&bed->lock);
    atomic_store(&bed->taken, 1);
    while (atomic_load(&pool.epoch) == seen) pthread_cond_wait(&bed->job, &bed->lock);
    atomic_store(&bed->taken, 0);
    pthread_mutex_unlock(&bed->lock);
}

/* Returns when `epoch` is no longer `seen`. */
static void wait_for_job(int worker, unsigned seen, int64_t spin_until)
{
    do {
        for (int i = 0; i < PAUSES; i++) {
            if (atomic_load(&pool.epoch) != seen) return;
            relax();
        }
        sched_yield();
    } while (fn_now() < spin_until);
    sleep_until_job(&beds[worker], seen);
}

static void *work(void *number)
{
    const int worker = (int)(intptr_t)number;
    unsigned seen = 0;
    int64_t spin_until = fn_now() + SPIN_NS;
    for (;;) {
        wait_for_job(worker, seen, spin_until);
        seen = atomic_load(&pool.epoch);
        atomic_fetch_add(&pool.inside, 1);
        /* In this order: `threads` is sure to be of the job that was found open. */
        const int open = atomic_load(&pool.open);
        const int threads = atomic_load(&pool.threads), wanted = worker < threads;
        if (open && wanted) take_chunks(worker, threads);
        atomic_fetch_sub(&pool.inside, 1);
        if (wanted) spin_until = fn_now() + SPIN_NS;
    }
    return NULL;
}

/* Starts workers until there are `wanted`; with fewer, if the system refuses, the job only takes longer. */
static void start_workers(int wanted)
{
    if (pool.workers >= wanted) return;
    sigset_t all, before;
    sigfillset(&all); /* signals are for the program's own threads, but those of a worker's own faults */
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.workers < wanted) {
        const int worker = pool.workers + 1;
        pthread_mutex_init(&beds[worker].lock, NULL);
        pthread_cond_init(&beds[worker].job, NULL);
        atomic_store(&beds[worker].taken, 0);
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(intptr_t)worker)) break;
        pthread_detach(thread);
        pool.workers = worker;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void start_anew(void)
{
    pthread_mutex_init(&busy, NULL);
    pool.workers = 0;
    atomic_store(&pool.epoch, 0);
    atomic_store(&pool.open, 0);
    atomic_store(&pool.inside, 0);
    atomic_store(&pool.alone_until, 0);
    pool.alone = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, start_anew);
}

static void wake_workers(int threads)
{
    for (int worker = 1; worker < threads; worker++) {
        struct bed *bed = &beds[worker];
        if (!atomic_load(&bed->taken)) continue;
        pthread_mutex_lock(&bed->lock);
        pthread_cond_signal(&bed->job);
        pthread_mutex_unlock(&bed->lock);
    }
}

/* Waits for the workers inside, on a job begun at `began`. */
static void wait_for_workers(int64_t began)
{
    for (int i = 0; i < YIELD_AFTER; i++) {
        if (!atomic_load(&pool.inside)) return;
        relax();
    }
    const int64_t closed = fn_now();
    while (atomic_load(&pool.inside)) sched_yield();
    const int64_t end = fn_now();
    const int64_t waited = end - closed, worked = closed - began;
    /* Longer than all that the caller did itself: that was no chunk's time. */
    if (waited <= SLICE_NS || waited <= worked) return;
    const int64_t counted = waited < LONGEST_NS ? waited : LONGEST_NS;
    const int soon = closed - atomic_load(&pool.alone_until) < MOST_ALONE * counted;
    pool.alone = !soon ? 1 : pool.alone < MOST_ALONE ? 2 * pool.alone : MOST_ALONE;
    atomic_store(&pool.alone_until, end + pool.alone * counted);
}

/* Whether the pool did the job: not if one thread is enough, or the pool is at work or should not be. */
static int shared_out(fn_kernel *kernel, const void *args, size_t count, size_t grain, int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const size_t chunks = count / grain + (count % grain != 0);
    if ((size_t)threads > chunks) threads = (int)chunks;
    if (threads <= 1) return 0;
    pthread_once(&once, watch_forks);
    const int64_t began = fn_now();
    if (began < atomic_load(&pool.alone_until) || pthread_mutex_trylock(&busy)) return 0;
    start_workers(threads - 1);
    if (threads > pool.workers + 1) threads = pool.workers + 1;
    pool.kernel = kernel;
    pool.args = args;
    pool.grain = grain;
    share_out(count, grain, threads);
    atomic_store(&pool.threads, threads);
    atomic_store(&pool.open, 1);
    atomic_fetch_add(&pool.epoch, 1);
    wake_workers(threads);
    take_chunks(0, threads);
    atomic_store(&pool.open, 0);
    wait_for_workers(began);
    pthread_mutex_unlock(&busy);
    return 1;
}

/* Workers round as the caller does while it starts them, since a thread inherits that. */
void fn_parallel(fn_kernel *kernel, const void *args, size_t count, size_t grain, int threads)
{
    const unsigned rounding = fn_round_exactly();
    if (threads <= 1 || !shared_out(kernel, args, count, grain, threads)) kernel(args, 0, count, 0);
    fn_round_again(rounding);
}

int fn_threads(void)
{
    return atomic_load(&limit);
}

void fn_set_threads(int threads)
{
    atomic_store(&limit, threads);
}
