/* The expression half of the parser: precedence climbing over tokens. */
#include "migrate/py_parse.h"

#include <string.h>

/* ---- the cursor ---------------------------------------------------------------------------- */

bool hn_py_is(const struct hn_py_parser *p, const char *op)
{
    return p->t->type == HN_PY_OP && hn_str_is(p->t->text, op);
}

bool hn_py_is_word(const struct hn_py_parser *p, const char *word)
{
    return p->t->type == HN_PY_NAME && hn_str_is(p->t->text, word);
}

bool hn_py_take(struct hn_py_parser *p, const char *op)
{
    bool is = hn_py_is(p, op);
    p->t += is;
    return is;
}

bool hn_py_take_word(struct hn_py_parser *p, const char *word)
{
    bool is = hn_py_is_word(p, word);
    p->t += is;
    return is;
}

void hn_py_expect(struct hn_py_parser *p, const char *op)
{
    if (!hn_py_take(p, op))
        p->failed = true;
}

struct hn_py_node *hn_py_node_new(struct hn_py_parser *p, enum hn_py_node_kind kind)
{
    struct hn_py_node *node = hn_arena_alloc(p->arena, 1, sizeof *node);
    if (!node) {
        p->failed = true;
        return NULL;
    }
    node->kind = kind;
    node->cell = p->cell;
    node->line = p->t->line + p->line_offset;
    node->text = p->t->text;
    return node;
}

struct hn_str hn_py_source_from(const struct hn_py_parser *p, const struct hn_py_token *from)
{
    const char *end = p->t > from ? p->t[-1].end : from->begin;
    return (struct hn_str){from->begin, end > from->begin ? (size_t)(end - from->begin) : 0};
}

static struct hn_py_node *done(struct hn_py_parser *p, struct hn_py_node *node,
                               const struct hn_py_token *from)
{
    if (node)
        node->source = hn_py_source_from(p, from);
    return node;
}

static bool enter(struct hn_py_parser *p)
{
    if (p->failed || p->depth >= HN_PY_MAX_DEPTH) {
        p->failed = true;
        return false;
    }
    p->depth++;
    return true;
}

static void append(struct hn_py_node *parent, struct hn_py_node ***tail, struct hn_py_node *child)
{
    if (!child || !parent)
        return;
    **tail = child;
    *tail = &child->next;
    parent->n++;
}

/* ---- atoms --------------------------------------------------------------------------------- */

static struct hn_py_node *literal(struct hn_py_parser *p, unsigned line, struct hn_str text)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_STRING);
    if (node) {
        node->text = text;
        node->line = line;
    }
    return node;
}

/* The pieces of an f-string, appended to out's children. */
static void format_string(struct hn_py_parser *p, const struct hn_py_token *t,
                          struct hn_py_node *out, struct hn_py_node ***tail)
{
    struct hn_str s = t->text;
    struct hn_buf text = {0};
    for (size_t i = 0; i <= s.n && !p->failed; i++) {
        bool brace = i < s.n && s.p[i] == '{' && !(i + 1 < s.n && s.p[i + 1] == '{');
        if (i < s.n && !brace) {
            bool twice = (s.p[i] == '{' || s.p[i] == '}') && i + 1 < s.n && s.p[i + 1] == s.p[i];
            hn_buf_add_char(&text, s.p[i]);
            i += twice;
            continue;
        }
        if (text.len) {
            struct hn_str raw = hn_py_take_text(p->arena, &text);
            append(out, tail, literal(p, t->line, hn_py_unescape(p->arena, raw, t->flags)));
        }
        if (i == s.n)
            break;
        const char *end, *close = hn_py_field_end(s.p + i + 1, s.p + s.n, &end);
        if (!close) {
            p->failed = true;
            break;
        }
        struct hn_str inside = {s.p + i + 1, (size_t)(end - s.p) - i - 1};
        struct hn_py_node *e = hn_py_parse_expression(p->arena, inside, p->cell,
                                                      t->line + p->line_offset, p->depth + 1);
        if (!e)
            p->failed = true;
        if (e && *end == ':') { /* a format: the text is not the value's own */
            struct hn_py_node *shaped = hn_py_node_new(p, HN_PY_N_LAMBDA);
            if (shaped) {
                shaped->a = e;
                shaped->source = e->source;
                shaped->text = (struct hn_str){end + 1, (size_t)(close - end) - 1};
            }
            e = shaped;
        }
        append(out, tail, e);
        i = (size_t)(close - s.p);
    }
    if (text.failed)
        p->arena->failed = true;
    hn_buf_release(&text);
}

