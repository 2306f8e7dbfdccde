from __future__ import annotations

import datetime
import enum
import math
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType

import pytest

from doteval.record import Failure, Result, Score, Usage
from doteval.storage import encoding
from doteval.storage.encoding import dump, load, load_body, row_dumper, storable
from doteval.storage.entries import decode, value_of, value_to

from .made import NO_USAGE, a_failure, a_record, an_entry, entry_of


def back(value):
    return load(dump(value))


def stored_and_read(record, usage=NO_USAGE):
    """What the store makes of a record on its way in and out."""
    entry = entry_of(record, usage=usage)
    scores = [(score.name, *value_to(score.value), list(score.metrics)) for score in entry.scores]
    return decode(entry.columns, load(entry.body), scores)


# ------------------------------------------------------------------------- any value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1.5,
        2**70,
        -(2**200),
        1e308,
        5e-324,
        math.inf,
        -math.inf,
        "",
        "é \U0001f600   \0 \x1b[31m",
        "\ud800 alone",
        "x" * 1_000_000,
        [],
        {},
        [1, [2, {"a": None}]],
        {"": {"\0": "\udfff"}},
    ],
)
def test_data_comes_back_as_it_was(value):
    """What JSON can say is kept exactly, and so is what hostile text is made of."""
    assert back(value) == value
    assert type(back(value)) is type(value)
    assert dump(value).isascii()


def test_nan_comes_back():
    """It is a value, and not a missing one."""
    assert math.isnan(back({"x": [float("nan")]})["x"][0])


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    y: object


class Model:
    def model_dump(self):
        return {"pydantic": True}


class Array:
    def tolist(self):
        return [1, 2]


class Text(str):
    pass


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"\xff", {"base64": "/w=="}),
        (bytearray(b"a"), {"base64": "YQ=="}),
        (memoryview(b"a"), {"base64": "YQ=="}),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
         "2024-02-29T12:00:00+00:00"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]),
        ((1, 2), [1, 2]),
        (Pair(1, 2), [1, 2]),
        (Point(1, Point(2, b"a")), {"x": 1, "y": {"x": 2, "y": {"base64": "YQ=="}}}),
        (Colour.RED, "RED"),
        (Level.HIGH, 3),
        (Decimal("1.10"), "1.10"),
        (Fraction(1, 3), "1/3"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (Model(), {"pydantic": True}),
        (Array(), [1, 2]),
        (Text("t"), "t"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Point, repr(Point)),
        (3 + 4j, "(3+4j)"),
    ],
)  # fmt: skip
def test_values_that_json_does_not_know_are_kept_as_people_write_them(value, kept):
    """Nobody loses a result because a date is in it."""
    assert back(value) == kept
    assert back([{"in": value}]) == [{"in": kept}]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (
            {1: "a", None: "b", False: "c", 1.5: "d"},
            {"1": "a", "null": "b", "false": "c", "1.5": "d"},
        ),
        ({(1, 2): 3, "x": 4}, {"[1, 2]": 3, "x": 4}),
        ({b"a": 1}, {'{"base64": "YQ=="}': 1}),
        ({frozenset({1}): {2: 3}}, {"[1]": {"2": 3}}),
        ({Colour.RED: datetime.date(2024, 1, 1)}, {"RED": "2024-01-01"}),
    ],
)
def test_keys_that_are_no_text_become_text(value, kept):
    """JSON knows no others."""
    assert back(value) == kept


def test_integers_that_python_refuses_to_print_are_kept():
    """From 4,300 digits on it raises; in hexadecimal it does not."""
    value = 10**5_000

    assert int(back(value), 16) == value
    assert int(back({"a": [value]})["a"][0], 16) == value
    assert back({value: 1}) == {hex(value): 1}
    assert back([2**70, {(): 10**4_000}]) == [2**70, {"[]": 10**4_000}]


class Endless(Mapping):
    """Contains itself, under two names."""

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter("ab")

    def __len__(self):
        return 2


