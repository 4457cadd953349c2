/* An opened model: its files, its numbers, its frozen weights on a device, and its adapter. */
#ifndef HN_MODEL_MODEL_H
#define HN_MODEL_MODEL_H

#include "backend/backend.h"
#include "format/adapter.h"
#include "format/bundle.h"
#include "hone/model.h"
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

/* The trainable part of one linear.  Tensors live in the adapter's own arena. */
struct hn_lora {
    bool present;
    int64_t rank;
    struct hn_tensor a, b;   /* [R, in], [out, R] */
    struct hn_tensor da, db; /* gradients; bound for training only, as are the moments */
    struct hn_tensor ma, mb, va, vb;
    struct hn_adapter use; /* what the linears of a plan point to */
};

struct hn_adapter_set {
    struct hn_lora *loras; /* [n_layers * HN_LINEAR_COUNT], block by block */
    int64_t n_layers;
    int64_t n_present, n_parameters, max_rank;
    int64_t first_block; /* lowest block with an adapter; n_layers when there is none */
    bool training;
    size_t arena_size;
    void *arena;
};

struct hone_model {
    struct hn_bundle *bundle;
    struct hn_bundle_info files;
    struct hn_spec spec;
    const struct hn_backend *backend;
    struct hn_device *dev;
    struct hn_weight *embed;      /* [V, D] */
    struct hn_weight *final_norm; /* [D] */
    struct hn_weight *head;       /* [V, D]; embed itself when tied */
    struct hn_block *blocks;      /* [n_layers] */
    struct hn_rope rope;
    float *inv_freq;
    uint64_t private_bytes; /* weights repacked by the backend */
    uint64_t mapped_bytes;  /* weights read in place */
    uint64_t read_bytes;    /* weights that every token reads: all but an untied embedding */
    uint64_t touched_bytes; /* mapped pages that opening made resident, most of them weights */
    struct hn_adapter_set adapters;
    char *adapter_path;
    struct hn_adapter_file adapter_file; /* as loaded; zero when none or made here */
    char device_text[128];
};

/* Every id must name a row of the embedding: a tokenizer that is not the model's may give others.
 */
HN_MUST_USE int hn_tokens_check(const struct hone_model *m, const int32_t *ids, size_t n,
                                struct hone_err *err);

/* What an adapter that is to be made looks like. */
struct hn_adapter_config {
    int64_t rank;
    double alpha, scale; /* scale > 0 wins over alpha */
    bool use_rslora;
    float dropout;
    const char *const *targets; /* names ("q_proj", "self_attn.q_proj"), globs, or "all-linear" */
    size_t n_targets;
    int64_t num_layers; /* the last N blocks; -1: all */
    uint64_t seed;
};

/* Make a fresh adapter: A uniform in ±1/sqrt(in) from the counter-based generator (key: seed;
 * counter: element, module), B zero.  A target that matches no linear is an error that names it. */
HN_MUST_USE int hn_adapters_make(struct hone_model *m, const struct hn_adapter_config *c,
                                 struct hone_err *err);
/* Take the adapter of a file.  Every one of its modules must exist in the model with its shape;
 * with training, gradients and moments get storage too and dropout is what is given. */
HN_MUST_USE int hn_adapters_load(struct hone_model *m, const struct hn_adapter_file *f,
                                 bool training, float dropout, struct hone_err *err);
void hn_adapters_release(struct hone_model *m);

/* The lora of a linear, or NULL. */
struct hn_lora *hn_adapters_get(const struct hone_model *m, int64_t block, enum hn_linear_id id);
/* "model.layers.3.self_attn.q_proj" */
void hn_linear_path(int64_t block, enum hn_linear_id id, char out[96]);

/* Parameters in host memory, PEFT's orientation, float32: all of them in block order, A before B.
 */
enum hn_adapter_part { HN_PART_PARAM, HN_PART_GRAD, HN_PART_M, HN_PART_V };
HN_MUST_USE int hn_adapters_read(const struct hone_model *m, enum hn_adapter_part part, float *out,
                                 struct hone_err *err);
void hn_adapters_write(struct hone_model *m, enum hn_adapter_part part, const float *in);

/* Pointers to every trainable tensor of a part, in the same order; list [2 * n_present]. */
void hn_adapters_list(struct hone_model *m, enum hn_adapter_part part, struct hn_tensor **list);

/* Write the adapter as a directory that serves mlx-lm and PEFT. */
HN_MUST_USE int hn_adapters_save(const struct hone_model *m, const char *dir,
                                 const char *base_model, double alpha, double dropout,
                                 bool use_rslora, int64_t num_layers, struct hone_err *err);

#endif
