/* Adapters on disk, in both layouts: mlx-lm's (adapters.safetensors: P.lora_a [in, R], P.lora_b [R,
 * out]) and PEFT's (adapter_model.safetensors: base_model.model.P.lora_A.weight [R, in],
 * .lora_B.weight [out, R]), with one adapter_config.json.  In memory there is one orientation,
 * PEFT's, in float32, and one number, scale:  y += scale * (x A^T) B^T.  DoRA adds a magnitude per
 * row of the weight: P.m [out], base_model.model.P.lora_magnitude_vector [out]. */
#ifndef HN_FORMAT_ADAPTER_H
#define HN_FORMAT_ADAPTER_H

#include "format/safetensors.h"

enum hn_adapter_layout { HN_ADAPTER_MLX, HN_ADAPTER_PEFT };

struct hn_adapter_module {
    const char *path; /* "model.layers.3.self_attn.q_proj" */
    int64_t rank, in, out;
    const float *a;         /* [R, in] */
    const float *b;         /* [out, R] */
    const float *magnitude; /* [out] the lengths of the rows (DoRA), or NULL */
    double scale;           /* the whole multiplier: alpha/R, alpha/sqrt(R), or mlx-lm's scale */
};

/* An adapter that was read.  Everything is owned by the struct. */
struct hn_adapter_file {
    struct hn_arena arena;
    enum hn_adapter_layout layout; /* of the weights that were read */
    const char *weights_path;      /* the file that was read */
    const char *base_model;        /* base_model_name_or_path or mlx-lm's "model"; NULL: not said */
    struct hn_adapter_module *modules; /* [n] in model order: by block, then as in the block */
    size_t n;
    bool full;                     /* no modules: whole weights under Hugging Face's names, in: */
    struct hn_safetensors weights; /* the opened file, when full */
    int64_t rank;                  /* the largest */
    double alpha;                  /* lora_alpha, or scale * rank */
    double dropout;                /* lora_dropout */
    bool use_rslora;
    bool use_dora;                /* every module has a magnitude; else none has */
    int64_t num_layers;           /* the last N blocks, as mlx-lm counts; -1: all, or not said */
    const struct hn_json *config; /* adapter_config.json as read, or NULL */
};

/* Is path a directory that holds an adapter and no model (adapter_config.json, no config.json)? */
bool hn_adapter_is_dir(const char *path);

/* path: a directory, or a .safetensors file (its adapter_config.json is looked for beside it; a
 * PEFT file without one is an error, for then the scale is not known).  A directory that holds both
 * weight files must hold the same values in both.  What hone cannot apply faithfully
 * (embeddings, modules_to_save, biases, starts that changed the base) is refused by name.
 */
HN_MUST_USE int hn_adapter_read(struct hn_adapter_file *out, const char *path,
                                struct hone_err *err);
void hn_adapter_release(struct hn_adapter_file *f);

/* The base model that an adapter names, without reading its weights: a copy in buf. HONE_NOT_FOUND
 * when it names none. */
HN_MUST_USE int hn_adapter_base_model(const char *path, struct hn_buf *buf, struct hone_err *err);

/* What to write.  All borrowed. */
struct hn_adapter_spec {
    const struct hn_adapter_module *modules; /* [n] */
    size_t n;
    const char *base_model; /* path or ORG/NAME; NULL: null */
    double alpha;           /* lora_alpha of the modules whose rank is the most common one */
    double dropout;
    bool use_rslora, use_dora;
    int64_t model_layers; /* blocks of the base model, L; 0: not known */
    int64_t num_layers;   /* then: the last N blocks that hold all modules, as mlx-lm counts; <= 0:
                             not known either */
    bool no_mlx, no_peft; /* leave this system's weights out */
    const struct hn_json *config; /* keys of an adapter that was read and that hone does not know
                                     are carried over from here; NULL: none */
};

/* Write one directory that loads in mlx-lm and in PEFT: adapters.safetensors,
 * adapter_model.safetensors, adapter_config.json, in this order, each atomically.  The directory is
 * made when it is missing.  Unequal ranks are padded with zeros for mlx-lm, and what is left of
 * unequal scales is folded into lora_b there; PEFT gets rank_pattern and alpha_pattern. */
HN_MUST_USE int hn_adapter_write(const char *dir, const struct hn_adapter_spec *spec,
                                 struct hone_err *err);

/* mlx-lm's fine_tune_type "full": adapters.safetensors in dir, begun; the caller adds the data of
 * the entries and commits.  The directory is made when it is missing. */
HN_MUST_USE int hn_adapter_write_full(struct hn_st_writer *w, const char *dir,
                                      const struct hn_st_entry *entries, size_t n,
                                      struct hone_err *err);
/* adapter_config.json beside it.  num_layers: the last N blocks; <= 0: everything. */
HN_MUST_USE int hn_adapter_write_full_config(const char *dir, const char *base_model,
                                             int64_t num_layers, struct hone_err *err);

#endif
