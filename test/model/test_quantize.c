/* Quantising while loading: what bitsandbytes' own quantisers made of the same weights, bit for bit
 * (tools/make_format_goldens.py), and what it does to an opened model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "format/safetensors.h"
#include "model/model.h"

static const struct hn_st_tensor *part(const struct hn_safetensors *st, const char *name,
                                       const char *what)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", name, what);
    return hn_st_find(st, full);
}

static void same(const char *name, const char *what, const struct hn_st_tensor *want,
                 const void *got)
{
    const unsigned char *a = got;
    if (!want)
        fail_msg("%s.%s is not in the golden file", name, what);
    for (size_t i = 0; i < want->size; i++)
        if (want->data[i] != a[i])
            fail_msg("%s.%s: byte %zu of %zu is %02x, bitsandbytes has %02x", name, what, i,
                     want->size, a[i], want->data[i]);
}

static void check(const struct hn_safetensors *st, const char *name,
                  const struct hn_st_tensor *source, struct hn_pool *pool)
{
    static const enum hn_layout plain[] = {HN_LAYOUT_F32, HN_LAYOUT_F16, HN_LAYOUT_BF16};
    struct hone_quantize_options o = {
        .load_in_8bit = hn_starts_with(name, "int8"),
        .load_in_4bit = !hn_starts_with(name, "int8"),
        .bnb_4bit_quant_type = hn_starts_with(name, "fp4") ? HONE_FP4 : HONE_NF4,
        .bnb_4bit_use_double_quant = strstr(name, "x2") != NULL,
    };
    struct hn_matrix m = {.layout = plain[source->dtype],
                          .rows = source->shape[0],
                          .cols = source->shape[1],
                          .data = source->data};
    struct hn_quantized *q = NULL;
    struct hone_err err = {0};
    m.row_size = hn_layout_row_size(m.layout, m.cols, 0);
    if (hn_quantize_open(&q, &m, name, &o, pool, &err))
        fail_msg("%s: %s", name, err.message);
    const struct hn_bnb4 *b = q->m.bnb4;
    same(name, "codes", part(st, name, "codes"), q->m.data);
    same(name, "scales", part(st, name, "scales"), b ? b->absmax : q->m.scales);
    if (b && b->nested_map) {
        same(name, "outer", part(st, name, "outer"), b->nested_absmax);
        same(name, "map", part(st, name, "map"), b->nested_map);
        same(name, "offset", part(st, name, "offset"), &b->nested_offset);
    }
    float *values = hn_calloc((size_t)(m.rows * m.cols), sizeof *values);
    assert_non_null(values);
    for (int64_t r = 0; r < m.rows; r++)
        hn_matrix_decode(&q->m, r, 0, m.cols, values + r * m.cols);
    if (part(st, name, "decoded") || m.rows < 100)
        same(name, "decoded", part(st, name, "decoded"), values);
    hn_free(values);
    hn_quantize_close(&q);
}

static void as_bitsandbytes(void **state)
{
    (void)state;
    struct hn_safetensors st;
    struct hn_pool *pool = NULL;
    struct hone_err err = {0};
    int seen = 0;
    if (hn_st_open(&st, HN_TEST_DIR "/format/data/bnb_encode.safetensors", &err))
        fail_msg("%s", err.message);
    assert_int_equal(hn_pool_open(&pool, 2, &err), 0);
    for (size_t i = 0; i < st.n; i++) {
        char name[64];
        if (!hn_ends_with(st.tensors[i].name, ".source"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)strlen(st.tensors[i].name) - 7,
                 st.tensors[i].name);
        check(&st, name, &st.tensors[i], pool);
        seen++;
    }
    assert_int_equal(seen, 45);
    hn_pool_close(&pool);
    hn_st_release(&st);
}

static void refused(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hone_quantize_options o = {.load_in_4bit = true, .load_in_8bit = true};
    assert_int_equal(hn_quantize_check(&o, &err), HONE_USAGE);
    static const char *const pattern[] = {"layers.*.mlp"};
    o = (struct hone_quantize_options){
        .load_in_4bit = true, .llm_int8_skip_modules = pattern, .n_llm_int8_skip_modules = 1};
    assert_int_equal(hn_quantize_check(&o, &err), HONE_USAGE);
    assert_non_null(strstr(err.message, "layers.*.mlp"));
    float bad[64] = {[13] = 1.0f / 0.0f};
    struct hn_matrix m = {.layout = HN_LAYOUT_F32,
                          .rows = 1,
                          .cols = 64,
                          .data = (const unsigned char *)bad,
                          .row_size = sizeof bad};
    struct hn_pool *pool = NULL;
    struct hn_quantized *q = NULL;
    o.n_llm_int8_skip_modules = 0;
    assert_int_equal(hn_pool_open(&pool, 1, &err), 0);
    assert_int_equal(hn_quantize_open(&q, &m, "w", &o, pool, &err), HONE_FAILED);
    assert_null(q);
    assert_non_null(strstr(err.message, "tensor w"));
    bad[13] = 70000; /* finite, but not as float16 */
    assert_int_equal(hn_quantize_open(&q, &m, "w", &o, pool, &err), 0);
    hn_quantize_close(&q);
    o = (struct hone_quantize_options){.load_in_8bit = true};
    assert_int_equal(hn_quantize_open(&q, &m, "w", &o, pool, &err), HONE_FAILED);
    assert_non_null(strstr(err.message, "float16"));
    hn_pool_close(&pool);
}

