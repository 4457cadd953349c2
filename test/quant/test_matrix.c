/* Layouts by hand: the smallest examples that a person can check. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "quant/codec.h"
#include "quant/matrix.h"

static void test_row_sizes(void **state)
{
    (void)state;
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_F32, 5, 0), 20);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_BF16, 5, 0), 10);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_Q4_0, 64, 0), 36);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_Q4_1, 64, 0), 40);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_Q8_0, 64, 0), 68);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_AFFINE, 64, 3), 24);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_Q4_0, 33, 0), 0);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_AFFINE, 33, 4), 0);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_F32, 0, 0), 0);
    assert_int_equal(hn_layout_row_size(HN_LAYOUT_F32, INT64_MAX, 0), 0);
}

static void test_codes(void **state)
{
    (void)state;
    static const int widths[] = {2, 3, 4, 5, 6, 8};
    for (size_t w = 0; w < HN_COUNT(widths); w++) {
        /* 32 codes written bit by bit, least significant first, into exactly 32*bits/8 bytes */
        unsigned char row[32];
        unsigned codes[32], bits = (unsigned)widths[w];
        memset(row, 0, sizeof row);
        for (unsigned i = 0; i < 32; i++) {
            codes[i] = (i * 37 + 11) & ((1u << bits) - 1);
            for (unsigned b = 0; b < bits; b++)
                row[(i * bits + b) / 8] |=
                    (unsigned char)((codes[i] >> b & 1) << ((i * bits + b) % 8));
        }
        for (int i = 0; i < 32; i++)
            assert_int_equal(hn_affine_code(row, i, widths[w]), codes[i]);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    unsigned char raw[1 + 34] = {0}; /* one byte in, to be unaligned */
    unsigned char *at = raw + 1;
    float out[32];
    at[0] = 0x00; /* d = 2.0 */
    at[1] = 0x40;
    at[2] = 0xf3; /* weight 0: code 3, weight 16: code 15 */
    hn_decode_q4_0(at, 0, 32, out);
    assert_true(out[0] == -10 && out[16] == 14 && out[1] == -16);
    at[2] = 0x00; /* m = -1.5 */
    at[3] = 0xbe;
    at[4] = 0xf3;
    hn_decode_q4_1(at, 0, 32, out);
    assert_true(out[0] == 4.5f && out[16] == 28.5f && out[1] == -1.5f);
    memset(at + 2, 0, 32);
    at[2] = 0x80; /* -128 */
    at[33] = 0x7f;
    hn_decode_q8_0(at, 0, 32, out);
    assert_true(out[0] == -256 && out[31] == 254 && out[5] == 0);
}

static void test_stored_rows(void **state)
{
    (void)state;
    struct hn_matrix m = {.rope_head = 8};
    /* head 0, half 0: rows 0 1 2 3 lie at 0 2 4 6; half 1: rows 4..7 at 1 3 5 7 */
    static const int64_t expected[] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
    for (int64_t row = 0; row < 16; row++)
        assert_int_equal(hn_matrix_stored_row(&m, row), expected[row]);
    m.rope_head = 0;
    assert_int_equal(hn_matrix_stored_row(&m, 5), 5);
}

/* Part of a row from the middle must be the same as that part of the whole row. */
static void test_parts(void **state)
{
    (void)state;
    unsigned char data[2 * 512], scales[2 * 8], biases[2 * 8];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 29 + 7);
    for (int i = 0; i < 8; i++) {
        float s = (float)(i + 1) / 16, b = (float)-i;
        uint16_t half = hn_f16_from_f32(s), bias = hn_f16_from_f32(b);
        memcpy(scales + 2 * i, &half, 2);
        memcpy(biases + 2 * i, &bias, 2);
    }
    static const enum hn_layout layouts[] = {
        HN_LAYOUT_F32,    HN_LAYOUT_F16,  HN_LAYOUT_BF16, HN_LAYOUT_AFFINE, HN_LAYOUT_Q4_0,
        HN_LAYOUT_Q4_1,   HN_LAYOUT_Q5_0, HN_LAYOUT_Q5_1, HN_LAYOUT_Q8_0,   HN_LAYOUT_Q4_K,
        HN_LAYOUT_Q5_K,   HN_LAYOUT_Q6_K, HN_LAYOUT_Q2_K, HN_LAYOUT_Q3_K,   HN_LAYOUT_IQ4_NL,
        HN_LAYOUT_IQ4_XS, HN_LAYOUT_MXFP4};
    for (size_t k = 0; k < HN_COUNT(layouts); k++) {
        struct hn_matrix m = {.layout = layouts[k], .rows = 2, .cols = 128, .data = data};
        if (m.layout == HN_LAYOUT_AFFINE) {
            m.bits = 5;
            m.group = 32;
            m.scale_dtype = HN_F16;
            m.scales = scales;
            m.biases = biases;
        }
        if (hn_layout_block(m.layout) == 256)
            m.cols = 256;
        m.row_size = hn_layout_row_size(m.layout, m.cols, m.bits);
        float whole[256], part[256];
        hn_matrix_decode(&m, 1, 0, m.cols, whole);
        for (int64_t col = 0; col < m.cols; col += 32) {
            hn_matrix_decode(&m, 1, col, 32, part);
            assert_memory_equal(part, whole + col, 32 * sizeof *part);
        }
        if (hn_layout_block(m.layout) == 1) {
            hn_matrix_decode(&m, 1, 3, 7, part);
            assert_memory_equal(part, whole + 3, 7 * sizeof *part);
        }
        assert_int_equal(hn_matrix_size(&m),
                         2 * m.row_size + (m.layout == HN_LAYOUT_AFFINE ? 2 * 2 * 4 * 2 : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_sizes), cmocka_unit_test(test_codes),
        cmocka_unit_test(test_blocks),    cmocka_unit_test(test_stored_rows),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
