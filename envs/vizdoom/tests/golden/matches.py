"""Writes matches.json: what Python's vizdoom 1.3.2 answers in matches of its three files for several players.

    python -m venv V && V/bin/pip install vizdoom==1.3.2 && V/bin/python matches.py

Engines play in threads of one process. What a guest is given at a tic it plays in the next, once it is ahead of the host,
and when that is depends on who comes first: so the host is let go first, each player after the one before has answered,
and nobody does anything in the first 60 tics of an episode, in which all find that step. Two episodes per match, actions of
4 tics; per episode the sums of rewards, frags and deaths of every player, the last tic, and a CRC-32 over one line of text per
action and player: reward, tic, variables, frags, deaths, place and the checksum of the screen. Played again until two
runs in a row agree, since a machine under load may come out of step.
"""

import json
import os
import socket
import threading
import zlib
from pathlib import Path

import vizdoom as vzd

from parity import Draws, number

MATCHES = [("multi_duel", 2, 7), ("cig", 2, 1), ("cig", 3, 4_000_000_000), ("multi", 4, 7)]
# A guest's view is drawn where it will be once its own commands are played, which is no part of the world.
ARGS = "-deathmatch +sv_forcerespawn 1 +sv_noautoaim 1 +sv_respawnprotect 1 +sv_spawnfarthest 1 +cl_noprediction 1"
EPISODES, ACTIONS, TICS, IDLE = 2, 80, 4, 60
ASKED = [vzd.GameVariable.FRAGCOUNT, vzd.GameVariable.DEATHCOUNT, vzd.GameVariable.POSITION_X, vzd.GameVariable.POSITION_Y]


def in_turn(calls, lead):
    """Begins each call in a thread once the one before is done, or has been waited for so long, and ends all."""
    threads = []
    for call in calls:
        threads.append(threading.Thread(target=call, daemon=True))
        threads[-1].start()
        threads[-1].join(lead)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "an engine is stuck"


def seated(name, players, seed):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    games = []
    for n in range(players):
        game = vzd.DoomGame()
        game.load_config(str(Path(vzd.scenarios_path) / f"{name}.cfg"))
        game.set_seed(seed)
        game.set_mode(vzd.Mode.PLAYER)
        game.set_window_visible(False)
        game.set_screen_resolution(vzd.ScreenResolution.RES_160X120)
        host = f"-host {players} -port {port} -netmode 0"
        game.add_game_args(f"{ARGS} " + (host if n == 0 else f"-join 127.0.0.1:{port}"))
        games.append(game)
    in_turn([game.init for game in games], 0.3)
    return sorted(games, key=lambda game: game.get_game_variable(vzd.GameVariable.PLAYER_NUMBER))


def tics(games, n, lead):
    for left in reversed(range(n)):
        in_turn([lambda game=game: game.advance_action(1, left == 0) for game in games], lead)


def play(name, players, seed):
    games = seated(name, players, seed)
    draws, episodes = Draws(seed), []
    for episode in range(EPISODES):
        if episode > 0:
            in_turn([game.new_episode for game in games], 0)
        for game in games:
            game.set_action([0] * game.get_available_buttons_size())
        while games[0].get_episode_time() < IDLE:
            tics(games, 1, 0.05)
        crc, earned = 0, [0.0] * players
        for _ in range(ACTIONS):
            for game in games:
                buttons = game.get_available_buttons()
                game.set_action([draws.below(21) - 10 if vzd.is_delta_button(b) else draws.below(2) for b in buttons])
            tics(games, TICS, 2)
            for n, game in enumerate(games):
                earned[n] += game.get_last_reward()
                words = [number(game.get_last_reward()), str(game.get_episode_time())]
                words += [number(game.get_game_variable(v)) for v in game.get_available_game_variables() + ASKED]
                words.append("%08x" % zlib.crc32(game.get_state().screen_buffer.tobytes()))
                crc = zlib.crc32((" ".join(words) + "\n").encode(), crc)
        sums = [[earned[n]] + [game.get_game_variable(v) for v in ASKED[:2]] for n, game in enumerate(games)]
        episodes.append([sums, games[0].get_episode_time(), "%08x" % crc])
    in_turn([game.close for game in games], 5)
    return episodes


def main():
    played = []
    for match in MATCHES:
        before, runs = None, play(*match)
        while before != runs:
            before, runs = runs, play(*match)
            print(match, runs, flush=True)
        played.append([*match, runs])
    text = ",\n".join(f"  {json.dumps(match)}" for match in played)
    Path(__file__).with_name("matches.json").write_text("[\n" + text + "\n]\n")
    os._exit(0)  # threads of engines that were closed may linger


if __name__ == "__main__":
    main()
