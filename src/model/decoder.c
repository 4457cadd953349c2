/* The gradient that is trained is that of the SUM of the picked rows' losses; the trainer divides.
 *
 * One block, forward:                               backward (dx is the gradient of the block's
 * output n1 = norm(x)                                    and becomes that of its input): q, k, v =
 * linears(n1); (norm q, k); rope          da = down'(dx); dgate, dup = glu'(da) o = attention(q, k,
 * v)                            dx += norm'(gate', up'(dgate, dup)) xm = x + linear_o(o) do =
 * o'(dx); dq, dk, dv = attention'(do) n2 = norm(xm); gate, up = linears(n2)             dx +=
 * norm'(linears'(rope'(dq, dk), dv)) x = xm + linear_down(glu(gate, up))
 *
 * Kept from forward to backward: x, xm, q, k, v (after rope; q and k before their norm too, where
 * the family has one), o and its log-sum-exp, gate, up, and each adapter's h [T, R].  Norm outputs
 * and the activation are recomputed where an adapter's gradient needs them. */
#include "model/decoder.h"
#include "base/mem.h"

#include <math.h>

/* The values of one block that its backward pass reads. */
struct saved {
    hn_value x, xm;              /* [T, D] */
    hn_value q, k, v;            /* [T, heads*HD] as attention sees them */
    hn_value q0, k0;             /* before the per-head norm */
    hn_value o, lse;             /* [T, H*HD], [T, H] */
    hn_value gate, up;           /* [T, F] */
    hn_value h[HN_LINEAR_COUNT]; /* [T, R] */
};

struct build {
    const struct hone_model *m;
    const struct hn_decoder_options *o;
    struct hn_plan *p;
};

static hn_value tokens(struct build *b, int64_t cols)
{
    return hn_plan_tensor(b->p, HN_ROWS_TOKENS, cols);
}

static hn_value norm(struct build *b, hn_value x, int64_t cols, const struct hn_weight *w)
{
    hn_value y = tokens(b, cols);
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_NORM);
    if (op) {
        op->x = x, op->y = y, op->w = w;
        op->eps = (float)b->m->spec.norm_eps;
    }
    return y;
}

/* dx (+)= norm'(dy) at x */
static void norm_bwd(struct build *b, hn_value dx, hn_value dy, hn_value x,
                     const struct hn_weight *w, bool accumulate)
{
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_NORM_BWD);
    if (!op)
        return;
    op->y = dx, op->extra = dy, op->x = x, op->w = w, op->flag = accumulate;
    op->eps = (float)b->m->spec.norm_eps;
}

static void unary(struct build *b, enum hn_plan_code code, hn_value y, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(b->p, code);
    if (op)
        op->y = y, op->x = x;
}

static bool adapted(const struct build *b, int64_t l, enum hn_linear_id first,
                    enum hn_linear_id last)
{
    for (int id = (int)first; id <= (int)last; id++)
        if (hn_adapters_get(b->m, l, (enum hn_linear_id)id))
            return true;
    return false;
}

static void set_linears(struct build *b, struct hn_plan_op *op, int64_t l, enum hn_linear_id first,
                        int n)
{
    op->n = n;
    for (int i = 0; i < n; i++) {
        enum hn_linear_id id = (enum hn_linear_id)((int)first + i);
        const struct hn_block *block = &b->m->blocks[l];
        const struct hn_lora *lo = hn_adapters_get(b->m, l, id);
        op->lin[i] = (struct hn_linear){block->w[id], block->bias[id], lo ? &lo->use : NULL};
    }
}

/* y[i] (+)= linears first..first+n-1 of x; keep (may be NULL) receives their h. */
static void linears(struct build *b, int64_t l, enum hn_linear_id first, int n, hn_value x,
                    const hn_value *y, bool add, struct saved *keep)
{
    hn_value h[HN_LINEAR_MAX];
    for (int i = 0; i < n; i++) {
        enum hn_linear_id id = (enum hn_linear_id)((int)first + i);
        const struct hn_lora *lo = keep ? hn_adapters_get(b->m, l, id) : NULL;
        h[i] = lo ? tokens(b, lo->rank) : HN_NONE;
        if (keep)
            keep->h[id] = h[i];
    }
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_LINEAR);
    if (!op)
        return;
    set_linears(b, op, l, first, n);
    op->x = x, op->flag = add;
    for (int i = 0; i < n; i++)
        op->many[i] = y[i], op->more[i] = h[i];
}

