/* Every layout against what MLX and gguf-py decode, bit for bit. */
#include "golden.h"
#include "format/gguf.h"
#include "quant/affine.h"
#include "quant/matrix.h"

static void decode_all(const struct hn_matrix *m, const struct hn_st_tensor *expected)
{
    float *out = hn_calloc((size_t)(m->rows * m->cols), sizeof *out);
    assert_non_null(out);
    for (int64_t row = 0; row < m->rows; row++)
        hn_matrix_decode(m, row, 0, m->cols, out + row * m->cols);
    expect_bits(expected, out, m->rows * m->cols);
    hn_free(out);
}

static void test_affine(void **state)
{
    (void)state;
    static const int bits[] = {2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
    static const char *const types[] = {"f32", "f16", "bf16"};
    struct hn_safetensors st;
    open_golden(&st, DATA "affine.safetensors");
    int seen = 0;
    for (size_t b = 0; b < HN_COUNT(bits); b++) {
        for (size_t g = 0; g < HN_COUNT(groups); g++) {
            for (size_t t = 0; t < HN_COUNT(types); t++, seen++) {
                char name[5][64];
                static const char *const parts[] = {"weight", "scales", "biases", "expected",
                                                    "source"};
                const struct hn_st_tensor *part[5];
                for (int i = 0; i < 5; i++) {
                    snprintf(name[i], sizeof name[i], "b%d.g%d.%s.%s", bits[b], groups[g], types[t],
                             parts[i]);
                    part[i] = golden(&st, name[i]);
                }
                struct hn_matrix m = {.layout = HN_LAYOUT_AFFINE,
                                      .rows = part[0]->shape[0],
                                      .cols = part[4]->shape[1],
                                      .data = part[0]->data,
                                      .bits = bits[b],
                                      .group = groups[g],
                                      .scale_dtype = part[1]->dtype,
                                      .scales = part[1]->data,
                                      .biases = part[2]->data};
                m.row_size = hn_layout_row_size(m.layout, m.cols, m.bits);
                assert_int_equal(m.row_size * 3, part[0]->size);
                assert_int_equal(hn_matrix_size(&m), part[0]->size + part[1]->size + part[2]->size);
                decode_all(&m, part[3]);
            }
        }
    }
    assert_int_equal(seen, 54);
    hn_st_release(&st);
}

/* What hone quantises is what MLX's CPU build quantises, code by code and scale by scale. */
static void test_affine_quantise(void **state)
{
    (void)state;
    struct hn_safetensors st;
    open_golden(&st, DATA "affine.safetensors");
    int seen = 0;
    for (size_t i = 0; i < st.n; i++) {
        const struct hn_st_tensor *source = &st.tensors[i];
        int bits, group, used = 0;
        if (sscanf(source->name, "b%d.g%d.%n", &bits, &group, &used) != 2 ||
            !strstr(source->name, ".source"))
            continue;
        static const char *const parts[] = {"weight", "scales", "biases"};
        const struct hn_st_tensor *part[3];
        for (int k = 0; k < 3; k++) {
            char name[64];
            snprintf(name, sizeof name, "%.*s%s",
                     (int)(strstr(source->name, "source") - source->name), source->name, parts[k]);
            part[k] = golden(&st, name);
        }
        int64_t rows = source->shape[0], cols = source->shape[1];
        size_t code_size = part[0]->size / (size_t)rows, scale_size = part[1]->size / (size_t)rows;
        for (int64_t r = 0; r < rows; r++) {
            float w[128];
            unsigned char codes[128], scales[16], biases[16];
            for (int64_t c = 0; c < cols; c++)
                w[c] = hn_dtype_load(source->dtype, source->data, (size_t)(r * cols + c));
            hn_affine_quantize(w, cols, bits, group, source->dtype, codes, scales, biases);
            size_t at = (size_t)r;
            if (memcmp(scales, part[1]->data + at * scale_size, scale_size) ||
                memcmp(biases, part[2]->data + at * scale_size, scale_size) ||
                memcmp(codes, part[0]->data + at * code_size, code_size))
                fail_msg("%s, row %d", source->name, (int)r);
        }
        seen++;
    }
    assert_int_equal(seen, 54);
    hn_st_release(&st);
}

static void test_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum hn_layout layout;
    } cases[] = {
        {"F32", HN_LAYOUT_F32},    {"F16", HN_LAYOUT_F16},       {"BF16", HN_LAYOUT_BF16},
        {"Q4_0", HN_LAYOUT_Q4_0},  {"Q4_1", HN_LAYOUT_Q4_1},     {"Q5_0", HN_LAYOUT_Q5_0},
        {"Q5_1", HN_LAYOUT_Q5_1},  {"Q8_0", HN_LAYOUT_Q8_0},     {"Q4_K", HN_LAYOUT_Q4_K},
        {"Q5_K", HN_LAYOUT_Q5_K},  {"Q6_K", HN_LAYOUT_Q6_K},     {"Q2_K", HN_LAYOUT_Q2_K},
        {"Q3_K", HN_LAYOUT_Q3_K},  {"IQ4_NL", HN_LAYOUT_IQ4_NL}, {"IQ4_XS", HN_LAYOUT_IQ4_XS},
        {"MXFP4", HN_LAYOUT_MXFP4}};
    struct hone_err err = {0};
    struct hn_gguf g;
    struct hn_safetensors st;
    if (hn_gguf_open(&g, DATA "types.gguf", &err))
        fail_msg("%s", err.message);
    open_golden(&st, DATA "types.safetensors");
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        const struct hn_gguf_tensor *t = hn_gguf_find(&g, cases[i].name);
        assert_non_null(t);
        assert_string_equal(hn_ggml_type_name(t->type), cases[i].name);
        struct hn_matrix m = {
            .layout = cases[i].layout, .rows = t->shape[1], .cols = t->shape[0], .data = t->data};
        m.row_size = hn_layout_row_size(m.layout, m.cols, 0);
        assert_int_equal(hn_matrix_size(&m), t->size);
        decode_all(&m, golden(&st, cases[i].name));
    }
    hn_st_release(&st);
    hn_gguf_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_affine_quantise),
        cmocka_unit_test(test_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
