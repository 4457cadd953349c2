"""hone beside transformers, PEFT, mlx-lm and llama.cpp on a real model: do they read each other's files, and say the same?

    python tools/interop.py --hone build/hone --models DIR --data DIR [--workdir DIR] [--only REGEX]

--models: SmolLM2-135M-Instruct thrice, holding the same name in each format:
    smollm2-Q4_1.gguf    and smollm2-f32, the Hugging Face directory dequantised from it
    smollm2-mlx4-g64     an MLX directory
--data: mode.jsonl and pois.jsonl, task records.

Prints a table: check, what was compared, the worst figure, its bound, PASS or FAIL; exits with 1 when one failed.
Everything runs on the CPU in float32.  What a peer cannot run itself in float32 (MLX's bfloat16 scales) is run by
transformers on weights dequantised with scales and biases widened first.
"""
import argparse, json, math, os, re, shutil, subprocess, sys, time, traceback
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                  TRANSFORMERS_VERBOSITY="error")
import torch
from safetensors.torch import load_file, save_file

QKVO = ["q_proj", "k_proj", "v_proj", "o_proj"]
LOSS = 1e-4         # of losses: absolute (DESIGN 2)
LR, RANK, ALPHA = 1e-3, 8, 16
HARD = ["", " ", "\n", "\t\ttabs", "  two  spaces ", "caf\u00e9 na\u00efve \u4f60\u597d \U0001f600\u200d\U0001f525", "1234567890 3.14159",
        "don't I'll WE'VE", "<|im_start|>user\nhi<|im_end|>\n", "a\r\nb", "\u0130stanbul \u00df \ufb01", "x" * 300,
        "def f(x):\n    return x ** 2\n\n\n", "\u0915\u094d\u0937 \u0e01\u0e33 \u1100\u1161", "<|endoftext|><|endoftext|>", "\u00a0\u2003nbsp"]
PROMPTS = ["The capital of France is", "Name three ways to travel from Paris to Lyon.", "Water boils at",
           "def fibonacci(n):", "Once upon a time, in a small harbour town,"]


class Failed(Exception): pass
class Absent(Exception): pass


class World:
    """The command line under test, the models, and what has been loaded so far."""

    def __init__(self, a):
        self.exe, self.models, self.data, self.work = a.hone.resolve(), a.models, a.data, a.workdir
        self.paths = dict(hf=a.models / "smollm2-f32", gguf=a.models / "smollm2-Q4_1.gguf", mlx=a.models / "smollm2-mlx4-g64")
        self.threads, self.cache = a.threads, {}

    def hone(self, *args, code=0):
        cmd = [str(self.exe), *map(str, args)]
        if args[0] in ("train", "test", "generate"): cmd += ["--threads", str(self.threads)]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=900)
        if r.returncode != code:
            raise Failed(f"{' '.join(cmd)[:300]}: exit {r.returncode}: {r.stderr.strip()[-400:]}")
        return r

    def json(self, *args): return json.loads(self.hone(*args, "--json").stdout)

    def tokenizer(self):
        if "tok" not in self.cache:
            from transformers import AutoTokenizer
            self.cache["tok"] = AutoTokenizer.from_pretrained(self.paths["hf"])
        return self.cache["tok"]

    def torch_model(self, base):
        """transformers in float32 on the very weights of a base."""
        from transformers import AutoModelForCausalLM
        model = AutoModelForCausalLM.from_pretrained(self.paths["hf"], dtype=torch.float32).eval()
        if base == "mlx": model.load_state_dict(dequantised_mlx(self.paths["mlx"]))
        return model

    def fresh(self, name):
        d = self.work / name
        shutil.rmtree(d, ignore_errors=True)
        d.mkdir(parents=True)
        return d

    def rows(self, n, words=None):
        """Texts of the task records; without the markers when cut to words, so that nothing is generated from them."""
        rows = [json.loads(l) for f in ("mode.jsonl", "pois.jsonl") for l in open(self.data / f)][::7]
        if words: return [" ".join((r["context"] + " " + r["response"]).split()[:words - i]) for i, r in enumerate(rows[:n])]
        return [task_text(r) for r in rows[:n]]

    def row_file(self, name, texts):
        path = self.work / name
        path.write_text("".join(json.dumps(dict(text=t)) + "\n" for t in texts))
        return path

    def encode(self, text):
        ids = self.tokenizer()(text).input_ids
        return ids if ids and ids[-1] == self.tokenizer().eos_token_id else ids + [self.tokenizer().eos_token_id]

    def test_losses(self, texts, *args):
        got = self.json("test", "--data", self.row_file("test_rows.jsonl", texts), *args)
        return [r["loss"] for r in got["rows"]], got


