"""
An experiment as JSON Lines, and back: everything a store knows of it, one fact a line.

    {"type": "experiment", "doteval": 1, "name": …, "created": …}
    {"type": "evaluation", "evaluation": …, "total": …, "scores": {name: [metrics]}}
    {"type": "run", "evaluation": …, "run": its id, "status": …, "header": {…}, …}
    {"type": "record", "evaluation": …, "run": …, "state": …, "scores": {…}, "body": {…}, …}
    {"type": "attempt", "evaluation": …, "run": …, "key": …, "error": …, "message": …, …}
    {"type": "call", "evaluation": …, "run": …, "key": …, "request": {…}, "response": …, …}
    {"type": "end", "records": n, "attempts": n, "calls": n}

All but the experiment stands below its evaluation. The lines are ASCII, so lone surrogates survive.
A score that is no finite number is the text "NaN", "Infinity" or "-Infinity"; inside bodies such
numbers stand bare, as Python's json writes and reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..errors import NotFound, StoreError, UsageError
from ..text import together
from .archive import Adopted, Asked, Fact, Kept, Opening, Paid
from .columns import KINDS, TEXT, WHOLE
from .destination import Contradiction
from .encoding import dump, storable
from .lines import TYPES, Line, line_of
from .stores import Store

FORMAT = 1  # of the lines


# --- out --------------------------------------------------------------------------------------


def export_lines(store: Store, experiment: str) -> Iterator[str]:
    """
    The lines of an experiment, many at a time.

    Raises:
        NotFound: there is no such experiment.
        StoreError: the store can not be read.
    """
    store.evaluations(experiment)  # it must exist
    created = dict(store.experiments())[storable(experiment)]
    yield from together(_lines(store, experiment, created))


def unchanged(store: Store, experiments: Iterable[str], pieces: Iterable[str]) -> Iterator[str]:
    """
    The pieces of a document about experiments, of which the last is held back until it is known
    that all were made of the same: a document whose experiment was deleted, renamed or begun anew
    under it has no end. Runs that only add to an experiment do no harm.

    Raises:
        NotFound: there is no such experiment.
        StoreError: one was deleted, renamed or begun anew meanwhile.
    """
    before = {name: {run.uid for run in store.runs(name)} for name in experiments}
    held = ""
    for piece in pieces:
        if held:
            yield held
        held = piece
    for name, known in before.items():
        try:
            runs = store.runs(name)
        except NotFound:
            runs = []
        new = [run for run in runs if run.uid not in known]
        if len(runs) - len(new) < len(known) or any(run.header.get("fresh") for run in new):
            raise StoreError(
                f"experiment {name!r} was deleted, renamed or begun anew while it was read; what "
                "was written of it is not whole, ask for it again"
            )
    yield held


def _lines(store: Store, experiment: str, created: float) -> Iterator[str]:
    yield _line({"type": "experiment", "doteval": FORMAT, "name": experiment, "created": created})
    counts: dict[type, int] = {}
    name = ""
    for fact in store.facts(experiment):
        counts[type(fact)] = counts.get(type(fact), 0) + 1
        if isinstance(fact, Opening):
            name = fact.evaluation
        yield f"{line_of(fact, name)}\n"
    records, attempts, calls = (counts.get(kind, 0) for kind in (Kept, Paid, Asked))
    end = {"type": "end", "records": records, "attempts": attempts}
    yield _line({**end, "calls": calls} if calls else end)


def _line(fact: Mapping[str, object]) -> str:
    return f"{dump(fact)}\n"


# --- in ---------------------------------------------------------------------------------------


class Imported(NamedTuple):
    """What an import brought: the name of the experiment, and how much of it there is."""

    name: str
    amount: Adopted


def import_lines(store: Store, lines: Iterable[bytes], name: str | None = None) -> Imported:
    """
    Store the experiment that the lines describe, a page at a time. What is interrupted is finished
    by the same lines, and lines that were stored before change nothing.

    Args:
        lines: as `export_lines` wrote them, read one by one.
        name: for the experiment; None: the one that it had.

    Raises:
        UsageError: a line is not as it must be, which its number tells; or there is an experiment
            of this name that was made of other runs.
        StoreError: the store can not be written.
    """
    reader = _Reader(lines)
    opening = reader.opening()
    called = opening.value("name", TEXT) if name is None else name
    created = opening.value("created", KINDS["created"])
    try:
        return Imported(called, store.adopt(called, created, reader.facts(called)))
    except Contradiction as error:
        raise UsageError(f"line {reader.at}: {error}") from error


class _Reader:
    """
    Reads lines into facts.

    Attributes:
        at: the number of the line that was read last, from 1.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self.at = 0

    def opening(self) -> Line:
        """The first line: the experiment."""
        line = self._next()
        if line is None:
            raise UsageError("the file is empty: expected what `doteval export` writes")
        if line.of.get("type") != "experiment":
            raise line.wrong("expected the beginning of `doteval export --format jsonl`")
        if line.of.get("doteval") != FORMAT:
            raise line.wrong(
                f"format {line.of.get('doteval')!r:.20} is not known here, only {FORMAT}; "
                "upgrade doteval"
            )
        return line

    def facts(self, experiment: str) -> Iterator[Fact]:
        """The facts of the lines that follow."""
        evaluation: str | None = None
        counts = {"record": 0, "attempt": 0, "call": 0}
        while line := self._next():
            kind = line.of.get("type")
            if kind == "end":
                self._end(line, counts)
                return
            if kind == "evaluation":
                evaluation = line.value("evaluation", TEXT)
                yield line.opening()
                continue
            if kind not in TYPES:
                raise line.wrong(f"a line of type {kind!r:.40} is not known")
            if evaluation is None or line.value("evaluation", TEXT) != evaluation:
                raise line.wrong(f"it belongs to an evaluation other than {evaluation!r:.200}")
            if kind in counts:
                counts[kind] += 1
            yield line.fact(experiment, evaluation)
        raise UsageError(
            f"the file ends after line {self.at} without its end: it was cut short; export again"
        )

    def _next(self) -> Line | None:
        for raw in self._lines:
            self.at += 1
            if raw.strip():
                return Line(self.at, raw)
        return None

    def _end(self, line: Line, counts: Mapping[str, int]) -> None:
        for kind, n in counts.items():
            is_told = kind != "call" or line.of.get("calls") is not None
            said = line.value(f"{kind}s", WHOLE) if is_told else 0
            if said != n:
                raise line.wrong(f"there should be {said} {kind}s above, and there are {n}")
        if (more := self._next()) is not None:
            raise more.wrong("nothing may follow the end")
