/* Python's two ways to format: "%05d" % x and "{:>8}".format(x). */
#include "text/jinja_eval.h"
#include "text/jinja_ast.h"
#include "text/jinja_number.h"
#include "text/jinja_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 100000, MAX_PRECISION = 300 };

struct spec {
    struct hn_str fill; /* one character */
    char align;         /* '<' '>' '^' '=' or 0 */
    char sign;          /* '+' ' ' '-' or 0 */
    bool alternate, zero;
    int64_t width, precision; /* precision -1: not given */
    char comma;               /* ',' '_' or 0 */
    char type;                /* 0: none */
};

static int bad(struct hn_ji *ji, const char *what)
{
    return hn_ji_fail(ji, "a text cannot be formatted: %s", what);
}

/* ---- fields
 * ---------------------------------------------------------------------------------------- */

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
        return bad(ji, "an integer of more than 63 bits is written in base 10 only");
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
static void put(struct hn_buf *out, const struct spec *s, char align, const char *prefix,
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

static const char *sign_of(const struct spec *s, bool negative)
{
    return negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
}

static int put_integer(struct hn_ji *ji, struct hn_buf *out, const struct spec *s, struct hn_jv v)
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
        put(out, s, '>', prefix, hn_buf_str(&body), body.len);
    hn_buf_release(&digits);
    hn_buf_release(&body);
    return rc;
}

static int put_float(struct hn_buf *out, const struct spec *s, double f, bool plain)
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
    put(out, s, '>', sign_of(s, negative), hn_buf_str(&body), body.len);
    hn_buf_release(&text);
    hn_buf_release(&body);
    return 0;
}

static int put_string(struct hn_ji *ji, struct hn_buf *out, const struct spec *s, struct hn_jv v)
{
    if (v.kind != HN_JV_STR)
        return bad(ji, "a string is expected");
    size_t n = v.s->n;
    if (s->precision >= 0 && (size_t)s->precision < v.s->n_cp)
        n = hn_jtext_offset(v.s, (size_t)s->precision);
    put(out, s, '<', "", v.s->p, n);
    return hn_ji_step(ji, n);
}

static int check_sizes(struct hn_ji *ji, const struct spec *s)
{
    if (s->width > MAX_WIDTH || s->precision > MAX_PRECISION)
        return bad(ji, "the width or precision is too large");
    return 0;
}

static int put_repr(struct hn_ji *ji, struct hn_buf *out, const struct spec *s, struct hn_jv v,
                    bool repr)
{
    struct hn_buf b;
    struct hn_jv text;
    hn_buf_init(&b);
    if (repr ? hn_jv_add_repr(ji, &b, v) : hn_jv_add_str(ji, &b, v)) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, &text) ? ji->code : put_string(ji, out, s, text);
}

static size_t number_at(const char *p, size_t n, size_t i, int64_t *out)
{
    *out = 0;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
        *out = HN_MIN(*out * 10 + (p[i] - '0'), (int64_t)MAX_WIDTH * 10);
    return i;
}

/* ---- "%…" % args
 * ------------------------------------------------------------------------------------ */

struct percent {
    struct hn_jv args; /* a tuple, or one value */
    size_t next;
    bool mapping, used_all;
};

static int next_arg(struct hn_ji *ji, struct percent *p, struct hn_jv *out)
{
    bool tuple = p->args.kind == HN_JV_TUPLE;
    size_t n = tuple ? p->args.list->n : 1;
    if (p->next >= n)
        return bad(ji, "there are more fields than arguments");
    *out = tuple ? p->args.list->v[p->next] : p->args;
    p->next++;
    return 0;
}

static int star(struct hn_ji *ji, struct percent *p, int64_t *out)
{
    struct hn_jv v;
    return next_arg(ji, p, &v) ? ji->code : hn_ji_want_int(ji, v, "a width", out);
}

