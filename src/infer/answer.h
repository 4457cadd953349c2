/* Writing one answer with a session: the prompt in, then token by token until it is over. */
#ifndef HN_INFER_ANSWER_H
#define HN_INFER_ANSWER_H

#include "infer/session.h"
#include "infer/writer.h"

/* ids[n] (n > 0) go behind what slot 0 holds.  Between the chunks of a prompt and before each token
 * on_text is asked, with no text, whether to stop.  Every token that the cache took is appended to
 * fed (NULL: to nothing), also when the call fails.  g gets the times. */
HN_MUST_USE int hn_answer_write(struct hn_session *s, struct hn_writer *w, const int32_t *ids,
                                size_t n, struct hone_tokens *fed, struct hone_generation *g,
                                struct hone_err *err);
/* Move what the writer gathered into the result. */
HN_MUST_USE int hn_answer_take(struct hn_writer *w, struct hone_generation *g,
                               struct hone_err *err);

/* The longest context, at most want, whose cache and working memory fit beside what the process
 * holds by now; 0: none does.  Weights do not count: their pages are the file's, and come and go.
 */
HN_MUST_USE int hn_answer_longest(const struct hone_model *m, int64_t want, int64_t *context,
                                  struct hone_err *err);
/* Refuse a context that does not fit, with the memory that it would need and one that fits; option
 * is what sets it on the command line, and fixed the part of it that the option does not set. */
HN_MUST_USE int hn_answer_fits(const struct hone_model *m, int64_t context, int64_t fixed,
                               const char *option, struct hone_err *err);

#endif
