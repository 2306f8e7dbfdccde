"""
Rows that two experiments share.

Rows are paired by their identity. The repeats of a row are reduced before rows are compared. Only
values are read, no texts.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Iterator, Mapping
from copy import copy
from itertools import islice
from math import nan
from typing import Any, NamedTuple

from ..metrics import Metric, Span
from ..record import Record
from ..statistics import intervals
from ..statistics.noise import Flips, flips
from ..storage import Store
from ..storage.tally import Tally
from .scores import OF_REPEATS, span_of
from .summary import status_of
from .values import Subset, Values


class Source(NamedTuple):
    """An evaluation of an experiment, by their names."""

    experiment: str
    evaluation: str


class Side:
    """An evaluation of one of the experiments."""

    def __init__(self, store: Store, source: Source) -> None:
        self.source = source
        self.tally: Tally = store.tally(*source)
        self.runs = store.runs(*source)
        self.values: Values = Values(store, *source, self.runs)
        self.status = status_of(self.runs, self.tally, store.total_of(*source))
        self._store = store

    @property
    def repeated(self) -> bool:
        return self.tally.repeats > 1

    def within(self, keys: Collection[bytes] | None) -> Side:
        """The same of these rows alone, without what runs have kept of all; None: of all."""
        if keys is None:
            return self
        part = copy(self)
        part.values, part.runs = Subset(self.values, keys), []
        return part

    def once(self, score: str) -> Iterator[tuple[bytes, Any]]:
        """(key, value) of rows that were asked once; NaN may be None."""
        if isinstance(self.values, Subset):
            return ((key, row[0]) for key, row in self.values.of(score).items())
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
        absent: how many rows of A have neither a value nor a failure in B.
        worse, better: the first rows whose value fell, and rose.
    """

    def __init__(self, a: Side, b: Side, score: str, examples: int) -> None:
        self.sides, self.score = (a, b), score
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
        self._spans = [
            span
            for side in (b, a)
            if score in side.tally.scores and (span := span_of(side.tally.scores[score]))
        ]
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
        self.absent = self.only_a - len(self.lost)
        if failures:
            self.failed = [failures.get(key, 0) for key in self._shared]

    def span_for(self, metric: str) -> Span:
        """The smallest and largest value that there can be; None where that is not known."""
        low, high = self.seen
        spans = [*self._spans]
        if metric == "accuracy" or metric.startswith(OF_REPEATS):
            spans.append((0.0, 1.0))
        return next((span for span in spans if span[0] <= low and high <= span[1]), None)

    def of_both(self, metric: Metric) -> tuple[list[Any], list[Hashable] | None]:
        """What was said and expected in A and in B, row by row, and the groups of the rows."""
        before, after = (side.values.pairs(self.score, metric.beside) for side in self.sides)
        keys = [key for key in after if key in before]
        both = [(tuple(before[key]), tuple(after[key])) for key in keys]
        return both, None if self._groups is None else [self._groups.get(key, key) for key in keys]

    def flips(self, seed: int) -> Flips | None:
        """How many rows flip, and how many by themselves; None where none was asked twice."""
        if self.rows_a is None or self.rows_b is None:
            return None
        rows = zip(self.rows_a, self.rows_b, strict=True)
        known = [(a, b) for a, b in rows if not any(value != value for value in (*a, *b))]
        return flips([a for a, _ in known], [b for _, b in known], seed=seed)

    @property
    def seen(self) -> tuple[float, float]:
        """The smallest and the largest value that there was."""
        lost = [value for before, _, _ in self.lost for value in before]
        ends = [end(values) for values in (self.xs, self.ys) for end in (min, max)]
        return min([*ends, *lost]), max([*ends, *lost])

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
