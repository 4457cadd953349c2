/* Timings of the three things a model does here, beside what the machine could do at best. */
#include "eval/bench.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/rng.h"
#include "model/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hone_bench_defaults(struct hone_bench_options *o)
{
    *o = (struct hone_bench_options){.prompt_tokens = 512,
                                     .generation_tokens = 64,
                                     .train_tokens = 512,
                                     .trials = 3,
                                     .decode_batch = 32,
                                     .class_tokens = 256};
    hone_train_defaults(&o->train);
}

/* Multiply-adds of one token through the linears of a block, from this one on. */
static double products_from(const struct hn_spec *s, enum hn_linear_id first)
{
    double sum = 0;
    for (int id = (int)first; id < HN_LINEAR_COUNT; id++)
        sum += (double)hn_linear_in(s, (enum hn_linear_id)id) *
               (double)hn_linear_out(s, (enum hn_linear_id)id);
    return sum;
}

/* The same of all blocks. */
static double block_products(const struct hn_spec *s)
{
    return products_from(s, HN_LINEAR_Q) * (double)s->n_layers;
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

static double begin_trial(struct hn_bench *b)
{
    b->shared_before = b->shared;
    return hn_now();
}

/* One more trial, since start, of so many tokens; false when there are enough of them.  What is
 * not very long runs once uncounted: it is the first to touch its memory. */
static bool again(struct hn_bench *b, double tokens, double start)
{
    enum { LONG = 60, BUDGET = 15 };
    double seconds = hn_now() - start;
    bool counts = b->started || seconds > LONG;
    b->started = true;
    b->spent += seconds;
    if (counts) {
        b->rates[b->n_rates++] = tokens / seconds;
        b->alone += seconds - (b->shared - b->shared_before);
        b->timed += seconds;
    }
    return b->n_rates < b->o->trials && (b->n_rates == 0 || b->spent < BUDGET);
}

static void start_trials(struct hn_bench *b)
{
    b->started = false;
    b->n_rates = 0;
    b->spent = b->alone = b->timed = 0;
}

static double best(struct hn_bench *b)
{
    qsort(b->rates, (size_t)b->n_rates, sizeof *b->rates, by_value);
    return b->rates[b->n_rates - 1];
}

/* bytes and flops that a token needs; the limits come when all is measured. */
static void add_row(struct hn_bench *b, const char *name, int64_t sequences, double bytes,
                    double flops)
{
    HN_ASSERT(b->out->n_rows < HN_COUNT(b->out->rows));
    struct hone_bench_row *r = &b->out->rows[b->out->n_rows++];
    *r = (struct hone_bench_row){
        .sequences = sequences,
        .tokens_per_second = best(b),
        .median = b->rates[b->n_rates / 2],
        .alone = b->alone / b->timed,
        .bytes_per_token = bytes,
        .flops_per_token = flops,
        .peak_memory = hn_peak_rss(),
    };
    snprintf(r->name, sizeof r->name, sequences > 1 ? "%s x%lld" : "%s", name,
             (long long)sequences);
}

/* The slower of reading and computing is a row's limit. */
static void set_limits(struct hone_bench_result *out)
{
    for (size_t i = 0; i < out->n_rows; i++) {
        struct hone_bench_row *r = &out->rows[i];
        double reading = r->bytes_per_token / out->limits.bytes_per_second;
        double computing = r->flops_per_token / out->limits.flops_per_second;
        r->limit = reading > computing ? "memory" : "arithmetic";
        r->fraction = r->tokens_per_second * HN_MAX(reading, computing);
    }
}

/* Called twice, with work between: for one moment two threads may share a processor, or another
 * program take one, and the limits would be too low.  Not before prompts and writing, whose peak of
 * memory it would raise. */
static int measure_limits(struct hn_bench *b)
{
    struct hone_bench_limits *most = &b->out->limits, now;
    int rc = b->m->backend->measure_limits(b->m->dev, &now.bytes_per_second, &now.flops_per_second,
                                           b->err);
    if (rc)
        return rc;
    most->bytes_per_second = HN_MAX(most->bytes_per_second, now.bytes_per_second);
    most->flops_per_second = HN_MAX(most->flops_per_second, now.flops_per_second);
    return 0;
}

static int time_prefill(struct hn_bench *b, struct hn_session *s)
{
    const float *logits;
    int rc = 0;
    double start, n = (double)b->o->prompt_tokens;
    start_trials(b);
    do {
        start = begin_trial(b);
        hn_session_reset(s, 0);
        rc = hn_session_prefill(s, 0, b->ids, b->o->prompt_tokens, &logits, b->err);
    } while (!rc && again(b, n, start));
    return rc;
}

/* Every sequence begins with HN_BENCH_CONTEXT tokens, which are decoded too but not timed. */
static int time_decode(struct hn_bench *b, struct hn_session *s, int64_t n_seqs)
{
    int32_t slots[HN_MAX_SLOTS], ids[HN_MAX_SLOTS];
    int64_t steps = HN_MAX(b->o->generation_tokens / n_seqs, HN_MIN(4, b->o->generation_tokens));
    const float *logits;
    int rc = 0;
    double start = 0;
    for (int64_t i = 0; i < n_seqs; i++) {
        slots[i] = (int32_t)i;
        hn_session_reset(s, i);
    }
    start_trials(b);
    do {
        for (int64_t i = 0; i < n_seqs && b->started; i++)
            hn_session_cut(s, i, HN_BENCH_CONTEXT);
        for (int64_t k = b->started ? 0 : -HN_BENCH_CONTEXT; k < steps && !rc; k++) {
            if (k == 0)
                start = begin_trial(b);
            for (int64_t i = 0; i < n_seqs; i++)
                ids[i] = b->ids[(k + i + HN_BENCH_CONTEXT) % HN_BENCH_CONTEXT];
            rc = hn_session_step(s, slots, ids, n_seqs, &logits, b->err);
        }
    } while (!rc && again(b, (double)(steps * n_seqs), start));
    return rc;
}

int hn_bench_speeds(struct hn_bench *b, struct hone_model *m, double *prefill, double *decode)
{
    struct hn_session s = {0};
    int rc = hn_session_open(
        &s, m, 1, HN_MAX(b->o->prompt_tokens, b->o->generation_tokens + HN_BENCH_CONTEXT), b->err);
    if (!rc)
        rc = time_prefill(b, &s);
    if (!rc) {
        *prefill = best(b);
        rc = time_decode(b, &s, 1);
    }
    if (!rc)
        *decode = best(b);
    hn_session_close(&s);
    return rc;
}

static int measure_prefill(struct hn_bench *b, struct hn_session *s)
{
    const struct hn_spec *spec = &b->m->spec;
    double n = (double)b->o->prompt_tokens;
    int rc = time_prefill(b, s);
    /* After its attention the last block works on the last token alone. */
    double spared = products_from(spec, HN_LINEAR_O) * (1 - 1 / n);
    double products = block_products(spec) - spared + attention_products(spec, n) / n;
    if (!rc)
        add_row(b, "prefill", 1, 0, 2 * products);
    return rc;
}

static int measure_decode(struct hn_bench *b, struct hn_session *s, int64_t n_seqs)
{
    int rc = time_decode(b, s, n_seqs);
    /* Every weight but an untied embedding is read once per step, and each sequence's cache. */
    const struct hn_spec *spec = &b->m->spec;
    double context = HN_BENCH_CONTEXT + (double)(b->o->generation_tokens / n_seqs) / 2;
    const struct hn_kv_shape of_one = hn_model_kv_shape(b->m, 1, 1);
    double bytes = (double)b->m->read_bytes / (double)n_seqs +
                   context * (double)b->m->backend->kv_size(b->m->dev, &of_one);
    double head = (double)(spec->vocab_size * spec->d_model);
    if (!rc)
        add_row(b, "decode", n_seqs, bytes, 2 * (block_products(spec) + head));
    return rc;
}

/* One forward and backward pass without checkpointing, as a step of training does it. */
static int measure_train(struct hn_bench *b)
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
    double start;
    start_trials(b);
    do {
        start = begin_trial(b);
        rc = rc ? rc : hn_plan_run(&plan, m->backend, m->dev, &rows.batch, b->err);
    } while (!rc && again(b, (double)n, start));
    if (!rc) {
        /* Forward, and the gradient of inputs; weights are frozen.  Attention backward makes the
         * scores again and four products more. */
        const struct hn_spec *s = &m->spec;
        double head = (double)(s->vocab_size * s->d_model);
        double products = 2 * block_products(s) + products_again(s, &o) + 2 * head +
                          3.5 * attention_products(s, (double)n) / (double)n;
        add_row(b, "train", 1, 0, 2 * products);
    }
    hn_plan_release(&plan);
    if (arena)
        m->backend->unbind(m->dev, &arena);
    hn_batch_release(&rows);
    hn_adapters_release(m);
    return rc;
}

