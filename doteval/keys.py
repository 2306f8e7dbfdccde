"""
Row identity: what makes a row the same row in another run, process or machine.

A row is known by its content, never by its position: by its `id` column where there is one,
else by a digest of its values. Equal rows are told apart by their occurrence (first, second, …).

The canonical form is text that only equal values of equal types share: 1, 1.0, True and "1"
differ, so do the keys 1 and "1"; the order of a dict or a set does not matter. For a row of
plain values it is `ascii()` of the tuple, one call in C. `ascii` and not `repr`, because what
repr escapes depends on the interpreter's Unicode tables. Objects with content are known by it:
images by mode, size and bytes, arrays by their values, other objects by the fields that their class
declares. What has no stable form is an error, and beside an `id` it does not count.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any

from .errors import DatasetError
from .record import ATOMS

try:
    from _blake2 import blake2b  # as hashlib has it, which loads OpenSSL before it, for who looks
except ImportError:  # pragma: no cover - other interpreters than CPython
    from hashlib import blake2b

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


_ADVICE = "give the rows an `id` column to be known by"
_LEFT_OUT = "<?>"  # stands for a value without a stable form, beside an `id`


def digest_of(
    values: tuple[Any, ...],
    names: tuple[str, ...] = (),
    advice: str = _ADVICE,
    instead: str | None = None,
    whole: str = "row",
) -> bytes:
    """
    The 16-byte blake2b digest of a tuple of values.

    Args:
        names: of the values, for the message of an error.
        advice: the end of that message.
        instead: stands for what has no form that is stable across processes, so that it does not
            count; None: that is an error.
        whole: what the values are of, for that message.

    Raises:
        DatasetError: a value has no such form; the message has the path to it.
    """
    for value in values:
        if type(value) not in ATOMS:
            text = _canonical_row(values, names, advice, instead, whole)
            return blake2b(text.encode(), digest_size=16).digest()
    try:
        text = ascii(values)
    except ValueError:  # an int with more digits than the interpreter prints
        text = _canonical_row(values, names, advice, instead, whole)
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
        _canonical(value, None)
    except (_Unstable, RecursionError):
        return False
    return True


def _canonical_row(
    values: tuple[Any, ...], names: tuple[str, ...], advice: str, instead: str | None, whole: str
) -> str:
    parts = []
    for index, value in enumerate(values):
        try:
            parts.append(_canonical(value, instead))
        except (_Unstable, RecursionError) as problem:
            if instead is None:
                path = f"{whole}[{(names or range(len(values)))[index]!r}]"
                raise DatasetError(f"{_refusal(path, problem)}; {advice}") from None
            parts.append(instead)  # a circle
    return f"({', '.join(parts)}{',)' if len(parts) == 1 else ')'}"


def _refusal(path: str, problem: _Unstable | RecursionError) -> str:
    if isinstance(problem, _Unstable):
        return (
            f"{path}{problem.path} is of type {problem.kind}, which has no form that is the "
            "same in another process"
        )
    return f"{path} contains itself or is nested too deeply to be identified"


def _canonical(value: Any, instead: str | None) -> str:
    kind = type(value)
    if kind in ATOMS:
        return _atom(value)
    if kind is dict:
        return _mapping(value.items(), instead)
    if kind is list:
        return _sequence("[", value, "]", instead)
    if kind is tuple:
        return _sequence("(", value, ",)" if len(value) == 1 else ")", instead)
    try:
        return _rarely(value, instead)
    except _Unstable:
        if instead is None:
            raise
        return instead


def _atom(value: Any) -> str:
    try:
        return ascii(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return hex(value)


def _sequence(opening: str, values: Iterable[Any], closing: str, instead: str | None) -> str:
    parts = []
    for index, value in enumerate(values):
        try:
            parts.append(_canonical(value, instead))
        except _Unstable as problem:
            problem.path = f"[{index}]{problem.path}"
            raise
    return f"{opening}{', '.join(parts)}{closing}"


def _mapping(items: Iterable[tuple[Any, Any]], instead: str | None) -> str:
    parts = []
    for key, value in items:
        try:
            parts.append(f"{_canonical(key, instead)}: {_canonical(value, instead)}")
        except _Unstable as problem:
            problem.path = f"[{key!a}]{problem.path}"
            raise
    return f"{{{', '.join(sorted(parts))}}}"


def _rarely(value: Any, instead: str | None) -> str:
    """Everything but the plain types; its imports are for those who need them."""
    import datetime
    import enum
    from collections.abc import Mapping, Set
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import PurePath
    from uuid import UUID

    kind = type(value).__qualname__
    if isinstance(value, enum.Flag):  # a combination has no name, or one that depends on Python
        return f"<{kind} {_canonical(value.value, None)}>"
    if isinstance(value, enum.Enum):
        return f"<{kind}.{value.name}>"
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's arrays and scalars
        plain = value.tolist()
        text = _canonical(plain, instead)
        return f"<array {text}>" if isinstance(plain, list) else text
    for plainer in _PLAINER:
        if isinstance(value, plainer):
            return _canonical(_PLAINER[plainer](value), instead)
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return f"<{kind} {value.isoformat()}>"
    if isinstance(value, (Decimal, Fraction, UUID, datetime.timedelta, complex, range)):
        return f"<{kind} {value!s}>"
    if isinstance(value, PurePath):
        return f"<path {value.as_posix()!a}>"
    if isinstance(value, (bytearray, memoryview)):
        return f"<{kind} {bytes(value)!a}>"
    if isinstance(value, Set):
        return f"<set {', '.join(sorted(_canonical(each, instead) for each in value))}>"
    if isinstance(value, Mapping):
        return _mapping(value.items(), instead)
    fields = fields_of(value)
    if fields is not None:
        return f"<{kind} {_mapping(((name, getattr(value, name)) for name in fields), instead)}>"
    if is_missing(value):
        return "None"
    about = described(value)
    content = None if about is None else _bytes_of(value)
    if content is not None:
        return f"<{about} {blake2b(content, digest_size=16).hexdigest()}>"
    raise _Unstable(value)


def is_missing(value: Any) -> bool:
    """Whether it is pandas' NA, which says of a value that there is none, as None does."""
    kind = type(value)
    return kind.__name__ == "NAType" and kind.__module__.partition(".")[0] == "pandas"


