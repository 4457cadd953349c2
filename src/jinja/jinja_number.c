/* Integers are int64 until they overflow, then limbs of nine decimal digits: templates print
 * numbers, they hardly ever compute with large ones, so decimal limbs make the common operation
 * (text) cheap. */
#include "jinja/jinja_number.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_big.h"
#include "jinja/jinja_eval.h"
#include "jinja/jinja_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int keep(struct hn_ji *ji, const struct hn_jnum *x, struct hn_jv *out)
{
    if (x->n > HN_JBIG_LIMBS)
        return hn_ji_fail(ji, "an integer has more than %d digits", HN_JBIG_LIMBS * 9);
    return hn_jbig_store(ji->arena, x, out) ? hn_ji_no_memory(ji) : 0;
}

static bool parse_digits(struct hn_jnum *x, struct hn_str text, uint32_t base)
{
    x->n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '_')
            continue;
        uint32_t d = c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 32) - 'a' + 10);
        if (!hn_jbig_scale(x, base, d))
            return false;
    }
    return true;
}

static int base_of(struct hn_str text)
{
    char c = text.n > 2 && text.p[0] == '0' ? (char)(text.p[1] | 32) : 0;
    return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
}

int hn_jnum_parse_literal(struct hn_arena *arena, struct hn_str text, bool is_float,
                          struct hn_jv *out)
{
    if (is_float) {
        char plain[400];
        size_t n = 0;
        for (size_t i = 0; i < text.n; i++)
            if (text.p[i] != '_') {
                if (n == sizeof plain)
                    return HONE_FAILED;
                plain[n++] = text.p[i];
            }
        *out = hn_jv_float(hn_double_parse(plain, n));
        return 0;
    }
    struct hn_jnum x = {0};
    int base = base_of(text);
    struct hn_str digits = base ? (struct hn_str){text.p + 2, text.n - 2} : text;
    if (!parse_digits(&x, digits, base ? (uint32_t)base : 10))
        return HONE_FAILED;
    return hn_jbig_store(arena, &x, out);
}

int hn_jnum_parse_json(struct hn_arena *arena, struct hn_str text, struct hn_jv *out)
{
    struct hn_jnum x = {0};
    bool neg = text.n && text.p[0] == '-';
    if (!parse_digits(&x, (struct hn_str){text.p + neg, text.n - neg}, 10))
        return HONE_FAILED;
    x.neg = neg && x.n;
    return hn_jbig_store(arena, &x, out);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

int hn_jnum_int_of(struct hn_ji *ji, struct hn_str text, int64_t base, bool *ok, struct hn_jv *out)
{
    struct hn_str s = hn_jtext_strip(text, NULL, HN_LEFT | HN_RIGHT);
    bool neg = s.n && s.p[0] == '-';
    *ok = false;
    if (base != 0 && (base < 2 || base > 36))
        return 0;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s.p++, s.n--;
    int prefix = base_of(s);
    if (prefix && (base == 0 || base == prefix)) {
        s.p += 2, s.n -= 2, base = prefix;
        if (s.p[0] == '_')
            s.p++, s.n--;
    } else if (base == 0) {
        base = 10;
        if (s.n > 1 && s.p[0] == '0')
            for (size_t i = 1; i < s.n; i++)
                if (s.p[i] != '0' && s.p[i] != '_')
                    return 0;
    }
    if (!s.n || s.n > HN_JBIG_LIMBS * 9)
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        bool gap = s.p[i] == '_';
        if (gap && (i == 0 || i + 1 == s.n || s.p[i - 1] == '_'))
            return 0;
        if (!gap && digit_of(s.p[i]) >= base)
            return 0;
    }
    struct hn_jnum x = {0};
    if (!parse_digits(&x, s, (uint32_t)base))
        return 0;
    x.neg = neg && x.n;
    *ok = true;
    return keep(ji, &x, out);
}

