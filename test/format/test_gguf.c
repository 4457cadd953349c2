/* GGUF: every type of metadata, and what is refused and how it says so. */
#include "golden.h"
#include "format/gguf.h"

static void open_types(struct hn_gguf *g)
{
    struct hone_err err = {0};
    if (hn_gguf_open(g, DATA "types.gguf", &err))
        fail_msg("%s", err.message);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"t.u8", 200},           {"t.i8", -100},        {"t.u16", 60000},
                {"t.i16", -30000},       {"t.u32", 4000000000}, {"t.i32", -2000000000},
                {"t.i64", INT64_MIN / 2}};
    struct hn_gguf g;
    open_types(&g);
    int64_t i;
    double d;
    bool b;
    struct hn_str s;
    for (size_t k = 0; k < HN_COUNT(ints); k++) {
        assert_true(hn_gguf_int(hn_gguf_get(&g, ints[k].key), &i) && i == ints[k].value);
        assert_true(hn_gguf_float(hn_gguf_get(&g, ints[k].key), &d) && d == (double)i);
    }
    assert_false(hn_gguf_int(hn_gguf_get(&g, "t.u64"), &i)); /* 2^63 + 5 */
    assert_false(hn_gguf_int(hn_gguf_get(&g, "t.f32"), &i));
    assert_false(hn_gguf_int(hn_gguf_get(&g, "t.absent"), &i));
    assert_true(hn_gguf_float(hn_gguf_get(&g, "t.f32"), &d) && d == (double)0.1f);
    assert_true(hn_gguf_float(hn_gguf_get(&g, "t.f64"), &d) && d == 0.1);
    assert_true(hn_gguf_bool(hn_gguf_get(&g, "t.true"), &b) && b);
    assert_true(hn_gguf_bool(hn_gguf_get(&g, "t.false"), &b) && !b);
    assert_false(hn_gguf_bool(hn_gguf_get(&g, "t.u8"), &b));
    assert_true(hn_gguf_str(hn_gguf_get(&g, "t.string"), &s));
    assert_true(hn_str_is(s, "h\xc3\xa9llo \xf0\x9f\x98\x80"));
    assert_int_equal(g.version, 3);
    assert_int_equal(g.alignment, 32);
    hn_gguf_release(&g);
}

static void test_arrays(void **state)
{
    (void)state;
    struct hn_gguf g;
    open_types(&g);
    int64_t i;
    double d;
    struct hn_str s;
    const struct hn_gguf_value *ints = hn_gguf_get(&g, "t.ints");
    assert_int_equal(hn_gguf_count(ints, HN_GGUF_I32), 3);
    assert_int_equal(hn_gguf_count(ints, HN_GGUF_STRING), 0);
    assert_true(hn_gguf_int_at(ints, 1, &i) && i == -2);
    assert_false(hn_gguf_int_at(ints, 3, &i));
    assert_false(hn_gguf_int_at(NULL, 0, &i));
    assert_true(hn_gguf_float_at(hn_gguf_get(&g, "t.floats"), 1, &d) && d == -1.5);
    const struct hn_gguf_value *strings = hn_gguf_get(&g, "t.strings");
    assert_false(hn_gguf_int_at(strings, 0, &i));
    struct hn_gguf_items it = hn_gguf_items(strings);
    assert_true(hn_gguf_next_str(&it, &s) && hn_str_is(s, "a"));
    assert_true(hn_gguf_next_str(&it, &s) && s.n == 0);
    assert_true(hn_gguf_next_str(&it, &s) && hn_str_is(s, "\xe4\xb8\xad\xe6\x96\x87"));
    assert_false(hn_gguf_next_str(&it, &s));
    struct hn_gguf_value inner;
    it = hn_gguf_items(hn_gguf_get(&g, "t.nested"));
    static const uint64_t lengths[] = {2, 1, 3};
    int64_t expected = 1;
    for (int k = 0; k < 3; k++) {
        assert_true(hn_gguf_next(&it, &inner));
        assert_int_equal(inner.n, lengths[k]);
        for (uint64_t j = 0; j < inner.n; j++, expected++)
            assert_true(hn_gguf_int_at(&inner, j, &i) && i == expected);
    }
    assert_false(hn_gguf_next(&it, &inner));
    it = hn_gguf_items(hn_gguf_get(&g, "t.u8"));
    assert_false(hn_gguf_next(&it, &inner));
    hn_gguf_release(&g);
}

/* A file written field by field. */
static void add(struct hn_buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        hn_buf_add_char(b, i < 8 ? (char)(v >> (8 * i)) : 0);
}

