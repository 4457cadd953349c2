/* What adapters and the head's loss cost beside the bare products, per level, in one thread's
 * processor time:  kern_linear [TOKENS] [LEVEL] */
#include "backend/cpu/matmul.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *filled(size_t size)
{
    unsigned char *p = hn_alloc_aligned(size);
    if (!p)
        exit(1);
    for (size_t i = 0; i < size; i++) /* small numbers as halves and as floats */
        p[i] = i % 2 ? 0x2c + (unsigned char)(i / 2 % 3) : (unsigned char)(i * 73);
    return p;
}

static struct hn_tensor tensor(int64_t rows, int64_t cols)
{
    struct hn_tensor t = {.rows = rows, .rows_max = rows, .cols = cols, .dtype = HN_F32};
    float *p = filled((size_t)(rows * cols) * sizeof *p);
    for (int64_t i = 0; i < rows * cols; i++)
        p[i] = (float)(i * 7919 % 2001) * 1e-3f - 1.0f;
    t.data = p;
    return t;
}

static struct hn_weight weight(enum hn_layout layout, int64_t rows, int64_t cols)
{
    struct hn_weight w = {.m = {.layout = layout,
                                .rows = rows,
                                .cols = cols,
                                .row_size = hn_layout_row_size(layout, cols, 0)}};
    w.m.data = filled((size_t)rows * w.m.row_size);
    return w;
}

static void linears(struct hn_device *dev, int64_t t, int64_t d, int64_t out, int n, bool adapter)
{
    enum { R = 8 };
    struct hn_tensor x = tensor(t, d), dx = tensor(t, d), y[4], h[4], a[4], b[4], da[4], db[4];
    struct hn_tensor *py[4], *ph[4];
    const struct hn_tensor *pdy[4], *pch[4];
    struct hn_weight w[4];
    struct hn_adapter ad[4];
    struct hn_linear lin[4];
    for (int i = 0; i < n; i++) {
        w[i] = weight(HN_LAYOUT_Q4_1, out, d);
        y[i] = tensor(t, out);
        h[i] = tensor(t, R);
        a[i] = tensor(R, d);
        da[i] = tensor(R, d);
        b[i] = tensor(out, R);
        db[i] = tensor(out, R);
        ad[i] = (struct hn_adapter){&a[i], &b[i], &da[i], &db[i], 2.0f, 0.05f, (uint32_t)i};
        lin[i] = (struct hn_linear){&w[i], NULL, adapter ? &ad[i] : NULL};
        py[i] = &y[i], ph[i] = &h[i], pdy[i] = &y[i], pch[i] = &h[i];
    }
    double fwd = 1e9, bwd = 1e9;
    for (int r = 0; r < 20; r++) {
        double t0 = now();
        hn_cpu_linear_fwd(dev, py, ph, &x, lin, n, false);
        double t1 = now();
        hn_cpu_linear_bwd(dev, &dx, pdy, &x, pch, lin, n);
        double t2 = now();
        fwd = HN_MIN(fwd, t1 - t0);
        bwd = HN_MIN(bwd, t2 - t1);
    }
    double flops = 2e-9 * (double)(t * d * out * n);
    printf("%d x [%lld, %lld] -> %lld, adapters %d: forward %7.1f us (%.1f GFLOP/s), "
           "backward %7.1f us (%.1f)\n",
           n, (long long)t, (long long)d, (long long)out, adapter, fwd * 1e6, flops / fwd,
           bwd * 1e6, flops / bwd);
}

static void head(struct hn_device *dev, int64_t t, int64_t d, int64_t vocab)
{
    struct hn_weight w = weight(HN_LAYOUT_Q8_0, vocab, d);
    struct hn_tensor x = tensor(t, d), dx = tensor(t, d), loss = tensor(t, 1);
    int32_t *targets = filled((size_t)t * sizeof *targets);
    for (int64_t i = 0; i < t; i++)
        targets[i] = (int32_t)(i * 7919 % vocab);
    struct hn_batch batch = {.n_rows = t, .targets = targets};
    dev->batch = &batch; /* until the end of this function */
    for (int back = 0; back < 2; back++) {
        double best = 1e9;
        for (int r = 0; r < 4; r++) {
            double t0 = now();
            hn_cpu_head_loss(dev, &loss, NULL, back ? &dx : NULL, &x, &w);
            best = HN_MIN(best, now() - t0);
        }
        double flops = (1 + back) * 2e-9 * (double)(t * d * vocab);
        printf("head [%lld, %lld] of %lld, dx %d: %8.1f us (%.1f GFLOP/s)\n", (long long)t,
               (long long)d, (long long)vocab, back, best * 1e6, flops / best);
    }
    dev->batch = NULL;
}

int main(int argc, char **argv)
{
    int64_t t = argc > 1 ? strtol(argv[1], NULL, 10) : 250;
    for (int level = 1; level < HN_CPU_LEVEL_COUNT; level++) {
        const char *name = hn_cpu_level_name((enum hn_cpu_level)level);
        struct hn_device_options o = {1, name, HN_CLASS_EXACT};
        struct hn_limits limits = {.max_tokens = t,
                                   .max_rows = t,
                                   .max_width = 8192,
                                   .d_model = 2048,
                                   .vocab = 50000,
                                   .max_rank = 8};
        struct hn_batch batch = {.n_tokens = t, .seed = 5, .step = 1};
        struct hn_device *dev;
        struct hone_err err;
        if (!hn_cpu_level_available((enum hn_cpu_level)level) ||
            (argc > 2 && strcmp(argv[2], name) != 0))
            continue;
        if (hn_backend_cpu.open(&o, &dev, &err) || hn_backend_cpu.reserve(dev, &limits, &err))
            return 1;
        printf("# %s, %lld tokens\n", name, (long long)t);
        for (int adapter = 0; adapter < 2; adapter++) {
            dev->batch = &batch;
            linears(dev, t, 576, 576, 1, adapter);
            linears(dev, t, 576, 192, 3, adapter);
            linears(dev, t, 2048, 2048, 1, adapter);
        }
        head(dev, t, 576, 49152);
        hn_backend_cpu.close(&dev);
    }
    return 0;
}
