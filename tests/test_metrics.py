"""From values to estimates: each method, its edges, and how metrics are found."""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
from dataclasses import astuple

import pytest

from doteval import metrics
from doteval.errors import NotFound, PluginError, UsageError
from doteval.metrics import (
    Estimate,
    Metric,
    Moments,
    accuracy,
    maximum,
    mean,
    median,
    metric,
    minimum,
    names_of,
    pass_at_k,
    pass_hat_k,
    std,
)
from doteval.statistics import intervals

BUILT_IN = [accuracy, mean, median, std, minimum, maximum]


def once(values):
    """Rows that were run once."""
    return [[value] for value in values]


@pytest.fixture
def registered(monkeypatch):
    """The registry of metrics, as it was before the test when it is over."""
    monkeypatch.setattr(metrics.registry, "_registered", dict(metrics.registry._registered))
    return metrics.registry


# --- what is known without much data ---------------------------------------------------------


@pytest.mark.parametrize("measure", BUILT_IN, ids=str)
def test_no_data_give_no_number(measure):
    """An empty sample has no value, no error and no interval."""
    assert measure.estimate([]) == Estimate(None, 0, method="no data")
    assert measure.estimate([[], []]) == Estimate(None, 0, method="no data")
    assert measure([]) is None


@pytest.mark.parametrize("measure", BUILT_IN, ids=str)
def test_one_row_has_no_standard_error(measure):
    """One value says nothing of the spread, however often it was repeated."""
    for rows in ([[1.0]], [[1.0, 1.0, 0.0]]):
        found = measure.estimate(rows)

        assert found.n == 1
        assert found.stderr is None


@pytest.mark.parametrize("measure", [*BUILT_IN, pass_at_k(1)], ids=str)
def test_nan_makes_the_estimate_nan(measure):
    """A score that is NaN is seen in the estimate, never left out."""
    found = measure.estimate([[1.0], [math.nan], [0.0, 1.0]])

    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert found.n == 3
    assert "NaN" in found.method


def test_an_estimate_is_plain_data():
    """`to_dict` has every field, unrounded, and goes through JSON."""
    found = accuracy.estimate(once([True, False, True]))

    plain = found.to_dict()

    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["value", "n", "stderr", "low", "high", "method", "shaky"]
    assert plain["value"] == 2 / 3


# --- accuracy and mean -----------------------------------------------------------------------


def test_accuracy_has_the_exact_interval():
    """81 of 263 is Newcombe's (1998) first example; his method 5 gives 0.2527 to 0.3676."""
    found = accuracy.estimate(once([True] * 81 + [False] * 182))

    p = 81 / 263
    assert found.value == p
    assert (round(found.low, 4), round(found.high, 4)) == (0.2527, 0.3676)
    assert found.stderr == pytest.approx(math.sqrt(p * (1 - p) / 262))
    assert (found.n, found.method) == (263, "clopper-pearson")


def test_accuracy_of_other_numbers_is_a_mean():
    """Shares are from 0 to 1; of numbers beyond nothing is known but themselves."""
    shares, points = [0.2, 0.9, 1.0, 0.4], [2, 9, 10, 4]

    assert accuracy.estimate(once(points)) == mean.estimate(once(points))
    found = accuracy.estimate(once(shares))
    assert found == mean.estimate(once(shares), span=(0.0, 1.0))
    assert 0 < found.low < found.high < 1
    assert found.method == "gaffke"


def test_values_outside_their_range_are_told():
    """What an evaluator promised and did not keep is no ground for an interval."""
    found = mean.estimate(once([0.2, 0.9, 1.1, 0.4]), span=(0.0, 1.0))

    assert (found.method, found.shaky) == ("t", "values outside 0..1")


@pytest.mark.parametrize("value", [1.0, 0.5])
def test_equal_values_of_a_known_range_have_an_interval(value):
    """What was not seen lies within the range."""
    found = mean.estimate([[value]] * 9, span=(0.0, 1.0))

    assert 0 < found.low < value <= found.high


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1.0, 2.0, 4.0], "3 rows"),
        ([5] * 28 + [1, 2], "skewed values"),
        ([0.0] * 99 + [1000.0], "skewed values"),
        ([1, 2, 3, 4, 5] * 6, ""),
    ],
    ids=["few", "ceiling", "costs", "even"],
)
def test_students_interval_says_where_it_is_shaky(values, why):
    """Few rows, or a long tail: simulation has it hold the mean less often than it says."""
    assert mean.estimate(once(values)).shaky == why


