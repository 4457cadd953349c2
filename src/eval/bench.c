/* Timings of the three things a model does here, beside what the machine could do at best. */
#include "hone/bench.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/rng.h"
#include "infer/session.h"
#include "model/batch.h"

#include <stdlib.h>
#include <string.h>

void hone_bench_defaults(struct hone_bench_options *o)
{
    *o = (struct hone_bench_options){
        .prompt_tokens = 512, .generation_tokens = 64, .train_tokens = 512, .trials = 3};
    hone_train_defaults(&o->train);
}

struct bench {
    struct hone_model *m;
    const struct hone_bench_options *o;
    struct hone_bench_result *out;
    int32_t *ids;
    double *rates; /* [trials] */
    struct hone_err *err;
};

/* Multiply-adds of one token through all linears of the blocks. */
static double block_products(const struct hn_spec *s)
{
    double sum = 0;
    for (int id = 0; id < HN_LINEAR_COUNT; id++)
        sum += (double)hn_linear_in(s, (enum hn_linear_id)id) *
               (double)hn_linear_out(s, (enum hn_linear_id)id);
    return sum * (double)s->n_layers;
}

/* Multiply-adds of one token that a step makes again: gate and up, or all but down_proj, and for
 * segments also blocks as a whole, but for each segment's last.  The last block is kept. */
static double products_again(const struct hn_spec *s, const struct hn_decoder_options *o)
{
    double all = block_products(s), layer = (double)(s->d_model * s->d_ff * s->n_layers);
    double most = (double)(s->n_layers - 1) / (double)s->n_layers;
    if (o->keep == HN_KEEP_ALL)
        return 0;
    if (o->keep == HN_KEEP_ATTENTION)
        return 2 * layer;
    return (all - layer + all * (double)(o->segment - 1) / (double)o->segment) * most;
}

