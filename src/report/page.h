/* report.html, part by part.  Self-contained: nothing is loaded from elsewhere, and without its
 * small script the page only lacks the values under the pointer. */
#ifndef HN_REPORT_PAGE_H
#define HN_REPORT_PAGE_H

#include "base/json.h"
#include "report/series.h"

struct hn_page {
    const struct hn_json *run; /* run.json, parsed; NULL: there is none */
    const char *yaml;          /* train.yaml's text, shown where run.json has no settings; NULL */
    const char *dir;           /* the adapter's folder, as the user named it */
    bool busy;                 /* a process is at work in it */
    bool saved;                /* there is an adapter in it */
    const struct hn_metrics *metrics;
    struct hn_buf *out;
};

/* The whole page into p->out; it is failed when memory ran out. */
void hn_page_write(const struct hn_page *p);

/* Its parts, each in a file of its own. */
extern const char hn_page_style[], hn_page_script[];
void hn_page_charts(const struct hn_page *p);
void hn_page_samples(const struct hn_page *p);
void hn_page_data(const struct hn_page *p);
void hn_page_memory(const struct hn_page *p);
void hn_page_settings(const struct hn_page *p);
void hn_page_environment(const struct hn_page *p);

/* Members of a parsed object: NaN, false, or an empty string when it has no such one. */
double hn_page_number(const struct hn_json *j, const char *key);
bool hn_page_true(const struct hn_json *j, const char *key);
struct hn_str hn_page_str(const struct hn_json *j, const char *key);
/* The same as text of the page. */
void hn_page_put(struct hn_buf *out, struct hn_str s);

/* The bytes that the run used at most: of run.json, else of the metrics. */
double hn_page_peak(const struct hn_page *p);

#endif
