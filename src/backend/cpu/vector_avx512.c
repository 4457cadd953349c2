/* AVX-512 inner loops: sixteen lanes, ragged ends by mask. */
#include "backend/cpu/vector.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#include <immintrin.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

/* Lanes [0, n) when fewer than 16 are left, else all. */
INLINE __mmask16 lanes(int64_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* exp within 1 ulp of 2^-126 and above: x = n ln2 + r, |r| <= ln2/2; exp(r) = 1 + r + r^2 q(r), q
 * the minimax polynomial of degree 4 in relative error (3.7e-9, found by Lawson's iteration).  NaN
 * stays NaN: the constant comes first in min and max. */
INLINE __m512 exp16(__m512 x)
{
    x = _mm512_min_ps(_mm512_set1_ps(100), _mm512_max_ps(_mm512_set1_ps(-150), x));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p0f)), 8);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e430p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-0x1.05c610p-29f), r);
    __m512 q = _mm512_set1_ps(0x1.6a23d0p-10f);
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0x1.123a20p-7f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0x1.5558f2p-5f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0x1.555492p-3f));
    q = _mm512_fmadd_ps(q, r, _mm512_set1_ps(0x1.fffffcp-2f));
    q = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    return _mm512_scalef_ps(_mm512_add_ps(q, _mm512_set1_ps(1)), n);
}

/* ---- rows and elements ---------------------------------------------------------------------- */

/* Sum of a*b*c over n, c NULL for ones: four chains of sixteen lanes, then a tree. */
INLINE float sum3(const float *a, const float *b, const float *c, int64_t n)
{
    __m512 s[4];

#pragma GCC unroll 16
    for (int k = 0; k < 4; k++)
        s[k] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)

#pragma GCC unroll 16
        for (int k = 0; k < 4; k++) {
            __m512 x = _mm512_loadu_ps(a + i + 16 * k), y = _mm512_loadu_ps(b + i + 16 * k);
            if (c)
                x = _mm512_mul_ps(x, _mm512_loadu_ps(c + i + 16 * k));
            s[k] = _mm512_fmadd_ps(x, y, s[k]);
        }
    for (; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 x = _mm512_maskz_loadu_ps(m, a + i), y = _mm512_maskz_loadu_ps(m, b + i);
        if (c)
            x = _mm512_mul_ps(x, _mm512_maskz_loadu_ps(m, c + i));
        s[0] = _mm512_fmadd_ps(x, y, s[0]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

static float dot(const float *a, const float *b, int64_t n)
{
    return sum3(a, b, NULL, n);
}

static void rms_norm_fwd(float *y, const float *x, const float *w, int64_t rows, int64_t n,
                         float eps)
{
    for (int64_t t = 0; t < rows; t++, x += n, y += n) {
        __m512 r = _mm512_set1_ps(1 / sqrtf(sum3(x, x, NULL, n) / (float)n + eps));
        for (int64_t i = 0; i < n; i += 16) {
            __mmask16 m = lanes(n - i);
            __m512 z = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), r);
            _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(z, _mm512_maskz_loadu_ps(m, w + i)));
        }
    }
}

static void rms_norm_bwd(float *dx, const float *dy, const float *x, const float *w, int64_t rows,
                         int64_t n, float eps, bool accumulate)
{
    for (int64_t t = 0; t < rows; t++, x += n, dx += n, dy += n) {
        float inverse = 1 / sqrtf(sum3(x, x, NULL, n) / (float)n + eps);
        float back = sum3(dy, x, w, n) / (float)n * inverse * inverse;
        __m512 r = _mm512_set1_ps(inverse), along = _mm512_set1_ps(back);
        for (int64_t i = 0; i < n; i += 16) {
            __mmask16 m = lanes(n - i);
            __m512 d =
                _mm512_mul_ps(_mm512_maskz_loadu_ps(m, dy + i), _mm512_maskz_loadu_ps(m, w + i));
            d = _mm512_mul_ps(r, _mm512_fnmadd_ps(_mm512_maskz_loadu_ps(m, x + i), along, d));
            if (accumulate)
                d = _mm512_add_ps(d, _mm512_maskz_loadu_ps(m, dx + i));
            _mm512_mask_storeu_ps(dx + i, m, d);
        }
    }
}

