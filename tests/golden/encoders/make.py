"""Writes golden.json: features and gradients of the encoders of frames, by PyTorch in double precision.

Frames and weights come from a hash that the Rust test repeats, so that the file holds only results. Weights are filled
in this suite's order, convolutions as [K, K, in, out], dense layers input-major; images are [B, H, W, C].

    python make.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, fill, short  # noqa: E402

EVERY = 97  # one in so many values of a flat gradient is kept
ROWS, WIDTH = 3, 12
torch.set_default_dtype(torch.float64)


class Weights:
    """One flat leaf tensor, taken piece by piece."""

    def __init__(self, shapes):
        self.flat, self.at = torch.tensor(fill(shapes, 1), requires_grad=True), 0

    def take(self, *shape):
        size = int(np.prod(shape))
        self.at += size
        return self.flat[self.at - size : self.at].reshape(shape)

    def conv(self, x, shape, stride=1, padding=0):
        weight, bias = self.take(*shape), self.take(shape[-1])
        return F.conv2d(x, weight.permute(3, 2, 0, 1), bias, stride, padding)

    def dense(self, x):
        x = x.permute(0, 2, 3, 1).flatten(1)
        return torch.relu(x @ self.take(x.shape[1], WIDTH) + self.take(WIDTH))


def small(x):
    shapes = [(8, 8, x.shape[1], 16), (4, 4, 16, 32), (3, 3, 32, 32)]
    weights = Weights([*shapes, (1 * 2 * 32, WIDTH)])
    for shape, stride in zip(shapes, [4, 2, 1]):
        x = torch.relu(weights.conv(x, shape, stride))
    return weights, weights.dense(x)


def impala(x):
    """Espeholt et al. 2018, figure 3, right."""
    shapes, inputs = [], x.shape[1]
    for filters in [16, 32, 32]:
        shapes += [(3, 3, inputs, filters)] + 4 * [(3, 3, filters, filters)]
        inputs = filters
    weights = Weights([*shapes, (3 * 2 * 32, WIDTH)])
    shapes = iter(shapes)
    for _ in range(3):
        x = F.max_pool2d(weights.conv(x, next(shapes), padding=1), 3, 2, 1)
        for _ in range(2):
            y = weights.conv(torch.relu(x), next(shapes), padding=1)
            x = x + weights.conv(torch.relu(y), next(shapes), padding=1)
    return weights, weights.dense(torch.relu(x))


def case(trunk, run, height, width, channels):
    frames = np.floor(draws(ROWS * height * width * channels, 101) * 256).reshape(ROWS, height, width, channels)
    weights, y = run(torch.tensor(frames / 255.0).permute(0, 3, 1, 2))
    (y * torch.tensor(draws(ROWS * WIDTH, 102).reshape(ROWS, WIDTH))).sum().backward()
    frame = [height, width, channels]
    return {"trunk": trunk, "frame": frame, "y": short(y.detach().flatten()), "grad": short(weights.flat.grad[::EVERY])}


def main():
    cases = [case("small", small, 36, 44, 2), case("impala", impala, 21, 16, 2)]
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps({"every": EVERY, "cases": cases}, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
