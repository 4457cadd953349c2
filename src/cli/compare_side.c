#include "cli/compare_side.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include "base/mem.h"

/* ---- one table for the plain members, both ways ------------------------------------------------
 */

enum kind { TEXT, INT, DOUBLE };
struct member {
    const char *key;
    enum kind kind;
    size_t offset;
};
#define AT(key, kind, field)                                                                       \
    {                                                                                              \
        key, kind, offsetof(struct hone_compare_side, field)                                       \
    }
static const struct member members[] = {
    AT("model", TEXT, model),
    AT("adapter", TEXT, adapter),
    AT("system", TEXT, system),
    AT("family", TEXT, family),
    AT("format", TEXT, format),
    AT("quantization", TEXT, quantization),
    AT("device", TEXT, device),
    AT("parameters", INT, n_parameters),
    AT("file_bytes", INT, file_bytes),
    AT("adapter_bytes", INT, adapter_bytes),
    AT("vocabulary", INT, vocab_size),
    AT("load_seconds", DOUBLE, load_seconds),
    AT("first_token_seconds", DOUBLE, first_token_seconds),
    AT("prompt_tokens_per_second", DOUBLE, prompt_tokens_per_second),
    AT("generation_tokens_per_second", DOUBLE, generation_tokens_per_second),
    AT("peak_memory_bytes", INT, peak_memory),
    AT("data_rows", INT, data_rows),
    AT("tokens", INT, loss_tokens),
    AT("loss", DOUBLE, loss),
    AT("perplexity", DOUBLE, perplexity),
};

static void write_members(struct hn_json_writer *w, const struct hone_compare_side *s)
{
    for (size_t i = 0; i < HN_COUNT(members); i++) {
        const struct member *m = &members[i];
        const char *at = (const char *)s + m->offset;
        if (m->kind == TEXT)
            hn_jw_put_str(w, m->key, *(char *const *)(const void *)at);
        else if (m->kind == INT)
            hn_jw_put_int(w, m->key, *(const int64_t *)(const void *)at);
        else
            hn_jw_put_double(w, m->key, *(const double *)(const void *)at);
    }
}

static void write_ids(struct hn_json_writer *w, const char *key, const int32_t *ids, size_t n)
{
    hn_jw_put_open(w, key, '[');
    for (size_t i = 0; i < n; i++)
        hn_jw_int(w, ids[i]);
    hn_jw_close(w, ']');
}

static void write_answer(struct hn_json_writer *w, const struct hone_compare_answer *a, bool ids)
{
    hn_jw_open(w, '{');
    hn_jw_put_str(w, "prompt", a->prompt);
    hn_jw_put_str(w, "expected", a->expected);
    hn_jw_put_str(w, "output", a->output);
    hn_jw_put_int(w, "max_tokens", a->max_tokens);
    hn_jw_put_int(w, "tokens", a->tokens);
    if (a->expected) {
        hn_jw_put_bool(w, "exact", a->exact);
        hn_jw_put_bool(w, "has_json", a->has_json);
        hn_jw_put_bool(w, "json_valid", a->json_valid);
        hn_jw_put_int(w, "json_fields_right", a->json_fields_right);
        hn_jw_put_int(w, "json_fields", a->json_fields);
        hn_jw_put_double(w, "rouge_l", a->rouge_l);
    }
    if (ids)
        write_ids(w, "prompt_ids", a->prompt_ids, a->n_prompt_ids);
    hn_jw_close(w, '}');
}

