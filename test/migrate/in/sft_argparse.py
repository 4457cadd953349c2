#!/usr/bin/env python3
"""QLoRA on Llama 3.1 with TRL >= 0.20, ModelConfig-free."""
from __future__ import annotations
import logging, os, random
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
import torch
from datasets import Dataset, DatasetDict, load_dataset
from peft import LoraConfig, PeftModel, TaskType, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed
from trl import SFTConfig, SFTTrainer

log = logging.getLogger(__name__)
SYSTEM = "You answer questions about our product."


def parser() -> ArgumentParser:
    p = ArgumentParser(description=__doc__)
    p.add_argument("--model-id", default="meta-llama/Llama-3.1-8B-Instruct")
    p.add_argument("--train-file", type=Path, default=Path("data/faq.jsonl"))
    p.add_argument("--out", type=Path, default=Path("models"))
    p.add_argument("--run-name", default="faq")
    p.add_argument("--r", type=int, default=16, choices=[8, 16, 32])
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--epochs", type=float, default=2.0)
    p.add_argument("--bsz", type=int, default=2)
    p.add_argument("--global-bsz", type=int, default=16)
    p.add_argument("--max-len", type=int, default=1536)
    p.add_argument("--quant", action=BooleanOptionalAction, default=True)
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--packing", action="store_true")
    p.add_argument("--resume", default=None)
    return p


def quant_config(enabled: bool):
    if not enabled:
        return None
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                              bnb_4bit_compute_dtype=torch.bfloat16)


def to_chat(row):
    return {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]},
                         {"role": "assistant", "content": row["answer"]}]}


def build_splits(path: Path, seed: int) -> DatasetDict:
    ds = load_dataset("json", data_files=str(path), split="train").map(to_chat, remove_columns=["question", "answer"])
    return ds.train_test_split(test_size=0.1, seed=seed)


def main(argv=None):
    a = parser().parse_args(argv)
    set_seed(a.seed)
    world = int(os.environ.get("WORLD_SIZE", 1))
    accum = max(1, a.global_bsz // (a.bsz * world))
    out_dir = a.out / f"{a.run_name}-r{a.r}-{a.lr:g}"
    tok = AutoTokenizer.from_pretrained(a.model_id)
    if tok.pad_token is None:
        tok.pad_token = "<|finetune_right_pad_id|>"
    model = AutoModelForCausalLM.from_pretrained(a.model_id, quantization_config=quant_config(a.quant),
                                                 dtype=torch.bfloat16, attn_implementation="sdpa", device_map="auto")
    splits = build_splits(a.train_file, a.seed)
    cfg = SFTConfig(
        output_dir=str(out_dir), run_name=a.run_name, seed=a.seed, data_seed=a.seed,
        num_train_epochs=a.epochs, per_device_train_batch_size=a.bsz, per_device_eval_batch_size=1,
        gradient_accumulation_steps=accum, learning_rate=a.lr, lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1}, warmup_ratio=0.05, weight_decay=0.0, max_grad_norm=1.0,
        max_length=a.max_len, packing=a.packing, eval_strategy="epoch", save_strategy="epoch", save_total_limit=1,
        logging_steps=5, bf16=True, optim="paged_adamw_8bit", report_to=["tensorboard"],
        gradient_checkpointing=True, dataset_num_proc=4, assistant_only_loss=not a.packing,
    )
    peft_config = LoraConfig(r=a.r, lora_alpha=2 * a.r, lora_dropout=0.05, bias="none", task_type=TaskType.CAUSAL_LM,
                             target_modules=[f"{x}_proj" for x in ("q", "k", "v", "o")], modules_to_save=None)
    trainer = SFTTrainer(model=model, args=cfg, train_dataset=splits["train"], eval_dataset=splits["test"],
                         processing_class=tok, peft_config=peft_config)
    trainer.train(resume_from_checkpoint=a.resume)
    trainer.save_model(str(out_dir / "final"))


if __name__ == "__main__":
    main()
