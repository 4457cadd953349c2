/* Vocabularies inside GGUF files: tokenizer.ggml.model "gpt2" (byte-level BPE, with the splitter
 * that tokenizer.ggml.pre names) and "llama" (SentencePiece BPE by scores). */
#include "base/mem.h"
#include "format/gguf.h"
#include "text/pre_names.h"
#include "text/tokenizer_spm.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

#include <string.h>

struct source {
    struct hone_tokenizer *t;
    const struct hn_gguf *g;
    const char *path;
    const struct hn_gguf_value *tokens, *types;
    bool add_bos; /* where the file does not say */
    struct hone_err *err;
};

static const struct hn_gguf_value *get(const struct source *s, const char *name)
{
    char key[96] = "tokenizer.ggml.";
    size_t n = strlen(name);
    HN_ASSERT(strlen(key) + n < sizeof key);
    memcpy(key + strlen(key), name, n + 1);
    return hn_gguf_get(s->g, key);
}

static bool flag(const struct source *s, const char *name, bool otherwise)
{
    bool v = otherwise;
    (void)hn_gguf_bool(get(s, name), &v);
    return v;
}

/* A special token's id, or -1 when the key is missing. */
static int special_id(const struct source *s, const char *name, int32_t *out)
{
    int64_t v;
    const struct hn_gguf_value *value = get(s, name);
    if (!value)
        return 0;
    if (!hn_gguf_int(value, &v) || v < -1 || (v >= s->t->vocab.n_ids && v != UINT32_MAX))
        return hn_fail(s->err, HONE_FAILED,
                       "%s: tokenizer.ggml.%s is not an id of the vocabulary (0 to %lld)", s->path,
                       name, (long long)s->t->vocab.n_ids - 1);
    *out = v >= s->t->vocab.n_ids ? -1 : (int32_t)v;
    return 0;
}

static int read_tokens(struct source *s)
{
    struct hone_tokenizer *t = s->t;
    uint64_t n = hn_gguf_count(s->tokens, HN_GGUF_STRING);
    struct hn_gguf_items items = hn_gguf_items(s->tokens);
    struct hn_str text;
    if (n == 0 || n > HN_VOCAB_MAX_ID)
        return hn_fail(s->err, HONE_FAILED,
                       "%s: tokenizer.ggml.tokens has %llu strings; expected 1 to %d", s->path,
                       (unsigned long long)n, HN_VOCAB_MAX_ID);
    if (s->types && hn_gguf_count(s->types, HN_GGUF_I32) != n &&
        hn_gguf_count(s->types, HN_GGUF_U32) != n)
        return hn_fail(s->err, HONE_FAILED,
                       "%s: tokenizer.ggml.token_type has not one integer for each of the %llu "
                       "tokens",
                       s->path, (unsigned long long)n);
    int rc = hn_vocab_init(&t->vocab, n, (uint32_t)n, s->err);
    char *texts = rc == 0 ? hn_arena_alloc(&t->arena, 1, s->tokens->size + n) : NULL;
    if (rc == 0 && !texts)
        rc = hn_fail_memory(s->err, "reading a vocabulary");
    for (int64_t id = 0; rc == 0 && hn_gguf_next_str(&items, &text); id++) {
        if (text.n)
            memcpy(texts, text.p, text.n);
        /* Padding and broken pieces may repeat a text. */
        rc = hn_vocab_put(&t->vocab, (struct hn_str){texts, text.n}, id, s->err);
        texts += text.n + 1;
    }
    return rc;
}

