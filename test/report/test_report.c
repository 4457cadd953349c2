/* report.html and metrics.csv: what comes from others stays text, charts hold against any numbers,
 * a run's files may be cut short or missing, and every failed allocation is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_hook.h"
#include "base/file.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/report.h"
#include "report/run_record.h"
#include "report/series.h"

static char dir[64];

static int enter(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/hone-report-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int leave(void **state)
{
    static const char *const names[] = {"run.json", "metrics.jsonl", "metrics.csv", "report.html"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    return remove(dir);
}

static void put(const char *name, const char *text)
{
    char path[128];
    struct hone_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hn_file_write(path, text, strlen(text), &err))
        fail_msg("%s", err.message);
}

/* The file's text; the caller frees. */
static char *get(const char *name)
{
    char path[128];
    struct hone_err err = {0};
    struct hn_buf text = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hn_file_read(path, 1 << 26, &text, &err))
        fail_msg("%s", err.message);
    return hn_buf_take(&text);
}

static void is(struct hn_buf *b, const char *want)
{
    assert_string_equal(hn_buf_str(b), want);
    hn_buf_clear(b);
}

static void text_stays_text(void **state)
{
    (void)state;
    struct hn_buf b = {0};
    hn_html_str(&b, "<script>\"a\" & 'b'</script>\t\n");
    is(&b, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\t\n");
    hn_html_text(&b, "a\0b\x1b[31m\xff\xc3\xa9\xc2\x85", 12);
    is(&b, "a\xef\xbf\xbd"
           "b\xef\xbf\xbd[31m\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
    hn_html_shell(&b, "plain/path-1.yaml");
    is(&b, "plain/path-1.yaml");
    hn_html_shell(&b, "it's <here>");
    is(&b, "&#39;it&#39;\\&#39;&#39;s &lt;here&gt;&#39;");
    hn_html_shell(&b, "");
    is(&b, "&#39;&#39;");
    hn_buf_release(&b);
}

static void numbers_read_well(void **state)
{
    (void)state;
    struct hn_buf b = {0};
    hn_html_count(&b, 1234567), is(&b, "1,234,567");
    hn_html_count(&b, 999), is(&b, "999");
    hn_html_count(&b, NAN), is(&b, "–");
    hn_html_bytes(&b, 999.4), is(&b, "999 B");
    hn_html_bytes(&b, 93.24e6), is(&b, "93.2 MB");
    hn_html_bytes(&b, 1e99), is(&b, "–");
    hn_html_time(&b, 5.25), is(&b, "5.2 s");
    hn_html_time(&b, 3725), is(&b, "1:02:05 h");
    hn_html_number(&b, 1.23456, 4), is(&b, "1.235");
    hn_html_number(&b, 0.00012, 2), is(&b, "1.2e-4");
    hn_html_number(&b, 0, 3), is(&b, "0.00");
    hn_html_power(&b, 0.001, 2), is(&b, "1e-3");
    hn_html_short(&b, 135e6), is(&b, "135M");
    hn_buf_release(&b);
}

static void ticks_are_round(void **state)
{
    (void)state;
    double first, step;
    assert_int_equal(hn_chart_ticks(0, 1, 5, &first, &step), 6);
    assert_true(first == 0 && fabs(step - 0.2) < 1e-9);
    assert_int_equal(hn_chart_ticks(1.03, 2.87, 5, &first, &step), 3);
    assert_true(fabs(first - 1.5) < 1e-9 && fabs(step - 0.5) < 1e-9);
    for (int i = 0; i < 200; i++) { /* of any range: a few, inside it, none missing at its end */
        double low = pow(10, i % 17 - 8) * (i % 3 - 1),
               high = low + fmax(pow(10, i % 13 - 9) * (i + 1), 1e-7 * fabs(low));
        int n = hn_chart_ticks(low, high, 5, &first, &step);
        assert_true(n >= 1 && n <= 7);
        assert_true(first >= low - 1e-6 * step);
        assert_true(first + (n - 1) * step <= high + 1e-6 * step);
        assert_true(first + n * step > high - 1e-6 * step);
    }
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* Over 24 steps ticks of 2.5 would be the roundest, but a step is a whole number. */
static void steps_are_whole(void **state)
{
    (void)state;
    struct hn_buf b = {0};
    const struct hn_point points[] = {{0, 1}, {24, 3}};
    const struct hn_chart c = {
        .title = "loss",
        .wide = true,
        .n_lines = 1,
        .lines = {{.name = "loss", .style = "train", .points = points, .n = HN_COUNT(points)}}};
    hn_chart_draw(&b, &c);
    assert_int_equal(count(hn_buf_str(&b), "class=\"tick\""), 5); /* 0, 5, … 20 */
    assert_int_equal(count(hn_buf_str(&b), ">7.5</text>"), 0);
    assert_int_equal(count(hn_buf_str(&b), ">15</text>"), 1);
    hn_buf_release(&b);
}

static void charts_hold(void **state)
{
    (void)state;
    struct hn_buf b = {0};
    static struct hn_point points[100000];
    struct hn_chart c = {.title = "a \"title\"", .n_lines = 1};
    c.lines[0] = (struct hn_chart_line){.name = "loss", .style = "train", .points = points};
    hn_chart_draw(&b, &c);
    is(&b, "<p class=\"none\">No values yet.</p>\n");
    points[0] = (struct hn_point){1, NAN}, points[1] = (struct hn_point){2, INFINITY};
    c.lines[0].n = 2;
    hn_chart_draw(&b, &c);
    is(&b, "<p class=\"none\">No values yet.</p>\n");
    points[2] = (struct hn_point){3, 2.5};
    c.lines[0].n = 3;
    hn_chart_draw(&b, &c);
    assert_non_null(strstr(hn_buf_str(&b), "aria-label=\"a &quot;title&quot;: loss from 2."));
    assert_null(strstr(hn_buf_str(&b), "nan"));
    assert_null(strstr(hn_buf_str(&b), "inf"));
    static const double shapes[] = {0, 1e-300, 1e300, -1e300, 5, 1e17};
    for (size_t s = 0; s < HN_COUNT(shapes); s++) { /* a flat line, and one with a single step */
        for (size_t i = 0; i < 100; i++)
            points[i] =
                (struct hn_point){(double)i, shapes[s] * (i < 50 ? 1 : 0.5 + 0.5 * (s % 2))};
        c.lines[0].n = 100;
        hn_buf_clear(&b);
        hn_chart_draw(&b, &c);
        assert_null(strstr(hn_buf_str(&b), "nan"));
        assert_null(strstr(hn_buf_str(&b), "inf"));
        assert_true(count(hn_buf_str(&b), "class=\"grid\"") >= 2);
    }
    for (size_t i = 0; i < HN_COUNT(points); i++) /* thinned, and no spike is lost */
        points[i] = (struct hn_point){(double)i, i == 77777 ? 9 : 1 + 0.1 * sin((double)i)};
    c.lines[0].n = HN_COUNT(points);
    hn_buf_clear(&b);
    hn_chart_draw(&b, &c);
    assert_in_range(b.len, 1000, 20000);
    const char *spike = strstr(hn_buf_str(&b), "points=\"");
    double top = INFINITY, x, y;
    for (const char *p = spike + 8; sscanf(p, "%lf,%lf", &x, &y) == 2; p = strchr(p, ' ') + 1)
        top = fmin(top, y);
    assert_true(top < 30); /* near the upper edge, where 9 is */
    hn_buf_release(&b);
}

static const char run[] =
    "{\"version\":1,\"status\":\"finished\",\"message\":null,\"adapter_path\":\"a\",\"step\":4,"
    "\"total_steps\":4,\"epoch\":1.0,\"tokens\":100,\"seconds\":2.0,\"peak_memory_bytes\":5000000,"
    "\"environment\":{\"hone\":\"<v>\",\"compute\":\"exact\"},"
    "\"model\":{\"path\":\"/m/<img src=x onerror=alert(1)>\",\"parameters\":1000,"
    "\"trainable_parameters\":10},\"plan\":{\"total\":5100000,\"weights\":4000000,"
    "\"recomputed\":\"nothing\"},"
    "\"data\":{\"train_rows\":6,\"valid_rows\":0,\"max_seq_length\":10,\"train\":{\"rows\":6,"
    "\"tokens\":60,\"lengths_width\":2,\"lengths\":[0,1,2,3],\"notes\":[\"</ul><b>\"]}},"
    "\"settings\":[{\"name\":\"data\",\"value\":\"</table><i>\",\"changed\":true}],"
    "\"notes\":[\"<u>\"],\"samples\":[{\"path\":\"<p>.jsonl\",\"line\":3,\"prompt\":\"</pre><s>\","
    "\"expected\":\"&amp;\",\"base\":\"<iframe>\",\"tuned\":\" &amp;\\n\"}]}\n";

static void page_of_a_hostile_run(void **state)
{
    (void)state;
    struct hone_err err = {0};
    put("run.json", run);
    put("metrics.jsonl", "{\"step\":2,\"epoch\":0.5,\"loss\":2.5,\"learning_rate\":1e-05,"
                         "\"grad_norm\":null,\"tokens\":50,\"tokens_per_second\":99.5,"
                         "\"peak_memory_bytes\":5000000}\n"
                         "{\"step\":2,\"epoch\":0.5,\"val_loss\":2.25,\"val_seconds\":0.5}\n"
                         "{\"step\":4,\"epoch\":1.0,\"lo");
    if (hn_report_write(dir, &err))
        fail_msg("%s", err.message);
    char *page = get("report.html"), *csv = get("metrics.csv");
    static const char *const never[] = {"<img", "<iframe",  "</ul><b>", "</table><i>", "<u>",
                                        "<s>",  "<p>.json", "http:",    "https:"};
    for (size_t i = 0; i < HN_COUNT(never); i++)
        if (strstr(page, never[i]))
            fail_msg("the page has %s", never[i]);
    assert_non_null(strstr(page, "&lt;iframe&gt;"));
    assert_non_null(strstr(page, "&amp;amp;"));
    assert_non_null(strstr(page, "= expected"));
    assert_non_null(strstr(page, "Content-Security-Policy"));
    assert_int_equal(count(page, "<script"), 1);
    assert_string_equal(csv, "step,epoch,loss,val_loss,learning_rate,grad_norm,tokens,"
                             "tokens_per_second,peak_memory_bytes,val_seconds\r\n"
                             "2,0.5,2.5,,1e-05,,50,99.5,5000000,\r\n"
                             "2,0.5,,2.25,,,,,,0.5\r\n");
    free(page);
    free(csv);
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    struct hone_err err = {0};
    assert_int_equal(hn_report_write(dir, &err), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "neither run.json nor metrics.jsonl"));
    put("run.json", "{\"a\":");
    assert_int_not_equal(hn_report_write(dir, &err), 0);
    assert_non_null(strstr(err.message, "run.json: line 1"));
    put("run.json", "[]");
    assert_int_not_equal(hn_report_write(dir, &err), 0);
    assert_non_null(strstr(err.message, "found an array, expected an object"));
    put("run.json", "{\"model\":3,\"samples\":{},\"data\":{\"train\":[],\"valid\":7},\"notes\":"
                    "[1,{}],\"settings\":[[]],\"plan\":\"x\",\"epoch\":\"y\"}");
    assert_int_equal(hn_report_write(dir, &err), 0);
    put("metrics.jsonl", "{\"step\":1,\"loss\":1}\n{\"step\":\"x\"}\n{\"step\":3,\"loss\":1}\n");
    assert_int_not_equal(hn_report_write(dir, &err), 0);
    assert_non_null(strstr(err.message, "metrics.jsonl, line 2"));
}

static void samples_survive_the_file(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hn_arena arena;
    struct hn_json *j = NULL;
    struct hn_samples s = {0};
    hn_arena_init(&arena, 1 << 20);
    put("run.json", run);
    assert_int_equal(hn_report_read_run(&arena, dir, &j, &err), 0);
    assert_int_equal(hn_samples_read(&s, j, &err), 0);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.items[0].tuned, " &amp;\n");
    assert_int_equal(hn_report_put_samples(dir, j, &s, &err), 0);
    hn_samples_release(&s);
    struct hn_json *again = NULL;
    assert_int_equal(hn_report_read_run(&arena, dir, &again, &err), 0);
    assert_int_equal(hn_samples_read(&s, again, &err), 0);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.items[0].prompt, "</pre><s>");
    assert_int_equal(s.items[0].line, 3);
    assert_true(hn_json_is(hn_json_get(again, "status"), "finished"));
    hn_samples_release(&s);
    hn_arena_release(&arena);
}

