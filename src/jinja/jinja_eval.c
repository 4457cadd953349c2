/* Evaluation of expressions, in Python's order. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_number.h"

#include <string.h>

struct hn_jv *hn_ji_slot(struct hn_jact *act, const struct hn_jnode *n)
{
    for (uint16_t up = n->up; up; up--)
        act = act->up;
    return &act->slots[n->slot];
}

static int eval_items(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                      enum hn_jv_kind kind, struct hn_jv *out)
{
    if (hn_jv_list(ji, kind, n->n_items, out))
        return ji->code;
    for (size_t i = 0; i < n->n_items; i++)
        if (hn_ji_eval(ji, act, n->items[i], &out->list->v[out->list->n++]))
            return ji->code;
    return 0;
}

static int eval_dict(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                     struct hn_jv *out)
{
    struct hn_jv k, v;
    if (hn_jv_dict(ji, out))
        return ji->code;
    for (size_t i = 0; i < n->n_items; i += 2)
        if (hn_ji_eval(ji, act, n->items[i], &k) || hn_ji_eval(ji, act, n->items[i + 1], &v) ||
            hn_jdict_set(ji, out->dict, k, v))
            return ji->code;
    return 0;
}

static int eval_concat(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                       struct hn_jv *out)
{
    struct hn_jv parts;
    struct hn_buf b;
    if (eval_items(ji, act, n, HN_JV_LIST, &parts))
        return ji->code;
    hn_buf_init(&b);
    for (size_t i = 0; i < parts.list->n && !ji->code; i++)
        if (hn_jv_add_str(ji, &b, parts.list->v[i]) || hn_ji_step(ji, b.len / 16))
            break;
    if (ji->code) {
        hn_buf_release(&b);
        return ji->code;
    }
    return hn_jv_str_take(ji, &b, out);
}

static int compare_pair(struct hn_ji *ji, int op, struct hn_jv a, struct hn_jv b, bool *out)
{
    int order;
    switch (op) {
    case HN_JTOK_EQ:
    case HN_JTOK_NE:
        if (hn_jv_equal(ji, a, b, out))
            return ji->code;
        *out ^= op == HN_JTOK_NE;
        return 0;
    case 'i':
    case 'n':
        if (hn_ji_contains(ji, a, b, out))
            return ji->code;
        *out ^= op == 'n';
        return 0;
    }
    if (hn_jv_compare(ji, a, b, &order))
        return ji->code;
    bool nan = order == 2 && hn_jv_is_number(a);
    *out = !nan && (op == '<'          ? order < 0
                    : op == '>'        ? order > 0
                    : op == HN_JTOK_LE ? order <= 0
                                       : order >= 0);
    return 0;
}

static int eval_compare(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                        struct hn_jv *out)
{
    struct hn_jv left, right;
    bool result = true;
    if (hn_ji_eval(ji, act, n->a, &left))
        return ji->code;
    for (size_t i = 0; i < n->n_items && result; i++) {
        if (hn_ji_eval(ji, act, n->items[i]->a, &right) ||
            compare_pair(ji, n->items[i]->op, left, right, &result))
            return ji->code;
        left = right;
    }
    *out = hn_jv_bool(result);
    return 0;
}

static int eval_logic(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                      struct hn_jv *out)
{
    if (hn_ji_eval(ji, act, n->a, out))
        return ji->code;
    if (hn_jv_truth(*out) == (n->kind == HN_JN_AND))
        return hn_ji_eval(ji, act, n->b, out);
    return 0;
}

static int eval_cond(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                     struct hn_jv *out)
{
    struct hn_jv test;
    if (hn_ji_eval(ji, act, n->b, &test))
        return ji->code;
    if (hn_jv_truth(test))
        return hn_ji_eval(ji, act, n->a, out);
    if (n->c)
        return hn_ji_eval(ji, act, n->c, out);
    return hn_jv_undef_hint(ji, "an inline 'if' is false and has no 'else'", out);
}

static int eval_item(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                     struct hn_jv *out)
{
    struct hn_jv obj, key;
    if (hn_ji_eval(ji, act, n->a, &obj))
        return ji->code;
    if (n->b->kind != HN_JN_SLICE) {
        if (hn_ji_eval(ji, act, n->b, &key))
            return ji->code;
        return hn_ji_getitem(ji, obj, key, out);
    }
    struct hn_jv part[3] = {{0}};
    const struct hn_jnode *nodes[] = {n->b->a, n->b->b, n->b->c};
    for (int i = 0; i < 3; i++)
        if (nodes[i] && hn_ji_eval(ji, act, nodes[i], &part[i]))
            return ji->code;
    return hn_ji_slice(ji, obj, part, out);
}

static int add_named(struct hn_ji *ji, struct hn_jargs *args, struct hn_jv key, struct hn_jv value,
                     size_t cap)
{
    if (key.kind != HN_JV_STR)
        return hn_ji_fail(ji, "the names of **arguments must be strings");
    for (size_t i = 0; i < args->n_named; i++)
        if (hn_jv_same(args->named[i].key, key))
            return hn_ji_fail(ji, "the argument '%.*s' is given twice", (int)HN_MIN(key.s->n, 100),
                              key.s->p);
    if (args->n_named == cap)
        return hn_ji_no_memory(ji);
    args->named[args->n_named++] = (struct hn_jpair){key, value};
    return hn_ji_step(ji, args->n_named);
}

/* The arguments of call, filter or test n; `reserve` places for positional ones are left in front.
 */
