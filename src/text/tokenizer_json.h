/* Reading tokenizer.json: what its parts share. */
#ifndef HN_TEXT_TOKENIZER_JSON_H
#define HN_TEXT_TOKENIZER_JSON_H

#include "text/tokenizer_impl.h"

struct hn_tj {
    struct hone_tokenizer *t;
    const char *path; /* for messages */
    struct hone_err *err;
};

/* "PATH: WHERE is FOUND; expected EXPECTED". */
HN_MUST_USE int hn_tj_fail(const struct hn_tj *r, const char *where, const struct hn_json *found,
                           const char *expected);
/* "PATH: the PART "TYPE" is not supported". */
HN_MUST_USE int hn_tj_unknown(const struct hn_tj *r, const char *part, const struct hn_json *j);
const char *hn_tj_type(const struct hn_json *j);
/* Members of j.  A missing or null boolean is `otherwise`; the others are required.  Strings are
 * copied to the tokenizer's arena. */
HN_MUST_USE int hn_tj_bool(const struct hn_tj *r, const struct hn_json *j, const char *key,
                           bool otherwise, bool *out);
HN_MUST_USE int hn_tj_str(const struct hn_tj *r, const struct hn_json *j, const char *key,
                          struct hn_str *out);
HN_MUST_USE int hn_tj_char(const struct hn_tj *r, const struct hn_json *j, const char *key,
                           uint32_t *out);
HN_MUST_USE int hn_tj_size(const struct hn_tj *r, const struct hn_json *j, const char *key,
                           size_t *out);
HN_MUST_USE int hn_tj_dup(const struct hn_tj *r, struct hn_str s, struct hn_str *out);
HN_MUST_USE int hn_tj_pattern(const struct hn_tj *r, const struct hn_json *j,
                              struct hn_str *literal, struct hn_regex **re);

/* {"content": …, "special": …}: an added token, its id left to the caller. */
HN_MUST_USE int hn_tj_added(const struct hn_tj *r, const struct hn_json *j,
                            struct hn_added_token *out);

/* The parts beside model and added tokens; null or missing is none. */
HN_MUST_USE int hn_tj_normalizer(const struct hn_tj *r, const struct hn_json *j);
HN_MUST_USE int hn_tj_pre_tokenizer(const struct hn_tj *r, const struct hn_json *j);
HN_MUST_USE int hn_tj_decoder(const struct hn_tj *r, const struct hn_json *j);
HN_MUST_USE int hn_tj_post_processor(const struct hn_tj *r, const struct hn_json *j);

#endif
