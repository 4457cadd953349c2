#!/usr/bin/env python3
"""What other programs write of the models in test/golden, in hashes (the first 16 digits of
SHA-256): test/convert/written.json.

    python tools/make_convert_goldens.py

Needs mlx, mlx-lm, gguf, numpy.  MLX: mlx_lm.convert itself, every tensor of its file.  GGUF: the
quantisers of the gguf package over float32 values, with q and k rows in llama.cpp's order.
{"mlx": {"MODEL BITS GROUP": {TENSOR: HASH}}, "gguf": {"MODEL TYPE": {TENSOR: HASH}}}
"""
import hashlib
import json
import pathlib
import shutil
import tempfile

import gguf
import mlx.core as mx
import mlx_lm
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "test" / "golden"
MLX = [("llama-tied", b, g) for g in (32, 64) for b in (2, 3, 4, 5, 6, 8)] + [
    ("mistral", 4, 32), ("qwen2", 4, 32), ("qwen3", 4, 32), ("llama-rope3", 8, 32)]
TYPES = {"q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q8_0": "Q8_0", "f16": "F16",
         "bf16": "BF16", "f32": "F32"}
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def sha(data):
    return hashlib.sha256(data).hexdigest()[:16]


def raw(a):
    return np.array(a.view(mx.uint8) if a.dtype == mx.bfloat16 else a).tobytes()


def by_mlx(model, bits, group):
    with tempfile.TemporaryDirectory() as work:
        src, out = pathlib.Path(work) / "in", pathlib.Path(work) / "out"
        shutil.copytree(GOLDEN / model, src, ignore=shutil.ignore_patterns("golden*", "adapter"))
        config = json.loads((src / "config.json").read_text())
        config.setdefault("rope_theta", config.get("rope_parameters", {}).get("rope_theta", 10000.0))
        (src / "config.json").write_text(json.dumps(config))
        mlx_lm.convert(hf_path=str(src), mlx_path=str(out), quantize=True, q_bits=bits, q_group_size=group)
        tensors = {}
        for f in out.glob("*.safetensors"):
            tensors.update(mx.load(str(f)))
        return {k: sha(raw(v)) for k, v in sorted(tensors.items())}


def by_gguf(model, name):
    config = json.loads((GOLDEN / model / "config.json").read_text())
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    kind = getattr(gguf.GGMLQuantizationType, TYPES[name])
    out = {}
    for f in sorted((GOLDEN / model).glob("model*.safetensors")):
        for key, value in mx.load(str(f)).items():
            w = np.array(value.astype(mx.float32))
            part = key.removesuffix(".weight").split(".", 3)[-1]
            if w.ndim != 2 or part not in PARTS:
                continue
            n = heads.get(part.split(".")[-1])
            if n:
                w = w.reshape(n, 2, w.shape[0] // n // 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
            if w.shape[1] % gguf.GGML_QUANT_SIZES[kind][0]:
                continue
            stored = "blk.%s.%s.weight" % (key.split(".")[2], PARTS[part])
            out[stored] = sha(gguf.quants.quantize(w, kind).tobytes())
    return out


def main():
    written = {"mlx": {"%s %d %d" % c: by_mlx(*c) for c in MLX},
               "gguf": {"%s %s" % (m, t): by_gguf(m, t) for m in ("llama-tied", "llama-rope3") for t in TYPES}}
    path = ROOT / "test" / "convert" / "written.json"
    path.write_text(json.dumps(written, indent=0, sort_keys=True) + "\n")
    print("wrote %s: %d tensors" % (path.name, sum(len(c) for k in written.values() for c in k.values())))


if __name__ == "__main__":
    main()
