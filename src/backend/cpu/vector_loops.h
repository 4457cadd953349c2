/* The inner loops once more, over vectors: the body of every vector_LEVEL.c but C's.  The including
 * file gives a vector of W floats (vec), an integer vector for key numbers (ivec), a value that
 * says which lanes of a ragged end count (part), and these inline functions:
 *
 *   v_load v_store v_set v_add v_sub v_mul v_div v_sqrt v_min v_max v_negate_if
 *   v_fma(a, b, c) = a b + c            v_fnma(a, b, c) = c - a b
 *   v_round (to nearest)                v_ldexp(a, n) = a 2^n, n a whole number in [-220, 150]
 *   v_ldexp_normal(a, n, x, lo) = a 2^n, which is a normal number, but 0 where x < lo
 *   v_sum (of all lanes)                v_sums4(p, s[4]) stores the sums of each of s
 *   v_part(n), n < W                    v_load_part (zeros elsewhere), v_store_part
 *   v_keys(p) loads W key numbers, v_key(j) sets them, v_seen(lo, hi, j) lanes with lo <= j < hi,
 *   v_count() = 0, 1, …                 v_iadd; v_if(seen, a) = a where seen, else 0; v_seen_max
 *   v_transpose(a[W])                   v_sum_squares (in double)
 *   v_widen(p) loads W float16, v_bytes(p) W signed bytes
 *   v_narrow(p, a, top) stores a as float16, at most top either way
 *
 * and the constants V_PANEL (vectors per row of a product's tile), V_ROWS and V_ROWS_NARROW (rows
 * of a tile with V_PANEL vectors, and with half of them or fewer): as many accumulators as fit in
 * the registers beside V_PANEL vectors of B and one of A; V_FEW (few_loops.h).  V_PART_FREE: masked
 * loads cost nothing extra.
 *
 * min and max return their second operand when one is NaN, as on x86. */

#include <math.h>
#include <string.h>

/* exp within 2 ulp: x = n ln2 + r, |r| <= ln2/2; exp(r) = 1 + r + r^2 q(r), q the polynomial of
 * degree 4 with the least relative error, 3.7e-9 (found by Lawson's iteration on [-ln2/2, ln2/2]).
 * Overflow gives infinity, NaN stays. */
INLINE vec v_exp(vec x)
{
    x = v_min(v_set(100), v_max(v_set(-150), x));
    vec n = v_round(v_mul(x, v_set(0x1.715476p0f)));
    vec r = v_fnma(n, v_set(0x1.62e430p-1f), x);
    r = v_fnma(n, v_set(-0x1.05c610p-29f), r);
    vec q = v_set(0x1.6a23d0p-10f);
    q = v_fma(q, r, v_set(0x1.123a20p-7f));
    q = v_fma(q, r, v_set(0x1.5558f2p-5f));
    q = v_fma(q, r, v_set(0x1.555492p-3f));
    q = v_fma(q, r, v_set(0x1.fffffcp-2f));
    q = v_fma(v_mul(r, r), q, r);
    return v_ldexp(v_add(q, v_set(1)), n);
}

/* The same of n vectors of numbers up to 88, side by side: one after the other, a processor does
 * not look far enough ahead to overlap them.  Below -87, where exp leaves the normal numbers: 0. */
INLINE void v_exps(vec *x, int n)
{
    vec k[4], r[4], q[4];
#define EACH(...)                                                                                  \
    _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)                                            \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
    EACH(k[i] = v_round(v_mul(x[i], v_set(0x1.715476p0f))))
    EACH(r[i] = v_fnma(k[i], v_set(0x1.62e430p-1f), x[i]))
    EACH(r[i] = v_fnma(k[i], v_set(-0x1.05c610p-29f), r[i]))
    EACH(q[i] = v_fma(v_set(0x1.6a23d0p-10f), r[i], v_set(0x1.123a20p-7f)))
    EACH(q[i] = v_fma(q[i], r[i], v_set(0x1.5558f2p-5f)))
    EACH(q[i] = v_fma(q[i], r[i], v_set(0x1.555492p-3f)))
    EACH(q[i] = v_fma(q[i], r[i], v_set(0x1.fffffcp-2f)))
    EACH(q[i] = v_fma(v_mul(r[i], r[i]), q[i], r[i]))
    EACH(x[i] = v_ldexp_normal(v_add(q[i], v_set(1)), k[i], x[i], -87))
