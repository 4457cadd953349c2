/* The for loop and its `loop` object.  The iterable is read lazily: `loop.last` and `loop.nextitem`
 * look one item ahead, `loop.length` of a generator reads it to the end, as in Jinja. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_ast.h"

#include <string.h>

/* The next item that passes the loop's test; the test's frame lives in the slots of `act`. */
struct tested {
    struct hn_jiter *src;
    struct hn_jact *act;
    const struct hn_jnode *node;
    bool entered;
};

static int next_tested(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    struct tested *t = it->state;
    if (!t->entered)
        hn_ji_enter_frame(ji, t->act, t->node->frame3);
    t->entered = true;
    for (;;) {
        int rc = t->src->next(ji, t->src, out);
        if (rc != 1)
            return rc;
        struct hn_jv pass;
        if (hn_ji_assign(ji, t->act, t->node->items[0], *out))
            return ji->code;
        if (hn_ji_eval(ji, t->act, t->node->c, &pass))
            return ji->code;
        if (hn_jv_truth(pass))
            return 1;
    }
}

static int open_iterable(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n,
                         struct hn_jv *iterable, struct hn_jiter **it)
{
    if (hn_ji_iter(ji, *iterable, it))
        return ji->code;
    if (!n->c)
        return 0;
    struct tested *t = hn_ji_alloc(ji, 1, sizeof *t);
    if (!t)
        return ji->code;
    *t = (struct tested){.src = *it, .act = act, .node = n};
    *it = hn_ji_new_iter(ji, "generator", next_tested, iterable);
    if (*it)
        (*it)->state = t;
    return ji->code;
}

static int next_item(struct hn_ji *ji, struct hn_jloop *l, struct hn_jv *out)
{
    if (l->after.kind != HN_JV_MISSING) {
        *out = l->after;
        l->after = (struct hn_jv){0};
    } else {
        int rc = l->it->next(ji, l->it, out);
        if (rc != 1)
            return rc;
    }
    l->index0++;
    l->before = l->current;
    l->current = *out;
    return 1;
}

/* def: the activation in which the loop statement runs; run: whose slots the body uses (the same,
 * unless the loop is recursive). */
static int run(struct hn_ji *ji, struct hn_jact *def, struct hn_jact *act, const struct hn_jnode *n,
               struct hn_jv iterable, int depth0)
{
    struct hn_jloop *l = hn_ji_alloc(ji, 1, sizeof *l);
    if (!l || open_iterable(ji, def, n, &iterable, &l->it))
        return ji->code;
    l->iterable = iterable;
    l->index0 = -1;
    l->length = -1;
    l->depth0 = depth0;
    l->node = n;
    l->act = def;
    bool any = false;
    for (;;) {
        struct hn_jv item;
        ji->line = n->line;
        int rc = next_item(ji, l, &item);
        if (rc < 0 || (rc && hn_ji_step(ji, 0)))
            return ji->code;
        if (!rc)
            break;
        if (hn_ji_assign(ji, act, n->a, item))
            return ji->code;
        act->slots[n->frame->loop_slot] = (struct hn_jv){.kind = HN_JV_LOOP, .loop = l};
        hn_ji_enter_frame(ji, act, n->frame);
        int flow = hn_ji_exec(ji, act, n->body, n->n_body);
        if (flow < 0)
            return flow;
        any = any || flow == HN_FLOW_NEXT;
        if (flow == HN_FLOW_BREAK)
            break;
    }
    if (any || !n->n_more)
        return 0;
    hn_ji_enter_frame(ji, act, n->frame2);
    return hn_ji_exec(ji, act, n->more, n->n_more);
}

static int run_recursive(struct hn_ji *ji, struct hn_jact *def, const struct hn_jnode *n,
                         struct hn_jv iterable, int depth0, struct hn_jv *out)
{
    struct hn_ji_capture c;
    struct hn_jact *act = hn_ji_act(ji, def, n->func->n_slots);
    if (!act || hn_ji_enter(ji))
        return ji->code;
    hn_ji_capture_begin(ji, &c);
    int flow = run(ji, def, act, n, iterable, depth0);
    hn_ji_leave(ji);
    return hn_ji_capture_end(ji, &c, flow, out);
}

