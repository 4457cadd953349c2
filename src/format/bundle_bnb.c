/* bitsandbytes' weights in a Hugging Face directory.
 *
 *   4-bit  P.weight (the codes, seen as any type), P.weight.absmax, P.weight.quant_map,
 *          P.weight.quant_state.bitsandbytes__nf4 or __fp4 (a JSON object as bytes), and when the
 *          scales are quantised too, P.weight.nested_absmax, P.weight.nested_quant_map
 *   int8   P.weight (I8), P.SCB (float32 per row), P.weight_format (0: rows)
 *
 * Source: transformers' and bitsandbytes' QuantState.as_dict(packed=True), 0.50. */
#include "format/bundle_impl.h"

#include <string.h>

static int fail(const struct hn_bundle *b, const struct hn_stored *w, const char *what,
                struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED, "%s (%s): bitsandbytes weight \"%s\": %s", b->path, w->file,
                   w->stored, what);
}

/* The tensor "NAME suffix" where NAME is the first n bytes; marked as a part of the weight. */
static const struct hn_stored *part(const struct hn_bundle *b, const char *name, size_t n,
                                    const char *suffix)
{
    char full[512];
    size_t m = strlen(suffix) + 1;
    if (n + m > sizeof full)
        return NULL;
    memcpy(full, name, n);
    memcpy(full + n, suffix, m);
    const struct hn_stored *found = hn_bundle_find(b, full);
    if (found)
        b->tensors[found - b->tensors].part = true;
    return found;
}

/* Is t there, of this type, with n elements? */
static bool is(const struct hn_stored *t, enum hn_dtype dtype, int64_t n)
{
    return t && t->dtype == dtype && t->size == (size_t)n * hn_dtype_size(dtype);
}

struct state {
    int64_t rows, cols, block, nested_block;
    double nested_offset;
    enum hn_dtype dtype;
};

static bool read_state(const struct hn_json *j, struct state *s)
{
    const struct hn_json *shape = hn_json_get(j, "shape"), *dtype = hn_json_get(j, "dtype");
    int64_t n;
    if (hn_json_is(dtype, "bfloat16"))
        s->dtype = HN_BF16;
    else if (hn_json_is(dtype, "float16"))
        s->dtype = HN_F16;
    else if (hn_json_is(dtype, "float32"))
        s->dtype = HN_F32;
    else
        return false;
    if (!shape || shape->n != 2 || !hn_json_int(hn_json_at(shape, 0), &s->rows) ||
        !hn_json_int(hn_json_at(shape, 1), &s->cols) || s->rows < 1 || s->cols < 1 || s->cols % 2 ||
        hn_mul_overflows(s->rows, s->cols, &n))
        return false;
    if (!hn_json_int(hn_json_get(j, "blocksize"), &s->block) || s->block < 1)
        return false;
    if (!hn_json_get(j, "nested_blocksize"))
        return true;
    return hn_json_int(hn_json_get(j, "nested_blocksize"), &s->nested_block) &&
           s->nested_block > 0 &&
           hn_json_float(hn_json_get(j, "nested_offset"), &s->nested_offset) &&
           hn_json_is(hn_json_get(j, "nested_dtype"), "float32");
}

/* Point q at the tensors beside w; NULL, or what is wrong with them. */
static const char *gather(const struct hn_bundle *b, const struct hn_stored *w,
                          const struct state *s, struct hn_bnb4 *q)
{
    size_t n = strlen(w->name);
    int64_t elements = s->rows * s->cols, blocks = hn_ceil_div(elements, s->block);
    bool nested = s->nested_block > 0;
    const struct hn_stored *absmax = part(b, w->name, n, ".absmax");
    const struct hn_stored *map = part(b, w->name, n, ".quant_map");
    if (w->size != (size_t)(elements / 2))
        return "its bytes do not fit the shape in its quant_state";
    if (!is(map, HN_F32, 16))
        return "its quant_map is not 16 float32 numbers";
    if (!is(absmax, nested ? HN_U8 : HN_F32, blocks))
        return "its absmax does not fit its shape and blocksize";
    *q = (struct hn_bnb4){
        .map = map->data, .block = s->block, .absmax = absmax->data, .dtype = s->dtype};
    if (!nested)
        return NULL;
    const struct hn_stored *nested_map = part(b, w->name, n, ".nested_quant_map");
    const struct hn_stored *nested_absmax = part(b, w->name, n, ".nested_absmax");
    if (!is(nested_map, HN_F32, 256))
        return "its nested_quant_map is not 256 float32 numbers";
    if (!is(nested_absmax, HN_F32, hn_ceil_div(blocks, s->nested_block)))
        return "its nested_absmax does not fit its blocks";
    q->nested_map = nested_map->data;
    q->nested_absmax = nested_absmax->data;
    q->nested_block = s->nested_block;
    q->nested_offset = (float)s->nested_offset;
    return NULL;
}

