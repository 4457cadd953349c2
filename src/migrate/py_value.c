#include "migrate/py_value.h"

#include <string.h>
#include "base/json.h"
#include "conf/value.h"

struct hn_py_value *hn_py_value_new(struct hn_arena *arena, enum hn_py_type type,
                                    const struct hn_py_node *node)
{
    struct hn_py_value *v = hn_arena_alloc(arena, 1, sizeof *v);
    if (!v)
        return NULL;
    v->type = type;
    v->text = v->path = (struct hn_str){"", 0};
    v->source = v->text;
    if (node) {
        v->source = node->source.p ? node->source : node->text;
        v->cell = node->cell;
        v->line = node->line;
    }
    return v;
}

struct hn_py_value *hn_py_value_str(struct hn_arena *arena, const char *p, size_t n)
{
    struct hn_py_value *v = hn_py_value_new(arena, HN_PY_STR, NULL);
    char *copy = v ? hn_arena_dup(arena, p, n) : NULL;
    if (!copy)
        return NULL;
    v->text = (struct hn_str){copy, n};
    return v;
}

struct hn_py_value *hn_py_value_scalar(struct hn_arena *arena, struct hn_str text)
{
    struct hn_py_value v = {.type = HN_PY_STR};
    bool truth = hn_str_is(text, "true") || hn_str_is(text, "True");
    if (text.n == 0 || hn_str_is(text, "null") || hn_str_is(text, "~"))
        v.type = HN_PY_NONE;
    else if (truth || hn_str_is(text, "false") || hn_str_is(text, "False"))
        v.type = HN_PY_BOOL;
    else if (hn_text_int(text.p, text.n, &v.integer))
        v.type = HN_PY_INT;
    else if (hn_text_float(text.p, text.n, &v.number))
        v.type = HN_PY_FLOAT;
    else
        return hn_py_value_str(arena, text.p, text.n);
    struct hn_py_value *out = hn_py_value_new(arena, v.type, NULL);
    if (out) {
        out->boolean = truth;
        out->integer = v.integer;
        out->number = v.number;
    }
    return out;
}

void hn_py_value_add(struct hn_arena *arena, struct hn_py_value *to, struct hn_str key,
                     struct hn_py_value *value, const struct hn_py_node *where)
{
    if (!to || !value)
        return;
    if (to->n >= HN_PY_MAX_ITEMS) {
        to->open = true;
        return;
    }
    struct hn_py_item *item = hn_arena_alloc(arena, 1, sizeof *item);
    if (!item)
        return;
    item->key = key;
    item->value = value;
    item->cell = where ? where->cell : value->cell;
    item->line = where ? where->line : value->line;
    if (to->last)
        to->last->next = item;
    else
        to->first = item;
    to->last = item;
    to->n++;
}

void hn_py_value_place(struct hn_py_value *v, unsigned cell, unsigned line, unsigned depth)
{
    for (struct hn_py_item *i = depth < HN_PY_MAX_DEPTH ? v->first : NULL; i; i = i->next) {
        i->cell = cell;
        i->line = line;
        hn_py_value_place(i->value, cell, line, depth + 1);
    }
}

const struct hn_py_item *hn_py_value_find(const struct hn_py_value *v, const char *key)
{
    const struct hn_py_item *found = NULL;
    for (const struct hn_py_item *i = v ? v->first : NULL; i; i = i->next)
        if (i->key.p && hn_str_is(i->key, key))
            found = i;
    return found;
}

const struct hn_py_value *hn_py_value_get(const struct hn_py_value *v, const char *key)
{
    const struct hn_py_item *item = hn_py_value_find(v, key);
    return item ? item->value : NULL;
}

const struct hn_py_value *hn_py_value_at(const struct hn_py_value *v, size_t i)
{
    for (const struct hn_py_item *item = v ? v->first : NULL; item; item = item->next) {
        if (!item->key.p && i-- == 0)
            return item->value;
    }
    return NULL;
}

bool hn_py_is_number(const struct hn_py_value *v, double *out)
{
    if (!v || (v->type != HN_PY_INT && v->type != HN_PY_FLOAT))
        return false;
    *out = v->type == HN_PY_INT ? (double)v->integer : v->number;
    return true;
}

bool hn_py_is_text(const struct hn_py_value *v, const char *text)
{
    return v && v->type == HN_PY_STR && hn_str_is(v->text, text);
}

bool hn_py_is_same(const struct hn_py_value *a, const struct hn_py_value *b)
{
    return a == b || (a && b && a->type == b->type && a->source.p && a->source.n &&
                      a->source.p == b->source.p && a->source.n == b->source.n);
}

