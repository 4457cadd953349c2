#include "data/truncate.h"

#include <string.h>

struct cut {
    struct hn_record *r;
    struct hn_encoder *e;
    struct hone_row row; /* scratch */
    struct hn_str whole; /* the part that is cut */
    struct hn_str *part; /* where it stands in r */
    size_t limit, tokens;
    struct hone_err *err;
};

/* Tokens of the record with the part cut to its first n bytes, in c->tokens. */
static int measure(struct cut *c, size_t n)
{
    struct hn_encoded found;
    c->part->n = n;
    if (c->part == &c->r->text)
        c->r->prompt_size = hn_record_find_response(c->r->text);
    int rc = hn_encoder_row(c->e, c->r, false, &c->row, &found, c->err);
    c->tokens = found.full_length;
    return rc;
}

static size_t at_character(struct hn_str s, size_t n)
{
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* How many bytes of the part its first n tokens are; SIZE_MAX when their text is not its start. */
static int bytes_of(struct cut *c, const struct hone_tokens *t, size_t n, size_t *size)
{
    char *text = NULL;
    size_t len = 0, same = 0;
    int rc = hone_tokenizer_decode(c->e->o.tokenizer, t->ids, n, 0, &text, &len, c->err);
    if (rc)
        return rc;
    while (same < len && same < c->whole.n && text[same] == c->whole.p[same])
        same++;
    /* The bytes of a character that was cut decode to U+FFFD, three bytes each. */
    *size = len - same <= 9 ? at_character(c->whole, same) : SIZE_MAX;
    hone_free(text);
    return 0;
}

/* Cut between tokens, as a model that truncates its input would; leaves c->tokens above the limit
 * when that does not do. */
static int cut_tokens(struct cut *c)
{
    struct hone_tokens t = {0};
    size_t size;
    int rc = measure(c, c->whole.n);
    rc = rc ? rc : hone_tokenizer_encode(c->e->o.tokenizer, c->whole.p, c->whole.n, 0, &t, c->err);
    size_t keep = t.n;
    while (!rc && c->tokens > c->limit && keep) {
        keep -= HN_MIN(keep, c->tokens - c->limit);
        rc = bytes_of(c, &t, keep, &size);
        if (rc || size == SIZE_MAX)
            break;
        rc = measure(c, size);
    }
    hone_tokens_release(&t);
    return rc;
}

/* Cut between characters: bisection, then one at a time, for lengths need not grow steadily. */
static int cut_characters(struct cut *c)
{
    size_t low = 0, high = c->whole.n;
    int rc = 0;
    while (!rc && low < high) {
        size_t mid = at_character(c->whole, low + (high - low + 1) / 2);
        if (mid <= low)
            break;
        rc = measure(c, mid);
        if (c->tokens <= c->limit)
            low = mid;
        else
            high = mid - 1;
    }
    rc = rc ? rc : measure(c, low);
    while (!rc && c->tokens > c->limit && low) {
        low = at_character(c->whole, low - 1);
        rc = measure(c, low);
    }
    return rc;
}

/* Shorten this part of the record until the whole fits; c->tokens stays above the limit when even
 * the empty part does not fit. */
static int cut_part(struct cut *c, struct hn_str *part)
{
    c->part = part;
    c->whole = *part;
    int rc = measure(c, 0);
    if (rc || c->tokens > c->limit)
        return rc;
    rc = cut_tokens(c);
    return rc || c->tokens <= c->limit ? rc : cut_characters(c);
}

static struct hn_json *content_of(const struct hn_json *message)
{
    for (size_t i = 0; i < message->n; i++)
        if (hn_str_is(message->members[i].key, "content"))
            return &message->members[i].value;
    return NULL;
}

static bool is_answer(const struct hn_json *message)
{
    return hn_json_is(hn_json_get(message, "role"), "assistant");
}

/* A question whose answer was cut off teaches nothing: the chat ends with its last answer. */
static int drop_unanswered(struct cut *c)
{
    struct hn_json *list = c->r->messages;
    size_t n = list->n;
    struct hn_str none = {"", 0};
    while (n && !is_answer(&list->items[n - 1]))
        n--;
    if (n == 0 || n == list->n)
        return 0;
    list->n = n;
    c->part = &none;
    return measure(c, 0);
}

/* The last turns go until the rest fits, if need be with its last turn cut. */
static int cut_chat(struct cut *c)
{
    struct hn_json *list = c->r->messages;
    for (; list->n; list->n--) {
        struct hn_json *content = content_of(&list->items[list->n - 1]);
        bool text = content && content->type == HN_JSON_STRING;
        struct hn_str none = {"", 0};
        int rc = text ? cut_part(c, &content->text) : cut_part(c, &none);
        if (rc)
            return rc;
        /* A turn that cannot be cut is whole or gone. */
        if (c->tokens <= c->limit && (c->part->n || !text))
            return drop_unanswered(c);
    }
    return 0;
}

int hn_record_truncate(struct hn_record *r, struct hn_encoder *e, size_t limit, size_t *tokens,
                       struct hone_err *err)
{
    struct cut c = {.r = r, .e = e, .limit = limit, .err = err};
    bool left;
    int rc;
    if (r->messages) {
        rc = cut_chat(&c);
        left = r->messages->n > 0;
    } else if (r->kind == HONE_RECORD_COMPLETION) {
        rc = cut_part(&c, &r->completion);
        if (!rc && c.tokens > limit)
            rc = cut_part(&c, &r->prompt);
        left = r->prompt.n + r->completion.n > 0;
    } else {
        rc = cut_part(&c, &r->text);
        left = r->text.n > 0;
    }
    hone_row_release(&c.row);
    *tokens = c.tokens;
    if (!rc && (!left || c.tokens > limit))
        rc = hn_fail(
            err, HONE_FAILED,
            "nothing would be left of the row within max_seq_length %zu; allow more tokens", limit);
    return rc;
}
