#include "migrate/py_parse.h"

#include <string.h>

/* ---- statements ------------------------------------------------------------------------------ */

struct reader {
    struct hn_py_parser p;
    struct hn_py_module *module;
    const struct hn_py_token *from; /* of this statement */
    unsigned indent;
};

static struct hn_py_statement *new_statement(struct reader *r, enum hn_py_statement_kind kind)
{
    struct hn_py_statement *s = hn_arena_alloc(r->p.arena, 1, sizeof *s);
    if (!s) {
        r->p.failed = true;
        return NULL;
    }
    s->kind = kind;
    s->cell = r->p.cell;
    s->line = r->from->line;
    s->indent = r->indent;
    return s;
}

static void finish(struct reader *r, struct hn_py_statement *s)
{
    if (!s || r->p.failed)
        return;
    s->source = hn_py_source_from(&r->p, r->from);
    if (r->module->last)
        r->module->last->next = s;
    else
        r->module->first = s;
    r->module->last = s;
    r->module->n_statements++;
}

static struct hn_py_node *name_node(struct hn_py_parser *p)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_NAME);
    if (p->t->type != HN_PY_NAME)
        p->failed = true;
    p->t++;
    return node;
}

/* a.b.c into text */
static struct hn_str dotted(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    while (hn_py_take(p, ".") || hn_py_take(p, "..."))
        ;
    if (p->t->type == HN_PY_NAME && !hn_py_is_word(p, "import"))
        p->t++;
    while (hn_py_take(p, "."))
        p->t += p->t->type == HN_PY_NAME;
    return hn_py_source_from(p, from);
}

static struct hn_str last_part(struct hn_str s)
{
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '.')
            return (struct hn_str){s.p + i, s.n - i};
    return s;
}

/* What from MODULE import WHAT names: of mlx and mlx_lm, whose functions have common names (load,
 * train), the whole path; else WHAT alone. */
static struct hn_str imported(struct hn_py_parser *p, struct hn_str module, struct hn_str what)
{
    bool whole = (module.n >= 6 && memcmp(module.p, "mlx_lm", 6) == 0) ||
                 hn_str_is(module, "mlx") || (module.n > 4 && memcmp(module.p, "mlx.", 4) == 0);
    char *text = whole ? hn_arena_alloc(p->arena, module.n + 1 + what.n, 1) : NULL;
    if (!text)
        return what;
    memcpy(text, module.p, module.n);
    text[module.n] = '.';
    memcpy(text + module.n + 1, what.p, what.n);
    return (struct hn_str){text, module.n + 1 + what.n};
}

/* import a.b as c, d · from a import b as c, (d, e), * */
static void import(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    bool from = hn_py_take_word(p, "from");
    struct hn_str module = from ? dotted(p) : (struct hn_str){"", 0};
    if (!hn_py_take_word(p, "import"))
        p->failed = true;
    hn_py_take(p, "(");
    while (!p->failed && p->t->type != HN_PY_NEWLINE && !hn_py_is(p, ")") && !hn_py_is(p, ";")) {
        if (hn_py_take(p, "*") || hn_py_take(p, ","))
            continue;
        struct hn_py_statement *s = new_statement(r, HN_PY_S_IMPORT);
        struct hn_py_node *known_by = hn_py_node_new(p, HN_PY_N_NAME);
        struct hn_str what = dotted(p);
        if (!s || !known_by)
            break;
        s->text = from ? imported(p, module, what) : last_part(what);
        known_by->text = from ? what : what;
        const char *dot = memchr(what.p, '.', what.n);
        if (!from && dot) { /* import a.b binds a */
            known_by->text.n = (size_t)(dot - what.p);
            s->text = known_by->text;
        }
        if (hn_py_take_word(p, "as")) {
            s->text = imported(p, module, what);
            known_by->text = p->t->text;
            p->t++;
        }
        s->targets = known_by;
        finish(r, s);
        if (what.n == 0)
            p->failed = true;
    }
    hn_py_take(p, ")");
}

/* The parameters of a def: KEYWORD nodes, with a default or without; STAR, DSTAR. */
static struct hn_py_node *parameters(struct hn_py_parser *p)
{
    struct hn_py_node *first = NULL, **tail = &first;
    hn_py_expect(p, "(");
    while (!p->failed && !hn_py_is(p, ")")) {
        if (hn_py_take(p, "/") || hn_py_take(p, ","))
            continue;
        bool two = hn_py_take(p, "**"), one = !two && hn_py_take(p, "*");
        if (one && hn_py_take(p, ","))
            continue;
        struct hn_py_node *node = hn_py_node_new(p, two   ? HN_PY_N_DSTAR
                                                    : one ? HN_PY_N_STAR
                                                          : HN_PY_N_KEYWORD);
        if (p->t->type != HN_PY_NAME || !node) {
            p->failed = true;
            break;
        }
        p->t++;
        if (hn_py_take(p, ":"))
            (void)hn_py_parse_test(p);
        if (hn_py_take(p, "="))
            node->a = hn_py_parse_test(p);
        *tail = node;
        tail = &node->next;
    }
    hn_py_expect(p, ")");
    return first;
}

