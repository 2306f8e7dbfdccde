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

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import NotFound, StoreError, UsageError
from ..record import Attempt, Call, Run
from .archive import Adopted, Asked, Fact, Kept, Opening, Paid, Ran
from .columns import DIGEST, FEW, KEY, OUTCOMES, REPEATS, STATUSES
from .destination import Contradiction
from .encoding import check_body, check_header, check_history, dump, is_part, storable
from .entries import value_to
from .stores import Store

FORMAT = 1  # of the lines
_STATES = ("live", "stale", "superseded")  # in the order of their numbers
_TOGETHER = 200  # lines handed on at once
_TOGETHER_TEXT = 2**20  # or as many as have so many characters
_COLUMNS = (  # of Kept.columns, but key and digest, which are hex here
    "repeat",
    "position",
    "error",
    "attempts",
    "started",
    "duration",
    "waited",
    "concurrency",
    "input_tokens",
    "output_tokens",
    "cost",
    "cluster",
)


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
    lines = _lines(store, experiment, created)
    gathered, size = [], 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if len(gathered) >= _TOGETHER or size >= _TOGETHER_TEXT:
            yield "".join(gathered)
            gathered, size = [], 0
    yield "".join(gathered)


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
    records = attempts = calls = 0
    name = ""
    for fact in store.facts(experiment):
        if isinstance(fact, Kept):
            records += 1
            yield _record(fact, name)
        elif isinstance(fact, Paid):
            attempts += 1
            yield _line(_attempt(fact, name))
        elif isinstance(fact, Asked):
            calls += 1
            yield _call(fact, name)
        elif isinstance(fact, Ran):
            yield _line(_run(fact, name))
        else:
            name = fact.evaluation
            yield _line(
                {
                    "type": "evaluation",
                    "evaluation": name,
                    "total": fact.total,
                    "scores": {score: list(metrics) for score, metrics in fact.scores},
                }
            )
    end = {"type": "end", "records": records, "attempts": attempts}
    yield _line({**end, "calls": calls} if calls else end)


def _line(fact: Mapping[str, Any]) -> str:
    return f"{dump(fact)}\n"


def _record(kept: Kept, evaluation: str) -> str:
    """The body is JSON already, and goes in as it is: parsing it would double the cost."""
    key, digest, *columns = kept.columns
    head = {
        "type": "record",
        "evaluation": evaluation,
        "run": kept.run,
        "state": _STATES[kept.state],
        "key": key.hex(),
        "digest": None if digest is None else digest.hex(),
        "scores": {name: _score_out(value) for name, value in kept.scores},
        **dict(zip(_COLUMNS, columns, strict=True)),
    }
    return f'{dump(head)[:-1]}, "body": {kept.body}}}\n'


def _score_out(value: bool | int | float) -> Any:
    if value != value:
        return "NaN"
    if isinstance(value, float) and abs(value) == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _run(ran: Ran, evaluation: str) -> dict[str, Any]:
    run = ran.run
    return {
        "type": "run",
        "evaluation": evaluation,
        "run": run.uid,
        "part": ran.part,
        "started": run.started,
        "finished": run.finished,
        "duration": run.duration,
        "status": run.status,
        "pid": run.pid,
        "header": run.header,
        "history": list(run.history),
        "error": run.error,
    }


def _attempt(paid: Paid, evaluation: str) -> dict[str, Any]:
    head = {"type": "attempt", "evaluation": evaluation, "run": paid.run}
    return {**head, **paid.attempt._asdict(), "key": paid.attempt.key.hex()}


def _call(asked: Asked, evaluation: str) -> str:
    """What was asked and answered is JSON already, and goes in as it is."""
    call = asked.call
    head = {
        "type": "call",
        "evaluation": evaluation,
        "run": asked.run,
        "key": call.key.hex(),
        "repeat": call.repeat,
        "digest": call.digest.hex(),
        "number": call.number,
        "started": call.started,
        "duration": call.duration,
    }
    return f'{dump(head)[:-1]}, "request": {call.request}, "response": {call.response}}}\n'


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
    called = opening.text("name") if name is None else name
    created = opening.number("created")
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

    def opening(self) -> _Line:
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
                evaluation = line.text("evaluation")
                yield line.opening()
                continue
            if kind not in ("run", *counts):
                raise line.wrong(f"a line of type {kind!r:.40} is not known")
            if evaluation is None or line.text("evaluation") != evaluation:
                raise line.wrong(f"it belongs to an evaluation other than {evaluation!r:.200}")
            if kind == "record":
                counts[kind] += 1
                yield line.record()
            elif kind == "attempt":
                counts[kind] += 1
                yield line.attempt()
            elif kind == "call":
                counts[kind] += 1
                yield line.call()
            else:
                yield line.run(experiment, evaluation)
        raise UsageError(
            f"the file ends after line {self.at} without its end: it was cut short; export again"
        )

    def _next(self) -> _Line | None:
        for raw in self._lines:
            self.at += 1
            if raw.strip():
                return _Line(self.at, raw)
        return None

    def _end(self, line: _Line, counts: Mapping[str, int]) -> None:
        for kind, n in counts.items():
            said = line.whole(f"{kind}s", optional=kind == "call") or 0
            if said != n:
                raise line.wrong(f"there should be {said} {kind}s above, and there are {n}")
        if (more := self._next()) is not None:
            raise more.wrong("nothing may follow the end")


