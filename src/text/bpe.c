#include "text/bpe.h"
#include "base/mem.h"

#include <string.h>

enum { SHORT = 24 }; /* lists up to this are scanned, longer ones use a heap */

static const uint32_t none = UINT32_MAX;

int hn_bpe_init(struct hn_bpe *b, size_t n, struct hone_err *err)
{
    *b = (struct hn_bpe){.n_slots = 64};
    while (b->n_slots < 2 * n)
        b->n_slots *= 2;
    b->slots = hn_calloc(b->n_slots, sizeof *b->slots);
    if (!b->slots) {
        *b = (struct hn_bpe){0};
        return hn_fail_memory(err, "reading the merges of a tokenizer");
    }
    memset(b->slots, 0xff, b->n_slots * sizeof *b->slots);
    return 0;
}

void hn_bpe_release(struct hn_bpe *b)
{
    hn_free(b->slots);
    *b = (struct hn_bpe){0};
}

/* The pair's slot, or the empty one where it would go. */
static struct hn_bpe_merge *slot_of(const struct hn_bpe *b, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t at = (h ^ h >> 29) & (b->n_slots - 1);
    while (b->slots[at].left != none && (b->slots[at].left != left || b->slots[at].right != right))
        at = (at + 1) & (b->n_slots - 1);
    return &b->slots[at];
}

void hn_bpe_add(struct hn_bpe *b, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
    struct hn_bpe_merge *m = slot_of(b, left, right);
    if (m->left == none) {
        HN_ASSERT(b->n_merges < b->n_slots / 2 + 1);
        b->n_merges++;
    }
    *m = (struct hn_bpe_merge){left, right, rank, id};
}

void hn_bpe_work_release(struct hn_bpe_work *w)
{
    hn_free(w->symbols);
    hn_free(w->ranks);
    hn_free(w->joined);
    hn_free(w->prev);
    hn_free(w->next);
    hn_free(w->heap);
    *w = (struct hn_bpe_work){0};
}

int hn_bpe_work_push(struct hn_bpe_work *w, uint32_t symbol)
{
    if (w->n == w->cap && hn_grow((void **)&w->symbols, &w->cap, w->n + 1, sizeof *w->symbols))
        return -1;
    w->symbols[w->n++] = symbol;
    return 0;
}

static void look_up(const struct hn_bpe *b, struct hn_bpe_work *w, size_t at, uint32_t left,
                    uint32_t right)
{
    const struct hn_bpe_merge *m = slot_of(b, left, right);
    w->ranks[at] = m->rank; /* UINT32_MAX in an empty slot */
    w->joined[at] = m->id;
}

static void merge_short(const struct hn_bpe *b, struct hn_bpe_work *w)
{
    uint32_t *s = w->symbols;
    size_t n = w->n;
    for (size_t i = 0; i + 1 < n; i++)
        look_up(b, w, i, s[i], s[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (w->ranks[i] < w->ranks[best])
                best = i;
        if (w->ranks[best] == none)
            break;
        s[best] = w->joined[best];
        n--;
        size_t tail = n - best - 1;
        memmove(s + best + 1, s + best + 2, tail * sizeof *s);
        memmove(w->ranks + best, w->ranks + best + 1, tail * sizeof *w->ranks);
        memmove(w->joined + best, w->joined + best + 1, tail * sizeof *w->joined);
        if (best + 1 < n)
            look_up(b, w, best, s[best], s[best + 1]);
        if (best > 0)
            look_up(b, w, best - 1, s[best - 1], s[best]);
    }
    w->n = n;
}

static void sift_down(uint64_t *heap, size_t n, size_t at)
{
    uint64_t v = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= v)
            break;
        heap[at] = heap[child];
    }
    heap[at] = v;
}

static void sift_up(uint64_t *heap, size_t at)
{
    uint64_t v = heap[at];
    for (size_t parent; at && heap[parent = (at - 1) / 2] > v; at = parent)
        heap[at] = heap[parent];
    heap[at] = v;
}

/* Entries are never removed when they go stale: an entry counts only if its rank is still the rank
 * of the pair that starts at its position.  Each merge adds at most two, so 3n suffice. */
static void merge_long(const struct hn_bpe *b, struct hn_bpe_work *w)
{
    uint32_t *s = w->symbols;
    size_t n = w->n, n_heap = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        w->prev[i] = i ? (uint32_t)i - 1 : none;
        w->next[i] = i + 1 < n ? (uint32_t)i + 1 : none;
        w->ranks[i] = none;
        if (i + 1 < n)
            look_up(b, w, i, s[i], s[i + 1]);
        if (w->ranks[i] != none)
            w->heap[n_heap++] = (uint64_t)w->ranks[i] << 32 | i;
    }
    for (size_t i = n_heap / 2; i-- > 0;)
        sift_down(w->heap, n_heap, i);
    while (n_heap) {
        uint32_t at = (uint32_t)w->heap[0], rank = (uint32_t)(w->heap[0] >> 32);
        w->heap[0] = w->heap[--n_heap];
        if (n_heap)
            sift_down(w->heap, n_heap, 0);
        if (w->ranks[at] != rank)
            continue;
        uint32_t right = w->next[at], after = w->next[right], before = w->prev[at];
        s[at] = w->joined[at];
        w->ranks[right] = none;
        s[right] = none;
        w->next[at] = after;
        w->ranks[at] = none;
        if (after != none) {
            w->prev[after] = at;
            look_up(b, w, at, s[at], s[after]);
        }
        if (before != none)
            look_up(b, w, before, s[before], s[at]);
        uint32_t touched[2] = {at, before};
        for (int k = 0; k < 2; k++)
            if (touched[k] != none && w->ranks[touched[k]] != none) {
                w->heap[n_heap] = (uint64_t)w->ranks[touched[k]] << 32 | touched[k];
                sift_up(w->heap, n_heap++);
            }
    }
    for (size_t i = 0; i < n; i++)
        if (s[i] != none)
            s[kept++] = s[i];
    w->n = kept;
}

int hn_bpe_merge_all(const struct hn_bpe *b, struct hn_bpe_work *w, struct hone_err *err)
{
    bool is_long = w->n > SHORT;
    if (w->n < 2)
        return 0;
    if (w->n > UINT32_MAX / 4)
        return hn_fail(err, HONE_FAILED, "a piece of text of %zu symbols is too long to tokenize",
                       w->n);
    if (hn_grow((void **)&w->ranks, &w->cap_ranks, w->n, sizeof *w->ranks) ||
        hn_grow((void **)&w->joined, &w->cap_joined, w->n, sizeof *w->joined) ||
        (is_long && (hn_grow((void **)&w->prev, &w->cap_prev, w->n, sizeof *w->prev) ||
                     hn_grow((void **)&w->next, &w->cap_next, w->n, sizeof *w->next) ||
                     hn_grow((void **)&w->heap, &w->cap_heap, 3 * w->n, sizeof *w->heap))))
        return hn_fail_memory(err, "tokenizing");
    if (is_long)
        merge_long(b, w);
    else
        merge_short(b, w);
    return 0;
}
