/* Data files in every layout: the same rows come out of each, are found again by their offset, and
 * a malformed one is named by its line. */
#include "data/source.h"
#include "data_case.h"

/* The rows of the file as hone prepare would write them, a line each, or the failure. */
static void rows_of(const char *path, struct hn_buf *out)
{
    struct hn_notes notes = {0};
    struct hn_source s;
    struct hone_err err = {0};
    uint64_t offsets[64], lines[64];
    size_t n = 0;
    struct hn_buf again = {0};
    hn_buf_clear(out);
    int rc = hn_source_open(&s, &path, 1, HONE_RECORD_AUTO, &notes, &err);
    while (!rc && (rc = hn_source_next(&s, &err)) > 0) {
        hn_record_write(&s.record, out);
        hn_buf_printf(out, " @%llu\n", (unsigned long long)s.line);
        offsets[n] = s.offset;
        lines[n++] = s.line;
        assert_true(n < 64);
        rc = 0;
    }
    for (size_t i = 0; i < n && !rc; i++) { /* backwards, each the same */
        size_t k = n - 1 - i;
        if (hn_source_at(&s, 0, offsets[k], lines[k], &err))
            fail_msg("%s", err.message);
        hn_record_write(&s.record, &again);
        hn_buf_printf(&again, " @%llu\n", (unsigned long long)lines[k]);
        size_t len = again.len;
        if (!strstr(hn_buf_str(out), hn_buf_str(&again)))
            fail_msg("read again: %.*s", (int)len, hn_buf_str(&again));
        hn_buf_clear(&again);
    }
    if (rc < 0)
        hn_buf_printf(out, "! %s", err.message);
    else
        hn_source_close(&s);
    if (rc < 0 && s.files)
        hn_source_close(&s);
    hn_notes_release(&notes);
    hn_buf_release(&again);
}

struct layout_case {
    const char *name, *text, *want;
};

static void check_cases(const struct layout_case *cases, size_t n)
{
    struct hn_buf got = {0};
    for (size_t i = 0; i < n; i++) {
        write_text(cases[i].name, cases[i].text);
        rows_of(cases[i].name, &got);
        if (strcmp(hn_buf_str(&got), cases[i].want) != 0)
            fail_msg("%s:\n%s\ngave\n%s\nexpected\n%s", cases[i].name, cases[i].text,
                     hn_buf_str(&got), cases[i].want);
    }
    hn_buf_release(&got);
}

#define A "{\"text\": \"a\"}"
#define B "{\"text\": \"b\"}"

static void layouts(void **state)
{
    (void)state;
    static const struct layout_case cases[] = {
        {"l.jsonl", A "\n" B, A " @1\n" B " @2\n"},
        {"l.jsonl", "\xef\xbb\xbf" A "\r\n\r\n" B "\r\n", A " @1\n" B " @3\n"},
        {"l.json", A "\n" B "\n", A " @1\n" B " @2\n"},
        {"l", "[" A "," B "]", A " @1\n" B " @1\n"},
        {"l.json", "\xef\xbb\xbf [\n  {\n \"text\":\n\"a\"}\n , \n\n" B "\n]\n",
         A " @2\n" B " @7\n"},
        {"l.jsonl", "[" A ",\n" B "]\n", A " @1\n" B " @2\n"},
        {"l.json", "{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n}\n", A " @1\n" B " @4\n"},
        {"l.json", "[\n{\"text\": \"]}\\\"[{\"}\n]", "{\"text\": \"]}\\\"[{\"} @2\n"},
        {"l.json", "[]", ""},
        {"l.csv", "text\na\nb\n", A " @2\n" B " @3\n"},
        {"l.csv", "\xef\xbb\xbf\"text\"\r\n\"a\"\r\n\r\nb", A " @2\n" B " @4\n"},
        {"l.csv", ",text,other\n0,a,x\n1,b,\n", A " @2\n" B " @3\n"},
        {"l.tsv", "id\ttext\n1\ta\n2\t\"b\"\n", A " @2\n" B " @3\n"},
        {"l.csv", "id;text\n1;a,a\n", "{\"text\": \"a,a\"} @2\n"},
        {"l.csv", "text\n\"a \"\"b\"\",\nc\"\nb\n",
         "{\"text\": \"a \\\"b\\\",\\nc\"} @2\n" B " @4\n"},
        {"l.csv", "text\na \"b\" c\n", "{\"text\": \"a \\\"b\\\" c\"} @2\n"},
        {"l.csv", "prompt,completion\nq,42\n", "{\"prompt\": \"q\", \"completion\": \"42\"} @2\n"},
        {"l.csv", "task,instruction,context,response,response_json\n,i,,r,\"{\"\"a\"\": 1}\"\n",
         "{\"text\": \"### TASK: UNKNOWN\\n### INSTRUCTION:\\ni\\n### RESPONSE:\\nr\\n"
         "### RESPONSE_JSON:\\n{\\n  \\\"a\\\": 1\\n}\"} @2\n"},
        {"l.csv", "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"q\"\"}]\"\n",
         "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}]} @2\n"},
        {"l.csv", "text\n", ""},
        {"l.csv", "", ""},
    };
    check_cases(cases, HN_COUNT(cases));
}

