"""Regenerates test/train/rates.json: learning rates of transformers' get_scheduler and of mlx_lm's build_schedule.

    python tools/make_rate_goldens.py

Needs torch, transformers, mlx and mlx-lm.  A case: the options of hone that ask for it (lr, type, warmup, kwargs as
"name=value"), steps, and a rate per step; of reduce_lr_on_plateau the losses of the validations, one after each step.
"""
import json, warnings
from pathlib import Path

import mlx.core as mx
import torch
from mlx_lm.tuner.utils import build_schedule
from transformers import get_scheduler

OUT = Path(__file__).parent.parent / "test/train/rates.json"


def kwargs_text(kwargs): return [f"{k}={v}" for k, v in kwargs.items()]


def hf(name, lr=1e-3, warmup=0, steps=24, beyond=3, **kwargs):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    s = get_scheduler(name, opt, num_warmup_steps=warmup, num_training_steps=steps, scheduler_specific_kwargs=kwargs or None)
    rates = []
    for _ in range(steps + beyond):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        s.step()
    return dict(type=name, lr=lr, warmup=warmup, steps=steps, kwargs=kwargs_text(kwargs), rates=rates)


def plateau(losses, lr=1e-3, **kwargs):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    s = get_scheduler("reduce_lr_on_plateau", opt, scheduler_specific_kwargs=kwargs or None)
    rates = []
    for loss in losses:
        opt.step()
        s.step(loss)
        rates.append(opt.param_groups[0]["lr"])
    return dict(type="reduce_lr_on_plateau", lr=lr, warmup=0, steps=len(losses), kwargs=kwargs_text(kwargs), losses=losses,
                rates=rates)


def mlx(name, arguments, warmup=0, warmup_init=0.0, steps=30):
    names = dict(cosine_decay=("init", "decay_steps", "end"), linear_schedule=("init", "end", "steps"),
                 exponential_decay=("init", "decay_rate"), step_decay=("init", "decay_rate", "step_size"))[name]
    f = build_schedule(dict(name=name, arguments=arguments, warmup=warmup, warmup_init=warmup_init))
    kwargs = dict(zip(names, arguments), **(dict(warmup_init=warmup_init) if warmup else {}))
    return dict(type=name, lr=1.0, warmup=warmup, steps=steps, kwargs=kwargs_text(kwargs),
                rates=[float(f(mx.array(i, mx.uint64))) for i in range(steps)])


def main():
    warnings.simplefilter("ignore")
    mx.set_default_device(mx.cpu)
    cases = [
        hf("constant"), hf("constant_with_warmup", warmup=5), hf("linear"), hf("linear", warmup=6),
        hf("cosine", warmup=4), hf("cosine", warmup=4, num_cycles=1.25),
        hf("cosine_with_restarts"), hf("cosine_with_restarts", warmup=3, num_cycles=3),
        hf("polynomial"), hf("polynomial", warmup=5, power=2.5, lr_end=1e-5),
        hf("inverse_sqrt"), hf("inverse_sqrt", warmup=7), hf("inverse_sqrt", warmup=4, timescale=9),
        hf("cosine_with_min_lr", warmup=3, min_lr=1e-4), hf("cosine_with_min_lr", min_lr_rate=0.25, num_cycles=1.0),
        hf("cosine_warmup_with_min_lr", warmup=5, min_lr_rate=0.1),
        hf("cosine_warmup_with_min_lr", warmup=5, min_lr=2e-4, warmup_lr_rate=0.3),
        hf("warmup_stable_decay", warmup=4, num_decay_steps=6),
        hf("warmup_stable_decay", warmup=4, num_decay_steps=6, num_stable_steps=5, min_lr_ratio=0.1, decay_type="linear",
           warmup_type="cosine"),
        hf("warmup_stable_decay", warmup=6, num_decay_steps=9, decay_type="1-sqrt", warmup_type="1-sqrt"),
        plateau([3, 2, 2, 2.1, 2.2, 2, 1.99995, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9], patience=2, factor=0.5),
        plateau([3, 3, 3, 3, 2.95, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9], patience=1, cooldown=2, threshold=0.06,
                threshold_mode="abs", min_lr=2e-4, factor=0.3),
        plateau([1.0] * 14, lr=1e-7, patience=0),
        mlx("cosine_decay", [1e-5, 20, 1e-7], 5, 1e-7), mlx("cosine_decay", [3e-4, 12]),
        mlx("linear_schedule", [1e-3, 1e-5, 15], 3), mlx("exponential_decay", [1e-3, 0.9]),
        mlx("exponential_decay", [1e-3, 0.9], 4, 2e-3), mlx("step_decay", [2e-3, 0.5, 7], 2),
    ]
    text = ",\n".join(json.dumps(c) for c in cases)
    OUT.write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
