from __future__ import annotations

import collections
import datetime
import enum
import itertools
import os
import subprocess
import sys
import tracemalloc
import uuid
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from pathlib import PurePosixPath
from types import MappingProxyType

import pytest

from doteval.errors import DatasetError
from doteval.keys import Identities, digest_of, shard_of


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Level(enum.IntEnum):
    HIGH = 1


@dataclass
class Point:
    x: int
    y: object = None


class Text(str):
    def __str__(self):
        return "something else"

    def __repr__(self):
        return "something else"


class Number(int):
    def __repr__(self):
        return "something else"


class Real(float):
    def __repr__(self):
        return "something else"


class Scalar:
    """What numpy's scalars and arrays have in common."""

    def __init__(self, value):
        self.value = value
        self.dtype = "any"

    def tolist(self):
        return self.value


Pair = collections.namedtuple("Pair", "a b")
UTC = datetime.timezone.utc

DIFFERENT = [
    1, 1.0, True, "1", b"1", bytearray(b"1"), 0, False, 0.0, -0.0, None, "None", "", b"",
    float("nan"), "nan", float("inf"), float("-inf"), 10**30, 1e30, 10**5000, "é", "e\u0301",
    "\ud800", "\\ud800", "\0", "a\nb", "a\\nb",
    [], (), {}, set(), [1], (1,), {1}, [[1]], [(1,)], [1, 2], [2, 1], [1, [2]], ["1, 2"],
    ["1", "2"],
    {"1": 1}, {1: 1}, {"a": None}, {"a": {"b": 1}}, {"a": "{'b': 1}"}, {"a": 1, "b": 2},
    {1, 2}, {"1", 2}, Scalar([1]), Scalar([1.0]), range(1), range(2),
    datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1), "2024-01-01",
    datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.time(1), datetime.timedelta(1),
    Decimal("1"), Decimal("1.0"), Fraction(1, 2), 0.5, 1j, uuid.UUID(int=1), PurePosixPath("a"),
    "a",
    Colour.RED, Colour.BLUE, Level.HIGH, Access.READ, Access.READ | Access.WRITE,
    Access.WRITE | Access.RUN, Point(1), Point(1, 2), {"x": 1, "y": 2},
]  # fmt: skip


