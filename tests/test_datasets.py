"""Anything to rows: shapes of rows, kinds of datasets, files, and the registry of datasets."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import sqlite3
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from doteval import datasets
from doteval.datasets import Source, binder, get_dataset_info, list_available, open_dataset
from doteval.errors import DatasetError, NotFound, RowError

TWO = ("question", "answer")


def bind(columns, row):
    return binder(columns)(row)


# --- one row ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        ("q", "a"),
        ["q", "a"],
        {"question": "q", "answer": "a"},
        {"answer": "a", "more": 1, "question": "q"},
        OrderedDict(answer="a", question="q"),
        MappingProxyType({"question": "q", "answer": "a"}),
        namedtuple("Row", "question answer")("q", "a"),
        namedtuple("Row", "answer more question")("a", 0, "q"),
        namedtuple("Other", "x y")("q", "a"),
    ],
    ids=repr,
)
def test_rows_of_every_shape_give_their_values_in_order(row):
    """Sequences go by position, mappings and fitting named tuples by name."""
    assert bind(TWO, row) == ("q", "a")
    assert type(bind(TWO, row)) in (tuple, type(row))


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("text", "text"),
        (5, 5),
        (None, None),
        (("text",), "text"),
        (["text"], "text"),
        ({"question": "text"}, "text"),
        (({"other": "text"},), {"other": "text"}),
    ],
    ids=repr,
)
def test_a_single_column_takes_bare_values(row, value):
    """Everything but a sequence and a mapping is the value itself."""
    assert bind(("question",), row) == (value,)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"Question": "text", "label": "positive"},
            r"no 'question'; it has: Question, label; .* itself, write \(row,\)",
        ),
        ({}, "no 'question'; it has: nothing"),
        (
            defaultdict(str, q="text"),
            "no 'question'; it has: q; where the defaultdict is the value",
        ),
    ],
    ids=repr,
)
def test_a_mapping_without_the_column_is_never_its_value(row, message):
    """A misspelt column would put the whole row, its label included, before the model."""
    with pytest.raises(RowError, match=message):
        bind(("question",), row)


def test_a_tuple_of_the_right_length_is_not_copied():
    """The usual row costs nothing."""
    row = ("q", "a")

    assert binder(TWO)(row) is row


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("q",), r"expected 2 values \(question, answer\), got 1 value: \('q',\)"),
        ((bytes(3_000),), r"got 1 value: \(<3,000 bytes>,\)"),
        ((), "got 0 values"),
        (("q", "a", "b"), "got 3 values"),
        (["q"], r"got 1 value: \['q'\]"),
        ("qa", r"as a tuple, a list or a mapping; got str: 'qa'"),
        (b"qa", "got bytes"),
        (5, "got int: 5"),
        (None, "got NoneType"),
        ({"q": 1, "a": 2}, r"the row has no 'question', 'answer'; it has: q, a"),
        ({"question": 1}, "the row has no 'answer'; it has: question"),
        ({}, "it has: nothing"),
        ({1, 2}, "got set"),
    ],
    ids=repr,
)
def test_a_row_of_another_shape_is_refused(row, message):
    """Nothing is shifted, dropped or taken from the keys of a mapping (as dotevals did)."""
    with pytest.raises(RowError, match=message):
        bind(TWO, row)


def test_a_mapping_with_a_default_does_not_invent_values():
    """A missing key is missing, even where the mapping would make one up."""
    row = defaultdict(str, question="q")

    with pytest.raises(RowError, match="no 'answer'"):
        bind(TWO, row)
    assert dict(row) == {"question": "q"}


def test_a_list_for_a_single_column_says_how_to_wrap_it():
    """A row of several messages for one column is ambiguous, and the message shows the way out."""
    with pytest.raises(RowError, match=r"where the list is the value itself, write \(messages,\)"):
        bind(("messages",), ["hello", "hi"])


def test_long_and_hostile_values_are_shortened_in_messages():
    """A message about a row of megabytes is short, and harmless to print."""
    with pytest.raises(RowError) as caught:
        bind(TWO, ("x" * 10**6, "\x1b[31m", "more"))

    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


def test_rows_of_sqlite_go_by_name():
    """What has names like a mapping, but is none, is read by them."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select 'a' as answer, 'q' as question").fetchone()
    connection.close()

    assert bind(TWO, row) == ("q", "a")


