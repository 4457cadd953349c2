#define _GNU_SOURCE
#include "base/pool.h"
#include "base/mem.h"
#include "base/os.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PARTS_PER_THREAD = 4,
    NUMBER_SHIFT = 16, /* a job's number stands above a count of parts; 48 bits outlast any run */
};

/* Waiting threads look again and again for about as long as it takes to wake one, which is longer
 * than the gap between two kernels of a step; then they sleep.  They never merely give way: a core
 * that falls idle is one to which the system brings the thread that all are waiting for. */
static const double spin_seconds = 50e-6;

/* A thread's range of parts, and where it sleeps. */
struct seat {
    _Alignas(64) _Atomic uint64_t taken; /* number of the last job it had parts in, and how many of
                                            them are taken */
    _Alignas(64) pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_bool asleep;
    struct hn_pool *pool;
    int index;
    pthread_t thread;
};

struct hn_pool {
    int n_threads, started;
    hn_pool_fn *fn;
    void *arg;
    double *watch;
    _Alignas(64) _Atomic uint64_t job;     /* number of the job, and its parts */
    atomic_bool stop;                      /* with job: there is none, and never will be */
    _Alignas(64) atomic_int_fast64_t left; /* parts of the job that are not done */
    _Alignas(64) atomic_int n_asleep;
    struct seat seats[];
};

/* ---- sleeping ------------------------------------------------------------------------------ */

typedef bool ready_fn(struct hn_pool *pool, uint64_t number);

static bool has_job_after(struct hn_pool *pool, uint64_t number)
{
    return atomic_load(&pool->job) >> NUMBER_SHIFT != number;
}

static bool is_done(struct hn_pool *pool, uint64_t number)
{
    (void)number;
    return atomic_load(&pool->left) == 0;
}

static bool spin(struct hn_pool *pool, ready_fn *ready, uint64_t number)
{
    enum { LOOKS = 32 }; /* between two looks at the clock */
    double until = 0;
    do {
        for (int k = 0; k < LOOKS; k++) {
            if (ready(pool, number))
                return true;
            hn_cpu_relax();
        }
        until = until > 0 ? until : hn_now() + spin_seconds;
    } while (hn_now() < until);
    return false;
}

/* The sleeper says that it sleeps, then looks whether it need not; who wakes changes what it looks
 * at, then looks whether somebody sleeps: one of the two sees the other. */
static void wait_until(struct seat *seat, ready_fn *ready, uint64_t number)
{
    struct hn_pool *pool = seat->pool;
    if (spin(pool, ready, number))
        return;
    pthread_mutex_lock(&seat->mutex);
    atomic_store(&seat->asleep, true);
    atomic_fetch_add(&pool->n_asleep, 1);
    while (!ready(pool, number))
        pthread_cond_wait(&seat->wake, &seat->mutex);
    atomic_fetch_sub(&pool->n_asleep, 1);
    atomic_store(&seat->asleep, false);
    pthread_mutex_unlock(&seat->mutex);
}

static void wake(struct seat *seat)
{
    if (!atomic_load(&seat->asleep))
        return;
    pthread_mutex_lock(&seat->mutex);
    pthread_cond_signal(&seat->wake);
    pthread_mutex_unlock(&seat->mutex);
}

/* ---- taking parts -------------------------------------------------------------------------- */

/* One more of the n parts of a seat's range.  The count of an older job stands for none taken.  A
 * thread that comes late, when its job is long done, finds all ranges of that job taken. */
