/* hone_compare_measure: the rows and prompts, the answers, the speed, and only then the loss and
 * the logits, whose memory is not that of running the model. */
#include "hone/compare.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/os.h"
#include "eval/logits_file.h"
#include "eval/losses.h"
#include "eval/score.h"
#include "infer/session.h"

#include <math.h>
#include <string.h>

void hone_compare_defaults(struct hone_compare_options *o)
{
    *o = (struct hone_compare_options){.limit = 100,
                                       .samples = 8,
                                       .agreement_tokens = 512,
                                       .prompt_tokens = 512,
                                       .generation_tokens = 64};
    o->rows.append_eos = true;
}

void hone_compare_side_release(struct hone_compare_side *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        hn_free(s->rows[i].ids);
        hn_free(s->rows[i].trained);
    }
    for (size_t i = 0; i < s->n_answers; i++) {
        struct hone_compare_answer *a = &s->answers[i];
        hn_free(a->prompt);
        hn_free(a->expected);
        hn_free(a->output);
        hn_free(a->prompt_ids);
    }
    char *const texts[] = {s->model,  s->adapter,      s->system, s->family,
                           s->format, s->quantization, s->device};
    for (size_t i = 0; i < HN_COUNT(texts); i++)
        hn_free(texts[i]);
    hn_free(s->rows);
    hn_free(s->answers);
    *s = (struct hone_compare_side){0};
}

struct measure {
    struct hone_model *m;
    const struct hone_tokenizer *tok;
    const struct hone_compare_options *o;
    hone_compare_fn *on_progress;
    void *arg;
    struct hone_compare_side *out;
    size_t cap_rows, cap_answers;
    int64_t positions; /* that are still to be kept */
    double from, to;   /* of the progress, in the current phase */
    struct hone_err *err;
};

static int tell(struct measure *t, double done, const char *what)
{
    if (t->on_progress && t->on_progress(t->arg, t->from + (t->to - t->from) * done, what))
        return hn_fail(t->err, HONE_INTERRUPTED, "the comparison was stopped");
    return 0;
}

static int no_memory(struct measure *t)
{
    return hn_fail_memory(t->err, "comparing");
}

/* A copy of n bytes with a NUL behind it. */
static void *copy(const void *p, size_t n)
{
    char *q = hn_calloc(n + 1, 1);
    if (q && n)
        memcpy(q, p, n);
    return q;
}

/* -------------------------------------------------------------------------------------------- */
/* rows and prompts */

static int add_row(struct measure *t, const int32_t *ids, size_t n, const uint8_t *trained)
{
    struct hone_compare_side *s = t->out;
    int rc = hn_tokens_check(t->m, ids, n, t->err);
    if (rc)
        return rc;
    if (hn_grow((void **)&s->rows, &t->cap_rows, s->n_rows + 1, sizeof *s->rows))
        return no_memory(t);
    int64_t most = HN_MIN((int64_t)n - 1, t->positions); /* nothing follows the last token */
    struct hone_compare_row r = {.n = n, .positions = HN_MAX(most, 0)};
    r.ids = copy(ids, n * sizeof *ids);
    r.trained = copy(trained, n);
    s->rows[s->n_rows++] = r;
    t->positions -= r.positions;
    return r.ids && r.trained ? 0 : no_memory(t);
}

static int add_answer(struct measure *t, const char *prompt, const int32_t *ids, size_t n,
                      const char *expected, int64_t max_tokens)
{
    struct hone_compare_side *s = t->out;
    int rc = hn_tokens_check(t->m, ids, n, t->err);
    if (rc)
        return rc;
    if (hn_grow((void **)&s->answers, &t->cap_answers, s->n_answers + 1, sizeof *s->answers))
        return no_memory(t);
    struct hone_compare_answer a = {.n_prompt_ids = n, .max_tokens = max_tokens};
    a.prompt = copy(prompt, strlen(prompt));
    a.expected = expected ? copy(expected, strlen(expected)) : NULL;
    a.prompt_ids = copy(ids, n * sizeof *ids);
    s->answers[s->n_answers++] = a;
    return a.prompt && a.prompt_ids && (a.expected || !expected) ? 0 : no_memory(t);
}

