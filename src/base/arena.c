#include "base/arena.h"
#include "base/mem.h"

#include <string.h>

enum { BLOCK_SIZE = 1 << 16, ALIGN = 16 };

struct hn_arena_block {
    struct hn_arena_block *next;
    size_t used, size;
    _Alignas(ALIGN) unsigned char data[];
};

void hn_arena_init(struct hn_arena *a, size_t limit)
{
    *a = (struct hn_arena){.limit = limit};
}

void hn_arena_release(struct hn_arena *a)
{
    for (struct hn_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        hn_free(b);
    }
    *a = (struct hn_arena){.limit = a->limit};
}

void hn_arena_clear(struct hn_arena *a)
{
    struct hn_arena_block *kept = NULL;
    for (struct hn_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (!kept && b->size == BLOCK_SIZE) {
            kept = b;
            kept->next = NULL;
        } else {
            hn_free(b);
        }
    }
    if (kept) { /* what is handed out is zeroed */
        memset(kept->data, 0, kept->used);
        kept->used = 0;
    }
    *a = (struct hn_arena){.blocks = kept, .limit = a->limit};
}

void *hn_arena_alloc(struct hn_arena *a, size_t n, size_t size)
{
    size_t total;
    if (a->failed || hn_mul_overflows(n, size, &total) || total > SIZE_MAX / 2)
        goto fail;
    total = (total + ALIGN - 1) / ALIGN * ALIGN;
    if (a->limit && total > a->limit - HN_MIN(a->used, a->limit))
        goto fail;
    struct hn_arena_block *b = a->blocks;
    if (!b || b->size - b->used < total) {
        size_t payload = HN_MAX(total, (size_t)BLOCK_SIZE);
        b = hn_calloc(1, sizeof *b + payload);
        if (!b)
            goto fail;
        b->size = payload;
        /* A large block goes behind the current one, so that its room is not lost. */
        if (a->blocks && total > BLOCK_SIZE / 2) {
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    void *p = b->data + b->used;
    b->used += total;
    a->used += total;
    return p;
fail:
    a->failed = true;
    return NULL;
}

char *hn_arena_dup(struct hn_arena *a, const char *p, size_t n)
{
    size_t total;
    if (hn_add_overflows(n, (size_t)1, &total)) {
        a->failed = true;
        return NULL;
    }
    char *s = hn_arena_alloc(a, total, 1);
    if (s && n)
        memcpy(s, p, n);
    return s;
}
