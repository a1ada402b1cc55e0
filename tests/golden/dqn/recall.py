"""Writes recall.json: updates of DQN with a memory on sequences, by PyTorch in double precision.

The rows of two seats come from the hash of inputs.py. Here every sequence is unrolled cell by cell, row by row, and every
return added up by its definition, from the rows alone: the naive form of what the suite does with a ring.

    python recall.py        # needs torch and numpy
"""

import json
import pathlib

import numpy as np
import torch
from family import BETA, COSINES, MUNCHAUSEN, SUPPORT, TAUS, means, project, support
from inputs import draws, fill_each, short, single

SEATS, ROWS, ACTIONS, UNITS, EVERY = 2, 27, 3, 6, 7
BURN_IN, STEPS, PERIOD, ETA, N_STEP, GAMMA = 2, 4, 3, 0.9, 2, 0.97
GATES = {"gru": 3, "lstm": 4}


def apply(x):
    return torch.sign(x) * (torch.sqrt(x.abs() + 1) - 1) + 1e-3 * x


def undo(y):
    root = (torch.sqrt(1 + 4e-3 * (y.abs() + 1 + 1e-3)) - 1) / 2e-3
    return torch.sign(y) * (root**2 - 1)


class Net:
    """encoder.fc1, (fc2,) memory, (tau,) streams; parameters as one flat leaf tensor."""

    def __init__(self, case, salt):
        self.kind, self.memory = case["values"]["kind"], case["memory"]
        self.width = {"categorical": SUPPORT["atoms"], "quantiles": 4}.get(self.kind, 1)
        own = case["dueling"]
        self.encoder = [(4, 16)] if own else [(4, 16), (16, 12)]
        inputs, n = self.encoder[-1][1], GATES[self.memory] * UNITS
        shapes = [part for shape in self.encoder for part in (shape, shape[1:])]
        shapes += [(inputs, n), (UNITS, n), (n,)] + ([(n,)] if self.memory == "gru" else [])
        if self.kind == "implicit":
            shapes += [(COSINES, UNITS), (UNITS,)]
        self.streams = []
        for outputs in ([self.width] if own else []) + [self.width * ACTIONS]:
            self.streams.append([(UNITS, 12), (12, outputs)] if own else [(UNITS, outputs)])
        shapes += [part for stream in self.streams for shape in stream for part in (shape, shape[1:])]
        self.shapes = shapes
        self.flat = torch.tensor(fill_each(shapes, salt), requires_grad=True)

    def parts(self):
        at, parts = 0, []
        for shape in self.shapes:
            size = int(np.prod(shape))
            parts.append(self.flat[at : at + size].reshape(shape))
            at += size
        assert at == self.flat.numel()
        return iter(parts)

    def step(self, x, state, taus=None):
        """One row `x [4]` and state `[S]` to `[W, A]` and the state after it."""
        parts = self.parts()
        for _ in self.encoder:
            x = torch.relu(x @ next(parts) + next(parts))
        weights = [next(parts).T, next(parts).T, next(parts)]
        weights.append(next(parts) if self.memory == "gru" else torch.zeros_like(weights[2]))
        x, state = x[None], state[None]
        if self.memory == "gru":
            state = torch.gru_cell(x, state, *weights)
        else:
            state = torch.cat(torch.lstm_cell(x, (state[:, :UNITS], state[:, UNITS:]), *weights), 1)
        y = state[:, :UNITS]
        if taus is not None:
            angles = torch.pi * taus[:, None] * torch.arange(COSINES)
            y = y * (1 + torch.relu(torch.cos(angles) @ next(parts) + next(parts)))  # [N, UNITS], mixed in late
        outs = []
        for stream in self.streams:
            z = y
            for index, _ in enumerate(stream):
                z = z @ next(parts) + next(parts)
                z = torch.relu(z) if index + 1 < len(stream) else z
            outs.append(z)
        advantage = outs[-1].reshape(-1, ACTIONS)
        if len(outs) == 2:
            advantage = outs[0].reshape(-1, 1) + advantage - advantage.mean(1, keepdim=True)
        return advantage, state[0]


