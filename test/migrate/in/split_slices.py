# The rows of one file, cut by the split's name.
from datasets import load_dataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

train = load_dataset("json", data_files="rows.jsonl", split="train[:80%]")
valid = load_dataset("json", data_files="rows.jsonl", split="train[90%:]")
model = AutoModelForCausalLM.from_pretrained("someone/Model-1B")
args = TrainingArguments("out", eval_strategy="epoch")
Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid).train()
