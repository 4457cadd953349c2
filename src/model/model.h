/* An opened model: its files, its numbers, its frozen weights on a device, and its adapter. */
#ifndef HN_MODEL_MODEL_H
#define HN_MODEL_MODEL_H

#include "backend/backend.h"
#include "format/adapter.h"
#include "format/bundle.h"
#include "hone/model.h"
#include "model/quantize.h"
#include "model/spec.h"

/* The frozen weights of one block; NULL where the model has none. */
struct hn_block {
    struct hn_weight *attn_norm;             /* [D] */
    struct hn_weight *ffn_norm;              /* [D] */
    struct hn_weight *q_norm;                /* [HD] */
    struct hn_weight *k_norm;                /* [HD] */
    struct hn_weight *w[HN_LINEAR_COUNT];    /* [out, in] */
    struct hn_weight *bias[HN_LINEAR_COUNT]; /* [out] */
};

/* A trainable tensor, its gradient and the optimizer's two moments; all but the parameter itself
 * are bound for training only.  They live in the arena of the adapter set. */
enum hn_adapter_part { HN_PART_PARAM, HN_PART_GRAD, HN_PART_M, HN_PART_V };
enum { HN_PART_COUNT = 4 };
struct hn_param {
    struct hn_tensor part[HN_PART_COUNT];
};

/* The low-rank part of one linear. */
struct hn_lora {
    bool present;
    int64_t rank;
    struct hn_param *a, *b;   /* [R, in], [out, R] */
    struct hn_param *mag;     /* [1, out] DoRA's magnitudes; NULL: LoRA */
    struct hn_tensor squares; /* [1, out] DoRA: the rows of W, squared and summed */
    struct hn_tensor norm;    /* [1, out] DoRA: the lengths of the rows of W + scale B A */
    struct hn_tensor factor;  /* [1, out] DoRA: mag/norm */
    float dropout;            /* in training */
    struct hn_adapter use;    /* what the linears of a training plan point to */
    struct hn_adapter still;  /* the same without dropout or gradients, for all other plans */
};

/* Full fine-tuning: what is trained of one block; NULL where it is frozen or not there. */
struct hn_block_params {
    struct hn_param *attn_norm, *ffn_norm, *q_norm, *k_norm;
    struct hn_param *w[HN_LINEAR_COUNT], *bias[HN_LINEAR_COUNT];
};

/* A weight of the model that another one stands in for. */
struct hn_replaced {
    struct hn_weight **slot, *own;
    bool tied; /* the head is the embedding and goes with it */
};

/* What the optimizer keeps beside each parameter: m and v in float32, as 8-bit AdamW does, m alone
 * (SGD with momentum), or nothing. */
enum hn_moments { HN_MOMENTS_TWO, HN_MOMENTS_8BIT, HN_MOMENTS_ONE, HN_MOMENTS_NONE };
/* A tensor with its parameter's shape gets that of its part (enum hn_adapter_part): a moment may be
 * stored otherwise, or not at all (0 rows).  None becomes larger. */
void hn_moment_shape(struct hn_tensor *t, enum hn_moments moments, int part);

/* Make t float32 [rows, cols] at *offset of an arena, and move that behind it. */
void hn_tensor_place(struct hn_tensor *t, int64_t rows, int64_t cols, size_t *offset);

struct hn_adapter_set {
    struct hn_lora *loras; /* [n_layers * HN_LINEAR_COUNT], block by block */
    int64_t n_layers;
    int64_t n_present, max_rank;
    struct hn_param *params; /* [n_params] in block order; of a linear A, B, then the magnitudes */
    size_t n_params;
    int64_t n_parameters; /* numbers in them */
    int64_t first_block;  /* lowest block with an adapter; n_layers when there is none */
    bool training, dora;
    /* full fine-tuning, full.h: */
    bool full;
    struct hn_block_params *blocks; /* [n_layers]; NULL unless weights are trained */
    struct hn_param *embed, *final_norm, *head;
    char (*names)[112]; /* [n_params] "model.norm.weight" */
    int64_t largest;    /* numbers in the largest param */
    struct hn_replaced *replaced;
    size_t n_replaced;
    int64_t mapped_change; /* of the model's mapped_bytes by what stands in for its weights */
    size_t arena_size;
    void *arena;
};