static int check_options(const struct hone_bench_options *o, struct hone_err *err)
{
    if (o->prompt_tokens < 1 || o->generation_tokens < 1 || o->trials < 1 || o->train_tokens < 0)
        return hn_fail(err, HONE_USAGE, "bench needs at least one token and one trial of each");
    if (o->decode_batch < 1 || o->decode_batch > HN_MAX_SLOTS || o->class_tokens < 0)
        return hn_fail(err, HONE_USAGE, "bench decodes 1 to %d sequences at once", HN_MAX_SLOTS);
    return 0;
}

static int prepare(struct hn_bench *b)
{
    const struct hone_bench_options *o = b->o;
    int64_t most = HN_MAX(HN_MAX(o->prompt_tokens, o->train_tokens), HN_BENCH_CONTEXT);
    struct hn_rng rng;
    b->ids = hn_calloc((size_t)most, sizeof *b->ids);
    b->rates = hn_calloc((size_t)o->trials, sizeof *b->rates);
    if (!b->ids || !b->rates)
        return hn_fail_memory(b->err, "preparing a benchmark");
    b->m->backend->watch(b->m->dev, &b->shared);
    hn_rng_init(&rng, 0, 0);
    for (int64_t i = 0; i < most; i++)
        b->ids[i] = (int32_t)hn_rng_below(&rng, (uint64_t)b->m->spec.vocab_size);
    return 0;
}

