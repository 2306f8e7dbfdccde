"""
Records to what a store writes, and back.

Texts become JSON in ASCII, so that lone surrogates and NUL survive; NaN and the infinities too.
Values that JSON does not know are kept as people would write them: dates in ISO form, sets as
lists, bytes as base64, anything else as its `repr`, cut.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import StoreError
from ..records import Attempt, Failure, Record, Result, Score, Usage

_LONGEST_REPR = 1_000  # characters kept of a value that JSON does not know
_LONGEST_INT = 14_000  # bits; from 4,300 digits on, Python refuses to print or read it
_DEEPEST = 50

RECORD_COLUMNS = (  # beside id, evaluation, run and state
    "key, digest, repeat, position, error, attempts, started, duration, waited, concurrency, "
    "input_tokens, output_tokens, cost"
)
ATTEMPT_COLUMNS = (  # beside evaluation and run
    "key, repeat, number, started, duration, outcome, error, message"
)


class Entry(NamedTuple):
    """
    A record, ready to be written: the values of RECORD_COLUMNS, its texts, its scores.

    `replaces` is the id of the stored record that this one takes the place of: a failure, or the
    result of a row that was changed.
    """

    record: Record
    columns: tuple[Any, ...]
    body: str
    scores: tuple[Score, ...]
    replaces: int | None


def dump(value: Any) -> str:
    """Any value as JSON text."""
    if type(value) is str:
        return _text(value)
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, circles
        return _encode(_plain(value, ()))


def row_dumper(columns: tuple[str, ...]) -> Callable[[tuple[Any, ...]], str]:
    """
    A function that dumps the values of a row as an object with these keys, as `dump` does; sooner
    where all are texts.
    """
    form = f"{{{', '.join(f'{dump(column)}: %s' for column in columns)}}}"

    def dump_row(values: tuple[Any, ...]) -> str:
        for value in values:
            if type(value) is not str:
                return dump(dict(zip(columns, values, strict=True)))
        return form % tuple(map(_text, values))

    return dump_row


def load(text: str) -> Any:
    """
    The value of a JSON text of a store.

    Raises:
        StoreError: it is none; the file is damaged.
    """
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"a text in the store is damaged ({error}); see `doteval doctor`"
        ) from error


def load_body(text: str) -> Mapping[str, Any]:
    """
    The document of a record.

    Raises:
        ValueError: the text is none; the file is damaged.
    """
    try:
        # What `loads` does, without its looking for white space around it.
        body, end = _scan(text) if isinstance(text, str) else (None, -1)
        if end != len(text):
            body = json.loads(text)
    except RecursionError:  # another version of Python could write what this one can not read
        return {"row": {"?": "<nested too deeply to be read>"}}
    if not isinstance(body, dict):
        raise ValueError(f"expected an object, got {text:.80}")
    return body


def encode(
    record: Record,
    row: str,
    digest: bytes | None,
    usage: Usage,
    replaces: int | None,
) -> Entry:
    """
    Make a record ready to be written.

    Args:
        row: the row as JSON, from before the function could change it.
        digest: of the other columns, where the row has an id.
        usage: of its result.
        replaces: see Entry.
    """
    (
        key, position, repeat, _, outcome, attempts, started, duration, waited, concurrency
    ) = record  # fmt: skip
    input_tokens, output_tokens, cost = usage
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
    columns = (
        key,
        digest,
        repeat,
        position,
        error,
        attempts,
        started,
        duration,
        waited,
        concurrency,
        input_tokens,
        output_tokens,
        cost,
    )
    return Entry(record, columns, f'{{"row": {row}{extra}}}', scores, replaces)


def _texts(result: Result, scores: tuple[Score, ...]) -> str:
    parts = ""
    if result.prompt is not None:
        parts += f', "prompt": {dump(result.prompt)}'
    if result.model_response is not None:
        parts += f', "model_response": {dump(result.model_response)}'
    if result.metadata:
        parts += f', "metadata": {dump(result.metadata)}'
    if result.error is not None:
        parts += f', "error": {dump(result.error)}'
    for score in scores:
        if score.metadata:
            notes = {score.name: score.metadata for score in scores if score.metadata}
            return f'{parts}, "scores": {dump(notes)}'
    return parts


def decode(
    columns: tuple[Any, ...],
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
        input_tokens, output_tokens, cost,
    ) = columns  # fmt: skip
    usage = None
    if input_tokens is not None or output_tokens is not None or cost is not None:
        usage = Usage(input_tokens, output_tokens, cost)
    notes = body.get("scores", {})
    result = Result(
        *[
            Score(name, value_of(value, boolean), tuple(metrics), notes.get(name))
            for name, value, boolean, metrics in scores
        ],
        prompt=body.get("prompt"),
        model_response=body.get("model_response"),
        error=body.get("error"),
        metadata=body.get("metadata"),
        usage=usage,
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


def value_to(value: bool | int | float) -> tuple[Any, int]:
    """
    A score's value as SQLite holds it, and 1 where it is a bool: that becomes a number, NaN will
    be NULL, and what passes 63 bits is text.
    """
    if value is True or value is False:
        return int(value), 1
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value), 0
    return value, 0


def value_of(stored: Any, boolean: int) -> bool | int | float:
    """The value that `value_to` was given."""
    if stored is None:
        return float("nan")
    if boolean:
        return bool(stored)
    if isinstance(stored, str):
        return int(stored)
    value: int | float = stored
    return value


def storable(text: str) -> str:
    """A name or a message as a column can hold it: lone surrogates are written out."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def attempt_columns(attempt: Attempt) -> tuple[Any, ...]:
    """A failed attempt as ATTEMPT_COLUMNS hold it."""
    return (
        attempt.key,
        attempt.repeat,
        attempt.number,
        attempt.started,
        attempt.duration,
        attempt.outcome,
        storable(attempt.error),
        storable(attempt.message),
    )


