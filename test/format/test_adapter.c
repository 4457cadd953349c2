/* Adapters: what PEFT and mlx-lm wrote reads with their scales; what hone writes reads back; what
 * it cannot apply is refused by name. */
#include "golden.h"
#include "base/file.h"
#include "format/adapter.h"
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_modules(const struct hn_adapter_file *f, const char *goldens)
{
    struct hn_safetensors st;
    open_golden(&st, goldens);
    assert_int_equal(st.n, 3 * f->n);
    for (size_t i = 0; i < f->n; i++) {
        const struct hn_adapter_module *m = &f->modules[i];
        char name[256];
        double scale;
        snprintf(name, sizeof name, "%s.a", m->path);
        expect_bits(golden(&st, name), m->a, m->rank * m->in);
        snprintf(name, sizeof name, "%s.b", m->path);
        expect_bits(golden(&st, name), m->b, m->out * m->rank);
        snprintf(name, sizeof name, "%s.scale", m->path);
        memcpy(&scale, golden(&st, name)->data, sizeof scale);
        if (scale != m->scale)
            fail_msg("%s: scale %.17g, expected %.17g", m->path, m->scale, scale);
    }
    hn_st_release(&st);
}

static void read_adapter(struct hn_adapter_file *f, const char *path)
{
    struct hone_err err = {0};
    if (hn_adapter_read(f, path, &err))
        fail_msg("%s", err.message);
}

static void test_peft(void **state)
{
    (void)state;
    struct hn_adapter_file f;
    read_adapter(&f, DATA "peft");
    check_modules(&f, DATA "peft.safetensors");
    assert_int_equal(f.layout, HN_ADAPTER_PEFT);
    assert_string_equal(f.base_model, "org/tiny");
    assert_int_equal(f.rank, 6);
    assert_true(f.use_rslora && f.alpha == 8 && f.dropout == 0.1);
    assert_int_equal(f.num_layers, -1);
    /* in model order */
    assert_string_equal(f.modules[0].path, "model.layers.0.self_attn.q_proj");
    assert_string_equal(f.modules[2].path, "model.layers.0.mlp.down_proj");
    assert_string_equal(f.modules[5].path, "model.layers.1.mlp.down_proj");
    hn_adapter_release(&f);
    read_adapter(&f, DATA "peft/adapter_model.safetensors"); /* the file itself */
    check_modules(&f, DATA "peft.safetensors");
    hn_adapter_release(&f);
    assert_true(hn_adapter_is_dir(DATA "peft"));
    assert_false(hn_adapter_is_dir(DATA "hf"));
    struct hn_buf base = {0};
    struct hone_err err = {0};
    assert_int_equal(hn_adapter_base_model(DATA "mlx-lora", &base, &err), 0);
    assert_string_equal(hn_buf_str(&base), "org/tiny");
    hn_buf_release(&base);
    assert_int_equal(hn_adapter_base_model(DATA "hf", &base, &err), HONE_NOT_FOUND);
}

static void test_mlx(void **state)
{
    (void)state;
    struct hn_adapter_file f;
    read_adapter(&f, DATA "mlx-lora");
    check_modules(&f, DATA "mlx-lora.safetensors");
    assert_int_equal(f.layout, HN_ADAPTER_MLX);
    assert_int_equal(f.rank, 3);
    assert_int_equal(f.num_layers, 2);
    assert_true(f.alpha == 7.5 && f.dropout == 0.05 && !f.use_rslora);
    hn_adapter_release(&f);
}

static char scratch[64];

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

static const char *in_scratch(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", scratch, name);
    return path;
}

static void put(const char *name, const char *text)
{
    char path[256];
    struct hone_err err = {0};
    assert_int_equal(hn_file_write(in_scratch(path, name), text, strlen(text), &err), 0);
}

