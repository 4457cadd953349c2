/* The CPU backend's table: opening and closing the device, storage, and moving tensors in and out.
 * Operations run when they are called; eval has nothing left to do, and nothing can fail late. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/dora.h"
#include "backend/cpu/grad.h"
#include "backend/cpu/igemm.h"
#include "backend/cpu/limits.h"
#include "backend/cpu/vector.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The three tables in use, overlaid up to the device's level. */
struct tables {
    struct hn_cpu_matmul matmul;
    struct hn_cpu_igemm igemm;
    struct hn_cpu_vector vector;
};

void hn_cpu_run(struct hn_device *dev, hn_pool_fn *fn, void *arg, int64_t work)
{
    enum { ALONE = 16384 }; /* some microseconds: about what waking a sleeping thread costs */
    int64_t most = work < ALONE ? 1 : work / (ALONE / 2);
    hn_pool_run(dev->pool, fn, arg, hn_pool_cut(dev->pool, most));
}

/* ---- the machine ---------------------------------------------------------------------------- */

/* One number of /sys/devices/system/cpu/cpu0/cache/indexI/NAME; a trailing K or M counts. */
static size_t read_cache(int index, const char *name, char *text, size_t size)
{
    char path[96];
    unsigned long n = 0;
    char unit = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    bool got = fgets(text, (int)size, f) != NULL;
    fclose(f);
    if (!got || sscanf(text, "%lu%c", &n, &unit) < 1)
        return 0;
    return unit == 'K' ? (size_t)n << 10 : unit == 'M' ? (size_t)n << 20 : (size_t)n;
}

static void find_first_cache(struct hn_device *dev)
{
    char text[64];
    dev->l1_size = 32 << 10; /* what any processor of the last ten years has */
    for (int i = 0; i < 8; i++) {
        size_t level = read_cache(i, "level", text, sizeof text);
        (void)read_cache(i, "type", text, sizeof text);
        bool code = strncmp(text, "Instruction", 11) == 0;
        size_t size = read_cache(i, "size", text, sizeof text);
        if (level == 1 && !code && size)
            dev->l1_size = size;
    }
}

static const char *list_levels(char *out, size_t size, bool available)
{
    size_t used = 0;
    for (int l = 0; l < HN_CPU_LEVEL_COUNT && used < size; l++)
        if (!available || hn_cpu_level_available(l))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
                                     hn_cpu_level_name(l));
    return out;
}

