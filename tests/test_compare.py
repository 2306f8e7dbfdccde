"""Two experiments on the same rows: pairs, statistics, verdicts, and how they are told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import doteval
from doteval import metrics
from doteval.cli import main
from doteval.errors import NotFound, StoreError, UsageError
from doteval.reporting.compare import Comparison, compare
from doteval.reporting.comparison import comparison_lines, comparison_markdown
from doteval.reporting.difference import Difference
from doteval.storage import open_store
from doteval.text import display_width
from doteval.views.figures import change, p_value
from doteval.views.table import code
from doteval.views.terminal import Terminal
from tests.recorded import record

# Darwin's 15 pairs of maize: crossed less self-fertilised, in eighths of an inch. Fisher (1935),
# The Design of Experiments, §§17-21: mean 20.933, t = 2.148, and of the 2**15 patterns of signs
# 1,726 have a sum at least as far from 0.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A place for a store."""
    return tmp_path / "results.db"


@pytest.fixture
def contest(storage: Path) -> Callable[..., Comparison]:
    """Compare experiments "a" and "b" with the given values of a score "exact"."""

    def compared(
        a: list[Any], b: list[Any], *, metrics: tuple[str, ...] = ("accuracy",), **options: Any
    ) -> Comparison:
        groups = options.pop("groups", None)
        record(storage, "a", {"exact": a}, metrics=metrics, groups=groups)
        record(storage, "b", {"exact": b}, metrics=metrics, groups=groups)
        return compare("a", "b", storage=str(storage), **options)

    return compared


def only(comparison: Comparison) -> Difference:
    """The one difference of a comparison."""
    ((score,),) = (each.scores for each in comparison.evaluations)
    (found,) = score.differences
    return found


def answers(both: int, only_a: int, only_b: int, neither: int = 0) -> tuple[list[bool], list[bool]]:
    """Answers of A and B with so many rows that both, one and none of them got right."""
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


# -------------------------------------------------------------------------- statistics


def test_true_or_false_is_tested_with_mcnemars_exact_test(contest):
    """12 against 2 rows: 2 (C(14,0) + C(14,1) + C(14,2)) / 2**14 = 212 / 16384."""
    found = only(contest(*answers(30, 12, 2, 6)))

    assert found.p == pytest.approx(212 / 16384)
    assert (found.n, found.a, found.b) == (50, 42 / 50, 32 / 50)
    assert found.value == -10 / 50
    assert found.verdict == "regression"


def test_the_interval_for_true_or_false_is_bonett_and_prices(contest):
    """With Laplace's added rows (13 - 3) / 52, and 1.96 sqrt((13 + 3) / 52 - (10 / 52)²) / 52."""
    found = only(contest(*answers(30, 12, 2, 6)))

    reach = 1.959964 * math.sqrt((16 / 52 - (10 / 52) ** 2) / 52)
    assert found.low == pytest.approx(-10 / 52 - reach, abs=1e-6)
    assert found.high == pytest.approx(-10 / 52 + reach, abs=1e-6)


def test_numbers_are_tested_by_flipping_signs(contest):
    """Fisher counted 1,726 of the 32,768 patterns of Darwin's maize; Student's t is 2.148."""
    found = only(contest([0] * 15, DARWIN, metrics=("mean",)))

    assert found.p == pytest.approx(1726 / 32768)
    assert found.value == pytest.approx(314 / 15)
    assert found.value / found.stderr == pytest.approx(2.148, abs=5e-4)
    t = 2.144787  # of 14 degrees of freedom, Student's table
    assert found.low == pytest.approx(found.value - t * found.stderr, abs=1e-4)
    assert found.verdict == "no loss seen"


def test_the_smallest_detectable_difference_is_that_of_the_test(contest):
    """McNemar's exact test needs six rows; 0.37 of 20 brings them four times in five."""
    assert only(contest(*answers(20, 0, 0))).detectable == pytest.approx(0.367, abs=1e-3)


def test_five_rows_can_notice_nothing(contest):
    """Even five that all got worse have a p-value of 2 / 2**5."""
    assert only(contest(*answers(5, 0, 0))).detectable is None
    assert only(contest([0] * 5, DARWIN[:5], metrics=("mean",))).detectable is None


def test_a_test_among_several_notices_less(contest, storage):
    """Holm's correction raises what it takes."""
    alone = only(contest([0] * 15, DARWIN, metrics=("mean",))).detectable
    record(storage, "c", {"exact": [0] * 15, "other": [0] * 15}, metrics=("mean",))
    record(storage, "d", {"exact": DARWIN, "other": DARWIN[::-1]}, metrics=("mean",))
    two = compare("c", "d", storage=str(storage)).evaluations[0].scores[0].differences[0]

    assert alone < two.detectable < 1.5 * alone


def test_evaluations_that_changed_alike_are_as_many_questions(contest, storage):
    """Also where p and difference are the same: Holm counts each."""
    for name in ("eval_x", "eval_y", "eval_z"):
        for experiment, values in zip("ab", answers(20, 8, 0), strict=True):
            record(storage, experiment, {"exact": values}, name=name)

    found = compare("a", "b", storage=str(storage)).evaluations

    assert {each.scores[0].differences[0].adjusted for each in found} == {3 * 2 / 2**8}


def test_metrics_that_say_the_same_are_one_question(contest):
    """Accuracy and mean of true and false do not correct each other: 2 / 2**7."""
    comparison = contest(*answers(93, 7, 0), metrics=("accuracy", "mean"))
    differences = comparison.evaluations[0].scores[0].differences

    assert [each.adjusted for each in differences] == [2 / 2**7] * 2


@pytest.mark.parametrize("rows", [12, 30])
def test_a_mean_is_not_worse_because_most_rows_are(contest, rows):
    """
    Nearly all rows lose a little and one gains much: every sign says worse (p < 0.05), and the
    mean is the same.
    """
    a = [1.0] * rows
    b = [0.9 - at / 1000 for at in range(rows - 1)] + [1.0 + 0.1 * rows]
    found = only(contest(a, b, metrics=("mean",)))
    without = only(contest(a[:-1], b[:-1], metrics=("mean",)))

    assert found.verdict in ("cannot tell", "no loss seen")
    assert without.verdict == "regression"


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("eval_x[small]", "eval_x[big]"), ("[small]", "[big]")),
        (("eval_x", "eval_y"), ("eval_x", "eval_y")),
    ],
)
def test_two_evaluations_of_one_experiment_are_labelled_by_what_differs(storage, names, labels):
    """Both sides are of one experiment, whose name tells nothing."""
    for name in names:
        record(storage, "e", {"exact": [True, False]}, name=name)

    found = compare("e", "e", evaluation=names[0], other=names[1], storage=str(storage))

    assert found.labels == labels


