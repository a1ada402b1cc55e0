"""What a figure must be read with: the machine, how busy it was, versions, revision and date."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import time

PACKAGES = ("torch", "numpy", "gymnasium", "ale-py", "envpool", "stable-baselines3", "opencv-python-headless", "vizdoom")


def busy_cores(seconds: float) -> float:
    """Cores in use on average over a while in which we do nothing ourselves."""
    before = _jiffies()
    time.sleep(seconds)
    after = _jiffies()
    if before is None or after is None:
        return os.getloadavg()[0]
    spent = [b - a for a, b in zip(before, after)]
    idle = spent[3] + spent[4]  # idle and waiting for a disk
    return (os.cpu_count() or 1) * (1 - idle / max(sum(spent), 1))


def _jiffies() -> list[int] | None:
    """Time by kind of all cores; without guests, which are counted under user already."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            return [int(word) for word in stat.readline().split()[1:9]]
    except OSError:
        return None


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def cpu() -> tuple[str, set[str]]:
    """Name and flags of the first core."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() == "flags":
                    flags = set(value.split())
                    break
    except OSError:
        pass
    return name, flags


def has_bf16(flags: set[str]) -> bool:
    """Whether bf16 is multiplied by the CPU, not emulated."""
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def isa(flags: set[str]) -> str:
    """The vector instructions that matter here."""
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
    return ", ".join(flag for flag in wanted if flag in flags) or "none known"


def versions(python: str) -> dict[str, str]:
    """Of the peers' packages and of what ours is built with."""
    code = (
        "import importlib.metadata as m, platform\n"
        "print('python', platform.python_version())\n"
        f"for name in {PACKAGES!r}:\n"
        "    try: print(name, m.version(name))\n"
        "    except m.PackageNotFoundError: print(name, 'absent')\n"
    )
    found = dict(line.split(" ", 1) for line in said([python, "-c", code]).splitlines())
    rustc = said(["rustc", "--version"]).split(" ")
    return {**found, "rustc": rustc[1] if len(rustc) > 1 else "absent"}


def facts(root: str) -> dict[str, str]:
    """Everything above in words."""
    name, flags = cpu()
    dirty = "-dirty" if said(["git", "-C", root, "status", "--porcelain", "--untracked-files=no"]) else ""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": said(["git", "-C", root, "rev-parse", "--short=12", "HEAD"]) + dirty,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": f"{name}, {len(cores())} cores ({isa(flags)})",
        "memory": memory(),
    }


def memory() -> str:
    """Of the machine."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"


def said(argv: list[str]) -> str:
    """What a program prints; nothing where it fails."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
