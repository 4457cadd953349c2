/* Every slot of every level this machine has, against the C kernels: ragged sizes, pointers aligned
 * to 4 bytes only, guard zones on both sides.  HN_TEST_SEED chooses other numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/vector.h"
#include "base/arena.h"
#include "base/rng.h"

enum { GUARD = 32 };
static const float guard = -77777.0f;

/* One level beside C.  Arrays come in pairs: [0] is C's, [1] the level's. */
struct bench {
    const struct hn_cpu_vector *v[2];
    enum hn_cpu_level level;
    const char *slot;
    uint64_t seed;
    struct hn_rng rng;
    struct hn_arena arena;
    double bound[HN_OP_COUNT];
};

struct pair {
    float *p[2];
    int64_t n;
};

static float uniform(struct bench *b, float span)
{
    return (float)(hn_rng_uniform(&b->rng) * 2 - 1) * span;
}

/* n random numbers, twice, at an odd address between two guard zones. */
static struct pair make(struct bench *b, int64_t n, float span)
{
    struct pair out = {.n = n};
    int64_t shift = 1 + (int64_t)hn_rng_below(&b->rng, 15);
    for (int k = 0; k < 2; k++) {
        float *base = hn_arena_alloc(&b->arena, (size_t)(n + 2 * GUARD + 16), sizeof *base);
        assert_non_null(base);
        out.p[k] = base + GUARD + shift;
        for (int64_t i = -GUARD; i < n + GUARD; i++)
            out.p[k][i] = guard;
    }
    for (int64_t i = 0; i < n; i++)
        out.p[0][i] = out.p[1][i] = uniform(b, span);
    return out;
}

/* |level - C| <= bound * scale for all of a pair (scale 0: C's largest magnitude); guards whole. */
static void check(struct bench *b, const struct pair *x, double bound, double scale)
{
    for (int k = 0; k < 2; k++)
        for (int64_t i = 1; i <= GUARD; i++)
            if (x->p[k][-i] != guard || x->p[k][x->n + i - 1] != guard)
                fail_msg("%s of %s, seed %llu: wrote outside of %lld elements", b->slot,
                         hn_cpu_level_name(k ? b->level : HN_CPU_C), (unsigned long long)b->seed,
                         (long long)x->n);
    for (int64_t i = 0; i < x->n && scale == 0; i++)
        scale = fmax(scale, fabs((double)x->p[0][i]));
    double top = 0;
    for (int64_t i = 0; i < x->n; i++)
        top = fmax(top, fabs((double)x->p[0][i]));
    scale = fmax(scale, top);
    for (int64_t i = 0; i < x->n; i++)
        if (!(fabs((double)x->p[0][i] - (double)x->p[1][i]) <= bound * scale))
            fail_msg("%s of %s, seed %llu: element %lld of %lld is %.9g, C has %.9g, bound %.3g",
                     b->slot, hn_cpu_level_name(b->level), (unsigned long long)b->seed,
                     (long long)i, (long long)x->n, (double)x->p[1][i], (double)x->p[0][i],
                     bound * scale);
}

static void check_value(struct bench *b, double c, double got, double tol)
{
    if (!(fabs(c - got) <= tol))
        fail_msg("%s of %s, seed %llu: %.17g, C has %.17g, tolerance %.3g", b->slot,
                 hn_cpu_level_name(b->level), (unsigned long long)b->seed, got, c, tol);
}

static void check_rows(struct bench *b, int64_t rows, int64_t n)
{
    double bound = 2 * b->bound[HN_OP_RMS_NORM]; /* each of the two may be off by one */
    struct pair y = make(b, rows * n, 1), x = make(b, rows * n, 3), w = make(b, n, 2);
    struct pair dy = make(b, rows * n, 1), dx = make(b, rows * n, 1);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        b->slot = "rms_norm_bwd";
        for (int k = 0; k < 2; k++)
            b->v[k]->rms_norm_bwd(dx.p[k], dy.p[k], x.p[k], w.p[k], rows, n, 1e-5f, accumulate);
        check(b, &dx, bound, n == 1 ? 1e3 : 0); /* n = 1: all cancels but eps, at most dy w / x */
    }
    b->slot = "rms_norm_fwd";
    for (int k = 0; k < 2; k++)
        b->v[k]->rms_norm_fwd(y.p[k], x.p[k], w.p[k], rows, n, 1e-5f);
    check(b, &y, bound, 0);
    for (int k = 0; k < 2; k++)
        b->v[k]->rms_norm_fwd(x.p[k], x.p[k], w.p[k], rows, n, 1e-5f);
    check(b, &x, bound, 0);
}

