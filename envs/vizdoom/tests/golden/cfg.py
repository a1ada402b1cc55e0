"""Writes cfg.json: what ViZDoom's own loader makes of `.cfg` files, and the names and defaults of its settings.

    python cfg.py        # in an environment with vizdoom 1.3.2; about a second

For each shipped scenario and each text of CASES: whether the loader took every line, and what the game, not started yet,
reports then: of each getter what differs from the defaults. Paths are written with DIR for the directory of the file.
"""

import json
import math
import os
import tempfile
from pathlib import Path

import vizdoom

# Texts of ours, one rule of the grammar each.
CASES = {
    "capitals do not count": "EPISODE_TIMEOUT = 10\nScreen_Format = gray8\nmode = Spectator",
    "keys do without underscores": "episodeTimeout = 10\nscreenFormat = RGB24\nrenderHud = true",
    "a comment takes a line of its own": "# a = b\n   # indented\n\ndoom_skill = 2",
    "no spaces are needed": "doom_skill=2\nliving_reward=-0.5\navailable_buttons={ATTACK USE}",
    "tabs and carriage returns are spaces": "\tdoom_skill\t=\t2\r\navailable_buttons = {\r\n\tATTACK\r\n}\r\n",
    "the last of two lines holds": "doom_skill = 2\ndoom_skill = 4",
    "a list takes several lines": "available_buttons =\n\n# why\n{\n ATTACK\n # between\n\n USE JUMP\n}\ndoom_skill = 2",
    "braces may touch names": "available_buttons = {ATTACK\nUSE}",
    "a list may be empty": "available_buttons = { ATTACK }\navailable_buttons = { }\navailable_game_variables = {}",
    "a list replaces": "available_buttons = { ATTACK }\navailable_buttons = { USE }",
    "a list appends": "available_buttons = { ATTACK }\navailable_buttons += { USE }",
    "variables append": "available_game_variables = { HEALTH }\navailable_game_variables += { AMMO2 USER60 }",
    "arguments append": "game_args = +a 1\ngame_args += +b  2",
    "arguments replace": "game_args = +a 1\ngame_args = -B",
    "arguments may be none": "game_args = +a 1\ngame_args =",
    "booleans are words or digits": "depth_buffer_enabled = 1\nlabels_buffer_enabled = TRUE\nobjects_info_enabled = 0",
    "whole numbers may have a plus": "seed = +7\nepisode_timeout = +5",
    "the largest seed": "seed = 4294967295",
    "floats": "living_reward = -1e-3\ndeath_penalty = .5\nkill_reward = 2.\nitem_reward = +3",
    "rewards": "map_exit_reward = 1\nkill_reward = 2\nsecret_reward = 3\nitem_reward = 4\nfrag_reward = 5\nhit_reward = 6\n"
    "hit_taken_penalty = 7\ndamage_made_reward = 8\ndamage_taken_penalty = 9\nhealth_reward = 10\narmor_reward = 11",
    "penalties are rewards turned round": "death_reward = -3\nhit_taken_reward = -4\ndamage_taken_reward = 5",
    "a map is lower-case": "doom_map = MAP02",
    "paths are relative to the file": "doom_scenario_path = a/B.wad\ndoom_game_path = g.wad\ndoom_config_path = c.ini\n"
    "vizdoom_path = ./bin/vizdoom",
    "paths may be absolute": "doom_scenario_path = /a/b.wad",
    "paths may have a space": "doom_scenario_path = a b.wad",
    "items go by the name of weapons": "available_buttons = { ACTIVATE_SELECTED_WEAPON }",
    "largest values": "available_buttons = { TURN_LEFT_RIGHT_DELTA }\nbutton_max_value = TURN_LEFT_RIGHT_DELTA 12",
    "audio": "audio_buffer_enabled = true\naudio_sampling_rate = SR_22050\naudio_buffer_size = 4",
    "notifications": "notifications_buffer_enabled = true\nnotifications_buffer_size = 3",
    "automap": "automap_buffer_enabled = true\nautomap_mode = OBJECTS_WITH_SIZE\nautomap_rotate = true\n"
    "automap_render_textures = false\nautomap_render_objects_as_sprites = true",
    "what is rendered": "\n".join(
        f"render_{what} = true"
        for what in "hud minimal_hud weapon crosshair decals particles effects_sprites messages corpses screen_flashes "
        "all_frames".split()
    ),
    "switches": "window_visible = false\nconsole_enabled = true\nsound_enabled = true\nsectors_info_enabled = true\n"
    "ticrate = 70\nmode = ASYNC_SPECTATOR",
    # What the loader warns of, and ignores.
    "no equals sign": "doom_skill 2",
    "no key": "= 2",
    "no value": "doom_skill =",
    "an unknown key": "doom_skil = 2",
    "a comment after a value": "doom_skill = 2 # easy",
    "a fraction for a whole number": "episode_timeout = 1.5",
    "a negative number": "seed = -1",
    "a number too large": "seed = 4294967296",
    "a word for a number": "living_reward = much",
    "a boolean that is none": "render_hud = yes",
    "an unknown mode": "mode = PLAYERS",
    "an unknown format": "screen_format = GRAY",
    "an unknown resolution": "screen_resolution = RES_84X84",
    "an unknown button": "available_buttons = { ATACK }",
    "an unknown variable": "available_game_variables = { HEALT }",
    "a list without braces": "available_buttons = ATTACK",
    "a list that is not closed": "available_buttons = { ATTACK",
    "a list that never begins": "available_buttons =",
    "appending to a number": "doom_skill += 2",
    "a largest value of nothing": "button_max_value = 3",
    # What the loader takes in silence, and we do not, or the other way round: see DEVIATIONS in cfg.rs.
    "a button twice": "available_buttons = { ATTACK ATTACK }",
    "a skill out of range": "doom_skill = 9",
    "a first tic of 0": "episode_start_time = 0",
    "a largest value of a binary button": "button_max_value = ATTACK 3",
    "a reward that is no number": "living_reward = nan",
    "a map that is a command": "doom_map = map01; quit",
    "a ticrate of 0": "ticrate = 0",
    "an empty audio buffer": "audio_buffer_size = 0",
    "an empty notifications buffer": "notifications_buffer_size = 0",
    "a comment after a list": "available_buttons = { ATTACK } # fire\navailable_game_variables = { HEALTH }",
    "names do without underscores": "available_buttons = { MoveLeft }",
    "items by their own name": "available_buttons = { ACTIVATE_SELECTED_ITEM }",
    "a list with tabs": "available_buttons = { ATTACK\tUSE }",
    "arguments with a plus and an equals sign": "game_args = +a b+=c",
}

