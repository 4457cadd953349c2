/* Config files: hone's own come back as they were written, mlx_lm's are understood, and what is
 * wrong is named by file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "conf/config_file.h"
#include "conf/yaml.h"

static void start(struct hn_conf *c, int argc, char *const *argv)
{
    struct hone_err err = {0};
    if (hn_conf_init(c, HN_TRAIN, argc, argv, &err))
        fail_msg("%s", err.message);
}

static void read_text(struct hn_conf *c, const char *text)
{
    struct hone_err err = {0};
    if (hn_config_parse(c, "x.yaml", text, strlen(text), &err))
        fail_msg("%s", err.message);
}

static void refuse(const char *text, const char *message)
{
    struct hn_conf c;
    struct hone_err err = {0};
    start(&c, 0, NULL);
    if (!hn_config_parse(&c, "x.yaml", text, strlen(text), &err))
        fail_msg("%s: was accepted", text);
    if (!strstr(err.message, message))
        fail_msg("%s: said \"%s\", not \"%s\"", text, err.message, message);
    hn_conf_release(&c);
}

static void the_line_wins_over_the_file(void **state)
{
    (void)state;
    struct hn_conf c;
    char *argv[] = {"--lora-rank", "3", "--target-modules", "q_proj"};
    start(&c, 4, argv);
    read_text(&c, "lora_rank: 5\nlearning_rate: 1e-5\ntarget_modules: [a, b]\n");
    assert_int_equal(c.set.train.lora_rank, 3);
    assert_true(c.set.train.learning_rate == 1e-5);
    assert_int_equal(c.set.train.n_target_modules, 1);
    assert_string_equal(c.set.train.target_modules[0], "q_proj");
    hn_conf_release(&c);
}

static void mlx_lm_configs_are_understood(void **state)
{
    (void)state;
    struct hn_conf c;
    start(&c, 0, NULL);
    read_text(&c, "# The path to the local model directory or Hugging Face repo.\n"
                  "model: \"mlx_model\"\n"
                  "train: true\n"
                  "fine_tune_type: lora\n"
                  "optimizer: adamw\n"
                  "optimizer_config:\n"
                  "  adamw:\n"
                  "    betas: [0.9, 0.98]\n"
                  "    eps: 1e-6\n"
                  "    weight_decay: 0.05\n"
                  "    bias_correction: true\n"
                  "  adam: {}\n"
                  "data: \"/path/to/training/data\"\n"
                  "seed: 0\n"
                  "num_layers: 16\n"
                  "batch_size: 4\n"
                  "iters: 1000\n"
                  "val_batches: 25\n"
                  "learning_rate: 1e-5\n"
                  "resume_adapter_file: null\n"
                  "adapter_path: \"adapters\"\n"
                  "save_every: 100\n"
                  "test: false\n"
                  "test_batches: 100\n"
                  "max_seq_length: 2048\n"
                  "grad_checkpoint: false\n"
                  "lora_parameters:\n"
                  "  keys: [\"self_attn.q_proj\", \"self_attn.v_proj\"]\n"
                  "  rank: 12\n"
                  "  scale: 20.0\n"
                  "  dropout: 0.0\n");
    const struct hone_train_options *t = &c.set.train;
    assert_string_equal(c.set.model, "mlx_model");
    assert_true(t->adam_beta1 == 0.9 && t->adam_beta2 == 0.98 && t->adam_epsilon == 1e-6);
    assert_true(t->weight_decay == 0.05 && t->learning_rate == 1e-5 && t->bias_correction);
    assert_int_equal(t->lora_rank, 12);
    assert_true(t->lora_scale == 20 && t->lora_dropout == 0);
    assert_int_equal(t->n_target_modules, 2);
    assert_string_equal(t->target_modules[1], "self_attn.v_proj");
    assert_int_equal(t->iters, 1000);
    assert_int_equal(t->grad_checkpoint, HONE_CHECKPOINT_NONE);
    assert_null(t->resume_adapter_file);
    hn_conf_release(&c);
}

static void schedules_are_understood(void **state)
{
    (void)state;
    struct hn_conf c;
    start(&c, 0, NULL);
    read_text(&c, "lr_schedule:\n"
                  "  name: cosine_decay\n"
                  "  warmup: 100 # steps of warm-up\n"
                  "  warmup_init: 1e-7\n"
                  "  arguments: [1e-5, 1000, 1e-7]\n");
    const struct hone_train_options *t = &c.set.train;
    assert_int_equal(t->lr_scheduler_type, HONE_COSINE_DECAY);
    assert_true(t->warmup_steps == 100);
    assert_int_equal(t->n_lr_scheduler_kwargs, 4);
    assert_string_equal(t->lr_scheduler_kwargs[0], "warmup_init=1e-7");
    assert_string_equal(t->lr_scheduler_kwargs[2], "decay_steps=1000");
    hn_conf_release(&c);
    start(&c, 0, NULL);
    read_text(&c, "lr_schedule: null\nlr_scheduler_type: polynomial\n"
                  "lr_scheduler_kwargs: {power: 2.0, lr_end: 1e-6}\n");
    assert_int_equal(t->lr_scheduler_type, HONE_POLYNOMIAL);
    assert_int_equal(t->n_lr_scheduler_kwargs, 2);
    assert_string_equal(t->lr_scheduler_kwargs[1], "lr_end=1e-6");
    hn_conf_release(&c);
    start(&c, 0, NULL);
    read_text(&c, "optimizer: sgd\n"
                  "optimizer_config: {sgd: {momentum: 0.9, dampening: 0.1}, adamw: {eps: 1e-3}}\n");
    assert_int_equal(t->optimizer, HONE_SGD);
    assert_true(t->momentum == 0.9 && t->dampening == 0.1 && t->adam_epsilon == 1e-8);
    hn_conf_release(&c);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct hn_conf a, b;
    char *argv[] = {"--model",          "some model: \"x\"\t#\xc2\x82\xe2\x80\xa8\xc3\xa9",
                    "--data",           "123",
                    "--learning-rate",  "1e-5",
                    "--iters",          "7",
                    "--scale",          "2.5",
                    "--memory",         "6GB",
                    "--valid-data",     "~",
                    "--adapter-path",   "no",
                    "--eval-strategy",  "no",
                    "--target-modules", "*.q_proj,'a'"};
    start(&a, (int)HN_COUNT(argv), argv);
    struct hn_buf first = {0}, second = {0};
    hn_config_write(&a, &first);
    assert_non_null(strstr(hn_buf_str(&first), "\nlearning_rate: 1.0e-05\n"));
    assert_non_null(strstr(hn_buf_str(&first), "\nlora_alpha: null\n"));
    assert_non_null(strstr(hn_buf_str(&first), "\neval_strategy: \"no\"\n"));
    assert_non_null(
        strstr(hn_buf_str(&first), "\ntarget_modules:\n  - \"*.q_proj\"\n  - \"'a'\"\n"));
    start(&b, 0, NULL);
    read_text(&b, hn_buf_str(&first));
    assert_string_equal(b.set.model, "some model: \"x\"\t#\xc2\x82\xe2\x80\xa8\xc3\xa9");
    assert_string_equal(b.set.train.data, "123");
    assert_string_equal(b.set.train.valid_data, "~");
    assert_int_equal(b.set.train.memory, 6000000000u);
    hn_config_write(&b, &second);
    assert_string_equal(hn_buf_str(&first), hn_buf_str(&second));
    hn_buf_release(&first);
    hn_buf_release(&second);
    hn_conf_release(&a);
    hn_conf_release(&b);
}

static void mistakes_are_named_by_line(void **state)
{
    (void)state;
    refuse("lora_rank: 8\nleraning_rate: 1\n", "x.yaml:2: unknown key \"leraning_rate\"; did you "
                                               "mean learning_rate?");
    refuse("top_p: 1\n", "x.yaml:1: top_p is a setting of hone generate");
    refuse("lora_rank: x\n", "x.yaml:1: lora_rank: found \"x\", expected a whole number");
    refuse("seed: 1\nseed: 2\n", "x.yaml:2: the key \"seed\" stands here again, after line 1");
    refuse("a: &b 1\n", "anchors and tags");
    refuse("a: *b\n", "aliases");
    refuse("a: !!str x\n", "anchors and tags");
    refuse("seed: 1\n---\nseed: 2\n", "a second document");
    refuse("- 1\n", "a config file is a map");
    refuse("seed: [1]\n", "x.yaml:1: seed: found a list, expected a whole number");
    refuse("seed: {a: 1}\n", "x.yaml:1: seed: found a map");
    refuse("lora_parameters: {rang: 3}\n", "unknown key \"lora_parameters.rang\"");
    refuse("lora_parameters: 3\n", "should be a map");
    refuse("optimizer_config: {adamw: {betas: [1]}}\n", "a list of two numbers");
    refuse("optimizer_config: {lion: {}}\n", "unknown key \"optimizer_config.lion\"");
    refuse("lr_schedule: {name: join_schedules, arguments: [1e-5, 1000]}\n",
           "x.yaml:1: lr_schedule should name cosine_decay");
    refuse("lr_schedule: {name: step_decay, arguments: [1e-5, 0.5, 3, 4]}\n",
           "at most 3 arguments");
    refuse("lr_schedule: {name: step_decay}\n", "a list of arguments");
    refuse("lr_schedule: {name: step_decay, arguments: [1], warmups: 3}\n",
           "unknown key \"lr_schedule.warmups\"");
    refuse("lr_scheduler_kwargs: {num_cycles: [1]}\n", "num_cycles should be one value");
    refuse("lora_rank: 8\nlora_parameters: {rank: 16}\n",
           "x.yaml:2: rank sets what an earlier key has set (lora-rank)");
    refuse("config: other.yaml\n", "belongs on the command line");
    refuse("a: [1, 2\n", "x.yaml:2: ");
    refuse("\"a\\0b\": 1\n", "NUL");
    refuse("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", "deeper than 16 levels");
}

static void hostile_files_are_bounded(void **state)
{
    (void)state;
    struct hn_arena arena;
    struct hn_yaml *y = NULL;
    struct hone_err err = {0};
    struct hn_buf text = {0};
    hn_arena_init(&arena, 0);
    for (int i = 0; i < 1100; i++)
        hn_buf_printf(&text, "k%d: 1\n", i);
    assert_int_not_equal(hn_yaml_parse(&arena, "f", hn_buf_str(&text), text.len, &y, &err), 0);
    assert_non_null(strstr(err.message, "more than 1000 entries"));
    hn_buf_clear(&text);
    for (int i = 0; i < (1 << 20) / 4 + 8; i++)
        hn_buf_add_str(&text, "# x\n");
    assert_int_not_equal(hn_yaml_parse(&arena, "f", hn_buf_str(&text), text.len, &y, &err), 0);
    assert_non_null(strstr(err.message, "larger than 1 MiB"));
    assert_int_equal(hn_yaml_parse(&arena, "f", "", 0, &y, &err), 0);
    assert_int_equal(y->kind, HN_YAML_MAP);
    hn_buf_release(&text);
    hn_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_wins_over_the_file),
        cmocka_unit_test(mlx_lm_configs_are_understood),
        cmocka_unit_test(schedules_are_understood),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(mistakes_are_named_by_line),
        cmocka_unit_test(hostile_files_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
