/* Hostile chat templates: whatever the bytes, a template is refused in one sentence, fails in one,
 * or renders, within its bounds of time and memory, and the same twice; spans lie inside the text.
 */
#include <string.h>

#include "base/compiler.h"
#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char messages[] =
    "[{\"role\":\"system\",\"content\":\"s\\n\"},{\"role\":\"user\",\"content\":\"\\u00e9 <a> \"},"
    "{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"x\":[1,2.5,null,true]}}}]},{\"role\":\"user\",\"content\":[{\"type\":"
    "\"text\","
    "\"text\":\"t\"}]},{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"r\"}]";
/* Those of test/jinja/templates/language.json, whose templates are seeds. */
static const char variables[] =
    "{\"a\":3,\"b\":-7,\"s\":\"Hello, W\\u00f6rld \\u00df\",\"t\":\"  a<b>\\n "
    "c\\t\",\"l\":[3,1,2,1],"
    "\"m\":[\"b\",\"A\",\"c\",\"B\"],\"d\":{\"x\":1,\"y\":[1,2],\"items\":\"I\",\"\\u00e9\":null},"
    "\"e\":{},"
    "\"n\":12345678901234567890,\"f\":2.5,\"items\":[{\"k\":\"b\",\"v\":2,\"w\":{\"z\":1}},"
    "{\"k\":\"A\",\"v\":1},{\"k\":\"b\",\"v\":null}],\"r\":true}";

static void check(int rc, const struct hone_err *err)
{
    HN_ASSERT(rc == HONE_FAILED || rc == HONE_NO_MEMORY);
    HN_ASSERT(err->message[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_arena arena;
    struct hn_json *m = NULL, *v = NULL;
    struct hone_err err = {0};
    struct hn_chat_template *t = NULL;
    struct hn_buf first = {0}, second = {0};
    struct hn_chat_spans spans = {0};
    hn_arena_init(&arena, 0);
    HN_ASSERT(!hn_json_parse(&arena, messages, strlen(messages), 0, &m, &err));
    HN_ASSERT(!hn_json_parse(&arena, variables, strlen(variables), 0, &v, &err));
    struct hn_chat_input in = {
        .messages = m, .variables = v, .bos_token = "<s>", .eos_token = "</s>", .now = 1732368330};
    int rc = hn_chat_template_open(&t, (const char *)data, size, &err);
    if (rc) {
        check(rc, &err);
    } else if ((rc = hn_chat_template_render(t, &in, &first, &err))) {
        check(rc, &err);
        HN_ASSERT(first.len == 0);
    } else if (first.len < 100000) {
        HN_ASSERT(!hn_chat_template_render(t, &in, &second, &err));
        HN_ASSERT(first.len == second.len);
        HN_ASSERT(!first.len || memcmp(first.data, second.data, first.len) == 0);
        rc = hn_chat_spans(t, &in, &first, &spans, &err);
        if (rc)
            check(rc, &err);
        for (size_t i = 0; i < spans.n; i++)
            HN_ASSERT(spans.items[i].start < spans.items[i].end &&
                      spans.items[i].end <= second.len &&
                      (!i || spans.items[i - 1].end <= spans.items[i].start));
    }
    hn_chat_spans_release(&spans);
    hn_chat_template_close(&t);
    hn_buf_release(&first);
    hn_buf_release(&second);
    hn_arena_release(&arena);
    return 0;
}