def test_failures_of_numbers_that_are_all_equal_are_weighed_with_nothing(contest):
    """Neither the worst that there can be, nor any other than one value, is known."""
    found = only(contest([2.0] * 4, [2.0, 2.0, None, None], metrics=("mean",), margin=0.1))

    assert (found.verdict, found.reason) == (
        "cannot tell",
        "no interval: all differences are the same",
    )


def test_a_significant_gain_is_better(contest):
    """It has a word of its own, and with a margin too."""
    a, b = answers(30, 2, 14)

    assert only(contest(a, b)).verdict == "better"
    assert contest(a, b, margin=0.1).verdict == "better"


def test_rows_that_b_never_came_to_can_not_be_told(storage):
    """A run that was stopped after two rows has lost nothing, and shown nothing."""
    record(storage, "a", {"exact": [True] * 20})
    record(storage, "b", {"exact": [True] * 20}, samples=2)
    comparison = compare("a", "b", storage=str(storage))

    assert (comparison.verdict, comparison.evaluations[0].status_b) == ("cannot tell", "incomplete")
    assert only(comparison).reason == "18 rows of a are missing in B, which is incomplete"
    assert "  b is incomplete" in comparison_lines(comparison, Terminal(None))
    paired = compare("a", "b", storage=str(storage), paired_only=True)
    assert paired.verdict == "no loss seen"


def test_rows_of_a_group_are_not_independent(contest):
    """Eight rows that all change in two groups are two observations: p = 2 / 2**2."""
    groups = ["x"] * 4 + ["y"] * 4
    found = only(contest([1.0] * 8, [0.0] * 8, metrics=("mean",), groups=groups))

    assert found.p == 0.5
    assert found.verdict == "cannot tell"


def test_repeats_are_reduced_before_rows_are_compared(contest):
    """Two rows of five answers each are two differences, of -0.4 and -0.2."""
    a = [[True] * 5, [True] * 5]
    b = [[True, True, True, False, False], [True, True, True, True, False]]
    found = only(contest(a, b))

    assert (found.n, found.a) == (2, 1.0)
    assert found.value == pytest.approx(-0.3)
    assert found.p == 0.5
    assert found.verdict == "cannot tell"


def test_pass_at_k_is_compared_row_by_row(contest):
    """pass@2 of 2 right answers in 3 is 1, of 1 right it is 2/3."""
    a, b = [[True, True, False]] * 20, [[True, False, False]] * 20
    found = only(contest(a, b, metrics=("pass@2",)))

    assert (found.a, found.b) == pytest.approx((1.0, 2 / 3))
    assert found.p < 0.001
    assert found.verdict == "regression"


def test_pass_at_k_keeps_the_groups_of_its_rows(contest):
    """Six rows in three groups are three observations."""
    a, b = [[True, True]] * 6, [[True, False]] * 6
    found = only(contest(a, b, metrics=("pass^2",), groups=list("xxyyzz")))

    assert (found.n, found.p) == (6, 0.25)


def test_pass_at_k_without_enough_repeats_can_not_be_told(contest):
    """One answer says nothing about two."""
    found = only(contest([True, False], [True, True], metrics=("pass@2",)))

    assert (found.n, found.value, found.verdict) == (0, None, "cannot tell")
    assert found.method == "too few repeats"


def test_other_metrics_are_resampled_in_pairs(contest):
    """A median that falls by 10 on every row does so in every resample."""
    a = [float(n) for n in range(20)]
    found = only(contest(a, [value - 10 - value / 100 for value in a], metrics=("median",)))

    assert found.value == pytest.approx(-10.095)
    assert -10.2 < found.low <= found.value <= found.high < -9.9
    assert found.p < 0.001
    assert found.method.startswith("bootstrap")
    assert found.verdict == "regression"


def test_a_median_that_never_changes_is_no_regression(contest):
    """Without a spread there is no test, and no loss either."""
    found = only(contest([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], metrics=("median",)))

    assert (found.value, found.p, found.verdict) == (0, 1.0, "no loss seen")


def test_a_metric_of_ones_own_that_fails_is_told(contest):
    """The other metrics are compared all the same."""

    @metrics.metric(name="fails_below_two")
    def fails_below_two(values):
        return 1 / min(values)

    comparison = contest([1.0, 0.0, 3.0], [1.0, 2.0, 3.0], metrics=("fails_below_two", "mean"))

    assert [each.metric for each in comparison.evaluations[0].scores[0].differences] == ["mean"]
    assert "ZeroDivisionError" in comparison.evaluations[0].notes[0]


def test_a_metric_without_a_value_can_not_be_told(contest):
    """A function may find the rows too few."""

    @metrics.metric(name="of_many")
    def of_many(values):
        return None

    found = only(contest([1.0, 2.0], [1.0, 2.0], metrics=("of_many",)))

    assert (found.value, found.verdict) == (None, "cannot tell")


@pytest.mark.parametrize("metric", ["std", "min", "max"])
def test_what_has_no_direction_is_not_judged(contest, metric):
    """More spread is neither better nor worse, and an extreme has no interval."""
    comparison = contest([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], metrics=("mean", metric))
    found = comparison.evaluations[0].scores[0].differences[1]

    assert found.value is not None
    assert (found.p, found.adjusted, found.verdict) == (None, None, "not judged")


@pytest.mark.parametrize("metric", ["accuracy", "median"])
def test_nan_can_not_be_told(contest, metric):
    """A NaN is never a good answer, nor a comparable one."""
    found = only(contest([1.0, 0.5, 1.0], [1.0, math.nan, 1.0], metrics=(metric,)))

    assert math.isnan(found.value)
    assert (found.verdict, found.reason) == ("cannot tell", "NaN among the values")


def test_infinite_values_can_not_be_told(contest):
    """Infinity less infinity is no number."""
    found = only(contest([math.inf, 1.0], [1.0, 1.0], metrics=("mean",)))

    assert (found.verdict, found.reason) == ("cannot tell", "infinite values")


def test_a_single_row_has_no_interval(contest):
    """One difference says nothing about the spread of differences."""
    found = only(contest([1.5], [0.5], metrics=("mean",)))

    assert (found.value, found.low, found.detectable, found.verdict) == (
        -1,
        None,
        None,
        "cannot tell",
    )


def test_several_differences_are_corrected_for_each_other(storage):
    """Holm: the smaller p-value counts twice, the larger one once."""
    a, b = answers(20, 8, 1)
    c, d = answers(19, 7, 3)
    record(storage, "a", {"one": a, "two": c})
    record(storage, "b", {"one": b, "two": d})
    comparison = compare("a", "b", storage=str(storage))
    one, two = (score.differences[0] for score in comparison.evaluations[0].scores)

    assert one.p == pytest.approx(20 / 512)  # 2 (1 + 9) / 2**9
    assert one.adjusted == pytest.approx(2 * one.p)
    assert two.adjusted == pytest.approx(two.p)
    assert one.verdict == "cannot tell"
    alone = compare("a", "b", storage=str(storage), only=["one"])
    assert only(alone).verdict == "regression"


