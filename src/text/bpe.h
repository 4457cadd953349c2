/* Byte-pair merging: a list of symbols becomes shorter by joining, again and again, the adjacent
 * pair of lowest rank, the leftmost first where ranks are equal.  O(n log n) in the length of the
 * list. */
#ifndef HN_TEXT_BPE_H
#define HN_TEXT_BPE_H

#include "base/err.h"
#include "text/vocab.h"

struct hn_bpe_merge {
    uint32_t left, right; /* ids */
    uint32_t rank;
    uint32_t id; /* of the two joined; left == UINT32_MAX: an empty slot */
};

struct hn_bpe {
    struct hn_bpe_merge *slots; /* [n_slots] open addressing by (left, right) */
    size_t n_slots, n_merges;
};

/* Room for n merges. */
HN_MUST_USE int hn_bpe_init(struct hn_bpe *b, size_t n, struct hone_err *err);
void hn_bpe_release(struct hn_bpe *b);
/* A pair that is there already takes the new rank and id. */
void hn_bpe_add(struct hn_bpe *b, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);

/* Scratch for merging; one per thread.  Zero-initialise, release when done. */
struct hn_bpe_work {
    uint32_t *symbols; /* [n] in: the initial symbols; out: the merged ones */
    size_t n, cap;
    uint32_t *ranks;       /* [n] of the pair that starts here */
    uint32_t *joined;      /* [n] the id of that pair */
    uint32_t *prev, *next; /* [n] neighbours, for long lists */
    uint64_t *heap;        /* rank << 32 | position */
    size_t cap_ranks, cap_joined, cap_prev, cap_next, cap_heap;
};
void hn_bpe_work_release(struct hn_bpe_work *w);
HN_MUST_USE int hn_bpe_work_push(struct hn_bpe_work *w, uint32_t symbol);
/* Merge w->symbols[0..n) in place. */
HN_MUST_USE int hn_bpe_merge_all(const struct hn_bpe *b, struct hn_bpe_work *w,
                                 struct hone_err *err);

#endif
