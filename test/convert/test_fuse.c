/* hone_fuse: W + scale B A in what is written, and everything else as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/file.h"
#include "format/adapter.h"
#include "format/bundle.h"
#include "hone/fuse.h"

enum { MAX_COLS = 256 };
static char scratch[] = "/tmp/hone-fuse-XXXXXX";

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    (void)state;
    return hn_dir_remove(scratch, NULL);
}

static void path_of(char out[512], const char *golden, const char *inside)
{
    snprintf(out, 512, "%s/golden/%s%s", HN_TEST_DIR, golden, inside);
}

struct fused {
    char base_path[512], adapter_path[512], output[512];
    struct hn_bundle *base, *output_bundle;
    struct hn_adapter_file adapter;
    struct hone_convert_report report;
};

static void fuse(struct fused *f, const char *golden, enum hone_model_format to,
                 enum hone_weight_type type)
{
    struct hone_model *model = NULL;
    struct hone_err err = {0};
    size_t n = 0;
    *f = (struct fused){0};
    path_of(f->base_path, golden, "");
    path_of(f->adapter_path, golden, "/adapter");
    snprintf(f->output, sizeof f->output, "%s/%s-%d%d", scratch, golden, (int)to, (int)type);
    const struct hone_convert_options o = {
        .output = f->output, .to = to, .type = type, .n_threads = 2};
    if (hone_model_open(&model, f->base_path, NULL, &err) ||
        hone_model_load_adapter(model, f->adapter_path, &err) ||
        hone_fuse(model, &o, NULL, NULL, &n, &f->report, &err) ||
        hn_bundle_open(&f->base, f->base_path, &err) ||
        hn_bundle_open(&f->output_bundle, f->output, &err) ||
        hn_adapter_read(&f->adapter, f->adapter_path, &err))
        fail_msg("%s: %s", golden, err.message);
    assert_int_equal(n, f->adapter.n);
    hone_model_close(&model);
}

static void release(struct fused *f)
{
    hone_convert_report_release(&f->report);
    hn_adapter_release(&f->adapter);
    hn_bundle_close(&f->base);
    hn_bundle_close(&f->output_bundle);
}

static struct hn_matrix matrix(const struct hn_bundle *b, const char *name)
{
    struct hn_matrix m;
    struct hone_err err = {0};
    if (hn_bundle_matrix(b, name, &m, &err))
        fail_msg("%s", err.message);
    return m;
}

static const struct hn_adapter_module *module_of(const struct fused *f, const char *name)
{
    size_t n = strlen(name) - strlen(".weight");
    for (size_t i = 0; i < f->adapter.n; i++)
        if (strncmp(f->adapter.modules[i].path, name, n) == 0 && !f->adapter.modules[i].path[n])
            return &f->adapter.modules[i];
    return NULL;
}

/* How far a matrix is from W + scale B A at most, beyond what `rounding` of its values allows. */
static double worst(const struct fused *f, const char *name, const struct hn_adapter_module *m,
                    double rounding)
{
    struct hn_matrix w = matrix(f->base, name), out = matrix(f->output_bundle, name);
    float x[MAX_COLS], y[MAX_COLS];
    double most = 0;
    assert_int_equal(w.rows, out.rows);
    assert_int_equal(w.cols, out.cols);
    assert_true(w.cols <= MAX_COLS);
    for (int64_t i = 0; i < w.rows; i++) {
        hn_matrix_decode(&w, i, 0, w.cols, x);
        hn_matrix_decode(&out, i, 0, w.cols, y);
        for (int64_t k = 0; k < w.cols; k++) {
            double sum = 0;
            for (int64_t r = 0; m && r < m->rank; r++)
                sum += (double)m->b[i * m->rank + r] * (double)m->a[r * w.cols + k];
            double want = (double)x[k] + (m ? m->scale * sum : 0);
            most = fmax(most, fabs((double)y[k] - want) - rounding * fabs(want));
        }
    }
    return most;
}

/* Every matrix of the base: changed ones within tolerance (and really changed), others the same. */
static void check(const struct fused *f, double tolerance, double rounding)
{
    size_t changed = 0;
    for (size_t i = 0; i < hn_bundle_n_tensors(f->base); i++) {
        struct hn_bundle_tensor t;
        hn_bundle_tensor(f->base, i, &t);
        size_t n = strlen(t.name);
        if (t.n_dims != 2 || n < 7 || strcmp(t.name + n - 7, ".weight") != 0)
            continue;
        const struct hn_adapter_module *m = module_of(f, t.name);
        double off = worst(f, t.name, m, m ? rounding : 0);
        if (off > (m ? tolerance : 0))
            fail_msg("%s is %g off", t.name, off);
        changed += m && worst(f, t.name, NULL, 0) > 1e-3;
    }
    assert_int_equal(changed, f->adapter.n);
}

static void floats_are_the_sum_and_the_rest_is_the_base_s(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double rounding;
    } goldens[] = {{"llama-tied", 0}, {"qwen3", 0x1p-8} /* bfloat16 */};
    for (size_t i = 0; i < HN_COUNT(goldens); i++) {
        struct fused f;
        fuse(&f, goldens[i].name, HONE_FORMAT_HF, HONE_TYPE_AUTO);
        assert_int_equal(f.report.kept, f.report.matrices - f.adapter.n);
        check(&f, 1e-6, goldens[i].rounding);
        release(&f);
    }
}

static void quantised_weights_stay_so(void **state)
{
    (void)state;
    struct fused f;
    struct hn_bundle_info base, out;
    fuse(&f, "mlx-q8", HONE_FORMAT_MLX, HONE_TYPE_AUTO);
    hn_bundle_info(f.base, &base);
    hn_bundle_info(f.output_bundle, &out);
    assert_string_equal(base.quantization, out.quantization);
    assert_int_equal(f.report.quantized, f.adapter.n);
    assert_int_equal(f.report.kept, f.report.matrices - f.adapter.n);
    check(&f, 8e-3,
          0); /* half a step of 8 bits, and the scale's rounding, on weights of this size */
    release(&f);
}

static void a_model_without_an_adapter_is_refused(void **state)
{
    (void)state;
    struct hone_model *model = NULL;
    struct hone_err err = {0};
    char path[512];
    path_of(path, "llama-tied", "");
    const struct hone_convert_options o = {.output = "/nowhere/fused", .to = HONE_FORMAT_HF};
    assert_int_equal(hone_model_open(&model, path, NULL, &err), 0);
    assert_int_equal(hone_fuse(model, &o, NULL, NULL, NULL, NULL, &err), HONE_USAGE);
    assert_non_null(strstr(err.message, "has no adapter that could be fused into it"));
    hone_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_the_sum_and_the_rest_is_the_base_s),
        cmocka_unit_test(quantised_weights_stay_so),
        cmocka_unit_test(a_model_without_an_adapter_is_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