static void put_tensors(const char *file, const char *const *names, const int64_t (*shapes)[2],
                        size_t n)
{
    static const float values[64] = {1, 2, 3};
    struct hn_st_entry e[8];
    char path[256];
    struct hone_err err = {0};
    for (size_t i = 0; i < n; i++)
        e[i] = (struct hn_st_entry){names[i], HN_F32, 2, shapes[i], values};
    assert_int_equal(hn_st_write(in_scratch(path, file), e, n, NULL, 0, &err), 0);
}

static void refuse(const char *path, const char *words)
{
    struct hn_adapter_file f;
    struct hone_err err = {0};
    if (hn_adapter_read(&f, path, &err) == 0)
        fail_msg("accepted, expected: %s", words);
    expect_message(err.message, scratch);
    expect_message(err.message, words);
    assert_int_equal(f.n, 0);
    hn_adapter_release(&f);
}

#define P "base_model.model.model.layers.0.self_attn.q_proj"

static void test_refused_configs(void **state)
{
    (void)state;
    static const char *const names[] = {P ".lora_A.weight", P ".lora_B.weight"};
    static const int64_t shapes[][2] = {{2, 4}, {3, 2}};
    static const struct {
        const char *config, *words;
    } cases[] = {
        {"{\"peft_type\":\"IA3\"}", "peft_type \"IA3\""},
        {"{}", "neither peft_type nor lora_alpha"},
        {"{\"r\":2,\"lora_alpha\":\"x\"}", "lora_alpha is a string"},
        {"{\"r\":2,\"lora_alpha\":NaN}", "lora_alpha is not finite"},
        {"{\"r\":2,\"lora_alpha\":4,\"lora_dropout\":NaN}", "lora_dropout is not finite"},
        {"{\"r\":2,\"lora_alpha\":4,\"lora_dropout\":-1}", "dropout of -1"},
        {"{\"r\":3,\"lora_alpha\":4}", "q_proj|rank 2|says 3"},
        {"{\"r\":2,\"lora_alpha\":4,\"use_dora\":true}", "use_dora to true|no DoRA magnitudes"},
        {"{\"r\":2,\"lora_alpha\":4,\"bias\":\"all\"}", "bias \"all\""},
        {"{\"r\":2,\"lora_alpha\":4,\"lora_bias\":true}", "lora_bias"},
        {"{\"r\":2,\"lora_alpha\":4,\"modules_to_save\":[\"lm_head\"]}", "modules_to_save"},
        {"{\"r\":2,\"lora_alpha\":4,\"layer_replication\":[[0,1]]}", "layer_replication"},
        {"{\"r\":2,\"lora_alpha\":4,\"target_parameters\":[\"x\"]}", "target_parameters"},
        {"{\"r\":2,\"lora_alpha\":4,\"init_lora_weights\":\"pissa_niter_4\"}",
         "pissa_niter_4|changes the base"},
        {"{\"r\":2,\"lora_alpha\":4,\"init_lora_weights\":\"loftq\"}", "loftq|changes the base"},
        {"{\"r\":2,\"lora_alpha\":4,\"init_lora_weights\":\"novel\"}", "novel|does not know"},
        {"{\"r\":2,\"lora_alpha\":4,\"rank_pattern\":[]}", "rank_pattern is an array"},
        {"{\"r\":2,\"lora_alpha\":4,\"rank_pattern\":{\"(\":3}}",
         "rank_pattern|regular expression"},
        {"{\"r\":2,\"lora_alpha\":4,\"alpha_pattern\":{\"q\":null}}", "alpha_pattern|null"},
        {"{\"r\":2,\"lora_alpha\":4,\"alpha_pattern\":{\"(.|..|...|\\\\w)*\\\\d\\\\d\":1}}",
         "takes too long"},
        {"[]", "adapter_config.json|an array"},
        {"{\"r\":", "adapter_config.json|line 1"},
    };
    put_tensors("adapter_model.safetensors", names, shapes, 2);
    refuse(scratch, "no adapter_config.json");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        put("adapter_config.json", cases[i].config);
        refuse(scratch, cases[i].words);
    }
    struct hn_adapter_file f;
    put("adapter_config.json",
        "{\"r\":8,\"lora_alpha\":4,\"init_lora_weights\":\"gaussian\",\"modules_to_save\":null,"
        "\"rank_pattern\":{\"k_proj\":9,\"layers\\\\.\\\\d\\\\..*q_proj\":2}}");
    read_adapter(&f, scratch);
    assert_true(f.modules[0].scale == 2);
    hn_adapter_release(&f);
}

