/* Which variable a name means.  Jinja decides it when it compiles a template, and its rules show in
 * the output: a name that a block stores anywhere is that block's own from its start (a copy of the
 * outer one, or undefined), an `if` has no names of its own, loops, macros, with and captured
 * blocks do.  A frame is such a set of names; frames of one function share its array of slots, and
 * a macro, call block or recursive loop is a function of its own, whose inner names reach outwards
 * by (functions up, slot). */
#include "jinja/jinja_ast.h"
#include "jinja/jinja_eval.h"

#include <string.h>

enum { MAX_NAMES = 2000 };

struct frame {
    struct frame *parent;
    struct hn_jframe *out;
    struct hn_jfunc *func;
    bool own_func; /* the outermost frame of its function */
};

struct binder {
    struct hn_arena *arena;
    struct hone_err *err;
    int code;
    size_t n_names;
    int loops; /* loops of the current function around here: where break may stand */
};

static int no_memory(struct binder *b)
{
    return b->code = hn_fail_memory(b->err, "reading a chat template");
}

static struct hn_jload *own(const struct frame *f, struct hn_str name)
{
    for (size_t i = 0; i < f->out->n; i++)
        if (hn_str_eq(f->out->loads[i].name, name))
            return &f->out->loads[i];
    return NULL;
}

static struct hn_jload *find(const struct frame *f, struct hn_str name, uint16_t *up)
{
    *up = 0;
    for (; f; f = f->parent) {
        struct hn_jload *l = own(f, name);
        if (l)
            return l;
        *up = (uint16_t)(*up + f->own_func);
    }
    return NULL;
}

static struct hn_jload *define(struct binder *b, struct frame *f, struct hn_str name,
                               uint8_t action)
{
    struct hn_jframe *o = f->out;
    if (++b->n_names > MAX_NAMES) {
        b->code = hn_fail(b->err, HONE_FAILED, "the template uses more than %d names", MAX_NAMES);
        return NULL;
    }
    if (o->n == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 8;
        struct hn_jload *loads = hn_arena_alloc(b->arena, cap, sizeof *loads);
        if (!loads) {
            no_memory(b);
            return NULL;
        }
        if (o->n)
            memcpy(loads, o->loads, o->n * sizeof *loads);
        o->loads = loads;
        o->cap = cap;
    }
    struct hn_jload *l = &o->loads[o->n++];
    *l = (struct hn_jload){.name = name, .action = action, .slot = f->func->n_slots++};
    return l;
}

static void load(struct binder *b, struct frame *f, struct hn_str name)
{
    uint16_t up;
    if (!find(f, name, &up))
        define(b, f, name, HN_LOAD_RESOLVE);
}

/* A store anywhere in the frame.  Under an `if`, a name that is new here may still be a variable of
 * the rendering when the branch is not taken; elsewhere it starts undefined. */
static void store(struct binder *b, struct frame *f, struct hn_str name, bool in_branch)
{
    uint16_t up;
    if (own(f, name))
        return;
    struct hn_jload *outer = f->parent ? find(f->parent, name, &up) : NULL;
    uint32_t slot = outer ? outer->slot : 0;
    struct hn_jload *l = define(b, f, name,
                                outer       ? HN_LOAD_ALIAS
                                : in_branch ? HN_LOAD_RESOLVE
                                            : HN_LOAD_UNDEFINED);
    if (l && outer) {
        l->from_slot = slot;
        l->from_up = (uint16_t)(up + f->own_func);
    }
}

static uint32_t param(struct binder *b, struct frame *f, struct hn_str name)
{
    struct hn_jload *l = own(f, name);
    if (l)
        l->action = HN_LOAD_PARAM;
    else
        l = define(b, f, name, HN_LOAD_PARAM);
    return l ? l->slot : 0;
}

/* ---- first walk: what a frame loads and stores ---- */

static void scan(struct binder *b, struct frame *f, const struct hn_jnode *n, bool stores,
                 bool in_branch)
{
    if (!n || b->code)
        return;
    if (n->kind == HN_JN_NAME && stores)
        store(b, f, n->name, in_branch);
    else if (n->kind == HN_JN_NAME || n->kind == HN_JN_NSREF)
        load(b, f, n->name);
    scan(b, f, n->a, stores, in_branch);
    scan(b, f, n->b, stores, in_branch);
    scan(b, f, n->c, stores, in_branch);
    for (size_t i = 0; i < n->n_items; i++)
        scan(b, f, n->items[i], stores, in_branch);
    for (size_t i = 0; i < n->n_more; i++)
        scan(b, f, n->more[i], stores, in_branch);
}