static int percent_field(struct hn_ji *ji, struct hn_buf *out, const struct spec *s, struct hn_jv v)
{
    struct spec t = *s;
    switch (s->type) {
    case 's':
        t.zero = false;
        t.align = t.align ? t.align : '>';
        return put_repr(ji, out, &t, v, false);
    case 'r':
    case 'a':
        t.zero = false;
        t.align = t.align ? t.align : '>';
        return put_repr(ji, out, &t, v, true);
    case 'd':
    case 'i':
    case 'u':
        t.type = 'd';
        if (v.kind == HN_JV_UNDEF)
            return hn_jv_undef_fail(ji, v);
        if (v.kind == HN_JV_FLOAT && isfinite(v.f) && hn_jnum_truncate(ji, v.f, &v))
            return ji->code;
        if (!hn_jv_is_number(v) || v.kind == HN_JV_FLOAT)
            return bad(ji, "%d needs a number");
        return put_integer(ji, out, &t, v);
    case 'x':
    case 'X':
    case 'o':
        if (!hn_jv_is_number(v) || v.kind == HN_JV_FLOAT)
            return bad(ji, "%x and %o need an integer");
        return put_integer(ji, out, &t, v);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (v.kind == HN_JV_UNDEF)
            return hn_jv_undef_fail(ji, v);
        if (!hn_jv_is_number(v))
            return bad(ji, "%f, %e and %g need a number");
        return put_float(out, &t, hn_jnum_to_double(v), false);
    case 'c':
        if (v.kind == HN_JV_STR && v.s->n_cp == 1)
            return put_repr(ji, out, &t, v, false);
        if (hn_jv_is_int(v) && hn_jv_as_int(v) >= 0 && hn_jv_as_int(v) <= 0x10ffff) {
            char bytes[4];
            int n = hn_utf8_put((uint32_t)hn_jv_as_int(v), bytes);
            put(out, &t, '>', "", bytes, (size_t)n);
            return 0;
        }
        return bad(ji, "%c needs a character");
    default:
        return bad(ji, "a field has a letter that is not known");
    }
}

static int percent_key(struct hn_ji *ji, const struct hn_jstr *f, size_t *i, struct percent *p,
                       struct hn_jv *out)
{
    size_t start = *i + 1, depth = 1, k = start;
    for (; k < f->n && depth; k++)
        depth += f->p[k] == '(' ? 1 : f->p[k] == ')' ? (size_t)-1 : 0;
    if (depth)
        return bad(ji, "a '(' is not closed");
    if (p->args.kind != HN_JV_DICT)
        return bad(ji, "a field with a name needs a mapping");
    const struct hn_jv *v =
        hn_jdict_get_str(p->args.dict, (struct hn_str){f->p + start, k - 1 - start});
    if (!v)
        return bad(ji, "the mapping lacks a name");
    *out = *v;
    *i = k;
    p->mapping = true;
    return 0;
}

static int percent_spec(struct hn_ji *ji, const struct hn_jstr *f, size_t *at, struct percent *p,
                        struct spec *s)
{
    size_t i = *at;
    bool left = false;
    for (; i < f->n && f->p[i] && strchr("-+ #0", f->p[i]); i++) {
        left = left || f->p[i] == '-';
        s->alternate = s->alternate || f->p[i] == '#';
        s->zero = s->zero || f->p[i] == '0';
        if (f->p[i] == '+' || (f->p[i] == ' ' && s->sign != '+'))
            s->sign = f->p[i];
    }
    if (i < f->n && f->p[i] == '*') {
        i++;
        if (star(ji, p, &s->width))
            return ji->code;
        if (s->width < 0)
            left = true, s->width = s->width < -MAX_WIDTH ? MAX_WIDTH + 1 : -s->width;
    } else {
        i = number_at(f->p, f->n, i, &s->width);
    }
    if (i < f->n && f->p[i] == '.') {
        i++;
        if (i < f->n && f->p[i] == '*') {
            i++;
            if (star(ji, p, &s->precision))
                return ji->code;
            s->precision = HN_MAX(s->precision, 0);
        } else {
            i = number_at(f->p, f->n, i, &s->precision);
        }
    }
    while (i < f->n && (f->p[i] == 'l' || f->p[i] == 'h' || f->p[i] == 'L'))
        i++;
    if (left)
        s->align = '<', s->zero = false;
    *at = i;
    return check_sizes(ji, s);
}

static int percent(struct hn_ji *ji, const struct hn_jstr *f, struct percent *p, struct hn_buf *out)
{
    for (size_t i = 0; i < f->n;) {
        if (f->p[i] != '%') {
            hn_buf_add_char(out, f->p[i++]);
            continue;
        }
        struct spec s = {.precision = -1};
        struct hn_jv v = {0};
        i++;
        if (i < f->n && f->p[i] == '(' && percent_key(ji, f, &i, p, &v))
            return ji->code;
        if (percent_spec(ji, f, &i, p, &s))
            return ji->code;
        if (i >= f->n)
            return bad(ji, "a field is not finished");
        s.type = f->p[i++];
        if (s.type == '%') {
            hn_buf_add_char(out, '%');
            continue;
        }
        if ((v.kind == HN_JV_MISSING && next_arg(ji, p, &v)) || percent_field(ji, out, &s, v) ||
            hn_ji_step(ji, (size_t)s.width))
            return ji->code;
        if (out->len > HN_JINJA_MAX_OUTPUT)
            return bad(ji, "the text becomes too long");
    }
    bool tuple = p->args.kind == HN_JV_TUPLE;
    bool open = p->args.kind == HN_JV_DICT || p->args.kind == HN_JV_LIST ||
                p->args.kind == HN_JV_RANGE || p->args.kind == HN_JV_UNDEF || p->mapping;
    if (tuple ? p->next < p->args.list->n : !open && p->next == 0)
        return bad(ji, "there are more arguments than fields");
    return 0;
}

