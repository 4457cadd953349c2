# A loop of the script's own: optimizer, schedule, loaders, clipping and accelerate, and no trainer.
import json

import torch
from accelerate import Accelerator
from bitsandbytes.optim import AdamW8bit
from peft import LoraConfig, get_peft_model
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler

EPOCHS = 4
accelerator = Accelerator(gradient_accumulation_steps=8, mixed_precision="bf16")
tokenizer = AutoTokenizer.from_pretrained("someone/Model-1B")
model = AutoModelForCausalLM.from_pretrained("someone/Model-1B")
model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"]))


def collate(rows):
    texts = [row["text"] + tokenizer.eos_token for row in rows]
    return tokenizer(texts, padding=True, truncation=True, max_length=256)


rows = [json.loads(line) for line in open("rows.jsonl")]
valid = [json.loads(line) for line in open("valid.jsonl")]
valid_loader = DataLoader(valid, batch_size=16, collate_fn=collate)
loader = DataLoader(rows, batch_size=2, shuffle=True, collate_fn=collate, num_workers=4)
optimizer = AdamW8bit(model.parameters(), lr=3e-4, betas=(0.9, 0.95))
schedule = get_scheduler(
    "cosine", optimizer, num_warmup_steps=50, num_training_steps=EPOCHS * len(loader)
)
for epoch in tqdm(range(EPOCHS)):
    for batch in loader:
        with accelerator.accumulate(model):
            loss = model(**batch).loss
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
model.save_pretrained("out")
