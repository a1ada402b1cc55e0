#!/usr/bin/env python3
"""Writes dopamine-AGENT.json beside this file: the training curves on Kung Fu Master that Dopamine publishes, for
`rl-run plot --beside`.

Usage: dopamine.py CHECKOUT      (a clone of google/dopamine on GitHub; Apache-2.0)

Its files hold, for each of five seeds, the mean return of the training episodes of an iteration of 250,000 agent steps, that is a
million frames; the value stands in the middle of its iteration here. `low` and `high` are the lowest and highest seed. Each agent
was trained twice, years apart: both curves are in its file."""
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

FILES = ["kungfumaster.json", "kungfumaster_CNN.json"]
# Our agent, and its name and year in each of those files. Those of 2018 are the TensorFlow agents, the others are in JAX.
OURS = [
    ("dqn", [("DQN (Adam + MSE in JAX)", 2021), ("DQN", 2024)]),
    ("rainbow", [("Rainbow", 2018), ("Rainbow", 2024)]),
    ("c51", [("C51", 2018), ("C51", 2024)]),
    ("qrdqn", [("Quantile (JAX)", 2020), ("QR-DQN", 2024)]),
    ("iqn", [("IQN", 2018), ("IQN", 2024)]),
]

checkout = Path(sys.argv[1])


def curve(agent, theirs, year, name):
    """One of their agents' curve over its first 50 iterations."""
    iterations = defaultdict(list)
    for row in json.loads((checkout / "baselines/atari/data" / name).read_text()):
        if row["Agent"] == theirs:
            iterations[row["Iteration"]].append(row["Value"])
    assert all(len(values) == 5 for values in iterations.values()), theirs
    rows = [(i, values) for i, values in sorted(iterations.items()) if i < 50]
    return {
        "name": f"Dopamine's {theirs.split(' (')[0]} of {year}, range of 5 seeds",
        "env": "atari/kung_fu_master",
        "agent": agent,
        "source": f"google/dopamine, baselines/atari/data/{name}",
        "along": "frames",
        "x": [1e6 * i + 5e5 for i, _ in rows],
        "mean": [round(statistics.mean(values), 1) for _, values in rows],
        "low": [round(min(values), 1) for _, values in rows],
        "high": [round(max(values), 1) for _, values in rows],
    }


for agent, names in OURS:
    curves = [curve(agent, *theirs, name) for theirs, name in zip(names, FILES, strict=True)]
    path = Path(__file__).with_name(f"dopamine-{agent}.json")
    path.write_text(json.dumps(curves, separators=(",", ":")) + "\n")
