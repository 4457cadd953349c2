/* The methods of strings: cutting, joining, searching, replacing. */
#include "jinja/jinja_eval.h"
#include "jinja/jinja_case.h"
#include "jinja/jinja_text.h"

#include <string.h>

static struct hn_str text(const struct hn_jcall *c)
{
    return (struct hn_str){c->self.s->p, c->self.s->n};
}

static bool given(struct hn_jv v)
{
    return v.kind != HN_JV_MISSING && v.kind != HN_JV_NONE;
}

static int view(struct hn_ji *ji, const struct hn_jcall *c, struct hn_str s, struct hn_jv *out)
{
    if (hn_jv_str_view(ji->arena, s.p, s.n, out))
        return hn_ji_no_memory(ji);
    out->safe = c->self.safe;
    return hn_ji_step(ji, s.n);
}

/* ---- strip ---- */

static int strip(struct hn_ji *ji, const struct hn_jcall *c, int sides, struct hn_jv *out)
{
    const struct hn_jstr *chars = NULL;
    if (given(c->argv[0]) && hn_ji_want_str(ji, c->argv[0], "the argument of strip", &chars))
        return ji->code;
    if (chars && hn_ji_step(ji, c->self.s->n * (chars->n / 16 + 1)))
        return ji->code;
    return view(ji, c, hn_jtext_strip(text(c), chars, sides), out);
}

static int m_strip(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return strip(ji, c, HN_LEFT | HN_RIGHT, out);
}

static int m_lstrip(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return strip(ji, c, HN_LEFT, out);
}

static int m_rstrip(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return strip(ji, c, HN_RIGHT, out);
}

/* ---- split ---- */

static int push(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jlist *l, struct hn_str s)
{
    struct hn_jv v;
    return view(ji, c, s, &v) || hn_jv_push(ji, l, v) ? ji->code : 0;
}

static size_t space_at(struct hn_str s, size_t i)
{
    size_t k = i;
    return i < s.n && hn_jtext_is_space(hn_jtext_next(s.p, s.n, &k)) ? k - i : 0;
}

static int split_space(struct hn_ji *ji, const struct hn_jcall *c, int64_t max, struct hn_jlist *l)
{
    struct hn_str s = text(c);
    size_t i = 0, n;
    for (;;) {
        while ((n = space_at(s, i)))
            i += n;
        if (i == s.n)
            return 0;
        size_t start = i;
        if (max >= 0 && (int64_t)l->n >= max) {
            struct hn_str rest = {s.p + i, s.n - i};
            return push(ji, c, l, rest);
        }
        while (i < s.n && !space_at(s, i))
            (void)hn_jtext_next(s.p, s.n, &i);
        if (push(ji, c, l, (struct hn_str){s.p + start, i - start}))
            return ji->code;
    }
}

static int split_on(struct hn_ji *ji, const struct hn_jcall *c, struct hn_str sep, int64_t max,
                    struct hn_jlist *l)
{
    struct hn_str s = text(c);
    size_t start = 0;
    while (max < 0 || (int64_t)l->n < max) {
        size_t at = hn_jtext_find(s, sep, start);
        if (at == SIZE_MAX)
            break;
        if (push(ji, c, l, (struct hn_str){s.p + start, at - start}))
            return ji->code;
        start = at + sep.n;
    }
    return push(ji, c, l, (struct hn_str){s.p + start, s.n - start});
}

static void reverse(struct hn_jlist *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct hn_jv t = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = t;
    }
}

static int rsplit_space(struct hn_ji *ji, const struct hn_jcall *c, int64_t max, struct hn_jlist *l)
{
    struct hn_str s = text(c);
    for (;;) {
        s = hn_jtext_strip(s, NULL, HN_RIGHT);
        if (!s.n)
            break;
        if (max >= 0 && (int64_t)l->n >= max) {
            if (push(ji, c, l, s))
                return ji->code;
            break;
        }
        size_t i = s.n, k = i;
        while (i > 0 && !space_at(s, k = hn_jtext_prev(s.p, i)))
            i = k;
        if (push(ji, c, l, (struct hn_str){s.p + i, s.n - i}))
            return ji->code;
        s.n = i;
    }
    reverse(l);
    return 0;
}

