/* Bundles: one model saved by transformers, by mlx-lm and as GGUF reads the same; and what is wrong
 * with a directory is said. */
#include "golden.h"
#include "base/file.h"
#include "format/bundle.h"
#include "format/gguf_write.h"
#include <stdlib.h>
#include <unistd.h>

static struct hn_bundle *open_bundle(const char *path)
{
    struct hn_bundle *b = NULL;
    struct hone_err err = {0};
    if (hn_bundle_open(&b, path, &err))
        fail_msg("%s", err.message);
    return b;
}

/* Decode the weight, matrix or vector, and hold it against the golden one. */
static void check_weight(const struct hn_bundle *b, const struct hn_st_tensor *t)
{
    struct hone_err err = {0};
    struct hn_matrix m;
    float *out = hn_calloc((size_t)t->n_elements, sizeof *out);
    assert_non_null(out);
    assert_true(hn_bundle_has(b, t->name));
    if (t->n_dims == 1) {
        if (hn_bundle_decode_vector(b, t->name, out, t->n_elements, &err))
            fail_msg("%s", err.message);
        assert_int_equal(hn_bundle_decode_vector(b, t->name, out, t->n_elements + 1, &err),
                         HONE_FAILED);
    } else {
        if (hn_bundle_matrix(b, t->name, &m, &err))
            fail_msg("%s", err.message);
        assert_int_equal(m.rows, t->shape[0]);
        assert_int_equal(m.cols, t->shape[1]);
        for (int64_t row = 0; row < m.rows; row++)
            hn_matrix_decode(&m, row, 0, m.cols, out + row * m.cols);
    }
    expect_bits(t, out, t->n_elements);
    hn_free(out);
}

static void check_all(const struct hn_bundle *b, const char *goldens)
{
    struct hn_safetensors st;
    open_golden(&st, goldens);
    assert_true(st.n > 20);
    for (size_t i = 0; i < st.n; i++)
        check_weight(b, &st.tensors[i]);
    hn_st_release(&st);
}

static int64_t config_int(const struct hn_bundle *b, const char *key)
{
    int64_t v = -1;
    if (!hn_json_int(hn_json_get(hn_bundle_config(b), key), &v))
        fail_msg("no %s", key);
    return v;
}

static void check_info(const struct hn_bundle *b, enum hn_bundle_kind kind, const char *format,
                       const char *quantization, size_t n_files)
{
    struct hn_bundle_info info;
    hn_bundle_info(b, &info);
    assert_int_equal(info.kind, kind);
    assert_string_equal(info.format, format);
    assert_string_equal(info.quantization, quantization);
    assert_int_equal(info.n_files, n_files);
    assert_string_equal(info.tokenizer_path, info.path);
    assert_true(info.weight_bytes > 0 && info.weight_bytes < info.file_bytes);
    /* embedding and head 2*40*32, norms (2*2 + 1)*32, per block q, o 32*32, k, v 16*32, biases of
     * q, k, v, o 96, gate, up, down 3*32*64 */
    assert_int_equal(info.n_parameters,
                     2 * 40 * 32 + 5 * 32 + 2 * (2 * 1024 + 2 * 512 + 96 + 3 * 2048));
}

