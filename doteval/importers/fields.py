"""
What stands in the files of other tools, read so that nothing strange gets through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UsageError
from ..redaction import redact

T = TypeVar("T")
_HEAD = 1_000  # bytes of a file in which its format shows
_EXPECTED = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def is_number(value: Any) -> bool:
    """Whether it can be a score: NaN is what tools write where there is none."""
    return isinstance(value, (bool, int, float)) and value == value


def head(path: Path) -> bytes:
    """The first bytes of a file, in which its format shows."""
    with open(path, "rb") as file:
        return file.read(_HEAD)


def parsed(text: str | bytes, what: str) -> dict[str, Any]:
    """
    A JSON object.

    Raises:
        UsageError: it is none; `what` is what the message calls it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is no JSON ({error}); was it cut short?") from None
    if not isinstance(value, dict):
        raise UsageError(f"{what} is {value!r:.80}, expected an object")
    return value


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """Each line of a file, without the blank ones, as `parsed` does."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield parsed(line, f"line {number}")


def get(of: Mapping[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """
    A field of an object.

    Args:
        default: where there is none, or null; None: there must be one.

    Raises:
        UsageError: it is of another kind; or what should have it is no object.
    """
    if not isinstance(of, dict):
        raise UsageError(f"{of!r:.80} stands where an object with {name!r} should")
    value = of.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{name!r} is {value!r:.80}, expected {_EXPECTED[kind]}")
    return value


def redacted(value: Any) -> Any:
    """Settings and failures of another tool, without the credentials that stand in their texts."""
    if isinstance(value, dict):
        return {name: redacted(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(each) for each in value]
    return redact(value) if isinstance(value, str) else value


def count(of: Mapping[str, Any], name: str) -> Any:
    """A number of tokens, or a cost or seconds; None where there is none."""
    value: Any = of.get(name)
    return value if is_number(value) and 0 <= value < 2**63 else None


def kind_of(message: str) -> str:
    """The type of the exception that a text such as "RuntimeError('gone')" tells, else "Error"."""
    found = re.match(r"(?:\w+\.)*([A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt))\b", message)
    return found[1] if found else "Error"


def seconds(moment: Any) -> float | None:
    """Unix seconds of an ISO time; None where there is none. Without a zone it is local time."""
    if not isinstance(moment, str) or not moment:
        return None
    try:
        return datetime.fromisoformat(re.sub("Z$", "+00:00", moment)).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{moment!r:.80} is no ISO time ({error})") from None
