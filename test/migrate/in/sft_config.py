#!/usr/bin/env python
"""Supervised fine-tuning of Qwen with TRL."""
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback, set_seed
from trl import SFTConfig, SFTTrainer

set_seed(7)
model_id = "Qwen/Qwen2.5-1.5B-Instruct"
run = f"{model_id.split('/')[-1]}-sft"

dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
model = AutoModelForCausalLM.from_pretrained(model_id, dtype=dtype, attn_implementation="sdpa")
tokenizer = AutoTokenizer.from_pretrained(model_id)

data = load_dataset("json", data_files="data/chats.jsonl", split="train")
data = data.train_test_split(test_size=0.05, seed=42)

peft_config = LoraConfig(
    r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear",
    modules_to_save=["lm_head", "embed_tokens"], use_rslora=True, task_type="CAUSAL_LM",
)

common = dict(learning_rate=1e-4, warmup_ratio=0.03, weight_decay=0.01)
common["max_grad_norm"] = 0.3

config = SFTConfig(
    output_dir="out/" + run,
    max_length=2048,
    packing=True,
    completion_only_loss=None,
    assistant_only_loss=True,
    per_device_train_batch_size=2 if torch.cuda.is_available() else 1,
    gradient_accumulation_steps=8,
    max_steps=300,
    lr_scheduler_type="cosine",
    optim="adamw_torch_fused",
    logging_steps=5,
    eval_strategy="steps",
    eval_steps=50,
    save_strategy="steps",
    save_steps=50,
    save_total_limit=2,
    load_best_model_at_end=True,
    metric_for_best_model="eval_loss",
    greater_is_better=False,
    neftune_noise_alpha=5,
    report_to=["tensorboard"],
    bf16=True,
    gradient_checkpointing=True,
    gradient_checkpointing_kwargs={"use_reentrant": False},
    hypothetical_option=3,
    **common,
)

trainer = SFTTrainer(
    model=model,
    args=config,
    train_dataset=data["train"],
    eval_dataset=data["test"],
    peft_config=peft_config,
    processing_class=tokenizer,
    callbacks=[EarlyStoppingCallback(early_stopping_patience=3)],
)
trainer.train()
trainer.save_model()
