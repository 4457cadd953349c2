/* Calling macros and the bodies of call blocks, and {% generation %} blocks, whose place in the
 * output is noted. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"
#include "base/mem.h"

#include <string.h>

/* The slot of a parameter: parameters are the first things that bind their names in the frame. */
static uint32_t slot_of(const struct hn_jnode *n, size_t i)
{
    return n->items[i]->slot;
}

static int too_many(struct hn_ji *ji, const struct hn_jnode *n)
{
    return hn_ji_fail(ji, "the macro '%.*s' takes at most %zu arguments", (int)n->name.n, n->name.p,
                      n->n_items);
}

/* Fill the parameters' slots from args; MISSING ones get their defaults later. */
static int bind(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                const struct hn_jargs *args)
{
    struct hn_jv kwargs = {0}, varargs = {0}, caller = {0};
    size_t n_named = 0;
    if (n->param_flags & HN_MACRO_KWARGS && hn_jv_dict(ji, &kwargs))
        return ji->code;
    for (size_t i = 0; i < n->n_items && i < args->n_pos; i++)
        act->slots[slot_of(n, i)] = args->pos[i];
    for (size_t k = 0; k < args->n_named; k++) {
        struct hn_str name = {args->named[k].key.s->p, args->named[k].key.s->n};
        size_t i = args->n_pos;
        while (i < n->n_items && !hn_str_eq(n->items[i]->name, name))
            i++;
        if (i < n->n_items) {
            act->slots[slot_of(n, i)] = args->named[k].value;
            n_named++;
        } else if (hn_str_is(name, "caller") && n->param_flags & HN_MACRO_CALLER) {
            caller = args->named[k].value;
            n_named++;
        } else if (kwargs.kind) {
            if (hn_jdict_set(ji, kwargs.dict, args->named[k].key, args->named[k].value))
                return ji->code;
            n_named++;
        }
    }
    if (n_named < args->n_named)
        for (size_t k = 0; k < args->n_named; k++) {
            struct hn_str name = {args->named[k].key.s->p, args->named[k].key.s->n};
            bool known = hn_str_is(name, "caller") && n->param_flags & HN_MACRO_CALLER;
            for (size_t i = args->n_pos; i < n->n_items; i++)
                known = known || hn_str_eq(n->items[i]->name, name);
            if (!known)
                return hn_ji_fail(ji, "the macro '%.*s' takes no argument '%.*s'", (int)n->name.n,
                                  n->name.p, (int)HN_MIN(name.n, 100), name.p);
        }
    if (n->param_flags & HN_MACRO_CALLER) {
        if ((!caller.kind || caller.kind == HN_JV_NONE) &&
            hn_jv_undef_hint(ji, "No caller defined", &caller))
            return ji->code;
        act->slots[n->frame->special[0]] = caller;
    }
    if (n->param_flags & HN_MACRO_KWARGS)
        act->slots[n->frame->special[1]] = kwargs;
    if (n->param_flags & HN_MACRO_VARARGS) {
        if (hn_jv_list(ji, HN_JV_TUPLE, 0, &varargs))
            return ji->code;
        for (size_t i = n->n_items; i < args->n_pos; i++)
            if (hn_jv_push(ji, varargs.list, args->pos[i]))
                return ji->code;
        act->slots[n->frame->special[2]] = varargs;
    } else if (args->n_pos > n->n_items) {
        return too_many(ji, n);
    }
    return 0;
}

static int defaults(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    size_t first = n->n_items - n->n_more;
    for (size_t i = 0; i < n->n_items; i++) {
        struct hn_jv *s = &act->slots[slot_of(n, i)];
        if (s->kind != HN_JV_MISSING)
            continue;
        struct hn_jv v;
        if (i >= first ? hn_ji_eval(ji, act, n->more[i - first], &v)
                       : hn_jv_undef(ji, n->items[i]->name, &v))
            return ji->code;
        *s = v;
    }
    return 0;
}

static int call(struct hn_ji *ji, const struct hn_jnode *n, struct hn_jact *def,
                const struct hn_jargs *args, struct hn_jv *out)
{
    struct hn_ji_capture c;
    int line = ji->line;
    struct hn_jact *act = hn_ji_act(ji, def, n->func->n_slots);
    if (!act || bind(ji, act, n, args) || hn_ji_enter(ji))
        return ji->code;
    hn_ji_capture_begin(ji, &c);
    hn_ji_enter_frame(ji, act, n->frame);
    int flow = defaults(ji, act, n);
    if (!flow)
        flow = hn_ji_exec(ji, act, n->body, n->n_body);
    hn_ji_leave(ji);
    if (!flow)
        ji->line = line;
    return hn_ji_capture_end(ji, &c, flow, out);
}

int hn_ji_macro_call(struct hn_ji *ji, const struct hn_jmacro *m, const struct hn_jargs *args,
                     struct hn_jv *out)
{
    return call(ji, m->node, m->act, args, out);
}

int hn_ji_generation(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    struct hn_jv text;
    struct hn_jargs none = {0};
    struct hn_jinja_marks *m = ji->marks;
    if (call(ji, n, act, &none, &text))
        return ji->code;
    if (m && ji->out != ji->root)
        m->nested = true;
    if (m && ji->out == ji->root) {
        if (hn_grow((void **)&m->items, &m->cap, m->n + 1, sizeof *m->items))
            return hn_ji_no_memory(ji);
        size_t start = ji->root->len - ji->root_start;
        m->items[m->n++] = (struct hn_jinja_mark){start, start + text.s->n};
    }
    return hn_ji_write(ji, text.s->p, text.s->n);
}