int hn_ji_args(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n, size_t reserve,
               struct hn_jargs *args)
{
    struct hn_jv star = {0}, starstar = {0}, values;
    size_t extra = 0, extra_named = 0;
    *args = (struct hn_jargs){.n_pos = reserve};
    size_t n_pos = reserve + n->n_items, n_named = n->n_more;
    if (!n_pos && !n_named && !n->b && !n->c)
        return 0;
    if (hn_jv_list(ji, HN_JV_LIST, n_pos + 1, &values))
        return ji->code;
    args->pos = values.list->v;
    for (size_t i = 0; i < n->n_items; i++)
        if (hn_ji_eval(ji, act, n->items[i], &args->pos[args->n_pos++]))
            return ji->code;
    /* Python evaluates *list before the named arguments. */
    if (n->b && (hn_ji_eval(ji, act, n->b, &star) || hn_ji_list_of(ji, star, HN_JV_LIST, &star)))
        return ji->code;
    extra = n->b ? star.list->n : 0;
    struct hn_jv *named = hn_ji_alloc(ji, n_named + 1, sizeof *named);
    if (!named)
        return ji->code;
    for (size_t i = 0; i < n_named; i++)
        if (hn_ji_eval(ji, act, n->more[i]->a, &named[i]))
            return ji->code;
    if (n->c) {
        if (hn_ji_eval(ji, act, n->c, &starstar))
            return ji->code;
        if (starstar.kind != HN_JV_DICT)
            return hn_ji_fail(ji, "** needs a dict, not a %s", hn_jv_type_name(starstar));
        extra_named = starstar.dict->n;
    }
    if (extra) {
        struct hn_jv *all = hn_ji_alloc(ji, args->n_pos + extra, sizeof *all);
        if (!all)
            return ji->code;
        memcpy(all, args->pos, args->n_pos * sizeof *all);
        memcpy(all + args->n_pos, star.list->v, extra * sizeof *all);
        args->pos = all;
        args->n_pos += extra;
    }
    args->named = hn_ji_alloc(ji, n_named + extra_named + 1, sizeof *args->named);
    if (!args->named)
        return ji->code;
    for (size_t i = 0; i < n_named; i++) {
        struct hn_jv key;
        if (hn_jv_str_view(ji->arena, n->more[i]->name.p, n->more[i]->name.n, &key))
            return hn_ji_no_memory(ji);
        if (add_named(ji, args, key, named[i], n_named + extra_named))
            return ji->code;
    }
    for (size_t i = 0; i < extra_named; i++)
        if (add_named(ji, args, starstar.dict->pairs[i].key, starstar.dict->pairs[i].value,
                      n_named + extra_named))
            return ji->code;
    return 0;
}

