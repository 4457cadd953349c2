"""hone beside its peers on this machine: bench/compare.sh starts it, and says how.

Each row is a job that every side does in a process of its own; the sides alternate, --runs times.  Speeds are medians
with the least and the greatest run in brackets; a ratio is hone's over the peer's next to it.  The limit is what this
machine's multiply-adds (decode: its memory reads) allow for hone's arithmetic, measured by `hone bench` beside each
run, without counting what checkpointing makes again.  "Nothing recomputed" is hone without checkpointing, beside peers
that need it.
"""
import argparse, json, os, platform, re, statistics, subprocess, sys, tempfile, time
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = dict(hone="hone, 4-bit", int8="hone, 4-bit, int8", whole="hone, nothing recomputed", hf="transformers + PEFT, float32", mlx="mlx-lm, 4-bit", llama="llama.cpp, Q4_0")

OURS = ["hone", "int8", "whole"]


def rows():
    """(name, title, what is measured, sides, options): models by the names that compare.sh gives them."""
    out = []
    for name, title, o in (("smollm2-job", "SmolLM2-135M, LoRA: rows padded to 1024, checkpointing (hone pads nothing)", dict(ckpt=1, pad=1)),
                           ("smollm2-train-ckpt", "SmolLM2-135M, LoRA: rows as they are, checkpointing", dict(ckpt=1, pad=0)),
                           ("smollm2-train", "SmolLM2-135M, LoRA: rows as they are, no checkpointing", dict(ckpt=0, pad=0))):
        out.append((name, title, "train", ["hone", "hf"] + ([] if o["pad"] else ["mlx"]), dict(model="smollm2", **o)))
    for name, title, ckpt in (("1b-train-ckpt", "1.1B Llama, LoRA: 512 tokens, checkpointing", 1), ("1b-train", "1.1B Llama, LoRA: 512 tokens, no checkpointing", 0)):
        out.append((name, title, "train", ["hone"] + ["whole"] * ckpt + ["hf", "mlx"], dict(model="tl11b", ckpt=ckpt, pad=0)))
    for short, title, model in (("smollm2", "SmolLM2-135M", "smollm2"), ("1b", "1.1B Llama", "tl11b")):
        for name, what, batch in (("prefill", "prefill", 1), ("decode", "decode", 1), ("decode-8", "decode", 8)):
            out.append((f"{short}-{name}", f"{title}, {what}" + f" of {batch} sequences at once" * (batch > 1), what,
                        ["hone", "int8", "hf", "mlx", "llama"], dict(model=model, batch=batch)))
    return sorted(out, key=lambda r: r[0].startswith("1b"))