/* The prompt of a row of data, its answer to be as long as hone test lets it be. */
static int add_data_prompt(struct measure *t, const struct hone_row *row)
{
    struct hone_tokens ids = {0};
    int64_t most = t->o->max_tokens;
    int rc = hone_tokenizer_encode(t->tok, row->expected, row->expected_size, 0, &ids, t->err);
    if (most <= 0)
        most = 2 * (int64_t)ids.n + 64;
    ids.n = 0;
    if (!rc)
        rc = hone_tokenizer_encode(t->tok, row->prompt, row->prompt_size,
                                   row->templated ? 0 : HONE_ADD_SPECIAL, &ids, t->err);
    if (!rc && ids.n)
        rc = add_answer(t, row->prompt, ids.ids, ids.n, row->expected, most);
    hone_tokens_release(&ids);
    return rc;
}

static int take_data(struct measure *t)
{
    struct hone_dataset_options o = t->o->rows;
    struct hone_dataset_info info;
    struct hone_dataset *d = NULL;
    struct hone_row row = {0};
    o.tokenizer = t->tok;
    int rc = hone_dataset_open(&d, &t->o->data, 1, &o, t->err);
    if (rc)
        return rc;
    hone_dataset_info(d, &info);
    uint64_t n = info.rows;
    t->out->data_rows = n;
    if (t->o->limit > 0)
        n = HN_MIN(n, (uint64_t)t->o->limit);
    int64_t samples = t->o->samples;
    for (uint64_t i = 0; i < n && !rc; i++) {
        rc = hone_dataset_read(d, i, &row, t->err);
        if (!rc)
            rc = add_row(t, row.tokens.ids, row.tokens.n, row.trained);
        if (!rc && row.prompt && samples-- > 0)
            rc = add_data_prompt(t, &row);
    }
    hone_row_release(&row);
    hone_dataset_close(&d);
    return rc;
}

static int take_text(struct measure *t, const char *text)
{
    struct hone_tokens ids = {0};
    int rc = hone_tokenizer_encode(t->tok, text, strlen(text), HONE_ADD_SPECIAL, &ids, t->err);
    uint8_t *trained = hn_calloc(ids.n + 1, 1);
    if (!rc && !trained)
        rc = no_memory(t);
    if (!rc && ids.n > 1) {
        memset(trained + 1, 1, ids.n - 1);
        rc = add_row(t, ids.ids, ids.n, trained);
    }
    hn_free(trained);
    hone_tokens_release(&ids);
    return rc;
}

static int take_inputs(struct measure *t)
{
    const struct hone_compare_options *o = t->o;
    int rc = 0;
    for (size_t i = 0; i < o->n_prompts && !rc; i++) {
        const struct hone_compare_prompt *p = &o->prompts[i];
        rc =
            add_answer(t, p->text, p->ids, p->n_ids, NULL, o->max_tokens > 0 ? o->max_tokens : 100);
    }
    if (!rc && o->data)
        rc = take_data(t);
    for (size_t i = 0; i < o->n_texts && !rc; i++)
        rc = take_text(t, o->texts[i]);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */
/* answers and speed */

static int write_answers(struct measure *t)
{
    struct hone_compare_side *s = t->out;
    for (size_t i = 0; i < s->n_answers; i++) {
        struct hone_compare_answer *a = &s->answers[i];
        struct hone_generate_options g;
        struct hone_generation out = {0};
        hone_generate_defaults(&g);
        g.max_tokens = a->max_tokens;
        int rc = tell(t, (double)i / (double)s->n_answers, "writing answers");
        if (!rc)
            rc = hone_generate(t->m, t->tok, a->prompt_ids, a->n_prompt_ids, &g, NULL, NULL, &out,
                               t->err);
        if (rc)
            return rc;
        a->tokens = out.generation_tokens;
        a->output = out.text;
        out.text = NULL;
        if (i == 0)
            s->first_token_seconds = out.first_token_seconds;
        hone_generation_release(&out);
    }
    return hone_compare_score(s, t->err);
}

int hone_compare_score(struct hone_compare_side *s, struct hone_err *err)
{
    for (size_t i = 0; i < s->n_answers; i++) {
        struct hone_compare_answer *a = &s->answers[i];
        struct hn_score score;
        if (!a->expected || !a->output)
            continue;
        int rc = hn_score_answer(a->expected, strlen(a->expected), a->output, strlen(a->output),
                                 &score, err);
        if (rc)
            return rc;
        a->exact = score.exact;
        a->has_json = score.has_json;
        a->json_valid = score.json_valid;
        a->json_fields_right = score.json_fields_right;
        a->json_fields = score.json_fields;
        a->rouge_l = score.rouge_l;
    }
    return 0;
}

/* The k-th token of the text whose speed is measured: the rows again and again, else the prompts.
 * pytorch_side.py does the same. */
static int32_t speed_token(const struct hone_compare_side *s, int64_t k)
{
    int64_t total = 0;
    for (size_t i = 0; i < s->n_rows; i++)
        total += (int64_t)s->rows[i].n;
    k = total ? k % total : 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        if (k < (int64_t)s->rows[i].n)
            return s->rows[i].ids[k];
        k -= (int64_t)s->rows[i].n;
    }
    return 0;
}