struct hone_model {
    struct hn_bundle *bundle;
    struct hn_bundle_info files;
    struct hn_spec spec;
    const struct hn_backend *backend;
    struct hn_device *dev;
    enum hn_kv_type kv_type;      /* of the caches made for it */
    struct hn_weight *embed;      /* [V, D] */
    struct hn_weight *final_norm; /* [D] */
    struct hn_weight *head;       /* [V, D]; embed itself when tied */
    struct hn_block *blocks;      /* [n_layers] */
    struct hn_rope rope;
    float *inv_freq;
    uint64_t private_bytes; /* weights repacked by the backend */
    uint64_t mapped_bytes;  /* weights read in place */
    uint64_t read_bytes;    /* weights that every token reads: all but an untied embedding */
    struct hn_quantized *quantized;        /* what of the base was quantised here; a list */
    struct hone_quantize_options quantize; /* as it was: none set when nothing was */
    int64_t saved_bytes;                   /* of weights, by that */
    char quantization[160], note[160];
    uint64_t touched_bytes; /* mapped pages that opening made resident, most of them weights */
    struct hn_adapter_set adapters;
    enum hn_moments moments; /* of an adapter that is made for training from now on */
    char *adapter_path;
    struct hn_adapter_file adapter_file; /* as loaded; zero when none or made here */
    char device_text[128];
};

/* Every id must name a row of the embedding: a tokenizer that is not the model's may give others.
 */
HN_MUST_USE int hn_tokens_check(const struct hone_model *m, const int32_t *ids, size_t n,
                                struct hone_err *err);

/* The shape of a cache for it. */
struct hn_kv_shape hn_model_kv_shape(const struct hone_model *m, int64_t n_slots, int64_t context);

/* What an adapter that is to be made looks like. */
struct hn_adapter_config {
    int64_t rank;
    double alpha, scale; /* scale > 0 wins over alpha */
    bool use_rslora, use_dora;
    bool full; /* no adapter: the weights themselves; of the rest num_layers alone counts */
    float dropout;
    const char *const *targets; /* names ("q_proj", "self_attn.q_proj"), globs, or "all-linear" */
    size_t n_targets;
    int64_t num_layers; /* the last N blocks; -1: all */
    uint64_t seed;
    bool mlx_start; /* A is what mlx-lm draws for this seed */
};

/* Make a fresh adapter: A uniform in ±1/sqrt(in) from the counter-based generator (key: seed;
 * counter: element, module), B zero, DoRA's magnitudes the lengths of W's rows.  A target that
 * matches no linear is an error that names it. */
HN_MUST_USE int hn_adapters_make(struct hone_model *m, const struct hn_adapter_config *c,
                                 struct hone_err *err);
/* Take the adapter of a file.  Every one of its modules must exist in the model with its shape;
 * with training, gradients and moments get storage too and dropout is what is given. */
HN_MUST_USE int hn_adapters_load(struct hone_model *m, const struct hn_adapter_file *f,
                                 bool training, float dropout, struct hone_err *err);
void hn_adapters_release(struct hone_model *m);

/* Make DoRA's norms and factors again: after every change of parameters that did not go through the
 * functions here (an optimizer's step).  Allocates nothing. */
void hn_adapters_refresh(struct hone_model *m);

/* The lora of a linear, or NULL. */
struct hn_lora *hn_adapters_get(const struct hone_model *m, int64_t block, enum hn_linear_id id);
/* "model.layers.3.self_attn.q_proj" */
void hn_linear_path(int64_t block, enum hn_linear_id id, char out[96]);

/* Parameters in host memory, float32, in the order of the set's params. */
HN_MUST_USE int hn_adapters_read(const struct hone_model *m, enum hn_adapter_part part, float *out,
                                 struct hone_err *err);
/* Numbers in a part; of moments in 8 bits, words that hn_adapters_read moves as they are. */
int64_t hn_adapters_count(const struct hone_model *m, enum hn_adapter_part part);

/* Write the adapter as a directory that serves mlx-lm and PEFT. */
HN_MUST_USE int hn_adapters_save(const struct hone_model *m, const char *dir,
                                 const char *base_model, double alpha, double dropout,
                                 bool use_rslora, int64_t num_layers, struct hone_err *err);

#endif