/* Strings that stand side by side are one. */
static struct hn_py_node *string(struct hn_py_parser *p)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_FSTRING),
                      **tail = node ? &node->first : NULL;
    while (node && p->t->type == HN_PY_STRING && !p->failed) {
        if (p->t->flags & HN_PY_FORMAT)
            format_string(p, p->t, node, &tail);
        else
            append(node, &tail,
                   literal(p, p->t->line, hn_py_unescape(p->arena, p->t->text, p->t->flags)));
        p->t++;
    }
    bool plain = node && node->n == 1 && node->first->kind == HN_PY_N_STRING;
    return plain ? node->first : node;
}

/* for x in xs if c …, after an element */
static struct hn_py_node *comprehension(struct hn_py_parser *p, struct hn_py_node *element)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_LOOP), **tail = node ? &node->first : NULL;
    if (!node)
        return NULL;
    node->a = element;
    while (!p->failed &&
           (hn_py_is_word(p, "for") || hn_py_is_word(p, "async") || hn_py_is_word(p, "if"))) {
        hn_py_take_word(p, "async");
        if (hn_py_take_word(p, "if")) {
            append(node, &tail, hn_py_parse_test(p));
            continue;
        }
        struct hn_py_node *pair = hn_py_node_new(p, HN_PY_N_PAIR);
        hn_py_take_word(p, "for");
        struct hn_py_node *targets = hn_py_parse_targets(p);
        if (!hn_py_take_word(p, "in"))
            p->failed = true;
        if (pair) {
            pair->a = targets;
            pair->b = hn_py_parse_test(p);
        }
        append(node, &tail, pair);
    }
    return node;
}

static struct hn_py_node *starred(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    bool two = hn_py_is(p, "**");
    if (!two && !hn_py_is(p, "*"))
        return hn_py_parse_test(p);
    struct hn_py_node *node = hn_py_node_new(p, two ? HN_PY_N_DSTAR : HN_PY_N_STAR);
    p->t++;
    if (node)
        node->a = hn_py_parse_test(p);
    return done(p, node, from);
}

/* What stands within brackets, up to close. */
static struct hn_py_node *display(struct hn_py_parser *p, enum hn_py_node_kind kind,
                                  const char *close)
{
    struct hn_py_node *node = hn_py_node_new(p, kind), **tail = node ? &node->first : NULL;
    bool comma = false;
    p->t++;
    while (node && !p->failed && !hn_py_is(p, close)) {
        struct hn_py_node *item = starred(p);
        if (kind == HN_PY_N_SET && item && (item->kind == HN_PY_N_DSTAR || hn_py_is(p, ":"))) {
            node->kind = HN_PY_N_DICT;
            if (hn_py_take(p, ":")) {
                struct hn_py_node *pair = hn_py_node_new(p, HN_PY_N_PAIR);
                if (pair) {
                    pair->line = item->line;
                    pair->a = item;
                    pair->b = hn_py_parse_test(p);
                }
                item = pair;
            }
        }
        if (hn_py_is_word(p, "for") || hn_py_is_word(p, "async"))
            item = comprehension(p, item);
        append(node, &tail, item);
        if (!hn_py_take(p, ","))
            break;
        comma = true;
    }
    hn_py_expect(p, close);
    if (node && kind == HN_PY_N_SET && node->n == 0)
        node->kind = HN_PY_N_DICT;
    if (node && kind == HN_PY_N_TUPLE && node->n == 1 && !comma)
        return node->first; /* brackets around one expression */
    return node;
}

static struct hn_py_node *lambda(struct hn_py_parser *p)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_LAMBDA);
    unsigned depth = 0;
    p->t++;
    while (p->t->type != HN_PY_END && p->t->type != HN_PY_NEWLINE && (depth || !hn_py_is(p, ":"))) {
        depth += hn_py_is(p, "(") || hn_py_is(p, "[") || hn_py_is(p, "{");
        depth -= depth && (hn_py_is(p, ")") || hn_py_is(p, "]") || hn_py_is(p, "}"));
        p->t++;
    }
    hn_py_expect(p, ":");
    if (node)
        node->a = hn_py_parse_test(p);
    return node;
}

