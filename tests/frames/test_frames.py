"""Real frames and datasets of other libraries, as docs/how-to/use-your-data.md shows them."""

from __future__ import annotations

from functools import partial

import pytest

from doteval import foreach, run

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


@pytest.mark.parametrize(
    "make",
    [pandas_frame, polars_frame, hugging_face, hugging_face_stream],
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