static void test_directory(void **state)
{
    (void)state;
    struct hn_bundle *b = open_bundle(DATA "hf///"), *sharded = open_bundle(DATA "hf-sharded");
    const int32_t *eos;
    check_info(b, HN_BUNDLE_HF, "safetensors", "none (bfloat16)", 1);
    check_info(sharded, HN_BUNDLE_HF, "safetensors", "none (float32)", 6);
    assert_int_equal(config_int(b, "hidden_size"), 32);
    assert_int_equal(hn_bundle_eos(b, &eos), 2);
    assert_true(eos[0] == 2 && eos[1] == 7);
    assert_int_equal(hn_bundle_bos(b), 1);
    assert_null(hn_bundle_gguf(b));
    /* the sharded one is the same model, widened to float32 */
    for (size_t i = 0; i < hn_bundle_n_tensors(sharded); i++) {
        struct hn_bundle_tensor t;
        hn_bundle_tensor(sharded, i, &t);
        assert_string_equal(t.type, "F32");
        struct hn_matrix m;
        struct hone_err err = {0};
        int rc = t.n_dims == 1 ? hn_bundle_vector(sharded, t.name, &m, &err)
                               : hn_bundle_matrix(sharded, t.name, &m, &err);
        assert_int_equal(rc, 0);
        struct hn_st_tensor golden = {.name = t.name,
                                      .dtype = HN_F32,
                                      .n_dims = t.n_dims,
                                      .n_elements = m.rows * m.cols,
                                      .data = m.data,
                                      .size = t.size};
        memcpy(golden.shape, t.shape, sizeof golden.shape);
        check_weight(b, &golden);
    }
    assert_int_equal(hn_bundle_n_tensors(b), hn_bundle_n_tensors(sharded));
    hn_bundle_close(&b);
    hn_bundle_close(&sharded);
    assert_null(b);
}

static void test_lookups(void **state)
{
    (void)state;
    struct hn_bundle *b = open_bundle(DATA "hf");
    struct hone_err err = {0};
    struct hn_matrix m = {.rows = 123};
    assert_false(hn_bundle_has(b, "nothing"));
    assert_int_equal(hn_bundle_matrix(b, "nothing", &m, &err), HONE_NOT_FOUND);
    expect_message(err.message, "\"nothing\"");
    assert_int_equal(hn_bundle_matrix(b, "model.norm.weight", &m, &err), HONE_FAILED);
    expect_message(err.message, "model.norm.weight|1 dimensions|expected 2");
    assert_int_equal(hn_bundle_vector(b, "lm_head.weight", &m, &err), HONE_FAILED);
    expect_message(err.message, "lm_head.weight|2 dimensions|expected 1");
    assert_int_equal(m.rows, 123);
    hn_bundle_close(&b);
}

static void test_mlx(void **state)
{
    (void)state;
    struct hn_bundle *b = open_bundle(DATA "mlx");
    struct hone_err err = {0};
    struct hn_matrix m;
    check_info(b, HN_BUNDLE_MLX, "MLX",
               "affine 4-bit, groups of 32 (85%), bfloat16 (10%), affine 8-bit, groups of 32 (5%)",
               1);
    check_all(b, DATA "mlx.safetensors");
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.self_attn.v_proj.weight", &m, &err), 0);
    assert_int_equal(m.bits, 8);
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.mlp.up_proj.weight", &m, &err), 0);
    assert_int_equal(m.layout, HN_LAYOUT_BF16);
    hn_bundle_close(&b);
}

/* NF4 and FP4, with plain and quantised scales, blocks across rows, any storage type; int8. */
static void test_bnb(void **state)
{
    (void)state;
    struct hn_bundle *b = open_bundle(DATA "bnb");
    struct hone_err err = {0};
    struct hn_matrix m;
    struct hn_safetensors st;
    open_golden(&st, DATA "bnb.safetensors");
    assert_int_equal(st.n, 6);
    for (size_t i = 0; i < st.n; i++)
        check_weight(b, &st.tensors[i]);
    hn_st_release(&st);
    struct hn_bundle_info info;
    hn_bundle_info(b, &info);
    assert_int_equal(info.n_parameters, 12 * 96 + 2 * 12 * 128 + 200 * 48 + 20 * 64 + 6 * 40 + 96);
    expect_message(info.quantization, "bitsandbytes NF4, blocks of 32, double quantised (63%)|"
                                      "bitsandbytes int8 (2%)");
    /* a part of a row, from inside a block */
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.self_attn.v_proj.weight", &m, &err), 0);
    float whole[48], some[7];
    hn_matrix_decode(&m, 101, 0, 48, whole);
    hn_matrix_decode(&m, 101, 29, 7, some);
    assert_memory_equal(some, whole + 29, sizeof some);
    /* codes, absmax, nested_absmax, the two maps */
    assert_int_equal(hn_matrix_size(&m), 4800 + 300 + 8 + 64 + 1024);
    hn_bundle_close(&b);
}

