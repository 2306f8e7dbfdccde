"""The rooms of the statistics wing, against published examples and closed forms."""

from __future__ import annotations

import math
import random
from statistics import stdev

import pytest

from doteval.statistics import (
    clusters,
    correction,
    intervals,
    labels,
    noise,
    power,
    resampling,
    sequential,
    shares,
    tests,
)


def standard_error(values):
    """Of the mean, by the standard library."""
    return stdev(values) / math.sqrt(len(values))


# --- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # R 4.3, binom.test(x, n)$conf.int; the rule of three is its special case.
        (0, 10, 0.0, 0.30849710),
        (5, 10, 0.18708603, 0.81291397),
        (10, 10, 0.69150290, 1.0),
        (1, 1000, 0.0000253175, 0.0055589243),
    ],
)
def test_the_exact_interval_is_that_of_the_table(successes, n, low, high):
    """Clopper and Pearson's limits, also where the formula divides by nothing."""
    assert shares.exact(successes, n) == pytest.approx((low, high), rel=1e-7, abs=1e-8)


def test_the_exact_interval_of_nothing_is_everything():
    """Without a trial any share is possible, and impossible counts are refused."""
    assert shares.exact(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="successes <= n"):
        shares.exact(3, 2)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100])
def test_numbers_that_are_shares_are_judged_as_shares(n):
    """The interval of bounded means is the exact one where values are 0 or 1, by either way."""
    for right in range(n + 1):
        values = [1.0] * right + [0.0] * (n - right)
        low, high = shares.exact(right, n)

        assert shares.bounded(values) == (low, high)
        approximate = shares.bounded(values, [3] * n)  # groups of one size take the other way
        assert approximate == pytest.approx((low, high), abs=0.003)


def test_two_equal_values_are_not_certain():
    """What was not seen keeps the interval open, on both sides."""
    low, high = shares.bounded([0.9, 0.9])

    assert 0.1 < low < 0.2
    assert 0.98 < high < 1


def test_the_interval_never_leaves_the_range():
    """Whatever the values are; the range may be any."""
    draw = random.Random(1)
    for _ in range(200):
        values = [draw.choice([1.0, 5.0, draw.uniform(1, 5)]) for _ in range(draw.randint(1, 12))]

        low, high = shares.bounded(values, span=(1.0, 5.0), confidence=draw.uniform(0.01, 0.999))

        assert 1 <= low <= intervals.mean_of(values) + 1e-12
        assert intervals.mean_of(values) - 1e-12 <= high <= 5


def test_many_equal_values_narrow_the_interval():
    """It is not the interval of true and false: values that vary less are known better."""
    low, high = shares.bounded([0.79, 0.81] * 500)

    assert high - low < 0.006
    assert shares.exact(800, 1000)[1] - shares.exact(800, 1000)[0] > 0.04


def test_one_large_group_may_have_gone_otherwise():
    """A group of the largest size stands in for what was not seen."""
    alone, _ = shares.bounded([1.0] * 11)
    heavy, _ = shares.bounded([1.0] * 11, [100, *[1] * 10])

    assert heavy < 0.3 < alone


# --- clusters ----------------------------------------------------------------------------------


def test_clusters_of_one_size_are_as_ever():
    """CR2 is then the factor G/(G-1), with G-1 degrees of freedom."""
    values, groups = [1.0, 0.0, 3.0, 2.0, 5.0, 5.0], [0, 0, 1, 1, 2, 2]

    found = clusters.clustered(values, groups)

    assert found.df == pytest.approx(2)
    assert found.effective == found.count == 3
    assert found.stderr == pytest.approx(standard_error([0.5, 2.5, 5.0]))


def test_rows_on_their_own_are_clusters_of_one():
    """Then the standard error is the plain one."""
    values = [1.0, 4.0, 2.0, 8.0]

    found = clusters.clustered(values, range(4))

    assert found.stderr == pytest.approx(standard_error(values))
    assert found.df == pytest.approx(3)


