/* hone prepare: runs it with a line of progress, says what was found, and shows rows as a model
 * sees them. */
#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "hone/data.h"

static int on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct hn_ui *ui = arg;
    char a[HN_UI_TEXT], b[HN_UI_TEXT];
    hn_ui_progress(ui, total ? (double)done / (double)total : 0, false, "%s of %s",
                   hn_ui_bytes(done, a), hn_ui_bytes(total, b));
    return hn_cli_interrupted();
}

/* ---- what was found ---------------------------------------------------------------------------
 */

static void print_report(const struct hone_prepare_report *r, const char *output, struct hn_ui *ui)
{
    char n[HN_UI_TEXT];
    struct hn_table t;
    hn_table_init(&t, 3, 2);
    for (size_t i = 0; i < r->n_files; i++) {
        hn_table_add(&t, "%s", r->files[i].path);
        hn_table_add(&t, "%s", hn_ui_count(r->files[i].rows, n));
        hn_table_add(&t, "%s rows", hone_record_kind_name(r->files[i].kind));
    }
    const struct {
        const char *name;
        uint64_t n;
        const char *what;
    } rows[] = {{"training", r->train_rows, "rows"},
                {"validation", r->valid_rows, "rows"},
                {"test", r->test_rows, "rows"},
                {"empty", r->empty, "rows left out"},
                {"duplicates", r->duplicates, "rows that were met before"},
                {"truncated", r->truncated, "rows cut at the maximum length"}};
    for (size_t i = 0; i < HN_COUNT(rows); i++) {
        if (rows[i].n == 0 && i > 0)
            continue;
        hn_table_add(&t, "%s", rows[i].name);
        hn_table_add(&t, "%s", hn_ui_count(rows[i].n, n));
        hn_table_add(&t, "%s", rows[i].what);
    }
    if (r->measured) {
        hn_table_add(&t, "tokens");
        hn_table_add(&t, "%s", hn_ui_count(r->tokens, n));
        hn_table_add(&t, "a row has %llu to %llu; half have at most %llu, 95 %% at most %llu",
                     (unsigned long long)r->min_tokens, (unsigned long long)r->max_tokens,
                     (unsigned long long)r->median_tokens, (unsigned long long)r->p95_tokens);
    }
    hn_table_print(&t, ui, false);
    for (size_t i = 0; i < r->n_notes; i++)
        hn_ui_say(ui, HN_YELLOW, "  %s", r->notes[i]);
    hn_ui_say(ui, HN_GREEN, "wrote %s", output);
}

static void json_count(struct hn_json_writer *w, const char *key, uint64_t n)
{
    hn_jw_put_int(w, key, (int64_t)n);
}

static int print_json(const struct hone_prepare_report *r, const char *output, struct hone_err *err)
{
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_put_str(&w, "output", output);
    hn_jw_put_open(&w, "files", '[');
    for (size_t i = 0; i < r->n_files; i++) {
        hn_jw_open(&w, '{');
        hn_jw_put_str(&w, "path", r->files[i].path);
        hn_jw_put_str(&w, "format", hone_record_kind_name(r->files[i].kind));
        json_count(&w, "rows", r->files[i].rows);
        json_count(&w, "empty", r->files[i].empty);
        hn_jw_close(&w, '}');
    }
    hn_jw_close(&w, ']');
    json_count(&w, "rows", r->rows);
    json_count(&w, "train_rows", r->train_rows);
    json_count(&w, "valid_rows", r->valid_rows);
    json_count(&w, "test_rows", r->test_rows);
    json_count(&w, "empty", r->empty);
    json_count(&w, "duplicates", r->duplicates);
    json_count(&w, "truncated", r->truncated);
    if (r->measured) {
        json_count(&w, "tokens", r->tokens);
        json_count(&w, "min_tokens", r->min_tokens);
        json_count(&w, "median_tokens", r->median_tokens);
        json_count(&w, "p95_tokens", r->p95_tokens);
        json_count(&w, "max_tokens", r->max_tokens);
    }
    hn_jw_put_open(&w, "notes", '[');
    for (size_t i = 0; i < r->n_notes; i++)
        hn_jw_str(&w, r->notes[i]);
    hn_jw_close(&w, ']');
    hn_jw_close(&w, '}');
    return hn_cli_print_json(&out, err);
}