bool hn_jnum_float_of(struct hn_str text, double *out)
{
    struct hn_str s = hn_jtext_strip(text, NULL, HN_LEFT | HN_RIGHT);
    char plain[512];
    size_t n = 0, i = 0, digits = 0;
    bool neg = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        i++;
    char word[10] = "";
    for (size_t k = i; k < s.n && k - i < sizeof word - 1; k++)
        word[k - i] = (char)(s.p[k] | 32), word[k - i + 1] = 0;
    if (s.n - i <= 8 &&
        (!strcmp(word, "inf") || !strcmp(word, "infinity") || !strcmp(word, "nan"))) {
        *out = word[0] == 'n' ? NAN : neg ? -INFINITY : INFINITY;
        return true;
    }
    if (neg)
        plain[n++] = '-';
    bool exponent = false, point = false;
    for (; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        if (c == '_') {
            if (!i || i + 1 >= s.n || s.p[i - 1] < '0' || s.p[i - 1] > '9' || s.p[i + 1] < '0' ||
                s.p[i + 1] > '9')
                return false;
            continue;
        }
        if (c == '.' && !point && !exponent) {
            point = true;
        } else if ((c | 32) == 'e' && digits && !exponent) {
            exponent = true;
            digits = 0;
            if (i + 1 < s.n && (s.p[i + 1] == '+' || s.p[i + 1] == '-')) {
                if (n + 2 >= sizeof plain)
                    return false;
                plain[n++] = 'e';
                c = s.p[++i];
            }
        } else if (!digit) {
            return false;
        }
        digits += digit;
        if (n + 1 >= sizeof plain)
            return false;
        plain[n++] = c;
    }
    if (!digits)
        return false;
    *out = hn_double_parse(plain, n);
    return true;
}

double hn_jnum_to_double(struct hn_jv v)
{
    if (v.kind == HN_JV_FLOAT)
        return v.f;
    if (v.kind != HN_JV_BIG)
        return (double)hn_jv_as_int(v);
    struct hn_buf text;
    hn_buf_init(&text);
    hn_jnum_add_text(&text, v);
    double d = text.failed ? NAN : hn_double_parse(hn_buf_str(&text), text.len);
    hn_buf_release(&text);
    return d;
}

/* The integer part of f, exactly: 53 bits, then doublings. */
static bool from_double(struct hn_jnum *x, double f)
{
    int exponent;
    double m = frexp(fabs(trunc(f)), &exponent);
    uint64_t bits = (uint64_t)ldexp(m, 53);
    exponent -= 53;
    for (; exponent < 0 && bits; exponent++)
        bits >>= 1;
    hn_jbig_load(x, hn_jv_int((int64_t)bits));
    for (; exponent > 0 && x->n; exponent--)
        if (!hn_jbig_scale(x, 2, 0))
            return false;
    x->neg = f < 0 && x->n;
    return true;
}

int hn_jnum_truncate(struct hn_ji *ji, double f, struct hn_jv *out)
{
    struct hn_jnum x;
    if (!from_double(&x, f))
        return hn_ji_fail(ji, "an integer has more than %d digits", HN_JBIG_LIMBS * 9);
    return keep(ji, &x, out);
}

bool hn_jnum_is_zero(struct hn_jv v)
{
    return v.kind == HN_JV_FLOAT ? v.f == 0 : v.kind != HN_JV_BIG && hn_jv_as_int(v) == 0;
}

bool hn_jnum_is_negative(struct hn_jv v)
{
    return v.kind == HN_JV_FLOAT ? v.f < 0 : v.kind == HN_JV_BIG ? v.big->neg : hn_jv_as_int(v) < 0;
}

int hn_jnum_compare(struct hn_jv a, struct hn_jv b)
{
    if (a.kind == HN_JV_FLOAT && b.kind == HN_JV_FLOAT)
        return isnan(a.f) || isnan(b.f) ? 2 : (a.f > b.f) - (a.f < b.f);
    if (hn_jv_is_int(a) && hn_jv_is_int(b)) {
        int64_t x = hn_jv_as_int(a), y = hn_jv_as_int(b);
        return (x > y) - (x < y);
    }
    if (b.kind == HN_JV_FLOAT) {
        int c = hn_jnum_compare(b, a);
        return c == 2 ? 2 : -c;
    }
    struct hn_jnum x, y;
    hn_jbig_load(&y, b);
    if (a.kind != HN_JV_FLOAT) {
        hn_jbig_load(&x, a);
        return hn_jbig_compare(&x, &y);
    }
    if (isnan(a.f))
        return 2;
    if (isinf(a.f))
        return a.f < 0 ? -1 : 1;
    if (!from_double(&x, a.f))
        return a.f < 0 ? -1 : 1;
    int c = hn_jbig_compare(&x, &y);
    double rest = a.f - trunc(a.f);
    return c ? c : (rest > 0) - (rest < 0);
}

