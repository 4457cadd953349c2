/* The public calls on an open tokenizer, but encoding: closing, information, decoding. */
#include "hone/tokenizer.h"
#include "base/mem.h"
#include "text/tokenizer_impl.h"

#include <string.h>

void hone_tokens_release(struct hone_tokens *t)
{
    hn_free(t->ids);
    *t = (struct hone_tokens){0};
}

int hn_tokens_add(struct hone_tokens *t, int32_t id)
{
    if (t->n == t->cap && hn_grow((void **)&t->ids, &t->cap, t->n + 1, sizeof *t->ids))
        return -1;
    t->ids[t->n++] = id;
    return 0;
}

void hone_free(void *p)
{
    hn_free(p);
}

void hone_tokenizer_close(struct hone_tokenizer **tok)
{
    struct hone_tokenizer *t = *tok;
    if (!t)
        return;
    for (size_t i = 0; i < t->n_norms; i++)
        hn_norm_step_release(&t->norms[i]);
    for (size_t i = 0; i < t->n_splits; i++)
        hn_split_step_release(&t->splits[i]);
    for (size_t i = 0; i < t->n_decoders; i++)
        hn_decode_step_release(&t->decoders[i]);
    hn_vocab_release(&t->vocab);
    hn_bpe_release(&t->model.bpe);
    hn_free(t->model.scores);
    hn_prefix_trie_release(&t->model.trie);
    hn_added_release(&t->added);
    hn_arena_release(&t->arena);
    hn_free(t);
    *tok = NULL;
}

/* The text that an added token is sought by. */
static int set_pattern(struct hone_tokenizer *t, struct hn_added_token *token,
                       struct hn_text_work *w, struct hone_err *err)
{
    struct hn_buf out = {0};
    size_t n_leading = 0;
    token->pattern = token->text;
    if (!token->normalized || !t->n_norms)
        return 0;
    int rc = hn_tokenizer_normalize(t, token->text, &n_leading, &out, w, err);
    if (rc == 0 &&
        (out.len != token->text.n || (out.len && memcmp(out.data, token->text.p, out.len) != 0))) {
        char *copy = hn_arena_dup(&t->arena, hn_buf_str(&out), out.len);
        token->pattern = (struct hn_str){copy, out.len};
        rc = copy ? 0 : hn_fail_memory(err, "reading added tokens");
    }
    hn_buf_release(&out);
    return rc;
}

static void set_byte_ids(struct hone_tokenizer *t)
{
    struct hn_model *m = &t->model;
    for (int b = 0; b < 256; b++) {
        static const char digits[] = "0123456789ABCDEF";
        char text[8] = "<0x00>";
        size_t n = 6;
        if (m->raw_bytes) {
            n = (size_t)hn_utf8_put(hn_byte_char((unsigned char)b), text);
        } else {
            text[3] = digits[b >> 4];
            text[4] = digits[b & 15];
        }
        m->byte_ids[b] = hn_vocab_find(&t->vocab, (struct hn_str){text, n});
    }
}

/* What HONE_ADD_SPECIAL does, told from the lists. */
static int check_specials(struct hone_tokenizer *t, struct hone_err *err)
{
    t->info.adds_bos = t->info.adds_eos = false;
    for (size_t i = 0; i < t->n_before + t->n_after; i++) {
        bool before = i < t->n_before;
        int32_t id = before ? t->before[i] : t->after[i - t->n_before];
        if (!hone_tokenizer_token(t, id))
            return hn_fail(err, HONE_FAILED,
                           "the tokenizer adds the id %d to every text, but no token has it", id);
        t->info.adds_bos |= before && id == t->info.bos;
        t->info.adds_eos |= !before && id == t->info.eos;
    }
    return 0;
}

/* What Viterbi needs: the smallest score, and a trie of all tokens. */
static int prepare_unigram(struct hone_tokenizer *t, struct hone_err *err)
{
    size_t n_bytes = 0;
    for (uint32_t id = 0; id < t->vocab.n_ids; id++) {
        n_bytes += t->vocab.texts[id].n;
        t->model.min_score = HN_MIN(t->model.min_score, t->model.scores[id]);
    }
    if (hn_prefix_trie_init(&t->model.trie, n_bytes))
        return hn_fail_memory(err, "reading a vocabulary");
    for (uint32_t id = 0; id < t->vocab.n_ids; id++)
        hn_prefix_trie_add(&t->model.trie, t->vocab.texts[id],
                           hn_vocab_find(&t->vocab, t->vocab.texts[id]));
    return 0;
}

