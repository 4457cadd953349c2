/* What the tests of the matrix products share: devices of every level this machine has, weights of
 * every format at odd addresses that end at an unreadable page, and double-precision tensors.
 * HONE_TEST_SEED=n repeats a run. */
#ifndef HN_TEST_MM_FIXTURE_H
#define HN_TEST_MM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/cpu/igemm.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct hn_rng rng;
/* What the fixture's kernels lose in splitting or rounding operands, of a term's magnitude: 0,
 * 2^-22 for AMX's exact product (matmul_amx.c), two roundings of 2^-9 in the class bf16. */
static double split_error;

static inline void seed_rng(void)
{
    const char *text = getenv("HONE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240607;
    print_message("HONE_TEST_SEED=%llu\n", (unsigned long long)seed);
    hn_rng_init(&rng, seed, 77);
}

static inline float uniform(float low, float high)
{
    return low + (float)hn_rng_uniform(&rng) * (high - low);
}

/* ---- memory that may not be passed --------------------------------------------------------- */

/* size bytes that end where an unreadable page begins. */
struct guarded {
    unsigned char *map, *data;
    size_t map_size;
};

static inline struct guarded guarded_open(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page + 1;
    struct guarded g = {.map_size = pages * page};
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + (pages - 1) * page, page, PROT_NONE), 0);
    g.data = g.map + (pages - 1) * page - size;
    return g;
}

static inline void guarded_close(struct guarded *g)
{
    if (g->map)
        munmap(g->map, g->map_size);
    *g = (struct guarded){0};
}

/* ---- weights ------------------------------------------------------------------------------- */

struct format {
    const char *name;
    enum hn_layout layout;
    int bits, group;
    enum hn_dtype scale_dtype;
};

static const struct format formats[] = {
    {"F32", HN_LAYOUT_F32, 0, 8, 0},
    {"F16", HN_LAYOUT_F16, 0, 8, 0},
    {"BF16", HN_LAYOUT_BF16, 0, 8, 0},
    {"Q4_0", HN_LAYOUT_Q4_0, 4, 32, 0},
    {"Q4_1", HN_LAYOUT_Q4_1, 4, 32, 0},
    {"Q5_0", HN_LAYOUT_Q5_0, 5, 32, 0},
    {"Q5_1", HN_LAYOUT_Q5_1, 5, 32, 0},
    {"Q8_0", HN_LAYOUT_Q8_0, 8, 32, 0},
    {"affine 2/32 f32", HN_LAYOUT_AFFINE, 2, 32, HN_F32},
    {"affine 3/64 f16", HN_LAYOUT_AFFINE, 3, 64, HN_F16},
    {"affine 4/32 bf16", HN_LAYOUT_AFFINE, 4, 32, HN_BF16},
    {"affine 4/64 f16", HN_LAYOUT_AFFINE, 4, 64, HN_F16},
    {"affine 4/128 f32", HN_LAYOUT_AFFINE, 4, 128, HN_F32},
    {"affine 5/64 bf16", HN_LAYOUT_AFFINE, 5, 64, HN_BF16},
    {"affine 6/32 f16", HN_LAYOUT_AFFINE, 6, 32, HN_F16},
    {"affine 8/64 bf16", HN_LAYOUT_AFFINE, 8, 64, HN_BF16},
    {"affine 8/128 f16", HN_LAYOUT_AFFINE, 8, 128, HN_F16},
    {"Q4_K", HN_LAYOUT_Q4_K, 4, 256, 0},
    {"Q5_K", HN_LAYOUT_Q5_K, 5, 256, 0},
    {"Q6_K", HN_LAYOUT_Q6_K, 6, 256, 0},
    {"Q2_K", HN_LAYOUT_Q2_K, 2, 256, 0},
    {"Q3_K", HN_LAYOUT_Q3_K, 3, 256, 0},
    {"IQ4_NL", HN_LAYOUT_IQ4_NL, 4, 32, 0},
    {"IQ4_XS", HN_LAYOUT_IQ4_XS, 4, 256, 0},
};

struct weight {
    struct hn_weight w;
    struct guarded data, scales, biases;
    double *value;     /* [N, K], what hn_matrix_decode says */
    double *magnitude; /* [N, K], of the terms that make a value: |code * scale| + |bias| */
};

static inline void put(struct guarded *g, enum hn_dtype t, size_t i, float v)
{
    uint16_t h = t == HN_F16 ? hn_f16_from_f32(v) : hn_bf16_from_f32(v);
    if (t == HN_F32)
        memcpy(g->data + i * 4, &v, 4);
    else
        memcpy(g->data + i * 2, &h, 2);
}

