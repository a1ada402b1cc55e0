"""The rows: what is measured, against whom, and the bar. One line of the table each, in the table's order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from sides import Command, Failed, Program, Side, Worker
from table import Outcome, Unit

HERE = os.path.dirname(os.path.abspath(__file__))
SOLVED = 475.0  # CartPole-v1, the mean of 100 games
SAME_WORK = 0.05  # by which two counts of floating point operations may differ


@dataclass(frozen=True)
class Tools:
    """Where the programs of both sides are."""

    rl_run: str
    python: str

    def bench(self, field: str, *arguments: str) -> Command:
        """One `rl-run bench` of ours."""
        return Command("rl-run", [self.rl_run, "bench", *arguments, "--json"], field)

    def peer(self, label: str, script: str, *arguments: str, threads: int = 1) -> Worker:
        """One variant of a peer."""
        argv = [self.python, os.path.join(HERE, script), *arguments, "--threads", str(threads)]
        return Worker(label, argv, threads)


@dataclass(frozen=True)
class Row:
    """Of several variants of a peer the fastest in a first heat alternates with ours."""

    name: str
    group: str
    work: str
    unit: Unit
    ours: Side
    peers: tuple[Side, ...]
    bar: float
    skip: str = ""  # why this machine cannot measure it


def rows(tools: Tools, bf16: bool, numbers: list[int]) -> list[Row]:
    """Every row, whether it can be measured here or not, on the cores of these numbers."""
    cores = len(numbers)
    threads = sorted({1, cores})
    return [
        *nature(tools, threads),
        *nature_bf16(tools, threads, bf16),
        *layers(tools, threads),
        act(tools),
        *atari(tools, threads),
        *classic(tools, threads),
        *doom(tools, numbers),
        dqn(tools, cores, "f32", True),
        dqn(tools, cores, "bf16", bf16),
        *on_policy(tools, cores, "f32", True),
        *on_policy(tools, cores, "bf16", bf16),
        *cartpole(tools, cores),
    ]


def network(tools: Tools, model: str, batch: int, threads: int, precision: str = "f32", passes: str = "train") -> Command:
    """Our side of a row on a network."""
    sizes = ["--batch", str(batch), "--threads", str(threads), "--precision", precision, "--pass", passes]
    return tools.bench("median_ms", "nn", "--model", model, *sizes, "--seconds", "{seconds}")


def torch(tools: Tools, model: str, batch: int, threads: int, mode: str, layout: str, precision: str = "f32") -> Worker:
    """PyTorch's side of it."""
    label = f"torch {'eager' if mode == 'eager' else 'compile ' + mode} {precision} {layout}"
    sizes = ["--model", model, "--batch", str(batch), "--mode", mode, "--layout", layout, "--precision", precision]
    return tools.peer(label, "torch_peer.py", *sizes, threads=threads)


def nature(tools: Tools, threads: list[int]) -> Iterator[Row]:
    """A training step of the Nature network on given targets: forward, Huber loss, backward, Adam."""
    for batch in (32, 256):
        for t in threads:
            ours = network(tools, "nature", batch, t)
            work = f"Nature-DQN training step f32, batch {batch}, {count(t, 'thread')}"
            for kind, modes, bar in (("eager", ["eager"], 1.4), ("compile", ["default", "max-autotune"], 1.1)):
                peers = tuple(torch(tools, "nature", batch, t, mode, layout) for mode in modes for layout in LAYOUTS)
                yield Row(f"nature-{batch}-{t}-{kind}", "nature", work, Unit.MS, ours, peers, bar)


LAYOUTS = ("nchw", "channels_last")


def nature_bf16(tools: Tools, threads: list[int], possible: bool) -> Iterator[Row]:
    """The same step in bf16 with f32 master weights, where the CPU multiplies bf16."""
    for batch in (32, 256):
        for t in threads:
            modes = ("eager", "default", "max-autotune")
            yield Row(
                f"nature-bf16-{batch}-{t}",
                "bf16",
                f"Nature-DQN training step bf16, batch {batch}, {count(t, 'thread')}",
                Unit.MS,
                network(tools, "nature", batch, t, "bf16"),
                tuple(torch(tools, "nature", batch, t, mode, "channels_last", "bf16") for mode in modes),
                1.1,
                "" if possible else "no bf16 here",
            )