# ---------------------------------------------------------------------------- verdicts


def test_nothing_lost_is_no_regression(contest):
    """The same answers again are as good."""
    comparison = contest([True, False] * 10, [True, False] * 10)

    assert comparison.verdict == "no loss seen"
    assert only(comparison).p == 1.0


@pytest.mark.parametrize(
    ("margin", "verdict"),
    [(0.0, "regression"), (0.05, "regression"), (0.2, "cannot tell"), (0.5, "no regression")],
)
def test_a_margin_asks_whether_a_loss_of_that_size_can_be_excluded(contest, margin, verdict):
    """The difference is -0.2 with an interval of -0.334 to -0.051."""
    found = only(contest(*answers(30, 12, 2, 6), margin=margin))

    assert found.verdict == verdict


def test_a_margin_of_nothing_is_not_cleared_by_equal_answers(contest):
    """That nothing was lost on these rows does not exclude a loss."""
    found = only(contest([True, False] * 10, [True, False] * 10, margin=0.0))

    assert found.verdict == "cannot tell"


def test_a_margin_that_can_not_be_tested_can_not_be_told(contest):
    """A single row has no interval."""
    assert only(contest([1.5], [1.5], metrics=("mean",), margin=0.1)).verdict == "cannot tell"


@pytest.mark.parametrize("options", [{"groups": range(3)}, {"metrics": ("pass@2",)}], ids=str)
def test_repeats_and_groups_that_never_differ_still_have_an_interval(contest, options):
    """Three rows that stay right do not exclude a loss: 1 - 0.025 ** (1 / 4), as of 1 in 4 rows."""
    found = only(contest([[True] * 2] * 3, [[True] * 2] * 3, margin=0.1, **options))

    assert (found.value, found.verdict) == (0.0, "cannot tell")
    assert -found.low == found.high == pytest.approx(1 - 0.025 ** (1 / 3), abs=0.01)
    assert found.detectable is None


def test_differences_of_numbers_that_are_all_equal_hold_against_no_margin(contest):
    """Two rows without a difference do not say how much others would differ."""
    found = only(contest([1.5, 2.5], [1.5, 2.5], metrics=("mean",), margin=0.1))

    assert (found.verdict, found.low, found.stderr) == ("cannot tell", None, None)
    assert found.detectable is None
    assert found.reason == "no interval: all differences are the same"


def test_the_same_numbers_are_no_loss_without_a_margin(contest):
    """The question is then whether anything was lost, and nothing was."""
    assert only(contest([1.5, 2.5], [1.5, 2.5], metrics=("mean",))).verdict == "no loss seen"


@pytest.mark.parametrize("metric", ["mean", "median"])
def test_differences_that_are_equal_but_for_rounding_have_no_interval(contest, metric):
    """0.9 - 0.8 is not quite 0.8 - 0.7, and that is no spread; also of a metric of one's own."""
    found = only(contest([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], metrics=(metric,), margin=0.2))

    assert (found.low, found.verdict) == (None, "cannot tell")


def test_one_row_of_numbers_has_no_interval(contest):
    """Nothing is known of others, and the verdict on a margin says so."""
    found = only(contest([1.5], [1.5], metrics=("mean",), margin=0.1))

    assert (found.verdict, found.reason) == ("cannot tell", "no interval: one row")


def test_differences_that_are_all_equal_are_no_regression(contest):
    """Six of six rows are significantly worse, and their mean is not known to be."""
    worse = only(contest([1.0] * 6, [0.9] * 6, metrics=("mean",)))

    assert (worse.verdict, worse.p, worse.low) == ("cannot tell", 2 / 2**6, None)
    assert worse.method.endswith("no interval: all differences are the same")


def test_where_less_is_better_a_rise_is_the_regression(contest):
    """A distance that grows on every row got worse, though the figure rose."""
    a = [float(n) for n in range(10)]
    b = [value + 1 + value / 100 for value in a]
    found = only(contest(a, b, metrics=("mean",), lower_is_better=["exact"]))

    assert (found.value, found.verdict) == (pytest.approx(1.045), "regression")
    assert found.gain == -found.value


def test_where_less_is_better_rows_that_rose_are_worse(contest):
    """Counts and examples are told as what they mean, not by their sign."""
    comparison = contest(
        [1.0, 1.0, 5.0], [2.0, 3.0, 4.0], metrics=("mean",), lower_is_better=["exact.mean"]
    )
    (score,) = comparison.evaluations[0].scores

    assert (score.worse, score.better) == (2, 1)
    assert [each.worse for each in score.examples] == [True, True, False]


def test_where_less_is_better_a_margin_lies_above(contest):
    """A rise of 1 on every row with a spread is within a margin of 2, and beyond one of 0.5."""
    a = [float(n) for n in range(12)]
    b = [value + 1 + (0.1 if n % 2 else -0.1) for n, value in enumerate(a)]
    found = [
        only(contest(a, b, metrics=("mean",), lower_is_better=["exact"], margin=margin)).verdict
        for margin in (2.0, 0.5)
    ]

    assert found == ["no regression", "regression"]


def test_rows_that_failed_in_b_can_not_make_it_look_good(contest):
    """Rows that A got right failed in B, and the rest is equal: were they wrong, B were worse."""
    found = only(contest([True] * 20, [True] * 10 + [None] * 10))

    assert (found.n, found.value, found.verdict) == (10, 0.0, "cannot tell")
    assert found.reason == "10 rows failed in B; were they wrong, B would be worse"


def test_rows_that_failed_in_b_are_weighed_against_the_margin(contest):
    """Where a large loss is accepted, so are some failures."""
    a, b = [True] * 80, [True] * 70 + [None] * 10

    assert only(contest(a, b, margin=0.5)).verdict == "no regression"
    strict = only(contest(a, b, margin=0.1))
    assert strict.verdict == "cannot tell"
    assert strict.reason.endswith("the loss could be beyond the margin")


def test_failures_that_cost_less_than_was_gained_change_nothing(contest):
    """Were the two that failed wrong, three gained would still be more."""
    found = only(contest([True] * 17 + [False] * 3, [True] * 15 + [None] * 2 + [True] * 3))

    assert (found.verdict, found.reason) == ("no loss seen", "")


