/* Filters on sequences: those that pick, order and count. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_case.h"
#include "jinja/jinja_lazy.h"
#include "jinja/jinja_text.h"

#include <string.h>

int hn_ji_path(struct hn_ji *ji, struct hn_jv attribute, struct hn_jpath *out)
{
    struct hn_jv list, part;
    *out = (struct hn_jpath){0};
    if (attribute.kind == HN_JV_MISSING || attribute.kind == HN_JV_NONE)
        return 0;
    if (hn_jv_list(ji, HN_JV_LIST, 1, &list))
        return ji->code;
    if (attribute.kind != HN_JV_STR) {
        if (hn_jv_push(ji, list.list, attribute))
            return ji->code;
    } else {
        const struct hn_jstr *s = attribute.s;
        for (size_t start = 0; start <= s->n;) {
            size_t end = start;
            bool digits = true;
            for (; end < s->n && s->p[end] != '.'; end++)
                digits = digits && s->p[end] >= '0' && s->p[end] <= '9';
            int64_t n = 0;
            digits = digits && end > start && end - start < 18;
            for (size_t i = start; digits && i < end; i++)
                n = n * 10 + (s->p[i] - '0');
            part = hn_jv_int(n);
            if ((!digits && hn_jv_str(ji, s->p + start, end - start, &part)) ||
                hn_jv_push(ji, list.list, part))
                return ji->code;
            start = end + 1;
        }
    }
    *out = (struct hn_jpath){list.list->v, list.list->n};
    return 0;
}

int hn_ji_path_get(struct hn_ji *ji, const struct hn_jpath *path, struct hn_jv v,
                   struct hn_jv fallback, struct hn_jv *out)
{
    for (size_t i = 0; i < path->n; i++) {
        if (hn_ji_getitem(ji, v, path->parts[i], &v))
            return ji->code;
        if (v.kind == HN_JV_UNDEF && fallback.kind > HN_JV_NONE)
            v = fallback;
    }
    *out = v;
    return 0;
}

static int f_length(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    size_t n;
    int64_t loop;
    if (c->argv[0].kind == HN_JV_LOOP) {
        if (hn_ji_loop_length(ji, c->argv[0].loop, &loop))
            return ji->code;
        *out = hn_jv_int(loop);
        return 0;
    }
    if (!hn_jv_len(c->argv[0], &n))
        return hn_ji_fail(ji, "a %s has no length", hn_jv_type_name(c->argv[0]));
    *out = hn_jv_int((int64_t)n);
    return 0;
}

static int f_default(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    if (v.kind != HN_JV_UNDEF && !(hn_jv_truth(c->argv[2]) && !hn_jv_truth(v))) {
        *out = v;
        return 0;
    }
    *out = c->argv[1];
    return out->kind == HN_JV_MISSING ? hn_jv_cstr(ji, "", out) : 0;
}

static int f_first(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jiter *it;
    if (hn_ji_iter(ji, c->argv[0], &it))
        return ji->code;
    int rc = it->next(ji, it, out);
    if (rc)
        return rc < 0 ? rc : 0;
    return hn_jv_undef_hint(ji, "No first item, sequence was empty.", out);
}

static int f_last(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    bool ok;
    struct hn_jv it;
    if (hn_ji_reversed(ji, c->argv[0], &ok, &it))
        return ji->code;
    if (!ok)
        return hn_ji_fail(ji, "a %s cannot be reversed", hn_jv_type_name(c->argv[0]));
    int rc = it.iter->next(ji, it.iter, out);
    if (rc)
        return rc < 0 ? rc : 0;
    return hn_jv_undef_hint(ji, "No last item, sequence was empty.", out);
}

static int f_list(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return hn_ji_list_of(ji, c->argv[0], HN_JV_LIST, out);
}

static int f_reverse(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    bool ok;
    struct hn_jv v = c->argv[0];
    if (v.kind == HN_JV_STR) {
        struct hn_buf b;
        hn_buf_init(&b);
        for (size_t i = v.s->n; i > 0;) {
            size_t k = hn_jtext_prev(v.s->p, i);
            hn_buf_add(&b, v.s->p + k, i - k);
            i = k;
        }
        return hn_jv_str_take(ji, &b, out);
    }
    if (hn_ji_reversed(ji, v, &ok, out) || ok)
        return ji->code;
    if (hn_ji_list_of(ji, v, HN_JV_LIST, out))
        return ji->code;
    struct hn_jlist *l = out->list;
    for (size_t i = 0; i < l->n / 2; i++) {
        struct hn_jv t = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = t;
    }
    return 0;
}

/* ---- sorting: a stable merge sort of (key, value) pairs ---- */

