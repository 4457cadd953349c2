/* The curves of report.html. */
#include "report/page.h"
#include "base/mem.h"
#include "report/chart.h"
#include "report/html.h"

#include <math.h>
#include <stddef.h>

/* The points of one field over the steps; the caller frees them.  NULL: no memory, or none. */
static struct hn_point *points_of(const struct hn_series *s, size_t field, size_t *n)
{
    struct hn_point *points = s->n ? hn_calloc(s->n, sizeof *points) : NULL;
    *n = points ? s->n : 0;
    for (size_t i = 0; i < *n; i++) {
        points[i].x = s->items[i].step;
        points[i].y = *(const double *)(const void *)((const char *)&s->items[i] + field);
    }
    return points;
}

/* A running mean with a memory of a twentieth of the run, free of bias at its start. */
static struct hn_point *smooth(const struct hn_point *raw, size_t n)
{
    struct hn_point *out = n > 40 ? hn_calloc(n, sizeof *out) : NULL;
    double keep = 1 - 2 / ((double)n / 20 + 3), sum = 0, weight = 0;
    for (size_t i = 0; out && i < n; i++) {
        out[i] = raw[i];
        if (isfinite(raw[i].y)) {
            sum = keep * sum + raw[i].y;
            weight = keep * weight + 1;
        }
        out[i].y = weight > 0 ? sum / weight : NAN;
    }
    return out;
}

static bool has_values(const struct hn_point *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(p[i].y))
            return true;
    return false;
}

static void key(struct hn_buf *out, const char *colour, const char *name)
{
    hn_buf_printf(out, "<span class=\"key\"><i style=\"background:var(--%s)\"></i>%s</span>",
                  colour, name);
}

/* Steps of an epoch, as the last record has them. */
static double epoch_of(const struct hn_metrics *m)
{
    const struct hn_metric *l = m->train.seen ? &m->train.last : &m->valid.last;
    return l->epoch > 0 ? l->step / l->epoch : 0;
}

/* The losses together, once for wide screens and once for narrow ones. */
static void losses(const struct hn_page *p)
{
    const struct hn_metrics *m = p->metrics;
    size_t n_train, n_valid;
    struct hn_point *train = points_of(&m->train, offsetof(struct hn_metric, loss), &n_train),
                    *valid = points_of(&m->valid, offsetof(struct hn_metric, loss), &n_valid),
                    *mean = smooth(train, n_train);
    struct hn_buf mark = {0};
    struct hn_chart c = {.title = "Loss over the steps", .epoch = epoch_of(m)};
    if (n_train)
        c.lines[c.n_lines++] = (struct hn_chart_line){.name = mean ? "train, as reported" : "train",
                                                      .style = mean ? "raw" : "train",
                                                      .points = train,
                                                      .n = n_train};
    if (mean)
        c.lines[c.n_lines++] = (struct hn_chart_line){
            .name = "train, smoothed", .style = "train", .points = mean, .n = n_train};
    if (n_valid)
        c.lines[c.n_lines++] = (struct hn_chart_line){
            .name = "validation", .style = "valid", .points = valid, .n = n_valid, .dots = true};
    if (m->valid.seen > 1 && m->valid.lowest.step > 0) {
        hn_buf_add_str(&mark, "best ");
        hn_html_number(&mark, m->valid.lowest.loss, 4);
        c.mark = (struct hn_point){m->valid.lowest.step, m->valid.lowest.loss};
        c.mark_text = hn_buf_str(&mark);
    }
    hn_buf_add_str(p->out, "<figure class=\"wide\"><figcaption>Loss ");
    if (n_train)
        key(p->out, "train", mean ? "training (smoothed, and as reported)" : "training");
    if (n_valid)
        key(p->out, "valid", "validation");
    hn_buf_add_str(p->out, "</figcaption><div class=\"only-wide\">");
    c.wide = true;
    hn_chart_draw(p->out, &c);
    hn_buf_add_str(p->out, "</div><div class=\"only-narrow\">");
    c.wide = false;
    hn_chart_draw(p->out, &c);
    hn_buf_add_str(p->out, "</div></figure>\n");
    p->out->failed |= mark.failed || (!train && m->train.n) || (!valid && m->valid.n);
    hn_buf_release(&mark);
    hn_free(train);
    hn_free(valid);
    hn_free(mean);
}

