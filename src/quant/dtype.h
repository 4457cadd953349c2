/* Element types, and the layouts in which a weight matrix may lie in a file. */
#ifndef HN_QUANT_DTYPE_H
#define HN_QUANT_DTYPE_H

#include "base/compiler.h"

enum hn_dtype {
    HN_F32,
    HN_F16,
    HN_BF16,
    HN_F64,
    HN_I8,
    HN_U8,
    HN_I16,
    HN_U16,
    HN_I32,
    HN_U32,
    HN_I64,
    HN_U64,
    HN_BOOL,
    HN_F8_E4M3, /* named and measured, not computed with, as the three below */
    HN_F8_E5M2,
    HN_F8_E8M0,
    HN_C64,
    HN_DTYPE_COUNT
};

size_t hn_dtype_size(enum hn_dtype t);      /* bytes of one element */
const char *hn_dtype_name(enum hn_dtype t); /* "F32", as safetensors writes it */
/* The type of this safetensors name (n bytes); false when there is none. */
bool hn_dtype_parse(const char *name, size_t n, enum hn_dtype *out);

float hn_f16_to_f32(uint16_t h);
uint16_t hn_f16_from_f32(float v); /* round to nearest even; overflow gives infinity */
float hn_bf16_to_f32(uint16_t h);
uint16_t hn_bf16_from_f32(float v); /* round to nearest even; NaN stays NaN */

/* Element i of an array of floating-point type t (F32, F16, BF16, F64) that may be unaligned. */
float hn_dtype_load(enum hn_dtype t, const unsigned char *data, size_t i);
/* Set it, rounding to nearest even. */
void hn_dtype_store(enum hn_dtype t, unsigned char *data, size_t i, float v);

/* Is none of x[n] infinite or NaN? */
bool hn_all_finite(const float *x, int64_t n);

#endif
