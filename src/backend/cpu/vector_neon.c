/* NEON inner loops (64-bit ARM): four lanes.  The loops are in vector_loops.h. */
#include "backend/cpu/vector.h"

#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

typedef float32x4_t vec;
typedef int32x4_t ivec;
typedef int part; /* lanes [0, part) */
typedef uint32x4_t seen_lanes;
#define W             4
#define V_PANEL       4
#define V_ROWS        6
#define V_ROWS_NARROW 12
#define V_FEW         4

INLINE part v_part(int64_t n)
{
    return (int)n;
}

INLINE part v_all(void)
{
    return 4;
}

INLINE vec v_load(const float *p)
{
    return vld1q_f32(p);
}

INLINE void v_store(float *p, vec x)
{
    vst1q_f32(p, x);
}

INLINE vec v_load_part(const float *p, part n)
{
    float x[4] = {0};
    memcpy(x, p, (size_t)n * sizeof *x);
    return vld1q_f32(x);
}

INLINE void v_store_part(float *p, part n, vec a)
{
    float x[4];
    vst1q_f32(x, a);
    memcpy(p, x, (size_t)n * sizeof *x);
}

INLINE vec v_set(float x)
{
    return vdupq_n_f32(x);
}

INLINE vec v_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

INLINE vec v_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}

INLINE vec v_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

INLINE vec v_sqrt(vec a)
{
    return vsqrtq_f32(a);
}

INLINE vec v_min(vec a, vec b)
{
    return vminq_f32(a, b);
}

INLINE vec v_max(vec a, vec b)
{
    return vmaxq_f32(a, b);
}

INLINE vec v_negate_if(bool yes, vec a)
{
    return yes ? vnegq_f32(a) : a;
}

INLINE vec v_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return vfmsq_f32(c, a, b);
}

INLINE vec v_round(vec a)
{
    return vrndnq_f32(a);
}

/* In two steps, so that neither power leaves the normal numbers. */
INLINE vec v_ldexp(vec a, vec n)
{
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    int32x4_t one = vdupq_n_s32(0x3f800000);
    int32x4_t p = vaddq_s32(vshlq_n_s32(half, 23), one);
    int32x4_t q = vaddq_s32(vshlq_n_s32(vsubq_s32(whole, half), 23), one);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(p)), vreinterpretq_f32_s32(q));
}

INLINE vec v_ldexp_normal(vec a, vec n, vec x, float lo)
{
    int32x4_t y = vaddq_s32(vreinterpretq_s32_f32(a), vshlq_n_s32(vcvtq_s32_f32(n), 23));
    uint32x4_t low = vcltq_f32(x, vdupq_n_f32(lo));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_s32(y), low));
}

INLINE float v_sum(vec a)
{
    return vaddvq_f32(a);
}

INLINE void v_sums4(float *p, const vec s[4])
{
    vst1q_f32(p, vpaddq_f32(vpaddq_f32(s[0], s[1]), vpaddq_f32(s[2], s[3])));
}

INLINE void v_transpose(vec a[4])
{
    float32x4x2_t p = vtrnq_f32(a[0], a[1]), q = vtrnq_f32(a[2], a[3]);
    a[0] = vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0]));
    a[1] = vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1]));
    a[2] = vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0]));
    a[3] = vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1]));
}

INLINE ivec v_keys(const int32_t *p)
{
    return vld1q_s32(p);
}

INLINE ivec v_key(int64_t j)
{
    return vdupq_n_s32((int)j);
}

INLINE ivec v_count(void)
{
    const int32_t count[4] = {0, 1, 2, 3};
    return vld1q_s32(count);
}

INLINE ivec v_iadd(ivec a, ivec b)
{
    return vaddq_s32(a, b);
}

INLINE seen_lanes v_seen(ivec lo, ivec hi, ivec j)
{
    return vandq_u32(vcleq_s32(lo, j), vcgtq_s32(hi, j));
}

INLINE vec v_if(seen_lanes seen, vec a)
{
    return vreinterpretq_f32_u32(vandq_u32(seen, vreinterpretq_u32_f32(a)));
}

INLINE vec v_seen_max(seen_lanes seen, vec a, vec b)
{
    return vbslq_f32(seen, vmaxq_f32(a, b), a);
}

static double v_sum_squares(const float *x, int64_t n)
{
    float64x2_t s[4] = {vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            float64x2_t d = vcvt_f64_f32(vld1_f32(x + i + 2 * k));
            s[k] = vfmaq_f64(s[k], d, d);
        }
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (double)x[i] * x[i];
    return vaddvq_f64(vaddq_f64(vaddq_f64(s[0], s[1]), vaddq_f64(s[2], s[3]))) + rest;
}

INLINE vec v_widen(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

INLINE vec v_bytes(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

INLINE void v_narrow(uint16_t *p, vec x, float top)
{
    vec y = vmaxq_f32(vminq_f32(x, vdupq_n_f32(top)), vdupq_n_f32(-top));
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(y)));
}

#include "backend/cpu/vector_loops.h"

const struct hn_cpu_vector hn_cpu_vector_neon = HN_VECTOR_TABLE;

#else
const struct hn_cpu_vector hn_cpu_vector_neon = {0};
#endif
