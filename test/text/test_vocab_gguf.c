/* Vocabularies written into a GGUF, and read back: the same ids for the same texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "text/normal_form.h"
#include "text/vocab_gguf.h"

#define FOLDER HN_TEST_DIR "/text/tokenizers/"

/* NULL when the tokenizer is refused. */
static struct hone_tokenizer *through_a_gguf(const struct hone_tokenizer *t, int64_t n_rows,
                                             struct hone_err *err)
{
    char path[] = "/tmp/hone-vocab-XXXXXX.gguf";
    struct hn_gguf_meta m = {0};
    struct hn_gguf_writer w;
    struct hone_tokenizer *back = NULL;
    size_t left_out = 0;
    close(mkstemps(path, 5));
    hn_gguf_meta_str(&m, "general.architecture", hn_str_of("llama"));
    int rc = hn_tokenizer_put_gguf(t, NULL, n_rows, "it", &m, &left_out, err);
    if (!rc) {
        if (hn_gguf_writer_open(&w, path, &m, NULL, 0, err) || hn_gguf_writer_commit(&w, err) ||
            hone_tokenizer_open(&back, path, err))
            fail_msg("%s", err->message);
    }
    hn_gguf_meta_release(&m);
    remove(path);
    return back;
}

static void check_text(const char *name, const struct hone_tokenizer *a,
                       const struct hone_tokenizer *b, struct hn_str text, int flags)
{
    struct hone_tokens x = {0}, y = {0};
    struct hn_buf composed = {0};
    struct hn_text_work work = {0};
    struct hone_err err = {0};
    /* A GGUF says nothing of normal forms: llama.cpp takes the text as it comes. */
    bool nfc = a->n_norms && a->norms[0].kind == HN_NORM_NFC;
    struct hn_str as_composed = text;
    if (nfc) {
        assert_int_equal(hn_form_append(HN_FORM_NFC, text, &composed, &work), 0);
        as_composed = (struct hn_str){hn_buf_str(&composed), composed.len};
    }
    if (hone_tokenizer_encode(a, text.p, text.n, flags, &x, &err) ||
        hone_tokenizer_encode(b, as_composed.p, as_composed.n, flags, &y, &err))
        fail_msg("%s: %s", name, err.message);
    if (x.n != y.n || (x.n && memcmp(x.ids, y.ids, x.n * sizeof *x.ids) != 0))
        fail_msg("%s: \"%.60s\" has other ids (%zu, %zu)", name, text.p, x.n, y.n);
    hone_tokens_release(&x);
    hone_tokens_release(&y);
    hn_buf_release(&composed);
    hn_text_work_release(&work);
}

static void check(const char *name, const struct hone_tokenizer *a, const struct hone_tokenizer *b)
{
    struct hn_arena arena;
    struct hn_buf text = {0};
    struct hn_json *list;
    struct hone_err err = {0};
    char path[500];
    snprintf(path, sizeof path, FOLDER "%s.vectors", name);
    hn_arena_init(&arena, 0);
    if (hn_file_read(path, 1 << 24, &text, &err) ||
        hn_json_parse(&arena, hn_buf_str(&text), text.len, 0, &list, &err))
        fail_msg("%s: %s", path, err.message);
    for (size_t i = 0; i < list->n; i++) {
        struct hn_str s;
        assert_true(hn_json_str(hn_json_get(hn_json_at(list, i), "text"), &s));
        check_text(name, a, b, s, 0);
        check_text(name, a, b, s, HONE_ADD_SPECIAL);
    }
    hn_arena_release(&arena);
    hn_buf_release(&text);
}

/* Those of decoder models that llama.cpp has a name for.  (llama2_first is not among them: a GGUF
 * marks the first word of a text that begins with a space too.) */
static void comes_back_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"smollm", "gpt2",      "llama2", "llama3",
                                        "qwen2",  "deepseek3", "bloom"};
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        struct hone_tokenizer *t = NULL, *back;
        struct hone_tokenizer_info info, same;
        struct hone_err err = {0};
        char path[500];
        snprintf(path, sizeof path, FOLDER "%s.json", names[i]);
        assert_int_equal(hone_tokenizer_open(&t, path, &err), 0);
        hone_tokenizer_info(t, &info);
        back = through_a_gguf(t, info.vocab_size, &err);
        if (!back)
            fail_msg("%s: %s", names[i], err.message);
        hone_tokenizer_info(back, &same);
        assert_int_equal(same.vocab_size, info.vocab_size);
        check(names[i], t, back);
        hone_tokenizer_close(&back);
        hone_tokenizer_close(&t);
    }
}

/* A model with fewer rows than its tokenizer has words: no merge speaks of a word that is gone. */
static void fewer_rows_than_words(void **state)
{
    (void)state;
    struct hone_tokenizer *t = NULL, *back;
    struct hone_tokenizer_info info;
    struct hone_err err = {0};
    assert_int_equal(hone_tokenizer_open(&t, FOLDER "gpt2.json", &err), 0);
    back = through_a_gguf(t, 300, &err);
    if (!back)
        fail_msg("%s", err.message);
    hone_tokenizer_info(back, &info);
    assert_int_equal(info.vocab_size, 300);
    hone_tokenizer_close(&back);
    hone_tokenizer_close(&t);
}

static void refuses_what_has_no_name(void **state)
{
    (void)state;
    static const char *const names[] = {"odd_regex", "gpt4o", "bert", "unigram", "word_suffix"};
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        struct hone_tokenizer *t = NULL;
        struct hone_err err = {0};
        char path[500];
        snprintf(path, sizeof path, FOLDER "%s.json", names[i]);
        assert_int_equal(hone_tokenizer_open(&t, path, &err), 0);
        assert_null(through_a_gguf(t, 1000, &err));
        assert_non_null(strstr(err.message, "it: the tokenizer "));
        hone_tokenizer_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_the_same),
        cmocka_unit_test(fewer_rows_than_words),
        cmocka_unit_test(refuses_what_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
