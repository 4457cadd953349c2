/* What a backend does: one const table of functions per engine.  The model layer plans a step as a
 * list of these operations and runs it; nothing above knows which engine is under it.
 *
 * Tensors are opaque handles.  An operation replaces the contents of its outputs and promises
 * nothing about storage; outputs never alias inputs unless the operation says "in place".  An
 * operation may only queue work: failures (a lost device, memory) are sticky inside the device and
 * come out of eval, the barrier.  Reading a tensor back is a barrier too.  One thread drives a
 * device; several devices may live in one process.
 *
 * Letters: T tokens of the batch (all sequences laid end to end), B sequences, D model width,
 * H query heads, HK key/value heads, HD head size, F feed-forward width, V vocabulary, R rank. */
#ifndef HN_BACKEND_BACKEND_H
#define HN_BACKEND_BACKEND_H

#include "base/err.h"
#include "quant/matrix.h"

struct hn_device; /* one opened engine; each backend has its own */
struct hn_weight; /* a frozen weight, prepared; each backend has its own */
struct hn_kv;     /* keys and values of all layers; each backend has its own */

/* How exact a product is; docs/numerics.md has the bounds. */
enum hn_class {
    HN_CLASS_EXACT, /* float32, or products that keep its bound */
    HN_CLASS_BF16,  /* operands rounded to bfloat16, float32 sums */
    HN_CLASS_INT8,  /* activations rounded to 8-bit integers per block, exact integer sums */
};

struct hn_device_options {
    int n_threads; /* <= 0: all that the process may use */
    const char
        *level; /* CPU: highest instruction set to use ("c", "avx2", "avx512"…); NULL: best */
    enum hn_class compute;
};

/* A value of a plan.  rows is this run's count; the storage holds rows_max.  data is the backend's.
 */
struct hn_tensor {
    int64_t rows, rows_max, cols;
    bool picked;         /* rows are the batch's picked rows, else its tokens (dropout asks) */
    int64_t first_row;   /* what row 0 stands for of them (0 but for pieces of a step) */
    enum hn_dtype dtype; /* HN_F32 or HN_I32 */
    size_t offset;       /* byte offset in the plan's arena, for backends that keep one */
    void *data;          /* CPU: the address.  Set by bind, nobody else's business */
};

/* One step's tokens.  All arrays are the caller's, host memory, valid until eval. */
struct hn_batch {
    int64_t n_tokens, n_seqs;
    const int32_t *tokens;    /* [T] */
    const int32_t *positions; /* [T] position inside its sequence, past included */
    const int32_t *offsets;   /* [B+1] first token of each sequence; offsets[B] = T */
    /* loss: */
    int64_t n_rows;         /* tokens whose next token carries loss, or whose logits are wanted */
    const int32_t *rows;    /* [n_rows] ascending indices into the T tokens */
    const int32_t *targets; /* [n_rows] the token to predict; NULL when only logits are wanted */
    /* cache: */
    const int32_t *slots; /* [B] cache slot of each sequence; NULL without a cache */
    const int32_t *past;  /* [B] tokens of that slot already cached */
    /* dropout: */
    uint64_t seed;
    uint32_t step;        /* micro-batches since the run began */
    uint32_t first_token; /* of a micro-batch that is run in parts: tokens in the parts before */
};

/* Low-rank update of one linear: y += scale * (drop(x) A^T) B^T.
 * drop keeps element (t, c) when u >= p, and divides it by 1-p, where u = word/65536,
 * p = round(dropout*65536)/65536, and word is 16 bits of Philox4x32-10 with key (seed low, seed
 * high) and counter (c/8, first_token + t, module, step): element c%8 = e takes half e%2 (0:
 * low) of output word e/2. */
struct hn_adapter {
    const struct hn_tensor *a; /* [R, in] */
    const struct hn_tensor *b; /* [out, R] */
    struct hn_tensor *da, *db; /* gradient sums, same shapes; NULL in inference */
    float scale, dropout;
    uint32_t module; /* which linear of the model, for the dropout key */
};

