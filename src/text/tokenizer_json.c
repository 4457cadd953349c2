/* tokenizer.json: the file of the tokenizers library, version 1.0.  What it may hold is what that
 * library may build; a part that is not supported is refused by its name. */
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int hn_tj_fail(const struct hn_tj *r, const char *where, const struct hn_json *found,
               const char *expected)
{
    return hn_fail(r->err, HONE_FAILED, "%s: %s is %s; expected %s", r->path, where,
                   hn_json_type_name(found), expected);
}

int hn_tj_bool(const struct hn_tj *r, const struct hn_json *j, const char *key, bool otherwise,
               bool *out)
{
    const struct hn_json *v = hn_json_get(j, key);
    *out = otherwise;
    if (!v || v->type == HN_JSON_NULL || hn_json_bool(v, out))
        return 0;
    return hn_tj_fail(r, key, v, "true or false");
}

int hn_tj_dup(const struct hn_tj *r, struct hn_str s, struct hn_str *out)
{
    char *copy = hn_arena_dup(&r->t->arena, s.p, s.n);
    if (!copy)
        return hn_fail_memory(r->err, "reading a tokenizer");
    *out = (struct hn_str){copy, s.n};
    return 0;
}

int hn_tj_str(const struct hn_tj *r, const struct hn_json *j, const char *key, struct hn_str *out)
{
    struct hn_str s;
    const struct hn_json *v = hn_json_get(j, key);
    if (!hn_json_str(v, &s))
        return hn_tj_fail(r, key, v, "a string");
    if (hn_utf8_check(s.p, s.n) < s.n)
        return hn_fail(r->err, HONE_FAILED, "%s: %s is not valid UTF-8", r->path, key);
    return hn_tj_dup(r, s, out);
}

int hn_tj_char(const struct hn_tj *r, const struct hn_json *j, const char *key, uint32_t *out)
{
    struct hn_str s;
    size_t i = 0;
    int rc = hn_tj_str(r, j, key, &s);
    if (rc)
        return rc;
    int32_t cp = s.n ? hn_utf8_next(s.p, s.n, &i) : -1;
    if (cp < 0 || i != s.n)
        return hn_fail(r->err, HONE_FAILED, "%s: %s is \"%.*s\"; expected one character", r->path,
                       key, hn_utf8_cut(s, 60), s.p);
    *out = (uint32_t)cp;
    return 0;
}

int hn_tj_size(const struct hn_tj *r, const struct hn_json *j, const char *key, size_t *out)
{
    int64_t v;
    if (!hn_json_int(hn_json_get(j, key), &v) || v < 0 || v > INT32_MAX)
        return hn_tj_fail(r, key, hn_json_get(j, key), "a number from 0 up");
    *out = (size_t)v;
    return 0;
}

/* {"String": …} or {"Regex": …}: *literal, or *re when it is a regular expression. */
int hn_tj_pattern(const struct hn_tj *r, const struct hn_json *j, struct hn_str *literal,
                  struct hn_regex **re)
{
    struct hn_str s;
    const struct hn_json *p = hn_json_get(j, "pattern");
    if (hn_json_str(hn_json_get(p, "String"), &s) && hn_utf8_check(s.p, s.n) == s.n)
        /* Nothing is found everywhere, which only the expression does right. */
        return s.n ? hn_tj_dup(r, s, literal) : hn_regex_open(re, s, r->err);
    if (!hn_json_str(hn_json_get(p, "Regex"), &s))
        return hn_tj_fail(r, "pattern", p, "{\"String\": …} or {\"Regex\": …}");
    int rc = hn_regex_open(re, s, r->err);
    return rc ? hn_fail_prefix(r->err, "%s", r->path) : 0;
}

int hn_tj_unknown(const struct hn_tj *r, const char *part, const struct hn_json *j)
{
    const struct hn_json *type = hn_json_get(j, "type");
    struct hn_str name = {"", 0};
    if (!hn_json_str(type, &name))
        return hn_tj_fail(r, part, j, "an object with a type");
    return hn_fail(r->err, HONE_FAILED, "%s: the %s \"%.*s\" is not supported", r->path, part,
                   hn_utf8_cut(name, 60), name.p);
}

