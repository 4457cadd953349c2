#include "report/page.h"
#include "base/file.h"
#include "base/mem.h"
#include "hone.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

double hn_page_number(const struct hn_json *j, const char *key)
{
    double v = NAN;
    hn_json_float(hn_json_get(j, key), &v);
    return isfinite(v) ? v : NAN;
}

bool hn_page_true(const struct hn_json *j, const char *key)
{
    bool v = false;
    hn_json_bool(hn_json_get(j, key), &v);
    return v;
}

struct hn_str hn_page_str(const struct hn_json *j, const char *key)
{
    struct hn_str s = {"", 0};
    hn_json_str(hn_json_get(j, key), &s);
    return s;
}

void hn_page_put(struct hn_buf *out, struct hn_str s)
{
    hn_html_text(out, s.p, s.n);
}

double hn_page_peak(const struct hn_page *p)
{
    double peak = hn_page_number(p->run, "peak_memory_bytes");
    return p->metrics->train.seen ? fmax(peak, p->metrics->train.memory) : peak;
}

/* ---- headline ---------------------------------------------------------------------------------
 */

/* Did the adapter that is left come from the best validation, rather than from the last step?  A
 * run that was stopped leaves the last step's. */
static bool keeps_best(const struct hn_page *p)
{
    if (!hn_str_is(hn_page_str(p->run, "status"), "finished"))
        return false;
    const struct hn_json *list = hn_json_get(p->run, "settings"), *j;
    for (size_t i = 0; (j = hn_json_at(list, i)); i++)
        if (hn_json_is(hn_json_get(j, "name"), "load_best_model_at_end"))
            return hn_json_is(hn_json_get(j, "value"), "true");
    return false;
}

static void card(struct hn_buf *out, const char *style, const char *name)
{
    hn_buf_printf(out, "<div class=\"card %s\"><span class=\"name\">%s</span><b>", style, name);
}

static void from_to(struct hn_buf *out, double from, double to, int digits)
{
    hn_html_number(out, from, digits);
    hn_buf_add_str(out, " → ");
    hn_html_number(out, to, digits);
}

static void loss_card(const struct hn_page *p)
{
    const struct hn_series *v = &p->metrics->valid, *t = &p->metrics->train, *s = v->seen ? v : t;
    if (!s->seen)
        return;
    bool best = v->seen && v->lowest.step != v->last.step && keeps_best(p);
    double from = s->first.loss, to = best ? v->lowest.loss : s->last.loss;
    card(p->out, "first",
         s->seen == 1         ? v->seen ? "Validation loss" : "Training loss"
         : !v->seen           ? "Training loss, first report → last"
         : s->first.step == 0 ? "Validation loss, base → tuned"
         : best               ? "Validation loss, first → best, which is kept"
                              : "Validation loss, first → last");
    if (s->seen > 1)
        from_to(p->out, from, to, 4);
    else
        hn_html_number(p->out, to, 4);
    hn_buf_add_str(p->out, "</b><span>");
    if (s->seen > 1 && from > 0) {
        hn_buf_printf(p->out, "<span class=\"%s\">%s%.1f %%</span> · ", to < from ? "good" : "bad",
                      to < from ? "−" : "+", fabs(to / from - 1) * 100);
        hn_buf_add_str(p->out, "perplexity ");
        from_to(p->out, exp(from), exp(to), 3);
    }
    if (v->seen > 1 && v->lowest.step > 0 && v->lowest.step != v->last.step) {
        hn_buf_add_str(p->out, " · best ");
        hn_html_number(p->out, v->lowest.loss, 4);
        hn_buf_add_str(p->out, " at step ");
        hn_html_count(p->out, v->lowest.step);
    }
    hn_buf_add_str(p->out, "</span></div>\n");
}

static void time_cards(const struct hn_page *p)
{
    double seconds = hn_page_number(p->run, "seconds"), tokens = hn_page_number(p->run, "tokens"),
           total = hn_page_number(p->run, "total_steps");
    if (seconds > 0) {
        card(p->out, "", "Training time");
        hn_html_time(p->out, seconds);
        hn_buf_add_str(p->out, "</b><span>");
        hn_html_count(p->out, hn_page_number(p->run, "step"));
        if (total > 0) {
            hn_buf_add_str(p->out, " of ");
            hn_html_count(p->out, total);
        }
        hn_buf_add_str(p->out, " steps, ");
        hn_html_number(p->out, hn_page_number(p->run, "epoch"), 3);
        hn_buf_add_str(p->out, " epochs</span></div>\n");
    }
    double speed = seconds > 0 ? tokens / seconds : p->metrics->train.last.tokens_per_second;
    if (p->metrics->train.seen && speed > 0) {
        card(p->out, "", "Speed");
        hn_html_count(p->out, speed);
        hn_buf_add_str(p->out, " <small>tokens/s</small></b><span>");
        hn_html_count(p->out, tokens > 0 ? tokens : p->metrics->train.last.tokens);
        hn_buf_add_str(p->out, " tokens trained</span></div>\n");
    }
}

static void size_cards(const struct hn_page *p)
{
    const struct hn_json *m = hn_json_get(p->run, "model");
    double peak = hn_page_peak(p), plan = hn_page_number(hn_json_get(p->run, "plan"), "total"),
           all = hn_page_number(m, "parameters"), part = hn_page_number(m, "trainable_parameters");
    if (peak > 0) {
        card(p->out, "", "Peak memory");
        hn_html_bytes(p->out, peak);
        hn_buf_add_str(p->out, "</b><span>");
        if (plan > 0) {
            hn_buf_add_str(p->out, "planned ");
            hn_html_bytes(p->out, plan);
        }
        hn_buf_add_str(p->out, "</span></div>\n");
    }
    if (all > 0 && part > 0) {
        card(p->out, "", "Trainable");
        hn_html_short(p->out, part);
        hn_buf_printf(p->out, "</b><span>%.2f %% of ", 100 * part / all);
        hn_html_short(p->out, all);
        hn_buf_add_str(p->out, "</span></div>\n");
    }
}

