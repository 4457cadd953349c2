/* Integers of many digits: limbs of nine decimal digits, since templates print numbers and hardly
 * ever compute with large ones. */
#ifndef HN_TEXT_JINJA_BIG_H
#define HN_TEXT_JINJA_BIG_H

#include "jinja/jinja_value.h"

enum { HN_JBIG_BASE = 1000000000, HN_JBIG_LIMBS = 512 };

struct hn_jbig { /* as a value */
    bool neg;
    uint32_t n; /* limbs, least significant first; the last is not 0 */
    uint32_t limb[];
};

struct hn_jnum { /* a work number; zero has no limbs and no sign */
    bool neg;
    uint32_t n;
    uint32_t limb[HN_JBIG_LIMBS + 2];
};

void hn_jbig_load(struct hn_jnum *x, struct hn_jv v); /* INT, BOOL or BIG */
/* As an INT where it fits.  HONE_NO_MEMORY when the arena is full. */
HN_MUST_USE int hn_jbig_store(struct hn_arena *arena, const struct hn_jnum *x, struct hn_jv *out);

int hn_jbig_compare(const struct hn_jnum *a, const struct hn_jnum *b);
/* x = x * factor + plus, sizes only; false when it grows too long */
bool hn_jbig_scale(struct hn_jnum *x, uint32_t factor, uint32_t plus);
bool hn_jbig_shift(struct hn_jnum *x, int k); /* x * 2^k, likewise */
double hn_jbig_log2(const struct hn_jnum *x); /* about log2 |x|; x not 0 */
void hn_jbig_add(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b);
/* out must not be a or b; false when the product is too long */
bool hn_jbig_multiply(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b);
/* Sizes only: |a| / |b|, b not 0. */
void hn_jbig_divide_size(const struct hn_jnum *a, const struct hn_jnum *b, struct hn_jnum *quotient,
                         struct hn_jnum *rest);
/* Python's floor division: the rest has the divisor's sign. */
void hn_jbig_divide(const struct hn_jnum *a, const struct hn_jnum *b, struct hn_jnum *quotient,
                    struct hn_jnum *rest);

#endif
