"""
What earlier runs have stored of the rows of a dataset, held against the rows that come now.
"""

from __future__ import annotations

from typing import Any

from ..concurrency.row import Row
from ..evaluation import Evaluation
from ..keys import Identities, shard_of
from ..quantities import Shard
from ..record import LIVE, STALE, Run, Stored
from ..storage import NAMING, Named


class Known:
    """
    Args:
        evaluation: whose rows these are.
        shard: only the rows whose key falls into this part count; None: all.

    Attributes:
        stored: records of earlier runs.
        identities: of the rows that were stored, and of those that came.
    """

    def __init__(self, evaluation: Evaluation[..., Any], shard: Shard | None) -> None:
        self.stored = 0
        self.identities = Identities(evaluation.columns)
        self._repeats = evaluation.repeats
        self._shard = shard
        self._failures: dict[int, int] = {}  # ids of failures that run again
        self._named: dict[int, int] = {}  # ids of what counts for rows with an id
        self._final: set[int] = set()  # failures that do not run again

    def remember(self, record: Stored) -> None:
        """Note a record of an earlier run, before the first row comes."""
        self.stored += 1
        number, finished = _number(record.key, record.repeat), record.final or not record.failed
        if record.final:
            self._final.add(number)
        if not finished and record.state == LIVE:
            self._failures[number] = record.id
        elif not finished:
            self._failures.setdefault(number, record.id)
        elif record.digest is not None and record.state == LIVE:
            self._named[number] = record.id
        if record.digest is not None or finished:
            self.identities.remember(record.key, record.repeat, record.digest, finished)

    def is_ours(self, key: bytes) -> bool:
        """Whether the row of this key is the shard's."""
        return self._shard is None or shard_of(key, self._shard.of) == self._shard.at

    def is_final(self, key: bytes, repeat: int) -> bool:
        """Whether a row that is finished has failed for good."""
        return bool(self._final) and _number(key, repeat) in self._final

    def replace(self, row: Row) -> bool:
        """Note the stored record whose place the row's takes; whether that is a failure."""
        number = _number(row.key, row.repeat)
        # Where it runs in spite of a result that counts, its content has changed.
        row.replaces = self._named.pop(number, None)
        if row.replaces is not None:
            return False
        row.replaces = self._failures.pop(number, None)
        return row.replaces is not None

    def verdict(self, record: Stored, to_the_end: bool) -> int | None:
        """
        The state that a stored record is to have now that the rows have come: it counts where its
        row came back, and not where the row has changed or, if all have come, is gone. None: it
        stays as it is, or is another shard's to judge.

        Args:
            to_the_end: whether all rows of the dataset have come.
        """
        if not self.is_ours(record.key):
            return None
        met = self.identities.met(record.key, record.digest)
        wanted = met and record.repeat < self._repeats
        gone = to_the_end or self.identities.changed(record.key, record.digest)
        if wanted and record.state == STALE:  # a failure has run again in its place
            return LIVE if record.final or not record.failed else None
        return STALE if gone and not wanted and record.state == LIVE else None


def runs_of(store: Any, experiment: str, named: Named) -> tuple[str, list[Run]]:
    """
    The earlier runs of an evaluation, and the name that they are stored under: an earlier version
    may have given it another one. What has been run since under that one is not its own.
    """
    try:
        for name in (named.name, *named.formerly):
            runs: list[Run] = store.runs(experiment, name)
            if runs and (name == named.name or not any(NAMING in run.header for run in runs)):
                return name, runs
    except LookupError:
        pass  # it is a new experiment
    return named.name, []


def _number(key: bytes, repeat: int) -> int:
    return int.from_bytes(key, "big") + repeat  # a third of the memory of a tuple of both