def task_text(r):
    out = f"### TASK: {r['task']}\n### INSTRUCTION:\n{r['instruction']}"
    if r.get("context"): out += f"\n### CONTEXT:\n{r['context']}"
    out += f"\n### RESPONSE:\n{r['response']}"
    if r.get("response_json"): out += f"\n### RESPONSE_JSON:\n{json.dumps(r['response_json'], indent=2)}"
    return out


def dequantised_mlx(path):
    import mlx.core as mx
    import numpy as np
    mx.set_default_device(mx.cpu)
    q = json.loads((path / "config.json").read_text())["quantization"]
    w, out = {}, {}
    for f in sorted(path.glob("model*.safetensors")): w.update(mx.load(str(f)))
    for k, v in w.items():
        if k.endswith((".scales", ".biases")): continue
        m = k.removesuffix(".weight")
        if m + ".scales" in w:
            s, b = (w[f"{m}.{x}"].astype(mx.float32) for x in ("scales", "biases"))
            v = mx.dequantize(v, s, b, group_size=q["group_size"], bits=q["bits"])
        out[k] = torch.tensor(np.array(v.astype(mx.float32)))
    if "lm_head.weight" not in out: out["lm_head.weight"] = out["model.embed_tokens.weight"]
    return out


def mean_loss(logits, ids):
    """Over [T-1, V], in double precision: a float32 sum over the vocabulary is itself off by up to 1e-4 (MLX's)."""
    return torch.nn.functional.cross_entropy(logits.double(), torch.tensor(ids[1:]))


def torch_loss(model, ids):
    return mean_loss(model(input_ids=torch.tensor([ids])).logits[0, :-1], ids)


def torch_losses(w, model, texts):
    with torch.no_grad(): return [torch_loss(model, w.encode(t)).item() for t in texts]


def worst(a, b):
    if len(a) != len(b): raise Failed(f"{len(a)} values beside {len(b)}")
    return max(abs(x - y) for x, y in zip(a, b))


def lora(model, **kw):
    from peft import LoraConfig, get_peft_model
    o = dict(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=QKVO, task_type="CAUSAL_LM")
    return get_peft_model(model, LoraConfig(**{**o, **kw}))


def trainable(model): return [p for p in model.parameters() if p.requires_grad]