static void test_refused_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *names[2];
        int64_t shapes[2][2];
        const char *words;
    } cases[] = {
        {{P ".lora_A.weight", P ".lora_magnitude_vector"},
         {{2, 4}, {1, 3}},
         "has a LoRA A but no B"},
        {{P ".lora_A.weight", "base_model.model.lm_head.lora_A.weight"}, {{2, 4}, {2, 9}}, "head"},
        {{P ".lora_A.weight", "base_model.model.model.embed_tokens.lora_embedding_A"},
         {{2, 4}, {2, 9}},
         "embedding"},
        {{P ".lora_A.weight", "base_model.model.lm_head.weight"},
         {{2, 4}, {2, 9}},
         "lm_head.weight|not of a LoRA"},
        {{P ".lora_A.weight", P ".base_layer.weight"}, {{2, 4}, {2, 9}}, "save_embedding_layers"},
        {{P ".lora_A.weight", P ".lora_A.default.weight"}, {{2, 4}, {2, 4}}, "one and the same"},
        {{P ".lora_A.weight", "x.lora_A.weight"}, {{2, 4}, {2, 4}}, "has a LoRA A but no B"},
        {{P ".lora_A.weight", P ".lora_B.weight"}, {{2, 4}, {2, 3}}, "do not go together"},
        {{"a.lora_a", "a.lora_b"}, {{4, 2}, {3, 2}}, "do not go together"},
        {{"a.lora_a", "a.m"}, {{4, 2}, {3, 2}}, "has a LoRA A but no B"},
        {{"a.lora_a", "a.weight"}, {{4, 2}, {3, 2}}, "a.weight|fully trained"},
        {{"model.embed_tokens.lora_a", "model.embed_tokens.lora_b"}, {{4, 2}, {2, 3}}, "embedding"},
        {{"a.lora_a", "b.lora_b"}, {{4, 2}, {2, 3}}, "has a LoRA A but no B"},
        {{"layers.0.q.lora_a", "layers.0.q.lora_b"}, {{4, 1}, {1, 3}}, "rank 1|says 2"},
    };
    put("adapter_config.json",
        "{\"r\":2,\"lora_alpha\":4,\"lora_parameters\":{\"rank\":2,\"scale\":1}}");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        char path[256];
        put_tensors("x.safetensors", cases[i].names, cases[i].shapes, 2);
        refuse(in_scratch(path, "x.safetensors"), cases[i].words);
    }
}

static void test_refused_files(void **state)
{
    (void)state;
    char path[256];
    static const char *const names[] = {"layers.3.q.lora_a", "layers.3.q.lora_b"};
    static const int64_t shapes[][2] = {{4, 2}, {2, 3}};
    refuse(scratch, "holds no adapter");
    put("adapters.safetensors", "");
    refuse(scratch, "adapters.safetensors|too few");
    put_tensors("adapters.safetensors", names, shapes, 2);
    refuse(scratch, "no adapter_config.json");
    put("adapter_config.json", "{\"r\":2,\"lora_alpha\":4,\"peft_type\":\"LORA\"}");
    refuse(scratch, "no lora_parameters|PEFT drops them");
    put("adapter_config.json", "{\"fine_tune_type\":\"hydra\"}");
    refuse(scratch, "\"hydra\"");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":NaN}}");
    refuse(scratch, "scale");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":\"1\"}}");
    refuse(scratch, "scale is a string");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":1.5,\"dropout\":NaN}}");
    refuse(scratch, "dropout");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":1.5}}");
    struct hn_adapter_file f;
    read_adapter(&f, scratch);
    assert_string_equal(f.modules[0].path, "model.layers.3.q"); /* saved from the bare decoder */
    hn_adapter_release(&f);
    refuse(in_scratch(path, "absent.safetensors"), "absent.safetensors");
}

