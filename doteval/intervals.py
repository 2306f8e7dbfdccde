"""
Pure statistics: quantiles, intervals, tests of a difference, and how many rows would do.

Numbers in, numbers out. Nothing here knows scores or records; nothing is random unless a seed
says so. Where there is too little data for a figure it is None, never an invented number.
Confidence levels are of the whole interval: 0.95 leaves 2.5 % on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

V = TypeVar("V")

Interval = tuple[float, float]


# --- quantiles -------------------------------------------------------------------------------


def normal_tail(z: float) -> float:
    """P(Z > z) of the standard normal distribution, accurate far into the tail."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """
    The z with P(Z <= z) = p, to the last digits of a float.

    Args:
        p: in (0, 1).

    Raises:
        ValueError: p is not inside (0, 1).

    Source: Abramowitz & Stegun (1964) 26.2.23 as the start (error below 4.5e-4), then Halley's
    method on the complementary error function, which triples the digits at each step.
    """
    _check_open("p", p)
    if p == 0.5:
        return 0.0
    tail = min(p, 1 - p)
    t = math.sqrt(-2 * math.log(tail))
    z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (
        1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    )
    for _ in range(3):
        step = (normal_tail(z) - tail) * math.sqrt(2 * math.pi) * math.exp(z * z / 2)
        z += step / (1 - step * z / 2)
    return z if p > 0.5 else -z


def t_quantile(p: float, df: float) -> float:
    """
    The t with P(T <= t) = p for Student's distribution, to about 10 digits.

    Args:
        p: in (0, 1).
        df: degrees of freedom, above 0.

    Raises:
        ValueError: p is not inside (0, 1), or df is not above 0.

    Source: the tail is an incomplete beta function (Abramowitz & Stegun 26.7.1) and is inverted
    by Newton's method within a bracket; above 2,000 degrees of freedom the expansion of Fisher
    & Cornish (1960), A&S 26.7.5, whose error is below 1e-10 there.
    """
    _check_open("p", p)
    if not df > 0:
        raise ValueError(f"t_quantile(df={df!r}): expected degrees of freedom above 0")
    if p == 0.5:
        return 0.0
    tail = min(p, 1 - p)
    start = _t_expansion(-normal_quantile(tail), df)
    expands = df > 1e6 or (df > 2000 and tail > 1e-9)
    t = start if expands else _t_of_tail(tail, abs(p - 0.5), df, start)
    return t if p > 0.5 else -t


def _t_expansion(z: float, df: float) -> float:
    """Student's quantile as a series in 1/df around the normal quantile z."""
    square = z * z
    terms = (
        z * (square + 1) / 4,
        z * ((5 * square + 16) * square + 3) / 96,
        z * (((3 * square + 19) * square + 17) * square - 15) / 384,
        z * ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92160,
    )
    return z + sum(term / df**power for power, term in enumerate(terms, 1))


def _t_of_tail(tail: float, centre: float, df: float, start: float) -> float:
    """
    The t > 0 with P(T > t) = tail and P(0 < T < t) = centre, by Newton's method in a bracket.

    Both are given because the smaller of them has the digits.
    """
    low, high = 0.0, 1.0
    while t_tail(high, df) > tail:
        low, high = high, 4 * high
    t = start if low < start < high else (low + high) / 2
    for _ in range(200):  # pragma: no branch - it converges; bisection alone needs about 60
        excess = t_tail(t, df) - tail if tail < 0.25 else centre - _t_centre(t, df)
        if excess > 0:
            low = t
        else:
            high = t
        following = t + excess / _t_density(t, df)
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - t) <= 1e-14 * t:
            break
        t = following
    return t


def t_tail(t: float, df: float) -> float:
    """P(T > t) of Student's distribution for t >= 0."""
    return _beta_share(df / (df + t * t), df / 2, 0.5) / 2


def _t_centre(t: float, df: float) -> float:
    """P(0 < T < t) of Student's distribution."""
    return _beta_share(t * t / (df + t * t), 0.5, df / 2) / 2


