/* Command lines: what is taken, from whom, and what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

enum { MAX_WORDS = 40 };

/* Split a command line at spaces; '_' within a word stands for a space when doubled. */
static int parse(struct hn_conf *c, enum hn_command_id id, const char *line, char *store,
                 struct hone_err *err)
{
    char *argv[MAX_WORDS];
    int argc = 0;
    snprintf(store, 1000, "%s", line);
    for (char *p = store; *p;) {
        while (*p == ' ')
            *p++ = 0;
        if (!*p)
            break;
        assert_in_range(argc, 0, MAX_WORDS - 1);
        argv[argc++] = p;
        while (*p && *p != ' ')
            p++;
    }
    return hn_conf_init(c, id, argc, argv, err);
}

static void accept(struct hn_conf *c, enum hn_command_id id, const char *line, char *store)
{
    struct hone_err err = {0};
    if (parse(c, id, line, store, &err))
        fail_msg("%s: %s", line, err.message);
}

static void refuse(enum hn_command_id id, const char *line, const char *message)
{
    struct hn_conf c;
    struct hone_err err = {0};
    char store[1000];
    int rc = parse(&c, id, line, store, &err);
    if (!rc)
        fail_msg("%s: was accepted", line);
    assert_int_equal(rc, HONE_USAGE);
    if (!strstr(err.message, message))
        fail_msg("%s: said \"%s\", not \"%s\"", line, err.message, message);
    hn_conf_release(&c);
}

static void defaults_are_the_preset_of_hone(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_TRAIN, "--model m --data d", store);
    const struct hone_train_options *t = &c.set.train;
    assert_string_equal(t->model, "m");
    assert_string_equal(t->data, "d");
    assert_string_equal(t->adapter_path, "adapters");
    assert_int_equal(t->lora_rank, 8);
    assert_true(t->lora_alpha == 16 && t->lora_scale == 0 && t->lora_dropout == 0.05);
    assert_int_equal(t->n_target_modules, 4);
    assert_string_equal(t->target_modules[3], "o_proj");
    assert_int_equal(t->num_layers, -1);
    assert_true(t->learning_rate == 2e-4 && t->adam_beta2 == 0.999 && t->max_grad_norm == 1);
    assert_int_equal(t->lr_scheduler_type, HONE_CONSTANT);
    assert_true(t->bias_correction && t->append_eos && t->shuffle && !t->mask_prompt);
    assert_true(t->num_epochs == 3 && t->iters == 0 && t->max_seq_length == 1024);
    assert_int_equal(t->eval_strategy, HONE_EPOCH);
    assert_int_equal(t->save_strategy, HONE_EPOCH);
    assert_int_equal(t->grad_checkpoint, HONE_CHECKPOINT_AUTO);
    assert_int_equal(t->val_batches, -1);
    assert_int_equal(t->steps_per_report, 10);
    hn_conf_release(&c);
}

static void the_guides_command_runs_as_it_stands(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_TRAIN,
           "--model M --train --data mlx_training_data.jsonl --lora-rank 8 --lora-alpha 16 "
           "--lora-dropout 0.05 --learning-rate 2e-4 --num-epochs 3 --batch-size 1 "
           "--max-seq-length 1024 --adapter-path ./lora_adapters",
           store);
    assert_string_equal(c.set.train.adapter_path, "./lora_adapters");
    assert_true(c.set.train_flag);
    assert_false(c.mlx_only);
    hn_conf_release(&c);
}

static void every_flag_of_mlx_lm_lora_is_known(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_TRAIN,
           "--model m --train --data d --fine-tune-type lora --optimizer adam --mask-prompt "
           "--num-layers 16 --batch-size 4 --iters 1000 --val-batches 25 --learning-rate 1e-5 "
           "--steps-per-report 10 --steps-per-eval 200 --grad-accumulation-steps 1",
           store);
    assert_true(c.mlx_only);
    assert_int_equal(c.set.train.eval_strategy, HONE_STEPS);
    assert_int_equal(c.set.train.save_strategy, HONE_EPOCH);
    struct hn_buf text = {0};
    hn_conf_mlx_differences(&c, &text);
    assert_non_null(strstr(hn_buf_str(&text), "lora_dropout 0.05 (mlx_lm: 0.0)"));
    assert_non_null(strstr(hn_buf_str(&text), "lora_scale unset (mlx_lm: 20.0)"));
    assert_null(strstr(hn_buf_str(&text), "learning_rate"));
    hn_buf_release(&text);
    hn_conf_release(&c);
    accept(&c, HN_TRAIN,
           "--resume-adapter-file f --adapter-path p --save-every 100 --test --test-batches 500 "
           "--max-seq-length 2048 --grad-checkpoint --clear-cache-threshold 1GB --seed 0 "
           "--trust-remote-code --project-name p",
           store);
    assert_int_equal(c.set.train.grad_checkpoint, HONE_CHECKPOINT_BLOCKS);
    assert_true(c.mlx_only && c.set.test_after);
    hn_conf_release(&c);
    refuse(HN_TRAIN, "--fine-tune-type half", "expected one of lora, dora, full");
    refuse(HN_TRAIN, "--optimizer muon", "--optimizer muon is not there yet");
    refuse(HN_TRAIN, "--report-to wandb", "hone reports to no service");
}

