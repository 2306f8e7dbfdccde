"""
What the log of another tool tells, and those facts as the lines that `doteval export` writes.

A reader takes a path. It returns None where the file is not of its format, else the lines: dicts,
one by one. `lines` makes them of what most logs have, parts with answers. It asks for the answers
twice, because the names of the scores stand before the records; so none need be held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Union

from ..errors import DatasetError, UsageError
from ..keys import Identities
from ..plugins import Registry
from ..record import NO_USAGE, Usage
from ..storage.encoding import dump
from .fields import head, is_number, kind_of, redacted

Lines = Iterator[Mapping[str, Any]]
Reader = Callable[[Path], Union[Lines, None]]
registry: Registry[Reader] = Registry("importer", "importers")

_OURS = b'{"type": "experiment"'  # no reader need be asked
_MAY_BE_OURS = re.compile(rb'\s*(?:\{\s*"type"\s*:|\Z)')  # or is empty
UNSCORED = "Unscored"  # the error of a row without an error and without a score


class Answer(NamedTuple):
    """
    What a log tells of one row.

    Attributes:
        position: of the row in its dataset, from 0; what the row is known by within the log.
        row: its values by column.
        scores: values by name. One that is no number is kept beside the scores: it is none.
        repeat: which of the row's repeats, from 0. A later answer to the same replaces a former.
        notes: what is worth keeping of a score, by its name.
        metrics: names of metrics by score; else "accuracy" where values are true or false, and
            "mean".
        error: type of the failure, None where there is none. failure: its message and traceback.
        retries: what failed attempts before this one said.
        texts: prompt, model_response and metadata, where there are any.
        started: Unix seconds, None: when the run did. duration: seconds.
    """

    position: int
    row: Mapping[str, Any]
    scores: Mapping[str, Any]
    repeat: int = 0
    notes: Mapping[str, Any] = {}
    metrics: Mapping[str, list[str]] = {}
    error: str | None = None
    failure: tuple[str, str] = ("", "")
    retries: tuple[str, ...] = ()
    usage: Usage = NO_USAGE
    texts: Mapping[str, Any] = {}
    started: float | None = None
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """
    What a log tells of one evaluation.

    Attributes:
        evaluation: its name. run: what its run is known by, in whatever form.
        answers: tells all of them, as often as it is called.
        started, finished: Unix seconds; finished is None where nobody wrote it.
        status, error: of the run, as `Run` has them.
        total: answers that there are when it is complete, None while unknown.
        header: more of the run's header.
    """

    evaluation: str
    run: Any
    answers: Callable[[], Iterator[Answer]]
    started: float
    finished: float | None = None
    status: str = "complete"
    error: str | None = None
    total: int | None = None
    header: Mapping[str, Any] = field(default_factory=dict)


def lines_of(path: Path) -> Iterator[bytes] | None:
    """
    The file as what `doteval export` writes; None where that has written it, or may have.

    Raises:
        UsageError: nobody knows the file; or a reader knows it and does not understand it, while it
            is iterated, too.
    """
    if not path.is_dir() and (not path.is_file() or head(path).startswith(_OURS)):
        return None  # it is ours, or a pipe, which can be read only once
    for name in registry.names():
        found = _told(name, path, registry.get(name)(path))
        if found is not None:
            return found
    if path.is_file() and _MAY_BE_OURS.match(head(path)):
        return None
    raise UsageError(
        f"{path} is in no format that is known here: what `doteval export` writes, and the logs of "
        f"{', '.join(registry.names())}"
    )


def _told(name: str, path: Path, found: Lines | None) -> Iterator[bytes] | None:
    if found is None:
        return None

    def told() -> Iterator[bytes]:
        try:
            for line in found:
                yield dump(line).encode("ascii")
        except UsageError as error:
            raise UsageError(f"{path}, read as a log of {name}: {error}") from error

    return told()


# --- to lines ---------------------------------------------------------------------------------


def lines(name: str, created: float, parts: Iterable[Part]) -> Lines:
    """
    The lines of an experiment.

    Args:
        created: Unix seconds.

    Raises:
        UsageError: a part is said to be complete and has no row, or its second telling has more.
    """
    yield {"type": "experiment", "doteval": 1, "name": name, "created": created}
    records = attempts = 0
    for part in parts:
        for line in _lines_of_part(part):
            records += line["type"] == "record"
            attempts += line["type"] == "attempt"
            yield {**line, "evaluation": part.evaluation}
    yield {"type": "end", "records": records, "attempts": attempts}


def _lines_of_part(part: Part) -> Lines:
    last: dict[tuple[int, int], int] = {}
    metrics: dict[str, list[str]] = {}
    columns: dict[str, None] = {}
    for number, answer in enumerate(part.answers()):
        last[answer.position, answer.repeat] = number
        columns.update(dict.fromkeys(answer.row))
        for score, value in answer.scores.items():
            if score in answer.metrics:
                metrics[score] = answer.metrics[score]
            elif isinstance(value, bool):
                metrics[score] = ["accuracy"]
            elif is_number(value):
                metrics.setdefault(score, ["mean"])
    if not last and part.status == "complete":
        raise UsageError(f"{part.evaluation!r:.200} has no rows: they were not logged")
    run = blake2b(dump([part.run, part.evaluation]).encode(), digest_size=16).hexdigest()
    yield {"type": "evaluation", "total": part.total, "scores": metrics}
    yield _run(part, run, list(columns))
    identities, known = (Identities(tuple(columns)), Identities(())), dict[int, Any]()
    for number, answer in enumerate(part.answers()):
        latest = last.get((answer.position, answer.repeat), -1)
        if latest < number:
            raise UsageError(
                f"the log of {part.evaluation!r:.200} changed while it was read; import it again"
            )
        if answer.position not in known:
            values = tuple(answer.row.get(column) for column in columns)
            known[answer.position] = _identity(identities, values)
        key, digest = known[answer.position]
        same = {"run": run, "key": key.hex(), "repeat": answer.repeat}
        same["started"] = part.started if answer.started is None else answer.started
        last_words = () if answer.error is None else (answer.failure[0],)
        for at, message in enumerate((*answer.retries, *last_words), 1):
            yield _attempt(same, at, message)
        state = "live" if latest == number else "superseded"
        digest = None if digest is None else digest.hex()
        yield {**_record(answer), **same, "state": state, "digest": digest}


def _identity(
    identities: tuple[Identities, Identities], values: tuple[Any, ...]
) -> tuple[bytes, bytes | None]:
    """Of a row as of any dataset's; where its id is not the only one, by all that is in it."""
    try:
        return identities[0].meet(values)[:2]
    except DatasetError:
        return identities[1].meet(values)[:2]


