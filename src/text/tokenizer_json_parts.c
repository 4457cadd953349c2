/* tokenizer.json's normalizer, pre_tokenizer, decoder and post_processor. */
#include "text/tokenizer_json.h"
#include "text/unicode.h"

#include <string.h>

#define GPT2_PATTERN                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static bool absent(const struct hn_json *j)
{
    return !j || j->type == HN_JSON_NULL;
}

/* Call `each` on the parts of a Sequence. */
static int sequence(const struct hn_tj *r, const struct hn_json *j, const char *key,
                    int (*each)(const struct hn_tj *, const struct hn_json *))
{
    const struct hn_json *list = hn_json_get(j, key);
    if (!list || list->type != HN_JSON_ARRAY)
        return hn_tj_fail(r, key, list, "an array");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = absent(&list->items[i]) ? hn_tj_fail(r, key, &list->items[i], "an object")
                                     : each(r, &list->items[i]);
    return rc;
}

static int too_many(const struct hn_tj *r, const char *part)
{
    return hn_fail(r->err, HONE_FAILED, "%s: the %s has more than %d steps", r->path, part,
                   HN_TOKENIZER_MAX_STEPS);
}

static struct hn_norm_step *add_norm(const struct hn_tj *r, enum hn_norm_kind kind)
{
    struct hone_tokenizer *t = r->t;
    if (t->n_norms == HN_TOKENIZER_MAX_STEPS) {
        (void)too_many(r, "normalizer");
        return NULL;
    }
    t->norms[t->n_norms].kind = kind;
    return &t->norms[t->n_norms++];
}

/* BertNormalizer is five steps, each of which may be off; strip_accents null follows lowercase. */
static int read_bert(const struct hn_tj *r, const struct hn_json *j)
{
    bool clean, chinese, lower, accents;
    int rc = hn_tj_bool(r, j, "clean_text", true, &clean);
    rc = rc ? rc : hn_tj_bool(r, j, "handle_chinese_chars", true, &chinese);
    rc = rc ? rc : hn_tj_bool(r, j, "lowercase", true, &lower);
    rc = rc ? rc : hn_tj_bool(r, j, "strip_accents", lower, &accents);
    if (rc)
        return rc;
    const struct {
        bool on;
        enum hn_norm_kind kind;
    } steps[] = {{clean, HN_NORM_BERT_CLEAN},
                 {chinese, HN_NORM_BERT_CHINESE},
                 {accents, HN_NORM_NFD},
                 {accents, HN_NORM_BERT_ACCENTS},
                 {lower, HN_NORM_LOWERCASE}};
    for (size_t i = 0; i < HN_COUNT(steps); i++)
        if (steps[i].on && !add_norm(r, steps[i].kind))
            return HONE_FAILED;
    return 0;
}

int hn_tj_normalizer(const struct hn_tj *r, const struct hn_json *j)
{
    static const struct {
        const char *type;
        enum hn_norm_kind kind;
    } plain[] = {
        {"NFC", HN_NORM_NFC},
        {"NFD", HN_NORM_NFD},
        {"NFKC", HN_NORM_NFKC},
        {"NFKD", HN_NORM_NFKD},
        {"Nmt", HN_NORM_NMT},
        {"ByteLevel", HN_NORM_BYTE_LEVEL},
        {"Lowercase", HN_NORM_LOWERCASE},
        {"StripAccents", HN_NORM_STRIP_ACCENTS},
    };
    struct hn_norm_step *step;
    const char *type = hn_tj_type(j);
    int rc = 0;
    if (absent(j))
        return 0;
    if (strcmp(type, "Sequence") == 0)
        return sequence(r, j, "normalizers", hn_tj_normalizer);
    for (size_t i = 0; i < HN_COUNT(plain); i++)
        if (strcmp(type, plain[i].type) == 0)
            return add_norm(r, plain[i].kind) ? 0 : HONE_FAILED;
    if (strcmp(type, "Prepend") == 0) {
        step = add_norm(r, HN_NORM_PREPEND);
        return !step ? HONE_FAILED : hn_tj_str(r, j, "prepend", &step->text);
    }
    if (strcmp(type, "Replace") == 0) {
        step = add_norm(r, HN_NORM_REPLACE);
        rc = !step ? HONE_FAILED : hn_tj_pattern(r, j, &step->literal, &step->re);
        return rc ? rc : hn_tj_str(r, j, "content", &step->text);
    }
    if (strcmp(type, "Strip") == 0) {
        step = add_norm(r, HN_NORM_STRIP);
        rc = !step ? HONE_FAILED : hn_tj_bool(r, j, "strip_left", true, &step->left);
        return rc ? rc : hn_tj_bool(r, j, "strip_right", true, &step->right);
    }
    if (strcmp(type, "BertNormalizer") == 0)
        return read_bert(r, j);
    return hn_tj_unknown(r, "normalizer", j);
}

