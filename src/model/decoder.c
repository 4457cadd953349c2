/* The gradient that is trained is that of the SUM of the picked rows' losses; the trainer divides.
 *
 * One block, forward                          backward: dx, the gradient of the block's output,
 *                                             becomes that of its input
 *   n1 = norm(x)                                da = down'(dx)
 *   q, k, v = linears(n1); (norm q, k); rope    dgate, dup = glu'(da)
 *   o = attention(q, k, v)                      dx += norm'(gate', up'(dgate, dup))
 *   xm = x + linear_o(o)                        do = o'(dx); dq, dk, dv = attention'(do)
 *   n2 = norm(xm); gate, up = linears(n2)       dx += norm'(linears'(rope'(dq, dk), dv))
 *   x = xm + linear_down(glu(gate, up))
 *
 * Nobody reads what the last block makes of rows that the batch does not pick (a prompt's tokens
 * but the last, those that are not trained): from linear_o on it takes the picked rows alone.
 *
 * What is kept from forward to backward is chosen by enum hn_keep; whatever it is, norm outputs and
 * the activation are made again where an adapter's gradient needs them, and each adapter's h [T, R]
 * is kept with its input.  Unless gate and up [T, F] are kept, the feed-forward half runs through
 * its rows a piece at a time, in both directions, and they never exist as a whole. */
#include "model/decoder.h"
#include "base/mem.h"
#include "model/decoder_impl.h"

#include <math.h>

/* Rows of the feed-forward half's pieces: as many as the CPU's products take at a time, so that no
 * weight is decoded more often; or fewer, where memory counts more. */
enum { PIECE = 512, SMALL_PIECE = 256 };

static hn_value tokens(struct hn_build *b, int64_t cols)
{
    return hn_plan_tensor(b->p, HN_ROWS_TOKENS, cols);
}

static struct hn_build_rows all_tokens(const struct hn_build *b)
{
    return (struct hn_build_rows){HN_ROWS_TOKENS, 0, b->o->max_tokens};
}

/* What block l works on after its attention. */
static struct hn_build_rows late_rows(const struct hn_build *b, int64_t l)
{
    enum hn_rows of = l == b->m->spec.n_layers - 1 ? HN_ROWS_PICKED : HN_ROWS_TOKENS;
    return (struct hn_build_rows){of, 0, hn_build_most(b, of)};
}

/* These rows of a tensor: of all rows, itself. */
static hn_value view(struct hn_build *b, const struct hn_build_rows *r, hn_value v)
{
    bool whole = r->n == hn_build_most(b, r->of);
    return whole || v == HN_NONE ? v : hn_plan_view(b->p, v, r->first, r->n);
}

/* y = norm(x), over runs of w's length. */
static void norm_to(struct hn_build *b, hn_value y, hn_value x, const struct hn_weight *w)
{
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_NORM);
    if (op) {
        op->x = x, op->y = y, op->w = w;
        op->eps = (float)b->m->spec.norm_eps;
    }
}

static hn_value norm(struct hn_build *b, hn_value x, int64_t cols, const struct hn_weight *w)
{
    hn_value y = tokens(b, cols);
    norm_to(b, y, x, w);
    return y;
}

/* dx (+)= norm'(dy) at x */
static void norm_bwd(struct hn_build *b, hn_value dx, hn_value dy, hn_value x,
                     const struct hn_weight *w, bool accumulate)
{
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_NORM_BWD);
    if (!op)
        return;
    op->y = dx, op->extra = dy, op->x = x, op->w = w, op->flag = accumulate;
    op->eps = (float)b->m->spec.norm_eps;
}

/* The gradient of a trained norm at x, before dx takes dy's place; nothing when it is frozen. */
static void norm_grad(struct hn_build *b, struct hn_param *param, hn_value dy, hn_value x)
{
    struct hn_plan_op *op = param ? hn_plan_add(b->p, HN_DO_NORM_GRAD) : NULL;
    if (op)
        op->x = x, op->extra = dy, op->dw = param, op->eps = (float)b->m->spec.norm_eps;
}

