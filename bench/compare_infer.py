"""Prefill and decode speed and memory of hone beside llama.cpp and transformers, on the same weights and the same machine.

    python bench/compare_infer.py --peers DIR --models DIR [--hone build/hone] [--runs 3] [--prompt 512] [--new 64]

--peers holds infer.py; --models smollm2-{Q4_1,Q4_0,Q8_0}.gguf and smollm2-f32.  hone runs each GGUF in both of its
classes of arithmetic, exact and int8; llama.cpp rounds activations to 8 bits, so its like is int8.  transformers runs
the dequantised float32 weights.  The runs of all alternate, each in a process of its own.
Prints the median of the runs and, in brackets, the least and the greatest; then ratios of neighbouring runs.
"""
import argparse, json, os, sys
from pathlib import Path

from compare_train import child, spread


def run_hone(a, model, compute):
    out, peak = child([a.hone, "bench", "--model", model, "--json", "--prompt-tokens", a.prompt, "--generation-tokens", a.new, "--trials", 1,
                       "--train-tokens", 0, "--threads", a.threads, "--compute", compute])
    got = {m["name"]: m["tokens_per_second"] for m in json.loads(out)["measurements"]}
    return dict(prefill=got["prefill"], decode=got["decode"], peak=peak)


def run_peer(a, engine, model):
    env = dict(os.environ, PYTHONPATH=str(a.llama) if engine == "llama" and a.llama else "", OMP_NUM_THREADS=str(a.threads), CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")
    out, peak = child([sys.executable, a.peers / "infer.py", "--engine", engine, "--model", model, "--prompt", a.prompt, "--new", a.new,
                       "--reps", 1, "--threads", a.threads], env)
    r = next(json.loads(l) for l in out.splitlines() if l.startswith('{"job"'))
    best = {k: r[k][1] for k in r if k.endswith("_tok_s_best_med")}
    return dict(prefill=next(v for k, v in best.items() if k.startswith("prefill")), decode=next(v for k, v in best.items() if k.startswith("decode")), peak=peak)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--peers", type=Path, required=True); ap.add_argument("--models", type=Path, required=True)
    ap.add_argument("--llama", type=Path, help="a folder with another build of llama_cpp (GCC 12's crashes on AMX: docs/interop.md)")
    ap.add_argument("--hone", type=Path, default=Path("build/hone")); ap.add_argument("--quants", nargs="+", default=["Q4_1", "Q4_0", "Q8_0"])
    ap.add_argument("--runs", type=int, default=3); ap.add_argument("--prompt", type=int, default=512); ap.add_argument("--new", type=int, default=64)
    ap.add_argument("--threads", type=int, default=2); ap.add_argument("--json", type=Path, help="also write every run here")
    a = ap.parse_args()
    every = {}
    for q in a.quants:
        gguf = a.models / f"smollm2-{q}.gguf"
        sides = {"hone, exact": lambda: run_hone(a, gguf, "exact"), "hone, int8": lambda: run_hone(a, gguf, "int8"),
                 "llama.cpp": lambda: run_peer(a, "llama", gguf)}
        if q == a.quants[0]: sides["transformers, float32"] = lambda: run_peer(a, "hf", a.models / "smollm2-f32")
        got = {s: [] for s in sides}
        for _ in range(a.runs):
            for s, run in sides.items(): got[s].append(run())
        print(f"{q}: prompt of {a.prompt}, answer of {a.new} tokens, {a.runs} runs, {a.threads} threads")
        for s, runs in got.items():
            print(f"  {s:22} prefill {spread([r['prefill'] for r in runs])}  decode {spread([r['decode'] for r in runs])} tokens/s  "
                  f"{spread([r['peak'] / 1e9 for r in runs], '{:.2f}')} GB")
        for s in list(got)[2:]:
            for mine in ("hone, exact", "hone, int8"):
                ratio = lambda k: spread([m[k] / p[k] for m, p in zip(got[mine], got[s])], "{:.2f}")
                print(f"  {mine} over {s}: prefill x {ratio('prefill')}  decode x {ratio('decode')}", flush=True)
        every[q] = got
    if a.json: a.json.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