static void flags_take_every_spelling(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_TRAIN,
           "--learning_rate=1e-3 --per_device_train_batch_size 2 --gradient_accumulation_steps=4 "
           "--no-shuffle --append_eos False --lora-r 4 --target-modules q_proj,v_proj "
           "--target-modules up_proj --gradient-checkpointing True --memory 6GB --max-steps -1 "
           "--do_train --use_dora False --bf16 False --logging_steps 5 --eval_strategy steps "
           "--eval_steps 7 --output-dir out",
           store);
    const struct hone_train_options *t = &c.set.train;
    assert_true(t->learning_rate == 1e-3 && !t->shuffle && !t->append_eos);
    assert_int_equal(t->batch_size, 2);
    assert_int_equal(t->grad_accumulation_steps, 4);
    assert_int_equal(t->lora_rank, 4);
    assert_int_equal(t->n_target_modules, 3);
    assert_string_equal(t->target_modules[2], "up_proj");
    assert_int_equal(t->grad_checkpoint, HONE_CHECKPOINT_BLOCKS);
    assert_int_equal(t->memory, 6000000000u);
    assert_int_equal(t->max_steps, 0);
    assert_int_equal(t->steps_per_eval, 7);
    assert_string_equal(t->adapter_path, "out");
    hn_conf_release(&c);
    accept(&c, HN_GENERATE, "-m 12 --model x --stop a,b --stop c -p hi", store);
    assert_int_equal(c.set.generate.max_tokens, 12);
    assert_int_equal(c.set.generate.n_stop, 2);
    assert_string_equal(c.set.generate.stop[0], "a,b");
    hn_conf_release(&c);
    accept(&c, HN_PREPARE, "a.jsonl --no-shuffle -- --b.jsonl", store);
    assert_int_equal(c.n_arguments, 2);
    assert_string_equal(c.arguments[1], "--b.jsonl");
    hn_conf_release(&c);
    accept(&c, HN_TRAIN, "--grad-checkpoint --seed 7", store);
    assert_int_equal(c.set.train.seed, 7);
    hn_conf_release(&c);
}

static void verbose_has_the_default_of_its_command(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_GENERATE, "--model m", store);
    assert_true(c.set.verbose);
    hn_conf_release(&c);
    accept(&c, HN_TEST, "--model m", store);
    assert_false(c.set.verbose);
    hn_conf_release(&c);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refuse(HN_TRAIN, "--leraning-rate 1",
           "unknown option --leraning-rate; did you mean "
           "--learning-rate?");
    refuse(HN_TRAIN, "--top-p 1", "--top-p is an option of hone generate, not of hone train");
    refuse(HN_TRAIN, "--xyzzy", "unknown option --xyzzy; hone train --help lists");
    refuse(HN_TRAIN, "--lora-rank", "--lora-rank needs a value (N)");
    refuse(HN_TRAIN, "--lora-rank eight",
           "--lora-rank: found \"eight\", expected a whole number "
           "from 1 to 4096");
    refuse(HN_TRAIN, "--lora-rank 0", "expected a whole number from 1");
    refuse(HN_TRAIN, "--lora-dropout 1.5", "expected a number from 0 to 0.95");
    refuse(HN_TRAIN, "--memory lots", "a size such as 6GB");
    refuse(HN_TRAIN, "--lr-scheduler-type cosin", "did you mean cosine?");
    refuse(HN_TRAIN, "--lr-scheduler-type zigzag", "expected one of constant, linear, cosine");
    refuse(HN_TRAIN, "--no-learning-rate", "unknown option --no-learning-rate");
    refuse(HN_TRAIN, "stray", "takes options only");
    refuse(HN_GENERATE, "one two", "takes at most 1 argument; \"two\" is more");
    refuse(HN_TRAIN, "-x", "unknown option -x");
    refuse(HN_TRAIN, "--mask-prompt=maybe", "expected true or false");
    refuse(HN_TRAIN, "--use-dora --fine-tune-type lora", "use-dora is set, but fine-tune-type");
    refuse(HN_TRAIN, "--llm_int8_threshold 5", "cannot be honoured: without effect: hone does not");
    refuse(HN_GENERATE, "--draft-model x", "speculative decoding is not there yet");
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    refuse(HN_TRAIN, "--lora-alpha 16 --scale 2", "lora-alpha and a scale");
    refuse(HN_TRAIN, "--warmup-steps 5 --warmup-ratio 0.1", "warmup-steps and warmup-ratio");
    refuse(HN_TRAIN, "--optimizer adam --weight-decay 0.1", "use --optimizer adamw");
    refuse(HN_TRAIN, "--eval-strategy steps", "needs --steps-per-eval");
    refuse(HN_TRAIN, "--save-strategy steps", "needs --save-every");
    refuse(HN_TRAIN, "--valid-data f --valid-fraction 0.1", "come from one of them");
    refuse(HN_TRAIN, "--target-modules ,", "nothing to train");
    refuse(HN_TRAIN, "--momentum 0.9", "are of --optimizer sgd alone");
    refuse(HN_TRAIN, "--optimizer sgd --nesterov", "nesterov needs --momentum");
}

