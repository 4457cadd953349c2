/* Values as text: Python's str and repr, and json.dumps as transformers' tojson calls it. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_number.h"
#include "jinja/jinja_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_quoted(struct hn_buf *out, const struct hn_jstr *s)
{
    bool single = memchr(s->p, '\'', s->n), twice = memchr(s->p, '"', s->n);
    char quote = single && !twice ? '"' : '\'';
    hn_buf_add_char(out, quote);
    for (size_t i = 0; i < s->n;) {
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        if (cp == (uint32_t)quote || cp == '\\') {
            hn_buf_add_char(out, '\\');
            hn_buf_add_char(out, (char)cp);
        } else if (cp == '\n' || cp == '\r' || cp == '\t') {
            hn_buf_add_str(out, cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : "\\t");
        } else if (hn_jtext_is_printable(cp)) {
            hn_jtext_add_cp(out, cp);
        } else {
            hn_buf_printf(out, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        }
    }
    hn_buf_add_char(out, quote);
}

static int add_items(struct hn_ji *ji, struct hn_buf *out, const struct hn_jlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            hn_buf_add_str(out, ", ");
        if (hn_jv_add_repr(ji, out, l->v[i]))
            return ji->code;
    }
    return 0;
}

static int add_pairs(struct hn_ji *ji, struct hn_buf *out, const struct hn_jdict *d)
{
    hn_buf_add_char(out, '{');
    for (size_t i = 0; i < d->n; i++) {
        if (i)
            hn_buf_add_str(out, ", ");
        if (hn_jv_add_repr(ji, out, d->pairs[i].key))
            return ji->code;
        hn_buf_add_str(out, ": ");
        if (hn_jv_add_repr(ji, out, d->pairs[i].value))
            return ji->code;
    }
    hn_buf_add_char(out, '}');
    return 0;
}

static int add_view(struct hn_ji *ji, struct hn_buf *out, const struct hn_jview *v)
{
    static const char *const names[] = {"dict_keys", "dict_values", "dict_items"};
    hn_buf_printf(out, "%s([", names[v->what]);
    for (size_t i = 0; i < v->dict->n; i++) {
        const struct hn_jpair *p = &v->dict->pairs[i];
        if (i)
            hn_buf_add_str(out, ", ");
        if (v->what == HN_VIEW_ITEMS)
            hn_buf_add_char(out, '(');
        if (v->what != HN_VIEW_VALUES && hn_jv_add_repr(ji, out, p->key))
            return ji->code;
        if (v->what == HN_VIEW_ITEMS)
            hn_buf_add_str(out, ", ");
        if (v->what != HN_VIEW_KEYS && hn_jv_add_repr(ji, out, p->value))
            return ji->code;
        if (v->what == HN_VIEW_ITEMS)
            hn_buf_add_char(out, ')');
    }
    hn_buf_add_str(out, "])");
    return 0;
}

static int add_loop(struct hn_ji *ji, struct hn_buf *out, struct hn_jloop *loop)
{
    int64_t n;
    if (hn_ji_loop_length(ji, loop, &n))
        return ji->code;
    hn_buf_printf(out, "<LoopContext %lld/%lld>", (long long)loop->index0 + 1, (long long)n);
    return 0;
}

static int add_container(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v)
{
    int rc = 0;
    switch (v.kind) {
    case HN_JV_LIST:
        hn_buf_add_char(out, '[');
        rc = add_items(ji, out, v.list);
        hn_buf_add_char(out, ']');
        break;
    case HN_JV_TUPLE:
        hn_buf_add_char(out, '(');
        rc = add_items(ji, out, v.list);
        hn_buf_add_str(out, v.list->n == 1 ? ",)" : ")");
        break;
    case HN_JV_DICT:
        rc = add_pairs(ji, out, v.dict);
        break;
    case HN_JV_NAMESPACE:
        hn_buf_add_str(out, "<Namespace ");
        rc = add_pairs(ji, out, v.dict);
        hn_buf_add_char(out, '>');
        break;
    case HN_JV_VIEW:
        rc = add_view(ji, out, v.view);
        break;
    case HN_JV_RANGE:
        hn_buf_printf(out, "range(%lld, %lld", (long long)v.range->start, (long long)v.range->stop);
        if (v.range->step != 1)
            hn_buf_printf(out, ", %lld", (long long)v.range->step);
        hn_buf_add_char(out, ')');
        break;
    case HN_JV_LOOP:
        rc = add_loop(ji, out, v.loop);
        break;
    case HN_JV_MACRO:
        if (v.macro->node->kind == HN_JN_MACRO)
            hn_buf_printf(out, "<Macro '%.*s'>", (int)v.macro->node->name.n, v.macro->node->name.p);
        else
            hn_buf_add_str(out, "<Macro anonymous>");
        break;
    default: /* Python shows an address here, which no template can mean */
        hn_buf_printf(out, "<%s object>", hn_jv_type_name(v));
    }
    return rc;
}

