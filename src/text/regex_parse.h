/* From Oniguruma's pattern language to PCRE2's, with every character set kept apart. */
#ifndef HN_TEXT_REGEX_PARSE_H
#define HN_TEXT_REGEX_PARSE_H

#include "base/buf.h"
#include "base/err.h"
#include "text/unicode.h"

enum { HN_REGEX_MAX_SETS = 128 };

/* A pattern in PCRE2's syntax in which each character set is the byte 1 and the set's number as two
 * bytes from '0' up (number / 64, number % 64). */
struct hn_regex_program {
    struct hn_buf code;
    struct hn_cp_set sets[HN_REGEX_MAX_SETS]; /* [n_sets], settled, no two equal */
    size_t n_sets;
};
HN_MUST_USE int hn_regex_parse(struct hn_regex_program *p, struct hn_str pattern,
                               struct hone_err *err);
void hn_regex_program_release(struct hn_regex_program *p);

#endif
