/* Which rows come when: hone's own orders, and mlx_lm's bit for bit.
 *
 * mlx_lm cuts the rows, stably sorted by how many keys their records have, into batches and drops a
 * partial last one; the batches of every epoch and of every validation come in permutations that
 * are all drawn from one stream of numpy's, in the order in which the run meets them: at an epoch's
 * first iteration the epoch's, then the validation's if one is due before that iteration. */
#ifndef HN_TRAIN_ORDER_H
#define HN_TRAIN_ORDER_H

#include "base/rng_peers.h"
#include "train/schedule.h"

struct hn_order {
    const struct hone_train_options *o;
    const struct hn_run_length *length;
    int64_t n, n_valid;          /* rows */
    uint64_t *rows, *valid;      /* [n], [n_valid]: the order as it was asked for last */
    int64_t epoch;               /* that rows holds; -1: none */
    int64_t n_validated;         /* rows of valid that a validation takes */
    uint64_t *sorted, *v_sorted; /* mlx: rows by number of keys */
    uint64_t *perm, *v_perm;     /* mlx: batches of the current epoch and validation */
    struct hn_numpy_rng rng;
    uint32_t
        *lengths;  /* [n] tokens of each row, set by the caller for group_by_length; freed here */
    int64_t drawn; /* mlx: iterations whose permutations are drawn */
};

/* keys, valid_keys: of each row's record; NULL: as many each. */
HN_MUST_USE int hn_order_init(struct hn_order *x, const struct hone_train_options *o,
                              const struct hn_run_length *length, int64_t n, const uint16_t *keys,
                              int64_t n_valid, const uint16_t *valid_keys, struct hone_err *err);
void hn_order_release(struct hn_order *x);

/* x->rows = the rows of an epoch (from 0), batch after batch. */
void hn_order_epoch(struct hn_order *x, int64_t epoch);
/* x->valid, x->n_validated = the rows of the validation before iteration `iter` (from 1). */
void hn_order_valid(struct hn_order *x, int64_t iter);
/* Does mlx_lm validate before this iteration? */
bool hn_mlx_validates(const struct hone_train_options *o, const struct hn_run_length *length,
                      int64_t iter);

#endif