/* dx (HN_NONE: not wanted) = the gradient of the input of linears first..first+n-1. */
static void linears_bwd(struct build *b, int64_t l, enum hn_linear_id first, int n, hn_value dx,
                        const hn_value *dy, hn_value x, const struct saved *s)
{
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_LINEAR_BWD);
    if (!op)
        return;
    set_linears(b, op, l, first, n);
    op->x = x, op->y = dx;
    for (int i = 0; i < n; i++)
        op->many[i] = dy[i], op->more[i] = s->h[(int)first + i];
}

static void rope(struct build *b, enum hn_plan_code code, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(b->p, code);
    if (op)
        op->y = x, op->rope = &b->m->rope;
}

static struct hn_attention attention_shape(const struct build *b, int64_t l)
{
    const struct hn_spec *s = &b->m->spec;
    float scale = (float)(1 / sqrt((double)s->head_size));
    return (struct hn_attention){s->n_heads, s->n_kv_heads, s->head_size, scale,
                                 s->sliding[l] ? s->window : 0};
}

/* -------------------------------------------------------------------------------------------- */

/* The attention half: returns o; q, k, v are made here. */
static hn_value attend(struct build *b, int64_t l, hn_value x, struct saved *keep)
{
    const struct hn_spec *s = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    int64_t q_cols = s->n_heads * s->head_size, k_cols = s->n_kv_heads * s->head_size;
    hn_value n1 = norm(b, x, s->d_model, w->attn_norm);
    hn_value qkv[3] = {tokens(b, q_cols), tokens(b, k_cols), tokens(b, k_cols)};
    linears(b, l, HN_LINEAR_Q, 3, n1, qkv, false, keep);
    hn_value q = qkv[0], k = qkv[1];
    if (w->q_norm) {
        q = norm(b, qkv[0], q_cols, w->q_norm);
        k = norm(b, qkv[1], k_cols, w->k_norm);
    }
    rope(b, HN_DO_ROPE, q);
    rope(b, HN_DO_ROPE, k);
    hn_value o = tokens(b, q_cols);
    hn_value lse = keep ? tokens(b, s->n_heads) : HN_NONE;
    bool cached = b->o->purpose == HN_FOR_GENERATION;
    struct hn_plan_op *op = hn_plan_add(b->p, cached ? HN_DO_ATTENTION_CACHED : HN_DO_ATTENTION);
    if (op) {
        op->y = o, op->extra = lse, op->layer = l;
        op->many[0] = q, op->many[1] = k, op->many[2] = qkv[2];
        op->attention = attention_shape(b, l);
    }
    if (keep) {
        keep->q0 = qkv[0], keep->k0 = qkv[1];
        keep->q = q, keep->k = k, keep->v = qkv[2];
        keep->o = o, keep->lse = lse;
    }
    return o;
}

/* One block.  Without keep, x is updated in place and returned; with keep, x stays as it is (it is
 * kept) and the output is a new value, or HN_NONE when the output is not wanted. */
static hn_value block_fwd(struct build *b, int64_t l, hn_value x, struct saved *keep,
                          bool want_output)
{
    const struct hn_spec *s = &b->m->spec;
    hn_value o = attend(b, l, x, keep);
    hn_value xm = x;
    if (keep) {
        xm = tokens(b, s->d_model);
        unary(b, HN_DO_COPY, xm, x);
    }
    linears(b, l, HN_LINEAR_O, 1, o, &xm, true, keep);
    hn_value n2 = norm(b, xm, s->d_model, b->m->blocks[l].ffn_norm);
    hn_value gu[2] = {tokens(b, s->d_ff), tokens(b, s->d_ff)};
    linears(b, l, HN_LINEAR_GATE, 2, n2, gu, false, keep);
    if (keep)
        keep->x = x, keep->xm = xm, keep->gate = gu[0], keep->up = gu[1];
    bool need_h = keep && hn_adapters_get(b->m, l, HN_LINEAR_DOWN);
    if (!want_output && !need_h)
        return HN_NONE;
    hn_value a = tokens(b, s->d_ff), y = xm;
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_GLU);
    if (op)
        op->y = a, op->x = gu[0], op->extra = gu[1];
    if (keep) {
        y = tokens(b, s->d_model);
        unary(b, HN_DO_COPY, y, xm);
    }
    linears(b, l, HN_LINEAR_DOWN, 1, a, &y, true, keep);
    return y;
}