/* What is trained of block l itself; all NULL where nothing is. */
static struct hn_block_params trained_of(const struct hn_build *b, int64_t l)
{
    const struct hn_block_params none = {0};
    return b->m->adapters.blocks ? b->m->adapters.blocks[l] : none;
}

static void unary(struct hn_build *b, enum hn_plan_code code, hn_value y, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(b->p, code);
    if (op)
        op->y = y, op->x = x;
}

static void rope(struct hn_build *b, enum hn_plan_code code, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(b->p, code);
    if (op)
        op->y = x, op->rope = &b->m->rope;
}

static struct hn_attention attention_shape(const struct hn_build *b, int64_t l)
{
    const struct hn_spec *s = &b->m->spec;
    float scale = (float)(1 / sqrt((double)s->head_size));
    return (struct hn_attention){s->n_heads, s->n_kv_heads, s->head_size, scale,
                                 s->sliding[l] ? s->window : 0};
}

/* -------------------------------------------------------------------------------------------- */

/* The attention half: returns o; q, k, v are made here. */
static hn_value attend(struct hn_build *b, int64_t l, hn_value x, struct hn_saved *keep)
{
    const struct hn_spec *s = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    int64_t q_cols = s->n_heads * s->head_size, k_cols = s->n_kv_heads * s->head_size;
    hn_value n1 = norm(b, x, s->d_model, w->attn_norm);
    hn_value qkv[3] = {tokens(b, q_cols), tokens(b, k_cols), tokens(b, k_cols)};
    const struct hn_build_rows r = all_tokens(b);
    hn_build_linears(b, l, HN_LINEAR_Q, 3, n1, qkv, false, keep, &r);
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

static hn_value gather(struct hn_build *b, hn_value x, int64_t cols)
{
    hn_value y = hn_plan_tensor(b->p, HN_ROWS_PICKED, cols);
    unary(b, HN_DO_GATHER, y, x);
    return y;
}

/* Of all tokens; those that are not picked are zero. */
static hn_value scatter(struct hn_build *b, hn_value x, int64_t cols)
{
    hn_value y = tokens(b, cols);
    unary(b, HN_DO_SCATTER, y, x);
    return y;
}

/* The attention half: returns xm, which without keep is x itself, updated in place, but for the
 * last block. */
static hn_value attention_half(struct hn_build *b, int64_t l, hn_value x, struct hn_saved *keep)
{
    const struct hn_spec *s = &b->m->spec;
    hn_value o = attend(b, l, x, keep), xm = x;
    const struct hn_build_rows r = late_rows(b, l);
    if (r.of == HN_ROWS_PICKED) {
        o = gather(b, o, s->n_heads * s->head_size);
        xm = gather(b, x, s->d_model);
    } else if (keep) {
        xm = tokens(b, s->d_model);
        unary(b, HN_DO_COPY, xm, x);
    }
    if (keep) {
        keep->x = x, keep->late_o = o, keep->xm = xm;
        keep->gate = keep->up = HN_NONE;
    }
    hn_build_linears(b, l, HN_LINEAR_O, 1, o, &xm, true, keep, &r);
    return xm;
}

static void glu(struct hn_build *b, hn_value a, hn_value gate, hn_value up)
{
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_GLU);
    if (op)
        op->y = a, op->x = gate, op->extra = up;
}

/* gate and up of some rows; keep receives them. */
static void gate_up(struct hn_build *b, int64_t l, const struct hn_build_rows *r, hn_value xm,
                    hn_value gu[2], struct hn_saved *keep)
{
    const struct hn_spec *s = &b->m->spec;
    hn_value n2 = hn_build_piece(b, r, s->d_model);
    norm_to(b, n2, view(b, r, xm), b->m->blocks[l].ffn_norm);
    gu[0] = hn_build_piece(b, r, s->d_ff), gu[1] = hn_build_piece(b, r, s->d_ff);
    hn_build_linears(b, l, HN_LINEAR_GATE, 2, n2, gu, false, keep, r);
    if (keep)
        keep->gate = gu[0], keep->up = gu[1];
}