static inline void fill_plain(struct weight *w, size_t n)
{
    static const enum hn_dtype types[] = {HN_F32, HN_F16, HN_BF16};
    for (size_t i = 0; i < n; i++)
        put(&w->data, types[w->w.m.layout], i, uniform(-1, 1));
}

static inline void fill_blocks(struct weight *w, const struct format *f)
{
    struct hn_matrix *m = &w->w.m;
    size_t n = (size_t)m->rows * m->row_size;
    for (size_t i = 0; i < n; i++)
        w->data.data[i] = (unsigned char)hn_rng_u32(&rng);
    if (m->layout == HN_LAYOUT_AFFINE) {
        size_t groups = (size_t)(m->rows * m->cols / m->group);
        for (size_t i = 0; i < groups; i++) {
            put(&w->scales, m->scale_dtype, i, uniform(-1, 1) / (float)(1 << f->bits));
            put(&w->biases, m->scale_dtype, i, uniform(-1, 1));
        }
        return;
    }
    /* where a block's float16 scales lie, and what keeps |code * scale| and |bias| below 1 */
    static const struct {
        size_t at[2];
        float most[2];
    } heads[HN_LAYOUT_COUNT] = {
        [HN_LAYOUT_Q4_0] = {{0, 0}, {1 / 16.0f, 0}},
        [HN_LAYOUT_Q4_1] = {{0, 2}, {1 / 16.0f, 1}},
        [HN_LAYOUT_Q5_0] = {{0, 0}, {1 / 32.0f, 0}},
        [HN_LAYOUT_Q5_1] = {{0, 2}, {1 / 32.0f, 1}},
        [HN_LAYOUT_Q8_0] = {{0, 0}, {1 / 256.0f, 0}},
        [HN_LAYOUT_Q4_K] = {{0, 2}, {1 / 1024.0f, 1 / 64.0f}},
        [HN_LAYOUT_Q5_K] = {{0, 2}, {1 / 2048.0f, 1 / 64.0f}},
        [HN_LAYOUT_Q6_K] = {{208, 0}, {1 / 4096.0f, 0}},
        [HN_LAYOUT_Q2_K] = {{80, 82}, {1 / 64.0f, 1 / 16.0f}},
        [HN_LAYOUT_Q3_K] = {{108, 0}, {1 / 128.0f, 0}},
        [HN_LAYOUT_IQ4_NL] = {{0, 0}, {1 / 128.0f, 0}},
        [HN_LAYOUT_IQ4_XS] = {{0, 0}, {1 / 4096.0f, 0}},
    };
    size_t block = m->row_size / (size_t)(m->cols / hn_layout_block(m->layout));
    for (size_t i = 0; i < n; i += block) {
        for (int k = 0; k < 2; k++) {
            float most = heads[m->layout].most[k];
            uint16_t h = hn_f16_from_f32(uniform(-most, most));
            if (most > 0)
                memcpy(w->data.data + i + heads[m->layout].at[k], &h, 2);
        }
    }
}

static inline void weight_close(struct weight *w)
{
    guarded_close(&w->data);
    guarded_close(&w->scales);
    guarded_close(&w->biases);
    free(w->value);
    free(w->magnitude);
}

/* rope_head 0 or a divisor of rows. */
static inline void weight_open(struct weight *w, const struct format *f, int64_t rows, int64_t cols,
                               int64_t rope_head)
{
    memset(w, 0, sizeof *w);
    struct hn_matrix *m = &w->w.m;
    *m = (struct hn_matrix){.layout = f->layout,
                            .rows = rows,
                            .cols = cols,
                            .row_size = hn_layout_row_size(f->layout, cols, f->bits),
                            .rope_head = rope_head};
    assert_true(m->row_size > 0);
    w->data = guarded_open((size_t)rows * m->row_size);
    m->data = w->data.data;
    if (f->layout == HN_LAYOUT_AFFINE) {
        m->bits = f->bits;
        m->group = f->group;
        m->scale_dtype = f->scale_dtype;
        size_t size = (size_t)(rows * cols / f->group) * hn_dtype_size(f->scale_dtype);
        w->scales = guarded_open(size);
        w->biases = guarded_open(size);
        m->scales = w->scales.data;
        m->biases = w->biases.data;
    }
    if (f->bits)
        fill_blocks(w, f);
    else
        fill_plain(w, (size_t)(rows * cols));
    w->value = malloc((size_t)(rows * cols) * sizeof(double));
    w->magnitude = malloc((size_t)(rows * cols) * sizeof(double));
    float *row = malloc((size_t)cols * sizeof *row);
    assert_true(w->value && w->magnitude && row);
    for (int64_t n = 0; n < rows; n++) {
        hn_matrix_decode(m, n, 0, cols, row);
        for (int64_t k = 0; k < cols; k++) {
            /* codes span 2^bits scales, at most 1 together; the bias is 1 at most */
            w->value[n * cols + k] = (double)row[k];
            w->magnitude[n * cols + k] = fabs((double)row[k]) + (f->bits ? 2.0 : 0.0);
        }
    }
    free(row);
}