def _run(part: Part, run: str, columns: list[str]) -> Mapping[str, Any]:
    return {
        "type": "run",
        "run": run,
        "part": "",
        "started": part.started,
        "finished": part.finished,
        "duration": max(0.0, (part.finished or part.started) - part.started),
        "status": part.status,
        "pid": 0,
        "header": {"columns": columns, "total": part.total, **redacted(part.header)},
        "history": [],
        "error": redacted(part.error),
    }


def _attempt(same: Mapping[str, Any], number: int, message: str) -> Mapping[str, Any]:
    told = {"duration": 0.0, "outcome": "ignored", "error": kind_of(message)}
    return {"type": "attempt", **same, "number": number, **told, "message": redacted(message)}


def _record(answer: Answer) -> dict[str, Any]:
    scores = {name: value for name, value in answer.scores.items() if is_number(value)}
    others = {name: value for name, value in answer.scores.items() if name not in scores}
    error, failure = answer.error, answer.failure
    if error is None and not scores:
        error, failure = UNSCORED, (f"no score is a number: {others!r:.500}", "")
    body = {"row": answer.row, **answer.texts}
    if error is not None:
        others, scores = {**scores, **others}, {}
        body["failure"] = redacted({"message": failure[0], "traceback": failure[1]})
    if others:
        kept = {name: {"value": v, **answer.notes.get(name, {})} for name, v in others.items()}
        body["metadata"] = {**body.get("metadata", {}), "no_scores": kept}
    notes = {name: note for name, note in answer.notes.items() if note and name in scores}
    if notes:
        body["scores"] = notes
    read, written, cost, cached, reasoning = answer.usage
    if cached is not None or reasoning is not None:
        body["usage"] = {"cached_tokens": cached, "reasoning_tokens": reasoning}
    return {
        "type": "record",
        "scores": {name: _finite(value) for name, value in scores.items()},
        "position": answer.position,
        "error": error,
        "attempts": 1 + len(answer.retries),
        "duration": answer.duration,
        "waited": 0.0,
        "concurrency": 0,  # nobody knows
        "input_tokens": read,
        "output_tokens": written,
        "cost": cost,
        "body": body,
    }


def _finite(value: Any) -> Any:
    return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")
