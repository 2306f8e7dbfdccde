"""Gates: the language, the verdicts, the command, and the option of pytest."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from doteval.cli import main
from doteval.cli.gate import from_project
from doteval.errors import NotFound, UsageError
from doteval.metrics import Estimate, accuracy, maximum, mean
from doteval.reporting.difference import Difference
from doteval.reporting.gate import Stored, Verdict, judge, outcome_of
from doteval.reporting.grammar import Baseline, GateError, parse
from doteval.reporting.summary import Summary
from doteval.statistics.power import rows_for_share
from doteval.statistics.shares import exact
from doteval.storage import open_store
from tests.recorded import record

# ------------------------------------------------------------------------- the language


@pytest.mark.parametrize(
    ("text", "subject", "metric", "sign", "threshold"),
    [
        ("exact_match.accuracy >= 0.8", "exact_match", "accuracy", ">=", 0.8),
        ("exact_match>=80%", "exact_match", None, ">=", 0.8),
        ("  f1.mean  >  .5 ", "f1", "mean", ">", 0.5),
        ("code.pass@3 <= 1e-3", "code", "pass@3", "<=", 0.001),
        ("rouge.l.mean < 1", "rouge.l", "mean", "<", 1.0),
        ("x == -2", "x", None, "==", -2.0),
        ("x ≥ 1", "x", None, ">=", 1.0),
        ("x ≤ +1", "x", None, "<=", 1.0),
        ("'my score'.\"my metric\" > 3", "my score", "my metric", ">", 3.0),
        ('"a >= b".mean > 3', "a >= b", "mean", ">", 3.0),
        ('a."k(n=3)" > 3', "a", "k(n=3)", ">", 3.0),
        ("errors <= 2%", "errors", None, "<=", 0.02),
        ("latency.p95 < 2.5", "latency.p95", None, "<", 2.5),
        ("errors.mean < 2", "errors", "mean", "<", 2.0),
        ("x > 1e2%", "x", None, ">", 1.0),
    ],
)
def test_a_gate_compares_a_subject_with_a_threshold(text, subject, metric, sign, threshold):
    """Blanks do not matter; the metric follows the last dot."""
    gate = parse(text)

    assert (gate.subject, gate.metric, gate.sign, gate.threshold) == (
        subject,
        metric,
        sign,
        threshold,
    )
    assert (gate.text, gate.evaluation, gate.confidence) == (text, None, None)


@pytest.mark.parametrize("number", ["0.7", "2", "33.3", "0.1", "95"])
def test_a_percent_is_exactly_a_hundredth(number):
    """0.7 / 100 is not 0.007 but its neighbour, and a gate that is met must not fail for it."""
    assert parse(f"x >= {number}%").threshold == float(f"{number}e-2")


@pytest.mark.parametrize("said", ["95%", " 95 %", "0.95", ".95"])
def test_the_interval_is_asked_for_behind_an_at(said):
    """In percent or as a share."""
    assert parse(f"exact.accuracy >= 0.8 @{said}").confidence == 0.95


@pytest.mark.parametrize(
    ("said", "baseline"),
    [
        ("baseline(main)", Baseline("main")),
        ("baseline(main) - 1%", Baseline("main", -0.01)),
        ("baseline( my run ) + 0.5", Baseline("my run", 0.5)),
        ('baseline("a (b)")-2', Baseline("a (b)", -2.0)),
    ],
)
def test_the_threshold_may_be_another_experiment(said, baseline):
    """With something added to its figure, or taken from it."""
    assert parse(f"exact.accuracy >= {said}").threshold == baseline


@pytest.mark.parametrize(
    ("text", "evaluation"),
    [
        ("eval_x: errors == 0", "eval_x"),
        ("eval_x:errors == 0", "eval_x"),
        ("eval_x[a:b]: errors == 0", "eval_x[a:b]"),
        ("eval_a.py::eval_x[gpt]: errors == 0", "eval_a.py::eval_x[gpt]"),
        ("'eval_x[a: b]': errors == 0", "eval_x[a: b]"),
    ],
)
def test_a_gate_may_be_about_one_evaluation(text, evaluation):
    """Its name stands before a colon, in quotes where it holds one itself."""
    assert parse(text).evaluation == evaluation


@pytest.mark.parametrize(
    ("evaluation", "concerned"),
    [
        (None, True),
        ("eval_x", True),
        ("eval_x[gpt]", True),
        ("eval_a.py::eval_x", True),
        ("eval_a.py::eval_x[gpt]", True),
        ("eval", False),
        ("eval_x[claude]", False),
    ],
)
def test_an_evaluation_is_named_in_full_or_in_short(evaluation, concerned):
    """With its parameters, or without them for all."""
    gate = replace(parse("errors == 0"), evaluation=evaluation)

    assert gate.concerns("eval_a.py::eval_x[gpt]") is concerned


@pytest.mark.parametrize(
    ("text", "at", "problem"),
    [
        ("", 0, "expected a score such as exact_match.accuracy, or errors, missing"),
        (">= 3", 0, "expected a score"),
        ("exact", 5, "expected a comparison here: >=, <=, >, < or =="),
        ("exact => 0.7", 6, "expected a comparison"),
        ("exact != 0.7", 6, "expected a comparison"),
        ("exact ~ 0.7", 6, "expected a comparison"),
        ("exact >= x", 9, "expected a number here, as in 0.8 or 80%"),
        ("exact >= 1.2.3", 9, "expected a number"),
        ("exact >= nan", 9, "expected a number"),
        ("exact >= 1e999", 9, "this number is too large"),
        ("exact >= ", 9, "expected a number"),
        ("exact. >= 3", 6, "expected a metric such as accuracy after the dot"),
        ("'exact'. >= 3", 8, "expected a metric"),
        ("'exact >= 3", 0, "this quote is not closed"),
        ("''>= 3", 0, "expected a name between the quotes"),
        ("exact >= 0.8 more", 13, "nothing may follow here but another gate"),
        ("exact >= 0.8 and more", 21, "expected a comparison"),
        ("exact >= 0.8 or", 13, "nothing may follow here"),
        ("(exact >= 0.8 and errors == 0", 29, "expected a closing bracket here"),
        ("exact >= baseline(main) * -1", 26, "expected a factor above 0"),
        ("exact.accuracy.low >= 0.8 @ 95%", 0, "the low end of an interval is held against"),
        ("exact.accuracy.high <= baseline(main)", 0, "the high end of an interval"),
        ("exact >= 0.8 @ 95", 15, "as in 95%; 95% perhaps?"),
        ("exact >= 0.8 @ 100%", 15, "between 0 and 1, as in 95%"),
        ("exact >= 0.8 @", 14, "expected a number"),
        ("exact == 0.8 @ 95%", 13, "an interval can not equal a number"),
        ("exact >= baseline", 17, "as in baseline(main)"),
        ("exact >= baseline main", 18, "as in baseline(main)"),
        ("exact >= baseline()", 18, "expected the name of an experiment here"),
        ("exact >= baseline(main", 22, "expected a closing bracket here"),
        ("exact >= baseline('main'", 24, "expected a closing bracket here"),
        ("exact >= baseline(main) - -1", 26, "expected a number without a sign here"),
        (": errors == 0", 0, "expected the name of an evaluation before the colon"),
        ("errors <= 3 @ 95%", 12, "errors has no interval; only shares of the rows have"),
        ("coverage >= 90% @ 95%", 16, "coverage has no interval"),
        ("errors <= baseline(main) @ 95%", 25, "errors has no interval against a baseline"),
        ("errors == 0% @ 95%", 13, "an interval can not equal a number"),
        ("cost <= 3%", 0, "cost is no share; give it a plain number"),
        ("exact >= 0.8 @ 95% of rows", 19, "nothing may follow here"),
        ("exact by level >= 0.8 @ 95% of all rows", 22, "goes with a number, and not with `by`"),
        ("x >= baseline(main) @ 95% of all rows", 20, "`of all rows` goes with a number"),
        ("unread <= 2% @ 95% of all rows", 0, "unread is not about all rows"),
    ],
)
def test_a_mistake_is_told_with_a_caret_under_it(text, at, problem):
    """Where it goes wrong is where the caret stands."""
    with pytest.raises(GateError) as caught:
        parse(text)

    assert problem in caught.value.problem
    assert caught.value.at == at
    assert str(caught.value).splitlines()[1:] == [f"  {text}", f"  {' ' * at}^"]


# ------------------------------------------------------------------------------ judging


@dataclass
class Given:
    """Evidence at hand."""

    found: Sequence[Summary] = ()
    other: Summary | None = None
    change: Difference | None = None
    asked: list[float] = field(default_factory=list)

    def summaries(self, confidence: float, anytime: bool = False) -> Sequence[Summary]:
        self.asked.append(confidence)
        return self.found

    def baseline(self, experiment: str, evaluation: str) -> Summary:
        if self.other is None:
            raise NotFound(f"there is no experiment {experiment!r}")
        return self.other

    def difference(self, *names: Any) -> Difference:
        assert self.change is not None
        return self.change


def summary(**changes: Any) -> Summary:
    """A summary of 100 rows, of which 98 have scores and 81 are right."""
    values = [[1.0]] * 81 + [[0.0]] * 17
    facts: dict[str, Any] = {
        "experiment": "e",
        "evaluation": "eval_a.py::eval_x",
        "status": "complete",
        "total": 100,
        "scored": 98,
        "failed": 2,
        "missing": 0,
        "stale": 0,
        "duration": 12.5,
        "latency": {"mean": 0.2, "p50": 0.1, "p95": 0.5, "most": 1.0},
        "waited": 0.0,
        "attempts": 100,
        "errors": {"ValueError": 2},
        "usage": {"input_tokens": None, "output_tokens": None, "cost": None},
        "scores": {
            "exact": {"accuracy": accuracy.estimate(values)},
            "x": {
                "mean": mean.estimate([[n / 4] for n in range(9)]),
                "max": maximum.estimate([[2.0]] * 9),
            },
        },
        "bounds": {"exact": {"accuracy": (81 / 100, 83 / 100)}},
        "unknown": ("x.nobodys: nobody offers it",),
    }
    return Summary(**{**facts, **changes})


def verdict(text: str, *found: Summary, **evidence: Any) -> Verdict:
    """The only verdict on a gate."""
    (judged,) = judge([parse(text)], Given(found or (summary(),), **evidence))
    return judged


@pytest.mark.parametrize(
    ("text", "outcome", "message"),
    [
        ("exact.accuracy >= 0.8", "pass", "82.7% >= 80%"),
        ("exact >= 82.7%", "fail", "82.65% is not >= 82.7%"),
        ("exact < 0.9", "pass", "82.7% < 90%"),
        ("exact >= 0.82653", "pass", "82.7% >= 82.653%"),
        ("x.max == 2", "pass", "2 == 2"),
        ("x.max > 2", "fail", "2 is not > 2"),
        ("errors <= 2", "pass", "2 <= 2"),
        ("errors <= 2%", "pass", "2.0% <= 2%"),
        ("errors < 2%", "fail", "2.0% is not < 2%"),
        ("missing == 0", "pass", "0 == 0"),
        ("missing == 0%", "pass", "0% == 0%"),
        ("coverage >= 98%", "pass", "98.0% >= 98%"),
        ("scored > 1000", "fail", "98 is not > 1,000"),
        ("stale == 0", "pass", "0 == 0"),
        ("duration < 10", "fail", "12.5 is not < 10"),
        ("latency.p95 <= 0.5", "pass", "0.5 <= 0.5"),
        ("latency.mean < 1", "pass", "0.2 < 1"),
    ],
)
def test_a_figure_is_compared_in_full_precision(text, outcome, message):
    """What reads as 82.7% may not be it; it is told with the digits that decide."""
    judged = verdict(text)

    assert (judged.outcome, judged.message) == (outcome, message)


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<", "=="])
@pytest.mark.parametrize("behind", ["", " @ 95%"])
def test_nan_passes_no_gate(sign, behind):
    """Every comparison with NaN is false, and false fails."""
    if sign == "==" and behind:
        return
    nan = Estimate(math.nan, 3, math.nan, math.nan, math.nan, "NaN among the values")
    judged = verdict(f"exact {sign} 0.5{behind}", summary(scores={"exact": {"accuracy": nan}}))

    assert (judged.outcome, judged.message) == ("fail", "NaN, which passes no gate")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "exat.accuracy >= 0.8",
            "there is no score 'exat'; there are: exact.accuracy, x.mean, x.max, errors,",
        ),
        ("exact.acuracy >= 0.8", "there is no exact.acuracy; there are: exact.accuracy, x.mean"),
        ("x >= 0.8", "'x' has several metrics, say which: x.mean or x.max"),
        ("x.nobodys > 1", "x.nobodys: nobody offers it"),
        ("cost < 5", "cost: unknown"),
        ("'errors' < 5", "there is no score 'errors'"),
    ],
)
def test_a_figure_that_does_not_exist_fails_and_the_known_ones_are_named(text, said):
    """A typing error must not pass."""
    judged = verdict(text)

    assert judged.outcome == "fail"
    assert said in judged.message


def test_a_figure_and_a_score_of_one_name_are_told_apart_by_quotes():
    """The word means the figure; in quotes it is the score."""
    both = summary(scores={"cost": {"mean": Estimate(3.0, 9)}})

    assert verdict("cost < 5", both).message.endswith("put it in quotes: 'cost'")
    assert verdict("'cost' < 5", both).message == "3 < 5"


def test_an_unknown_end_of_the_dataset_fails():
    """How many rows are missing can not be said."""
    judged = verdict("missing == 0", summary(total=None, missing=None))

    assert (judged.outcome, judged.message) == (
        "fail",
        "missing: the end of the dataset is unknown",
    )


@pytest.mark.parametrize("text", ["errors == 0", "exact >= 0", "x: errors == 0"])
def test_a_gate_on_nothing_fails(text):
    """No evaluation, no outcome, no score: none of them is a success."""
    (nothing,) = judge([parse(text)], Given())
    nobody = verdict(text, summary(scored=0, failed=0, missing=100, scores={}, bounds={}))

    assert (nothing.outcome, nothing.message) == ("fail", "there is no evaluation")
    assert nobody.outcome == "fail"


def test_a_metric_without_a_value_fails():
    """Such as one that needs more repeats than there are."""
    none = Estimate(None, 0, method="needs 3 repeats; rows have at most 1")
    judged = verdict("exact.pass@3 > 0", summary(scores={"exact": {"pass@3": none}}))

    assert (judged.outcome, judged.message) == (
        "fail",
        "exact: needs 3 repeats; rows have at most 1",
    )


def test_a_gate_without_a_name_in_front_must_hold_for_each_evaluation():
    """One bad one is not averaged away."""
    good, bad = summary(), summary(evaluation="eval_a.py::eval_y", failed=50)
    verdicts = judge([parse("errors <= 2%")], Given((good, bad)))

    assert [(each.evaluation, each.outcome) for each in verdicts] == [
        ("eval_a.py::eval_x", "pass"),
        ("eval_a.py::eval_y", "fail"),
    ]


def test_a_gate_about_another_evaluation_leaves_this_one_alone():
    """Only the one that is named is judged; a name that nobody has fails."""
    both = (summary(), summary(evaluation="eval_a.py::eval_y", failed=50))

    (named,) = judge([parse("eval_x: errors <= 2%")], Given(both))
    (nobody,) = judge([parse("eval_z: errors <= 2%")], Given(both))

    assert named.outcome == "pass"
    assert nobody.outcome == "fail"
    assert nobody.message == "it is about no evaluation; there is eval_x, eval_y"


def test_a_gate_that_failures_could_change_says_so():
    """Passing while the failed rows could make it fail is worth a note, not a failure."""
    passed, sure, high = (
        verdict(f"exact.accuracy {rest}") for rest in (">= 0.82", ">= 0.8", "<= 0.828")
    )

    assert passed.outcome == "pass"
    assert passed.note == "2 rows failed; were they wrong, it would be 81.0%"
    assert sure.note == ""
    assert high.note == "2 rows failed; were they right, it would be 83.0%"


def test_a_gate_that_passes_while_rows_are_missing_says_so():
    """A tenth of the rows says nothing of the others; who asks for these is answered."""
    short = Given((summary(total=1_000, missing=900, failed=0),))

    (passed, failed, asked) = judge(
        map(parse, ("exact > 0.8", "exact > 0.9", "missing > 0")), short
    )

    assert (passed.outcome, passed.note) == ("pass", "900 of 1,000 records are missing")
    assert (failed.outcome, failed.note) == ("fail", "")
    assert (asked.outcome, asked.note) == ("pass", "")


# ------------------------------------------------------------------- with an interval


def test_the_interval_is_asked_for_at_the_confidence_of_the_gate():
    """`@ 90%` is an interval of 90 %."""
    evidence = Given((summary(),))
    judge([parse("exact >= 0.5 @ 90%"), parse("exact >= 0.5")], evidence)

    assert evidence.asked == [0.9, 0.95]


@pytest.mark.parametrize(
    ("text", "outcome", "end"),
    [
        ("exact >= 0.7 @ 95%", "pass", "all of it is >= 70%"),
        ("exact >= 0.9 @ 95%", "fail", "none of it is >= 90%"),
        ("exact <= 0.9 @ 95%", "pass", "all of it is <= 90%"),
        ("exact <= 0.7 @ 95%", "fail", "none of it is <= 70%"),
        ("exact >= 0.8 @ 95%", "undecided", "if the figure stays"),
        ("x.mean >= 0.9 @ 95%", "undecided", "if the figure stays"),
        ("x.max >= 1 @ 95%", "undecided", "2, and no interval: an extreme"),
        ("errors <= 10% @ 95%", "pass", "all of it is <= 10%"),
        ("missing <= 10% @ 95%", "pass", "all of it is <= 10%"),
    ],
)
def test_the_whole_interval_must_clear_the_threshold(text, outcome, end):
    """The exact interval of 81 of 98 is 0.737 to 0.896."""
    judged = verdict(text)

    assert judged.outcome == outcome
    assert judged.message.endswith(end)


@pytest.mark.parametrize(
    ("value", "gate", "told"),
    [
        (0.3000001, "x.max > 0.3", "0.3000001 > 0.3"),
        (0.79999, "x.max >= 0.8", "0.79999 is not >= 0.8"),
        (0.5, "x.max > 0.30000000000000004", "0.5 > 0.30000000000000004"),
        (1733333333.4567, "x.max > 1", "1.733e+09 > 1"),
        (2e15 / 3, "x.max > 1", "6.667e+14 > 1"),
        (1e300, "x.max > 1", "1e+300 > 1"),
    ],
)
def test_a_figure_has_the_digits_that_its_verdict_needs(tmp_path, capsys, value, gate, told):
    """As everywhere, and more only where a rounded one would stand elsewhere."""
    store = str(tmp_path / "results.db")
    record(store, "now", {"x": [value]}, metrics=("max",))
    main(["gate", "now", gate, "--storage", store])

    assert told in capsys.readouterr().out


@pytest.mark.parametrize("rows", [2, 50])
def test_equal_numbers_clear_no_interval_gate(tmp_path, capsys, rows):
    """They do not tell their spread, so an interval is neither here nor against a baseline."""
    store = str(tmp_path / "results.db")
    for name in ("main", "now"):
        record(store, name, {"f1": [1.0] * rows}, metrics=("mean",))
    gates = ["f1.mean >= 0.999 @ 99.9%", "f1.mean >= baseline(main) - 0.1% @ 95%", "f1.mean >= 0.9"]

    assert main(["gate", "now", *gates, "--storage", store]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "undecided f1.mean >= 0.999 @ 99.9% 1, and no interval: all values are the same" in out
    assert "+0, and no interval: all differences are the same" in out
    assert "pass f1.mean >= 0.9 1 >= 0.9" in out


def test_repeats_are_no_rows_when_errors_have_an_interval():
    """Ten of 400 records that are four repeats of 100 rows have the interval of 2.5 of 100."""
    (judged,) = judge(
        [parse("errors <= 5% @ 95%")], Given((summary(scored=390, failed=10, repeats=4),))
    )

    assert (judged.outcome, judged.n) == ("undecided", 100)
    assert (judged.low, judged.high) == pytest.approx(exact(2.5, 100))


def test_an_undecided_gate_says_how_many_rows_would_decide():
    """Four times in five so many leave 0.8 out, by the binomial distribution."""
    judged = verdict("exact >= 0.8 @ 95%")

    assert judged.needed == rows_for_share(81 / 98, 0.8)
    assert f"about {judged.needed:,} rows would decide, four times in five" in judged.message


def test_rows_of_groups_come_in_groups():
    """Four groups of ten need more groups, not one row more."""
    rows, groups = [[at not in (3, 14, 15, 27)] for at in range(40)], [at // 10 for at in range(40)]
    estimate = accuracy.estimate(rows, groups)
    found = summary(scores={"y": {"accuracy": estimate}}, groups=4, failed=0)

    judged = verdict("y >= 0.75 @ 95%", found)

    assert judged.outcome == "undecided"
    assert judged.needed >= 60
    assert judged.needed % 10 == 0


def test_equal_rows_are_decided_by_more_of_them():
    """Ten rows that are always right do not exclude 0.9; 36 would."""
    found = summary(scores={"y": {"accuracy": accuracy.estimate([[True] * 3] * 10)}}, failed=0)
    numbers = summary(scores={"y": {"mean": mean.estimate([[0.95]] * 10, span=(0.0, 1.0))}})

    assert verdict("y >= 0.9 @ 95%", found).needed == 36
    assert verdict("y >= 0.9 @ 95%", numbers).needed > 36
    assert verdict("y <= 0.96 @ 95%", numbers).needed > 10


def test_failures_leave_an_interval_open():
    """Ten of a hundred that failed and may have been wrong do not make ninety certain."""
    estimate = accuracy.estimate([[True]] * 90)
    found = summary(
        scored=90, failed=10, scores={"exact": {"accuracy": estimate}},
        bounds={"exact": {"accuracy": (0.9, 1.0)}},
    )  # fmt: skip

    judged = verdict("exact >= 0.95 @ 95%", found)

    assert judged.outcome == "undecided"
    assert judged.note == "10 rows failed; were they wrong, it would be 90.0%"
    assert verdict("exact >= 0.8 @ 95%", found).outcome == "pass"
    assert verdict("exact >= 0.95", found).outcome == "pass"


def test_a_gate_may_be_looked_at_any_time(storage):
    """Its interval is wider, and it tells to go on rather than how far."""
    answers = [True] * 90 + [False] * 10
    record(storage, "e", {"exact": answers, "length": [float(at) for at in range(100)]})
    record(storage, "main", {"exact": answers[::-1], "length": [float(at) for at in range(100)]})
    texts = (
        "exact >= 0.75 @ 95% anytime", "exact >= 0.82 @ 95%", "exact >= 0.82 @ 95% anytime",
        "errors <= 20% @ 95% anytime", "length >= 2 @ 95% anytime",
        "exact >= baseline(main) - 30% @ 95% anytime",
        "length >= baseline(main) - 1 @ 95% anytime",
    )  # fmt: skip
    with closing(open_store(storage, create=False)) as store:
        found = judge(map(parse, texts), Stored(store, "e"))

    assert [each.outcome for each in found] == [
        "pass", "pass", "undecided", "pass", "undecided", "pass", "undecided",
    ]  # fmt: skip
    assert found[2].message.endswith("82% lies within; go on and look again")
    assert found[2].low < found[1].low


def test_differences_of_groups_or_medians_have_no_interval_for_any_time(storage):
    """The gate is undecided, and says why."""
    values = [float(at % 7) for at in range(40)]
    for name in ("e", "main"):
        record(storage, name, {"x": values}, metrics=("median",))
        record(
            storage,
            f"{name}2",
            {"x": [at > 2 for at in values]},
            groups=[at // 4 for at in range(40)],
        )
    with closing(open_store(storage, create=False)) as store:
        (median,) = judge([parse("x >= baseline(main) - 1 @ 95% anytime")], Stored(store, "e"))
        (groups,) = judge([parse("x >= baseline(main2) - 10% @ 95% anytime")], Stored(store, "e2"))

    assert (median.outcome, groups.outcome) == ("undecided", "undecided")
    assert "for any time" in median.message and "for any time" in groups.message


def test_an_infinite_mean_is_undecided():
    """There is no interval around it."""
    found = summary(scores={"y": {"mean": mean.estimate([[math.inf], [1.0]])}})

    assert verdict("y >= 1 @ 95%", found).outcome == "undecided"


@pytest.mark.parametrize(
    ("value", "text", "outcome"),
    [
        (0.6999999999999998, "y >= 0.7", "pass"),
        (0.09999999999999999, "y >= 0.1", "pass"),
        (0.7000000000000001, "y > 0.7", "fail"),
        (0.699999, "y >= 0.7", "fail"),
        (-1e-17, "y >= 0", "pass"),
    ],
)
def test_the_last_digits_of_a_sum_decide_nothing(value, text, outcome):
    """They depend on who added it up: one store has one verdict on every machine."""
    found = summary(scores={"y": {"mean": Estimate(value, 10)}})

    assert verdict(text, found).outcome == outcome


def test_a_share_that_is_meant_in_percent_is_hinted_at():
    """Nothing from 0 to 1 is ever 80."""
    assert verdict("exact >= 80").message.endswith("is not >= 8,000%; 80% perhaps?")


def test_failures_are_compared_with_a_baseline_as_shares():
    """Five of ten are more than five of a thousand."""
    ten, thousand = summary(scored=5, failed=5), summary(scored=995, failed=5)

    assert verdict("errors <= baseline(main)", ten, other=thousand).outcome == "fail"
    assert verdict("errors <= baseline(main) + 49.5%", ten, other=thousand).outcome == "pass"


def test_tokens_are_added_up():
    """What went in and what came out; unknown where one of them is."""
    found = summary(usage={"input_tokens": 70, "output_tokens": 30, "cost": None})

    assert verdict("tokens <= 100", found).outcome == "pass"
    assert "unknown" in verdict("tokens <= 100", summary(usage={})).message


def test_a_spread_beyond_the_floats_is_decided_by_no_number_of_rows(tmp_path):
    """Scores may be of any size, and their standard error infinite."""
    scores = {"exact": [-1e300, 1e300, 1.0]}
    record(tmp_path / "results.db", "main", scores, metrics=("mean",))

    (found,) = judged_in(tmp_path / "results.db", "main", "exact >= 0.1 @ 95%")

    assert (found.outcome, found.needed) == ("undecided", None)


def test_the_rows_that_would_decide_a_mean_follow_from_its_spread():
    """0, 0.25, ... 2 has mean 1 and sd 0.6847; for 0.9 it takes about (2.8 sd / 0.1)² rows."""
    judged = verdict("x.mean >= 0.9 @ 95%")

    assert judged.needed == pytest.approx((2.8016 * 0.68465 / 0.1) ** 2, abs=4)


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(0.5, 10, None, 0.2, 0.8, "clopper-pearson"),
        Estimate(0.5, 10, 0.1, 0.2, 0.8, "gaffke"),
        Estimate(0.5, 10, None, 0.2, 0.8, "bootstrap"),
        Estimate(0.5, 10, 0.1, 0.2, 0.8, "t"),
    ],
)
def test_a_figure_on_its_threshold_is_decided_by_no_number_of_rows(estimate):
    """It would have to move."""
    judged = verdict("y.accuracy >= 0.5 @ 95%", summary(scores={"y": {"accuracy": estimate}}))

    assert (judged.outcome, judged.needed) == ("undecided", None)
    assert "no number of rows would decide" in judged.message


# ------------------------------------------------------------------- against a baseline


def change(**changes: Any) -> Difference:
    """B is one point worse on 98 rows."""
    facts: dict[str, Any] = {"n": 98, "a": 0.83, "b": 0.82, "value": -0.01}
    facts.update(stderr=0.01, low=-0.03, high=0.01, method="McNemar exact")
    return Difference("exact", "accuracy", **{**facts, **changes})


def test_a_score_is_compared_with_its_baseline_on_the_rows_of_both():
    """The difference there must hold, not the difference of two samples."""
    judged = verdict("exact.accuracy >= baseline(main) - 1%", change=change())
    worse = verdict("exact.accuracy >= baseline(main) - 1%", change=change(value=-0.0100001))

    assert judged.outcome == "pass"
    assert judged.message == (
        "82.0% here, 83.0% in main, on 98 rows of both; the difference is -1.0 pp >= -1 pp"
    )
    assert worse.outcome == "fail"


@pytest.mark.parametrize(
    ("offset", "outcome"), [("- 5%", "pass"), ("+ 5%", "fail"), ("- 1.5%", "undecided")]
)
def test_the_interval_of_the_difference_must_clear_the_offset(offset, outcome):
    """From -3 to +1 points."""
    judged = verdict(f"exact >= baseline(main) {offset} @ 95%", change=change())

    assert judged.outcome == outcome


def test_failures_that_could_change_a_difference_are_noted():
    """As with a figure: what holds only because failures are left out says so."""
    gate = "exact.accuracy >= baseline(main) - 2%"

    assert verdict(gate, change=change(bounds=(-0.03, -0.01))).note == (
        "2 rows failed; were they wrong, the difference would be -3.0 pp"
    )
    assert verdict(gate, change=change(bounds=(-0.015, -0.01))).note == ""


def test_no_row_in_common_with_the_baseline_fails():
    """Nothing was compared."""
    judged = verdict("exact >= baseline(main)", change=change(n=0, value=None))

    assert (judged.outcome, judged.message) == (
        "fail",
        "no row has exact both here and in 'main'",
    )


def test_counts_are_compared_with_those_of_the_baseline():
    """At most one failure more, or one percent of the rows."""
    before = summary(failed=1, scored=99)

    assert verdict("errors <= baseline(main) + 1", other=before).outcome == "pass"
    assert verdict("errors <= baseline(main)", other=before).outcome == "fail"
    assert verdict("errors <= baseline(main) + 1%", other=before).message == "2.0% <= 2%"
    assert verdict("latency.p50 <= baseline(main)", other=before).outcome == "pass"


def test_a_baseline_that_is_not_there_fails():
    """Its name was mistyped, or it was never run."""
    judged = verdict("errors <= baseline(main)")

    assert (judged.outcome, judged.message) == ("fail", "there is no experiment 'main'")


# ------------------------------------------------------------------------ taken together


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "undecided"], "undecided"),
        (["undecided", "fail", "pass"], "fail"),
        ([], "fail"),
    ],
)
def test_the_worst_verdict_counts(outcomes, outcome):
    """And no verdict at all is no success."""
    gate = parse("errors == 0")

    assert outcome_of(Verdict(gate, "eval_x", each) for each in outcomes) == outcome


# ---------------------------------------------------------------- evidence from a store


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A store with "main" and "candidate", which is one answer of ten worse."""
    path = tmp_path / "results.db"
    record(path, "main", {"exact": [True] * 9 + [False]})
    record(path, "candidate", {"exact": [True] * 8 + [False] * 2})
    return path