/* Modules of L blocks with values that name their place. */
struct made {
    struct hn_adapter_module modules[8];
    char paths[8][64];
    float a[8][64], b[8][64];
};

static void make(struct made *m, size_t n, const char *const *names, int64_t first_block,
                 const int64_t *ranks, const double *scales)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(m->paths[i], sizeof m->paths[i], "model.layers.%d.%s",
                 (int)first_block + (int)(i / 2), names[i % 2]);
        for (int k = 0; k < 64; k++) {
            m->a[i][k] = (float)(k + 1) / 7 + (float)i;
            m->b[i][k] = (float)(k - 9) / 3 - (float)i;
        }
        m->modules[i] = (struct hn_adapter_module){.path = m->paths[i],
                                                   .rank = ranks[i],
                                                   .in = 5,
                                                   .out = 4,
                                                   .a = m->a[i],
                                                   .b = m->b[i],
                                                   .scale = scales[i]};
    }
}

static void write_made(const struct made *m, size_t n, double alpha, bool rslora, int64_t layers,
                       const struct hn_json *config)
{
    struct hn_adapter_spec spec = {.modules = m->modules,
                                   .n = n,
                                   .base_model = "org/base",
                                   .alpha = alpha,
                                   .dropout = 0.05,
                                   .use_rslora = rslora,
                                   .model_layers = layers,
                                   .config = config};
    struct hone_err err = {0};
    if (hn_adapter_write(scratch, &spec, &err))
        fail_msg("%s", err.message);
}

/* What was written, from one of the two files, must be what was made; the mlx file may be padded.
 */
static void check_made(const struct made *m, size_t n, const char *file)
{
    char path[256];
    struct hn_adapter_file f;
    read_adapter(&f, in_scratch(path, file));
    assert_int_equal(f.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct hn_adapter_module *x = &m->modules[i], *y = &f.modules[i];
        assert_string_equal(x->path, y->path);
        assert_true(y->rank >= x->rank);
        assert_memory_equal(x->a, y->a, (size_t)(x->rank * x->in) * sizeof *x->a);
        for (int64_t o = 0; o < x->out; o++)
            for (int64_t r = 0; r < y->rank; r++) {
                double want = r < x->rank ? x->scale * (double)x->b[o * x->rank + r] : 0;
                double got = y->scale * (double)y->b[o * y->rank + r];
                if (fabs(want - got) > 1e-6 * fabs(want))
                    fail_msg("%s: B[%d, %d] is %g, expected %g", x->path, (int)o, (int)r, got,
                             want);
            }
    }
    hn_adapter_release(&f);
}

static void check_config(const char *key, const char *expected)
{
    char path[256];
    struct hn_buf text = {0}, value = {0};
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_file_read(in_scratch(path, "adapter_config.json"), 1 << 20, &text, &err),
                     0);
    assert_int_equal(hn_json_parse(&arena, text.data, text.len, 0, &j, &err), 0);
    const struct hn_json *found = hn_json_get(j, key);
    if (!found)
        fail_msg("no %s in %s", key, text.data);
    hn_json_dump(&value, found, -1, true, true);
    assert_string_equal(hn_buf_str(&value), expected);
    hn_buf_release(&text);
    hn_buf_release(&value);
    hn_arena_release(&arena);
}

static const char *const two[] = {"self_attn.q_proj", "self_attn.v_proj"};

