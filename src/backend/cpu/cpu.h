/* Inside the CPU backend: the device, and which file implements which operation.
 *
 *   cpu.c        the backend table, open/close, storage, reading and writing tensors
 *   detect.c     which instruction sets the processor and the operating system offer
 *   weight.c     frozen weights: views of the mapped file
 *   matmul*.c    one blocked matrix product for every weight format; packers and micro-kernels
 *                (matmul_bf16_*.c: those of the class bf16)
 *   panel_*.c    the product's panels straight from stored weights
 *   gemv_*.c     few tokens with streaming weights; igemm*.c: several tokens, in integers
 *   linear.c     groups of linears with their adapters; head.c: LM head, loss, embedding
 *   dora.c       lengths of adapted rows; dropout.c: dropout's bits
 *   grad.c, head_grad.c   gradients of trained weights
 *   attention.c, attention_bwd.c, kv.c, norm.c, rope.c, elementwise.c, optimizer.c
 *   limits.c     what this machine can do at most, measured
 *   vector_LEVEL.c, matmul_LEVEL.c   one const table per instruction set; C is the specification
 *   *_loops.h, *_rows.h   loops for any width of register; vec_LEVEL.h: what all do to one
 *
 * Levels overlay: the table in use starts as C's and takes every non-NULL slot of each higher level
 * the machine has, up to the level asked for. */
#ifndef HN_BACKEND_CPU_CPU_H
#define HN_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "base/pool.h"

/* For the pieces of inner loops: constants among their arguments must reach them. */
#define INLINE HN_INLINE

enum hn_cpu_level {
    HN_CPU_C,
    HN_CPU_NEON,      /* what every 64-bit ARM has */
    HN_CPU_NEON_DOT,  /* and FEAT_DotProd */
    HN_CPU_NEON_I8MM, /* and FEAT_I8MM, FEAT_BF16: what Armv8.6 has */
    HN_CPU_AVX2,      /* AVX2, FMA, F16C */
    HN_CPU_AVX512,    /* F, BW, DQ, VL, VNNI */
    HN_CPU_AMX,       /* AVX512 and AMX tiles with BF16, AVX512-BF16 */
    HN_CPU_LEVEL_COUNT
};
const char *hn_cpu_level_name(enum hn_cpu_level level);
/* True when this machine can run the level (processor and operating system both). */
bool hn_cpu_level_available(enum hn_cpu_level level);
/* Ask the kernel for the AMX tile state where that is needed; called once per process by open. */
bool hn_cpu_enable_amx(void);

struct hn_cpu_igemm;  /* igemm.h: products in integers */
struct hn_cpu_matmul; /* matmul.h: table of packers and micro-kernels */
struct hn_cpu_vector; /* vector.h: table of element-wise and attention inner loops */

/* Cosines and sines of one batch's positions; rope.c. */
struct hn_cpu_rope_table {
    float *table; /* [T, 2, n_freqs], storage for n_max floats */
    int64_t n_max;
    bool valid; /* it holds the current batch's, for: */
    const float *inv_freq;
    int64_t n_freqs;
    float magnitude;
};

struct hn_device {
    struct hn_pool *pool;
    int n_threads;
    enum hn_cpu_level level;
    enum hn_class compute;
    char description[96];
    const struct hn_cpu_matmul *matmul; /* overlaid; points into tables below */
    const struct hn_cpu_igemm *igemm;
    const struct hn_cpu_vector *vector;
    void *tables;                 /* owned storage of the three */
    const struct hn_batch *batch; /* set by begin */
    unsigned char *scratch;       /* 64-byte aligned; one operation's at a time */
    size_t scratch_size;
    struct hn_cpu_rope_table rope;
    size_t l1_size; /* bytes per core, for blocking */
};

/* Is the step one of generation, behind a cache?  Its tokens may be rounded in every class. */
static inline bool hn_cpu_generates(const struct hn_device *dev)
{
    return dev->batch && dev->batch->slots;
}

/* Run fn on the pool, in parts that are worth it, or on this thread alone when the work (about one
 * unit per element and simple operation) is less than waking the others costs. */
void hn_cpu_run(struct hn_device *dev, hn_pool_fn *fn, void *arg, int64_t work);
enum { HN_CPU_GRAIN = 64 }; /* elements; parts of a job that writes begin on multiples of it */

/* kv.c: keys and values, [layer][slot][k or v][kv head][context] rows, so that one head's keys are
 * one stream.  A row is head_size numbers; of HN_KV_Q8_0 the scales of its blocks, then as many
 * integers. */
struct hn_kv {
    struct hn_kv_shape shape;
    unsigned char *data;
};
/* Bytes before the integers of a row, and of a whole one. */
static inline int64_t hn_cpu_kv_codes(int64_t head_size)
{
    return (head_size + HN_KV_BLOCK - 1) / HN_KV_BLOCK * (int)sizeof(float);
}
static inline int64_t hn_cpu_kv_row_size(enum hn_kv_type type, int64_t head_size)
{
    if (type != HN_KV_Q8_0)
        return head_size * (type == HN_KV_F32 ? 4 : 2);
    return hn_cpu_kv_codes(head_size) + (head_size + 3) / 4 * 4; /* floats are aligned */
}
/* Keys (which 0) or values (1) of a slot, head and layer: context rows. */
unsigned char *hn_cpu_kv_head(const struct hn_kv *kv, int64_t layer, int64_t slot, int which,
                              int64_t head);
/* Put the batch's k and v [T, HK*HD] at slots/past. */
void hn_cpu_kv_append(struct hn_device *dev, struct hn_kv *kv, int64_t layer,
                      const struct hn_tensor *k, const struct hn_tensor *v);

