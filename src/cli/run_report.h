/* A training run's record, samples and report, for hone train and hone report. */
#ifndef HN_CLI_RUN_REPORT_H
#define HN_CLI_RUN_REPORT_H

#include "cli/ui.h"
#include "conf/conf.h"
#include "report/run_record.h"

/* The report of a run in the making.  A report is no reason to fail a run: what goes wrong with it
 * is a note. */
struct hn_run_report {
    struct hn_run_record record;
    struct hn_buf settings; /* JSON */
    const struct hn_conf *c;
    struct hn_ui *ui;
    double next; /* when it may be written again */
    bool noted;  /* that it could not be written */
};

/* c and ui are borrowed until hn_run_report_release. */
void hn_run_report_init(struct hn_run_report *r, const struct hn_conf *c, struct hn_ui *ui);
void hn_run_report_release(struct hn_run_report *r);

/* Take what the run tells; the files follow at the plan, at validations and at checkpoints, as long
 * as writing them takes less than a hundredth of the time. */
void hn_run_report_event(struct hn_run_report *r, const struct hone_train_event *e);

/* The run ended with this code and message: write the files, let both models write to the samples
 * when it went well, and say where the report is. */
void hn_run_report_end(struct hn_run_report *r, int code, const char *message);

/* Let the base (its name or path) and then the adapter in dir write to those samples that lack it.
 * Ends early, with HONE_INTERRUPTED, when the user interrupts or after `seconds` (0: no limit). */
HN_MUST_USE int hn_run_report_samples(struct hn_samples *s, const struct hn_conf *c,
                                      const char *base, const char *dir, double seconds,
                                      struct hn_ui *ui, struct hone_err *err);

#endif
