/* Conversations as text: a model's chat template rendered as transformers' apply_chat_template does
 * it, and which bytes of the text the assistant wrote. */
#ifndef HN_TEXT_CHAT_H
#define HN_TEXT_CHAT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct hn_chat_template; /* immutable; may be shared between threads */

/* Compile the Jinja source[n], to be rendered any number of times. */
HN_MUST_USE int hn_chat_template_open(struct hn_chat_template **out, const char *source, size_t n,
                                      struct hone_err *err);
void hn_chat_template_close(struct hn_chat_template **t);

struct hn_chat_input {
    const struct hn_json *messages;  /* array of objects; keys whose value is null are left out */
    const struct hn_json *tools;     /* array of objects, or NULL */
    const struct hn_json *documents; /* array of objects, or NULL */
    const struct hn_json *variables; /* object of further variables of the template, or NULL.  One
                                      * of the name of a special token replaces it; "documents" and
                                      * "tools" stand for the two above where those are NULL. */
    const char *bos_token, *eos_token, *unk_token, *pad_token; /* NULL: undefined in the template */
    bool add_generation_prompt;
    int64_t now; /* strftime_now's clock, seconds since 1970; 0: the system's */
};

/* Append the conversation's text to out, which is untouched on failure.  An empty conversation is
 * an error, as in transformers. */
HN_MUST_USE int hn_chat_template_render(const struct hn_chat_template *t,
                                        const struct hn_chat_input *in, struct hn_buf *out,
                                        struct hone_err *err);
/* The same for a template that is used once. */
HN_MUST_USE int hn_chat_render(const char *source, const struct hn_chat_input *in,
                               struct hn_buf *out, struct hone_err *err);

struct hn_chat_span { /* bytes [start, end) */
    size_t start, end;
};
struct hn_chat_spans { /* zero-initialise; release when done */
    struct hn_chat_span *items;
    size_t n, cap;
};
void hn_chat_spans_release(struct hn_chat_spans *s);

/* Append the conversation's text to `text` and the spans of it (counted from where it begins) that
 * the assistant is trained on to `spans`, in order.  add_generation_prompt is taken as false.
 *
 * A template with {% generation %} blocks says itself what those are.  Of any other, the span of an
 * assistant message is what the model has to write after the prompt that it would be given: let A
 * be the text of the messages before it with the generation prompt, and B the text up to and with
 * it; then it is what B has behind A, the answer and the end-of-turn marker (with white space that
 * follows it in the template).  Where B lacks part of the prompt (an opened thought, say), it
 * begins where they part; where even the messages before it read differently in B, it begins where
 * B has the end of A in front of the answer.  The span is then found in the whole text, where a
 * template may have shortened it (thinking left out of earlier turns).  When it is not there, or
 * not in one place, the conversation has no well-defined spans and the call fails, naming the
 * message.  Two renderings per assistant message, a few more where a template does such things. */
HN_MUST_USE int hn_chat_spans(const struct hn_chat_template *t, const struct hn_chat_input *in,
                              struct hn_buf *text, struct hn_chat_spans *spans,
                              struct hone_err *err);

/* Is the role of message m (an object) the assistant's? ("assistant", "model", "gpt"…: what
 * templates call it) */
bool hn_chat_is_assistant(const struct hn_json *message);

#endif