def test_one_group_of_nearly_all_rows_has_no_interval():
    """Five groups of which one holds 100 of 104 rows are 1.1 clusters in effect."""
    groups = [0] * 100 + [1, 2, 3, 4]
    values = [float(at % 3) for at in range(104)]

    found = mean.estimate(once(values), groups)
    several = mean.estimate(once(values), [at // 13 for at in range(104)])

    assert found.method == "no interval: one cluster holds nearly all rows"
    assert several.shaky == "8.0 clusters in effect"
    assert mean.estimate(once(values), [at // 4 for at in range(104)]).shaky == ""
    assert accuracy.estimate(once([1, 0] * 52), groups).shaky == "1.1 clusters in effect"


def test_seven_of_ten_in_three_rows_are_seven_of_ten():
    """No rounding stands between the counts and a threshold."""
    rows = [[True] * 7 + [False] * 3] * 3

    assert accuracy.estimate(rows).value == 0.7


def test_numbers_at_the_ends_of_the_floats_have_a_mean():
    """Their sum is none any more, and the squares of the smallest would be 0."""
    tiny = once([1e-200, 2e-200, 3e-200])

    assert mean.estimate(once([1e308, 1e308, 1e308])).value == 1e308
    assert mean.estimate(tiny).stderr == pytest.approx(5.7735e-201, rel=1e-4)
    assert std(value for (value,) in tiny) == pytest.approx(1e-200)


def test_the_mean_has_students_interval():
    """Three values: the interval reaches t(0.975; 2) = 4.303 standard errors to either side."""
    found = mean.estimate(once([1, 2, 4]))

    assert found.value == pytest.approx(7 / 3)
    assert found.stderr == pytest.approx(math.sqrt(7 / 9))
    assert found.high - found.value == pytest.approx(4.302652729749464 * found.stderr)
    assert found.method == "t"


def test_confidence_widens_the_interval():
    """A gate at 99 % needs a wider interval than one at 95 %."""
    rows = once([True] * 80 + [False] * 20)

    wide, narrow = (accuracy.estimate(rows, confidence=level) for level in (0.99, 0.95))

    assert wide.low < narrow.low < narrow.high < wide.high


def test_repeats_are_not_rows():
    """Equal answers to the same rows, five times each, are as uncertain as one each."""
    answers = [True] * 70 + [False] * 30

    five = accuracy.estimate([[answer] * 5 for answer in answers])
    one = accuracy.estimate(once(answers))

    assert five.n == 100
    assert five.stderr == pytest.approx(one.stderr)
    assert (five.method, five.low) == ("clopper-pearson", one.low)


def test_repeats_that_differ_narrow_the_interval():
    """Where the answers to a row vary, repeats average that variation out."""
    draw = random.Random(3).random
    rows = [[draw() < 0.6 for _ in range(10)] for _ in range(50)]

    repeated, first = accuracy.estimate(rows), accuracy.estimate([row[:1] for row in rows])

    assert repeated.high - repeated.low < 0.5 * (first.high - first.low)


def test_rows_count_alike_however_often_they_were_repeated():
    """Each row's mean counts once, so a row with more repeats has no more weight."""
    assert mean.estimate([[1.0] * 9, [0.0]]).value == 0.5


@pytest.mark.parametrize("measure", [accuracy, mean, median, std], ids=str)
def test_groups_widen_the_interval(measure):
    """Rows that belong together are not independent, and the interval shows it."""
    draw = random.Random(1).random
    values = [value for _ in range(40) for value in [float(draw() < 0.5)] * 10]
    groups = [at // 10 for at in range(400)]

    alone, together = measure.estimate(once(values)), measure.estimate(once(values), groups)

    assert together.value == alone.value
    if measure in (accuracy, mean):
        assert together.stderr > 2.5 * alone.stderr
        assert together.high - together.low > 2 * (alone.high - alone.low)
    assert "40 clusters" in together.method


def test_a_single_group_has_no_standard_error():
    """All rows of one document say nothing about other documents."""
    for measure in (mean, accuracy, median):
        assert measure.estimate(once([1, 0, 1]), ["a"] * 3).stderr is None
    assert accuracy.estimate(once([1, 0, 1]), ["a"] * 3).low < 0.2


def test_groups_go_with_their_rows():
    """A row without a score takes its group with it; a missing group is an error."""
    rows, groups = [[1.0], [], [0.0], [1.0]], ["a", "b", "c", "d"]

    assert mean.estimate(rows, groups).method == "t, 3 clusters"
    with pytest.raises(UsageError, match="3 groups for 4 rows"):
        mean.estimate(rows, groups[:3])


def test_infinite_values_are_seen():
    """An infinity makes the mean infinite, and there is no interval around it."""
    found = mean.estimate(once([math.inf, 1.0]))

    assert found.value == math.inf
    assert (found.low, found.method) == (None, "no interval: infinite values")
    assert mean.from_moments(Moments.of([math.inf] + [1.0] * 2_000)) is None
    assert math.isnan(std.estimate(once([math.inf, 1.0])).value)


# --- from sums -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "values", "span"),
    [
        (accuracy, [True, False, True, True], None),
        (mean, [True, False, True, True], (0.0, 1.0)),
        (accuracy, [0], None),
        (mean, [at % 7 for at in range(1_200)], None),
        (mean, [at % 7 / 6 for at in range(20_001)], (0.0, 1.0)),
    ],
    ids=["shares", "range", "one", "numbers", "many"],
)
def test_sums_give_the_same_estimate_as_rows(measure, values, span):
    """What a database adds up is enough for the estimate that the rows would give."""
    from_rows = measure.estimate(once(values), span=span)
    from_sums = measure.from_moments(Moments.of(values), span=span)

    assert from_sums.method == from_rows.method
    for part in ("value", "n", "stderr", "low", "high"):
        assert getattr(from_sums, part) == pytest.approx(getattr(from_rows, part)), part


@pytest.mark.parametrize("values", [[3.5, -1.0, 7.25], [0.0, 2.0]], ids=len)
def test_sums_say_too_little_of_few_numbers(values):
    """Their mean may be far from normal: the rows are needed."""
    assert mean.from_moments(Moments.of(values)) is None


def test_accuracy_asks_for_the_rows_where_fractions_may_be_repeats():
    """Row means between 0 and 1 may be averages of any number of trials."""
    assert accuracy.from_moments(Moments.of([0.5, 1.0, 0.0])) is None


@pytest.mark.parametrize("measure", [mean, accuracy], ids=str)
def test_sums_that_lost_their_digits_are_refused(measure):
    """With values such as 1e9 and 1e9 + 1 the sums hold only rounding, and the rows are needed."""
    values = [1e9, 1e9 + 1, 1e9 + 3]

    assert measure.from_moments(Moments.of(values * 400)) is None
    assert mean.estimate(once(values)).stderr == pytest.approx(0.8819, abs=1e-4)


def test_repeats_that_all_but_agree_need_the_rows():
    """Where the sums can not tell the spread of row means, accuracy asks for the rows."""
    means = [0.75, 0.75 + 1e-9, 0.75]
    sums = Moments.of(means)

    moments = Moments(sums.n, sums.total, sums.squares, sums.low, sums.high, trials=12)

    assert accuracy.from_moments(moments) is None


def test_a_rare_failure_among_many_needs_no_rows():
    """A share so close to 1 that its sums nearly cancel is still exact."""
    found = accuracy.from_moments(Moments(10**9, 10**9 - 1, 10**9 - 1, 0, 1))

    assert found.value == 1 - 1e-9
    assert found.low < found.value < found.high


EQUAL = "no interval: all values are the same"


@pytest.mark.parametrize("value", [0.1, 1.0, 0.0, -1e9])
@pytest.mark.parametrize("n", [2, 10, 1000])
def test_equal_values_have_no_interval(value, n):
    """They tell nothing of a spread: a point would pass any gate. Neither do their sums."""
    expected = (value, n, None, None, None, EQUAL, "")
    rows = [[value]] * n
    own = Metric("own", lambda values: sum(values) / len(values))

    assert astuple(mean.estimate(rows)) == expected
    assert astuple(mean.estimate(rows, [row % 5 for row in range(n)])) == expected
    assert astuple(mean.from_moments(Moments.of([value] * n))) == expected
    if n >= 8:
        assert astuple(own.estimate(rows))[1:] == expected[1:]


def test_true_and_false_have_an_interval_though_they_are_equal():
    """Once or repeated, from rows or from sums: their range is known."""
    once, often = accuracy.estimate([[True]] * 9), accuracy.estimate([[True] * 3] * 9)
    sums = Moments(9, 9.0, 9.0, 1.0, 1.0)

    assert (once.method, once.high) == ("clopper-pearson", 1.0)
    assert accuracy.from_moments(sums) == accuracy.from_moments(sums._replace(trials=27)) == once
    assert often == once
    assert often.low < 1.0


def test_groups_of_one_mean_have_no_interval():
    """Spread within a group says nothing about that between groups; nor does rounding."""
    rows = [[0.7], [0.8], [0.9], [0.7], [0.8], [0.9]]

    found = mean.estimate(rows, [0, 0, 0, 1, 1, 1])
    assert (found.low, found.method) == (None, "no interval: all clusters are the same")


def test_a_figure_that_no_resample_moves_has_no_interval():
    """A metric of one's own may be the same on all samples, whatever the values."""
    found = Metric("count", len).estimate([[1.0], [2.0], [3.0]] * 3)

    assert (found.value, found.low) == (9, None)
    assert found.method == "no interval: all resamples say the same"


@pytest.mark.parametrize("measure", [accuracy, mean, minimum, maximum], ids=str)
def test_sums_over_nothing(measure):
    """What SQL gives for no rows at all is no data."""
    nothing = Moments(0, 0.0, 0.0, None, None)

    assert measure.takes_moments
    assert measure.from_moments(nothing) == Estimate(None, 0, method="no data")


@pytest.mark.parametrize("measure", [accuracy, mean, minimum, maximum], ids=str)
def test_a_nan_in_the_sums_is_seen(measure):
    """A NaN in the total makes the estimate NaN."""
    found = measure.from_moments(Moments(3, math.nan, math.nan, math.nan, math.nan))

    assert math.isnan(found.value)


def test_some_metrics_need_every_value():
    """A median can not be had from sums, nor the interval of a spread, and they say so."""
    for measure in (median, std, pass_at_k(2), Metric("own", sum)):
        assert not measure.takes_moments
        assert measure.from_moments(Moments.of([1.0, 2.0])) is None


def test_extremes_from_sums():
    """Without the rows they have a value and no interval."""
    sums = Moments.of([1.0, 2.0, 4.0])

    assert minimum.from_moments(sums).value == 1.0
    assert maximum.from_moments(sums).value == 4.0


# --- median, spread, extremes ----------------------------------------------------------------


@pytest.mark.parametrize("values", [[3, 1, 2], [4, 1, 3, 2], [1.5], list(range(11))])
def test_the_median_is_that_of_the_statistics_module(values):
    """Half of the values are below, half above."""
    assert median(values) == statistics.median(values)


def test_the_median_has_an_interval_of_ranks():
    """Of ten values the second and the ninth hold the median with 97.9 %."""
    found = median.estimate(once([5, 3, 8, 1, 9, 2, 7, 10, 6, 4]))

    assert (found.value, found.low, found.high) == (5.5, 2.0, 9.0)
    assert found.stderr == pytest.approx(7 / (2 * 1.959964), rel=1e-6)
    assert found.method == "ranks"
    assert median.estimate(once([1, 2, 3])).method == "no interval: too few rows"


@pytest.mark.parametrize("values", [[1, 2, 4], [0.1] * 3, [1e9, 1e9 + 1, 1e9 + 3]])
def test_the_standard_deviation_is_that_of_the_statistics_module(values):
    """Divided by n - 1, and without cancelling."""
    assert std(values) == pytest.approx(statistics.stdev(values), abs=1e-12)


def test_the_standard_deviation_has_bonetts_interval():
    """For normal values it is about as wide as that from the chi-squared distribution."""
    draw = random.Random(9).gauss
    values = [draw(0, 2) for _ in range(500)]

    found = std.estimate(once(values))

    assert found.low < 2 < found.high
    assert found.stderr == pytest.approx(2 / math.sqrt(2 * 500), rel=0.2)
    assert found.method == "bonett"
    assert std.estimate(once([1, 2])).method == "no interval: too few different rows"


def test_extremes_have_no_interval():
    """Nothing is known of values that were not seen."""
    for measure, value in ((minimum, 1.0), (maximum, 4.0)):
        assert measure.estimate(once([4, 1, 2])) == Estimate(
            value, 3, method="no interval: an extreme"
        )


# --- pass@k ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 3), (5, 0, 1), (5, 5, 5), (6, 1, 2), (4, 3, 4)])
def test_pass_estimators_count_all_draws(n, c, k):
    """They are the share of the k-subsets of the repeats with any, or with only right answers."""
    repeats = [True] * c + [False] * (n - c)
    draws = list(itertools.combinations(repeats, k))

    any_right, all_right = pass_at_k(k).estimate([repeats]), pass_hat_k(k).estimate([repeats])

    assert any_right.value == pytest.approx(sum(map(any, draws)) / len(draws))
    assert all_right.value == pytest.approx(sum(map(all, draws)) / len(draws))


def test_pass_at_one_is_accuracy():
    """With k = 1 both estimators are the mean of the row means."""
    rows = [[True, False, True], [False, False, False], [True, True, True]]

    expected = accuracy.estimate(rows)
    for measure in (pass_at_k(1), pass_hat_k(1)):
        found = measure.estimate(rows)
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )


def test_rows_with_too_few_repeats_are_told():
    """pass@k of fewer than k repeats is not known; such rows are left out and counted."""
    rows = [[True, False], [True], [False, False]]

    found = pass_at_k(2).estimate(rows, ["a", "b", "c"])
    none = pass_at_k(3).estimate(rows)

    assert (found.value, found.n) == (0.5, 2)
    assert found.method.endswith("; 1 rows have fewer than 2 repeats")
    assert none == Estimate(None, 0, method="needs 3 repeats; rows have at most 2")
    assert pass_at_k(3)([True, True]) is None


def test_pass_needs_truths():
    """A number between 0 and 1 is neither passed nor failed."""
    with pytest.raises(UsageError, match="pass@2 needs scores that are true or false"):
        pass_at_k(2).estimate([[0.5, 1.0]])


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", True])
def test_k_is_a_whole_number(k):
    """At least one answer is drawn."""
    with pytest.raises(UsageError, match="whole number"):
        pass_at_k(k)


# --- one's own -------------------------------------------------------------------------------


def test_a_function_of_values_is_a_metric(registered):
    """It is found by its name, gets the row means, and its interval from resampling."""

    @metric
    def share_above_half(values):
        """How many."""
        return sum(value > 0.5 for value in values) / len(values)

    found = share_above_half.estimate([[0.2], [0.9], [0.4, 1.0], [0.8]] * 2)

    assert metrics.find("share_above_half") is share_above_half
    assert share_above_half.__doc__ == "How many."
    assert share_above_half([1, 0]) == 0.5
    assert found.value == 0.75
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.method, found.shaky) == ("bootstrap, 1,999 resamples", "8 rows")
    few = share_above_half.estimate(once([0.2, 0.9, 0.8]))
    assert (few.low, few.method) == (None, "no interval: fewer than 8 rows")
    same = share_above_half.estimate(once([0.9] * 9))
    assert (same.low, same.method) == (None, "no interval: all values are the same")
    assert repr(share_above_half) == "<metric share_above_half>"


def test_a_factory_as_in_dotevals_is_a_metric(registered):
    """A function without arguments that returns the function is called for it."""

    @metric
    def trimmed(share=0.0):
        def compute(values):
            cut = int(share * len(values))
            return intervals.mean_of(sorted(values)[cut : len(values) - cut])

        return compute

    quarter = trimmed(share=0.25)

    assert trimmed()([0, 0, 0, 4]) == 1.0
    assert quarter([0, 0, 0, 4]) == 0.0
    assert metrics.find("trimmed(share=0.25)") is quarter
    with pytest.raises(UsageError, match="has no options, got k"):
        accuracy(k=3)


def test_a_metric_of_pairs_has_options(registered):
    """It is found again by its name, options and all."""

    @metric(pairs=True)
    def near(within=0.1):
        return lambda pairs: sum(abs(x - y) <= within for x, y in pairs) / len(pairs)

    wide = near(0.5)

    assert (wide.name, near(within=0.5).name) == ("near(within=0.5)", "near(within=0.5)")
    assert wide.estimate([[(1.0, 1.4)], [(1.0, 1.6)]]).value == 0.5
    assert metrics.find("near(within=0.7)").estimate([[(1.0, 1.4)], [(1.0, 1.6)]]).value == 1.0
    with pytest.raises(UsageError, match="too many positional"):
        near(1, 2)
    with pytest.raises(NotFound):
        metrics.find("near(within=oops)")
    with pytest.raises(UsageError, match="'accuracy' has no options, got 0.5"):
        accuracy(0.5)


def test_a_factory_may_return_a_metric(registered):
    """A built-in metric under another name keeps its method."""

    @metric(name="hits")
    def renamed():
        return accuracy

    assert metrics.find("hits").estimate(once([1, 0])).method == "clopper-pearson"
    assert renamed.name == "hits"


def test_a_builtin_function_is_a_metric(registered):
    """A function that does not tell its arguments takes the values."""
    assert metric(name="largest")(max)([1, 2]) == 2
    assert metrics.find("largest").estimate(once([1, 2])).value == 2.0


def test_a_custom_metric_that_raises_is_told(registered):
    """Its name and its error are in the message, so that the others can still be shown."""

    @metric
    def ratio(values):
        return 1 / sum(values)

    with pytest.raises(UsageError, match=r"'ratio' failed on 2 values: ZeroDivisionError"):
        ratio.estimate(once([0, 0]))


def test_a_custom_metric_that_fails_on_resamples_has_no_interval(registered):
    """The value stands; the interval is missing with the reason."""

    @metric
    def inverse(values):
        return 1 / sum(values)

    found = inverse.estimate(once([0] * 8 + [1]))

    assert found.value == 1.0
    assert found.low is None
    assert "on resampled rows" in found.method


def test_a_custom_metric_may_not_know(registered):
    """None stands for too few rows; an interval is not made of the resamples that are left."""

    @metric
    def needs_two(values):
        return sum(values) if len(set(values)) > 1 else None

    assert needs_two.estimate(once([1, 1])) == Estimate(None, 2, method="too few rows")
    found = needs_two.estimate(once([1] * 8 + [2]))
    assert (found.low, found.method) == (None, "no interval: undefined on many resamples")
    assert needs_two.estimate([[1], [2]], ["a", "a"]).low is None


def test_many_rows_take_the_normal_interval(registered):
    """Above 50,000 rows resampling gives way to the normal interval, and the method says so."""

    @metric
    def total(values):
        return sum(values)

    at_most, above = (total.estimate(once([0.0, 1.0] * half)) for half in (25_000, 25_001))

    assert at_most.method == "bootstrap, 199 resamples"
    assert above.method == "normal, jackknife of 100 blocks"


def test_seeds_decide_the_interval(registered):
    """The same rows give the same interval, unless another seed is asked for."""

    @metric
    def spread(values):
        return max(values) - min(values)

    rows = once(range(20))

    assert spread.estimate(rows) == spread.estimate(rows)
    assert spread.estimate(rows, seed=1) != spread.estimate(rows)


def test_a_metric_needs_a_name(registered):
    """Stored scores hold only names, so a lambda can not be found again."""
    with pytest.raises(UsageError, match="write a def"):
        metric(lambda values: 0)
    with pytest.raises(UsageError, match="takes a function"):
        metric(5)


def test_two_metrics_of_one_name_are_refused(registered):
    """A name of a built-in metric never means something else."""
    with pytest.raises(
        UsageError, match=r"already a metric 'accuracy' \(doteval\.means\.mean_or_none\)"
    ):

        @metric
        def accuracy(values):
            return 1.0


# --- by name ---------------------------------------------------------------------------------


def test_every_built_in_metric_is_found_by_name():
    """Stored names lead back to the metrics."""
    for name in ("accuracy", "mean", "median", "std", "min", "max", "pass@5", "pass^2"):
        assert metrics.find(name).name == name


@pytest.mark.parametrize("name", ["acuracy", "pass@0", "pass@", "pass@x", ""])
def test_unknown_names_are_told(name):
    """A name that nobody knows is NotFound, with the known ones."""
    with pytest.raises(NotFound, match="known: accuracy, .*max, mcc, mean"):
        metrics.find(name)


def test_a_metric_has_many_spellings(registered):
    """The metric, its call, its name, a function, and lists of these name the same."""

    def own(values):
        return 0.0

    assert names_of(accuracy) == names_of("accuracy") == names_of([accuracy()]) == ("accuracy",)
    assert names_of([mean, "pass@2", pass_hat_k(3), mean]) == ("mean", "pass@2", "pass^3")
    assert names_of(own) == names_of([own]) == ("own",)
    assert metrics.find("own")([1]) == 0.0
    assert names_of(Metric("made", sum)) == ("made",)
    assert metrics.find("made")([1, 2]) == 3


def test_what_is_no_metric_is_refused():
    """An empty list, a number, and a list with a number name no metric."""
    with pytest.raises(UsageError, match="at least one"):
        names_of([])
    with pytest.raises(UsageError, match="expected a metric, its name, or a list"):
        names_of(5)
    with pytest.raises(UsageError, match="5 is no metric"):
        names_of([5])


def test_metrics_of_packages_may_be_plain_functions(registered):
    """An entry point may hold a Metric or a function; anything else is a broken plugin."""
    registered.register("from elsewhere", statistics.fmean)
    registered.register("broken", "not callable")

    assert metrics.find("from elsewhere").estimate(once([1, 2])).value == 1.5
    with pytest.raises(PluginError, match="'broken' is str, not a function"):
        metrics.find("broken")


def test_an_unknown_metric_names_those_that_are_found_by_their_form():
    """pass@k is in no list, as there is one for each k."""
    with pytest.raises(NotFound, match=r"known: accuracy, .*, and pass@k and pass\^k for any k"):
        metrics.find("right.pass_at_3")


# --- ranges ----------------------------------------------------------------------------------


def test_a_range_stands_among_the_names_of_metrics():
    """It is no metric, and says what values there can be."""
    names = names_of(["mean", "1..5"])

    assert names == ("mean", "1..5")
    assert metrics.declared(names) == (("mean",), (1.0, 5.0))
    assert metrics.declared(["mean"]) == (("mean",), None)
    assert metrics.declared([metrics.span_name((-1e-7, 2.5))])[1] == (-1e-7, 2.5)
    with pytest.raises(UsageError, match="an empty range"):
        names_of(["mean", "5..1"])
    with pytest.raises(UsageError, match="expected at least one"):
        names_of("0..1")


def test_many_equal_values_of_a_known_range_need_the_rows():
    """Their sums have no spread, and what was not seen has."""
    assert mean.from_moments(Moments.of([0.5] * 20_001), span=(0.0, 1.0)) is None
    found = mean.estimate([[0.5]] * 20_001, span=(0.0, 1.0))
    assert 0.499 < found.low < 0.5 < found.high < 0.501


def test_many_rows_of_few_groups_are_not_cut_into_blocks(registered):
    """The jackknife needs a group for each block."""
    rows = [[float(at % 5)] for at in range(50_001)]

    found = Metric("own", intervals.mean_of).estimate(rows, [at % 20 for at in range(50_001)])

    assert (found.low, found.method) == (None, "no interval: too few clusters")


# --- at any time -----------------------------------------------------------------------------


def any_time(metric, rows, groups=None, span=None):
    return metrics.at_any_time(metric, rows, groups, 0.95, span)


def test_an_interval_for_any_time_is_wider_than_one_for_one_look():
    """Of true and false, of repeats, and of numbers of a known range."""
    answers = once([True] * 80 + [False] * 20)
    repeated = [[True, True]] * 80 + [[True, False]] * 20

    for measure, rows, span in (
        (accuracy, answers, None),
        (pass_hat_k(2), repeated, None),
        (mean, once([0.8, 0.9] * 50), (0.0, 1.0)),
    ):
        fixed, found = measure.estimate(rows, span=span), any_time(measure, rows, span=span)
        assert (found.value, found.method) == (fixed.value, "betting")
        assert found.low < fixed.low < fixed.high < found.high


@pytest.mark.parametrize(
    ("metric", "values", "groups", "why"),
    [
        (mean, [1.0, 2.0, 4.0], None, "the range of the values is not known"),
        (median, list(range(9)), None, "median has none for any time"),
        (accuracy, [1, 0, 1], [1, 2, 2], "clusters have none for any time"),
        (maximum, [1, 2], None, "an extreme"),
    ],
    ids=str,
)
def test_some_intervals_are_for_one_look_alone(metric, values, groups, why):
    """They say why there is none for any time."""
    found = any_time(metric, once(values), groups)

    assert (found.low, found.method) == (None, f"no interval: {why}")
