/* One training run: what train_setup.c opens and plans, and train.c drives. */
#ifndef HN_TRAIN_RUN_H
#define HN_TRAIN_RUN_H

#include "hone/train.h"
#include "model/batch.h"
#include "model/decoder.h"
#include "train/checkpoint.h"
#include "train/order.h"
#include "train/rate.h"

/* Rows of a dataset, all of them or a part (valid_fraction splits one file in two). */
struct hn_rows_view {
    struct hone_dataset *data;
    uint64_t *index; /* [n] rows of data; NULL: 0..n-1 */
    int64_t n;
};

struct hn_run {
    const struct hone_train_options *o;
    struct hone_model *model;
    struct hone_tokenizer *tok;
    struct hone_dataset *train_data,
        *valid_data;                  /* valid_data NULL: none, or a part of train_data */
    struct hn_rows_view train, valid; /* valid.n 0: no validation */
    struct hone_dataset_info train_info, valid_info;
    struct hn_run_length length;
    struct hn_order order;
    struct hn_rate rate;

    int64_t largest; /* tokens of the largest micro-batch */
    struct hn_plan train_plan, eval_plan;
    void *arena;
    struct hone_memory_plan memory;
    struct hn_batch_rows batch;
    struct hone_row row;
    float *losses;                              /* [max rows of a batch] */
    struct hn_tensor **param, **grad, **m, **v; /* [n_params] each, those that decay first */
    size_t n_params, n_decayed;

    struct hn_checkpoint checkpoint;
    struct hn_progress progress;
    int lock;           /* of the adapter's folder, or -1 */
    int64_t saved_step; /* of the newest checkpoint of this run; -1: none */
    char *saved_path, *metrics_path;

    hone_train_fn *on_event;
    void *arg;
    bool stop;
};

/* Open model, tokenizer and data; make or load the adapter; plan the steps and refuse what does not
 * fit.  The run is released by hn_run_release, also after a failure. */
HN_MUST_USE int hn_run_open(struct hn_run *r, const struct hone_train_options *o,
                            hone_train_fn *on_event, void *arg, struct hone_err *err);
void hn_run_release(struct hn_run *r);

/* Hand an event to the caller; remembers a request to stop. */
void hn_run_tell(struct hn_run *r, struct hone_train_event *e);
void hn_run_note(struct hn_run *r, const char *text);

/* Put row i of a view (after truncation) into the batch. */
HN_MUST_USE int hn_run_add_row(struct hn_run *r, const struct hn_rows_view *view, uint64_t i,
                               struct hone_err *err);
int64_t hn_view_length(const struct hn_rows_view *view, uint64_t i);

enum { HN_EVAL_SEQS = 64 }; /* rows that are evaluated at once, at most */
/* The loss of the validation rows (evaluate.c); of those that mlx_lm takes before iteration `iter`,
 * in its batch order. */
HN_MUST_USE int hn_run_evaluate(struct hn_run *r, int64_t iter, double *loss, struct hone_err *err);

/* The adapter that the options ask for, made in the model. */
HN_MUST_USE int hn_train_adapter(struct hone_model *m, const struct hone_train_options *o,
                                 struct hone_err *err);

#endif