def _default(value: Any) -> Any:
    """What JSON does not know, as data that it does; whatever the value's own code does."""
    try:
        return _as_data(value)
    except RecursionError:
        raise  # else every level above would go on with its next value, and so for ages
    except Exception as error:  # a method of a foreign class, of which only this is worth telling
        return f"<{type(value).__name__}: {type(error).__name__} when it was written down>"


def _as_data(value: Any) -> Any:
    import base64
    from collections.abc import Set
    from dataclasses import fields, is_dataclass
    from decimal import Decimal
    from enum import Enum
    from fractions import Fraction
    from pathlib import PurePath
    from uuid import UUID

    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value, key=repr)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (PurePath, Decimal, Fraction, UUID)):
        return str(value)
    for name in ("isoformat", "tolist", "model_dump"):  # dates; numpy; pydantic
        method = getattr(value, name, None)
        if callable(method) and not isinstance(value, type):
            return method()
    return repr(value)[:_LONGEST_REPR]


def _encoder(make: Any) -> Callable[[Any], str]:
    """
    What `JSONEncoder(default=_default).encode` is, except that this makes its encoder in C anew
    at each call, which takes longer than to write a row with it.

    Args:
        make: what makes an encoder in C; None where there is none.
    """
    slow = json.JSONEncoder(default=_default).encode

    def fresh() -> Callable[[Any, int], Iterable[str]]:
        encoder: Callable[[Any, int], Iterable[str]] = make(
            {}, _default, _text, None, ": ", ", ", False, False, True
        )
        return encoder

    try:
        if "".join(fresh()([{"a": 0.5}, None], 0)) != slow([{"a": 0.5}, None]):
            return slow
    except TypeError:  # there is none, or it takes other arguments: nothing is promised
        return slow
    write = fresh()

    def fast(value: Any) -> str:
        nonlocal write
        try:
            return "".join(write(value, 0))
        except BaseException:
            write = fresh()  # the old one still believes to be inside of what it failed at
            raise

    return fast


_scan = json.JSONDecoder().raw_decode
_text = json.encoder.encode_basestring_ascii
_encode = _encoder(getattr(json.encoder, "c_make_encoder", None))


def _plain(value: Any, above: tuple[int, ...]) -> Any:
    """
    A copy that JSON can hold, where the encoder could not: keys as text, circles cut.

    Args:
        above: the ids of the containers that this value is in.
    """
    if value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _LONGEST_INT else hex(value)
    if id(value) in above:
        return "<contains itself>"
    if len(above) >= _DEEPEST:
        return "<nested too deeply>"
    above = (*above, id(value))
    if isinstance(value, dict):
        return {_key(key): _plain(item, above) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, above) for item in value]
    return _plain(_default(value), above)


def _key(key: Any) -> str:
    plain = _plain(key, ())
    return plain if isinstance(plain, str) else _encode(plain)
