#include "text/tokenizer_spm.h"
#include "base/mem.h"
#include "text/charsmap.h"

#include <stdlib.h>

struct ranked {
    float score;
    uint32_t id;
};

/* Highest score first. */
static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->id > y->id) - (x->id < y->id);
}

static bool mergeable(const struct hn_spm_source *s, int32_t id)
{
    return id >= 0 && (s->types[id] == HN_SPM_NORMAL || s->types[id] == HN_SPM_UNUSED);
}

/* Call hn_bpe_add (add), or only count, for each way to cut the piece in two. */
static size_t add_splits(struct hone_tokenizer *t, const struct hn_spm_source *s, uint32_t id,
                         uint32_t rank, bool add)
{
    struct hn_str text = t->vocab.texts[id];
    size_t n = 0;
    for (size_t i = 1; i < text.n; i++) {
        if (((unsigned char)text.p[i] & 0xc0) == 0x80)
            continue;
        int32_t left = hn_vocab_find(&t->vocab, (struct hn_str){text.p, i});
        if (!mergeable(s, left))
            continue;
        int32_t right = hn_vocab_find(&t->vocab, (struct hn_str){text.p + i, text.n - i});
        if (!mergeable(s, right))
            continue;
        n++;
        if (add)
            hn_bpe_add(&t->model.bpe, (uint32_t)left, (uint32_t)right, rank, id);
    }
    return n;
}

/* SentencePiece joins any two neighbours whose text is a piece, the highest score first, the
 * leftmost first among equals: merges whose rank is the rank of the score. */
static int build_merges(struct hone_tokenizer *t, const struct hn_spm_source *s,
                        struct hone_err *err)
{
    struct ranked *order = hn_calloc(t->vocab.n_ids, sizeof *order);
    size_t n = 0, n_merges = 0;
    uint32_t rank = 0;
    if (!order)
        return hn_fail_memory(err, "reading a vocabulary");
    for (uint32_t id = 0; id < t->vocab.n_ids; id++) {
        struct hn_str text = t->vocab.texts[id];
        bool normal = mergeable(s, (int32_t)id) || s->types[id] == HN_SPM_USER_DEFINED;
        if (!normal || text.n < 2 || hn_vocab_find(&t->vocab, text) != (int32_t)id)
            continue;
        order[n++] = (struct ranked){s->scores[id], id};
        n_merges += text.n;
    }
    qsort(order, n, sizeof *order, by_score);
    n_merges = 0;
    for (size_t i = 0; i < n; i++)
        n_merges += add_splits(t, s, order[i].id, 0, false);
    int rc = hn_bpe_init(&t->model.bpe, n_merges, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rank += i && order[i].score != order[i - 1].score;
        (void)add_splits(t, s, order[i].id, rank, true);
    }
    hn_free(order);
    return rc;
}

static int build_scores(struct hone_tokenizer *t, const struct hn_spm_source *s,
                        struct hone_err *err)
{
    t->model.scores = hn_calloc(t->vocab.n_ids, sizeof *t->model.scores);
    if (!t->model.scores)
        return hn_fail_memory(err, "reading a vocabulary");
    for (uint32_t id = 0; id < t->vocab.n_ids; id++)
        t->model.scores[id] = s->scores[id];
    return 0;
}

static int build_added(struct hone_tokenizer *t, const struct hn_spm_source *s,
                       struct hone_err *err)
{
    int rc = 0;
    for (uint32_t id = 0; rc == 0 && id < t->vocab.n_ids; id++) {
        struct hn_added_token token = {.text = t->vocab.texts[id],
                                       .id = (int32_t)id,
                                       .special = s->types[id] != HN_SPM_USER_DEFINED};
        if ((token.special && s->types[id] != HN_SPM_CONTROL && s->types[id] != HN_SPM_UNKNOWN) ||
            token.text.n == 0 || hn_vocab_find(&t->vocab, token.text) != (int32_t)id)
            continue;
        rc = hn_added_put(&t->added, &token, err);
    }
    return rc;
}

int hn_spm_build(struct hone_tokenizer *t, const struct hn_spm_source *s, struct hone_err *err)
{
    struct hn_norm_step *norm = &t->norms[t->n_norms++];
    struct hn_decode_step *d = t->decoders;
    struct hn_str mark = {"\xe2\x96\x81", 3}, space = {" ", 1};
    t->info.kind = s->unigram ? "SentencePiece Unigram" : "SentencePiece BPE";
    t->model.kind = s->unigram ? HN_MODEL_UNIGRAM : HN_MODEL_BPE;
    t->model.unk = s->unk;
    t->model.fuse_unk = true;
    t->model.byte_fallback = s->byte_fallback;
    *norm = (struct hn_norm_step){.kind = HN_NORM_SENTENCEPIECE,
                                  .prefix = s->dummy_prefix,
                                  .prefix_each = s->prefix_each,
                                  .remove_spaces = s->remove_spaces,
                                  .escape_spaces = s->escape_spaces};
    d[0] = (struct hn_decode_step){
        .kind = HN_DECODE_REPLACE, .literal = s->escape_spaces ? mark : space, .text = space};
    d[1] = (struct hn_decode_step){.kind = HN_DECODE_BYTE_FALLBACK};
    d[2] = (struct hn_decode_step){.kind = HN_DECODE_FUSE};
    d[3] = (struct hn_decode_step){.kind = HN_DECODE_STRIP, .cp = ' ', .start = 1};
    t->n_decoders = s->dummy_prefix ? 4 : 3;
    int rc = hn_charsmap_open(&norm->charsmap, s->charsmap, err);
    rc = rc ? rc : build_scores(t, s, err);
    rc = rc || s->unigram ? rc : build_merges(t, s, err);
    return rc ? rc : build_added(t, s, err);
}
