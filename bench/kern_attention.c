/* Rates of attention beside what the machine can do (limits.h): of training forward and backward,
 * of a chunk of a prompt behind a cache, and of single tokens behind one.  GFLOP/s counts the
 * products of the scores that are seen: 4 HD operations each forward, 10 HD backward; GB/s counts
 * the keys and values that are seen, once.
 *
 *   kern_attention [-t THREADS] [-l LEVEL] [train|prefill|decode …]     all three when none is
 * named
 */
#include "backend/cpu/limits.h"
#include "backend/cpu/vector.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 512, MANY_BYTES = 128 << 20 }; /* caches are read from memory, not from cache */

static const struct model {
    const char *name;
    struct hn_attention shape;
} models[] = {
    {"9 heads over 3 of 64", {9, 3, 64, 0.125f, 0}},
    {"32 heads over 4 of 64", {32, 4, 64, 0.125f, 0}},
    {"32 heads over 8 of 128", {32, 8, 128, 0.088f, 0}},
};

static const struct hn_backend *be = &hn_backend_cpu;
static struct hn_device *dev;
static struct hn_cpu_limits limits;

static void fail(const char *what)
{
    fprintf(stderr, "kern_attention: %s\n", what);
    exit(1);
}

static struct hn_tensor tensor(int64_t rows, int64_t cols)
{
    struct hn_tensor t = {.rows = rows, .rows_max = rows, .cols = cols};
    struct hn_rng rng;
    float *p = hn_alloc_aligned((size_t)(rows * cols) * sizeof *p);
    if (!p)
        fail("out of memory");
    hn_rng_init(&rng, 1, 1);
    for (int64_t i = 0; i < rows * cols; i++)
        p[i] = (float)(hn_rng_uniform(&rng) * 2 - 1);
    t.data = p;
    return t;
}

/* Best seconds of one evaluation of code. */
#define TIME(seconds, runs, code)                                                                  \
    do {                                                                                           \
        seconds = 1e9;                                                                             \
        for (int run_ = 0; run_ < (runs); run_++) {                                                \
            double start_ = hn_now();                                                              \
            code;                                                                                  \
            seconds = HN_MIN(seconds, hn_now() - start_);                                          \
        }                                                                                          \
    } while (0)

static void show(const char *name, int64_t n, double seconds, double flops, double bytes)
{
    double gflops = flops / seconds * 1e-9, gbs = bytes / seconds * 1e-9;
    printf("  %-22s %6lld %10.1f us %8.1f GFLOP/s, %4.2f of peak", name, (long long)n,
           seconds * 1e6, gflops, gflops / limits.fma_gflops);
    if (bytes > 0)
        printf(" %8.1f GB/s, %4.2f of memory reads", gbs, gbs / limits.read_gbs);
    printf("\n");
    fflush(stdout);
}

/* Pairs of a query and a key that it sees, of n tokens after past others. */
static double pairs(const struct hn_attention *s, int64_t past, int64_t n)
{
    double sum = 0;
    for (int64_t t = past; t < past + n; t++)
        sum += (double)(s->window ? HN_MIN(s->window, t + 1) : t + 1);
    return sum * (double)s->n_heads;
}

static void time_train(const struct model *m, int64_t n, int64_t window)
{
    struct hn_attention s = m->shape;
    int64_t qw = s.n_heads * s.head_size, kw = s.n_kv_heads * s.head_size;
    int32_t offsets[2] = {0, (int32_t)n};
    struct hn_batch batch = {.n_tokens = n, .n_seqs = 1, .offsets = offsets};
    struct hn_tensor q = tensor(n, qw), k = tensor(n, kw), v = tensor(n, kw), o = tensor(n, qw);
    struct hn_tensor d_o = tensor(n, qw), dq = tensor(n, qw), dk = tensor(n, kw);
    struct hn_tensor dv = tensor(n, kw), lse = tensor(n, s.n_heads);
    struct hn_tensor *ts[] = {&q, &k, &v, &o, &d_o, &dq, &dk, &dv, &lse};
    double seconds, size;
    s.window = window;
    size = pairs(&s, 0, n) * (double)s.head_size;
    be->begin(dev, &batch);
    TIME(seconds, 7, be->attention_fwd(dev, &o, &lse, &q, &k, &v, &s));
    show(window ? "forward, window 256" : "forward", n, seconds, 4 * size, 0);
    TIME(seconds, 7, be->attention_bwd(dev, &dq, &dk, &dv, &d_o, &q, &k, &v, &o, &lse, &s));
    show(window ? "backward, window 256" : "backward", n, seconds, 10 * size, 0);
    for (size_t i = 0; i < HN_COUNT(ts); i++)
        hn_free(ts[i]->data);
}