static void scan_body(struct binder *b, struct frame *f, struct hn_jnode *const *body, size_t n,
                      bool in_branch);

static void scan_if(struct binder *b, struct frame *f, const struct hn_jnode *n)
{
    for (;;) {
        scan(b, f, n->a, false, true);
        scan_body(b, f, n->body, n->n_body, true);
        if (n->n_more != 1 || n->more[0]->kind != HN_JN_IF || !n->more[0]->flag)
            break;
        n = n->more[0];
    }
    scan_body(b, f, n->more, n->n_more, true);
}

static void scan_body(struct binder *b, struct frame *f, struct hn_jnode *const *body,
                      size_t n_body, bool in_branch)
{
    for (size_t i = 0; i < n_body && !b->code; i++) {
        const struct hn_jnode *n = body[i];
        switch (n->kind) {
        case HN_JN_OUTPUT:
            scan(b, f, n, false, in_branch);
            break;
        case HN_JN_IF:
            scan_if(b, f, n);
            break;
        case HN_JN_FOR:
            scan(b, f, n->b, false, in_branch);
            break;
        case HN_JN_SET:
            scan(b, f, n->b, false, in_branch);
            scan(b, f, n->a, true, in_branch);
            break;
        case HN_JN_SETBLOCK:
            scan(b, f, n->a, true, in_branch);
            break;
        case HN_JN_MACRO:
            store(b, f, n->name, in_branch);
            break;
        case HN_JN_CALLBLOCK:
        case HN_JN_FILTERBLOCK:
            scan(b, f, n->a, false, in_branch);
            break;
        case HN_JN_WITH:
            for (size_t k = 0; k < n->n_more; k++)
                scan(b, f, n->more[k], false, in_branch);
            break;
        }
    }
}

/* ---- second walk: every name gets its slot ---- */

static void bind(struct binder *b, struct frame *f, struct hn_jnode *n, bool soft)
{
    if (!n || b->code)
        return;
    if (n->kind == HN_JN_NAME || n->kind == HN_JN_NSREF) {
        struct hn_jload *l = find(f, n->name, &n->up);
        if (!l) /* a name in a place that the first walk leaves out, as Jinja's does */
            l = define(b, f, n->name, HN_LOAD_RESOLVE), n->up = 0;
        n->slot = l ? l->slot : 0;
    }
    if (n->kind == HN_JN_FILTER || n->kind == HN_JN_TEST) {
        bool filter = n->kind == HN_JN_FILTER;
        n->builtin = filter ? hn_ji_find_filter(n->name) : hn_ji_find_test(n->name);
        if (!n->builtin && !soft) {
            b->code = hn_fail(b->err, HONE_FAILED, "line %d: there is no %s named '%.*s'", n->line,
                              filter ? "filter" : "test", (int)n->name.n, n->name.p);
            return;
        }
    }
    soft = soft || n->kind == HN_JN_COND;
    bind(b, f, n->a, soft);
    bind(b, f, n->b, soft);
    bind(b, f, n->c, soft);
    for (size_t i = 0; i < n->n_items; i++)
        bind(b, f, n->items[i], soft);
    for (size_t i = 0; i < n->n_more; i++)
        bind(b, f, n->more[i], soft);
}

static void bind_body(struct binder *b, struct frame *f, struct hn_jnode **body, size_t n,
                      bool soft);

static bool open_frame(struct binder *b, struct frame *f, struct frame *parent,
                       struct hn_jfunc *func, struct hn_jframe **out)
{
    *f = (struct frame){
        .parent = parent, .func = func ? func : parent->func, .own_func = func != NULL};
    f->out = *out = hn_arena_alloc(b->arena, 1, sizeof **out);
    if (!f->out)
        no_memory(b);
    return !b->code;
}

static struct hn_jfunc *new_func(struct binder *b)
{
    struct hn_jfunc *func = hn_arena_alloc(b->arena, 1, sizeof *func);
    if (!func)
        no_memory(b);
    return func;
}

/* Declare the names of a target as parameters of f (a loop's or with's own). */
static void params(struct binder *b, struct frame *f, const struct hn_jnode *target)
{
    if (target->kind == HN_JN_NAME)
        param(b, f, target->name);
    for (size_t i = 0; i < target->n_items; i++)
        params(b, f, target->items[i]);
}

