/* record.h: kinds by their keys, the text of each kind, and what is refused with which words. */
#include "data_case.h"

#include "data/record.h"

static void check_write(const char *line, enum hone_record_kind forced, enum hone_record_kind kind,
                        const char *want)
{
    struct hn_record r;
    struct hn_buf out = {0};
    struct hone_err err = {0};
    hn_record_init(&r);
    if (hn_record_parse(&r, line, strlen(line), forced, HONE_RECORD_AUTO, &err))
        fail_msg("%s: %s", line, err.message);
    assert_string_equal(hone_record_kind_name(r.kind), hone_record_kind_name(kind));
    hn_record_write(&r, &out);
    assert_string_equal(hn_buf_str(&out), want);
    hn_buf_release(&out);
    hn_record_release(&r);
}

static void kinds_are_told_by_their_keys_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum hone_record_kind kind;
        const char *want;
    } rows[] = {
        {"{\"text\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}", HONE_RECORD_CHAT,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}]}"},
        {"{\"text\":\"a\",\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},"
         "{\"from\":\"gpt\",\"value\":\"a\"}]}",
         HONE_RECORD_CHAT,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
         "\"content\": \"a\"}]}"},
        {"{\"system\":\"s\",\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}]}",
         HONE_RECORD_CHAT,
         "{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", "
         "\"content\": \"q\"}]}"},
        {"{\"conversations\":[{\"content\":\"no\",\"from\":\"human\",\"value\":\"q\"},"
         "{\"from\":\"gpt\",\"content\":\"c\",\"tool_calls\":[]}]}",
         HONE_RECORD_CHAT,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
         "\"content\": \"c\", \"tool_calls\": []}]}"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":1.50}]}],\"tools\":[{}]}",
         HONE_RECORD_CHAT,
         "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"id\": 1.5}]}], \"tools\": "
         "[{}]}"},
        {"{\"prompt\":\"p \",\"completion\":\"c\",\"task\":\"t\",\"text\":\"x\"}",
         HONE_RECORD_COMPLETION, "{\"prompt\": \"p \", \"completion\": \"c\"}"},
        {"{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"completion\":{\"role\":"
         "\"assistant\","
         "\"content\":\"a\"},\"tools\":\"[{\\\"x\\\": 1}]\"}",
         HONE_RECORD_COMPLETION,
         "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": [{\"role\": "
         "\"assistant\", \"content\": \"a\"}], \"tools\": [{\"x\": 1}]}"},
        {"{\"prompt\":\"p\",\"text\":\"x\"}", HONE_RECORD_TEXT, "{\"text\": \"x\"}"},
        {"{\"task\":\"t\",\"output\":\"o\",\"instruction\":\"i\"}", HONE_RECORD_TASK,
         "{\"text\": \"### TASK: t\\n### INSTRUCTION:\\ni\\n### RESPONSE:\\n\"}"},
        {"{\"instruction\":\"i\",\"response\":\"r\",\"output\":\"o\"}", HONE_RECORD_TASK,
         "{\"text\": \"### TASK: UNKNOWN\\n### INSTRUCTION:\\ni\\n### RESPONSE:\\nr\"}"},
        {"{\"instruction\":\"i\",\"output\":\"o\",\"text\":\"x\",\"input\":\"\"}",
         HONE_RECORD_ALPACA,
         "{\"text\": \"Below is an instruction that describes a task. Write a response that "
         "appropriately completes the request.\\n\\n### Instruction:\\ni\\n\\n### "
         "Response:\\no\"}"},
        {"{\"instruction\":\"i\",\"output\":\"o\",\"input\":\"n\"}", HONE_RECORD_ALPACA,
         "{\"text\": \"Below is an instruction that describes a task, paired with an input that "
         "provides further context. Write a response that appropriately completes the "
         "request.\\n\\n### Instruction:\\ni\\n\\n### Input:\\nn\\n\\n### Response:\\no\"}"},
        {"{\"text\":\"\\u00e9\xc3\xa9\\ud83d\\ude00\",\"id\":7}", HONE_RECORD_TEXT,
         "{\"text\": \"\\u00e9\\u00e9\\ud83d\\ude00\"}"},
    };
    for (size_t i = 0; i < HN_COUNT(rows); i++)
        check_write(rows[i].line, HONE_RECORD_AUTO, rows[i].kind, rows[i].want);
    check_write("{\"text\":\"x\",\"messages\":[]}", HONE_RECORD_TEXT, HONE_RECORD_TEXT,
                "{\"text\": \"x\"}");
    check_write("{\"instruction\":\"i\",\"output\":\"o\"}", HONE_RECORD_TASK, HONE_RECORD_TASK,
                "{\"text\": \"### TASK: UNKNOWN\\n### INSTRUCTION:\\ni\\n### RESPONSE:\\n\"}");
}

