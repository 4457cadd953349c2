"""Regenerates test/train/optimizer.safetensors and src/backend/cpu/dynamic_map.c from torch and bitsandbytes.

    python tools/make_optimizer_goldens.py

Needs torch, bitsandbytes and safetensors.  The state of 8-bit AdamW is what bitsandbytes' optimizer makes of it on the
CPU in float32 (backends/cpu/ops.py, with the codes of its C library):

    adamw8.{start,grad.I,param.I,m.I,v.I,am.I,av.I}   4200 numbers; after step I = 0..3: parameters, codes and absmax of
                                                      both moments; lr 1e-2, betas 0.9 0.95, eps 1e-8, decay 0.1
    sgd.CASE.{start,grad.I,param.I}                   torch.optim.SGD, 300 numbers, 4 steps; cases: plain, decay, momentum,
                                                      nesterov, damped (tools and test_optimizer.c name the settings)
"""
import os, re
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="")
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parent.parent
SGD = dict(plain={}, decay=dict(weight_decay=0.1), momentum=dict(momentum=0.9),
           nesterov=dict(momentum=0.8, nesterov=True, weight_decay=0.05), damped=dict(momentum=0.9, dampening=0.3))


def maps():
    from bitsandbytes.functional import create_dynamic_map
    return create_dynamic_map(signed=True), create_dynamic_map(signed=False)


def write_maps(signed, unsigned):
    def table(name, values):
        def text(v): return re.sub(r"\.?0*p", "p", float(v).hex()) + "f" if v else "0"
        rows = [", ".join(map(text, values[i:i + 4].tolist())) for i in range(0, 256, 4)]
        return f"const float {name}[256] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"
    text = ("/* bitsandbytes' dynamic 8-bit maps (create_dynamic_map), ascending; written by\n"
            " * tools/make_optimizer_goldens.py. */\n#include \"backend/cpu/dynamic_map.h\"\n\n/* clang-format off */\n"
            + table("hn_dynamic_map_signed", signed) + "\n" + table("hn_dynamic_map_unsigned", unsigned))
    (ROOT / "src/backend/cpu/dynamic_map.c").write_text(text)


def adamw8(out):
    from bitsandbytes.optim import AdamW8bit
    n = 4200
    r = torch.Generator().manual_seed(1)
    p = torch.nn.Parameter(torch.randn(n, generator=r))
    opt = AdamW8bit([p], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    out["adamw8.start"] = p.detach().clone()
    for i in range(4):
        g = torch.randn(n, generator=r) * torch.exp(2 * torch.randn(n, generator=r)) * 0.01
        if i == 2: g[256:768] = 0
        out[f"adamw8.grad.{i}"] = g.clone()
        p.grad = g
        opt.step()
        s = opt.state[p]
        for name, x in dict(param=p, m=s["state1"], v=s["state2"], am=s["absmax1"], av=s["absmax2"]).items():
            out[f"adamw8.{name}.{i}"] = x.detach().clone()


def sgd(out):
    r = torch.Generator().manual_seed(2)
    for name, settings in SGD.items():
        p = torch.nn.Parameter(torch.randn(300, generator=r))
        out[f"sgd.{name}.start"] = p.detach().clone()
        opt = torch.optim.SGD([p], lr=0.05, **settings)
        for i in range(4):
            p.grad = torch.randn(300, generator=r)
            out[f"sgd.{name}.grad.{i}"] = p.grad.clone()
            opt.step()
            out[f"sgd.{name}.param.{i}"] = p.detach().clone()


def main():
    out = {}
    write_maps(*maps())
    adamw8(out)
    sgd(out)
    save_file(out, ROOT / "test/train/optimizer.safetensors")


if __name__ == "__main__":
    main()