/* The type of a part, or "" */
const char *hn_tj_type(const struct hn_json *j)
{
    struct hn_str s = {"", 0};
    (void)hn_json_str(hn_json_get(j, "type"), &s);
    return s.p;
}

/* {"text": id, …}: the tokens, then the merges' table can be filled. */
static int read_vocab(const struct hn_tj *r, const struct hn_json *vocab)
{
    struct hone_tokenizer *t = r->t;
    int64_t id, top = -1;
    if (!vocab || vocab->type != HN_JSON_OBJECT)
        return hn_tj_fail(r, "model.vocab", vocab, "an object of tokens and ids");
    for (size_t i = 0; i < vocab->n; i++) {
        const struct hn_json_member *m = &vocab->members[i];
        if (!hn_json_int(&m->value, &id) || id < 0 || id > HN_VOCAB_MAX_ID)
            return hn_fail(
                r->err, HONE_FAILED, "%s: the id of the token \"%.*s\" is %.40s; expected 0 to %d",
                r->path, hn_utf8_cut(m->key, 60), m->key.p,
                m->value.type == HN_JSON_INT ? m->value.text.p : hn_json_type_name(&m->value),
                HN_VOCAB_MAX_ID);
        top = HN_MAX(top, id);
    }
    int rc = hn_vocab_init(&t->vocab, vocab->n, (uint32_t)(top + 1), r->err);
    size_t size = 1;
    for (size_t i = 0; i < vocab->n; i++)
        size += vocab->members[i].key.n + 1;
    char *texts = rc == 0 ? hn_arena_alloc(&t->arena, size, 1) : NULL;
    if (rc == 0 && !texts)
        rc = hn_fail_memory(r->err, "reading a vocabulary");
    for (size_t i = 0; rc == 0 && i < vocab->n; i++) {
        const struct hn_json_member *m = &vocab->members[i];
        (void)hn_json_int(&m->value, &id);
        memcpy(texts, m->key.p, m->key.n + 1);
        rc = hn_vocab_add(&t->vocab, (struct hn_str){texts, m->key.n}, id, r->err);
        texts += m->key.n + 1;
        if (rc)
            hn_fail_prefix(r->err, "%s", r->path);
    }
    return rc;
}

/* "a b", or ["a", "b"]. */
static int split_merge(const struct hn_tj *r, const struct hn_json *m, size_t rank,
                       struct hn_str *a, struct hn_str *b)
{
    struct hn_str s;
    if (m->type == HN_JSON_ARRAY && m->n == 2 && hn_json_str(hn_json_at(m, 0), a) &&
        hn_json_str(hn_json_at(m, 1), b))
        return 0;
    if (hn_json_str(m, &s)) {
        const char *space = memchr(s.p, ' ', s.n);
        size_t left = space ? (size_t)(space - s.p) : 0;
        if (space && !memchr(space + 1, ' ', s.n - left - 1)) {
            *a = (struct hn_str){s.p, left};
            *b = (struct hn_str){space + 1, s.n - left - 1};
            return 0;
        }
    }
    return hn_fail(r->err, HONE_FAILED,
                   "%s: model.merges[%zu] is %s; expected two tokens, as \"a b\" or [\"a\", \"b\"]",
                   r->path, rank, hn_json_type_name(m));
}

static int read_merges(const struct hn_tj *r, const struct hn_json *merges)
{
    struct hone_tokenizer *t = r->t;
    struct hn_buf joined = {0};
    uint32_t rank = 0;
    int32_t id = -1;
    if (!merges || merges->type != HN_JSON_ARRAY || merges->n > HN_VOCAB_MAX_ID)
        return hn_tj_fail(r, "model.merges", merges, "an array");
    int rc = hn_bpe_init(&t->model.bpe, merges->n, r->err);
    for (size_t i = 0; rc == 0 && i < merges->n; i++) {
        struct hn_str a, b, s;
        const struct hn_json *m = &merges->items[i];
        if (hn_json_str(m, &s) && hn_starts_with(s.p, "#version"))
            continue;
        rc = split_merge(r, m, i, &a, &b);
        if (rc)
            break;
        size_t cut = t->model.prefix.n;
        hn_buf_clear(&joined);
        hn_buf_add(&joined, a.p, a.n);
        if (b.n >= cut)
            hn_buf_add(&joined, b.p + cut, b.n - cut);
        int32_t left = hn_vocab_find(&t->vocab, a), right = hn_vocab_find(&t->vocab, b);
        id =
            hn_vocab_find_near(&t->vocab, (struct hn_str){hn_buf_str(&joined), joined.len}, id + 1);
        if (joined.failed)
            rc = hn_fail_memory(r->err, "reading a tokenizer");
        else if (left < 0 || right < 0 || id < 0 || b.n < cut)
            rc = hn_fail(r->err, HONE_FAILED,
                         "%s: model.merges[%zu] joins \"%.*s\" and \"%.*s\", but %s is not in the "
                         "vocabulary",
                         r->path, i, hn_utf8_cut(a, 60), a.p, hn_utf8_cut(b, 60), b.p,
                         left < 0    ? "the first"
                         : right < 0 ? "the second"
                                     : "what they make");
        else
            hn_bpe_add(&t->model.bpe, (uint32_t)left, (uint32_t)right, rank++, (uint32_t)id);
    }
    hn_buf_release(&joined);
    return rc;
}

