"""Regenerates test/golden: tiny random models of every family and format, and what transformers + peft say of them.

    python tools/make_goldens.py [--out test/golden] [--only REGEX]

Needs torch, transformers, peft, safetensors, mlx, mlx-lm and gguf; everything is seeded, one thread, on the CPU.
A folder per model:

    config.json, model*.safetensors (or model.gguf)   the model as its users would find it
    adapter/                                          a PEFT adapter, A and B both non-zero: where training starts
    golden.json                                       losses, gradient norms, the sequences of each optimizer step
    golden.safetensors                                the arrays:
        tokens [T] i32, offsets [B+1] i32             the sequences, laid end to end
        trained [T] u8                                1 where this token is to be predicted with loss ("masked")
        logits [T, V]                                 of the base model, without the adapter
        logits_adapter [T', V]                        with the adapter as it starts, of the last sequence alone
        grad_all.M, grad_masked.M, final.M            M = HF module name + .lora_A [R, in] or .lora_B [out, R]:
                                                      gradients of the mean loss over all or the trained tokens
                                                      of all sequences; the adapter after the optimizer steps

A quantised base is run by transformers on its weights dequantised to float32 (scales and biases widened first).
transformers computes in double precision here, its float32 islands (norms, rotary angles) included, and the results
are rounded to float32: so a golden is the exact value, whichever machine makes it.  What transformers makes of the
same in float32 is printed beside, as the noise of the reference.
"""
import argparse, copy, json, math, os, re, shutil, zlib
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
import numpy as np
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(1)
QKVO = ["q_proj", "k_proj", "v_proj", "o_proj"]
BASE = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=128, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
SMALL = dict(BASE, hidden_size=32, intermediate_size=48, vocab_size=96)
LORA = dict(r=4, lora_alpha=8, target_modules=QKVO)
ADAMW = dict(lr=1e-2, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, max_grad_norm=1.0)
LENGTHS = (17, 24, 9)


def rope(theta, **scaling):
    return dict(rope_theta=theta, **(scaling or dict(rope_type="default")))


# family, config, dtype of the stored weights, dialect of config.json (transformers 4 or 5), adapter, steps
MODELS = {
    "llama-tied": dict(kind="llama", config=dict(BASE, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
    "llama-rope3": dict(kind="llama", shards=3, lora=dict(LORA, target_modules="all-linear"),
                        config=dict(SMALL, tie_word_embeddings=False, num_hidden_layers=3,
                                    rope_parameters=rope(5000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                                         high_freq_factor=4.0, original_max_position_embeddings=32))),
    "llama-linear": dict(kind="llama", dtype="bfloat16", dialect=4, steps=dict(masked=True, weight_decay=0.1),
                         lora=dict(LORA, use_rslora=True, layers_to_transform=[1, 2]),
                         config=dict(BASE, tie_word_embeddings=False, num_hidden_layers=3, attention_bias=True,
                                     mlp_bias=True, rope_parameters=rope(20000.0, rope_type="linear", factor=2.5))),
    "mistral": dict(kind="mistral", dtype="float16", steps=dict(max_grad_norm=0.0, betas=[0.8, 0.95]),
                    lora=dict(LORA, rank_pattern={"q_proj": 2, "layers.1.self_attn.v_proj": 6},
                              alpha_pattern={"k_proj": 3}),
                    config=dict(BASE, sliding_window=6, head_dim=16, rope_parameters=rope(3000.0))),
    "mistral-v4": dict(kind="mistral", dtype="bfloat16", dialect=4,
                       config=dict(SMALL, sliding_window=None, head_dim=16, rope_parameters=rope(7000.0))),
    "qwen2": dict(kind="qwen2", dtype="bfloat16", lora=dict(LORA, target_modules=[*QKVO, "gate_proj", "up_proj", "down_proj"]),
                  config=dict(BASE, tie_word_embeddings=True, use_sliding_window=False, sliding_window=4,
                              max_window_layers=0, rope_parameters=rope(8000.0))),
    "qwen2-v4": dict(kind="qwen2", dialect=4, steps=dict(masked=True),
                     config=dict(SMALL, tie_word_embeddings=False, num_key_value_heads=4, use_sliding_window=False,
                                 sliding_window=4, max_window_layers=1, rope_parameters=rope(8000.0))),
    "qwen3": dict(kind="qwen3", dtype="bfloat16",
                  config=dict(BASE, hidden_size=48, head_dim=24, num_attention_heads=3, num_key_value_heads=1,
                              tie_word_embeddings=False, rms_norm_eps=1e-6, rope_parameters=rope(9000.0))),
    "qwen3-v4": dict(kind="qwen3", dialect=4, lora=dict(LORA, target_modules="all-linear"),
                     config=dict(SMALL, head_dim=16, tie_word_embeddings=True, rms_norm_eps=1e-6,
                                 rope_parameters=rope(9000.0))),
}


# ---- weights --------------------------------------------------------------------------------------

def rng(*name):
    return np.random.default_rng(zlib.crc32("/".join(name).encode()))


def random_weights(name, config):
    """Float32 by HF names: matrices of unit gain, norms about 1, biases not zero."""
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in AutoModelForCausalLM.from_config(config).state_dict().items()}
    out = {}
    for key, shape in shapes.items():
        if key == "lm_head.weight" and config.tie_word_embeddings: continue
        r = rng(name, key)
        if key.endswith("norm.weight"): w = 1 + 0.2 * r.standard_normal(shape)
        elif key.endswith("bias"): w = 0.3 * r.standard_normal(shape)
        elif "embed" in key: w = 0.4 * r.standard_normal(shape)
        else: w = r.standard_normal(shape) / math.sqrt(shape[1])
        out[key] = torch.tensor(w, dtype=torch.float32)
    return out


def write_config(config, path, dialect, dtype, extra=None):
    d = config.to_dict()
    d = {k: v for k, v in d.items() if v is not None and k not in ("transformers_version", "_name_or_path")}
    d["architectures"] = [type(AutoModelForCausalLM.from_config(config)).__name__]
    d["dtype"] = dtype
    if dialect == 4:
        r = d.pop("rope_parameters")
        d["torch_dtype"] = d.pop("dtype")
        d["rope_theta"] = r.pop("rope_theta")
        d["rope_scaling"] = None if r["rope_type"] == "default" else r
        d.pop("layer_types", None)
        if config.model_type == "mistral": d["sliding_window"] = config.sliding_window
    d.update(extra or {})
    path.write_text(json.dumps(d, indent=2, sort_keys=True) + "\n")


def write_safetensors(weights, out, shards):
    names = sorted(weights)
    if shards == 1:
        save_file({k: weights[k].contiguous() for k in names}, out / "model.safetensors", metadata={"format": "pt"})
        return
    where = {}
    for i in range(shards):
        part = names[i::shards]
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        save_file({k: weights[k].contiguous() for k in part}, out / file, metadata={"format": "pt"})
        where.update({k: file for k in part})
    total = sum(w.numel() * w.element_size() for w in weights.values())
    index = dict(metadata=dict(total_size=total), weight_map=dict(sorted(where.items())))
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make_plain(name, spec, config, out):
    dtype = spec.get("dtype", "float32")
    weights = {k: v.to(getattr(torch, dtype)) for k, v in random_weights(name, config).items()}
    write_config(config, out / "config.json", spec.get("dialect", 5), dtype)
    write_safetensors(weights, out, spec.get("shards", 1))
    return AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).state_dict()


