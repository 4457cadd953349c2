/* Checks of one backend's operations against the oracle, written against the interface so that
 * every backend can run them: test/backend/NAME/test_ops.c opens devices and calls op_check_all.
 * Tolerances are the device's own promises (op_info), never more. */
#ifndef HN_TEST_OP_CHECKS_H
#define HN_TEST_OP_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "backend/oracle.h"
#include "base/arena.h"
#include "base/rng.h"

enum { LAB_TENSORS = 24, LAB_GUARD = 16 };

/* A device with some tensors, each followed by a guard zone, and their values in double. */
struct lab {
    const struct hn_backend *be;
    struct hn_device *dev;
    uint64_t seed;
    struct hn_rng rng;
    struct hn_arena host;
    struct hn_tensor tensors[LAB_TENSORS], guards[LAB_TENSORS];
    int n;
    void *arena;
    const char *what; /* the check that runs, for messages */
};

static inline struct hn_tensor *lab_tensor(struct lab *lab, int64_t rows, int64_t cols)
{
    assert_true(lab->n < LAB_TENSORS);
    struct hn_tensor *t = &lab->tensors[lab->n++];
    *t = (struct hn_tensor){.rows = rows, .rows_max = rows, .cols = cols, .dtype = HN_F32};
    return t;
}

static inline void *lab_alloc(struct lab *lab, int64_t n, size_t size)
{
    void *p = hn_arena_alloc(&lab->host, (size_t)n, size);
    assert_non_null(p);
    return p;
}

static inline int64_t lab_count(const struct hn_tensor *t)
{
    return t->rows * t->cols;
}

static inline void lab_bind(struct lab *lab)
{
    struct hone_err err = {0};
    struct hn_tensor *all[2 * LAB_TENSORS];
    size_t at = 0;
    for (int i = 0; i < lab->n; i++) {
        lab->tensors[i].offset = at;
        at += ((size_t)lab_count(&lab->tensors[i]) * 4 + 63) / 64 * 64;
        lab->guards[i] =
            (struct hn_tensor){.rows = 1, .rows_max = 1, .cols = LAB_GUARD, .offset = at};
        at += 64;
        all[2 * i] = &lab->tensors[i];
        all[2 * i + 1] = &lab->guards[i];
    }
    if (lab->be->bind(lab->dev, all, (size_t)lab->n * 2, at, &lab->arena, &err))
        fail_msg("bind: %s", err.message);
    float guard[LAB_GUARD];
    for (int i = 0; i < LAB_GUARD; i++)
        guard[i] = -12345.0f - (float)i;
    for (int i = 0; i < lab->n; i++)
        lab->be->write(lab->dev, &lab->guards[i], guard);
}

/* Ends a check: the guards still stand; everything is freed. */
static inline void lab_clear(struct lab *lab)
{
    struct hone_err err = {0};
    for (int i = 0; i < lab->n; i++) {
        float guard[LAB_GUARD] = {0};
        assert_int_equal(lab->be->read(lab->dev, &lab->guards[i], guard, &err), 0);
        for (int k = 0; k < LAB_GUARD; k++)
            if (guard[k] != -12345.0f - (float)k)
                fail_msg("%s on %s, seed %llu: wrote past tensor %d", lab->what,
                         lab->be->describe(lab->dev), (unsigned long long)lab->seed, i);
    }
    lab->be->unbind(lab->dev, &lab->arena);
    hn_arena_release(&lab->host);
    hn_arena_init(&lab->host, 0);
    lab->n = 0;
}

static inline double lab_uniform(struct lab *lab, double span)
{
    return (float)((hn_rng_uniform(&lab->rng) * 2 - 1) * span);
}

static inline void lab_put(struct lab *lab, struct hn_tensor *t, const double *x)
{
    float *f = lab_alloc(lab, lab_count(t), sizeof *f);
    for (int64_t i = 0; i < lab_count(t); i++)
        f[i] = (float)x[i];
    lab->be->write(lab->dev, t, f);
}

/* Random values in [-span, span], on the device and here. */
static inline double *lab_random(struct lab *lab, struct hn_tensor *t, double span)
{
    double *x = lab_alloc(lab, lab_count(t), sizeof *x);
    for (int64_t i = 0; i < lab_count(t); i++)
        x[i] = lab_uniform(lab, span);
    lab_put(lab, t, x);
    return x;
}

static inline float *lab_get(struct lab *lab, const struct hn_tensor *t)
{
    struct hone_err err = {0};
    float *f = lab_alloc(lab, lab_count(t), sizeof *f);
    if (lab->be->eval(lab->dev, &err) || lab->be->read(lab->dev, t, f, &err))
        fail_msg("%s: %s", lab->what, err.message);
    return f;
}