static void malformed(void **state)
{
    (void)state;
    static const struct layout_case cases[] = {
        {"l.json", "[" A,
         A " @1\n! l.json, line 1: the file ends within the array, expected its "
           "closing bracket"},
        {"l.json", "[" A ",\n{\"text\": \"b",
         A " @1\n! l.json, line 2: the file ends within this "
           "row, expected its closing bracket"},
        {"l.json", "[" A "\n" B "]",
         A " @1\n! l.json, line 2: found '{' behind a row, expected a "
           "comma or a bracket"},
        {"l.json", "[" A ",]", A " @1\n! l.json, line 1: found ']', expected a row"},
        {"l.json", "[" A "]\nx",
         A " @1\n! l.json, line 2: found more behind the array, expected "
           "the file's end"},
        {"l.json", "[\n{\"text\":\n3}]",
         "! l.json, line 2: \"text\": found an integer, expected a "
         "string"},
        {"l.json", "[\n{\"text\":\n\"a\" 3}]",
         "! l.json, line 2: line 2 of the row, column 5: "
         "found '3', expected ',' or '}'"},
        {"l.jsonl", "{\"text\":\n\"a\"}\n",
         "! l.jsonl, line 1: column 9: found the end, expected "
         "a JSON value"},
        {"l.csv", "a,text\n1,a\n1\n",
         A " @2\n! l.csv, line 3: found 1 cell, expected 2 as in the "
           "header"},
        {"l.csv", "text\n\"a", "! l.csv, line 2: a quote is never closed, expected another one"},
        {"l.csv", "text\n\"a\"b\n",
         "! l.csv, line 2: found 'b' behind a closing quote, expected "
         "the end of the cell (a quote within quotes is written twice)"},
        {"l.csv", "text,text\na,b\n",
         "! l.csv, line 1: the column \"text\" is twice in the header"},
        {"l.csv", "text\na\xff\n", "! l.csv, line 2: the column \"text\" is no valid UTF-8"},
        {"l.csv", "messages\n[{'role': 'user'}]\n",
         "! l.csv, line 2: \"messages\" is a string "
         "that holds no JSON: line 1, column 3: found "
         "''', expected '\"' and a key"},
        {"l.csv", "foo,bar\n1,2\n", NULL},
        {"l.parquet", "PAR1....",
         "! l.parquet, line 1: the file is a Parquet file, expected text: "
         "write it as JSON Lines or CSV"},
        {"l.jsonl.gz", "\x1f\x8b\x08",
         "! l.jsonl.gz, line 1: the file is compressed (gzip), "
         "expected text: write it as JSON Lines or CSV"},
        {"l.csv", "\xff\xfet",
         "! l.csv, line 1: found a UTF-16 byte order mark, expected UTF-8 "
         "text"},
    };
    struct hn_buf got = {0};
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        if (cases[i].want) {
            check_cases(&cases[i], 1);
            continue;
        }
        write_text(cases[i].name, cases[i].text);
        rows_of(cases[i].name, &got);
        assert_true(hn_starts_with(hn_buf_str(&got),
                                   "! l.csv, line 2: found the keys \"foo\", \"bar\", expected"));
    }
    hn_buf_release(&got);
}

/* Values and cells that are longer than what is read at once, and split at every place. */
static void across_chunks(void **state)
{
    (void)state;
    struct hn_buf json = {0}, csv = {0}, a = {0}, b = {0};
    hn_buf_add_char(&json, '[');
    hn_buf_add_str(&csv, "text\n");
    for (int i = 0; i < 40; i++) {
        hn_buf_printf(&json, "%s{\"text\": \"%d ", i ? "," : "", i);
        hn_buf_printf(&csv, "\"%d ", i);
        for (int k = 0; k < 9000 + i; k++) {
            hn_buf_add_str(&json, "\\\"]");
            hn_buf_add_str(&csv, "\"\"]");
        }
        hn_buf_add_str(&json, "\"}");
        hn_buf_add_str(&csv, "\"\n");
    }
    hn_buf_add_char(&json, ']');
    write_bytes("l.json", json.data, json.len);
    write_bytes("l.csv", csv.data, csv.len);
    rows_of("l.json", &a);
    rows_of("l.csv", &b);
    size_t lines = 0;
    for (const char *p = hn_buf_str(&a); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 40);
    for (char *p = a.data; (p = strstr(p, " @")); p++) /* the lines differ, the rows do not */
        memset(p, '.', strcspn(p, "\n"));
    for (char *p = b.data; (p = strstr(p, " @")); p++)
        memset(p, '.', strcspn(p, "\n"));
    for (const char *p = hn_buf_str(&a), *q = hn_buf_str(&b); *p; p++, q++) {
        p += strspn(p, ".");
        q += strspn(q, ".");
        assert_true(*p == *q);
        if (!*p)
            break;
    }
    hn_buf_release(&json);
    hn_buf_release(&csv);
    hn_buf_release(&a);
    hn_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layouts, data_setup, data_teardown),
        cmocka_unit_test_setup_teardown(malformed, data_setup, data_teardown),
        cmocka_unit_test_setup_teardown(across_chunks, data_setup, data_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
