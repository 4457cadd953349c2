/* One side of a comparison as JSON: how a process that measured it tells the one that asked, and
 * what --json prints. */
#ifndef HN_CLI_COMPARE_SIDE_H
#define HN_CLI_COMPARE_SIDE_H

#include "base/json.h"
#include "hone/compare.h"

/* A few steps of training. */
struct hn_training {
    int64_t steps, tokens;
    double
        tokens_per_second; /* tokens with loss, the first step left out; 0: nothing was measured */
    double first_loss, last_loss;
    uint64_t peak_memory;
};

/* Members of the open object; with ids also the tokens of rows and prompts. */
void hn_side_write(struct hn_json_writer *w, const struct hone_compare_side *s, bool ids);
/* The way back, ids and all where they are; what is missing stays as it was. */
HN_MUST_USE int hn_side_read(const struct hn_json *j, struct hone_compare_side *s,
                             struct hone_err *err);

void hn_training_write(struct hn_json_writer *w, const struct hn_training *t);
void hn_training_read(const struct hn_json *j, struct hn_training *t);

/* The sums over a side's answers. */
struct hn_answer_sums {
    int64_t expected, exact, json, json_valid, fields_right, fields;
    double rouge_l; /* mean */
};
void hn_side_sum(const struct hone_compare_side *s, struct hn_answer_sums *out);

#endif
