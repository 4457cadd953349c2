/* Filters on numbers, and the aggregates. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_case.h"
#include "jinja/jinja_number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int f_abs(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    if (!hn_jv_is_number(v))
        return hn_ji_fail(ji, "a %s has no absolute value", hn_jv_type_name(v));
    if (v.kind == HN_JV_FLOAT)
        v.f = fabs(v.f);
    else if (hn_jnum_is_negative(v))
        return hn_jnum_negate(ji, v, out);
    *out = v.kind == HN_JV_BOOL ? hn_jv_int(v.b) : v;
    return 0;
}

/* int(float(text)), as the filter's second try */
static int int_of_float_text(struct hn_ji *ji, struct hn_jv v, struct hn_jv fallback,
                             struct hn_jv *out)
{
    double d;
    if (v.kind != HN_JV_STR || !hn_jnum_float_of((struct hn_str){v.s->p, v.s->n}, &d) ||
        !isfinite(d)) {
        *out = fallback;
        return 0;
    }
    return hn_jnum_truncate(ji, d, out);
}

static int f_int(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0], fallback = c->argv[1].kind ? c->argv[1] : hn_jv_int(0);
    bool given = c->argv[2].kind != HN_JV_MISSING, ok;
    /* A base that is no integer makes Python's int() fail, and the filter then tries float(). */
    int64_t base = !given ? 10 : hn_jv_is_int(c->argv[2]) ? hn_jv_as_int(c->argv[2]) : -1;
    switch (v.kind) {
    case HN_JV_UNDEF:
        return hn_jv_undef_fail(ji, v);
    case HN_JV_BOOL:
        *out = hn_jv_int(v.b);
        return 0;
    case HN_JV_INT:
    case HN_JV_BIG:
        *out = v;
        return 0;
    case HN_JV_FLOAT:
        if (isinf(v.f))
            return hn_ji_fail(ji, "an infinite number is not an integer");
        if (isnan(v.f)) {
            *out = fallback;
            return 0;
        }
        return hn_jnum_truncate(ji, v.f, out);
    case HN_JV_STR:
        if (hn_ji_step(ji, v.s->n * 8) ||
            hn_jnum_int_of(ji, (struct hn_str){v.s->p, v.s->n}, base, &ok, out))
            return ji->code;
        return ok ? 0 : int_of_float_text(ji, v, fallback, out);
    default:
        *out = fallback;
        return 0;
    }
}

static int f_float(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    double d;
    *out = c->argv[1].kind ? c->argv[1] : hn_jv_float(0);
    if (v.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, v);
    if (hn_jv_is_number(v)) {
        d = hn_jnum_to_double(v);
        if (v.kind == HN_JV_BIG && isinf(d))
            return hn_ji_fail(ji, "an integer is too large for a float");
        *out = hn_jv_float(d);
    } else if (v.kind == HN_JV_STR && hn_jnum_float_of((struct hn_str){v.s->p, v.s->n}, &d)) {
        *out = hn_jv_float(d);
    }
    return 0;
}

static int round_int(struct hn_ji *ji, struct hn_jv v, int64_t digits, struct hn_jv *out)
{
    struct hn_jv unit, rest, half;
    *out = v.kind == HN_JV_BOOL ? hn_jv_int(v.b) : v;
    if (digits >= 0)
        return 0;
    if (digits < -4000) {
        *out = hn_jv_int(0);
        return 0;
    }
    /* to the nearest multiple of 10^-digits, ties to the even one */
    if (hn_jnum_binary(ji, HN_JTOK_POW, hn_jv_int(10), hn_jv_int(-digits), &unit) ||
        hn_jnum_binary(ji, '%', v, unit, &rest) ||
        hn_jnum_binary(ji, HN_JTOK_FLOORDIV, unit, hn_jv_int(2), &half) ||
        hn_jnum_binary(ji, '-', v, rest, out))
        return ji->code;
    int order = hn_jnum_compare(rest, half);
    if (order == 0) {
        struct hn_jv quotient, odd;
        if (hn_jnum_binary(ji, HN_JTOK_FLOORDIV, v, unit, &quotient) ||
            hn_jnum_binary(ji, '%', quotient, hn_jv_int(2), &odd))
            return ji->code;
        order = hn_jnum_is_zero(odd) ? -1 : 1;
    }
    return order > 0 ? hn_jnum_binary(ji, '+', *out, unit, out) : 0;
}

static double round_float(double x, int64_t digits)
{
    char text[700];
    if (!isfinite(x) || digits > 323)
        return x;
    if (digits < -308)
        return copysign(0, x);
    if (digits >= 0) {
        int n = snprintf(text, sizeof text, "%.*f", (int)digits, x);
        return hn_double_parse(text, (size_t)n);
    }
    /* Round the exact digits of the integer part half to even; a fraction breaks ties upwards. */
    int n = snprintf(text + 1, sizeof text - 1, "%.0f", trunc(fabs(x)));
    int keep = n + (int)digits;
    bool fraction = fabs(x) != trunc(fabs(x));
    if (keep < 0)
        return copysign(0, x);
    char *d = text + 1;
    text[0] = '0';
    bool more = fraction;
    for (int i = keep + 1; i < n; i++)
        more = more || d[i] != '0';
    bool odd = keep > 0 && (d[keep - 1] - '0') % 2;
    bool up = d[keep] > '5' || (d[keep] == '5' && (more || odd));
    memset(d + keep, '0', (size_t)(n - keep));
    for (int i = keep - 1; up; i--) {
        up = d[i] == '9';
        d[i] = (char)(up ? '0' : d[i] + 1);
    }
    return copysign(hn_double_parse(text[0] == '0' ? d : text, (size_t)n + (text[0] != '0')), x);
}

