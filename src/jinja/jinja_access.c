/* x.name, x[key] and x[a:b:c], by the rules of Jinja's sandbox: an attribute first and then an item
 * (or the other way round), undefined when there is neither, and no way to what changes a list or
 * dict. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_text.h"

#include <stdio.h>
#include <string.h>

int hn_ji_want_int(struct hn_ji *ji, struct hn_jv v, const char *what, int64_t *out)
{
    if (v.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, v);
    if (!hn_jv_is_int(v))
        return hn_ji_fail(ji, "%s must be an integer%s, not a %s", what,
                          v.kind == HN_JV_BIG ? " of at most 63 bits" : "", hn_jv_type_name(v));
    *out = hn_jv_as_int(v);
    return 0;
}

int hn_ji_want_str(struct hn_ji *ji, struct hn_jv v, const char *what, const struct hn_jstr **out)
{
    if (v.kind != HN_JV_STR)
        return hn_ji_fail(ji, "%s must be a string, not a %s", what, hn_jv_type_name(v));
    *out = v.s;
    return 0;
}

static bool listed(struct hn_str name, const char *const *names)
{
    for (; *names; names++)
        if (hn_str_is(name, *names))
            return true;
    return false;
}

/* Attributes that exist in Python and that the sandbox keeps back. */
static bool unsafe(struct hn_jv obj, struct hn_str name)
{
    static const char *const list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                       "sort",   "extend", "remove", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const common[] = {
        "__class__",     "__doc__",          "__dir__",           "__eq__",
        "__format__",    "__ge__",           "__getattribute__",  "__gt__",
        "__hash__",      "__init__",         "__init_subclass__", "__le__",
        "__lt__",        "__ne__",           "__new__",           "__reduce__",
        "__reduce_ex__", "__repr__",         "__setattr__",       "__sizeof__",
        "__str__",       "__subclasshook__", "__delattr__",       NULL};
    if (obj.kind == HN_JV_NAMESPACE)
        return hn_str_is(name, "__class__");
    return (obj.kind == HN_JV_LIST && listed(name, list)) ||
           (obj.kind == HN_JV_DICT && listed(name, dict)) || listed(name, common);
}

static int method(struct hn_ji *ji, struct hn_jv self, const struct hn_jbuiltin *b,
                  struct hn_jv *out)
{
    struct hn_jmethod *m = hn_ji_alloc(ji, 1, sizeof *m);
    if (!m)
        return ji->code;
    *m = (struct hn_jmethod){self, b};
    *out = (struct hn_jv){.kind = HN_JV_METHOD, .method = m};
    return 0;
}

static int macro_attr(struct hn_ji *ji, const struct hn_jnode *n, struct hn_str name, bool *found,
                      struct hn_jv *out)
{
    *found = true;
    if (hn_str_is(name, "name")) {
        *out = hn_jv_none();
        return n->kind == HN_JN_MACRO ? hn_jv_str(ji, n->name.p, n->name.n, out) : 0;
    }
    if (hn_str_is(name, "arguments")) {
        if (hn_jv_list(ji, HN_JV_TUPLE, n->n_items, out))
            return ji->code;
        for (size_t i = 0; i < n->n_items; i++)
            if (hn_jv_str(ji, n->items[i]->name.p, n->items[i]->name.n,
                          &out->list->v[out->list->n++]))
                return ji->code;
        return 0;
    }
    if (hn_str_is(name, "caller"))
        *out = hn_jv_bool(n->param_flags & HN_MACRO_CALLER);
    else if (hn_str_is(name, "catch_kwargs"))
        *out = hn_jv_bool(n->param_flags & HN_MACRO_KWARGS);
    else if (hn_str_is(name, "catch_varargs"))
        *out = hn_jv_bool(n->param_flags & HN_MACRO_VARARGS);
    else
        *found = false;
    return 0;
}