/* The feed-forward half of some rows: y (xm itself or a copy) += down(glu(gate, up)). */
static void ffn_rows(struct hn_build *b, int64_t l, const struct hn_build_rows *r, hn_value y,
                     hn_value xm, struct hn_saved *keep)
{
    hn_value gu[2], a, out = view(b, r, y);
    gate_up(b, l, r, xm, gu, keep);
    a = hn_build_piece(b, r, b->m->spec.d_ff);
    glu(b, a, gu[0], gu[1]);
    hn_build_linears(b, l, HN_LINEAR_DOWN, 1, a, &out, true, keep, r);
}

/* One block.  Without keep, x is updated in place and returned, but by the last block, whose output
 * has the picked rows; with keep, x stays as it is (it is kept) and the output is a new value. */
static hn_value block_fwd(struct hn_build *b, int64_t l, hn_value x, struct hn_saved *keep,
                          bool keep_ffn)
{
    hn_value xm = attention_half(b, l, x, keep), y = xm;
    struct hn_build_rows r = late_rows(b, l);
    const int64_t most = r.n;
    if (keep) {
        y = hn_build_piece(b, &r, b->m->spec.d_model);
        unary(b, HN_DO_COPY, y, xm);
    }
    if (keep_ffn) {
        ffn_rows(b, l, &r, y, xm, keep);
        return y;
    }
    for (r.n = HN_MIN(r.n, b->ffn_rows); r.first < most; r.first += r.n)
        ffn_rows(b, l, &r, y, xm, NULL);
    return y;
}

/* The feed-forward half of the backward pass, of some rows; s has their gate, up and h. */
static void ffn_rows_bwd(struct hn_build *b, int64_t l, const struct hn_build_rows *r,
                         hn_value dx_all, const struct hn_saved *s, bool go_on)
{
    const struct hn_spec *spec = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    hn_value a = HN_NONE, n2 = HN_NONE, dx = view(b, r, dx_all);
    if (hn_build_adapted(b, l, HN_LINEAR_DOWN, HN_LINEAR_DOWN)) {
        a = hn_build_piece(b, r, spec->d_ff);
        glu(b, a, s->gate, s->up);
    }
    bool trained = hn_build_adapted(b, l, HN_LINEAR_GATE, HN_LINEAR_UP);
    hn_value da = go_on || trained ? hn_build_piece(b, r, spec->d_ff) : HN_NONE;
    hn_build_linears_bwd(b, l, HN_LINEAR_DOWN, 1, da, &dx, a, s, r);
    if (!go_on && !trained)
        return;
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_GLU_BWD);
    if (op)
        op->x = da, op->extra = s->gate, op->extra2 = s->up;
    const hn_value dgu[2] = {s->gate, s->up}, xm = view(b, r, s->xm);
    if (trained) {
        n2 = hn_build_piece(b, r, spec->d_model);
        norm_to(b, n2, xm, w->ffn_norm);
    }
    hn_value dn2 = go_on ? hn_build_piece(b, r, spec->d_model) : HN_NONE;
    hn_build_linears_bwd(b, l, HN_LINEAR_GATE, 2, dn2, dgu, n2, s, r);
    if (!go_on)
        return;
    norm_grad(b, trained_of(b, l).ffn_norm, dn2, xm);
    norm_bwd(b, dx, dn2, xm, w->ffn_norm, true);
}