int hn_tokenizer_finish(struct hone_tokenizer *t, struct hone_err *err)
{
    struct hn_text_work w = {0};
    struct hn_split_step *last = t->n_splits ? &t->splits[t->n_splits - 1] : NULL;
    int rc = 0;
    /* The bytes need not be spelt out as characters when only BPE will look at them. */
    if (t->model.kind == HN_MODEL_BPE && last && last->kind == HN_SPLIT_BYTE_LEVEL &&
        !t->model.byte_fallback && !t->model.prefix.n && !t->model.suffix.n) {
        last->raw = true;
        t->model.raw_bytes = true;
    }
    if (t->model.raw_bytes)
        t->info.kind = "byte-level BPE";
    set_byte_ids(t);
    t->info.vocab_size = t->vocab.n_ids;
    for (size_t i = 0; i < t->vocab.n_ids; i++)
        t->model.longest = HN_MAX(t->model.longest, t->vocab.texts[i].n);
    for (size_t i = 0; rc == 0 && i < t->added.n; i++) {
        t->info.vocab_size = HN_MAX(t->info.vocab_size, (int64_t)t->added.tokens[i].id + 1);
        rc = set_pattern(t, &t->added.tokens[i], &w, err);
    }
    if (rc == 0 && t->model.kind == HN_MODEL_UNIGRAM)
        rc = prepare_unigram(t, err);
    if (rc == 0)
        rc = hn_added_finish(&t->added, err);
    if (rc == 0)
        rc = check_specials(t, err);
    hn_text_work_release(&w);
    return rc;
}

void hone_tokenizer_info(const struct hone_tokenizer *tok, struct hone_tokenizer_info *out)
{
    *out = tok->info;
}

int32_t hone_tokenizer_find(const struct hone_tokenizer *tok, const char *token)
{
    const struct hn_added_token *a = hn_added_find(&tok->added, hn_str_of(token));
    return a ? a->id : hn_vocab_find(&tok->vocab, hn_str_of(token));
}

const char *hone_tokenizer_token(const struct hone_tokenizer *tok, int32_t id)
{
    const struct hn_added_token *a = hn_added_by_id(&tok->added, id);
    return a ? a->text.p : hn_vocab_text(&tok->vocab, id).p;
}

/* The token of an id for decoding; false: it is to be left out. */
static bool token_of(const struct hone_tokenizer *t, int32_t id, int flags, struct hn_str *out)
{
    const struct hn_added_token *a = hn_added_by_id(&t->added, id);
    *out = a ? a->pattern : hn_vocab_text(&t->vocab, id);
    if (out->p && flags & HONE_SKIP_SPECIAL) {
        /* The library asks whether the text to be decoded is a special token's. */
        const struct hn_added_token *same = hn_added_find(&t->added, *out);
        if (same && same->special)
            return false;
    }
    return out->p != NULL;
}

int hone_tokenizer_decode(const struct hone_tokenizer *tok, const int32_t *ids, size_t n, int flags,
                          char **text, size_t *len, struct hone_err *err)
{
    struct hn_decode_chain *c = hn_calloc(1, sizeof *c);
    int rc = c ? 0 : hn_fail_memory(err, "decoding");
    if (rc)
        return rc;
    hn_decode_begin(c, tok->decoders, tok->n_decoders);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct hn_str token;
        if (token_of(tok, ids[i], flags, &token))
            rc = hn_decode_token(c, token, err);
    }
    if (rc == 0)
        rc = hn_decode_finish(c, err);
    size_t out_len = c->out.len;
    char *out = rc == 0 ? hn_buf_take(&c->out) : NULL;
    hn_decode_release(c);
    hn_free(c);
    if (rc == 0 && !out)
        rc = hn_fail_memory(err, "decoding");
    if (rc)
        return rc;
    *text = out;
    *len = out_len;
    return 0;
}

struct hone_detokenizer {
    const struct hone_tokenizer *tok;
    int flags;
    struct hn_decode_chain chain;
};

int hone_detokenizer_open(struct hone_detokenizer **out, const struct hone_tokenizer *tok,
                          int flags, struct hone_err *err)
{
    struct hone_detokenizer *d = hn_calloc(1, sizeof *d);
    if (!d)
        return hn_fail_memory(err, "decoding");
    d->tok = tok;
    d->flags = flags;
    hn_decode_begin(&d->chain, tok->decoders, tok->n_decoders);
    *out = d;
    return 0;
}

void hone_detokenizer_close(struct hone_detokenizer **d)
{
    if (!*d)
        return;
    hn_decode_release(&(*d)->chain);
    hn_free(*d);
    *d = NULL;
}

int hone_detokenizer_push(struct hone_detokenizer *d, int32_t id, const char **text, size_t *len,
                          struct hone_err *err)
{
    struct hn_str token;
    int rc = 0;
    hn_buf_clear(&d->chain.out);
    if (token_of(d->tok, id, d->flags, &token))
        rc = hn_decode_token(&d->chain, token, err);
    *text = hn_buf_str(&d->chain.out);
    *len = d->chain.out.len;
    return rc;
}

int hone_detokenizer_flush(struct hone_detokenizer *d, const char **text, size_t *len,
                           struct hone_err *err)
{
    hn_buf_clear(&d->chain.out);
    int rc = hn_decode_finish(&d->chain, err);
    *text = hn_buf_str(&d->chain.out);
    *len = d->chain.out.len;
    return rc;
}