static int optional_str(const struct hn_tj *r, const struct hn_json *j, const char *key,
                        struct hn_str *out)
{
    const struct hn_json *v = hn_json_get(j, key);
    *out = (struct hn_str){"", 0};
    return v && v->type != HN_JSON_NULL ? hn_tj_str(r, j, key, out) : 0;
}

static int read_bpe(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_model *m = &r->t->model;
    struct hn_str unk;
    double dropout;
    m->kind = HN_MODEL_BPE;
    m->unk = -1;
    int rc = optional_str(r, j, "continuing_subword_prefix", &m->prefix);
    rc = rc ? rc : optional_str(r, j, "end_of_word_suffix", &m->suffix);
    rc = rc ? rc : optional_str(r, j, "unk_token", &unk);
    rc = rc ? rc : hn_tj_bool(r, j, "fuse_unk", false, &m->fuse_unk);
    rc = rc ? rc : hn_tj_bool(r, j, "byte_fallback", false, &m->byte_fallback);
    rc = rc ? rc : hn_tj_bool(r, j, "ignore_merges", false, &m->ignore_merges);
    if (rc == 0 && hn_json_float(hn_json_get(j, "dropout"), &dropout) && dropout > 0)
        rc = hn_fail(r->err, HONE_FAILED,
                     "%s: model.dropout is %g, which makes tokens random; set it to null", r->path,
                     dropout);
    rc = rc ? rc : read_vocab(r, hn_json_get(j, "vocab"));
    rc = rc ? rc : read_merges(r, hn_json_get(j, "merges"));
    if (rc == 0 && unk.n) {
        m->unk = hn_vocab_find(&r->t->vocab, unk);
        m->unk_missing = m->unk < 0;
    }
    return rc;
}

/* The unknown token's id; -1 when it is not in the vocabulary, which matters only if it is needed.
 */
static int read_unk(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_str unk;
    int rc = hn_tj_str(r, j, "unk_token", &unk);
    r->t->model.unk = rc ? -1 : hn_vocab_find(&r->t->vocab, unk);
    return rc;
}

static int read_word_piece(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_model *m = &r->t->model;
    m->kind = HN_MODEL_WORDPIECE;
    int rc = read_vocab(r, hn_json_get(j, "vocab"));
    rc = rc ? rc : hn_tj_str(r, j, "continuing_subword_prefix", &m->prefix);
    rc = rc ? rc : hn_tj_size(r, j, "max_input_chars_per_word", &m->max_chars);
    return rc ? rc : read_unk(r, j);
}

static int read_word_level(const struct hn_tj *r, const struct hn_json *j)
{
    r->t->model.kind = HN_MODEL_WORDLEVEL;
    int rc = read_vocab(r, hn_json_get(j, "vocab"));
    return rc ? rc : read_unk(r, j);
}

/* A number as serde_json reads it by default: the digits that fit 64 bits, times or divided by a
 * power of ten; its last bit may differ from the nearest double, and Viterbi's ties hang on it. */
