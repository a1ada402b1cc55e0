#!/usr/bin/env python3
"""Plays Kung Fu Master by the weights of models/kungfu in PyTorch and ale-py, without a line of rl-run.

An independent check of a published score, and an example of how weights are read elsewhere. Games are other games than
those of rl-run, whose random streams are its own: means agree within their standard errors, games do not.

    pip install ale-py==0.12.1 torch numpy opencv-python-headless
    python3 scripts/score_in_torch.py --games 20
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import torch
from ale_py import ALEInterface, LoggerMode, roms
from torch import nn

MODEL = Path(__file__).resolve().parents[1] / "models/kungfu"
SKIP, STACK, SIDE = 4, 4, 84  # emulator frames of a step, observations that the policy sees, pixels
STICKY, EPSILON, CUT = 0.25, 0.001, 108_000  # protocol machado18, as Dopamine runs it


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The tensors of the last checkpoint of a run or model. A safetensors file: length, JSON, then little-endian bytes."""
    data = max((run / "checkpoints").iterdir()).joinpath("model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            values = np.frombuffer(data[begin:end], dtype="<f4").reshape(about["shape"])
            tensors[name] = torch.from_numpy(values.copy())
    return tensors


class Policy(nn.Module):
    """The Nature network, of as many filters as the weights have, with a policy head. Ours keeps channels last: kernels are
    [height, width, in, out]."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.of = tensors

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, [B, actions], of bytes [B, height, width, stack], the oldest observation first."""
        x = x.permute(0, 3, 1, 2).float() / 255
        for name, stride in [("conv1", 4), ("conv2", 2), ("conv3", 1)]:
            kernel = self.of[f"trunk.{name}.weight"].permute(3, 2, 0, 1)
            x = torch.relu(nn.functional.conv2d(x, kernel, self.of[f"trunk.{name}.bias"], stride))
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = torch.relu(x @ self.of["trunk.fc1.weight"] + self.of["trunk.fc1.bias"])
        return x @ self.of["policy_head.weight"] + self.of["policy_head.bias"]


class Game:
    """Whole games, seen as the agent sees them."""

    def __init__(self, seed: int) -> None:
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.ale = ALEInterface()
        self.ale.setInt("random_seed", seed)
        self.ale.setFloat("repeat_action_probability", STICKY)
        self.ale.loadROM(roms.get_rom_path("kung_fu_master"))
        self.actions = self.ale.getMinimalActionSet()

    def reset(self) -> np.ndarray:
        """Begins a game: its first observation stands for those before it too."""
        self.ale.reset_game()
        seen = self.shrink(self.ale.getScreenGrayscale())
        self.stack = np.repeat(seen[..., None], STACK, axis=2)
        return self.stack

    def step(self, action: int) -> tuple[float, bool]:
        """Holds an action for some frames, of whose last two the brighter pixels are seen."""
        reward, last = 0.0, []
        for _ in range(SKIP):
            reward += self.ale.act(self.actions[action])
            last = [*last[-1:], self.ale.getScreenGrayscale()]
            if over := self.ale.game_over() or self.ale.getEpisodeFrameNumber() >= CUT:
                break
        seen = self.shrink(np.maximum.reduce(last))
        self.stack = np.concatenate([self.stack[..., 1:], seen[..., None]], axis=2)
        return reward, over

    @staticmethod
    def shrink(screen: np.ndarray) -> np.ndarray:
        """84 x 84 pixels, each the mean of the area that it covers."""
        return cv2.resize(screen.squeeze(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def play(policy: Policy, game: Game, draws: np.random.Generator) -> float:
    """The score of a game."""
    game.reset()
    total, over = 0.0, False
    while not over:
        logits = policy(torch.from_numpy(game.stack[None]))[0]
        action = int(draws.choice(len(game.actions), p=torch.softmax(logits.double(), 0).numpy()))
        if draws.random() < EPSILON:
            action = int(draws.integers(len(game.actions)))
        reward, over = game.step(action)
        total += reward
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="directory of a model, or of a run of ppo")
    parser.add_argument("--games", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    policy, game, draws = Policy(weights(asked.model)), Game(asked.seed), np.random.default_rng(asked.seed)
    scores: list[float] = []
    with torch.inference_mode():
        for number in range(1, asked.games + 1):
            scores.append(play(policy, game, draws))
            print(f"game {number}: {scores[-1]:.0f}", flush=True)
    error = np.std(scores, ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
    print(f"mean of {len(scores)} games {np.mean(scores):.1f} ± {error:.1f} (standard error)")


if __name__ == "__main__":
    main()
