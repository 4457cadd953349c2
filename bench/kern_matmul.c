/* Rates of the CPU backend's matrix products beside this machine's own limits:
 *
 *   kern_matmul [-l LEVEL] [-t TOKENS] [-f FORMAT] [-s NxK] [-j THREADS] [-r REPEATS] [-c 1]
 *               [-p exact|bf16]
 *
 * For many tokens GFLOP/s and the fraction of the FMA rate that the level's registers reach; for
 * one token the GB/s of stored weights read and the fraction of the read bandwidth.  Best of
 * REPEATS; the limits are measured in the same run, before and after.
 * -c 1 runs one thread and counts its processor time, which a busy machine disturbs less. */
#include "backend/cpu/matmul.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- limits of the machine ----------------------------------------------------------------- */

#ifdef __x86_64__
#include <immintrin.h>

enum { CHAINS = 12, STEPS = 200000 };

__attribute__((target("avx512f"))) static float fma_512(void)
{
    __m512 s[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            s[j] = _mm512_fmadd_ps(s[j], x, y);
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm512_add_ps(s[0], s[j]);
    return _mm512_reduce_add_ps(s[0]);
}

__attribute__((target("avx2,fma"))) static float fma_256(void)
{
    __m256 s[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
    for (int j = 0; j < CHAINS; j++)
        s[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            s[j] = _mm256_fmadd_ps(s[j], x, y);
    for (int j = 1; j < CHAINS; j++)
        s[0] = _mm256_add_ps(s[0], s[j]);
    float out[8];
    _mm256_storeu_ps(out, s[0]);
    return out[0];
}

/* Asks ahead as the kernels do: without, the processor's own prefetch is the limit. */
__attribute__((target("avx2"))) static uint64_t read_words(const uint64_t *at, const uint64_t *end)
{
    __m256i s[4] = {0};
    for (; at + 16 <= end; at += 16) {
        HN_PREFETCH(at + 256);
        HN_PREFETCH(at + 264);
        for (int k = 0; k < 4; k++)
            s[k] = _mm256_add_epi64(s[k], _mm256_loadu_si256((const __m256i *)(at + 4 * k)));
    }
    s[0] = _mm256_add_epi64(_mm256_add_epi64(s[0], s[1]), _mm256_add_epi64(s[2], s[3]));
    return (uint64_t)_mm256_extract_epi64(s[0], 0);
}

static float fma_loop(int level)
{
    return level >= HN_CPU_AVX512 ? fma_512() : fma_256();
}
static double fma_flops(int level)
{
    return 2.0 * CHAINS * STEPS * (level >= HN_CPU_AVX512 ? 16 : 8);
}
#else
static uint64_t read_words(const uint64_t *at, const uint64_t *end)
{
    uint64_t sum = 0;
    while (at < end)
        sum += *at++;
    return sum;
}
static float fma_loop(int level)
{
    return (float)level;
}
static double fma_flops(int level)
{
    (void)level;
    return 0;
}
#endif

struct limit {
    int level;
    const uint64_t *data; /* to read */
    size_t words;
};

static void fma_job(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts)) {
        volatile float sink = fma_loop(((struct limit *)arg)->level);
        (void)sink;
    }
}

static void read_job(void *arg, struct hn_parts *parts)
{
    struct limit *l = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, (int64_t)l->words, 64, &begin, &end)) {
        volatile uint64_t sink = read_words(l->data + begin, l->data + end);
        (void)sink;
    }
}

/* Best rate of work units per second. */
static double best_rate(struct hn_pool *pool, hn_pool_fn *fn, void *arg, double work, int repeats)
{
    double best = 0;
    for (int r = 0; r < repeats; r++) {
        double t = now();
        hn_pool_run(pool, fn, arg, hn_pool_size(pool));
        t = now() - t;
        best = work / t > best ? work / t : best;
    }
    return best;
}

/* ---- weights ------------------------------------------------------------------------------- */

