/* bitsandbytes' quantisers, bit for bit as its CPU build (0.50).
 *
 *   4 bits   blocks of the flat matrix: absmax, and codes of the nearest entry of a map of 16
 *   nested   the absmax of all blocks less their mean, in blocks of 256 with a scale each and codes
 *            of the dynamic 8-bit map
 *   int8     rows, rounded to float16 first: scale = the row's absmax, code = x * (1/scale * 127)
 *
 * Values must be finite. */
#ifndef HN_QUANT_BNB_ENCODE_H
#define HN_QUANT_BNB_ENCODE_H

#include "quant/matrix.h"

enum { HN_BNB_BLOCK = 64, HN_BNB_NESTED_BLOCK = 256, HN_BNB_NESTED_MAP = 256 };

/* The 16 entries of NF4 or FP4. */
const float *hn_bnb4_map(bool fp4);

/* One block of n values, all of block's or, at the end of the matrix, fewer (whole false): two
 * codes in a byte, the first one high, (n+1)/2 bytes; its absmax. */
void hn_bnb4_encode(bool fp4, const float *x, int64_t n, bool whole, unsigned char *codes,
                    float *absmax);

/* The signed dynamic map, ascending. */
void hn_bnb_dynamic_map(float map[HN_BNB_NESTED_MAP]);

/* torch.mean of n floats on one thread with vectors of 8 (torch adds in an order that depends on
 * both, from 32768 values on; below that on the vectors alone). */
float hn_bnb_mean(const float *x, int64_t n);

/* codes[n] of absmax[n] - offset, and a scale for every 256. */
void hn_bnb_nest(const float *absmax, int64_t n, float offset, unsigned char *codes, float *scales);

/* A row, which is rounded to float16: codes (int8), its scale.  False: a value has no place there.
 */
HN_MUST_USE bool hn_bnb8_encode(float *x, int64_t n, unsigned char *codes, float *scale);

#endif
