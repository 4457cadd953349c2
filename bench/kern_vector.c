/* Rates of the CPU's inner loops, slot by slot and level by level on one thread, beside what the
 * machine can do (limits.h).  GB/s counts bytes read and written once.
 *
 *   kern_vector [level …]     the levels to time; all that the machine has when none is named */
#include "backend/cpu/limits.h"
#include "backend/cpu/vector.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 1 << 16, RUNS = 7 }; /* 256 KB arrays: in the second-level cache */

static struct hn_cpu_limits one;
static float *x[6];

static void fill(float *p, int64_t n)
{
    struct hn_rng rng;
    hn_rng_init(&rng, 1, 1);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(hn_rng_uniform(&rng) * 2 - 1);
}

/* The thread's own clock, so that other programs do not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best seconds of one evaluation of code. */
#define TIME(seconds, repeats, code)                                                               \
    do {                                                                                           \
        seconds = 1e9;                                                                             \
        for (int run_ = 0; run_ < RUNS; run_++) {                                                  \
            double start_ = now();                                                                 \
            for (int repeat_ = 0; repeat_ < (repeats); repeat_++) {                                \
                code;                                                                              \
            }                                                                                      \
            seconds = HN_MIN(seconds, (now() - start_) / (repeats));                               \
        }                                                                                          \
    } while (0)

static void show_bytes(const char *level, const char *slot, double seconds, double bytes)
{
    double rate = bytes / seconds * 1e-9;
    printf("%-7s %-14s %8.1f GB/s     %5.2f of memory reads\n", level, slot, rate,
           rate / one.read_gbs);
}

static void show_flops(const char *level, const char *slot, double seconds, double flops)
{
    double rate = flops / seconds * 1e-9;
    printf("%-7s %-14s %8.1f GFLOP/s  %5.2f of peak\n", level, slot, rate, rate / one.fma_gflops);
}

static void time_rows(const char *level, const struct hn_cpu_vector *v)
{
    struct hn_cpu_adamw k = {1, 0.9f, 0.1f, 0.999f, 0.001f, 1, 0, 1, 1e-8f};
    double s, array = N * sizeof(float);
    TIME(s, 20, v->rms_norm_fwd(x[0], x[1], x[2], N / 1024, 1024, 1e-5f));
    show_bytes(level, "rms_norm_fwd", s, 2 * array);
    TIME(s, 20, v->rms_norm_bwd(x[0], x[1], x[2], x[3], N / 1024, 1024, 1e-5f, true));
    show_bytes(level, "rms_norm_bwd", s, 4 * array);
    TIME(s, 20, v->rope(x[0], x[1], x[2], N / 64, 64, 32, run_ & 1));
    show_bytes(level, "rope", s, 2 * array);
    TIME(s, 20, v->glu_fwd(x[0], x[1], x[2], N));
    show_bytes(level, "glu_fwd", s, 3 * array);
    TIME(s, 20, v->glu_bwd(x[0], x[3], x[1], x[2], x[4], N));
    show_bytes(level, "glu_bwd", s, 5 * array);
    memset(x[1], 0, (size_t)array);
    TIME(s, 20, v->add(x[0], x[1], N));
    show_bytes(level, "add", s, 3 * array);
    TIME(s, 20, v->scale(x[0], x[3], 0.5f, N));
    show_bytes(level, "scale", s, 2 * array);
    volatile double sink;
    TIME(s, 20, sink = (double)v->dot(x[2], x[3], N));
    show_bytes(level, "dot", s, 2 * array);
    TIME(s, 20, sink = v->sum_squares(x[2], N));
    (void)sink;
    show_bytes(level, "sum_squares", s, array);
    for (int i = 0; i < 6; i++)
        fill(x[i], N);
    memset(x[3], 0, (size_t)array);
    TIME(s, 20, v->adamw(x[0], x[1], x[2], x[3], N, &k));
    show_bytes(level, "adamw", s, 7 * array);
}