/* *before: x must come before y */
static int comes_before(struct hn_ji *ji, struct hn_jv x, struct hn_jv y, bool reverse,
                        bool *before)
{
    int order;
    if (hn_ji_step(ji, 0) || hn_jv_compare(ji, reverse ? y : x, reverse ? x : y, &order))
        return ji->code;
    *before = order < 0;
    return 0;
}

static int merge_sort(struct hn_ji *ji, struct hn_jpair *v, struct hn_jpair *spare, size_t n,
                      bool reverse)
{
    if (n < 2)
        return 0;
    size_t half = n / 2, a = 0, b = half, k = 0;
    bool before = false;
    if (merge_sort(ji, v, spare, half, reverse) ||
        merge_sort(ji, v + half, spare, n - half, reverse))
        return ji->code;
    while (a < half && b < n) {
        if (comes_before(ji, v[b].key, v[a].key, reverse, &before))
            return ji->code;
        spare[k++] = before ? v[b++] : v[a++];
    }
    while (a < half)
        spare[k++] = v[a++];
    memcpy(v, spare, k * sizeof *v);
    return 0;
}

static int sorted(struct hn_ji *ji, struct hn_jpair *pairs, size_t n, bool reverse,
                  struct hn_jv *out)
{
    struct hn_jpair *spare = hn_ji_alloc(ji, n + 1, sizeof *spare);
    if (!spare || merge_sort(ji, pairs, spare, n, reverse) || hn_jv_list(ji, HN_JV_LIST, n, out))
        return ji->code;
    for (size_t i = 0; i < n; i++)
        out->list->v[out->list->n++] = pairs[i].value;
    return 0;
}

/* The attributes of sort(attribute="a,b"): the key is the list of their values. */
static int sort_key(struct hn_ji *ji, const struct hn_jpath *paths, size_t n_paths, struct hn_jv v,
                    bool fold, struct hn_jv *out)
{
    if (hn_jv_list(ji, HN_JV_LIST, n_paths, out))
        return ji->code;
    for (size_t i = 0; i < n_paths; i++) {
        struct hn_jv part;
        if (hn_ji_path_get(ji, &paths[i], v, (struct hn_jv){0}, &part) ||
            (fold && hn_jcase_fold(ji, part, &part)))
            return ji->code;
        out->list->v[out->list->n++] = part;
    }
    return 0;
}

static int sort_paths(struct hn_ji *ji, struct hn_jv attribute, struct hn_jpath *paths, size_t cap,
                      size_t *n)
{
    *n = 1;
    if (attribute.kind != HN_JV_STR)
        return hn_ji_path(ji, attribute, &paths[0]);
    const struct hn_jstr *s = attribute.s;
    *n = 0;
    for (size_t start = 0; start <= s->n; (*n)++) {
        size_t end = start;
        struct hn_jv part;
        while (end < s->n && s->p[end] != ',')
            end++;
        if (*n == cap)
            return hn_ji_fail(ji, "sort takes at most %zu attributes", cap);
        if (hn_jv_str(ji, s->p + start, end - start, &part) || hn_ji_path(ji, part, &paths[*n]))
            return ji->code;
        start = end + 1;
    }
    return 0;
}

/* The argument `reverse`, which Python's sorted() wants as an integer. */
static int want_reverse(struct hn_ji *ji, struct hn_jv v, bool *out)
{
    int64_t i = 0;
    if (v.kind != HN_JV_MISSING && hn_ji_want_int(ji, v, "the argument 'reverse'", &i))
        return ji->code;
    *out = i != 0;
    return 0;
}

static int f_sort(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jpath paths[8];
    size_t n_paths;
    struct hn_jv list;
    bool reverse = false;
    if (want_reverse(ji, c->argv[1], &reverse) ||
        sort_paths(ji, c->argv[3], paths, HN_COUNT(paths), &n_paths) ||
        hn_ji_list_of(ji, c->argv[0], HN_JV_LIST, &list))
        return ji->code;
    struct hn_jpair *pairs = hn_ji_alloc(ji, list.list->n + 1, sizeof *pairs);
    if (!pairs)
        return ji->code;
    for (size_t i = 0; i < list.list->n; i++) {
        pairs[i].value = list.list->v[i];
        if (sort_key(ji, paths, n_paths, pairs[i].value, !hn_jv_truth(c->argv[2]), &pairs[i].key))
            return ji->code;
    }
    return sorted(ji, pairs, list.list->n, reverse, out);
}

