"""`classify` and the metrics of labels, from the score to the comparison."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest

from doteval import ForEach, Result, Score, compare, run
from doteval.errors import NotFound, ResultError, UsageError
from doteval.evaluators import classify
from doteval.metrics import find
from doteval.outcomes import outcome_of
from doteval.reporting.comparison import comparison_lines, comparison_markdown
from doteval.reporting.details import record_lines
from doteval.reporting.difference import Question
from doteval.reporting.gate import Stored, judge
from doteval.reporting.grammar import parse
from doteval.reporting.summary import summarise
from doteval.reporting.views import summary_lines
from doteval.statistics.labels import Confusion, krippendorff_alpha
from doteval.storage import open_store
from doteval.views.terminal import Terminal

PLAIN = Terminal()

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

    assert score == Score("classify", "refusal", ("accuracy", "f1_macro"), expected="refusal")
    assert score
    assert classify("YES", "yes", name="mood").value == "yes"


@pytest.mark.parametrize(
    "answer",
    [
        "**Refusal**", "`refusal`", "refusal.", "<think>an answer?</think>\nrefusal",
        "<label>refusal</label>", r"\boxed{\text{refusal}}", "Label: refusal",
        "The answer is refusal.", "Class = refusal", "Final label: **refusal**.",
    ],
)  # fmt: skip
def test_a_label_is_read_out_of_its_dress(answer):
    """Where it is one of the labels; the name of one may end with a stop, or have tags itself."""
    score = classify(answer, "refusal", labels=KINDS)

    assert (score.value, score.unread) == ("refusal", False)
    assert classify("<b>.", "<b>.", labels=["<b>.", "b"]).value == "<b>."
    assert classify("<think>x</think>Yes", "yes").value == "yes"


@pytest.mark.parametrize("answer", ["nonsense", "", None, object(), "refusal or answer"])
def test_what_is_no_label_is_never_right(answer):
    """It stands as a label of its own, and is unread."""
    score = classify(answer, "answer", labels=KINDS)

    assert (score.value, score.number, bool(score), score.unread) == ("(other)", False, False, True)
    assert score.metadata["problem"].startswith(("it is none of answer", "the answer is empty"))


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
    """A metric of labels needs what was expected."""
    made = ForEach()("id", [(1,), (2,)])(lambda id: Result(Score("x", True, ("f1_macro",))))
    made.__name__ = "eval_x"
    path = str(tmp_path / "r.db")
    for name in ("a", "b"):
        run(made, name, storage=path, progress=False)

    with closing(open_store(path, create=False)) as store:
        (evaluation,) = store.evaluations("a")
        estimate = summarise(store, "a", evaluation).scores["x"]["f1_macro"]
    assert (estimate.value, estimate.method) == (
        None,
        "scores have no `expected` to be held against",
    )
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


# --- labels as scores ---------------------------------------------------------------------------


@pytest.fixture
def verdicts(tmp_path, pairs):
    """A store with an evaluation whose scores are labels, probabilities and labels alone."""

    def answer(id):
        said, truth = pairs[id]
        sure = 0.9 if said == truth else 0.6
        return Result(
            Score("verdict", said, expected=truth),
            Score("sure", sure, ("auroc", "brier", "log_loss", "ece"), expected=said == truth),
            Score("topic", said),
        )

    made = ForEach()("id", [(at,) for at in range(len(pairs))])(lambda id: answer(id))
    made.__name__ = "eval_x"
    path = tmp_path / "r.db"
    found = run(made, "e", storage=str(path), progress=False)
    with closing(open_store(path, create=False)) as store:
        store.name = found.evaluation
        yield store


def test_a_label_is_stored_as_it_is(verdicts):
    """With what was expected of it; a label alone has no number."""
    record = next(iter(verdicts.records("e", verdicts.name)))

    verdict, _, topic = record.outcome.scores
    assert (verdict.value, verdict.metrics[:2]) == (topic.value, ("accuracy", "f1_macro"))
    assert (verdict.number, verdict.expected) == (bool(verdict), record.outcome.scores[0].expected)
    assert topic.number != topic.number
    told = [next(iter(record_lines(each, PLAIN))) for each in verdicts.records("e", verdicts.name)]
    assert any("verdict refusal · sure" in line and "topic refusal" in line for line in told)
    assert any("verdict other, not answer" in line for line in told)


def test_labels_have_shares_and_a_table(verdicts, pairs):
    """Of each label how often it was said, and for what."""
    summary = summarise(verdicts, "e", verdicts.name)

    table = Confusion.of(pairs)
    shares = {name: each.value for name, each in summary.scores["topic"].items()}
    assert shares == {f"share({kind})": table.predicted(kind) / 60 for kind in KINDS}
    assert summary.confusion == {"verdict": {"labels": sorted(KINDS), "table": table.table()}}
    assert list(summary.scores["verdict"])[:2] == ["accuracy", "f1_macro"]
    assert summary.scores["verdict"]["accuracy"].method == "clopper-pearson"


def test_numbers_are_held_against_what_happened(verdicts, pairs):
    """By the metrics of forecasts, with intervals."""
    scores = summarise(verdicts, "e", verdicts.name).scores["sure"]

    right = sum(said == truth for said, truth in pairs) / 60
    assert scores["auroc"].value == 1.0
    assert scores["brier"].value == pytest.approx(right * 0.01 + (1 - right) * 0.36)
    assert scores["brier"].low < scores["brier"].value < scores["brier"].high
    assert scores["ece"].value == pytest.approx(right * 0.1 + (1 - right) * 0.6)


def test_gates_ask_for_the_share_of_a_label(verdicts):
    """Also of one that was never said; without a metric the only one that is no share is meant."""
    texts = [
        "verdict.share(answer) >= 10% @ 95% anytime",
        "topic.share(rude) <= 10% @ 95%",
        "topic > 0",
    ]

    found = judge(map(parse, texts), Stored(verdicts, "e"))

    assert [each.outcome for each in found] == ["pass", "pass", "fail"]
    assert found[1].message.startswith("0%, 95% interval 0% to 6.0% for one look, n = 60")
    assert found[2].message.startswith("'topic' has several metrics")


def test_show_draws_what_was_said_for_what_was_expected(verdicts):
    """A matrix of few labels; of many the commonest mistakes."""
    summary = summarise(verdicts, "e", verdicts.name)
    few = summary_lines(summary, PLAIN)
    names = [f"label {at}" for at in range(12)]
    table = [[int(column == 3) * 5 + row for column in range(12)] for row in range(12)]
    many = summary_lines(
        replace(summary, confusion={"verdict": {"labels": names, "table": table}}), PLAIN
    )

    head = next(line for line in few if "verdict: expected" in line)
    assert head.split()[-3:] == sorted(KINDS)
    assert any("verdict: label 3, not label 11" in line and "16" in line for line in many)


def test_changes_of_labels_are_told_as_labels(tmp_path, pairs):
    """And scores of which less is better are known."""
    path = str(tmp_path / "r.db")
    for name, by in (("a", 0), ("b", 1)):
        classified(path, name, [(KINDS[(KINDS.index(s) + by) % 3], t) for s, t in pairs])

    found = compare("a", "b", storage=path)

    assert any(" answer to refusal" in line for line in comparison_lines(found, PLAIN))
    assert "`answer to refusal`" in comparison_markdown(found)
    asked = Question(frozenset(), frozenset(), None, 0.95, 0, 0)
    assert asked.prefers_less("sure", "brier") and not asked.prefers_less("sure", "auroc")


def test_a_label_goes_through_a_file(verdicts, tmp_path):
    """Export and import keep it, and what was expected."""
    with closing(open_store(tmp_path / "new.db")) as other:
        other.adopt("e", 0.0, verdicts.facts("e"))

        records = [list(store.records("e", verdicts.name)) for store in (verdicts, other)]
        scores = [summarise(store, "e", verdicts.name).scores for store in (verdicts, other)]
    assert records[0] == records[1]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score("v", "a", expected=3), "is a label, held against 3; expected a text"),
        (Score("v", b"a"), "value of type bytes; expected a bool, a number or a label"),
    ],
)
def test_what_is_no_label_fails_its_row(score, said):
    """The message names the type."""
    with pytest.raises(ResultError, match=said):
        outcome_of(score, "eval_x")


@pytest.mark.parametrize(
    ("metric", "pair", "said"),
    [("brier", (2.0, True), "probabilities from 0 to 1"), ("auroc", (0.5, "a"), "true or false")],
)
def test_forecasts_need_probabilities_and_truths(metric, pair, said):
    """Anything else is told."""
    with pytest.raises(UsageError, match=said):
        find(metric).estimate([[pair]])
    assert math.isnan(find(metric).estimate([[(math.nan, True)]]).value)


def test_repeats_agree_as_far_as_they_do():
    """Krippendorff's alpha over the rows; of labels and of numbers."""
    rows = [[(each, None) for each in row] for row in ("aa", "ab", "bb", "bb", "aa")]

    found = find("krippendorff_alpha").estimate(rows)

    assert found.value == krippendorff_alpha(["aa", "ab", "bb", "bb", "aa"])
    assert find("krippendorff_alpha")([[1.0, 1.1], [3.0, 2.9]]) > 0.9


