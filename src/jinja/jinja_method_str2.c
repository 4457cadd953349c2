/* The methods of strings: letter case, padding, questions about characters, format. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_case.h"
#include "jinja/jinja_text.h"

#include <string.h>

static int mapped(struct hn_ji *ji, const struct hn_jcall *c, enum hn_jcase how, struct hn_jv *out)
{
    if (hn_jcase_map(ji, c->self.s, how, out))
        return ji->code;
    out->safe = c->self.safe;
    return 0;
}

static int m_upper(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_UPPER, out);
}

static int m_lower(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_LOWER, out);
}

static int m_title(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_TITLE, out);
}

static int m_capitalize(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_CAPITALIZE, out);
}

static int m_swapcase(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_SWAP, out);
}

static int m_casefold(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return mapped(ji, c, HN_CASE_FOLD, out);
}

/* Python's methods that deal in bytes and tables, which templates have no use for. */
static int m_absent(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    (void)c, (void)out;
    return hn_ji_fail(ji, "encode, translate and maketrans are not supported in chat templates");
}

/* ---- padding ---- */

static int pad(struct hn_ji *ji, const struct hn_jcall *c, int side, struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s, *fill = NULL;
    int64_t width;
    if (hn_ji_want_int(ji, c->argv[0], "a width", &width) ||
        (c->argv[1].kind && hn_ji_want_str(ji, c->argv[1], "a fill character", &fill)))
        return ji->code;
    if (fill && fill->n_cp != 1)
        return hn_ji_fail(ji, "a fill character must be one character");
    if (width <= (int64_t)s->n_cp) {
        *out = c->self;
        return 0;
    }
    if (width > HN_JINJA_MAX_OUTPUT / 4)
        return hn_ji_fail(ji, "a width is at most %d", HN_JINJA_MAX_OUTPUT / 4);
    int64_t total = width - (int64_t)s->n_cp;
    int64_t before = side == HN_LEFT    ? total
                     : side == HN_RIGHT ? 0
                                        : total / 2 + (total & width & 1);
    struct hn_buf b;
    hn_buf_init(&b);
    for (int64_t i = 0; i < total; i++) {
        if (i == before)
            hn_buf_add(&b, s->p, s->n);
        hn_buf_add(&b, fill ? fill->p : " ", fill ? fill->n : 1);
    }
    if (before == total)
        hn_buf_add(&b, s->p, s->n);
    return hn_jv_str_take(ji, &b, out);
}

static int m_ljust(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return pad(ji, c, HN_RIGHT, out);
}

static int m_rjust(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return pad(ji, c, HN_LEFT, out);
}

static int m_center(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return pad(ji, c, HN_LEFT | HN_RIGHT, out);
}

static int m_zfill(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s;
    int64_t width;
    if (hn_ji_want_int(ji, c->argv[0], "a width", &width))
        return ji->code;
    if (width > HN_JINJA_MAX_OUTPUT / 4)
        return hn_ji_fail(ji, "a width is at most %d", HN_JINJA_MAX_OUTPUT / 4);
    size_t sign = s->n && (s->p[0] == '-' || s->p[0] == '+');
    struct hn_buf b;
    hn_buf_init(&b);
    hn_buf_add(&b, s->p, sign);
    for (int64_t i = (int64_t)s->n_cp; i < width; i++)
        hn_buf_add_char(&b, '0');
    hn_buf_add(&b, s->p + sign, s->n - sign);
    return hn_jv_str_take(ji, &b, out);
}

static int m_expandtabs(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s;
    int64_t size = 8, column = 0;
    if (c->argv[0].kind && hn_ji_want_int(ji, c->argv[0], "a tab size", &size))
        return ji->code;
    if (size > 1000)
        return hn_ji_fail(ji, "a tab size is at most 1000");
    struct hn_buf b;
    hn_buf_init(&b);
    for (size_t i = 0; i < s->n;) {
        size_t at = i;
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        if (cp != '\t') {
            hn_buf_add(&b, s->p + at, i - at);
            column = cp == '\n' || cp == '\r' ? 0 : column + 1;
            continue;
        }
        if (b.len > HN_JINJA_MAX_OUTPUT)
            break;
        for (int64_t k = size > 0 ? size - column % size : 0; k > 0; k--, column++)
            hn_buf_add_char(&b, ' ');
    }
    return hn_jv_str_take(ji, &b, out);
}

