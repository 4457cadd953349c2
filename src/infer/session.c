#include "infer/session.h"
#include "base/mem.h"

#include <string.h>

int hn_session_plans(const struct hone_model *m, int64_t n_slots, int64_t context, struct hn_kv *kv,
                     struct hn_plan *prefill, struct hn_plan *decode, struct hone_err *err)
{
    struct hn_decoder_options o = {
        .purpose = HN_FOR_GENERATION,
        .max_tokens = HN_MIN(context, (int64_t)HN_PREFILL_CHUNK),
        .max_seqs = 1,
        .max_rows = 1,
        .max_context = context,
        .kv = kv,
    };
    int rc = hn_decoder_plan(m, &o, prefill, err);
    if (rc)
        return rc;
    o.max_tokens = o.max_seqs = o.max_rows = n_slots;
    return hn_decoder_plan(m, &o, decode, err);
}

int hn_session_open(struct hn_session *s, struct hone_model *m, int64_t n_slots, int64_t context,
                    struct hone_err *err)
{
    HN_ASSERT(n_slots > 0 && n_slots <= HN_MAX_SLOTS);
    *s = (struct hn_session){.model = m, .n_slots = n_slots, .context = context};
    int64_t v = m->spec.vocab_size;
    const struct hn_kv_shape shape = hn_model_kv_shape(m, n_slots, context);
    int rc = m->backend->kv_open(m->dev, &shape, &s->kv, err);
    if (!rc)
        rc = hn_session_plans(m, n_slots, context, s->kv, &s->prefill, &s->decode, err);
    struct hn_plan *plans[] = {&s->prefill, &s->decode};
    if (!rc)
        rc = hn_plan_bind(plans, 2, m->backend, m->dev, &s->arena, err);
    if (!rc)
        rc = hn_batch_init(&s->batch, HN_MAX(s->prefill.limits.max_tokens, n_slots), n_slots, err);
    if (!rc) {
        s->logits = hn_calloc((size_t)n_slots * (size_t)v, sizeof *s->logits);
        rc = s->logits ? 0 : hn_fail_memory(err, "preparing to generate");
    }
    if (rc)
        hn_session_close(s);
    return rc;
}

void hn_session_close(struct hn_session *s)
{
    if (!s->model)
        return;
    hn_plan_release(&s->prefill);
    hn_plan_release(&s->decode);
    if (s->arena)
        s->model->backend->unbind(s->model->dev, &s->arena);
    if (s->kv)
        s->model->backend->kv_close(s->model->dev, &s->kv);
    hn_batch_release(&s->batch);
    hn_free(s->logits);
    *s = (struct hn_session){0};
}

void hn_session_reset(struct hn_session *s, int64_t slot)
{
    s->past[slot] = 0;
}

void hn_session_cut(struct hn_session *s, int64_t slot, int64_t n)
{
    HN_ASSERT(n >= 0 && n <= s->past[slot]);
    s->past[slot] = (int32_t)n;
}

/* Run the batch that is laid out, and fetch its logits. */
static int run(struct hn_session *s, struct hn_plan *p, struct hone_err *err)
{
    const struct hn_backend *be = s->model->backend;
    int rc = hn_plan_run(p, be, s->model->dev, &s->batch.batch, err);
    return rc ? rc : be->read(s->model->dev, &p->tensors[p->logits].t, s->logits, err);
}

static int check_room(const struct hn_session *s, int64_t slot, int64_t n, struct hone_err *err)
{
    if (s->past[slot] + n <= s->context)
        return 0;
    return hn_fail(err, HONE_FAILED,
                   "the sequence grows to %lld tokens, but its cache was made for %lld",
                   (long long)(s->past[slot] + n), (long long)s->context);
}

int hn_session_prefill(struct hn_session *s, int64_t slot, const int32_t *ids, int64_t n,
                       const float **logits, struct hone_err *err)
{
    int rc = check_room(s, slot, n, err);
    for (int64_t done = 0; done < n && !rc;) {
        int64_t part = HN_MIN(n - done, s->prefill.limits.max_tokens);
        struct hn_batch_rows *b = &s->batch;
        int32_t slots[1] = {(int32_t)slot}, past[1] = {s->past[slot]};
        hn_batch_clear(b);
        hn_batch_add(b, ids + done, part, NULL);
        for (int64_t i = 0; i < part; i++)
            b->positions[i] += past[0];
        b->batch.slots = slots;
        b->batch.past = past;
        b->batch.targets = NULL;
        b->batch.n_rows = 1;
        b->rows[0] = (int32_t)(part - 1);
        rc = run(s, &s->prefill, err);
        s->past[slot] += (int32_t)part;
        done += part;
    }
    *logits = s->logits;
    return rc;
}

int hn_session_step(struct hn_session *s, const int32_t *slots, const int32_t *ids, int64_t n,
                    const float **logits, struct hone_err *err)
{
    struct hn_batch_rows *b = &s->batch;
    int32_t past[HN_MAX_SLOTS];
    hn_batch_clear(b);
    for (int64_t i = 0; i < n; i++) {
        int rc = check_room(s, slots[i], 1, err);
        if (rc)
            return rc;
        past[i] = s->past[slots[i]];
        hn_batch_add(b, &ids[i], 1, NULL);
        b->positions[i] = past[i];
        b->rows[i] = (int32_t)i;
    }
    b->batch.n_rows = n;
    b->batch.targets = NULL;
    b->batch.slots = slots;
    b->batch.past = past;
    int rc = run(s, &s->decode, err);
    for (int64_t i = 0; i < n && !rc; i++)
        s->past[slots[i]]++;
    *logits = s->logits;
    return rc;
}