static double serde_float(struct hn_str s)
{
    uint64_t digits = 0;
    int64_t exponent = 0, e = 0;
    size_t i = s.n && s.p[0] == '-';
    bool point = false, full = false, minus = false;
    for (; i < s.n && (s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9')); i++) {
        uint64_t d = (uint64_t)(s.p[i] - '0'), next;
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        full = full || hn_mul_overflows(digits, (uint64_t)10, &next) ||
               hn_add_overflows(next, d, &next);
        if (!full)
            digits = next;
        exponent += full ? !point : -(int64_t)point;
    }
    for (i++; i < s.n; i++) {
        minus |= s.p[i] == '-';
        if (s.p[i] >= '0' && s.p[i] <= '9' && e < 100000)
            e = e * 10 + (s.p[i] - '0');
    }
    exponent += minus ? -e : e;
    double f = (double)digits;
    for (; exponent < -308 && f != 0; exponent += 308)
        f /= 1e308;
    char power[16];
    int n = snprintf(power, sizeof power, "1e%d",
                     (int)HN_MIN(exponent < 0 ? -exponent : exponent, (int64_t)400));
    double scale = hn_double_parse(power, (size_t)n);
    f = exponent < 0 ? f / scale : f * scale;
    return s.n && s.p[0] == '-' ? -f : f;
}

/* [["text", score], …]: ids are places in the list. */
static int read_pieces(const struct hn_tj *r, const struct hn_json *vocab)
{
    struct hone_tokenizer *t = r->t;
    if (!vocab || vocab->type != HN_JSON_ARRAY || vocab->n == 0 || vocab->n > HN_VOCAB_MAX_ID)
        return hn_tj_fail(r, "model.vocab", vocab, "an array of [\"token\", score]");
    int rc = hn_vocab_init(&t->vocab, vocab->n, (uint32_t)vocab->n, r->err);
    t->model.scores = hn_calloc(vocab->n, sizeof *t->model.scores);
    if (rc == 0 && !t->model.scores)
        rc = hn_fail_memory(r->err, "reading a vocabulary");
    for (size_t i = 0; rc == 0 && i < vocab->n; i++) {
        struct hn_str text;
        const struct hn_json *score = hn_json_at(&vocab->items[i], 1);
        if (!hn_json_str(hn_json_at(&vocab->items[i], 0), &text) ||
            !hn_json_float(score, &t->model.scores[i]) || !isfinite(t->model.scores[i]))
            rc = hn_fail(r->err, HONE_FAILED,
                         "%s: model.vocab[%zu] is %s; expected [\"token\", score]", r->path, i,
                         hn_json_type_name(&vocab->items[i]));
        if (rc == 0)
            t->model.scores[i] = serde_float(score->text);
        rc = rc ? rc : hn_tj_dup(r, text, &text);
        if (rc == 0 && hn_vocab_put(&t->vocab, text, (int64_t)i, r->err))
            rc = hn_fail_prefix(r->err, "%s", r->path);
    }
    return rc;
}

static int read_unigram(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_model *m = &r->t->model;
    const struct hn_json *unk = hn_json_get(j, "unk_id");
    int64_t id = -1;
    m->kind = HN_MODEL_UNIGRAM;
    m->fuse_unk = true;
    int rc = read_pieces(r, hn_json_get(j, "vocab"));
    rc = rc ? rc : hn_tj_bool(r, j, "byte_fallback", false, &m->byte_fallback);
    if (rc == 0 && unk && unk->type != HN_JSON_NULL &&
        (!hn_json_int(unk, &id) || id < 0 || id >= r->t->vocab.n_ids))
        rc = hn_tj_fail(r, "model.unk_id", unk, "an id of the vocabulary");
    m->unk = (int32_t)id;
    return rc;
}

static int read_model(const struct hn_tj *r, const struct hn_json *j)
{
    const char *type = hn_tj_type(j);
    const struct hn_json *vocab = hn_json_get(j, "vocab");
    /* Old files leave the type out: what is there tells it. */
    if (strcmp(type, "BPE") == 0 || (!*type && vocab && hn_json_get(j, "merges")))
        return read_bpe(r, j);
    if (strcmp(type, "Unigram") == 0 || (!*type && vocab && vocab->type == HN_JSON_ARRAY))
        return read_unigram(r, j);
    if (strcmp(type, "WordPiece") == 0 || (!*type && hn_json_get(j, "max_input_chars_per_word")))
        return read_word_piece(r, j);
    if (strcmp(type, "WordLevel") == 0 || (!*type && vocab && hn_json_get(j, "unk_token")))
        return read_word_level(r, j);
    return hn_tj_unknown(r, "model", j);
}

int hn_tj_added(const struct hn_tj *r, const struct hn_json *j, struct hn_added_token *out)
{
    int rc = hn_tj_str(r, j, "content", &out->text);
    rc = rc ? rc : hn_tj_bool(r, j, "special", false, &out->special);
    rc = rc ? rc : hn_tj_bool(r, j, "normalized", !out->special, &out->normalized);
    rc = rc ? rc : hn_tj_bool(r, j, "single_word", false, &out->single_word);
    rc = rc ? rc : hn_tj_bool(r, j, "lstrip", false, &out->lstrip);
    return rc ? rc : hn_tj_bool(r, j, "rstrip", false, &out->rstrip);
}

/* Ids of added tokens follow from the order of the file as in the library: the vocabulary's own id
 * when the text is in it, else the next free one after all. */
static int read_added(const struct hn_tj *r, const struct hn_json *list)
{
    struct hone_tokenizer *t = r->t;
    size_t n = list && list->type == HN_JSON_ARRAY ? list->n : 0;
    int64_t next = (int64_t)t->vocab.n_tokens;
    if (list && list->type != HN_JSON_ARRAY && list->type != HN_JSON_NULL)
        return hn_tj_fail(r, "added_tokens", list, "an array");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct hn_json *j = &list->items[i];
        struct hn_added_token a = {0};
        int64_t id;
        rc = hn_tj_added(r, j, &a);
        if (rc == 0 && !hn_json_int(hn_json_get(j, "id"), &id))
            rc = hn_tj_fail(r, "the id of an added token", hn_json_get(j, "id"), "an integer");
        if (rc || a.text.n == 0)
            continue;
        const struct hn_added_token *same = hn_added_find(&t->added, a.text);
        a.id = same ? same->id : hn_vocab_find(&t->vocab, a.text);
        if (a.id < 0)
            a.id = (int32_t)next++;
        rc = hn_added_put(&t->added, &a, r->err);
    }
    return rc;
}

