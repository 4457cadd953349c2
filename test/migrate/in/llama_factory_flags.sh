#!/bin/bash
SIZE=${1:-7b}
OUT=saves/$SIZE
CUDA_VISIBLE_DEVICES=0 python src/train_bash.py \
    --stage sft \
    --do_train True \
    --model_name_or_path meta-llama/Llama-2-${SIZE}-hf \
    --dataset alpaca_gpt4_en,chats \
    --template default \
    --lora_target q_proj,v_proj \
    --output_dir "$OUT/sft" \
    --overwrite_cache \
    --per_device_train_batch_size $BATCH \
    --lr_scheduler_type=cosine \
    --no_double_quantization --quantization_bit 4 \
    --learning_rate 5e-5 --plot_loss --fp16
llamafactory-cli train again.yaml