static inline double largest(const double *x, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, fabs(x[i]));
    return top;
}

/* |t - want| <= bound * scale everywhere; scale 0: the largest magnitude of want. */
static inline void lab_expect(struct lab *lab, const struct hn_tensor *t, const double *want,
                              double scale, double bound, const char *name)
{
    const float *got = lab_get(lab, t);
    double tol = bound * (scale > 0 ? scale : largest(want, lab_count(t))), worst = 0;
    for (int64_t i = 0; i < lab_count(t); i++) {
        double d = fabs(got[i] - want[i]);
        worst = fmax(worst, d);
        if (!(d <= tol))
            fail_msg("%s of %s on %s, seed %llu: [%lld, %lld] is %.9g, should be %.9g within %.3g",
                     name, lab->what, lab->be->describe(lab->dev), (unsigned long long)lab->seed,
                     (long long)(i / t->cols), (long long)(i % t->cols), (double)got[i], want[i],
                     tol);
    }
    if (getenv("OP_CHECKS_VERBOSE"))
        fprintf(stderr, "%-28s %-8s %.3f of the bound\n", lab->what, name,
                tol > 0 ? worst / tol : 0);
}

static inline double lab_bound(const struct lab *lab, enum hn_op op)
{
    struct hn_op_info info = lab->be->op_info(lab->dev, op);
    assert_int_equal(info.class, HN_CLASS_EXACT);
    return info.bound;
}

/* ---- norm --------------------------------------------------------------------------------------
 */

struct lab_weight {
    struct hn_matrix m;
    struct hn_weight *w;
    double *values;
};

static inline struct lab_weight lab_vector_weight(struct lab *lab, int64_t n)
{
    struct hone_err err = {0};
    struct lab_weight out = {0};
    float *f = lab_alloc(lab, n, sizeof *f);
    out.values = lab_alloc(lab, n, sizeof *out.values);
    for (int64_t i = 0; i < n; i++)
        out.values[i] = f[i] = (float)(1 + lab_uniform(lab, 0.5));
    out.m = (struct hn_matrix){.layout = HN_LAYOUT_F32,
                               .rows = 1,
                               .cols = n,
                               .data = (const unsigned char *)f,
                               .row_size = (size_t)n * 4};
    if (lab->be->weight_open(lab->dev, &out.m, &out.w, &err))
        fail_msg("weight_open: %s", err.message);
    return out;
}

/* x [rows, heads*n] under a weight of n. */
static inline void check_rms_norm(struct lab *lab, int64_t rows, int64_t heads, int64_t n)
{
    lab->what = "rms_norm";
    struct hn_batch batch = {.n_tokens = rows};
    struct hn_tensor *x = lab_tensor(lab, rows, heads * n), *y = lab_tensor(lab, rows, heads * n);
    struct hn_tensor *dy = lab_tensor(lab, rows, heads * n);
    struct hn_tensor *dx = lab_tensor(lab, rows, heads * n);
    lab_bind(lab);
    struct lab_weight w = lab_vector_weight(lab, n);
    double bound = lab_bound(lab, HN_OP_RMS_NORM);
    const float eps = 1e-5f;
    int64_t runs = rows * heads, size = runs * n;
    double *xs = lab_random(lab, x, 3), *dys = lab_random(lab, dy, 1);
    double *dxs = lab_random(lab, dx, 1);
    double *want = lab_alloc(lab, size, sizeof *want), *add = lab_alloc(lab, size, sizeof *add);
    double *magnitude = lab_alloc(lab, size, sizeof *magnitude);
    lab->be->begin(lab->dev, &batch);
    lab->be->rms_norm_fwd(lab->dev, y, x, w.w, eps);
    oracle_rms_norm_fwd(want, xs, w.values, runs, n, (double)eps);
    lab_expect(lab, y, want, 0, bound, "y");
    lab_expect(lab, x, xs, 0, 0, "x");

    oracle_rms_norm_bwd(add, dys, xs, w.values, runs, n, (double)eps, false);
    oracle_rms_norm_bwd(magnitude, dys, xs, w.values, runs, n, (double)eps, true);
    double top = largest(magnitude, size);
    for (int64_t i = 0; i < size; i++)
        dxs[i] += add[i];
    lab->be->rms_norm_bwd(lab->dev, dx, dy, x, w.w, eps, true);
    lab_expect(lab, dx, dxs, top, bound, "dx +=");
    lab->be->rms_norm_bwd(lab->dev, dx, dy, x, w.w, eps, false);
    lab_expect(lab, dx, add, top, bound, "dx =");
    lab->be->rms_norm_bwd(lab->dev, dy, dy, x, w.w, eps, false);
    lab_expect(lab, dy, add, top, bound, "dx over dy");
    lab->be->rms_norm_fwd(lab->dev, x, x, w.w, eps);
    lab_expect(lab, x, want, 0, bound, "in place");

    /* the oracle itself */
    for (int k = 0; k < 20; k++) {
        int64_t i = (int64_t)hn_rng_below(&lab->rng, (uint64_t)size), at = i / n * n;
        double keep = xs[i], h = 1e-5, up = 0, down = 0;
        for (int side = 0; side < 2; side++) {
            xs[i] = keep + (side ? h : -h);
            oracle_rms_norm_fwd(want + at, xs + at, w.values, 1, n, (double)eps);
            for (int64_t c = 0; c < n; c++)
                *(side ? &up : &down) += want[at + c] * dys[at + c];
        }
        xs[i] = keep;
        if (fabs((up - down) / (2 * h) - add[i]) > 1e-6 * (1 + fabs(add[i])))
            fail_msg("rms_norm oracle: slope %g, backward %g", (up - down) / (2 * h), add[i]);
    }
    lab->be->weight_close(lab->dev, &w.w);
    lab_clear(lab);
}

