/* The merges of a tokenizer in their order. */
#ifndef HN_TEXT_VOCAB_MERGES_H
#define HN_TEXT_VOCAB_MERGES_H

#include "text/tokenizer_impl.h"

/* *out: all merges by rank, those of one rank by what they make and where they cut it; the caller
 * hn_frees it. */
HN_MUST_USE int hn_vocab_merges(const struct hone_tokenizer *t, struct hn_bpe_merge **out,
                                size_t *n, struct hone_err *err);

#endif
