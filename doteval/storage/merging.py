"""
Several stores into one: what many machines have done of one experiment.

    source ─pages─▶ decide, row by row ─▶ OUT, one transaction for each evaluation of each source

A record is known by its run and its row, wherever it is stored, so what was merged once is not
merged again. Of two records for one row one counts, and which one does not depend on the order of
the sources. Memory stays flat: what OUT has of an evaluation waits in a temporary table on disk.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from ..errors import Busy, DotevalError, NotFound, UsageError
from ..records import Run
from .claims import Claims, lock_of
from .database import Database
from .encoding import storable
from .parts import ABSENT, differences, shards_of, total_of
from .place import Place, make_room
from .taking import KNOWN, Merged, Name, Taking, Theirs, facts_of, runs_of


class Disagreement(DotevalError, ValueError):
    """Stores that hold different evaluations under one name."""


def merge(
    out: Place,
    sources: Sequence[Place],
    *,
    experiments: Collection[str] | None = None,
    force: bool = False,
) -> list[Merged]:
    """
    Merge experiments of several stores into one, by their names.

    The same merge again changes nothing. Each evaluation of each source is one transaction: what
    interrupts a merge leaves OUT as if it had been asked for less.

    Args:
        out: the store to merge into; made where it is not there.
        sources: the stores to merge; they stay as they are, and may be written meanwhile.
        experiments: names of those to merge; None: all.
        force: merge what disagrees, too.

    Returns:
        what came of each evaluation that the sources have.

    Raises:
        Disagreement: stores hold different evaluations under one name; nothing was written.
        NotFound: a source is not there, or no source has an experiment that was named.
        UsageError: a store is no file, or is given twice.
        Busy: an evaluation is being run in OUT.
        StoreError: a store can not be read, or OUT not be written.
    """
    _check_places(out, sources)
    opened: list[Source] = []
    try:
        for place in sources:
            opened.append(Source(place))
        wanted = _wanted(opened, experiments)
        found = {name: [each.of(name) for each in opened] for name in wanted}
        target = Target(out)
        try:
            differing = {
                name: tuple(differences([target.runs(name), *(each.runs for each in of if each)]))
                for name, of in found.items()
            }
            if any(differing.values()) and not force:
                raise Disagreement(_told(differing))
            return [
                _one(target, name, [each for each in of if each], differing[name])
                for name, of in found.items()
            ]
        finally:
            target.close()
    finally:
        for source in opened:
            source.db.close()


def _one(target: Target, name: Name, of: list[Theirs], differ: tuple[str, ...]) -> Merged:
    """One evaluation, of all sources."""
    merged = Merged(*name, differ=differ)
    for theirs in of:
        merged = target.take(merged, theirs)
    runs = target.runs(name)
    shards = shards_of(runs)
    return replace(
        merged,
        total=target.total(name, runs),
        live=target.live(name),
        absent=tuple(part for part, status in shards.items() if status == ABSENT),
        unfinished=tuple(
            (part, status) for part, status in shards.items() if status not in ("complete", ABSENT)
        ),
    )


# --- before anything is read ------------------------------------------------------------------


def _check_places(out: Place, sources: Sequence[Place]) -> None:
    seen: dict[str, Place] = {}
    for place in (out, *sources):
        if place.path is None:
            raise UsageError(f"{place} is no file: only stores in SQLite files can be merged")
        real = os.path.realpath(place.path)
        if real in seen:
            raise UsageError(f"the store {place} is given twice; merge it once, into another one")
        seen[real] = place
    for place in sources:
        assert place.path is not None
        if not place.path.exists():
            raise NotFound(f"there is no store at {place}")


def _wanted(sources: list[Source], experiments: Collection[str] | None) -> list[Name]:
    """The evaluations to merge, each once, in the order of the sources."""
    names = dict.fromkeys(name for source in sources for name in source.evaluations)
    if experiments is None:
        return list(names)
    wanted = [storable(each) for each in experiments]
    there = {experiment for experiment, _ in names}
    for experiment in wanted:
        if experiment not in there:
            listed = ", ".join(map(repr, sorted(there))) or "none"
            raise NotFound(f"no source has an experiment {experiment!r}; there are: {listed}")
    return [name for name in names if name[0] in wanted]


def _told(differing: dict[Name, tuple[str, ...]]) -> str:
    each = [
        f"{evaluation} of {experiment!r}: {'; '.join(ways)}"
        for (experiment, evaluation), ways in differing.items()
        if ways
    ]
    return (
        f"the stores hold different evaluations under one name: {' | '.join(each)}. Nothing was "
        "merged; bring them to one state, or merge them all the same with --force"
    )


# --- a store to read --------------------------------------------------------------------------


class Source:
    """A store that is merged: read in pages, so that a run may go on writing it."""

    def __init__(self, place: Place) -> None:
        assert place.path is not None
        self.db = Database(place.path, read_only=True)
        self.evaluations: dict[Name, tuple[Any, ...]] = {
            (experiment, name): (number, created, total)
            for experiment, name, number, created, total in self.db.all(
                "SELECT experiments.name, evaluations.name, evaluations.id, created, total "
                "FROM evaluations JOIN experiments ON experiments.id = experiment "
                "ORDER BY experiments.id, evaluations.id"
            )
        }

    def of(self, name: Name) -> Theirs | None:
        """What it has of an evaluation."""
        if name not in self.evaluations:
            return None
        number, created, total = self.evaluations[name]
        with self.db.reading():  # a run that has ended then has no record beyond the last
            facts = facts_of(self.db, number)
            last = self.db.all("SELECT coalesce(max(id), 0) FROM records")[0][0]
        runs = list(runs_of(facts, name).values())
        if runs and runs[-1].status == "complete" and runs[-1].header.get("total") is None:
            # The dataset has no length, and was read to its end.
            runs[-1] = replace(runs[-1], header={**runs[-1].header, "total": total})
        return Theirs(self.db, number, name, created, total, runs, facts, last)


# --- the store to write -----------------------------------------------------------------------


class Target:
    """The store that is merged into; made with the first write."""

    def __init__(self, place: Place) -> None:
        assert place.path is not None
        self._path = place.path
        self._claims = Claims(lock_of(place.path))
        self._db: Database | None = None
        if place.path.exists():
            self._open()

    def _open(self) -> Database:
        if self._db is None:
            make_room(self._path)
            self._db = Database(self._path)
            self._db.all("PRAGMA temp_store = FILE")  # of many records, too much for memory
            self._db.all(KNOWN)
        return self._db

    def close(self) -> None:
        self._claims.close()
        if self._db is not None:
            self._db.close()

    def _number(self, name: Name) -> int | None:
        if self._db is None:
            return None
        found = self._db.all(
            "SELECT evaluations.id FROM evaluations JOIN experiments "
            "ON experiments.id = experiment WHERE experiments.name = ? AND evaluations.name = ?",
            *name,
        )
        return found[0][0] if found else None

    def runs(self, name: Name) -> list[Run]:
        """Its runs of an evaluation."""
        number = self._number(name)
        if number is None:
            return []
        return list(runs_of(facts_of(self._open(), number), name).values())

    def total(self, name: Name, runs: list[Run]) -> int | None:
        """How many records an evaluation has when it is complete, as far as that is known."""
        query = "SELECT total FROM evaluations WHERE id = ?"
        return total_of(runs, self._open().all(query, self._number(name))[0][0])

    def live(self, name: Name) -> int:
        """How many of its records count."""
        found: int = self._open().all(
            "SELECT count(*) FROM records WHERE evaluation = ? AND state = 0", self._number(name)
        )[0][0]
        return found

    def take(self, merged: Merged, theirs: Theirs) -> Merged:
        """Merge an evaluation of a source."""
        name = theirs.name
        mine = {run.uid: run for run in self.runs(name)}
        if self._number(name) is not None and not any(
            _is_new(run, mine.get(run.uid)) for run in theirs.runs
        ):
            return merged  # and so are its records: nothing is written but by a run
        db = self._open()
        claim = self._claims.make(Run("", *name, 0.0, None, 0.0, "running", os.getpid(), {}), "")
        if claim is None:
            raise Busy(
                f"{name[1]} of experiment {name[0]!r} is being run in {self._path}; wait for it, "
                "or merge into another store"
            )
        try:
            with db.writing() as connection:
                return Taking(db, connection, merged, theirs).all()
        finally:
            self._claims.give_back(claim)


def _is_new(run: Run, mine: Run | None) -> bool:
    """Whether a run may have records that were not merged."""
    return mine is None or mine.finished is None
