#include "report/chart.h"
#include "report/html.h"

#include <math.h>

/* The box of the drawing within the picture, in its units. */
struct frame {
    double left, right, top, bottom, width, height;
    double x0, x1, y0, y1; /* values at the edges */
};

enum { BUCKETS = 400 }; /* a bucket gives two points: its lowest and its highest */

static double at_x(const struct frame *f, double x)
{
    return f->left + (x - f->x0) / (f->x1 - f->x0) * (f->right - f->left);
}

static double at_y(const struct frame *f, double y)
{
    return f->bottom - (y - f->y0) / (f->y1 - f->y0) * (f->bottom - f->top);
}

int hn_chart_ticks(double low, double high, int most, double *first, double *step)
{
    double rough = (high - low) / most, power = pow(10, floor(log10(rough)));
    static const double nice[] = {1, 2, 2.5, 5, 10};
    *step = power * 10;
    for (size_t i = 0; i < HN_COUNT(nice); i++) {
        if (nice[i] * power >= rough * 0.999) {
            *step = nice[i] * power;
            break;
        }
    }
    *first = ceil(low / *step - 1e-9) * *step;
    return (int)floor((high - *first) / *step + 1e-9) + 1;
}

/* Digits after the point that multiples of step need. */
static int decimals(double step)
{
    int d = 0;
    for (double s = step; d < 6 && fabs(s - round(s)) > 1e-6; s *= 10)
        d++;
    return d;
}

/* The labels of an axis are all of one form, which its step decides. */
static void label(struct hn_buf *out, enum hn_axis axis, double v, double step)
{
    double size = fabs(v);
    if (size < step * 1e-6)
        hn_buf_add_char(out, '0');
    else if (axis == HN_AXIS_BYTES)
        hn_html_bytes(out, v);
    else if (axis == HN_AXIS_SHORT && size >= 10000)
        hn_html_short(out, v);
    else if (step < 1e-3 || size >= 1e6)
        hn_html_power(out, v, 2);
    else
        hn_buf_printf(out, "%.*f", decimals(step), v);
}

static void include(double *low, double *high, double v)
{
    if (!isfinite(v))
        return;
    *low = fmin(*low, v);
    *high = fmax(*high, v);
}

/* The ranges of the values, widened to look well; false when there is nothing to draw. */
static bool set_ranges(struct frame *f, const struct hn_chart *c)
{
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (size_t l = 0; l < c->n_lines; l++) {
        for (size_t i = 0; i < c->lines[l].n; i++) {
            const struct hn_point *p = &c->lines[l].points[i];
            if (!isfinite(p->y) || !isfinite(p->x))
                continue;
            include(&f->x0, &f->x1, p->x);
            include(&f->y0, &f->y1, p->y);
        }
    }
    if (f->x0 <= f->x1 && c->level > 0)
        include(&f->y0, &f->y1, 1.1 * c->level); /* room for its text */
    if (!(f->x0 <= f->x1))
        return false;
    if (f->x0 > 0 && f->x0 < 0.2 * f->x1) /* from the first step on is from the start */
        f->x0 = 0;
    if (f->x0 == f->x1) {
        f->x0 -= 0.5;
        f->x1 += 0.5;
    }
    if (c->from_zero)
        f->y0 = fmin(f->y0, 0);
    double span = f->y1 - f->y0;
    if (!(span > 1e-12 * fmax(fabs(f->y0), fabs(f->y1))))
        span = f->y1 != 0 ? fabs(f->y1) : 1;
    f->y1 += 0.06 * span;
    if (!c->from_zero)
        f->y0 = f->y0 >= 0 ? fmax(f->y0 - 0.06 * span, 0) : f->y0 - 0.06 * span;
    if (f->y1 <= f->y0)
        f->y1 = f->y0 + 1;
    return true;
}

static void set_box(struct frame *f, bool wide)
{
    f->width = wide ? 1000 : 480;
    f->height = wide ? 300 : 270;
    f->left = 40;
    f->right = f->width - 14;
    f->top = 14;
    f->bottom = f->height - 32;
}

/* What the lines do, for those who hear the page: where each begins and ends. */
static void describe(struct hn_buf *out, const struct hn_chart *c)
{
    for (size_t l = 0; l < c->n_lines; l++) {
        const struct hn_chart_line *line = &c->lines[l];
        const struct hn_point *first = NULL, *last = NULL;
        for (size_t i = 0; i < line->n; i++) {
            if (!isfinite(line->points[i].y))
                continue;
            first = first ? first : &line->points[i];
            last = &line->points[i];
        }
        if (!first)
            continue;
        hn_buf_printf(out, "%s %s from ", l ? ";" : ":", line->name);
        label(out, c->axis, first->y, fabs(first->y) / 1000);
        hn_buf_add_str(out, " to ");
        label(out, c->axis, last->y, fabs(last->y) / 1000);
    }
}

