"""
What differs between two experiments over the rows that both have, and how sure that is.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite, nan
from typing import Any

from .. import metrics
from ..metrics import Metric, Span
from ..statistics import distributions, intervals, tests
from ..statistics.clusters import clustered
from ..statistics.power import detectable_flips, detectable_mean
from ..statistics.sequential import anytime
from ..statistics.shares import bounded
from ..storage import Store
from ..views.figures import plural
from .pairs import Pairs, Side, Source
from .scores import MEANS, OF_REPEATS

# Verdicts on a difference, and on what is made of several.
BETTER, NO_LOSS, NONE = "better", "no loss seen", "no regression"
REGRESSION, UNSURE, UNJUDGED = "regression", "cannot tell", "not judged"
_NO_DIRECTION = ("std", "min", "max")  # a spread is not better or worse; an extreme has no interval


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One metric of one score, over the rows that both experiments have.

    Attributes:
        score, metric: names.
        n: rows that it rests on.
        a, b: the figure of either over these rows; None where there is none.
        value: b - a.
        stderr, low, high: of the value; None where the data can not tell.
        p: two-sided p-value of "nothing differs"; None where there is no test for it.
        adjusted: p after Holm's correction for all the differences of the comparison.
        detectable: the true difference that the test would notice with a probability of 80 %,
            corrected as it is for the other questions; None where it could notice none.
        flips: rows that only A, and only B, has right; None where it is about numbers.
        independent: how many rows, or groups of them, are independent of each other.
        level: 1 - confidence of the interval.
        cautious: where the range of the scores is not known, the interval if the largest rise
            and the largest fall that were seen were to come once more; a verdict needs it too.
        bounds: the value if every failure in B had the worst, and the best, value that there can
            be; None where none failed, or where that is not known.
        method: of the interval and the test.
        lower_is_better: whether a smaller figure is the better one.
        verdict: "better", "no loss seen", "no regression" (within the margin), "regression",
            "cannot tell", or "not judged" where no direction is better (a spread) or nothing can
            be inferred (an extreme).
        reason: why it is not what the figures suggest; "" where it is.
    """

    score: str
    metric: str
    n: int
    a: float | None
    b: float | None
    value: float | None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    flips: tuple[int, int] | None = None
    independent: int = 0
    level: float = 0.05
    cautious: tuple[float, float] | None = None
    bounds: tuple[float, float] | None = None
    method: str = ""
    lower_is_better: bool = False
    verdict: str = UNJUDGED
    reason: str = ""

    @property
    def gain(self) -> float | None:
        """How much better B is; negative where it is worse."""
        return -self.value if self.lower_is_better and self.value is not None else self.value

    @property
    def gains(self) -> tuple[float, float] | None:
        """The interval of the gain, worse end first, as cautious as a verdict has to be."""
        if self.low is None or self.high is None:
            return None
        low, high = self.cautious or (self.low, self.high)
        low, high = min(low, self.low), max(high, self.high)
        return (-high, -low) if self.lower_is_better else (low, high)


@dataclass(frozen=True, slots=True)
class Question:
    """What `compare` was asked, beside the names."""

    only: frozenset[str]
    lower: frozenset[str]
    margin: float | None
    confidence: float
    examples: int
    seed: int
    paired_only: bool = False
    factor: float = 1.0  # of A: the difference is that of B to so much of A

    @property
    def level(self) -> float:
        """Of the tests: 0.05 for a confidence of 0.95."""
        return 1 - self.confidence

    def reach(self, span: tuple[float, float]) -> tuple[float, float]:
        """The smallest and the largest difference that there can be of values within a range."""
        return span[0] - self.factor * span[1], span[1] - self.factor * span[0]

    def asks(self, score: str, metric: str) -> bool:
        return not self.only or bool(self.only & {score, f"{score}.{metric}"})

    def prefers_less(self, score: str, metric: str) -> bool:
        return metric in metrics.LESS_IS_BETTER or bool(self.lower & {score, f"{score}.{metric}"})