def test_a_large_cluster_is_few_degrees_of_freedom():
    """By matrices: 1.92 for one of 100 rows and nine of 5."""
    groups = [0] * 100 + [1 + at // 5 for at in range(45)]
    found = clusters.clustered([float(at % 7) for at in range(145)], groups)

    assert found.df == pytest.approx(1.92, abs=0.005)
    assert found.effective == pytest.approx(145**2 / (100**2 + 9 * 25))


def test_one_cluster_says_nothing():
    """Nor does an unequal number of names."""
    assert clusters.clustered([1.0, 2.0], ["a", "a"]) is None
    assert clusters.clustered([], []) is None
    with pytest.raises(ValueError, match="one for each"):
        clusters.clustered([1.0], [])


# --- sequential --------------------------------------------------------------------------------


def test_a_look_at_any_time_costs_some_width():
    """The interval holds that for one look, and shrinks towards the truth all the same."""
    few, many = ([1.0] * (8 * k) + [0.0] * (2 * k) for k in (5, 500))

    for values in (few, many):
        low, high = sequential.anytime(values)
        fixed = shares.bounded(values)
        assert low < fixed[0] < fixed[1] < high
    assert high - low < 0.05


def test_nothing_seen_is_nothing_known():
    """Before the first row any mean is possible; one row excludes little."""
    assert sequential.anytime([]) == (0.0, 1.0)
    assert sequential.anytime([1.0])[0] < 0.1
    assert sequential.anytime([], span=(-1.0, 1.0)) == (-1.0, 1.0)
    assert sequential.anytime_of(0, 0, 5) == (0.0, 1.0)


def test_all_rows_of_a_dataset_are_a_point():
    """Nothing is left to be unsure of; half of them leave less open than half of many would."""
    assert sequential.anytime_of(7, 10, 10) == (0.7, 0.7)
    low, high = sequential.anytime_of(400, 500, 1000)
    wide = sequential.anytime_of(400, 500, 10_000_000)

    assert wide[0] < low < 0.8 < high < wide[1]
    with pytest.raises(ValueError, match="successes <= n"):
        sequential.anytime_of(1, 2, 1)


# --- power -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worse", "better", "n", "difference"),
    [
        # By simulation with 20,000 draws each, to a point.
        (0, 0, 10, 0.67),
        (0, 0, 20, 0.37),
        (0, 0, 100, 0.078),
    ],
)
def test_what_mcnemar_would_notice(worse, better, n, difference):
    """The smallest difference that is noticed four times in five."""
    assert power.detectable_flips(worse, better, n) == pytest.approx(difference, abs=0.005)


def test_five_rows_notice_nothing():
    """Even five of five rows that got worse have a p-value above 0.05."""
    assert power.detectable_flips(0, 0, 5) is None
    assert power.detectable_mean(1.0, 5) is None
    assert power.detectable_mean(1.0, 6) == pytest.approx(4.39 * 1.05, abs=0.01)
    assert power.detectable_mean(1.0, 6, level=0.05 / 4) is None


def test_many_rows_take_the_normal_way():
    """Above 400 rows that differ the sum and its approximation meet."""
    exact = power.detectable_flips(150, 150, 1_000)
    assert exact == pytest.approx(2.8 * math.sqrt((0.3 + exact) / 1_000), rel=0.03)
    assert power.detectable_mean(1.0, 1_000) == pytest.approx(2.8, abs=0.01)
    assert power.detectable_mean(1.0, 1_000_000) == pytest.approx(2.8, abs=0.01)


def test_rows_that_decide_on_a_share():
    """All right: 36 rows have a lower end above 0.9; the distance to the threshold counts twice."""
    assert power.rows_for_share(1.0, 0.9) == 36
    assert shares.exact(36, 36)[0] > 0.9 > shares.exact(35, 35)[0]
    assert power.rows_for_share(0.0, 0.1) == 36
    assert 440 < power.rows_for_share(0.85, 0.8) < 490
    assert power.rows_for_share(0.501, 0.5) == pytest.approx(7.849 * 0.25 / 1e-6, rel=1e-3)


def test_no_number_of_rows_decides_where_nothing_differs():
    """Nor where the threshold is no share, nor without a spread."""
    assert power.rows_for_share(0.8, 0.8) is None
    assert power.rows_for_share(0.8, 1.2) is None
    assert power.rows_for_share(1.0, 0.0) == 1
    assert power.rows_for_share(0.5, 0.0) == 3  # one true answer is enough: 1 - 0.5 ** 3 > 0.8
    assert power.rows_for_mean(0.0, 1.0) is None
    assert power.rows_for_mean(0.1, 0.0) is None


def test_rows_that_decide_on_a_mean():
    """(1.96 + 0.84)² spreads per gap, and some more where Student's quantile asks for them."""
    assert power.rows_for_mean(0.001, 0.3) == pytest.approx((2.80159 * 300) ** 2, rel=1e-5)
    assert 282 < power.rows_for_mean(0.05, 0.3) < 287
    assert power.rows_for_mean(1.0, 1.0) == 10


