#!/usr/bin/env python3
"""Hold hone's adapter reader and writer against PEFT and mlx-lm themselves, on a tiny Llama.

    tools/check_adapter_peers.py BUILD_DIR

BUILD_DIR holds the built libraries (libhn_format.a ...).  Needs torch, transformers, peft, mlx, mlx-lm.
Each case: one system writes an adapter; hone reads it and the change that it makes to the base is
compared; hone writes it again; PEFT and mlx-lm load what hone wrote and must give the same logits."""
import json, os, subprocess, sys, tempfile
import numpy as np

build = sys.argv[1]
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
work = tempfile.mkdtemp(prefix="hone-peers-")
tool = os.path.join(work, "adapter_copy")
libs = [os.path.join(build, f"lib{x}.a") for x in ("hn_format", "hn_quant", "hn_base")]
subprocess.run(["cc", "-O1", "-g", "-I", f"{root}/src", "-I", f"{root}/include", "-o", tool,
                f"{root}/test/format/adapter_copy.c", *libs, "-lpcre2-8", "-lm", "-lpthread"],
               check=True)

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
import mlx.core as mx
import mlx_lm
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx.utils import tree_flatten

LAYERS = 4
base = os.path.join(work, "base")
config = transformers.LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS,
                                  num_attention_heads=4, num_key_value_heads=2, vocab_size=64,
                                  max_position_embeddings=64, tie_word_embeddings=False,
                                  rope_theta=10000.0)
torch.manual_seed(0)
transformers.LlamaForCausalLM(config).save_pretrained(base)
c = json.load(open(f"{base}/config.json"))
c["rope_theta"] = 10000.0
json.dump(c, open(f"{base}/config.json", "w"))
ids = [3, 1, 4, 1, 5, 9, 2, 6]


def fresh():
    return transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def peft_logits(path):
    model = PeftModel.from_pretrained(fresh(), path).eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def mlx_model():
    from pathlib import Path
    model, _ = mlx_lm.utils.load_model(Path(base))
    return model


def mlx_logits(path):
    from mlx_lm.tuner.utils import load_adapters
    model = load_adapters(mlx_model(), path)
    model.eval()
    return np.array(model(mx.array([ids]))[0].astype(mx.float32))


def dump(path):
    b = subprocess.run([tool, "dump", path], stdout=subprocess.PIPE, check=True).stdout
    at, out = 0, {}
    while at < len(b):
        end = b.index(b"\n", at)
        name, r, i, o, scale = b[at:end].decode().split()
        r, i, o = int(r), int(i), int(o)
        a = np.frombuffer(b, np.float32, r * i, end + 1).reshape(r, i)
        bb = np.frombuffer(b, np.float32, o * r, end + 1 + 4 * r * i).reshape(o, r)
        out[name] = float(scale) * bb.astype(np.float64) @ a.astype(np.float64)
        at = end + 1 + 4 * r * (i + o)
    return out


def close(x, y, what, tol=5e-6):
    d = np.abs(x - y).max() / max(np.abs(y).max(), 1e-30)
    print(f"  {what}: {d:.2e}")
    assert d <= tol, what


def check(name, path, logits):
    """hone reads path, writes it again; both peers give these logits from what it wrote."""
    print(name)
    to = os.path.join(work, name.replace(" ", "_") + "-hone")
    subprocess.run([tool, "copy", path, to, str(LAYERS)], check=True)
    close(peft_logits(to), logits, "peft on hone's")
    close(mlx_logits(to), logits, "mlx-lm on hone's")
    before, after = dump(path), dump(to)
    assert before.keys() == after.keys()
    for k in before:
        assert np.array_equal(before[k], after[k]), k
    again = os.path.join(work, name.replace(" ", "_") + "-mlx-only")
    os.makedirs(again)
    for f in ("adapters.safetensors", "adapter_config.json"):
        os.link(os.path.join(to, f), os.path.join(again, f))
    padded = dump(again)
    for k in before:
        close(padded[k], before[k], "mlx file alone: " + k, 1e-6) if k.endswith("0.self_attn.q_proj") else None


