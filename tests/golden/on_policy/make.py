"""Writes golden.json: PPO and A2C losses, gradients and optimiser steps, by PyTorch in double precision.

Inputs and weights come from a hash that the Rust test repeats, so that the file holds only results. Weights are filled
in this suite's order: trunks, policy head, value head, logarithms of deviations; input-major, convolutions as
[K, K, in, out], images as [H, W, C]. A memory stands behind its trunk: weights of inputs, of the recurrence, biases.

    python make.py        # needs torch and numpy
"""

import json
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, fill_each, short, single  # noqa: E402

EVERY = {"mlp": 3, "nature": 97, "gru": 13, "lstm": 13}  # one in so many values of a flat gradient is kept
ROWS = 12
torch.set_default_dtype(torch.float64)

MLP = {"policy": [(4, 16), (16, 12)], "value": [(4, 16), (16, 12)]}
REMEMBERS = {"policy": [(4, 16)], "value": [(4, 16)]}
UNITS = 12
GATES = {"gru": 3, "lstm": 4}
LENGTH = 4  # steps of a sequence: 3 of them
AGES = [0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 2, 3, 4]  # one episode ends within a sequence, the next with one
NATURE = {"trunk": [(8, 8, 2, 32), (4, 4, 32, 64), (3, 3, 64, 64), (64 * 2, 12)]}


class Net:
    """Trunks, perhaps with memories, two heads and logarithms of deviations; parameters as one flat leaf tensor."""

    def __init__(self, trunks, actions, continuous, memory=None):
        self.trunks, self.actions, self.continuous, self.memory = trunks, actions, continuous, memory
        shapes = []
        for trunk in trunks.values():
            for shape in trunk:
                shapes += [shape, shape[-1:]]
            if memory:
                n = GATES[memory] * UNITS
                shapes += [(trunk[-1][-1], n), (UNITS, n), (n,)] + ([(n,)] if memory == "gru" else [])
        width = actions + continuous
        shapes += [(12, width), (width,), (12, 1), (1,)] + ([(continuous,)] if continuous else [])
        self.flat = torch.tensor(fill_each(shapes, 1), requires_grad=True)
        # What was remembered before each sequence, the policy's and the critic's.
        state = UNITS * (2 if memory == "lstm" else 1)
        self.states = torch.tensor(single(draws(3 * 2 * state, 112) * 2 - 1).reshape(3, 2, state))

    def remember(self, y, tower, take):
        """Sequence by sequence and step by step with PyTorch's own cells; an episode starts with zeros."""
        n = GATES[self.memory] * UNITS
        weights = [take(y.shape[1], n).T, take(UNITS, n).T, take(n)]
        weights.append(take(n) if self.memory == "gru" else torch.zeros(n))
        rows = []
        for sequence in range(3):
            state = self.states[sequence, tower][None]
            for t in range(sequence * LENGTH, (sequence + 1) * LENGTH):
                state = state * 0 if AGES[t] == 0 else state
                x = y[t : t + 1]
                if self.memory == "gru":
                    state = torch.gru_cell(x, state, *weights)
                else:
                    state = torch.cat(torch.lstm_cell(x, (state[:, :UNITS], state[:, UNITS:]), *weights), 1)
                rows.append(state[0, :UNITS])
        return torch.stack(rows)

    def forward(self, x):
        at = 0

        def take(*shape):
            nonlocal at
            size = int(np.prod(shape))
            at += size
            return self.flat[at - size : at].reshape(shape)

        features = []
        for tower, trunk in enumerate(self.trunks.values()):
            y = x
            for shape in trunk:
                weight, bias = take(*shape), take(shape[-1])
                if len(shape) == 2:
                    y = y.flatten(1) @ weight + bias
                else:  # y is [B, H, W, C]
                    stride = {8: 4, 4: 2, 3: 1}[shape[0]]
                    y = torch.nn.functional.conv2d(y.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), bias, stride)
                    y = y.permute(0, 2, 3, 1)
                y = torch.relu(y)
            features.append(self.remember(y, tower, take) if self.memory else y)
        width = self.actions + self.continuous
        outputs = features[0] @ take(12, width) + take(width)
        value = (features[-1] @ take(12, 1) + take(1)).squeeze(1)
        gaussian = torch.distributions.Normal(outputs[:, self.actions :], take(self.continuous).exp())
        return outputs[:, : self.actions], gaussian, value


def observations(kind):
    if kind != "nature":
        return torch.tensor(single(draws(ROWS * 4, 101) * 4 - 2).reshape(ROWS, 4))
    return torch.tensor(np.floor(draws(ROWS * 36 * 44 * 2, 102) * 256).reshape(ROWS, 36, 44, 2) / 255.0)


def distributions(logits, counts, legal):
    """Log-probabilities of the legal values of each action, by row."""
    rows = []
    for row in range(ROWS):
        parts, at = [], 0
        for count in counts:
            allowed = [at + i for i in range(count) if legal[row, at + i]]
            logs = torch.log_softmax(logits[row, allowed], 0)
            parts.append({index - at: logs[place] for place, index in enumerate(allowed)})
            at += count
        rows.append(parts)
    return rows


