"""`classify` and the metrics of labels, from the score to the comparison."""

from __future__ import annotations

from contextlib import closing
from random import Random

import pytest

from doteval import ForEach, Result, compare, run
from doteval.errors import NotFound, UsageError
from doteval.evaluators import classify
from doteval.metrics import find
from doteval.reporting.gate import Stored, judge
from doteval.reporting.grammar import parse
from doteval.reporting.summary import summarise
from doteval.statistics.labels import Confusion
from doteval.storage import open_store

KINDS = ("answer", "refusal", "other")


@pytest.fixture
def pairs():
    """Sixty labels said and expected, three in four of them right."""
    draw = Random(1)
    truths = [draw.choice(KINDS) for _ in range(60)]
    return [(kind if draw.random() < 0.75 else draw.choice(KINDS), kind) for kind in truths]


def classified(storage, experiment, pairs, *, repeats=1, groups=None, failing=()):
    """Run an evaluation that says these labels."""
    metrics = ("accuracy", "f1_macro", "kappa")

    def answer(id):
        if id in failing:
            raise ValueError
        said, expected = pairs[id]
        return Result(classify(said, expected, labels=KINDS, metrics=metrics))

    if groups is None:
        made = ForEach(repeats=repeats, retries=0)("id", [(at,) for at in range(len(pairs))])(
            lambda id: answer(id)
        )
    else:
        rows = [(at, groups[at]) for at in range(len(pairs))]
        made = ForEach(repeats=repeats, retries=0)("id,group", rows)(lambda id, group: answer(id))
    made.__name__ = "eval_x"
    return run(made, experiment, storage=str(storage), progress=False)


def test_a_label_is_right_whatever_its_case():
    """Both are kept under the names that the labels have."""
    score = classify(" Refusal\n", "refusal", labels=KINDS)

    assert (score.name, score.value, score.metrics) == ("classify", True, ("accuracy", "f1_macro"))
    assert score.metadata == {"label": "refusal", "expected": "refusal"}
    assert classify("YES", "yes", name="mood").metadata == {"label": "yes", "expected": "yes"}


@pytest.mark.parametrize("answer", ["nonsense", "", None, object()])
def test_what_is_no_label_is_never_right(answer):
    """It stands as a label of its own."""
    score = classify(answer, "answer", labels=KINDS)

    assert (score.value, score.metadata["label"]) == (False, "(other)")


@pytest.mark.parametrize("expected", ["nonsense", None, 3])
def test_what_is_expected_must_be_a_label(expected):
    """A mistake of the evaluation raises, and is no wrong answer."""
    with pytest.raises(UsageError, match="expected a label among 'answer'"):
        classify("answer", expected, labels=KINDS)
    with pytest.raises(NotFound, match="f1_median"):
        classify("a", "a", metrics=["f1_median"])


def test_a_summary_has_the_figures_of_the_labels(tmp_path, pairs):
    """With an interval that holds the value; a gate may ask for them."""
    found = classified(tmp_path / "r.db", "e", pairs).scores["classify"]

    table = Confusion.of(pairs)
    assert found["f1_macro"].value == pytest.approx(table.average("f1"))
    assert found["kappa"].value == pytest.approx(table.kappa)
    assert found["f1_macro"].low < found["f1_macro"].value < found["f1_macro"].high
    assert found["f1_macro"].n == 60
    with closing(open_store(tmp_path / "r.db", create=False)) as store:
        texts = ["classify.f1_macro >= 0.5 @ 95%", "classify.f1_macro >= 0.5 @ 95% anytime"]
        once, ever = judge(map(parse, texts), Stored(store, "e"))
    assert (once.outcome, ever.outcome) == ("pass", "undecided")


@pytest.mark.parametrize("groups", [None, [at // 3 for at in range(60)]], ids=["rows", "groups"])
def test_repeats_of_a_label_are_no_rows(tmp_path, pairs, groups):
    """They are drawn with their row, or with the rows that belong to it."""
    once = classified(tmp_path / "1.db", "e", pairs, groups=groups).scores["classify"]["f1_macro"]
    often = classified(tmp_path / "3.db", "e", pairs, repeats=3, groups=groups)
    thrice = often.scores["classify"]["f1_macro"]

    assert (thrice.n, thrice.value) == (60, pytest.approx(once.value))
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.15)


def test_labels_are_compared_row_by_row(tmp_path, pairs):
    """The same rows, of which one version says every fourth wrong."""
    worse = [("other" if at % 4 == 0 else said, truth) for at, (said, truth) in enumerate(pairs)]
    path = tmp_path / "r.db"
    for name, given in (("a", pairs), ("b", worse), ("c", pairs)):
        classified(path, name, given, groups=[at // 2 for at in range(60)])

    found = compare("a", "b", only=["classify.f1_macro"], storage=str(path))
    same = compare("a", "c", only=["classify.f1_macro"], storage=str(path))

    (difference,) = found.evaluations[0].scores[0].differences
    figures = [Confusion.of(given).average("f1") for given in (pairs, worse)]
    assert (difference.a, difference.b) == pytest.approx(figures)
    assert difference.low < difference.value < difference.high
    assert found.verdict == "regression"
    assert same.verdict == "no loss seen"


def test_labels_of_rows_that_failed_leave_the_answer_open(tmp_path, pairs):
    """Nobody knows what they would have been."""
    path = tmp_path / "r.db"
    classified(path, "a", pairs)
    classified(path, "b", pairs, failing=range(5))

    found = compare("a", "b", only=["classify.f1_macro"], storage=str(path))

    assert found.verdict == "cannot tell"


def test_scores_without_labels_have_no_figures_of_them(tmp_path):
    """A metric of labels needs what `classify` keeps."""
    from doteval import Score

    made = ForEach()("id", [(1,), (2,)])(lambda id: Result(Score("x", True, ("f1_macro",))))
    made.__name__ = "eval_x"
    path = str(tmp_path / "r.db")
    for name in ("a", "b"):
        run(made, name, storage=path, progress=False)

    with closing(open_store(path, create=False)) as store:
        (evaluation,) = store.evaluations("a")
        estimate = summarise(store, "a", evaluation).scores["x"]["f1_macro"]
    assert (estimate.value, estimate.method) == (None, "no data")
    assert compare("a", "b", storage=path).verdict == "cannot tell"


def test_every_metric_of_labels_is_found_by_its_name():
    """As in scikit-learn, which also names the average last."""
    for figure in ("precision", "recall", "f1"):
        for how in ("macro", "micro", "weighted"):
            metric = find(f"{figure}_{how}")
            assert metric([("a", "a"), ("b", "a")]) == Confusion.of(
                [("a", "a"), ("b", "a")]
            ).average(figure, how)
    for name in ("balanced_accuracy", "mcc", "kappa"):
        assert find(name)([("a", "a"), ("b", "b")]) == 1
