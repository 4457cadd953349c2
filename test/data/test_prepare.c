/* hone_prepare without a tokenizer: the rows it writes, their order, splits, findings, and that a
 * failure leaves nothing behind.  test_dataset.c has the part that counts tokens. */
#include "data_case.h"

#include <signal.h>
#include <sys/wait.h>

static struct hone_prepare_options options(const char *const *inputs, size_t n, const char *output)
{
    struct hone_prepare_options o;
    hone_prepare_defaults(&o);
    o.inputs = inputs;
    o.n_inputs = n;
    o.output = output;
    o.shuffle = false;
    return o;
}

static void prepare(const struct hone_prepare_options *o, struct hone_prepare_report *r)
{
    struct hone_err err = {0};
    if (hone_prepare(o, NULL, NULL, r, &err))
        fail_msg("%s", err.message);
}

static void check_notes(const struct hone_prepare_report *r, const char *const *want, size_t n)
{
    for (size_t i = 0; i < r->n_notes && i < n; i++)
        assert_string_equal(r->notes[i], want[i]);
    assert_int_equal(r->n_notes, n);
}

static void task_rows_are_what_Python_writes(void **state)
{
    (void)state;
    const char *inputs[] = {HN_TEST_DIR "/data/task_in.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "out.jsonl");
    struct hone_prepare_report r;
    struct hn_buf want = {0};
    prepare(&o, &r);
    assert_int_equal(r.files[0].kind, HONE_RECORD_TASK);
    assert_int_equal(r.rows, 304);
    assert_int_equal(r.train_rows, 304);
    read_text(HN_TEST_DIR "/data/task_out.jsonl", &want);
    check_file("out.jsonl", hn_buf_str(&want));
    hone_prepare_report_release(&r);

    /* What was written is read as text rows and written again unchanged. */
    const char *again[] = {"out.jsonl"};
    o = options(again, 1, "again.jsonl");
    prepare(&o, &r);
    assert_int_equal(r.files[0].kind, HONE_RECORD_TEXT);
    check_file("again.jsonl", hn_buf_str(&want));
    hn_buf_release(&want);
    hone_prepare_report_release(&r);
}

static void line_ends_marks_and_blanks(void **state)
{
    (void)state;
    write_text("a.jsonl",
               "\xef\xbb\xbf{\"text\":\"1\"}\r\n\r\n   \n{\"text\":\"2\"}\n{\"text\":\"\"}\n"
               "\xef\xbb\xbf{\"text\":\"3\"}");
    write_text("b.jsonl", "");
    write_text("c.jsonl", "\n{\"prompt\":\"p\",\"completion\":\"c\"}\n{\"text\":\"4\"}\n");
    const char *inputs[] = {"a.jsonl", "b.jsonl", "c.jsonl"};
    struct hone_prepare_options o = options(inputs, 3, "out.jsonl");
    struct hone_prepare_report r;
    prepare(&o, &r);
    check_file("out.jsonl", "{\"text\": \"1\"}\n{\"text\": \"2\"}\n{\"text\": \"3\"}\n"
                            "{\"prompt\": \"p\", \"completion\": \"c\"}\n{\"text\": \"4\"}\n");
    assert_int_equal(r.empty, 4);
    assert_int_equal(r.rows, 5);
    assert_int_equal(r.n_files, 3);
    assert_int_equal(r.files[0].rows, 3);
    assert_int_equal(r.files[0].empty, 3);
    assert_int_equal(r.files[1].kind, HONE_RECORD_AUTO);
    assert_int_equal(r.files[2].kind, HONE_RECORD_COMPLETION);
    assert_false(r.measured);
    static const char *const notes[] = {
        "a.jsonl, line 2: empty, left out",
        "a.jsonl, line 3: empty, left out",
        "a.jsonl, line 5: empty, left out",
        "c.jsonl, line 1: empty, left out",
        "c.jsonl, line 3: of kind text, while the file's first row is of kind completion",
    };
    check_notes(&r, notes, HN_COUNT(notes));
    hone_prepare_report_release(&r);
}

static void write_numbers(const char *path, int from, int to)
{
    struct hn_buf b = {0};
    for (int i = from; i < to; i++)
        hn_buf_printf(&b, "{\"text\": \"%d\"}\n", i);
    write_text(path, hn_buf_str(&b));
    hn_buf_release(&b);
}

static void rows_are_shuffled_by_seed(void **state)
{
    (void)state;
    write_numbers("n.jsonl", 0, 8);
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "out.jsonl");
    struct hone_prepare_report r;
    o.shuffle = true;
    prepare(&o, &r);
    hone_prepare_report_release(&r);
    /* The order is part of the contract: the same rows and seed give it on every machine. */
    check_file("out.jsonl",
               "{\"text\": \"1\"}\n{\"text\": \"0\"}\n{\"text\": \"2\"}\n{\"text\": \"5\"}\n"
               "{\"text\": \"7\"}\n{\"text\": \"6\"}\n{\"text\": \"4\"}\n{\"text\": \"3\"}\n");
    o.seed = 1;
    prepare(&o, &r);
    hone_prepare_report_release(&r);
    check_file("out.jsonl",
               "{\"text\": \"1\"}\n{\"text\": \"2\"}\n{\"text\": \"5\"}\n{\"text\": \"0\"}\n"
               "{\"text\": \"7\"}\n{\"text\": \"4\"}\n{\"text\": \"3\"}\n{\"text\": \"6\"}\n");
}

