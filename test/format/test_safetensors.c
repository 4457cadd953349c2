/* safetensors: what is read, what is refused and how it says so, and that what is written reads
 * back. */
#include "golden.h"
#include <stdlib.h>
#include <unistd.h>

/* The bytes of a file with this header and n_data bytes after it, in a block of just that size. */
static unsigned char *build(const char *header, size_t n_header, size_t n_data, size_t *size)
{
    *size = 8 + n_header + n_data;
    unsigned char *p = hn_calloc(*size, 1);
    assert_non_null(p);
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)((uint64_t)n_header >> (8 * i));
    memcpy(p + 8, header, n_header);
    return p;
}

static void refuse(const char *header, size_t n_data, const char *words)
{
    size_t size;
    unsigned char *p = build(header, strlen(header), n_data, &size);
    struct hn_safetensors st;
    struct hone_err err = {0};
    if (hn_st_open_memory(&st, p, size, "F", &err) == 0)
        fail_msg("accepted: %s", header);
    expect_message(err.message, "F");
    expect_message(err.message, words);
    assert_int_equal(st.n, 0);
    hn_st_release(&st);
    hn_free(p);
}

#define T(rest) "{\"x\":{" rest "}}"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *words;
    } cases[] = {
        {"", 0, "{"},
        {" {}", 0, "{"},
        {"[]", 0, "{"},
        {"{", 0, "header|expected"},
        {"{}", 1, "end at byte 0|has 1"},
        {"{\"x\":1}", 0, "\"x\"|an integer|an object"},
        {T(""), 0, "\"x\"|dtype|nothing"},
        {T("\"dtype\":5,\"shape\":[],\"data_offsets\":[0,4]"), 4, "dtype|a string"},
        {T("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "shape|an array"},
        {T("\"dtype\":\"F32\",\"shape\":[1]"), 4, "data_offsets"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"extra\":1"), 4, "\"extra\""},
        {T("\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "\"F31\""},
        {T("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4, "non-negative"},
        {T("\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]"), 4, "integer"},
        {T("\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]"), 4, "integer"},
        {T("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4,
         "9 dimensions"},
        {T("\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]"), 4,
         "more elements"},
        {T("\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]"), 0,
         "more elements"},
        {T("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]"), 4,
         "integer"},
        {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "4 bytes|need 8"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 3, "ends at byte 4|only 3"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 5, "end at byte 4|has 5"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, "data_offsets"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "data_offsets"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "data_offsets"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]"), 5, "begins at byte 1|hole"},
        {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775806,"
           "9223372036854775807]"),
         4, "cut short"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "\"b\"|overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "\"a\""},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "dtype"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "NUL"},
        {"{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "header"},
        {"{\"__metadata__\":[]}", 0, "__metadata__|an array"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__.a|an integer|a string"},
        {"{}x", 0, "header"},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++)
        refuse(cases[i].header, cases[i].n_data, cases[i].words);
}

static void test_refused_lengths(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[16];
        size_t n;
        const char *words;
    } cases[] = {
        {{0}, 0, "0 bytes are too few"},
        {{2, 0, 0, 0, 0, 0, 0}, 7, "7 bytes are too few"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "3 bytes long|after 2"},
        {{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'}, 10, "at most"},
        {{255, 255, 255, 1, 0, 0, 0, 0, '{', '}'}, 10, "cut short"},
        {{0, 0, 0, 0, 0, 0, 0, 0}, 8, "{"},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hn_safetensors st;
        struct hone_err err = {0};
        assert_int_equal(hn_st_open_memory(&st, cases[i].bytes, cases[i].n, "F", &err),
                         HONE_FAILED);
        expect_message(err.message, cases[i].words);
    }
    char deep[4000];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"x\":", 5);
    deep[sizeof deep - 1] = 0;
    refuse(deep, 0, "header|deep");
}

static void test_accepted(void **state)
{
    (void)state;
    static const char header[] =
        "{\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[4,4]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"\\u00e9\":{\"data_offsets\":[4,7],\"shape\":[3],\"dtype\":\"F8_E4M3\"}}  \n";
    size_t size;
    unsigned char *p = build(header, sizeof header - 1, 7, &size);
    struct hn_safetensors st;
    struct hone_err err = {0};
    struct hn_str format;
    if (hn_st_open_memory(&st, p, size, "F", &err))
        fail_msg("%s", err.message);
    assert_int_equal(st.n, 3);
    assert_string_equal(st.tensors[0].name, "empty");
    const struct hn_st_tensor *scalar = hn_st_find(&st, "z"), *f8 = hn_st_find(&st, "\xc3\xa9");
    assert_true(scalar && scalar->n_dims == 0 && scalar->n_elements == 1 && scalar->size == 4);
    assert_true(f8 && f8->dtype == HN_F8_E4M3 && f8->data == p + size - 3);
    assert_int_equal(hn_st_find(&st, "empty")->n_elements, 0);
    assert_null(hn_st_find(&st, "y"));
    assert_true(hn_st_metadata(&st, "format", &format) && hn_str_is(format, "pt"));
    assert_false(hn_st_metadata(&st, "other", &format));
    hn_st_release(&st);
    hn_free(p);
    static const char null[] = "{\"__metadata__\":null}";
    p = build(null, sizeof null - 1, 0, &size);
    assert_int_equal(hn_st_open_memory(&st, p, size, "F", &err), 0);
    assert_int_equal(st.n, 0);
    assert_false(hn_st_metadata(&st, "format", &format));
    hn_st_release(&st);
    hn_free(p);
}

/* No prefix of a good file is a good file, and none makes us read past it. */
static void test_truncated(void **state)
{
    (void)state;
    struct hn_map map;
    struct hone_err err = {0};
    assert_int_equal(hn_map_open(&map, DATA "peft/adapter_model.safetensors", &err), 0);
    for (size_t n = 0; n < map.size; n += n < 4096 ? 1 : 97) {
        unsigned char *p = hn_calloc(n, 1);
        struct hn_safetensors st;
        assert_non_null(p);
        memcpy(p, map.data, n);
        assert_int_equal(hn_st_open_memory(&st, p, n, "F", &err), HONE_FAILED);
        hn_free(p);
    }
    hn_map_close(&map);
}

static void test_round_trip(void **state)
{
    (void)state;
    char dir[] = "/tmp/hone-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.safetensors", dir);
    static const float a[] = {1, 2, 3, 4, 5, 6};
    static const unsigned char b[] = {9, 8, 7};
    static const int64_t a_shape[] = {2, 3}, b_shape[] = {3}, none[] = {0};
    static const struct hn_st_entry entries[] = {{"w\"\xc3\xa9", HN_F32, 2, a_shape, a},
                                                 {"b", HN_U8, 1, b_shape, b},
                                                 {"e", HN_BF16, 1, none, NULL}};
    static const struct hn_st_pair metadata[] = {{"format", "pt"}, {"k", "v\n"}};
    struct hone_err err = {0};
    struct hn_str s;
    if (hn_st_write(path, entries, 3, metadata, 2, &err))
        fail_msg("%s", err.message);
    struct hn_safetensors st;
    open_golden(&st, path);
    assert_int_equal(st.n, 3);
    const struct hn_st_tensor *t = golden(&st, "w\"\xc3\xa9");
    assert_int_equal((uintptr_t)t->data % 8, 0);
    assert_true(t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    assert_memory_equal(t->data, a, sizeof a);
    assert_memory_equal(golden(&st, "b")->data, b, sizeof b);
    assert_true(hn_st_metadata(&st, "k", &s) && hn_str_is(s, "v\n"));
    hn_st_release(&st);

    /* what was promised and not written leaves the old file */
    struct hn_st_writer w;
    assert_int_equal(hn_st_writer_open(&w, path, entries, 1, NULL, 0, &err), 0);
    hn_st_writer_add(&w, a, sizeof a - 1);
    assert_int_equal(hn_st_writer_commit(&w, &err), HONE_FAILED);
    expect_message(err.message, path);
    open_golden(&st, path);
    assert_int_equal(st.n, 3);
    hn_st_release(&st);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* and no temporary file */
    assert_int_equal(hn_st_open(&st, path, &err), HONE_NOT_FOUND);
    expect_message(err.message, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_refused_lengths),
        cmocka_unit_test(test_accepted),   cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
