"""From figures to verdicts: medians, ratios and the table. Pure, so that a test can hold it.

A ratio says how many times as much work per second ours does as theirs, whatever the unit, so that above 1 is better.
A row keeps its place in the table when a side failed; its reason stands where its verdict would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from statistics import median


class Unit(Enum):
    """What a figure counts, and whether less is better."""

    MS = "ms"
    SECONDS = "s"
    RATE = "steps/s"

    @property
    def less_is_better(self) -> bool:
        """Whether it counts time."""
        return self is not Unit.RATE


@dataclass
class Outcome:
    """One row of the table: what each side measured, in the order of measuring."""

    name: str
    work: str
    unit: Unit
    bar: float
    peer: str = ""
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    reason: str = ""  # why a side has no figures
    note: str = ""
    heat: dict[str, float] = field(default_factory=dict)  # every variant of the peer, measured once
    others_load: float = 0.0  # cores that other programs used before the row


@dataclass(frozen=True)
class Ratio:
    """Ours against theirs: of the medians, and the worst and best of the turns."""

    median: float
    low: float
    high: float


def ratio(outcome: Outcome) -> Ratio | None:
    """Nothing where a side has no figure."""
    if not outcome.ours or not outcome.theirs:
        return None
    turns = [_ratio(outcome.unit, a, b) for a, b in zip(outcome.ours, outcome.theirs)]
    return Ratio(_ratio(outcome.unit, median(outcome.ours), median(outcome.theirs)), min(turns), max(turns))


def _ratio(unit: Unit, ours: float, theirs: float) -> float:
    return theirs / ours if unit.less_is_better else ours / theirs


def verdict(outcome: Outcome) -> str:
    """met, missed, or why neither."""
    if outcome.reason:
        return outcome.reason
    found = ratio(outcome)
    if found is None:
        return "not measured"
    return "met" if found.median >= outcome.bar else "missed"


def figure(unit: Unit, values: list[float]) -> str:
    """The median, and in brackets the least and the most."""
    if not values:
        return "-"
    shown = [_number(value) for value in (median(values), min(values), max(values))]
    return f"{shown[0]} {unit.value} ({shown[1]} to {shown[2]})"


def _number(value: float) -> str:
    """Three digits, and millions as M."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def render(outcomes: list[Outcome]) -> str:
    """The table in Markdown."""
    lines = [
        "| work | ours | theirs | which peer | ratio (range of turns) | bar | |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        found = ratio(outcome)
        cells = [
            outcome.work,
            figure(outcome.unit, outcome.ours),
            figure(outcome.unit, outcome.theirs),
            outcome.peer or "-",
            f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})" if found else "-",
            f"{outcome.bar:g}",
            verdict(outcome) + (f"; {outcome.note}" if outcome.note else ""),
        ]
        lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def summary(outcomes: list[Outcome]) -> str:
    """How many bars were met."""
    verdicts = [verdict(outcome) for outcome in outcomes]
    met, missed = verdicts.count("met"), verdicts.count("missed")
    return f"{met} bars met, {missed} missed, {len(verdicts) - met - missed} rows without a verdict"


def as_json(outcome: Outcome) -> dict[str, object]:
    """Everything that is known of a row."""
    found = ratio(outcome)
    return {
        **vars(outcome),
        "unit": outcome.unit.value,
        "ratio": vars(found) if found else None,
        "verdict": verdict(outcome),
    }
