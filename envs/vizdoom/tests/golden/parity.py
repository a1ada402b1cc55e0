"""Writes parity.json: what Python's vizdoom 1.3.2 answers in every scenario of its wheel that one player can play.

    python -m venv V && V/bin/pip install vizdoom==1.3.2 && V/bin/python parity.py

Three seeds, three episodes each, actions from a generator of 32 bits that the test has too; per episode the sum of rewards,
the last tic, the number of actions, and a CRC-32 over one line of text per action: reward, tic, variables, checksums of
screen, depth, labels and automap. doom.cfg and doom2.cfg want data that is sold, cig.cfg and
those of multi are for several players: they are left out.
"""

import json
import struct
import zlib
from pathlib import Path

import vizdoom as vzd

SEEDS, EPISODES, ACTIONS, TICS = [1, 7, 4_000_000_000], 3, 60, 4
LEFT_OUT = {"doom.cfg", "doom2.cfg", "cig.cfg", "multi.cfg", "multi_duel.cfg"}

# The file names no map, and the default is none of that game's: the original waits for it for ever.
MAPS = {"freedoom1.cfg": "e1m1"}


class Draws:
    """x -> 1664525 x + 1013904223 mod 2^32, upper bits (Numerical Recipes)."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = (1664525 * self.x + 1013904223) % 2**32
        return (self.x >> 16) % n


def number(x):
    """A float as its bits: no two languages print all of them alike."""
    return struct.pack(">d", float(x)).hex()


def play(cfg, seed):
    game = vzd.DoomGame()
    game.load_config(str(cfg))
    if cfg.name in MAPS:
        game.set_doom_map(MAPS[cfg.name])
    game.set_seed(seed)
    game.set_mode(vzd.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_audio_buffer_enabled(False)
    game.set_depth_buffer_enabled(True)
    game.set_labels_buffer_enabled(True)
    game.set_automap_buffer_enabled(True)
    game.init()
    draws = Draws(seed)
    buttons = game.get_available_buttons()
    episodes = []
    for _ in range(EPISODES):
        game.new_episode()
        crc, actions = 0, 0
        for _ in range(ACTIONS):
            row = [draws.below(21) - 10 if vzd.is_delta_button(b) else draws.below(2) for b in buttons]
            reward = game.make_action(row, TICS)
            state = game.get_state()
            words = [number(reward), str(game.get_episode_time())]
            words += [number(game.get_game_variable(v)) for v in game.get_available_game_variables()]
            if state is not None:
                shown = [state.screen_buffer, state.depth_buffer, state.labels_buffer, state.automap_buffer]
                words += ["%08x" % zlib.crc32(buffer.tobytes()) for buffer in shown]
                words += [f"{l.object_name}/{l.object_category}:{l.x},{l.y},{l.width},{l.height}" for l in state.labels]
            crc = zlib.crc32((" ".join(words) + "\n").encode(), crc)
            actions += 1
            if game.is_episode_finished():
                break
        episodes.append([number(game.get_total_reward()), game.get_episode_time(), actions, "%08x" % crc])
    game.close()
    return episodes


def main():
    folder = Path(vzd.scenarios_path)
    played = {}
    for cfg in sorted(folder.glob("*.cfg")):
        if cfg.name not in LEFT_OUT:
            played[cfg.stem] = {str(seed): play(cfg, seed) for seed in SEEDS}
            print(cfg.stem, played[cfg.stem], flush=True)
    text = ",\n".join(f'  "{name}": {json.dumps(runs)}' for name, runs in played.items())
    Path(__file__).with_name("parity.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