/* ---- questions ---- */

static int every(struct hn_ji *ji, const struct hn_jcall *c, bool (*is)(uint32_t), bool empty,
                 struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s;
    bool all = s->n ? true : empty;
    for (size_t i = 0; i < s->n && all;)
        all = is(hn_jtext_next(s->p, s->n, &i));
    *out = hn_jv_bool(all);
    return hn_ji_step(ji, s->n * 4);
}

static bool alnum(uint32_t cp)
{
    return hn_jtext_is_alpha(cp) || hn_jtext_is_numeric(cp);
}

static bool ascii(uint32_t cp)
{
    return cp < 0x80;
}

static int m_isspace(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_space, false, out);
}

static int m_isalpha(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_alpha, false, out);
}

static int m_isalnum(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, alnum, false, out);
}

static int m_isdigit(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_digit, false, out);
}

static int m_isdecimal(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_decimal, false, out);
}

static int m_isnumeric(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_numeric, false, out);
}

static int m_isascii(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, ascii, true, out);
}

static int m_isprintable(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return every(ji, c, hn_jtext_is_printable, true, out);
}

static int m_islower(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    *out = hn_jv_bool(hn_jcase_is(c->self.s, false));
    return hn_ji_step(ji, c->self.s->n * 4);
}

static int m_isupper(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    *out = hn_jv_bool(hn_jcase_is(c->self.s, true));
    return hn_ji_step(ji, c->self.s->n * 4);
}

static int m_istitle(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s;
    bool cased = false, any = false, ok = true;
    for (size_t i = 0; i < s->n && ok;) {
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        bool lower = hn_jtext_is_lower(cp);
        bool upper = hn_jtext_is_upper(cp) || hn_jtext_is_title(cp);
        ok = upper ? !cased : lower ? cased : true;
        cased = upper || lower;
        any = any || cased;
    }
    *out = hn_jv_bool(ok && any);
    return hn_ji_step(ji, s->n * 4);
}

static int m_isidentifier(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s = c->self.s;
    bool ok = s->n > 0;
    for (size_t i = 0; i < s->n && ok;) {
        size_t at = i;
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        ok = cp == '_' || hn_jtext_is_alpha(cp) || (at && hn_jtext_is_decimal(cp));
    }
    *out = hn_jv_bool(ok);
    return hn_ji_step(ji, s->n * 4);
}

/* ---- format ---- */

static int m_format(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return hn_ji_format(ji, c->self.s, c->args, out);
}

static int m_format_map(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jargs args = {0};
    if (c->argv[0].kind != HN_JV_DICT)
        return hn_ji_fail(ji, "format_map needs a dict, not a %s", hn_jv_type_name(c->argv[0]));
    args.named = c->argv[0].dict->pairs;
    args.n_named = c->argv[0].dict->n;
    return hn_ji_format(ji, c->self.s, &args, out);
}

const struct hn_jbuiltin hn_jmethods_str2[] = {
    {"upper", m_upper, "-"},
    {"lower", m_lower, "-"},
    {"title", m_title, "-"},
    {"capitalize", m_capitalize, "-"},
    {"swapcase", m_swapcase, "-"},
    {"casefold", m_casefold, "-"},
    {"ljust", m_ljust, "-width | fillchar"},
    {"rjust", m_rjust, "-width | fillchar"},
    {"center", m_center, "-width | fillchar"},
    {"zfill", m_zfill, "-width"},
    {"expandtabs", m_expandtabs, "| tabsize"},
    {"encode", m_absent, NULL},
    {"translate", m_absent, NULL},
    {"maketrans", m_absent, NULL},
    {"isspace", m_isspace, "-"},
    {"isalpha", m_isalpha, "-"},
    {"isalnum", m_isalnum, "-"},
    {"isdigit", m_isdigit, "-"},
    {"isdecimal", m_isdecimal, "-"},
    {"isnumeric", m_isnumeric, "-"},
    {"isascii", m_isascii, "-"},
    {"isprintable", m_isprintable, "-"},
    {"islower", m_islower, "-"},
    {"isupper", m_isupper, "-"},
    {"istitle", m_istitle, "-"},
    {"isidentifier", m_isidentifier, "-"},
    {"format", m_format, NULL},
    {"format_map", m_format_map, "-mapping"},
    {0},
};
