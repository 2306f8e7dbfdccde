"""
Values and documents as JSON texts, and back.

Texts become JSON in ASCII, so that lone surrogates and NUL survive; NaN and the infinities too.
Values that JSON does not know are kept as people would write them: dates in ISO form, sets as
lists, bytes as base64, objects by their fields, images and large arrays as what they are
(`<image RGB 640x480>`), anything else as its `repr`, cut, without the address in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import DamageError, UsageError
from ..keys import described, fields_of, is_missing
from ..quantities import Shard

_LONGEST_REPR = 1_000  # characters kept of a value that JSON does not know
LONGEST_INT = 14_000  # bits; from 4,300 digits on, Python refuses to print or read it
_DEEPEST = 50  # containers within each other that are left where the encoder could not go on
_DEEPEST_READ = 200  # and that whoever reads can bear, wherever on the stack it stands
_LARGEST_ARRAY = 10_000  # values; larger ones would be most of the store

PARTS = ("cached_tokens", "reasoning_tokens")  # of a usage, beside its columns


def dump(value: Any) -> str:
    """Any value as JSON text."""
    if type(value) is str:
        return _text(value)
    try:
        told = _encode(value)
        if told.count("[") + told.count("{") <= _DEEPEST_READ or not _is_deep(told):
            return told
    except (TypeError, ValueError, RecursionError):  # keys that are no text, circles
        pass
    return _encode(_plain(value, ()))


def _is_deep(told: str) -> bool:
    """Whether somebody who stands deeper on the stack could fail to read it."""
    within = [json.loads(told)]
    for _ in range(_DEEPEST_READ):
        within = [
            item
            for each in within
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (dict, list))
        ]
        if not within:
            return False
    return True


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
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> DamageError:
    return DamageError(f"a text in the store is damaged ({error}); see `doteval doctor`")


def load_header(text: str) -> dict[str, Any]:
    """
    The header of a run.

    Raises:
        StoreError: it is none; the file is damaged.
    """
    header: dict[str, Any] = _load(text, check_header)
    return header


def load_history(text: str | None) -> tuple[Mapping[str, Any], ...]:
    """
    The history of a run; none where it is not known.

    Raises:
        StoreError: it is none; the file is damaged.
    """
    return tuple(_load(text, check_history)) if text else ()


def load_metrics(text: str) -> tuple[str, ...]:
    """
    The names of the metrics of a score.

    Raises:
        StoreError: they are none; the file is damaged.
    """
    return tuple(_load(text, check_metrics))


def _load(text: str, check: Callable[[Any], None]) -> Any:
    value = load(text)
    try:
        check(value)
    except ValueError as error:
        raise _damaged(error) from error
    return value


def load_body(text: str) -> Mapping[str, Any]:
    """
    The document of a record.

    Raises:
        ValueError: the text is none; the file is damaged.
    """
    try:
        if not isinstance(text, str):
            raise ValueError(f"expected a text, got {text!r:.40}")
        body, end = _scan(text)  # as `loads` does, without looking for white space around it
        if end != len(text):
            body = json.loads(text)
    except RecursionError:  # another version of Python could write what this one can not read
        return {"row": {"?": "<nested too deeply to be read>"}}
    check_body(body)
    found: Mapping[str, Any] = body
    return found


def is_part(value: Any) -> bool:
    """Whether it names a shard, as `quantities.Shard` does: "1/4" to "4/4"."""
    try:
        return isinstance(value, str) and str(Shard.parse(value)) == value
    except UsageError:
        return False


_Fits = Callable[[Any], bool]


def _optional(fits: _Fits) -> _Fits:
    return lambda value: value is None or fits(value)


def _list(fits: _Fits) -> _Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _values(fits: _Fits) -> _Fits:
    """An object with any names."""
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _object(fits: _Fits, *names: str, **others: _Fits) -> _Fits:
    """An object with these names, whose values fit."""
    fields = {**dict.fromkeys(names, fits), **others}
    return lambda value: (
        isinstance(value, dict)
        and fields.keys() <= value.keys()
        and all(fits(value[name]) for name, fits in fields.items())
    )


def _part(fits: _Fits, *names: str) -> _Fits:
    """An object that may have these names, whose values fit."""
    return lambda value: (
        isinstance(value, dict) and all(fits(value[name]) for name in names if name in value)
    )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**63  # NaN is not


_is_text = _optional(_is_string)
_is_count = _optional(_is_whole), "a whole number, or null"
_is_amount = _optional(lambda value: type(value) in (int, float))
_ESTIMATE = _object(_is_amount, "value", "stderr", "low", "high", method=_is_string, n=_is_whole)
_FIGURE = _object(  # what `reporting.figures.kept` makes
    _is_string, "score", "metric", estimate=_ESTIMATE, of=_values(_is_amount),
    confidence=lambda value: type(value) is float,
)  # fmt: skip
_HEADER: dict[str, tuple[_Fits, str]] = {
    **dict.fromkeys(
        ("doteval", "python", "platform", "commit", "branch", "note", "source", "named"),
        (_is_text, "a text"),
    ),
    **dict.fromkeys(("code", "config"), (_is_object, "an object")),
    **dict.fromkeys(("samples", "total"), _is_count),
    "tags": (_values(_is_text), "an object of texts"),
    "clean": (_optional(_is_flag), "true, false or null"),
    "strategy": (_part(_is_string, "name"), "an object with a name"),
    "columns": (_list(_is_string), "a list of names"),
    "repeats": (_is_whole, "a whole number"),
    "cluster": (_is_text, "a name, or null"),
    "fresh": (_is_flag, "true or false"),
    "shard": (_optional(is_part), 'such as "1/4", or null'),
    "rescored": (_object(_is_string, "from", edits=_is_whole), "an object with from and edits"),
    "calls": (
        _object(_is_whole, "made", "served"),
        "an object with the whole numbers made and served",
    ),
    "until": (
        _object(_is_string, "gate", "outcome", "problem", n=_is_whole, rows=_is_whole),
        "an object with gate, outcome, problem, n and rows",
    ),
    "figures": (_list(_FIGURE), "a list of figures as a run keeps them"),
}


def check_header(header: Any) -> None:
    """
    See that the header of a run can be read by whoever asks for its fields. What else it holds is
    for who knows it.

    Raises:
        ValueError: it can not; says which field and what was expected.
    """
    _check(header, "'header'", _HEADER)


_CHANGE: dict[str, tuple[_Fits, str]] = {
    "at": (_is_number, "a number of seconds"),
    "limit": (_is_whole, "a whole number"),
    "reason": (_is_text, "a text, or null"),
    "throughput": (_optional(_is_number), "a number, or null"),
}


def check_metrics(metrics: Any) -> None:
    """
    See that the metrics of a score are a list of names.

    Raises:
        ValueError: they are not.
    """
    if not _list(_is_string)(metrics):
        raise ValueError("the metrics of a score are no list of names")


def check_history(history: Any) -> None:
    """
    See that the history of a run is a list of changes of the limit.

    Raises:
        ValueError: it is not; says which field and what was expected.
    """
    if not isinstance(history, list):
        raise ValueError("'history' is no list of objects")
    for change in history:
        _check(change, "a change in 'history'", _CHANGE)
        if not {"at", "limit"} <= change.keys():
            raise ValueError("a change in 'history' lacks 'at' or 'limit'")


_BODY: dict[str, tuple[_Fits, str]] = {
    **dict.fromkeys(("row", "scores", "expected"), (_is_object, "an object")),
    "error": (_is_text, "a text, or null"),
    "labels": (_values(_is_string), "an object of texts"),
    "unread": (_list(_is_string), "a list of names"),
    "usage": (
        _part(_optional(_is_number), *PARTS),
        "an object with the numbers cached_tokens and reasoning_tokens",
    ),
    "failure": (
        _part(_is_string, "message", "traceback"),
        "an object with the texts message and traceback",
    ),
}


def check_body(body: Any) -> None:
    """
    See that the document of a record has what `decode` reads.

    Raises:
        ValueError: it has not; says which field and what was expected.
    """
    _check(body, "'body'", _BODY)
    if "row" not in body:
        raise ValueError("'body' has no row")


def _check(given: Any, what: str, fields: Mapping[str, tuple[_Fits, str]]) -> None:
    if not isinstance(given, dict):
        raise ValueError(f"{what} is no object")
    for name, value in given.items():
        fits, expected = fields.get(name, (None, ""))
        if fits is not None and not fits(value):
            raise ValueError(f"{what}: {name!r} is {value!r:.40}, expected {expected}")


def cluster_of(value: Any) -> str | None:
    """What a column holds of the value that names a cluster; a blank tells 1 from "1"."""
    return value if value is None or type(value) is str else f" {dump(value)}"


def storable(text: str) -> str:
    """A name or a message as a column can hold it: lone surrogates are written out."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
    if is_missing(value):
        return None
    about = _about(value)
    if about is not None:
        return about
    for name in ("isoformat", "tolist", "model_dump"):  # dates; numpy; pydantic
        method = getattr(value, name, None)
        if callable(method) and not isinstance(value, type):
            return method()
    names = fields_of(value)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value)[:_LONGEST_REPR])


def _about(value: Any) -> str | None:
    """What stands for an image or a large array, whose values nobody would read; else None."""
    about = described(value)
    if about is None:
        return None
    is_small = about.startswith("array") and math.prod(value.shape) <= _LARGEST_ARRAY
    return None if is_small and hasattr(value, "tolist") else f"<{about}>"


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
        return value if value.bit_length() <= LONGEST_INT else hex(value)
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