static const struct format {
    const char *name;
    enum hn_layout layout;
    int bits, group;
} formats[] = {
    {"f32", HN_LAYOUT_F32, 0, 0},         {"bf16", HN_LAYOUT_BF16, 0, 0},
    {"f16", HN_LAYOUT_F16, 0, 0},         {"q4_0", HN_LAYOUT_Q4_0, 0, 0},
    {"q4_1", HN_LAYOUT_Q4_1, 0, 0},       {"q8_0", HN_LAYOUT_Q8_0, 0, 0},
    {"affine4", HN_LAYOUT_AFFINE, 4, 64}, {"affine8", HN_LAYOUT_AFFINE, 8, 64},
    {"affine3", HN_LAYOUT_AFFINE, 3, 64}, {"affine6", HN_LAYOUT_AFFINE, 6, 64},
    {"affine2", HN_LAYOUT_AFFINE, 2, 64}, {"affine5", HN_LAYOUT_AFFINE, 5, 64},
    {"q5_0", HN_LAYOUT_Q5_0, 0, 0},       {"q5_1", HN_LAYOUT_Q5_1, 0, 0},
    {"q4_k", HN_LAYOUT_Q4_K, 0, 0},       {"q5_k", HN_LAYOUT_Q5_K, 0, 0},
    {"q6_k", HN_LAYOUT_Q6_K, 0, 0},       {"nf4", HN_LAYOUT_BNB4, 0, 0},
    {"int8", HN_LAYOUT_BNB8, 0, 0},
};

static void *bytes(size_t size)
{
    unsigned char *p = hn_alloc_aligned(size);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < size; i++) /* 16-bit words below 1 in either half format */
        p[i] = i % 2 ? 0x2c + (unsigned char)(i / 2 % 3) : (unsigned char)(i * 73);
    return p;
}

static struct hn_matrix matrix_of(const struct format *f, int64_t n, int64_t k)
{
    struct hn_matrix m = {.layout = f->layout,
                          .rows = n,
                          .cols = k,
                          .row_size = hn_layout_row_size(f->layout, k, f->bits),
                          .bits = f->bits,
                          .group = f->group,
                          .scale_dtype = HN_F16};
    m.data = bytes((size_t)n * m.row_size);
    if (f->group) {
        m.scales = bytes((size_t)(n * k / f->group) * 2);
        m.biases = bytes((size_t)(n * k / f->group) * 2);
    }
    if (f->layout == HN_LAYOUT_BNB8)
        m.scales = bytes((size_t)n * 4);
    if (f->layout == HN_LAYOUT_BNB4) {
        m.scales = bytes((size_t)(n * k / 64) * 4 + sizeof *m.bnb4 + 64); /* freed as one */
        struct hn_bnb4 *b = (struct hn_bnb4 *)(void *)(uintptr_t)(m.scales + n * k / 16);
        *b = (struct hn_bnb4){.map = m.data, .block = 64, .absmax = m.scales, .dtype = HN_BF16};
        m.bnb4 = b;
    }
    return m;
}

static void matrix_free(struct hn_matrix *m)
{
    hn_free((void *)(uintptr_t)m->data);
    hn_free((void *)(uintptr_t)m->scales);
    hn_free((void *)(uintptr_t)m->biases);
}

/* ---- runs ---------------------------------------------------------------------------------- */

struct options {
    int level, threads, repeats;
    int64_t tokens, n, k;
    const char *format;
    enum hn_class compute;
};

static void floats(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(i * 7919 % 2001) * 1e-3f - 1.0f;
}

/* More copies than the caches hold, so that one token meets weights in memory as a model's are. */
enum { COPIES_BYTES = 600 << 20, COPIES_MAX = 24 };

static double time_product(struct hn_device *dev, struct hn_matrix *m, int copies, float *x,
                           float *y, int64_t tokens, bool back, int repeats)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    double best = 1e30;
    for (int r = -1; r < repeats; r++) {
        struct hn_matrix *w = &m[(r + 1) % copies];
        struct hn_mm_out out = {w, NULL, y};
        struct hn_mm_in in = {w, y};
        double t = now();
        if (back)
            hn_mm_backward(dev, s, x, tokens, w->cols, &in, 1, false);
        else
            hn_mm_forward(dev, s, x, tokens, w->cols, &out, 1, false);
        t = now() - t;
        if (r >= 0 && t < best)
            best = t;
    }
    return best;
}

static void run(struct hn_device *dev, const struct format *f, int64_t n, int64_t k, int64_t tokens,
                double fma, double read, int repeats)
{
    struct hn_matrix m[COPIES_MAX];
    int copies = 1;
    m[0] = matrix_of(f, n, k);
    double size = (double)hn_matrix_size(&m[0]);
    if (tokens <= HN_MM_VECTORS_MAX)
        while (copies < COPIES_MAX && copies * size < COPIES_BYTES)
            m[copies++] = matrix_of(f, n, k);
    float *x = bytes((size_t)(tokens * k) * 4), *y = bytes((size_t)(tokens * n) * 4);
    floats(x, (size_t)(tokens * k));
    for (int back = 0; back < 2; back++) {
        if (back && tokens == 1)
            break;
        floats(y, (size_t)(tokens * n));
        double t = time_product(dev, m, copies, x, y, tokens, back, repeats);
        double flops = 2.0 * (double)tokens * (double)n * (double)k / t;
        printf("%-7s %-8s T=%-4lld N=%-5lld K=%-5lld %-8s %8.1f us", hn_cpu_level_name(dev->level),
               f->name, (long long)tokens, (long long)n, (long long)k,
               back ? "backward" : "forward", t * 1e6);
        if (tokens <= HN_MM_VECTORS_MAX)
            printf(" %7.2f GB/s %5.1f %% of read", size / t * 1e-9, 100 * size / t / read);
        printf(" %7.1f GFLOP/s %5.1f %% of fma\n", flops * 1e-9, 100 * flops / fma);
    }
    hn_free(x);
    hn_free(y);
    for (int i = 0; i < copies; i++)
        matrix_free(&m[i]);
}

