/* Modules of an adapter: their names, their order, and the copy of their two matrices. */
#include "format/adapter_impl.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int64_t hn_adapter_block(const char *path, const char **rest)
{
    static const char word[] = "layers.";
    *rest = path;
    for (const char *p = path; (p = strstr(p, word)); p++) {
        if (p > path && p[-1] != '.')
            continue;
        const char *digits = p + sizeof word - 1;
        size_t n = strspn(digits, "0123456789");
        if (!n || n > 7 || digits[n] != '.')
            continue;
        int64_t block = 0;
        for (size_t i = 0; i < n; i++)
            block = block * 10 + (digits[i] - '0');
        *rest = digits + n + 1;
        return block;
    }
    return -1;
}

/* The place of a linear inside its block. */
static int place(const char *rest)
{
    static const char *const order[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                        "mlp.down_proj"};
    for (size_t i = 0; i < HN_COUNT(order); i++)
        if (strcmp(rest, order[i]) == 0)
            return (int)i;
    return (int)HN_COUNT(order);
}

static int compare(const void *a, const void *b)
{
    const struct hn_adapter_module *m = a, *n = b;
    const char *m_rest, *n_rest;
    int64_t m_block = hn_adapter_block(m->path, &m_rest);
    int64_t n_block = hn_adapter_block(n->path, &n_rest);
    if (m_block != n_block) { /* what is in no block comes last */
        if (m_block < 0 || n_block < 0)
            return m_block < 0 ? 1 : -1;
        return m_block < n_block ? -1 : 1;
    }
    int m_place = place(m_rest), n_place = place(n_rest);
    return m_place != n_place ? m_place - n_place : strcmp(m->path, n->path);
}

void hn_adapter_sort(struct hn_adapter_module *modules, size_t n)
{
    if (n)
        qsort(modules, n, sizeof *modules, compare);
}

/* Hugging Face's path of a module in a causal language model, whatever wrapper it was saved from.
 */
static char *canonical(struct hn_arena *arena, const char *module, size_t n)
{
    static const char *const prefixes[] = {"model.language_model.", "language_model.model.",
                                           "language_model.", ""};
    char *path = hn_arena_dup(arena, module, n);
    if (!path || hn_starts_with(path, "model.layers."))
        return path;
    for (size_t i = 0; i < HN_COUNT(prefixes); i++) {
        const char *inner = path + strlen(prefixes[i]);
        if (!hn_starts_with(path, prefixes[i]) || !hn_starts_with(inner, "layers."))
            continue;
        size_t size = strlen(inner) + sizeof "model.";
        char *full = hn_arena_alloc(arena, size, 1);
        if (full) {
            memcpy(full, "model.", 6);
            memcpy(full + 6, inner, strlen(inner));
        }
        return full;
    }
    return path;
}

struct hn_adapter_pair *hn_adapter_pair_of(struct hn_adapter_pairs *pairs, struct hn_arena *arena,
                                           const char *module, size_t n)
{
    /* Tensors come sorted by name, so the other half of a pair is the newest one, if it is there.
     */
    for (size_t i = pairs->n; i-- > 0 && pairs->n - i < 4;)
        if (strlen(pairs->items[i].written) == n && memcmp(pairs->items[i].written, module, n) == 0)
            return &pairs->items[i];
    void *items = pairs->items;
    if (hn_grow(&items, &pairs->cap, pairs->n + 1, sizeof *pairs->items))
        return NULL;
    pairs->items = items;
    struct hn_adapter_pair *p = &pairs->items[pairs->n];
    *p = (struct hn_adapter_pair){.path = canonical(arena, module, n),
                                  .written = hn_arena_dup(arena, module, n)};
    if (!p->path || !p->written)
        return NULL;
    pairs->n++;
    return p;
}

static bool usable(const struct hn_st_tensor *t)
{
    return t->dtype == HN_F32 || t->dtype == HN_F16 || t->dtype == HN_BF16 || t->dtype == HN_F64;
}

