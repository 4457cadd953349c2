/* Tokenizer files that are wrong: each is refused in one sentence that says what and where, and no
 * damage, cut or size makes the reader fail otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/gguf.h"
#include "hone/tokenizer.h"
#include "text/tokenizer_impl.h"

#define FOLDER HN_TEST_DIR "/text/tokenizers/"

/* A tokenizer.json in which one part is replaced by another. */
static const char whole[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true}],"
    "\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
    "\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{"
    "\"<s>\":{\"id\":\"<s>\",\"ids\":[5],\"tokens\":[\"<s>\"]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,"
    "\"abc\":4},\"merges\":[\"a b\",[\"ab\",\"c\"]]}}";

static int parse_json(const char *text, size_t n, struct hone_err *err)
{
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    assert_non_null(t);
    hn_arena_init(&t->arena, 0);
    int rc = hn_tokenizer_parse_json(t, text, n, "dir/tokenizer.json", err);
    rc = rc ? rc : hn_tokenizer_finish(t, err);
    if (rc == 0) {
        struct hone_tokens ids = {0};
        assert_int_equal(hone_tokenizer_encode(t, "abc<s>b", 7, HONE_ADD_SPECIAL, &ids, err), 0);
        hone_tokens_release(&ids);
    }
    hone_tokenizer_close(&t);
    return rc;
}

static void the_whole_is_good(void **state)
{
    (void)state;
    struct hone_err err = {0};
    if (parse_json(whole, strlen(whole), &err))
        fail_msg("%s", err.message);
}

static const struct {
    const char *from, *to, *part; /* part of the message */
} changes[] = {
    {"{\"a\":0,", "{\"a\":-1,", "the id of the token \"a\" is -1"},
    {"{\"a\":0,", "{\"a\":2147483648,", "the id of the token \"a\" is 2147483648"},
    {"{\"a\":0,", "{\"a\":99999999999999999999,", "is 99999999999999999999"},
    {"{\"a\":0,", "{\"a\":0.5,", "is a float"},
    {"{\"a\":0,", "{\"a\":\"0\",", "is a string"},
    {"{\"a\":0,", "{\"a\":1,", "the id 1 belongs to two tokens"},
    {"\"vocab\":{", "\"vocabulary\":{", "model.vocab is nothing"},
    {"\"a b\"", "\"a z\"", "model.merges[0] joins \"a\" and \"z\", but the second"},
    {"\"a b\"", "\"z b\"", "but the first is not"},
    {"\"a b\"", "\"b a\"", "but what they make is not"},
    {"\"a b\"", "\"ab\"", "model.merges[0] is a string; expected two tokens"},
    {"\"a b\"", "\"a  b\"", "model.merges[0]"},
    {"\"a b\"", "7", "model.merges[0] is an integer"},
    {"[\"ab\",\"c\"]", "[\"ab\"]", "model.merges[1] is an array"},
    {"\"merges\":[", "\"merges\":{\"x\":[", "line 1, column"},
    {"\"type\":\"BPE\"", "\"type\":\"Magic\"", "the model \"Magic\" is not supported"},
    {"\"unk_token\":null", "\"dropout\":0.1", "model.dropout is 0.1"},
    {"\"unk_token\":null", "\"unk_token\":3", "unk_token is an integer; expected a string"},
    {"\"unk_token\":null", "\"byte_fallback\":1", "byte_fallback is an integer"},
    {"\"normalizer\":null", "\"normalizer\":7", "normalizer is an integer"},
    {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Rot13\"}",
     "the normalizer \"Rot13\" is not supported"},
    {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Sequence\"}", "normalizers is nothing"},
    {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Prepend\"}", "prepend is nothing"},
    {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}",
     "pattern is an object"},
    {"\"normalizer\":null",
     "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}",
     "a group that is not closed"},
    {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "{\"type\":\"Telepathy\"}",
     "the pre_tokenizer \"Telepathy\""},
    {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
     "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[z-a]\"},\"behavior\":\"Isolated\"}",
     "a range that runs backwards"},
    {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
     "{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Lost\"}",
     "behavior is a string; expected Isolated"},
    {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
     "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", "expected one character"},
    {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}",
     "{\"type\":\"FixedLength\",\"length\":0}", "length is an integer; expected 1 or more"},
    {"\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"Oracle\"}",
     "the decoder \"Oracle\""},
    {"\"decoder\":{\"type\":\"ByteLevel\"}",
     "\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}",
     "start is an integer; expected a number from 0 up"},
    {"\"ids\":[5]", "\"ids\":[6]", "adds the id 6 to every text, but no token has it"},
    {"\"ids\":[5]", "\"ids\":[\"5\"]", "an id of the post_processor is a string"},
    {"\"ids\":[5]", "\"ids\":[4294967296]", "the post_processor adds the id 4294967296"},
    {"\"special_tokens\":{", "\"specials\":{", "special_tokens lack \"<s>\""},
    {"{\"Sequence\":{\"id\":\"A\"", "{\"Sequence\":{\"id\":\"B\"", "a piece of the post_processor"},
    {"\"type\":\"TemplateProcessing\"", "\"type\":\"Horoscope\"",
     "the post_processor \"Horoscope\""},
    {"\"post_processor\":{",
     "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\","
     "\"cls\":[\"a\",0],\"sep\":[\"b\",1]},{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],"
     "\"sep\":[\"b\",1]}]},\"x\":{",
     "more than one step of the post_processor adds tokens"},
    {"[{\"id\":5,", "[{\"id\":\"5\",", "the id of an added token is a string"},
    {"[{\"id\":5,\"content\":\"<s>\",", "[{\"id\":5,", "content is nothing; expected a string"},
    {"[{\"id\":5,\"content\":\"<s>\",", "[{\"id\":5,\"content\":\"\\ud800\",", "not valid UTF-8"},
    {"\"special\":true", "\"special\":\"yes\"", "special is a string; expected true or false"},
    {"\"added_tokens\":[", "\"added_tokens\":7,\"x\":[", "added_tokens is an integer"},
};

