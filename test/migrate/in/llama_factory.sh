#!/bin/bash
export MODEL=Qwen/Qwen2.5-0.5B-Instruct
cat > cfg.yaml <<EOF
model_name_or_path: some/model
stage: sft
finetuning_type: lora
dataset: chats
template: qwen
output_dir: out
EOF
FORCE_TORCHRUN=1 llamafactory-cli train cfg.yaml \
    learning_rate=1e-5 model_name_or_path=$MODEL