def world():
    """Rows of both seats under next-step autoreset."""
    count = ROWS * SEATS
    reward = single(draws(count, 402) * 40 - 20).reshape(ROWS, SEATS)
    kind = draws(count, 403).reshape(ROWS, SEATS)
    age = np.zeros((ROWS, SEATS), dtype=int)
    end = np.full((ROWS, SEATS), "no", dtype=object)
    for seat in range(SEATS):
        for row in range(ROWS):
            over = row == 0 or end[row - 1, seat] in ("terminated", "truncated")
            age[row, seat] = 0 if over else age[row - 1, seat] + 1
            k = kind[row, seat]
            end[row, seat] = "no" if over or k > 0.2 else "terminated" if k < 0.1 else "truncated"
            reward[row, seat] = 0.0 if over else reward[row, seat]
    return {
        "obs": torch.tensor(single(draws(count * 4, 401) * 4 - 2)).reshape(ROWS, SEATS, 4),
        "reward": reward,
        "age": age,
        "end": end,
        "action": (draws(count, 404) * ACTIONS).astype(int).reshape(ROWS, SEATS),
    }


def step_return(world, at, seat):
    """Return, discount and last row of the step from `at`, or None where no step is taken."""
    if world["end"][at, seat] in ("terminated", "truncated"):
        return None
    total, discount = 0.0, 1.0
    for k in range(1, N_STEP + 1):
        total += discount * world["reward"][at + k, seat]
        discount *= GAMMA
        if world["end"][at + k, seat] == "terminated":
            return total, 0.0, at + k
        if world["end"][at + k, seat] == "truncated":
            break
    return total, discount, at + k


def unroll(net, world, first, seat, state, taus):
    """[T, W, A]: every row of a sequence; no gradient passes through the rows of the burn-in."""
    out = []
    for t in range(BURN_IN + STEPS + N_STEP):
        if t == BURN_IN:
            state = state.detach()
        if world["age"][first + t, seat] == 0:
            state = torch.zeros_like(state)
        z, state = net.step(world["obs"][first + t, seat], state, taus(t))
        out.append(z)
    return torch.stack(out)


