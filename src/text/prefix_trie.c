#include "text/prefix_trie.h"
#include "base/mem.h"

#include <string.h>

int hn_prefix_trie_init(struct hn_prefix_trie *t, size_t n_bytes)
{
    *t = (struct hn_prefix_trie){.n_slots = 64, .n_nodes = 1};
    while (t->n_slots < 2 * n_bytes)
        t->n_slots *= 2;
    t->slots = hn_calloc(t->n_slots, sizeof *t->slots);
    if (!t->slots)
        return -1;
    memset(t->slots, 0xff, t->n_slots * sizeof *t->slots);
    return 0;
}

void hn_prefix_trie_release(struct hn_prefix_trie *t)
{
    hn_free(t->slots);
    *t = (struct hn_prefix_trie){0};
}

static struct hn_prefix_edge *slot_of(const struct hn_prefix_trie *t, uint32_t from,
                                      unsigned char byte)
{
    uint64_t h = ((uint64_t)from << 8 | byte) * 0x9e3779b97f4a7c15u;
    size_t at = (h ^ h >> 29) & (t->n_slots - 1);
    while (t->slots[at].from != UINT32_MAX &&
           (t->slots[at].from != from || t->slots[at].byte != byte))
        at = (at + 1) & (t->n_slots - 1);
    return &t->slots[at];
}

void hn_prefix_trie_add(struct hn_prefix_trie *t, struct hn_str key, int32_t value)
{
    uint32_t node = 0;
    struct hn_prefix_edge *e = NULL;
    for (size_t i = 0; i < key.n; i++) {
        e = slot_of(t, node, (unsigned char)key.p[i]);
        if (e->from == UINT32_MAX) {
            HN_ASSERT(t->n_nodes < t->n_slots / 2 + 1);
            *e = (struct hn_prefix_edge){node, t->n_nodes++, -1, (unsigned char)key.p[i]};
        }
        node = e->to;
    }
    if (e)
        e->value = value;
}

const struct hn_prefix_edge *hn_prefix_trie_step(const struct hn_prefix_trie *t, uint32_t node,
                                                 unsigned char byte)
{
    const struct hn_prefix_edge *e = slot_of(t, node, byte);
    return e->from == UINT32_MAX ? NULL : e;
}
