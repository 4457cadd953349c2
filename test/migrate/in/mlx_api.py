# LoRA with mlx-lm's Python API
import json
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
from mlx_lm import generate, load
from mlx_lm.sample_utils import make_sampler
from mlx_lm.tuner import TrainingArgs, linear_to_lora_layers, train
from mlx_lm.tuner.datasets import CacheDataset, ChatDataset

model_path = "mlx-community/Llama-3.2-1B-Instruct-4bit"
mx.random.seed(7)
model, tokenizer = load(model_path, tokenizer_config={"trust_remote_code": True})

adapter_path = Path("adapters/first")
adapter_path.mkdir(parents=True, exist_ok=True)

lora_config = {
    "num_layers": 8,
    "lora_parameters": {
        "rank": 8,
        "scale": 20.0,
        "dropout": 0.0,
    },
}
with open(adapter_path / "adapter_config.json", "w") as f:
    json.dump(lora_config, f, indent=4)

training_args = TrainingArgs(
    adapter_file=adapter_path / "adapters.safetensors",
    iters=200,
    steps_per_eval=50,
    grad_checkpoint=True,
    novel=1,
)

model.freeze()
linear_to_lora_layers(model, lora_config["num_layers"], lora_config["lora_parameters"])
model.train()


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


train_set = ChatDataset(read("chats/train.jsonl"), tokenizer, mask_prompt=True)
valid_set = ChatDataset(read("chats/valid.jsonl"), tokenizer, mask_prompt=True)

schedule = optim.cosine_decay(2e-5, 200, end=1e-6)
train(
    model=model,
    args=training_args,
    optimizer=optim.AdamW(learning_rate=schedule, betas=[0.9, 0.95]),
    train_dataset=CacheDataset(train_set),
    val_dataset=CacheDataset(valid_set),
    training_callback=Metrics(),
)

model, tokenizer = load(model_path, adapter_path="adapters/first")
print(generate(model, tokenizer, prompt="Hello", max_tokens=100, sampler=make_sampler(temp=0.7)))
