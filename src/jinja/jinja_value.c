#include "jinja/jinja_value.h"
#include "jinja/jinja_eval.h"
#include "jinja/jinja_number.h"
#include "jinja/jinja_text.h"

#include <math.h>
#include <string.h>

const char *hn_jv_type_name(struct hn_jv v)
{
    static const char *const names[] = {
        "nothing",   "Undefined", "NoneType", "bool",  "int",         "int",    "float",
        "str",       "list",      "tuple",    "dict",  "dict view",   "range",  "iterator",
        "Namespace", "function",  "method",   "Macro", "LoopContext", "Cycler", "Joiner"};
    if (v.kind == HN_JV_ITER)
        return v.iter->type_name;
    return names[v.kind];
}

/* ---- strings ---- */

int hn_jv_str_view(struct hn_arena *arena, const char *p, size_t n, struct hn_jv *out)
{
    struct hn_jstr *s = hn_arena_alloc(arena, 1, sizeof *s);
    if (!s)
        return HONE_NO_MEMORY;
    *s = (struct hn_jstr){p, n, hn_jtext_count(p, n)};
    *out = (struct hn_jv){.kind = HN_JV_STR, .s = s};
    return 0;
}

int hn_jv_str(struct hn_ji *ji, const char *p, size_t n, struct hn_jv *out)
{
    if (hn_ji_step(ji, n))
        return ji->code;
    char *copy = hn_ji_alloc(ji, n + 1, 1);
    if (!copy)
        return ji->code;
    if (n)
        memcpy(copy, p, n);
    return hn_jv_str_view(ji->arena, copy, n, out) ? hn_ji_no_memory(ji) : 0;
}

int hn_jv_cstr(struct hn_ji *ji, const char *s, struct hn_jv *out)
{
    return hn_jv_str(ji, s, strlen(s), out);
}

int hn_jv_str_take(struct hn_ji *ji, struct hn_buf *b, struct hn_jv *out)
{
    int rc = b->failed ? hn_ji_no_memory(ji) : hn_jv_str(ji, hn_buf_str(b), b->len, out);
    hn_buf_release(b);
    return rc;
}

/* ---- lists ---- */

int hn_jv_list(struct hn_ji *ji, enum hn_jv_kind kind, size_t n, struct hn_jv *out)
{
    struct hn_jlist *l = hn_ji_alloc(ji, 1, sizeof *l);
    if (!l)
        return ji->code;
    if (n && !(l->v = hn_ji_alloc(ji, n, sizeof *l->v)))
        return ji->code;
    l->cap = n;
    *out = (struct hn_jv){.kind = (uint8_t)kind, .list = l};
    return 0;
}

int hn_jv_push(struct hn_ji *ji, struct hn_jlist *l, struct hn_jv v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        struct hn_jv *more = hn_ji_alloc(ji, cap, sizeof *more);
        if (!more)
            return ji->code;
        if (l->n)
            memcpy(more, l->v, l->n * sizeof *more);
        l->v = more;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return 0;
}

int hn_jv_pair(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    if (hn_jv_list(ji, HN_JV_TUPLE, 2, out))
        return ji->code;
    out->list->v[0] = a;
    out->list->v[1] = b;
    out->list->n = 2;
    return 0;
}

/* ---- undefined ---- */

static int undefined(struct hn_ji *ji, const char *hint, const char *owner, struct hn_jv name,
                     struct hn_jv *out)
{
    struct hn_jundef *u = hn_ji_alloc(ji, 1, sizeof *u);
    if (!u)
        return ji->code;
    *u = (struct hn_jundef){hint, owner, name};
    *out = (struct hn_jv){.kind = HN_JV_UNDEF, .undef = u};
    return 0;
}

int hn_jv_undef(struct hn_ji *ji, struct hn_str name, struct hn_jv *out)
{
    struct hn_jv s;
    if (hn_jv_str_view(ji->arena, name.p, name.n, &s))
        return hn_ji_no_memory(ji);
    return undefined(ji, NULL, NULL, s, out);
}

