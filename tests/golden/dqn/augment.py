"""Writes augment.json: frames moved and lit, by PyTorch: padding by replication, a window cut out, the gain of SPR.

Frames, places and gains come from the hash of inputs.py.

    python augment.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws  # noqa: E402

HEIGHT, WIDTH, CHANNELS, ROWS = 13, 17, 4, 24


def fnv(data):
    """The hash of Fowler, Noll and Vo, of 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def case(pixels, intensity, salt):
    frames = np.floor(draws(ROWS * HEIGHT * WIDTH * CHANNELS, salt) * 256).reshape(ROWS, HEIGHT, WIDTH, CHANNELS)
    at = np.floor(draws(ROWS * 2, salt + 1) * (2 * pixels + 1)).astype(int).reshape(ROWS, 2)
    gain = (1 + intensity * (draws(ROWS, salt + 2) * 4 - 2)).astype(np.float32)
    x = torch.tensor(frames, dtype=torch.float32).permute(0, 3, 1, 2)  # [B, C, H, W]
    padded = torch.nn.functional.pad(x, (pixels,) * 4, mode="replicate")
    cut = torch.stack([p[:, y : y + HEIGHT, x : x + WIDTH] for p, (y, x) in zip(padded, at)])
    lit = cut * torch.tensor(gain)[:, None, None, None]
    lit = torch.floor(lit + 0.5).clamp(0, 255)  # halves away from zero, which `round` of PyTorch is not
    out = lit.permute(0, 2, 3, 1).contiguous().numpy().astype(np.uint8)
    return {"pixels": pixels, "intensity": intensity, "salt": salt, "hashes": [fnv(o.tobytes()) for o in out]}


def main():
    cases = [case(4, 0.0, 501), case(4, 0.05, 511), case(0, 0.5, 521), case(12, 0.2, 531)]
    golden = {"height": HEIGHT, "width": WIDTH, "channels": CHANNELS, "rows": ROWS, "cases": cases}
    path = pathlib.Path(__file__).with_name("augment.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
