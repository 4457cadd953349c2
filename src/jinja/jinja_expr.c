/* Parsing of expressions, with Jinja's grammar and its oddities: a sign binds tighter than a power,
 * powers group to the left, comparisons chain, "x if y" needs no else, filters follow unary signs.
 */
#include "jinja/jinja_ast.h"

#include <string.h>

typedef struct hn_jnode *rule(struct hn_jparser *p);

static const struct hn_jtok *cur(const struct hn_jparser *p)
{
    return &p->toks[p->i];
}

static struct hn_jnode *binary(struct hn_jparser *p, enum hn_jnode_kind kind, int op,
                               struct hn_jnode *a, struct hn_jnode *b)
{
    struct hn_jnode *n = a && b ? hn_jparse_node(p, kind, a->line) : NULL;
    if (n)
        n->op = op, n->a = a, n->b = b;
    return hn_jparse_done(p, n);
}

/* ---- operators, from the tightest ---- */

static struct hn_jnode *signed_primary(struct hn_jparser *p, bool with_filter)
{
    int k = cur(p)->kind;
    struct hn_jnode *n;
    if (k == '-' || k == '+') {
        if (hn_jparse_enter(p))
            return NULL;
        int line = p->toks[p->i++].line;
        struct hn_jnode *a = signed_primary(p, false);
        p->depth--;
        n = a ? hn_jparse_node(p, HN_JN_UNARY, line) : NULL;
        if (n)
            n->op = k, n->a = a;
        n = hn_jparse_done(p, n);
    } else {
        n = hn_jparse_primary(p, false);
    }
    n = hn_jparse_postfix(p, n);
    return with_filter ? hn_jparse_filter_expr(p, n) : n;
}

static struct hn_jnode *unary(struct hn_jparser *p)
{
    return signed_primary(p, true);
}

/* Left-associative operators out of ops (a zero-terminated list) over operands of the tighter rule.
 */
static struct hn_jnode *left(struct hn_jparser *p, const int *ops, rule *tighter)
{
    struct hn_jnode *n = tighter(p);
    while (n) {
        const int *op = ops;
        while (*op && *op != cur(p)->kind)
            op++;
        if (!*op)
            break;
        p->i++;
        n = binary(p, HN_JN_BINARY, *op, n, tighter(p));
    }
    return n;
}

static struct hn_jnode *power(struct hn_jparser *p)
{
    return left(p, (const int[]){HN_JTOK_POW, 0}, unary);
}

static struct hn_jnode *product(struct hn_jparser *p)
{
    return left(p, (const int[]){'*', '/', HN_JTOK_FLOORDIV, '%', 0}, power);
}

static struct hn_jnode *concat(struct hn_jparser *p)
{
    size_t base = p->n_stack;
    struct hn_jnode *n = product(p);
    if (!n || cur(p)->kind != '~')
        return n;
    if (hn_jparse_push(p, n))
        return NULL;
    while (hn_jparse_skip(p, '~')) {
        struct hn_jnode *part = product(p);
        if (!part || hn_jparse_push(p, part))
            return NULL;
    }
    n = hn_jparse_node(p, HN_JN_CONCAT, n->line);
    return !n || hn_jparse_pop(p, base, &n->items, &n->n_items) ? NULL : hn_jparse_done(p, n);
}

static struct hn_jnode *sum(struct hn_jparser *p)
{
    return left(p, (const int[]){'+', '-', 0}, concat);
}

static int comparison(struct hn_jparser *p)
{
    int k = cur(p)->kind;
    if (k == HN_JTOK_EQ || k == HN_JTOK_NE || k == HN_JTOK_LE || k == HN_JTOK_GE || k == '<' ||
        k == '>') {
        p->i++;
        return k;
    }
    if (hn_jparse_skip_name(p, "in"))
        return 'i';
    const struct hn_jtok *next = &p->toks[p->i + 1];
    if (hn_jparse_is_name(p, "not") && next->kind == HN_JTOK_NAME && hn_str_is(next->text, "in")) {
        p->i += 2;
        return 'n';
    }
    return 0;
}

static struct hn_jnode *compare(struct hn_jparser *p)
{
    struct hn_jnode *first = sum(p);
    size_t base = p->n_stack;
    for (int op; first && (op = comparison(p));) {
        struct hn_jnode *a = sum(p), *arm = a ? hn_jparse_node(p, HN_JN_ARM, a->line) : NULL;
        if (!arm)
            return NULL;
        arm->op = op;
        arm->a = a;
        if (!hn_jparse_done(p, arm) || hn_jparse_push(p, arm))
            return NULL;
    }
    if (!first || p->n_stack == base)
        return first;
    struct hn_jnode *n = hn_jparse_node(p, HN_JN_COMPARE, first->line);
    if (!n || hn_jparse_pop(p, base, &n->items, &n->n_items))
        return NULL;
    n->a = first;
    return hn_jparse_done(p, n);
}

static struct hn_jnode *negation(struct hn_jparser *p)
{
    int line = cur(p)->line;
    if (!hn_jparse_skip_name(p, "not"))
        return compare(p);
    if (hn_jparse_enter(p))
        return NULL;
    struct hn_jnode *a = negation(p), *n = a ? hn_jparse_node(p, HN_JN_NOT, line) : NULL;
    p->depth--;
    if (n)
        n->a = a;
    return hn_jparse_done(p, n);
}

static struct hn_jnode *conjunction(struct hn_jparser *p)
{
    struct hn_jnode *n = negation(p);
    while (n && hn_jparse_skip_name(p, "and"))
        n = binary(p, HN_JN_AND, 0, n, negation(p));
    return n;
}

static struct hn_jnode *disjunction(struct hn_jparser *p)
{
    struct hn_jnode *n = conjunction(p);
    while (n && hn_jparse_skip_name(p, "or"))
        n = binary(p, HN_JN_OR, 0, n, conjunction(p));
    return n;
}

static struct hn_jnode *condition(struct hn_jparser *p)
{
    int line = cur(p)->line;
    struct hn_jnode *n = disjunction(p);
    while (n && hn_jparse_skip_name(p, "if")) {
        struct hn_jnode *c = hn_jparse_node(p, HN_JN_COND, line);
        if (!c || !(c->b = disjunction(p)))
            return NULL;
        c->a = n;
        if (hn_jparse_skip_name(p, "else")) {
            if (hn_jparse_enter(p))
                return NULL;
            c->c = condition(p);
            p->depth--;
            if (!c->c)
                return NULL;
        }
        n = hn_jparse_done(p, c);
    }
    return n;
}

struct hn_jnode *hn_jparse_expression(struct hn_jparser *p, bool with_condition)
{
    if (hn_jparse_enter(p))
        return NULL;
    struct hn_jnode *n = with_condition ? condition(p) : disjunction(p);
    p->depth--;
    return n;
}
