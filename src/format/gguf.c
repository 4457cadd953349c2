/* Reading GGUF:  magic, version, counts | metadata pairs | tensor infos | padding | tensor data.
 * Source of the layout: github.com/ggml-org/ggml/blob/master/docs/gguf.md. */
#include "format/gguf.h"
#include "base/mem.h"
#include "format/gguf_value.h"

#include <stdlib.h>
#include <string.h>

/* The least that one item takes in the file: bounds counts before anything is allocated. */
enum { MIN_PAIR = 8 + 1 + 4 + 1, MIN_TENSOR = 8 + 1 + 4 + 4 + 8, MAX_NAME = 1 << 16 };

struct parse {
    struct hn_gguf *g;
    struct hn_reader r;
    const char *path;
    struct hone_err *err;
};

static int fail_cut(const struct parse *p, const char *where)
{
    return hn_fail(
        p->err, HONE_FAILED,
        "%s: the file ends, or a length in it is wrong, in %s near byte %zu of %zu: it is "
        "cut short or damaged",
        p->path, where, p->r.at, p->r.size);
}

static int read_version(struct parse *p)
{
    struct hn_str magic = hn_read_bytes(&p->r, 4);
    uint32_t version = hn_read_u32(&p->r);
    if (p->r.failed)
        return hn_fail(p->err, HONE_FAILED, "%s: %zu bytes are too few for a GGUF file", p->path,
                       p->r.size);
    if (memcmp(magic.p, "GGUF", 4) != 0) {
        static const char *const old[] = {"lmgg", "fmgg", "tjgg", "algg"};
        for (size_t i = 0; i < HN_COUNT(old); i++)
            if (memcmp(magic.p, old[i], 4) == 0)
                return hn_fail(p->err, HONE_FAILED,
                               "%s is a GGML file from before GGUF; convert the original model to "
                               "GGUF again",
                               p->path);
        return hn_fail(p->err, HONE_FAILED,
                       "%s is not a GGUF file: it does not begin with \"GGUF\"", p->path);
    }
    if (version == 0x02000000 || version == 0x03000000)
        return hn_fail(
            p->err, HONE_FAILED,
            "%s is a big-endian GGUF file; hone reads little-endian ones (convert it with "
            "gguf-convert-endian)",
            p->path);
    if (version == 1)
        return hn_fail(
            p->err, HONE_FAILED,
            "%s is GGUF version 1, which was replaced in 2023; hone reads versions 2 and "
            "3: convert the original model again",
            p->path);
    if (version != 2 && version != 3)
        return hn_fail(p->err, HONE_FAILED, "%s is GGUF version %u; hone reads versions 2 and 3",
                       p->path, (unsigned)version);
    p->g->version = version;
    return 0;
}

/* A name of metadata or a tensor: not empty, bounded, valid UTF-8 without NUL.  Copied, to end it.
 */
static int read_name(struct parse *p, const char *what, uint64_t index, const char **out)
{
    struct hn_str s = hn_read_bytes(&p->r, hn_read_u64(&p->r));
    if (p->r.failed)
        return fail_cut(p, what);
    if (!s.n || s.n > MAX_NAME || memchr(s.p, 0, s.n) || hn_utf8_check(s.p, s.n) != s.n)
        return hn_fail(p->err, HONE_FAILED, "%s: the name of entry %llu of %s is %s", p->path,
                       (unsigned long long)index, what,
                       !s.n             ? "empty"
                       : s.n > MAX_NAME ? "longer than 65536 bytes"
                                        : "not valid UTF-8 text");
    char *copy = hn_arena_dup(&p->g->arena, s.p, s.n);
    if (!copy)
        return hn_fail_memory(p->err, "reading a GGUF header");
    *out = copy;
    return 0;
}

static int read_pair(struct parse *p, uint64_t index, struct hn_gguf_pair *pair)
{
    int rc = read_name(p, "the metadata", index, &pair->key);
    if (rc)
        return rc;
    uint32_t type = hn_read_u32(&p->r);
    if (!p->r.failed && type >= HN_GGUF_TYPE_COUNT)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: metadata \"%s\" has value type %u, expected 0 to %d", p->path,
                       pair->key, (unsigned)type, HN_GGUF_TYPE_COUNT - 1);
    if (p->r.failed || !hn_gguf_read_value(&p->r, type, 0, &pair->value))
        return hn_fail(p->err, HONE_FAILED,
                       "%s: the value of metadata \"%s\" does not fit in the file (or nests arrays "
                       "too deep, or has an unknown type inside): it is cut short or damaged",
                       p->path, pair->key);
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp((*(const struct hn_gguf_pair *const *)a)->key,
                  (*(const struct hn_gguf_pair *const *)b)->key);
}