#undef EACH
}

/* ---- rows and elements ---------------------------------------------------------------------- */

INLINE vec v_get(const float *p, bool full, part rest)
{
    return full ? v_load(p) : v_load_part(p, rest);
}

INLINE void v_put(float *p, bool full, part rest, vec x)
{
    if (full)
        v_store(p, x);
    else
        v_store_part(p, rest, x);
}

/* Runs the statements for i = 0, W, …: with whole vectors, then with the rest.  GET and PUT in them
 * load and store at i. */
#define V_EACH(n, ...)                                                                             \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        part rest = v_part((n) % W);                                                               \
        for (; i + W <= (n); i += W) {                                                             \
            const bool full = true;                                                                \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
        if (i < (n)) {                                                                             \
            const bool full = false;                                                               \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    } while (0)
#define GET(p)    v_get((p) + i, full, rest)
#define PUT(p, x) v_put((p) + i, full, rest, x)

/* Sum of a*b*c over n, c NULL for ones: four chains of W lanes, then a tree. */
INLINE float sum3(const float *a, const float *b, const float *c, int64_t n)
{
    vec s[4] = {v_set(0), v_set(0), v_set(0), v_set(0)};
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            vec x = v_load(a + i + W * k), y = v_load(b + i + W * k);
            if (c)
                x = v_mul(x, v_load(c + i + W * k));
            s[k] = v_fma(x, y, s[k]);
        }
    }
    for (part rest = v_part(n % W); i < n; i += W) {
        bool full = i + W <= n;
        vec x = GET(a), y = GET(b);
        if (c)
            x = v_mul(x, GET(c));
        s[0] = v_fma(x, y, s[0]);
    }
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

static float dot(const float *a, const float *b, int64_t n)
{
    return sum3(a, b, NULL, n);
}

static void rms_norm_fwd(float *y, const float *x, const float *w, int64_t rows, int64_t n,
                         float eps)
{
    for (int64_t t = 0; t < rows; t++, x += n, y += n) {
        vec r = v_set(1 / sqrtf(sum3(x, x, NULL, n) / (float)n + eps));
        V_EACH(n, PUT(y, v_mul(v_mul(GET(x), r), GET(w))));
    }
}

static void rms_norm_bwd(float *dx, const float *dy, const float *x, const float *w, int64_t rows,
                         int64_t n, float eps, bool accumulate)
{
    for (int64_t t = 0; t < rows; t++, x += n, dx += n, dy += n) {
        float inverse = 1 / sqrtf(sum3(x, x, NULL, n) / (float)n + eps);
        vec r = v_set(inverse), along = v_set(sum3(dy, x, w, n) / (float)n * inverse * inverse);
        if (accumulate)
            V_EACH(n, {
                vec d = v_mul(r, v_fnma(GET(x), along, v_mul(GET(dy), GET(w))));
                PUT(dx, v_add(GET(dx), d));
            });
        else
            V_EACH(n, PUT(dx, v_mul(r, v_fnma(GET(x), along, v_mul(GET(dy), GET(w))))));
    }
}

static void rope(float *x, const float *cosine, const float *sine, int64_t n_heads,
                 int64_t head_size, int64_t n_freqs, bool back)
{
    for (int64_t h = 0; h < n_heads; h++, x += head_size) {
        V_EACH(n_freqs, {
            vec a = GET(x), b = GET(x + n_freqs), c = GET(cosine);
            vec s = v_negate_if(back, GET(sine));
            PUT(x, v_fnma(b, s, v_mul(a, c)));
            PUT(x + n_freqs, v_fma(a, s, v_mul(b, c)));
        });
    }
}

static void glu_fwd(float *a, const float *gate, const float *up, int64_t n)
{
    V_EACH(n, {
        vec g = GET(gate), e = v_exp(v_sub(v_set(0), g));
        PUT(a, v_mul(v_div(g, v_add(v_set(1), e)), GET(up)));
    });
}

