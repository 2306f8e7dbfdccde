"""Three and more experiments: who is better than whom, and the ranks that follow."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from doteval.cli import main
from doteval.errors import UsageError
from doteval.reporting.league import league, league_lines
from doteval.views.terminal import Terminal
from tests.recorded import record


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Three experiments: two alike, and one that is right ten times as often."""
    path = tmp_path / "results.db"
    for name, right in (("low", 4), ("same", 5), ("high", 40)):
        record(path, name, {"exact": [at < right for at in range(50)]})
    return path


def test_ranks_are_what_the_differences_leave_open(storage):
    """Two that can not be told apart share the ranks behind the one that is better than both."""
    found = league(["low", "high", "same"], storage=str(storage))

    assert [
        (each.experiment, each.best, each.worst, set(each.beats)) for each in found.standings
    ] == [
        ("high", 1, 1, {"low", "same"}),
        ("same", 2, 3, set()),
        ("low", 2, 3, set()),
    ]
    assert found.standings[0].estimate.value == 0.8
    assert str(found).splitlines() == league_lines(found, Terminal())
    assert found._repr_html_().startswith("<pre>eval_x exact accuracy")


def test_where_less_is_better_the_ranks_turn_around(storage):
    """The lowest stands first."""
    found = league(["low", "same", "high"], storage=str(storage), lower_is_better=["exact"])

    assert [each.experiment for each in found.standings] == ["low", "same", "high"]
    assert found.standings[-1].best == 3


def test_all_pairs_are_one_family(tmp_path):
    """A difference that is significant alone (2 / 2**6) is none among three pairs."""
    path = tmp_path / "results.db"
    record(path, "a", {"exact": [False] * 6 + [True] * 20})
    record(path, "b", {"exact": [True] * 26})
    record(path, "c", {"exact": [True] * 3 + [False] * 3 + [True] * 20})

    found = league(["a", "b", "c"], storage=str(path))

    (contrast,) = found.comparisons[0].evaluations
    (difference,) = contrast.scores[0].differences
    assert (difference.p, difference.adjusted) == (2 / 2**6, 6 / 2**6)
    assert all((each.best, each.worst) == (1, 3) for each in found.standings)


@pytest.mark.long
def test_equal_models_are_rarely_called_better(tmp_path):
    """Five of one true rate: of twenty leagues hardly one calls any of them better."""
    draw, wrong = Random(5), 0
    for at in range(20):
        path = tmp_path / f"{at}.db"
        for name in "abcde":
            record(path, name, {"exact": [draw.random() < 0.7 for _ in range(40)]})
        wrong += any(each.beats for each in league("abcde", storage=str(path)).standings)

    assert wrong <= 3


@pytest.mark.parametrize("names", [["low"], ["low", "same", "low"]])
def test_a_league_needs_different_experiments(storage, names):
    """One has nothing to be compared with."""
    with pytest.raises(UsageError, match="two or more different"):
        league(names, storage=str(storage))


def test_the_command_shows_ranks(storage, capsys):
    """As a table, and as plain data."""
    arguments = ["compare", "low", "same", "high", "--storage", str(storage)]

    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "rank  experiment" in shown
    assert "2-3" in shown
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["experiment"] for each in found["standings"]] == ["high", "same", "low"]
    assert len(found["comparisons"]) == 3
    assert main([*arguments, "--margin", "1%"]) == 2


def test_lines_name_what_is_ranked(storage):
    """Evaluation, score and metric stand above their table, one table for each."""
    for name in ("low", "high"):
        record(storage, name, {"exact": [True] * 5}, name="eval_y")
    lines = league_lines(league(["low", "high"], storage=str(storage)), Terminal(None))

    assert lines[0] == "eval_x exact accuracy"
    assert lines[3].split()[:2] == ["1", "high"]


def test_an_evaluation_that_one_has_not_is_ranked_among_the_others(storage):
    """It has no figure there, and no place."""
    for name in ("low", "same"):
        record(storage, name, {"exact": [True] * 5}, name="eval_y")

    found = league(["low", "same", "high"], storage=str(storage))

    assert [each.experiment for each in found.standings if each.evaluation == "eval_y"] == [
        "low", "same",
    ]  # fmt: skip
