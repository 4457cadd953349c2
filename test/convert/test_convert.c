/* hone_convert: what it writes beside what other programs write of the same models (written.json,
 * by tools/make_convert_goldens.py), and there and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sha.h"
#include "format/bundle.h"
#include "format/safetensors.h"
#include "hone/convert.h"

enum { MAX_COLS = 256, HASH = 16 };
static char scratch[] = "/tmp/hone-convert-XXXXXX";
static struct hn_arena arena;
static struct hn_json *written;

static void read_into(struct hn_buf *text, const char *path)
{
    struct hone_err err = {0};
    hn_buf_clear(text);
    if (hn_file_read(path, 1 << 24, text, &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    struct hn_buf text = {0};
    struct hone_err err = {0};
    hn_arena_init(&arena, 0);
    read_into(&text, HN_TEST_DIR "/convert/written.json");
    int rc = hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &written, &err);
    hn_buf_release(&text);
    return rc || !mkdtemp(scratch);
}

static int tear_down(void **state)
{
    (void)state;
    hn_arena_release(&arena);
    return hn_dir_remove(scratch, NULL);
}

static void copy(const char *from, const char *dir, const char *name)
{
    struct hn_buf text = {0};
    struct hone_err err = {0};
    char to[512];
    read_into(&text, from);
    snprintf(to, sizeof to, "%s/%s", dir, name);
    if (hn_file_write(to, hn_buf_str(&text), text.len, &err))
        fail_msg("%s", err.message);
    hn_buf_release(&text);
}

/* A golden model whose tokenizer a GGUF can hold: theirs cut text in no way that has a name. */
static void with_a_tokenizer(char dir[256], const char *golden)
{
    struct hone_err err = {0};
    char from[512], **names = NULL;
    size_t n = 0;
    snprintf(dir, 256, "%s/%s-in", scratch, golden);
    snprintf(from, sizeof from, HN_TEST_DIR "/golden/%s", golden);
    if (hn_dir_exists(dir))
        return;
    if (hn_dir_make(dir, &err) || hn_dir_list(from, &names, &n, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < n; i++) {
        if (!hn_starts_with(names[i], "model") && strcmp(names[i], "config.json") != 0)
            continue;
        snprintf(from, sizeof from, HN_TEST_DIR "/golden/%s/%s", golden, names[i]);
        copy(from, dir, names[i]);
    }
    copy(HN_TEST_DIR "/text/tokenizers/smollm.json", dir, "tokenizer.json");
    hn_free(names);
}

static void convert(const struct hone_convert_options *o, struct hone_convert_report *r)
{
    struct hone_err err = {0};
    if (hone_convert(o, NULL, NULL, r, &err))
        fail_msg("%s to %s: %s", o->model, o->output, err.message);
}

/* The bytes of a tensor are those that the other program wrote. */
static void check_hash(const char *of, const char *name, const struct hn_json *want,
                       const void *data, size_t size)
{
    struct hn_sha sha;
    struct hn_str expected;
    char digits[HN_SHA256_HEX];
    hn_sha256_init(&sha);
    hn_sha_add(&sha, data, size);
    hn_sha_finish(&sha, digits);
    if (!hn_json_str(want, &expected) || expected.n != HASH ||
        memcmp(digits, expected.p, HASH) != 0)
        fail_msg("%s: %s is not the same, bit for bit", of, name);
}

static void mlx_writes_the_same_bytes(void **state)
{
    (void)state;
    const struct hn_json *cases = hn_json_get(written, "mlx");
    assert_true(cases->n >= 10);
    for (size_t i = 0; i < cases->n; i++) {
        const struct hn_json *want = &cases->members[i].value;
        char model[64], in[256], out[256], file[512];
        int bits, group;
        struct hn_safetensors st;
        struct hone_err err = {0};
        struct hn_str label = cases->members[i].key;
        assert_int_equal(sscanf(label.p, "%63s %d %d", model, &bits, &group), 3);
        snprintf(in, sizeof in, HN_TEST_DIR "/golden/%s", model);
        snprintf(out, sizeof out, "%s/%s-%d-%d", scratch, model, bits, group);
        convert(&(struct hone_convert_options){.model = in,
                                               .output = out,
                                               .to = HONE_FORMAT_MLX,
                                               .quantize = true,
                                               .q_bits = bits,
                                               .q_group_size = group,
                                               .n_threads = 2},
                NULL);
        snprintf(file, sizeof file, "%s/model.safetensors", out);
        if (hn_st_open(&st, file, &err))
            fail_msg("%s", err.message);
        assert_int_equal(st.n, want->n);
        for (size_t k = 0; k < st.n; k++)
            check_hash(label.p, st.tensors[k].name, hn_json_get(want, st.tensors[k].name),
                       st.tensors[k].data, st.tensors[k].size);
        hn_st_release(&st);
    }
}

static enum hone_weight_type type_of(const char *name)
{
    static const char *const names[] = {
        [HONE_TYPE_F32] = "f32",   [HONE_TYPE_F16] = "f16",   [HONE_TYPE_BF16] = "bf16",
        [HONE_TYPE_Q4_0] = "q4_0", [HONE_TYPE_Q4_1] = "q4_1", [HONE_TYPE_Q5_0] = "q5_0",
        [HONE_TYPE_Q5_1] = "q5_1", [HONE_TYPE_Q8_0] = "q8_0"};
    for (size_t i = 1; i < HN_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum hone_weight_type)i;
    fail_msg("no type %s", name);
    return HONE_TYPE_AUTO;
}

static void gguf_writes_the_same_bytes(void **state)
{
    (void)state;
    const struct hn_json *cases = hn_json_get(written, "gguf");
    assert_true(cases->n >= 16);
    for (size_t i = 0; i < cases->n; i++) {
        const struct hn_json *want = &cases->members[i].value;
        char model[64], type[16], in[256], out[256];
        struct hn_gguf g;
        struct hone_err err = {0};
        struct hn_str label = cases->members[i].key;
        assert_int_equal(sscanf(label.p, "%63s %15s", model, type), 2);
        with_a_tokenizer(in, model);
        snprintf(out, sizeof out, "%s/%s-%s.gguf", scratch, model, type);
        convert(&(struct hone_convert_options){.model = in,
                                               .output = out,
                                               .to = HONE_FORMAT_GGUF,
                                               .type = type_of(type),
                                               .n_threads = 2},
                NULL);
        if (hn_gguf_open(&g, out, &err))
            fail_msg("%s", err.message);
        for (size_t k = 0; k < want->n; k++) {
            const char *name = want->members[k].key.p;
            const struct hn_gguf_tensor *t = hn_gguf_find(&g, name);
            if (!t)
                fail_msg("%s: %s is not there", label.p, name);
            check_hash(label.p, name, &want->members[k].value, t->data, t->size);
        }
        hn_gguf_release(&g);
    }
}

/* The largest difference of two models' matrices. */
static double distance(const char *a, const char *b, size_t *n)
{
    struct hn_bundle *x = NULL, *y = NULL;
    struct hone_err err = {0};
    double most = 0;
    if (hn_bundle_open(&x, a, &err) || hn_bundle_open(&y, b, &err))
        fail_msg("%s", err.message);
    *n = 0;
    for (size_t i = 0; i < hn_bundle_n_tensors(x); i++) {
        struct hn_bundle_tensor t;
        struct hn_matrix p, q;
        float u[MAX_COLS], v[MAX_COLS];
        hn_bundle_tensor(x, i, &t);
        /* Scales and biases of a quantised matrix are listed too. */
        if (!hn_ends_with(t.name, ".weight") || hn_bundle_matrix(x, t.name, &p, NULL))
            continue;
        if (hn_bundle_matrix(y, t.name, &q, &err))
            fail_msg("%s: %s", b, err.message);
        assert_true(p.rows == q.rows && p.cols == q.cols && p.cols <= MAX_COLS);
        for (int64_t r = 0; r < p.rows; r++) {
            hn_matrix_decode(&p, r, 0, p.cols, u);
            hn_matrix_decode(&q, r, 0, p.cols, v);
            for (int64_t c = 0; c < p.cols; c++)
                most = HN_MAX(most, u[c] < v[c] ? (double)v[c] - u[c] : (double)u[c] - v[c]);
        }
        ++*n;
    }
    hn_bundle_close(&x);
    hn_bundle_close(&y);
    return most;
}

/* Through every form that holds all values of the one before, a model comes out as it went in. */
static void there_and_back_loses_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        enum hone_model_format to;
        bool quantize;
        enum hone_weight_type type;
    } ways[] = {
        {"llama-tied", HONE_FORMAT_GGUF, false, HONE_TYPE_F32},
        {"mistral", HONE_FORMAT_GGUF, false, HONE_TYPE_F16},
        {"llama-tied", HONE_FORMAT_MLX, false, HONE_TYPE_AUTO},
        {"mlx-q4", HONE_FORMAT_HF, false, HONE_TYPE_F32},
        {"mlx-mixed", HONE_FORMAT_HF, false, HONE_TYPE_F32},
        {"mlx-q8", HONE_FORMAT_MLX, false, HONE_TYPE_AUTO},
        {"gguf-q4_0/model.gguf", HONE_FORMAT_HF, false, HONE_TYPE_F32},
        {"gguf-q4_1/model.gguf", HONE_FORMAT_MLX, false, HONE_TYPE_AUTO},
        {"gguf-q8_0/model.gguf", HONE_FORMAT_GGUF, false, HONE_TYPE_F32},
        {"gguf-qwen3/model.gguf", HONE_FORMAT_HF, false, HONE_TYPE_F32},
    };
    for (size_t i = 0; i < HN_COUNT(ways); i++) {
        char in[256], out[256], back[256];
        struct hone_convert_report r = {0};
        size_t n = 0;
        bool gguf = ways[i].to == HONE_FORMAT_GGUF;
        if (gguf && !strchr(ways[i].from, '/'))
            with_a_tokenizer(in, ways[i].from);
        else
            snprintf(in, sizeof in, HN_TEST_DIR "/golden/%s", ways[i].from);
        snprintf(out, sizeof out, "%s/way-%zu%s", scratch, i, gguf ? ".gguf" : "");
        snprintf(back, sizeof back, "%s/back-%zu", scratch, i);
        convert(
            &(struct hone_convert_options){
                .model = in, .output = out, .to = ways[i].to, .type = ways[i].type},
            &r);
        assert_int_equal(r.kept, r.matrices);
        double off = distance(in, out, &n);
        if (off > 0)
            fail_msg("%s: a weight changed by %g", in, off);
        assert_true(n > 10);
        hone_convert_report_release(&r);
        convert(
            &(struct hone_convert_options){
                .model = out, .output = back, .to = HONE_FORMAT_HF, .type = HONE_TYPE_F32},
            NULL);
        assert_true(distance(in, back, &n) <= 0);
    }
}