/* ---- devices ------------------------------------------------------------------------------- */

struct fixture {
    struct hn_device dev;
    struct hn_cpu_igemm igemm;
    struct hn_cpu_matmul table;
    struct hn_batch batch;
};

/* HONE_TEST_LEVEL=name leaves the others out, where an emulator makes them long. */
static inline bool level_tested(enum hn_cpu_level level)
{
    const char *only = getenv("HONE_TEST_LEVEL");
    if (only && strcmp(only, hn_cpu_level_name(level)) != 0)
        return false;
    return level == HN_CPU_C || hn_cpu_level_available(level);
}

/* Everything up to the table in use; the class is exact unless the test asks for another. */
static inline void fixture_open_class(struct fixture *f, enum hn_cpu_level level, int n_threads,
                                      const struct hn_limits *limits, enum hn_class compute)
{
    memset(f, 0, sizeof *f);
    if (level == HN_CPU_AMX)
        assert_true(hn_cpu_enable_amx()); /* before the threads start, as open does */
    assert_int_equal(hn_pool_open(&f->dev.pool, n_threads, NULL), 0);
    hn_cpu_matmul_select(&f->table, level, compute);
    split_error = level == HN_CPU_AMX ? 0x1p-22 : 0;
    if (f->table.main.class == HN_CLASS_BF16)
        split_error = 0x1p-8 + 0x1p-18;
    f->table.main.least_tokens = 0; /* every size meets the level's own kernel */
    f->dev.n_threads = n_threads;
    f->dev.level = level;
    hn_cpu_igemm_select(&f->igemm, level);
    f->dev.matmul = &f->table;
    f->dev.igemm = &f->igemm;
    f->dev.batch = &f->batch;
    f->dev.scratch_size = hn_cpu_linear_scratch_size(&f->dev, limits);
    f->dev.scratch = hn_alloc_aligned(f->dev.scratch_size);
    assert_non_null(f->dev.scratch);
    memset(f->dev.scratch, 0xff, f->dev.scratch_size); /* NaN: what is not written is seen */
}

static inline void fixture_open(struct fixture *f, enum hn_cpu_level level, int n_threads,
                                const struct hn_limits *limits)
{
    fixture_open_class(f, level, n_threads, limits, HN_CLASS_EXACT);
}

static inline void fixture_close(struct fixture *f)
{
    hn_free(f->dev.scratch);
    hn_pool_close(&f->dev.pool);
}

/* ---- tensors ------------------------------------------------------------------------------- */

struct array {
    struct hn_tensor t;
    struct guarded memory;
};

static inline void array_open(struct array *a, int64_t rows, int64_t cols)
{
    a->memory = guarded_open((size_t)(rows * cols) * sizeof(float));
    a->t = (struct hn_tensor){
        .rows = rows, .rows_max = rows, .cols = cols, .dtype = HN_F32, .data = a->memory.data};
}

static inline void array_close(struct array *a)
{
    guarded_close(&a->memory);
}

static inline float *array_data(const struct array *a)
{
    return a->t.data;
}

static inline void array_random(struct array *a, float low, float high)
{
    for (int64_t i = 0; i < a->t.rows * a->t.cols; i++)
        array_data(a)[i] = uniform(low, high);
}

static inline void array_fill(struct array *a, float v)
{
    for (int64_t i = 0; i < a->t.rows * a->t.cols; i++)
        array_data(a)[i] = v;
}

/* |got - want| <= bound everywhere. */
static inline void check(const char *what, const struct array *got, const double *want,
                         const double *bound)
{
    for (int64_t i = 0; i < got->t.rows * got->t.cols; i++) {
        double error = fabs((double)array_data(got)[i] - want[i]);
        if (!(error <= bound[i]))
            fail_msg("%s at [%lld, %lld]: %.9g, expected %.9g, error %.3g over the bound %.3g",
                     what, (long long)(i / got->t.cols), (long long)(i % got->t.cols),
                     (double)array_data(got)[i], want[i], error, bound[i]);
    }
}

/* Rounding of float32 sums of n products: n+2 roundings (the product's own, the scale's…), and what
 * the level's exact class loses in splitting operands. */
static inline double rounding(int64_t n)
{
    return (double)(n + 2) * 0x1p-24 + split_error;
}

#endif