/* ---- rope --------------------------------------------------------------------------------------
 */

static inline void check_rope(struct lab *lab, int64_t rows, int64_t heads, int64_t head_size,
                              int64_t n_freqs, float magnitude)
{
    lab->what = "rope";
    int32_t *positions = lab_alloc(lab, rows, sizeof *positions);
    float *inv_freq = lab_alloc(lab, n_freqs, sizeof *inv_freq);
    for (int64_t t = 0; t < rows; t++)
        positions[t] = (int32_t)hn_rng_below(&lab->rng, t % 2 ? 40 : 32768);
    for (int64_t i = 0; i < n_freqs; i++)
        inv_freq[i] = (float)pow(10000, -(double)i / (double)n_freqs);
    struct hn_batch batch = {.n_tokens = rows, .positions = positions};
    struct hn_rope rope = {head_size, n_freqs, inv_freq, magnitude};
    struct hn_tensor *x = lab_tensor(lab, rows, heads * head_size);
    struct hn_tensor *dx = lab_tensor(lab, rows, heads * head_size);
    lab_bind(lab);
    double *xs = lab_random(lab, x, 2), *dxs = lab_random(lab, dx, 2);
    double bound = lab_bound(lab, HN_OP_ROPE);
    lab->be->begin(lab->dev, &batch);
    lab->be->rope_fwd(lab->dev, x, &rope);
    oracle_rope(xs, positions, rows, heads, head_size, n_freqs, inv_freq, (double)magnitude, false);
    lab_expect(lab, x, xs, 0, bound, "x");
    lab->be->rope_bwd(lab->dev, dx, &rope);
    oracle_rope(dxs, positions, rows, heads, head_size, n_freqs, inv_freq, (double)magnitude, true);
    lab_expect(lab, dx, dxs, 0, bound, "dx");

    /* Other positions in the next step: nothing of the last one may linger. */
    for (int64_t t = 0; t < rows; t++)
        positions[t] = (int32_t)t;
    lab_put(lab, x, xs);
    for (int64_t i = 0; i < lab_count(x); i++)
        xs[i] = (float)xs[i];
    lab->be->begin(lab->dev, &batch);
    lab->be->rope_fwd(lab->dev, x, &rope);
    oracle_rope(xs, positions, rows, heads, head_size, n_freqs, inv_freq, (double)magnitude, false);
    lab_expect(lab, x, xs, 0, bound, "x again");
    lab_clear(lab);
}

/* ---- attention ---------------------------------------------------------------------------------
 */

struct attention_case {
    const char *name;
    int64_t n_seqs;
    int32_t lengths[6];
    struct hn_attention shape; /* scale 0: 1/sqrt(HD) */
};

/* Offsets of the case's sequences; returns the number of tokens. */
static inline int64_t lab_offsets(struct lab *lab, const struct attention_case *c, int32_t **out,
                                  int64_t *longest)
{
    int32_t *offsets = lab_alloc(lab, c->n_seqs + 1, sizeof *offsets);
    *longest = 0;
    for (int64_t b = 0; b < c->n_seqs; b++) {
        offsets[b + 1] = offsets[b] + c->lengths[b];
        *longest = HN_MAX(*longest, c->lengths[b]);
    }
    *out = offsets;
    return offsets[c->n_seqs];
}

