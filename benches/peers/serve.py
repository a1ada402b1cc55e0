"""The peer's end of a turn: prepare once, then answer each line on standard input with one figure.

Libraries print as they like, so standard output is kept for answers and theirs goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median


def serve(facts: dict[str, object], measure: Callable[[float], float]) -> None:
    """Says that all is ready, then runs `measure(seconds)` once per line until the input ends."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"ready": True, **facts}), file=answers)
    for line in sys.stdin:
        print(json.dumps({"value": measure(float(line))}), file=answers)


def rate(block: Callable[[], int], seconds: float) -> float:
    """Steps per second of a function that returns how many steps it did."""
    steps, begin, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < seconds or steps == 0:
        steps += block()
        elapsed = time.perf_counter() - begin
    return steps / elapsed


def median_ms(call: Callable[[], object], seconds: float, least: int = 5) -> float:
    """The median time of a call, over at least `least` calls."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * median(times)
