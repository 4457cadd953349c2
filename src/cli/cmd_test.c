/* hone test: the table of what was measured, every row with --verbose, all of it with --json, and
 * side by side with an earlier run with --compare-with. */
#include <string.h>
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/before.h"
#include "hone/test.h"

struct view {
    struct hn_ui ui;
    const struct hn_conf *c;
    struct hn_buf json;
    struct hn_json_writer w;
    struct hn_before *before; /* NULL: nothing to compare with */
    char *data;               /* the file of rows */
    double loss;
    int64_t tokens;
    int failed; /* from comparing a row */
    struct hone_err *err;
};

static void json_row(struct hn_json_writer *w, const struct hone_test_row *r)
{
    hn_jw_open(w, '{');
    hn_jw_put_int(w, "tokens", r->tokens);
    hn_jw_put_double(w, "loss", r->loss);
    hn_jw_put_int(w, "line", (int64_t)r->line);
    if (r->generated) {
        hn_jw_key(w, "prompt");
        hn_jw_strn(w, r->prompt, r->prompt_size);
        hn_jw_key(w, "expected");
        hn_jw_strn(w, r->expected, r->expected_size);
        hn_jw_key(w, "output");
        hn_jw_strn(w, r->output, r->output_size);
        hn_jw_put_bool(w, "exact", r->exact);
        hn_jw_put_bool(w, "has_json", r->has_json);
        hn_jw_put_bool(w, "json_valid", r->json_valid);
        hn_jw_put_int(w, "json_fields_right", r->json_fields_right);
        hn_jw_put_int(w, "json_fields", r->json_fields);
        hn_jw_put_double(w, "rouge_l", r->rouge_l);
    }
    hn_jw_close(w, '}');
}

static void show_text(struct view *v, enum hn_style style, const char *what, const char *text)
{
    hn_ui_say(&v->ui, HN_DIM, "%s", what);
    hn_ui_say(&v->ui, style, "%s", text);
}

static void show_row(struct view *v, const struct hone_test_row *r)
{
    hn_ui_say(&v->ui, HN_BOLD, "---- row %llu (line %llu): loss %.4f over %lld tokens",
              (unsigned long long)r->index + 1, (unsigned long long)r->line, r->loss,
              (long long)r->tokens);
    if (!r->generated)
        return;
    show_text(v, HN_PLAIN, "prompt:", r->prompt);
    show_text(v, HN_PLAIN, "expected:", r->expected);
    show_text(v, r->exact ? HN_GREEN : HN_YELLOW, "written:", r->output);
    if (r->has_json)
        hn_ui_say(&v->ui, r->json_valid ? HN_GREEN : HN_RED,
                  "%s; JSON is %s, %lld of %lld fields right; ROUGE-L %.3f",
                  r->exact ? "exact" : "not exact", r->json_valid ? "valid" : "not valid",
                  (long long)r->json_fields_right, (long long)r->json_fields, r->rouge_l);
    else
        hn_ui_say(&v->ui, r->exact ? HN_GREEN : HN_PLAIN, "%s; ROUGE-L %.3f",
                  r->exact ? "exact" : "not exact", r->rouge_l);
}

static int on_row(void *arg, const struct hone_test_row *r, uint64_t done, uint64_t total)
{
    struct view *v = arg;
    v->loss += r->loss * (double)r->tokens;
    v->tokens += r->tokens;
    if (v->c->set.json)
        json_row(&v->w, r);
    else if (v->c->set.verbose)
        show_row(v, r);
    if (v->before)
        v->failed = hn_before_add(v->before, r, v->err);
    hn_ui_progress(&v->ui, total ? (double)done / (double)total : 0, false,
                   "row %llu of %llu · loss %.4f", (unsigned long long)done,
                   (unsigned long long)total, v->tokens ? v->loss / (double)v->tokens : 0);
    return v->failed || hn_cli_interrupted();
}

