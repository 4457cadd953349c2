/* Parsing of statements: tokens to the tree, and the small tools that both parser files use. */
#include "jinja/jinja_ast.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct hn_jtok *cur(const struct hn_jparser *p)
{
    return &p->toks[p->i];
}

int hn_jparse_fail(struct hn_jparser *p, int line, const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return p->code = hn_fail(p->err, HONE_FAILED, "line %d: %s", line, what);
}

static int no_memory(struct hn_jparser *p)
{
    return p->code = hn_fail_memory(p->err, "reading a chat template");
}

struct hn_jnode *hn_jparse_node(struct hn_jparser *p, enum hn_jnode_kind kind, int line)
{
    struct hn_jnode *n = hn_arena_alloc(p->arena, 1, sizeof *n);
    if (!n) {
        no_memory(p);
        return NULL;
    }
    n->kind = (uint8_t)kind;
    n->line = line;
    return n;
}

int hn_jparse_push(struct hn_jparser *p, struct hn_jnode *n)
{
    if (hn_grow((void **)&p->stack, &p->cap_stack, p->n_stack + 1, sizeof *p->stack))
        return no_memory(p);
    p->stack[p->n_stack++] = n;
    return 0;
}

int hn_jparse_pop(struct hn_jparser *p, size_t base, struct hn_jnode ***items, size_t *n)
{
    *n = p->n_stack - base;
    *items = NULL;
    if (*n) {
        *items = hn_arena_alloc(p->arena, *n, sizeof **items);
        if (!*items)
            return no_memory(p);
        memcpy(*items, p->stack + base, *n * sizeof **items);
    }
    p->n_stack = base;
    return 0;
}

bool hn_jparse_is_name(const struct hn_jparser *p, const char *name)
{
    return cur(p)->kind == HN_JTOK_NAME && hn_str_is(cur(p)->text, name);
}

bool hn_jparse_skip(struct hn_jparser *p, int kind)
{
    bool found = cur(p)->kind == kind;
    p->i += found;
    return found;
}

bool hn_jparse_skip_name(struct hn_jparser *p, const char *name)
{
    bool found = hn_jparse_is_name(p, name);
    p->i += found;
    return found;
}

const char *hn_jparse_describe(const struct hn_jtok *t, char *buf, size_t size)
{
    switch (t->kind) {
    case HN_JTOK_EOF:
        return "the end of the template";
    case HN_JTOK_DATA:
        return "text";
    case HN_JTOK_BLOCK_BEGIN:
        return "'{%'";
    case HN_JTOK_BLOCK_END:
        return "'%}'";
    case HN_JTOK_VAR_BEGIN:
        return "'{{'";
    case HN_JTOK_VAR_END:
        return "'}}'";
    case HN_JTOK_STRING:
        return "a string";
    case 0:
        return "nothing";
    default:
        snprintf(buf, size, "'%.*s'", (int)HN_MIN(t->text.n, size - 3), t->text.p);
        return buf;
    }
}

int hn_jparse_expect(struct hn_jparser *p, int kind)
{
    char found[80], wanted[8];
    if (cur(p)->kind == kind) {
        p->i += kind != HN_JTOK_EOF;
        return 0;
    }
    struct hn_jtok want = {.kind = kind, .text = {wanted, 1}};
    snprintf(wanted, sizeof wanted, "%c", kind < 128 ? kind : '?');
    char text[8];
    return hn_jparse_fail(
        p, cur(p)->line, "found %s, expected %s", hn_jparse_describe(cur(p), found, sizeof found),
        kind == HN_JTOK_NAME ? "a name" : hn_jparse_describe(&want, text, sizeof text));
}

int hn_jparse_enter(struct hn_jparser *p)
{
    if (++p->depth > HN_JINJA_MAX_NESTING)
        return hn_jparse_fail(p, cur(p)->line, "nested more than %d levels deep",
                              HN_JINJA_MAX_NESTING);
    return 0;
}

/* ---- statements ---- */

static int subparse(struct hn_jparser *p, const char *const *ends);

static int expect_name(struct hn_jparser *p, const char *name)
{
    char buf[80];
    if (hn_jparse_skip_name(p, name))
        return 0;
    return hn_jparse_fail(p, cur(p)->line, "found %s, expected '%s'",
                          hn_jparse_describe(cur(p), buf, sizeof buf), name);
}

