/* What the CPU backend promises about memory and repetition: operations never allocate, a refused
 * allocation is an error and nothing worse, and the same step gives the same bits, whatever the
 * number of threads.
 *
 * This program has its own src/base/mem.c: it counts, and can fail on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/mem.h"
#include "base/rng.h"

static atomic_int n_allocations; /* since the last reset */
static atomic_int n_live;
static int fail_at = -1; /* the allocation to refuse, counted from 0 */

static bool refuse(void)
{
    return atomic_fetch_add(&n_allocations, 1) == fail_at;
}

static void *count(void *p)
{
    if (p)
        atomic_fetch_add(&n_live, 1);
    return p;
}

void *hn_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : count(calloc(n ? n : 1, size ? size : 1));
}

void *hn_realloc(void *p, size_t n, size_t size)
{
    if (refuse())
        return NULL;
    void *q = realloc(p, n * size + 1);
    return p ? q : count(q);
}

void *hn_alloc_aligned(size_t size)
{
    return refuse() ? NULL : count(aligned_alloc(64, (size + 64) / 64 * 64));
}

void hn_free(void *p)
{
    if (p)
        atomic_fetch_sub(&n_live, 1);
    free(p);
}

int hn_grow(void **items, size_t *cap, size_t need, size_t size)
{
    void *p = need <= *cap ? *items : hn_realloc(*items, need * 2, size);
    if (!p)
        return -1;
    *cap = need <= *cap ? *cap : need * 2;
    *items = p;
    return 0;
}

enum { T = 300, H = 6, HK = 2, HD = 32, N_TENSORS = 14, CONTEXT = 320 };

static const struct hn_limits limits = {
    .max_tokens = T,
    .max_seqs = 2,
    .max_rows = T,
    .max_width = H * HD,
    .d_model = H * HD,
    .vocab = 64,
    .n_heads = H,
    .n_kv_heads = HK,
    .head_size = HD,
    .max_rank = 8,
    .max_context = CONTEXT,
    .training = true,
};

/* A step that runs every operation of this half of the backend once. */
struct step {
    const struct hn_backend *be;
    struct hn_device *dev;
    struct hn_tensor t[N_TENSORS], row;
    void *arena;
    struct hn_kv *kv;
    struct hn_weight *norm;
    float weight[HD], inv_freq[HD / 2];
    int32_t positions[T], offsets[3], rows[T], past[2], slots[2];
};

static int open_step(struct step *s, int n_threads, struct hone_err *err)
{
    struct hn_device_options o = {.n_threads = n_threads};
    struct hn_tensor *all[N_TENSORS];
    size_t at = 0;
    int rc;
    memset(s, 0, sizeof *s);
    s->be = &hn_backend_cpu;
    for (int i = 0; i < N_TENSORS; i++) {
        int64_t cols = i < 8 ? H * HD : HK * HD;
        cols = i == 13 ? H : cols;
        s->t[i] = (struct hn_tensor){.rows = T, .rows_max = T, .cols = cols, .offset = at};
        at += ((size_t)(T * cols) * 4 + 63) / 64 * 64;
        all[i] = &s->t[i];
    }
    for (int i = 0; i < HD; i++)
        s->weight[i] = 1 + (float)i / HD;
    for (int i = 0; i < HD / 2; i++)
        s->inv_freq[i] = 1 / (1 + (float)i);
    for (int i = 0; i < T; i++)
        s->positions[i] = s->rows[i] = i;
    s->offsets[1] = 70;
    s->offsets[2] = T;
    s->slots[0] = 1;
    struct hn_matrix m = {.layout = HN_LAYOUT_F32,
                          .rows = 1,
                          .cols = HD,
                          .data = (unsigned char *)s->weight,
                          .row_size = sizeof s->weight};
    const struct hn_kv_shape cache = {1, 2, CONTEXT, HK, HD, HN_KV_F16};
    if ((rc = s->be->open(&o, &s->dev, err)) || (rc = s->be->reserve(s->dev, &limits, err)) ||
        (rc = s->be->bind(s->dev, all, N_TENSORS, at, &s->arena, err)) ||
        (rc = s->be->kv_open(s->dev, &cache, &s->kv, err)) ||
        (rc = s->be->weight_open(s->dev, &m, &s->norm, err)))
        return rc;
    return 0;
}

static void close_step(struct step *s)
{
    if (s->dev) {
        s->be->weight_close(s->dev, &s->norm);
        s->be->kv_close(s->dev, &s->kv);
        if (s->arena)
            s->be->unbind(s->dev, &s->arena);
    }
    s->be->close(&s->dev);
    s->be->close(&s->dev); /* closing twice is allowed */
}

