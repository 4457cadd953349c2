/* Linears with their adapters, as operations of a plan.
 *
 * LoRA is inside the linear.  DoRA is z = x (W + scale B A)^T, then y = factor z + bias: factor is
 * the trained magnitude over the row's length.  Dropout on the adapter's input is dropout on all of
 * DoRA's input, except that PEFT lets what the base itself makes of x through whole
 * (peft/tuners/lora/variants.py):
 *
 *   y = x W^T + bias + (factor - 1) kept W^T + factor scale kept A^T B^T,   kept = drop(x)
 *     = (x - kept) W^T + bias + factor z,                                    z = of kept
 */
#include "model/decoder_impl.h"

hn_value hn_build_piece(struct hn_build *b, const struct hn_build_rows *r, int64_t cols)
{
    if (r->n == hn_build_most(b, r->of))
        return hn_plan_tensor(b->p, r->of, cols);
    return hn_plan_piece(b->p, r->of, r->first, r->n, cols);
}

bool hn_build_adapted(const struct hn_build *b, int64_t l, enum hn_linear_id first,
                      enum hn_linear_id last)
{
    const struct hn_block_params *full = b->m->adapters.blocks;
    for (int id = (int)first; id <= (int)last; id++)
        if (hn_adapters_get(b->m, l, (enum hn_linear_id)id) ||
            (full && (full[l].w[id] || full[l].bias[id])))
            return true;
    return false;
}

/* The linears of one call, told apart. */
struct group {
    struct hn_build *b;
    const struct hn_build_rows *r;
    int64_t l;
    int n;
    enum hn_linear_id id[HN_LINEAR_MAX];
    const struct hn_lora *lora[HN_LINEAR_MAX];    /* or NULL */
    bool dora[HN_LINEAR_MAX], wet[HN_LINEAR_MAX]; /* wet: DoRA with dropout */
};

static struct group open_group(struct hn_build *b, int64_t l, enum hn_linear_id first, int n,
                               const struct hn_build_rows *r)
{
    struct group g = {.b = b, .r = r, .l = l, .n = n};
    for (int i = 0; i < n; i++) {
        g.id[i] = (enum hn_linear_id)((int)first + i);
        g.lora[i] = hn_adapters_get(b->m, l, g.id[i]);
        g.dora[i] = g.lora[i] && g.lora[i]->mag;
        g.wet[i] = g.dora[i] && b->o->purpose == HN_FOR_TRAINING && g.lora[i]->dropout > 0;
    }
    return g;
}

static hn_value in_piece(const struct group *g, int i)
{
    return hn_build_piece(g->b, g->r, hn_linear_in(&g->b->m->spec, g->id[i]));
}

/* Add linear i, with or without its adapter and its bias, to an operation. */
static void put(const struct group *g, int i, struct hn_plan_op *op, bool adapter, bool bias)
{
    const struct hn_block *block = &g->b->m->blocks[g->l];
    const struct hn_lora *lo = adapter ? g->lora[i] : NULL;
    bool training = g->b->o->purpose == HN_FOR_TRAINING;
    op->lin[op->n++] = (struct hn_linear){block->w[g->id[i]], bias ? block->bias[g->id[i]] : NULL,
                                          !lo        ? NULL
                                          : training ? &lo->use
                                                     : &lo->still};
}

/* y (+)= one linear of x */
static void one(const struct group *g, int i, hn_value y, hn_value h, hn_value x, bool adapter,
                bool bias, bool add)
{
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_LINEAR);
    if (!op)
        return;
    put(g, i, op, adapter, bias);
    op->x = x, op->many[0] = y, op->more[0] = h, op->flag = add;
}

static void drop(const struct group *g, int i, hn_value kept, hn_value rest, hn_value x)
{
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_DROPOUT);
    if (op)
        op->y = kept, op->extra = rest, op->x = x, op->lora = g->lora[i];
}

/* y (+)= factor z (+ bias) */
static void magnify(const struct group *g, int i, hn_value y, hn_value z, bool bias, bool add)
{
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_DORA);
    if (!op)
        return;
    op->y = y, op->x = z, op->lora = g->lora[i], op->flag = add;
    op->w = bias ? g->b->m->blocks[g->l].bias[g->id[i]] : NULL;
}

