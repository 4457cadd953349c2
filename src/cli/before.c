#include "cli/before.h"

#include <string.h>
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_FILE = 1 << 30, MAX_SAMPLES = 3 };

/* A row that shows what changed: the new run's texts, copied. */
struct sample {
    int worth; /* more is shown first */
    uint64_t index;
    const struct hn_json *row; /* of the old run */
    char *prompt, *expected, *output;
};

struct hn_before {
    struct hn_arena arena;
    struct hn_json *root;
    const struct hn_json *rows;
    struct sample samples[MAX_SAMPLES]; /* the best so far, the most worthy first */
    size_t n_samples;
};

int hn_before_open(struct hn_before **out, const char *path, struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hn_before *b = hn_calloc(1, sizeof *b);
    if (!b)
        return hn_fail_memory(err, "comparing");
    hn_arena_init(&b->arena, 0);
    int rc = hn_file_read(path, MAX_FILE, &text, err);
    if (!rc && (rc = hn_json_parse(&b->arena, hn_buf_str(&text), text.len, 0, &b->root, err)))
        rc = hn_fail_prefix(err, "%s", path);
    double loss;
    b->rows = hn_json_get(b->root, "rows");
    if (!rc && (!b->rows || b->rows->type != HN_JSON_ARRAY ||
                !hn_json_float(hn_json_get(b->root, "loss"), &loss)))
        rc = hn_fail(err, HONE_FAILED, "%s is not what hone test --json prints", path);
    hn_buf_release(&text);
    if (rc)
        hn_before_close(&b);
    else
        *out = b;
    return rc;
}

static void drop(struct sample *s)
{
    hn_free(s->prompt);
    hn_free(s->expected);
    hn_free(s->output);
    *s = (struct sample){0};
}

void hn_before_close(struct hn_before **out)
{
    struct hn_before *b = *out;
    if (!b)
        return;
    for (size_t i = 0; i < b->n_samples; i++)
        drop(&b->samples[i]);
    hn_arena_release(&b->arena);
    hn_free(b);
    *out = NULL;
}

/* Keep the row when it is worth more than the least of those kept; equals keep their order. */
static int keep(struct hn_before *b, const struct hone_test_row *row, const struct hn_json *old,
                int worth, struct hone_err *err)
{
    size_t at = b->n_samples;
    while (at > 0 && b->samples[at - 1].worth < worth)
        at--;
    if (at == MAX_SAMPLES)
        return 0;
    struct sample s = {.worth = worth,
                       .index = row->index,
                       .row = old,
                       .prompt = hn_dup(row->prompt, strlen(row->prompt)),
                       .expected = hn_dup(row->expected, strlen(row->expected)),
                       .output = hn_dup(row->output, strlen(row->output))};
    if (!s.prompt || !s.expected || !s.output) {
        drop(&s);
        return hn_fail_memory(err, "comparing");
    }
    if (b->n_samples == MAX_SAMPLES)
        drop(&b->samples[--b->n_samples]);
    for (size_t i = b->n_samples; i > at; i--)
        b->samples[i] = b->samples[i - 1];
    b->samples[at] = s;
    b->n_samples++;
    return 0;
}

int hn_before_add(struct hn_before *b, const struct hone_test_row *row, struct hone_err *err)
{
    const struct hn_json *old = hn_json_at(b->rows, (size_t)row->index);
    const struct hn_json *prompt = hn_json_get(old, "prompt");
    bool was_exact = false, was_valid = false;
    int64_t was_right = 0;
    if (!old)
        return hn_fail(err, HONE_FAILED,
                       "the earlier run had %zu rows and this one has more: it was another data "
                       "file or --limit",
                       b->rows->n);
    if (!row->generated || !prompt)
        return 0;
    if (!hn_json_is(prompt, row->prompt))
        return hn_fail(err, HONE_FAILED,
                       "row %llu has another prompt than in the earlier run: it was another data "
                       "file",
                       (unsigned long long)row->index + 1);
    (void)hn_json_bool(hn_json_get(old, "exact"), &was_exact);
    (void)hn_json_bool(hn_json_get(old, "json_valid"), &was_valid);
    (void)hn_json_int(hn_json_get(old, "json_fields_right"), &was_right);
    int worth = 4 * (row->exact - was_exact) + 2 * (row->json_valid - was_valid) +
                (row->json_fields_right > was_right) + 2 * row->has_json;
    return keep(b, row, old, worth, err);
}