static void rope(float *x, const float *cosine, const float *sine, int64_t n_heads,
                 int64_t head_size, int64_t n_freqs, bool back)
{
    __m512 flip = _mm512_set1_ps(back ? -0.0f : 0.0f);
    for (int64_t h = 0; h < n_heads; h++, x += head_size) {
        for (int64_t i = 0; i < n_freqs; i += 16) {
            __mmask16 m = lanes(n_freqs - i);
            __m512 a = _mm512_maskz_loadu_ps(m, x + i);
            __m512 b = _mm512_maskz_loadu_ps(m, x + n_freqs + i);
            __m512 c = _mm512_maskz_loadu_ps(m, cosine + i);
            __m512 s = _mm512_xor_ps(_mm512_maskz_loadu_ps(m, sine + i), flip);
            __m512 y = _mm512_fnmadd_ps(b, s, _mm512_mul_ps(a, c));
            _mm512_mask_storeu_ps(x + i, m, y);
            y = _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c));
            _mm512_mask_storeu_ps(x + n_freqs + i, m, y);
        }
    }
}

static void glu_fwd(float *a, const float *gate, const float *up, int64_t n)
{
    const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
        __m512 e = exp16(_mm512_sub_ps(zero, g));
        _mm512_mask_storeu_ps(a + i, m, _mm512_mul_ps(_mm512_div_ps(g, _mm512_add_ps(one, e)), u));
    }
}

static void glu_bwd(float *dgate, float *dup, const float *da, const float *gate, const float *up,
                    int64_t n)
{
    const __m512 one = _mm512_set1_ps(1), zero = _mm512_setzero_ps(), top = _mm512_set1_ps(1e38f);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
        __m512 d = _mm512_maskz_loadu_ps(m, da + i), e = exp16(_mm512_sub_ps(zero, g));
        __m512 s = _mm512_div_ps(one, _mm512_add_ps(one, e));
        __m512 rest = _mm512_mul_ps(_mm512_min_ps(top, e), s);
        __m512 slope = _mm512_mul_ps(s, _mm512_fmadd_ps(g, rest, one));
        _mm512_mask_storeu_ps(dup + i, m, _mm512_mul_ps(d, _mm512_mul_ps(g, s)));
        _mm512_mask_storeu_ps(dgate + i, m, _mm512_mul_ps(_mm512_mul_ps(d, u), slope));
    }
}

static void add(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        __m512 s = _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), _mm512_maskz_loadu_ps(m, x + i));
        _mm512_mask_storeu_ps(y + i, m, s);
    }
}

static void scale(float *y, const float *x, float f, int64_t n)
{
    __m512 k = _mm512_set1_ps(f);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(n - i);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), k));
    }
}

static double sum_squares(const float *x, int64_t n)
{
    __m512d s[4];

#pragma GCC unroll 16
    for (int k = 0; k < 4; k++)
        s[k] = _mm512_setzero_pd();
    int64_t i = 0;
    for (; i + 32 <= n; i += 32)

#pragma GCC unroll 16
        for (int k = 0; k < 4; k++) {
            __m512d d = _mm512_cvtps_pd(_mm256_loadu_ps(x + i + 8 * k));
            s[k] = _mm512_fmadd_pd(d, d, s[k]);
        }
    for (; i < n; i += 8) {
        __mmask8 m = (__mmask8)lanes(HN_MIN(n - i, 8));
        __m512d d = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(m, x + i));
        s[0] = _mm512_fmadd_pd(d, d, s[0]);
    }
    return _mm512_reduce_add_pd(
        _mm512_add_pd(_mm512_add_pd(s[0], s[1]), _mm512_add_pd(s[2], s[3])));
}