def test_no_two_different_values_share_an_identity():
    """Not even where they are equal to each other, as 1, 1.0 and True are."""
    digests = [digest_of((value,)) for value in DIFFERENT]

    assert len(set(digests)) == len(DIFFERENT)
    assert {len(digest) for digest in digests} == {16}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({3, 1, 2}, frozenset([2, 3, 1])),
        ({1: {2, "x"}}, {1: frozenset({"x", 2})}),
        (Text("a"), "a"),
        (Number(5), 5),
        (Real(0.5), 0.5),
        (Pair(1, 2), (1, 2)),
        (collections.OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (collections.defaultdict(list, a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (type("Bytes", (bytes,), {})(b"x"), b"x"),
        (type("List", (list,), {})([1]), [1]),
        (Scalar(0.5), 0.5),
        (Scalar(3), 3),
        (Scalar("x"), "x"),
        (Scalar([1, [2]]), Scalar([1, [2]])),
        (Point(1, [2]), Point(1, [2])),
        (memoryview(b"a"), memoryview(bytearray(b"a"))),
        (datetime.datetime(2024, 1, 1, 12), datetime.datetime(2024, 1, 1, 12)),
    ],
)
def test_equal_content_has_one_identity(one, other):
    """Whatever class carries it, and in whatever order where that does not matter."""
    assert digest_of((one,)) == digest_of((other,))
    assert digest_of(("q", [one])) == digest_of(("q", [other]))


def test_the_short_way_and_the_long_way_agree():
    """Rows of plain values take one call in C; beside anything else they are walked through."""
    atoms = (1, "é\ud800", 2.5, None, True, b"\xff", float("nan"), -0.0, 10**50)

    for count in range(len(atoms) + 1):
        plain = atoms[:count]
        assert digest_of(plain) == digest_of(tuple(map(Walked, plain)))


class Walked:
    """Makes the long way necessary."""

    dtype = "any"

    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value


def test_integers_of_any_size_have_an_identity():
    """Also those that Python refuses to print."""
    first, second = digest_of((10**5000, "q")), digest_of((10**5000 + 1, "q"))

    assert first != second
    assert first == digest_of((10**5000, "q"))
    assert digest_of(([10**5000],)) != digest_of(([10**5000 + 1],))


ROWS = """[
    ("plain", 1, None), ({"b", "a", "c"},), ({"x": {1, 2, 3}, "y": frozenset("abc")},),
    ({("b", 1): 1, ("a", 2): 2},), ("é\\ud800\\U0001f600",), (1.1, 1e300, -0.0),
]"""


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_an_identity_is_the_same_in_every_process(seed, tmp_path):
    """Python's own hashes differ between processes; a store lives longer than one."""
    code = f"from doteval.keys import digest_of\nprint([digest_of(row).hex() for row in {ROWS}])"
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert there.strip() == str([digest_of(row).hex() for row in eval(ROWS)])


def test_an_identity_never_changes():
    """Stores refer to it: another value here would pay for everything again."""
    assert digest_of(("1 + 1", 2, None)).hex() == "3c0a8cd18a986cd9f3b4e368f3b0c633"
    assert digest_of(({"b": [1, 2.5], "a": {"x"}},)).hex() == "717e98f05db974bd8f6a07a84cbdd674"
    every = b"".join(digest_of((value,)) for value in DIFFERENT)
    assert blake2b(every, digest_size=16).hexdigest() == "3b2062a9d1c79ec5818cb76c0fe8bbf7"
    row = (7, {"b": [1, {2.5}], "c": Point(1, (None,))}, Scalar([[1], [2]]))
    key, digest, _ = Identities(("id", "q", "a")).meet(row)
    assert (key.hex(), digest.hex()) == ("8e1a2b83fae689ba9d2d9d156431ef60", "1b044aadeac538e9")


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ((object(),), r"row\['q'\] is of type object"),
        (("a", [1, {"k": object()}]), r"row\['a'\]\[1\]\['k'\] is of type object"),
        (({1: (2, lambda: 3)},), r"row\['q'\]\[1\]\[1\] is of type function"),
        (({object(): 1},), r"row\['q'\]\[<object object"),
        (({frozenset({object()})},), r"row\['q'\] is of type object"),
        ((Point(1, object()),), r"row\['q'\]\['y'\] is of type object"),
        ((Colour,), r"row\['q'\] is of type EnumMeta|EnumType"),
        ((Point,), r"row\['q'\] is of type type"),
    ],
)
def test_a_value_without_a_stable_form_is_named_with_its_path(row, path):
    """And an id is what helps."""
    identities = Identities(("q", "a"))

    with pytest.raises(DatasetError, match=rf"{path}.*`id` column to be known by"):
        identities.meet(row)


def test_a_value_without_columns_is_named_by_its_place():
    """Where nobody has named the values."""
    with pytest.raises(DatasetError, match=r"row\[1\] is of type object"):
        digest_of((1, object()))


def test_beside_an_id_what_has_no_stable_form_does_not_count():
    """An image object or a client may stand in a row; all the rest still tells a change."""

    def digest(value):
        return Identities(("a", "id", "b")).meet(("x", 1, value))[1]

    circle = []
    circle.append(circle)

    assert digest(object()) == digest(lambda: 1)
    assert digest({"gold": 4, "tool": object()}) == digest({"gold": 4, "tool": object()})
    assert digest({"gold": 4, "tool": object()}) != digest({"gold": 5, "tool": object()})
    assert digest(circle) == digest(object())
    assert digest({object()}) != digest(None)


