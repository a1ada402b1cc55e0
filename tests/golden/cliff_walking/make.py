"""Writes tables.json beside this file: Gymnasium's whole transition table of the firm and of the slippery cliff.

    pip install gymnasium==1.4.0 && python make.py
"""

import json
import pathlib

import gymnasium
from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv


def table(slippery):
    env = CliffWalkingEnv(is_slippery=slippery)
    rows = [
        [[[float(p), int(next), float(r), bool(end)] for p, next, r, end in env.P[s][a]] for a in range(env.nA)]
        for s in range(env.nS)
    ]
    return {"slippery": slippery, "start": env.initial_state_distrib.tolist(), "table": rows}


golden = {"gymnasium": gymnasium.__version__, "cliffs": [table(slippery) for slippery in (False, True)]}
text = json.dumps(golden).replace('{"slippery"', '\n{"slippery"').replace(', "table"', ',\n"table"')
pathlib.Path(__file__).with_name("tables.json").write_text(text + "\n")