static int choose_level(const char *name, enum hn_cpu_level *out, struct hone_err *err)
{
    char list[96];
    if (name) {
        for (int l = 0; l < HN_CPU_LEVEL_COUNT; l++) {
            if (strcmp(name, hn_cpu_level_name(l)) != 0)
                continue;
            *out = l;
            if (hn_cpu_level_available(l))
                return 0;
            return hn_fail(err, HONE_USAGE,
                           "cpu level \"%s\": this machine does not have it; choose one of %s",
                           name, list_levels(list, sizeof list, true));
        }
        return hn_fail(err, HONE_USAGE, "cpu level \"%s\" is unknown; the levels are %s", name,
                       list_levels(list, sizeof list, false));
    }
    for (int l = HN_CPU_LEVEL_COUNT - 1; l >= 0; l--) {
        *out = l;
        if (hn_cpu_level_available(l))
            break;
    }
    return 0;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void cpu_close(struct hn_device **dev)
{
    struct hn_device *d = *dev;
    if (!d)
        return;
    hn_pool_close(&d->pool);
    hn_free(d->tables);
    hn_free(d->scratch);
    hn_free(d->rope.table);
    hn_free(d);
    *dev = NULL;
}

/* What the class asked for comes to at this level. */
static const char *class_text(const struct hn_device *dev)
{
    if (dev->compute != HN_CLASS_BF16)
        return dev->compute == HN_CLASS_INT8 ? ", int8" : "";
    return dev->matmul->main.class == HN_CLASS_BF16 ? ", bf16 products"
                                                    : ", exact products (it has none in bf16)";
}

static int cpu_open(const struct hn_device_options *o, struct hn_device **out, struct hone_err *err)
{
    enum hn_cpu_level level = HN_CPU_C;
    int rc = choose_level(o->level, &level, err);
    if (rc)
        return rc;
    if (level == HN_CPU_AMX) /* the permission is the process's, asked for before threads start */
        (void)hn_cpu_enable_amx();
    struct hn_device *dev = hn_calloc(1, sizeof *dev);
    struct tables *tables = hn_calloc(1, sizeof *tables);
    if (!dev || !tables) {
        hn_free(dev);
        hn_free(tables);
        return hn_fail_memory(err, "opening the cpu");
    }
    dev->tables = tables;
    rc = hn_pool_open(&dev->pool, o->n_threads, err);
    if (rc) {
        cpu_close(&dev);
        return rc;
    }
    dev->n_threads = hn_pool_size(dev->pool);
    dev->level = level;
    dev->compute = o->compute;
    hn_cpu_matmul_select(&tables->matmul, level, o->compute);
    hn_cpu_igemm_select(&tables->igemm, level);
    hn_cpu_vector_select(&tables->vector, level);
    dev->matmul = &tables->matmul;
    dev->igemm = &tables->igemm;
    dev->vector = &tables->vector;
    find_first_cache(dev);
    snprintf(dev->description, sizeof dev->description, "cpu, %d thread%s, %s%s", dev->n_threads,
             dev->n_threads == 1 ? "" : "s", hn_cpu_level_name(level), class_text(dev));
    *out = dev;
    return 0;
}

static const char *cpu_describe(const struct hn_device *dev)
{
    return dev->description;
}

/* ---- storage -------------------------------------------------------------------------------- */

static int cpu_bind(struct hn_device *dev, struct hn_tensor *const *tensors, size_t n,
                    size_t arena_size, void **arena, struct hone_err *err)
{
    enum { HUGE_PAGE = 2 << 20 };
    (void)dev;
    unsigned char *base = hn_alloc_aligned(arena_size);
    if (!base)
        return hn_fail(err, HONE_NO_MEMORY, "out of memory for %zu bytes of activations",
                       arena_size);
#ifdef MADV_HUGEPAGE
    uintptr_t begin = ((uintptr_t)base + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)base + arena_size) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end) /* a hint: nothing depends on it */
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
    for (size_t i = 0; i < n; i++) {
        size_t size = (size_t)(tensors[i]->rows_max * tensors[i]->cols) * 4;
        HN_ASSERT(tensors[i]->offset <= arena_size && size <= arena_size - tensors[i]->offset);
        tensors[i]->data = base + tensors[i]->offset;
    }
    *arena = base;
    return 0;
}

static void cpu_unbind(struct hn_device *dev, void **arena)
{
    (void)dev;
    hn_free(*arena);
    *arena = NULL;
}

static size_t op_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    size_t linear = hn_cpu_linear_scratch_size(dev, limits);
    size_t attention = hn_cpu_attention_scratch_size(dev, limits);
    size_t grad = limits->full ? hn_grad_scratch_size(dev, limits) : 0;
    return HN_MAX(HN_MAX(linear, attention), grad);
}

static size_t rope_floats(const struct hn_limits *limits)
{
    return (size_t)(limits->max_tokens * limits->head_size);
}

static size_t cpu_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    return op_scratch_size(dev, limits) + rope_floats(limits) * sizeof(float);
}

