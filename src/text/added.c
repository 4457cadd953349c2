#include "text/added.h"
#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

void hn_added_release(struct hn_added *a)
{
    hn_free(a->tokens);
    hn_free(a->slots);
    hn_free(a->by_id);
    hn_free(a->raw.nodes);
    hn_free(a->normalized.nodes);
    *a = (struct hn_added){0};
}

static size_t slot_of(const struct hn_added *a, struct hn_str text)
{
    size_t at = hn_hash(text.p, text.n) & (a->n_slots - 1);
    while (a->slots[at] && !hn_str_eq(a->tokens[a->slots[at] - 1].text, text))
        at = (at + 1) & (a->n_slots - 1);
    return at;
}

/* Twice as many slots, the tokens put in anew. */
static int grow_slots(struct hn_added *a)
{
    size_t n = a->n_slots ? 2 * a->n_slots : 64;
    uint32_t *slots = hn_calloc(n, sizeof *slots);
    if (!slots)
        return -1;
    hn_free(a->slots);
    a->slots = slots;
    a->n_slots = n;
    for (size_t i = 0; i < a->n; i++)
        a->slots[slot_of(a, a->tokens[i].text)] = (uint32_t)i + 1;
    return 0;
}

static int grow_ids(struct hn_added *a, size_t need)
{
    if (need <= a->n_ids)
        return 0;
    if (hn_grow((void **)&a->by_id, &a->cap_ids, need, sizeof *a->by_id))
        return -1;
    for (; a->n_ids < a->cap_ids; a->n_ids++)
        a->by_id[a->n_ids] = 0;
    return 0;
}

int hn_added_put(struct hn_added *a, const struct hn_added_token *token, struct hone_err *err)
{
    if (token->id < 0 || token->id > HN_VOCAB_MAX_ID)
        return hn_fail(err, HONE_FAILED, "the added token \"%.*s\" has id %d, outside 0 to %d",
                       hn_utf8_cut(token->text, 60), token->text.p, token->id, HN_VOCAB_MAX_ID);
    if ((2 * (a->n + 1) > a->n_slots && grow_slots(a)) || grow_ids(a, (size_t)token->id + 1) ||
        hn_grow((void **)&a->tokens, &a->cap, a->n + 1, sizeof *a->tokens))
        return hn_fail_memory(err, "reading added tokens");
    size_t at = slot_of(a, token->text);
    if (a->slots[at]) {
        a->tokens[a->slots[at] - 1] = *token;
    } else {
        a->tokens[a->n++] = *token;
        a->slots[at] = (uint32_t)a->n;
    }
    a->by_id[token->id] = a->slots[at];
    a->top = a->n == 1 ? token->id : HN_MAX(a->top, token->id);
    return 0;
}

static int insert(struct hn_added_tree *t, struct hn_str pattern, int32_t token)
{
    uint32_t *link = &t->roots[(unsigned char)pattern.p[0]];
    for (size_t i = 0; i < pattern.n; i++) {
        unsigned char byte = (unsigned char)pattern.p[i];
        uint32_t at = *link;
        while (at && t->nodes[at].byte != byte)
            at = t->nodes[at].sibling;
        if (!at) {
            /* The link may move with the array: keep what it says, write through it first. */
            uint32_t sibling = *link;
            at = (uint32_t)t->n_nodes;
            *link = at;
            if (hn_grow((void **)&t->nodes, &t->cap, t->n_nodes + 1, sizeof *t->nodes))
                return -1;
            t->nodes[t->n_nodes++] = (struct hn_added_node){0, sibling, -1, byte};
        }
        if (i + 1 == pattern.n)
            t->nodes[at].token = token;
        link = &t->nodes[at].child;
    }
    return 0;
}

int hn_added_finish(struct hn_added *a, struct hone_err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct hn_added_tree *t = a->tokens[i].normalized ? &a->normalized : &a->raw;
        /* A later token may have taken its id. */
        if (hn_added_by_id(a, a->tokens[i].id) != &a->tokens[i])
            continue;
        if (!t->n_nodes) { /* node 0 stands for none */
            if (hn_grow((void **)&t->nodes, &t->cap, 1, sizeof *t->nodes))
                return hn_fail_memory(err, "reading added tokens");
            t->nodes[t->n_nodes++] = (struct hn_added_node){0, 0, -1, 0};
        }
        if (a->tokens[i].pattern.n && insert(t, a->tokens[i].pattern, (int32_t)i))
            return hn_fail_memory(err, "reading added tokens");
    }
    return 0;
}

