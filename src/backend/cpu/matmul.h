/* One blocked matrix product for every weight format, in both directions:
 *
 *   forward   y  [T, N] = x  [T, K] W^T        backward  dx [T, K] = dy [T, N] W
 *
 * with W [N, K] as it lies in the file.  A thread takes a strip of the output's columns, so each
 * weight is decoded by one thread, once per TOKENS_MAX tokens:
 *
 *   packed tokens (all threads, shared)       panel (one thread, its cache)       output
 *   per tile of <= mr tokens: [depth][rows]   per nr columns: [depth][nr]         [rows][nr] += a^T
 * b
 *
 * depth runs over K forward, over N backward, in blocks sized so that a panel stays in the first
 * cache.  A level is a table of these small pieces; matmul_c.c is their specification. */
#ifndef HN_BACKEND_CPU_MATMUL_H
#define HN_BACKEND_CPU_MATMUL_H

#include "backend/cpu/gemv.h"
#include "backend/cpu/panel.h"

enum {
    HN_MM_TILE_MAX = 16,    /* most rows of a tile, of any level */
    HN_MM_PLAIN_MAX = 16,   /* most rows of a plain kernel's tile */
    HN_MM_HEAD = 16,        /* floats before a settled panel */
    HN_MM_PANEL_MAX = 32,   /* most columns of a panel */
    HN_MM_DEPTH_MAX = 512,  /* most steps of depth between two visits to the output */
    HN_MM_TOKENS_MAX = 512, /* tokens packed at a time */
    HN_MM_STRIP = 256,      /* columns decoded at a time; a multiple of every format's block */
};

/* A frozen weight's decoder: as hn_matrix_decode, bit for bit. */
typedef void hn_mm_decode_fn(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                             float *out);

/* y[t*ldy + i] = sum over k of x[t*ldx + k] * w[i*ldw + k], t < nt <= HN_MM_VECTORS_MAX, i < n. */
typedef void hn_mm_dots_fn(const float *x, int64_t ldx, int nt, const float *w, int64_t ldw, int n,
                           int64_t depth, float *y, int64_t ldy);

/* A micro-kernel and the forms in which it wants its operands.  row_grain and depth_grain are 1 for
 * kernels that multiply float32 as it lies; others pad with zeros. */
struct hn_mm_kernel {
    int mr, nr;          /* rows and columns of a tile, at most */
    enum hn_class class; /* of its products */
    int least_tokens;    /* with fewer, plain is faster */
    int row_grain;       /* tiles begin at multiples of so many rows */
    int depth_grain;     /* packed rows and settled panels are so deep, in multiples */
    int element_size;    /* bytes of an element in them */
    /* c[i*ldc + j] (= or, with add, +=) sum over k < depth of a[k*rows + i] * b[k*nr + j], for
     * i < rows <= mr and j < cols <= nr; all nr columns of b may be read, none beyond cols of c is
     * touched. */
    void (*tile)(int rows, int64_t depth, const float *a, const float *b, float *c, int64_t ldc,
                 int cols, bool add);
    /* a[k*rows + i] = x[i*ldx + k], i < rows <= mr, k < depth */
    void (*pack)(int rows, const float *x, int64_t ldx, int64_t depth, float *a);
    /* panel[k*nr + j] = w[j*ldw + k] for j < cols, 0 for cols <= j < nr; k < depth */
    void (*transpose)(int cols, const float *w, int64_t ldw, int64_t depth, float *panel);
    /* panel[j/nr*stride + j%nr] = w[j] for j < n, 0 up to the next multiple of nr */
    void (*spread)(const float *w, int64_t n, int64_t stride, float *panel);
    /* When not NULL: tile reads, in the place of a's and b's formulas above, the kernel's own
     * forms, which pack and this make; settled has depth_grain's padding and HN_MM_HEAD floats
     * more. */
    void (*settle)(int64_t depth, const float *panel, float *settled);
    /* When not NULL: a thread calls them before its first tile and after its last. */
    void (*enter)(void);
    void (*leave)(void);
};