/* ---- --preview --------------------------------------------------------------------------------
 */

/* Tokens one by one: those with loss in colour (in brackets where there is none). */
static int show_row(struct hn_ui *ui, const struct hone_tokenizer *tok, const struct hone_row *row,
                    struct hone_err *err)
{
    struct hone_detokenizer *d = NULL;
    bool trained = false;
    int rc = hone_detokenizer_open(&d, tok, 0, err);
    for (size_t i = 0; i <= row->tokens.n && !rc; i++) {
        const char *text = "";
        size_t n = 0;
        bool end = i == row->tokens.n, now = !end && row->trained[i];
        if (now != trained) {
            if (ui->colour)
                fputs(hn_ui_style(ui, now ? HN_GREEN : HN_PLAIN), ui->out);
            else
                fputs(now ? "[" : "]", ui->out);
        }
        trained = now;
        rc = end ? hone_detokenizer_flush(d, &text, &n, err)
                 : hone_detokenizer_push(d, row->tokens.ids[i], &text, &n, err);
        if (!rc)
            fwrite(text, 1, n, ui->out);
    }
    fputc('\n', ui->out);
    hone_detokenizer_close(&d);
    return rc;
}

static int preview(const struct hn_conf *c, const char *const *paths, size_t n,
                   const struct hone_tokenizer *tok, struct hn_ui *ui, struct hone_err *err)
{
    const struct hone_prepare_options *p = &c->set.prepare;
    const struct hone_dataset_options o = {.tokenizer = tok,
                                           .format = p->format,
                                           .max_seq_length = p->max_seq_length,
                                           .append_eos = p->append_eos,
                                           .plain_completions = p->plain_completions,
                                           .mask_prompt = c->set.test.data.mask_prompt};
    struct hone_dataset *data = NULL;
    struct hone_dataset_info info = {0};
    struct hone_row row = {0};
    int rc = hone_dataset_open(&data, paths, n, &o, err);
    if (!rc)
        hone_dataset_info(data, &info);
    if (!rc && info.rows)
        hn_ui_say(ui, HN_DIM, "(what is trained is %s)", ui->colour ? "green" : "between [ and ]");
    for (uint64_t i = 0; i < info.rows && i < (uint64_t)c->set.preview && !rc; i++) {
        rc = hone_dataset_read(data, i, &row, err);
        if (rc)
            break;
        size_t trained = 0;
        for (size_t k = 0; k < row.tokens.n; k++)
            trained += row.trained[k];
        hn_ui_say(ui, HN_BOLD, "---- %s, line %llu (%s): %zu tokens, %zu with loss", row.path,
                  (unsigned long long)row.line, hone_record_kind_name(row.kind), row.tokens.n,
                  trained);
        rc = show_row(ui, tok, &row, err);
    }
    hone_row_release(&row);
    hone_dataset_close(&data);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------------
 */

/* No file that is read may be replaced by what is written: --output, or a file of its folder. */
static int keep_input(const struct hone_prepare_options *p, const char *input, struct hone_err *err)
{
    const struct {
        const char *name;
        bool written;
    } files[] = {{"train.jsonl", true},
                 {"valid.jsonl", p->valid_fraction > 0 || p->valid_rows > 0},
                 {"test.jsonl", p->test_fraction > 0 || p->test_rows > 0}};
    int rc = 0;
    if (!hn_file_exists(input))
        return 0;
    if (hn_file_same(input, p->output))
        return hn_fail(err, HONE_USAGE,
                       "--output %s is one of the inputs, and would replace it: choose another "
                       "name",
                       p->output);
    for (size_t i = 0; i < HN_COUNT(files) && !rc; i++) {
        char *path = files[i].written ? hn_path_join(p->output, files[i].name) : NULL;
        if (files[i].written && !path)
            return hn_fail_memory(err, "reading options");
        if (path && hn_file_same(input, path))
            rc = hn_fail(err, HONE_USAGE,
                         "--output %s: its %s is one of the inputs, and would be replaced: choose "
                         "another folder",
                         p->output, files[i].name);
        hn_free(path);
    }
    return rc;
}

/* --input and what stands without an option, as one list in the arena. */
static int gather_inputs(struct hn_conf *c, struct hone_err *err)
{
    struct hone_prepare_options *p = &c->set.prepare;
    size_t n = p->n_inputs + c->n_arguments;
    const char **all = hn_arena_alloc(&c->arena, n + 1, sizeof *all);
    if (!all)
        return hn_fail_memory(err, "reading options");
    for (size_t i = 0; i < n; i++)
        all[i] = i < p->n_inputs ? p->inputs[i] : c->arguments[i - p->n_inputs];
    p->inputs = all;
    p->n_inputs = n;
    if (n == 0)
        return hn_fail(err, HONE_USAGE, "--input is missing: which files of records?");
    if (!p->output && !c->set.preview)
        return hn_fail(err, HONE_USAGE,
                       "--output is missing: a folder, or one .jsonl file (or --preview N)");
    for (size_t i = 0; i < n && p->output; i++) {
        int rc = keep_input(p, all[i], err);
        if (rc)
            return rc;
    }
    if (c->set.preview && !c->set.model)
        return hn_fail(err, HONE_USAGE, "--preview needs --model: whose tokens should be shown?");
    if (c->set.preview && c->set.json)
        return hn_fail(err, HONE_USAGE, "--preview and --json cannot both be printed");
    if (p->max_seq_length > 0 && !c->set.model)
        return hn_fail(err, HONE_USAGE,
                       "--max-seq-length counts tokens, so it needs --model with the tokenizer");
    return 0;
}

/* What was written is shown: train.jsonl of a folder, or the file. */
static int preview_output(const struct hn_conf *c, const struct hone_tokenizer *tok,
                          struct hn_ui *ui, struct hone_err *err)
{
    const struct hone_prepare_options *p = &c->set.prepare;
    char *inside = hn_path_join(p->output, "train.jsonl");
    if (!inside)
        return hn_fail_memory(err, "showing rows");
    const char *path = hn_dir_exists(p->output) ? inside : p->output;
    int rc = preview(c, &path, 1, tok, ui, err);
    hn_free(inside);
    return rc;
}

int hn_cmd_prepare(struct hn_conf *c, struct hone_err *err)
{
    struct hone_prepare_options *p = &c->set.prepare;
    struct hone_prepare_report report = {0};
    struct hone_tokenizer *tok = NULL;
    struct hn_ui ui;
    hn_ui_init(&ui, c->set.json ? stderr : stdout);
    int rc = gather_inputs(c, err);
    if (!rc && c->set.model)
        rc = hn_cli_open_tokenizer(c->set.model, &tok, err);
    if (!rc && tok && c->set.train.chat_template)
        rc = hone_tokenizer_set_chat_template(tok, c->set.train.chat_template, err);
    p->tokenizer = tok;
    if (!rc && p->output) {
        hn_cli_catch_interrupts();
        rc = hone_prepare(p, on_progress, &ui, &report, err);
        hn_ui_clear(&ui);
        if (!rc && c->set.json)
            rc = print_json(&report, p->output, err);
        else if (!rc)
            print_report(&report, p->output, &ui);
        if (!rc && c->set.preview)
            rc = preview_output(c, tok, &ui, err);
    } else if (!rc) {
        rc = preview(c, p->inputs, p->n_inputs, tok, &ui, err);
    }
    hone_prepare_report_release(&report);
    hone_tokenizer_close(&tok);
    return rc;
}