static struct hn_split_step *add_split(const struct hn_tj *r, enum hn_split_kind kind)
{
    struct hone_tokenizer *t = r->t;
    if (t->n_splits == HN_TOKENIZER_MAX_STEPS) {
        (void)too_many(r, "pre_tokenizer");
        return NULL;
    }
    t->splits[t->n_splits].kind = kind;
    return &t->splits[t->n_splits++];
}

static int read_behavior(const struct hn_tj *r, const struct hn_json *j, bool required,
                         enum hn_behavior *out)
{
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const struct hn_json *v = hn_json_get(j, "behavior");
    if (!v && !required) {
        *out = HN_ISOLATED;
        return 0;
    }
    for (size_t i = 0; i < HN_COUNT(names); i++)
        if (hn_json_is(v, names[i])) {
            *out = (enum hn_behavior)i;
            return 0;
        }
    return hn_tj_fail(r, "behavior", v,
                      "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");
}

static int read_byte_level(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_split_step *step = add_split(r, HN_SPLIT_BYTE_LEVEL);
    bool use_regex = true;
    int rc = !step ? HONE_FAILED : hn_tj_bool(r, j, "add_prefix_space", true, &step->prefix_space);
    rc = rc ? rc : hn_tj_bool(r, j, "use_regex", true, &use_regex);
    return rc || !use_regex ? rc : hn_regex_open(&step->re, hn_str_of(GPT2_PATTERN), r->err);
}

static int read_scheme(const struct hn_tj *r, const struct hn_json *j, enum hn_scheme *out)
{
    static const char *const names[] = {"always", "first", "never"};
    const struct hn_json *v = hn_json_get(j, "prepend_scheme");
    bool prefix = true;
    size_t k = 0;
    int rc = hn_tj_bool(r, j, "add_prefix_space", true, &prefix);
    if (rc)
        return rc;
    *out = HN_PREPEND_ALWAYS;
    if (!v) {
        if (!prefix)
            return hn_fail(r->err, HONE_FAILED,
                           "%s: Metaspace has add_prefix_space false and no prepend_scheme, which "
                           "the tokenizers library refuses; add \"prepend_scheme\": \"never\"",
                           r->path);
        return 0;
    }
    while (k < HN_COUNT(names) && !hn_json_is(v, names[k]))
        k++;
    if (k == HN_COUNT(names))
        return hn_tj_fail(r, "prepend_scheme", v, "always, first or never");
    if (!prefix && k != HN_PREPEND_NEVER)
        return hn_fail(r->err, HONE_FAILED,
                       "%s: Metaspace's add_prefix_space contradicts its prepend_scheme", r->path);
    *out = (enum hn_scheme)k;
    return 0;
}

static int read_metaspace(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_split_step *step = add_split(r, HN_SPLIT_METASPACE);
    int rc = !step ? HONE_FAILED : hn_tj_char(r, j, "replacement", &step->cp);
    rc = rc ? rc : read_scheme(r, j, &step->scheme);
    return rc ? rc : hn_tj_bool(r, j, "split", true, &step->split);
}

static int read_split(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_split_step *step = add_split(r, HN_SPLIT_PATTERN);
    int rc = !step ? HONE_FAILED : hn_tj_pattern(r, j, &step->literal, &step->re);
    rc = rc ? rc : read_behavior(r, j, true, &step->behavior);
    return rc ? rc : hn_tj_bool(r, j, "invert", false, &step->invert);
}

static int read_whitespace(const struct hn_tj *r)
{
    struct hn_split_step *step = add_split(r, HN_SPLIT_WHITESPACE);
    if (!step)
        return HONE_FAILED;
    step->behavior = HN_REMOVED;
    step->invert = true;
    return 0;
}

