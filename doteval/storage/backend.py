"""
A store of a plugin: the little that it must do, and all that doteval asks of a store, made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..errors import Busy, UsageError
from ..keys import shard_of
from ..quantities import Shard
from ..record import FINAL, LIVE, STALE, SUPERSEDED, Attempt, Call, Run, Stored
from . import lines as written
from .archive import Adopted, Fact, Kept, Opening, Paid, Ran
from .claims import Claims
from .contents import Contents
from .deletion import sweep
from .encoding import dump, load, storable
from .entries import Entry, value_of
from .sqlite import SqliteStore
from .transfer import transfer

_PAGE = 2_000  # lines written at a time
_OPENING = '{"type": "evaluation"'  # what `line_of` begins an Opening with


class Line(NamedTuple):
    """
    What a backend keeps: a record, a failed attempt, or what is known of an evaluation.

    Attributes:
        text: the line that an export has of it, JSON in ASCII.
        stored: of a record, what a resume asks for; its `id` is 0 as long as the backend has given
            it none, and its `state` is today's. None: it is no record.
    """

    text: str
    stored: Stored | None = None


class Backend(Protocol):
    """
    What a storage plugin writes. Synchronous; used by one thread at a time.

    Attributes:
        inline: may be missing. True: it is gone with its object, as one in memory is.
    """

    def begin(self, run: Run, part: str) -> int:
        """
        Note a run, and keep others out; a run that was killed keeps nobody out.

        Args:
            run: plain data; its status is "running".
            part: its shard, "1/4" to "4/4", which keeps out runs of the same and of all rows; ""
                for all rows, which keeps out all runs of the evaluation.

        Returns:
            the number that `stored`, `add` and `end` know the run by.

        Raises:
            Busy: another run is working on this evaluation.
        """
        ...

    def stored(self, number: int, after: int, limit: int) -> Sequence[Stored]:
        """The first records of the run's evaluation that are LIVE or STALE, with ids > `after`."""
        ...

    def add(self, number: int, lines: Sequence[Line], states: Mapping[int, int]) -> None:
        """
        Write lines, giving ids above 0 to records, ascending; and give records that are stored
        these states, by their ids: durable when this returns, or nothing of it at all.
        """
        ...

    def end(self, number: int, run: Run) -> None:
        """Put this in place of what was noted of the run, and let others work."""
        ...

    def names(self) -> Iterable[tuple[str, str, float]]:
        """Each evaluation: its experiment, its name, when its first run began; oldest first."""
        ...

    def runs(self, experiment: str, evaluation: str) -> Sequence[Run]:
        """Those of an evaluation, oldest first; a killed one has status "interrupted"."""
        ...

    def records(self, experiment: str, evaluation: str) -> Iterable[Line]:
        """All lines of an evaluation, in the order of their writing."""
        ...

    def delete(self, experiment: str) -> int:
        """Delete an experiment, which nobody is running; returns how many records went."""
        ...

    def close(self) -> None:
        """The object is used no more."""
        ...


@dataclass(slots=True)
class _Begun:
    """
    A run of this object.

    Attributes:
        scores: names that the backend was told. failed: ids of failures that it has told.
    """

    run: Run
    scores: set[str] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)


