/* score.h: exact match, JSON and its fields, and ROUGE-L as rouge_score 0.1.2 gives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "eval/score.h"

static struct hn_score score(const char *expected, const char *output)
{
    struct hn_score s;
    struct hone_err err = {0};
    assert_int_equal(hn_score_answer(expected, strlen(expected), output, strlen(output), &s, &err),
                     0);
    return s;
}

static void outer_white_space_is_no_difference(void **state)
{
    (void)state;
    assert_true(score("a b", " \n a b\t\r\n").exact);
    assert_true(score("", " ").exact);
    assert_false(score("a b", "a  b").exact);
    assert_false(score("a b", "A b").exact);
    assert_false(score("a", "").exact);
}

static void json_is_found_where_the_expected_answer_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *expected, *output;
        bool has, valid;
        int right, fields;
    } cases[] = {
        /* after the marker */
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "other\n### RESPONSE_JSON:\n{\"a\":1}\n", true, true,
         1, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "### RESPONSE_JSON:{\"a\":1}", true, true, 1, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "{\"a\":1}", true, false, 0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "x ### RESPONSE_JSON:\n{\"a\":1}", true, false, 0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "x\n### RESPONSE_JSON:\n{\"a\":1} and", true, false,
         0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "x\n### RESPONSE_JSON:\n{\"a\":1", true, false, 0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "x\n### RESPONSE_JSON:\n", true, false, 0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "", true, false, 0, 1},
        {"r\n### RESPONSE_JSON:\n{\"a\": 1}", "x\n### RESPONSE_JSON:\n```json\n{\"a\":1}\n```",
         true, true, 1, 1},
        /* the whole */
        {"{\"a\": [1, 2]}", " {\"a\": [1, 3]} ", true, true, 1, 2},
        {"[1]", "```json\n[1]\n```\n", true, true, 1, 1},
        {"[1]", "```\n[1]\n```", true, true, 1, 1},
        {"[1]", "Here: ```json\n[1]\n```", true, false, 0, 1},
        {"[1]", "3", true, true, 0, 1},
        {"{not json}", "{\"a\":1}", false, false, 0, 0},
        /* a fence */
        {"So:\n```json\n{\"a\": 1}\n```\nDone.", "Hm\n```json\n{\"a\": 1.0}\n``` ok", true, true, 1,
         1},
        {"So:\n```json\n{\"a\": 1}\n```\nDone.", "{\"a\": 1}", true, false, 0, 1},
        {"So:\n```json\n{\"a\": 1}\n", "{\"a\": 1}", false, false, 0, 0},
        /* nowhere */
        {"plain", "{\"a\":1}", false, false, 0, 0},
        {"3", "3", false, false, 0, 0},
        {"", "", false, false, 0, 0},
        {"r\n### RESPONSE_JSON:\n{\"a\": ", "{", false, false, 0, 0},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hn_score s = score(cases[i].expected, cases[i].output);
        if (s.has_json != cases[i].has || s.json_valid != cases[i].valid ||
            s.json_fields_right != cases[i].right || s.json_fields != cases[i].fields)
            fail_msg("'%s' for '%s': has %d valid %d, %d of %d", cases[i].output, cases[i].expected,
                     s.has_json, s.json_valid, (int)s.json_fields_right, (int)s.json_fields);
    }
}

static void fields_are_leaves_by_path(void **state)
{
    (void)state;
    static const struct {
        const char *expected, *output;
        int right, fields;
    } cases[] = {
        {"{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[true,null]}}",
         "{\"b\":{\"d\":[true,null],\"c\":\"x\"},\"a\":1}", 4, 4},
        {"{\"a\":1,\"b\":{\"c\":\"x\",\"d\":[true,null]}}",
         "{\"b\":{\"d\":[null,true],\"c\":\"X\"},\"a\":\"1\"}", 0, 4},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2,\"c\":3}", 2, 2},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}", 1, 1},
        {"[1,2,3]", "[1,2]", 2, 3},
        {"[1,2,3]", "[3,2,1]", 1, 3},
        {"[1.0,100,1e2,-0]", "[1,1e2,100.0,0]", 4, 4},
        {"[12345678901234567890]", "[12345678901234567891]", 0, 1},
        {"[12345678901234567890]", "[12345678901234567890]", 1, 1},
        {"[NaN,Infinity]", "[NaN,-Infinity]", 1, 2},
        {"[true,false,null]", "[1,0,0]", 0, 3},
        {"[\"\\u00e9\"]", "[\"\xc3\xa9\"]", 1, 1},
        {"[\"a \"]", "[\"a\"]", 0, 1},
        {"[{},[],{\"a\":{}}]", "[{},[],{\"a\":[]}]", 2, 3},
        {"[{},[]]", "[{\"x\":1},[0]]", 0, 2},
        {"{\"a\":{\"b\":1}}", "{\"a\":1}", 0, 1},
        {"{\"a\":1}", "{\"a\":{\"b\":1}}", 0, 1},
        {"{\"a\":[1]}", "{\"a\":{\"0\":1}}", 0, 1},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hn_score s = score(cases[i].expected, cases[i].output);
        if (s.json_fields_right != cases[i].right || s.json_fields != cases[i].fields)
            fail_msg("'%s' for '%s': %d of %d", cases[i].output, cases[i].expected,
                     (int)s.json_fields_right, (int)s.json_fields);
    }
}

/* Expected values: rouge_score 0.1.2, RougeScorer(["rougeL"], use_stemmer=False). */
static void rouge_is_that_of_rouge_score(void **state)
{
    (void)state;
    static const struct {
        const char *expected, *output;
        double rouge;
    } cases[] = {
        {"the cat sat on the mat", "the cat is on the mat", 0.8333333333333334},
        {"a b c d", "d c b a", 0.25},
        {"a b c d", "a c d", 0.8571428571428571},
        {"Hello, World!", "hello world", 1.0},
        {"x", "y", 0.0},
        {"", "a", 0.0},
        {"a", "", 0.0},
        {"", "", 0.0},
        {"São Paulo is big", "Sao Paulo is big", 0.6666666666666665},
        {"東京", "東京", 0.0},
        {"Kraków 42", "krak w 42", 1.0},
        {"Kİx", "ki x", 1.0},
        {"İstanbul", "i stanbul", 1.0},
        {"one_two-three", "one two three", 1.0},
        {"Take the tram: there is snow, so stay dry for the 3.8 km.\n### RESPONSE_JSON:\n{\n  "
         "\"mode\": \"tram\"\n}",
         "Take the tram: there is sleet, so stay dry for the 4.8 km.\n### RESPONSE_JSON:\n{\n  "
         "\"mode\": \"bus\"\n}",
         0.8333333333333334},
        {"a a a b", "a b a a", 0.75},
        {"A1b2 C3", "a1B2 c3 d4 e5", 0.6666666666666666},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        double got = score(cases[i].expected, cases[i].output).rouge_l;
        if (!(fabs(got - cases[i].rouge) < 1e-12))
            fail_msg("'%s' for '%s': %.17g, expected %.17g", cases[i].output, cases[i].expected,
                     got, cases[i].rouge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outer_white_space_is_no_difference),
        cmocka_unit_test(json_is_found_where_the_expected_answer_has_it),
        cmocka_unit_test(fields_are_leaves_by_path),
        cmocka_unit_test(rouge_is_that_of_rouge_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
