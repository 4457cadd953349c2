/* Where a run stands: everything, beside the parameters and moments, that a resumed run needs to go
 * on bit for bit. */
#ifndef HN_TRAIN_PROGRESS_H
#define HN_TRAIN_PROGRESS_H

#include "base/json.h"
#include "hone/err.h"
#include "train/rate.h"

struct hn_progress {
    int64_t micro;  /* micro-batches done */
    int64_t step;   /* optimizer steps done */
    int64_t tokens; /* trained tokens so far */
    /* the report window that is open: */
    double window_loss;
    int64_t window_micro, window_first_step;
    double best_loss; /* lowest validation loss; infinity before the first */
    int64_t best_step;
    int64_t validated_step; /* of the newest validation */
    int64_t worse;          /* validations since the best */
    struct hn_plateau plateau;
    double norm, rate; /* of the newest update */
    double seconds;    /* of training, earlier runs included */
};

void hn_progress_write(struct hn_json_writer *w, const struct hn_progress *p);
HN_MUST_USE int hn_progress_read(const struct hn_json *j, struct hn_progress *p,
                                 struct hone_err *err);

#endif