static void check_elements(struct bench *b, int64_t n)
{
    struct pair g = make(b, n, 20), u = make(b, n, 2), a = make(b, n, 1), da = make(b, n, 1);
    struct pair du = make(b, n, 1), dg = make(b, n, 1), y = make(b, n, 1);
    for (int k = 0; k < 2; k++) {
        b->v[k]->glu_fwd(a.p[k], g.p[k], u.p[k], n);
        b->v[k]->glu_bwd(dg.p[k], du.p[k], da.p[k], g.p[k], u.p[k], n);
        b->v[k]->add(y.p[k], u.p[k], n);
    }
    double bound = 2 * b->bound[HN_OP_GLU];
    b->slot = "glu_fwd";
    check(b, &a, bound, 0);
    b->slot = "glu_bwd";
    check(b, &dg, bound, 0);
    check(b, &du, bound, 0);
    b->slot = "add";
    check(b, &y, 0, 0);
    b->slot = "scale";
    for (int k = 0; k < 2; k++)
        b->v[k]->scale(y.p[k], u.p[k], 1.7f, n);
    check(b, &y, 0, 0);
    double terms = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        terms += fabs((double)g.p[0][i] * (double)u.p[0][i]);
        squares += (double)g.p[0][i] * (double)g.p[0][i];
    }
    b->slot = "dot"; /* in order: n u of the terms' magnitudes at most, for each */
    check_value(b, (double)b->v[0]->dot(g.p[0], u.p[0], n), (double)b->v[1]->dot(g.p[1], u.p[1], n),
                2 * (double)n * 0x1p-24 * terms);
    b->slot = "sum_squares";
    check_value(b, b->v[0]->sum_squares(g.p[0], n), b->v[1]->sum_squares(g.p[1], n),
                2 * (double)n * 0x1p-53 * squares);
    struct hn_cpu_adamw c = {0.5f, 0.9f, 0.1f, 0.999f, 0.001f, 0.99f, 1e-2f, 31, 1e-8f};
    struct pair p = make(b, n, 1), m = make(b, n, 1), v = make(b, n, 0);
    b->slot = "adamw";
    for (int step = 0; step < 3; step++)
        for (int k = 0; k < 2; k++)
            b->v[k]->adamw(p.p[k], g.p[k], m.p[k], v.p[k], n, &c);
    bound = 2 * 3 * b->bound[HN_OP_ADAMW];
    check(b, &m, bound, 0);
    check(b, &v, bound, 0);
    check(b, &p, bound, 0);
}

static void check_rope(struct bench *b, int64_t heads, int64_t head_size, int64_t n_freqs)
{
    struct pair x = make(b, heads * head_size, 1), c = make(b, n_freqs, 1), s = make(b, n_freqs, 1);
    b->slot = "rope";
    for (int back = 0; back < 2; back++) {
        for (int k = 0; k < 2; k++)
            b->v[k]->rope(x.p[k], c.p[k], s.p[k], heads, head_size, n_freqs, back);
        check(b, &x, 2 * b->bound[HN_OP_ROPE], 0);
    }
}

