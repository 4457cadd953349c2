/* Reading safetensors.  The checks are those of the reference reader (github.com/huggingface/
 * safetensors, README "Format"): the header is at most 100 MB and inside the file; every tensor's
 * bytes match its shape; together they cover the data section exactly, once. */
#include "format/safetensors.h"
#include "base/reader.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t max_header = 100u << 20;
static const size_t max_tree = (size_t)2 << 30; /* what a parsed header may take in memory */

struct parse {
    struct hn_safetensors *st;
    const char *path;
    const unsigned char *data; /* of the data section */
    uint64_t data_size;
    struct hone_err *err;
};

static int fail_tensor(const struct parse *p, const char *name, const char *what)
{
    return hn_fail(p->err, HONE_FAILED, "%s: tensor \"%s\": %s", p->path, name, what);
}

static int read_dtype(const struct parse *p, const struct hn_json *j, struct hn_st_tensor *t)
{
    struct hn_str s;
    if (!hn_json_str(j, &s))
        return hn_fail(p->err, HONE_FAILED, "%s: tensor \"%s\": dtype is %s, expected a string",
                       p->path, t->name, hn_json_type_name(j));
    if (!hn_dtype_parse(s.p, s.n, &t->dtype))
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\": element type \"%.*s\" is not one that hone reads",
                       p->path, t->name, (int)HN_MIN(s.n, (size_t)40), s.p);
    return 0;
}

/* Elements of the shape; fails on overflow even where a zero elsewhere makes the product 0, so that
 * any product of its parts is safe later. */
static int read_shape(const struct parse *p, const struct hn_json *j, struct hn_st_tensor *t)
{
    if (!j || j->type != HN_JSON_ARRAY)
        return hn_fail(p->err, HONE_FAILED, "%s: tensor \"%s\": shape is %s, expected an array",
                       p->path, t->name, hn_json_type_name(j));
    if (j->n > HN_ST_MAX_DIMS)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\" has %zu dimensions, expected at most %d", p->path,
                       t->name, j->n, HN_ST_MAX_DIMS);
    t->n_dims = (int)j->n;
    int64_t bound = (int64_t)hn_dtype_size(t->dtype);
    bool empty = false;
    t->n_elements = 1;
    for (size_t i = 0; i < j->n; i++) {
        int64_t d;
        if (!hn_json_int(&j->items[i], &d) || d < 0)
            return fail_tensor(p, t->name,
                               "a dimension of its shape is not a non-negative integer");
        t->shape[i] = d;
        empty |= d == 0;
        if (hn_mul_overflows(bound, HN_MAX(d, (int64_t)1), &bound))
            return fail_tensor(p, t->name, "its shape has more elements than can be counted");
        t->n_elements *= HN_MAX(d, (int64_t)1);
    }
    if (empty)
        t->n_elements = 0;
    return 0;
}

static int read_offsets(const struct parse *p, const struct hn_json *j, struct hn_st_tensor *t)
{
    int64_t begin, end;
    if (!j || j->type != HN_JSON_ARRAY || j->n != 2 || !hn_json_int(&j->items[0], &begin) ||
        !hn_json_int(&j->items[1], &end) || begin < 0 || end < begin)
        return fail_tensor(p, t->name, "data_offsets is not [begin, end] with 0 <= begin <= end");
    if ((uint64_t)end > p->data_size)
        return hn_fail(
            p->err, HONE_FAILED,
            "%s: tensor \"%s\" ends at byte %lld of the data, but the file has only %llu: "
            "it is cut short or damaged",
            p->path, t->name, (long long)end, (unsigned long long)p->data_size);
    t->data = p->data + begin;
    t->size = (size_t)(end - begin);
    if (t->size != (size_t)t->n_elements * hn_dtype_size(t->dtype))
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\" has %zu bytes of data, but its shape and type need %zu",
                       p->path, t->name, t->size, (size_t)t->n_elements * hn_dtype_size(t->dtype));
    return 0;
}

static int read_tensor(const struct parse *p, const struct hn_json_member *m,
                       struct hn_st_tensor *t)
{
    if (memchr(m->key.p, 0, m->key.n))
        return hn_fail(p->err, HONE_FAILED, "%s: a tensor's name holds a NUL character: \"%s\"…",
                       p->path, m->key.p);
    t->name = m->key.p; /* the JSON reader ends strings with a NUL */
    if (m->value.type != HN_JSON_OBJECT)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: tensor \"%s\" is described by %s, expected an object", p->path, t->name,
                       hn_json_type_name(&m->value));
    for (size_t i = 0; i < m->value.n; i++) {
        struct hn_str k = m->value.members[i].key;
        if (!hn_str_is(k, "dtype") && !hn_str_is(k, "shape") && !hn_str_is(k, "data_offsets"))
            return hn_fail(p->err, HONE_FAILED,
                           "%s: tensor \"%s\": unknown key \"%.*s\", expected dtype, shape and "
                           "data_offsets",
                           p->path, t->name, (int)HN_MIN(k.n, (size_t)40), k.p);
    }
    int rc = read_dtype(p, hn_json_get(&m->value, "dtype"), t);
    if (!rc)
        rc = read_shape(p, hn_json_get(&m->value, "shape"), t);
    if (!rc)
        rc = read_offsets(p, hn_json_get(&m->value, "data_offsets"), t);
    return rc;
}

