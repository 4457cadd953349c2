/* A model's configuration as the metadata of a GGUF.  Source of the keys: gguf.constants of gguf
 * 0.19; of what they hold: llama.cpp's converter from Hugging Face. */
#include "convert/gguf_meta.h"
#include "base/file.h"
#include "base/mem.h"
#include "text/vocab_gguf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct names {
    struct hn_gguf_meta *m;
    const char *arch;
    char key[128];
};

const char *hn_gguf_architecture(const struct hn_spec *s)
{
    return strcmp(s->family->name, "mistral") == 0 ? "llama" : s->family->name;
}

static const char *key(struct names *n, const char *name)
{
    snprintf(n->key, sizeof n->key, "%s.%s", n->arch, name);
    return n->key;
}

static void put_int(struct names *n, const char *name, int64_t v)
{
    hn_gguf_meta_u32(n->m, key(n, name), (uint32_t)v);
}

static void put_float(struct names *n, const char *name, double v)
{
    hn_gguf_meta_f32(n->m, key(n, name), (float)v);
}

static void put_shape(const struct hn_spec *s, struct names *n)
{
    put_int(n, "block_count", s->n_layers);
    put_int(n, "context_length", s->context);
    put_int(n, "embedding_length", s->d_model);
    put_int(n, "feed_forward_length", s->d_ff);
    put_int(n, "attention.head_count", s->n_heads);
    put_int(n, "attention.head_count_kv", s->n_kv_heads);
    put_int(n, "attention.key_length", s->head_size);
    put_int(n, "attention.value_length", s->head_size);
    put_float(n, "attention.layer_norm_rms_epsilon", s->norm_eps);
    put_float(n, "rope.freq_base", s->rope.theta);
    put_int(n, "rope.dimension_count", s->head_size);
    put_int(n, "vocab_size", s->vocab_size);
}

/* llama.cpp derives the magnitude of YaRN from its factor, and rounds the ends of the ramp. */
static int put_yarn(struct hn_converter *c, struct names *n)
{
    const struct hn_rope_spec *r = &c->spec.rope;
    double derived = r->factor <= 1 ? 1 : 0.1 * log(r->factor) + 1;
    float *scratch = hn_calloc((size_t)c->spec.head_size / 2, sizeof *scratch);
    if (!scratch)
        return hn_fail_memory(c->err, "converting a model");
    double magnitude = (double)hn_rope_frequencies(&c->spec, NULL, scratch);
    hn_free(scratch);
    if (fabs(magnitude - derived) > 1e-5 || !r->truncate)
        return hn_fail(c->err, HONE_FAILED,
                       "%s: its YaRN scaling sets the magnitude (%g, where the factor alone gives "
                       "%g) or truncate, which a GGUF has no place for",
                       c->o->model, magnitude, derived);
    hn_gguf_meta_str(n->m, key(n, "rope.scaling.type"), hn_str_of("yarn"));
    put_float(n, "rope.scaling.factor", r->factor);
    put_int(n, "rope.scaling.original_context_length", r->original_context);
    put_float(n, "rope.scaling.yarn_beta_fast", r->beta_fast);
    put_float(n, "rope.scaling.yarn_beta_slow", r->beta_slow);
    return 0;
}

static int put_rope(struct hn_converter *c, struct names *n)
{
    const struct hn_rope_spec *r = &c->spec.rope;
    if (r->kind == HN_ROPE_YARN)
        return put_yarn(c, n);
    if (r->kind == HN_ROPE_LINEAR) {
        hn_gguf_meta_str(n->m, key(n, "rope.scaling.type"), hn_str_of("linear"));
        put_float(n, "rope.scaling.factor", r->factor);
    }
    return 0;
}

static int note_window(struct hn_converter *c)
{
    const struct hn_spec *s = &c->spec;
    bool slides = false;
    for (int64_t i = 0; i < s->n_layers; i++)
        slides |= s->window && s->sliding[i];
    if (!slides || s->window >= s->context)
        return 0;
    return hn_converter_note(c,
                             "the sliding window of %lld tokens is not carried over, for llama.cpp "
                             "has none for %s: on longer texts the answers differ",
                             (long long)s->window, hn_gguf_architecture(s));
}

/* What llama.cpp refuses to load, and hone does not: its graphs have no place for it. */
static int note_unloadable(struct hn_converter *c)
{
    const struct hn_spec *s = &c->spec;
    bool llama = strcmp(hn_gguf_architecture(s), "llama") == 0, biases = false;
    for (size_t i = 0; i < c->n; i++)
        biases |= hn_ends_with(c->tensors[i].name, ".bias");
    const char *what = NULL;
    if (!llama && s->rope.kind == HN_ROPE_LLAMA3)
        what = "Llama 3's rotary scaling";
    else if (s->family->qk_norm && biases)
        what = "biases";
    else if (s->family->qkv_bias && s->n_heads * s->head_size != s->d_model)
        what = "heads that are not as wide together as the model";
    if (!what)
        return 0;
    return hn_converter_note(c,
                             "hone reads this file, but llama.cpp does not load it: its %s has "
                             "no %s",
                             hn_gguf_architecture(s), what);
}