/* should_convert_module of transformers' quantizers_utils.py, tried there. */
static void chosen_modules(void **state)
{
    (void)state;
    struct hone_quantize_options o = {.load_in_4bit = true};
    assert_false(hn_quantize_takes(&o, "lm_head"));
    assert_true(hn_quantize_takes(&o, "model.layers.1.mlp.up_proj"));
    static const char *const skip[] = {"model.layers.1", "v_proj"};
    o.llm_int8_skip_modules = skip;
    o.n_llm_int8_skip_modules = 2;
    assert_true(hn_quantize_takes(&o, "lm_head"));
    assert_false(hn_quantize_takes(&o, "model.layers.1.mlp.up_proj"));
    assert_true(hn_quantize_takes(&o, "model.layers.11.mlp.up_proj"));
    assert_false(hn_quantize_takes(&o, "model.layers.11.self_attn.v_proj"));
}

static struct hone_model *opened(const char *path, const struct hone_quantize_options *q)
{
    struct hone_model *m = NULL;
    struct hone_err err = {0};
    struct hone_device_options o = {.n_threads = 1, .quantize = *q};
    if (hone_model_open(&m, path, &o, &err))
        fail_msg("%s", err.message);
    return m;
}

/* Rows of a GGUF's q and k lie in another order there; the quantised copy has them in Hugging
 * Face's, as the directory of the same weights. */
static void of_a_model(void **state)
{
    (void)state;
    static const char *const paths[] = {HN_TEST_DIR "/golden/llama-tied",
                                        HN_TEST_DIR "/golden/gguf-f16/model.gguf"};
    struct hone_quantize_options o = {.load_in_4bit = true, .bnb_4bit_use_double_quant = true};
    for (size_t i = 0; i < HN_COUNT(paths); i++) {
        struct hone_model *plain = opened(paths[i], &(struct hone_quantize_options){0});
        struct hone_model *m = opened(paths[i], &o);
        struct hone_model_info info, before;
        hone_model_info(m, &info);
        hone_model_info(plain, &before);
        assert_non_null(strstr(info.quantization, "NF4, blocks of 64, double quantised"));
        assert_null(info.note);
        assert_true(info.weight_bytes < before.weight_bytes);
        assert_int_equal(before.weight_bytes - info.weight_bytes, m->saved_bytes);
        assert_true(m->private_bytes > plain->private_bytes &&
                    m->mapped_bytes < plain->mapped_bytes);
        int n = 0;
        for (struct hn_quantized *q = m->quantized; q; q = q->next)
            n++;
        assert_int_equal(n, HN_LINEAR_COUNT * m->spec.n_layers);
        hone_model_close(&m);
        hone_model_close(&plain);
    }
    struct hone_model *m = opened(HN_TEST_DIR "/golden/mlx-q4", &o);
    struct hone_model_info info;
    hone_model_info(m, &info);
    assert_non_null(info.note);
    assert_non_null(strstr(info.note, "affine 4-bit"));
    assert_null(m->quantized);
    hone_model_close(&m);
}

/* The values of a module's quantised copy are near those of its source, row by row: a permuted row
 * would not be. */
static void rows_in_order(void **state)
{
    (void)state;
    struct hone_quantize_options o = {.load_in_8bit = true};
    struct hone_model *m = opened(HN_TEST_DIR "/golden/gguf-f16/model.gguf", &o);
    struct hn_matrix from;
    struct hone_err err = {0};
    const struct hn_quantized *q = m->quantized; /* the last one is q_proj of block 0 */
    while (q->next)
        q = q->next;
    assert_int_equal(
        hn_bundle_matrix(m->bundle, "model.layers.0.self_attn.q_proj.weight", &from, &err), 0);
    assert_true(from.rope_head > 0 && q->m.rope_head == 0);
    for (int64_t r = 0; r < from.rows; r++) {
        float a[256], b[256], most = 0;
        assert_in_range(from.cols, 1, 256);
        hn_matrix_decode(&from, r, 0, from.cols, a);
        hn_matrix_decode(&q->m, r, 0, from.cols, b);
        for (int64_t c = 0; c < from.cols; c++)
            most = a[c] > most ? a[c] : -a[c] > most ? -a[c] : most;
        for (int64_t c = 0; c < from.cols; c++)
            assert_true(a[c] - b[c] <= most / 250 && b[c] - a[c] <= most / 250);
    }
    hone_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_bitsandbytes), cmocka_unit_test(refused),
        cmocka_unit_test(chosen_modules),  cmocka_unit_test(of_a_model),
        cmocka_unit_test(rows_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