static size_t lines_in(const char *path, bool seen[])
{
    struct hn_lines l;
    struct hone_err err = {0};
    size_t n = 0;
    assert_int_equal(hn_lines_open(&l, path, 100, &err), 0);
    while (hn_lines_next(&l, &err) > 0) {
        int v = -1;
        assert_int_equal(sscanf(l.line.data, "{\"text\": \"%d\"}", &v), 1);
        assert_false(seen[v]);
        seen[v] = true;
        n++;
    }
    hn_lines_close(&l);
    return n;
}

static void splits_share_the_rows(void **state)
{
    (void)state;
    static const struct {
        int rows;
        double valid, test;
        size_t want[3];
    } cases[] = {
        {100, 0.1, 0.05, {85, 10, 5}}, {100, 0, 0, {100, 0, 0}}, {10, 0.01, 0.01, {8, 1, 1}},
        {3, 0.1, 0.1, {1, 1, 1}},      {2, 0.1, 0.1, {1, 1, 0}}, {1, 0.5, 0.4, {1, 0, 0}},
        {3, 0.8, 0.1, {1, 1, 1}},      {4, 0.9, 0, {1, 3, 0}},   {7, 0, 0.25, {5, 0, 2}},
        {90, 20, 7, {63, 20, 7}},      {90, 0.1, 7, {74, 9, 7}}, {90, 89, 7, {1, 89, 0}},
        {90, 200, 0, {1, 89, 0}}, /* from 1 on: rows, not fractions */
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        bool seen[100] = {false};
        const char *inputs[] = {"n.jsonl"};
        static const char *const names[] = {"d/train.jsonl", "d/valid.jsonl", "d/test.jsonl"};
        struct hone_prepare_options o = options(inputs, 1, "d");
        struct hone_prepare_report r;
        for (int k = 0; k < 3; k++)
            unlink(names[k]);
        write_numbers("n.jsonl", 0, cases[i].rows);
        o.shuffle = true;
        o.valid_fraction = cases[i].valid < 1 ? cases[i].valid : 0;
        o.test_fraction = cases[i].test < 1 ? cases[i].test : 0;
        o.valid_rows = cases[i].valid < 1 ? 0 : (int64_t)cases[i].valid;
        o.test_rows = cases[i].test < 1 ? 0 : (int64_t)cases[i].test;
        prepare(&o, &r);
        size_t got[3] = {r.train_rows, r.valid_rows, r.test_rows}, sum = 0;
        for (int k = 0; k < 3; k++) {
            assert_int_equal(got[k], cases[i].want[k]);
            assert_int_equal(hn_file_exists(names[k]), got[k] > 0);
            sum += got[k] ? lines_in(names[k], seen) : 0;
        }
        assert_int_equal(sum, cases[i].rows);
        hone_prepare_report_release(&r);
    }
}

