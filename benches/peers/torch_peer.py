"""PyTorch's side of a row: a training step, a layer's two passes, or one forward without gradients.

Inputs stand still and lie in memory, as on our side; what is measured is the work on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import serve
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

ACTIONS = 14  # of Kung Fu Master
WARM_UP = 3
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}

Pass = Callable[[], Tensor]  # a forward pass to a loss


class Pixels(nn.Module):
    """Frames of bytes as numbers from 0 to 1."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.float() / 255.0


def nature_network() -> nn.Sequential:
    """Mnih et al. 2015."""
    return nn.Sequential(
        Pixels(),
        nn.Conv2d(4, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 512),
        nn.ReLU(),
        nn.Linear(512, ACTIONS),
    )


def nature(batch: int, layout: torch.memory_format) -> tuple[nn.Module, Pass]:
    """Huber loss of the values of the actions taken, on given targets."""
    network = nature_network().to(memory_format=layout)
    frames = torch.randint(0, 256, (batch, 4, 84, 84), dtype=torch.uint8).to(memory_format=layout)
    actions, targets = torch.randint(0, ACTIONS, (batch, 1)), torch.randn(batch)

    def loss() -> Tensor:
        values = network(frames).float().gather(1, actions).squeeze(1)  # [B]
        return nn.functional.smooth_l1_loss(values, targets)

    return network, loss


def layer(module: nn.Module, given: Tensor) -> tuple[nn.Module, Pass]:
    """Forward and backward from a gradient that stands still, down to the input."""
    given.requires_grad_()
    with torch.no_grad():
        gradient = torch.randn_like(first(module(given)))

    def passes() -> Tensor:
        given.grad = None
        out = first(module(given))
        out.backward(gradient)
        return out

    return module, passes


def first(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    """A recurrent module also returns its state."""
    return out if isinstance(out, Tensor) else out[0]


def layers(model: str, batch: int, layout: torch.memory_format) -> tuple[nn.Module, Pass]:
    """One layer of the size that the row names."""
    picture = torch.randn(batch, 64, 32, 32).to(memory_format=layout)
    match model:
        case "lstm":
            return layer(nn.LSTM(512, 512), torch.randn(20, batch, 512))
        case "encoder":
            encoder = nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True)
            return layer(encoder, torch.randn(batch, 64, 256))
        case "conv3x3":
            return layer(nn.Conv2d(64, 64, 3, padding=1).to(memory_format=layout), picture)
        case "batchnorm":
            return layer(nn.BatchNorm2d(64), picture)
    raise ValueError(model)


def mlp(batch: int) -> Callable[[], Tensor]:
    """The network of presets/dqn/cartpole.toml on one observation."""
    widths = [4, 128, 128, 2]
    parts: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        parts += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*parts[:-1]).eval()
    given = torch.randn(batch, 4)
    return lambda: network(given)


def step(network: nn.Module, loss: Pass, mode: str, cast: Callable[[], AbstractContextManager[object]]) -> Callable[[], None]:
    """A training step with Adam, fused into one call; the forward pass is compiled unless eager."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    forward = loss if mode == "eager" else torch.compile(loss, mode=mode)

    def whole() -> None:
        optimiser.zero_grad(set_to_none=True)
        with cast():
            value = forward()
        value.backward()
        optimiser.step()

    return whole


def both(network: nn.Module, passes: Pass) -> Callable[[], None]:
    """A layer's two passes."""

    def whole() -> None:
        network.zero_grad(set_to_none=True)
        passes()

    return whole


@contextmanager
def counted(count: list[float]) -> Iterator[None]:
    """Appends the GFLOP of what runs inside."""
    with FlopCounterMode(display=False) as counter:
        yield
    count.append(counter.get_total_flops() / 1e9)


def prepare(args: argparse.Namespace) -> tuple[Callable[[], object], float]:
    """What is measured, and its GFLOP."""
    count: list[float] = []
    layout = LAYOUTS[args.layout]
    if args.model == "mlp":
        return torch.inference_mode()(mlp(args.batch)), 0.0
    if args.model == "nature":
        network, loss = nature(args.batch, layout)
        with counted(count):
            loss().backward()
        bf16 = args.precision == "bf16"
        cast = (lambda: torch.autocast("cpu", torch.bfloat16)) if bf16 else nullcontext
        return step(network, loss, args.mode, cast), count[0]
    network, passes = layers(args.model, args.batch, layout)
    with counted(count):
        passes()
    return both(network, passes), count[0]


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["nature", "mlp", "lstm", "encoder", "conv3x3", "batchnorm"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--mode", choices=["eager", "default", "max-autotune", "inference"], required=True)
    parser.add_argument("--layout", choices=LAYOUTS, default="nchw")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    call, gflop = prepare(args)
    for _ in range(WARM_UP):
        call()
    serve.serve({"gflop": gflop}, lambda seconds: serve.median_ms(call, seconds))


if __name__ == "__main__":
    main()