struct hn_linear {
    const struct hn_weight *w;        /* [out, in] */
    const struct hn_weight *bias;     /* [1, out] or NULL */
    const struct hn_adapter *adapter; /* or NULL */
};

enum { HN_LINEAR_MAX = 4 }; /* linears that share one input */

struct hn_rope {
    int64_t head_size; /* HD */
    int64_t n_freqs;   /* rotated pairs; HD/2 unless the model rotates part of the head */
    const float
        *inv_freq;   /* [n_freqs] radians per position; host memory that outlives the device */
    float magnitude; /* cos and sin are multiplied by it (YaRN); 1 otherwise */
};

struct hn_attention {
    int64_t n_heads, n_kv_heads, head_size;
    float scale;    /* of the scores; 1/sqrt(HD) */
    int64_t window; /* a token sees itself and window-1 before it; 0: all before it */
};

struct hn_adamw {
    double learning_rate, beta1, beta2, eps, weight_decay; /* double: 1 - beta must be torch's */
    int64_t step;                                          /* from 1 */
    bool bias_correction; /* as torch.optim.AdamW; mlx's default has none */
    double grad_scale;    /* gradients are multiplied by it first (1/tokens, clipping) */
};

/* The state of 8-bit AdamW, a tensor of float32-sized words that starts at zero: of fewer than
 * HN_STATE8_MIN numbers the moments themselves; else a code of 8 bits each, to a whole word, then a
 * float32 for every HN_STATE8_BLOCK of them.  Written and read back as it is. */
enum { HN_STATE8_MIN = 4096, HN_STATE8_BLOCK = 256 };
static inline int64_t hn_state8_words(int64_t n)
{
    return n < HN_STATE8_MIN ? n : (n + 3) / 4 + (n + HN_STATE8_BLOCK - 1) / HN_STATE8_BLOCK;
}

struct hn_sgd {
    double learning_rate, momentum, dampening, weight_decay;
    bool nesterov;
    double grad_scale; /* gradients are multiplied by it first */
};

/* What one operation of a class promises: |got - exact| <= bound * sum of |terms| for products,
 * relative to the largest magnitude for the rest. */
struct hn_op_info {
    enum hn_class class;
    double bound;
};

enum hn_op {
    HN_OP_EMBED,
    HN_OP_RMS_NORM,
    HN_OP_LINEAR,
    HN_OP_ROPE,
    HN_OP_ATTENTION,
    HN_OP_GLU,
    HN_OP_ADD,
    HN_OP_HEAD_LOSS,
    HN_OP_ADAMW,
    HN_OP_COUNT
};

/* How keys and values are kept behind answers: rounded as they are stored, computed with in
 * float32.  Float16: what is out of its range becomes its largest.  Q8_0: 8-bit integers, with a
 * float32 scale for each HN_KV_BLOCK of a head's numbers; a block with an infinity or a NaN is NaN.
 */
enum hn_kv_type { HN_KV_F32, HN_KV_F16, HN_KV_Q8_0 };
enum { HN_KV_BLOCK = 32 };

/* A cache of n_slots sequences of up to context tokens each. */
struct hn_kv_shape {
    int64_t n_layers, n_slots, context, n_heads, head_size; /* heads of keys and values */
    enum hn_kv_type type;
};

/* Upper bounds of every step that a device will be asked to run, for its working memory. */
struct hn_limits {
    int64_t max_tokens, max_seqs, max_rows; /* T, B, n_rows of one batch */
    int64_t max_width;                      /* largest in or out of any linear but the head */
    int64_t d_model, vocab;
    int64_t n_heads, n_kv_heads, head_size;
    int64_t max_rank;
    int64_t max_context; /* longest sequence, cache included */
    bool training;
    bool full; /* weights get gradients */
};

struct hn_backend {
    const char *name; /* "cpu" */

    int (*open)(const struct hn_device_options *o, struct hn_device **dev, struct hone_err *err);
    void (*close)(struct hn_device **dev);
    /* One line for people: "cpu, 2 threads, avx512". */
    const char *(*describe)(const struct hn_device *dev);
    struct hn_op_info (*op_info)(const struct hn_device *dev, enum hn_op op);

