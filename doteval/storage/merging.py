"""
Several stores into one: what many machines have done of one experiment.

A record is known by its run and its row, wherever it is stored, so what was merged once is not
merged again. Of two records for one row one counts, and which one does not depend on the order of
the sources.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..errors import DotevalError, NotFound, UsageError
from ..record import Run
from .destination import EXAMPLES, runs_of
from .encoding import storable
from .parts import ABSENT, differences, shards_of, total_of
from .place import Place
from .sqlite import SqliteStore
from .transfer import transfer

Name = tuple[str, str]  # experiment, evaluation


class Disagreement(DotevalError, ValueError):
    """Stores that hold different evaluations under one name."""


@dataclass(frozen=True, slots=True)
class Merged:
    """
    What merging one evaluation has come to.

    Attributes:
        experiment, evaluation: its name.
        runs, records, attempts: how many are new in OUT.
        replaced: records of OUT that no longer count, because a new one does.
        conflicts: rows that were finished in two stores; the earlier result counts.
        positions: of the first 10 of them, as one of the runs read them.
        total: records it has when it is complete; None while unknown.
        live: records in OUT that count.
        absent: shards that no run in OUT is of. unfinished: shards whose last run did not
            complete, and its status.
        differ: in which way the stores hold different evaluations; () where they agree.
    """

    experiment: str
    evaluation: str
    runs: int = 0
    records: int = 0
    attempts: int = 0
    replaced: int = 0
    conflicts: int = 0
    positions: tuple[int, ...] = ()
    total: int | None = None
    live: int = 0
    absent: tuple[str, ...] = ()
    unfinished: tuple[tuple[str, str], ...] = ()
    differ: tuple[str, ...] = ()

    @property
    def missing(self) -> int | None:
        """Records that are missing in OUT; None while that is unknown."""
        return None if self.total is None else max(0, self.total - self.live)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what `doteval merge --json` prints."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "unfinished": dict(self.unfinished), "missing": self.missing}


def merge(
    out: Place,
    sources: Sequence[Place],
    *,
    experiments: Collection[str] | None = None,
    force: bool = False,
) -> list[Merged]:
    """
    Merge experiments of several stores into one, by their names.

    The same merge again changes nothing. What interrupts it leaves the runs that were on their way
    as interrupted, and the same merge finishes it.

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
            source.store.close()


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


class Theirs(NamedTuple):
    """
    An evaluation of a source.

    Attributes:
        store: the source. name: of its experiment, and its own.
        created: when its experiment was, Unix seconds.
        runs: by their start, each with its shard.
    """

    store: SqliteStore
    name: Name
    created: float
    runs: list[Run]


class Source:
    """A store that is merged: read in pages, so that a run may go on writing it."""

    def __init__(self, place: Place) -> None:
        assert place.path is not None
        self.store = SqliteStore(place.path, place.anchor, create=False, read_only=True)
        self.evaluations = {
            (experiment, name): created
            for experiment, created in self.store.experiments()
            for name in self.store.evaluations(experiment)
        }

    def of(self, name: Name) -> Theirs | None:
        """What it has of an evaluation."""
        if name not in self.evaluations:
            return None
        runs = _runs(self.store, name)
        if runs and runs[-1].status == "complete" and runs[-1].header.get("total") is None:
            # The dataset has no length, and was read to its end.
            total = self.store.total_of(*name)
            runs[-1] = replace(runs[-1], header={**runs[-1].header, "total": total})
        return Theirs(self.store, name, self.evaluations[name], runs)


def _runs(store: SqliteStore, name: Name) -> list[Run]:
    try:
        number = store.number_of(*name)
    except NotFound:
        return []
    return list(runs_of(store.database, number, name).values())


# --- the store to write -----------------------------------------------------------------------


class Target:
    """The store that is merged into; made with the first write."""

    def __init__(self, place: Place) -> None:
        assert place.path is not None
        self._place, self._path = place, place.path
        self._store: SqliteStore | None = None
        if place.path.exists():
            self._open()

    def _open(self) -> SqliteStore:
        if self._store is None:
            self._store = SqliteStore(self._path, self._place.anchor)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def runs(self, name: Name) -> list[Run]:
        """Its runs of an evaluation."""
        return [] if self._store is None else _runs(self._store, name)

    def total(self, name: Name, runs: list[Run]) -> int | None:
        """How many records an evaluation has when it is complete, as far as that is known."""
        return total_of(runs, self._open().total_of(*name))

    def live(self, name: Name) -> int:
        """How many of its records count."""
        tally = self._open().tally(*name)
        return tally.scored + tally.failed

    def take(self, merged: Merged, theirs: Theirs) -> Merged:
        """Merge an evaluation of a source."""
        experiment, evaluation = theirs.name
        mine = {run.uid: run for run in self.runs(theirs.name)}
        if mine and not any(_is_new(run, mine.get(run.uid)) for run in theirs.runs):
            return merged  # and so are its records: nothing is written but by a run
        store = self._open()
        (arrived,) = transfer(
            store.database,
            store.claims,
            experiment,
            theirs.created,
            theirs.store.facts(experiment, evaluation),
            merging=True,
        )
        counts = ("runs", "records", "attempts", "replaced", "conflicts")
        return replace(
            merged,
            **{name: getattr(merged, name) + getattr(arrived, name) for name in counts},
            positions=(*merged.positions, *arrived.positions)[:EXAMPLES],
        )


def _is_new(run: Run, mine: Run | None) -> bool:
    """Whether a run may have records that were not merged."""
    return mine is None or mine.finished is None
