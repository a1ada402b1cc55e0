"""Writes episodes.json beside this file: whole episodes of Gymnasium's CartPole from given states.

    pip install gymnasium==1.4.0 && python make.py

`states[0]` is where an episode starts and `states[t + 1]`, `rewards[t]` answer `actions[t]`, all as f64.
"""

import json
import pathlib
import random

import gymnasium
import numpy as np


def balance(state, _rng):
    """Keeps the pole up for as long as it is asked to."""
    x, x_dot, angle, angle_dot = state
    return int(angle + 0.3 * angle_dot + 0.02 * x + 0.06 * x_dot > 0)


POLICIES = {
    "balance": balance,
    "random": lambda _state, rng: rng.randrange(2),
    "left": lambda _state, _rng: 0,
    "right": lambda _state, _rng: 1,
    "lean": lambda state, _rng: int(state[2] + 0.3 * state[3] > -0.06),  # drifts off the track
}
RUNS = [
    ("CartPole-v1", False, "balance", [0.03, -0.02, 0.04, 0.01]),
    ("CartPole-v0", False, "balance", [-0.04, 0.04, -0.03, 0.02]),
    ("CartPole-v1", True, "balance", [0.01, 0.0, -0.05, 0.05]),
    ("CartPole-v1", True, "random", [0.01, 0.02, 0.03, 0.04]),
    ("CartPole-v1", False, "random", [-0.05, 0.05, -0.05, 0.05]),
    ("CartPole-v1", False, "left", [0.0, 0.0, 0.0, 0.0]),
    ("CartPole-v1", True, "right", [0.049, -0.049, 0.049, -0.049]),
    ("CartPole-v1", False, "lean", [0.0, 0.0, 0.0, 0.0]),
    ("CartPole-v1", False, "balance", [2.39, 1.0, 0.2, -1.5]),
    ("CartPole-v1", False, "right", [-2.4, -3.0, 0.2094, 3.0]),
]


def episode(name, sutton_barto, policy, start):
    env, rng = gymnasium.make(name, sutton_barto_reward=sutton_barto), random.Random(7)
    env.reset(seed=0)
    env.unwrapped.state = np.array(start, dtype=np.float64)
    actions, states, rewards, over = [], [start], [], False
    while not over:
        actions.append(POLICIES[policy](env.unwrapped.state, rng))
        shown, reward, terminated, truncated, _ = env.step(actions[-1])
        assert (shown == env.unwrapped.state.astype(np.float32)).all()
        states.append(env.unwrapped.state.tolist())
        rewards.append(float(reward))
        over = terminated or truncated
    return {
        "max_steps": env.spec.max_episode_steps,
        "sutton_barto_reward": sutton_barto,
        "policy": policy,
        "end": "terminated" if terminated else "truncated",
        "actions": actions,
        "rewards": rewards,
        "states": states,
    }


golden = {"gymnasium": gymnasium.__version__, "episodes": [episode(*run) for run in RUNS]}
text = json.dumps(golden).replace('{"max_steps"', '\n{"max_steps"')
pathlib.Path(__file__).with_name("episodes.json").write_text(text + "\n")
for run in golden["episodes"]:
    print(run["policy"], run["max_steps"], len(run["actions"]), run["end"], run["states"][-1])
