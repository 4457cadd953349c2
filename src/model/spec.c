#include "model/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A family is a row of this table: everything else is read from the configuration. */
static const struct hn_family families[] = {
    {.name = "llama", .attention_bias = true, .mlp_bias = true},
    {.name = "mistral", .window = HN_WINDOW_ALWAYS},
    {.name = "qwen2", .qkv_bias = true, .window = HN_WINDOW_ASKED},
    {.name = "qwen3",
     .default_head_size = 128,
     .attention_bias = true,
     .qk_norm = true,
     .window = HN_WINDOW_ASKED},
};

const char *hn_linear_name(enum hn_linear_id id)
{
    static const char *const names[] = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj",
    };
    return names[id];
}

int64_t hn_linear_in(const struct hn_spec *s, enum hn_linear_id id)
{
    return id == HN_LINEAR_O      ? s->n_heads * s->head_size
           : id == HN_LINEAR_DOWN ? s->d_ff
                                  : s->d_model;
}

int64_t hn_linear_out(const struct hn_spec *s, enum hn_linear_id id)
{
    switch (id) {
    case HN_LINEAR_Q:
        return s->n_heads * s->head_size;
    case HN_LINEAR_K:
    case HN_LINEAR_V:
        return s->n_kv_heads * s->head_size;
    case HN_LINEAR_GATE:
    case HN_LINEAR_UP:
        return s->d_ff;
    default:
        return s->d_model;
    }
}

/* -------------------------------------------------------------------------------------------- */

struct reader {
    const struct hn_json *config;
    struct hone_err *err;
    int code;
};

static const struct hn_json *member(const struct hn_json *o, const char *key)
{
    const struct hn_json *v = hn_json_get(o, key);
    return v && v->type != HN_JSON_NULL ? v : NULL;
}

/* An integer in [min, max]; missing: fallback, or an error when fallback < 0. */
static int64_t read_int(struct reader *r, const char *key, int64_t min, int64_t max,
                        int64_t fallback)
{
    const struct hn_json *v = member(r->config, key);
    int64_t got = fallback;
    if (r->code || (!v && fallback >= 0))
        return fallback;
    if (!v)
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is missing", key);
    else if (!hn_json_int(v, &got))
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is %s, expected an integer", key,
                          hn_json_type_name(v));
    else if (got < min || got > max)
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is %lld, expected %lld to %lld", key,
                          (long long)got, (long long)min, (long long)max);
    return got;
}

static double read_float(struct reader *r, const struct hn_json *o, const char *key, double min,
                         double max, double fallback)
{
    const struct hn_json *v = member(o, key);
    double got = fallback;
    if (r->code || !v)
        return fallback;
    if (!hn_json_float(v, &got))
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is %s, expected a number", key,
                          hn_json_type_name(v));
    else if (!(got >= min && got <= max))
        r->code =
            hn_fail(r->err, HONE_FAILED, "\"%s\" is %g, expected %g to %g", key, got, min, max);
    return got;
}

static bool read_bool(struct reader *r, const struct hn_json *o, const char *key, bool fallback)
{
    const struct hn_json *v = member(o, key);
    bool got = fallback;
    if (!r->code && v && !hn_json_bool(v, &got))
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is %s, expected true or false", key,
                          hn_json_type_name(v));
    return got;
}

static const struct hn_family *find_family(struct reader *r)
{
    const struct hn_json *type = member(r->config, "model_type");
    struct hn_str name;
    if (!hn_json_str(type, &name)) {
        r->code = hn_fail(r->err, HONE_FAILED, "\"model_type\" is %s, expected a string",
                          type ? hn_json_type_name(type) : "missing");
        return NULL;
    }
    for (size_t i = 0; i < HN_COUNT(families); i++)
        if (hn_str_is(name, families[i].name))
            return &families[i];
    r->code = hn_fail(
        r->err, HONE_FAILED,
        "the model family \"%.60s\" is not known; hone knows llama, mistral, qwen2, qwen3", name.p);
    return NULL;
}

const struct hn_json *hn_spec_rope(const struct hn_json *config)
{
    const struct hn_json *older = member(config, "rope_scaling");
    return older && older->n ? older : member(config, "rope_parameters");
}

/* Scaling by a factor needs one; that of YaRN may follow from the two context lengths. */
static double read_factor(struct reader *r, const struct hn_json *scaling, const struct hn_spec *s)
{
    double derived =
        s->rope.kind == HN_ROPE_YARN ? (double)s->context / (double)s->rope.original_context : 0;
    double factor = read_float(r, scaling, "factor", 1e-3, 1e6, derived);
    if (!r->code && factor == 0)
        r->code = hn_fail(r->err, HONE_FAILED, "the rotary scaling has no \"factor\"");
    return factor;
}

