/* Measuring the machine: a stream of reads that no cache below the last holds, and multiply-adds in
 * registers.  The best of several short runs counts, for other programs only ever make it slower.
 */
#include "backend/cpu/limits.h"
#include "backend/cpu/vector.h"
#include "base/mem.h"
#include "base/os.h"

#include <string.h>

enum { READ_RUNS = 6, BURN_RUNS = 100, BURN_ROUNDS = 200000 };

struct job {
    struct hn_cpu_vector vector;
    float *data;
    int64_t n;
    double flops; /* of a part */
};

static void fill_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, 1024, &i, &end))
        memset(j->data + i, 0, (size_t)(end - i) * sizeof(float));
}

static void read_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, 1024, &i, &end)) {
        volatile float sink = j->vector.dot(j->data + i, j->data + i, end - i);
        (void)sink;
    }
}

static void burn_part(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    float x = 0.5f;
    while (hn_parts_next(parts)) {
        double flops = j->vector.burn(BURN_ROUNDS, &x);
        if (parts->at == 0)
            j->flops = flops;
    }
}

/* Seconds of the best of some runs, for no longer than a busy machine should be kept waiting. */
static double best_time(struct hn_device *dev, hn_pool_fn *fn, struct job *j, int runs)
{
    double best = 1e9, begin = hn_now();
    for (int k = 0; k < runs && (k == 0 || hn_now() - begin < 0.1); k++) {
        double start = hn_now();
        hn_pool_run(dev->pool, fn, j, dev->n_threads);
        best = HN_MIN(best, hn_now() - start);
    }
    return best;
}

int hn_cpu_measure_limits(struct hn_device *dev, struct hn_cpu_limits *out, struct hone_err *err)
{
    enum { READ_MAX = 128 << 20, READ_MIN = 16 << 20 };
    struct job j = {0};
    enum hn_cpu_level best = HN_CPU_C;
    for (int l = 0; l < HN_CPU_LEVEL_COUNT; l++)
        best = hn_cpu_level_available(l) ? (enum hn_cpu_level)l : best;
    hn_cpu_vector_select(&j.vector, best);
    uint64_t size = HN_MAX(HN_MIN(hn_memory_available() / 4, READ_MAX), READ_MIN);
    j.n = (int64_t)(size / sizeof(float));
    j.data = hn_alloc_aligned(size);
    if (!j.data)
        return hn_fail_memory(err, "measuring the memory's speed");
    hn_pool_run(dev->pool, fill_part, &j, dev->n_threads);
    out->read_gbs = (double)size / best_time(dev, read_part, &j, READ_RUNS) * 1e-9;
    double seconds = best_time(dev, burn_part, &j, BURN_RUNS);
    out->fma_gflops = j.flops * dev->n_threads / seconds * 1e-9;
    hn_free(j.data);
    return 0;
}
