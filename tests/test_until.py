"""A run that ends when it is decided: the order of its rows, its three ends, what is kept of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from random import Random

import pytest

from doteval import ForEach, Result, Score, compare, run
from doteval.cli.program import main
from doteval.concurrency import AsyncSequential, SlidingWindow
from doteval.errors import NotFound, UsageError
from doteval.reporting.gate import Stored, judge, parse
from doteval.reporting.summary import summarise
from doteval.statistics.sequential import Bettors, anytime
from doteval.storage import open_store

GATE = "ok >= 80% @ 95%"


def made(value, n=400, *, strategy=None, repeats=1, dataset=None, slow=None, **options):
    """An evaluation of n rows whose score is value(id)."""

    async def answer(id):
        found = value(id)
        if slow is not None:
            await asyncio.sleep(slow(found))
        return found if isinstance(found, Result) else Result(Score("ok", found, ("accuracy",)))

    rows = [(id,) for id in range(n)] if dataset is None else dataset
    evaluation = ForEach(concurrency=strategy or AsyncSequential(), repeats=repeats, retries=0,
                         **options)("id", rows)(answer)  # fmt: skip
    evaluation.__name__ = "eval_x"
    return evaluation


def rate(p):
    return lambda id: Random(f"{p}{id}").random() < p


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "r.db")


@pytest.mark.parametrize(
    ("p", "gate", "outcome"),
    [
        (0.95, GATE, "pass"),
        (0.5, GATE, "fail"),
        (0.8, GATE, "undecided"),
        (0.05, "ok < 0.2 @ 95% anytime", "pass"),
        (0.5, "ok <= 0.2 @ 95%", "fail"),
        (0.97, "ok.share(x) >= 80% @ 95%", "pass"),
        (0.9, "ok >= 100% @ 95%", "fail"),
        (0.95, f"{GATE} of all rows", "pass"),
        (0.5, "ok <= 0.2 @ 95% anytime of all rows", "fail"),
        (0.97, "ok.share(x) >= 80% @ 95% of all rows", "pass"),
    ],
)
def test_a_run_ends_when_it_is_decided(path, p, gate, outcome):
    """It holds, it does not, or rows are used up."""
    value = rate(p)
    if "share" in gate:
        summary = run(
            made(lambda id: Result(Score("ok", "x" if value(id) else "y"))),
            "e", path, progress=False, until=gate,
        )  # fmt: skip
    else:
        summary = run(made(value), "e", path, progress=False, until=gate)

    assert (summary.until["outcome"], summary.until["rows"]) == (outcome, 400)
    assert summary.until["n"] == summary.scored
    assert (summary.missing == 0) == (outcome == "undecided")
    low, high = summary.until["low"], summary.until["high"]
    threshold = parse(gate).threshold
    assert (low < threshold <= high) == (outcome == "undecided")


@pytest.mark.parametrize(
    ("right", "outcome"), [(320, "pass"), (319, "fail"), (400, "pass"), (0, "fail")]
)
def test_of_all_rows_the_end_of_the_dataset_decides(path, right, outcome):
    """Of the rows that are there, and no others like them: at their end it is what it is."""
    gate = f"{GATE} of all rows"

    summary = run(made(lambda id: id < right), "e", path, progress=False, until=gate)

    assert summary.until["outcome"] == outcome
    assert summary.until["low"] <= right / 400 <= summary.until["high"]
    with closing(open_store(path)) as store:
        (verdict,) = judge([parse(gate)], Stored(store, "e"))
    assert verdict.outcome == outcome
    assert "of all rows, at any look" in verdict.message


def test_failed_rows_are_either_for_a_gate_of_all_rows(path):
    """Until they have run, whatever they would have given."""

    def value(id):
        if id % 10 == 0:
            raise ValueError
        return id % 10 > 2

    errors = run(made(value), "e", path, progress=False, until="errors <= 20% @ 95% of all rows")
    of_ok = run(made(value), "e", path, progress=False, until=f"{GATE} of all rows")

    assert errors.until["outcome"] == "pass"
    assert errors.scored < 400
    assert (of_ok.until["low"], of_ok.until["high"]) == (0.7, 0.8)
    assert of_ok.until["outcome"] == "undecided"
    with closing(open_store(path)) as store:
        verdicts = judge(
            [parse(f"{GATE} of all rows"), parse("errors <= 20% @ 95% of all rows")],
            Stored(store, "e"),
        )
    assert [(each.outcome, each.low, each.high) for each in verdicts] == [
        ("undecided", 0.7, 0.8),
        ("pass", 0.1, 0.1),
    ]


def test_of_all_rows_counts_true_and_false_once_for_each_row(path):
    """Said before anything runs where it can be, else as soon as it shows; by a gate, too."""
    gate = f"{GATE} of all rows"
    with pytest.raises(UsageError, match="repeats=: `of all rows` counts true and false, once"):
        run(made(rate(0.9), repeats=2), "e", path, progress=False, until=gate)

    summary = run(
        made(lambda id: Result(Score("ok", 0.5, ("mean", "accuracy")))),
        "half", path, progress=False, until="ok.accuracy >= 80% @ 95% of all rows",
    )  # fmt: skip
    run(made(lambda id: Result(Score("ok", id / 7, ("mean",))), 3), "e", path, progress=False)
    run(made(rate(0.9), dataset=((n,) for n in range(9))), "open", path, progress=False, samples=4)

    assert summary.until["problem"] == "ok is 0.5: `of all rows` counts true and false only"
    with closing(open_store(path)) as store:
        (numbers,) = judge([parse(gate)], Stored(store, "e"))
        (unknown,) = judge([parse(gate)], Stored(store, "open"))
    assert (numbers.outcome, unknown.outcome) == ("fail", "fail")
    assert "`of all rows` counts true and false, once for each row" in numbers.message
    assert "the end of the dataset" in unknown.message


def test_when_rows_are_done_decides_nothing(path):
    """Rows that are right are done at once here; still it is decided by the same ones."""
    slow = made(rate(0.9), strategy=SlidingWindow(40), slow=lambda ok: 0.0 if ok else 0.02)
    one = run(made(rate(0.9)), "one", path, progress=False, until=GATE)
    many = run(slow, "many", path, progress=False, until=GATE)

    assert many.until == one.until
    assert one.until["outcome"] == "pass"
    assert many.scored >= many.until["n"] == one.scored


def test_a_resume_goes_on_with_what_is_stored(path):
    """Where it was; and there is nothing to do once it is decided."""
    whole = run(made(rate(0.9)), "whole", path, progress=False, until=GATE)
    first = run(
        made(rate(0.9)), "parts", path, progress=False, until=GATE, budget="errors=0,time=0.01s"
    )
    second = run(made(rate(0.9)), "parts", path, progress=False, until=GATE)
    again = run(made(rate(0.9)), "parts", path, progress=False, until=GATE)

    assert first.scored <= second.scored
    assert second.until == whole.until == again.until
    assert again.scored == second.scored


def test_failures_help_neither_side(path):
    """A row without a value counts as the worst there can be where it holds, else as the best."""

    def value(id):
        if id % 4 == 0:
            raise ValueError
        return True

    found = run(made(value), "e", path, progress=False, until=GATE)
    errors = run(made(value), "f", path, progress=False, until="errors <= 50% @ 95%")

    assert found.until["outcome"] == "undecided"
    assert found.until["low"] < 0.8 < found.until["high"]
    assert errors.until["outcome"] == "pass"
    again = run(made(value), "f", path, progress=False, until="errors <= 50% @ 95%")
    assert again.until["outcome"] == "pass"


def test_repeats_are_no_rows(path):
    """A row counts when all of its repeats are there, as their mean; NaN is no value."""
    odd = [True, float("nan")]
    found = run(made(lambda id: True, 30, repeats=3), "e", path, progress=False, until=GATE)
    nans = run(made(lambda id: odd[id % 2], 30), "n", path, progress=False, until="ok >= 10% @ 95%")

    assert (found.until["n"], found.until["outcome"]) == (found.scored / 3, "pass")
    assert nans.until["outcome"] == "pass"
    assert nans.until["high"] == 1.0


def test_a_repeat_that_comes_later_joins_the_others(path):
    """Those of its row that are stored count with it."""
    asked = []

    def value(id):
        asked.append(id)
        if asked.count(id) == 2:
            raise ValueError
        return True

    some = made(value, 30, repeats=2)
    first = run(some, "e", path, progress=False, until="ok >= 90% @ 95%")
    second = run(some, "e", path, progress=False, until="ok >= 80% @ 95%")

    assert (first.until["outcome"], first.failed) == ("undecided", 30)
    assert (second.until["outcome"], second.until["high"]) == ("pass", 1.0)


def test_against_a_baseline_the_pairs_decide(path):
    """Rows that the baseline does not have say nothing."""
    run(made(rate(0.5), 300), "main", path, progress=False)
    found = run(
        made(lambda id: True), "new", path, progress=False, until="ok > baseline(main) @ 95%"
    )

    part = "ok > baseline(main) * 1.5 @ 95%"
    most = run(made(lambda id: True), "most", path, progress=False, until=part)

    assert found.until["outcome"] == "pass"
    assert most.until["n"] > found.until["n"]
    with pytest.raises(NotFound, match="'main' has no score 'other'"):
        run(made(rate(1)), "b", path, progress=False, until="other > baseline(main) @ 95%")


@pytest.mark.parametrize(
    ("value", "gate", "problem"),
    [
        (lambda id: 3.5, "ok >= 2 @ 95%", "the range of the values of ok.accuracy is not known"),
        (
            lambda id: Result(Score("ok", 0.0)),
            "ok >= 0.5 @ 95%",
            "the range of the values of ok.mean is not known",
        ),
        (lambda id: True, "nothing >= 2 @ 95%", "there is no score 'nothing'; there are: ok"),
        (
            lambda id: Result(Score("ok", 0.5, ("median",))),
            "ok >= 2 @ 95%",
            "ok.median has no interval for any time",
        ),
    ],
)
def test_what_no_rows_can_decide_ends_the_run(path, value, gate, problem):
    """Before it has cost anything to speak of."""
    found = run(made(value), "e", path, progress=False, until=gate)

    assert (found.until["problem"], found.until["outcome"]) == (problem, "undecided")
    assert found.scored <= 20


@pytest.mark.parametrize(
    ("options", "given", "said"),
    [
        ({}, {"until": "ok >= 80%"}, "say how sure it has to be, as in 'ok >= 80% @ 95%'"),
        ({}, {"until": "each(ok) >= 80%"}, "say how sure"),
        ({}, {"until": "unread <= 5% @ 95%"}, "expected a score, or a share of errors"),
        ({}, {"until": f"{GATE} and errors == 0"}, "expected one gate, without `and` and `or`"),
        ({}, {"until": GATE, "shard": "1/2"}, "does not go with a shard"),
        ({"cluster": "id"}, {"until": GATE}, "does not go with cluster="),
        ({"dataset": lambda: iter([(1,)])}, {"until": GATE}, "without a known end"),
    ],
)
def test_what_can_not_be_decided_row_by_row_is_refused(path, options, given, said):
    """Before anything is run."""
    with pytest.raises(UsageError, match=said):
        run(made(rate(1), **options), "e", path, progress=False, **given)


def test_samples_end_a_dataset_without_an_end(path):
    """The first so many rows, in the order of their keys."""
    endless = made(lambda id: True, dataset=lambda: ((id,) for id in range(10**9)))

    assert run(endless, "e", path, samples=60, progress=False, until=GATE).until["rows"] == 60


def test_what_is_shown_afterwards_holds_at_any_look(path, capsys):
    """In summaries and gates, of everything that is stored."""
    run(made(rate(0.95)), "e", path, progress=False, until=GATE)

    with closing(open_store(path, create=False)) as store:
        summary = summarise(store, "e", store.evaluations("e")[0])
        (verdict,) = judge([parse("ok >= 80% @ 95%")], Stored(store, "e"))
    values = [1.0] * round(summary.scores["ok"]["accuracy"].value * summary.scored)
    interval = anytime(values + [0.0] * (summary.scored - len(values)))
    assert (summary.scores["ok"]["accuracy"].low, verdict.high) == interval
    assert "at any look, n =" in verdict.message
    run(made(rate(0.9), 100), "main", path, progress=False)
    (note,) = compare("main", "e", storage=path).evaluations[0].notes
    assert note == "'e' was run until a gate was decided; tests here are for one look"
    assert main(["show", "e", "--storage", path]) == 0
    shown = capsys.readouterr().out
    assert "95% CI at any look" in shown
    assert f"until ok >= 80% @ 95%: holds, decided at {summary.until['n']} of 400 rows" in shown
    assert main(["show", "e", "--json", "--storage", path]) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"][0]["until"] == dict(summary.until)


FILE = """
from doteval import Result, Score, foreach