static int cpu_reserve(struct hn_device *dev, const struct hn_limits *limits, struct hone_err *err)
{
    size_t scratch = op_scratch_size(dev, limits), rope = rope_floats(limits);
    if (scratch > dev->scratch_size) {
        unsigned char *p = hn_alloc_aligned(scratch);
        if (!p)
            return hn_fail(err, HONE_NO_MEMORY, "out of memory for %zu bytes of working memory",
                           scratch);
        hn_free(dev->scratch);
        dev->scratch = p;
        dev->scratch_size = scratch;
    }
    if (rope > (size_t)dev->rope.n_max) {
        float *p = hn_alloc_aligned(rope * sizeof(float));
        if (!p)
            return hn_fail_memory(err, "reserving the table of rotary positions");
        hn_free(dev->rope.table);
        dev->rope = (struct hn_cpu_rope_table){.table = p, .n_max = (int64_t)rope};
    }
    return 0;
}

static void cpu_write(struct hn_device *dev, struct hn_tensor *t, const void *host)
{
    (void)dev;
    if (t->rows * t->cols > 0)
        memcpy(t->data, host, (size_t)(t->rows * t->cols) * 4);
}

static int cpu_read(struct hn_device *dev, const struct hn_tensor *t, void *host,
                    struct hone_err *err)
{
    (void)dev, (void)err;
    if (t->rows * t->cols > 0)
        memcpy(host, t->data, (size_t)(t->rows * t->cols) * 4);
    return 0;
}

static int cpu_eval(struct hn_device *dev, struct hone_err *err)
{
    (void)dev, (void)err;
    return 0;
}

static void cpu_begin(struct hn_device *dev, const struct hn_batch *batch)
{
    dev->batch = batch;
    dev->rope.valid = false;
}

/* ---- promises ------------------------------------------------------------------------------- */

/* u = 2^-24 is the unit roundoff of float32.  A sum of n rounded terms, added in any order, is
 * within n u of the exact sum, relative to the sum of the terms' magnitudes; rounding errors do not
 * conspire, and lambda sqrt(n) u holds with a probability that lambda = 6 makes indistinguishable
 * from one (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019). Each
 * bound says which n it is for. */
static struct hn_op_info cpu_op_info(const struct hn_device *dev, enum hn_op op)
{
    const double u = 0x1p-24;
    switch (op) {
    case HN_OP_LINEAR:
        if (dev->compute == HN_CLASS_INT8) /* of the largest of each block of 32 of the input */
            return (struct hn_op_info){HN_CLASS_INT8, 1.0 / 254};
        /* FALLTHROUGH */
    case HN_OP_HEAD_LOSS:
        /* Two operands rounded to nearest are off by 2^-9 each. */
        if (dev->matmul->main.class == HN_CLASS_BF16)
            return (struct hn_op_info){HN_CLASS_BF16, 0x1p-8 + 0x1p-18 + 1344 * u};
        /* 2^15 terms, 6 sqrt(n) = 1086; operands split in three bfloat16 terms add 4 u. */
        return (struct hn_op_info){HN_CLASS_EXACT, 1344 * u};
    case HN_OP_RMS_NORM:
        /* The sum of squares, n = 2^14 of one sign in 64 or 16 lanes: chains of 2^10, 192 u, of
         * which half reaches the inverse root; backward cubes that, and has a sum of its own. */
        return (struct hn_op_info){HN_CLASS_EXACT, 512 * u};
    case HN_OP_ROPE:
        /* cos and sin are off by u each (and by u more for the magnitude), their two products and
         * the sum by u each; both terms may be as large as the largest. */
        return (struct hn_op_info){HN_CLASS_EXACT, 6 * u};
    case HN_OP_ATTENTION:
        /* A score (HD = 256: 96 u, times the sum of its terms' magnitudes) is off by an absolute
         * amount that exp turns into a relative one; the terms' magnitudes of a score add up to a
         * few units where attention is not saturated.  Sums of at most 2^15 weights are in tiles of
         * 64: 64 u at most inside, 6 sqrt(512) = 136 u across. */
        return (struct hn_op_info){HN_CLASS_EXACT, 256 * u};
    case HN_OP_GLU:
        /* exp within 2 ulp (4 u), then a sum, a quotient and up to four more roundings. */
        return (struct hn_op_info){HN_CLASS_EXACT, 10 * u};
    case HN_OP_ADD:
        return (struct hn_op_info){HN_CLASS_EXACT, u};
    case HN_OP_ADAMW:
        /* Per step: the constants are rounded once, and no value more than seven times. */
        return (struct hn_op_info){HN_CLASS_EXACT, 16 * u};
    case HN_OP_EMBED:
    case HN_OP_COUNT:
        break;
    }
    return (struct hn_op_info){HN_CLASS_EXACT, 0}; /* copies */
}