/* weight.c */
struct hn_weight {
    struct hn_matrix m;
    float *vector;         /* rows == 1: decoded to float32, owned; else NULL */
    bool borrowed;         /* vector and m's bytes are a tensor's */
    unsigned char *repack; /* owned private copy in a faster layout, or NULL */
};
int hn_cpu_weight_open(struct hn_device *dev, const struct hn_matrix *m, struct hn_weight **out,
                       struct hone_err *err);
void hn_cpu_weight_close(struct hn_device *dev, struct hn_weight **w);
size_t hn_cpu_weight_private_size(const struct hn_device *dev, const struct hn_matrix *m);

/* linear.c, head.c (over matmul.c) */
void hn_cpu_embed_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_weight *w);
void hn_cpu_linear_fwd(struct hn_device *dev, struct hn_tensor *const *y,
                       struct hn_tensor *const *h, const struct hn_tensor *x,
                       const struct hn_linear *lin, int n, bool add);
void hn_cpu_linear_bwd(struct hn_device *dev, struct hn_tensor *dx,
                       const struct hn_tensor *const *dy, const struct hn_tensor *x,
                       const struct hn_tensor *const *h, const struct hn_linear *lin, int n);
void hn_cpu_head_loss(struct hn_device *dev, struct hn_tensor *loss, struct hn_tensor *hit,
                      struct hn_tensor *dx, const struct hn_tensor *x, const struct hn_weight *w);
/* Scratch that these need for steps within the limits. */
size_t hn_cpu_linear_scratch_size(const struct hn_device *dev, const struct hn_limits *limits);

/* dropout.c; dora.c has its own header */
void hn_cpu_dropout_fwd(struct hn_device *dev, struct hn_tensor *kept, struct hn_tensor *rest,
                        const struct hn_tensor *x, float dropout, uint32_t module);
void hn_cpu_dropout_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dkept,
                        const struct hn_tensor *drest, float dropout, uint32_t module, bool add);

/* norm.c, rope.c, attention.c, elementwise.c, optimizer.c: as in hn_backend */
void hn_cpu_rms_norm_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x,
                         const struct hn_weight *w, float eps);
void hn_cpu_rms_norm_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dy,
                         const struct hn_tensor *x, const struct hn_weight *w, float eps,
                         bool accumulate);
void hn_cpu_rope_fwd(struct hn_device *dev, struct hn_tensor *x, const struct hn_rope *rope);
void hn_cpu_rope_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_rope *rope);
void hn_cpu_attention_fwd(struct hn_device *dev, struct hn_tensor *o, struct hn_tensor *lse,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_attention *shape);
void hn_cpu_attention_bwd(struct hn_device *dev, struct hn_tensor *dq, struct hn_tensor *dk,
                          struct hn_tensor *dv, const struct hn_tensor *d_o,
                          const struct hn_tensor *q, const struct hn_tensor *k,
                          const struct hn_tensor *v, const struct hn_tensor *o,
                          const struct hn_tensor *lse, const struct hn_attention *shape);
void hn_cpu_attention_cached(struct hn_device *dev, struct hn_tensor *o, const struct hn_tensor *q,
                             const struct hn_tensor *k, const struct hn_tensor *v, struct hn_kv *kv,
                             int64_t layer, const struct hn_attention *shape);
size_t hn_cpu_attention_scratch_size(const struct hn_device *dev, const struct hn_limits *limits);
size_t hn_cpu_attention_bwd_scratch_size(const struct hn_device *dev,
                                         const struct hn_limits *limits);
int hn_cpu_kv_open(struct hn_device *dev, const struct hn_kv_shape *shape, struct hn_kv **out,
                   struct hone_err *err);
void hn_cpu_kv_close(struct hn_device *dev, struct hn_kv **kv);
size_t hn_cpu_kv_size(const struct hn_device *dev, const struct hn_kv_shape *shape);
void hn_cpu_glu_fwd(struct hn_device *dev, struct hn_tensor *a, const struct hn_tensor *gate,
                    const struct hn_tensor *up);
void hn_cpu_glu_bwd(struct hn_device *dev, struct hn_tensor *dgate, struct hn_tensor *dup,
                    const struct hn_tensor *da, const struct hn_tensor *gate,
                    const struct hn_tensor *up);
void hn_cpu_add(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
void hn_cpu_copy(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
void hn_cpu_zero(struct hn_device *dev, struct hn_tensor *x);
void hn_cpu_scale(struct hn_device *dev, struct hn_tensor *x, float factor);
void hn_cpu_gather_rows(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
void hn_cpu_scatter_rows(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x);
int hn_cpu_sum_squares(struct hn_device *dev, struct hn_tensor *const *x, size_t n, double *out,
                       struct hone_err *err);
void hn_cpu_adamw(struct hn_device *dev, struct hn_tensor *const *param,
                  struct hn_tensor *const *grad, struct hn_tensor *const *m,
                  struct hn_tensor *const *v, size_t n, const struct hn_adamw *o);
void hn_cpu_adamw8(struct hn_device *dev, struct hn_tensor *const *param,
                   struct hn_tensor *const *grad, struct hn_tensor *const *m,
                   struct hn_tensor *const *v, size_t n, const struct hn_adamw *o);
void hn_cpu_sgd(struct hn_device *dev, struct hn_tensor *const *param,
                struct hn_tensor *const *grad, struct hn_tensor *const *m, size_t n,
                const struct hn_sgd *o);

#endif
