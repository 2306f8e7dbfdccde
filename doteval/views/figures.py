"""
Figures as people read them: a value, an interval, a change, a strategy, a size, each in one place.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from math import floor, inf, isfinite, log10
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
#
# A figure has the digits that its interval supports: those of which half the interval has two.
# 87.5% of 120 rows, give or take 6.3 points, is "87.5%"; the same of eight rows is "88%", and of
# 20,000 rows "87.50%". Without an interval a share has one digit behind the point, all else four.

_LEAST = 1e-6  # a place behind the point that is still written out; smaller ones have an exponent


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


def is_share(metric: str) -> bool:
    """Whether its values are shown in percent, and its changes in percentage points."""
    return metric.startswith(_SHARES)


def width_of(low: float | None, high: float | None) -> float | None:
    """Of an interval; None where there is none."""
    return None if low is None or high is None else high - low


def estimate_figure(metric: str, estimate: Estimate) -> str:
    """The value of an estimate, with the digits that its interval supports."""
    return score_figure(metric, estimate.value, width_of(estimate.low, estimate.high))


def score_figure(metric: str, value: float | None, width: float | None = None) -> str:
    """
    A metric's value: shares in percent, all else as a number.

    Args:
        width: of its interval, which says how many digits count; None: there is none.
    """
    if value is None:
        return text.NOTHING
    if value != value:
        return "NaN"
    if not is_share(metric):
        return figure(value, width)
    places = _places(width, 100)
    return text.percent(value, 1 if places is None else min(max(places, 0), 15))


def figure(value: float, width: float | None = None) -> str:
    """
    A number of no known unit: "0.8421", "12,345", "1.5e+09".

    Args:
        width: of an interval around it: 0.8421 with one of 0.2 is "0.84".
    """
    if value != value:
        return "NaN"
    if abs(value) > sys.float_info.max and isinstance(value, int):
        return ">1.8e+308" if value > 0 else "<-1.8e+308"  # scores may be integers of any size
    places = _places(width) if isfinite(value) else None
    if places is None:
        if abs(value) < 1e6 and value == int(value):
            return f"{value:,.0f}"
        return f"{value:,.1f}" if 1_000 <= abs(value) < 1e6 else f"{value:.4g}"
    if 10.0**-places < _LEAST or (places < 0 and abs(value) >= 1e6):
        digits = places + 1 + (floor(log10(abs(value))) if value else 0)
        return f"{value:.{min(max(digits, 1), 17)}g}"
    shown = f"{value:,.{max(places, 0)}f}"
    return shown if shown.strip("-0.") else shown.removeprefix("-")


def _places(width: float | None, scale: float = 1) -> int | None:
    """
    The digits behind the point that an interval supports; negative: not even all before it. None
    where there is no interval to tell.
    """
    half = 0.0 if width is None else scale * width / 2
    return 1 - floor(log10(half) + 1e-9) if 0 < half < inf else None


def change(metric: str, value: float | None, width: float | None = None) -> str:
    """
    A difference with its sign: of shares in percentage points, "+1.2 pp".

    Args:
        width: of its interval, as in `score_figure`.
    """
    if value is None:
        return text.NOTHING
    if value != value:
        return "NaN"
    if not is_share(metric):
        return figure(value, width) if value < 0 else f"+{figure(value, width)}"
    points, places = 100 * value, _places(width, 100)
    shown = f"{points:+.{1 if places is None else min(max(places, 0), 15)}f}"
    if points and not shown.strip("+-0."):  # it would look like no change
        shown = f"{points:+.1f}" if abs(points) >= 0.05 else f"{points:+.1g}"
    return f"{shown} pp"


def change_span(metric: str, low: float | None, high: float | None) -> str:
    """ "-2.1 to +0.3 pp"; "-" where there is none."""
    if low is None or high is None:
        return text.NOTHING
    first, last = (change(metric, end, high - low) for end in (low, high))
    return f"{first.removesuffix(' pp')} to {last}"


Show = Callable[[float, float | None], str]  # a value, and the width of its interval, as a figure


def beside(show: Show, value: float, other: float, width: float | None = None) -> str:
    """
    A figure with as many more digits as it needs to stand where it does: on this side of another
    number, or on it.
    """
    if isinstance(value, int):
        return f"{value:,}"
    for _ in range(17 if isfinite(value) else 0):
        shown = show(value, width)
        number = re.fullmatch(r"([\d.,e+-]+?)(%| pp)?", shown)
        if number and _side(_number(*number.groups()), other) == _side(value, other):
            return shown
        width = (width or abs(value)) / 10
    return repr(value)


def bar(show: Show, value: float) -> str:
    """What a figure is held against, as it was asked for: "80%"."""
    return re.sub(r"\.0(?!\d)", "", beside(show, value, value))


def _number(digits: str, unit: str | None) -> float:
    return float(digits.replace(",", "") + ("e-2" if unit else ""))


def _side(value: float, other: float) -> int:
    return (value > other) - (value < other)


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