def judged_in(storage: Path, experiment: str, *texts: str) -> list[Verdict]:
    with closing(open_store(str(storage))) as store:
        return judge(map(parse, texts), Stored(store, experiment))


def test_the_store_gives_the_evidence(storage):
    """Figures, intervals of any confidence, and differences to a baseline."""
    found = judged_in(
        storage,
        "candidate",
        "exact.accuracy >= 0.8",
        "exact >= 0.5 @ 80%",
        "exact >= baseline(main) - 10%",
        "exact >= baseline(main) @ 95%",
        "errors <= baseline(main)",
    )

    assert [each.outcome for each in found] == ["pass", "pass", "pass", "undecided", "pass"]
    assert found[2].value == -0.1
    expected = accuracy.estimate([[1.0]] * 8 + [[0.0]] * 2, confidence=0.8)
    assert (found[1].low, found[1].high) == pytest.approx((expected.low, expected.high))


def test_rows_that_the_baseline_lacks_do_not_count(storage):
    """Rows that were added since are harder, say: the difference is that of the old ones."""
    record(storage, "grown", {"exact": [True] * 9 + [False] + [False] * 10})
    (found,) = judged_in(storage, "grown", "exact >= baseline(main)")

    assert (found.outcome, found.value, found.n) == ("pass", 0.0, 10)


