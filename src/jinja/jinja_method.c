/* The methods of dicts, lists, tuples, ranges, loops and cyclers, and where every name is looked
 * up. */
#include "jinja/jinja_eval.h"

#include <string.h>

/* ---- dict ---- */

static int view(struct hn_ji *ji, const struct hn_jcall *c, enum hn_jview_what what,
                struct hn_jv *out)
{
    struct hn_jview *v = hn_ji_alloc(ji, 1, sizeof *v);
    if (!v)
        return ji->code;
    *v = (struct hn_jview){c->self.dict, what};
    *out = (struct hn_jv){.kind = HN_JV_VIEW, .view = v};
    return 0;
}

static int d_keys(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return view(ji, c, HN_VIEW_KEYS, out);
}

static int d_values(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return view(ji, c, HN_VIEW_VALUES, out);
}

static int d_items(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return view(ji, c, HN_VIEW_ITEMS, out);
}

static int d_get(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    if (!hn_jv_hashable(c->argv[0]))
        return hn_ji_fail(ji, "a %s cannot be the key of a dict", hn_jv_type_name(c->argv[0]));
    const struct hn_jv *v = hn_jdict_get(c->self.dict, c->argv[0]);
    *out = v ? *v : c->argv[1].kind ? c->argv[1] : hn_jv_none();
    return 0;
}

static int d_copy(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    if (hn_jv_dict(ji, out))
        return ji->code;
    for (size_t i = 0; i < c->self.dict->n; i++)
        if (hn_jdict_set(ji, out->dict, c->self.dict->pairs[i].key, c->self.dict->pairs[i].value))
            return ji->code;
    return hn_ji_step(ji, c->self.dict->n * 64);
}

static int d_fromkeys(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv keys, value = c->argv[1].kind ? c->argv[1] : hn_jv_none();
    if (hn_ji_list_of(ji, c->argv[0], HN_JV_LIST, &keys) || hn_jv_dict(ji, out))
        return ji->code;
    for (size_t i = 0; i < keys.list->n; i++)
        if (hn_jdict_set(ji, out->dict, keys.list->v[i], value))
            return ji->code;
    return 0;
}

static const struct hn_jbuiltin dict_methods[] = {
    {"keys", d_keys, "-"},
    {"values", d_values, "-"},
    {"items", d_items, "-"},
    {"get", d_get, "-key | default"},
    {"copy", d_copy, "-"},
    {"fromkeys", d_fromkeys, "-keys | value"},
    {0},
};

/* ---- list, tuple, range ---- */

static int l_copy(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return hn_ji_list_of(ji, c->self, HN_JV_LIST, out);
}

static int l_count(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    int64_t n = 0;
    struct hn_jv all;
    if (hn_ji_list_of(ji, c->self, HN_JV_LIST, &all))
        return ji->code;
    for (size_t i = 0; i < all.list->n; i++) {
        bool same;
        if (hn_jv_equal(ji, all.list->v[i], c->argv[0], &same))
            return ji->code;
        n += same;
    }
    *out = hn_jv_int(n);
    return 0;
}

static int l_index(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv all;
    int64_t start = 0, stop = INT64_MAX;
    if (hn_ji_list_of(ji, c->self, HN_JV_LIST, &all) ||
        (c->argv[1].kind && hn_ji_want_int(ji, c->argv[1], "the start of index", &start)) ||
        (c->argv[2].kind && hn_ji_want_int(ji, c->argv[2], "the end of index", &stop)))
        return ji->code;
    int64_t n = (int64_t)all.list->n;
    start = start < 0 ? HN_MAX(start + n, 0) : start;
    stop = stop < 0 ? HN_MAX(stop + n, 0) : HN_MIN(stop, n);
    for (int64_t i = start; i < stop; i++) {
        bool same;
        if (hn_jv_equal(ji, all.list->v[i], c->argv[0], &same))
            return ji->code;
        if (same) {
            *out = hn_jv_int(i);
            return 0;
        }
    }
    return hn_ji_fail(ji, "the value is not in the %s", hn_jv_type_name(c->self));
}

static const struct hn_jbuiltin list_methods[] = {
    {"copy", l_copy, "-"},
    {"count", l_count, "-value"},
    {"index", l_index, "-value | start stop"},
    {0},
};
static const struct hn_jbuiltin tuple_methods[] = {
    {"count", l_count, "-value"},
    {"index", l_index, "-value | start stop"},
    {0},
};

