/* SentencePiece vocabularies, whatever file they come from. */
#ifndef HN_TEXT_TOKENIZER_SPM_H
#define HN_TEXT_TOKENIZER_SPM_H

#include "text/tokenizer_impl.h"

enum hn_spm_type { /* of a piece; numbers as in the files */
                   HN_SPM_NORMAL = 1,
                   HN_SPM_UNKNOWN,
                   HN_SPM_CONTROL,
                   HN_SPM_USER_DEFINED,
                   HN_SPM_UNUSED,
                   HN_SPM_BYTE
};

struct hn_spm_source {
    const float *scores;  /* [n_ids] */
    const uint8_t *types; /* [n_ids] enum hn_spm_type */
    bool unigram;         /* else BPE */
    bool byte_fallback;
    bool dummy_prefix, remove_spaces, escape_spaces;
    bool prefix_each;       /* the dummy prefix also after special tokens */
    int32_t unk;            /* or -1 */
    struct hn_str charsmap; /* may be empty */
};

/* Given t->vocab: the model, the normaliser, the added tokens and the decoders. */
HN_MUST_USE int hn_spm_build(struct hone_tokenizer *t, const struct hn_spm_source *s,
                             struct hone_err *err);

#endif
