/* The GGUF format, versions 2 and 3, little-endian: metadata, tensor directory, aligned data.  Read
 * mapped; nothing is copied: strings and arrays are borrowed views of the file, checked once at
 * opening, so that reading them later cannot fail. */
#ifndef HN_FORMAT_GGUF_H
#define HN_FORMAT_GGUF_H

#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"

enum hn_gguf_type { /* of a metadata value; numbers as in the file */
                    HN_GGUF_U8,
                    HN_GGUF_I8,
                    HN_GGUF_U16,
                    HN_GGUF_I16,
                    HN_GGUF_U32,
                    HN_GGUF_I32,
                    HN_GGUF_F32,
                    HN_GGUF_BOOL,
                    HN_GGUF_STRING,
                    HN_GGUF_ARRAY,
                    HN_GGUF_U64,
                    HN_GGUF_I64,
                    HN_GGUF_F64,
                    HN_GGUF_TYPE_COUNT
};

struct hn_gguf_value {
    enum hn_gguf_type type;
    enum hn_gguf_type item_type; /* ARRAY: of its items */
    uint64_t n;                  /* ARRAY: items */
    const unsigned char *data; /* the value's bytes (STRING: its characters; ARRAY: its first item,
                                  a string with its length before it); borrowed, unaligned */
    size_t size;               /* bytes at data */
};

struct hn_gguf_pair {
    const char *key;
    struct hn_gguf_value value;
};

enum { HN_GGUF_MAX_DIMS = 4 };

struct hn_gguf_tensor {
    const char *name;
    uint32_t type; /* as ggml numbers them: hn_ggml_type_name */
    int n_dims;
    int64_t
        shape[HN_GGUF_MAX_DIMS]; /* innermost first, as in the file: shape[0] is the row length */
    int64_t n_elements;
    const unsigned char *data; /* borrowed from the map; valid for size bytes */
    size_t size;
};

struct hn_gguf {
    struct hn_map map;
    struct hn_arena arena;
    uint32_t version;
    uint64_t alignment;
    struct hn_gguf_pair *pairs; /* [n_pairs] in file order */
    size_t n_pairs;
    struct hn_gguf_tensor *tensors; /* [n_tensors] in file order */
    size_t n_tensors;
    const struct hn_gguf_pair **by_key;    /* [n_pairs] sorted by key */
    const struct hn_gguf_tensor **by_name; /* [n_tensors] sorted by name */
};

/* Every message begins with the path.  On failure *g is empty (release is harmless). */
HN_MUST_USE int hn_gguf_open(struct hn_gguf *g, const char *path, struct hone_err *err);
/* The same over bytes that the caller owns and keeps (for tests and fuzzing). */
HN_MUST_USE int hn_gguf_open_memory(struct hn_gguf *g, const void *data, size_t size,
                                    const char *path, struct hone_err *err);
void hn_gguf_release(struct hn_gguf *g);

/* Lookups in O(log n); NULL when absent. */
const struct hn_gguf_value *hn_gguf_get(const struct hn_gguf *g, const char *key);
const struct hn_gguf_tensor *hn_gguf_find(const struct hn_gguf *g, const char *name);

/* Typed reads of a value: true and *out set when v (which may be NULL) is of such a type; any
 * integer type that fits is an int, any number is a float; a bool is only a bool. */
bool hn_gguf_int(const struct hn_gguf_value *v, int64_t *out);
bool hn_gguf_float(const struct hn_gguf_value *v, double *out);
bool hn_gguf_bool(const struct hn_gguf_value *v, bool *out);
bool hn_gguf_str(const struct hn_gguf_value *v, struct hn_str *out); /* not NUL-terminated */

/* Items of an ARRAY of numbers or bools in O(1); false when v is not such an array, i is past its
 * end, or the item's type does not suit. */
bool hn_gguf_int_at(const struct hn_gguf_value *v, uint64_t i, int64_t *out);
bool hn_gguf_float_at(const struct hn_gguf_value *v, uint64_t i, double *out);
/* The number of items when v is an ARRAY of this type, else 0. */
uint64_t hn_gguf_count(const struct hn_gguf_value *v, enum hn_gguf_type item_type);

/* Items of any ARRAY in order (the way to read strings and nested arrays):
 *     struct hn_gguf_items it = hn_gguf_items(v);
 *     struct hn_str s;
 *     while (hn_gguf_next_str(&it, &s)) …
 * Strings are borrowed from the file, not NUL-terminated, and not checked to be UTF-8 (a
 * vocabulary may hold broken pieces). */
struct hn_gguf_items {
    enum hn_gguf_type type; /* of the items; HN_GGUF_TYPE_COUNT when v is not an array */
    uint64_t left;
    const unsigned char *at;
    size_t size; /* bytes left */
};
struct hn_gguf_items hn_gguf_items(const struct hn_gguf_value *v);
bool hn_gguf_next(struct hn_gguf_items *it, struct hn_gguf_value *out); /* any type */
bool hn_gguf_next_str(struct hn_gguf_items *it, struct hn_str *out);

/* What is known of a ggml tensor type; every number ever assigned has a name. */
struct hn_ggml_type {
    const char *name;    /* "Q4_K" */
    uint16_t block;      /* elements in one block */
    uint16_t block_size; /* bytes of it; 0: a type that was removed from ggml */
};
const struct hn_ggml_type *hn_ggml_type(uint32_t type); /* NULL: no such type is known */
const char *hn_ggml_type_name(uint32_t type);           /* "unknown" when there is none */

#endif