static void adamw(float *p, const float *g, float *m, float *v, int64_t n,
                  const struct hn_cpu_adamw *k)
{
    __m512 grad_scale = _mm512_set1_ps(k->grad_scale), decay = _mm512_set1_ps(k->decay);
    __m512 beta1 = _mm512_set1_ps(k->beta1), one_beta1 = _mm512_set1_ps(k->one_beta1);
    __m512 beta2 = _mm512_set1_ps(k->beta2), one_beta2 = _mm512_set1_ps(k->one_beta2);
    __m512 rate = _mm512_set1_ps(k->rate), root = _mm512_set1_ps(k->root);
    __m512 eps = _mm512_set1_ps(k->eps);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 e = lanes(n - i);
        __m512 d = _mm512_mul_ps(_mm512_maskz_loadu_ps(e, g + i), grad_scale);
        __m512 m1 = _mm512_mul_ps(_mm512_maskz_loadu_ps(e, m + i), beta1);
        __m512 v1 = _mm512_mul_ps(_mm512_maskz_loadu_ps(e, v + i), beta2);
        m1 = _mm512_fmadd_ps(one_beta1, d, m1);
        v1 = _mm512_fmadd_ps(one_beta2, _mm512_mul_ps(d, d), v1);
        __m512 under = _mm512_fmadd_ps(_mm512_sqrt_ps(v1), root, eps);
        __m512 move = _mm512_mul_ps(rate, _mm512_maskz_div_ps(e, m1, under));
        __m512 p1 = _mm512_fmsub_ps(decay, _mm512_maskz_loadu_ps(e, p + i), move);
        _mm512_mask_storeu_ps(m + i, e, m1);
        _mm512_mask_storeu_ps(v + i, e, v1);
        _mm512_mask_storeu_ps(p + i, e, p1);
    }
}

/* Chains of multiply-adds that depend on nothing but themselves, for the machine's peak. */
static double burn(int64_t n, float *x)
{
    __m512 s[16], f = _mm512_set1_ps(*x);
#pragma GCC unroll 16
    for (int k = 0; k < 16; k++)
        s[k] = _mm512_set1_ps((float)k);
    for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++)
            s[k] = _mm512_fmadd_ps(s[k], f, f);
#pragma GCC unroll 16
    for (int k = 1; k < 16; k++)
        s[0] = _mm512_add_ps(s[0], s[k]);
    *x = _mm512_reduce_add_ps(s[0]);
    return 2.0 * 16 * 16 * (double)n;
}

/* ---- attention products --------------------------------------------------------------------- */

/* C [mr, 16 nv] of the product, in registers: mr and nv are constants, last masks the last vector
 * of a row.  One broadcast of A and nv loads of B feed nv multiply-adds. */
INLINE void tile(int mr, int nv, float *c, int64_t ldc, const float *a, int64_t a_row,
                 int64_t a_col, const float *b, int64_t ldb, int64_t k, __mmask16 last,
                 bool accumulate)
{
    __m512 s[12][4], x[4];

#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
        for (int v = 0; v < nv; v++)
            s[i][v] = _mm512_setzero_ps();
    if (accumulate)

#pragma GCC unroll 16
        for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
            for (int v = 0; v < nv; v++)
                s[i][v] = _mm512_maskz_loadu_ps(v == nv - 1 ? last : 0xffff, c + i * ldc + 16 * v);
    for (int64_t l = 0; l < k; l++, a += a_col, b += ldb) {

#pragma GCC unroll 16
        for (int v = 0; v < nv; v++)
            x[v] = _mm512_maskz_loadu_ps(v == nv - 1 ? last : 0xffff, b + 16 * v);

#pragma GCC unroll 16
        for (int i = 0; i < mr; i++) {
            __m512 y = _mm512_set1_ps(a[i * a_row]);

#pragma GCC unroll 16
            for (int v = 0; v < nv; v++)
                s[i][v] = _mm512_fmadd_ps(y, x[v], s[i][v]);
        }
    }

#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 16
        for (int v = 0; v < nv; v++)
            _mm512_mask_storeu_ps(c + i * ldc + 16 * v, v == nv - 1 ? last : 0xffff, s[i][v]);
}

