/* The turns of a conversation, and the text that they are to a model: its chat template, or a plain
 * format where there is none. */
#ifndef HN_INFER_TURNS_H
#define HN_INFER_TURNS_H

#include "base/buf.h"
#include "base/err.h"
#include "hone/tokenizer.h"

struct hn_turn {
    bool assistant;
    int64_t tokens; /* of the conversation up to here, when it was written; the user's: 0 */
    struct hn_buf text;
};

struct hn_turns { /* zero-initialise; release when done */
    struct hn_turn *items;
    size_t n, cap;
    char *system; /* NULL: none */
};

void hn_turns_release(struct hn_turns *t);
HN_MUST_USE int hn_turns_add(struct hn_turns *t, bool assistant, const char *text, size_t n,
                             struct hone_err *err);
/* Keep the first n alone. */
void hn_turns_cut(struct hn_turns *t, size_t n);

/* An array of {"role", "content"}, the system message in front; with record, an object that has it
 * as "messages". */
void hn_turns_json(const struct hn_turns *t, bool record, struct hn_buf *out);

/* Append the tokens of all turns and of what an answer begins with.  Plain:
 *
 *     SYSTEM            (with an empty line behind, if there is a system message)
 *     User: TEXT
 *     Assistant: TEXT
 *     User: TEXT
 *     Assistant:                                                                            */
HN_MUST_USE int hn_turns_encode(const struct hn_turns *t, const struct hone_tokenizer *tok,
                                bool plain, const char *variables, struct hone_tokens *ids,
                                struct hone_err *err);
/* What ends an answer of the plain format. */
#define HN_TURNS_PLAIN_STOP "\nUser:"

#endif
