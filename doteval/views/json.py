"""
Plain data as JSON that every parser reads, in pieces where it is long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from .. import text


def encoded(value: Any, indent: int | None = None) -> str:
    """
    In ASCII. Figures are not rounded; NaN and the infinities, which JSON does not know, are null.
    """
    try:
        told = json.dumps(value, indent=indent, default=str, allow_nan=False)
    except ValueError:  # rare, so only then it is copied
        told = json.dumps(_finite(value), indent=indent, default=str, allow_nan=False)
    told = text.safe_json(told)
    return told.replace("\x7f", "\\u007f")  # the one control character that json leaves alone


def plain(value: Any) -> Any:
    """What `to_dict` of the value says, and what is in it, as dicts, lists and values."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def plain_fields(value: Any) -> dict[str, Any]:
    """The same of each field of a dataclass with slots."""
    return {name: plain(getattr(value, name)) for name in value.__slots__}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def json_pieces(value: Any) -> Iterator[str]:
    """
    A document with its line end.

    An iterator in it, as a value or an item, is an array that is written while it is read, with an
    item on each line. What has none is written at once, indented.
    """
    yield from text.together(chain(_pieces(value, 2), "\n"))


def _pieces(value: Any, indent: int | None) -> Iterator[str]:
    if isinstance(value, Iterator):
        yield "["
        between = "\n"
        for item in value:
            yield between
            yield from _pieces(item, None)
            between = ",\n"
        yield "\n]"
    elif isinstance(value, dict) and any(isinstance(each, Iterator) for each in value.values()):
        between = "{"
        for key, each in value.items():
            yield f"{between}\n{encoded(key)}: "
            yield from _pieces(each, 2)
            between = ","
        yield "}"
    else:
        yield encoded(value, indent)