static void long_runs_are_thinned(void **state)
{
    (void)state;
    struct hn_buf text = {0};
    struct hone_err err = {0};
    struct hn_metrics m;
    char path[128];
    int n = 3 * HN_SERIES_MAX + 5;
    for (int i = 1; i <= n; i++)
        hn_buf_printf(&text, "{\"step\":%d,\"loss\":%d.5}\n", i, i == 100001 ? 0 : 3);
    put("metrics.jsonl", hn_buf_str(&text));
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    assert_int_equal(hn_metrics_read(&m, path, &err), 0);
    assert_int_equal(m.train.seen, n);
    assert_in_range(m.train.n, HN_SERIES_MAX / 2, HN_SERIES_MAX);
    assert_true(m.train.lowest.step == 100001 && m.train.last.step == n);
    for (size_t i = 1; i < m.train.n; i++)
        assert_true(m.train.items[i].step > m.train.items[i - 1].step);
    hn_metrics_release(&m);
    hn_buf_release(&text);
}

static void no_memory(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    put("run.json", run);
    put("metrics.jsonl", "{\"step\":2,\"loss\":2.5,\"peak_memory_bytes\":5}\n"
                         "{\"step\":2,\"val_loss\":2.25}\n");
    for (long at = 1;; at++) {
        struct hone_err err = {0};
        char path[128];
        snprintf(path, sizeof path, "%s/report.html", dir);
        remove(path);
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, at);
        int rc = hn_report_write(dir, &err);
        atomic_store(&alloc_fail_at, 0);
        if (rc == 0 && atomic_load(&alloc_count) < at)
            break; /* it was not reached */
        if (rc) {
            assert_true(err.message[0] != 0);
            continue;
        }
        char *page = get("report.html"); /* it could do without: the page is whole */
        assert_non_null(strstr(page, "</body></html>"));
        free(page);
    }
}