static bool is_keyword(struct hn_str s)
{
    static const char *const words[] = {
        "and",    "as",   "assert", "break",    "class", "continue", "def",    "del",
        "elif",   "else", "except", "finally",  "for",   "from",     "global", "if",
        "import", "in",   "is",     "nonlocal", "not",   "or",       "pass",   "raise",
        "return", "try",  "while",  "with",     "yield"};
    for (size_t i = 0; i < HN_COUNT(words); i++)
        if (hn_str_is(s, words[i]))
            return true;
    return false;
}

static struct hn_py_node *atom(struct hn_py_parser *p)
{
    struct hn_py_node *node;
    struct hn_str s = p->t->text;
    switch (p->t->type) {
    case HN_PY_STRING:
        return string(p);
    case HN_PY_NUMBER:
        node = hn_py_node_new(p, HN_PY_N_NUMBER);
        p->t++;
        return node;
    case HN_PY_NAME:
        if (hn_str_is(s, "lambda"))
            return lambda(p);
        if (is_keyword(s))
            break;
        node =
            hn_py_node_new(p, hn_str_is(s, "None") || hn_str_is(s, "True") || hn_str_is(s, "False")
                                  ? HN_PY_N_CONSTANT
                                  : HN_PY_N_NAME);
        p->t++;
        return node;
    case HN_PY_OP:
        if (hn_str_is(s, "("))
            return display(p, HN_PY_N_TUPLE, ")");
        if (hn_str_is(s, "["))
            return display(p, HN_PY_N_LIST, "]");
        if (hn_str_is(s, "{"))
            return display(p, HN_PY_N_SET, "}");
        if (hn_str_is(s, "...")) {
            node = hn_py_node_new(p, HN_PY_N_CONSTANT);
            p->t++;
            return node;
        }
        break;
    default:
        break;
    }
    p->failed = true;
    return NULL;
}

/* ---- calls, attributes, indices -------------------------------------------------------------- */

static struct hn_py_node *argument(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    if (p->t->type == HN_PY_NAME && p->t[1].type == HN_PY_OP && hn_str_is(p->t[1].text, "=")) {
        struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_KEYWORD);
        p->t += 2;
        if (node)
            node->a = hn_py_parse_test(p);
        return done(p, node, from);
    }
    struct hn_py_node *node = starred(p);
    if (hn_py_is_word(p, "for") || hn_py_is_word(p, "async"))
        node = comprehension(p, node);
    return done(p, node, from);
}

struct hn_py_node *hn_py_parse_bases(struct hn_py_parser *p)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_TUPLE), **tail = node ? &node->first : NULL;
    hn_py_expect(p, "(");
    while (node && !p->failed && !hn_py_is(p, ")")) {
        append(node, &tail, argument(p));
        if (!hn_py_take(p, ","))
            break;
    }
    hn_py_expect(p, ")");
    return node;
}

static struct hn_py_node *subscript(struct hn_py_parser *p)
{
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_SLICE), **tail = node ? &node->first : NULL;
    bool slice = false;
    while (node && !p->failed && !hn_py_is(p, "]")) {
        if (hn_py_take(p, ":") || hn_py_take(p, ",")) {
            if (!slice && node->n == 0) { /* the start is left out */
                struct hn_py_node *none = hn_py_node_new(p, HN_PY_N_CONSTANT);
                if (none)
                    none->text = hn_str_of("None");
                append(node, &tail, none);
            }
            slice = true;
            continue;
        }
        append(node, &tail, starred(p));
    }
    return node && !slice && node->n == 1 ? node->first : node;
}

