"""Writes a file per environment beside this one: whole episodes of Gymnasium's classic control from given states.

    pip install gymnasium==1.4.0 && python make.py

An episode holds its `config`, the `start` as f64, and for each of its `actions` the `rewards` and what was `shown` (f32).
"""

import json
import math
import pathlib
import random
import warnings

import gymnasium
import numpy as np

warnings.filterwarnings("ignore")  # some actions lie beyond their bounds on purpose

VALLEY = {
    "pump": lambda shown, _rng: 1 if shown[1] >= 0 else -1,
    "random": lambda _shown, rng: rng.choice([-1, 0, 1]),
    "left": lambda _shown, _rng: -1,
    "coast": lambda _shown, _rng: 0,
    "real": lambda _shown, rng: rng.uniform(-1, 1),
    "over": lambda shown, _rng: 1.75 if shown[1] >= 0 else -2.5,
    "half": lambda shown, _rng: 0.5 if shown[1] >= 0 else -0.5,
}
ACROBOT = {
    "swing": lambda shown, _rng: 2 if shown[4] + 0.5 * shown[5] < 0 else 0,
    "random": lambda _shown, rng: rng.randrange(3),
    "coast": lambda _shown, _rng: 1,
    "left": lambda _shown, _rng: 0,
}


def energy(shown, _rng):
    """Swings up by energy, then balances."""
    cos, sin, speed = shown
    if cos > 0.9:
        return -12 * math.atan2(sin, cos) - 3 * speed
    return 2 if speed * (15 * (1 - cos) - speed * speed / 2) > 0 else -2


PENDULUM = {
    "energy": energy,
    "random": lambda _shown, rng: rng.uniform(-2, 2),
    "over": lambda _shown, rng: rng.choice([-5, 3]),
    "coast": lambda _shown, _rng: 0,
}


def discrete(number):
    return number + 1


def real(number):
    return np.array([number], dtype=np.float32)


def f64(start):
    return np.array(start, dtype=np.float64)


def f32(start):
    return np.array(start, dtype=np.float32)


# Name of the file; name at Gymnasium, policies, how a number becomes an action and a start a state; the episodes.
RUNS = {
    "mountaincar": ("MountainCar-v0", VALLEY, discrete, f64, [
        ({"goal_velocity": 0.0}, "pump", [-0.5, 0.0]),
        ({"goal_velocity": 0.0}, "pump", [-0.43, 0.0]),
        ({"goal_velocity": 0.05}, "pump", [-0.57, 0.0]),
        ({"goal_velocity": 0.03}, "random", [0.4, 0.069]),
        ({"goal_velocity": 0.0}, "random", [-0.6, 0.0]),
        ({"goal_velocity": 0.0}, "left", [-1.1, -0.06]),
        ({"goal_velocity": 0.07}, "pump", [0.3, 0.07]),
        ({"goal_velocity": 0.0}, "coast", [-0.4, 0.0]),
        ({"goal_velocity": 0.07}, "pump", [0.5, 0.03]),  # against the end of the road
    ]),
    "mountaincar-continuous": ("MountainCarContinuous-v0", VALLEY, real, f64, [
        ({"goal_velocity": 0.0}, "pump", [-0.5, 0.0]),
        ({"goal_velocity": 0.02}, "over", [-0.57, 0.0]),
        ({"goal_velocity": 0.0}, "half", [-0.43, 0.0]),
        ({"goal_velocity": 0.0}, "real", [-0.6, 0.0]),
        ({"goal_velocity": 0.0}, "left", [-1.1, -0.06]),
        ({"goal_velocity": 0.0}, "over", [-0.41234567890123, 0.0]),
        ({"goal_velocity": 0.0}, "pump", [0.3, 0.07]),
        ({"goal_velocity": 0.07}, "pump", [0.5, 0.03]),  # against the end of the road
    ]),
    "acrobot": ("Acrobot-v1", ACROBOT, lambda number: number, f32, [
        ({"torque_noise": 0.0}, "swing", [0.05, -0.02, 0.01, 0.03]),
        ({"torque_noise": 0.0}, "swing", [-0.1, 0.1, 0.1, -0.1]),
        ({"torque_noise": 0.0}, "random", [0.01, 0.02, 0.03, 0.04]),
        ({"torque_noise": 0.0}, "coast", [0.1, -0.1, 0.0, 0.1]),
        ({"torque_noise": 0.0}, "left", [3.0, -3.0, 12.0, -28.0]),
    ]),
    "pendulum": ("Pendulum-v1", PENDULUM, real, f64, [
        ({"g": 10.0}, "energy", [3.0, 0.5]),
        ({"g": 10.0}, "random", [-1.2, -1.0]),
        ({"g": 9.81}, "energy", [-2.0, 0.9]),
        ({"g": 9.81}, "over", [0.1, 0.0]),
        ({"g": 0.0}, "over", [-3.1, 1.0]),
        ({"g": 10.0}, "coast", [2.5, 0.0]),
    ]),
}


def episode(name, policies, act, kind, config, policy, start):
    keywords = {} if name == "Acrobot-v1" else config  # torque_noise_max is an attribute, 0 by default
    env, rng = gymnasium.make(name, disable_env_checker=True, **keywords), random.Random(7)
    env.reset(seed=0)
    env.unwrapped.state = kind(start)
    first = env.unwrapped._get_obs() if name == "Pendulum-v1" else start
    first = env.unwrapped._get_ob() if name == "Acrobot-v1" else first
    actions, rewards, seen, over = [], [], [first], False
    while not over:
        action = act(policies[policy](seen[-1], rng))
        shown, reward, terminated, truncated, _ = env.step(action)
        actions.append(action.item() if isinstance(action, np.ndarray) else action)
        rewards.append(float(reward))
        seen.append(shown)
        over = terminated or truncated
    return {
        "config": {**config, "max_steps": env.spec.max_episode_steps},
        "policy": policy,
        "end": "terminated" if terminated else "truncated",
        "start": kind(start).tolist(),
        "actions": actions,
        "rewards": rewards,
        "shown": [[float(f"{value:.9g}") for value in shown.tolist()] for shown in seen[1:]],  # nine digits fix an f32
    }


for file, (*how, runs) in RUNS.items():
    golden = {"gymnasium": gymnasium.__version__, "episodes": [episode(*how, *run) for run in runs]}
    text = json.dumps(golden).replace('{"config"', '\n{"config"')
    pathlib.Path(__file__).with_name(f"{file}.json").write_text(text + "\n")
    for run in golden["episodes"]:
        print(file, run["config"], run["policy"], len(run["actions"]), run["end"], run["shown"][-1])
