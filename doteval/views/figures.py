"""
Figures as people read them: a value, an interval, a change, a strategy, a size, each in one place.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import TYPE_CHECKING, Any

from .. import text

if TYPE_CHECKING:
    from ..metrics import Estimate

_LONGEST_NAME = 60  # characters of the name of a strategy
# What `Adaptive()` is made of: of its seven parameters only those that differ are shown. Those who
# chose a fixed strategy want to read its one number.
ADAPTIVE = {
    "initial_concurrency": 5,
    "min_concurrency": 1,
    "max_concurrency": 100,
    "adaptation_interval": 2.0,
    "increase_threshold": 0.98,
    "decrease_threshold": 0.90,
    "error_backoff_factor": 0.7,
}


def plural(n: int, noun: str) -> str:
    """ "1 row", "12,345 rows"."""
    return f"{text.count(n)} {noun}" if n == 1 else f"{text.count(n)} {noun}s"


def size(n: float) -> str:
    """Bytes: "12 bytes", "1.5 kB", "2.2 GB"."""
    units = ["bytes", "kB", "MB", "GB"]
    while n >= 1000 and len(units) > 1:
        n /= 1000
        del units[0]
    whole = units[0] == "bytes" or n >= 100
    return f"{n:,.0f} {units[0]}" if whole else f"{n:.1f} {units[0]}"


# --- values -----------------------------------------------------------------------------------


def interval(metric: str, estimate: Estimate, unicode: bool = True) -> str:
    """The confidence interval, "80.6–93.1%"; "" where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return span(metric, estimate.low, estimate.high, unicode)


def span(metric: str, lowest: float, highest: float, unicode: bool = True) -> str:
    """From one value of a metric to another, with the digits that tell them apart."""
    width = highest - lowest
    low, high = (score_figure(metric, bound, width) for bound in (lowest, highest))
    if low.endswith("%") and high.endswith("%"):
        low = low[:-1]
    dash = unicode and not high.startswith("-")
    return f"{low}–{high}" if dash else f"{low} to {high}"


def percentage(confidence: float) -> str:
    """ "95%", "99.9%": of an interval."""
    return f"{100 * confidence:.10g}%"


# Metrics whose value is a share of the rows.
_SHARES = ("accuracy", "pass", "share(", "agreement")


def estimate_figure(metric: str, estimate: Estimate) -> str:
    """The value of an estimate, with the digits that its interval lets count."""
    width = None
    if estimate.low is not None and estimate.high is not None:
        width = estimate.high - estimate.low
    return score_figure(metric, estimate.value, width)


def score_figure(metric: str, value: float | None, width: float | None = None) -> str:
    """
    A metric's value: shares in percent, all else as a number of four digits.

    Args:
        width: of its interval, which asks for more digits where it is narrow; None: there is none.
    """
    if value is None:
        return text.NOTHING
    if value != value:
        return "NaN"
    return text.percent(value) if metric.startswith(_SHARES) else figure(value, width)


def figure(value: float, width: float | None = None) -> str:
    """
    A number of no known unit: "0.8421", "12,345", "1.5e+09".

    Args:
        width: of an interval around it: 1.7e9 of one of 0.2 is "1,700,000,000.98".
    """
    if abs(value) > sys.float_info.max and isinstance(value, int):
        return ">1.8e+308" if value > 0 else "<-1.8e+308"  # scores may be integers of any size
    if abs(value) < 1e6 and value == int(value):
        return f"{value:,.0f}"
    short = f"{value:,.1f}" if 1_000 <= abs(value) < 1e6 else f"{value:.4g}"
    if not width or not isfinite(width) or not isfinite(value):
        return short
    if abs(float(short.replace(",", "")) - value) <= width / 20:
        return short
    return f"{value:,.{max(0, 1 - floor(log10(width)))}f}"


def change(metric: str, value: float | None) -> str:
    """A difference with its sign: of shares in percentage points, "+1.2 pp"."""
    if value is None:
        return text.NOTHING
    if value != value:
        return "NaN"
    if metric == "accuracy" or metric.startswith("pass"):
        points = 100 * value
        return f"{points:+.1f} pp" if abs(points) >= 0.05 or not points else f"{points:+.1g} pp"
    return f"{value:+.4g}"


def change_span(metric: str, low: float | None, high: float | None) -> str:
    """ "-2.1 to +0.3 pp"; "-" where there is none."""
    if low is None or high is None:
        return text.NOTHING
    return f"{change(metric, low).removesuffix(' pp')} to {change(metric, high)}"


def p_value(p: float | None) -> str:
    """ "0.032", "<0.001"; "-" where there was no test."""
    if p is None:
        return text.NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


# --- how a run went ---------------------------------------------------------------------------


def strategy_parts(strategy: Mapping[str, Any]) -> list[str]:
    """`SlidingWindow(max_concurrency=5)`, which may be broken between these parts."""
    parameters = dict(strategy)
    name = text.safe(parameters.pop("name", ""), _LONGEST_NAME)
    if name == "Adaptive":
        parameters = {k: v for k, v in parameters.items() if k not in ADAPTIVE or ADAPTIVE[k] != v}
    inside = [f"{text.safe(key)}={text.safe(value)}" for key, value in parameters.items()]
    if not (name and inside):
        return [f"{name}()"] if name else []
    inside[0] = f"{name}({inside[0]}"
    return [*(f"{part}," for part in inside[:-1]), f"{inside[-1]})"]


def limit_path(limits: Sequence[int], most: int, unicode: bool = True, first: int = 0) -> list[str]:
    """
    The steps of a limit, "2 → 4 → 8", which may be broken before each arrow.

    Args:
        limits: notes that moved nothing may be among them.
        most: steps to show; of a longer way the end, after an ellipsis.
        unicode: arrows; "->" otherwise.
        first: steps of a longer way to show before the ellipsis.
    """
    steps = [f"{limit:,}" for at, limit in enumerate(limits) if at == 0 or limit != limits[at - 1]]
    if len(steps) > most:
        mark = text.ELLIPSIS if unicode else "..."
        steps = [*steps[:first], mark, *steps[first - most :]]
    arrow = "→" if unicode else "->"
    return [*steps[:1], *(f"{arrow} {step}" for step in steps[1:])]