static void ffn_bwd(struct hn_build *b, int64_t l, hn_value dx, const struct hn_saved *s,
                    bool go_on)
{
    struct hn_build_rows r = late_rows(b, l);
    const int64_t most = r.n;
    bool trained = hn_build_adapted(b, l, HN_LINEAR_GATE, HN_LINEAR_DOWN);
    if (!go_on && !trained)
        return;
    if (s->gate != HN_NONE) {
        ffn_rows_bwd(b, l, &r, dx, s, go_on);
        return;
    }
    for (r.n = HN_MIN(r.n, b->ffn_rows); r.first < most; r.first += r.n) {
        struct hn_saved again =
            *s; /* with these rows' gate, up and h; down's h and z its bwd makes */
        hn_value gu[2];
        gate_up(b, l, &r, s->xm, gu, &again);
        again.h[HN_LINEAR_DOWN] = again.z[HN_LINEAR_DOWN] = HN_NONE;
        ffn_rows_bwd(b, l, &r, dx, &again, go_on);
    }
}

/* Gradients of q and k back through rope and the per-head norm. */
static void rotate_back(struct hn_build *b, hn_value dq, hn_value q0, const struct hn_weight *w,
                        struct hn_param *trained)
{
    rope(b, HN_DO_ROPE_BWD, dq);
    norm_grad(b, trained, dq, q0);
    if (w)
        norm_bwd(b, dq, dq, q0, w, false);
}

/* Returns dx, which of the last block has become a gradient of all tokens, HN_NONE where nothing
 * below asks for it. */
static hn_value attention_bwd(struct hn_build *b, int64_t l, hn_value dx, const struct hn_saved *s,
                              bool lowest)
{
    const struct hn_spec *spec = &b->m->spec;
    const struct hn_block *w = &b->m->blocks[l];
    int64_t q_cols = spec->n_heads * spec->head_size, k_cols = spec->n_kv_heads * spec->head_size;
    bool trained = b->m->adapters.blocks || hn_build_adapted(b, l, HN_LINEAR_Q, HN_LINEAR_V);
    bool go_on = !lowest || trained;
    const struct hn_build_rows r = all_tokens(b), late = late_rows(b, l);
    hn_value d_o = go_on ? hn_build_piece(b, &late, q_cols) : HN_NONE;
    hn_build_linears_bwd(b, l, HN_LINEAR_O, 1, d_o, &dx, s->late_o, s, &late);
    if (!go_on)
        return HN_NONE;
    if (late.of == HN_ROWS_PICKED) {
        d_o = scatter(b, d_o, q_cols);
        dx = lowest ? HN_NONE : scatter(b, dx, spec->d_model);
    }
    hn_value d[3] = {tokens(b, q_cols), tokens(b, k_cols), tokens(b, k_cols)};
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_ATTENTION_BWD);
    if (op) {
        op->x = d_o, op->extra = s->o, op->extra2 = s->lse;
        op->many[0] = s->q, op->many[1] = s->k, op->many[2] = s->v;
        for (int i = 0; i < 3; i++)
            op->more[i] = d[i];
        op->attention = attention_shape(b, l);
    }
    const struct hn_block_params full = trained_of(b, l);
    rotate_back(b, d[0], s->q0, w->q_norm, full.q_norm);
    rotate_back(b, d[1], s->k0, w->k_norm, full.k_norm);
    hn_value n1 = trained ? norm(b, s->x, spec->d_model, w->attn_norm) : HN_NONE;
    hn_value dn1 = lowest && !full.attn_norm ? HN_NONE : tokens(b, spec->d_model);
    hn_build_linears_bwd(b, l, HN_LINEAR_Q, 3, dn1, d, n1, s, &r);
    norm_grad(b, full.attn_norm, dn1, s->x);
    if (!lowest)
        norm_bwd(b, dx, dn1, s->x, w->attn_norm, true);
    return dx;
}

/* Returns the gradient of the block's input, of all tokens. */
static hn_value block_bwd(struct hn_build *b, int64_t l, hn_value dx, const struct hn_saved *s)
{
    bool lowest = l == b->m->adapters.first_block && !b->m->adapters.embed;
    bool full = b->m->adapters.blocks != NULL; /* the norms too */
    bool below = !lowest || full || hn_build_adapted(b, l, HN_LINEAR_Q, HN_LINEAR_O);
    ffn_bwd(b, l, dx, s, below);
    return below ? attention_bwd(b, l, dx, s, lowest) : HN_NONE;
}