def _t_density(t: float, df: float) -> float:
    constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(constant - (df + 1) / 2 * math.log1p(t * t / df))


def _beta_share(x: float, a: float, b: float) -> float:
    """
    The regularised incomplete beta function I_x(a, b).

    Source: continued fraction of DLMF 8.17.22, evaluated as by Lentz (1976).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction would converge slowly, use the symmetry
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 10_000):  # pragma: no branch - it converges within sqrt(max(a, b)) steps
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            fraction *= c * d
        if abs(fraction - before) <= 1e-16 * fraction:
            break
    return front * fraction / a


def _check_open(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r}: expected a number between 0 and 1, both excluded")


def quantile_for(confidence: float, df: float | None = None) -> float:
    """
    How many standard errors an interval of this confidence reaches to either side.

    Args:
        confidence: in (0, 1).
        df: degrees of freedom of the standard error; None takes the normal distribution.
    """
    _check_open("confidence", confidence)
    p = (1 + confidence) / 2
    return normal_quantile(p) if df is None else t_quantile(p, df)


# --- one sample ------------------------------------------------------------------------------


def mean_of(values: Sequence[float]) -> float:
    """The arithmetic mean, correctly rounded; NaN and infinities give NaN or an infinity."""
    total, n = _sum(values), len(values)
    return total / n if math.isfinite(total) else _sum([as_float(value) / n for value in values])


def _sum(values: Iterable[float]) -> float:
    values = tuple(values)
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond the floats, or infinities of both signs
        return sum(map(as_float, values))


def _squares(values: Iterable[float], centre: float) -> float:
    """The sum of squared deviations; products, because `**` raises where they overflow."""
    return _sum((d := value - centre) * d for value in values)


def as_float(value: float) -> float:
    """A number as a float; an integer beyond the floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def standard_error(
    values: Sequence[float], groups: Sequence[Hashable] | None = None
) -> float | None:
    """
    Of the mean: the spread that the mean of another such sample would have.

    Args:
        values: one per row.
        groups: which rows belong together (same document, same user); rows of one group are not
            independent of each other, so only the groups count. None: every row is on its own.

    Returns:
        None for a single value or a single group: nothing is known about the spread then.

    Source: for groups the sandwich estimator of Liang & Zeger (1986), Biometrika 73, p. 13, with
    the factor G/(G-1) for G groups; with groups of one row it is the plain s/sqrt(n).
    """
    n = len(values)
    mean = mean_of(values) if n else 0.0
    deviations = [value - mean for value in values]
    if groups is not None:
        deviations = list(group_totals(deviations, groups).values())
    count = len(deviations)
    if count < 2:
        return None
    return math.sqrt(count / (count - 1) * _squares(deviations, 0.0)) / n


def is_flat(stderr: float, *samples: Sequence[float]) -> bool:
    """
    Whether a standard error is no more than what rounding leaves of equal numbers.

    Args:
        samples: what the numbers were made of, of one length: 0.9 - 0.8 is not quite 0.8 - 0.7.
    """
    largest = max(abs(end(sample)) for sample in samples for end in (min, max))
    return stderr * math.sqrt(len(samples[0])) <= 1e-14 * largest


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


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """
    Interval for a proportion that stays honest for small n and near 0 or 1.

    Args:
        successes: how many of the n were true, 0 <= successes <= n; fractions are allowed.
        n: how many there were; an effective number may be a fraction.
        confidence: in (0, 1).

    Returns:
        (low, high), each in [0, 1]. With n = 0 nothing is known: (0.0, 1.0).

    Raises:
        ValueError: successes is not in 0..n.

    Source: Wilson (1927), JASA 22, p. 209.
    """
    return _wilson(successes, n, quantile_for(confidence))


