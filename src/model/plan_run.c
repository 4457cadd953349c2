/* Storage for plans, and the loop that runs one. */
#include "model/plan.h"
#include "base/mem.h"
#include "model/model.h"

int hn_plan_bind(struct hn_plan *const *plans, size_t n, const struct hn_backend *be,
                 struct hn_device *dev, void **arena, struct hone_err *err)
{
    size_t count = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        count += plans[i]->n_tensors;
        size = HN_MAX(size, plans[i]->arena_size);
    }
    struct hn_tensor **list = hn_calloc(count + 1, sizeof *list);
    if (!list)
        return hn_fail_memory(err, "preparing a step");
    count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < plans[i]->n_tensors; k++)
            list[count++] = &plans[i]->tensors[k].t;
    int rc = be->bind(dev, list, count, size, arena, err);
    for (size_t i = 0; i < n && !rc; i++)
        rc = be->reserve(dev, &plans[i]->limits, err);
    hn_free(list);
    return rc;
}

static struct hn_tensor *get(struct hn_plan *p, hn_value v)
{
    return v == HN_NONE ? NULL : &p->tensors[v].t;
}

struct run {
    struct hn_plan *p;
    const struct hn_backend *be;
    struct hn_device *dev;
};

static void run_linear(const struct run *r, const struct hn_plan_op *op)
{
    struct hn_tensor *y[HN_LINEAR_MAX], *h[HN_LINEAR_MAX];
    const struct hn_tensor *dy[HN_LINEAR_MAX], *kept[HN_LINEAR_MAX];
    for (int i = 0; i < op->n; i++) {
        dy[i] = y[i] = get(r->p, op->many[i]);
        kept[i] = h[i] = get(r->p, op->more[i]);
    }
    if (op->code == HN_DO_LINEAR)
        r->be->linear_fwd(r->dev, y, h, get(r->p, op->x), op->lin, op->n, op->flag);
    else
        r->be->linear_bwd(r->dev, get(r->p, op->y), dy, get(r->p, op->x), kept, op->lin, op->n);
}

static void run_dora(const struct run *r, const struct hn_plan_op *op)
{
    const struct hn_lora *lo = op->lora;
    struct hn_tensor *x = get(r->p, op->x), *y = get(r->p, op->y), *extra = get(r->p, op->extra);
    uint32_t module = lo->use.module;
    if (op->code == HN_DO_DORA)
        r->be->dora_fwd(r->dev, y, x, &lo->factor, op->w, op->flag);
    else if (op->code == HN_DO_DORA_BWD)
        r->be->dora_bwd(r->dev, y, &lo->mag->part[HN_PART_GRAD], x, &lo->factor, &lo->norm);
    else if (op->code == HN_DO_DROPOUT)
        r->be->dropout_fwd(r->dev, y, extra, x, lo->dropout, module);
    else
        r->be->dropout_bwd(r->dev, y, x, extra, lo->dropout, module, op->flag);
}

static void run_grad(const struct run *r, const struct hn_plan_op *op)
{
    struct hn_tensor *x = get(r->p, op->x), *extra = get(r->p, op->extra);
    struct hn_tensor *dw = op->dw ? &op->dw->part[HN_PART_GRAD] : NULL;
    struct hn_tensor *dbias = op->dbias ? &op->dbias->part[HN_PART_GRAD] : NULL;
    if (op->code == HN_DO_LINEAR_GRAD)
        r->be->linear_grad(r->dev, dw, dbias, extra, x);
    else if (op->code == HN_DO_NORM_GRAD)
        r->be->rms_norm_grad(r->dev, dw, extra, x, op->eps);
    else if (op->code == HN_DO_EMBED_GRAD)
        r->be->embed_grad(r->dev, dw, x);
    else
        r->be->head_grad(r->dev, dw, extra, x, op->w);
}

static void run_attention(const struct run *r, const struct hn_plan_op *op)
{
    struct hn_plan *p = r->p;
    struct hn_tensor *q = get(p, op->many[0]), *k = get(p, op->many[1]), *v = get(p, op->many[2]);
    if (op->code == HN_DO_ATTENTION)
        r->be->attention_fwd(r->dev, get(p, op->y), get(p, op->extra), q, k, v, &op->attention);
    else if (op->code == HN_DO_ATTENTION_CACHED)
        r->be->attention_cached(r->dev, get(p, op->y), q, k, v, p->kv, op->layer, &op->attention);
    else
        r->be->attention_bwd(r->dev, get(p, op->more[0]), get(p, op->more[1]), get(p, op->more[2]),
                             get(p, op->x), q, k, v, get(p, op->extra), get(p, op->extra2),
                             &op->attention);
}

