"""One measurement of one peer of hone's, in a process of its own; bench/compare.py starts it and reads the line of JSON.

train: LoRA r 8, alpha 16, dropout 0.05 on q, k, v, o, AdamW, batch 1, on rows of text or on random ids; the first step
is not timed.  infer: --prompt tokens through an empty cache, then --new greedy tokens after a prompt of 16, in --batch sequences at once.
make: a Llama of TinyLlama-1.1B's shape with random weights, as a Hugging Face directory.
"""
import argparse, json, random, sys, tempfile, time
from pathlib import Path

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj"]
WORDS = 32000                                                       # random ids stay below any of the vocabularies


def texts(a):
    return [json.loads(line)["text"] for line in open(a.data)][:a.steps]


def random_rows(a):
    r = random.Random(0)
    return [[r.randrange(3, WORDS - 1) for _ in range(a.length)] for _ in range(a.steps)]


def train_hf(a):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    tok = AutoTokenizer.from_pretrained(a.model)
    tok.pad_token = tok.pad_token or tok.eos_token
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    if a.ckpt: model.enable_input_require_grads()
    model.config.use_cache = False
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, target_modules=PROJECTIONS, task_type="CAUSAL_LM"))
    if a.data:
        pad = dict(padding="max_length", max_length=a.length) if a.pad else {}
        rows = [dict(tok(t + tok.eos_token, **pad)) for t in texts(a)]
    else:
        rows = [dict(input_ids=ids, attention_mask=[1] * len(ids)) for ids in random_rows(a)]
    times, losses = [], []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__): self.began = time.perf_counter()
        def on_step_end(self, *_, **__): times.append(time.perf_counter() - self.began)
        def on_log(self, args, state, control, logs=None, **__): losses.extend([logs["loss"]] if "loss" in (logs or {}) else [])

    with tempfile.TemporaryDirectory() as work:
        args = TrainingArguments(output_dir=work, per_device_train_batch_size=1, max_steps=a.steps, learning_rate=2e-4, optim="adamw_torch", use_cpu=True,
                                 gradient_checkpointing=bool(a.ckpt), gradient_checkpointing_kwargs=dict(use_reentrant=False), logging_steps=1,
                                 save_strategy="no", report_to="none", disable_tqdm=True, train_sampling_strategy="sequential")
        Trainer(model=model, args=args, train_dataset=[dict(input_ids=r["input_ids"], attention_mask=r["attention_mask"]) for r in rows],
                data_collator=DataCollatorForLanguageModeling(tok, mlm=False), callbacks=[Clock()]).train()
    tokens = [sum(r["attention_mask"]) for r in rows]
    return dict(train=sum(tokens[1:]) / sum(times[1:]), losses=losses)


def train_mlx(a):
    import mlx.core as mx, mlx.optimizers as optim
    from mlx_lm.tuner.datasets import CacheDataset
    from mlx_lm.tuner.trainer import TrainingArgs, TrainingCallback, train
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load
    mx.set_default_device(mx.cpu)
    mx.random.seed(0)
    model, tok = load(str(a.model))
    model.freeze()
    linear_to_lora_layers(model, len(model.layers), dict(rank=8, scale=2.0, dropout=0.05, keys=[f"self_attn.{k}" for k in PROJECTIONS]))
    rows = [tok.encode(t) + [tok.eos_token_id] for t in texts(a)] if a.data else random_rows(a)
    reports = []

    class Rows:
        def __len__(self): return len(rows)
        def __getitem__(self, i): return rows[i]
        def process(self, row): return row, 0

    class Clock(TrainingCallback):
        def on_train_loss_report(self, info): reports.append(info)
        def on_val_loss_report(self, info): pass

    with tempfile.TemporaryDirectory() as work:
        train(model, optim.AdamW(learning_rate=2e-4), CacheDataset(Rows()), None, training_callback=Clock(),
              args=TrainingArgs(batch_size=1, iters=len(rows), val_batches=0, steps_per_report=1, steps_per_eval=10**9, steps_per_save=10**9,
                                max_seq_length=1024, adapter_file=str(Path(work) / "adapters.safetensors"), grad_checkpoint=bool(a.ckpt)))
    seconds = [1 / r["iterations_per_second"] for r in reports]
    tokens = [r["tokens_per_second"] * s for r, s in zip(reports, seconds)]
    return dict(train=sum(tokens[1:]) / sum(seconds[1:]), losses=[float(r["train_loss"]) for r in reports])