static int rsplit_on(struct hn_ji *ji, const struct hn_jcall *c, struct hn_str sep, int64_t max,
                     struct hn_jlist *l)
{
    struct hn_str s = text(c);
    while (max < 0 || (int64_t)l->n < max) {
        size_t at = hn_jtext_rfind(s, sep);
        if (at == SIZE_MAX)
            break;
        if (push(ji, c, l, (struct hn_str){s.p + at + sep.n, s.n - at - sep.n}))
            return ji->code;
        s.n = at;
    }
    if (push(ji, c, l, s))
        return ji->code;
    reverse(l);
    return 0;
}

static int split(struct hn_ji *ji, const struct hn_jcall *c, bool from_right, struct hn_jv *out)
{
    const struct hn_jstr *sep = NULL;
    int64_t max = -1;
    if ((given(c->argv[0]) && hn_ji_want_str(ji, c->argv[0], "the separator of split", &sep)) ||
        (c->argv[1].kind && hn_ji_want_int(ji, c->argv[1], "the limit of split", &max)) ||
        hn_jv_list(ji, HN_JV_LIST, 0, out) || hn_ji_step(ji, c->self.s->n))
        return ji->code;
    if (!sep)
        return from_right ? rsplit_space(ji, c, max, out->list)
                          : split_space(ji, c, max, out->list);
    if (!sep->n)
        return hn_ji_fail(ji, "the separator of split is empty");
    struct hn_str by = {sep->p, sep->n};
    return from_right ? rsplit_on(ji, c, by, max, out->list) : split_on(ji, c, by, max, out->list);
}

static int m_split(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return split(ji, c, false, out);
}

static int m_rsplit(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return split(ji, c, true, out);
}

static int partition(struct hn_ji *ji, const struct hn_jcall *c, bool from_right, struct hn_jv *out)
{
    const struct hn_jstr *sep;
    struct hn_str s = text(c), none = {"", 0};
    if (hn_ji_want_str(ji, c->argv[0], "the separator of partition", &sep) ||
        hn_jv_list(ji, HN_JV_TUPLE, 3, out) || hn_ji_step(ji, s.n))
        return ji->code;
    if (!sep->n)
        return hn_ji_fail(ji, "the separator of partition is empty");
    struct hn_str by = {sep->p, sep->n};
    size_t at = from_right ? hn_jtext_rfind(s, by) : hn_jtext_find(s, by, 0);
    struct hn_str part[3] = {from_right ? none : s, none, from_right ? s : none};
    if (at != SIZE_MAX) {
        part[0] = (struct hn_str){s.p, at};
        part[1] = by;
        part[2] = (struct hn_str){s.p + at + by.n, s.n - at - by.n};
    }
    for (int i = 0; i < 3; i++)
        if (push(ji, c, out->list, part[i]))
            return ji->code;
    return 0;
}

static int m_partition(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return partition(ji, c, false, out);
}

static int m_rpartition(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return partition(ji, c, true, out);
}

static int m_splitlines(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_str line;
    size_t i = 0;
    if (hn_jv_list(ji, HN_JV_LIST, 0, out))
        return ji->code;
    while (hn_jcase_line(text(c), &i, hn_jv_truth(c->argv[0]), &line))
        if (push(ji, c, out->list, line))
            return ji->code;
    return 0;
}

/* ---- search ---- */

/* The part of the text between the optional bounds argv[1], argv[2] (code points, as a slice), and
 * the code points before it. *empty: start lies behind the end, where nothing, not even "", is
 * found. */
