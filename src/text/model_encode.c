/* From one piece of text to ids: the models of the tokenizers library. */
#include "text/model_encode.h"

#include <string.h>

void hn_model_work_release(struct hn_model_work *w)
{
    hn_bpe_work_release(&w->bpe);
    hn_buf_release(&w->scratch);
}

/* An unknown character waits, because a following one may be fused with it. */
struct unknown {
    bool pending;
    bool missing; /* it was needed, and there is none: an error */
};

static int push_unknown(const struct hn_model *m, struct unknown *u, struct hn_bpe_work *w)
{
    if (u->pending && !m->fuse_unk && hn_bpe_work_push(w, (uint32_t)m->unk))
        return -1;
    u->pending = true;
    return 0;
}

/* One character that is not in the vocabulary: its bytes, or unknown, or nothing. */
static int push_missing(const struct hn_model *m, struct hn_str c, struct unknown *u,
                        struct hn_bpe_work *w)
{
    bool all = m->byte_fallback;
    for (size_t i = 0; all && i < c.n; i++)
        all = m->byte_ids[(unsigned char)c.p[i]] >= 0;
    for (size_t i = 0; all && i < c.n; i++)
        if (hn_bpe_work_push(w, (uint32_t)m->byte_ids[(unsigned char)c.p[i]]))
            return -1;
    u->missing |= !all && m->unk_missing;
    return all || m->unk < 0 ? 0 : push_unknown(m, u, w);
}

static int push_known(const struct hn_model *m, int32_t id, struct unknown *u,
                      struct hn_bpe_work *w)
{
    if (u->pending && hn_bpe_work_push(w, (uint32_t)m->unk))
        return -1;
    u->pending = false;
    return hn_bpe_work_push(w, (uint32_t)id);
}

static int push_bytes(const struct hn_model *m, struct hn_str s, struct unknown *u,
                      struct hn_bpe_work *w)
{
    for (size_t i = 0; i < s.n; i++) {
        int32_t id = m->byte_ids[(unsigned char)s.p[i]];
        struct hn_str none = {s.p, 0};
        if (id >= 0 ? push_known(m, id, u, w) : push_missing(m, none, u, w))
            return -1;
    }
    return u->pending ? hn_bpe_work_push(w, (uint32_t)m->unk) : 0;
}

static int push_chars(const struct hone_tokenizer *t, struct hn_str s, struct unknown *u,
                      struct hn_model_work *w)
{
    const struct hn_model *m = &t->model;
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        (void)hn_utf8_next(s.p, s.n, &i);
        struct hn_str c = {s.p + start, i - start};
        if ((start && m->prefix.n) || (i == s.n && m->suffix.n)) {
            hn_buf_clear(&w->scratch);
            if (start)
                hn_buf_add(&w->scratch, m->prefix.p, m->prefix.n);
            hn_buf_add(&w->scratch, c.p, c.n);
            if (i == s.n)
                hn_buf_add(&w->scratch, m->suffix.p, m->suffix.n);
            if (w->scratch.failed)
                return -1;
            c = (struct hn_str){w->scratch.data, w->scratch.len};
        }
        int32_t id = hn_vocab_find(&t->vocab, c);
        if (id >= 0 ? push_known(m, id, u, &w->bpe) : push_missing(m, c, u, &w->bpe))
            return -1;
    }
    return u->pending ? hn_bpe_work_push(&w->bpe, (uint32_t)m->unk) : 0;
}

/* The whole piece as one token, or -1. */
static int32_t whole(const struct hone_tokenizer *t, struct hn_str s, struct hn_model_work *w)
{
    if (s.n > t->model.longest)
        return -1;
    if (!t->model.raw_bytes)
        return hn_vocab_find(&t->vocab, s);
    hn_buf_clear(&w->scratch);
    hn_byte_level_map(s, &w->scratch);
    return hn_vocab_find(&t->vocab, (struct hn_str){hn_buf_str(&w->scratch), w->scratch.len});
}

static int encode_bpe(const struct hone_tokenizer *t, struct hn_str s, struct hn_model_work *w,
                      struct hone_tokens *out, struct hone_err *err)
{
    if (t->model.ignore_merges) {
        int32_t id = whole(t, s, w);
        if (id >= 0)
            return hn_tokens_add(out, id) ? hn_fail_memory(err, "tokenizing") : 0;
    }
    struct unknown u = {false, false};
    w->bpe.n = 0;
    if (t->model.raw_bytes ? push_bytes(&t->model, s, &u, &w->bpe) : push_chars(t, s, &u, w))
        return hn_fail_memory(err, "tokenizing");
    if (u.missing)
        return hn_model_missing_unk(err);
    int rc = hn_bpe_merge_all(&t->model.bpe, &w->bpe, err);
    for (size_t i = 0; rc == 0 && i < w->bpe.n; i++)
        if (hn_tokens_add(out, (int32_t)w->bpe.symbols[i]))
            rc = hn_fail_memory(err, "tokenizing");
    return rc;
}

int hn_model_missing_unk(struct hone_err *err)
{
    return hn_fail(err, HONE_FAILED,
                   "the text has characters that are not in the vocabulary, and the tokenizer has "
                   "no unknown token for them");
}

int hn_model_encode(const struct hone_tokenizer *t, struct hn_str piece, struct hn_model_work *w,
                    struct hone_tokens *out, struct hone_err *err)
{
    switch (t->model.kind) {
    case HN_MODEL_UNIGRAM: return hn_model_encode_unigram(t, piece, out, err);
    case HN_MODEL_WORDPIECE: return hn_model_encode_word_piece(t, piece, w, out, err);
    case HN_MODEL_WORDLEVEL: return hn_model_encode_word_level(t, piece, out, err);
    default: return encode_bpe(t, piece, w, out, err);
    }
}