void hn_build_linears(struct hn_build *b, int64_t l, enum hn_linear_id first, int n, hn_value x,
                      const hn_value *y, bool add, struct hn_saved *keep,
                      const struct hn_build_rows *r)
{
    const struct group g = open_group(b, l, first, n, r);
    hn_value h[HN_LINEAR_MAX], z[HN_LINEAR_MAX];
    struct hn_plan_op *op = NULL;
    for (int i = 0; i < n; i++) {
        h[i] = keep && g.lora[i] ? hn_build_piece(b, r, g.lora[i]->rank) : HN_NONE;
        z[i] = g.dora[i] ? hn_build_piece(b, r, hn_linear_out(&b->m->spec, g.id[i])) : HN_NONE;
        if (keep)
            keep->h[g.id[i]] = h[i], keep->z[g.id[i]] = z[i];
    }
    for (int i = 0; i < n; i++) {
        if (g.wet[i])
            continue;
        if (!op && !(op = hn_plan_add(b->p, HN_DO_LINEAR)))
            return;
        op->x = x, op->flag = add && !g.dora[i];
        op->many[op->n] = g.dora[i] ? z[i] : y[i];
        op->more[op->n] = h[i];
        put(&g, i, op, true, !g.dora[i]);
    }
    for (int i = 0; i < n; i++) {
        if (g.wet[i]) {
            hn_value kept = in_piece(&g, i), rest = in_piece(&g, i);
            drop(&g, i, kept, rest, x);
            one(&g, i, y[i], HN_NONE, rest, false, true, add);
            one(&g, i, z[i], h[i], kept, true, false, false);
        }
        if (g.dora[i])
            magnify(&g, i, y[i], z[i], !g.wet[i], add || g.wet[i]);
    }
}

/* z's gradient, in its place, and the magnitudes'; z is made again where it was not kept. */
static hn_value magnify_bwd(const struct group *g, int i, hn_value z, hn_value dy, hn_value input)
{
    if (z == HN_NONE) {
        z = hn_build_piece(g->b, g->r, hn_linear_out(&g->b->m->spec, g->id[i]));
        one(g, i, z, HN_NONE, input, true, false, false);
    }
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_DORA_BWD);
    if (op)
        op->y = z, op->x = dy, op->lora = g->lora[i];
    return z;
}

/* The gradients of weights that are trained themselves. */
static void full_grads(const struct group *g, const hn_value *dy, hn_value x)
{
    const struct hn_block_params *full = g->b->m->adapters.blocks;
    for (int i = 0; i < g->n && full; i++) {
        struct hn_param *w = full[g->l].w[g->id[i]], *bias = full[g->l].bias[g->id[i]];
        struct hn_plan_op *op = w || bias ? hn_plan_add(g->b->p, HN_DO_LINEAR_GRAD) : NULL;
        if (op)
            op->x = x, op->extra = dy[i], op->dw = w, op->dbias = bias;
    }
}

/* dx = gradient of the input of one linear, with or without its adapter's part. */
static void one_bwd(const struct group *g, int i, hn_value dx, hn_value dy, hn_value x, hn_value h,
                    bool adapter)
{
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_LINEAR_BWD);
    if (!op)
        return;
    put(g, i, op, adapter, false);
    op->y = dx, op->many[0] = dy, op->x = x, op->more[0] = h;
}

/* A DoRA with dropout: dx (+)= its gradient. */
static void wet_bwd(const struct group *g, int i, hn_value dx, hn_value dy, hn_value x,
                    const struct hn_saved *s, bool add)
{
    hn_value kept = in_piece(g, i), dkept = HN_NONE, drest = HN_NONE;
    drop(g, i, kept, HN_NONE, x);
    hn_value dz = magnify_bwd(g, i, s->z[g->id[i]], dy, kept);
    if (dx != HN_NONE)
        dkept = in_piece(g, i), drest = in_piece(g, i);
    one_bwd(g, i, dkept, dz, kept, s->h[g->id[i]], true);
    if (dx == HN_NONE)
        return;
    one_bwd(g, i, drest, dy, HN_NONE, HN_NONE, false);
    struct hn_plan_op *op = hn_plan_add(g->b->p, HN_DO_DROPOUT_BWD);
    if (op)
        op->y = dx, op->x = dkept, op->extra = drest, op->lora = g->lora[i], op->flag = add;
}

void hn_build_linears_bwd(struct hn_build *b, int64_t l, enum hn_linear_id first, int n,
                          hn_value dx, const hn_value *dy, hn_value x, const struct hn_saved *s,
                          const struct hn_build_rows *r)
{
    const struct group g = open_group(b, l, first, n, r);
    hn_value dz[HN_LINEAR_MAX];
    bool add = false;
    full_grads(&g, dy, x);
    for (int i = 0; i < n; i++)
        dz[i] = g.dora[i] && !g.wet[i] ? magnify_bwd(&g, i, s->z[g.id[i]], dy[i], x) : dy[i];
    for (int i = 0; i < n; i++) {
        if (g.wet[i])
            continue;
        struct hn_plan_op *op =
            add ? &b->p->ops[b->p->n_ops - 1] : hn_plan_add(b->p, HN_DO_LINEAR_BWD);
        if (!op)
            return;
        op->x = x, op->y = dx;
        op->many[op->n] = dz[i];
        op->more[op->n] = s->h[g.id[i]];
        put(&g, i, op, true, false);
        add = true;
    }
    for (int i = 0; i < n; i++) {
        if (!g.wet[i])
            continue;
        wet_bwd(&g, i, dx, dy[i], x, s, add);
        add = true;
    }
}