class BackedStore(SqliteStore):
    """
    A store whose records a backend keeps.

    Runs write straight into it. An evaluation that is looked at is copied into a database in memory
    first, and again once this object has changed it: slow, and the same to whoever looks.

    Args:
        backend: of a plugin. anchor: see SqliteStore.
    """

    keeps_calls = False

    def __init__(self, backend: Backend, anchor: Path) -> None:
        super().__init__(None, anchor)
        self._backend = backend
        self._begun: dict[int, _Begun] = {}
        self._copied: set[tuple[str, str]] = set()

    def __str__(self) -> str:
        return type(self._backend).__name__

    @property
    def inline(self) -> bool:
        return bool(getattr(self._backend, "inline", False))

    def close(self) -> None:
        self._backend.close()
        super().close()

    # --------------------------------------------------------------------- a run

    def begin(
        self, run: Run, *, fresh: bool = False, part: str = "", formerly: str | None = None
    ) -> int:
        run = _plain(run, {"shard": part} if part else {})
        if formerly is not None:
            raise UsageError(
                f"{run.evaluation} is stored as {formerly}, by an earlier version, and {self} "
                f"renames no evaluation; choose another name than {run.experiment!r}"
            )
        for other in self._backend.runs(run.experiment, run.evaluation):
            theirs = other.header.get("shard")
            is_other = part and theirs and Shard.parse(theirs).of != Shard.parse(part).of
            if is_other and other.status == "running":
                raise Busy(
                    f"part {theirs} of {run.evaluation} of experiment {run.experiment!r} is being "
                    f"run by process {other.pid}; its parts must be of one number, not also {part}"
                )
        number = self._backend.begin(run, part)
        self._begun[number] = _Begun(run)
        shard = Shard.parse(part) if part else Shard(0, 1)
        self._write(number, [], _states(self, number, shard) if fresh else {})
        return number

    def stored(self, number: int, after: int = 0, limit: int = 2_000) -> list[Stored]:
        page = list(self._backend.stored(number, after, limit))
        self._begun[number].failed.update(each.id for each in page if each.failed)
        return page

    def add(self, number: int, entries: Iterable[Entry | Attempt | Call]) -> None:
        begun = self._begun[number]
        run, facts = begun.run, list[Fact]()
        states: dict[int, int] = {}
        scores: dict[str, tuple[str, ...]] = {}
        for entry in entries:
            if isinstance(entry, Entry):
                values = [
                    (storable(score.name), value_of(*value))
                    for score, value in zip(entry.scores, entry.values, strict=True)
                ]
                facts.append(Kept(run.uid, LIVE, entry.columns, entry.body, tuple(values)))
                scores.update((storable(score.name), score.metrics) for score in entry.scores)
                if entry.replaces is not None:
                    failed = entry.replaces in begun.failed
                    states[entry.replaces] = SUPERSEDED if failed else STALE
            else:
                assert isinstance(entry, Attempt)  # it keeps no calls, and is given none
                facts.append(Paid(run.uid, entry))
        new = tuple(each for each in scores.items() if each[0] not in begun.scores)
        if new:
            facts.insert(0, Opening(run.evaluation, None, new))
        self._write(number, facts, states)
        begun.scores.update(scores)

    def mark(self, number: int, ids: Iterable[int], state: int) -> None:
        self._write(number, [], dict.fromkeys(ids, state))

    def total(self, number: int, total: int) -> None:
        self._write(number, [Opening(self._begun[number].run.evaluation, total, ())], {})

    def _write(self, number: int, facts: Sequence[Fact], states: Mapping[int, int]) -> None:
        run = self._begun[number].run
        self._copied.discard((run.experiment, run.evaluation))
        if facts or states:
            self._backend.add(number, [_line(fact, run.evaluation) for fact in facts], states)

    def tell(self, number: int, said: str | None) -> None:
        pass  # a backend is told nothing that is not to be kept

    def end(self, number: int, run: Run) -> None:
        self._write(number, [], {})
        self._backend.end(number, _plain(run, self._begun.pop(number).run.header))

    # -------------------------------------------------------------- what is asked of it

    def experiments(self) -> list[tuple[str, float]]:
        found: dict[str, float] = {}
        for experiment, _, began in self._backend.names():
            found.setdefault(experiment, began)
        return list(found.items())

    def evaluations(self, experiment: str) -> list[str]:
        of = storable(experiment)
        found = [evaluation for name, evaluation, _ in self._backend.names() if name == of]
        if not found:
            self._experiment(experiment)  # which says what there is
        return found

    def runs(self, experiment: str, evaluation: str | None = None) -> list[Run]:
        names = self.evaluations(experiment)
        if evaluation is not None:
            names = [name for name in names if name == storable(evaluation)]
        return [run for name in names for run in self._backend.runs(storable(experiment), name)]

    def number_of(self, experiment: str, name: str) -> int:
        """Of its copy in the database, which is made if it is not as the backend has it."""
        of = storable(experiment), storable(name)
        if of not in self._copied and of[1] in self.evaluations(experiment):
            with self._db.writing() as db:
                db.execute(
                    "UPDATE evaluations SET experiment = -id WHERE name = ? AND experiment = "
                    "(SELECT id FROM experiments WHERE name = ?)",
                    of[::-1],
                )
            sweep(self._db)
            created = dict(self.experiments())[of[0]]
            told = _told(self._backend, *of)
            transfer(self._db, Claims(None), of[0], created, told, merging=True)
            self._copied.add(of)
        return super().number_of(experiment, name)

    def facts(self, experiment: str, evaluation: str | None = None) -> Iterator[Fact]:
        for name in self.evaluations(experiment):
            self.number_of(experiment, name)
        return super().facts(experiment, evaluation)

    # ------------------------------------------------------------------- changing

    def delete(self, experiment: str) -> int:
        _refuse_running(self, experiment)
        gone = self._backend.delete(storable(experiment))
        if storable(experiment) in dict(super().experiments()):
            super().delete(experiment)
        self._copied = {of for of in self._copied if of[0] != storable(experiment)}
        return gone

    def rename(self, old: str, new: str) -> None:
        _refuse_running(self, old)
        there = dict(self.experiments())
        if storable(new) in there:
            raise UsageError(f"there is an experiment {new!r} already")
        self.adopt(new, there[storable(old)], self.facts(old))
        self.delete(old)

    def adopt(self, experiment: str, created: float, facts: Iterable[Fact]) -> Adopted:
        of = storable(experiment)
        is_there = of in dict(self.experiments())
        for name in self.evaluations(of) if is_there else ():
            self.number_of(of, name)
        found = super().adopt(experiment, created, facts)
        if not is_there:
            _put(self._backend, self, of)
        elif any(found[1:]):
            self._copied.clear()  # what has come more is in the copy alone
            raise UsageError(
                f"there is a part of experiment {experiment!r} already; delete it, or give another "
                "name"
            )
        return found