def test_an_id_without_a_stable_form_is_refused():
    """And nobody is told to give the rows an id."""
    with pytest.raises(DatasetError, match=r"row\['id'\]\[0\] is of type object") as caught:
        Identities(("a", "id")).meet(("x", [object()]))

    assert str(caught.value).endswith("process; an id is a text, a number, or made of these")


class Image:
    """What Pillow's images have in common."""

    def __init__(self, mode="RGB", size=(2, 1), data=b"abcdef", palette=None):
        self.mode, self.size, self.data, self.palette = mode, size, data, palette

    def tobytes(self):
        return self.data

    def getpalette(self):
        return self.palette


class Tensor:
    """An array that gives its bytes, and no list."""

    def __init__(self, data=b"abcd", dtype="int8", shape=(2, 2)):
        self.data, self.dtype, self.shape = data, dtype, shape

    def tobytes(self):
        return self.data


class Remote:
    """An array that gives its bytes through numpy, as TensorFlow's do."""

    dtype, shape = "int8", (2, 2)

    def numpy(self):
        return Tensor()


class NAType:
    """pandas' NA."""

    __module__ = "pandas._libs.missing"

    def __eq__(self, other):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


class Model:
    """What pydantic's models have in common."""

    model_fields = {"x": None}

    def __init__(self, x):
        self.x = x


class Person:
    """What attrs' classes have in common."""

    __attrs_attrs__ = (collections.namedtuple("Attribute", "name")("x"),)

    def __init__(self, x):
        self.x = x


@pytest.mark.parametrize(
    "make", [Image, Tensor, Remote, NAType, lambda: Model(1), lambda: Person(1)]
)
def test_objects_with_content_are_known_by_it(make):
    """They need no id: images, arrays, models, and pandas' NA."""
    assert digest_of((make(),)) == digest_of((make(),))
    assert digest_of(([make()],)) == digest_of(([make()],))


def test_objects_of_other_content_are_others():
    """The mode, the size, the palette, the type and the shape count too."""
    objects = [
        Image(),
        Image(data=b"abcdeg"),
        Image("BGR"),
        Image(size=(1, 2)),
        Image("P", data=b"ab", palette=[1, 2, 3]),
        Image("P", data=b"ab", palette=[3, 2, 1]),
        Tensor(),
        Tensor(b"abce"),
        Tensor(dtype="uint8"),
        Tensor(shape=(4,)),
        Model(1),
        Model(2),
        Person(1),
    ]

    assert len({digest_of((each,)) for each in objects}) == len(objects)


def test_a_missing_value_is_none():
    """As it is in a row of plain values."""
    assert digest_of((NAType(), "q")) == digest_of((None, "q"))


def test_what_only_looks_like_an_array_has_no_stable_form():
    """Its content is not to be had, and a class has none."""
    for value in (type("Handle", (), {"dtype": "int8", "shape": (2,)})(), Tensor, Image):
        with pytest.raises(DatasetError, match="has no form that is the same"):
            digest_of((value,))


def test_a_row_that_contains_itself_is_refused():
    """Instead of running out of stack."""
    circle = []
    circle.append(circle)

    with pytest.raises(DatasetError, match=r"row\['q'\] contains itself or is nested too deeply"):
        Identities(("q",)).meet((circle,))


# --------------------------------------------------------------------- passes over a dataset


def keys_of(rows, columns=("q",)):
    identities = Identities(columns)
    return [identities.meet(row)[0] for row in rows]


def test_a_row_is_known_by_its_content_and_not_by_its_position():
    """Sorting or extending a dataset pays for nothing twice."""
    rows = [(f"{n}",) for n in range(50)]

    assert keys_of(reversed(rows)) == keys_of(rows)[::-1]
    assert keys_of([*rows, ("new",)])[:50] == keys_of(rows)


def test_equal_rows_are_told_apart_by_their_occurrence():
    """Each has a record of its own, and the same ones the next time."""
    rows = [("a",), ("b",), ("a",), ("a",), ("b",)]
    keys = keys_of(rows)

    assert len(set(keys)) == 5
    assert keys_of(rows) == keys
    assert keys_of(rows[:3]) == keys[:3]