int hn_tj_pre_tokenizer(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_split_step *step;
    const char *type = hn_tj_type(j);
    bool individual = false;
    int rc = 0;
    if (absent(j))
        return 0;
    if (strcmp(type, "Sequence") == 0)
        return sequence(r, j, "pretokenizers", hn_tj_pre_tokenizer);
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(r, j);
    if (strcmp(type, "Split") == 0)
        return read_split(r, j);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(r, j);
    if (strcmp(type, "Whitespace") == 0)
        return read_whitespace(r);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return add_split(r, HN_SPLIT_WHITESPACE_ONLY) ? 0 : HONE_FAILED;
    if (strcmp(type, "BertPreTokenizer") == 0)
        return add_split(r, HN_SPLIT_BERT) ? 0 : HONE_FAILED;
    if (strcmp(type, "Digits") == 0) {
        step = add_split(r, HN_SPLIT_DIGITS);
        rc = !step ? HONE_FAILED : hn_tj_bool(r, j, "individual_digits", false, &individual);
        if (rc == 0)
            step->behavior = individual ? HN_ISOLATED : HN_CONTIGUOUS;
        return rc;
    }
    if (strcmp(type, "Punctuation") == 0) {
        step = add_split(r, HN_SPLIT_PUNCTUATION);
        return !step ? HONE_FAILED : read_behavior(r, j, false, &step->behavior);
    }
    if (strcmp(type, "CharDelimiterSplit") == 0) {
        step = add_split(r, HN_SPLIT_DELIMITER);
        return !step ? HONE_FAILED : hn_tj_char(r, j, "delimiter", &step->cp);
    }
    if (strcmp(type, "FixedLength") == 0) {
        step = add_split(r, HN_SPLIT_FIXED_LENGTH);
        if (!step)
            return HONE_FAILED;
        step->length = 5;
        if (hn_json_get(j, "length"))
            rc = hn_tj_size(r, j, "length", &step->length);
        return rc == 0 && step->length == 0
                   ? hn_tj_fail(r, "length", hn_json_get(j, "length"), "1 or more")
                   : rc;
    }
    return hn_tj_unknown(r, "pre_tokenizer", j);
}

static struct hn_decode_step *add_decoder(const struct hn_tj *r, enum hn_decode_kind kind)
{
    struct hone_tokenizer *t = r->t;
    if (t->n_decoders == HN_TOKENIZER_MAX_STEPS) {
        (void)too_many(r, "decoder");
        return NULL;
    }
    t->decoders[t->n_decoders].kind = kind;
    return &t->decoders[t->n_decoders++];
}

int hn_tj_decoder(const struct hn_tj *r, const struct hn_json *j)
{
    struct hn_decode_step *step;
    const char *type = hn_tj_type(j);
    enum hn_scheme scheme;
    int rc = 0;
    if (absent(j))
        return 0;
    if (strcmp(type, "Sequence") == 0)
        return sequence(r, j, "decoders", hn_tj_decoder);
    if (strcmp(type, "ByteLevel") == 0)
        return add_decoder(r, HN_DECODE_BYTE_LEVEL) ? 0 : HONE_FAILED;
    if (strcmp(type, "ByteFallback") == 0)
        return add_decoder(r, HN_DECODE_BYTE_FALLBACK) ? 0 : HONE_FAILED;
    if (strcmp(type, "Fuse") == 0)
        return add_decoder(r, HN_DECODE_FUSE) ? 0 : HONE_FAILED;
    if (strcmp(type, "Strip") == 0) {
        step = add_decoder(r, HN_DECODE_STRIP);
        rc = !step ? HONE_FAILED : hn_tj_char(r, j, "content", &step->cp);
        rc = rc ? rc : hn_tj_size(r, j, "start", &step->start);
        return rc ? rc : hn_tj_size(r, j, "stop", &step->stop);
    }
    if (strcmp(type, "Replace") == 0) {
        step = add_decoder(r, HN_DECODE_REPLACE);
        rc = !step ? HONE_FAILED : hn_tj_pattern(r, j, &step->literal, &step->re);
        return rc ? rc : hn_tj_str(r, j, "content", &step->text);
    }
    if (strcmp(type, "Metaspace") == 0) {
        step = add_decoder(r, HN_DECODE_METASPACE);
        rc = !step ? HONE_FAILED : hn_tj_char(r, j, "replacement", &step->cp);
        rc = rc ? rc : read_scheme(r, j, &scheme);
        if (rc == 0)
            step->drop_first = scheme != HN_PREPEND_NEVER;
        return rc;
    }
    if (strcmp(type, "WordPiece") == 0) {
        step = add_decoder(r, HN_DECODE_WORDPIECE);
        rc = !step ? HONE_FAILED : hn_tj_str(r, j, "prefix", &step->text);
        return rc ? rc : hn_tj_bool(r, j, "cleanup", true, &step->cleanup);
    }
    if (strcmp(type, "BPEDecoder") == 0) {
        step = add_decoder(r, HN_DECODE_BPE);
        return !step ? HONE_FAILED : hn_tj_str(r, j, "suffix", &step->text);
    }
    if (strcmp(type, "CTC") == 0) {
        step = add_decoder(r, HN_DECODE_CTC);
        rc = !step ? HONE_FAILED : hn_tj_str(r, j, "pad_token", &step->text);
        rc = rc ? rc : hn_tj_str(r, j, "word_delimiter_token", &step->literal);
        return rc ? rc : hn_tj_bool(r, j, "cleanup", true, &step->cleanup);
    }
    return hn_tj_unknown(r, "decoder", j);
}