def _states(store: BackedStore, number: int, shard: Shard) -> dict[int, int]:
    """What a fresh run takes the place of."""
    found, after = {}, 0
    while page := store.stored(number, after):
        after = page[-1].id
        mine = (each.id for each in page if shard_of(each.key, shard.of) == shard.at)
        found.update(dict.fromkeys(mine, SUPERSEDED))
    return found


def _told(backend: Backend, experiment: str, evaluation: str) -> Iterator[Fact]:
    """The facts of an evaluation, as its lines tell them."""
    total, scores = None, dict[str, tuple[str, ...]]()
    for number, line in enumerate(backend.records(experiment, evaluation), 1):
        if line.text.startswith(_OPENING):
            opening = written.Line(number, line.text).opening()
            total = total if opening.total is None else opening.total
            scores.update(opening.scores)
    yield Opening(evaluation, total, tuple(scores.items()))
    runs = backend.runs(experiment, evaluation)
    yield from (Ran(run, run.header.get("shard") or "") for run in runs)
    for number, line in enumerate(backend.records(experiment, evaluation), 1):
        if not line.text.startswith(_OPENING):
            fact = written.Line(number, line.text).fact(experiment, evaluation)
            if isinstance(fact, Kept) and line.stored is not None:
                fact = fact._replace(state=line.stored.state)
            yield fact


def _put(backend: Backend, store: BackedStore, experiment: str) -> None:
    """Write what has come of an experiment, as runs of our own."""
    for evaluation in Contents.evaluations(store, experiment):
        runs = [_plain(run) for run in Contents.runs(store, experiment, evaluation)]
        for run in runs[:-1]:
            backend.end(backend.begin(run, ""), run)
        for run in runs[-1:]:  # which brings the lines of all
            number = backend.begin(run, "")
            lines: list[Line] = []
            for fact in Contents.facts(store, experiment, evaluation):
                if not isinstance(fact, Ran):
                    lines.append(_line(fact, evaluation))
                if len(lines) == _PAGE:
                    backend.add(number, lines, {})
                    lines = []
            backend.add(number, lines, {})
            backend.end(number, run)


def _refuse_running(store: BackedStore, experiment: str) -> None:
    for run in store.runs(experiment):
        if run.status == "running":
            raise Busy(
                f"experiment {experiment!r} is being run by process {run.pid}; "
                "wait for it, or end it"
            )


def _plain(run: Run, before: Mapping[str, Any] = {}) -> Run:
    """A run whose names and header can be written by anybody, on top of an earlier header."""
    header = {**before, **load(dump(dict(run.header)))}
    names = storable(run.experiment), storable(run.evaluation)
    error = None if run.error is None else storable(run.error)
    return replace(
        run, experiment=names[0], evaluation=names[1], header=header, error=error,
        history=tuple(load(dump(list(run.history)))),
    )  # fmt: skip


def _line(fact: Fact, evaluation: str) -> Line:
    text = written.line_of(fact, evaluation)
    if not isinstance(fact, Kept):
        return Line(text)
    key, digest, repeat, _, error, *_ = fact.columns
    failed, final = error is not None, error == FINAL
    return Line(text, Stored(0, key, digest, repeat, failed, fact.state, final))
