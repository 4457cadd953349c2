/* Checks of the operations of DoRA and of full fine-tuning against sums in double precision, for
 * every backend: as op_checks.h, whose lab they use.  Gradients are sums: what was there stays. */
#ifndef HN_TEST_TRAIN_CHECKS_H
#define HN_TEST_TRAIN_CHECKS_H

#include "backend/op_checks.h"

/* A matrix of floats as a frozen weight. */
static inline struct lab_weight lab_matrix_weight(struct lab *lab, int64_t rows, int64_t cols)
{
    struct hone_err err = {0};
    struct lab_weight out = {0};
    float *f = lab_alloc(lab, rows * cols, sizeof *f);
    out.values = lab_alloc(lab, rows * cols, sizeof *out.values);
    for (int64_t i = 0; i < rows * cols; i++)
        out.values[i] = f[i] = (float)lab_uniform(lab, 1);
    out.m = (struct hn_matrix){.layout = HN_LAYOUT_F32,
                               .rows = rows,
                               .cols = cols,
                               .data = (const unsigned char *)f,
                               .row_size = (size_t)cols * 4};
    if (lab->be->weight_open(lab->dev, &out.m, &out.w, &err))
        fail_msg("weight_open: %s", err.message);
    return out;
}

static inline void check_linear_grad(struct lab *lab, int64_t tokens, int64_t in, int64_t n_out)
{
    lab->what = "linear_grad";
    struct hn_tensor *x = lab_tensor(lab, tokens, in), *dy = lab_tensor(lab, tokens, n_out);
    struct hn_tensor *dw = lab_tensor(lab, n_out, in), *db = lab_tensor(lab, 1, n_out);
    lab_bind(lab);
    double *xs = lab_random(lab, x, 1), *dys = lab_random(lab, dy, 1);
    double *w = lab_random(lab, dw, 1), *b = lab_random(lab, db, 1);
    for (int64_t o = 0; o < n_out; o++) {
        for (int64_t t = 0; t < tokens; t++) {
            b[o] += dys[t * n_out + o];
            for (int64_t i = 0; i < in; i++)
                w[o * in + i] += dys[t * n_out + o] * xs[t * in + i];
        }
    }
    double bound = lab_bound(lab, HN_OP_LINEAR), terms = (double)tokens + 1;
    lab->be->linear_grad(lab->dev, dw, db, dy, x);
    lab_expect(lab, dw, w, terms, bound, "dw");
    lab_expect(lab, db, b, terms, bound, "dbias");
    lab_clear(lab);
}

static inline void check_norm_grad(struct lab *lab, int64_t rows, int64_t heads, int64_t n)
{
    const float eps = 1e-5f;
    lab->what = "rms_norm_grad";
    struct hn_tensor *x = lab_tensor(lab, rows, heads * n), *dy = lab_tensor(lab, rows, heads * n);
    struct hn_tensor *dw = lab_tensor(lab, 1, n);
    lab_bind(lab);
    double *xs = lab_random(lab, x, 2), *dys = lab_random(lab, dy, 1);
    double *want = lab_random(lab, dw, 1);
    for (int64_t r = 0; r < rows * heads; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += xs[r * n + i] * xs[r * n + i];
        double inverse = 1 / sqrt(sum / (double)n + (double)eps);
        for (int64_t i = 0; i < n; i++)
            want[i] += dys[r * n + i] * xs[r * n + i] * inverse;
    }
    lab->be->rms_norm_grad(lab->dev, dw, dy, x, eps);
    /* no term is larger than 2 where the mean square is about 4/3, none than sqrt(n) at all */
    lab_expect(lab, dw, want, 2 * (double)(rows * heads) + 1, lab_bound(lab, HN_OP_RMS_NORM), "dw");
    lab_clear(lab);
}

