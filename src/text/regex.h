/* Regular expressions as the tokenizers library runs them (Oniguruma, Ruby syntax, UTF-8), executed
 * by PCRE2.  The pattern's character sets are taken from unicode.h and split the code points into
 * at most 256 classes; a subject becomes one class byte per code point, and PCRE2 sees bytes alone,
 * so that its own idea of Unicode never matters.
 *
 * Refused by name: back-references, recursion, \R, \X, \K, extended mode, and case folds of several
 * characters. */
#ifndef HN_TEXT_REGEX_H
#define HN_TEXT_REGEX_H

#include "base/err.h"
#include "base/str.h"

struct hn_regex; /* immutable; may be shared between threads */

HN_MUST_USE int hn_regex_open(struct hn_regex **out, struct hn_str pattern, struct hone_err *err);
void hn_regex_close(struct hn_regex **re);
const char *hn_regex_source(const struct hn_regex *re); /* the pattern, borrowed */

/* Whether they are one pattern, however their characters were written. */
bool hn_regex_same(const struct hn_regex *a, const struct hn_regex *b);

/* What matching needs beside the pattern; one per thread, used for any number of patterns.
 * Zero-initialise, release when done. */
struct hn_regex_work {
    void *match, *context, *stack; /* PCRE2's */
    unsigned char *classes;        /* [n_classes] the subject */
    size_t n_classes, cap;
};
void hn_regex_work_release(struct hn_regex_work *w);

/* All matches in one subject (valid UTF-8), left to right, as Rust's onig::find_iter gives them: an
 * empty match that touches the previous match is left out.  An empty subject has no match, as the
 * tokenizers library has it.
 *     struct hn_regex_scan scan;
 *     int rc = hn_regex_begin(&scan, re, work, text, err);
 *     while (rc == 0 && (rc = hn_regex_next(&scan, &first, &end, err)) > 0) … */
struct hn_regex_scan {
    const struct hn_regex *re;
    struct hn_regex_work *work;
    struct hn_str text;
    size_t at;       /* where the search goes on, in code points */
    size_t last_end; /* of the last match; SIZE_MAX before the first */
    size_t cp, byte; /* one place in both measures */
};
HN_MUST_USE int hn_regex_begin(struct hn_regex_scan *s, const struct hn_regex *re,
                               struct hn_regex_work *w, struct hn_str text, struct hone_err *err);
/* 1: bytes [*first, *end) match; 0: no more; negative: the match was given up as too costly. */
HN_MUST_USE int hn_regex_next(struct hn_regex_scan *s, size_t *first, size_t *end,
                              struct hone_err *err);

#endif
