/* Which tensors a model is made of: by its specification, so that what is written is whole, and
 * each has the shape that its reader will expect. */
#include "convert/convert_impl.h"
#include "convert/rope_factors.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 128 };

struct lister {
    struct hn_converter *c;
    size_t cap;
};

static struct hn_tensor *add(struct lister *l, const char *name)
{
    struct hn_converter *c = l->c;
    HN_ASSERT(c->n < l->cap);
    struct hn_tensor *t = &c->tensors[c->n];
    size_t n = strlen(name);
    const char *dot = strrchr(name, '.');
    *t = (struct hn_tensor){.name = hn_arena_dup(&c->arena, name, n),
                            .module = hn_arena_dup(&c->arena, name, (size_t)(dot - name))};
    if (!t->name || !t->module) {
        (void)hn_fail_memory(c->err, "listing tensors");
        return NULL;
    }
    return t;
}

static int wrong_shape(struct hn_converter *c, const char *name, const struct hn_matrix *m,
                       int64_t rows, int64_t cols)
{
    return hn_fail(c->err, HONE_FAILED,
                   "%s: the tensor %s is [%lld, %lld], but the configuration makes it [%lld, %lld]",
                   c->o->model, name, (long long)m->rows, (long long)m->cols, (long long)rows,
                   (long long)cols);
}

static int matrix(struct lister *l, const char *name, int64_t rows, int64_t cols)
{
    struct hn_converter *c = l->c;
    struct hn_tensor *t = add(l, name);
    if (!t)
        return HONE_NO_MEMORY;
    int rc = hn_bundle_matrix(c->bundle, name, &t->from, c->err);
    if (rc)
        return rc;
    if (t->from.rows != rows || t->from.cols != cols)
        return wrong_shape(c, name, &t->from, rows, cols);
    t->is_matrix = true;
    t->patched = c->patch &&
                 c->patch->changes(c->patch->arg, c->patch->by_name ? t->name : t->module);
    c->n++;
    return 0;
}

/* Seen as [n, 1], so that one that is stored permuted is read like a matrix. */
static int vector(struct lister *l, const char *name, int64_t n)
{
    struct hn_converter *c = l->c;
    struct hn_tensor *t = add(l, name);
    enum hn_dtype dtype;
    if (!t)
        return HONE_NO_MEMORY;
    int rc = hn_bundle_vector(c->bundle, name, &t->from, c->err);
    if (rc)
        return rc;
    if (t->from.rows * t->from.cols != n)
        return wrong_shape(c, name, &t->from, 1, n);
    if (!hn_layout_plain(t->from.layout, &dtype))
        return hn_fail(c->err, HONE_FAILED, "%s: the tensor %s is a vector of type %s", c->o->model,
                       name, hn_layout_name(t->from.layout));
    t->from.rows = n;
    t->from.cols = 1;
    t->from.row_size = hn_dtype_size(dtype);
    t->patched = c->patch && c->patch->by_name && c->patch->changes(c->patch->arg, t->name);
    c->n++;
    return 0;
}

static int linear(struct lister *l, int64_t layer, enum hn_linear_id id)
{
    const struct hn_spec *s = &l->c->spec;
    char name[MAX_NAME];
    snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)layer,
             hn_linear_name(id));
    int rc = matrix(l, name, hn_linear_out(s, id), hn_linear_in(s, id));
    if (rc)
        return rc;
    snprintf(name, sizeof name, "model.layers.%lld.%s.bias", (long long)layer, hn_linear_name(id));
    bool must = s->family->qkv_bias && id <= HN_LINEAR_V;
    bool there = s->bias[id] && (must || hn_bundle_has(l->c->bundle, name));
    return there ? vector(l, name, hn_linear_out(s, id)) : 0;
}

