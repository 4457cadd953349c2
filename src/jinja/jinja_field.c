#include "jinja/jinja_field.h"
#include "jinja/jinja_number.h"
#include "jinja/jinja_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hn_jfield_bad(struct hn_ji *ji, const char *what)
{
    return hn_ji_fail(ji, "a text cannot be formatted: %s", what);
}

/* ---- fields ---- */

/* Digits of an integer in a base, without sign. */
static int add_digits(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, int base, bool upper)
{
    if (base == 10) {
        struct hn_buf t;
        hn_buf_init(&t);
        hn_jnum_add_text(&t, v.kind == HN_JV_BOOL ? hn_jv_int(v.b) : v);
        const char *p = hn_buf_str(&t);
        hn_buf_add_str(out, p + (*p == '-'));
        hn_buf_release(&t);
        return 0;
    }
    if (v.kind == HN_JV_BIG)
        return hn_jfield_bad(ji, "an integer of more than 63 bits is written in base 10 only");
    char text[70], *p = text + sizeof text - 1;
    int64_t i = hn_jv_as_int(v);
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    *p = 0;
    do {
        *--p = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[u % (uint64_t)base];
        u /= (uint64_t)base;
    } while (u);
    hn_buf_add_str(out, p);
    return 0;
}

/* The text of |f| as C's printf writes it, with a point whatever the locale. */
static void add_c_float(struct hn_buf *out, double f, char type, int precision, bool alternate)
{
    char fmt[8] = {'%', '.', '*', type, 0}, text[700];
    if (alternate)
        memcpy(fmt, (char[]){'%', '#', '.', '*', type, 0}, 6);
    int n = snprintf(text, sizeof text, fmt, precision, f);
    for (int i = 0; i < n && i < (int)sizeof text; i++)
        hn_buf_add_char(out, text[i] == ',' ? '.' : text[i]);
}

/* The text of f >= 0 with `precision` digits as format() writes it without a type: as 'g', but with
 * a point always, and an exponent one digit earlier. */
static void add_short_float(struct hn_buf *out, double f, int precision)
{
    char text[700];
    int n = snprintf(text, sizeof text, "%.*e", precision - 1, f);
    const char *e = strchr(text, 'e');
    int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    size_t start = out->len;
    if (exponent >= -4 && exponent < precision - 1) {
        add_c_float(out, f, 'g', precision, false);
        if (!out->failed && !strpbrk(out->data + start, ".e"))
            hn_buf_add_str(out, ".0");
        return;
    }
    size_t digits = e ? (size_t)(e - text) : (size_t)n;
    if (memchr(text, '.', digits) || memchr(text, ',', digits))
        while (digits &&
               (text[digits - 1] == '0' || text[digits - 1] == '.' || text[digits - 1] == ','))
            if (text[--digits] != '0')
                break;
    for (size_t i = 0; i < digits; i++)
        hn_buf_add_char(out, text[i] == ',' ? '.' : text[i]);
    hn_buf_add_str(out, e ? e : "");
}

static void group(struct hn_buf *out, const char *digits, char comma)
{
    size_t n = strspn(digits, "0123456789");
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            hn_buf_add_char(out, comma);
        hn_buf_add_char(out, digits[i]);
    }
    hn_buf_add_str(out, digits + n);
}

static void add_fill(struct hn_buf *out, struct hn_str fill, int64_t n)
{
    for (; n > 0; n--)
        hn_buf_add(out, fill.p, fill.n);
}

/* prefix (sign, 0x) and body, padded to the width */
void hn_jfield_put(struct hn_buf *out, const struct hn_jfield *s, char align, const char *prefix,
                   const char *body, size_t n)
{
    int64_t have = (int64_t)(strlen(prefix) + hn_jtext_count(body, n)), gap = s->width - have;
    char a = s->align ? s->align : s->zero ? '=' : align;
    struct hn_str fill = s->fill.n ? s->fill : (struct hn_str){s->zero ? "0" : " ", 1};
    gap = gap < 0 ? 0 : gap;
    if (a == '>' || a == '^')
        add_fill(out, fill, a == '^' ? gap / 2 : gap);
    hn_buf_add_str(out, prefix);
    if (a == '=')
        add_fill(out, fill, gap);
    hn_buf_add(out, body, n);
    if (a == '<' || a == '^')
        add_fill(out, fill, a == '^' ? gap - gap / 2 : gap);
}

