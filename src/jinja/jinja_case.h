/* str.upper, lower, title, capitalize, swapcase and their relatives, and strings cut into lines. */
#ifndef HN_TEXT_JINJA_CASE_H
#define HN_TEXT_JINJA_CASE_H

#include "jinja/jinja_eval.h"

enum hn_jcase {
    HN_CASE_UPPER,
    HN_CASE_LOWER,
    HN_CASE_FOLD, /* str.casefold */
    HN_CASE_SWAP,
    HN_CASE_CAPITALIZE, /* first letter large, the others small */
    HN_CASE_TITLE,      /* str.title: every letter after one without case is large */
    HN_CASE_WORDS,      /* the title filter: every word after white space or -({[< */
};
HN_MUST_USE int hn_jcase_map(struct hn_ji *ji, const struct hn_jstr *s, enum hn_jcase how,
                             struct hn_jv *out);
/* v in lower case when it is a string, else v (sorting and grouping without case). */
HN_MUST_USE int hn_jcase_fold(struct hn_ji *ji, struct hn_jv v, struct hn_jv *out);

/* str.isupper, str.islower: at least one letter with case, and none of the other case. */
bool hn_jcase_is(const struct hn_jstr *s, bool upper);

/* The next line of s from *i on, as str.splitlines(): without its end, or with it.  False at the
 * end. */
bool hn_jcase_line(struct hn_str s, size_t *i, bool keep_end, struct hn_str *line);

#endif