# ---- the reference ----------------------------------------------------------------------------------

class Doubled:
    """Stands in for the name torch inside a modeling file, so that its float32 islands become double."""
    float32 = float = torch.float64

    def __getattr__(self, name): return getattr(torch, name)


def set_precision(kind, double):
    import importlib
    importlib.import_module(f"transformers.models.{kind}.modeling_{kind}").torch = Doubled() if double else torch


def sequences(name, vocab):
    """[(tokens, trained)]: a prompt is not trained; the longest sequence has two answers."""
    r = rng(name, "tokens")
    out = []
    for n in LENGTHS:
        ids = r.integers(0, vocab, n)
        trained = np.zeros(n, np.uint8)
        trained[n // 3:] = 1
        if n == max(LENGTHS): trained[n // 2:n // 2 + 4] = 0
        out.append((torch.tensor(ids), torch.tensor(trained)))
    return out


def loss_sum(model, seq, masked):
    """Sum of cross-entropies of one sequence, and over how many tokens."""
    ids, trained = seq
    logits = model(input_ids=ids[None]).logits[0]
    keep = trained[1:].bool() if masked else torch.ones(len(ids) - 1, dtype=torch.bool)
    return torch.nn.functional.cross_entropy(logits[:-1][keep], ids[1:][keep], reduction="sum"), int(keep.sum())


def mean_loss(model, seqs, masked):
    sums, n = zip(*(loss_sum(model, s, masked) for s in seqs))
    return sum(sums) / sum(n)


def adapter_parameters(model):
    return {re.sub(r"^base_model\.model\.|\.default\.weight$", "", n): p
            for n, p in model.named_parameters() if p.requires_grad}


def reference(spec, config, weights, adapter, name, double):
    """Everything golden of one model, in one precision."""
    set_precision(spec["kind"], double)
    dtype = torch.float64 if double else torch.float32
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation="sdpa")
    model.load_state_dict(weights)
    model = model.to(dtype).eval()
    seqs = sequences(name, config.vocab_size)
    got = {}
    with torch.no_grad():
        got["logits"] = torch.cat([model(input_ids=ids[None]).logits[0] for ids, _ in seqs])
    model = PeftModel.from_pretrained(model, adapter, is_trainable=True, autocast_adapter_dtype=False).to(dtype)
    params = adapter_parameters(model)
    assert all(p.dtype == dtype for p in params.values())
    with torch.no_grad():
        got["logits_adapter"] = model(input_ids=seqs[-1][0][None]).logits[0]
    facts = {}
    for kind in ("all", "masked"):
        loss = mean_loss(model, seqs, kind == "masked")
        model.zero_grad()
        loss.backward()
        facts[f"loss_{kind}"] = loss.item()
        got.update({f"grad_{kind}.{n}": p.grad.clone() for n, p in params.items()})
    model.zero_grad()
    facts["steps"] = run_steps(model, params, seqs, {**ADAMW, "masked": False, "n": 10, **spec.get("steps", {})})
    got.update({f"final.{n}": p.detach() for n, p in params.items()})
    set_precision(spec["kind"], False)
    return {k: v.detach().contiguous() for k, v in got.items()}, facts


def run_steps(model, params, seqs, o):
    """AdamW as torch has it; each step on its own choice of sequences; clipping as torch.nn.utils has it."""
    opt = torch.optim.AdamW(params.values(), lr=o["lr"], betas=tuple(o["betas"]), eps=o["eps"],
                            weight_decay=o["weight_decay"])
    out = dict(o, sequences=[], losses=[], grad_norms=[])
    for step in range(o["n"]):
        chosen = [[0, 1], [2], [1, 2], [0]][step % 4]
        loss = mean_loss(model, [seqs[i] for i in chosen], o["masked"])
        loss.backward()
        norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in params.values())).item()
        if o["max_grad_norm"] > 0: torch.nn.utils.clip_grad_norm_(params.values(), o["max_grad_norm"])
        opt.step()
        opt.zero_grad()
        out["sequences"].append(chosen)
        out["losses"].append(loss.item())
        out["grad_norms"].append(norm)
    return out