static int read_pairs(struct parse *p, uint64_t n)
{
    struct hn_gguf *g = p->g;
    if (n > hn_reader_left(&p->r) / MIN_PAIR)
        return hn_fail(p->err, HONE_FAILED,
                       "%s claims %llu metadata entries, more than its %zu bytes can hold", p->path,
                       (unsigned long long)n, p->r.size);
    g->n_pairs = (size_t)n;
    g->pairs = hn_arena_alloc(&g->arena, g->n_pairs, sizeof *g->pairs);
    g->by_key = hn_arena_alloc(&g->arena, g->n_pairs, sizeof *g->by_key);
    if (g->arena.failed)
        return hn_fail_memory(p->err, "reading a GGUF header");
    for (size_t i = 0; i < g->n_pairs; i++) {
        int rc = read_pair(p, i, &g->pairs[i]);
        if (rc)
            return rc;
        g->by_key[i] = &g->pairs[i];
    }
    if (n)
        qsort(g->by_key, g->n_pairs, sizeof *g->by_key, compare_pairs);
    for (size_t i = 1; i < g->n_pairs; i++)
        if (strcmp(g->by_key[i - 1]->key, g->by_key[i]->key) == 0)
            return hn_fail(p->err, HONE_FAILED, "%s: metadata \"%s\" is there twice", p->path,
                           g->by_key[i]->key);
    return 0;
}

static int read_alignment(struct parse *p)
{
    const struct hn_gguf_value *v = hn_gguf_get(p->g, "general.alignment");
    int64_t a = 32;
    if (v && (!hn_gguf_int(v, &a) || a < 1 || a > 1 << 20 || (a & (a - 1))))
        return hn_fail(p->err, HONE_FAILED,
                       "%s: general.alignment is not a power of two up to 1048576", p->path);
    p->g->alignment = (uint64_t)a;
    return 0;
}

/* Bytes of the tensor by its shape and type. */
static int measure(const struct parse *p, struct hn_gguf_tensor *t)
{
    const struct hn_ggml_type *type = hn_ggml_type(t->type);
    if (!type)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\" has ggml type number %u, which hone does not know",
                       p->path, t->name, (unsigned)t->type);
    if (!type->block_size)
        return hn_fail(
            p->err, HONE_FAILED,
            "%s: tensor \"%s\" has type %s, which ggml has removed; convert the original "
            "model again",
            p->path, t->name, type->name);
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < t->n_dims; i++) {
        empty |= t->shape[i] == 0;
        if (hn_mul_overflows(n, HN_MAX(t->shape[i], (int64_t)1), &n) || n > INT64_MAX / 8)
            return hn_fail(p->err, HONE_FAILED,
                           "%s: tensor \"%s\": its shape has more elements than can be counted",
                           p->path, t->name);
    }
    if (empty)
        n = 0;
    int64_t row = t->n_dims ? t->shape[0] : 1;
    if (row % type->block)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\": rows of %lld do not divide into %s blocks of %d",
                       p->path, t->name, (long long)row, type->name, type->block);
    t->n_elements = n;
    t->size = (size_t)(n / type->block) * type->block_size;
    return 0;
}

/* One tensor info; its offset waits in *offset until the data section's place is known. */
static int read_tensor(struct parse *p, uint64_t index, struct hn_gguf_tensor *t, uint64_t *offset)
{
    int rc = read_name(p, "the tensor list", index, &t->name);
    if (rc)
        return rc;
    uint32_t n_dims = hn_read_u32(&p->r);
    if (n_dims > HN_GGUF_MAX_DIMS)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\" has %u dimensions, expected at most %d", p->path, t->name,
                       (unsigned)n_dims, HN_GGUF_MAX_DIMS);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < t->n_dims; i++) {
        t->shape[i] = (int64_t)hn_read_u64(&p->r);
        if (t->shape[i] < 0)
            return hn_fail(p->err, HONE_FAILED, "%s: tensor \"%s\": a dimension is too large",
                           p->path, t->name);
    }
    t->type = hn_read_u32(&p->r);
    *offset = hn_read_u64(&p->r);
    if (p->r.failed)
        return fail_cut(p, "the tensor list");
    return measure(p, t);
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const struct hn_gguf_tensor *const *)a)->name,
                  (*(const struct hn_gguf_tensor *const *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct hn_gguf_tensor *s = *(const struct hn_gguf_tensor *const *)a;
    const struct hn_gguf_tensor *t = *(const struct hn_gguf_tensor *const *)b;
    if (s->data != t->data)
        return s->data < t->data ? -1 : 1;
    return s->size < t->size ? -1 : s->size > t->size;
}

/* Give every tensor its bytes: inside the file, aligned, and nobody else's. */
static int place(struct parse *p, const uint64_t *offsets)
{
    struct hn_gguf *g = p->g;
    uint64_t start = (p->r.at + g->alignment - 1) / g->alignment * g->alignment;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct hn_gguf_tensor *t = &g->tensors[i];
        uint64_t begin, end;
        if (offsets[i] % g->alignment)
            return hn_fail(p->err, HONE_FAILED,
                           "%s: tensor \"%s\": offset %llu is not a multiple of the alignment %llu",
                           p->path, t->name, (unsigned long long)offsets[i],
                           (unsigned long long)g->alignment);
        if (hn_add_overflows(start, offsets[i], &begin) ||
            hn_add_overflows(begin, (uint64_t)t->size, &end) || end > p->r.size)
            return hn_fail(p->err, HONE_FAILED,
                           "%s: tensor \"%s\" lies past the end of the file (%zu bytes): it is cut "
                           "short or damaged",
                           p->path, t->name, p->r.size);
        t->data = p->r.data + begin;
        g->by_name[i] = t;
    }
    if (g->n_tensors)
        qsort(g->by_name, g->n_tensors, sizeof *g->by_name, compare_places);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (g->by_name[i - 1]->data + g->by_name[i - 1]->size > g->by_name[i]->data)
            return hn_fail(p->err, HONE_FAILED, "%s: tensors \"%s\" and \"%s\" overlap", p->path,
                           g->by_name[i - 1]->name, g->by_name[i]->name);
    return 0;
}

