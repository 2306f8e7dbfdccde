"""
Row identity: what makes a row the same row in another run, process or machine.

A row is known by its content, never by its position: by its `id` column where there is one,
else by a digest of its values. Equal rows are told apart by their occurrence (first, second, …).

The canonical form is text that only equal values of equal types share: 1, 1.0, True and "1"
differ, so do the keys 1 and "1"; the order of a dict or a set does not matter. For a row of
plain values it is `ascii()` of the tuple, one call in C. `ascii` and not `repr`, because what
repr escapes depends on the interpreter's Unicode tables.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from .errors import DatasetError

ATOMS = frozenset({str, int, float, bool, type(None), bytes})
# What the values of subclasses count as. Not `str(value)`, which the subclass may redefine.
_PLAINER: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    bytes: bytes,
    int: int.__index__,
    float: float.__float__,
    list: list,
    tuple: tuple,
    dict: dict,
}
_SEEN = 1  # lowest bit of a state: this pass over the dataset has met the row


def digest_of(values: tuple[Any, ...], names: tuple[str, ...] = ()) -> bytes:
    """
    The 16-byte blake2b digest of a tuple of values.

    Args:
        names: of the values, for the message of an error.

    Raises:
        DatasetError: a value has no form that is stable across processes; the message has the
            path to it and asks for an `id` column.
    """
    for value in values:
        if type(value) not in ATOMS:
            return blake2b(_canonical_row(values, names).encode(), digest_size=16).digest()
    try:
        text = ascii(values)
    except ValueError:  # an int with more digits than the interpreter prints
        text = _canonical_row(values, names)
    return blake2b(text.encode(), digest_size=16).digest()


# Where classes keep the names of their fields: as keys, as texts, or as objects with a name.
_DECLARED = (
    "model_fields",  # pydantic
    "__attrs_attrs__",
    "__struct_fields__",  # msgspec
    "__fields__",  # pydantic's first version
)


def fields_of(value: Any) -> tuple[str, ...] | None:
    """
    The names of an object's fields, where its class declares them: a dataclass, or a model of
    pydantic, attrs or msgspec. None for anything else, and for such a class itself.
    """
    from dataclasses import fields, is_dataclass

    kind = type(value)
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind))
    for place in _DECLARED:
        declared = getattr(kind, place, None)
        if isinstance(declared, (dict, tuple)):
            return tuple(str(getattr(field, "name", field)) for field in declared)
    return None


class _Unstable(Exception):
    """Carries the path from the value without a stable form up to the row."""

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__
        self.path = ""


def is_stable(value: object) -> bool:
    """Whether a value is data: it has a form that is the same in another process."""
    try:
        _canonical(value)
    except (_Unstable, RecursionError):
        return False
    return True


def _canonical_row(values: tuple[Any, ...], names: tuple[str, ...]) -> str:
    parts = []
    for index, value in enumerate(values):
        try:
            parts.append(_canonical(value))
        except (_Unstable, RecursionError) as problem:
            path = f"row[{(names or range(len(values)))[index]!r}]"
            raise DatasetError(_refusal(path, problem)) from None
    return f"({', '.join(parts)}{',)' if len(parts) == 1 else ')'}"


def _refusal(path: str, problem: _Unstable | RecursionError) -> str:
    if isinstance(problem, _Unstable):
        reason = f"{path}{problem.path} is of type {problem.kind}, which has no form that is the "
        reason += "same in another process"
    else:
        reason = f"{path} contains itself or is nested too deeply to be identified"
    return f"{reason}; give the rows an `id` column to be known by"


def _canonical(value: Any) -> str:
    kind = type(value)
    if kind in ATOMS:
        return _atom(value)
    if kind is dict:
        return _mapping(value.items())
    if kind is list:
        return _sequence("[", value, "]")
    if kind is tuple:
        return _sequence("(", value, ",)" if len(value) == 1 else ")")
    return _rarely(value)


def _atom(value: Any) -> str:
    try:
        return ascii(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return hex(value)


def _sequence(opening: str, values: Iterable[Any], closing: str) -> str:
    parts = []
    for index, value in enumerate(values):
        try:
            parts.append(_canonical(value))
        except _Unstable as problem:
            problem.path = f"[{index}]{problem.path}"
            raise
    return f"{opening}{', '.join(parts)}{closing}"


def _mapping(items: Iterable[tuple[Any, Any]]) -> str:
    parts = []
    for key, value in items:
        try:
            parts.append(f"{_canonical(key)}: {_canonical(value)}")
        except _Unstable as problem:
            problem.path = f"[{key!a}]{problem.path}"
            raise
    return f"{{{', '.join(sorted(parts))}}}"


def _rarely(value: Any) -> str:
    """Everything but the plain types; its imports are for those who need them."""
    import datetime
    import enum
    from collections.abc import Mapping, Set
    from dataclasses import fields, is_dataclass
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import PurePath
    from uuid import UUID

    kind = type(value).__qualname__
    if isinstance(value, enum.Flag):  # a combination has no name, or one that depends on Python
        return f"<{kind} {_canonical(value.value)}>"
    if isinstance(value, enum.Enum):
        return f"<{kind}.{value.name}>"
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's arrays and scalars
        plain = value.tolist()
        return f"<array {_canonical(plain)}>" if isinstance(plain, list) else _canonical(plain)
    for plainer in _PLAINER:
        if isinstance(value, plainer):
            return _canonical(_PLAINER[plainer](value))
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return f"<{kind} {value.isoformat()}>"
    if isinstance(value, (Decimal, Fraction, UUID, datetime.timedelta, complex, range)):
        return f"<{kind} {value!s}>"
    if isinstance(value, PurePath):
        return f"<path {value.as_posix()!a}>"
    if isinstance(value, (bytearray, memoryview)):
        return f"<{kind} {bytes(value)!a}>"
    if isinstance(value, Set):
        return f"<set {', '.join(sorted(map(_canonical, value)))}>"
    if isinstance(value, Mapping):
        return _mapping(value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return f"<{kind} {_mapping((f.name, getattr(value, f.name)) for f in fields(value))}>"
    raise _Unstable(value)


class Identities:
    """
    The rows that one pass over a dataset has met, and what the store knows of them.

    One entry a row, about 90 bytes (up to 140 for a stored row that has an id): the key as an
    int, and a small int that holds whether the row was met (lowest bit) and which of its repeats
    are finished (the bits above). A stored row that has an id stands under its id *and* content
    until it is met, then under its id; so what was not met as it is stored can be told from what
    was.

    Args:
        columns: of the evaluation; one that is called `id` names the rows.
    """

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._states: dict[int, int] = {}
        self._again: dict[int, int] = {}  # how often a key was met, where more than once
        self._columns = columns
        self._id = columns.index("id") if "id" in columns else None
        self._others = tuple(name for name in columns if name != "id")
        self._order = array("I")  # 32 bits of each id's key, to find where it was met first

    def remember(
        self, key: bytes, repeat: int, digest: bytes | None = None, finished: bool = True
    ) -> None:
        """
        Note a record of the store, before the pass begins.

        Args:
            finished: whether it has a Result. A failure need be noted only where the row has an
                id, to tell later whether it is of the row as it is now.
        """
        number = _number(key, digest)
        self._states[number] = self._states.get(number, 0) | (2 << repeat if finished else 0)

    def meet(self, values: tuple[Any, ...]) -> tuple[bytes, bytes | None, int]:
        """
        Identify the next row of the dataset.

        Returns:
            its key; the digest of its other columns where it has an `id`, else None; and a
            number whose bit r is set when repeat r of this very row is finished.

        Raises:
            DatasetError: the row has no stable identity, or its id was met before.
        """
        if self._id is not None:
            return self._meet_id(values, self._id)
        return self._meet(digest_of(values, self._columns))

    def meet_malformed(self, position: int, row: Any) -> tuple[bytes, bytes | None, int]:
        """
        Identify a row that does not fit its columns, by what it is, or where that is not
        possible by its position. Returns what `meet` does.
        """
        try:
            key = digest_of(("malformed", row))
        except DatasetError:
            key = digest_of(("malformed", position))
        if self._id is not None:
            self._order.append(0)
        return self._meet(key)

    def _meet(self, key: bytes) -> tuple[bytes, bytes | None, int]:
        number = _number(key)
        state = self._states.get(number, 0)
        if state & _SEEN:
            again = self._again[number] = self._again.get(number, 0) + 1
            key = blake2b(key + again.to_bytes(8, "big"), digest_size=16).digest()
            number = _number(key)
            state = self._states.get(number, 0)
        self._states[number] = state | _SEEN
        return key, None, state >> 1

    def _meet_id(self, values: tuple[Any, ...], at: int) -> tuple[bytes, bytes, int]:
        key = digest_of(("id", values[at]), ("", "id"))
        digest = digest_of(values[:at] + values[at + 1 :], self._others)[:8]
        number = _number(key)
        mark = number & 0xFFFFFFFF
        if number in self._states:
            raise DatasetError(
                f"rows {self._order.index(mark)} and {len(self._order)} have the same id "
                f"{ascii(values[at])[:80]}; an id must name one row"
            )
        self._order.append(mark)
        finished = self._states.pop(_number(key, digest), 0) >> 1
        self._states[number] = _SEEN
        return key, digest, finished

    def met(self, key: bytes, digest: bytes | None = None) -> bool:
        """Whether this pass has met the row of a stored record, and its content is the same."""
        if not self._states.get(_number(key), 0) & _SEEN:
            return False
        return digest is None or _number(key, digest) not in self._states

    def changed(self, key: bytes, digest: bytes | None) -> bool:
        """Whether this pass has met the id of a stored record with another content."""
        return digest is not None and self.met(key) and not self.met(key, digest)


def _number(key: bytes, digest: bytes | None = None) -> int:
    """What stands for a row in memory: its key, or for a stored row with an id key and content."""
    number = int.from_bytes(key, "big")
    return number if digest is None else number ^ int.from_bytes(digest, "big") << 64


def shard_of(key: bytes, shards: int) -> int:
    """Which of `shards` parts, from 0, a row belongs to: by its key, on every machine the same."""
    return int.from_bytes(key[:8], "big") % shards
