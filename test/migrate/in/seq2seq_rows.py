from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments, DataCollatorForSeq2Seq
import datasets, torch, json, sys
from peft import LoraConfig, get_peft_model

class Config:
    MODEL = "Qwen/Qwen2-0.5B"
    MAX_LEN = 384
    def __init__(self, **kw):
        self.rank = kw.get("rank", 8)
        self.args = {**dict(learning_rate=1e-4, num_train_epochs=3), **kw.get("args", {})}

    @property
    def lora(self):
        return LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
                          inference_mode=False, r=self.rank, lora_alpha=32, lora_dropout=0.1)

C = Config(rank=16, args=dict(learning_rate=2e-4))
tokenizer = AutoTokenizer.from_pretrained(C.MODEL, use_fast=False, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(C.MODEL, device_map="auto", torch_dtype=torch.bfloat16)
model.enable_input_require_grads()

def process_func(example):
    instruction = tokenizer(f"<|im_start|>system\n{example['instruction']}<|im_end|>\n<|im_start|>user\n{example['input']}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)
    response = tokenizer(f"{example['output']}", add_special_tokens=False)
    input_ids = instruction["input_ids"] + response["input_ids"] + [tokenizer.pad_token_id]
    attention_mask = instruction["attention_mask"] + response["attention_mask"] + [1]
    labels = [-100] * len(instruction["input_ids"]) + response["input_ids"] + [tokenizer.pad_token_id]
    if len(input_ids) > C.MAX_LEN:
        input_ids, attention_mask, labels = input_ids[:C.MAX_LEN], attention_mask[:C.MAX_LEN], labels[:C.MAX_LEN]
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}

df = datasets.Dataset.from_json("./huanhuan.json")
train_ds = df.map(process_func, remove_columns=df.column_names)
model = get_peft_model(model, C.lora)
args = TrainingArguments(output_dir="./output/Qwen2", per_device_train_batch_size=4, gradient_accumulation_steps=4,
                         logging_steps=10, save_steps=100, gradient_checkpointing=True, save_on_each_node=True, **C.args)
trainer = Trainer(model=model, args=args, train_dataset=train_ds, data_collator=DataCollatorForSeq2Seq(tokenizer=tokenizer, padding=True))
trainer.train()