def test_an_experiment_is_not_its_own_baseline(storage):
    """It would always hold."""
    (found,) = judged_in(storage, "main", "exact >= baseline(main)")

    assert found.outcome == "fail"
    assert "its own baseline" in found.message


def test_a_baseline_without_the_evaluation_fails(storage):
    """What was not measured then can not be compared now."""
    record(storage, "candidate", {"exact": [True]}, name="eval_new")
    found = judged_in(storage, "candidate", "eval_new: exact >= baseline(main)")

    assert (found[0].outcome, found[0].message) == ("fail", "'main' has no evaluation 'eval_new'")


# ------------------------------------------------------------------------- the command


@pytest.fixture
def typed(
    storage: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Type `doteval gate`: exit code, what it wrote to stdout, and to stderr."""
    monkeypatch.chdir(storage.parent)

    def run(*arguments: str) -> tuple[int, str, str]:
        exit_code = main(["gate", *arguments, "--storage", str(storage)])
        return exit_code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("gates", "exit_code"),
    [
        (["exact >= 0.8", "errors == 0"], 0),
        (["exact >= 0.8", "exact >= 0.81"], 1),
        (["exact >= 0.7 @ 95%"], 3),
        (["exact >= 0.7 @ 95%", "exact > 1"], 1),
        (["exat >= 0.8"], 1),
        (["exact => 0.8"], 2),
    ],
)
def test_the_exit_code_is_the_verdict(typed, gates, exit_code):
    """0 all hold, 1 one does not, 3 one is undecided, 2 one can not be read."""
    assert typed("candidate", *gates)[0] == exit_code


def test_verdicts_are_told_with_their_figures(typed):
    """One block for each gate."""
    _, out, err = typed("candidate", "exact >= 0.8", "exact >= 0.7 @ 95%")

    assert err == ""
    assert out.splitlines()[:2] == ["pass      exact >= 0.8", "          80% >= 80%"]
    assert out.splitlines()[2] == "undecided exact >= 0.7 @ 95%"


def test_several_evaluations_are_told_by_their_names(storage, typed):
    """Which one failed must be seen; --evaluation judges one alone."""
    record(storage, "candidate", {"exact": [False]}, name="eval_y")
    exit_code, out, _ = typed("candidate", "exact >= 0.8")
    alone = typed("candidate", "exact >= 0.8", "--evaluation", "eval_x")

    assert exit_code == 1
    assert "pass      exact >= 0.8 eval_x" in out
    assert "fail      exact >= 0.8 eval_y" in out
    assert alone[0] == 0


def test_a_mistake_has_its_caret_where_it_stands_on_the_screen(typed):
    """Wide characters take two columns, and controls are escaped."""
    exit_code, out, err = typed("candidate", "問\t => 3")

    assert (exit_code, out) == (2, "")
    assert err.splitlines()[1:] == ["  問\\t => 3", "       ^"]


def test_json_has_the_figures_in_full(typed):
    """For whatever reads it next."""
    found = json.loads(typed("candidate", "exact >= 0.8 @ 95%", "--json")[1])
    (gate,) = found["gates"]

    assert (found["experiment"], found["outcome"]) == ("candidate", "undecided")
    assert (gate["gate"], gate["value"], gate["threshold"]) == ("exact >= 0.8 @ 95%", 0.8, 0.8)
    assert gate["n"] == 10


def test_no_gates_at_all_is_bad_usage(typed):
    """Nothing was asked, so nothing is answered."""
    exit_code, _, err = typed("candidate")

    assert exit_code == 2
    assert "no gates: give some" in err


# --------------------------------------------------------------------- of the project

needs_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with 3.11")


@needs_toml
def test_the_gates_of_the_project_are_judged(storage, typed):
    """Those of the nearest pyproject.toml, from here upward."""
    (storage.parent / "pyproject.toml").write_text(
        '[tool.doteval]\ngates = ["exact >= 0.8", "errors <= 2%"]\n', encoding="utf-8"
    )
    exit_code, out, _ = typed("candidate")

    assert exit_code == 0
    assert out.count("pass") == 2


@needs_toml
def test_the_nearest_file_counts(tmp_path):
    """A project inside a project has its own gates, or none."""
    (tmp_path / "pyproject.toml").write_text('[tool.doteval]\ngates = ["errors == 0"]\n')
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)

    assert from_project(inside) == ["errors == 0"]
    (inside / "pyproject.toml").write_text("[project]\n")
    assert from_project(inside) == []


def test_no_file_has_no_gates(tmp_path, monkeypatch):
    """Where none is found up to the root."""
    monkeypatch.setattr(Path, "is_file", lambda path: False)

    assert from_project(tmp_path) == []


@needs_toml
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool", "can not be read"),
        ("[tool.doteval]\ngates = 3", "gates must be a list of texts"),
        ("[tool.doteval]\ngates = [3]", "gates must be a list of texts"),
        ("[tool]\ndoteval = 3", "gates must be a list of texts"),
    ],
)
def test_a_file_that_makes_no_sense_is_told(tmp_path, text, said):
    """Gates that are not read must not pass."""
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(UsageError, match=said):
        from_project(tmp_path)


def test_a_python_without_a_reader_of_toml_says_so(tmp_path, monkeypatch):
    """Python 3.10 has none; the gates can be given as arguments."""
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setitem(sys.modules, "tomllib", None)

    with pytest.raises(UsageError, match=r"needs Python 3\.11 or later; give them as arguments"):
        from_project(tmp_path)


# ------------------------------------------------------------------------- under pytest

EVALUATIONS = """
from doteval import foreach

@foreach("n", range(10))
def eval_x(n):
    return n > 1

@foreach("n", range(10))
def eval_y(n):
    return n > 5
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run pytest over two evaluations, of accuracy 0.8 and 0.4."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(eval_file=EVALUATIONS)
    (pytester.path / ".doteval").mkdir()

    def run(*arguments: str, ini: str = "") -> Any:
        pytester.makeini(f"[pytest]\n{ini}")
        return pytester.runpytest_inprocess("-p", "doteval.pytest_plugin", *arguments)

    return run


def test_an_evaluation_that_misses_a_gate_fails(session):
    """Wrong answers fail nothing; a gate does, and says by how much."""
    session().assert_outcomes(passed=2)
    session("--eval-gate", "eval_y: eval_y >= 0.5").assert_outcomes(passed=1, failed=1)


def test_gates_are_judged_each_by_its_evaluation(session):
    """One passes and tells the figure, the other fails and tells it too."""
    result = session("--eval-gate", "eval_x.accuracy >= 0.8", "-k", "eval_x")
    both = session(
        "--eval-gate=eval_x: eval_x >= 0.8", "--eval-gate=eval_y: eval_y.accuracy >= 0.5"
    )

    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["*gate eval_x.accuracy >= 0.8: 80% >= 80%*"])
    both.assert_outcomes(passed=1, failed=1)
    both.stdout.fnmatch_lines(["*gate eval_y: eval_y.accuracy >= 0.5: 40% is not >= 50%*"])


