/* What an answer is worth beside the expected one: exact match, JSON and its fields, ROUGE-L.
 *
 * The JSON of an expected answer is what follows the line "### RESPONSE_JSON:"; or the whole of it,
 * when that is a JSON object or array; or the inside of its first ```json fence.  The answer's JSON
 * is looked for in the same place, and may stand in a fence of its own there.
 *
 * ROUGE-L is that of the rouge_score package without stemming: the F1 of the longest common
 * subsequence of words, a word being a run of [a-z0-9] in the lower-cased text.  Letters outside
 * ASCII therefore separate words ("São" is "s" and "o"), and a text of such letters alone has no
 * words and scores 0; only the first 32,768 words are compared. */
#ifndef HN_EVAL_SCORE_H
#define HN_EVAL_SCORE_H

#include "base/err.h"

struct hn_score {
    bool exact;      /* equal, outer white space apart */
    bool has_json;   /* the expected answer holds JSON */
    bool json_valid; /* so does the answer, and it parses, to its last byte */
    /* Leaves of the expected JSON (scalars and empty containers), and how many of them the answer
     * has at the same path with the same value: numbers by value, strings exactly. */
    int64_t json_fields_right, json_fields;
    double rouge_l; /* 0 to 1 */
};

/* Fails only for want of memory. */
HN_MUST_USE int hn_score_answer(const char *expected, size_t expected_size, const char *output,
                                size_t output_size, struct hn_score *score, struct hone_err *err);

#endif