static void every_shareGPT_role_is_known(void **state)
{
    (void)state;
    static const char *const roles[][2] = {
        {"human", "user"},        {"user", "user"},           {"gpt", "assistant"},
        {"chatgpt", "assistant"}, {"assistant", "assistant"}, {"system", "system"},
        {"tool", "tool"},         {"observation", "tool"},    {"function_call", "assistant"},
    };
    for (size_t i = 0; i < HN_COUNT(roles); i++) {
        char line[200], want[200];
        snprintf(line, sizeof line, "{\"conversations\":[{\"from\":\"%s\",\"value\":\"v\"}]}",
                 roles[i][0]);
        snprintf(want, sizeof want, "{\"messages\": [{\"role\": \"%s\", \"content\": \"v\"}]}",
                 roles[i][1]);
        check_write(line, HONE_RECORD_AUTO, HONE_RECORD_CHAT, want);
    }
}

static void what_holds_nothing_is_empty(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "  \t ",
        "\xef\xbb\xbf",
        "{}",
        " { } ",
        "{\"text\":\"\"}",
        "{\"text\":\" \\n\\t\"}",
        "{\"messages\":[]}",
        "{\"conversations\":[],\"system\":\"s\"}",
        "{\"prompt\":\"\",\"completion\":\"\"}",
        "{\"instruction\":\"\",\"output\":\"\"}",
    };
    struct hn_record r;
    struct hone_err err = {0};
    hn_record_init(&r);
    for (size_t i = 0; i < HN_COUNT(lines); i++) {
        if (hn_record_parse(&r, lines[i], strlen(lines[i]), HONE_RECORD_AUTO, HONE_RECORD_AUTO,
                            &err))
            fail_msg("%s: %s", lines[i], err.message);
        if (!r.empty)
            fail_msg("'%s' is not taken as empty", lines[i]);
    }
    /* A task record is never empty: its markers are text. */
    assert_int_equal(
        hn_record_parse(&r, "{\"task\":\"\"}", 11, HONE_RECORD_AUTO, HONE_RECORD_AUTO, &err), 0);
    assert_false(r.empty);
    hn_record_release(&r);
}

static void the_response_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } rows[] = {
        {"### TASK: t\n### RESPONSE:\nr", 26},
        {"### RESPONSE:\n", 14},
        {"a ### RESPONSE:\nb ### RESPONSE:\nc", 16},
        {"### RESPONSE:", SIZE_MAX},
        {"### RESPONSE: x\n", SIZE_MAX},
        {"### RESPONSE_JSON:\n{}", SIZE_MAX},
        {"##### RESPONSE:\nx", 16},
        {"", SIZE_MAX},
        {"Below is an instruction that describes a task. W\n\n### Response:\no", 64},
        {"Below is an instruction that describes a task. W ### RESPONSE:\no", 63},
        {"x Below is an instruction that describes a task.\n\n### Response:\no", SIZE_MAX},
    };
    for (size_t i = 0; i < HN_COUNT(rows); i++) {
        size_t at = hn_record_find_response(hn_str_of(rows[i].text));
        if (at != rows[i].at)
            fail_msg("'%s': found %zd, expected %zd", rows[i].text, (ssize_t)at,
                     (ssize_t)rows[i].at);
    }
}

struct refusal {
    const char *line;
    enum hone_record_kind forced;
    const char *message;
};

#define LONE                                                                                       \
    " holds the lone surrogate \\ud800, expected characters: half of a pair cannot be encoded"
#define EXPECTED_KEYS                                                                              \
    ", expected \"messages\" or \"conversations\" (chat), \"prompt\" and \"completion\", "         \
    "\"task\" or \"instruction\" and \"response\" (task record), \"instruction\" and \"output\" "  \
    "(Alpaca), or \"text\""

