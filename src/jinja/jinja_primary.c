/* Parsing of names, literals and brackets, and of what follows them: attributes, items, slices,
 * calls, filters and tests. */
#include "jinja/jinja_ast.h"
#include "jinja/jinja_number.h"

#include <string.h>

static const struct hn_jtok *cur(const struct hn_jparser *p)
{
    return &p->toks[p->i];
}

/* A finished node: its height over its children, which bounds every later walk of the tree. */
struct hn_jnode *hn_jparse_done(struct hn_jparser *p, struct hn_jnode *n)
{
    if (!n || p->code)
        return NULL;
    const struct hn_jnode *parts[] = {n->a, n->b, n->c};
    size_t height = 0;
    for (size_t i = 0; i < HN_COUNT(parts); i++)
        if (parts[i])
            height = HN_MAX(height, parts[i]->height);
    for (size_t i = 0; i < n->n_items; i++)
        height = HN_MAX(height, n->items[i]->height);
    for (size_t i = 0; i < n->n_more; i++)
        height = HN_MAX(height, n->more[i]->height);
    n->height = (uint16_t)(height + 1);
    if (n->height > HN_JINJA_MAX_DEPTH) {
        hn_jparse_fail(p, n->line, "an expression is nested more than %d levels deep",
                       HN_JINJA_MAX_DEPTH);
        return NULL;
    }
    return n;
}

static struct hn_jnode *constant(struct hn_jparser *p, struct hn_jv v, int line)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_CONST, line);
    if (n)
        n->value = v;
    return n;
}

/* ---- primaries ---- */

static struct hn_jnode *name(struct hn_jparser *p, bool with_namespace)
{
    const struct hn_jtok *t = &p->toks[p->i++];
    struct hn_str s = t->text;
    if (hn_str_is(s, "true") || hn_str_is(s, "True"))
        return constant(p, hn_jv_bool(true), t->line);
    if (hn_str_is(s, "false") || hn_str_is(s, "False"))
        return constant(p, hn_jv_bool(false), t->line);
    if (hn_str_is(s, "none") || hn_str_is(s, "None"))
        return constant(p, hn_jv_none(), t->line);
    bool nsref = with_namespace && hn_jparse_skip(p, '.');
    struct hn_jnode *n = hn_jparse_node(p, nsref ? HN_JN_NSREF : HN_JN_NAME, t->line);
    if (!n)
        return NULL;
    n->name = s;
    if (nsref) {
        n->attr = cur(p)->text;
        if (hn_jparse_expect(p, HN_JTOK_NAME))
            return NULL;
    }
    return n;
}

static struct hn_jnode *string(struct hn_jparser *p)
{
    struct hn_buf all;
    struct hn_jv v;
    int line = cur(p)->line;
    hn_buf_init(&all);
    while (cur(p)->kind == HN_JTOK_STRING) {
        hn_buf_add(&all, cur(p)->text.p, cur(p)->text.n);
        p->i++;
    }
    size_t n = all.len;
    char *text = all.failed ? NULL : hn_arena_dup(p->arena, hn_buf_str(&all), n);
    hn_buf_release(&all);
    if (!text || hn_jv_str_view(p->arena, text, n, &v)) {
        p->code = hn_fail_memory(p->err, "reading a chat template");
        return NULL;
    }
    return constant(p, v, line);
}

static struct hn_jnode *number(struct hn_jparser *p)
{
    const struct hn_jtok *t = &p->toks[p->i++];
    struct hn_jv v;
    int rc = hn_jnum_parse_literal(p->arena, t->text, t->kind == HN_JTOK_FLOAT, &v);
    if (rc) {
        hn_jparse_fail(p, t->line, "a number has too many digits");
        return NULL;
    }
    return constant(p, v, t->line);
}

