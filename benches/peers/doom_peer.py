"""Steps per second of Doom's `basic` by ViZDoom's Python package: the episodes and the actions of `rl-run bench env`.

Our side draws its actions before it starts, and says them where `rl-run rollout` is asked for random ones. Both sides begin
with the same seed of the engine, look at the whole screen in grey after every action, and keep the game and its engine on one
core. The reset of an episode that is over costs its time and an action, and is no step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable

import serve
import vizdoom

TICS = 4
BLOCK = 32  # steps between two looks at the clock
SEED = 7  # the engine's
DRAWN = 4096
COMBINATIONS = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]]


def game(resolution: str) -> vizdoom.DoomGame:
    """The scenario as its file has it, small and grey."""
    made = vizdoom.DoomGame()
    made.load_config(os.path.join(vizdoom.scenarios_path, "basic.cfg"))
    made.set_seed(SEED)
    made.set_mode(vizdoom.Mode.PLAYER)
    made.set_window_visible(False)
    made.set_screen_format(vizdoom.ScreenFormat.GRAY8)
    made.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{resolution.upper()}"))
    made.init()
    made.new_episode()
    return made


def stepper(playing: vizdoom.DoomGame, actions: list[int]) -> Callable[[], int]:
    """A function that plays a block and returns how many of its rows were steps."""
    at = 0

    def block() -> int:
        nonlocal at
        steps = 0
        for _ in range(BLOCK):
            if playing.is_episode_finished():
                playing.new_episode()
            else:
                playing.make_action(COMBINATIONS[actions[at % len(actions)]], TICS)
                steps += 1
            at += 1
            state = playing.get_state()
            if state is not None:
                state.screen_buffer  # noqa: B018: making the array is part of a step
        return steps

    return block


def drawn(rl_run: str) -> list[int]:
    """What `rl-run bench env` plays with seed 0."""
    argv = [rl_run, "rollout", "--env", "doom/basic", "--random", "--steps", str(DRAWN), "--json"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    return [int(json.loads(line)["action"]) for line in lines]


def main() -> None:
    """Serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--rl-run", required=True, help="our program, which says what it plays")
    parser.add_argument("--threads", type=int, choices=[1], default=1, help="every peer is told them; a game has one")
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})  # the engine's too, which is started below
    actions = drawn(args.rl_run)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # the engine leaves its settings where it is started
        block = stepper(game(args.resolution), actions)
        block()
        serve.serve({}, lambda seconds: serve.rate(block, seconds))


if __name__ == "__main__":
    main()
