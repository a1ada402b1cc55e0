"""Writes tables.json beside this file: Gymnasium's whole transition table for several lakes.

    pip install gymnasium==1.4.0 && python make.py
"""

import json
import pathlib

import gymnasium
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

PLAIN = {"slippery": True, "success_rate": 1.0 / 3.0, "reward_schedule": [1, 0, 0]}
LAKES = [
    {"map": "4x4", **PLAIN},
    {"map": "8x8", **PLAIN},
    {"map": "4x4", **PLAIN, "slippery": False},
    {"map": "8x8", **PLAIN, "slippery": False, "success_rate": 0.2},
    {"map": "4x4", **PLAIN, "success_rate": 0.75, "reward_schedule": [2.5, -1, -0.125]},
    {"map": "4x4", **PLAIN, "success_rate": 1.0},
    {"map": "8x8", **PLAIN, "success_rate": 0.0, "reward_schedule": [10, -5, -1]},
    {"map": ["SFFFS", "FHGHF", "FFFFG"], **PLAIN, "reward_schedule": [3, -2, -1]},
    {"map": ["SG"], **PLAIN},
]


def table(lake):
    named = isinstance(lake["map"], str)
    env = FrozenLakeEnv(
        desc=None if named else lake["map"],
        map_name=lake["map"] if named else None,
        is_slippery=lake["slippery"],
        success_rate=lake["success_rate"],
        reward_schedule=tuple(lake["reward_schedule"]),
    )
    states, actions = int(env.observation_space.n), int(env.action_space.n)
    rows = [
        [[[float(p), int(next), float(r), bool(end)] for p, next, r, end in env.P[s][a]] for a in range(actions)]
        for s in range(states)
    ]
    return {"config": lake, "start": env.initial_state_distrib.tolist(), "table": rows}


golden = {"gymnasium": gymnasium.__version__, "lakes": [table(lake) for lake in LAKES]}
text = json.dumps(golden).replace('{"config"', '\n{"config"').replace(', "table"', ',\n"table"')
pathlib.Path(__file__).with_name("tables.json").write_text(text + "\n")