static struct hn_jnode *items(struct hn_jparser *p, enum hn_jnode_kind kind, int close)
{
    int line = p->toks[p->i++].line;
    size_t base = p->n_stack;
    bool first = true;
    while (cur(p)->kind != close) {
        if (!first && hn_jparse_expect(p, ','))
            return NULL;
        if (cur(p)->kind == close)
            break;
        first = false;
        struct hn_jnode *item = hn_jparse_expression(p, true);
        if (!item || hn_jparse_push(p, item))
            return NULL;
        if (kind != HN_JN_DICT)
            continue;
        if (hn_jparse_expect(p, ':') || !(item = hn_jparse_expression(p, true)) ||
            hn_jparse_push(p, item))
            return NULL;
    }
    struct hn_jnode *n = hn_jparse_node(p, kind, line);
    if (!n || hn_jparse_expect(p, close) || hn_jparse_pop(p, base, &n->items, &n->n_items))
        return NULL;
    return hn_jparse_done(p, n);
}

struct hn_jnode *hn_jparse_primary(struct hn_jparser *p, bool with_namespace)
{
    char buf[80];
    switch (cur(p)->kind) {
    case HN_JTOK_NAME:
        return name(p, with_namespace);
    case HN_JTOK_STRING:
        return string(p);
    case HN_JTOK_INT:
    case HN_JTOK_FLOAT:
        return number(p);
    case '[':
        return items(p, HN_JN_LIST, ']');
    case '{':
        return items(p, HN_JN_DICT, '}');
    case '(': {
        p->i++;
        struct hn_jnode *n = hn_jparse_tuple(p, false, true, NULL, true, false);
        return !n || hn_jparse_expect(p, ')') ? NULL : n;
    }
    default:
        hn_jparse_fail(p, cur(p)->line, "found %s, expected an expression",
                       hn_jparse_describe(cur(p), buf, sizeof buf));
        return NULL;
    }
}

static bool tuple_end(const struct hn_jparser *p, const char *end_name)
{
    int k = cur(p)->kind;
    return k == HN_JTOK_VAR_END || k == HN_JTOK_BLOCK_END || k == ')' ||
           (end_name && hn_jparse_is_name(p, end_name));
}

struct hn_jnode *hn_jparse_tuple(struct hn_jparser *p, bool simplified, bool with_condition,
                                 const char *end_name, bool parentheses, bool with_namespace)
{
    int line = cur(p)->line;
    size_t base = p->n_stack;
    bool is_tuple = false;
    char buf[80];
    for (;;) {
        if (p->n_stack > base && hn_jparse_expect(p, ','))
            return NULL;
        if (tuple_end(p, end_name))
            break;
        struct hn_jnode *item = simplified ? hn_jparse_primary(p, with_namespace)
                                           : hn_jparse_expression(p, with_condition);
        if (!item || hn_jparse_push(p, item))
            return NULL;
        if (cur(p)->kind != ',')
            break;
        is_tuple = true;
    }
    if (!is_tuple && p->n_stack > base)
        return p->stack[--p->n_stack];
    if (!is_tuple && !parentheses) {
        hn_jparse_fail(p, cur(p)->line, "found %s, expected an expression",
                       hn_jparse_describe(cur(p), buf, sizeof buf));
        return NULL;
    }
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_TUPLE, line);
    return !n || hn_jparse_pop(p, base, &n->items, &n->n_items) ? NULL : hn_jparse_done(p, n);
}

/* ---- what follows a primary ---- */

static int bad_call(struct hn_jparser *p, int line)
{
    return hn_jparse_fail(p, line,
                          "the arguments of a call are out of order (positional, then named, then "
                          "*list, then **dict)");
}

