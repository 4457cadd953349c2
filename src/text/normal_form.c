#include "text/normal_form.h"
#include "base/mem.h"
#include "text/unicode_tables.h"

enum { /* Unicode Standard, 3.12, Conjoining Jamo Behavior */
       S_BASE = 0xac00,
       L_BASE = 0x1100,
       V_BASE = 0x1161,
       T_BASE = 0x11a7,
       L_COUNT = 19,
       V_COUNT = 21,
       T_COUNT = 28,
       S_COUNT = L_COUNT * V_COUNT * T_COUNT
};

/* The index of cp in an ascending array, or n. */
static size_t find(const uint32_t *cps, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cps[mid] < cp)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && cps[low] == cp ? low : n;
}

static int ccc_of(uint32_t cp)
{
    size_t low = 0, high = hn_ucd_ccc_count / 2;
    if (cp < 0x300)
        return 0;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cp > hn_ucd_ccc[2 * mid + 1])
            low = mid + 1;
        else if (cp < hn_ucd_ccc[2 * mid] >> 8)
            high = mid;
        else
            return (int)(hn_ucd_ccc[2 * mid] & 0xff);
    }
    return 0;
}

static int push(struct hn_text_work *w, uint32_t cp)
{
    if (w->n_cps == w->cap_cps &&
        hn_grow((void **)&w->cps, &w->cap_cps, w->n_cps + 1, sizeof *w->cps))
        return -1;
    w->cps[w->n_cps++] = cp;
    return 0;
}

static int push_text(struct hn_text_work *w, const uint32_t *texts, const uint16_t *starts,
                     size_t i)
{
    for (size_t k = starts[i]; k < starts[i + 1]; k++)
        if (push(w, texts[k]))
            return -1;
    return 0;
}

static int decompose(struct hn_text_work *w, uint32_t cp, bool compat)
{
    if (cp < 0xa0)
        return push(w, cp);
    if (cp >= S_BASE && cp < S_BASE + S_COUNT) {
        uint32_t i = cp - S_BASE, t = i % T_COUNT;
        return push(w, L_BASE + i / (V_COUNT * T_COUNT)) ||
               push(w, V_BASE + i % (V_COUNT * T_COUNT) / T_COUNT) || (t && push(w, T_BASE + t));
    }
    size_t i = compat ? find(hn_ucd_compat_cps, hn_ucd_compat_cps_count, cp) : 0;
    if (compat && i < hn_ucd_compat_cps_count)
        return push_text(w, hn_ucd_compat_texts, hn_ucd_compat_starts, i);
    i = find(hn_ucd_canonical_cps, hn_ucd_canonical_cps_count, cp);
    if (i < hn_ucd_canonical_cps_count)
        return push_text(w, hn_ucd_canonical_texts, hn_ucd_canonical_starts, i);
    return push(w, cp);
}

/* Stable insertion of each mark among its neighbours; a run of marks longer than this is sorted by
 * counting, so that hostile text stays linear. */
static int sort_run(struct hn_text_work *w, size_t first, size_t end)
{
    size_t n = end - first, at = 0;
    if (n <= 32) {
        for (size_t i = first + 1; i < end; i++) {
            uint32_t cp = w->cps[i];
            int k = ccc_of(cp);
            size_t j = i;
            for (; j > first && ccc_of(w->cps[j - 1]) > k; j--)
                w->cps[j] = w->cps[j - 1];
            w->cps[j] = cp;
        }
        return 0;
    }
    size_t starts[257] = {0};
    uint32_t *copy = hn_calloc(n, sizeof *copy);
    if (!copy)
        return -1;
    for (size_t i = 0; i < n; i++)
        starts[ccc_of(w->cps[first + i]) + 1]++;
    for (size_t k = 1; k <= 256; k++)
        starts[k] += starts[k - 1];
    for (; at < n; at++)
        copy[starts[ccc_of(w->cps[first + at])]++] = w->cps[first + at];
    for (at = 0; at < n; at++)
        w->cps[first + at] = copy[at];
    hn_free(copy);
    return 0;
}