@foreach("id", [(id,) for id in range(60)])
def eval_x(id):
    return Result(Score("ok", id % 10 > {by}, ("accuracy",)))
"""


@pytest.mark.parametrize(("by", "code"), [(-1, 0), (6, 1), (2, 3)])
def test_the_command_line_tells_the_three_ends(tmp_path, path, capsys, by, code):
    """As exit codes, and in words."""
    file = tmp_path / "eval_y.py"
    file.write_text(FILE.format(by=by))

    assert main(["run", str(file), "--until", GATE, "--storage", path]) == code
    said = capsys.readouterr()
    assert ("holds, decided at" in said.out) == (code == 0)
    assert "to resume" not in said.out
    assert ("eval_x: until ok >= 80% @ 95%: " in said.err) == (code != 0)


def test_a_gate_that_can_not_be_read_has_a_caret(tmp_path, path, capsys):
    """As `doteval gate` shows it."""
    file = tmp_path / "eval_y.py"
    file.write_text(FILE.format(by=0))

    assert main(["run", str(file), "--until", "ok 80%", "--storage", path]) == 2
    assert "\n     ^\n" in capsys.readouterr().err


@pytest.mark.parametrize(("p", "confidence"), [(0.3, 0.95), (0.97, 0.9), (0.5, 0.99)])
def test_bettors_tell_what_the_interval_does(p, confidence):
    """After each row."""
    draw = Random(str(p))
    bettors, values = Bettors(0.5, confidence, (0.0, 2.0)), []

    for _ in range(60):
        values.append(2.0 * (draw.random() < p))
        bettors.add(values[-1])
        low, high = anytime(values, confidence=confidence, span=(0.0, 2.0))
        assert (bettors.above, bettors.below) == (low > 0.5, high < 0.5)
    assert bettors.interval == (low, high)


@pytest.mark.parametrize(("by", "failed"), [(-1, 0), (6, 1), (2, 1)])
def test_an_item_passes_where_what_it_was_to_decide_holds(pytester, by, failed):
    """And fails where it does not, or rows are used up before; a resume would change nothing."""
    pytester.makepyfile(eval_y=FILE.format(by=by))

    result = pytester.runpytest("eval_y.py", "--eval-until", GATE, "--storage", "r.db")

    result.assert_outcomes(passed=1 - failed, failed=failed)
    result.stdout.fnmatch_lines([f"*until {GATE}: *"])
    result.stdout.no_fnmatch_line("resume: *")


def test_a_budget_that_ends_it_before_offers_a_resume(pytester, path, capsys):
    """With the gate, under pytest and without it; then it is inconclusive."""
    file = pytester.makepyfile(eval_y=FILE.format(by=2))
    budget = "time=0.000001s"

    result = pytester.runpytest("eval_y.py", "--eval-until", GATE, "--eval-budget", budget)
    code = main(["run", str(file), "--until", GATE, "--budget", budget, "--storage", path])

    result.stdout.fnmatch_lines([f"resume: *--eval-until '{GATE}'*"])
    assert code == 3
    assert f"--until '{GATE}'" in capsys.readouterr().out