class Array:
    """A row of an array, as numpy has it."""

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return self.values


def test_rows_of_arrays_go_by_position():
    """A row of a two-dimensional array is a sequence, and for one column a value."""
    row = Array(["q", "a"])

    assert bind(TWO, row) == ("q", "a")
    assert bind(("question",), row) == (row,)
    with pytest.raises(RowError, match="got 1 value"):
        bind(TWO, Array(5))


# --- all rows --------------------------------------------------------------------------------


def rows_of(dataset):
    return list(Source(dataset).open())


async def generate():
    for value in (1, 2, 3):
        yield value


@pytest.mark.parametrize(
    "dataset",
    [[1, 2, 3], (1, 2, 3), range(1, 4), {1: 0, 2: 0, 3: 0}.keys(), lambda: iter([1, 2, 3])],
    ids=str,
)
def test_iterables_and_functions_can_be_read_again_and_again(dataset):
    """Each opening begins at the first row."""
    source = Source(dataset)

    assert list(source.open()) == [1, 2, 3]
    assert list(source.open()) == [1, 2, 3]


def test_objects_with_items_are_iterables():
    """What has only `__getitem__` and `__len__`, as map-style datasets of torch, is read too."""

    class Items:
        def __getitem__(self, at):
            return [4, 5][at]

        def __len__(self):
            return 2

    assert rows_of(Items()) == [4, 5]
    assert Source(Items()).length() == 2


def test_a_class_is_called():
    """A dataset class without arguments is a function that returns an iterable."""

    class Numbers:
        def __iter__(self):
            return iter([1, 2])

    assert rows_of(Numbers) == [1, 2]


@pytest.mark.parametrize("dataset", [generate, generate()], ids=["function", "generator"])
def test_async_datasets_give_an_async_iterator(dataset):
    """An async generator, or the function that makes it, is read with `async for`."""

    async def read():
        return [row async for row in Source(dataset).open()]

    assert asyncio.run(read()) == [1, 2, 3]


@pytest.mark.parametrize(
    "dataset", [iter([1, 2]), (n for n in (1, 2)), generate(), map(str, [1])], ids=str
)
def test_an_iterator_is_read_only_once(dataset):
    """A second reading would find nothing and call that success, so it is an error."""
    source = Source(dataset)
    source.open()

    with pytest.raises(DatasetError, match=r"only once.*pass the function that makes it"):
        source.open()


def test_reading_is_lazy():
    """An endless dataset opens at once, and nothing is read before it is asked for."""
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield read[-1]

    rows = Source(endless).open()
    before = list(read)
    first = next(rows)
    rows.close()

    assert (before, first, read) == ([], 0, [0])


@pytest.mark.parametrize(
    ("dataset", "length"),
    [
        ([1, 2], 2),
        (range(7), 7),
        (iter([1]), None),
        (lambda: [1], None),
        (generate, None),
        ("rows.jsonl", None),
        (Path("rows.jsonl"), None),
    ],
    ids=str,
)
def test_the_length_is_known_or_none(dataset, length):
    """Where a dataset does not say how many rows it has, nobody counts them; a path has none."""
    assert Source(dataset).length() == length


def test_num_rows_is_a_length():
    """A registered dataset says it with `num_rows`; one that raises on len() does not know."""

    class Known:
        num_rows = 12

        def __iter__(self):
            return iter([])

    class Unknown(Known):
        num_rows = None

        def __len__(self):
            raise NotImplementedError

    assert Source(Known()).length() == 12
    assert Source(Known).length() is None
    assert Source(Unknown()).length() is None


@pytest.mark.parametrize("dataset", [{"test": [1], "train": [2]}, MappingProxyType({"a": 1})])
def test_a_mapping_is_no_dataset(dataset):
    """Its keys would be taken for rows; a dataset with splits is used one split at a time."""
    with pytest.raises(DatasetError, match="is no list of rows; pass one of its values"):
        Source(dataset)
    with pytest.raises(DatasetError, match="is no list of rows"):
        Source(lambda: dataset).open()