/* d(sum(d_o * o))/dx[i] by central differences, against the oracle's own backward pass. */
static inline void check_attention_slope(struct lab *lab, const struct oracle_attention *a,
                                         double *q, double *k, double *v, const double *d_o,
                                         double *o, double *p, double *x, int64_t n,
                                         const double *dx)
{
    int64_t total = a->offsets[a->n_seqs] * a->n_heads * a->head_size;
    for (int trial = 0; trial < 6; trial++) {
        int64_t i = (int64_t)hn_rng_below(&lab->rng, (uint64_t)n);
        double keep = x[i], h = 1e-5, sum[2] = {0};
        for (int side = 0; side < 2; side++) {
            x[i] = keep + (side ? h : -h);
            oracle_attention_fwd(a, o, NULL, q, k, v, p);
            for (int64_t c = 0; c < total; c++)
                sum[side] += o[c] * d_o[c];
        }
        x[i] = keep;
        double slope = (sum[1] - sum[0]) / (2 * h);
        if (fabs(slope - dx[i]) > 1e-6 * (1 + fabs(dx[i])))
            fail_msg("attention oracle: slope %g, backward %g", slope, dx[i]);
    }
}

static inline void check_attention(struct lab *lab, const struct attention_case *c, bool slopes)
{
    lab->what = c->name;
    struct hn_attention s = c->shape;
    s.scale = s.scale ? s.scale : (float)(1 / sqrt((double)s.head_size));
    int32_t *offsets;
    int64_t longest, n = lab_offsets(lab, c, &offsets, &longest);
    int64_t qw = s.n_heads * s.head_size, kw = s.n_kv_heads * s.head_size;
    struct hn_batch batch = {.n_tokens = n, .n_seqs = c->n_seqs, .offsets = offsets};
    struct oracle_attention a = {c->n_seqs, s.n_heads, s.n_kv_heads,   s.head_size,
                                 s.window,  offsets,   (double)s.scale};
    struct hn_tensor *q = lab_tensor(lab, n, qw), *k = lab_tensor(lab, n, kw);
    struct hn_tensor *v = lab_tensor(lab, n, kw), *o = lab_tensor(lab, n, qw);
    struct hn_tensor *lse = lab_tensor(lab, n, s.n_heads), *d_o = lab_tensor(lab, n, qw);
    struct hn_tensor *dq = lab_tensor(lab, n, qw), *dk = lab_tensor(lab, n, kw);
    struct hn_tensor *dv = lab_tensor(lab, n, kw);
    lab_bind(lab);
    double *qs = lab_random(lab, q, 2), *ks = lab_random(lab, k, 2), *vs = lab_random(lab, v, 1);
    double *dos = lab_random(lab, d_o, 1);
    double *want = lab_alloc(lab, n * qw, sizeof *want), *p = lab_alloc(lab, longest, sizeof *p);
    double *lses = lab_alloc(lab, n * s.n_heads, sizeof *lses);
    double *g[6];
    for (int i = 0; i < 6; i++)
        g[i] = lab_alloc(lab, i % 3 ? n * kw : n * qw, sizeof *g[i]);
    double bound = lab_bound(lab, HN_OP_ATTENTION);
    lab_random(lab, dq, 9); /* must be replaced, not added to */
    lab_random(lab, dk, 9);
    lab_random(lab, dv, 9);

    lab->be->begin(lab->dev, &batch);
    lab->be->attention_fwd(lab->dev, o, lse, q, k, v, &s);
    oracle_attention_fwd(&a, want, lses, qs, ks, vs, p);
    lab_expect(lab, o, want, largest(vs, n * kw), bound, "o");
    lab_expect(lab, lse, lses, 0, bound, "lse");
    lab->be->attention_bwd(lab->dev, dq, dk, dv, d_o, q, k, v, o, lse, &s);
    oracle_attention_bwd(&a, g[0], g[1], g[2], dos, qs, ks, vs, p, false);
    oracle_attention_bwd(&a, g[3], g[4], g[5], dos, qs, ks, vs, p, true);
    lab_expect(lab, dq, g[0], largest(g[3], n * qw), bound, "dq");
    lab_expect(lab, dk, g[1], largest(g[4], n * kw), bound, "dk");
    lab_expect(lab, dv, g[2], largest(g[5], n * kw), bound, "dv");
    const float *dq_first = lab_get(lab, dq);
    for (int64_t b = 0; b < c->n_seqs; b++) /* one key alone: no rounding either */
        for (int64_t i = 0; i < (s.window == 1 ? c->lengths[b] : c->lengths[b] > 0) * qw; i++)
            assert_true(dq_first[offsets[b] * qw + i] == 0.0f);
    if (slopes) {
        check_attention_slope(lab, &a, qs, ks, vs, dos, want, p, qs, n * qw, g[0]);
        check_attention_slope(lab, &a, qs, ks, vs, dos, want, p, ks, n * kw, g[1]);
        check_attention_slope(lab, &a, qs, ks, vs, dos, want, p, vs, n * kw, g[2]);
    }
    lab_clear(lab);
}