# Those of the getters that may be called before the game is started.
GETTERS = """
    get_armor_reward get_audio_buffer_size get_audio_sampling_rate get_available_buttons get_available_game_variables
    get_damage_made_reward get_damage_taken_penalty get_death_penalty get_doom_config_path get_doom_game_path get_doom_map
    get_doom_scenario_path get_doom_skill get_episode_start_time get_episode_timeout get_frag_reward get_game_args
    get_health_reward get_hit_reward get_hit_taken_penalty get_item_reward get_kill_reward get_living_reward
    get_map_exit_reward get_mode get_notifications_buffer_size get_screen_channels get_screen_format get_screen_height
    get_screen_width get_secret_reward get_ticrate get_vizdoom_path is_audio_buffer_enabled is_automap_buffer_enabled
    is_depth_buffer_enabled is_labels_buffer_enabled is_notifications_buffer_enabled is_objects_info_enabled
    is_sectors_info_enabled
""".split()

ENUMS = "AutomapMode Button GameVariable Mode SamplingRate ScreenFormat ScreenResolution".split()


def plain(value, directory):
    """`value` of a getter as JSON has it."""
    if isinstance(value, list):
        return [plain(each, directory) for each in value]
    if isinstance(value, str):
        return value.replace(directory, "DIR")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value if isinstance(value, (bool, int, float)) else value.name


def reported(game, directory):
    """What `game` says of its settings."""
    out = {name: plain(getattr(game, name)(), directory) for name in GETTERS}
    buttons = [button for name, button in vizdoom.Button.__members__.items() if name.endswith("_DELTA")]
    out["get_button_max_value"] = [game.get_button_max_value(button) for button in buttons]
    return out


def load(path, text, defaults):
    """What the loader makes of the file at `path`, which holds `text`."""
    game = vizdoom.DoomGame()
    took = game.load_config(str(path))
    says = reported(game, str(path.parent))
    differs = {name: value for name, value in says.items() if value != defaults[name]}
    if took and "seed" in text:
        differs["get_seed"] = game.get_seed()  # a random one otherwise
    return {"took": took, "reported": differs}


def main():
    assert vizdoom.__version__ == "1.3.2", vizdoom.__version__
    scenarios = Path(vizdoom.__file__).parent / "scenarios"
    defaults = reported(vizdoom.DoomGame(), "DIR")
    out = {
        "enums": {
            name: dict(sorted(((k, v.value) for k, v in getattr(vizdoom, name).__members__.items()), key=lambda kv: kv[1]))
            for name in ENUMS
        },
        "defaults": defaults,
        "shipped": {path.name: load(path, path.read_text(), defaults) for path in sorted(scenarios.glob("*.cfg"))},
        "cases": {},
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(os.path.realpath(directory)) / "case.cfg"
        for name, text in CASES.items():
            path.write_bytes(text.encode())
            out["cases"][name] = {"text": text} | load(path, text, defaults)
    Path(__file__).with_name("cfg.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