/* The best of two, after one that is not counted. */
static int time_prompt(struct measure *t, struct hn_session *s, const int32_t *ids, int64_t n)
{
    const float *logits;
    for (int trial = 0; trial < 3; trial++) {
        int rc = tell(t, trial / 6.0, "timing prompts");
        double start = hn_now();
        hn_session_reset(s, 0);
        rc = rc ? rc : hn_session_prefill(s, 0, ids, n, &logits, t->err);
        if (rc)
            return rc;
        double rate = (double)n / (hn_now() - start);
        if (trial)
            t->out->prompt_tokens_per_second = HN_MAX(t->out->prompt_tokens_per_second, rate);
    }
    return 0;
}

static int time_generation(struct measure *t, struct hn_session *s, const int32_t *ids, int64_t n)
{
    enum { PROMPT = 16 };
    const float *logits;
    const int32_t slot = 0;
    for (int trial = 0; trial < 2; trial++) {
        int rc = tell(t, 0.5 + trial / 4.0, "timing generation");
        hn_session_reset(s, 0);
        rc = rc ? rc : hn_session_prefill(s, 0, ids, HN_MIN(n, (int64_t)PROMPT), &logits, t->err);
        double start = hn_now();
        for (int64_t i = 0; i < t->o->generation_tokens && !rc; i++)
            rc = hn_session_step(s, &slot, &ids[i % n], 1, &logits, t->err);
        if (rc)
            return rc;
        double rate = (double)t->o->generation_tokens / (hn_now() - start);
        t->out->generation_tokens_per_second = HN_MAX(t->out->generation_tokens_per_second, rate);
    }
    return 0;
}

