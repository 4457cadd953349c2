/* Writing safetensors: the header is computed from the entries, then the bytes are streamed behind
 * it into a temporary file that takes the final name only when all of them are there. */
#include "format/safetensors.h"

static void write_entry(struct hn_json_writer *w, const struct hn_st_entry *e, uint64_t begin,
                        uint64_t end)
{
    hn_jw_put_open(w, e->name, '{');
    hn_jw_put_str(w, "dtype", hn_dtype_name(e->dtype));
    hn_jw_put_open(w, "shape", '[');
    for (int i = 0; i < e->n_dims; i++)
        hn_jw_int(w, e->shape[i]);
    hn_jw_close(w, ']');
    hn_jw_put_open(w, "data_offsets", '[');
    hn_jw_int(w, (int64_t)begin);
    hn_jw_int(w, (int64_t)end);
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static size_t entry_size(const struct hn_st_entry *e)
{
    size_t size = hn_dtype_size(e->dtype);
    for (int i = 0; i < e->n_dims; i++)
        HN_ASSERT(!hn_mul_overflows(size, (size_t)e->shape[i], &size));
    return size;
}

/* The header of these entries, length field included, ends at a multiple of 8; *data_size bytes
 * follow. */
static void build_header(struct hn_buf *out, const struct hn_st_entry *entries, size_t n,
                         const struct hn_st_pair *metadata, size_t n_metadata, uint64_t *data_size)
{
    struct hn_json_writer w;
    hn_buf_add(out, "\0\0\0\0\0\0\0\0", 8);
    hn_jw_init(&w, out, -1);
    hn_jw_open(&w, '{');
    if (metadata) {
        hn_jw_put_open(&w, "__metadata__", '{');
        for (size_t i = 0; i < n_metadata; i++)
            hn_jw_put_str(&w, metadata[i].key, metadata[i].value);
        hn_jw_close(&w, '}');
    }
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t end = at + entry_size(&entries[i]);
        write_entry(&w, &entries[i], at, end);
        at = end;
    }
    hn_jw_close(&w, '}');
    while (out->len % 8 && !out->failed)
        hn_buf_add_char(out, ' ');
    for (int i = 0; i < 8 && !out->failed; i++)
        out->data[i] = (char)((uint64_t)(out->len - 8) >> (8 * i));
    *data_size = at;
}

int hn_st_writer_open(struct hn_st_writer *w, const char *path, const struct hn_st_entry *entries,
                      size_t n, const struct hn_st_pair *metadata, size_t n_metadata,
                      struct hone_err *err)
{
    *w = (struct hn_st_writer){0};
    struct hn_buf header = {0};
    uint64_t data_size;
    build_header(&header, entries, n, metadata, n_metadata, &data_size);
    int rc = header.failed ? hn_fail_memory(err, "writing a safetensors header")
                           : hn_file_writer_open(&w->file, path, err);
    if (!rc) {
        w->expected = header.len + data_size;
        hn_file_writer_add(&w->file, header.data, header.len);
    }
    hn_buf_release(&header);
    return rc;
}

void hn_st_writer_add(struct hn_st_writer *w, const void *p, size_t n)
{
    hn_file_writer_add(&w->file, p, n);
}

int hn_st_writer_commit(struct hn_st_writer *w, struct hone_err *err)
{
    if (!w->file.error && w->file.size != w->expected) {
        int rc = hn_fail(
            err, HONE_FAILED, "writing %s: %llu bytes were produced, but its header promises %llu",
            w->file.path, (unsigned long long)w->file.size, (unsigned long long)w->expected);
        hn_file_writer_cancel(&w->file);
        return rc;
    }
    return hn_file_writer_commit(&w->file, err);
}

void hn_st_writer_cancel(struct hn_st_writer *w)
{
    hn_file_writer_cancel(&w->file);
}

int hn_st_write(const char *path, const struct hn_st_entry *entries, size_t n,
                const struct hn_st_pair *metadata, size_t n_metadata, struct hone_err *err)
{
    struct hn_st_writer w;
    int rc = hn_st_writer_open(&w, path, entries, n, metadata, n_metadata, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        hn_st_writer_add(&w, entries[i].data, entry_size(&entries[i]));
    return hn_st_writer_commit(&w, err);
}