# --- labels ------------------------------------------------------------------------------------


def test_krippendorffs_alpha_is_that_of_the_example():
    """Krippendorff (2011): three coders, fifteen units; labels, ranks and numbers."""
    rows = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]
    units = [[int(said) for said in unit if said != "*"] for unit in zip(*rows, strict=True)]

    found = [
        labels.krippendorff_alpha(units, level) for level in ("nominal", "ordinal", "interval")
    ]

    assert [round(alpha, 3) for alpha in found] == [0.691, 0.807, 0.811]


def test_alpha_without_a_comparison_is_unknown():
    """One judge, or one answer to everything, says nothing of agreement."""
    assert labels.krippendorff_alpha([[1], [2]]) is None
    assert labels.krippendorff_alpha([[1, 1], [1, 1]]) is None
    with pytest.raises(ValueError, match="nominal, ordinal or interval"):
        labels.krippendorff_alpha([], "ratio")


def test_a_confusion_matrix_counts_who_was_taken_for_whom():
    """Rows are what was expected, columns what was predicted."""
    found = labels.Confusion.of([("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("cow", "dog")])

    assert found.labels == ("cat", "cow", "dog")
    assert found.table() == [[1, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert (found.precision("cat"), found.recall("dog")) == (0.5, 1 / 3)
    assert found.average("f1") == pytest.approx((2 / 3 + 0 + 1 / 2) / 3)
    assert found.average("recall", "weighted") == pytest.approx((1 * 1 + 3 / 3) / 4)
    assert found.balanced_accuracy == pytest.approx((1 + 1 / 3) / 2)
    assert found.kappa == pytest.approx((2 * 4 - (1 * 2 + 3 * 1)) / (16 - 5))
    assert found.f1("cow") == found.precision("cow") == 0
    assert found.average("f1", "micro") == found.accuracy == 0.5
    with pytest.raises(ValueError, match="macro, weighted"):
        found.average("f1", "mean")


def test_no_pairs_have_no_figures():
    """Nor have forecasts that were never made."""
    nothing = labels.Confusion.of([])

    assert [nothing.accuracy, nothing.mcc, nothing.kappa, nothing.balanced_accuracy] == [None] * 4
    assert nothing.average("f1") is None
    assert labels.brier([]) is labels.log_loss([]) is labels.calibration_error([]) is None
    assert labels.auroc([(0.3, True)]) is None


def test_always_the_same_has_no_correlation():
    """Kappa is unknown where both always say one thing; Matthews' correlation is 0."""
    same = labels.Confusion.of([("yes", "yes")] * 3)

    assert same.kappa is None
    assert same.mcc == 0


def test_probabilities_that_are_right_on_average_are_calibrated():
    """Of ten forecasts of 0.8 eight happened."""
    forecasts = [(0.8, at < 8) for at in range(10)]

    assert labels.calibration_error(forecasts) == pytest.approx(0)
    assert labels.calibration_error([(0.9, False), (0.0, False)]) == pytest.approx(0.45)
    assert labels.brier([(0.8, True), (0.8, False)]) == pytest.approx((0.04 + 0.64) / 2)
    assert labels.log_loss([(0.5, True), (0.5, False)]) == pytest.approx(math.log(2))
    assert labels.log_loss([(1.0, False)]) == pytest.approx(36.04, abs=0.01)
    assert labels.auroc([(0.9, True), (0.9, False), (0.1, False)]) == 0.75


# --- correction --------------------------------------------------------------------------------


def test_a_judge_that_always_agrees_is_as_good_as_people():
    """The corrected figure is the judge's over all rows, and its interval nearly as narrow."""
    human = [1.0, 0.0, 1.0, 1.0, 0.0] * 10
    rest = [1.0, 1.0, 1.0, 0.0] * 500

    found = correction.corrected(human, human, rest)

    assert found.humans == 0.6
    assert found.weight == 1
    assert found.value == pytest.approx(0.75, abs=0.01)
    assert found.high - found.low < 0.06
    assert (found.labels, found.rows) == (50, 2050)


def test_a_judge_of_no_use_is_left_out():
    """One that contradicts people, or says always the same, changes nothing."""
    human = [1.0, 0.0, 1.0, 1.0]
    for judge, rest in (([0.0, 1.0, 0.0, 0.0], [0.0, 1.0]), ([1.0] * 4, [1.0, 1.0])):
        found = correction.corrected(human, judge, rest, span=(0.0, 1.0))

        assert (found.weight, found.value) == (0.0, 0.75)
        assert 0 <= found.low < found.high == 1


def test_too_few_labels_correct_nothing():
    """Or labels that are all the same, whose spread is not known."""
    assert correction.corrected([1.0, 0.0], [1.0, 0.0], [1.0]) is None
    assert correction.corrected([1.0] * 3, [1.0] * 3, []) is None
    assert correction.corrected([1.0] * 3, [1.0] * 3, [1.0]) is None
    with pytest.raises(ValueError, match="one each"):
        correction.corrected([1.0], [], [])


# --- noise -------------------------------------------------------------------------------------


def test_spread_between_and_within_rows():
    """By hand: rows of 1, 1 and 0, 0 differ only between, rows of 1, 0 only within."""
    apart = noise.noise([[1, 1], [0, 0]] * 10)
    inside = noise.noise([[1, 0]] * 10)

    assert (apart.within, apart.flaky, apart.flips) == (0, 0, 0)
    assert apart.between == pytest.approx(20 / 19 / 4)
    assert (inside.between, inside.within, inside.flaky) == (0, 0.5, 10)
    assert inside.flips == 1  # two draws that are never alike
    assert noise.noise([[1.5, 2.5], [1, 2]]).flips is None


def test_one_answer_a_row_tells_nothing_of_noise():
    """At least two rows must have been asked twice."""
    assert noise.noise([[1], [0], [1, 0]]) is None


def test_repeats_pay_where_rows_are_dear():
    """Where a row costs nothing of its own, a new row beats a repeat."""
    found = noise.noise([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 1]])

    assert found.best_repeats() == 1
    assert found.best_repeats(row=20, call=1) > 1
    assert found.half_width(400, 1) == pytest.approx(found.half_width(100, 1) / 2)
    assert noise.noise([[1, 0]] * 5).best_repeats(row=1) == 100


# --- two samples of different rows --------------------------------------------------------------


def test_shares_of_different_rows_are_tested_exactly():
    """Fisher's lady and the tea, and two samples that say the same."""
    tea = tests.unpaired([1, 1, 1, 0], [0, 0, 0, 1], seed=0)

    assert tea == tests.Test(pytest.approx(34 / 70), "Fisher exact")
    assert tests.unpaired([1, 1], [1, 1], seed=0).p == 1.0
    assert tests.unpaired([0.0] * 200_000, [1.0] * 200_000, seed=0) == tests.Test(0.0, "t")


def test_numbers_of_a_small_sample_are_tested_by_drawing():
    """3 of the 20 ways to draw three of six bring so much, on either side 2: p is near 0.1."""
    found = tests.unpaired([7.0, 8.0, 9.0], [1.0, 2.0, 3.0], seed=1)

    assert found.method == "permutation, 1,999 drawn"
    assert found.p == pytest.approx(2 / 20, abs=0.02)
    assert tests.unpaired([2.0, 2.0], [2.0, 2.0], seed=1) == tests.Test(1.0, "no differences")


def test_numbers_of_two_large_samples_are_tested_by_students():
    found = tests.unpaired([0.0, 2.0] * 30, [1.0, 3.0] * 40, seed=0)

    assert found == tests.Test(pytest.approx(4.05689e-08), "t")  # scipy.stats.ttest_ind


def test_groups_of_different_rows_are_tested_by_their_spread():
    """Equal rows of a group are one; of one group nothing can be told."""
    xs, ys = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0], [5.0, 5.0, 6.0, 6.0, 7.0, 7.0]
    groups = [0, 0, 1, 1, 2, 2]

    found = tests.unpaired(xs, ys, (groups, groups), seed=0)

    assert found.method == "Welch, by groups"
    # Student's of 1, 2, 3 and 5, 6, 7: t = 4 / sqrt(1/3 + 1/3), 4 degrees of freedom
    assert found.p == pytest.approx(0.00805, rel=0.01)
    assert tests.unpaired(xs, ys, ([0] * 6, groups), seed=0).p is None


def test_a_jackknife_needs_its_statistic_everywhere():
    """Of a hundred values one alone is the largest; without it this statistic is not defined."""
    values = [0.0] * 99 + [1.0]

    assert resampling.jackknife(lambda some: max(some) or None, values, seed=0) is None
