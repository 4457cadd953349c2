/* A trie of byte strings with its edges in one hash table: all keys that stand at the front of a
 * text, in one pass over it. */
#ifndef HN_TEXT_PREFIX_TRIE_H
#define HN_TEXT_PREFIX_TRIE_H

#include "base/compiler.h"
#include "base/str.h"

struct hn_prefix_edge {
    uint32_t from; /* node; UINT32_MAX: an empty slot */
    uint32_t to;
    int32_t value; /* of the key that ends at `to`, or -1 */
    unsigned char byte;
};

struct hn_prefix_trie {
    struct hn_prefix_edge *slots; /* [n_slots] open addressing by (from, byte) */
    size_t n_slots;
    uint32_t n_nodes;
};

/* Room for keys of n_bytes in all; -1 when out of memory. */
HN_MUST_USE int hn_prefix_trie_init(struct hn_prefix_trie *t, size_t n_bytes);
void hn_prefix_trie_release(struct hn_prefix_trie *t);
void hn_prefix_trie_add(struct hn_prefix_trie *t, struct hn_str key, int32_t value);
/* One step from node (0: the root) along byte: the edge, or NULL. */
const struct hn_prefix_edge *hn_prefix_trie_step(const struct hn_prefix_trie *t, uint32_t node,
                                                 unsigned char byte);

#endif