/* DoRA's magnitudes: [out], or [out, 1] and [1, out] as some systems keep them. */
static int take_magnitude(struct hn_adapter_file *out, const struct hn_adapter_pair *pair,
                          struct hn_adapter_module *m, struct hone_err *err)
{
    const struct hn_st_tensor *t = pair->m;
    if (!usable(t) || t->n_elements != m->out)
        return hn_fail(err, HONE_FAILED,
                       "%s: tensor \"%s\" has %lld elements of type %s, expected %lld of a float "
                       "type: a magnitude for each row of the module",
                       out->weights_path, t->name, (long long)t->n_elements,
                       hn_dtype_name(t->dtype), (long long)m->out);
    float *values = hn_arena_alloc(&out->arena, (size_t)m->out, sizeof *values);
    for (int64_t i = 0; values && i < m->out; i++)
        values[i] = hn_dtype_load(t->dtype, t->data, (size_t)i);
    m->magnitude = values;
    return values ? 0 : hn_fail_memory(err, "reading an adapter");
}

/* All modules have magnitudes or none has. */
static int check_dora(struct hn_adapter_file *out, struct hone_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++)
        n += out->modules[i].magnitude != NULL;
    out->use_dora = n > 0;
    for (size_t i = 0; i < out->n && n; i++)
        if (!out->modules[i].magnitude)
            return hn_fail(err, HONE_FAILED,
                           "%s: module \"%s\" has no DoRA magnitudes, but others have",
                           out->weights_path, out->modules[i].path);
    return 0;
}

/* A float32 copy of t [rows, cols], transposed or not. */
static float *copy(struct hn_arena *arena, const struct hn_st_tensor *t, bool transposed)
{
    size_t rows = (size_t)t->shape[0], cols = (size_t)t->shape[1];
    float *out = hn_arena_alloc(arena, (size_t)t->n_elements, sizeof *out);
    for (size_t r = 0; out && r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[transposed ? c * rows + r : r * cols + c] =
                hn_dtype_load(t->dtype, t->data, r * cols + c);
    return out;
}

static int take(struct hn_adapter_file *out, const struct hn_adapter_pair *pair, bool transposed,
                struct hn_adapter_module *m, struct hone_err *err)
{
    const struct hn_st_tensor *a = pair->a, *b = pair->b;
    if (!a || !b)
        return hn_fail(err, HONE_FAILED, "%s: module \"%s\" has a LoRA %s but no %s",
                       out->weights_path, pair->path, a ? "A" : "B", a ? "B" : "A");
    if (!usable(a) || !usable(b))
        return hn_fail(err, HONE_FAILED, "%s: tensor \"%s\" is of type %s, expected a float type",
                       out->weights_path, usable(a) ? b->name : a->name,
                       hn_dtype_name(usable(a) ? b->dtype : a->dtype));
    if (a->n_dims != 2 || b->n_dims != 2)
        return hn_fail(
            err, HONE_FAILED,
            "%s: the LoRA of module \"%s\" has tensors of %d and %d dimensions, expected "
            "2 (adapters of expert layers are not supported)",
            out->weights_path, pair->path, a->n_dims, b->n_dims);
    int64_t rank = a->shape[transposed ? 1 : 0], in = a->shape[transposed ? 0 : 1];
    int64_t b_rank = b->shape[transposed ? 0 : 1], rows = b->shape[transposed ? 1 : 0];
    if (rank != b_rank || rank < 1 || in < 1 || rows < 1)
        return hn_fail(
            err, HONE_FAILED,
            "%s: the LoRA of module \"%s\" is [%lld, %lld] and [%lld, %lld], which do not "
            "go together",
            out->weights_path, pair->path, (long long)a->shape[0], (long long)a->shape[1],
            (long long)b->shape[0], (long long)b->shape[1]);
    *m = (struct hn_adapter_module){.path = pair->path, .rank = rank, .in = in, .out = rows};
    m->a = copy(&out->arena, a, transposed);
    m->b = copy(&out->arena, b, transposed);
    if (!m->a || !m->b)
        return hn_fail_memory(err, "reading an adapter");
    return pair->m ? take_magnitude(out, pair, m, err) : 0;
}

int hn_adapter_take(struct hn_adapter_file *out, const struct hn_adapter_pairs *pairs,
                    bool transposed, struct hone_err *err)
{
    out->modules = hn_arena_alloc(&out->arena, pairs->n, sizeof *out->modules);
    int rc = out->modules ? 0 : hn_fail_memory(err, "reading an adapter");
    for (; out->n < pairs->n && !rc; out->n++) {
        rc = take(out, &pairs->items[out->n], transposed, &out->modules[out->n], err);
        out->rank = HN_MAX(out->rank, out->modules[out->n].rank);
    }
    return rc ? rc : check_dora(out, err);
}
