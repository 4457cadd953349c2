#include "text/unicode.h"
#include "base/mem.h"
#include "text/unicode_tables.h"

#include <stdlib.h>
#include <string.h>

enum { LAST_CP = 0x10ffff };

bool hn_ucd_has(enum hn_ucd_set set, uint32_t cp)
{
    const uint32_t *r = hn_ucd_set_ranges + 2 * (size_t)hn_ucd_sets[set].at;
    size_t low = 0, high = hn_ucd_sets[set].n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cp > r[2 * mid + 1])
            low = mid + 1;
        else if (cp < r[2 * mid])
            high = mid;
        else
            return true;
    }
    return false;
}

int hn_utf8_cut(struct hn_str s, int max)
{
    size_t n = HN_MIN(s.n, (size_t)max);
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

void hn_cp_set_release(struct hn_cp_set *s)
{
    hn_free(s->ranges);
    *s = (struct hn_cp_set){0};
}

void hn_cp_set_add(struct hn_cp_set *s, uint32_t first, uint32_t last)
{
    if (first > last || s->failed)
        return;
    if (hn_grow((void **)&s->ranges, &s->cap, s->n + 1, sizeof *s->ranges)) {
        s->failed = true;
        return;
    }
    s->ranges[s->n++] = (struct hn_cp_range){first, last};
}

void hn_cp_set_add_ucd(struct hn_cp_set *s, enum hn_ucd_set set)
{
    const uint32_t *r = hn_ucd_set_ranges + 2 * (size_t)hn_ucd_sets[set].at;
    for (size_t i = 0; i < hn_ucd_sets[set].n; i++)
        hn_cp_set_add(s, r[2 * i], r[2 * i + 1]);
}

void hn_cp_set_add_set(struct hn_cp_set *s, const struct hn_cp_set *other)
{
    s->failed |= other->failed;
    for (size_t i = 0; i < other->n; i++)
        hn_cp_set_add(s, other->ranges[i].first, other->ranges[i].last);
}

static int by_first(const void *a, const void *b)
{
    const struct hn_cp_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void hn_cp_set_settle(struct hn_cp_set *s)
{
    size_t kept = 0;
    bool sorted = true;
    for (size_t i = 1; i < s->n && sorted; i++)
        sorted = s->ranges[i - 1].first <= s->ranges[i].first;
    if (!sorted)
        qsort(s->ranges, s->n, sizeof *s->ranges, by_first);
    for (size_t i = 0; i < s->n; i++) {
        struct hn_cp_range r = s->ranges[i];
        if (kept && r.first <= s->ranges[kept - 1].last + 1)
            s->ranges[kept - 1].last = HN_MAX(s->ranges[kept - 1].last, r.last);
        else
            s->ranges[kept++] = r;
    }
    s->n = kept;
}

void hn_cp_set_invert(struct hn_cp_set *s)
{
    struct hn_cp_set out = {.failed = s->failed};
    uint32_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->ranges[i].first > at)
            hn_cp_set_add(&out, at, s->ranges[i].first - 1);
        at = s->ranges[i].last + 1;
    }
    if (at <= LAST_CP)
        hn_cp_set_add(&out, at, LAST_CP);
    hn_cp_set_release(s);
    *s = out;
}

void hn_cp_set_intersect(struct hn_cp_set *s, const struct hn_cp_set *other)
{
    struct hn_cp_set out = {.failed = s->failed || other->failed};
    for (size_t i = 0, j = 0; i < s->n && j < other->n;) {
        struct hn_cp_range a = s->ranges[i], b = other->ranges[j];
        hn_cp_set_add(&out, HN_MAX(a.first, b.first), HN_MIN(a.last, b.last));
        if (a.last < b.last)
            i++;
        else
            j++;
    }
    hn_cp_set_release(s);
    *s = out;
}

void hn_cp_set_fold(struct hn_cp_set *s)
{
    struct hn_cp_set more = {0};
    for (size_t i = 0; i < hn_ucd_folds_count; i++) {
        const struct hn_ucd_stride *f = &hn_ucd_folds[i];
        for (uint32_t c = f->first; c <= f->last; c += (uint32_t)f->stride)
            if (hn_cp_set_has(s, c))
                hn_cp_set_add(&more, c + (uint32_t)f->delta, c + (uint32_t)f->delta);
    }
    hn_cp_set_add_set(s, &more);
    hn_cp_set_release(&more);
    hn_cp_set_settle(s);
}

bool hn_cp_set_has(const struct hn_cp_set *s, uint32_t cp)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cp > s->ranges[mid].last)
            low = mid + 1;
        else if (cp < s->ranges[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

/* Ranges of a table of changes whose value is wanted. */
static void add_changes(struct hn_cp_set *s, const uint32_t *table, size_t n, enum hn_ucd_kind kind,
                        uint32_t wanted)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t value = table[i] & 0xff;
        if (kind == HN_UCD_CATEGORY ? wanted >> value & 1 : value == wanted)
            hn_cp_set_add(s, table[i] >> 8, i + 1 < n ? (table[i + 1] >> 8) - 1 : LAST_CP);
    }
}

static int compare_name(const void *key, const void *row)
{
    return strcmp(key, ((const struct hn_ucd_name *)row)->name);
}

bool hn_cp_set_add_named(struct hn_cp_set *s, struct hn_str name)
{
    char squeezed[64];
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == ' ' || c == '_' || c == '-')
            continue;
        if (n == sizeof squeezed - 1)
            return false;
        squeezed[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    squeezed[n] = 0;
    const struct hn_ucd_name *row =
        bsearch(squeezed, hn_ucd_names, hn_ucd_names_count, sizeof *hn_ucd_names, compare_name);
    if (!row)
        return false;
    if (row->kind == HN_UCD_SET)
        hn_cp_set_add_ucd(s, (enum hn_ucd_set)row->value);
    else if (row->kind == HN_UCD_SCRIPT)
        add_changes(s, hn_ucd_script, hn_ucd_script_count, row->kind, row->value);
    else
        add_changes(s, hn_ucd_category, hn_ucd_category_count, row->kind, row->value);
    hn_cp_set_settle(s);
    return true;
}
