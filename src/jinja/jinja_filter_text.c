/* Filters that give text. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_case.h"
#include "jinja/jinja_text.h"

#include <string.h>

/* For HTML. */
static void add_escaped(struct hn_buf *out, const char *p, size_t n)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    for (size_t i = 0; i < n; i++) {
        const char *at = p[i] ? strchr(from, p[i]) : NULL;
        if (at)
            hn_buf_add_str(out, to[at - from]);
        else
            hn_buf_add_char(out, p[i]);
    }
}

static int escape_always(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out)
{
    struct hn_buf b;
    if (hn_jv_to_str(ji, v, &v))
        return ji->code;
    hn_buf_init(&b);
    if (v.kind == HN_JV_STR)
        add_escaped(&b, v.s->p, v.s->n);
    if (hn_jv_str_take(ji, &b, out))
        return ji->code;
    out->safe = true;
    return 0;
}

int hn_ji_escape(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out)
{
    if (v.kind == HN_JV_STR && v.safe) {
        *out = v;
        return 0;
    }
    return escape_always(ji, v, out);
}

static int f_escape(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return hn_ji_escape(ji, c->argv[0], out);
}

static int f_forceescape(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return escape_always(ji, c->argv[0], out);
}

static int f_safe(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    if (hn_jv_to_str(ji, c->argv[0], out))
        return ji->code;
    out->safe = true;
    return 0;
}

static int f_string(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return hn_jv_to_str(ji, c->argv[0], out);
}

static int case_of(struct hn_ji *ji, const struct hn_jcall *c, enum hn_jcase how, struct hn_jv *out)
{
    struct hn_jv s;
    if (hn_jv_to_str(ji, c->argv[0], &s) || hn_jcase_map(ji, s.s, how, out))
        return ji->code;
    out->safe = s.safe && how != HN_CASE_WORDS;
    return 0;
}

static int f_upper(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_of(ji, c, HN_CASE_UPPER, out);
}

static int f_lower(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_of(ji, c, HN_CASE_LOWER, out);
}

static int f_capitalize(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_of(ji, c, HN_CASE_CAPITALIZE, out);
}

static int f_title(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return case_of(ji, c, HN_CASE_WORDS, out);
}

static int f_trim(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv s;
    const struct hn_jstr *chars = NULL;
    if (hn_jv_to_str(ji, c->argv[0], &s))
        return ji->code;
    struct hn_jv given = c->argv[1];
    if (given.kind != HN_JV_MISSING && given.kind != HN_JV_NONE &&
        hn_ji_want_str(ji, given, "the argument of trim", &chars))
        return ji->code;
    if (chars && hn_ji_step(ji, s.s->n * (chars->n / 16 + 1)))
        return ji->code;
    struct hn_str t = hn_jtext_strip((struct hn_str){s.s->p, s.s->n}, chars, HN_LEFT | HN_RIGHT);
    if (hn_jv_str_view(ji->arena, t.p, t.n, out))
        return hn_ji_no_memory(ji);
    out->safe = s.safe;
    return 0;
}

static int f_replace(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv text[3], pos[3];
    for (int i = 0; i < 3; i++)
        if (hn_jv_to_str(ji, c->argv[i], &text[i]))
            return ji->code;
    struct hn_jargs args = {.pos = pos, .n_pos = 2};
    pos[0] = text[1];
    pos[1] = text[2];
    if (c->argv[3].kind != HN_JV_MISSING && c->argv[3].kind != HN_JV_NONE)
        pos[args.n_pos++] = c->argv[3];
    const struct hn_jbuiltin *b = hn_ji_find_method(HN_JV_STR, hn_str_of("replace"));
    text[0].safe = false;
    return hn_ji_call_builtin(ji, b, "method", text[0], &args, out);
}

