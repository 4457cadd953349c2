/* The decoders behind hn_matrix_decode, one per stored layout. */
#ifndef HN_QUANT_CODEC_H
#define HN_QUANT_CODEC_H

#include "quant/matrix.h"

/* out[n] = elements [col, col+n) of the row whose blocks begin at row; col and n are multiples
 * of 32. Blocks of 32 and 256, as ggml defines them. */
void hn_decode_q4_0(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q4_1(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q5_0(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q5_1(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q8_0(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q2_k(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q3_k(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q4_k(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q5_k(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_q6_k(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_iq4_nl(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_iq4_xs(const unsigned char *row, int64_t col, int64_t n, float *out);
void hn_decode_mxfp4(const unsigned char *row, int64_t col, int64_t n, float *out);

/* bitsandbytes: out[n] = elements [col, col+n) of stored row `row` of m. */
void hn_decode_bnb4(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out);
void hn_decode_bnb8(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out);

/* Bytes of the scales and maps of n elements. */
size_t hn_bnb4_size(const struct hn_bnb4 *b, int64_t n);

/* Code number i of a row's bit stream: bits [i*bits, (i+1)*bits), least significant first. */
unsigned hn_affine_code(const unsigned char *row, int64_t i, int bits);

#endif
