import os, torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler
from torch.utils.data import DataLoader
from datasets import load_dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
import bitsandbytes as bnb

class Args:
    model_ckpt = "bigcode/starcoderbase-1b"
    seq_length: int = 1024
    lr = 5e-4
    num_warmup_steps = 100
    gradient_accumulation = 16
    max_train_steps = 2000
    batch = 1
args = Args()
accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_bf16_supported() else "fp16")
tokenizer = AutoTokenizer.from_pretrained(args.model_ckpt)
model = AutoModelForCausalLM.from_pretrained(args.model_ckpt, load_in_8bit=True, device_map={"": accelerator.process_index})
model = prepare_model_for_kbit_training(model)
peft_kwargs = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05}
model = get_peft_model(model, LoraConfig(**peft_kwargs, target_modules=["q_proj", "k_proj", "v_proj"]))
ds = load_dataset("json", data_files="code.jsonl", split="train[:95%]")
val = load_dataset("json", data_files="code.jsonl", split="train[95%:]")
def tok(b): return tokenizer(b["content"], truncation=True, max_length=args.seq_length)
dl = DataLoader(ds.map(tok, batched=True), batch_size=args.batch, shuffle=True)
optimizer = bnb.optim.PagedAdamW8bit([p for p in model.parameters() if p.requires_grad], lr=args.lr, weight_decay=0.05)
lr_scheduler = get_scheduler(name="cosine", optimizer=optimizer, num_warmup_steps=args.num_warmup_steps * accelerator.num_processes, num_training_steps=args.max_train_steps)
model, optimizer, dl = accelerator.prepare(model, optimizer, dl)
completed = 0
for step, batch in enumerate(dl, start=1):
    loss = model(batch["input_ids"], labels=batch["input_ids"]).loss
    loss = loss / args.gradient_accumulation
    accelerator.backward(loss)
    if step % args.gradient_accumulation == 0:
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(); lr_scheduler.step(); optimizer.zero_grad()
        completed += 1
    if completed >= args.max_train_steps:
        break
accelerator.unwrap_model(model).save_pretrained(os.path.join("out", f"step_{completed}"))
