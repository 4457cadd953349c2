/* run.json: what a training run was, for its report: model, data, plan, settings, how far it came,
 * samples.  Filled from the run's events, and written whole at each checkpoint and at the end, so
 * that a killed run has one too. */
#ifndef HN_REPORT_RUN_RECORD_H
#define HN_REPORT_RUN_RECORD_H

#include "base/json.h"
#include "hone/train.h"

enum {
    HN_RECORD_MAX_SAMPLES = 20,
    HN_RECORD_MAX_NOTES = 32,
    HN_RECORD_MAX_TEXT = 1 << 16, /* bytes of a prompt or answer; a longer one is not a sample */
};

/* A row with what two models write for it.  Texts are owned; base and tuned NULL: not written. */
struct hn_sample {
    char *path, *prompt, *expected, *base, *tuned;
    uint64_t line;
    bool templated; /* the prompt holds its special tokens */
    bool continued; /* a row without a response: the prompt is its beginning */
    bool cut;       /* an answer was ended by the limit on length or time */
};

struct hn_samples {
    struct hn_sample items[HN_RECORD_MAX_SAMPLES];
    size_t n;
};
void hn_samples_release(struct hn_samples *s);
/* The samples of a parsed run.json; what is malformed in them is left out. */
HN_MUST_USE int hn_samples_read(struct hn_samples *s, const struct hn_json *run,
                                struct hone_err *err);
void hn_samples_write(struct hn_json_writer *w, const struct hn_samples *s);

struct hn_run_record {
    /* set by the caller; borrowed */
    const char *adapter_path;
    const char *settings; /* a JSON array of {"name", "value", "changed"} */
    int64_t max_seq_length;
    const char *compute; /* "exact"… */

    struct hn_samples samples;
    struct hn_buf model, plan, data, notes; /* JSON texts, from the events */
    size_t n_notes;
    char started[32];
    int64_t step, total_steps, tokens;
    double epoch, seconds;
    uint64_t peak_memory;
    bool planned; /* the plan was met: there is something to write */
};

void hn_run_record_init(struct hn_run_record *r);
void hn_run_record_release(struct hn_run_record *r);

/* Take what the event tells.  Out of memory shows in hn_run_record_write. */
void hn_run_record_event(struct hn_run_record *r, const struct hone_train_event *e);

/* Write run.json into the adapter's folder.  status: "running", "finished", "interrupted" or
 * "failed"; message (may be NULL): why. */
HN_MUST_USE int hn_run_record_write(const struct hn_run_record *r, const char *status,
                                    const char *message, struct hone_err *err);

#endif
