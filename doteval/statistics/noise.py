"""
What repeats tell: how much of the spread is between rows, and how much within them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .distributions import quantile_for
from .intervals import mean_of, squares


@dataclass(frozen=True, slots=True)
class Noise:
    """
    The two parts of the spread of scores.

    Attributes:
        rows, repeats: how many rows with at least two repeats, and how many repeats they have on
            average.
        between: variance of the rows' true means: some are harder.
        within: variance of the repeats of one row: the model's own dice.
        flaky: rows whose repeats are not all the same.
        flips: of two runs of an unchanged model, the share of the rows whose true/false score
            differs once asked; None where scores are no true/false.
    """

    rows: int
    repeats: float
    between: float
    within: float
    flaky: int
    flips: float | None

    def half_width(self, rows: int, repeats: int, confidence: float = 0.95) -> float:
        """How far the interval of the mean would reach to either side with so much data."""
        return quantile_for(confidence) * math.sqrt((self.between + self.within / repeats) / rows)

    def best_repeats(self, row: float = 0.0, call: float = 1.0) -> int:
        """
        The repeats a row that make the mean surest for the money.

        Args:
            row: what a new row costs before it is asked (writing, labelling it).
            call: what asking it once costs.

        Source: Snedecor & Cochran (1967), Statistical Methods, 17.12: sqrt(row / call) times the
        ratio of the spreads. Where rows cost nothing of their own it is 1.
        """
        if not self.between:
            return 1 if not row else 100
        best = math.sqrt(row / call * self.within / self.between)
        return max(1, round(best))


def noise(rows: Sequence[Sequence[float]]) -> Noise | None:
    """
    The parts of the spread, from rows that were asked several times.

    Returns:
        None with fewer than two rows of at least two repeats.

    Source: analysis of variance with random effects and unequal numbers, Searle (1971), Linear
    Models, ch. 10. A negative estimate between rows is 0.
    """
    asked = [row for row in rows if len(row) > 1]
    count, total = len(asked), sum(map(len, asked))
    if count < 2:
        return None
    means = [mean_of(row) for row in asked]
    grand = math.fsum(mean * len(row) for mean, row in zip(means, asked, strict=True)) / total
    inside = math.fsum(squares(row, mean) for row, mean in zip(asked, means, strict=True))
    within = inside / (total - count)
    across = math.fsum(
        len(row) * (mean - grand) ** 2 for mean, row in zip(means, asked, strict=True)
    )
    typical = (total - sum(len(row) ** 2 for row in asked) / total) / (count - 1)
    between = max(0.0, (across / (count - 1) - within) / typical)
    flips = None
    if all(value in (0, 1) for row in asked for value in row):
        # Without bias p (1 - p) of a row is c (k - c) / (k (k - 1)).
        flips = 2 * mean_of([_unlike(row) for row in asked])
    flaky = sum(min(row) != max(row) for row in asked)
    return Noise(count, total / count, between, within, flaky, flips)


def _unlike(row: Sequence[float]) -> float:
    """How likely one draw is true and another false."""
    right, repeats = sum(row), len(row)
    return right * (repeats - right) / (repeats * (repeats - 1))
