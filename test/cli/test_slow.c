/* slow.h: what the system tells of a window of time becomes the sentence that names its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cli/slow.h"

static void check(struct hn_slow_window w, const char *want)
{
    struct hn_buf out = {0};
    hn_slow_judge(&w, &out);
    if (want ? !strstr(hn_buf_str(&out), want) : out.len != 0)
        fail_msg("expected \"%s\", found \"%s\"", want ? want : "", hn_buf_str(&out));
    hn_buf_release(&out);
}

static void each_bound_has_its_sentence(void **state)
{
    (void)state;
    struct hn_slow_window fast = {.seconds = 10,
                                  .processor_seconds = 39,
                                  .threads = 4,
                                  .processors = 4,
                                  .load = 4.2},
                          w = fast;
    check(fast, NULL);
    w.processor_seconds = 12, w.page_reads = 30000;
    check(w, "3000 pages a second");
    check(w, "30 % of the time");
    w = fast, w.page_reads = 30000; /* read, but not waited for */
    check(w, NULL);
    w = fast, w.threads = 16;
    check(w, "--threads 16 on 4 processors");
    w = fast, w.processor_seconds = 18, w.load = 11;
    check(w, "got 45 % of the time");
    w.load = 1.5; /* slow by itself (a disk, a small batch): others are not to blame */
    check(w, NULL);
    w = fast, w.plain_level = true;
    check(w, "--cpu-level c");
    w.seconds = 1.9, w.processor_seconds = 0, w.page_reads = 100000;
    check(w, NULL);
}

static void it_is_said_once(void **state)
{
    (void)state;
    struct hn_slow s = {0};
    struct hn_buf out = {0};
    hn_slow_look(&s, 100000, NULL, &out); /* the first look begins the window */
    assert_int_equal(out.len, 0);
    s.time -= 5;
    hn_slow_look(&s, 100000, NULL, &out);
    assert_non_null(strstr(hn_buf_str(&out), "--threads 100000"));
    hn_buf_clear(&out);
    s.time -= 5;
    hn_slow_look(&s, 100000, NULL, &out);
    assert_int_equal(out.len, 0);
    hn_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_bound_has_its_sentence),
                                       cmocka_unit_test(it_is_said_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
