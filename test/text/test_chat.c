/* chat.h against goldens from transformers, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "text/chat_serve.h"

#include "base/file.h"

static struct hn_json *load(struct hn_arena *arena, const char *path, struct hn_buf *file)
{
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    if (hn_file_read(path, 8 << 20, file, &err) ||
        hn_json_parse(arena, file->data, file->len, HN_JSON_PYTHON, &j, &err))
        fail_msg("%s: %s", path, err.message);
    return j;
}

static struct hn_chat_template *open_template(const char *source)
{
    struct hn_chat_template *t = NULL;
    struct hone_err err = {0};
    if (hn_chat_template_open(&t, source, strlen(source), &err))
        fail_msg("%s", err.message);
    return t;
}

static struct hn_chat_template *open_file(const char *name)
{
    char path[200];
    struct hn_buf source = {0};
    struct hone_err err = {0};
    snprintf(path, sizeof path, "jinja/templates/%s", name);
    if (hn_file_read(path, 1 << 20, &source, &err))
        fail_msg("%s", err.message);
    struct hn_chat_template *t = open_template(source.data);
    hn_buf_release(&source);
    return t;
}

/* ---- goldens from transformers ---- */

static bool same_spans(const struct hn_json *want, const struct hn_chat_spans *got)
{
    bool same = want ? want->n == got->n : got->n == 0;
    for (size_t i = 0; i < got->n && same; i++) {
        int64_t start = -1, end = -1;
        (void)hn_json_int(hn_json_at(hn_json_at(want, i), 0), &start);
        (void)hn_json_int(hn_json_at(hn_json_at(want, i), 1), &end);
        same = (size_t)start == got->items[i].start && (size_t)end == got->items[i].end;
    }
    return same;
}

static bool check_case(const struct hn_json *all, const struct hn_json *c)
{
    const struct hn_json *tokens = hn_json_get(all, "tokens");
    struct hn_chat_input in = {.tools = hn_json_get(c, "tools"),
                               .documents = hn_json_get(c, "documents"),
                               .variables = hn_json_get(c, "variables"),
                               .bos_token = serve_text(tokens, "bos_token"),
                               .eos_token = serve_text(tokens, "eos_token"),
                               .unk_token = serve_text(tokens, "unk_token"),
                               .pad_token = serve_text(tokens, "pad_token")};
    struct hn_str want = {0};
    struct hn_buf text = {0};
    struct hn_chat_spans spans = {0};
    struct hone_err err = {0};
    const char *name = serve_text(c, "template"), *title = serve_text(c, "conversation");
    in.messages = hn_json_get(hn_json_get(all, "conversations"), title);
    (void)hn_json_bool(hn_json_get(c, "add_generation_prompt"), &in.add_generation_prompt);
    (void)hn_json_int(hn_json_get(all, "now"), &in.now);
    struct hn_chat_template *t = open_file(name);
    bool marked = strcmp(name, "marked.jinja") == 0 && !in.add_generation_prompt;
    int rc = marked ? hn_chat_spans(t, &in, &text, &spans, &err)
                    : hn_chat_template_render(t, &in, &text, &err);
    bool rendered = hn_json_str(hn_json_get(c, "text"), &want);
    bool ok =
        rendered ? !rc && hn_str_eq(want, (struct hn_str){hn_buf_str(&text), text.len}) : rc != 0;
    if (ok && marked && !rc)
        ok = same_spans(hn_json_get(c, "spans"), &spans);
    if (!ok)
        print_error("%s, conversation '%s'\n  gives    %s\n  expected %s\n", name, title,
                    rc ? err.message : hn_buf_str(&text), rendered ? want.p : "an error");
    hn_chat_spans_release(&spans);
    hn_buf_release(&text);
    hn_chat_template_close(&t);
    return ok;
}

static void renders_as_transformers(void **state)
{
    struct hn_arena arena;
    struct hn_buf file = {0};
    (void)state;
    hn_arena_init(&arena, 0);
    const struct hn_json *all = load(&arena, "jinja/templates/chat.json", &file);
    const struct hn_json *cases = hn_json_get(all, "cases");
    assert_non_null(cases);
    assert_true(cases->n > 300);
    int wrong = 0;
    for (size_t i = 0; i < cases->n; i++)
        wrong += !check_case(all, &cases->items[i]);
    assert_int_equal(wrong, 0);
    hn_buf_release(&file);
    hn_arena_release(&arena);
}

/* ---- spans ---- */

