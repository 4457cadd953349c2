/* The config that is made of a GGUF's metadata, for files written field by field. */
#include "golden.h"
#include "base/file.h"
#include "format/bundle.h"
#include <stdlib.h>
#include <unistd.h>

/* A file under way: metadata and tensors in two buffers, put together at the end. */
struct made {
    struct hn_buf pairs, tensors;
    uint64_t n_pairs, n_tensors;
};

static void add(struct hn_buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        hn_buf_add_char(b, (char)(v >> (8 * i)));
}

static void add_name(struct hn_buf *b, const char *s)
{
    add(b, strlen(s), 8);
    hn_buf_add_str(b, s);
}

static void put_str(struct made *m, const char *key, const char *value)
{
    add_name(&m->pairs, key);
    add(&m->pairs, HN_GGUF_STRING, 4);
    add_name(&m->pairs, value);
    m->n_pairs++;
}

static void put_int(struct made *m, const char *key, uint32_t value)
{
    add_name(&m->pairs, key);
    add(&m->pairs, HN_GGUF_U32, 4);
    add(&m->pairs, value, 4);
    m->n_pairs++;
}

static void put_float(struct made *m, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    add_name(&m->pairs, key);
    add(&m->pairs, HN_GGUF_F32, 4);
    add(&m->pairs, bits, 4);
    m->n_pairs++;
}

static void put_ints(struct made *m, const char *key, const uint32_t *values, size_t n)
{
    add_name(&m->pairs, key);
    add(&m->pairs, HN_GGUF_ARRAY, 4);
    add(&m->pairs, HN_GGUF_U32, 4);
    add(&m->pairs, n, 8);
    for (size_t i = 0; i < n; i++)
        add(&m->pairs, values[i], 4);
    m->n_pairs++;
}

/* A float32 tensor; rows 0: a vector.  All tensors are of 32 bytes. */
static void put_tensor(struct made *m, const char *name, uint64_t cols, uint64_t rows)
{
    add_name(&m->tensors, name);
    add(&m->tensors, rows ? 2 : 1, 4);
    add(&m->tensors, cols, 8);
    if (rows)
        add(&m->tensors, rows, 8);
    add(&m->tensors, 0, 4);
    add(&m->tensors, 32 * m->n_tensors++, 8);
}

