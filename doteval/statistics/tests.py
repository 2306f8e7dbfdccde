"""
Two samples, of the same rows or of different ones: do they differ, and by how much?
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from .clusters import clustered
from .distributions import binomial_half, normal_tail, quantile_for, t_tail
from .intervals import group_totals, mean_of, squares, total_of


def mcnemar(only_a: int, only_b: int) -> float:
    """
    Exact p-value: do two systems differ in how often they are right on the same rows?

    Args:
        only_a: rows that only the first got right.
        only_b: rows that only the second got right.

    Returns:
        the two-sided p-value; 1.0 where there are no such rows.

    Raises:
        ValueError: a count is negative.

    Source: McNemar (1947), Psychometrika 12, p. 153, in the exact form: under the null
    hypothesis each discordant row is a fair coin.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"mcnemar({only_a!r}, {only_b!r}): expected counts of rows")
    n, k = only_a + only_b, min(only_a, only_b)
    if 2 * k >= n - 1:  # as even as can be; the sum would be 1 but for rounding
        return 1.0
    term = total = binomial_half(k, n)
    while k > 0 and term > 1e-17 * total:  # each term follows from the one before
        term *= k / (n - k + 1)
        total += term
        k -= 1
    return min(1.0, 2 * total)


def paired_difference(
    only_a: int, only_b: int, n: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """
    How much more often B is right than A on the same n rows, with an interval.

    Unlike a t interval it does not collapse to a point where the two never differ.

    Args:
        only_a, only_b: rows that only one of them got right.
        n: all paired rows, at least 1.

    Returns:
        (difference, low, high): (only_b - only_a) / n, and the interval within [-1, 1].

    Source: Bonett & Price (2012), J. Educ. Behav. Stat. 37, p. 479: Wald's interval after one
    row was added to both discordant counts.
    """
    if n < 1 or min(only_a, only_b) < 0 or only_a + only_b > n:
        raise ValueError(
            f"paired_difference({only_a!r}, {only_b!r}, {n!r}): expected counts, n >= 1"
        )
    a, b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    reach = quantile_for(confidence) * math.sqrt((a + b - (b - a) ** 2) / (n + 2))
    return (only_b - only_a) / n, max(-1.0, b - a - reach), min(1.0, b - a + reach)


@dataclass(frozen=True, slots=True)
class Test:
    """
    A p-value and how it was found.

    Attributes:
        p: two-sided; None where there is no data.
        method: for the reader of a report.
    """

    __test__ = False  # the name is the field's; pytest must not collect it

    p: float | None
    method: str


_EXACT_SIGNS = 16  # 65,536 sums
_SIGNS = 10_000_000  # signs drawn at most, about a second


def sign_flip(
    differences: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int,
    resamples: int = 9_999,
) -> Test:
    """
    Permutation test: is the mean of paired differences further from 0 than chance would bring it?

    If nothing differed, each difference could as well have had the other sign. Up to 16 non-zero
    differences all sign patterns are counted; above, so many are drawn; beyond ten million signs
    the sum is normal enough for its normal distribution.

    Args:
        differences: one per row, NaN-free.
        groups: differences of one group are flipped together.
        seed: of the drawing.

    Source: Fisher (1935), The Design of Experiments, §21; the drawn p-value counts the data
    themselves, Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9, art. 39.
    """
    if not differences:
        return Test(None, "no data")
    sums = list(differences if groups is None else group_totals(differences, groups).values())
    sizes = [abs(value) for value in sums if value]
    return _flipped(sizes, abs(total_of(sums)), seed, resamples)


def _flipped(sizes: list[float], observed: float, seed: int, resamples: int) -> Test:
    n = len(sizes)
    if n == 0:
        return Test(1.0, "no differences")
    reached = observed - 1e-12 * total_of(sizes)  # equal sums may differ by rounding
    if n <= _EXACT_SIGNS:
        hits = sum(abs(value) >= reached for value in _signed_sums(sizes))
        return Test(hits / 2**n, f"sign flips, all {2**n:,}")
    if n * resamples > _SIGNS:
        z = observed / math.sqrt(total_of(size * size for size in sizes))
        return Test(2 * normal_tail(z), "sign flips, normal")
    from itertools import compress
    from random import Random

    draw, whole = Random(seed).getrandbits, total_of(sizes)
    hits = 0
    for _ in range(resamples):
        positive = sum(compress(sizes, map(int, f"{draw(n):0{n}b}")))
        hits += abs(2 * positive - whole) >= reached
    return Test((1 + hits) / (1 + resamples), f"sign flips, {resamples:,} drawn")


def _signed_sums(sizes: Sequence[float]) -> list[float]:
    """The sums under every pattern of signs."""
    sums = [0.0]
    for size in sizes:
        sums = [value + sign for value in sums for sign in (size, -size)]
    return sums


def unpaired(
    xs: Sequence[float],
    ys: Sequence[float],
    groups: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    *,
    seed: int,
    resamples: int = 1_999,
) -> Test:
    """
    Do the means of two samples of different rows differ?

    Of true and false the exact test counts every way to share out the true ones. Of numbers, where
    the smaller sample has at most 50, samples of its size are drawn from both together; beyond that
    Student's test is as good. Where rows belong together: Welch's, from the spread between groups.

    Args:
        xs, ys: one value a row, NaN-free, at least two rows each.
        groups: one for each row of xs, and of ys.
        seed: of the drawing; resamples: how many samples are drawn.

    Source: Fisher (1935), The Design of Experiments, §21; Phipson & Smyth (2010), Stat. Appl.
    Genet. Mol. Biol. 9, art. 39; Welch (1947), Biometrika 34, p. 28.
    """
    if groups is not None:
        return _welch(xs, ys, groups)
    values, n, few = [*xs, *ys], len(xs) + len(ys), min(len(xs), len(ys))
    if n <= _EXACT_SHARES and set(values) <= {0.0, 1.0}:
        p = _fisher(round(sum(xs)), len(xs), round(sum(values)), n)
        return Test(p, "Fisher exact")
    centre = mean_of(values)
    whole, between = squares(values, centre), (mean_of(xs) - mean_of(ys)) ** 2
    within = whole - between * len(xs) * len(ys) / n
    if not whole:
        return Test(1.0, "no differences")
    if few > _DRAWN:
        if within <= 1e-14 * whole:
            return Test(0.0, "t")
        t = math.sqrt(between * len(xs) * len(ys) / n * (n - 2) / within)
        return Test(2 * t_tail(t, n - 2), "t")
    from random import Random

    smaller = min(xs, ys, key=len)
    observed = abs(total_of(smaller) - few * centre) * (1 - 1e-12)
    draw = Random(seed).sample
    hits = sum(abs(sum(draw(values, few)) - few * centre) >= observed for _ in range(resamples))
    return Test((1 + hits) / (1 + resamples), f"permutation, {resamples:,} drawn")


_EXACT_SHARES = 100_000  # rows; counting further takes long and says the same as Student's test
_DRAWN = 50  # values of the smaller sample; of more, the mean is near enough to normal


def _fisher(hits: int, n: int, all_hits: int, rows: int) -> float:
    """Two-sided: how often chance brings what is at most as probable as these hits among n rows."""

    def log_ways(k: int) -> float:
        return _log_choose(all_hits, k) + _log_choose(rows - all_hits, n - k)

    least, most = max(0, n - (rows - all_hits)), min(n, all_hits)
    bound, whole = log_ways(hits) + 1e-7, _log_choose(rows, n)
    ways = map(log_ways, range(least, most + 1))
    return min(1.0, math.fsum(math.exp(each - whole) for each in ways if each <= bound))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _welch(
    xs: Sequence[float],
    ys: Sequence[float],
    groups: tuple[Sequence[Hashable], Sequence[Hashable]],
) -> Test:
    sides = [clustered(values, of) for values, of in zip((xs, ys), groups, strict=True)]
    spread = [(side.stderr**2, side.df) for side in sides if side is not None]
    if len(spread) < 2 or not (variance := sum(each for each, _ in spread)):
        return Test(None, "too few groups")
    df = variance**2 / sum(each**2 / free for each, free in spread if each)
    t = abs(mean_of(xs) - mean_of(ys)) / math.sqrt(variance)
    return Test(2 * t_tail(t, df), "Welch, by groups")


def holm(p_values: Sequence[float]) -> list[float]:
    """
    P-values adjusted for having asked several questions, in the order given.

    An adjusted value below 0.05 keeps the chance of any false alarm among all below 5 %.

    Source: Holm (1979), Scand. J. Stat. 6, p. 65.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, at in enumerate(ranked):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted
