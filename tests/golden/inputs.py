"""What the scripts beside it share: inputs from a hash that the Rust tests repeat, so that files hold only results."""

import numpy as np


def draws(count, salt):
    """Uniform in [0, 1): an integer hash of index and salt."""
    x = np.arange(count, dtype=np.uint64) + np.uint64(salt * 0x9E3779B9)
    mask = np.uint64(0xFFFFFFFF)
    x &= mask
    for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B)]:
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask
    x ^= x >> np.uint64(16)
    return x.astype(np.float64) / 2.0**32


def single(values):
    """Rounded to f32, as the tests hold them."""
    return np.asarray(values).astype(np.float32).astype(np.float64)


def fill(shapes, salt):
    """Flat weights of layers with these shapes, each followed by its bias."""
    return fill_each([part for shape in shapes for part in (shape, shape[-1:])], salt)


def fill_each(shapes, salt):
    """Flat parameters of these shapes: weights, and what has one dimension as biases are."""
    parts = []
    for index, shape in enumerate(shapes):
        bound = (6.0 / int(np.prod(shape[:-1]))) ** 0.5 if len(shape) > 1 else 0.1
        parts.append((draws(int(np.prod(shape)), salt + index) * 2 - 1) * bound)
    return single(np.concatenate(parts))


def short(values):
    """Nine digits: more than f32 holds."""
    return [float(f"{value:.8e}") for value in values.tolist()]
