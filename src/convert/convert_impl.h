/* What the parts of the converter share. */
#ifndef HN_CONVERT_CONVERT_IMPL_H
#define HN_CONVERT_CONVERT_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/pool.h"
#include "convert/convert_run.h"
#include "quant/encode_row.h"

enum hn_tensor_way {
    HN_WAY_COPY,      /* rows as they are stored */
    HN_WAY_TRANSCODE, /* codes as they are, scales in another form */
    HN_WAY_ENCODE,    /* through float32 */
};

/* One tensor on its way.  Strings are in the converter's arena. */
struct hn_tensor {
    const char *name;      /* "model.layers.0.self_attn.q_proj.weight" */
    const char *module;    /* the same without ".weight" or ".bias" */
    bool is_matrix;        /* else a vector [n], seen here as [n, 1] */
    struct hn_matrix from; /* as the source stores it */
    const float *values;   /* a vector that is made here (rotary factors): from is unused */
    struct hn_storage to;
    enum hn_tensor_way way;
    bool patched;
    int64_t
        rope_head; /* the target stores rows interleaved in heads of this size; 0: it does not */
    int64_t n_inexact; /* groups whose scale or bias was rounded */
};

struct hn_converter {
    const struct hone_convert_options *o;
    const struct hn_convert_patch *patch; /* or NULL */
    struct hn_bundle *bundle;
    struct hn_spec spec;
    bool tied;
    struct hn_arena arena;
    struct hn_tensor *tensors; /* [n] in model order */
    size_t n;
    enum hn_dtype dtype; /* of floats in the output: vectors of a directory, scales */
    bool keep_dtypes;    /* no type was asked for: plain tensors keep their own */
    struct hn_pool *pool;
    hone_convert_fn *on_progress;
    void *arg;
    uint64_t done, total; /* elements */
    struct hone_convert_report report;
    struct hone_err *err;
};

/* Add a sentence to the report. */
HN_MUST_USE int hn_converter_note(struct hn_converter *c, const char *fmt, ...) HN_PRINTF(2, 3);

/* List the model's tensors by its specification; what else the source holds is noted. */
HN_MUST_USE int hn_converter_list(struct hn_converter *c);
/* Settle how each is stored: to, way and rope_head. */
HN_MUST_USE int hn_converter_plan(struct hn_converter *c);

/* Where the bytes of a tensor go, in order: all rows, then (affine) all scales, then all biases. */
typedef void hn_sink_fn(void *arg, const void *p, size_t n);
/* Encode one tensor into the sink, rows in the target's order. */
HN_MUST_USE int hn_tensor_stream(struct hn_converter *c, struct hn_tensor *t, hn_sink_fn *sink,
                                 void *arg);
/* Bytes of its rows (scales and biases not counted), and of its scales. */
size_t hn_tensor_size(const struct hn_tensor *t);
size_t hn_tensor_scales_size(const struct hn_tensor *t);

/* Write the output under the temporary path: a directory that exists, or a file. */
HN_MUST_USE int hn_converter_write_dir(struct hn_converter *c, const char *dir);
HN_MUST_USE int hn_converter_write_gguf(struct hn_converter *c, const char *path);

/* config.json of a directory, generation_config.json, and the tokenizer's files. */
HN_MUST_USE int hn_converter_write_config(struct hn_converter *c, const char *dir);
HN_MUST_USE int hn_converter_write_tokenizer(struct hn_converter *c, const char *dir);

/* tokenizer.json, tokenizer_config.json and generation_config.json from a GGUF's vocabulary. */
HN_MUST_USE int hn_converter_unpack_vocabulary(struct hn_converter *c, const char *dir);

/* The dtype's name in config.json: "bfloat16". */
const char *hn_dtype_torch_name(enum hn_dtype t);

#endif