int hn_jv_add_repr(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v)
{
    if (hn_ji_step(ji, v.kind == HN_JV_STR ? v.s->n : 0))
        return ji->code;
    if (out->len > HN_JINJA_MAX_OUTPUT)
        return hn_ji_fail(ji, "a text is longer than %d MiB", HN_JINJA_MAX_OUTPUT >> 20);
    switch (v.kind) {
    case HN_JV_MISSING:
    case HN_JV_UNDEF:
        hn_buf_add_str(out, "Undefined");
        return 0;
    case HN_JV_NONE:
        hn_buf_add_str(out, "None");
        return 0;
    case HN_JV_BOOL:
        hn_buf_add_str(out, v.b ? "True" : "False");
        return 0;
    case HN_JV_INT:
    case HN_JV_BIG:
    case HN_JV_FLOAT:
        hn_jnum_add_text(out, v);
        return 0;
    case HN_JV_STR:
        if (v.safe)
            hn_buf_add_str(out, "Markup(");
        add_quoted(out, v.s);
        if (v.safe)
            hn_buf_add_char(out, ')');
        return 0;
    default:
        if (hn_ji_enter(ji))
            return ji->code;
        int rc = add_container(ji, out, v);
        hn_ji_leave(ji);
        return rc;
    }
}

int hn_jv_add_str(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v)
{
    if (v.kind == HN_JV_STR)
        hn_buf_add(out, v.s->p, v.s->n);
    else if (v.kind != HN_JV_UNDEF && v.kind != HN_JV_MISSING)
        return hn_jv_add_repr(ji, out, v);
    return 0;
}

int hn_jv_to_str(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out)
{
    struct hn_buf b;
    if (v.kind == HN_JV_STR) {
        *out = v;
        return 0;
    }
    hn_buf_init(&b);
    int rc = hn_jv_add_str(ji, &b, v);
    if (rc) {
        hn_buf_release(&b);
        return rc;
    }
    return hn_jv_str_take(ji, &b, out);
}

/* ---- JSON ---- */

static void json_string(struct hn_buf *out, const struct hn_jstr *s, bool ensure_ascii)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    hn_buf_add_char(out, '"');
    for (size_t i = 0; i < s->n;) {
        uint32_t cp = hn_jtext_next(s->p, s->n, &i);
        const char *at = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
        if (at) {
            hn_buf_add_char(out, '\\');
            hn_buf_add_char(out, to[at - from]);
        } else if (cp < 0x20) {
            hn_buf_printf(out, "\\u%04x", cp);
        } else if (cp < 0x80 || !ensure_ascii) {
            hn_jtext_add_cp(out, cp);
        } else if (cp >= 0x10000) {
            hn_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
                          0xdc00 + ((cp - 0x10000) & 0x3ff));
        } else {
            hn_buf_printf(out, "\\u%04x", cp);
        }
    }
    hn_buf_add_char(out, '"');
}

static void json_number(struct hn_buf *out, struct hn_jv v)
{
    if (v.kind == HN_JV_BOOL)
        hn_buf_add_str(out, v.b ? "true" : "false");
    else if (v.kind == HN_JV_FLOAT && !isfinite(v.f))
        hn_buf_add_str(out, isnan(v.f) ? "NaN" : v.f < 0 ? "-Infinity" : "Infinity");
    else
        hn_jnum_add_text(out, v);
}

static void new_line(struct hn_buf *out, const struct hn_jdump *d, int depth)
{
    hn_buf_add_char(out, '\n');
    for (int i = 0; i < depth; i++)
        hn_buf_add(out, d->indent.p, d->indent.n);
}

static int json(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, const struct hn_jdump *d,
                int depth);

