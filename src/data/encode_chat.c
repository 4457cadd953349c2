/* Chat rows: rendered by the model's own template, the assistant's turns found by src/text. */
#include "data/encode.h"

#include <string.h>

/* Compiled when the first chat row comes: a template that cannot be read is no harm to text rows.
 */
static int open_template(struct hn_encoder *e, struct hone_err *err)
{
    const char *source = e->info.chat_template;
    return e->chat ? 0 : hn_chat_template_open(&e->chat, source, strlen(source), err);
}

static const char *token(const struct hn_encoder *e, int32_t id)
{
    return id < 0 ? NULL : hone_tokenizer_token(e->o.tokenizer, id);
}

/* The first of the spans that is no answer of the first n_prompt messages: by their number where a
 * span is an answer, else (a template whose {% generation %} blocks are not one for each) the first
 * behind what the prompt alone is rendered as. */
static int first_span(struct hn_encoder *e, const struct hn_chat_input *in, size_t n_prompt,
                      const struct hn_chat_spans *found, size_t *first, struct hone_err *err)
{
    size_t answers = 0, before = 0, same = 0;
    for (size_t i = 0; i < in->messages->n; i++) {
        bool is = hn_chat_is_assistant(&in->messages->items[i]);
        answers += is;
        before += is && i < n_prompt;
    }
    *first = before;
    if (before == 0 || answers == found->n)
        return 0;
    struct hn_json some = *in->messages;
    struct hn_chat_input prompt = *in;
    struct hn_buf text = {0};
    some.n = n_prompt;
    prompt.messages = &some;
    int rc = hn_chat_template_render(e->chat, &prompt, &text, err);
    while (!rc && same < text.len && same < e->text.len && text.data[same] == e->text.data[same])
        same++;
    for (*first = 0; *first < found->n && found->items[*first].start < same; ++*first)
        ;
    hn_buf_release(&text);
    return rc;
}

/* The text of all messages, and where they are wanted the spans of the answers in it. */
static int take_whole(struct hn_encoder *e, const struct hn_chat_input *in, size_t n_prompt,
                      bool spans, struct hone_err *err)
{
    struct hn_chat_spans found = {0};
    size_t first = 0;
    int rc = spans ? hn_chat_spans(e->chat, in, &e->text, &found, err)
                   : hn_chat_template_render(e->chat, in, &e->text, err);
    if (!rc && n_prompt && found.n)
        rc = first_span(e, in, n_prompt, &found, &first, err);
    for (size_t i = first; i < found.n && !rc; i++)
        rc = hn_encoder_add_span(e, found.items[i].start, found.items[i].end, err);
    hn_chat_spans_release(&found);
    return rc;
}

/* What the model is given before its last answer: the rendering of the messages before it.  When
 * there are none, templates have nothing to render, and it is what the template writes first. */
static int take_prompt(struct hn_encoder *e, const struct hn_chat_input *in, struct hone_err *err)
{
    struct hn_json before = *in->messages;
    struct hn_chat_input some = *in;
    before.n--;
    some.messages = &before;
    some.add_generation_prompt = true;
    if (before.n)
        return hn_chat_template_render(e->chat, &some, &e->prompt, err);
    struct hn_chat_spans found = {0};
    struct hn_buf text = {0};
    int rc = hn_chat_spans(e->chat, in, &text, &found, err);
    if (!rc && found.n)
        hn_buf_add(&e->prompt, text.data, found.items[0].start);
    hn_buf_release(&text);
    hn_chat_spans_release(&found);
    return rc;
}

/* The prompt and what should follow it: the last message's content, or all that is rendered of it
 * when that is no text (but calls of tools). */
static int take_parts(struct hn_encoder *e, const struct hn_chat_input *in, struct hone_err *err)
{
    const struct hn_json *last = &in->messages->items[in->messages->n - 1];
    struct hn_str content;
    int rc = take_prompt(e, in, err);
    if (rc)
        return rc;
    e->has_prompt = true;
    if (hn_json_str(hn_json_get(last, "content"), &content)) {
        hn_buf_add(&e->expected, content.p, content.n);
        return 0;
    }
    size_t same = 0;
    while (same < e->prompt.len && same < e->text.len && e->prompt.data[same] == e->text.data[same])
        same++;
    hn_buf_add(&e->expected, e->text.data + same, e->text.len - same);
    return 0;
}

/* Where mlx_lm's mask ends: at as many tokens as the messages before the last are rendered to. */
static int find_offset(struct hn_encoder *e, const struct hn_chat_input *in, struct hone_err *err)
{
    struct hn_json before = *in->messages;
    struct hn_chat_input some = *in;
    struct hn_buf text = {0};
    before.n -= before.n > 0;
    some.messages = &before;
    some.add_generation_prompt = e->answered;
    e->prefix.n = 0;
    int rc = hn_chat_template_render(e->chat, &some, &text, err);
    rc =
        rc ? rc
           : hone_tokenizer_encode(e->o.tokenizer, hn_buf_str(&text), text.len, 0, &e->prefix, err);
    e->offset = e->prefix.n;
    hn_buf_release(&text);
    return rc;
}

int hn_encoder_take_chat(struct hn_encoder *e, const struct hn_json *messages, size_t n_prompt,
                         const struct hn_json *tools, bool parts, struct hone_err *err)
{
    struct hn_chat_input in = {
        .messages = messages,
        .tools = tools,
        .bos_token = token(e, e->info.bos),
        .eos_token = token(e, e->info.eos),
        .unk_token = token(e, e->info.unk),
        .pad_token = token(e, e->info.pad),
    };
    int rc = open_template(e, err);
    e->templated = true;
    e->answered = messages->n && hn_chat_is_assistant(&messages->items[messages->n - 1]);
    bool last = e->o.mask_prompt && e->o.train_last_turn;
    rc = rc ? rc : take_whole(e, &in, n_prompt, e->o.mask_prompt && !last, err);
    if (!rc && last)
        rc = find_offset(e, &in, err);
    if (!rc && parts && e->answered)
        rc = take_parts(e, &in, err);
    return rc;
}
