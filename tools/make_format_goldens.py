#!/usr/bin/env python3
"""Make test/format/data: small files written by the systems whose formats hone reads, and what those
systems read in them, as float32.

    tools/make_format_goldens.py            needs torch, transformers, peft, mlx, mlx-lm, gguf

Everything is seeded; running it again with the same versions changes nothing."""
import json, os, shutil, sys, tempfile
import numpy as np
import torch
import transformers
import gguf
import mlx.core as mx
import mlx.nn as nn
from mlx_lm import utils as mlx_utils
from peft import LoraConfig, get_peft_model
from pathlib import Path
from safetensors.numpy import save_file, load_file
from safetensors.torch import save_file as save_torch

root = Path(__file__).resolve().parent.parent / "test" / "format" / "data"
shutil.rmtree(root, ignore_errors=True)
root.mkdir(parents=True)
rng = np.random.default_rng(1)
mx.random.seed(1)
torch.manual_seed(1)
DTYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def affine():
    """Every width, group and scale type: source, MLX's quantisation of it, and its dequantisation in
    float32 after the scales were widened."""
    out = {}
    for bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 64, 128):
            for name, dtype in DTYPES.items():
                w = rng.normal(size=(3, 128)).astype(np.float32)
                w[1, :32] = np.arange(32) - 10           # ties, an edge that is not the minimum
                w[1, 32:64] = -np.abs(w[1, 32:64]) - 0.5  # all negative
                w[1, 64:96] = 0
                w[1, 96:] = 0.25                          # constant
                w[2] *= 10.0 ** rng.integers(-9, 5)       # tiny and large
                w[2, :2] = 2.0 ** bits - 1, 0
                w = mx.array(w).astype(dtype)
                q, s, b = mx.quantize(w, group, bits, stream=mx.cpu)
                e = mx.dequantize(q, s.astype(mx.float32), b.astype(mx.float32), group, bits,
                                  stream=mx.cpu)
                assert e.dtype == mx.float32 and s.dtype == dtype
                p = f"b{bits}.g{group}.{name}"
                out.update({p + ".source": w, p + ".weight": q, p + ".scales": s, p + ".biases": b,
                            p + ".expected": e})
    mx.save_safetensors(str(root / "affine.safetensors"), out)


