/* Tokenizers against the ids and texts that the libraries give (tokenizers/NAME.vectors, written by
 * tools/make_tokenizer_goldens.py), and what the interface promises beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "hone/tokenizer.h"

#define FOLDER HN_TEST_DIR "/text/tokenizers/"

static struct hone_tokenizer *open_or_fail(const char *name)
{
    struct hone_tokenizer *t = NULL;
    struct hone_err err = {0};
    char path[500];
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : FOLDER, name);
    if (hone_tokenizer_open(&t, path, &err))
        fail_msg("%s", err.message);
    return t;
}

static void check_ids(const struct hone_tokenizer *t, const char *name, size_t k,
                      struct hn_str text, int flags, const struct hn_json *want)
{
    struct hone_tokens ids = {0};
    struct hone_err err = {0};
    if (hone_tokenizer_encode(t, text.p, text.n, flags, &ids, &err))
        fail_msg("%s, vector %zu: %s", name, k, err.message);
    for (size_t i = 0; i < HN_MAX(ids.n, want->n); i++) {
        int64_t id = -1;
        (void)hn_json_int(hn_json_at(want, i), &id);
        if (i >= ids.n || id != ids.ids[i])
            fail_msg("%s, vector %zu (%.60s): id %zu is %d, expected %d", name, k, text.p, i,
                     i < ids.n ? ids.ids[i] : -1, (int)id);
    }
    hone_tokens_release(&ids);
}

/* The pieces of a stream, laid together, are the text of all ids at once. */
static void check_stream(const struct hone_tokenizer *t, const char *name, const int32_t *ids,
                         size_t n, int flags, const char *want, size_t want_n)
{
    struct hone_detokenizer *d = NULL;
    struct hone_err err = {0};
    struct hn_buf all = {0};
    assert_int_equal(hone_detokenizer_open(&d, t, flags, &err), 0);
    for (size_t i = 0; i <= n; i++) {
        const char *part;
        size_t len;
        int rc = i < n ? hone_detokenizer_push(d, ids[i], &part, &len, &err)
                       : hone_detokenizer_flush(d, &part, &len, &err);
        assert_int_equal(rc, 0);
        if (hn_utf8_check(part, len) < len)
            fail_msg("%s: a streamed part is not whole characters", name);
        hn_buf_add(&all, part, len);
    }
    if (all.len != want_n || memcmp(hn_buf_str(&all), want, want_n) != 0)
        fail_msg("%s: streamed \"%.80s\", expected \"%.80s\"", name, hn_buf_str(&all), want);
    hn_buf_release(&all);
    hone_detokenizer_close(&d);
}

static void check_text(const struct hone_tokenizer *t, const char *name, size_t k,
                       const struct hn_json *list, int flags, const struct hn_json *want)
{
    int32_t *ids = hn_calloc(list->n, sizeof *ids);
    struct hone_err err = {0};
    struct hn_str expected;
    char *text = NULL;
    size_t len = 0;
    for (size_t i = 0; i < list->n; i++) {
        int64_t id = -1;
        assert_true(hn_json_int(hn_json_at(list, i), &id));
        ids[i] = (int32_t)id;
    }
    if (hone_tokenizer_decode(t, ids, list->n, flags, &text, &len, &err))
        fail_msg("%s, vector %zu: %s", name, k, err.message);
    assert_true(hn_json_str(want, &expected));
    if (len != expected.n || memcmp(text, expected.p, len) != 0)
        fail_msg("%s, vector %zu: text \"%.80s\", expected \"%.80s\"", name, k, text, expected.p);
    check_stream(t, name, ids, list->n, flags, text, len);
    hone_free(text);
    hn_free(ids);
}

/* A vector leaves out what equals its usual value. */
static const struct hn_json *either(const struct hn_json *given, const struct hn_json *usual)
{
    return given ? given : usual;
}

static void check_vectors(const char *tokenizer, const char *vectors)
{
    struct hone_tokenizer *t = open_or_fail(tokenizer);
    struct hn_buf text = {0};
    struct hn_arena arena;
    struct hn_json *list = NULL;
    struct hone_err err = {0};
    char path[500];
    snprintf(path, sizeof path, FOLDER "%s.vectors", vectors);
    hn_arena_init(&arena, 0);
    if (hn_file_read(path, 1 << 24, &text, &err) ||
        hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &list, &err))
        fail_msg("%s: %s", path, err.message);
    assert_true(list->n > 20);
    for (size_t k = 0; k < list->n; k++) {
        const struct hn_json *v = hn_json_at(list, k), *text_of_it = hn_json_get(v, "text");
        const struct hn_json *plain = hn_json_get(v, "plain");
        const struct hn_json *ids = either(hn_json_get(v, "ids"), plain);
        struct hn_str s;
        assert_true(hn_json_str(text_of_it, &s));
        check_ids(t, tokenizer, k, s, 0, plain);
        if (!hn_ends_with(tokenizer, ".json"))
            continue;
        check_ids(t, tokenizer, k, s, HONE_ADD_SPECIAL, ids);
        check_text(t, tokenizer, k, ids, 0, either(hn_json_get(v, "whole"), text_of_it));
        check_text(t, tokenizer, k, ids, HONE_SKIP_SPECIAL,
                   either(hn_json_get(v, "skipped"), text_of_it));
    }
    hn_arena_release(&arena);
    hn_buf_release(&text);
    hone_tokenizer_close(&t);
}