def test_a_version_that_raises_instead_of_answering_wrongly_is_not_better(contest):
    """Five of ninety right rows lost are no chance loss; as failures they leave the answer open."""
    found = only(contest([True] * 90 + [False] * 10, [None] * 5 + [True] * 85 + [False] * 10))

    assert (found.verdict, found.reason != "") == ("cannot tell", True)


def test_failures_among_numbers_count_as_the_worst_that_was_seen(contest):
    """Thirty of seventy good rows fail in B, which is else as good; nobody knows the worst."""
    a, b = [1.0] * 70 + [0.5] * 30, [None] * 30 + [1.0] * 40 + [0.5] * 30
    found = only(contest(a, b, metrics=("mean",)))

    assert (found.verdict, found.bounds) == ("cannot tell", None)
    assert found.reason == "30 rows failed in B; were they wrong, B would be worse"


@pytest.mark.parametrize(
    ("a", "b", "options"),
    [
        ([[True] * 2] * 20, [[True] * 2] * 10 + [[None] * 2] * 10, {}),
        ([[True] * 2] * 20, [[True] * 2] * 10 + [[None] * 2] * 10, {"metrics": ("pass@2",)}),
        ([[True] * 2] * 10, [[True, None]] * 10, {}),
        ([True] * 20, [True] * 10 + [None] * 10, {"groups": range(20)}),
        ([0.9] * 20, [0.9] * 10 + [None] * 10, {}),
        ([0.1] * 20, [0.1] * 10 + [None] * 10, {"lower_is_better": ["exact"]}),
    ],
    ids=["repeats", "pass@k", "some repeats", "groups", "shares", "less is better"],
)
def test_failures_in_b_are_no_better_where_rows_are_repeated_or_no_truths(contest, a, b, options):
    """However the rows were scored, ten lost all they had."""
    found = only(contest(a, b, **options))

    assert (found.value, found.verdict) == (0.0, "cannot tell")
    assert found.reason == "10 rows failed in B; were they wrong, B would be worse"


def test_failures_of_repeats_are_weighed_against_the_margin(contest):
    """Ten of twenty rows may be a loss of nearly 0.8."""
    a, b = [[True] * 2] * 20, [[True] * 2] * 10 + [[None] * 2] * 10

    assert only(contest(a, b, margin=0.8)).verdict == "no regression"
    strict = only(contest(a, b, margin=0.7))
    assert strict.verdict == "cannot tell"
    assert (
        strict.reason == "10 rows failed in B; were they wrong, the loss could be beyond the margin"
    )


@pytest.mark.parametrize(
    ("a", "b", "metric", "bounds"),
    [
        ([True] * 4, [True, False, None, None], "accuracy", (-0.75, -0.25)),
        ([0.5] * 4, [0.5, 1.0, None, None], "accuracy", (-0.125, 0.375)),
        ([True] * 4, [True, False, True, True], "accuracy", None),
        ([1.0] * 4, [1.0, 0.5, None, None], "mean", None),
        ([2.0] * 4, [2.0, 1.0, None, None], "accuracy", None),
    ],
)
def test_what_failures_are_worth_is_told_where_it_is_known(contest, a, b, metric, bounds):
    """Of true or false, and of shares; there is no worst among other numbers."""
    assert only(contest(a, b, metrics=(metric,))).bounds == bounds


def test_failures_in_a_single_group_leave_nearly_everything_open(contest):
    """One group is one observation of a known range."""
    b = [True, True, None, None]
    found = only(contest([True] * 4, b, groups="xxxx", margin=0.1))

    assert (found.bounds, found.verdict) == ((-0.5, 0.0), "cannot tell")
    assert found.low < -0.9


def test_rows_with_too_few_repeats_in_a_lose_nothing(contest):
    """Whatever B did there, pass@2 is not known in A."""
    a = [[True, True], [True, None], [True, True]]
    found = only(contest(a, [[True, True], [None, None], [None, None]], metrics=("pass@2",)))

    assert found.bounds == (-0.5, 0.0)


def test_failures_of_a_false_positive_do_not_matter_where_less_is_better(contest):
    """Where a hit is bad, rows that hit in A and failed in B are no hidden loss."""
    found = only(contest([True] * 20, [True] * 10 + [None] * 10, lower_is_better=["exact"]))

    assert found.verdict == "no loss seen"


def test_an_evaluation_that_is_gone_can_not_be_told(storage):
    """B may have crashed before it came to it."""
    for experiment, names in (("a", ("eval_x", "eval_y")), ("b", ("eval_x", "eval_z"))):
        for name in names:
            record(storage, experiment, {"exact": [True] * 5}, name=name)
    comparison = compare("a", "b", storage=str(storage))

    assert comparison.verdict == "cannot tell"
    assert [name.rpartition("::")[2] for name in comparison.gone] == ["eval_y"]
    assert [name.rpartition("::")[2] for name in comparison.new] == ["eval_z"]
    assert compare("a", "b", storage=str(storage), evaluation="eval_x").verdict == "no loss seen"


# ------------------------------------------------------------------------------- pairs


def test_rows_are_paired_by_identity(storage):
    """The order and place of rows do not matter; what one side lacks is counted."""
    record(storage, "a", {"exact": [True, True, False, True]}, rows=[1, 2, 3, 4])
    record(storage, "b", {"exact": [True, False, True]}, rows=[9, 3, 1])
    (score,) = compare("a", "b", storage=str(storage)).evaluations[0].scores

    assert (score.paired, score.only_a, score.only_b, score.failed_b) == (2, 2, 1, 0)
    assert (score.worse, score.better) == (0, 0)


def test_examples_have_the_texts_of_both(storage):
    """A row that got worse is shown with what both answered."""
    record(storage, "a", {"exact": [True, False, True]})
    record(storage, "b", {"exact": [True, True, False]})
    (score,) = compare("a", "b", storage=str(storage)).evaluations[0].scores
    worse, better = score.examples

    assert (worse.a, worse.b, worse.worse) == (1, 0, True)
    assert worse.before.row == worse.after.row == {"id": 2}
    assert worse.before.outcome.model_response == "a says True"
    assert worse.after.outcome.model_response == "b says False"
    assert better.after.row == {"id": 1}


def test_so_many_examples_as_asked_for(contest):
    """A few of those that got worse, and as few of those that got better."""
    (score,) = contest(*answers(0, 9, 9), examples=2).evaluations[0].scores

    assert [each.worse for each in score.examples] == [True, True, False, False]


def test_examples_beyond_the_first_records_are_left_without_texts(contest, monkeypatch):
    """Looking for a text in a million records would take minutes."""
    monkeypatch.setattr("doteval.reporting.pairs._SEARCHED", 0)
    (score,) = contest([True] * 3, [True, True, False]).evaluations[0].scores

    (example,) = score.examples
    assert (example.before, example.after) == (None, None)


