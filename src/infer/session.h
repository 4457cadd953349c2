/* A model ready to write: a cache of a few sequences, and two planned steps (a chunk of a prompt;
 * one token of each sequence).  A step allocates nothing. */
#ifndef HN_INFER_SESSION_H
#define HN_INFER_SESSION_H

#include "model/batch.h"
#include "model/decoder.h"

enum { HN_PREFILL_CHUNK = 512, HN_MAX_SLOTS = 64 };

struct hn_session {
    struct hone_model *model;   /* borrowed */
    int64_t n_slots, context;   /* sequences, tokens of each */
    int32_t past[HN_MAX_SLOTS]; /* tokens cached per slot */
    struct hn_kv *kv;
    struct hn_plan prefill, decode;
    void *arena;
    struct hn_batch_rows batch;
    float *logits; /* [n_slots, V] of the last step */
};

/* Slots of up to context tokens each; n_slots <= HN_MAX_SLOTS. */
HN_MUST_USE int hn_session_open(struct hn_session *s, struct hone_model *m, int64_t n_slots,
                                int64_t context, struct hone_err *err);
void hn_session_close(struct hn_session *s);
void hn_session_reset(struct hn_session *s, int64_t slot); /* forget what the slot holds */
/* Forget all but the first n tokens of what the slot holds. */
void hn_session_cut(struct hn_session *s, int64_t slot, int64_t n);

/* Append ids[n] to a slot, in chunks; *logits [V] (borrowed until the next step) are those after
 * the last.  More tokens than the context holds are an error. */
HN_MUST_USE int hn_session_prefill(struct hn_session *s, int64_t slot, const int32_t *ids,
                                   int64_t n, const float **logits, struct hone_err *err);
/* Append one token to each of n different slots; *logits is [n, V], in the order given. */
HN_MUST_USE int hn_session_step(struct hn_session *s, const int32_t *slots, const int32_t *ids,
                                int64_t n, const float **logits, struct hone_err *err);

/* The plans alone, to know their memory: released by the caller. */
HN_MUST_USE int hn_session_plans(const struct hone_model *m, int64_t n_slots, int64_t context,
                                 struct hn_kv *kv, struct hn_plan *prefill, struct hn_plan *decode,
                                 struct hone_err *err);

#endif
