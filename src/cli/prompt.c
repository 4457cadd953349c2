#include "cli/prompt.h"

#include <string.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

static void add_message(struct hn_json_writer *w, const char *role, const char *text, size_t n)
{
    hn_jw_open(w, '{');
    hn_jw_put_str(w, "role", role);
    hn_jw_key(w, "content");
    hn_jw_strn(w, text, n);
    hn_jw_close(w, '}');
}

/* Put the prompt into the model's chat template. */
static int render(const struct hone_tokenizer *tok, const char *prompt, size_t n,
                  const struct hn_prompt_options *o, struct hn_buf *out, struct hone_err *err)
{
    struct hn_buf messages = {0};
    struct hn_json_writer w;
    char *text = NULL;
    size_t n_text = 0;
    hn_jw_init(&w, &messages, -1);
    hn_jw_open(&w, '[');
    if (o->system)
        add_message(&w, "system", o->system, strlen(o->system));
    add_message(&w, "user", prompt, n);
    hn_jw_close(&w, ']');
    int rc = messages.failed ? hn_fail_memory(err, "rendering the prompt") : 0;
    if (!rc)
        rc = hone_chat_render(tok, hn_buf_str(&messages), NULL, o->variables, true, &text, &n_text,
                              err);
    if (!rc)
        hn_buf_add(out, text, n_text);
    hone_free(text);
    hn_buf_release(&messages);
    return rc;
}

int hn_prompt_encode(const struct hone_tokenizer *tok, const char *prompt, size_t n,
                     const struct hn_prompt_options *o, struct hone_tokens *ids,
                     struct hone_err *err)
{
    struct hn_buf text = {0};
    struct hone_tokenizer_info info;
    hone_tokenizer_info(tok, &info);
    bool chat = info.chat_template && !o->bare;
    size_t bad = hn_utf8_check(prompt, n);
    int rc = 0;
    if (bad < n)
        rc = hn_fail(err, HONE_FAILED, "the prompt is no valid UTF-8 at byte %zu", bad);
    if (!rc && !chat && o->system)
        rc = hn_fail(err, HONE_USAGE, "--system-prompt needs a chat template, and %s",
                     info.chat_template ? "--ignore-chat-template is given" : "the model has none");
    if (!rc && !chat && o->variables)
        rc = hn_fail(err, HONE_USAGE, "--chat-template-config needs a chat template, and %s",
                     info.chat_template ? "--ignore-chat-template is given" : "the model has none");
    if (!rc && chat)
        rc = render(tok, prompt, n, o, &text, err);
    else if (!rc)
        hn_buf_add(&text, prompt, n);
    if (!rc && o->prefill)
        hn_buf_add_str(&text, o->prefill);
    if (!rc && text.failed)
        rc = hn_fail_memory(err, "reading the prompt");
    /* A template writes its special tokens itself; so does a prompt that begins with the start. */
    const char *bos = info.bos >= 0 ? hone_tokenizer_token(tok, info.bos) : NULL;
    bool begun = chat || (bos && hn_starts_with(hn_buf_str(&text), bos));
    if (!rc)
        rc = hone_tokenizer_encode(tok, hn_buf_str(&text), text.len, begun ? 0 : HONE_ADD_SPECIAL,
                                   ids, err);
    if (!rc && ids->n == 0)
        rc = hn_fail(err, HONE_USAGE, "the prompt is empty");
    hn_buf_release(&text);
    return rc;
}
