#!/usr/bin/env python3
"""Makes the golden files of Atari from ale-py 0.12.1, Gymnasium's AtariPreprocessing and OpenCV's area resize.

    python3 -m venv V && V/bin/pip install ale-py==0.12.1 gymnasium==1.4.0 opencv-python-headless numpy
    V/bin/python make.py [area] [observations] [frames] [sound]      # all without a name

Files are lines of fields; hashes are CRC-32. Actions come from a linear congruential generator (Knuth's MMIX constants)
that the Rust tests repeat: state = state * 6364136223846793005 + 1442695040888963407 mod 2^64, draw = (state >> 33) mod n.
"""
import os
import sys
import zlib

import ale_py
import cv2
import gymnasium
import numpy as np
from gymnasium.wrappers import AtariPreprocessing

HERE = os.path.dirname(os.path.abspath(__file__))
# Paddles (breakout, pong), a tall screen (air_raid), E0 and DPC cartridges (montezuma_revenge, pitfall2), resets that
# play (double_dunk), upstream's reports about saved states (qbert, tetris).
GAMES = ("adventure air_raid breakout double_dunk kung_fu_master montezuma_revenge pitfall2 pong qbert seaquest "
         "space_invaders tetris").split()
FRAMES, BLOCK = 20_000, 2_000
SOUND_FRAMES, SOUND_BLOCK = 4_000, 500
STEPS, STEP_BLOCK = 1_000, 100
SEED = 7                     # of sticky actions in frames.txt and sound.txt
EPISODE_SEED = 820_282_386  # of sticky actions in observations.txt; the Rust test makes its episodes draw it
MASK = 2**64 - 1


class Lcg:
    def __init__(self, state):
        self.state = state

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & MASK
        return (self.state >> 33) % n


def number(value):
    return int(value).to_bytes(4, "little", signed=True)


def rom(game):
    return os.path.join(os.path.dirname(ale_py.__file__), "roms", game + ".bin")


def frames():
    """Per game and stickiness, the running hash of RAM, screen, reward, lives and end of every frame, every BLOCK."""
    yield "# game sticky resets rewards hash-of-first-2000 hash-of-first-4000 ..."
    for game in GAMES:
        for sticky in (0.0, 0.25):
            ale = ale_py.ALEInterface()
            ale.setFloat("repeat_action_probability", sticky)
            ale.setInt("random_seed", SEED)
            ale.loadROM(rom(game))
            actions, lcg = ale.getLegalActionSet(), Lcg(1)
            crc, resets, rewards, hashes = 0, 0, 0, []
            for frame in range(FRAMES):
                if ale.game_over():
                    ale.reset_game()
                    resets += 1
                reward = ale.act(actions[lcg.below(len(actions))])
                rewards += reward
                for part in (ale.getRAM().tobytes(), ale.getScreen().tobytes(), number(reward), number(ale.lives()),
                             number(ale.game_over())):
                    crc = zlib.crc32(part, crc)
                if (frame + 1) % BLOCK == 0:
                    hashes.append(f"{crc:08x}")
            yield " ".join([game, str(sticky), str(resets), str(rewards), *hashes])


def sound():
    """Per game, how many frames are not one level throughout, and the running hash of the samples, every SOUND_BLOCK."""
    yield "# game uneven hash-of-first-500 hash-of-first-1000 ..."
    for game in GAMES:
        if game == "double_dunk":  # its resets act, and what ALE makes of those frames moves its generators on
            continue
        ale = ale_py.ALEInterface()
        ale.setFloat("repeat_action_probability", 0.25)
        ale.setInt("random_seed", SEED)
        ale.setBool("sound_obs", True)
        ale.loadROM(rom(game))
        actions, lcg = ale.getLegalActionSet(), Lcg(1)
        crc, uneven, hashes = 0, 0, []
        for frame in range(SOUND_FRAMES):
            if ale.game_over():
                ale.reset_game()
            ale.act(actions[lcg.below(len(actions))])
            samples = ale.getAudio()
            uneven += int(samples.min() != samples.max())
            crc = zlib.crc32(samples.tobytes(), crc)
            if (frame + 1) % SOUND_BLOCK == 0:
                hashes.append(f"{crc:08x}")
        yield " ".join([game, str(uneven), *hashes])