def test_no_row_in_common_is_an_error(storage):
    """Nothing can be said, and nothing is pretended."""
    record(storage, "a", {"exact": [True]}, rows=[1])
    record(storage, "b", {"exact": [True]}, rows=[2])

    with pytest.raises(NotFound, match="'a' and 'b' have no row in common in .*eval_x: rows are"):
        compare("a", "b", storage=str(storage))


def test_no_row_in_common_in_one_of_several_can_not_be_told(storage):
    """The other evaluation is compared."""
    for experiment, rows in (("a", [1]), ("b", [2])):
        record(storage, experiment, {"exact": [True]}, rows=rows, name="eval_x")
        record(storage, experiment, {"exact": [True]}, name="eval_y")
    comparison = compare("a", "b", storage=str(storage))

    assert [each.verdict for each in comparison.evaluations] == ["cannot tell", "no loss seen"]
    assert comparison.verdict == "cannot tell"


def test_no_score_in_common_is_an_error(storage):
    """Different questions were asked."""
    record(storage, "a", {"one": [True]})
    record(storage, "b", {"two": [True]})

    with pytest.raises(NotFound, match="no score in common"):
        compare("a", "b", storage=str(storage))


def test_a_score_that_one_side_lacks_is_noted(storage):
    """What both have is compared."""
    record(storage, "a", {"one": [True], "two": [True]})
    record(storage, "b", {"two": [True], "three": [True]})
    (contrast,) = compare("a", "b", storage=str(storage)).evaluations

    assert [score.name for score in contrast.scores] == ["two"]
    assert contrast.notes == ("three has no scores in 'a'", "one has no scores in 'b'")


# --------------------------------------------------------------------------- arguments


def test_summaries_name_their_experiments(storage):
    """What `run` returned can be compared at once."""
    a = record(storage, "a", {"exact": [True, True]})
    b = record(storage, "b", {"exact": [True, True]})

    assert doteval.compare(a, b, storage=str(storage)).verdict == "no loss seen"


def test_an_open_store_is_left_open(storage):
    """Whoever opened it goes on with it."""
    record(storage, "a", {"exact": [True]})
    record(storage, "b", {"exact": [True]})

    with closing(open_store(str(storage))) as store:
        compare("a", "b", storage=store)
        assert [name for name, _ in store.experiments()] == ["a", "b"]


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    """A typing error in an address leaves no file behind."""
    with pytest.raises(StoreError, match="there is no store"):
        compare("a", "b", storage=str(tmp_path / "no.db"))

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_is_a_loss_of_zero_or_more(storage, margin):
    """A negative one would ask for a gain."""
    with pytest.raises(UsageError, match="expected 0 or more"):
        compare("a", "b", storage=str(storage), margin=margin)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_confidence_is_between_0_and_1(storage, confidence):
    """95 is a mistake for 0.95."""
    with pytest.raises(UsageError, match="between 0 and 1"):
        compare("a", "b", storage=str(storage), confidence=confidence)


@pytest.mark.parametrize(
    "options", [{"only": ["exact", "exat"]}, {"lower_is_better": ["exat"]}], ids=str
)
def test_a_score_that_nobody_has_is_an_error(contest, options):
    """A typing error must not change a verdict."""
    with pytest.raises(NotFound, match=r"no score 'exat' in both; there are: exact, exact\.acc"):
        contest([True], [True], **options)


def test_only_scores_that_nobody_has_is_an_error(contest):
    """Nothing is compared then, which is no agreement."""
    with pytest.raises(NotFound, match=r"no score 'exat' in both; there are: exact, exact\.acc"):
        contest([True], [True], only=["exat"])


def test_an_experiment_is_not_compared_with_itself(storage):
    """It would never be worse."""
    record(storage, "a", {"exact": [True]})

    with pytest.raises(UsageError, match="compared with itself"):
        compare("a", "a", storage=str(storage))


def test_two_evaluations_of_one_experiment_can_be_compared(storage):
    """Two models are two parameters of one function."""
    record(storage, "a", {"exact": [True, True]}, name="eval_x[small]")
    record(storage, "a", {"exact": [True, False]}, name="eval_x[large]")
    comparison = compare(
        "a", "a", storage=str(storage), evaluation="eval_x[small]", other="eval_x[large]"
    )

    assert only(comparison).value == -0.5


def test_the_other_evaluation_needs_the_first(storage):
    """One name alone pairs with nothing."""
    record(storage, "a", {"exact": [True]})

    with pytest.raises(UsageError, match="give both"):
        compare("a", "b", storage=str(storage), other="eval_x")


def test_evaluations_of_moved_files_are_paired_by_their_short_names(storage):
    """`old.py::eval_x` and `new.py::eval_x` are the same, where no other has the name."""
    record(storage, "a", {"exact": [True]}, name="old.py::eval_x")
    record(storage, "b", {"exact": [True]}, name="new.py::eval_x")

    assert only(compare("a", "b", storage=str(storage))).value == 0


def test_short_names_that_several_have_pair_nothing(storage):
    """Which of them is meant can not be guessed."""
    record(storage, "a", {"exact": [True]}, name="one.py::eval_x")
    for name in ("two.py::eval_x", "three.py::eval_x"):
        record(storage, "b", {"exact": [True]}, name=name)

    with pytest.raises(NotFound, match="no evaluation in common"):
        compare("a", "b", storage=str(storage))
    with pytest.raises(UsageError, match="several evaluations of 'b' are called 'eval_x'"):
        compare("a", "b", storage=str(storage), evaluation="eval_x")
    with pytest.raises(NotFound, match="experiment 'a' has no evaluation 'other'; there are: "):
        compare("a", "b", storage=str(storage), evaluation="other")


def test_a_name_with_a_file_is_never_that_of_another_file(storage):
    """`--evaluation` of a file that is not there is not found, whatever the function is called."""
    for name in ("a", "b"):
        record(storage, name, {"exact": [True]}, name="f.py::eval_x")
    for command in (["show", "a"], ["gate", "a", "errors <= 90%"], ["compare", "a", "b"]):
        arguments = [*command, "--storage", str(storage), "--evaluation"]
        assert main([*arguments, "elsewhere.py::eval_x"]) == 1
        assert main([*arguments, "eval_x"]) in (0, 3)
        assert main([*arguments, "tests/recorded.py::f.py::eval_x"]) in (0, 3)


def test_the_evaluation_of_a_moved_file_is_found_by_its_old_name(storage):
    """A's full name is paired with B's as it is without `--evaluation`."""
    record(storage, "a", {"exact": [True]}, name="old.py::eval_x")
    record(storage, "b", {"exact": [True]}, name="new.py::eval_x")

    name = "tests/recorded.py::old.py::eval_x"
    found = compare("a", "b", storage=str(storage), evaluation=name)

    assert only(found).value == 0