static void add_name(struct hn_buf *b, const char *s)
{
    add(b, strlen(s), 8);
    hn_buf_add_str(b, s);
}

static void begin(struct hn_buf *b, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    hn_buf_init(b);
    hn_buf_add_str(b, "GGUF");
    add(b, version, 4);
    add(b, tensors, 8);
    add(b, pairs, 8);
}

/* One tensor info of one or two dimensions (rows 0: one). */
static void add_tensor(struct hn_buf *b, const char *name, uint64_t cols, uint64_t rows,
                       uint32_t type, uint64_t offset)
{
    add_name(b, name);
    add(b, rows ? 2 : 1, 4);
    add(b, cols, 8);
    if (rows)
        add(b, rows, 8);
    add(b, type, 4);
    add(b, offset, 8);
}

/* Pads to the alignment and adds n bytes of data, then opens; releases b. */
static void expect(struct hn_buf *b, size_t n, const char *words)
{
    while (b->len % 32)
        hn_buf_add_char(b, 0);
    for (size_t i = 0; i < n; i++)
        hn_buf_add_char(b, 1);
    assert_false(b->failed);
    unsigned char *copy = hn_calloc(b->len, 1); /* of just that size, for the sanitizer */
    assert_non_null(copy);
    memcpy(copy, b->data, b->len);
    struct hn_gguf g;
    struct hone_err err = {0};
    int rc = hn_gguf_open_memory(&g, copy, b->len, "F", &err);
    if (words && !rc)
        fail_msg("accepted, expected: %s", words);
    if (!words && rc)
        fail_msg("%s", err.message);
    if (words) {
        expect_message(err.message, "F");
        expect_message(err.message, words);
    }
    hn_gguf_release(&g);
    hn_free(copy);
    hn_buf_release(b);
}

static void test_refused_headers(void **state)
{
    (void)state;
    static const struct {
        const char *magic;
        uint32_t version;
        uint64_t tensors, pairs;
        const char *words;
    } cases[] = {
        {"GGUX", 3, 0, 0, "GGUF"},
        {"lmgg", 1, 0, 0, "before GGUF"},
        {"tjgg", 3, 0, 0, "before GGUF"},
        {"GGUF", 1, 0, 0, "version 1"},
        {"GGUF", 4, 0, 0, "version 4"},
        {"GGUF", 0x03000000, 0, 0, "big-endian"},
        {"GGUF", 0x02000000, 0, 0, "big-endian"},
        {"GGUF", 3, UINT64_MAX, 0, "tensors|more than"},
        {"GGUF", 3, 0, UINT64_MAX, "metadata entries|more than"},
        {"GGUF", 3, 0, 1000, "metadata entries|more than"},
        {"GGUF", 3, 1000, 0, "tensors|more than"},
    };
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        struct hn_buf b;
        begin(&b, cases[i].version, cases[i].tensors, cases[i].pairs);
        memcpy(b.data, cases[i].magic, 4);
        expect(&b, 0, cases[i].words);
    }
    struct hn_gguf g;
    struct hone_err err = {0};
    assert_int_equal(hn_gguf_open_memory(&g, "GGUF\3", 5, "F", &err), HONE_FAILED);
    expect_message(err.message, "5 bytes");
    assert_int_equal(hn_gguf_open_memory(&g, NULL, 0, "F", &err), HONE_FAILED);
}

static void test_refused_metadata(void **state)
{
    (void)state;
    struct hn_buf b;
    begin(&b, 3, 0, 1);
    add_name(&b, "");
    add(&b, 0, 13);
    expect(&b, 0, "empty");
    begin(&b, 3, 0, 1);
    add_name(&b, "\xff\xfe");
    add(&b, 0, 13);
    expect(&b, 0, "UTF-8");
    begin(&b, 3, 0, 1);
    add(&b, UINT64_MAX - 3, 8);
    add(&b, 0, 40);
    expect(&b, 0, "metadata|cut short");
    begin(&b, 3, 0, 1);
    add_name(&b, "k");
    add(&b, 13, 4);
    add(&b, 0, 8);
    expect(&b, 0, "\"k\"|type 13");
    begin(&b, 3, 0, 1);
    add_name(&b, "k");
    add(&b, HN_GGUF_STRING, 4);
    add(&b, UINT64_MAX, 8);
    expect(&b, 0, "\"k\"|fit");
    for (uint32_t item = 0; item <= HN_GGUF_TYPE_COUNT; item++) { /* arrays of 2^61 items */
        begin(&b, 3, 0, 1);
        add_name(&b, "k");
        add(&b, HN_GGUF_ARRAY, 4);
        add(&b, item, 4);
        add(&b, (uint64_t)1 << 61, 8);
        expect(&b, 0, "\"k\"|fit");
    }
    begin(&b, 3, 0, 1); /* [[[[[[…]]]]]] */
    add_name(&b, "k");
    add(&b, HN_GGUF_ARRAY, 4);
    for (int i = 0; i < 1000; i++) {
        add(&b, HN_GGUF_ARRAY, 4);
        add(&b, 1, 8);
    }
    expect(&b, 0, "\"k\"|nests");
    begin(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        add_name(&b, "twice");
        add(&b, HN_GGUF_U8, 4);
        add(&b, 1, 1);
    }
    expect(&b, 0, "\"twice\"");
    static const uint32_t alignments[] = {0, 3, 33, 1u << 31};
    for (size_t i = 0; i < HN_COUNT(alignments); i++) {
        begin(&b, 3, 0, 1);
        add_name(&b, "general.alignment");
        add(&b, HN_GGUF_U32, 4);
        add(&b, alignments[i], 4);
        expect(&b, 0, "alignment|power of two");
    }
}

