/* A run under --memory: it takes its micro-batches in parts, or recomputes blocks, and gives the
 * same losses; what cannot fit is refused with numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "hone/train.h"

static char root[64], data[96];

static int make_folder(void **state)
{
    (void)state;
    struct hn_buf rows = {0};
    struct hone_err err;
    snprintf(root, sizeof root, "/tmp/hone-fit-XXXXXX");
    if (!mkdtemp(root))
        return 1;
    snprintf(data, sizeof data, "%s/rows.jsonl", root);
    for (int i = 0; i < 8; i++)
        hn_buf_printf(&rows, "{\"text\": \"a row of words, number %d, %.*s\"}\n", i, 40 + 8 * i,
                      "the quick brown fox jumps over the lazy dog and then again over the dog and "
                      "again and again and again");
    int rc = hn_file_write(data, rows.data, rows.len, &err);
    hn_buf_release(&rows);
    return rc;
}

struct seen {
    struct hone_memory_plan plan;
    double losses[4], norms[4];
    int n;
};

static int watch(void *arg, const struct hone_train_event *e)
{
    struct seen *s = arg;
    if (e->kind == HONE_TRAIN_PLAN)
        s->plan = *e->plan;
    if (e->kind == HONE_TRAIN_REPORT && s->n < 4) {
        s->losses[s->n] = e->loss;
        s->norms[s->n++] = e->grad_norm;
    }
    return 0;
}

/* Each run in a process of its own, so that what earlier runs left in the heap does not count. */
static int run(const struct hone_train_options *o, struct seen *s, struct hone_err *err)
{
    struct shared {
        struct seen seen;
        struct hone_err err;
        int rc;
    } *out = mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    assert_true(out != MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        out->rc = hone_train(o, NULL, watch, &out->seen, &out->err);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    *s = out->seen;
    *err = out->err;
    int rc = out->rc;
    munmap(out, sizeof *out);
    return rc;
}

static void check_same(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->n, 4);
    assert_int_equal(b->n, 4);
    for (int i = 0; i < 4; i++)
        /* the same sums in another order: 4 steps of float32 rounding */
        if (fabs(a->losses[i] - b->losses[i]) > 1e-5 ||
            fabs(a->norms[i] - b->norms[i]) > 1e-5 * a->norms[i] + 1e-7)
            fail_msg("step %d: loss %.9g and %.9g, norm %.9g and %.9g", i + 1, a->losses[i],
                     b->losses[i], a->norms[i], b->norms[i]);
}

static void fits_what_can_fit(void **state)
{
    (void)state;
    struct hone_train_options o;
    struct hone_err err = {0};
    struct seen whole, parts, blocks;
    char out[96];
    snprintf(out, sizeof out, "%s/out", root);
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/mlx-q4";
    o.data = data;
    o.adapter_path = out;
    o.batch_size = 8;
    o.max_steps = 4;
    o.steps_per_report = 1;
    o.lora_dropout = 0.1; /* masks do not depend on how a micro-batch is divided */
    o.learning_rate = 1e-2;
    o.save_strategy = HONE_NEVER;
    o.device.n_threads = 1;
    if (run(&o, &whole, &err))
        fail_msg("%s", err.message);
    assert_int_equal(whole.plan.checkpointing, HONE_CHECKPOINT_NONE);
    int64_t all = whole.plan.max_tokens;

    o.memory = whole.plan.total - (whole.plan.kept + whole.plan.working) / 3;
    if (run(&o, &parts, &err))
        fail_msg("%s", err.message);
    assert_int_equal(parts.plan.checkpointing, HONE_CHECKPOINT_NONE);
    assert_true(parts.plan.max_tokens < all && parts.plan.total <= o.memory);
    check_same(&whole, &parts);

    const enum hone_checkpointing levels[] = {HONE_CHECKPOINT_FFN, HONE_CHECKPOINT_BLOCKS,
                                              HONE_CHECKPOINT_SEGMENTS};
    uint64_t before = whole.plan.total;
    for (size_t i = 0; i < 3; i++) {
        o.memory = 0;
        o.grad_checkpoint = levels[i];
        if (run(&o, &blocks, &err))
            fail_msg("%s", err.message);
        assert_int_equal(blocks.plan.checkpointing, levels[i]);
        assert_true(blocks.plan.total < before || i == 2); /* too few blocks here for segments */
        check_same(&whole, &blocks);
        before = blocks.plan.total;
    }

    o.memory = 1000000; /* less than the program itself */
    o.grad_checkpoint = HONE_CHECKPOINT_AUTO;
    assert_int_equal(run(&o, &parts, &err), HONE_FAILED);
    assert_non_null(strstr(err.message, "are allowed by --memory"));
    assert_non_null(strstr(err.message, "use a smaller"));
    assert_null(strstr(err.message, "--max-seq-length")); /* shorter rows would not help */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fits_what_can_fit)};
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