static void presets_stand_below_what_is_given(void **state)
{
    (void)state;
    struct hn_conf c;
    char store[1000];
    accept(&c, HN_TRAIN, "--preset transformers --seed 7 --model m", store);
    const struct hone_train_options *t = &c.set.train;
    assert_true(t->learning_rate == 5e-5 && t->lora_alpha == 8 && t->lora_dropout == 0);
    assert_int_equal(t->lr_scheduler_type, HONE_LINEAR);
    assert_int_equal(t->seed, 7);
    assert_int_equal(t->batch_size, 8);
    assert_int_equal(t->n_target_modules, 2);
    assert_int_equal(t->eval_strategy, HONE_NEVER);
    assert_int_equal(t->save_strategy, HONE_STEPS);
    assert_int_equal(t->save_every, 500);
    assert_false(t->append_eos);
    hn_conf_release(&c);
}

static void the_preset_of_mlx_lm(void **state)
{
    (void)state;
    struct hn_conf c;
    struct hn_buf text = {0};
    char store[1000];
    accept(&c, HN_TRAIN, "--preset mlx-lm --model m", store);
    const struct hone_train_options *t = &c.set.train;
    assert_int_equal(t->batch_order, HONE_ORDER_MLX);
    assert_int_equal(t->adapter_start, HONE_START_MLX);
    assert_int_equal(t->step_rule, HONE_STEPS_MLX);
    assert_int_equal(t->optimizer, HONE_ADAM);
    assert_true(t->train_padding && t->train_last_turn && t->eval_on_start && t->append_eos);
    assert_true(t->learning_rate == 1e-5 && t->lora_scale == 20 && t->lora_dropout == 0);
    assert_true(t->max_grad_norm == 0 && t->weight_decay == 0 && !t->bias_correction);
    assert_true(t->batch_size == 4 && t->iters == 1000 && t->num_layers == 16 && t->seed == 0);
    assert_true(t->val_batches == 25 && t->steps_per_eval == 200 && t->save_every == 100);
    assert_true(t->max_seq_length == 2048 && t->eval_strategy == HONE_STEPS);
    hn_conf_mlx_differences(&c, &text);
    assert_int_equal(text.len, 0);
    hn_buf_release(&text);
    hn_conf_release(&c);
    accept(&c, HN_TRAIN,
           "--preset mlx-lm --model m --optimizer adamw --num-epochs 2 --lora-alpha 8", store);
    assert_true(t->weight_decay == 0.01 && t->iters == 0 && t->num_epochs == 2);
    assert_true(t->lora_scale == 0 && t->lora_alpha == 8);
    hn_conf_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_preset_of_hone),
        cmocka_unit_test(the_guides_command_runs_as_it_stands),
        cmocka_unit_test(every_flag_of_mlx_lm_lora_is_known),
        cmocka_unit_test(flags_take_every_spelling),
        cmocka_unit_test(verbose_has_the_default_of_its_command),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(presets_stand_below_what_is_given),
        cmocka_unit_test(the_preset_of_mlx_lm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