def difference(
    store: Store,
    a: Source,
    b: Source,
    score: str,
    metric: str,
    confidence: float = 0.95,
    anytime: bool = False,
    factor: float = 1.0,
    keys: Collection[bytes] | None = None,
) -> Difference:
    """
    One metric of one score, over the rows that both have; not judged.

    Args:
        factor: the difference is that of B to so much of A.
        keys: the only rows that it is about; None: all.

    Raises:
        NotFound: an experiment, an evaluation or the metric is not there.
    """
    before, after = (Side(store, source).within(keys) for source in (a, b))
    boolean = all(
        side.tally.scores.get(score, {}).get("boolean", False) for side in (before, after)
    )
    asked = Question(frozenset(), frozenset(), None, confidence, 0, 0, factor=factor)
    pairs = Pairs(before, after, score, 0)
    found = difference_of(pairs, score, metrics.find(metric), boolean, asked)
    return _at_any_time(found, pairs, asked) if anytime else found


def _at_any_time(found: Difference, pairs: Pairs, asked: Question) -> Difference:
    """The same with an interval that holds at every look."""
    span = pairs.span_for(found.metric)
    open_ = replace(found, stderr=None, low=None, high=None)
    if found.low is None or found.metric not in MEANS:
        return replace(open_, method=f"no interval: {found.metric} has none for any time")
    if span is None or pairs.groups is not None:
        return replace(open_, method="no interval: none for any time without a known range of rows")
    changes = [y - asked.factor * x for x, y in zip(pairs.xs, pairs.ys, strict=True)]
    low, high = anytime(changes, confidence=asked.confidence, span=asked.reach(span))
    return replace(found, low=low, high=high, method=metrics.ANYTIME)


def difference_of(
    pairs: Pairs, score: str, metric: Metric, boolean: bool, asked: Question
) -> Difference:
    less = asked.prefers_less(score, metric.name)
    empty = Difference(
        score, metric.name, len(pairs.xs), None, None, None,
        lower_is_better=less, level=asked.level,
    )  # fmt: skip
    if not pairs.xs:
        return replace(empty, method="no rows in common", verdict=UNSURE)
    xs, ys = pairs.xs, pairs.ys
    groups: Sequence[Hashable] | None = pairs.groups
    if metric.name.startswith(OF_REPEATS):
        xs, ys, groups = _of_repeats(pairs, metric)
        if not xs:
            return replace(empty, n=0, method="too few repeats", verdict=UNSURE)
    elif metric.name not in MEANS:
        return _resampled(pairs, empty, metric, asked)
    n, a, b = len(xs), intervals.mean_of(xs), intervals.mean_of(ys)
    free = n if groups is None else len(set(groups))
    apart = b - asked.factor * a
    found = replace(empty, n=n, a=a, b=b, value=apart, verdict=UNSURE, independent=free)
    if not isfinite(apart):
        method = "NaN among the values" if apart != apart else "infinite values"
        return replace(found, value=nan, method=method)
    once = boolean and pairs.rows_a is None and groups is None and asked.factor == 1
    span = pairs.span_for(metric.name)
    if span is not None and (pairs.lost or any(pairs.failed)):
        bounds = (
            _value_if(pairs, metric, span[0], asked.factor),
            _value_if(pairs, metric, span[1], asked.factor),
        )
        found = replace(found, bounds=bounds)
    if once and not metric.name.startswith(OF_REPEATS):
        found = _of_answers(found, pairs, asked)
    else:
        found = _of_numbers(found, xs, ys, groups, span, asked)
    return replace(found, reason=_hidden_loss(found, pairs, metric, span or pairs.seen, asked))


def _of_repeats(pairs: Pairs, metric: Metric) -> tuple[array[float], array[float], Any]:
    """Rows with enough repeats in both, each as one number, and their groups."""
    xs, ys, groups = array("d"), array("d"), []
    rows_a = pairs.rows_a or [[value] for value in pairs.xs]
    rows_b = pairs.rows_b or [[value] for value in pairs.ys]
    for at, (before, after) in enumerate(zip(rows_a, rows_b, strict=True)):
        x, y = metric.compute(before), metric.compute(after)
        if x is not None and y is not None:
            xs.append(x)
            ys.append(y)
            groups.append(None if pairs.groups is None else pairs.groups[at])
    return xs, ys, None if pairs.groups is None else groups