class _Line:
    """
    One line.

    Args:
        number: of the line, from 1.
        raw: what it holds.

    Raises:
        UsageError: it is no JSON object.
    """

    __slots__ = ("_number", "of")

    def __init__(self, number: int, raw: bytes) -> None:
        self._number = number
        try:
            self.of = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self.wrong(f"it is no JSON ({error})") from None
        if not isinstance(self.of, dict):
            raise self.wrong(f"expected an object, not {type(self.of).__name__}")

    def wrong(self, reason: str) -> UsageError:
        """What is wrong with it, as an error to raise."""
        return UsageError(f"line {self._number}: {reason}")

    # ---------------------------------------------------------------- facts

    def opening(self) -> Opening:
        scores = []
        for name, metrics in self._by_name("scores").items():
            if not isinstance(metrics, list) or not all(isinstance(each, str) for each in metrics):
                raise self.wrong(f"the metrics of score {name!r:.200} are no list of names")
            scores.append((name, tuple(metrics)))
        return Opening(self.text("evaluation"), self.whole("total", optional=True), tuple(scores))

    def run(self, experiment: str, evaluation: str) -> Ran:
        header, history, part = self.mapping("header"), self.of.get("history"), self.text("part")
        try:
            check_header(header)
            check_history(history)
        except ValueError as error:
            raise self.wrong(str(error)) from None
        if part and not is_part(part):
            raise self.wrong(f"'part' is {part!r:.40}, expected a shard such as '1/4', or ''")
        run = Run(
            self.text("run"),
            experiment,
            evaluation,
            self.number("started"),
            self.number("finished") if self.of.get("finished") is not None else None,
            self.number("duration"),
            self.one_of("status", STATUSES),
            self.whole("pid") or 0,
            header,
            tuple(history or ()),
            self.text("error") if self.of.get("error") is not None else None,
        )
        return Ran(run, part)

    def record(self) -> Kept:
        body = self.mapping("body")
        try:
            check_body(body)
        except ValueError as problem:
            raise self.wrong(str(problem)) from None
        error = self.text("error") if self.of.get("error") is not None else None
        scores = tuple((name, self._score(name, v)) for name, v in self._by_name("scores").items())
        if bool(scores) == (error is not None):
            raise self.wrong("a record has scores or an error, and not both")
        digest = self.of.get("digest")
        columns = (
            self.hex("key", KEY),
            None if digest is None else self.hex("digest", DIGEST),
            self.whole("repeat", most=REPEATS),
            self.whole("position"),
            error,
            self.whole("attempts", most=FEW),
            self.number("started"),
            self.number("duration"),
            self.number("waited"),
            self.whole("concurrency"),
            self._usage("input_tokens"),
            self._usage("output_tokens"),
            self._usage("cost"),
            self.text("cluster") if self.of.get("cluster") is not None else None,
        )
        state = _STATES.index(self.one_of("state", _STATES))
        return Kept(self.text("run"), state, columns, dump(body), scores)

    def _usage(self, name: str) -> Any:
        """Whatever somebody counts in: a client may report half a token."""
        value: int | float | None = self.of.get(name)
        if value is None or (type(value) in (int, float) and 0 <= value < 2**63):  # NaN is not
            return value
        raise self.wrong(f"{name!r} is no number, 0 or more")

    def _by_name(self, name: str) -> dict[str, Any]:
        """An object whose names stand in a column, where some that differ here are the same."""
        given = self.mapping(name)
        found = {storable(each): value for each, value in given.items()}
        if len(found) < len(given):
            raise self.wrong(f"{name!r} has two of one name")
        return found

    def _score(self, name: str, value: Any) -> bool | int | float:
        if isinstance(value, (bool, int, float)):
            try:
                value_to(value)
            except ValueError as error:
                raise self.wrong(f"{name!r:.200}: {error}") from None
            return value
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        raise self.wrong(f"score {name!r:.200} is no number")

    def attempt(self) -> Paid:
        attempt = Attempt(
            self.hex("key", KEY),
            self.whole("repeat", most=REPEATS) or 0,
            self.whole("number") or 0,
            self.number("started"),
            self.number("duration"),
            self.one_of("outcome", OUTCOMES),
            self.text("error"),
            self.text("message"),
        )
        return Paid(self.text("run"), attempt)

    def call(self) -> Asked:
        if "response" not in self.of:
            raise self.wrong("a call has no 'response'")
        call = Call(
            self.hex("key", KEY),
            self.whole("repeat", most=REPEATS) or 0,
            self.hex("digest", KEY),
            self.whole("number", most=FEW) or 0,
            self.number("started"),
            self.number("duration"),
            dump(self.mapping("request")),
            dump(self.of["response"]),
        )
        return Asked(self.text("run"), call)

    # ---------------------------------------------------------------- values

    def text(self, name: str) -> str:
        value = self.of.get(name)
        if not isinstance(value, str):
            raise self.wrong(f"{name!r} is no text")
        return storable(value)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.of.get(name)
        if not isinstance(value, dict):
            raise self.wrong(f"{name!r} is no object")
        return value

    def number(self, name: str) -> float:
        value = self.of.get(name)
        if type(value) in (int, float) and abs(value) < 2**63:  # NaN is not
            return float(value)
        raise self.wrong(f"{name!r} is no number of a sensible size")

    def whole(self, name: str, optional: bool = False, most: int = 2**63) -> int | None:
        value = self.of.get(name)
        if value is None and optional:
            return None
        if type(value) is int and 0 <= value < most:
            return value
        raise self.wrong(f"{name!r} is no whole number, 0 or more, of a sensible size")

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in known:
            raise self.wrong(f"{name!r} is {value!r:.40}, expected one of: {', '.join(known)}")
        return value

    def hex(self, name: str, size: int) -> bytes:
        try:
            value = bytes.fromhex(self.text(name))
        except ValueError:
            value = b""
        if len(value) != size:
            raise self.wrong(f"{name!r} is not {size} bytes in hexadecimal digits")
        return value