static int read_merges(struct source *s)
{
    struct hn_vocab *v = &s->t->vocab;
    const struct hn_gguf_value *merges = get(s, "merges");
    uint64_t n = hn_gguf_count(merges, HN_GGUF_STRING);
    struct hn_gguf_items items = hn_gguf_items(merges);
    struct hn_str m;
    char joined[1024];
    int32_t id = -1;
    if (!merges || merges->type != HN_GGUF_ARRAY || merges->item_type != HN_GGUF_STRING ||
        n > HN_VOCAB_MAX_ID)
        return hn_fail(s->err, HONE_FAILED,
                       "%s: tokenizer.ggml.merges is missing or not an array of strings", s->path);
    int rc = hn_bpe_init(&s->t->model.bpe, n, s->err);
    for (uint32_t rank = 0; rc == 0 && hn_gguf_next_str(&items, &m); rank++) {
        const char *space = m.n > 1 ? memchr(m.p + 1, ' ', m.n - 1) : NULL;
        if (!space || m.n > sizeof joined)
            return hn_fail(s->err, HONE_FAILED,
                           "%s: merge %u of tokenizer.ggml.merges is \"%.*s\"; expected two "
                           "tokens with a space between",
                           s->path, rank, hn_utf8_cut(m, 60), m.p);
        struct hn_str a = {m.p, (size_t)(space - m.p)}, b = {space + 1, m.n - a.n - 1};
        memcpy(joined, a.p, a.n);
        memcpy(joined + a.n, b.p, b.n);
        int32_t left = hn_vocab_find(v, a), right = hn_vocab_find(v, b);
        id = hn_vocab_find_near(v, (struct hn_str){joined, a.n + b.n}, id + 1);
        if (left < 0 || right < 0 || id < 0)
            return hn_fail(s->err, HONE_FAILED,
                           "%s: merge %u of tokenizer.ggml.merges, \"%.*s\", names a token that "
                           "is not in the vocabulary",
                           s->path, rank, hn_utf8_cut(m, 60), m.p);
        hn_bpe_add(&s->t->model.bpe, (uint32_t)left, (uint32_t)right, rank, (uint32_t)id);
    }
    return rc;
}

/* Control and user-defined tokens are found whole in the text. */
static int read_added(struct source *s)
{
    struct hone_tokenizer *t = s->t;
    int64_t type;
    int rc = 0;
    for (uint32_t id = 0; rc == 0 && s->types && id < t->vocab.n_ids; id++) {
        if (!hn_gguf_int_at(s->types, id, &type) || t->vocab.texts[id].n == 0 ||
            hn_vocab_find(&t->vocab, t->vocab.texts[id]) != (int32_t)id)
            continue;
        if (type != HN_SPM_CONTROL && type != HN_SPM_USER_DEFINED && type != HN_SPM_UNKNOWN)
            continue;
        struct hn_added_token token = {
            .text = t->vocab.texts[id], .id = (int32_t)id, .special = type != HN_SPM_USER_DEFINED};
        rc = hn_added_put(&t->added, &token, s->err);
    }
    return rc;
}

static int read_byte_level(struct source *s)
{
    struct hone_tokenizer *t = s->t;
    struct hn_str pre = hn_str_of("default");
    const struct hn_gguf_value *v = get(s, "pre");
    if (v && !hn_gguf_str(v, &pre))
        return hn_fail(s->err, HONE_FAILED, "%s: tokenizer.ggml.pre is not a string", s->path);
    t->info.kind = "byte-level BPE";
    t->model.kind = HN_MODEL_BPE;
    t->model.unk = -1;
    int rc = hn_pre_splits(t, pre, s->path, &s->add_bos, s->err);
    if (rc == 0)
        rc = read_merges(s);
    t->decoders[t->n_decoders++] = (struct hn_decode_step){.kind = HN_DECODE_BYTE_LEVEL};
    return rc;
}

/* Scores and types in the form that hn_spm_build reads. */
static int read_scores(struct source *s, float *scores, uint8_t *types)
{
    const struct hn_gguf_value *v = get(s, "scores");
    for (uint32_t id = 0; id < s->t->vocab.n_ids; id++) {
        double score = 0;
        int64_t type = HN_SPM_NORMAL;
        if (!hn_gguf_float_at(v, id, &score) || score != score)
            return hn_fail(s->err, HONE_FAILED,
                           "%s: tokenizer.ggml.scores has no number for token %u", s->path, id);
        (void)hn_gguf_int_at(s->types, id, &type);
        scores[id] = (float)score;
        types[id] = type >= HN_SPM_NORMAL && type <= HN_SPM_BYTE ? (uint8_t)type : HN_SPM_NORMAL;
    }
    return 0;
}

