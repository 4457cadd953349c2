/* Statements in order: what they assign, which branches are taken, what functions are called with.
 */
#include <string.h>
#include "migrate/py_eval.h"

enum branch { TAKEN, MAYBE, WEAK, SKIPPED };

struct block {
    enum hn_py_statement_kind kind;
    enum branch branch;
    unsigned indent;
    size_t names;               /* of a def: how many there were before it */
    size_t scope;               /* of the block outside */
    const char *function;       /* likewise */
    const char *class_name;     /* of the block outside */
    struct hn_py_value *fields; /* of a class */
    bool settled;               /* of an if: this branch, or one before it, is certainly the one */
    bool likely;                /* or may be */
};

enum { MAX_BLOCKS = 100 };

struct walk {
    struct hn_py_program *p;
    struct block blocks[MAX_BLOCKS];
    size_t n;
    struct block last_if; /* the one that an else at its indentation goes with */
    bool has_last_if;
};

static void refresh(struct walk *w)
{
    w->p->maybe = w->p->weak = false;
    for (size_t i = 0; i < w->n; i++) {
        w->p->maybe = w->p->maybe || w->blocks[i].branch != TAKEN;
        w->p->weak = w->p->weak || w->blocks[i].branch == WEAK;
    }
}

static bool skipped(const struct walk *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->blocks[i].branch == SKIPPED)
            return true;
    return false;
}

static void push(struct walk *w, struct block b)
{
    if (w->n == MAX_BLOCKS)
        return;
    b.scope = w->p->scope;
    b.function = w->p->in_def;
    b.class_name = w->p->in_class;
    w->blocks[w->n++] = b;
    refresh(w);
}

static void pop(struct walk *w)
{
    struct block *b = &w->blocks[--w->n];
    if (b->kind == HN_PY_S_DEF) {
        hn_py_names_leave(&w->p->names, b->names);
        w->p->scope = b->scope;
        w->p->in_def = b->function;
    }
    w->p->in_class = b->class_name;
    w->has_last_if = b->kind == HN_PY_S_IF;
    if (w->has_last_if)
        w->last_if = *b;
    refresh(w);
}

static void leave_blocks(struct walk *w, unsigned indent)
{
    w->has_last_if = false;
    while (w->n && w->blocks[w->n - 1].indent >= indent)
        pop(w);
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool is_named(const struct hn_py_statement *s, struct hn_str key)
{
    for (const struct hn_py_node *t = s->targets; t; t = t->next)
        if (t->kind == HN_PY_N_KEYWORD && hn_str_eq(t->text, key))
            return true;
    return false;
}

/* **kwargs of a def: what the call gives beside the named ones */
static struct hn_py_value *rest_of(struct hn_py_program *p, const struct hn_py_statement *s,
                                   const struct hn_py_value *call, const struct hn_py_node *where)
{
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_DICT, where);
    if (!v)
        return NULL;
    v->open = !call || call->open;
    for (const struct hn_py_item *i = call ? call->first : NULL; i; i = i->next) {
        const struct hn_py_node at = {.cell = i->cell, .line = i->line};
        if (i->key.p && !is_named(s, i->key))
            hn_py_value_add(p->arena, v, i->key, i->value, &at);
    }
    return v;
}

/* A parameter gets what the call gives it, else its default. */
static struct hn_py_value *parameter(struct hn_py_program *p, const struct hn_py_node *t,
                                     const struct hn_py_value *call, size_t position)
{
    char key[128] = "";
    struct hn_py_value *value = t->a ? hn_py_eval(p, t->a) : NULL;
    const struct hn_py_value *given = NULL;
    if (t->text.n < sizeof key)
        memcpy(key, t->text.p, t->text.n);
    if (call) {
        given = hn_py_value_get(call, key);
        given = given ? given : hn_py_value_at(call, position);
    }
    if (given && given->type != HN_PY_UNKNOWN)
        return (struct hn_py_value *)(uintptr_t)given;
    if (!value && (value = hn_py_value_new(p->arena, HN_PY_UNKNOWN, t)))
        value->path = t->text;
    return value;
}

