/* SGD against torch.optim.SGD, and AdamW with 8-bit state against bitsandbytes on the CPU
 * (optimizer.safetensors, made by tools/make_optimizer_goldens.py), at every level that the machine
 * has and with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "format/safetensors.h"

enum { N8 = 4200, BLOCKS = 17, STEPS8 = 4, N_SGD = 300, STEPS_SGD = 4 };

static struct hn_safetensors golden;

static int open_golden(void **state)
{
    struct hone_err err;
    (void)state;
    return hn_st_open(&golden, HN_TEST_DIR "/train/optimizer.safetensors", &err);
}

static int close_golden(void **state)
{
    (void)state;
    hn_st_release(&golden);
    return 0;
}

static const void *bytes(const char *name, size_t size)
{
    const struct hn_st_tensor *t = hn_st_find(&golden, name);
    if (!t || t->size != size)
        fail_msg("optimizer.safetensors lacks %s of %zu bytes", name, size);
    return t->data;
}

static const float *floats(float *out, const char *what, const char *name, int step, int64_t n)
{
    char key[64];
    if (step < 0)
        snprintf(key, sizeof key, "%s.%s", what, name);
    else
        snprintf(key, sizeof key, "%s.%s.%d", what, name, step);
    memcpy(out, bytes(key, (size_t)n * sizeof *out), (size_t)n * sizeof *out);
    return out;
}

static struct hn_device *open_device(const char *level, int threads)
{
    const struct hn_device_options o = {.n_threads = threads, .level = level};
    struct hn_device *dev = NULL;
    struct hone_err err;
    return hn_backend_cpu.open(&o, &dev, &err) ? NULL : dev;
}

static struct hn_tensor tensor(void *data, int64_t n)
{
    return (struct hn_tensor){.rows = 1, .rows_max = 1, .cols = n, .dtype = HN_F32, .data = data};
}

/* ---- SGD --------------------------------------------------------------------------------------
 */

static const struct sgd_case {
    const char *name;
    struct hn_sgd o;
} sgd_cases[] = {
    {"plain", {.grad_scale = 1}},
    {"decay", {.grad_scale = 1, .weight_decay = 0.1}},
    {"momentum", {.grad_scale = 1, .momentum = 0.9}},
    {"nesterov", {.grad_scale = 1, .momentum = 0.8, .nesterov = true, .weight_decay = 0.05}},
    {"damped", {.grad_scale = 1, .momentum = 0.9, .dampening = 0.3}},
};

static void sgd(void **state)
{
    float p[N_SGD], g[N_SGD], m[N_SGD], want[N_SGD];
    struct hn_tensor tp = tensor(p, N_SGD), tg = tensor(g, N_SGD), tm = tensor(m, N_SGD);
    struct hn_tensor *lp = &tp, *lg = &tg, *lm = &tm;
    struct hn_device *dev = open_device(NULL, 2);
    (void)state;
    assert_non_null(dev);
    for (size_t c = 0; c < HN_COUNT(sgd_cases); c++) {
        char what[32];
        snprintf(what, sizeof what, "sgd.%s", sgd_cases[c].name);
        floats(p, what, "start", -1, N_SGD);
        memset(m, 0, sizeof m);
        for (int i = 0; i < STEPS_SGD; i++) {
            struct hn_sgd o = sgd_cases[c].o;
            o.learning_rate = 0.05;
            o.dampening = i == 0 ? 0 : o.dampening; /* torch's first step takes all of it */
            floats(g, what, "grad", i, N_SGD);
            floats(want, what, "param", i, N_SGD);
            hn_backend_cpu.sgd(dev, &lp, &lg, &lm, 1, &o);
            for (int k = 0; k < N_SGD; k++)
                if (!(fabsf(p[k] - want[k]) <= 1e-6f))
                    fail_msg("%s, step %d: %.9g, torch has %.9g", what, i, (double)p[k],
                             (double)want[k]);
        }
    }
    hn_backend_cpu.close(&dev);
}

/* ---- 8-bit AdamW ------------------------------------------------------------------------------
 */

/* bitsandbytes adds with fused multiply-adds where hone rounds twice: a value between two steps of
 * the table may fall the other way, and by no more. */
static int64_t differing(const uint8_t *got, const char *name, int step)
{
    char key[64];
    int64_t n = 0;
    snprintf(key, sizeof key, "adamw8.%s.%d", name, step);
    const uint8_t *want = bytes(key, N8);
    for (int i = 0; i < N8; i++) {
        n += got[i] != want[i];
        if (abs(got[i] - want[i]) > 1)
            fail_msg("%s: code %d is %d, bitsandbytes has %d", key, i, got[i], want[i]);
    }
    return n;
}