def test_what_is_undecided_has_not_passed(session):
    """The interval must clear the threshold; that it could is not enough."""
    result = session("--eval-gate=eval_x >= 0.7 @ 95%", "-k", "eval_x")

    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*undecided: gate eval_x >= 0.7 @ 95%: 80%, 95% interval*"])


def test_a_resume_with_nothing_to_do_is_judged_by_what_is_stored(session):
    """A gate that failed does not pass because nothing was left to run."""
    arguments = ("--experiment", "e", "-k", "eval_y", "--eval-gate", "eval_y.accuracy >= 0.5")

    session(*arguments).assert_outcomes(failed=1, deselected=1)
    session(*arguments).assert_outcomes(failed=1, deselected=1)


def test_rows_that_failed_and_a_gate_are_both_told(session, pytester):
    """The rows are told first, and the gate that failures alone keep from failing has a note."""
    pytester.makepyfile(
        eval_file="from doteval import foreach\n"
        "@foreach('n', range(10))\n"
        "def eval_x(n):\n"
        "    assert n > 1\n"
        "    return True\n"
    )
    strict = session("--eval-gate", "errors == 0")
    loose = session("--eval-gate", "eval_x >= 0.9", "--eval-max-errors=2")

    strict.assert_outcomes(failed=1)
    strict.stdout.fnmatch_lines(["*2 of 10 rows failed*", "*gate errors == 0: 2 is not == 0*"])
    loose.assert_outcomes(passed=1)
    loose.stdout.fnmatch_lines(["*2 rows failed; were they wrong, it would be 80.0%*"])


