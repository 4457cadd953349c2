/* Calls: binding arguments to the parameters of functions written in C, and what can be called. */
#include "jinja/jinja_eval.h"

#include <string.h>

enum { MAX_PARAMS = 8 };

struct signature {
    struct hn_str names[MAX_PARAMS];
    size_t n, required;
    bool positional_only;
};

static void read_signature(const char *params, struct signature *s)
{
    *s = (struct signature){.positional_only = params[0] == '-'};
    bool optional = false;
    const char *p = params + s->positional_only;
    while (*p && s->n < MAX_PARAMS) {
        size_t n = strcspn(p, " ");
        if (n == 1 && *p == '|') {
            optional = true;
        } else if (n) {
            s->names[s->n++] = (struct hn_str){p, n};
            s->required += !optional;
        }
        p += n + (p[n] == ' ');
    }
}

static int bind(struct hn_ji *ji, const struct hn_jbuiltin *b, const char *what,
                const struct hn_jargs *args, struct hn_jv *argv)
{
    struct signature s;
    read_signature(b->params, &s);
    if (args->n_pos > s.n)
        return hn_ji_fail(ji, "the %s %s takes at most %zu arguments, not %zu", what, b->name, s.n,
                          args->n_pos);
    for (size_t i = 0; i < args->n_pos; i++)
        argv[i] = args->pos[i];
    for (size_t k = 0; k < args->n_named; k++) {
        struct hn_str name = {args->named[k].key.s->p, args->named[k].key.s->n};
        size_t i = 0;
        while (i < s.n && !hn_str_eq(s.names[i], name))
            i++;
        if (i == s.n || s.positional_only)
            return hn_ji_fail(ji, "the %s %s takes no argument named '%.*s'", what, b->name,
                              (int)HN_MIN(name.n, 100), name.p);
        if (argv[i].kind != HN_JV_MISSING)
            return hn_ji_fail(ji, "the argument '%.*s' of the %s %s is given twice", (int)name.n,
                              name.p, what, b->name);
        argv[i] = args->named[k].value;
    }
    for (size_t i = 0; i < s.required; i++)
        if (argv[i].kind == HN_JV_MISSING)
            return hn_ji_fail(ji, "the %s %s needs the argument '%.*s'", what, b->name,
                              (int)s.names[i].n, s.names[i].p);
    return 0;
}

int hn_ji_call_builtin(struct hn_ji *ji, const struct hn_jbuiltin *b, const char *what,
                       struct hn_jv self, const struct hn_jargs *args, struct hn_jv *out)
{
    struct hn_jv argv[MAX_PARAMS] = {{0}};
    struct hn_jcall c = {self, argv, args};
    if (b->params && bind(ji, b, what, args, argv))
        return ji->code;
    if (hn_ji_enter(ji))
        return ji->code;
    int rc = b->fn(ji, &c, out);
    hn_ji_leave(ji);
    return rc;
}

int hn_ji_apply(struct hn_ji *ji, const struct hn_jbuiltin *b, const char *what, struct hn_jv value,
                const struct hn_jargs *args, struct hn_jv *out)
{
    struct hn_jargs with = *args;
    with.n_pos = args->n_pos + 1;
    with.pos = hn_ji_alloc(ji, with.n_pos, sizeof *with.pos);
    if (!with.pos)
        return ji->code;
    with.pos[0] = value;
    if (args->n_pos)
        memcpy(with.pos + 1, args->pos, args->n_pos * sizeof *with.pos);
    return hn_ji_call_builtin(ji, b, what, (struct hn_jv){0}, &with, out);
}

int hn_ji_call(struct hn_ji *ji, struct hn_jv callee, const struct hn_jargs *args,
               struct hn_jv *out)
{
    struct hn_jjoiner *j;
    switch (callee.kind) {
    case HN_JV_FUNC:
        return hn_ji_call_builtin(ji, callee.func, "function", (struct hn_jv){0}, args, out);
    case HN_JV_METHOD:
        return hn_ji_call_builtin(ji, callee.method->builtin, "method", callee.method->self, args,
                                  out);
    case HN_JV_MACRO:
        return hn_ji_macro_call(ji, callee.macro, args, out);
    case HN_JV_LOOP:
        return hn_ji_loop_call(ji, callee.loop, args, out);
    case HN_JV_JOINER:
        j = callee.joiner;
        if (args->n_pos || args->n_named)
            return hn_ji_fail(ji, "a joiner takes no arguments");
        if (j->used) {
            *out = j->sep;
            return 0;
        }
        j->used = true;
        return hn_jv_cstr(ji, "", out);
    case HN_JV_UNDEF:
        return hn_jv_undef_fail(ji, callee);
    default:
        return hn_ji_fail(ji, "a %s cannot be called", hn_jv_type_name(callee));
    }
}