/* All m rows of a panel of nv vectors. */
#define PANEL(name, nv)                                                                            \
    static void name(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,          \
                     const float *b, int64_t ldb, int64_t m, int64_t k, __mmask16 last,            \
                     bool accumulate)                                                              \
    {                                                                                              \
        while (m > 0) {                                                                            \
            int rows = nv <= 2 && m >= 12 ? 12 : m >= 6 ? 6 : m >= 4 ? 4 : m >= 2 ? 2 : 1;         \
            if (nv <= 2 && rows == 12)                                                             \
                tile(12, nv, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate);                \
            else if (rows == 6)                                                                    \
                tile(6, nv, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate);                 \
            else if (rows == 4)                                                                    \
                tile(4, nv, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate);                 \
            else if (rows == 2)                                                                    \
                tile(2, nv, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate);                 \
            else                                                                                   \
                tile(1, nv, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate);                 \
            m -= rows;                                                                             \
            a += rows * a_row;                                                                     \
            c += rows * ldc;                                                                       \
        }                                                                                          \
    }
PANEL(panel_1, 1)
PANEL(panel_2, 2)
PANEL(panel_3, 3)
PANEL(panel_4, 4)

static void product(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                    const float *b, int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate)
{
    while (n > 0) {
        int64_t width = HN_MIN(n, 64);
        __mmask16 last = lanes((width - 1) % 16 + 1);
        if (width > 48)
            panel_4(c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);
        else if (width > 32)
            panel_3(c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);
        else if (width > 16)
            panel_2(c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);
        else
            panel_1(c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);
        n -= width;
        b += width;
        c += width;
    }
}

/* Lane i of the result is the sum of s[i]'s lanes: pairs are interleaved and added, four times. */
INLINE __m512 reduce16(const __m512 s[16])
{
    __m512 a[8], b[4], c[2];

#pragma GCC unroll 16
    for (int i = 0; i < 8; i++)
        a[i] = _mm512_add_ps(_mm512_unpacklo_ps(s[2 * i], s[2 * i + 1]),
                             _mm512_unpackhi_ps(s[2 * i], s[2 * i + 1]));

#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        __m512d x = _mm512_castps_pd(a[2 * i]), y = _mm512_castps_pd(a[2 * i + 1]);
        b[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }

#pragma GCC unroll 16
    for (int i = 0; i < 2; i++)
        c[i] = _mm512_add_ps(_mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0x88),
                             _mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(c[0], c[1], 0x88),
                         _mm512_shuffle_f32x4(c[0], c[1], 0xdd));
}

/* nk keys (the first n of them real) by nc columns, nk nc <= 16, sums in registers. */
INLINE void few(int nk, int nc, float *s, int64_t lds, const float *k, int64_t ldk, const float *q,
                int64_t n, int64_t hd)
{
    __m512 sums[16];
    float out[16];

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sums[i] = _mm512_setzero_ps();
    for (int64_t d = 0; d < hd; d += 16) {
        __mmask16 m = lanes(hd - d);
        __m512 x[4];

#pragma GCC unroll 16
        for (int c = 0; c < nc; c++)
            x[c] = _mm512_maskz_loadu_ps(m, q + c * hd + d);

#pragma GCC unroll 16
        for (int j = 0; j < nk; j++) {
            __m512 y = _mm512_maskz_loadu_ps(m, k + (j < n ? j : 0) * ldk + d);

#pragma GCC unroll 16
            for (int c = 0; c < nc; c++)
                sums[j * nc + c] = _mm512_fmadd_ps(x[c], y, sums[j * nc + c]);
        }
    }
    _mm512_storeu_ps(out, reduce16(sums));
    for (int64_t j = 0; j < n; j++)

#pragma GCC unroll 16
        for (int c = 0; c < nc; c++)
            s[j * lds + c] = out[j * nc + c];
}