/* The spans' texts, each in brackets; or the error. */
static void find_spans(struct hn_chat_template *t, const char *messages, struct hn_buf *out)
{
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    struct hn_buf text = {0};
    struct hn_chat_spans spans = {0};
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_json_parse(&arena, messages, strlen(messages), 0, &j, &err), 0);
    struct hn_chat_input in = {.messages = j, .bos_token = "<s>", .eos_token = "</s>"};
    hn_buf_clear(out);
    if (hn_chat_spans(t, &in, &text, &spans, &err))
        hn_buf_add_str(out, err.message);
    for (size_t i = 0; i < spans.n; i++)
        hn_buf_printf(out, "[%.*s]", (int)(spans.items[i].end - spans.items[i].start),
                      text.data + spans.items[i].start);
    hn_chat_spans_release(&spans);
    hn_buf_release(&text);
    hn_arena_release(&arena);
}

static void check_spans(const char *name, const char *messages, const char *want)
{
    struct hn_chat_template *t = name[0] == '{' ? open_template(name) : open_file(name);
    struct hn_buf out = {0};
    find_spans(t, messages, &out);
    if (!strstr(hn_buf_str(&out), want) || (want[0] == '[' && strcmp(hn_buf_str(&out), want) != 0))
        fail_msg("%s: %s\n  gives    %s\n  expected %s", name, messages, hn_buf_str(&out), want);
    hn_buf_release(&out);
    hn_chat_template_close(&t);
}

#define U(s) "{\"role\":\"user\",\"content\":\"" s "\"}"
#define A(s) "{\"role\":\"assistant\",\"content\":\"" s "\"}"
#define S(s) "{\"role\":\"system\",\"content\":\"" s "\"}"

static void finds_answers(void **state)
{
    (void)state;
    check_spans("smollm2.jinja", "[" U("a") "," A("b") "," U("c") "," A("d") "]",
                "[b<|im_end|>\n][d<|im_end|>\n]");
    check_spans("smollm2.jinja", "[" U("a") "]", "");
    check_spans("smollm2.jinja", "[" A("hi") "," U("a") "," A("a") "]",
                "[hi<|im_end|>\n][a<|im_end|>\n]");
    check_spans("smollm2.jinja", "[" U("x") "," A("") "," U("x") "," A("x") "]",
                "[<|im_end|>\n][x<|im_end|>\n]");
    check_spans("plain.jinja", "[" U("a") "," A(" b ") "," U("c") "," A("d") "]",
                "[b</s>\n][d</s>\n]");
    check_spans("marked.jinja", "[" U("a") "," A("b") "," U("c") "," A("d") "]",
                "[b<end>][d<end>]");
    /* no header: what follows the prompt, its blank included */
    check_spans("strict.jinja", "[" U("a") "," A("b") "," U("c") "," A("d") "]",
                "[ b</s>][ d</s>]");
    /* the system text moves to the last question, so that no rendering is the beginning of another
     */
    check_spans("strict.jinja", "[" S("s") "," U("a") "," A("b") "," U("c") "," A("d") "]",
                "[ b</s>][ d</s>]");
}

static void finds_answers_that_change(void **state)
{
    (void)state;
    /* thinking is kept in the last turn only */
    check_spans("thinking.jinja",
                "[" U("a") "," A("<think>\\nt\\n</think>\\n\\nb") "," U("c") "," A(
                    "<think>\\nu\\n</think>\\n\\nd") "]",
                "[b<|stop|>\n][<think>\nu\n</think>\n\nd<|stop|>\n]");
    check_spans(
        "thinking.jinja",
        "[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\",\"reasoning_content\":\"t\"}," U(
            "c") "," A("d") "]",
        "[b<|stop|>\n][<think>\n\n</think>\n\nd<|stop|>\n]");
    check_spans(
        "thinking.jinja",
        "[" U("a") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":"
                   "{\"name\":\"f\",\"arguments\":{\"x\":1}}}]},{\"role\":\"tool\",\"content\":"
                   "\"r\"}," A("b") "]",
        "[<call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</call><|stop|>\n]"
        "[<think>\n\n</think>\n\nb<|stop|>\n]");
    /* the prompt opens a thought that the earlier turns do not have */
    check_spans("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
                "{% if add_generation_prompt %}<assistant><think>{% endif %}",
                "[" U("a") "," A("<b>") "," U("c") "," A("d") "]", "[<b><end>][d<end>]");
    /* the system's text stands in a question only while that is the last message */
    check_spans(
        "{% for m in messages %}{% if m.role == 'user' %}[Q] {{ messages[0].content ~ ' ' if "
        "loop.last }}{{ m.content }} [/Q]{% elif m.role != 'system' %} {{ m.content }}</s>"
        "{% endif %}{% endfor %}",
        "[" S("s") "," U("a") "," A("b") "," U("c") "," A("d") "]", "[ b</s>][ d</s>]");
    /* another marker ends the last turn */
    check_spans("{% for m in messages %}<{{ m.role }}>{{ m.content }}"
                "{{ '<return>' if loop.last and m.role == 'assistant' else '<end>' }}{% endfor %}"
                "{% if add_generation_prompt %}<assistant>{% endif %}",
                "[" U("a") "," A("b") "," U("c") "," A("d") "]", "[b<end>][d<return>]");
    check_spans("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}"
                "{{ '<assistant>' if add_generation_prompt else '</s>' }}",
                "[" U("a") "," A("b") "," U("c") "," A("d") "]", "[b<end>\n][d<end>\n</s>]");
}

