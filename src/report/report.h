/* The report of a training run: report.html and metrics.csv in its adapter's folder. */
#ifndef HN_REPORT_REPORT_H
#define HN_REPORT_REPORT_H

#include "base/arena.h"
#include "base/err.h"
#include "report/run_record.h"

enum { HN_REPORT_MAX_RUN = 32 << 20 }; /* bytes of run.json */

/* Parse the run.json of this folder; *run stays NULL when there is none. */
HN_MUST_USE int hn_report_read_run(struct hn_arena *arena, const char *dir, struct hn_json **run,
                                   struct hone_err *err);

/* Write run.json again, as it is, with these samples. */
HN_MUST_USE int hn_report_put_samples(const char *dir, const struct hn_json *run,
                                      const struct hn_samples *samples, struct hone_err *err);

/* Write report.html and metrics.csv into the folder, of its run.json, metrics.jsonl and train.yaml.
 * Each of the first two may be missing, not both. */
HN_MUST_USE int hn_report_write(const char *dir, struct hone_err *err);

/* metrics.csv of metrics.jsonl: a line per record, in order, numbers as they stand there. */
HN_MUST_USE int hn_metrics_csv(const char *from, const char *to, struct hone_err *err);

#endif