static void each_change_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < HN_COUNT(changes); i++) {
        struct hn_buf text = {0};
        struct hone_err err = {0};
        const char *at = strstr(whole, changes[i].from);
        assert_non_null(at);
        hn_buf_add(&text, whole, (size_t)(at - whole));
        hn_buf_add_str(&text, changes[i].to);
        hn_buf_add_str(&text, at + strlen(changes[i].from));
        if (parse_json(text.data, text.len, &err) == 0)
            fail_msg("%s was taken", changes[i].to);
        if (!strstr(err.message, changes[i].part))
            fail_msg("%s: \"%s\" lacks \"%s\"", changes[i].to, err.message, changes[i].part);
        if (!strstr(err.message, "dir/tokenizer.json") && !strstr(err.message, "no token has it"))
            fail_msg("\"%s\" does not name the file", err.message);
        hn_buf_release(&text);
    }
}

/* Two added tokens of one id, as a vocabulary with gaps makes them: the later one is found. */
static void an_id_is_its_last_tokens(void **state)
{
    (void)state;
    static const char text[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"c\",\"normalized\":false},"
        "{\"id\":5,\"content\":\"<s>\",\"normalized\":false}],"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":5,\"ab\":3,\"bc\":4},"
        "\"merges\":[\"a b\",\"b c\"]}}";
    static const int32_t want[] = {4, 5, 5};
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    struct hone_tokens ids = {0};
    struct hone_err err = {0};
    assert_non_null(t);
    hn_arena_init(&t->arena, 0);
    assert_int_equal(hn_tokenizer_parse_json(t, text, strlen(text), "tokenizer.json", &err), 0);
    assert_int_equal(hn_tokenizer_finish(t, &err), 0);
    assert_int_equal(hone_tokenizer_encode(t, "bc<s>c", 6, 0, &ids, &err), 0);
    assert_int_equal(ids.n, 3);
    assert_memory_equal(ids.ids, want, sizeof want);
    hone_tokens_release(&ids);
    hone_tokenizer_close(&t);
}

static void strange_documents(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "null",
                                        "[]",
                                        "7",
                                        "\"x\"",
                                        "{}",
                                        "{\"model\":null}",
                                        "{\"model\":[]}",
                                        "{\"model\":{\"type\":\"BPE\"}}",
                                        "\xff\xfe",
                                        "\0"};
    for (size_t i = 0; i < HN_COUNT(texts); i++) {
        struct hone_err err = {0};
        assert_int_equal(parse_json(texts[i], i == 11 ? 1 : strlen(texts[i]), &err), HONE_FAILED);
        assert_non_null(strstr(err.message, "dir/tokenizer.json"));
    }
    /* nested as deep as a file can be */
    struct hn_buf deep = {0};
    struct hone_err err = {0};
    hn_buf_add_str(&deep, "{\"normalizer\":");
    for (int i = 0; i < 100000; i++)
        hn_buf_add_str(&deep, "{\"type\":\"Sequence\",\"normalizers\":[");
    assert_int_equal(parse_json(deep.data, deep.len, &err), HONE_FAILED);
    assert_non_null(strstr(err.message, "levels deep"));
    hn_buf_release(&deep);
}

