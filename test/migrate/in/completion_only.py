# pip install trl==0.11.4
import json, fire
from functools import partial
from datasets import Dataset
import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, EarlyStoppingCallback
from peft import LoraConfig, prepare_model_for_kbit_training
from trl import SFTTrainer, SFTConfig, DataCollatorForCompletionOnlyLM

LORA = dict(r=8, lora_alpha=32, lora_dropout=0.1, bias="none", task_type="CAUSAL_LM")
QUANT = {"load_in_8bit": True, "llm_int8_threshold": 6.0}

def prompt(row):
    return f"### Question: {row['question']}\n### Answer: {row['answer']}"

def formatting(batch):
    return [prompt({"question": q, "answer": a}) for q, a in zip(batch["question"], batch["answer"])]

def train(base_model: str = "mistralai/Mistral-7B-Instruct-v0.2", data_path: str = "qa.csv", out_dir: str = "./mistral-qa",
          batch_size: int = 128, micro_batch_size: int = 4, lr: float = 3e-4, cutoff_len: int = 256, val_set_size: int = 200,
          lora_target_modules=["q_proj", "v_proj"], num_epochs=3, **kw):
    grad_accum = batch_size // micro_batch_size
    df = pd.read_csv(data_path)
    data = Dataset.from_pandas(df)
    data = data.train_test_split(test_size=val_set_size, shuffle=True, seed=42)
    model = AutoModelForCausalLM.from_pretrained(base_model, quantization_config=BitsAndBytesConfig(**QUANT), device_map="auto")
    model = prepare_model_for_kbit_training(model)
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    tokenizer.pad_token_id = 0
    collator = DataCollatorForCompletionOnlyLM("### Answer:", tokenizer=tokenizer)
    cfg = SFTConfig(out_dir, per_device_train_batch_size=micro_batch_size, gradient_accumulation_steps=grad_accum,
                    num_train_epochs=num_epochs, learning_rate=lr, max_seq_length=cutoff_len, warmup_steps=100, fp16=True,
                    logging_steps=10, optim="adamw_torch", evaluation_strategy="steps", save_strategy="steps",
                    eval_steps=200, save_steps=200, save_total_limit=3, load_best_model_at_end=True, neftune_noise_alpha=5)
    trainer = SFTTrainer(model, args=cfg, train_dataset=data["train"], eval_dataset=data["test"], tokenizer=tokenizer,
                         formatting_func=formatting, data_collator=collator,
                         peft_config=LoraConfig(**{**LORA, "target_modules": lora_target_modules}),
                         callbacks=[EarlyStoppingCallback(early_stopping_patience=3, early_stopping_threshold=0.001)])
    trainer.train()
    trainer.model.save_pretrained(out_dir)

if __name__ == "__main__":
    fire.Fire(train)
