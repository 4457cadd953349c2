/* The 16-bit floats, against the definition of rounding to nearest even. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "base/rng.h"
#include "quant/dtype.h"

typedef float widen_fn(uint16_t h);
typedef uint16_t narrow_fn(float v);

static float from_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The value of a 16-bit float by its definition. */
static double value(uint16_t h, int exponent_bits)
{
    int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int e = h >> fraction_bits & ((1 << exponent_bits) - 1), f = h & ((1 << fraction_bits) - 1);
    double sign = h & 0x8000 ? -1 : 1;
    if (e == (1 << exponent_bits) - 1)
        return f ? (double)NAN : sign * (double)INFINITY;
    if (e == 0)
        return sign * ldexp(f, 1 - bias - fraction_bits);
    return sign * ldexp((1 << fraction_bits) + f, e - bias - fraction_bits);
}

static void check_widen(widen_fn *widen, int exponent_bits)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        double expected = value((uint16_t)h, exponent_bits);
        float got = widen((uint16_t)h);
        if (isnan(expected)) {
            assert_true(isnan(got));
            continue;
        }
        if ((double)got != expected || !signbit(got) != !signbit(expected))
            fail_msg("%04x widens to %.9g, expected %.9g", (unsigned)h, (double)got, expected);
    }
}

/* The nearest 16-bit float of v must be none of the neighbours of the result, and even on a tie. */
static void check_narrow_one(narrow_fn *narrow, int exponent_bits, float v)
{
    uint16_t h = narrow(v), magnitude = h & 0x7fff;
    uint16_t infinity = (uint16_t)(((1 << exponent_bits) - 1) << (15 - exponent_bits));
    if (isnan(v)) {
        assert_true(magnitude > infinity);
        return;
    }
    assert_int_equal(h >> 15, signbit(v) ? 1 : 0);
    double x = fabs((double)v), got = value(magnitude, exponent_bits);
    /* beyond the largest, the next step of the grid stands for infinity */
    double top = value((uint16_t)(infinity - 1), exponent_bits);
    double step = top - value((uint16_t)(infinity - 2), exponent_bits);
    if (magnitude == infinity)
        got = top + step;
    if (isinf(v)) {
        assert_int_equal(magnitude, infinity);
        return;
    }
    double below = magnitude ? value((uint16_t)(magnitude - 1), exponent_bits) : -1;
    double above = magnitude == infinity       ? INFINITY
                   : magnitude + 1 == infinity ? top + step
                                               : value((uint16_t)(magnitude + 1), exponent_bits);
    double error = fabs(x - got);
    bool even = (h & 1) == 0;
    if (magnitude == infinity) {
        if (x < top + step / 2)
            fail_msg("%.9g became infinite", (double)v);
        return;
    }
    if (error > fabs(x - below) || error > fabs(above - x) ||
        (!even && (error == fabs(x - below) || error == fabs(above - x))))
        fail_msg("%.9g narrows to %04x (%.9g)", (double)v, h, got);
}

static void check_narrow(narrow_fn *narrow, int exponent_bits)
{
    /* every exponent and sign, with fractions at and beside the ties */
    for (uint32_t top = 0; top < 0x10000; top++) {
        static const uint32_t low[] = {0,      1,      0x7fff, 0x8000, 0x8001, 0xffff,
                                       0x0fff, 0x1000, 0x1001, 0x3000, 0x2fff, 0xf000};
        for (size_t i = 0; i < HN_COUNT(low); i++)
            check_narrow_one(narrow, exponent_bits, from_bits(top << 16 | low[i]));
    }
    struct hn_rng rng;
    hn_rng_init(&rng, 7, 0);
    for (int i = 0; i < 200000; i++)
        check_narrow_one(narrow, exponent_bits, from_bits(hn_rng_u32(&rng)));
}

static void test_f16(void **state)
{
    (void)state;
    check_widen(hn_f16_to_f32, 5);
    check_narrow(hn_f16_from_f32, 5);
    assert_int_equal(hn_f16_from_f32(65519.0f), 0x7bff);
    assert_int_equal(hn_f16_from_f32(65520.0f), 0x7c00);
}

static void test_bf16(void **state)
{
    (void)state;
    check_widen(hn_bf16_to_f32, 8);
    check_narrow(hn_bf16_from_f32, 8);
    assert_true(isnan(hn_bf16_to_f32(hn_bf16_from_f32(from_bits(0x7f800001)))));
}

static void test_names(void **state)
{
    (void)state;
    for (int t = 0; t < HN_DTYPE_COUNT; t++) {
        enum hn_dtype back;
        const char *name = hn_dtype_name((enum hn_dtype)t);
        assert_true(hn_dtype_parse(name, strlen(name), &back));
        assert_int_equal(back, t);
        assert_true(hn_dtype_size((enum hn_dtype)t) >= 1);
    }
    enum hn_dtype t;
    assert_false(hn_dtype_parse("F3", 2, &t));
    assert_false(hn_dtype_parse("F321", 4, &t));
    assert_int_equal(hn_dtype_size(HN_BF16), 2);
    assert_int_equal(hn_dtype_size(HN_I64), 8);
}

static void test_load_unaligned(void **state)
{
    (void)state;
    unsigned char bytes[32] = {0};
    float single = 1.5f;
    double wide = -2.25;
    uint16_t half = 0x3c00, brain = 0x4049;
    memcpy(bytes + 1 + 4, &single, 4);
    assert_true(hn_dtype_load(HN_F32, bytes + 1, 1) == 1.5f);
    memcpy(bytes + 3 + 8, &wide, 8);
    assert_true(hn_dtype_load(HN_F64, bytes + 3, 1) == -2.25f);
    memcpy(bytes + 5 + 4, &half, 2);
    assert_true(hn_dtype_load(HN_F16, bytes + 5, 2) == 1.0f);
    memcpy(bytes + 7 + 6, &brain, 2);
    assert_true(hn_dtype_load(HN_BF16, bytes + 7, 3) == 3.140625f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_load_unaligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
