/* Added tokens: texts that are found whole before anything else looks at the input, and become
 * their ids.  Two rounds, as in the tokenizers library: tokens with normalized = false are sought
 * in the raw text, the others in the normalised text between them. */
#ifndef HN_TEXT_ADDED_H
#define HN_TEXT_ADDED_H

#include "base/err.h"
#include "base/str.h"
#include "text/text_steps.h"

struct hn_added_token {
    struct hn_str text;    /* as written */
    struct hn_str pattern; /* what is sought: text, normalised when `normalized` */
    int32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
};

/* A prefix tree over bytes: children are linked lists, the first byte has a table. */
struct hn_added_node {
    uint32_t child, sibling; /* 0: none */
    int32_t token;           /* index of the token that ends here, or -1 */
    unsigned char byte;
};

struct hn_added_tree {
    uint32_t roots[256]; /* node of each first byte; 0: none */
    struct hn_added_node *nodes;
    size_t n_nodes, cap;
};

struct hn_added {
    struct hn_added_token *tokens;
    size_t n, cap;
    uint32_t *slots; /* [n_slots] index + 1: by text, open addressing */
    size_t n_slots;
    uint32_t *by_id; /* [n_ids] index + 1, or 0 */
    size_t n_ids, cap_ids;
    int32_t top; /* the largest id, or -1 */
    struct hn_added_tree raw, normalized;
};

/* Zero-initialise, release when done. */
void hn_added_release(struct hn_added *a);
/* Add a token; one of the same text is replaced.  Texts must outlive the table. */
HN_MUST_USE int hn_added_put(struct hn_added *a, const struct hn_added_token *token,
                             struct hone_err *err);
/* Build the two trees; after the last put. */
HN_MUST_USE int hn_added_finish(struct hn_added *a, struct hone_err *err);
const struct hn_added_token *hn_added_find(const struct hn_added *a, struct hn_str text);
const struct hn_added_token *hn_added_by_id(const struct hn_added *a, int64_t id);

/* Cut w->text[at, at + n) at the tokens of one tree: pieces appended to out. */
HN_MUST_USE int hn_added_cut(const struct hn_added *a, const struct hn_added_tree *tree,
                             struct hn_str text, size_t at, size_t n_leading,
                             struct hn_pieces *out);

#endif