static int block(struct lister *l, int64_t layer)
{
    const struct hn_spec *s = &l->c->spec;
    const struct {
        const char *name;
        int64_t n;
        bool there;
    } norms[] = {{"input_layernorm", s->d_model, true},
                 {"post_attention_layernorm", s->d_model, true},
                 {"self_attn.q_norm", s->head_size, s->family->qk_norm},
                 {"self_attn.k_norm", s->head_size, s->family->qk_norm}};
    int rc = 0;
    for (size_t i = 0; i < HN_COUNT(norms) && !rc; i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)layer, norms[i].name);
        rc = norms[i].there ? vector(l, name, norms[i].n) : 0;
    }
    for (int id = 0; id < HN_LINEAR_COUNT && !rc; id++)
        rc = linear(l, layer, (enum hn_linear_id)id);
    return rc;
}

/* Llama 3's rotary scaling is a tensor of a GGUF. */
static int rotary(struct lister *l)
{
    static const char name[] = "rope_freqs.weight";
    struct hn_converter *c = l->c;
    int64_t n = c->spec.head_size / 2;
    if (c->o->to != HONE_FORMAT_GGUF)
        return 0;
    if (hn_bundle_has(c->bundle, name))
        return vector(l, name, n);
    if (c->spec.rope.kind != HN_ROPE_LLAMA3)
        return 0;
    struct hn_tensor *t = add(l, name);
    float *values = hn_arena_alloc(&c->arena, (size_t)n, sizeof *values);
    if (!t || !values)
        return hn_fail_memory(c->err, "listing tensors");
    hn_rope_factors(&c->spec, values);
    t->values = values;
    t->from = (struct hn_matrix){.layout = HN_LAYOUT_F32, .rows = n, .cols = 1, .row_size = 4};
    c->n++;
    return 0;
}

static bool listed(const struct hn_converter *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->tensors[i].name, name) == 0)
            return true;
    return false;
}

/* Parts of packed weights, and tables that every reader makes by itself. */
static bool goes_without_saying(const char *name)
{
    static const char *const ends[] = {".scales",
                                       ".biases",
                                       ".absmax",
                                       ".quant_map",
                                       ".SCB",
                                       ".nested_absmax",
                                       ".weight_format",
                                       ".nested_quant_map",
                                       "rotary_emb.inv_freq",
                                       "rope_freqs.weight"};
    for (size_t i = 0; i < HN_COUNT(ends); i++)
        if (hn_ends_with(name, ends[i]))
            return true;
    return strstr(name, ".quant_state.bitsandbytes__") != NULL;
}

/* What the source holds and this family has no use for. */
static int note_others(struct hn_converter *c)
{
    size_t others = 0;
    const char *first = NULL;
    for (size_t i = 0; i < hn_bundle_n_tensors(c->bundle); i++) {
        struct hn_bundle_tensor t;
        hn_bundle_tensor(c->bundle, i, &t);
        bool tied_head = c->tied && hn_starts_with(t.name, "lm_head.");
        if (tied_head || goes_without_saying(t.name) || listed(c, t.name))
            continue;
        first = first ? first : t.stored;
        others++;
    }
    if (!others)
        return 0;
    return hn_converter_note(c, "left out: %zu tensor%s that a %s model has no use for (%s%s)",
                             others, others > 1 ? "s" : "", c->spec.family->name, first,
                             others > 1 ? ", …" : "");
}

int hn_converter_list(struct hn_converter *c)
{
    const struct hn_spec *s = &c->spec;
    struct lister l = {.c = c, .cap = (size_t)s->n_layers * (4 + 2 * HN_LINEAR_COUNT) + 4};
    c->tensors = hn_arena_alloc(&c->arena, l.cap, sizeof *c->tensors);
    if (!c->tensors)
        return hn_fail_memory(c->err, "listing tensors");
    c->tied = hn_bundle_tied(c->bundle, s->tied);
    int rc = matrix(&l, "model.embed_tokens.weight", s->vocab_size, s->d_model);
    for (int64_t i = 0; i < s->n_layers && !rc; i++)
        rc = block(&l, i);
    rc = rc ? rc : vector(&l, "model.norm.weight", s->d_model);
    if (!rc && !c->tied)
        rc = matrix(&l, "lm_head.weight", s->vocab_size, s->d_model);
    rc = rc ? rc : rotary(&l);
    for (size_t i = 0; i < c->n; i++)
        c->total += (uint64_t)(c->tensors[i].from.rows * c->tensors[i].from.cols);
    return rc ? rc : note_others(c);
}