int hn_ji_percent(struct hn_ji *ji, const struct hn_jstr *fmt, struct hn_jv args, struct hn_jv *out)
{
    struct percent p = {.args = args};
    struct hn_buf b;
    hn_buf_init(&b);
    if (percent(ji, fmt, &p, &b)) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

/* ---- str.format
 * -------------------------------------------------------------------------------------- */

static int parse_spec(struct hn_ji *ji, struct hn_str t, struct spec *s)
{
    size_t i = 0, k = 0;
    *s = (struct spec){.precision = -1};
    if (t.n)
        (void)hn_jtext_next(t.p, t.n, &k);
    if (k < t.n && t.p[k] && strchr("<>^=", t.p[k])) {
        s->fill = (struct hn_str){t.p, k};
        s->align = t.p[k];
        i = k + 1;
    } else if (t.n && t.p[0] && strchr("<>^=", t.p[0])) {
        s->align = t.p[i++];
    }
    if (i < t.n && (t.p[i] == '+' || t.p[i] == '-' || t.p[i] == ' '))
        s->sign = t.p[i++];
    if (i < t.n && t.p[i] == '#')
        s->alternate = true, i++;
    if (i < t.n && t.p[i] == '0')
        s->zero = true, i++;
    i = number_at(t.p, t.n, i, &s->width);
    if (i < t.n && (t.p[i] == ',' || t.p[i] == '_'))
        s->comma = t.p[i++];
    if (i < t.n && t.p[i] == '.') {
        size_t digits = number_at(t.p, t.n, i + 1, &s->precision);
        if (digits == i + 1)
            return bad(ji, "a precision is missing");
        i = digits;
    }
    if (i < t.n)
        s->type = t.p[i++];
    if (i < t.n)
        return bad(ji, "a format specification is not known");
    return check_sizes(ji, s);
}

static int format_value(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, struct hn_str t)
{
    struct spec s;
    if (!t.n)
        return hn_jv_add_str(ji, out, v);
    if (parse_spec(ji, t, &s) || hn_ji_step(ji, (size_t)s.width))
        return ji->code;
    if (v.kind == HN_JV_STR) {
        if ((s.type && s.type != 's') || s.sign || s.align == '=' || s.comma)
            return bad(ji, "a specification for numbers is used on a string");
        if (s.zero && !s.align)
            s.align = '<';
        return put_string(ji, out, &s, v);
    }
    if (!hn_jv_is_number(v))
        return v.kind == HN_JV_UNDEF ? bad(ji, "Undefined takes no specification")
                                     : bad(ji, "this type takes no specification");
    bool as_float = s.type && strchr("eEfFgG%", s.type);
    if (v.kind == HN_JV_FLOAT || as_float) {
        if (s.type && !as_float && s.type != 'n')
            return bad(ji, "a specification for integers is used on a float");
        return put_float(out, &s, hn_jnum_to_double(v), true);
    }
    if (s.type == 'c' && hn_jv_is_int(v) && hn_jv_as_int(v) >= 0 && hn_jv_as_int(v) <= 0x10ffff) {
        char bytes[4];
        int n = hn_utf8_put((uint32_t)hn_jv_as_int(v), bytes);
        put(out, &s, '<', "", bytes, (size_t)n);
        return 0;
    }
    if (s.precision >= 0 || (s.type && !strchr("bdoxXn", s.type)))
        return bad(ji, "a specification does not fit an integer");
    return put_integer(ji, out, &s, v);
}

struct format {
    const struct hn_jargs *args;
    size_t next; /* automatic numbering */
    bool automatic, manual;
};

static int first_value(struct hn_ji *ji, struct format *f, struct hn_str name, struct hn_jv *out)
{
    int64_t k;
    if (!name.n) {
        if (f->manual)
            return bad(ji, "numbered and unnumbered fields are mixed");
        f->automatic = true;
        k = (int64_t)f->next++;
    } else if (number_at(name.p, name.n, 0, &k) == name.n) {
        if (f->automatic)
            return bad(ji, "numbered and unnumbered fields are mixed");
        f->manual = true;
    } else {
        for (size_t i = 0; i < f->args->n_named; i++) {
            struct hn_jv key = f->args->named[i].key;
            if (key.kind == HN_JV_STR && hn_str_eq((struct hn_str){key.s->p, key.s->n}, name)) {
                *out = f->args->named[i].value;
                return 0;
            }
        }
        return bad(ji, "an argument with the name of a field is missing");
    }
    if ((size_t)k >= f->args->n_pos)
        return bad(ji, "there are more fields than arguments");
    *out = f->args->pos[k];
    return 0;
}

/* name(.attribute|[item])* */
static int field_value(struct hn_ji *ji, struct format *f, struct hn_str name, struct hn_jv *out)
{
    size_t i = 0;
    while (i < name.n && name.p[i] != '.' && name.p[i] != '[')
        i++;
    if (first_value(ji, f, (struct hn_str){name.p, i}, out))
        return ji->code;
    while (i < name.n) {
        size_t start = ++i;
        if (name.p[start - 1] == '.') {
            while (i < name.n && name.p[i] != '.' && name.p[i] != '[')
                i++;
            if (i == start)
                return bad(ji, "an attribute has no name");
            if (hn_ji_getattr(ji, *out, (struct hn_str){name.p + start, i - start}, out))
                return ji->code;
        } else if (name.p[start - 1] == '[') {
            struct hn_jv key;
            int64_t k;
            while (i < name.n && name.p[i] != ']')
                i++;
            if (i == name.n || i == start)
                return bad(ji, "a '[' is not closed");
            size_t n = i - start;
            if (number_at(name.p + start, n, 0, &k) == n)
                key = hn_jv_int(k);
            else if (hn_jv_str(ji, name.p + start, n, &key))
                return ji->code;
            i++;
            if (hn_ji_getitem(ji, *out, key, out))
                return ji->code;
        } else {
            return bad(ji, "only '.' or '[' may follow ']'");
        }
    }
    return 0;
}

static int format_into(struct hn_ji *ji, struct format *f, struct hn_str t, int depth,
                       struct hn_buf *out);

static int format_field(struct hn_ji *ji, struct format *f, struct hn_str t, int depth,
                        struct hn_buf *out)
{
    size_t i = 0, brackets = 0;
    struct hn_jv v;
    while (i < t.n && (brackets || (t.p[i] != '!' && t.p[i] != ':'))) {
        brackets = t.p[i] == '[' ? 1 : t.p[i] == ']' ? 0 : brackets;
        i++;
    }
    if (field_value(ji, f, (struct hn_str){t.p, i}, &v))
        return ji->code;
    if (i < t.n && t.p[i] == '!') {
        char how = i + 1 < t.n ? t.p[i + 1] : 0;
        if (how != 's' && how != 'r' && how != 'a')
            return bad(ji, "a conversion is '!s', '!r' or '!a'");
        struct hn_buf b;
        hn_buf_init(&b);
        if (how == 's' ? hn_jv_add_str(ji, &b, v) : hn_jv_add_repr(ji, &b, v)) {
            hn_buf_release(&b);
            return ji->code;
        }
        if (hn_jv_str_take(ji, &b, &v))
            return ji->code;
        i += 2;
        if (i < t.n && t.p[i] != ':')
            return bad(ji, "a ':' is expected after a conversion");
    }
    struct hn_buf spec;
    hn_buf_init(&spec);
    int rc = 0;
    if (i < t.n)
        rc = format_into(ji, f, (struct hn_str){t.p + i + 1, t.n - i - 1}, depth + 1, &spec);
    if (!rc)
        rc = format_value(ji, out, v, (struct hn_str){hn_buf_str(&spec), spec.len});
    hn_buf_release(&spec);
    return rc;
}

static int format_into(struct hn_ji *ji, struct format *f, struct hn_str t, int depth,
                       struct hn_buf *out)
{
    if (depth > 1)
        return bad(ji, "specifications are nested too deeply");
    for (size_t i = 0; i < t.n;) {
        char c = t.p[i];
        if ((c == '{' || c == '}') && i + 1 < t.n && t.p[i + 1] == c) {
            hn_buf_add_char(out, c);
            i += 2;
            continue;
        }
        if (c == '}')
            return bad(ji, "a single '}' stands in the text");
        if (c != '{') {
            hn_buf_add_char(out, c);
            i++;
            continue;
        }
        size_t start = ++i, open = 1;
        for (; i < t.n && open; i++)
            open += t.p[i] == '{' ? 1 : t.p[i] == '}' ? (size_t)-1 : 0;
        if (open)
            return bad(ji, "a '{' is not closed");
        if (format_field(ji, f, (struct hn_str){t.p + start, i - 1 - start}, depth, out))
            return ji->code;
        if (out->len > HN_JINJA_MAX_OUTPUT)
            return bad(ji, "the text becomes too long");
    }
    return 0;
}

int hn_ji_format(struct hn_ji *ji, const struct hn_jstr *fmt, const struct hn_jargs *args,
                 struct hn_jv *out)
{
    struct format f = {.args = args};
    struct hn_buf b;
    hn_buf_init(&b);
    if (hn_ji_step(ji, fmt->n) || format_into(ji, &f, (struct hn_str){fmt->p, fmt->n}, 0, &b)) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}