/* What hone generate does up to the first token. */
static int measure_first_token(struct hn_bench *b)
{
    struct hn_session s = {0};
    const float *logits;
    int64_t n = HN_BENCH_CONTEXT;
    int rc = hn_session_open(&s, b->m, 1, n + b->o->generation_tokens, b->err);
    if (!rc)
        rc = hn_session_prefill(&s, 0, b->ids, n, &logits, b->err);
    b->out->first_token_seconds = hn_process_age();
    b->out->first_token_prompt = n;
    hn_session_close(&s);
    return rc;
}

int hn_bench_tell(const struct hn_bench *b, const char *text)
{
    if (b->on_note && b->on_note(b->arg, text))
        return hn_fail(b->err, HONE_INTERRUPTED, "the benchmark was stopped");
    return 0;
}

static int measure_writing(struct hn_bench *b)
{
    const struct hone_bench_options *o = b->o;
    struct hn_session s = {0};
    char text[64];
    int64_t context = HN_BENCH_CONTEXT + HN_MAX(4, o->generation_tokens);
    int rc = hn_session_open(&s, b->m, 1, HN_MAX(o->prompt_tokens, context), b->err);
    if (!rc)
        rc = hn_bench_tell(b, "measuring prefill");
    if (!rc)
        rc = measure_prefill(b, &s);
    if (!rc)
        rc = hn_bench_tell(b, "measuring decode");
    if (!rc)
        rc = measure_decode(b, &s, 1);
    hn_session_close(&s);
    if (rc || o->decode_batch < 2)
        return rc;
    rc = hn_session_open(&s, b->m, o->decode_batch, context, b->err);
    for (int64_t n = 2; n <= o->decode_batch && !rc; n *= 2) {
        snprintf(text, sizeof text, "measuring decode of %lld sequences", (long long)n);
        rc = hn_bench_tell(b, text);
        if (!rc)
            rc = measure_decode(b, &s, n);
    }
    hn_session_close(&s);
    return rc;
}

static int open_model(struct hn_bench *b)
{
    struct hone_model_info info;
    int rc = hone_model_open(&b->m, b->path, &b->o->device, b->err);
    if (rc)
        return rc;
    hone_model_info(b->m, &info);
    struct hone_err none; /* a model without a tokenizer has speeds too */
    if (hone_tokenizer_open(&b->tok, info.tokenizer_path, &none) != 0)
        b->tok = NULL;
    return b->m->note[0] ? hn_bench_tell(b, b->m->note) : 0;
}

int hone_bench(const char *model_path, const struct hone_bench_options *o, hone_bench_fn *on_note,
               void *arg, struct hone_bench_result *out, struct hone_err *err)
{
    struct hn_bench b = {
        .path = model_path, .o = o, .out = out, .on_note = on_note, .arg = arg, .err = err};
    *out = (struct hone_bench_result){0};
    int rc = check_options(o, err);
    if (!rc)
        rc = open_model(&b);
    if (!rc)
        rc = prepare(&b);
    if (!rc)
        rc = measure_first_token(&b);
    if (!rc)
        rc = measure_writing(&b);
    if (!rc)
        rc = hn_bench_tell(&b, "measuring the machine's limits");
    if (!rc)
        rc = measure_limits(&b);
    if (!rc && o->train_tokens > 0) {
        rc = hn_bench_tell(&b, "measuring training");
        if (!rc)
            rc = measure_train(&b);
    }
    if (!rc && o->class_tokens > 0)
        rc = hn_bench_classes(&b);
    if (!rc)
        rc = measure_limits(&b);
    if (!rc)
        set_limits(out);
    hn_free(b.ids);
    hn_free(b.rates);
    hone_tokenizer_close(&b.tok);
    hone_model_close(&b.m);
    return rc;
}