/* -------------------------------------------------------------------------------------------- */

/* The final norm of the picked rows. */
static hn_value head_norm(struct hn_build *b, hn_value x)
{
    hn_value n = hn_plan_tensor(b->p, HN_ROWS_PICKED, b->m->spec.d_model);
    norm_to(b, n, x, b->m->final_norm);
    return n;
}

/* x: the picked rows; returns their gradient. */
static hn_value head_loss(struct hn_build *b, hn_value x, bool backward)
{
    struct hn_plan *p = b->p;
    int64_t d = b->m->spec.d_model;
    hn_value n = head_norm(b, x);
    hn_value dn = backward ? hn_plan_tensor(p, HN_ROWS_PICKED, d) : HN_NONE;
    p->loss = hn_plan_tensor(p, HN_ROWS_PICKED, 1);
    p->hit = backward ? HN_NONE : hn_plan_tensor(p, HN_ROWS_PICKED, 1);
    hn_plan_output(p, p->loss);
    if (!backward)
        hn_plan_output(p, p->hit);
    struct hn_plan_op *op = hn_plan_add(p, HN_DO_HEAD_LOSS);
    if (op)
        op->x = n, op->y = dn, op->extra = p->loss, op->extra2 = p->hit, op->w = b->m->head;
    if (!backward)
        return HN_NONE;
    hn_plan_begin_backward(p);
    const struct hn_adapter_set *set = &b->m->adapters;
    struct hn_param *head = b->m->head == b->m->embed ? set->embed : set->head;
    op = head ? hn_plan_add(p, HN_DO_HEAD_GRAD) : NULL;
    if (op)
        op->x = n, op->extra = p->loss, op->w = b->m->head, op->dw = head;
    norm_grad(b, set->final_norm, dn, x);
    norm_bwd(b, dn, dn, x, b->m->final_norm, false);
    return dn;
}

static void head_logits(struct hn_build *b, hn_value x)
{
    struct hn_plan *p = b->p;
    hn_value n = head_norm(b, x);
    p->logits = hn_plan_tensor(p, HN_ROWS_PICKED, b->m->spec.vocab_size);
    hn_plan_output(p, p->logits);
    struct hn_plan_op *op = hn_plan_add(p, HN_DO_LINEAR);
    if (op) {
        op->n = 1;
        op->lin[0] = (struct hn_linear){.w = b->m->head};
        op->x = n, op->many[0] = p->logits;
    }
}

/* One past the last block of the segment that begins at block l; the last block of all is none's:
 * its values are read at once, so keeping them costs little. */
static int64_t segment_end(const struct hn_build *b, int64_t l)
{
    return HN_MIN(b->m->spec.n_layers - 1, l + HN_MAX(1, b->o->segment));
}

/* Blocks l..end-1, of which only saved[l].x is there: again, keeping each one's input, then
 * backwards. */
static hn_value segment_bwd(struct hn_build *b, int64_t l, int64_t end, hn_value dx,
                            struct hn_saved *saved)
{
    for (int64_t i = l; i + 1 < end; i++) {
        saved[i + 1].x = tokens(b, b->m->spec.d_model);
        unary(b, HN_DO_COPY, saved[i + 1].x, saved[i].x);
        block_fwd(b, i, saved[i + 1].x, NULL, false);
    }
    for (int64_t i = end - 1; i >= l; i--) {
        attention_half(b, i, saved[i].x, &saved[i]);
        dx = block_bwd(b, i, dx, &saved[i]);
    }
    return dx;
}