static int eval_call(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                     struct hn_jv *out)
{
    struct hn_jv callee;
    struct hn_jargs args;
    if (hn_ji_eval(ji, act, n->a, &callee) || hn_ji_args(ji, act, n, 0, &args))
        return ji->code;
    ji->line = n->line;
    return hn_ji_call(ji, callee, &args, out);
}

int hn_ji_filter_node(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                      struct hn_jv value, struct hn_jv *out)
{
    struct hn_jargs args;
    const char *what = n->kind == HN_JN_FILTER ? "filter" : "test";
    if (!n->builtin) {
        ji->line = n->line;
        return hn_ji_fail(ji, "there is no %s named '%.*s'", what, (int)n->name.n, n->name.p);
    }
    if (hn_ji_args(ji, act, n, 1, &args))
        return ji->code;
    struct hn_jv one;
    if (!args.pos)
        args.pos = &one;
    args.pos[0] = value;
    ji->line = n->line;
    return hn_ji_call_builtin(ji, n->builtin, what, (struct hn_jv){0}, &args, out);
}

static int eval_filter(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                       struct hn_jv *out)
{
    struct hn_jv value;
    if (hn_ji_eval(ji, act, n->a, &value))
        return ji->code;
    return hn_ji_filter_node(ji, act, n, value, out);
}

static int eval_unary(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                      struct hn_jv *out)
{
    struct hn_jv a;
    if (hn_ji_eval(ji, act, n->a, &a))
        return ji->code;
    if (a.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, a);
    if (!hn_jv_is_number(a))
        return hn_ji_fail(ji, "a %s has no sign", hn_jv_type_name(a));
    if (n->op == '-')
        return hn_jnum_negate(ji, a, out);
    *out = a.kind == HN_JV_BOOL ? hn_jv_int(a.b) : a;
    return 0;
}

static int eval_node(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                     struct hn_jv *out)
{
    struct hn_jv a, b;
    switch (n->kind) {
    case HN_JN_NAME:
        *out = *hn_ji_slot(act, n);
        return out->kind == HN_JV_MISSING ? hn_jv_undef(ji, n->name, out) : 0;
    case HN_JN_TUPLE:
        return eval_items(ji, act, n, HN_JV_TUPLE, out);
    case HN_JN_LIST:
        return eval_items(ji, act, n, HN_JV_LIST, out);
    case HN_JN_DICT:
        return eval_dict(ji, act, n, out);
    case HN_JN_BINARY:
        if (hn_ji_eval(ji, act, n->a, &a) || hn_ji_eval(ji, act, n->b, &b))
            return ji->code;
        ji->line = n->line;
        return hn_ji_binary(ji, n->op, a, b, out);
    case HN_JN_UNARY:
        return eval_unary(ji, act, n, out);
    case HN_JN_NOT:
        if (hn_ji_eval(ji, act, n->a, &a))
            return ji->code;
        *out = hn_jv_bool(!hn_jv_truth(a));
        return 0;
    case HN_JN_AND:
    case HN_JN_OR:
        return eval_logic(ji, act, n, out);
    case HN_JN_CONCAT:
        return eval_concat(ji, act, n, out);
    case HN_JN_COMPARE:
        return eval_compare(ji, act, n, out);
    case HN_JN_COND:
        return eval_cond(ji, act, n, out);
    case HN_JN_ATTR:
        if (hn_ji_eval(ji, act, n->a, &a))
            return ji->code;
        ji->line = n->line;
        return hn_ji_getattr(ji, a, n->name, out);
    case HN_JN_ITEM:
        return eval_item(ji, act, n, out);
    case HN_JN_CALL:
        return eval_call(ji, act, n, out);
    case HN_JN_FILTER:
    case HN_JN_TEST:
        return eval_filter(ji, act, n, out);
    default:
        return hn_ji_fail(ji, "this cannot be evaluated");
    }
}

int hn_ji_eval(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n, struct hn_jv *out)
{
    if (n->kind == HN_JN_CONST) {
        *out = n->value;
        return 0;
    }
    ji->line = n->line;
    if (hn_ji_step(ji, 0) || hn_ji_enter(ji))
        return ji->code;
    int rc = eval_node(ji, act, n, out);
    hn_ji_leave(ji);
    return rc;
}