static const char *sign_of(const struct hn_jfield *s, bool negative)
{
    return negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
}

int hn_jfield_integer(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                      struct hn_jv v)
{
    struct hn_buf digits, body;
    char prefix[8];
    int base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    hn_buf_init(&digits);
    hn_buf_init(&body);
    int rc = add_digits(ji, &digits, v, base, s->type == 'X');
    for (int64_t n = (int64_t)digits.len; n < s->precision; n++)
        hn_buf_add_char(&body, '0');
    if (s->comma)
        group(&body, hn_buf_str(&digits), s->comma);
    else
        hn_buf_add_str(&body, hn_buf_str(&digits));
    snprintf(prefix, sizeof prefix, "%s%s", sign_of(s, hn_jnum_is_negative(v)),
             !s->alternate || base == 10 ? ""
             : s->type == 'X'            ? "0X"
             : base == 16                ? "0x"
             : base == 8                 ? "0o"
                                         : "0b");
    if (!rc)
        hn_jfield_put(out, s, '>', prefix, hn_buf_str(&body), body.len);
    hn_buf_release(&digits);
    hn_buf_release(&body);
    return rc;
}

void hn_jfield_float(struct hn_buf *out, const struct hn_jfield *s, double f, bool plain)
{
    struct hn_buf text, body;
    char type = s->type;
    bool percent = type == '%';
    int precision = s->precision < 0 ? 6 : (int)s->precision;
    hn_buf_init(&text);
    hn_buf_init(&body);
    bool negative = signbit(f) && !isnan(f);
    double a = negative ? -f : f;
    if (percent)
        a *= 100, type = 'f';
    if (!isfinite(a)) {
        bool upper = type == 'F' || type == 'E' || type == 'G';
        hn_buf_add_str(&text, isnan(a) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf");
    } else if (!type && plain && s->precision < 0) {
        hn_jnum_add_text(&text, hn_jv_float(a));
    } else {
        if ((!type || type == 'n' || type == 'g' || type == 'G') && precision == 0)
            precision = 1;
        if (!type && plain)
            add_short_float(&text, a, precision);
        else
            add_c_float(&text, a,
                        type == 'F'            ? 'f'
                        : !type || type == 'n' ? 'g'
                                               : type,
                        precision, s->alternate);
    }
    if (percent)
        hn_buf_add_char(&text, '%');
    if (s->comma)
        group(&body, hn_buf_str(&text), s->comma);
    else
        hn_buf_add_str(&body, hn_buf_str(&text));
    hn_jfield_put(out, s, '>', sign_of(s, negative), hn_buf_str(&body), body.len);
    hn_buf_release(&text);
    hn_buf_release(&body);
}

int hn_jfield_string(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                     struct hn_jv v)
{
    if (v.kind != HN_JV_STR)
        return hn_jfield_bad(ji, "a string is expected");
    size_t n = v.s->n;
    if (s->precision >= 0 && (size_t)s->precision < v.s->n_cp)
        n = hn_jtext_offset(v.s, (size_t)s->precision);
    hn_jfield_put(out, s, '<', "", v.s->p, n);
    return hn_ji_step(ji, n);
}

int hn_jfield_check(struct hn_ji *ji, const struct hn_jfield *s)
{
    if (s->width > HN_JFIELD_WIDTH || s->precision > HN_JFIELD_PRECISION)
        return hn_jfield_bad(ji, "the width or precision is too large");
    return 0;
}

int hn_jfield_repr(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s, struct hn_jv v,
                   bool repr)
{
    struct hn_buf b;
    struct hn_jv text;
    hn_buf_init(&b);
    if (repr ? hn_jv_add_repr(ji, &b, v) : hn_jv_add_str(ji, &b, v)) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, &text) ? ji->code : hn_jfield_string(ji, out, s, text);
}

size_t hn_jfield_number(const char *p, size_t n, size_t i, int64_t *out)
{
    *out = 0;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
        *out = HN_MIN(*out * 10 + (p[i] - '0'), (int64_t)HN_JFIELD_WIDTH * 10);
    return i;
}
