# Rows read, mixed and cut by hand into three, and data sets of the script's own class.
import json
import random

from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments


def read_jsonl(path):
    rows = []
    with open(path) as f:
        for line in f:
            rows.append(json.loads(line))
    return rows


class Rows(Dataset):
    def __init__(self, rows, tokenizer, max_len=512):
        self.rows = rows
        self.tokenizer = tokenizer
        self.max_len = max_len

    def __getitem__(self, i):
        text = self.rows[i]["text"]
        return self.tokenizer(text, truncation=True, max_length=self.max_len)


rows = read_jsonl("data/train.jsonl") + read_jsonl("more.jsonl")
random.shuffle(rows)
first, second = int(0.8 * len(rows)), int(len(rows) * 0.9)
train, valid, test = rows[:first], rows[first:second], rows[second:]

modules = ["q_proj"]
modules.append("v_proj")
modules.extend(["up_proj", "down_proj"])
tokenizer = AutoTokenizer.from_pretrained("someone/Model-1B")
model = AutoModelForCausalLM.from_pretrained("someone/Model-1B")
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=modules))
trainer = Trainer(
    model,
    TrainingArguments("out", eval_strategy="epoch"),
    train_dataset=Rows(train, tokenizer),
    eval_dataset=Rows(valid, tokenizer),
)
trainer.train()
