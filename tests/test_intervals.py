"""Statistics against published tables, closed forms and enumeration."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction
from statistics import stdev

import pytest

from doteval.statistics import distributions, intervals, resampling, shares, tests


def standard_error(values):
    """Of the mean, by the standard library."""
    return stdev(values) / math.sqrt(len(values))


def about(value, *, rel=1e-9):
    return pytest.approx(value, rel=rel)


# --- quantiles -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "z"),
    [
        # scipy 1.17.1, stats.norm.ppf; the first digits are in every table.
        (0.975, 1.959963984540054),
        (0.995, 2.5758293035489004),
        (0.25, -0.6744897501960817),
        (0.001, -3.090232306167814),
        (1e-20, -9.262340089798408),
    ],
)
def test_normal_quantiles_are_those_of_the_table(p, z):
    """The normal quantile has the digits of a float, far into the tail too."""
    assert distributions.normal_quantile(p) == about(z, rel=1e-14)


def test_the_normal_quantile_of_one_half_is_zero():
    """The median of the standard normal distribution is exactly 0."""
    assert distributions.normal_quantile(0.5) == 0.0


@pytest.mark.parametrize(
    ("df", "t95", "t99"),
    [
        # Student's t, two-sided 95 % and 99 %: NIST/SEMATECH e-Handbook 1.3.6.7.2.
        (1, 12.706, 63.657),
        (2, 4.303, 9.925),
        (3, 3.182, 5.841),
        (5, 2.571, 4.032),
        (10, 2.228, 3.169),
        (14, 2.145, 2.977),
        (30, 2.042, 2.750),
        (100, 1.984, 2.626),
    ],
)
def test_t_quantiles_are_those_of_the_table(df, t95, t99):
    """Student's quantile agrees with the printed table in every digit."""
    assert round(distributions.t_quantile(0.975, df), 3) == t95
    assert round(distributions.t_quantile(0.995, df), 3) == t99
    assert distributions.t_quantile(0.025, df) == about(
        -distributions.t_quantile(0.975, df), rel=1e-12
    )


@pytest.mark.parametrize("p", [0.5000001, 0.6, 0.9, 0.975, 0.9999, 1 - 1e-9])
def test_t_quantiles_have_closed_forms_for_few_degrees(p):
    """With 1, 2 and 4 degrees of freedom the quantile can be written down (Shaw 2006)."""
    alpha = 4 * p * (1 - p)
    q = math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha)

    assert distributions.t_quantile(p, 1) == about(math.tan(math.pi * (p - 0.5)), rel=1e-7)
    assert distributions.t_quantile(p, 2) == about((2 * p - 1) * math.sqrt(2 / alpha), rel=1e-8)
    assert distributions.t_quantile(p, 4) == pytest.approx(2 * math.sqrt(q - 1), rel=1e-7, abs=1e-6)


@pytest.mark.parametrize(
    ("p", "df", "t"),
    [
        # scipy 1.17.1, stats.t.ppf.
        (0.975, 2000, 1.9611508260994377),
        (0.975, 2001, 1.9611502326224413),
        (1e-09, 2001, -6.025623607399994),
        (1e-12, 2001, -7.079092265430533),
        (0.995, 100000.0, 2.575878469908375),
        (0.975, 1000000000.0, 1.959963986912325),
        (0.9, 0.5, 10.27032441023451),
        (0.6, 7, 0.2631668613520229),
    ],
)
def test_t_quantiles_agree_with_scipy(p, df, t):
    """Every branch of the computation gives ten digits of what scipy gives."""
    assert distributions.t_quantile(p, df) == about(t, rel=1e-9)


def test_the_t_quantile_of_one_half_is_zero():
    """Student's distribution is symmetric about 0."""
    assert distributions.t_quantile(0.5, 3) == 0.0


