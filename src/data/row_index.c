#include "data/row_index.h"
#include "base/mem.h"
#include "base/rng.h"

int hn_row_index_add(struct hn_row_index *x, size_t file, uint64_t offset, uint64_t hash,
                     unsigned marks, struct hone_err *err)
{
    if (file >= 1 << 16 || offset >= (uint64_t)1 << 46)
        return hn_fail(err, HONE_FAILED, "the row at byte %llu is beyond the 2^46 that are indexed",
                       (unsigned long long)offset);
    if (hn_grow((void **)&x->rows, &x->cap, x->n + 1, sizeof *x->rows))
        return hn_fail_memory(err, "indexing the rows");
    x->rows[x->n++] = (struct hn_row_at){(uint64_t)file << 48 | offset << 2 | marks, hash};
    return 0;
}

void hn_row_index_release(struct hn_row_index *x)
{
    hn_free(x->rows);
    *x = (struct hn_row_index){0};
}

/* The hash first, then the place; or the place alone. */
static bool before(const struct hn_row_at *a, const struct hn_row_at *b, bool by_hash)
{
    if (by_hash && a->hash != b->hash)
        return a->hash < b->hash;
    return a->place < b->place;
}

static void sift(struct hn_row_at *rows, size_t i, size_t n, bool by_hash)
{
    struct hn_row_at moved = rows[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && before(&rows[child], &rows[child + 1], by_hash);
        if (!before(&moved, &rows[child], by_hash))
            break;
        rows[i] = rows[child];
    }
    rows[i] = moved;
}

/* Heap sort: in place, where qsort may take as much memory again. */
static void sort(struct hn_row_at *rows, size_t n, bool by_hash)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(rows, i, n, by_hash);
    for (size_t end = n; end-- > 1;) {
        struct hn_row_at top = rows[0];
        rows[0] = rows[end];
        rows[end] = top;
        sift(rows, 0, end, by_hash);
    }
}

uint64_t hn_row_index_mark(struct hn_row_index *x, hn_row_pair_fn *on_pair, void *arg)
{
    uint64_t found = 0;
    sort(x->rows, x->n, true);
    for (size_t i = 1, first = 0; i < x->n; i++) {
        if (x->rows[i].hash != x->rows[first].hash) {
            first = i;
            continue;
        }
        x->rows[i].place |= HN_ROW_DUPLICATE;
        found++;
        if (on_pair)
            on_pair(arg, x->rows[i], x->rows[first]);
    }
    sort(x->rows, x->n, false);
    return found;
}

void hn_row_index_shuffle(struct hn_row_index *x, uint64_t seed)
{
    struct hn_rng r;
    hn_rng_init(&r, seed, 0x64617461); /* a stream of its own: "data" */
    for (size_t i = x->n; i > 1; i--) {
        size_t j = (size_t)hn_rng_below(&r, i);
        struct hn_row_at t = x->rows[i - 1];
        x->rows[i - 1] = x->rows[j];
        x->rows[j] = t;
    }
}