def test_an_evaluation_that_was_not_asked_about_has_no_say(storage):
    """`only` leaves out what knows none of the scores, also where one experiment lacks it."""
    for name in ("a", "b"):
        record(storage, name, {"len": [True] * 9, "exact": [True] * 9}, name="eval_one")
        record(storage, name, {"exact": [True] * 9}, name="eval_two")
    record(storage, "a", {"exact": [True]}, name="eval_gone")
    found = compare("a", "b", storage=str(storage), only=["len"])

    assert found.verdict == "no loss seen"
    assert [each.a.evaluation for each in found.evaluations] == ["tests/recorded.py::eval_one"]
    assert found.gone == ()


def test_a_score_that_was_asked_about_and_is_gone_leaves_it_open(storage):
    """An evaluation of which B has lost the score has a say."""
    for name in ("a", "b"):
        record(storage, name, {"len": [True] * 9}, name="eval_one")
    record(storage, "a", {"len": [True] * 9}, name="eval_two")
    record(storage, "b", {"other": [True] * 9}, name="eval_two")

    assert compare("a", "b", storage=str(storage), only=["len"]).verdict == "cannot tell"


def test_an_evaluation_that_can_not_be_judged_has_no_say(storage):
    """A spread and extremes have no better and worse; where there is nothing else, who knows."""
    for name in ("a", "b"):
        record(storage, name, {"size": [1, 2, 3]}, name="eval_size", metrics=("min", "max", "std"))
        record(storage, name, {"exact": [True] * 9}, name="eval_one")
    found = compare("a", "b", storage=str(storage))
    alone = compare("a", "b", storage=str(storage), evaluation="eval_size")

    assert {each.verdict for each in found.evaluations} == {"not judged", "no loss seen"}
    assert found.verdict == "no loss seen"
    assert alone.verdict == "cannot tell"


# ------------------------------------------------------------------------------ telling

HOSTILE = "\x1b[31m| `code` @somebody <b>\n"


def told(comparison: Comparison, width: int | None = 80, **options: Any) -> str:
    return "\n".join(comparison_lines(comparison, Terminal(width=width, **options)))


def test_a_comparison_fits_eighty_columns(contest):
    """No line is wider than the terminal."""
    comparison = contest(*answers(30, 12, 2, 6), metrics=("accuracy", "mean", "std"), margin=0.01)
    lines = told(comparison).splitlines()

    assert max(map(display_width, lines)) <= 80
    assert lines[0] == "a → b · regression · a loss of 0.01 is accepted"
    assert any("accuracy" in line and "84%" in line and "64%" in line for line in lines)
    assert lines[-1] == lines[0]


def test_examples_stand_under_what_became_of_them(contest):
    """Rows that flipped in the same way have one heading; answers stand one below the other."""
    lines = told(contest([True, True, 0.5], [False, False, False], examples=3)).splitlines()
    at = lines.index("  exact 1 to 0")

    assert [line.rstrip() for line in lines[at : at + 9]] == [
        "  exact 1 to 0",
        "    row 0  id=0",
        "      a  a says True",
        "      b  b says False",
        "    row 1  id=1",
        "      a  a says True",
        "      b  b says False",
        "",
        "  exact 0.5 to 0",
    ]


def test_a_long_column_hides_no_short_one(storage):
    """A row that does not fit in two lines is cut within its long columns."""
    for name, slip in (("a", None), ("b", "q1")):

        @doteval.foreach("question,text,level", [("q1", "words " * 40, "hard")])
        def eval_n(question, text, level, slip=slip):
            return question != slip

        doteval.run(eval_n, name, storage=str(storage), progress=False)
    comparison = compare("a", "b", storage=str(storage))

    assert "level=hard" in told(comparison, 80)
    assert "words " * 40 in told(comparison, None)


def test_interval_and_p_stand_below_their_row_where_there_is_no_room(contest):
    """They are what tells luck from skill: of all columns these go last."""
    comparison = contest(*answers(30, 12, 2, 6), metrics=("accuracy", "mean"))
    wide, narrow = told(comparison, 200), told(comparison, 60)

    (each, _) = comparison.evaluations[0].scores[0].differences
    p = f"p (Holm) {p_value(each.adjusted)}"
    assert "p (Holm)  verdict" in wide
    assert "not shown" not in wide
    assert f"    95% CI -33 to -5 pp · {p}" in narrow
    assert max(map(display_width, narrow.splitlines())) <= 60


def test_a_comparison_can_be_shown_in_ascii(contest):
    """Where the encoding has no arrows, there are none."""
    comparison = contest([True, True], [True, None])

    assert told(comparison, unicode=False, encoding="ascii").isascii()
    assert "1 row paired | 1 only in a" in told(comparison, unicode=False, encoding="ascii")


def test_what_one_side_lacks_is_told(storage):
    """Rows, failures, scores and evaluations."""
    record(storage, "a", {"one": [True, True, None], "two": [1.5, None, None]}, metrics=("mean",))
    record(
        storage,
        "b",
        {"one": [True, None, None], "two": [None, 2.5, None]},
        metrics=("mean",),
        rows=[0, 1, 7],
    )
    record(storage, "a", {"one": [True]}, name="eval_y")
    record(storage, "b", {"one": [True]}, name="eval_z")
    said = told(compare("a", "b", storage=str(storage)), width=None)

    assert "1 row paired in one · 1 only in a" in said
    assert "0 rows paired in two · 1 only in a · 1 only in b" in said
    assert "1 failed in a · 1 failed in b" in said
    assert "eval_y is in a alone" in said
    assert "eval_z is in b alone" in said


def test_evaluations_of_two_names_are_both_named(storage):
    """Which was compared with which must be seen."""
    for name in ("eval_x[small]", "eval_x[large]"):
        record(storage, "a", {"exact": [True]}, name=name)
    comparison = compare(
        "a", "a", storage=str(storage), evaluation="eval_x[small]", other="eval_x[large]"
    )

    assert "eval_x[small]" in told(comparison)
    assert "eval_x[large]" in told(comparison)


def test_a_reason_and_a_note_are_told(contest):
    """A verdict that does not follow from the figures says why."""
    comparison = contest([True] * 20, [True] * 10 + [None] * 10, metrics=("accuracy", "nobodys"))

    for said in (told(comparison, width=None), comparison_markdown(comparison)):
        assert "were they wrong, B would be worse" in said
        assert "exact.nobodys" in said


def test_a_score_without_a_known_metric_has_no_table(contest):
    """What can not be computed can not be compared."""
    comparison = contest([True], [True], metrics=("nobodys",))

    assert comparison.verdict == "cannot tell"
    assert "verdict" not in told(comparison)


