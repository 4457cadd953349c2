"""Fine-tune Qwen on a chat data set with TRL (new API)."""
import os
from dataclasses import dataclass
import torch
from datasets import load_dataset, Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

MODEL = os.environ.get("MODEL", "Qwen/Qwen2.5-1.5B-Instruct")
DATA_DIR = os.path.join(os.path.dirname(__file__), "data")
COMMON = dict(learning_rate=2e-4, weight_decay=0.01, warmup_ratio=0.03, lr_scheduler_type="cosine")


def lora(rank: int = 16, **kw) -> LoraConfig:
    return LoraConfig(r=rank, lora_alpha=rank * 2, lora_dropout=0.05, target_modules="all-linear",
                      task_type="CAUSAL_LM", **kw)


def get_args(out, epochs=3, **overrides):
    cfg = {**COMMON, "num_train_epochs": epochs, "output_dir": out, **overrides}
    return SFTConfig(
        per_device_train_batch_size=4,
        gradient_accumulation_steps=max(1, 32 // 4),
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=torch.cuda.is_bf16_supported(),
        fp16=not torch.cuda.is_bf16_supported(),
        max_length=2048,
        packing=False,
        assistant_only_loss=True,
        eval_strategy="steps", eval_steps=0.1,
        save_strategy="steps", save_steps=0.1, save_total_limit=2,
        load_best_model_at_end=True, metric_for_best_model="eval_loss", greater_is_better=False,
        logging_steps=10, report_to="none", seed=3407,
        model_init_kwargs={"dtype": torch.bfloat16, "attn_implementation": "flash_attention_2"},
        **cfg,
    )


def main():
    ds = load_dataset("json", data_files={"train": f"{DATA_DIR}/train.jsonl", "test": f"{DATA_DIR}/test.jsonl"})
    trainer = SFTTrainer(
        model=MODEL,
        args=get_args(f"out/{MODEL.split('/')[-1].lower()}-sft", max_grad_norm=0.3),
        train_dataset=ds["train"],
        eval_dataset=ds["test"],
        peft_config=lora(32, use_rslora=True),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
