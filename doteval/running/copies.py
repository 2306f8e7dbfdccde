"""
Each attempt's own copy of a row, so that none sees what another has done to it.

A chat evaluation appends to the messages of its row. The next repeat, and the next attempt, have to
find the row as the dataset gave it, and the dataset has to stay as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ..keys import is_stable
from ..record import ATOMS


def on_copies(function: Callable[..., Any], /, **row: Any) -> Any:
    """
    Call a function with copies of a row's values, by name.

    Data are copied: lists, dicts, sets, and whatever else has a form to know the row by. What has
    none, and can be in a row only beside an `id`, is a handle and shared by all attempts: a client
    or a lock is of use because it is the same for all.
    """
    made: dict[int, Any] = {}  # by the id of the original: what was one object stays one
    return function(**{name: _copy(value, made) for name, value in row.items()})


def _copy(value: Any, made: dict[int, Any]) -> Any:
    kind = type(value)
    if kind in ATOMS:
        return value
    if id(value) in made:
        return made[id(value)]
    if kind is list:
        items = made[id(value)] = []
        items.extend(_copy(each, made) for each in value)
        return items
    if kind is dict:
        mapping = made[id(value)] = {}
        mapping.update((key, _copy(each, made)) for key, each in value.items())
        return mapping
    if kind is tuple:
        copied = tuple(_copy(each, made) for each in value)
    else:
        copied = _copy_of_object(value, made)
    made[id(value)] = copied
    return copied


def _copy_of_object(value: Any, made: dict[int, Any]) -> Any:
    try:
        return deepcopy(value, made) if is_stable(value) else value
    except Exception:  # its own __deepcopy__ or __reduce__: it can not be copied, so it is shared
        return value
