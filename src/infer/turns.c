#include "infer/turns.h"
#include "base/json.h"
#include "base/mem.h"

#include <string.h>

void hn_turns_release(struct hn_turns *t)
{
    hn_turns_cut(t, 0);
    hn_free(t->items);
    hn_free(t->system);
    *t = (struct hn_turns){0};
}

int hn_turns_add(struct hn_turns *t, bool assistant, const char *text, size_t n,
                 struct hone_err *err)
{
    struct hn_turn turn = {.assistant = assistant};
    hn_buf_add(&turn.text, text, n);
    if (turn.text.failed || hn_grow((void **)&t->items, &t->cap, t->n + 1, sizeof *t->items)) {
        hn_buf_release(&turn.text);
        return hn_fail_memory(err, "keeping a conversation");
    }
    t->items[t->n++] = turn;
    return 0;
}

void hn_turns_cut(struct hn_turns *t, size_t n)
{
    while (t->n > n)
        hn_buf_release(&t->items[--t->n].text);
}

static void put_message(struct hn_json_writer *w, const char *role, const char *text, size_t n)
{
    hn_jw_open(w, '{');
    hn_jw_key(w, "role");
    hn_jw_str(w, role);
    hn_jw_key(w, "content");
    hn_jw_strn(w, text, n);
    hn_jw_close(w, '}');
}

void hn_turns_json(const struct hn_turns *t, bool record, struct hn_buf *out)
{
    struct hn_json_writer w;
    hn_jw_init(&w, out, -1);
    if (record) {
        hn_jw_open(&w, '{');
        hn_jw_key(&w, "messages");
    }
    hn_jw_open(&w, '[');
    if (t->system)
        put_message(&w, "system", t->system, strlen(t->system));
    for (size_t i = 0; i < t->n; i++)
        put_message(&w, t->items[i].assistant ? "assistant" : "user", hn_buf_str(&t->items[i].text),
                    t->items[i].text.len);
    hn_jw_close(&w, ']');
    if (record)
        hn_jw_close(&w, '}');
}

static void render_plain(const struct hn_turns *t, struct hn_buf *out)
{
    if (t->system)
        hn_buf_printf(out, "%s\n\n", t->system);
    for (size_t i = 0; i < t->n; i++) {
        hn_buf_add_str(out, t->items[i].assistant ? "Assistant: " : "User: ");
        hn_buf_add(out, hn_buf_str(&t->items[i].text), t->items[i].text.len);
        hn_buf_add_char(out, '\n');
    }
    hn_buf_add_str(out, "Assistant:");
}

static int render(const struct hn_turns *t, const struct hone_tokenizer *tok, const char *variables,
                  struct hn_buf *out, struct hone_err *err)
{
    struct hn_buf messages = {0};
    char *text = NULL;
    size_t n_text = 0;
    hn_turns_json(t, false, &messages);
    int rc = messages.failed ? hn_fail_memory(err, "rendering a conversation") : 0;
    if (!rc)
        rc = hone_chat_render(tok, hn_buf_str(&messages), NULL, variables, true, &text, &n_text,
                              err);
    if (!rc)
        hn_buf_add(out, text, n_text);
    hone_free(text);
    hn_buf_release(&messages);
    return rc;
}

int hn_turns_encode(const struct hn_turns *t, const struct hone_tokenizer *tok, bool plain,
                    const char *variables, struct hone_tokens *ids, struct hone_err *err)
{
    struct hn_buf text = {0};
    int rc = 0;
    if (plain)
        render_plain(t, &text);
    else
        rc = render(t, tok, variables, &text, err);
    if (!rc && text.failed)
        rc = hn_fail_memory(err, "rendering a conversation");
    if (!rc) /* a template writes its special tokens itself */
        rc = hone_tokenizer_encode(tok, hn_buf_str(&text), text.len, plain ? HONE_ADD_SPECIAL : 0,
                                   ids, err);
    hn_buf_release(&text);
    return rc;
}
