"""
What people type to say how much, and of what: one grammar, for every door.

    number     digits, with "_" or "," between them, and a fraction: 5, 90_000, 2.5
    count      a number, in k, M or G where it is large: 10k, 2M
    time       a number and its unit, short or written out: 90s, 30 min, 2 hours, 30d, 8w
    share      a number and "%": 5%
    rate       a count, of what, and a unit of time: 500/min, 90k tokens per minute, 500 rpm
    shard      which part of how many: 2/4
    parameter  NAME=VALUE
    tag        NAME=VALUE, both texts
    axis       NAME=VALUE,VALUE: a parameter and the values it is to have

A reader that raises says what it expected; whoever asked says what was given, and where (`read`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from .errors import UsageError

Value = TypeVar("Value")

# Texts and not compiled: an idle plugin of pytest loads this room, and needs none of them.
_NUMBER = r"([0-9][0-9_,]*(?:\.[0-9]+)?)"
_RATE = rf"{_NUMBER} ?([kmg]?) ?(?:(requests?|reqs?|tokens?|) ?(?:/|per) ?([a-z]+)|([rt])p([sm]))"
_MOST = 1e18  # more is a typing error, and no index

_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_TIMES = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0}
_TIMES |= {"h": 3600.0, "hr": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}
_TIMES |= {"w": 7 * 86400.0, "week": 7 * 86400.0}
_TIMES |= {f"{unit}s": seconds for unit, seconds in _TIMES.items() if len(unit) > 1}


def count(text: str) -> float | None:
    """ "2M" is 2,000,000, an int where it is whole; None: it is no count."""
    return _amount(text, _COUNTS)


def seconds(text: str) -> float | None:
    """ "30m" is 1,800; None: it is no time with its unit."""
    return _amount(text, _TIMES)


def share(text: str) -> float | None:
    """ "5%" is 0.05, and "120%" is 1.2; None: it is no number with a percent sign."""
    found = re.fullmatch(rf"{_NUMBER} ?%", text.strip())
    # 0.7 / 100 is not 0.007 but its neighbour
    return None if found is None else float(f"{_digits(found[1])}e-2")


def _amount(text: str, units: Mapping[str, float]) -> float | None:
    found = re.fullmatch(rf"{_NUMBER} ?([a-z]*)", text.strip().lower())
    return _times(found[1], units[found[2]]) if found and found[2] in units else None


def _times(number: str, unit: float) -> float | None:
    value = float(_digits(number)) * unit
    if value >= _MOST:
        return None
    return int(value) if value.is_integer() else value


def _digits(number: str) -> str:
    return number.replace(",", "").replace("_", "")


def read(parse: Callable[[str], Value], text: str, name: str = "") -> Value:
    """
    What a text says.

    Args:
        parse: reads it.
        name: of the option or the argument that it was given for.

    Raises:
        UsageError: what `parse` raised, after the name and the text.
    """
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{name}{'=' * bool(name)}{text!r:.80}: {error}") from None


def parse_rows(text: str) -> int:
    """
    How many rows, at least one.

    Raises:
        UsageError: it is no such number.
    """
    found = count(text)
    if isinstance(found, int) and found >= 1:
        return found
    raise UsageError("expected a number of rows, 1 or more, as in 10")


def parse_age(text: str) -> float:
    """
    How old, in seconds: a time, or 0.

    Raises:
        UsageError: it is neither.
    """
    found = 0 if count(text) == 0 else seconds(text)
    if found is None:
        raise UsageError("expected a time such as 12h, 30d or 8w, or 0")
    return found


def parse_rate(text: str) -> tuple[str, float, float] | None:
    """
    "90k tokens/min" is ("tokens", 90_000, 60.0), and "5/s" ("requests", 5, 1.0).

    None: it is no rate.

    Raises:
        UsageError: it is one, of an unknown unit of time.
    """
    found = re.fullmatch(_RATE, text.strip().lower())
    value = None if found is None else _times(found[1], _COUNTS[found[2]])
    if found is None or value is None:
        return None
    _, _, kind, unit, short, of = found.groups()
    if (unit or of) not in _TIMES:
        raise UsageError(f"{unit!r} is no unit of time; use s, min, h or day")
    is_tokens = short == "t" or (kind or "").startswith("token")
    return "tokens" if is_tokens else "requests", value, _TIMES[unit or of]


class Shard(NamedTuple):
    """
    A part of the rows.

    Attributes:
        at: which one, from 0.
        of: how many there are; a million are enough.
    """

    at: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """
        "2/4" is the second of four: (1, 4).

        Raises:
            UsageError: it is no part of a whole.
        """
        found = re.fullmatch("0*([1-9][0-9]{0,5})/0*([1-9][0-9]{0,5})", text)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError("expected i/n with 1 <= i <= n, such as 2/4")
        return cls(int(found[1]) - 1, int(found[2]))

    def __str__(self) -> str:
        return f"{self.at + 1}/{self.of}"


class Allowance(NamedTuple):
    """
    How many rows of an evaluation may fail: at most so many, or at most such a share of them.

    Attributes:
        rows, share: a number of them; a part of them, in 0..1.
        said: as it was typed.
    """

    rows: int = 0
    share: float = 0.0
    said: str = ""

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """
        "5" rows, or "2%" of them.

        Raises:
            UsageError: it is neither.
        """
        said = text.strip()
        part, rows = share(said), count(said)
        if part is not None and part <= 1:
            return cls(share=part, said=said)
        if isinstance(rows, int):
            return cls(rows=rows, said=said)
        raise UsageError("expected a number of rows such as 5, or a share of them such as 2%")

    def covers(self, failed: int, done: int) -> bool:
        """Whether so many failures, of so many rows that were done, are allowed."""
        return failed <= self.rows or not exceeds(failed, done, self.share)

    def __str__(self) -> str:
        return self.said


def exceeds(part: int, whole: int, share: float) -> bool:
    """Whether a part is more than a share of the whole; 29 of 100 are not more than 29%."""
    return part > 0 and part / whole > share  # 0.29 * 100 is a little less than 29


class Param(NamedTuple):
    """
    A value for a parameter.

    Attributes:
        name, value: of the parameter.
        said: as both were typed.
    """

    name: str
    value: Any
    said: str

    @classmethod
    def parse(cls, text: str) -> Param:
        """
        "temperature=0.5" is 0.5 for "temperature".

        The value is JSON where it can be read as such, else a text: "model=large" is "large", and
        so is 'model="large"'.

        Raises:
            UsageError: it is no NAME=VALUE.
        """
        import json  # here: an idle pytest plugin needs it not

        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise UsageError("expected NAME=VALUE, as in model=large")
        try:
            return cls(name.strip(), json.loads(value), text)
        except ValueError:
            return cls(name.strip(), value, text)

    def __str__(self) -> str:
        return self.said


class Axis(NamedTuple):
    """
    The values that a parameter is to have, one after the other.

    Attributes:
        params: each of them, as `Param` reads it.
        said: as it was typed.
    """

    params: tuple[Param, ...]
    said: str

    @classmethod
    def parse(cls, text: str) -> Axis:
        """
        "model=small,large" is two values for "model"; a value can hold no comma.

        Raises:
            UsageError: it is no NAME=VALUE,VALUE, or a value stands there twice.
        """
        name, _, values = text.partition("=")
        each = [value.strip() for value in values.split(",")]
        if not all(each) or len(set(each)) < len(each):
            raise UsageError("expected NAME=VALUE,VALUE with different values, as in model=a,b")
        return cls(tuple(Param.parse(f"{name}={value}") for value in each), text)

    def __str__(self) -> str:
        return self.said


def tag(text: str) -> tuple[str, str]:
    """
    "prompt=v2" is ("prompt", "v2"); the value is a text, and may be empty.

    Raises:
        UsageError: it is no NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError("expected NAME=VALUE, as in prompt=v2")
    return name.strip(), value.strip()


def words(option: str, value: object) -> list[str]:
    """What to type for an option to have this value again; nothing where it was not given."""
    if isinstance(value, list):
        return [word for each in value for word in words(option, each)]
    if value is True:
        return [option]
    said = str(value or "")
    return [option, said] if said else []
