#include "eval/losses.h"
#include "base/mem.h"
#include "model/batch.h"
#include "model/decoder.h"

enum { PASS_TOKENS = 512, PASS_SEQS = 64 };

struct pass {
    struct hone_model *m;
    struct hn_plan plan;
    struct hn_batch_rows batch;
    float *losses; /* [max_tokens] */
    void *arena;
    struct hone_err *err;
};

static int open_pass(struct pass *p, int64_t max_tokens)
{
    const struct hn_decoder_options o = {.purpose = HN_FOR_LOSS,
                                         .max_tokens = max_tokens,
                                         .max_rows = max_tokens,
                                         .max_seqs = PASS_SEQS};
    struct hn_plan *plans[] = {&p->plan};
    int rc = hn_decoder_plan(p->m, &o, &p->plan, p->err);
    if (!rc)
        rc = hn_plan_bind(plans, 1, p->m->backend, p->m->dev, &p->arena, p->err);
    if (!rc)
        rc = hn_batch_init(&p->batch, max_tokens, PASS_SEQS, p->err);
    p->losses = hn_calloc((size_t)max_tokens, sizeof *p->losses);
    return rc || p->losses ? rc : hn_fail_memory(p->err, "measuring losses");
}

static void close_pass(struct pass *p)
{
    hn_plan_release(&p->plan);
    if (p->arena)
        p->m->backend->unbind(p->m->dev, &p->arena);
    hn_batch_release(&p->batch);
    hn_free(p->losses);
}

/* The rows of the batch begin at out[0]. */
static int run(struct pass *p, struct hn_row_loss *out)
{
    const struct hn_backend *be = p->m->backend;
    const struct hn_batch_rows *b = &p->batch;
    if (b->batch.n_rows == 0)
        return 0;
    int rc = hn_plan_run(&p->plan, be, p->m->dev, &b->batch, p->err);
    if (!rc)
        rc = be->read(p->m->dev, &p->plan.tensors[p->plan.loss].t, p->losses, p->err);
    for (int64_t i = 0, s = 0; i < b->batch.n_rows && !rc; i++) {
        while (b->rows[i] >= b->offsets[s + 1])
            s++;
        out[s].tokens++;
        out[s].sum += (double)p->losses[i];
    }
    return rc;
}

int hn_losses_measure(struct hone_model *m, const struct hn_loss_rows *rows, hn_loss_fn *on_pass,
                      struct hn_row_loss *out, struct hone_err *err)
{
    struct pass p = {.m = m, .err = err};
    int64_t most = PASS_TOKENS;
    for (uint64_t i = 0; i < rows->n; i++)
        most = HN_MAX(most, rows->length(rows->arg, i));
    int rc = open_pass(&p, most);
    for (uint64_t i = 0; i < rows->n && !rc;) {
        uint64_t first = i;
        const struct hn_batch *b = &p.batch.batch;
        hn_batch_clear(&p.batch);
        while (i < rows->n && !rc && b->n_seqs < PASS_SEQS &&
               b->n_tokens + rows->length(rows->arg, i) <= most) {
            const int32_t *ids;
            const uint8_t *trained;
            int64_t n = rows->length(rows->arg, i);
            rc = rows->read(rows->arg, i++, &ids, &trained, err);
            if (!rc)
                hn_batch_add(&p.batch, ids, n, trained);
        }
        if (!rc && on_pass && on_pass(rows->arg, first))
            rc = hn_fail(err, HONE_INTERRUPTED, "the measurement was stopped after %llu rows",
                         (unsigned long long)first);
        rc = rc ? rc : run(&p, out + first);
    }
    close_pass(&p);
    return rc;
}