static int sort_marks(struct hn_text_work *w)
{
    for (size_t i = 0; i < w->n_cps;) {
        size_t first = i;
        while (i < w->n_cps && ccc_of(w->cps[i]))
            i++;
        if (i - first > 1 && sort_run(w, first, i))
            return -1;
        i += i == first;
    }
    return 0;
}

/* The composition of two characters, or 0. */
static uint32_t compose_pair(uint32_t a, uint32_t b)
{
    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE && b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a >= S_BASE && a < S_BASE + S_COUNT && (a - S_BASE) % T_COUNT == 0 && b > T_BASE &&
        b < T_BASE + T_COUNT)
        return a + (b - T_BASE);
    size_t low = 0, high = hn_ucd_pairs_count / 3;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const uint32_t *p = hn_ucd_pairs + 3 * mid;
        if (p[0] == a && p[1] == b)
            return p[2];
        if (p[0] < a || (p[0] == a && p[1] < b))
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* Unicode Standard, D117: each character joins the last starter unless it is blocked from it. */
static void compose(struct hn_text_work *w)
{
    size_t n = 0, starter = SIZE_MAX;
    int last = 0; /* class of the character before; 0 right after the starter */
    for (size_t i = 0; i < w->n_cps; i++) {
        uint32_t cp = w->cps[i], joined = 0;
        int k = ccc_of(cp);
        bool adjacent = starter != SIZE_MAX && starter + 1 == n;
        if (starter != SIZE_MAX && (adjacent || (last < k && last != 0)))
            joined = compose_pair(w->cps[starter], cp);
        if (joined) {
            w->cps[starter] = joined;
            continue;
        }
        if (k == 0)
            starter = n;
        last = k;
        w->cps[n++] = cp;
    }
    w->n_cps = n;
}

int hn_form_append(enum hn_form form, struct hn_str s, struct hn_buf *out, struct hn_text_work *w)
{
    bool compat = form == HN_FORM_NFKC || form == HN_FORM_NFKD;
    size_t ascii = 0;
    while (ascii < s.n && (unsigned char)s.p[ascii] < 0x80)
        ascii++;
    /* The last ASCII character may join with what follows. */
    if (ascii < s.n && ascii)
        ascii--;
    hn_buf_add(out, s.p, ascii);
    w->n_cps = 0;
    for (size_t i = ascii; i < s.n;)
        if (decompose(w, (uint32_t)hn_utf8_next(s.p, s.n, &i), compat))
            return -1;
    if (sort_marks(w))
        return -1;
    if (form == HN_FORM_NFC || form == HN_FORM_NFKC)
        compose(w);
    for (size_t i = 0; i < w->n_cps; i++) {
        char bytes[4];
        hn_buf_add(out, bytes, (size_t)hn_utf8_put(w->cps[i], bytes));
    }
    return out->failed ? -1 : 0;
}

int hn_lower_case(uint32_t cp, uint32_t out[3])
{
    size_t low = 0, high = hn_ucd_lower_count;
    out[0] = cp;
    if (cp < 0x80) {
        out[0] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
        return 1;
    }
    size_t i = find(hn_ucd_lower_several_cps, hn_ucd_lower_several_cps_count, cp);
    if (i < hn_ucd_lower_several_cps_count) {
        int n = 0;
        for (size_t k = hn_ucd_lower_several_starts[i];
             k < hn_ucd_lower_several_starts[i + 1] && n < 3; k++)
            out[n++] = hn_ucd_lower_several_texts[k];
        return n;
    }
    /* Strides may interleave, but only with their neighbours: look from the last that starts before
     * cp. */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (hn_ucd_lower[mid].first <= cp)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t back = 0; back < 2 && low > back; back++) {
        const struct hn_ucd_stride *r = &hn_ucd_lower[low - 1 - back];
        if (cp <= r->last && (cp - r->first) % (uint32_t)r->stride == 0) {
            out[0] = cp + (uint32_t)r->delta;
            return 1;
        }
    }
    return 1;
}