static int round_to(struct hn_ji *ji, struct hn_jv v, int64_t digits, bool up, struct hn_jv *out)
{
    struct hn_jv factor, scaled;
    if (hn_jnum_binary(ji, HN_JTOK_POW, hn_jv_int(10), hn_jv_int(digits), &factor) ||
        hn_jnum_binary(ji, '*', v, factor, &scaled))
        return ji->code;
    if (scaled.kind == HN_JV_FLOAT) {
        if (!isfinite(scaled.f))
            return hn_ji_fail(ji, "a number that is not finite cannot be rounded");
        if (hn_jnum_truncate(ji, up ? ceil(scaled.f) : floor(scaled.f), &scaled))
            return ji->code;
    }
    return hn_jnum_binary(ji, '/', scaled, factor, out);
}

static int f_round(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0], method = c->argv[2];
    int64_t digits = 0;
    bool common = method.kind == HN_JV_MISSING || hn_jv_is_str(method, "common");
    if (!common && !hn_jv_is_str(method, "ceil") && !hn_jv_is_str(method, "floor"))
        return hn_ji_fail(ji, "the method of round must be 'common', 'ceil' or 'floor'");
    if (v.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, v);
    if (!hn_jv_is_number(v))
        return hn_ji_fail(ji, "a %s cannot be rounded", hn_jv_type_name(v));
    if (common && c->argv[1].kind == HN_JV_NONE) { /* round(x, None) gives an integer */
        if (v.kind != HN_JV_FLOAT)
            return round_int(ji, v, 0, out);
        if (!isfinite(v.f))
            return hn_ji_fail(ji, "a number that is not finite cannot be rounded");
        return hn_jnum_truncate(ji, round_float(v.f, 0), out);
    }
    if (c->argv[1].kind && hn_ji_want_int(ji, c->argv[1], "the precision of round", &digits))
        return ji->code;
    if (!common)
        return round_to(ji, v, digits, hn_jv_is_str(method, "ceil"), out);
    if (v.kind != HN_JV_FLOAT)
        return round_int(ji, v, digits, out);
    *out = hn_jv_float(round_float(v.f, digits));
    return isinf(out->f) && isfinite(v.f) ? hn_ji_fail(ji, "a rounded value is too large") : 0;
}

static int f_sum(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jiter *it;
    struct hn_jpath path = {0};
    struct hn_jv v, total = c->argv[2].kind ? c->argv[2] : hn_jv_int(0);
    bool has_path = c->argv[1].kind > HN_JV_NONE;
    int rc;
    if (total.kind == HN_JV_STR)
        return hn_ji_fail(ji, "strings cannot be summed: use join");
    if ((has_path && hn_ji_path(ji, c->argv[1], &path)) || hn_ji_iter(ji, c->argv[0], &it))
        return ji->code;
    while ((rc = it->next(ji, it, &v)) == 1)
        if ((path.n && hn_ji_path_get(ji, &path, v, (struct hn_jv){0}, &v)) || hn_ji_step(ji, 0) ||
            hn_ji_binary(ji, '+', total, v, &total))
            return ji->code;
    if (!rc)
        *out = total;
    return rc;
}

static int best(struct hn_ji *ji, const struct hn_jcall *c, int sign, struct hn_jv *out)
{
    struct hn_jiter *it;
    struct hn_jpath path = {0};
    struct hn_jv v, key, best_key = {0};
    int rc, order;
    if ((c->argv[2].kind && hn_ji_path(ji, c->argv[2], &path)) || hn_ji_iter(ji, c->argv[0], &it))
        return ji->code;
    while ((rc = it->next(ji, it, &v)) == 1) {
        if (hn_ji_step(ji, 0) || hn_ji_path_get(ji, &path, v, (struct hn_jv){0}, &key) ||
            (!hn_jv_truth(c->argv[1]) && hn_jcase_fold(ji, key, &key)))
            return ji->code;
        if (best_key.kind != HN_JV_MISSING) {
            if (hn_jv_compare(ji, key, best_key, &order))
                return ji->code;
            if (order * sign <= 0 || order == 2)
                continue;
        }
        best_key = key;
        *out = v;
    }
    if (rc < 0)
        return rc;
    return best_key.kind ? 0 : hn_jv_undef_hint(ji, "No aggregated item, sequence was empty.", out);
}

static int f_min(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return best(ji, c, -1, out);
}

static int f_max(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return best(ji, c, 1, out);
}

const struct hn_jbuiltin hn_jfilters_num[] = {
    {"abs", f_abs, "-x"},
    {"int", f_int, "value | default base"},
    {"float", f_float, "value | default"},
    {"round", f_round, "value | precision method"},
    {"sum", f_sum, "iterable | attribute start"},
    {"min", f_min, "value | case_sensitive attribute"},
    {"max", f_max, "value | case_sensitive attribute"},
    {0},
};
