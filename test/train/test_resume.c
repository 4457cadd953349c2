/* A run that is killed at any moment and resumed gives, bit for bit, the losses and the adapter of
 * the run that was left alone; a stop that was asked for saves and goes on the same way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "hone/train.h"

enum { ROWS = 13, STEPS = 14 };

struct folder {
    char root[64], data[96];
};

static void write_rows(struct folder *f)
{
    struct hn_buf text = {0};
    struct hone_err err;
    snprintf(f->root, sizeof f->root, "/tmp/hone-resume-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->data, sizeof f->data, "%s/rows.jsonl", f->root);
    for (int i = 0; i < ROWS; i++)
        hn_buf_printf(&text, "{\"text\": \"row %d goes %.*s\"}\n", i, 3 + i,
                      "abcdefghijklmnopqrstuvw");
    assert_int_equal(hn_file_write(f->data, text.data, text.len, &err), 0);
    hn_buf_release(&text);
}

static struct hone_train_options options(const struct folder *f, const char *out)
{
    struct hone_train_options o;
    hone_train_defaults(&o);
    o.model = HN_TEST_DIR "/golden/mlx-q4";
    o.data = f->data;
    o.adapter_path = out;
    o.valid_fraction = 0.2;
    o.learning_rate = 1e-2;
    o.batch_size = 2;
    o.grad_accumulation_steps = 2;
    o.max_steps = STEPS;
    o.steps_per_report = 3;
    o.eval_strategy = HONE_STEPS;
    o.steps_per_eval = 4;
    o.save_strategy = HONE_STEPS;
    o.save_every = 2;
    o.device.n_threads = 1;
    return o;
}

static void must_train(const struct hone_train_options *o)
{
    struct hone_err err = {0};
    if (hone_train(o, NULL, NULL, NULL, &err))
        fail_msg("%s", err.message);
}

static void read_all(const char *dir, const char *name, struct hn_buf *out)
{
    char path[160];
    struct hone_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hn_file_read(path, 1 << 26, out, &err))
        fail_msg("%s", err.message);
}

/* The metrics without what depends on the clock and the process. */
static void read_losses(const char *dir, struct hn_buf *out)
{
    static const char *const keys[] = {"step", "epoch", "loss", "val_loss", "grad_norm", "tokens"};
    struct hn_buf text = {0};
    read_all(dir, "metrics.jsonl", &text);
    for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
        struct hn_arena arena;
        struct hn_json *j;
        struct hone_err err;
        hn_arena_init(&arena, 0);
        assert_int_equal(hn_json_parse(&arena, line, (size_t)(end - line), 0, &j, &err), 0);
        for (size_t k = 0; k < HN_COUNT(keys); k++) {
            const struct hn_json *v = hn_json_get(j, keys[k]);
            if (v)
                hn_buf_printf(out, "%s %s ", keys[k], v->text.p);
        }
        hn_buf_add_char(out, '\n');
        hn_arena_release(&arena);
    }
    hn_buf_release(&text);
}

static void check_same(const char *want_dir, const char *got_dir, const char *what)
{
    struct hn_buf want = {0}, got = {0};
    read_losses(want_dir, &want);
    read_losses(got_dir, &got);
    if (strcmp(hn_buf_str(&want), hn_buf_str(&got)) != 0)
        fail_msg("%s: losses differ:\n%s----\n%s", what, want.data, got.data);
    hn_buf_clear(&want);
    hn_buf_clear(&got);
    read_all(want_dir, "adapters.safetensors", &want);
    read_all(got_dir, "adapters.safetensors", &got);
    if (want.len != got.len || memcmp(want.data, got.data, want.len) != 0)
        fail_msg("%s: the adapters differ", what);
    hn_buf_release(&want);
    hn_buf_release(&got);
}

/* -------------------------------------------------------------------------------------------- */

static int die_at(void *arg, const struct hone_train_event *e)
{
    int *left = arg;
    (void)e;
    if ((*left)-- == 0)
        raise(SIGKILL);
    return 0;
}

/* Run in a child that kills itself at its event number k; true when it was killed. */
static bool killed_at_event(const struct hone_train_options *o, int k)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hone_err err;
        _exit(hone_train(o, NULL, die_at, &k, &err) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status);
}

static void killed_after(const struct hone_train_options *o, long microseconds)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hone_err err;
        _exit(hone_train(o, NULL, NULL, NULL, &err) ? 1 : 0);
    }
    const struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&t, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void resumes_after_every_event(void **state)
{
    (void)state;
    struct folder f;
    char whole[96], part[96];
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    struct hone_train_options o = options(&f, whole);
    must_train(&o);
    bool killed = true;
    int k = 0;
    for (; killed; k += 3) {
        snprintf(part, sizeof part, "%s/part%d", f.root, k);
        o = options(&f, part);
        killed = killed_at_event(&o, k);
        o.resume = true;
        must_train(&o);
        check_same(whole, part, part);
    }
    assert_true(k > 30); /* every part of the run was met */
}

