/* The parts are those that the tokenizers library's own converters from SentencePiece and from
 * byte-level BPE write (transformers, convert_slow_tokenizer.py), so that its class of the same
 * name runs them. */
#include "text/tokenizer_write.h"
#include "base/mem.h"
#include "text/vocab_merges.h"

#define MARK "\xe2\x96\x81"

struct writer {
    const struct hone_tokenizer *t;
    struct hn_json_writer w;
    bool byte_level;
    const char *path;
    struct hone_err *err;
};

/* {"type": …, and an object is open. */
static void open_part(struct hn_json_writer *w, const char *type)
{
    hn_jw_open(w, '{');
    hn_jw_put_str(w, "type", type);
}

static void put_added(struct writer *x)
{
    struct hn_json_writer *w = &x->w;
    hn_jw_put_open(w, "added_tokens", '[');
    for (int64_t id = 0; id < x->t->info.vocab_size; id++) {
        const struct hn_added_token *a = hn_added_by_id(&x->t->added, id);
        if (!a)
            continue;
        hn_jw_open(w, '{');
        hn_jw_put_int(w, "id", id);
        hn_jw_key(w, "content");
        hn_jw_strn(w, a->text.p, a->text.n);
        hn_jw_put_bool(w, "single_word", a->single_word);
        hn_jw_put_bool(w, "lstrip", a->lstrip);
        hn_jw_put_bool(w, "rstrip", a->rstrip);
        hn_jw_put_bool(w, "normalized", a->normalized);
        hn_jw_put_bool(w, "special", a->special);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, ']');
}

/* " " becomes SentencePiece's mark, and one stands before the text. */
static void put_normalizer(struct writer *x, bool nfc)
{
    struct hn_json_writer *w = &x->w;
    hn_jw_key(w, "normalizer");
    if (x->byte_level) {
        if (nfc) {
            open_part(w, "NFC");
            hn_jw_close(w, '}');
        } else {
            hn_jw_null(w);
        }
        return;
    }
    open_part(w, "Sequence");
    hn_jw_put_open(w, "normalizers", '[');
    if (x->t->n_norms && x->t->norms[0].prefix) {
        open_part(w, "Prepend");
        hn_jw_put_str(w, "prepend", MARK);
        hn_jw_close(w, '}');
    }
    open_part(w, "Replace");
    hn_jw_put_open(w, "pattern", '{');
    hn_jw_put_str(w, "String", " ");
    hn_jw_close(w, '}');
    hn_jw_put_str(w, "content", MARK);
    hn_jw_close(w, '}');
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static void put_byte_level(struct hn_json_writer *w)
{
    open_part(w, "ByteLevel");
    hn_jw_put_bool(w, "add_prefix_space", false);
    hn_jw_put_bool(w, "trim_offsets", false);
    hn_jw_put_bool(w, "use_regex", false);
    hn_jw_close(w, '}');
}

static void put_pre_tokenizer(struct writer *x)
{
    struct hn_json_writer *w = &x->w;
    hn_jw_key(w, "pre_tokenizer");
    if (!x->byte_level) {
        hn_jw_null(w);
        return;
    }
    open_part(w, "Sequence");
    hn_jw_put_open(w, "pretokenizers", '[');
    for (size_t i = 0; i < x->t->n_splits; i++) {
        const struct hn_split_step *s = &x->t->splits[i];
        if (s->kind != HN_SPLIT_PATTERN || !s->re)
            continue;
        open_part(w, "Split");
        hn_jw_put_open(w, "pattern", '{');
        hn_jw_put_str(w, "Regex", hn_regex_source(s->re));
        hn_jw_close(w, '}');
        hn_jw_put_str(w, "behavior", "Isolated");
        hn_jw_put_bool(w, "invert", false);
        hn_jw_close(w, '}');
    }
    put_byte_level(w);
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static void put_template_id(struct hn_json_writer *w, const char *kind, const char *id, int type)
{
    hn_jw_open(w, '{');
    hn_jw_put_open(w, kind, '{');
    hn_jw_put_str(w, "id", id);
    hn_jw_put_int(w, "type_id", type);
    hn_jw_close(w, '}');
    hn_jw_close(w, '}');
}

/* "single" or "pair": the special tokens around each sequence. */
static void put_template(struct writer *x, const char *key, int n)
{
    static const char *const sequences[] = {"A", "B"};
    const struct hone_tokenizer *t = x->t;
    hn_jw_put_open(&x->w, key, '[');
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < t->n_before; k++)
            put_template_id(&x->w, "SpecialToken", hone_tokenizer_token(t, t->before[k]), i);
        put_template_id(&x->w, "Sequence", sequences[i], i);
        for (size_t k = 0; k < t->n_after; k++)
            put_template_id(&x->w, "SpecialToken", hone_tokenizer_token(t, t->after[k]), i);
    }
    hn_jw_close(&x->w, ']');
}