def _wilson(successes: float, n: float, z: float) -> Interval:
    if not 0 <= successes <= n:
        raise ValueError(f"wilson({successes!r}, {n!r}): expected 0 <= successes <= n")
    if n == 0:
        return 0.0, 1.0
    p, square = successes / n, z * z
    centre = (p + square / (2 * n)) / (1 + square / n)
    reach = z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    # At the ends the formula is exactly 0 or 1; rounding must not say otherwise.
    low = 0.0 if successes == 0 else max(0.0, centre - reach)
    high = 1.0 if successes == n else min(1.0, centre + reach)
    return low, high


def wilson_effective(
    p: float, stderr: float, independent: int, trials: float, confidence: float = 0.95
) -> Interval:
    """
    Wilson's interval for a proportion whose trials are not independent, or were repeated.

    It takes as many trials as independent ones would give this standard error: p(1-p)/stderr².

    Args:
        p: the proportion.
        stderr: of p, counting only what is independent (rows after averaging their repeats, or
            groups of rows).
        independent: how many of these there are, at least 2; it stands in where all agree (p is
            0 or 1) and gives the degrees of freedom.
        trials: how many single trials there were; the effective number is never above it.

    Source: Korn & Graubard (1998), Survey Methodology 24, p. 193, for the effective sample size.
    """
    effective = float(independent)
    if 0 < p < 1:
        effective = trials if stderr == 0 else min(trials, p * (1 - p) / stderr**2)
    return _wilson(p * effective, effective, quantile_for(confidence, independent - 1))


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
    squares = _squares(values, mean)
    if squares == 0:
        return None
    cut = min(int(n / (2 * math.sqrt(n - 4))), (n - 1) // 2)
    middle = mean_of(sorted(values)[cut : n - cut])
    fourths = _sum((d := (value - middle) * (value - middle)) * d for value in values)
    kurtosis = n * fourths / (squares * squares)
    factor = n / (n - z) if n > z else math.inf
    relative = factor * math.sqrt(max(0.0, kurtosis - (n - 3) / n) / (n - 1))
    variance = squares / (n - 1)
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
    _check_open("confidence", confidence)
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


# --- any statistic: resampling ---------------------------------------------------------------

Statistic = Callable[[list[V]], float]
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
        None for fewer than two rows, or groups; NaN where a sample's statistic is NaN.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; expanded as in
    Hesterberg (2015), Am. Stat. 69, p. 371.
    """
    from random import Random  # a few ms, for the figures that are resampled

    _check_open("confidence", confidence)
    units = None if groups is None else _units(values, groups)
    count = len(values) if units is None else len(units)
    if count < 2:
        return None
    if resamples is None:
        resamples = max(_FEWEST_RESAMPLES, min(_RESAMPLES, _DRAWS // len(values)))
    draw = Random(seed).choices
    if units is None:
        found = [statistic(draw(values, k=count)) for _ in range(resamples)]
    else:
        found = [statistic(_flat(draw(units, k=count))) for _ in range(resamples)]
    if any(value != value for value in found):
        return Resampled(math.nan, math.nan, math.nan, resamples)
    found.sort()
    wider = math.sqrt(count / (count - 1))
    tail = normal_tail(quantile_for(confidence, count - 1) * wider)
    low, high = _ranked(found, tail), _ranked(found, 1 - tail)
    mean = mean_of(found)
    spread = math.sqrt(_squares(found, mean) / (resamples - 1)) * wider
    return Resampled(spread, low, high, resamples)


def jackknife(
    statistic: Statistic[V],
    values: Sequence[V],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int,
    confidence: float = 0.95,
    blocks: int = 100,
) -> Resampled | None:
    """
    Normal interval for a statistic of very many rows: compute it once without each block of them.

    Args:
        groups: rows of one group stay in one block.
        seed: of the shuffling that keeps the blocks free of the order of the rows.
        blocks: how often the statistic is computed; large blocks make it valid for medians too.

    Returns:
        None for fewer rows, or groups, than blocks.

    Source: Shao & Wu (1989), Ann. Stat. 17, p. 1176, for the jackknife that deletes many at once.
    """
    from random import Random

    units: list[Any] = list(values) if groups is None else _units(values, groups)
    if len(units) < blocks:
        return None
    Random(seed).shuffle(units)
    found = []
    for block in range(blocks):
        start, end = (len(units) * edge // blocks for edge in (block, block + 1))
        rest = units[:start] + units[end:]
        found.append(statistic(rest if groups is None else _flat(rest)))
    mean = mean_of(found)
    stderr = math.sqrt((blocks - 1) / blocks * _squares(found, mean))
    value, reach = statistic(list(values)), quantile_for(confidence) * stderr
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


# --- two samples of the same rows ------------------------------------------------------------


def binomial_half(k: int, n: int) -> float:
    """
    P(X = k) for n tosses of a fair coin, with a relative error of about 1e-13 for any n.

    Source: Loader (2000), Fast and Accurate Computation of Binomial Probabilities: Stirling's
    formula with its error terms, and the deviance, instead of huge factorials.
    """
    if not 0 <= k <= n:
        return 0.0
    if k in (0, n):
        return 0.5**n
    d = (2 * k - n) / n
    deviance = n / 2 * (math.log1p(-d * d) + 2 * d * math.atanh(d))
    correction = _stirling_error(n) - _stirling_error(k) - _stirling_error(n - k)
    return math.exp(correction - deviance) * math.sqrt(n / (2 * math.pi * k * (n - k)))


def _stirling_error(n: int) -> float:
    """log(n!) less Stirling's formula for it."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    s = 1 / (n * n)
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / n


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
    return _flipped(sizes, abs(_sum(sums)), seed, resamples)


def _flipped(sizes: list[float], observed: float, seed: int, resamples: int) -> Test:
    n = len(sizes)
    if n == 0:
        return Test(1.0, "no differences")
    reached = observed - 1e-12 * _sum(sizes)  # equal sums may differ by rounding
    if n <= _EXACT_SIGNS:
        hits = sum(abs(value) >= reached for value in _signed_sums(sizes))
        return Test(hits / 2**n, f"sign flips, all {2**n:,}")
    if n * resamples > _SIGNS:
        z = observed / math.sqrt(_sum(size * size for size in sizes))
        return Test(2 * normal_tail(z), "sign flips, normal")
    from itertools import compress
    from random import Random

    draw, whole = Random(seed).getrandbits, _sum(sizes)
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


# --- how much would be enough ----------------------------------------------------------------


def detectable(stderr: float, confidence: float = 0.95, power: float = 0.8) -> float:
    """
    The smallest true difference that a comparison with this standard error would likely notice.

    Args:
        stderr: of the difference.
        power: probability of noticing it.

    Source: Cohen (1988), Statistical Power Analysis, ch. 2, with the normal distribution.
    """
    _check_open("power", power)
    return max(0.0, quantile_for(confidence) + normal_quantile(power)) * stderr


def rows_to_decide_share(p: float, threshold: float, confidence: float = 0.95) -> int | None:
    """
    How many rows Wilson's interval needs to leave the threshold out, if the proportion stays.

    Returns:
        None where the proportion is the threshold, which no number of rows could tell apart.

    Source: Wilson's interval holds the proportions that the score test does not reject, so
    n > z² t (1 - t) / (p - t)².
    """
    if p == threshold:
        return None
    z = quantile_for(confidence)
    return math.floor(z * z * max(0.0, threshold * (1 - threshold)) / (p - threshold) ** 2) + 1


def rows_to_decide_mean(
    value: float, threshold: float, n: int, stderr: float, confidence: float = 0.95
) -> int | None:
    """
    How many rows the t interval needs to leave the threshold out, if mean and spread stay.

    Args:
        n, stderr: rows so far, at least 2, and the standard error that they gave.

    Returns:
        None where the mean is the threshold.
    """
    if value == threshold:
        return None
    errors = abs(value - threshold) / (stderr * math.sqrt(n)) if stderr else math.inf
    rows = max(2, math.floor((quantile_for(confidence) / errors) ** 2))
    while rows <= (quantile_for(confidence, rows - 1) / errors) ** 2:  # a few steps more than z
        rows += 1
    return rows
