# What `hone compare --pytorch` runs: a checkpoint through transformers (and PEFT, bitsandbytes),
# measured as hone measures itself.  The request is the JSON file that argv[1] names; what is said
# on standard output is one JSON object a line.  It is part of the program; cmake/embed.cmake.
import json
import os
import sys
import time

talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what libraries print goes where errors go


def say(**what):
    talk.write(json.dumps(what) + "\n")
    talk.flush()


with open(sys.argv[1], encoding="utf-8") as f:
    ask = json.load(f)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
say(progress=0.0, what="loading PyTorch")
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.logging.set_verbosity_error()
if ask["threads"] > 0:
    torch.set_num_threads(ask["threads"])
device = ask["device"]


def peak():
    """The process's high-water mark, and what the GPU held at most."""
    bytes = 0
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    bytes = int(line.split()[1]) * 1024
    except OSError:
        import resource
        bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return bytes + (torch.cuda.max_memory_reserved() if device.startswith("cuda") else 0)


def wait():
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def load():
    config = transformers.AutoConfig.from_pretrained(ask["model"])
    how = {"low_cpu_mem_usage": True}
    quantised = getattr(config, "quantization_config", None) is not None
    version = tuple(int(x) for x in transformers.__version__.split(".")[:2])
    dtype = "auto" if ask["dtype"] == "auto" else getattr(torch, ask["dtype"])
    how["dtype" if version >= (4, 56) else "torch_dtype"] = dtype
    if quantised:
        how["device_map"] = {"": device}
    model = AutoModelForCausalLM.from_pretrained(ask["model"], **how)
    return model if quantised else model.to(device), quantised


def name(model):
    libraries = ["transformers " + transformers.__version__, "torch " + torch.__version__.split("+")[0]]
    for extra in ("peft", "bitsandbytes"):
        if extra in sys.modules:
            libraries.append(extra + " " + getattr(sys.modules[extra], "__version__", ""))
    return ", ".join(libraries), str(next(p.dtype for p in model.parameters() if p.is_floating_point())).removeprefix("torch.")


def tensor(ids):
    return torch.tensor([ids], device=device)


def write_answers(model, tokenizer):
    from transformers import GenerationConfig
    answers = []
    first = 0.0
    for i, p in enumerate(ask["answers"]):
        say(progress=0.1 + 0.3 * i / len(ask["answers"]), what="writing answers")
        ids = tensor(p["prompt_ids"])
        eos = ask["eos"] or None
        config = GenerationConfig(max_new_tokens=p["max_tokens"], do_sample=False, eos_token_id=eos,
                                  pad_token_id=eos[0] if eos else 0)
        if i == 0:
            model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=GenerationConfig(
                max_new_tokens=1, do_sample=False, eos_token_id=eos, pad_token_id=config.pad_token_id))
            wait()
            first = time.clock_gettime(time.CLOCK_MONOTONIC) - ask["started"]
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)[0].tolist()
        out = [t for t in out[len(p["prompt_ids"]):] if t not in ask["eos"]]
        answers.append({"output": tokenizer.decode(out, skip_special_tokens=True, clean_up_tokenization_spaces=False),
                        "tokens": len(out)})
    return answers, first


def last_logits(model, ids, **more):
    """Forward as generation does it: the head on the last position alone."""
    try:
        return model(ids, logits_to_keep=1, **more)
    except TypeError:
        return model(ids, **more)


def measure_speed(model):
    words = [t for r in ask["row_tokens"] for t in r["ids"]] or [0]
    n, steps = ask["prompt_tokens"], ask["generation_tokens"]
    ids = [words[i % len(words)] for i in range(n)]
    prompt = generation = 0.0
    for trial in range(3):
        say(progress=0.4 + 0.1 * trial / 3, what="timing prompts")
        start = time.perf_counter()
        last_logits(model, tensor(ids), use_cache=True)
        wait()
        if trial:
            prompt = max(prompt, n / (time.perf_counter() - start))
    for trial in range(2):
        say(progress=0.5 + 0.1 * trial / 2, what="timing generation")
        cache = last_logits(model, tensor(ids[:16]), use_cache=True).past_key_values
        wait()
        start = time.perf_counter()
        for i in range(steps):
            cache = last_logits(model, tensor([ids[i % n]]), use_cache=True, past_key_values=cache).past_key_values
        wait()
        generation = max(generation, steps / (time.perf_counter() - start))
    return prompt, generation


def measure_loss(model):
    total, count = 0.0, 0
    with open(ask["logits"], "wb") as f:
        for i, r in enumerate(ask["row_tokens"]):
            say(progress=0.6 + 0.4 * i / len(ask["row_tokens"]), what="measuring the loss")
            logits = model(tensor(r["ids"])).logits[0].float().cpu()
            if r["positions"]:
                f.write(logits[:r["positions"]].contiguous().numpy().tobytes())
            at = [k for k in range(1, len(r["ids"])) if r["trained"][k]]
            for part in (at[k:k + 64] for k in range(0, len(at), 64)):  # sums in double precision
                x = logits[[k - 1 for k in part]].double()
                want = torch.tensor([r["ids"][k] for k in part])
                total += torch.nn.functional.cross_entropy(x, want, reduction="sum").item()
            count += len(at)
            width = logits.shape[-1]
    return total, count, width


@torch.inference_mode()
def measure():
    start = time.perf_counter()
    model, _ = load()
    if ask["adapter"]:
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, ask["adapter"])
    tokenizer = AutoTokenizer.from_pretrained(ask["model"])
    model.eval()
    wait()
    loaded = time.perf_counter() - start
    answers, first = write_answers(model, tokenizer)
    prompt, generation = measure_speed(model)
    memory = peak()
    total, count, width = measure_loss(model)
    system, dtype = name(model)
    loss = total / count if count else 0.0
    say(side={"system": system, "quantization": dtype, "device": device + (
        ", %d threads" % torch.get_num_threads() if device == "cpu" else ""),
              "load_seconds": loaded, "first_token_seconds": first, "answers": answers,
              "prompt_tokens_per_second": prompt, "generation_tokens_per_second": generation,
              "peak_memory_bytes": memory, "vocabulary": width, "tokens": count, "loss": loss,
              "perplexity": float(torch.tensor(loss, dtype=torch.float64).exp())})


def train():
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    model, quantised = load()
    model.config.use_cache = False
    if quantised:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=ask["checkpointing"])
    model = get_peft_model(model, LoraConfig(
        r=ask["rank"], lora_alpha=ask["alpha"], lora_dropout=ask["dropout"], target_modules=ask["targets"],
        use_rslora=ask["rslora"], task_type="CAUSAL_LM"))
    if ask["checkpointing"]:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=ask["learning_rate"], weight_decay=0.0)
    losses, tokens, seconds = [], 0, 0.0
    rows = ask["row_tokens"]
    for step in range(ask["steps"]):
        say(progress=step / ask["steps"], what="training")
        r = rows[step % len(rows)]
        labels = [t if r["trained"][k] else -100 for k, t in enumerate(r["ids"])]
        start = time.perf_counter()
        loss = model(tensor(r["ids"]), labels=tensor(labels)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        wait()
        if step or ask["steps"] == 1:  # the first one warms up, where there are more
            seconds += time.perf_counter() - start
            tokens += sum(r["trained"])
    say(training={"steps": ask["steps"], "tokens": tokens, "tokens_per_second": tokens / seconds if seconds else 0.0,
                  "first_loss": losses[0], "last_loss": losses[-1], "peak_memory_bytes": peak()})


{"measure": measure, "train": train}[ask["task"]]()
