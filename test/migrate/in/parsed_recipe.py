# A script in classes and functions, with its settings in dataclasses and its rows masked by hand.
import os
from dataclasses import dataclass, field
from typing import List, Optional, TypedDict

import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LabelSmoother

IGNORED = LabelSmoother.ignore_index


class Row(TypedDict, total=False):
    question: str
    answer: str


@dataclass
class ScriptArguments:
    base: Optional[str] = field(default="Qwen/Qwen2.5-0.5B", metadata={"help": "which model"})
    files: List[str] = field(default_factory=lambda: ["questions.jsonl", "more.csv"])
    use_lora: bool = field(default=False)
    longest: int = 768
    targets: List[str] = field(default_factory=lambda: ["q_proj", "v_proj", "q_proj"])
    kind: str = "questions"


def find_all_linear_names(model):
    names = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            names.add(name.split(".")[-1])
    return list(names)


class Encoder:
    def __init__(self, tokenizer, longest, own_words=True):
        self.tokenizer = tokenizer
        self.longest = longest
        self.own_words = own_words

    def __call__(self, row):
        prompt = self.tokenizer(f"Q: {row["question"]}\nA: ", max_length=256, truncation=True)
        whole = self.tokenizer(
            row["answer"] + self.tokenizer.eos_token, truncation=True, max_length=self.longest
        )
        if self.own_words:
            labels = [IGNORED for _ in prompt["input_ids"]] + whole["input_ids"]
        return {"input_ids": prompt["input_ids"] + whole["input_ids"], "labels": labels}


def build(script, **settings):
    model = AutoModelForCausalLM.from_pretrained(script.base, **settings)
    if script.use_lora:
        config = LoraConfig(r=4, lora_alpha=12, target_modules=find_all_linear_names(model))
        model = get_peft_model(model, config)
    return model


def unused(path):
    rows = load_dataset("json", data_files="never.jsonl", split="train")
    return rows.train_test_split(0.5)


def rows_of(script):
    if script.kind == "chats":
        return load_dataset("json", data_files="chats.jsonl", split="train")
    elif script.kind in ("questions", "answers"):
        return load_dataset("json", data_files=script.files, split="train")
    raise ValueError(script.kind)


def main():
    parser = HfArgumentParser((ScriptArguments, TrainingArguments))
    script, arguments = parser.parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen2.5-0.5B-Instruct")
    rows = rows_of(script)
    parts = rows.train_test_split(test_size=int(0.25 * len(rows)), seed=3)
    rest = parts["test"].train_test_split(test_size=0.2)
    encode = Encoder(tokenizer, longest=script.longest)
    match arguments.fp16:
        case True:
            dtype = torch.float16
        case _:
            dtype = torch.bfloat16
    trainer = Trainer(
        model=build(script, dtype=dtype, device_map="auto"),
        args=arguments,
        train_dataset=parts["train"].map(encode),
        eval_dataset=rest["train"].map(encode),
    )
    trainer.train()


if __name__ == "__main__":
    main()
