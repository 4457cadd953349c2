/* The data behind unicode.h and normal_form.h: tables written by tools/make_unicode_tables.py,
 * which asks the Hugging Face tokenizers library about every code point. */
#ifndef HN_TEXT_UNICODE_TABLES_H
#define HN_TEXT_UNICODE_TABLES_H

#include "base/compiler.h"

/* Where the general category (or script) changes: first code point << 8 | value, ascending. */
extern const uint32_t hn_ucd_category[];
extern const size_t hn_ucd_category_count;
extern const uint32_t hn_ucd_script[];
extern const size_t hn_ucd_script_count;

/* What a name in \p{…} stands for, sorted by name (lower case, no '_', '-' or ' '). */
enum hn_ucd_kind {
    HN_UCD_CATEGORY, /* value: a bit per category */
    HN_UCD_SCRIPT,   /* value: the script's number */
    HN_UCD_SET,      /* value: an index of hn_ucd_sets */
};
struct hn_ucd_name {
    const char *name;
    enum hn_ucd_kind kind;
    uint32_t value;
};
extern const struct hn_ucd_name hn_ucd_names[];
extern const size_t hn_ucd_names_count;

/* Set s is hn_ucd_set_ranges[2 * (at + i)] to [2 * (at + i) + 1], both included, for i < n. */
struct hn_ucd_span {
    uint16_t at, n;
};
extern const struct hn_ucd_span hn_ucd_sets[];
extern const uint32_t hn_ucd_set_ranges[];

/* Ignoring case, each of first, first + stride, … last equals itself plus delta. */
struct hn_ucd_stride {
    uint32_t first, last;
    int32_t stride, delta;
};
extern const struct hn_ucd_stride hn_ucd_folds[];
extern const size_t hn_ucd_folds_count;

/* Ignoring case, these UTF-8 strings of several characters equal the code point. */
struct hn_ucd_multi {
    const char *text;
    uint32_t cp;
};
extern const struct hn_ucd_multi hn_ucd_multi_folds[];
extern const size_t hn_ucd_multi_folds_count;

/* Full decompositions: cps[i] becomes texts[starts[i]] to texts[starts[i + 1] - 1].  Canonical ones,
 * and where the compatibility decomposition is another, that one.  Hangul is left to arithmetic. */
extern const uint32_t hn_ucd_canonical_cps[], hn_ucd_canonical_texts[];
extern const uint16_t hn_ucd_canonical_starts[];
extern const size_t hn_ucd_canonical_cps_count;
extern const uint32_t hn_ucd_compat_cps[], hn_ucd_compat_texts[];
extern const uint16_t hn_ucd_compat_starts[];
extern const size_t hn_ucd_compat_cps_count;

/* Lower case: to one character, and (as the decompositions) to several. */
extern const struct hn_ucd_stride hn_ucd_lower[];
extern const size_t hn_ucd_lower_count;
extern const uint32_t hn_ucd_lower_several_cps[], hn_ucd_lower_several_texts[];
extern const uint16_t hn_ucd_lower_several_starts[];
extern const size_t hn_ucd_lower_several_cps_count;

/* Canonical combining classes that are not 0: first << 8 | class, last; ascending. */
extern const uint32_t hn_ucd_ccc[];
extern const size_t hn_ucd_ccc_count;

/* Canonical compositions: first, second, composed; ascending. */
extern const uint32_t hn_ucd_pairs[];
extern const size_t hn_ucd_pairs_count;

#endif
