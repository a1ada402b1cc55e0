"""Writes golden.json: AlphaZero's loss, gradient and optimiser steps, by PyTorch in double precision.

Inputs and weights come from a hash that the Rust test repeats, so that the file holds only results. Weights are filled in
this suite's order: stem, blocks, value, policy; input-major, convolutions as [3, 3, in, out], images as [H, W, C].

    python make.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, fill, short, single  # noqa: E402

EVERY = 13  # one in so many values of a flat gradient is kept
ROWS, HEIGHT, WIDTH, PLANES, ACTIONS = 9, 1, 12, 2, 3
CHANNELS, BLOCKS, HIDDEN = 6, 2, 8
FLAT = HEIGHT * WIDTH * CHANNELS
torch.set_default_dtype(torch.float64)

SHAPES = (
    [(3, 3, PLANES, CHANNELS)]
    + [(3, 3, CHANNELS, CHANNELS)] * (2 * BLOCKS)
    + [(FLAT, HIDDEN), (HIDDEN, 1), (FLAT, ACTIONS)]
)


def forward(flat, x):
    at = 0

    def take(*shape):
        nonlocal at
        size = int(np.prod(shape))
        at += size
        return flat[at - size : at].reshape(shape)

    def conv(y, shape):  # y is [B, C, H, W]
        weight, bias = take(*shape), take(shape[-1])
        return torch.nn.functional.conv2d(y, weight.permute(3, 2, 0, 1), bias, padding=1)

    y = torch.relu(conv(x.permute(0, 3, 1, 2), SHAPES[0]))
    for block in range(BLOCKS):
        z = torch.relu(conv(y, SHAPES[1 + 2 * block]))
        y = torch.relu(y + conv(z, SHAPES[2 + 2 * block]))
    y = y.permute(0, 2, 3, 1).flatten(1)
    value = torch.relu(y @ take(FLAT, HIDDEN) + take(HIDDEN))
    value = torch.tanh(value @ take(HIDDEN, 1) + take(1)).squeeze(1)
    return y @ take(FLAT, ACTIONS) + take(ACTIONS), value


def main():
    flat = torch.tensor(fill(SHAPES, 1), requires_grad=True)
    x = torch.tensor(single(draws(ROWS * HEIGHT * WIDTH * PLANES, 101) * 2 - 1).reshape(ROWS, HEIGHT, WIDTH, PLANES))
    legal = draws(ROWS * ACTIONS, 102).reshape(ROWS, ACTIONS) < 0.7
    legal[:, 0] = True
    policy = np.where(legal, draws(ROWS * ACTIONS, 103).reshape(ROWS, ACTIONS) + 0.1, 0.0)
    policy = torch.tensor(single(policy / policy.sum(1, keepdims=True)))
    wanted = torch.tensor(single(draws(ROWS, 104) * 2 - 1))
    adam = torch.optim.Adam([flat], lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    steps = []
    for _ in range(3):
        logits, value = forward(flat, x)
        log = torch.log_softmax(logits.masked_fill(~torch.tensor(legal), -torch.inf), 1)
        cross = -(policy * log.masked_fill(~torch.tensor(legal), 0.0)).sum(1).mean()
        entropy = -torch.special.xlogy(policy, policy).sum(1).mean()
        value_loss = 0.5 * ((value - wanted) ** 2).mean()
        loss = cross + 0.7 * value_loss
        flat.grad = None
        loss.backward()
        grad = flat.grad.clone()
        norm = float(grad.norm())
        torch.nn.utils.clip_grad_norm_([flat], 0.5)
        adam.step()
        terms = {"loss": loss, "policy_loss": cross - entropy, "value_loss": value_loss, "entropy": entropy}
        steps.append({
            "terms": {name: term.item() for name, term in terms.items()},
            "norm": norm,
            "grad": short(grad[::EVERY]),
            "params": short(flat.detach()[::EVERY]),
        })
    golden = {"every": EVERY, "legal": legal.astype(int).flatten().tolist(), "policy": short(policy.flatten()), "steps": steps}
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
