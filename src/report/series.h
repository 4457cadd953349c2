/* metrics.jsonl as series of numbers, thinned where the run was long. */
#ifndef HN_REPORT_SERIES_H
#define HN_REPORT_SERIES_H

#include "base/err.h"

/* A record of training, or of validation (then loss is the validation's); what it lacks is NaN. */
struct hn_metric {
    double step, epoch, loss, learning_rate, grad_norm, tokens, tokens_per_second, memory;
};

enum { HN_SERIES_MAX = 1 << 17 }; /* records held of each kind; of more, every second one goes */

struct hn_series {
    struct hn_metric *items; /* [n] in the file's order */
    size_t n, cap;
    uint64_t seen, stride;
    struct hn_metric first, last, lowest; /* by loss; of all that were seen */
    double memory;                        /* the largest */
};

struct hn_metrics {
    struct hn_series train, valid; /* seen 0: none */
};

/* Read the file.  A last line that a kill cut short is left out; any other that is no record is an
 * error with its line.  A file that does not exist has no records. */
HN_MUST_USE int hn_metrics_read(struct hn_metrics *m, const char *path, struct hone_err *err);
void hn_metrics_release(struct hn_metrics *m);

#endif
