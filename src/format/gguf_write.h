/* Writing GGUF, version 3: metadata are gathered first, then the tensors are streamed behind their
 * directory, atomically. */
#ifndef HN_FORMAT_GGUF_WRITE_H
#define HN_FORMAT_GGUF_WRITE_H

#include "base/buf.h"
#include "format/gguf.h"

/* Metadata as they will lie in the file.  Zero-initialise, release when done; sticky, as struct
 * hn_buf is.  Keys are not checked to be unique. */
struct hn_gguf_meta {
    struct hn_buf bytes;
    uint64_t n;
};
void hn_gguf_meta_release(struct hn_gguf_meta *m);
void hn_gguf_meta_u32(struct hn_gguf_meta *m, const char *key, uint32_t v);
void hn_gguf_meta_f32(struct hn_gguf_meta *m, const char *key, float v);
void hn_gguf_meta_bool(struct hn_gguf_meta *m, const char *key, bool v);
void hn_gguf_meta_str(struct hn_gguf_meta *m, const char *key, struct hn_str v);
/* An array of n items of this type, which the caller adds right after, each with its function. */
void hn_gguf_meta_array(struct hn_gguf_meta *m, const char *key, enum hn_gguf_type item_type,
                        uint64_t n);
void hn_gguf_item_str(struct hn_gguf_meta *m, struct hn_str v);
void hn_gguf_item_i32(struct hn_gguf_meta *m, int32_t v);
void hn_gguf_item_f32(struct hn_gguf_meta *m, float v);
/* A pair of an opened file, as it stands there. */
void hn_gguf_meta_copy(struct hn_gguf_meta *m, const struct hn_gguf_pair *pair);

/* One tensor to be written. */
struct hn_gguf_entry {
    const char *name;
    uint32_t type; /* ggml's number */
    int n_dims;
    int64_t shape[HN_GGUF_MAX_DIMS]; /* innermost first */
    uint64_t size;                   /* bytes */
};

/* Open with all entries, add the bytes of each in order (in pieces of any size; padding between
 * them is the writer's), commit.  A total that differs from the entries' fails commit. */
struct hn_gguf_writer {
    struct hn_file_writer file;
    const struct hn_gguf_entry *entries; /* [n], borrowed */
    size_t n, at;                        /* the entry that is being written */
    uint64_t left;                       /* bytes that it still needs */
};
HN_MUST_USE int hn_gguf_writer_open(struct hn_gguf_writer *w, const char *path,
                                    const struct hn_gguf_meta *meta,
                                    const struct hn_gguf_entry *entries, size_t n,
                                    struct hone_err *err);
void hn_gguf_writer_add(struct hn_gguf_writer *w, const void *p, size_t n);
HN_MUST_USE int hn_gguf_writer_commit(struct hn_gguf_writer *w, struct hone_err *err);
void hn_gguf_writer_cancel(struct hn_gguf_writer *w);

#endif
