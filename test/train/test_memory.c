/* A steady step allocates nothing; and whichever allocation of a run fails, the run ends with one
 * sentence and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_hook.h"
#include "base/file.h"
#include "hone/train.h"
#include "model/batch.h"
#include "model/decoder.h"

static char root[64], data[96], out[96];

static int make_folder(void **state)
{
    (void)state;
    static const char rows[] =
        "{\"text\": \"one two three\"}\n{\"text\": \"four five six seven\"}\n"
        "{\"text\": \"eight nine\"}\n";
    struct hone_err err;
    snprintf(root, sizeof root, "/tmp/hone-memory-XXXXXX");
    if (!mkdtemp(root))
        return 1;
    snprintf(data, sizeof data, "%s/rows.jsonl", root);
    snprintf(out, sizeof out, "%s/out", root);
    return hn_file_write(data, rows, sizeof rows - 1, &err);
}

static struct hone_train_options options(void)
{
    struct hone_train_options o;
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/mlx-q4";
    o.data = data;
    o.adapter_path = out;
    o.max_steps = 6;
    o.steps_per_report = 100;
    o.save_strategy = HONE_NEVER;
    o.device.n_threads = 1;
    return o;
}

/* Three steps of forward, backward and update, after a first one. */
static void steady(const char *model, const struct hn_adapter_config *config,
                   enum hn_moments moments)
{
    static const int32_t ids[] = {5, 9, 3, 7, 1, 2, 8, 4};
    const struct hn_decoder_options o = {
        .purpose = HN_FOR_TRAINING, .max_tokens = 16, .max_rows = 16, .max_seqs = 2};
    const struct hn_adamw adamw = {.learning_rate = 1e-3,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8,
                                   .step = 1,
                                   .grad_scale = 1};
    struct hone_model *m;
    struct hn_plan plan, *plans[] = {&plan};
    struct hn_batch_rows rows;
    struct hn_tensor *lists[4][256];
    struct hone_err err = {0};
    void *arena;
    long before = 0;
    if (!alloc_hook_works())
        skip();
    assert_int_equal(hone_model_open(&m, model, NULL, &err), 0);
    m->moments = moments;
    assert_int_equal(hn_adapters_make(m, config, &err), 0);
    bool codes = moments == HN_MOMENTS_8BIT;
    assert_int_equal(hn_decoder_plan(m, &o, &plan, &err), 0);
    assert_int_equal(hn_plan_bind(plans, 1, m->backend, m->dev, &arena, &err), 0);
    assert_int_equal(hn_batch_init(&rows, 16, 2, &err), 0);
    assert_true(m->adapters.n_params <= 256);
    for (int part = 0; part < 4; part++)
        for (size_t i = 0; i < m->adapters.n_params; i++)
            lists[part][i] = &m->adapters.params[i].part[part];
    for (int step = 0; step < 4; step++) {
        size_t n = m->adapters.n_params;
        double squares;
        if (step == 1)
            before = atomic_load(&alloc_count);
        hn_batch_clear(&rows);
        hn_batch_add(&rows, ids, 8, NULL);
        hn_batch_add(&rows, ids, 5 + step % 2, NULL);
        assert_int_equal(hn_plan_run(&plan, m->backend, m->dev, &rows.batch, &err), 0);
        assert_int_equal(m->backend->sum_squares(m->dev, lists[1], n, &squares, &err), 0);
        assert_true(squares > 0);
        (codes ? m->backend->adamw8 : m->backend->adamw)(m->dev, lists[0], lists[1], lists[2],
                                                         lists[3], n, &adamw);
        hn_adapters_refresh(m);
        assert_int_equal(m->backend->eval(m->dev, &err), 0);
    }
    long made = atomic_load(&alloc_count) - before;
    hn_batch_release(&rows);
    hn_plan_release(&plan);
    m->backend->unbind(m->dev, &arena);
    hone_model_close(&m);
    if (made)
        fail_msg("three steps made %ld allocations", made);
}

static void a_steady_step_allocates_nothing(void **state)
{
    (void)state;
    static const char *const target = "all-linear";
    struct hn_adapter_config config = {
        .rank = 4, .alpha = 8, .dropout = 0.1f, .targets = &target, .n_targets = 1};
    steady(HN_TEST_DIR "/golden/mlx-q4", &config, HN_MOMENTS_TWO);
    config.use_dora = true;
    steady(HN_TEST_DIR "/golden/mlx-q4", &config, HN_MOMENTS_TWO);
    config.full = true;
    steady(HN_TEST_DIR "/golden/qwen3-v4", &config, HN_MOMENTS_TWO);
    steady(HN_TEST_DIR "/golden/llama-tied", &config, HN_MOMENTS_8BIT);
}

/* *state: the fine_tune_type. */
static void every_failed_allocation_is_survived(void **state)
{
    struct hone_train_options o = options();
    if (!alloc_hook_works())
        skip();
    o.fine_tune_type = (enum hone_fine_tune_type)(uintptr_t)*state;
    if (o.fine_tune_type == HONE_FULL)
        o.model = HN_TEST_DIR "/golden/qwen3-v4";
    o.max_steps = 1;
    const char *all = getenv("HN_TORTURE"); /* each one instead of a sample */
    int rc = -1;
    long n = 1;
    for (bool met = true; met; n += all || n < 200 ? 1 : 1 + n / 20) {
        struct hone_err err = {0};
        atomic_store(&alloc_count, 0);
        atomic_store(&alloc_fail_at, n);
        rc = hone_train(&o, NULL, NULL, NULL, &err);
        atomic_store(&alloc_fail_at, 0);
        met = atomic_load(&alloc_count) >= n;
        if (rc && !err.message[0])
            fail_msg("allocation %ld failed without a word", n);
        if (n > 1000000)
            fail_msg("the run never ends");
    }
    assert_int_equal(rc, 0); /* the last round met no failure */
    print_message("%ld allocations\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_step_allocates_nothing),
        {"lora: every failed allocation is survived", every_failed_allocation_is_survived, NULL,
         NULL, (void *)(uintptr_t)HONE_LORA},
        {"dora: every failed allocation is survived", every_failed_allocation_is_survived, NULL,
         NULL, (void *)(uintptr_t)HONE_DORA},
        {"full: every failed allocation is survived", every_failed_allocation_is_survived, NULL,
         NULL, (void *)(uintptr_t)HONE_FULL},
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