int hn_py_truth(const struct hn_py_value *v)
{
    switch (v ? v->type : HN_PY_UNKNOWN) {
    case HN_PY_NONE:
        return 0;
    case HN_PY_BOOL:
        return v->boolean;
    case HN_PY_INT:
        return v->integer != 0;
    case HN_PY_FLOAT:
        return v->number != 0;
    case HN_PY_STR:
        return v->text.n > 0;
    case HN_PY_LIST:
    case HN_PY_TUPLE:
    case HN_PY_DICT:
        return v->open ? -1 : v->n > 0;
    case HN_PY_OBJECT:
    case HN_PY_UNKNOWN:
        break;
    }
    return -1;
}

/* A list may hold the same list many times over: the budget bounds what is looked at. */
static bool is_constant(const struct hn_py_value *v, unsigned depth, size_t *budget)
{
    if (!v || v->type == HN_PY_UNKNOWN || v->type == HN_PY_OBJECT || v->open || depth > 8)
        return false;
    for (const struct hn_py_item *i = v->first; i; i = i->next)
        if (!*budget || !is_constant(i->value, depth + 1, (--*budget, budget)))
            return false;
    return true;
}

bool hn_py_is_constant(const struct hn_py_value *v)
{
    size_t budget = HN_PY_MAX_ITEMS;
    return is_constant(v, 0, &budget);
}

/* ---- as text --------------------------------------------------------------------------------- */

enum { MAX_SHOWN = 400 };

/* Source on one line: runs of white space are one space. */
static void show_source(struct hn_buf *out, struct hn_str s)
{
    bool space = false;
    for (size_t i = 0; i < s.n && i < MAX_SHOWN; i++) {
        char c = s.p[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            space = true;
            continue;
        }
        if (space)
            hn_buf_add_char(out, ' ');
        space = false;
        hn_buf_add_char(out, c);
    }
    if (s.n > MAX_SHOWN)
        hn_buf_add_str(out, "…");
}

static void show_text(struct hn_buf *out, struct hn_str s)
{
    hn_buf_add_char(out, '"');
    for (size_t i = 0; i < s.n && i < MAX_SHOWN; i++) {
        char c = s.p[i];
        if (c == '\n')
            hn_buf_add_str(out, "\\n");
        else if (c == '"' || c == '\\')
            hn_buf_printf(out, "\\%c", c);
        else
            hn_buf_add_char(out, (unsigned char)c < 0x20 ? ' ' : c);
    }
    hn_buf_add_str(out, s.n > MAX_SHOWN ? "…\"" : "\"");
}

static void show(struct hn_buf *out, const struct hn_py_value *v, unsigned depth)
{
    char number[32];
    const char *brackets = "[]";
    if (!v)
        return;
    switch (v->type) {
    case HN_PY_NONE:
        hn_buf_add_str(out, "None");
        return;
    case HN_PY_BOOL:
        hn_buf_add_str(out, v->boolean ? "True" : "False");
        return;
    case HN_PY_INT:
        hn_buf_printf(out, "%lld", (long long)v->integer);
        return;
    case HN_PY_FLOAT:
        hn_double_repr(v->number, number);
        hn_buf_add_str(out, number);
        return;
    case HN_PY_STR:
        show_text(out, v->text);
        return;
    case HN_PY_UNKNOWN:
    case HN_PY_OBJECT:
        show_source(out, v->source);
        return;
    case HN_PY_TUPLE:
        brackets = "()";
        break;
    case HN_PY_DICT:
        brackets = "{}";
        break;
    case HN_PY_LIST:
        break;
    }
    if (depth > 4) {
        hn_buf_add_str(out, "…");
        return;
    }
    if (v->open && !v->n) { /* [f(x) for x in …] */
        show_source(out, v->source);
        return;
    }
    hn_buf_add_char(out, brackets[0]);
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        if (out->len > 4 * MAX_SHOWN) {
            hn_buf_add_str(out, "…");
            break;
        }
        if (v->type == HN_PY_DICT) {
            show_text(out, i->key);
            hn_buf_add_str(out, ": ");
        }
        show(out, i->value, depth + 1);
        if (i->next)
            hn_buf_add_str(out, ", ");
    }
    hn_buf_add_char(out, brackets[1]);
}

void hn_py_value_show(struct hn_buf *out, const struct hn_py_value *v)
{
    show(out, v, 0);
}

struct hn_str hn_py_last(struct hn_str path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '.')
            return (struct hn_str){path.p + i, path.n - i};
    return path;
}

bool hn_py_path_ends(struct hn_str path, const char *name)
{
    size_t n = strlen(name);
    return path.n >= n && memcmp(path.p + path.n - n, name, n) == 0 &&
           (path.n == n || path.p[path.n - n - 1] == '.');
}

bool hn_str_has(struct hn_str s, struct hn_str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (memcmp(s.p + i, part.p, part.n) == 0)
            return true;
    return false;
}

bool hn_str_contains(struct hn_str s, const char *part)
{
    return hn_str_has(s, hn_str_of(part));
}

bool hn_str_ends(struct hn_str s, const char *end)
{
    size_t n = strlen(end);
    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}