@pytest.mark.parametrize("dataset", [5, None, b"rows", bytearray(b"x"), object()], ids=str)
def test_what_has_no_rows_is_refused(dataset):
    """The message says what a dataset can be."""
    with pytest.raises(DatasetError, match="a dataset is an iterable of rows"):
        Source(dataset)


async def forgotten():
    return [1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: None, "returned NoneType, expected an iterable"),
        (forgotten, "'forgotten' returned coroutine.*async generator, with `yield`"),
    ],
    ids=["none", "coroutine"],
)
def test_a_function_that_returns_no_rows_is_told(function, message):
    """A coroutine is closed, so that Python does not complain about it elsewhere."""
    with pytest.raises(DatasetError, match=message):
        Source(function).open()


def test_an_awaitable_without_close_is_told():
    """Whatever is to be awaited gets the same advice."""

    class Later:
        def __await__(self):
            yield

    with pytest.raises(DatasetError, match=r"returned Later.*async generator"):
        Source(Later).open()


def test_frames_give_their_rows():
    """A pandas or polars frame, which iterates its columns, gives mappings by column."""

    class Pandas:
        columns = ("question", "answer")

        def __iter__(self):
            return iter(self.columns)

        def itertuples(self, index, name):
            assert (index, name) == (False, None)
            return iter([("q", "a")])

    class Polars:
        def __iter__(self):
            return iter(["a column"])

        def iter_rows(self, named):
            assert named
            return iter([{"question": "q", "answer": "a"}])

    assert rows_of(Pandas()) == rows_of(Polars()) == [{"question": "q", "answer": "a"}]


class Schema:
    def __init__(self, *names):
        self.names = names


class Arrow:
    """A table or a batch of pyarrow: iterating it gives its columns, and not its rows."""

    def __init__(self, rows, *names):
        self.rows = rows
        self.schema = Schema(*names)

    def __iter__(self):
        raise AssertionError("these are the columns")

    def __len__(self):
        return len(self.rows)

    def slice(self, offset, length):
        return Arrow(self.rows[offset : offset + length], *self.schema.names)

    def to_pylist(self):
        assert len(self.rows) <= 1_000, "more than a page at once"
        return self.rows


def test_tables_of_arrow_give_their_rows():
    """Not their columns; page by page, since a list of all may not fit."""
    rows = [{"q": str(n)} for n in range(2_345)]

    assert rows_of(Arrow(rows, "q")) == rows
    assert rows_of(Arrow([], "q")) == []


def test_a_reader_of_arrow_gives_the_rows_of_its_batches():
    """A stream of batches is a stream of rows."""

    class Reader:
        read_next_batch = None

        def __iter__(self):
            return iter([Arrow([{"q": 1}, {"q": 2}], "q"), Arrow([{"q": 3}], "q")])

    assert rows_of(Reader()) == [{"q": 1}, {"q": 2}, {"q": 3}]


def test_two_columns_of_one_name_are_refused():
    """Nobody can tell which of them a row's value would come from."""

    class Frame:
        columns = ("a", "q", "a")
        itertuples = None

        def __getitem__(self, key):
            raise AssertionError

    for frame in (Frame(), Arrow([], "a", "q", "a")):
        with pytest.raises(DatasetError, match=f"{type(frame).__name__} has the column 'a' twice"):
            Source(frame).open()


def test_a_frame_that_is_not_computed_says_how():
    """A LazyFrame is a plan; its rows are there after collect()."""

    class LazyFrame:
        collect = None

        def __getitem__(self, key):
            raise TypeError("not subscriptable")

    with pytest.raises(DatasetError, match=r"a LazyFrame has no rows yet; pass its \.collect\(\)"):
        Source(LazyFrame()).open()


def test_structured_arrays_give_rows_by_name():
    """An array of numpy's whose values have named fields is a table."""

    class Structured(list):
        class dtype:
            names = ("question", "answer")

    table = Structured([Array(("q", "a"))])

    assert rows_of(table) == [{"question": "q", "answer": "a"}]


class Model:
    """What pydantic's models, among others, have in common."""

    model_fields = {"answer": None, "more": None, "question": None}
    answer, more, question = "a", 1, "q"


@dataclass
class Example:
    answer: str
    question: str