static void test_gguf(void **state)
{
    (void)state;
    struct hn_bundle *b = open_bundle(DATA "llama.gguf");
    struct hn_matrix m;
    struct hone_err err = {0};
    const int32_t *eos;
    check_all(b, DATA "llama.safetensors");
    struct hn_bundle_info info;
    hn_bundle_info(b, &info);
    assert_string_equal(info.format, "GGUF v3");
    assert_string_equal(info.quantization, "Q8_0");
    assert_int_equal(hn_bundle_matrix(b, "model.layers.1.self_attn.k_proj.weight", &m, &err), 0);
    assert_int_equal(m.rope_head, 8);
    assert_int_equal(hn_bundle_matrix(b, "model.layers.1.self_attn.v_proj.weight", &m, &err), 0);
    assert_int_equal(m.rope_head, 0);
    const struct hn_json *c = hn_bundle_config(b);
    assert_true(hn_json_is(hn_json_get(c, "model_type"), "llama"));
    assert_true(hn_json_is(hn_json_at(hn_json_get(c, "architectures"), 0), "LlamaForCausalLM"));
    static const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"hidden_size", 32},
                {"num_hidden_layers", 2},
                {"num_attention_heads", 4},
                {"num_key_value_heads", 2},
                {"head_dim", 8},
                {"intermediate_size", 64},
                {"vocab_size", 40},
                {"max_position_embeddings", 64}};
    for (size_t i = 0; i < HN_COUNT(ints); i++)
        assert_int_equal(config_int(b, ints[i].key), ints[i].value);
    double d;
    bool yes;
    assert_true(hn_json_float(hn_json_get(c, "rms_norm_eps"), &d) && d == 1e-5);
    assert_true(hn_json_float(hn_json_get(c, "rope_theta"), &d) && d == 5e5);
    assert_true(hn_json_bool(hn_json_get(c, "tie_word_embeddings"), &yes) && !yes);
    assert_true(hn_json_bool(hn_json_get(c, "attention_bias"), &yes) && yes);
    assert_int_equal(hn_json_get(c, "sliding_window")->type, HN_JSON_NULL);
    assert_true(hn_json_is(hn_json_get(hn_json_get(c, "rope_scaling"), "rope_type"), "factors"));
    assert_int_equal(hn_bundle_eos(b, &eos), 2);
    assert_true(eos[0] == 2 && eos[1] == 9);
    assert_int_equal(hn_bundle_bos(b), 1);
    assert_non_null(hn_bundle_gguf(b));
    hn_bundle_close(&b);
}

static char scratch[64];

static void put(const char *name, const char *text)
{
    char path[256];
    struct hone_err err = {0};
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    assert_int_equal(hn_file_write(path, text, strlen(text), &err), 0);
}

static void link_golden(const char *from, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    assert_int_equal(symlink(from, path), 0);
}

static int setup(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/hone-test-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char **names, path[400];
    size_t n;
    struct hone_err err = {0};
    if (hn_dir_list(scratch, &names, &n, &err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch, names[i]);
        unlink(path);
    }
    hn_free(names);
    return rmdir(scratch);
}

static void refuse(const char *words)
{
    struct hn_bundle *b = NULL;
    struct hone_err err = {0};
    if (hn_bundle_open(&b, scratch, &err) == 0)
        fail_msg("accepted, expected: %s", words);
    expect_message(err.message, scratch);
    expect_message(err.message, words);
    assert_null(b);
}