def test_the_ends_of_students_distribution():
    """Half lies above 0, and nothing beyond what floats can square."""
    assert distributions.t_tail(0.0, 3) == 0.5
    assert distributions.t_tail(1e200, 1) == 0.0


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.1, math.nan])
def test_a_probability_outside_0_and_1_is_refused(p):
    """There is no quantile for what is no probability, and no interval for such a confidence."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        distributions.normal_quantile(p)
    with pytest.raises(ValueError, match="between 0 and 1"):
        distributions.t_quantile(p, 3)
    with pytest.raises(ValueError, match="confidence"):
        shares.exact(1, 2, p)


@pytest.mark.parametrize("df", [0, -1, math.nan])
def test_degrees_of_freedom_must_be_positive(df):
    """Student's distribution needs degrees of freedom."""
    with pytest.raises(ValueError, match="degrees of freedom above 0"):
        distributions.t_quantile(0.9, df)


# --- one sample ------------------------------------------------------------------------------

# Heights of Darwin's maize, crossed less self-fertilised, in eighths of an inch; Fisher (1935),
# The Design of Experiments, §17.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_the_t_interval_of_darwins_maize():
    """Fisher finds a mean of 20.933 with a standard error of 9.746: t = 2.148 on 14 degrees."""
    mean = intervals.mean_of(DARWIN)
    stderr = standard_error(DARWIN)
    low, high = intervals.t_interval(mean, stderr, 14)

    assert mean == about(20.9333, rel=1e-5)
    assert stderr == about(9.746, rel=1e-4)
    assert mean / stderr == about(2.148, rel=1e-4)
    assert (low, high) == (pytest.approx(0.03, abs=0.005), pytest.approx(41.84, abs=0.005))


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([math.inf, 1.0], math.inf),
        ([10**400, 1], math.inf),
        ([-(10**400), 1], -math.inf),
        ([1e308, 1e308], 1e308),
        ([0.1] * 10, 0.1),
    ],
)
def test_a_mean_beyond_the_floats_is_infinite(values, mean):
    """Values that floats can not add up give an infinity, not a crash."""
    assert intervals.mean_of(values) == mean


def test_each_value_needs_a_group():
    """One group too few is an error, not a shift."""
    with pytest.raises(ValueError, match="2 groups for 3 values"):
        intervals.group_totals([1, 2, 3], ["a", "b"])


def test_infinities_of_both_signs_have_no_mean():
    """Infinity less infinity is NaN."""
    assert math.isnan(intervals.mean_of([math.inf, -math.inf]))


@pytest.mark.parametrize(
    ("n", "ranks"),
    [
        # The usual table of sign-test intervals, 95 %, as in Conover (1999), Practical
        # Nonparametric Statistics; ranks from 1.
        (5, None),
        (6, (1, 6)),
        (10, (2, 9)),
        (15, (4, 12)),
        (20, (6, 15)),
        (25, (8, 18)),
        (100, (40, 61)),
    ],
)
def test_the_ranks_that_hold_the_median(n, ranks):
    """The interval of a median is two of the values, and none where six are not there."""
    assert intervals.median_interval(range(1, n + 1)) == ranks


def test_a_low_confidence_is_content_with_the_middle_values():
    """The interval of an even number of values never gets narrower than the two in the middle."""
    assert intervals.median_interval([1, 2], 0.01) == (1, 2)


def test_many_values_take_the_normal_ranks():
    """At 10,000 values the exact ranks and their normal approximation meet."""
    low, high = intervals.median_interval(range(1, 10_001))
    next_low, next_high = intervals.median_interval(range(1, 10_002))

    assert abs(next_low - low) <= 1
    assert abs(next_high - high) <= 2


def test_the_interval_of_a_standard_deviation_covers_it():
    """Of 600 samples of 20 normal values, about 95 % of the intervals hold the true value."""
    draw = random.Random(11).gauss
    hits = 0
    for _ in range(600):
        _, (low, high) = intervals.std_interval([draw(0, 3) for _ in range(20)])
        hits += low <= 3 <= high

    assert 0.92 <= hits / 600 <= 0.98


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0], [2.0] * 9])
def test_few_or_equal_values_do_not_tell_their_spread(values):
    """No interval for a standard deviation is made up."""
    assert intervals.std_interval(values) is None


def test_five_values_at_high_confidence_leave_everything_open():
    """Where the correction for few values has no end, neither has the interval."""
    stderr, (_, high) = intervals.std_interval([1.0, 2.0, 3.0, 4.0, 9.0], 1 - 1e-9)

    assert high == math.inf
    assert stderr == math.inf