def _of_answers(found: Difference, pairs: Pairs, asked: Question) -> Difference:
    """True or false, asked once: McNemar's exact test, and an interval that never collapses."""
    only_a, only_b, n = pairs.fallen, pairs.risen, found.n
    value, low, high = tests.paired_difference(only_a, only_b, n, asked.confidence)
    return replace(
        found,
        value=value,  # from the counts: no rounding between it and a threshold
        stderr=(high - low) / 2 / distributions.quantile_for(asked.confidence),
        low=low,
        high=high,
        p=tests.mcnemar(only_a, only_b),
        flips=(only_a, only_b),
        method="McNemar exact",
    )


def _hidden_loss(
    found: Difference, pairs: Pairs, metric: Metric, span: tuple[float, float], asked: Question
) -> str:
    """
    Why rows that failed in B leave the answer open; "" where they do not.

    They are not known to be wrong. But if leaving them out is all that makes B look good, then a
    model that fails at what is difficult would pass.
    """
    rows = len(pairs.lost) + sum(map(bool, pairs.failed))
    if not rows:
        return ""
    less = found.lower_is_better
    said = f"{plural(rows, 'row')} failed in B; were {'it' if rows == 1 else 'they'} wrong, "
    changes, groups = _if_failed(pairs, metric, span[1] if less else span[0])
    if asked.margin is None:
        mean = intervals.mean_of(changes)
        return f"{said}B would be worse" if (mean > 0 if less else mean < 0) else ""
    sizes = None
    if groups is not None:
        changes, sizes = _of_groups(changes, groups)
    width = span[1] - span[0]
    if not width:
        return ""
    ends = bounded(changes, sizes, confidence=asked.confidence, span=(-width, width))
    low = -ends[1] if less else ends[0]
    return f"{said}the loss could be beyond the margin" if low < -asked.margin else ""


def _of_groups(
    values: Sequence[float], groups: Sequence[Hashable]
) -> tuple[list[float], list[int]]:
    """The mean of each group, and its size."""
    sizes = Counter(groups)
    totals = intervals.group_totals(values, groups)
    return [totals[group] / size for group, size in sizes.items()], list(sizes.values())


def _value_if(pairs: Pairs, metric: Metric, worth: float, factor: float) -> float:
    """The difference if what failed in B were worth so much."""
    if pairs.rows_a is not None:
        return intervals.mean_of(_if_failed(pairs, metric, worth, factor)[0])
    # Sums do, and may be of a million.
    lost = [worth - factor * value for (value,), _, _ in pairs.lost]
    return (fsum(pairs.ys) - factor * fsum(pairs.xs) + fsum(lost)) / (len(pairs.xs) + len(lost))


def _if_failed(
    pairs: Pairs, metric: Metric, worth: float, factor: float = 1.0
) -> tuple[list[float], list[Hashable] | None]:
    """The differences of the rows, and their groups, if what failed in B were worth so much."""
    failed = pairs.failed or [0] * len(pairs.xs)
    rows_a = pairs.rows_a or [[value] for value in pairs.xs]
    rows_b = pairs.rows_b or [[value] for value in pairs.ys]
    rows = [
        *((a, [*b, *[worth] * n]) for a, b, n in zip(rows_a, rows_b, failed, strict=True)),
        *((before, [worth] * n) for before, _, n in pairs.lost),
    ]
    compute = metric.compute if metric.name.startswith(OF_REPEATS) else intervals.mean_of
    named = (
        None if pairs.groups is None else [*pairs.groups, *(group for _, group, _ in pairs.lost)]
    )
    changes, groups = [], []
    for at, (before, after) in enumerate(rows):
        x, y = compute(before), compute(after)
        if x is not None and y is not None:
            changes.append(y - factor * x)
            groups.append(None if named is None else named[at])
    return changes, None if named is None else groups


