"""
Estimates of means and proportions: from rows, from sums over them, for one look and for any.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from operator import mul
from typing import Any

from .estimates import (
    ALL_EQUAL,
    Estimate,
    Groups,
    Metric,
    Moments,
    Rows,
    Span,
    clustered_by,
    not_a_number,
    reduced,
    span_name,
)
from .statistics import intervals
from .statistics.shares import bounded, exact

_MOST_BOUNDED = 20_000  # rows; above, Student's interval of shares is as good and takes no time
_MOST_SHAPED = 1_000  # rows that are read to know whether the mean of so many is near normal


def estimate_mean(rows: Rows, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    from .statistics.clusters import clustered  # here, as sums over the rows do without

    values = reduced(rows)
    n, mean = len(values), _mean_of(rows)
    outside = ""
    if span is not None:
        if span[0] <= min(values) and max(values) <= span[1]:
            return replace(estimate_bounded(values, groups, confidence, span), value=mean)
        outside = f"values outside {span_name(span)}"
    if not math.isfinite(mean):
        return Estimate(mean, n, method="no interval: infinite values")
    spread = clustered(values, range(n) if groups is None else groups)
    if spread is None:
        one = "row" if groups is None else "cluster"
        return Estimate(mean, n, method=f"no interval: one {one}")
    if not spread.stderr:
        same = min(values) == max(values)
        return Estimate(
            mean, n, method=ALL_EQUAL if same else "no interval: all clusters are the same"
        )
    if spread.effective < _FEWEST_EFFECTIVE:
        return Estimate(mean, n, spread.stderr, method=_ONE_GROUP)
    low, high = intervals.t_interval(mean, spread.stderr, spread.df, confidence)
    shaky = outside or shakiness(values, groups)
    return Estimate(mean, n, spread.stderr, low, high, f"t{clustered_by(groups)}", shaky)


def _mean_of(rows: Rows) -> float:
    """The mean of the rows' means; 7 of 10 in each of three rows are 21 of 30, which is 0.7."""
    repeats = len(rows[0])
    if repeats > 1 and all(len(row) == repeats for row in rows):
        return intervals.mean_of([value for row in rows for value in row])
    return intervals.mean_of(reduced(rows))


_FEWEST_EFFECTIVE = 1.5  # clusters; below, Student's interval covers 85 % where it says 95
_ONE_GROUP = "no interval: one cluster holds nearly all rows"


def shakiness(values: Sequence[float], groups: Groups = None) -> str:
    """
    Why Student's interval may hold the mean less often than it says; "" where it may not.

    Simulation says where that is: where the skewness of the values is above 0.3 times the root
    of their number (values with a long tail, or nearly all of them at one end of a scale) it holds
    the mean in less than 92 of 100 cases, down to a few of 100.
    """
    if groups is not None:
        totals = intervals.group_totals([value - intervals.mean_of(values) for value in values],
                                        groups)  # fmt: skip
        effective = effective_groups(groups)
        if effective < _FEW_EFFECTIVE:
            return f"{effective:.1f} clusters in effect"
        values = list(totals.values())
    n = len(values)
    if n < 5:
        return f"{n} rows"
    centre = intervals.mean_of(values)
    deviations = [value - centre for value in values]
    second = math.fsum(map(mul, deviations, deviations)) / n
    third = math.fsum(d * d * d for d in deviations) / n
    skewness = third / second**1.5 if second else math.inf
    return "skewed values" if abs(skewness) > 0.3 * math.sqrt(n) else ""


_FEW_EFFECTIVE = 10


def effective_groups(groups: Sequence[Hashable]) -> float:
    """As many groups of equal size would say as much."""
    sizes = Counter(groups).values()
    return len(groups) ** 2 / sum(size * size for size in sizes)


def estimate_accuracy(
    rows: Rows, groups: Groups, confidence: float, seed: int, span: Span
) -> Estimate:
    """As the mean; what is not outside of 0 to 1 is a share."""
    shares = all(0 <= value <= 1 for row in rows for value in row)
    return estimate_mean(rows, groups, confidence, seed, (0.0, 1.0) if shares else span)


