/* The token table: text to id and back.  Sized once; texts live in the owner's arena or in memory
 * that outlives the table. */
#ifndef HN_TEXT_VOCAB_H
#define HN_TEXT_VOCAB_H

#include "base/err.h"
#include "base/str.h"

/* Ids beyond this are taken for damage, so that a bad number cannot ask for memory. */
enum { HN_VOCAB_MAX_ID = (1 << 22) - 1 };

struct hn_vocab {
    struct hn_str *texts; /* [n_ids]; p is NULL where no token has the id */
    uint32_t n_ids;       /* largest id + 1 */
    size_t n_tokens;
    bool repeats;    /* some text has several ids */
    uint64_t *slots; /* [n_slots] part of the hash << 32 | id + 1, or 0: open addressing */
    size_t n_slots;  /* a power of two */
};

/* Room for n_tokens tokens with ids below n_ids. */
HN_MUST_USE int hn_vocab_init(struct hn_vocab *v, size_t n_tokens, uint32_t n_ids,
                              struct hone_err *err);
void hn_vocab_release(struct hn_vocab *v);
/* Add a token; text must stay valid.  Fails when the id is out of range, or the text or the id is
 * there already. */
HN_MUST_USE int hn_vocab_add(struct hn_vocab *v, struct hn_str text, int64_t id,
                             struct hone_err *err);
/* The same, but a text that is there already comes to mean this id, as in libraries that fill a
 * map: both ids have the text, and the later one is found. */
HN_MUST_USE int hn_vocab_put(struct hn_vocab *v, struct hn_str text, int64_t id,
                             struct hone_err *err);
/* The id, or -1. */
int32_t hn_vocab_find(const struct hn_vocab *v, struct hn_str text);
/* The same, trying this id first: neighbours in a file are often neighbours in the vocabulary. */
int32_t hn_vocab_find_near(const struct hn_vocab *v, struct hn_str text, int64_t guess);
/* The text; p is NULL when no token has this id. */
struct hn_str hn_vocab_text(const struct hn_vocab *v, int64_t id);

#endif