# --- resampling ------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_has_its_textbook_error():
    """Resampled means spread too little by sqrt((n-1)/n), which is put right, as are the tails."""
    found = resampling.bootstrap(intervals.mean_of, DARWIN, seed=1)

    expected = standard_error(DARWIN)
    assert found.stderr == pytest.approx(expected, rel=0.05)
    assert found.low == pytest.approx(20.93 - 2.145 * expected, abs=4)
    assert found.high == pytest.approx(20.93 + 2.145 * expected, abs=4)
    assert found.resamples == 1_999


def test_a_seed_makes_the_bootstrap_repeatable():
    """The same seed gives the same interval, another one another."""
    one, two, other = (
        resampling.bootstrap(intervals.mean_of, DARWIN, seed=seed) for seed in (7, 7, 8)
    )

    assert one == two
    assert one != other


def test_the_bootstrap_draws_groups_whole():
    """Copies of rows in one group make the interval no narrower."""
    groups = list(range(len(DARWIN))) * 4
    plain = resampling.bootstrap(intervals.mean_of, DARWIN, seed=3)
    grouped = resampling.bootstrap(intervals.mean_of, DARWIN * 4, groups, seed=3)

    assert grouped.stderr == pytest.approx(plain.stderr, rel=0.1)


def test_one_row_can_not_be_resampled():
    """A single row or group has no interval."""
    assert resampling.bootstrap(intervals.mean_of, [1.0], seed=0) is None
    assert resampling.bootstrap(intervals.mean_of, [1.0, 2.0], ["a", "a"], seed=0) is None


def test_a_statistic_that_is_nan_on_a_sample_has_no_interval():
    """One NaN among the samples makes the interval NaN, visibly."""
    found = resampling.bootstrap(lambda v: math.nan if len(set(v)) == 1 else 1.0, [1, 2], seed=0)

    assert math.isnan(found.low)
    assert math.isnan(found.stderr)


def test_the_number_of_resamples_can_be_chosen():
    """A single replicate is its own interval's ends, and needs no interpolation."""
    found = resampling.bootstrap(intervals.mean_of, DARWIN, seed=1, resamples=2)

    assert found.resamples == 2
    assert found.low <= found.high


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """Leaving blocks out gives the standard error of a mean without any assumption."""
    draw = random.Random(4).gauss
    values = [draw(5, 2) for _ in range(4_000)]

    found = resampling.jackknife(intervals.mean_of, values, seed=0)

    assert found.stderr == pytest.approx(standard_error(values), rel=0.2)
    assert found.low < intervals.mean_of(values) < found.high


def test_the_jackknife_keeps_groups_together():
    """Copies within a group add nothing to what the jackknife knows."""
    draw = random.Random(4).gauss
    values = [draw(5, 2) for _ in range(1_000)]

    found = resampling.jackknife(intervals.mean_of, values * 3, list(range(1_000)) * 3, seed=0)

    assert found.stderr == pytest.approx(standard_error(values), rel=0.25)


def test_the_jackknife_needs_a_row_for_each_block():
    """Fewer rows than blocks can not be left out in turn."""
    assert resampling.jackknife(intervals.mean_of, [1.0] * 99, seed=0) is None


# --- pairs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (2, 9), (3, 17), (40, 100), (4_900, 10_000)])
def test_coin_probabilities_are_exact(k, n):
    """The binomial probability agrees with exact integer arithmetic."""
    exact = float(Fraction(math.comb(n, k), 2**n))

    assert distributions.binomial_half(k, n) == about(exact, rel=1e-12)


def test_impossible_counts_have_no_probability():
    """More heads than tosses do not happen."""
    assert distributions.binomial_half(4, 3) == 0.0
    assert distributions.binomial_half(-1, 3) == 0.0


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        # Fagerland, Lydersen & Laake (2013), BMC Med. Res. Methodol. 13:91, exact
        # conditional test of 1 against 7.
        (1, 7, 0.0703),
        (7, 1, 0.0703),
        (0, 5, 2 / 32),
        (0, 0, 1.0),
        (4, 5, 1.0),
        (3, 3, 1.0),
    ],
)
def test_mcnemars_exact_test(b, c, p):
    """The exact p-value is the published one, whichever side is the larger."""
    assert round(tests.mcnemar(b, c), 4) == round(p, 4)


