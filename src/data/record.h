/* One line of a .jsonl file, told apart by its keys, checked, and brought into one shape: a text, a
 * prompt with its completion, or a list of messages.  Knows nothing of files or tokens: a message
 * about a row names the key, what was found and what was expected, and the caller puts file and
 * line before it. */
#ifndef HN_DATA_RECORD_H
#define HN_DATA_RECORD_H

#include "base/json.h"
#include "hone/data.h"

struct hn_record {
    enum hone_record_kind kind;
    uint32_t n_keys; /* of the row's object */
    bool empty;      /* nothing in it: a blank line, {}, or a text of white space alone */
    /* HONE_RECORD_TASK, _ALPACA, _TEXT: the row as text, and how many of its bytes come before the
     * response (its marker included); SIZE_MAX when no response is marked. */
    struct hn_str text;
    size_t prompt_size;
    /* HONE_RECORD_COMPLETION */
    struct hn_str prompt, completion;
    /* HONE_RECORD_CHAT: objects with "role" and, mostly, "content" (ShareGPT brought into this
     * form).  HONE_RECORD_CHAT and _COMPLETION: tools as the row gives them, or NULL. */
    struct hn_json *messages; /* HN_JSON_ARRAY; of a COMPLETION: NULL, or TRL's conversational form,
                               * the prompt's messages, n_prompt of them, then the completion's */
    size_t n_prompt;
    const struct hn_json *tools;

    bool cells; /* set by the caller: values are the text of cells (CSV), an empty one is none, and
                 * lists and objects are JSON within them */
    struct hn_arena arena; /* owns the tree and every string above */
    struct hn_buf buf;     /* scratch */
};

void hn_record_init(struct hn_record *r);
void hn_record_release(struct hn_record *r);

/* Read line[n] into r.  forced: the kind that it must be, or HONE_RECORD_AUTO.  fallback: the kind
 * of rows whose own keys do not tell (that of the file's first row), or HONE_RECORD_AUTO.  On
 * failure r may only be released or read into again. */
HN_MUST_USE int hn_record_parse(struct hn_record *r, const char *line, size_t n,
                                enum hone_record_kind forced, enum hone_record_kind fallback,
                                struct hone_err *err);

/* The row as hone prepare writes it, without a newline: {"text"}, {"prompt","completion"} or
 * {"messages"}, byte for byte as Python's json.dumps of it. */
void hn_record_write(const struct hn_record *r, struct hn_buf *out);

/* Where the response of a row that was read back as text begins: after the first "### RESPONSE:\n",
 * or, in a text that begins as Alpaca's prompt does, after "### Response:\n"; SIZE_MAX: nowhere. */
size_t hn_record_find_response(struct hn_str text);

/* messages.c: the "messages" or "conversations" of a row, as r->messages and r->tools. */
HN_MUST_USE int hn_record_read_messages(struct hn_record *r, const struct hn_json *row,
                                        struct hone_err *err);
/* TRL's conversational "prompt" and "completion", which are lists of messages. */
HN_MUST_USE int hn_record_read_turns(struct hn_record *r, const struct hn_json *row,
                                     struct hone_err *err);
/* The "tools" of a row, as r->tools; a string is taken as the JSON that it holds. */
HN_MUST_USE int hn_record_read_tools(struct hn_record *r, const struct hn_json *row,
                                     struct hone_err *err);
/* The value that is written as JSON within the string v, in v's place. */
HN_MUST_USE int hn_record_unwrap(struct hn_record *r, const char *key, struct hn_json *v,
                                 struct hone_err *err);
/* s in quotes and escaped as JSON, for a message; a long one is cut. */
void hn_record_quote(struct hn_buf *out, struct hn_str s);
/* Fails, naming the key, when s holds a lone surrogate: no tokenizer can encode one. */
HN_MUST_USE int hn_record_check_text(const char *key, struct hn_str s, struct hone_err *err);

#endif