static void check_product(struct bench *b, int64_t m, int64_t n, int64_t k)
{
    int64_t gap = (int64_t)hn_rng_below(&b->rng, 5);
    double tol = 2 * (double)(k + 1) * 0x1p-24 * (double)(k + 1); /* terms are at most 1 */
    b->slot = "product";
    for (int turned = 0; turned < 2; turned++) {
        struct pair a = make(b, (m + gap) * (k + gap), 1), x = make(b, k * (n + gap), 1);
        struct pair c = make(b, m * (n + gap), 1);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            for (int i = 0; i < 2; i++)
                b->v[i]->product(c.p[i], n + gap, a.p[i], turned ? 1 : k + gap,
                                 turned ? m + gap : 1, x.p[i], n + gap, m, n, k, accumulate);
            check(b, &c, tol, 1);
        }
        for (int64_t i = 0; i < m; i++) /* what lies between rows is not touched */
            for (int64_t j = n; j < n + gap; j++)
                assert_true(c.p[0][i * (n + gap) + j] == c.p[1][i * (n + gap) + j]);
    }
}

static void check_transpose(struct bench *b, int64_t m, int64_t n)
{
    const float *rows[2][64];
    struct pair x = make(b, m * (n + 7), 1), y = make(b, n * (m + 5), 1);
    b->slot = "transpose";
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < m; i++) /* rows in no order */
            rows[k][i] = x.p[k] + (i * 7 % m) * (n + 7);
        b->v[k]->transpose(y.p[k], m + 5, rows[k], m, n);
    }
    check(b, &y, 0, 0);
}

static void check_softmax(struct bench *b, int64_t n_keys, int64_t n_cols, bool masked, float span)
{
    int64_t ld = n_cols + 3;
    struct pair s = make(b, n_keys * ld, span), max = make(b, n_cols, 1);
    struct pair sum = make(b, n_cols, 1), shrink = make(b, n_cols, 1);
    int32_t first[64], last[64];
    for (int64_t c = 0; c < n_cols; c++) {
        first[c] = (int32_t)hn_rng_below(&b->rng, (uint64_t)n_keys + 1);
        last[c] = first[c] + (int32_t)hn_rng_below(&b->rng, (uint64_t)(n_keys - first[c]) + 1);
        bool fresh = c % 3 == 0;
        max.p[0][c] = max.p[1][c] = fresh ? -1e30f : uniform(b, span);
        sum.p[0][c] = sum.p[1][c] = fresh ? 0 : fabsf(uniform(b, 3));
    }
    b->slot = "softmax";
    for (int k = 0; k < 2; k++)
        b->v[k]->softmax(s.p[k], ld, n_keys, n_cols, 0.3f, masked ? first : NULL,
                         masked ? last : NULL, max.p[k], sum.p[k], shrink.p[k]);
    /* The exponent is rounded like its largest part, 0.3 span; exp adds 2 ulp, C's and ours. */
    double bound = (4 + 2 * 0.3 * (double)span) * 0x1p-24;
    check(b, &max, 0, 0);
    check(b, &shrink, bound, 1);
    check(b, &sum, bound + (double)n_keys * 0x1p-24, 0);
    for (int64_t j = 0; j < n_keys && masked; j++)
        for (int64_t c = 0; c < n_cols; c++)
            if (j < first[c] || j >= last[c])
                assert_true(s.p[1][j * ld + c] == 0);
    for (int64_t j = 0; j < n_keys; j++)
        for (int64_t c = n_cols; c < ld; c++) {
            assert_true(s.p[0][j * ld + c] == s.p[1][j * ld + c]);
            s.p[0][j * ld + c] = s.p[1][j * ld + c] = 0;
        }
    check(b, &s, bound, 1);
}