/* mlx_lm's order and rule: one stream of random numbers behind batches and validations, steps that
 * reach across epochs, validations before their iterations, SGD's momentum and a rate that falls.
 */
static void resumes_as_mlx_lm(void **state)
{
    static const char *const kwargs[] = {"patience=0"};
    (void)state;
    struct folder f;
    char whole[96], part[96];
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    struct hone_train_options o = options(&f, whole);
    o.batch_order = HONE_ORDER_MLX;
    o.step_rule = HONE_STEPS_MLX;
    o.adapter_start = HONE_START_MLX;
    o.train_padding = true;
    o.eval_on_start = true;
    o.val_batches = 1;
    o.max_steps = 0;
    o.iters = 33; /* the last one updates nothing */
    o.optimizer = HONE_SGD;
    o.momentum = 0.9;
    o.lr_scheduler_type = HONE_PLATEAU;
    o.lr_scheduler_kwargs = kwargs;
    o.n_lr_scheduler_kwargs = 1;
    const struct hone_train_options as = o;
    must_train(&o);
    bool killed = true;
    int k = 1;
    for (; killed; k += 7) {
        snprintf(part, sizeof part, "%s/part%d", f.root, k);
        o = as;
        o.adapter_path = part;
        killed = killed_at_event(&o, k);
        o.resume = true;
        must_train(&o);
        check_same(whole, part, part);
    }
    assert_true(k > 30);
}

/* Moments in 8 bits, rows grouped by length, a checkpoint where the loss is lowest. */
static void resumes_in_8_bits(void **state)
{
    static const char *const target = "all-linear";
    (void)state;
    struct folder f;
    char whole[96], part[96];
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    struct hone_train_options o = options(&f, whole);
    o.optimizer = HONE_ADAMW_8BIT;
    o.lora_rank = 64; /* large enough that 8 bits are used */
    o.target_modules = &target;
    o.n_target_modules = 1;
    o.group_by_length = true;
    o.save_strategy = HONE_BEST;
    const struct hone_train_options as = o;
    must_train(&o);
    bool killed = true;
    int k = 1;
    for (; killed; k += 9) {
        snprintf(part, sizeof part, "%s/part%d", f.root, k);
        o = as;
        o.adapter_path = part;
        killed = killed_at_event(&o, k);
        o.resume = true;
        must_train(&o);
        check_same(whole, part, part);
    }
    assert_true(k > 27);
}

/* The weights themselves, with each kind of state; *state: the optimizer. */
static void resumes_in_full(void **state)
{
    (void)state;
    struct folder f;
    char whole[96], part[96];
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    struct hone_train_options o = options(&f, whole);
    o.model = HN_TEST_DIR "/golden/llama-tied"; /* its embedding is large enough for 8 bits */
    o.fine_tune_type = HONE_FULL;
    o.optimizer = (enum hone_optimizer)(uintptr_t)*state;
    o.learning_rate = o.optimizer == HONE_SGD ? 0.5 : 1e-3;
    o.max_steps = 6;
    const struct hone_train_options as = o;
    must_train(&o);
    bool killed = true;
    int k = 1;
    for (; killed; k += 5) {
        snprintf(part, sizeof part, "%s/part%d", f.root, k);
        o = as;
        o.adapter_path = part;
        killed = killed_at_event(&o, k);
        o.resume = true;
        must_train(&o);
        check_same(whole, part, part);
    }
    assert_true(k > 10);
}

static void resumes_after_any_moment(void **state)
{
    (void)state;
    struct folder f;
    char whole[96], part[96];
    struct hn_rng rng;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_nsec;
    print_message("seed %llu\n", (unsigned long long)seed);
    hn_rng_init(&rng, seed, 0);
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    struct hone_train_options o = options(&f, whole);
    must_train(&o);
    snprintf(part, sizeof part, "%s/part", f.root);
    o = options(&f, part);
    o.resume = true; /* from the start, too: there is nothing to resume from at first */
    for (int i = 0; i < 8; i++)
        killed_after(&o, 3000 + (long)hn_rng_below(&rng, 60000));
    must_train(&o);
    check_same(whole, part, part);
}

