/* What a model is, read from its configuration: the family's table row and the numbers.  Both
 * dialects of config.json are understood (transformers 4: rope_theta and rope_scaling; transformers
 * 5: rope_parameters), and the one that the GGUF reader makes up. */
#ifndef HN_MODEL_SPEC_H
#define HN_MODEL_SPEC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

/* The linears of a block, in the order in which they run. */
enum hn_linear_id {
    HN_LINEAR_Q,
    HN_LINEAR_K,
    HN_LINEAR_V,
    HN_LINEAR_O,
    HN_LINEAR_GATE,
    HN_LINEAR_UP,
    HN_LINEAR_DOWN,
    HN_LINEAR_COUNT
};

/* Which families have a sliding window: none of llama's kind, whatever the configuration says;
 * mistral's always, in every block (layer_types apart); qwen's with use_sliding_window alone, from
 * max_window_layers on. */
enum hn_window_rule { HN_WINDOW_NEVER, HN_WINDOW_ALWAYS, HN_WINDOW_ASKED };

struct hn_family {
    const char *name;          /* model_type in config.json */
    int64_t default_head_size; /* where head_dim is missing; 0: hidden_size / heads */
    bool qkv_bias;             /* q, k, v must have biases */
    bool attention_bias;       /* the key of this name gives q, k, v, o biases */
    bool mlp_bias;             /* the key of this name gives gate, up, down biases */
    bool qk_norm;              /* q and k are normed per head */
    enum hn_window_rule window;
};

enum hn_rope_kind { HN_ROPE_DEFAULT, HN_ROPE_LINEAR, HN_ROPE_LLAMA3, HN_ROPE_YARN };

struct hn_rope_spec {
    enum hn_rope_kind kind;
    double theta, factor;
    double low_freq_factor, high_freq_factor;        /* llama3 */
    double attention_factor, mscale, mscale_all_dim; /* yarn; 0: not given */
    double beta_fast, beta_slow;
    bool truncate;
    int64_t original_context;
};

enum { HN_MAX_EOS = 16, HN_MAX_LAYERS = 1024 };

struct hn_spec {
    const struct hn_family *family;
    int64_t n_layers, d_model, n_heads, n_kv_heads, head_size, d_ff, vocab_size, context;
    int64_t window;              /* 0: none */
    bool sliding[HN_MAX_LAYERS]; /* blocks to which the window applies */
    bool bias[HN_LINEAR_COUNT];  /* linears that have a bias; others in the files are no part of the
                                    model, as transformers has it */
    double norm_eps;
    struct hn_rope_spec rope;
    char rope_text[48];      /* "none", "llama3 x32" */
    int tied;                /* 1 yes, 0 no, -1 the configuration does not say */
    int32_t bos;             /* -1: none */
    int32_t eos[HN_MAX_EOS]; /* of an opened model: what ends an answer (hn_bundle_eos) */
    size_t n_eos;
};

/* config: the model's configuration object.  Messages name keys; the caller prefixes the path. */
HN_MUST_USE int hn_spec_read(const struct hn_json *config, struct hn_spec *out,
                             struct hone_err *err);

/* The object with the rotary settings: rope_scaling where it is there and not empty, as
 * transformers 5 has it, else rope_parameters; NULL: neither.  A theta that it lacks is the top
 * level's. */
const struct hn_json *hn_spec_rope(const struct hn_json *config);

/* "self_attn.q_proj" and its width in and out. */
const char *hn_linear_name(enum hn_linear_id id);
int64_t hn_linear_in(const struct hn_spec *s, enum hn_linear_id id);
int64_t hn_linear_out(const struct hn_spec *s, enum hn_linear_id id);

/* Rotary frequencies: inv_freq [head_size/2]; factors (may be NULL) divide them one by one, as a
 * GGUF's rope_freqs.weight does.  Returns the magnitude of cos and sin. */
float hn_rope_frequencies(const struct hn_spec *s, const float *factors, float *inv_freq);

#endif
