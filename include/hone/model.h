/* Models: opening, describing, planning memory, and adapters. */
#ifndef HONE_MODEL_H
#define HONE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hone/err.h"

struct hone_model; /* an opened base model with, at most, one adapter; used by one thread */

enum hone_compute { HONE_EXACT, HONE_BF16, HONE_INT8 };

/* What the keys and values of generation are kept in; they are computed with in float32.  Q8_0:
 * 8-bit integers with a float32 scale for each 32. */
enum hone_kv_type { HONE_KV_F32, HONE_KV_F16, HONE_KV_Q8_0 };

/* bitsandbytes' quantisation of a base whose files hold none, made while it is opened: the same
 * codes and scales as BitsAndBytesConfig of the same names gives, of the linear layers that
 * transformers would choose.  A base that is quantised already is left alone. */
enum hone_bnb_type { HONE_NF4, HONE_FP4 };
struct hone_quantize_options {
    bool load_in_4bit, load_in_8bit;
    enum hone_bnb_type bnb_4bit_quant_type;
    bool bnb_4bit_use_double_quant;
    const char *const *llm_int8_skip_modules; /* NULL: lm_head */
    size_t n_llm_int8_skip_modules;
};

struct hone_device_options {
    const char *backend; /* NULL or "auto": the best one built in; "cpu" */
    int n_threads;       /* <= 0: all */
    const char
        *cpu_level; /* NULL: the best the processor has; "c", "avx2", "avx512", "amx", "neon" */
    enum hone_compute compute;
    enum hone_kv_type kv_type; /* the command line asks for float16 */
    struct hone_quantize_options quantize;
};

/* path: a model directory (Hugging Face or MLX layout), a .gguf file, or an adapter directory,
 * whose own base model is opened and the adapter applied.  Weights are mapped, not read. options
 * may be NULL.  The tokenizer is opened separately, from hone_model_tokenizer_path. */
int hone_model_open(struct hone_model **out, const char *path,
                    const struct hone_device_options *options, struct hone_err *err);
void hone_model_close(struct hone_model **model);

/* The base model that an adapter directory names, as it stands there (a path or ORG/NAME), freed
 * with hone_free; HONE_NOT_FOUND when path is not an adapter directory or names none. */
int hone_adapter_base_model(const char *path, char **out, struct hone_err *err);

/* Apply the adapter in this directory or safetensors file (mlx-lm or PEFT layout). */
int hone_model_load_adapter(struct hone_model *model, const char *path, struct hone_err *err);

struct hone_model_info {
    const char *path;           /* of the base model; borrowed, as all strings here */
    const char *adapter_path;   /* NULL: none */
    const char *tokenizer_path; /* what hone_tokenizer_open takes */
    const char *family;         /* "llama", "mistral", "qwen2"… */
    const char *format;         /* "GGUF v3", "safetensors", "MLX" */
    const char *quantization;   /* "Q4_1", "affine 4-bit, groups of 64", "none (bfloat16)"… */
    const char *device;         /* "cpu, 2 threads, avx512" */
    const char *note;           /* NULL, or a sentence on an option that changed nothing */
    int64_t n_parameters, weight_bytes, file_bytes;
    double bits_per_weight;
    int64_t n_layers, d_model, n_heads, n_kv_heads, head_size, d_ff, vocab_size, context_length;
    int64_t window; /* sliding attention window; 0: none */
    double rope_theta, norm_eps;
    const char *rope_scaling; /* "none", "llama3 x8", "linear x2"… */
    bool tied_embeddings, qk_norm, attention_bias;
    size_t n_eos;
    const int32_t *eos;   /* [n_eos] ids that end a generation */
    int32_t bos;          /* -1: none */
    int64_t adapter_rank; /* 0: no adapter; the largest, when they differ */
    int64_t adapter_parameters;
};
void hone_model_info(const struct hone_model *model, struct hone_model_info *out);

/* What the backward pass makes again instead of keeping it; each takes less memory and more time
 * than the one before (docs/memory.md has measurements). */
enum hone_checkpointing {
    HONE_CHECKPOINT_AUTO, /* the first that fits */
    HONE_CHECKPOINT_NONE,
    HONE_CHECKPOINT_FFN,      /* the feed-forward half of each block */
    HONE_CHECKPOINT_BLOCKS,   /* blocks, from their inputs */
    HONE_CHECKPOINT_SEGMENTS, /* segments of several blocks, then their blocks */
};

/* Where the memory of a run goes, in bytes; total is what the process's high-water mark will be. */
struct hone_memory_plan {
    uint64_t process;  /* program, libraries, tokenizer and data index */
    uint64_t weights;  /* mapped pages of the model file */
    uint64_t repacked; /* private copies of weights in a layout that computes faster */
    uint64_t adapter;  /* parameters */
    uint64_t gradients, optimizer;
    uint64_t kept;    /* activations kept from the forward to the backward pass */
    uint64_t working; /* activations that live inside a block, scratch of kernels */
    uint64_t cache;   /* keys and values of generation */
    uint64_t total;
    enum hone_checkpointing checkpointing; /* of training; AUTO: no training */
    int64_t segment;    /* blocks of a segment, 0 when none are recomputed; FFN: blocks whose
                           feed-forward half is recomputed, 0 for all */
    int64_t max_tokens; /* of one step: the bound that was planned for */
};

#endif
