"""Writes family.json: targets, losses, priorities, gradients and Adam steps of the DQN family, by PyTorch in double precision.

Each case is a composition of switches on a small network; outputs are [B, W, A], W numbers for each of A actions. Inputs,
weights, quantiles and noise come from the hash of inputs.py, so that the file holds only results.

    python family.py        # needs torch and numpy
"""

import json
import pathlib

import numpy as np
import torch
from make import batch
from inputs import draws, fill, short, single

ROWS, ACTIONS, COSINES, EVERY = 8, 3, 6, 5
TAUS = {"online": 4, "target": 3, "act": 5}
SUPPORT = {"atoms": 9, "low": -3.0, "high": 5.0}
MUNCHAUSEN = {"kind": "munchausen", "alpha": 0.9, "temperature": 0.5, "floor": -1.0}
BETA = 0.6


class Net:
    """encoder.fc1, [tau,] then the streams, each layer with its spread if noisy; parameters as one flat leaf tensor."""

    def __init__(self, case, salt):
        self.case = case
        kind, mix = case["values"]["kind"], case["values"].get("mix")
        width = {"categorical": SUPPORT["atoms"], "quantiles": 4}.get(kind, 1)
        own = (case["dueling"] or case["noisy"] or mix == "before") and mix != "after"
        shapes = [(4, 16)] if own else [(4, 16), (16, 12)]
        features = shapes[-1][1]
        self.encoder = len(shapes)
        if kind == "implicit":
            shapes.append((COSINES, features))
        self.streams = []
        for outputs in ([width] if case["dueling"] else []) + [width * ACTIONS]:
            self.streams.append([(features, 12), (12, outputs)] if own else [(features, outputs)])
        self.noisy = len(shapes)
        for stream in self.streams:
            for shape in stream:
                shapes += [shape] * (2 if case["noisy"] else 1)
        self.noise_width = sum(sum(shape) for stream in self.streams for shape in stream) if case["noisy"] else 0
        self.width = width
        self.flat = torch.tensor(fill(shapes, salt), requires_grad=True)

    def forward(self, x, taus=None, noise=None):
        """[B, W, A]."""
        at, noise_at = 0, 0

        def take(*shape):
            nonlocal at
            size = int(np.prod(shape))
            at += size
            return self.flat[at - size : at].reshape(shape)

        def layer(x, shape):
            nonlocal noise_at
            weight, bias = take(*shape), take(shape[1])
            if self.case["noisy"]:
                spread, spread_bias = take(*shape), take(shape[1])
                inner = noise[noise_at : noise_at + shape[0]]
                outer = noise[noise_at + shape[0] : noise_at + sum(shape)]
                noise_at += sum(shape)
                weight = weight + spread * torch.outer(inner, outer)
                bias = bias + spread_bias * outer
            return x @ weight + bias

        widths = [4, 16, 12]
        for index in range(self.encoder):
            x = torch.relu(x @ take(widths[index], widths[index + 1]) + take(widths[index + 1]))
        if taus is not None:
            angles = torch.pi * taus.unsqueeze(-1) * torch.arange(COSINES)  # [B, N, cosines]
            embedded = torch.relu(torch.cos(angles) @ take(COSINES, x.shape[1]) + take(x.shape[1]))
            late = self.case["values"]["mix"] == "after"  # then features are multiplied by 1 + embedding
            x = (embedded + late) * x.unsqueeze(1)  # [B, N, F]
        outs = []
        for stream in self.streams:
            y = x
            for index, shape in enumerate(stream):
                y = layer(y, shape)
                y = torch.relu(y) if index + 1 < len(stream) else y
            outs.append(y)
        assert at == self.flat.numel()
        advantage = outs[-1].reshape(ROWS, -1, ACTIONS)
        if len(outs) == 1:
            return advantage
        return outs[0].reshape(ROWS, -1, 1) + advantage - advantage.mean(2, keepdim=True)


def support():
    return torch.linspace(SUPPORT["low"], SUPPORT["high"], SUPPORT["atoms"])


def means(kind, outputs):
    if kind == "categorical":
        return (torch.softmax(outputs, 1) * support()[None, :, None]).sum(1)
    return outputs.mean(1)


def project(at, mass):
    """Masses at the returns `at`, both [B, M], on the support: each share of |1 - distance| to an atom, clipped."""
    step = (SUPPORT["high"] - SUPPORT["low"]) / (SUPPORT["atoms"] - 1)
    at = at.clamp(SUPPORT["low"], SUPPORT["high"])
    near = (1 - (at.unsqueeze(2) - support()).abs() / step).clamp(0, 1)  # [B, M, atoms]
    return (near * mass.unsqueeze(2)).sum(1)


