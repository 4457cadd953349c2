import argparse
from dataclasses import dataclass, field
from pathlib import Path
from transformers import (AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling,
                          Trainer, TrainingArguments, IntervalStrategy, SchedulerType)
from peft import LoraConfig, TaskType, get_peft_model
import datasets


@dataclass
class Extra:
    lora_r: int = 4
    targets: list = field(default_factory=lambda: ["q_proj"])
    dropout: float = field(default=0.1, metadata={"help": "of the adapter"})


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-name", "-m", type=str, default="meta-llama/Llama-2-7b-hf")
    parser.add_argument("--out", default=Path("runs") / "llama2")
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--bs", type=int, default=4)
    parser.add_argument("--no_eval", action="store_true")
    parser.add_argument("--train_file", required=True)
    return parser.parse_args()


def main():
    args = parse()
    extra = Extra(lora_r=32)
    tok = AutoTokenizer.from_pretrained(args.model_name, use_fast=False)
    tok.pad_token = tok.eos_token
    model = AutoModelForCausalLM.from_pretrained(args.model_name)
    model = get_peft_model(model, LoraConfig(task_type=TaskType.CAUSAL_LM, r=extra.lora_r,
                                             lora_alpha=2 * extra.lora_r, lora_dropout=extra.dropout,
                                             target_modules=r".*\.(q|v)_proj"))
    ds = datasets.load_dataset("json", data_files={"train": args.train_file,
                                                   "validation": "dev.jsonl"})
    ds = ds.map(lambda r: tok(r["text"] + tok.eos_token, max_length=512, truncation=True))
    training = TrainingArguments(
        str(args.out),
        overwrite_output_dir=True,
        evaluation_strategy=IntervalStrategy.EPOCH if not args.no_eval else "no",
        save_strategy=IntervalStrategy.EPOCH,
        logging_strategy="epoch",
        learning_rate=args.lr,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=args.bs,
        per_device_eval_batch_size=args.bs * 2,
        lr_scheduler_type=SchedulerType.CONSTANT,
        warmup_ratio=0.1,
        adam_beta2=0.95,
        label_smoothing_factor=0.1,
        dataloader_num_workers=4,
        no_cuda=False,
        push_to_hub=False,
        ddp_backend="nccl",
    )
    training.max_grad_norm = 0.5
    Trainer(model, training, DataCollatorForLanguageModeling(tok, mlm=False), ds["train"],
            eval_dataset=ds["validation"]).train()


if __name__ == "__main__":
    main()
