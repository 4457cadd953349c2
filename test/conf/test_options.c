/* The option table itself: every row is complete, no name is ambiguous, every default is in range
 * and survives the way to its place and back; and docs/options.md says what the table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/help.h"
#include "conf/value.h"

static void rows_are_complete(void **state)
{
    (void)state;
    const struct hn_option *o;
    size_t i;
    for (i = 0; (o = hn_option_at(i)); i++) {
        if (!o->name || !o->help || !o->group || !o->commands)
            fail_msg("row %zu (%s) lacks a name, help, group or command", i,
                     o->name ? o->name : "?");
        if (o->type == HN_OPTION_ENUM && !o->choices)
            fail_msg("%s has no choices", o->name);
        if (o->type != HN_OPTION_BOOL && !o->value)
            fail_msg("%s does not say what its value is", o->name);
        if (o->type == HN_OPTION_LIST && !o->offset_n)
            fail_msg("%s has no place for its count", o->name);
        if (strchr(o->name, '_') || o->help[strlen(o->help) - 1] == '.')
            fail_msg("%s: dashes in names, no full stop after help", o->name);
    }
    assert_in_range(i, 60, HN_MAX_OPTIONS - 1);
}

static void each_name_finds_its_row(void **state)
{
    (void)state;
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        for (int c = 0; c < HN_N_COMMANDS; c++) {
            if (!(o->commands & HN_BIT(c)))
                continue;
            size_t index;
            enum hn_command_id id = (enum hn_command_id)c;
            if (!hn_option_find(id, o->name, strlen(o->name), &index) || index != i)
                fail_msg("%s of hone %s is another row's name too", o->name, hn_commands[c].name);
            for (const char *p = o->aliases; p && *p;) {
                size_t n = strcspn(p, " ");
                if (!hn_option_find(id, p, n, &index) || index != i)
                    fail_msg("%.*s of hone %s is another row's name too", (int)n, p,
                             hn_commands[c].name);
                p += n + (p[n] == ' ');
            }
            if (o->letter && (!hn_option_find_letter(id, o->letter, &index) || index != i))
                fail_msg("-%c of hone %s is taken twice", o->letter, hn_commands[c].name);
        }
    }
}

static void check_default(const struct hn_option *o, const char *text)
{
    struct hn_settings set = {0};
    struct hn_arena arena;
    struct hn_buf back = {0};
    struct hone_err err = {0};
    hn_arena_init(&arena, 0);
    if (hn_value_set(o, &set, text, strlen(text), false, o->name, &arena, &err))
        fail_msg("the default of %s: %s", o->name, err.message);
    hn_value_get(o, &set, &back);
    if (o->type != HN_OPTION_FIXED)
        assert_string_equal(hn_buf_str(&back), text);
    hn_buf_release(&back);
    hn_arena_release(&arena);
}

static void defaults_survive_the_round_trip(void **state)
{
    (void)state;
    const struct hn_option *o;
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        if (o->def && o->type != HN_OPTION_FIXED)
            check_default(o, o->def);
        if (o->transformers)
            check_default(o, o->transformers);
        if (o->mlx)
            check_default(o, o->mlx);
    }
}

static void numbers_are_read_strictly(void **state)
{
    (void)state;
    int64_t i;
    double d;
    uint64_t u;
    assert_true(hn_text_int("-9223372036854775808", 20, &i) && i == INT64_MIN);
    assert_false(hn_text_int("9223372036854775808", 19, &i));
    assert_false(hn_text_int("", 0, &i));
    assert_false(hn_text_int("-", 1, &i));
    assert_false(hn_text_int("1 ", 2, &i));
    assert_true(hn_text_float("1e-5", 4, &d) && d == 1e-5);
    assert_true(hn_text_float(".5", 2, &d) && d == 0.5);
    assert_true(hn_text_float("5.", 2, &d) && d == 5);
    static const char *const bad[] = {"",     ".",     "1e",    "1e+", "nan", "inf",
                                      "0x10", "1.2.3", "1e999", "1,5", "--1"};
    for (size_t k = 0; k < HN_COUNT(bad); k++) {
        if (hn_text_float(bad[k], strlen(bad[k]), &d))
            fail_msg("\"%s\" was read as a number", bad[k]);
    }
    assert_true(hn_text_size("6GB", 3, &u) && u == 6000000000u);
    assert_true(hn_text_size("1.5 GiB", 7, &u) && u == 1610612736u);
    assert_true(hn_text_size("512m", 4, &u) && u == 512000000u);
    assert_true(hn_text_size("4096", 4, &u) && u == 4096);
    assert_false(hn_text_size("6XB", 3, &u));
    assert_false(hn_text_size("-1GB", 4, &u));
    assert_false(hn_text_size("GB", 2, &u));
}

/* To mend it: build/hone help --markdown > docs/options.md */
static void documentation_is_up_to_date(void **state)
{
    (void)state;
    struct hn_buf want = {0}, have = {0};
    struct hone_err err = {0};
    hn_help_markdown(&want);
    if (hn_file_read(HN_TEST_DIR "/../docs/options.md", 1 << 20, &have, &err))
        fail_msg("%s", err.message);
    if (strcmp(hn_buf_str(&want), hn_buf_str(&have)) != 0)
        fail_msg("docs/options.md is out of date: hone help --markdown > docs/options.md");
    hn_buf_release(&want);
    hn_buf_release(&have);
}

/* A row under a heading that help does not know would never be shown. */
static void help_shows_every_row(void **state)
{
    (void)state;
    for (int c = 0; c < HN_N_COMMANDS; c++) {
        struct hn_buf out = {0};
        const struct hn_option *o;
        hn_help_command(&out, (enum hn_command_id)c, 80);
        for (size_t i = 0; (o = hn_option_at(i)); i++) {
            bool listed = strstr(hn_buf_str(&out), o->name) != NULL;
            if (o->commands & HN_BIT(c) && strcmp(o->group, "Accepted") != 0 && !listed)
                fail_msg("hone %s --help does not show %s", hn_commands[c].name, o->name);
        }
        hn_buf_release(&out);
    }
}

static void help_fits_the_terminal(void **state)
{
    (void)state;
    for (int width = 60; width <= 100; width += 20) {
        for (int c = 0; c < HN_N_COMMANDS; c++) {
            struct hn_buf out = {0};
            hn_help_command(&out, (enum hn_command_id)c, width);
            for (const char *p = hn_buf_str(&out); *p;) {
                size_t n = strcspn(p, "\n");
                if ((int)hn_columns(p, n) > width && !hn_starts_with(p, "  hone ") &&
                    !hn_starts_with(p, "  echo "))
                    fail_msg("%d columns: %.*s", width, (int)n, p);
                p += n + (p[n] == '\n');
            }
            hn_buf_release(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(each_name_finds_its_row),
        cmocka_unit_test(defaults_survive_the_round_trip),
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(documentation_is_up_to_date),
        cmocka_unit_test(help_shows_every_row),
        cmocka_unit_test(help_fits_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
