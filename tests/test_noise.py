"""What repeats tell, from the store to the command line, the comparison and the gate."""

from __future__ import annotations

import json
import math
from contextlib import closing
from random import Random

import pytest

from doteval import compare
from doteval.cli.program import main
from doteval.reporting.comparison import comparison_lines
from doteval.reporting.gate import AtHand, GateError, Stored, judge, parse
from doteval.reporting.noise import is_flaky, spreads
from doteval.statistics.noise import flips, noise
from doteval.storage import open_store
from doteval.views.terminal import Terminal
from tests.recorded import record


def drawn(seed, rates, repeats=4):
    """True or false, by the rate of each row."""
    draw = Random(seed).random
    return [[draw() < rate for _ in range(repeats)] for rate in rates]


RATES = [at / 40 for at in range(41)]


@pytest.fixture
def path(tmp_path):
    """A store with two runs of one model, one of a worse one, and one that was asked once."""
    path = tmp_path / "r.db"
    for name, by in (("a", 0.0), ("same", 0.0), ("worse", 0.3)):
        record(path, name, {"ok": drawn(name, [max(0.0, rate - by) for rate in RATES])})
    record(path, "once", {"ok": [True] * 40 + [False]})
    record(path, "grades", {"g": [[0.5, 0.75], [1.0, 1.0]]}, metrics=("mean",))
    return path


def test_the_noise_of_an_evaluation_is_that_of_its_rows(path):
    """With the rows that are most in doubt first, and what more would buy."""
    with closing(open_store(path, create=False)) as store:
        (spread,) = spreads(store, ("a", store.evaluations("a")[0]))

    rows = drawn("a", RATES)
    assert spread.noise == noise(rows)
    assert spread.flaky[0][2].count(1) == 2
    assert len(spread.flaky) == sum(0 < sum(row) < 4 for row in rows)
    assert 0 < spread.within < 1
    plans = {(each["rows"], each["repeats"]): each for each in spread.plans()}
    assert plans[41, 4]["half_width"] == spread.noise.half_width(41, 4)
    assert (plans[82, 8]["records"], plans[82, 8]["cost"]) == (656, None)


def test_show_tells_the_noise(path, capsys):
    """For people, and as plain data; where nothing was asked twice it says what to do."""
    assert main(["show", "a", "--noise", "--storage", str(path)]) == 0
    told = capsys.readouterr().out
    assert (
        "of the interval repeats make" in told and "2 of 4 right" in told and "other rows" in told
    )
    assert main(["show", "a", "--noise", "--json", "--storage", str(path)]) == 0
    (each,) = json.loads(capsys.readouterr().out)["noise"]
    assert (each["score"], each["rows"], len(each["flaky_rows"])) == ("ok", 41, each["flaky"])
    assert main(["show", "grades", "--noise", "--storage", str(path)]) == 0
    assert "0.5 to 0.75" in capsys.readouterr().out
    assert main(["show", "once", "--noise", "--storage", str(path)]) == 0
    assert "ForEach(repeats=3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "said"), [("same", "no more than noise"), ("worse", "by themselves: more than noise")]
)
def test_a_comparison_tells_what_flips_by_itself(path, other, said):
    """Of two runs of one model all does."""
    found = compare("a", other, storage=str(path))

    assert any(said in line for line in comparison_lines(found, Terminal()))
    (score,) = found.to_dict()["evaluations"][0]["scores"]
    assert score["flips"]["rows"] == 41
    once = compare("once", "once", evaluation="eval_x", other="eval_x", storage=str(path))
    assert once.evaluations[0].scores[0].flips is None


def test_flips_of_rows_that_were_asked_once_say_nothing():
    """One of the sides must know the dice of a row."""
    assert flips([[1]], [[0]]) is None
    assert flips([[1, 1, 1]] * 9, [[1]] * 9).p == 1.0


@pytest.mark.parametrize(
    ("gate", "outcome", "said"),
    [
        ("flaky <= 5%", "fail", "is not <= 5%"),
        ("flaky <= 40", "pass", "<= 40"),
        ("flaky <= 99% @ 95%", "pass", "n = 41: all of it"),
        ("each(ok) >= 80%", "fail", "rows do not hold, the worst: 0% is not >= 80%"),
        ("each('ok') >= 0", "pass", "0 >= 0"),
        ("each(ok) <= 0.5", "fail", "the worst: 1 is not <= 0.5"),
        ("each(ok) == 1", "fail", "the worst: 0 is not == 1"),
        ("each(nothing) >= 1", "fail", "no score 'nothing'; there are: ok"),
    ],
)
def test_gates_ask_for_every_row(path, gate, outcome, said):
    """And for how many are flaky."""
    with closing(open_store(path, create=False)) as store:
        (found,) = judge([parse(gate)], Stored(store, "a"))

    assert (found.outcome, said in found.message) == (outcome, True), found.message


def test_rows_that_failed_are_told_by_a_gate_on_every_row(path):
    """They have no value that could hold."""
    record(path, "failing", {"ok": [True, None, True]})
    with closing(open_store(path, create=False)) as store:
        passed, flaky = judge(
            [parse("each(ok) >= 1"), parse("flaky == 0")], Stored(store, "failing")
        )
        summary = Stored(store, "failing").summaries(0.95)[0]

    assert (passed.outcome, passed.note) == ("pass", "1 record failed, with no value")
    assert flaky.message == "flaky: no row was asked several times; ForEach(repeats=3) does"
    for each in judge([parse("each(ok) >= 1"), parse("flaky <= 5%")], AtHand(summary)):
        assert each.message.startswith("a memory:// store is gone")


@pytest.mark.parametrize(
    ("gate", "said", "at"),
    [
        ("each(ok) >= 80% @ 95%", "each row is held against a number", 0),
        ("each(ok) >= baseline(main)", "each row is held against a number", 0),
        ("each() >= 1", "expected the name of a score here", 5),
        ("each(ok >= 1", "expected a closing bracket here", 12),
    ],
)
def test_what_can_not_be_asked_of_every_row_has_a_caret(gate, said, at):
    """Under the mistake."""
    with pytest.raises(GateError, match=said) as caught:
        parse(gate)
    assert caught.value.at == at


def test_labels_are_flaky_where_they_differ(path, capsys):
    """Also where both are wrong, or nothing was expected; of the spread they say nothing."""
    said = {"topic": [["a", "a"], ["a", "b"], ["b", "b"]]}
    record(path, "labels", said, metrics=())
    with closing(open_store(path, create=False)) as store:
        (found,) = judge([parse("flaky <= 30%")], Stored(store, "labels"))

    assert found.value == pytest.approx(1 / 3)
    assert main(["show", "labels", "--noise", "--storage", str(path)]) == 0
    assert "no score is true or false, or a number" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "flaky"),
    [
        ([math.nan, math.nan], False),
        ([math.nan, 1.0], True),
        ([1, 1.0, True], False),
        (["a", "b"], True),
    ],
)
def test_nan_is_the_same_as_nan(values, flaky):
    """And one beside a number is not."""
    assert is_flaky(values) is flaky