int hn_jv_undef_of(struct hn_ji *ji, struct hn_jv obj, struct hn_jv name, struct hn_jv *out)
{
    return undefined(ji, NULL, obj.kind == HN_JV_NONE ? "None" : hn_jv_type_name(obj), name, out);
}

int hn_jv_undef_hint(struct hn_ji *ji, const char *hint, struct hn_jv *out)
{
    return undefined(ji, hint, NULL, hn_jv_none(), out);
}

int hn_jv_undef_fail(struct hn_ji *ji, struct hn_jv v)
{
    const struct hn_jundef *u = v.undef;
    if (u->hint)
        return hn_ji_fail(ji, "%s", u->hint);
    if (u->name.kind != HN_JV_STR)
        return hn_ji_fail(ji, "a %s has no such element", u->owner ? u->owner : "value");
    int n = (int)HN_MIN(u->name.s->n, 200);
    if (!u->owner)
        return hn_ji_fail(ji, "'%.*s' is undefined", n, u->name.s->p);
    return hn_ji_fail(ji, "a %s has no attribute '%.*s'", u->owner, n, u->name.s->p);
}

/* ---- from JSON ---- */

int hn_jv_from_json(struct hn_ji *ji, const struct hn_json *j, struct hn_jv *out)
{
    struct hn_jv v;
    if (hn_ji_step(ji, 0))
        return ji->code;
    switch (j->type) {
    case HN_JSON_NULL:
        *out = hn_jv_none();
        return 0;
    case HN_JSON_BOOL:
        *out = hn_jv_bool(j->boolean);
        return 0;
    case HN_JSON_INT:
        if (hn_jnum_parse_json(ji->arena, j->text, out))
            return hn_ji_fail(ji, "an integer of the input has too many digits");
        return 0;
    case HN_JSON_FLOAT:
        *out = hn_jv_float(hn_double_parse(j->text.p, j->text.n));
        return 0;
    case HN_JSON_STRING:
        return hn_jv_str_view(ji->arena, j->text.p, j->text.n, out) ? hn_ji_no_memory(ji) : 0;
    case HN_JSON_ARRAY:
        if (hn_jv_list(ji, HN_JV_LIST, j->n, out))
            return ji->code;
        for (size_t i = 0; i < j->n; i++)
            if (hn_jv_from_json(ji, &j->items[i], &v) || hn_jv_push(ji, out->list, v))
                return ji->code;
        return 0;
    case HN_JSON_OBJECT:
        if (hn_jv_dict(ji, out))
            return ji->code;
        for (size_t i = 0; i < j->n; i++) {
            struct hn_jv k;
            if (hn_jv_str_view(ji->arena, j->members[i].key.p, j->members[i].key.n, &k))
                return hn_ji_no_memory(ji);
            if (hn_jv_from_json(ji, &j->members[i].value, &v) || hn_jdict_set(ji, out->dict, k, v))
                return ji->code;
        }
        return 0;
    }
    return 0;
}

/* ---- truth, length, identity ---- */

bool hn_jv_len(struct hn_jv v, size_t *out)
{
    switch (v.kind) {
    case HN_JV_UNDEF:
        *out = 0;
        return true;
    case HN_JV_STR:
        *out = v.s->n_cp;
        return true;
    case HN_JV_LIST:
    case HN_JV_TUPLE:
        *out = v.list->n;
        return true;
    case HN_JV_DICT:
        *out = v.dict->n;
        return true;
    case HN_JV_VIEW:
        *out = v.view->dict->n;
        return true;
    case HN_JV_RANGE:
        *out = (size_t)v.range->n;
        return true;
    default:
        return false;
    }
}

bool hn_jv_truth(struct hn_jv v)
{
    size_t n;
    switch (v.kind) {
    case HN_JV_MISSING:
    case HN_JV_NONE:
        return false;
    case HN_JV_BOOL:
        return v.b;
    case HN_JV_INT:
        return v.i != 0;
    case HN_JV_FLOAT:
        return v.f != 0;
    default:
        return hn_jv_len(v, &n) ? n > 0 : true;
    }
}

