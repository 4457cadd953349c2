/* writer.h: a stop text ends the answer before it, wherever tokens meet, in whatever order stop
 * texts are given, and nothing comes behind; what was told is the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "infer/writer.h"
#include "model/model.h"

enum { V = 420, SPACE_AND_E2 = 269 /* a space and the first byte of a longer character */ };

struct fixture {
    struct hone_tokenizer *tok;
    struct hn_buf told;
    struct hone_err err;
};

static int setup(void **state)
{
    static struct fixture f;
    if (hone_tokenizer_open(&f.tok, HN_TEST_DIR "/text/tokenizers/gpt2.json", &f.err))
        fail_msg("%s", f.err.message);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hone_tokenizer_close(&f->tok);
    hn_buf_release(&f->told);
    return 0;
}

static int tell(void *arg, const char *text, size_t n)
{
    hn_buf_add(arg, text, n);
    return 0;
}

/* A model whose likeliest tokens are these of text[n], and then last (-1: none). */
static void check(struct fixture *f, const char *text, size_t n, int32_t last,
                  const char *const *stop, size_t n_stop, const char *want, size_t want_n,
                  const char *finish)
{
    struct hone_model model = {.spec.vocab_size = V};
    struct hone_generate_options o;
    struct hone_tokens ids = {0};
    struct hn_writer w;
    float logits[V] = {0};
    int32_t id;
    hone_generate_defaults(&o);
    o.stop = stop;
    o.n_stop = n_stop;
    hn_buf_clear(&f->told);
    assert_int_equal(hone_tokenizer_encode(f->tok, text, n, 0, &ids, &f->err), 0);
    if (last >= 0) {
        assert_int_equal(hn_grow((void **)&ids.ids, &ids.cap, ids.n + 1, sizeof *ids.ids), 0);
        ids.ids[ids.n++] = last;
    }
    o.max_tokens = (int64_t)ids.n;
    assert_int_equal(hn_writer_open(&w, &model, f->tok, ids.ids, 1, &o, tell, &f->told, &f->err),
                     0);
    for (size_t i = 0; !w.finish; i++) {
        assert_true(i < ids.n);
        logits[ids.ids[i]] = 1;
        assert_int_equal(hn_writer_next(&w, logits, &id, &f->err), 0);
        logits[ids.ids[i]] = 0;
    }
    assert_int_equal(hn_writer_end(&w, &f->err), 0);
    assert_string_equal(w.finish, finish);
    assert_int_equal(w.text.len, want_n);
    assert_memory_equal(hn_buf_str(&w.text), want, want_n);
    assert_int_equal(f->told.len, want_n);
    assert_memory_equal(hn_buf_str(&f->told), want, want_n);
    hn_writer_close(&w);
    hone_tokens_release(&ids);
}

#define STOPS(...)                                                                                 \
    (const char *const[]){__VA_ARGS__}, HN_COUNT(((const char *const[]){__VA_ARGS__}))
#define CHECK(text, last, stops, want, finish)                                                     \
    check(f, text, sizeof text - 1, last, stops, want, sizeof want - 1, finish)

static void the_earliest_of_several_ends(void **state)
{
    struct fixture *f = *state;
    CHECK("a stop here", -1, STOPS("stop", "top"), "a ", "stop");
    CHECK("a stop here", -1, STOPS("top", "stop"), "a ", "stop");
    CHECK("stop", -1, STOPS("stop"), "", "stop");
    CHECK("a sto", -1, STOPS("stop"), "a sto", "length"); /* held back, and told at the end */
    CHECK("a stostop", -1, STOPS("stop"), "a sto", "stop");
    CHECK("caf\xc3\xa9.", -1, STOPS("\xc3\xa9."), "caf", "stop");
    CHECK("a stop", -1, STOPS(""), "a stop", "length");
}

static void nothing_comes_behind(void **state)
{
    struct fixture *f = *state;
    CHECK("ab", SPACE_AND_E2, STOPS("b "), "a", "stop");
    CHECK("ab", SPACE_AND_E2, STOPS("x"), "ab \xef\xbf\xbd", "length");
}

static void parts_of_characters_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hone_model model = {.spec.vocab_size = V};
    const char *const stop[] = {"ok", "a\xc3"};
    struct hone_generate_options o;
    struct hn_writer w;
    hone_generate_defaults(&o);
    o.stop = stop;
    o.n_stop = 2;
    assert_int_equal(hn_writer_open(&w, &model, f->tok, NULL, 0, &o, NULL, NULL, &f->err),
                     HONE_USAGE);
    assert_string_equal(f->err.message, "stop text 2 is no valid UTF-8 at byte 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_of_several_ends),
        cmocka_unit_test(nothing_comes_behind),
        cmocka_unit_test(parts_of_characters_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
