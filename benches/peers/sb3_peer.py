"""Agent steps per second of Stable-Baselines3's DQN on Kung Fu Master, acting and learning.

The settings are those of our row: batch 32, one update per 4 agent steps, plain single-step targets, sticky actions, no
end at a lost life. The replay is small, so that it fits into memory (this one keeps every frame eight times); its size
does not change the work. With 8 seats a round has two updates, which is the same ratio.
"""

from __future__ import annotations

import argparse
import time

import ale_py
import gymnasium
import serve
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

REPLAY = 10_000
STARTS = 1_000  # agent steps before the first update
PERIOD = 4  # agent steps per update


class Clock(BaseCallback):
    """Ends a call of `learn` when its time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.end = 0.0

    def _on_step(self) -> bool:
        return time.perf_counter() < self.end


def game(envs: int) -> VecEnv:
    """Kung Fu Master behind the library's own preprocessing."""
    gymnasium.register_envs(ale_py)
    wrapper = dict(noop_max=0, terminal_on_life_loss=False, action_repeat_probability=0.25)
    options = dict(frameskip=1, repeat_action_probability=0.0)
    one = "ALE/KungFuMaster-v5"
    return VecFrameStack(make_atari_env(one, n_envs=envs, seed=0, wrapper_kwargs=wrapper, env_kwargs=options), 4)


def agent(envs: int) -> DQN:
    """A DQN whose ratio of updates to agent steps is 1 to 4."""
    period = max(PERIOD // envs, 1)
    return DQN(
        "CnnPolicy",
        game(envs),
        learning_rate=1e-4,
        buffer_size=REPLAY,
        learning_starts=STARTS,
        batch_size=32,
        train_freq=period,
        gradient_steps=max(period * envs // PERIOD, 1),
        target_update_interval=8_000,
        exploration_fraction=0.01,
        exploration_final_eps=0.01,
        device="cpu",
        seed=0,
    )


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, clock = agent(args.envs), Clock()

    def turn(seconds: float) -> float:
        steps, begin = model.num_timesteps, time.perf_counter()
        clock.end = begin + seconds
        model.learn(10_000_000, callback=clock, reset_num_timesteps=False)
        return (model.num_timesteps - steps) / (time.perf_counter() - begin)

    while model.num_timesteps < STARTS + 100:
        turn(1.0)
    serve.serve({}, turn)


if __name__ == "__main__":
    main()
