"""Writes golden.json: V-trace targets and advantages of one seat by their definition, in double precision.

The target is eq. 1 of Espeholt et al. 2018 as it stands there: a sum over what follows a step, each error times the product
of the traces before it. Inputs come from the hash of inputs.py, as single precision holds them.

    python make.py        # needs numpy
"""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from inputs import draws, short, single  # noqa: E402

ROWS = 40


def case(gamma, lam, rho_bar, c_bar, life_terminal):
    reward = single(draws(ROWS, 201) * 4 - 2)
    value = single(draws(ROWS, 203) * 10 - 5)
    ratio = single(np.exp(draws(ROWS - 1, 204) * 3 - 1.5))
    kind = draws(ROWS, 202)
    end = ["terminated" if k < 0.1 else "truncated" if k < 0.2 else "life_lost" if k < 0.3 else "no" for k in kind]
    age, over = [], True
    for row in range(ROWS):
        age.append(0 if over else age[-1] + 1)
        if over:
            end[row], reward[row] = "no", 0.0
        over = end[row] in ("terminated", "truncated")

    def dead(row):
        return end[row] == "terminated" or (life_terminal and end[row] == "life_lost")

    def follows(row):
        return row < ROWS - 1 and not dead(row) and end[row] != "truncated"

    def delta(t):
        return reward[t + 1] + gamma * (0.0 if dead(t + 1) else value[t + 1]) - value[t]

    def target(start):
        total, weight, t = value[start], 1.0, start
        while True:
            total += weight * min(rho_bar, ratio[t]) * delta(t)
            weight *= gamma * lam * min(c_bar, ratio[t])
            t += 1
            if not follows(t):
                return total

    steps = []
    for t in range(ROWS - 1):
        if age[t + 1] == 0:
            steps.append(None)
            continue
        after = t + 1
        if dead(after):
            bootstrap = 0.0
        elif follows(after):
            bootstrap = lam * target(after) + (1 - lam) * value[after]
        else:
            bootstrap = value[after]
        advantage = min(rho_bar, ratio[t]) * (reward[after] + gamma * bootstrap - value[t])
        steps.append(short(np.array([target(t), advantage])))
    return {
        "gamma": gamma, "lambda": lam, "rho": rho_bar, "c": c_bar, "life_terminal": life_terminal, "age": age, "end": end,
        "reward": reward.tolist(), "value": value.tolist(), "ratio": ratio.tolist(), "steps": steps,
    }


def main():
    cases = [
        case(0.99, 1.0, 1.0, 1.0, False),
        case(0.9, 0.95, 2.5, 1.5, True),
        case(0.99, 0.5, 0.8, 1.0, False),
        case(0.99, 1.0, 3.0, 0.6, True),
    ]
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