static void write_row(struct hn_json_writer *w, const struct hone_compare_row *r)
{
    hn_jw_open(w, '{');
    hn_jw_put_int(w, "positions", r->positions);
    write_ids(w, "ids", r->ids, r->n);
    hn_jw_put_open(w, "trained", '[');
    for (size_t k = 0; k < r->n; k++)
        hn_jw_int(w, r->trained[k]);
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

void hn_side_write(struct hn_json_writer *w, const struct hone_compare_side *s, bool ids)
{
    write_members(w, s);
    hn_jw_put_int(w, "rows", (int64_t)s->n_rows);
    hn_jw_put_open(w, "answers", '[');
    for (size_t i = 0; i < s->n_answers; i++)
        write_answer(w, &s->answers[i], ids);
    hn_jw_close(w, ']');
    if (!ids)
        return;
    write_ids(w, "eos", s->eos, s->n_eos);
    hn_jw_put_open(w, "row_tokens", '[');
    for (size_t i = 0; i < s->n_rows; i++)
        write_row(w, &s->rows[i]);
    hn_jw_close(w, ']');
}

/* ---- the way back ------------------------------------------------------------------------------
 */

/* Replaces *out when j is a string; false for want of memory. */
static bool read_text(const struct hn_json *j, char **out)
{
    struct hn_str text;
    if (!hn_json_str(j, &text))
        return true;
    hn_free(*out);
    *out = hn_dup(text.p, text.n);
    return *out != NULL;
}

static bool read_ids(const struct hn_json *j, int32_t **out, size_t *n)
{
    if (!j || j->type != HN_JSON_ARRAY)
        return true;
    int32_t *ids = hn_calloc(j->n, sizeof *ids);
    for (size_t i = 0; ids && i < j->n; i++) {
        int64_t v = 0;
        (void)hn_json_int(&j->items[i], &v);
        ids[i] = (int32_t)v;
    }
    hn_free(*out);
    *out = ids;
    *n = ids ? j->n : 0;
    return ids != NULL;
}

static bool read_members(const struct hn_json *j, struct hone_compare_side *s)
{
    bool ok = true;
    for (size_t i = 0; i < HN_COUNT(members); i++) {
        const struct member *m = &members[i];
        const struct hn_json *value = hn_json_get(j, m->key);
        char *at = (char *)s + m->offset;
        if (m->kind == TEXT)
            ok &= read_text(value, (char **)(void *)at);
        else if (m->kind == INT)
            (void)hn_json_int(value, (int64_t *)(void *)at);
        else if (value && value->type == HN_JSON_NULL) /* how a NaN is written */
            *(double *)(void *)at = NAN;
        else
            (void)hn_json_float(value, (double *)(void *)at);
    }
    return ok;
}

static bool read_answer(const struct hn_json *j, struct hone_compare_answer *a)
{
    bool ok = read_text(hn_json_get(j, "prompt"), &a->prompt);
    ok &= read_text(hn_json_get(j, "expected"), &a->expected);
    ok &= read_text(hn_json_get(j, "output"), &a->output);
    ok &= read_ids(hn_json_get(j, "prompt_ids"), &a->prompt_ids, &a->n_prompt_ids);
    (void)hn_json_int(hn_json_get(j, "max_tokens"), &a->max_tokens);
    (void)hn_json_int(hn_json_get(j, "tokens"), &a->tokens);
    (void)hn_json_bool(hn_json_get(j, "exact"), &a->exact);
    (void)hn_json_bool(hn_json_get(j, "has_json"), &a->has_json);
    (void)hn_json_bool(hn_json_get(j, "json_valid"), &a->json_valid);
    (void)hn_json_int(hn_json_get(j, "json_fields_right"), &a->json_fields_right);
    (void)hn_json_int(hn_json_get(j, "json_fields"), &a->json_fields);
    (void)hn_json_float(hn_json_get(j, "rouge_l"), &a->rouge_l);
    return ok;
}

static bool read_row(const struct hn_json *j, struct hone_compare_row *r)
{
    int32_t *trained = NULL;
    size_t n = 0;
    bool ok = read_ids(hn_json_get(j, "ids"), &r->ids, &r->n) &&
              read_ids(hn_json_get(j, "trained"), &trained, &n);
    r->trained = ok ? hn_calloc(r->n + 1, 1) : NULL;
    for (size_t i = 0; r->trained && i < HN_MIN(n, r->n); i++)
        r->trained[i] = trained[i] != 0;
    (void)hn_json_int(hn_json_get(j, "positions"), &r->positions);
    r->positions = HN_MIN(HN_MAX(r->positions, (int64_t)0), (int64_t)r->n);
    hn_free(trained);
    return r->trained != NULL;
}

int hn_side_read(const struct hn_json *j, struct hone_compare_side *s, struct hone_err *err)
{
    const struct hn_json *answers = hn_json_get(j, "answers"), *rows = hn_json_get(j, "row_tokens"),
                         *eos = hn_json_get(j, "eos");
    bool ok = read_members(j, s);
    if (answers && answers->type == HN_JSON_ARRAY && !s->answers) {
        s->answers = hn_calloc(answers->n, sizeof *s->answers);
        s->n_answers = s->answers ? answers->n : 0;
        ok &= s->answers != NULL;
    }
    for (size_t i = 0; i < s->n_answers && hn_json_at(answers, i); i++)
        ok &= read_answer(hn_json_at(answers, i), &s->answers[i]);
    if (rows && rows->type == HN_JSON_ARRAY && !s->rows) {
        s->rows = hn_calloc(rows->n, sizeof *s->rows);
        s->n_rows = s->rows ? rows->n : 0;
        ok &= s->rows != NULL;
        for (size_t i = 0; i < s->n_rows; i++)
            ok &= read_row(&rows->items[i], &s->rows[i]);
    }
    for (size_t i = 0; i < HN_COUNT(s->eos) && hn_json_at(eos, i); i++) {
        int64_t id = 0;
        (void)hn_json_int(hn_json_at(eos, i), &id);
        s->eos[s->n_eos++] = (int32_t)id;
    }
    return ok ? 0 : hn_fail_memory(err, "comparing");
}

/* -------------------------------------------------------------------------------------------- */

void hn_training_write(struct hn_json_writer *w, const struct hn_training *t)
{
    hn_jw_put_int(w, "steps", t->steps);
    hn_jw_put_int(w, "tokens", t->tokens);
    hn_jw_put_double(w, "tokens_per_second", t->tokens_per_second);
    hn_jw_put_double(w, "first_loss", t->first_loss);
    hn_jw_put_double(w, "last_loss", t->last_loss);
    hn_jw_put_int(w, "peak_memory_bytes", (int64_t)t->peak_memory);
}

void hn_training_read(const struct hn_json *j, struct hn_training *t)
{
    int64_t peak = 0;
    (void)hn_json_int(hn_json_get(j, "steps"), &t->steps);
    (void)hn_json_int(hn_json_get(j, "tokens"), &t->tokens);
    (void)hn_json_float(hn_json_get(j, "tokens_per_second"), &t->tokens_per_second);
    (void)hn_json_float(hn_json_get(j, "first_loss"), &t->first_loss);
    (void)hn_json_float(hn_json_get(j, "last_loss"), &t->last_loss);
    if (hn_json_int(hn_json_get(j, "peak_memory_bytes"), &peak) && peak > 0)
        t->peak_memory = (uint64_t)peak;
}

void hn_side_sum(const struct hone_compare_side *s, struct hn_answer_sums *out)
{
    *out = (struct hn_answer_sums){0};
    for (size_t i = 0; i < s->n_answers; i++) {
        const struct hone_compare_answer *a = &s->answers[i];
        if (!a->expected)
            continue;
        out->expected++;
        out->exact += a->exact;
        out->json += a->has_json;
        out->json_valid += a->has_json && a->json_valid;
        out->fields_right += a->json_fields_right;
        out->fields += a->json_fields;
        out->rouge_l += a->rouge_l;
    }
    if (out->expected)
        out->rouge_l /= (double)out->expected;
}