static void put_special(struct writer *x, int32_t id)
{
    struct hn_json_writer *w = &x->w;
    const char *text = hone_tokenizer_token(x->t, id);
    hn_jw_put_open(w, text, '{');
    hn_jw_put_str(w, "id", text);
    hn_jw_put_open(w, "ids", '[');
    hn_jw_int(w, id);
    hn_jw_close(w, ']');
    hn_jw_put_open(w, "tokens", '[');
    hn_jw_str(w, text);
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static void put_post_processor(struct writer *x)
{
    const struct hone_tokenizer *t = x->t;
    hn_jw_key(&x->w, "post_processor");
    open_part(&x->w, "TemplateProcessing");
    put_template(x, "single", 1);
    put_template(x, "pair", 2);
    hn_jw_put_open(&x->w, "special_tokens", '{');
    for (size_t k = 0; k < t->n_before; k++)
        put_special(x, t->before[k]);
    for (size_t k = 0; k < t->n_after; k++)
        if (!t->n_before || t->after[k] != t->before[0])
            put_special(x, t->after[k]);
    hn_jw_close(&x->w, '}');
    hn_jw_close(&x->w, '}');
}

static void put_decoder(struct writer *x)
{
    struct hn_json_writer *w = &x->w;
    hn_jw_key(w, "decoder");
    if (x->byte_level) {
        put_byte_level(w);
        return;
    }
    open_part(w, "Sequence");
    hn_jw_put_open(w, "decoders", '[');
    open_part(w, "Replace");
    hn_jw_put_open(w, "pattern", '{');
    hn_jw_put_str(w, "String", MARK);
    hn_jw_close(w, '}');
    hn_jw_put_str(w, "content", " ");
    hn_jw_close(w, '}');
    open_part(w, "ByteFallback");
    hn_jw_close(w, '}');
    open_part(w, "Fuse");
    hn_jw_close(w, '}');
    if (x->t->n_norms && x->t->norms[0].prefix) {
        open_part(w, "Strip");
        hn_jw_put_str(w, "content", " ");
        hn_jw_put_int(w, "start", 1);
        hn_jw_put_int(w, "stop", 0);
        hn_jw_close(w, '}');
    }
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
}

static void put_vocab(struct writer *x)
{
    const struct hn_vocab *v = &x->t->vocab;
    hn_jw_put_open(&x->w, "vocab", '{');
    /* A text that several ids have belongs to one of them. */
    for (uint32_t id = 0; id < v->n_ids; id++)
        if (v->texts[id].p && hn_vocab_find(v, v->texts[id]) == (int32_t)id) {
            hn_jw_keyn(&x->w, v->texts[id].p, v->texts[id].n);
            hn_jw_int(&x->w, id);
        }
    hn_jw_close(&x->w, '}');
}

static int put_model(struct writer *x)
{
    struct hn_json_writer *w = &x->w;
    const struct hone_tokenizer *t = x->t;
    struct hn_bpe_merge *merges = NULL;
    size_t n = 0;
    int rc = hn_vocab_merges(t, &merges, &n, x->err);
    if (rc)
        return rc;
    hn_jw_key(w, "model");
    open_part(w, "BPE");
    hn_jw_put_null(w, "dropout");
    if (x->byte_level || t->model.unk < 0)
        hn_jw_put_null(w, "unk_token");
    else
        hn_jw_put_str(w, "unk_token", hone_tokenizer_token(t, t->model.unk));
    hn_jw_put_null(w, "continuing_subword_prefix");
    hn_jw_put_null(w, "end_of_word_suffix");
    hn_jw_put_bool(w, "fuse_unk", !x->byte_level);
    hn_jw_put_bool(w, "byte_fallback", !x->byte_level);
    hn_jw_put_bool(w, "ignore_merges", t->model.ignore_merges);
    put_vocab(x);
    hn_jw_put_open(w, "merges", '[');
    for (size_t i = 0; i < n; i++) {
        const struct hn_str pair[] = {hn_vocab_text(&t->vocab, merges[i].left),
                                      hn_vocab_text(&t->vocab, merges[i].right)};
        hn_jw_open(w, '[');
        for (int k = 0; k < 2; k++)
            hn_jw_strn(w, pair[k].p, pair[k].n);
        hn_jw_close(w, ']');
    }
    hn_jw_close(w, ']');
    hn_jw_close(w, '}');
    hn_free(merges);
    return 0;
}

int hn_tokenizer_write_json(const struct hone_tokenizer *t, bool nfc, const char *path,
                            struct hn_buf *out, struct hone_err *err)
{
    struct writer x = {.t = t, .path = path, .err = err};
    for (size_t i = 0; i < t->n_splits; i++)
        x.byte_level |= t->splits[i].kind == HN_SPLIT_BYTE_LEVEL;
    if (t->model.kind != HN_MODEL_BPE)
        return hn_fail(err, HONE_FAILED, "%s: the tokenizer is %s, expected BPE", path,
                       t->info.kind);
    for (uint32_t id = 0; id < t->vocab.n_ids; id++) {
        struct hn_str s = t->vocab.texts[id];
        if (s.p && hn_utf8_check(s.p, s.n) < s.n)
            return hn_fail(err, HONE_FAILED,
                           "%s: token %u is not valid UTF-8, which tokenizer.json cannot hold",
                           path, id);
    }
    hn_jw_init(&x.w, out, -1);
    hn_jw_open(&x.w, '{');
    hn_jw_put_str(&x.w, "version", "1.0");
    hn_jw_put_null(&x.w, "truncation");
    hn_jw_put_null(&x.w, "padding");
    put_added(&x);
    put_normalizer(&x, nfc);
    put_pre_tokenizer(&x);
    put_post_processor(&x);
    put_decoder(&x);
    int rc = put_model(&x);
    hn_jw_close(&x.w, '}');
    return rc ? rc : out->failed ? hn_fail_memory(err, "writing a tokenizer") : 0;
}

void hn_tokenizer_write_config(const struct hone_tokenizer *t, int64_t context, struct hn_buf *out)
{
    const struct {
        const char *key;
        int32_t id;
    } named[] = {{"bos_token", t->info.bos},
                 {"eos_token", t->info.eos},
                 {"unk_token", t->info.unk},
                 {"pad_token", t->info.pad}};
    struct hn_json_writer w;
    hn_jw_init(&w, out, 2);
    hn_jw_open(&w, '{');
    hn_jw_put_bool(&w, "add_bos_token", t->info.adds_bos);
    hn_jw_put_bool(&w, "add_eos_token", t->info.adds_eos);
    for (size_t i = 0; i < HN_COUNT(named); i++)
        if (named[i].id >= 0 && hone_tokenizer_token(t, named[i].id))
            hn_jw_put_str(&w, named[i].key, hone_tokenizer_token(t, named[i].id));
    if (t->info.chat_template)
        hn_jw_put_str(&w, "chat_template", t->info.chat_template);
    hn_jw_put_bool(&w, "clean_up_tokenization_spaces", false);
    hn_jw_put_int(&w, "model_max_length", context);
    hn_jw_put_str(&w, "tokenizer_class", "PreTrainedTokenizerFast");
    hn_jw_close(&w, '}');
    hn_buf_add_char(out, '\n');
}
