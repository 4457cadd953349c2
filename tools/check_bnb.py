#!/usr/bin/env python3
"""hone beside bitsandbytes on a real model: bit for bit, and in loss.

    python tools/check_bnb.py --model DIR [--build build] [--rows FILE.jsonl] [--kinds nf4 nf4x2 fp4 fp4x2 int8]

For each kind (x2: double quantised) transformers + bitsandbytes quantise the model and save it, on the CPU and one
thread.  Then, of every linear layer:

    mapped     what hone decodes of the saved files is what bitsandbytes dequantises
    loaded     what hone quantises from the unquantised files while it loads them is what bitsandbytes saved: codes,
               scales, scales of scales, offset; and their values

and, with --rows, the loss of `hone test` on the saved model and on the original with --load-in-4bit or -8bit, of
transformers on the dequantised weights in float32, and of bitsandbytes' own forward pass (16-bit, or int8 activations).
Prints PASS or FAIL per line; the status is 1 when one fails.
"""
import argparse, gc, hashlib, json, os, subprocess, sys, tempfile, warnings
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
warnings.filterwarnings("ignore")
import bitsandbytes as bnb, bitsandbytes.functional as B
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

ROOT = Path(__file__).resolve().parent.parent
failed = False


def say(ok, *what):
    global failed
    failed |= not ok
    print("PASS" if ok else "FAIL", *what, flush=True)


def sha(t):
    return hashlib.sha256(t.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def config_of(kind):
    if kind == "int8": return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind[:3], bnb_4bit_use_double_quant=kind.endswith("x2"))


def flags_of(kind):
    if kind == "int8": return ["--load-in-8bit"]
    return ["--load-in-4bit", "--bnb-4bit-quant-type", kind[:3]] + ["--bnb-4bit-use-double-quant"] * kind.endswith("x2")


def dequantised(m):
    """bitsandbytes' values.  Its CPU kernel gives FP4's second zero a minus sign, which the quant_map in its files does
    not have: + 0.0 takes that away, and nothing else."""
    if isinstance(m, bnb.nn.Linear4bit): return B.dequantize_4bit(m.weight.data, m.weight.quant_state).float() + 0.0
    return B.int8_vectorwise_dequant(m.weight.data, m.weight.SCB).float()


def build_driver(build):
    libs = [str(Path(build) / f"libhn_{x}.a") for x in ("model", "backend_cpu", "backend", "format", "quant", "base")]
    out = str(Path(build) / "weights_driver")
    subprocess.check_call(["cc", "-O2", "-D_POSIX_C_SOURCE=200809L", f"-I{ROOT}/src", f"-I{ROOT}/include",
                           f"{ROOT}/tools/weights_driver.c", "-o", out, *libs, *libs, "-lpcre2-8", "-lm", "-lpthread"])
    return out


def facts(driver, *args):
    out = {}
    for line in subprocess.check_output([driver, *map(str, args)], text=True).splitlines():
        name, what, value = line.split(" ", 2)
        out.setdefault(name, {})[what] = value
    return out


def compare(what, want, got):
    """Of every tensor every fact that bitsandbytes has."""
    wrong = [(n, k) for n, f in want.items() for k, v in f.items()
             if (got.get(n, {}).get(k) != v if k != "offset" else float(got[n][k]) != v)]
    n = sum(len(f) for f in want.values())
    say(not wrong, f"{what}: {len(want)} tensors, {n - len(wrong)} of {n} facts the same", *wrong[:4])


def loss_of(model, tok, rows):
    """Mean over tokens, as hone test has it: special tokens, text, EOS; summed in double precision."""
    total, n = 0.0, 0
    for text in rows:
        ids = tok(text).input_ids
        if ids[-1] != tok.eos_token_id: ids.append(tok.eos_token_id)
        ids = torch.tensor([ids])
        with torch.no_grad(): logits = model(input_ids=ids).logits[0, :-1].double()
        total += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        n += ids.shape[1] - 1
    return total / n


def hone_loss(build, model, rows, *flags):
    out = subprocess.run([str(Path(build) / "hone"), "test", "--model", str(model), "--data", rows, "--json", "--no-generate", *flags],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)["loss"]


def check(kind, a, driver):
    model = AutoModelForCausalLM.from_pretrained(a.model, quantization_config=config_of(kind))
    modules = {n + ".weight": m for n, m in model.named_modules() if isinstance(m, (bnb.nn.Linear4bit, bnb.nn.Linear8bitLt))}
    values = {n: dict(decoded=sha(dequantised(m))) for n, m in modules.items()}
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        AutoTokenizer.from_pretrained(a.model).save_pretrained(scratch)
        compare(f"{kind} mapped", values, facts(driver, scratch))
        want = {n: dict(v) for n, v in values.items()}
        parts = dict(codes="", scales=".absmax", outer=".nested_absmax", map=".nested_quant_map")
        if kind == "int8": parts = dict(codes="")
        with safe_open(Path(scratch) / "model.safetensors", "pt") as f:
            names = set(f.keys())
            for n in modules:
                for what, end in parts.items():
                    if n + end in names: want[n][what] = sha(f.get_tensor(n + end))
                if kind == "int8": want[n]["scales"] = sha(f.get_tensor(n.removesuffix("weight") + "SCB"))
                state = [s for s in names if s.startswith(n + ".quant_state.")]
                for s in state:
                    j = json.loads(bytes(f.get_tensor(s).tolist()))
                    if "nested_offset" in j: want[n]["offset"] = float(f"{j['nested_offset']:.9g}")
        compare(f"{kind} loaded", want, facts(driver, a.model, kind))
        if not a.rows: return
        rows = [json.loads(l)["text"] for l in open(a.rows)]
        tok = AutoTokenizer.from_pretrained(a.model)
        mapped, loaded = hone_loss(a.build, scratch, a.rows), hone_loss(a.build, a.model, a.rows, *flags_of(kind))
    exact = {n: dequantised(m) for n, m in modules.items()}           # before a forward pass takes int8's scales away
    own = loss_of(model, tok, rows)
    del model; gc.collect()
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    model.load_state_dict(exact, strict=False)
    want = loss_of(model, tok, rows)
    say(abs(mapped - want) < 1e-4 and abs(loaded - want) < 1e-4,
        f"{kind} loss: hone {mapped:.6f} mapped, {loaded:.6f} loaded; transformers in float32 {want:.6f}; bitsandbytes' own {own:.6f}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", required=True)
    ap.add_argument("--build", default=str(ROOT / "build"))
    ap.add_argument("--rows", help="a .jsonl file of {\"text\": …} rows")
    ap.add_argument("--kinds", nargs="+", default=["nf4", "nf4x2", "fp4", "fp4x2", "int8"])
    a = ap.parse_args()
    torch.set_num_threads(1)
    driver = build_driver(a.build)
    for kind in a.kinds: check(kind, a, driver)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