    /* What the machine can do at best, measured in well under a second: bytes read from memory and
     * float32 operations (2 per multiply-add) per second, with all the device's threads. */
    int (*measure_limits)(struct hn_device *dev, double *bytes_per_second, double *flops_per_second,
                          struct hone_err *err);

    /* From now on, add to *seconds how long all of the device's threads are at work; NULL: do not.
     * The rest of a step's time is what one thread does alone. */
    void (*watch)(struct hn_device *dev, double *seconds);

    /* A frozen weight (or, with rows == 1, a vector).  Borrows m's bytes, which must outlive it;
     * private_size tells how many bytes of its own it keeps for such a matrix (a repack). */
    int (*weight_open)(struct hn_device *dev, const struct hn_matrix *m, struct hn_weight **out,
                       struct hone_err *err);
    void (*weight_close)(struct hn_device *dev, struct hn_weight **w);
    size_t (*weight_private_size)(const struct hn_device *dev, const struct hn_matrix *m);

    /* A weight with the values of a float32 tensor, whatever they become: of a trained weight.
     * t outlives it. */
    int (*weight_of_tensor)(struct hn_device *dev, const struct hn_tensor *t,
                            struct hn_weight **out, struct hone_err *err);

    /* Storage for n tensors whose offsets in one arena of arena_size bytes are planned; fills their
     * data.  unbind frees it.  Contents are undefined at first. */
    int (*bind)(struct hn_device *dev, struct hn_tensor *const *tensors, size_t n,
                size_t arena_size, void **arena, struct hone_err *err);
    void (*unbind)(struct hn_device *dev, void **arena);
    /* Working memory for steps within these limits (grows only); scratch_size says how much. */
    size_t (*scratch_size)(const struct hn_device *dev, const struct hn_limits *limits);
    int (*reserve)(struct hn_device *dev, const struct hn_limits *limits, struct hone_err *err);

    int (*kv_open)(struct hn_device *dev, const struct hn_kv_shape *shape, struct hn_kv **out,
                   struct hone_err *err);
    void (*kv_close)(struct hn_device *dev, struct hn_kv **kv);
    /* Bytes; SIZE_MAX: more than can be counted. */
    size_t (*kv_size)(const struct hn_device *dev, const struct hn_kv_shape *shape);

    void (*write)(struct hn_device *dev, struct hn_tensor *t, const void *host); /* rows*cols */
    int (*read)(struct hn_device *dev, const struct hn_tensor *t, void *host, struct hone_err *err);
    int (*eval)(struct hn_device *dev, struct hone_err *err);

    /* ---- operations: each _fwd beside its _bwd ------------------------------------------------
     */

    /* Start of a step: the batch that the operations until eval work on. */
    void (*begin)(struct hn_device *dev, const struct hn_batch *batch);

    void (*zero)(struct hn_device *dev, struct hn_tensor *x);
    /* x *= factor */
    void (*scale)(struct hn_device *dev, struct hn_tensor *x, float factor);

    /* y [T, D] = rows of w [V, D] named by the batch's tokens */
    void (*embed_fwd)(struct hn_device *dev, struct hn_tensor *y, const struct hn_weight *w);

