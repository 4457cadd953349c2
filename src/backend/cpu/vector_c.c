/* The inner loops in plain C: the specification of every slot, and what runs where there is nothing
 * better.  Clarity first; the compiler may not reassociate, so sums run in index order. */
#include "backend/cpu/vector.h"

#include <math.h>
#include <string.h>

static float inverse_rms(const float *x, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return (float)(1 / sqrt(sum / (double)n + eps));
}

static void rms_norm_fwd(float *y, const float *x, const float *w, int64_t rows, int64_t n,
                         float eps)
{
    for (int64_t t = 0; t < rows; t++, x += n, y += n) {
        float r = inverse_rms(x, n, eps);
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * r * w[i];
    }
}

static void rms_norm_bwd(float *dx, const float *dy, const float *x, const float *w, int64_t rows,
                         int64_t n, float eps, bool accumulate)
{
    for (int64_t t = 0; t < rows; t++, x += n, dx += n, dy += n) {
        float r = inverse_rms(x, n, eps);
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)(dy[i] * w[i]) * x[i];
        float along = (float)(sum / (double)n) * r * r;
        for (int64_t i = 0; i < n; i++) {
            float d = r * (dy[i] * w[i] - x[i] * along);
            dx[i] = accumulate ? dx[i] + d : d;
        }
    }
}

static void rope(float *x, const float *cosine, const float *sine, int64_t n_heads,
                 int64_t head_size, int64_t n_freqs, bool back)
{
    for (int64_t h = 0; h < n_heads; h++, x += head_size) {
        for (int64_t i = 0; i < n_freqs; i++) {
            float a = x[i], b = x[i + n_freqs], s = back ? -sine[i] : sine[i];
            x[i] = a * cosine[i] - b * s;
            x[i + n_freqs] = b * cosine[i] + a * s;
        }
    }
}

static void glu_fwd(float *a, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        a[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

/* 1 - s = e s with e = exp(-g), without cancellation; e is kept finite for inf * 0 where s is 0. */
static void glu_bwd(float *dgate, float *dup, const float *da, const float *gate, const float *up,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i], u = up[i], d = da[i], e = expf(-g), s = 1 / (1 + e);
        dup[i] = d * (g * s);
        dgate[i] = d * u * (s * (1 + g * (fminf(e, 1e38f) * s)));
    }
}

static void add(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(float *y, const float *x, float f, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * f;
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double sum_squares(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static void adamw(float *p, const float *g, float *m, float *v, int64_t n,
                  const struct hn_cpu_adamw *k)
{
    for (int64_t i = 0; i < n; i++) {
        float d = g[i] * k->grad_scale;
        m[i] = k->beta1 * m[i] + k->one_beta1 * d;
        v[i] = k->beta2 * v[i] + k->one_beta2 * (d * d);
        p[i] = k->decay * p[i] - k->rate * (m[i] / (sqrtf(v[i]) * k->root + k->eps));
    }
}

static double burn(int64_t n, float *x)
{
    float s[16];
    for (int k = 0; k < 16; k++)
        s[k] = (float)k;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 16; k++)
            s[k] = s[k] * *x + *x;
    for (int k = 1; k < 16; k++)
        s[0] += s[k];
    *x = s[0];
    return 2.0 * 16 * (double)n;
}

static void product(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                    const float *b, int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate)
{
    for (int64_t i = 0; i < m; i++) {
        float *row = c + i * ldc;
        if (!accumulate)
            memset(row, 0, (size_t)n * sizeof *row);
        for (int64_t l = 0; l < k; l++) {
            float x = a[i * a_row + l * a_col];
            for (int64_t j = 0; j < n; j++)
                row[j] += x * b[l * ldb + j];
        }
    }
}

static void transpose(float *y, int64_t ldy, const float *const *x, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            y[j * ldy + i] = x[i][j];
}

static void softmax(float *s, int64_t ld, int64_t n_keys, int64_t n_cols, float factor,
                    const int32_t *first, const int32_t *last, float *max, float *sum,
                    float *shrink)
{
    for (int64_t c = 0; c < n_cols; c++) {
        int64_t lo = first ? HN_MAX(first[c], 0) : 0;
        int64_t hi = first ? HN_MIN(last[c], n_keys) : n_keys;
        float top = max[c], total = 0;
        for (int64_t j = lo; j < hi; j++)
            top = fmaxf(top, s[j * ld + c] * factor);
        for (int64_t j = 0; j < n_keys; j++) {
            float *p = s + j * ld + c;
            *p = j >= lo && j < hi ? expf(*p * factor - top) : 0;
            total += *p;
        }
        shrink[c] = expf(max[c] - top);
        sum[c] = sum[c] * shrink[c] + total;
        max[c] = top;
    }
}

static float element(const struct hn_cpu_rows *x, int64_t row, int64_t i, int64_t hd)
{
    const unsigned char *p = x->data + row * x->size;
    const float *wide = (const float *)(const void *)p;
    switch (x->type) {
    case HN_KV_F16:
        return hn_f16_to_f32(((const uint16_t *)(const void *)p)[i]);
    case HN_KV_Q8_0:
        return wide[i / HN_KV_BLOCK] * (float)((const int8_t *)p + hn_cpu_kv_codes(hd))[i];
    default:
        return wide[i];
    }
}

static void scores_few(float *s, int64_t lds, const struct hn_cpu_rows *k, const float *q,
                       int64_t n_rows, int64_t n_keys, int64_t hd)
{
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t j = 0; j < n_keys; j++) {
            float sum = 0;
            for (int64_t d = 0; d < hd; d++)
                sum += q[r * hd + d] * element(k, j, d, hd);
            s[r * lds + j] = sum;
        }
    }
}

