/* How each tensor is stored in the output, and on which way it gets there. */
#include "convert/convert_impl.h"
#include "convert/gguf_meta.h"

#include <string.h>

static const struct {
    enum hone_weight_type type;
    enum hn_layout layout;
} types[] = {
    {HONE_TYPE_F32, HN_LAYOUT_F32},   {HONE_TYPE_F16, HN_LAYOUT_F16},
    {HONE_TYPE_BF16, HN_LAYOUT_BF16}, {HONE_TYPE_Q4_0, HN_LAYOUT_Q4_0},
    {HONE_TYPE_Q4_1, HN_LAYOUT_Q4_1}, {HONE_TYPE_Q5_0, HN_LAYOUT_Q5_0},
    {HONE_TYPE_Q5_1, HN_LAYOUT_Q5_1}, {HONE_TYPE_Q8_0, HN_LAYOUT_Q8_0},
};

const char *hn_dtype_torch_name(enum hn_dtype t)
{
    return t == HN_F16 ? "float16" : t == HN_BF16 ? "bfloat16" : "float32";
}

static enum hn_layout layout_of(enum hone_weight_type type)
{
    for (size_t i = 0; i < HN_COUNT(types); i++)
        if (types[i].type == type)
            return types[i].layout;
    return HN_LAYOUT_COUNT;
}

/* The float type in which a layout's own numbers are. */
static enum hn_dtype native(const struct hn_matrix *m)
{
    enum hn_dtype t;
    if (hn_layout_plain(m->layout, &t))
        return t;
    if (m->layout == HN_LAYOUT_AFFINE)
        return m->scale_dtype;
    return m->layout == HN_LAYOUT_BNB4 ? m->bnb4->dtype : HN_F16;
}

/* The float type of most weights. */
static enum hn_dtype most(const struct hn_converter *c)
{
    int64_t count[HN_DTYPE_COUNT] = {0};
    for (size_t i = 0; i < c->n; i++)
        if (c->tensors[i].is_matrix)
            count[native(&c->tensors[i].from)] += c->tensors[i].from.rows * c->tensors[i].from.cols;
    enum hn_dtype best = HN_F32;
    best = count[HN_F16] > count[best] ? HN_F16 : best;
    return count[HN_BF16] > count[best] ? HN_BF16 : best;
}

/* config.json's torch_dtype, which mlx_lm.convert obeys (and "dtype" it does not read). */
static bool stated(const struct hn_converter *c, enum hn_dtype *out)
{
    const struct hn_json *config = hn_bundle_config(c->bundle);
    const struct hn_json *j = hn_json_get(config, "torch_dtype");
    for (int t = HN_F32; t <= HN_BF16; t++)
        if (hn_json_is(j, hn_dtype_torch_name((enum hn_dtype)t))) {
            *out = (enum hn_dtype)t;
            return true;
        }
    return false;
}

/* The type of floats in a directory: the option's; for MLX config.json's; else plain tensors keep
 * their own, and what was quantised takes its scales'. */
static void settle_dtype(struct hn_converter *c)
{
    enum hn_layout layout = layout_of(c->o->type);
    c->dtype = most(c);
    c->keep_dtypes = layout == HN_LAYOUT_COUNT && hn_convert_kind(c->bundle) != HONE_FORMAT_GGUF;
    if (layout != HN_LAYOUT_COUNT)
        (void)hn_layout_plain(layout, &c->dtype);
    else if (c->o->to == HONE_FORMAT_MLX && hn_convert_kind(c->bundle) == HONE_FORMAT_HF &&
             stated(c, &c->dtype))
        c->keep_dtypes = false;
}

static enum hn_dtype dtype_for(const struct hn_converter *c, const struct hn_tensor *t)
{
    return c->keep_dtypes ? native(&t->from) : c->dtype;
}

