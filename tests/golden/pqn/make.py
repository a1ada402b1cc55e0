"""Writes golden.json: PQN losses, gradients and RAdam steps, and Q(λ) returns, by PyTorch in double precision.

Inputs and weights come from a hash that the Rust test repeats, so that the file holds only results. Weights are filled
in this suite's order: input-major, convolutions as [K, K, in, out], images as [H, W, C]; every layer but the last is
followed by a layer norm over its outputs, of convolutions pixel by pixel.

    python make.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, fill, short, single  # noqa: E402

EVERY = {"mlp": 5, "nature": 499}  # one in so many values of a flat gradient is kept
ROWS, ACTIONS = 8, 3
torch.set_default_dtype(torch.float64)

LAYERS = {
    "mlp": [(4, 16), (16,), (16, 12), (12,), (12, ACTIONS)],
    "nature": [
        (8, 8, 2, 32), (32,), (4, 4, 32, 64), (64,), (3, 3, 64, 64), (64,), (64 * 2, 20), (20,), (20, ACTIONS),
    ],
}


def forward(flat, shapes, x):
    at = 0
    for index, shape in enumerate(shapes):
        size = int(np.prod(shape))
        weight, bias = flat[at : at + size].reshape(shape), flat[at + size : at + size + shape[-1]]
        at += size + shape[-1]
        if len(shape) == 1:
            x = torch.relu(torch.nn.functional.layer_norm(x, shape, weight, bias, 1e-5))
        elif len(shape) == 2:
            x = x.flatten(1) @ weight + bias
        else:  # x is [B, H, W, C]
            stride = {8: 4, 4: 2, 3: 1}[shape[0]]
            x = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), bias, stride)
            x = x.permute(0, 2, 3, 1)
    assert at == flat.numel()
    return x


def case(kind, optimiser, clip):
    shapes = LAYERS[kind]
    flat = torch.tensor(fill(shapes, 1), requires_grad=True)
    make = {"radam": torch.optim.RAdam, "adam": torch.optim.Adam}[optimiser]
    steps_by = make([flat], lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    if kind == "mlp":
        obs = torch.tensor(single(draws(ROWS * 4, 101) * 4 - 2).reshape(ROWS, 4))
    else:
        obs = torch.tensor(np.floor(draws(ROWS * 36 * 44 * 2, 102) * 256).reshape(ROWS, 36, 44, 2) / 255.0)
    action = torch.tensor((draws(ROWS, 103) * ACTIONS).astype(np.int64))
    target = torch.tensor(single(draws(ROWS, 104) * 6 - 3))
    steps = []
    for _ in range(8):  # rectified steps adapt from the sixth on
        q = forward(flat, shapes, obs).gather(1, action.unsqueeze(1)).squeeze(1)
        loss = 0.5 * ((q - target) ** 2).mean()
        flat.grad = None
        loss.backward()
        grad = flat.grad.clone()
        norm = float(grad.norm())
        if clip > 0:
            torch.nn.utils.clip_grad_norm_([flat], clip)
        steps_by.step()
        steps.append({
            "loss": loss.item(),
            "q": q.mean().item(),
            "norm": norm,
            "grad": short(grad[:: EVERY[kind]]),
            "params": short(flat.detach()[:: EVERY[kind]]),
        })
    return {"kind": kind, "optimiser": optimiser, "clip": clip, "steps": steps}


def returns(gamma, lam, life_terminal):
    """Q(λ) of one seat by its definition, the mean of all n-step returns with weights λ^(n-1); None where no step is."""
    rows = 40
    reward = single(draws(rows, 201) * 4 - 2)
    best = single(draws(rows, 203) * 10 - 5)  # max Q of what is seen at each row
    kind = draws(rows, 202)
    end = ["terminated" if k < 0.1 else "truncated" if k < 0.2 else "life_lost" if k < 0.3 else "no" for k in kind]
    age, over = [], True
    for row in range(rows):
        age.append(0 if over else age[-1] + 1)
        if over:
            end[row], reward[row] = "no", 0.0
        over = end[row] in ("terminated", "truncated")
    out = []
    for start in range(rows - 1):
        if age[start + 1] == 0:
            out.append(None)
            continue
        total, weight, sum_, discount = 0.0, 1.0, 0.0, 1.0
        for at in range(start + 1, rows):
            sum_ += discount * reward[at]
            discount *= gamma
            dead = end[at] == "terminated" or (life_terminal and end[at] == "life_lost")
            n_step = sum_ + (0.0 if dead else discount * best[at])
            if dead or end[at] == "truncated" or at == rows - 1:
                total += weight * n_step  # all that is left: there is no longer return
                break
            total += weight * (1 - lam) * n_step
            weight *= lam
        out.append(total)
    return {"gamma": gamma, "lambda": lam, "life_terminal": life_terminal, "age": age, "end": end,
            "reward": reward.tolist(), "best": best.tolist(), "returns": out}


def main():
    golden = {
        "every": EVERY,
        "cases": [case("mlp", "radam", 0.0), case("mlp", "adam", 0.3), case("nature", "radam", 0.3)],
        "returns": [returns(0.99, 0.65, False), returns(0.9, 1.0, True), returns(0.99, 0.0, True)],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
