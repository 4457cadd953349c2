from dataclasses import dataclass, field
from typing import Optional, List
import sys
import torch
import transformers
from peft import LoraConfig, TaskType, get_peft_model
from transformers import HfArgumentParser, TrainingArguments, set_seed


@dataclass
class ModelArgs:
    model_name_or_path: str = field(default="meta-llama/Llama-3.2-1B", metadata={"help": "model"})
    torch_dtype: Optional[str] = field(default="bfloat16")
    use_lora: bool = field(default=True)
    lora_r: int = field(default=8)
    lora_alpha: int = field(default=16)
    lora_dropout: float = 0.05
    lora_target: List[str] = field(default_factory=lambda: ["q_proj", "v_proj"])


@dataclass
class DataArgs:
    train_file: str = field(default="data/train.json")
    validation_file: Optional[str] = None
    validation_split_percentage: int = field(default=5)
    block_size: int = field(default=1024)


@dataclass
class TrainArgs(TrainingArguments):
    output_dir: str = "runs/exp"
    learning_rate: float = 1e-4
    num_train_epochs: float = 2
    per_device_train_batch_size: int = 2
    optim: str = field(default="adamw_torch")
    model_max_length: int = field(default=512)


def main():
    parser = HfArgumentParser((ModelArgs, DataArgs, TrainArgs))
    if len(sys.argv) == 2 and sys.argv[1].endswith(".json"):
        model_args, data_args, training_args = parser.parse_json_file(sys.argv[1])
    else:
        model_args, data_args, training_args = parser.parse_args_into_dataclasses()
    set_seed(training_args.seed)
    dtype = model_args.torch_dtype if model_args.torch_dtype in ["auto", None] else getattr(torch, model_args.torch_dtype)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_args.model_name_or_path, torch_dtype=dtype)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        model_args.model_name_or_path, model_max_length=training_args.model_max_length, use_fast=False)
    if model_args.use_lora:
        cfg = LoraConfig(task_type=TaskType.CAUSAL_LM, r=model_args.lora_r, lora_alpha=model_args.lora_alpha,
                         lora_dropout=model_args.lora_dropout, target_modules=model_args.lora_target)
        model = get_peft_model(model, cfg)
    from datasets import load_dataset
    raw = load_dataset("json", data_files=data_args.train_file)["train"]
    if data_args.validation_file is None:
        split = raw.train_test_split(test_size=data_args.validation_split_percentage / 100, seed=training_args.seed)
    train, valid = split["train"], split["test"]

    def tok(ex):
        return tokenizer([t + tokenizer.eos_token for t in ex["text"]], truncation=True, max_length=data_args.block_size)

    train = train.map(tok, batched=True, remove_columns=raw.column_names)
    valid = valid.map(tok, batched=True, remove_columns=raw.column_names)
    trainer = transformers.Trainer(model=model, args=training_args, train_dataset=train, eval_dataset=valid,
                                   data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False))
    trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint)
    trainer.save_state()


if __name__ == "__main__":
    main()
