"""Writes tables.json beside this file: how Gymnasium's taxi turns out, state by state.

    pip install gymnasium==1.4.0 && python make.py

`table[state][action]` is Gymnasium's own table where the passenger is not fickle, and `mask[state]` its action mask. For a
fickle passenger Gymnasium has no table: `fickle[state][action]`, of the states with the passenger aboard, comes from its `step`
under every number that it may draw, weighted by the probability that the passenger is one of those who change their mind. Of
other states, and of passengers who have moved before, the script sees that it is the table.
"""

import json
import pathlib
from collections import defaultdict

import gymnasium
from gymnasium.envs.toy_text.taxi import TaxiEnv

ABOARD = 4


class Draws:
    """A generator that answers what it is told to."""

    def __init__(self, number, choice):
        self.number, self.index = number, choice

    def random(self):
        return self.number

    def choice(self, options):
        assert len(options) == 3
        return options[self.index]


def turns_out(env, state, action, fickle):
    """Probability of each next state, reward and end, by stepping."""
    found, low = defaultdict(float), 0.0
    for p, *_ in env.P[state][action]:
        for choice in range(3):
            env.s, env.fickle_step, env._np_random = state, fickle, Draws(low + p / 2, choice)
            next, reward, terminated, truncated, _ = env.step(action)
            assert not truncated
            found[int(next), float(reward), bool(terminated)] += p / 3
        low += p
    return found


def merged(outcomes):
    found = defaultdict(float)
    for p, next, reward, end in outcomes:
        found[int(next), float(reward), bool(end)] += p
    return found


def close(one, other):
    return one.keys() == other.keys() and all(abs(one[key] - other[key]) < 1e-12 for key in one)


def case(config):
    env = TaxiEnv(
        is_rainy=config["rainy"],
        rainy_probability=config["rainy_probability"],
        fickle_passenger=config["fickle"],
        fickle_probability=config["fickle_probability"],
    )
    states, actions = range(env.observation_space.n), range(env.action_space.n)
    out = {"config": config}
    if not config["fickle"]:
        out["start"] = env.initial_state_distrib.tolist()
        out["mask"] = [env.action_mask(s).tolist() for s in states]
        out["table"] = [
            [[[float(p), int(next), float(r), bool(end)] for p, next, r, end in env.P[s][a]] for a in actions]
            for s in states
        ]
        return out
    out["fickle"] = {}
    for s in states:
        rows = []
        for a in actions:
            plain, changing = turns_out(env, s, a, False), turns_out(env, s, a, True)
            assert close(plain, merged(env.P[s][a]))
            if env.decode(s)[2] != ABOARD:
                assert close(changing, plain)
            share = config["fickle_probability"]
            both = defaultdict(float)
            for found, weight in ((plain, 1 - share), (changing, share)):
                for key, p in found.items():
                    both[key] += weight * p
            rows.append([[p, *key] for key, p in sorted(both.items())])
        if env.decode(s)[2] == ABOARD:
            out["fickle"][s] = rows
    return out


PLAIN = {"rainy": False, "rainy_probability": 0.8, "fickle": False, "fickle_probability": 0.3}
CASES = [
    PLAIN,
    {**PLAIN, "rainy": True},
    {**PLAIN, "fickle": True},
    {**PLAIN, "rainy": True, "rainy_probability": 0.5, "fickle": True, "fickle_probability": 0.6},
]
golden = {"gymnasium": gymnasium.__version__, "cases": [case(config) for config in CASES]}
text = json.dumps(golden, separators=(",", ":")).replace('{"config"', '\n{"config"')
for key in ("start", "mask", "table", "fickle"):
    text = text.replace(f',"{key}":', f',\n"{key}":')
pathlib.Path(__file__).with_name("tables.json").write_text(text + "\n")