static double part(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void print_summary(struct view *v, const struct hone_test_summary *s)
{
    char a[HN_UI_TEXT], b[HN_UI_TEXT];
    struct hn_table t;
    hn_table_init(&t, 3, 2);
    const struct {
        const char *name;
        double right, of;
    } rates[] = {
        {"exact", (double)s->exact, (double)s->generated},
        {"valid JSON", (double)s->json_valid, (double)s->json_rows},
        {"JSON fields", (double)s->json_fields_right, (double)s->json_fields},
    };
    hn_table_add(&t, "loss");
    hn_table_add(&t, "%.4f", s->loss);
    hn_table_add(&t, "over %s tokens of %s rows", hn_ui_count((uint64_t)s->tokens, a),
                 hn_ui_count(s->rows, b));
    hn_table_add(&t, "perplexity");
    hn_table_add(&t, "%.3f", s->perplexity);
    hn_table_add(&t, " ");
    for (size_t i = 0; i < HN_COUNT(rates); i++) {
        if (rates[i].of == 0)
            continue;
        hn_table_add(&t, "%s", rates[i].name);
        hn_table_add(&t, "%.1f %%", 100 * part(rates[i].right, rates[i].of));
        hn_table_add(&t, "%.0f of %.0f", rates[i].right, rates[i].of);
    }
    if (s->generated) {
        hn_table_add(&t, "ROUGE-L");
        hn_table_add(&t, "%.3f", s->rouge_l);
        hn_table_add(&t, "mean of %s answers", hn_ui_count(s->generated, a));
    }
    hn_table_add(&t, "time");
    hn_table_add(&t, "%.1f s", s->seconds);
    hn_table_add(&t, "peak memory %s", hn_ui_bytes(s->peak_memory, a));
    hn_table_print(&t, &v->ui, false);
}

static int print_json(struct view *v, const struct hone_test_summary *s, struct hone_err *err)
{
    struct hn_json_writer *w = &v->w;
    hn_jw_close(w, ']');
    hn_jw_put_double(w, "loss", s->loss);
    hn_jw_put_double(w, "perplexity", s->perplexity);
    hn_jw_put_int(w, "tokens", s->tokens);
    hn_jw_put_int(w, "generated", (int64_t)s->generated);
    hn_jw_put_int(w, "exact", (int64_t)s->exact);
    hn_jw_put_int(w, "json_rows", (int64_t)s->json_rows);
    hn_jw_put_int(w, "json_valid", (int64_t)s->json_valid);
    hn_jw_put_int(w, "json_fields_right", s->json_fields_right);
    hn_jw_put_int(w, "json_fields", s->json_fields);
    hn_jw_put_double(w, "rouge_l", s->rouge_l);
    hn_jw_put_double(w, "seconds", s->seconds);
    hn_jw_put_int(w, "peak_memory_bytes", (int64_t)s->peak_memory);
    hn_jw_close(w, '}');
    return hn_cli_print_json(&v->json, err);
}

static int check(struct view *v, struct hone_err *err)
{
    const struct hn_settings *set = &v->c->set;
    if (!set->data)
        return hn_fail(err, HONE_USAGE, "--data is missing: which held-out rows?");
    if (set->json && set->compare_with)
        return hn_fail(err, HONE_USAGE, "--json and --compare-with cannot both be printed");
    return hn_cli_find_rows(set->data, &v->data, err);
}

static int run(struct view *v, struct hone_model *model, struct hone_tokenizer *tok,
               struct hone_test_summary *sum, struct hone_err *err)
{
    struct hone_test_options o = v->c->set.test;
    o.data.tokenizer = tok;
    hn_jw_init(&v->w, &v->json, -1);
    hn_jw_open(&v->w, '{');
    hn_jw_put_open(&v->w, "rows", '[');
    hn_cli_catch_interrupts();
    hn_ui_progress(&v->ui, 0, true, "measuring the loss");
    int rc = hone_test(model, tok, v->data, &o, on_row, v, sum, err);
    hn_ui_clear(&v->ui);
    return v->failed ? v->failed : rc;
}

int hn_cmd_test(struct hn_conf *c, struct hone_err *err)
{
    struct view v = {.c = c, .err = err};
    struct hone_model *model = NULL;
    struct hone_tokenizer *tok = NULL;
    struct hone_test_summary sum = {0};
    /* Under --json standard output is the object's alone. */
    hn_ui_init(&v.ui, c->set.json ? stderr : stdout);
    int rc = check(&v, err);
    if (!rc && c->set.compare_with)
        rc = hn_before_open(&v.before, c->set.compare_with, err);
    rc = rc ? rc : hn_cli_open(c, &model, &tok, err);
    rc = rc ? rc : run(&v, model, tok, &sum, err);
    if (!rc && c->set.json)
        rc = print_json(&v, &sum, err);
    else if (!rc && v.before)
        hn_before_print(v.before, &sum, &v.ui);
    else if (!rc)
        print_summary(&v, &sum);
    hn_before_close(&v.before);
    hn_free(v.data);
    hn_buf_release(&v.json);
    hone_tokenizer_close(&tok);
    hone_model_close(&model);
    return rc;
}