static int json_key(struct hn_ji *ji, struct hn_buf *out, struct hn_jv key,
                    const struct hn_jdump *d)
{
    if (key.kind == HN_JV_STR) {
        json_string(out, key.s, d->ensure_ascii);
        return 0;
    }
    if (!hn_jv_is_number(key) && key.kind != HN_JV_NONE)
        return hn_ji_fail(ji, "a %s cannot be the key of a JSON object", hn_jv_type_name(key));
    hn_buf_add_char(out, '"');
    if (key.kind == HN_JV_NONE)
        hn_buf_add_str(out, "null");
    else
        json_number(out, key);
    hn_buf_add_char(out, '"');
    return 0;
}

static int json_items(struct hn_ji *ji, struct hn_buf *out, const struct hn_jpair *pairs,
                      const struct hn_jv *items, size_t n, const struct hn_jdump *d, int depth)
{
    hn_buf_add_char(out, pairs ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            hn_buf_add(out, d->item_sep.p, d->item_sep.n);
        if (d->has_indent)
            new_line(out, d, depth + 1);
        if (pairs) {
            if (json_key(ji, out, pairs[i].key, d))
                return ji->code;
            hn_buf_add(out, d->key_sep.p, d->key_sep.n);
        }
        if (json(ji, out, pairs ? pairs[i].value : items[i], d, depth + 1))
            return ji->code;
    }
    if (n && d->has_indent)
        new_line(out, d, depth);
    hn_buf_add_char(out, pairs ? '}' : ']');
    return 0;
}

/* Insertion by merging halves: stable, and a failing comparison stops it. */
static int sort_pairs(struct hn_ji *ji, struct hn_jpair *v, struct hn_jpair *spare, size_t n)
{
    if (n < 2)
        return 0;
    size_t half = n / 2, a = 0, b = half, k = 0;
    if (sort_pairs(ji, v, spare, half) || sort_pairs(ji, v + half, spare, n - half))
        return ji->code;
    while (a < half && b < n) {
        int order;
        if (hn_jv_compare(ji, v[b].key, v[a].key, &order))
            return ji->code;
        spare[k++] = order < 0 ? v[b++] : v[a++];
    }
    while (a < half)
        spare[k++] = v[a++];
    memcpy(v, spare, k * sizeof *v);
    return 0;
}

static int json_dict(struct hn_ji *ji, struct hn_buf *out, const struct hn_jdict *dict,
                     const struct hn_jdump *d, int depth)
{
    static const struct hn_jpair none;
    const struct hn_jpair *pairs = dict->n ? dict->pairs : &none;
    if (d->sort_keys && dict->n > 1) {
        struct hn_jpair *sorted = hn_ji_alloc(ji, dict->n * 2, sizeof *sorted);
        if (!sorted)
            return ji->code;
        memcpy(sorted, dict->pairs, dict->n * sizeof *sorted);
        if (sort_pairs(ji, sorted, sorted + dict->n, dict->n))
            return ji->code;
        pairs = sorted;
    }
    return json_items(ji, out, pairs, NULL, dict->n, d, depth);
}

static int json(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, const struct hn_jdump *d,
                int depth)
{
    if (hn_ji_step(ji, v.kind == HN_JV_STR ? v.s->n : (size_t)depth * d->indent.n))
        return ji->code;
    if (out->len > HN_JINJA_MAX_OUTPUT)
        return hn_ji_fail(ji, "a text is longer than %d MiB", HN_JINJA_MAX_OUTPUT >> 20);
    switch (v.kind) {
    case HN_JV_NONE:
        hn_buf_add_str(out, "null");
        return 0;
    case HN_JV_BOOL:
    case HN_JV_INT:
    case HN_JV_BIG:
    case HN_JV_FLOAT:
        json_number(out, v);
        return 0;
    case HN_JV_STR:
        json_string(out, v.s, d->ensure_ascii);
        return 0;
    case HN_JV_LIST:
    case HN_JV_TUPLE:
    case HN_JV_DICT: {
        if (hn_ji_enter(ji))
            return ji->code;
        int rc = v.kind == HN_JV_DICT ? json_dict(ji, out, v.dict, d, depth)
                                      : json_items(ji, out, NULL, v.list->v, v.list->n, d, depth);
        hn_ji_leave(ji);
        return rc;
    }
    default:
        return hn_ji_fail(ji, "a value of type %s cannot be written as JSON", hn_jv_type_name(v));
    }
}

int hn_jv_add_json(struct hn_ji *ji, struct hn_buf *out, struct hn_jv v, const struct hn_jdump *d)
{
    return json(ji, out, v, d, 0);
}
