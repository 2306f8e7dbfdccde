"""Answers that could not be read, and empty ones, as figures: stored, summed up, shown, judged."""

from __future__ import annotations

import csv
import io
import json

import pytest

from doteval import ForEach, Result, Score, foreach, run
from doteval.cli import main
from doteval.evaluators import choice_match, exact_match, f1
from doteval.record import EMPTY

ANSWERS = ["B", "A", "I can not tell", None, "", "The answer is B", "B", "B", "B", "B"]


@foreach("answer", ANSWERS)
def eval_choice(answer):
    """Six right, one wrong, one unread, two empty."""
    return Result(choice_match(answer, "B"), f1(answer or "B", "B"), model_response=answer)


@pytest.fixture
def storage(tmp_path):
    """A store with an experiment."""
    path = str(tmp_path / "results.db")
    run(eval_choice, "e", storage=path, progress=False)
    return path


def figures(summary):
    """What a summary says of answers."""
    return summary.unread, summary.empty, summary.readings


def test_unread_and_empty_answers_are_counted(storage):
    """Apart from wrong ones, and from each other; scores that read every answer say nothing."""
    summary = run(eval_choice, "e", storage=storage, progress=False)

    assert figures(summary) == (
        1,
        2,
        {"choice_match": {"of": 10, "unread": 1, "empty": 2, "differing": 0}},
    )
    assert summary.scores["choice_match"]["accuracy"].value == 0.6
    assert (summary.to_dict()["unread"], summary.to_dict()["empty"]) == (1, 2)


def test_repeats_are_counted_each(tmp_path):
    """An answer is one, whatever row it is of."""

    @ForEach(repeats=2)("answer", ["I can not tell", "B"])
    def eval_twice(answer):
        return choice_match(answer, "B")

    summary = run(eval_twice, "e", storage=str(tmp_path / "r.db"), progress=False)

    assert summary.readings["choice_match"] == {"of": 4, "unread": 2, "empty": 0, "differing": 0}


def test_the_figures_survive_export_and_import(storage, tmp_path, capsys):
    """Byte for byte, and so does what was expected."""

    @foreach("n", [1])
    def eval_label(n):
        return Score("label", False, expected=True, unread=True, metadata={"problem": EMPTY})

    run(eval_label, "e", storage=storage, progress=False)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    other = str(tmp_path / "other.db")

    assert main(["export", "e", "--storage", storage, "-o", str(first)]) == 0
    assert main(["import", str(first), "--storage", other]) == 0
    assert main(["export", "e", "--storage", other, "-o", str(second)]) == 0
    capsys.readouterr()
    assert main(["show", "e", "--json", "--full", "--storage", other]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert main(["show", "e", "--json", "--full", "--storage", storage]) == 0

    assert json.loads(capsys.readouterr().out)["evaluations"] == shown["evaluations"]
    assert first.read_bytes() == second.read_bytes()
    assert sorted(each["empty"] for each in shown["evaluations"]) == [1, 2]


def test_a_figure_that_they_blur_says_so(storage, tmp_path, capsys):
    """Where more than a tenth of the answers could not be read; and CSV names the scores."""

    @foreach("n", range(5))
    def eval_blurred(n):
        return choice_match("B" if n else "no idea", "B")

    run(eval_blurred, "e", storage=storage, progress=False)
    for command in (["export", "e", "--format", "markdown"], ["show", "e", "--markdown"]):
        assert main([*command, "--storage", storage]) == 0
        told = capsys.readouterr().out
        assert "choice_match (20.0% unread)" in told
        assert "choice_match` | **60%**" in told or "choice_match | **60%**" in told

    assert main(["list", "--storage", storage]) == 0
    assert "unread" not in capsys.readouterr().out
    assert main(["export", "e", "--format", "csv", "--storage", storage]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [each["unread"] for each in rows[:5]] == ["", "", *["choice_match"] * 3]


def test_show_tells_them_and_lists_them(storage, capsys):
    """Beside the figure that they blur; with --unread each with its reason."""
    assert main(["show", "e", "--storage", storage]) == 0
    block = capsys.readouterr().out
    assert main(["show", "e", "--unread", "--storage", storage]) == 0
    listed = capsys.readouterr().out

    assert "1 unread (10.0%)" in block
    assert "2 empty (20.0%)" in block
    assert "it names no choice" in listed
    assert listed.count(EMPTY) == 2
    assert "row 0" not in listed


def test_where_all_was_read_show_has_nothing_to_list(tmp_path, capsys):
    """And says so."""

    @foreach("n", [1])
    def eval_read(n):
        return True

    storage = str(tmp_path / "r.db")
    run(eval_read, "e", storage=storage, progress=False)

    assert main(["show", "e", "--unread", "--storage", storage]) == 0
    assert "no answer is unread" in capsys.readouterr().out
    assert main(["show", "e", "--storage", storage]) == 0
    assert "unread" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ("unread <= 10%", 0),
        ("unread <= 5%", 1),
        ("unread == 1", 0),
        ("empty <= 1", 1),
        ("empty <= 20%", 0),
    ],
)
def test_gates_can_name_them(storage, gate, code):
    """As counts and as shares of what was scored."""
    assert main(["gate", "e", gate, "--storage", storage]) == code


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda n: choice_match("no idea", "B"), "could not be read"),
        (lambda n: choice_match(None, "B"), "are empty"),
        (lambda n: exact_match(str(n), n), "are of another type than what is expected"),
    ],
)
def test_one_way_of_being_wrong_is_told_in_one_sentence(tmp_path, capsys, score, said):
    """From ten answers on, where it is all of them: then it is hardly the model."""
    storage = str(tmp_path / "r.db")
    for name, count in (("few", 9), ("many", 10)):

        @foreach("n", range(count))
        def eval_x(n):
            return score(n)

        summary = run(eval_x, name, storage=storage, progress=False)
        assert bool(summary.alike) is (count == 10)
    assert said in summary.alike[0]
    assert "all 10 answers" in summary.alike[0]
    assert main(["show", "many", "--storage", storage]) == 0
    assert f"{said.split(';')[0]}" in " ".join(capsys.readouterr().out.split())