int hn_ji_for(struct hn_ji *ji, struct hn_jact *act, const struct hn_jnode *n)
{
    struct hn_jv iterable, text;
    if (hn_ji_eval(ji, act, n->b, &iterable))
        return ji->code;
    ji->line = n->line;
    if (!n->flag)
        return run(ji, act, act, n, iterable, 0);
    if (run_recursive(ji, act, n, iterable, 0, &text))
        return ji->code;
    return hn_ji_write(ji, text.s->p, text.s->n);
}

int hn_ji_loop_call(struct hn_ji *ji, struct hn_jloop *loop, const struct hn_jargs *args,
                    struct hn_jv *out)
{
    if (!loop->node->flag)
        return hn_ji_fail(ji, "only a loop marked 'recursive' can be called");
    if (args->n_pos != 1 || args->n_named)
        return hn_ji_fail(ji, "loop(…) takes one iterable");
    return run_recursive(ji, loop->act, loop->node, args->pos[0], loop->depth0 + 1, out);
}

/* ---- attributes of `loop` ---- */

static int peek(struct hn_ji *ji, struct hn_jloop *l)
{
    if (l->after.kind != HN_JV_MISSING)
        return 0;
    struct hn_jv v;
    int rc = l->it->next(ji, l->it, &v);
    if (rc == 1)
        l->after = v;
    return rc < 0 ? rc : 0;
}

static int next_of_list(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    (void)ji;
    if (it->i >= it->src.list->n)
        return 0;
    *out = it->src.list->v[it->i++];
    return 1;
}

int hn_ji_loop_length(struct hn_ji *ji, struct hn_jloop *l, int64_t *out)
{
    size_t n;
    if (l->length < 0 && hn_jv_len(l->iterable, &n))
        l->length = (int64_t)n;
    if (l->length < 0) {
        struct hn_jv rest, v;
        if (hn_jv_list(ji, HN_JV_LIST, 0, &rest))
            return ji->code;
        int rc;
        while ((rc = l->it->next(ji, l->it, &v)) == 1)
            if (hn_jv_push(ji, rest.list, v) || hn_ji_step(ji, 0))
                return ji->code;
        if (rc < 0)
            return rc;
        l->it = hn_ji_new_iter(ji, "list_iterator", next_of_list, &v);
        if (!l->it)
            return ji->code;
        l->it->src = rest;
        l->length = (int64_t)rest.list->n + l->index0 + 1 + (l->after.kind != HN_JV_MISSING);
    }
    *out = l->length;
    return 0;
}

static int neighbour(struct hn_ji *ji, struct hn_jv v, bool there, const char *hint,
                     struct hn_jv *out)
{
    if (!there)
        return hn_jv_undef_hint(ji, hint, out);
    *out = v;
    return 0;
}

int hn_ji_loop_attr(struct hn_ji *ji, struct hn_jloop *l, struct hn_str name, bool *found,
                    struct hn_jv *out)
{
    int64_t n;
    *found = true;
    if (hn_str_is(name, "index0"))
        *out = hn_jv_int(l->index0);
    else if (hn_str_is(name, "index"))
        *out = hn_jv_int(l->index0 + 1);
    else if (hn_str_is(name, "first"))
        *out = hn_jv_bool(l->index0 == 0);
    else if (hn_str_is(name, "depth"))
        *out = hn_jv_int(l->depth0 + 1);
    else if (hn_str_is(name, "depth0"))
        *out = hn_jv_int(l->depth0);
    else if (hn_str_is(name, "previtem"))
        return neighbour(ji, l->before, l->index0 != 0, "there is no previous item", out);
    else if (hn_str_is(name, "last") || hn_str_is(name, "nextitem")) {
        if (peek(ji, l))
            return ji->code;
        bool more = l->after.kind != HN_JV_MISSING;
        if (hn_str_is(name, "nextitem"))
            return neighbour(ji, l->after, more, "there is no next item", out);
        *out = hn_jv_bool(!more);
    } else if (hn_str_is(name, "length") || hn_str_is(name, "revindex") ||
               hn_str_is(name, "revindex0")) {
        if (hn_ji_loop_length(ji, l, &n))
            return ji->code;
        *out = hn_jv_int(hn_str_is(name, "length")     ? n
                         : hn_str_is(name, "revindex") ? n - l->index0
                                                       : n - l->index0 - 1);
    } else {
        *found = false;
    }
    return 0;
}
