/* A small team of threads for kernels; the caller is thread 0.
 *
 * A job is cut into parts, so many as its shape and the number of threads say, never as timing
 * says; each is done once, by whichever thread comes to it:
 *
 *      parts   0 1 2 3 | 4 5 6 7 | 8 9 …     a thread takes those of its own range in order,
 *      range   thread 0  thread 1  thread 2  and then what others have not yet taken of theirs
 *
 * What a part computes depends on its number alone, so results are reproducible; and a thread that
 * the system has put aside holds up the part in its hands, nothing else. */
#ifndef HN_BASE_POOL_H
#define HN_BASE_POOL_H

#include "base/err.h"

struct hn_pool;

/* What a thread sees of a job. */
struct hn_parts {
    int thread;    /* 0..threads-1: whose working memory to use; a part's result depends on at */
    int64_t at, n; /* the part in hand, of n */
    struct hn_pool *pool; /* the rest is the pool's */
    uint64_t job, taken;
    int n_tried; /* ranges */
    bool again;
};

/* Called on a thread that has a part of the job to do; it goes on until hn_parts_next says no. */
typedef void hn_pool_fn(void *arg, struct hn_parts *parts);

enum { HN_POOL_PARTS_MAX = 65535, HN_POOL_THREADS_MAX = 512 };

/* n_threads <= 0: as many as the process may run on (affinity mask, cgroup quota). */
HN_MUST_USE int hn_pool_open(struct hn_pool **out, int n_threads, struct hone_err *err);
void hn_pool_close(struct hn_pool **pool);
int hn_pool_size(const struct hn_pool *pool);

/* How many parts to cut a job into that can be cut into most: a few for each thread. */
int64_t hn_pool_cut(const struct hn_pool *pool, int64_t most);

/* Do parts [0, n_parts) of fn; returns when all are done.  Not reentrant: one caller at a time. */
void hn_pool_run(struct hn_pool *pool, hn_pool_fn *fn, void *arg, int64_t n_parts);

/* From now on, add to *seconds what jobs that are shared among threads take; NULL: do not. */
void hn_pool_watch(struct hn_pool *pool, double *seconds);

/* Inside a job: take the next part; false when all are taken. */
bool hn_parts_next(struct hn_parts *parts);

/* Inside a job over n items: take the next part and give its items, [*begin, *end). */
bool hn_parts_range(struct hn_parts *parts, int64_t n, int64_t grain, int64_t *begin, int64_t *end);

/* The items [*begin, *end) of n that a part of n_parts has, in whole multiples of grain (except the
 * last). */
void hn_pool_split(int64_t n, int64_t grain, int64_t part, int64_t n_parts, int64_t *begin,
                   int64_t *end);

/* Processors that this process may use. */
int hn_cpu_count(void);

#endif
