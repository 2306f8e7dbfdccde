"""
Means of scores whose range is known: shares of right answers, and any score from 0 to 1.

What was not seen is the danger. Twenty answers that are all right say little about one that would
be wrong, and their spread of 0 says nothing. Where the range is known, the worst that was not seen
is known too: it stands in as one more row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .distributions import beta_quantile, quantile_for, root
from .intervals import Interval


@lru_cache(maxsize=4_096)  # an evaluation of thousands of scores has few different counts
def exact(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """
    Interval for a proportion whose error is nowhere above what it says, on either side.

    Args:
        successes: how many of the n were true, 0 <= successes <= n; fractions are allowed.
        n: how many there were; an effective number may be a fraction.
        confidence: in (0, 1).

    Returns:
        (low, high), each in [0, 1]. With n = 0 nothing is known: (0.0, 1.0).

    Raises:
        ValueError: successes is not in 0..n.

    Source: Clopper & Pearson (1934), Biometrika 26, p. 404, as quantiles of beta distributions.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"exact({successes!r}, {n!r}): expected 0 <= successes <= n")
    z = quantile_for(confidence)  # checks it
    side = math.erfc(z / math.sqrt(2)) / 2
    low = beta_quantile(side, successes, n - successes + 1) if successes else 0.0
    high = 1 - beta_quantile(side, n - successes, successes + 1) if successes < n else 1.0
    return low, high


# --- numbers -----------------------------------------------------------------------------------


def bounded(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    *,
    confidence: float = 0.95,
    span: Interval = (0.0, 1.0),
) -> Interval:
    """
    Interval for the mean of values from a known range; it never leaves the range.

    One more row with the worst value that there can be is added at either end, and all rows
    get random weights (exponential, as in the Bayesian bootstrap): the interval reaches to where
    the weighted mean lies in all but the asked share of the cases. For values that are all
    at the ends of the range it is Clopper & Pearson's interval; it narrows where the values do.

    Args:
        values: at least one, each within the span; of a group, the mean of its rows.
        groups: how many rows each value is the mean of; None: one each. The mean is over rows.
        span: the smallest and the largest value that there can be.

    Source: Gaffke (2005), Math. Methods Stat. 14, p. 415; Phan, Thomas & Learned-Miller (2021),
    ICML, who find no case of less coverage than asked. The weights are not drawn: the
    probability is the saddlepoint approximation of Lugannani & Rice (1980) in the form of
    Barndorff-Nielsen (1986), which is within a tenth of the asked error on the cautious side.
    """
    least, most = span
    width = most - least
    shares = [min(1.0, max(0.0, (value - least) / width)) for value in values]
    sizes = [1] * len(shares) if groups is None else groups
    if groups is None and all(share in (0, 1) for share in shares):
        low, high = exact(sum(shares), len(shares), confidence)
    else:
        z = quantile_for(confidence)
        low = _below(zip(shares, sizes, strict=True), z)
        high = 1 - _below(((1 - share, size) for share, size in zip(shares, sizes, strict=True)), z)
    return max(least, least + low * width), min(most, least + high * width)


def _below(pairs: Iterable[tuple[float, int]], z: float) -> float:
    """The lower end of the mean of shares with such weights."""
    counted = [(share * size, size, count) for (share, size), count in Counter(pairs).items()]
    total = sum(added * count for added, _, count in counted)
    rows = sum(size * count for _, size, count in counted)
    if not total:
        return 0.0
    mean, end = total / rows, max(size for _, size, _ in counted)
    start = mean * max(0.1, 1 - z * math.sqrt((1 - mean * rows / (rows + end)) * end / total))
    return root(lambda m: _signed_root(counted, m, end) + z, 0.0, mean, start)


def _signed_root(counted: Sequence[tuple[float, float, int]], m: float, end: float) -> float:
    """
    How far below the mean of the values m lies, in standard errors of a normal distribution.

    P(weighted mean <= m) is the probability that sum(E * (total - m * size)) <= 0 for
    exponential E, whose cumulant generating function is -sum(log(1 - t a)).

    Args:
        counted: (total, size, how many such) of the values, shares of 1.
        m: below their mean.
        end: the size of the row at 0 that is added.
    """
    apart = [(total - m * size, count) for total, size, count in counted]
    apart.append((-m * end, 1))
    least, most = min(apart)[0], max(apart)[0]
    low, high, t = 1 / least, 1 / most, 0.0
    for _ in range(200):  # pragma: no branch - Newton's method in a bracket
        first = second = 0.0
        for a, count in apart:
            q = a / (1 - t * a)
            first += count * q
            second += count * q * q
        low, high = (low, t) if first > 0 else (t, high)
        following = t - first / second
        if not low < following < high:
            following = (low + high) / 2
        near = abs(following - t) <= 1e-12 * (1 / most - 1 / least)
        t = following
        if near:
            break
    doubled = 2 * sum(count * math.log1p(-t * a) for a, count in apart)
    w = math.copysign(math.sqrt(max(0.0, doubled)), t)
    u = t * math.sqrt(sum(count * (a / (1 - t * a)) ** 2 for a, count in apart))
    return w + math.log(u / w) / w if abs(w) > 1e-4 else w
