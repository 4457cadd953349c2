/* The layouts as a table, and the one decoder that dispatches on it. */
#include "quant/matrix.h"
#include "quant/codec.h"

#include <string.h>

typedef void decode_fn(const unsigned char *row, int64_t col, int64_t n, float *out);

static const struct {
    const char *name;
    int block;         /* elements; 1 for plain types */
    int block_size;    /* bytes; 0: depends on bits */
    decode_fn *decode; /* NULL: has scales elsewhere, or none */
} layouts[HN_LAYOUT_COUNT] = {
    [HN_LAYOUT_F32] = {"F32", 1, 4, NULL},
    [HN_LAYOUT_F16] = {"F16", 1, 2, NULL},
    [HN_LAYOUT_BF16] = {"BF16", 1, 2, NULL},
    [HN_LAYOUT_AFFINE] = {"affine", 32, 0, NULL},
    [HN_LAYOUT_Q4_0] = {"Q4_0", 32, 18, hn_decode_q4_0},
    [HN_LAYOUT_Q4_1] = {"Q4_1", 32, 20, hn_decode_q4_1},
    [HN_LAYOUT_Q5_0] = {"Q5_0", 32, 22, hn_decode_q5_0},
    [HN_LAYOUT_Q5_1] = {"Q5_1", 32, 24, hn_decode_q5_1},
    [HN_LAYOUT_Q8_0] = {"Q8_0", 32, 34, hn_decode_q8_0},
    [HN_LAYOUT_Q2_K] = {"Q2_K", 256, 84, hn_decode_q2_k},
    [HN_LAYOUT_Q3_K] = {"Q3_K", 256, 110, hn_decode_q3_k},
    [HN_LAYOUT_Q4_K] = {"Q4_K", 256, 144, hn_decode_q4_k},
    [HN_LAYOUT_Q5_K] = {"Q5_K", 256, 176, hn_decode_q5_k},
    [HN_LAYOUT_Q6_K] = {"Q6_K", 256, 210, hn_decode_q6_k},
    [HN_LAYOUT_IQ4_NL] = {"IQ4_NL", 32, 18, hn_decode_iq4_nl},
    [HN_LAYOUT_IQ4_XS] = {"IQ4_XS", 256, 136, hn_decode_iq4_xs},
    [HN_LAYOUT_MXFP4] = {"MXFP4", 32, 17, hn_decode_mxfp4},
    [HN_LAYOUT_BNB4] = {"bitsandbytes 4-bit", 2, 1, NULL},
    [HN_LAYOUT_BNB8] = {"bitsandbytes int8", 1, 1, NULL},
};

size_t hn_layout_row_size(enum hn_layout layout, int64_t cols, int bits)
{
    int block = layouts[layout].block, size = layouts[layout].block_size;
    if (layout == HN_LAYOUT_AFFINE)
        size = 4 * bits; /* 32 codes */
    size_t bytes;
    if (cols <= 0 || cols % block || size <= 0 ||
        hn_mul_overflows((size_t)(cols / block), (size_t)size, &bytes))
        return 0;
    return bytes;
}

bool hn_layout_plain(enum hn_layout layout, enum hn_dtype *t)
{
    *t = layout == HN_LAYOUT_F16 ? HN_F16 : layout == HN_LAYOUT_BF16 ? HN_BF16 : HN_F32;
    return layout == HN_LAYOUT_F32 || *t != HN_F32;
}

enum hn_layout hn_dtype_layout(enum hn_dtype t)
{
    return t == HN_F16 ? HN_LAYOUT_F16 : t == HN_BF16 ? HN_LAYOUT_BF16 : HN_LAYOUT_F32;
}

const char *hn_layout_name(enum hn_layout layout)
{
    return layouts[layout].name;
}

int hn_layout_block(enum hn_layout layout)
{
    return layouts[layout].block;
}

unsigned hn_affine_code(const unsigned char *row, int64_t i, int bits)
{
    int64_t bit = i * bits;
    int shift = (int)(bit & 7);
    unsigned word = row[bit >> 3];
    if (shift + bits > 8) /* the next byte exists: the code ends in it */
        word |= (unsigned)row[(bit >> 3) + 1] << 8;
    return word >> shift & ((1u << bits) - 1);
}

/* Scale and bias are widened to float32 first; then one product and one sum, each rounded. */
static void decode_affine(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    const unsigned char *codes = m->data + (size_t)row * m->row_size;
    size_t groups = (size_t)row * (size_t)(m->cols / m->group);
    for (int64_t i = col, end = col + n; i < end;) {
        size_t g = groups + (size_t)(i / m->group);
        int64_t stop = HN_MIN(end, (i / m->group + 1) * m->group);
        float scale = hn_dtype_load(m->scale_dtype, m->scales, g);
        float bias = hn_dtype_load(m->scale_dtype, m->biases, g);
        for (; i < stop; i++)
            *out++ = (float)hn_affine_code(codes, i, m->bits) * scale + bias;
    }
}

static void decode_plain(const unsigned char *at, enum hn_dtype t, int64_t n, float *out)
{
    if (t == HN_F32) {
        memcpy(out, at, (size_t)n * sizeof *out);
        return;
    }
    int64_t i = 0;
    for (; t == HN_BF16 && i + 32 <= n; i += 32) { /* 32 at a time: as vectors */
        uint16_t half[32];
        uint32_t bits[32];
        memcpy(half, at + i * 2, sizeof half);
        for (int k = 0; k < 32; k++)
            bits[k] = (uint32_t)half[k] << 16;
        memcpy(out + i, bits, sizeof bits);
    }
    for (; i < n; i++)
        out[i] = hn_dtype_load(t, at, (size_t)i);
}

void hn_matrix_decode(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    row = hn_matrix_stored_row(m, row);
    const unsigned char *at = m->data + (size_t)row * m->row_size;
    switch (m->layout) {
    case HN_LAYOUT_F32:
        decode_plain(at + (size_t)col * 4, HN_F32, n, out);
        break;
    case HN_LAYOUT_F16:
        decode_plain(at + (size_t)col * 2, HN_F16, n, out);
        break;
    case HN_LAYOUT_BF16:
        decode_plain(at + (size_t)col * 2, HN_BF16, n, out);
        break;
    case HN_LAYOUT_AFFINE:
        decode_affine(m, row, col, n, out);
        break;
    case HN_LAYOUT_BNB4:
        hn_decode_bnb4(m, row, col, n, out);
        break;
    case HN_LAYOUT_BNB8:
        hn_decode_bnb8(m, row, col, n, out);
        break;
    default:
        HN_ASSERT(col % 32 == 0 && n % 32 == 0);
        layouts[m->layout].decode(at, col, n, out);
    }
}

size_t hn_matrix_size(const struct hn_matrix *m)
{
    size_t size = (size_t)m->rows * m->row_size;
    if (m->layout == HN_LAYOUT_AFFINE)
        size += (size_t)m->rows * (size_t)(m->cols / m->group) * hn_dtype_size(m->scale_dtype) * 2;
    if (m->layout == HN_LAYOUT_BNB8)
        size += (size_t)m->rows * sizeof(float);
    if (m->layout == HN_LAYOUT_BNB4)
        size += hn_bnb4_size(m->bnb4, m->rows * m->cols);
    return size;
}