static void check_softmax_bwd(struct bench *b, int64_t n_rows, int64_t n_cols, bool masked)
{
    int64_t ld = n_cols + 1;
    struct pair p = make(b, n_rows * ld, 5), ds = make(b, n_rows * ld, 1);
    struct pair lse = make(b, n_rows, 1), delta = make(b, n_rows, 1);
    int32_t first[64], last[64];
    for (int64_t r = 0; r < n_rows; r++) {
        first[r] = (int32_t)hn_rng_below(&b->rng, (uint64_t)n_cols + 1);
        last[r] = first[r] + (int32_t)hn_rng_below(&b->rng, (uint64_t)(n_cols - first[r]) + 1);
    }
    b->slot = "softmax_bwd";
    for (int k = 0; k < 2; k++)
        b->v[k]->softmax_bwd(p.p[k], ds.p[k], ld, n_rows, n_cols, 0.3f, masked ? first : NULL,
                             masked ? last : NULL, lse.p[k], delta.p[k]);
    for (int64_t r = 0; r < n_rows; r++)
        assert_true(p.p[0][r * ld + n_cols] == p.p[1][r * ld + n_cols] &&
                    ds.p[0][r * ld + n_cols] == ds.p[1][r * ld + n_cols]);
    check(b, &p, (4 + 2 * 2.5) * 0x1p-24, 0);
    check(b, &ds, (8 + 2 * 2.5) * 0x1p-24, 0);
}

/* A row of keys or values; of Q8_0 any scales and integers. */
static void store_row(struct bench *b, unsigned char *row, enum hn_kv_type type, const float *x,
                      int64_t hd)
{
    float *wide = (float *)(void *)row;
    if (type == HN_KV_F32)
        memcpy(row, x, (size_t)hd * sizeof *x);
    else if (type == HN_KV_F16)
        b->v[0]->narrow((uint16_t *)(void *)row, x, hd);
    for (int64_t i = 0; i < hd && type == HN_KV_Q8_0; i++) {
        wide[i / HN_KV_BLOCK] = (1 + (float)hn_rng_uniform(&b->rng)) / 256;
        row[hn_cpu_kv_codes(hd) + i] = (unsigned char)hn_rng_below(&b->rng, 256);
    }
}

/* The three steps of few query rows, over keys and values of a type. */
static void check_few(struct bench *b, int64_t n_keys, int64_t n_rows, int64_t hd,
                      enum hn_kv_type type)
{
    int64_t size = hn_cpu_kv_row_size(type, hd) + 12,
            room = (n_keys + HN_CPU_LANES - 1) / HN_CPU_LANES * HN_CPU_LANES;
    int64_t lds = room + 5;
    struct pair s = make(b, n_rows * lds, 1), q = make(b, n_rows * hd, 1);
    struct pair x = make(b, n_keys * hd, 1), wide = make(b, n_keys * hd, 1);
    struct pair y = make(b, n_rows * hd, 1), max = make(b, n_rows, 1), sum = make(b, n_rows, 1);
    struct pair shrink = make(b, n_rows, 1);
    unsigned char *stored = hn_arena_alloc(&b->arena, (size_t)(n_keys * size), sizeof(float));
    assert_non_null(stored);
    for (int64_t j = 0; j < n_keys; j++)
        store_row(b, stored + j * size, type, x.p[0] + j * hd, hd);
    int32_t first[16], last[16];
    for (int64_t r = 0; r < n_rows; r++) {
        first[r] = (int32_t)hn_rng_below(&b->rng, (uint64_t)n_keys + 1) - 2;
        last[r] = first[r] + (int32_t)hn_rng_below(&b->rng, (uint64_t)(n_keys - first[r]) + 3);
    }
    bool masked = hn_rng_below(&b->rng, 2);
    struct hn_cpu_rows rows[2] = {{stored, size, type, NULL}, {stored, size, type, stored}};
    for (int i = 0; i < 2; i++)
        b->v[i]->widen(wide.p[i], &rows[i], n_keys, hd);
    b->slot = "widen";
    check(b, &wide, 0, 0);
    double exact = 2 * (double)hd * 0x1p-24 * (double)hd;
    for (int step = 0; step < 3; step++) {
        static const char *const slots[] = {"scores_few", "softmax_few", "weigh_few"};
        b->slot = slots[step];
        for (int i = 0; i < 2; i++) {
            if (step == 0)
                b->v[i]->scores_few(s.p[i], lds, &rows[i], q.p[i], n_rows, n_keys, hd);
            else if (step == 1)
                b->v[i]->softmax_few(s.p[i], lds, n_rows, n_keys, 0.3f, masked ? first : NULL,
                                     masked ? last : NULL, max.p[i], sum.p[i], shrink.p[i]);
            else
                b->v[i]->weigh_few(y.p[i], shrink.p[0], s.p[i], lds, &rows[i], n_rows, n_keys, hd);
        }
        for (int64_t r = 0; r < n_rows; r++) { /* what lies between rows is not touched */
            for (int64_t j = room; j < lds; j++)
                assert_true(s.p[0][r * lds + j] == s.p[1][r * lds + j]);
            for (int64_t j = n_keys; j < room; j++)
                s.p[0][r * lds + j] = s.p[1][r * lds + j] = 0;
        }
        check(b, &s, step ? 0x1p-20 : exact, 1); /* exponents up to 0.3 hd, and 2 ulp */
        if (step < 2)
            memcpy(s.p[1], s.p[0], sizeof(float) * (size_t)s.n);
    }
    for (int64_t r = 0; r < n_rows && masked; r++)
        for (int64_t j = 0; j < n_keys; j++)
            if (j < first[r] || j >= last[r])
                assert_true(s.p[1][r * lds + j] == 0);
    check(b, &max, exact, 1);
    check(b, &shrink, 0x1p-20, 1);
    check(b, &sum, 0x1p-20 + (double)n_keys * 0x1p-24, 0);
    check(b, &y, 2 * (double)(n_keys + 1) * 0x1p-24 * (double)(n_keys + 1), 1);
}

