/* The benchmark's parts: bench.c times, bench_classes.c compares the classes of arithmetic. */
#ifndef HN_EVAL_BENCH_H
#define HN_EVAL_BENCH_H

#include "hone/bench.h"
#include "infer/session.h"

enum { HN_BENCH_CONTEXT = 16 }; /* tokens before those whose decoding is timed */

struct hn_bench {
    const char *path;
    struct hone_model *m;
    struct hone_tokenizer *tok; /* NULL: the model has none */
    const struct hone_bench_options *o;
    struct hone_bench_result *out;
    hone_bench_fn *on_note;
    void *arg;
    int32_t *ids;  /* random tokens, as many as the longest of prompt and training row */
    double *rates; /* [trials] */
    int64_t n_rates;
    bool started;                 /* a first trial was made */
    double spent;                 /* seconds on the present trials */
    double shared, shared_before; /* seconds in which all threads were at work, ever and before
                                     this trial */
    double alone, timed;          /* seconds of the trials that count: of one thread, and all */
    struct hone_err *err;
};

HN_MUST_USE int hn_bench_tell(const struct hn_bench *b, const char *text);
/* Tokens per second of the prompt and of one sequence, for any model with b->m's vocabulary. */
HN_MUST_USE int hn_bench_speeds(struct hn_bench *b, struct hone_model *m, double *prefill,
                                double *decode);
/* Fill b->out->classes. */
HN_MUST_USE int hn_bench_classes(struct hn_bench *b);

#endif
