"""What a benchmark finds, and the arithmetic on it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A bound of the value, or of its ratio to the baseline."""

    bound: float
    of: str = "value"
    """``value`` or ``ratio``."""
    at_least: bool = False
    """Whether more is better."""

    def met_by(self, value: float, ratio: float) -> bool:
        """Whether the figures reach the goal."""
        figure = ratio if self.of == "ratio" else value
        return figure >= self.bound if self.at_least else figure <= self.bound


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    name: str
    title: str
    value: float
    unit: str
    baseline: float
    against: str
    """What the baseline is, in a few words."""
    goal: Goal | None
    """None for a figure that is only to be known."""
    ratio: float
    """Value to baseline; where rounds alternate, the median of their ratios."""
    notes: list[str] = field(default_factory=list)
    samples_ms: Sequence[float] = field(default=(), repr=False)
    """Single latencies, where there are any: the report draws them."""

    @property
    def met(self) -> bool:
        """Whether the goal is reached, or there is none."""
        return self.goal is None or self.goal.met_by(self.value, self.ratio)

    @property
    def ratio_text(self) -> str:
        """The ratio as people say it."""
        return _share(self.ratio)

    @property
    def goal_text(self) -> str:
        """The goal as people say it."""
        if self.goal is None:
            return "none"
        sign = "≥" if self.goal.at_least else "≤"
        if self.goal.of == "ratio":
            return f"{sign} {_share(self.goal.bound)} the baseline"
        return f"{sign} {self.goal.bound:g} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        """What ``bench.json`` keeps."""
        return {
            "value": round(self.value, 3),
            "unit": self.unit,
            "baseline": round(self.baseline, 3),
            "ratio": round(self.ratio, 4),
            "goal": None if self.goal is None else self.goal.bound,
            "met": self.met,
        }


def _share(ratio: float) -> str:
    return f"{ratio:.0%} of" if ratio < 10 else f"{ratio:.0f} times"


@dataclass(frozen=True)
class Run:
    """What every benchmark is given."""

    quick: bool
    """Fewer and shorter rounds: to see that it runs, not to quote."""
    tell: Callable[[str], None]
    """Shows what is going on."""
    followers: int = 1_000_000
    """Of the account whose post is followed to the last feed."""


def median(values: Iterable[float]) -> float:
    """The middle value. Raises ``ValueError`` where there is none."""
    found = list(values)
    if not found:
        raise ValueError("nothing was measured")
    return statistics.median(found)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of rounds that ran side by side: what slows the whole machine for a while cancels out.

    Raises ``ValueError`` for rounds without a partner, or a baseline that did nothing.
    """
    if len(ours) != len(theirs) or not all(theirs):
        raise ValueError("every round needs a round of the baseline that did something")
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` (0 to 1) of all do not exceed. Raises ``ValueError`` where there is none."""
    if not values or not 0 <= share <= 1:
        raise ValueError("a percentile needs values and a share from 0 to 1")
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def histogram(values: Sequence[float], *, bins: int) -> list[tuple[float, int]]:
    """(lower edge, how many) of ``bins`` equal steps from 0 to the 99th percentile; the last one takes all beyond."""
    if not values:
        return []
    step = percentile(values, 0.99) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / step))] += 1
    return [(number * step, count) for number, count in enumerate(counts)]
