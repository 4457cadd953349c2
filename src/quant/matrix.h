/* A weight matrix as it lies in a mapped file, and its scalar decoder: the definition of each
 * format.  A matrix is [rows, cols] = [out, in], row-major; every row starts on a byte.
 *
 *   HN_LAYOUT_F32/F16/BF16  plain elements
 *   HN_LAYOUT_AFFINE        MLX: codes as one LSB-first bit stream per row; value = q*scale + bias,
 *                           scale and bias [rows, cols/group], widened to float32 first
 *   HN_LAYOUT_Q4_0 …        GGUF blocks of 32 along a row (18, 20, 22, 24, 34 bytes)
 *   HN_LAYOUT_Q2_K …        GGUF blocks of 256 along a row (84, 110, 144, 176, 210 bytes)
 *   HN_LAYOUT_IQ4_NL …      GGUF blocks of 32, 256 and 32 whose codes name entries of a table
 *                           (18, 136, 17 bytes)
 *   HN_LAYOUT_BNB4          bitsandbytes NF4 and FP4: two codes in a byte, the first one high
 *   HN_LAYOUT_BNB8          bitsandbytes int8: value = code * scale of the row * float32(1/127)
 *
 * The data pointer may be unaligned (MLX writes such files). */
#ifndef HN_QUANT_MATRIX_H
#define HN_QUANT_MATRIX_H

#include "base/err.h"
#include "quant/dtype.h"

enum hn_layout {
    HN_LAYOUT_F32,
    HN_LAYOUT_F16,
    HN_LAYOUT_BF16,
    HN_LAYOUT_AFFINE,
    HN_LAYOUT_Q4_0,
    HN_LAYOUT_Q4_1,
    HN_LAYOUT_Q5_0,
    HN_LAYOUT_Q5_1,
    HN_LAYOUT_Q8_0,
    HN_LAYOUT_Q2_K,
    HN_LAYOUT_Q3_K,
    HN_LAYOUT_Q4_K,
    HN_LAYOUT_Q5_K,
    HN_LAYOUT_Q6_K,
    HN_LAYOUT_IQ4_NL,
    HN_LAYOUT_IQ4_XS,
    HN_LAYOUT_MXFP4,
    HN_LAYOUT_BNB4,
    HN_LAYOUT_BNB8,
    HN_LAYOUT_COUNT
};

/* What HN_LAYOUT_BNB4 needs besides the codes; all pointers borrowed, any alignment.
 *   absmax of block i = absmax[i]                                             (float32), or
 *                       nested_map[absmax[i]] * nested_absmax[i / nested_block] + nested_offset
 *   weight e = map[code e] * absmax of block e / block, rounded to dtype
 * where e counts all elements row by row: a block may begin in one row and end in the next.
 * Source: bitsandbytes 0.50, functional.py (QuantState, dequantize_4bit). */
struct hn_bnb4 {
    const unsigned char *map; /* [16] F32 */
    int64_t block;
    const unsigned char *absmax;        /* [blocks] F32, or U8 when nested */
    const unsigned char *nested_map;    /* [256] F32; NULL: not nested */
    const unsigned char *nested_absmax; /* [ceil(blocks / nested_block)] F32 */
    int64_t nested_block;
    float nested_offset;
    enum hn_dtype dtype; /* F32, F16 or BF16 */
};

struct hn_matrix {
    enum hn_layout layout;
    int64_t rows, cols;
    const unsigned char *data; /* borrowed from the mapped file */
    size_t row_size;           /* bytes from one row to the next */
    /* HN_LAYOUT_AFFINE only: */
    int bits, group;             /* 2,3,4,5,6,8; 32,64,128 */
    enum hn_dtype scale_dtype;   /* of scales and biases: F32, F16 or BF16 */
    const unsigned char *scales; /* [rows, cols/group], borrowed */
    const unsigned char *biases; /* [rows, cols/group], borrowed */
    const struct hn_bnb4 *bnb4;  /* HN_LAYOUT_BNB4 only, borrowed.  BNB8: scales [rows] F32 */
    /* Rows of q and k of a llama GGUF are stored with the two halves of each head interleaved;
     * then this is the head's size, and every reader maps rows with hn_matrix_stored_row. */
    int64_t rope_head; /* 0: rows lie in Hugging Face order */
};

/* Where row (in Hugging Face order) lies among the stored rows. */
static inline int64_t hn_matrix_stored_row(const struct hn_matrix *m, int64_t row)
{
    if (!m->rope_head)
        return row;
    int64_t head = row / m->rope_head, i = row % m->rope_head, half = m->rope_head / 2;
    return head * m->rope_head + i % half * 2 + i / half;
}

/* Bytes of one stored row of cols elements, or 0 when cols does not suit the layout (bits used by
 * AFFINE only). */
size_t hn_layout_row_size(enum hn_layout layout, int64_t cols, int bits);
const char *hn_layout_name(enum hn_layout layout); /* "Q4_1", "affine"… */
int hn_layout_block(enum hn_layout layout); /* elements that are stored together: 1, 2, 32 (AFFINE:
                                               32, though a group may be longer) or 256 */

/* Is this layout one of plain floats, and of which type?  And back: of F32, F16 or BF16. */
bool hn_layout_plain(enum hn_layout layout, enum hn_dtype *t);
enum hn_layout hn_dtype_layout(enum hn_dtype t);

/* out[n] = elements [row, col .. col+n) as float32.  row is in Hugging Face order; col and n are
 * multiples of 32 in GGUF's blocks.  This is the specification that every faster decoder is tested
 * against, bit for bit. */
void hn_matrix_decode(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out);

/* Stored bytes of the matrix, scales included. */
size_t hn_matrix_size(const struct hn_matrix *m);

#endif