static void test_refused_tensors(void **state)
{
    (void)state;
    static const struct {
        uint64_t cols, rows;
        uint32_t type;
        uint64_t offset;
        size_t data;
        const char *words;
    } cases[] = {
        {4, 2, 0, 0, 32, NULL},
        {4, 2, 0, 0, 31, "\"t\"|past the end"},
        {4, 2, 0, 16, 64, "\"t\"|alignment"},
        {4, 2, 0, 32, 32, "\"t\"|past the end"},
        {4, 2, 0, UINT64_MAX - 31, 32, "\"t\"|past the end"},
        {4, 2, 57, 0, 32, "\"t\"|number 57"},
        {32, 2, 4, 0, 64, "\"t\"|Q4_2|removed"},
        {32, 2, 31, 0, 64, "\"t\"|Q4_0_4_4|removed"},
        {33, 2, 2, 0, 64, "\"t\"|33|Q4_0"},
        {128, 2, 12, 0, 512, "\"t\"|128|Q4_K"},
        {(uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0, 64, "\"t\"|more elements"},
        {0, (uint64_t)1 << 62, 0, 0, 64, "\"t\"|more elements"},
        {(uint64_t)1 << 63, 1, 0, 0, 64, "\"t\"|too large"},
        {(uint64_t)1 << 40, 1, 0, 0, 64, "\"t\"|past the end"},
    };
    struct hn_buf b;
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        begin(&b, i % 2 ? 2 : 3, 1, 0);
        add_tensor(&b, "t", cases[i].cols, cases[i].rows, cases[i].type, cases[i].offset);
        expect(&b, cases[i].data, cases[i].words);
    }
    begin(&b, 3, 2, 0);
    add_tensor(&b, "one", 16, 0, 0, 0);
    add_tensor(&b, "two", 16, 0, 0, 32);
    expect(&b, 96, "\"one\"|\"two\"|overlap");
    begin(&b, 3, 2, 0);
    add_tensor(&b, "same", 8, 0, 0, 0);
    add_tensor(&b, "same", 8, 0, 0, 32);
    expect(&b, 64, "\"same\"|twice");
    begin(&b, 3, 1, 0);
    add_name(&b, "t");
    add(&b, 5, 4);
    add(&b, 0, 64);
    expect(&b, 64, "\"t\"|5 dimensions");
}

static void test_truncated(void **state)
{
    (void)state;
    struct hn_map map;
    struct hone_err err = {0};
    assert_int_equal(hn_map_open(&map, DATA "types.gguf", &err), 0);
    for (size_t n = 0; n < map.size; n += n < 3000 ? 1 : 61) {
        unsigned char *p = hn_calloc(n, 1);
        struct hn_gguf g;
        assert_non_null(p);
        memcpy(p, map.data, n);
        assert_int_equal(hn_gguf_open_memory(&g, p, n, "F", &err), HONE_FAILED);
        hn_free(p);
    }
    hn_map_close(&map);
}

static void test_types(void **state)
{
    (void)state;
    assert_string_equal(hn_ggml_type_name(12), "Q4_K");
    assert_string_equal(hn_ggml_type_name(39), "MXFP4");
    assert_string_equal(hn_ggml_type_name(99), "unknown");
    assert_null(hn_ggml_type(99));
    assert_int_equal(hn_ggml_type(14)->block_size, 210);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),          cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_refused_headers), cmocka_unit_test(test_refused_metadata),
        cmocka_unit_test(test_refused_tensors), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
