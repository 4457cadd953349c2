cat > mine.yaml <<'EOF'
output_dir: runs/lora
model: {_component_: torchtune.models.llama3_2.lora_llama3_2_1b, lora_attn_modules: [q_proj], lora_rank: 8}
checkpointer: {_component_: torchtune.training.FullModelHFCheckpointer, checkpoint_dir: models/one}
tokenizer: {path: t}
dataset: {_component_: torchtune.datasets.alpaca_dataset}
batch_size: 2
EOF
tune run lora_finetune_single_device --config mine.yaml model.lora_rank=32 batch_size=8
