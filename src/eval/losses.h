/* The loss of many rows of tokens, several packed into each pass. */
#ifndef HN_EVAL_LOSSES_H
#define HN_EVAL_LOSSES_H

#include "base/err.h"
#include "model/model.h"

/* Where the rows come from. */
struct hn_loss_rows {
    uint64_t n;
    void *arg;
    int64_t (*length)(void *arg, uint64_t i); /* tokens of row i */
    /* Row i: its tokens, and which carry loss (NULL: all but the first), valid until the next. */
    int (*read)(void *arg, uint64_t i, const int32_t **ids, const uint8_t **trained,
                struct hone_err *err);
};

struct hn_row_loss {
    int64_t tokens; /* positions with loss */
    double sum;     /* of their losses, natural logarithm */
};

/* Called before each pass with the rows done so far; a non-zero result stops. */
typedef int hn_loss_fn(void *arg, uint64_t done);

/* out [rows->n] */
HN_MUST_USE int hn_losses_measure(struct hone_model *m, const struct hn_loss_rows *rows,
                                  hn_loss_fn *on_pass, struct hn_row_loss *out,
                                  struct hone_err *err);

#endif