static void cpu_watch(struct hn_device *dev, double *seconds)
{
    hn_pool_watch(dev->pool, seconds);
}

static int cpu_measure_limits(struct hn_device *dev, double *bytes_per_second,
                              double *flops_per_second, struct hone_err *err)
{
    struct hn_cpu_limits limits;
    int rc = hn_cpu_measure_limits(dev, &limits, err);
    if (rc)
        return rc;
    *bytes_per_second = limits.read_gbs * 1e9;
    *flops_per_second = limits.fma_gflops * 1e9;
    return 0;
}

const struct hn_backend hn_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .op_info = cpu_op_info,
    .measure_limits = cpu_measure_limits,
    .watch = cpu_watch,
    .weight_open = hn_cpu_weight_open,
    .weight_close = hn_cpu_weight_close,
    .weight_private_size = hn_cpu_weight_private_size,
    .weight_of_tensor = hn_cpu_weight_of_tensor,
    .bind = cpu_bind,
    .unbind = cpu_unbind,
    .scratch_size = cpu_scratch_size,
    .reserve = cpu_reserve,
    .kv_open = hn_cpu_kv_open,
    .kv_close = hn_cpu_kv_close,
    .kv_size = hn_cpu_kv_size,
    .write = cpu_write,
    .read = cpu_read,
    .eval = cpu_eval,
    .begin = cpu_begin,
    .zero = hn_cpu_zero,
    .scale = hn_cpu_scale,
    .embed_fwd = hn_cpu_embed_fwd,
    .rms_norm_fwd = hn_cpu_rms_norm_fwd,
    .rms_norm_bwd = hn_cpu_rms_norm_bwd,
    .linear_fwd = hn_cpu_linear_fwd,
    .linear_bwd = hn_cpu_linear_bwd,
    .row_squares = hn_cpu_row_squares,
    .dora_norms = hn_cpu_dora_norms,
    .dora_fwd = hn_cpu_dora_fwd,
    .dora_bwd = hn_cpu_dora_bwd,
    .dropout_fwd = hn_cpu_dropout_fwd,
    .dropout_bwd = hn_cpu_dropout_bwd,
    .rope_fwd = hn_cpu_rope_fwd,
    .rope_bwd = hn_cpu_rope_bwd,
    .attention_fwd = hn_cpu_attention_fwd,
    .attention_bwd = hn_cpu_attention_bwd,
    .attention_cached = hn_cpu_attention_cached,
    .glu_fwd = hn_cpu_glu_fwd,
    .glu_bwd = hn_cpu_glu_bwd,
    .add = hn_cpu_add,
    .copy = hn_cpu_copy,
    .gather_rows = hn_cpu_gather_rows,
    .scatter_rows = hn_cpu_scatter_rows,
    .head_loss = hn_cpu_head_loss,
    .linear_grad = hn_cpu_linear_grad,
    .rms_norm_grad = hn_cpu_rms_norm_grad,
    .embed_grad = hn_cpu_embed_grad,
    .head_grad = hn_cpu_head_grad,
    .sum_squares = hn_cpu_sum_squares,
    .adamw = hn_cpu_adamw,
    .adamw8 = hn_cpu_adamw8,
    .sgd = hn_cpu_sgd,
};
