#include "model/quantize.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "quant/bnb_encode.h"

#include <stdio.h>
#include <string.h>

enum {
    CHUNK = 64 * HN_BNB_BLOCK, /* elements that a thread decodes at a time */
    SLAB = 1 << 22,            /* elements between two returns of mapped memory */
};

/* ---- which ----------------------------------------------------------------------------------- */

int hn_quantize_check(const struct hone_quantize_options *o, struct hone_err *err)
{
    if (o->load_in_4bit && o->load_in_8bit)
        return hn_fail(err, HONE_USAGE,
                       "load-in-4bit and load-in-8bit are both set; choose one of them");
    for (size_t i = 0; i < o->n_llm_int8_skip_modules; i++) {
        const char *key = o->llm_int8_skip_modules[i];
        if (!*key || key[strcspn(key, "*+?[](){}|^$\\")])
            return hn_fail(err, HONE_USAGE,
                           "llm-int8-skip-modules: \"%s\" is a pattern; expected the beginning or "
                           "the end of a module's path (\"lm_head\", \"model.layers.0\")",
                           key);
    }
    return 0;
}

bool hn_quantize_takes(const struct hone_quantize_options *o, const char *module)
{
    if (!o->n_llm_int8_skip_modules)
        return strcmp(module, "lm_head") != 0;
    for (size_t i = 0; i < o->n_llm_int8_skip_modules; i++) {
        const char *key = o->llm_int8_skip_modules[i];
        size_t n = strlen(key);
        bool begins = strncmp(module, key, n) == 0 &&
                      (module[n] == 0 || module[n] == '.' || (n && key[n - 1] == '.'));
        if (begins || hn_ends_with(module, key))
            return false;
    }
    return true;
}

const char *hn_quantize_text(const struct hone_quantize_options *o, char out[64])
{
    if (o->load_in_8bit)
        snprintf(out, 64, "bitsandbytes int8");
    else
        snprintf(out, 64, "bitsandbytes %s, blocks of %d%s",
                 o->bnb_4bit_quant_type == HONE_FP4 ? "FP4" : "NF4", HN_BNB_BLOCK,
                 o->bnb_4bit_use_double_quant ? ", double quantised" : "");
    return out;
}

/* ---- how ------------------------------------------------------------------------------------- */

struct job {
    const struct hn_matrix *from;
    unsigned char *codes;
    float *scales; /* of blocks, or of rows */
    bool fp4;
    int64_t begin, end; /* of this slab: elements, or rows */
    float *work;        /* per thread work_floats */
    int64_t work_floats;
    bool *bad; /* per thread: a value was not finite, or too large */
};

/* Elements [e, e + n) of all, counted row by row. */
static void decode_flat(const struct hn_matrix *m, int64_t e, int64_t n, float *out)
{
    while (n > 0) {
        int64_t col = e % m->cols, k = HN_MIN(n, m->cols - col);
        hn_matrix_decode(m, e / m->cols, col, k, out);
        e += k;
        out += k;
        n -= k;
    }
}

static void encode_blocks(struct job *j, int64_t begin, int64_t end, int thread)
{
    float *x = j->work + thread * j->work_floats;
    for (int64_t e = j->begin + begin; e < j->begin + end; e += CHUNK) {
        int64_t n = HN_MIN(CHUNK, j->begin + end - e);
        decode_flat(j->from, e, n, x);
        j->bad[thread] |= !hn_all_finite(x, n);
        for (int64_t i = 0; i < n; i += HN_BNB_BLOCK) {
            int64_t m = HN_MIN(HN_BNB_BLOCK, n - i);
            hn_bnb4_encode(j->fp4, x + i, m, m == HN_BNB_BLOCK, j->codes + (e + i) / 2,
                           &j->scales[(e + i) / HN_BNB_BLOCK]);
        }
    }
}

static void blocks_job(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, j->end - j->begin, CHUNK, &begin, &end))
        encode_blocks(j, begin, end, parts->thread);
}