static int f_dictsort(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv v = c->argv[0];
    bool by_value = hn_jv_is_str(c->argv[2], "value"), reverse = false;
    if (want_reverse(ji, c->argv[3], &reverse))
        return ji->code;
    if (c->argv[2].kind && !by_value && !hn_jv_is_str(c->argv[2], "key"))
        return hn_ji_fail(ji, "dictsort sorts by 'key' or 'value'");
    if (v.kind == HN_JV_UNDEF)
        return hn_jv_undef_fail(ji, v);
    if (v.kind != HN_JV_DICT)
        return hn_ji_fail(ji, "dictsort needs a dict, not a %s", hn_jv_type_name(v));
    struct hn_jpair *pairs = hn_ji_alloc(ji, v.dict->n + 1, sizeof *pairs);
    if (!pairs)
        return ji->code;
    for (size_t i = 0; i < v.dict->n; i++) {
        const struct hn_jpair *p = &v.dict->pairs[i];
        pairs[i].key = by_value ? p->value : p->key;
        if ((!hn_jv_truth(c->argv[1]) && hn_jcase_fold(ji, pairs[i].key, &pairs[i].key)) ||
            hn_jv_pair(ji, p->key, p->value, &pairs[i].value))
            return ji->code;
    }
    return sorted(ji, pairs, v.dict->n, reverse, out);
}

/* groupby(value, attribute, default=None, case_sensitive=False): tuples (grouper, list) */
static int f_groupby(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jpath path;
    struct hn_jv list, fallback = c->argv[2], key = {0}, k;
    bool fold = !hn_jv_truth(c->argv[3]);
    if (hn_ji_path(ji, c->argv[1], &path) || hn_ji_list_of(ji, c->argv[0], HN_JV_LIST, &list))
        return ji->code;
    size_t n = list.list->n;
    struct hn_jpair *pairs = hn_ji_alloc(ji, n + 1, sizeof *pairs);
    if (!pairs)
        return ji->code;
    for (size_t i = 0; i < n; i++) {
        pairs[i].value = list.list->v[i];
        if (hn_ji_path_get(ji, &path, pairs[i].value, fallback, &pairs[i].key) ||
            (fold && hn_jcase_fold(ji, pairs[i].key, &pairs[i].key)))
            return ji->code;
    }
    if (sorted(ji, pairs, n, false, &list) || hn_jv_list(ji, HN_JV_LIST, 0, out))
        return ji->code;
    struct hn_jv group = {0};
    for (size_t i = 0; i < n; i++) {
        struct hn_jv pair;
        bool same = false;
        if (group.kind && hn_jv_equal(ji, key, pairs[i].key, &same))
            return ji->code;
        if (!same) {
            key = pairs[i].key;
            if (hn_ji_path_get(ji, &path, pairs[i].value, fallback, &k) ||
                hn_jv_list(ji, HN_JV_LIST, 1, &group) || hn_jv_pair(ji, k, group, &pair))
                return ji->code;
            pair.safe = true; /* has the attributes grouper and list */
            if (hn_jv_push(ji, out->list, pair))
                return ji->code;
        }
        if (hn_jv_push(ji, group.list, pairs[i].value))
            return ji->code;
    }
    return 0;
}

const struct hn_jbuiltin hn_jfilters_seq[] = {
    {"length", f_length, "-obj"},
    {"count", f_length, "-obj"},
    {"default", f_default, "value | default_value boolean"},
    {"d", f_default, "value | default_value boolean"},
    {"first", f_first, "seq"},
    {"last", f_last, "seq"},
    {"list", f_list, "value"},
    {"reverse", f_reverse, "value"},
    {"sort", f_sort, "value | reverse case_sensitive attribute"},
    {"dictsort", f_dictsort, "value | case_sensitive by reverse"},
    {"groupby", f_groupby, "value attribute | default case_sensitive"},
    {"items", hn_jlazy_items, "value"},
    {"map", hn_jlazy_map, NULL},
    {"select", hn_jlazy_select, NULL},
    {"reject", hn_jlazy_reject, NULL},
    {"selectattr", hn_jlazy_selectattr, NULL},
    {"rejectattr", hn_jlazy_rejectattr, NULL},
    {"unique", hn_jlazy_unique, "value | case_sensitive attribute"},
    {"batch", hn_jlazy_batch, "value linecount | fill_with"},
    {"slice", hn_jlazy_slice, "value slices | fill_with"},
    {"attr", hn_jlazy_attr, "obj name"},
    {0},
};
