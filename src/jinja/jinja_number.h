/* Numbers with Python's semantics: integers of any size (to about 4,600 digits), floats, and bool
 * as 0 and 1 in arithmetic. */
#ifndef HN_TEXT_JINJA_NUMBER_H
#define HN_TEXT_JINJA_NUMBER_H

#include "jinja/jinja_value.h"

/* A literal of the template language: 0x1F, 1_000, 2.5e3.  Negative when out of memory or too long.
 */
HN_MUST_USE int hn_jnum_parse_literal(struct hn_arena *arena, struct hn_str text, bool is_float,
                                      struct hn_jv *out);
/* JSON's number text. */
HN_MUST_USE int hn_jnum_parse_json(struct hn_arena *arena, struct hn_str text, struct hn_jv *out);
/* int(text, base) and float(text): *ok false where Python raises ValueError. */
HN_MUST_USE int hn_jnum_int_of(struct hn_ji *ji, struct hn_str text, int64_t base, bool *ok,
                               struct hn_jv *out);
bool hn_jnum_float_of(struct hn_str text, double *out);

/* a op b for numbers; op: '+' '-' '*' '/' '%', HN_JTOK_FLOORDIV, HN_JTOK_POW. */
HN_MUST_USE int hn_jnum_binary(struct hn_ji *ji, int op, struct hn_jv a, struct hn_jv b,
                               struct hn_jv *out);
HN_MUST_USE int hn_jnum_negate(struct hn_ji *ji, struct hn_jv a, struct hn_jv *out);
/* <0, 0, >0, or 2 when a NaN is compared. */
int hn_jnum_compare(struct hn_jv a, struct hn_jv b);
bool hn_jnum_is_zero(struct hn_jv v);
bool hn_jnum_is_negative(struct hn_jv v);
double hn_jnum_to_double(struct hn_jv v); /* infinite when too large */
/* int(f) for a finite f */
HN_MUST_USE int hn_jnum_truncate(struct hn_ji *ji, double f, struct hn_jv *out);
/* equal numbers of any type have equal hashes */
uint64_t hn_jnum_hash(struct hn_jv v);
void hn_jnum_add_text(struct hn_buf *out, struct hn_jv v); /* str(v) */

#endif