static struct hn_py_node *primary(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    hn_py_take_word(p, "await");
    struct hn_py_node *left = done(p, atom(p), from);
    while (left && !p->failed) {
        struct hn_py_node *node;
        if (hn_py_is(p, ".")) {
            p->t++;
            node = hn_py_node_new(p, HN_PY_N_ATTRIBUTE);
            if (p->t->type != HN_PY_NAME)
                p->failed = true;
            p->t++;
        } else if (hn_py_is(p, "(")) {
            node = hn_py_node_new(p, HN_PY_N_CALL);
            struct hn_py_node **tail = node ? &node->first : NULL;
            p->t++;
            while (node && !p->failed && !hn_py_is(p, ")")) {
                append(node, &tail, argument(p));
                if (!hn_py_take(p, ","))
                    break;
            }
            hn_py_expect(p, ")");
        } else if (hn_py_is(p, "[")) {
            node = hn_py_node_new(p, HN_PY_N_INDEX);
            p->t++;
            if (node)
                node->b = subscript(p);
            hn_py_expect(p, "]");
        } else {
            break;
        }
        if (node) {
            node->a = left;
            if (node->kind != HN_PY_N_ATTRIBUTE)
                node->line = left->line;
        }
        left = done(p, node, from);
    }
    return left;
}

/* ---- operators ------------------------------------------------------------------------------- */

/* Binary operators by precedence, the loosest first. */
static const char *const levels[][11] = {
    {"or"},
    {"and"},
    {"not"}, /* unary, handled apart */
    {"in", "not", "is", "<", ">", "==", "!=", "<=", ">="},
    {"|"},
    {"^"},
    {"&"},
    {"<<", ">>"},
    {"+", "-"},
    {"*", "/", "//", "%", "@"},
};
enum { LEVEL_NOT = 2, LEVEL_COMPARE = 3, LEVEL_OR_BITS = 4, N_LEVELS = HN_COUNT(levels) };

static bool at_operator(const struct hn_py_parser *p, size_t level)
{
    if (p->t->type != HN_PY_OP && p->t->type != HN_PY_NAME)
        return false;
    for (size_t i = 0; i < 11 && levels[level][i]; i++) {
        if (!hn_str_is(p->t->text, levels[level][i]))
            continue;
        /* `not` between operands is `not in` */
        return !(level == LEVEL_COMPARE && hn_str_is(p->t->text, "not")) ||
               (p->t[1].type == HN_PY_NAME && hn_str_is(p->t[1].text, "in"));
    }
    return false;
}

static struct hn_py_node *unary(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    if (!enter(p))
        return NULL;
    struct hn_py_node *node;
    if (hn_py_is(p, "-") || hn_py_is(p, "+") || hn_py_is(p, "~")) {
        node = hn_py_node_new(p, HN_PY_N_UNARY);
        p->t++;
        if (node)
            node->a = unary(p);
    } else {
        node = primary(p);
        if (node && hn_py_is(p, "**")) {
            struct hn_py_node *power = hn_py_node_new(p, HN_PY_N_BINARY);
            p->t++;
            if (power) {
                power->a = node;
                power->b = unary(p);
            }
            node = power;
        }
    }
    p->depth--;
    return done(p, node, from);
}

static struct hn_py_node *binary(struct hn_py_parser *p, size_t level)
{
    const struct hn_py_token *from = p->t;
    if (level == N_LEVELS)
        return unary(p);
    if (level == LEVEL_NOT) {
        if (!hn_py_is_word(p, "not"))
            return binary(p, level + 1);
        if (!enter(p))
            return NULL;
        struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_UNARY);
        p->t++;
        if (node)
            node->a = binary(p, level);
        p->depth--;
        return done(p, node, from);
    }
    struct hn_py_node *left = binary(p, level + 1);
    while (left && !p->failed && at_operator(p, level)) {
        struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_BINARY);
        bool negated = hn_py_is_word(p, "not");
        bool is = hn_py_is_word(p, "is");
        p->t += 1 + negated;
        if (is && hn_py_take_word(p, "not"))
            negated = true;
        if (node) {
            if (negated)
                node->text = hn_str_of(is ? "is not" : "not in");
            node->a = left;
            node->line = left->line;
            node->b = binary(p, level + 1);
        }
        left = done(p, node, from);
    }
    return left;
}