/* self: what is known of it is known by the name of its class */
static struct hn_py_value *self_of(struct hn_py_program *p, const struct hn_py_node *t)
{
    struct hn_buf path = {0};
    struct hn_py_value *v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, t);
    hn_buf_printf(&path, "self@%s", p->in_class);
    struct hn_str text = hn_py_take_text(p->arena, &path);
    if (v)
        v->path = text;
    return v;
}

static void enter_def(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_program *p = w->p;
    bool method = w->n && w->blocks[w->n - 1].kind == HN_PY_S_CLASS && p->in_class;
    bool makes = method && hn_str_is(s->text, "__init__");
    const struct hn_py_value *call =
        hn_py_names_get(&p->first_calls, makes ? hn_str_of(p->in_class) : s->text);
    struct block b = {.kind = HN_PY_S_DEF, .indent = s->indent, .names = p->names.n};
    size_t n = w->n, position = 0;
    if (!method) {
        struct hn_py_value *known = hn_py_names_get(&p->defs, s->text)
                                        ? NULL
                                        : hn_py_value_new(p->arena, HN_PY_UNKNOWN, NULL);
        if (known)
            hn_py_names_set(p->arena, &p->defs, s->text, known, 0);
    }
    push(w, b);
    if (w->n == n)
        return;
    p->scope = b.names;
    p->in_def = hn_arena_dup(p->arena, s->text.p, s->text.n);
    for (const struct hn_py_node *t = s->targets; t; t = t->next) {
        bool self = method && t == s->targets && hn_str_is(t->text, "self");
        struct hn_py_value *value = self                       ? self_of(p, t)
                                    : t->kind == HN_PY_N_DSTAR ? rest_of(p, s, call, t)
                                    : t->kind == HN_PY_N_STAR  ? parameter(p, t, NULL, 0)
                                                               : parameter(p, t, call, position);
        position += !self;
        if (value)
            hn_py_names_set(p->arena, &p->names, t->text, value, p->scope);
    }
}

/* class Own(Trainer): told as a call of trainer_class; its calls are those of Trainer. */
static void own_trainer(struct walk *w, const struct hn_py_statement *s, struct hn_py_value *fields,
                        const struct hn_py_value *base)
{
    const struct hn_py_value *own = hn_py_names_get(&w->p->classes, base->path);
    struct hn_str path = own ? own->path : base->path;
    struct hn_py_value *told = hn_py_value_new(w->p->arena, HN_PY_OBJECT, NULL);
    if (!told || !hn_str_ends(path, "Trainer"))
        return;
    fields->path = path;
    told->path = hn_str_of("trainer_class");
    told->cell = s->cell;
    told->line = s->line;
    told->source = s->source;
    hn_py_record(w->p, told);
}

static void enter_class(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_value *fields = hn_py_value_new(w->p->arena, HN_PY_DICT, NULL);
    const struct hn_py_value *base = s->value ? hn_py_eval(w->p, s->value) : NULL;
    if (base && base->type == HN_PY_TUPLE)
        base = hn_py_value_at(base, 0);
    if (fields && base && base->type == HN_PY_UNKNOWN &&
        (hn_str_ends(base->path, "TrainingArguments") || hn_str_ends(base->path, "SFTConfig"))) {
        /* its fields are the defaults of a command line */
        fields->type = HN_PY_OBJECT;
        fields->space = true;
        fields->self = fields;
        fields->path = base->path;
        fields->cell = s->cell;
        fields->line = s->line;
        fields->source = s->source;
        hn_py_record(w->p, fields);
    } else if (fields && base && base->type == HN_PY_UNKNOWN) {
        own_trainer(w, s, fields, base);
    }
    if (fields)
        hn_py_names_set(w->p->arena, &w->p->classes, s->text, fields, 0);
    size_t n = w->n;
    push(w, (struct block){.kind = HN_PY_S_CLASS, .indent = s->indent, .fields = fields});
    if (w->n > n)
        w->p->in_class = hn_arena_dup(w->p->arena, s->text.p, s->text.n);
}

