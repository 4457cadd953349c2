/* Python's binary operators over the values of templates. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_number.h"
#include "jinja/jinja_text.h"

#include <string.h>

static const char *op_text(int op)
{
    switch (op) {
    case '+':
        return "+";
    case '-':
        return "-";
    case '*':
        return "*";
    case '/':
        return "/";
    case '%':
        return "%";
    case HN_JTOK_POW:
        return "**";
    default:
        return "//";
    }
}

static int join(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    size_t n;
    if (a.safe != b.safe) { /* Markup escapes what is added to it */
        if (hn_ji_escape(ji, a.safe ? b : a, a.safe ? &b : &a))
            return ji->code;
    }
    if (hn_add_overflows(a.s->n, b.s->n, &n))
        return hn_ji_no_memory(ji);
    char *p = hn_ji_alloc(ji, n + 1, 1);
    if (!p || hn_ji_step(ji, n))
        return ji->code;
    memcpy(p, a.s->p, a.s->n);
    memcpy(p + a.s->n, b.s->p, b.s->n);
    if (hn_jv_str_view(ji->arena, p, n, out))
        return hn_ji_no_memory(ji);
    out->safe = a.safe;
    return 0;
}

static int join_lists(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    size_t n = a.list->n + b.list->n;
    if (hn_ji_step(ji, n * 16) || hn_jv_list(ji, a.kind, n, out))
        return ji->code;
    if (a.list->n)
        memcpy(out->list->v, a.list->v, a.list->n * sizeof *a.list->v);
    if (b.list->n)
        memcpy(out->list->v + a.list->n, b.list->v, b.list->n * sizeof *b.list->v);
    out->list->n = n;
    return 0;
}

static int repeat(struct hn_ji *ji, struct hn_jv v, struct hn_jv times, struct hn_jv *out)
{
    size_t unit = v.kind == HN_JV_STR ? v.s->n : v.list->n, n;
    if (times.kind == HN_JV_BIG && !hn_jnum_is_negative(times) && unit)
        return hn_ji_no_memory(ji);
    int64_t k = times.kind == HN_JV_BIG ? 0 : hn_jv_as_int(times);
    k = k < 0 || !unit ? 0 : k;
    if (hn_mul_overflows(unit, (size_t)k, &n) || n > HN_JINJA_MAX_MEMORY)
        return hn_ji_fail(ji, "a repeated value needs more than %d MiB of memory",
                          HN_JINJA_MAX_MEMORY >> 20);
    if (hn_ji_step(ji, v.kind == HN_JV_STR ? n : n * 16))
        return ji->code;
    if (v.kind == HN_JV_STR) {
        char *p = hn_ji_alloc(ji, n + 1, 1);
        if (!p)
            return ji->code;
        for (int64_t i = 0; i < k; i++)
            memcpy(p + (size_t)i * unit, v.s->p, unit);
        bool safe = v.safe;
        if (hn_jv_str_view(ji->arena, p, n, out))
            return hn_ji_no_memory(ji);
        out->safe = safe;
        return 0;
    }
    if (hn_jv_list(ji, v.kind, n, out))
        return ji->code;
    for (int64_t i = 0; i < k; i++)
        memcpy(out->list->v + (size_t)i * unit, v.list->v, unit * sizeof *v.list->v);
    out->list->n = n;
    return 0;
}

static bool is_sequence(struct hn_jv v)
{
    return v.kind == HN_JV_STR || v.kind == HN_JV_LIST || v.kind == HN_JV_TUPLE;
}

static bool is_integer(struct hn_jv v)
{
    return hn_jv_is_int(v) || v.kind == HN_JV_BIG;
}

int hn_ji_binary(struct hn_ji *ji, int op, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    if (op == '%' && a.kind == HN_JV_STR)
        return hn_ji_percent(ji, a.s, b, out);
    if (a.kind == HN_JV_UNDEF || b.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, a.kind == HN_JV_UNDEF ? a : b);
    if (hn_jv_is_number(a) && hn_jv_is_number(b))
        return hn_jnum_binary(ji, op, a, b, out);
    if (op == '+' && a.kind == HN_JV_STR && b.kind == HN_JV_STR)
        return join(ji, a, b, out);
    if (op == '+' && a.kind == b.kind && (a.kind == HN_JV_LIST || a.kind == HN_JV_TUPLE))
        return join_lists(ji, a, b, out);
    if (op == '*' && is_sequence(a) && is_integer(b))
        return repeat(ji, a, b, out);
    if (op == '*' && is_sequence(b) && is_integer(a))
        return repeat(ji, b, a, out);
    return hn_ji_fail(ji, "'%s' does not work between a %s and a %s", op_text(op),
                      hn_jv_type_name(a), hn_jv_type_name(b));
}

static int in_range(const struct hn_jrange *r, struct hn_jv item)
{
    if (!hn_jv_is_number(item) || !r->n)
        return 0;
    int64_t v;
    if (item.kind == HN_JV_FLOAT) {
        if (item.f < -9e18 || item.f > 9e18 || item.f != (double)(int64_t)item.f)
            return 0;
        v = (int64_t)item.f;
    } else if (item.kind == HN_JV_BIG) {
        return 0;
    } else {
        v = hn_jv_as_int(item);
    }
    int64_t low = HN_MIN(r->start, r->start + (r->n - 1) * r->step);
    int64_t high = HN_MAX(r->start, r->start + (r->n - 1) * r->step);
    return v >= low && v <= high && (v - r->start) % r->step == 0;
}

int hn_ji_contains(struct hn_ji *ji, struct hn_jv item, struct hn_jv in, bool *out)
{
    *out = false;
    if (in.kind == HN_JV_STR) {
        if (item.kind != HN_JV_STR)
            return item.kind == HN_JV_UNDEF
                       ? hn_ji_fail(ji,
                                    "'in' needs a string on the left of a string, not Undefined")
                       : hn_ji_fail(ji, "'in' needs a string on the left of a string, not a %s",
                                    hn_jv_type_name(item));
        struct hn_str s = {in.s->p, in.s->n}, needle = {item.s->p, item.s->n};
        *out = hn_jtext_find(s, needle, 0) != SIZE_MAX;
        return hn_ji_step(ji, s.n);
    }
    if (in.kind == HN_JV_DICT || (in.kind == HN_JV_VIEW && in.view->what == HN_VIEW_KEYS)) {
        if (!hn_jv_hashable(item))
            return hn_ji_fail(ji, "a %s cannot be the key of a dict", hn_jv_type_name(item));
        *out = hn_jdict_get(in.kind == HN_JV_DICT ? in.dict : in.view->dict, item) != NULL;
        return 0;
    }
    if (in.kind == HN_JV_RANGE) {
        *out = in_range(in.range, item);
        return 0;
    }
    if (!hn_ji_iterable(in))
        return hn_ji_fail(ji, "'in' does not work on a %s", hn_jv_type_name(in));
    struct hn_jiter *it;
    struct hn_jv v;
    int rc;
    if (hn_ji_iter(ji, in, &it))
        return ji->code;
    while (!*out && (rc = it->next(ji, it, &v)) != 0)
        if (rc < 0 || hn_ji_step(ji, 0) || hn_jv_equal(ji, v, item, out))
            return ji->code;
    return 0;
}