static int read_tensors(struct parse *p, uint64_t n)
{
    struct hn_gguf *g = p->g;
    g->n_tensors = (size_t)n;
    g->tensors = hn_arena_alloc(&g->arena, g->n_tensors, sizeof *g->tensors);
    g->by_name = hn_arena_alloc(&g->arena, g->n_tensors, sizeof *g->by_name);
    uint64_t *offsets = hn_calloc(g->n_tensors, sizeof *offsets);
    int rc = 0;
    if (g->arena.failed || !offsets)
        rc = hn_fail_memory(p->err, "reading a GGUF header");
    for (size_t i = 0; i < g->n_tensors && !rc; i++)
        rc = read_tensor(p, i, &g->tensors[i], &offsets[i]);
    if (!rc)
        rc = place(p, offsets);
    hn_free(offsets);
    if (rc)
        return rc;
    if (n)
        qsort(g->by_name, g->n_tensors, sizeof *g->by_name, compare_tensors);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (strcmp(g->by_name[i - 1]->name, g->by_name[i]->name) == 0)
            return hn_fail(p->err, HONE_FAILED, "%s: tensor \"%s\" is there twice", p->path,
                           g->by_name[i]->name);
    return 0;
}

static int parse(struct parse *p)
{
    int rc = read_version(p);
    if (rc)
        return rc;
    uint64_t n_tensors = hn_read_u64(&p->r), n_pairs = hn_read_u64(&p->r);
    if (p->r.failed)
        return fail_cut(p, "the header");
    if (n_tensors > hn_reader_left(&p->r) / MIN_TENSOR)
        return hn_fail(p->err, HONE_FAILED,
                       "%s claims %llu tensors, more than its %zu bytes can hold", p->path,
                       (unsigned long long)n_tensors, p->r.size);
    rc = read_pairs(p, n_pairs);
    if (!rc)
        rc = read_alignment(p);
    return rc ? rc : read_tensors(p, n_tensors);
}

int hn_gguf_open_memory(struct hn_gguf *g, const void *data, size_t size, const char *path,
                        struct hone_err *err)
{
    *g = (struct hn_gguf){0};
    hn_arena_init(&g->arena, 0);
    struct parse p = {.g = g, .path = path, .err = err};
    hn_reader_init(&p.r, data, size);
    int rc = parse(&p);
    if (rc)
        hn_gguf_release(g);
    return rc;
}

int hn_gguf_open(struct hn_gguf *g, const char *path, struct hone_err *err)
{
    *g = (struct hn_gguf){0};
    struct hn_map map;
    int rc = hn_map_open(&map, path, err);
    if (rc)
        return rc;
    rc = hn_gguf_open_memory(g, map.data, map.size, path, err);
    if (rc)
        hn_map_close(&map);
    else
        g->map = map;
    return rc;
}

void hn_gguf_release(struct hn_gguf *g)
{
    hn_map_close(&g->map);
    hn_arena_release(&g->arena);
    *g = (struct hn_gguf){0};
}

static int compare_key(const void *key, const void *pair)
{
    return strcmp(key, (*(const struct hn_gguf_pair *const *)pair)->key);
}

static int compare_name(const void *name, const void *tensor)
{
    return strcmp(name, (*(const struct hn_gguf_tensor *const *)tensor)->name);
}

const struct hn_gguf_value *hn_gguf_get(const struct hn_gguf *g, const char *key)
{
    if (!g->n_pairs)
        return NULL;
    const struct hn_gguf_pair *const *found =
        bsearch(key, g->by_key, g->n_pairs, sizeof *g->by_key, compare_key);
    return found ? &(*found)->value : NULL;
}

const struct hn_gguf_tensor *hn_gguf_find(const struct hn_gguf *g, const char *name)
{
    if (!g->n_tensors)
        return NULL;
    const struct hn_gguf_tensor *const *found =
        bsearch(name, g->by_name, g->n_tensors, sizeof *g->by_name, compare_name);
    return found ? *found : NULL;
}