static char path[64];

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/hone-test-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* What every file has, except the key `without`; families name their keys after themselves. */
static void begin(struct made *m, const char *arch, const char *without)
{
    static const struct {
        const char *key;
        uint32_t value;
    } ints[] = {{"embedding_length", 8},
                {"block_count", 1},
                {"attention.head_count", 2},
                {"context_length", 64},
                {"feed_forward_length", 16}};
    *m = (struct made){0};
    if (strcmp(without, "general.architecture") != 0)
        put_str(m, "general.architecture", arch);
    char key[64];
    for (size_t i = 0; i < HN_COUNT(ints); i++) {
        snprintf(key, sizeof key, "%s.%s", arch, ints[i].key);
        if (strcmp(without, ints[i].key) != 0)
            put_int(m, key, ints[i].value);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    if (strcmp(without, "attention.layer_norm_rms_epsilon") != 0)
        put_float(m, key, 1e-6f);
    put_tensor(m, "token_embd.weight", 1, 8);
    put_tensor(m, "blk.0.attn_q.weight", 1, 8);
    put_tensor(m, "blk.0.attn_q_norm.weight", 8, 0);
    put_tensor(m, "blk.0.ffn_norm.weight", 8, 0);
}

static int open_made(struct made *m, struct hn_bundle **b, struct hone_err *err)
{
    struct hn_buf all = {0};
    hn_buf_add_str(&all, "GGUF");
    add(&all, 3, 4);
    add(&all, m->n_tensors, 8);
    add(&all, m->n_pairs, 8);
    hn_buf_add(&all, m->pairs.data, m->pairs.len);
    hn_buf_add(&all, m->tensors.data, m->tensors.len);
    while (all.len % 32)
        hn_buf_add_char(&all, 0);
    for (uint64_t i = 0; i < 32 * m->n_tensors; i++)
        hn_buf_add_char(&all, 0);
    assert_false(all.failed);
    assert_int_equal(hn_file_write(path, all.data, all.len, err), 0);
    hn_buf_release(&all);
    hn_buf_release(&m->pairs);
    hn_buf_release(&m->tensors);
    *b = NULL;
    return hn_bundle_open(b, path, err);
}

static struct hn_bundle *expect_open(struct made *m)
{
    struct hn_bundle *b;
    struct hone_err err = {0};
    if (open_made(m, &b, &err))
        fail_msg("%s", err.message);
    return b;
}

static void expect_refused(struct made *m, const char *words)
{
    struct hn_bundle *b;
    struct hone_err err = {0};
    if (open_made(m, &b, &err) == 0)
        fail_msg("accepted, expected: %s", words);
    expect_message(err.message, path);
    expect_message(err.message, words);
    assert_null(b);
}

/* The config's value for key, as JSON text. */
static void expect_config(const struct hn_bundle *b, const char *key, const char *expected)
{
    const struct hn_json *j = hn_json_get(hn_bundle_config(b), key);
    struct hn_buf text = {0};
    if (j)
        hn_json_dump(&text, j, -1, false, false);
    assert_string_equal(j ? hn_buf_str(&text) : "absent", expected);
    hn_buf_release(&text);
}

static void test_defaults(void **state)
{
    (void)state;
    struct made m;
    begin(&m, "llama", "");
    struct hn_bundle *b = expect_open(&m);
    expect_config(b, "num_key_value_heads", "2");
    expect_config(b, "head_dim", "4");
    expect_config(b, "vocab_size", "8");
    expect_config(b, "rope_theta", "10000.0");
    expect_config(b, "rms_norm_eps", "1e-06"); /* not 9.999999974752427e-07 */
    expect_config(b, "rope_scaling", "null");
    expect_config(b, "sliding_window", "null");
    expect_config(b, "tie_word_embeddings", "true");
    expect_config(b, "attention_bias", "false");
    expect_config(b, "partial_rotary_factor", "absent");
    expect_config(b, "eos_token_id", "absent");
    const int32_t *eos;
    assert_int_equal(hn_bundle_eos(b, &eos), 0);
    assert_int_equal(hn_bundle_bos(b), -1);
    hn_bundle_close(&b);
}

static void test_families(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *type;
        int64_t rope_head;
    } cases[] = {{"llama", "\"llama\"", 4},
                 {"mistral", "\"mistral\"", 4},
                 {"qwen2", "\"qwen2\"", 0},
                 {"qwen3", "\"qwen3\"", 0}};
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct made m;
        struct hn_matrix w;
        struct hone_err err = {0};
        begin(&m, cases[i].arch, "");
        put_tensor(&m, "output.weight", 1, 8);
        put_tensor(&m, "blk.0.attn_q.bias", 8, 0);
        struct hn_bundle *b = expect_open(&m);
        expect_config(b, "model_type", cases[i].type);
        expect_config(b, "tie_word_embeddings", "false");
        expect_config(b, "attention_bias", "true");
        assert_true(hn_bundle_has(b, "lm_head.weight"));
        assert_true(hn_bundle_has(b, "model.layers.0.self_attn.q_norm.weight"));
        assert_true(hn_bundle_has(b, "model.layers.0.post_attention_layernorm.weight"));
        assert_int_equal(hn_bundle_matrix(b, "model.layers.0.self_attn.q_proj.weight", &w, &err),
                         0);
        assert_int_equal(w.rope_head, cases[i].rope_head);
        assert_int_equal(hn_bundle_vector(b, "model.layers.0.self_attn.q_proj.bias", &w, &err), 0);
        assert_int_equal(w.rope_head, cases[i].rope_head);
        assert_int_equal(w.rows, cases[i].rope_head ? 8 : 1);
        hn_bundle_close(&b);
    }
}

static void test_rope(void **state)
{
    (void)state;
    struct made m;
    begin(&m, "llama", "");
    put_str(&m, "llama.rope.scaling.type", "linear");
    put_float(&m, "llama.rope.scaling.factor", 2.5f);
    struct hn_bundle *b = expect_open(&m);
    expect_config(b, "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 2.5}");
    hn_bundle_close(&b);
    begin(&m, "qwen2", "");
    put_str(&m, "qwen2.rope.scaling.type", "yarn");
    put_float(&m, "qwen2.rope.scaling.factor", 4);
    put_int(&m, "qwen2.rope.scaling.original_context_length", 32768);
    put_float(&m, "qwen2.rope.scaling.yarn_beta_fast", 32);
    b = expect_open(&m);
    expect_config(b, "rope_scaling",
                  "{\"rope_type\": \"yarn\", \"factor\": 4.0, "
                  "\"original_max_position_embeddings\": 32768, \"beta_fast\": 32.0}");
    hn_bundle_close(&b);
    begin(&m, "llama", "");
    put_float(&m, "llama.rope.scale_linear", 8);
    b = expect_open(&m);
    expect_config(b, "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 8.0}");
    hn_bundle_close(&b);
    begin(&m, "llama", "");
    put_str(&m, "llama.rope.scaling.type", "none");
    put_int(&m, "llama.rope.dimension_count", 2);
    put_int(&m, "llama.attention.sliding_window", 4096);
    put_int(&m, "llama.attention.key_length", 8);
    b = expect_open(&m);
    expect_config(b, "rope_scaling", "null");
    expect_config(b, "partial_rotary_factor", "0.25");
    expect_config(b, "sliding_window", "4096");
    expect_config(b, "head_dim", "8");
    hn_bundle_close(&b);
}