def blocks(rows, cols, block, size, halves):
    """Random blocks; the float16 fields at byte offsets `halves` are made ordinary numbers."""
    raw = rng.integers(0, 256, size=(rows, cols // block, size), dtype=np.uint8)
    for at in halves:
        half = rng.normal(size=(rows, cols // block)).astype(np.float16)
        raw[:, :, at:at + 2] = half[..., None].view(np.uint8)
    return raw.reshape(rows, -1)


def gguf_types():
    w = gguf.GGUFWriter(root / "types.gguf", "llama")
    w.add_uint8("t.u8", 200); w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000); w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000); w.add_int32("t.i32", -2000000000)
    w.add_uint64("t.u64", 2**63 + 5); w.add_int64("t.i64", -2**62)
    w.add_float32("t.f32", 0.1); w.add_float64("t.f64", 0.1)
    w.add_bool("t.true", True); w.add_bool("t.false", False)
    w.add_string("t.string", "h\u00e9llo \U0001f600")
    w.add_array("t.ints", [1, -2, 3]); w.add_array("t.floats", [0.5, -1.5])
    w.add_array("t.strings", ["a", "", "\u4e2d\u6587"]); w.add_array("t.bools", [True, False, True])
    w.add_array("t.nested", [[1, 2], [3], [4, 5, 6]])
    T, expected = gguf.GGMLQuantizationType, {}
    plain = rng.normal(size=(4, 256)).astype(np.float32)
    plain[0, :4] = 0.0, -0.0, 6.1e-5, 1e-7
    w.add_tensor("F32", plain); expected["F32"] = plain
    half = plain.astype(np.float16)
    w.add_tensor("F16", half); expected["F16"] = half.astype(np.float32)
    for t, halves in ((T.Q4_0, [0]), (T.Q4_1, [0, 2]), (T.Q8_0, [0]), (T.Q4_K, [0, 2]),
                      (T.Q5_K, [0, 2]), (T.Q6_K, [208]), (T.BF16, None), (T.Q5_0, [0]),
                      (T.Q5_1, [0, 2]), (T.Q2_K, [80, 82]), (T.Q3_K, [108]), (T.IQ4_NL, [0]),
                      (T.IQ4_XS, [0]), (T.MXFP4, [])):
        block, size = gguf.GGML_QUANT_SIZES[t]
        if halves is None:
            raw = gguf.quants.quantize(plain, t)
        else:
            raw = blocks(4, 512, block, size, halves)
        w.add_tensor(t.name, raw, raw_dtype=t)
        expected[t.name] = gguf.quants.dequantize(raw, t).astype(np.float32)
    w.add_tensor("IQ3_S", blocks(16, 256, 256, 110, [0]), raw_dtype=T.IQ3_S)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    save_file(expected, root / "types.safetensors")


H, F, HEADS, KV, V, L = 32, 64, 4, 2, 40, 2


def tiny():
    c = transformers.LlamaConfig(hidden_size=H, intermediate_size=F, num_hidden_layers=L,
                                 num_attention_heads=HEADS, num_key_value_heads=KV, vocab_size=V,
                                 max_position_embeddings=64, attention_bias=True, mlp_bias=False,
                                 tie_word_embeddings=False, rms_norm_eps=1e-5, rope_theta=5e5,
                                 bos_token_id=1, eos_token_id=2)
    m = transformers.LlamaForCausalLM(c)
    for n, p in m.named_parameters():
        if n.endswith("bias") or "norm" in n:
            torch.nn.init.normal_(p)
    return m.to(torch.bfloat16)


def trim(path):
    """Versions out of the configs, so that an upgrade does not change the files."""
    for f in path.glob("*.json"):
        j = json.load(open(f))
        for k in ("transformers_version", "peft_version"):
            j.pop(k, None)
        if "target_modules" in j:
            j["target_modules"].sort()  # a set in PEFT
        json.dump(j, open(f, "w"), indent=2, sort_keys=True)


def models():
    model = tiny()
    model.generation_config.eos_token_id = [2, 7]
    model.save_pretrained(root / "hf")
    model.float().save_pretrained(root / "hf-sharded", max_shard_size="20KB")
    model.to(torch.bfloat16)
    trim(root / "hf"); trim(root / "hf-sharded")

    c = json.load(open(root / "hf/config.json"))
    m, config = mlx_utils.load_model(root / "hf")

    def rule(path, module):
        if not hasattr(module, "to_quantized"):
            return False
        if path.endswith("v_proj"):
            return {"group_size": 32, "bits": 8}
        if path.endswith("layers.0.mlp.up_proj"):
            return False
        return True

    m, config = mlx_utils.quantize_model(m, config, 32, 4, quant_predicate=rule)
    (root / "mlx").mkdir()
    mlx_utils.save_model(root / "mlx", m)
    config.pop("_name_or_path", None)
    mlx_utils.save_config(config, root / "mlx/config.json")
    trim(root / "mlx")
    w = dict(mx.load(str(root / "mlx/model.safetensors")))
    expected = {}
    for k, v in w.items():
        base = k.removesuffix(".weight")
        if k.endswith((".scales", ".biases")):
            continue
        if base + ".scales" in w:
            s, b = (w[base + x].astype(mx.float32) for x in (".scales", ".biases"))
            bits = 8 if base.endswith("v_proj") else 4
            v = mx.dequantize(v, s, b, 32, bits, stream=mx.cpu)
        expected[k] = np.array(v.astype(mx.float32))
    save_file(expected, root / "mlx.safetensors")

    llama_gguf({k: v.float().numpy() for k, v in model.state_dict().items()})


def llama_gguf(state):
    """As llama.cpp's convert_hf_to_gguf.py writes a Llama: q and k permuted, biases of them too."""
    w = gguf.GGUFWriter(root / "llama.gguf", "llama")
    w.add_block_count(L); w.add_context_length(64); w.add_embedding_length(H)
    w.add_feed_forward_length(F); w.add_head_count(HEADS); w.add_head_count_kv(KV)
    w.add_rope_freq_base(5e5); w.add_layer_norm_rms_eps(1e-5); w.add_vocab_size(V)
    w.add_rope_dimension_count(H // HEADS)
    w.add_bos_token_id(1); w.add_eos_token_id(2); w.add_eot_token_id(9)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, L)
    Q8, expected = gguf.GGMLQuantizationType.Q8_0, {}

    def permute(x, heads):
        return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)

    for k, v in state.items():
        data = v
        if ".q_proj." in k or ".k_proj." in k:
            data = permute(v, HEADS if ".q_proj." in k else KV)
        name = names.get_name(k, try_suffixes=(".weight", ".bias"))
        if v.ndim == 2:
            w.add_tensor(name, gguf.quants.quantize(data, Q8), raw_dtype=Q8)
            # rows are quantised one by one, so the permutation and the rounding commute
            expected[k] = gguf.quants.dequantize(gguf.quants.quantize(v, Q8), Q8)
        else:
            w.add_tensor(name, data.astype(np.float32))
            expected[k] = v
    freqs = np.linspace(1, 8, H // HEADS // 2).astype(np.float32)
    w.add_tensor("rope_freqs.weight", freqs)
    expected["rope_freqs.weight"] = freqs
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    save_file(expected, root / "llama.safetensors")


def adapters():
    model = tiny().float()
    peft = get_peft_model(model, LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=8, lora_dropout=0.1, use_rslora=True,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={r"layers\.1\.self_attn\.q_proj": 6, "down_proj": 2},
        alpha_pattern={"^model.layers.0.self_attn.v_proj": 3}))
    expected = {}
    for n, m in peft.named_modules():
        if hasattr(m, "get_delta_weight"):
            p = n.removeprefix("base_model.model.")
            torch.nn.init.normal_(m.lora_B["default"].weight)
            expected[p + ".a"] = m.lora_A["default"].weight.detach().clone()
            expected[p + ".b"] = m.lora_B["default"].weight.detach().clone()
            expected[p + ".scale"] = torch.tensor(m.scaling["default"], dtype=torch.float64)
    peft.peft_config["default"].base_model_name_or_path = "org/tiny"
    peft.save_pretrained(root / "peft")
    (root / "peft/README.md").unlink(missing_ok=True)
    trim(root / "peft")
    save_torch(expected, root / "peft.safetensors")

    (root / "mlx-lora").mkdir()
    tensors, expected = {}, {}
    for i in range(L):
        for n, (inp, out) in {"self_attn.q_proj": (H, H), "mlp.down_proj": (F, H)}.items():
            p = f"model.layers.{i}.{n}"
            a, b = mx.random.normal((inp, 3)), mx.random.normal((3, out))
            tensors.update({p + ".lora_a": a, p + ".lora_b": b})
            expected[p + ".a"], expected[p + ".b"] = np.array(a.T), np.array(b.T)
            expected[p + ".scale"] = np.float64(2.5)
    mx.save_safetensors(str(root / "mlx-lora/adapters.safetensors"), tensors)
    json.dump({"fine_tune_type": "lora", "model": "org/tiny", "num_layers": L, "batch_size": 4,
               "lora_parameters": {"rank": 3, "scale": 2.5, "dropout": 0.05,
                                   "keys": ["self_attn.q_proj", "mlp.down_proj"]}},
              open(root / "mlx-lora/adapter_config.json", "w"), indent=4, sort_keys=True)
    save_file({k: np.ascontiguousarray(v) for k, v in expected.items()}, root / "mlx-lora.safetensors")


def bnb():
    """A directory of bitsandbytes weights, as transformers saves them, and what bitsandbytes makes of
    them; the nested scales need more than one block of their own.  Where blocks straddle rows,
    bitsandbytes 0.50's CPU kernel takes wrong scales (its error against the source doubles), so there
    the definition that its CUDA kernels follow is written out."""
    import bitsandbytes.functional as B
    dense, out, expected = torch.Generator().manual_seed(4), {}, {}

    def four(name, rows, cols, kind, double, dtype, block):
        w = torch.randn(rows, cols, generator=dense).to(dtype)
        q, state = B.quantize_4bit(w, blocksize=block, quant_type=kind, compress_statistics=double)
        out[name] = q
        for k, v in state.as_dict(packed=True).items():
            out[f"{name}.{k}"] = v
        b = q.reshape(-1)
        codes = torch.stack([b >> 4, b & 15], 1).reshape(-1).long()
        absmax = state.absmax
        if double:
            absmax = B.dequantize_blockwise(absmax, state.state2) + state.offset
        e = torch.arange(codes.numel()) // block
        w = (state.code[codes] * absmax[e]).to(dtype).reshape(rows, cols)
        assert cols % block or torch.equal(w, B.dequantize_4bit(q, state))
        expected[name] = w.float()

    p = "model.layers.0.self_attn."
    four(p + "q_proj.weight", 12, 96, "nf4", False, torch.bfloat16, 64)
    four(p + "k_proj.weight", 12, 128, "fp4", False, torch.float16, 64)
    four(p + "v_proj.weight", 200, 48, "nf4", True, torch.bfloat16, 32)
    four(p + "o_proj.weight", 12, 128, "fp4", True, torch.float32, 128)
    four("model.layers.0.mlp.gate_proj.weight", 20, 64, "nf4", True, torch.bfloat16, 64)
    stored = p + "o_proj.weight"  # bnb_4bit_quant_storage=bfloat16: the same bytes, viewed
    out[stored] = out[stored].reshape(-1).view(torch.bfloat16).reshape(-1, 1)
    w = torch.randn(6, 40, generator=dense).to(torch.float16)
    q, scb, _ = B.int8_vectorwise_quant(w)
    name = "model.layers.0.mlp.up_proj"
    out[name + ".weight"], out[name + ".SCB"] = q, scb
    out[name + ".weight_format"] = torch.tensor(0, dtype=torch.uint8)
    expected[name + ".weight"] = B.int8_vectorwise_dequant(q, scb).float()
    out["model.norm.weight"] = torch.ones(96, dtype=torch.bfloat16)
    (root / "bnb").mkdir()
    save_torch(out, root / "bnb/model.safetensors", metadata={"format": "pt"})
    json.dump({"model_type": "llama", "quantization_config": {"quant_method": "bitsandbytes"}},
              open(root / "bnb/config.json", "w"))
    save_torch(expected, root / "bnb.safetensors")


def bnb_encode():
    """What bitsandbytes' quantisers make of plain weights, as transformers calls them."""
    import bitsandbytes as bnb, bitsandbytes.functional as B
    g, out = torch.Generator().manual_seed(5), {}
    torch.set_num_threads(1)
    for kind in ("nf4", "nf4x2", "fp4", "fp4x2", "int8"):
        for name, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)):
            for rows, cols in ((7, 18), (5, 128), (280, 64) if name == "bf16" and kind.endswith("x2") else (3, 64)):
                w = torch.randn(rows, cols, generator=g) * 10.0 ** torch.randint(-3, 2, (rows, 1), generator=g)
                if rows == 5:
                    w[0] = 0                                          # blocks and a row of zeros
                    w[1, :64] = torch.linspace(-1, 1, 64)             # halves of the largest, and its opposite
                    w[2, :6] = torch.tensor([0.0, -0.0, 1e-30, 4, -4, 2])
                    w[3] = 0.5 * torch.arange(128) - 32               # ties of int8
                w = w.to(dtype)
                p = f"{kind}.{name}.{rows}"
                out[p + ".source"] = w
                if kind == "int8":
                    m = bnb.nn.Int8Params(w.clone(), requires_grad=False).to("cpu")
                    out[p + ".codes"], out[p + ".scales"] = m.data, m.SCB
                    out[p + ".decoded"] = B.int8_vectorwise_dequant(m.data, m.SCB)
                    continue
                m = bnb.nn.Params4bit(w.clone(), requires_grad=False, quant_type=kind[:3], compress_statistics=kind.endswith("x2")).to("cpu")
                s = m.quant_state
                out[p + ".codes"], out[p + ".scales"] = m.data, s.absmax
                if s.nested: out[p + ".outer"], out[p + ".map"], out[p + ".offset"] = s.state2.absmax, s.state2.code, s.offset.reshape(1)
                b, absmax = m.data.reshape(-1), B.dequantize_blockwise(s.absmax, s.state2) + s.offset if s.nested else s.absmax
                codes = torch.stack([b >> 4, b & 15], 1).reshape(-1).long()
                out[p + ".decoded"] = (s.code[codes] * absmax[torch.arange(codes.numel()) // 64]).to(dtype).float().reshape(rows, cols)
                assert cols % 64 or torch.equal(out[p + ".decoded"], B.dequantize_4bit(m.data, s).float())
                if rows == 280: del out[p + ".decoded"]               # large, and says nothing new
    save_torch({k: v.clone().contiguous() for k, v in out.items()}, root / "bnb_encode.safetensors")


affine()
gguf_types()
models()
adapters()
bnb()
bnb_encode()