/* The statements up to one of the tags in ends (NULL-terminated), whose name is the current token
 * afterwards. */
static int body(struct hn_jparser *p, const char *const *ends, struct hn_jnode ***items, size_t *n)
{
    size_t base = p->n_stack;
    hn_jparse_skip(p, ':');
    if (hn_jparse_expect(p, HN_JTOK_BLOCK_END) || subparse(p, ends))
        return p->code;
    if (cur(p)->kind == HN_JTOK_EOF)
        return hn_jparse_fail(p, cur(p)->line, "the template ends where '%s' is expected", ends[0]);
    return hn_jparse_pop(p, base, items, n);
}

/* body() up to the one end tag, which is consumed */
static int whole_body(struct hn_jparser *p, const char *end, struct hn_jnode *n)
{
    const char *const ends[] = {end, NULL};
    if (body(p, ends, &n->body, &n->n_body))
        return p->code;
    p->i++;
    return 0;
}

static bool assignable(const struct hn_jnode *n)
{
    if (n->kind == HN_JN_TUPLE) {
        for (size_t i = 0; i < n->n_items; i++)
            if (!assignable(n->items[i]))
                return false;
        return true;
    }
    return n->kind == HN_JN_NAME || n->kind == HN_JN_NSREF;
}

static struct hn_jnode *target(struct hn_jparser *p, const char *end_name, bool with_namespace)
{
    int line = cur(p)->line;
    struct hn_jnode *n = hn_jparse_tuple(p, true, true, end_name, false, with_namespace);
    if (n && !assignable(n)) {
        hn_jparse_fail(p, line,
                       "only a name, a tuple of names or an attribute of a namespace can be "
                       "assigned to");
        return NULL;
    }
    return n;
}

static struct hn_jnode *target_name(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_NAME, cur(p)->line);
    if (!n)
        return NULL;
    n->name = cur(p)->text;
    if (hn_jparse_expect(p, HN_JTOK_NAME))
        return NULL;
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < HN_COUNT(constants); i++)
        if (hn_str_is(n->name, constants[i])) {
            hn_jparse_fail(p, n->line, "'%s' cannot be assigned to", constants[i]);
            return NULL;
        }
    return n;
}

static struct hn_jnode *parse_if(struct hn_jparser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_IF, p->toks[p->i++].line);
    struct hn_jnode *first = n;
    while (n) {
        if (!(n->a = hn_jparse_tuple(p, false, false, NULL, false, false)) ||
            body(p, ends, &n->body, &n->n_body))
            return NULL;
        int line = cur(p)->line;
        if (hn_jparse_skip_name(p, "elif")) {
            struct hn_jnode *elif = hn_jparse_node(p, HN_JN_IF, line);
            size_t base = p->n_stack;
            if (!elif || hn_jparse_push(p, elif) || hn_jparse_pop(p, base, &n->more, &n->n_more))
                return NULL;
            elif->flag = true;
            n = elif;
            continue;
        }
        if (hn_jparse_skip_name(p, "else")) {
            if (body(p, ends + 2, &n->more, &n->n_more))
                return NULL;
        }
        p->i++;
        return first;
    }
    return NULL;
}

static struct hn_jnode *parse_for(struct hn_jparser *p)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_FOR, p->toks[p->i++].line);
    if (!n || !(n->a = target(p, "in", false)) || expect_name(p, "in") ||
        !(n->b = hn_jparse_tuple(p, false, false, "recursive", false, false)))
        return NULL;
    if (hn_jparse_skip_name(p, "if") && !(n->c = hn_jparse_expression(p, true)))
        return NULL;
    n->flag = hn_jparse_skip_name(p, "recursive");
    if (body(p, ends, &n->body, &n->n_body))
        return NULL;
    if (hn_jparse_skip_name(p, "else") && body(p, ends + 1, &n->more, &n->n_more))
        return NULL;
    p->i++;
    return n;
}

static struct hn_jnode *parse_set(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_SET, p->toks[p->i++].line);
    if (!n || !(n->a = target(p, NULL, true)))
        return NULL;
    if (hn_jparse_skip(p, '=')) {
        n->b = hn_jparse_tuple(p, false, true, NULL, false, false);
        return n->b ? n : NULL;
    }
    n->kind = HN_JN_SETBLOCK;
    if (cur(p)->kind == '|' && !(n->b = hn_jparse_filters(p, NULL, false)))
        return NULL;
    return whole_body(p, "endset", n) ? NULL : n;
}

