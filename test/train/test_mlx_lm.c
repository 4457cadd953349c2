/* --preset mlx-lm against mlx_lm.lora itself (tools/make_mlx_train_goldens.py): the rows of every
 * batch, the adapter's start bit for bit, the learning rates, and whole runs: losses, validation
 * losses, and the adapter that is left. */
#include "golden_case.h"

#include "base/file.h"
#include "base/sha.h"
#include "conf/conf.h"
#include "hone/train.h"
#include "train/order.h"
#include "train/rate.h"

#include <stdlib.h>
#include <unistd.h>

#define FOLDER HN_TEST_DIR "/train/mlx_lm/"

/* mlx computes in float32 as hone does, and its sums run in other orders. */
static const double max_loss = 1e-4; /* absolute, of losses of about 5 */
/* Relative L2 per tensor.  Adam divides each gradient by its own size, so one within rounding of
 * zero may move by the learning rate either way. */
static const double max_adapter = 1e-3;

struct facts {
    struct hn_arena arena;
    struct hn_json *cases;
};

static void open_facts(struct facts *f, const char *name)
{
    struct hn_buf text = {0};
    struct hone_err err = {0};
    char path[GOLDEN_PATH_SIZE];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    hn_arena_init(&f->arena, 0);
    if (hn_file_read(path, 1 << 24, &text, &err) ||
        hn_json_parse(&f->arena, hn_buf_str(&text), text.len, 0, &f->cases, &err))
        fail_msg("%s: %s", path, err.message);
    hn_buf_release(&text);
}

static int64_t whole(const struct hn_json *j, const char *key)
{
    int64_t v;
    if (!hn_json_int(hn_json_get(j, key), &v))
        fail_msg("\"%s\" is no whole number", key);
    return v;
}