static void same_largest(const struct hn_tensor *state, const char *name, int step)
{
    float want[BLOCKS];
    const float *got = (const float *)state->data + (N8 + 3) / 4;
    floats(want, "adamw8", name, step, BLOCKS);
    for (int b = 0; b < BLOCKS; b++)
        if (!(fabsf(got[b] - want[b]) <= 2e-6f * want[b]))
            fail_msg("%s of block %d, step %d: %.9g, bitsandbytes has %.9g", name, b, step,
                     (double)got[b], (double)want[b]);
}

static void adamw8_at(const char *level, int threads)
{
    static float p[N8], g[N8], want[N8], m[N8], v[N8];
    int64_t words = hn_state8_words(N8);
    struct hn_tensor tp = tensor(p, N8), tg = tensor(g, N8), tm = tensor(m, words),
                     tv = tensor(v, words);
    struct hn_tensor *lp = &tp, *lg = &tg, *lm = &tm, *lv = &tv;
    struct hn_device *dev = open_device(level, threads);
    if (!dev)
        return;
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    floats(p, "adamw8", "start", -1, N8);
    int64_t codes = 0;
    double worst = 0;
    for (int i = 0; i < STEPS8; i++) {
        const struct hn_adamw o = {.learning_rate = 1e-2,
                                   .beta1 = 0.9,
                                   .beta2 = 0.95,
                                   .eps = 1e-8,
                                   .weight_decay = 0.1,
                                   .step = i + 1,
                                   .bias_correction = true,
                                   .grad_scale = 1};
        floats(g, "adamw8", "grad", i, N8);
        floats(want, "adamw8", "param", i, N8);
        hn_backend_cpu.adamw8(dev, &lp, &lg, &lm, &lv, 1, &o);
        codes += differing((const uint8_t *)tm.data, "m", i);
        codes += differing((const uint8_t *)tv.data, "v", i);
        same_largest(&tm, "am", i);
        same_largest(&tv, "av", i);
        int64_t far = 0;
        for (int k = 0; k < N8; k++) {
            double d = fabs((double)p[k] - (double)want[k]);
            worst = fmax(worst, d);
            far += d > 1e-6; /* it follows a code that fell the other way */
        }
        assert_true(far <= codes);
    }
    print_message("%-7s %d threads: %lld of %d codes differ, parameters by %.1e at most\n",
                  level ? level : "best", threads, (long long)codes, 2 * N8 * STEPS8, worst);
    assert_true(codes <= 2 * N8 * STEPS8 / 2000);
    hn_backend_cpu.close(&dev);
}

static void adamw8(void **state)
{
    static const char *const levels[] = {NULL, "c", "avx2", "avx512", "neon"};
    (void)state;
    for (size_t i = 0; i < HN_COUNT(levels); i++)
        adamw8_at(levels[i], i == 0 ? 2 : 1);
}

/* With moments in float32 the step is AdamW's own: below 4096 numbers, and where they are given. */
static void float_moments(int64_t n)
{
    enum { N = 5000 };
    static float p[2][N], g[N], m[2][N], v[2][N];
    struct hn_device *dev = open_device(NULL, 2);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    for (int i = 0; i < n; i++)
        p[0][i] = p[1][i] = (float)i / N, g[i] = (float)(i % 7) - 3;
    for (int k = 0; k < 2; k++) {
        struct hn_tensor tp = tensor(p[k], n), tg = tensor(g, n), tm = tensor(m[k], n),
                         tv = tensor(v[k], n);
        struct hn_tensor *lp = &tp, *lg = &tg, *lm = &tm, *lv = &tv;
        const struct hn_adamw o = {.learning_rate = 1e-2,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8,
                                   .step = 1,
                                   .bias_correction = true,
                                   .grad_scale = 1};
        (k ? hn_backend_cpu.adamw8 : hn_backend_cpu.adamw)(dev, &lp, &lg, &lm, &lv, 1, &o);
    }
    assert_memory_equal(p[0], p[1], sizeof p[0]);
    assert_memory_equal(m[0], m[1], sizeof m[0]);
    hn_backend_cpu.close(&dev);
}

static void small_tensors(void **state)
{
    (void)state;
    assert_int_equal(hn_state8_words(4095), 4095);
    assert_int_equal(hn_state8_words(4096), 1024 + 16);
    assert_int_equal(hn_state8_words(4097), 1025 + 17);
    float_moments(300);
    float_moments(5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd),
        cmocka_unit_test(adamw8),
        cmocka_unit_test(small_tensors),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
