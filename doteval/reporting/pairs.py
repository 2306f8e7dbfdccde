"""
Rows that two experiments share, and what the difference between them is.

Rows are paired by their identity. The repeats of a row are reduced before rows are compared. Only
values are read, no texts.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import fsum, isfinite, nan
from typing import Any, NamedTuple

from .. import intervals, metrics
from ..metrics import Metric
from ..records import Record
from ..storage import Store
from ..storage.tally import Tally
from .summary import Values

# Verdicts on a difference, and on what is made of several.
REGRESSION, NONE, UNSURE, UNJUDGED = "regression", "no regression", "cannot tell", "not judged"


class Source(NamedTuple):
    """An evaluation of an experiment, by their names."""

    experiment: str
    evaluation: str


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
        detectable: the smallest true difference that would be noticed with a probability of 80 %.
        bounds: the value if every failure in B were wrong, and if every one were right; None where
            none failed, and of scores that are neither true or false nor shares of 1.
        method: of the interval and the test.
        lower_is_better: whether a smaller figure is the better one.
        verdict: "regression", "no regression", "cannot tell", or "not judged" where no
            direction is better (a spread) or nothing can be inferred (an extreme).
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
    def worst(self) -> float | None:
        """The end of the interval that is the worse one for B, as a gain."""
        bound = self.high if self.lower_is_better else self.low
        return -bound if self.lower_is_better and bound is not None else bound


@dataclass(frozen=True, slots=True)
class Question:
    """What `compare` was asked, beside the names."""

    only: frozenset[str]
    lower: frozenset[str]
    margin: float | None
    confidence: float
    examples: int
    seed: int

    @property
    def level(self) -> float:
        """Of the tests: 0.05 for a confidence of 0.95."""
        return 1 - self.confidence

    def asks(self, score: str, metric: str) -> bool:
        return not self.only or bool(self.only & {score, f"{score}.{metric}"})

    def prefers_less(self, score: str, metric: str) -> bool:
        return bool(self.lower & {score, f"{score}.{metric}"})


def difference(
    store: Store, a: Source, b: Source, score: str, metric: str, confidence: float = 0.95
) -> Difference:
    """
    One metric of one score, over the rows that both have; not judged.

    Raises:
        NotFound: an experiment, an evaluation or the metric is not there.
    """
    before, after = Side(store, a), Side(store, b)
    boolean = all(
        side.tally.scores.get(score, {}).get("boolean", False) for side in (before, after)
    )
    asked = Question(frozenset(), frozenset(), None, confidence, 0, 0)
    return difference_of(
        Pairs(before, after, score, 0), score, metrics.find(metric), boolean, asked
    )


# --- pairs ------------------------------------------------------------------------------------


class Side:
    """An evaluation of one of the experiments."""

    def __init__(self, store: Store, source: Source) -> None:
        self.source = source
        self.tally: Tally = store.tally(*source)
        self.runs = store.runs(*source)
        self.values = Values(store, *source, self.runs)
        self._store = store

    @property
    def repeated(self) -> bool:
        return self.tally.repeats > 1

    def once(self, score: str) -> Iterator[tuple[bytes, Any]]:
        """(key, value) of rows that were asked once; NaN is None."""
        return self._store.values(*self.source, score)

    def found(self, keys: Collection[bytes]) -> dict[bytes, Record]:
        """Records with their texts, of those keys that turn up among the first records."""
        found: dict[bytes, Record] = {}
        if keys:
            for record in islice(self._store.records(*self.source, failed=False), _SEARCHED):
                if record.key in keys:
                    found.setdefault(record.key, record)
                    if len(found) == len(keys):
                        break
        return found


_SEARCHED = 20_000  # records looked through for examples; texts cost 15 µs each


_MISSING = object()


class Pairs:
    """
    The values of a score in A and in B, row by row.

    Attributes:
        xs, ys: one value a row: the mean of its repeats.
        rows_a, rows_b: the values of the repeats; None where no row was repeated.
        groups: of the rows; None where there are none.
        lost: rows that have no value in B because they failed there: the values of their repeats
            in A, their group, and how many records failed.
        failed: how many records of each row failed in B beside its values; [] where none did.
        worse, better: the first rows whose value fell, and rose.
    """

    def __init__(self, a: Side, b: Side, score: str, examples: int) -> None:
        self.xs, self.ys = array("d"), array("d")
        self.rows_a: list[list[float]] | None = None
        self.rows_b: list[list[float]] | None = None
        self.groups: list[Hashable] | None = None
        self.only_b = self.risen = self.fallen = 0
        self.worse: list[tuple[bytes, float, float]] = []
        self.better: list[tuple[bytes, float, float]] = []
        self._examples = examples
        self._groups = b.values.groups
        if self._groups is not None:
            self.groups = []
        self.failed: list[int] = []
        self._shared: list[bytes] = []
        if a.repeated or b.repeated:
            left = self._pair_repeats(a.values.of(score), b.values.of(score))
        else:
            left = self._pair(dict(a.once(score)), b.once(score))
        self.only_a = len(left)
        failures = b.values.failures if b.tally.failed and (left or self._shared) else {}
        known = self._groups or {}
        self.lost = [
            (value if isinstance(value, list) else [value], known.get(key, key), failures[key])
            for key, value in left.items()
            if key in failures
        ]
        if failures:
            self.failed = [failures.get(key, 0) for key in self._shared]

    def _pair_repeats(
        self, ours: dict[bytes, list[float]], theirs: Mapping[bytes, list[float]]
    ) -> dict[bytes, Any]:
        self._shared = shared = [key for key in theirs if key in ours]
        self.rows_a, self.rows_b = [ours[key] for key in shared], [theirs[key] for key in shared]
        left = self._pair(
            {key: intervals.mean_of(row) for key, row in ours.items()},
            ((key, intervals.mean_of(row)) for key, row in theirs.items()),
        )
        return {key: ours[key] for key in left}

    def _pair(
        self, ours: dict[bytes, Any], theirs: Iterator[tuple[bytes, Any]]
    ) -> dict[bytes, Any]:
        """Take what both have out of `ours`, and return the rest of it; NaN may be None."""
        take, add_x, add_y = ours.pop, self.xs.append, self.ys.append
        for key, y in theirs:  # a million times: nothing here calls Python
            x = take(key, _MISSING)
            if x is _MISSING:
                self.only_b += 1
                continue
            if x is None or y is None:
                x, y = nan if x is None else x, nan if y is None else y
            add_x(x)
            add_y(y)
            if self.groups is not None and self._groups is not None:
                self.groups.append(self._groups.get(key, key))
            if y < x:
                self.fallen += 1
                if len(self.worse) < self._examples:
                    self.worse.append((key, x, y))
            elif y > x:
                self.risen += 1
                if len(self.better) < self._examples:
                    self.better.append((key, x, y))
        return ours


# --- statistics -------------------------------------------------------------------------------

_MEANS = ("accuracy", "mean")
_NO_DIRECTION = ("std", "min", "max")  # a spread is not better or worse; an extreme has no interval


def difference_of(
    pairs: Pairs, score: str, metric: Metric, boolean: bool, asked: Question
) -> Difference:
    less = asked.prefers_less(score, metric.name)
    empty = Difference(score, metric.name, len(pairs.xs), None, None, None, lower_is_better=less)
    if not pairs.xs:
        return replace(empty, method="no rows in common", verdict=UNSURE)
    xs, ys = pairs.xs, pairs.ys
    groups: Sequence[Hashable] | None = pairs.groups
    if metric.name.startswith(_OF_REPEATS):
        xs, ys, groups = _of_repeats(pairs, metric)
        if not xs:
            return replace(empty, n=0, method="too few repeats", verdict=UNSURE)
    elif metric.name not in _MEANS:
        return _resampled(pairs, empty, metric, asked)
    n, a, b = len(xs), intervals.mean_of(xs), intervals.mean_of(ys)
    found = replace(empty, n=n, a=a, b=b, value=b - a, verdict=UNSURE)
    if not isfinite(b - a):
        method = "NaN among the values" if b - a != b - a else "infinite values"
        return replace(found, value=nan, method=method)
    once = boolean and pairs.rows_a is None and groups is None
    if (pairs.lost or any(pairs.failed)) and (boolean or _are_shares(pairs, metric)):
        found = replace(found, bounds=(_value_if(pairs, metric, 0), _value_if(pairs, metric, 1)))
    if once and not metric.name.startswith(_OF_REPEATS):
        return _of_answers(found, pairs, asked)
    found = _of_numbers(found, xs, ys, groups, boolean, asked)
    return replace(found, reason=_hidden_in_numbers(found, pairs, metric, asked))


_OF_REPEATS = ("pass@", "pass^")


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
    value, low, high = intervals.paired_difference(only_a, only_b, n, asked.confidence)
    stderr = (high - low) / 2 / intervals.quantile_for(asked.confidence)
    p = intervals.mcnemar(only_a, only_b)
    found = replace(
        found,
        value=value,  # from the counts: no rounding between it and a threshold
        stderr=stderr,
        low=low,
        high=high,
        p=p,
        detectable=intervals.detectable(stderr, asked.confidence),
        method="McNemar exact",
    )
    return replace(found, reason=_hidden_loss(found, pairs, asked))


def _hidden_loss(found: Difference, pairs: Pairs, asked: Question) -> str:
    """
    Why rows that failed in B leave the answer open; "" where they do not.

    They are not known to be wrong. But if leaving them out is all that makes B look good, then a
    model that fails at what is difficult would pass.
    """
    right = 0 if found.lower_is_better else 1
    lost = sum(values == [right] for values, _, _ in pairs.lost)
    worse, better = pairs.fallen, pairs.risen
    if found.lower_is_better:
        worse, better = better, worse
    if not lost:
        return ""
    said = f"{lost:,} rows that were right in A failed in B; were they wrong, "
    if asked.margin is None:
        if worse + lost > better and intervals.mcnemar(worse + lost, better) < asked.level:
            return f"{said}it would be a regression"
        return ""
    _, low, _ = intervals.paired_difference(
        worse + lost, better, found.n + len(pairs.lost), asked.confidence
    )
    return f"{said}the loss could be beyond the margin" if low < -asked.margin else ""


def _are_shares(pairs: Pairs, metric: Metric) -> bool:
    """Whether an answer is worth something from 0 to 1, and a better one never costs."""
    ends = [end(values) for values in (pairs.xs, pairs.ys) for end in (min, max)]
    ends += [value for before, _, _ in pairs.lost for value in before]
    return metric.name == "accuracy" and all(0 <= end <= 1 for end in ends)


def _value_if(pairs: Pairs, metric: Metric, worth: float) -> float:
    """The difference if what failed in B were worth so much."""
    if pairs.rows_a is not None:
        return intervals.mean_of(_if_failed(pairs, metric, worth)[0])
    lost = [worth - value for (value,), _, _ in pairs.lost]  # sums do, and may be of a million
    return (fsum(pairs.ys) - fsum(pairs.xs) + fsum(lost)) / (len(pairs.xs) + len(lost))


def _if_failed(
    pairs: Pairs, metric: Metric, worth: float
) -> tuple[list[float], list[Hashable] | None]:
    """The differences of the rows, and their groups, if what failed in B were worth so much."""
    failed = pairs.failed or [0] * len(pairs.xs)
    rows_a = pairs.rows_a or [[value] for value in pairs.xs]
    rows_b = pairs.rows_b or [[value] for value in pairs.ys]
    rows = [
        *((a, [*b, *[worth] * n]) for a, b, n in zip(rows_a, rows_b, failed, strict=True)),
        *((before, [worth] * n) for before, _, n in pairs.lost),
    ]
    compute = metric.compute if metric.name.startswith(_OF_REPEATS) else intervals.mean_of
    named = (
        None if pairs.groups is None else [*pairs.groups, *(group for _, group, _ in pairs.lost)]
    )
    changes, groups = [], []
    for at, (before, after) in enumerate(rows):
        x, y = compute(before), compute(after)
        if x is not None and y is not None:
            changes.append(y - x)
            groups.append(None if named is None else named[at])
    return changes, None if named is None else groups


def _hidden_in_numbers(found: Difference, pairs: Pairs, metric: Metric, asked: Question) -> str:
    """As `_hidden_loss`, where rows were repeated or grouped, or have shares of 1."""
    if found.bounds is None:
        return ""
    changes, groups = _if_failed(pairs, metric, 1 if found.lower_is_better else 0)
    sign = -1 if found.lower_is_better else 1
    said = f"{len(pairs.lost) + sum(map(bool, pairs.failed)):,} rows failed in B; were they wrong, "
    if asked.margin is None:
        p = intervals.sign_flip(changes, groups, seed=asked.seed).p
        sure = sign * intervals.mean_of(changes) < 0 and p is not None and p < asked.level
        return f"{said}it would be a regression" if sure else ""
    stderr = intervals.standard_error(changes, groups)
    if stderr is None:  # nor has what was found
        return ""
    df = (len(changes) if groups is None else len(set(groups))) - 1
    ends = intervals.t_interval(intervals.mean_of(changes), stderr, df, asked.confidence)
    worst = min(sign * end for end in ends)
    return f"{said}the loss could be beyond the margin" if worst < -asked.margin else ""


def _of_numbers(
    found: Difference,
    xs: Sequence[float],
    ys: Sequence[float],
    groups: Sequence[Hashable] | None,
    boolean: bool,
    asked: Question,
) -> Difference:
    """Sign flips for the p-value, Student's interval for the mean of the differences."""
    changes = [y - x for x, y in zip(xs, ys, strict=True)]
    test = intervals.sign_flip(changes, groups, seed=asked.seed)
    found = replace(found, value=intervals.mean_of(changes), p=test.p, method=test.method)
    stderr = intervals.standard_error(changes, groups)
    if stderr is None:
        one = "row" if groups is None else "group"
        return replace(found, method=f"{test.method}; no interval: one {one}")
    flat = intervals.is_flat(stderr, xs, ys)
    if flat and not boolean:  # their spread is not known to be 0
        return replace(found, method=f"{test.method}; no interval: all differences are the same")
    independent = found.n if groups is None else len(set(groups))
    value = found.value or 0.0
    low, high = intervals.t_interval(value, stderr, independent - 1, asked.confidence)
    if flat:  # as sure as of so many rows, asked once, that never differ
        _, below, above = intervals.paired_difference(0, 0, independent, asked.confidence)
        low, high = max(-1.0, value + below), min(1.0, value + above)
        stderr = above / intervals.quantile_for(asked.confidence)
    noticed = intervals.detectable(stderr, asked.confidence)
    return replace(found, stderr=stderr, low=low, high=high, detectable=noticed)


