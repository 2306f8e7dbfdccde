"""
Quantiles and tails of the distributions that statistics need: normal, Student's, beta, binomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable


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
    check_open("p", p)
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
    check_open("p", p)
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
    return beta_share(df / (df + t * t), df / 2, 0.5) / 2


def _t_centre(t: float, df: float) -> float:
    """P(0 < T < t) of Student's distribution."""
    return beta_share(t * t / (df + t * t), 0.5, df / 2) / 2


def _t_density(t: float, df: float) -> float:
    constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(constant - (df + 1) / 2 * math.log1p(t * t / df))


def beta_share(x: float, a: float, b: float) -> float:
    """
    The regularised incomplete beta function I_x(a, b).

    Source: continued fraction of DLMF 8.17.22, evaluated as by Lentz (1976).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction would converge slowly, use the symmetry
        return 1 - beta_share(1 - x, b, a)
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


def check_open(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r}: expected a number between 0 and 1, both excluded")


def quantile_for(confidence: float, df: float | None = None) -> float:
    """
    How many standard errors an interval of this confidence reaches to either side.

    Args:
        confidence: in (0, 1).
        df: degrees of freedom of the standard error; None takes the normal distribution.
    """
    check_open("confidence", confidence)
    p = (1 + confidence) / 2
    return normal_quantile(p) if df is None else t_quantile(p, df)


def beta_quantile(p: float, a: float, b: float) -> float:
    """
    The x with I_x(a, b) = p, for a, b > 0 and p in (0, 1), to about 12 digits.

    By Newton's method on log p as a function of log x, within a bracket.
    """
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def excess(y: float) -> float:
        share = beta_share(math.exp(y), a, b)
        return math.log(share / p) if share else -math.inf

    def slope(y: float) -> float:
        x = math.exp(y)
        return math.exp(constant + a * y + (b - 1) * math.log1p(-x)) / beta_share(x, a, b)

    least = (math.log(p) + math.log(a) - constant) / a  # from I_x <= x^a / (a B(a, b)) if b >= 1
    return math.exp(root(excess, min(least, -1e-300) - 1, 0.0, math.log(a / (a + b)), slope))


def root(
    f: Callable[[float], float],
    low: float,
    high: float,
    start: float,
    slope: Callable[[float], float] | None = None,
) -> float:
    """
    Where an increasing function is 0, between low and high.

    By Newton's method, or by secants where there is no slope; by halves where that leaves the
    bracket.
    """
    x, before = start, (math.nan, math.nan)
    for _ in range(200):  # pragma: no branch - halving alone takes about 60
        y = f(x)
        if y == 0:
            break
        low, high = (x, high) if y < 0 else (low, x)
        step = slope(x) if slope and math.isfinite(y) else (y - before[1]) / ((x - before[0]) or 1)
        before = x, y
        following = x - y / step if step else math.nan
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= 1e-13 * abs(x) or following in (low, high):
            break
        x = following
    return x


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
