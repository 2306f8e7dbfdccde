"""
What is stored of an evaluation, row by row: values, what was expected, clusters and failures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import nan
from typing import Any

from ..record import Run
from ..storage import Store
from .people import Labels

Rows = dict[bytes, list[float]]
Pairs = dict[bytes, list[tuple[Any, Any]]]  # what was said and what was expected


class Values:
    """
    What is stored of an evaluation, row by row; read when it is needed, and once.

    Args:
        runs: of the evaluation; the last one's header knows the columns.
        people: what people said of some rows, in place of what scores expect; None: nothing.
    """

    def __init__(
        self,
        store: Store,
        experiment: str,
        evaluation: str,
        runs: list[Run],
        people: Labels | None = None,
    ) -> None:
        self.people = people
        self._of = (experiment, evaluation)
        self._store = store
        self._cluster = cluster_of(runs)
        self._groups: dict[bytes, int] | None = None
        self._failures: dict[bytes, int] | None = None
        self._pairs: dict[str, Pairs] | None = None
        self.rows: dict[str, Rows] = {}  # what parts of it have asked for

    def of(self, score: str) -> Rows:
        """The values of a score by row: those of its repeats."""
        rows: Rows = {}
        for key, value in self._store.values(*self._of, score):
            rows.setdefault(key, []).append(nan if value is None else value)
        return rows

    def pairs(self, score: str, beside: Sequence[str] = ()) -> Pairs:
        """
        The values of a score and what was expected, by row, and those of other scores beside them.

        This reads every record with its texts, tens of microseconds each.
        """
        if self._pairs is None:
            self._pairs = {}
            for record in self._store.records(*self._of, failed=False):
                for each in getattr(record.outcome, "scores", ()):
                    rows = self._pairs.setdefault(each.name, {})
                    expected = each.expected
                    if self.people is not None and each.name in self.people:
                        expected = self.people.of(record.row, each.name, each.value)
                    rows.setdefault(record.key, []).append((each.value, expected))
        rows = self._pairs.get(score, {})
        if not beside:
            return rows
        others = [self._pairs.get(name, {}) for name in beside]
        return {
            key: [*row, *(p for o in others for p in o.get(key, ()))] for key, row in rows.items()
        }

    @property
    def groups(self) -> dict[bytes, int] | None:
        """
        A number for the cluster of each row with an outcome; None where rows have none.
        """
        if self._cluster is not None and self._groups is None:
            numbers: dict[object, int] = {}
            self._groups = {}
            for key, cluster in self._store.clusters(*self._of, self._cluster):
                named = key if cluster is None else cluster  # who names none is on its own
                self._groups[key] = numbers.setdefault(named, len(numbers))
        return self._groups

    @property
    def failures(self) -> dict[bytes, int]:
        """How many records of a row failed; rows without a failure are not in it."""
        if self._failures is None:
            self._failures = {}
            for record in self._store.records(*self._of, failed=True):
                self._failures[record.key] = self._failures.get(record.key, 0) + 1
        return self._failures


class Subset(Values):
    """
    The same of some of the rows; what is read for one part serves the next.

    Args:
        whole: of all rows.
        keys: of those that belong to the part.
    """

    def __init__(self, whole: Values, keys: Collection[bytes]) -> None:
        self.people = whole.people
        self.keys = keys
        self._whole = whole

    def of(self, score: str) -> Rows:
        kept = self._whole.rows
        if score not in kept:
            kept[score] = self._whole.of(score)
        return self._these(kept[score])

    def pairs(self, score: str, beside: Sequence[str] = ()) -> Pairs:
        return self._these(self._whole.pairs(score, beside))

    @property
    def groups(self) -> dict[bytes, int] | None:
        groups = self._whole.groups
        return None if groups is None else self._these(groups)

    @property
    def failures(self) -> dict[bytes, int]:
        return self._these(self._whole.failures)

    def _these(self, found: dict[bytes, Any]) -> dict[bytes, Any]:
        return {key: found[key] for key in self.keys if key in found}


_GROUP = "group"  # the column that clustered the rows of runs before there was `cluster=`


def cluster_of(runs: Sequence[Run]) -> str | None:
    """The column whose equal values are one cluster, as the last run's header knows; None: none."""
    header = runs[-1].header if runs else {}
    if "cluster" not in header and _GROUP in (header.get("columns") or ()):
        return _GROUP
    return header.get("cluster")