def test_judges_agree_as_far_as_they_do(tmp_path):
    """Krippendorff's alpha over several scores of a row; also in a comparison."""
    draw = Random(3)
    said = [[draw.choice("ab") if draw.random() < 0.4 else "ab"[at % 2] for _ in "xyz"]
            for at in range(40)]  # fmt: skip
    names = ("accuracy", "krippendorff_alpha(y, z)")

    def answer(id):
        x, y, z = said[id]
        return Result(Score("x", x, names, expected="a"), Score("y", y), Score("z", z))

    made = ForEach()("id", [(id,) for id in range(40)])(lambda id: answer(id))
    made.__name__ = "eval_x"
    path = str(tmp_path / "r.db")
    for name in "ab":
        found = run(made, name, path, progress=False).scores["x"]["krippendorff_alpha(y, z)"]

    assert found.value == pytest.approx(krippendorff_alpha(said))
    assert found.low < found.value < found.high
    (_, difference) = (
        compare("a", "b", only=["x"], storage=path).evaluations[0].scores[0].differences
    )
    assert (difference.a, difference.value) == (found.value, 0)


@pytest.mark.parametrize(
    ("label", "shares"),
    [(lambda id: "", ["share()"]), (lambda id: f"{id:02}", [f"share(0{at})" for at in range(5)])],
    ids=["empty", "many"],
)
def test_labels_may_be_empty_or_many(label, shares):
    """Of many there are the shares of the most frequent."""
    made = ForEach()("id", [(id,) for id in range(30)])(lambda id: Score("v", label(id)))
    made.__name__ = "eval_x"

    scores = run(made, storage="memory://", progress=False).scores["v"]

    assert list(scores) == shares
