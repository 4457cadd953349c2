/* Python's view of text for the template language: code points over UTF-8 (lone surrogates
 * included), what counts as white space, case mapping. */
#ifndef HN_TEXT_JINJA_TEXT_H
#define HN_TEXT_JINJA_TEXT_H

#include "jinja/jinja_value.h"

/* The code point at s[*i] (i < n), advancing; broken bytes count as one code point each. */
uint32_t hn_jtext_next(const char *s, size_t n, size_t *i);
/* The offset of the code point before s[i] (i > 0). */
size_t hn_jtext_prev(const char *s, size_t i);
size_t hn_jtext_count(const char *s, size_t n);
/* Byte offset of code point number k (k <= n_cp). */
size_t hn_jtext_offset(const struct hn_jstr *s, size_t k);

bool hn_jtext_is_space(uint32_t cp); /* str.isspace, and \s of Python's re */
/* str.splitlines' line ends */
bool hn_jtext_is_line_end(uint32_t cp);
bool hn_jtext_is_printable(uint32_t cp);
/* str.isalpha, isdigit, isalnum, isupper, islower of one code point */
bool hn_jtext_is_alpha(uint32_t cp);
bool hn_jtext_is_digit(uint32_t cp);
bool hn_jtext_is_decimal(uint32_t cp);
bool hn_jtext_is_numeric(uint32_t cp);
bool hn_jtext_is_upper(uint32_t cp);
bool hn_jtext_is_lower(uint32_t cp);
bool hn_jtext_is_title(uint32_t cp);
bool hn_jtext_is_cased(uint32_t cp);

/* Append the code points of str.upper, lower, title-case (first letter) of one code point. */
void hn_jtext_add_cp(struct hn_buf *out, uint32_t cp);
void hn_jtext_add_upper(struct hn_buf *out, uint32_t cp);
void hn_jtext_add_title(struct hn_buf *out, uint32_t cp);
void hn_jtext_add_folded(struct hn_buf *out, uint32_t cp);
/* Of the code point at s[i], which must be looked at in its word (final sigma). */
void hn_jtext_add_lower(struct hn_buf *out, const char *s, size_t n, size_t i);

/* s without white space (chars NULL) or without the code points of chars at its ends. */
enum hn_jtext_side { HN_LEFT = 1, HN_RIGHT = 2 };
struct hn_str hn_jtext_strip(struct hn_str s, const struct hn_jstr *chars, int sides);

/* Offset of the first (last) needle in s at or after from; SIZE_MAX when there is none. */
size_t hn_jtext_find(struct hn_str s, struct hn_str needle, size_t from);
size_t hn_jtext_rfind(struct hn_str s, struct hn_str needle);

#endif
