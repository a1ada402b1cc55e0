"""Writes features.json: what Python's vizdoom 1.3.2 answers where a game is more than screens and rewards.

    python -m venv V && V/bin/pip install vizdoom==1.3.2 && V/bin/python features.py

A case is a .cfg of the package with lines added, what is told of each step, and steps; the test plays the same from the same
file. Its answers are a CRC-32 of one line of text per step, or of a file that was written. Random actions come from the
generator of parity.py. Cases of sound want libopenal.so.1 (Debian: apt install libopenal1); they keep the answers that are
there where it is missing.
"""

import json
import sys
import tempfile
import zlib
from pathlib import Path

import vizdoom as vzd

from parity import MAPS, Draws, number

HERE = Path(__file__).parent
SHOWN = {"screen": "screen_buffer", "depth": "depth_buffer", "labels": "labels_buffer", "automap": "automap_buffer"}
ALL_SHOWN = ["depth_buffer_enabled = true", "labels_buffer_enabled = true", "automap_buffer_enabled = true"]
SMALL = "screen_resolution = RES_160X120"


def names(kind):
    """Members of an enumeration of vizdoom's, in the engine's order."""
    return [name for name, _ in sorted(kind.__members__.items(), key=lambda member: int(member[1]))]


def cases():
    """Every case: name, .cfg, lines, what is told, steps."""
    play = [["draw", 8, 4]]
    for form in names(vzd.ScreenFormat):
        lines = [f"screen_format = {form}", SMALL, *ALL_SHOWN]
        yield f"format {form}", "defend_the_center", lines, ["screen", "depth", "labels", "automap"], play
    for size in names(vzd.ScreenResolution):
        lines = [f"screen_resolution = {size}", "screen_format = RGB24"]
        yield f"resolution {size}", "basic", lines, ["screen"], [["draw", 2, 4]]
    flags = ["hud", "minimal_hud", "weapon", "crosshair", "decals", "particles", "effects_sprites", "messages", "corpses"]
    for flag in [*flags, "screen_flashes"]:
        for on in ("true", "false"):
            lines = [f"render_{flag} = {on}", SMALL] + (["render_hud = true"] if flag == "minimal_hud" else [])
            yield f"render_{flag} {on}", "deadly_corridor", lines, ["screen"], [["draw", 25, 4]]
    for mode in names(vzd.AutomapMode):
        for flag in ("rotate", "render_textures", "render_objects_as_sprites"):
            lines = [SMALL, *ALL_SHOWN, f"automap_mode = {mode}", f"automap_{flag} = true"]
            yield f"automap {mode} {flag}", "my_way_home", lines, ["automap"], play
    for cfg in ("basic", "defend_the_line", "health_gathering_supreme", "deathmatch", "freedoom2"):
        lines = [SMALL, *ALL_SHOWN, "objects_info_enabled = true", "sectors_info_enabled = true"]
        yield f"things {cfg}", cfg, lines, ["labelled", "objects", "sectors"], [*play, ["new"], *play]
    for tics in (1, 4, 35):
        lines = [SMALL, "notifications_buffer_enabled = true", f"notifications_buffer_size = {tics}"]
        give = [["command", "give all"], ["draw", 6, 4], ["command", "kill monsters"], ["draw", 3, 4]]
        yield f"notifications {tics}", "basic_notifications", lines, ["notifications"], [["draw", 10, 4], ["new"], *give]
    everything = f"available_game_variables = {{ {' '.join(names(vzd.GameVariable))} }}"
    buttons = [name.replace("SELECTED_ITEM", "SELECTED_WEAPON") if name.startswith("ACTIVATE") else name for name in names(vzd.Button)]
    pressed = f"available_buttons = {{ {' '.join(buttons)} }}"
    for cfg in ("deathmatch", "defend_the_line", "freedoom2"):
        yield f"variables {cfg}", cfg, [SMALL, everything], [], [["draw", 20, 4], ["command", "give all"], ["draw", 5, 4]]
    for cfg in ("deathmatch", "freedoom1"):
        lines = [SMALL, everything, pressed, "button_max_value = TURN_LEFT_RIGHT_DELTA 5"]
        yield f"buttons {cfg}", cfg, lines, ["screen", "action"], [["draw", 30, 3]]
    deltas = [name for name in buttons if name.endswith("DELTA")]
    for most in (0, 3):
        lines = [SMALL, everything, f"available_buttons = {{ {' '.join(deltas)} }}"]
        lines += [f"button_max_value = {name} {most}" for name in deltas if most]
        yield f"deltas {most}", "my_way_home", lines, ["screen", "action"], [["draw", 15, 4], ["draw", 15, 1]]
    bounds = [["most", name, bound] for bound in (2.5, -1.75, 0.5, 0.0) for name in deltas]
    bounded = [step for n in range(0, len(bounds), len(deltas)) for step in (*bounds[n : n + len(deltas)], ["draw", 6, 4], ["draw", 4, 1])]
    lines = [SMALL, everything, f"available_buttons = {{ {' '.join(deltas)} }}"]
    yield "deltas while it plays", "my_way_home", lines, ["screen", "action"], [["draw", 3, 4], *bounded, ["new"], ["draw", 3, 4]]
    told = ["screen", "action"]
    demo = [["record", "one.lmp"], ["draw", 12, 4], ["new"], ["bytes", "one.lmp"], ["replay", "one.lmp", 0], ["advance", 14, 4]]
    for cfg in ("basic", "deadly_corridor", "health_gathering"):
        yield f"demo {cfg}", cfg, [SMALL, everything], told, [*demo, ["new"], *play]
    saved = [["new"], ["draw", 10, 4], ["save", "one.zds"], ["draw", 6, 4], ["load", "one.zds"], ["draw", 10, 4], ["load", "one.zds"]]
    for cfg in ("health_gathering", "defend_the_center", "defend_the_line"):
        yield f"saved {cfg}", cfg, [SMALL, everything], ["screen"], [*saved, *play]
    # Who may play by hand is waited for by the clock: how many tics pass is not the same twice, what was pressed is.
    walk = [["command", "+forward"], ["advance", 3, 2], ["command", "+left"], ["advance", 3, 2], ["command", "-forward"]]
    fire = [["command", "-left"], ["command", "+attack"], ["advance", 3, 2], ["command", "-attack"], ["advance", 2, 2]]
    lines = [SMALL, "mode = SPECTATOR", "available_buttons = { ATTACK MOVE_FORWARD TURN_LEFT TURN_LEFT_RIGHT_DELTA }"]
    yield "spectator", "my_way_home", lines, ["action_alone"], [*walk, *fire, ["new"], *walk]
    for cfg in ("deathmatch", "my_way_home"):
        orders = ["give Rocketlauncher", "give ammo", "summon Zombieman", "noclip", "god", "warp 0 0", "kill monsters", "sv_gravity 100"]
        steps = [step for order in orders for step in (["command", order], ["draw", 3, 4])]
        lines = [SMALL, everything, "objects_info_enabled = true"]
        yield f"commands {cfg}", cfg, lines, ["screen", "objects"], steps
    for rate in names(vzd.SamplingRate):
        for tics in (1, 4):
            lines = [SMALL, "audio_buffer_enabled = true", f"audio_sampling_rate = {rate}", f"audio_buffer_size = {tics}"]
            lines.append("game_args += +snd_efx 0")  # Debian 12's library dies of an assertion about a filter now and then
            yield f"audio {rate} {tics}", "basic_audio", lines, ["audio"], [["draw", 12, 4], ["new"], ["draw", 6, 4]]


