#include "text/vocab.h"
#include "base/mem.h"

int hn_vocab_init(struct hn_vocab *v, size_t n_tokens, uint32_t n_ids, struct hone_err *err)
{
    size_t n_slots = 64;
    *v = (struct hn_vocab){.n_ids = n_ids};
    while (n_slots < 2 * n_tokens)
        n_slots *= 2;
    v->n_slots = n_slots;
    v->texts = hn_calloc(n_ids, sizeof *v->texts);
    v->slots = hn_calloc(n_slots, sizeof *v->slots);
    if (v->texts && v->slots)
        return 0;
    hn_vocab_release(v);
    return hn_fail_memory(err, "reading a vocabulary");
}

void hn_vocab_release(struct hn_vocab *v)
{
    hn_free(v->texts);
    hn_free(v->slots);
    *v = (struct hn_vocab){0};
}

/* Where the text is, or where it would go. */
static size_t slot_of(const struct hn_vocab *v, struct hn_str text)
{
    size_t at = hn_hash(text.p, text.n) & (v->n_slots - 1);
    while (v->slots[at] && !hn_str_eq(v->texts[v->slots[at] - 1], text))
        at = (at + 1) & (v->n_slots - 1);
    return at;
}

int hn_vocab_add(struct hn_vocab *v, struct hn_str text, int64_t id, struct hone_err *err)
{
    if (id < 0 || id >= v->n_ids)
        return hn_fail(err, HONE_FAILED, "the token \"%.*s\" has id %lld, outside 0 to %lld",
                       (int)HN_MIN(text.n, (size_t)60), text.p, (long long)id,
                       (long long)v->n_ids - 1);
    if (v->texts[id].p)
        return hn_fail(err, HONE_FAILED, "the id %lld belongs to two tokens, \"%.*s\" and \"%.*s\"",
                       (long long)id, (int)HN_MIN(v->texts[id].n, (size_t)60), v->texts[id].p,
                       (int)HN_MIN(text.n, (size_t)60), text.p);
    size_t at = slot_of(v, text);
    if (v->slots[at])
        return hn_fail(err, HONE_FAILED, "the token \"%.*s\" stands twice, with ids %lld and %lld",
                       (int)HN_MIN(text.n, (size_t)60), text.p, (long long)v->slots[at] - 1,
                       (long long)id);
    HN_ASSERT(v->n_tokens < v->n_slots / 2 + 1);
    v->texts[id] = text;
    v->slots[at] = (uint32_t)id + 1;
    v->n_tokens++;
    return 0;
}

int32_t hn_vocab_find(const struct hn_vocab *v, struct hn_str text)
{
    return v->n_slots ? (int32_t)v->slots[slot_of(v, text)] - 1 : -1;
}

struct hn_str hn_vocab_text(const struct hn_vocab *v, int64_t id)
{
    return id >= 0 && id < v->n_ids ? v->texts[id] : (struct hn_str){NULL, 0};
}