/* What a cache of the type makes of one head's keys or values. */
static inline void round_head(enum hn_kv_type type, double *x, int64_t n)
{
    for (int64_t i = 0; i < n && type == HN_KV_F16; i++)
        x[i] = (double)hn_f16_to_f32(hn_f16_from_f32((float)x[i]));
    for (int64_t b = 0; b < n && type == HN_KV_Q8_0; b += HN_KV_BLOCK) {
        int64_t end = HN_MIN(n, b + HN_KV_BLOCK);
        double most = 0;
        for (int64_t i = b; i < end; i++)
            most = fmax(most, fabs(x[i]));
        for (int64_t i = b; i < end && most > 0; i++) /* scaled in float32, where ties are seen */
            x[i] = (double)rintf((float)x[i] * (127 / (float)most)) * (double)((float)most / 127);
    }
}

/* The case's sequences pushed through a cache in pieces: sequence b lives in slot n_seqs-1-b, and
 * in each step gets its next 1 to max_step tokens (some get none).  The outputs together are those
 * of plain attention, of the rounded keys and values where the cache rounds them. */
static inline void check_cached(struct lab *lab, const struct attention_case *c, int32_t max_step,
                                enum hn_kv_type type)
{
    lab->what = c->name;
    struct hone_err err = {0};
    struct hn_attention s = c->shape;
    s.scale = s.scale ? s.scale : (float)(1 / sqrt((double)s.head_size));
    int32_t *offsets, done[6] = {0};
    int64_t longest, n = lab_offsets(lab, c, &offsets, &longest), layer = 1;
    int64_t qw = s.n_heads * s.head_size, kw = s.n_kv_heads * s.head_size;
    struct oracle_attention a = {c->n_seqs, s.n_heads, s.n_kv_heads,   s.head_size,
                                 s.window,  offsets,   (double)s.scale};
    struct hn_tensor *q = lab_tensor(lab, n, qw), *k = lab_tensor(lab, n, kw);
    struct hn_tensor *v = lab_tensor(lab, n, kw), *o = lab_tensor(lab, n, qw);
    lab_bind(lab);
    double *qs = lab_random(lab, q, 2), *ks = lab_random(lab, k, 2), *vs = lab_random(lab, v, 1);
    double *want = lab_alloc(lab, n * qw, sizeof *want), *p = lab_alloc(lab, longest, sizeof *p);
    double bound = lab_bound(lab, HN_OP_ATTENTION), top = largest(vs, n * kw);
    for (int64_t i = 0; i < n * s.n_kv_heads; i++) {
        round_head(type, ks + i * s.head_size, s.head_size);
        round_head(type, vs + i * s.head_size, s.head_size);
    }
    oracle_attention_fwd(&a, want, NULL, qs, ks, vs, p);
    float *qf = lab_get(lab, q), *kf = lab_get(lab, k), *vf = lab_get(lab, v);
    float *part = lab_alloc(lab, n * qw, sizeof *part);
    struct hn_kv *kv = NULL;
    const struct hn_kv_shape cache = {2, c->n_seqs, longest, s.n_kv_heads, s.head_size, type};
    if (lab->be->kv_open(lab->dev, &cache, &kv, &err))
        fail_msg("kv_open: %s", err.message);
    for (int64_t left = n, step = 0; left > 0; step++) {
        int32_t at[7] = {0}, slots[6], past[6], from[6];
        int64_t n_seqs = 0;
        for (int64_t b = 0; b < c->n_seqs; b++) {
            int32_t take = 1 + (int32_t)hn_rng_below(&lab->rng, (uint64_t)max_step);
            take = HN_MIN(take, c->lengths[b] - done[b]);
            if (take == 0 || (c->n_seqs > 1 && hn_rng_below(&lab->rng, 4) == 0))
                continue;
            slots[n_seqs] = (int32_t)(c->n_seqs - 1 - b);
            past[n_seqs] = done[b];
            from[n_seqs] = offsets[b] + done[b];
            at[n_seqs + 1] = at[n_seqs] + take;
            n_seqs++;
            done[b] += take;
        }
        if (n_seqs == 0)
            continue;
        q->rows = k->rows = v->rows = o->rows = at[n_seqs];
        struct hn_tensor *ts[3] = {q, k, v};
        float *all[3] = {qf, kf, vf};
        for (int i = 0; i < 3; i++) {
            for (int64_t b = 0; b < n_seqs; b++)
                memcpy(part + at[b] * ts[i]->cols, all[i] + from[b] * ts[i]->cols,
                       sizeof *part * (size_t)((at[b + 1] - at[b]) * ts[i]->cols));
            lab->be->write(lab->dev, ts[i], part);
        }
        struct hn_batch batch = {
            .n_tokens = at[n_seqs], .n_seqs = n_seqs, .offsets = at, .slots = slots, .past = past};
        lab->be->begin(lab->dev, &batch);
        lab->be->attention_cached(lab->dev, o, q, k, v, kv, layer, &s);
        if (lab->be->eval(lab->dev, &err) || lab->be->read(lab->dev, o, part, &err))
            fail_msg("%s: %s", lab->what, err.message);
        for (int64_t b = 0; b < n_seqs; b++)
            for (int64_t i = 0; i < (at[b + 1] - at[b]) * qw; i++) {
                double got = part[at[b] * qw + i], should = want[from[b] * qw + i];
                if (!(fabs(got - should) <= bound * top))
                    fail_msg("cached %s on %s, seed %llu, step %lld, past %d: %.9g, not %.9g",
                             lab->what, lab->be->describe(lab->dev), (unsigned long long)lab->seed,
                             (long long)step, past[b], got, should);
            }
        left -= at[n_seqs];
    }
    q->rows = k->rows = v->rows = o->rows = n;
    lab->be->kv_close(lab->dev, &kv);
    assert_null(kv);
    lab_clear(lab);
}