def test_gates_can_stand_in_the_configuration(session):
    """One in a line; those of the command line take their place."""
    ini = "eval_gate =\n  eval_x: eval_x >= 0.9\n  errors == 0\n"

    session(ini=ini).assert_outcomes(passed=1, failed=1)
    session("--eval-gate", "errors == 0", ini=ini).assert_outcomes(passed=2)


def test_a_gate_that_can_not_be_read_ends_the_session_before_it_costs_anything(session):
    """With the caret under the mistake."""
    result = session("--eval-gate", "exact => 0.8")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*expected a comparison here*", "*exact => 0.8", "*      ^"])


def test_a_gate_about_no_evaluation_of_the_session_is_told(session):
    """It may be a typing error, or left out by -k."""
    result = session("--eval-gate", "eval_z: errors == 0")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*gate eval_z: errors == 0: about no evaluation of this session*"])


def test_what_is_kept_in_memory_is_judged_by_its_summary(session):
    """Other experiments and intervals of other confidence are not to be had there."""
    memory = ("--storage", "memory://", "-k", "eval_x")

    session(*memory, "--eval-gate=eval_x >= 0.8").assert_outcomes(passed=1, deselected=1)
    for gate, said in (
        ("eval_x >= 0.4 @ 90%", "all but intervals of 95%"),
        ("eval_x >= baseline(main)", "there is no experiment 'main'"),
        ("errors <= baseline(main)", "there is no experiment 'main'"),
    ):
        result = session(*memory, f"--eval-gate={gate}")
        result.assert_outcomes(failed=1, deselected=1)
        result.stdout.fnmatch_lines([f"*{said}*"])


