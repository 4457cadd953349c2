/* config.json of a directory: the source's, with the keys that the new form changes.
 *
 * For MLX three things are made explicit that mlx-lm does not find where transformers 5 writes
 * them, or takes for something else when they are not there: rope_theta and rope_scaling at the top
 * level, and tie_word_embeddings. */
#include "base/file.h"
#include "base/mem.h"
#include "convert/convert_impl.h"
#include "convert/rope_factors.h"

#include <stdlib.h>
#include <string.h>

/* An object's members under construction; keys and values are borrowed. */
struct members {
    struct hn_json_member *items;
    size_t n, cap;
};

static int put(struct members *m, struct hn_str key, const struct hn_json *value)
{
    size_t i = 0;
    while (i < m->n && !hn_str_eq(m->items[i].key, key))
        i++;
    void *items = m->items;
    if (i == m->n && hn_grow(&items, &m->cap, m->n + 1, sizeof *m->items))
        return -1;
    m->items = items;
    m->items[i] = (struct hn_json_member){key, *value};
    m->n += i == m->n;
    return 0;
}

static void drop(struct members *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++)
        if (hn_str_is(m->items[i].key, key)) {
            memmove(m->items + i, m->items + i + 1, (m->n - i - 1) * sizeof *m->items);
            m->n--;
            return;
        }
}

static int by_key(const void *a, const void *b)
{
    return hn_str_cmp(((const struct hn_json_member *)a)->key,
                      ((const struct hn_json_member *)b)->key);
}

/* The most common storage of the quantised tensors. */
static struct hn_storage common(const struct hn_converter *c)
{
    struct hn_storage best = {.layout = HN_LAYOUT_COUNT};
    size_t most = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t same = 0;
        for (size_t k = i; k < c->n && c->tensors[i].to.layout == HN_LAYOUT_AFFINE; k++)
            same += c->tensors[k].to.layout == HN_LAYOUT_AFFINE &&
                    c->tensors[k].to.bits == c->tensors[i].to.bits &&
                    c->tensors[k].to.group == c->tensors[i].to.group;
        if (same > most) {
            most = same;
            best = c->tensors[i].to;
        }
    }
    return best;
}

static void put_storage(struct hn_json_writer *w, const struct hn_storage *s)
{
    hn_jw_put_int(w, "group_size", s->group);
    hn_jw_put_int(w, "bits", s->bits);
    hn_jw_put_str(w, "mode", "affine");
}

/* "quantization": what most weights have, then the modules that have something else. */
static void put_quantization(struct hn_converter *c, struct hn_json_writer *w, const char *key)
{
    struct hn_storage all = common(c);
    if (all.layout != HN_LAYOUT_AFFINE)
        return;
    hn_jw_put_open(w, key, '{');
    put_storage(w, &all);
    for (size_t i = 0; i < c->n; i++) {
        const struct hn_storage *s = &c->tensors[i].to;
        if (s->layout != HN_LAYOUT_AFFINE || (s->bits == all.bits && s->group == all.group))
            continue;
        hn_jw_put_open(w, c->tensors[i].module, '{');
        put_storage(w, s);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, '}');
}

/* transformers 5 keeps both in rope_parameters; mlx-lm's families read them here, and take another
 * original context where none is written. */
static void put_rope(struct hn_converter *c, struct hn_json_writer *w)
{
    static const char original[] = "original_max_position_embeddings";
    const struct hn_rope_spec *r = &c->spec.rope;
    const struct hn_json *rope = hn_spec_rope(hn_bundle_config(c->bundle));
    if (!rope || rope->type != HN_JSON_OBJECT)
        return;
    hn_jw_put_double(w, "rope_theta", r->theta);
    if (r->kind == HN_ROPE_DEFAULT)
        return;
    hn_jw_put_open(w, "rope_scaling", '{');
    for (size_t i = 0; i < rope->n; i++)
        if (!hn_str_is(rope->members[i].key, "rope_theta") &&
            !hn_str_is(rope->members[i].key, original)) {
            hn_jw_key(w, rope->members[i].key.p);
            hn_jw_value(w, &rope->members[i].value);
        }
    if (r->kind != HN_ROPE_LINEAR)
        hn_jw_put_int(w, original, r->original_context);
    hn_jw_close(w, '}');
}