/* ---- printing ---------------------------------------------------------------------------------
 */

static double number(const struct hn_before *b, const char *key)
{
    double v = 0;
    (void)hn_json_float(hn_json_get(b->root, key), &v);
    return v;
}

static void add_rate(struct hn_table *t, const char *name, double before, double before_of,
                     double now, double now_of)
{
    if (before_of <= 0 || now_of <= 0)
        return;
    hn_table_add(t, "%s", name);
    hn_table_add(t, "%.1f %%", 100 * before / before_of);
    hn_table_add(t, "%.1f %%", 100 * now / now_of);
}

enum { MAX_LINES = 12, MAX_COLUMNS = 240 };

static void print_text(struct hn_ui *ui, enum hn_style style, const char *what, const char *text)
{
    hn_ui_say(ui, HN_DIM, "  %s", what);
    for (int lines = 0; *text; lines++) {
        size_t n = strcspn(text, "\n");
        if (lines == MAX_LINES) {
            hn_ui_say(ui, HN_DIM, "    …");
            return;
        }
        struct hn_buf cut = {0};
        char line[MAX_COLUMNS * 4];
        snprintf(line, sizeof line, "%.*s", (int)HN_MIN(n, sizeof line - 1), text);
        hn_ui_cut(&cut, line, MAX_COLUMNS);
        hn_ui_say(ui, style, "    %s", hn_buf_str(&cut));
        hn_buf_release(&cut);
        text += n + (text[n] == '\n');
    }
}

static void print_sample(const struct sample *s, struct hn_ui *ui)
{
    struct hn_str old = {0};
    char text[4000];
    (void)hn_json_str(hn_json_get(s->row, "output"), &old);
    snprintf(text, sizeof text, "%.*s", (int)HN_MIN(old.n, sizeof text - 1), old.p ? old.p : "");
    hn_ui_say(ui, HN_BOLD, "\nRow %llu", (unsigned long long)s->index + 1);
    print_text(ui, HN_PLAIN, "prompt", s->prompt);
    print_text(ui, HN_PLAIN, "expected", s->expected);
    print_text(ui, HN_RED, "written before", text);
    print_text(ui, HN_GREEN, "written now", s->output);
}

void hn_before_print(struct hn_before *b, const struct hone_test_summary *now, struct hn_ui *ui)
{
    struct hn_table t;
    for (size_t i = 0; i < b->n_samples; i++)
        print_sample(&b->samples[i], ui);
    hn_table_init(&t, 3, 6);
    hn_table_add(&t, "%llu held-out rows", (unsigned long long)now->rows);
    hn_table_add(&t, "before");
    hn_table_add(&t, "now");
    hn_table_add(&t, "loss");
    hn_table_add(&t, "%.4f", number(b, "loss"));
    hn_table_add(&t, "%.4f", now->loss);
    hn_table_add(&t, "perplexity");
    hn_table_add(&t, "%.3f", number(b, "perplexity"));
    hn_table_add(&t, "%.3f", now->perplexity);
    add_rate(&t, "exact answers", number(b, "exact"), number(b, "generated"), (double)now->exact,
             (double)now->generated);
    add_rate(&t, "valid JSON", number(b, "json_valid"), number(b, "json_rows"),
             (double)now->json_valid, (double)now->json_rows);
    add_rate(&t, "JSON fields right", number(b, "json_fields_right"), number(b, "json_fields"),
             (double)now->json_fields_right, (double)now->json_fields);
    if (now->generated) {
        hn_table_add(&t, "ROUGE-L");
        hn_table_add(&t, "%.3f", number(b, "rouge_l"));
        hn_table_add(&t, "%.3f", now->rouge_l);
    }
    hn_ui_say(ui, HN_PLAIN, " ");
    hn_table_print(&t, ui, true);
}