def test_gates_in_the_configuration_load_no_store(session, pytester):
    """A session without evaluations pays nothing for them."""
    pytester.makepyfile(
        test_a="import sys\ndef test_a():\n    assert 'doteval.storage' not in sys.modules"
    )
    pytester.makeini("[pytest]\neval_gate = errors == 0")
    result = pytester.runpytest_subprocess("-p", "doteval.pytest_plugin", "test_a.py")

    result.assert_outcomes(passed=1)


# --- combined, and parts of figures -------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("x >= 0.5 and errors == 0", "pass"),
        ("x >= 0.5 and errors > 0", "fail"),
        ("x >= 0.9 or errors == 0", "pass"),
        ("x >= 0.9 or errors > 0", "fail"),
        ("x >= 0.6 @ 95% and errors == 0", "undecided"),
        ("x >= 0.6 @ 95% and errors > 0", "fail"),
        ("x >= 0.6 @ 95% or errors > 0", "undecided"),
        ("x >= 0.6 @ 95% or errors == 0", "pass"),
        ("errors > 0 and x >= 0.9 or x >= 0.5", "pass"),
        ("errors > 0 and (x >= 0.9 or x >= 0.5)", "fail"),
        ("(x.accuracy.low >= 0.3) and x.accuracy.high <= 0.95", "pass"),
        ("x.accuracy.low >= 0.6", "fail"),
        ("eval_x: errors > 0 or x >= 0.5", "pass"),
        ("eval_y: errors == 0 or x >= 0.5", "fail"),
        ("eval_x: errors == 0 and eval_y: x >= 0.5", "fail"),
        ("x >= baseline(main) * 0.99", "pass"),
        ("x >= baseline(main) * 1.5 - 1%", "fail"),
        ("x >= baseline(main) * 0.5 @ 95%", "pass"),
        ("x >= baseline(main) * 0.5 @ 95% anytime", "pass"),
        ("scored >= baseline(main) * 2", "fail"),
    ],
)
def test_gates_can_be_combined(tmp_path, gate, outcome):
    """All have to hold, or one of them; `and` binds closer, and brackets group."""
    for name in ("main", "new"):
        record(tmp_path / "r.db", name, {"x": [True, True, False] * 8})

    with closing(open_store(tmp_path / "r.db", create=False)) as store:
        (found,) = judge([parse(gate)], Stored(store, "new"))

    assert (found.outcome, found.gate.text) == (outcome, gate), found.message