/* "(args)" into n's items, more (keywords), b (*args), c (**kwargs) */
static int call_args(struct hn_jparser *p, struct hn_jnode *n)
{
    int line = cur(p)->line;
    if (hn_jparse_expect(p, '('))
        return p->code;
    size_t base = p->n_stack, n_keywords = 0;
    bool comma = false;
    while (cur(p)->kind != ')') {
        if (comma && hn_jparse_expect(p, ','))
            return p->code;
        if (cur(p)->kind == ')')
            break;
        comma = true;
        struct hn_jnode *arg;
        if (cur(p)->kind == '*') {
            p->i++;
            if (n->b || n->c)
                return bad_call(p, line);
            if (!(n->b = hn_jparse_expression(p, true)))
                return p->code;
        } else if (cur(p)->kind == HN_JTOK_POW) {
            p->i++;
            if (n->c)
                return bad_call(p, line);
            if (!(n->c = hn_jparse_expression(p, true)))
                return p->code;
        } else if (cur(p)->kind == HN_JTOK_NAME && p->toks[p->i + 1].kind == '=') {
            if (n->c)
                return bad_call(p, line);
            arg = hn_jparse_node(p, HN_JN_KEYWORD, cur(p)->line);
            if (!arg)
                return p->code;
            arg->name = cur(p)->text;
            p->i += 2;
            for (size_t k = p->n_stack - n_keywords; k < p->n_stack; k++)
                if (hn_str_eq(p->stack[k]->name, arg->name))
                    return hn_jparse_fail(p, line, "the argument '%.*s' is given twice",
                                          (int)arg->name.n, arg->name.p);
            n_keywords++;
            if (!(arg->a = hn_jparse_expression(p, true)) || !hn_jparse_done(p, arg) ||
                hn_jparse_push(p, arg))
                return p->code;
        } else {
            if (n->b || n->c || n_keywords)
                return bad_call(p, line);
            if (!(arg = hn_jparse_expression(p, true)) || hn_jparse_push(p, arg))
                return p->code;
        }
    }
    if (hn_jparse_expect(p, ')') ||
        hn_jparse_pop(p, p->n_stack - n_keywords, &n->more, &n->n_more) ||
        hn_jparse_pop(p, base, &n->items, &n->n_items))
        return p->code;
    return 0;
}

static struct hn_jnode *call(struct hn_jparser *p, struct hn_jnode *callee)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_CALL, cur(p)->line);
    if (!n)
        return NULL;
    n->a = callee;
    return call_args(p, n) ? NULL : hn_jparse_done(p, n);
}

static bool slice_end(const struct hn_jparser *p)
{
    return cur(p)->kind == ']' || cur(p)->kind == ',' || cur(p)->kind == ':';
}

static struct hn_jnode *subscribed(struct hn_jparser *p)
{
    int line = cur(p)->line;
    struct hn_jnode *start = NULL;
    if (cur(p)->kind != ':') {
        start = hn_jparse_expression(p, true);
        if (!start || cur(p)->kind != ':')
            return start;
    }
    p->i++;
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_SLICE, line);
    if (!n)
        return NULL;
    n->a = start;
    if (!slice_end(p) && !(n->b = hn_jparse_expression(p, true)))
        return NULL;
    if (hn_jparse_skip(p, ':') && !slice_end(p) && !(n->c = hn_jparse_expression(p, true)))
        return NULL;
    return hn_jparse_done(p, n);
}

static struct hn_jnode *item_of(struct hn_jparser *p, struct hn_jnode *of, struct hn_jnode *key)
{
    struct hn_jnode *n = key ? hn_jparse_node(p, HN_JN_ITEM, of->line) : NULL;
    if (n)
        n->a = of, n->b = key;
    return hn_jparse_done(p, n);
}

static struct hn_jnode *subscript(struct hn_jparser *p, struct hn_jnode *of)
{
    const struct hn_jtok *t = &p->toks[p->i++];
    if (t->kind == '.') {
        if (cur(p)->kind == HN_JTOK_NAME) {
            struct hn_jnode *n = hn_jparse_node(p, HN_JN_ATTR, t->line);
            if (n)
                n->a = of, n->name = p->toks[p->i++].text;
            return hn_jparse_done(p, n);
        }
        if (cur(p)->kind != HN_JTOK_INT) {
            hn_jparse_fail(p, cur(p)->line, "a '.' must be followed by a name or a number");
            return NULL;
        }
        return item_of(p, of, number(p));
    }
    size_t base = p->n_stack;
    while (cur(p)->kind != ']') {
        if (p->n_stack > base && hn_jparse_expect(p, ','))
            return NULL;
        struct hn_jnode *part = subscribed(p);
        if (!part || hn_jparse_push(p, part))
            return NULL;
    }
    if (hn_jparse_expect(p, ']'))
        return NULL;
    if (p->n_stack == base + 1)
        return item_of(p, of, p->stack[--p->n_stack]);
    for (size_t k = base; k < p->n_stack; k++)
        if (p->stack[k]->kind == HN_JN_SLICE) {
            hn_jparse_fail(p, t->line, "a slice cannot be part of a tuple");
            return NULL;
        }
    struct hn_jnode *key = hn_jparse_node(p, HN_JN_TUPLE, t->line);
    if (!key || hn_jparse_pop(p, base, &key->items, &key->n_items) || !hn_jparse_done(p, key))
        return NULL;
    return item_of(p, of, key);
}

