/* hone_chat_render: the tokenizer's template and special tokens; and chat templates when every
 * single allocation fails in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "../alloc_hook.h"
#include "base/file.h"
#include "hone/tokenizer.h"
#include "text/chat.h"

static struct hone_tokenizer *open_tokenizer(const char *path)
{
    struct hone_tokenizer *tok = NULL;
    struct hone_err err = {0};
    if (hone_tokenizer_open(&tok, path, &err))
        fail_msg("%s", err.message);
    return tok;
}

static void renders_with_the_tokenizer(void **state)
{
    struct hone_tokenizer *tok = open_tokenizer("jinja/templates/model");
    struct hone_err err = {0};
    char *text = NULL;
    (void)state;
    assert_int_equal(hone_chat_render(tok, "[{\"role\":\"user\",\"content\":\"\xc3\xa9\"}]",
                                      "[{\"n\":1}]", "{\"x\":2}", true, &text, NULL, &err),
                     0);
    assert_string_equal(text, "<s>Falseuser:\xc3\xa9</s>[{\"n\": 1}]2A");
    hone_free(text);
    text = NULL;
    assert_int_equal(
        hone_chat_render(tok, "[{\"role\":\"a\"}]", NULL, NULL, false, &text, NULL, &err), 0);
    assert_string_equal(text, "<s>Falsea:</s>null");
    hone_free(text);
    size_t size;
    assert_int_equal(hone_chat_render(tok, "[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]", NULL,
                                      NULL, false, &text, &size, &err),
                     0);
    assert_int_equal(size, sizeof "<s>Falseuser:a\0b</s>null" - 1);
    assert_memory_equal(text, "<s>Falseuser:a\0b</s>null", size);
    hone_free(text);
    text = NULL;
    assert_int_equal(hone_chat_render(tok, "[", NULL, NULL, false, &text, NULL, &err), HONE_FAILED);
    assert_string_equal(err.message, "the messages of a conversation: line 1, column 2: found the "
                                     "end, expected a JSON value");
    assert_int_equal(hone_chat_render(tok, "[{}]", "{}", NULL, false, &text, NULL, &err),
                     HONE_FAILED);
    assert_int_equal(hone_chat_render(tok, "[{}]", NULL, "[]", false, &text, NULL, &err),
                     HONE_USAGE);
    assert_null(text);
    hone_tokenizer_close(&tok);
}

static void needs_a_template(void **state)
{
    struct hone_tokenizer *tok = open_tokenizer("jinja/templates/no_template");
    struct hone_err err = {0};
    char *text = NULL;
    (void)state;
    assert_int_equal(hone_chat_render(tok, "[{}]", NULL, NULL, false, &text, NULL, &err),
                     HONE_NOT_FOUND);
    assert_string_equal(err.message,
                        "the model has no chat template: use a plain prompt, or a model "
                        "that has one");
    assert_null(text);
    hone_tokenizer_close(&tok);
}

static const char messages[] =
    "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"<think>\\nt\\n</"
    "think>"
    "\\n\\nb\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"}]},"
    "{\"role\":\"assistant\",\"content\":\"d\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"x\":12345678901234567890}}}]}]";

static int try(const char *source, size_t n, struct hone_err *err)
{
    struct hn_arena arena;
    struct hn_json *m = NULL;
    struct hn_chat_template *t = NULL;
    struct hn_buf text = {0};
    struct hn_chat_spans spans = {0};
    hn_arena_init(&arena, 0);
    int rc = hn_json_parse(&arena, messages, sizeof messages - 1, 0, &m, err);
    if (!rc)
        rc = hn_chat_template_open(&t, source, n, err);
    struct hn_chat_input in = {.messages = m, .tools = m, .eos_token = "</s>"};
    if (!rc)
        rc = hn_chat_template_render(t, &in, &text, err);
    if (rc)
        assert_int_equal(text.len, 0);
    hn_buf_clear(&text);
    if (!rc)
        rc = hn_chat_spans(t, &in, &text, &spans, err);
    hn_chat_spans_release(&spans);
    hn_chat_template_close(&t);
    hn_buf_release(&text);
    hn_arena_release(&arena);
    return rc;
}

static void survives_no_memory(void **state)
{
    struct hn_buf source = {0};
    struct hone_err err = {0};
    (void)state;
    if (!alloc_hook_works())
        skip();
    assert_int_equal(hn_file_read("jinja/templates/thinking.jinja", 1 << 20, &source, &err), 0);
    assert_int_equal(try(source.data, source.len, &err), 0);
    for (long n = 1;; n++) {
        err.message[0] = 0;
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, n);
        int rc = try(source.data, source.len, &err);
        bool reached = atomic_load(&alloc_count) >= n;
        atomic_store(&alloc_fail_at, 0);
        if (!reached) {
            assert_int_equal(rc, 0);
            assert_true(n > 100);
            break;
        }
        if (rc != HONE_NO_MEMORY || !err.message[0])
            fail_msg("allocation %ld: %d %s", n, rc, err.message);
    }
    hn_buf_release(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_with_the_tokenizer),
        cmocka_unit_test(needs_a_template),
        cmocka_unit_test(survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