/* mlx-lm looks for theta at the top level and for the rest in rope_scaling, and takes 4096 for an
 * original context that is not written, where it is the whole context here. */
static void mlx_finds_the_rotary_settings(void **state)
{
    (void)state;
    static const char with[] = "\"original_max_position_embeddings\": 64,",
                      window[] = "\"max_position_embeddings\": 256,";
    char in[256], out[256], path[512];
    struct hn_buf text = {0};
    struct hone_err err = {0};
    struct hn_json *config;
    double theta;
    int64_t original;
    with_a_tokenizer(in, "qwen2-window");
    snprintf(path, sizeof path, "%s/config.json", in);
    read_into(&text, path);
    char *at = strstr((char *)text.data, with);
    assert_true(at && strstr(hn_buf_str(&text), window));
    memset(at, ' ', sizeof with - 1);
    if (hn_file_write(path, hn_buf_str(&text), text.len, &err))
        fail_msg("%s", err.message);
    snprintf(out, sizeof out, "%s/rotary", scratch);
    convert(&(struct hone_convert_options){.model = in, .output = out, .to = HONE_FORMAT_MLX},
            NULL);
    snprintf(path, sizeof path, "%s/config.json", out);
    read_into(&text, path);
    assert_int_equal(hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &config, &err), 0);
    const struct hn_json *rope = hn_json_get(config, "rope_scaling");
    assert_true(hn_json_float(hn_json_get(config, "rope_theta"), &theta) && theta == 6000);
    assert_true(hn_json_is(hn_json_get(rope, "rope_type"), "yarn"));
    assert_true(hn_json_int(hn_json_get(rope, "original_max_position_embeddings"), &original));
    assert_int_equal(original, 256);
    hn_buf_release(&text);
}