static void test_no_config(void **state)
{
    (void)state;
    refuse("no config.json|nothing");
    put("readme", "");
    put("x.gguf", "");
    refuse("no config.json|readme|.gguf file, give its own path");
    put("adapter_config.json", "{}");
    refuse("adapter, not a model");
    put("config.json", "{");
    refuse("config.json|line 1");
    put("config.json", "[]");
    refuse("config.json|an array");
}

static void test_no_weights(void **state)
{
    (void)state;
    put("config.json", "{}");
    refuse("no model.safetensors|config.json");
    put("consolidated.safetensors", "");
    refuse("Mistral's own layout");
    put("pytorch_model-00001-of-00002.bin", "");
    put("adapter.safetensors", "");
    refuse("Mistral's own layout");
}

static void test_pickle(void **state)
{
    (void)state;
    put("config.json", "{}");
    put("pytorch_model.bin", "");
    refuse("pickle|save_pretrained");
    put("model.safetensors", "");
    refuse("model.safetensors|too few");
}

static void test_index(void **state)
{
    (void)state;
    put("config.json", "{}");
    put("model.safetensors.index.json", "{}");
    refuse("weight_map is nothing");
    put("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../x.safetensors\"}}");
    refuse("\"a\"|in this directory");
    put("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"x.bin\"}}");
    refuse("\"a\"|in this directory");
    put("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"part.safetensors\"}}");
    refuse("part.safetensors is missing");
    link_golden(DATA "hf/model.safetensors", "part.safetensors");
    refuse("tensor \"a\" in part.safetensors");
    put("model.safetensors.index.json",
        "{\"weight_map\":{\"lm_head.weight\":\"part.safetensors\"}}");
    struct hn_bundle *b = open_bundle(scratch);
    hn_bundle_close(&b);
    link_golden(DATA "hf/model.safetensors", "model.safetensors");
    refuse("an index that names other files");
    put("model.safetensors.index.json", "{\"weight_map\":{\"lm_head.weight\":\"part.safetensors\","
                                        "\"model.norm.weight\":\"model.safetensors\"}}");
    refuse("two tensors are|part.safetensors|model.safetensors");
}

static void test_missing_shard(void **state)
{
    (void)state;
    put("config.json", "{}");
    link_golden(DATA "hf-sharded/model-00001-of-00006.safetensors",
                "model-00001-of-00006.safetensors");
    link_golden(DATA "hf-sharded/model-00003-of-00006.safetensors",
                "model-00003-of-00006.safetensors");
    refuse("model-00002-of-00006.safetensors is missing");
}

static void test_methods(void **state)
{
    (void)state;
    link_golden(DATA "hf/model.safetensors", "model.safetensors");
    put("config.json", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}");
    refuse("gptq");
    put("config.json", "{\"text_config\":{\"quantization_config\":{\"quant_method\":\"awq\"}}}");
    refuse("awq");
    put("config.json", "{\"quantization_config\":{\"quant_method\":\"fp8\"}}");
    refuse("fp8|load_in_4bit");
    put("config.json", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\"}}");
    refuse("compressed-tensors|GGUF");
    put("config.json", "{}");
    put("hf_quant_config.json", "{}");
    refuse("ModelOpt");
    put("generation_config.json", "{\"eos_token_id\":");
    put("config.json", "{}");
    refuse("generation_config.json");
}

/* A head of its own is the head, whatever tie_word_embeddings says. */
static void test_tied(void **state)
{
    (void)state;
    static const int64_t shape[] = {2, 2};
    static const float embed[4] = {1, 2, 3, 4}, other[4] = {1, 2, 3, 5};
    const float *const heads[] = {NULL, embed, other};
    static const bool want[][3] = {
        {true, false, true}, {false, false, true}, {false, false, false}};
    char path[128];
    struct hone_err err = {0};
    put("config.json", "{}");
    snprintf(path, sizeof path, "%s/model.safetensors", scratch);
    for (size_t i = 0; i < HN_COUNT(heads); i++) {
        const struct hn_st_entry e[] = {
            {"model.embed_tokens.weight", HN_F32, 2, shape, embed},
            {"lm_head.weight", HN_F32, 2, shape, heads[i]},
        };
        assert_int_equal(hn_st_write(path, e, heads[i] ? 2 : 1, NULL, 0, &err), 0);
        struct hn_bundle *b = open_bundle(scratch);
        for (int said = -1; said <= 1; said++)
            assert_int_equal(hn_bundle_tied(b, said), want[i][said + 1]);
        hn_bundle_close(&b);
    }
}