static const struct refusal refusals[] = {
    /* not JSON */
    {"{\"text\":\"a\"", 0, "column 12: found the end, expected ',' or '}'"},
    {"{\"text\":\"a", 0, "column 11: found the end, expected '\"' at the end of a string"},
    {"{\"text\":}", 0, "column 9: found '}', expected a JSON value"},
    {"{\"text\":\"a\"} x", 0, "column 14: found 'x', expected the end of the document"},
    {"{'text':'a'}", 0, "column 2: found ''', expected '\"' and a key"},
    {"{\"text\":\"\xff\"}", 0, "column 10: found byte 0xff, expected valid UTF-8"},
    {"{\"text\":\"\xc3\"}", 0, "column 10: found byte 0xc3, expected valid UTF-8"},
    {"{\"text\":\"a\tb\"}", 0, "column 11: found byte 0x09, expected an escaped control character"},
    {"{\"text\":\"\\x\"}", 0, "column 11: found 'x', expected an escape character"},
    {"{\"text\":01}", 0, "column 10: found '1', expected ',' or '}'"},
    {"hello", 0, "column 1: found 'h', expected a JSON value"},
    {"\xff\xfe{", 0, "found a UTF-16 byte order mark, expected UTF-8 text"},
    /* not an object */
    {"[{\"text\":\"a\"}]", 0, "found an array, expected an object"},
    {"\"text\"", 0, "found a string, expected an object"},
    {"null", 0, "found null, expected an object"},
    /* of no kind */
    {"{\"txt\":\"a\"}", 0, "found the key \"txt\"" EXPECTED_KEYS},
    {"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8}", 0,
     "found the keys \"a\", \"b\", \"c\", \"d\", \"e\", \"f\" and 2 more" EXPECTED_KEYS},
    {"{\"a\\nb\\\"\":1,\"12345678901234567890123456789012345678éé\":2}", 0,
     "found the keys \"a\\nb\\\"\", "
     "\"12345678901234567890123456789012345678é\"…" EXPECTED_KEYS},
    {"{\"prompt\":\"a\"}", 0, "found the key \"prompt\"" EXPECTED_KEYS},
    {"{\"txt\":\"a\"}", HONE_RECORD_TASK, "found the key \"txt\"" EXPECTED_KEYS},
    /* of a wrong type */
    {"{\"text\":1}", 0, "\"text\": found an integer, expected a string"},
    {"{\"text\":1.5}", 0, "\"text\": found a float, expected a string"},
    {"{\"text\":null}", 0, "\"text\": found null, expected a string"},
    {"{\"text\":[\"a\"]}", 0, "\"text\": found an array, expected a string"},
    {"{\"text\":{}}", 0, "\"text\": found an object, expected a string"},
    {"{\"messages\":[]}", HONE_RECORD_TEXT, "\"text\": found nothing, expected a string"},
    {"{\"task\":true}", 0, "\"task\": found a boolean, expected a string"},
    {"{\"task\":\"t\",\"instruction\":[]}", 0,
     "\"instruction\": found an array, expected a string"},
    {"{\"task\":\"t\",\"context\":{}}", 0, "\"context\": found an object, expected a string"},
    {"{\"task\":\"t\",\"response\":0}", 0, "\"response\": found an integer, expected a string"},
    {"{\"task\":\"t\",\"response_json\":\"{}\"}", 0,
     "\"response_json\": found a string, expected an object or an array"},
    {"{\"task\":\"t\",\"response_json\":0}", 0,
     "\"response_json\": found an integer, expected an object or an array"},
    {"{\"prompt\":[],\"completion\":\"c\"}", 0, "\"prompt\": found an array, expected a string"},
    {"{\"prompt\":\"p\",\"completion\":null}", 0, "\"completion\": found null, expected a string"},
    {"{\"prompt\":[{\"role\":\"user\"}],\"completion\":[]}", 0,
     "\"prompt\"[0][\"content\"]: found nothing, expected a string"},
    {"{\"prompt\":\"p\",\"completion\":\"c\",\"tools\":\"x\"}", 0,
     "\"tools\" is a string that holds no JSON: line 1, column 1: found 'x', expected a JSON "
     "value"},
    {"{\"prompt\":\"p\",\"completion\":\"c\",\"tools\":{}}", 0,
     "\"tools\": found an object, expected an array"},
    {"{\"instruction\":\"i\",\"output\":4}", 0, "\"output\": found an integer, expected a string"},
    {"{\"instruction\":\"i\",\"output\":\"o\",\"input\":[]}", 0,
     "\"input\": found an array, expected a string"},
    {"{\"messages\":{}}", 0, "\"messages\": found an object, expected an array of messages"},
    {"{\"conversations\":\"x\"}", 0,
     "\"conversations\": found a string, expected an array of messages"},
    {"{\"messages\":[\"x\"]}", 0, "\"messages\"[0]: found a string, expected an object"},
    {"{\"messages\":[{\"content\":\"x\"}]}", 0,
     "\"messages\"[0][\"role\"]: found nothing, expected a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":1}]}", 0,
     "\"messages\"[1][\"role\"]: found an integer, expected a string"},
    {"{\"messages\":[{\"role\":\"\",\"content\":\"a\"}]}", 0,
     "\"messages\"[0][\"role\"]: found \"\", expected a name"},
    {"{\"messages\":[{\"role\":\"user\"}]}", 0,
     "\"messages\"[0][\"content\"]: found nothing, expected a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":null}]}", 0,
     "\"messages\"[0][\"content\"]: found null, expected a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}", 0,
     "\"messages\"[0][\"content\"]: found a part that is not text, expected a string or parts of "
     "type \"text\""},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", 0,
     "\"messages\"[0][\"content\"]: found a part without \"text\", expected a string in its "
     "\"text\""},
    {"{\"conversations\":[{\"from\":\"martian\",\"value\":\"a\"}]}", 0,
     "\"conversations\"[0][\"from\"]: found \"martian\", expected \"human\", \"gpt\", \"system\" "
     "or "
     "\"tool\""},
    {"{\"conversations\":[{\"from\":\"gpt\",\"value\":3}]}", 0,
     "\"conversations\"[0][\"value\"]: found an integer, expected a string"},
    {"{\"conversations\":[{\"from\":\"gpt\",\"value\":\"a\"}],\"system\":3}", 0,
     "\"system\": found an integer, expected a string"},
    /* halves of characters */
    {"{\"text\":\"a\\ud800\"}", 0, "\"text\"" LONE},
    {"{\"task\":\"\\ud800\"}", 0, "\"task\"" LONE},
    {"{\"task\":\"t\",\"context\":\"\\ud800\\u0041\"}", 0, "\"context\"" LONE},
    {"{\"prompt\":\"\",\"completion\":\"\\ud800\"}", 0, "\"completion\"" LONE},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}", 0, "\"messages\"" LONE},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"x\":[{\"\\ud800\":1}]}]}", 0,
     "\"messages\"" LONE},
    {"{\"instruction\":\"i\",\"output\":\"\\ud800\"}", 0, "\"output\"" LONE},
};

