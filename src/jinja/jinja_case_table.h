/* What Python knows of characters beyond utf8proc; the tables are generated. */
#ifndef HN_TEXT_JINJA_CASE_TABLE_H
#define HN_TEXT_JINJA_CASE_TABLE_H

#include "base/compiler.h"

struct hn_jcase_row { /* a letter and its mapping of several code points, in UTF-8 */
    uint32_t cp;
    char text[8];
};
struct hn_jcase_range {
    uint32_t first, last;
};

extern const struct hn_jcase_row hn_jcase_upper[], hn_jcase_title[];
extern const size_t hn_jcase_n_upper, hn_jcase_n_title;
/* str.isdigit without decimals; str.isnumeric outside the categories Nd, Nl, No */
extern const struct hn_jcase_range hn_jcase_digit[], hn_jcase_numeric[];
extern const size_t hn_jcase_n_digit, hn_jcase_n_numeric;

#endif
