/* What the tests over test/golden share: opening a case, running a planned step on its sequences,
 * and the two measures of distance.  tools/make_goldens.py says what the files hold. */
#ifndef HN_TEST_GOLDEN_CASE_H
#define HN_TEST_GOLDEN_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/safetensors.h"
#include "model/batch.h"
#include "model/decoder.h"

static const char *const golden_names[] = {
    "llama-tied",      "llama-rope3",     "llama-linear",   "mistral",     "mistral-v4",
    "qwen2",           "qwen2-v4",        "qwen2-window",   "qwen3",       "qwen3-v4",
    "mlx-q4",          "mlx-q4-g32",      "mlx-q8",         "mlx-mixed",   "gguf-q4_0",
    "gguf-q4_1",       "gguf-q8_0",       "gguf-f16",       "gguf-qwen3",  "qwen3-only-o",
    "qwen3-only-down", "qwen3-last-gate", "qwen3-k-and-up", "bnb-nf4",     "bnb-fp4",
    "bnb-int8",        "qwen2-dora",      "linear-dora",    "mlx-q4-dora", "mixed-dora",
    "drop-dora",       "full-llama",      "full-qwen3",     "full-last",   "gguf-k",
    "gguf-low",
};
enum { N_GOLDEN = HN_COUNT(golden_names), GOLDEN_PATH_SIZE = 1024 };

/* Instruction sets to run: the best that the machine has (on two threads; the others on one), the C
 * kernels, and what lies between, where the machine has it. */
static const char *const golden_levels[] = {NULL,   "c",        "avx2",     "avx512",
                                            "neon", "neon_dot", "neon_i8mm"};

struct golden {
    const char *name;
    char model_path[GOLDEN_PATH_SIZE], adapter_path[GOLDEN_PATH_SIZE];
    struct hn_arena arena;
    struct hn_json *facts;
    struct hn_safetensors arrays;
    const int32_t *tokens;  /* [T] */
    const int32_t *offsets; /* [B+1] */
    const uint8_t *trained; /* [T] */
    int64_t n_tokens, n_seqs;
};

static inline const struct hn_st_tensor *golden_tensor(const struct golden *g, const char *name,
                                                       enum hn_dtype dtype)
{
    const struct hn_st_tensor *t = hn_st_find(&g->arrays, name);
    if (!t)
        fail_msg("%s: golden.safetensors lacks %s", g->name, name);
    if (t->dtype != dtype || (uintptr_t)t->data % hn_dtype_size(dtype))
        fail_msg("%s: %s is not an aligned array of %s", g->name, name, hn_dtype_name(dtype));
    return t;
}

/* The array of this name, which must have n elements. */
static inline const float *golden_array(const struct golden *g, const char *name, int64_t n)
{
    const struct hn_st_tensor *t = golden_tensor(g, name, HN_F32);
    if (t->n_elements != n)
        fail_msg("%s: %s has %lld elements, the test has %lld", g->name, name,
                 (long long)t->n_elements, (long long)n);
    return (const float *)(const void *)t->data;
}

static inline double golden_number(const struct golden *g, const struct hn_json *j,
                                   const char *what)
{
    double v = 0;
    if (!hn_json_float(j, &v))
        fail_msg("%s: golden.json lacks %s", g->name, what);
    return v;
}

static inline double golden_fact(const struct golden *g, const char *key)
{
    return golden_number(g, hn_json_get(g->facts, key), key);
}

/* The dropout of training, 0 where the golden has none; its masks are hone's, of seed 7. */
enum { GOLDEN_SEED = 7 };
static inline double golden_dropout(const struct golden *g)
{
    double p = 0;
    (void)hn_json_float(hn_json_get(g->facts, "dropout"), &p);
    return p;
}

/* 0: an adapter is trained; else the weights: of all blocks and beyond (-1), or the last N. */
static inline int64_t golden_full(const struct golden *g)
{
    int64_t n = 0;
    (void)hn_json_int(hn_json_get(g->facts, "full"), &n);
    return n;
}

