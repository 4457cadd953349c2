/* hone_dataset: rows as tokens and which of them are trained, against Hugging Face's ids and
 * offsets (tools/make_data_goldens.py); truncation, findings, and the part of hone_prepare that
 * counts tokens. */
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
        assert_true(hn_json_int(hn_json_at(ids, k), &id) &&
                    hn_json_int(hn_json_at(trained, k), &mark));
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

/* -------------------------------------------------------------------------------------------- */

/* TRL's way with rows of prompt and completion: no template, the end token, the prompt masked. */
static void plain_completions(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("bytes");
    struct hone_row row = {0};
    write_text("rows.jsonl", "{\"prompt\": \"the tram\", \"completion\": \" runs\"}\n");
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true, .mask_prompt = true};
    for (int plain = 0; plain < 2; plain++) {
        o.plain_completions = plain;
        struct hone_dataset *d = open_rows("rows.jsonl", &o);
        read_row(d, 0, &row);
        assert_int_equal(row.templated, !plain);
        assert_int_equal(strcmp(row.text, "the tram runs") == 0, plain);
        assert_int_equal(strcmp(row.prompt, "the tram") == 0, plain);
        hone_dataset_close(&d);
    }
    struct hone_tokenizer_info info;
    struct hone_tokens prompt = {0};
    struct hone_err err;
    hone_tokenizer_info(tok, &info);
    assert_int_equal(row.tokens.ids[row.tokens.n - 1], info.eos);
    assert_int_equal(hone_tokenizer_encode(tok, "the tram", 8, HONE_ADD_SPECIAL, &prompt, &err), 0);
    for (size_t i = 0; i < row.tokens.n; i++)
        assert_int_equal(row.trained[i], i >= prompt.n);
    hone_tokens_release(&prompt);
    hone_row_release(&row);
    hone_tokenizer_close(&tok);
}

static void check_dataset_notes(const struct hone_dataset_info *info, const char *const *want,
                                size_t n)
{
    for (size_t i = 0; i < info->n_notes && i < n; i++)
        assert_string_equal(info->notes[i], want[i]);
    assert_int_equal(info->n_notes, n);
}

static void long_rows_lose_their_end(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("pieces");
    write_text("rows.jsonl", "{\"text\": \"a b c d e f g h\"}\n"
                             "{\"text\": \"a long prompt ### RESPONSE:\\nthe answer is cut\"}\n"
                             "{\"text\": \"x ### RESPONSE:\\n\"}\n"
                             "{\"text\": \"a b c d e f g h\"}\n"
                             "\n"
                             "{\"prompt\": \"q\", \"completion\": \"x\"}\n");
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true};
    struct hone_dataset *d = open_rows("rows.jsonl", &o);
    struct hone_dataset_info info;
    struct hone_row row = {0};
    hone_dataset_info(d, &info);
    assert_int_equal(info.rows, 5);
    assert_int_equal(info.empty, 1);
    assert_int_equal(info.duplicates, 1);
    assert_int_equal(info.truncated, 0);
    assert_int_equal(info.unlabelled, 0);
    /* Without masking everything but each row's first token is trained. */
    assert_int_equal(info.trained_tokens, info.tokens - info.rows);
    int64_t whole = hone_dataset_length(d, 0), second = hone_dataset_length(d, 1);
    read_row(d, 0, &row);
    int32_t ids[4];
    memcpy(ids, row.tokens.ids, sizeof ids);
    assert_int_equal(row.tokens.ids[row.tokens.n - 1], hone_tokenizer_find(tok, "</s>"));
    hone_dataset_close(&d);

    o.max_seq_length = 4;
    d = open_rows("rows.jsonl", &o);
    hone_dataset_info(d, &info);
    assert_int_equal(info.rows, 5);
    assert_int_equal(info.max_tokens, 4);
    assert_int_equal(hone_dataset_length(d, 0), 4);
    read_row(d, 0, &row);
    assert_int_equal(row.tokens.n, 4);
    assert_memory_equal(row.tokens.ids, ids, sizeof ids);
    assert_string_equal(row.text, "a b c d e f g h");
    hone_dataset_close(&d);

    /* The marker is beyond the limit: nothing that carries loss is left. */
    o.max_seq_length = 4;
    o.mask_prompt = true;
    d = open_rows("rows.jsonl", &o);
    hone_dataset_info(d, &info);
    assert_int_equal(info.rows, 1);
    assert_int_equal(info.unlabelled, 4);
    assert_int_equal(info.cut_answers, 3); /* the completion loses its end */
    char notes[8][120];
    snprintf(notes[0], 120, "rows.jsonl, line 1: %d tokens, truncated to 4", (int)whole);
    snprintf(notes[2], 120, "rows.jsonl, line 2: %d tokens, truncated to 4: its answer has no end",
             (int)second);
    const char *want[] = {
        notes[0],
        "rows.jsonl, line 1: no token carries loss (no response is marked), left out",
        notes[2],
        "rows.jsonl, line 2: no token carries loss (none of the response is left after "
        "truncation), left out",
    };
    for (size_t i = 0; i < HN_COUNT(want); i++)
        assert_string_equal(info.notes[i], want[i]);
    read_row(d, 0, &row);
    assert_int_equal(row.line, 6);
    assert_int_equal(row.kind, HONE_RECORD_COMPLETION);
    assert_string_equal(row.path, "rows.jsonl");
    hone_row_release(&row);
    hone_dataset_close(&d);
    hone_tokenizer_close(&tok);
}

