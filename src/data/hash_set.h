/* A set of 64-bit hashes, for counting rows that occur twice. */
#ifndef HN_DATA_HASH_SET_H
#define HN_DATA_HASH_SET_H

#include "base/compiler.h"

struct hn_hash_set {
    uint64_t *slots; /* [size] 0: free */
    size_t n, size;
};
/* 1: it was there; 0: it is now; -1: out of memory. */
HN_MUST_USE int hn_hash_set_add(struct hn_hash_set *s, uint64_t hash);
void hn_hash_set_release(struct hn_hash_set *s);

#endif
