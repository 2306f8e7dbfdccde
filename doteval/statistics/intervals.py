"""
One sample: its mean, and intervals for mean, standard deviation and median.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from .distributions import binomial_half, check_open, normal_quantile, quantile_for

V = TypeVar("V")

Interval = tuple[float, float]


def mean_of(values: Sequence[float]) -> float:
    """The arithmetic mean, correctly rounded; NaN and infinities give NaN or an infinity."""
    total, n = total_of(values), len(values)
    return (
        total / n if math.isfinite(total) else total_of([as_float(value) / n for value in values])
    )


def total_of(values: Iterable[float]) -> float:
    values = tuple(values)
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond the floats, or infinities of both signs
        return sum(map(as_float, values))


def squares(values: Iterable[float], centre: float) -> float:
    """The sum of squared deviations; products, because `**` raises where they overflow."""
    return total_of((d := value - centre) * d for value in values)


def as_float(value: float) -> float:
    """A number as a float; an integer beyond the floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def group_totals(values: Sequence[float], groups: Sequence[Hashable]) -> dict[Hashable, float]:
    """
    The sum of the values of each group, in order of first appearance.

    Raises:
        ValueError: not one group per value.
    """
    if len(groups) != len(values):
        raise ValueError(f"{len(groups)} groups for {len(values)} values: expected one for each")
    totals: dict[Hashable, float] = {}
    for value, group in zip(values, groups, strict=True):
        totals[group] = totals.get(group, 0.0) + value
    return totals


def t_interval(mean: float, stderr: float, df: float, confidence: float = 0.95) -> Interval:
    """
    For a mean whose standard error was estimated from the data.

    Args:
        df: one less than the number of rows, or of groups.

    Source: Student (1908), Biometrika 6, p. 1.
    """
    reach = quantile_for(confidence, df) * stderr
    return mean - reach, mean + reach


def std_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, Interval] | None:
    """
    Standard error and interval of the sample standard deviation, without assuming normal values.

    Returns:
        None for fewer than 5 values, or where all are the same.

    Source: Bonett (2006), Comput. Stat. Data Anal. 50, p. 775: normal on the logarithm, with the
    kurtosis around a trimmed mean. The bootstrap covers 80 % instead of 95 % for 20 values.
    """
    n, z = len(values), quantile_for(confidence)
    if n < 5:
        return None
    mean = mean_of(values)
    around = squares(values, mean)
    if around == 0:
        return None
    cut = min(int(n / (2 * math.sqrt(n - 4))), (n - 1) // 2)
    middle = mean_of(sorted(values)[cut : n - cut])
    fourths = total_of((d := (value - middle) * (value - middle)) * d for value in values)
    kurtosis = n * fourths / (around * around)
    factor = n / (n - z) if n > z else math.inf
    relative = factor * math.sqrt(max(0.0, kurtosis - (n - 3) / n) / (n - 1))
    variance = around / (n - 1)
    low, high = (math.sqrt(factor * variance * math.exp(sign * z * relative)) for sign in (-1, 1))
    return math.sqrt(variance) * relative / 2, (low, high)


def median_interval(ordered: Sequence[V], confidence: float = 0.95) -> tuple[V, V] | None:
    """
    For the median, from the ranks alone, whatever the distribution.

    Args:
        ordered: the values, sorted.

    Returns:
        two of the values; the interval has at least the asked confidence. None where even the
        smallest and the largest value do not reach it (fewer than 6 values at 0.95).

    Source: Thompson (1936), Ann. Math. Stat. 7, p. 122: the number of values below the median is
    binomial with p = 1/2. Above 10,000 values its normal approximation gives the rank.
    """
    check_open("confidence", confidence)
    n, allowed = len(ordered), (1 - confidence) / 2
    if n > 10_000:
        below = math.floor(n / 2 - normal_quantile(1 - allowed) * math.sqrt(n) / 2)
    else:
        below, probability = 0, 0.0  # how many values may be cut off at each end
        while below < n / 2:
            probability += binomial_half(below, n)
            if probability > allowed:
                break
            below += 1
    return (ordered[below - 1], ordered[n - below]) if below >= 1 else None
