"""
Intervals that hold at every look: valid however often, and whenever, one looks at them.

An interval for one look, looked at after every hundred rows until it says what is hoped for, is
wrong several times as often as it promises. A confidence sequence is wide enough for all looks
together: the chance that it ever leaves the truth out is at most 1 - confidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from .distributions import check_open, root
from .intervals import Interval

# Bets from cautious to bold, as shares of what may be lost on one row. The squares make small
# bets dense, which long runs with small differences need.
_BETS = tuple(((k + 0.5) / 40) ** 2 for k in range(40))


def anytime(
    values: Iterable[float] | Mapping[float, float],
    *,
    confidence: float = 0.95,
    span: Interval = (0.0, 1.0),
) -> Interval:
    """
    A confidence sequence for the mean of independent values from a known range.

    Somebody who bets against a mean m, row by row, and grows rich is evidence against m. The
    interval holds the means against which forty bettors together have not made their stake grow
    to 2 / (1 - confidence), on either side. The order of the rows does not matter.

    Args:
        values: within the span, or how often each occurred; differences of paired scores have
            the span (-1, 1).

    Returns:
        the whole span where nothing is known yet.

    Source: Waudby-Smith & Ramdas (2024), J. R. Stat. Soc. B 86, p. 1, with a fixed mixture of
    bets; for true/false this is the mixture of Robbins (1970), Ann. Math. Stat. 41, p. 1397.
    """
    check_open("confidence", confidence)
    least, most = span
    width = most - least
    counted: dict[float, float] = {}
    for value, count in Counter(values).items():
        share = min(1.0, max(0.0, (value - least) / width))
        counted[share] = counted.get(share, 0) + count
    goal = math.log(2 / (1 - confidence))
    low = _grown([*counted.items()], goal)
    high = 1 - _grown([(1 - share, count) for share, count in counted.items()], goal)
    return max(least, least + low * width), min(most, least + high * width)


def _grown(counted: Sequence[tuple[float, float]], goal: float) -> float:
    """The mean below which bets on more have reached their goal (of the logarithm)."""
    total = sum(share * count for share, count in counted)
    if not total:
        return 0.0
    mean = total / sum(count for _, count in counted)
    return root(lambda m: goal - _wealth(counted, m), 0.0, mean, mean / 2)


def _wealth(counted: Sequence[tuple[float, float]], m: float) -> float:
    """The logarithm of what the bettors have on average, each of whom began with 1."""
    ratios = [(share / m - 1, count) for share, count in counted]
    logs = [sum(count * math.log1p(bet * ratio) for ratio, count in ratios) for bet in _BETS]
    return _together(logs)


class Bettors:
    """
    Those of `anytime`, against one mean, row by row: whether its interval would leave the mean out.

    Attributes:
        n: rows so far.
        above, below: whether the interval lies on that side of the mean.
        interval: of the mean of these rows.
    """

    def __init__(self, mean: float, confidence: float, span: Interval) -> None:
        self.n = 0
        self.above = self.below = False
        self._span, self._confidence = span, confidence
        self._mean = (mean - span[0]) / (span[1] - span[0])
        self._goal = math.log(2 / (1 - confidence))
        self._on_more, self._on_less = ([0.0] * len(_BETS) for _ in "ab")
        self._values: Counter[float] = Counter()

    def add(self, value: float) -> None:
        """One more row."""
        self.n += 1
        self._values[value] += 1
        share = min(1.0, max(0.0, (value - self._span[0]) / (self._span[1] - self._span[0])))
        self._on_more = _staked(self._on_more, share, self._mean)
        self._on_less = _staked(self._on_less, 1 - share, 1 - self._mean)
        self.above, self.below = (
            _together(logs) >= self._goal for logs in (self._on_more, self._on_less)
        )

    @property
    def interval(self) -> Interval:
        return anytime(self._values, confidence=self._confidence, span=self._span)


def _staked(logs: Sequence[float], share: float, mean: float) -> list[float]:
    """What the bettors have after one more row, of which they bet that it is more than the mean."""
    if mean <= 0:  # it can not be less; anything more is certain
        return [math.inf] * len(logs) if share > mean else [*logs]
    return [
        log + math.log1p(bet * (share / mean - 1)) for log, bet in zip(logs, _BETS, strict=True)
    ]


def _together(logs: Sequence[float]) -> float:
    """The logarithm of what the bettors have on average."""
    top = max(logs)
    if math.isinf(top):
        return top
    return top + math.log(sum(math.exp(each - top) for each in logs) / len(logs))


def anytime_of(successes: int, n: int, rows: int, confidence: float = 0.95) -> Interval:
    """
    A confidence sequence for the share of true answers among all the rows of a dataset.

    After all rows it is a point. It is about this dataset, not about others like it.

    Args:
        successes, n: what the rows so far, in an order unrelated to their answers, gave.
        rows: how many the dataset has.

    Raises:
        ValueError: not 0 <= successes <= n <= rows, or no rows.

    Source: Waudby-Smith & Ramdas (2020), NeurIPS: prior over posterior is a martingale; the
    prior of the count is uniform.
    """
    check_open("confidence", confidence)
    if not 0 <= successes <= n <= rows or not rows:
        raise ValueError(f"anytime_of({successes}, {n}, {rows}): expected successes <= n <= rows")
    if not n:
        return 0.0, 1.0
    goal = -math.log(1 - confidence)
    here = math.log(n + 1) + _choices(n, successes)

    def holds(count: int) -> bool:
        """Whether so many true answers among all rows are still possible."""
        return _choices(rows, count) - here - _choices(rows - n, count - successes) < goal

    first, last = successes, rows - n + successes
    likely = min(last, max(first, round(rows * successes / n)))
    low = _edge(holds, likely, first - 1)
    high = _edge(holds, likely, last + 1)
    return low / rows, high / rows


class Drawn:
    """
    Rows of a dataset, one after the other, in an order unrelated to their answers: `anytime_of`.

    Attributes:
        n: rows so far.
        rows: how many the dataset has.
    """

    def __init__(self, rows: int, confidence: float) -> None:
        self.n = self._successes = 0
        self.rows, self._confidence = rows, confidence

    def add(self, value: float) -> None:
        """One more: 0 or 1."""
        self.n += 1
        self._successes += round(value)

    @property
    def interval(self) -> Interval:
        return anytime_of(self._successes, self.n, self.rows, self._confidence)


def _edge(holds: Callable[[int], bool], inside: int, outside: int) -> int:
    """The last number that holds on the way from one that does to one that does not."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def _choices(n: int, k: int) -> float:
    """log C(n, k)."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