static void duplicates_are_counted_and_dropped(void **state)
{
    (void)state;
    write_text("a.jsonl",
               "{\"text\":\"x\"}\n{\"text\":\"y\"}\n\n{\"text\": \"\\u0078\", \"id\":1}\n");
    write_text("b.jsonl", "{\"text\":\"y\"}\n{\"text\":\"z\"}\n{\"text\":\"x\"}\n");
    const char *inputs[] = {"a.jsonl", "b.jsonl"};
    struct hone_prepare_options o = options(inputs, 2, "out.jsonl");
    struct hone_prepare_report r;
    prepare(&o, &r);
    assert_int_equal(r.rows, 6);
    assert_int_equal(r.duplicates, 3);
    assert_int_equal(r.train_rows, 6);
    static const char *const kept[] = {
        "a.jsonl, line 3: empty, left out",
        "a.jsonl, line 4: the same as a.jsonl, line 1",
        "b.jsonl, line 1: the same as a.jsonl, line 2",
        "b.jsonl, line 3: the same as a.jsonl, line 1",
    };
    check_notes(&r, kept, HN_COUNT(kept));
    hone_prepare_report_release(&r);

    o.drop_duplicates = true;
    prepare(&o, &r);
    assert_int_equal(r.rows, 6);
    assert_int_equal(r.duplicates, 3);
    assert_int_equal(r.train_rows, 3);
    check_file("out.jsonl", "{\"text\": \"x\"}\n{\"text\": \"y\"}\n{\"text\": \"z\"}\n");
    assert_string_equal(r.notes[3], "b.jsonl, line 3: the same as a.jsonl, line 1, left out");
    hone_prepare_report_release(&r);
}

static void many_findings_become_a_count(void **state)
{
    (void)state;
    struct hn_buf b = {0};
    for (int i = 0; i < 20; i++)
        hn_buf_add_str(&b, "{\"text\": \"same\"}\n\n");
    write_text("n.jsonl", hn_buf_str(&b));
    hn_buf_release(&b);
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "out");
    struct hone_prepare_report r;
    o.valid_fraction = 0.1;
    prepare(&o, &r);
    static const char *const notes[] = {
        "n.jsonl, line 2: empty, left out",
        "n.jsonl, line 4: empty, left out",
        "n.jsonl, line 6: empty, left out",
        "n.jsonl, line 8: empty, left out",
        "n.jsonl, line 10: empty, left out",
        "n.jsonl, line 3: the same as n.jsonl, line 1",
        "n.jsonl, line 5: the same as n.jsonl, line 1",
        "n.jsonl, line 7: the same as n.jsonl, line 1",
        "n.jsonl, line 9: the same as n.jsonl, line 1",
        "n.jsonl, line 11: the same as n.jsonl, line 1",
        "out: with duplicates kept, rows of the held-out splits may also be in train.jsonl",
        "and 15 more rows empty",
        "and 14 more rows duplicates of an earlier one",
    };
    check_notes(&r, notes, HN_COUNT(notes));
    hone_prepare_report_release(&r);
}

