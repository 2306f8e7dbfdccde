"""Several evaluations at a glance: one table, a matrix, and from experiment to experiment."""

from __future__ import annotations

import json

import pytest

from doteval.cli import main
from doteval.record import Score
from doteval.reporting.experiments import Experiment
from doteval.reporting.overview import matrices, overview_lines, trends
from doteval.reporting.summary import summarise
from doteval.storage import open_store
from doteval.views.terminal import Terminal
from tests.stocked import recorded, right, stock, wrong

MODELS = [("mail", "a", 3), ("mail", "b", 4), ("chat", "a", 2), ("chat", "b", 4)]


@pytest.fixture
def store(tmp_path):
    with_rows = open_store(str(tmp_path / "results.db"))
    yield with_rows
    with_rows.close()


def stocked(store, experiment, models=MODELS, **changes):
    """Evaluations of four rows, of which so many are right; and their summaries."""
    for task, model, good in models:
        rows = [(right if at < good else wrong)(at) for at in range(4)]
        stock(store, experiment, rows, evaluation=f"e.py::eval_{task}[{model}]", **changes)
    return [summarise(store, experiment, each) for each in store.evaluations(experiment)]


def test_what_stands_in_brackets_is_a_line_of_a_matrix(store):
    (table,) = matrices(stocked(store, "base"))

    assert table.text(Terminal()).splitlines() == [
        "exact  eval_mail  eval_chat",
        "─────  ─────────  ─────────",
        "a            75%        50%",
        "b           100%       100%",
    ]


def test_a_matrix_has_gaps_where_an_evaluation_is_missing(store):
    (table,) = matrices(stocked(store, "base", MODELS[:3]))

    assert table.text(Terminal()).splitlines()[-1] == "b           100%          -"


@pytest.mark.parametrize("models", [MODELS[:2], [MODELS[0], MODELS[2]]])
def test_one_line_or_one_column_is_no_matrix(store, models):
    assert list(matrices(stocked(store, "base", models))) == []


def test_many_evaluations_are_one_table_with_what_must_not_be_overlooked(store):
    """Two of one short name are told apart, and a failure is told below."""
    summaries = stocked(store, "base", MODELS[:2])
    moved = [{"at": 0.0, "limit": 2}, {"at": 1.0, "limit": 40}]
    stock(store, "base", [recorded(0)], evaluation="f.py::eval_mail[a]", ended={"history": moved})
    summaries.append(summarise(store, "base", "f.py::eval_mail[a]"))

    lines = overview_lines(summaries, Terminal(), [(), (), ["look twice"]])

    assert [line.split("  ")[0] for line in lines[2:5]] == [
        "e.py::eval_mail[a]",
        "eval_mail[b]",
        "f.py::eval_mail[a]",
    ]
    assert lines[0].endswith("took  limit") and lines[4].endswith("2 → 40")
    assert lines[5:] == ["", "f.py::eval_mail[a]", "  errors    1 ValueError",
                         "  note      look twice"]  # fmt: skip


def test_a_trend_goes_from_the_oldest_experiment_to_the_latest(store):
    """Whatever the order in which they are read; an evaluation of one experiment has none."""
    late = stocked(store, "late", began=2_000.0)
    early = stocked(store, "early", [("mail", "a", 1)], began=1_000.0)
    damaged = Experiment("damaged", [], 0.0, "no file")

    (only,) = trends([Experiment("late", late, 0.0), Experiment("early", early, 0.0), damaged])

    assert (only.evaluation, only.score, only.metric) == ("e.py::eval_mail[a]", "exact", "accuracy")
    assert [(name, estimate.value) for name, _, estimate in only.points] == [
        ("early", 0.25),
        ("late", 0.75),
    ]


def test_an_evaluation_without_scores_has_no_trend(store):
    for name in ("one", "two"):
        stock(store, name, [recorded(0)], evaluation="e.py::eval_x")
    found = [Experiment(n, [summarise(store, n, "e.py::eval_x")], 0.0) for n in ("one", "two")]

    assert trends(found) == []


# --- on the command line ------------------------------------------------------------------------


@pytest.fixture
def doteval(store, tmp_path, capsys):
    """The command: what it prints."""

    def run(*arguments):
        assert main(["--storage", str(tmp_path / "results.db"), *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_list_shows_trends(store, doteval):
    """With the ends of the curve and the last interval; the same as JSON and CSV."""
    for at, good in enumerate((1, 2, 4)):
        stocked(store, f"week {at}", [("mail", "a", good)], began=1_000.0 * at)

    shown = doteval("list", "--trend").splitlines()
    told = json.loads(doteval("list", "--trend", "--json"))["trends"]

    assert shown[2].split()[:6] == ["eval_mail[a]", "exact", "3", "▃▅█", "25%", "100%"]
    assert shown[2].endswith("week 2")
    assert [each["value"] for each in told[0]["points"]] == [0.25, 0.5, 1.0]


def test_without_two_experiments_there_is_no_trend(store, doteval):
    stocked(store, "base")

    assert doteval("list", "--trend") == "No evaluation has scores in two experiments yet.\n"


def test_show_has_a_table_of_many_evaluations(store, doteval):
    """And a block of one that is asked for."""
    stocked(store, "base")

    assert "eval_mail[a]  complete" in doteval("show", "base")
    assert "eval_mail[a] · complete" in doteval("show", "base", "--evaluation", "eval_mail[a]")


def test_a_score_that_is_a_number_stands_in_the_matrix_too(store):
    for task, model, points in MODELS:
        score = Score("points", points / 8, ("mean", "std"))
        stock(store, "base", [recorded(0, score)], evaluation=f"e.py::eval_{task}[{model}]")
    summaries = [summarise(store, "base", each) for each in store.evaluations("base")]

    (table,) = matrices(summaries)

    assert table.text(Terminal()).splitlines()[2] == "a           0.375       0.25"


def test_a_terminal_is_told_how_to_see_one_as_a_whole(store, monkeypatch):
    """In a pipe nobody needs to be told."""
    from io import StringIO

    class Screen(StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    stocked(store, "base")
    monkeypatch.setattr("sys.stdout", screen := Screen())
    monkeypatch.setattr("sys.argv", ["doteval"])
    assert main(["--storage", str(store.path), "--color", "never", "show", "base"]) == 0

    shown = " ".join(screen.getvalue().split())
    assert "one as a whole: doteval show base --evaluation 'eval_mail[a]'" in shown


def test_errors_of_a_run_that_was_interrupted_say_so(store, doteval):
    """Also where none of its attempts has failed."""
    stock(store, "base", [right(0)], ended={"status": "interrupted", "error": "Ctrl-C"})

    assert "the last run is interrupted: Ctrl-C" in doteval("show", "base", "--errors")
