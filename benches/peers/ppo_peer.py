"""Agent steps per second of PPO in one file on EnvPool, in the manner of CleanRL; the code is ours.

Source: Schulman et al. 2017; the Atari settings of Huang et al. 2022 ("The 37 implementation details of PPO").
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import env_peer
import numpy as np
import serve
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

SEATS, HORIZON, EPOCHS, MINIBATCHES = 8, 128, 4, 4
GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, NORM = 0.99, 0.95, 0.1, 0.01, 0.5, 0.5
ROWS = SEATS * HORIZON


def linear(module: nn.Linear | nn.Conv2d, gain: float = 2**0.5) -> nn.Module:
    """Orthogonal weights, no bias at first."""
    nn.init.orthogonal_(module.weight, gain)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class ActorCritic(nn.Module):
    """One trunk, two heads."""

    def __init__(self, actions: int, bf16: bool, layout: torch.memory_format) -> None:
        super().__init__()
        self.bf16, self.layout = bf16, layout
        convolutions = [nn.Conv2d(4, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3, 1)]
        parts: list[nn.Module] = []
        for convolution in convolutions:
            parts += [linear(convolution), nn.ReLU()]
        self.trunk = nn.Sequential(*parts, nn.Flatten(), linear(nn.Linear(64 * 7 * 7, 512)), nn.ReLU())
        self.actor = linear(nn.Linear(512, actions), 0.01)
        self.critic = linear(nn.Linear(512, 1), 1.0)
        self.trunk.to(memory_format=layout)

    def forward(self, frames: Tensor) -> tuple[Categorical, Tensor]:
        """Frames `u8 [B, 4, 84, 84]`; a distribution of actions and values `[B]`."""
        pixels = (frames.float() / 255.0).contiguous(memory_format=self.layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            features = self.trunk(pixels).float()
        return Categorical(logits=self.actor(features)), self.critic(features).squeeze(1)


@dataclass
class Block:
    """A horizon of all seats, `[T, N, …]`."""

    frames: Tensor
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    values: Tensor
    starts: Tensor  # whether the row begins an episode


class Ppo:
    """The environment, the network and where the play stands."""

    def __init__(self, bf16: bool, layout: torch.memory_format) -> None:
        self.env = env_peer.envpool("atari/kung_fu_master", SEATS, torch.get_num_threads(), 4)
        self.network = ActorCritic(self.env.action_space.n, bf16, layout)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=2.5e-4, eps=1e-5, fused=True)
        shape = (HORIZON, SEATS)
        frames = torch.zeros((*shape, 4, 84, 84), dtype=torch.uint8)
        self.block = Block(frames, torch.zeros(shape, dtype=torch.long), *(torch.zeros(shape) for _ in range(4)))
        self.now = torch.from_numpy(self.env.reset()[0])
        self.start = torch.zeros(SEATS)

    def iteration(self) -> int:
        """Plays a horizon and learns from it; returns the agent steps."""
        advantages = self.collect()
        self.learn(advantages, advantages + self.block.values)
        return ROWS

    def collect(self) -> Tensor:
        """Fills the block and returns advantages `[T, N]`."""
        block = self.block
        with torch.no_grad():
            for t in range(HORIZON):
                policy, value = self.network(self.now)
                action = policy.sample()
                block.frames[t], block.starts[t], block.values[t] = self.now, self.start, value
                block.actions[t], block.log_probs[t] = action, policy.log_prob(action)
                seen, reward, terminated, truncated, _ = self.env.step(action.numpy().astype(np.int32))
                block.rewards[t] = torch.from_numpy(np.sign(reward))
                self.now, self.start = torch.from_numpy(seen), torch.from_numpy(terminated | truncated).float()
            return advantages(block, self.start, self.network(self.now)[1])

    def learn(self, advantages: Tensor, returns: Tensor) -> None:
        """Epochs over shuffled minibatches."""
        block = self.block
        lanes = [lane.flatten(0, 1) for lane in (block.frames, block.actions, block.log_probs, block.values, advantages, returns)]
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).chunk(MINIBATCHES):
                loss = self.loss(*(lane[rows] for lane in lanes))
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.network.parameters(), NORM)
                self.optimiser.step()

    def loss(self, frames: Tensor, actions: Tensor, before: Tensor, old: Tensor, advantages: Tensor, returns: Tensor) -> Tensor:
        """Clipped policy and value losses and the entropy's bonus."""
        policy, value = self.network(frames)
        ratio = (policy.log_prob(actions) - before).exp()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        gain = torch.min(advantages * ratio, advantages * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
        near = old + (value - old).clamp(-CLIP, CLIP)
        miss = 0.5 * torch.max((value - returns).square(), (near - returns).square()).mean()
        return VALUE * miss - gain - ENTROPY * policy.entropy().mean()


def advantages(block: Block, start: Tensor, bootstrap: Tensor) -> Tensor:
    """Generalised advantage estimation; an end is an end, as there."""
    out = torch.zeros_like(block.rewards)
    following, running = bootstrap, torch.zeros(SEATS)
    for t in reversed(range(HORIZON)):
        going = 1.0 - start
        delta = block.rewards[t] + GAMMA * following * going - block.values[t]
        out[t] = running = delta + GAMMA * LAMBDA * going * running
        following, start = block.values[t], block.starts[t]
    return out


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    layouts = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="what the trunk multiplies")
    parser.add_argument("--layout", choices=layouts, default="nchw")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    ppo = Ppo(args.precision == "bf16", layouts[args.layout])
    ppo.iteration()
    serve.serve({}, lambda seconds: serve.rate(ppo.iteration, seconds))


if __name__ == "__main__":
    main()