static void an_earlier_split_is_named(void **state)
{
    (void)state;
    write_numbers("n.jsonl", 0, 3);
    assert_int_equal(hn_dir_make("d", &(struct hone_err){0}), 0);
    write_text("d/valid.jsonl", "{\"text\":\"old\"}\n");
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "d");
    struct hone_prepare_report r;
    prepare(&o, &r);
    static const char *const notes[] = {
        "d/valid.jsonl: from an earlier run, left as it is; remove it if it is not wanted"};
    check_notes(&r, notes, 1);
    check_file("d/valid.jsonl", "{\"text\":\"old\"}\n");
    hone_prepare_report_release(&r);
}

static void check_refused(const struct hone_prepare_options *o, int code, const char *message)
{
    struct hone_prepare_report r;
    struct hone_err err = {0};
    int rc = hone_prepare(o, NULL, NULL, &r, &err);
    if (rc != code || strcmp(err.message, message) != 0)
        fail_msg("gave %d: %s\nexpected %d: %s", rc, err.message, code, message);
}

static void failures_name_the_place_and_leave_nothing(void **state)
{
    (void)state;
    static const char *const left[] = {"good.jsonl", "bad.jsonl", NULL};
    const char *inputs[] = {"good.jsonl", "bad.jsonl"};
    struct hone_prepare_options o = options(inputs, 2, "out.jsonl");
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"text\":\"a\"}\n{\"text\":3}\n",
         "bad.jsonl, line 2: \"text\": found an integer, expected "
         "a string"},
        {"\n\n{\"text\":\"a\"", "bad.jsonl, line 3: column 12: found the end, expected ',' or '}'"},
        {"[1]\n", "bad.jsonl, line 1: found an integer, expected an object"},
    };
    write_numbers("good.jsonl", 0, 100);
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        write_text("bad.jsonl", cases[i].text);
        o.output = "out.jsonl";
        check_refused(&o, HONE_FAILED, cases[i].message);
        o.output = "dir";
        check_refused(&o, HONE_FAILED, cases[i].message);
        check_only_files(left);
    }
    write_bytes("bad.jsonl", "{\"text\":\"a\0\"}\n", 13);
    check_refused(&o, HONE_FAILED,
                  "bad.jsonl, line 1: column 11: found byte 0x00, expected an escaped control "
                  "character");
    inputs[1] = "absent.jsonl";
    check_refused(&o, HONE_NOT_FOUND,
                  "cannot open the data file absent.jsonl: No such file or directory");
    inputs[1] = ".";
    check_refused(
        &o, HONE_FAILED,
        ". is a directory, expected a file of rows (they are read again, so it cannot be a "
        "pipe)");
    o.inputs = inputs + 1;
    o.n_inputs = 1;
    inputs[1] = "bad.jsonl";
    write_text("bad.jsonl", "\n\n");
    check_refused(&o, HONE_FAILED,
                  "bad.jsonl holds no rows (2 empty), expected objects with the keys of a record");
    check_only_files(left);
}

static void options_are_checked(void **state)
{
    (void)state;
    write_numbers("n.jsonl", 0, 3);
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 0, "out.jsonl");
    check_refused(&o, HONE_USAGE, "no input file is given");
    o = options(inputs, 1, "");
    check_refused(&o, HONE_USAGE, "no output directory or .jsonl file is given");
    o = options(inputs, 1, "out.jsonl");
    o.valid_fraction = 0.1;
    check_refused(&o, HONE_USAGE,
                  "out.jsonl is one file, expected a directory to hold the valid and test splits");
    o = options(inputs, 1, "out");
    o.valid_rows = 3;
    o.valid_fraction = 0.5;
    check_refused(&o, HONE_USAGE,
                  "valid rows: expected 0 or more of them, and not beside a fraction");
    o = options(inputs, 1, "out");
    o.test_rows = -1;
    check_refused(&o, HONE_USAGE,
                  "test rows: expected 0 or more of them, and not beside a fraction");
    o = options(inputs, 1, "out");
    o.valid_fraction = 0.6;
    o.test_fraction = 0.4;
    check_refused(&o, HONE_USAGE,
                  "valid_fraction is 0.6 and test_fraction 0.4, expected 0 or more, together less "
                  "than 1");
    o.valid_fraction = -0.1;
    check_refused(&o, HONE_USAGE,
                  "valid_fraction is -0.1 and test_fraction 0.4, expected 0 or more, together less "
                  "than 1");
    o.valid_fraction = 0.0 / (o.test_fraction - 0.4);
    assert_true(o.valid_fraction != o.valid_fraction);
    struct hone_prepare_report r;
    assert_int_equal(hone_prepare(&o, NULL, NULL, &r, NULL), HONE_USAGE);
    o = options(inputs, 1, "out");
    o.max_seq_length = 5;
    check_refused(&o, HONE_USAGE,
                  "max_seq_length counts tokens: name the model whose tokenizer counts them");
}