static void run_step(struct step *s)
{
    struct hn_batch batch = {.n_tokens = T,
                             .n_seqs = 2,
                             .positions = s->positions,
                             .offsets = s->offsets,
                             .n_rows = T,
                             .rows = s->rows,
                             .slots = s->slots,
                             .past = s->past};
    struct hn_rope rope = {HD, HD / 2, s->inv_freq, 1};
    struct hn_attention shape = {H, HK, HD, 0.2f, 0};
    struct hn_adamw adam = {1e-3, 0.9, 0.999, 1e-8, 0.01, 1, true, 1};
    struct hn_tensor *t = s->t, *x[1] = {t}, *g[1] = {t + 1}, *m[1] = {t + 2}, *v[1] = {t + 3};
    struct hone_err err = {0};
    double sum;
    const struct hn_backend *be = s->be;
    be->begin(s->dev, &batch);
    be->zero(s->dev, t + 3);
    be->rms_norm_fwd(s->dev, t + 1, t, s->norm, 1e-5f);
    be->rms_norm_bwd(s->dev, t + 2, t + 1, t, s->norm, 1e-5f, false);
    be->rope_fwd(s->dev, t + 1, &rope);
    be->rope_bwd(s->dev, t + 2, &rope);
    be->attention_fwd(s->dev, t + 4, t + 13, t + 1, t + 8, t + 9, &shape);
    be->attention_bwd(s->dev, t + 5, t + 10, t + 11, t, t + 1, t + 8, t + 9, t + 4, t + 13, &shape);
    be->attention_cached(s->dev, t + 6, t + 1, t + 8, t + 9, s->kv, 0, &shape);
    be->glu_fwd(s->dev, t + 7, t, t + 1);
    be->glu_bwd(s->dev, t + 7, t + 2, t + 4, t, t + 1);
    be->add(s->dev, t + 7, t + 4);
    be->gather_rows(s->dev, t + 2, t);
    be->scatter_rows(s->dev, t + 3, t + 2);
    be->copy(s->dev, t + 2, t + 1);
    be->zero(s->dev, t + 3);
    be->adamw(s->dev, x, g, m, v, 1, &adam);
    assert_int_equal(be->sum_squares(s->dev, x, 1, &sum, &err), 0);
    assert_int_equal(be->eval(s->dev, &err), 0);
}

/* Random values everywhere: the same in every step that is opened. */
static void fill(struct step *s)
{
    static float values[T * H * HD];
    struct hn_rng rng;
    hn_rng_init(&rng, 7, 7);
    for (int i = 0; i < N_TENSORS; i++) {
        for (int64_t k = 0; k < s->t[i].rows * s->t[i].cols; k++)
            values[k] = (float)(hn_rng_uniform(&rng) * 2 - 1);
        s->be->write(s->dev, &s->t[i], values);
    }
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    struct step s;
    struct hone_err err = {0};
    if (open_step(&s, 3, &err))
        fail_msg("%s", err.message);
    fill(&s);
    atomic_store(&n_allocations, 0);
    run_step(&s);
    assert_int_equal(atomic_load(&n_allocations), 0);
    close_step(&s);
    assert_int_equal(atomic_load(&n_live), 0);
}

static void every_refusal_is_an_error(void **state)
{
    (void)state;
    int refusals = 0;
    for (int k = 0;; k++) {
        struct step s;
        struct hone_err err = {0};
        atomic_store(&n_allocations, 0);
        fail_at = k;
        int rc = open_step(&s, 2, &err);
        fail_at = -1;
        close_step(&s);
        if (atomic_load(&n_live) != 0)
            fail_msg("allocation %d refused: %d are never freed", k, atomic_load(&n_live));
        if (rc == 0)
            break;
        assert_int_equal(rc, HONE_NO_MEMORY);
        assert_non_null(strstr(err.message, "memory"));
        refusals++;
    }
    assert_true(refusals >= 7);
}

static void threads_do_not_change_the_bits(void **state)
{
    (void)state;
    enum { SIZE = T * H * HD };
    static float first[N_TENSORS][SIZE], again[SIZE];
    const int threads[] = {1, 1, 2, 3, 7};
    for (size_t k = 0; k < HN_COUNT(threads); k++) {
        struct step s;
        struct hone_err err = {0};
        if (open_step(&s, threads[k], &err))
            fail_msg("%s", err.message);
        fill(&s);
        run_step(&s);
        for (int i = 0; i < N_TENSORS; i++) {
            float *to = k ? again : first[i];
            assert_int_equal(s.be->read(s.dev, &s.t[i], to, &err), 0);
            size_t size = (size_t)(s.t[i].rows * s.t[i].cols) * sizeof *to;
            if (k && memcmp(first[i], again, size) != 0)
                fail_msg("tensor %d differs between 1 and %d threads", i, threads[k]);
        }
        close_step(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(every_refusal_is_an_error),
        cmocka_unit_test(threads_do_not_change_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