def described(value: Any) -> str | None:
    """
    What an image or an array is, such as "image RGB 640x480" or "array float32 2x3"; None for
    anything else. Told by what such objects have in common: nobody's library is imported.
    """
    if isinstance(value, type):
        return None
    mode, size = getattr(value, "mode", None), getattr(value, "size", None)
    if isinstance(mode, str) and isinstance(size, tuple) and hasattr(value, "tobytes"):
        return f"image {mode} {'x'.join(map(str, size))}"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and isinstance(shape, Iterable):
        return f"array {dtype} {'x'.join(map(str, shape))}"
    return None


def _bytes_of(value: Any) -> bytes | None:
    """The content of what is `described`; None where there is no way to it."""
    if not hasattr(value, "tobytes"):  # TensorFlow's, for one
        value = value.numpy() if hasattr(value, "numpy") else None
    if not hasattr(value, "tobytes"):
        return None
    palette = value.getpalette() if getattr(value, "mode", None) in ("P", "PA") else None
    return bytes(value.tobytes()) + bytes(palette or ())


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
            DatasetError: the row has no stable identity (or its id has none), or its id was met
                before.
        """
        if self._id is not None:
            return self._meet_id(values, self._id)
        key = digest_of(values, self._columns)
        number = int.from_bytes(key, "big")
        if number in self._states:  # stored, or met before
            return self._meet(key)
        self._states[number] = _SEEN
        return key, None, 0

    def recognise(self, key: bytes, digest: bytes | None) -> int:
        """
        Meet a row whose identity is known, once for each of its repeats.

        Returns:
            a number whose bit r is set when repeat r of this very row is finished.
        """
        number = _number(key)
        state = self._states.get(number, 0)
        if digest is not None and not state & _SEEN:
            state = self._states.pop(_number(key, digest), 0)
        self._states[number] = state | _SEEN
        return state >> 1

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
        number = int.from_bytes(key, "big")
        state = self._states.get(number, 0)
        if state & _SEEN:
            again = self._again[number] = self._again.get(number, 0) + 1
            key = blake2b(key + again.to_bytes(8, "big"), digest_size=16).digest()
            number = int.from_bytes(key, "big")
            state = self._states.get(number, 0)
        self._states[number] = state | _SEEN
        return key, None, state >> 1

    def _meet_id(self, values: tuple[Any, ...], at: int) -> tuple[bytes, bytes, int]:
        key = digest_of(
            ("id", values[at]), ("", "id"), "an id is a text, a number, or made of these"
        )
        digest = digest_of(values[:at] + values[at + 1 :], instead=_LEFT_OUT)[:8]
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
