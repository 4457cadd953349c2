"""Regenerates test/train/mlx_lm: what mlx_lm.lora itself does, for --preset mlx-lm to do the same.

    python tools/make_mlx_train_goldens.py [--out test/train/mlx_lm]

Needs mlx (its CPU build) and mlx-lm, and torch with transformers for the tiny model; everything is seeded.

    model/          a Llama of two blocks in float32 with a tokenizer of one character a token and a chat template
    text/ chat/     train.jsonl, valid.jsonl: rows of several lengths, and of several numbers of keys
    orders.json     per case: the rows of every batch that mlx_lm's train() takes, and of every validation among them
    starts.json     per case: a model of test/golden, rank, seed, keys and num_layers, and for each module the SHA-256 of
                    the float32 bytes of lora_a [in, R] that linear_to_lora_layers makes
    runs.json       per case: the options of a run of mlx_lm.lora, and the losses, learning rates and trained tokens that
                    it reports after every iteration, and its validation losses
    NAME.safetensors  the adapter that run NAME leaves
"""
import argparse, hashlib, json, shutil, sys, tempfile, types
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import make_goldens as g
from mlx_lm import lora
from mlx_lm.tuner import trainer
from mlx_lm.tuner.datasets import CacheDataset
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load

ROOT = Path(__file__).parent.parent
TEMPLATE = ("{% for m in messages %}<|start|>{{ m['role'] }}:{{ m['content'] }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|start|>assistant:{% endif %}")


# ---- the order of batches ---------------------------------------------------------------------------

class Rows:
    """Row i is the one token i; it has as many keys as it is told to have."""

    def __init__(self, keys): self.rows = [{f"k{j}": i for j in range(k)} for i, k in enumerate(keys)]
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): return self.rows[i]
    def process(self, row): return [next(iter(row.values()), 0), 0], 0


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = mx.zeros((1,))
        self.layers = []


def order(case):
    """Everything that mlx_lm's train() asks its batches for."""
    seen, valid = [], Rows([1] * case["valid"])

    def batches(dataset, **kw):
        for batch, lengths in trainer.iterate_batches(dataset, **kw):
            rows = np.array(batch)[:, 0].tolist()
            if dataset._data is valid: seen[-1].setdefault("valid", []).append(rows)
            else: seen.append(dict(rows=rows))
            yield batch, lengths

    np.random.seed(case["seed"])
    args = trainer.TrainingArgs(batch_size=case["batch_size"], iters=case["iters"], val_batches=case["val_batches"],
                                steps_per_report=10 ** 6, steps_per_eval=case["steps_per_eval"], steps_per_save=10 ** 6,
                                adapter_file=str(Path(tempfile.gettempdir()) / "unused.safetensors"))
    trainer.train(One(), optim.SGD(0.0), CacheDataset(Rows(case["keys"])), CacheDataset(valid), args,
                  loss=lambda model, batch, lengths: (model.w.sum(), mx.array(1)), iterate_batches=batches)
    return dict(case, iterations=seen)


def orders():
    def case(n, batch_size, seed, iters, valid=0, val_batches=25, steps_per_eval=200, keys=None):
        return dict(keys=keys or [1] * n, batch_size=batch_size, seed=seed, iters=iters, valid=valid,
                    val_batches=val_batches, steps_per_eval=steps_per_eval)
    return [order(c) for c in (
        case(10, 1, 0, 25), case(10, 4, 0, 9, valid=9, val_batches=-1, steps_per_eval=3),
        case(37, 3, 42, 30, valid=20, val_batches=2, steps_per_eval=7),
        case(7, 2, 123456789, 12, valid=5, val_batches=1, steps_per_eval=1),
        case(2000, 64, 7, 70, valid=300, val_batches=3, steps_per_eval=25),
        case(9, 2, 4294967295, 11, keys=[3, 1, 2, 1, 3, 2, 1, 1, 5], valid=4, steps_per_eval=4),
    )]


# ---- where adapters start -----------------------------------------------------------------------------

def start(name, rank, seed, num_layers=-1, keys=None):
    model, _ = load(str(ROOT / "test/golden" / name))
    mx.random.seed(seed)
    model.freeze()
    linear_to_lora_layers(model, num_layers, dict(rank=rank, scale=20.0, dropout=0.0, **(dict(keys=keys) if keys else {})))
    modules = {}
    for path, m in model.named_modules():
        if "lora_a" in m:
            a = np.array(m.lora_a)
            assert a.dtype == np.float32 and not np.array(m.lora_b).any()
            modules[path] = dict(sha256=hashlib.sha256(a.tobytes()).hexdigest(), first=float(a[0, 0]))
    return dict(model=name, rank=rank, seed=seed, num_layers=num_layers, keys=keys or ["all-linear"], modules=modules)


def starts():
    qv = ["self_attn.q_proj", "self_attn.v_proj"]
    return [start("llama-tied", 8, 0), start("llama-linear", 3, 1, 2), start("llama-linear", 8, 5, 1, qv),
            start("mistral-v4", 8, 2 ** 32 + 17), start("qwen2-v4", 5, 42), start("qwen3-v4", 8, 0),
            start("mlx-q4", 8, 0), start("mlx-q8", 1, 9, -1, ["mlp.down_proj", "self_attn.o_proj", "mlp.gate_proj"])]