/* Embedding and head, which share a vocabulary. */
static inline void check_vocabulary_grads(struct lab *lab, int64_t tokens, int64_t d, int64_t vocab)
{
    lab->what = "embed_grad and head_grad";
    struct hn_tensor *x = lab_tensor(lab, tokens, d), *loss = lab_tensor(lab, tokens, 1);
    struct hn_tensor *dw = lab_tensor(lab, vocab, d), *de = lab_tensor(lab, vocab, d);
    lab_bind(lab);
    struct lab_weight w = lab_matrix_weight(lab, vocab, d);
    int32_t *ids = lab_alloc(lab, tokens, sizeof *ids), *rows = lab_alloc(lab, tokens, sizeof *ids);
    double *xs = lab_random(lab, x, 1), *head = lab_random(lab, dw, 1);
    double *embed = lab_random(lab, de, 1), *p = lab_alloc(lab, vocab, sizeof *p);
    for (int64_t t = 0; t < tokens; t++) {
        double sum = 0;
        ids[t] = (int32_t)hn_rng_below(&lab->rng, (uint64_t)vocab);
        rows[t] = (int32_t)t;
        for (int64_t v = 0; v < vocab; v++) {
            p[v] = 0;
            for (int64_t k = 0; k < d; k++)
                p[v] += xs[t * d + k] * w.values[v * d + k];
            sum += p[v] = exp(p[v]);
        }
        for (int64_t v = 0; v < vocab; v++)
            for (int64_t k = 0; k < d; k++)
                head[v * d + k] += (p[v] / sum - (v == ids[t])) * xs[t * d + k];
        for (int64_t k = 0; k < d; k++)
            embed[ids[t] * d + k] += xs[t * d + k];
    }
    const struct hn_batch batch = {.n_tokens = tokens,
                                   .n_seqs = 1,
                                   .tokens = ids,
                                   .n_rows = tokens,
                                   .rows = rows,
                                   .targets = ids};
    lab->be->begin(lab->dev, &batch);
    lab->be->head_loss(lab->dev, loss, NULL, NULL, x, w.w);
    lab->be->head_grad(lab->dev, dw, loss, x, w.w);
    lab->be->embed_grad(lab->dev, de, x);
    /* A probability is off by its logit's error, of d terms. */
    double bound = lab_bound(lab, HN_OP_HEAD_LOSS);
    lab_expect(lab, dw, head, (double)(tokens + d), bound, "head's dw");
    lab_expect(lab, de, embed, (double)tokens + 1, bound, "embedding's dw");
    lab->be->weight_close(lab->dev, &w.w);
    lab_clear(lab);
}

static inline void check_dora(struct lab *lab, int64_t tokens, int64_t in, int64_t n_out,
                              int64_t rank)
{
    lab->what = "dora";
    struct hn_tensor *a = lab_tensor(lab, rank, in), *b = lab_tensor(lab, n_out, rank);
    struct hn_tensor *squares = lab_tensor(lab, 1, n_out), *norm = lab_tensor(lab, 1, n_out);
    struct hn_tensor *factor = lab_tensor(lab, 1, n_out), *mag = lab_tensor(lab, 1, n_out);
    struct hn_tensor *dmag = lab_tensor(lab, 1, n_out), *z = lab_tensor(lab, tokens, n_out);
    struct hn_tensor *y = lab_tensor(lab, tokens, n_out), *dy = lab_tensor(lab, tokens, n_out);
    lab_bind(lab);
    struct lab_weight w = lab_matrix_weight(lab, n_out, in), bias = lab_vector_weight(lab, n_out);
    double *as = lab_random(lab, a, 1), *bs = lab_random(lab, b, 1), *ms = lab_random(lab, mag, 1);
    double *zs = lab_random(lab, z, 1), *ys = lab_random(lab, y, 1), *dys = lab_random(lab, dy, 1);
    double *ns = lab_alloc(lab, n_out, sizeof *ns), *fs = lab_alloc(lab, n_out, sizeof *fs);
    double *dms = lab_random(lab, dmag, 1), *dzs = lab_alloc(lab, tokens * n_out, sizeof *dzs);
    const struct hn_adapter adapter = {.a = a, .b = b, .scale = 1.5f};
    double bound = lab_bound(lab, HN_OP_LINEAR);
    for (int64_t o = 0; o < n_out; o++) {
        double sum = 0;
        for (int64_t i = 0; i < in; i++) {
            double v = w.values[o * in + i];
            for (int64_t r = 0; r < rank; r++)
                v += 1.5 * bs[o * rank + r] * as[r * in + i];
            sum += v * v;
        }
        ns[o] = sqrt(sum), fs[o] = ms[o] / ns[o];
        for (int64_t t = 0; t < tokens; t++) {
            int64_t k = t * n_out + o;
            ys[k] += fs[o] * zs[k] + bias.values[o];
            dms[o] += dys[k] * zs[k] / ns[o];
            dzs[k] = fs[o] * dys[k];
        }
    }
    lab->be->row_squares(lab->dev, squares, w.w);
    lab->be->dora_norms(lab->dev, norm, factor, mag, squares, w.w, &adapter);
    lab_expect(lab, norm, ns, 0, bound, "norm");
    lab->be->dora_fwd(lab->dev, y, z, factor, bias.w, true);
    lab_expect(lab, y, ys, 0, bound, "y");
    lab->be->dora_bwd(lab->dev, z, dmag, dy, factor, norm);
    lab_expect(lab, dmag, dms, (double)tokens + 1, bound, "dmagnitude");
    lab_expect(lab, z, dzs, 0, bound, "dz");
    lab->be->weight_close(lab->dev, &w.w);
    lab->be->weight_close(lab->dev, &bias.w);
    lab_clear(lab);
}