def test_what_is_finished_is_known():
    """By repeat: bit r of the third value."""
    (key, *_), (other, *_) = (Identities(("q",)).meet((q,)) for q in "ab")
    identities = Identities(("q",))
    identities.remember(key, 0)
    identities.remember(key, 2)
    identities.remember(other, 70)

    assert identities.meet(("a",)) == (key, None, 0b101)
    assert identities.meet(("b",)) == (other, None, 1 << 70)
    assert identities.meet(("c",))[2] == 0


def test_equal_rows_are_finished_one_by_one():
    """The second is not taken for the first."""
    first, second = keys_of([("a",), ("a",)])
    identities = Identities(("q",))
    identities.remember(second, 0)

    assert identities.meet(("a",)) == (first, None, 0)
    assert identities.meet(("a",)) == (second, None, 1)


def test_what_was_met_is_told():
    """What was only remembered is stale."""
    first, second = keys_of([("a",), ("b",)])
    identities = Identities(("q",))
    identities.remember(first, 0)
    identities.remember(second, 0)
    identities.meet(("a",))

    assert identities.met(first)
    assert not identities.met(second)
    assert not identities.met(b"x" * 16)
    assert not identities.changed(first, None)


def test_an_id_names_a_row():
    """Its other columns are kept as a digest."""
    identities = Identities(("q", "id"))

    key, digest, finished = identities.meet(("text", 7))

    assert key == digest_of(("id", 7))
    assert len(digest) == 8
    assert finished == 0
    assert digest == Identities(("id", "q")).meet((7, "text"))[1]
    assert key != Identities(("q", "id")).meet(("text", "7"))[0]


def test_an_id_alone_is_enough():
    """An evaluation may look the rest up by itself."""
    key, digest, _ = Identities(("id",)).meet((1,))

    assert key == digest_of(("id", 1))
    assert digest == digest_of(())[:8]


def test_a_duplicate_id_is_an_error_with_both_positions():
    """Else one of the two rows would never be run."""
    identities = Identities(("id", "q"))
    for n in range(5):
        identities.meet((n, "x"))

    with pytest.raises(DatasetError, match="rows 3 and 5 have the same id 3; an id must name one"):
        identities.meet((3, "other"))


def test_a_changed_row_is_not_finished():
    """Neither is it the row that was stored."""
    key, digest, _ = Identities(("id", "q")).meet((1, "old"))
    identities = Identities(("id", "q"))
    identities.remember(key, 0, digest)

    again, changed, finished = identities.meet((1, "new"))

    assert (again, finished) == (key, 0)
    assert changed != digest
    assert identities.met(key)
    assert not identities.met(key, digest)
    assert identities.met(key, changed)
    assert identities.changed(key, digest)
    assert not identities.changed(key, changed)


def test_an_unchanged_row_is_finished():
    """With all its repeats."""
    key, digest, _ = Identities(("id", "q")).meet((1, "old"))
    identities = Identities(("id", "q"))
    identities.remember(key, 0, digest)
    identities.remember(key, 1, digest)

    assert identities.meet((1, "old")) == (key, digest, 0b11)
    assert identities.met(key, digest)
    assert not identities.changed(key, digest)


def test_a_row_that_changed_back_is_finished_and_the_change_is_not():
    """Both contents are stored; one of them is the dataset's."""
    key, first, _ = Identities(("id", "q")).meet((1, "first"))
    _, second, _ = Identities(("id", "q")).meet((1, "second"))
    identities = Identities(("id", "q"))
    identities.remember(key, 0, first)
    identities.remember(key, 0, second)

    assert identities.meet((1, "first"))[2] == 1
    assert identities.met(key, first)
    assert identities.changed(key, second)


