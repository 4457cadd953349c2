/* Borrowed strings, UTF-8, and the nearest-name suggestion.  A view never owns its bytes. */
#ifndef HN_BASE_STR_H
#define HN_BASE_STR_H

#include "base/compiler.h"

struct hn_str {
    const char *p;
    size_t n;
};

struct hn_str hn_str_of(const char *s);
bool hn_str_eq(struct hn_str a, struct hn_str b);
bool hn_str_is(struct hn_str a, const char *s);
int hn_str_cmp(struct hn_str a, struct hn_str b); /* bytewise, then by length */
bool hn_starts_with(const char *s, const char *prefix);
bool hn_ends_with(const char *s, const char *suffix);

/* 64-bit hash of n bytes (FNV-1a with a final mix); the same on every machine. */
uint64_t hn_hash(const void *p, size_t n);

/* Decode one code point at s[*i] (i < n) and advance *i past it; on an invalid byte returns -1 and
 * advances by one.  Surrogates, overlong forms and values over 10FFFF are invalid. */
int32_t hn_utf8_next(const char *s, size_t n, size_t *i);
/* Write cp (any value to 10FFFF, surrogates included) into out[4]; returns the bytes written. */
int hn_utf8_put(uint32_t cp, char out[4]);
/* The offset of the first invalid byte, or n when the whole is valid UTF-8. */
size_t hn_utf8_check(const char *s, size_t n);

/* Columns that n bytes of UTF-8 take on a terminal: code points, wide East Asian ones twice. */
size_t hn_columns(const char *s, size_t n);

/* The candidate nearest to word by Damerau-Levenshtein distance, or NULL when none is near enough
 * to be a likely typing mistake. */
const char *hn_nearest(const char *word, const char *const *candidates, size_t n);

#endif