def test_examples_whose_texts_were_not_found_are_left_out(contest, monkeypatch):
    """A row number alone helps nobody."""
    monkeypatch.setattr("doteval.reporting.pairs._SEARCHED", 0)
    comparison = contest([True] * 3, [True, True, False])

    assert "row 2" not in told(comparison)
    assert "<details>" not in comparison_markdown(comparison)


def test_an_example_without_an_answer_shows_its_row(storage):
    """A function need not say what the model answered."""

    for name, slip in (("a", None), ("b", 1)):

        @doteval.foreach("n", range(2))
        def eval_n(n, slip=slip):
            return n != slip

        doteval.run(eval_n, name, storage=str(storage), progress=False)
    said = told(compare("a", "b", storage=str(storage)))

    assert "row 1  n=1" in said
    assert said.splitlines()[-3:-1] == ["    row 1  n=1", ""]


def test_numbers_in_examples_are_told_briefly(contest):
    """Four digits, and NaN by its name."""
    assert "exact 0.3333 to 0.25" in told(contest([1 / 3, 1.0], [0.25, 1.0], metrics=("mean",)))


# ----------------------------------------------------------------------------- by slices


@pytest.fixture
def sliced(storage: Path) -> Callable[..., Comparison]:
    """
    "a" and "b" over 60 easy rows that both get right, 30 hard ones of which A gets all right and B
    eighteen, and 5 odd ones, which A gets right and B wrong; compared by these levels.
    """

    def level_of(n: int) -> str:
        return "easy" if n < 60 else "hard" if n < 90 else "odd"

    def compared(**options: Any) -> Comparison:
        for name, first_wrong in (("a", 95), ("b", 78)):

            @doteval.foreach("n", [{"n": n, "level": level_of(n)} for n in range(95)], tags="level")
            def eval_n(n, first_wrong=first_wrong):
                if (n, first_wrong) == (0, 78):
                    raise ValueError("no answer")
                return n < first_wrong

            doteval.run(eval_n, name, storage=str(storage), progress=False)
        return compare("a", "b", storage=str(storage), **{"by": "level", **options})

    return compared


def test_slices_are_compared_and_the_verdict_stays_that_of_the_whole(sliced):
    """Holm over the slices; one of five rows is not told, although all of them got worse."""
    comparison = sliced()
    (contrast,) = comparison.evaluations
    (whole,) = sliced(by=()).evaluations
    told = {part.by["level"]: part.scores[0].differences[0] for part in contrast.slices}

    assert contrast.scores == whole.scores
    assert {level: (each.verdict, each.n) for level, each in told.items()} == {
        "easy": ("cannot tell", 59),
        "hard": ("regression", 30),
        "odd": ("cannot tell", 5),
    }
    assert (told["hard"].p, told["hard"].adjusted) == (2 * 0.5**12, 2 * 2 * 0.5**12)
    assert told["easy"].reason == "1 row failed in B; were it wrong, B would be worse"
    assert (told["odd"].adjusted, told["odd"].reason) == (None, "too few to tell")
    assert (contrast.slices[0].failed_a, contrast.slices[0].failed_b) == (0, 1)


def test_a_margin_is_asked_of_slices_that_have_enough_rows(sliced):
    (contrast,) = sliced(margin=0.2).evaluations

    assert [part.verdict for part in contrast.slices] == [
        "no regression",
        "cannot tell",
        "cannot tell",
    ]


def test_slices_are_told_in_every_form(sliced, storage, capsys):
    comparison = sliced()
    lines = told(comparison, None).splitlines()
    at = lines.index("  by level")

    assert [line.split()[0] for line in lines[at + 3 : at + 6]] == ["odd", "hard", "easy"]
    assert lines[at + 3].endswith("cannot tell")
    assert lines[at + 6] == "  p is corrected for all slices"
    assert lines[at + 7] == "  1 row failed in B; were it wrong, B would be worse: level=easy"
    assert lines[at + 8] == "  too few to tell: level=odd"
    assert "`too few to tell: level=odd`" in comparison_markdown(comparison)
    assert "`eval_n` by `level`:\n\n| `level` | `a` |" in comparison_markdown(comparison)
    slices = comparison.to_dict()["evaluations"][0]["slices"]
    assert [each["by"]["level"] for each in slices] == ["easy", "hard", "odd"]
    code = main(["--storage", str(storage), "compare", "a", "b", "--by", "level", "--csv"])
    csv = capsys.readouterr().out.splitlines()
    assert (code, len(csv)) == (1, 5)
    assert csv[0].startswith("evaluation,level,score,metric,a,b,change,95% CI low")
    assert [line.split(",")[1] for line in csv[1:]] == ["", "easy", "hard", "odd"]


def test_repeats_and_metrics_of_several_scores_are_sliced(storage):
    """A score that no row of a slice has is not told there, nor a figure that a run has kept."""
    for name, values in (("a", [1.0, 3.0]), ("b", [2.0, 5.0])):
        two = {"x": [values] * 24, "y": [None] * 12 + [values] * 12}
        record(storage, name, two, metrics=("median", "std"), groups=["u", "v"] * 12)
    (contrast,) = compare("a", "b", storage=str(storage), by=["group"]).evaluations
    (ids,) = compare("a", "b", storage=str(storage), by=["id"], only=["y"]).evaluations

    assert [len(part.scores) for part in contrast.slices] == [2, 2]
    assert contrast.slices[0].scores[0].differences[0].value == 1.5
    assert sum(bool(part.scores) for part in ids.slices) == 12
    shown = told(compare("a", "b", storage=str(storage), by=["id"], only=["y"]), None)
    assert "too few to tell: id=12; id=13" in shown
    assert "; id=21; and 2 others" in shown


def test_a_column_that_some_evaluation_lacks_is_told_and_that_all_lack_refused(storage):
    for name in ("a", "b"):
        record(storage, name, {"exact": [True] * 12})
        record(storage, name, {"exact": [True] * 12}, groups=["u"] * 12, name="eval_y")

    x, y = compare("a", "b", storage=str(storage), by="group").evaluations
    assert (len(x.slices), len(y.slices)) == (0, 1)
    assert x.notes == ("no row has 'group'; the rows have 'id'",)
    with pytest.raises(NotFound, match="no row has 'nope'"):
        compare("a", "b", storage=str(storage), by="nope")


def test_slices_are_for_two_experiments(storage, capsys):
    assert main(["--storage", str(storage), "compare", "a", "b", "c", "--by", "x"]) == 2
    assert "--by are for two experiments" in capsys.readouterr().err