static void malformed_rows_are_refused_in_words(void **state)
{
    (void)state;
    struct hn_record r;
    hn_record_init(&r);
    for (size_t i = 0; i < HN_COUNT(refusals); i++) {
        const struct refusal *t = &refusals[i];
        struct hone_err err = {0};
        int rc = hn_record_parse(&r, t->line, strlen(t->line), t->forced, HONE_RECORD_AUTO, &err);
        if (rc != HONE_FAILED || strcmp(err.message, t->message) != 0)
            fail_msg("%s\n  gave %d: %s\n  expected: %s", t->line, rc, err.message, t->message);
    }
    hn_record_release(&r);
}

static void depth_and_NULs_are_refused(void **state)
{
    (void)state;
    struct hn_record r;
    struct hone_err err = {0};
    char deep[4000] = "{\"task\":\"t\",\"response_json\":";
    size_t n = strlen(deep);
    memset(deep + n, '[', 1000);
    hn_record_init(&r);
    assert_int_equal(hn_record_parse(&r, deep, n + 1000, 0, 0, &err), HONE_FAILED);
    assert_string_equal(err.message, "nested more than 512 levels deep");
    assert_int_equal(hn_record_parse(&r, "{\"text\":\"a\0b\"}", 14, 0, 0, &err), HONE_FAILED);
    assert_string_equal(err.message,
                        "column 11: found byte 0x00, expected an escaped control character");
    /* An escaped NUL is a character like others. */
    assert_int_equal(hn_record_parse(&r, "{\"text\":\"a\\u0000b\"}", 19, 0, 0, &err), 0);
    assert_int_equal(r.text.n, 3);
    hn_record_release(&r);
}

static void a_row_that_does_not_tell_is_of_its_files_kind(void **state)
{
    (void)state;
    const char *line = "{\"instruction\":\"i\"}";
    struct hn_record r;
    struct hone_err err = {0};
    hn_record_init(&r);
    assert_int_equal(hn_record_parse(&r, line, strlen(line), 0, HONE_RECORD_TASK, &err), 0);
    assert_int_equal(r.kind, HONE_RECORD_TASK);
    assert_string_equal(r.text.p, "### TASK: UNKNOWN\n### INSTRUCTION:\ni\n### RESPONSE:\n");
    assert_int_equal(r.prompt_size, r.text.n);
    hn_record_release(&r);
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (int k = 0; k < HONE_RECORD_COUNT; k++)
        assert_int_equal(hone_record_kind_find(hone_record_kind_name((enum hone_record_kind)k)), k);
    assert_int_equal(hone_record_kind_find("csv"), HONE_RECORD_COUNT);
    assert_int_equal(hone_record_kind_find(""), HONE_RECORD_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_by_their_keys_in_order),
        cmocka_unit_test(every_shareGPT_role_is_known),
        cmocka_unit_test(what_holds_nothing_is_empty),
        cmocka_unit_test(the_response_is_found),
        cmocka_unit_test(malformed_rows_are_refused_in_words),
        cmocka_unit_test(depth_and_NULs_are_refused),
        cmocka_unit_test(a_row_that_does_not_tell_is_of_its_files_kind),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