static void padding_with_the_end_is_told(void **state)
{
    (void)state;
    struct hone_err err = {0};
    struct hn_buf json = {0};
    struct hone_tokenizer *tok = NULL;
    struct hone_dataset_info info;
    assert_int_equal(hn_dir_make("tok", &err), 0);
    read_text(HN_TEST_DIR "/data/pieces/tokenizer.json", &json);
    write_bytes("tok/tokenizer.json", json.data, json.len);
    write_text("tok/tokenizer_config.json", "{\"eos_token\": \"</s>\", \"pad_token\": \"</s>\"}");
    if (hone_tokenizer_open(&tok, "tok", &err))
        fail_msg("%s", err.message);
    write_text("rows.jsonl", "{\"text\": \"a b\"}\n");
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true};
    struct hone_dataset *d = open_rows("rows.jsonl", &o);
    hone_dataset_info(d, &info);
    static const char *const notes[] = {
        "rows.jsonl: the tokenizer pads with its end token </s>; hone pads nothing and trains the "
        "end"};
    check_dataset_notes(&info, notes, HN_COUNT(notes));
    assert_int_equal(info.trained_tokens, info.tokens - 1);
    hone_dataset_close(&d);
    hone_tokenizer_close(&tok);
    hn_buf_release(&json);
}

static void findings_are_noted(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("pieces");
    write_text("rows.jsonl",
               "{\"text\": \"<s>twice\"}\n{\"text\": \"once\"}\n\n{\"text\": \"once\"}\n"
               "{\"prompt\": \"the t\", \"completion\": \"rain\"}\n");
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true};
    struct hone_dataset *d = open_rows("rows.jsonl", &o);
    struct hone_dataset_info info;
    struct hone_row row = {0};
    hone_dataset_info(d, &info);
    static const char *const notes[] = {
        "rows.jsonl, line 1: the text starts with the begin token, and the tokenizer adds it again",
        "rows.jsonl, line 3: empty, left out",
        "rows.jsonl, line 4: the same as an earlier row",
        "rows.jsonl, line 5: of kind completion, while the file's first row is of kind text",
    };
    check_dataset_notes(&info, notes, HN_COUNT(notes));
    read_row(d, 0, &row);
    assert_int_equal(row.tokens.ids[0], hone_tokenizer_find(tok, "<s>"));
    assert_int_equal(row.tokens.ids[1], hone_tokenizer_find(tok, "<s>"));
    assert_false(row.templated);
    hone_row_release(&row);
    hone_dataset_close(&d);
    hone_tokenizer_close(&tok);
}

static void check_refused(const char *text, const struct hone_dataset_options *o, int code,
                          const char *message)
{
    struct hone_dataset *d = NULL;
    struct hone_err err = {0};
    const char *path = "rows.jsonl";
    write_text(path, text);
    int rc = hone_dataset_open(&d, &path, 1, o, &err);
    if (rc != code || d || strcmp(err.message, message) != 0)
        fail_msg("gave %d: %s\nexpected %d: %s", rc, err.message, code, message);
}

static void what_cannot_be_used_is_refused(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("pieces");
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = true};
    check_refused("{\"text\":\"a\"}\n{\"text\":2}\n", &o, HONE_FAILED,
                  "rows.jsonl, line 2: \"text\": found an integer, expected a string");
    check_refused("", &o, HONE_FAILED,
                  "rows.jsonl holds no rows (0 empty), expected objects with the keys of a record");
    check_refused("{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}", &o, HONE_FAILED,
                  "rows.jsonl, line 1: found a chat row, expected text: the model has no chat "
                  "template");
    o.mask_prompt = true;
    check_refused("\n{\"text\":\"a\"}\n", &o, HONE_FAILED,
                  "rows.jsonl holds no row with a token that carries loss (1 without, 1 empty); "
                  "rows.jsonl, line 2: no token carries loss (no response is marked), left out");
    o.max_seq_length = -1;
    check_refused("", &o, HONE_USAGE, "max_seq_length is -1, expected 0 (no limit) or more");
    o = (struct hone_dataset_options){0};
    check_refused("", &o, HONE_USAGE, "rows cannot be encoded without a tokenizer");
    hone_tokenizer_close(&tok);
}

