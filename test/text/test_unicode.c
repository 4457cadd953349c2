/* Every code point: normal forms, lower case and character classes against hashes that
 * tools/make_tokenizer_goldens.py takes from the tokenizers library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "hone/tokenizer.h"
#include "text/text_steps.h"
#include "text/unicode.h"

#define FOLDER HN_TEST_DIR "/text/tokenizers/"

static void expect_sum(const char *name, const void *p, size_t n)
{
    struct hn_arena arena;
    struct hn_buf file = {0};
    struct hn_json *sums = NULL;
    struct hone_err err = {0};
    struct hn_str want = {"", 0};
    char got[20];
    hn_arena_init(&arena, 0);
    if (hn_file_read(FOLDER "every_code_point.sums", 1 << 16, &file, &err) ||
        hn_json_parse(&arena, hn_buf_str(&file), file.len, 0, &sums, &err))
        fail_msg("%s", err.message);
    assert_true(hn_json_str(hn_json_get(sums, name), &want));
    snprintf(got, sizeof got, "%016llx", (unsigned long long)hn_hash(p, n));
    if (strcmp(got, want.p) != 0)
        fail_msg("%s: over all code points the hash is %s, expected %s", name, got, want.p);
    hn_arena_release(&arena);
    hn_buf_release(&file);
}

static bool surrogate(uint32_t cp)
{
    return cp >= 0xd800 && cp < 0xe000;
}

static void add_cp(struct hn_buf *b, uint32_t cp)
{
    char bytes[4];
    hn_buf_add(b, bytes, (size_t)hn_utf8_put(cp, bytes));
}

/* Each character twice among two marks, through some steps; one line each. */
static void check_steps(const char *name, const enum hn_norm_kind *kinds, size_t n)
{
    struct hn_buf all = {0}, one = {0}, next = {0};
    struct hn_text_work w = {0};
    struct hone_err err = {0};
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        if (surrogate(cp))
            continue;
        hn_buf_clear(&one);
        hn_buf_add_char(&one, 'a');
        add_cp(&one, cp);
        add_cp(&one, 0x327);
        add_cp(&one, cp);
        add_cp(&one, 0x301);
        for (size_t k = 0; k < n; k++) {
            struct hn_norm_step step = {.kind = kinds[k]};
            size_t n_leading = 0;
            hn_buf_clear(&next);
            assert_int_equal(
                hn_norm_run(&step, (struct hn_str){one.data, one.len}, &next, &n_leading, &w, &err),
                0);
            struct hn_buf swap = one;
            one = next;
            next = swap;
        }
        if (all.len)
            hn_buf_add_char(&all, '\n');
        hn_buf_add(&all, one.data, one.len);
    }
    expect_sum(name, all.data, all.len);
    hn_buf_release(&all);
    hn_buf_release(&one);
    hn_buf_release(&next);
    hn_text_work_release(&w);
}

static void normalisers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum hn_norm_kind kind;
    } steps[] = {{"nfc", HN_NORM_NFC},         {"nfd", HN_NORM_NFD},
                 {"nfkc", HN_NORM_NFKC},       {"nfkd", HN_NORM_NFKD},
                 {"lower", HN_NORM_LOWERCASE}, {"accents", HN_NORM_STRIP_ACCENTS}};
    static const enum hn_norm_kind bert[] = {HN_NORM_BERT_CLEAN, HN_NORM_BERT_CHINESE, HN_NORM_NFD,
                                             HN_NORM_BERT_ACCENTS, HN_NORM_LOWERCASE};
    for (size_t i = 0; i < HN_COUNT(steps); i++)
        check_steps(steps[i].name, &steps[i].kind, 1);
    check_steps("bert", bert, HN_COUNT(bert));
}

static void check_tokenizer(const char *name)
{
    struct hone_tokenizer *t = NULL;
    struct hone_tokens ids = {0};
    struct hone_err err = {0};
    struct hn_buf text = {0};
    char path[300];
    size_t n = 0;
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    if (hone_tokenizer_open(&t, path, &err))
        fail_msg("%s", err.message);
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        if (!surrogate(cp)) {
            hn_buf_add_char(&text, '1');
            add_cp(&text, cp);
            hn_buf_add_str(&text, "a ");
            n++;
        }
        if (cp < 0x10ffff && (surrogate(cp) || n % (1 << 14)))
            continue;
        if (hone_tokenizer_encode(t, text.data, text.len, 0, &ids, &err))
            fail_msg("%s: %s", name, err.message);
        hn_buf_clear(&text);
    }
    expect_sum(name, ids.ids, ids.n * sizeof *ids.ids);
    hone_tokens_release(&ids);
    hn_buf_release(&text);
    hone_tokenizer_close(&t);
}

static void splitters(void **state)
{
    (void)state;
    check_tokenizer("smollm");
    check_tokenizer("gpt4o");
    check_tokenizer("metaspace");
    check_tokenizer("words");
}

static void sets(void **state)
{
    (void)state;
    struct hn_cp_set a = {0}, b = {0};
    assert_true(hn_cp_set_add_named(&a, hn_str_of("Upper_case Letter")));
    assert_true(hn_cp_set_add_named(&b, hn_str_of("lu")));
    assert_int_equal(a.n, b.n);
    assert_false(hn_cp_set_add_named(&a, hn_str_of("NoSuchThing")));
    assert_true(hn_cp_set_has(&a, 'Q') && !hn_cp_set_has(&a, 'q'));
    hn_cp_set_fold(&a);
    assert_true(hn_cp_set_has(&a, 'q') && hn_cp_set_has(&a, 0x17f)); /* long s */
    hn_cp_set_invert(&b);
    hn_cp_set_intersect(&a, &b);
    assert_true(hn_cp_set_has(&a, 'q') && !hn_cp_set_has(&a, 'Q'));
    hn_cp_set_release(&a);
    hn_cp_set_release(&b);
    assert_int_equal(hn_utf8_cut(hn_str_of("aé"), 2), 1);
    assert_int_equal(hn_utf8_cut(hn_str_of("aé"), 9), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalisers),
        cmocka_unit_test(splitters),
        cmocka_unit_test(sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