static int64_t resident_pages(void)
{
    long long pages = -1;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %lld", &pages) != 1)
        pages = -1;
    if (f)
        fclose(f);
    return pages;
}

/* Beside a head that is the embedding once more, only the embedding takes memory. */
static void test_tied_memory(void **state)
{
    (void)state;
    static const int64_t shape[] = {1 << 14, 1 << 9};
    const size_t size = (size_t)1 << 25;
    char path[128];
    struct hone_err err = {0};
    float *values = hn_calloc(1, size);
    const struct hn_st_entry e[] = {
        {"model.embed_tokens.weight", HN_F32, 2, shape, values},
        {"lm_head.weight", HN_F32, 2, shape, values},
    };
    put("config.json", "{}");
    snprintf(path, sizeof path, "%s/model.safetensors", scratch);
    assert_int_equal(hn_st_write(path, e, 2, NULL, 0, &err), 0);
    hn_free(values);
    struct hn_bundle *b = open_bundle(scratch);
    int64_t before = resident_pages();
    assert_true(hn_bundle_tied(b, 1));
    int64_t pages = resident_pages() - before;
    hn_bundle_close(&b);
    if (before < 0)
        skip();
    assert_true(pages * sysconf(_SC_PAGESIZE) < (int64_t)(size + size / 2));
}

/* What holds no word of its method, or a type that only newer or rarer files have, is refused where
 * its weight is asked for. */
static void test_unknown_weights(void **state)
{
    (void)state;
    char path[128];
    static const int64_t shape[] = {4, 4};
    static const float values[16] = {0};
    const struct hn_st_entry e[] = {
        {"model.embed_tokens.weight", HN_F32, 2, shape, values},
        {"model.layers.0.mlp.up_proj.qweight", HN_I32, 2, shape, values},
    };
    struct hone_err err = {0};
    struct hn_matrix m;
    put("config.json", "{}");
    snprintf(path, sizeof path, "%s/model.safetensors", scratch);
    assert_int_equal(hn_st_write(path, e, 2, NULL, 0, &err), 0);
    struct hn_bundle *b = open_bundle(scratch);
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.mlp.up_proj.weight", &m, &err),
                     HONE_FAILED);
    expect_message(err.message, "up_proj.weight|GPTQ or AWQ|GGUF version");
    hn_bundle_close(&b);

    struct hn_gguf g;
    struct hn_gguf_meta meta = {0};
    struct hn_gguf_writer w;
    const struct hn_gguf_entry entry = {
        .name = "blk.0.ffn_up.weight", .type = 21, .n_dims = 2, .shape = {256, 2}, .size = 220};
    static const unsigned char zeros[220] = {0};
    assert_int_equal(hn_gguf_open(&g, DATA "llama.gguf", &err), 0);
    for (size_t i = 0; i < g.n_pairs; i++)
        hn_gguf_meta_copy(&meta, &g.pairs[i]);
    snprintf(path, sizeof path, "%s/x.gguf", scratch);
    assert_int_equal(hn_gguf_writer_open(&w, path, &meta, &entry, 1, &err), 0);
    hn_gguf_writer_add(&w, zeros, sizeof zeros);
    assert_int_equal(hn_gguf_writer_commit(&w, &err), 0);
    hn_gguf_meta_release(&meta);
    hn_gguf_release(&g);
    b = open_bundle(path);
    assert_int_equal(hn_bundle_matrix(b, "model.layers.0.mlp.up_proj.weight", &m, &err),
                     HONE_FAILED);
    expect_message(err.message, "blk.0.ffn_up.weight|type IQ3_S|Q3_K or Q2_K file");
    hn_bundle_close(&b);
}