static void encode_rows(struct job *j, int64_t begin, int64_t end, int thread)
{
    float *x = j->work + thread * j->work_floats;
    int64_t cols = j->from->cols;
    for (int64_t row = j->begin + begin; row < j->begin + end; row++) {
        hn_matrix_decode(j->from, row, 0, cols, x);
        j->bad[thread] |= !hn_all_finite(x, cols) ||
                          !hn_bnb8_encode(x, cols, j->codes + row * cols, &j->scales[row]);
    }
}

static void rows_job(void *arg, struct hn_parts *parts)
{
    struct job *j = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, j->end - j->begin, 1, &begin, &end))
        encode_rows(j, begin, end, parts->thread);
}

/* All of the matrix, slab by slab; a slab of elements begins with a block. */
static int run(struct job *j, bool eight, struct hn_pool *pool, const char *name,
               struct hone_err *err)
{
    const struct hn_matrix *m = j->from;
    size_t threads = (size_t)hn_pool_size(pool);
    int64_t per_row = eight ? 1 : m->cols, all = m->rows * per_row;
    int64_t slab = eight ? HN_MAX(1, SLAB / m->cols) : SLAB;
    bool bad = false;
    j->work_floats = HN_MAX(CHUNK, m->cols);
    j->work = hn_calloc(threads * (size_t)j->work_floats, sizeof *j->work);
    j->bad = hn_calloc(threads, sizeof *j->bad);
    for (int64_t at = 0; at < all && j->work && j->bad; at += slab) {
        j->begin = at;
        j->end = HN_MIN(all, at + slab);
        hn_pool_run(pool, eight ? rows_job : blocks_job, j, hn_pool_cut(pool, j->end - j->begin));
        int64_t row = j->begin / per_row, rows = j->end / per_row - row;
        hn_map_forget(m->data + (size_t)row * m->row_size, (size_t)rows * m->row_size);
    }
    for (size_t i = 0; i < threads && j->bad; i++)
        bad |= j->bad[i];
    int rc = j->work && j->bad ? 0 : hn_fail_memory(err, "quantising the model");
    hn_free(j->work);
    hn_free(j->bad);
    if (!rc && bad)
        rc = hn_fail(err, HONE_FAILED,
                     "the tensor %s cannot be quantised: it holds a value that is not finite%s",
                     name, eight ? " as float16, from which bitsandbytes makes int8" : "");
    return rc;
}

/* ---- the matrix ------------------------------------------------------------------------------ */

/* Where everything lies in the one piece of memory: floats first. */
struct places {
    size_t map, scales, nested_map, nested_scales, codes, nested_codes, size;
};

static struct places place(const struct hn_matrix *m, bool eight, bool nested)
{
    int64_t n = m->rows * m->cols, blocks = hn_ceil_div(n, HN_BNB_BLOCK);
    struct places p = {0};
    if (eight) {
        p.codes = (size_t)m->rows * sizeof(float);
        p.size = p.codes + (size_t)n;
        return p;
    }
    p.scales = 16 * sizeof(float);
    p.nested_map = p.scales + (nested ? 0 : (size_t)blocks * sizeof(float));
    p.nested_scales = p.nested_map + (nested ? HN_BNB_NESTED_MAP * sizeof(float) : 0);
    p.codes = p.nested_scales +
              (nested ? (size_t)hn_ceil_div(blocks, HN_BNB_NESTED_BLOCK) * sizeof(float) : 0);
    p.nested_codes = p.codes + (size_t)(n / 2);
    p.size = p.nested_codes + (nested ? (size_t)blocks : 0);
    return p;
}