def randomise(model, seed, std=0.02):
    """B away from zero, so that scale and orientation show at once."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_B" in n: p.copy_(torch.randn(p.shape, generator=g) * std)
            elif "lora_A" in n: p.copy_((torch.rand(p.shape, generator=g) * 2 - 1) / math.sqrt(p.shape[1]))


def torch_steps(w, model, texts, n, batch=1, accumulate=1):
    """n AdamW steps in file order; (losses, gradient norms)."""
    ps, ids = trainable(model), [w.encode(t) for t in texts]
    opt = torch.optim.AdamW(ps, lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, norms, at = [], [], 0
    for _ in range(n):
        rows = [ids[(at + i) % len(ids)] for i in range(batch * accumulate)]
        at += batch * accumulate
        tokens = sum(len(r) - 1 for r in rows)
        total = 0.0
        for r in rows:
            loss = torch_loss(model, r) * (len(r) - 1) / tokens
            loss.backward()
            total += loss.item()
        losses.append(total)
        norms.append(float(torch.nn.utils.clip_grad_norm_(ps, 1.0)))
        opt.step()
        opt.zero_grad()
    return losses, norms


# ---- the checks: each yields (what, figure, bound) --------------------------------------------------

def check_tokens(w):
    """Ids of hone tokenize and of Hugging Face tokenizers."""
    texts = w.rows(200) + HARD + PROMPTS
    want = [w.tokenizer()(t).input_ids for t in texts]
    for base in ("hf", "gguf", "mlx"):
        few = slice(None) if base == "hf" else slice(-30, None)
        bad = [t for t, i in zip(texts[few], want[few]) if json.loads(w.hone("tokenize", "--model", w.paths[base], "--text", t).stdout) != i]
        yield f"{base}: texts with other ids of {len(texts[few])}" + (f", as {bad[0][:40]!r}" if bad else ""), len(bad), 0


def check_prepare(w):
    """hone prepare's rows and the original formatter's."""
    out = w.fresh("prepare") / "all.jsonl"
    w.hone("prepare", "--input", w.data / "mode.jsonl", "--input", w.data / "pois.jsonl", "--output", out)
    got = sorted(json.loads(l)["text"] for l in open(out))
    want = sorted(task_text(json.loads(l)) for f in ("mode.jsonl", "pois.jsonl") for l in open(w.data / f))
    yield f"rows that differ of {len(want)}", sum(a != b for a, b in zip(got, want)) + abs(len(got) - len(want)), 0


def check_base(w):
    """Losses of hone test on a base model and of transformers on its weights."""
    texts = w.rows(6, 60)
    for base in ("hf", "gguf", "mlx"):
        got, _ = w.test_losses(texts, "--model", w.paths[base])
        yield f"{base}: loss of {len(texts)} rows", worst(got, torch_losses(w, w.torch_model(base), texts)), LOSS


def check_steps(w):
    """20 optimizer steps of hone train beside a PyTorch loop, from one PEFT start; then what each reads of the result."""
    texts = w.rows(20, 70)
    for base, n in (("hf", 20), ("gguf", 20), ("mlx", 8)):
        start, out = w.fresh(f"start-{base}"), w.fresh(f"out-{base}")
        if base != "gguf":                                          # its weights are hf's: so is what PyTorch makes of them
            model = lora(w.torch_model(base))
            randomise(model, 1, 0.005)
            first = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
            losses, norms = torch_steps(w, model, texts, n)
            theirs = {k.replace(".default.weight", ".weight"): v.clone() for k, v in model.state_dict().items() if "lora_" in k}
            model.load_state_dict(first, strict=False)
        model.save_pretrained(start)
        train(w, base, w.row_file(f"train-{base}.jsonl", texts), out, start / "adapter_model.safetensors", n)
        records = [r for r in map(json.loads, open(out / "metrics.jsonl")) if "loss" in r]
        yield f"{base}: loss of {n} optimizer steps", worst([r["loss"] for r in records], losses), LOSS
        yield f"{base}: their gradient norms, relative", max(abs(r["grad_norm"] - g) / g for r, g in zip(records, norms)), 1e-3
        mine = load_file(out / "adapter_model.safetensors")
        far = max(((mine[k] - v).norm() / v.norm()).item() for k, v in theirs.items())
        yield f"{base}: adapter after them, relative L2, worst tensor", far, 1e-2
    texts = w.rows(12, 70)
    start, out = w.fresh("start-acc"), w.fresh("out-acc")
    model = lora(w.torch_model("hf"), target_modules="all-linear", use_rslora=True)
    randomise(model, 2, 0.005)
    model.save_pretrained(start)
    losses, _ = torch_steps(w, model, texts, 3, 2, 2)
    train(w, "hf", w.row_file("train-acc.jsonl", texts), out, start / "adapter_model.safetensors", 3, "--batch-size", 2,
          "--grad-accumulation-steps", 2, "--use-rslora", "--target-modules", "all-linear")
    got = [r["loss"] for r in map(json.loads, open(out / "metrics.jsonl")) if "loss" in r]
    yield "hf: 3 steps of 2 x 2 rows, all linears, rsLoRA", worst(got, losses), LOSS


def train(w, base, data, out, start, steps, *more):
    return w.hone("train", "--model", w.paths[base], "--data", data, "--adapter-path", out, "--no-shuffle", "--lora-dropout", 0,
                  "--resume-adapter-file", start, "--max-steps", steps, "--steps-per-report", 1, "--learning-rate", LR,
                  "--lora-rank", RANK, "--lora-alpha", ALPHA, "--max-seq-length", 1024, *more)


def check_to_peft(w):
    """An adapter that hone trained, in PEFT and in hone."""
    from peft import PeftModel
    texts = w.rows(4, 60)
    for base in ("hf", "gguf", "mlx"):
        out = w.work / f"out-{base}"
        got, _ = w.test_losses(texts, "--model", w.paths[base], "--adapter-path", out)
        alone, _ = w.test_losses(texts, "--model-path", out)
        want = torch_losses(w, PeftModel.from_pretrained(w.torch_model(base), out).eval(), texts)
        yield f"{base}: loss of {len(texts)} rows", worst(got, want), LOSS
        yield f"{base}: the adapter directory alone", worst(alone, got), 0


def mlx_losses(w, path, adapter, texts):
    import mlx.core as mx, numpy as np
    from mlx_lm.utils import load
    mx.set_default_device(mx.cpu)
    model, _ = load(str(path), adapter_path=str(adapter) if adapter else None)
    model.set_dtype(mx.float32)
    model.eval()
    out = []
    for t in texts:
        ids = w.encode(t)
        out.append(mean_loss(torch.tensor(np.array(model(mx.array([ids[:-1]]))[0])), ids).item())
    return out


def check_to_mlx(w):
    """The same adapter in mlx-lm, on the MLX model."""
    texts = w.rows(2, 12)
    got, _ = w.test_losses(texts, "--model", w.paths["mlx"], "--adapter-path", w.work / "out-mlx")
    yield f"mlx: loss of {len(texts)} rows", worst(got, mlx_losses(w, w.paths["mlx"], w.work / "out-mlx", texts)), LOSS
    before = mlx_losses(w, w.paths["mlx"], None, texts)
    if worst(before, got) < 10 * LOSS: raise Failed("the adapter changes nothing: this check cannot fail")


def check_from_peft(w):
    """Adapters that PEFT trained and saved, in hone."""
    texts = w.rows(4, 60)
    kinds = dict(plain={}, rslora=dict(use_rslora=True, r=16), all_linear=dict(target_modules="all-linear"),
                 last_layers=dict(layers_to_transform=list(range(20, 30))),
                 patterns=dict(rank_pattern={"q_proj": 4, r"layers\.3\.self_attn\.v_proj": 12}, alpha_pattern={"o_proj": 32}),
                 patterns_rslora=dict(use_rslora=True, rank_pattern={"k_proj": 2}, alpha_pattern={"q_proj": 5}))
    for kind, kw in kinds.items():
        model = lora(w.torch_model("hf"), **kw)
        torch.manual_seed(3)
        torch_steps(w, model, w.rows(2), 2)
        randomise(model, 4)
        d = w.fresh(f"peft-{kind}")
        model.save_pretrained(d)
        got, _ = w.test_losses(texts, "--model", w.paths["hf"], "--adapter-path", d)
        yield f"{kind}: loss of {len(texts)} rows", worst(got, torch_losses(w, model.eval(), texts)), LOSS


def check_from_mlx(w):
    """Adapters that mlx_lm.lora trained and saved, in hone."""
    texts, data = w.rows(2, 12), w.fresh("mlx-data")
    (data / "train.jsonl").write_text("".join(json.dumps(dict(text=t)) + "\n" for t in w.rows(2, 12)))
    for kind, layers, keys in (("default", 2, None), ("qv", 4, ["self_attn.q_proj", "self_attn.v_proj"])):
        d = w.fresh(f"mlx-{kind}")
        o = dict(model=str(w.paths["mlx"]), train=True, data=str(data), iters=2, batch_size=1, num_layers=layers, val_batches=1,
                 learning_rate=1e-2, adapter_path=str(d), max_seq_length=64, steps_per_eval=1000,
                 lora_parameters=dict(rank=6, scale=5.0, dropout=0.0, **(dict(keys=keys) if keys else {})))
        (w.work / "mlx.yaml").write_text(json.dumps(o))
        r = subprocess.run([sys.executable, "-c", "import mlx.core as mx; mx.set_default_device(mx.cpu); from mlx_lm.lora import main; main()",
                            "-c", str(w.work / "mlx.yaml")], capture_output=True, text=True)
        if r.returncode: raise Failed("mlx_lm.lora: " + r.stderr[-400:])
        got, _ = w.test_losses(texts, "--model", w.paths["mlx"], "--adapter-path", d)
        yield f"{kind}: loss of {len(texts)} rows", worst(got, mlx_losses(w, w.paths["mlx"], d, texts)), LOSS


def check_traps(w):
    """A directory whose two weight files disagree, and an adapter of another model: one sentence, exit 1."""
    from peft import PeftModel
    d = w.fresh("stale")
    shutil.copytree(w.work / "out-hf", d, dirs_exist_ok=True)
    model = PeftModel.from_pretrained(w.torch_model("hf"), d, is_trainable=True)
    randomise(model, 9)
    model.save_pretrained(d)
    rows = w.row_file("test_rows.jsonl", w.rows(1, 30))
    err = w.hone("test", "--data", rows, "--model", w.paths["hf"], "--adapter-path", d, code=1).stderr
    yield "stale adapters.safetensors: both files named", float(not ("adapters.safetensors" in err and "adapter_model.safetensors" in err)), 0
    d = w.fresh("alien")
    t = {k.replace("layers.3.", "layers.77."): v for k, v in load_file(w.work / "start-hf" / "adapter_model.safetensors").items()}
    save_file(t, d / "adapter_model.safetensors")
    shutil.copy(w.work / "start-hf" / "adapter_config.json", d)
    err = w.hone("test", "--data", rows, "--model", w.paths["hf"], "--adapter-path", d, code=1).stderr
    yield "a module that the model lacks: named", float("layers.77" not in err), 0


def check_generate(w):
    """Greedy text and log-probabilities against transformers on the dequantised weights."""
    tok = w.tokenizer()
    for base in ("hf", "gguf", "mlx"):
        model = w.torch_model(base)
        other, far = 0, 0.0
        for chat in (False, True):
            for p in PROMPTS:
                text = tok.apply_chat_template([dict(role="user", content=p)], tokenize=False, add_generation_prompt=True) if chat else p
                x = torch.tensor([tok(text, add_special_tokens=not chat).input_ids])
                with torch.no_grad():
                    full = model.generate(input_ids=x, attention_mask=torch.ones_like(x), max_new_tokens=32, do_sample=False, pad_token_id=2)
                    lp = model(input_ids=full).logits[0].log_softmax(-1)
                want = full[0, x.shape[1]:].tolist()
                eos = want[-1] in (tok.eos_token_id, tok.convert_tokens_to_ids("<|im_end|>"))
                got = w.json("generate", "--model", w.paths[base], "--prompt", p, "--max-tokens", 32, "--temp", 0,
                             *([] if chat else ["--ignore-chat-template"]))
                want = want[:-1] if eos else want
                other += got["token_ids"] != want
                if got["token_ids"] == want:
                    at = [lp[x.shape[1] - 1 + i, t].item() for i, t in enumerate(want)]
                    far = max(far, worst(got["logprobs"][:len(at)], at))
        yield f"{base}: answers with other tokens of {2 * len(PROMPTS)}", other, 0
        yield f"{base}: log-probabilities of their tokens", far, 5e-3


class LlamaCpp:
    """llama.cpp on a GGUF: ids of a text, and logits of all positions."""

    def __init__(self, path, threads):
        import llama_cpp as L
        self.L, self.quiet = L, L.llama_log_callback(lambda *a: None)
        L.llama_log_set(self.quiet, None)
        o = L.llama_model_default_params()
        o.use_extra_bufts = False                                   # its weights repacked for AMX crash beside torch
        self.model = L.llama_model_load_from_file(str(path).encode(), o)
        o = L.llama_context_default_params()
        o.n_ctx, o.n_threads, o.n_threads_batch = 512, threads, threads
        self.context = L.llama_init_from_model(self.model, o)
        self.vocab = L.llama_model_get_vocab(self.model)

    def tokens(self, text):
        raw = text.encode()
        out = (self.L.llama_token * (len(raw) + 8))()
        n = self.L.llama_tokenize(self.vocab, raw, len(raw), out, len(out), False, True)
        return list(out[:n])

    def logits(self, ids):
        import numpy as np
        L, n = self.L, len(ids)
        L.llama_memory_clear(L.llama_get_memory(self.context), True)
        batch = L.llama_batch_init(n, 0, 1)
        batch.n_tokens = n
        for i, t in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = t, i, 1, 1
            batch.seq_id[i][0] = 0
        if L.llama_decode(self.context, batch): raise Failed("llama_decode failed")
        size = (L.llama_vocab_n_tokens(self.vocab),)
        out = [np.ctypeslib.as_array(L.llama_get_logits_ith(self.context, i), size).copy() for i in range(n)]
        L.llama_batch_free(batch)
        return torch.tensor(np.stack(out))


def check_llama_cpp(w):
    """The GGUF in llama.cpp, which rounds activations to 8 bits: the bound is its, not ours."""
    m, texts = LlamaCpp(w.paths["gguf"], w.threads), w.rows(4, 60)
    want = [mean_loss(m.logits(w.encode(t))[:-1], w.encode(t)).item() for t in texts]
    got, _ = w.test_losses(texts, "--model", w.paths["gguf"])
    yield f"loss of {len(texts)} rows", worst(got, want), 3e-2
    texts = HARD[1:] + PROMPTS
    other = [t for t in texts if m.tokens(t) != json.loads(w.hone("tokenize", "--model", w.paths["gguf"], "--text", t).stdout)]
    yield f"texts with other ids of {len(texts)}" + (f", as {other[0][:30]!r}" if other else ""), len(other), 0


def check_fuse(w):
    """A fused model in transformers, beside PEFT's merge."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    if not re.search(r"^\s*fuse\b", w.hone("help").stdout, re.M): raise Absent("this hone has no command fuse")
    texts, d = w.rows(4, 60), w.work / "fused"
    shutil.rmtree(d, ignore_errors=True)
    w.hone("fuse", "--model", w.paths["hf"], "--adapter-path", w.work / "out-hf", "--save-path", d)
    want = torch_losses(w, PeftModel.from_pretrained(w.torch_model("hf"), w.work / "out-hf").merge_and_unload().eval(), texts)
    yield "transformers: loss of the fused model", worst(torch_losses(w, AutoModelForCausalLM.from_pretrained(d, dtype=torch.float32).eval(), texts), want), LOSS
    yield "hone: the same", worst(w.test_losses(texts, "--model", d)[0], want), LOSS