static void enter_if(struct walk *w, const struct hn_py_statement *s)
{
    struct block b = {.kind = HN_PY_S_IF, .indent = s->indent};
    struct block before = {0};
    bool follows =
        (s->is_elif || s->kind == HN_PY_S_ELSE) && w->has_last_if && w->last_if.indent == s->indent;
    if (follows)
        before = w->last_if;
    if (before.settled) {
        b.branch = SKIPPED;
    } else {
        const struct hn_py_value *v = s->value ? hn_py_eval(w->p, s->value) : NULL;
        int truth = s->value ? hn_py_truth(v) : 1;
        b.branch = truth == 0 ? SKIPPED : truth > 0 && !before.likely ? TAKEN : MAYBE;
        if (b.branch != SKIPPED && before.likely)
            b.branch = WEAK;
        if (b.branch == TAKEN && v && v->conditional)
            b.branch = MAYBE;
        b.settled = truth > 0;
        b.likely = truth != 0;
        if (!follows && s->kind == HN_PY_S_ELSE) { /* of a loop or a try */
            b.branch = TAKEN;
        }
    }
    b.settled = b.settled || before.settled;
    b.likely = b.likely || before.likely;
    push(w, b);
}

static void enter_other(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_program *p = w->p;
    if (hn_str_is(s->text, "except") || hn_str_is(s->text, "case"))
        push(w, (struct block){.kind = HN_PY_S_OTHER, .branch = WEAK, .indent = s->indent});
    if (!s->value)
        return;
    struct hn_py_value *v = hn_py_eval(p, s->value);
    if (!hn_str_is(s->text, "return") || !p->in_def || !v)
        return;
    if (v->type == HN_PY_OBJECT || hn_py_is_constant(v) || v->type == HN_PY_TUPLE) {
        struct hn_str name = hn_str_of(p->in_def);
        if (!p->weak || !hn_py_names_get(&p->returns, name))
            hn_py_names_set(p->arena, &p->returns, name, v, 0);
    }
}

static struct hn_py_value *each(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_value *over = hn_py_eval(w->p, s->value);
    struct hn_py_value *v = hn_py_value_new(w->p->arena, HN_PY_UNKNOWN, s->value);
    bool known =
        over && (over->type == HN_PY_LIST || over->type == HN_PY_TUPLE) && hn_py_is_constant(over);
    if (v && known) {
        v->first = over->first;
        v->last = over->last;
        v->n = over->n;
    }
    if (v)
        v->self = over;
    return v;
}

/* "for epoch in range(3):" is told as a call of epoch_loop as well. */
static void enter_for(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_value *v = each(w, s), *call;
    const struct hn_py_node *t = s->targets;
    if (v && t->kind == HN_PY_N_NAME && hn_str_contains(t->text, "epoch") &&
        (call = hn_py_value_new(w->p->arena, HN_PY_OBJECT, s->value))) {
        call->path = hn_str_of("epoch_loop");
        hn_py_value_add(w->p->arena, call, (struct hn_str){0}, v->self, s->value);
        hn_py_record(w->p, call);
    }
    hn_py_assign(w->p, t, v, s->value);
}

static void augment(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_program *p = w->p;
    struct hn_py_value *a = hn_py_eval(p, s->targets), *b = hn_py_eval(p, s->value);
    struct hn_py_value *v = a && b ? hn_py_binary(p, s->value, s->text, a, b) : NULL;
    if (!v)
        v = hn_py_value_new(p->arena, HN_PY_UNKNOWN, s->value);
    if (b && b->type == HN_PY_UNKNOWN && hn_py_path_ends(b->path, "eos_token"))
        p->eos = b;
    hn_py_assign(p, s->targets, v, s->value);
}

static void assign(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_program *p = w->p;
    struct hn_py_value *v = s->value ? hn_py_eval(p, s->value) : NULL;
    const struct block *b = w->n ? &w->blocks[w->n - 1] : NULL;
    for (const struct hn_py_node *t = s->targets; t; t = t->next) {
        if (b && b->kind == HN_PY_S_CLASS && b->fields && t->kind == HN_PY_N_NAME && v) {
            hn_py_value_add(p->arena, b->fields, t->text, v, s->value);
            hn_py_names_set(p->arena, &p->options, t->text, v, 0);
        } else if (v) {
            hn_py_assign(p, t, v, s->value);
        }
    }
}

