/* MLX's quantised weights: P.weight (codes packed in 32-bit words), P.scales, P.biases.  The rule
 * is mlx-lm's (utils.py, load_model): an entry for P in config.json's "quantization" wins; else P
 * is quantised when P.scales exists, with bits and group from the shapes, for the defaults written
 * in the config can be wrong for single modules. */
#include "format/bundle_impl.h"

#include <string.h>

struct pairing {
    struct hn_bundle *b;
    const struct hn_json *quantization; /* config.json's, or NULL */
    struct hone_err *err;
};

static int64_t config_int(const struct hn_bundle *b, const char *key)
{
    int64_t v = 0;
    if (!hn_json_int(hn_json_get(b->config, key), &v))
        (void)hn_json_int(hn_json_get(hn_json_get(b->config, "text_config"), key), &v);
    return v;
}

/* The input size that the config gives a module by its place in the model, or 0. */
static int64_t expected_cols(const struct hn_bundle *b, const char *module)
{
    static const char *const from_width[] = {"q_proj",  "k_proj",       "v_proj", "gate_proj",
                                             "up_proj", "embed_tokens", "lm_head"};
    const char *dot = strrchr(module, '.'), *name = dot ? dot + 1 : module;
    for (size_t i = 0; i < HN_COUNT(from_width); i++)
        if (strcmp(name, from_width[i]) == 0)
            return config_int(b, "hidden_size");
    if (strcmp(name, "down_proj") == 0)
        return config_int(b, "intermediate_size");
    if (strcmp(name, "o_proj") == 0) {
        int64_t heads = config_int(b, "num_attention_heads"), head = config_int(b, "head_dim");
        int64_t size;
        if (!head)
            return config_int(b, "hidden_size");
        return hn_mul_overflows(heads, head, &size) ? 0 : size;
    }
    return 0;
}

static bool known_bits(int64_t bits)
{
    return bits >= 2 && bits <= 8 && bits != 7;
}

static bool known_group(int64_t group)
{
    return group == 32 || group == 64 || group == 128;
}

/* Do words of codes and groups of scales in a row fit these bits and this group? */
static bool fits(int64_t words, int64_t groups, int64_t bits, int64_t group)
{
    return known_bits(bits) && known_group(group) && words * 32 == groups * group * bits;
}

/* Bits and group from the shapes, the expected input size and the defaults; false when they stay
 * open. */
static bool infer(const struct pairing *p, const char *module, int64_t words, int64_t groups,
                  int *bits, int *group)
{
    int64_t cols = expected_cols(p->b, module), b = 0, g = 0;
    if (groups < 1 || words < 1)
        return false;
    if (cols > 0 && cols % groups == 0 && fits(words, groups, words * 32 / cols, cols / groups)) {
        *bits = (int)(words * 32 / cols);
        *group = (int)(cols / groups);
        return true;
    }
    bool stated = hn_json_int(hn_json_get(p->quantization, "bits"), &b) &&
                  hn_json_int(hn_json_get(p->quantization, "group_size"), &g) &&
                  fits(words, groups, b, g);
    int found = 0;
    for (int64_t try = 32; try <= 128 && !stated; try *= 2) {
        int64_t need = words * 32 / groups / try;
        if (fits(words, groups, need, try)) {
            b = need;
            g = try;
            found++;
        }
    }
    *bits = (int)b;
    *group = (int)g;
    return stated || found == 1;
}

/* The module's own entry in "quantization", or NULL: by its stored name, or Hugging Face's. */
static const struct hn_json *entry_of(const struct pairing *p, const char *stored,
                                      const char *module)
{
    const struct hn_json *e = hn_json_get(p->quantization, stored);
    return e ? e : hn_json_get(p->quantization, module);
}

static int fail(const struct pairing *p, const struct hn_stored *t, const char *what)
{
    return hn_fail(p->err, HONE_FAILED, "%s (%s): quantised weight \"%s\": %s", p->b->path, t->file,
                   t->stored, what);
}