static void samples_are_whole(void **state)
{
    (void)state;
    const struct hone_row row = {.text = "prompt answer",
                                 .text_size = 13,
                                 .prompt = "prompt ",
                                 .prompt_size = 7,
                                 .expected = "answer",
                                 .expected_size = 6,
                                 .path = "rows.jsonl",
                                 .line = 1};
    const struct hone_train_event e = {.kind = HONE_TRAIN_SAMPLE, .row = &row};
    if (!alloc_hook_works())
        skip();
    for (long n = 0; n <= 3; n++) {
        struct hn_run_record r;
        hn_run_record_init(&r);
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, n);
        hn_run_record_event(&r, &e);
        atomic_store(&alloc_fail_at, 0);
        assert_int_equal(r.samples.n, n == 0);
        hn_run_record_release(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_text),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(steps_are_whole),
        cmocka_unit_test(charts_hold),
        cmocka_unit_test_setup_teardown(page_of_a_hostile_run, enter, leave),
        cmocka_unit_test_setup_teardown(damaged_files_are_named, enter, leave),
        cmocka_unit_test_setup_teardown(samples_survive_the_file, enter, leave),
        cmocka_unit_test_setup_teardown(long_runs_are_thinned, enter, leave),
        cmocka_unit_test_setup_teardown(no_memory, enter, leave),
        cmocka_unit_test(samples_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
