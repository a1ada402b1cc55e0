"""Ours against theirs, in one run and in turns: `make peers`, or `python3 benches/peers`.

Sets up target/peers-venv (PyTorch and the other peers: some 7 GB), then measures row by row. Each row alternates: ours,
theirs, ours, theirs ..., and shows medians, the range and their ratio beside the bar. Whatever cannot be installed or
run stays in the table with its reason. Standard library only; the peers run in their own processes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import machine
import rows
import table

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
LIMIT = 0.5  # cores in use by others, above which figures are not worth taking
REFUSED = 1  # exit status without figures


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make peers ARGS=…", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAMES", help="groups or rows, by comma: see --list")
    parser.add_argument("--list", action="store_true", help="name the groups and rows, and end")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 second instead of 5 of 5: a trial")
    parser.add_argument("--rounds", type=int, help="turns of each side per row")
    parser.add_argument("--seconds", type=float, help="seconds of a turn")
    parser.add_argument("--busy", action="store_true", help="measure although other programs use the machine")
    parser.add_argument("--venv", type=Path, help="a Python environment that has the peers; none is set up then")
    parser.add_argument("--rl-run", type=Path, default=ROOT / "target/release/rl-run", help="our program")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, as JSON")
    parser.add_argument("--out", type=Path, help="the report; benches/RESULTS.md, or target/peers.md for a part or trial")
    return parser.parse_args()


def main() -> int:
    """Returns the exit status."""
    args = arguments()
    flags = machine.cpu()[1]
    python = str((args.venv or ROOT / "target/peers-venv").resolve() / "bin/python")
    tools = rows.Tools(str(args.rl_run), python)
    chosen = choose(rows.rows(tools, machine.has_bf16(flags), machine.cores()), args.only)
    if args.list:
        print("\n".join(f"{row.group:8} {row.name:24} {row.work}" for row in chosen))
        return 0
    if not args.rl_run.is_file():
        say(f"{args.rl_run} is missing: cargo build --release -p rl-runner")
        return REFUSED
    if args.venv is None:
        set_up(ROOT / "target/peers-venv")
    load = (machine.busy_cores(5.0), os.getloadavg()[0])
    if load[0] > LIMIT and not args.busy:
        say(f"other programs use {load[0]:.1f} cores: wait, or give --busy and read the figures with care")
        return REFUSED
    rounds = args.rounds or (2 if args.quick else 5)
    seconds = args.seconds or (1.0 if args.quick else 5.0)
    facts, versions = machine.facts(str(ROOT)), machine.versions(python)  # of what is measured, not of what comes meanwhile
    outcomes = [measured(row, rounds, seconds) for row in chosen]
    text = report(outcomes, facts, versions, load, rounds, seconds)
    print(text)
    whole = not (args.only or args.quick or args.rounds or args.seconds or args.busy)
    out = args.out or (ROOT / "benches/RESULTS.md" if whole else ROOT / "target/peers.md")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    say(f"written to {out}")
    if args.json:
        dump(args.json, outcomes, facts, versions, load)
    return 0


def choose(every: list[rows.Row], only: str) -> list[rows.Row]:
    """The rows of these groups or names; all without any."""
    wanted = [word for word in only.split(",") if word]
    known = {row.group for row in every} | {row.name for row in every}
    unknown = [word for word in wanted if word not in known]
    if unknown:
        groups = ", ".join(dict.fromkeys(row.group for row in every))
        sys.exit(f"peers: --only {unknown[0]}: not a group ({groups}) nor a row (--list)")
    return [row for row in every if not wanted or row.group in wanted or row.name in wanted]


def measured(row: rows.Row, rounds: int, seconds: float) -> table.Outcome:
    """One row, with a line on standard error."""
    others = machine.busy_cores(1.0)
    outcome = rows.measure(row, rounds, seconds)
    outcome.others_load = others
    found = table.ratio(outcome)
    say(f"{row.name}: {f'{found.median:.2f}, ' if found else ''}{table.verdict(outcome)}")
    return outcome


def set_up(venv: Path) -> None:
    """Makes the environment unless it is what requirements.txt says; one line at a time if all at once fails."""
    stamp = venv / "installed.txt"
    if stamp.is_file() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return
    say(f"making {venv}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    whole = subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=False).returncode == 0
    if whole:
        shutil.copy(REQUIREMENTS, stamp)
        return
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and subprocess.run([*pip, line], check=False).returncode != 0:
            say(f"{line} cannot be installed: its rows will say so")


def report(
    outcomes: list[table.Outcome],
    facts: dict[str, str],
    versions: dict[str, str],
    load: tuple[float, float],
    rounds: int,
    seconds: float,
) -> str:
    """The file that `make peers` leaves."""
    most = max((outcome.others_load for outcome in outcomes), default=0.0)
    lines = [
        "# Ours against theirs",
        "",
        "Written by `make peers`. A ratio says how many times as much work per second ours does; figures are the median",
        f"(least to most) of {rounds} turns of {seconds:g} s, the two sides in turn. Of several variants of a peer the row",
        "shows the fastest of a first heat. `benches/peers/rows.py` says what each row is.",
        "",
        *(f"- {key}: {value}" for key, value in facts.items()),
        f"- others' load at the start: {load[0]:.2f} cores (load average {load[1]:.2f}); most before a row: {most:.2f}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in versions.items())}",
        "",
        table.render(outcomes),
        table.summary(outcomes),
    ]
    return "\n".join(lines) + "\n"


def dump(
    path: Path,
    outcomes: list[table.Outcome],
    facts: dict[str, str],
    versions: dict[str, str],
    load: tuple[float, float],
) -> None:
    """Every turn of every row."""
    document = {
        **facts,
        "versions": versions,
        "others_load": load[0],
        "load_average": load[1],
        "rows": [table.as_json(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"peers: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
