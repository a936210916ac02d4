"""The report for people: a table for the terminal, a page with plots for the browser."""

from __future__ import annotations

import html
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from bench.result import Result, histogram, percentile

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem }
body { color: #1b1f24; background: #fff }
h2 { margin: 2.2rem 0 .2rem; font-size: 1.1rem }
p { margin: .2rem 0; color: #57606a }
svg { display: block; margin: .6rem 0; max-width: 100% }
.met { color: #1a7f37 } .missed { color: #cf222e } text { font: 12px system-ui, sans-serif; fill: #1b1f24 }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3 } p { color: #9198a1 } text { fill: #e6edf3 }
}
"""
_WIDTH, _LABEL, _BAR = 720, 90, 24


def as_table(results: Sequence[Result]) -> str:
    """One line per result, its notes below it."""
    width = max(len(result.title) for result in results)
    lines = []
    for result in results:
        figures = f"{_number(result.value)} {result.unit}, baseline {_number(result.baseline)}: {result.ratio_text} it"
        lines.append(f"{result.title:<{width}}  {figures}")
        if result.goal is not None:
            lines.append(f"{'':<{width}}  goal {result.goal_text}: {_verdict(result)}")
        lines += [f"{'':<{width}}  {note}" for note in (f"baseline: {result.against}", *result.notes)]
    missed = [result.title for result in results if not result.met]
    lines.append(f"\nmissed: {', '.join(missed)}" if missed else "\nevery goal is met")
    return "\n".join(lines)


def as_page(results: Sequence[Result], *, quick: bool) -> str:
    """A self-contained HTML page."""
    machine = f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    hint = " A quick run: to see that it works, not to quote." if quick else ""
    sections = "\n".join(_section(result) for result in results)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>photoapp: benchmarks</title><style>{_STYLE}</style>
<h1>Benchmarks</h1>
<p>{when}, {html.escape(machine)}.{hint} Every figure stands beside a baseline measured in the same run.</p>
{sections}
</html>
"""


def _section(result: Result) -> str:
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in result.notes)
    mark = "met" if result.met else "missed"
    goal = "" if result.goal is None else f'Goal {result.goal_text}: <b class="{mark}">{_verdict(result)}</b>'
    return f"""<h2>{html.escape(result.title)}</h2>
<p>{_number(result.value)} {result.unit}, {result.ratio_text} the baseline ({html.escape(result.against)}).
{goal}</p>
{_bars(result)}
{_distribution(result)}
{notes}"""


def _bars(result: Result) -> str:
    rows = [("photoapp", result.value, "#0969da"), ("baseline", result.baseline, "#8c959f")]
    if result.goal is not None:
        goal = result.goal.bound * (result.baseline if result.goal.of == "ratio" else 1)
        rows.append(("goal", goal, "#bf8700"))
    scale = (_WIDTH - _LABEL - 130) / max(amount for _, amount, _ in rows)
    drawn = []
    for number, (label, amount, colour) in enumerate(rows):
        top, width = number * (_BAR + 4), amount * scale
        drawn.append(
            f'<text x="0" y="{top + 17}">{label}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3" fill="{colour}"/>'
            f'<text x="{_LABEL + width + 8:.1f}" y="{top + 17}">{_number(amount)} {result.unit}</text>'
        )
    height = len(rows) * (_BAR + 4)
    return f'<svg width="{_WIDTH}" height="{height}" role="img" aria-label="bars">{"".join(drawn)}</svg>'


def _distribution(result: Result) -> str:
    if len(result.samples_ms) < 50:
        return ""
    bins = histogram(result.samples_ms, bins=60)
    highest = max(count for _, count in bins)
    step, height = (_WIDTH - _LABEL) / len(bins), 120
    drawn = [
        f'<rect x="{_LABEL + number * step:.1f}" y="{height * (1 - count / highest):.1f}" width="{step - 1:.1f}" '
        f'height="{height * count / highest:.1f}" fill="#0969da"/>'
        for number, (_, count) in enumerate(bins)
    ]
    highest_ms = percentile(result.samples_ms, 0.99)
    drawn += [
        f'<text x="0" y="{height // 2}">latency</text>',
        f'<text x="{_LABEL}" y="{height + 16}">0 ms</text>',
        f'<text x="{_WIDTH}" y="{height + 16}" text-anchor="end">{highest_ms:.1f} ms (p99)</text>',
    ]
    label = "distribution of latencies"
    return f'<svg width="{_WIDTH}" height="{height + 22}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def _verdict(result: Result) -> str:
    return "met" if result.met else "MISSED"
