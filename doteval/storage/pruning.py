"""
Deleting what no longer counts: superseded records, stale ones, and the ledger behind them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import Busy, NotFound
from ..record import STALE, SUPERSEDED, Run
from .claims import Claim, Claims, lock_of
from .database import Database
from .encoding import storable

_PAGE = 500  # records in one transaction, so that runs of other experiments go on meanwhile


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
        path: of the file, which exists.
        before: Unix seconds; what is younger stays.
        stale: whether stale records go, too.
        calls: whether calls that were kept go, too.

    Raises:
        StoreError: it can not be opened.
    """

    def __init__(
        self, path: Path, *, before: float, stale: bool = False, calls: bool = False
    ) -> None:
        self._path = path
        self._before = before
        self._calls = calls
        self._states = (SUPERSEDED, STALE) if stale else (SUPERSEDED,)
        self._db = Database(path, read_only=os.stat(path).st_size == 0)  # which stays empty
        self._claims = Claims(lock_of(path))

    def close(self) -> None:
        """Close the file."""
        self._claims.close()
        self._db.close()

    def experiments(self) -> list[str]:
        """Names of all experiments, oldest first."""
        return [name for (name,) in self._db.all("SELECT name FROM experiments ORDER BY id")]

    def count(self, experiment: str) -> Pruned:
        """
        What would be deleted.

        Raises:
            NotFound: there is no such experiment.
        """
        return replace(self._sum(experiment), running=self._running(experiment))

    def _sum(self, experiment: str) -> Pruned:
        found = Pruned(experiment)
        for number, _ in self._evaluations(experiment):
            found = _added(found, self._counted(number))
        return found

    def _counted(self, evaluation: int) -> Pruned:
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
                "coalesce(sum(started >= ?), 0) FROM calls WHERE evaluation = ?",
                *[self._before] * 3, evaluation,
            )[0]  # fmt: skip
            text, young = text + length, young + recent
        return Pruned("", found[SUPERSEDED], found[STALE], attempts, calls, text, kept + young)

    def delete(self, experiment: str) -> Pruned:
        """
        Delete it, a page at a time; what interrupts it leaves the rest for another time.

        Raises:
            NotFound: there is no such experiment.
            Busy: one of its evaluations is being run; nothing was deleted.
        """
        evaluations = self._evaluations(experiment)
        claims = self._claim(experiment, [name for _, name in evaluations])
        try:
            found = self._sum(experiment)
            for number, _ in evaluations:
                self._delete_records(number)
                self._delete_all("attempts", number)
                if self._calls:
                    self._delete_all("calls", number)
        finally:
            for claim in claims:
                self._claims.give_back(claim)
        return found

    def _delete_records(self, evaluation: int) -> None:
        for state in self._states:
            for ids in self._pages(
                "SELECT id FROM records WHERE evaluation = ? AND state = ? AND started < ? "
                "AND id > ? ORDER BY id LIMIT ?",
                evaluation, state, self._before,
            ):  # fmt: skip
                with self._db.writing() as db:
                    self._db.update("DELETE FROM bodies WHERE record IN", ids)
                    self._db.update("DELETE FROM scores WHERE record IN", ids)
                    self._db.update("DELETE FROM records WHERE id IN", ids)
                    db.execute(
                        "UPDATE evaluations SET revision = revision + 1 WHERE id = ?",
                        (evaluation,),
                    )

    def _delete_all(self, table: str, evaluation: int) -> None:
        """Attempts or calls, whatever came of them."""
        for ids in self._pages(
            f"SELECT id FROM {table} WHERE evaluation = ? AND started < ? AND id > ? "
            "ORDER BY id LIMIT ?",
            evaluation, self._before,
        ):  # fmt: skip
            with self._db.writing():
                self._db.update(f"DELETE FROM {table} WHERE id IN", ids)

    def _pages(self, query: str, *arguments: Any) -> Iterator[list[int]]:
        """Ids, page by page; the last two arguments of the query are where one begins, and ends."""
        last = 0
        while page := self._db.all(query, *arguments, last, _PAGE):
            last = page[-1][0]
            yield [id for (id,) in page]

    def _claim(self, experiment: str, evaluations: list[str]) -> list[Claim]:
        claims: list[Claim] = []
        for name in evaluations:
            claim = self._claims.make(_nobody(experiment, name), "")
            if claim is None:
                for each in claims:
                    self._claims.give_back(each)
                raise Busy(
                    f"{name} of experiment {experiment!r} is being run by process "
                    f"{self._running(experiment)}; wait for it, or end it"
                )
            claims.append(claim)
        return claims

    def _running(self, experiment: str) -> int | None:
        """The process that runs an evaluation of an experiment; None: nobody does."""
        for number, name in self._evaluations(experiment):
            for pid, part in self._db.all(
                "SELECT pid, part FROM runs WHERE evaluation = ? AND status = 'running'", number
            ):
                if self._claims.is_running(_nobody(experiment, name), part):
                    return int(pid)
        return None

    def _evaluations(self, experiment: str) -> list[tuple[int, str]]:
        if not self._db.all("SELECT 1 FROM experiments WHERE name = ?", storable(experiment)):
            raise NotFound(f"there is no experiment {experiment!r} in {self._path}")
        return self._db.all(
            "SELECT evaluations.id, evaluations.name FROM evaluations JOIN experiments "
            "ON experiments.id = experiment WHERE experiments.name = ? ORDER BY evaluations.id",
            storable(experiment),
        )

    # --------------------------------------------------------------------------- the file

    def size(self) -> tuple[int, int]:
        """Bytes of the file, and of those how many are free for what is written next."""
        free = self._db.all("PRAGMA freelist_count")[0][0]
        page = self._db.all("PRAGMA page_size")[0][0]
        return os.stat(self._path).st_size, free * page

    def vacuum(self) -> None:
        """
        Write the file anew without what is free, which takes as much room beside it.

        Raises:
            Busy: an evaluation of any experiment is being run, and would wait too long.
            StoreError: there is no room, or somebody else has it open.
        """
        for experiment in self.experiments():
            pid = self._running(experiment)
            if pid is not None:
                raise Busy(
                    f"experiment {experiment!r} is being run by process {pid}; the file can be "
                    "made smaller when nothing runs"
                )
        self._db.all("PRAGMA temp_store = FILE")  # the new file would be made in memory
        self._db.all("VACUUM")


def _added(one: Pruned, other: Pruned) -> Pruned:
    return Pruned(
        one.experiment,
        one.superseded + other.superseded,
        one.stale + other.stale,
        one.attempts + other.attempts,
        one.calls + other.calls,
        one.text + other.text,
        one.kept + other.kept,
        one.running,
    )


def _nobody(experiment: str, evaluation: str) -> Run:
    """What is claimed, for who is no run."""
    names = (storable(experiment), storable(evaluation))
    return Run("", *names, 0.0, None, 0.0, "running", os.getpid(), {})