@pytest.mark.parametrize(("b", "c"), [(2, 9), (10, 30), (45, 55), (150, 86), (400, 600)])
def test_mcnemar_agrees_with_exact_arithmetic(b, c):
    """The p-value is the sum of binomial terms in whole numbers."""
    n = b + c
    exact = 2 * Fraction(sum(math.comb(n, k) for k in range(min(b, c) + 1)), 2**n)

    assert tests.mcnemar(b, c) == about(float(exact), rel=1e-12)


def test_mcnemar_is_accurate_for_a_million_pairs():
    """The normal approximation with continuity correction is that good at a million."""
    p = tests.mcnemar(499_000, 501_000)

    z = (1_000 - 0.5) / math.sqrt(1e6 / 4)
    assert p == pytest.approx(2 * distributions.normal_tail(z), rel=1e-4)
    assert tests.mcnemar(0, 1_000_000) == 0.0


def test_negative_counts_are_refused():
    """Rows are counted."""
    with pytest.raises(ValueError, match="expected counts"):
        tests.mcnemar(-1, 3)


def test_the_interval_of_a_paired_difference():
    """Bonett & Price's interval for 7 against 1 of 21 pairs is that of Fagerland et al. (2014)."""
    difference, low, high = tests.paired_difference(7, 1, 21)

    assert round(difference, 3) == -0.286
    assert (round(low, 3), round(high, 3)) == (-0.508, -0.013)


def test_two_systems_that_never_differ_still_have_an_interval():
    """No flips among 20 rows do not prove that there are none."""
    difference, low, high = tests.paired_difference(0, 0, 20)

    assert difference == 0
    assert low == -high
    assert 0.05 < high < 0.2


@pytest.mark.parametrize("counts", [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_flips_must_fit_into_the_pairs(counts):
    """There are no more flips than pairs."""
    with pytest.raises(ValueError, match="expected counts"):
        tests.paired_difference(*counts)


def test_fishers_sign_flips():
    """Fisher (1935, §21) counts 1,726 of 32,768 arrangements as far out as Darwin's."""
    found = tests.sign_flip(DARWIN, seed=0)

    assert found.p == 1726 / 32768
    assert "32,768" in found.method


def test_drawn_sign_flips_come_near_to_all():
    """Beyond 16 differences patterns are drawn, by the seed, and the data count as one."""
    values = [*DARWIN, 3, -5, 20]
    signs = itertools.product((1, -1), repeat=len(values))
    exact = sum(abs(sum(map(lambda s, v: s * v, s, values))) >= abs(sum(values)) for s in signs)

    found = tests.sign_flip(values, seed=5)

    assert found == tests.sign_flip(values, seed=5)
    assert found.p == pytest.approx(exact / 2 ** len(values), abs=0.006)
    assert "9,999 drawn" in found.method


def test_very_many_differences_take_the_normal_distribution():
    """With thousands of differences the sum of random signs is normal."""
    draw = random.Random(2).gauss
    values = [draw(0.05, 1) for _ in range(2_000)]

    found = tests.sign_flip(values, seed=0)

    t = intervals.mean_of(values) / standard_error(values)
    assert found.method == "sign flips, normal"
    assert found.p == pytest.approx(2 * distributions.normal_tail(abs(t)), rel=0.05)


def test_differences_of_a_group_flip_together():
    """Copies of differences in one group are no further evidence."""
    groups = list(range(len(DARWIN))) * 3

    assert tests.sign_flip(DARWIN * 3, groups, seed=0).p == 1726 / 32768


def test_nothing_to_flip():
    """No data have no p-value; no differences have no evidence."""
    assert tests.sign_flip([], seed=0).p is None
    assert tests.sign_flip([0.0, 0.0], seed=0).p == 1.0


def test_holms_adjustment():
    """Four tests at once: multiplied by 4, 3, 2, 1 in order of size, never falling, at most 1."""
    assert tests.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert tests.holm([0.9, 0.8]) == [1.0, 1.0]
    assert tests.holm([]) == []
