/* The tables of report.html: data, memory, settings, environment. */
#include "report/page.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/run_record.h"

#include <math.h>

/* ---- data -------------------------------------------------------------------------------------
 */

struct fact {
    const char *key, *name;
    bool always; /* shown when 0 too */
};

static void data_table(const struct hn_page *p, const struct hn_json *train,
                       const struct hn_json *valid)
{
    static const struct fact facts[] = {
        {"rows", "rows", true},
        {"tokens", "tokens", true},
        {"trained_tokens", "tokens with loss", true},
        {"max_tokens", "longest row, in tokens", true},
        {"truncated", "rows cut at the maximum length", true},
        {"cut_answers", "of them in their answer", false},
        {"double_bos", "rows with the begin token twice", false},
        {"duplicates", "rows met before (kept)", true},
        {"empty", "empty rows, left out", false},
        {"unlabelled", "rows without a token to train, left out", false},
    };
    hn_buf_printf(p->out,
                  "<div class=\"box\"><table><tr><th></th><th class=\"n\">training</th>%s"
                  "</tr>\n",
                  valid ? "<th class=\"n\">validation</th>" : "");
    for (size_t i = 0; i < HN_COUNT(facts); i++) {
        double a = hn_page_number(train, facts[i].key), b = hn_page_number(valid, facts[i].key);
        if (!facts[i].always && !(a > 0) && !(b > 0))
            continue;
        hn_buf_printf(p->out, "<tr><td>%s</td><td class=\"n\">", facts[i].name);
        hn_html_count(p->out, a);
        if (valid) {
            hn_buf_add_str(p->out, "</td><td class=\"n\">");
            hn_html_count(p->out, b);
        }
        hn_buf_add_str(p->out, "</td></tr>\n");
    }
    hn_buf_add_str(p->out, "</table>\n");
    double held = hn_page_number(hn_json_get(p->run, "data"), "valid_rows");
    if (!valid && held > 0) {
        hn_buf_add_str(p->out, "<p class=\"dim\">Of these rows, ");
        hn_html_count(p->out, held);
        hn_buf_add_str(p->out, " were held out for validation.</p>\n");
    }
    hn_buf_add_str(p->out, "</div>\n");
}

static void lengths(const struct hn_page *p, const struct hn_json *train)
{
    double counts[HONE_LENGTH_BINS] = {0}, width = hn_page_number(train, "lengths_width"),
           limit = hn_page_number(hn_json_get(p->run, "data"), "max_seq_length");
    const struct hn_json *list = hn_json_get(train, "lengths"), *j;
    size_t n = 0;
    for (size_t i = 0; (j = hn_json_at(list, i)) && i < HONE_LENGTH_BINS; i++) {
        hn_json_float(j, &counts[i]);
        if (counts[i] > 0)
            n = i + 1;
    }
    if (!n || !(width > 0))
        return;
    struct hn_buf text = {0};
    hn_buf_printf(&text, "max_seq_length %.0f", limit);
    hn_buf_add_str(p->out,
                   "<figure><figcaption>Rows by length in tokens <span class=\"key\">before "
                   "cutting</span></figcaption>\n");
    hn_chart_bars(p->out, "Rows by their length in tokens", counts, n, width, limit > 0 ? limit : 0,
                  hn_buf_str(&text));
    hn_buf_add_str(p->out, "</figure>\n");
    p->out->failed |= text.failed;
    hn_buf_release(&text);
}

static void note_list(struct hn_buf *out, const struct hn_json *list, const char *title)
{
    const struct hn_json *j;
    struct hn_str s;
    if (!hn_json_at(list, 0))
        return;
    hn_buf_printf(out, "<details><summary>%s</summary><ul>\n", title);
    for (size_t i = 0; (j = hn_json_at(list, i)) && i < 2 * HN_RECORD_MAX_NOTES; i++) {
        if (!hn_json_str(j, &s))
            continue;
        hn_buf_add_str(out, "<li>");
        hn_page_put(out, s);
        hn_buf_add_str(out, "</li>\n");
    }
    hn_buf_add_str(out, "</ul></details>\n");
}

