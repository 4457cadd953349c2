#!/usr/bin/env bash
# Settings on a command line, by way of variables; trl sft takes several words for a list.
set -e
MODEL="someone/Model-1B"
export OUT=runs/one
trl sft --model_name_or_path $MODEL --dataset_name someone/chats --config base.yaml \
    --learning_rate 2.0e-4 --num-train-epochs=1 --packing --use_peft --lora_r 32 \
    --lora_target_modules q_proj v_proj --output_dir "${OUT}" --eval_strategy no