uint64_t hn_jnum_hash(struct hn_jv v)
{
    if (hn_jv_is_int(v)) {
        int64_t i = hn_jv_as_int(v);
        return hn_hash(&i, sizeof i);
    }
    double d = hn_jnum_to_double(v);
    if (d == trunc(d) && fabs(d) < 9.2e18) {
        int64_t i = (int64_t)d;
        return hn_hash(&i, sizeof i);
    }
    return hn_hash(&d, sizeof d);
}

void hn_jnum_add_text(struct hn_buf *out, struct hn_jv v)
{
    char text[32];
    if (v.kind == HN_JV_FLOAT) {
        hn_double_repr(v.f, text);
        hn_buf_add_str(out, text);
    } else if (v.kind != HN_JV_BIG) {
        hn_buf_printf(out, "%lld", (long long)hn_jv_as_int(v));
    } else {
        hn_buf_printf(out, "%s%u", v.big->neg ? "-" : "", v.big->limb[v.big->n - 1]);
        for (uint32_t k = v.big->n - 1; k-- > 0;)
            hn_buf_printf(out, "%09u", v.big->limb[k]);
    }
}

/* ---- arithmetic ---- */

static int by_zero(struct hn_ji *ji)
{
    return hn_ji_fail(ji, "division by zero");
}

static int float_power(struct hn_ji *ji, double x, double y, struct hn_jv *out)
{
    if (x == 0 && y < 0)
        return hn_ji_fail(ji, "0.0 cannot be raised to a negative power");
    if (x < 0 && isfinite(x) && isfinite(y) && y != floor(y))
        return hn_ji_fail(
            ji, "a negative number raised to a fraction is complex, which is not supported");
    double r = pow(x, y);
    if (isinf(r) && isfinite(x) && isfinite(y))
        return hn_ji_fail(ji, "the result of a power is too large");
    *out = hn_jv_float(r);
    return 0;
}

static int float_binary(struct hn_ji *ji, int op, double x, double y, struct hn_jv *out)
{
    double mod, div;
    switch (op) {
    case '+':
        *out = hn_jv_float(x + y);
        return 0;
    case '-':
        *out = hn_jv_float(x - y);
        return 0;
    case '*':
        *out = hn_jv_float(x * y);
        return 0;
    case HN_JTOK_POW:
        return float_power(ji, x, y, out);
    }
    if (y == 0)
        return by_zero(ji);
    if (op == '/') {
        *out = hn_jv_float(x / y);
        return 0;
    }
    mod = fmod(x, y);
    div = (x - mod) / y;
    if (mod != 0) {
        if ((y < 0) != (mod < 0))
            mod += y, div -= 1;
    } else {
        mod = copysign(0, y);
    }
    if (op == '%') {
        *out = hn_jv_float(mod);
        return 0;
    }
    double f = div != 0 ? floor(div) : copysign(0, x / y);
    *out = hn_jv_float(div != 0 && div - f > 0.5 ? f + 1 : f);
    return 0;
}

static int int_power(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    if (hn_jnum_is_negative(b))
        return float_power(ji, hn_jnum_to_double(a), hn_jnum_to_double(b), out);
    struct hn_jnum result = {.n = 1, .limb = {1}}, factor, t;
    hn_jbig_load(&factor, a);
    if (factor.n == 0 || (factor.n == 1 && factor.limb[0] == 1)) {
        bool odd = b.kind == HN_JV_BIG ? b.big->limb[0] & 1 : hn_jv_as_int(b) & 1;
        bool zero = factor.n == 0 && !hn_jnum_is_zero(b);
        *out = hn_jv_int(zero ? 0 : factor.n && factor.neg && odd ? -1 : 1);
        return 0;
    }
    if (b.kind == HN_JV_BIG)
        return hn_ji_fail(ji, "the result of a power is too large");
    for (int64_t e = hn_jv_as_int(b); e; e >>= 1) {
        if (e & 1) {
            if (!hn_jbig_multiply(&t, &result, &factor))
                return hn_ji_fail(ji, "the result of a power is too large");
            result = t;
        }
        if (e > 1) {
            if (!hn_jbig_multiply(&t, &factor, &factor))
                return hn_ji_fail(ji, "the result of a power is too large");
            factor = t;
        }
    }
    return keep(ji, &result, out);
}