def layers(tools: Tools, threads: list[int]) -> Iterator[Row]:
    """Forward and backward of one layer, the gradient of its input included."""
    works = {
        "lstm": "LSTM 512, sequence 20, batch 32",
        "encoder": "encoder layer d 256, sequence 64, batch 32",
        "conv3x3": "conv 3x3 64 to 64 at 32 x 32, batch 32",
        "batchnorm": "batch norm 64 at 32 x 32, batch 32",
    }
    for model, work in works.items():
        layouts = LAYOUTS if model in ("conv3x3", "batchnorm") else LAYOUTS[:1]
        for t in threads:
            peers = tuple(torch(tools, model, 32, t, "eager", layout) for layout in layouts)
            text = f"{work}, forward and backward, {count(t, 'thread')}"
            yield Row(f"{model}-{t}", "layers", text, Unit.MS, network(tools, model, 32, t), peers, 1.0)


def act(tools: Tools) -> Row:
    """The network that plays CartPole, one observation."""
    peer = tools.peer("torch inference mode", "torch_peer.py", "--model", "mlp", "--batch", "1", "--mode", "inference")
    ours = network(tools, "mlp", 1, 1, passes="forward")
    return Row("act", "act", "CartPole MLP act, batch 1", Unit.MS, ours, (peer,), 30.0)


def atari(tools: Tools, threads: list[int]) -> Iterator[Row]:
    """84 x 84 gray, skip 4 with maximum, sticky 0.25, 1 to 30 no-ops, whole games, one frame per observation.

    The clock runs through resets on both sides, and on neither is the row that a reset makes a step. Each of our threads steps
    its own seats without waiting for the others; the peers return a batch of all seats.
    """
    for game in ("kung_fu_master", "pong", "breakout"):
        for t in threads:
            seats = ["--env", f"atari/{game}", "--envs", "8"]
            ours = ["env", *seats, "--threads", str(t), "--seconds", "{seconds}", "--set", "env.noops=30"]
            peers = tuple(
                tools.peer(f"{lib}, {count(t, 'thread')}", "env_peer.py", "--lib", lib, *seats, threads=t)
                for lib in ("envpool", "ale-py")
            )
            work = f"Atari {game}, 8 seats, {count(t, 'thread')}"
            bench = tools.bench("env_steps_per_s", *ours)
            yield Row(f"atari-{game}-{t}", "atari", work, Unit.RATE, bench, peers, 1.15)


def classic(tools: Tools, threads: list[int]) -> Iterator[Row]:
    """Environments that are a few sums, where the way of stepping is what costs. Each of our threads steps its own seats without
    waiting for the others; the peers return a batch of all seats."""
    for env, lib, bar in (("cartpole", "envpool", 20.0), ("frozenlake", "envpool", 20.0), ("cartpole", "gymnasium", 2.0)):
        for t in threads:
            seats = ["--env", env, "--envs", "1024"]
            bench = tools.bench("env_steps_per_s", "env", *seats, "--threads", str(t), "--seconds", "{seconds}")
            one = "gymnasium NumPy vector, 1 thread"
            counts = {t: one} if lib == "gymnasium" else {n: f"{lib}, {count(n, 'thread')}" for n in sorted({1, t})}
            peers = tuple(tools.peer(label, "env_peer.py", "--lib", lib, *seats, threads=n) for n, label in counts.items())
            work = f"{env}, 1,024 seats, {count(t, 'thread')}"
            yield Row(f"{env}-{lib}-{t}", "envs", work, Unit.RATE, bench, peers, bar)


def doom(tools: Tools, cores: list[int]) -> Iterator[Row]:
    """Doom's `basic` by four tics, the whole screen in grey, a game and its engine on one core: against ViZDoom's Python package
    on one, and on two against ourselves on one."""
    for size in ("160x120", "320x240"):
        one, options = doom_bench(tools, size, cores[:1]), ["--core", str(cores[0]), "--rl-run", tools.rl_run]
        theirs = tools.peer("vizdoom, 1 core", "doom_peer.py", "--resolution", size, *options)
        yield Row(f"doom-{size}-1", "doom", f"Doom basic {size}, 1 core", Unit.RATE, one, (theirs,), 1.05)
        skip = "" if len(cores) > 1 else "one core here"
        two = doom_bench(tools, size, cores[:2])
        yield Row(f"doom-{size}-2", "doom", f"Doom basic {size}, 2 cores", Unit.RATE, two, (one,), 1.7, skip)