def test_a_combined_gate_tells_its_parts(tmp_path):
    """What became of each, and what a reader should know of it."""
    record(tmp_path / "r.db", "new", {"x": [True, True, None, False]})
    gate = parse("eval_x: x >= 0.6 and errors <= 30%")

    with closing(open_store(tmp_path / "r.db", create=False)) as store:
        (found,) = judge([gate], Stored(store, "new"))

    assert found.message == (
        "eval_x: x >= 0.6: pass, 67% >= 60%; errors <= 30%: pass, 25.0% <= 30%"
    )
    assert found.note == "1 row failed; were it wrong, it would be 50.0%"
    assert gate.concerns("eval_x") and not gate.concerns("eval_y")


def test_the_end_of_an_interval_counts_failures_too(tmp_path):
    """As a whole interval does; a metric without one has no end."""
    record(tmp_path / "r.db", "new", {"x": [True] * 60 + [None] * 4}, metrics=("accuracy", "max"))
    texts = [
        "x.accuracy.low >= 0.9",
        "x.accuracy.low >= 0.8",
        "x.'accuracy'.low >= 0.8",
        "x.max.low > 0",
    ]

    with closing(open_store(tmp_path / "r.db", create=False)) as store:
        found = judge(map(parse, texts[:2] + texts[3:]), Stored(store, "new"))

    assert [each.outcome for each in found] == ["undecided", "pass", "fail"]
    assert found[2].message == "x.max has no low: no interval: an extreme"