/* A quantised source without -q stays as it is where MLX has the like; else the option's groups. */
static bool affine_of(const struct hn_converter *c, const struct hn_tensor *t,
                      struct hn_storage *out)
{
    const struct hone_convert_options *o = c->o;
    enum hn_dtype dtype = dtype_for(c, t);
    *out = (struct hn_storage){HN_LAYOUT_AFFINE, o->q_bits ? (int)o->q_bits : 4,
                               o->q_group_size ? (int)o->q_group_size : 64, dtype};
    bool asked = o->q_bits || o->q_group_size, plain = hn_layout_plain(t->from.layout, &dtype);
    if (o->dequantize)
        return false;
    if (!asked && t->from.layout == HN_LAYOUT_AFFINE) {
        out->bits = t->from.bits;
        out->group = t->from.group;
        return true;
    }
    for (int bits = 4; bits <= 8 && !asked && !plain; bits++) {
        struct hn_storage s = {HN_LAYOUT_AFFINE, bits, 32, out->scale_dtype};
        if (!hn_transcodes(&t->from, &s))
            continue;
        *out = s;
        return true;
    }
    if (!asked && t->from.layout == HN_LAYOUT_Q6_K) {
        out->bits = 8;
        out->group = 32;
        return hn_storage_fits(out, t->from.cols);
    }
    return o->quantize && hn_storage_fits(out, t->from.cols);
}

/* GGUF without a type: as the source, or the nearest of GGUF's that holds its codes. */
static enum hn_layout gguf_auto(const struct hn_tensor *t)
{
    const struct hn_matrix *m = &t->from;
    enum hn_dtype plain;
    if (m->layout == HN_LAYOUT_AFFINE)
        return m->bits <= 4 ? HN_LAYOUT_Q4_1 : m->bits == 5 ? HN_LAYOUT_Q5_1 : HN_LAYOUT_Q8_0;
    if (m->layout == HN_LAYOUT_BNB4)
        return hn_dtype_layout(m->bnb4->dtype);
    if (m->layout == HN_LAYOUT_BNB8)
        return HN_LAYOUT_F16;
    if (t->patched && !hn_storage_writable(m->layout))
        return HN_LAYOUT_Q8_0;
    (void)hn_layout_plain(m->layout, &plain);
    return m->layout;
}

/* The matrix that makes the logits, which suffers most: llama-quantize gives it Q6_K, or Q8_0 where
 * its rows are no multiple of 256. */
static bool is_head(const struct hn_converter *c, const struct hn_tensor *t)
{
    return strcmp(t->module, c->tied ? "model.embed_tokens" : "lm_head") == 0;
}

/* Only the last blocks of a row are missing where cols is no multiple: then float16, as llama.cpp's
 * converter does. */
static struct hn_storage gguf_of(const struct hn_converter *c, const struct hn_tensor *t)
{
    struct hn_storage s = {.layout = layout_of(c->o->type)};
    enum hn_dtype plain;
    if (!t->is_matrix)
        s.layout = HN_LAYOUT_F32;
    else if (s.layout == HN_LAYOUT_COUNT)
        s.layout = gguf_auto(t);
    else if (!hn_layout_plain(s.layout, &plain) && is_head(c, t))
        s.layout = HN_LAYOUT_Q8_0;
    if (!hn_storage_fits(&s, t->from.cols))
        s.layout = HN_LAYOUT_F16;
    return s;
}

static void settle_way(struct hn_tensor *t)
{
    struct hn_storage from = hn_storage_of(&t->from);
    t->way = HN_WAY_ENCODE;
    if (t->patched || t->values)
        return;
    if (hn_storage_same(&from, &t->to))
        t->way = HN_WAY_COPY;
    else if (hn_transcodes(&t->from, &t->to))
        t->way = HN_WAY_TRANSCODE;
}

int hn_converter_plan(struct hn_converter *c)
{
    settle_dtype(c);
    bool interleaved =
        c->o->to == HONE_FORMAT_GGUF && hn_gguf_interleaved(hn_gguf_architecture(&c->spec));
    for (size_t i = 0; i < c->n; i++) {
        struct hn_tensor *t = &c->tensors[i];
        bool q_or_k = hn_ends_with(t->module, ".q_proj") || hn_ends_with(t->module, ".k_proj");
        t->to = (struct hn_storage){.layout = hn_dtype_layout(dtype_for(c, t))};
        if (c->o->to == HONE_FORMAT_GGUF)
            t->to = gguf_of(c, t);
        else if (c->o->to == HONE_FORMAT_MLX && t->is_matrix) {
            struct hn_storage affine;
            if (affine_of(c, t, &affine))
                t->to = affine;
        }
        t->rope_head = interleaved && q_or_k ? c->spec.head_size : 0;
        settle_way(t);
    }
    return 0;
}