struct hn_jnode *hn_jparse_postfix(struct hn_jparser *p, struct hn_jnode *n)
{
    while (n) {
        if (cur(p)->kind == '.' || cur(p)->kind == '[')
            n = subscript(p, n);
        else if (cur(p)->kind == '(')
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* "name" or "a.b" of a filter or test (no such name is known, and it may never be reached) */
static int dotted_name(struct hn_jparser *p, struct hn_str *out)
{
    *out = cur(p)->text;
    if (hn_jparse_expect(p, HN_JTOK_NAME))
        return p->code;
    while (hn_jparse_skip(p, '.')) {
        struct hn_str more = cur(p)->text;
        out->n = (size_t)(more.p + more.n - out->p);
        if (hn_jparse_expect(p, HN_JTOK_NAME))
            return p->code;
    }
    return 0;
}

struct hn_jnode *hn_jparse_filters(struct hn_jparser *p, struct hn_jnode *node, bool inline_start)
{
    while (cur(p)->kind == '|' || inline_start) {
        if (!inline_start)
            p->i++;
        inline_start = false;
        struct hn_jnode *n = hn_jparse_node(p, HN_JN_FILTER, cur(p)->line);
        if (!n || dotted_name(p, &n->name))
            return NULL;
        n->a = node;
        if (cur(p)->kind == '(' && call_args(p, n))
            return NULL;
        if (!(node = hn_jparse_done(p, n)))
            return NULL;
    }
    return node;
}

static struct hn_jnode *test(struct hn_jparser *p, struct hn_jnode *of)
{
    int line = p->toks[p->i++].line;
    bool negated = hn_jparse_skip_name(p, "not");
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_TEST, line);
    if (!n || dotted_name(p, &n->name))
        return NULL;
    n->a = of;
    int k = cur(p)->kind;
    if (k == '(') {
        if (call_args(p, n))
            return NULL;
    } else if ((k == HN_JTOK_NAME || k == HN_JTOK_STRING || k == HN_JTOK_INT ||
                k == HN_JTOK_FLOAT || k == '[' || k == '{') &&
               !hn_jparse_is_name(p, "else") && !hn_jparse_is_name(p, "or") &&
               !hn_jparse_is_name(p, "and")) {
        if (hn_jparse_is_name(p, "is")) {
            hn_jparse_fail(p, line, "tests cannot be chained with 'is'");
            return NULL;
        }
        size_t base = p->n_stack;
        struct hn_jnode *arg = hn_jparse_postfix(p, hn_jparse_primary(p, false));
        if (!arg || hn_jparse_push(p, arg) || hn_jparse_pop(p, base, &n->items, &n->n_items))
            return NULL;
    }
    if (!hn_jparse_done(p, n) || !negated)
        return p->code ? NULL : n;
    struct hn_jnode *not = hn_jparse_node(p, HN_JN_NOT, line);
    if (not )
        not ->a = n;
    return hn_jparse_done(p, not );
}

struct hn_jnode *hn_jparse_filter_expr(struct hn_jparser *p, struct hn_jnode *n)
{
    while (n) {
        if (cur(p)->kind == '|')
            n = hn_jparse_filters(p, n, false);
        else if (hn_jparse_is_name(p, "is"))
            n = test(p, n);
        else if (cur(p)->kind == '(')
            n = call(p, n);
        else
            break;
    }
    return n;
}
