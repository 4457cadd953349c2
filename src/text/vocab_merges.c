/* Merges lie in a hash table; writers want them as a list. */
#include "text/vocab_merges.h"
#include "base/mem.h"

#include <stdlib.h>

static int by_rank(const void *a, const void *b)
{
    const struct hn_bpe_merge *x = a, *y = b;
    if (x->rank != y->rank)
        return (x->rank > y->rank) - (x->rank < y->rank);
    if (x->id != y->id)
        return (x->id > y->id) - (x->id < y->id);
    return (x->left > y->left) - (x->left < y->left);
}

int hn_vocab_merges(const struct hone_tokenizer *t, struct hn_bpe_merge **out, size_t *n,
                    struct hone_err *err)
{
    const struct hn_bpe *b = &t->model.bpe;
    size_t k = 0;
    struct hn_bpe_merge *list = hn_calloc(b->n_merges + 1, sizeof *list);
    if (!list)
        return hn_fail_memory(err, "writing a vocabulary");
    for (size_t i = 0; i < b->n_slots && k < b->n_merges; i++)
        if (b->slots[i].left != UINT32_MAX)
            list[k++] = b->slots[i];
    qsort(list, k, sizeof *list, by_rank);
    *out = list;
    *n = k;
    return 0;
}