/* Settle how w, with its scales, is packed. */
static int settle(const struct pairing *p, struct hn_stored *w, const char *stored,
                  const char *module)
{
    int64_t words = w->shape[w->n_dims - 1], groups = w->scales->shape[w->n_dims - 1];
    const struct hn_json *e = entry_of(p, stored, module);
    const struct hn_json *mode = hn_json_get(e, "mode");
    int64_t bits, group;
    bool on = true;
    if (hn_json_bool(e, &on) && !on)
        return fail(p, w, "config.json says that it is not quantised, but it has scales");
    if (mode && !hn_json_is(mode, "affine"))
        return fail(p, w,
                    "config.json gives it another mode than affine, but its scales are not of "
                    "that mode");
    if (e && e->type == HN_JSON_OBJECT) {
        if (!hn_json_int(hn_json_get(e, "bits"), &bits))
            bits = 4; /* the defaults of mlx's to_quantized */
        if (!hn_json_int(hn_json_get(e, "group_size"), &group))
            group = 64;
        if (!fits(words, groups, bits, group))
            return fail(p, w, "its shape does not fit the bits and group_size in config.json");
        w->bits = (int)bits;
        w->group = (int)group;
    } else if (!infer(p, module, words, groups, &w->bits, &w->group)) {
        w->bits = w->group = 0;
        return fail(p, w,
                    "bits and group size cannot be told from the shapes of weight and scales");
    }
    w->layout = HN_LAYOUT_AFFINE;
    return 0;
}

static bool same_lead(const struct hn_stored *a, const struct hn_stored *b)
{
    bool same = a->n_dims == b->n_dims;
    for (int i = 0; same && i < a->n_dims - 1; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

/* The tensor "MODULE.suffix", or NULL; module is the first n bytes. */
static struct hn_stored *find(const struct hn_bundle *b, const char *module, size_t n,
                              const char *suffix)
{
    char name[512];
    size_t m = strlen(suffix) + 1;
    if (n + m > sizeof name)
        return NULL;
    memcpy(name, module, n);
    memcpy(name + n, suffix, m);
    const struct hn_stored *found = hn_bundle_find(b, name);
    return found ? &b->tensors[found - b->tensors] : NULL;
}

static int pair(const struct pairing *p, struct hn_stored *scales)
{
    static const size_t suffix = sizeof ".scales" - 1;
    size_t n = strlen(scales->name) - suffix, n_stored = strlen(scales->stored) - suffix;
    struct hn_stored *w = find(p->b, scales->name, n, ".weight");
    struct hn_stored *biases = find(p->b, scales->name, n, ".biases");
    if (!w || strcmp(w->type, "U32") != 0)
        return 0;
    scales->part = true;
    if (strcmp(scales->type, "U8") == 0) {
        w->refusal =
            "is quantised in one of MLX's floating-point modes (mxfp4, mxfp8, nvfp4); hone "
            "reads affine: convert it again with --q-mode affine";
        return 0;
    }
    if (!biases)
        return fail(p, w, "it has scales but no biases");
    biases->part = true;
    if (w->n_dims < 2 || !same_lead(w, scales) || !same_lead(scales, biases) ||
        scales->shape[w->n_dims - 1] != biases->shape[w->n_dims - 1])
        return fail(p, w, "the shapes of weight, scales and biases do not go together");
    if (scales->dtype != biases->dtype || scales->layout < 0)
        return fail(p, w, "scales and biases are not of one floating-point type");
    w->scales = scales;
    w->biases = biases;
    char *stored = hn_arena_dup(&p->b->arena, scales->stored, n_stored);
    char *module = hn_arena_dup(&p->b->arena, scales->name, n);
    if (!stored || !module)
        return hn_fail_memory(p->err, "opening a model");
    return settle(p, w, stored, module);
}

int hn_bundle_pair_affine(struct hn_bundle *b, const struct hn_json *quantization,
                          struct hone_err *err)
{
    struct pairing p = {b, quantization, err};
    int rc = 0;
    for (size_t i = 0; i < b->n && !rc; i++) {
        const char *name = b->tensors[i].name, *stored = b->tensors[i].stored;
        if (hn_ends_with(name, ".scales") && hn_ends_with(stored, ".scales"))
            rc = pair(&p, &b->tensors[i]);
    }
    for (size_t i = 0; i < b->n && !rc; i++)
        if (b->tensors[i].bits)
            b->kind = HN_BUNDLE_MLX;
    return rc;
}
