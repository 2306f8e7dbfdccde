"""
Deleting what no longer counts: superseded records, stale ones, and the ledger behind them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from ..errors import Busy
from ..record import STALE, SUBMITTED, SUPERSEDED
from .deletion import delete, pages, sweep
from .encoding import storable
from .sqlite import SqliteStore

_NOT_SUBMITTED = f"AND key <> x'{SUBMITTED.hex()}'"  # who forgets a ticket pays for it again


@dataclass(frozen=True, slots=True)
class Pruned:
    """
    What was deleted of an experiment, or would be.

    Attributes:
        experiment: its name.
        superseded, stale: records. attempts: entries of the ledger. calls: that were kept.
        text: characters (one byte each) of the texts of records and calls.
        kept: records and entries that are younger than was asked for.
        running: the process that is running it, so that nothing was deleted; None: nobody is.
    """

    experiment: str
    superseded: int = 0
    stale: int = 0
    attempts: int = 0
    calls: int = 0
    text: int = 0
    kept: int = 0
    running: int | None = None

    @property
    def records(self) -> int:
        """Superseded and stale ones."""
        return self.superseded + self.stale


class Pruning:
    """
    A store from which is deleted what no longer counts.

    Args:
        store: in a file, which exists.
        before: Unix seconds; what is younger stays.
        stale: whether stale records go, too.
        calls: whether calls that were kept go, too.
    """

    def __init__(
        self, store: SqliteStore, *, before: float, stale: bool = False, calls: bool = False
    ) -> None:
        self._store = store
        self._before = before
        self._calls = calls
        self._states = (SUPERSEDED, STALE) if stale else (SUPERSEDED,)
        self._db = store.database

    def count(self, experiment: str) -> Pruned:
        """
        What would be deleted.

        Raises:
            NotFound: there is no such experiment.
        """
        return replace(self._sum(experiment), running=self._running(experiment))

    def _sum(self, experiment: str) -> Pruned:
        each = [self._counted(number) for number in self._numbers(experiment)]
        return Pruned(experiment, *map(sum, zip(*each, strict=True)))

    def _counted(self, evaluation: int) -> tuple[int, ...]:
        """The numbers of Pruned, of an evaluation."""
        found = {SUPERSEDED: 0, STALE: 0}
        text = kept = 0
        for state in self._states:
            where = "FROM records WHERE evaluation = ? AND state = ?"
            old, young = self._db.all(
                f"SELECT coalesce(sum(started < ?), 0), coalesce(sum(started >= ?), 0) {where}",
                self._before, self._before, evaluation, state,
            )[0]  # fmt: skip
            found[state] = old
            kept += young
            text += self._db.all(
                "SELECT coalesce(sum(length(body)), 0) FROM bodies WHERE record IN "
                f"(SELECT id {where} AND started < ?)",
                evaluation, state, self._before,
            )[0][0]  # fmt: skip
        attempts, young = self._db.all(
            "SELECT coalesce(sum(started < ?), 0), coalesce(sum(started >= ?), 0) FROM attempts "
            "WHERE evaluation = ?",
            self._before, self._before, evaluation,
        )[0]  # fmt: skip
        calls = 0
        if self._calls:
            calls, length, recent = self._db.all(
                "SELECT coalesce(sum(started < ?), 0), "
                "coalesce(sum((length(request) + length(response)) * (started < ?)), 0), "
                f"coalesce(sum(started >= ?), 0) FROM calls WHERE evaluation = ? {_NOT_SUBMITTED}",
                *[self._before] * 3, evaluation,
            )[0]  # fmt: skip
            text, young = text + length, young + recent
        return found[SUPERSEDED], found[STALE], attempts, calls, text, kept + young

    def delete(self, experiment: str) -> Pruned:
        """
        Delete it, a page at a time; what interrupts it leaves the rest for another time.

        Raises:
            NotFound: there is no such experiment.
            Busy: one of its evaluations is being run; nothing was deleted.
        """
        with ExitStack() as claims:
            for name in self._store.evaluations(experiment):
                busy = partial(self._busy, experiment, name)
                alone = self._store.claims.alone(storable(experiment), storable(name), busy)
                claims.enter_context(alone)
            sweep(self._db)
            found = self._sum(experiment)
            for number in self._numbers(experiment):
                self._delete(number)
        return found

    def _delete(self, evaluation: int) -> None:
        chosen = [("records", f"AND state = {state}") for state in self._states]
        chosen += [("attempts", ""), *([("calls", _NOT_SUBMITTED)] if self._calls else [])]
        for table, condition in chosen:
            query = (
                f"SELECT id FROM {table} WHERE evaluation = ? AND started < ? {condition} "
                "AND id > ? ORDER BY id LIMIT ?"
            )
            for ids in pages(self._db, query, evaluation, self._before):
                delete(self._db, table, evaluation, ids)

    def _busy(self, experiment: str, evaluation: str) -> str:
        return (
            f"{evaluation} of experiment {experiment!r} is being run by process "
            f"{self._running(experiment)}; wait for it, or end it"
        )

    def _running(self, experiment: str) -> int | None:
        """The process that runs an evaluation of an experiment; None: nobody does."""
        running = (run.pid for run in self._store.runs(experiment) if run.status == "running")
        return next(running, None)

    def _numbers(self, experiment: str) -> list[int]:
        store = self._store
        return [store.number_of(experiment, name) for name in store.evaluations(experiment)]

    # --------------------------------------------------------------------------- the file

    def size(self) -> tuple[int, int]:
        """Bytes of the file, and of those how many are free for what is written next."""
        free = self._db.all("PRAGMA freelist_count")[0][0]
        page = self._db.all("PRAGMA page_size")[0][0]
        assert self._store.path is not None
        return os.stat(self._store.path).st_size, free * page

    def vacuum(self) -> None:
        """
        Write the file anew without what is free, which takes as much room beside it.

        Raises:
            Busy: an evaluation of any experiment is being run, and would wait too long.
            StoreError: there is no room, or somebody else has it open.
        """
        sweep(self._db)
        for experiment, _ in self._store.experiments():
            pid = self._running(experiment)
            if pid is not None:
                raise Busy(
                    f"experiment {experiment!r} is being run by process {pid}; the file can be "
                    "made smaller when nothing runs"
                )
        self._db.all("PRAGMA temp_store = FILE")  # the new file would be made in memory
        self._db.all("VACUUM")