def doom_bench(tools: Tools, size: str, cores: list[int]) -> Command:
    """Our side on these cores, a seat and a thread on each, with the seed of doom_peer.py."""
    width, height = size.split("x")
    sets = [f"env.resolution=\"{size}\"", f"env.width={width}", f"env.height={height}", "env.engine_seed=7", "env.pin=true"]
    values = [part for value in sets for part in ("--set", value)]
    many = str(len(cores))
    seats = ["--env", "doom/basic", "--envs", many, "--threads", many, "--seconds", "{seconds}"]
    command = tools.bench("env_steps_per_s", "env", *seats, *values)
    command.label = f"rl-run, {count(len(cores), 'core')}"
    command.argv = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command.argv]
    return command


def dqn(tools: Tools, cores: int, precision: str, possible: bool) -> Row:
    """Agent steps of a plain DQN once it updates: batch 32, one update per 4 steps, single-step targets."""
    plain = ["agent.double=false", "agent.n_step=1", "agent.batch=32", "agent.update_period=4", "agent.updates=1"]
    bar = 2.2 if precision == "f32" else 3.5
    peers = (*stable_baselines(tools, "dqn", 1, cores, precision), *stable_baselines(tools, "dqn", 8, cores, precision))
    return training(tools, "dqn", precision, plain, peers, cores, bar, possible)


def on_policy(tools: Tools, cores: int, precision: str, possible: bool) -> Iterator[Row]:
    """Agent steps of PPO and A2C by the settings of the papers."""
    bars = {"f32": (2.5, 3.0), "bf16": (3.5, 3.6)}[precision]
    cleanrl = tuple(
        tools.peer(f"CleanRL-style PPO on EnvPool {p} {layout}", "ppo_peer.py", "--precision", p, "--layout", layout, threads=cores)
        for p in precisions(precision)
        for layout in LAYOUTS
    )
    peers = {
        "ppo": (*stable_baselines(tools, "ppo", 8, cores, precision), *cleanrl),
        "a2c": stable_baselines(tools, "a2c", 16, cores, precision),
    }
    sets = {
        "ppo": ["train.envs=8", "agent.horizon=128", "agent.epochs=4", "agent.minibatches=4"],
        "a2c": ["train.envs=16", "agent.horizon=5", "agent.optimiser=rms_prop"],
    }
    for (agent, theirs), bar in zip(peers.items(), bars):
        yield training(tools, agent, precision, sets[agent], theirs, cores, bar, possible)


def cartpole(tools: Tools, cores: int) -> Iterator[Row]:
    """CartPole from nothing to the end of the preset, each side by its own: whole processes, seeds 1, 2, 3 ... by turn."""
    for agent, bar in (("ppo", 8.0), ("dqn", 5.0)):
        run, judged = "{dir}/run", ["--greedy", "--episodes", "100", "--json"]
        train = [tools.rl_run, "--env", "cartpole", "--agent", agent, "--seed", "{seed}", "--run", run, "--threads", str(cores)]
        train += ["--quiet", "--json"]
        ours = Program("rl-run", train, [tools.rl_run, "eval", run, *judged], cores)
        script = [tools.python, os.path.join(HERE, "zoo_peer.py"), "--agent", agent]
        script += ["--seed", "{seed}", "--model", "{dir}/model"]
        peers = tuple(
            Program(f"Stable-Baselines3, zoo's preset, {count(t, 'thread')}", script, [*script, "--judge"], t)
            for t in sorted({1, cores})
        )
        work = f"{agent.upper()} on CartPole-v1, whole process, {count(cores, 'thread')}"
        yield Row(f"cartpole-{agent}", "cartpole", work, Unit.SECONDS, ours, peers, bar)


def precisions(precision: str) -> tuple[str, ...]:
    """What a peer of ours in that precision may multiply: whichever makes it faster."""
    return ("f32",) if precision == "f32" else ("f32", precision)


