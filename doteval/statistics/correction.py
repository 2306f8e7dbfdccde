"""
A cheap judge corrected by a few human labels.

A model that judges 5,000 rows is wrong in its own way; 200 rows that people judged are right and
few. The judge's mean over all rows, corrected by what it is off on those that people judged, is
right whatever the judge is, and surer than the people alone where the judge is of any use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .distributions import quantile_for
from .intervals import mean_of, squares


@dataclass(frozen=True, slots=True)
class Corrected:
    """
    A mean of human labels, as far as they and the judge tell it.

    Attributes:
        value, stderr, low, high: of the mean over all rows, had people judged all of them.
        weight: how much of the judge was used, from 0 to 1.
        humans: the mean of the human labels alone; judge: that of the judge over all rows.
        labels, rows: how many rows people judged, and how many there are.
    """

    value: float
    stderr: float
    low: float
    high: float
    weight: float
    humans: float
    judge: float
    labels: int
    rows: int


def corrected(
    human: Sequence[float],
    judge: Sequence[float],
    unlabelled: Sequence[float],
    *,
    confidence: float = 0.95,
    span: tuple[float, float] | None = None,
) -> Corrected | None:
    """
    Prediction-powered mean, with the weight of the judge that makes it surest.

    Args:
        human: labels of people, one a row, of rows that were drawn at random.
        judge: what the judge said of these very rows.
        unlabelled: what the judge said of the other rows.
        span: the smallest and largest label there can be; the interval stays within.

    Returns:
        None with fewer than three labels, no other rows, or labels that are all the same: then
        nothing is known of their spread.

    Raises:
        ValueError: not one of the judge's values per label.

    Source: PPI++, Angelopoulos, Duchi & Zrnic (2023), arXiv 2311.01453, with Student's quantile
    for the few labels.
    """
    n, others = len(human), len(unlabelled)
    if len(judge) != n:
        raise ValueError(f"{len(judge)} of the judge's values for {n} labels: expected one each")
    if n < 3 or not others:
        return None
    mean, seen, rest = mean_of(human), mean_of(judge), mean_of(unlabelled)
    together = [*judge, *unlabelled]
    spread = squares(together, mean_of(together)) / (len(together) - 1)
    shared = math.fsum((y - mean) * (f - seen) for y, f in zip(human, judge, strict=True)) / (n - 1)
    # A judge that says the opposite of people, or always the same, is left out.
    weight = min(1.0, max(0.0, shared / ((1 + n / others) * spread))) if spread else 0.0
    left = [y - weight * f for y, f in zip(human, judge, strict=True)]
    variance = squares(left, mean_of(left)) / (n - 2) / n  # one more for the weight
    variance += weight * weight * squares(unlabelled, rest) / max(others - 1, 1) / others
    if not variance:
        return None
    value, stderr = mean - weight * (seen - rest), math.sqrt(variance)
    reach = quantile_for(confidence, n - 2) * stderr
    low, high = value - reach, value + reach
    if span is not None:
        value, low, high = (min(max(end, span[0]), span[1]) for end in (value, low, high))
    all_rows = mean_of(together)
    return Corrected(value, stderr, low, high, weight, mean, all_rows, n, n + others)