/* ---- the rest ----------------------------------------------------------------------------------
 */

static inline void check_glu(struct lab *lab, int64_t rows, int64_t cols)
{
    lab->what = "glu";
    struct hn_batch batch = {.n_tokens = rows};
    struct hn_tensor *gate = lab_tensor(lab, rows, cols), *up = lab_tensor(lab, rows, cols);
    struct hn_tensor *a = lab_tensor(lab, rows, cols), *da = lab_tensor(lab, rows, cols);
    struct hn_tensor *dgate = lab_tensor(lab, rows, cols), *dup = lab_tensor(lab, rows, cols);
    lab_bind(lab);
    int64_t n = rows * cols;
    double *g = lab_random(lab, gate, 12), *u = lab_random(lab, up, 2), *d = lab_random(lab, da, 1);
    double *want[3], bound = lab_bound(lab, HN_OP_GLU);
    const double ends[] = {-3e38, -200, -100, -88.5, -87, -30, 0, 30, 87, 89, 200};
    for (int64_t i = 0; i < n; i++)
        if (i % 37 == 5) { /* far arguments; up is tiny so that they do not set the scale */
            g[i] = (float)ends[(size_t)(i / 37) % HN_COUNT(ends)];
            u[i] = 0x1p-10;
        }
    lab_put(lab, gate, g);
    lab_put(lab, up, u);
    for (int i = 0; i < 3; i++)
        want[i] = lab_alloc(lab, n, sizeof *want[i]);
    for (int64_t i = 0; i < n; i++) {
        want[0][i] = oracle_silu(g[i]) * u[i];
        want[1][i] = d[i] * u[i] * oracle_silu_slope(g[i]);
        want[2][i] = d[i] * oracle_silu(g[i]);
        double h = 1e-5, slope = (oracle_silu(g[i] + h) - oracle_silu(g[i] - h)) / (2 * h);
        if (fabs(g[i]) < 100 && fabs(slope - oracle_silu_slope(g[i])) > 1e-6)
            fail_msg("silu oracle: slope %g at %g", slope, g[i]);
    }
    lab->be->begin(lab->dev, &batch);
    lab->be->glu_fwd(lab->dev, a, gate, up);
    lab_expect(lab, a, want[0], 0, bound, "a");
    lab->be->glu_bwd(lab->dev, dgate, dup, da, gate, up);
    lab_expect(lab, dgate, want[1], 0, bound, "dgate");
    lab_expect(lab, dup, want[2], 0, bound, "dup");
    lab->be->glu_bwd(lab->dev, gate, up, da, gate, up);
    lab_expect(lab, gate, want[1], 0, bound, "in place");
    lab_expect(lab, up, want[2], 0, bound, "in place");
    lab_clear(lab);
}

