#define _GNU_SOURCE
#include "base/pool.h"
#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A waiting thread spins for about 20 microseconds (longer than the gap between two kernels of one
 * step), then gives way to other threads again and again (when cores are shared, the one it waits
 * for needs this core), and sleeps when no job has come for long. */
enum { SPINS = 400, YIELDS = 200, MAX_THREADS = 512 };

struct hn_pool {
    int n_threads;
    hn_pool_fn *fn;
    void *arg;
    _Alignas(64) atomic_uint job;    /* counts jobs; a change wakes the workers */
    _Alignas(64) atomic_int running; /* workers that have not finished this job */
    _Alignas(64) atomic_int arrived; /* barrier: how many threads are waiting */
    _Alignas(64) atomic_uint phase;  /* barrier: counts releases */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_int sleeping;
    atomic_bool stop;
    int started;
    struct worker {
        struct hn_pool *pool;
        int index;
        pthread_t thread;
    } workers[];
};

static void pause_or_yield(int turn)
{
    if (turn < SPINS)
        hn_cpu_relax();
    else
        sched_yield();
}

static void wait_for_job(struct hn_pool *pool, unsigned seen)
{
    for (int k = 0; k < SPINS + YIELDS; k++) {
        if (atomic_load_explicit(&pool->job, memory_order_acquire) != seen)
            return;
        pause_or_yield(k);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleeping, 1);
    while (atomic_load(&pool->job) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct hn_pool *pool = w->pool;
    for (unsigned seen = 0;;) {
        wait_for_job(pool, seen);
        seen++;
        if (atomic_load(&pool->stop))
            return NULL;
        pool->fn(pool->arg, w->index, pool->n_threads);
        atomic_fetch_sub_explicit(&pool->running, 1, memory_order_release);
    }
}

static void start_job(struct hn_pool *pool)
{
    atomic_fetch_add(&pool->job, 1);
    if (atomic_load(&pool->sleeping)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

int hn_pool_open(struct hn_pool **out, int n_threads, struct hone_err *err)
{
    if (n_threads <= 0)
        n_threads = hn_cpu_count();
    n_threads = HN_MIN(n_threads, MAX_THREADS);
    size_t size = sizeof(struct hn_pool) + (size_t)n_threads * sizeof(struct worker);
    struct hn_pool *pool = hn_alloc_aligned(size);
    if (!pool)
        return hn_fail_memory(err, "starting threads");
    memset(pool, 0, size);
    pool->n_threads = n_threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (int k = 1; k < n_threads; k++) {
        struct worker *w = &pool->workers[k];
        *w = (struct worker){.pool = pool, .index = k};
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            hn_pool_close(&pool);
            return hn_fail(err, HONE_FAILED, "cannot start thread %d of %d", k + 1, n_threads);
        }
        pool->started = k;
    }
    *out = pool;
    return 0;
}

void hn_pool_close(struct hn_pool **p)
{
    struct hn_pool *pool = *p;
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    start_job(pool);
    for (int k = 1; k <= pool->started; k++)
        pthread_join(pool->workers[k].thread, NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    hn_free(pool);
    *p = NULL;
}

int hn_pool_size(const struct hn_pool *pool)
{
    return pool->n_threads;
}

void hn_pool_run(struct hn_pool *pool, hn_pool_fn *fn, void *arg)
{
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->running, pool->n_threads - 1, memory_order_relaxed);
    if (pool->n_threads > 1)
        start_job(pool);
    fn(arg, 0, pool->n_threads);
    for (int k = 0; atomic_load_explicit(&pool->running, memory_order_acquire) > 0; k += k < SPINS)
        pause_or_yield(k);
}

void hn_pool_barrier(struct hn_pool *pool)
{
    if (pool->n_threads == 1)
        return;
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add(&pool->arrived, 1) == pool->n_threads - 1) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->phase, phase + 1, memory_order_release);
        return;
    }
    for (int k = 0; atomic_load_explicit(&pool->phase, memory_order_acquire) == phase;
         k += k < SPINS)
        pause_or_yield(k);
}

void hn_pool_split(int64_t n, int64_t grain, int thread, int n_threads, int64_t *begin,
                   int64_t *end)
{
    int64_t grains = (n + grain - 1) / grain;
    *begin = HN_MIN(n, grains * thread / n_threads * grain);
    *end = HN_MIN(n, grains * (thread + 1) / n_threads * grain);
}

/* A container's CPU quota (cgroup v2), rounded up; a large number when there is none. */
static int cgroup_quota(void)
{
    long quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    int got = f ? fscanf(f, "%ld %ld", &quota, &period) : 0;
    if (f)
        fclose(f);
    return got == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : MAX_THREADS;
}

int hn_cpu_count(void)
{
    int n = 0;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n <= 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return HN_MAX(1, HN_MIN(n, cgroup_quota()));
}