/* ---- numbers ---- */

static int n_is_integer(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    double f = c->self.f;
    *out = hn_jv_bool(f - f == 0 && f == (f < 0 ? -1 : 1) * (double)(uint64_t)(f < 0 ? -f : f));
    if (f > 9e15 || f < -9e15) /* every such double is an integer, unless it is infinite */
        *out = hn_jv_bool(f - f == 0);
    return 0;
}

static int n_bit_length(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    int64_t i = hn_jv_as_int(c->self), n = 0;
    (void)ji;
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
        n++;
    *out = hn_jv_int(n);
    return 0;
}

static int n_self(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    *out = c->self.kind == HN_JV_BOOL ? hn_jv_int(c->self.b) : c->self;
    return 0;
}

static const struct hn_jbuiltin methods_float[] = {
    {"is_integer", n_is_integer, "-"}, {"conjugate", n_self, "-"}, {0}};
static const struct hn_jbuiltin methods_int[] = {
    {"bit_length", n_bit_length, "-"}, {"conjugate", n_self, "-"}, {0}};

/* ---- loop, cycler ---- */

static int o_cycle(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    if (c->args->n_named || !c->args->n_pos)
        return hn_ji_fail(ji, "loop.cycle needs values, without names");
    *out = c->args->pos[(uint64_t)c->self.loop->index0 % c->args->n_pos];
    return 0;
}

static int o_changed(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv now;
    bool same = false;
    if (c->args->n_named)
        return hn_ji_fail(ji, "loop.changed takes no named arguments");
    if (hn_jv_list(ji, HN_JV_TUPLE, c->args->n_pos, &now))
        return ji->code;
    for (size_t i = 0; i < c->args->n_pos; i++)
        now.list->v[now.list->n++] = c->args->pos[i];
    if (c->self.loop->changed.kind && hn_jv_equal(ji, c->self.loop->changed, now, &same))
        return ji->code;
    c->self.loop->changed = now;
    *out = hn_jv_bool(!same);
    return 0;
}

static int c_next(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jcycler *y = c->self.cycler;
    (void)ji;
    *out = y->items.v[y->pos];
    y->pos = (y->pos + 1) % y->items.n;
    return 0;
}

static int c_reset(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    c->self.cycler->pos = 0;
    *out = hn_jv_none();
    return 0;
}

static const struct hn_jbuiltin methods_loop[] = {
    {"cycle", o_cycle, NULL}, {"changed", o_changed, NULL}, {0}};
static const struct hn_jbuiltin methods_cycler[] = {
    {"next", c_next, "-"}, {"reset", c_reset, "-"}, {0}};

/* ---- lookup ---- */

static const struct hn_jbuiltin *in_table(const struct hn_jbuiltin *t, struct hn_str name)
{
    for (; t->name; t++)
        if (hn_str_is(name, t->name))
            return t;
    return NULL;
}

const struct hn_jbuiltin *hn_ji_find_method(enum hn_jv_kind kind, struct hn_str name)
{
    const struct hn_jbuiltin *b;
    switch (kind) {
    case HN_JV_STR:
        b = in_table(hn_jmethods_str, name);
        return b ? b : in_table(hn_jmethods_str2, name);
    case HN_JV_DICT:
        return in_table(dict_methods, name);
    case HN_JV_LIST:
        return in_table(list_methods, name);
    case HN_JV_TUPLE:
    case HN_JV_RANGE:
        return in_table(tuple_methods, name);
    case HN_JV_BOOL:
    case HN_JV_INT:
        return in_table(methods_int, name);
    case HN_JV_FLOAT:
        return in_table(methods_float, name);
    case HN_JV_LOOP:
        return in_table(methods_loop, name);
    case HN_JV_CYCLER:
        return in_table(methods_cycler, name);
    default:
        return NULL;
    }
}

const struct hn_jbuiltin *hn_ji_find_filter(struct hn_str name)
{
    const struct hn_jbuiltin *b = in_table(hn_jfilters_text, name);
    if (!b)
        b = in_table(hn_jfilters_seq, name);
    return b ? b : in_table(hn_jfilters_num, name);
}
