/* ui.h: numbers as people write them, columns of UTF-8, tables; and silence where there is no
 * terminal. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/ui.h"

static void numbers_are_written_for_people(void **state)
{
    (void)state;
    char t[HN_UI_TEXT];
    assert_string_equal(hn_ui_bytes(999, t), "999 B");
    assert_string_equal(hn_ui_bytes(96400000, t), "96.4 MB");
    assert_string_equal(hn_ui_bytes(25280000000u, t), "25.28 GB");
    assert_string_equal(hn_ui_bytes(UINT64_MAX, t), "18446744073.71 GB");
    assert_string_equal(hn_ui_count(0, t), "0");
    assert_string_equal(hn_ui_count(999, t), "999");
    assert_string_equal(hn_ui_count(134515008, t), "134,515,008");
    assert_string_equal(hn_ui_count(UINT64_MAX, t), "18,446,744,073,709,551,615");
    assert_string_equal(hn_ui_short(134515008, t), "134.5M");
    assert_string_equal(hn_ui_short(7240000000u, t), "7.24B");
    assert_string_equal(hn_ui_time(0.4, t), "0:00");
    assert_string_equal(hn_ui_time(125, t), "2:05");
    assert_string_equal(hn_ui_time(3725, t), "1:02:05");
    assert_string_equal(hn_ui_time(-1, t), "?");
    assert_string_equal(hn_ui_time(1e300, t), "?");
}

static void check_cut(const char *s, size_t width, const char *want)
{
    struct hn_buf out = {0};
    hn_ui_cut(&out, s, width);
    assert_string_equal(hn_buf_str(&out), want);
    hn_buf_release(&out);
}

static void weights_are_named_plainly(void **state)
{
    (void)state;
    char t[HN_UI_WEIGHTS];
    assert_string_equal(hn_ui_weights("none (bfloat16)", t), "bfloat16");
    assert_string_equal(hn_ui_weights("none (bfloat16 (90%), float32 (10%))", t),
                        "bfloat16 (90%), float32 (10%)");
    assert_string_equal(hn_ui_weights("Q4_1", t), "Q4_1");
}

static void text_is_cut_at_columns(void **state)
{
    (void)state;
    assert_int_equal(hn_columns("Malmö", 6), 5);
    assert_int_equal(hn_columns("日本", 6), 4);
    check_cut("Malmö", 5, "Malmö");
    check_cut("Malmö!", 5, "Malm…");
    check_cut("日本語", 5, "日本…");
    check_cut("日本語", 4, "日…");
    check_cut("a\tb\nc\33[31m", 20, "a b c [31m");
    check_cut("bad\xff", 10, "bad�");
}

static void check_wrap(const char *s, size_t indent, size_t width, const char *want)
{
    struct hn_buf out = {0};
    hn_ui_wrap(&out, s, indent, width);
    assert_string_equal(hn_buf_str(&out), want);
    hn_buf_release(&out);
}

static void text_is_broken_between_words(void **state)
{
    (void)state;
    check_wrap("", 2, 10, "");
    check_wrap("one two three", 0, 7, "one two\nthree\n");
    check_wrap(" one\n\ttwo  three ", 2, 9, "  one two\n  three\n");
    check_wrap("日本 語", 0, 6, "日本\n語\n");
    check_wrap("日本 語", 0, 7, "日本 語\n");
    check_wrap("a longer-than-that b", 1, 6, " a\n longer-than-that\n b\n");
    check_wrap("\33[31m red", 0, 20, "[31m red\n");
}

static size_t read_back(FILE *f, char *text, size_t size)
{
    fflush(f);
    rewind(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = 0;
    return n;
}

static void tables_line_up(void **state)
{
    (void)state;
    struct hn_ui ui;
    struct hn_table t;
    char text[400];
    FILE *f = tmpfile();
    assert_non_null(f);
    hn_ui_init(&ui, f);
    hn_table_init(&t, 3, 2);
    hn_table_add(&t, "Malmö");
    hn_table_add(&t, "%d", 7);
    hn_table_add(&t, "x");
    hn_table_add(&t, "a");
    hn_table_add(&t, "1234");
    hn_table_add(&t, "longer");
    hn_table_print(&t, &ui, true);
    read_back(f, text, sizeof text);
    assert_string_equal(text, "  Malmö     7  x\n  a      1234  longer\n");
    fclose(f);
}

static void what_memory_ran_out_for_is_said(void **state)
{
    (void)state;
    struct hn_ui ui;
    struct hn_table t;
    struct hn_buf lost = {.failed = true};
    char text[400];
    FILE *f = tmpfile();
    assert_non_null(f);
    hn_ui_init(&ui, f);
    hn_table_init(&t, 1, 0);
    t.cells.failed = true;
    hn_table_add(&t, "%s", hn_ui_str(&lost));
    hn_table_print(&t, &ui, false);
    read_back(f, text, sizeof text);
    assert_string_equal(text, "  (out of memory)\n");
    assert_string_equal(hn_ui_str(&lost), "(out of memory)");
    fclose(f);
}

static void a_file_gets_neither_colour_nor_progress(void **state)
{
    (void)state;
    struct hn_ui ui;
    char text[400];
    FILE *f = tmpfile();
    assert_non_null(f);
    hn_ui_init(&ui, f);
    hn_ui_progress(&ui, 0.5, true, "half");
    hn_ui_say(&ui, HN_RED, "plain %s", "text");
    hn_ui_clear(&ui);
    read_back(f, text, sizeof text);
    assert_string_equal(text, "plain text\n");
    fclose(f);
}

/* On a terminal of 60 columns the bar makes room for a text that fits with a smaller one. */
static void the_bar_makes_room(void **state)
{
    (void)state;
    static const char *const text = "step 1200/4800 · loss 1.234 · 1:02:05 left";
    const struct winsize size = {.ws_row = 10, .ws_col = 60};
    struct hn_ui ui;
    char got[400] = "";
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    FILE *f = fopen(ptsname(fd), "w");
    assert_non_null(f);
    assert_int_equal(ioctl(fileno(f), TIOCSWINSZ, &size), 0);
    hn_ui_init(&ui, f);
    assert_true(ui.terminal && ui.width == 60);
    hn_ui_progress(&ui, 0.25, true, "%s", text);
    assert_true(read(fd, got, sizeof got - 1) > 0);
    assert_non_null(strstr(got, text));
    fclose(f);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_for_people),
        cmocka_unit_test(weights_are_named_plainly),
        cmocka_unit_test(text_is_cut_at_columns),
        cmocka_unit_test(text_is_broken_between_words),
        cmocka_unit_test(tables_line_up),
        cmocka_unit_test(what_memory_ran_out_for_is_said),
        cmocka_unit_test(the_bar_makes_room),
        cmocka_unit_test(a_file_gets_neither_colour_nor_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
