/* The validation loss. */
#include "train/run.h"

#include <math.h>

/* What it is the mean of: all tokens (batch 0), or the means of batches of so many rows, each as
 * heavy as it has rows, which is transformers' evaluation loop. */
struct mean {
    int64_t batch;
    double loss, means;
    int64_t tokens, rows, weight;
};

static void close_batch(struct mean *m)
{
    if (m->tokens) {
        m->means += m->loss / (double)m->tokens * (double)m->rows;
        m->weight += m->rows;
    }
    m->loss = 0;
    m->tokens = m->rows = 0;
}

static void add_row(struct mean *m, const float *losses, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        m->loss += (double)losses[i];
    m->tokens += n;
    m->rows++;
    if (m->rows == m->batch)
        close_batch(m);
}

static double result(struct mean *m)
{
    if (m->batch == 0)
        return m->tokens ? m->loss / (double)m->tokens : NAN;
    close_batch(m);
    return m->weight ? m->means / (double)m->weight : NAN;
}

int hn_run_evaluate(struct hn_run *r, int64_t iter, double *loss, struct hone_err *err)
{
    struct mean mean = {.batch = r->o->eval_batch_size};
    struct hn_batch *b = &r->batch.batch;
    const struct hn_plan *p = &r->eval_plan;
    int64_t i = 0;
    hn_order_valid(&r->order, iter);
    const uint64_t *rows = r->order.valid;
    int64_t n = r->order.n_validated;
    while (i < n) {
        int64_t counts[HN_EVAL_SEQS];
        int rc = 0;
        hn_batch_clear(&r->batch);
        while (i < n && !rc && b->n_seqs < p->limits.max_seqs &&
               b->n_tokens + hn_view_length(&r->valid, rows[i]) <= p->limits.max_tokens) {
            int64_t had = b->n_rows;
            rc = hn_run_add_row(r, &r->valid, rows[i++], err);
            if (!rc)
                counts[b->n_seqs - 1] = b->n_rows - had;
        }
        if (!rc)
            rc = hn_plan_run(&r->eval_plan, r->model->backend, r->model->dev, b, err);
        if (!rc)
            rc = r->model->backend->read(r->model->dev, &p->tensors[p->loss].t, r->losses, err);
        if (rc)
            return rc;
        const float *next = r->losses;
        for (int64_t k = 0; k < b->n_seqs; next += counts[k++])
            add_row(&mean, next, counts[k]);
    }
    *loss = result(&mean);
    return 0;
}