static int f_join(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jiter *it;
    struct hn_jpath path = {0};
    struct hn_jv sep = c->argv[1], v;
    struct hn_buf b;
    bool first = true;
    if (c->argv[2].kind != HN_JV_MISSING && hn_ji_path(ji, c->argv[2], &path))
        return ji->code;
    if (sep.kind == HN_JV_MISSING ? hn_jv_cstr(ji, "", &sep) : hn_jv_to_str(ji, sep, &sep))
        return ji->code;
    if (hn_ji_iter(ji, c->argv[0], &it))
        return ji->code;
    hn_buf_init(&b);
    while (!ji->code) {
        int rc = it->next(ji, it, &v);
        if (rc != 1)
            break;
        if (!first)
            hn_buf_add(&b, sep.s->p, sep.s->n);
        first = false;
        if ((path.n && hn_ji_path_get(ji, &path, v, (struct hn_jv){0}, &v)) ||
            hn_jv_add_str(ji, &b, v) || hn_ji_step(ji, sep.s->n))
            break;
        if (b.len > HN_JINJA_MAX_OUTPUT)
            hn_ji_fail(ji, "a text is longer than %d MiB", HN_JINJA_MAX_OUTPUT >> 20);
    }
    if (ji->code) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

static int f_indent(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s, *by = NULL;
    int64_t width = 4;
    bool first = hn_jv_truth(c->argv[2]), blank = hn_jv_truth(c->argv[3]), empty = false;
    if (c->argv[0].kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, c->argv[0]);
    if (hn_ji_want_str(ji, c->argv[0], "the value of indent", &s))
        return ji->code;
    if (c->argv[1].kind == HN_JV_STR)
        by = c->argv[1].s;
    else if (c->argv[1].kind != HN_JV_MISSING &&
             hn_ji_want_int(ji, c->argv[1], "the width of indent", &width))
        return ji->code;
    if (width > 1 << 16)
        return hn_ji_fail(ji, "the width of indent is at most 65536");
    struct hn_str line, text = {s->p, s->n};
    struct hn_buf b;
    size_t n_lines = 0;
    hn_buf_init(&b);
    for (size_t i = 0; i < text.n || (n_lines == 0) || empty; n_lines++) {
        empty = false;
        if (!hn_jcase_line(text, &i, false, &line))
            line = (struct hn_str){"", 0};
        else /* the filter adds a newline: a text that ends in one has one more, empty, line */
            empty = i == text.n && (text.p + i > line.p + line.n);
        if (n_lines)
            hn_buf_add_char(&b, '\n');
        if (n_lines == 0 ? first : blank || line.n) {
            if (by)
                hn_buf_add(&b, by->p, by->n);
            for (int64_t k = 0; !by && k < width; k++)
                hn_buf_add_char(&b, ' ');
        }
        hn_buf_add(&b, line.p, line.n);
        if (hn_ji_step(ji, line.n + (by ? by->n : (size_t)HN_MAX(width, 0))) ||
            (b.len > HN_JINJA_MAX_OUTPUT &&
             hn_ji_fail(ji, "a text is longer than %d MiB", HN_JINJA_MAX_OUTPUT >> 20)))
            break;
    }
    if (ji->code) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

static int separators(struct hn_ji *ji, struct hn_jv v, struct hn_jdump *d)
{
    const struct hn_jstr *item, *key;
    if (v.kind == HN_JV_MISSING || v.kind == HN_JV_NONE)
        return 0;
    if ((v.kind != HN_JV_TUPLE && v.kind != HN_JV_LIST) || v.list->n != 2)
        return hn_ji_fail(ji, "the separators of tojson must be two strings");
    if (hn_ji_want_str(ji, v.list->v[0], "a separator of tojson", &item) ||
        hn_ji_want_str(ji, v.list->v[1], "a separator of tojson", &key))
        return ji->code;
    d->item_sep = (struct hn_str){item->p, item->n};
    d->key_sep = (struct hn_str){key->p, key->n};
    return 0;
}

/* tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False) */
static int f_tojson(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    static const char blanks[] = "                                                                ";
    struct hn_jv indent = c->argv[2];
    struct hn_jdump d = {.ensure_ascii = hn_jv_truth(c->argv[1]),
                         .sort_keys = hn_jv_truth(c->argv[4]),
                         .item_sep = {", ", 2},
                         .key_sep = {": ", 2},
                         .indent = {blanks, 0}};
    struct hn_buf b;
    if (indent.kind != HN_JV_MISSING && indent.kind != HN_JV_NONE) {
        int64_t width = 0;
        d.has_indent = true;
        d.item_sep.n = 1;
        if (indent.kind == HN_JV_STR)
            d.indent = (struct hn_str){indent.s->p, indent.s->n};
        else if (hn_ji_want_int(ji, indent, "the indent of tojson", &width))
            return ji->code;
        if (width > (int64_t)sizeof blanks - 1)
            return hn_ji_fail(ji, "the indent of tojson is at most %zu", sizeof blanks - 1);
        if (indent.kind != HN_JV_STR)
            d.indent.n = width < 0 ? 0 : (size_t)width;
    }
    if (separators(ji, c->argv[3], &d))
        return ji->code;
    hn_buf_init(&b);
    if (hn_jv_add_json(ji, &b, c->argv[0], &d)) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

static int f_wordcount(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv s;
    int64_t n = 0;
    bool inside = false;
    if (hn_jv_to_str(ji, c->argv[0], &s) || hn_ji_step(ji, s.s->n * 4))
        return ji->code;
    for (size_t i = 0; i < s.s->n;) {
        uint32_t cp = hn_jtext_next(s.s->p, s.s->n, &i);
        bool word = cp == '_' || hn_jtext_is_alpha(cp) || hn_jtext_is_numeric(cp);
        n += word && !inside;
        inside = word;
    }
    *out = hn_jv_int(n);
    return 0;
}

static int f_format(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv s, args;
    const struct hn_jargs *a = c->args;
    if (!a->n_pos || hn_jv_to_str(ji, a->pos[0], &s))
        return hn_ji_fail(ji, "the filter format needs a value");
    if (a->n_pos > 1 && a->n_named)
        return hn_ji_fail(ji, "the filter format takes positional or named arguments, not both");
    if (a->n_named) {
        if (hn_jv_dict(ji, &args))
            return ji->code;
        for (size_t i = 0; i < a->n_named; i++)
            if (hn_jdict_set(ji, args.dict, a->named[i].key, a->named[i].value))
                return ji->code;
    } else {
        if (hn_jv_list(ji, HN_JV_TUPLE, a->n_pos, &args))
            return ji->code;
        for (size_t i = 1; i < a->n_pos; i++)
            args.list->v[args.list->n++] = a->pos[i];
    }
    return hn_ji_percent(ji, s.s, args, out);
}

static int f_center(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv s, pos[1] = {c->argv[1].kind ? c->argv[1] : hn_jv_int(80)};
    struct hn_jargs args = {.pos = pos, .n_pos = 1};
    if (hn_jv_to_str(ji, c->argv[0], &s))
        return ji->code;
    const struct hn_jbuiltin *b = hn_ji_find_method(HN_JV_STR, hn_str_of("center"));
    return hn_ji_call_builtin(ji, b, "method", s, &args, out);
}

/* truncate(s, length=255, killwords=False, end='...', leeway=5) */
static int f_truncate(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *s;
    struct hn_jv end = c->argv[3];
    int64_t length = 255, leeway = 5;
    size_t n;
    if ((c->argv[1].kind && hn_ji_want_int(ji, c->argv[1], "the length of truncate", &length)) ||
        (c->argv[4].kind > HN_JV_NONE &&
         hn_ji_want_int(ji, c->argv[4], "the leeway of truncate", &leeway)))
        return ji->code;
    if (end.kind == HN_JV_MISSING && hn_jv_cstr(ji, "...", &end))
        return ji->code;
    const struct hn_jstr *e;
    if (hn_ji_want_str(ji, end, "the end of truncate", &e))
        return ji->code;
    if (length < (int64_t)e->n_cp || leeway < 0)
        return hn_ji_fail(ji, "truncate needs a length of at least %zu and a leeway of at least 0",
                          e->n_cp);
    bool sized = hn_jv_len(c->argv[0], &n);
    if (sized && (leeway > INT32_MAX || length > INT32_MAX || n <= (size_t)(length + leeway))) {
        *out = c->argv[0];
        return 0;
    }
    if (hn_ji_want_str(ji, c->argv[0], "the value of truncate", &s))
        return ji->code;
    struct hn_str cut = {s->p, hn_jtext_offset(s, (size_t)length - e->n_cp)};
    if (!hn_jv_truth(c->argv[2])) {
        size_t blank = hn_jtext_rfind(cut, (struct hn_str){" ", 1});
        if (blank != SIZE_MAX)
            cut.n = blank;
    }
    struct hn_buf b;
    hn_buf_init(&b);
    hn_buf_add(&b, cut.p, cut.n);
    hn_buf_add(&b, e->p, e->n);
    return hn_jv_str_take(ji, &b, out);
}

static void add_quoted(struct hn_buf *out, const struct hn_jstr *s, bool query)
{
    for (size_t i = 0; i < s->n; i++) {
        unsigned char ch = (unsigned char)s->p[i];
        bool plain = (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') ||
                     (ch && strchr("_.-~", ch)) || (ch == '/' && !query);
        if (plain)
            hn_buf_add_char(out, (char)ch);
        else if (ch == ' ' && query)
            hn_buf_add_char(out, '+');
        else
            hn_buf_printf(out, "%%%02X", ch);
    }
}

static int f_urlencode(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0], list, s;
    struct hn_buf b;
    hn_buf_init(&b);
    if (v.kind == HN_JV_STR || !hn_ji_iterable(v)) {
        if (hn_jv_to_str(ji, v, &s) || hn_ji_step(ji, s.s->n * 2))
            return ji->code;
        add_quoted(&b, s.s, false);
        return hn_jv_str_take(ji, &b, out);
    }
    if (v.kind == HN_JV_DICT) {
        struct hn_jview *view = hn_ji_alloc(ji, 1, sizeof *view);
        if (!view)
            return ji->code;
        *view = (struct hn_jview){v.dict, HN_VIEW_ITEMS};
        v = (struct hn_jv){.kind = HN_JV_VIEW, .view = view};
    }
    if (hn_ji_list_of(ji, v, HN_JV_LIST, &list))
        return ji->code;
    for (size_t i = 0; i < list.list->n && !ji->code; i++) {
        struct hn_jv pair;
        if (hn_ji_list_of(ji, list.list->v[i], HN_JV_TUPLE, &pair))
            break;
        if (pair.list->n != 2) {
            hn_ji_fail(ji, "urlencode needs pairs of a key and a value");
            break;
        }
        if (i)
            hn_buf_add_char(&b, '&');
        for (int k = 0; k < 2 && !ji->code; k++) {
            if (k)
                hn_buf_add_char(&b, '=');
            if (!hn_jv_to_str(ji, pair.list->v[k], &s) && !hn_ji_step(ji, s.s->n * 2))
                add_quoted(&b, s.s, true);
        }
    }
    if (ji->code) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

const struct hn_jbuiltin hn_jfilters_text[] = {
    {"tojson", f_tojson, "x | ensure_ascii indent separators sort_keys"},
    {"trim", f_trim, "value | chars"},
    {"join", f_join, "value | d attribute"},
    {"upper", f_upper, "s"},
    {"lower", f_lower, "s"},
    {"title", f_title, "s"},
    {"capitalize", f_capitalize, "s"},
    {"replace", f_replace, "s old new | count"},
    {"string", f_string, "s"},
    {"indent", f_indent, "s | width first blank"},
    {"escape", f_escape, "-s"},
    {"e", f_escape, "-s"},
    {"forceescape", f_forceescape, "value"},
    {"safe", f_safe, "value"},
    {"format", f_format, NULL},
    {"wordcount", f_wordcount, "s"},
    {"center", f_center, "value | width"},
    {"truncate", f_truncate, "s | length killwords end leeway"},
    {"urlencode", f_urlencode, "value"},
    {0},
};
