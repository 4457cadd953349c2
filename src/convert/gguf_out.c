/* A GGUF file of a model: metadata and vocabulary, then the tensors. */
#include "base/file.h"
#include "convert/convert_impl.h"
#include "convert/gguf_meta.h"
#include "format/gguf_names.h"

#include <string.h>

/* ggml's numbers of the types that hone writes or copies (gguf.constants, GGMLQuantizationType). */
static uint32_t ggml_number(enum hn_layout layout)
{
    static const uint8_t numbers[HN_LAYOUT_COUNT] = {
        [HN_LAYOUT_F32] = 0,    [HN_LAYOUT_F16] = 1,     [HN_LAYOUT_BF16] = 30,
        [HN_LAYOUT_Q4_0] = 2,   [HN_LAYOUT_Q4_1] = 3,    [HN_LAYOUT_Q5_0] = 6,
        [HN_LAYOUT_Q5_1] = 7,   [HN_LAYOUT_Q8_0] = 8,    [HN_LAYOUT_Q2_K] = 10,
        [HN_LAYOUT_Q3_K] = 11,  [HN_LAYOUT_Q4_K] = 12,   [HN_LAYOUT_Q5_K] = 13,
        [HN_LAYOUT_Q6_K] = 14,  [HN_LAYOUT_IQ4_NL] = 20, [HN_LAYOUT_IQ4_XS] = 23,
        [HN_LAYOUT_MXFP4] = 39,
    };
    return numbers[layout];
}

static int list_entries(struct hn_converter *c, struct hn_gguf_entry **out)
{
    struct hn_gguf_entry *e = hn_arena_alloc(&c->arena, c->n, sizeof *e);
    for (size_t i = 0; i < c->n && e; i++) {
        const struct hn_tensor *t = &c->tensors[i];
        e[i] = (struct hn_gguf_entry){.name = hn_gguf_stored_name(&c->arena, t->name),
                                      .type = ggml_number(t->to.layout),
                                      .n_dims = t->is_matrix ? 2 : 1,
                                      .shape = {t->is_matrix ? t->from.cols : t->from.rows},
                                      .size = hn_tensor_size(t)};
        if (t->is_matrix)
            e[i].shape[1] = t->from.rows;
    }
    *out = e;
    return c->arena.failed ? hn_fail_memory(c->err, "writing a model") : 0;
}

static void to_file(void *arg, const void *p, size_t n)
{
    hn_gguf_writer_add(arg, p, n);
}

int hn_converter_write_gguf(struct hn_converter *c, const char *path)
{
    struct hn_gguf_meta meta = {0};
    struct hn_gguf_entry *entries = NULL;
    struct hn_gguf_writer w;
    int rc = hn_converter_gguf_meta(c, &meta);
    rc = rc ? rc : list_entries(c, &entries);
    rc = rc ? rc : hn_gguf_writer_open(&w, path, &meta, entries, c->n, c->err);
    hn_gguf_meta_release(&meta);
    if (rc)
        return rc;
    for (size_t i = 0; i < c->n && !rc; i++)
        rc = hn_tensor_stream(c, &c->tensors[i], to_file, &w);
    if (rc) {
        hn_gguf_writer_cancel(&w);
        return rc;
    }
    rc = hn_gguf_writer_commit(&w, c->err);
    if (!rc)
        c->report.output_size = (uint64_t)HN_MAX(hn_file_size(path), (int64_t)0);
    return rc;
}
