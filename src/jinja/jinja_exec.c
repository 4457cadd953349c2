/* Execution of statements: output, if, set, with, captured blocks. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"

#include <string.h>

struct hn_jact *hn_ji_act(struct hn_ji *ji, struct hn_jact *up, size_t n_slots)
{
    struct hn_jact *act = hn_ji_alloc(ji, 1, sizeof *act + n_slots * sizeof *act->slots);
    if (act)
        act->up = up;
    return act;
}

void hn_ji_enter_frame(struct hn_ji *ji, struct hn_jact *act, const struct hn_jframe *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct hn_jload *l = &f->loads[i];
        struct hn_jv *s = &act->slots[l->slot];
        const struct hn_jact *from = act;
        const struct hn_jv *v;
        switch (l->action) {
        case HN_LOAD_PARAM:
            break;
        case HN_LOAD_RESOLVE:
            v = hn_jdict_get_str(ji->vars, l->name);
            *s = v ? *v : (struct hn_jv){0};
            break;
        case HN_LOAD_ALIAS:
            for (uint16_t up = l->from_up; up; up--)
                from = from->up;
            *s = from->slots[l->from_slot];
            break;
        default:
            *s = (struct hn_jv){0};
        }
    }
}

void hn_ji_capture_begin(struct hn_ji *ji, struct hn_ji_capture *c)
{
    c->before = ji->out;
    hn_buf_init(&c->buf);
    ji->out = &c->buf;
}

int hn_ji_capture_end(struct hn_ji *ji, struct hn_ji_capture *c, int flow, struct hn_jv *text)
{
    ji->out = c->before;
    ji->captured -= c->buf.len;
    if (flow != HN_FLOW_NEXT) {
        hn_buf_release(&c->buf);
        return flow < 0 ? flow : 0;
    }
    return hn_jv_str_take(ji, &c->buf, text);
}

/* ---- assignment ---- */

static int check_namespaces(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *target)
{
    if (target->kind == HN_JN_NSREF && hn_ji_slot(act, target)->kind != HN_JV_NAMESPACE)
        return hn_ji_fail(ji,
                          "'%.*s' is not a namespace, and only a namespace's attributes can be set",
                          (int)target->name.n, target->name.p);
    for (size_t i = 0; i < target->n_items; i++)
        if (check_namespaces(ji, act, target->items[i]))
            return ji->code;
    return 0;
}

static int assign_attr(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                       struct hn_jv v)
{
    struct hn_jv *ns = hn_ji_slot(act, n), key;
    if (n->attr.n && n->attr.p[0] == '_')
        return hn_ji_fail(ji, "a namespace's attribute must not start with an underscore: '%.*s'",
                          (int)n->attr.n, n->attr.p);
    if (ns->kind != HN_JV_NAMESPACE)
        return hn_ji_fail(ji, "'%.*s' is not a namespace", (int)n->name.n, n->name.p);
    if (hn_jv_str_view(ji->arena, n->attr.p, n->attr.n, &key))
        return hn_ji_no_memory(ji);
    return hn_jdict_set(ji, ns->dict, key, v);
}

int hn_ji_assign(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *target,
                 struct hn_jv v)
{
    if (target->kind == HN_JN_NAME) {
        *hn_ji_slot(act, target) = v;
        return 0;
    }
    if (target->kind == HN_JN_NSREF)
        return assign_attr(ji, act, target, v);
    struct hn_jv list;
    if (v.kind == HN_JV_LIST || v.kind == HN_JV_TUPLE)
        list = v;
    else if (!hn_ji_iterable(v))
        return hn_ji_fail(ji, "a %s cannot be unpacked into %zu names", hn_jv_type_name(v),
                          target->n_items);
    else if (hn_ji_list_of(ji, v, HN_JV_LIST, &list))
        return ji->code;
    if (list.list->n != target->n_items)
        return hn_ji_fail(ji, "%zu values cannot be unpacked into %zu names", list.list->n,
                          target->n_items);
    for (size_t i = 0; i < target->n_items; i++)
        if (hn_ji_assign(ji, act, target->items[i], list.list->v[i]))
            return ji->code;
    return 0;
}

/* ---- statements ---- */

static int exec_output(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    for (size_t i = 0; i < n->n_items; i++) {
        struct hn_jv v, text;
        if (hn_ji_eval(ji, act, n->items[i], &v) || hn_jv_to_str(ji, v, &text))
            return ji->code;
        if (text.kind == HN_JV_STR && hn_ji_write(ji, text.s->p, text.s->n))
            return ji->code;
    }
    return 0;
}

static int exec_if(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    for (;;) {
        struct hn_jv test;
        if (hn_ji_eval(ji, act, n->a, &test))
            return ji->code;
        if (hn_jv_truth(test))
            return hn_ji_exec(ji, act, n->body, n->n_body);
        if (n->n_more != 1 || n->more[0]->kind != HN_JN_IF || !n->more[0]->flag)
            return hn_ji_exec(ji, act, n->more, n->n_more);
        n = n->more[0];
    }
}

