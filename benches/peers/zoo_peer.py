"""Trains Stable-Baselines3 on CartPole-v1 by the settings of its zoo; with --judge plays 100 games with what was saved.

Settings: rl-baselines3-zoo, hyperparams/ppo.yml and dqn.yml, CartPole-v1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

GAME = "CartPole-v1"


def linear(start: float) -> Callable[[float], float]:
    """From `start` to 0 over the run."""
    return lambda left: left * start


def ppo(seed: int) -> BaseAlgorithm:
    """100,000 steps on 8 seats."""
    model = PPO(
        "MlpPolicy",
        make_vec_env(GAME, n_envs=8, seed=seed),
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate=linear(1e-3),
        clip_range=linear(0.2),
        device="cpu",
        seed=seed,
    )
    return model.learn(100_000)


def dqn(seed: int) -> BaseAlgorithm:
    """50,000 steps on one seat."""
    model = DQN(
        "MlpPolicy",
        make_vec_env(GAME, n_envs=1, seed=seed),
        learning_rate=2.3e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=1_000,
        gamma=0.99,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
        policy_kwargs=dict(net_arch=[256, 256]),
        device="cpu",
        seed=seed,
    )
    return model.learn(50_000)


AGENTS = {"ppo": (PPO, ppo), "dqn": (DQN, dqn)}


def main() -> None:
    """Trains, or judges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", choices=AGENTS, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", required=True, metavar="FILE", help="without its ending")
    parser.add_argument("--judge", action="store_true")
    args = parser.parse_args()
    algorithm, train = AGENTS[args.agent]
    if not args.judge:
        train(args.seed).save(args.model)
        return
    torch.set_num_threads(1)
    games = make_vec_env(GAME, n_envs=8, seed=1_000_000 + args.seed)
    mean, _ = evaluate_policy(algorithm.load(args.model, device="cpu"), games, n_eval_episodes=100)
    print(json.dumps({"mean": float(mean)}))


if __name__ == "__main__":
    main()
