/* A tokenizer that came from a GGUF as Hugging Face's files. */
#ifndef HN_TEXT_TOKENIZER_WRITE_H
#define HN_TEXT_TOKENIZER_WRITE_H

#include "text/tokenizer_impl.h"

/* tokenizer.json of a byte-level or SentencePiece BPE.  nfc: normalise to NFC first, which a GGUF
 * does not say of itself.  Other kinds are refused; the message begins with path. */
HN_MUST_USE int hn_tokenizer_write_json(const struct hone_tokenizer *t, bool nfc, const char *path,
                                        struct hn_buf *out, struct hone_err *err);
/* tokenizer_config.json: the named tokens, the class and the chat template.  context: the longest
 * text that the model takes, in tokens. */
void hn_tokenizer_write_config(const struct hone_tokenizer *t, int64_t context, struct hn_buf *out);

#endif
