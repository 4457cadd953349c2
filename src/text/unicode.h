/* Sets of code points, and what the tokenizers library takes each code point to be.  The
 * distribution's libraries know an older Unicode than it; these tables are its own. */
#ifndef HN_TEXT_UNICODE_H
#define HN_TEXT_UNICODE_H

#include "base/str.h"

/* The sets of hn_ucd_sets, in its order.  Oniguruma's (regular expressions of tokenizer.json). */
enum hn_ucd_set {
    HN_SET_ALNUM,
    HN_SET_ALPHA,
    HN_SET_BLANK,
    HN_SET_CNTRL,
    HN_SET_DIGIT,
    HN_SET_GRAPH,
    HN_SET_LOWER,
    HN_SET_PRINT,
    HN_SET_PUNCT,
    HN_SET_SPACE,
    HN_SET_UPPER,
    HN_SET_XDIGIT,
    HN_SET_WORD,
    HN_SET_ASCII,
    HN_SET_ANY,
    HN_SET_ASSIGNED,
    HN_SET_ALPHABETIC,
    HN_SET_UPPERCASE,
    HN_SET_LOWERCASE,
    HN_SET_WHITE_SPACE,
    HN_SET_EMOJI,
    HN_SET_EMOJI_PRESENTATION,
    HN_SET_EMOJI_MODIFIER,
    HN_SET_EMOJI_MODIFIER_BASE,
    HN_SET_EMOJI_COMPONENT,
    HN_SET_EXTENDED_PICTOGRAPHIC,
    HN_SET_IDEOGRAPHIC,
    HN_SET_CASED,
    HN_SET_MATH,
    HN_SET_DASH,
    HN_SET_DIACRITIC,
    HN_SET_VARIATION_SELECTOR,
    HN_SET_BRACKET_PUNCT,   /* [[:punct:]], wider than \p{Punct} */
    HN_SET_BRACKET_WORD,    /* [[:word:]] and [\w], narrower than \w */
    HN_SET_REGEX_S,         /* \s */
    HN_SET_REGEX_D,         /* \d */
    HN_SET_REGEX_W,         /* \w */
    HN_SET_REGEX_H,         /* \h, a hexadecimal digit */
    HN_SET_RUST_WHITESPACE, /* char::is_whitespace */
    HN_SET_RUST_NUMERIC,    /* char::is_numeric */
    HN_SET_RUST_PUNCTUATION,
    HN_SET_RUST_W, /* \w of Rust's regex crate */
    HN_SET_COMBINING_MARK, /* what StripAccents takes out */
    HN_SET_BERT_CONTROL,   /* what BertNormalizer's clean_text takes out, and makes a space */
    HN_SET_BERT_SPACE,
    HN_SET_BERT_CHINESE,
    HN_SET_BERT_ACCENT,
    HN_SET_COUNT
};

/* Is cp in the set?  O(log n). */
bool hn_ucd_has(enum hn_ucd_set set, uint32_t cp);

/* How many bytes of s, at most max, end with a whole character: for "%.*s" in messages. */
int hn_utf8_cut(struct hn_str s, int max);

struct hn_cp_range {
    uint32_t first, last; /* both included */
};

/* A growable set.  Zero-initialise, release when done.  Sticky: check `failed` at the end.  Between
 * an add and the next settle the ranges may overlap in any order. */
struct hn_cp_set {
    struct hn_cp_range *ranges;
    size_t n, cap;
    bool failed;
};
void hn_cp_set_release(struct hn_cp_set *s);
void hn_cp_set_add(struct hn_cp_set *s, uint32_t first, uint32_t last);
void hn_cp_set_add_ucd(struct hn_cp_set *s, enum hn_ucd_set set);
void hn_cp_set_add_set(struct hn_cp_set *s, const struct hn_cp_set *other);
/* Every range sorted, merged, disjoint. */
void hn_cp_set_settle(struct hn_cp_set *s);
/* Settled sets in, settled sets out. */
void hn_cp_set_invert(struct hn_cp_set *s);
void hn_cp_set_intersect(struct hn_cp_set *s, const struct hn_cp_set *other);
/* Add what equals a member when case is ignored, as Oniguruma does (one character for one). */
void hn_cp_set_fold(struct hn_cp_set *s);
bool hn_cp_set_has(const struct hn_cp_set *s, uint32_t cp);
/* Add the property that \p{name} names; false when there is none such. */
bool hn_cp_set_add_named(struct hn_cp_set *s, struct hn_str name);

#endif