def test_a_part_of_a_baseline_is_compared_row_by_row(tmp_path):
    """Of shares, of repeats, and of metrics that are resampled; failures as bounds."""
    path = tmp_path / "r.db"
    record(
        path, "main", {"x": [[1.0, 1.0]] * 8 + [[0.0, 1.0]] * 4}, metrics=("mean", "median", "0..1")
    )
    record(path, "new", {"x": [[1.0, 1.0]] * 8 + [[0.0, 1.0]] * 3 + [[None, None]]},
           metrics=("mean", "median", "0..1"))  # fmt: skip
    texts = ["x.mean >= baseline(main) * 0.9 + 5%", "x.median >= baseline(main) * 0.9 @ 95%"]

    with closing(open_store(path, create=False)) as store:
        mean, median = judge(map(parse, texts), Stored(store, "new"))

    assert mean.value == pytest.approx((8 + 1.5) / 11 * 0.1)
    assert "the difference to 0.9 of that is +0.09 >= +0.05" in mean.message
    assert mean.note == "2 rows failed; were they wrong, the difference would be +0.04167"
    assert median.value == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("subject", "score", "metric", "end"),
    [
        ("v.share(no answer)", "v", "share(no answer)", ""),
        ("v.share((other)).high", "v", "share((other))", "high"),
        ("v.near(within=0.5)", "v", "near(within=0.5)", ""),
        ("a.b.near(within=0.5).low", "a.b", "near(within=0.5)", "low"),
        ("f(x)", "f(x)", None, ""),
    ],
)
def test_anything_may_stand_between_the_brackets_of_a_metric(subject, score, metric, end):
    """Labels with blanks, and options with dots and signs."""
    gate = parse(f"{subject} <= 5% and errors == 0").parts[0]

    assert (gate.subject, gate.metric, gate.end) == (score, metric, end)
    assert (gate.sign, gate.threshold) == ("<=", 0.05)
