"""What is stored, read from Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import doteval
from doteval import compare, experiments, foreach, records, run
from doteval.cli import main
from doteval.errors import NotFound, StoreError
from doteval.record import Usage
from doteval.storage import Store, open_store
from tests.stocked import recorded, right, stock, wrong


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store in a file."""
    store = open_store(tmp_path / "x.db")
    yield store
    store.close()


def test_records_is_the_function_whatever_has_been_imported() -> None:
    """No room of the package takes the place of a public function of its name."""
    assert all(callable(getattr(doteval, name)) for name in ("records", "experiments", "run"))


def test_records_come_one_by_one_each_with_its_evaluation(store: Store) -> None:
    """Of all evaluations, of one by its short name, and only those that are asked for."""
    stock(store, "e", [right(0), wrong(1)], evaluation="a.py::eval_a")
    stock(store, "e", [recorded(2)], evaluation="a.py::eval_b")

    told = [(each.evaluation, each.position) for each in records("e", storage=store)]
    failed = records("e", storage=store, where=lambda record: record.failed)

    assert told == [("a.py::eval_a", 0), ("a.py::eval_a", 1), ("a.py::eval_b", 2)]
    assert [each.position for each in failed] == [2]
    assert [each.position for each in records("e", "eval_b", store)] == [2]
    with pytest.raises(NotFound, match="no evaluation 'eval_c'"):
        next(records("e", "eval_c", store))
    with pytest.raises(StoreError, match="there is no store at"):
        next(records("e", storage="nowhere.db"))


def test_a_record_is_a_line_of_a_data_frame(store: Store) -> None:
    """One column for each column of the row, score, piece of metadata and figure of the usage."""
    answered = right(0, prompt="q", model_response="a", metadata={"n": 1}, usage=Usage(3, 4, 0.5))
    stock(store, "e", [answered, recorded(1), recorded(2, error="no", prompt="p")])

    first, second, third = (each.to_dict() for each in records("e", storage=store))

    assert first == {
        "evaluation": "tests/eval_x.py::eval_x", "key": answered.key.hex(), "position": 0,
        "repeat": 0, "row.question": "question 0", "row.answer": "0", "score.exact": True,
        "error": None, "message": None, "prompt": "q", "model_response": "a", "metadata.n": 1,
        "input_tokens": 3, "output_tokens": 4, "cost": 0.5, "cached_tokens": None,
        "reasoning_tokens": None, "attempts": 1, "started": answered.started, "duration": 0.5,
        "waited": 0.0, "concurrency": 2,
    }  # fmt: skip
    assert (second["error"], second["message"], second["prompt"]) == ("ValueError", "no", None)
    assert third["prompt"] == "p"


def test_experiments_are_told_the_latest_last(store: Store) -> None:
    """Each with the Summaries of its evaluations, and in one line where several are printed."""
    stock(store, "late", [right(100)])
    stock(store, "early", [right(0), wrong(1)])

    found = experiments(store)

    assert sorted(each.name for each in found) == ["early", "late"]
    assert [each.when for each in found] == sorted(each.when for each in found)
    early = next(each for each in found if each.name == "early")
    assert early.summaries[0].scored == 2
    assert repr(early) == f"<Experiment 'early': {early.status}, 2 rows>"


def test_a_summary_and_a_comparison_print_as_the_command_line_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`print(run(...))` is the first thing that anybody does in a script."""

    @foreach("x", range(20))
    def eval_low(x: int) -> bool:
        return x < 15

    storage = tmp_path / "x.db"
    summary = run(eval_low, "a", storage, progress=False)
    run(eval_low, "b", storage, progress=False)
    comparison = compare("a", "b", storage=storage)
    assert main(["show", "a", "--storage", str(storage)]) == 0
    shown = capsys.readouterr().out

    assert str(summary) in shown
    assert str(summary).startswith("eval_low · complete")
    assert main(["compare", "a", "b", "--storage", str(storage)]) == 0
    assert capsys.readouterr().out == f"{comparison}\n"
    assert comparison._repr_html_().startswith("<pre>a → b")
