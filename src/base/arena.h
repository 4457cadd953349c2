/* A bump allocator for things that die together: a parsed document, a plan.  Sticky: after one
 * failed allocation every later one fails too, so a builder checks once, at the end. */
#ifndef HN_BASE_ARENA_H
#define HN_BASE_ARENA_H

#include "base/compiler.h"

struct hn_arena {
    struct hn_arena_block *blocks; /* newest first */
    size_t used;                   /* bytes handed out */
    size_t limit;                  /* 0: none; else the most bytes that will be handed out */
    bool failed;
};

/* limit bounds what a hostile file can make us hold; 0 for no bound. */
void hn_arena_init(struct hn_arena *a, size_t limit);
void hn_arena_release(struct hn_arena *a);
/* The same, but one block stays for the next use: for documents read one after the other. */
void hn_arena_clear(struct hn_arena *a);

/* n elements of size bytes, zeroed, 16-byte aligned, or NULL (and a->failed). */
HN_MUST_USE void *hn_arena_alloc(struct hn_arena *a, size_t n, size_t size);

/* A NUL-terminated copy of n bytes, or NULL. */
HN_MUST_USE char *hn_arena_dup(struct hn_arena *a, const char *p, size_t n);

#endif