def test_markdown_is_a_table_with_examples_to_unfold(contest):
    """It can be posted to a pull request as it is."""
    said = comparison_markdown(contest(*answers(30, 12, 2, 6), margin=0.01))
    lines = said.splitlines()

    assert lines[0] == "### ❌ `a` → `b`: regression"
    assert "| `eval_x` | `exact` | `accuracy` | 84% | 64% | **-20 pp** |" in said
    assert "| 50 | 12 | 2 | **regression** |" in said
    assert "<details><summary>Examples: eval_x · exact</summary>" in lines
    assert "  - `a` `a says True`" in lines
    assert "A loss of 0.01 is accepted." in lines


@pytest.mark.parametrize(("metrics", "title"), [(("mean",), "p"), (("mean", "median"), "p (Holm)")])
def test_a_table_says_where_its_p_values_are_corrected(contest, metrics, title):
    """The intervals are not, so one may exclude zero beside a large p."""
    found = contest([0.5, 0.75, 1.0], [0.75, 1.0, 0.5], metrics=metrics)

    assert f"CI  {title}  " in re.sub("  +", "  ", told(found))
    assert f" CI | {title} | rows |" in comparison_markdown(found)


def test_hostile_texts_stand_in_code(storage):
    """Nothing of a model's answer formats the page, mentions anybody or ends a table."""
    for name, value in ((HOSTILE, True), ("b", False)):
        record(storage, name, {"a|b": [value, True]}, name=f"eval_x[{HOSTILE}]")
    comparison = compare(HOSTILE, "b", storage=str(storage))
    said = comparison_markdown(comparison)

    assert "\x1b" not in said
    assert "`` \\x1b[31m| `code` @somebody <b>\\n says True ``" in said
    assert "<summary>Examples: eval_x[\\x1b[31m| `code` @somebody &lt;b&gt;\\n] · a|b" in said
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "\x1b" not in told(comparison)


def test_what_one_side_lacks_is_in_the_markdown(storage):
    """Rows that could not be paired weaken a verdict, so a reader must see them."""
    record(storage, "a", {"one": [True, True]})
    record(storage, "b", {"one": [True, None]})
    record(storage, "a", {"one": [True]}, name="eval_y")
    said = comparison_markdown(compare("a", "b", storage=str(storage)))

    assert "- `eval_x`: 1 row paired, 1 only in a" in said
    assert "- `eval_x`: 1 failed in b" in said
    assert "- `eval_y` is in `a` alone" in said


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("accuracy", 0.0123, "+1.2 pp"),
        ("pass@3", -0.0001, "-0.01 pp"),
        ("accuracy", 0.0, "+0.0 pp"),
        ("mean", -1.23456, "-1.235"),
        ("mean", None, "-"),
        ("mean", math.nan, "NaN"),
    ],
)
def test_a_change_has_its_sign_and_unit(metric, value, said):
    """Shares change by percentage points, which are not percent."""
    assert change(metric, value) == said


@pytest.mark.parametrize(("p", "said"), [(None, "-"), (0.0321, "0.032"), (1e-9, "<0.001")])
def test_a_p_value_is_told_as_usual(p, said):
    """Three digits say enough."""
    assert p_value(p) == said


@pytest.mark.parametrize(
    ("text", "said"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("", "` `")]
)
def test_code_is_fenced_by_more_backticks_than_it_holds(text, said):
    """GFM 6.3."""
    assert code(text) == said


# ------------------------------------------------------------------------- the command


@pytest.fixture
def typed(storage: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command: exit code, what it wrote to stdout, and to stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        exit_code = main([*arguments, "--storage", str(storage)])
        return exit_code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("b", "exit_code"), [([True] * 8, 0), ([False] * 8, 1), ([True] * 7 + [False], 3)]
)
def test_the_exit_code_is_the_verdict(contest, typed, b, exit_code):
    """0 no regression, 1 regression, 3 can not be told."""
    contest([True] * 8, b)

    assert typed("compare", "a", "b")[0] == exit_code


def test_no_overlap_exits_with_1(storage, typed):
    """An error, told in one line."""
    record(storage, "a", {"exact": [True]}, rows=[1])
    record(storage, "b", {"exact": [True]}, rows=[2])
    exit_code, out, err = typed("compare", "a", "b")

    assert (exit_code, out) == (1, "")
    assert err.count("\n") == 1


def test_json_has_every_figure_in_full(contest, typed):
    """What the table rounds, a program gets."""
    comparison = contest(*answers(30, 12, 2, 6))
    exit_code, out, _ = typed("compare", "a", "b", "--json")
    found = json.loads(out)
    (difference,) = found["evaluations"][0]["scores"][0]["differences"]

    assert exit_code == 1
    assert found["verdict"] == "regression"
    assert difference["p"] == only(comparison).p
    assert (difference["low"], difference["high"]) == (only(comparison).low, only(comparison).high)
    assert found["evaluations"][0]["scores"][0]["examples"][0]["record_b"]["row"] == {"id": 30}


def test_json_of_an_example_without_texts(contest, typed, monkeypatch):
    """The scores are told although the records were not found."""
    monkeypatch.setattr("doteval.reporting.pairs._SEARCHED", 0)
    contest([True] * 3, [True, True, False])
    (example,) = json.loads(typed("compare", "a", "b", "--json")[1])["evaluations"][0]["scores"][0][
        "examples"
    ]

    assert example == {"a": 1, "b": 0, "worse": True, "record_a": None, "record_b": None}


def test_the_options_of_the_command_arrive(contest, typed):
    """A margin in percent, scores of which less is better, and one evaluation."""
    contest([1.0, 2.0, 3.0] * 4, [1.5, 2.5, 3.4] * 4, metrics=("mean",))
    arguments = ("--margin", "60%", "--lower-is-better", "exact", "--only", "exact.mean")
    more = ("--evaluation", "eval_x", "--confidence", "90%", "--paired-only")
    exit_code, out, _ = typed("compare", "a", "b", *arguments, *more)

    assert exit_code == 0
    assert "a loss of 0.6 is accepted" in out
    assert "90% CI" in out
    assert typed("compare", "a", "b", "--confidence", "0")[0] == 2


def test_markdown_is_printed(contest, typed):
    """It goes to a file or a comment as it is."""
    contest([True], [True])

    assert typed("compare", "a", "b", "--markdown")[1].startswith("### ✅ `a` → `b`")


def test_json_and_markdown_exclude_each_other(contest, typed):
    """One of them would be lost."""
    contest([True], [True])

    assert typed("compare", "a", "b", "--json", "--markdown")[0] == 2


@pytest.mark.parametrize("margin", ["-1", "x", "nan", "1%%", ""])
def test_a_margin_that_is_none_is_bad_usage(typed, margin):
    """Told with what was expected."""
    exit_code, _, err = typed("compare", "a", "b", f"--margin={margin}")

    assert exit_code == 2
    assert "as in 0.01 or 1%" in err
