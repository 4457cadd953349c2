/* For tools/make_chat_goldens.py: one request per line of standard input, one answer per line of
 * standard output, both JSON.  Request: {"template", "messages", "tools", "documents", "variables",
 * "bos_token", "eos_token", "unk_token", "pad_token", "add_generation_prompt", "now", "spans"}.
 * Answer: {"text", "spans": [[start, end]…]} or {"error"}. */
#ifndef HN_TEST_CHAT_SERVE_H
#define HN_TEST_CHAT_SERVE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "text/chat.h"

static inline const char *serve_text(const struct hn_json *j, const char *key)
{
    struct hn_str s;
    return hn_json_str(hn_json_get(j, key), &s) ? s.p : NULL;
}

static inline void serve_one(const char *line, size_t n, struct hn_buf *answer)
{
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    struct hn_chat_template *t = NULL;
    struct hn_chat_spans spans = {0};
    struct hn_buf text = {0};
    struct hn_json_writer w;
    hn_arena_init(&arena, 0);
    int rc = hn_json_parse(&arena, line, n, HN_JSON_PYTHON, &j, &err);
    if (!rc) {
        struct hn_chat_input in = {.messages = hn_json_get(j, "messages"),
                                   .tools = hn_json_get(j, "tools"),
                                   .documents = hn_json_get(j, "documents"),
                                   .variables = hn_json_get(j, "variables"),
                                   .bos_token = serve_text(j, "bos_token"),
                                   .eos_token = serve_text(j, "eos_token"),
                                   .unk_token = serve_text(j, "unk_token"),
                                   .pad_token = serve_text(j, "pad_token")};
        struct hn_str source = {"", 0};
        bool want_spans = false;
        (void)hn_json_str(hn_json_get(j, "template"), &source);
        (void)hn_json_bool(hn_json_get(j, "add_generation_prompt"), &in.add_generation_prompt);
        (void)hn_json_bool(hn_json_get(j, "spans"), &want_spans);
        (void)hn_json_int(hn_json_get(j, "now"), &in.now);
        rc = hn_chat_template_open(&t, source.p, source.n, &err);
        if (!rc)
            rc = want_spans ? hn_chat_spans(t, &in, &text, &spans, &err)
                            : hn_chat_template_render(t, &in, &text, &err);
    }
    hn_buf_clear(answer);
    hn_jw_init(&w, answer, -1);
    hn_jw_open(&w, '{');
    hn_jw_key(&w, rc ? "error" : "text");
    if (rc)
        hn_jw_str(&w, err.message);
    else
        hn_jw_strn(&w, hn_buf_str(&text), text.len);
    if (!rc) {
        hn_jw_key(&w, "spans");
        hn_jw_open(&w, '[');
        for (size_t i = 0; i < spans.n; i++) {
            hn_jw_open(&w, '[');
            hn_jw_int(&w, (int64_t)spans.items[i].start);
            hn_jw_int(&w, (int64_t)spans.items[i].end);
            hn_jw_close(&w, ']');
        }
        hn_jw_close(&w, ']');
    }
    hn_jw_close(&w, '}');
    hn_buf_add_char(answer, '\n');
    hn_chat_template_close(&t);
    hn_chat_spans_release(&spans);
    hn_buf_release(&text);
    hn_arena_release(&arena);
}

static inline int serve(void)
{
    struct hn_buf answer = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        serve_one(line, (size_t)n, &answer);
        fwrite(answer.data, 1, answer.len, stdout);
        fflush(stdout);
    }
    free(line);
    hn_buf_release(&answer);
    return 0;
}

#endif
