#!/usr/bin/env python3
"""Writes dopamine-AGENT.json beside this file: the training curves on Kung Fu Master that Dopamine publishes, for
`rl-run plot --beside`.

Usage: dopamine.py CHECKOUT      (a clone of google/dopamine on GitHub; Apache-2.0)

Its files hold, for each of five seeds, the mean return of the training episodes of an iteration of 250,000 agent steps, that is a
million frames; the value stands in the middle of its iteration here. `low` and `high` are the lowest and highest seed."""
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

# Our agent, their file, their name for it.
CURVES = [
    ("dqn", "kungfumaster.json", "DQN (Adam + MSE in JAX)"),
    ("rainbow", "kungfumaster.json", "Rainbow"),
    ("c51", "kungfumaster.json", "C51"),
    ("qrdqn", "kungfumaster.json", "Quantile (JAX)"),
    ("iqn", "kungfumaster.json", "IQN"),
]

checkout = Path(sys.argv[1])
for agent, name, theirs in CURVES:
    iterations = defaultdict(list)
    for row in json.loads((checkout / "baselines/atari/data" / name).read_text()):
        if row["Agent"] == theirs:
            iterations[row["Iteration"]].append(row["Value"])
    assert all(len(values) == 5 for values in iterations.values()), theirs
    rows = [(i, values) for i, values in sorted(iterations.items()) if i < 50]
    curve = {
        "name": f"Dopamine's {theirs}, lowest to highest of 5 seeds",
        "env": "atari/kung_fu_master",
        "agent": agent,
        "source": f"google/dopamine, baselines/atari/data/{name}",
        "along": "frames",
        "x": [1e6 * i + 5e5 for i, _ in rows],
        "mean": [round(statistics.mean(values), 1) for _, values in rows],
        "low": [round(min(values), 1) for _, values in rows],
        "high": [round(max(values), 1) for _, values in rows],
    }
    path = Path(__file__).with_name(f"dopamine-{agent}.json")
    path.write_text(json.dumps([curve], separators=(",", ":")) + "\n")
