#include "jinja/jinja_big.h"

#include <math.h>
#include <string.h>

void hn_jbig_load(struct hn_jnum *x, struct hn_jv v)
{
    x->n = 0;
    if (v.kind == HN_JV_BIG) {
        x->neg = v.big->neg;
        x->n = v.big->n;
        memcpy(x->limb, v.big->limb, x->n * sizeof *x->limb);
        return;
    }
    int64_t i = hn_jv_as_int(v);
    x->neg = i < 0;
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u /= HN_JBIG_BASE)
        x->limb[x->n++] = (uint32_t)(u % HN_JBIG_BASE);
}

/* The value of x as int64 where it fits. */
static bool small(const struct hn_jnum *x, int64_t *out)
{
    int64_t v = 0;
    if (x->n > 3)
        return false;
    for (uint32_t k = x->n; k-- > 0;)
        if (hn_mul_overflows(v, (int64_t)HN_JBIG_BASE, &v) ||
            hn_add_overflows(v, x->neg ? -(int64_t)x->limb[k] : (int64_t)x->limb[k], &v))
            return false;
    *out = v;
    return true;
}

int hn_jbig_store(struct hn_arena *arena, const struct hn_jnum *x, struct hn_jv *out)
{
    int64_t i;
    if (small(x, &i)) {
        *out = hn_jv_int(i);
        return 0;
    }
    struct hn_jbig *big = hn_arena_alloc(arena, 1, sizeof *big + x->n * sizeof *big->limb);
    if (!big)
        return HONE_NO_MEMORY;
    big->neg = x->neg;
    big->n = x->n;
    memcpy(big->limb, x->limb, x->n * sizeof *x->limb);
    *out = (struct hn_jv){.kind = HN_JV_BIG, .big = big};
    return 0;
}

static void trim(struct hn_jnum *x)
{
    while (x->n && !x->limb[x->n - 1])
        x->n--;
    if (!x->n)
        x->neg = false;
}

/* |a| with |b| */
static int compare_size(const struct hn_jnum *a, const struct hn_jnum *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (uint32_t k = a->n; k-- > 0;)
        if (a->limb[k] != b->limb[k])
            return a->limb[k] < b->limb[k] ? -1 : 1;
    return 0;
}

/* x = x * factor + plus; false when it grows too long */
bool hn_jbig_scale(struct hn_jnum *x, uint32_t factor, uint32_t plus)
{
    uint64_t carry = plus;
    for (uint32_t k = 0; k < x->n; k++) {
        carry += (uint64_t)x->limb[k] * factor;
        x->limb[k] = (uint32_t)(carry % HN_JBIG_BASE);
        carry /= HN_JBIG_BASE;
    }
    for (; carry; carry /= HN_JBIG_BASE) {
        if (x->n == HN_JBIG_LIMBS)
            return false;
        x->limb[x->n++] = (uint32_t)(carry % HN_JBIG_BASE);
    }
    return true;
}

static void add_size(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b)
{
    uint32_t carry = 0, n = HN_MAX(a->n, b->n);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t v = carry + (k < a->n ? a->limb[k] : 0) + (k < b->n ? b->limb[k] : 0);
        out->limb[k] = v % HN_JBIG_BASE;
        carry = v / HN_JBIG_BASE;
    }
    out->n = n;
    if (carry)
        out->limb[out->n++] = carry;
}

/* |a| >= |b| */
static void sub_size(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b)
{
    int64_t borrow = 0;
    for (uint32_t k = 0; k < a->n; k++) {
        int64_t v = (int64_t)a->limb[k] - (k < b->n ? b->limb[k] : 0) - borrow;
        borrow = v < 0;
        out->limb[k] = (uint32_t)(v + (borrow ? HN_JBIG_BASE : 0));
    }
    out->n = a->n;
    trim(out);
}

void hn_jbig_add(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b)
{
    if (a->neg == b->neg) {
        bool neg = a->neg;
        add_size(out, a, b);
        out->neg = neg;
    } else {
        bool swap = compare_size(a, b) < 0;
        bool neg = swap ? b->neg : a->neg;
        sub_size(out, swap ? b : a, swap ? a : b);
        out->neg = neg && out->n;
    }
}

/* out (apart from a and b) = a * b; false when too long */
bool hn_jbig_multiply(struct hn_jnum *out, const struct hn_jnum *a, const struct hn_jnum *b)
{
    if (a->n + b->n > HN_JBIG_LIMBS + 1)
        return false;
    out->n = a->n + b->n;
    memset(out->limb, 0, out->n * sizeof *out->limb);
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < b->n || carry; k++) {
            carry += out->limb[i + k] + (k < b->n ? (uint64_t)a->limb[i] * b->limb[k] : 0);
            out->limb[i + k] = (uint32_t)(carry % HN_JBIG_BASE);
            carry /= HN_JBIG_BASE;
        }
    }
    out->neg = a->neg != b->neg;
    trim(out);
    return true;
}

/* Sizes only: quotient and rest of a by b (b not 0), one digit of base 10^9 at a time, each found
 * by bisection. */
void hn_jbig_divide_size(const struct hn_jnum *a, const struct hn_jnum *b, struct hn_jnum *quotient,
                         struct hn_jnum *rest)
{
    rest->n = 0;
    rest->neg = quotient->neg = false;
    quotient->n = a->n;
    for (uint32_t k = a->n; k-- > 0;) {
        memmove(rest->limb + 1, rest->limb, rest->n * sizeof *rest->limb);
        rest->limb[0] = a->limb[k];
        rest->n++;
        trim(rest);
        uint32_t low = 0, high = HN_JBIG_BASE - 1;
        struct hn_jnum t;
        while (low < high) {
            uint32_t mid = low + (high - low + 1) / 2;
            t = *b;
            if (hn_jbig_scale(&t, mid, 0) && compare_size(&t, rest) <= 0)
                low = mid;
            else
                high = mid - 1;
        }
        t = *b;
        if (low && hn_jbig_scale(&t, low, 0))
            sub_size(rest, rest, &t);
        quotient->limb[k] = low;
    }
    trim(quotient);
}

/* Python's floor division: the rest has the divisor's sign. */
void hn_jbig_divide(const struct hn_jnum *a, const struct hn_jnum *b, struct hn_jnum *quotient,
                    struct hn_jnum *rest)
{
    hn_jbig_divide_size(a, b, quotient, rest);
    bool differ = a->neg != b->neg;
    if (differ && rest->n) {
        struct hn_jnum one = {.n = 1, .limb = {1}};
        add_size(quotient, quotient, &one);
        sub_size(rest, b, rest);
    }
    quotient->neg = differ && quotient->n;
    rest->neg = b->neg && rest->n;
}

int hn_jbig_compare(const struct hn_jnum *a, const struct hn_jnum *b)
{
    if (a->neg != b->neg)
        return a->neg ? -1 : 1;
    return a->neg ? -compare_size(a, b) : compare_size(a, b);
}

double hn_jbig_log2(const struct hn_jnum *x) /* about log2 |x| */
{
    double top = x->limb[x->n - 1] + (x->n > 1 ? x->limb[x->n - 2] / (double)HN_JBIG_BASE : 0);
    return log2(top) + (x->n - 1) * log2(HN_JBIG_BASE);
}

/* x * 2^k; false when too long */
bool hn_jbig_shift(struct hn_jnum *x, int k)
{
    for (; k >= 16; k -= 16)
        if (!hn_jbig_scale(x, 1 << 16, 0))
            return false;
    return hn_jbig_scale(x, (uint32_t)1 << k, 0);
}
