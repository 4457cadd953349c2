/* Early stopping, and the best adapter left at the end: on a run whose validation loss must rise,
 * because a model learns by heart rows that the held-out rows contradict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "hone/train.h"

struct seen {
    int64_t steps, best_step;
    double best, after_best[8];
    int n_after;
    bool early, best_left;
};

static int watch(void *arg, const struct hone_train_event *e)
{
    struct seen *s = arg;
    if (e->kind == HONE_TRAIN_EVAL) {
        if (e->best)
            s->best = e->val_loss, s->best_step = e->step, s->n_after = 0;
        else if (s->n_after < 8)
            s->after_best[s->n_after++] = e->val_loss;
    }
    if (e->kind == HONE_TRAIN_NOTE) {
        s->early |= strstr(e->text, "stopped early") != NULL;
        s->best_left |= strstr(e->text, "best validation's") != NULL;
    }
    s->steps = e->step > s->steps ? e->step : s->steps;
    return 0;
}

static void read_file(const char *dir, const char *name, struct hn_buf *out)
{
    char path[200];
    struct hone_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hn_file_read(path, 1 << 26, out, &err))
        fail_msg("%s", err.message);
}

static void stops_and_leaves_the_best(void **state)
{
    (void)state;
    static const char train[] = "{\"text\": \"aaaa bbbb aaaa bbbb aaaa bbbb\"}\n",
                      valid[] = "{\"text\": \"aaaa cccc bbbb dddd cccc aaaa\"}\n";
    char root[] = "/tmp/hone-early-XXXXXX", out[96], dir[160], path[160];
    struct hone_err err = {0};
    struct seen s = {0};
    struct hone_train_options o;
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/train.jsonl", root);
    assert_int_equal(hn_file_write(path, train, sizeof train - 1, &err), 0);
    snprintf(path, sizeof path, "%s/valid.jsonl", root);
    assert_int_equal(hn_file_write(path, valid, sizeof valid - 1, &err), 0);
    snprintf(out, sizeof out, "%s/out", root);
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/mlx-q4";
    o.data = root;
    o.adapter_path = out;
    o.learning_rate = 5e-2;
    o.max_steps = 200;
    o.eval_strategy = HONE_STEPS;
    o.steps_per_eval = 2;
    o.save_strategy = HONE_NEVER;
    o.early_stopping_patience = 3;
    o.load_best_model_at_end = true;
    o.device.n_threads = 1;
    if (hone_train(&o, NULL, watch, &s, &err))
        fail_msg("%s", err.message);
    assert_true(s.early && s.best_left && s.steps < 200);
    assert_int_equal(s.n_after, 3);
    assert_int_equal(s.steps, s.best_step + 6);
    for (int i = 0; i < 3; i++)
        assert_true(s.after_best[i] >= s.best);
    struct hn_buf left = {0}, best = {0}, last = {0};
    read_file(out, "adapters.safetensors", &left);
    snprintf(dir, sizeof dir, "%s/checkpoints/%07d", out, (int)s.best_step);
    read_file(dir, "adapters.safetensors", &best);
    snprintf(dir, sizeof dir, "%s/checkpoints/%07d", out, (int)s.steps);
    read_file(dir, "adapters.safetensors", &last);
    assert_true(left.len == best.len && memcmp(left.data, best.data, best.len) == 0);
    assert_true(last.len == best.len && memcmp(last.data, best.data, best.len) != 0);
    hn_buf_release(&left);
    hn_buf_release(&best);
    hn_buf_release(&last);
}

/* As transformers' EarlyStoppingCallback: a loss that falls, but by less than the threshold, is the
 * best, and does not count for the patience. */
static void falls_too_slowly(void **state)
{
    (void)state;
    static const char rows[] = "{\"text\": \"aaaa bbbb aaaa bbbb aaaa bbbb\"}\n";
    char root[] = "/tmp/hone-early-XXXXXX", out[96], path[160];
    struct hone_err err = {0};
    struct seen s = {0};
    struct hone_train_options o;
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/rows.jsonl", root);
    assert_int_equal(hn_file_write(path, rows, sizeof rows - 1, &err), 0);
    snprintf(out, sizeof out, "%s/out", root);
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/mlx-q4";
    o.data = o.valid_data = path; /* a loss that is learnt by heart falls every time */
    o.adapter_path = out;
    o.learning_rate = 1e-3;
    o.max_steps = 20;
    o.eval_strategy = HONE_STEPS;
    o.steps_per_eval = 1;
    o.save_strategy = HONE_NEVER;
    o.early_stopping_patience = 3;
    o.early_stopping_threshold = 100;
    o.device.n_threads = 1;
    if (hone_train(&o, NULL, watch, &s, &err))
        fail_msg("%s", err.message);
    assert_true(s.early);
    assert_int_equal(s.steps, 4); /* the first counts, the next three do not */
    assert_int_equal(s.best_step, 4);
    assert_int_equal(hn_dir_remove(root, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stops_and_leaves_the_best),
                                       cmocka_unit_test(falls_too_slowly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
