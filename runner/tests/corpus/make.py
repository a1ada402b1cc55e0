"""Writes the recordings of ../corpus.rs: python3 runner/tests/corpus/make.py [NAME ...], after `cargo build --release` (PROFILE=debug for another).

A recording is made again only where the VERSION of its environment was raised: until then the old one must play again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[2] / "target")) / os.environ.get("PROFILE", "release") / "rl-run"
GAMES = ["atari/kung_fu_master", "atari/pong", "atari/montezuma_revenge", "doom/basic", "doom/defend_the_center", "doom/health_gathering"]
# Games that random actions do not end, and some that they draw out.
SHORT = {"cliffwalking": ["env.max_steps=200"], "cliffwalking-slippery": ["env.max_steps=200"],
         "mountaincar-continuous": ["env.max_steps=200"]}

known = json.loads(subprocess.run([PROGRAM, "list", "envs", "--json"], check=True, capture_output=True).stdout)
names = [env["name"] for env in known if not env["name"].startswith(("atari/", "doom/"))] + GAMES
for name in sys.argv[1:] or names:
    sets = ["env.max_frames=2000"] if name.startswith("atari/") else SHORT.get(name, [])
    words = ["record", "--env", name, "--random", "--episodes", "2", "--seed", "1"]
    words += [word for value in sets for word in ("--set", value)]
    subprocess.run([PROGRAM, *words, "--out", HERE / f"{name.replace('/', '-')}.rec"], check=True)