static int window(struct hn_ji *ji, const struct hn_jcall *c, struct hn_str *part, int64_t *before,
                  bool *outside)
{
    const struct hn_jstr *s = c->self.s;
    int64_t n = (int64_t)s->n_cp, start = 0, stop = n;
    if ((given(c->argv[1]) && hn_ji_want_int(ji, c->argv[1], "the start of a search", &start)) ||
        (given(c->argv[2]) && hn_ji_want_int(ji, c->argv[2], "the end of a search", &stop)))
        return ji->code;
    start = start < 0 ? HN_MAX(start + n, 0) : start;
    stop = stop < 0 ? HN_MAX(stop + n, 0) : HN_MIN(stop, n);
    *outside = start > n || start > stop;
    *before = start;
    *part = (struct hn_str){s->p, 0};
    if (*outside)
        return hn_ji_step(ji, s->n);
    size_t from = hn_jtext_offset(s, (size_t)start), to = hn_jtext_offset(s, (size_t)stop);
    *part = (struct hn_str){s->p + from, to - from};
    return hn_ji_step(ji, s->n);
}

static int search(struct hn_ji *ji, const struct hn_jcall *c, bool last, bool must,
                  struct hn_jv *out)
{
    const struct hn_jstr *needle;
    struct hn_str part;
    int64_t before;
    bool outside;
    if (hn_ji_want_str(ji, c->argv[0], "what is searched for", &needle) ||
        window(ji, c, &part, &before, &outside))
        return ji->code;
    struct hn_str what = {needle->p, needle->n};
    size_t at = outside ? SIZE_MAX
                : last  ? hn_jtext_rfind(part, what)
                        : hn_jtext_find(part, what, 0);
    if (at == SIZE_MAX && must)
        return hn_ji_fail(ji, "the substring was not found");
    *out = hn_jv_int(at == SIZE_MAX ? -1 : before + (int64_t)hn_jtext_count(part.p, at));
    return 0;
}

static int m_find(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return search(ji, c, false, false, out);
}

static int m_rfind(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return search(ji, c, true, false, out);
}

static int m_index(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return search(ji, c, false, true, out);
}

static int m_rindex(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return search(ji, c, true, true, out);
}

static int m_count(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *needle;
    struct hn_str part;
    int64_t before, n = 0;
    bool outside;
    if (hn_ji_want_str(ji, c->argv[0], "what is counted", &needle) ||
        window(ji, c, &part, &before, &outside))
        return ji->code;
    if (!needle->n && !outside)
        n = (int64_t)hn_jtext_count(part.p, part.n) + 1;
    for (size_t at = 0; needle->n && !outside; n++) {
        at = hn_jtext_find(part, (struct hn_str){needle->p, needle->n}, at);
        if (at == SIZE_MAX)
            break;
        at += needle->n;
    }
    *out = hn_jv_int(n);
    return 0;
}

static int edge(struct hn_ji *ji, const struct hn_jcall *c, bool end, struct hn_jv *out)
{
    struct hn_str part;
    int64_t before;
    bool outside;
    struct hn_jv one = c->argv[0], *all = &one;
    size_t n = 1;
    if (one.kind == HN_JV_TUPLE) {
        all = one.list->v;
        n = one.list->n;
    }
    if (window(ji, c, &part, &before, &outside))
        return ji->code;
    *out = hn_jv_bool(false);
    for (size_t i = 0; i < n; i++) {
        const struct hn_jstr *s;
        if (hn_ji_want_str(ji, all[i], "what startswith or endswith looks for", &s))
            return ji->code;
        if (!outside && s->n <= part.n && hn_ji_step(ji, s->n) == 0 &&
            memcmp(end ? part.p + part.n - s->n : part.p, s->p, s->n) == 0) {
            *out = hn_jv_bool(true);
            return ji->code;
        }
    }
    return ji->code;
}

static int m_startswith(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return edge(ji, c, false, out);
}

static int m_endswith(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    return edge(ji, c, true, out);
}

/* ---- replace, remove, join ---- */