def test_rows_that_are_objects_go_by_their_fields():
    """Where they have all the columns: dataclasses, and models of pydantic, attrs and msgspec."""
    attrs = type("Attrs", (), {"__attrs_attrs__": (Named("question"), Named("answer"))})()
    attrs.question, attrs.answer = "q", "a"

    for row in (Model(), Example("a", "q"), attrs):
        assert bind(TWO, row) == ("q", "a")
        assert bind(("question",), row) == ("q",)
        assert bind(("row",), row) == (row,)
        with pytest.raises(RowError, match="the row has no 'label'; it has: .*question"):
            bind(("question", "label"), row)


Named = namedtuple("Named", "name")


def test_a_source_shows_what_it_reads():
    """Its repr is short."""
    assert repr(Source([1, 2])) == "Source([1, 2])"


# --- files -----------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path."""

    def to(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "ROWS.JSONL"])
@pytest.mark.parametrize("as_text", [True, False])
def test_jsonl_has_a_row_in_each_line(write, name, as_text):
    """Blank lines, Windows line ends, a byte order mark and U+2028 in texts are no trouble."""
    content = '\ufeff{"q": "ä\u2028"}\r\n\n[1, 2]\n  \n"text"\n5'
    path = write(name, content)

    rows = rows_of(str(path) if as_text else path)

    assert rows == [{"q": "ä\u2028"}, [1, 2], "text", 5]


def test_a_function_may_return_a_path(write):
    """What a dataset function returns is treated like what is given."""
    path = write("rows.jsonl", "1\n2\n")

    assert rows_of(lambda: path) == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"q": 1}\n{"q": \n', r"rows\.jsonl, line 2: not JSON: Expecting value \(column [67]\)"),
        ("1\n2 3\n", "line 2: not JSON: Extra data"),
        (b'{"q": 1}\n{"q": "\xe4"}\n', "line 2, byte 8: 0xe4 is not UTF-8"),
        ("1\n" + "[" * 100_000, "line 2: nested too deeply"),
        ("1\n" + "9" * 5000, "line 2: not JSON: Exceeds"),
        ("1\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    ],
    ids=["torn", "two values", "latin-1", "deep", "digits", "utf-16"],
)
def test_a_damaged_line_is_told_with_its_number(write, content, message):
    """The rows before it are given; then the error names file and line."""
    path = write("rows.jsonl", content)

    with pytest.raises(DatasetError, match=message):
        rows_of(path)


def test_the_rows_before_a_damaged_line_are_given(write):
    """A file is read lazily, so a torn last line costs only itself."""
    rows = Source(write("rows.jsonl", "1\n2\n{")).open()

    assert [next(rows), next(rows)] == [1, 2]
    with pytest.raises(DatasetError):
        next(rows)


def test_csv_has_a_header_and_rows(write):
    """Quotes, line ends within quotes, separators within quotes, blanks around names."""
    path = write("rows.csv", '\ufeffquestion, answer\r\n"a, ""b""\nc",1\r\n\r\nü,\n')

    assert rows_of(path) == [
        {"question": 'a, "b"\nc', "answer": "1"},
        {"question": "ü", "answer": ""},
    ]


def test_tsv_is_separated_by_tabs(write):
    """Commas are text."""
    path = write("rows.tsv", "question\tanswer\na, b\t1\n")

    assert rows_of(path) == [{"question": "a, b", "answer": "1"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2,3\n", "line 2: expected 2 fields.*got 3"),
        ('a,b\n1,"2\n3\n', "line 2: unexpected end of data"),
        ('a,b\n1,"2"3\n', "line 2: ',' expected after '\"'"),
        ("a,b, a\n", "line 1: the header has 'a' twice"),
        (b"a,b\n1,2\n\xff,3\n", "line 3, byte 1: 0xff is not UTF-8"),
    ],
    ids=["long", "open quote", "stray quote", "double", "latin-1"],
)
def test_a_damaged_table_is_told_with_its_line(write, content, message):
    """No value is shifted into another column."""
    with pytest.raises(DatasetError, match=message):
        rows_of(write("rows.csv", content))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b,,\n1,2,,\n3,4,,\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("a,b\n1,2,,\n", [{"a": "1", "b": "2"}]),
        ("a,b\n,\n1,2\n , \n,,,\n", [{"a": "1", "b": "2"}]),
        ("a,b\n1\n3,4\n", [{"a": "1"}, {"a": "3", "b": "4"}]),
        ("a;b\n1;2,5\n", [{"a": "1", "b": "2,5"}]),
        ("a\tb\n1\t2,5\n", [{"a": "1", "b": "2,5"}]),
        ("a|b\n1|2\n", [{"a": "1", "b": "2"}]),
        ("sep=;\na;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ("sep=,\r\na,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        ("a,b\r1,2\r3,4\r", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ('a,b\r\n1,"x\r\ny"\r\n', [{"a": "1", "b": "x\r\ny"}]),
        ('a,b\n1,"x\ry"\n', [{"a": "1", "b": "x\ry"}]),
        ("", []),
    ],
    ids=repr,
)
def test_what_spreadsheets_write_is_read(write, text, rows):
    """Empty columns and rows, semicolons, short rows, carriage returns."""
    assert rows_of(write("rows.csv", text)) == rows


def test_a_short_row_fails_alone(write):
    """It lacks a column; the others run."""
    first, second = rows_of(write("rows.csv", "q,a\n1\n3,4\n"))

    with pytest.raises(RowError, match="the row has no 'a'; it has: q"):
        bind(("q", "a"), first)
    assert bind(("q", "a"), second) == ("3", "4")


def test_json_may_hold_a_value_a_line(write):
    """Whatever its suffix says; what is neither is told by its line."""
    assert rows_of(write("rows.json", '{"q": 1}\n\n{"q": 2}\n')) == [{"q": 1}, {"q": 2}]
    with pytest.raises(DatasetError, match=r"rows\.json, line 2: not JSON"):
        rows_of(write("rows.json", '{"q": 1}\n{"q": \n'))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("rows.parquet", r"lambda: pandas.read_parquet\('rows.parquet'\)"),
        ("rows.xlsx", r"lambda: pandas.read_excel\('rows.xlsx'\)"),
        (
            "https://example.com/x.csv",
            "'https://example.com/x.csv' is an address",
        ),
        ("hf://datasets/x", "is an address, and files are read"),
    ],
)
def test_other_kinds_of_files_say_how_to_go_on(path, said):
    """What to write, with the address as it was given."""
    with pytest.raises(DatasetError, match=said):
        Source(path).open()


