/* Full fine-tuning: which weights decay, and that the embedding's moments are float32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/safetensors.h"
#include "hone/train.h"

static const double rate = 1e-2, decay = 0.5;

static void step(const char *root, const char *name, double weight_decay, bool decay_norms,
                 struct hn_safetensors *st)
{
    struct hone_train_options o;
    struct hone_err err = {0};
    char data[96], out[96], file[160];
    snprintf(data, sizeof data, "%s/rows.jsonl", root);
    snprintf(out, sizeof out, "%s/%s", root, name);
    snprintf(file, sizeof file, "%s/adapters.safetensors", out);
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/qwen3-v4";
    o.data = data;
    o.adapter_path = out;
    o.fine_tune_type = HONE_FULL;
    o.optimizer = HONE_SGD;
    o.learning_rate = rate;
    o.weight_decay = weight_decay;
    o.decay_norms = decay_norms;
    o.max_steps = 1;
    o.device.n_threads = 1;
    if (hone_train(&o, NULL, NULL, NULL, &err) || hn_st_open(st, file, &err))
        fail_msg("%s", err.message);
}

static float at(const struct hn_st_tensor *t, int64_t i)
{
    return hn_dtype_load(t->dtype, t->data, (size_t)i);
}

/* One step of SGD with decay, beside the same step without: p' - p'_decayed = rate * decay * p
 * where a weight decays, 0 to the last bit where it does not. */
static void decays_what_is_asked_for(void **state)
{
    (void)state;
    static const char rows[] = "{\"text\": \"abcdef\"}\n{\"text\": \"fedcba\"}\n";
    char root[] = "/tmp/hone-decay-XXXXXX", path[96];
    struct hone_err err = {0};
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/rows.jsonl", root);
    assert_int_equal(hn_file_write(path, rows, sizeof rows - 1, &err), 0);
    struct hn_safetensors without, with[2];
    step(root, "without", 0, false, &without);
    step(root, "with", decay, false, &with[0]);
    step(root, "norms", decay, true, &with[1]);
    int n_vectors = 0;
    for (size_t i = 0; i < without.n; i++) {
        const struct hn_st_tensor *t = &without.tensors[i];
        bool vector = t->n_dims == 1;
        n_vectors += vector;
        for (int k = 0; k < 2; k++) {
            const struct hn_st_tensor *d = hn_st_find(&with[k], t->name);
            bool same = true;
            assert_non_null(d);
            for (int64_t j = 0; j < t->n_elements; j++) {
                /* of the weight before the step, which a clipped gradient moves by rate at most */
                double fell = (double)at(t, j) - (double)at(d, j);
                same &= fell == 0;
                if (fabs(fell - rate * decay * (double)at(t, j)) > rate * decay * rate * 2 &&
                    !(vector && k == 0))
                    fail_msg("%s[%lld] fell by %g of %g", t->name, (long long)j, fell,
                             (double)at(t, j));
            }
            if (same != (vector && k == 0))
                fail_msg("%s %s", t->name, same ? "did not decay" : "decayed");
        }
    }
    assert_true(n_vectors >= 5);
    hn_st_release(&without);
    hn_st_release(&with[0]);
    hn_st_release(&with[1]);
    assert_int_equal(hn_dir_remove(root, &err), 0);
}

/* A second moment in 8 bits rounds to 0 beside the large ones of its block, and the step becomes
 * m/eps.  A step of AdamW is at most rate (1 - beta1)/sqrt(1 - beta2), about 3.2 rates. */
static void embedding_takes_small_steps(void **state)
{
    (void)state;
    enum { STEPS = 4 };
    static const char rows[] = "{\"text\": \"abcdefgh\"}\n{\"text\": \"ghijkl\"}\n";
    char root[] = "/tmp/hone-embed-XXXXXX", data[96], out[96], file[160];
    struct hone_train_options o;
    struct hone_err err = {0};
    struct hn_safetensors base, tuned;
    assert_non_null(mkdtemp(root));
    snprintf(data, sizeof data, "%s/rows.jsonl", root);
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(file, sizeof file, "%s/adapters.safetensors", out);
    assert_int_equal(hn_file_write(data, rows, sizeof rows - 1, &err), 0);
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/llama-tied";
    o.data = data;
    o.adapter_path = out;
    o.fine_tune_type = HONE_FULL;
    o.optimizer = HONE_ADAMW_8BIT;
    o.learning_rate = 1e-3;
    o.max_steps = STEPS;
    o.device.n_threads = 1;
    if (hone_train(&o, NULL, NULL, NULL, &err) || hn_st_open(&tuned, file, &err) ||
        hn_st_open(&base, HN_TEST_DIR "/golden/llama-tied/model.safetensors", &err))
        fail_msg("%s", err.message);
    const struct hn_st_tensor *b = hn_st_find(&base, "model.embed_tokens.weight"),
                              *t = hn_st_find(&tuned, "model.embed_tokens.weight");
    assert_true(b && t && b->n_elements == t->n_elements && t->n_elements >= 4096);
    double most = 0;
    for (int64_t i = 0; i < t->n_elements; i++)
        most = fmax(most, fabs((double)at(t, i) - (double)at(b, i)));
    if (most == 0 || most > STEPS * 3.2 * o.learning_rate)
        fail_msg("the embedding moved by %g", most);
    hn_st_release(&base);
    hn_st_release(&tuned);
    assert_int_equal(hn_dir_remove(root, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decays_what_is_asked_for),
                                       cmocka_unit_test(embedding_takes_small_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
