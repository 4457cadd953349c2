/* jinja.h: the language against jinja2's own output (test/jinja/templates/language.json, written by
 * tools/make_chat_goldens.py), where its messages point, and that nothing hostile hangs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "jinja/jinja.h"

/* Render with the members of `variables` (an object, or NULL). */
static int render(const char *source, size_t n, const struct hn_json *variables, struct hn_buf *out,
                  struct hone_err *err)
{
    struct hn_jinja *t;
    struct hn_jinja_var vars[40];
    size_t n_vars = 0;
    for (size_t i = 0; variables && i < variables->n; i++)
        vars[n_vars++] = (struct hn_jinja_var){.name = variables->members[i].key.p,
                                               .value = &variables->members[i].value};
    struct hn_jinja_env env = {.vars = vars, .n_vars = n_vars, .now = 1732368330};
    int rc = hn_jinja_open(&t, source, n, err);
    if (rc)
        return rc;
    rc = hn_jinja_render(t, &env, out, err);
    hn_jinja_close(&t);
    return rc;
}

static void speaks_as_jinja2(void **state)
{
    struct hn_arena arena;
    struct hn_buf file = {0}, out = {0};
    struct hn_json *all = NULL;
    struct hone_err err = {0};
    (void)state;
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_file_read("jinja/templates/language.json", 8 << 20, &file, &err), 0);
    assert_int_equal(hn_json_parse(&arena, file.data, file.len, HN_JSON_PYTHON, &all, &err), 0);
    const struct hn_json *cases = hn_json_get(all, "cases"),
                         *variables = hn_json_get(all, "variables");
    assert_non_null(cases);
    assert_true(cases->n > 500);
    int wrong = 0;
    for (size_t i = 0; i < cases->n; i++) {
        struct hn_str source = {0}, want = {0};
        assert_true(hn_json_str(hn_json_at(&cases->items[i], 0), &source));
        bool text = hn_json_str(hn_json_at(&cases->items[i], 1), &want);
        hn_buf_clear(&out);
        err.message[0] = 0;
        int rc = render(source.p, source.n, variables, &out, &err);
        bool same =
            text ? !rc && hn_str_eq(want, (struct hn_str){hn_buf_str(&out), out.len}) : rc != 0;
        if (same && (!rc || strncmp(err.message, "line ", 5) == 0))
            continue;
        wrong++;
        print_error("%s\n  gives    %s\n  expected %s\n", source.p,
                    rc ? err.message : hn_buf_str(&out), text ? want.p : "an error with a line");
    }
    assert_int_equal(wrong, 0);
    hn_buf_release(&out);
    hn_buf_release(&file);
    hn_arena_release(&arena);
}

static void check_error(const char *source, const char *want)
{
    struct hn_buf out = {0};
    struct hone_err err = {0};
    hn_buf_add_str(&out, "before");
    int rc = render(source, strlen(source), NULL, &out, &err);
    if (rc != HONE_FAILED || strcmp(err.message, want) != 0)
        fail_msg("%.200s\n  gives %d %s\n  expected %s", source, rc, err.message, want);
    assert_string_equal(hn_buf_str(&out), "before");
    hn_buf_release(&out);
}

static void says_where_it_failed(void **state)
{
    (void)state;
    check_error("a\n{{ x.y }}", "line 2: 'x' is undefined");
    check_error("{% set d = {} %}\n\n{{ d.a.b }}", "line 3: a dict has no attribute 'a'");
    check_error("{{ 1 +\n 'a' }}", "line 1: '+' does not work between a int and a str");
    check_error("{% if a %}\n{% endfor %}", "line 2: 'endfor' is not a tag that can stand here");
    check_error("{% if a %}\n", "line 1: the template ends where 'elif' is expected");
    check_error("{{ a\n| nope }}", "line 2: there is no filter named 'nope'");
    check_error("x{% include 'a' %}",
                "line 1: the tag 'include' is not supported in chat templates");
    check_error("{{ a b }}", "line 1: found 'b', expected '}}'");
    check_error("{# a", "line 1: the comment that starts here has no end (\"#}\")");
    check_error("{{ 'a }}", "line 1: the string that starts here has no end");
    check_error("{{ (1] }}", "line 1: found ']', expected ')'");
    check_error("\n{{ raise_exception('No ' ~ 1) }}",
                "line 2: the template refuses the conversation: No 1");
    check_error("{% macro f(a) %}{% endmacro %}{{ f(b=1) }}",
                "line 1: the macro 'f' takes no argument 'b'");
    check_error("{{ 'a'.replace('b') }}", "line 1: the method replace needs the argument 'new'");
    check_error("{{ range(200000) }}", "line 1: a range has more than 100000 numbers");
    check_error("\xff", "the chat template is not valid UTF-8 at byte 0");
}

static void repeat(struct hn_buf *b, const char *s, int n)
{
    for (int i = 0; i < n; i++)
        hn_buf_add_str(b, s);
}

