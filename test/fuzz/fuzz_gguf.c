/* GGUF from hostile files: refused in one sentence, or every value and tensor can be read. */
#include <string.h>

#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sink(const unsigned char *p, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

static unsigned visit(const struct hn_gguf_value *v, int depth)
{
    unsigned sum = sink(v->data, v->size);
    int64_t i = 0;
    double d = 0;
    bool b = false;
    struct hn_str s = {0};
    sum += hn_gguf_int(v, &i) + hn_gguf_float(v, &d) + hn_gguf_bool(v, &b) + hn_gguf_str(v, &s);
    HN_ASSERT(depth < 8);
    if (v->type != HN_GGUF_ARRAY)
        return sum;
    struct hn_gguf_items it = hn_gguf_items(v);
    struct hn_gguf_value item;
    uint64_t n = 0;
    while (hn_gguf_next(&it, &item)) {
        sum += visit(&item, depth + 1);
        int64_t at = 0;
        if (hn_gguf_int(&item, &i)) {
            HN_ASSERT(hn_gguf_int_at(v, n, &at) && at == i);
        }
        n++;
    }
    HN_ASSERT(n == v->n);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_gguf g;
    struct hone_err err = {0};
    if (hn_gguf_open_memory(&g, data, size, "F", &err)) {
        HN_ASSERT(err.message[0] && g.n_tensors == 0);
        return 0;
    }
    volatile unsigned sum = 0;
    for (size_t i = 0; i < g.n_pairs; i++) {
        sum += visit(&g.pairs[i].value, 0);
        HN_ASSERT(hn_gguf_get(&g, g.pairs[i].key) == &g.pairs[i].value);
    }
    for (size_t i = 0; i < g.n_tensors; i++) {
        const struct hn_gguf_tensor *t = &g.tensors[i];
        HN_ASSERT(t->size == 0 ||
                  (t->data >= data && t->size <= size && t->data + t->size <= data + size));
        HN_ASSERT(hn_gguf_find(&g, t->name) == t);
        sum += sink(t->data, t->size);
    }
    hn_gguf_release(&g);
    return 0;
}
