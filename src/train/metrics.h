/* metrics.jsonl: one record per report and per validation, appended as they come; a resumed run
 * first cuts off what lies after its checkpoint. */
#ifndef HN_TRAIN_METRICS_H
#define HN_TRAIN_METRICS_H

#include "base/json.h"
#include "hone/train.h"

/* Keep the records up to and including step, drop the rest (step 0: all of them). */
HN_MUST_USE int hn_metrics_begin(const char *path, int64_t step, struct hone_err *err);
/* Append the record of a HONE_TRAIN_REPORT or HONE_TRAIN_EVAL event. */
HN_MUST_USE int hn_metrics_add(const char *path, const struct hone_train_event *e,
                               struct hone_err *err);

#endif