/* class A[T: int], def f[T]() */
static void type_parameters(struct hn_py_parser *p)
{
    unsigned depth = 0;
    if (!hn_py_is(p, "["))
        return;
    do {
        depth += hn_py_is(p, "[");
        depth -= hn_py_is(p, "]");
        p->t++;
    } while (depth && p->t->type != HN_PY_NEWLINE && p->t->type != HN_PY_END);
}

static void define(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    bool is_class = hn_py_is_word(p, "class");
    struct hn_py_statement *s = new_statement(r, is_class ? HN_PY_S_CLASS : HN_PY_S_DEF);
    p->t++;
    struct hn_py_node *name = name_node(p);
    if (!s || !name)
        return;
    s->text = name->text;
    type_parameters(p);
    if (!is_class) {
        s->targets = parameters(p);
        if (hn_py_take(p, "->"))
            (void)hn_py_parse_test(p);
    } else if (hn_py_is(p, "(")) {
        s->value = hn_py_parse_bases(p);
    }
    finish(r, s);
}

static void with(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    p->t++;
    bool bracket = false;
    if (hn_py_is(p, "(")) { /* with (a as b, c as d): the bracket is the statement's */
        const struct hn_py_token *back = p->t;
        p->t++;
        (void)hn_py_parse_test(p);
        bracket = !p->failed && (hn_py_is_word(p, "as") || hn_py_is(p, ","));
        p->failed = false;
        p->t = back + bracket;
    }
    do {
        struct hn_py_statement *s = new_statement(r, HN_PY_S_WITH);
        struct hn_py_node *value = hn_py_parse_test(p);
        if (!s)
            return;
        s->value = value;
        if (hn_py_take_word(p, "as"))
            s->targets = hn_py_parse_target(p);
        finish(r, s);
    } while (!p->failed && hn_py_take(p, ",") && p->t->type != HN_PY_NEWLINE && !hn_py_is(p, ")"));
    if (bracket)
        hn_py_expect(p, ")");
}

static void loop(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    struct hn_py_statement *s = new_statement(r, HN_PY_S_FOR);
    p->t++;
    struct hn_py_node *targets = hn_py_parse_targets(p);
    if (!hn_py_take_word(p, "in"))
        p->failed = true;
    struct hn_py_node *value = hn_py_parse_list(p);
    if (s) {
        s->targets = targets;
        s->value = value;
    }
    finish(r, s);
}

static void condition(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    struct hn_py_statement *s = new_statement(r, HN_PY_S_IF);
    bool is_elif = hn_py_is_word(p, "elif");
    p->t++;
    struct hn_py_node *value = hn_py_parse_test(p);
    if (s) {
        s->value = value;
        s->is_elif = is_elif;
    }
    finish(r, s);
}

static bool is_augment(const struct hn_py_token *t)
{
    return t->type == HN_PY_OP && t->text.n >= 2 && t->text.p[t->text.n - 1] == '=' &&
           !strchr("=!<>:", t->text.p[0]);
}

/* expression · a = b = value · a: type = value · a += value */
static void expression(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    struct hn_py_statement *s = new_statement(r, HN_PY_S_EXPRESSION);
    struct hn_py_node *value = hn_py_parse_list(p), **tail;
    if (!s || p->failed)
        return;
    tail = &s->targets;
    if (hn_py_take(p, ":")) {
        (void)hn_py_parse_test(p);
        s->kind = HN_PY_S_ASSIGN;
        *tail = value;
        value = hn_py_take(p, "=") ? hn_py_parse_list(p) : NULL;
    } else if (is_augment(p->t)) {
        s->kind = HN_PY_S_AUGMENT;
        s->text = p->t->text;
        s->text.n--;
        p->t++;
        *tail = value;
        value = hn_py_parse_list(p);
    } else {
        while (!p->failed && hn_py_take(p, "=")) {
            s->kind = HN_PY_S_ASSIGN;
            *tail = value;
            tail = &value->next;
            value = hn_py_parse_list(p);
            if (!value)
                p->failed = true;
        }
    }
    s->value = value;
    finish(r, s);
}

static void other(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    struct hn_py_statement *s = new_statement(r, HN_PY_S_OTHER);
    if (s)
        s->text = p->t->text;
    bool valued = hn_py_is_word(p, "return") || hn_py_is_word(p, "del") ||
                  hn_py_is_word(p, "assert") || hn_py_is_word(p, "raise");
    p->t++;
    if (valued && p->t->type != HN_PY_NEWLINE && !hn_py_is(p, ";")) {
        struct hn_py_node *value = hn_py_parse_list(p);
        if (s)
            s->value = value;
        if (hn_py_take_word(p, "from"))
            (void)hn_py_parse_test(p);
    } else {
        while (p->t->type != HN_PY_NEWLINE && p->t->type != HN_PY_END && !hn_py_is(p, ";") &&
               !hn_py_is(p, ":"))
            p->t++;
    }
    finish(r, s);
}

