#include "format/gguf_write.h"

#include <string.h>

enum { ALIGNMENT = 32, VERSION = 3 };

static void add_u32(struct hn_buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        hn_buf_add_char(b, (char)(v >> 8 * i));
}

static void add_u64(struct hn_buf *b, uint64_t v)
{
    add_u32(b, (uint32_t)v);
    add_u32(b, (uint32_t)(v >> 32));
}

static void add_str(struct hn_buf *b, struct hn_str s)
{
    add_u64(b, s.n);
    hn_buf_add(b, s.p, s.n);
}

static void add_f32(struct hn_buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    add_u32(b, bits);
}

void hn_gguf_meta_release(struct hn_gguf_meta *m)
{
    hn_buf_release(&m->bytes);
    m->n = 0;
}

static void begin(struct hn_gguf_meta *m, const char *key, enum hn_gguf_type type)
{
    add_str(&m->bytes, hn_str_of(key));
    add_u32(&m->bytes, type);
    m->n++;
}

void hn_gguf_meta_u32(struct hn_gguf_meta *m, const char *key, uint32_t v)
{
    begin(m, key, HN_GGUF_U32);
    add_u32(&m->bytes, v);
}

void hn_gguf_meta_f32(struct hn_gguf_meta *m, const char *key, float v)
{
    begin(m, key, HN_GGUF_F32);
    add_f32(&m->bytes, v);
}

void hn_gguf_meta_bool(struct hn_gguf_meta *m, const char *key, bool v)
{
    begin(m, key, HN_GGUF_BOOL);
    hn_buf_add_char(&m->bytes, v);
}

void hn_gguf_meta_str(struct hn_gguf_meta *m, const char *key, struct hn_str v)
{
    begin(m, key, HN_GGUF_STRING);
    add_str(&m->bytes, v);
}

void hn_gguf_meta_array(struct hn_gguf_meta *m, const char *key, enum hn_gguf_type item_type,
                        uint64_t n)
{
    begin(m, key, HN_GGUF_ARRAY);
    add_u32(&m->bytes, item_type);
    add_u64(&m->bytes, n);
}

void hn_gguf_item_str(struct hn_gguf_meta *m, struct hn_str v)
{
    add_str(&m->bytes, v);
}

void hn_gguf_item_i32(struct hn_gguf_meta *m, int32_t v)
{
    add_u32(&m->bytes, (uint32_t)v);
}

void hn_gguf_item_f32(struct hn_gguf_meta *m, float v)
{
    add_f32(&m->bytes, v);
}

void hn_gguf_meta_copy(struct hn_gguf_meta *m, const struct hn_gguf_pair *pair)
{
    const struct hn_gguf_value *v = &pair->value;
    if (v->type == HN_GGUF_STRING) {
        hn_gguf_meta_str(m, pair->key, (struct hn_str){(const char *)v->data, v->size});
        return;
    }
    if (v->type == HN_GGUF_ARRAY)
        hn_gguf_meta_array(m, pair->key, v->item_type, v->n);
    else
        begin(m, pair->key, v->type);
    hn_buf_add(&m->bytes, v->data, v->size);
}

static uint64_t padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* What comes before the tensors' data. */
static void build_header(struct hn_buf *out, const struct hn_gguf_meta *meta,
                         const struct hn_gguf_entry *entries, size_t n)
{
    uint64_t at = 0;
    hn_buf_add(out, "GGUF", 4);
    add_u32(out, VERSION);
    add_u64(out, n);
    add_u64(out, meta->n);
    hn_buf_add(out, meta->bytes.data, meta->bytes.len);
    for (size_t i = 0; i < n; i++) {
        add_str(out, hn_str_of(entries[i].name));
        add_u32(out, (uint32_t)entries[i].n_dims);
        for (int d = 0; d < entries[i].n_dims; d++)
            add_u64(out, (uint64_t)entries[i].shape[d]);
        add_u32(out, entries[i].type);
        add_u64(out, at);
        at += padded(entries[i].size);
    }
    while (out->len % ALIGNMENT && !out->failed)
        hn_buf_add_char(out, 0);
}

/* On to the next entry that has bytes, once the one at hand has all of its own. */
static void settle(struct hn_gguf_writer *w)
{
    static const char zeros[ALIGNMENT];
    while (w->at < w->n && w->left == 0) {
        uint64_t size = w->entries[w->at].size;
        hn_file_writer_add(&w->file, zeros, (size_t)(padded(size) - size));
        w->at++;
        w->left = w->at < w->n ? w->entries[w->at].size : 0;
    }
}

int hn_gguf_writer_open(struct hn_gguf_writer *w, const char *path, const struct hn_gguf_meta *meta,
                        const struct hn_gguf_entry *entries, size_t n, struct hone_err *err)
{
    *w = (struct hn_gguf_writer){.entries = entries, .n = n, .left = n ? entries[0].size : 0};
    struct hn_buf header = {0};
    build_header(&header, meta, entries, n);
    int rc = header.failed || meta->bytes.failed ? hn_fail_memory(err, "writing a GGUF header")
                                                 : hn_file_writer_open(&w->file, path, err);
    if (!rc) {
        hn_file_writer_add(&w->file, header.data, header.len);
        settle(w);
    }
    hn_buf_release(&header);
    return rc;
}

void hn_gguf_writer_add(struct hn_gguf_writer *w, const void *p, size_t n)
{
    const unsigned char *at = p;
    while (n && w->at < w->n) {
        size_t part = (size_t)HN_MIN((uint64_t)n, w->left);
        hn_file_writer_add(&w->file, at, part);
        at += part;
        n -= part;
        w->left -= part;
        settle(w);
    }
    HN_ASSERT(n == 0); /* more bytes than the entries have */
}

int hn_gguf_writer_commit(struct hn_gguf_writer *w, struct hone_err *err)
{
    HN_ASSERT(w->at == w->n || w->file.error);
    return hn_file_writer_commit(&w->file, err);
}

void hn_gguf_writer_cancel(struct hn_gguf_writer *w)
{
    hn_file_writer_cancel(&w->file);
}