static void a_file_that_changes_is_noticed(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("pieces");
    struct hone_dataset_options o = {.tokenizer = tok};
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"text\":\"a\"}\n{\"text\":\"b b b\"}\n", NULL},
        {"{\"text\":\"a\"}\n{\"text\":\"b\"}    \n",
         "rows.jsonl, line 2: found 3 tokens, 5 when the "
         "file was opened: it has changed while in use"},
        {"{\"text\":\"a\"}\n", "rows.jsonl, line 2: the row is gone: the file has changed while it "
                               "was in use"},
        {"{\"text\":\"a\"}\n}", "rows.jsonl, line 2: column 1: found '}', expected a JSON value"},
    };
    write_text("rows.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b b b\"}\n");
    struct hone_dataset *d = open_rows("rows.jsonl", &o);
    struct hone_row row = {0};
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hone_err err = {0};
        write_text("rows.jsonl", cases[i].text);
        int rc = hone_dataset_read(d, 1, &row, &err);
        assert_int_equal(rc, cases[i].message ? HONE_FAILED : 0);
        if (cases[i].message)
            assert_int_equal(strncmp(err.message, cases[i].message, 22), 0);
    }
    hone_row_release(&row);
    hone_dataset_close(&d);
    hone_tokenizer_close(&tok);
}

/* -------------------------------------------------------------------------------------------- */
/* hone_prepare with a tokenizer */

static int64_t count(const struct hone_tokenizer *tok, const char *path, bool eos, uint64_t i)
{
    struct hone_dataset_options o = {.tokenizer = tok, .append_eos = eos};
    struct hone_dataset *d = open_rows(path, &o);
    int64_t n = hone_dataset_length(d, i);
    hone_dataset_close(&d);
    return n;
}

static void cut_rows_fit_and_are_whole_characters(void **state)
{
    (void)state;
    static const char *const names[] = {"bytes", "pieces", "thinking", "last_user"};
    const char *inputs[] = {"in.jsonl"};
    struct hn_buf text = {0};
    for (size_t k = 0; k < HN_COUNT(names); k++) {
        struct hone_tokenizer *tok = open_tokenizer(names[k]);
        struct hone_tokenizer_info about;
        hone_tokenizer_info(tok, &about);
        write_text(
            "in.jsonl",
            "{\"text\": \"Take the tram: S\xc3\xa3o Paulo, \xe6\x9d\xb1\xe4\xba\xac "
            "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 and  more \\n\\n of the  same\"}\n"
            "{\"prompt\": \"Take the tram: \xe6\x9d\xb1\xe4\xba\xac\", \"completion\": \"metro "
            "\xf0\x9f\x98\x80\xf0\x9f\x98\x80 and back again to the park\"}\n");
        for (int limit = 24; limit <= 60; limit++) {
            struct hone_prepare_options o;
            struct hone_prepare_report r;
            struct hone_err err = {0};
            hone_prepare_defaults(&o);
            o.inputs = inputs;
            o.n_inputs = 1;
            o.output = "out.jsonl";
            o.shuffle = false;
            o.tokenizer = tok;
            o.max_seq_length = limit;
            if (hone_prepare(&o, NULL, NULL, &r, &err))
                fail_msg("%s, %d: %s", names[k], limit, err.message);
            assert_true(r.measured && r.max_tokens <= (uint64_t)limit);
            uint64_t sum = 0;
            for (uint64_t i = 0; i < 2; i++) {
                int64_t cut = count(tok, "out.jsonl", true, i),
                        all = count(tok, "in.jsonl", true, i);
                if (cut > limit || (all <= limit && cut != all) || (all > limit && cut < limit - 8))
                    fail_msg("%s, limit %d: row %d has %d tokens of %d", names[k], limit, (int)i,
                             (int)cut, (int)all);
                sum += (uint64_t)cut;
            }
            assert_int_equal(r.tokens, sum);
            read_text("out.jsonl", &text);
            assert_int_equal(hn_utf8_check(text.data, text.len), text.len);
            assert_null(strstr(text.data, "\\ufffd"));
            hone_prepare_report_release(&r);
        }
        hone_tokenizer_close(&tok);
    }
    hn_buf_release(&text);
}