static int range_attr(const struct hn_jrange *r, struct hn_str name, bool *found, struct hn_jv *out)
{
    *found = true;
    if (hn_str_is(name, "start"))
        *out = hn_jv_int(r->start);
    else if (hn_str_is(name, "stop"))
        *out = hn_jv_int(r->stop);
    else if (hn_str_is(name, "step"))
        *out = hn_jv_int(r->step);
    else
        *found = false;
    return 0;
}

static int number_attr(struct hn_jv v, struct hn_str name, bool *found, struct hn_jv *out)
{
    *found = true;
    bool integer = v.kind != HN_JV_FLOAT;
    if (hn_str_is(name, "real") || (integer && hn_str_is(name, "numerator")))
        *out = v.kind == HN_JV_BOOL ? hn_jv_int(v.b) : v;
    else if (hn_str_is(name, "imag"))
        *out = integer ? hn_jv_int(0) : hn_jv_float(0);
    else if (integer && hn_str_is(name, "denominator"))
        *out = hn_jv_int(1);
    else
        *found = false;
    return 0;
}

static bool special(struct hn_str name) /* __name__ */
{
    return name.n > 4 && memcmp(name.p, "__", 2) == 0 && memcmp(name.p + name.n - 2, "__", 2) == 0;
}

/* getattr(obj, name) of Python: *found false where it raises AttributeError. */
static int attribute(struct hn_ji *ji, struct hn_jv obj, struct hn_str name, bool *found,
                     struct hn_jv *out)
{
    const struct hn_jv *v;
    const struct hn_jbuiltin *b;
    *found = false;
    switch (obj.kind) {
    case HN_JV_UNDEF:
        *found = special(name); /* Python's own methods of the class, which are kept back */
        return *found ? 0 : hn_jv_undef_fail(ji, obj);
    case HN_JV_NAMESPACE:
        v = hn_jdict_get_str(obj.dict, name);
        *found = v != NULL;
        if (v)
            *out = *v;
        return 0;
    case HN_JV_LOOP:
        if (hn_ji_loop_attr(ji, obj.loop, name, found, out) || *found)
            return ji->code;
        break;
    case HN_JV_TUPLE:
        if (obj.safe && (hn_str_is(name, "grouper") || hn_str_is(name, "list"))) {
            *found = true; /* one of groupby's */
            *out = obj.list->v[hn_str_is(name, "list")];
            return 0;
        }
        break;
    case HN_JV_MACRO:
        return macro_attr(ji, obj.macro->node, name, found, out);
    case HN_JV_RANGE:
        if (range_attr(obj.range, name, found, out) || *found)
            return ji->code;
        break;
    case HN_JV_BOOL:
    case HN_JV_INT:
    case HN_JV_BIG:
    case HN_JV_FLOAT:
        if (number_attr(obj, name, found, out) || *found)
            return ji->code;
        break;
    case HN_JV_CYCLER:
        if (hn_str_is(name, "current")) {
            *found = true;
            *out = obj.cycler->items.v[obj.cycler->pos];
            return 0;
        }
        if (hn_str_is(name, "pos")) {
            *found = true;
            *out = hn_jv_int((int64_t)obj.cycler->pos);
            return 0;
        }
        break;
    case HN_JV_JOINER:
        if (hn_str_is(name, "sep") || hn_str_is(name, "used")) {
            *found = true;
            *out = hn_str_is(name, "sep") ? obj.joiner->sep : hn_jv_bool(obj.joiner->used);
            return 0;
        }
        break;
    }
    b = hn_ji_find_method(obj.kind, name);
    *found = b != NULL;
    return b ? method(ji, obj, b, out) : 0;
}

static int forbidden(struct hn_ji *ji, struct hn_jv obj, struct hn_str name, struct hn_jv *out)
{
    char hint[200];
    int n =
        snprintf(hint, sizeof hint, "the attribute '%.*s' of a %s may not be used in a template",
                 (int)HN_MIN(name.n, 60), name.p, hn_jv_type_name(obj));
    char *copy = hn_arena_dup(ji->arena, hint, (size_t)HN_MIN(n, (int)sizeof hint - 1));
    return copy ? hn_jv_undef_hint(ji, copy, out) : hn_ji_no_memory(ji);
}

