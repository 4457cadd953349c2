/* hone_chat_render: a tokenizer's own template and special tokens. */
#include "hone/tokenizer.h"
#include "text/chat.h"

#include <string.h>

static int parse(struct hn_arena *arena, const char *text, const char *what,
                 const struct hn_json **out, struct hone_err *err)
{
    struct hn_json *j;
    if (!text)
        return 0;
    int rc = hn_json_parse(arena, text, strlen(text), HN_JSON_PYTHON, &j, err);
    if (rc)
        return hn_fail_prefix(err, "the %s of a conversation", what);
    *out = j;
    return 0;
}

int hone_chat_render(const struct hone_tokenizer *tok, const char *messages_json,
                     const char *tools_json, const char *variables_json, bool add_generation_prompt,
                     char **text, size_t *text_size, struct hone_err *err)
{
    struct hone_tokenizer_info info;
    struct hn_chat_input in = {.add_generation_prompt = add_generation_prompt};
    struct hn_arena arena;
    struct hn_buf out;
    hone_tokenizer_info(tok, &info);
    if (!info.chat_template)
        return hn_fail(
            err, HONE_NOT_FOUND,
            "the model has no chat template: use a plain prompt, or a model that has one");
    in.bos_token = info.bos < 0 ? NULL : hone_tokenizer_token(tok, info.bos);
    in.eos_token = info.eos < 0 ? NULL : hone_tokenizer_token(tok, info.eos);
    in.pad_token = info.pad < 0 ? NULL : hone_tokenizer_token(tok, info.pad);
    in.unk_token = info.unk < 0 ? NULL : hone_tokenizer_token(tok, info.unk);
    hn_arena_init(&arena, 0);
    hn_buf_init(&out);
    int rc = parse(&arena, messages_json, "messages", &in.messages, err);
    if (!rc)
        rc = parse(&arena, tools_json, "tools", &in.tools, err);
    if (!rc)
        rc = parse(&arena, variables_json, "variables", &in.variables, err);
    if (!rc)
        rc = hn_chat_render(info.chat_template, &in, &out, err);
    hn_arena_release(&arena);
    if (!rc) {
        hn_buf_add(&out, "", 0);
        if (text_size)
            *text_size = out.len;
        *text = hn_buf_take(&out);
        if (!*text)
            rc = hn_fail_memory(err, "rendering a conversation");
    }
    hn_buf_release(&out);
    return rc;
}
