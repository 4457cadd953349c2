/* The models beside BPE: Unigram, WordPiece, WordLevel. */
#include "base/mem.h"
#include "text/model_encode.h"

#include <string.h>

static int add(struct hone_tokens *out, int32_t id, struct hone_err *err)
{
    return hn_tokens_add(out, id) ? hn_fail_memory(err, "tokenizing") : 0;
}

static int add_unknown(const struct hn_model *m, struct hone_tokens *out, struct hone_err *err)
{
    return m->unk >= 0 ? add(out, m->unk, err) : hn_model_missing_unk(err);
}

int hn_model_encode_word_level(const struct hone_tokenizer *t, struct hn_str s,
                               struct hone_tokens *out, struct hone_err *err)
{
    int32_t id = hn_vocab_find(&t->vocab, s);
    return id >= 0 ? add(out, id, err) : add_unknown(&t->model, out, err);
}

/* The longest token at s[at], the prefix before it unless at is 0: its id and *end, or -1. */
static int32_t longest(const struct hone_tokenizer *t, struct hn_str s, size_t at, size_t *end,
                       struct hn_buf *scratch)
{
    const struct hn_str prefix = at ? t->model.prefix : (struct hn_str){"", 0};
    size_t n = HN_MIN(s.n - at, t->model.longest);
    hn_buf_clear(scratch);
    hn_buf_add(scratch, prefix.p, prefix.n);
    hn_buf_add(scratch, s.p + at, n);
    if (scratch->failed)
        return -1;
    for (; n; n--) {
        if (at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
            continue;
        int32_t id = hn_vocab_find(&t->vocab, (struct hn_str){scratch->data, prefix.n + n});
        if (id >= 0) {
            *end = at + n;
            return id;
        }
    }
    return -1;
}

int hn_model_encode_word_piece(const struct hone_tokenizer *t, struct hn_str s,
                               struct hn_model_work *w, struct hone_tokens *out,
                               struct hone_err *err)
{
    size_t n_chars = 0, kept = out->n, end = 0;
    for (size_t i = 0; i < s.n; i++)
        n_chars += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    if (n_chars > t->model.max_chars)
        return add_unknown(&t->model, out, err);
    for (size_t at = 0; at < s.n; at = end) {
        int32_t id = longest(t, s, at, &end, &w->scratch);
        if (w->scratch.failed)
            return hn_fail_memory(err, "tokenizing");
        if (id < 0) { /* one part unknown: the whole word is */
            out->n = kept;
            return add_unknown(&t->model, out, err);
        }
        if (add(out, id, err))
            return HONE_NO_MEMORY;
    }
    return 0;
}

/* The best way to reach each byte of the text. */
struct node {
    double score;
    size_t from; /* SIZE_MAX: not reached */
    int32_t id;
};

static void offer(struct node *n, double score, size_t from, int32_t id)
{
    if (n->from == SIZE_MAX || score > n->score)
        *n = (struct node){score, from, id};
}

/* Viterbi over all segmentations, in the library's order and arithmetic (double sums; the first of
 * equals stays). */
static void search(const struct hone_tokenizer *t, struct hn_str s, struct node *nodes)
{
    const struct hn_model *m = &t->model;
    for (size_t i = 0, next = 0; i < s.n; i = next) {
        bool single = false;
        uint32_t at = 0;
        (void)hn_utf8_next(s.p, s.n, &next);
        for (size_t k = i; k < s.n; k++) {
            const struct hn_prefix_edge *e =
                hn_prefix_trie_step(&m->trie, at, (unsigned char)s.p[k]);
            if (!e)
                break;
            at = e->to;
            if (e->value < 0)
                continue;
            offer(&nodes[k + 1], m->scores[e->value] + nodes[i].score, i, e->value);
            single |= k + 1 == next;
        }
        if (!single)
            offer(&nodes[next], m->min_score - 10 + nodes[i].score, i, -1);
    }
}

/* No token, or the unknown one itself, spelt out in the text: the library does not tell them apart.
 */
static bool unknown(const struct hn_model *m, int32_t id)
{
    return id < 0 || id == m->unk;
}

/* A stretch that no token covers: the token of the same text, its bytes, or unknown. */
static int add_stretch(const struct hone_tokenizer *t, struct hn_str s, struct hone_tokens *out,
                       struct hone_err *err)
{
    const struct hn_model *m = &t->model;
    int32_t id = hn_vocab_find(&t->vocab, s);
    bool bytes = m->byte_fallback;
    int rc = 0;
    if (id >= 0)
        return add(out, id, err);
    for (size_t i = 0; bytes && i < s.n; i++)
        bytes = m->byte_ids[(unsigned char)s.p[i]] >= 0;
    for (size_t i = 0; bytes && rc == 0 && i < s.n; i++)
        rc = add(out, m->byte_ids[(unsigned char)s.p[i]], err);
    return bytes ? rc : add_unknown(m, out, err);
}

int hn_model_encode_unigram(const struct hone_tokenizer *t, struct hn_str s,
                            struct hone_tokens *out, struct hone_err *err)
{
    struct node *nodes = hn_calloc(s.n + 1, sizeof *nodes);
    int rc = 0;
    if (!nodes)
        return hn_fail_memory(err, "tokenizing");
    for (size_t i = 0; i <= s.n; i++)
        nodes[i].from = SIZE_MAX;
    search(t, s, nodes);
    /* Turn the path round: nodes[i].from becomes where the step that starts at i ends. */
    for (size_t at = s.n, after = SIZE_MAX; at != SIZE_MAX;) {
        size_t before = at ? nodes[at].from : SIZE_MAX;
        nodes[at].from = after;
        after = at;
        at = before;
    }
    for (size_t i = 0; rc == 0 && i < s.n;) {
        size_t end = nodes[i].from;
        if (!unknown(&t->model, nodes[end].id)) {
            rc = add(out, nodes[end].id, err);
        } else {
            while (t->model.fuse_unk && end < s.n && unknown(&t->model, nodes[nodes[end].from].id))
                end = nodes[end].from;
            rc = add_stretch(t, (struct hn_str){s.p + i, end - i}, out, err);
        }
        i = end;
    }
    hn_free(nodes);
    return rc;
}
