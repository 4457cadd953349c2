import types

import mlx.nn as nn
import mlx.optimizers as optim
from mlx_lm.tuner import datasets, trainer, utils
from mlx_lm.utils import load

args = types.SimpleNamespace(
    data="data",
    train=True,
    test=False,
    mask_prompt=True,
    chat_feature="conversation",
    surprise=3,
)

model, tokenizer = load("mlx-community/Qwen2.5-0.5B-Instruct-4bit", adapter_path="before")
weights = nn.load("other.safetensors")
train_set, valid_set, _ = datasets.load_dataset(args, tokenizer)
utils.linear_to_lora_layers(
    model,
    len(model.layers),
    {"rank": RANK, "scale": 10.0, "keys": ["self_attn.q_proj"], "alpha": 16},
    use_dora=True,
)
warmup = optim.join_schedules([optim.linear_schedule(0, 1e-5, 10), optim.cosine_decay(1e-5, 90)], [10])
trainer.train(
    model,
    optim.Muon(learning_rate=warmup),
    train_set,
    args=trainer.TrainingArgs(4, adapter_file="adapters.safetensors", steps_per_save=20),
    loss=my_loss,
)