def test_a_file_is_looked_for_beside_the_evaluation_first(tmp_path, monkeypatch):
    """And then in the working directory; so it is found from wherever the command is given."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "both.csv").write_text(f"q\n{folder.name}\n")
    (there / "one.csv").write_text("q\nthere\n")
    code = "def eval_x(q): ..."
    (here / "eval_x.py").write_text(code)
    names = {}
    exec(compile(code, str(here / "eval_x.py"), "exec"), names)
    monkeypatch.chdir(there)

    def opened(path):
        source = Source(path)
        source.beside(names["eval_x"])
        return list(source.open())

    assert opened("both.csv") == [{"q": "here"}]
    assert opened("one.csv") == [{"q": "there"}]
    with pytest.raises(DatasetError, match="paths count from the evaluation's folder, .*here"):
        opened("none.csv")


def test_huge_fields_are_read_however_the_readers_interleave(write):
    """The csv module has one limit for all; who puts it back fails another reader."""
    path = write("rows.csv", f"a,b\n{'x' * 10**6},1\n{'y' * 10**6},2\n")

    first, second = iter(Source(str(path)).open()), iter(Source(str(path)).open())
    lengths = [len(next(each)["a"]) for each in (first, second, first, second)]

    assert lengths == [10**6] * 4
    assert csv.field_size_limit() >= 2**31 - 1


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.tsv"])
def test_an_empty_file_has_no_rows(write, name):
    """No rows is for the run to judge."""
    assert rows_of(write(name, "")) == []


def test_json_holds_a_list_of_rows(write):
    """Each entry is a row."""
    assert rows_of(write("rows.json", '[\n {"q": 1},\n [2]\n]')) == [{"q": 1}, [2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[1,\n2,\n"x]', r"rows\.json, line 3: not JSON: Unterminated string"),
        ('{"data": []}', r"expected a list of rows, got dict.*\.jsonl"),
        (b'[1,\n"\xff"]', "line 2, byte 2: 0xff is not UTF-8"),
        ("[" * 100_000, "line 1: nested too deeply"),
    ],
    ids=["torn", "mapping", "latin-1", "deep"],
)
def test_a_damaged_json_file_is_told(write, content, message):
    """The error names file and line."""
    with pytest.raises(DatasetError, match=message):
        rows_of(write("rows.json", content))


def test_compressed_files_are_read(write):
    """`.gz` behind any of the suffixes."""
    path = write("rows.jsonl.gz", gzip.compress(b"1\n2\n"))

    assert rows_of(path) == [1, 2]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"no gzip", 0),
        (gzip.compress(b"1\n" * 9)[:-9], 9),
        (gzip.compress(json.dumps("x" * 99).encode() * 99)[:40] + b"\xff" * 40, 0),
    ],
    ids=["other", "cut", "damaged"],
)
def test_damaged_compression_is_told(write, content, line):
    """A torn download is no short dataset."""
    with pytest.raises(DatasetError, match=rf"rows\.jsonl\.gz, after line {line}: damaged gzip"):
        rows_of(write("rows.jsonl.gz", content))


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.gz", "", "What is 2 + 2?"])
def test_a_text_that_names_no_dataset_is_told(name):
    """A prompt given for a dataset is not read letter by letter."""
    with pytest.raises(DatasetError, match=r"that ends in \.jsonl, \.ndjson, \.csv, \.tsv, \.json"):
        Source(name).open()


def test_a_missing_file_is_told_with_the_directory(tmp_path, monkeypatch):
    """Paths count from the working directory, which the message names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(DatasetError, match=f"'rows.jsonl' does not exist.*{tmp_path.name}"):
        Source("rows.jsonl").open()
    with pytest.raises(DatasetError, match="is not a file"):
        Source("folder.csv").open()


