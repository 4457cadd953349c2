/* What the parts of the adapter reader share. */
#ifndef HN_FORMAT_ADAPTER_IMPL_H
#define HN_FORMAT_ADAPTER_IMPL_H

#include "format/adapter.h"
#include "format/safetensors.h"

/* Fill out's modules from the opened weights, in mlx-lm's or in PEFT's layout; out->config is set.
 * The tensors are copied into out->arena.  Messages begin with the weights' path. */
HN_MUST_USE int hn_adapter_from_mlx(struct hn_adapter_file *out, const struct hn_safetensors *st,
                                    struct hone_err *err);
HN_MUST_USE int hn_adapter_from_peft(struct hn_adapter_file *out, const struct hn_safetensors *st,
                                     struct hone_err *err);

/* The A and B tensors of one module, before they are copied. */
struct hn_adapter_pair {
    const char *path;    /* the module's, in the arena */
    const char *written; /* the module's as in the file, without any "base_model.model." */
    const struct hn_st_tensor *a, *b;
    const struct hn_st_tensor *m; /* DoRA's magnitudes, or NULL */
};
struct hn_adapter_pairs {
    struct hn_adapter_pair *items; /* hn_free */
    size_t n, cap;
};
/* The pair of the module written as the first n bytes of module, made when it is new. */
struct hn_adapter_pair *hn_adapter_pair_of(struct hn_adapter_pairs *pairs, struct hn_arena *arena,
                                           const char *module, size_t n);

/* Make out's modules of the pairs, in their order, checked and copied as A [R, in], B [out, R],
 * magnitude [out] (of all or of none) in float32; transposed says that the file has [in, R],
 * [R, out].  The scales are the caller's to set. */
HN_MUST_USE int hn_adapter_take(struct hn_adapter_file *out, const struct hn_adapter_pairs *pairs,
                                bool transposed, struct hone_err *err);

/* Put the modules in model order. */
void hn_adapter_sort(struct hn_adapter_module *modules, size_t n);
/* The block of "…layers.N.…", or -1; *rest is what follows it ("self_attn.q_proj"), or the path. */
int64_t hn_adapter_block(const char *path, const char **rest);

#endif