/* The scales of blocks become codes of a map, in place of floats. */
static void nest(struct hn_quantized *q, const struct places *p, const float *absmax,
                 int64_t n_blocks)
{
    float *floats = (float *)(void *)q->memory;
    hn_bnb_dynamic_map(floats + p->nested_map / sizeof(float));
    q->bnb4.nested_offset = hn_bnb_mean(absmax, n_blocks);
    hn_bnb_nest(absmax, n_blocks, q->bnb4.nested_offset, q->memory + p->nested_codes,
                floats + p->nested_scales / sizeof(float));
    q->bnb4.absmax = q->memory + p->nested_codes;
    q->bnb4.nested_map = q->memory + p->nested_map;
    q->bnb4.nested_absmax = q->memory + p->nested_scales;
    q->bnb4.nested_block = HN_BNB_NESTED_BLOCK;
}

static int quantize_four(struct hn_quantized *q, const struct hn_matrix *from, const char *name,
                         const struct hone_quantize_options *o, struct hn_pool *pool,
                         struct hone_err *err)
{
    bool nested = o->bnb_4bit_use_double_quant, fp4 = o->bnb_4bit_quant_type == HONE_FP4;
    struct places p = place(from, false, nested);
    int64_t blocks = hn_ceil_div(from->rows * from->cols, HN_BNB_BLOCK);
    float *absmax = nested ? hn_calloc((size_t)blocks, sizeof *absmax)
                           : (float *)(void *)(q->memory + p.scales);
    if (!absmax)
        return hn_fail_memory(err, "quantising the model");
    struct job j = {.from = from, .codes = q->memory + p.codes, .scales = absmax, .fp4 = fp4};
    int rc = run(&j, false, pool, name, err);
    memcpy(q->memory, hn_bnb4_map(fp4), 16 * sizeof(float));
    q->bnb4 =
        (struct hn_bnb4){.map = q->memory, .block = HN_BNB_BLOCK, .absmax = q->memory + p.scales};
    (void)hn_layout_plain(from->layout, &q->bnb4.dtype);
    if (!rc && nested)
        nest(q, &p, absmax, blocks);
    if (nested)
        hn_free(absmax);
    q->m.layout = HN_LAYOUT_BNB4;
    q->m.data = q->memory + p.codes;
    q->m.bnb4 = &q->bnb4;
    return rc;
}

static int quantize_eight(struct hn_quantized *q, const struct hn_matrix *from, const char *name,
                          struct hn_pool *pool, struct hone_err *err)
{
    struct places p = place(from, true, false);
    struct job j = {.from = from,
                    .codes = q->memory + p.codes,
                    .scales = (float *)(void *)(q->memory + p.scales)};
    q->m.layout = HN_LAYOUT_BNB8;
    q->m.data = j.codes;
    q->m.scales = q->memory + p.scales;
    return run(&j, true, pool, name, err);
}

int hn_quantize_open(struct hn_quantized **out, const struct hn_matrix *from, const char *name,
                     const struct hone_quantize_options *o, struct hn_pool *pool,
                     struct hone_err *err)
{
    if (o->load_in_4bit && from->cols % 2)
        return hn_fail(err, HONE_FAILED,
                       "the tensor %s has rows of %lld, an odd number, which hone does not "
                       "quantise to 4 bits; name it in llm-int8-skip-modules",
                       name, (long long)from->cols);
    struct hn_quantized *q = hn_calloc(1, sizeof *q);
    size_t size = place(from, o->load_in_8bit, o->bnb_4bit_use_double_quant).size;
    if (q)
        q->memory = hn_alloc_aligned(size);
    if (!q || !q->memory) {
        hn_free(q);
        return hn_fail_memory(err, "quantising the model");
    }
    q->size = size;
    q->m = (struct hn_matrix){.rows = from->rows, .cols = from->cols};
    int rc = o->load_in_8bit ? quantize_eight(q, from, name, pool, err)
                             : quantize_four(q, from, name, o, pool, err);
    q->m.row_size = hn_layout_row_size(q->m.layout, q->m.cols, 0);
    if (rc)
        hn_quantize_close(&q);
    else
        *out = q;
    return rc;
}

void hn_quantize_close(struct hn_quantized **list)
{
    for (struct hn_quantized *q = *list, *next; q; q = next) {
        next = q->next;
        hn_free(q->memory);
        hn_free(q);
    }
    *list = NULL;
}
