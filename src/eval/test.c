/* hone_test: losses of all rows in packed batches, then the answers, several written at a time. */
#include "hone/test.h"
#include "base/mem.h"
#include "base/os.h"
#include "eval/losses.h"
#include "eval/score.h"
#include "infer/session.h"
#include "infer/writer.h"

#include <math.h>
#include <string.h>

enum { SLOTS = 8 };

void hone_test_defaults(struct hone_test_options *o)
{
    *o = (struct hone_test_options){.generate = true};
    o->data.append_eos = true;
    hone_generate_defaults(&o->generation);
    o->generation.max_tokens = 0;
}

/* What is known of a row until it is handed over in its turn. */
struct result {
    int64_t tokens;
    double loss;  /* the sum over them */
    char *output; /* NULL until it is written; owned */
    size_t output_size;
    bool done;
};

/* One answer in the making. */
struct job {
    struct hn_writer writer;
    struct hone_generate_options options;
    uint64_t row;
    bool active;
};

struct test {
    struct hone_model *m;
    const struct hone_tokenizer *tok;
    const struct hone_test_options *o;
    struct hone_dataset *data;
    uint64_t n;
    struct result *results;
    struct hone_row row;
    struct hone_tokens prompt;
    uint64_t told; /* rows handed over */
    hone_test_fn *on_row;
    void *arg;
    struct hone_test_summary *sum;
    struct hone_err *err;
};

static int read_row(struct test *t, uint64_t i)
{
    int rc = hone_dataset_read(t->data, i, &t->row, t->err);
    return rc ? rc : hn_tokens_check(t->m, t->row.tokens.ids, t->row.tokens.n, t->err);
}

/* -------------------------------------------------------------------------------------------- */
/* losses */

static int64_t row_length(void *arg, uint64_t i)
{
    const struct test *t = arg;
    return hone_dataset_length(t->data, i);
}

static int loss_row(void *arg, uint64_t i, const int32_t **ids, const uint8_t **trained,
                    struct hone_err *err)
{
    struct test *t = arg;
    (void)err; /* the test's own */
    int rc = read_row(t, i);
    *ids = t->row.tokens.ids;
    *trained = t->row.trained;
    return rc;
}

