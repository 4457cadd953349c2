/* A small team of threads for kernels: the caller is thread 0, the others spin briefly, then sleep,
 * between jobs.  Which thread does which part is fixed by (part, n_threads), never by timing, so
 * results are reproducible. */
#ifndef HN_BASE_POOL_H
#define HN_BASE_POOL_H

#include "base/err.h"

struct hn_pool;

/* thread 0..n_threads-1; called once on each. */
typedef void hn_pool_fn(void *arg, int thread, int n_threads);

/* n_threads <= 0: as many as the process may run on (affinity mask, cgroup quota). */
HN_MUST_USE int hn_pool_open(struct hn_pool **out, int n_threads, struct hone_err *err);
void hn_pool_close(struct hn_pool **pool);
int hn_pool_size(const struct hn_pool *pool);

/* Run fn on every thread and return when all are done.  Not reentrant: one caller at a time. */
void hn_pool_run(struct hn_pool *pool, hn_pool_fn *fn, void *arg);

/* Inside a job: wait until every thread of the job is here. */
void hn_pool_barrier(struct hn_pool *pool);

/* The part [*begin, *end) of n items that thread does, in whole multiples of grain (except the
 * last). */
void hn_pool_split(int64_t n, int64_t grain, int thread, int n_threads, int64_t *begin,
                   int64_t *end);

/* Processors that this process may use. */
int hn_cpu_count(void);

#endif