static bool stores_loop(const struct hn_jnode *target)
{
    if (target->kind == HN_JN_NAME && hn_str_is(target->name, "loop"))
        return true;
    for (size_t i = 0; i < target->n_items; i++)
        if (stores_loop(target->items[i]))
            return true;
    return false;
}

static int no_loop_store(struct binder *b, const struct hn_jnode *target)
{
    if (b->loops && stores_loop(target))
        b->code = hn_fail(b->err, HONE_FAILED,
                          "line %d: the special name 'loop' cannot be assigned to", target->line);
    return b->code;
}

static struct hn_jnode *copy_target(struct binder *b, const struct hn_jnode *target)
{
    struct hn_jnode *n = hn_arena_alloc(b->arena, 1, sizeof *n);
    if (!n)
        return NULL;
    *n = *target;
    if (n->n_items && !(n->items = hn_arena_alloc(b->arena, n->n_items, sizeof *n->items)))
        return NULL;
    for (size_t i = 0; i < n->n_items; i++)
        if (!(n->items[i] = copy_target(b, target->items[i])))
            return NULL;
    return n;
}

static void bind_for(struct binder *b, struct frame *f, struct hn_jnode *n, bool soft)
{
    struct frame body, other, test;
    int loops = b->loops;
    bind(b, f, n->b, soft);
    if (n->flag && !(n->func = new_func(b)))
        return;
    if (n->c) {
        if (!open_frame(b, &test, f, NULL, &n->frame3))
            return;
        params(b, &test, n->a);
        if (!(n->items = hn_arena_alloc(b->arena, 1, sizeof *n->items)) ||
            !(n->items[0] = copy_target(b, n->a))) {
            no_memory(b);
            return;
        }
        n->n_items = 1;
        bind(b, &test, n->items[0], false);
        scan(b, &test, n->c, false, false);
        bind(b, &test, n->c, false);
    }
    if (!open_frame(b, &body, f, n->func, &n->frame))
        return;
    n->frame->loop_slot = param(b, &body, hn_str_of("loop"));
    params(b, &body, n->a);
    scan_body(b, &body, n->body, n->n_body, false);
    b->loops++;
    if (no_loop_store(b, n->a))
        return;
    bind(b, &body, n->a, false);
    bind_body(b, &body, n->body, n->n_body, false);
    b->loops = loops;
    if (n->n_more) {
        if (!open_frame(b, &other, f, n->func, &n->frame2))
            return;
        scan_body(b, &other, n->more, n->n_more, false);
        if (n->flag)
            b->loops = 0;
        bind_body(b, &other, n->more, n->n_more, false);
        b->loops = loops;
    }
}

/* Is `name` loaded in these statements before a store of that name is met?  Jinja asks so for
 * caller, kwargs and varargs. */
static bool mentions(const struct hn_jnode *n, const char *name);

static bool mentions_any(struct hn_jnode *const *nodes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (mentions(nodes[i], name))
            return true;
    return false;
}

static bool mentions(const struct hn_jnode *n, const char *name)
{
    if (!n)
        return false;
    if (n->kind == HN_JN_NAME)
        return hn_str_is(n->name, name);
    return mentions(n->a, name) || mentions(n->b, name) || mentions(n->c, name) ||
           mentions_any(n->items, n->n_items, name) || mentions_any(n->body, n->n_body, name) ||
           mentions_any(n->more, n->n_more, name);
}

static bool has_param(const struct hn_jnode *n, const char *name)
{
    for (size_t i = 0; i < n->n_items; i++)
        if (hn_str_is(n->items[i]->name, name))
            return true;
    return false;
}

static void bind_macro(struct binder *b, struct frame *f, struct hn_jnode *n)
{
    static const char *const special[] = {"caller", "kwargs", "varargs"};
    struct frame in;
    int loops = b->loops;
    if (!(n->func = new_func(b)) || !open_frame(b, &in, f, n->func, &n->frame))
        return;
    for (size_t i = 0; i < n->n_items; i++)
        param(b, &in, n->items[i]->name);
    for (size_t i = 0; i < n->n_more; i++)
        scan(b, &in, n->more[i], false, false);
    scan_body(b, &in, n->body, n->n_body, false);
    for (int k = 0; k < 3 && !b->code; k++) {
        if (!mentions_any(n->body, n->n_body, special[k]))
            continue;
        if (!has_param(n, special[k])) {
            n->frame->special[k] = param(b, &in, hn_str_of(special[k]));
            n->param_flags |= (uint8_t)(1 << k);
        } else if (k == 0) {
            size_t at = 0;
            while (!hn_str_is(n->items[at]->name, special[k]))
                at++;
            if (at < n->n_items - n->n_more)
                b->code = hn_fail(b->err, HONE_FAILED,
                                  "line %d: the parameter 'caller' needs a default", n->line);
        }
    }
    b->loops = 0;
    for (size_t i = 0; i < n->n_items; i++)
        bind(b, &in, n->items[i], false);
    for (size_t i = 0; i < n->n_more; i++)
        bind(b, &in, n->more[i], false);
    bind_body(b, &in, n->body, n->n_body, false);
    b->loops = loops;
}