static inline void golden_open(struct golden *g, const char *name)
{
    char path[GOLDEN_PATH_SIZE];
    struct hn_buf text = {0};
    struct hn_str base;
    struct hone_err err = {0};
    *g = (struct golden){.name = name};
    hn_arena_init(&g->arena, 0);
    snprintf(path, sizeof path, HN_TEST_DIR "/golden/%s/golden.json", name);
    if (hn_file_read(path, 1 << 20, &text, &err) ||
        hn_json_parse(&g->arena, hn_buf_str(&text), text.len, 0, &g->facts, &err))
        fail_msg("%s: %s", path, err.message);
    hn_buf_release(&text);
    if (!hn_json_str(hn_json_get(g->facts, "base"), &base))
        fail_msg("%s: \"base\" is missing", path);
    snprintf(g->model_path, sizeof g->model_path, HN_TEST_DIR "/golden/%s/model.gguf", base.p);
    if (!hn_file_exists(g->model_path))
        snprintf(g->model_path, sizeof g->model_path, HN_TEST_DIR "/golden/%s", base.p);
    snprintf(g->adapter_path, sizeof g->adapter_path, HN_TEST_DIR "/golden/%s/adapter", name);
    snprintf(path, sizeof path, HN_TEST_DIR "/golden/%s/golden.safetensors", name);
    if (hn_st_open(&g->arrays, path, &err))
        fail_msg("%s", err.message);
    const struct hn_st_tensor *tokens = golden_tensor(g, "tokens", HN_I32);
    const struct hn_st_tensor *offsets = golden_tensor(g, "offsets", HN_I32);
    g->tokens = (const int32_t *)(const void *)tokens->data;
    g->offsets = (const int32_t *)(const void *)offsets->data;
    g->trained = golden_tensor(g, "trained", HN_U8)->data;
    g->n_tokens = tokens->n_elements;
    g->n_seqs = offsets->n_elements - 1;
}

static inline void golden_close(struct golden *g)
{
    hn_st_release(&g->arrays);
    hn_arena_release(&g->arena);
}

/* The opened model; NULL when the machine lacks this level. */
static inline struct hone_model *golden_model_class(const struct golden *g, const char *level,
                                                    enum hone_compute compute)
{
    struct hone_device_options o = {
        .n_threads = level ? 1 : 2, .cpu_level = level, .compute = compute};
    struct hone_model *m = NULL;
    struct hone_err err = {0};
    const char *only = getenv("HONE_TEST_LEVEL"); /* the others are left out */
    if (only && (!level || strcmp(level, only) != 0))
        return NULL;
    bool may_lack = level && strcmp(level, "c") != 0;
    int rc = hone_model_open(&m, g->model_path, &o, &err);
    if (rc && !(rc == HONE_USAGE && may_lack))
        fail_msg("%s: %s", g->name, err.message);
    return m;
}

static inline struct hone_model *golden_model(const struct golden *g, const char *level)
{
    return golden_model_class(g, level, HONE_EXACT);
}

/* Apply the adapter where training starts, with gradients. */
static inline void golden_adapter(const struct golden *g, struct hone_model *m)
{
    struct hn_adapter_file file = {0};
    struct hone_err err = {0};
    if (golden_full(g)) {
        const struct hn_adapter_config c = {.full = true, .num_layers = golden_full(g)};
        if (hn_adapters_make(m, &c, &err))
            fail_msg("%s: %s", g->name, err.message);
        return;
    }
    if (hn_adapter_read(&file, g->adapter_path, &err) ||
        hn_adapters_load(m, &file, true, (float)golden_dropout(g), &err))
        fail_msg("%s: %s", g->name, err.message);
    hn_adapter_release(&file);
}

