"""
How much would be enough: what a test would notice, and how many rows would decide.

Power is that of the very test that gives the verdict, at its level. Where nothing could reach the
level, the answer is None and not a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .distributions import beta_share, check_open, normal_quantile, normal_tail, quantile_for
from .tests import mcnemar

_POWER = 0.8  # as is usual since Cohen (1988), Statistical Power Analysis


def detectable_flips(
    only_a: int, only_b: int, n: int, level: float = 0.05, power: float = _POWER
) -> float | None:
    """
    The true difference of two shares that McNemar's exact test would notice so often.

    It takes for granted that as many rows flip both ways by themselves as flipped in the less
    frequent direction, and that the difference comes on top.

    Args:
        only_a, only_b: rows that only one of them got right.
        n: all paired rows.
        level: of the test, after correction for other questions.

    Returns:
        None where even rows that all differ one way would not be noticed.

    Source: the distribution of the discordant rows is summed up; above 400 of them the
    approximation of Connor (1987), Biometrics 43, p. 207.
    """
    both = min(only_a, only_b) / n
    if _flip_power(1 - both, both, n, level) < power:
        return None
    return _least(lambda d: _flip_power(d, both, n, level) >= power, 0.0, 1 - both)


def _least(enough: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest number between two that is enough, to three digits."""
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _flip_power(d: float, both: float, n: int, level: float) -> float:
    """How likely the test sees a difference d, where a share `both` flips either way besides."""
    apart = min(1.0, d + 2 * both)  # the share of rows that differ
    toward = (d + both) / (d + 2 * both) if apart else 0.5
    if n * apart > 400:
        z = -normal_quantile(level / 2)
        spread = math.sqrt(max(apart - d * d, 1e-300))
        return 1 - normal_tail((d * math.sqrt(n) - z * math.sqrt(apart)) / spread)
    middle, reach = n * apart, 8 * math.sqrt(n * apart) + 8
    found = 0.0
    needed: int | None = 0
    for m in range(max(0, int(middle - reach)), min(n, int(middle + reach)) + 1):
        needed = _needed(m, needed or m // 2, level)
        if needed is not None:
            found += _binomial(m, n, apart) * _at_least(needed, m, toward)
    return found


def _needed(m: int, start: int, level: float) -> int | None:
    """How many of m differing rows must be of one kind to be noticed; None: not even all."""
    for k in range(max(start, m // 2), m + 1):
        if mcnemar(m - k, k) < level:
            return k
    return None


def _binomial(k: int, n: int, p: float) -> float:
    if p >= 1:
        return float(k == n)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(p) + (n - k) * math.log1p(-p)) if p else float(k == 0)


def _at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of n trials."""
    return 1.0 if k <= 0 else beta_share(p, k, n - k + 1)


def detectable_mean(
    stderr: float, n: int, level: float = 0.05, power: float = _POWER
) -> float | None:
    """
    The mean of paired differences that sign flips and Student's interval would notice so often.

    Args:
        stderr: of the mean difference.
        n: how many differences, or clusters of them.

    Returns:
        None where n differences of one sign are not enough: fewer than 6 at a level of 0.05.
    """
    # Of one sign and the same size, at most, that may reach p; of many more than a float holds.
    patterns = math.ldexp(level, min(n - 1, 1_000))
    if patterns < 1:
        return None
    df = n - 1
    errors = quantile_for(1 - level, df) + quantile_for(2 * power - 1, df)
    if patterns < 2:  # all of them must have one sign
        errors = max(errors, math.sqrt(n) * normal_quantile(power ** (1 / n)))
    return errors * stderr * (1 + 1 / (4 * df))  # a spread is seen too small by so much on average


def rows_for_share(
    p: float, threshold: float, confidence: float = 0.95, power: float = _POWER
) -> int | None:
    """
    How many rows leave the threshold out of the exact interval with such a probability.

    Args:
        p: the true share, if it is what it looks like.

    Returns:
        None where the share is the threshold, which no number of rows could tell apart.
    """
    check_open("power", power)
    if p == threshold or not 0 <= threshold <= 1:
        return None
    if p < threshold:
        p, threshold = 1 - p, 1 - threshold
    if threshold == 0:
        return None if p == 0 else math.ceil(math.log(1 - power) / math.log1p(-p)) if p < 1 else 1
    z, reach = quantile_for(confidence), max(0.0, normal_quantile(power))
    spreads = z * math.sqrt(threshold * (1 - threshold)) + reach * math.sqrt(p * (1 - p))
    rows = math.ceil((spreads / (p - threshold)) ** 2)
    if rows > 5_000:  # the normal distribution is as good
        return rows
    side = normal_tail(z)

    def enough(n: int) -> bool:
        """Whether the interval of n rows lies above the threshold that often."""
        low, high = math.floor(n * threshold), n  # how many true answers it takes
        if threshold**n >= side:
            return False
        while high - low > 1:
            middle = (low + high) // 2
            above = _at_least(middle, n, threshold) < side
            low, high = (low, middle) if above else (middle, high)
        return _at_least(high, n, p) >= power

    step = max(1, rows // 200)  # the power has teeth: the first n that is enough is looked for
    rows = max(1, rows * 2 // 3)
    while not enough(rows):
        rows += step
    return rows


def rows_for_mean(
    gap: float, spread: float, confidence: float = 0.95, power: float = _POWER
) -> int | None:
    """
    How many rows, or clusters, leave a threshold out of Student's interval with such a probability.

    Args:
        gap: between the mean and the threshold.
        spread: standard deviation of the rows.

    Returns:
        None without a gap or a spread, or beyond what floats can tell.
    """
    check_open("power", power)
    if not gap or not spread or not 1e-100 < spread / abs(gap) < 1e100:
        return None
    normal = max(0.0, normal_quantile(power))
    rows = max(2, math.ceil(((quantile_for(confidence) + normal) * spread / gap) ** 2))
    while rows < ((quantile_for(confidence, rows - 1) + normal) * spread / gap) ** 2:
        rows += 1  # a few: Student's quantile is hardly above the normal one
    return rows