/* transformers 5 lets the top level have its way before the object. */
static int64_t read_original(struct reader *r, const struct hn_json *scaling,
                             const struct hn_spec *s)
{
    static const char key[] = "original_max_position_embeddings";
    const struct hn_json *top = member(r->config, key), *v = top ? top : member(scaling, key);
    int64_t n = s->context;
    if (!r->code && v && (!hn_json_int(v, &n) || n < 1))
        r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is not a positive integer", key);
    return n;
}

static void check_rope_objects(struct reader *r)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < HN_COUNT(keys) && !r->code; i++) {
        const struct hn_json *v = member(r->config, keys[i]);
        if (v && v->type != HN_JSON_OBJECT)
            r->code = hn_fail(r->err, HONE_FAILED, "\"%s\" is %s, expected an object", keys[i],
                              hn_json_type_name(v));
    }
}

static void read_rope(struct reader *r, struct hn_spec *s)
{
    struct hn_rope_spec *rope = &s->rope;
    const struct hn_json *scaling = hn_spec_rope(r->config);
    check_rope_objects(r);
    double top = read_float(r, r->config, "rope_theta", 1e-3, 1e15, 10000);
    rope->theta = read_float(r, scaling, "rope_theta", 1e-3, 1e15, top);
    snprintf(s->rope_text, sizeof s->rope_text, "none");
    const struct hn_json *type = member(scaling, "rope_type");
    if (!type)
        type = member(scaling, "type");
    struct hn_str name = {"default", 7};
    if (r->code || (type && !hn_json_str(type, &name))) {
        if (!r->code)
            r->code = hn_fail(r->err, HONE_FAILED, "\"rope_type\" is %s, expected a string",
                              hn_json_type_name(type));
        return;
    }
    double partial = read_float(r, r->config, "partial_rotary_factor", 0, 1, 1);
    partial = read_float(r, scaling, "partial_rotary_factor", 0, 1, partial);
    if (!r->code && partial != 1)
        r->code = hn_fail(r->err, HONE_FAILED,
                          "\"partial_rotary_factor\" is %g; only 1 is supported", partial);
    if (hn_str_is(name, "factors")) /* a GGUF's own divisors, read with the weights */
        snprintf(s->rope_text, sizeof s->rope_text, "per-frequency factors");
    if (hn_str_is(name, "default") || hn_str_is(name, "factors"))
        return;
    rope->low_freq_factor = read_float(r, scaling, "low_freq_factor", 1e-6, 1e6, 1);
    rope->high_freq_factor = read_float(r, scaling, "high_freq_factor", 1e-6, 1e6, 4);
    rope->attention_factor = read_float(r, scaling, "attention_factor", 0, 1e6, 0);
    rope->mscale = read_float(r, scaling, "mscale", 0, 1e6, 0);
    rope->mscale_all_dim = read_float(r, scaling, "mscale_all_dim", 0, 1e6, 0);
    rope->beta_fast = read_float(r, scaling, "beta_fast", 1e-6, 1e6, 32);
    rope->beta_slow = read_float(r, scaling, "beta_slow", 1e-6, 1e6, 1);
    rope->truncate = read_bool(r, scaling, "truncate", true);
    static const struct {
        const char *name;
        enum hn_rope_kind kind;
    } kinds[] = {{"linear", HN_ROPE_LINEAR}, {"llama3", HN_ROPE_LLAMA3}, {"yarn", HN_ROPE_YARN}};
    for (size_t i = 0; i < HN_COUNT(kinds); i++)
        if (hn_str_is(name, kinds[i].name)) {
            rope->kind = kinds[i].kind;
            rope->original_context = read_original(r, scaling, s);
            rope->factor = read_factor(r, scaling, s);
            snprintf(s->rope_text, sizeof s->rope_text, "%s x%g", kinds[i].name, rope->factor);
        }
    if (!r->code && rope->kind == HN_ROPE_DEFAULT)
        r->code = hn_fail(r->err, HONE_FAILED,
                          "the rotary scaling \"%.40s\" is not supported; hone knows default, "
                          "linear, llama3 and yarn",
                          name.p);
}

/* "layer_types": one of two kinds for each block. */
static void check_layer_types(struct reader *r, const struct hn_spec *s)
{
    const struct hn_json *types = member(r->config, "layer_types");
    if (r->code || !types)
        return;
    if (types->type != HN_JSON_ARRAY)
        r->code = hn_fail(r->err, HONE_FAILED, "\"layer_types\" is %s, expected an array",
                          hn_json_type_name(types));
    else if (types->n != (size_t)s->n_layers)
        r->code = hn_fail(r->err, HONE_FAILED,
                          "\"layer_types\" has %zu entries, expected one for each of %lld blocks",
                          types->n, (long long)s->n_layers);
    for (size_t l = 0; l < types->n && !r->code; l++)
        if (!hn_json_is(&types->items[l], "full_attention") &&
            !hn_json_is(&types->items[l], "sliding_attention"))
            r->code = hn_fail(r->err, HONE_FAILED,
                              "\"layer_types\"[%zu] is no \"full_attention\" or "
                              "\"sliding_attention\", which hone knows",
                              l);
}

