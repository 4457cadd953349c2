/* spec.h: both dialects of a configuration, what is refused and how, and rotary frequencies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "model/spec.h"

#define SHAPE                                                                                      \
    "\"num_hidden_layers\":4,\"hidden_size\":64,\"num_attention_heads\":4,"                        \
    "\"num_key_value_heads\":2,\"intermediate_size\":96,\"vocab_size\":100"

static int read_spec(const char *text, struct hn_spec *s, struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *j = NULL;
    hn_arena_init(&arena, 0);
    int rc = hn_json_parse(&arena, text, strlen(text), 0, &j, err);
    assert_int_equal(rc, 0);
    rc = hn_spec_read(j, s, err);
    hn_arena_release(&arena);
    return rc;
}

static void must_read(const char *text, struct hn_spec *s)
{
    struct hone_err err = {0};
    if (read_spec(text, s, &err))
        fail_msg("%s: %s", text, err.message);
}

static void reads_both_dialects(void **state)
{
    (void)state;
    struct hn_spec s;
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_theta\":5000.0,\"rms_norm_eps\":1e-5,"
              "\"tie_word_embeddings\":true,\"bos_token_id\":1}",
              &s);
    assert_true(s.rope.theta == 5000 && s.norm_eps == 1e-5 && s.tied == 1 && s.head_size == 16);
    assert_true(s.bos == 1 && s.window == 0);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_parameters\":{\"rope_theta\":7000.0,"
              "\"rope_type\":\"default\"}}",
              &s);
    assert_true(s.rope.theta == 7000 && s.rope.kind == HN_ROPE_DEFAULT && s.tied == -1);
    must_read("{\"model_type\":\"qwen3\"," SHAPE "}", &s);
    assert_true(s.head_size == 128 && s.family->qk_norm && s.rope.theta == 10000);
}

/* transformers 5: rope_scaling goes before rope_parameters and brings no theta of the other's; the
 * top level's original context goes before the object's. */
static void reads_rope_settings(void **state)
{
    (void)state;
    struct hn_spec s;
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_parameters\":{\"rope_theta\":7000.0,"
              "\"rope_type\":\"default\"},\"rope_scaling\":{\"type\":\"linear\",\"factor\":3}}",
              &s);
    assert_true(s.rope.kind == HN_ROPE_LINEAR && s.rope.factor == 3 && s.rope.theta == 10000);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_theta\":300,\"rope_scaling\":{"
              "\"type\":\"linear\",\"factor\":3,\"rope_theta\":77}}",
              &s);
    assert_true(s.rope.theta == 77);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_scaling\":{},\"rope_parameters\":{"
              "\"rope_theta\":7000.0}}",
              &s);
    assert_true(s.rope.theta == 7000 && s.rope.kind == HN_ROPE_DEFAULT);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"original_max_position_embeddings\":32,"
              "\"rope_parameters\":{\"rope_theta\":7000.0,\"rope_type\":\"yarn\",\"factor\":4,"
              "\"original_max_position_embeddings\":64}}",
              &s);
    assert_int_equal(s.rope.original_context, 32);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"max_position_embeddings\":256,"
              "\"rope_parameters\":{\"rope_theta\":7000.0,\"rope_type\":\"yarn\",\"factor\":null,"
              "\"original_max_position_embeddings\":64}}",
              &s);
    assert_true(s.rope.factor == 4);
}

/* A bias that the configuration does not announce is no part of the model. */
static void reads_biases(void **state)
{
    (void)state;
    struct hn_spec s;
    must_read("{\"model_type\":\"llama\"," SHAPE "}", &s);
    assert_true(!s.bias[HN_LINEAR_Q] && !s.bias[HN_LINEAR_DOWN]);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"attention_bias\":true}", &s);
    assert_true(s.bias[HN_LINEAR_Q] && s.bias[HN_LINEAR_O] && !s.bias[HN_LINEAR_DOWN]);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"mlp_bias\":true}", &s);
    assert_true(!s.bias[HN_LINEAR_O] && s.bias[HN_LINEAR_GATE] && s.bias[HN_LINEAR_DOWN]);
    must_read("{\"model_type\":\"mistral\"," SHAPE ",\"attention_bias\":true}", &s);
    assert_false(s.bias[HN_LINEAR_Q]);
    must_read("{\"model_type\":\"qwen2\"," SHAPE "}", &s);
    assert_true(s.bias[HN_LINEAR_Q] && s.bias[HN_LINEAR_V] && !s.bias[HN_LINEAR_O]);
}

