/* chat.h against goldens from transformers, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "text/chat_serve.h"

static void placeholder(void **state)
{
    (void)state;
    struct hn_buf a = {0};
    const char *q =
        "{\"template\":\"{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content "
        "}}<|im_end|>\\n{% endfor %}\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    serve_one(q, strlen(q), &a);
    assert_string_equal(hn_buf_str(&a),
                        "{\"text\": \"<|im_start|>user\\nhi<|im_end|>\\n\", \"spans\": []}\n");
    hn_buf_release(&a);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--serve") == 0)
        return serve();
    const struct CMUnitTest tests[] = {cmocka_unit_test(placeholder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