static int measure_losses(struct test *t)
{
    const struct hn_loss_rows rows = {t->n, t, row_length, loss_row};
    struct hn_row_loss *losses = hn_calloc(t->n, sizeof *losses);
    int rc = losses ? 0 : hn_fail_memory(t->err, "measuring losses");
    if (!rc)
        rc = hn_losses_measure(t->m, &rows, NULL, losses, t->err);
    for (uint64_t i = 0; i < t->n && !rc; i++) {
        t->results[i].tokens = losses[i].tokens;
        t->results[i].loss = losses[i].sum;
        if (!isfinite(losses[i].sum) && !(rc = read_row(t, i)))
            rc = hn_fail(t->err, HONE_FAILED,
                         "%s, line %llu: the model's loss is not a finite number: its weights or "
                         "its adapter's are damaged, or too large to compute with",
                         t->row.path, (unsigned long long)t->row.line);
    }
    hn_free(losses);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */
/* answers */

static int encode(struct test *t, const char *text, size_t n, bool special, struct hone_tokens *out)
{
    out->n = 0;
    return hone_tokenizer_encode(t->tok, text, n, special ? HONE_ADD_SPECIAL : 0, out, t->err);
}

/* Tokens of the prompt of t->row into t->prompt, and how many tokens the answer may have. */
static int prepare_prompt(struct test *t, int64_t *max_tokens)
{
    *max_tokens = t->o->generation.max_tokens;
    int rc = 0;
    if (*max_tokens <= 0) {
        rc = encode(t, t->row.expected, t->row.expected_size, false, &t->prompt);
        *max_tokens = 2 * (int64_t)t->prompt.n + 64;
    }
    return rc ? rc : encode(t, t->row.prompt, t->row.prompt_size, !t->row.templated, &t->prompt);
}

/* The longest prompt and answer together, over all rows; 0 when no row has a response. */
static int longest(struct test *t, int64_t *context)
{
    *context = 0;
    for (uint64_t i = 0; i < t->n; i++) {
        int64_t answer;
        int rc = read_row(t, i);
        if (!rc && t->row.prompt) {
            rc = prepare_prompt(t, &answer);
            *context = HN_MAX(*context, (int64_t)t->prompt.n + answer);
        }
        if (rc)
            return rc;
    }
    return 0;
}

/* Begin the answer of row i in a slot, up to its first token (*id); a prompt without a token has no
 * answer. */
static int begin(struct test *t, struct hn_session *s, struct job *j, int64_t slot, uint64_t i,
                 int32_t *id)
{
    const float *logits;
    j->options = t->o->generation;
    int rc = prepare_prompt(t, &j->options.max_tokens);
    if (!rc && t->prompt.n == 0) { /* there are no logits to begin with */
        t->results[i].done = true;
        return 0;
    }
    if (!rc)
        rc = hn_writer_open(&j->writer, t->m, t->tok, t->prompt.ids, t->prompt.n, &j->options, NULL,
                            NULL, t->err);
    if (rc)
        return rc;
    j->row = i;
    j->active = true;
    hn_session_reset(s, slot);
    rc = hn_session_prefill(s, slot, t->prompt.ids, (int64_t)t->prompt.n, &logits, t->err);
    return rc ? rc : hn_writer_next(&j->writer, logits, id, t->err);
}

static int end(struct test *t, struct job *j)
{
    int rc = hn_writer_end(&j->writer, t->err);
    struct result *r = &t->results[j->row];
    if (!rc) {
        r->output_size = j->writer.text.len;
        r->output = hn_buf_take(&j->writer.text);
        rc = r->output ? 0 : hn_fail_memory(t->err, "keeping an answer");
    }
    r->done = true;
    hn_writer_close(&j->writer);
    j->active = false;
    return rc;
}

/* Score row i and hand it over. */
static int tell(struct test *t, uint64_t i)
{
    struct result *r = &t->results[i];
    struct hn_score score = {0};
    int rc = read_row(t, i);
    if (!rc && r->output)
        rc = hn_score_answer(t->row.expected, t->row.expected_size, r->output, r->output_size,
                             &score, t->err);
    if (rc)
        return rc;
    struct hone_test_row out = {
        .index = i,
        .path = t->row.path,
        .line = t->row.line,
        .tokens = r->tokens,
        .loss = r->tokens ? r->loss / (double)r->tokens : 0,
        .generated = r->output != NULL,
        .prompt = r->output ? t->row.prompt : NULL,
        .expected = r->output ? t->row.expected : NULL,
        .output = r->output,
        .prompt_size = r->output ? t->row.prompt_size : 0,
        .expected_size = r->output ? t->row.expected_size : 0,
        .output_size = r->output ? r->output_size : 0,
        .exact = score.exact,
        .has_json = score.has_json,
        .json_valid = score.json_valid,
        .json_fields_right = score.json_fields_right,
        .json_fields = score.json_fields,
        .rouge_l = score.rouge_l,
    };
    struct hone_test_summary *sum = t->sum;
    sum->rows++;
    sum->tokens += r->tokens;
    sum->loss += r->loss;
    sum->generated += out.generated;
    sum->json_rows += out.has_json;
    sum->exact += out.exact;
    sum->json_valid += out.has_json && out.json_valid;
    sum->json_fields += out.json_fields;
    sum->json_fields_right += out.json_fields_right;
    sum->rouge_l += out.rouge_l;
    int stop = t->on_row ? t->on_row(t->arg, &out, i + 1, t->n) : 0;
    hn_free(r->output);
    r->output = NULL;
    return stop ? hn_fail(t->err, HONE_INTERRUPTED, "the test was stopped after %llu of %llu rows",
                          (unsigned long long)(i + 1), (unsigned long long)t->n)
                : 0;
}

static int tell_finished(struct test *t)
{
    int rc = 0;
    while (!rc && t->told < t->n && t->results[t->told].done)
        rc = tell(t, t->told++);
    return rc;
}

/* Fill free slots with the next rows that have a response; ids[slot] is the next input of each. */
static int fill(struct test *t, struct hn_session *s, struct job *jobs, uint64_t *next,
                int32_t *ids)
{
    for (int64_t slot = 0; slot < s->n_slots; slot++) {
        while (!jobs[slot].active && *next < t->n) {
            uint64_t i = (*next)++;
            int rc = read_row(t, i);
            if (!rc && !t->row.prompt)
                t->results[i].done = true;
            else if (!rc)
                rc = begin(t, s, &jobs[slot], slot, i, &ids[slot]);
            if (!rc && jobs[slot].active && jobs[slot].writer.finish)
                rc = end(t, &jobs[slot]);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* One token for every active slot. */
static int step(struct test *t, struct hn_session *s, struct job *jobs, int32_t *ids)
{
    int32_t slots[SLOTS], inputs[SLOTS];
    const float *logits;
    int64_t n = 0;
    for (int64_t slot = 0; slot < s->n_slots; slot++)
        if (jobs[slot].active) {
            slots[n] = (int32_t)slot;
            inputs[n++] = ids[slot];
        }
    if (n == 0)
        return 0;
    int rc = hn_session_step(s, slots, inputs, n, &logits, t->err);
    for (int64_t i = 0; i < n && !rc; i++) {
        struct job *j = &jobs[slots[i]];
        rc = hn_writer_next(&j->writer, logits + i * t->m->spec.vocab_size, &ids[slots[i]], t->err);
        if (!rc && j->writer.finish)
            rc = end(t, j);
    }
    return rc;
}

static int write_answers(struct test *t)
{
    struct hn_session s = {0};
    struct job jobs[SLOTS] = {0};
    int32_t ids[SLOTS];
    int64_t context;
    uint64_t next = 0;
    int rc = longest(t, &context);
    if (!rc && context)
        rc = hn_session_open(&s, t->m, HN_MIN((int64_t)SLOTS, (int64_t)t->n), context, t->err);
    if (!rc && !context)
        next = t->n;
    while (!rc && t->told < t->n) {
        if (!context)
            t->results[t->told].done = true;
        else
            rc = fill(t, &s, jobs, &next, ids);
        if (!rc && context)
            rc = step(t, &s, jobs, ids);
        if (!rc)
            rc = tell_finished(t);
    }
    for (int k = 0; k < SLOTS; k++)
        hn_writer_close(&jobs[k].writer);
    hn_session_close(&s);
    return rc;
}

/* -------------------------------------------------------------------------------------------- */

static int open_data(struct test *t, const char *path)
{
    struct hone_dataset_options o = t->o->data;
    struct hone_dataset_info info;
    o.tokenizer = t->tok;
    int rc = hone_dataset_open(&t->data, &path, 1, &o, t->err);
    if (rc)
        return rc;
    hone_dataset_info(t->data, &info);
    t->n = info.rows;
    if (t->o->limit > 0)
        t->n = HN_MIN(t->n, (uint64_t)t->o->limit);
    if (t->n == 0)
        return hn_fail(t->err, HONE_FAILED, "%s holds no row to test on", path);
    t->results = hn_calloc(t->n, sizeof *t->results);
    return t->results ? 0 : hn_fail_memory(t->err, "preparing a test");
}

int hone_test(struct hone_model *model, const struct hone_tokenizer *tok, const char *data_path,
              const struct hone_test_options *o, hone_test_fn *on_row, void *arg,
              struct hone_test_summary *out, struct hone_err *err)
{
    struct hone_test_summary sum = {0};
    struct test t = {
        .m = model, .tok = tok, .o = o, .on_row = on_row, .arg = arg, .sum = &sum, .err = err};
    double start = hn_now();
    int rc = open_data(&t, data_path);
    if (!rc)
        rc = measure_losses(&t);
    for (uint64_t i = 0; i < t.n && !rc && !o->generate; i++)
        t.results[i].done = true;
    if (!rc)
        rc = o->generate ? write_answers(&t) : tell_finished(&t);
    for (uint64_t i = 0; t.results && i < t.n; i++)
        hn_free(t.results[i].output);
    hn_free(t.results);
    hone_row_release(&t.row);
    hone_tokens_release(&t.prompt);
    hone_dataset_close(&t.data);
    if (rc)
        return rc;
    sum.loss = sum.tokens ? sum.loss / (double)sum.tokens : 0;
    sum.perplexity = exp(sum.loss);
    sum.rouge_l = sum.generated ? sum.rouge_l / (double)sum.generated : 0;
    sum.seconds = hn_now() - start;
    sum.peak_memory = hn_peak_rss();
    *out = sum;
    return 0;
}
