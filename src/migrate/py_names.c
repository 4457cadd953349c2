/* Names with their values, as a chained hash whose newest entries can be taken away again. */
#include "migrate/py_eval.h"

struct hn_py_name {
    struct hn_str name;
    struct hn_py_value *value;
    size_t index;                          /* when it was added */
    struct hn_py_name *chained, *previous; /* in its bucket; in order of addition */
};

struct hn_py_value *hn_py_names_get(const struct hn_py_names *names, struct hn_str name)
{
    size_t bucket = hn_hash(name.p, name.n) % HN_PY_BUCKETS;
    for (const struct hn_py_name *e = names->buckets[bucket]; e; e = e->chained)
        if (hn_str_eq(e->name, name))
            return e->value;
    return NULL;
}

void hn_py_names_set(struct hn_arena *arena, struct hn_py_names *names, struct hn_str name,
                     struct hn_py_value *value, size_t scope)
{
    size_t bucket = hn_hash(name.p, name.n) % HN_PY_BUCKETS;
    for (struct hn_py_name *e = names->buckets[bucket]; e && e->index >= scope; e = e->chained) {
        if (hn_str_eq(e->name, name)) {
            e->value = value;
            return;
        }
    }
    struct hn_py_name *e = hn_arena_alloc(arena, 1, sizeof *e);
    if (!e)
        return;
    *e = (struct hn_py_name){.name = name,
                             .value = value,
                             .index = names->n++,
                             .chained = names->buckets[bucket],
                             .previous = names->newest};
    names->buckets[bucket] = names->newest = e;
}

bool hn_py_is_unused(const struct hn_py_program *p, const struct hn_py_call *call)
{
    const struct hn_py_value *def =
        call->function ? hn_py_names_get(&p->defs, hn_str_of(call->function)) : NULL;
    return def && def->pass < p->pass;
}

void hn_py_names_leave(struct hn_py_names *names, size_t n)
{
    while (names->n > n) {
        struct hn_py_name *e = names->newest;
        names->buckets[hn_hash(e->name.p, e->name.n) % HN_PY_BUCKETS] = e->chained;
        names->newest = e->previous;
        names->n--;
    }
}
