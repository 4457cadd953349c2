/* Which files of a model's listing are worth having. */
#ifndef HN_HUB_CHOOSE_H
#define HN_HUB_CHOOSE_H

#include "hone/hub.h"
#include "hub/listing.h"

/* Mark what hone reads: configuration, tokenizer, template, licence, and the weights: the options'
 * patterns where they say, else safetensors, else the one GGUF file.  index: the text of
 * model.safetensors.index.json, or NULL.  An error when there are weights that hone cannot read
 * only, or several GGUF files and nothing that says which. */
HN_MUST_USE int hn_hub_choose(struct hn_hub_listing *l, const char *repo,
                              const struct hone_pull_options *o, const struct hn_buf *index,
                              struct hone_err *err);
/* The index that has to be read before choosing; NULL: none. */
const struct hn_hub_file *hn_hub_index(const struct hn_hub_listing *l,
                                       const struct hone_pull_options *o);

#endif