const struct hn_added_token *hn_added_find(const struct hn_added *a, struct hn_str text)
{
    uint32_t k = a->n_slots ? a->slots[slot_of(a, text)] : 0;
    return k ? &a->tokens[k - 1] : NULL;
}

const struct hn_added_token *hn_added_by_id(const struct hn_added *a, int64_t id)
{
    uint32_t k = id >= 0 && (uint64_t)id < a->n_ids ? a->by_id[id] : 0;
    return k ? &a->tokens[k - 1] : NULL;
}

/* The longest token that starts at text[i], or NULL; *end is where it ends. */
static const struct hn_added_token *longest(const struct hn_added *a, const struct hn_added_tree *t,
                                            struct hn_str text, size_t i, size_t *end)
{
    const struct hn_added_token *best = NULL;
    uint32_t at = t->roots[(unsigned char)text.p[i]];
    for (size_t k = i; at && k < text.n; k++) {
        while (at && t->nodes[at].byte != (unsigned char)text.p[k])
            at = t->nodes[at].sibling;
        if (!at)
            break;
        if (t->nodes[at].token >= 0) {
            best = &a->tokens[t->nodes[at].token];
            *end = k + 1;
        }
        at = t->nodes[at].child;
    }
    return best;
}

static bool word_at(struct hn_str s, size_t i)
{
    return i < s.n && hn_ucd_has(HN_SET_RUST_W, (uint32_t)hn_utf8_next(s.p, s.n, &i));
}

/* The start of the character that ends before i. */
static size_t step_back(struct hn_str s, size_t i)
{
    do
        i--;
    while (i && ((unsigned char)s.p[i] & 0xc0) == 0x80);
    return i;
}

static size_t spaces_before(struct hn_str s, size_t i)
{
    while (i) {
        size_t at = step_back(s, i), k = at;
        if (!hn_ucd_has(HN_SET_RUST_WHITESPACE, (uint32_t)hn_utf8_next(s.p, s.n, &k)))
            break;
        i = at;
    }
    return i;
}

static size_t spaces_after(struct hn_str s, size_t i)
{
    while (i < s.n) {
        size_t k = i;
        if (!hn_ucd_has(HN_SET_RUST_WHITESPACE, (uint32_t)hn_utf8_next(s.p, s.n, &k)))
            break;
        i = k;
    }
    return i;
}

static size_t left(size_t n_leading, size_t done)
{
    return n_leading > done ? n_leading - done : 0;
}

int hn_added_cut(const struct hn_added *a, const struct hn_added_tree *tree, struct hn_str text,
                 size_t at, size_t n_leading, struct hn_pieces *out)
{
    size_t done = 0;
    for (size_t i = 0; tree->n_nodes && i < text.n;) {
        size_t match_end = 0;
        const struct hn_added_token *t = longest(a, tree, text, i, &match_end);
        if (!t) {
            i++;
            continue;
        }
        size_t start = i, end = match_end;
        i = match_end;
        if (t->single_word &&
            ((start && word_at(text, step_back(text, start))) || word_at(text, end)))
            continue;
        if (t->lstrip)
            start = HN_MAX(spaces_before(text, start), done);
        if (t->rstrip)
            end = spaces_after(text, end);
        if (start >= end) /* white space that the token before has taken */
            continue;
        if ((done < start && hn_pieces_add(out, (struct hn_piece){at + done, start - done,
                                                                  left(n_leading, done), -1})) ||
            hn_pieces_add(out, (struct hn_piece){at + start, 0, 0, t->id}))
            return -1;
        done = end;
    }
    if (done < text.n)
        return hn_pieces_add(
            out, (struct hn_piece){at + done, text.n - done, left(n_leading, done), -1});
    return 0;
}