/* The feed-forward half of the backward pass. */
static void ffn_bwd(struct build *b, int64_t l, hn_value dx, const struct saved *s, bool go_on)
{
    const struct hn_spec *spec = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    hn_value a = HN_NONE, n2 = HN_NONE;
    struct hn_plan_op *op;
    if (hn_adapters_get(b->m, l, HN_LINEAR_DOWN)) {
        a = tokens(b, spec->d_ff);
        op = hn_plan_add(b->p, HN_DO_GLU);
        if (op)
            op->y = a, op->x = s->gate, op->extra = s->up;
    }
    bool trained = adapted(b, l, HN_LINEAR_GATE, HN_LINEAR_UP);
    hn_value da = go_on || trained ? tokens(b, spec->d_ff) : HN_NONE;
    linears_bwd(b, l, HN_LINEAR_DOWN, 1, da, &dx, a, s);
    if (!go_on && !trained)
        return;
    op = hn_plan_add(b->p, HN_DO_GLU_BWD);
    if (op)
        op->x = da, op->extra = s->gate, op->extra2 = s->up;
    const hn_value dgu[2] = {s->gate, s->up};
    if (trained)
        n2 = norm(b, s->xm, spec->d_model, w->ffn_norm);
    hn_value dn2 = go_on ? tokens(b, spec->d_model) : HN_NONE;
    linears_bwd(b, l, HN_LINEAR_GATE, 2, dn2, dgu, n2, s);
    if (go_on)
        norm_bwd(b, dx, dn2, s->xm, w->ffn_norm, true);
}

/* Gradients of q and k back through rope and the per-head norm. */
static void rotate_back(struct build *b, hn_value dq, hn_value q0, const struct hn_weight *w)
{
    rope(b, HN_DO_ROPE_BWD, dq);
    if (w)
        norm_bwd(b, dq, dq, q0, w, false);
}

static void attention_bwd(struct build *b, int64_t l, hn_value dx, const struct saved *s,
                          bool lowest)
{
    const struct hn_spec *spec = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    int64_t q_cols = spec->n_heads * spec->head_size, k_cols = spec->n_kv_heads * spec->head_size;
    bool trained = adapted(b, l, HN_LINEAR_Q, HN_LINEAR_V);
    bool go_on = !lowest || trained;
    hn_value d_o = go_on ? tokens(b, q_cols) : HN_NONE;
    linears_bwd(b, l, HN_LINEAR_O, 1, d_o, &dx, s->o, s);
    if (!go_on)
        return;
    hn_value d[3] = {tokens(b, q_cols), tokens(b, k_cols), tokens(b, k_cols)};
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_ATTENTION_BWD);
    if (op) {
        op->x = d_o, op->extra = s->o, op->extra2 = s->lse;
        op->many[0] = s->q, op->many[1] = s->k, op->many[2] = s->v;
        for (int i = 0; i < 3; i++)
            op->more[i] = d[i];
        op->attention = attention_shape(b, l);
    }
    rotate_back(b, d[0], s->q0, w->q_norm);
    rotate_back(b, d[1], s->k0, w->k_norm);
    hn_value n1 = trained ? norm(b, s->x, spec->d_model, w->attn_norm) : HN_NONE;
    hn_value dn1 = lowest ? HN_NONE : tokens(b, spec->d_model);
    linears_bwd(b, l, HN_LINEAR_Q, 3, dn1, d, n1, s);
    if (!lowest)
        norm_bwd(b, dx, dn1, s->x, w->attn_norm, true);
}

static void block_bwd(struct build *b, int64_t l, hn_value dx, const struct saved *s)
{
    bool lowest = l == b->m->adapters.first_block;
    bool below = !lowest || adapted(b, l, HN_LINEAR_Q, HN_LINEAR_O);
    ffn_bwd(b, l, dx, s, below);
    if (below)
        attention_bwd(b, l, dx, s, lowest);
}

/* -------------------------------------------------------------------------------------------- */

static hn_value head_loss(struct build *b, hn_value x, bool backward)
{
    struct hn_plan *p = b->p;
    int64_t d = b->m->spec.d_model;
    hn_value picked = hn_plan_tensor(p, HN_ROWS_PICKED, d),
             n = hn_plan_tensor(p, HN_ROWS_PICKED, d);
    hn_value dn = backward ? hn_plan_tensor(p, HN_ROWS_PICKED, d) : HN_NONE;
    p->loss = hn_plan_tensor(p, HN_ROWS_PICKED, 1);
    p->hit = backward ? HN_NONE : hn_plan_tensor(p, HN_ROWS_PICKED, 1);
    hn_plan_output(p, p->loss);
    if (!backward)
        hn_plan_output(p, p->hit);
    unary(b, HN_DO_GATHER, picked, x);
    struct hn_plan_op *op = hn_plan_add(p, HN_DO_NORM);
    if (op)
        op->x = picked, op->y = n, op->w = b->m->final_norm, op->eps = (float)b->m->spec.norm_eps;
    op = hn_plan_add(p, HN_DO_HEAD_LOSS);
    if (op)
        op->x = n, op->y = dn, op->extra = p->loss, op->extra2 = p->hit, op->w = b->m->head;
    if (!backward)
        return HN_NONE;
    hn_plan_begin_backward(p);
    norm_bwd(b, dn, dn, picked, b->m->final_norm, false);
    hn_value dx = tokens(b, d);
    unary(b, HN_DO_SCATTER, dx, dn);
    return dx;
}

