"""Writes corpus/, what every target begins from: run it after a target has changed what it reads (python3 fuzz/corpus.py).

Inputs that once crashed lie beside them under names of their own, and are left alone.
"""

import gzip
import io
import json
import struct
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
# RUNS of src/lib.rs.
RUNS = [
    ("frozenlake", "tabular"), ("cartpole", "dqn"), ("cartpole", "rainbow"), ("frozenlake", "iqn"),
    ("cartpole-positions", "r2d2"), ("pendulum", "ppo"), ("cartpole-positions", "ppo"), ("cartpole", "impala"),
    ("connectfour", "alphazero"),
]


def write(target, name, content):
    path = HERE / "corpus" / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(content))


def edit(offset, gone, new):
    """One edit of rl_fuzz::edited; an offset below 0 counts from the end."""
    place = offset if offset >= 0 else 0x8000 | -offset
    return struct.pack("<HBB", place, gone, len(new)) + new


def record(number, content):
    """One record of rl_fuzz::records."""
    return struct.pack("<BH", number, len(content)) + content


def plain(preset):
    """A preset without its comments."""
    lines = [line.split("#")[0].rstrip() for line in preset.read_text().splitlines()]
    return "\n".join(line for line in lines if line).encode()


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_000_000_000
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()[:4096]


for number, (env, agent) in enumerate(RUNS):
    name = f"{agent}-{env}"
    for part in range(4):
        write("part", f"{name}-{part}", [number, part])
    write("part", f"{name}-edited", bytes([number, number]) + edit(2, 1, b"\7\7"))
    write("preset", name, bytes([number]) + plain(HERE.parent / "presets" / agent / f"{env}.toml"))
    write("preset", f"{name}-sets", bytes([number]) + b"\n--set\ntrain.envs=3\nagent.gamma = 0.5")
for kind in range(4):
    write("replay", f"empty-{kind}", [kind])
    write("replay", f"filled-{kind}", [kind | 6 << 2])
    write("replay", f"edited-{kind}", bytes([kind | 3 << 2]) + edit(90, 1, b"\3"))
    write("replay", f"segments-{kind}", bytes([kind | 7 << 2 | 32 | 64]) + edit(-9, 1, b"\3"))
for kind in [0, 1, 2, 4, 6, 12, 14, 16, 18, 20]:
    write("recording", f"whole-{kind}", [kind])
    write("recording", f"edited-{kind}", bytes([kind]) + edit(-40, 1, b"\3"))
for number in range(14):
    write("seats", f"{number}", [number])
    write("seats", f"{number}-edited", bytes([number]) + edit(-4, 1, b"\x09"))
for number in range(10):
    write("console", f"{number}", [number])
    write("console", f"{number}-edited", bytes([number]) + edit(40, 1, b"\x09") + edit(-4096, 1, b"\1"))
write("rom", "zeros", bytes(2049))
for number in range(14):
    write("run", f"file-{number}-edited", record(0x80 | number, edit(9, 1, b"1")))
    write("run", f"file-{number}-replaced", record(number, b"{}\n"))
toy = tar([("toy-1/a/b.txt", b"hello"), ("toy-1/c", b"")])
write("archive", "tar", b"\1" + toy)
write("archive", "gzip", b"\0" + gzip.compress(toy, mtime=0))
write("archive", "sums", b"\2e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  c\n")
cases = json.loads((HERE.parent / "envs/vizdoom/tests/golden/cfg.json").read_text())["cases"]
for kind, keep in (("lists", lambda text: "{" in text), ("values", lambda text: "{" not in text)):
    write("cfg", kind, "\n".join(case["text"] for case in cases.values() if case["took"] and keep(case["text"])).encode())
write("words", "actions", b"\x000\n3\n2\n")
write("words", "map", b"\1SFFF/FHFH/FFFH/HFFG")
write("words", "map-rows", b"\1/SF/FG")
write("words", "seeds", b"\x021..4,9,7..8")