static int measure_speed(struct measure *t)
{
    int64_t n = t->o->prompt_tokens, context;
    struct hn_session s = {0};
    if (n == 0 && t->o->generation_tokens == 0)
        return 0;
    if (n < 1 || t->o->generation_tokens < 1)
        return hn_fail(t->err, HONE_USAGE, "speed is measured on at least one token");
    context = HN_MAX(n, t->o->generation_tokens + 16);
    int32_t *ids = hn_calloc((size_t)n, sizeof *ids);
    if (!ids)
        return no_memory(t);
    for (int64_t i = 0; i < n; i++)
        ids[i] = speed_token(t->out, i);
    int rc = hn_session_open(&s, t->m, 1, context, t->err);
    if (!rc)
        rc = time_prompt(t, &s, ids, n);
    if (!rc)
        rc = time_generation(t, &s, ids, n);
    hn_session_close(&s);
    hn_free(ids);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */
/* loss */

static int64_t row_length(void *arg, uint64_t i)
{
    const struct measure *t = arg;
    return (int64_t)t->out->rows[i].n;
}

static int loss_row(void *arg, uint64_t i, const int32_t **ids, const uint8_t **trained,
                    struct hone_err *err)
{
    const struct measure *t = arg;
    (void)err;
    *ids = t->out->rows[i].ids;
    *trained = t->out->rows[i].trained;
    return 0;
}

static int on_pass(void *arg, uint64_t done)
{
    struct measure *t = arg;
    return tell(t, (double)done / (double)t->out->n_rows, "measuring the loss");
}

static int measure_loss(struct measure *t)
{
    struct hone_compare_side *s = t->out;
    const struct hn_loss_rows rows = {s->n_rows, t, row_length, loss_row};
    if (s->n_rows == 0)
        return 0;
    struct hn_row_loss *losses = hn_calloc(s->n_rows, sizeof *losses);
    int rc = losses ? hn_losses_measure(t->m, &rows, on_pass, losses, t->err) : no_memory(t);
    for (size_t i = 0; i < s->n_rows && !rc; i++) {
        s->loss += losses[i].sum;
        s->loss_tokens += losses[i].tokens;
    }
    if (!rc && !isfinite(s->loss))
        rc = hn_fail(t->err, HONE_FAILED,
                     "%s: the loss is not a finite number: its weights or its adapter's are "
                     "damaged, or too large to compute with",
                     t->m->files.path);
    s->loss = s->loss_tokens ? s->loss / (double)s->loss_tokens : 0;
    s->perplexity = exp(s->loss);
    hn_free(losses);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

static int64_t adapter_size(const char *path)
{
    static const char *const names[] = {"adapters.safetensors", "adapter_model.safetensors"};
    int64_t size = hn_file_size(path);
    for (size_t i = 0; i < HN_COUNT(names) && size < 0; i++) {
        char *file = hn_path_join(path, names[i]);
        size = file ? hn_file_size(file) : -1;
        hn_free(file);
    }
    return HN_MAX(size, (int64_t)0);
}

int hone_compare_describe(const struct hone_model *model, struct hone_compare_side *s,
                          struct hone_err *err)
{
    struct hone_model_info info;
    hone_model_info(model, &info);
    const struct {
        char **to;
        const char *from;
    } texts[] = {
        {&s->model, info.path},    {&s->adapter, info.adapter_path},
        {&s->system, "hone"},      {&s->family, info.family},
        {&s->format, info.format}, {&s->quantization, info.quantization},
        {&s->device, info.device},
    };
    for (size_t i = 0; i < HN_COUNT(texts); i++)
        if (texts[i].from && !(*texts[i].to = copy(texts[i].from, strlen(texts[i].from))))
            return hn_fail_memory(err, "comparing");
    s->n_parameters = info.n_parameters;
    s->file_bytes = info.file_bytes;
    s->adapter_bytes = info.adapter_path ? adapter_size(info.adapter_path) : 0;
    s->vocab_size = info.vocab_size;
    s->n_eos = HN_MIN(info.n_eos, HN_COUNT(s->eos));
    for (size_t i = 0; i < s->n_eos; i++)
        s->eos[i] = info.eos[i];
    return 0;
}

int hone_compare_measure(struct hone_model *model, const struct hone_tokenizer *tok,
                         const struct hone_compare_options *o, hone_compare_fn *on_progress,
                         void *arg, struct hone_compare_side *out, struct hone_err *err)
{
    struct measure t = {.m = model,
                        .tok = tok,
                        .o = o,
                        .on_progress = on_progress,
                        .arg = arg,
                        .out = out,
                        .positions = o->logits_path ? o->agreement_tokens : 0,
                        .err = err};
    static int (*const phases[])(struct measure *) = {write_answers, measure_speed, measure_loss};
    static const double ends[] = {0.4, 0.6, 0.9};
    int rc = hone_compare_describe(model, out, err);
    if (!rc)
        rc = take_inputs(&t);
    for (size_t i = 0; i < HN_COUNT(phases) && !rc; i++) {
        t.to = ends[i];
        rc = phases[i](&t);
        t.from = t.to;
        if (i == 1)
            out->peak_memory = hn_peak_rss();
    }
    t.to = 1;
    if (!rc && o->logits_path && out->n_rows)
        rc = tell(&t, 0, "measuring the agreement");
    if (!rc && o->logits_path && out->n_rows)
        rc = hn_logits_write(model, out->rows, out->n_rows, o->logits_path, err);
    return rc;
}