static int signature(struct hn_jparser *p, struct hn_jnode *n)
{
    size_t base = p->n_stack, n_params = 0;
    struct hn_jnode *params[64];
    if (hn_jparse_expect(p, '('))
        return p->code;
    while (cur(p)->kind != ')') {
        if (n_params && hn_jparse_expect(p, ','))
            return p->code;
        struct hn_jnode *param = target_name(p);
        if (!param)
            return p->code;
        if (n_params == HN_COUNT(params))
            return hn_jparse_fail(p, param->line, "a macro takes at most 64 parameters");
        for (size_t i = 0; i < n_params; i++)
            if (hn_str_eq(params[i]->name, param->name))
                return hn_jparse_fail(p, param->line, "the parameter '%.*s' stands twice",
                                      (int)param->name.n, param->name.p);
        params[n_params++] = param;
        if (hn_jparse_skip(p, '=')) {
            struct hn_jnode *value = hn_jparse_expression(p, true);
            if (!value || hn_jparse_push(p, value))
                return p->code;
        } else if (p->n_stack > base) {
            return hn_jparse_fail(p, param->line,
                                  "a parameter without default follows one with a default");
        }
    }
    p->i++;
    if (hn_jparse_pop(p, base, &n->more, &n->n_more))
        return p->code;
    for (size_t i = 0; i < n_params; i++)
        if (hn_jparse_push(p, params[i]))
            return p->code;
    return hn_jparse_pop(p, base, &n->items, &n->n_items);
}

static struct hn_jnode *parse_macro(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_MACRO, p->toks[p->i++].line);
    struct hn_jnode *name = n ? target_name(p) : NULL;
    if (!name)
        return NULL;
    n->name = name->name;
    return signature(p, n) || whole_body(p, "endmacro", n) ? NULL : n;
}

static struct hn_jnode *parse_call(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_CALLBLOCK, p->toks[p->i++].line);
    if (!n || (cur(p)->kind == '(' && signature(p, n)) || !(n->a = hn_jparse_expression(p, true)))
        return NULL;
    if (n->a->kind != HN_JN_CALL) {
        hn_jparse_fail(p, n->line, "a call block must call a macro");
        return NULL;
    }
    return whole_body(p, "endcall", n) ? NULL : n;
}

static struct hn_jnode *parse_generation(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_GENERATION, p->toks[p->i++].line);
    p->marks_generation = true;
    return !n || whole_body(p, "endgeneration", n) ? NULL : n;
}

static struct hn_jnode *parse_filter(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_FILTERBLOCK, p->toks[p->i++].line);
    if (!n || !(n->a = hn_jparse_filters(p, NULL, true)))
        return NULL;
    return whole_body(p, "endfilter", n) ? NULL : n;
}

static struct hn_jnode *parse_with(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_WITH, p->toks[p->i++].line);
    struct hn_jnode *targets[64];
    size_t base = p->n_stack, n_targets = 0;
    while (n && cur(p)->kind != HN_JTOK_BLOCK_END) {
        struct hn_jnode *value;
        if ((n_targets && hn_jparse_expect(p, ',')))
            return NULL;
        if (n_targets == HN_COUNT(targets)) {
            hn_jparse_fail(p, n->line, "a with block sets at most 64 names");
            return NULL;
        }
        if (!(targets[n_targets++] = target(p, NULL, false)) || hn_jparse_expect(p, '=') ||
            !(value = hn_jparse_expression(p, true)) || hn_jparse_push(p, value))
            return NULL;
    }
    if (!n || hn_jparse_pop(p, base, &n->more, &n->n_more))
        return NULL;
    for (size_t i = 0; i < n_targets; i++)
        if (hn_jparse_push(p, targets[i]))
            return NULL;
    if (hn_jparse_pop(p, base, &n->items, &n->n_items))
        return NULL;
    return whole_body(p, "endwith", n) ? NULL : n;
}