static void test_missing(void **state)
{
    (void)state;
    static const char *const keys[] = {"general.architecture",
                                       "embedding_length",
                                       "block_count",
                                       "attention.head_count",
                                       "context_length",
                                       "feed_forward_length",
                                       "attention.layer_norm_rms_epsilon"};
    for (size_t i = 0; i < HN_COUNT(keys); i++) {
        struct made m;
        char words[128];
        begin(&m, "llama", keys[i]);
        snprintf(words, sizeof words, "%s|missing", keys[i]);
        expect_refused(&m, words);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const uint32_t same[] = {2, 2}, mixed[] = {2, 1};
    struct made m;
    begin(&m, "gpt2", "");
    expect_refused(&m, "\"gpt2\"|llama");
    begin(&m, "llama", "");
    put_int(&m, "split.count", 2);
    expect_refused(&m, "2 parts|llama-gguf-split");
    begin(&m, "llama", "");
    put_str(&m, "general.type", "adapter");
    expect_refused(&m, "\"adapter\"");
    begin(&m, "llama", "");
    put_int(&m, "llama.expert_count", 8);
    expect_refused(&m, "expert_count|mixture of experts");
    begin(&m, "llama", "attention.head_count");
    put_ints(&m, "llama.attention.head_count", mixed, 2);
    expect_refused(&m, "head_count|block to block");
    begin(&m, "llama", "attention.head_count");
    put_int(&m, "llama.attention.head_count", 0);
    expect_refused(&m, "head_count|positive");
    static const uint32_t odd[] = {3, 8, 9};
    for (size_t i = 0; i < HN_COUNT(odd); i++) { /* heads of 2 2/3, 1 and 0 */
        begin(&m, "llama", "attention.head_count");
        put_int(&m, "llama.attention.head_count", odd[i]);
        if (odd[i] == 3)
            put_int(&m, "llama.attention.key_length", 3);
        expect_refused(&m, "head_count|not even");
    }
    begin(&m, "llama", "block_count");
    put_float(&m, "llama.block_count", 2);
    expect_refused(&m, "block_count|not an integer");
    begin(&m, "llama", "block_count");
    put_int(&m, "llama.block_count", UINT32_MAX);
    expect_refused(&m, "block_count|not a count");
    begin(&m, "llama", "attention.layer_norm_rms_epsilon");
    put_str(&m, "llama.attention.layer_norm_rms_epsilon", "x");
    expect_refused(&m, "epsilon|not a number");
    begin(&m, "llama", "");
    put_float(&m, "llama.rope.freq_base", (float)(1e30 * 1e30));
    expect_refused(&m, "freq_base|not finite");
    begin(&m, "llama", "");
    put_str(&m, "llama.rope.scaling.type", "longrope");
    put_float(&m, "llama.rope.scaling.factor", 2);
    expect_refused(&m, "rope.scaling.type|linear, yarn");
    begin(&m, "llama", "");
    put_str(&m, "llama.rope.scaling.type", "linear");
    expect_refused(&m, "rope.scaling.factor|missing");
    begin(&m, "llama", "");
    put_str(&m, "llama.rope.scaling.type", "linear");
    put_float(&m, "llama.rope.scaling.factor", 2);
    put_tensor(&m, "rope_freqs.weight", 8, 0);
    expect_refused(&m, "rope_freqs.weight");
    begin(&m, "llama", "");
    put_int(&m, "llama.attention.value_length", 2);
    expect_refused(&m, "value_length");
    begin(&m, "llama", "");
    put_tensor(&m, "model.norm.weight", 8, 0);
    put_tensor(&m, "output_norm.weight", 8, 0);
    expect_refused(&m, "two tensors|model.norm.weight|output_norm.weight");
    begin(&m, "llama", "attention.head_count");
    put_ints(&m, "llama.attention.head_count", same, 2);
    struct hn_bundle *b = expect_open(&m);
    expect_config(b, "num_attention_heads", "2");
    hn_bundle_close(&b);
}

/* q with rows that are not whole heads is no weight of this model. */
static void test_ragged_heads(void **state)
{
    (void)state;
    struct made m;
    struct hn_matrix w;
    struct hone_err err = {0};
    begin(&m, "llama", "");
    put_tensor(&m, "blk.0.attn_k.weight", 1, 7);
    put_tensor(&m, "blk.0.attn_k.bias", 7, 0);
    struct hn_bundle *b = expect_open(&m);
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.self_attn.k_proj.weight", &w, &err),
                     HONE_FAILED);
    expect_message(err.message, "7 rows|head size 4");
    assert_int_equal(hn_bundle_vector(b, "model.layers.0.self_attn.k_proj.bias", &w, &err),
                     HONE_FAILED);
    expect_message(err.message, "length 7|heads of 4");
    hn_bundle_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_families),
        cmocka_unit_test(test_rope),     cmocka_unit_test(test_missing),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_ragged_heads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