bool hn_jv_same(struct hn_jv a, struct hn_jv b)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case HN_JV_NONE:
        return true;
    case HN_JV_BOOL:
        return a.b == b.b;
    case HN_JV_FLOAT:
        return memcmp(&a.f, &b.f, sizeof a.f) == 0;
    case HN_JV_STR:
        return a.s->n == b.s->n && memcmp(a.s->p, b.s->p, a.s->n) == 0;
    case HN_JV_METHOD:
        return a.method == b.method;
    default:
        return a.i == b.i;
    }
}

/* ---- comparison ---- */

static int equal_lists(struct hn_ji *ji, const struct hn_jlist *a, const struct hn_jlist *b,
                       bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        if (hn_jv_equal(ji, a->v[i], b->v[i], out))
            return ji->code;
    return 0;
}

static int equal_dicts(struct hn_ji *ji, const struct hn_jdict *a, const struct hn_jdict *b,
                       bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const struct hn_jv *other = hn_jdict_get(b, a->pairs[i].key);
        *out = other != NULL;
        if (other && hn_jv_equal(ji, a->pairs[i].value, *other, out))
            return ji->code;
    }
    return 0;
}

static bool equal_ranges(const struct hn_jrange *a, const struct hn_jrange *b)
{
    return a->n == b->n &&
           (a->n == 0 || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

int hn_jv_equal(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, bool *out)
{
    if (hn_jv_is_number(a) && hn_jv_is_number(b)) {
        *out = hn_jnum_compare(a, b) == 0;
        return 0;
    }
    *out = false;
    if (a.kind != b.kind)
        return 0;
    int rc = hn_ji_step(ji, 0);
    if (!rc)
        rc = hn_ji_enter(ji);
    if (rc)
        return rc;
    switch (a.kind) {
    case HN_JV_STR:
        *out = hn_jv_same(a, b);
        rc = hn_ji_step(ji, *out ? a.s->n : 0);
        break;
    case HN_JV_LIST:
    case HN_JV_TUPLE:
        rc = a.list == b.list ? (*out = true, 0) : equal_lists(ji, a.list, b.list, out);
        break;
    case HN_JV_DICT:
        rc = a.dict == b.dict ? (*out = true, 0) : equal_dicts(ji, a.dict, b.dict, out);
        break;
    case HN_JV_RANGE:
        *out = equal_ranges(a.range, b.range);
        break;
    case HN_JV_UNDEF:
        *out = true;
        break;
    default:
        *out = hn_jv_same(a, b);
    }
    hn_ji_leave(ji);
    return rc;
}

static int no_order(struct hn_ji *ji, struct hn_jv a, struct hn_jv b)
{
    return hn_ji_fail(ji, "a %s and a %s have no order", hn_jv_type_name(a), hn_jv_type_name(b));
}

int hn_jv_compare(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, int *out)
{
    if (hn_jv_is_number(a) && hn_jv_is_number(b)) {
        *out = hn_jnum_compare(a, b);
        return 0;
    }
    if (a.kind == HN_JV_UNDEF || b.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, a.kind == HN_JV_UNDEF ? a : b);
    if (a.kind != b.kind)
        return no_order(ji, a, b);
    if (a.kind == HN_JV_STR) {
        int c = hn_str_cmp((struct hn_str){a.s->p, a.s->n}, (struct hn_str){b.s->p, b.s->n});
        *out = (c > 0) - (c < 0);
        return hn_ji_step(ji, HN_MIN(a.s->n, b.s->n));
    }
    if (a.kind != HN_JV_LIST && a.kind != HN_JV_TUPLE)
        return no_order(ji, a, b);
    int rc = hn_ji_enter(ji);
    if (rc)
        return rc;
    size_t i = 0, n = HN_MIN(a.list->n, b.list->n);
    bool same = true;
    for (; !rc && i < n; i++) {
        rc = hn_jv_equal(ji, a.list->v[i], b.list->v[i], &same);
        if (rc || !same)
            break;
    }
    if (!rc && i < n)
        rc = hn_jv_compare(ji, a.list->v[i], b.list->v[i], out);
    else
        *out = (a.list->n > b.list->n) - (a.list->n < b.list->n);
    hn_ji_leave(ji);
    return rc;
}