# ---- whole runs ---------------------------------------------------------------------------------------

def make_model(out):
    spec = dict(dialect=4, kind="llama", config=dict(g.SMALL, tie_word_embeddings=False, rope_parameters=g.rope(10000.0)))
    config = g.AutoConfig.for_model("llama", **spec["config"])
    out.mkdir(parents=True)
    vocab = g.make_vocab(config.vocab_size)
    g.make_plain("mlx_lm", spec, config, out)
    g.write_tokenizer(out, vocab)
    path = out / "tokenizer_config.json"
    path.write_text(json.dumps(dict(json.loads(path.read_text()), chat_template=TEMPLATE), indent=2, sort_keys=True) + "\n")
    for extra in out.glob("chat_template.jinja"): extra.unlink()


def make_rows(out):
    r = g.rng("mlx_lm rows")
    def word(n): return "".join(chr(int(c)) for c in r.integers(ord("A"), ord("z"), n))
    def write(path, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(x) + "\n" for x in rows))
    def chat(i):
        turns = [dict(role="user", content=word(4 + i % 7)), dict(role="assistant", content=word(3 + i % 5))]
        if i % 3 == 2: turns += [dict(role="user", content=word(3)), dict(role="assistant", content=word(6))]
        return dict(messages=turns, **(dict(source="x") if i % 4 == 1 else {}))
    write(out / "text/train.jsonl", [dict(text=word(int(n)), **(dict(id=i) if i % 5 == 0 else {}))
                                     for i, n in enumerate(r.integers(5, 60, 21))])
    write(out / "text/valid.jsonl", [dict(text=word(int(n))) for n in r.integers(5, 60, 9)])
    write(out / "chat/train.jsonl", [chat(i) for i in range(13)])
    write(out / "chat/valid.jsonl", [chat(i + 5) for i in range(5)])


class Record:
    def __init__(self): self.train, self.valid = [], []
    def on_train_loss_report(self, info): self.train.append(info)
    def on_val_loss_report(self, info): self.valid.append(info)


def run(out, name, data, **options):
    record = Record()
    given = dict(model=str(out / "model"), data=str(out / data), train=True, steps_per_report=1, **options)
    with tempfile.TemporaryDirectory() as tmp:
        args = dict(lora.CONFIG_DEFAULTS, **given, adapter_path=tmp)
        kept, lora.get_reporting_callbacks = lora.get_reporting_callbacks, lambda *a, **k: record
        lora.run(types.SimpleNamespace(**args))
        lora.get_reporting_callbacks = kept
        shutil.copy(Path(tmp) / "adapters.safetensors", out / f"{name}.safetensors")
    return dict(name=name, data=data, options=options, losses=[x["train_loss"] for x in record.train],
                rates=[x["learning_rate"] for x in record.train], tokens=[x["trained_tokens"] for x in record.train],
                valid=[[x["iteration"], x["val_loss"]] for x in record.valid])


def runs(out):
    lora4 = dict(lora_parameters=dict(rank=4, scale=10.0, dropout=0.0))
    cosine = dict(name="cosine_decay", arguments=[1e-2, 4, 1e-4], warmup=2, warmup_init=1e-7)
    return [
        run(out, "adam", "text", num_layers=-1, iters=12, learning_rate=1e-3, val_batches=2, steps_per_eval=5),
        run(out, "adamw", "text", num_layers=1, iters=14, batch_size=2, grad_accumulation_steps=3, seed=7, optimizer="adamw",
            lr_schedule=cosine, max_seq_length=33, val_batches=-1, steps_per_eval=4, **lora4),
        run(out, "masked", "chat", num_layers=-1, iters=10, batch_size=3, mask_prompt=True, learning_rate=1e-3, seed=3,
            steps_per_eval=100, val_batches=1, optimizer_config=dict(adam=dict(betas=[0.8, 0.95], bias_correction=True))),
        run(out, "sgd", "chat", num_layers=-1, iters=10, batch_size=2, learning_rate=1e-2, optimizer="sgd",
            optimizer_config=dict(sgd=dict(momentum=0.9, weight_decay=0.1, nesterov=True)), **lora4),
        run(out, "damped", "text", num_layers=-1, iters=10, batch_size=2, optimizer="sgd", lr_schedule=dict(
            name="step_decay", arguments=[1e-2, 0.5, 3]), optimizer_config=dict(sgd=dict(momentum=0.5, dampening=0.25)), **lora4),
    ]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, default=ROOT / "test/train/mlx_lm")
    out = p.parse_args().out
    mx.set_default_device(mx.cpu)
    shutil.rmtree(out, ignore_errors=True)
    make_model(out / "model")
    make_rows(out)
    for name, what in (("orders", orders()), ("starts", starts()), ("runs", runs(out))):
        text = ",\n".join(json.dumps(x) for x in what)
        (out / f"{name}.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