static int add_special(const struct hn_tj *r, bool after, int64_t id)
{
    struct hone_tokenizer *t = r->t;
    size_t *n = after ? &t->n_after : &t->n_before;
    if (id < 0 || id > HN_VOCAB_MAX_ID)
        return hn_fail(r->err, HONE_FAILED,
                       "%s: the post_processor adds the id %lld; expected 0 to %d", r->path,
                       (long long)id, HN_VOCAB_MAX_ID);
    if (*n == HN_TOKENIZER_MAX_SPECIAL)
        return too_many(r, "post_processor");
    if (after) {
        t->after[t->n_after++] = (int32_t)id;
        return 0;
    }
    t->before[t->n_before++] = (int32_t)id;
    return 0;
}

/* The ids of a special token of a template. */
static int template_token(const struct hn_tj *r, const struct hn_json *tokens,
                          const struct hn_json *piece, bool after)
{
    struct hn_str name;
    int64_t id;
    if (!hn_json_str(hn_json_get(piece, "id"), &name))
        return hn_tj_fail(r, "a SpecialToken of the post_processor", piece, "one with an id");
    const struct hn_json *ids = hn_json_get(hn_json_get(tokens, name.p), "ids");
    if (!ids || ids->type != HN_JSON_ARRAY)
        return hn_fail(r->err, HONE_FAILED, "%s: the post_processor's special_tokens lack \"%.*s\"",
                       r->path, hn_utf8_cut(name, 60), name.p);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ids->n; i++)
        rc = hn_json_int(&ids->items[i], &id)
                 ? add_special(r, after, id)
                 : hn_tj_fail(r, "an id of the post_processor", &ids->items[i], "an integer");
    return rc;
}

static int read_template(const struct hn_tj *r, const struct hn_json *j)
{
    const struct hn_json *single = hn_json_get(j, "single");
    const struct hn_json *tokens = hn_json_get(j, "special_tokens");
    bool after = false;
    int rc = 0;
    if (!single || single->type != HN_JSON_ARRAY)
        return hn_tj_fail(r, "the post_processor's single", single, "an array");
    for (size_t i = 0; rc == 0 && i < single->n; i++) {
        const struct hn_json *special = hn_json_get(&single->items[i], "SpecialToken");
        const struct hn_json *sequence_a = hn_json_get(&single->items[i], "Sequence");
        if (sequence_a && !after && hn_json_is(hn_json_get(sequence_a, "id"), "A"))
            after = true;
        else if (special)
            rc = template_token(r, tokens, special, after);
        else
            rc = hn_tj_fail(r, "a piece of the post_processor's single", &single->items[i],
                            "SpecialToken, or Sequence A once");
    }
    if (rc == 0 && !after)
        rc = hn_fail(r->err, HONE_FAILED, "%s: the post_processor's single lacks Sequence A",
                     r->path);
    return rc;
}

/* BertProcessing and RobertaProcessing: ["text", id] around. */
static int read_cls_sep(const struct hn_tj *r, const struct hn_json *j)
{
    static const char *const keys[] = {"cls", "sep"};
    int64_t id;
    int rc = 0;
    for (int k = 0; rc == 0 && k < 2; k++)
        rc = hn_json_int(hn_json_at(hn_json_get(j, keys[k]), 1), &id)
                 ? add_special(r, k == 1, id)
                 : hn_tj_fail(r, keys[k], hn_json_get(j, keys[k]), "[\"token\", id]");
    return rc;
}

/* One step that adds tokens: the library gives a second one the first one's parts as if they were
 * several texts. */
static int adding(const struct hn_tj *r, const struct hn_json *j,
                  int (*read)(const struct hn_tj *, const struct hn_json *))
{
    const struct hone_tokenizer *t = r->t;
    size_t n = t->n_before + t->n_after;
    int rc = read(r, j);
    if (rc == 0 && n && t->n_before + t->n_after > n)
        return hn_fail(r->err, HONE_FAILED,
                       "%s: more than one step of the post_processor adds tokens, which is not "
                       "supported; leave one",
                       r->path);
    return rc;
}

int hn_tj_post_processor(const struct hn_tj *r, const struct hn_json *j)
{
    const char *type = hn_tj_type(j);
    if (absent(j))
        return 0;
    if (strcmp(type, "Sequence") == 0)
        return sequence(r, j, "processors", hn_tj_post_processor);
    if (strcmp(type, "TemplateProcessing") == 0)
        return adding(r, j, read_template);
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        return adding(r, j, read_cls_sep);
    if (strcmp(type, "ByteLevel") == 0)
        return 0;
    return hn_tj_unknown(r, "post_processor", j);
}
