/* Textbook double-precision versions of the backend's operations, for comparison: no tiles, no
 * tricks, every formula as it is written in backend.h.  Backward functions are themselves checked
 * against finite differences of the forward ones (op_checks.h). */
#ifndef HN_TEST_ORACLE_H
#define HN_TEST_ORACLE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline void oracle_rms_norm_fwd(double *y, const double *x, const double *w, int64_t runs,
                                       int64_t n, double eps)
{
    for (int64_t t = 0; t < runs; t++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += x[t * n + i] * x[t * n + i];
        double r = 1 / sqrt(sum / (double)n + eps);
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = x[t * n + i] * r * w[i];
    }
}

/* With magnitudes, every term is taken without its sign: the scale against which rounding errors
 * are measured. */
static inline void oracle_rms_norm_bwd(double *dx, const double *dy, const double *x,
                                       const double *w, int64_t runs, int64_t n, double eps,
                                       bool magnitudes)
{
    for (int64_t t = 0; t < runs; t++) {
        double sum = 0, along = 0;
        for (int64_t i = t * n; i < t * n + n; i++) {
            double term = dy[i] * w[i - t * n] * x[i];
            sum += x[i] * x[i];
            along += magnitudes ? fabs(term) : term;
        }
        double r = 1 / sqrt(sum / (double)n + eps);
        for (int64_t i = t * n; i < t * n + n; i++) {
            double direct = r * dy[i] * w[i - t * n], back = r * r * r * x[i] * along / (double)n;
            dx[i] = magnitudes ? fabs(direct) + fabs(back) : direct - back;
        }
    }
}

/* positions [T]; the angle is a float32 product, which is part of the operation's definition. */
static inline void oracle_rope(double *x, const int32_t *positions, int64_t n_tokens,
                               int64_t n_heads, int64_t head_size, int64_t n_freqs,
                               const float *inv_freq, double magnitude, bool back)
{
    for (int64_t t = 0; t < n_tokens; t++) {
        for (int64_t h = 0; h < n_heads; h++) {
            double *p = x + (t * n_heads + h) * head_size;
            for (int64_t i = 0; i < n_freqs; i++) {
                float angle = (float)positions[t] * inv_freq[i];
                double c = cos((double)angle) * magnitude;
                double s = sin((double)angle) * magnitude * (back ? -1 : 1);
                double a = p[i], b = p[i + n_freqs];
                p[i] = a * c - b * s;
                p[i + n_freqs] = b * c + a * s;
            }
        }
    }
}

static inline double oracle_silu(double g)
{
    return g / (1 + exp(-g));
}

static inline double oracle_silu_slope(double g)
{
    double s = 1 / (1 + exp(-g));
    return s * (1 + g * (1 - s));
}

/* One batch's attention: n_seqs sequences at offsets. */
struct oracle_attention {
    int64_t n_seqs, n_heads, n_kv_heads, head_size, window;
    const int32_t *offsets;
    double scale;
};

static inline bool oracle_sees(const struct oracle_attention *a, int64_t query, int64_t key)
{
    return key <= query && (!a->window || key > query - a->window);
}

/* Softmax row of query t (inside its sequence, which starts at token base) and head h into
 * p[t+1]; returns the log-sum-exp. */
static inline double oracle_row(const struct oracle_attention *a, const double *q, const double *k,
                                int64_t base, int64_t t, int64_t h, double *p)
{
    int64_t hd = a->head_size, kh = h / (a->n_heads / a->n_kv_heads);
    double top = -INFINITY, sum = 0;
    for (int64_t s = 0; s <= t; s++) {
        double dot = 0;
        for (int64_t d = 0; d < hd; d++)
            dot += q[((base + t) * a->n_heads + h) * hd + d] *
                   k[((base + s) * a->n_kv_heads + kh) * hd + d];
        p[s] = oracle_sees(a, t, s) ? dot * a->scale : -INFINITY;
        top = fmax(top, p[s]);
    }
    for (int64_t s = 0; s <= t; s++)
        sum += exp(p[s] - top);
    for (int64_t s = 0; s <= t; s++)
        p[s] = exp(p[s] - top) / sum;
    return top + log(sum);
}