static struct hn_jnode *parse_print(struct hn_jparser *p)
{
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_OUTPUT, p->toks[p->i++].line);
    size_t base = p->n_stack;
    while (n && cur(p)->kind != HN_JTOK_BLOCK_END) {
        if (p->n_stack > base && hn_jparse_expect(p, ','))
            return NULL;
        struct hn_jnode *e = hn_jparse_expression(p, true);
        if (!e || hn_jparse_push(p, e))
            return NULL;
    }
    return !n || hn_jparse_pop(p, base, &n->items, &n->n_items) ? NULL : n;
}

static struct hn_jnode *parse_break(struct hn_jparser *p)
{
    const struct hn_jtok *t = &p->toks[p->i++];
    return hn_jparse_node(p, hn_str_is(t->text, "break") ? HN_JN_BREAK : HN_JN_CONTINUE, t->line);
}

static struct hn_jnode *statement(struct hn_jparser *p)
{
    static const struct {
        const char *name;
        struct hn_jnode *(*parse)(struct hn_jparser *p);
    } tags[] = {{"if", parse_if},       {"for", parse_for},       {"set", parse_set},
                {"macro", parse_macro}, {"call", parse_call},     {"filter", parse_filter},
                {"with", parse_with},   {"print", parse_print},   {"generation", parse_generation},
                {"break", parse_break}, {"continue", parse_break}};
    static const char *const absent[] = {"block",  "extends", "include",
                                         "import", "from",    "autoescape"};
    const struct hn_jtok *t = cur(p);
    char buf[80];
    if (t->kind != HN_JTOK_NAME) {
        hn_jparse_fail(p, t->line, "found %s, expected the name of a tag",
                       hn_jparse_describe(t, buf, sizeof buf));
        return NULL;
    }
    for (size_t i = 0; i < HN_COUNT(tags); i++)
        if (hn_str_is(t->text, tags[i].name)) {
            if (hn_jparse_enter(p))
                return NULL;
            struct hn_jnode *n = tags[i].parse(p);
            p->depth--;
            return n;
        }
    for (size_t i = 0; i < HN_COUNT(absent); i++)
        if (hn_str_is(t->text, absent[i])) {
            hn_jparse_fail(p, t->line, "the tag '%s' is not supported in chat templates",
                           absent[i]);
            return NULL;
        }
    hn_jparse_fail(p, t->line, "%s is not a tag that can stand here",
                   hn_jparse_describe(t, buf, sizeof buf));
    return NULL;
}

static int output(struct hn_jparser *p, struct hn_jnode *e)
{
    struct hn_jnode *n = e ? hn_jparse_node(p, HN_JN_OUTPUT, e->line) : NULL;
    size_t base = p->n_stack;
    if (!n || hn_jparse_push(p, e) || hn_jparse_pop(p, base, &n->items, &n->n_items))
        return p->code;
    return hn_jparse_push(p, n);
}

/* Push statements until the end of the template or, inside a block, one of its end tags. */
static int subparse(struct hn_jparser *p, const char *const *ends)
{
    for (;;) {
        const struct hn_jtok *t = cur(p);
        if (t->kind == HN_JTOK_EOF)
            return 0;
        p->i++;
        if (t->kind == HN_JTOK_DATA) {
            struct hn_jnode *n = hn_jparse_node(p, HN_JN_CONST, t->line);
            if (!n)
                return p->code;
            if (hn_jv_str_view(p->arena, t->text.p, t->text.n, &n->value))
                return no_memory(p);
            if (output(p, n))
                return p->code;
        } else if (t->kind == HN_JTOK_VAR_BEGIN) {
            if (output(p, hn_jparse_tuple(p, false, true, NULL, false, false)) ||
                hn_jparse_expect(p, HN_JTOK_VAR_END))
                return p->code;
        } else {
            for (size_t i = 0; ends && ends[i]; i++)
                if (hn_jparse_is_name(p, ends[i]))
                    return 0;
            struct hn_jnode *n = statement(p);
            if (!n || hn_jparse_push(p, n) || hn_jparse_expect(p, HN_JTOK_BLOCK_END))
                return p->code;
        }
    }
}

int hn_jinja_parse(struct hn_jparser *p, struct hn_jnode ***items, size_t *n)
{
    if (subparse(p, NULL) || hn_jparse_pop(p, 0, items, n)) {
        hn_free(p->stack);
        p->stack = NULL;
        return p->code;
    }
    hn_free(p->stack);
    p->stack = NULL;
    return 0;
}