static void test_write_regular(void **state)
{
    (void)state;
    static const int64_t ranks[] = {2, 2, 2, 2};
    static const double scales[] = {8, 8, 8, 8};
    struct made m;
    make(&m, 4, two, 3, ranks, scales);
    write_made(&m, 4, 16, false, 5, NULL);
    check_made(&m, 4, "adapters.safetensors");
    check_made(&m, 4, "adapter_model.safetensors");
    check_made(&m, 4, "");
    check_config("target_modules", "[\"q_proj\", \"v_proj\"]");
    check_config("layers_to_transform", "[3, 4]");
    check_config("r", "2");
    check_config("lora_alpha", "16");
    check_config("rank_pattern", "{}");
    check_config("num_layers", "2");
    check_config("lora_parameters",
                 "{\"dropout\": 0.05, \"keys\": [\"self_attn.q_proj\", \"self_attn.v_proj\"], "
                 "\"rank\": 2, \"scale\": 8.0}");
    check_config("base_model_name_or_path", "\"org/base\"");
    check_config("task_type", "\"CAUSAL_LM\"");
    /* all blocks */
    write_made(&m, 4, 16, false, 2, NULL); /* fewer than the modules say: what they say counts */
    check_config("num_layers", "2");
    make(&m, 4, two, 0, ranks, scales);
    write_made(&m, 4, 16, false, 2, NULL);
    check_config("layers_to_transform", "null");
    check_config("num_layers", "2");
}

static void test_write_ragged(void **state)
{
    (void)state;
    static const int64_t ranks[] = {2, 2, 3, 1, 2, 2};
    const double root = sqrt(2);
    const double scales[] = {4 / root, 4 / root, 6, 1.25, 4 / root, 0.3};
    struct made m;
    make(&m, 6, two, 0, ranks, scales);
    write_made(&m, 5, 4, true, 4, NULL);
    check_made(&m, 5, "adapters.safetensors");
    check_made(&m, 5, "adapter_model.safetensors");
    check_made(&m, 5, "");
    check_config("target_modules",
                 "[\"model.layers.0.self_attn.q_proj\", \"model.layers.0.self_attn.v_proj\", "
                 "\"model.layers.1.self_attn.q_proj\", \"model.layers.1.self_attn.v_proj\", "
                 "\"model.layers.2.self_attn.q_proj\"]");
    check_config("layers_to_transform", "null");
    check_config("num_layers", "4");
    check_config("lora_alpha", "4");
    check_config("rank_pattern", "{\"model.layers.1.self_attn.q_proj\": 3, "
                                 "\"model.layers.1.self_attn.v_proj\": 1}");
    write_made(&m, 6, 4, true, 4, NULL);
    check_made(&m, 6, "adapters.safetensors");
    check_made(&m, 6, "adapter_model.safetensors");
    check_made(&m, 6, "");
}

static void test_round_trip_keys(void **state)
{
    (void)state;
    struct hn_adapter_file f;
    static const int64_t ranks[] = {2, 2};
    static const double scales[] = {8, 8};
    struct made m;
    make(&m, 2, two, 0, ranks, scales);
    read_adapter(&f, DATA "mlx-lora");
    write_made(&m, 2, 16, false, 1, f.config);
    hn_adapter_release(&f);
    check_config("batch_size", "4");
    check_config("model", "\"org/base\"");
    check_config("num_layers", "1");
}