/* A cache of slots of depth + n tokens, all filled, in as many layers as memory is to be read. */
static struct hn_kv *open_cache(struct hn_kv_shape *shape)
{
    struct hone_err err = {0};
    struct hn_kv *kv = NULL;
    shape->n_layers = 1;
    shape->n_layers = 1 + (int64_t)(MANY_BYTES / be->kv_size(dev, shape));
    if (be->kv_open(dev, shape, &kv, &err))
        fail(err.message);
    struct hn_tensor x = tensor(CHUNK, shape->n_heads * shape->head_size);
    for (int64_t layer = 0; layer < shape->n_layers; layer++)
        for (int32_t slot = 0; slot < shape->n_slots; slot++)
            for (int32_t past = 0; past < shape->context; past += CHUNK) {
                int32_t offsets[2] = {0, (int32_t)HN_MIN(CHUNK, shape->context - past)};
                struct hn_batch batch = {.n_tokens = offsets[1],
                                         .n_seqs = 1,
                                         .offsets = offsets,
                                         .slots = &slot,
                                         .past = &past};
                be->begin(dev, &batch);
                hn_cpu_kv_append(dev, kv, layer, &x, &x);
            }
    hn_free(x.data);
    return kv;
}

/* One step of n tokens for each of some sequences that have depth tokens behind them. */
static void time_step(const struct model *m, const char *name, enum hn_kv_type type, int64_t n_seqs,
                      int64_t depth, int64_t n)
{
    enum { MOST = 8 };
    const struct hn_attention *s = &m->shape;
    int64_t layer = 0, rows = n * n_seqs;
    int64_t qw = s->n_heads * s->head_size, kw = s->n_kv_heads * s->head_size;
    struct hn_kv_shape shape = {0, n_seqs, depth + n, s->n_kv_heads, s->head_size, type};
    struct hn_kv *kv = open_cache(&shape);
    struct hn_tensor q = tensor(rows, qw), k = tensor(rows, kw), v = tensor(rows, kw);
    struct hn_tensor o = tensor(rows, qw);
    int32_t offsets[MOST + 1] = {0}, slots[MOST], past[MOST];
    struct hn_batch batch = {
        .n_tokens = rows, .n_seqs = n_seqs, .offsets = offsets, .slots = slots, .past = past};
    for (int32_t i = 0; i < n_seqs; i++) {
        slots[i] = i;
        past[i] = (int32_t)depth;
        offsets[i + 1] = (int32_t)((i + 1) * n);
    }
    double seconds, bytes, flops = 4 * pairs(s, depth, n) * (double)(s->head_size * n_seqs);
    be->begin(dev, &batch);
    TIME(seconds, n == 1 ? 40 : 5, {
        be->attention_cached(dev, &o, &q, &k, &v, kv, layer, s);
        layer = (layer + 1) % shape.n_layers;
    });
    bytes = (double)be->kv_size(dev, &shape) / (double)shape.n_layers;
    show(name, depth, seconds, flops, n == 1 ? bytes : 0);
    be->kv_close(dev, &kv);
    struct hn_tensor *ts[] = {&q, &k, &v, &o};
    for (size_t i = 0; i < HN_COUNT(ts); i++)
        hn_free(ts[i]->data);
}

static void time_model(const struct model *m, bool train, bool prefill, bool decode)
{
    struct hone_err err = {0};
    if (hn_cpu_measure_limits(dev, &limits, &err))
        fail(err.message);
    printf("%s; %s: reads %.1f GB/s, multiply-adds %.1f GFLOP/s\n", m->name, be->describe(dev),
           limits.read_gbs, limits.fma_gflops);
    if (train) {
        time_train(m, 512, 0);
        time_train(m, 2048, 0);
        time_train(m, 2048, 256);
    }
    for (int64_t depth = 0; prefill && depth <= 32768 - CHUNK; depth = depth ? 4 * depth : 2040) {
        time_step(m, "chunk of 512, f16", HN_KV_F16, 1, depth, CHUNK);
        time_step(m, "chunk of 512, q8_0", HN_KV_Q8_0, 1, depth, CHUNK);
    }
    for (int64_t depth = 500; decode && depth <= 32000; depth *= 4) {
        time_step(m, "token, f16", HN_KV_F16, 1, depth, 1);
        time_step(m, "token, q8_0", HN_KV_Q8_0, 1, depth, 1);
        if (depth < 32000) {
            time_step(m, "4 sequences, f16", HN_KV_F16, 4, depth, 1);
            time_step(m, "token, f32", HN_KV_F32, 1, depth, 1);
        }
    }
}

int main(int argc, char **argv)
{
    struct hone_err err = {0};
    struct hn_device_options o = {0};
    bool some = false, train = false, prefill = false, decode = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-t") == 0 && i + 1 < argc)
            o.n_threads = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "-l") == 0 && i + 1 < argc)
            o.level = argv[++i];
        else if (strcmp(argv[i], "train") == 0)
            some = train = true;
        else if (strcmp(argv[i], "prefill") == 0)
            some = prefill = true;
        else if (strcmp(argv[i], "decode") == 0)
            some = decode = true;
        else
            fail("usage: kern_attention [-t THREADS] [-l LEVEL] [train|prefill|decode ...]");
    }
    struct hn_limits most = {.max_tokens = 2048,
                             .max_seqs = 8,
                             .max_rows = 1,
                             .max_width = 64,
                             .d_model = 64,
                             .vocab = 64,
                             .n_heads = 32,
                             .n_kv_heads = 8,
                             .head_size = 128,
                             .max_context = 40000,
                             .training = true};
    if (be->open(&o, &dev, &err) || be->reserve(dev, &most, &err))
        fail(err.message);
    for (size_t i = 0; i < HN_COUNT(models); i++)
        time_model(&models[i], train || !some, prefill || !some, decode || !some);
    be->close(&dev);
    return 0;
}