static void lengths_are_of_what_is_written(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("pieces");
    const char *inputs[] = {"in.jsonl"};
    struct hn_buf b = {0};
    for (int i = 1; i <= 40; i++) { /* 3 to 42 tokens: <s>, i letters, </s> */
        hn_buf_add_str(&b, "{\"text\": \"");
        for (int k = 0; k < i; k++)
            hn_buf_add_str(&b, "~");
        hn_buf_add_str(&b, "\"}\n");
    }
    hn_buf_add_str(&b, "{\"text\": \"~~~\"}\n{\"text\": \"~~~\"}\n");
    write_text("in.jsonl", hn_buf_str(&b));
    hn_buf_release(&b);
    struct hone_prepare_options o;
    struct hone_prepare_report r;
    struct hone_err err = {0};
    hone_prepare_defaults(&o);
    o.inputs = inputs;
    o.n_inputs = 1;
    o.output = "out";
    o.tokenizer = tok;
    o.drop_duplicates = true;
    assert_int_equal(hone_prepare(&o, NULL, NULL, &r, &err), 0);
    int64_t one = count(tok, "in.jsonl", true, 0), two = count(tok, "in.jsonl", true, 1);
    assert_int_equal(two - one, 1);
    assert_int_equal(r.train_rows, 40);
    assert_int_equal(r.rows, 42);
    assert_int_equal(r.duplicates, 2);
    assert_int_equal(r.min_tokens, one);
    assert_int_equal(r.max_tokens, one + 39);
    assert_int_equal(r.median_tokens, one + 19);
    assert_int_equal(r.p95_tokens, one + 37);
    assert_int_equal(r.tokens, 40 * one + 39 * 40 / 2);
    hone_prepare_report_release(&r);
    o.append_eos = false;
    o.max_seq_length = one + 10;
    assert_int_equal(hone_prepare(&o, NULL, NULL, &r, &err), 0);
    assert_int_equal(r.truncated, 28);
    assert_int_equal(r.max_tokens, one + 10);
    assert_int_equal(r.min_tokens, one - 1);
    hone_prepare_report_release(&r);
    hone_tokenizer_close(&tok);
}

static void chats_lose_their_last_turns(void **state)
{
    (void)state;
    struct hone_tokenizer *tok = open_tokenizer("bytes");
    const char *inputs[] = {"in.jsonl"};
    write_text(
        "in.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
        "\"content\": \"~~~~~~~~~~~~~~~~~~~~\"}, {\"role\": \"user\", \"content\": "
        "\"b\"}, {\"role\": \"assistant\", \"content\": \"~~~~~~~~~~~~~~~~~~~~\"}]}\n");
    struct hone_prepare_options o;
    struct hone_err err = {0};
    hone_prepare_defaults(&o);
    o.inputs = inputs;
    o.n_inputs = 1;
    o.output = "out.jsonl";
    o.tokenizer = tok;
    int64_t all = count(tok, "in.jsonl", true, 0);
    static const struct {
        int less;
        const char *want;
    } cases[] = {
        {0, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
            "\"content\": \"~~~~~~~~~~~~~~~~~~~~\"}, {\"role\": \"user\", \"content\": "
            "\"b\"}, {\"role\": \"assistant\", \"content\": \"~~~~~~~~~~~~~~~~~~~~\"}]}\n"},
        {15, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
             "\"content\": \"~~~~~~~~~~~~~~~~~~~~\"}, {\"role\": \"user\", \"content\": "
             "\"b\"}, {\"role\": \"assistant\", \"content\": \"~~~~~\"}]}\n"},
        {24, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
             "\"content\": \"~~~~~~~~~~~~~~~~~~~~\"}]}\n"},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hone_prepare_report r;
        o.max_seq_length = all - cases[i].less;
        if (hone_prepare(&o, NULL, NULL, &r, &err))
            fail_msg("%s", err.message);
        check_file("out.jsonl", cases[i].want);
        assert_int_equal(r.truncated, cases[i].less > 0);
        hone_prepare_report_release(&r);
    }
    struct hone_prepare_report r;
    o.max_seq_length = 3;
    assert_int_equal(hone_prepare(&o, NULL, NULL, &r, &err), HONE_FAILED);
    assert_string_equal(err.message, "in.jsonl, line 1: nothing would be left of the row within "
                                     "max_seq_length 3; allow more tokens");
    hone_tokenizer_close(&tok);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, data_setup, data_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rows_of_a_byte_level_tokenizer),
        CASE(rows_of_a_sentencepiece_tokenizer),
        CASE(rows_of_a_template_that_drops_reasoning),
        CASE(rows_of_a_template_that_moves_the_system_message),
        CASE(plain_completions),
        CASE(long_rows_lose_their_end),
        CASE(padding_with_the_end_is_told),
        CASE(findings_are_noted),
        CASE(what_cannot_be_used_is_refused),
        CASE(a_file_that_changes_is_noticed),
        CASE(cut_rows_fit_and_are_whole_characters),
        CASE(lengths_are_of_what_is_written),
        CASE(chats_lose_their_last_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