def case(name, values, double=False, dueling=False, noisy=False, weighed=False, munchausen=False):
    kind = values["kind"]
    case = {
        "name": name, "values": values, "double": double, "dueling": dueling, "noisy": noisy, "weighed": weighed,
        "bootstrap": MUNCHAUSEN if munchausen else {"kind": "greedy"}, "steps": [],
    }
    online, target = Net(case, 1), Net(case, 51)
    adam = torch.optim.Adam([online.flat], lr=1e-3, betas=(0.9, 0.999), eps=1.5e-4)
    obs, action, reward, discount, following = batch("mlp", ROWS)
    weight = torch.tensor(0.25 + draws(ROWS, 120)) if weighed else torch.ones(ROWS)
    importance = (weight.min() / weight) ** BETA
    for step in range(2):
        def drawn(which, count):
            taus = torch.tensor(single(draws(ROWS * count, 301 + 10 * step + which))).reshape(ROWS, count)
            noise = torch.tensor(single(draws(online.noise_width, 305 + 10 * step + which) * 4 - 2))
            return {"taus": taus if kind == "implicit" else None, "noise": noise}

        with torch.no_grad():
            later = target.forward(following, **drawn(0, TAUS["target"] + (0 if double else TAUS["act"])))
            taken = later[:, : TAUS["target"]] if kind == "implicit" else later  # [B, W', A]
            if double:
                chooser = means(kind, online.forward(following, **drawn(1, TAUS["act"])))
            else:
                chooser = means(kind, later[:, TAUS["target"] :] if kind == "implicit" else later)
            bonus = torch.zeros(ROWS, ACTIONS)
            policy = torch.nn.functional.one_hot(chooser.argmax(1), ACTIONS).double()
            r = reward
            if munchausen:
                tau = MUNCHAUSEN["temperature"]
                policy = torch.softmax(chooser / tau, 1)
                bonus = -tau * torch.log_softmax(chooser / tau, 1)
                here = means(kind, target.forward(obs, **drawn(2, TAUS["act"])))
                log = torch.log_softmax(here / tau, 1).gather(1, action.unsqueeze(1)).squeeze(1)
                r = r + MUNCHAUSEN["alpha"] * (tau * log).clamp(MUNCHAUSEN["floor"], 0)
            if kind == "categorical":
                p = torch.softmax(taken, 1)
                at = r[:, None, None] + discount[:, None, None] * (support()[None, :, None] + bonus[:, None, :])
                y = project(at.reshape(ROWS, -1), (p * policy[:, None, :]).reshape(ROWS, -1))
            else:
                y = r[:, None] + discount[:, None] * (policy[:, None, :] * (taken + bonus[:, None, :])).sum(2)
        draw = drawn(3, TAUS["online"])
        outputs = online.forward(obs, **draw)
        z = outputs.gather(2, action[:, None, None].expand(-1, outputs.shape[1], 1)).squeeze(2)  # [B, W]
        if kind == "expected":
            each = torch.nn.functional.huber_loss(z, y, reduction="none", delta=1.0).squeeze(1)
            error = (z - y).abs().squeeze(1)
        elif kind == "categorical":
            each = -(y * torch.log_softmax(z, 1)).sum(1)
            error = each + torch.xlogy(y, y).sum(1)
        else:
            levels = (torch.arange(z.shape[1]) + 0.5) / z.shape[1]
            taus = draw["taus"] if kind == "implicit" else levels.expand(ROWS, -1)
            u = y.unsqueeze(1) - z.unsqueeze(2)  # [B, W, W']
            huber = torch.nn.functional.huber_loss(u, torch.zeros_like(u), reduction="none", delta=1.0)
            each = ((taus.unsqueeze(2) - (u.detach() < 0).double()).abs() * huber).mean(2).sum(1)
            error = each
        loss = (importance * each).mean()
        adam.zero_grad()
        loss.backward()
        grad = online.flat.grad.clone()
        adam.step()
        case["steps"].append({
            "target": short(y.flatten()),
            "loss": loss.item(),
            "norm": float(grad.norm()),
            "errors": short(error.detach()),
            "grad": short(grad[::EVERY]),
            "params": short(online.flat.detach()[::EVERY]),
        })
    return case


def main():
    expected, quantiles = {"kind": "expected"}, {"kind": "quantiles", "count": 4}
    categorical = {"kind": "categorical", **SUPPORT}
    before, after = ({"kind": "implicit", **TAUS, "cosines": COSINES, "mix": mix} for mix in ("before", "after"))
    cases = [
        case("dueling", expected, dueling=True),
        case("priorities", expected, double=True, weighed=True),
        case("noisy", expected, double=True, noisy=True),
        case("munchausen", expected, munchausen=True),
        case("c51", categorical),
        case("rainbow", categorical, double=True, dueling=True, noisy=True, weighed=True),
        case("munchausen c51", categorical, munchausen=True, weighed=True),
        case("qrdqn", quantiles),
        case("dueling qrdqn", quantiles, double=True, dueling=True, weighed=True),
        case("munchausen qrdqn", quantiles, munchausen=True),
        case("iqn as published", before),
        case("iqn mixed late", after, double=True),
        case("dueling noisy iqn", before, double=True, dueling=True, noisy=True, weighed=True),
        case("munchausen iqn", after, munchausen=True, dueling=True, weighed=True),
    ]
    path = pathlib.Path(__file__).with_name("family.json")
    path.write_text(json.dumps({"every": EVERY, "beta": BETA, "cases": cases}, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
