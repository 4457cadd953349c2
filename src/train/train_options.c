/* The defaults of a run: the hone preset. */
#include "hone/train.h"
#include "base/compiler.h"

void hone_train_defaults(struct hone_train_options *o)
{
    static const char *const modules[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    *o = (struct hone_train_options){
        .adapter_path = "adapters",
        .lora_rank = 8,
        .lora_alpha = 16,
        .lora_dropout = 0.05,
        .target_modules = modules,
        .n_target_modules = HN_COUNT(modules),
        .num_layers = -1,
        .learning_rate = 2e-4,
        .lr_scheduler_type = HONE_CONSTANT,
        .adam_beta1 = 0.9,
        .adam_beta2 = 0.999,
        .adam_epsilon = 1e-8,
        .bias_correction = true,
        .max_grad_norm = 1.0,
        .batch_size = 1,
        .grad_accumulation_steps = 1,
        .num_epochs = 3,
        .max_seq_length = 1024,
        .shuffle = true,
        .append_eos = true,
        .eval_strategy = HONE_EPOCH,
        .val_batches = -1,
        .steps_per_report = 10,
        .report_samples = 3,
        .save_strategy = HONE_EPOCH,
    };
}
