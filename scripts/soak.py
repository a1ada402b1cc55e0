"""Long runs whose memory must stay flat: RSS, open descriptors and threads of rl-run, from /proc.

    python3 -B scripts/soak.py [--only cartpole-dqn,cartpole-ppo,kungfu] [--minutes 30] [--program target/release/rl-run]

The first half of a run warms it up: a replay fills, the allocator meets the largest update, checkpoint and evaluation. Over the
second half a line is fitted to RSS; its slope has a bound per million agent steps where a run is counted in steps, and per hour
where it is counted in time. Descriptors and threads come and go with checkpoints and evaluations, so what is compared is the
fewest in the third quarter and in the fourth: of a leak the fewest grow too.

Prints a line per case and exits 1 if one passes its bound or does not end as it should.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

STOPPED = 75  # exit code of a run that was stopped and can be resumed

# Name, arguments, whether it is counted in minutes instead of frames, seconds between samples, and the largest slope in MB:
# per million agent steps, or per hour.
CASES = [
    (
        "cartpole-dqn",
        "--env cartpole --agent dqn --frames 1000000 --set train.checkpoint_every=50000 --eval-every 100000 --eval-episodes 20",
        False, 0.5, 8.0,
    ),
    (
        "cartpole-ppo",
        "--env cartpole --agent ppo --frames 1000000 --set train.checkpoint_every=50000 --eval-every 100000 --eval-episodes 20",
        False, 0.1, 8.0,
    ),
    (
        "kungfu",
        "--env kungfu --agent ppo --frames 1000000000 --set train.checkpoint_every=50000 --eval-every 200000 --eval-episodes 5",
        True, 2.0, 16.0,
    ),
]


def sample(pid):
    """Seconds, RSS in MB, descriptors and threads; None once the process is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        rss = int(fields["VmRSS"].split()[0]) / 1024
        return time.monotonic(), rss, len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"])
    except (OSError, KeyError):
        return None  # it has ended, or is about to


def slope(points):
    """Of the line through (x, y) with the least squares."""
    n = len(points)
    mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    return sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)


def soak(program, case, minutes, threads, folder):
    """Runs one case; its line, and what is wrong with it."""
    name, line, timed, pause, bound = case
    run = pathlib.Path(folder) / name
    arguments = [program, *line.split(), "--run", str(run), "--seed", "1", "--quiet", "--json"]
    if threads:
        arguments += ["--threads", str(threads)]
    samples, begin = [], time.monotonic()
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        while child.poll() is None:
            if timed and time.monotonic() - begin > 60 * minutes:
                break
            samples.append(sample(child.pid))
            time.sleep(pause)
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        said, _ = child.communicate()
    finally:
        child.kill()
    wanted = STOPPED if timed else 0
    if child.returncode != wanted:
        return f"{name}: ended with {child.returncode}, expected {wanted}", ["it failed"]
    samples = [each for each in samples if each]
    end = json.loads(said)
    seconds, steps = samples[-1][0] - samples[0][0], end["agent_steps"]
    at = lambda share: samples[0][0] + share * seconds
    rest = [each for each in samples if each[0] >= at(0.5)]
    if len(rest) < 20:
        return f"{name}: {len(rest)} samples after its first half", ["too short to tell"]
    mb_per_s = slope([(each[0], each[1]) for each in rest])
    hour, million = mb_per_s * 3600, mb_per_s * seconds / steps * 1e6
    quarters = [each for each in rest if each[0] < at(0.75)], [each for each in rest if each[0] >= at(0.75)]
    (fds, more_fds), (tasks, more_tasks) = ([min(each[column] for each in part) for part in quarters] for column in (2, 3))
    wrong = []
    if (hour if timed else million) > bound:
        wrong.append(f"RSS grows by more than {bound} MB {'an hour' if timed else 'a million steps'}")
    if more_fds > fds:
        wrong.append(f"descriptors grow from {fds} to {more_fds}")
    if more_tasks > tasks:
        wrong.append(f"threads grow from {tasks} to {more_tasks}")
    told = (
        f"{name}: {steps} agent steps in {seconds / 60:.1f} min, {len(samples)} samples; RSS {rest[0][1]:.1f} MB at half, "
        f"{rest[-1][1]:.1f} at the end, slope {hour:+.2f} MB/h, {million:+.3f} MB a million steps; "
        f"descriptors {fds}, {more_fds}; threads {tasks}, {more_tasks}"
    )
    return told, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [case[0] for case in CASES]
    parser.add_argument("--only", default=",".join(names), help="cases, separated by commas")
    parser.add_argument("--minutes", type=float, default=30, help="of the cases that are counted in time")
    parser.add_argument("--threads", type=int, default=0, help="of a run; 0 for as many as there are cores")
    parser.add_argument("--program", default="target/release/rl-run")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(names)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if case[0] in options.only.split(","):
                told, wrong = soak(options.program, case, options.minutes, options.threads, folder)
                print("\n  FAILED: ".join([told, *wrong]), flush=True)
                failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