static void glu_bwd(float *dgate, float *dup, const float *da, const float *gate, const float *up,
                    int64_t n)
{
    V_EACH(n, {
        vec g = GET(gate), d = GET(da), u = GET(up), e = v_exp(v_sub(v_set(0), g));
        vec s = v_div(v_set(1), v_add(v_set(1), e));
        vec slope = v_fma(g, v_mul(v_min(v_set(1e38f), e), s), v_set(1));
        PUT(dup, v_mul(d, v_mul(g, s)));
        PUT(dgate, v_mul(v_mul(d, u), v_mul(s, slope)));
    });
}

static void add(float *y, const float *x, int64_t n)
{
    V_EACH(n, PUT(y, v_add(GET(y), GET(x))));
}

static void scale(float *y, const float *x, float f, int64_t n)
{
    V_EACH(n, PUT(y, v_mul(GET(x), v_set(f))));
}

static void adamw(float *p, const float *g, float *m, float *v, int64_t n,
                  const struct hn_cpu_adamw *k)
{
    vec one_beta1 = v_set(k->one_beta1), one_beta2 = v_set(k->one_beta2);
    V_EACH(n, {
        vec d = v_mul(GET(g), v_set(k->grad_scale));
        vec m1 = v_fma(one_beta1, d, v_mul(GET(m), v_set(k->beta1)));
        vec v1 = v_fma(one_beta2, v_mul(d, d), v_mul(GET(v), v_set(k->beta2)));
        vec under = v_fma(v_sqrt(v1), v_set(k->root), v_set(k->eps));
        vec move = v_mul(v_set(k->rate), v_div(m1, under));
        PUT(p, v_sub(v_mul(v_set(k->decay), GET(p)), move));
        PUT(m, m1);
        PUT(v, v1);
    });
}

/* Chains of multiply-adds that depend on nothing but themselves. */
static double burn(int64_t n, float *x)
{
    enum { CHAINS = 12 };
    vec s[CHAINS], f = v_set(*x);
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++)
        s[k] = v_set((float)k);
    for (int64_t i = 0; i < n; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            s[k] = v_fma(s[k], f, f);
    }
#pragma GCC unroll 12
    for (int k = 1; k < CHAINS; k++)
        s[0] = v_add(s[0], s[k]);
    *x = v_sum(s[0]);
    return 2.0 * CHAINS * W * (double)n;
}

/* ---- attention products --------------------------------------------------------------------- */

/* Vector v of nv; the last one is ragged. */
#define FULL(v) (!ragged || (v) < nv - 1)

/* C [mr, W nv] of the product, in registers; mr, nv and ragged are constants.  One broadcast of A
 * and nv loads of B feed nv multiply-adds. */