static void scores_few(float *s, int64_t lds, const float *k, int64_t ldk, const float *q,
                       int64_t n_keys, int64_t n_cols, int64_t hd)
{
    static const int keys_of[] = {0, 16, 8, 5, 4};
    for (int64_t c = 0; c < n_cols; c += 4) {
        int nc = (int)HN_MIN(n_cols - c, 4);
        for (int64_t j = 0, n; j < n_keys; j += n) {
            n = HN_MIN(n_keys - j, keys_of[nc]);
            if (nc == 4)
                few(4, 4, s + j * lds + c, lds, k + j * ldk, ldk, q + c * hd, n, hd);
            else if (nc == 3)
                few(5, 3, s + j * lds + c, lds, k + j * ldk, ldk, q + c * hd, n, hd);
            else if (nc == 2)
                few(8, 2, s + j * lds + c, lds, k + j * ldk, ldk, q + c * hd, n, hd);
            else
                few(16, 1, s + j * lds + c, lds, k + j * ldk, ldk, q + c * hd, n, hd);
        }
    }
}

/* Sixteen rows of x, sixteen columns from d on, into y [16, 16]; m masks columns, rows its rows. */
INLINE void transpose16(float *y, int64_t ldy, const float *const *x, int64_t rows, int64_t d,
                        int64_t cols)
{
    __mmask16 in = lanes(cols), out = lanes(rows);
    __m512 a[16], b[16];

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        a[i] = i < rows ? _mm512_maskz_loadu_ps(in, x[i] + d) : _mm512_setzero_ps();

#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }

#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {

#pragma GCC unroll 16
        for (int h = 0; h < 2; h++) {
            __m512d u = _mm512_castps_pd(b[i + h]), v = _mm512_castps_pd(b[i + h + 2]);
            a[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(u, v));
            a[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(u, v));
        }
    }
    /* a[4 g + c] has, in its 128-bit lane l, column 4 l + c of rows 4 g .. 4 g + 3. */

#pragma GCC unroll 16
    for (int c = 0; c < 4; c++) {
        __m512 p = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x44);
        __m512 q = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x44);
        __m512 r = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xee);
        __m512 s = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xee);
        b[c] = _mm512_shuffle_f32x4(p, q, 0x88);
        b[4 + c] = _mm512_shuffle_f32x4(p, q, 0xdd);
        b[8 + c] = _mm512_shuffle_f32x4(r, s, 0x88);
        b[12 + c] = _mm512_shuffle_f32x4(r, s, 0xdd);
    }

#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        if (i < cols)
            _mm512_mask_storeu_ps(y + i * ldy, out, b[i]);
}

static void transpose(float *y, int64_t ldy, const float *const *x, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i += 16)
        for (int64_t d = 0; d < n; d += 16)
            transpose16(y + d * ldy + i, ldy, x + i, m - i, d, n - d);
}

/* ---- softmax -------------------------------------------------------------------------------- */

/* Sixteen columns.  masked is a constant: the common case does no comparisons. */
INLINE void softmax16(bool masked, float *s, int64_t ld, int64_t n_keys, float factor,
                      const int32_t *first, const int32_t *last, float *max, float *sum,
                      float *shrink)
{
    const __m512 f = _mm512_set1_ps(factor), none = _mm512_set1_ps(-INFINITY);
    __m512i lo = _mm512_setzero_si512(), hi = lo;
    if (masked) {
        lo = _mm512_loadu_si512(first);
        hi = _mm512_loadu_si512(last);
    }
    __m512 before = _mm512_loadu_ps(max), top[4], total[4];

#pragma GCC unroll 16
    for (int k = 0; k < 4; k++) {
        top[k] = before;
        total[k] = _mm512_setzero_ps();
    }
#define SEEN(j)                                                                                    \
    (masked ? (__mmask16)(_mm512_cmple_epi32_mask(lo, _mm512_set1_epi32((int)(j))) &               \
                          _mm512_cmpgt_epi32_mask(hi, _mm512_set1_epi32((int)(j))))                \
            : (__mmask16)0xffff)
    int64_t j = 0;
    for (; j + 4 <= n_keys; j += 4)

#pragma GCC unroll 16
        for (int k = 0; k < 4; k++) {
            __m512 x = _mm512_mul_ps(_mm512_loadu_ps(s + (j + k) * ld), f);
            top[k] = _mm512_mask_max_ps(top[k], SEEN(j + k), top[k], x);
        }
    for (; j < n_keys; j++)
        top[0] = _mm512_mask_max_ps(top[0], SEEN(j), top[0],
                                    _mm512_mul_ps(_mm512_loadu_ps(s + j * ld), f));
    top[0] = _mm512_max_ps(_mm512_max_ps(top[0], top[1]), _mm512_max_ps(top[2], top[3]));
    for (j = 0; j + 4 <= n_keys; j += 4)

#pragma GCC unroll 16
        for (int k = 0; k < 4; k++) {
            float *p = s + (j + k) * ld;
            __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(p), f, top[0]);
            x = exp16(masked ? _mm512_mask_mov_ps(none, SEEN(j + k), x) : x);
            _mm512_storeu_ps(p, x);
            total[k] = _mm512_add_ps(total[k], x);
        }
    for (; j < n_keys; j++) {
        __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(s + j * ld), f, top[0]);
        x = exp16(masked ? _mm512_mask_mov_ps(none, SEEN(j), x) : x);
        _mm512_storeu_ps(s + j * ld, x);
        total[0] = _mm512_add_ps(total[0], x);
    }