static inline void check_rows(struct lab *lab, int64_t rows, int64_t cols, int every)
{
    lab->what = "gather and scatter";
    int32_t *pick = lab_alloc(lab, rows, sizeof *pick);
    int64_t n = 0;
    for (int64_t t = 0; t < rows; t++)
        if (hn_rng_below(&lab->rng, (uint64_t)every) == 0)
            pick[n++] = (int32_t)t;
    struct hn_batch batch = {.n_tokens = rows, .n_rows = n, .rows = pick};
    struct hn_tensor *x = lab_tensor(lab, rows, cols), *y = lab_tensor(lab, n, cols);
    struct hn_tensor *back = lab_tensor(lab, rows, cols), *sum = lab_tensor(lab, rows, cols);
    lab_bind(lab);
    double *xs = lab_random(lab, x, 1), *ss = lab_random(lab, sum, 1);
    double *ys = lab_alloc(lab, n * cols, sizeof *ys);
    double *bs = lab_alloc(lab, rows * cols, sizeof *bs);
    lab_random(lab, back, 5);
    for (int64_t r = 0; r < n; r++) {
        memcpy(ys + r * cols, xs + pick[r] * cols, sizeof *ys * (size_t)cols);
        memcpy(bs + pick[r] * cols, xs + pick[r] * cols, sizeof *bs * (size_t)cols);
    }
    lab->be->begin(lab->dev, &batch);
    lab->be->gather_rows(lab->dev, y, x);
    lab_expect(lab, y, ys, 0, 0, "gather");
    lab->be->scatter_rows(lab->dev, back, y);
    lab_expect(lab, back, bs, 0, 0, "scatter");
    lab->what = "add, copy, zero";
    for (int64_t i = 0; i < rows * cols; i++)
        ss[i] += xs[i];
    lab->be->add(lab->dev, sum, x);
    lab_expect(lab, sum, ss, 0, lab_bound(lab, HN_OP_ADD), "add");
    lab->be->copy(lab->dev, back, x);
    lab_expect(lab, back, xs, 0, 0, "copy");
    memset(bs, 0, sizeof *bs * (size_t)(rows * cols));
    lab->be->zero(lab->dev, back);
    lab_expect(lab, back, bs, 0, 0, "zero");
    lab_clear(lab);
}

static inline void check_adamw(struct lab *lab, bool correction, double weight_decay)
{
    lab->what = "adamw";
    enum { N = 3, STEPS = 8 };
    const int64_t shape[N][2] = {{7, 33}, {64, 200}, {1, 5}};
    struct hn_batch batch = {0};
    struct hn_tensor *t[4][N];
    double *x[4][N];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++)
            t[k][i] = lab_tensor(lab, shape[i][0], shape[i][1]);
    lab_bind(lab);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++) {
            x[k][i] = lab_random(lab, t[k][i], k < 2 ? 1 : 0);
        }
    struct hn_adamw o = {.learning_rate = 2e-3,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .eps = 1e-8,
                         .weight_decay = weight_decay,
                         .bias_correction = correction,
                         .grad_scale = 0.25};
    lab->be->begin(lab->dev, &batch);
    for (o.step = 1; o.step <= STEPS; o.step++) {
        for (int i = 0; i < N; i++) {
            for (int64_t e = 0; e < lab_count(t[1][i]); e++)
                x[1][i][e] = e % 11 ? lab_uniform(lab, 1) : 0;
            lab_put(lab, t[1][i], x[1][i]);
            for (int64_t e = 0; e < lab_count(t[0][i]); e++)
                oracle_adamw(&x[0][i][e], x[1][i][e], &x[2][i][e], &x[3][i][e], o.learning_rate,
                             o.beta1, o.beta2, o.eps, o.weight_decay, o.step, correction,
                             o.grad_scale);
        }
        lab->be->adamw(lab->dev, t[0], t[1], t[2], t[3], N, &o);
    }
    double bound = lab_bound(lab, HN_OP_ADAMW) * STEPS; /* a promise per step */
    for (int i = 0; i < N; i++) {
        lab_expect(lab, t[0][i], x[0][i], 0, bound, "p");
        lab_expect(lab, t[2][i], x[2][i], 0, bound, "m");
        lab_expect(lab, t[3][i], x[3][i], 0, bound, "v");
    }
    lab_clear(lab);
}

static inline void check_sum_squares(struct lab *lab)
{
    lab->what = "sum_squares";
    struct hone_err err = {0};
    struct hn_tensor *t[3] = {lab_tensor(lab, 3, 7), lab_tensor(lab, 301, 257),
                              lab_tensor(lab, 1, 1)};
    lab_bind(lab);
    double sum = 0, got = 0;
    for (int i = 0; i < 3; i++) {
        const double *x = lab_random(lab, t[i], i == 1 ? 1e-3 : 1e15); /* squares overflow float */
        for (int64_t e = 0; e < lab_count(t[i]); e++)
            sum += x[e] * x[e];
    }
    assert_int_equal(lab->be->sum_squares(lab->dev, t, 3, &got, &err), 0);
    if (!(fabs(got - sum) <= 1e-12 * sum)) /* 77,379 doubles: at most 77,379 * 2^-53 */
        fail_msg("sum_squares: %.17g, should be %.17g", got, sum);
    assert_int_equal(lab->be->sum_squares(lab->dev, t, 0, &got, &err), 0);
    assert_true(got == 0);
    lab_clear(lab);
}