struct calls {
    int n, stop_after;
    uint64_t done, total;
};

static int on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct calls *c = arg;
    assert_true(done >= c->done && done <= total);
    c->done = done;
    c->total = total;
    return ++c->n > c->stop_after;
}

static void progress_is_told_and_stops(void **state)
{
    (void)state;
    static const char *const left[] = {"n.jsonl", "out.jsonl", NULL};
    write_numbers("n.jsonl", 0, 60000); /* 1 MB */
    write_text("out.jsonl", "old\n");
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "out.jsonl");
    struct hone_prepare_report r;
    struct hone_err err = {0};
    for (int stop = 0; stop < 8; stop += 3) {
        struct calls c = {.stop_after = stop};
        assert_int_equal(hone_prepare(&o, on_progress, &c, &r, &err), HONE_INTERRUPTED);
        assert_string_equal(err.message, "stopped; no output was written");
        check_file("out.jsonl", "old\n");
        check_only_files(left);
    }
    struct calls c = {.stop_after = 1000};
    assert_int_equal(hone_prepare(&o, on_progress, &c, &r, &err), 0);
    assert_int_equal(c.done, c.total);
    assert_int_equal(r.rows, 60000);
    hone_prepare_report_release(&r);
}

static int die_while_writing(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    if (done > total / 4 * 3)
        raise(SIGKILL);
    return 0;
}

static void a_killed_run_leaves_the_outputs_as_they_were(void **state)
{
    (void)state;
    write_numbers("n.jsonl", 0, 60000);
    assert_int_equal(hn_dir_make("d", &(struct hone_err){0}), 0);
    write_text("d/train.jsonl", "old\n");
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "d");
    struct hone_prepare_report r;
    o.valid_fraction = 0.5;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(hone_prepare(&o, die_while_writing, NULL, &r, NULL) ? 1 : 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    check_file("d/train.jsonl", "old\n");
    assert_false(hn_file_exists("d/valid.jsonl"));
    /* And the next run is not hindered by what the killed one left. */
    prepare(&o, &r);
    assert_int_equal(r.valid_rows, 30000);
    hone_prepare_report_release(&r);
}

static void the_input_may_be_the_output(void **state)
{
    (void)state;
    write_text("n.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}");
    const char *inputs[] = {"n.jsonl"};
    struct hone_prepare_options o = options(inputs, 1, "n.jsonl");
    struct hone_prepare_report r;
    prepare(&o, &r);
    hone_prepare_report_release(&r);
    check_file("n.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, data_setup, data_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(task_rows_are_what_Python_writes),
        CASE(line_ends_marks_and_blanks),
        CASE(rows_are_shuffled_by_seed),
        CASE(splits_share_the_rows),
        CASE(duplicates_are_counted_and_dropped),
        CASE(many_findings_become_a_count),
        CASE(an_earlier_split_is_named),
        CASE(failures_name_the_place_and_leave_nothing),
        CASE(options_are_checked),
        CASE(progress_is_told_and_stops),
        CASE(a_killed_run_leaves_the_outputs_as_they_were),
        CASE(the_input_may_be_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
