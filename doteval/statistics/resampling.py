"""
Intervals for any statistic, by computing it on parts of the sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Union

from .distributions import check_open, normal_tail, quantile_for
from .intervals import mean_of, squares

V = TypeVar("V")

Statistic = Callable[[list[V]], Union[float, None]]  # None: it is not defined for such values
_DEFINED = 0.95  # of the samples at least; what the others would say nobody knows
BLOCKS = 100
_DRAWS = 5_000_000  # values drawn where the fewest resamples allow it, about a second
_RESAMPLES = 1_999  # so that the 2.5 % point is a replicate: (B + 1) * 0.025 = 50
_FEWEST_RESAMPLES = 199


@dataclass(frozen=True, slots=True)
class Resampled:
    """
    What resampling says of a statistic.

    Attributes:
        stderr: its standard error.
        low, high: the interval.
        resamples: how many samples, or blocks, it rests on.
    """

    stderr: float
    low: float
    high: float
    resamples: int


def bootstrap(
    statistic: Statistic[V],
    values: Sequence[V],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int,
    confidence: float = 0.95,
    resamples: int | None = None,
) -> Resampled | None:
    """
    Interval for any statistic: compute it on samples drawn from the sample, with replacement.

    The percentile interval is taken, not BCa: a statistic that somebody else wrote may have jumps,
    where the acceleration of BCa is noise, and n more evaluations would be its price. Samples
    of a sample vary too little, by sqrt((n-1)/n), and have not Student's tails; the percentiles
    are expanded by both.

    Args:
        groups: rows of one group are drawn together.
        seed: the same seed and values give the same interval.
        resamples: by default 1,999, above 2,500 rows fewer, at least 199.

    Returns:
        None for fewer than two rows, or groups, or where the statistic is not defined for more
        than a few of the samples; NaN where a sample's statistic is NaN.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; expanded as in
    Hesterberg (2015), Am. Stat. 69, p. 371.
    """
    from random import Random  # a few ms, for the figures that are resampled

    check_open("confidence", confidence)
    units = None if groups is None else _units(values, groups)
    count = len(values) if units is None else len(units)
    if count < 2:
        return None
    if resamples is None:
        resamples = max(_FEWEST_RESAMPLES, min(_RESAMPLES, _DRAWS // len(values)))
    draw = Random(seed).choices
    drawn = (
        statistic(draw(values, k=count) if units is None else _flat(draw(units, k=count)))
        for _ in range(resamples)
    )
    found = [value for value in drawn if value is not None]
    if len(found) < _DEFINED * resamples:
        return None
    if any(value != value for value in found):
        return Resampled(math.nan, math.nan, math.nan, resamples)
    found.sort()
    wider = math.sqrt(count / (count - 1))
    tail = normal_tail(quantile_for(confidence, count - 1) * wider)
    low, high = _ranked(found, tail), _ranked(found, 1 - tail)
    mean = mean_of(found)
    spread = math.sqrt(squares(found, mean) / (len(found) - 1)) * wider
    return Resampled(spread, low, high, resamples)


def jackknife(
    statistic: Statistic[V],
    values: Sequence[V],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int,
    confidence: float = 0.95,
    blocks: int = BLOCKS,
) -> Resampled | None:
    """
    Normal interval for a statistic of very many rows: compute it once without each block of them.

    Args:
        groups: rows of one group stay in one block.
        seed: of the shuffling that keeps the blocks free of the order of the rows.
        blocks: how often the statistic is computed; large blocks make it valid for medians too.

    Returns:
        None for fewer rows, or groups, than blocks, or where the statistic is not defined without
        one of them.

    Source: Shao & Wu (1989), Ann. Stat. 17, p. 1176, for the jackknife that deletes many at once.
    """
    from random import Random

    units: list[Any] = list(values) if groups is None else _units(values, groups)
    if len(units) < blocks:
        return None
    Random(seed).shuffle(units)
    found: list[float] = []
    for block in range(blocks):
        start, end = (len(units) * edge // blocks for edge in (block, block + 1))
        rest = units[:start] + units[end:]
        one = statistic(rest if groups is None else _flat(rest))
        if one is None:
            return None
        found.append(one)
    mean = mean_of(found)
    stderr = math.sqrt((blocks - 1) / blocks * squares(found, mean))
    value, reach = statistic(list(values)), quantile_for(confidence) * stderr
    assert value is not None  # it was defined without each of the blocks
    return Resampled(stderr, value - reach, value + reach, blocks)


def _units(values: Sequence[V], groups: Sequence[Hashable]) -> list[list[V]]:
    """The values of each group, which are drawn together."""
    units: dict[Hashable, list[V]] = {}
    for value, group in zip(values, groups, strict=True):
        units.setdefault(group, []).append(value)
    return list(units.values())


def _flat(units: Iterable[list[V]]) -> list[V]:
    return [value for unit in units for value in unit]


def _ranked(ordered: Sequence[float], p: float) -> float:
    """The p-quantile of sorted replicates, by linear interpolation at rank (B + 1) p."""
    rank = min(max((len(ordered) + 1) * p - 1, 0.0), len(ordered) - 1.0)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])