void hn_page_data(const struct hn_page *p)
{
    const struct hn_json *data = hn_json_get(p->run, "data"), *train = hn_json_get(data, "train"),
                         *valid = hn_json_get(data, "valid");
    if (!train)
        return;
    hn_buf_add_str(p->out, "<h2>Data</h2>\n<div class=\"two\">\n");
    data_table(p, train, valid);
    lengths(p, train);
    hn_buf_add_str(p->out, "</div>\n<div style=\"margin-top:12px\">");
    note_list(p->out, hn_json_get(train, "notes"), "What was found in the training rows");
    note_list(p->out, hn_json_get(valid, "notes"), "What was found in the validation rows");
    hn_buf_add_str(p->out, "</div>\n");
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void memory_row(const struct hn_page *p, const char *name, const char *what, double bytes,
                       double most, const char *style)
{
    if (!(bytes > 0))
        return;
    hn_buf_printf(p->out,
                  "<tr class=\"%s\"><td>%s<span class=\"dim only-wide\" "
                  "style=\"display:inline\"> %s</span></td><td class=\"n\">",
                  style, name, what);
    hn_html_bytes(p->out, bytes);
    hn_buf_printf(p->out, "</td><td class=\"meter\"><i style=\"width:%.1f%%\"></i></td></tr>\n",
                  100 * fmin(bytes / most, 1));
}

void hn_page_memory(const struct hn_page *p)
{
    static const char *const parts[][2] = {
        {"weights", "the model's file, mapped"},
        {"repacked", "copies of weights in a faster layout"},
        {"adapter", "its parameters"},
        {"gradients", "of the adapter"},
        {"optimizer", "its state"},
        {"kept", "activations for the backward pass"},
        {"working", "activations within a block, scratch"},
        {"cache", "keys and values"},
        {"process", "program, tokenizer, data index"},
    };
    const struct hn_json *plan = hn_json_get(p->run, "plan");
    double total = hn_page_number(plan, "total"), peak = hn_page_peak(p);
    if (!(total > 0))
        return;
    hn_buf_add_str(p->out, "<h2>Memory</h2>\n<div class=\"box\"><table>\n");
    for (size_t i = 0; i < HN_COUNT(parts); i++)
        memory_row(p, parts[i][0], parts[i][1], hn_page_number(plan, parts[i][0]), total, "");
    double most = fmax(total, isfinite(peak) ? peak : 0);
    memory_row(p, "planned", "before the first step", total, most, "sum");
    memory_row(p, "measured", "the process's peak", peak, most, "sum");
    hn_buf_add_str(p->out, "</table>\n");
    hn_buf_add_str(p->out, "<p class=\"dim\" style=\"margin:8px 0 0\">");
    if (peak > 0)
        hn_buf_printf(p->out, "The peak was %.1f %% %s its plan; ", fabs(peak / total - 1) * 100,
                      peak > total ? "above" : "below");
    hn_buf_add_str(p->out, "the backward pass recomputes ");
    hn_page_put(p->out, hn_page_str(plan, "recomputed"));
    hn_buf_add_str(p->out, ".</p>\n");
    hn_buf_add_str(p->out, "</div>\n");
}

/* ---- settings, environment --------------------------------------------------------------------
 */

static size_t setting_rows(const struct hn_page *p, const struct hn_json *list, bool changed)
{
    const struct hn_json *j;
    size_t n = 0;
    hn_buf_add_str(p->out, "<table class=\"settings\">\n");
    for (size_t i = 0; (j = hn_json_at(list, i)); i++) {
        if (hn_page_true(j, "changed") != changed)
            continue;
        hn_buf_add_str(p->out, "<tr><td>");
        hn_page_put(p->out, hn_page_str(j, "name"));
        hn_buf_add_str(p->out, "</td><td class=\"v\">");
        hn_page_put(p->out, hn_page_str(j, "value"));
        hn_buf_add_str(p->out, "</td></tr>\n");
        n++;
    }
    hn_buf_add_str(p->out, "</table>\n");
    return n;
}

void hn_page_settings(const struct hn_page *p)
{
    const struct hn_json *list = hn_json_get(p->run, "settings");
    bool known = hn_json_at(list, 0) != NULL;
    if (!known && !p->yaml)
        return;
    hn_buf_add_str(p->out, "<h2>Settings</h2>\n<div class=\"box\">");
    if (known) {
        if (!setting_rows(p, list, true))
            hn_buf_add_str(p->out, "<p class=\"none\">All as by default.</p>\n");
        hn_buf_add_str(p->out, "<details style=\"margin:10px 0 0\"><summary>As by "
                               "default</summary>\n");
        setting_rows(p, list, false);
        hn_buf_add_str(p->out, "</details>");
    } else {
        hn_buf_add_str(p->out, "<details><summary>train.yaml</summary><pre>");
        hn_html_str(p->out, p->yaml);
        hn_buf_add_str(p->out, "</pre></details>");
    }
    hn_buf_add_str(p->out, "</div>\n<p class=\"dim\">train.yaml beside this page has them all, and "
                           "repeats the run.</p>\n");
}

static void row(struct hn_buf *out, const char *name, struct hn_str value)
{
    if (!value.n)
        return;
    hn_buf_printf(out, "<tr><td>%s</td><td class=\"v\">", name);
    hn_page_put(out, value);
    hn_buf_add_str(out, "</td></tr>\n");
}

/* The class of arithmetic, in words. */
static void precision(struct hn_buf *out, struct hn_str compute)
{
    static const char *const words[][2] = {
        {"exact", "exact: float32, or products that keep its bound"},
        {"bf16", "bf16: operands rounded to bfloat16, sums in float32"},
        {"int8", "int8: activations rounded to 8 bits, sums exact"}};
    for (size_t i = 0; i < HN_COUNT(words); i++)
        if (hn_str_is(compute, words[i][0]))
            compute = hn_str_of(words[i][1]);
    row(out, "precision", compute);
}

void hn_page_environment(const struct hn_page *p)
{
    const struct hn_json *e = hn_json_get(p->run, "environment"), *m = hn_json_get(p->run, "model");
    if (!e && !m)
        return;
    hn_buf_add_str(p->out, "<h2>Model and machine</h2>\n<div class=\"box\"><table>\n");
    row(p->out, "model", hn_page_str(m, "path"));
    row(p->out, "family", hn_page_str(m, "family"));
    row(p->out, "format", hn_page_str(m, "format"));
    row(p->out, "quantization", hn_page_str(m, "quantization"));
    hn_buf_add_str(p->out, "<tr><td>size</td><td class=\"v\">");
    hn_html_bytes(p->out, hn_page_number(m, "file_bytes"));
    hn_buf_add_str(p->out, ", ");
    hn_html_short(p->out, hn_page_number(m, "parameters"));
    hn_buf_add_str(p->out, " parameters</td></tr>\n");
    precision(p->out, hn_page_str(e, "compute"));
    row(p->out, "device", hn_page_str(m, "device"));
    row(p->out, "processor", hn_page_str(e, "cpu"));
    row(p->out, "system", hn_page_str(e, "os"));
    hn_buf_add_str(p->out, "<tr><td>memory</td><td class=\"v\">");
    hn_html_bytes(p->out, hn_page_number(e, "memory_bytes"));
    hn_buf_add_str(p->out, "</td></tr>\n");
    row(p->out, "hone", hn_page_str(e, "hone"));
    row(p->out, "started", hn_page_str(p->run, "started"));
    row(p->out, "last written", hn_page_str(p->run, "updated"));
    hn_buf_add_str(p->out, "</table></div>\n");
}
