/* Element types: sizes, names, and the 16-bit floats bit by bit (the kernels use the processor's
 * own conversions and are tested against these). */
#include "quant/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[HN_DTYPE_COUNT] = {
    [HN_F32] = {"F32", 4},         [HN_F16] = {"F16", 2},         [HN_BF16] = {"BF16", 2},
    [HN_F64] = {"F64", 8},         [HN_I8] = {"I8", 1},           [HN_U8] = {"U8", 1},
    [HN_I16] = {"I16", 2},         [HN_U16] = {"U16", 2},         [HN_I32] = {"I32", 4},
    [HN_U32] = {"U32", 4},         [HN_I64] = {"I64", 8},         [HN_U64] = {"U64", 8},
    [HN_BOOL] = {"BOOL", 1},       [HN_F8_E4M3] = {"F8_E4M3", 1}, [HN_F8_E5M2] = {"F8_E5M2", 1},
    [HN_F8_E8M0] = {"F8_E8M0", 1}, [HN_C64] = {"C64", 8},
};

size_t hn_dtype_size(enum hn_dtype t)
{
    return types[t].size;
}

const char *hn_dtype_name(enum hn_dtype t)
{
    return types[t].name;
}

bool hn_dtype_parse(const char *name, size_t n, enum hn_dtype *out)
{
    for (int t = 0; t < HN_DTYPE_COUNT; t++) {
        if (strlen(types[t].name) == n && memcmp(types[t].name, name, n) == 0) {
            *out = (enum hn_dtype)t;
            return true;
        }
    }
    return false;
}

static float from_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint32_t to_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

float hn_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) /* infinity; a NaN becomes quiet, as processors make it */
        return from_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 is exact in float32 */
        float v = (float)fraction * 0x1p-24f;
        return from_bits(sign | to_bits(v));
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t hn_f16_from_f32(float v)
{
    uint32_t bits = to_bits(v), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) /* 65520, halfway above the largest: rounds to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        /* Below 2^-14 the result counts units of 2^-24: adding 0.5 leaves just those bits, and the
         * addition rounds to nearest even. */
        uint32_t units = to_bits(from_bits(magnitude) + 0.5f) - to_bits(0.5f);
        return (uint16_t)(sign | units);
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

float hn_bf16_to_f32(uint16_t h)
{
    return from_bits((uint32_t)h << 16);
}

uint16_t hn_bf16_from_f32(float v)
{
    uint32_t bits = to_bits(v);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float hn_dtype_load(enum hn_dtype t, const unsigned char *data, size_t i)
{
    uint16_t half;
    float single;
    double wide;
    switch (t) {
    case HN_F32:
        memcpy(&single, data + i * 4, 4);
        return single;
    case HN_F16:
        memcpy(&half, data + i * 2, 2);
        return hn_f16_to_f32(half);
    case HN_BF16:
        memcpy(&half, data + i * 2, 2);
        return hn_bf16_to_f32(half);
    case HN_F64:
        memcpy(&wide, data + i * 8, 8);
        return (float)wide;
    default:
        HN_ASSERT(!"a floating-point type");
    }
}

void hn_dtype_store(enum hn_dtype t, unsigned char *data, size_t i, float v)
{
    uint16_t half;
    double wide = (double)v;
    switch (t) {
    case HN_F32:
        memcpy(data + i * 4, &v, 4);
        break;
    case HN_F16:
        half = hn_f16_from_f32(v);
        memcpy(data + i * 2, &half, 2);
        break;
    case HN_BF16:
        half = hn_bf16_from_f32(v);
        memcpy(data + i * 2, &half, 2);
        break;
    case HN_F64:
        memcpy(data + i * 8, &wide, 8);
        break;
    default:
        HN_ASSERT(!"a floating-point type");
    }
}

bool hn_all_finite(const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * 0; /* NaN once a value is not finite */
    return sum == 0;
}