static int settle_four(struct hn_bundle *b, struct hn_stored *w, struct hn_stored *state, bool nf4,
                       struct hone_err *err)
{
    struct hn_json *j = NULL;
    struct state s = {0};
    state->part = true;
    int rc = hn_json_parse(&b->arena, (const char *)state->data, state->size, 0, &j, err);
    if (rc)
        return hn_fail_prefix(err, "%s (%s): %s", b->path, state->file, state->stored);
    if (!read_state(j, &s))
        return fail(
            b, w,
            "its quant_state lacks a shape of two sizes (the second one even), a blocksize, a "
            "dtype, or the like of nested scales",
            err);
    struct hn_bnb4 *q = hn_arena_alloc(&b->arena, 1, sizeof *q);
    if (!q)
        return hn_fail_memory(err, "opening a model");
    const char *wrong = gather(b, w, &s, q);
    if (wrong)
        return fail(b, w, wrong, err);
    w->layout = HN_LAYOUT_BNB4;
    w->type = nf4 ? "NF4" : "FP4";
    w->n_dims = 2;
    w->shape[0] = s.rows;
    w->shape[1] = s.cols;
    w->bnb4 = q;
    return 0;
}

static int settle_eight(const struct hn_bundle *b, struct hn_stored *w, size_t n_module,
                        struct hn_stored *scales, struct hone_err *err)
{
    const struct hn_stored *format = part(b, w->name, n_module, ".weight_format");
    scales->part = true;
    if (format && (format->size != 1 || format->data[0] != 0))
        return fail(b, w,
                    "its weight_format is not 0 (plain rows); save the model again with a "
                    "current bitsandbytes",
                    err);
    if (w->n_dims != 2 || !is(scales, HN_F32, w->shape[0]))
        return fail(b, w, "its SCB is not one float32 number per row", err);
    w->layout = HN_LAYOUT_BNB8;
    w->type = "int8";
    w->scales = scales;
    return 0;
}

int hn_bundle_pair_bnb(struct hn_bundle *b, struct hone_err *err)
{
    static const char *const states[] = {".quant_state.bitsandbytes__nf4",
                                         ".quant_state.bitsandbytes__fp4"};
    int rc = 0;
    for (size_t i = 0; i < b->n && !rc; i++) {
        struct hn_stored *t = &b->tensors[i];
        const struct hn_stored *w = NULL;
        size_t n = strlen(t->name);
        for (int k = 0; k < 2 && !rc; k++) {
            size_t m = strlen(states[k]);
            if (!hn_ends_with(t->name, states[k]) || n - m >= 500)
                continue;
            char name[512];
            memcpy(name, t->name, n - m);
            name[n - m] = 0;
            w = hn_bundle_find(b, name);
            if (w && !w->bnb4)
                rc = settle_four(b, &b->tensors[w - b->tensors], t, k == 0, err);
        }
        if (!rc && hn_ends_with(t->name, ".SCB") && n > 4 && n < 500) {
            char name[512];
            memcpy(name, t->name, n - 4);
            memcpy(name + n - 4, ".weight", 8);
            w = hn_bundle_find(b, name);
            if (w && w->dtype == HN_I8)
                rc = settle_eight(b, &b->tensors[w - b->tensors], n - 4, t, err);
        }
    }
    return rc;
}
