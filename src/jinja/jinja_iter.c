/* Iteration, lazily as in Python: iterators are consumed once, lists and dicts as often as wanted.
 */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_text.h"

struct hn_jiter *hn_ji_new_iter(struct hn_ji *ji, const char *type_name,
                                int (*next)(struct hn_ji *, struct hn_jiter *, struct hn_jv *),
                                struct hn_jv *out)
{
    struct hn_jiter *it = hn_ji_alloc(ji, 1, sizeof *it);
    if (!it)
        return NULL;
    it->type_name = type_name;
    it->next = next;
    *out = (struct hn_jv){.kind = HN_JV_ITER, .iter = it};
    return it;
}

static int next_list(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    (void)ji;
    if (it->i >= it->src.list->n)
        return 0;
    *out = it->src.list->v[it->i++];
    return 1;
}

static int next_list_back(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    (void)ji;
    if (it->i >= it->src.list->n)
        return 0;
    *out = it->src.list->v[it->src.list->n - ++it->i];
    return 1;
}

static int next_char(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    const struct hn_jstr *s = it->src.s;
    size_t start = it->i;
    if (start >= s->n)
        return 0;
    (void)hn_jtext_next(s->p, s->n, &it->i);
    if (hn_jv_str_view(ji->arena, s->p + start, it->i - start, out))
        return hn_ji_no_memory(ji);
    return 1;
}

static int next_pair(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    const struct hn_jdict *d = it->src.kind == HN_JV_DICT ? it->src.dict : it->src.view->dict;
    enum hn_jview_what what = it->src.kind == HN_JV_DICT ? HN_VIEW_KEYS : it->src.view->what;
    if (it->i >= d->n)
        return 0;
    /* n is 1 when the order is reversed */
    const struct hn_jpair *p = &d->pairs[it->n ? d->n - 1 - it->i : it->i];
    it->i++;
    if (what == HN_VIEW_ITEMS)
        return hn_jv_pair(ji, p->key, p->value, out) ? ji->code : 1;
    *out = what == HN_VIEW_KEYS ? p->key : p->value;
    return 1;
}

static int next_range(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    (void)ji;
    const struct hn_jrange *r = it->src.range;
    if (it->i >= (size_t)r->n)
        return 0;
    int64_t k = it->n ? r->n - 1 - (int64_t)it->i : (int64_t)it->i;
    *out = hn_jv_int(r->start + k * r->step);
    it->i++;
    return 1;
}

static int next_nothing(struct hn_ji *ji, struct hn_jiter *it, struct hn_jv *out)
{
    (void)ji, (void)it, (void)out;
    return 0;
}

bool hn_ji_iterable(struct hn_jv v)
{
    switch (v.kind) {
    case HN_JV_UNDEF:
    case HN_JV_STR:
    case HN_JV_LIST:
    case HN_JV_TUPLE:
    case HN_JV_DICT:
    case HN_JV_VIEW:
    case HN_JV_RANGE:
    case HN_JV_ITER:
        return true;
    default:
        return false;
    }
}

int hn_ji_iter(struct hn_ji *ji, struct hn_jv v, struct hn_jiter **out)
{
    struct hn_jv box;
    struct hn_jiter *it;
    switch (v.kind) {
    case HN_JV_ITER:
        *out = v.iter;
        return 0;
    case HN_JV_UNDEF:
        it = hn_ji_new_iter(ji, "generator", next_nothing, &box);
        break;
    case HN_JV_STR:
        it = hn_ji_new_iter(ji, "str_iterator", next_char, &box);
        break;
    case HN_JV_LIST:
    case HN_JV_TUPLE:
        it = hn_ji_new_iter(ji, "list_iterator", next_list, &box);
        break;
    case HN_JV_DICT:
    case HN_JV_VIEW:
        it = hn_ji_new_iter(ji, "dict_iterator", next_pair, &box);
        break;
    case HN_JV_RANGE:
        it = hn_ji_new_iter(ji, "range_iterator", next_range, &box);
        break;
    default:
        return hn_ji_fail(ji, "a %s cannot be iterated over", hn_jv_type_name(v));
    }
    if (!it)
        return ji->code;
    it->src = v;
    *out = it;
    return 0;
}

int hn_ji_list_of(struct hn_ji *ji, struct hn_jv v, enum hn_jv_kind kind, struct hn_jv *out)
{
    struct hn_jiter *it;
    struct hn_jv list, item;
    size_t n = 0;
    (void)hn_jv_len(v, &n);
    if (hn_ji_iter(ji, v, &it) || hn_jv_list(ji, kind, n, &list))
        return ji->code;
    int rc;
    while ((rc = it->next(ji, it, &item)) == 1)
        if (hn_ji_step(ji, 0) || hn_jv_push(ji, list.list, item))
            return ji->code;
    if (rc < 0)
        return rc;
    *out = list;
    return 0;
}

/* reversed(v): *ok false where Python raises TypeError. */
int hn_ji_reversed(struct hn_ji *ji, struct hn_jv v, bool *ok, struct hn_jv *out)
{
    struct hn_jiter *it = NULL;
    *ok = true;
    switch (v.kind) {
    case HN_JV_UNDEF:
        it = hn_ji_new_iter(ji, "reversed", next_nothing, out);
        break;
    case HN_JV_LIST:
        it = hn_ji_new_iter(ji, "list_reverseiterator", next_list_back, out);
        break;
    case HN_JV_TUPLE:
        it = hn_ji_new_iter(ji, "reversed", next_list_back, out);
        break;
    case HN_JV_STR:
        if (hn_ji_list_of(ji, v, HN_JV_LIST, &v))
            return ji->code;
        it = hn_ji_new_iter(ji, "reversed", next_list_back, out);
        break;
    case HN_JV_DICT:
    case HN_JV_VIEW:
        it = hn_ji_new_iter(ji, "dict_reversekeyiterator", next_pair, out);
        break;
    case HN_JV_RANGE:
        it = hn_ji_new_iter(ji, "range_iterator", next_range, out);
        break;
    default:
        *ok = false;
        return 0;
    }
    if (!it)
        return ji->code;
    it->src = v;
    it->n = 1;
    return 0;
}