static int name_value(struct hn_ji *ji, struct hn_str name, struct hn_jv *out)
{
    return hn_jv_str_view(ji->arena, name.p, name.n, out) ? hn_ji_no_memory(ji) : 0;
}

int hn_ji_getattr(struct hn_ji *ji, struct hn_jv obj, struct hn_str name, struct hn_jv *out)
{
    bool found;
    struct hn_jv key;
    if (unsafe(obj, name))
        return forbidden(ji, obj, name, out);
    if (attribute(ji, obj, name, &found, out))
        return ji->code;
    if (found && name.n && name.p[0] == '_')
        return forbidden(ji, obj, name, out);
    if (found)
        return 0;
    if (obj.kind == HN_JV_DICT) {
        const struct hn_jv *v = hn_jdict_get_str(obj.dict, name);
        if (v) {
            *out = *v;
            return 0;
        }
    }
    return name_value(ji, name, &key) ? ji->code : hn_jv_undef_of(ji, obj, key, out);
}

/* A negative index counts from the end; false when out of bounds. */
static bool position(struct hn_jv key, size_t n, size_t *out)
{
    if (!hn_jv_is_int(key))
        return false;
    int64_t i = hn_jv_as_int(key);
    if (i < 0)
        i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n)
        return false;
    *out = (size_t)i;
    return true;
}

/* obj[key] of Python: *found false where it raises TypeError or LookupError. */
static int item(struct hn_ji *ji, struct hn_jv obj, struct hn_jv key, bool *found,
                struct hn_jv *out)
{
    const struct hn_jv *v;
    size_t i;
    *found = false;
    switch (obj.kind) {
    case HN_JV_UNDEF:
        return hn_jv_undef_fail(ji, obj);
    case HN_JV_DICT:
        v = hn_jdict_get(obj.dict, key);
        *found = v != NULL;
        if (v)
            *out = *v;
        return 0;
    case HN_JV_LIST:
    case HN_JV_TUPLE:
        *found = position(key, obj.list->n, &i);
        if (*found)
            *out = obj.list->v[i];
        return 0;
    case HN_JV_RANGE:
        *found = position(key, (size_t)obj.range->n, &i);
        if (*found)
            *out = hn_jv_int(obj.range->start + (int64_t)i * obj.range->step);
        return 0;
    case HN_JV_STR:
        *found = position(key, obj.s->n_cp, &i);
        if (*found) {
            size_t start = hn_jtext_offset(obj.s, i), end = start;
            (void)hn_jtext_next(obj.s->p, obj.s->n, &end);
            if (hn_jv_str_view(ji->arena, obj.s->p + start, end - start, out))
                return hn_ji_no_memory(ji);
            out->safe = obj.safe;
            return hn_ji_step(ji, obj.s->n == obj.s->n_cp ? 0 : obj.s->n);
        }
        return 0;
    default:
        return 0;
    }
}

int hn_ji_getitem(struct hn_ji *ji, struct hn_jv obj, struct hn_jv key, struct hn_jv *out)
{
    bool found;
    if (item(ji, obj, key, &found, out) || found)
        return ji->code;
    if (key.kind == HN_JV_STR) {
        struct hn_str name = {key.s->p, key.s->n};
        if (unsafe(obj, name))
            return forbidden(ji, obj, name, out);
        if (attribute(ji, obj, name, &found, out))
            return ji->code;
        if (found)
            return name.n && name.p[0] == '_' ? forbidden(ji, obj, name, out) : 0;
    }
    return hn_jv_undef_of(ji, obj, key, out);
}

/* ---- slices ---- */