/* What the checks below need reserved. */
static const struct hn_limits op_check_limits = {
    .max_tokens = 700,
    .max_seqs = 6,
    .max_rows = 700,
    .max_width = 1024,
    .d_model = 256,
    .vocab = 512,
    .n_heads = 16,
    .n_kv_heads = 8,
    .head_size = 256,
    .max_rank = 16,
    .max_context = 2048,
    .training = true,
};

static const struct attention_case attention_cases[] = {
    {"attention, one token", 1, {1}, {4, 2, 16, 0, 0}},
    {"attention, tiny", 2, {3, 2}, {2, 1, 8, 0, 0}},
    {"attention, one tile", 1, {64}, {3, 1, 64, 0, 0}},
    {"attention, ragged", 4, {65, 1, 130, 7}, {6, 2, 32, 0, 0}},
    {"attention, empty sequence", 3, {20, 0, 40}, {2, 2, 16, 0, 0}},
    {"attention, odd heads", 2, {70, 33}, {3, 3, 13, 0, 0}},
    {"attention, wide group", 2, {45, 90}, {9, 1, 40, 0, 0}},
    {"attention, group 5", 2, {75, 33}, {5, 1, 33, 0, 0}},
    {"attention, group 6", 1, {80}, {6, 1, 64, 0, 19}},
    {"attention, group 7", 2, {41, 66}, {7, 1, 20, 0, 0}},
    {"attention, group 8", 3, {30, 71, 5}, {16, 2, 36, 0, 0}},
    {"attention, window", 2, {200, 77}, {4, 2, 24, 0, 33}},
    {"attention, window 1", 1, {70}, {2, 1, 16, 0, 1}},
    {"attention, window 64", 1, {260}, {2, 1, 16, 0, 64}},
    {"attention, head 128", 1, {140}, {2, 1, 128, 0, 0}},
    {"attention, head 80", 1, {97}, {2, 2, 80, 0.2f, 0}},
    {"attention, head 256", 1, {66}, {2, 1, 256, 0.04f, 0}},
    {"attention, long", 1, {700}, {2, 1, 16, 0, 0}},
    {"attention, long window", 1, {600}, {2, 1, 16, 0, 520}}, /* a window over several chunks */
};

static inline void op_check_all(const struct hn_backend *be, struct hn_device *dev, uint64_t seed)
{
    struct hone_err err = {0};
    struct lab lab = {.be = be, .dev = dev, .seed = seed};
    hn_rng_init(&lab.rng, seed, 1);
    hn_arena_init(&lab.host, 0);
    if (be->reserve(dev, &op_check_limits, &err))
        fail_msg("reserve: %s", err.message);
    check_rms_norm(&lab, 1, 1, 1);
    check_rms_norm(&lab, 7, 1, 37);
    check_rms_norm(&lab, 33, 1, 576);
    check_rms_norm(&lab, 5, 9, 64);
    check_rms_norm(&lab, 3, 2, 4099);
    check_rope(&lab, 1, 1, 2, 1, 1);
    check_rope(&lab, 33, 3, 64, 32, 1);
    check_rope(&lab, 9, 2, 80, 16, 1.25f);
    check_rope(&lab, 5, 4, 26, 13, 1);
    for (size_t i = 0; i < HN_COUNT(attention_cases); i++) {
        check_attention(&lab, &attention_cases[i], i < 5);
        for (int type = HN_KV_F32; type <= HN_KV_Q8_0; type++) {
            int32_t few = 1 + (int32_t)hn_rng_below(&lab.rng, 3);
            check_cached(&lab, &attention_cases[i], few, (enum hn_kv_type)type);
            check_cached(&lab, &attention_cases[i], 150, (enum hn_kv_type)type);
        }
    }
    check_glu(&lab, 1, 1);
    check_glu(&lab, 37, 53);
    check_glu(&lab, 16, 1536);
    check_rows(&lab, 1, 5, 1);
    check_rows(&lab, 100, 33, 3);
    check_rows(&lab, 90, 576, 1);
    check_rows(&lab, 64, 48, 1000);
    check_adamw(&lab, true, 0.01f);
    check_adamw(&lab, false, 0);
    check_sum_squares(&lab);
    hn_arena_release(&lab.host);
}

#endif
