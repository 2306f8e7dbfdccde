"""
The figures of the scores of an evaluation: from sums where they do, from the rows else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import metrics
from ..errors import NotFound, PluginError, UsageError
from ..metrics import Estimate, Metric, Moments
from ..record import LABELS, Run
from ..storage.tally import Tally
from .figures import KEPT, recalled
from .values import Rows, Subset, Values

Estimates = dict[str, dict[str, Estimate]]
Bounds = dict[str, dict[str, Sequence[float]]]


def estimates_of(
    values: Values, tally: Tally, confidence: float, runs: Sequence[Run], anytime: bool
) -> tuple[Estimates, Bounds, list[str], list[str]]:
    """The estimates and their bounds; what nobody can compute, and what a run has kept of it."""
    estimates: Estimates = {}
    bounds: Bounds = {}
    unknown, recollected = [], []
    for name, facts in tally.scores.items():
        score = _Score(values, name, tally, confidence)
        for title in score.titles:
            try:
                metric = metrics.find(title)
            except (NotFound, PluginError) as error:
                figure = recalled(reversed(runs), name, title, confidence, facts)
                if figure is None:
                    unknown.append(f"{name}.{title}: {error}")
                else:
                    estimates.setdefault(name, {})[title] = figure
                    recollected.append(f"{name}.{title} is {KEPT}: {error}")
                continue
            try:
                estimate = score.anytime(metric) if anytime else score.estimate(metric)
                pair = score.bounds(metric)
            except UsageError as error:  # a StoreError is no metric's fault
                unknown.append(f"{name}.{title}: {error}")
                continue
            estimates.setdefault(name, {})[title] = _within(estimate, pair)
            if pair is not None:
                bounds.setdefault(name, {})[title] = pair
    return estimates, bounds, unknown, recollected


def confusion_of(values: Values, tally: Tally) -> dict[str, dict[str, Any]]:
    """How often each label was said for each that was expected, of scores that know both."""
    found = {}
    for name, facts in tally.scores.items():
        if LABELS in facts["metrics"]:
            rows = values.pairs(name).values()
            pairs = [pair for row in rows for pair in row if pair[1] is not None]
            if pairs:
                from ..statistics.labels import Confusion  # here, as few scores are labels

                of = Confusion.of(pairs)
                found[name] = {"labels": list(of.labels), "table": of.table()}
    return found


def span_of(facts: Mapping[str, Any]) -> metrics.Span:
    """The smallest and largest value that a score can have; None where that is not known."""
    return (0.0, 1.0) if facts["boolean"] else metrics.declared(facts["metrics"])[1]


def _within(found: Estimate, bounds: Sequence[float] | None) -> Estimate:
    """
    An estimate that leaves out rows with too few repeats, held to what those can still make of it.
    """
    if bounds is None or found.value is None or bounds[0] <= found.value <= bounds[1]:
        return found
    value = min(max(found.value, bounds[0]), bounds[1])
    low, high = found.low, found.high
    return replace(
        found,
        value=value,
        low=None if low is None else min(low, value),
        high=None if high is None else max(high, value),
        method=f"{found.method}; held to its bounds",
    )


class _Score:
    """One score of an evaluation: its sums, and its values where the sums do not do."""

    def __init__(self, values: Values, name: str, tally: Tally, confidence: float) -> None:
        self._values = values
        self._name = name
        self._facts = tally.scores[name]
        self._failed = tally.failed
        self._repeated = tally.repeats > 1
        self._confidence = confidence
        self._read: Rows | None = None
        self._span = span_of(self._facts)

    @property
    def titles(self) -> Iterator[str]:
        """The names of those that it has; of labels their shares too, the most frequent first."""
        own = metrics.declared(self._facts["metrics"])[0]
        yield from own
        if self._values.people is not None and self._name in self._values.people:
            yield from (each for each in metrics.JUDGED if each not in own)
        if LABELS in self._facts["metrics"]:
            pairs = self._values.pairs(self._name)
            said = Counter(value for row in pairs.values() for value, _ in row)
            most = _MOST_SHARES if len(said) <= _MOST_SHARES else _OF_MANY
            yield from (metrics.share_name(label) for label, _ in said.most_common(most))

    def estimate(self, metric: Metric) -> Estimate:
        groups = self._values.groups
        asked: Any = {"confidence": self._confidence, "span": self._span}
        if metric.sees != "values":
            pairs = self._values.pairs(self._name, metric.beside)
            known = None if groups is None else [groups.get(key, key) for key in pairs]
            return metric.estimate(list(pairs.values()), known, **asked)  # type: ignore[arg-type]
        if groups is not None:
            rows = self._rows()
            return metric.estimate(
                list(rows.values()),
                # A record may have come since the groups were read.
                [groups.get(key, key) for key in rows],
                **asked,
            )
        moments = self._moments()
        found = moments and metric.from_moments(moments, **asked)
        return found or metric.estimate(list(self._rows().values()), **asked)

    def anytime(self, metric: Metric) -> Estimate:
        """As `estimate`, with an interval that holds at every look."""
        of_pairs, rows = metric.sees != "values", self._rows()
        if of_pairs and not metrics.is_share(metric.name):
            found = self.estimate(metric)
            none = f"no interval: {metric.name} has none for any time"
            return replace(found, stderr=None, low=None, high=None, method=none, shaky="")
        if of_pairs:
            rows = self._values.pairs(self._name)  # type: ignore[assignment]
        groups = self._values.groups
        of_rows = None if groups is None else [groups.get(key, key) for key in rows]
        return metrics.at_any_time(
            metric, list(rows.values()), of_rows, self._confidence, self._span
        )

    def bounds(self, metric: Metric) -> tuple[float, float] | None:
        """The figure if every failure were wrong, and right; None where neither has a number."""
        facts = self._facts
        span = None if facts["nans"] else self._span_for(metric.name)
        if span is None:
            return None
        if metric.name in MEANS and not self._repeated and not isinstance(self._values, Subset):
            n, total = facts["n"] + self._failed, facts["total"]
            return (total + self._failed * span[0]) / n, (total + self._failed * span[1]) / n
        found = [self._value_if(metric, filling) for filling in span]
        return None if None in found else (found[0], found[1])  # type: ignore[return-value]

    def _span_for(self, metric: str) -> metrics.Span:
        """What an answer is worth at least and at most, where a better one never costs."""
        if metric not in MEANS and not (self._facts["boolean"] and metric.startswith(OF_REPEATS)):
            return None
        low, high = self._facts["low"], self._facts["high"]
        spans = [self._span, (0.0, 1.0) if metric == "accuracy" else None]
        return next((s for s in spans if s is not None and s[0] <= low and high <= s[1]), None)

    def _value_if(self, metric: Metric, filling: float) -> float | None:
        """The figure if every failure had this value."""
        rows, failures = self._rows(), self._values.failures
        filled = [
            [*rows.get(key, ()), *[filling] * failures.get(key, 0)] for key in {**rows, **failures}
        ]
        return metric.estimate(filled).value

    def _moments(self) -> Moments | None:
        facts = self._facts
        if facts["nans"] or isinstance(self._values, Subset):  # the sums are of all rows
            return None
        return Moments(
            facts["n"],
            facts["total"],
            facts["squares"],
            facts["low"],
            facts["high"],
            facts["trials"] if self._repeated and facts["boolean"] else None,
        )

    def _rows(self) -> Rows:
        if self._read is None:
            self._read = self._values.of(self._name)
        return self._read


MEANS = ("accuracy", "mean")
OF_REPEATS = ("pass@", "pass^")
_MOST_SHARES = 20  # labels of a score; of more, the most frequent
_OF_MANY = 5