static int from_json(struct hone_tokenizer *t, const struct hn_json *root, const char *path,
                     struct hone_err *err)
{
    struct hn_tj r = {t, path, err};
    if (!root || root->type != HN_JSON_OBJECT)
        return hn_fail(err, HONE_FAILED, "%s: holds %s; expected an object", path,
                       hn_json_type_name(root));
    t->info.bos = t->info.eos = t->info.pad = t->info.unk = -1;
    const struct hn_json *decoder = hn_json_get(root, "decoder");
    int rc = read_model(&r, hn_json_get(root, "model"));
    rc = rc ? rc : hn_tj_normalizer(&r, hn_json_get(root, "normalizer"));
    rc = rc ? rc : hn_tj_pre_tokenizer(&r, hn_json_get(root, "pre_tokenizer"));
    rc = rc ? rc : hn_tj_decoder(&r, decoder);
    rc = rc ? rc : read_added(&r, hn_json_get(root, "added_tokens"));
    rc = rc ? rc : hn_tj_post_processor(&r, hn_json_get(root, "post_processor"));
    if (rc == 0 && (!decoder || decoder->type == HN_JSON_NULL))
        t->decoders[t->n_decoders++] = (struct hn_decode_step){.kind = HN_DECODE_JOIN};
    static const char *const kinds[] = {[HN_MODEL_BPE] = "BPE",
                                        [HN_MODEL_UNIGRAM] = "Unigram",
                                        [HN_MODEL_WORDPIECE] = "WordPiece",
                                        [HN_MODEL_WORDLEVEL] = "WordLevel"};
    t->info.kind = kinds[t->model.kind];
    return rc;
}

int hn_tokenizer_parse_json(struct hone_tokenizer *t, const char *text, size_t n, const char *path,
                            struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *root = NULL;
    hn_arena_init(&arena, (size_t)1 << 31);
    int rc = hn_json_parse(&arena, text, n, HN_JSON_PYTHON, &root, err);
    if (rc)
        hn_fail_prefix(err, "%s", path);
    else
        rc = from_json(t, root, path, err);
    hn_arena_release(&arena);
    return rc;
}
