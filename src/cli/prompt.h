/* Prompts as a model is to see them: in its chat template where it has one. */
#ifndef HN_CLI_PROMPT_H
#define HN_CLI_PROMPT_H

#include "base/err.h"
#include "hone/tokenizer.h"

struct hn_prompt_options {
    const char *system;    /* a system message before it, or NULL */
    const char *prefill;   /* how the answer begins, or NULL */
    const char *variables; /* of the chat template, a JSON object, or NULL */
    bool bare;             /* ignore the chat template */
};

/* Append the tokens of text[n]. */
HN_MUST_USE int hn_prompt_encode(const struct hone_tokenizer *tok, const char *text, size_t n,
                                 const struct hn_prompt_options *o, struct hone_tokens *ids,
                                 struct hone_err *err);

#endif
