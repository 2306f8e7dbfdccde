"""
Records to what a store writes, and back: columns, a body, and the values of scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, Any, NamedTuple

from ..record import (
    DIFFERING,
    EMPTY,
    FINAL,
    Attempt,
    Failure,
    Outcome,
    Record,
    Result,
    Run,
    Score,
    Usage,
)
from .encoding import LONGEST_INT, PARTS, dump, load_body, load_header, load_history, storable

if TYPE_CHECKING:
    from ..concurrency.row import Row  # who only reads loads no loop

_LONGEST_BODY = 900_000_000  # characters; SQLite refuses a text of 1,000,000,000

RECORD_COLUMNS = (  # beside id, evaluation, run and state
    "key, digest, repeat, position, error, attempts, started, duration, waited, concurrency, "
    "input_tokens, output_tokens, cost, cluster"
)
ATTEMPT_COLUMNS = (  # beside evaluation and run
    "key, repeat, number, started, duration, outcome, error, message"
)
RUN_COLUMNS = (  # beside id and evaluation
    "uid, part, started, finished, duration, status, pid, header, history, error"
)
CALL_COLUMNS = "key, repeat, digest, number, started, duration, request, response"  # likewise


class Entry(NamedTuple):
    """
    A record, ready to be written: the values of RECORD_COLUMNS, its texts, its scores. Nothing
    in it can fail any more but the store itself.

    `values` are those of the scores, as `value_to` makes them. `replaces` is the id of the stored
    record that this one takes the place of: a failure, or the result of a row that was changed.
    `record` is there for who wants to hear of it once it is durable.
    """

    columns: tuple[Any, ...]
    body: str
    scores: tuple[Score, ...]
    values: tuple[tuple[Any, int], ...]
    replaces: int | None
    record: Record | None = None


def encode(
    row: Row,
    outcome: Outcome,
    usage: Usage,
    began: float,
    duration: float,
    cluster: str | None = None,
    record: Record | None = None,
) -> Entry:
    """
    Make what became of a row ready to be written.

    Args:
        row: that has finished.
        outcome: what came of it. usage: of its result.
        began: when its last attempt did, in Unix seconds. duration: seconds that it took.
        cluster: rows of one cluster are not independent; None: the row is its own.
        record: see Entry.

    Raises:
        ValueError: a score is an integer beyond all measure, two have one name in the store, or
            the texts are longer than SQLite takes.
        Exception: something in the Result raised while it was written down.
    """
    input_tokens, output_tokens, cost, cached, reasoning = usage
    error: str | None = None
    scores: tuple[Any, ...] = ()
    result: Result | None
    if isinstance(outcome, Failure):
        error, result = storable(outcome.type), outcome.result
        failure = {"message": outcome.message, "traceback": outcome.traceback}
        extra = f', "failure": {dump(failure)}'
    else:
        result, scores, extra = outcome, outcome.scores, ""
    if result is not None:
        extra += _texts(result, scores)
    if cached is not None or reasoning is not None:
        extra += f', "usage": {dump(dict(zip(PARTS, (cached, reasoning), strict=True)))}'
    columns = (
        row.key, row.digest, row.repeat, row.position, error, row.attempts, began, duration,
        row.waited, row.concurrency, input_tokens, output_tokens, cost,
        None if cluster is None else storable(cluster),
    )  # fmt: skip
    body = f'{{"row": {row.text}{extra}}}'
    if len(body) > _LONGEST_BODY:
        raise ValueError(f"its texts have {len(body):,} characters, more than a store can hold")
    if len(scores) > 1:
        _check_names(scores)
    values: tuple[tuple[Any, int], ...] = ()
    for score in scores:
        mark = _mark(score.unread, score.metadata) if score.unread or score.metadata else 0
        if type(score.value) is bool:  # nearly always, and a call less for each row
            values += ((int(score.value), 1 + mark),)
        else:
            values += (value_to(score.number, mark),)
    return Entry(columns, body, scores, values, row.replaces, record)


def _check_names(scores: tuple[Score, ...]) -> None:
    """Two names may differ in what a column can not hold, and nowhere else."""
    names = [score.name for score in scores]
    if not all(map(str.isascii, names)) and len({*map(storable, names)}) < len(names):
        raise ValueError(f"two of its scores have one name: {', '.join(map(ascii, names))}")


def _texts(result: Result, scores: tuple[Score, ...]) -> str:
    parts = ""
    prompt, answer = result.prompt, result.model_response
    if prompt is not None:
        parts += f', "prompt": {_text(prompt) if type(prompt) is str else dump(prompt)}'
    if answer is not None:
        parts += f', "model_response": {_text(answer) if type(answer) is str else dump(answer)}'
    if result.metadata:
        parts += f', "metadata": {dump(result.metadata)}'
    if result.error is not None:
        parts += f', "error": {dump(result.error)}'
    for score in scores:
        if score.metadata or score.unread or score.expected is not None or type(score.value) is str:
            return parts + _beside(scores)
    return parts


def _beside(scores: tuple[Score, ...]) -> str:
    """What scores have beside their values, by their names."""
    notes = {score.name: score.metadata for score in scores if score.metadata}
    expected = {score.name: score.expected for score in scores if score.expected is not None}
    labels = {score.name: score.value for score in scores if isinstance(score.value, str)}
    unread = [score.name for score in scores if score.unread]
    parts = f', "scores": {dump(notes)}' if notes else ""
    parts += f', "labels": {dump(labels)}' if labels else ""
    parts += f', "expected": {dump(expected)}' if expected else ""
    return parts + (f', "unread": {dump(unread)}' if unread else "")


def decode(
    columns: Sequence[Any],
    body: Mapping[str, Any],
    scores: Iterable[tuple[str, Any, int, Iterable[str]]],
) -> Record:
    """
    The record that `encode` was given; what JSON does not know comes back as plain data.

    Args:
        columns: as in Entry.columns.
        body: the parsed JSON document.
        scores: (name, value, boolean, metrics) of each score.
    """
    (
        key, _, repeat, position, error, attempts, started, duration, waited, concurrency,
        input_tokens, output_tokens, cost, _,
    ) = columns  # fmt: skip
    usage = None
    if input_tokens is not None or output_tokens is not None or cost is not None:
        usage = Usage(input_tokens, output_tokens, cost)
    if "usage" in body:
        usage = (usage or Usage())._replace(**{part: body["usage"].get(part) for part in PARTS})
    notes, expected = body.get("scores", {}), body.get("expected", {})
    unread, labels = body.get("unread", ()), body.get("labels", {})
    if notes or expected or unread or labels:
        scored = [
            Score(
                name,
                labels[name] if name in labels else value_of(value, boolean),
                tuple(metrics),
                noted if isinstance(noted := notes.get(name), dict) else None,
                expected.get(name),
                name in unread,
            )
            for name, value, boolean, metrics in scores
        ]
    else:  # most have nothing beside their values
        scored = [
            Score(name, value_of(value, boolean), tuple(metrics))
            for name, value, boolean, metrics in scores
        ]
    result = Result(
        *scored,
        prompt=body.get("prompt"),
        model_response=body.get("model_response"),
        error=body.get("error"),
        metadata=body.get("metadata"),
        usage=usage,
        final=error == FINAL,
    )
    outcome: Result | Failure = result
    if error is not None:
        told = body.get("failure", {})
        outcome = Failure(
            error,
            told.get("message", ""),
            told.get("traceback", ""),
            result if result.error is not None else None,
        )
    return Record(
        key, position, repeat, body.get("row", {}), outcome, attempts, started, duration, waited,
        concurrency,
    )  # fmt: skip


UNREAD, VOID, OTHER_TYPE = 2, 4, 8  # beside 1, a bool, in the column `boolean`


def _mark(unread: bool, metadata: Any) -> int:
    """How an answer was read, for the column `boolean`, which is added up."""
    if not unread:
        problem = metadata.get("problem") if isinstance(metadata, Mapping) else None
        return OTHER_TYPE if isinstance(problem, str) and problem.startswith(DIFFERING) else 0
    is_void = isinstance(metadata, Mapping) and metadata.get("problem") == EMPTY
    return VOID if is_void else UNREAD


def marks_in(body: str) -> Callable[[str], int]:
    """A function that tells of the name of a score how its answer was read, by the document."""
    if '"unread": [' not in body and DIFFERING not in body:
        return lambda name: 0
    document = load_body(body)
    unread, notes = document.get("unread", ()), document.get("scores", {})
    return lambda name: _mark(
        name in unread, notes[name] if isinstance(notes.get(name), dict) else None
    )


def value_to(value: bool | int | float, mark: int = 0) -> tuple[Any, int]:
    """
    A score's value as SQLite holds it, and the mark with 1 added where it is a bool: that becomes
    a number, NaN will be NULL, and what passes 63 bits is text.

    Raises:
        ValueError: it is an integer of more digits than Python reads.
    """
    if value is True or value is False:
        return int(value), 1 + mark
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        if value.bit_length() > LONGEST_INT:
            digits = round(value.bit_length() * 0.30103)
            raise ValueError(f"a score is an integer of {digits:,} digits; 4,200 can be kept")
        return str(value), mark
    return value, mark


def value_of(stored: Any, boolean: int) -> bool | int | float:
    """
    The value that `value_to` was given.

    Raises:
        ValueError: nobody has written this as a bool.
    """
    if stored is None:
        return float("nan")
    if boolean & 1:
        if stored not in (0, 1):
            raise ValueError(f"a score is {stored!r:.40}, expected 0 or 1")
        return bool(stored)
    if isinstance(stored, str):
        return int(stored)
    value: int | float = stored
    return value


def attempt_columns(attempt: Attempt) -> tuple[Any, ...]:
    """A failed attempt as ATTEMPT_COLUMNS hold it."""
    *told, error, message = attempt
    return (*told, storable(error), storable(message))


def run_columns(run: Run, part: str) -> tuple[Any, ...]:
    """A run as RUN_COLUMNS hold it; `part` is its shard, "" for all rows."""
    error = None if run.error is None else storable(run.error)
    return (
        run.uid, part, run.started, run.finished, run.duration, run.status, run.pid,
        dump(dict(run.header)), dump(list(run.history)), error,
    )  # fmt: skip


def run_of(experiment: str, evaluation: str, columns: Sequence[Any]) -> Run:
    """
    The run that `run_columns` was given; its header knows its shard.

    Raises:
        DamageError: a document of it is none.
    """
    uid, part, started, finished, duration, status, pid, told, history, error = columns
    header = load_header(told)
    if part:
        header["shard"] = part
    return Run(
        uid, experiment, evaluation, started, finished, duration, status, pid, header,
        load_history(history), error,
    )  # fmt: skip
