"""Steps per second of environments of other libraries, with random actions drawn beforehand.

Every library here resets a finished seat in the step after its end. That row is no step of the agent's, on our side
neither, so it is not counted; the time that it takes is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import serve

DRAWN = 64  # rows of actions, played over and over
BLOCK = 32  # steps between two looks at the clock
STICKY = 0.25
NOOPS = 30
ENVPOOL_NAMES = {
    "cartpole": "CartPole-v1",
    "frozenlake": "FrozenLake-v1",
    "atari/kung_fu_master": "KungFuMaster-v5",
    "atari/pong": "Pong-v5",
    "atari/breakout": "Breakout-v5",
}


def envpool(env: str, envs: int, threads: int, stack: int) -> Any:
    """EnvPool in its synchronous mode."""
    import envpool as library

    atari = dict(
        stack_num=stack,
        frame_skip=4,
        noop_max=NOOPS,
        repeat_action_probability=STICKY,
        use_fire_reset=False,
        episodic_life=False,
        reward_clip=False,
        full_action_space=False,
        gray_scale=True,
        img_height=84,
        img_width=84,
        max_episode_steps=27_000,
    )
    options = atari if env.startswith("atari/") else {}
    return library.make(
        ENVPOOL_NAMES[env], env_type="gymnasium", num_envs=envs, num_threads=threads, seed=0, **options
    )


def ale_py(env: str, envs: int, threads: int, stack: int) -> Any:
    """ALE's own vector environment."""
    from ale_py.vector_env import AtariVectorEnv

    return AtariVectorEnv(
        env.removeprefix("atari/"),
        envs,
        num_threads=threads,
        stack_num=stack,
        frameskip=4,
        noop_max=NOOPS,
        repeat_action_probability=STICKY,
        use_fire_reset=False,
        episodic_life=False,
        reward_clipping=False,
        max_num_frames_per_episode=108_000,
    )


def gymnasium(env: str, envs: int, threads: int, stack: int) -> Any:
    """The vector environment that Gymnasium writes in NumPy; it has no threads."""
    import gymnasium as library

    assert env == "cartpole", f"Gymnasium has no NumPy vector environment of {env}"
    return library.make_vec("CartPole-v1", num_envs=envs, vectorization_mode="vector_entry_point")


MAKERS: dict[str, Callable[[str, int, int, int], Any]] = {"envpool": envpool, "ale-py": ale_py, "gymnasium": gymnasium}


def stepper(env: Any, envs: int) -> Callable[[], int]:
    """A function that plays a block and returns how many of its rows were steps."""
    space = getattr(env, "single_action_space", env.action_space)
    actions = np.random.default_rng(0).integers(0, space.n, (DRAWN, envs))
    kind = np.int32 if type(env).__module__.startswith("envpool") else np.int64
    rows = list(actions.astype(kind))
    env.reset()
    ended, at = 0, 0

    def block() -> int:
        nonlocal ended, at
        steps = 0
        for _ in range(BLOCK):
            _, _, terminated, truncated, _ = env.step(rows[at])
            at = (at + 1) % DRAWN
            steps += envs - ended
            ended = int(np.count_nonzero(terminated | truncated))
        return steps

    return block


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", choices=MAKERS, required=True)
    parser.add_argument("--env", choices=ENVPOOL_NAMES, required=True)
    parser.add_argument("--envs", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stack", type=int, default=1, help="frames in an Atari observation")
    args = parser.parse_args()
    block = stepper(MAKERS[args.lib](args.env, args.envs, args.threads, args.stack), args.envs)
    block()
    serve.serve({}, lambda seconds: serve.rate(block, seconds))


if __name__ == "__main__":
    main()
