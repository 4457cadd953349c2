/* A conversation with a model: its turns, and the cache that they share.  Each turn is rendered in
 * the model's chat template, with all that came before, and only what the cache does not hold yet
 * is read: a template that writes earlier turns anew costs what it changed, no more. */
#ifndef HONE_CONVERSATION_H
#define HONE_CONVERSATION_H

#include "hone/generate.h"

struct hone_conversation; /* used by one thread */

struct hone_conversation_options {
    const char *system;    /* a system message before the turns, or NULL */
    const char *variables; /* further variables of the chat template, a JSON object, or NULL */
    bool bare;             /* ignore the chat template */
    int64_t context;       /* tokens that the conversation may hold; 0: what the model was made for,
                            * up to 8192, less where memory is short */
};

/* model and tok must outlive the conversation; options may be NULL.  A model without a chat
 * template gets a plain format (info.plain): "User: …", "Assistant: …", and an answer ends where
 * the next "User:" would begin.  A context that does not fit into memory is refused with one that
 * does. */
int hone_conversation_open(struct hone_conversation **out, struct hone_model *model,
                           const struct hone_tokenizer *tok,
                           const struct hone_conversation_options *options, struct hone_err *err);
void hone_conversation_close(struct hone_conversation **c);

/* Add text[n] as the user's turn and write the answer: the tokens that hone_generate gives for the
 * same rendered text (o->context is not used).  out->finish_reason may also be "context": the cache
 * is full.  An answer that was interrupted stays in the conversation as far as it went; when
 * nothing of it was written, the user's turn is taken back too.  On failure nothing has changed. */
int hone_conversation_say(struct hone_conversation *c, const char *text, size_t n,
                          const struct hone_generate_options *o, hone_text_fn *on_text, void *arg,
                          struct hone_generation *out, struct hone_err *err);
/* Write the last answer again, with other options or another seed.  HONE_NOT_FOUND: there is none.
 */
int hone_conversation_retry(struct hone_conversation *c, const struct hone_generate_options *o,
                            hone_text_fn *on_text, void *arg, struct hone_generation *out,
                            struct hone_err *err);

/* Another system message for the turns to come; NULL or "": none. */
int hone_conversation_set_system(struct hone_conversation *c, const char *text,
                                 struct hone_err *err);
/* Take back the last user's turn and its answer; false: there is none. */
bool hone_conversation_undo(struct hone_conversation *c);
/* Forget all turns; the system message stays. */
void hone_conversation_reset(struct hone_conversation *c);

struct hone_conversation_info {
    const char *system; /* borrowed, or NULL */
    size_t n_turns;     /* messages of user and assistant */
    int64_t tokens;     /* of the turns and what the template puts around them */
    int64_t context;    /* that there is room for */
    bool plain;         /* no chat template is used */
};
void hone_conversation_info(const struct hone_conversation *c, struct hone_conversation_info *out);

/* {"messages": [{"role", "content"}…]} on one line without its end: a chat record, as hone prepare
 * reads them.  The caller frees it with hone_free. */
int hone_conversation_json(const struct hone_conversation *c, char **text, struct hone_err *err);

#endif