static void put_general(struct hn_converter *c, struct hn_gguf_meta *m)
{
    struct hn_bundle_info info;
    hn_bundle_info(c->bundle, &info);
    hn_gguf_meta_str(m, "general.architecture", hn_str_of(hn_gguf_architecture(&c->spec)));
    hn_gguf_meta_str(m, "general.type", hn_str_of("model"));
    hn_gguf_meta_str(m, "general.name", hn_str_of(hn_path_name(info.path)));
}

/* The ids that end an answer, beside the tokenizer's own. */
static void put_ends(struct hn_converter *c, const struct hone_tokenizer *t, struct hn_gguf_meta *m)
{
    int32_t bos = hn_tokenizer_gguf_bos(t), eos = hn_tokenizer_gguf_eos(t);
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    const int32_t *ids;
    size_t n = hn_bundle_eos(c->bundle, &ids), k = eos >= 0;
    for (size_t i = 0; i < n && k < HN_COUNT(keys); i++)
        if (ids[i] != eos && ids[i] < c->spec.vocab_size)
            hn_gguf_meta_u32(m, keys[k++], (uint32_t)ids[i]);
    if (bos < 0 && c->spec.bos >= 0 && c->spec.bos < c->spec.vocab_size)
        hn_gguf_meta_u32(m, "tokenizer.ggml.bos_token_id", (uint32_t)c->spec.bos);
}

static int put_vocabulary(struct hn_converter *c, struct hn_gguf_meta *m)
{
    struct hone_tokenizer *t = NULL, *pieces = NULL;
    struct hn_bundle_info info;
    size_t left_out = 0;
    hn_bundle_info(c->bundle, &info);
    char *model = hn_path_join(info.path, "tokenizer.model");
    int rc = model ? hone_tokenizer_open(&t, info.tokenizer_path, c->err)
                   : hn_fail_memory(c->err, "converting a model");
    /* A file that hone does not read has no scores to offer. */
    if (!rc && hn_file_exists(model) && hone_tokenizer_open(&pieces, model, NULL))
        pieces = NULL;
    rc = rc ? rc
            : hn_tokenizer_put_gguf(t, pieces, c->spec.vocab_size, c->o->model, m, &left_out,
                                    c->err);
    if (!rc)
        put_ends(c, t, m);
    if (!rc && left_out)
        rc = hn_converter_note(
            c, "left out: %zu token%s with ids beyond the %lld rows of the embedding", left_out,
            left_out > 1 ? "s" : "", (long long)c->spec.vocab_size);
    hone_tokenizer_close(&pieces);
    hone_tokenizer_close(&t);
    hn_free(model);
    return rc;
}

static void copy_pairs(const struct hn_gguf *g, struct hn_gguf_meta *m)
{
    for (size_t i = 0; i < g->n_pairs; i++) {
        const char *k = g->pairs[i].key;
        if (strcmp(k, "general.file_type") != 0 && strcmp(k, "general.quantization_version") != 0 &&
            strcmp(k, "general.alignment") != 0 && !hn_starts_with(k, "split."))
            hn_gguf_meta_copy(m, &g->pairs[i]);
    }
}

/* llama.cpp's number for a file of mostly this layout. */
static uint32_t file_type(enum hn_layout layout)
{
    static const uint8_t types[HN_LAYOUT_COUNT] = {
        [HN_LAYOUT_F16] = 1,     [HN_LAYOUT_Q4_0] = 2,    [HN_LAYOUT_Q4_1] = 3,
        [HN_LAYOUT_Q8_0] = 7,    [HN_LAYOUT_Q5_0] = 8,    [HN_LAYOUT_Q5_1] = 9,
        [HN_LAYOUT_Q4_K] = 15,   [HN_LAYOUT_Q5_K] = 17,   [HN_LAYOUT_Q6_K] = 18,
        [HN_LAYOUT_BF16] = 32,   [HN_LAYOUT_Q2_K] = 10,   [HN_LAYOUT_Q3_K] = 12,
        [HN_LAYOUT_IQ4_NL] = 25, [HN_LAYOUT_IQ4_XS] = 30, [HN_LAYOUT_MXFP4] = 38,
    };
    return types[layout];
}

static enum hn_layout common_layout(const struct hn_converter *c)
{
    int64_t count[HN_LAYOUT_COUNT] = {0};
    int best = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->tensors[i].is_matrix)
            count[c->tensors[i].to.layout] += c->tensors[i].from.rows * c->tensors[i].from.cols;
    for (int i = 0; i < HN_LAYOUT_COUNT; i++)
        best = count[i] > count[best] ? i : best;
    return (enum hn_layout)best;
}

int hn_converter_gguf_meta(struct hn_converter *c, struct hn_gguf_meta *m)
{
    const struct hn_gguf *g = hn_bundle_gguf(c->bundle);
    enum hn_layout layout = common_layout(c);
    enum hn_dtype plain;
    int rc = 0;
    if (g) {
        copy_pairs(g, m);
    } else {
        struct names n = {.m = m, .arch = hn_gguf_architecture(&c->spec)};
        put_general(c, m);
        put_shape(&c->spec, &n);
        rc = put_rope(c, &n);
        rc = rc ? rc : put_vocabulary(c, m);
        rc = rc ? rc : note_window(c);
        rc = rc ? rc : note_unloadable(c);
    }
    hn_gguf_meta_u32(m, "general.file_type", file_type(layout));
    if (!hn_layout_plain(layout, &plain))
        hn_gguf_meta_u32(m, "general.quantization_version", 2);
    return rc;
}