static void softmax_few(float *s, int64_t lds, int64_t n_rows, int64_t n_keys, float scale,
                        const int32_t *first, const int32_t *last, float *max, float *sum,
                        float *shrink)
{
    for (int64_t r = 0; r < n_rows; r++)
        softmax(s + r * lds, 1, n_keys, 1, scale, first ? first + r : NULL, last ? last + r : NULL,
                max + r, sum + r, shrink + r);
}

static void weigh_few(float *y, const float *shrink, const float *s, int64_t lds,
                      const struct hn_cpu_rows *v, int64_t n_rows, int64_t n_keys, int64_t hd)
{
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t d = 0; d < hd; d++) {
            float sum = y[r * hd + d] * shrink[r];
            for (int64_t j = 0; j < n_keys; j++)
                sum += s[r * lds + j] * element(v, j, d, hd);
            y[r * hd + d] = sum;
        }
    }
}

static void softmax_bwd(float *p, float *ds, int64_t ld, int64_t n_rows, int64_t n_cols,
                        float factor, const int32_t *first, const int32_t *last, const float *lse,
                        const float *delta)
{
    for (int64_t r = 0; r < n_rows; r++, p += ld, ds += ld) {
        for (int64_t j = 0; j < n_cols; j++) {
            bool seen = !first || (j >= first[r] && j < last[r]);
            p[j] = seen ? expf(p[j] * factor - lse[r]) : 0;
            ds[j] = seen ? p[j] * (ds[j] - delta[r]) * factor : 0;
        }
    }
}

static void widen(float *y, const struct hn_cpu_rows *x, int64_t n_rows, int64_t hd)
{
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = 0; i < hd; i++)
            y[r * hd + i] = element(x, r, i, hd);
}

static void narrow(uint16_t *y, const float *x, int64_t n)
{
    const float top = HN_F16_MAX;
    for (int64_t i = 0; i < n; i++)
        y[i] = hn_f16_from_f32(x[i] > top ? top : x[i] < -top ? -top : x[i]);
}

float hn_cpu_round_block(int32_t *q, const float *x, int64_t n, int most)
{
    int32_t bits, top = 0; /* as integers, magnitudes order as they should, NaN the last */
    float largest;
    for (int64_t i = 0; i < n; i++) {
        memcpy(&bits, x + i, sizeof bits);
        top = HN_MAX(top, bits & INT32_MAX);
    }
    memcpy(&largest, &top, sizeof largest);
    if (!(largest >= 0x1p-100f && largest < HUGE_VALF)) {
        memset(q, 0, (size_t)n * sizeof *q);
        return largest < 0x1p-100f ? 0.0f : NAN;
    }
    float inverse = (float)most / largest;
    for (int64_t i = 0; i < n; i++)
        q[i] = (int32_t)lrintf(x[i] * inverse);
    return largest / (float)most;
}

const struct hn_cpu_vector hn_cpu_vector_c = {
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
    .transpose = transpose,
    .softmax = softmax,
    .scores_few = scores_few,
    .softmax_few = softmax_few,
    .weigh_few = weigh_few,
    .softmax_bwd = softmax_bwd,
    .widen = widen,
    .narrow = narrow,
};

static void overlay(struct hn_cpu_vector *out, const struct hn_cpu_vector *v)
{
#define SLOT(name) out->name = v->name ? v->name : out->name
    SLOT(rms_norm_fwd);
    SLOT(rms_norm_bwd);
    SLOT(rope);
    SLOT(glu_fwd);
    SLOT(glu_bwd);
    SLOT(add);
    SLOT(scale);
    SLOT(dot);
    SLOT(sum_squares);
    SLOT(adamw);
    SLOT(burn);
    SLOT(product);
    SLOT(transpose);
    SLOT(widen);
    SLOT(narrow);
    SLOT(softmax);
    SLOT(scores_few);
    SLOT(softmax_few);
    SLOT(weigh_few);
    SLOT(softmax_bwd);
#undef SLOT
}

void hn_cpu_vector_select(struct hn_cpu_vector *out, enum hn_cpu_level level)
{
    static const struct {
        enum hn_cpu_level level;
        const struct hn_cpu_vector *table;
    } tables[] = {
        {HN_CPU_NEON, &hn_cpu_vector_neon},
        {HN_CPU_AVX2, &hn_cpu_vector_avx2},
        {HN_CPU_AVX512, &hn_cpu_vector_avx512},
    };
    *out = hn_cpu_vector_c;
    for (size_t i = 0; i < HN_COUNT(tables); i++)
        if (level >= tables[i].level)
            overlay(out, tables[i].table);
}
