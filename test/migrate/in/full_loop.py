import os, math
import torch, yaml
from torch.utils.data import DataLoader, random_split
from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup, set_seed
from datasets import load_dataset

CFG = {
    "model": "HuggingFaceTB/SmolLM2-360M",
    "train": {"lr": 5e-5, "wd": 0.1, "bs": 4, "accum": 8, "epochs": 2, "clip": 1.0, "warmup": 100},
    "data": {"path": "corpus.jsonl", "max_len": 1024, "val_frac": 0.02},
}
tc = CFG["train"]
set_seed(1234)
device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
dtype = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
tokenizer = AutoTokenizer.from_pretrained(CFG["model"])
model = AutoModelForCausalLM.from_pretrained(CFG["model"], torch_dtype=dtype).to(device)
model.gradient_checkpointing_enable()

ds = load_dataset("json", data_files=CFG["data"]["path"], split="train")
ds = ds.map(lambda r: tokenizer(r["text"] + tokenizer.eos_token, truncation=True, max_length=CFG["data"]["max_len"]), remove_columns=ds.column_names)
n_val = int(len(ds) * CFG["data"]["val_frac"])
train_ds, val_ds = random_split(ds, [len(ds) - n_val, n_val])

def collate(b):
    ids = [torch.tensor(x["input_ids"]) for x in b]
    x = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id or 0)
    y = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=-100)
    return {"input_ids": x, "labels": y}

train_dl = DataLoader(train_ds, batch_size=tc["bs"], shuffle=True, collate_fn=collate, drop_last=True)
val_dl = DataLoader(val_ds, batch_size=tc["bs"], collate_fn=collate)

no_decay = ["bias", "norm.weight", "layernorm.weight"]
optimizer_grouped_parameters = [
    {"params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)], "weight_decay": tc["wd"]},
    {"params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(optimizer_grouped_parameters, lr=tc["lr"], betas=(0.9, 0.95), fused=device == "cuda")
steps = math.ceil(len(train_dl) / tc["accum"]) * tc["epochs"]
scheduler = get_cosine_schedule_with_warmup(optimizer, tc["warmup"], steps)

step = 0
for epoch in range(1, tc["epochs"] + 1):
    model.train()
    for i, batch in enumerate(train_dl):
        batch = {k: v.to(device) for k, v in batch.items()}
        with torch.autocast(device_type=device, dtype=torch.bfloat16, enabled=device == "cuda"):
            loss = model(**batch).loss / tc["accum"]
        loss.backward()
        if (i + 1) % tc["accum"] == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), tc["clip"])
            optimizer.step(); scheduler.step(); optimizer.zero_grad(set_to_none=True)
            step += 1
    model.save_pretrained(f"ckpt/epoch-{epoch}")
model.save_pretrained("ckpt/final"); tokenizer.save_pretrained("ckpt/final")
