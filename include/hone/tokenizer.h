/* Text to token ids and back, identical to Hugging Face tokenizers and sentencepiece. */
#ifndef HONE_TOKENIZER_H
#define HONE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include "hone/err.h"

struct hone_tokenizer; /* immutable once open; may be shared between threads */

struct hone_tokens { /* a growable list; zero-initialise, release when done */
    int32_t *ids;
    size_t n, cap;
};
void hone_tokens_release(struct hone_tokens *t);

/* path: a model directory (tokenizer.json, or tokenizer.model, with tokenizer_config.json beside
 * it), a .gguf file, or one of those tokenizer files itself. */
int hone_tokenizer_open(struct hone_tokenizer **out, const char *path, struct hone_err *err);
void hone_tokenizer_close(struct hone_tokenizer **tok);

enum hone_encode_flags {
    HONE_ADD_SPECIAL =
        1, /* what the post-processor adds (BOS…), as encode(add_special_tokens=True) */
};
/* Append the ids of text[n] to out.  Special tokens written inside the text become their ids, as in
 * Hugging Face.  Invalid UTF-8 is an error that gives the byte offset. */
int hone_tokenizer_encode(const struct hone_tokenizer *tok, const char *text, size_t n, int flags,
                          struct hone_tokens *out, struct hone_err *err);

enum hone_decode_flags {
    HONE_SKIP_SPECIAL = 1, /* leave special tokens out */
};
/* The text of ids[n], NUL-terminated (it may hold NULs: *len), as Hugging Face's decode with
 * clean_up_tokenization_spaces=False.  The caller frees it with hone_free. */
int hone_tokenizer_decode(const struct hone_tokenizer *tok, const int32_t *ids, size_t n, int flags,
                          char **text, size_t *len, struct hone_err *err);
void hone_free(void *p);

/* Decoding while ids arrive: each push gives the text that has become certain (whole characters),
 * flush gives the rest.  All pieces together equal hone_tokenizer_decode of all ids. */
struct hone_detokenizer;
int hone_detokenizer_open(struct hone_detokenizer **out, const struct hone_tokenizer *tok,
                          int flags, struct hone_err *err);
void hone_detokenizer_close(struct hone_detokenizer **d);
/* *text is borrowed until the next call; *len may be 0. */
int hone_detokenizer_push(struct hone_detokenizer *d, int32_t id, const char **text, size_t *len,
                          struct hone_err *err);
int hone_detokenizer_flush(struct hone_detokenizer *d, const char **text, size_t *len,
                           struct hone_err *err);

struct hone_tokenizer_info {
    const char *kind;           /* "byte-level BPE", "SentencePiece BPE"… borrowed */
    int64_t vocab_size;         /* largest id + 1, added tokens included */
    int32_t bos, eos, pad, unk; /* -1: none.  eos as tokenizer_config/GGUF names it */
    bool adds_bos, adds_eos;    /* what HONE_ADD_SPECIAL does */
    const char *chat_template;  /* Jinja source, or NULL; borrowed */
};
void hone_tokenizer_info(const struct hone_tokenizer *tok, struct hone_tokenizer_info *out);
/* The id of a token by its exact text ("<|im_end|>"), or -1. */
int32_t hone_tokenizer_find(const struct hone_tokenizer *tok, const char *token);
/* The text of a token as the vocabulary spells it (borrowed), or NULL. */
const char *hone_tokenizer_token(const struct hone_tokenizer *tok, int32_t id);

/* Take another chat template than the model's default: a file of Jinja source, the name of one that
 * the model has beside it ("tool_use"…), or of one that hone has: chatml, zephyr, vicuna, alpaca.
 * Before the tokenizer is shared.  HONE_NOT_FOUND lists the names; on failure nothing changes. */
int hone_tokenizer_set_chat_template(struct hone_tokenizer *tok, const char *name_or_file,
                                     struct hone_err *err);

/* Render the model's chat template as transformers' apply_chat_template(tokenize=False) does.
 * messages_json: an array of {"role","content",…}.  tools_json and variables_json (an object of
 * further template variables) may be NULL.  *text is freed with hone_free; *text_size (may be NULL)
 * is its length, as a message may hold zero bytes.  The text already holds its special tokens:
 * encode it without HONE_ADD_SPECIAL. */
int hone_chat_render(const struct hone_tokenizer *tok, const char *messages_json,
                     const char *tools_json, const char *variables_json, bool add_generation_prompt,
                     char **text, size_t *text_size, struct hone_err *err);

#endif