struct hn_py_node *hn_py_parse_test(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    if (!enter(p))
        return NULL;
    struct hn_py_node *node;
    if (hn_py_is_word(p, "yield")) {
        p->t++;
        hn_py_take_word(p, "from");
        bool bare = p->t->type == HN_PY_NEWLINE || hn_py_is(p, ")");
        node = bare ? hn_py_node_new(p, HN_PY_N_CONSTANT) : hn_py_parse_test(p);
    } else if (p->t->type == HN_PY_NAME && p->t[1].type == HN_PY_OP &&
               hn_str_is(p->t[1].text, ":=")) {
        node = hn_py_node_new(p, HN_PY_N_WALRUS);
        p->t += 2;
        if (node)
            node->a = hn_py_parse_test(p);
    } else {
        node = binary(p, 0);
        if (node && !p->failed && hn_py_is_word(p, "if")) {
            const struct hn_py_token *back = p->t;
            p->t++;
            struct hn_py_node *condition = binary(p, 0);
            if (hn_py_take_word(p, "else")) {
                struct hn_py_node *choice = hn_py_node_new(p, HN_PY_N_TERNARY);
                if (choice) {
                    choice->line = node->line;
                    choice->a = node;
                    choice->b = condition;
                    choice->c = hn_py_parse_test(p);
                }
                node = choice;
            } else {
                p->t = back; /* the filter of a comprehension */
            }
        }
    }
    p->depth--;
    return done(p, node, from);
}

static struct hn_py_node *star_target(struct hn_py_parser *p)
{
    const struct hn_py_token *from = p->t;
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_STAR);
    p->t++;
    if (node)
        node->a = binary(p, LEVEL_OR_BITS);
    return done(p, node, from);
}

static struct hn_py_node *tuple_of(struct hn_py_parser *p, bool targets)
{
    const struct hn_py_token *from = p->t;
    struct hn_py_node *first = NULL, **tail = &first;
    size_t n = 0;
    bool comma = false;
    while (!p->failed) {
        struct hn_py_node *item;
        if (hn_py_is(p, "*"))
            item = targets ? star_target(p) : starred(p);
        else
            item = targets ? binary(p, LEVEL_OR_BITS) : hn_py_parse_test(p);
        if (!item)
            break;
        *tail = item;
        tail = &item->next;
        n++;
        if (!hn_py_take(p, ","))
            break;
        comma = true;
        if (p->t->type == HN_PY_NEWLINE || hn_py_is(p, "=") || hn_py_is(p, ")") ||
            hn_py_is(p, ":") || hn_py_is(p, ";") || hn_py_is_word(p, "in"))
            break;
    }
    if (!comma)
        return first;
    struct hn_py_node *node = hn_py_node_new(p, HN_PY_N_TUPLE);
    if (node) {
        node->line = from->line + p->line_offset;
        node->first = first;
        node->n = n;
    }
    return done(p, node, from);
}

struct hn_py_node *hn_py_parse_list(struct hn_py_parser *p)
{
    return tuple_of(p, false);
}

struct hn_py_node *hn_py_parse_targets(struct hn_py_parser *p)
{
    return tuple_of(p, true);
}

struct hn_py_node *hn_py_parse_target(struct hn_py_parser *p)
{
    return binary(p, LEVEL_OR_BITS);
}

struct hn_py_node *hn_py_parse_expression(struct hn_arena *arena, struct hn_str text, unsigned cell,
                                          unsigned line, unsigned depth)
{
    struct hn_py_source source = {.text = text};
    struct hn_py_tokens tokens;
    struct hn_str trimmed = text;
    if (depth >= HN_PY_MAX_DEPTH)
        return NULL;
    while (trimmed.n && (trimmed.p[trimmed.n - 1] == ' ' || trimmed.p[trimmed.n - 1] == '='))
        trimmed.n--;
    while (trimmed.n && (*trimmed.p == ' ' || *trimmed.p == '\n')) {
        trimmed.p++;
        trimmed.n--;
    }
    source.text = trimmed;
    if (hn_py_lex(arena, &source, &tokens, NULL) || tokens.bad_line)
        return NULL;
    struct hn_py_parser p = {
        .arena = arena, .t = tokens.items, .cell = cell, .line_offset = line - 1, .depth = depth};
    struct hn_py_node *node = hn_py_parse_list(&p);
    return p.failed || p.t->type != HN_PY_NEWLINE ? NULL : node;
}
