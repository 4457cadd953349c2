/* hone_dataset: rows as tokens and which of them are trained, against Hugging Face's ids and offsets
 * (tools/make_data_goldens.py); truncation, findings, and the part of hone_prepare that counts tokens. */
#include "data_case.h"

#include "base/json.h"

static struct hone_tokenizer *open_tokenizer(const char *name)
{
    char path[256];
    struct hone_tokenizer *tok = NULL;
    struct hone_err err = {0};
    snprintf(path, sizeof path, HN_TEST_DIR "/data/%s", name);
    if (hone_tokenizer_open(&tok, path, &err))
        fail_msg("%s", err.message);
    return tok;
}

static struct hone_dataset *open_rows(const char *path, const struct hone_dataset_options *o)
{
    struct hone_dataset *d = NULL;
    struct hone_err err = {0};
    if (hone_dataset_open(&d, &path, 1, o, &err))
        fail_msg("%s", err.message);
    return d;
}

static void read_row(struct hone_dataset *d, uint64_t i, struct hone_row *row)
{
    struct hone_err err = {0};
    if (hone_dataset_read(d, i, row, &err))
        fail_msg("%s", err.message);
}

static void check_part(const struct hn_json *want, const char *key, const char *got, size_t size,
                       const char *where)
{
    struct hn_str s;
    const struct hn_json *v = hn_json_get(want, key);
    if (!hn_json_str(v, &s)) {
        if (got)
            fail_msg("%s: %s is '%s', expected none", where, key, got);
    } else if (!got || !hn_str_eq(s, (struct hn_str){got, size})) {
        fail_msg("%s: %s is '%s', expected '%s'", where, key, got ? got : "(none)", s.p);
    }
}

static void check_row(const struct hn_json *want, const struct hone_row *row, const char *where)
{
    const struct hn_json *ids = hn_json_get(want, "ids"), *trained = hn_json_get(want, "trained");
    check_part(want, "text", row->text, row->text_size, where);
    check_part(want, "prompt", row->prompt, row->prompt_size, where);
    check_part(want, "expected", row->expected, row->expected_size, where);
    if (row->tokens.n != ids->n)
        fail_msg("%s: %zu tokens, expected %zu", where, row->tokens.n, ids->n);
    for (size_t k = 0; k < ids->n; k++) {
        int64_t id = -1, mark = -1;
        assert_true(hn_json_int(hn_json_at(ids, k), &id) && hn_json_int(hn_json_at(trained, k), &mark));
        if (row->tokens.ids[k] != id || row->trained[k] != mark)
            fail_msg("%s: token %zu is %d (trained %d), expected %d (%d)", where, k,
                     row->tokens.ids[k], row->trained[k], (int)id, (int)mark);
    }
}

static bool any_trained(const struct hn_json *want)
{
    const struct hn_json *trained = hn_json_get(want, "trained");
    bool any = false;
    for (size_t k = 0; k < trained->n; k++) {
        int64_t mark = 0;
        any |= hn_json_int(hn_json_at(trained, k), &mark) && mark;
    }
    return any;
}

/* Write the rows that the tokenizer's goldens have, and check each of them. */
static void check_goldens(const char *name)
{
    char path[256], where[64];
    struct hn_buf in = {0}, want = {0}, rows = {0};
    struct hone_tokenizer *tok = open_tokenizer(name);
    read_text(HN_TEST_DIR "/data/rows_in.jsonl", &in);
    snprintf(path, sizeof path, HN_TEST_DIR "/data/rows_%s.jsonl", name);
    read_text(path, &want);
    struct hn_arena arena;
    struct hone_err err = {0};
    const struct hn_json *golden[64];
    size_t n = 0, n_lines = 0, n_left_out = 0;
    hn_arena_init(&arena, 0);
    for (const char *a = in.data, *b = want.data; *a && *b;) {
        struct hn_json *j = NULL;
        size_t la = strcspn(a, "\n") + 1, lb = strcspn(b, "\n") + 1;
        assert_int_equal(hn_json_parse(&arena, b, lb, 0, &j, &err), 0);
        if (j->type == HN_JSON_OBJECT) { /* null: refused for want of a template */
            hn_buf_add(&rows, a, la);
            if (any_trained(j))
                golden[n++] = j;
            else
                n_left_out++;
        }
        a += la;
        b += lb;
        n_lines++;
    }
    assert_true(n > 15 && n_lines > 30);
    write_bytes("rows.jsonl", rows.data, rows.len);
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true, .mask_prompt = true};
    struct hone_dataset *d = open_rows("rows.jsonl", &o);
    struct hone_dataset_info info;
    struct hone_row row = {0};
    hone_dataset_info(d, &info);
    assert_int_equal(info.rows, n);
    assert_int_equal(info.unlabelled, n_left_out);
    for (size_t i = n; i-- > 0;) { /* any order */
        read_row(d, i, &row);
        snprintf(where, sizeof where, "%s, row %zu (line %d)", name, i, (int)row.line);
        check_row(golden[i], &row, where);
        assert_int_equal(hone_dataset_length(d, i), row.tokens.n);
    }
    hone_row_release(&row);
    hone_dataset_close(&d);
    hone_tokenizer_close(&tok);
    hn_arena_release(&arena);
    hn_buf_release(&in);
    hn_buf_release(&want);
    hn_buf_release(&rows);
}

static void rows_of_a_byte_level_tokenizer(void **state)
{
    (void)state;
    check_goldens("bytes");
}

static void rows_of_a_sentencepiece_tokenizer(void **state)
{
    (void)state;
    check_goldens("pieces");
}

static void rows_of_a_template_that_drops_reasoning(void **state)
{
    (void)state;
    check_goldens("thinking");
}

static void rows_of_a_template_that_moves_the_system_message(void **state)
{
    (void)state;
    check_goldens("last_user");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, data_setup, data_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rows_of_a_byte_level_tokenizer),
        CASE(rows_of_a_sentencepiece_tokenizer),
        CASE(rows_of_a_template_that_drops_reasoning),
        CASE(rows_of_a_template_that_moves_the_system_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