/* A GGUF that only hone loads is said to be one. */
static void says_what_llama_cpp_does_not_load(void **state)
{
    (void)state;
    static const char none[] = "\"rope_scaling\": null",
                      llama3[] = "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
                                 "\"original_max_position_embeddings\": 32}";
    char in[256], out[256], path[512];
    struct hn_buf text = {0}, changed = {0};
    struct hone_convert_report r = {0};
    struct hone_err err = {0};
    with_a_tokenizer(in, "qwen3-v4");
    snprintf(path, sizeof path, "%s/config.json", in);
    read_into(&text, path);
    const char *whole = hn_buf_str(&text), *at = strstr(whole, none);
    assert_non_null(at);
    hn_buf_add(&changed, whole, (size_t)(at - whole));
    hn_buf_add_str(&changed, llama3);
    hn_buf_add_str(&changed, at + sizeof none - 1);
    if (hn_file_write(path, hn_buf_str(&changed), changed.len, &err))
        fail_msg("%s", err.message);
    snprintf(out, sizeof out, "%s/alone.gguf", scratch);
    convert(&(struct hone_convert_options){.model = in, .output = out, .to = HONE_FORMAT_GGUF}, &r);
    assert_true(r.n_notes > 0);
    assert_non_null(strstr(r.notes[r.n_notes - 1], "qwen3 has no Llama 3's rotary scaling"));
    hone_convert_report_release(&r);
    hn_buf_release(&changed);
    hn_buf_release(&text);
}

