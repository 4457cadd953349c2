#include "jinja/jinja_lazy.h"
#include "jinja/jinja_case.h"

#include <string.h>

struct lazy {
    struct hn_jiter *src; /* opened when the first item is asked for */
    bool started, done, keep, fold, has_path;
    struct hn_jpath path;
    struct hn_jv fallback;
    const struct hn_jbuiltin *fn; /* the filter or test; NULL: truth */
    struct hn_jargs args;         /* as given, then what is left for fn */
    struct hn_jv seen;            /* unique: a dict */
    struct hn_jv fill, parts;
    int64_t n;
};

static struct lazy *lazy(struct hn_ji *ji, struct hn_jv value,
                         int (*next)(struct hn_ji *, struct hn_jiter *, struct hn_jv *),
                         struct hn_jv *out)
{
    struct lazy *l = hn_ji_alloc(ji, 1, sizeof *l);
    struct hn_jiter *it = l ? hn_ji_new_iter(ji, "generator", next, out) : NULL;
    if (!it)
        return NULL;
    it->src = value;
    it->state = l;
    return l;
}

static int start(struct hn_ji *ji, struct hn_jiter *it)
{
    struct lazy *l = it->state;
    if (l->started)
        return 0;
    l->started = true;
    return hn_ji_iter(ji, it->src, &l->src);
}

/* ---- items ---- */

static int next_item(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    if (it->src.kind == HN_JV_UNDEF)
        return 0;
    if (it->src.kind != HN_JV_DICT)
        return hn_ji_fail(ji, "a %s has no items", hn_jv_type_name(it->src));
    if (it->i >= it->src.dict->n)
        return 0;
    (void)l;
    const struct hn_jpair *p = &it->src.dict->pairs[it->i++];
    return hn_jv_pair(ji, p->key, p->value, out) ? ji->code : 1;
}

int hn_jlazy_items(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return lazy(ji, c->argv[0], next_item, out) ? 0 : ji->code;
}

/* ---- map, select and their kin ---- */

static const struct hn_jv *named(const struct hn_jargs *a, const char *name)
{
    for (size_t i = 0; i < a->n_named; i++)
        if (hn_jv_is_str(a->named[i].key, name))
            return &a->named[i].value;
    return NULL;
}

static int take_name(struct hn_ji *ji, struct lazy *l, const char *what)
{
    struct hn_jv name = l->args.pos[0];
    struct hn_str s = {"?", 1};
    if (name.kind == HN_JV_STR)
        s = (struct hn_str){name.s->p, name.s->n};
    l->fn = name.kind != HN_JV_STR ? NULL
            : what[0] == 'f'       ? hn_ji_find_filter(s)
                                   : hn_ji_find_test(s);
    if (!l->fn)
        return hn_ji_fail(ji, "there is no %s named '%.*s'", what, (int)HN_MIN(s.n, 100), s.p);
    l->args.pos++;
    l->args.n_pos--;
    return 0;
}

static int prepare_map(struct hn_ji *ji, struct lazy *l)
{
    const struct hn_jv *attribute = named(&l->args, "attribute"),
                       *fallback = named(&l->args, "default");
    if (l->args.n_pos || !attribute) {
        if (!l->args.n_pos)
            return hn_ji_fail(ji, "map needs the name of a filter or an attribute");
        return take_name(ji, l, "filter");
    }
    if (l->args.n_named > 1u + (fallback != NULL))
        return hn_ji_fail(ji, "map takes 'attribute' and 'default', nothing else");
    if (fallback)
        l->fallback = *fallback;
    l->has_path = true;
    return hn_ji_path(ji, *attribute, &l->path);
}

static int next_mapped(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    struct hn_jv v;
    if (!l->started) {
        l->done = it->src.kind != HN_JV_LOOP && !hn_jv_truth(it->src);
        if (!l->done && (prepare_map(ji, l) || start(ji, it)))
            return ji->code;
        l->started = true;
    }
    if (l->done)
        return 0;
    int rc = l->src->next(ji, l->src, &v);
    if (rc != 1 || hn_ji_step(ji, 0))
        return rc == 1 ? ji->code : rc;
    rc = l->has_path ? hn_ji_path_get(ji, &l->path, v, l->fallback, out)
                     : hn_ji_apply(ji, l->fn, "filter", v, &l->args, out);
    return rc ? rc : 1;
}

/* The arguments behind the value, which every call of these filters has in front. */
static int rest_of(struct hn_ji *ji, const struct hn_jcall *c, const char *name,
                   struct hn_jargs *out)
{
    *out = *c->args;
    if (!out->n_pos)
        return hn_ji_fail(ji, "the filter %s needs a value", name);
    out->pos++;
    out->n_pos--;
    return 0;
}

int hn_jlazy_map(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jargs args;
    if (rest_of(ji, c, "map", &args))
        return ji->code;
    struct lazy *l = lazy(ji, c->args->pos[0], next_mapped, out);
    if (!l)
        return ji->code;
    l->args = args;
    return 0;
}

static int prepare_select(struct hn_ji *ji, struct lazy *l)
{
    if (l->has_path) {
        if (!l->args.n_pos)
            return hn_ji_fail(ji, "selectattr and rejectattr need the name of an attribute");
        if (hn_ji_path(ji, l->args.pos[0], &l->path))
            return ji->code;
        l->args.pos++;
        l->args.n_pos--;
    }
    return l->args.n_pos ? take_name(ji, l, "test") : 0;
}