/* Largest difference over largest value. */
static inline double golden_far(const float *got, const float *want, int64_t n)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        worst = d > worst || isnan(d) ? d : worst;
        largest = fmax(largest, fabs((double)want[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

/* Relative L2 distance of scale * got. */
static inline double golden_l2(const float *got, double scale, const float *want, int64_t n)
{
    double diff = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = scale * (double)got[i] - (double)want[i];
        diff += d * d;
        size += (double)want[i] * (double)want[i];
    }
    return size > 0 ? sqrt(diff / size) : sqrt(diff);
}

/* ---- a planned step ------------------------------------------------------------------------- */

struct golden_run {
    struct hone_model *m;
    struct hn_plan plan;
    void *arena;
    struct hn_batch_rows rows;
};

static inline void golden_plan(struct golden_run *r, const struct golden *g, struct hone_model *m,
                               const struct hn_decoder_options *options)
{
    struct hn_decoder_options o = *options;
    struct hn_plan *plans[] = {&r->plan};
    struct hone_err err = {0};
    *r = (struct golden_run){.m = m};
    o.max_tokens = o.max_rows = o.max_context = g->n_tokens;
    o.max_seqs = g->n_seqs;
    if (hn_decoder_plan(m, &o, &r->plan, &err) ||
        hn_plan_bind(plans, 1, m->backend, m->dev, &r->arena, &err) ||
        hn_batch_init(&r->rows, g->n_tokens, g->n_seqs, &err))
        fail_msg("%s: %s", g->name, err.message);
}

static inline void golden_unplan(struct golden_run *r)
{
    hn_batch_release(&r->rows);
    r->m->backend->unbind(r->m->dev, &r->arena);
    hn_plan_release(&r->plan);
}

static inline void golden_add(struct golden_run *r, const struct golden *g, int64_t seq,
                              bool masked)
{
    int64_t at = g->offsets[seq], n = g->offsets[seq + 1] - at;
    hn_batch_add(&r->rows, g->tokens + at, n, masked ? g->trained + at : NULL);
}

/* Logits of every token instead of losses. */
static inline void golden_want_logits(struct golden_run *r)
{
    struct hn_batch *b = &r->rows.batch;
    b->n_rows = b->n_tokens;
    b->targets = NULL;
    for (int64_t i = 0; i < b->n_rows; i++)
        r->rows.rows[i] = (int32_t)i;
}

static inline void golden_step(struct golden_run *r, const struct golden *g)
{
    struct hone_err err = {0};
    if (hn_plan_run(&r->plan, r->m->backend, r->m->dev, &r->rows.batch, &err))
        fail_msg("%s: %s", g->name, err.message);
}

/* The value of a plan, in host memory; hn_free it. */
static inline float *golden_read(struct golden_run *r, const struct golden *g, hn_value v)
{
    const struct hn_tensor *t = &r->plan.tensors[v].t;
    struct hone_err err = {0};
    float *out = hn_calloc((size_t)(t->rows * t->cols), sizeof *out);
    assert_non_null(out);
    if (r->m->backend->read(r->m->dev, t, out, &err))
        fail_msg("%s: %s", g->name, err.message);
    return out;
}

/* Sum of the losses of the step that was run. */
static inline double golden_loss_sum(struct golden_run *r, const struct golden *g)
{
    double sum = 0;
    float *loss = golden_read(r, g, r->plan.loss);
    for (int64_t i = 0; i < r->rows.batch.n_rows; i++)
        sum += (double)loss[i];
    hn_free(loss);
    return sum;
}

/* ---- adapters ---------------------------------------------------------------------------------
 */

/* The worst relative L2 distance, over the adapter's tensors, of scale * part to the golden's
 * PREFIX.module.lora_A and .lora_B; *where names the worst. */
static inline double golden_adapter_l2(const struct golden *g, const struct hone_model *m,
                                       enum hn_adapter_part part, double scale, const char *prefix,
                                       char where[160])
{
    struct hone_err err = {0};
    float *values = hn_calloc((size_t)m->adapters.n_parameters, sizeof *values), *at = values;
    double worst = 0;
    assert_non_null(values);
    if (hn_adapters_read(m, part, values, &err))
        fail_msg("%s: %s", g->name, err.message);
    for (size_t i = 0; m->adapters.full && i < m->adapters.n_params; i++) {
        char name[160];
        const struct hn_tensor *t = &m->adapters.params[i].part[part];
        snprintf(name, sizeof name, "%s.%s", prefix, m->adapters.names[i]);
        double far =
            golden_l2(at, scale, golden_array(g, name, t->rows * t->cols), t->rows * t->cols);
        at += t->rows * t->cols;
        if (far > worst || isnan(far)) {
            worst = far;
            snprintf(where, 160, "%s", name);
        }
    }
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT; i++) {
        enum hn_linear_id id = (enum hn_linear_id)(i % HN_LINEAR_COUNT);
        const struct hn_lora *lo = hn_adapters_get(m, i / HN_LINEAR_COUNT, id);
        const struct hn_param *parts[] = {lo ? lo->a : NULL, lo ? lo->b : NULL,
                                          lo ? lo->mag : NULL};
        static const char *const names[] = {"lora_A", "lora_B", "lora_magnitude_vector"};
        for (int k = 0; k < 3; k++) {
            char path[96], name[160];
            if (!parts[k])
                continue;
            hn_linear_path(i / HN_LINEAR_COUNT, id, path);
            snprintf(name, sizeof name, "%s.%s.%s", prefix, path, names[k]);
            int64_t n = parts[k]->part[part].rows * parts[k]->part[part].cols;
            double far = golden_l2(at, scale, golden_array(g, name, n), n);
            at += n;
            if (far > worst || isnan(far)) {
                worst = far;
                snprintf(where, 160, "%s", name);
            }
        }
    }
    hn_free(values);
    return worst;
}

/* How many tensors of the golden begin with PREFIX. */
static inline int64_t golden_count(const struct golden *g, const char *prefix)
{
    int64_t n = 0;
    for (size_t i = 0; i < g->arrays.n; i++)
        n += strncmp(g->arrays.tensors[i].name, prefix, strlen(prefix)) == 0;
    return n;
}

/* One cmocka test per case, named after it. */
static inline int golden_run_all(const char *group, CMUnitTestFunction test)
{
    struct CMUnitTest tests[N_GOLDEN];
    for (size_t i = 0; i < N_GOLDEN; i++)
        tests[i] = (struct CMUnitTest){golden_names[i], test, NULL, NULL, (void *)(uintptr_t)i};
    return _cmocka_run_group_tests(group, tests, N_GOLDEN, NULL, NULL);
}

#endif