/* A GGUF has Llama 3's rotary scaling as divisors; config.json has the numbers behind them. */
static int put_factors(struct hn_converter *c, struct hn_json_writer *w)
{
    static const char name[] = "rope_freqs.weight";
    const struct hn_spec *s = &c->spec;
    size_t half = (size_t)s->head_size / 2;
    struct hn_rope_spec r;
    if (!hn_bundle_has(c->bundle, name))
        return 0;
    float *factors = hn_arena_alloc(&c->arena, 2 * half, sizeof *factors);
    int rc = factors ? hn_bundle_decode_vector(c->bundle, name, factors, (int64_t)half, c->err)
                     : hn_fail_memory(c->err, "writing config.json");
    if (rc)
        return rc;
    if (!hn_rope_llama3_of(s, factors, factors + half, &r))
        return hn_fail(c->err, HONE_FAILED,
                       "%s: the rotary divisors in %s are not those of Llama 3's scaling, and "
                       "config.json has no other word for them",
                       c->o->model, name);
    hn_jw_put_open(w, "rope_scaling", '{');
    hn_jw_put_str(w, "rope_type", "llama3");
    hn_jw_put_double(w, "factor", r.factor);
    hn_jw_put_double(w, "low_freq_factor", r.low_freq_factor);
    hn_jw_put_double(w, "high_freq_factor", r.high_freq_factor);
    hn_jw_put_int(w, "original_max_position_embeddings", r.original_context);
    hn_jw_close(w, '}');
    return 0;
}

/* What a GGUF leaves to its architecture, in transformers' words. */
static void put_from_gguf(struct hn_json_writer *w)
{
    hn_jw_put_str(w, "hidden_act", "silu");
}

/* The keys that are new or other than the source's, as an object in the arena. */
static int changes(struct hn_converter *c, struct hn_json **out)
{
    struct hn_buf text = {0};
    struct hn_json_writer w;
    bool mlx = c->o->to == HONE_FORMAT_MLX;
    int rc = 0;
    bool dtype_key = hn_json_get(hn_bundle_config(c->bundle), "dtype") != NULL;
    hn_jw_init(&w, &text, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, dtype_key ? "dtype" : "torch_dtype", hn_dtype_torch_name(c->dtype));
    hn_jw_put_bool(&w, "tie_word_embeddings", c->tied);
    if (hn_convert_kind(c->bundle) == HONE_FORMAT_GGUF) {
        put_from_gguf(&w);
        rc = put_factors(c, &w);
    }
    if (mlx) {
        put_rope(c, &w);
        put_quantization(c, &w, "quantization");
        put_quantization(c, &w, "quantization_config");
    }
    hn_jw_close(&w, '}');
    if (!rc)
        rc = text.failed ? hn_fail_memory(c->err, "writing config.json")
                         : hn_json_parse(&c->arena, text.data, text.len, 0, out, c->err);
    hn_buf_release(&text);
    return rc;
}

static int write_json(struct hn_converter *c, const char *dir, const char *name,
                      const struct hn_json *j, int indent)
{
    struct hn_buf text = {0};
    char *path = hn_path_join(dir, name);
    hn_json_dump(&text, j, indent, true, false);
    hn_buf_add_char(&text, '\n');
    int rc = !path || text.failed ? hn_fail_memory(c->err, "writing config.json")
                                  : hn_file_write(path, text.data, text.len, c->err);
    hn_buf_release(&text);
    hn_free(path);
    return rc;
}

int hn_converter_write_config(struct hn_converter *c, const char *dir)
{
    static const char *const gone[] = {"quantization", "quantization_config", "_name_or_path"};
    const struct hn_json *from = hn_bundle_config(c->bundle);
    struct members m = {0};
    struct hn_json *new = NULL;
    int rc = changes(c, &new);
    bool failed = false;
    for (size_t i = 0; i < from->n && !rc; i++)
        failed |= put(&m, from->members[i].key, &from->members[i].value) != 0;
    for (size_t i = 0; i < HN_COUNT(gone); i++)
        drop(&m, gone[i]);
    for (size_t i = 0; !rc && i < new->n; i++)
        failed |= put(&m, new->members[i].key, &new->members[i].value) != 0;
    if (!rc && failed)
        rc = hn_fail_memory(c->err, "writing config.json");
    if (!rc) {
        qsort(m.items, m.n, sizeof *m.items, by_key);
        struct hn_json whole = {.type = HN_JSON_OBJECT, .n = m.n, .members = m.items};
        rc = write_json(c, dir, "config.json", &whole, c->o->to == HONE_FORMAT_MLX ? 4 : 2);
    }
    hn_free(m.items);
    return rc;
}