static void run_level(const struct options *o, int level)
{
    struct limit limit = {.level = level, .words = 128 << 17};
    struct hn_limits limits = {.max_tokens = o->tokens ? o->tokens : 512, .max_width = 8192};
    struct hn_device_options options = {o->threads, hn_cpu_level_name((enum hn_cpu_level)level),
                                        o->compute};
    struct hone_err err;
    struct hn_device *dev;
    if (hn_backend_cpu.open(&options, &dev, &err) != 0 ||
        hn_backend_cpu.reserve(dev, &limits, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    const int32_t slots[1] = {0};
    const struct hn_batch batch = {.slots = slots}; /* few tokens: as a step of generation */
    dev->batch = &batch;
    limit.data = bytes(limit.words * 8);
    double threads = dev->n_threads;
    double fma = best_rate(dev->pool, fma_job, &limit, fma_flops(level) * threads, 30);
    double read = best_rate(dev->pool, read_job, &limit, (double)limit.words * 8, 10);
    printf("# %s; fma %.1f GFLOP/s, read %.1f GB/s\n", hn_backend_cpu.describe(dev), fma * 1e-9,
           read * 1e-9);
    static const int64_t shapes[][2] = {{576, 576},  {192, 576},   {1536, 576},
                                        {576, 1536}, {2048, 2048}, {5632, 2048}};
    static const int64_t tokens[] = {250, 32, 1};
    for (size_t f = 0; f < HN_COUNT(formats); f++) {
        if (o->format && strcmp(o->format, formats[f].name) != 0)
            continue;
        for (size_t t = 0; t < HN_COUNT(tokens); t++) {
            if (o->tokens && t)
                continue;
            for (size_t k = 0; k < HN_COUNT(shapes); k++)
                if (!o->n || k == 0)
                    run(dev, &formats[f], o->n ? o->n : shapes[k][0], o->k ? o->k : shapes[k][1],
                        o->tokens ? o->tokens : tokens[t], fma, read, o->repeats);
        }
    }
    double again = best_rate(dev->pool, fma_job, &limit, fma_flops(level) * threads, 30);
    printf("# fma afterwards %.1f GFLOP/s\n", again * 1e-9);
    hn_free((void *)(uintptr_t)limit.data);
    hn_backend_cpu.close(&dev);
}

int main(int argc, char **argv)
{
    struct options o = {.level = -1, .repeats = 20};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *v = argv[i + 1];
        long long n = 0, k = 0;
        switch (argv[i][0] == '-' ? argv[i][1] : 0) {
        case 'l':
            for (int level = 0; level < HN_CPU_LEVEL_COUNT; level++)
                if (strcmp(v, hn_cpu_level_name((enum hn_cpu_level)level)) == 0)
                    o.level = level;
            break;
        case 't':
            o.tokens = strtoll(v, NULL, 10);
            break;
        case 'f':
            o.format = v;
            break;
        case 's':
            if (sscanf(v, "%lldx%lld", &n, &k) == 2)
                o.n = n, o.k = k;
            break;
        case 'j':
            o.threads = (int)strtol(v, NULL, 10);
            break;
        case 'r':
            o.repeats = (int)strtol(v, NULL, 10);
            break;
        case 'p':
            o.compute = strcmp(v, "bf16") == 0 ? HN_CLASS_BF16 : HN_CLASS_EXACT;
            break;
        case 'c':
            o.threads = 1;
            clock_used = CLOCK_THREAD_CPUTIME_ID;
            break;
        default:
            fprintf(stderr, "see the top of kern_matmul.c\n");
            return 2;
        }
    }
    for (int level = 1; level < HN_CPU_LEVEL_COUNT; level++)
        if (hn_cpu_level_available((enum hn_cpu_level)level) && (o.level < 0 || o.level == level))
            run_level(&o, level);
    return 0;
}