INLINE void tile(int mr, int nv, bool ragged, float *c, int64_t ldc, const float *a, int64_t a_row,
                 int64_t a_col, const float *b, int64_t ldb, int64_t k, part last, bool accumulate)
{
    vec s[V_ROWS_NARROW][V_PANEL], x[V_PANEL];
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            s[i][v] = v_set(0);
    if (accumulate) {
#pragma GCC unroll 12
        for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                s[i][v] = v_get(c + i * ldc + W * v, FULL(v), last);
    }
    for (int64_t l = 0; l < k; l++, a += a_col, b += ldb) {
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            x[v] = v_get(b + W * v, FULL(v), last);
#pragma GCC unroll 12
        for (int i = 0; i < mr; i++) {
            vec y = v_set(a[i * a_row]);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                s[i][v] = v_fma(y, x[v], s[i][v]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            v_put(c + i * ldc + W * v, FULL(v), last, s[i][v]);
}

/* All m rows of a panel of nv vectors. */
INLINE void panel(int nv, bool ragged, float *c, int64_t ldc, const float *a, int64_t a_row,
                  int64_t a_col, const float *b, int64_t ldb, int64_t m, int64_t k, part last,
                  bool accumulate)
{
    const int most = 2 * nv <= V_PANEL ? V_ROWS_NARROW : V_ROWS;
    for (int rows; m > 0; m -= rows, a += rows * a_row, c += rows * ldc) {
#define TILE(mr) tile(mr, nv, ragged, c, ldc, a, a_row, a_col, b, ldb, k, last, accumulate)
        rows = m >= most ? most : m >= V_ROWS ? V_ROWS : m >= 4 ? 4 : m >= 2 ? 2 : 1;
        if (rows == most)
            TILE(most);
        else if (rows == V_ROWS)
            TILE(V_ROWS);
        else if (rows == 4)
            TILE(4);
        else if (rows == 2)
            TILE(2);
        else
            TILE(1);
#undef TILE
    }
}

/* A function per width, so that each has its own registers. */
#define PANEL(name, nv, ragged)                                                                    \
    static void name(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,          \
                     const float *b, int64_t ldb, int64_t m, int64_t k, part last,                 \
                     bool accumulate)                                                              \
    {                                                                                              \
        panel(nv, ragged, c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);                \
    }
PANEL(panel_1_ragged, 1, true)
PANEL(panel_2_ragged, 2, true)
PANEL(panel_full, V_PANEL, false)
#if V_PANEL == 4
PANEL(panel_3_ragged, 3, true)
PANEL(panel_4_ragged, 4, true)
#endif

static void product(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                    const float *b, int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate)
{
    for (int64_t width; n > 0; n -= width, b += width, c += width) {
        width = HN_MIN(n, W * V_PANEL);
        part last = v_part(width % W); /* 0: nothing is ragged, the last vector is whole */
        void (*f)(float *, int64_t, const float *, int64_t, int64_t, const float *, int64_t,
                  int64_t, int64_t, part, bool) = panel_full;
        if (width % W == 0 && width < W * V_PANEL)
            last = v_all();
        if (width < W * V_PANEL) {
            f = width > W ? panel_2_ragged : panel_1_ragged;
#if V_PANEL == 4
            f = width > 3 * W ? panel_4_ragged : width > 2 * W ? panel_3_ragged : f;
#endif
        }
        f(c, ldc, a, a_row, a_col, b, ldb, m, k, last, accumulate);
    }
}

/* Up to W rows, up to W of their columns from d on. */
INLINE void transpose_block(float *y, int64_t ldy, const float *const *x, int64_t rows, int64_t d,
                            int64_t cols)
{
    bool in = cols >= W, out = rows >= W;
    part in_rest = v_part(in ? 0 : cols), out_rest = v_part(out ? 0 : rows);
    vec a[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
        a[i] = i < rows ? v_get(x[i] + d, in, in_rest) : v_set(0);
    v_transpose(a);
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
        if (i < cols)
            v_put(y + i * ldy, out, out_rest, a[i]);
}

static void transpose(float *y, int64_t ldy, const float *const *x, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i += W)
        for (int64_t d = 0; d < n; d += W)
            transpose_block(y + d * ldy + i, ldy, x + i, m - i, d, n - d);
}

/* ---- softmax -------------------------------------------------------------------------------- */

/* One key of W columns: the running maximum; the exponential and its running sum. */
INLINE vec top_step(bool masked, const float *p, vec f, ivec lo, ivec hi, int64_t j, vec top)
{
    vec x = v_mul(v_load(p), f);
    return masked ? v_seen_max(v_seen(lo, hi, v_key(j)), top, x) : v_max(top, x);
}

/* n keys from j on, ld apart. */
INLINE vec exp_steps(int n, bool masked, float *p, int64_t ld, vec f, ivec lo, ivec hi, int64_t j,
                     vec top, vec total)
{
    vec x[4];
#pragma GCC unroll 4
    for (int k = 0; k < n; k++)
        x[k] = v_sub(v_mul(v_load(p + k * ld), f), top);
    v_exps(x, n);
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) {
        x[k] = masked ? v_if(v_seen(lo, hi, v_key(j + k)), x[k]) : x[k];
        v_store(p + k * ld, x[k]);
    }
    return v_add(total, n == 4 ? v_add(v_add(x[0], x[1]), v_add(x[2], x[3])) : x[0]);
}

/* W columns, four chains of keys.  masked is a constant: the common case does no comparisons. */
INLINE void softmax_cols(bool masked, float *s, int64_t ld, int64_t n_keys, float factor,
                         const int32_t *first, const int32_t *last, float *max, float *sum,
                         float *shrink)
{
    const ivec lo = masked ? v_keys(first) : v_key(0), hi = masked ? v_keys(last) : v_key(0);
    vec f = v_set(factor), before = v_load(max), t[4] = {before, before, before, before};
    int64_t j = 0;
    for (; j + 4 <= n_keys; j += 4) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++)
            t[k] = top_step(masked, s + (j + k) * ld, f, lo, hi, j + k, t[k]);
    }
    for (; j < n_keys; j++)
        t[0] = top_step(masked, s + j * ld, f, lo, hi, j, t[0]);
    vec top = v_max(v_max(t[0], t[1]), v_max(t[2], t[3]));
    vec total = v_set(0);
    for (j = 0; j + 4 <= n_keys; j += 4)
        total = exp_steps(4, masked, s + j * ld, ld, f, lo, hi, j, top, total);
    for (; j < n_keys; j++)
        total = exp_steps(1, masked, s + j * ld, ld, f, lo, hi, j, top, total);
    vec less = v_exp(v_sub(before, top));
    v_store(shrink, less);
    v_store(sum, v_fma(v_load(sum), less, total));
    v_store(max, top);
}