/* The colon that ends a line like `match x:`, or NULL. */
static const struct hn_py_token *last_colon(const struct hn_py_token *t)
{
    const struct hn_py_token *colon = NULL;
    for (; t->type != HN_PY_NEWLINE && t->type != HN_PY_END; t++)
        colon = t->type == HN_PY_OP && hn_str_is(t->text, ":") ? t : colon;
    return colon && colon[1].type == HN_PY_NEWLINE ? colon : NULL;
}

/* match x: · case pattern: · type X = …; these words are names elsewhere */
static bool soft_keyword(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    bool name = p->t[1].type != HN_PY_OP || strchr("([{-", p->t[1].text.p[0]);
    bool block = (hn_py_is_word(p, "match") || hn_py_is_word(p, "case")) && name;
    const struct hn_py_token *end = block ? last_colon(p->t) : NULL;
    if (hn_py_is_word(p, "type") && p->t[1].type == HN_PY_NAME && p->t[2].type == HN_PY_OP)
        for (end = p->t; end->type != HN_PY_NEWLINE && end->type != HN_PY_END;)
            end++;
    struct hn_py_statement *s = end ? new_statement(r, HN_PY_S_OTHER) : NULL;
    if (!s)
        return false;
    s->text = p->t->text;
    p->t = end;
    finish(r, s);
    if (block)
        p->t++; /* the colon, and the line is at its end */
    return true;
}

/* One simple statement, or the head of a compound one. */
static void statement(struct reader *r)
{
    static const char *const others[] = {"return",   "del",   "assert",   "raise",
                                         "pass",     "break", "continue", "global",
                                         "nonlocal", "try",   "except",   "finally"};
    struct hn_py_parser *p = &r->p;
    r->from = p->t;
    if (hn_py_is_word(p, "async"))
        p->t++;
    if (hn_py_is_word(p, "import") || hn_py_is_word(p, "from")) {
        import(r);
        return;
    }
    if (hn_py_is_word(p, "def") || hn_py_is_word(p, "class")) {
        define(r);
        return;
    }
    if (hn_py_is_word(p, "if") || hn_py_is_word(p, "elif") || hn_py_is_word(p, "while")) {
        condition(r);
        return;
    }
    if (hn_py_is_word(p, "else")) {
        struct hn_py_statement *s = new_statement(r, HN_PY_S_ELSE);
        p->t++;
        finish(r, s);
        return;
    }
    if (hn_py_is_word(p, "for")) {
        loop(r);
        return;
    }
    if (hn_py_is_word(p, "with")) {
        with(r);
        return;
    }
    for (size_t i = 0; i < HN_COUNT(others); i++) {
        if (hn_py_is_word(p, others[i])) {
            other(r);
            return;
        }
    }
    if (soft_keyword(r))
        return;
    if (hn_py_take(p, "@")) { /* a decorator */
        (void)hn_py_parse_test(p);
        return;
    }
    expression(r);
}

static bool is_compound(const struct hn_py_parser *p)
{
    static const char *const words[] = {"if",  "elif",  "else", "for",    "while",   "with",
                                        "def", "class", "try",  "except", "finally", "async"};
    for (size_t i = 0; i < HN_COUNT(words); i++)
        if (hn_py_is_word(p, words[i]))
            return true;
    return false;
}

static void bad_line(struct reader *r, const struct hn_py_token *from)
{
    struct hn_py_parser *p = &r->p;
    while (p->t->type != HN_PY_NEWLINE && p->t->type != HN_PY_END)
        p->t++;
    p->failed = false;
    r->from = from;
    struct hn_py_statement *s = new_statement(r, HN_PY_S_BAD);
    finish(r, s);
    r->module->n_bad++;
}

/* A logical line: statements by semicolons, with what follows a colon one step further in. */
static void logical_line(struct reader *r)
{
    struct hn_py_parser *p = &r->p;
    const struct hn_py_token *from = p->t;
    r->indent = p->t->indent;
    while (!p->failed && p->t->type != HN_PY_NEWLINE) {
        bool compound = is_compound(p);
        p->depth = 0;
        statement(r);
        if (p->failed)
            break;
        if (compound && hn_py_take(p, ":")) {
            r->indent++;
            continue;
        }
        if (!hn_py_take(p, ";") && p->t->type != HN_PY_NEWLINE)
            p->failed = true;
    }
    if (p->failed)
        bad_line(r, from);
    if (p->t->type == HN_PY_NEWLINE)
        p->t++;
}

int hn_py_parse(struct hn_arena *arena, const struct hn_py_source *source,
                const struct hn_py_tokens *tokens, struct hn_py_module *module,
                struct hone_err *err)
{
    struct reader r = {.p = {.arena = arena, .t = tokens->items, .cell = source->cell},
                       .module = module};
    while (r.p.t->type != HN_PY_END && !arena->failed)
        logical_line(&r);
    return arena->failed ? hn_fail_memory(err, "reading the source") : 0;
}