    /* y = x / sqrt(mean(x^2) + eps) * w, over each run of w's length (so [T, H*HD] with a w of HD
     * is a norm per head); in place allowed (y == x). bwd: dx += the gradient; x as it was before
     * the norm.  accumulate false: dx = (dx may be dy). */
    void (*rms_norm_fwd)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x,
                         const struct hn_weight *w, float eps);
    void (*rms_norm_bwd)(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dy,
                         const struct hn_tensor *x, const struct hn_weight *w, float eps,
                         bool accumulate);

    /* y[i] [T, out_i] = x [T, in] W_i^T + bias_i + adapter_i, i < n <= HN_LINEAR_MAX;
     * h[i] [T, R] = drop(x) A_i^T is kept for the backward pass when not NULL.
     * add: y[i] += instead of = (the residual connection); n is 1 then. */
    void (*linear_fwd)(struct hn_device *dev, struct hn_tensor *const *y,
                       struct hn_tensor *const *h, const struct hn_tensor *x,
                       const struct hn_linear *lin, int n, bool add);
    /* dx [T, in] = sum over i of dy[i] W_i + the adapters' part (dx NULL: not wanted);
     * da += scale (dy B)^T drop(x), db += scale dy^T h. */
    void (*linear_bwd)(struct hn_device *dev, struct hn_tensor *dx,
                       const struct hn_tensor *const *dy, const struct hn_tensor *x,
                       const struct hn_tensor *const *h, const struct hn_linear *lin, int n);

    /* DoRA: a linear whose rows have lengths of their own, y = factor * (x (W + scale B A)^T) +
     * bias with factor = magnitude/norm and norm taken for a constant (Liu et al., 2024, 4.3).
     * Class exact, all of it. squares [1, out] = the rows of w, each squared and summed in double
     * precision. */
    void (*row_squares)(struct hn_device *dev, struct hn_tensor *squares,
                        const struct hn_weight *w);
    /* norm [1, out] = the lengths of the rows of W + scale B A, and factor [1, out] =
     * magnitude/norm (0 for a row of zeros), without that matrix:
     * norm^2 = squares + 2 scale b.(A w) + scale^2 b.(A A^T b), summed in double precision. */
    void (*dora_norms)(struct hn_device *dev, struct hn_tensor *norm, struct hn_tensor *factor,
                       const struct hn_tensor *magnitude, const struct hn_tensor *squares,
                       const struct hn_weight *w, const struct hn_adapter *adapter);
    /* y [T, out] = factor * z + bias (NULL: none), or with add: += */
    void (*dora_fwd)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *z,
                     const struct hn_tensor *factor, const struct hn_weight *bias, bool add);
    /* dmagnitude [1, out] += sum over tokens of dy * z / norm; then z = factor * dy, which is the
     * gradient of z, in its place. */
    void (*dora_bwd)(struct hn_device *dev, struct hn_tensor *z, struct hn_tensor *dmagnitude,
                     const struct hn_tensor *dy, const struct hn_tensor *factor,
                     const struct hn_tensor *norm);
    /* kept = drop(x) as struct hn_adapter says, with this probability and module; rest = x - kept
     * (NULL: not wanted). */
    void (*dropout_fwd)(struct hn_device *dev, struct hn_tensor *kept, struct hn_tensor *rest,
                        const struct hn_tensor *x, float dropout, uint32_t module);
    /* dx (=, or with add: +=) drest + drop'(dkept - drest) */
    void (*dropout_bwd)(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dkept,
                        const struct hn_tensor *drest, float dropout, uint32_t module, bool add);

    /* In place on x [T, n*HD], halves paired as Hugging Face does (i with i + n_freqs), at the
     * batch's positions.  bwd is the inverse rotation of a gradient. */
    void (*rope_fwd)(struct hn_device *dev, struct hn_tensor *x, const struct hn_rope *rope);
    void (*rope_bwd)(struct hn_device *dev, struct hn_tensor *dx, const struct hn_rope *rope);

    /* o [T, H*HD] = softmax(scale q k^T, causal, inside each sequence, inside the window) v;
     * lse [T, H] = log-sum-exp of the scaled scores, when not NULL.  Query head h uses key/value
     * head h / (H/HK).  No T x T matrix is ever made.  The gradient of a query that sees one key
     * alone is exactly 0. */
    void (*attention_fwd)(struct hn_device *dev, struct hn_tensor *o, struct hn_tensor *lse,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_attention *shape);
    void (*attention_bwd)(struct hn_device *dev, struct hn_tensor *dq, struct hn_tensor *dk,
                          struct hn_tensor *dv, const struct hn_tensor *d_o,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_tensor *o,
                          const struct hn_tensor *lse, const struct hn_attention *shape);
    /* The same forward pass behind a cache: k and v are appended at slots/past first, then each
     * query sees all of its slot's tokens up to its own position. */
    void (*attention_cached)(struct hn_device *dev, struct hn_tensor *o, const struct hn_tensor *q,
                             const struct hn_tensor *k, const struct hn_tensor *v, struct hn_kv *kv,
                             int64_t layer, const struct hn_attention *shape);

    /* a = silu(gate) * up, all [T, F]; bwd writes dgate and dup (dgate may be gate's own storage
     * and dup may be up's). */
    void (*glu_fwd)(struct hn_device *dev, struct hn_tensor *a, const struct hn_tensor *gate,
                    const struct hn_tensor *up);
    void (*glu_bwd)(struct hn_device *dev, struct hn_tensor *dgate, struct hn_tensor *dup,
                    const struct hn_tensor *da, const struct hn_tensor *gate,
                    const struct hn_tensor *up);

    /* y += x */
    void (*add)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
    /* y = x */
    void (*copy)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);

    /* y [n_rows, D] = the batch's rows of x [T, D]; and back: y = 0, then y[rows] = x. */
    void (*gather_rows)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
    void (*scatter_rows)(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);

    /* loss [n_rows, 1] = -log softmax(x w^T)[target]; dx [n_rows, D] = (softmax - onehot) w when
     * not NULL (the gradient of the SUM of losses).  In chunks: [n_rows, V] never exists. hit
     * [n_rows, 1] = 1 where the target is the arg max, when not NULL. */
    void (*head_loss)(struct hn_device *dev, struct hn_tensor *loss, struct hn_tensor *hit,
                      struct hn_tensor *dx, const struct hn_tensor *x, const struct hn_weight *w);

    /* Gradients of trained weights (class exact).
     * linear: dw [out, in] += dy^T x, dbias [1, out] += the sum of dy over tokens; each NULL: not
     * wanted.  norm: dw [1, n] += sum over runs of dy * x / sqrt(mean(x^2) + eps).  embed: dw
     * [V, D] += dy [T, D] in the rows that the batch's tokens name.  head: dw [V, D] +=
     * (softmax(x w^T) - onehot)^T x, where loss is what head_loss gave for the same x and w. */
    void (*linear_grad)(struct hn_device *dev, struct hn_tensor *dw, struct hn_tensor *dbias,
                        const struct hn_tensor *dy, const struct hn_tensor *x);
    void (*rms_norm_grad)(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy,
                          const struct hn_tensor *x, float eps);
    void (*embed_grad)(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy);
    void (*head_grad)(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *loss,
                      const struct hn_tensor *x, const struct hn_weight *w);

    /* Sum of squares over n tensors in double precision; a barrier. */
    int (*sum_squares)(struct hn_device *dev, struct hn_tensor *const *x, size_t n, double *out,
                       struct hone_err *err);
    /* One decoupled-weight-decay step on n parameters; m, v are its moments. */
    void (*adamw)(struct hn_device *dev, struct hn_tensor *const *param,
                  struct hn_tensor *const *grad, struct hn_tensor *const *m,
                  struct hn_tensor *const *v, size_t n, const struct hn_adamw *o);
    /* The same with moments of hn_state8_words, as bitsandbytes' AdamW8bit: block by block they are
     * widened, stepped in float32, and rounded to the nearest codes.  Moments of as many words as
     * numbers are float32, as adamw's. */
    void (*adamw8)(struct hn_device *dev, struct hn_tensor *const *param,
                   struct hn_tensor *const *grad, struct hn_tensor *const *m,
                   struct hn_tensor *const *v, size_t n, const struct hn_adamw *o);
    /* torch.optim.SGD: g = grad_scale g + weight_decay p; without momentum p -= lr g, else
     * m = momentum m + (1 - dampening) g, p -= lr (nesterov ? g + momentum m : m). */
    void (*sgd)(struct hn_device *dev, struct hn_tensor *const *param,
                struct hn_tensor *const *grad, struct hn_tensor *const *m, size_t n,
                const struct hn_sgd *o);
};

/* The engines that were built in, NULL after the last. */
extern const struct hn_backend hn_backend_cpu;
const struct hn_backend *hn_backend_find(const char *name);

#endif