def child(cmd, threads):
    """Standard output of a command, and the peak of its resident memory in bytes."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        p = subprocess.Popen(list(map(str, cmd)), stdout=out, stderr=err, text=True, env=env)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        if p.returncode: sys.exit(f"{' '.join(map(str, cmd))}: exit {p.returncode}\n{err.read()[-2000:]}")
        out.seek(0)
        return out.read(), usage.ru_maxrss * 1024


class Bench:
    def __init__(self, a, work):
        self.a, self.work = a, work
        smol = a.models / "smollm2-Q4_1.gguf"                       # its values are those of smollm2-f32
        self.data = work / "rows.jsonl"
        travel = [HERE.parent / "examples/travel" / f for f in ("mode.jsonl", "pois.jsonl")]
        child([a.hone, "prepare", "--input", travel[0], "--input", travel[1], "--output", self.data, "--seed", 7], a.threads)
        self.data.write_text("".join(self.data.read_text().splitlines(True)[:a.steps]))
        self.files = dict(smollm2=dict(hone=smol, llama=a.models / "smollm2-Q4_0.gguf"),
                          tl11b={k: a.models / "tl11b-Q4_0.gguf" for k in ("hone", "llama")})
        for m in self.files: self.files[m].update(hf=a.models / ("smollm2-f32" if m == "smollm2" else "tl11b-bf16"), mlx=a.models / f"{m}-mlx4-g64")

    def hone_bench(self, model, o, train, compute="exact", prompt=16, new=1, batch=1):
        out, peak = child([self.a.hone, "bench", "--json", "--model", model, "--trials", self.a.trials if train else 1, "--threads", self.a.threads, "--compute", compute,
                           "--train-tokens", train, "--prompt-tokens", prompt, "--generation-tokens", new, "--decode-batch", batch, "--class-tokens", 0,
                           "--grad-checkpoint", "blocks" if o.get("ckpt") else "none"], self.a.threads)
        got = json.loads(out)
        by = {m["name"]: m for m in got["measurements"]}
        return got, by, peak

    def hone_train(self, o):
        model = self.files[o["model"]]["hone"]
        if o["model"] != "smollm2":
            got, by, peak = self.hone_bench(model, o, self.a.length)
            plain = self.hone_bench(model, {}, 16)[1]["train"] if o["ckpt"] else by["train"]
            return dict(speed=by["train"]["tokens_per_second"], peak=peak, limit=got["flops_per_second_limit"] / plain["flops_per_token"])
        got, by, _ = self.hone_bench(model, {}, 170)
        adapter = self.work / f"adapter-{time.monotonic_ns()}"
        _, peak = child([self.a.hone, "train", "--model", model, "--data", self.data, "--adapter-path", adapter, "--no-shuffle", "--max-steps", self.a.steps,
                         "--steps-per-report", 1, "--learning-rate", 2e-4, "--threads", self.a.threads, "--eval-strategy", "no", "--save-strategy", "no",
                         "--report-samples", 0, "--grad-checkpoint", "blocks" if o["ckpt"] else "none"], self.a.threads)
        records = [r for r in map(json.loads, open(adapter / "metrics.jsonl")) if "loss" in r]
        before, tokens, seconds = records[0]["tokens"], 0, 0.0
        for r in records[1:]:                                       # a row of n tokens trains n - 1
            trained, before = r["tokens"] - before, r["tokens"]
            tokens, seconds = tokens + trained + 1, seconds + trained / r["tokens_per_second"]
        return dict(speed=tokens / seconds, peak=peak, limit=got["flops_per_second_limit"] / by["train"]["flops_per_token"], losses=[r["loss"] for r in records])

    def hone_infer(self, what, side, o):
        got, by, _ = self.hone_bench(self.files[o["model"]]["llama"], {}, 0, "exact" if side == "hone" else "int8",
                                     self.a.prompt if what == "prefill" else 16, self.a.new if what == "decode" else 1, o["batch"])
        m = by[what if o["batch"] == 1 else f"{what} x{o['batch']}"]
        return dict(speed=m["tokens_per_second"], peak=m["peak_memory_bytes"], limit=m["tokens_per_second"] / m["fraction_of_limit"])

    def run(self, what, side, o):
        if side in OURS:
            return self.hone_train(dict(o, ckpt=o["ckpt"] and side != "whole")) if what == "train" else self.hone_infer(what, side, o)
        a = self.a
        cmd = [sys.executable, HERE / "compare_peer.py", "train" if what == "train" else "infer", "--engine", side, "--model", self.files[o["model"]][side], "--threads", a.threads]
        if what == "train":
            data = ["--data", self.data, "--steps", a.steps, "--pad", o["pad"]] if o["model"] == "smollm2" else ["--length", a.length, "--steps", a.trials + 1]
            cmd += data + ["--ckpt", o["ckpt"]]
        else:
            cmd += ["--prompt", a.prompt if what == "prefill" else 16, "--new", a.new if what == "decode" else 1, "--batch", o["batch"]]
        out, peak = child(cmd, a.threads)
        got = json.loads([line for line in out.splitlines() if line.startswith('{"')][-1])
        return dict(speed=got[what], peak=peak, losses=got.get("losses"))


def spread(v, digits=1):
    f = f"{{:.{digits}f}}".format
    return f(statistics.median(v)) + (f" [{f(min(v))}, {f(max(v))}]" if len(v) > 1 else "")


def table(result):
    lines = [result["machine"]]
    for r in result["rows"]:
        hone = r["runs"]["hone"]
        lines += ["", f"{r['title']}, {len(hone)} runs, {r['threads']} threads" + (f", {r['date']}" if r.get("date") else "")]
        for side, runs in r["runs"].items():
            speed = [x["speed"] for x in runs]
            text = f"  {NAMES[side]:30} {spread(speed):>26} tokens/s  {statistics.median([x['peak'] for x in runs]) / 1e9:6.2f} GB"
            if runs[0].get("limit"): text += f"   {100 * statistics.median([x['speed'] / x['limit'] for x in runs]):3.0f} % of the limit"
            else:
                ratio = lambda ours: spread([h["speed"] / x["speed"] for h, x in zip(ours, runs)], 2)
                text += f"   hone is {ratio(hone)} times as fast" + "".join(f" ({NAMES[s].split(', ')[-1]}: {ratio(r['runs'][s])})" for s in OURS[1:] if s in r["runs"])
                text += f", in {100 * statistics.median([h['peak'] / x['peak'] for h, x in zip(hone, runs)]):.0f} % of the memory"
            lines.append(text)
    return "\n".join(lines) + "\n"


def chart(result):
    """A bar per side, as long as its speed over the row's best."""
    left, width, bar, y, body = 250, 330, 17, 16, []
    put = lambda x, y, text, extra="": body.append(f'<text x="{x}" y="{y}"{extra}>{escape(text)}</text>')
    for r in result["rows"]:
        speeds = {s: statistics.median([x["speed"] for x in v]) for s, v in r["runs"].items()}
        top = max(speeds.values())
        put(8, y + 4, r["title"], ' font-weight="600"')
        y += 14
        for side, speed in speeds.items():
            color = "#1f6feb" if side in OURS else "#9aa4af"
            length = max(1, width * speed / top)
            put(left - 8, y + 12, NAMES[side], ' text-anchor="end"')
            body.append(f'<rect x="{left}" y="{y + 1}" width="{length:.1f}" height="{bar - 4}" rx="2" fill="{color}"/>')
            peak = statistics.median([x["peak"] for x in r["runs"][side]]) / 1e9
            put(f"{left + length + 6:.1f}", y + 12, f"{speed:.{0 if speed >= 100 else 1}f} tokens/s, {peak:.2f} GB")
            y += bar
        y += 20
    put(8, y + 2, result["machine"], ' fill="#57606a"')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {y + 14}" font-family="system-ui, sans-serif" font-size="12" fill="#24292f">'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n")