/* p: room for the longest sequence. */
static inline void oracle_attention_fwd(const struct oracle_attention *a, double *o, double *lse,
                                        const double *q, const double *k, const double *v,
                                        double *p)
{
    int64_t hd = a->head_size, group = a->n_heads / a->n_kv_heads;
    for (int64_t b = 0; b < a->n_seqs; b++) {
        int64_t base = a->offsets[b], n = a->offsets[b + 1] - base;
        for (int64_t t = 0; t < n; t++) {
            for (int64_t h = 0; h < a->n_heads; h++) {
                int64_t row = (base + t) * a->n_heads + h;
                double l = oracle_row(a, q, k, base, t, h, p);
                if (lse)
                    lse[row] = l;
                for (int64_t d = 0; d < hd; d++) {
                    double sum = 0;
                    for (int64_t s = 0; s <= t; s++)
                        sum += p[s] * v[((base + s) * a->n_kv_heads + h / group) * hd + d];
                    o[row * hd + d] = sum;
                }
            }
        }
    }
}

/* dq, dk, dv are set; magnitudes as above. */
static inline void oracle_attention_bwd(const struct oracle_attention *a, double *dq, double *dk,
                                        double *dv, const double *d_o, const double *q,
                                        const double *k, const double *v, double *p,
                                        bool magnitudes)
{
    int64_t hd = a->head_size, group = a->n_heads / a->n_kv_heads, total = a->offsets[a->n_seqs];
    memset(dq, 0, sizeof *dq * (size_t)(total * a->n_heads * hd));
    memset(dk, 0, sizeof *dk * (size_t)(total * a->n_kv_heads * hd));
    memset(dv, 0, sizeof *dv * (size_t)(total * a->n_kv_heads * hd));
    for (int64_t b = 0; b < a->n_seqs; b++) {
        int64_t base = a->offsets[b], n = a->offsets[b + 1] - base;
        for (int64_t t = 0; t < n; t++) {
            for (int64_t h = 0; h < a->n_heads; h++) {
                int64_t row = (base + t) * a->n_heads + h;
                double delta = 0;
                oracle_row(a, q, k, base, t, h, p);
                for (int pass = 0; pass < 2; pass++) { /* delta first, then the gradients */
                    for (int64_t s = 0; s <= t; s++) {
                        int64_t col = (base + s) * a->n_kv_heads + h / group;
                        double dp = 0;
                        for (int64_t d = 0; d < hd; d++) {
                            double term = d_o[row * hd + d] * v[col * hd + d];
                            dp += magnitudes ? fabs(term) : term;
                        }
                        if (pass == 0) {
                            delta += p[s] * dp;
                            continue;
                        }
                        double ds = p[s] * (magnitudes ? dp + delta : dp - delta) * a->scale;
                        for (int64_t d = 0; d < hd; d++) {
                            double x = k[col * hd + d], y = q[row * hd + d], z = d_o[row * hd + d];
                            dq[row * hd + d] += ds * (magnitudes ? fabs(x) : x);
                            dk[col * hd + d] += ds * (magnitudes ? fabs(y) : y);
                            dv[col * hd + d] += p[s] * (magnitudes ? fabs(z) : z);
                        }
                    }
                }
            }
        }
    }
}

/* One AdamW step on one parameter. */
static inline void oracle_adamw(double *p, double g, double *m, double *v, double lr, double beta1,
                                double beta2, double eps, double decay, int64_t step,
                                bool correction, double grad_scale)
{
    g *= grad_scale;
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    double mh = correction ? *m / (1 - pow(beta1, (double)step)) : *m;
    double vh = correction ? *v / (1 - pow(beta2, (double)step)) : *v;
    *p = *p * (1 - lr * decay) - lr * mh / (sqrt(vh) + eps);
}

#endif