static void softmax(float *s, int64_t ld, int64_t n_keys, int64_t n_cols, float factor,
                    const int32_t *first, const int32_t *last, float *max, float *sum,
                    float *shrink)
{
    for (int64_t c = 0; c < n_cols; c += W) {
        if (first)
            softmax_cols(true, s + c, ld, n_keys, factor, first + c, last + c, max + c, sum + c,
                         shrink + c);
        else
            softmax_cols(false, s + c, ld, n_keys, factor, NULL, NULL, max + c, sum + c,
                         shrink + c);
    }
}

/* n vectors of keys from j on, of one row. */
INLINE void softmax_bwd_steps(int n, bool masked, float *p, float *ds, int64_t j, vec f, vec lse,
                              vec delta, ivec lo, ivec hi)
{
    vec x[4];
#pragma GCC unroll 4
    for (int k = 0; k < n; k++)
        x[k] = v_sub(v_mul(v_load(p + j + k * W), f), lse);
    v_exps(x, n);
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) {
        int64_t at = j + k * W;
        seen_lanes seen = v_seen(lo, hi, v_iadd(v_count(), v_key(at)));
        x[k] = masked ? v_if(seen, x[k]) : x[k];
        vec y = v_mul(v_mul(x[k], v_sub(v_load(ds + at), delta)), f);
        v_store(p + at, x[k]);
        v_store(ds + at, masked ? v_if(seen, y) : y);
    }
}

static void softmax_bwd(float *p, float *ds, int64_t ld, int64_t n_rows, int64_t n_cols,
                        float factor, const int32_t *first, const int32_t *last, const float *lse,
                        const float *delta)
{
    vec f = v_set(factor);
    for (int64_t r = 0; r < n_rows; r++, p += ld, ds += ld) {
        vec l = v_set(lse[r]), d = v_set(delta[r]);
        ivec lo = v_key(first ? first[r] : 0), hi = v_key(first ? last[r] : 0);
        int64_t j = 0;
#define STEPS(n, masked) softmax_bwd_steps(n, masked, p, ds, j, f, l, d, lo, hi)
        for (; !first && j + 4 * W <= n_cols; j += 4 * W)
            STEPS(4, false);
        for (; !first && j < n_cols; j += W)
            STEPS(1, false);
        for (; j + 4 * W <= n_cols; j += 4 * W)
            STEPS(4, true);
        for (; j < n_cols; j += W)
            STEPS(1, true);
#undef STEPS
    }
}

static void narrow(uint16_t *y, const float *x, int64_t n)
{
    const float top = HN_F16_MAX;
    int64_t i = 0;
    for (; i + W <= n; i += W)
        v_narrow(y + i, v_load(x + i), top);
    for (; i < n; i++)
        y[i] = hn_f16_from_f32(x[i] > top ? top : x[i] < -top ? -top : x[i]);
}

#include "backend/cpu/few_loops.h"

#define HN_VECTOR_TABLE                                                                            \
    {                                                                                              \
        .rms_norm_fwd = rms_norm_fwd, .rms_norm_bwd = rms_norm_bwd, .rope = rope,                  \
        .glu_fwd = glu_fwd, .glu_bwd = glu_bwd, .add = add, .scale = scale, .dot = dot,            \
        .sum_squares = v_sum_squares, .adamw = adamw, .burn = burn, .product = product,            \
        .transpose = transpose, .softmax = softmax, .softmax_bwd = softmax_bwd,                    \
        .scores_few = scores_few, .softmax_few = softmax_few, .weigh_few = weigh_few,              \
        .widen = widen, .narrow = narrow,                                                          \
    }