static void head_logits(struct build *b, hn_value x)
{
    struct hn_plan *p = b->p;
    int64_t d = b->m->spec.d_model;
    hn_value picked = hn_plan_tensor(p, HN_ROWS_PICKED, d),
             n = hn_plan_tensor(p, HN_ROWS_PICKED, d);
    p->logits = hn_plan_tensor(p, HN_ROWS_PICKED, b->m->spec.vocab_size);
    hn_plan_output(p, p->logits);
    unary(b, HN_DO_GATHER, picked, x);
    struct hn_plan_op *op = hn_plan_add(p, HN_DO_NORM);
    if (op)
        op->x = picked, op->y = n, op->w = b->m->final_norm, op->eps = (float)b->m->spec.norm_eps;
    op = hn_plan_add(p, HN_DO_LINEAR);
    if (op) {
        op->n = 1;
        op->lin[0] = (struct hn_linear){.w = b->m->head};
        op->x = n, op->many[0] = p->logits;
    }
}

/* Forward and backward.  saved [L] belongs to the caller. */
static void training(struct build *b, struct saved *saved)
{
    int64_t n = b->m->spec.n_layers, first = b->m->adapters.first_block;
    hn_value x = tokens(b, b->m->spec.d_model);
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_EMBED);
    if (op)
        op->y = x, op->w = b->m->embed;
    for (int64_t l = 0; l < n; l++) {
        /* The last block's values are read at once: keeping them costs nothing. */
        bool keep = l >= first && (!b->o->checkpoint_blocks || l == n - 1);
        if (keep || l < first) {
            x = block_fwd(b, l, x, keep ? &saved[l] : NULL, true);
            continue;
        }
        saved[l].x = x;
        hn_value next = tokens(b, b->m->spec.d_model);
        unary(b, HN_DO_COPY, next, x);
        x = block_fwd(b, l, next, NULL, true);
    }
    hn_value dx = head_loss(b, x, true);
    for (int64_t l = n - 1; l >= first; l--) {
        if (b->o->checkpoint_blocks && l < n - 1)
            block_fwd(b, l, saved[l].x, &saved[l], false);
        block_bwd(b, l, dx, &saved[l]);
    }
}

static void inference(struct build *b)
{
    hn_value x = tokens(b, b->m->spec.d_model);
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_EMBED);
    if (op)
        op->y = x, op->w = b->m->embed;
    for (int64_t l = 0; l < b->m->spec.n_layers; l++)
        block_fwd(b, l, x, NULL, true);
    if (b->o->purpose == HN_FOR_LOSS)
        head_loss(b, x, false);
    else
        head_logits(b, x);
}

int hn_decoder_plan(const struct hone_model *m, const struct hn_decoder_options *o,
                    struct hn_plan *out, struct hone_err *err)
{
    const struct hn_spec *s = &m->spec;
    struct hn_limits limits = {
        .max_tokens = o->max_tokens,
        .max_seqs = o->max_seqs,
        .max_rows = o->max_rows,
        .max_width = HN_MAX(HN_MAX(s->d_ff, s->d_model), s->n_heads * s->head_size),
        .d_model = s->d_model,
        .vocab = s->vocab_size,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .head_size = s->head_size,
        .max_rank = m->adapters.max_rank,
        .max_context = HN_MAX(o->max_context, o->max_tokens),
        .training = o->purpose == HN_FOR_TRAINING,
    };
    hn_plan_init(out, &limits);
    out->kv = o->kv;
    struct build b = {m, o, out};
    if (o->purpose != HN_FOR_TRAINING) {
        inference(&b);
        return hn_plan_finish(out, err);
    }
    HN_ASSERT(m->adapters.training);
    struct saved *saved = hn_calloc((size_t)s->n_layers, sizeof *saved);
    if (!saved)
        return hn_fail_memory(err, "planning a step");
    training(&b, saved);
    hn_free(saved);
    return hn_plan_finish(out, err);
}