/* What the config does not say is told from the shapes; what it says wrongly is an error. */
static void test_mlx_config(void **state)
{
    (void)state;
    static const struct {
        const char *config, *words;
    } cases[] = {
        {"{\"hidden_size\":32,\"intermediate_size\":64,\"quantization\":{\"group_size\":64,"
         "\"bits\":4}}",
         NULL},
        {"{\"hidden_size\":32,\"intermediate_size\":64}", NULL},
        {"{\"text_config\":{\"hidden_size\":32,\"intermediate_size\":64}}", NULL},
        {"{\"hidden_size\":32,\"intermediate_size\":64,\"quantization\":{\"lm_head\":{\"bits\":8,"
         "\"group_size\":32}}}",
         "lm_head.weight|does not fit"},
        {"{\"hidden_size\":32,\"intermediate_size\":64,\"quantization\":{\"lm_head\":false}}",
         "lm_head.weight|not quantised"},
        {"{\"hidden_size\":32,\"intermediate_size\":64,\"quantization\":{\"lm_head\":{\"mode\":"
         "\"mxfp4\"}}}",
         "lm_head.weight|mode"},
    };
    link_golden(DATA "mlx/model.safetensors", "model.safetensors");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        put("config.json", cases[i].config);
        if (cases[i].words) {
            refuse(cases[i].words);
            continue;
        }
        struct hn_bundle *b = open_bundle(scratch);
        check_all(b, DATA "mlx.safetensors");
        hn_bundle_close(&b);
    }
}

/* A 4-bit weight of 4 bytes with this state, n_absmax float32 scales and n_map entries of the map.
 */
static void put_four(const char *state, int64_t n_absmax, int64_t n_map)
{
    static const float zeros[300];
    const int64_t codes[] = {4, 1}, n_state = (int64_t)strlen(state);
    const struct hn_st_entry e[] = {
        {"w.weight", HN_U8, 2, codes, zeros},
        {"w.weight.absmax", HN_F32, 1, &n_absmax, zeros},
        {"w.weight.quant_map", HN_F32, 1, &n_map, zeros},
        {"w.weight.quant_state.bitsandbytes__nf4", HN_U8, 1, &n_state, state},
    };
    char path[128];
    struct hone_err err = {0};
    snprintf(path, sizeof path, "%s/model.safetensors", scratch);
    assert_int_equal(hn_st_write(path, e, HN_COUNT(e), NULL, 0, &err), 0);
}

#define STATE(shape, block, rest)                                                                  \
    "{\"quant_type\":\"nf4\",\"dtype\":\"bfloat16\",\"shape\":" shape ",\"blocksize\":" block rest \
    "}"

static void test_bnb_states(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        int64_t n_absmax, n_map;
        const char *words;
    } cases[] = {
        {STATE("[2,4]", "64", ""), 1, 16, NULL},
        {STATE("[2,4]", "2", ""), 4, 16, NULL},
        {"{", 1, 16, "quant_state|expected"},
        {"[]", 1, 16, "w.weight|quant_state"},
        {STATE("[8]", "64", ""), 1, 16, "shape of two"},
        {STATE("[2,2,2]", "64", ""), 1, 16, "shape of two"},
        {STATE("[-2,-4]", "64", ""), 1, 16, "shape of two"},
        {STATE("[4611686018427387904,4]", "64", ""), 1, 16, "shape of two"},
        {STATE("[8,1]", "64", ""), 1, 16, "even"},
        {STATE("[2,4]", "0", ""), 1, 16, "blocksize"},
        {STATE("[2,6]", "64", ""), 1, 16, "bytes do not fit"},
        {STATE("[2,4]", "64", ""), 2, 16, "absmax"},
        {STATE("[2,4]", "4", ""), 1, 16, "absmax"},
        {STATE("[2,4]", "64", ""), 1, 15, "quant_map"},
        {STATE("[2,4]", "64", ",\"nested_blocksize\":0"), 1, 16, "nested"},
        {STATE("[2,4]", "64",
               ",\"nested_blocksize\":256,\"nested_offset\":1,\"nested_dtype\":\"float32\""),
         1, 16, "absmax"},
        {"{\"dtype\":\"int8\",\"shape\":[2,4],\"blocksize\":64}", 1, 16, "dtype"},
    };
    put("config.json", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\"}}");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        put_four(cases[i].state, cases[i].n_absmax, cases[i].n_map);
        if (cases[i].words) {
            refuse(cases[i].words);
            continue;
        }
        struct hn_bundle *b = open_bundle(scratch);
        hn_bundle_close(&b);
    }
}