static double real(const struct hn_json *j)
{
    double v;
    if (!hn_json_float(j, &v))
        fail_msg("not a number");
    return v;
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static void same_rows(const struct hn_json *want, const uint64_t *got, int64_t n, int64_t iter)
{
    assert_int_equal(want->n, n);
    for (size_t i = 0; i < want->n; i++) {
        int64_t row;
        assert_true(hn_json_int(hn_json_at(want, i), &row));
        if ((uint64_t)row != got[i])
            fail_msg("iteration %lld: row %zu is %llu, in mlx_lm %lld", (long long)iter, i,
                     (unsigned long long)got[i], (long long)row);
    }
}

static void check_order(const struct hn_json *c)
{
    const struct hn_json *keys = hn_json_get(c, "keys"), *its = hn_json_get(c, "iterations");
    struct hone_train_options o;
    struct hn_run_length length;
    struct hn_order order;
    struct hone_err err = {0};
    uint16_t *n_keys = hn_calloc(keys->n, sizeof *n_keys);
    for (size_t i = 0; i < keys->n; i++)
        n_keys[i] = (uint16_t)real(hn_json_at(keys, i));
    hone_train_defaults(&o);
    o.batch_order = HONE_ORDER_MLX;
    o.step_rule = HONE_STEPS_MLX;
    o.eval_strategy = HONE_STEPS;
    o.eval_on_start = true;
    o.seed = (uint64_t)whole(c, "seed");
    o.iters = whole(c, "iters");
    o.batch_size = whole(c, "batch_size");
    o.val_batches = whole(c, "val_batches");
    o.steps_per_eval = whole(c, "steps_per_eval");
    hn_run_length(&o, (int64_t)keys->n, &length);
    if (hn_order_init(&order, &o, &length, (int64_t)keys->n, n_keys, whole(c, "valid"), NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(its->n, o.iters);
    for (int64_t iter = 1; iter <= o.iters; iter++) {
        const struct hn_json *it = hn_json_at(its, (size_t)iter - 1);
        const struct hn_json *valid = hn_json_get(it, "valid");
        int64_t at = (iter - 1) % length.micro_per_epoch;
        if (valid) {
            assert_true(hn_mlx_validates(&o, &length, iter));
            hn_order_valid(&order, iter);
            assert_int_equal(order.n_validated, (int64_t)valid->n * o.batch_size);
            for (size_t b = 0; b < valid->n; b++)
                same_rows(hn_json_at(valid, b), order.valid + (int64_t)b * o.batch_size,
                          o.batch_size, iter);
        } else {
            assert_true(order.n_valid == 0 || !hn_mlx_validates(&o, &length, iter));
        }
        hn_order_epoch(&order, (iter - 1) / length.micro_per_epoch);
        same_rows(hn_json_get(it, "rows"), order.rows + at * o.batch_size, o.batch_size, iter);
    }
    hn_order_release(&order);
    hn_free(n_keys);
}

static void batches(void **state)
{
    struct facts f;
    (void)state;
    open_facts(&f, "orders");
    assert_true(f.cases->n >= 6);
    for (size_t i = 0; i < f.cases->n; i++)
        check_order(hn_json_at(f.cases, i));
    hn_arena_release(&f.arena);
}

static void too_few_rows(void **state)
{
    struct hone_train_options o;
    struct hn_run_length length;
    struct hn_order order;
    struct hone_err err = {0};
    (void)state;
    hone_train_defaults(&o);
    o.batch_order = HONE_ORDER_MLX;
    o.batch_size = 4;
    hn_run_length(&o, 3, &length);
    assert_int_equal(hn_order_init(&order, &o, &length, 3, NULL, 0, NULL, &err), HONE_USAGE);
    assert_non_null(strstr(err.message, "3 rows of training data make none of 4"));
    hn_order_release(&order);
    o.seed = (uint64_t)1 << 32;
    assert_int_equal(hn_order_init(&order, &o, &length, 8, NULL, 0, NULL, &err), HONE_USAGE);
    assert_non_null(strstr(err.message, "below 4294967296"));
    hn_order_release(&order);
}

/* ---- starts -----------------------------------------------------------------------------------
 */

static void check_module(struct hone_model *m, const struct hn_json_member *want)
{
    struct hn_sha sha;
    char got[HN_SHA256_HEX], path[96];
    struct hone_err err;
    struct hn_lora *lo = NULL;
    for (int64_t i = 0; i < m->spec.n_layers * HN_LINEAR_COUNT && !lo; i++) {
        enum hn_linear_id id = (enum hn_linear_id)(i % HN_LINEAR_COUNT);
        hn_linear_path(i / HN_LINEAR_COUNT, id, path);
        if (hn_str_is(want->key, path))
            lo = hn_adapters_get(m, i / HN_LINEAR_COUNT, id);
    }
    if (!lo)
        fail_msg("%s has no adapter", want->key.p);
    const struct hn_tensor *t = &lo->a->part[HN_PART_PARAM];
    size_t n = (size_t)(t->rows * t->cols);
    float *a = hn_calloc(n, sizeof *a);
    assert_int_equal(m->backend->read(m->dev, t, a, &err), 0);
    hn_sha256_init(&sha);
    for (int64_t c = 0; c < t->cols; c++) /* [in, R] */
        for (int64_t r = 0; r < t->rows; r++)
            hn_sha_add(&sha, &a[r * t->cols + c], sizeof *a);
    hn_sha_finish(&sha, got);
    if (!hn_json_is(hn_json_get(&want->value, "sha256"), got))
        fail_msg("%s: lora_a starts otherwise: its first value is %.9g, mlx_lm's is %.9g",
                 want->key.p, (double)a[0], real(hn_json_get(&want->value, "first")));
    hn_free(a);
}

static void starts(void **state)
{
    struct facts f;
    (void)state;
    open_facts(&f, "starts");
    assert_true(f.cases->n >= 8);
    for (size_t i = 0; i < f.cases->n; i++) {
        const struct hn_json *c = hn_json_at(f.cases, i), *keys = hn_json_get(c, "keys");
        const struct hn_json *modules = hn_json_get(c, "modules");
        const char *targets[8];
        char path[GOLDEN_PATH_SIZE];
        struct hone_model *m;
        struct hone_err err = {0};
        snprintf(path, sizeof path, HN_TEST_DIR "/golden/%s", hn_json_get(c, "model")->text.p);
        assert_true(keys->n <= 8);
        for (size_t k = 0; k < keys->n; k++)
            targets[k] = hn_json_at(keys, k)->text.p;
        const struct hn_adapter_config config = {.rank = whole(c, "rank"),
                                                 .scale = 20,
                                                 .targets = targets,
                                                 .n_targets = keys->n,
                                                 .num_layers = whole(c, "num_layers"),
                                                 .seed = (uint64_t)whole(c, "seed"),
                                                 .mlx_start = true};
        if (hone_model_open(&m, path, NULL, &err) || hn_adapters_make(m, &config, &err))
            fail_msg("%s: %s", path, err.message);
        assert_int_equal(m->adapters.n_present, modules->n);
        for (size_t k = 0; k < modules->n; k++)
            check_module(m, &modules->members[k]);
        hone_model_close(&m);
    }
    hn_arena_release(&f.arena);
}

/* ---- runs -------------------------------------------------------------------------------------
 */

enum { MAX_REPORTS = 32 };

struct seen {
    double loss[MAX_REPORTS], rate[MAX_REPORTS], valid[MAX_REPORTS];
    int64_t tokens[MAX_REPORTS], valid_iter[MAX_REPORTS];
    size_t n, n_valid;
};

static int on_event(void *arg, const struct hone_train_event *e)
{
    struct seen *s = arg;
    if (e->kind == HONE_TRAIN_REPORT && s->n < MAX_REPORTS) {
        s->loss[s->n] = e->loss;
        s->rate[s->n] = e->learning_rate;
        s->tokens[s->n++] = e->tokens;
    }
    if (e->kind == HONE_TRAIN_EVAL && s->n_valid < MAX_REPORTS) {
        s->valid[s->n_valid] = e->val_loss;
        s->valid_iter[s->n_valid++] = e->iter;
    }
    return 0;
}

/* The case's options as a config file of mlx_lm.lora, in YAML's flow style. */
static void write_config(const struct hn_json *c, const char *dir, char *path, size_t size)
{
    struct hn_buf text = {0};
    struct hone_err err;
    snprintf(path, size, "%s/config.yaml", dir);
    hn_buf_printf(&text,
                  "preset: mlx-lm\nmodel: " FOLDER "model\ndata: " FOLDER
                  "%s\nadapter_path: %s/out\nsteps_per_report: 1\n",
                  hn_json_get(c, "data")->text.p, dir);
    const struct hn_json *options = hn_json_get(c, "options");
    for (size_t i = 0; i < options->n; i++) {
        hn_buf_printf(&text, "%s: ", options->members[i].key.p);
        hn_json_dump(&text, &options->members[i].value, -1, true, false);
        hn_buf_add_char(&text, '\n');
    }
    assert_int_equal(hn_file_write(path, text.data, text.len, &err), 0);
    hn_buf_release(&text);
}

/* Worst relative distance of the adapters' tensors. */
static double distance(const char *mine, const char *theirs)
{
    struct hn_safetensors a, b;
    struct hone_err err = {0};
    double worst = 0;
    if (hn_st_open(&a, mine, &err) || hn_st_open(&b, theirs, &err))
        fail_msg("%s", err.message);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        const struct hn_st_tensor *t = &a.tensors[i], *u = hn_st_find(&b, t->name);
        assert_true(u && u->n_elements == t->n_elements && u->size == t->size);
        float *x = hn_calloc(2 * (size_t)t->n_elements, sizeof *x), *y = x + t->n_elements;
        memcpy(x, t->data, t->size);
        memcpy(y, u->data, u->size);
        worst = fmax(worst, golden_l2(x, 1, y, t->n_elements));
        hn_free(x);
    }
    hn_st_release(&a);
    hn_st_release(&b);
    return worst;
}

static void compare(const struct hn_json *c, const struct seen *s, const char *name)
{
    const struct hn_json *losses = hn_json_get(c, "losses"), *valid = hn_json_get(c, "valid");
    double loss = 0, val = 0, rate = 0;
    assert_int_equal(s->n, losses->n);
    assert_int_equal(s->n_valid, valid->n);
    for (size_t i = 0; i < s->n; i++) {
        double want = real(hn_json_at(hn_json_get(c, "rates"), i));
        loss = fmax(loss, fabs(s->loss[i] - real(hn_json_at(losses, i))));
        rate = fmax(rate, fabs(s->rate[i] - want) / want);
        assert_false(isnan(s->loss[i]));
        assert_int_equal(s->tokens[i], (int64_t)real(hn_json_at(hn_json_get(c, "tokens"), i)));
    }
    for (size_t i = 0; i < s->n_valid; i++) {
        const struct hn_json *pair = hn_json_at(valid, i); /* mlx_lm counts it one lower */
        assert_int_equal(s->valid_iter[i], (int64_t)real(hn_json_at(pair, 0)) + 1);
        val = fmax(val, fabs(s->valid[i] - real(hn_json_at(pair, 1))));
        assert_false(isnan(s->valid[i]));
    }
    print_message("%-8s losses %.1e  validation %.1e  rates %.1e\n", name, loss, val, rate);
    assert_true(loss <= max_loss && val <= max_loss);
    assert_true(rate <= 1e-5); /* mlx's cosine is of float32 */
}

static void remove_tree(const char *path)
{
    char **names;
    size_t n;
    struct hone_err err;
    if (hn_dir_exists(path) && hn_dir_list(path, &names, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++) {
            char *child = hn_path_join(path, names[i]);
            remove_tree(child);
            hn_free(child);
        }
        hn_free(names);
    }
    remove(path);
}

static void runs(void **state)
{
    struct facts f;
    (void)state;
    open_facts(&f, "runs");
    assert_true(f.cases->n >= 5);
    for (size_t i = 0; i < f.cases->n; i++) {
        const struct hn_json *c = hn_json_at(f.cases, i);
        const char *name = hn_json_get(c, "name")->text.p;
        char dir[] = "/tmp/hone-mlx-XXXXXX", config[64], mine[80], theirs[GOLDEN_PATH_SIZE];
        struct hn_conf conf;
        struct hone_err err = {0};
        struct seen seen = {.n = 0};
        assert_non_null(mkdtemp(dir));
        write_config(c, dir, config, sizeof config);
        char *argv[] = {"--config", config, "--threads", "2"};
        if (hn_conf_init(&conf, HN_TRAIN, 4, argv, &err) ||
            hone_train(&conf.set.train, NULL, on_event, &seen, &err))
            fail_msg("%s: %s", name, err.message);
        compare(c, &seen, name);
        snprintf(mine, sizeof mine, "%s/out/adapters.safetensors", dir);
        snprintf(theirs, sizeof theirs, FOLDER "%s.safetensors", name);
        double far = distance(mine, theirs);
        print_message("%-8s adapter %.1e\n", name, far);
        assert_true(far <= max_adapter);
        hn_conf_release(&conf);
        remove_tree(dir);
    }
    hn_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches),
        cmocka_unit_test(too_few_rows),
        cmocka_unit_test(starts),
        cmocka_unit_test(runs),
    };
    return cmocka_run_group_tests_name("mlx_lm", tests, NULL, NULL);
}