def from_peft(name, **kw):
    torch.manual_seed(1)
    model = get_peft_model(fresh(), LoraConfig(task_type="CAUSAL_LM", **kw))
    for n, p in model.named_parameters():
        if "lora_B" in n:
            torch.nn.init.normal_(p, std=0.05)
    path = os.path.join(work, name.replace(" ", "_"))
    model.save_pretrained(path, save_embedding_layers=False)
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()
    delta = {n.removeprefix("base_model.model."): m.get_delta_weight("default").detach().numpy()
             for n, m in model.named_modules() if hasattr(m, "get_delta_weight")}
    ours = dump(path)
    assert ours.keys() == delta.keys(), (sorted(ours)[:3], sorted(delta)[:3])
    for k in delta:
        d = np.abs(ours[k] - delta[k]).max() / np.abs(delta[k]).max()
        assert d < 1e-6, (k, d)
    check(name, path, logits)


def from_mlx(name, num_layers, **kw):
    mx.random.seed(3)
    model = mlx_model()
    linear_to_lora_layers(model, num_layers, kw)
    params = {k: (mx.random.normal(v.shape) * 0.1 if k.endswith("lora_b") else v)
              for k, v in tree_flatten(model.parameters()) if k.endswith(("lora_a", "lora_b"))}
    path = os.path.join(work, name.replace(" ", "_"))
    os.makedirs(path)
    mx.save_safetensors(f"{path}/adapters.safetensors", params)
    json.dump({"fine_tune_type": "lora", "num_layers": num_layers, "model": base,
               "lora_parameters": kw, "learning_rate": 1e-5}, open(f"{path}/adapter_config.json", "w"))
    model.load_weights(list(params.items()), strict=False)
    model.eval()
    check(name, path, np.array(model(mx.array([ids]))[0].astype(mx.float32)))


QKVO = ["q_proj", "k_proj", "v_proj", "o_proj"]
from_peft("peft plain", r=4, lora_alpha=8, target_modules=QKVO)
from_peft("peft rslora", r=6, lora_alpha=9, use_rslora=True, target_modules=QKVO)
from_peft("peft all linear", r=2, lora_alpha=16, target_modules="all-linear")
from_peft("peft regex", r=2, lora_alpha=3, target_modules=r".*layers\.[13]\..*(q|v)_proj")
from_peft("peft last two", r=3, lora_alpha=5, target_modules=QKVO, layers_to_transform=[2, 3])
from_peft("peft ranks", r=4, lora_alpha=8, target_modules=QKVO,
          rank_pattern={r"layers\.[02]\.self_attn\.q_proj": 7, "o_proj": 2},
          alpha_pattern={"v_proj": 3, "^model.layers.1.self_attn.o_proj": 11})
from_peft("peft ranks rslora", r=4, lora_alpha=8, use_rslora=True, target_modules=QKVO,
          rank_pattern={"k_proj": 9}, alpha_pattern={"layers.3.self_attn.q_proj": 2.5})
from_peft("peft lm_head", r=4, lora_alpha=8, target_modules=["q_proj", "lm_head"])
from_mlx("mlx default keys of attention", 4, rank=8, scale=20.0, dropout=0.0,
         keys=["self_attn.q_proj", "self_attn.v_proj"])
from_mlx("mlx last two blocks", 2, rank=5, scale=3.7, dropout=0.1,
         keys=["self_attn.q_proj", "mlp.down_proj"])

print("a PEFT save into hone's directory leaves a stale mlx file")
stale = os.path.join(work, "peft_plain-hone")
m = PeftModel.from_pretrained(fresh(), stale, is_trainable=True)
for n, p in m.named_parameters():
    if "lora_B" in n:
        p.data += 0.1
m.save_pretrained(stale)
r = subprocess.run([tool, "dump", stale], capture_output=True)
print("  " + r.stderr.decode().strip())
assert r.returncode == 1 and b"different adapters" in r.stderr
print("all right")