/* The checkpoint of the last step is written, the adapter at the top is still an older one. */
static void a_checkpoint_without_its_adapter(void **state)
{
    (void)state;
    struct folder f;
    char whole[96], part[96], from[160], to[160];
    struct hone_err err = {0};
    struct hn_buf old = {0};
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    snprintf(part, sizeof part, "%s/part", f.root);
    struct hone_train_options o = options(&f, whole);
    must_train(&o);
    o.adapter_path = part;
    must_train(&o);
    static const char *const names[] = {"adapters.safetensors", "adapter_model.safetensors"};
    for (size_t i = 0; i < HN_COUNT(names); i++) {
        snprintf(from, sizeof from, "%s/checkpoints/%07d/%s", part, STEPS - 2, names[i]);
        snprintf(to, sizeof to, "%s/%s", part, names[i]);
        hn_buf_clear(&old);
        assert_int_equal(hn_file_read(from, 1 << 26, &old, &err), 0);
        assert_int_equal(hn_file_write(to, old.data, old.len, &err), 0);
    }
    hn_buf_release(&old);
    o.resume = true;
    must_train(&o);
    check_same(whole, part, part);
}

static int stop_at(void *arg, const struct hone_train_event *e)
{
    int *step = arg;
    return e->kind == HONE_TRAIN_PROGRESS && e->step >= *step;
}

static void a_stop_saves_and_goes_on(void **state)
{
    (void)state;
    struct folder f;
    char whole[96], part[96];
    struct hone_err err = {0};
    int step = 5;
    write_rows(&f);
    snprintf(whole, sizeof whole, "%s/whole", f.root);
    snprintf(part, sizeof part, "%s/part", f.root);
    struct hone_train_options o = options(&f, whole);
    must_train(&o);
    o.adapter_path = part;
    assert_int_equal(hone_train(&o, NULL, stop_at, &step, &err), HONE_INTERRUPTED);
    assert_non_null(strstr(err.message, "stopped at step 6 of 14"));
    assert_non_null(strstr(err.message, "--resume"));
    o.resume = true;
    must_train(&o);
    check_same(whole, part, part);
}

/* DoRA's lengths and whole weights go on as a LoRA does: stopped, and killed at any event. */
static void every_type_goes_on(void **state)
{
    (void)state;
    static const struct {
        enum hone_fine_tune_type type;
        const char *model;
    } types[] = {{HONE_DORA, HN_TEST_DIR "/golden/mlx-q4"},
                 {HONE_FULL, HN_TEST_DIR "/golden/qwen3-v4"}};
    for (size_t i = 0; i < HN_COUNT(types); i++) {
        struct folder f;
        char whole[96], part[96];
        struct hone_err err = {0};
        int step = 5;
        write_rows(&f);
        snprintf(whole, sizeof whole, "%s/whole", f.root);
        struct hone_train_options o = options(&f, whole);
        o.model = types[i].model;
        o.fine_tune_type = types[i].type;
        must_train(&o);
        snprintf(part, sizeof part, "%s/part", f.root);
        o.adapter_path = part;
        assert_int_equal(hone_train(&o, NULL, stop_at, &step, &err), HONE_INTERRUPTED);
        o.resume = true;
        must_train(&o);
        check_same(whole, part, part);
        for (int k = 4; k < 40; k += 9) {
            snprintf(part, sizeof part, "%s/killed%d", f.root, k);
            o.resume = false;
            (void)killed_at_event(&o, k);
            o.resume = true;
            must_train(&o);
            check_same(whole, part, part);
        }
    }
}

static void another_run_is_not_resumed(void **state)
{
    (void)state;
    struct folder f;
    char out[96];
    struct hone_err err = {0};
    write_rows(&f);
    snprintf(out, sizeof out, "%s/out", f.root);
    struct hone_train_options o = options(&f, out);
    o.max_steps = 2;
    must_train(&o);
    o.resume = true;
    o.batch_size = 1;
    assert_int_equal(hone_train(&o, NULL, NULL, NULL, &err), HONE_USAGE);
    assert_non_null(strstr(err.message, "batch_size was 2, now it is 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumes_after_every_event),
        cmocka_unit_test(resumes_as_mlx_lm),
        cmocka_unit_test(resumes_in_8_bits),
        {"full, adamw: resumes", resumes_in_full, NULL, NULL, (void *)(uintptr_t)HONE_ADAMW},
        {"full, adamw_8bit: resumes", resumes_in_full, NULL, NULL,
         (void *)(uintptr_t)HONE_ADAMW_8BIT},
        {"full, sgd: resumes", resumes_in_full, NULL, NULL, (void *)(uintptr_t)HONE_SGD},
        cmocka_unit_test(resumes_after_any_moment),
        cmocka_unit_test(a_checkpoint_without_its_adapter),
        cmocka_unit_test(a_stop_saves_and_goes_on),
        cmocka_unit_test(every_type_goes_on),
        cmocka_unit_test(another_run_is_not_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
