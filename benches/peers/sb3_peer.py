"""Agent steps per second of Stable-Baselines3 on Kung Fu Master, acting and learning.

The settings are those of our rows. DQN: batch 32, one update per 4 agent steps, plain single-step targets, sticky actions, no
end at a lost life. The replay is small, so that it fits into memory (this one keeps every frame eight times); its size
does not change the work. With 8 seats a round has two updates, which is the same ratio. PPO: 8 seats, horizon 128, 4 epochs
of 4 minibatches. A2C: 16 seats, horizon 5, RMSProp.
"""

from __future__ import annotations

import argparse
import time

import ale_py
import gymnasium
import serve
import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack
from torch import Tensor, nn

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


VECS = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}  # all seats in this process, or one process each
Vec = type[DummyVecEnv] | type[SubprocVecEnv]


def game(envs: int, vec: Vec) -> VecEnv:
    """Kung Fu Master behind the library's own preprocessing."""
    gymnasium.register_envs(ale_py)
    wrapper = dict(noop_max=0, terminal_on_life_loss=False, action_repeat_probability=0.25)
    options = dict(frameskip=1, repeat_action_probability=0.0)
    one = "ALE/KungFuMaster-v5"
    many = make_atari_env(one, n_envs=envs, seed=0, vec_env_cls=vec, wrapper_kwargs=wrapper, env_kwargs=options)
    return VecFrameStack(many, 4)


def bf16(model: BaseAlgorithm) -> None:
    """Lets what looks at frames multiply bf16; the library has no setting for it."""

    def halved(module: nn.Module) -> None:
        plain = module.forward

        def forward(frames: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return plain(frames).float()

        module.forward = forward

    networks = (model.q_net, model.q_net_target) if isinstance(model, DQN) else (model.policy,)
    for network in networks:
        halved(network.features_extractor)


def dqn(envs: int, vec: Vec) -> DQN:
    """A DQN whose ratio of updates to agent steps is 1 to 4."""
    period = max(PERIOD // envs, 1)
    return DQN(
        "CnnPolicy",
        game(envs, vec),
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


def ppo(envs: int, vec: Vec) -> PPO:
    """The settings of its zoo for Atari, at a constant learning rate and clip."""
    sizes = dict(n_steps=128, n_epochs=4, batch_size=128 * envs // 4)
    return PPO(
        "CnnPolicy",
        game(envs, vec),
        learning_rate=2.5e-4,
        clip_range=0.1,
        ent_coef=0.01,
        device="cpu",
        seed=0,
        **sizes,
    )


def a2c(envs: int, vec: Vec) -> A2C:
    """Its defaults for Atari."""
    return A2C("CnnPolicy", game(envs, vec), n_steps=5, ent_coef=0.01, vf_coef=0.25, device="cpu", seed=0)


def until(seconds: float, model: BaseAlgorithm) -> None:
    """Off-policy: stops at any step. On-policy: after whole rounds, since a round that is cut learns nothing."""
    clock = Clock()
    clock.end = time.perf_counter() + seconds
    if isinstance(model, DQN):
        model.learn(10_000_000, callback=clock, reset_num_timesteps=False)
        return
    while time.perf_counter() < clock.end:
        model.learn(model.n_steps * model.n_envs, reset_num_timesteps=False)


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    agents = {"dqn": dqn, "ppo": ppo, "a2c": a2c}
    parser.add_argument("--agent", choices=agents, default="dqn")
    parser.add_argument("--envs", type=int, default=1)
    parser.add_argument("--vec", choices=VECS, default="dummy")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="what looks at frames multiplies")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = agents[args.agent](args.envs, VECS[args.vec])
    model.set_logger(Logger(folder=None, output_formats=[]))  # else each call of `learn` makes one, and a directory
    if args.precision == "bf16":
        bf16(model)

    def turn(seconds: float) -> float:
        steps, begin = model.num_timesteps, time.perf_counter()
        until(seconds, model)
        return (model.num_timesteps - steps) / (time.perf_counter() - begin)

    while model.num_timesteps < STARTS + 100:
        turn(1.0)
    serve.serve({}, turn)


if __name__ == "__main__":
    main()
