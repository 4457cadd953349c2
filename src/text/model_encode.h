/* Encoding one piece with each kind of model; the kinds are told apart in model_encode.c. */
#ifndef HN_TEXT_MODEL_ENCODE_H
#define HN_TEXT_MODEL_ENCODE_H

#include "text/tokenizer_impl.h"

HN_MUST_USE int hn_model_encode_unigram(const struct hone_tokenizer *t, struct hn_str s,
                                        struct hone_tokens *out, struct hone_err *err);
HN_MUST_USE int hn_model_encode_word_piece(const struct hone_tokenizer *t, struct hn_str s,
                                           struct hn_model_work *w, struct hone_tokens *out,
                                           struct hone_err *err);
HN_MUST_USE int hn_model_encode_word_level(const struct hone_tokenizer *t, struct hn_str s,
                                           struct hone_tokens *out, struct hone_err *err);
/* The text needs the unknown token, and there is none. */
HN_MUST_USE int hn_model_missing_unk(struct hone_err *err);

#endif
