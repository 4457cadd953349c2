/* The rows of hone prepare while they are shuffled and compared: 16 bytes each, never their text.
 */
#ifndef HN_DATA_ROW_INDEX_H
#define HN_DATA_ROW_INDEX_H

#include "base/err.h"

/* place, from the high bits: 16 of file, 46 of offset, then two marks.  Sorted places are therefore
 * rows in the order of reading. */
struct hn_row_at {
    uint64_t place, hash;
};
enum { HN_ROW_DUPLICATE = 1, HN_ROW_LONG = 2 };

static inline size_t hn_row_file(struct hn_row_at r)
{
    return (size_t)(r.place >> 48);
}

static inline uint64_t hn_row_offset(struct hn_row_at r)
{
    return (r.place >> 2) & (((uint64_t)1 << 46) - 1);
}

struct hn_row_index {
    struct hn_row_at *rows; /* [n] */
    size_t n, cap;
};
/* file < 2^16; an offset of 2^46 bytes or more is refused. */
HN_MUST_USE int hn_row_index_add(struct hn_row_index *x, size_t file, uint64_t offset,
                                 uint64_t hash, unsigned marks, struct hone_err *err);
void hn_row_index_release(struct hn_row_index *x);

/* Mark every row whose hash an earlier row has; returns how many.  Rows are in order of reading
 * before and after.  on_pair (may be NULL) is told each of them with the row that it repeats, in no
 * particular order. */
typedef void hn_row_pair_fn(void *arg, struct hn_row_at duplicate, struct hn_row_at first);
uint64_t hn_row_index_mark(struct hn_row_index *x, hn_row_pair_fn *on_pair, void *arg);
/* A random order that depends on seed and n alone. */
void hn_row_index_shuffle(struct hn_row_index *x, uint64_t seed);

#endif