static void check_bounded(const char *head, const char *part, int n, const char *tail)
{
    struct hn_buf source = {0}, out = {0};
    struct hone_err err = {0};
    hn_buf_add_str(&source, head);
    repeat(&source, part, n);
    hn_buf_add_str(&source, tail);
    int rc = render(source.data, source.len, NULL, &out, &err);
    if (rc != HONE_FAILED || !err.message[0])
        fail_msg("%.80s… x%d gives %d %s", head, n, rc, err.message);
    hn_buf_release(&source);
    hn_buf_release(&out);
}

static void is_bounded(void **state)
{
    (void)state;
    check_bounded("", "{% for i in range(100000) %}", 5,
                  "x{% endfor %}{% endfor %}{% endfor %}"
                  "{% endfor %}{% endfor %}");
    check_bounded("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "", 0, "");
    check_bounded("{{ ", "(", 5000, "1 }}");
    check_bounded("{{ ", "[", 5000, "");
    check_bounded("{{ ", "-", 5000, "1 }}");
    check_bounded("{{ ", "not ", 5000, "1 }}");
    check_bounded("{{ 1", " + 1", 5000, " }}");
    check_bounded("{{ 1", " and 1", 5000, " }}");
    check_bounded("{{ a", ".a", 5000, " }}");
    check_bounded("{{ a", "|e", 5000, " }}");
    check_bounded("{{ a", "()", 5000, " }}");
    check_bounded("{{ 1", " if 1 else 1", 5000, " }}");
    check_bounded("", "{% if 1 %}", 5000, "");
    check_bounded("{{ 'a' * 1000000000000 }}", "", 0, "");
    check_bounded("{{ [0] * 100000000 }}", "", 0, "");
    check_bounded("{{ 9 ** (9 ** 9) }}", "", 0, "");
    check_bounded("{{ 'x' | center(1000000000) }}", "", 0, "");
    check_bounded("{{ '%1000000000d' % 1 }}", "", 0, "");
    check_bounded("{{ '{:1000000000}'.format(1) }}", "", 0, "");
    check_bounded("{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
                  "{% endfor %}",
                  "", 0, "");
    check_bounded("{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}"
                  "{% endfor %}{{ n.x }}",
                  "", 0, "");
    check_bounded("{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}"
                  "{% endfor %}{{ n.x | tojson }}",
                  "", 0, "");
    check_bounded("{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
                  "{% endfor %}{{ n.x | tojson }}",
                  "", 0, "");
    check_bounded("{% set n = namespace(x=()) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}"
                  "{% endfor %}{{ {n.x: 1} }}",
                  "", 0, "");
    check_bounded("{% set n = namespace() %}{% set n.n = n %}{{ n }}", "", 0, "");
    check_bounded("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "", 0, "");
    check_bounded("", "a", (1 << 20) + 1, "");
}

static void renders_again(void **state)
{
    static const char source[] =
        "{% set ns = namespace(n=0) %}{% for i in x %}{% set ns.n = ns.n + i %}"
        "{% endfor %}{{ ns.n }}{{ c is defined }}";
    struct hn_jinja *t;
    struct hone_err err = {0};
    struct hn_arena arena;
    struct hn_json *x;
    struct hn_buf out = {0};
    (void)state;
    hn_arena_init(&arena, 0);
    assert_int_equal(hn_json_parse(&arena, "[1, 2, 3]", 9, 0, &x, &err), 0);
    assert_int_equal(hn_jinja_open(&t, source, strlen(source), &err), 0);
    for (int i = 0; i < 3; i++) {
        struct hn_jinja_var var = {.name = "x", .value = x};
        struct hn_jinja_env env = {.vars = &var, .n_vars = 1};
        assert_int_equal(hn_jinja_render(t, &env, &out, &err), 0);
    }
    assert_string_equal(hn_buf_str(&out), "6False6False6False");
    hn_buf_release(&out);
    hn_jinja_close(&t);
    assert_null(t);
    hn_jinja_close(&t);
    hn_arena_release(&arena);
}

static void marks_generation(void **state)
{
    static const char source[] =
        "a{% for i in [1, 2] %}<{% generation %}\xc3\xa9{{ i }}{% endgeneration %}>"
        "{% endfor %}";
    struct hn_jinja *t;
    struct hone_err err = {0};
    struct hn_buf out = {0};
    struct hn_jinja_marks marks = {0};
    struct hn_jinja_env env = {.marks = &marks};
    (void)state;
    assert_int_equal(hn_jinja_open(&t, source, strlen(source), &err), 0);
    assert_true(hn_jinja_marks_generation(t));
    hn_buf_add_str(&out, "xyz");
    assert_int_equal(hn_jinja_render(t, &env, &out, &err), 0);
    assert_string_equal(hn_buf_str(&out), "xyza<\xc3\xa9"
                                          "1><\xc3\xa9"
                                          "2>");
    assert_int_equal(marks.n, 2);
    assert_int_equal(marks.items[0].start, 2);
    assert_int_equal(marks.items[0].end, 5);
    assert_int_equal(marks.items[1].start, 7);
    assert_int_equal(marks.items[1].end, 10);
    assert_false(marks.nested);
    hn_free(marks.items);
    hn_buf_release(&out);
    hn_jinja_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaks_as_jinja2), cmocka_unit_test(says_where_it_failed),
        cmocka_unit_test(is_bounded),       cmocka_unit_test(renders_again),
        cmocka_unit_test(marks_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
