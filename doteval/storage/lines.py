"""
Facts as lines of JSON, and back: what an export is made of, and what a plugin's store keeps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import UsageError
from ..record import Attempt, Call, Run
from .archive import Asked, Fact, Kept, Opening, Paid, Ran
from .columns import KINDS, TEXT, WHOLE, Kind, kinds
from .encoding import (
    check_body,
    check_header,
    check_history,
    check_metrics,
    dump,
    is_part,
    storable,
)
from .entries import ATTEMPT_COLUMNS, RECORD_COLUMNS, value_to

TYPES = ("run", "record", "attempt", "call")  # of what stands below an evaluation
STATES = ("live", "stale", "superseded")  # in the order of their numbers
_FIGURES = RECORD_COLUMNS.split(", ")[2:]  # but key and digest, which are hex here
_CALL_COLUMNS = "key, repeat, digest, number, started, duration"  # but the texts
_RUN_COLUMNS = "started, finished, duration, status, error"
_RUN_FIELDS = ("started", "finished", "duration", "status", "pid", "header", "history", "error")


# --- out --------------------------------------------------------------------------------------


def line_of(fact: Fact, evaluation: str) -> str:
    """
    A fact as a line, without its end.

    Args:
        evaluation: the name of the one that it belongs to.
    """
    head: dict[str, Any] = {"evaluation": evaluation}
    if isinstance(fact, Opening):
        scores = {score: list(metrics) for score, metrics in fact.scores}
        return dump({"type": "evaluation", **head, "total": fact.total, "scores": scores})
    if isinstance(fact, Kept):
        key, digest, *figures = fact.columns
        head |= {
            "run": fact.run,
            "state": STATES[fact.state],
            "key": key.hex(),
            "digest": None if digest is None else digest.hex(),
            "scores": {name: _score_out(value) for name, value in fact.scores},
            **dict(zip(_FIGURES, figures, strict=True)),
        }
        return _with("record", head, body=fact.body)
    if isinstance(fact, Paid):
        plain = {**fact.attempt._asdict(), "key": fact.attempt.key.hex()}
        return dump({"type": "attempt", **head, "run": fact.run, **plain})
    if isinstance(fact, Asked):
        call = fact.call
        texts = {"request": call.request, "response": call.response}
        plain = {name: value for name, value in call._asdict().items() if name not in texts}
        head |= {"run": fact.run, **plain, "key": call.key.hex(), "digest": call.digest.hex()}
        return _with("call", head, **texts)
    told = {name: getattr(fact.run, name) for name in _RUN_FIELDS}
    return dump({"type": "run", **head, "run": fact.run.uid, "part": fact.part, **told})


def _with(kind: str, head: Mapping[str, Any], **texts: str) -> str:
    """What is JSON already goes in as it is: parsing it would double the cost."""
    more = "".join(f', "{name}": {text}' for name, text in texts.items())
    return f"{dump({'type': kind, **head})[:-1]}{more}}}"


def _score_out(value: bool | int | float) -> Any:
    if value != value:
        return "NaN"
    if isinstance(value, float) and abs(value) == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    return value


# --- in ---------------------------------------------------------------------------------------


class Line:
    """
    One line that was read.

    Args:
        number: of the line, from 1.
        raw: what it holds.

    Raises:
        UsageError: it is no JSON object.
    """

    __slots__ = ("_number", "of")

    def __init__(self, number: int, raw: bytes | str) -> None:
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

    def fact(self, experiment: str, evaluation: str) -> Fact:
        """
        What it tells of an evaluation; its type is one of TYPES.

        Raises:
            UsageError: it does not tell it as it must.
        """
        kind = self.of.get("type")
        if kind == "record":
            return self._record()
        if kind == "attempt":
            attempt = Attempt(*self._values("attempts", ATTEMPT_COLUMNS))
            return Paid(self.value("run", TEXT), attempt)
        if kind == "call":
            if "response" not in self.of:
                raise self.wrong("a call has no 'response'")
            texts = dump(self._mapping("request")), dump(self.of["response"])
            call = Call(*(*self._values("calls", _CALL_COLUMNS), *texts))
            return Asked(self.value("run", TEXT), call)
        return self._run(experiment, evaluation)

    def opening(self) -> Opening:
        """The evaluation that it tells."""
        scores = []
        for name, metrics in self._by_name("scores").items():
            try:
                check_metrics(metrics)
            except ValueError:
                raise self.wrong(
                    f"the metrics of score {name!r:.200} are no list of names"
                ) from None
            scores.append((name, tuple(metrics)))
        return Opening(
            self.value("evaluation", TEXT), self.value("total", KINDS["total"]), tuple(scores)
        )

    def _run(self, experiment: str, evaluation: str) -> Ran:
        header, history, part = self._mapping("header"), self.of.get("history"), self.of.get("part")
        try:
            check_header(header)
            check_history(history)
        except ValueError as problem:
            raise self.wrong(str(problem)) from None
        if self.value("part", TEXT) and not is_part(part):
            raise self.wrong(f"'part' is {part!r:.40}, expected a shard such as '1/4', or ''")
        started, finished, duration, status, error = self._values("runs", _RUN_COLUMNS)
        run = Run(
            self.value("run", TEXT), experiment, evaluation, started, finished, duration, status,
            self.value("pid", WHOLE), header, tuple(history or ()), error,
        )  # fmt: skip
        return Ran(run, str(part))

    def _record(self) -> Kept:
        body = self._mapping("body")
        try:
            check_body(body)
        except ValueError as problem:
            raise self.wrong(str(problem)) from None
        columns = tuple(self._values("records", RECORD_COLUMNS))
        scores = tuple((name, self._score(name, v)) for name, v in self._by_name("scores").items())
        if bool(scores) == (columns[4] is not None):
            raise self.wrong("a record has scores or an error, and not both")
        state = self.value("state", TEXT)
        if state not in STATES:
            raise self.wrong(f"'state' is {state!r:.40}, expected one of: {', '.join(STATES)}")
        return Kept(self.value("run", TEXT), STATES.index(state), columns, dump(body), scores)

    def _by_name(self, name: str) -> dict[str, Any]:
        """An object whose names stand in a column, where some that differ here are the same."""
        given = self._mapping(name)
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

    def _mapping(self, name: str) -> dict[str, Any]:
        value = self.of.get(name)
        if not isinstance(value, dict):
            raise self.wrong(f"{name!r} is no object")
        return value

    def _values(self, table: str, columns: str) -> Iterable[Any]:
        """What it has for columns of a table, by their kinds."""
        names = columns.split(", ")
        known = kinds(", ".join(f"{table}.{name}" for name in names))
        return [self.value(name, kind) for name, (_, kind) in zip(names, known, strict=True)]

    def value(self, name: str, kind: Kind) -> Any:
        """
        One value; texts as a column can hold them, bytes from hexadecimal digits.

        Raises:
            UsageError: it is of another kind.
        """
        value = given = self.of.get(name)
        if isinstance(given, str):
            value = _unhexed(given) if bytes in kind.types else storable(given)
        if kind.takes((value,)):
            return value
        said = kind.said.removesuffix(", or NULL").removeprefix("a ")
        if bytes in kind.types:
            raise self.wrong(f"{name!r} is not {said} in hexadecimal digits")
        if kind.fits is not None:
            raise self.wrong(f"{name!r} is {given!r:.40}, expected {said}")
        raise self.wrong(f"{name!r} is no {said}")


def _unhexed(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