def pose(thing, prefix=""):
    """Where a thing is, as text."""
    parts = ["position_x", "position_y", "position_z", "angle", "pitch", "roll", "velocity_x", "velocity_y", "velocity_z"]
    return ",".join(number(getattr(thing, prefix + part)) for part in parts)


def told(game, what, reward):
    """One line of what a step came to."""
    if what == ["action_alone"]:
        return " ".join(map(number, game.get_last_action()))
    state = game.get_state()
    words = [number(reward), str(game.get_episode_time()), str(int(game.is_episode_finished()))]
    words += [number(game.get_game_variable(variable)) for variable in game.get_available_game_variables()]
    if "action" in what:
        words += [number(value) for value in game.get_last_action()]
    if state is None:
        return " ".join(words)
    for name in what:
        if name in SHOWN:
            words.append("%08x" % zlib.crc32(getattr(state, SHOWN[name]).tobytes()))
        elif name == "labelled":
            for it in state.labels:
                box = f"{it.value}:{it.x},{it.y},{it.width},{it.height}"
                words.append(f"{it.object_id}/{it.object_name}/{it.object_category}/{box}/{pose(it, 'object_')}")
        elif name == "objects":
            words += [f"{it.id}/{it.sector_id}/{it.name}/{it.category}/{pose(it)}" for it in state.objects]
        elif name == "sectors":
            for it in state.sectors:
                lines = [",".join(map(number, (line.x1, line.y1, line.x2, line.y2, line.is_blocking))) for line in it.lines]
                words.append(f"{it.id}/{number(it.floor_height)}/{number(it.ceiling_height)}/{';'.join(lines)}")
        elif name == "notifications":
            words.append(state.notifications_buffer)
        elif name == "audio":
            words.append("%08x" % zlib.crc32(state.audio_buffer.tobytes()))
    return " ".join(words)


