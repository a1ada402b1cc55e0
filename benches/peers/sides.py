"""The two sides of a row, each a program of its own: one that is run for every turn, or one that stays and answers."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from typing import IO, Protocol

PREPARE_SECONDS = 900.0  # torch.compile with autotuning may take minutes
TURN_SECONDS = 600.0


class Failed(Exception):
    """Why a side has no figure, in one line."""


class Side(Protocol):
    """Ours or a peer's variant."""

    label: str
    gflop: float  # of one call, where known

    def open(self) -> None:
        """Prepares; what takes long and is not measured."""

    def measure(self, seconds: float) -> float:
        """One turn."""

    def close(self) -> None:
        """Ends what `open` started."""


class Command:
    """A program that prints one JSON object; `field` of it is the figure. `{seconds}` in its arguments is replaced."""

    def __init__(self, label: str, argv: list[str], field: str) -> None:
        self.label, self.argv, self.field, self.gflop = label, argv, field, 0.0

    def open(self) -> None:
        pass

    def measure(self, seconds: float) -> float:
        argv = [part.replace("{seconds}", f"{seconds:g}") for part in self.argv]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TURN_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(one_line(str(error))) from error
        if done.returncode != 0:
            raise Failed(why(done.stderr))
        try:
            report = json.loads(done.stdout)
            value = float(report[self.field])
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"no {self.field} in what {argv[0]} printed") from error
        if "gflops" in report and self.field == "median_ms":
            self.gflop = float(report["gflops"]) * value / 1000
        return value

    def close(self) -> None:
        pass


class Program:
    """A program that trains and ends: its wall clock in seconds, start-up included. `{seed}` and `{dir}` in its arguments are
    replaced, the seed by the number of the turn. What it learned is judged off the clock by a second program, which prints
    `mean` in one JSON object."""

    gflop = 0.0

    def __init__(self, label: str, train: list[str], judge: list[str], threads: int) -> None:
        self.label, self.train, self.judge, self.threads = label, train, judge, threads
        self.scores: list[float] = []

    def open(self) -> None:
        pass

    def measure(self, seconds: float) -> float:
        with tempfile.TemporaryDirectory() as directory:
            filled = {"{dir}": directory, "{seed}": str(len(self.scores) + 1)}
            began = time.perf_counter()
            self._run(self.train, filled)
            took = time.perf_counter() - began
            try:
                self.scores.append(float(json.loads(self._run(self.judge, filled).splitlines()[-1])["mean"]))
            except (ValueError, KeyError, IndexError) as error:
                raise Failed(f"no mean in what {self.judge[0]} printed") from error
        return took

    def close(self) -> None:
        pass

    def _run(self, argv: list[str], filled: dict[str, str]) -> str:
        for word, value in filled.items():
            argv = [part.replace(word, value) for part in argv]
        env = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TURN_SECONDS, check=False, env=env)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(one_line(str(error))) from error
        if done.returncode != 0:
            raise Failed(why(done.stderr))
        return done.stdout


class Worker:
    """A peer that prepares once (imports, compiles, warms up) and then answers a line per turn: see serve.py."""

    def __init__(self, label: str, argv: list[str], threads: int = 1) -> None:
        self.label, self.argv, self.threads, self.gflop = label, argv, threads, 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.errors: IO[bytes] | None = None

    def open(self) -> None:
        if self.process is not None:
            return
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        here = os.path.dirname(os.path.abspath(__file__))
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env={**os.environ, **threads, "PYTHONPATH": here},
            )
        except OSError as error:
            raise Failed(one_line(str(error))) from error
        self.gflop = float(self._answer(PREPARE_SECONDS).get("gflop", 0.0))

    def measure(self, seconds: float) -> float:
        self.open()
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(f"{seconds}\n".encode())
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(self._last_words()) from error
        return float(self._answer(TURN_SECONDS)["value"])

    def close(self) -> None:
        if self.process is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.errors is not None:
            self.errors.close()
        self.process = self.errors = None

    def _answer(self, seconds: float) -> dict[str, float]:
        """The next line of JSON; a library may greet before serve.py silences it."""
        assert self.process is not None and self.process.stdout is not None
        said, end = b"", time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            # Read without a buffer, which would hide a line from `select`.
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.process.kill()
                raise Failed(f"no answer in {seconds:.0f} s")
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                self.process.wait()
                raise Failed(self._last_words())
            said += part
            for line in said.splitlines(keepends=True):
                if line.startswith(b"{") and line.endswith(b"}\n"):
                    return json.loads(line)

    def _last_words(self) -> str:
        if self.errors is None:
            return "ended early"
        self.errors.seek(0)
        return why(self.errors.read().decode(errors="replace"))


def why(stderr: str) -> str:
    """A reason in one line from what a program said before it failed."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    if not lines:
        return "failed without a word"
    spoken = [line for line in lines if line.lower().startswith("error")]
    return one_line(spoken[0] if spoken else lines[-1])


def one_line(text: str) -> str:
    """At most 160 characters of one line."""
    return " ".join(text.split())[:160]
