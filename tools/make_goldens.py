"""Regenerates test/golden: tiny random models of every family and format, and what transformers + peft say of them.

    python tools/make_goldens.py [--out test/golden] [--only REGEX]

Needs torch, transformers, peft, safetensors, bitsandbytes, mlx, mlx-lm, gguf and llama-cpp-python; everything is seeded, one thread, on the CPU.
A folder per model:

    config.json, model*.safetensors, tokenizer.json   the model as its users would find it; every token of its vocabulary
    (or model.gguf)                                   is one character, so that a text gives any tokens (make_vocab)
    adapter/                                          a PEFT adapter, A and B both non-zero: where training starts
    golden.json                                       "base": the folder with the model; "loss_all", "loss_masked";
                                                      "steps": AdamW on the sequences by two and in order (two steps an
                                                      epoch), loss on all tokens or on what follows each prompt
    golden.safetensors                                the arrays:
        tokens [T] i32, offsets [B+1] i32             the sequences, laid end to end
        trained [T] u8                                1 where this token is to be predicted with loss ("masked")
        prompts [B] i32                               how many tokens of each sequence are its prompt
        logits [T, V]                                 of the base model, without the adapter
        logits_adapter [T', V]                        with the adapter as it starts, of the last sequence alone
        grad_all.M, grad_masked.M, final.M            M = HF module name + .lora_A [R, in], .lora_B [out, R] or, for DoRA,
                                                      .lora_magnitude_vector [out]:
                                                      gradients of the mean loss over all or the trained tokens
                                                      of all sequences; the adapter after the optimizer steps

With "full" in golden.json there is no adapter: the weights themselves are trained, all of them (-1) or those of the
last N blocks, and M is a parameter's own name ("model.norm.weight").

With "dropout" in golden.json, the dropout of training has hone's own masks (Philox, of seed 7), so that a program with
those masks must come to the same numbers: what dropout does to the base's part of a DoRA is tested, not only A and B.

A quantised base is run by transformers on its weights dequantised to float32 (scales and biases widened first).
transformers computes in double precision here, its float32 islands (norms, rotary angles) included, and the results
are rounded to float32: so a golden is the exact value, whichever machine makes it.  What transformers makes of the
same in float32 is printed beside, as the noise of the reference.
"""
import argparse, copy, json, math, os, re, shutil, tempfile, zlib
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
            vocab_size=96, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
SMALL = dict(BASE, hidden_size=32, intermediate_size=48)
WIDE = dict(BASE, hidden_size=256, intermediate_size=256, num_hidden_layers=1, num_key_value_heads=1, head_dim=64)
LORA = dict(r=4, lora_alpha=8, target_modules=QKVO)
ADAMW = dict(lr=1e-2, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, max_grad_norm=1.0, loss="all", n=10)
LENGTHS = (15, 21, 8)


def rope(theta, **scaling):
    return dict(rope_theta=theta, **(scaling or dict(rope_type="default")))