/* exp, seen through softmax: one key, largest 0. */
static void check_exp(struct bench *b)
{
    float top[HN_CPU_LANES] = {0}, sum[HN_CPU_LANES], shrink[HN_CPU_LANES];
    double worst = 0;
    b->slot = "exp";
    for (int i = 0; i < 4000; i++) {
        float s[HN_CPU_LANES], x[HN_CPU_LANES];
        for (int c = 0; c < HN_CPU_LANES; c++) {
            s[c] = x[c] = -(float)hn_rng_uniform(&b->rng) * (i % 2 ? 87.0f : 2.0f);
            top[c] = sum[c] = 0;
        }
        b->v[1]->softmax(s, HN_CPU_LANES, 1, HN_CPU_LANES, 1, NULL, NULL, top, sum, shrink);
        for (int c = 0; c < HN_CPU_LANES; c++) {
            double want = exp((double)x[c]), ulp = ldexp(1, (int)floor(log2(want)) - 23);
            worst = fmax(worst, fabs((double)s[c] - want) / ulp);
        }
    }
    check_value(b, 0, worst, 2);
    float far[HN_CPU_LANES] = {-88, -95, -104, -200, -1e30f, -INFINITY, 0, NAN};
    b->v[1]->softmax(far, HN_CPU_LANES, 1, HN_CPU_LANES, 1, NULL, NULL, top, sum, shrink);
    assert_true(far[0] >= 0 && far[0] < 1e-38f && far[1] < 1e-40f && far[3] == 0);
    assert_true(far[4] == 0 && far[5] == 0 && far[6] == 1);
    assert_true(isnan(far[7]));
}

