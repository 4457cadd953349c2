/* The bundle's face: opening, looking weights up, decoding vectors.  The kinds of files are in
 * bundle_dir.c and bundle_gguf.c. */
#include "format/bundle.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/adapter.h"
#include "format/bundle_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t max_memory = (size_t)4 << 30; /* of names, configs and tables */

char *hn_arena_printf(struct hn_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : hn_arena_alloc(a, (size_t)n + 1, 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

/* Null, an integer, or an array of integers? */
static bool are_ids(const struct hn_json *j)
{
    size_t i = 0;
    if (!j || j->type == HN_JSON_NULL || j->type == HN_JSON_INT)
        return true;
    while (j->type == HN_JSON_ARRAY && i < j->n && j->items[i].type == HN_JSON_INT)
        i++;
    return j->type == HN_JSON_ARRAY && i == j->n;
}

static int check_ids(const struct hn_bundle *b, const char *file, const struct hn_json *ids,
                     const char *key, struct hone_err *err)
{
    return are_ids(ids)
               ? 0
               : hn_fail(err, HONE_FAILED,
                         "%s/%s: \"%s\" is %s, expected an integer or an array of integers",
                         b->path, file, key, hn_json_type_name(ids));
}

/* Ids of a JSON value: an integer, or an array of them. */
static size_t read_ids(const struct hn_json *j, int32_t *out, size_t max)
{
    size_t n = 0;
    int64_t id;
    if (hn_json_int(j, &id) && id >= 0 && id <= INT32_MAX && max)
        out[n++] = (int32_t)id;
    for (size_t i = 0; j && j->type == HN_JSON_ARRAY && i < j->n && n < max; i++)
        if (hn_json_int(&j->items[i], &id) && id >= 0 && id <= INT32_MAX)
            out[n++] = (int32_t)id;
    return n;
}

/* The key in the config, or in its text_config (models that also see or hear). */
static const struct hn_json *config_get(const struct hn_bundle *b, const char *key)
{
    const struct hn_json *j = hn_json_get(b->config, key);
    if (!j || j->type == HN_JSON_NULL)
        j = hn_json_get(hn_json_get(b->config, "text_config"), key);
    return j;
}

static int read_special_ids(struct hn_bundle *b, struct hone_err *err)
{
    enum { MAX = 64 };
    static const char *const keys[] = {"bos_token_id", "eos_token_id"};
    for (size_t i = 0; i < HN_COUNT(keys); i++) {
        int rc = check_ids(b, "config.json", config_get(b, keys[i]), keys[i], err);
        if (!rc)
            rc = check_ids(b, "generation_config.json", hn_json_get(b->generation, keys[i]),
                           keys[i], err);
        if (rc)
            return rc;
    }
    b->eos = hn_arena_alloc(&b->arena, MAX, sizeof *b->eos);
    if (!b->eos)
        return hn_fail_memory(err, "opening a model");
    b->n_eos = read_ids(hn_json_get(b->generation, "eos_token_id"), b->eos, MAX);
    if (!b->n_eos)
        b->n_eos = read_ids(config_get(b, "eos_token_id"), b->eos, MAX);
    b->bos = -1;
    if (!read_ids(config_get(b, "bos_token_id"), &b->bos, 1))
        (void)read_ids(hn_json_get(b->generation, "bos_token_id"), &b->bos, 1);
    return 0;
}

static int open_path(struct hn_bundle *b, struct hone_err *err)
{
    if (hn_dir_exists(b->path)) {
        if (hn_adapter_is_dir(b->path))
            return hn_fail(err, HONE_FAILED,
                           "%s holds an adapter, not a model: give the base model, and this as the "
                           "adapter",
                           b->path);
        return hn_bundle_open_dir(b, err);
    }
    if (hn_ends_with(b->path, ".safetensors"))
        return hn_fail(
            err, HONE_FAILED,
            "%s: a safetensors file holds weights but no config; give the directory that "
            "holds it and config.json",
            b->path);
    return hn_bundle_open_gguf(b, err);
}

int hn_bundle_open(struct hn_bundle **out, const char *path, struct hone_err *err)
{
    struct hn_bundle *b = hn_calloc(1, sizeof *b);
    if (!b)
        return hn_fail_memory(err, "opening a model");
    hn_arena_init(&b->arena, max_memory);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    b->path = hn_arena_dup(&b->arena, path, n);
    int rc = b->path ? open_path(b, err) : hn_fail_memory(err, "opening a model");
    if (!rc)
        rc = read_special_ids(b, err);
    if (!rc && !hn_bundle_describe(b))
        rc = hn_fail_memory(err, "opening a model");
    if (rc)
        hn_bundle_close(&b);
    else
        *out = b;
    return rc;
}

void hn_bundle_close(struct hn_bundle **bundle)
{
    struct hn_bundle *b = *bundle;
    *bundle = NULL;
    if (!b)
        return;
    for (size_t i = 0; i < b->n_shards; i++)
        hn_st_release(&b->shards[i]);
    hn_gguf_release(&b->gguf);
    hn_arena_release(&b->arena);
    hn_free(b);
}

static int compare_stored(const void *a, const void *b)
{
    return strcmp((*(const struct hn_stored *const *)a)->name,
                  (*(const struct hn_stored *const *)b)->name);
}

int hn_bundle_index(struct hn_bundle *b, struct hone_err *err)
{
    b->by_name = hn_arena_alloc(&b->arena, b->n, sizeof *b->by_name);
    if (!b->by_name)
        return hn_fail_memory(err, "opening a model");
    for (size_t i = 0; i < b->n; i++)
        b->by_name[i] = &b->tensors[i];
    if (b->n)
        qsort(b->by_name, b->n, sizeof *b->by_name, compare_stored);
    for (size_t i = 1; i < b->n; i++) {
        const struct hn_stored *s = b->by_name[i - 1], *t = b->by_name[i];
        if (strcmp(s->name, t->name) == 0)
            return hn_fail(err, HONE_FAILED, "%s: two tensors are \"%s\": %s in %s and %s in %s",
                           b->path, s->name, s->stored, s->file, t->stored, t->file);
    }
    return 0;
}

static int compare_name(const void *name, const void *stored)
{
    return strcmp(name, (*(const struct hn_stored *const *)stored)->name);
}

const struct hn_stored *hn_bundle_find(const struct hn_bundle *b, const char *name)
{
    if (!b->n)
        return NULL;
    const struct hn_stored *const *found =
        bsearch(name, b->by_name, b->n, sizeof *b->by_name, compare_name);
    return found ? *found : NULL;
}

bool hn_bundle_has(const struct hn_bundle *b, const char *name)
{
    return hn_bundle_find(b, name) != NULL;
}

/* The same bytes?  b's pages are given back as it goes: a head that is the embedding is not used.
 */
static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    enum { STEP = 1 << 20 };
    bool same = true;
    for (size_t at = 0; at < n && same; at += STEP) {
        size_t part = HN_MIN(n - at, (size_t)STEP);
        same = memcmp(a + at, b + at, part) == 0;
        hn_map_forget(b + at, part);
    }
    return same;
}

bool hn_bundle_tied(const struct hn_bundle *b, int said)
{
    const struct hn_stored *head = hn_bundle_find(b, "lm_head.weight");
    const struct hn_stored *embed = hn_bundle_find(b, "model.embed_tokens.weight");
    if (said <= 0)
        return said < 0 && !head;
    if (b->kind != HN_BUNDLE_HF || !head || !embed || head->layout < 0)
        return true;
    if (head->layout == embed->layout && head->size == embed->size)
        return same_bytes(embed->data, head->data, head->size);
    return head->layout <= HN_LAYOUT_BF16; /* bitsandbytes' codes are a head of their own */
}

/* Is there a P.qweight where P.weight is asked for?  Old files of GPTQ say so nowhere else. */
static bool is_packed(const struct hn_bundle *b, const char *name)
{
    static const char end[] = "weight";
    char packed[512];
    size_t n = strlen(name), m = sizeof end - 1;
    if (!hn_ends_with(name, ".weight") || n + 2 > sizeof packed)
        return false;
    snprintf(packed, sizeof packed, "%.*sq%s", (int)(n - m), name, end);
    return hn_bundle_find(b, packed) != NULL;
}

/* The usable tensor of this name, with the number of dimensions that was asked for. */
static int find_usable(const struct hn_bundle *b, const char *name, int n_dims,
                       const struct hn_stored **out, struct hone_err *err)
{
    const struct hn_stored *t = hn_bundle_find(b, name);
    if (!t && is_packed(b, name))
        return hn_fail(err, HONE_FAILED,
                       "%s holds \"%s\" as GPTQ or AWQ packs it (qweight), which hone does not "
                       "read; use an MLX or a GGUF version of the model, or the original one",
                       b->path, name);
    if (!t)
        return hn_fail(err, HONE_NOT_FOUND, "%s holds no tensor \"%s\"", b->path, name);
    if (t->refusal)
        return hn_fail(err, HONE_FAILED, "%s (%s): tensor \"%s\": %s", b->path, t->file, t->stored,
                       t->refusal);
    if (t->layout < 0)
        return hn_fail(err, HONE_FAILED,
                       "%s (%s): tensor \"%s\" is of type %s, which hone does not compute with%s",
                       b->path, t->file, t->stored, t->type,
                       b->kind == HN_BUNDLE_GGUF
                           ? "; take the model as an F16, BF16, Q8_0, Q6_K, Q5_…, Q4_…, IQ4_…, "
                             "Q3_K or Q2_K file"
                           : "");
    if (t->n_dims != n_dims)
        return hn_fail(err, HONE_FAILED, "%s (%s): tensor \"%s\" has %d dimensions, expected %d",
                       b->path, t->file, t->stored, t->n_dims, n_dims);
    for (int i = 0; i < n_dims; i++)
        if (t->shape[i] == 0)
            return hn_fail(err, HONE_FAILED, "%s (%s): tensor \"%s\" is empty", b->path, t->file,
                           t->stored);
    *out = t;
    return 0;
}

int hn_bundle_matrix(const struct hn_bundle *b, const char *name, struct hn_matrix *out,
                     struct hone_err *err)
{
    const struct hn_stored *t;
    int rc = find_usable(b, name, 2, &t, err);
    if (rc)
        return rc;
    struct hn_matrix m = {.layout = (enum hn_layout)t->layout,
                          .rows = t->shape[0],
                          .cols = t->shape[1],
                          .data = t->data,
                          .bnb4 = t->bnb4,
                          .rope_head = t->rope_head};
    if (m.layout == HN_LAYOUT_BNB8)
        m.scales = t->scales->data;
    if (m.layout == HN_LAYOUT_AFFINE) {
        m.bits = t->bits;
        m.group = t->group;
        m.cols = t->scales->shape[1] * t->group;
        m.scale_dtype = t->scales->dtype;
        m.scales = t->scales->data;
        m.biases = t->biases->data;
    }
    m.row_size = hn_layout_row_size(m.layout, m.cols, m.bits);
    if (m.rope_head && m.rows % m.rope_head)
        return hn_fail(err, HONE_FAILED,
                       "%s (%s): tensor \"%s\" has %lld rows, expected a multiple of the head size "
                       "%lld",
                       b->path, t->file, t->stored, (long long)m.rows, (long long)m.rope_head);
    *out = m;
    return 0;
}

int hn_bundle_vector(const struct hn_bundle *b, const char *name, struct hn_matrix *out,
                     struct hone_err *err)
{
    const struct hn_stored *t;
    int rc = find_usable(b, name, 1, &t, err);
    if (rc)
        return rc;
    enum hn_layout layout = (enum hn_layout)t->layout;
    bool turned = t->rope_head != 0;
    if (turned && (hn_layout_block(layout) != 1 || t->shape[0] % t->rope_head))
        return hn_fail(err, HONE_FAILED,
                       "%s (%s): tensor \"%s\" of type %s and length %lld is not a plain vector of "
                       "heads of %lld",
                       b->path, t->file, t->stored, t->type, (long long)t->shape[0],
                       (long long)t->rope_head);
    int64_t rows = turned ? t->shape[0] : 1, cols = turned ? 1 : t->shape[0];
    *out = (struct hn_matrix){.layout = layout,
                              .rows = rows,
                              .cols = cols,
                              .data = t->data,
                              .row_size = hn_layout_row_size(layout, cols, 0),
                              .rope_head = t->rope_head};
    return 0;
}

int hn_bundle_decode_vector(const struct hn_bundle *b, const char *name, float *out, int64_t n,
                            struct hone_err *err)
{
    struct hn_matrix m;
    int rc = hn_bundle_vector(b, name, &m, err);
    if (rc)
        return rc;
    if (m.rows * m.cols != n)
        return hn_fail(err, HONE_FAILED, "%s: tensor \"%s\" has %lld elements, expected %lld",
                       b->path, name, (long long)(m.rows * m.cols), (long long)n);
    for (int64_t row = 0; row < m.rows; row++)
        hn_matrix_decode(&m, row, 0, m.cols, out + row * m.cols);
    return 0;
}

const struct hn_json *hn_bundle_config(const struct hn_bundle *b)
{
    return b->config;
}

size_t hn_bundle_eos(const struct hn_bundle *b, const int32_t **ids)
{
    *ids = b->eos;
    return b->n_eos;
}

int32_t hn_bundle_bos(const struct hn_bundle *b)
{
    return b->bos;
}

bool hn_bundle_is_quantized(const struct hn_bundle *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->tensors[i].layout > HN_LAYOUT_BF16)
            return true;
    return false;
}

size_t hn_bundle_n_tensors(const struct hn_bundle *b)
{
    return b->n;
}

void hn_bundle_tensor(const struct hn_bundle *b, size_t i, struct hn_bundle_tensor *out)
{
    const struct hn_stored *t = &b->tensors[i];
    *out = (struct hn_bundle_tensor){.name = t->name,
                                     .stored = t->stored,
                                     .type = t->type,
                                     .file = t->file,
                                     .n_dims = t->n_dims,
                                     .size = t->size};
    memcpy(out->shape, t->shape, sizeof out->shape);
}

void hn_bundle_info(const struct hn_bundle *b, struct hn_bundle_info *out)
{
    *out = b->info;
}

const struct hn_gguf *hn_bundle_gguf(const struct hn_bundle *b)
{
    return b->kind == HN_BUNDLE_GGUF ? &b->gguf : NULL;
}