struct kind {
    const char *title, *name, *unit;
    size_t field;
    enum hn_axis axis;
    bool from_zero;
};

static void one(const struct hn_page *p, const struct kind *k)
{
    size_t n;
    const struct hn_series *s = &p->metrics->train;
    struct hn_point *points = points_of(s, k->field, &n);
    p->out->failed |= !points && s->n;
    if (has_values(points, n)) {
        struct hn_chart c = {.title = k->title,
                             .axis = k->axis,
                             .from_zero = k->from_zero,
                             .epoch = epoch_of(p->metrics),
                             .n_lines = 1};
        struct hn_buf text = {0};
        if (k->axis == HN_AXIS_BYTES) {
            c.level = hn_page_number(hn_json_get(p->run, "plan"), "total");
            hn_buf_add_str(&text, "planned ");
            hn_html_bytes(&text, c.level);
            c.level_text = hn_buf_str(&text);
        }
        c.lines[0] =
            (struct hn_chart_line){.name = k->name, .style = "train", .points = points, .n = n};
        hn_buf_printf(p->out, "<figure data-unit=\"%s\"><figcaption>%s</figcaption>\n", k->unit,
                      k->title);
        hn_chart_draw(p->out, &c);
        hn_buf_add_str(p->out, "</figure>\n");
        p->out->failed |= text.failed;
        hn_buf_release(&text);
    }
    hn_free(points);
}

/* The validations as numbers: all of them, or sixty from all over the run. */
static void table(const struct hn_page *p)
{
    const struct hn_series *s = &p->metrics->valid;
    size_t every = (s->n + 59) / 60;
    if (!s->n)
        return;
    hn_buf_add_str(p->out, "<details><summary>Validation losses as numbers</summary><table><tr>"
                           "<th class=\"n\">step</th><th class=\"n\">epoch</th>"
                           "<th class=\"n\">loss</th><th class=\"n\">perplexity</th></tr>\n");
    for (size_t i = 0; i < s->n; i++) {
        const struct hn_metric *m = &s->items[i];
        if (i % every && i + 1 < s->n)
            continue;
        hn_buf_add_str(p->out, "<tr><td class=\"n\">");
        hn_html_count(p->out, m->step);
        hn_buf_add_str(p->out, "</td><td class=\"n\">");
        hn_html_number(p->out, m->epoch, 3);
        hn_buf_add_str(p->out, "</td><td class=\"n\">");
        hn_html_number(p->out, m->loss, 5);
        hn_buf_add_str(p->out, "</td><td class=\"n\">");
        hn_html_number(p->out, exp(m->loss), 4);
        hn_buf_add_str(p->out, "</td></tr>\n");
    }
    hn_buf_add_str(p->out, "</table></details>\n");
}

void hn_page_charts(const struct hn_page *p)
{
    static const struct kind kinds[] = {
        {"Learning rate", "learning rate", "", offsetof(struct hn_metric, learning_rate),
         HN_AXIS_NUMBER, true},
        {"Gradient norm, before clipping", "norm", "", offsetof(struct hn_metric, grad_norm),
         HN_AXIS_NUMBER, true},
        {"Tokens per second", "tokens/s", "", offsetof(struct hn_metric, tokens_per_second),
         HN_AXIS_SHORT, true},
        {"Peak memory", "peak", "B", offsetof(struct hn_metric, memory), HN_AXIS_BYTES, true},
    };
    hn_buf_add_str(p->out, "<h2>Curves</h2>\n");
    if (!p->metrics->train.seen && !p->metrics->valid.seen) {
        hn_buf_add_str(p->out, "<p class=\"none\">Nothing was reported yet.</p>\n");
        return;
    }
    hn_buf_add_str(p->out, "<div class=\"charts\">\n");
    losses(p);
    for (size_t i = 0; i < HN_COUNT(kinds); i++)
        one(p, &kinds[i]);
    hn_buf_add_str(p->out, "</div>\n<p class=\"dim\">Over optimizer steps; dashed lines end "
                           "epochs. The numbers are in metrics.csv beside this page.</p>\n");
    table(p);
}