/* All 65536 patterns there and back, and the numbers between them: bit for bit what C gives. */
static void check_halves(struct bench *b)
{
    enum { N = 65536, EXTRA = 5 };
    uint16_t *in = hn_arena_alloc(&b->arena, sizeof *in * (N + EXTRA), sizeof *in);
    uint16_t *out[2];
    struct pair wide = make(b, N, 1);
    for (int k = 0; k < 2; k++)
        out[k] = hn_arena_alloc(&b->arena, sizeof *in * (N + EXTRA), sizeof *in);
    assert_true(in && out[0] && out[1]);
    for (int i = 0; i < N; i++)
        in[i] = (uint16_t)i;
    const struct hn_cpu_rows all = {(unsigned char *)in, sizeof *in * N, HN_KV_F16, NULL};
    for (int k = 0; k < 2; k++)
        b->v[k]->widen(wide.p[k], &all, 1, N);
    for (int i = 0; i < N; i++)
        if (!isnan(wide.p[0][i]) || !isnan(wide.p[1][i]))
            assert_memory_equal(&wide.p[0][i], &wide.p[1][i], sizeof(float));
    for (int round = 0; round < 3; round++) {
        static const float factor[] = {1, 1.000244140625f, 1.0003f}; /* exact, ties, neither */
        int n = round ? N - 3 : N;                                   /* a ragged end too */
        for (int i = 0; i < N && round; i++)
            wide.p[0][i] *= factor[round];
        for (int k = 0; k < 2; k++)
            b->v[k]->narrow(out[k], wide.p[0], n);
        for (int i = 0; i < n; i++) {
            float x = wide.p[0][i];
            if (isnan(x)) {
                assert_true((out[1][i] & 0x7fff) > 0x7c00); /* and stays one */
                continue;
            }
            assert_int_equal(out[0][i], out[1][i]);
            assert_true((out[1][i] & 0x7fff) <= 0x7bff); /* never infinite */
            if (!round && !isinf(x))
                assert_int_equal(out[1][i], i);
        }
    }
}

static void check_level(struct bench *b)
{
    static const int64_t ragged[] = {1,  2,  3,  4,  5,  7,  8,  9,   15,
                                     16, 17, 31, 33, 63, 64, 65, 100, 576};
    for (size_t i = 0; i < HN_COUNT(ragged); i++) {
        int64_t n = ragged[i];
        check_rows(b, 1 + (int64_t)i % 3, n);
        check_elements(b, n);
        check_rope(b, 1 + (int64_t)i % 3, 2 * n, n);
        check_rope(b, 2, 2 * n + 3, n);
        check_product(b, 1 + (int64_t)hn_rng_below(&b->rng, 20), HN_MIN(n, 200), 5);
        check_product(b, HN_MIN(n, 66), 1 + (int64_t)hn_rng_below(&b->rng, 130), n % 40);
        for (int type = HN_KV_F32; type <= HN_KV_Q8_0; type++) {
            check_few(b, HN_MIN(n, 130), 1 + (int64_t)i % 16,
                      1 + (int64_t)hn_rng_below(&b->rng, 140), (enum hn_kv_type)type);
            check_few(b, HN_MIN(n, 130), 1 + (int64_t)i % 5, 64, (enum hn_kv_type)type);
        }
        check_transpose(b, HN_MIN(n, 64), 1 + (int64_t)hn_rng_below(&b->rng, 70));
        check_softmax(b, HN_MIN(n, 64), 16 + 16 * ((int64_t)i % 4), i % 2, i % 3 ? 8 : 100);
        check_softmax_bwd(b, HN_MIN(n, 64), 16 + 16 * ((int64_t)i % 4), i % 2);
        hn_arena_release(&b->arena);
        hn_arena_init(&b->arena, 0);
    }
    check_elements(b, 0);
    check_exp(b);
    check_halves(b);
}

static void slots_match_c(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hn_device *dev = NULL;
    const char *seed = getenv("HN_TEST_SEED");
    struct bench b = {.seed = seed ? strtoull(seed, NULL, 10) : 2026};
    struct hn_device_options o = {.n_threads = 1};
    if (hn_backend_cpu.open(&o, &dev, &err))
        fail_msg("%s", err.message);
    for (int op = 0; op < HN_OP_COUNT; op++)
        b.bound[op] = hn_backend_cpu.op_info(dev, op).bound;
    hn_backend_cpu.close(&dev);
    for (int level = HN_CPU_C; level <= HN_CPU_AVX512; level++) {
        struct hn_cpu_vector v;
        if (!hn_cpu_level_available(level))
            continue;
        hn_cpu_vector_select(&v, level);
        b.v[0] = &hn_cpu_vector_c;
        b.v[1] = &v;
        b.level = level;
        hn_rng_init(&b.rng, b.seed, (uint32_t)level);
        hn_arena_init(&b.arena, 0);
        check_level(&b);
        hn_arena_release(&b.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slots_match_c)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