def stable_baselines(tools: Tools, agent: str, seats: int, cores: int, precision: str) -> tuple[Worker, ...]:
    """An agent of Stable-Baselines3: its seats in one process, which is its default, or in one each."""
    return tuple(
        tools.peer(
            f"Stable-Baselines3 {p}, {count(seats, 'seat')}, {vec}",
            "sb3_peer.py",
            *("--agent", agent, "--envs", str(seats), "--vec", vec, "--precision", p),
            threads=cores,
        )
        for p in precisions(precision)
        for vec in (("dummy", "subproc") if seats > 1 else ("dummy",))
    )


def training(
    tools: Tools, agent: str, precision: str, sets: list[str], peers: tuple[Worker, ...], cores: int, bar: float, possible: bool
) -> Row:
    """Agent steps of a training run on Kung Fu Master."""
    values = [part for value in [*sets, f"train.precision={precision}"] for part in ("--set", value)]
    what = ["--env", "kungfu", "--agent", agent, *values, "--threads", str(cores), "--seconds", "{seconds}"]
    ours = tools.bench("agent_steps_per_s", "train", *what)
    work = f"{agent.upper()} on Kung Fu Master {precision}, agent steps, {count(cores, 'thread')}"
    name = agent if precision == "f32" else f"{agent}-{precision}"
    return Row(name, agent, work, Unit.RATE, ours, peers, bar, "" if possible else "no bf16 here")


def count(n: int, noun: str) -> str:
    """1 thread, 2 threads."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def blank(row: Row) -> Outcome:
    """The row before anything is measured."""
    return Outcome(row.name, row.work, row.unit, row.bar, reason=row.skip)


def measure(row: Row, rounds: int, seconds: float) -> Outcome:
    """Ours, theirs, ours, theirs ...; a side that fails leaves the other's figures and its reason."""
    outcome = blank(row)
    if row.skip:
        return outcome
    reasons: list[str] = []
    ours: Side | None = row.ours
    peer = _heat(row, seconds / 2, outcome, reasons)
    if isinstance(peer, Program):
        peer.scores.clear()  # turns count from 1 on both sides, and so do their seeds
    try:
        for _ in range(rounds):
            if ours is not None and not _turn(ours, seconds, outcome.ours, "ours", reasons):
                ours = None
            if peer is not None and not _turn(peer, seconds, outcome.theirs, peer.label, reasons):
                peer = None
        if peer is not None and ours is not None:
            outcome.note = _same_work(ours, peer) or _learned(ours, peer)
    finally:
        for side in (row.ours, *row.peers):
            side.close()
    failed = not outcome.ours or not outcome.theirs
    text = "; ".join(dict.fromkeys(reasons))
    outcome.reason, outcome.note = (text, outcome.note) if failed else ("", outcome.note or text)
    return outcome


def _heat(row: Row, seconds: float, outcome: Outcome, reasons: list[str]) -> Side | None:
    """Measures each variant once; all but the fastest are closed."""
    best: Side | None = None
    for peer in row.peers:
        values: list[float] = []
        if not _turn(peer, seconds, values, peer.label, reasons):
            peer.close()
            continue
        outcome.heat[peer.label] = value = values[0]
        faster = best is None or (value < outcome.heat[best.label]) == row.unit.less_is_better
        loser = best if faster else peer
        if loser is not None:
            loser.close()
        best = peer if faster else best
    outcome.peer = best.label if best is not None else ""
    return best


def _turn(side: Side, seconds: float, values: list[float], label: str, reasons: list[str]) -> bool:
    try:
        side.open()
        values.append(side.measure(seconds))
        return True
    except (Failed, ValueError, KeyError) as failed:
        reasons.append(f"{label}: {failed}")
        return False


def _same_work(ours: Side, theirs: Side) -> str:
    """A warning where the two sides count different work."""
    a, b = ours.gflop, theirs.gflop
    if a <= 0 or b <= 0 or abs(a / b - 1) <= SAME_WORK:
        return ""
    return f"ours counts {a:.3g} GFLOP, theirs {b:.3g}"


def _learned(ours: Side, theirs: Side) -> str:
    """How many runs solved the game, where the sides are whole runs."""
    if not isinstance(ours, Program) or not isinstance(theirs, Program):
        return ""
    solved = [f"{sum(score >= SOLVED for score in side.scores)} of {len(side.scores)}" for side in (ours, theirs)]
    return f"solved by ours {solved[0]}, by theirs {solved[1]}"
