/* What the parts of the bundle share: the tensor list that every kind of file is reduced to. */
#ifndef HN_FORMAT_BUNDLE_IMPL_H
#define HN_FORMAT_BUNDLE_IMPL_H

#include "format/bundle.h"
#include "format/gguf_names.h"
#include "format/safetensors.h"

/* One tensor as stored, whatever the file.  Strings and data are borrowed. */
struct hn_stored {
    const char *name;   /* Hugging Face's */
    const char *stored; /* the file's */
    const char *type;
    const char *file;
    int n_dims;
    int64_t shape[HN_ST_MAX_DIMS]; /* outermost first */
    const unsigned char *data;
    size_t size;
    int layout;          /* enum hn_layout of a usable weight, or -1: only listed */
    enum hn_dtype dtype; /* safetensors only */
    int64_t rope_head;
    /* MLX: of a packed P.weight */
    int bits, group;
    const struct hn_stored *scales, *biases; /* bitsandbytes int8: scales alone */
    const struct hn_bnb4 *bnb4;              /* then shape is the matrix's, not the stored one */
    const char *refusal;                     /* why this weight cannot be used, or NULL */
    bool part; /* not a parameter: scales and biases of a packed weight, frequency tables */
};

struct hn_bundle {
    enum hn_bundle_kind kind;
    struct hn_arena arena;
    const char *path;
    const struct hn_json *config, *generation;
    struct hn_stored *tensors; /* [n] in file order */
    size_t n;
    const struct hn_stored **by_name; /* [n] sorted by Hugging Face name */
    struct hn_safetensors *shards;    /* [n_shards], or NULL */
    const char **shard_names;         /* [n_shards] */
    size_t n_shards;
    struct hn_gguf gguf;
    int32_t *eos; /* [n_eos] */
    size_t n_eos;
    int32_t bos;
    struct hn_bundle_info info;
};

/* Fill b (path and arena are set) from a directory or a file; on failure the caller closes b. */
HN_MUST_USE int hn_bundle_open_dir(struct hn_bundle *b, struct hone_err *err);
HN_MUST_USE int hn_bundle_open_gguf(struct hn_bundle *b, struct hone_err *err);

/* The tensor of this Hugging Face name, or NULL; works once by_name is set by hn_bundle_index. */
const struct hn_stored *hn_bundle_find(const struct hn_bundle *b, const char *name);
/* Sort by_name; a name that occurs twice is an error. */
HN_MUST_USE int hn_bundle_index(struct hn_bundle *b, struct hone_err *err);

/* MLX: pair packed weights with their scales and biases and settle bits and groups. */
HN_MUST_USE int hn_bundle_pair_affine(struct hn_bundle *b, const struct hn_json *quantization,
                                      struct hone_err *err);

/* bitsandbytes: find the weights by what lies beside them. */
HN_MUST_USE int hn_bundle_pair_bnb(struct hn_bundle *b, struct hone_err *err);

/* The config that a GGUF's metadata amount to, parsed into b->arena. */
HN_MUST_USE int hn_gguf_config(struct hn_bundle *b, struct hone_err *err);

/* Fill b->info from the tensors; false: no memory. */
HN_MUST_USE bool hn_bundle_describe(struct hn_bundle *b);

/* A formatted string in the arena, or NULL. */
HN_MUST_USE char *hn_arena_printf(struct hn_arena *a, const char *fmt, ...) HN_PRINTF(2, 3);

#endif
