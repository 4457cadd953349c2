/* The safetensors format: u64 header length, a JSON object of tensors, their bytes.  Read mapped
 * and strictly (every tensor inside the file, no overlap, no hole, no surprise); written streaming
 * and atomically.  Data may be unaligned: MLX does not pad its headers. */
#ifndef HN_FORMAT_SAFETENSORS_H
#define HN_FORMAT_SAFETENSORS_H

#include "base/file.h"
#include "base/json.h"
#include "quant/dtype.h"

enum { HN_ST_MAX_DIMS = 8 };

struct hn_st_tensor {
    const char *name; /* NUL-terminated (a name that holds a NUL is refused) */
    enum hn_dtype dtype;
    int n_dims;                    /* 0: a scalar */
    int64_t shape[HN_ST_MAX_DIMS]; /* outermost first */
    int64_t n_elements;
    const unsigned char *data; /* borrowed from the map; any alignment; valid for size bytes */
    size_t size;               /* bytes */
};

/* One opened file.  Everything in it is borrowed by readers and lives until release. */
struct hn_safetensors {
    struct hn_map map;
    struct hn_arena arena;
    const struct hn_json *metadata; /* an object of strings, or NULL */
    struct hn_st_tensor *tensors;   /* [n] sorted by name, bytewise */
    size_t n;
};

/* Every message begins with the path.  On failure *st is empty (release is harmless). */
HN_MUST_USE int hn_st_open(struct hn_safetensors *st, const char *path, struct hone_err *err);
/* The same over bytes that the caller owns and keeps (for tests and fuzzing). */
HN_MUST_USE int hn_st_open_memory(struct hn_safetensors *st, const void *data, size_t size,
                                  const char *path, struct hone_err *err);
void hn_st_release(struct hn_safetensors *st);

/* The tensor, or NULL. */
const struct hn_st_tensor *hn_st_find(const struct hn_safetensors *st, const char *name);
/* The value of a __metadata__ key; false when there is none. */
bool hn_st_metadata(const struct hn_safetensors *st, const char *key, struct hn_str *out);

/* One tensor to be written.  data may be NULL when the caller streams it (hn_st_writer_add). */
struct hn_st_entry {
    const char *name;
    enum hn_dtype dtype;
    int n_dims;
    const int64_t *shape; /* [n_dims] */
    const void *data;     /* n_elements * hn_dtype_size bytes */
};
struct hn_st_pair {
    const char *key, *value;
};

/* Write the whole file, atomically: entries in the order given, header padded with spaces to a
 * multiple of 8, so that float32 data are aligned.  metadata may be NULL (then no __metadata__). */
HN_MUST_USE int hn_st_write(const char *path, const struct hn_st_entry *entries, size_t n,
                            const struct hn_st_pair *metadata, size_t n_metadata,
                            struct hone_err *err);

/* The same in parts, for data that do not fit in memory: open with all entries, add the bytes of
 * each in order (in pieces of any size), commit.  A total that differs from the header's fails
 * commit. */
struct hn_st_writer {
    struct hn_file_writer file;
    uint64_t expected; /* bytes of the whole file */
};
HN_MUST_USE int hn_st_writer_open(struct hn_st_writer *w, const char *path,
                                  const struct hn_st_entry *entries, size_t n,
                                  const struct hn_st_pair *metadata, size_t n_metadata,
                                  struct hone_err *err);
void hn_st_writer_add(struct hn_st_writer *w, const void *p, size_t n);
HN_MUST_USE int hn_st_writer_commit(struct hn_st_writer *w, struct hone_err *err);
void hn_st_writer_cancel(struct hn_st_writer *w);

#endif
