/* The keys are gguf.constants' of gguf 0.19; what they hold is as llama.cpp's converter from
 * Hugging Face writes it: byte-level BPE as "gpt2" with its merges and the name of its splitter,
 * SentencePiece BPE as "llama" with the scores of its pieces. */
#include "text/vocab_gguf.h"
#include "base/mem.h"
#include "text/pre_names.h"
#include "text/tokenizer_spm.h"
#include "text/vocab_merges.h"

#include <stdio.h>
#include <string.h>

struct sink {
    const struct hone_tokenizer *t, *pieces;
    int64_t n;    /* rows */
    bool spm;     /* else byte-level */
    float *score; /* [n] SentencePiece */
    const char *path;
    struct hn_gguf_meta *m;
    struct hone_err *err;
};

/* Tokens that llama.cpp treats as control tokens although their makers did not say so. */
static bool looks_special(struct hn_str s)
{
    static const char *const names[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    static const char *const frames[][2] = {
        {"<|", "|>"}, {"<\xef\xbd\x9c", "\xef\xbd\x9c>"}, {"<unused", ">"}};
    for (size_t i = 0; i < HN_COUNT(names); i++)
        if (hn_str_is(s, names[i]))
            return true;
    for (size_t i = 0; i < HN_COUNT(frames); i++) {
        size_t a = strlen(frames[i][0]), b = strlen(frames[i][1]);
        if (s.n >= a + b && memcmp(s.p, frames[i][0], a) == 0 &&
            memcmp(s.p + s.n - b, frames[i][1], b) == 0)
            return true;
    }
    return false;
}

static bool is_byte(const struct sink *s, int64_t id)
{
    for (int b = 0; b < 256 && s->spm; b++)
        if (s->t->model.byte_ids[b] == id)
            return true;
    return false;
}

/* The text and type of a row; p is NULL when no token has it. */
static struct hn_str row(const struct sink *s, int64_t id, int32_t *type)
{
    const struct hn_added_token *a = hn_added_by_id(&s->t->added, id);
    struct hn_str text = a ? a->text : hn_vocab_text(&s->t->vocab, id);
    if (!text.p)
        *type = HN_SPM_UNUSED;
    else if (s->spm && id == s->t->model.unk)
        *type = HN_SPM_UNKNOWN;
    else if (a)
        *type = a->special || looks_special(text) ? HN_SPM_CONTROL : HN_SPM_USER_DEFINED;
    else
        *type = is_byte(s, id) ? HN_SPM_BYTE : HN_SPM_NORMAL;
    return text;
}

static void put_tokens(const struct sink *s)
{
    int32_t type;
    hn_gguf_meta_array(s->m, "tokenizer.ggml.tokens", HN_GGUF_STRING, (uint64_t)s->n);
    for (int64_t id = 0; id < s->n; id++) {
        char pad[32];
        struct hn_str text = row(s, id, &type);
        if (!text.p) {
            snprintf(pad, sizeof pad, "[PAD%lld]", (long long)id);
            text = hn_str_of(pad);
        }
        hn_gguf_item_str(s->m, text);
    }
    if (s->spm)
        hn_gguf_meta_array(s->m, "tokenizer.ggml.scores", HN_GGUF_F32, (uint64_t)s->n);
    for (int64_t id = 0; id < s->n && s->spm; id++)
        hn_gguf_item_f32(s->m, s->score[id]);
    hn_gguf_meta_array(s->m, "tokenizer.ggml.token_type", HN_GGUF_I32, (uint64_t)s->n);
    for (int64_t id = 0; id < s->n; id++) {
        (void)row(s, id, &type);
        hn_gguf_item_i32(s->m, type);
    }
}

/* A merge of a token that was left out is left out with it: readers look the parts up. */
static size_t keep_merges(const struct sink *s, struct hn_bpe_merge *merges, size_t n)
{
    size_t kept = 0;
    uint64_t rows = (uint64_t)s->n;
    for (size_t i = 0; i < n; i++)
        if (merges[i].left < rows && merges[i].right < rows && merges[i].id < rows)
            merges[kept++] = merges[i];
    return kept;
}

static int put_merges(const struct sink *s, const struct hn_bpe_merge *merges, size_t n)
{
    struct hn_buf line = {0};
    hn_gguf_meta_array(s->m, "tokenizer.ggml.merges", HN_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        struct hn_str a = hn_vocab_text(&s->t->vocab, merges[i].left);
        struct hn_str b = hn_vocab_text(&s->t->vocab, merges[i].right);
        hn_buf_clear(&line);
        hn_buf_add(&line, a.p, a.n);
        hn_buf_add_char(&line, ' ');
        hn_buf_add(&line, b.p, b.n);
        hn_gguf_item_str(s->m, (struct hn_str){hn_buf_str(&line), line.len});
    }
    bool failed = line.failed;
    hn_buf_release(&line);
    return failed ? hn_fail_memory(s->err, "writing a vocabulary") : 0;
}

/* A piece is joined the earlier the higher its score: what the first merge that makes it says,
 * unless tokenizer.model has the scores themselves. */
static int find_scores(struct sink *s, const struct hn_bpe_merge *merges, size_t n)
{
    s->score = hn_calloc((size_t)s->n, sizeof *s->score);
    if (!s->score)
        return hn_fail_memory(s->err, "writing a vocabulary");
    for (size_t i = n; i-- > 0;)
        if (merges[i].id < (uint64_t)s->n)
            s->score[merges[i].id] = -(float)merges[i].rank;
    const struct hone_tokenizer *from = s->pieces ? s->pieces : s->t;
    for (int64_t id = 0; id < s->n && from->model.scores; id++)
        if (id < from->vocab.n_ids &&
            hn_str_eq(hn_vocab_text(&from->vocab, id), hn_vocab_text(&s->t->vocab, id)))
            s->score[id] = (float)from->model.scores[id];
    return 0;
}

static bool has_prefix(const struct hone_tokenizer *t)
{
    bool prefix = false;
    for (size_t i = 0; i < t->n_norms; i++)
        prefix |= t->norms[i].kind == HN_NORM_PREPEND ||
                  (t->norms[i].kind == HN_NORM_SENTENCEPIECE && t->norms[i].prefix);
    for (size_t i = 0; i < t->n_splits; i++)
        prefix |=
            t->splits[i].kind == HN_SPLIT_METASPACE && t->splits[i].scheme != HN_PREPEND_NEVER;
    return prefix;
}

static bool removes_spaces(const struct hone_tokenizer *t)
{
    bool removes = false;
    for (size_t i = 0; i < t->n_norms; i++)
        removes |= t->norms[i].kind == HN_NORM_SENTENCEPIECE && t->norms[i].remove_spaces;
    return removes;
}

static void put_id(const struct sink *s, const char *key, int32_t id)
{
    if (id >= 0 && id < s->n)
        hn_gguf_meta_u32(s->m, key, (uint32_t)id);
}

int32_t hn_tokenizer_gguf_bos(const struct hone_tokenizer *t)
{
    return t->info.bos < 0 && t->n_before ? t->before[0] : t->info.bos;
}

int32_t hn_tokenizer_gguf_eos(const struct hone_tokenizer *t)
{
    return t->info.eos < 0 && t->n_after ? t->after[0] : t->info.eos;
}

static void put_specials(const struct sink *s)
{
    const struct hone_tokenizer_info *info = &s->t->info;
    int32_t bos = hn_tokenizer_gguf_bos(s->t), eos = hn_tokenizer_gguf_eos(s->t);
    put_id(s, "tokenizer.ggml.bos_token_id", bos);
    put_id(s, "tokenizer.ggml.eos_token_id", eos);
    put_id(s, "tokenizer.ggml.unknown_token_id", info->unk >= 0 ? info->unk : s->t->model.unk);
    put_id(s, "tokenizer.ggml.padding_token_id", info->pad);
    hn_gguf_meta_bool(s->m, "tokenizer.ggml.add_bos_token",
                      s->t->n_before && s->t->before[0] == bos);
    hn_gguf_meta_bool(s->m, "tokenizer.ggml.add_eos_token", s->t->n_after && s->t->after[0] == eos);
    if (s->spm) {
        hn_gguf_meta_bool(s->m, "tokenizer.ggml.add_space_prefix", has_prefix(s->t));
        hn_gguf_meta_bool(s->m, "tokenizer.ggml.remove_extra_whitespaces", removes_spaces(s->t));
    }
    if (info->chat_template)
        hn_gguf_meta_str(s->m, "tokenizer.chat_template", hn_str_of(info->chat_template));
}

static bool is_byte_level(const struct hone_tokenizer *t)
{
    bool is = false;
    for (size_t i = 0; i < t->n_splits; i++)
        is |= t->splits[i].kind == HN_SPLIT_BYTE_LEVEL;
    return is && t->model.kind == HN_MODEL_BPE && !t->model.prefix.n && !t->model.suffix.n;
}

/* SentencePiece's mark for a space is a token's first character somewhere. */
static bool is_sentencepiece(const struct hone_tokenizer *t)
{
    return t->model.kind == HN_MODEL_BPE && t->model.byte_fallback && !t->model.prefix.n &&
           !t->model.suffix.n && hn_vocab_find(&t->vocab, hn_str_of("\xe2\x96\x81")) >= 0;
}

static int put_kind(struct sink *s, const struct hn_bpe_merge *merges, size_t n)
{
    hn_gguf_meta_str(s->m, "tokenizer.ggml.model", hn_str_of(s->spm ? "llama" : "gpt2"));
    if (s->spm) {
        hn_gguf_meta_str(s->m, "tokenizer.ggml.pre", hn_str_of("default"));
        int rc = find_scores(s, merges, n);
        if (!rc)
            put_tokens(s);
        return rc;
    }
    const char *pre = hn_pre_name(s->t);
    /* NFC apart: composed text is what people type, and no reader of GGUF composes it. */
    for (size_t i = 0; i < s->t->n_norms; i++)
        if (s->t->norms[i].kind != HN_NORM_NFC)
            return hn_fail(s->err, HONE_FAILED,
                           "%s: the tokenizer rewrites text before it cuts it, which a GGUF cannot "
                           "say; --to hf and --to mlx can",
                           s->path);
    if (!pre)
        return hn_fail(s->err, HONE_FAILED,
                       "%s: the tokenizer cuts text in a way that llama.cpp has no name for, so a "
                       "GGUF cannot hold it; --to hf and --to mlx can",
                       s->path);
    hn_gguf_meta_str(s->m, "tokenizer.ggml.pre", hn_str_of(pre));
    put_tokens(s);
    return put_merges(s, merges, n);
}

int hn_tokenizer_put_gguf(const struct hone_tokenizer *t, const struct hone_tokenizer *pieces,
                          int64_t n_rows, const char *path, struct hn_gguf_meta *m,
                          size_t *n_left_out, struct hone_err *err)
{
    struct sink s = {.t = t, .pieces = pieces, .n = n_rows, .path = path, .m = m, .err = err};
    struct hn_bpe_merge *merges = NULL;
    size_t n = 0;
    s.spm = !is_byte_level(t);
    if (s.spm && !is_sentencepiece(t))
        return hn_fail(err, HONE_FAILED,
                       "%s: the tokenizer is %s; a GGUF from hone holds byte-level BPE or "
                       "SentencePiece BPE",
                       path, t->info.kind);
    int rc = hn_vocab_merges(t, &merges, &n, err);
    rc = rc ? rc : put_kind(&s, merges, keep_merges(&s, merges, n));
    if (!rc)
        put_specials(&s);
    *n_left_out = (size_t)HN_MAX(t->info.vocab_size - n_rows, (int64_t)0);
    hn_free(merges);
    hn_free(s.score);
    return rc;
}
