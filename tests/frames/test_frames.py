"""Real frames and datasets of other libraries, as docs/how-to/use-your-data.md shows them."""

from __future__ import annotations

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
    given = make()
    first, seen = evaluation(given)
    second, again = evaluation(ROWS)

    summary = quiet(first, "e", tmp_path / "results.db")
    quiet(second, "e", tmp_path / "results.db")

    assert seen == ROWS
    assert (summary.scored, summary.failed) == (3, 0)
    assert again == []


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