/* int64 where nothing overflows; false: take the long way */
static bool quick(int op, int64_t x, int64_t y, struct hn_jv *out)
{
    int64_t r = 0;
    bool fits = op == '+'   ? !hn_add_overflows(x, y, &r)
                : op == '-' ? y != INT64_MIN && !hn_add_overflows(x, -y, &r)
                            : op == '*' && !hn_mul_overflows(x, y, &r);
    if (fits)
        *out = hn_jv_int(r);
    return fits;
}

/* a / b rounded once, as Python does it: 62 bits or more of the quotient, a sticky bit for the
 * rest. */
static int true_division(struct hn_ji *ji, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    struct hn_jnum x, y, q, rest;
    hn_jbig_load(&x, a);
    hn_jbig_load(&y, b);
    bool negative = x.neg != y.neg;
    if (!x.n) {
        *out = hn_jv_float(negative ? -0.0 : 0.0);
        return 0;
    }
    x.neg = y.neg = false;
    int k = (int)(63 - (hn_jbig_log2(&x) - hn_jbig_log2(&y)));
    if (k < -4000 || k > 4000 || !hn_jbig_shift(k > 0 ? &x : &y, k > 0 ? k : -k) ||
        hn_ji_step(ji, (size_t)x.n * y.n * 4))
        return hn_ji_fail(ji, "the operands of a division are too large");
    hn_jbig_divide_size(&x, &y, &q, &rest);
    uint64_t bits = 0;
    for (uint32_t i = q.n; i-- > 0;)
        bits = bits * HN_JBIG_BASE + q.limb[i];
    int drop = 0;
    bool sticky = rest.n > 0;
    while (bits >> drop >= (uint64_t)1 << 53)
        drop++;
    uint64_t kept = bits >> drop, low = bits & (((uint64_t)1 << drop) - 1);
    uint64_t half = drop ? (uint64_t)1 << (drop - 1) : 1;
    if (low > half || (low == half && (sticky || kept & 1)))
        kept++;
    double f = ldexp((double)kept, drop - k);
    *out = hn_jv_float(negative ? -f : f);
    return isinf(f) ? hn_ji_fail(ji, "the result of a division is too large") : 0;
}

int hn_jnum_binary(struct hn_ji *ji, int op, struct hn_jv a, struct hn_jv b, struct hn_jv *out)
{
    if (a.kind == HN_JV_FLOAT || b.kind == HN_JV_FLOAT)
        return float_binary(ji, op, hn_jnum_to_double(a), hn_jnum_to_double(b), out);
    bool both = hn_jv_is_int(a) && hn_jv_is_int(b);
    if (both && quick(op, hn_jv_as_int(a), hn_jv_as_int(b), out))
        return 0;
    if (op == HN_JTOK_POW)
        return int_power(ji, a, b, out);
    if (op == '/' || op == '%' || op == HN_JTOK_FLOORDIV) {
        if (hn_jnum_is_zero(b))
            return by_zero(ji);
        if (op == '/')
            return true_division(ji, a, b, out);
        int64_t x = hn_jv_as_int(a), y = hn_jv_as_int(b);
        if (both && y != -1) {
            int64_t q = x / y, r = x % y;
            if (r && (r < 0) != (y < 0))
                q--, r += y;
            *out = hn_jv_int(op == '%' ? r : q);
            return 0;
        }
    }
    struct hn_jnum x, y, r, rest;
    hn_jbig_load(&x, a);
    hn_jbig_load(&y, b);
    if (hn_ji_step(ji, (size_t)x.n * y.n / 8))
        return ji->code;
    if (op == '*') {
        if (!hn_jbig_multiply(&r, &x, &y))
            return hn_ji_fail(ji, "an integer has more than %d digits", HN_JBIG_LIMBS * 9);
    } else if (op == '+' || op == '-') {
        y.neg = op == '-' ? !y.neg && y.n : y.neg;
        hn_jbig_add(&r, &x, &y);
    } else {
        if (hn_ji_step(ji, (size_t)x.n * y.n * 4))
            return ji->code;
        hn_jbig_divide(&x, &y, &r, &rest);
        return keep(ji, op == '%' ? &rest : &r, out);
    }
    return keep(ji, &r, out);
}

int hn_jnum_negate(struct hn_ji *ji, struct hn_jv a, struct hn_jv *out)
{
    if (a.kind == HN_JV_FLOAT) {
        *out = hn_jv_float(-a.f);
        return 0;
    }
    return hn_jnum_binary(ji, '-', hn_jv_int(0), a, out);
}