struct hn_cpu_matmul {
    struct hn_mm_kernel plain;   /* float32 as it lies; a level sets all of it or nothing */
    struct hn_mm_kernel main;    /* of the frozen weights' products; select: plain, if no level has
                                    a better one, which may then leave out transpose and spread */
    struct hn_mm_kernel rounded; /* of linears whose tokens may be rounded (hn_mm_rounds), where a
                                    level has a faster one than integers are; tile NULL: none */

    hn_mm_decode_fn *decode[HN_LAYOUT_COUNT];
    hn_mm_dots_fn *dots;
    struct hn_cpu_gemv gemv; /* select fills these two from the levels' own tables */
    struct hn_cpu_panel panel;

    /* mask[c/8] bit c%8 = dropout keeps element (t, c), c < n; see struct hn_adapter.  threshold is
     * round(dropout*65536). */
    void (*dropout_mask)(const uint32_t key[2], uint32_t t, uint32_t module, uint32_t step,
                         uint32_t threshold, int64_t n, unsigned char *mask);
    /* y[c] = mask bit c ? x[c]*scale : 0, or += with add */
    void (*masked)(const unsigned char *mask, float scale, const float *x, int64_t n, float *y,
                   bool add);
    /* One block of a running softmax over n logits: *max and *sum (of exp(x - max)) go on from
     * their values; x becomes exp(x - new max), but 0 where that is below 2^-90: nobody sees it
     * beside the maximum's 1, and subnormal numbers are slow.  Returns the index of the first x
     * that beats the old max and all others, -1 if none does. */
    int64_t (*softmax_step)(float *x, int64_t n, float *max, double *sum);
};

/* A level's decoders that its table above leaves out. */
struct hn_cpu_decode {
    hn_mm_decode_fn *layout[HN_LAYOUT_COUNT];
};

extern const struct hn_cpu_decode hn_cpu_decode_avx2;
extern const struct hn_cpu_matmul hn_cpu_matmul_c, hn_cpu_matmul_neon, hn_cpu_matmul_avx2,
    hn_cpu_matmul_avx512;
extern const struct hn_mm_kernel hn_mm_kernel_amx, hn_mm_kernel_amx_rounded;
/* Of the class bf16: C's is the specification. */
extern const struct hn_mm_kernel hn_mm_kernel_bf16_c, hn_mm_kernel_bf16_neon, hn_mm_kernel_bf16_amx;

/* *out = C's table overlaid by every level up to this one.  main is of the class compute where the
 * level has such a kernel, of the class exact (which keeps every other's bound) where it has none:
 * main.class tells. */
void hn_cpu_matmul_select(struct hn_cpu_matmul *out, enum hn_cpu_level level,
                          enum hn_class compute);

/* ---- scratch: one operation's working memory, taken in pieces ------------------------------ */

struct hn_mm_scratch {
    unsigned char *at;
    size_t left;
};
struct hn_mm_scratch hn_mm_scratch_open(const struct hn_device *dev);
/* n floats, 64-byte aligned; running out is a broken plan and stops the program. */
float *hn_mm_scratch_take(struct hn_mm_scratch *s, size_t n);
/* What n floats use up. */
size_t hn_mm_scratch_floats(size_t n);

/* ---- the pieces, for code that runs inside a job ------------------------------------------- */

/* The kernel for so many tokens; one operation uses one. */
const struct hn_mm_kernel *hn_mm_pick(const struct hn_cpu_matmul *mm, int64_t n_tokens);
/* Whether a linear of so many tokens goes through the table's rounded kernel: in the class int8,
 * and behind a cache. */
bool hn_mm_rounds(const struct hn_device *dev, int64_t n_tokens);
/* Steps of depth per block for a weight whose depth is [0, n) in whole multiples of grain. */
int64_t hn_mm_depth_block(const struct hn_device *dev, const struct hn_mm_kernel *kernel, int64_t n,
                          int64_t grain);