def _of_numbers(
    found: Difference,
    xs: Sequence[float],
    ys: Sequence[float],
    groups: Sequence[Hashable] | None,
    span: Span,
    asked: Question,
) -> Difference:
    """
    Sign flips for the p-value; for the mean of the differences an interval that knows the range.

    Sign flips are exact where differences are as likely up as down, which nobody knows. So a
    verdict on the mean needs its interval too. Where the range of the scores is unknown that is
    Student's, which is too short where differences are skewed.
    """
    changes = [y - asked.factor * x for x, y in zip(xs, ys, strict=True)]
    test = tests.sign_flip(changes, groups, seed=asked.seed)
    found = replace(found, value=intervals.mean_of(changes), p=test.p, method=test.method)
    spread = clustered(changes, range(len(changes)) if groups is None else groups)
    known = spread is not None and spread.stderr > 0
    if span is None and not known:
        one = "one row" if groups is None else "one cluster"
        few = one if spread is None else "all differences are the same"
        return replace(found, method=f"{test.method}; no interval: {few}")
    units, sizes = (changes, None) if groups is None else _of_groups(changes, groups)
    cautious = None
    if span is None and spread is not None:
        ends = min(0.0, *units), max(0.0, *units)
        cautious = bounded(units, sizes, confidence=asked.confidence, span=ends)
        low, high = intervals.t_interval(
            found.value or 0.0, spread.stderr, spread.df, asked.confidence
        )
    else:
        reach = asked.reach(span or (0.0, 1.0))
        low, high = bounded(units, sizes, confidence=asked.confidence, span=reach)
    stderr = spread.stderr if spread is not None and known else None
    if stderr is None:
        stderr = (high - low) / 2 / distributions.quantile_for(asked.confidence)
    return replace(found, stderr=stderr, low=low, high=high, cautious=cautious)


def detectable(each: Difference, level: float) -> float | None:
    """The true difference that would be noticed four times in five by a test of this level."""
    if each.flips is not None:
        return detectable_flips(*each.flips, each.n, level)
    if each.stderr is None or each.gains is None or each.p is None:
        return None
    least = detectable_mean(each.stderr, each.independent, level)
    if least is None:
        return None
    df = max(1, each.independent - 1)
    usual, asked = (distributions.t_quantile(1 - side / 2, df) for side in (each.level, level))
    low, high = each.gains
    reach = max((each.gain or 0.0) - low, high - (each.gain or 0.0)) * asked / usual
    return max(least, reach + distributions.normal_quantile(0.8) * each.stderr)


def _resampled(pairs: Pairs, empty: Difference, metric: Metric, asked: Question) -> Difference:
    """Any other metric: its change over the rows, which are resampled in pairs."""
    groups: Sequence[Hashable] | None = pairs.groups
    both: list[Any] = list(zip(pairs.xs, pairs.ys, strict=True))
    of_values = metric.sees == "values"
    if not of_values:
        both, groups = pairs.of_both(metric)
        if metric.lacks(side for sides in both for side in sides):
            return replace(empty, method=metrics.NOTHING_EXPECTED, verdict=UNSURE)

    def figures(rows: Sequence[Any]) -> list[float | None]:
        figure = metric.compute if of_values else metric.over
        return [figure(list(values)) for values in zip(*rows, strict=True)]

    def change(rows: Sequence[Any]) -> float | None:
        before, after = figures(rows)
        return None if before is None or after is None else after - asked.factor * before

    if of_values and any(x != x or y != y for x, y in both):
        return replace(empty, value=nan, method="NaN among the values", verdict=UNSURE)
    if metric.name in _NO_DIRECTION:
        a, b = figures(both)
        return replace(empty, a=a, b=b, value=change(both), method="not tested")
    lost = f"{plural(len(pairs.lost), 'row')} failed in B; what that was worth to it nobody knows"
    # The differences are a metric of pairs; this tells whose function it was that failed.
    estimate = Metric(metric.name, change).resampled(
        [[pair] for pair in both],
        groups,
        asked.confidence,
        asked.seed,
    )
    free = len(both) if groups is None else len(set(groups))
    a, b = figures(both)
    found = replace(
        empty,
        a=a,
        b=b,
        independent=free,
        reason=lost if pairs.lost else "",
        value=estimate.value,
        stderr=estimate.stderr,
        low=estimate.low,
        high=estimate.high,
        method=estimate.method,
        verdict=UNSURE,
    )
    if not estimate.stderr or estimate.value is None:  # none, 0 or NaN
        return replace(found, p=1.0 if estimate.value == 0 else None)
    return replace(
        found, p=2 * distributions.t_tail(abs(estimate.value) / estimate.stderr, free - 1)
    )