static int read_metadata(const struct parse *p, const struct hn_json *j)
{
    if (j->type == HN_JSON_NULL) /* MLX writes this for "none" */
        return 0;
    if (j->type != HN_JSON_OBJECT)
        return hn_fail(p->err, HONE_FAILED, "%s: __metadata__ is %s, expected an object of strings",
                       p->path, hn_json_type_name(j));
    for (size_t i = 0; i < j->n; i++)
        if (j->members[i].value.type != HN_JSON_STRING)
            return hn_fail(p->err, HONE_FAILED, "%s: __metadata__.%.*s is %s, expected a string",
                           p->path, (int)HN_MIN(j->members[i].key.n, (size_t)80),
                           j->members[i].key.p, hn_json_type_name(&j->members[i].value));
    p->st->metadata = j;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct hn_st_tensor *s = a, *t = b;
    if (s->data != t->data)
        return s->data < t->data ? -1 : 1;
    return s->size < t->size ? -1 : s->size > t->size;
}

static int by_name(const void *a, const void *b)
{
    const struct hn_st_tensor *s = a, *t = b;
    return strcmp(s->name, t->name);
}

/* The tensors must cover the data section without overlap and without a hole. */
static int check_cover(const struct parse *p)
{
    struct hn_safetensors *st = p->st;
    const unsigned char *at = p->data;
    qsort(st->tensors, st->n, sizeof *st->tensors, by_place);
    for (size_t i = 0; i < st->n; i++) {
        const struct hn_st_tensor *t = &st->tensors[i];
        if (t->data != at)
            return hn_fail(p->err, HONE_FAILED,
                           "%s: tensor \"%s\" begins at byte %zu of the data, expected %zu: the "
                           "tensors %s",
                           p->path, t->name, (size_t)(t->data - p->data), (size_t)(at - p->data),
                           t->data < at ? "overlap" : "leave a hole");
        at = t->data + t->size;
    }
    if ((uint64_t)(at - p->data) != p->data_size)
        return hn_fail(p->err, HONE_FAILED,
                       "%s: the tensors end at byte %zu of the data, but the file has %llu",
                       p->path, (size_t)(at - p->data), (unsigned long long)p->data_size);
    qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    return 0;
}

static int read_header(const struct parse *p, const struct hn_json *root)
{
    struct hn_safetensors *st = p->st;
    st->tensors = hn_arena_alloc(&st->arena, root->n, sizeof *st->tensors);
    if (!st->tensors)
        return hn_fail_memory(p->err, "reading a safetensors header");
    for (size_t i = 0; i < root->n; i++) {
        const struct hn_json_member *m = &root->members[i];
        int rc;
        if (hn_str_is(m->key, "__metadata__"))
            rc = read_metadata(p, &m->value);
        else
            rc = read_tensor(p, m, &st->tensors[st->n++]);
        if (rc)
            return rc;
    }
    return check_cover(p);
}

static int parse(struct hn_safetensors *st, const unsigned char *data, size_t size,
                 const char *path, struct hone_err *err)
{
    struct hn_reader r;
    hn_reader_init(&r, data, size);
    uint64_t length = hn_read_u64(&r);
    if (r.failed)
        return hn_fail(
            err, HONE_FAILED,
            "%s: %zu bytes are too few for a safetensors file, which begins with 8 bytes "
            "of header length",
            path, size);
    if (length > max_header)
        return hn_fail(
            err, HONE_FAILED,
            "%s: not a safetensors file, or a damaged one: its header would be %llu bytes "
            "long, expected at most %llu",
            path, (unsigned long long)length, (unsigned long long)max_header);
    struct hn_str header = hn_read_bytes(&r, length);
    if (r.failed)
        return hn_fail(
            err, HONE_FAILED,
            "%s: the header should be %llu bytes long, but the file ends after %zu: it is "
            "cut short or damaged",
            path, (unsigned long long)length, size - 8);
    if (!header.n || header.p[0] != '{')
        return hn_fail(err, HONE_FAILED,
                       "%s: not a safetensors file: its header does not begin with {", path);
    struct hn_json *root;
    int rc = hn_json_parse(&st->arena, header.p, header.n, HN_JSON_UNIQUE_KEYS, &root, err);
    if (rc)
        return hn_fail_prefix(err, "%s: safetensors header", path);
    struct parse p = {st, path, data + r.at, hn_reader_left(&r), err};
    return read_header(&p, root);
}

int hn_st_open_memory(struct hn_safetensors *st, const void *data, size_t size, const char *path,
                      struct hone_err *err)
{
    *st = (struct hn_safetensors){0};
    hn_arena_init(&st->arena, max_tree);
    int rc = parse(st, data, size, path, err);
    if (rc)
        hn_st_release(st);
    return rc;
}

int hn_st_open(struct hn_safetensors *st, const char *path, struct hone_err *err)
{
    *st = (struct hn_safetensors){0};
    struct hn_map map;
    int rc = hn_map_open(&map, path, err);
    if (rc)
        return rc;
    rc = hn_st_open_memory(st, map.data, map.size, path, err);
    if (rc)
        hn_map_close(&map);
    else
        st->map = map;
    return rc;
}

void hn_st_release(struct hn_safetensors *st)
{
    hn_map_close(&st->map);
    hn_arena_release(&st->arena);
    *st = (struct hn_safetensors){0};
}

static int compare_key(const void *key, const void *tensor)
{
    return strcmp(key, ((const struct hn_st_tensor *)tensor)->name);
}

const struct hn_st_tensor *hn_st_find(const struct hn_safetensors *st, const char *name)
{
    return st->n ? bsearch(name, st->tensors, st->n, sizeof *st->tensors, compare_key) : NULL;
}

bool hn_st_metadata(const struct hn_safetensors *st, const char *key, struct hn_str *out)
{
    return hn_json_str(hn_json_get(st->metadata, key), out);
}