static void import(struct walk *w, const struct hn_py_statement *s)
{
    struct hn_py_value *v = hn_py_value_new(w->p->arena, HN_PY_UNKNOWN, s->targets);
    if (!v)
        return;
    v->path = s->text;
    hn_py_names_set(w->p->arena, &w->p->names, s->targets->text, v, w->p->scope);
}

static void statement(struct walk *w, const struct hn_py_statement *s)
{
    switch (s->kind) {
    case HN_PY_S_EXPRESSION:
        (void)hn_py_eval(w->p, s->value);
        break;
    case HN_PY_S_ASSIGN:
        assign(w, s);
        break;
    case HN_PY_S_AUGMENT:
        augment(w, s);
        break;
    case HN_PY_S_IF:
    case HN_PY_S_ELSE:
        enter_if(w, s);
        break;
    case HN_PY_S_FOR:
        if (s->targets)
            enter_for(w, s);
        break;
    case HN_PY_S_WITH: {
        struct hn_py_value *v = hn_py_eval(w->p, s->value);
        if (s->targets)
            hn_py_assign(w->p, s->targets, v, s->value);
        break;
    }
    case HN_PY_S_DEF:
        enter_def(w, s);
        break;
    case HN_PY_S_CLASS:
        enter_class(w, s);
        break;
    case HN_PY_S_IMPORT:
        import(w, s);
        break;
    case HN_PY_S_OTHER:
        enter_other(w, s);
        break;
    case HN_PY_S_BAD:
        break;
    }
}

/* An adapter that is made in a branch not taken is still what the script is about. */
static void look_aside(struct walk *w, const struct hn_py_statement *s)
{
    const struct hn_py_node *v = s->value;
    const struct hn_py_node *f = v && v->kind == HN_PY_N_CALL ? v->a : NULL;
    if (!f || !hn_str_ends(f->text, "LoraConfig"))
        return;
    w->p->shadow = true;
    (void)hn_py_eval(w->p, v);
    w->p->shadow = false;
}

static void walk(struct hn_py_program *p, const struct hn_py_module *m)
{
    struct walk w = {.p = p};
    p->pass++;
    for (const struct hn_py_statement *s = m->first; s; s = s->next) {
        leave_blocks(&w, s->indent);
        if (!skipped(&w))
            statement(&w, s);
        else if (s->kind == HN_PY_S_IF || s->kind == HN_PY_S_ELSE)
            push(&w, (struct block){.kind = HN_PY_S_IF, .branch = SKIPPED, .indent = s->indent});
        else
            look_aside(&w, s);
    }
    while (w.n)
        pop(&w);
    p->maybe = p->weak = false;
}

int hn_py_program_init(struct hn_py_program *p, struct hn_arena *arena, struct hone_err *err)
{
    *p = (struct hn_py_program){.arena = arena};
    struct hn_py_names *all[] = {&p->names,   &p->attributes,  &p->options, &p->classes,
                                 &p->returns, &p->first_calls, &p->later,   &p->defs};
    for (size_t i = 0; i < HN_COUNT(all); i++) {
        all[i]->buckets = hn_arena_alloc(arena, HN_PY_BUCKETS, sizeof *all[i]->buckets);
        if (!all[i]->buckets)
            return hn_fail_memory(err, "reading the source");
    }
    p->calls_tail = &p->calls;
    p->sets_tail = &p->sets;
    return 0;
}

static void empty(struct hn_py_names *names)
{
    hn_py_names_leave(names, 0);
}

static void again(struct hn_py_program *p)
{
    struct hn_py_names names = p->names;
    p->names = p->later;
    p->later = names;
    empty(&p->names);
    empty(&p->attributes);
    empty(&p->classes);
    empty(&p->returns);
    p->calls = NULL;
    p->calls_tail = &p->calls;
    p->sets = NULL;
    p->sets_tail = &p->sets;
    p->n_calls = p->steps = p->n_moduli = 0;
    p->loss_over = 0;
    p->eos = NULL;
}

void hn_py_program_read(struct hn_py_program *p, const struct hn_py_module *m)
{
    walk(p, m);
    for (int i = 1; i < HN_PY_PASSES; i++) {
        again(p);
        walk(p, m);
    }
}