static void says_when_answers_have_no_place(void **state)
{
    (void)state;
    check_spans("{{ messages | tojson }}{{ messages | length }}",
                "[" U("a") "," A("b") "," U("c") "]", "message 2 has no certain place");
    check_spans(
        "{% for m in messages %}{% if loop.length < 3 or m.role == 'user' %}{{ m.content }};"
        "{% endif %}{% endfor %}",
        "[" U("a") "," A("b") "," U("c") "]", "message 2 has no certain place");
    check_spans("{% macro f(m) %}{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}"
                "{% for m in messages %}{{ f(m) }}{% endfor %}",
                "[" U("a") "," A("b") "]", "inside a macro");
}

/* ---- what goes in ---- */

static void check_request(const char *request, const char *want)
{
    struct hn_buf answer = {0};
    serve_one(request, strlen(request), &answer);
    if (!strstr(hn_buf_str(&answer), want))
        fail_msg("%s\n  gives    %s\n  expected %s", request, hn_buf_str(&answer), want);
    hn_buf_release(&answer);
}

static void takes_what_transformers_takes(void **state)
{
    (void)state;
    /* keys whose value is null are not there; reasoning is there under both its names */
    check_request(
        "{\"template\":\"{{ messages[0] }}\",\"messages\":[{\"role\":\"a\",\"content\":null}]}",
        "\"{'role': 'a'}\"");
    check_request(
        "{\"template\":\"{{ messages[0] }}\",\"messages\":[{\"role\":\"a\",\"reasoning\":\"r\"}]}",
        "\"{'thinking': 'r', 'role': 'a', 'reasoning': 'r', 'reasoning_content': 'r'}\"");
    check_request(
        "{\"template\":\"{{ tools is none }}{{ documents }}{{ add_generation_prompt }}"
        "{{ bos_token }}{{ eos_token is defined }}\",\"messages\":[{}],\"bos_token\":\"B\"}",
        "\"TrueNoneFalseBFalse\"");
    check_request("{\"template\":\"{{ bos_token }}{{ x }}{{ documents[0].t }}\",\"messages\":[{}],"
                  "\"bos_token\":\"B\",\"variables\":{\"bos_token\":\"C\",\"x\":1,"
                  "\"documents\":[{\"t\":2}]}}",
                  "\"C12\"");
}

static void says_what_it_refuses(void **state)
{
    (void)state;
    check_request("{\"template\":\"\",\"messages\":[]}", "at least one message is needed");
    check_request("{\"template\":\"\",\"messages\":{}}", "must be an array, not an object");
    check_request("{\"template\":\"\"}", "must be an array, not nothing");
    check_request("{\"template\":\"\",\"messages\":[1]}",
                  "message 1 of the conversation is an integer");
    check_request("{\"template\":\"\",\"messages\":[{}],\"tools\":[1]}", "number 1 is an integer");
    check_request("{\"template\":\"\",\"messages\":[{}],\"tools\":3}", "must be an array");
    check_request("{\"template\":\"\",\"messages\":[{}],\"variables\":[]}", "must be an object");
    check_request("{\"template\":\"\",\"messages\":[{}],\"variables\":{\"messages\":1}}",
                  "'messages' is set by the conversation");
    check_request("{\"template\":\"{{ 1\",\"messages\":[{}]}", "the chat template: line 1: ");
    check_request("{\"template\":\"{{ raise_exception('no') }}\",\"messages\":[{}]}",
                  "the chat template: line 1: the template refuses the conversation: no");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--serve") == 0)
        return serve();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_as_transformers),
        cmocka_unit_test(finds_answers),
        cmocka_unit_test(finds_answers_that_change),
        cmocka_unit_test(says_when_answers_have_no_place),
        cmocka_unit_test(takes_what_transformers_takes),
        cmocka_unit_test(says_what_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
