"""Writes golden.json: DQN losses, gradients and Adam steps, and n-step returns, by PyTorch in double precision.

Inputs and weights come from a hash that the Rust test repeats, so that the file holds only results. Weights are filled
in this suite's order: input-major, convolutions as [K, K, in, out], images as [H, W, C].

    python make.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, fill, short  # noqa: E402

EVERY = {"mlp": 3, "nature": 97}  # one in so many values of a flat gradient is kept
torch.set_default_dtype(torch.float64)


class Net:
    """Layers as (kind, shape in this suite's order); parameters as one flat leaf tensor."""

    def __init__(self, layers, salt):
        self.layers = layers
        self.flat = torch.tensor(fill([shape for _, shape in layers], salt), requires_grad=True)

    def forward(self, x):
        at = 0

        def take(*shape):
            nonlocal at
            size = int(np.prod(shape))
            at += size
            return self.flat[at - size : at].reshape(shape)

        for index, (kind, shape) in enumerate(self.layers):
            weight, bias = take(*shape), take(shape[-1])
            if kind == "linear":
                x = x.flatten(1) @ weight + bias
            else:  # x is [B, H, W, C]
                stride = {8: 4, 4: 2, 3: 1}[shape[0]]
                x = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), bias, stride)
                x = x.permute(0, 2, 3, 1)
            if index + 1 < len(self.layers):
                x = torch.relu(x)
        return x


MLP = [("linear", (4, 16)), ("linear", (16, 12)), ("linear", (12, 3))]
NATURE = [
    ("conv", (8, 8, 2, 32)),
    ("conv", (4, 4, 32, 64)),
    ("conv", (3, 3, 64, 64)),
    ("linear", (64 * 2, 20)),
    ("linear", (20, 3)),
]


def batch(kind, rows):
    if kind == "mlp":
        obs = [(draws(rows * 4, salt) * 4 - 2).astype(np.float32).reshape(rows, 4) for salt in (101, 102)]
        scale = 1.0
    else:  # 36 x 44 pixels, two frames
        obs = [np.floor(draws(rows * 36 * 44 * 2, salt) * 256).reshape(rows, 36, 44, 2) for salt in (103, 104)]
        scale = 255.0
    obs = [torch.tensor(o.astype(np.float64)) / scale for o in obs]
    action = torch.tensor((draws(rows, 105) * 3).astype(np.int64))
    reward = torch.tensor((draws(rows, 106) * 6 - 3).astype(np.float32).astype(np.float64))
    # a quarter of the rows are terminal, the rest bootstrap over one to three steps
    discount = np.array([
        0.0 if end < 0.25 else 0.99 ** int(1 + 3 * steps) for end, steps in zip(draws(rows, 107), draws(rows, 108))
    ])
    return obs[0], action, reward, torch.tensor(discount.astype(np.float32).astype(np.float64)), obs[1]


def case(kind, double, clip):
    layers = MLP if kind == "mlp" else NATURE
    rows = 8
    online, target = Net(layers, 1), Net(layers, 51)
    adam = torch.optim.Adam([online.flat], lr=1e-3, betas=(0.9, 0.999), eps=1.5e-4)
    obs, action, reward, discount, following = batch(kind, rows)
    out = {"kind": kind, "double": double, "clip": clip, "steps": []}
    for _ in range(3):
        q = online.forward(obs)
        with torch.no_grad():
            later = target.forward(following)
            best = online.forward(following) if double else later
            bootstrap = later.gather(1, best.argmax(1, keepdim=True)).squeeze(1)
            y = reward + discount * bootstrap
        predicted = q.gather(1, action.unsqueeze(1)).squeeze(1)
        loss = torch.nn.functional.huber_loss(predicted, y, reduction="mean", delta=1.0)
        adam.zero_grad()
        loss.backward()
        grad = online.flat.grad.clone()
        norm = float(grad.norm())
        if clip > 0:
            torch.nn.utils.clip_grad_norm_([online.flat], clip)
        adam.step()
        out["steps"].append({
            "target": short(y),
            "loss": loss.item(),
            "norm": norm,
            "grad": short(grad[:: EVERY[kind]]),
            "params": short(online.flat.detach()[:: EVERY[kind]]),
        })
    return out


def returns(n, gamma, clip, life_terminal):
    """n-step returns of one seat by their definition; -1 marks a start that has none."""
    rows = 40
    reward = (draws(rows, 201) * 4 - 2).astype(np.float32).astype(np.float64)
    kind = draws(rows, 202)
    end = ["terminated" if k < 0.1 else "truncated" if k < 0.2 else "life_lost" if k < 0.3 else "no" for k in kind]
    # next-step autoreset: the row after an end is a reset row, age 0, and its reward is 0
    age, over = [], True
    for row in range(rows):
        age.append(0 if over else age[-1] + 1)
        if over:
            end[row], reward[row] = "no", 0.0
        over = end[row] in ("terminated", "truncated")
    if clip:
        reward = np.sign(reward)
    out = []
    for start in range(rows):
        total, discount, at = 0.0, 1.0, start
        found = end[start] not in ("terminated", "truncated")  # no action is taken where the episode is over
        while found and at - start < n:
            if at + 1 >= rows:
                found = False
                break
            at += 1
            total += discount * reward[at]
            discount *= gamma
            if end[at] == "terminated" or (life_terminal and end[at] == "life_lost"):
                discount = 0.0
                break
            if end[at] == "truncated":
                break
        if found:
            out.append({"start": start, "return": total, "discount": discount, "next": at})
    return {"n": n, "gamma": gamma, "clip": clip, "life_terminal": life_terminal, "age": age, "end": end,
            "reward": [float(r) for r in (draws(rows, 201) * 4 - 2).astype(np.float32)], "transitions": out}


def main():
    golden = {
        "every": EVERY,
        "cases": [case(k, d, c) for k in ("mlp", "nature") for d, c in ((False, 0.0), (True, 0.1))],
        "returns": [returns(1, 0.99, False, False), returns(3, 0.99, True, True), returns(5, 0.9, True, False)],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
