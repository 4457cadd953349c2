/* MLX's affine quantiser, bit for bit as its CPU build (mlx 0.32, backend/cpu/quantized.cpp). */
#ifndef HN_QUANT_AFFINE_H
#define HN_QUANT_AFFINE_H

#include "quant/dtype.h"

/* Quantise one row of cols finite values (a multiple of group) to bits (2, 3, 4, 5, 6, 8) in groups
 * of 32, 64 or 128.  Values of a 16-bit source are to be widened first. codes   cols*bits/8 bytes,
 * one bit stream, least significant bit first scales, biases   cols/group elements of type t (F32,
 * F16, BF16): the source's type in MLX Codes come from the float32 scale and bias, before these are
 * rounded to t.  A value that is not finite gives code 0 and a scale that is not finite: refuse
 * such weights before. */
void hn_affine_quantize(const float *row, int64_t cols, int bits, int group, enum hn_dtype t,
                        unsigned char *codes, unsigned char *scales, unsigned char *biases);

#endif