def estimate_bounded(
    values: Sequence[float], groups: Groups, confidence: float, span: tuple[float, float]
) -> Estimate:
    """The mean of values, one a row, from a known range."""
    from .statistics.clusters import clustered

    n, mean = len(values), intervals.mean_of(values)
    whole = all(value in span for value in values)
    method = ("clopper-pearson" if whole and groups is None else "gaffke") + clustered_by(groups)
    spread = clustered(values, range(n) if groups is None else groups)
    stderr = None if spread is None else spread.stderr
    if groups is not None:
        sizes = Counter(groups)
        totals = intervals.group_totals(values, groups)
        of_groups = [totals[group] / size for group, size in sizes.items()]
        few = effective_groups(groups)
        low, high = bounded(of_groups, list(sizes.values()), confidence=confidence, span=span)
        shaky = f"{few:.1f} clusters in effect" if few < _FEW_EFFECTIVE else ""
        return Estimate(mean, n, stderr, low, high, method, shaky)
    if n > _MOST_BOUNDED and not whole and stderr:
        low, high = intervals.t_interval(mean, stderr, n - 1, confidence)
        return Estimate(mean, n, stderr, max(low, span[0]), min(high, span[1]), "t")
    low, high = bounded(values, confidence=confidence, span=span)
    return Estimate(mean, n, stderr, low, high, method)


ANYTIME = "betting"


def at_any_time(
    metric: Metric, rows: Rows, groups: Groups, confidence: float, span: Span
) -> Estimate:
    """
    An estimate whose interval holds however often one looks, for a mean of a known range.

    Raises:
        UsageError: the metric can not work on such values.
    """
    from .statistics.sequential import anytime

    found = metric.estimate(rows, groups, confidence=confidence, span=span)
    rows = [row for row in rows if len(row)]
    once = replace(found, stderr=None, low=None, high=None, shaky="")
    if found.low is None:
        return found
    if metric.name.startswith(("pass@", "pass^", "share(")):
        values = [value for row in rows if (value := metric.compute(list(row))) is not None]
    elif metric.name in ("accuracy", "mean"):
        values = reduced(rows)
    else:
        return replace(once, method=f"no interval: {metric.name} has none for any time")
    if metric.name != "mean" and all(0 <= value <= 1 for value in values):
        span = (0.0, 1.0)
    if span is None or min(values) < span[0] or max(values) > span[1]:
        return replace(once, method="no interval: the range of the values is not known")
    if groups is not None:
        return replace(once, method="no interval: clusters have none for any time")
    low, high = anytime(values, confidence=confidence, span=span)
    return replace(found, low=low, high=high, method=ANYTIME, shaky="")


def mean_from_moments(moments: Moments, confidence: float, span: Span) -> Estimate | None:
    n, total = moments.n, moments.total
    if n == 0:
        return Estimate(None, 0, method="no data")
    if total != total:
        return not_a_number(n)
    mean = total / n
    if span is not None and span[0] <= moments.low and moments.high <= span[1]:
        # Among 0..1 only 0 and 1 equal their squares.
        if span == (0, 1) and total == moments.squares:
            stderr = math.sqrt(mean * (1 - mean) / (n - 1)) if n > 1 else None
            low, high = exact(total, n, confidence)
            return Estimate(mean, n, stderr, low, high, "clopper-pearson")
        if n <= _MOST_BOUNDED:
            return None
        span_ends = span
    elif n > 1 and moments.low == moments.high:
        return Estimate(float(moments.low), n, method=ALL_EQUAL)
    elif n <= _MOST_SHAPED:
        return None
    else:
        span_ends = (-math.inf, math.inf)
    if not math.isfinite(mean):
        return None
    spread = _spread(moments)
    if not spread:
        return None
    stderr = spread / math.sqrt(n)
    low, high = intervals.t_interval(mean, stderr, n - 1, confidence)
    return Estimate(mean, n, stderr, max(low, span_ends[0]), min(high, span_ends[1]), "t")


def _spread(moments: Moments) -> float | None:
    """
    The standard deviation from the sums of at least two rows; None where they lost its digits.

    The subtraction cancels what mean and spread have in common: with values such as 1e9 ± 1
    nothing but rounding would be left.
    """
    n = moments.n
    if moments.low == moments.high:
        return 0.0
    deviations = moments.squares - moments.total * (moments.total / n)
    if not deviations > 1e-8 * moments.squares:
        return None
    return math.sqrt(deviations / (n - 1))


def accuracy_from_moments(moments: Moments, confidence: float, span: Span) -> Estimate | None:
    """As the mean; None for fractions that may be averages of who knows how many trials."""
    shares = moments.n and moments.low >= 0 and moments.high <= 1
    return mean_from_moments(moments, confidence, (0.0, 1.0) if shares else span)


def mean_or_none(values: list[Any]) -> float | None:
    return intervals.mean_of(values) if values else None
