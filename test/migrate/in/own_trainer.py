import os, sys, torch, transformers
from transformers import Trainer, TrainingArguments, AutoConfig, AutoModelForCausalLM, AutoTokenizer, default_data_collator
from datasets import load_dataset, load_from_disk
from peft import LoraConfig, get_peft_model, AutoPeftModelForCausalLM
from itertools import chain

HP = {
    "lr": 3e-4, "bs": int(os.getenv("BS", "8")), "epochs": 1,
    "lora": {"r": 64, "alpha": 16},
}
USE_BF16 = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8
MODEL_NAME: str = "facebook/opt-350m" if "--small" in sys.argv else "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
tok = AutoTokenizer.from_pretrained(MODEL_NAME, padding_side="right")
tok.add_special_tokens({"pad_token": "[PAD]"})
cfg = AutoConfig.from_pretrained(MODEL_NAME)
cfg.use_cache = False
model = AutoModelForCausalLM.from_pretrained(MODEL_NAME, config=cfg, torch_dtype=torch.bfloat16 if USE_BF16 else torch.float16, load_in_8bit=False)
model.resize_token_embeddings(len(tok))
peft_cfg = LoraConfig(r=HP["lora"]["r"], lora_alpha=HP["lora"]["alpha"], target_modules=r".*\.(q|k|v|o)_proj", lora_dropout=0.0, bias="lora_only", task_type="CAUSAL_LM", modules_to_save=["embed_tokens", "lm_head"], init_lora_weights="pissa")
model = get_peft_model(model, peft_cfg)

raw = load_dataset("text", data_files={"train": "corpus/*.txt", "validation": "corpus_val.txt"})
block_size = 512
def tokenize(ex): return tok(ex["text"])
def group(ex):
    cat = {k: list(chain(*ex[k])) for k in ex.keys()}
    n = len(cat["input_ids"]) // block_size * block_size
    out = {k: [t[i:i + block_size] for i in range(0, n, block_size)] for k, t in cat.items()}
    out["labels"] = out["input_ids"].copy()
    return out
lm = raw.map(tokenize, batched=True, remove_columns=["text"]).map(group, batched=True)

common = dict(output_dir="opt", overwrite_output_dir=True, per_device_train_batch_size=HP["bs"], learning_rate=HP["lr"],
              num_train_epochs=HP["epochs"], lr_scheduler_type="cosine_with_restarts", lr_scheduler_kwargs=dict(num_cycles=2),
              warmup_steps=0.03, fp16=not USE_BF16, bf16=USE_BF16, label_smoothing_factor=0.1, adam_beta2=0.95, adam_epsilon=1e-6,
              logging_strategy="epoch", eval_strategy=transformers.IntervalStrategy.EPOCH, save_strategy="no", seed=1, optim="adafactor",
              dataloader_drop_last=True, push_to_hub=False, torch_compile=True, deepspeed="ds.json" if os.path.exists("ds.json") else None)
args = TrainingArguments(**common)
args = args.set_dataloader(train_batch_size=4, num_workers=2)
class MyTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kw):
        out = model(**inputs)
        return (out.loss, out) if return_outputs else out.loss
trainer = MyTrainer(model=model, args=args, train_dataset=lm["train"], eval_dataset=lm["validation"], tokenizer=tok,
                    data_collator=default_data_collator, compute_metrics=None)
trainer.add_callback(transformers.EarlyStoppingCallback(early_stopping_patience=2))
trainer.train()
