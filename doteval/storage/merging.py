"""
Several stores into one: what many machines have done of one experiment.

A record is known by its run and its row, wherever it is stored, so what was merged once is not
merged again. Of two records for one row one counts, and which one does not depend on the order of
the sources.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from ..errors import DotevalError, NotFound, UsageError
from ..record import Run
from .destination import Arrived
from .encoding import storable
from .parts import ABSENT, differences, shards_of, total_of
from .place import Place
from .sqlite import SqliteStore
from .transfer import transfer

Name = tuple[str, str]  # experiment, evaluation


class Disagreement(DotevalError, ValueError):
    """Stores that hold different evaluations under one name."""


@dataclass(slots=True)
class Merged(Arrived):
    """
    What merging one evaluation has come to: beside what has arrived of it

    Attributes:
        experiment, evaluation: its name.
        total: records it has when it is complete; None while unknown.
        live: records in OUT that count.
        absent: shards that no run in OUT is of. unfinished: shards whose last run did not
            complete, and its status.
        differ: in which way the stores hold different evaluations; () where they agree.
    """

    experiment: str = ""
    evaluation: str = ""
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
        of = {"experiment": self.experiment, "evaluation": self.evaluation}
        return {**of, **asdict(self), "unfinished": dict(self.unfinished), "missing": self.missing}


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
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(_open(each, False))) for each in sources]
        held = [_evaluations(store) for store in stores]
        wanted = _wanted(held, experiments)
        assert out.path is not None
        target = stack.enter_context(closing(_open(out, True))) if out.path.exists() else None
        of = {
            name: [
                Theirs(store, name, created[name], _runs_to_merge(store, name))
                for store, created in zip(stores, held, strict=True)
                if name in created
            ]
            for name in wanted
        }
        differing = {
            name: tuple(differences([_runs(target, name), *(each.runs for each in of[name])]))
            for name in wanted
        }
        if any(differing.values()) and not force:
            raise Disagreement(_told(differing))
        if not wanted:
            return []  # and OUT is not made
        target = target or stack.enter_context(closing(_open(out, True)))
        return [_one(target, name, of[name], differing[name]) for name in wanted]


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


def _wanted(sources: Sequence[Iterable[Name]], experiments: Collection[str] | None) -> list[Name]:
    """The evaluations to merge, each once, in the order of the sources."""
    names = dict.fromkeys(name for source in sources for name in source)
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


# --- one evaluation after the other -----------------------------------------------------------


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


def _open(place: Place, writes: bool) -> SqliteStore:
    assert place.path is not None
    return SqliteStore(place.path, place.anchor, create=writes, read_only=not writes)


def _evaluations(store: SqliteStore) -> dict[Name, float]:
    """Those that a store has, and when the experiment of each was made."""
    return {
        (experiment, name): created
        for experiment, created in store.experiments()
        for name in store.evaluations(experiment)
    }


def _runs(store: SqliteStore | None, name: Name) -> list[Run]:
    """By their start."""
    try:
        found = [] if store is None else store.runs(*name)
    except NotFound:
        return []
    return sorted(found, key=lambda run: run.started)


def _runs_to_merge(store: SqliteStore, name: Name) -> list[Run]:
    runs = _runs(store, name)
    if runs and runs[-1].status == "complete" and runs[-1].header.get("total") is None:
        # The dataset has no length, and was read to its end.
        total = store.total_of(*name)
        runs[-1] = replace(runs[-1], header={**runs[-1].header, "total": total})
    return runs


def _one(target: SqliteStore, name: Name, of: list[Theirs], differ: tuple[str, ...]) -> Merged:
    """One evaluation, of all sources."""
    merged = Merged(experiment=name[0], evaluation=name[1], differ=differ)
    for theirs in of:
        take(target, merged, theirs)
    runs = _runs(target, name)
    shards = shards_of(runs)
    tally = target.tally(*name)
    merged.total = total_of(runs, target.total_of(*name))
    merged.live = tally.scored + tally.failed
    merged.absent = tuple(part for part, status in shards.items() if status == ABSENT)
    merged.unfinished = tuple(
        (part, status) for part, status in shards.items() if status not in ("complete", ABSENT)
    )
    return merged


def take(target: SqliteStore, merged: Merged, theirs: Theirs) -> None:
    """Merge an evaluation of a source into a store; what comes is counted in `merged`."""
    mine = {run.uid: run for run in _runs(target, theirs.name)}
    if mine and not any(_is_new(run, mine.get(run.uid)) for run in theirs.runs):
        return  # and so are its records: nothing is written but by a run
    facts = theirs.store.facts(*theirs.name)
    (arrived,) = transfer(
        target.database, target.claims, theirs.name[0], theirs.created, facts, merging=True
    )
    merged.count(arrived)


def _is_new(run: Run, mine: Run | None) -> bool:
    """Whether a run may have records that were not merged."""
    return mine is None or mine.finished is None
