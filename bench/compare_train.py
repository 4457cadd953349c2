"""Training speed and memory of hone beside transformers.Trainer + PEFT, on the same rows and the same machine.

    python bench/compare_train.py --peers DIR --models DIR --data DIR [--hone build/hone] [--runs 3] [--steps 8]

--peers holds train_hf.py and make_data.py, --models smollm2-f32 (and what --hone-model names), --data what
make_data.py wrote.  Both sides: LoRA r 8 on q, k, v, o, dropout 0.05, AdamW, batch 1, the rows unpadded, the end token
appended, float32.  The runs of the two alternate, each in a process of its own; the first step of a run is not timed.
Prints the median of the runs and, in brackets, the least and the greatest; then the ratios of neighbouring runs.
"""
import argparse, json, os, random, statistics, subprocess, sys, tempfile
from pathlib import Path


def child(cmd, env=None):
    """Standard output of a command, and the peak of its resident memory in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        p = subprocess.Popen(list(map(str, cmd)), stdout=out, stderr=err, text=True, env=env)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        if p.returncode: sys.exit(f"{' '.join(map(str, cmd))}: exit {p.returncode}\n{err.read()[-2000:]}")
        out.seek(0)
        return out.read(), usage.ru_maxrss * 1024


def run_hone(a, rows, ckpt, work):
    data, out = work / "rows.jsonl", work / "adapter"
    data.write_text("".join(json.dumps(dict(text=t)) + "\n" for t in rows))
    _, peak = child([a.hone, "train", "--model", a.hone_model, "--data", data, "--adapter-path", out, "--no-shuffle",
                     "--max-steps", a.steps, "--steps-per-report", 1, "--learning-rate", 2e-4, "--threads", a.threads,
                     "--eval-strategy", "no", "--save-strategy", "no", "--max-seq-length", 1024,
                     "--grad-checkpoint", "blocks" if ckpt else "none"])
    records = [r for r in map(json.loads, open(out / "metrics.jsonl")) if "loss" in r]
    before, tokens, seconds = 0, 0, 0.0
    for i, r in enumerate(records):
        trained, before = r["tokens"] - before, r["tokens"]
        if i: tokens, seconds = tokens + trained + 1, seconds + trained / r["tokens_per_second"]
    return dict(tokens_per_second=tokens / seconds, peak=peak, losses=[r["loss"] for r in records])


def run_hf(a, ckpt):
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads), CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")
    out, peak = child([sys.executable, a.peers / "train_hf.py", "--model", a.models / "smollm2-f32", "--data", a.data, "--dtype", "fp32",
                       "--pad", "none", "--ckpt", ckpt, "--steps", a.steps, "--threads", a.threads], env)
    r = next(json.loads(l) for l in out.splitlines() if l.startswith('{"job"'))
    return dict(tokens_per_second=r["real_tok_s"], peak=peak, losses=r["losses"])


def spread(v, form="{:.1f}"):
    return f"{form.format(statistics.median(v))} [{form.format(min(v))}, {form.format(max(v))}]"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--peers", type=Path, required=True); ap.add_argument("--models", type=Path, required=True)
    ap.add_argument("--data", type=Path, required=True); ap.add_argument("--hone", type=Path, default=Path("build/hone"))
    ap.add_argument("--hone-model", type=Path, help="what hone trains on: the same f32 directory, unless given")
    ap.add_argument("--runs", type=int, default=3); ap.add_argument("--steps", type=int, default=8); ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--ckpt", type=int, nargs="+", default=[1, 0]); ap.add_argument("--json", type=Path, help="also write every run here")
    a = ap.parse_args()
    a.hone_model = a.hone_model or a.models / "smollm2-f32"
    sys.path.insert(0, str(a.peers))
    from make_data import load, text
    rows = load(a.data)
    random.Random(7).shuffle(rows)                                  # the order of train_hf.py
    rows, every = [text(r) for r in rows[:a.steps]], []
    for ckpt in a.ckpt:
        hone, hf = [], []
        for _ in range(a.runs):
            with tempfile.TemporaryDirectory() as d: hone.append(run_hone(a, rows, ckpt, Path(d)))
            hf.append(run_hf(a, ckpt))
        speed = [h["tokens_per_second"] / p["tokens_per_second"] for h, p in zip(hone, hf)]
        memory = [p["peak"] / h["peak"] for h, p in zip(hone, hf)]
        print(f"gradient checkpointing {'on' if ckpt else 'off'}, {a.runs} runs of {a.steps} steps, {a.threads} threads")
        for who, runs in (("hone", hone), ("transformers + peft", hf)):
            print(f"  {who:20} {spread([r['tokens_per_second'] for r in runs])} tokens/s   {spread([r['peak'] / 1e9 for r in runs], '{:.2f}')} GB   "
                  f"losses {runs[0]['losses'][0]:.3f} .. {runs[0]['losses'][-1]:.3f}")
        print(f"  {'hone is':20} {spread(speed, '{:.2f}')} times as fast, in 1/{spread(memory, '{:.2f}')} of the memory", flush=True)
        every.append(dict(ckpt=ckpt, hone=hone, hf=hf, speed=speed, memory=memory))
    if a.json: a.json.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
