/* A GGUF file as a bundle. */
#include "format/bundle_impl.h"

#include "base/file.h"

#include <string.h>

/* The layout of a ggml type, or -1. */
static int layout_of(uint32_t type)
{
    static const struct {
        uint32_t type;
        enum hn_layout layout;
    } table[] = {{0, HN_LAYOUT_F32},   {1, HN_LAYOUT_F16},     {30, HN_LAYOUT_BF16},
                 {2, HN_LAYOUT_Q4_0},  {3, HN_LAYOUT_Q4_1},    {6, HN_LAYOUT_Q5_0},
                 {7, HN_LAYOUT_Q5_1},  {8, HN_LAYOUT_Q8_0},    {10, HN_LAYOUT_Q2_K},
                 {11, HN_LAYOUT_Q3_K}, {12, HN_LAYOUT_Q4_K},   {13, HN_LAYOUT_Q5_K},
                 {14, HN_LAYOUT_Q6_K}, {20, HN_LAYOUT_IQ4_NL}, {23, HN_LAYOUT_IQ4_XS},
                 {39, HN_LAYOUT_MXFP4}};
    for (size_t i = 0; i < HN_COUNT(table); i++)
        if (table[i].type == type)
            return (int)table[i].layout;
    return -1;
}

static bool is_query_or_key(const char *name)
{
    return hn_starts_with(name, "model.layers.") &&
           (strstr(name, ".self_attn.q_proj.") || strstr(name, ".self_attn.k_proj."));
}

int hn_bundle_open_gguf(struct hn_bundle *b, struct hone_err *err)
{
    b->kind = HN_BUNDLE_GGUF;
    int rc = hn_gguf_open(&b->gguf, b->path, err);
    if (!rc)
        rc = hn_gguf_config(b, err);
    if (rc)
        return rc;
    const struct hn_gguf *g = &b->gguf;
    struct hn_str arch = {0};
    (void)hn_gguf_str(hn_gguf_get(g, "general.architecture"), &arch);
    char *arch_name = hn_arena_dup(&b->arena, arch.p, arch.n);
    b->tensors = hn_arena_alloc(&b->arena, g->n_tensors, sizeof *b->tensors);
    if (!arch_name || !b->tensors)
        return hn_fail_memory(err, "opening a model");
    bool interleaved = hn_gguf_interleaved(arch_name);
    int64_t head = 0;
    (void)hn_json_int(hn_json_get(b->config, "head_dim"), &head);
    b->n = g->n_tensors;
    for (size_t i = 0; i < b->n; i++) {
        const struct hn_gguf_tensor *from = &g->tensors[i];
        struct hn_stored *t = &b->tensors[i];
        *t = (struct hn_stored){.name = hn_gguf_hf_name(&b->arena, from->name),
                                .stored = from->name,
                                .type = hn_ggml_type_name(from->type),
                                .file = hn_path_name(b->path),
                                .n_dims = from->n_dims,
                                .data = from->data,
                                .size = from->size,
                                .layout = layout_of(from->type)};
        if (!t->name)
            return hn_fail_memory(err, "opening a model");
        for (int d = 0; d < t->n_dims; d++)
            t->shape[d] = from->shape[t->n_dims - 1 - d];
        if (interleaved && is_query_or_key(t->name))
            t->rope_head = head;
        t->part = strcmp(t->stored, "rope_freqs.weight") == 0;
    }
    return hn_bundle_index(b, err);
}