#undef SEEN
    total[0] = _mm512_add_ps(_mm512_add_ps(total[0], total[1]), _mm512_add_ps(total[2], total[3]));
    __m512 less = exp16(_mm512_sub_ps(before, top[0]));
    _mm512_storeu_ps(shrink, less);
    _mm512_storeu_ps(sum, _mm512_fmadd_ps(_mm512_loadu_ps(sum), less, total[0]));
    _mm512_storeu_ps(max, top[0]);
}

static void softmax(float *s, int64_t ld, int64_t n_keys, int64_t n_cols, float factor,
                    const int32_t *first, const int32_t *last, float *max, float *sum,
                    float *shrink)
{
    for (int64_t c = 0; c < n_cols; c += 16) {
        if (first)
            softmax16(true, s + c, ld, n_keys, factor, first + c, last + c, max + c, sum + c,
                      shrink + c);
        else
            softmax16(false, s + c, ld, n_keys, factor, NULL, NULL, max + c, sum + c, shrink + c);
    }
}

static void softmax_bwd(float *p, float *ds, int64_t ld, int64_t n_rows, int64_t n_cols,
                        float factor, const int32_t *first, const int32_t *last, const float *lse,
                        const float *delta)
{
    const __m512 f = _mm512_set1_ps(factor);
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t r = 0; r < n_rows; r++, p += ld, ds += ld) {
        __m512 l = _mm512_set1_ps(lse[r]), d = _mm512_set1_ps(delta[r]);
        __m512i lo = _mm512_set1_epi32(first ? first[r] : 0);
        __m512i hi = _mm512_set1_epi32(first ? last[r] : INT32_MAX);
        for (int64_t j = 0; j < n_cols; j += 16) {
            __m512i at = _mm512_add_epi32(count, _mm512_set1_epi32((int)j));
            __mmask16 seen = _mm512_cmple_epi32_mask(lo, at) & _mm512_cmpgt_epi32_mask(hi, at);
            __m512 x = exp16(_mm512_fmsub_ps(_mm512_loadu_ps(p + j), f, l));
            __m512 y = _mm512_sub_ps(_mm512_loadu_ps(ds + j), d);
            _mm512_storeu_ps(p + j, _mm512_maskz_mov_ps(seen, x));
            _mm512_storeu_ps(ds + j, _mm512_maskz_mul_ps(seen, _mm512_mul_ps(x, y), f));
        }
    }
}

const struct hn_cpu_vector hn_cpu_vector_avx512 = {
    .rms_norm_fwd = rms_norm_fwd,
    .rms_norm_bwd = rms_norm_bwd,
    .rope = rope,
    .glu_fwd = glu_fwd,
    .glu_bwd = glu_bwd,
    .add = add,
    .scale = scale,
    .dot = dot,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .burn = burn,
    .product = product,
    .scores_few = scores_few,
    .transpose = transpose,
    .softmax = softmax,
    .softmax_bwd = softmax_bwd,
};

#else
const struct hn_cpu_vector hn_cpu_vector_avx512 = {0};
#endif
