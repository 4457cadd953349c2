/* One formatted field of "%05d" % x or "{:>8}".format(x): a value in its type, sign, padding. */
#ifndef HN_TEXT_JINJA_FIELD_H
#define HN_TEXT_JINJA_FIELD_H

#include "jinja/jinja_eval.h"

enum { HN_JFIELD_WIDTH = 100000, HN_JFIELD_PRECISION = 300 };

struct hn_jfield {      /* how */
    struct hn_str fill; /* one character */
    char align;         /* '<' '>' '^' '=' or 0 */
    char sign;          /* '+' ' ' '-' or 0 */
    bool alternate, zero;
    int64_t width, precision; /* precision -1: not given */
    char comma;               /* ',' '_' or 0 */
    char type;                /* 0: none */
};

/* Fail with "a text cannot be formatted: WHAT". */
int hn_jfield_bad(struct hn_ji *ji, const char *what);
/* Width and precision within bounds? */
HN_MUST_USE int hn_jfield_check(struct hn_ji *ji, const struct hn_jfield *s);
/* prefix (sign, 0x) and body[n], padded to the width; align is for a field that names none */
void hn_jfield_put(struct hn_buf *out, const struct hn_jfield *s, char align, const char *prefix,
                   const char *body, size_t n);
HN_MUST_USE int hn_jfield_integer(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                                  struct hn_jv v);
/* plain: without a type, as format() writes a float, not as %g */
void hn_jfield_float(struct hn_buf *out, const struct hn_jfield *s, double f, bool plain);
HN_MUST_USE int hn_jfield_string(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                                 struct hn_jv v);
/* str(v), or repr(v) */
HN_MUST_USE int hn_jfield_repr(struct hn_ji *ji, struct hn_buf *out, const struct hn_jfield *s,
                               struct hn_jv v, bool repr);
/* The digits at p[i] as a number (bounded); the offset after them. */
size_t hn_jfield_number(const char *p, size_t n, size_t i, int64_t *out);

#endif