/* One system's file alone; and for mlx-lm, which counts blocks from the last one, an adapter of the
 * first block of a model of unknown depth is one of all blocks. */
static void adapters_in_one_layout(void **state)
{
    (void)state;
    static const char in[] = HN_TEST_DIR "/golden/linear-dora/adapter";
    char out[256], file[512];
    struct hn_buf text = {0};
    struct hone_err err = {0};
    struct hn_json *config;
    int64_t layers = 0;
    for (int peft = 0; peft < 2; peft++) {
        snprintf(out, sizeof out, "%s/adapter-%d", scratch, peft);
        if (hone_convert_adapter(in, out, peft ? HONE_ADAPTER_PEFT : HONE_ADAPTER_MLX, false, &err))
            fail_msg("%s", err.message);
        snprintf(file, sizeof file, "%s/adapter_model.safetensors", out);
        assert_int_equal(hn_file_exists(file), peft);
        snprintf(file, sizeof file, "%s/adapters.safetensors", out);
        assert_int_equal(hn_file_exists(file), !peft);
    }
    snprintf(file, sizeof file, "%s/adapter_config.json", out);
    read_into(&text, file);
    assert_int_equal(hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &config, &err), 0);
    assert_true(hn_json_int(hn_json_get(config, "num_layers"), &layers));
    assert_int_equal(layers, -1);
    hn_buf_release(&text);
}

static void what_it_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *model, *output;
        enum hone_model_format to;
        bool quantize;
        int64_t bits, group;
        const char *says;
    } cases[] = {
        {"llama-tied", "x", HONE_FORMAT_MLX, true, 7, 64, "7"},
        {"llama-tied", "x", HONE_FORMAT_MLX, true, 4, 48, "48"},
        {"llama-tied", "x.gguf", HONE_FORMAT_GGUF, false, 0, 0, "no name for"},
        {"no-such-model", "x", HONE_FORMAT_MLX, false, 0, 0, "no-such-model"},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        char in[256], out[256];
        struct hone_err err = {0};
        snprintf(in, sizeof in, HN_TEST_DIR "/golden/%s", cases[i].model);
        snprintf(out, sizeof out, "%s/%s", scratch, cases[i].output);
        const struct hone_convert_options o = {.model = in,
                                               .output = out,
                                               .to = cases[i].to,
                                               .quantize = cases[i].quantize,
                                               .q_bits = cases[i].bits,
                                               .q_group_size = cases[i].group};
        assert_true(hone_convert(&o, NULL, NULL, NULL, &err) < 0);
        if (!strstr(err.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].says);
        assert_false(hn_file_exists(out) || hn_dir_exists(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlx_writes_the_same_bytes),
        cmocka_unit_test(gguf_writes_the_same_bytes),
        cmocka_unit_test(there_and_back_loses_nothing),
        cmocka_unit_test(mlx_finds_the_rotary_settings),
        cmocka_unit_test(says_what_llama_cpp_does_not_load),
        cmocka_unit_test(adapters_in_one_layout),
        cmocka_unit_test(what_it_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