static bool take(struct seat *seat, uint64_t number, uint64_t n, uint64_t *which)
{
    uint64_t seen = atomic_load_explicit(&seat->taken, memory_order_relaxed);
    do {
        uint64_t last = seen >> NUMBER_SHIFT;
        *which = last == number ? seen & HN_POOL_PARTS_MAX : 0;
        if (last > number || *which >= n)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&seat->taken, &seen,
                                                    number << NUMBER_SHIFT | (*which + 1),
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static int ranges(const struct hn_pool *pool, int64_t n_parts)
{
    return (int)HN_MIN(pool->n_threads, n_parts);
}

bool hn_parts_next(struct hn_parts *p)
{
    if (!p->pool)
        return ++p->at < p->n;
    if (p->again) {
        p->again = false;
        return true;
    }
    int n_ranges = ranges(p->pool, p->n);
    for (; p->n_tried < n_ranges; p->n_tried++) {
        int range = (p->thread + p->n_tried) % n_ranges;
        int64_t begin, end;
        uint64_t which;
        hn_pool_split(p->n, 1, range, n_ranges, &begin, &end);
        if (take(&p->pool->seats[range], p->job, (uint64_t)(end - begin), &which)) {
            p->at = begin + (int64_t)which;
            p->taken++;
            return true;
        }
    }
    return false;
}

bool hn_parts_range(struct hn_parts *parts, int64_t n, int64_t grain, int64_t *begin, int64_t *end)
{
    if (!hn_parts_next(parts))
        return false;
    hn_pool_split(n, grain, parts->at, parts->n, begin, end);
    return true;
}

/* The job's function and argument are looked at with a part in hand: they are the job's until its
 * last part is done. */
static void join_job(struct seat *seat, uint64_t job)
{
    struct hn_pool *pool = seat->pool;
    struct hn_parts parts = {.thread = seat->index,
                             .n = (int64_t)(job & HN_POOL_PARTS_MAX),
                             .pool = pool,
                             .job = job >> NUMBER_SHIFT};
    if (!hn_parts_next(&parts))
        return;
    parts.again = true;
    pool->fn(pool->arg, &parts);
    int_fast64_t taken = (int_fast64_t)parts.taken;
    if (atomic_fetch_sub(&pool->left, taken) == taken && seat->index)
        wake(&pool->seats[0]);
}

static void *work(void *arg)
{
    struct seat *seat = arg;
    struct hn_pool *pool = seat->pool;
    for (uint64_t job = 0;;) {
        wait_until(seat, has_job_after, job >> NUMBER_SHIFT);
        job = atomic_load(&pool->job);
        if (atomic_load(&pool->stop))
            return NULL;
        join_job(seat, job);
    }
}

static uint64_t start_job(struct hn_pool *pool, int64_t n_parts, int n_wanted)
{
    uint64_t number = (atomic_load_explicit(&pool->job, memory_order_relaxed) >> NUMBER_SHIFT) + 1;
    uint64_t job = number << NUMBER_SHIFT | (uint64_t)n_parts;
    atomic_store(&pool->job, job);
    for (int k = 1; k < n_wanted && atomic_load(&pool->n_asleep); k++)
        wake(&pool->seats[k]);
    return job;
}

void hn_pool_run(struct hn_pool *pool, hn_pool_fn *fn, void *arg, int64_t n_parts)
{
    HN_ASSERT(n_parts <= HN_POOL_PARTS_MAX);
    if (pool->n_threads == 1 || n_parts <= 1) {
        struct hn_parts alone = {.at = -1, .n = n_parts};
        if (n_parts > 0)
            fn(arg, &alone);
        return;
    }
    double start = pool->watch ? hn_now() : 0;
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->left, n_parts, memory_order_relaxed);
    join_job(&pool->seats[0], start_job(pool, n_parts, ranges(pool, n_parts)));
    wait_until(&pool->seats[0], is_done, 0);
    if (pool->watch)
        *pool->watch += hn_now() - start;
}

void hn_pool_watch(struct hn_pool *pool, double *seconds)
{
    pool->watch = seconds;
}

int64_t hn_pool_cut(const struct hn_pool *pool, int64_t most)
{
    int64_t parts = pool->n_threads > 1 ? pool->n_threads * PARTS_PER_THREAD : 1;
    return HN_MIN(parts, most);
}

/* ---- opening and closing ------------------------------------------------------------------- */

int hn_pool_open(struct hn_pool **out, int n_threads, struct hone_err *err)
{
    if (n_threads <= 0)
        n_threads = hn_cpu_count();
    n_threads = HN_MIN(n_threads, HN_POOL_THREADS_MAX);
    size_t size = sizeof(struct hn_pool) + (size_t)n_threads * sizeof(struct seat);
    struct hn_pool *pool = hn_alloc_aligned(size);
    if (!pool)
        return hn_fail_memory(err, "starting threads");
    memset(pool, 0, size);
    pool->n_threads = n_threads;
    for (int k = 0; k < n_threads; k++) {
        struct seat *seat = &pool->seats[k];
        seat->pool = pool;
        seat->index = k;
        pthread_mutex_init(&seat->mutex, NULL);
        pthread_cond_init(&seat->wake, NULL);
    }
    for (int k = 1; k < n_threads; k++) {
        if (pthread_create(&pool->seats[k].thread, NULL, work, &pool->seats[k]) != 0) {
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
    (void)start_job(pool, 0, pool->started + 1);
    for (int k = 1; k <= pool->started; k++)
        pthread_join(pool->seats[k].thread, NULL);
    for (int k = 0; k < pool->n_threads; k++) {
        pthread_mutex_destroy(&pool->seats[k].mutex);
        pthread_cond_destroy(&pool->seats[k].wake);
    }
    hn_free(pool);
    *p = NULL;
}

int hn_pool_size(const struct hn_pool *pool)
{
    return pool->n_threads;
}

void hn_pool_split(int64_t n, int64_t grain, int64_t part, int64_t n_parts, int64_t *begin,
                   int64_t *end)
{
    int64_t grains = (n + grain - 1) / grain;
    *begin = HN_MIN(n, grains * part / n_parts * grain);
    *end = HN_MIN(n, grains * (part + 1) / n_parts * grain);
}

/* A container's CPU quota (cgroup v2), rounded up; a large number when there is none. */
static int cgroup_quota(void)
{
    long quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    int got = f ? fscanf(f, "%ld %ld", &quota, &period) : 0;
    if (f)
        fclose(f);
    bool known = got == 2 && quota > 0 && period > 0;
    return known ? (int)((quota + period - 1) / period) : HN_POOL_THREADS_MAX;
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