def case(agent, kind, counts, mask, settings, continuous=0):
    width = sum(counts)
    memory = kind if kind in GATES else None
    net = Net(REMEMBERS if memory else {"mlp": MLP, "nature": NATURE}[kind], width, continuous, memory)
    obs = observations(kind)
    # The row before a reset is the last observation of an episode: no step was played there.
    played = [t for t in range(ROWS) if not memory or AGES[t + 1] != 0]
    # The first value of each action stays legal.
    legal = np.ones((ROWS, width), dtype=bool)
    if mask:
        legal = draws(ROWS * width, 110).reshape(ROWS, width) < 0.7
        legal[:, np.cumsum([0, *counts[:-1]])] = True
    actions = np.zeros((ROWS, len(counts)), dtype=int)
    for row in range(ROWS):
        at = 0
        for index, count in enumerate(counts):
            allowed = [i for i in range(count) if legal[row, at + i]]
            actions[row, index] = allowed[int(draws(ROWS * 2, 105)[2 * row + index] * len(allowed))]
            at += count

    # As a policy draws them: some beyond the ends of their interval, which is from -1 to 1.
    drawn = torch.tensor(single(draws(ROWS * continuous, 111) * 4 - 2).reshape(ROWS, continuous))

    def log_prob(dists, gaussian):
        discrete = [sum((part[a] for part, a in zip(dists[r], actions[r])), torch.zeros(())) for r in range(ROWS)]
        return torch.stack(discrete) + gaussian.log_prob(drawn).sum(1)

    with torch.no_grad():
        logits, gaussian, values = net.forward(obs)
        start = log_prob(distributions(logits, counts, legal), gaussian).numpy()
    # The policy and the value that acted differ from those that learn, by more than the range of clipping here and there.
    off = (draws(ROWS, 106) - 0.5) * (0.0 if agent == "a2c" else 1.0)
    old_log_prob = torch.tensor(single(start + off))
    old_value = torch.tensor(single(values.numpy() + (draws(ROWS, 107) - 0.5)))
    advantage = torch.tensor(single(draws(ROWS, 108) * 4 - 1.5))
    target = torch.tensor(single(draws(ROWS, 109) * 6 - 3))
    clip = settings["clip"]
    adam = torch.optim.Adam([net.flat], lr=1e-3, betas=(0.9, 0.999), eps=1e-5)
    square = torch.ones_like(net.flat)
    steps = []
    for _ in range(3):
        logits, gaussian, value = net.forward(obs)
        dists = distributions(logits, counts, legal)
        new = log_prob(dists, gaussian)[played]
        parts = [[-(p.exp() * p) for part in dists[r] for p in part.values()] for r in range(ROWS)]
        entropy = torch.stack([sum(part, torch.zeros(())) for part in parts]) + gaussian.entropy().sum(1)
        entropy, value = entropy[played], value[played]
        log_ratio = new - old_log_prob[played]
        ratio = log_ratio.exp()
        adv = advantage[played]
        if agent == "ppo":
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            policy_loss = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
        else:
            policy_loss = -(adv * new).mean()
        error = (value - target[played]) ** 2
        if settings["value_clip"]:
            moved = old_value[played] + torch.clamp(value - old_value[played], -clip, clip)
            error = torch.max(error, (moved - target[played]) ** 2)
        value_loss = 0.5 * error.mean()
        loss = policy_loss - 0.01 * entropy.mean() + 0.7 * value_loss
        net.flat.grad = None
        loss.backward()
        grad = net.flat.grad.clone()
        norm = float(grad.norm())
        torch.nn.utils.clip_grad_norm_([net.flat], 0.5)
        if agent == "ppo":
            adam.step()
        else:  # RMSProp as TensorFlow has it
            with torch.no_grad():
                square = 0.99 * square + 0.01 * net.flat.grad**2
                net.flat -= 1e-3 * net.flat.grad / torch.sqrt(square + 1e-5)
        terms = {
            "loss": loss,
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy.mean(),
            "approx_kl": (ratio - 1 - log_ratio).mean(),
            "clip_fraction": ((ratio - 1).abs() > clip).double().mean(),
        }
        steps.append({
            "terms": {name: term.item() for name, term in terms.items()},
            "norm": norm,
            "grad": short(grad[:: EVERY[kind]]),
            "params": short(net.flat.detach()[:: EVERY[kind]]),
        })
    return {
        "agent": agent, "kind": kind, "counts": counts, "mask": mask, "value_clip": settings["value_clip"],
        "actions": actions.tolist(), "legal": legal.astype(int).tolist(),
        "drawn": [short(row) for row in drawn], "log_prob": short(old_log_prob), "value": short(old_value), "steps": steps,
    }


def main():
    golden = {
        "every": EVERY,
        "cases": [
            case("ppo", "mlp", [3], False, {"clip": 0.2, "value_clip": False}),
            case("ppo", "mlp", [3, 2], True, {"clip": 0.2, "value_clip": True}),
            case("ppo", "nature", [3], False, {"clip": 0.2, "value_clip": True}),
            case("a2c", "mlp", [3, 2], True, {"clip": float("inf"), "value_clip": False}),
            case("ppo", "mlp", [], False, {"clip": 0.2, "value_clip": False}, continuous=2),
            case("ppo", "mlp", [3, 2], True, {"clip": 0.2, "value_clip": True}, continuous=1),
            case("a2c", "mlp", [], False, {"clip": float("inf"), "value_clip": False}, continuous=2),
            case("ppo", "gru", [3, 2], True, {"clip": 0.2, "value_clip": True}, continuous=1),
            case("ppo", "lstm", [3], False, {"clip": 0.2, "value_clip": False}),
            case("a2c", "lstm", [3, 2], True, {"clip": float("inf"), "value_clip": False}),
        ],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
