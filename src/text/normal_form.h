/* The Unicode normalisation forms and lower case, as the tokenizers library has them (its Unicode
 * is not the distribution's). */
#ifndef HN_TEXT_NORMAL_FORM_H
#define HN_TEXT_NORMAL_FORM_H

#include "base/buf.h"
#include "text/text_steps.h"

enum hn_form { HN_FORM_NFC, HN_FORM_NFD, HN_FORM_NFKC, HN_FORM_NFKD };

/* s (valid UTF-8) in this form, appended to out; -1 when out of memory.  w->cps is scratch. */
HN_MUST_USE int hn_form_append(enum hn_form form, struct hn_str s, struct hn_buf *out,
                               struct hn_text_work *w);

/* The lower case of one character in out[3]: how many it has become. */
int hn_lower_case(uint32_t cp, uint32_t out[3]);

#endif
