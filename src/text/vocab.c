#include "text/vocab.h"
#include "text/unicode.h"
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

/* Where the text is, or where it would go.  The stored part of the hash saves a look at the texts
 * of nearly all slots that are passed by. */
static size_t slot_of(const struct hn_vocab *v, struct hn_str text, uint64_t hash)
{
    size_t at = hash & (v->n_slots - 1);
    for (uint64_t slot; (slot = v->slots[at]) != 0; at = (at + 1) & (v->n_slots - 1))
        if (slot >> 32 == hash >> 32 && hn_str_eq(v->texts[(uint32_t)slot - 1], text))
            break;
    return at;
}

static int place(struct hn_vocab *v, struct hn_str text, int64_t id, bool again,
                 struct hone_err *err)
{
    int len = hn_utf8_cut(text, 60);
    if (id < 0 || id >= v->n_ids)
        return hn_fail(err, HONE_FAILED, "the token \"%.*s\" has id %lld, outside 0 to %lld", len,
                       text.p, (long long)id, (long long)v->n_ids - 1);
    if (v->texts[id].p)
        return hn_fail(err, HONE_FAILED, "the id %lld belongs to two tokens, \"%.*s\" and \"%.*s\"",
                       (long long)id, hn_utf8_cut(v->texts[id], 60), v->texts[id].p, len,
                       text.p);
    uint64_t hash = hn_hash(text.p, text.n);
    size_t at = slot_of(v, text, hash);
    if (v->slots[at] && !again)
        return hn_fail(err, HONE_FAILED, "the token \"%.*s\" stands twice, with ids %lld and %lld",
                       len, text.p, (long long)(uint32_t)v->slots[at] - 1, (long long)id);
    HN_ASSERT(v->n_tokens < v->n_slots / 2 + 1);
    v->repeats |= v->slots[at] != 0;
    v->texts[id] = text;
    v->slots[at] = hash >> 32 << 32 | ((uint32_t)id + 1);
    v->n_tokens++;
    return 0;
}

int hn_vocab_add(struct hn_vocab *v, struct hn_str text, int64_t id, struct hone_err *err)
{
    return place(v, text, id, false, err);
}

int hn_vocab_put(struct hn_vocab *v, struct hn_str text, int64_t id, struct hone_err *err)
{
    return place(v, text, id, true, err);
}

int32_t hn_vocab_find(const struct hn_vocab *v, struct hn_str text)
{
    if (!v->n_slots)
        return -1;
    return (int32_t)(uint32_t)v->slots[slot_of(v, text, hn_hash(text.p, text.n))] - 1;
}

int32_t hn_vocab_find_near(const struct hn_vocab *v, struct hn_str text, int64_t guess)
{
    /* Only where no text stands twice does a match at the guess settle it. */
    if (guess >= 0 && guess < v->n_ids && !v->repeats && v->texts[guess].p &&
        hn_str_eq(v->texts[guess], text))
        return (int32_t)guess;
    return hn_vocab_find(v, text);
}

struct hn_str hn_vocab_text(const struct hn_vocab *v, int64_t id)
{
    return id >= 0 && id < v->n_ids ? v->texts[id] : (struct hn_str){NULL, 0};
}