def play(cfg, lines, what, steps, folder):
    """The answers to a case."""
    game = vzd.DoomGame()
    game.load_config(str(Path(vzd.scenarios_path) / f"{cfg}.cfg"))
    if f"{cfg}.cfg" in MAPS:
        game.set_doom_map(MAPS[f"{cfg}.cfg"])
    game.set_seed(1)
    game.set_mode(vzd.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_audio_buffer_enabled(False)
    added = folder / "added.cfg"
    added.write_text("\n".join(lines) + "\n")
    game.load_config(str(added))
    game.init()
    draws = Draws(1)
    buttons = game.get_available_buttons()
    answers = []
    tell = lambda reward: answers.append("%08x" % zlib.crc32(told(game, what, reward).encode()))
    for kind, *rest in steps:
        if kind == "draw":
            for _ in range(rest[0]):
                row = [draws.below(21) - 10 if vzd.is_delta_button(b) else draws.below(2) for b in buttons]
                tell(game.make_action(row, rest[1]))
        elif kind == "advance":
            for _ in range(rest[0]):
                game.advance_action(rest[1])
                tell(game.get_last_reward())
        elif kind == "most":
            game.set_button_max_value(getattr(vzd.Button, rest[0]), rest[1])
        elif kind == "command":
            game.send_game_command(rest[0])
        elif kind == "bytes":
            answers.append("%08x" % zlib.crc32((folder / rest[0]).read_bytes()))
        else:
            path = str(folder / rest[0]) if rest else ""
            {
                "new": game.new_episode,
                "record": lambda: game.new_episode(path),
                "replay": lambda: game.replay_episode(path, rest[1]),
                "save": lambda: game.save(path),
                "load": lambda: game.load(path),
            }[kind]()
            tell(0.0)
    game.close()
    return answers


def main():
    golden = HERE / "features.json"
    kept = {case["name"]: case for case in json.loads(golden.read_text())} if golden.exists() else {}
    found = []
    for name, cfg, lines, what, steps in cases():
        if any(name.startswith(word) for word in sys.argv[1:]) or not sys.argv[1:] or name not in kept:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    answers = play(cfg, lines, what, steps, Path(folder))
                except vzd.ViZDoomNoOpenALSoundException:
                    print(name, "no libopenal")
                    if name not in kept:
                        continue
                    answers = kept[name]["answers"]
        else:
            answers = kept[name]["answers"]
        found.append({"name": name, "cfg": cfg, "lines": lines, "told": what, "steps": steps, "answers": answers})
        print(name, *answers[:6], flush=True)
    golden.write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in found) + "\n]\n")


if __name__ == "__main__":
    main()