static void read_window(struct reader *r, struct hn_spec *s)
{
    const struct hn_json *types = member(r->config, "layer_types");
    const struct hn_json *v = hn_json_get(r->config, "sliding_window");
    bool always = s->family->window == HN_WINDOW_ALWAYS, use = always;
    check_layer_types(r, s);
    if (s->family->window == HN_WINDOW_ASKED)
        use = read_bool(r, r->config, "use_sliding_window", false);
    if (!use || (v && v->type == HN_JSON_NULL))
        return;
    /* 4096 and 28 are what transformers takes where the keys are missing. */
    s->window = read_int(r, "sliding_window", 1, INT32_MAX, 4096);
    int64_t from = always ? 0 : read_int(r, "max_window_layers", 0, INT32_MAX, 28);
    for (int64_t l = 0; l < s->n_layers && s->window; l++) {
        const struct hn_json *t = hn_json_at(types, (size_t)l);
        s->sliding[l] = t ? hn_json_is(t, "sliding_attention") : l >= from;
    }
}

static void read_biases(struct reader *r, struct hn_spec *s)
{
    const struct hn_family *f = s->family;
    bool attention = f->attention_bias && read_bool(r, r->config, "attention_bias", false),
         mlp = f->mlp_bias && read_bool(r, r->config, "mlp_bias", false);
    for (int id = 0; id < HN_LINEAR_COUNT; id++)
        s->bias[id] = id >= HN_LINEAR_GATE ? mlp : attention || (f->qkv_bias && id <= HN_LINEAR_V);
}

static void check(struct reader *r, const struct hn_spec *s)
{
    if (r->code)
        return;
    const struct hn_json *act = member(r->config, "hidden_act");
    if (act && !hn_json_is(act, "silu") && !hn_json_is(act, "swish"))
        r->code = hn_fail(
            r->err, HONE_FAILED, "\"hidden_act\" is %.40s; the %s family is run with silu only",
            act->type == HN_JSON_STRING ? act->text.p : hn_json_type_name(act), s->family->name);
    else if (s->n_heads % s->n_kv_heads)
        r->code = hn_fail(r->err, HONE_FAILED,
                          "\"num_attention_heads\" is %lld, not a multiple of "
                          "\"num_key_value_heads\", %lld",
                          (long long)s->n_heads, (long long)s->n_kv_heads);
    else if (s->head_size % 2)
        r->code = hn_fail(r->err, HONE_FAILED, "\"head_dim\" is %lld, expected an even number",
                          (long long)s->head_size);
}

int hn_spec_read(const struct hn_json *config, struct hn_spec *out, struct hone_err *err)
{
    struct reader r = {.config = config, .err = err};
    struct hn_spec s = {.bos = -1, .tied = -1};
    s.family = find_family(&r);
    if (!s.family)
        return r.code;
    s.n_layers = read_int(&r, "num_hidden_layers", 1, HN_MAX_LAYERS, -1);
    s.d_model = read_int(&r, "hidden_size", 1, 1 << 20, -1);
    s.n_heads = read_int(&r, "num_attention_heads", 1, 1 << 16, -1);
    s.n_kv_heads = read_int(&r, "num_key_value_heads", 1, 1 << 16, s.n_heads);
    s.d_ff = read_int(&r, "intermediate_size", 1, 1 << 22, -1);
    s.vocab_size = read_int(&r, "vocab_size", 1, 1 << 26, -1);
    s.context = read_int(&r, "max_position_embeddings", 1, INT32_MAX, 2048);
    int64_t head = s.family->default_head_size;
    if (!head && s.n_heads > 0)
        head = s.d_model / s.n_heads;
    s.head_size = read_int(&r, "head_dim", 1, 1 << 14, head);
    s.norm_eps = read_float(&r, config, "rms_norm_eps", 0, 1, 1e-6);
    read_rope(&r, &s);
    read_window(&r, &s);
    read_biases(&r, &s);
    check(&r, &s);
    if (member(config, "tie_word_embeddings"))
        s.tied = read_bool(&r, config, "tie_word_embeddings", false);
    int64_t bos;
    if (hn_json_int(member(config, "bos_token_id"), &bos) && bos >= 0 && bos <= INT32_MAX)
        s.bos = (int32_t)bos;
    if (r.code)
        return r.code;
    *out = s;
    return 0;
}