static void begin(struct hn_buf *out, const struct frame *f, const char *title,
                  const struct hn_chart *live)
{
    hn_buf_printf(out, "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
                  f->width, f->height);
    hn_html_str(out, title);
    if (live)
        describe(out, live);
    hn_buf_add_char(out, '"');
    if (live) /* what the script needs to tell values from places */
        hn_buf_printf(out, " data-f=\"%.17g %.17g %.17g %.17g %.17g %.17g %.17g %.17g\"", f->left,
                      f->right, f->x0, f->x1, f->top, f->bottom, f->y0, f->y1);
    hn_buf_add_str(out, ">\n");
}

/* Room at the left for the longest label. */
static void set_left(struct frame *f, enum hn_axis axis, bool wide)
{
    double first, step;
    int n = hn_chart_ticks(f->y0, f->y1, 5, &first, &step);
    for (int i = 0; i < n; i++) {
        struct hn_buf text = {0};
        label(&text, axis, first + i * step, step);
        f->left = fmax(f->left, 16 + (wide ? 8.0 : 9.0) * (double)text.len);
        hn_buf_release(&text);
    }
}

static void draw_axes(struct hn_buf *out, const struct frame *f, enum hn_axis axis, bool wide)
{
    double first, step;
    int n = hn_chart_ticks(f->y0, f->y1, 5, &first, &step);
    for (int i = 0; i < n; i++) {
        double v = first + i * step, y = at_y(f, v);
        hn_buf_printf(out,
                      "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                      "<text class=\"y\" x=\"%.1f\" y=\"%.1f\">",
                      f->left, y, f->right, y, f->left - 7, y + 4);
        label(out, axis, v, step);
        hn_buf_add_str(out, "</text>\n");
    }
    n = hn_chart_ticks(f->x0, f->x1, wide ? 10 : 6, &first, &step);
    if (step != round(step)) { /* steps and tokens are whole: no 0.5, no 2.5 */
        step = step < 1 ? 1 : 5;
        first = ceil(f->x0 / step) * step;
        n = (int)floor((f->x1 - first) / step) + 1;
    }
    for (int i = 0; i < n; i++) {
        double v = first + i * step, x = at_x(f, v);
        hn_buf_printf(out,
                      "<line class=\"tick\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                      "<text class=\"x\" x=\"%.1f\" y=\"%.1f\">",
                      x, f->bottom, x, f->bottom + 4, x, f->bottom + 19);
        label(out, HN_AXIS_SHORT, v, step);
        hn_buf_add_str(out, "</text>\n");
    }
    hn_buf_printf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                  f->left, f->bottom, f->right, f->bottom);
}

static void draw_epochs(struct hn_buf *out, const struct frame *f, double epoch)
{
    if (!(epoch > 0) || f->x1 / epoch > 25)
        return;
    for (double x = epoch; x < f->x1 - 0.3 * epoch; x += epoch) {
        if (x > f->x0)
            hn_buf_printf(out,
                          "<line class=\"epoch\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                          "y2=\"%.1f\"><title>epoch %.0f ends</title></line>\n",
                          at_x(f, x), f->top, at_x(f, x), f->bottom, x / epoch);
    }
}

static void put_point(struct hn_buf *out, const struct frame *f, const struct hn_point *p)
{
    hn_buf_printf(out, "%.1f,%.2f ", at_x(f, p->x), at_y(f, p->y));
}

/* All points where they are few, else the lowest and the highest of each bucket, in their order. */
static void draw_line(struct hn_buf *out, const struct frame *f, const struct hn_chart_line *l)
{
    hn_buf_printf(out, "<polyline class=\"line %s\" data-n=\"%s\" points=\"", l->style, l->name);
    size_t buckets = l->n > 2 * BUCKETS ? BUCKETS : l->n;
    for (size_t b = 0; b < buckets; b++) {
        size_t from = b * l->n / buckets, to = (b + 1) * l->n / buckets;
        const struct hn_point *low = NULL, *high = NULL;
        for (size_t i = from; i < to; i++) {
            const struct hn_point *p = &l->points[i];
            if (!isfinite(p->y) || !isfinite(p->x))
                continue;
            if (!low || p->y < low->y)
                low = p;
            if (!high || p->y > high->y)
                high = p;
        }
        if (!low)
            continue;
        put_point(out, f, low < high ? low : high);
        if (low != high)
            put_point(out, f, low < high ? high : low);
    }
    hn_buf_add_str(out, "\"/>\n");
    for (size_t i = 0; (l->dots || l->n == 1) && l->n <= 120 && i < l->n; i++) {
        if (isfinite(l->points[i].y))
            hn_buf_printf(out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
                          l->style, at_x(f, l->points[i].x), at_y(f, l->points[i].y));
    }
}