CHECKS = dict(tokens=check_tokens, prepare=check_prepare, base=check_base, steps=check_steps, to_peft=check_to_peft, to_mlx=check_to_mlx,
              from_peft=check_from_peft, from_mlx=check_from_mlx, traps=check_traps, generate=check_generate, llama_cpp=check_llama_cpp,
              fuse=check_fuse)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--hone", type=Path, default=Path("build/hone")); ap.add_argument("--models", type=Path, required=True)
    ap.add_argument("--data", type=Path, required=True); ap.add_argument("--workdir", type=Path, default=Path("build/interop"))
    ap.add_argument("--threads", type=int, default=2, help="of PyTorch and of hone")
    ap.add_argument("--only", default="", help="a regular expression over: " + " ".join(CHECKS))
    a = ap.parse_args()
    a.workdir.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(a.threads)
    w, failed = World(a), 0
    print(f"{'check':10} {'what':66} {'figure':>9} {'bound':>7}")
    for name, check in CHECKS.items():
        if not re.search(a.only, name): continue
        t0 = time.time()
        try:
            for what, figure, bound in check(w):
                ok = figure <= bound
                failed += not ok
                print(f"{name:10} {what[:66]:66} {figure:9.2g} {bound:7.2g}  {'PASS' if ok else 'FAIL'}", flush=True)
        except Absent as e: print(f"{name:10} SKIP  {e}", flush=True)
        except Exception as e:
            failed += 1
            text = str(e) if isinstance(e, Failed) else traceback.format_exc(limit=-2).replace("\n", " | ")
            print(f"{name:10} FAIL  {text[-700:]}", flush=True)
        print(f"{'':10} ({time.time() - t0:.0f} s)", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