# --- registered datasets ---------------------------------------------------------------------


@pytest.fixture
def numbers(monkeypatch):
    """A registered dataset with two splits."""
    monkeypatch.setattr(datasets.registry, "_registered", {})

    @datasets.registry.register("numbers")
    class Numbers:
        """Small numbers.

        More of them.
        """

        name = "numbers"
        splits = ("train", "test")
        columns = ("number",)
        num_rows = 3

        def __init__(self, split=None, **options):
            self.split, self.options = split, options

        def __iter__(self):
            return iter([1, 2, 3])

    return Numbers


def test_a_registered_dataset_is_opened_by_name(numbers):
    """The split and the options go to the class."""
    dataset = open_dataset("numbers", "test", limit=2)

    assert (dataset.split, dataset.options) == ("test", {"limit": 2})
    assert rows_of(dataset) == [1, 2, 3]
    assert open_dataset("numbers").split is None


def test_datasets_tell_of_themselves_without_being_opened(numbers):
    """The information is on the class."""
    assert list_available() == ["numbers"]
    assert get_dataset_info("numbers") == {
        "name": "numbers",
        "splits": ["train", "test"],
        "columns": ["number"],
        "num_rows": 3,
        "about": "Small numbers.",
    }


def test_what_only_an_instance_knows_is_left_open(numbers):
    """A property has no value on the class; a class without description has none."""
    numbers.num_rows = property(lambda self: 3)
    numbers.splits = property(lambda self: ["test"])
    numbers.__doc__ = None

    info = get_dataset_info("numbers")

    assert (info["num_rows"], info["splits"], info["about"]) == (None, [], "")
    assert open_dataset("numbers", "anything").split == "anything"


def test_an_unknown_split_is_told(numbers):
    """With the splits that there are, and the one that was probably meant."""
    with pytest.raises(
        DatasetError, match=r"no split 'tets', did you mean 'test'\?; it has: train, test"
    ):
        open_dataset("numbers", "tets")


def test_an_unknown_dataset_is_told(numbers):
    """With the datasets that there are."""
    with pytest.raises(NotFound, match="no dataset 'nubmers', did you mean 'numbers'"):
        open_dataset("nubmers")


def test_a_dataset_names_its_columns(numbers):
    """Without columns nothing could be bound to the parameters of a function."""
    numbers.columns = "number"

    with pytest.raises(DatasetError, match="names no columns"):
        open_dataset("numbers")


def test_more_rows_than_a_length_can_say_have_an_unknown_length():
    assert Source(range(10**20)).length() is None
