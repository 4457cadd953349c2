/* The functions that every template can call by name. */
#include "jinja/jinja_eval.h"

#include <string.h>

enum { MAX_RANGE = 100000 };

static int g_raise(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv s;
    (void)out;
    if (hn_jv_to_str(ji, c->argv[0], &s))
        return ji->code;
    if (s.kind != HN_JV_STR)
        return hn_ji_fail(ji, "the template refuses the conversation");
    return hn_ji_fail(ji, "the template refuses the conversation: %.*s", (int)HN_MIN(s.s->n, 600),
                      s.s->p);
}

static int g_strftime(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *fmt;
    if (hn_ji_want_str(ji, c->argv[0], "the format of strftime_now", &fmt))
        return ji->code;
    return hn_ji_strftime(ji, fmt, out);
}

static int g_range(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jrange r = {0, 0, 1, 0};
    const int64_t limit = (int64_t)1 << 60;
    int64_t v[3] = {0, 0, 1};
    size_t n = c->args->n_pos;
    if (n < 1 || n > 3 || c->args->n_named)
        return hn_ji_fail(ji, "range takes one to three integers");
    for (size_t i = 0; i < n; i++) {
        if (hn_ji_want_int(ji, c->args->pos[i], "an argument of range", &v[i]))
            return ji->code;
        if (v[i] > limit || v[i] < -limit)
            return hn_ji_fail(ji, "an argument of range is too large");
    }
    r.start = n == 1 ? 0 : v[0];
    r.stop = n == 1 ? v[0] : v[1];
    r.step = v[2];
    if (!r.step)
        return hn_ji_fail(ji, "the step of range must not be 0");
    if (r.step > 0 && r.stop > r.start)
        r.n = (r.stop - r.start - 1) / r.step + 1;
    if (r.step < 0 && r.start > r.stop)
        r.n = (r.start - r.stop - 1) / -r.step + 1;
    if (r.n > MAX_RANGE)
        return hn_ji_fail(ji, "a range has more than %d numbers", MAX_RANGE);
    struct hn_jrange *keep = hn_ji_alloc(ji, 1, sizeof *keep);
    if (!keep)
        return ji->code;
    *keep = r;
    *out = (struct hn_jv){.kind = HN_JV_RANGE, .range = keep};
    return 0;
}

/* dict(mapping or pairs, **named) */
static int make_dict(struct hn_ji *ji, const struct hn_jargs *args, struct hn_jv *out)
{
    if (args->n_pos > 1)
        return hn_ji_fail(ji, "dict takes at most one positional argument");
    if (hn_jv_dict(ji, out))
        return ji->code;
    if (args->n_pos && args->pos[0].kind == HN_JV_DICT) {
        const struct hn_jdict *d = args->pos[0].dict;
        for (size_t i = 0; i < d->n; i++)
            if (hn_jdict_set(ji, out->dict, d->pairs[i].key, d->pairs[i].value))
                return ji->code;
    } else if (args->n_pos && args->pos[0].kind == HN_JV_UNDEF) {
        return hn_jv_undef_fail(ji, args->pos[0]);
    } else if (args->n_pos) {
        struct hn_jv list, pair;
        if (hn_ji_list_of(ji, args->pos[0], HN_JV_LIST, &list))
            return ji->code;
        for (size_t i = 0; i < list.list->n; i++) {
            if (hn_ji_list_of(ji, list.list->v[i], HN_JV_TUPLE, &pair))
                return ji->code;
            if (pair.list->n != 2)
                return hn_ji_fail(ji, "dict needs pairs of a key and a value");
            if (hn_jdict_set(ji, out->dict, pair.list->v[0], pair.list->v[1]))
                return ji->code;
        }
    }
    for (size_t i = 0; i < args->n_named; i++)
        if (hn_jdict_set(ji, out->dict, args->named[i].key, args->named[i].value))
            return ji->code;
    return 0;
}

static int g_dict(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return make_dict(ji, c->args, out);
}

static int g_namespace(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    if (make_dict(ji, c->args, out))
        return ji->code;
    out->kind = HN_JV_NAMESPACE;
    for (size_t i = 0; i < out->dict->n; i++) {
        struct hn_jv k = out->dict->pairs[i].key;
        if (k.kind == HN_JV_STR && k.s->n && k.s->p[0] == '_')
            return hn_ji_fail(ji,
                              "a namespace's attribute must not start with an underscore: '%.*s'",
                              (int)HN_MIN(k.s->n, 100), k.s->p);
    }
    return 0;
}

static int g_cycler(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jcycler *y = hn_ji_alloc(ji, 1, sizeof *y);
    if (!c->args->n_pos || c->args->n_named)
        return hn_ji_fail(ji, "cycler needs values, without names");
    if (!y)
        return ji->code;
    y->items = (struct hn_jlist){c->args->pos, c->args->n_pos, c->args->n_pos};
    *out = (struct hn_jv){.kind = HN_JV_CYCLER, .cycler = y};
    return 0;
}

static int g_joiner(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jjoiner *j = hn_ji_alloc(ji, 1, sizeof *j);
    if (!j)
        return ji->code;
    j->sep = c->argv[0];
    if (!j->sep.kind && hn_jv_cstr(ji, ", ", &j->sep))
        return ji->code;
    *out = (struct hn_jv){.kind = HN_JV_JOINER, .joiner = j};
    return 0;
}

static const struct hn_jbuiltin globals[] = {
    {"range", g_range, NULL},
    {"dict", g_dict, NULL},
    {"namespace", g_namespace, NULL},
    {"cycler", g_cycler, NULL},
    {"joiner", g_joiner, "| sep"},
    {"raise_exception", g_raise, "message"},
    {"strftime_now", g_strftime, "format"},
};

int hn_ji_add_globals(struct hn_ji *ji)
{
    for (size_t i = 0; i < HN_COUNT(globals); i++) {
        struct hn_jv v = {.kind = HN_JV_FUNC, .func = &globals[i]};
        if (hn_jdict_set_str(ji, ji->vars, globals[i].name, v))
            return ji->code;
    }
    return 0;
}