def observations():
    """Per game, stickiness, format, size, mode and difficulty, the running hash of observation, reward, lives and end of every
    step.

    The observation of a last step is left out: Gymnasium shows a stale frame where a game ends within a skip.
    """
    yield "# game sticky format height width mode difficulty episodes hash-of-first-100 hash-of-first-200 ..."
    usual = (None, None)
    kinds = [(game, sticky, "gray", 84, 84, *usual) for game in GAMES for sticky in (0.0, 0.25)]
    kinds += [("kung_fu_master", 0.25, *kind, *usual) for kind in [("rgb", 84, 84), ("gray", 64, 64), ("rgb", 105, 80),
                                                           ("gray", 42, 40), ("gray", 210, 160), ("rgb", 96, 96)]]
    # Numbers that change what is seen; of the last mode the way there acts, and draws sticky actions.
    others = [("pong", 1, 3), ("breakout", 12, 1), ("space_invaders", 5, 1), ("double_dunk", 3, 0)]
    kinds += [(game, sticky, "gray", 84, 84, *numbers) for game, *numbers in others for sticky in (0.0, 0.25)]
    for game, sticky, form, height, width, mode, difficulty in kinds:
        name = "".join(part.capitalize() for part in game.split("_"))
        env = gymnasium.make(f"ALE/{name}-v5", frameskip=1, repeat_action_probability=sticky, full_action_space=False,
                             mode=mode, difficulty=difficulty)
        raw = env.unwrapped
        raw.seed_game = lambda seed=None: (0, raw.ale.setInt("random_seed", np.int32(np.uint32(EPISODE_SEED))))
        env = AtariPreprocessing(env, noop_max=0, frame_skip=4, screen_size=(width, height),
                                 grayscale_obs=form == "gray")
        obs, info = env.reset(seed=0)
        crc, lcg, episodes, hashes = zlib.crc32(obs.tobytes()), Lcg(2), 0, []
        for step in range(STEPS):
            obs, reward, terminated, truncated, info = env.step(lcg.below(env.action_space.n))
            over = terminated or truncated
            for part in (b"" if over else obs.tobytes(), number(reward), number(info["lives"]), number(over)):
                crc = zlib.crc32(part, crc)
            if over:
                episodes += 1
                obs, info = env.reset(seed=0)
                crc = zlib.crc32(obs.tobytes(), crc)
            if (step + 1) % STEP_BLOCK == 0:
                hashes.append(f"{crc:08x}")
        numbers = ["default" if value is None else str(value) for value in (mode, difficulty)]
        yield " ".join([game, str(sticky), form, str(height), str(width), *numbers, str(episodes), *hashes])


def area():
    """Per size, the hash of cv2.resize(noise, INTER_AREA), of one and of three channels. Noise makes many exact halves."""
    yield "# source-height source-width channels height width hash"
    lcg = Lcg(3)
    for source in (210, 250):
        for channels in (1, 3):
            noise = np.array([lcg.below(256) for _ in range(source * 160 * channels)], np.uint8)
            noise = noise.reshape(source, 160, channels)
            for height, width in [(84, 84), (64, 64), (96, 96), (105, 80), (42, 40), (210, 160), (70, 160), (84, 160),
                                  (128, 128), (1, 1), (50, 32), (209, 159), (125, 80)]:
                small = cv2.resize(noise, (width, height), interpolation=cv2.INTER_AREA)
                yield f"{source} 160 {channels} {height} {width} {zlib.crc32(small.tobytes()):08x}"


def main():
    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    for make in (area, observations, frames, sound):
        if sys.argv[1:] and make.__name__ not in sys.argv[1:]:
            continue
        with open(os.path.join(HERE, make.__name__ + ".txt"), "w") as out:
            for line in make():
                print(line, file=out, flush=True)


if __name__ == "__main__":
    main()