static void run_op(const struct run *r, const struct hn_plan_op *op)
{
    const struct hn_backend *be = r->be;
    struct hn_device *dev = r->dev;
    struct hn_tensor *x = get(r->p, op->x), *y = get(r->p, op->y);
    struct hn_tensor *extra = get(r->p, op->extra), *extra2 = get(r->p, op->extra2);
    switch (op->code) {
    case HN_DO_ZERO:
        be->zero(dev, y);
        break;
    case HN_DO_EMBED:
        be->embed_fwd(dev, y, op->w);
        break;
    case HN_DO_NORM:
        be->rms_norm_fwd(dev, y, x, op->w, op->eps);
        break;
    case HN_DO_NORM_BWD:
        be->rms_norm_bwd(dev, y, extra, x, op->w, op->eps, op->flag);
        break;
    case HN_DO_LINEAR:
    case HN_DO_LINEAR_BWD:
        run_linear(r, op);
        break;
    case HN_DO_DORA:
    case HN_DO_DORA_BWD:
    case HN_DO_DROPOUT:
    case HN_DO_DROPOUT_BWD:
        run_dora(r, op);
        break;
    case HN_DO_LINEAR_GRAD:
    case HN_DO_NORM_GRAD:
    case HN_DO_EMBED_GRAD:
    case HN_DO_HEAD_GRAD:
        run_grad(r, op);
        break;
    case HN_DO_ROPE:
        be->rope_fwd(dev, y, op->rope);
        break;
    case HN_DO_ROPE_BWD:
        be->rope_bwd(dev, y, op->rope);
        break;
    case HN_DO_ATTENTION:
    case HN_DO_ATTENTION_BWD:
    case HN_DO_ATTENTION_CACHED:
        run_attention(r, op);
        break;
    case HN_DO_GLU:
        be->glu_fwd(dev, y, x, extra);
        break;
    case HN_DO_GLU_BWD: /* dgate and dup take the places of gate and up */
        be->glu_bwd(dev, extra, extra2, x, extra, extra2);
        break;
    case HN_DO_COPY:
        be->copy(dev, y, x);
        break;
    case HN_DO_GATHER:
        be->gather_rows(dev, y, x);
        break;
    case HN_DO_SCATTER:
        be->scatter_rows(dev, y, x);
        break;
    case HN_DO_HEAD_LOSS:
        be->head_loss(dev, extra, extra2, y, x, op->w);
        break;
    }
}

static int64_t rows_of(const struct hn_plan_tensor *t, const struct hn_batch *batch)
{
    int64_t n = t->rows == HN_ROWS_TOKENS ? batch->n_tokens : batch->n_rows;
    return t->piece ? HN_MAX(0, HN_MIN(t->t.rows_max, n - t->t.first_row)) : n;
}

/* An operation on rows that this batch does not reach, or picks none of. */
static bool is_empty(const struct hn_plan *p, const struct hn_plan_op *op)
{
    const hn_value main[] = {op->x, op->y, op->many[0]};
    for (size_t i = 0; i < HN_COUNT(main); i++)
        if (main[i] != HN_NONE && p->tensors[main[i]].t.rows > 0)
            return false;
    return true;
}

int hn_plan_run(struct hn_plan *p, const struct hn_backend *be, struct hn_device *dev,
                const struct hn_batch *batch, struct hone_err *err)
{
    HN_ASSERT(batch->n_tokens <= p->limits.max_tokens && batch->n_rows <= p->limits.max_rows &&
              batch->n_seqs <= p->limits.max_seqs);
    for (size_t i = 0; i < p->n_tensors; i++)
        p->tensors[i].t.rows = rows_of(&p->tensors[i], batch);
    struct run r = {p, be, dev};
    be->begin(dev, batch);
    for (size_t i = 0; i < p->n_ops; i++)
        if (!is_empty(p, &p->ops[i]))
            run_op(&r, &p->ops[i]);
    return be->eval(dev, err);
}