def make_adapter(name, spec, config, weights, out):
    """A PEFT adapter written by PEFT itself, with A and B both random."""
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    model.load_state_dict(weights)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **spec.get("lora", LORA)))
    for n, p in adapter_parameters(model).items():
        r = rng(name, n)
        a = r.uniform(-1, 1, p.shape) / math.sqrt(p.shape[1]) if n.endswith("lora_A") else 0.1 * r.standard_normal(p.shape)
        p.data.copy_(torch.tensor(a, dtype=torch.float32))
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    file = out / "adapter_config.json"
    d = json.loads(file.read_text())
    d["base_model_name_or_path"] = None
    d["target_modules"] = sorted(d["target_modules"]) if isinstance(d["target_modules"], list) else d["target_modules"]
    file.write_text(json.dumps(d, indent=2, sort_keys=True) + "\n")


def noise(exact, single):
    """How far transformers in float32 is from the exact values, in the measures of the tests."""
    worst = dict(logits=0.0, gradients=0.0, final=0.0)
    for k, e in exact.items():
        e, s = e.double(), single[k].double()
        if k.startswith("logits"): worst["logits"] = max(worst["logits"], ((s - e).abs().max() / e.abs().max()).item())
        else:
            part = "final" if k.startswith("final") else "gradients"
            worst[part] = max(worst[part], ((s - e).norm() / e.norm()).item())
    return worst


def make(name, spec, root):
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config = AutoConfig.for_model(spec["kind"], **spec["config"])
    weights = spec.get("make", make_plain)(name, spec, config, out)
    make_adapter(name, spec, config, weights, out / "adapter")
    exact, facts = reference(spec, config, weights, out / "adapter", name, True)
    single, facts32 = reference(spec, config, weights, out / "adapter", name, False)
    worst = noise(exact, single)
    worst["losses"] = max(abs(a - b) for a, b in zip(facts["steps"]["losses"], facts32["steps"]["losses"]))
    arrays = {k: v.float() for k, v in exact.items()}
    seqs = sequences(name, config.vocab_size)
    arrays["tokens"] = torch.cat([s[0] for s in seqs]).int()
    arrays["trained"] = torch.cat([s[1] for s in seqs])
    arrays["offsets"] = torch.tensor([0, *np.cumsum(LENGTHS)]).int()
    save_file(dict(sorted(arrays.items())), out / "golden.safetensors")
    facts = dict(made_with=dict(torch=torch.__version__, transformers=transformers.__version__), **facts)
    (out / "golden.json").write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    st = facts["steps"]
    print(f"{name:14} {size / 1000:6.0f} kB  loss {facts['loss_all']:.3f}  steps {st['losses'][0]:.3f} -> {st['losses'][-1]:.3f}"
          f"  norms {min(st['grad_norms']):.2f}..{max(st['grad_norms']):.2f}  float32's own error: "
          + " ".join(f"{k} {v:.1e}" for k, v in worst.items()), flush=True)
    assert worst["logits"] < 1e-5 and worst["gradients"] < 1e-5 and worst["losses"] < 1e-5, "the reference is not stable"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=Path(__file__).resolve().parent.parent / "test" / "golden", type=Path)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    for name, spec in MODELS.items():
        if re.search(a.only, name): make(name, spec, a.out)


if __name__ == "__main__":
    main()
