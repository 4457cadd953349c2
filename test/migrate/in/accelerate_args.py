#!/usr/bin/env python
import argparse, json, math, os
from pathlib import Path
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import load_dataset
from peft import LoraConfig, get_peft_model, TaskType
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, default_data_collator, get_linear_schedule_with_warmup
from tqdm.auto import tqdm


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=str, default="HuggingFaceTB/SmolLM2-135M")
    parser.add_argument("--data", default=str(Path(__file__).resolve().parent / "data" / "train.jsonl"))
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--batch-size", "-b", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--grad-accum", type=int, default=4)
    parser.add_argument("--warmup-ratio", type=float, default=0.05)
    parser.add_argument("--max-len", type=int, default=512)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--out", default="out")
    return parser.parse_args()


def main():
    args = parse_args()
    set_seed(args.seed)
    accelerator = Accelerator(gradient_accumulation_steps=args.grad_accum, log_with="tensorboard", project_dir=args.out)
    tok = AutoTokenizer.from_pretrained(args.model)
    tok.pad_token = tok.pad_token or tok.eos_token
    model = AutoModelForCausalLM.from_pretrained(args.model, torch_dtype=torch.float32)
    if not args.full:
        peft_config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=args.rank, lora_alpha=args.rank * 2, lora_dropout=0.1,
                                 target_modules=["q_proj", "v_proj"], inference_mode=False)
        model = get_peft_model(model, peft_config)
    raw = load_dataset("json", data_files=args.data)["train"].train_test_split(0.05, seed=args.seed)

    def preprocess(examples):
        texts = [f"### Instruction:\n{i}\n\n### Response:\n{o}{tok.eos_token}" for i, o in zip(examples["instruction"], examples["output"])]
        enc = tok(texts, max_length=args.max_len, padding="max_length", truncation=True)
        enc["labels"] = [[(t if m else -100) for t, m in zip(ids, mask)] for ids, mask in zip(enc["input_ids"], enc["attention_mask"])]
        return enc

    ds = raw.map(preprocess, batched=True, remove_columns=raw["train"].column_names)
    train_dl = DataLoader(ds["train"], shuffle=True, collate_fn=default_data_collator, batch_size=args.batch_size, pin_memory=True)
    eval_dl = DataLoader(ds["test"], collate_fn=default_data_collator, batch_size=args.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.0)
    total = args.epochs * math.ceil(len(train_dl) / args.grad_accum)
    sched = get_linear_schedule_with_warmup(optimizer=optimizer, num_warmup_steps=int(args.warmup_ratio * total), num_training_steps=total)
    model, optimizer, train_dl, eval_dl, sched = accelerator.prepare(model, optimizer, train_dl, eval_dl, sched)
    for epoch in range(args.epochs):
        model.train()
        for step, batch in enumerate(tqdm(train_dl)):
            with accelerator.accumulate(model):
                out = model(**batch)
                accelerator.backward(out.loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step(); sched.step(); optimizer.zero_grad()
        model.eval()
        losses = []
        for batch in eval_dl:
            with torch.no_grad():
                losses.append(accelerator.gather(model(**batch).loss))
        accelerator.print(epoch, math.exp(torch.mean(torch.stack(losses))))
    accelerator.unwrap_model(model).save_pretrained(args.out)


if __name__ == "__main__":
    main()
