/* A bundle: one opened model, whatever its files are.  A Hugging Face directory, an MLX (quantised)
 * directory and a GGUF file all look the same from here: a config in Hugging Face's dialect, and
 * weights under Hugging Face's names, in Hugging Face's row order.
 *
 * Weights are borrowed from mapped files; opening reads headers only.  Immutable once open, so it
 * may be shared between threads. */
#ifndef HN_FORMAT_BUNDLE_H
#define HN_FORMAT_BUNDLE_H

#include "base/json.h"
#include "format/gguf.h"
#include "quant/matrix.h"

struct hn_bundle;

enum hn_bundle_kind {
    HN_BUNDLE_HF,   /* config.json + safetensors */
    HN_BUNDLE_MLX,  /* the same, quantised by MLX */
    HN_BUNDLE_GGUF, /* one .gguf file */
};

/* path: a model directory, or a .gguf file.  An adapter directory is refused with a hint (test with
 * hn_adapter_is_dir first). */
HN_MUST_USE int hn_bundle_open(struct hn_bundle **out, const char *path, struct hone_err *err);
void hn_bundle_close(struct hn_bundle **b);

/* config.json as it stands (both dialects of transformers are left to the reader), or, for GGUF, an
 * object made from the metadata with the keys
 *     model_type, architectures, hidden_size, num_hidden_layers, num_attention_heads,
 *     num_key_value_heads, head_dim, intermediate_size, vocab_size, max_position_embeddings,
 *     rms_norm_eps, rope_theta, rope_scaling (null, or {"rope_type": "linear"|"yarn"|…, "factor",
 * …}), sliding_window (or null), tie_word_embeddings, attention_bias, mlp_bias, bos_token_id,
 *     eos_token_id.
 * For a GGUF with per-pair frequency factors (Llama 3.1 and later), rope_scaling is
 * {"rope_type": "factors"} and hn_bundle_vector(b, "rope_freqs.weight") gives the [HD/2] divisors
 * of the plain inverse frequencies. */
const struct hn_json *hn_bundle_config(const struct hn_bundle *b);

/* Ids that end a generation: generation_config.json's eos_token_id (one or a list), else
 * config.json's, else the GGUF's (end of text, then end of turn).  Returns their number; *ids is
 * borrowed. */
size_t hn_bundle_eos(const struct hn_bundle *b, const int32_t **ids);
int32_t hn_bundle_bos(const struct hn_bundle *b); /* -1: none */

/* Is there such a weight?  name is Hugging Face's full name:
 * "model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "lm_head.weight",
 * "model.layers.0.self_attn.q_proj.bias"…  A directory whose names carry another prefix
 * ("language_model.model.…", or none at all as saved from the bare decoder) is found under these
 * names too. */
bool hn_bundle_has(const struct hn_bundle *b, const char *name);

/* Is the embedding the head too?  said: tie_word_embeddings, or -1 where nothing says; then it is
 * when there is no head.  In a Hugging Face directory, a head that is there and has other values
 * than the embedding is the head whatever is said, as transformers 5 has it (transformers 4 drops
 * it). */
bool hn_bundle_tied(const struct hn_bundle *b, int said);

/* The 2-D weight of this name, plain or quantised.  HONE_NOT_FOUND when there is none; HONE_FAILED
 * when it is not a matrix or its type is not supported: the message names the file, the tensor and
 * the type.  *out is untouched on failure. */
HN_MUST_USE int hn_bundle_matrix(const struct hn_bundle *b, const char *name, struct hn_matrix *out,
                                 struct hone_err *err);
/* The 1-D weight of this name as a matrix of one row.  A bias of a llama GGUF's q or k is permuted
 * as its rows are: then *out is [n, 1], with rope_head set; decode it with hn_bundle_decode_vector.
 */
HN_MUST_USE int hn_bundle_vector(const struct hn_bundle *b, const char *name, struct hn_matrix *out,
                                 struct hone_err *err);
/* out[n] = the 1-D weight of this name as float32 in Hugging Face order.  Fails when its length is
 * not n. */
HN_MUST_USE int hn_bundle_decode_vector(const struct hn_bundle *b, const char *name, float *out,
                                        int64_t n, struct hone_err *err);

/* Is any matrix stored in another form than plain floats? */
bool hn_bundle_is_quantized(const struct hn_bundle *b);

/* All tensors as stored, for listings (scales and biases included): in file order.  bitsandbytes'
 * 4-bit codes are listed with the matrix's shape, and NF4 or FP4 as their type. */
struct hn_bundle_tensor {
    const char *name;   /* Hugging Face's name where there is one */
    const char *stored; /* the name in the file */
    const char *type;   /* "Q4_1", "BF16", "U32"… */
    const char *file;   /* name of the file that holds it */
    int n_dims;
    int64_t shape[8]; /* outermost first */
    uint64_t size;    /* bytes */
};
size_t hn_bundle_n_tensors(const struct hn_bundle *b);
void hn_bundle_tensor(const struct hn_bundle *b, size_t i, struct hn_bundle_tensor *out);

/* Strings are borrowed from the bundle. */
struct hn_bundle_info {
    enum hn_bundle_kind kind;
    const char *path;           /* as given, without a trailing slash */
    const char *tokenizer_path; /* what hone_tokenizer_open takes: the same directory or file */
    const char *format;         /* "GGUF v3", "safetensors", "MLX" */
    const char *quantization; /* "Q4_1", "affine 4-bit, groups of 64", "none (bfloat16)"; a mixture
                                 is described by what most weights are, then the rest */
    int64_t n_parameters;     /* elements, quantised ones counted once each */
    int64_t weight_bytes;     /* bytes of all tensors, scales included */
    int64_t file_bytes;       /* of the weight files */
    size_t n_files;
};
void hn_bundle_info(const struct hn_bundle *b, struct hn_bundle_info *out);

/* The GGUF under the bundle (for its vocabulary), or NULL. */
const struct hn_gguf *hn_bundle_gguf(const struct hn_bundle *b);

#endif
