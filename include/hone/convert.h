/* From one kind of model file to another, and from one adapter layout to another. */
#ifndef HONE_CONVERT_H
#define HONE_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hone/err.h"

enum hone_model_format {
    HONE_FORMAT_HF,   /* a Hugging Face directory: float weights in safetensors */
    HONE_FORMAT_MLX,  /* an MLX directory: the same, or quantised in MLX's affine groups */
    HONE_FORMAT_GGUF, /* one .gguf file */
};

enum hone_weight_type { /* AUTO: what the source calls for (docs/convert.md) */
                        HONE_TYPE_AUTO,
                        HONE_TYPE_F32,
                        HONE_TYPE_F16,
                        HONE_TYPE_BF16,
                        HONE_TYPE_Q4_0, /* GGUF only, as those below */
                        HONE_TYPE_Q4_1,
                        HONE_TYPE_Q5_0,
                        HONE_TYPE_Q5_1,
                        HONE_TYPE_Q8_0,
};

/* Strings are borrowed. */
struct hone_convert_options {
    const char *model;  /* a model directory or a .gguf file */
    const char *output; /* a directory, or the .gguf file; a missing or an empty one unless
                           overwrite is set */
    enum hone_model_format to;
    bool quantize;              /* MLX: quantise the linears and embeddings */
    bool dequantize;            /* MLX: none of them; HF is never quantised */
    int64_t q_bits;             /* 0: 4; else 2, 3, 4, 5, 6, 8 */
    int64_t q_group_size;       /* 0: 64; else 32, 64, 128 */
    enum hone_weight_type type; /* HF, MLX: F32, F16 or BF16 of what is not quantised, and of MLX's
                                   scales; GGUF: of the matrices */
    bool overwrite;          /* replace an output that is there: a file, or a model's directory */
    uint64_t max_shard_size; /* bytes of one safetensors file; 0: 5 GiB */
    int n_threads;           /* <= 0: all */
};
void hone_convert_defaults(struct hone_convert_options *o);

struct hone_convert_progress {
    uint64_t done, total; /* weights, counted in elements */
    const char *tensor;   /* the one at hand */
};
/* A non-zero result stops with HONE_INTERRUPTED; nothing is left of the output. */
typedef int hone_convert_fn(void *arg, const struct hone_convert_progress *progress);

struct hone_convert_report {
    uint64_t parameters;
    uint64_t source_size, output_size; /* bytes of the weight files */
    double bits_per_weight;            /* of the output */
    size_t matrices;                   /* weights with two dimensions, as all counted below */
    size_t kept;      /* values are those of the source, bit for bit: copied, or in another form */
    size_t rounded;   /* quantised weights whose codes stayed, and some scales were rounded */
    size_t quantized; /* encoded anew, from floats or from another quantisation */
    size_t narrowed;  /* floats in a type that does not hold all of them */
    char storage[96]; /* "affine 4-bit, groups of 64", "Q8_0", "bfloat16" */
    char **notes;     /* [n_notes] sentences: what was left out, or is not the same there */
    size_t n_notes;
};
void hone_convert_report_release(struct hone_convert_report *r);

/* Read one model, write another.  Tensors are streamed, so memory stays small; the output appears
 * under its name when it is whole, and only then.  report may be NULL. */
int hone_convert(const struct hone_convert_options *o, hone_convert_fn *on_progress, void *arg,
                 struct hone_convert_report *report, struct hone_err *err);

enum hone_adapter_layout { HONE_ADAPTER_BOTH, HONE_ADAPTER_MLX, HONE_ADAPTER_PEFT };

/* Write the adapter in path (a directory or a safetensors file, in mlx-lm's or PEFT's layout) to
 * the directory output, in this layout. */
int hone_convert_adapter(const char *path, const char *output, enum hone_adapter_layout to,
                         bool overwrite, struct hone_err *err);

#endif