static int read_spm(struct source *s)
{
    struct hone_tokenizer *t = s->t;
    int64_t unk = 0;
    float *scores = hn_calloc(t->vocab.n_ids, sizeof *scores);
    uint8_t *types = hn_calloc(t->vocab.n_ids, 1);
    (void)hn_gguf_int(get(s, "unknown_token_id"), &unk);
    struct hn_spm_source spm = {
        .scores = scores,
        .types = types,
        .byte_fallback = true,
        .dummy_prefix = flag(s, "add_space_prefix", true),
        .remove_spaces = flag(s, "remove_extra_whitespaces", false),
        .escape_spaces = true,
        .prefix_each = true, /* as llama.cpp does */
        .unk = unk >= 0 && unk < t->vocab.n_ids ? (int32_t)unk : -1,
    };
    int rc = scores && types ? read_scores(s, scores, types)
                             : hn_fail_memory(s->err, "reading a vocabulary");
    rc = rc ? rc : hn_spm_build(t, &spm, s->err);
    hn_free(scores);
    hn_free(types);
    return rc;
}

/* "tokenizer.chat_templates" lists the names, each with a key of its own. */
static int read_templates(struct source *s)
{
    struct hn_gguf_items names = hn_gguf_items(hn_gguf_get(s->g, "tokenizer.chat_templates"));
    struct hn_str name, template;
    int rc = 0;
    while (!rc && hn_gguf_next_str(&names, &name)) {
        struct hn_buf key = {0};
        hn_buf_add_str(&key, "tokenizer.chat_template.");
        hn_buf_add(&key, name.p, name.n);
        if (key.failed)
            rc = hn_fail_memory(s->err, "reading a vocabulary");
        else if (hn_gguf_str(hn_gguf_get(s->g, hn_buf_str(&key)), &template))
            rc = hn_tokenizer_add_template(s->t, name, template, s->err);
        hn_buf_release(&key);
    }
    return rc;
}

static int read_specials(struct source *s)
{
    struct hone_tokenizer *t = s->t;
    struct hone_tokenizer_info *info = &t->info;
    struct hn_str template;
    info->bos = info->eos = info->pad = info->unk = -1;
    int rc = special_id(s, "bos_token_id", &info->bos);
    rc = rc ? rc : special_id(s, "eos_token_id", &info->eos);
    rc = rc ? rc : special_id(s, "padding_token_id", &info->pad);
    rc = rc ? rc : special_id(s, "unknown_token_id", &info->unk);
    if (rc)
        return rc;
    if (flag(s, "add_bos_token", s->add_bos) && info->bos >= 0)
        t->before[t->n_before++] = info->bos;
    if (flag(s, "add_eos_token", false) && info->eos >= 0)
        t->after[t->n_after++] = info->eos;
    rc = read_templates(s);
    if (rc)
        return rc;
    if (hn_gguf_str(hn_gguf_get(s->g, "tokenizer.chat_template"), &template))
        info->chat_template = hn_arena_dup(&t->arena, template.p, template.n);
    return t->arena.failed ? hn_fail_memory(s->err, "reading a vocabulary") : 0;
}

int hn_tokenizer_from_gguf(struct hone_tokenizer *t, const struct hn_gguf *g, const char *path,
                           struct hone_err *err)
{
    struct source s = {.t = t, .g = g, .path = path, .err = err};
    struct hn_str model = {"", 0};
    s.tokens = get(&s, "tokens");
    s.types = get(&s, "token_type");
    if (!hn_gguf_str(get(&s, "model"), &model) || !s.tokens)
        return hn_fail(err, HONE_FAILED,
                       "%s: no tokenizer is inside (tokenizer.ggml.model and tokenizer.ggml.tokens "
                       "are expected)",
                       path);
    bool spm = hn_str_is(model, "llama");
    if (!spm && !hn_str_is(model, "gpt2"))
        return hn_fail(err, HONE_FAILED,
                       "%s: tokenizer.ggml.model is \"%.*s\"; supported are gpt2 and llama", path,
                       hn_utf8_cut(model, 60), model.p);
    int rc = read_tokens(&s);
    s.add_bos = spm;
    if (rc == 0 && spm) {
        rc = read_spm(&s);
    } else if (rc == 0) {
        rc = read_byte_level(&s);
        rc = rc ? rc : read_added(&s);
    }
    rc = rc ? rc : read_specials(&s);
    return rc;
}