static void bind_if(struct binder *b, struct frame *f, struct hn_jnode *n)
{
    for (;;) {
        bind(b, f, n->a, true);
        bind_body(b, f, n->body, n->n_body, true);
        if (n->n_more != 1 || n->more[0]->kind != HN_JN_IF || !n->more[0]->flag)
            break;
        n = n->more[0];
    }
    bind_body(b, f, n->more, n->n_more, true);
}

static void bind_with(struct binder *b, struct frame *f, struct hn_jnode *n, bool soft)
{
    struct frame in;
    for (size_t i = 0; i < n->n_more; i++)
        bind(b, f, n->more[i], soft);
    if (!open_frame(b, &in, f, NULL, &n->frame))
        return;
    for (size_t i = 0; i < n->n_items; i++)
        params(b, &in, n->items[i]);
    scan_body(b, &in, n->body, n->n_body, false);
    for (size_t i = 0; i < n->n_items; i++)
        bind(b, &in, n->items[i], false);
    bind_body(b, &in, n->body, n->n_body, false);
}

static void bind_captured(struct binder *b, struct frame *f, struct hn_jnode *n)
{
    struct frame in;
    if (!open_frame(b, &in, f, NULL, &n->frame))
        return;
    scan_body(b, &in, n->body, n->n_body, false);
    if (n->kind == HN_JN_FILTERBLOCK) {
        scan(b, &in, n->a, false, false);
        bind(b, &in, n->a, false);
    } else {
        bind(b, f, n->a, false);
        bind(b, &in, n->b, false);
    }
    bind_body(b, &in, n->body, n->n_body, false);
}

static void bind_statement(struct binder *b, struct frame *f, struct hn_jnode *n, bool soft)
{
    uint16_t up;
    switch (n->kind) {
    case HN_JN_OUTPUT:
        bind(b, f, n, soft);
        break;
    case HN_JN_IF:
        bind_if(b, f, n);
        break;
    case HN_JN_FOR:
        bind_for(b, f, n, soft);
        break;
    case HN_JN_SET:
        if (no_loop_store(b, n->a))
            break;
        bind(b, f, n->a, soft);
        bind(b, f, n->b, soft);
        break;
    case HN_JN_SETBLOCK:
        if (no_loop_store(b, n->a))
            break;
        bind_captured(b, f, n);
        break;
    case HN_JN_FILTERBLOCK:
        bind_captured(b, f, n);
        break;
    case HN_JN_MACRO: {
        struct hn_jload *l = find(f, n->name, &up);
        n->slot = l ? l->slot : 0;
        bind_macro(b, f, n);
        break;
    }
    case HN_JN_CALLBLOCK:
        bind(b, f, n->a, soft);
        bind_macro(b, f, n);
        break;
    case HN_JN_GENERATION:
        bind_macro(b, f, n);
        break;
    case HN_JN_WITH:
        bind_with(b, f, n, soft);
        break;
    case HN_JN_BREAK:
    case HN_JN_CONTINUE:
        if (!b->loops)
            b->code = hn_fail(b->err, HONE_FAILED,
                              "line %d: break and continue must stand in a loop", n->line);
        break;
    }
}

static void bind_body(struct binder *b, struct frame *f, struct hn_jnode **body, size_t n,
                      bool soft)
{
    for (size_t i = 0; i < n && !b->code; i++)
        bind_statement(b, f, body[i], soft);
}

int hn_jinja_bind(struct hn_jinja *t, struct hone_err *err)
{
    struct binder b = {.arena = &t->arena, .err = err};
    struct frame root;
    t->func = new_func(&b);
    if (!t->func || !open_frame(&b, &root, NULL, t->func, &t->frame))
        return b.code;
    scan_body(&b, &root, t->body, t->n_body, false);
    bind_body(&b, &root, t->body, t->n_body, false);
    return b.code;
}
