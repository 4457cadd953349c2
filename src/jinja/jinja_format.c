/* "{0:>8} {name!r}".format(…), as Python's str.format. */
#include "jinja/jinja_field.h"
#include "jinja/jinja_number.h"
#include "jinja/jinja_text.h"

#include <string.h>

static int parse_spec(struct hn_ji *ji, struct hn_str t, struct hn_jfield *s)
{
    size_t i = 0, k = 0;
    *s = (struct hn_jfield){.precision = -1};
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
    i = hn_jfield_number(t.p, t.n, i, &s->width);
    if (i < t.n && (t.p[i] == ',' || t.p[i] == '_'))
        s->comma = t.p[i++];
    if (i < t.n && t.p[i] == '.') {
        size_t digits = hn_jfield_number(t.p, t.n, i + 1, &s->precision);
        if (digits == i + 1)
            return hn_jfield_bad(ji, "a precision is missing");
        i = digits;
    }
    if (i < t.n)
        s->type = t.p[i++];
    if (i < t.n)
        return hn_jfield_bad(ji, "a format specification is not known");
    return hn_jfield_check(ji, s);
}

static int format_value(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, struct hn_str t)
{
    struct hn_jfield s;
    if (!t.n)
        return hn_jv_add_str(ji, out, v);
    if (parse_spec(ji, t, &s) || hn_ji_step(ji, (size_t)s.width))
        return ji->code;
    if (v.kind == HN_JV_STR) {
        if ((s.type && s.type != 's') || s.sign || s.align == '=' || s.comma)
            return hn_jfield_bad(ji, "a specification for numbers is used on a string");
        if (s.zero && !s.align)
            s.align = '<';
        return hn_jfield_string(ji, out, &s, v);
    }
    if (!hn_jv_is_number(v))
        return v.kind == HN_JV_UNDEF ? hn_jfield_bad(ji, "Undefined takes no specification")
                                     : hn_jfield_bad(ji, "this type takes no specification");
    bool as_float = s.type && strchr("eEfFgG%", s.type);
    if (v.kind == HN_JV_FLOAT || as_float) {
        if (s.type && !as_float && s.type != 'n')
            return hn_jfield_bad(ji, "a specification for integers is used on a float");
        hn_jfield_float(out, &s, hn_jnum_to_double(v), true);
        return 0;
    }
    if (s.type == 'c' && hn_jv_is_int(v) && hn_jv_as_int(v) >= 0 && hn_jv_as_int(v) <= 0x10ffff) {
        char bytes[4];
        int n = hn_utf8_put((uint32_t)hn_jv_as_int(v), bytes);
        hn_jfield_put(out, &s, '<', "", bytes, (size_t)n);
        return 0;
    }
    if (s.precision >= 0 || (s.type && !strchr("bdoxXn", s.type)))
        return hn_jfield_bad(ji, "a specification does not fit an integer");
    return hn_jfield_integer(ji, out, &s, v);
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
            return hn_jfield_bad(ji, "numbered and unnumbered fields are mixed");
        f->automatic = true;
        k = (int64_t)f->next++;
    } else if (hn_jfield_number(name.p, name.n, 0, &k) == name.n) {
        if (f->automatic)
            return hn_jfield_bad(ji, "numbered and unnumbered fields are mixed");
        f->manual = true;
    } else {
        for (size_t i = 0; i < f->args->n_named; i++) {
            struct hn_jv key = f->args->named[i].key;
            if (key.kind == HN_JV_STR && hn_str_eq((struct hn_str){key.s->p, key.s->n}, name)) {
                *out = f->args->named[i].value;
                return 0;
            }
        }
        return hn_jfield_bad(ji, "an argument with the name of a field is missing");
    }
    if ((size_t)k >= f->args->n_pos)
        return hn_jfield_bad(ji, "there are more fields than arguments");
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
                return hn_jfield_bad(ji, "an attribute has no name");
            if (hn_ji_getattr(ji, *out, (struct hn_str){name.p + start, i - start}, out))
                return ji->code;
        } else if (name.p[start - 1] == '[') {
            struct hn_jv key;
            int64_t k;
            while (i < name.n && name.p[i] != ']')
                i++;
            if (i == name.n || i == start)
                return hn_jfield_bad(ji, "a '[' is not closed");
            size_t n = i - start;
            if (hn_jfield_number(name.p + start, n, 0, &k) == n)
                key = hn_jv_int(k);
            else if (hn_jv_str(ji, name.p + start, n, &key))
                return ji->code;
            i++;
            if (hn_ji_getitem(ji, *out, key, out))
                return ji->code;
        } else {
            return hn_jfield_bad(ji, "only '.' or '[' may follow ']'");
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
            return hn_jfield_bad(ji, "a conversion is '!s', '!r' or '!a'");
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
            return hn_jfield_bad(ji, "a ':' is expected after a conversion");
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
        return hn_jfield_bad(ji, "specifications are nested too deeply");
    for (size_t i = 0; i < t.n;) {
        char c = t.p[i];
        if ((c == '{' || c == '}') && i + 1 < t.n && t.p[i + 1] == c) {
            hn_buf_add_char(out, c);
            i += 2;
            continue;
        }
        if (c == '}')
            return hn_jfield_bad(ji, "a single '}' stands in the text");
        if (c != '{') {
            hn_buf_add_char(out, c);
            i++;
            continue;
        }
        size_t start = ++i, open = 1;
        for (; i < t.n && open; i++)
            open += t.p[i] == '{' ? 1 : t.p[i] == '}' ? (size_t)-1 : 0;
        if (open)
            return hn_jfield_bad(ji, "a '{' is not closed");
        if (format_field(ji, f, (struct hn_str){t.p + start, i - 1 - start}, depth, out))
            return ji->code;
        if (out->len > HN_JINJA_MAX_OUTPUT)
            return hn_jfield_bad(ji, "the text becomes too long");
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