static void draw_mark(struct hn_buf *out, const struct frame *f, const struct hn_chart *c)
{
    if (!c->mark_text || !isfinite(c->mark.y))
        return;
    double x = at_x(f, c->mark.x), y = at_y(f, c->mark.y);
    bool left = x > (f->left + f->right) / 2, above = y > f->top + 34;
    hn_buf_printf(out,
                  "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"/>"
                  "<text class=\"mark %s\" x=\"%.1f\" y=\"%.1f\">",
                  x, y, left ? "end" : "", left ? x - 4 : x + 4, above ? y - 13 : y + 24);
    hn_html_str(out, c->mark_text);
    hn_buf_add_str(out, "</text>\n");
}

static void draw_level(struct hn_buf *out, const struct frame *f, const struct hn_chart *c)
{
    if (!(c->level > 0) || !isfinite(c->level))
        return;
    double y = at_y(f, c->level);
    hn_buf_printf(out,
                  "<line class=\"level\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                  "<text x=\"%.1f\" y=\"%.1f\">",
                  f->left, y, f->right, y, f->left + 6, y - 7);
    hn_html_str(out, c->level_text);
    hn_buf_add_str(out, "</text>\n");
}

void hn_chart_draw(struct hn_buf *out, const struct hn_chart *c)
{
    struct frame f;
    set_box(&f, c->wide);
    if (!set_ranges(&f, c)) {
        hn_buf_add_str(out, "<p class=\"none\">No values yet.</p>\n");
        return;
    }
    set_left(&f, c->axis, c->wide);
    begin(out, &f, c->title, c);
    draw_epochs(out, &f, c->epoch);
    draw_axes(out, &f, c->axis, c->wide);
    draw_level(out, &f, c);
    for (size_t l = 0; l < c->n_lines; l++)
        if (c->lines[l].n)
            draw_line(out, &f, &c->lines[l]);
    draw_mark(out, &f, c);
    hn_buf_add_str(out, "<line class=\"cursor\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"0\"/></svg>\n");
}

void hn_chart_bars(struct hn_buf *out, const char *title, const double *counts, size_t n,
                   double width, double limit, const char *limit_text)
{
    struct frame f = {.x0 = 0, .y0 = 0};
    set_box(&f, false);
    f.x1 = (double)n * width;
    for (size_t i = 0; i < n; i++)
        f.y1 = fmax(f.y1, counts[i]);
    if (!(f.y1 > 0) || !(f.x1 > 0))
        return;
    bool marked = limit > 0 && limit <= 1.6 * f.x1;
    if (marked)
        f.x1 = fmax(f.x1, limit * 1.04);
    f.y1 *= 1.1;
    set_left(&f, HN_AXIS_SHORT, false);
    begin(out, &f, title, NULL);
    draw_axes(out, &f, HN_AXIS_SHORT, false);
    for (size_t i = 0; i < n; i++) {
        double x = at_x(&f, (double)i * width), y = at_y(&f, counts[i]);
        if (!(counts[i] > 0))
            continue;
        hn_buf_printf(out,
                      "<rect class=\"bar%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                      "height=\"%.1f\"><title>%.0f rows of %.0f to %.0f tokens</title></rect>\n",
                      limit > 0 && (double)i * width >= limit ? " over" : "", x, y,
                      fmax(at_x(&f, (double)(i + 1) * width) - x - 1, 0.8), f.bottom - y, counts[i],
                      (double)i * width, (double)(i + 1) * width - 1);
    }
    if (marked) {
        double x = at_x(&f, limit);
        bool left = x > (f.left + f.right) / 2;
        hn_buf_printf(out,
                      "<line class=\"limit\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                      "<text class=\"limit %s\" x=\"%.1f\" y=\"%.1f\">",
                      x, f.top, x, f.bottom, left ? "end" : "", left ? x - 6 : x + 6, f.top + 12);
        hn_html_str(out, limit_text);
        hn_buf_add_str(out, "</text>\n");
    }
    hn_buf_add_str(out, "</svg>\n");
}