def infer_hf(a):
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()

    def start():
        cache = DynamicCache(config=model.config)
        return lambda rows: model(input_ids=torch.tensor(rows), past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].argmax(-1).tolist()
    return start


def infer_mlx(a):
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.utils import load
    mx.set_default_device(mx.cpu)
    model, _ = load(str(a.model))

    def start():
        cache = make_prompt_cache(model)
        return lambda rows: mx.argmax(model(mx.array(rows), cache=cache)[:, -1], axis=-1).tolist()
    return start


def infer_llama(a):
    import llama_cpp as lib, numpy
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(str(a.model).encode(), lib.llama_model_default_params())
    p = lib.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max, p.n_threads, p.n_threads_batch = 1024 * a.batch, 512, 512, a.batch, a.threads, a.threads
    context = lib.llama_init_from_model(model, p)
    n_words = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))

    def start():
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        past = 0

        def step(rows):
            nonlocal past
            length = len(rows[0])
            batch = lib.llama_batch_init(len(rows) * length, 0, 1)
            batch.n_tokens = len(rows) * length
            for r, row in enumerate(rows):
                for i, word in enumerate(row):
                    at = r * length + i
                    batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at] = word, past + i, 1, r, i == length - 1
            if lib.llama_decode(context, batch): sys.exit("llama_decode failed")
            lib.llama_batch_free(batch)
            past += length
            logits = lambda r: numpy.ctypeslib.as_array(lib.llama_get_logits_ith(context, (r + 1) * length - 1), (n_words,))
            return [int(logits(r).argmax()) for r in range(len(rows))]
        return step
    return start


def infer(a):
    start = dict(hf=infer_hf, mlx=infer_mlx, llama=infer_llama)[a.engine](a)
    r = random.Random(0)
    rows = lambda n, length: [[r.randrange(3, WORDS - 1) for _ in range(length)] for _ in range(n)]
    start()(rows(1, 16))
    prompt = rows(1, a.prompt)
    t = time.perf_counter()
    start()(prompt)
    prefill = a.prompt / (time.perf_counter() - t)
    step = start()
    words = step(rows(a.batch, 16))
    t = time.perf_counter()
    for _ in range(a.new): words = step([[w] for w in words])
    return dict(prefill=prefill, decode=a.batch * a.new / (time.perf_counter() - t))


def make(a):
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    tok = AutoTokenizer.from_pretrained(a.like)
    torch.set_default_dtype(torch.bfloat16)
    model = LlamaForCausalLM(LlamaConfig(hidden_size=2048, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, intermediate_size=5632,
                                         vocab_size=len(tok), max_position_embeddings=2048, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2))
    model.save_pretrained(a.model)
    tok.save_pretrained(a.model)
    return {}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("job", choices=["train", "infer", "make"])
    ap.add_argument("--engine", choices=["hf", "mlx", "llama"]); ap.add_argument("--model", type=Path, required=True)
    ap.add_argument("--threads", type=int, default=2); ap.add_argument("--like", type=Path, help="make: whose tokenizer")
    ap.add_argument("--data", type=Path, help="train: JSON lines with text; else random ids"); ap.add_argument("--length", type=int, default=1024)
    ap.add_argument("--pad", type=int, default=0); ap.add_argument("--ckpt", type=int, default=1); ap.add_argument("--steps", type=int, default=8)
    ap.add_argument("--prompt", type=int, default=512); ap.add_argument("--new", type=int, default=64); ap.add_argument("--batch", type=int, default=1)
    a = ap.parse_args()
    run = dict(train=train_hf if a.engine == "hf" else train_mlx, infer=infer, make=make)[a.job]
    print(json.dumps(run(a)), flush=True)


if __name__ == "__main__":
    main()
