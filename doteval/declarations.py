"""
What somebody declares of an evaluation, read and checked: columns, tags, a config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import UsageError
from .text import safe

Config = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


def parse_columns(spec: object) -> tuple[str, ...]:
    """
    The column names of a spec such as "question, answer".

    Raises:
        UsageError: it is not a text of comma-separated, distinct identifiers.
    """
    if not isinstance(spec, str):
        raise UsageError(
            f"foreach() takes the column names first, as a text such as 'question,answer'; "
            f"got {type(spec).__name__}"
        )
    names = tuple(name.strip() for name in spec.split(","))
    if not spec.strip():
        raise UsageError("foreach() got an empty column spec; name the columns: 'question,answer'")
    for index, name in enumerate(names):
        if not name.isidentifier():
            raise UsageError(
                f"foreach({spec!r}): column {index + 1} is {name!r}, which is no parameter name"
            )
        if name in names[:index]:
            raise UsageError(f"foreach({spec!r}): the column {name!r} stands there twice")
    return names


def parse_tags(spec: object) -> tuple[str, ...]:
    names = tuple(name.strip() for name in spec.split(",")) if isinstance(spec, str) else ("",)
    if spec == "":
        return ()
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(
            f"foreach(tags={safe(repr(spec), 80)}): expected keys of the rows, each once, as in "
            "'difficulty,source'"
        )
    return names


def as_config(given: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """
    A copy of a mapping of plain values, as it comes back from JSON.

    Raises:
        UsageError: it is none; names the value that is not plain.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise UsageError(f"{name}: expected a mapping by text, got {safe(given, 80)}")
    return {key: _plain_value(value, f"{name}[{key!r}]") for key, value in given.items()}


def _plain_value(value: Any, path: str) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain_value(each, f"{path}[{at}]") for at, each in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain_value(each, f"{path}[{key!r}]") for key, each in value.items()}
    raise UsageError(
        f"{path} is of type {type(value).__name__}; expected plain values: texts, numbers, "
        "true, false, None, and lists and mappings of these"
    )