/* Elements that must be decoded together along a row. */
int64_t hn_mm_grain(const struct hn_matrix *w);
/* Around all tiles of a thread's job. */
void hn_mm_enter(const struct hn_mm_kernel *kernel);
void hn_mm_leave(const struct hn_mm_kernel *kernel);
/* Floats of packed tokens. */
size_t hn_mm_packed_floats(const struct hn_mm_kernel *kernel, int64_t n_tokens, int64_t depth);
/* Packs tiles [tile_begin, tile_end) of the n_tokens rows of x. */
int64_t hn_mm_n_tiles(const struct hn_mm_kernel *kernel, int64_t n_tokens);
void hn_mm_pack(const struct hn_mm_kernel *kernel, const float *x, int64_t ldx, int64_t n_tokens,
                int64_t tile_begin, int64_t tile_end, int64_t depth, float *a);
/* Floats that one thread needs for panels of either direction. */
size_t hn_mm_panel_floats(const struct hn_mm_kernel *kernel);
/* y[:, row..row+rows) (= or +=) packed x[:, k0..k0+depth) * W[row..row+rows, k0..k0+depth)^T */
void hn_mm_forward_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_kernel *kernel,
                         const struct hn_matrix *w, int64_t row, int64_t rows, int64_t k0,
                         int64_t depth, const float *a, int64_t n_tokens, float *panels, float *y,
                         int64_t ldy, bool add);
/* dx[:, col..col+cols) (= or +=) packed dy[:, n0..n0+depth) * W[n0..n0+depth, col..col+cols) */
void hn_mm_backward_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_kernel *kernel,
                          const struct hn_matrix *w, int64_t col, int64_t cols, int64_t n0,
                          int64_t depth, const float *a, int64_t n_tokens, float *panels, float *dx,
                          int64_t ldx, bool add);

/* Few rows packed whole, block of depth after block of depth. */
struct hn_mm_rows {
    const struct hn_mm_kernel *kernel;
    int64_t n, depth, block; /* block: hn_mm_depth_block */
    float *packed;           /* hn_mm_packed_floats(kernel, n, depth) */
};
/* Packs a part of x [n, depth]. */
void hn_mm_pack_rows(const struct hn_mm_rows *r, const float *x, int64_t part, int64_t n_parts);
/* y[:, 0..rows) = packed rows * W[row..row+rows, :]^T */
void hn_mm_rows_strip(const struct hn_cpu_matmul *mm, const struct hn_mm_rows *r,
                      const struct hn_matrix *w, int64_t row, int64_t rows, float *panels, float *y,
                      int64_t ldy);

/* ---- whole products ------------------------------------------------------------------------ */

struct hn_mm_out {
    const struct hn_matrix *w; /* [N, K] */
    const float *bias;         /* [N] or NULL */
    float *y;                  /* [T, N] */
};
/* All outputs' panels of nr rows, laid end to end. */
int64_t hn_mm_panels(const struct hn_mm_out *out, int n, int64_t nr);
/* The rows [*begin, *end) of output i that a part has: the panels are cut evenly. */
void hn_mm_part_rows(const struct hn_mm_out *out, int n, int64_t nr, int i, int64_t part,
                     int64_t n_parts, int64_t *begin, int64_t *end);
/* Columns [begin, end) of y [n_tokens, N] (= or, with add, +=) the bias. */
void hn_mm_start_output(const struct hn_mm_out *o, float *y, int64_t n_tokens, int64_t begin,
                        int64_t end, bool add);
/* y[i] (= or +=) x [T, K] W_i^T + bias_i, for n <= HN_LINEAR_MAX weights. */
void hn_mm_forward(struct hn_device *dev, struct hn_mm_scratch s, const float *x, int64_t n_tokens,
                   int64_t depth, const struct hn_mm_out *out, int n, bool add);

struct hn_mm_in {
    const struct hn_matrix *w; /* [N, K] */
    const float *dy;           /* [T, N] */
};
/* dx [T, K] (= or +=) sum over i of dy_i W_i. */
void hn_mm_backward(struct hn_device *dev, struct hn_mm_scratch s, float *dx, int64_t n_tokens,
                    int64_t cols, const struct hn_mm_in *in, int n, bool add);
/* Floats of scratch that either needs for tokens, and widths up to width. */
size_t hn_mm_scratch_needed(const struct hn_device *dev, int64_t n_tokens, int64_t width);

/* head.c: bytes of scratch of head_loss. */
size_t hn_cpu_head_scratch_size(const struct hn_device *dev, const struct hn_limits *limits);

#endif
