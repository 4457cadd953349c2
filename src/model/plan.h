/* A step, planned before it runs: a list of backend operations over numbered tensors.
 *
 * The decoder appends operations; hn_plan_finish gives every tensor its lifetime (from the first
 * operation that names it to the last) and lays all of them into one arena, where tensors share
 * bytes when their lifetimes do not overlap.  That layout is the memory plan: what is printed,
 * refused and allocated.  hn_plan_run walks the list; it allocates nothing.
 *
 *      embed → [norm → linears → rope → attention → linear+ → norm → linears → glu → linear+]*L
 *            → gather → norm → head loss → … the same backwards
 */
#ifndef HN_MODEL_PLAN_H
#define HN_MODEL_PLAN_H

#include "backend/backend.h"

struct hn_lora; /* model.h */
struct hn_param;

/* How many rows a tensor has in a given step. */
enum hn_rows { HN_ROWS_TOKENS, HN_ROWS_PICKED }; /* T, or the batch's n_rows */

enum hn_plan_code {
    HN_DO_ZERO,
    HN_DO_EMBED,
    HN_DO_NORM,
    HN_DO_NORM_BWD,
    HN_DO_LINEAR,
    HN_DO_LINEAR_BWD,
    HN_DO_DORA,
    HN_DO_DORA_BWD,
    HN_DO_DROPOUT,
    HN_DO_DROPOUT_BWD,
    HN_DO_ROPE,
    HN_DO_ROPE_BWD,
    HN_DO_ATTENTION,
    HN_DO_ATTENTION_BWD,
    HN_DO_ATTENTION_CACHED,
    HN_DO_GLU,
    HN_DO_GLU_BWD,
    HN_DO_COPY,
    HN_DO_GATHER,
    HN_DO_SCATTER,
    HN_DO_HEAD_LOSS,
    HN_DO_LINEAR_GRAD,
    HN_DO_NORM_GRAD,
    HN_DO_EMBED_GRAD,
    HN_DO_HEAD_GRAD,
};

/* Index of a tensor in its plan; HN_NONE where there is none. */
typedef int32_t hn_value;
enum { HN_NONE = -1 };

struct hn_plan_op {
    enum hn_plan_code code;
    int n;                        /* linears of a group */
    hn_value x, y;                /* main input and output */
    hn_value many[HN_LINEAR_MAX]; /* group outputs or their gradients; q, k, v */
    hn_value more[HN_LINEAR_MAX]; /* kept h of the group; dq, dk, dv */
    hn_value extra, extra2;       /* o, lse, gate… as the code says */
    const struct hn_weight *w;
    struct hn_linear lin[HN_LINEAR_MAX];
    float eps;
    int64_t layer;
    bool flag;                   /* add to y instead of replacing it */
    const struct hn_lora *lora;  /* DoRA */
    struct hn_param *dw, *dbias; /* trained weights, or NULL */
    const struct hn_rope *rope;
    struct hn_attention attention;
};

struct hn_plan_tensor {
    struct hn_tensor t;
    enum hn_rows rows;
    bool piece;          /* holds at most rows_max of the step's rows, from t.first_row on */
    hn_value base;       /* a piece of this tensor's own storage; HN_NONE: has storage */
    int32_t first, last; /* operations that name it; last = n_ops: read after the run */
    bool kept;           /* lives from the forward into the backward pass, for the report */
};

struct hn_plan {
    struct hn_plan_op *ops;
    size_t n_ops, cap_ops;
    struct hn_plan_tensor *tensors;
    size_t n_tensors, cap_tensors;
    struct hn_limits limits;
    int32_t backward_from; /* the first operation of the backward pass; n_ops when there is none */
    hn_value loss, hit, logits; /* what the caller reads, or HN_NONE */
    struct hn_kv *kv;
    size_t arena_size;
    size_t kept_size; /* bytes of tensors that live across the middle */
    bool failed;      /* out of memory while it was built: sticky */
};

/* ---- building ----------------------------------------------------------------------------------
 */

void hn_plan_init(struct hn_plan *p, const struct hn_limits *limits);
void hn_plan_release(struct hn_plan *p);
hn_value hn_plan_tensor(struct hn_plan *p, enum hn_rows rows, int64_t cols);
/* A step may take its rows a piece at a time where a whole tensor would be too large.  A piece is
 * rows [first, first + n) of them, fewer or none where the batch ends; an operation on pieces takes
 * pieces of the same rows alone. */
hn_value hn_plan_piece(struct hn_plan *p, enum hn_rows rows, int64_t first, int64_t n,
                       int64_t cols);
/* The same rows of a whole tensor, in place. */
hn_value hn_plan_view(struct hn_plan *p, hn_value base, int64_t first, int64_t n);
/* The caller will read it after the run. */
void hn_plan_output(struct hn_plan *p, hn_value v);
/* A fresh operation to fill in; NULL when the plan has failed (then there is nothing to do). */
struct hn_plan_op *hn_plan_add(struct hn_plan *p, enum hn_plan_code code);
/* The operations added from now on belong to the backward pass. */
void hn_plan_begin_backward(struct hn_plan *p);
/* Lifetimes and layout. */
HN_MUST_USE int hn_plan_finish(struct hn_plan *p, struct hone_err *err);

/* ---- running -----------------------------------------------------------------------------------
 */

/* Storage for one or more plans that never run at the same time: they share one arena. */
HN_MUST_USE int hn_plan_bind(struct hn_plan *const *plans, size_t n, const struct hn_backend *be,
                             struct hn_device *dev, void **arena, struct hone_err *err);

/* One step.  The batch must lie within the plan's limits; an operation whose tensors have no rows
 * in it is left out. */
HN_MUST_USE int hn_plan_run(struct hn_plan *p, const struct hn_backend *be, struct hn_device *dev,
                            const struct hn_batch *batch, struct hone_err *err);

#endif