/* From dx, the gradient of the last block's output, to that of the lowest trained one's input. */
static hn_value backward_blocks(struct hn_build *b, hn_value dx, struct hn_saved *saved)
{
    int64_t n = b->m->spec.n_layers, first = b->m->adapters.first_block;
    if (b->o->keep <= HN_KEEP_ATTENTION) {
        for (int64_t l = n - 1; l >= first; l--)
            dx = block_bwd(b, l, dx, &saved[l]);
        return dx;
    }
    int64_t step = HN_MAX(1, b->o->segment), n_segments = (n - 1 - first + step - 1) / step;
    if (first < n)
        dx = block_bwd(b, n - 1, dx, &saved[n - 1]);
    for (int64_t i = n_segments - 1; i >= 0; i--)
        dx = segment_bwd(b, first + i * step, segment_end(b, first + i * step), dx, saved);
    return dx;
}

/* Forward and backward.  saved [L] belongs to the caller. */
static void training(struct hn_build *b, struct hn_saved *saved)
{
    int64_t n = b->m->spec.n_layers, first = b->m->adapters.first_block, l = 0;
    enum hn_keep keep = b->o->keep;
    hn_value x = tokens(b, b->m->spec.d_model);
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_EMBED);
    if (op)
        op->y = x, op->w = b->m->embed;
    for (; l < first; l++)
        x = block_fwd(b, l, x, NULL, false);
    while (l < n) {
        if (keep <= HN_KEEP_ATTENTION || l == n - 1) {
            bool ffn = keep == HN_KEEP_ALL || (keep == HN_KEEP_INPUTS && b->o->segment <= 1) ||
                       (keep == HN_KEEP_ATTENTION && l >= n - b->o->whole);
            x = block_fwd(b, l, x, &saved[l], ffn);
            l++;
            continue;
        }
        saved[l].x = x;
        x = tokens(b, b->m->spec.d_model);
        unary(b, HN_DO_COPY, x, saved[l].x);
        for (int64_t end = segment_end(b, l); l < end; l++)
            block_fwd(b, l, x, NULL, false);
    }
    hn_value dx = head_loss(b, x, true);
    dx = backward_blocks(b, dx, saved);
    op = b->m->adapters.embed ? hn_plan_add(b->p, HN_DO_EMBED_GRAD) : NULL;
    if (op)
        op->x = dx, op->dw = b->m->adapters.embed;
}

static void inference(struct hn_build *b)
{
    hn_value x = tokens(b, b->m->spec.d_model);
    struct hn_plan_op *op = hn_plan_add(b->p, HN_DO_EMBED);
    if (op)
        op->y = x, op->w = b->m->embed;
    for (int64_t l = 0; l < b->m->spec.n_layers; l++)
        x = block_fwd(b, l, x, NULL, false);
    if (b->o->purpose == HN_FOR_LOSS)
        head_loss(b, x, false);
    else
        head_logits(b, x);
}

int64_t hn_decoder_smallest_segment(const struct hone_model *m)
{
    int64_t n = m->spec.n_layers - m->adapters.first_block, best = 1;
    for (int64_t k = 2; k < n; k++)
        if ((n + k - 1) / k + k < (n + best - 1) / best + best)
            best = k;
    return best;
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
        .full = o->purpose == HN_FOR_TRAINING && m->adapters.full,
    };
    hn_plan_init(out, &limits);
    out->kv = o->kv;
    bool small = o->purpose == HN_FOR_TRAINING && o->keep == HN_KEEP_INPUTS && o->segment > 1;
    struct hn_build b = {m, o, out, o->ffn_rows ? o->ffn_rows : small ? SMALL_PIECE : PIECE};
    if (o->purpose != HN_FOR_TRAINING) {
        inference(&b);
        return hn_plan_finish(out, err);
    }
    if (m->backend->op_info(m->dev, HN_OP_LINEAR).class == HN_CLASS_INT8)
        return hn_fail(err, HONE_USAGE,
                       "the class int8 is for generating and testing; training needs --compute "
                       "exact");
    HN_ASSERT(m->adapters.training);
    struct hn_saved *saved = hn_calloc((size_t)s->n_layers, sizeof *saved);
    if (!saved)
        return hn_fail_memory(err, "planning a step");
    training(&b, saved);
    hn_free(saved);
    return hn_plan_finish(out, err);
}
