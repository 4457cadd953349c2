/* Out of memory at every single allocation of hone_prepare and hone_dataset: each call fails with a
 * sentence or succeeds, leaves no output behind and leaks nothing that the next try would miss. */
#include "alloc_hook.h"
#include "data_case.h"

static const char rows[] =
    "{\"task\":\"t\",\"response\":\"r\",\"response_json\":{\"a\":[1,2]}}\n\n"
    "{\"text\":\"S\xc3\xa3o Paulo and more words than fit\"}\n"
    "{\"text\":\"S\xc3\xa3o Paulo and more words than fit\"}\n"
    "{\"prompt\":\"p\",\"completion\":\"c\"}\n"
    "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
    "\"value\":\"an answer\"}],\"system\":\"s\"}\n";

/* One try; its return code.  tok may be NULL. */
static int prepare(const struct hone_tokenizer *tok, struct hone_err *err)
{
    const char *inputs[] = {"in.jsonl"};
    struct hone_prepare_options o;
    struct hone_prepare_report r;
    hone_prepare_defaults(&o);
    o.inputs = inputs;
    o.n_inputs = 1;
    o.output = "out.jsonl";
    o.tokenizer = tok;
    o.max_seq_length = tok ? 20 : 0;
    o.drop_duplicates = true;
    int rc = hone_prepare(&o, NULL, NULL, &r, err);
    if (!rc)
        hone_prepare_report_release(&r);
    return rc;
}

static int read_all(const struct hone_tokenizer *tok, struct hone_err *err)
{
    const char *path = "in.jsonl";
    struct hone_dataset_options o = {.tokenizer = tok, .mask_prompt = true, .append_eos = true};
    struct hone_dataset *d = NULL;
    struct hone_dataset_info info;
    struct hone_row row = {0};
    int rc = hone_dataset_open(&d, &path, 1, &o, err);
    if (!rc)
        hone_dataset_info(d, &info);
    for (uint64_t i = 0; !rc && i < info.rows; i++)
        rc = hone_dataset_read(d, i, &row, err);
    hone_row_release(&row);
    hone_dataset_close(&d);
    return rc;
}

static void torture(int (*try)(const struct hone_tokenizer *, struct hone_err *),
                    const struct hone_tokenizer *tok)
{
    static const char *const left[] = {"in.jsonl", NULL};
    for (long n = 1;; n++) {
        struct hone_err err = {0};
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, n);
        int rc = try(tok, &err);
        bool reached = atomic_load(&alloc_count) >= n;
        atomic_store(&alloc_fail_at, 0);
        if (!reached) {
            assert_int_equal(rc, 0);
            assert_true(n > 20);
            return;
        }
        if (rc) {
            assert_true(rc == HONE_NO_MEMORY || rc == HONE_FAILED);
            assert_true(err.message[0] != 0);
            check_only_files(left);
        }
        unlink("out.jsonl");
    }
}

static void preparing_survives(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    write_text("in.jsonl", rows);
    torture(prepare, NULL);
}

static struct hone_tokenizer *open_tokenizer(void)
{
    struct hone_tokenizer *tok = NULL;
    struct hone_err err = {0};
    if (hone_tokenizer_open(&tok, HN_TEST_DIR "/data/thinking", &err))
        fail_msg("%s", err.message);
    return tok;
}

static void measuring_and_truncating_survive(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    struct hone_tokenizer *tok = open_tokenizer();
    write_text("in.jsonl", rows);
    torture(prepare, tok);
    hone_tokenizer_close(&tok);
}

static void a_data_set_survives(void **state)
{
    (void)state;
    if (!alloc_hook_works())
        skip();
    struct hone_tokenizer *tok = open_tokenizer();
    write_text("in.jsonl", rows);
    torture(read_all, tok);
    hone_tokenizer_close(&tok);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, data_setup, data_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(preparing_survives),
        CASE(measuring_and_truncating_survive),
        CASE(a_data_set_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
