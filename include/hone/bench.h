/* How fast this machine is, and how near to its limits hone comes on a model. */
#ifndef HONE_BENCH_H
#define HONE_BENCH_H

#include "hone/model.h"
#include "hone/tokenizer.h"
#include "hone/train.h"

struct hone_bench_options {
    struct hone_device_options device;
    int64_t prompt_tokens;           /* 512 */
    int64_t generation_tokens;       /* 64 */
    int64_t train_tokens;            /* 512: one sequence of this length; 0: training is left out */
    int64_t trials;                  /* 3: the best counts, and the median is given too */
    struct hone_train_options train; /* the adapter whose training is measured */
};
void hone_bench_defaults(struct hone_bench_options *o);

struct hone_bench_limits {
    double bytes_per_second; /* measured: reading memory with all threads */
    double
        flops_per_second; /* measured: float32 multiply-adds with all threads, 2 per multiply-add */
};

struct hone_bench_row {
    const char *name;                 /* "prefill", "decode", "train" */
    double tokens_per_second, median; /* best and median of the trials */
    double bytes_per_token,
        flops_per_token; /* what the arithmetic has to read and do; 0: not the limit */
    double fraction;     /* of this machine's limit, 0..1; 0: unknown */
    const char *limit;   /* "memory" or "arithmetic" */
    uint64_t peak_memory;
};
struct hone_bench_result {
    struct hone_bench_limits limits;
    struct hone_bench_row rows[3];
    size_t n_rows;
};

/* Called before each measurement with a sentence for the user; a non-zero result stops. */
typedef int hone_bench_fn(void *arg, const char *text);

int hone_bench(const char *model_path, const struct hone_bench_options *o, hone_bench_fn *on_note,
               void *arg, struct hone_bench_result *out, struct hone_err *err);

#endif