static void every_cut_of_a_json_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(whole); n++) {
        struct hone_err err = {0};
        char *copy = hn_calloc(n + 1, 1); /* so that a sanitizer sees a read past the end */
        memcpy(copy, whole, n);
        assert_int_equal(parse_json(copy, n, &err), HONE_FAILED);
        hn_free(copy);
    }
}

static int parse_model(const unsigned char *p, size_t n, struct hone_err *err)
{
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    unsigned char *copy = hn_calloc(n, 1);
    assert_true(t && copy);
    if (n)
        memcpy(copy, p, n);
    hn_arena_init(&t->arena, 0);
    int rc = hn_tokenizer_parse_model(t, copy, n, (struct hn_spm_options){0}, "x.model", err);
    rc = rc ? rc : hn_tokenizer_finish(t, err);
    if (rc)
        assert_true(err->message[0] != 0);
    hone_tokenizer_close(&t);
    hn_free(copy);
    return rc;
}

static void models_survive_cuts_and_flips(void **state)
{
    (void)state;
    struct hn_buf file = {0};
    struct hone_err err = {0};
    assert_int_equal(hn_file_read(FOLDER "spm_unigram.model", 1 << 20, &file, &err), 0);
    unsigned char *p = (unsigned char *)file.data;
    assert_int_equal(parse_model(p, file.len, &err), 0);
    size_t refused = 0, step = file.len / 700;
    for (size_t n = 0; n < file.len; n += n < 400 ? 1 : step)
        refused += parse_model(p, n, &err) != 0;
    assert_true(refused > 300); /* a cut between two pieces leaves a model */
    for (size_t at = 0; at < file.len; at += at < 200 ? 1 : step) {
        p[at] ^= 0xff;
        (void)parse_model(p, file.len, &err);
        p[at] ^= 0xff;
    }
    hn_buf_release(&file);
}

static int parse_gguf(const char *p, size_t n, struct hone_err *err)
{
    struct hn_gguf g;
    struct hone_tokenizer *t = hn_calloc(1, sizeof *t);
    assert_non_null(t);
    hn_arena_init(&t->arena, 0);
    int rc = hn_gguf_open_memory(&g, p, n, "x.gguf", err);
    rc = rc ? rc : hn_tokenizer_from_gguf(t, &g, "x.gguf", err);
    rc = rc ? rc : hn_tokenizer_finish(t, err);
    hn_gguf_release(&g);
    hone_tokenizer_close(&t);
    return rc;
}

/* Replace the first `from` by `to`, of the same length. */
static void check_gguf_change(const char *name, const char *from, const char *to, const char *part)
{
    struct hn_buf file = {0};
    struct hone_err err = {0};
    char path[300];
    size_t n = strlen(from), at = 0;
    snprintf(path, sizeof path, FOLDER "%s", name);
    assert_int_equal(hn_file_read(path, 1 << 20, &file, &err), 0);
    assert_int_equal(strlen(to), n);
    while (at + n <= file.len && memcmp(file.data + at, from, n) != 0)
        at++;
    assert_true(at + n <= file.len);
    memcpy(file.data + at, to, n);
    assert_int_equal(parse_gguf(file.data, file.len, &err), HONE_FAILED);
    if (!strstr(err.message, part) || !strstr(err.message, "x.gguf"))
        fail_msg("\"%s\" lacks \"%s\"", err.message, part);
    hn_buf_release(&file);
}

static void gguf_vocabularies_are_checked(void **state)
{
    (void)state;
    check_gguf_change("smollm.gguf", "smollm", "smolla", "\"smolla\", which is not known");
    check_gguf_change("smollm.gguf", "gpt2", "gpt9", "tokenizer.ggml.model is \"gpt9\"");
    check_gguf_change("smollm.gguf", "ggml.merges", "ggml.marges", "merges is missing");
    check_gguf_change("smollm.gguf", "ggml.tokens", "ggml.takens", "no tokenizer is inside");
    check_gguf_change("spm.gguf", "ggml.scores", "ggml.scares", "scores has no number for token 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_is_good),
        cmocka_unit_test(each_change_is_named),
        cmocka_unit_test(an_id_is_its_last_tokens),
        cmocka_unit_test(strange_documents),
        cmocka_unit_test(every_cut_of_a_json_is_refused),
        cmocka_unit_test(models_survive_cuts_and_flips),
        cmocka_unit_test(gguf_vocabularies_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
