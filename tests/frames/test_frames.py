"""Real frames and datasets of other libraries, as docs/how-to/use-your-data.md shows them."""

from __future__ import annotations

import inspect
from functools import partial

import pytest

from doteval import foreach, run
from doteval.errors import DatasetError

quiet = partial(run, progress=False)
ROWS = [("great", 1), ("awful", 0), ("great", 1)]


def evaluation(dataset):
    seen = []

    @foreach("text,label", dataset)
    def eval_rows(text, label):
        seen.append((text, label))
        return label >= 0

    return eval_rows, seen


def pandas_frame():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return pandas.DataFrame(ROWS, columns=["text", "label"])


def polars_frame():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    return polars.DataFrame(ROWS, schema=["text", "label"], orient="row")


def hugging_face():
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    return datasets.Dataset.from_list([{"text": t, "label": n, "more": "x"} for t, n in ROWS])


def hugging_face_stream():
    return hugging_face().to_iterable_dataset()


def arrow_table():
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pyarrow.Table.from_pylist([{"text": t, "label": n} for t, n in ROWS])


def arrow_batch():
    return arrow_table().to_batches()[0]


def arrow_reader():
    return arrow_table().to_reader(max_chunksize=2)


def structured_array():
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    return numpy.array(ROWS, dtype=[("text", "U10"), ("label", "i4")])


@pytest.mark.parametrize(
    "make",
    [
        pandas_frame,
        polars_frame,
        hugging_face,
        hugging_face_stream,
        arrow_table,
        arrow_batch,
        arrow_reader,
        structured_array,
    ],
    ids=lambda m: m.__name__,
)
def test_rows_of_other_libraries_are_rows(make, tmp_path):
    """And they are the same rows as those of a list: a run over one resumes the other."""
    given = [ROWS, make()]
    rows, seen = evaluation(given.pop)

    summary = quiet(rows, "e", tmp_path / "results.db")
    quiet(rows, "e", tmp_path / "results.db")

    assert given == []
    assert seen == ROWS
    assert (summary.scored, summary.failed) == (3, 0)


def test_a_dataset_may_be_loaded_when_it_runs():
    later, seen = evaluation(lambda: hugging_face())

    quiet(later, storage="memory://")

    assert len(seen) == 3


def test_a_column_of_arrow_gives_its_values():
    """And not pyarrow's scalars, which nothing else understands."""
    seen = []

    @foreach("text", arrow_table()["text"])
    def eval_column(text):
        seen.append(text)
        return True

    quiet(eval_column, storage="memory://")

    assert seen == ["great", "awful", "great"]


@pytest.mark.parametrize("make", [pandas_frame, arrow_table], ids=lambda m: m.__name__)
def test_two_columns_of_one_name_are_refused(make):
    """A value can come from one of them only."""
    given = make()
    double = (
        given.rename(columns={"label": "text"})
        if hasattr(given, "rename")
        else given.rename_columns(["text", "text"])
    )
    evaluation_, _ = evaluation(double)

    with pytest.raises(DatasetError, match="has the column 'text' twice"):
        quiet(evaluation_, storage="memory://")


def test_a_lazy_frame_says_collect():
    """Its rows are not there yet."""
    evaluation_, _ = evaluation(polars_frame().lazy())

    with pytest.raises(DatasetError, match=r"LazyFrame has no rows yet; pass its .collect\(\)"):
        quiet(evaluation_, storage="memory://")


@pytest.mark.parametrize(
    "make", [pandas_frame, polars_frame, hugging_face, arrow_table], ids=lambda m: m.__name__
)
def test_a_misspelt_column_never_lets_the_label_through(make):
    """Each row fails and names what it has."""

    @foreach("Text", make())
    def eval_rows(Text):
        raise AssertionError("it was called")

    summary = quiet(eval_rows, storage="memory://")

    assert (summary.scored, dict(summary.errors)) == (0, {"RowError": 3})


# --- objects in rows --------------------------------------------------------------------------


def images():
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    return [
        {"id": "a", "image": image.new("RGB", (4, 4), "red")},
        {"id": "b", "image": image.new("P", (4, 4))},
    ]


def hugging_face_images():
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    features = datasets.Features({"id": datasets.Value("string"), "image": datasets.Image()})
    return datasets.Dataset.from_list(images(), features=features)


def models():
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    kind = pydantic.create_model("Row", id=(str, ...), image=(dict, ...))
    return [kind(id="a", image={"n": 1}), kind(id="b", image={"n": 2})]


def people():
    attrs = pytest.importorskip("attrs", reason="attrs is not installed")
    kind = attrs.make_class("Row", ["id", "image"])
    return [kind("a", {"n": 1}), kind("b", {"n": 2})]


def structs():
    msgspec = pytest.importorskip("msgspec", reason="msgspec is not installed")
    kind = msgspec.defstruct("Row", [("id", str), ("image", dict)])
    return [kind("a", {"n": 1}), kind("b", {"n": 2})]


def missing_values():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return pandas.DataFrame({"id": ["a", "b"], "image": [1, None]}).convert_dtypes()


def arrays():
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    return [("a", numpy.zeros((200, 200))), ("b", numpy.array([object()]))]


def handles():
    return [("a", object()), ("b", lambda: 1)]


@pytest.mark.parametrize("columns", ["id,image", "image", "row"])
@pytest.mark.parametrize(
    "make",
    [images, hugging_face_images, models, people, structs, missing_values, arrays, handles],
    ids=lambda m: m.__name__,
)
def test_objects_run_and_resume_with_no_call(make, columns, tmp_path):
    """Beside an id whatever they are, and without one where they have content."""
    if make in (handles, arrays) and columns != "id,image":
        pytest.skip("they have no content, and are rows by position")
    if columns == "row" and make not in (models, people, structs):
        pytest.skip("a mapping is a row, not its value")
    calls = []

    def made():
        names = columns.split(",")

        def eval_rows(**row):
            calls.append(row)
            return True

        eval_rows.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
        )
        return foreach(columns, make())(eval_rows)

    first = quiet(made(), "e", tmp_path / "results.db")
    second = quiet(made(), "e", tmp_path / "results.db")

    assert (first.scored, second.scored, len(calls)) == (2, 2, 2)
    assert (tmp_path / "results.db").stat().st_size < 200_000
