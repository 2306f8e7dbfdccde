"""
What repeats tell: how much of the spread is between rows, and how much within them, and whether two
experiments differ by more than that.
"""

from __future__ import annotations

import math
from collections import Counter
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
        flips = mean_of([_apart(len(row), 1, int(sum(row)), 0)[1] for row in asked])
    flaky = sum(min(row) != max(row) for row in asked)
    return Noise(count, total / count, between, within, flaky, flips)


# --- between two runs --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flips:
    """
    True/false scores that differ between two experiments, and those that differ within one.

    Attributes:
        rows: how many rows both have, at least one of them several times.
        between: how many of them would differ between A and B, were each asked once.
        within: how many would differ between two runs of one and the same, A or B.
        p: of "nothing differs but the dice of each row"; of two tests, and corrected for it.
    """

    rows: int
    between: float
    within: float
    p: float


def flips(
    before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], *, seed: int = 0
) -> Flips | None:
    """
    Whether more rows differ between two experiments than do by themselves.

    Repeats of a row are as good as each other where nothing has changed. So they are dealt anew
    to A and to B, row by row, and what then differs is what chance does: how many rows differ, and
    how far all of them together moved to one side.

    Args:
        before, after: of each row the true/false scores of its repeats in A, and in B.

    Returns:
        None where no row was asked several times.

    Source: a permutation test within rows (Phipson & Smyth 2010), of the distance of Székely &
    Rizzo (2013), J. Stat. Plan. Inference 143, p. 1249: between less within.
    """
    from random import Random

    counted: Counter[tuple[int, int, int, int]] = Counter()
    for a, b in zip(before, after, strict=True):
        if max(len(a), len(b)) > 1 and a and b:
            counted[len(a), len(b), int(sum(a)), int(sum(b))] += 1
    if not counted:
        return None
    apart = [(_apart(*each), count) for each, count in counted.items()]
    between = math.fsum(cross * count for (cross, _), count in apart)
    within = math.fsum(inner * count for (_, inner), count in apart)
    moved = math.fsum((d / b - c / a) * count for (a, b, c, d), count in counted.items())
    pooled: Counter[tuple[int, int, int]] = Counter()
    for (k, m, c, d), count in counted.items():
        pooled[k, m, c + d] += count
    deals = [
        (_deals(*each), count) for each, count in pooled.items() if 0 < each[2] < sum(each[:2])
    ]
    draw = Random(seed).choices
    resamples = max(199, min(999, 1_000_000 // sum(pooled.values())))
    wider = farther = 1
    for _ in range(resamples):
        dealt = [each for (ways, weights), n in deals for each in draw(ways, weights, k=n)]
        wider += math.fsum(d for d, _ in dealt) >= between - within - 1e-9
        farther += abs(math.fsum(m for _, m in dealt)) >= abs(moved) - 1e-9
    p = min(1.0, 2 * min(wider, farther) / (1 + resamples))
    return Flips(sum(counted.values()), between, within, p)


def _apart(a: int, b: int, right_a: int, right_b: int) -> tuple[float, float]:
    """How likely a draw of either differs, and two draws of one do, without bias."""
    cross = (right_a * (b - right_b) + right_b * (a - right_a)) / (a * b)
    of_one = [
        2 * right * (n - right) / (n * (n - 1))
        for n, right in ((a, right_a), (b, right_b))
        if n > 1
    ]
    return cross, mean_of(of_one)


def _deals(a: int, b: int, right: int) -> tuple[list[tuple[float, float]], list[int]]:
    """Each way to deal the right ones: what differs between less within, and how far B moved."""
    ways = range(max(0, right - b), min(a, right) + 1)
    found = []
    for n in ways:
        cross, inner = _apart(a, b, n, right - n)
        found.append((cross - inner, (right - n) / b - n / a))
    return found, [math.comb(a, n) * math.comb(b, right - n) for n in ways]