/* Two weight files in one directory that are not the same adapter. */
static void test_stale(void **state)
{
    (void)state;
    static const int64_t ranks[] = {2, 2};
    static const double scales[] = {8, 8};
    struct made m;
    char path[256], mlx[256];
    make(&m, 2, two, 0, ranks, scales);
    write_made(&m, 2, 16, false, 1, NULL);
    struct hn_buf old = {0};
    struct hone_err err = {0};
    assert_int_equal(hn_file_read(in_scratch(mlx, "adapters.safetensors"), 1 << 20, &old, &err), 0);
    m.b[1][3] += 0.5f;
    write_made(&m, 2, 16, false, 1, NULL);
    check_made(&m, 2, "");
    assert_int_equal(hn_file_write(mlx, old.data, old.len, &err), 0);
    refuse(scratch, "different adapters|model.layers.0.self_attn.v_proj|delete it");
    check_made(&m, 2, "adapter_model.safetensors");
    /* PEFT's own save drops the mlx keys */
    put("adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":16}");
    refuse(scratch, "different adapters|model.layers.0.self_attn.v_proj");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":8}}");
    refuse(scratch, "different adapters|model.layers.0.self_attn.v_proj");
    /* and the same values under half a config are accepted */
    make(&m, 2, two, 0, ranks, scales);
    write_made(&m, 2, 16, false, 1, NULL);
    put("adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":16}");
    check_made(&m, 2, "");
    put("adapter_config.json", "{\"lora_parameters\":{\"rank\":2,\"scale\":8}}");
    check_made(&m, 2, "");
    assert_int_equal(hn_file_write(in_scratch(path, "adapter_model.safetensors"), "", 0, &err), 0);
    refuse(scratch, "different adapters|too few");
    /* what cannot be read is not said to differ (root reads all) */
    assert_int_equal(chmod(path, 0), 0);
    if (access(path, R_OK) != 0)
        refuse(scratch, "cannot open|adapter_model.safetensors");
    assert_int_equal(chmod(path, 0600), 0);
    hn_buf_release(&old);
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* DoRA: what is written for both systems reads back, and magnitudes that do not fit are refused. */
static void test_dora(void **state)
{
    (void)state;
    static const float a[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}}, b[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    static const float magnitude[3] = {0.5f, 1.5f, 2.5f};
    const struct hn_adapter_module module = {.path = "model.layers.0.self_attn.q_proj",
                                             .rank = 2,
                                             .in = 4,
                                             .out = 3,
                                             .a = a[0],
                                             .b = b[0],
                                             .magnitude = magnitude,
                                             .scale = 2};
    const struct hn_adapter_spec spec = {
        .modules = &module, .n = 1, .alpha = 4, .use_dora = true, .model_layers = 1};
    static const char *const files[] = {"adapters.safetensors", "adapter_model.safetensors"};
    struct hone_err err = {0};
    struct hn_adapter_file f;
    char path[256];
    assert_int_equal(hn_adapter_write(scratch, &spec, &err), 0);
    for (size_t i = 0; i <= HN_COUNT(files); i++) {
        read_adapter(&f, i < HN_COUNT(files) ? in_scratch(path, files[i]) : scratch);
        assert_true(f.use_dora);
        assert_int_equal(f.n, 1);
        assert_memory_equal(f.modules[0].magnitude, magnitude, sizeof magnitude);
        hn_adapter_release(&f);
    }
    static const char *const names[] = {"q.lora_a", "q.lora_b", "q.m"};
    static const int64_t shapes[][2] = {{4, 2}, {2, 3}, {1, 4}};
    static const char *const ragged[] = {"k.lora_a", "k.lora_b", "q.lora_a", "q.lora_b", "q.m"};
    static const int64_t five[][2] = {{4, 2}, {2, 3}, {4, 2}, {2, 3}, {3, 1}};
    put_tensors("x.safetensors", names, shapes, 3);
    refuse(in_scratch(path, "x.safetensors"), "q.m|4 elements|expected 3");
    put_tensors("x.safetensors", ragged, five, 5);
    refuse(in_scratch(path, "x.safetensors"), "\"k\" has no DoRA magnitudes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peft),        cmocka_unit_test(test_mlx),
        scratch_test(test_refused_configs), scratch_test(test_refused_tensors),
        scratch_test(test_refused_files),   scratch_test(test_write_regular),
        scratch_test(test_write_ragged),    scratch_test(test_round_trip_keys),
        scratch_test(test_stale),           scratch_test(test_dora),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
