#include "data/hash_set.h"
#include "base/mem.h"

static size_t place(const uint64_t *slots, size_t size, uint64_t hash)
{
    size_t at = hash & (size - 1);
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (size - 1);
    return at;
}

static int enlarge(struct hn_hash_set *s)
{
    size_t size = s->size ? s->size * 2 : 256;
    uint64_t *slots = hn_calloc(size, sizeof *slots);
    if (!slots)
        return -1;
    for (size_t i = 0; i < s->size; i++)
        if (s->slots[i])
            slots[place(slots, size, s->slots[i])] = s->slots[i];
    hn_free(s->slots);
    s->slots = slots;
    s->size = size;
    return 0;
}

int hn_hash_set_add(struct hn_hash_set *s, uint64_t hash)
{
    hash += !hash; /* 0 marks a free slot */
    if (s->n >= s->size - s->size / 4 && enlarge(s))
        return -1;
    size_t at = place(s->slots, s->size, hash);
    if (s->slots[at])
        return 1;
    s->slots[at] = hash;
    s->n++;
    return 0;
}

void hn_hash_set_release(struct hn_hash_set *s)
{
    hn_free(s->slots);
    *s = (struct hn_hash_set){0};
}