static int next_selected(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    if (!l->started) {
        l->done = it->src.kind != HN_JV_LOOP && !hn_jv_truth(it->src);
        if (!l->done && (prepare_select(ji, l) || start(ji, it)))
            return ji->code;
        l->started = true;
    }
    while (!l->done) {
        struct hn_jv v, key, pass;
        int rc = l->src->next(ji, l->src, &v);
        if (rc != 1)
            return rc;
        if (hn_ji_step(ji, 0) || hn_ji_path_get(ji, &l->path, v, (struct hn_jv){0}, &key))
            return ji->code;
        pass = key;
        if (l->fn && hn_ji_apply(ji, l->fn, "test", key, &l->args, &pass))
            return ji->code;
        if (hn_jv_truth(pass) == l->keep) {
            *out = v;
            return 1;
        }
    }
    return 0;
}

static int select_with(struct hn_ji *ji, const struct hn_jcall *c, bool keep, bool attr,
                       struct hn_jv *out)
{
    struct hn_jargs args;
    if (rest_of(ji, c, "select", &args))
        return ji->code;
    struct lazy *l = lazy(ji, c->args->pos[0], next_selected, out);
    if (!l)
        return ji->code;
    l->args = args;
    l->keep = keep;
    l->has_path = attr;
    return 0;
}

int hn_jlazy_select(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return select_with(ji, c, true, false, out);
}

int hn_jlazy_reject(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return select_with(ji, c, false, false, out);
}

int hn_jlazy_selectattr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return select_with(ji, c, true, true, out);
}

int hn_jlazy_rejectattr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return select_with(ji, c, false, true, out);
}

/* ---- unique, batch, slice ---- */

static int next_unique(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    if (!l->started && (hn_ji_path(ji, l->fill, &l->path) || hn_jv_dict(ji, &l->seen)))
        return ji->code;
    if (start(ji, it))
        return ji->code;
    for (;;) {
        struct hn_jv key;
        int rc = l->src->next(ji, l->src, out);
        if (rc != 1)
            return rc;
        if (hn_ji_step(ji, 0) || hn_ji_path_get(ji, &l->path, *out, (struct hn_jv){0}, &key) ||
            (l->fold && hn_jcase_fold(ji, key, &key)))
            return ji->code;
        size_t before = l->seen.dict->n;
        if (hn_jdict_set(ji, l->seen.dict, key, hn_jv_none()))
            return ji->code;
        if (l->seen.dict->n > before)
            return 1;
    }
}

int hn_jlazy_unique(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct lazy *l = lazy(ji, c->argv[0], next_unique, out);
    if (!l)
        return ji->code;
    l->fold = !hn_jv_truth(c->argv[1]);
    l->fill = c->argv[2];
    return 0;
}

static int next_batch(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    int64_t size;
    int rc = 0;
    if (start(ji, it) || hn_ji_want_int(ji, l->parts, "the size of a batch", &size) ||
        hn_jv_list(ji, HN_JV_LIST, 0, out))
        return ji->code;
    if (size < 1)
        return hn_ji_fail(ji, "the size of a batch must be at least 1");
    while ((int64_t)out->list->n < size) {
        struct hn_jv v;
        rc = l->src->next(ji, l->src, &v);
        if (rc < 0)
            return rc;
        if (!rc)
            break;
        if (hn_ji_step(ji, 0) || hn_jv_push(ji, out->list, v))
            return ji->code;
    }
    if (!out->list->n)
        return 0;
    while (!rc && l->fill.kind > HN_JV_NONE && (int64_t)out->list->n < size)
        if (hn_ji_step(ji, 0) || hn_jv_push(ji, out->list, l->fill))
            return ji->code;
    return 1;
}

int hn_jlazy_batch(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct lazy *l = lazy(ji, c->argv[0], next_batch, out);
    if (!l)
        return ji->code;
    l->parts = c->argv[1];
    l->fill = c->argv[2];
    return 0;
}

static int next_slice(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct lazy *l = it->state;
    if (!l->started) {
        if (hn_ji_list_of(ji, it->src, HN_JV_LIST, &l->seen) ||
            hn_ji_want_int(ji, l->parts, "the number of slices", &l->n))
            return ji->code;
        if (l->n == 0)
            return hn_ji_fail(ji, "the number of slices must not be 0");
        l->started = true;
    }
    int64_t k = (int64_t)it->i++, n = (int64_t)l->seen.list->n;
    if (k >= l->n || hn_ji_step(ji, 0))
        return ji->code;
    int64_t each = n / l->n, more = n % l->n;
    int64_t from = k * each + HN_MIN(k, more), to = from + each + (k < more);
    if (hn_jv_list(ji, HN_JV_LIST, (size_t)(to - from) + 1, out))
        return ji->code;
    for (; from < to; from++)
        if (hn_jv_push(ji, out->list, l->seen.list->v[from]))
            return ji->code;
    if (l->fill.kind > HN_JV_NONE && k >= more && hn_jv_push(ji, out->list, l->fill))
        return ji->code;
    return 1;
}

int hn_jlazy_slice(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct lazy *l = lazy(ji, c->argv[0], next_slice, out);
    if (!l)
        return ji->code;
    l->parts = c->argv[1];
    l->fill = c->argv[2];
    return 0;
}

/* ---- attr ---- */

int hn_jlazy_attr(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv obj = c->argv[0];
    const struct hn_jstr *name;
    if (hn_ji_want_str(ji, c->argv[1], "the name of an attribute", &name))
        return ji->code;
    struct hn_str s = {name->p, name->n};
    if (obj.kind == HN_JV_DICT && !hn_ji_find_method(HN_JV_DICT, s)) {
        struct hn_jv empty; /* a key is not an attribute */
        return hn_jv_dict(ji, &empty) ? ji->code : hn_ji_getattr(ji, empty, s, out);
    }
    return hn_ji_getattr(ji, obj, s, out);
}