def test_a_failure_is_of_the_row_as_it_was():
    """When the row is changed back, its old result counts, and the failure of the change not."""
    key, first, _ = Identities(("id", "q")).meet((1, "first"))
    _, second, _ = Identities(("id", "q")).meet((1, "second"))
    identities = Identities(("id", "q"))
    identities.remember(key, 0, first)
    identities.remember(key, 0, second, finished=False)

    assert identities.meet((1, "first"))[2] == 1
    assert identities.changed(key, second)
    again = Identities(("id", "q"))
    again.remember(key, 0, second, finished=False)
    assert again.meet((1, "second"))[2] == 0
    assert again.met(key, second)


def test_an_id_that_was_not_met_has_not_changed():
    """It may come later, or be gone."""
    key, digest, _ = Identities(("id", "q")).meet((1, "x"))
    identities = Identities(("id", "q"))
    identities.remember(key, 0, digest)

    assert not identities.met(key, digest)
    assert not identities.changed(key, digest)


def test_a_malformed_row_has_an_identity_too():
    """It fails, and runs again when it is still there."""
    identities = Identities(("a", "b"))
    first = identities.meet_malformed(0, ["just one"])
    second = identities.meet_malformed(1, ["just one"])

    again = Identities(("a", "b"))
    assert again.meet_malformed(5, ["just one"])[:1] == first[:1]
    assert first[0] != second[0]
    assert identities.met(first[0]) and identities.met(second[0])


def test_a_malformed_row_without_a_stable_form_is_known_by_its_position():
    """It fails alone; its form is not what is wrong with it."""
    identities = Identities(("a", "b"))

    key, digest, finished = identities.meet_malformed(3, object())

    assert (digest, finished) == (None, 0)
    assert key == Identities(("a", "b")).meet_malformed(3, object())[0]
    assert key != identities.meet_malformed(4, object())[0]


def test_a_malformed_row_does_not_shift_the_positions_of_duplicates():
    """The message counts it."""
    identities = Identities(("id", "q"))
    identities.meet_malformed(0, 5)
    identities.meet((1, "x"))

    with pytest.raises(DatasetError, match="rows 1 and 2 have"):
        identities.meet((1, "y"))


# ------------------------------------------------------------------------------- size, shards


def size_of(identities, count, meet):
    """Bytes a row, the objects that the rows themselves are not counted."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(count):
        meet(identities, n)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


def by_content(identities, n):
    identities.meet((str(n),))


def by_id(identities, n):
    identities.meet((n, "x"))


@pytest.mark.parametrize(
    ("columns", "meet"), [(("q",), by_content), (("id", "q"), by_id)], ids=["content", "id"]
)
def test_a_row_costs_about_ninety_bytes(columns, meet):
    """A million rows fit in 100 MB; the table of a dict doubles, so it is the mean that counts."""
    sizes = [size_of(Identities(columns), count, meet) for count in (15_000, 21_000)]

    assert sum(sizes) / 2 < 112
    assert min(sizes) < 100


def test_a_resumed_row_costs_little_more_than_a_new_one():
    """What was remembered makes room for what is met."""
    count = 15_000
    stored = Identities(("id", "q"))
    known = [stored.meet((n, "x"))[:2] for n in range(count)]
    identities = Identities(("id", "q"))

    def remember_all_and_meet(to, n):
        if n == 0:
            for key, digest in known:
                to.remember(key, 0, digest)
        by_id(to, n)

    assert size_of(identities, count, remember_all_and_meet) < 145  # the table doubles once more
    assert all(identities.met(key, digest) for key, digest in known)


def test_shards_part_the_rows():
    """Each row is in one of them, on every machine the same, and they are about equal."""
    keys = keys_of([(str(n),) for n in range(4_000)])

    shards = [[key for key in keys if shard_of(key, 4) == n] for n in range(4)]

    assert sorted(itertools.chain(*shards)) == sorted(keys)
    assert all(900 < len(shard) < 1_100 for shard in shards)
    assert shard_of(bytes(range(16)), 7) == 0x0001020304050607 % 7
