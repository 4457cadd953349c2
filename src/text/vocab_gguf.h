/* A tokenizer as the metadata of a GGUF: the other way round from tokenizer_gguf.c. */
#ifndef HN_TEXT_VOCAB_GGUF_H
#define HN_TEXT_VOCAB_GGUF_H

#include "format/gguf_write.h"
#include "text/tokenizer_impl.h"

/* Add tokenizer.ggml.* and tokenizer.chat_template for a model of n_rows embeddings: rows that no
 * token has become "[PADi]"; *n_left_out tokens have no row and are left out.  pieces: the same
 * vocabulary read from tokenizer.model, for its scores, or NULL; then scores follow from the
 * merges. A tokenizer that llama.cpp has no name for is refused; the message begins with path. */
HN_MUST_USE int hn_tokenizer_put_gguf(const struct hone_tokenizer *t,
                                      const struct hone_tokenizer *pieces, int64_t n_rows,
                                      const char *path, struct hn_gguf_meta *m, size_t *n_left_out,
                                      struct hone_err *err);

/* The tokens that begin and end a text in a GGUF: those that the tokenizer names, else those that
 * it adds; -1: none. */
int32_t hn_tokenizer_gguf_bos(const struct hone_tokenizer *t);
int32_t hn_tokenizer_gguf_eos(const struct hone_tokenizer *t);

#endif
