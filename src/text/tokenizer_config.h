/* tokenizer_config.json and its companions: which tokens are special, whether BOS and EOS are
 * added, and the chat template.  Read as transformers 5 does: beside tokenizer.json, add_bos_token
 * and add_eos_token are ignored (the file's post_processor decides), beside tokenizer.model they
 * count. */
#ifndef HN_TEXT_TOKENIZER_CONFIG_H
#define HN_TEXT_TOKENIZER_CONFIG_H

#include "text/tokenizer_impl.h"

struct hn_tokenizer_config {
    struct hn_arena arena;
    const char *dir;         /* borrowed */
    struct hn_json *config;  /* tokenizer_config.json, or NULL */
    struct hn_json *special; /* special_tokens_map.json where it counts, or NULL */
    struct hn_str template;  /* p is NULL: none */
};

/* Read what there is in the directory; release it in any case. */
HN_MUST_USE int hn_tokenizer_config_read(struct hn_tokenizer_config *c, const char *dir,
                                         struct hone_err *err);
void hn_tokenizer_config_release(struct hn_tokenizer_config *c);
bool hn_tokenizer_config_flag(const struct hn_tokenizer_config *c, const char *key, bool otherwise);
/* Add tokens, name the special ones, take the template.  Before hn_tokenizer_finish. */
HN_MUST_USE int hn_tokenizer_config_apply(const struct hn_tokenizer_config *c,
                                          struct hone_tokenizer *t, bool is_model_file,
                                          struct hone_err *err);

#endif