def case(name, memory, values, double=False, dueling=False, rescale=False, weighed=False, munchausen=False):
    kind = values["kind"]
    case = {
        "name": name, "memory": memory, "values": values, "double": double, "dueling": dueling, "rescale": rescale,
        "weighed": weighed, "bootstrap": MUNCHAUSEN if munchausen else {"kind": "greedy"}, "steps": [],
    }
    rows = world()
    width = UNITS * (2 if memory == "lstm" else 1)
    states = torch.tensor(single(draws(ROWS * SEATS * width, 405) * 2 - 1)).reshape(ROWS, SEATS, width)
    total = BURN_IN + STEPS + N_STEP
    learned = range(BURN_IN, BURN_IN + STEPS)
    firsts = [
        (first, seat)
        for first in range(0, ROWS - total + 1, PERIOD)
        for seat in range(SEATS)
        if any(step_return(rows, first + t, seat) for t in learned)
    ]
    count = len(firsts)
    steps = [
        (t, b, *step_return(rows, first + t, seat))
        for t in learned
        for b, (first, seat) in enumerate(firsts)
        if step_return(rows, first + t, seat)
    ]
    case["sequences"], case["taken"] = count, len(steps)
    weight = torch.tensor(0.25 + draws(count, 420)) if weighed else torch.ones(count)
    importance = (weight.min() / weight) ** BETA
    do, un = (apply, undo) if rescale else (lambda x: x, lambda x: x)
    online, target = Net(case, 1), Net(case, 51)
    adam = torch.optim.Adam([online.flat], lr=1e-3, betas=(0.9, 0.999), eps=1.5e-4)
    for number in range(2):
        def drawn(which, of, each):
            if kind != "implicit":
                return None
            return torch.tensor(single(draws(of * each, 301 + 10 * number + which))).reshape(of, each)

        def values_of(net, taus):
            each = lambda b: lambda t: None if taus is None else taus[t * count + b]
            return torch.stack([unroll(net, rows, *firsts[b], states[firsts[b]], each(b)) for b in range(count)], 1)

        with torch.no_grad():
            later = values_of(target, drawn(0, total * count, TAUS["target"] + (0 if double else TAUS["act"])))
            own = later[:, :, : TAUS["target"]] if kind == "implicit" else later  # [T, B, W', A]
            if double:
                chooser = values_of(online, drawn(1, total * count, TAUS["act"]))
            else:
                chooser = later[:, :, TAUS["target"] :] if kind == "implicit" else later
            chooser = means(kind, chooser.flatten(0, 1)).reshape(total, count, ACTIONS)
        taus = drawn(3, len(steps), TAUS["online"])
        if kind == "implicit":
            places = {(t, b): m for m, (t, b, *_) in enumerate(steps)}
            some = taus[:1]
            each = lambda b: lambda t: taus[places[t, b]] if (t, b) in places else some[0]
            said = torch.stack([unroll(online, rows, *firsts[b], states[firsts[b]], each(b)) for b in range(count)], 1)
        else:
            said = values_of(online, None)
        targets, losses, errors = [], [], [[] for _ in range(count)]
        for m, (t, b, ret, discount, last) in enumerate(steps):
            first, seat = firsts[b]
            action = rows["action"][first + t, seat]
            ahead, chosen = own[last - first, b], chooser[last - first, b]  # [W', A] and [A]
            policy, bonus = torch.nn.functional.one_hot(chosen.argmax(), ACTIONS).double(), torch.zeros(ACTIONS)
            if munchausen:
                tau = MUNCHAUSEN["temperature"]
                policy, bonus = torch.softmax(chosen / tau, 0), -tau * torch.log_softmax(chosen / tau, 0)
                log = torch.log_softmax(chooser[t, b] / tau, 0)[action]
                ret = ret + MUNCHAUSEN["alpha"] * float((tau * log).clamp(MUNCHAUSEN["floor"], 0))
            if kind == "categorical":
                p = torch.softmax(ahead, 0) * policy
                at = do(ret + discount * (un(support())[:, None] + bonus))
                y = project(at.reshape(1, -1), p.reshape(1, -1))[0]
            else:
                y = do(ret + discount * (policy * (un(ahead) + bonus)).sum(1))
            z = said[t, b, :, action]
            if kind == "categorical":
                loss = -(y * torch.log_softmax(z, 0)).sum()
                error = loss + torch.xlogy(y, y).sum()
            elif kind == "expected":
                loss = torch.nn.functional.huber_loss(z, y, reduction="sum", delta=1.0)
                error = (z - y).abs().sum()
            else:
                levels = taus[m] if kind == "implicit" else (torch.arange(len(z)) + 0.5) / len(z)
                u = y[None, :] - z[:, None]
                huber = torch.nn.functional.huber_loss(u, torch.zeros_like(u), reduction="none", delta=1.0)
                loss = error = ((levels[:, None] - (u.detach() < 0).double()).abs() * huber).mean(1).sum()
            targets.append(y)
            losses.append(importance[b] * loss)
            errors[b].append(error.item())
        loss = torch.stack(losses).mean()
        adam.zero_grad()
        loss.backward()
        grad = online.flat.grad.clone()
        adam.step()
        case["steps"].append({
            "target": short(torch.cat(targets)),
            "loss": loss.item(),
            "norm": float(grad.norm()),
            "errors": [ETA * max(e) + (1 - ETA) * sum(e) / len(e) for e in errors],
            "grad": short(grad[::EVERY]),
            "params": short(online.flat.detach()[::EVERY]),
        })
    return case


def main():
    expected, quantiles = {"kind": "expected"}, {"kind": "quantiles", "count": 4}
    categorical = {"kind": "categorical", **SUPPORT}
    implicit = {"kind": "implicit", **TAUS, "cosines": COSINES, "mix": "after"}
    golden = {
        "every": EVERY, "beta": BETA, "rows": ROWS, "units": UNITS, "burn_in": BURN_IN, "length": STEPS, "period": PERIOD,
        "eta": ETA, "n_step": N_STEP, "gamma": GAMMA, "age": world()["age"].tolist(), "end": world()["end"].tolist(),
        "cases": [
            case("r2d2", "gru", expected, double=True, dueling=True, rescale=True, weighed=True),
            case("plain", "lstm", expected),
            case("c51", "gru", categorical, double=True, rescale=True),
            case("qrdqn", "lstm", quantiles, rescale=True, weighed=True),
            case("munchausen", "gru", expected, munchausen=True),
            case("iqn", "lstm", implicit, double=True),
        ],
    }
    path = pathlib.Path(__file__).with_name("recall.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes", [(c["sequences"], c["taken"]) for c in golden["cases"]])


if __name__ == "__main__":
    main()
