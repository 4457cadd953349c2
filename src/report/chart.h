/* Line charts and bars as inline SVG, thinned to what can be seen: a chart of any number of points
 * takes at most about 60 kB. */
#ifndef HN_REPORT_CHART_H
#define HN_REPORT_CHART_H

#include "base/buf.h"

struct hn_point {
    double x, y; /* a y that is not finite is left out */
};

struct hn_chart_line {
    const char *name;  /* shown by the script beside a value */
    const char *style; /* CSS classes: "raw", "train", "valid"… */
    const struct hn_point *points;
    size_t n;  /* x does not fall */
    bool dots; /* few points, each of which counts: they are marked */
};

enum hn_axis { HN_AXIS_NUMBER, HN_AXIS_SHORT, HN_AXIS_BYTES };

struct hn_chart {
    const char *title; /* for those who do not see it */
    enum hn_axis axis; /* of y */
    bool from_zero;    /* y starts at 0 */
    bool wide;         /* twice as wide */
    struct hn_chart_line lines[3];
    size_t n_lines;
    double level; /* a level line across, with its text; 0: none */
    const char *level_text;
    double epoch;          /* steps of an epoch, marked below; 0: none */
    struct hn_point mark;  /* a point marked with `mark_text` */
    const char *mark_text; /* NULL: none */
};

/* Append the <svg>; a note where no line has a point. */
void hn_chart_draw(struct hn_buf *out, const struct hn_chart *c);

/* Bars of counts[n], each width wide, with x from 0; limit (0: none) is marked with its text. */
void hn_chart_bars(struct hn_buf *out, const char *title, const double *counts, size_t n,
                   double width, double limit, const char *limit_text);

/* Ticks of an axis: at most about `most` round numbers; *first and *step, returns how many. */
int hn_chart_ticks(double low, double high, int most, double *first, double *step);

#endif
