/* "%s and %5.1f" % args, as Python's printf-style formatting. */
#include "jinja/jinja_field.h"
#include "jinja/jinja_number.h"

#include <math.h>
#include <string.h>

struct percent {
    struct hn_jv args; /* a tuple, or one value */
    size_t next;
    bool mapping;
};

static int next_arg(struct hn_ji *ji, struct percent *p, struct hn_jv *out)
{
    bool tuple = p->args.kind == HN_JV_TUPLE;
    size_t n = tuple ? p->args.list->n : 1;
    if (p->next >= n)
        return hn_jfield_bad(ji, "there are more fields than arguments");
    *out = tuple ? p->args.list->v[p->next] : p->args;
    p->next++;
    return 0;
}

static int star(struct hn_ji *ji, struct percent *p, int64_t *out)
{
    struct hn_jv v;
    return next_arg(ji, p, &v) ? ji->code : hn_ji_want_int(ji, v, "a width", out);
}

static int percent_field(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                         struct hn_jv v)
{
    struct hn_jfield t = *s;
    switch (s->type) {
    case 's':
        t.zero = false;
        t.align = t.align ? t.align : '>';
        return hn_jfield_repr(ji, out, &t, v, false);
    case 'r':
    case 'a':
        t.zero = false;
        t.align = t.align ? t.align : '>';
        return hn_jfield_repr(ji, out, &t, v, true);
    case 'd':
    case 'i':
    case 'u':
        t.type = 'd';
        if (v.kind == HN_JV_UNDEF)
            return hn_jv_undef_fail(ji, v);
        if (v.kind == HN_JV_FLOAT && isfinite(v.f) && hn_jnum_truncate(ji, v.f, &v))
            return ji->code;
        if (!hn_jv_is_number(v) || v.kind == HN_JV_FLOAT)
            return hn_jfield_bad(ji, "%d needs a number");
        return hn_jfield_integer(ji, out, &t, v);
    case 'x':
    case 'X':
    case 'o':
        if (!hn_jv_is_number(v) || v.kind == HN_JV_FLOAT)
            return hn_jfield_bad(ji, "%x and %o need an integer");
        return hn_jfield_integer(ji, out, &t, v);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (v.kind == HN_JV_UNDEF)
            return hn_jv_undef_fail(ji, v);
        if (!hn_jv_is_number(v))
            return hn_jfield_bad(ji, "%f, %e and %g need a number");
        hn_jfield_float(out, &t, hn_jnum_to_double(v), false);
        return 0;
    case 'c':
        if (v.kind == HN_JV_STR && v.s->n_cp == 1)
            return hn_jfield_repr(ji, out, &t, v, false);
        if (hn_jv_is_int(v) && hn_jv_as_int(v) >= 0 && hn_jv_as_int(v) <= 0x10ffff) {
            char bytes[4];
            int n = hn_utf8_put((uint32_t)hn_jv_as_int(v), bytes);
            hn_jfield_put(out, &t, '>', "", bytes, (size_t)n);
            return 0;
        }
        return hn_jfield_bad(ji, "%c needs a character");
    default:
        return hn_jfield_bad(ji, "a field has a letter that is not known");
    }
}

static int percent_key(struct hn_ji *ji, const struct hn_jstr *f, size_t *i, struct percent *p,
                       struct hn_jv *out)
{
    size_t start = *i + 1, depth = 1, k = start;
    for (; k < f->n && depth; k++)
        depth += f->p[k] == '(' ? 1 : f->p[k] == ')' ? (size_t)-1 : 0;
    if (depth)
        return hn_jfield_bad(ji, "a '(' is not closed");
    if (p->args.kind != HN_JV_DICT)
        return hn_jfield_bad(ji, "a field with a name needs a mapping");
    const struct hn_jv *v =
        hn_jdict_get_str(p->args.dict, (struct hn_str){f->p + start, k - 1 - start});
    if (!v)
        return hn_jfield_bad(ji, "the mapping lacks a name");
    *out = *v;
    *i = k;
    p->mapping = true;
    return 0;
}

static int percent_spec(struct hn_ji *ji, const struct hn_jstr *f, size_t *at, struct percent *p,
                        struct hn_jfield *s)
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
            left = true, s->width = s->width < -HN_JFIELD_WIDTH ? HN_JFIELD_WIDTH + 1 : -s->width;
    } else {
        i = hn_jfield_number(f->p, f->n, i, &s->width);
    }
    if (i < f->n && f->p[i] == '.') {
        i++;
        if (i < f->n && f->p[i] == '*') {
            i++;
            if (star(ji, p, &s->precision))
                return ji->code;
            s->precision = HN_MAX(s->precision, 0);
        } else {
            i = hn_jfield_number(f->p, f->n, i, &s->precision);
        }
    }
    while (i < f->n && (f->p[i] == 'l' || f->p[i] == 'h' || f->p[i] == 'L'))
        i++;
    if (left)
        s->align = '<', s->zero = false;
    *at = i;
    return hn_jfield_check(ji, s);
}

static int percent(struct hn_ji *ji, const struct hn_jstr *f, struct percent *p, struct hn_buf *out)
{
    for (size_t i = 0; i < f->n;) {
        if (f->p[i] != '%') {
            hn_buf_add_char(out, f->p[i++]);
            continue;
        }
        struct hn_jfield s = {.precision = -1};
        struct hn_jv v = {0};
        i++;
        if (i < f->n && f->p[i] == '(' && percent_key(ji, f, &i, p, &v))
            return ji->code;
        if (percent_spec(ji, f, &i, p, &s))
            return ji->code;
        if (i >= f->n)
            return hn_jfield_bad(ji, "a field is not finished");
        s.type = f->p[i++];
        if (s.type == '%') {
            hn_buf_add_char(out, '%');
            continue;
        }
        if ((v.kind == HN_JV_MISSING && next_arg(ji, p, &v)) || percent_field(ji, out, &s, v) ||
            hn_ji_step(ji, (size_t)s.width))
            return ji->code;
        if (out->len > HN_JINJA_MAX_OUTPUT)
            return hn_jfield_bad(ji, "the text becomes too long");
    }
    bool tuple = p->args.kind == HN_JV_TUPLE;
    bool open = p->args.kind == HN_JV_DICT || p->args.kind == HN_JV_LIST ||
                p->args.kind == HN_JV_RANGE || p->args.kind == HN_JV_UNDEF || p->mapping;
    if (tuple ? p->next < p->args.list->n : !open && p->next == 0)
        return hn_jfield_bad(ji, "there are more arguments than fields");
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
