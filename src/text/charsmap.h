/* SentencePiece's precompiled character map: a double-array trie (Darts-clone) of byte strings,
 * each leading to its replacement. */
#ifndef HN_TEXT_CHARSMAP_H
#define HN_TEXT_CHARSMAP_H

#include "base/err.h"
#include "base/str.h"

struct hn_charsmap; /* immutable */

/* The blob is copied.  An empty one gives *out = NULL. */
HN_MUST_USE int hn_charsmap_open(struct hn_charsmap **out, struct hn_str blob,
                                 struct hone_err *err);
void hn_charsmap_close(struct hn_charsmap **map);
/* The longest (or, exact: the one of all n bytes) key at the front of s: its length, or 0; *to is
 * its replacement (borrowed). */
size_t hn_charsmap_match(const struct hn_charsmap *map, struct hn_str s, bool exact,
                         struct hn_str *to);

#endif
