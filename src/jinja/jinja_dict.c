/* Dicts: pairs in order of insertion, and an index once there are more than a few. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_number.h"

#include <string.h>

enum { SMALL_DICT = 8, MAX_KEY_DEPTH = 50, MAX_KEY_ITEMS = 1000 };

/* A key must be small and flat: what hashes it and compares it has no bound of its own. */
static bool hashable(struct hn_jv v, int depth, int *budget)
{
    if (v.kind != HN_JV_TUPLE)
        return v.kind != HN_JV_LIST && v.kind != HN_JV_DICT && --*budget > 0;
    if (depth > MAX_KEY_DEPTH)
        return false;
    for (size_t i = 0; i < v.list->n; i++)
        if (!hashable(v.list->v[i], depth + 1, budget))
            return false;
    return true;
}

bool hn_jv_hashable(struct hn_jv v)
{
    int budget = MAX_KEY_ITEMS;
    return hashable(v, 0, &budget);
}

static uint64_t hash(struct hn_jv v)
{
    uint64_t h = v.kind;
    switch (v.kind) {
    case HN_JV_STR:
        return hn_hash(v.s->p, v.s->n);
    case HN_JV_BOOL:
    case HN_JV_INT:
    case HN_JV_BIG:
    case HN_JV_FLOAT:
        return hn_jnum_hash(v);
    case HN_JV_TUPLE:
        for (size_t i = 0; i < v.list->n; i++)
            h = h * 1000003 + hash(v.list->v[i]);
        return h;
    case HN_JV_NONE:
    case HN_JV_UNDEF:
        return h;
    default:
        return hn_hash(&v.i, sizeof v.i);
    }
}

/* Equality of hashable keys, which cannot fail. */
static bool key_equal(struct hn_jv a, struct hn_jv b)
{
    if (a.kind == HN_JV_STR && b.kind == HN_JV_STR)
        return a.s->n == b.s->n && memcmp(a.s->p, b.s->p, a.s->n) == 0;
    if (hn_jv_is_number(a) && hn_jv_is_number(b))
        return hn_jnum_compare(a, b) == 0;
    if (a.kind == HN_JV_TUPLE && b.kind == HN_JV_TUPLE) {
        if (a.list->n != b.list->n)
            return false;
        for (size_t i = 0; i < a.list->n; i++)
            if (!key_equal(a.list->v[i], b.list->v[i]))
                return false;
        return true;
    }
    return hn_jv_same(a, b) || (a.kind == HN_JV_UNDEF && b.kind == HN_JV_UNDEF);
}

static size_t find(const struct hn_jdict *d, struct hn_jv key)
{
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (key_equal(d->pairs[i].key, key))
                return i;
        return SIZE_MAX;
    }
    for (size_t at = hash(key) & (d->n_index - 1); d->index[at]; at = (at + 1) & (d->n_index - 1))
        if (key_equal(d->pairs[d->index[at] - 1].key, key))
            return d->index[at] - 1;
    return SIZE_MAX;
}

static void put(struct hn_jdict *d, size_t i)
{
    size_t at = hash(d->pairs[i].key) & (d->n_index - 1);
    while (d->index[at])
        at = (at + 1) & (d->n_index - 1);
    d->index[at] = (uint32_t)(i + 1);
}

int hn_jv_dict(struct hn_ji *ji, struct hn_jv *out)
{
    struct hn_jdict *d = hn_ji_alloc(ji, 1, sizeof *d);
    if (!d)
        return ji->code;
    *out = (struct hn_jv){.kind = HN_JV_DICT, .dict = d};
    return 0;
}

static int grow(struct hn_ji *ji, struct hn_jdict *d)
{
    size_t cap = d->cap ? d->cap * 2 : 4;
    struct hn_jpair *more = hn_ji_alloc(ji, cap, sizeof *more);
    if (!more)
        return ji->code;
    if (d->n)
        memcpy(more, d->pairs, d->n * sizeof *more);
    d->pairs = more;
    d->cap = cap;
    if (cap <= SMALL_DICT)
        return 0;
    uint32_t *index = hn_ji_alloc(ji, cap * 2, sizeof *index);
    if (!index)
        return ji->code;
    d->index = index;
    d->n_index = cap * 2;
    for (size_t i = 0; i < d->n; i++)
        put(d, i);
    return 0;
}

int hn_jdict_set(struct hn_ji *ji, struct hn_jdict *d, struct hn_jv key, struct hn_jv v)
{
    if (!hn_jv_hashable(key))
        return hn_ji_fail(ji, "a %s cannot be the key of a dict", hn_jv_type_name(key));
    size_t i = find(d, key);
    if (i != SIZE_MAX) {
        d->pairs[i].value = v;
        return 0;
    }
    if (d->n == UINT32_MAX - 1 || (d->n == d->cap && grow(ji, d)))
        return ji->code ? ji->code : hn_ji_no_memory(ji);
    d->pairs[d->n++] = (struct hn_jpair){key, v};
    if (d->index)
        put(d, d->n - 1);
    return 0;
}

int hn_jdict_set_str(struct hn_ji *ji, struct hn_jdict *d, const char *key, struct hn_jv v)
{
    struct hn_jv k;
    if (hn_jv_str_view(ji->arena, key, strlen(key), &k))
        return hn_ji_no_memory(ji);
    return hn_jdict_set(ji, d, k, v);
}

const struct hn_jv *hn_jdict_get(const struct hn_jdict *d, struct hn_jv key)
{
    size_t i = hn_jv_hashable(key) ? find(d, key) : SIZE_MAX;
    return i == SIZE_MAX ? NULL : &d->pairs[i].value;
}

const struct hn_jv *hn_jdict_get_str(const struct hn_jdict *d, struct hn_str key)
{
    struct hn_jstr s = {key.p, key.n, 0};
    return hn_jdict_get(d, (struct hn_jv){.kind = HN_JV_STR, .s = &s});
}