/* kept and rest are x, about p of it is dropped, and the gradient goes the same way. */
static inline void check_dropout(struct lab *lab, int64_t tokens, int64_t cols)
{
    lab->what = "dropout";
    const struct hn_batch batch = {.n_tokens = tokens, .seed = 5, .step = 3};
    struct hn_tensor *x = lab_tensor(lab, tokens, cols), *kept = lab_tensor(lab, tokens, cols);
    struct hn_tensor *rest = lab_tensor(lab, tokens, cols), *dx = lab_tensor(lab, tokens, cols);
    lab_bind(lab);
    double *xs = lab_random(lab, x, 1), *sum = lab_random(lab, dx, 1), dropped = 0;
    lab->be->begin(lab->dev, &batch);
    lab->be->dropout_fwd(lab->dev, kept, rest, x, 0.25f, 9);
    const float *k = lab_get(lab, kept), *r = lab_get(lab, rest);
    for (int64_t i = 0; i < tokens * cols; i++) {
        bool gone = k[i] == 0;
        double mask = gone ? 0 : 4.0 / 3;
        assert_true(fabs(k[i] - mask * xs[i]) <= 1e-6);
        assert_true(fabs(r[i] - (xs[i] - (double)k[i])) <= 1e-6);
        dropped += gone;
        /* dkept = kept, drest = x */
        sum[i] += xs[i] + mask * ((double)k[i] - xs[i]);
    }
    if (tokens * cols > 1000)
        assert_true(fabs(dropped / (double)(tokens * cols) - 0.25) < 0.05);
    lab->be->dropout_bwd(lab->dev, dx, kept, x, 0.25f, 9, true);
    lab_expect(lab, dx, sum, 0, 1e-6, "dx");
    lab_clear(lab);
}

static inline void train_check_all(const struct hn_backend *be, struct hn_device *dev,
                                   uint64_t seed)
{
    struct hone_err err = {0};
    struct lab lab = {.be = be, .dev = dev, .seed = seed};
    struct hn_limits limits = op_check_limits;
    limits.full = true;
    hn_rng_init(&lab.rng, seed, 2);
    hn_arena_init(&lab.host, 0);
    if (be->reserve(dev, &limits, &err))
        fail_msg("reserve: %s", err.message);
    check_linear_grad(&lab, 1, 1, 1);
    check_linear_grad(&lab, 3, 37, 5);
    check_linear_grad(&lab, 530, 65, 33);
    check_linear_grad(&lab, 70, 48, 600);
    check_norm_grad(&lab, 1, 1, 1);
    check_norm_grad(&lab, 33, 1, 200);
    check_norm_grad(&lab, 9, 3, 24);
    check_vocabulary_grads(&lab, 1, 3, 5);
    check_vocabulary_grads(&lab, 40, 32, 77);
    check_vocabulary_grads(&lab, 300, 24, 400);
    check_dora(&lab, 1, 3, 1, 1);
    check_dora(&lab, 33, 96, 70, 4);
    check_dora(&lab, 5, 65, 129, 16);
    check_dropout(&lab, 1, 7);
    check_dropout(&lab, 60, 130);
    hn_arena_release(&lab.host);
}

#endif