class Growing:
    """Makes another of its kind whenever it is asked what it is."""

    def tolist(self):
        return [Growing()]


def test_what_contains_itself_is_cut():
    """Also where it does so twice, which a limit of the depth alone would double 50 times."""
    circle = []
    circle += [circle, circle]
    loop = {"a": 1}
    loop["self"] = loop

    assert back(circle) == ["<contains itself>"] * 2
    assert back(loop) == {"a": 1, "self": "<contains itself>"}
    assert back(Endless()) == {"a": "<contains itself>", "b": "<contains itself>"}


def test_what_is_nested_too_deeply_is_cut():
    """Neither the encoder nor a reader runs out of stack."""
    deep = here = []
    for _ in range(10_000):
        here.append([])
        here = here[0]

    text = dump(deep)

    assert "<nested too deeply>" in text
    assert load(text)
    assert "<nested too deeply>" in dump(Growing())
    assert len(dump(Growing())) < 1_000


def test_a_document_that_is_too_deep_for_this_python_is_read_without_its_texts():
    """Some versions write deeper ones than others can read; the figures stand elsewhere."""
    depth = 200_000

    assert load_body('{"row": {"a": 1}}') == {"row": {"a": 1}}
    assert load_body("[" * depth + "]" * depth) == {"row": {"?": "<nested too deeply to be read>"}}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufffd"])
def test_a_document_that_is_no_document_is_an_error(text):
    """Only a damaged file has one."""
    with pytest.raises(ValueError):
        load_body(text)


class Hostile:
    def __repr__(self):
        raise SystemError("no")


class HostileDate:
    def isoformat(self):
        raise SystemError("no")


@pytest.mark.parametrize("value", [Hostile(), HostileDate(), {Hostile(), 1}])
def test_values_whose_methods_raise_are_named(value):
    """The row they are in was paid for."""
    assert back({"x": value, "y": 1}) == {
        "x": f"<{type(value).__name__}: SystemError when it was written down>",
        "y": 1,
    }


class Image:
    """What Pillow's images have in common."""

    mode, size = "RGB", (640, 480)

    def tobytes(self):
        raise AssertionError("nobody reads them")


class Large:
    """An array of numpy's, or of torch's."""

    dtype, shape = "float32", (300, 300)

    def tolist(self):
        raise AssertionError("nobody reads them")


class Small(Large):
    shape = (2,)

    def tolist(self):
        return [0.5, 1.5]


class Remote:
    """An array that gives no list."""

    dtype, shape = "int8", (2, 2)


class NAType:
    """pandas' NA."""

    __module__ = "pandas._libs.missing"


class Struct:
    """What msgspec's classes have in common."""

    __struct_fields__ = ("x", "y")
    x, y = 1, Image()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Image(), "<image RGB 640x480>"),
        (Large(), "<array float32 300x300>"),
        (Small(), [0.5, 1.5]),
        (Remote(), "<array int8 2x2>"),
        (NAType(), None),
        (Struct(), {"x": 1, "y": "<image RGB 640x480>"}),
        (len, "<built-in function len>"),
    ],
)
def test_objects_are_kept_as_what_they_are(value, kept):
    """Not as megabytes of numbers."""
    assert back(value) == kept


def test_no_address_is_kept():
    """It differs each time and tells nothing."""
    assert back(object()) == "<object object>"
    assert back(test_no_address_is_kept) == "<function test_no_address_is_kept>"


def test_a_long_repr_is_cut():
    """An object that nobody asked to store does not fill the disk."""

    class Long:
        def __repr__(self):
            return "x" * 10_000

    assert back(Long()) == "x" * 1_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [("plain", "plain"), ("é\0\U0001f600", "é\0\U0001f600"), ("a\ud800b", "a\\ud800b")],
)
def test_names_and_messages_fit_a_column(text, kept):
    """SQLite takes no lone surrogates; they are written out."""
    assert storable(text) == kept


# ---------------------------------------------------------------------------- records