static int m_replace(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *old, *new;
    int64_t max = -1;
    struct hn_str s = text(c);
    if (hn_ji_want_str(ji, c->argv[0], "what replace looks for", &old) ||
        hn_ji_want_str(ji, c->argv[1], "what replace puts in", &new) ||
        (c->argv[2].kind && hn_ji_want_int(ji, c->argv[2], "the limit of replace", &max)))
        return ji->code;
    struct hn_buf b;
    hn_buf_init(&b);
    size_t i = 0;
    for (int64_t k = 0; max < 0 || k < max; k++) {
        size_t at = hn_jtext_find(s, (struct hn_str){old->p, old->n}, i);
        if (at == SIZE_MAX || (!old->n && at > s.n))
            break;
        hn_buf_add(&b, s.p + i, at - i);
        hn_buf_add(&b, new->p, new->n);
        i = at + old->n;
        if (!old->n) { /* between all characters and at both ends */
            if (i >= s.n)
                break;
            size_t start = i;
            (void)hn_jtext_next(s.p, s.n, &i);
            hn_buf_add(&b, s.p + start, i - start);
        }
        if (b.len > HN_JINJA_MAX_OUTPUT || hn_ji_step(ji, new->n)) {
            hn_buf_release(&b);
            return hn_ji_fail(ji, "a text is longer than %d MiB", HN_JINJA_MAX_OUTPUT >> 20);
        }
    }
    hn_buf_add(&b, s.p + i, s.n - i);
    if (hn_jv_str_take(ji, &b, out))
        return ji->code;
    out->safe = c->self.safe;
    return 0;
}

static int m_removeprefix(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *x;
    struct hn_str s = text(c);
    if (hn_ji_want_str(ji, c->argv[0], "a prefix", &x))
        return ji->code;
    bool there = x->n <= s.n && memcmp(s.p, x->p, x->n) == 0;
    return view(ji, c, there ? (struct hn_str){s.p + x->n, s.n - x->n} : s, out);
}

static int m_removesuffix(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    const struct hn_jstr *x;
    struct hn_str s = text(c);
    if (hn_ji_want_str(ji, c->argv[0], "a suffix", &x))
        return ji->code;
    bool there = x->n && x->n <= s.n && memcmp(s.p + s.n - x->n, x->p, x->n) == 0;
    return view(ji, c, there ? (struct hn_str){s.p, s.n - x->n} : s, out);
}

static int m_join(struct hn_ji *ji, const struct hn_jcall *c, struct hn_jv *out)
{
    struct hn_jv list;
    struct hn_buf b;
    if (hn_ji_list_of(ji, c->argv[0], HN_JV_LIST, &list))
        return ji->code;
    hn_buf_init(&b);
    for (size_t i = 0; i < list.list->n; i++) {
        struct hn_jv v = list.list->v[i];
        if (v.kind != HN_JV_STR || b.len > HN_JINJA_MAX_OUTPUT || hn_ji_step(ji, v.s->n)) {
            hn_buf_release(&b);
            return hn_ji_fail(ji, "join needs strings that make at most %d MiB, not a %s",
                              HN_JINJA_MAX_OUTPUT >> 20, hn_jv_type_name(v));
        }
        if (i)
            hn_buf_add(&b, c->self.s->p, c->self.s->n);
        hn_buf_add(&b, v.s->p, v.s->n);
    }
    return hn_jv_str_take(ji, &b, out);
}

const struct hn_jbuiltin hn_jmethods_str[] = {
    {"strip", m_strip, "-| chars"},
    {"lstrip", m_lstrip, "-| chars"},
    {"rstrip", m_rstrip, "-| chars"},
    {"split", m_split, "| sep maxsplit"},
    {"rsplit", m_rsplit, "| sep maxsplit"},
    {"partition", m_partition, "-sep"},
    {"rpartition", m_rpartition, "-sep"},
    {"splitlines", m_splitlines, "| keepends"},
    {"find", m_find, "-sub | start end"},
    {"rfind", m_rfind, "-sub | start end"},
    {"index", m_index, "-sub | start end"},
    {"rindex", m_rindex, "-sub | start end"},
    {"count", m_count, "-sub | start end"},
    {"startswith", m_startswith, "-prefix | start end"},
    {"endswith", m_endswith, "-suffix | start end"},
    {"replace", m_replace, "-old new | count"},
    {"removeprefix", m_removeprefix, "-prefix"},
    {"removesuffix", m_removesuffix, "-suffix"},
    {"join", m_join, "-iterable"},
    {0},
};