def _resampled(pairs: Pairs, empty: Difference, metric: Metric, asked: Question) -> Difference:
    """Any other metric: its change over the rows, which are resampled in pairs."""

    def change(rows: Sequence[tuple[float, float]]) -> float | None:
        before, after = (metric.compute(list(values)) for values in zip(*rows, strict=True))
        return None if before is None or after is None else after - before

    both = list(zip(pairs.xs, pairs.ys, strict=True))
    if any(x != x or y != y for x, y in both):
        return replace(empty, value=nan, method="NaN among the values", verdict=UNSURE)
    if metric.name in _NO_DIRECTION:
        value = change(both)
        return replace(empty, **_figures(pairs, metric), value=value, method="not tested")
    # The differences are a metric of pairs; this tells whose function it was that failed.
    estimate = Metric(metric.name, change).resampled(
        [[pair] for pair in both],  # type: ignore[list-item]
        pairs.groups,
        asked.confidence,
        asked.seed,
    )
    found = replace(
        empty,
        **_figures(pairs, metric),
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
        found,
        p=2 * intervals.normal_tail(abs(estimate.value) / estimate.stderr),
        detectable=intervals.detectable(estimate.stderr, asked.confidence),
    )


def _figures(pairs: Pairs, metric: Metric) -> dict[str, Any]:
    return {"a": metric.compute(list(pairs.xs)), "b": metric.compute(list(pairs.ys))}