static void test_other_prefixes(void **state)
{
    (void)state;
    static const char *const names[][3] = {
        {"embed_tokens.weight", "layers.0.x.weight", "lm_head.weight"},
        {"language_model.model.embed_tokens.weight", "language_model.model.layers.0.x.weight",
         "language_model.lm_head.weight"},
        {"model.language_model.embed_tokens.weight", "model.language_model.layers.0.x.weight",
         "lm_head.weight"},
    };
    static const int64_t shape[] = {1, 1};
    static const float value = 3;
    put("config.json", "{\"text_config\":{\"eos_token_id\":5}}");
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        struct hn_st_entry e[3];
        struct hone_err err = {0};
        char path[128];
        for (int k = 0; k < 3; k++)
            e[k] = (struct hn_st_entry){names[i][k], HN_F32, 2, shape, &value};
        snprintf(path, sizeof path, "%s/model.safetensors", scratch);
        assert_int_equal(hn_st_write(path, e, 3, NULL, 0, &err), 0);
        struct hn_bundle *b = open_bundle(scratch);
        assert_true(hn_bundle_has(b, "model.embed_tokens.weight"));
        assert_true(hn_bundle_has(b, "model.layers.0.x.weight"));
        assert_true(hn_bundle_has(b, "lm_head.weight"));
        const int32_t *eos;
        assert_int_equal(hn_bundle_eos(b, &eos), 1);
        assert_int_equal(eos[0], 5);
        hn_bundle_close(&b);
    }
}

static void test_other_files(void **state)
{
    (void)state;
    struct hn_bundle *b = NULL;
    struct hone_err err = {0};
    assert_int_equal(hn_bundle_open(&b, "/nonexistent/model", &err), HONE_NOT_FOUND);
    assert_int_equal(hn_bundle_open(&b, DATA "hf/model.safetensors", &err), HONE_FAILED);
    expect_message(err.message, "config.json");
    assert_int_equal(hn_bundle_open(&b, DATA "hf/config.json", &err), HONE_FAILED);
    expect_message(err.message, "not a GGUF file");
    assert_int_equal(hn_bundle_open(&b, DATA "types.gguf", &err), HONE_FAILED);
    expect_message(err.message, "types.gguf|llama.");
    assert_int_equal(hn_bundle_open(&b, DATA "peft", &err), HONE_FAILED);
    expect_message(err.message, "adapter");
    assert_null(b);
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory), cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_mlx),       cmocka_unit_test(test_bnb),
        cmocka_unit_test(test_gguf),      cmocka_unit_test(test_other_files),
        scratch_test(test_no_config),     scratch_test(test_no_weights),
        scratch_test(test_pickle),        scratch_test(test_index),
        scratch_test(test_missing_shard), scratch_test(test_methods),
        scratch_test(test_mlx_config),    scratch_test(test_other_prefixes),
        scratch_test(test_bnb_states),    scratch_test(test_unknown_weights),
        scratch_test(test_tied),          scratch_test(test_tied_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