/* Multiply-adds of attention for n tokens of one sequence: scores and sums, half of them masked. */
static double attention_products(const struct hn_spec *s, double n)
{
    double pairs = n * (n + 1) / 2;
    return 2 * pairs * (double)(s->n_heads * s->head_size) * (double)s->n_layers;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_row(struct bench *b, const char *name, double bytes, double flops)
{
    struct hone_bench_row *r = &b->out->rows[b->out->n_rows++];
    int64_t n = b->o->trials;
    qsort(b->rates, (size_t)n, sizeof *b->rates, by_value);
    *r = (struct hone_bench_row){
        .name = name,
        .tokens_per_second = b->rates[n - 1],
        .median = b->rates[n / 2],
        .bytes_per_token = bytes,
        .flops_per_token = flops,
        .limit = flops > 0 ? "arithmetic" : "memory",
        .peak_memory = hn_peak_rss(),
    };
    double limit = flops > 0 ? b->out->limits.flops_per_second / flops
                             : b->out->limits.bytes_per_second / bytes;
    if (limit > 0)
        r->fraction = r->tokens_per_second / limit;
}

static int measure_prefill(struct bench *b, struct hn_session *s)
{
    const float *logits;
    double n = (double)b->o->prompt_tokens;
    int rc = 0;
    for (int64_t t = -1; t < b->o->trials && !rc; t++) { /* the first is not counted */
        double start = hn_now();
        hn_session_reset(s, 0);
        rc = hn_session_prefill(s, 0, b->ids, b->o->prompt_tokens, &logits, b->err);
        if (t >= 0)
            b->rates[t] = n / (hn_now() - start);
    }
    const struct hn_spec *spec = &b->m->spec;
    double products = block_products(spec) + attention_products(spec, n) / n;
    if (!rc)
        add_row(b, "prefill", 0, 2 * products);
    return rc;
}

static int measure_decode(struct bench *b, struct hn_session *s)
{
    enum { PROMPT = 16 };
    const float *logits;
    const int32_t slot = 0;
    int rc = 0;
    for (int64_t t = 0; t < b->o->trials && !rc; t++) {
        hn_session_reset(s, 0);
        rc = hn_session_prefill(s, 0, b->ids, PROMPT, &logits, b->err);
        double start = hn_now();
        for (int64_t i = 0; i < b->o->generation_tokens && !rc; i++)
            rc = hn_session_step(s, &slot, &b->ids[i % PROMPT], 1, &logits, b->err);
        b->rates[t] = (double)b->o->generation_tokens / (hn_now() - start);
    }
    /* Every weight but an untied embedding is read once per token, and the cache so far. */
    const struct hn_spec *spec = &b->m->spec;
    double context = PROMPT + (double)b->o->generation_tokens / 2;
    double bytes = (double)b->m->read_bytes +
                   2 * (double)hn_dtype_size(b->m->kv_type) * context *
                       (double)(spec->n_kv_heads * spec->head_size * spec->n_layers);
    if (!rc)
        add_row(b, "decode", bytes, 0);
    return rc;
}

/* One forward and backward pass without checkpointing, as a step of training does it. */
static int measure_train(struct bench *b)
{
    struct hone_model *m = b->m;
    int64_t n = b->o->train_tokens;
    struct hn_plan plan = {0};
    struct hn_plan *plans[] = {&plan};
    struct hn_batch_rows rows = {0};
    void *arena = NULL;
    const struct hone_train_options *t = &b->o->train;
    const struct hn_adapter_config c = {
        .rank = t->lora_rank,
        .alpha = t->lora_alpha,
        .use_dora = t->fine_tune_type == HONE_DORA,
        .full = t->fine_tune_type == HONE_FULL,
        .dropout = (float)t->lora_dropout,
        .targets = t->target_modules,
        .n_targets = t->n_target_modules,
        .num_layers = t->num_layers,
    };
    static const enum hn_keep keeps[] = {
        [HONE_CHECKPOINT_FFN] = HN_KEEP_ATTENTION,
        [HONE_CHECKPOINT_BLOCKS] = HN_KEEP_INPUTS,
        [HONE_CHECKPOINT_SEGMENTS] = HN_KEEP_INPUTS,
    };
    enum hn_keep keep = keeps[t->grad_checkpoint];
    bool segments = t->grad_checkpoint == HONE_CHECKPOINT_SEGMENTS;
    const struct hn_decoder_options o = {
        .purpose = HN_FOR_TRAINING,
        .keep = keep,
        .segment = segments ? hn_decoder_smallest_segment(m) : 1,
        .max_tokens = n,
        .max_rows = n,
        .max_seqs = 1,
    };
    int rc = hn_adapters_make(m, &c, b->err);
    if (!rc)
        rc = hn_decoder_plan(m, &o, &plan, b->err);
    if (!rc)
        rc = hn_plan_bind(plans, 1, m->backend, m->dev, &arena, b->err);
    if (!rc)
        rc = hn_batch_init(&rows, n, 1, b->err);
    if (!rc)
        hn_batch_add(&rows, b->ids, n, NULL);
    for (int64_t k = -1; k < b->o->trials && !rc; k++) {
        double start = hn_now();
        rc = hn_plan_run(&plan, m->backend, m->dev, &rows.batch, b->err);
        if (k >= 0)
            b->rates[k] = (double)n / (hn_now() - start);
    }
    if (!rc) {
        /* Forward, and the gradient of inputs; weights are frozen.  Attention backward makes the
         * scores again and four products more. */
        const struct hn_spec *s = &m->spec;
        double head = (double)(s->vocab_size * s->d_model);
        double products = 2 * block_products(s) + products_again(s, &o) + 2 * head +
                          3.5 * attention_products(s, (double)n) / (double)n;
        add_row(b, "train", 0, 2 * products);
    }
    hn_plan_release(&plan);
    if (arena)
        m->backend->unbind(m->dev, &arena);
    hn_batch_release(&rows);
    hn_adapters_release(m);
    return rc;
}

static int prepare(struct bench *b)
{
    const struct hone_bench_options *o = b->o;
    int64_t most = HN_MAX(HN_MAX(o->prompt_tokens, o->train_tokens), 16);
    struct hn_rng rng;
    if (o->prompt_tokens < 1 || o->generation_tokens < 1 || o->trials < 1 || o->train_tokens < 0)
        return hn_fail(b->err, HONE_USAGE, "bench needs at least one token and one trial of each");
    b->ids = hn_calloc((size_t)most, sizeof *b->ids);
    b->rates = hn_calloc((size_t)o->trials, sizeof *b->rates);
    if (!b->ids || !b->rates)
        return hn_fail_memory(b->err, "preparing a benchmark");
    hn_rng_init(&rng, 0, 0);
    for (int64_t i = 0; i < most; i++)
        b->ids[i] = (int32_t)hn_rng_below(&rng, (uint64_t)b->m->spec.vocab_size);
    return b->m->backend->measure_limits(b->m->dev, &b->out->limits.bytes_per_second,
                                         &b->out->limits.flops_per_second, b->err);
}

static int tell(hone_bench_fn *on_note, void *arg, const char *text, struct hone_err *err)
{
    if (on_note && on_note(arg, text))
        return hn_fail(err, HONE_INTERRUPTED, "the benchmark was stopped");
    return 0;
}

int hone_bench(const char *model_path, const struct hone_bench_options *o, hone_bench_fn *on_note,
               void *arg, struct hone_bench_result *out, struct hone_err *err)
{
    struct bench b = {.o = o, .out = out, .err = err};
    struct hn_session s = {0};
    *out = (struct hone_bench_result){0};
    int rc = hone_model_open(&b.m, model_path, &o->device, err);
    if (!rc && b.m->note[0])
        rc = tell(on_note, arg, b.m->note, err);
    if (!rc)
        rc = tell(on_note, arg, "measuring the machine's limits", err);
    if (!rc)
        rc = prepare(&b);
    if (!rc)
        rc = hn_session_open(&s, b.m, 1, HN_MAX(o->prompt_tokens, o->generation_tokens + 16), err);
    if (!rc)
        rc = tell(on_note, arg, "measuring prefill", err);
    if (!rc)
        rc = measure_prefill(&b, &s);
    if (!rc)
        rc = tell(on_note, arg, "measuring decode", err);
    if (!rc)
        rc = measure_decode(&b, &s);
    hn_session_close(&s);
    if (!rc && o->train_tokens > 0) {
        rc = tell(on_note, arg, "measuring training", err);
        if (!rc)
            rc = measure_train(&b);
    }
    hn_free(b.ids);
    hn_free(b.rates);
    hone_model_close(&b.m);
    return rc;
}
