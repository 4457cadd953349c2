/* json.h: what is accepted, what is refused and how it says so, and Python's text byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"

static void check_dump(const char *in, int indent, const char *want)
{
    struct hn_arena arena;
    struct hn_buf out = {0};
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    hn_arena_init(&arena, 0);
    if (hn_json_parse(&arena, in, strlen(in), HN_JSON_PYTHON, &j, &err))
        fail_msg("%s: %s", in, err.message);
    hn_json_dump(&out, j, indent, true, false);
    assert_string_equal(hn_buf_str(&out), want);
    hn_buf_release(&out);
    hn_arena_release(&arena);
}

static void dumps_as_python_does(void **state)
{
    (void)state;
    check_dump("{\"a\":1,\"b\":[],\"a\":2}", -1, "{\"a\": 2, \"b\": []}");
    check_dump("[1,{\"x\":[1,2]},{}]", 2,
               "[\n  1,\n  {\n    \"x\": [\n      1,\n      2\n    ]\n  },\n  {}\n]");
    check_dump("[1.0,1e5,1E400,-0,-0.0,1e16,123456789012345678901234567890,1e-5,0.0001]", -1,
               "[1.0, 100000.0, Infinity, 0, -0.0, 1e+16, 123456789012345678901234567890, 1e-05, "
               "0.0001]");
    check_dump("[NaN,-Infinity,0.1,1e22,1.5e300,5e-324,2.5]", -1,
               "[NaN, -Infinity, 0.1, 1e+22, 1.5e+300, 5e-324, 2.5]");
    check_dump("\"\\ud83d\\ude00 \\ud800 \\u00e9 \\u0001\\u007f\\n\\/\"", -1,
               "\"\\ud83d\\ude00 \\ud800 \\u00e9 \\u0001\\u007f\\n/\"");
}

static void check_refused(const char *in, size_t n, const char *part)
{
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hone_err err = {0};
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_json_parse(&arena, in, n, HN_JSON_UNIQUE_KEYS, &j, &err), HONE_FAILED);
    assert_null(j);
    if (!strstr(err.message, part))
        fail_msg("'%s' lacks '%s'", err.message, part);
    hn_arena_release(&arena);
}

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "found the end, expected a JSON value"},
        {"{\"a\":1", "expected ',' or '}'"},
        {"[1,]", "column 4: found ']', expected a JSON value"},
        {"[1 2]", "expected ',' or ']'"},
        {"01", "expected the end of the document"},
        {"1.", "expected a digit"},
        {"-", "expected a digit"},
        {"\"\\x\"", "an escape character"},
        {"\"\\u12g4\"", "four hexadecimal digits"},
        {"\"a\nb\"", "an escaped control character"},
        {"\"\xff\"", "valid UTF-8"},
        {"\"\xed\xa0\x80\"", "valid UTF-8"},
        {"{\"a\":1,\"a\":2}", "stands twice"},
        {"NaN", "a JSON value"},
        {"\n\n  nul", "line 3, column 3"},
    };
    for (size_t i = 0; i < HN_COUNT(bad); i++)
        check_refused(bad[i][0], strlen(bad[i][0]), bad[i][1]);
    char deep[2000];
    memset(deep, '[', sizeof deep);
    check_refused(deep, sizeof deep, "nested more than");
    check_refused("\"a\0b\"", 5, "an escaped control character");
}

static void reads_numbers(void **state)
{
    (void)state;
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hone_err err;
    const char *text = "[9223372036854775807,-9223372036854775808,9223372036854775808,1.5]";
    int64_t v = 0;
    double d;
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_json_parse(&arena, text, strlen(text), 0, &j, &err), 0);
    assert_true(hn_json_int(hn_json_at(j, 0), &v) && v == INT64_MAX);
    assert_true(hn_json_int(hn_json_at(j, 1), &v) && v == INT64_MIN);
    assert_false(hn_json_int(hn_json_at(j, 2), &v));
    assert_false(hn_json_int(hn_json_at(j, 3), &v));
    assert_true(hn_json_float(hn_json_at(j, 3), &d) && d == 1.5);
    assert_null(hn_json_at(j, 4));
    hn_arena_release(&arena);
}

static void writer_puts_commas(void **state)
{
    (void)state;
    struct hn_buf out = {0};
    struct hn_json_writer w;
    hn_jw_init(&w, &out, -1);
    hn_jw_open(&w, '{');
    hn_jw_key(&w, "a");
    hn_jw_open(&w, '[');
    hn_jw_int(&w, 1);
    hn_jw_double(&w, 0.5);
    hn_jw_null(&w);
    hn_jw_close(&w, ']');
    hn_jw_key(&w, "b\n");
    hn_jw_str(&w, "é\xff");
    hn_jw_close(&w, '}');
    assert_string_equal(hn_buf_str(&out), "{\"a\": [1, 0.5, null], \"b\\n\": \"é\xef\xbf\xbd\"}");
    hn_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dumps_as_python_does),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(writer_puts_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