static int slice_part(struct hn_ji *ji, struct hn_jv v, bool *given, int64_t *out)
{
    *given = v.kind != HN_JV_MISSING && v.kind != HN_JV_NONE;
    if (!*given)
        return 0;
    if (v.kind == HN_JV_BIG) { /* beyond every end */
        struct hn_jv zero = hn_jv_int(0);
        int order;
        if (hn_jv_compare(ji, v, zero, &order))
            return ji->code;
        *out = order < 0 ? -INT64_MAX : INT64_MAX;
        return 0;
    }
    return hn_ji_want_int(ji, v, "a slice index", out);
}

static int64_t clamp(int64_t i, int64_t n, int64_t low, int64_t high)
{
    if (i < 0)
        i += n;
    return i < low ? low : i > high ? high : i;
}

int hn_ji_slice(struct hn_ji *ji, struct hn_jv obj, const struct hn_jv part[3], struct hn_jv *out)
{
    bool has[3];
    int64_t start = 0, stop = 0, step = 1;
    size_t len;
    if (obj.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, obj);
    bool ok = obj.kind == HN_JV_STR || obj.kind == HN_JV_LIST || obj.kind == HN_JV_TUPLE ||
              obj.kind == HN_JV_RANGE;
    if (!ok || !hn_jv_len(obj, &len))
        return hn_ji_fail(ji, "a %s cannot be sliced", hn_jv_type_name(obj));
    if (slice_part(ji, part[0], &has[0], &start) || slice_part(ji, part[1], &has[1], &stop) ||
        slice_part(ji, part[2], &has[2], &step))
        return ji->code;
    if (step == 0)
        return hn_ji_fail(ji, "the step of a slice must not be 0");
    if (step == INT64_MIN)
        step++;
    int64_t n = (int64_t)len, low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    start = has[0] ? clamp(start, n, low, high) : step < 0 ? high : low;
    stop = has[1] ? clamp(stop, n, low, high) : step < 0 ? low : high;
    int64_t count = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0)
                             : (start > stop ? (start - stop - 1) / -step + 1 : 0);
    if (hn_ji_step(ji, (size_t)count))
        return ji->code;
    if (obj.kind == HN_JV_RANGE) {
        struct hn_jrange *r = hn_ji_alloc(ji, 1, sizeof *r);
        if (!r)
            return ji->code;
        int64_t by = obj.range->step, wide;
        if (hn_mul_overflows(by, step, &wide))
            wide = INT64_MAX;
        *r = (struct hn_jrange){obj.range->start + start * by, obj.range->start + stop * by, wide,
                                count};
        *out = (struct hn_jv){.kind = HN_JV_RANGE, .range = r};
        return 0;
    }
    if (obj.kind != HN_JV_STR) {
        if (hn_jv_list(ji, obj.kind, (size_t)count, out))
            return ji->code;
        for (int64_t k = 0; k < count; k++)
            out->list->v[out->list->n++] = obj.list->v[start + k * step];
        return 0;
    }
    int rc;
    if (step == 1) {
        size_t from = hn_jtext_offset(obj.s, (size_t)start);
        size_t to = count ? hn_jtext_offset(obj.s, (size_t)(start + count)) : from;
        rc = hn_jv_str_view(ji->arena, obj.s->p + from, to - from, out) ? hn_ji_no_memory(ji) : 0;
    } else {
        struct hn_buf b;
        hn_buf_init(&b);
        for (int64_t k = 0; k < count && !ji->code; k++) {
            size_t from = hn_jtext_offset(obj.s, (size_t)(start + k * step)), to = from;
            (void)hn_jtext_next(obj.s->p, obj.s->n, &to);
            hn_buf_add(&b, obj.s->p + from, to - from);
            if (hn_ji_step(ji, obj.s->n == obj.s->n_cp ? 0 : obj.s->n))
                break;
        }
        rc = hn_jv_str_take(ji, &b, out);
    }
    out->safe = obj.safe;
    return rc;
}
