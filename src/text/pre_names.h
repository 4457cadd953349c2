/* What tokenizer.ggml.pre names: which patterns cut the text before byte-level BPE. */
#ifndef HN_TEXT_PRE_NAMES_H
#define HN_TEXT_PRE_NAMES_H

#include "text/tokenizer_impl.h"

/* Append the splitters of this name to t->splits; an unknown name is refused with the list.
 * *add_bos: whether BOS is added where the file does not say. */
HN_MUST_USE int hn_pre_splits(struct hone_tokenizer *t, struct hn_str name, const char *path,
                              bool *add_bos, struct hone_err *err);

/* The first name whose splitters are those of t, or NULL when there is none.  Where t has no
 * merges, the splitters do not matter, and any name will do. */
const char *hn_pre_name(const struct hone_tokenizer *t);

#endif
