/* A record as the tokens that a model sees, which of them carry loss, and where its response is. */
#ifndef HN_DATA_ENCODE_H
#define HN_DATA_ENCODE_H

#include "data/record.h"
#include "text/chat.h"

struct hn_encoder {
    struct hone_dataset_options o;
    struct hone_tokenizer_info info;
    size_t lead; /* special tokens that HONE_ADD_SPECIAL puts before a text */
    /* The current row: its text, and the byte ranges [2 i], [2 i + 1] of it that are responses. */
    struct hn_buf text, prompt, expected;
    bool templated, has_prompt;
    bool answered; /* a chat that ends with an answer */
    size_t offset; /* the first token that is trained, with train_last_turn; SIZE_MAX: by spans */
    size_t *spans;
    size_t n_spans, cap_spans;
    struct hone_tokens prefix;     /* scratch */
    struct hn_chat_template *chat; /* compiled; NULL until the first chat row */
};

/* What was found in a row, for the notes. */
struct hn_encoded {
    size_t full_length; /* tokens before truncation */
    size_t trained;     /* tokens that carry loss */
    size_t responses;   /* found; not counted when nothing needs them */
    bool truncated;
    bool answer_cut; /* truncated, within or before its last response */
    bool straddles;  /* a token holds the end of a prompt and the start of its response */
    bool double_bos; /* the text starts with the token that the tokenizer adds */
};

HN_MUST_USE int hn_encoder_init(struct hn_encoder *e, const struct hone_dataset_options *o,
                                struct hone_err *err);
void hn_encoder_release(struct hn_encoder *e);

/* r's tokens and trained marks into row.  parts: also row->text, prompt and expected. */
HN_MUST_USE int hn_encoder_row(struct hn_encoder *e, const struct hn_record *r, bool parts,
                               struct hone_row *row, struct hn_encoded *found,
                               struct hone_err *err);

/* encode_chat.c: render messages (an array) into e->text with e->templated set, and find the
 * responses that are needed: when prompts are masked all of them but those among the first n_prompt
 * messages; with parts, also prompt and
 * expected of the last message, if that is an answer. */
HN_MUST_USE int hn_encoder_take_chat(struct hn_encoder *e, const struct hn_json *messages,
                                     size_t n_prompt, const struct hn_json *tools, bool parts,
                                     struct hone_err *err);
/* Bytes [begin, end) of e->text are a response. */
HN_MUST_USE int hn_encoder_add_span(struct hn_encoder *e, size_t begin, size_t end,
                                    struct hone_err *err);

#endif