LLAMA3 = rope(5000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = rope(6000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=64)


def models():
    """name: kind (model_type), config, and where they differ from make()'s defaults: dtype of the stored weights, dialect
    of config.json (transformers 4 or 5), shards, lora, steps, make (the writer of the files) and its arguments.
    base: only another adapter on the model of that name."""
    return {
        "llama-tied": dict(kind="llama", config=dict(BASE, intermediate_size=72, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "llama-rope3": dict(kind="llama", dtype="float16", shards=3, lora=dict(LORA, target_modules="all-linear"),
                            config=dict(SMALL, tie_word_embeddings=False, num_hidden_layers=3, rope_parameters=LLAMA3)),
        "llama-linear": dict(kind="llama", dtype="bfloat16", dialect=4, steps=dict(loss="completion", weight_decay=0.1),
                             lora=dict(LORA, use_rslora=True, layers_to_transform=[1, 2]),
                             extra=dict(sliding_window=4),          # not a key of this family: transformers ignores it
                             config=dict(SMALL, tie_word_embeddings=False, num_hidden_layers=3, attention_bias=True,
                                         mlp_bias=True, rope_parameters=rope(20000.0, rope_type="linear", factor=2.5))),
        "mistral": dict(kind="mistral", dtype="float16", steps=dict(max_grad_norm=0.0, betas=[0.8, 0.95]),
                        lora=dict(LORA, rank_pattern={"q_proj": 2, "layers.1.self_attn.v_proj": 6},
                                  alpha_pattern={"k_proj": 3}),
                        config=dict(SMALL, sliding_window=6, head_dim=20, rope_parameters=rope(3000.0))),
        "mistral-v4": dict(kind="mistral", dtype="bfloat16", dialect=4,
                           config=dict(SMALL, sliding_window=None, head_dim=16, rope_parameters=rope(7000.0))),
        "qwen2": dict(kind="qwen2", dtype="bfloat16",
                      lora=dict(LORA, target_modules=[*QKVO, "gate_proj", "up_proj", "down_proj"]),
                      config=dict(SMALL, tie_word_embeddings=True, use_sliding_window=False, sliding_window=4,
                                  max_window_layers=0, rope_parameters=rope(8000.0))),
        "qwen2-v4": dict(kind="qwen2", dialect=4, steps=dict(loss="completion"),
                         config=dict(SMALL, tie_word_embeddings=False, num_key_value_heads=4, use_sliding_window=False,
                                     sliding_window=4, max_window_layers=1, rope_parameters=rope(8000.0))),
        "qwen2-window": dict(kind="qwen2", dtype="bfloat16", lora=dict(LORA, target_modules=["q_proj", "v_proj"]),
                             config=dict(SMALL, tie_word_embeddings=False, num_hidden_layers=3, use_sliding_window=True,
                                         sliding_window=5, max_window_layers=2, rope_parameters=YARN)),
        "qwen3": dict(kind="qwen3", dtype="bfloat16",
                      config=dict(BASE, hidden_size=48, head_dim=24, num_attention_heads=3, num_key_value_heads=1,
                                  tie_word_embeddings=False, rms_norm_eps=1e-6, rope_parameters=rope(9000.0))),
        "qwen3-only-o": dict(base="qwen3", lora=dict(LORA, target_modules=["o_proj"])),
        "qwen3-only-down": dict(base="qwen3", lora=dict(LORA, target_modules=["down_proj"])),
        "qwen3-last-gate": dict(base="qwen3", lora=dict(LORA, target_modules=["gate_proj"], layers_to_transform=[1])),
        "qwen3-k-and-up": dict(base="qwen3", lora=dict(LORA, target_modules=["k_proj", "up_proj"])),
        "qwen2-dora": dict(base="qwen2", lora=dict(LORA, use_dora=True, target_modules="all-linear")),
        "linear-dora": dict(base="llama-linear", steps=dict(loss="completion", weight_decay=0.1),
                            lora=dict(LORA, use_dora=True, use_rslora=True, layers_to_transform=[1, 2],
                                      target_modules=["q_proj", "o_proj", "up_proj"])),
        "mlx-q4-dora": dict(base="mlx-q4", lora=dict(LORA, use_dora=True)),
        "mixed-dora": dict(base="mlx-mixed", lora=dict(LORA, use_dora=True, r=5, target_modules=["v_proj", "down_proj"],
                                                       rank_pattern={"down_proj": 2})),
        "drop-dora": dict(base="llama-linear", dropout=0.25,
                          lora=dict(LORA, use_dora=True, target_modules=["q_proj", "v_proj", "o_proj", "gate_proj",
                                                                         "down_proj"], layers_to_transform=[1, 2])),
        "full-llama": dict(base="llama-linear", full=-1, steps=dict(lr=1e-3, loss="completion", weight_decay=0.1)),
        "full-qwen3": dict(base="qwen3-v4", full=-1, steps=dict(lr=1e-3)),
        "full-last": dict(base="qwen2-window", full=2, steps=dict(lr=1e-3, max_grad_norm=0.0)),
        "qwen3-v4": dict(kind="qwen3", dtype="bfloat16", dialect=4,
                         lora=dict(LORA, r=3, target_modules="all-linear"),
                         config=dict(SMALL, head_dim=16, tie_word_embeddings=True, rms_norm_eps=1e-6,
                                     rope_parameters=rope(9000.0))),
        "mlx-q4": dict(kind="llama", make=make_mlx, dtype="bfloat16", quant=dict(bits=4, group_size=64),
                       config=dict(BASE, intermediate_size=128, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "mlx-q4-g32": dict(kind="qwen3", make=make_mlx, dtype="float16", quant=dict(bits=4, group_size=32),
                           lora=dict(LORA, target_modules="all-linear"),
                           config=dict(SMALL, intermediate_size=96, head_dim=16, tie_word_embeddings=False,
                                       rope_parameters=rope(5000.0))),
        "mlx-q8": dict(kind="qwen2", make=make_mlx, dtype="float32", quant=dict(bits=8, group_size=32),
                       config=dict(SMALL, intermediate_size=64, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "mlx-mixed": dict(kind="llama", make=make_mlx, dtype="bfloat16",
                          quant=dict(bits=6, group_size=64, modules={
                              "model.layers.0.self_attn.q_proj": dict(bits=2, group_size=32),
                              "model.layers.0.self_attn.k_proj": dict(bits=3, group_size=64),
                              "model.layers.0.self_attn.v_proj": dict(bits=8, group_size=64),
                              "model.layers.0.mlp.down_proj": dict(bits=5, group_size=128),
                              "model.layers.1.self_attn.q_proj": False,
                              "model.layers.1.mlp.up_proj": dict(bits=3, group_size=32),
                              "lm_head": dict(bits=5, group_size=32)}),
                          config=dict(BASE, intermediate_size=128, tie_word_embeddings=False, rope_parameters=rope(5000.0))),
        "gguf-q4_0": dict(kind="llama", make=make_gguf, quant="Q4_0",
                          config=dict(BASE, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "gguf-q4_1": dict(kind="llama", make=make_gguf, quant="Q4_1", lora=dict(LORA, r=5),
                          config=dict(BASE, tie_word_embeddings=False, num_key_value_heads=1, rope_parameters=rope(5000.0))),
        "gguf-q8_0": dict(kind="qwen2", make=make_gguf, quant="Q8_0",
                          config=dict(SMALL, intermediate_size=64, tie_word_embeddings=False, rope_parameters=rope(5000.0))),
        "gguf-f16": dict(kind="llama", make=make_gguf, quant="F16", check=check_llama_cpp,
                         config=dict(SMALL, tie_word_embeddings=False, rope_parameters=LLAMA3)),
        "gguf-qwen3": dict(kind="qwen3", make=make_gguf, quant="BF16", check=check_llama_cpp,
                           config=dict(SMALL, head_dim=16, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "gguf-k": dict(kind="llama", make=make_gguf, quant="Q4_K", check=check_llama_cpp, steps=dict(lr=2e-3),
                       quants=dict(k_proj="Q5_K", v_proj="Q6_K", gate_proj="Q5_K", down_proj="Q6_K", embed_tokens="Q6_K"),
                       config=dict(WIDE, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "gguf-low": dict(kind="qwen3", make=make_gguf, quant="Q3_K", check=check_llama_cpp, steps=dict(lr=2e-3),
                         quants=dict(k_proj="Q2_K", v_proj="IQ4_NL", o_proj="IQ4_XS", gate_proj="Q2_K", up_proj="IQ4_XS",
                                     embed_tokens="Q2_K", lm_head="IQ4_NL"),
                         config=dict(WIDE, tie_word_embeddings=False, rope_parameters=rope(5000.0))),
        "bnb-nf4": dict(kind="llama", make=make_bnb, dtype="bfloat16",
                        quant=dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
                        config=dict(BASE, tie_word_embeddings=True, rope_parameters=rope(5000.0))),
        "bnb-fp4": dict(kind="qwen2", make=make_bnb, dtype="float16", lora=dict(LORA, target_modules="all-linear"),
                        quant=dict(load_in_4bit=True, bnb_4bit_quant_type="fp4", llm_int8_skip_modules=["k_proj"],
                                   bnb_4bit_quant_storage="bfloat16"),
                        blocks={"layers.0.self_attn.q_proj": 32, "layers.1.mlp.up_proj": 128, "lm_head": 256},
                        config=dict(SMALL, tie_word_embeddings=False, rope_parameters=rope(5000.0))),
        "bnb-int8": dict(kind="mistral", make=make_bnb, dtype="float16",
                         quant=dict(load_in_8bit=True, llm_int8_skip_modules=["model.layers.0.mlp", "v_proj"]),
                         config=dict(SMALL, sliding_window=None, tie_word_embeddings=False, head_dim=16,
                                     rope_parameters=rope(5000.0))),
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
        elif "embed" in key: w = min(0.4, 3.2 / math.sqrt(shape[1])) * r.standard_normal(shape)
        else: w = r.standard_normal(shape) / math.sqrt(shape[1])
        out[key] = torch.tensor(w, dtype=torch.float32)
    return out


def write_config(config, path, spec, extra=None):
    """config.json as transformers 5 writes it, or in the keys of transformers 4."""
    config = copy.deepcopy(config)
    config.architectures = [type(AutoModelForCausalLM.from_config(config)).__name__]
    config.dtype = spec.get("dtype", "float32")
    config.save_pretrained(path.parent)
    d = json.loads(path.read_text())
    if spec.get("dialect", 5) == 4:
        r = d.pop("rope_parameters")
        d.update(torch_dtype=d.pop("dtype"), rope_theta=r.pop("rope_theta"), transformers_version="4.51.3",
                 rope_scaling=None if r["rope_type"] == "default" else dict(r, type=r["rope_type"]))
        d.pop("layer_types", None)
        if "sliding_window" in spec["config"]: d["sliding_window"] = spec["config"]["sliding_window"]
    d.update(spec.get("extra", {}), **(extra or {}))
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
    weights = {k: v.to(getattr(torch, spec.get("dtype", "float32"))) for k, v in random_weights(name, config).items()}
    write_config(config, out / "config.json", spec)
    write_safetensors(weights, out, spec.get("shards", 1))
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    return model.config, model.state_dict()


def with_tied(weights, config):
    return dict(weights, **{"lm_head.weight": weights["model.embed_tokens.weight"]} if config.tie_word_embeddings else {})


def make_mlx(name, spec, config, out):
    """MLX's affine format, written by MLX: 32-bit codes, scales and biases in the model's dtype, per-module overrides."""
    import mlx.core as mx
    mx.set_default_device(mx.cpu)
    quant, dtype = dict(spec["quant"]), getattr(mx, spec["dtype"])
    modules = quant.pop("modules", {})
    stored, exact = {}, {}
    for key, w in random_weights(name, config).items():
        w = mx.array(w.numpy()).astype(dtype)
        module = key.removesuffix(".weight")
        o = modules.get(module, quant)
        if w.ndim == 1 or o is False:
            stored[key] = w
            exact[key] = w.astype(mx.float32)
        else:
            q, scales, biases = mx.quantize(w, **o)
            stored.update({key: q, module + ".scales": scales, module + ".biases": biases})
            exact[key] = mx.dequantize(q, scales.astype(mx.float32), biases.astype(mx.float32), **o)
    mx.save_safetensors(str(out / "model.safetensors"), stored, metadata={"format": "mlx"})
    table = dict(quant, mode="affine", **{k: v and dict(v, mode="affine") for k, v in modules.items()})
    write_config(config, out / "config.json", dict(spec, dialect=4), dict(quantization=table, quantization_config=table))
    weights = with_tied({k: torch.tensor(np.array(v)) for k, v in exact.items()}, config)
    return config, weights


def check_mlx(out, tokens):
    """Logits of mlx-lm in float32."""
    import mlx.core as mx
    from mlx_lm.utils import load_model
    model, _ = load_model(out)
    model.set_dtype(mx.float32)
    return torch.tensor(np.array(model(mx.array(tokens[None].numpy()))[0]))


def make_bnb(name, spec, config, out):
    """A model quantised and saved by bitsandbytes through transformers; some modules with another size of block."""
    import bitsandbytes as bnb, bitsandbytes.functional as B
    from transformers import BitsAndBytesConfig
    dtype = getattr(torch, spec["dtype"])
    plain = {k: v.to(dtype) for k, v in random_weights(name, config).items()}
    with tempfile.TemporaryDirectory() as scratch:
        write_config(config, Path(scratch) / "config.json", spec)
        write_safetensors(plain, Path(scratch), 1)
        model = AutoModelForCausalLM.from_pretrained(scratch, quantization_config=BitsAndBytesConfig(**spec["quant"]))
    exact = {k: v.float() for k, v in plain.items()}
    n = 0
    for key, m in model.named_modules():
        if isinstance(m, bnb.nn.Linear4bit):
            block = next((b for end, b in spec.get("blocks", {}).items() if key.endswith(end)), None)
            if block:
                old = m.weight
                m.weight = bnb.nn.Params4bit(plain[key + ".weight"], requires_grad=False, quant_type=old.quant_type, blocksize=block,
                                             compress_statistics=old.compress_statistics, quant_storage=old.quant_storage,
                                             module=m).to("cpu")
            w = B.dequantize_4bit(m.weight.data, m.weight.quant_state)
        elif isinstance(m, bnb.nn.Linear8bitLt): w = B.int8_vectorwise_dequant(m.weight.data, m.weight.SCB)
        else: continue
        assert w.dtype == (torch.float32 if isinstance(m, bnb.nn.Linear8bitLt) else dtype) and not torch.equal(w, plain[key + ".weight"])
        exact[key + ".weight"] = w.float()
        n += 1
    print(f"{name}: {n} modules quantised, tied {config.tie_word_embeddings}")
    model.save_pretrained(out)
    c = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(c, indent=2, sort_keys=True) + "\n")
    return config, with_tied(exact, config)


def check_bnb(out, tokens):
    """Logits of transformers on the files, computed by bitsandbytes."""
    model = AutoModelForCausalLM.from_pretrained(out).eval()
    with torch.no_grad(): return model(input_ids=tokens[None]).logits[0].float()


def permute(w, heads):
    """Rows of q and k, from Hugging Face's order to that of a llama GGUF: the halves of a head interleaved."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
              "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
              "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
              "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(key):
    base, end = key.rsplit(".", 1)
    m = re.match(r"model\.layers\.(\d+)\.(.*)", base)
    return f"blk.{m[1]}.{GGUF_NAMES[m[2]]}.{end}" if m else f"{GGUF_NAMES[base]}.{end}"


def ggml_quantize(t, qtype):
    """Rows of a GGUF tensor: by the gguf package, or by llama.cpp's own quantiser where the package has none."""
    import ctypes, gguf
    try: return gguf.quants.quantize(t, qtype)
    except NotImplementedError: pass
    import llama_cpp
    ggml = ctypes.CDLL(str(next((Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so*"))))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    block, size = gguf.GGML_QUANT_SIZES[qtype]
    rows, cols = t.shape
    out = np.zeros((rows, cols // block * size), np.uint8)
    t = np.ascontiguousarray(t, np.float32)
    n = ggml.ggml_quantize_chunk(ctypes.c_int(qtype), t.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p),
                                 ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(cols), None)
    assert n == out.size
    return out


def make_gguf(name, spec, config, out):
    """A GGUF as llama.cpp's converter lays it out, quantised and dequantised by the gguf package."""
    import gguf
    arch = spec["kind"]
    w = gguf.GGUFWriter(str(out / "model.gguf"), arch)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    w.add_name(name)
    w.add_block_count(config.num_hidden_layers)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_rope_freq_base(config.rope_parameters["rope_theta"])
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_vocab_size(config.vocab_size)
    w.add_rope_dimension_count(head)
    if head != config.hidden_size // config.num_attention_heads:
        w.add_key_length(head)
        w.add_value_length(head)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(make_vocab(config.vocab_size))
    w.add_token_types([3, 3, 3] + [1] * (config.vocab_size - 3))
    w.add_token_merges(["q z"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    if config.rope_parameters["rope_type"] == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
        plain = config.rope_parameters["rope_theta"] ** -(torch.arange(0, head, 2, dtype=torch.float32) / head)
        w.add_tensor("rope_freqs.weight", (plain / ROPE_INIT_FUNCTIONS["llama3"](config)[0]).numpy())
    exact = {}
    for key, t in random_weights(name, config).items():
        t = t.numpy()
        heads = dict(q=config.num_attention_heads, k=config.num_key_value_heads).get(key.split("_proj")[0][-1])
        turn = arch == "llama" and heads and "_proj" in key
        if turn: t = permute(t, heads)
        if t.ndim == 1:
            w.add_tensor(gguf_name(key), t)
        else:
            qtype = gguf.GGMLQuantizationType[spec.get("quants", {}).get(key.split(".")[-2], spec["quant"])]
            data = ggml_quantize(t, qtype)
            w.add_tensor(gguf_name(key), data, raw_dtype=qtype)
            t = gguf.quants.dequantize(data, qtype)
        exact[key] = torch.tensor(unpermute(t, heads) if turn else t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return config, with_tied(exact, config)


def check_llama_cpp(out, tokens):
    """Logits of llama.cpp, which rounds activations (to 8 bits, or to f16 or bf16)."""
    import llama_cpp as L
    quiet = L.llama_log_callback(lambda *a: None)
    L.llama_log_set(quiet, None)
    options = L.llama_model_default_params()
    options.use_extra_bufts = False                                 # its repacked weights crash on matrices this small
    model = L.llama_model_load_from_file(str(out / "model.gguf").encode(), options)
    options = L.llama_context_default_params()
    options.n_ctx, options.n_threads, options.n_threads_batch = 64, 1, 1
    context = L.llama_init_from_model(model, options)
    n, vocab = len(tokens), L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    batch = L.llama_batch_init(n, 0, 1)
    batch.n_tokens = n
    for i in range(n):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(tokens[i]), i, 1, 1
        batch.seq_id[i][0] = 0
    if L.llama_decode(context, batch): raise RuntimeError("llama_decode failed")
    rows = [np.ctypeslib.as_array(L.llama_get_logits_ith(context, i), (vocab,)).copy() for i in range(n)]
    L.llama_batch_free(batch)
    L.llama_free(context)
    L.llama_model_free(model)
    L.llama_log_set(L.llama_log_callback(), None)
    return torch.tensor(np.stack(rows))


def check_gguf(out, tokens):
    """Logits of transformers on its own reading of the file, where it reads such a file right."""
    model = AutoModelForCausalLM.from_pretrained(out, gguf_file="model.gguf", dtype=torch.float32).eval()
    with torch.no_grad(): return model(input_ids=tokens[None]).logits[0]


def make_vocab(n):
    """Byte-level BPE with next to nothing to merge: three special tokens, the characters from '!' on, and one pair."""
    return ["<|pad|>", "<|start|>", "<|end|>", *(chr(ord("!") + i) for i in range(n - 4)), "qz"]


def write_tokenizer(out, vocab):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocab)}, merges=[("q", "z")]))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, special=True) for t in vocab[:3]])
    PreTrainedTokenizerFast(tokenizer_object=tok, bos_token=vocab[1], eos_token=vocab[2], pad_token=vocab[0]).save_pretrained(out)


def check_text(out, seqs, vocab):
    """The text of every sequence gives its tokens."""
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(out)
    for s in seqs:
        ids = s["ids"].tolist()
        assert tok("".join(vocab[i] for i in ids)).input_ids == ids, "the text of a sequence gives other tokens"


# ---- the reference ----------------------------------------------------------------------------------

class Doubled:
    """Stands in for the name torch inside a modeling file, so that its float32 islands become double."""
    float32 = float = torch.float64

    def __getattr__(self, name): return getattr(torch, name)


def set_precision(kind, double):
    import importlib
    importlib.import_module(f"transformers.models.{kind}.modeling_{kind}").torch = Doubled() if double else torch


def sequences(name, vocab):
    """Of each sequence the tokens and what of them carries loss; in "masked" the longest has two answers."""
    r = rng(name, "tokens")
    out = []
    for n in LENGTHS:
        ids = torch.tensor(r.integers(0, vocab, n))
        everything, completion = torch.ones(n, dtype=torch.uint8), torch.ones(n, dtype=torch.uint8)
        completion[:n // 3] = 0
        masked = completion.clone()
        if n == max(LENGTHS): masked[n // 2:n // 2 + 4] = 0
        out.append(dict(ids=ids, all=everything, completion=completion, masked=masked))
    return out


def loss_sum(model, seq, what):
    """Sum of cross-entropies of one sequence, and over how many tokens."""
    ids = seq["ids"]
    logits = model(input_ids=ids[None]).logits[0]
    keep = seq[what][1:].bool()
    return torch.nn.functional.cross_entropy(logits[:-1][keep], ids[1:][keep], reduction="sum"), int(keep.sum())


def mean_loss(model, seqs, what):
    HoneDropout.first, parts = 0, []
    for s in seqs:
        parts.append(loss_sum(model, s, what))
        HoneDropout.first += len(s["ids"])
    sums, n = zip(*parts)
    return sum(sums) / sum(n)


def philox(counter, key):
    """Philox4x32-10 on arrays: counter of four, key of two."""
    c, k = [np.asarray(x, np.uint64) for x in counter], list(key)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high, low = np.uint64(32), np.uint64(0xFFFFFFFF)
        c = [(b >> high) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> high) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


class HoneDropout(torch.nn.Module):
    """Dropout with hone's masks (struct hn_adapter in src/backend/backend.h): of seed 7, of the micro-batch `step`, of
    sequences that are laid end to end in it; `first` is where the one that is run begins."""
    step = first = 0

    def __init__(self, p, module):
        super().__init__()
        self.threshold, self.module = round(p * 65536), module

    def forward(self, x):
        tokens, cols = x.shape[-2:]
        c = np.arange(cols)[None, :]
        t = HoneDropout.first + np.arange(tokens)[:, None]
        words = philox(np.broadcast_arrays(c // 8, t, self.module, HoneDropout.step), (7, 0))
        word = np.choose(np.broadcast_to(c % 8 // 2, (tokens, cols)), words)
        keep = ((word >> (c % 2 * 16).astype(np.uint64)) & np.uint64(0xFFFF)) >= self.threshold
        return x * torch.tensor(keep) * (65536 / (65536 - self.threshold))


def use_hone_dropout(model, p):
    order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    for n, m in model.named_modules():
        if hasattr(m, "lora_dropout") and len(m.lora_dropout):
            block, name = int(re.search(r"layers\.(\d+)\.", n)[1]), n.rsplit(".", 1)[1]
            m.lora_dropout["default"] = HoneDropout(p, block * len(order) + order.index(name))


def adapter_parameters(model):
    return {re.sub(r"^base_model\.model\.|\.default(\.weight)?$", "", n): p
            for n, p in model.named_parameters() if p.requires_grad}


def full_parameters(model, last):
    """Every parameter, or those of the last blocks: the others are frozen."""
    blocks = len(model.model.layers)
    out = {}
    for n, p in model.named_parameters():
        m = re.search(r"layers\.(\d+)\.", n)
        p.requires_grad = last < 0 or bool(m and int(m[1]) >= blocks - last)
        if p.requires_grad: out[n] = p
    return out


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
        got["logits"] = torch.cat([model(input_ids=s["ids"][None]).logits[0] for s in seqs])
    if spec.get("full"):
        params = full_parameters(model, spec["full"])
    else:
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True, autocast_adapter_dtype=False).to(dtype)
        params = adapter_parameters(model)
    assert all(p.dtype == dtype for p in params.values())
    with torch.no_grad():
        got["logits_adapter"] = model(input_ids=seqs[-1]["ids"][None]).logits[0]
    facts = dict(full=spec["full"]) if spec.get("full") else {}
    for kind in ("all", "masked"):
        with torch.no_grad(): facts[f"loss_{kind}"] = mean_loss(model, seqs, kind).item()
    if spec.get("dropout"):
        facts["dropout"] = spec["dropout"]
        use_hone_dropout(model, spec["dropout"])
        model.train()
    for kind in ("all", "masked"):
        loss = mean_loss(model, seqs, kind)
        model.zero_grad()
        loss.backward()
        if spec.get("dropout"): facts[f"loss_{kind}_dropout"] = loss.item()
        got.update({f"grad_{kind}.{n}": p.grad.clone() for n, p in params.items()})
    model.zero_grad()
    facts["steps"] = run_steps(model, params, seqs, {**ADAMW, **spec.get("steps", {})})
    got.update({f"final.{n}": p.detach() for n, p in params.items()})
    set_precision(spec["kind"], False)
    return {k: v.detach().contiguous() for k, v in got.items()}, facts


def run_steps(model, params, seqs, o):
    """AdamW and clipping as torch has them, over the sequences by two and in order: two steps an epoch, the second on the
    last sequence alone."""
    opt = torch.optim.AdamW(params.values(), lr=o["lr"], betas=tuple(o["betas"]), eps=o["eps"],
                            weight_decay=o["weight_decay"])
    out = dict(o, losses=[], grad_norms=[])
    for step in range(o["n"]):
        HoneDropout.step = step
        loss = mean_loss(model, [seqs[:2], seqs[2:]][step % 2], o["loss"])
        loss.backward()
        norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in params.values())).item()
        if o["max_grad_norm"] > 0: torch.nn.utils.clip_grad_norm_(params.values(), o["max_grad_norm"])
        opt.step()
        opt.zero_grad()
        out["losses"].append(loss.item())
        out["grad_norms"].append(norm)
    HoneDropout.step = 0
    return out


def make_adapter(name, spec, config, weights, out):
    """A PEFT adapter written by PEFT itself, with A and B both random."""
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config))
    model.load_state_dict(weights)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **spec.get("lora", LORA)))
    for n, p in adapter_parameters(model).items():
        r = rng(name, n)
        if n.endswith("lora_A"): a = r.uniform(-1, 1, p.shape) / math.sqrt(p.shape[1])
        elif n.endswith("lora_B"): a = 0.1 * r.standard_normal(p.shape)
        else: a = p.detach().numpy() * r.uniform(0.8, 1.25, p.shape)        # magnitudes, off the lengths they start from
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
    base = spec.get("base")
    if base: spec = dict(models()[base], **spec)
    config = AutoConfig.for_model(spec["kind"], **spec["config"])
    scratch = tempfile.TemporaryDirectory()
    config, weights = spec.get("make", make_plain)(base or name, spec, config, Path(scratch.name) if base else out)
    seqs, vocab = sequences(name, config.vocab_size), make_vocab(config.vocab_size)
    if not base and spec.get("make") != make_gguf:
        write_tokenizer(out, vocab)
        check_text(out, seqs, vocab)
    if not spec.get("full"): make_adapter(name, spec, config, weights, out / "adapter")
    exact, facts = reference(spec, config, weights, out / "adapter", name, True)
    single, facts32 = reference(spec, config, weights, out / "adapter", name, False)
    worst = noise(exact, single)
    check = spec.get("check") or {make_mlx: check_mlx, make_gguf: check_gguf, make_bnb: check_bnb}.get(spec.get("make"))
    if check and not base:                                          # another reader of the same files says the same
        n, e = LENGTHS[0], exact["logits"]
        got = check(out, sequences(name, config.vocab_size)[0]["ids"])
        worst["peer"] = ((got - e[:n]).abs().max() / e[:n].abs().max()).item()
        rounds = check in (check_llama_cpp, check_bnb)            # it computes in 16 bits, or with rounded activations
        assert worst["peer"] < (5e-2 if rounds else 1e-5), f"another reader of the files differs: {worst}"
    worst["losses"] = max(abs(a - b) for a, b in zip(facts["steps"]["losses"], facts32["steps"]["losses"]))
    arrays = {k: v.float() for k, v in exact.items() if not (base and k == "logits")}
    arrays["tokens"] = torch.cat([s["ids"] for s in seqs]).int()
    arrays["trained"] = torch.cat([s["masked"] for s in seqs])
    arrays["prompts"] = torch.tensor([n // 3 for n in LENGTHS]).int()
    arrays["offsets"] = torch.tensor([0, *np.cumsum(LENGTHS)]).int()
    save_file(dict(sorted(arrays.items())), out / "golden.safetensors")
    facts = dict(base=base or name, made_with=dict(torch=torch.__version__, transformers=transformers.__version__), **facts)
    (out / "golden.json").write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    st = facts["steps"]
    print(f"{name:14} {size / 1000:6.0f} kB  loss {facts['loss_all']:.3f}  steps {st['losses'][0]:.3f} -> {st['losses'][-1]:.3f}"
          f"  norms {min(st['grad_norms']):.2f}..{max(st['grad_norms']):.2f}  float32's own error: "
          + " ".join(f"{k} {v:.1e}" for k, v in worst.items()), flush=True)
    assert worst["logits"] < 1e-5 and worst["gradients"] < 1e-5 and worst["losses"] < 4e-6, "the reference is not stable"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=Path(__file__).resolve().parent.parent / "test" / "golden", type=Path)
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    for name, spec in models().items():
        if re.search(a.only, name): make(name, spec, a.out)


if __name__ == "__main__":
    main()