static void badge(const struct hn_page *p)
{
    static const char *const styles[][2] = {
        {"finished", "good"}, {"interrupted", "warn"}, {"failed", "bad"}, {"running", "dim"}};
    struct hn_str status = hn_page_str(p->run, "status");
    if (hn_str_is(status, "running") && !p->busy) { /* killed: it could not say how it ended */
        hn_buf_add_str(p->out, "<span class=\"badge warn\">unfinished</span>");
        return;
    }
    for (size_t i = 0; i < HN_COUNT(styles); i++)
        if (hn_str_is(status, styles[i][0]))
            hn_buf_printf(p->out, "<span class=\"badge %s\">%s</span>", styles[i][1], styles[i][0]);
}

/* What is called the model's name: the last part of its path. */
static struct hn_str model_name(const struct hn_page *p)
{
    struct hn_str s = hn_page_str(hn_json_get(p->run, "model"), "path");
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == '/')
            return (struct hn_str){s.p + i, s.n - i};
    return s.n ? s : hn_str_of(hn_path_name(p->dir));
}

static void header(const struct hn_page *p)
{
    struct hn_str message = hn_page_str(p->run, "message");
    bool failed = hn_str_is(hn_page_str(p->run, "status"), "failed");
    hn_buf_add_str(p->out, "<p class=\"kicker\">hone · training report</p>\n<h1>");
    hn_page_put(p->out, model_name(p));
    badge(p);
    hn_buf_add_str(p->out, "</h1>\n<p class=\"lead\">");
    double rows = hn_page_number(hn_json_get(p->run, "data"), "train_rows");
    if (rows > 0) {
        hn_buf_add_str(p->out, "Fine-tuned on ");
        hn_html_count(p->out, rows);
        hn_buf_printf(p->out, " row%s; %s <code>", rows == 1 ? "" : "s",
                      p->saved ? "the adapter is in" : "no adapter is saved yet in");
    } else {
        hn_buf_printf(p->out, "%s <code>", p->saved ? "The adapter is in" : "No adapter is in");
    }
    hn_html_str(p->out, p->dir);
    hn_buf_add_str(p->out, "</code>.</p>\n");
    if (message.n) {
        hn_buf_printf(p->out, "<p class=\"notice %s\">", failed ? "failed" : "");
        hn_page_put(p->out, message);
        hn_buf_add_str(p->out, "</p>\n");
    }
    hn_buf_add_str(p->out, "<div class=\"cards\">\n");
    loss_card(p);
    time_cards(p);
    size_cards(p);
    hn_buf_add_str(p->out, "</div>\n");
    const struct hn_json *notes = hn_json_get(p->run, "notes"), *j;
    struct hn_str s;
    for (size_t i = 0; (j = hn_json_at(notes, i)) && i < 8; i++) {
        if (!hn_json_str(j, &s))
            continue;
        hn_buf_add_str(p->out, "<p class=\"notice\">");
        hn_page_put(p->out, s);
        hn_buf_add_str(p->out, "</p>\n");
    }
}

/* ---- going on ---------------------------------------------------------------------------------
 */

static void command(const struct hn_page *p, const char *what, const char *before, const char *file,
                    const char *after)
{
    char *path = hn_path_join(p->dir, file);
    hn_buf_printf(p->out, "<h3>%s</h3>\n<pre style=\"margin-bottom:12px\">%s", what, before);
    if (path)
        hn_html_shell(p->out, *file ? path : p->dir);
    else
        p->out->failed = true;
    hn_buf_printf(p->out, "%s</pre>\n", after);
    hn_free(path);
}

static void go_on(const struct hn_page *p)
{
    bool done = hn_str_is(hn_page_str(p->run, "status"), "finished");
    hn_buf_add_str(p->out, "<h2>Go on</h2>\n<div class=\"box\">");
    if (!done)
        command(p, "Go on with the run", "hone train --config ", "train.yaml", " --resume");
    if (p->saved) {
        command(p, "Try it", "hone generate --model ", "", " --prompt \"…\"");
        command(p, "Test it on rows it has not seen", "hone test --model ", "",
                " --data test.jsonl --verbose");
    }
    if (done)
        command(p, "Repeat the run", "hone train --config ", "train.yaml", "");
    command(p, "Write this page again", "hone report ", "", "");
    if (p->saved)
        hn_buf_add_str(p->out, "<p class=\"dim\" style=\"margin:0\">The folder is a PEFT and an "
                               "mlx-lm adapter as well.</p>");
    hn_buf_add_str(p->out, "</div>\n");
}

void hn_page_write(const struct hn_page *p)
{
    hn_buf_add_str(p->out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width, "
                           "initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" "
                           "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
                           "'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light "
                           "dark\">\n<title>");
    hn_page_put(p->out, model_name(p));
    hn_buf_printf(p->out, " – training report</title>\n<style>\n%s</style></head>\n<body><main>\n",
                  hn_page_style);
    header(p);
    hn_page_charts(p);
    hn_page_samples(p);
    hn_page_data(p);
    hn_page_memory(p);
    hn_page_settings(p);
    hn_page_environment(p);
    go_on(p);
    hn_buf_printf(p->out,
                  "<footer>Written by hone %s.</footer>\n</main>\n<script>\n%s</script>\n"
                  "</body></html>\n",
                  HONE_VERSION, hn_page_script);
}
