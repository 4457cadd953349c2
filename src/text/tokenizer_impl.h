/* The inside of struct hone_tokenizer, shared by its openers.  An opener fills a zeroed struct and
 * calls hn_tokenizer_finish; on failure it leaves the releasing to hone_tokenizer_close. */
#ifndef HN_TEXT_TOKENIZER_IMPL_H
#define HN_TEXT_TOKENIZER_IMPL_H

#include "base/arena.h"
#include "base/json.h"
#include "hone/tokenizer.h"
#include "text/added.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/prefix_trie.h"
#include "text/text_steps.h"
#include "text/vocab.h"

enum hn_model_kind { HN_MODEL_BPE, HN_MODEL_UNIGRAM, HN_MODEL_WORDPIECE, HN_MODEL_WORDLEVEL };

/* Model settings; which apply depends on the kind. */
struct hn_model {
    enum hn_model_kind kind;
    struct hn_bpe bpe;
    bool raw_bytes; /* BPE: pieces are bytes, each a symbol (byte_ids), as ByteLevel maps them */
    bool byte_fallback; /* BPE, Unigram: unknown characters become byte tokens */
    bool fuse_unk;
    bool ignore_merges;    /* BPE: a piece that is a token is that token */
    int32_t byte_ids[256]; /* raw_bytes: of each byte's character; else of "<0x00>"…; or -1 */
    int32_t unk;           /* or -1 */
    bool unk_missing;      /* BPE: an unknown token is named but not in the vocabulary */
    struct hn_str prefix;  /* BPE, WordPiece: of symbols inside a word */
    struct hn_str suffix;  /* BPE: of a word's last symbol */
    size_t max_chars;      /* WordPiece: longer words are unknown */
    double *scores;   /* Unigram: [n_ids] log-probabilities; BPE of SentencePiece: of its pieces;
                         owned, NULL where there are none */
    double min_score; /* Unigram: the smallest */
    struct hn_prefix_trie trie; /* Unigram: all tokens */
    size_t longest;             /* bytes of the longest token */
};

enum {
    HN_TOKENIZER_MAX_STEPS = HN_DECODE_MAX_STEPS,
    HN_TOKENIZER_MAX_SPECIAL = 16,
    HN_TOKENIZER_MAX_TEMPLATES = 32
};

struct hone_tokenizer {
    struct hn_arena arena; /* texts and names */
    struct hn_vocab vocab;
    struct hn_model model;
    struct hn_added added;
    struct hn_norm_step norms[HN_TOKENIZER_MAX_STEPS];
    size_t n_norms;
    struct hn_split_step splits[HN_TOKENIZER_MAX_STEPS];
    size_t n_splits;
    struct hn_decode_step decoders[HN_TOKENIZER_MAX_STEPS];
    size_t n_decoders;
    /* What HONE_ADD_SPECIAL puts before and after. */
    int32_t before[HN_TOKENIZER_MAX_SPECIAL], after[HN_TOKENIZER_MAX_SPECIAL];
    size_t n_before, n_after;
    struct hn_named_template { /* beside the default one */
        const char *name, *source;
    } templates[HN_TOKENIZER_MAX_TEMPLATES];
    size_t n_templates;
    struct hone_tokenizer_info info;
};

/* chat_named.c: a template that the model has under a name. */
HN_MUST_USE int hn_tokenizer_add_template(struct hone_tokenizer *t, struct hn_str name,
                                          struct hn_str source, struct hone_err *err);

/* After an opener and the configuration: added-token trees, byte ids, vocab_size, kind; what the
 * post-processor adds is checked. */
HN_MUST_USE int hn_tokenizer_finish(struct hone_tokenizer *t, struct hone_err *err);

/* Openers: each fills a zeroed t from a parsed file; hn_tokenizer_finish must follow.  Messages
 * name the file. */
struct hn_gguf;
HN_MUST_USE int hn_tokenizer_from_gguf(struct hone_tokenizer *t, const struct hn_gguf *g,
                                       const char *path, struct hone_err *err);
/* The bytes of a tokenizer.json. */
HN_MUST_USE int hn_tokenizer_parse_json(struct hone_tokenizer *t, const char *text, size_t n,
                                        const char *path, struct hone_err *err);
struct hn_spm_options {
    bool prefix_each; /* the dummy prefix stands after special tokens too */
    bool no_prefix;   /* it stands nowhere */
};
/* A SentencePiece model. */
HN_MUST_USE int hn_tokenizer_parse_model(struct hone_tokenizer *t, const void *data, size_t n,
                                         struct hn_spm_options o, const char *path,
                                         struct hone_err *err);

/* The ids of one piece, appended to out. */
struct hn_model_work {
    struct hn_bpe_work bpe;
    struct hn_buf scratch;
};
void hn_model_work_release(struct hn_model_work *w);
HN_MUST_USE int hn_model_encode(const struct hone_tokenizer *t, struct hn_str piece,
                                struct hn_model_work *w, struct hone_tokens *out,
                                struct hone_err *err);
HN_MUST_USE int hn_tokens_add(struct hone_tokens *t, int32_t id);
/* Normalise s with all steps: the result is in out (cleared first). */
HN_MUST_USE int hn_tokenizer_normalize(const struct hone_tokenizer *t, struct hn_str s,
                                       size_t *n_leading, struct hn_buf *out,
                                       struct hn_text_work *w, struct hone_err *err);

#endif