static int exec_set(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    struct hn_jv v;
    if (check_namespaces(ji, act, n->a) || hn_ji_eval(ji, act, n->b, &v))
        return ji->code;
    ji->line = n->line;
    return hn_ji_assign(ji, act, n->a, v);
}

/* filters: a chain whose innermost one has no operand of its own */
static int apply_filters(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                         struct hn_jv *v)
{
    if (n->a && apply_filters(ji, act, n->a, v))
        return ji->code;
    return hn_ji_filter_node(ji, act, n, *v, v);
}

/* What a call or filter block gives, which Jinja does not convert. */
static int write_text(struct hn_ji *ji, struct hn_jv v)
{
    if (v.kind != HN_JV_STR)
        return hn_ji_fail(ji, "the block gives a %s, and only text can be written",
                          hn_jv_type_name(v));
    return hn_ji_write(ji, v.s->p, v.s->n);
}

static int exec_captured(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    struct hn_ji_capture c;
    struct hn_jv v;
    bool filter = n->kind == HN_JN_FILTERBLOCK;
    const struct hn_jnode *chain = filter ? n->a : n->b;
    hn_ji_enter_frame(ji, act, n->frame);
    hn_ji_capture_begin(ji, &c);
    int flow = hn_ji_exec(ji, act, n->body, n->n_body);
    if (hn_ji_capture_end(ji, &c, flow, &v))
        return ji->code;
    if (flow != HN_FLOW_NEXT)
        return flow;
    if (chain && apply_filters(ji, act, chain, &v))
        return ji->code;
    ji->line = n->line;
    if (!filter)
        return hn_ji_assign(ji, act, n->a, v);
    return write_text(ji, v);
}

static int exec_with(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    hn_ji_enter_frame(ji, act, n->frame);
    for (size_t i = 0; i < n->n_items; i++) {
        struct hn_jv v;
        if (hn_ji_eval(ji, act, n->more[i], &v) || hn_ji_assign(ji, act, n->items[i], v))
            return ji->code;
    }
    return hn_ji_exec(ji, act, n->body, n->n_body);
}

static int make_macro(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                      struct hn_jv *out)
{
    struct hn_jmacro *m = hn_ji_alloc(ji, 1, sizeof *m);
    if (!m)
        return ji->code;
    *m = (struct hn_jmacro){n, act};
    *out = (struct hn_jv){.kind = HN_JV_MACRO, .macro = m};
    return 0;
}

static int exec_call(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    struct hn_jv callee, caller, key, v;
    struct hn_jargs args;
    if (make_macro(ji, act, n, &caller) || hn_ji_eval(ji, act, n->a->a, &callee) ||
        hn_ji_args(ji, act, n->a, 0, &args))
        return ji->code;
    struct hn_jpair *named = hn_ji_alloc(ji, args.n_named + 1, sizeof *named);
    if (!named)
        return ji->code;
    if (args.n_named)
        memcpy(named, args.named, args.n_named * sizeof *named);
    if (hn_jv_str_view(ji->arena, "caller", 6, &key))
        return hn_ji_no_memory(ji);
    named[args.n_named++] = (struct hn_jpair){key, caller};
    args.named = named;
    ji->line = n->line;
    return hn_ji_call(ji, callee, &args, &v) ? ji->code : write_text(ji, v);
}

static int exec_node(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    switch (n->kind) {
    case HN_JN_OUTPUT:
        return exec_output(ji, act, n);
    case HN_JN_IF:
        return exec_if(ji, act, n);
    case HN_JN_FOR:
        return hn_ji_for(ji, act, n);
    case HN_JN_SET:
        return exec_set(ji, act, n);
    case HN_JN_SETBLOCK:
    case HN_JN_FILTERBLOCK:
        return exec_captured(ji, act, n);
    case HN_JN_WITH:
        return exec_with(ji, act, n);
    case HN_JN_MACRO:
        return make_macro(ji, act, n, &act->slots[n->slot]);
    case HN_JN_CALLBLOCK:
        return exec_call(ji, act, n);
    case HN_JN_GENERATION:
        return hn_ji_generation(ji, act, n);
    case HN_JN_BREAK:
        return HN_FLOW_BREAK;
    case HN_JN_CONTINUE:
        return HN_FLOW_CONTINUE;
    default:
        return hn_ji_fail(ji, "this statement is not known");
    }
}

int hn_ji_exec(struct hn_ji *ji, struct hn_jact *act, struct hn_jnode *const *body, size_t n)
{
    int flow = 0;
    if (hn_ji_enter(ji))
        return ji->code;
    for (size_t i = 0; i < n && !flow; i++) {
        ji->line = body[i]->line;
        flow = hn_ji_step(ji, 0);
        if (!flow)
            flow = exec_node(ji, act, body[i]);
    }
    hn_ji_leave(ji);
    return flow;
}