def machine(a):
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        found = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
        name = found[1] if found else name
    return f"{name}, {os.cpu_count()} processors, {a.threads} threads used"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--models", type=Path, required=True); ap.add_argument("--hone", type=Path, default=Path("build/hone"))
    ap.add_argument("--out", type=Path, default=Path("build/compare"), help="where compare.txt, .json and .svg go")
    ap.add_argument("--only", default="", help="rows whose name this regular expression finds"); ap.add_argument("--list", action="store_true", help="name the rows")
    ap.add_argument("--sides", default="hone,int8,whole,hf,mlx,llama", help="who takes part")
    ap.add_argument("--runs", type=int, default=2); ap.add_argument("--steps", type=int, default=8, help="rows of text, the first not timed")
    ap.add_argument("--trials", type=int, default=2, help="timed steps of random ids"); ap.add_argument("--length", type=int, default=512, help="tokens of such a row")
    ap.add_argument("--prompt", type=int, default=512); ap.add_argument("--new", type=int, default=64); ap.add_argument("--threads", type=int, default=os.cpu_count())
    a = ap.parse_args()
    todo = [r for r in rows() if re.search(a.only, r[0])]
    if a.list:
        for name, title, *_ in todo: print(f"{name:20} {title}")
        return
    a.out.mkdir(parents=True, exist_ok=True)
    file = a.out / "compare.json"
    result = json.loads(file.read_text()) if file.exists() else dict(rows=[])
    result["machine"] = machine(a)
    order = [r[0] for r in rows()]
    with tempfile.TemporaryDirectory() as d:
        bench = Bench(a, Path(d))
        for name, title, what, sides, o in todo:
            sides = [s for s in sides if s in a.sides.split(",")]
            got = {s: [] for s in sides}
            for _ in range(a.runs):
                for s in sides: got[s].append(bench.run(what, s, o))
            row = dict(name=name, title=title, threads=a.threads, date=time.strftime("%Y-%m-%d"), runs=got)
            result["rows"] = sorted([r for r in result["rows"] if r["name"] != name] + [row], key=lambda r: order.index(r["name"]))
            file.write_text(json.dumps(result, indent=1) + "\n")
            print(table(dict(result, rows=[row])), flush=True)
    (a.out / "compare.txt").write_text(table(result))
    (a.out / "compare.svg").write_text(chart(result))


if __name__ == "__main__":
    main()