static void equal_to_the_libraries(void **state)
{
    (void)state;
    struct hone_err err = {0};
    char **names = NULL;
    size_t n = 0, checked = 0;
    assert_int_equal(hn_dir_list(FOLDER, &names, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        char base[100];
        size_t len = strlen(names[i]);
        if (hn_ends_with(names[i], ".json"))
            len -= 5;
        else if (hn_ends_with(names[i], ".model"))
            len -= 6;
        else
            continue;
        snprintf(base, sizeof base, "%.*s", (int)len, names[i]);
        check_vectors(names[i], base);
        checked++;
    }
    assert_true(checked >= 30);
    hn_free(names);
}

/* The same vocabulary inside a GGUF gives the same ids. */
static void gguf_equals_its_source(void **state)
{
    (void)state;
    check_vectors("smollm.gguf", "smollm");
    check_vectors("spm.gguf", "spm_bpe");
    struct hone_tokenizer *t = open_or_fail("smollm.gguf");
    struct hone_tokenizer_info info;
    hone_tokenizer_info(t, &info);
    assert_string_equal(info.kind, "byte-level BPE");
    assert_string_equal(info.chat_template, "{{ messages }}");
    assert_int_equal(info.bos, 2);
    assert_int_equal(info.eos, 3);
    assert_int_equal(info.pad, -1);
    assert_false(info.adds_bos);
    assert_int_equal(hone_tokenizer_find(t, "<|im_end|>"), 3);
    assert_string_equal(hone_tokenizer_token(t, 3), "<|im_end|>");
    assert_int_equal(hone_tokenizer_find(t, "no such token"), -1);
    assert_null(hone_tokenizer_token(t, (int32_t)info.vocab_size));
    assert_null(hone_tokenizer_token(t, -1));
    hone_tokenizer_close(&t);
}

static void refuses_invalid_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *part;
    } cases[] = {
        {"abc\xff", 4, "offset 3"},          {"\xc3", 1, "offset 0"},
        {"a\xed\xa0\x80", 4, "offset 1"},    {"ab\xc0\x80", 4, "offset 2"},
        {"\xf4\x90\x80\x80", 4, "offset 0"}, {"é\xe2\x82", 4, "offset 2"},
    };
    struct hone_tokenizer *t = open_or_fail("gpt2.json");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hone_tokens ids = {0};
        struct hone_err err = {0};
        assert_int_equal(hone_tokenizer_encode(t, "x", 1, 0, &ids, &err), 0);
        assert_int_equal(hone_tokenizer_encode(t, cases[i].text, cases[i].n, 0, &ids, &err),
                         HONE_FAILED);
        assert_int_equal(ids.n, 1); /* what was there stays */
        assert_non_null(strstr(err.message, cases[i].part));
        hone_tokens_release(&ids);
    }
    hone_tokenizer_close(&t);
}

/* Ids that no token has are left out, as the library does. */
static void decodes_unknown_ids(void **state)
{
    (void)state;
    struct hone_tokenizer *t = open_or_fail("gpt2.json");
    const int32_t ids[] = {-1, INT32_MAX, INT32_MIN, 1 << 20};
    struct hone_err err = {0};
    char *text = NULL;
    size_t len = 9;
    assert_int_equal(hone_tokenizer_decode(t, ids, HN_COUNT(ids), 0, &text, &len, &err), 0);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    hone_free(text);
    hone_tokenizer_close(&t);
}

/* Of this process alone: what else the machine does must not count. */
static double processor_seconds(const struct hone_tokenizer *t, const char *unit, size_t size)
{
    struct hn_buf text = {0};
    struct hone_tokens ids = {0};
    struct hone_err err = {0};
    while (text.len < size)
        hn_buf_add_str(&text, unit);
    clock_t start = clock();
    assert_int_equal(hone_tokenizer_encode(t, text.data, text.len, 0, &ids, &err), 0);
    double took = (double)(clock() - start) / CLOCKS_PER_SEC;
    hn_buf_release(&text);
    hone_tokens_release(&ids);
    return took;
}

/* A text 32 times as long may take 32 times as long, with room for noise; a quadratic algorithm
 * would take 1000 times. */
static void long_pieces_are_not_quadratic(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2.json",    "llama3.json",    "llama2.json",
                                        "unigram.json", "metaspace.json", "cl100k.json",
                                        "added.json"};
    static const char *const units[] = {"a", "abcdefgh", " ", "\n", "<", "e\xcc\x81\xcc\xa3", "1"};
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        struct hone_tokenizer *t = open_or_fail(names[i]);
        for (size_t k = 0; k < HN_COUNT(units); k++) {
            double small = 0, large = 0, most = 0;
            for (int attempt = 0; attempt < 3 && large >= most; attempt++) {
                small = processor_seconds(t, units[k], 8 << 10);
                large = processor_seconds(t, units[k], 256 << 10);
                most = 300 * HN_MAX(small, 0.0005);
            }
            if (large >= most)
                fail_msg("%s: 256 KB of '%s' take %.3f s, 8 KB %.5f s", names[i], units[k], large,
                         small);
        }
        hone_tokenizer_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_to_the_libraries),        cmocka_unit_test(gguf_equals_its_source),
        cmocka_unit_test(refuses_invalid_utf8),          cmocka_unit_test(decodes_unknown_ids),
        cmocka_unit_test(long_pieces_are_not_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
