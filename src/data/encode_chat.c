/* Chat rows: rendering by the model's template, and where in it the assistant's turns are.
 *
 * A turn begins where the rendering of the messages before it, generation prompt included, ends,
 * and ends where the rendering up to it ends:
 *
 *     <|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n
 *     `------------- before, with the prompt ------------'`----- turn -----'
 *
 * so that the end-of-turn token is trained and the header is not.  Templates that write a turn
 * otherwise when others follow (dropping its reasoning, moving the system message into the last
 * question) break one or both rules.  Then the content itself is found, by rendering the whole
 * again with a marker in its place: what differs is the content, wherever the template puts it. */
#include "data/encode.h"

#include <string.h>

/* Two private-use characters: no template looks for them, no text begins or ends with them. */
static const char placeholder[] = "\xef\xa3\xbe\xef\xa3\xbf";

struct chat {
    struct hn_encoder *e;
    const struct hn_json *messages, *tools;
    struct hn_arena arena; /* of the messages with a placeholder */
    struct hn_buf before, upto, marked;
    struct hone_err *err;
};

/* Render the first n of these messages into out. */
static int render(struct chat *c, const struct hn_json *messages, size_t n, bool generation_prompt,
                  struct hn_buf *out)
{
    struct hn_buf json = {0}, tools = {0};
    struct hn_json some = *messages;
    char *text = NULL;
    some.n = n;
    hn_json_dump(&json, &some, -1, false, false);
    if (c->tools)
        hn_json_dump(&tools, c->tools, -1, false, false);
    int rc = json.failed || tools.failed ? hn_fail_memory(c->err, "encoding a row") : 0;
    if (!rc)
        rc = hone_chat_render(c->e->o.tokenizer, hn_buf_str(&json),
                              c->tools ? hn_buf_str(&tools) : NULL, NULL, generation_prompt, &text,
                              c->err);
    hn_buf_clear(out);
    if (!rc)
        hn_buf_add_str(out, text);
    hone_free(text);
    hn_buf_release(&json);
    hn_buf_release(&tools);
    return rc || !out->failed ? rc : hn_fail_memory(c->err, "encoding a row");
}

static size_t same_start(const char *a, size_t n, const char *b, size_t m)
{
    size_t i = 0;
    while (i < n && i < m && a[i] == b[i])
        i++;
    return i;
}

static size_t same_end(const struct hn_buf *a, size_t a_from, const struct hn_buf *b, size_t b_from)
{
    size_t n = 0;
    while (n < a->len - a_from && n < b->len - b_from &&
           a->data[a->len - 1 - n] == b->data[b->len - 1 - n])
        n++;
    return n;
}

static bool starts_with(const struct hn_buf *a, const struct hn_buf *start)
{
    return start->len <= a->len && (!start->len || memcmp(a->data, start->data, start->len) == 0);
}

/* A copy of the messages with the placeholder as the content of message i, in *out. */
static int mark_content(struct chat *c, size_t i, struct hn_json *out)
{
    const struct hn_json *m = &c->messages->items[i];
    struct hn_json *items = hn_arena_alloc(&c->arena, c->messages->n, sizeof *items);
    struct hn_json_member *members = hn_arena_alloc(&c->arena, m->n, sizeof *members);
    if (!items || !members)
        return hn_fail_memory(c->err, "encoding a row");
    memcpy(items, c->messages->items, c->messages->n * sizeof *items);
    memcpy(members, m->members, m->n * sizeof *members);
    for (size_t k = 0; k < m->n; k++)
        if (hn_str_is(members[k].key, "content"))
            members[k].value =
                (struct hn_json){.type = HN_JSON_STRING, .text = hn_str_of(placeholder)};
    items[i].members = members;
    *out = *c->messages;
    out->items = items;
    return 0;
}

/* Where the content of message i stands in `text`, the rendering of the first n messages. */
static int find_content(struct chat *c, size_t i, size_t n, const struct hn_buf *text,
                        size_t *begin, size_t *end)
{
    struct hn_json marked;
    int rc = mark_content(c, i, &marked);
    rc = rc ? rc : render(c, &marked, n, false, &c->marked);
    if (rc)
        return rc;
    *begin = same_start(text->data, text->len, c->marked.data, c->marked.len);
    *end = text->len - same_end(text, *begin, &c->marked, *begin);
    return 0;
}

/* The end of message i, whose content ends at `to`: what follows the content when the message is
 * the last one follows it here too. */
static int find_end(struct chat *c, size_t i, size_t to, size_t *end)
{
    size_t b, tail;
    const struct hn_buf *text = &c->e->text;
    int rc = find_content(c, i, i + 1, &c->upto, &b, &tail);
    if (!rc)
        *end = to +
               same_start(text->data + to, text->len - to, c->upto.data + tail, c->upto.len - tail);
    return rc;
}

/* The span of message i, an answer; c->before is what its prompt renders to. */
static int find_turn(struct chat *c, size_t i, size_t *begin, size_t *end)
{
    const struct hn_buf *text = &c->e->text;
    bool last = i + 1 == c->messages->n, begins = false, ends = last;
    size_t from = 0, to = 0;
    int rc = 0;
    hn_buf_clear(&c->before);
    if (i) { /* templates need a message to render */
        rc = render(c, c->messages, i, true, &c->before);
        begins = !rc && starts_with(text, &c->before);
    }
    if (!rc && !last) {
        rc = render(c, c->messages, i + 1, false, &c->upto);
        ends = !rc && starts_with(text, &c->upto);
    }
    *begin = c->before.len;
    *end = last ? text->len : c->upto.len;
    if (rc || (begins && ends))
        return rc;
    rc = find_content(c, i, c->messages->n, text, &from, &to);
    if (!rc && !begins)
        *begin = from;
    if (!rc && !ends)
        rc = find_end(c, i, to, end);
    return rc;
}

/* What the model is given and what it should write, for the last message. */
static void take_parts(struct chat *c, size_t begin)
{
    struct hn_encoder *e = c->e;
    struct hn_str content;
    size_t last = c->messages->n - 1;
    e->has_prompt = true;
    if (c->before.len)
        hn_buf_add(&e->prompt, c->before.data, c->before.len);
    else
        hn_buf_add(&e->prompt, e->text.data, begin);
    if (hn_json_str(hn_json_get(&c->messages->items[last], "content"), &content))
        hn_buf_add(&e->expected, content.p, content.n);
    else
        hn_buf_add(&e->expected, e->text.data + begin, e->text.len - begin);
}

int hn_encoder_take_chat(struct hn_encoder *e, const struct hn_json *messages,
                         const struct hn_json *tools, bool parts, struct hone_err *err)
{
    struct chat c = {.e = e, .messages = messages, .tools = tools, .err = err};
    hn_arena_init(&c.arena, 0);
    e->templated = true;
    int rc = render(&c, messages, messages->n, false, &e->text);
    for (size_t i = 0; i < messages->n && !rc; i++) {
        size_t begin, end;
        bool last = i + 1 == messages->n;
        if (!hn_json_is(hn_json_get(&messages->items[i], "role"), "assistant") ||
            !(e->o.mask_prompt || (parts && last)))
            continue;
        rc = find_turn(&c, i, &begin, &end);
        if (!rc && end > begin)
            rc = hn_encoder_add_span(e, begin, end, err);
        if (!rc && last && parts)
            take_parts(&c, begin);
    }
    hn_arena_release(&c.arena);
    hn_buf_release(&c.before);
    hn_buf_release(&c.upto);
    hn_buf_release(&c.marked);
    return rc;
}