static void reads_windows(void **state)
{
    (void)state;
    struct hn_spec s;
    must_read("{\"model_type\":\"mistral\"," SHAPE ",\"sliding_window\":8}", &s);
    assert_true(s.window == 8 && s.sliding[0] && s.sliding[3]);
    must_read("{\"model_type\":\"mistral\"," SHAPE ",\"sliding_window\":null}", &s);
    assert_int_equal(s.window, 0);
    must_read("{\"model_type\":\"qwen2\"," SHAPE
              ",\"sliding_window\":8,\"use_sliding_window\":false}",
              &s);
    assert_int_equal(s.window, 0);
    must_read("{\"model_type\":\"qwen2\"," SHAPE
              ",\"sliding_window\":8,\"use_sliding_window\":true,"
              "\"max_window_layers\":2}",
              &s);
    assert_true(s.window == 8 && !s.sliding[1] && s.sliding[2]);
    must_read("{\"model_type\":\"qwen2\"," SHAPE
              ",\"sliding_window\":8,\"use_sliding_window\":true,"
              "\"layer_types\":[\"sliding_attention\",\"full_attention\",\"full_attention\","
              "\"sliding_attention\"]}",
              &s);
    assert_true(s.sliding[0] && !s.sliding[1] && s.sliding[3]);
    /* each family goes by its own keys, and by transformers' defaults where they are missing */
    must_read("{\"model_type\":\"mistral\"," SHAPE
              ",\"sliding_window\":8,\"use_sliding_window\":false,\"max_window_layers\":4}",
              &s);
    assert_true(s.window == 8 && s.sliding[0]);
    must_read("{\"model_type\":\"llama\"," SHAPE
              ",\"sliding_window\":8,\"use_sliding_window\":true,\"max_window_layers\":0}",
              &s);
    assert_int_equal(s.window, 0);
    must_read("{\"model_type\":\"mistral\"," SHAPE "}", &s);
    assert_true(s.window == 4096 && s.sliding[0]);
    must_read("{\"model_type\":\"qwen2\",\"num_hidden_layers\":30,\"hidden_size\":64,"
              "\"num_attention_heads\":4,\"intermediate_size\":96,\"vocab_size\":100,"
              "\"use_sliding_window\":true}",
              &s);
    assert_true(s.window == 4096 && !s.sliding[27] && s.sliding[28]);
}

static void refuses_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{" SHAPE "}", "\"model_type\" is missing"},
        {"{\"model_type\":\"gpt2\"," SHAPE "}",
         "the model family \"gpt2\" is not known; hone knows llama, mistral, qwen2, qwen3"},
        {"{\"model_type\":\"llama\"}", "\"num_hidden_layers\" is missing"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"head_dim\":15}", "expected an even number"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"hidden_act\":\"gelu\"}", "gelu"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"rms_norm_eps\":\"x\"}", "expected a number"},
        {"{\"model_type\":\"llama\"," SHAPE
         ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}",
         "\"dynamic\" is not supported"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"rope_scaling\":{\"type\":\"linear\"}}",
         "has no \"factor\""},
        {"{\"model_type\":\"llama\"," SHAPE ",\"partial_rotary_factor\":0.5,"
         "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2}}",
         "\"partial_rotary_factor\" is 0.5"},
        {"{\"model_type\":\"llama\",\"num_hidden_layers\":99999999}", "expected 1 to 1024"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"num_key_value_heads\":3}", "not a multiple"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"rope_scaling\":2}",
         "\"rope_scaling\" is an integer, expected an object"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"rope_parameters\":\"llama3\"}",
         "\"rope_parameters\" is a string, expected an object"},
        {"{\"model_type\":\"llama\"," SHAPE ",\"attention_bias\":1}",
         "\"attention_bias\" is an integer, expected true or false"},
        {"{\"model_type\":\"qwen3\"," SHAPE ",\"tie_word_embeddings\":\"true\"}",
         "\"tie_word_embeddings\" is a string, expected true or false"},
        {"{\"model_type\":\"qwen2\"," SHAPE ",\"use_sliding_window\":0.5}",
         "\"use_sliding_window\" is a float, expected true or false"},
        {"{\"model_type\":\"qwen3\"," SHAPE ",\"layer_types\":[\"full_attention\"]}",
         "\"layer_types\" has 1 entries, expected one for each of 4 blocks"},
        {"{\"model_type\":\"qwen3\"," SHAPE ",\"layer_types\":[\"full_attention\","
         "\"sliding_attention\",\"linear_attention\",\"full_attention\"]}",
         "\"layer_types\"[2] is no"},
    };
    for (size_t i = 0; i < HN_COUNT(bad); i++) {
        struct hn_spec s;
        struct hone_err err = {0};
        assert_int_equal(read_spec(bad[i][0], &s, &err), HONE_FAILED);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("'%s' lacks '%s'", err.message, bad[i][1]);
    }
}

static void makes_frequencies(void **state)
{
    (void)state;
    struct hn_spec s;
    float f[8];
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_theta\":10000}", &s);
    assert_true(hn_rope_frequencies(&s, NULL, f) == 1);
    for (int i = 0; i < 8; i++)
        assert_true(fabs((double)f[i] - pow(10000, -i / 8.0)) < 1e-7);
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_theta\":10000,\"rope_scaling\":{"
              "\"rope_type\":\"linear\",\"factor\":4}}",
              &s);
    hn_rope_frequencies(&s, NULL, f);
    assert_true(fabs((double)f[0] - 0.25) < 1e-9);
    const float factors[8] = {1, 1, 2, 2, 4, 4, 8, 8};
    must_read("{\"model_type\":\"llama\"," SHAPE ",\"rope_theta\":10000,\"rope_scaling\":{"
              "\"rope_type\":\"factors\"}}",
              &s);
    hn_rope_frequencies(&s, factors, f);
    assert_true(fabs((double)f[7] - pow(10000, -7 / 8.0) / 8) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_dialects),   cmocka_unit_test(reads_rope_settings),
        cmocka_unit_test(reads_biases),          cmocka_unit_test(reads_windows),
        cmocka_unit_test(refuses_with_a_reason), cmocka_unit_test(makes_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