static void time_tiles(const char *level, const struct hn_cpu_vector *v)
{
    double s;
    char name[32];
    static const int shapes[][3] = {{64, 64, 64}, {64, 64, 128}, {64, 128, 64}, {3, 64, 64}};
    for (size_t i = 0; i < HN_COUNT(shapes); i++) {
        int m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        snprintf(name, sizeof name, "product %dx%dx%d", m, n, k);
        TIME(s, 50, v->product(x[0], n, x[1], 576, 1, x[2], n, m, n, k, true));
        show_flops(level, name, s, 2.0 * m * n * k);
    }
    TIME(s, 50, v->product(x[0], 64, x[1], 1, 64, x[2], 576, 64, 64, 64, true));
    show_flops(level, "product A^T", s, 2.0 * 64 * 64 * 64);
    for (int n = 1; n <= 8; n += n == 1 ? 2 : 5) { /* query rows over 1024 float16 of 64 */
        const struct hn_cpu_rows k = {x[1], 64, HN_F16, NULL};
        memset(x[4], 0, 1024);
        snprintf(name, sizeof name, "scores_few %d", n);
        TIME(s, 10, v->scores_few(x[0], 1024, &k, x[2], n, 1024, 64));
        show_bytes(level, name, s, 1024 * 64 * 2.0);
        snprintf(name, sizeof name, "weigh_few %d", n);
        TIME(s, 10, v->weigh_few(x[2], x[4], x[0], 1024, &k, n, 1024, 64));
        show_bytes(level, name, s, 1024 * 64 * 2.0);
        TIME(s, 10,
             v->softmax_few(x[0], 1024, n, 1024, 0.1f, NULL, NULL, x[4], x[4] + 64, x[4] + 128));
        printf("%-7s softmax_few %d %8.2f ns each\n", level, n, s * 1e9 / (1024 * n));
    }
    const float *rows[64];
    for (int i = 0; i < 64; i++)
        rows[i] = x[1] + i * 576;
    TIME(s, 50, v->transpose(x[0], 64, rows, 64, 64));
    show_bytes(level, "transpose", s, 2 * 64 * 64 * 4.0);
    fill(x[4], 64);
    memset(x[5], 0, 1024);
    TIME(s, 50, v->softmax(x[0], 64, 64, 64, 0.1f, NULL, NULL, x[4], x[5], x[5] + 64));
    printf("%-7s %-14s %8.2f ns each\n", level, "softmax", s * 1e9 / 4096);
    TIME(s, 50, v->softmax_bwd(x[0], x[1], 64, 64, 64, 0.1f, NULL, NULL, x[4], x[5]));
    printf("%-7s %-14s %8.2f ns each\n", level, "softmax_bwd", s * 1e9 / 4096);
}

static struct hn_device *open_device(const char *level)
{
    struct hone_err err = {0};
    struct hn_device_options o = {.n_threads = 1, .level = level};
    struct hn_device *dev = NULL;
    if (hn_backend_cpu.open(&o, &dev, &err)) {
        fprintf(stderr, "kern_vector: %s\n", err.message);
        exit(1);
    }
    return dev;
}

static void time_level(const char *level)
{
    struct hn_device *dev = open_device(level);
    float factor = 0.5f;
    double seconds, flops = 0;
    TIME(seconds, 1, flops = dev->vector->burn(200000, &factor));
    printf("%-7s multiply-adds  %8.1f GFLOP/s  on one thread; fractions of peak are of this\n",
           level, flops / seconds * 1e-9);
    one.fma_gflops = flops / seconds * 1e-9;
    for (int i = 0; i < 6; i++)
        fill(x[i], N);
    time_rows(level, dev->vector);
    for (int i = 0; i < 6; i++)
        fill(x[i], N);
    time_tiles(level, dev->vector);
    hn_backend_cpu.close(&dev);
}

int main(int argc, char **argv)
{
    struct hone_err err = {0};
    struct hn_device *dev = open_device(NULL);
    if (hn_cpu_measure_limits(dev, &one, &err))
        return 1;
    printf("%s: reads %.1f GB/s, multiply-adds %.1f GFLOP/s\n", hn_backend_cpu.describe(dev),
           one.read_gbs, one.fma_gflops);
    hn_backend_cpu.close(&dev);
    for (int i = 0; i < 6; i++)
        if (!(x[i] = hn_alloc_aligned(N * sizeof(float))))
            return 1;
    for (int i = 1; i < argc; i++)
        time_level(argv[i]);
    for (int l = 0; l < HN_CPU_AMX && argc == 1; l++)
        if (hn_cpu_level_available(l))
            time_level(hn_cpu_level_name(l));
    for (int i = 0; i < 6; i++)
        hn_free(x[i]);
    return 0;
}
