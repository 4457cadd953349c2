/* Measuring a model on held-out rows: loss, and what it writes against what it should. */
#ifndef HONE_TEST_H
#define HONE_TEST_H

#include "hone/data.h"
#include "hone/generate.h"

struct hone_test_options {
    struct hone_dataset_options data; /* encode as in training; tokenizer set by the caller */
    bool generate;                    /* true: also write an answer for each row with a response */
    struct hone_generate_options
        generation; /* max_tokens 0: as long as the expected answer x 2 + 64 */
    int64_t limit;  /* 0: all rows */
};
void hone_test_defaults(struct hone_test_options *o);

struct hone_test_row {
    uint64_t index;   /* in file order, from 0 */
    const char *path; /* of the data file */
    uint64_t line;
    int64_t tokens; /* positions with loss */
    double loss;    /* mean over them, natural logarithm */
    bool generated; /* the row has a response to write, and a prompt of a token or more */
    const char *prompt, *expected,
        *output; /* when generated; each ends in a NUL, and may hold one */
    size_t prompt_size, expected_size, output_size;
    bool exact;      /* output equals expected, outer white space apart */
    bool has_json;   /* the expected answer holds JSON */
    bool json_valid; /* the output's JSON part parses */
    int64_t json_fields_right,
        json_fields; /* leaves of the expected JSON found equal at their path */
    double rouge_l;  /* F1 over words */
};
struct hone_test_summary {
    uint64_t rows, generated, json_rows, exact, json_valid;
    int64_t tokens, json_fields_right, json_fields;
    double loss, perplexity, rouge_l, seconds;
    uint64_t peak_memory;
};
/* Called once per row in file order; a non-zero result stops with HONE_INTERRUPTED. */
typedef int hone_test_fn(void *arg, const struct hone_test_row *row, uint64_t done, uint64_t total);

int hone_test(struct hone_model *model, const struct hone_tokenizer *tok, const char *data_path,
              const struct hone_test_options *o, hone_test_fn *on_row, void *arg,
              struct hone_test_summary *out, struct hone_err *err);

#endif
