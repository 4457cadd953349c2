/* The tests: what may follow `is`. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_case.h"

static int answer(struct hn_jv *out, bool b)
{
    *out = hn_jv_bool(b);
    return 0;
}

static int t_defined(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind != HN_JV_UNDEF);
}

static int t_undefined(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_UNDEF);
}

static int t_none(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_NONE);
}

static int t_boolean(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_BOOL);
}

static int t_true(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_BOOL && c->argv[0].b);
}

static int t_false(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_BOOL && !c->argv[0].b);
}

static int t_integer(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_INT || c->argv[0].kind == HN_JV_BIG);
}

static int t_float(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_FLOAT);
}

static int t_number(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, hn_jv_is_number(c->argv[0]));
}

static int t_string(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_STR);
}

static int t_mapping(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_DICT);
}

static int t_iterable(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, hn_ji_iterable(c->argv[0]) || c->argv[0].kind == HN_JV_LOOP);
}

static int t_sequence(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    int k = c->argv[0].kind;
    (void)ji;
    /* has a length and items by number or key; Undefined has neither item */
    return answer(out, k == HN_JV_STR || k == HN_JV_LIST || k == HN_JV_TUPLE || k == HN_JV_DICT ||
                           k == HN_JV_RANGE || k == HN_JV_UNDEF);
}

static int t_callable(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    int k = c->argv[0].kind;
    (void)ji;
    return answer(out, k == HN_JV_FUNC || k == HN_JV_METHOD || k == HN_JV_MACRO ||
                           k == HN_JV_LOOP || k == HN_JV_JOINER || k == HN_JV_UNDEF);
}

static int t_escaped(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, c->argv[0].kind == HN_JV_STR && c->argv[0].safe);
}

static int t_sameas(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)ji;
    return answer(out, hn_jv_same(c->argv[0], c->argv[1]));
}

static int t_in(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    bool b;
    return hn_ji_contains(ji, c->argv[0], c->argv[1], &b) ? ji->code : answer(out, b);
}

static int case_test(struct hn_ji *ji, const struct hn_jcall *c, bool upper, struct hn_jv *out)
{
    struct hn_jv s;
    if (hn_jv_to_str(ji, c->argv[0], &s))
        return ji->code;
    return answer(out, s.kind == HN_JV_STR && hn_jcase_is(s.s, upper));
}

static int t_lower(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_test(ji, c, false, out);
}

static int t_upper(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_test(ji, c, true, out);
}

/* value % num == rest */
static int remainder_is(struct hn_ji *ji, struct hn_jv value, struct hn_jv num, int64_t rest,
                        struct hn_jv *out)
{
    struct hn_jv r;
    bool same;
    if (hn_ji_binary(ji, '%', value, num, &r) || hn_jv_equal(ji, r, hn_jv_int(rest), &same))
        return ji->code;
    return answer(out, same);
}

static int t_odd(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return remainder_is(ji, c->argv[0], hn_jv_int(2), 1, out);
}

static int t_even(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return remainder_is(ji, c->argv[0], hn_jv_int(2), 0, out);
}

static int t_divisibleby(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return remainder_is(ji, c->argv[0], c->argv[1], 0, out);
}

static int t_filter(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    if (!hn_jv_hashable(v))
        return hn_ji_fail(ji, "a %s is no name of a filter", hn_jv_type_name(v));
    return answer(out, v.kind == HN_JV_STR && hn_ji_find_filter((struct hn_str){v.s->p, v.s->n}));
}

static int t_test(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    if (!hn_jv_hashable(v))
        return hn_ji_fail(ji, "a %s is no name of a test", hn_jv_type_name(v));
    return answer(out, v.kind == HN_JV_STR && hn_ji_find_test((struct hn_str){v.s->p, v.s->n}));
}

static int t_eq(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    bool b;
    return hn_jv_equal(ji, c->argv[0], c->argv[1], &b) ? ji->code : answer(out, b);
}

static int t_ne(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    bool b;
    return hn_jv_equal(ji, c->argv[0], c->argv[1], &b) ? ji->code : answer(out, !b);
}

static int order(struct hn_ji *ji, const struct hn_jcall *c, int want, bool or_equal,
                 struct hn_jv *out)
{
    int o;
    if (hn_jv_compare(ji, c->argv[0], c->argv[1], &o))
        return ji->code;
    if (o == 2)
        return answer(out, false);
    return answer(out, (want < 0 ? o < 0 : o > 0) || (or_equal && o == 0));
}

static int t_lt(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return order(ji, c, -1, false, out);
}

static int t_le(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return order(ji, c, -1, true, out);
}

static int t_gt(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return order(ji, c, 1, false, out);
}

static int t_ge(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return order(ji, c, 1, true, out);
}

static const struct hn_jbuiltin tests[] = {
    {"defined", t_defined, "value"},
    {"undefined", t_undefined, "value"},
    {"none", t_none, "value"},
    {"boolean", t_boolean, "value"},
    {"true", t_true, "value"},
    {"false", t_false, "value"},
    {"integer", t_integer, "value"},
    {"float", t_float, "value"},
    {"number", t_number, "value"},
    {"string", t_string, "value"},
    {"mapping", t_mapping, "value"},
    {"iterable", t_iterable, "value"},
    {"sequence", t_sequence, "value"},
    {"callable", t_callable, "-obj"},
    {"escaped", t_escaped, "value"},
    {"sameas", t_sameas, "value other"},
    {"in", t_in, "value seq"},
    {"lower", t_lower, "value"},
    {"upper", t_upper, "value"},
    {"odd", t_odd, "value"},
    {"even", t_even, "value"},
    {"divisibleby", t_divisibleby, "value num"},
    {"filter", t_filter, "value"},
    {"test", t_test, "value"},
    {"==", t_eq, "-a b"},
    {"eq", t_eq, "-a b"},
    {"equalto", t_eq, "-a b"},
    {"!=", t_ne, "-a b"},
    {"ne", t_ne, "-a b"},
    {"<", t_lt, "-a b"},
    {"lt", t_lt, "-a b"},
    {"lessthan", t_lt, "-a b"},
    {"<=", t_le, "-a b"},
    {"le", t_le, "-a b"},
    {">", t_gt, "-a b"},
    {"gt", t_gt, "-a b"},
    {"greaterthan", t_gt, "-a b"},
    {">=", t_ge, "-a b"},
    {"ge", t_ge, "-a b"},
    {0},
};

const struct hn_jbuiltin *hn_ji_find_test(struct hn_str name)
{
    for (const struct hn_jbuiltin *t = tests; t->name; t++)
        if (hn_str_is(name, t->name))
            return t;
    return NULL;
}