def test_a_result_comes_back():
    """With everything that it may hold."""
    outcome = Result(
        Score("a", True, ("accuracy",), {"why": "because"}),
        Score("b", 0.5, ("mean", "std")),
        prompt=[{"role": "user", "content": "hi\ud800"}],
        model_response={"text": "\0"},
        metadata={"x": [1, 2]},
        usage=Usage(1, 2, 0.5),
    )
    record = a_record("r", outcome, {"text": "q", "n": 2**70}, repeat=3, position=7, attempts=2,
                      started=1.5, duration=0.25, waited=3.0, concurrency=9)  # fmt: skip

    assert stored_and_read(record, Usage(1, 2, 0.5)) == record


def test_a_result_without_anything_but_a_score_comes_back():
    """Absent things stay absent."""
    record = a_record("r", Result(Score("a", 1)))

    found = stored_and_read(record)

    assert found == a_record("r", Result(Score("a", 1, ("mean",))))
    assert found.outcome.usage is None


def test_a_failure_comes_back():
    """Type, message and traceback, and no result."""
    record = a_record("r", a_failure("KeyError", "\ud800 \x1b[2J", traceback="File …"))

    assert stored_and_read(record) == record


def test_a_failure_with_prompt_and_answer_comes_back():
    """`Result(error=)` keeps what was paid for."""
    result = Result(prompt="p", model_response="m", error="refused", usage=Usage(5, 6))
    record = a_record("r", Failure("error", "refused", "", result))

    assert stored_and_read(record, Usage(5, 6)) == record


def test_a_type_of_error_fits_its_column():
    """The name of an exception's class can be anything."""
    entry = an_entry("r", a_failure("Err\udc80"))

    assert entry.columns[4] == "Err\\udc80"


@pytest.mark.parametrize(
    "value", [True, False, 0, -3, 0.5, math.inf, -math.inf, 2**63 - 1, -(2**63), 2**63, -(2**70)]
)
def test_a_score_comes_back_with_its_type(value):
    """Integers beyond 63 bits too."""
    found = value_of(*value_to(value))

    assert found == value
    assert type(found) is type(value)


def test_a_score_that_is_nan_comes_back():
    """SQLite makes NULL of it."""
    assert math.isnan(value_of(None, 0))


def test_an_encoder_that_failed_forgets_what_it_was_in():
    """The same objects are no circle when they are met again."""
    inner = [object()]
    outer = {"inner": inner, "key": {(): 1}}

    assert back(outer) == back(outer)
    assert back(inner) == back([*inner])


@pytest.mark.parametrize(
    "values",
    [("a", "b"), ('"\n\\', "ä\ud800 100 % %s {}"), ("a", 1), (None, [{"b": "c"}]), ({}, {1})],
)
def test_a_row_is_dumped_as_a_mapping_is(values):
    """By a shorter way where all values are texts."""
    columns = ("first", "größe")

    assert row_dumper(columns)(values) == dump(dict(zip(columns, values, strict=True)))


@pytest.mark.parametrize(
    "make",
    [None, lambda: None, lambda *_: lambda value, level: ("something else",)],
    ids=["absent", "other arguments", "other text"],
)
def test_without_the_encoder_in_c_the_text_is_the_same(make):
    """It is no promised part of the library; what is promised serves, at a third of the speed."""
    value = {"a": [1, 0.5, None, True, "ä\\ud800", datetime.date(2024, 1, 2)], "b": math.inf}

    assert encoding._encoder(make)(value) == dump(value)


def test_a_wide_value_is_not_a_deep_one():
    """Only containers within each other are cut, and not many beside each other."""
    wide = {"messages": [{"role": "user", "parts": []} for _ in range(300)]}

    assert load(dump(wide)) == wide


def test_white_space_around_a_body_is_none_of_its_own():
    """As another program may write it."""
    assert load_body('{"row": {}} \n') == {"row": {}}


def test_a_body_that_is_no_text_is_damage():
    with pytest.raises(ValueError, match="expected a text, got b'x'"):
        load_body(b"x")
