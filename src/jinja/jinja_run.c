/* A template's life: compile, render within its limits, close. */
#include "jinja/jinja.h"
#include "jinja/jinja_ast.h"
#include "jinja/jinja_eval.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TREE = 256 << 20 }; /* bytes of a compiled template */

/* ---- errors and bounds ---- */

int hn_ji_fail(struct hn_ji *ji, const char *fmt, ...)
{
    char what[800];
    if (ji->code)
        return ji->code; /* the first failure is the cause */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return ji->code = hn_fail(ji->err, HONE_FAILED, "line %d: %s", ji->line, what);
}

static int too_much(struct hn_ji *ji)
{
    return hn_ji_fail(ji, "the template needs more than %d MiB of memory",
                      HN_JINJA_MAX_MEMORY >> 20);
}

int hn_ji_no_memory(struct hn_ji *ji)
{
    if (ji->code)
        return ji->code;
    /* The arena does not say which it was: near its bound it was the bound. */
    if (ji->arena->limit - ji->arena->used < ji->arena->limit / 4)
        return too_much(ji);
    return ji->code = hn_fail_memory(ji->err, "rendering a chat template");
}

int hn_ji_step(struct hn_ji *ji, size_t bytes)
{
    ji->steps += 1 + bytes / 64;
    if (HN_UNLIKELY(ji->steps > HN_JINJA_MAX_STEPS))
        return hn_ji_fail(ji, "the template takes more than %d steps, which looks endless",
                          HN_JINJA_MAX_STEPS);
    return 0;
}

int hn_ji_enter(struct hn_ji *ji)
{
    if (HN_UNLIKELY(++ji->depth > HN_JINJA_MAX_DEPTH)) {
        ji->depth--;
        return hn_ji_fail(ji, "calls or values are nested more than %d levels deep",
                          HN_JINJA_MAX_DEPTH);
    }
    return 0;
}

void hn_ji_leave(struct hn_ji *ji)
{
    ji->depth--;
}

void *hn_ji_alloc(struct hn_ji *ji, size_t n, size_t size)
{
    size_t total;
    if (ji->code)
        return NULL;
    if (hn_mul_overflows(n, size, &total) || total > ji->arena->limit - ji->arena->used) {
        too_much(ji);
        return NULL;
    }
    void *p = hn_arena_alloc(ji->arena, n, size);
    if (!p)
        hn_ji_no_memory(ji);
    return p;
}

int hn_ji_write(struct hn_ji *ji, const char *p, size_t n)
{
    bool root = ji->out == ji->root;
    size_t have = root ? ji->out->len - ji->root_start : ji->captured;
    if (n > HN_JINJA_MAX_OUTPUT - HN_MIN(have, (size_t)HN_JINJA_MAX_OUTPUT))
        return hn_ji_fail(ji, "the template writes more than %d MiB", HN_JINJA_MAX_OUTPUT >> 20);
    hn_buf_add(ji->out, p, n);
    ji->captured += root ? 0 : n;
    return ji->out->failed ? hn_ji_no_memory(ji) : hn_ji_step(ji, n);
}

/* ---- compile ---- */

int hn_jinja_open(struct hn_jinja **out, const char *source, size_t n, struct hone_err *err)
{
    if (n > HN_JINJA_MAX_SOURCE)
        return hn_fail(err, HONE_FAILED, "the chat template has %zu bytes, and %d are the most", n,
                       HN_JINJA_MAX_SOURCE);
    size_t bad = hn_utf8_check(source, n);
    if (bad < n)
        return hn_fail(err, HONE_FAILED, "the chat template is not valid UTF-8 at byte %zu", bad);
    struct hn_jinja *t = hn_calloc(1, sizeof *t);
    if (!t)
        return hn_fail_memory(err, "reading a chat template");
    hn_arena_init(&t->arena, MAX_TREE);
    struct hn_jtok *toks = NULL;
    size_t n_toks;
    int rc = hn_jinja_lex(&t->arena, source, n, &toks, &n_toks, err);
    if (!rc) {
        struct hn_jparser p = {.arena = &t->arena, .toks = toks, .err = err};
        rc = hn_jinja_parse(&p, &t->body, &t->n_body);
        t->marks_generation = p.marks_generation;
    }
    if (!rc)
        rc = hn_jinja_bind(t, err);
    hn_free(toks);
    if (rc)
        hn_jinja_close(&t);
    else
        *out = t;
    return rc;
}

void hn_jinja_close(struct hn_jinja **t)
{
    if (*t) {
        hn_arena_release(&(*t)->arena);
        hn_free(*t);
    }
    *t = NULL;
}

bool hn_jinja_marks_generation(const struct hn_jinja *t)
{
    return t->marks_generation;
}

/* ---- render ---- */

static int add_vars(struct hn_ji *ji, const struct hn_jinja_env *env)
{
    struct hn_jv vars;
    if (hn_jv_dict(ji, &vars))
        return ji->code;
    ji->vars = vars.dict;
    if (hn_ji_add_globals(ji))
        return ji->code;
    for (size_t i = 0; i < env->n_vars; i++) {
        const struct hn_jinja_var *v = &env->vars[i];
        struct hn_jv value = v->is_bool ? hn_jv_bool(v->boolean) : hn_jv_none();
        if (v->value && hn_jv_from_json(ji, v->value, &value))
            return ji->code;
        if (!v->value && v->text && hn_jv_str_view(ji->arena, v->text, strlen(v->text), &value))
            return hn_ji_no_memory(ji);
        if (hn_jdict_set_str(ji, ji->vars, v->name, value))
            return ji->code;
    }
    return 0;
}

int hn_jinja_render(const struct hn_jinja *t, const struct hn_jinja_env *env, struct hn_buf *out,
                    struct hone_err *err)
{
    struct hn_arena arena;
    hn_arena_init(&arena, HN_JINJA_MAX_MEMORY);
    size_t start = out->len;
    struct hn_ji ji = {.arena = &arena,
                       .err = err,
                       .line = 1,
                       .out = out,
                       .root = out,
                       .root_start = start,
                       .now = env->now,
                       .marks = env->marks};
    int rc = add_vars(&ji, env);
    struct hn_jact *act = rc ? NULL : hn_ji_act(&ji, NULL, t->func->n_slots);
    if (act) {
        hn_ji_enter_frame(&ji, act, t->frame);
        hn_ji_exec(&ji, act, t->body, t->n_body);
    }
    if (out->failed && !ji.code)
        hn_ji_no_memory(&ji);
    if (ji.code && out->data && !out->failed) {
        out->len = start;
        out->data[start] = 0;
    }
    hn_arena_release(&arena);
    return ji.code;
}
