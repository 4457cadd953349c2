/* What a bundle says of itself: how its weights are quantised, and how large they are. */
#include "base/buf.h"
#include "format/bundle_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KINDS = 32 };

/* The weights of one kind; only matrices are counted. */
struct kind {
    char label[64];
    int64_t n; /* elements */
    bool plain;
};

static int64_t n_elements(const struct hn_stored *t)
{
    if (t->part)
        return 0;
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return t->bits ? n * 32 / t->bits : n;
}

static void label(const struct hn_stored *t, struct kind *k)
{
    static const struct {
        const char *type, *label;
    } plain[] = {{"F32", "float32"}, {"F16", "float16"}, {"BF16", "bfloat16"}, {"F64", "float64"}};
    for (size_t i = 0; i < HN_COUNT(plain); i++) {
        if (strcmp(t->type, plain[i].type) == 0) {
            snprintf(k->label, sizeof k->label, "%s", plain[i].label);
            k->plain = true;
            return;
        }
    }
    if (t->bits)
        snprintf(k->label, sizeof k->label, "affine %d-bit, groups of %d", t->bits, t->group);
    else if (t->layout == HN_LAYOUT_BNB4)
        snprintf(k->label, sizeof k->label, "bitsandbytes %s, blocks of %d%s", t->type,
                 (int)t->bnb4->block, t->bnb4->nested_map ? ", double quantised" : "");
    else if (t->layout == HN_LAYOUT_BNB8)
        snprintf(k->label, sizeof k->label, "bitsandbytes int8");
    else
        snprintf(k->label, sizeof k->label, "%s", t->type);
}

static int by_count(const void *a, const void *b)
{
    const struct kind *k = a, *l = b;
    if (k->n != l->n)
        return k->n > l->n ? -1 : 1;
    return strcmp(k->label, l->label);
}

static size_t count_kinds(const struct hn_bundle *b, struct kind *kinds)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct hn_stored *t = &b->tensors[i];
        struct kind k = {0};
        if (t->part || t->n_dims < 2)
            continue;
        label(t, &k);
        size_t at = 0;
        while (at < n && strcmp(kinds[at].label, k.label) != 0)
            at++;
        if (at == n && n < MAX_KINDS)
            kinds[n++] = k;
        if (at < n)
            kinds[at].n += n_elements(t);
    }
    qsort(kinds, n, sizeof *kinds, by_count);
    return n;
}

/* "Q4_1", "none (bfloat16)", or "Q4_1 79%, Q8_0 21%" by number of weights. */
static const char *describe(struct hn_bundle *b)
{
    struct kind kinds[MAX_KINDS] = {0};
    size_t n = count_kinds(b, kinds);
    bool plain = true;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        plain &= kinds[i].plain;
        total += (double)kinds[i].n;
    }
    struct hn_buf text = {0};
    if (plain)
        hn_buf_add_str(&text, "none (");
    for (size_t i = 0; i < n; i++) {
        if (n == 1) {
            hn_buf_add_str(&text, kinds[i].label);
        } else {
            double percent = total > 0 ? 100.0 * (double)kinds[i].n / total : 0;
            hn_buf_printf(&text, percent < 1 ? "%s%s (%.2g%%)" : "%s%s (%.0f%%)", i ? ", " : "",
                          kinds[i].label, percent);
        }
    }
    if (plain)
        hn_buf_add_str(&text, n ? ")" : "no matrices)");
    const char *copy = text.failed ? NULL : hn_arena_dup(&b->arena, text.data, text.len);
    hn_buf_release(&text);
    return copy;
}

bool hn_bundle_describe(struct hn_bundle *b)
{
    static const char *const formats[] = {"safetensors", "MLX", "GGUF"};
    struct hn_bundle_info *info = &b->info;
    info->kind = b->kind;
    info->path = info->tokenizer_path = b->path;
    info->format = formats[b->kind];
    if (b->kind == HN_BUNDLE_GGUF)
        info->format = hn_arena_printf(&b->arena, "GGUF v%u", (unsigned)b->gguf.version);
    info->n_files = b->kind == HN_BUNDLE_GGUF ? 1 : b->n_shards;
    info->file_bytes = (int64_t)b->gguf.map.size;
    for (size_t i = 0; i < b->n_shards; i++)
        info->file_bytes += (int64_t)b->shards[i].map.size;
    for (size_t i = 0; i < b->n; i++) {
        info->n_parameters += n_elements(&b->tensors[i]);
        info->weight_bytes += (int64_t)b->tensors[i].size;
    }
    info->quantization = describe(b);
    return info->format && info->quantization;
}
