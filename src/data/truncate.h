/* Cutting a record so that it encodes to at most so many tokens. */
#ifndef HN_DATA_TRUNCATE_H
#define HN_DATA_TRUNCATE_H

#include "data/encode.h"

/* Shorten r, whose row has more than limit tokens as e encodes it (with e->o.max_seq_length 0), by
 * its end: a text and a completion (then its prompt) between characters; of a chat, the last turns
 * go and the last that stays is cut.  *tokens: what is left.  Fails when nothing would be. */
HN_MUST_USE int hn_record_truncate(struct hn_record *r, struct hn_encoder *e, size_t limit,
                                   size_t *tokens, struct hone_err *err);

#endif
