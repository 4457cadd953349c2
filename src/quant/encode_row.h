/* Storing float32 rows in a layout: the encoders, beside hn_matrix_decode.  Plain types round to
 * nearest even; GGUF's blocks are bit for bit what ggml's reference quantisers make; affine groups
 * are MLX's. */
#ifndef HN_QUANT_ENCODE_ROW_H
#define HN_QUANT_ENCODE_ROW_H

#include "quant/matrix.h"

/* How a weight is to be stored. */
struct hn_storage {
    enum hn_layout layout;     /* F32, F16, BF16, AFFINE, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0 */
    int bits, group;           /* AFFINE only */
    enum hn_dtype scale_dtype; /* AFFINE only */
};

/* Can hone write this layout? */
bool hn_storage_writable(enum hn_layout layout);
/* Do rows of cols elements divide into its blocks or groups? */
bool hn_storage_fits(const struct hn_storage *s, int64_t cols);
/* "Q4_1", "affine 4-bit, groups of 64"; out. */
const char *hn_storage_name(const struct hn_storage *s, char out[48]);
/* How m is stored. */
struct hn_storage hn_storage_of(const struct hn_matrix *m);
bool hn_storage_same(const struct hn_storage *a, const struct hn_storage *b);

/* Where the bytes of one row go: data[hn_layout_row_size], and of an affine row scales and
 * biases[cols/group]. */
struct hn_encoded {
    unsigned char *data, *scales, *biases;
};

enum hn_encode_result {
    HN_ENCODED,
    HN_ENCODE_NOT_FINITE, /* a value is infinite or no number, and the layout is quantised */
    HN_ENCODE_TOO_LARGE,  /* a value (or scale) that is finite has no place in the 16-bit type */
};

/* Encode row[cols].  The values of an affine row are rounded to scale_dtype first, for MLX
 * quantises weights that are of that type: so row is changed.  cols must fit. */
HN_MUST_USE enum hn_encode_result hn_encode_row(const struct hn_storage *s, float *row,
                                                int64_t cols, struct hn_encoded to);

/* Store stored row `row` of m (as hn_matrix_stored_row counts) in another layout without going
 * through float32: codes stay as they are where the layout can say code * scale + bias, and only
 * scales and biases change their type or form.  *n_inexact is raised by the groups whose scale or
 * bias had to be rounded.  Only where hn_transcodes says so.  False: a scale or bias has no place
 * in the 16-bit type. */
HN_MUST_USE bool hn_transcode_row(const struct hn_matrix *m, int64_t row,
                                  const struct hn_storage *s, struct hn_encoded to,
                                  int64_t *n_inexact);
/* Is there such a way from m to s?  4-bit and narrower affine to Q4_1, 5-bit to Q5_1; Q4_0, Q4_1,
 * Q5_0, Q5_1, Q8_0, Q4_K and Q5_K to affine groups of 32 of as many bits; Q4_0 to Q4_1. */
bool hn_transcodes(const struct hn_matrix *m, const struct hn_storage *s);

#endif
