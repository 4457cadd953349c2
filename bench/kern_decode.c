/* What a frozen linear of 2048 x 2048 weights costs behind a cache, per format and number of
 * tokens, in one thread's processor time; the weights do not fit the second cache: kern_decode
 * [LEVEL] [exact|int8] [TOKENS]… */
#include "backend/cpu/igemm.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { D = 2048, COPIES = 12, ROUNDS = 5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static unsigned char *filled(size_t size)
{
    unsigned char *p = hn_alloc_aligned(size);
    if (!p)
        exit(1);
    for (size_t i = 0; i < size; i++) /* small numbers as halves and as floats */
        p[i] = i % 2 ? 0x2c + (unsigned char)(i / 2 % 3) : (unsigned char)(i * 73);
    return p;
}

/* Microseconds of one product, the best of some rounds over all copies. */
static double measure(struct hn_device *dev, const struct hn_weight *w, int64_t t)
{
    int32_t slots[1] = {0};
    struct hn_batch batch = {.n_tokens = t, .slots = slots};
    struct hn_tensor x = {.rows = t, .rows_max = t, .cols = D}, y = x, *py[1] = {&y};
    float *px = x.data = filled((size_t)(t * D) * sizeof(float));
    y.data = filled((size_t)(t * D) * sizeof(float));
    for (int64_t i = 0; i < t * D; i++)
        px[i] = (float)(i * 7919 % 2001) * 1e-3f - 1.0f;
    dev->batch = &batch;
    double best = 1e9;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now();
        for (int c = 0; c < COPIES; c++) {
            struct hn_linear lin = {.w = &w[c]};
            hn_cpu_linear_fwd(dev, py, NULL, &x, &lin, 1, false);
        }
        best = HN_MIN(best, now() - start);
    }
    dev->batch = NULL;
    hn_free(x.data);
    hn_free(y.data);
    return best / COPIES * 1e6;
}

static void format(struct hn_device *dev, const char *name, struct hn_matrix m, int argc,
                   char **argv)
{
    struct hn_weight w[COPIES];
    m.rows = m.cols = D;
    m.row_size = hn_layout_row_size(m.layout, D, m.bits);
    if (m.group)
        m.scales = filled(D * D / (size_t)m.group * 4), m.biases = m.scales;
    for (int c = 0; c < COPIES; c++) {
        m.data = filled(D * m.row_size);
        w[c] = (struct hn_weight){.m = m};
    }
    printf("%-14s", name);
    for (int i = 0; i < argc; i++) {
        int64_t t = strtol(argv[i], NULL, 10);
        double us = measure(dev, w, t);
        printf("  %4lld: %8.1f us %5.1f GMAC/s", (long long)t, us, (double)(t * D * D) / us * 1e-3);
        if (t == 1)
            printf(" %5.1f GB/s", (double)hn_matrix_size(&m) / us * 1e-3);
    }
    printf("\n");
    for (int c = 0; c < COPIES; c++)
        hn_free((void *)(uintptr_t)w[c].m.data);
    hn_free((void *)(uintptr_t)m.scales);
}

int main(int argc, char **argv)
{
    static char *counts[] = {"1", "2", "4", "8", "32", "256"};
    bool int8 = argc > 2 && strcmp(argv[2], "int8") == 0;
    struct hn_device_options o = {1, argc > 1 ? argv[1] : NULL,
                                  int8 ? HN_CLASS_INT8 : HN_CLASS_EXACT};
    struct hn_limits limits = {.max_tokens = 512, .max_rows = 1, .max_width = D, .d_model = D};
    struct hn_device *dev;
    struct hone_err err;
    if (hn_backend_cpu.open(&o, &dev, &err) || hn_backend_cpu.reserve(dev, &limits, &err))
        return 1;
    printf("# %s\n", hn_backend_cpu.describe(dev));
    static const struct {
        const char *name;
        struct hn_matrix m;
    } formats[] = {
        {"Q4_0", {.layout = HN_LAYOUT_Q4_0}},
        {"Q4_1", {.layout = HN_LAYOUT_Q4_1}},
        {"Q5_0", {.layout = HN_LAYOUT_Q5_0}},
        {"Q8_0", {.layout = HN_LAYOUT_Q8_0}},
        {"Q4_K", {.layout = HN_LAYOUT_Q4_K}},
        {"Q6_K", {.layout = HN_LAYOUT_Q6_K}},
        {"affine 4/32",
         {.layout = HN_LAYOUT_AFFINE, .bits = 4, .group = 32, .scale_dtype = HN_BF16}},
        {"affine 4/64",
         {.layout = HN_LAYOUT_AFFINE, .bits = 4, .group = 64, .scale_dtype = HN_BF16}},
        {"affine 8/64",
         {.layout = HN_LAYOUT_AFFINE, .bits = 8, .group = 64, .scale_dtype = HN_BF16}},
        {"BF16", {.layout = HN_LAYOUT_BF16}},
    };
    for (size_t i = 0; i < HN_COUNT(formats); i++)
        format(dev, formats[i].name, formats[i].m, argc > 3 ? argc - 3 : (int)HN_COUNT(counts),
               argc > 3 ? argv + 3 : counts);
    hn_backend_cpu.close(&dev);
    return 0;
}
