"""Statistics against published tables, closed forms and enumeration."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest

from doteval import intervals


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
    assert intervals.normal_quantile(p) == about(z, rel=1e-14)


def test_the_normal_quantile_of_one_half_is_zero():
    """The median of the standard normal distribution is exactly 0."""
    assert intervals.normal_quantile(0.5) == 0.0


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
    assert round(intervals.t_quantile(0.975, df), 3) == t95
    assert round(intervals.t_quantile(0.995, df), 3) == t99
    assert intervals.t_quantile(0.025, df) == about(-intervals.t_quantile(0.975, df), rel=1e-12)


@pytest.mark.parametrize("p", [0.5000001, 0.6, 0.9, 0.975, 0.9999, 1 - 1e-9])
def test_t_quantiles_have_closed_forms_for_few_degrees(p):
    """With 1, 2 and 4 degrees of freedom the quantile can be written down (Shaw 2006)."""
    alpha = 4 * p * (1 - p)
    q = math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha)

    assert intervals.t_quantile(p, 1) == about(math.tan(math.pi * (p - 0.5)), rel=1e-7)
    assert intervals.t_quantile(p, 2) == about((2 * p - 1) * math.sqrt(2 / alpha), rel=1e-8)
    assert intervals.t_quantile(p, 4) == pytest.approx(2 * math.sqrt(q - 1), rel=1e-7, abs=1e-6)


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
    assert intervals.t_quantile(p, df) == about(t, rel=1e-9)


def test_the_t_quantile_of_one_half_is_zero():
    """Student's distribution is symmetric about 0."""
    assert intervals.t_quantile(0.5, 3) == 0.0


def test_the_ends_of_students_distribution():
    """Half lies above 0, and nothing beyond what floats can square."""
    assert intervals.t_tail(0.0, 3) == 0.5
    assert intervals.t_tail(1e200, 1) == 0.0


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.1, math.nan])
def test_a_probability_outside_0_and_1_is_refused(p):
    """There is no quantile for what is no probability, and no interval for such a confidence."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.normal_quantile(p)
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.t_quantile(p, 3)
    with pytest.raises(ValueError, match="confidence"):
        intervals.wilson(1, 2, p)


@pytest.mark.parametrize("df", [0, -1, math.nan])
def test_degrees_of_freedom_must_be_positive(df):
    """Student's distribution needs degrees of freedom."""
    with pytest.raises(ValueError, match="degrees of freedom above 0"):
        intervals.t_quantile(0.9, df)


# --- one sample ------------------------------------------------------------------------------

# Heights of Darwin's maize, crossed less self-fertilised, in eighths of an inch; Fisher (1935),
# The Design of Experiments, §17.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_the_t_interval_of_darwins_maize():
    """Fisher finds a mean of 20.933 with a standard error of 9.746: t = 2.148 on 14 degrees."""
    mean = intervals.mean_of(DARWIN)
    stderr = intervals.standard_error(DARWIN)
    low, high = intervals.t_interval(mean, stderr, 14)

    assert mean == about(20.9333, rel=1e-5)
    assert stderr == about(9.746, rel=1e-4)
    assert mean / stderr == about(2.148, rel=1e-4)
    assert (low, high) == (pytest.approx(0.03, abs=0.005), pytest.approx(41.84, abs=0.005))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, p. 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_newcombes(successes, n, low, high):
    """Wilson's interval agrees with the published comparison in every digit."""
    found = intervals.wilson(successes, n)

    assert tuple(round(end, 4) for end in found) == (low, high)


def test_wilsons_interval_ends_exactly_at_0_and_1():
    """All right or all wrong leave an interval that ends there, and knows its other end."""
    assert intervals.wilson(0, 7)[0] == 0.0
    assert intervals.wilson(7, 7)[1] == 1.0
    assert intervals.wilson(7, 7)[0] == about(1 - intervals.wilson(0, 7)[1])


def test_without_trials_a_proportion_may_be_anything():
    """No trials say nothing: the interval is all of 0 to 1."""
    assert intervals.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (math.nan, 5)])
def test_more_successes_than_trials_are_refused(successes, n):
    """A proportion lies within 0 and 1."""
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        intervals.wilson(successes, n)


def test_one_value_has_no_standard_error():
    """A single value, and a single group of values, say nothing about their spread."""
    assert intervals.standard_error([3.0]) is None
    assert intervals.standard_error([]) is None
    assert intervals.standard_error([1.0, 2.0], ["a", "a"]) is None


def test_groups_of_one_row_change_nothing():
    """The clustered standard error of rows that are all on their own is the plain one."""
    plain = intervals.standard_error(DARWIN)

    assert intervals.standard_error(DARWIN, range(len(DARWIN))) == about(plain)


def test_copies_of_rows_add_nothing():
    """Every row ten times, grouped by row, is as uncertain as every row once."""
    tenfold = DARWIN * 10
    groups = list(range(len(DARWIN))) * 10

    assert intervals.standard_error(tenfold, groups) == about(intervals.standard_error(DARWIN))
    assert intervals.standard_error(tenfold) < 0.4 * intervals.standard_error(DARWIN)


def test_each_value_needs_a_group():
    """Groups that do not fit the values are refused."""
    with pytest.raises(ValueError, match="2 groups for 3 values"):
        intervals.standard_error([1, 2, 3], ["a", "b"])


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


def test_infinities_of_both_signs_have_no_mean():
    """Infinity less infinity is NaN."""
    assert math.isnan(intervals.mean_of([math.inf, -math.inf]))
    assert math.isnan(intervals.standard_error([math.inf, 1.0]))


def test_the_effective_interval_counts_what_is_independent():
    """Rows repeated five times with equal answers are worth one trial each, not five."""
    p, n = 0.7, 50
    stderr = math.sqrt(p * (1 - p) / n)

    low, high = intervals.wilson_effective(p, stderr, n, 5 * n)

    plain_low, plain_high = intervals.wilson(35, 50)
    assert low == pytest.approx(plain_low, abs=0.005)
    assert high == pytest.approx(plain_high, abs=0.005)


def test_the_effective_interval_never_counts_more_than_the_trials():
    """Rows that agree by chance do not make an interval without width."""
    low, high = intervals.wilson_effective(0.5, 0.0, 4, 8)

    assert 0 < low < 0.25
    assert 0.75 < high < 1


def test_the_effective_interval_of_a_clean_sheet_counts_the_groups():
    """Where all are right, each group stands for one trial."""
    low, high = intervals.wilson_effective(1.0, 0.0, 10, 1000)

    assert high == 1.0
    assert low < intervals.wilson(10, 10)[0]


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
    found = intervals.bootstrap(intervals.mean_of, DARWIN, seed=1)

    expected = intervals.standard_error(DARWIN)
    assert found.stderr == pytest.approx(expected, rel=0.05)
    assert found.low == pytest.approx(20.93 - 2.145 * expected, abs=4)
    assert found.high == pytest.approx(20.93 + 2.145 * expected, abs=4)
    assert found.resamples == 1_999


def test_a_seed_makes_the_bootstrap_repeatable():
    """The same seed gives the same interval, another one another."""
    one, two, other = (
        intervals.bootstrap(intervals.mean_of, DARWIN, seed=seed) for seed in (7, 7, 8)
    )

    assert one == two
    assert one != other


def test_the_bootstrap_draws_groups_whole():
    """Copies of rows in one group make the interval no narrower."""
    groups = list(range(len(DARWIN))) * 4
    plain = intervals.bootstrap(intervals.mean_of, DARWIN, seed=3)
    grouped = intervals.bootstrap(intervals.mean_of, DARWIN * 4, groups, seed=3)

    assert grouped.stderr == pytest.approx(plain.stderr, rel=0.1)


def test_one_row_can_not_be_resampled():
    """A single row or group has no interval."""
    assert intervals.bootstrap(intervals.mean_of, [1.0], seed=0) is None
    assert intervals.bootstrap(intervals.mean_of, [1.0, 2.0], ["a", "a"], seed=0) is None


def test_a_statistic_that_is_nan_on_a_sample_has_no_interval():
    """One NaN among the samples makes the interval NaN, visibly."""
    found = intervals.bootstrap(lambda v: math.nan if len(set(v)) == 1 else 1.0, [1, 2], seed=0)

    assert math.isnan(found.low)
    assert math.isnan(found.stderr)


def test_the_number_of_resamples_can_be_chosen():
    """A single replicate is its own interval's ends, and needs no interpolation."""
    found = intervals.bootstrap(intervals.mean_of, DARWIN, seed=1, resamples=2)

    assert found.resamples == 2
    assert found.low <= found.high


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """Leaving blocks out gives the standard error of a mean without any assumption."""
    draw = random.Random(4).gauss
    values = [draw(5, 2) for _ in range(4_000)]

    found = intervals.jackknife(intervals.mean_of, values, seed=0)

    assert found.stderr == pytest.approx(intervals.standard_error(values), rel=0.2)
    assert found.low < intervals.mean_of(values) < found.high


def test_the_jackknife_keeps_groups_together():
    """Copies within a group add nothing to what the jackknife knows."""
    draw = random.Random(4).gauss
    values = [draw(5, 2) for _ in range(1_000)]

    found = intervals.jackknife(intervals.mean_of, values * 3, list(range(1_000)) * 3, seed=0)

    assert found.stderr == pytest.approx(intervals.standard_error(values), rel=0.25)


def test_the_jackknife_needs_a_row_for_each_block():
    """Fewer rows than blocks can not be left out in turn."""
    assert intervals.jackknife(intervals.mean_of, [1.0] * 99, seed=0) is None


# --- pairs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (2, 9), (3, 17), (40, 100), (4_900, 10_000)])
def test_coin_probabilities_are_exact(k, n):
    """The binomial probability agrees with exact integer arithmetic."""
    exact = float(Fraction(math.comb(n, k), 2**n))

    assert intervals.binomial_half(k, n) == about(exact, rel=1e-12)


def test_impossible_counts_have_no_probability():
    """More heads than tosses do not happen."""
    assert intervals.binomial_half(4, 3) == 0.0
    assert intervals.binomial_half(-1, 3) == 0.0


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
    assert round(intervals.mcnemar(b, c), 4) == round(p, 4)


@pytest.mark.parametrize(("b", "c"), [(2, 9), (10, 30), (45, 55), (150, 86), (400, 600)])
def test_mcnemar_agrees_with_exact_arithmetic(b, c):
    """The p-value is the sum of binomial terms in whole numbers."""
    n = b + c
    exact = 2 * Fraction(sum(math.comb(n, k) for k in range(min(b, c) + 1)), 2**n)

    assert intervals.mcnemar(b, c) == about(float(exact), rel=1e-12)


def test_mcnemar_is_accurate_for_a_million_pairs():
    """The normal approximation with continuity correction is that good at a million."""
    p = intervals.mcnemar(499_000, 501_000)

    z = (1_000 - 0.5) / math.sqrt(1e6 / 4)
    assert p == pytest.approx(2 * intervals.normal_tail(z), rel=1e-4)
    assert intervals.mcnemar(0, 1_000_000) == 0.0


def test_negative_counts_are_refused():
    """Rows are counted."""
    with pytest.raises(ValueError, match="expected counts"):
        intervals.mcnemar(-1, 3)


def test_the_interval_of_a_paired_difference():
    """Bonett & Price's interval for 7 against 1 of 21 pairs is that of Fagerland et al. (2014)."""
    difference, low, high = intervals.paired_difference(7, 1, 21)

    assert round(difference, 3) == -0.286
    assert (round(low, 3), round(high, 3)) == (-0.508, -0.013)


def test_two_systems_that_never_differ_still_have_an_interval():
    """No flips among 20 rows do not prove that there are none."""
    difference, low, high = intervals.paired_difference(0, 0, 20)

    assert difference == 0
    assert low == -high
    assert 0.05 < high < 0.2


@pytest.mark.parametrize("counts", [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_flips_must_fit_into_the_pairs(counts):
    """There are no more flips than pairs."""
    with pytest.raises(ValueError, match="expected counts"):
        intervals.paired_difference(*counts)


def test_fishers_sign_flips():
    """Fisher (1935, §21) counts 1,726 of 32,768 arrangements as far out as Darwin's."""
    found = intervals.sign_flip(DARWIN, seed=0)

    assert found.p == 1726 / 32768
    assert "32,768" in found.method


def test_drawn_sign_flips_come_near_to_all():
    """Beyond 16 differences patterns are drawn, by the seed, and the data count as one."""
    values = [*DARWIN, 3, -5, 20]
    signs = itertools.product((1, -1), repeat=len(values))
    exact = sum(abs(sum(map(lambda s, v: s * v, s, values))) >= abs(sum(values)) for s in signs)

    found = intervals.sign_flip(values, seed=5)

    assert found == intervals.sign_flip(values, seed=5)
    assert found.p == pytest.approx(exact / 2 ** len(values), abs=0.006)
    assert "9,999 drawn" in found.method


def test_very_many_differences_take_the_normal_distribution():
    """With thousands of differences the sum of random signs is normal."""
    draw = random.Random(2).gauss
    values = [draw(0.05, 1) for _ in range(2_000)]

    found = intervals.sign_flip(values, seed=0)

    t = intervals.mean_of(values) / intervals.standard_error(values)
    assert found.method == "sign flips, normal"
    assert found.p == pytest.approx(2 * intervals.normal_tail(abs(t)), rel=0.05)


def test_differences_of_a_group_flip_together():
    """Copies of differences in one group are no further evidence."""
    groups = list(range(len(DARWIN))) * 3

    assert intervals.sign_flip(DARWIN * 3, groups, seed=0).p == 1726 / 32768


def test_nothing_to_flip():
    """No data have no p-value; no differences have no evidence."""
    assert intervals.sign_flip([], seed=0).p is None
    assert intervals.sign_flip([0.0, 0.0], seed=0).p == 1.0


def test_holms_adjustment():
    """Four tests at once: multiplied by 4, 3, 2, 1 in order of size, never falling, at most 1."""
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([0.9, 0.8]) == [1.0, 1.0]
    assert intervals.holm([]) == []


# --- how much would be enough ----------------------------------------------------------------


def test_the_smallest_detectable_difference():
    """With 95 % confidence and 80 % power it is 2.8 standard errors (Cohen 1988)."""
    assert intervals.detectable(0.01) == pytest.approx(0.02802, abs=1e-5)
    with pytest.raises(ValueError, match="power"):
        intervals.detectable(0.01, power=1.0)


@pytest.mark.parametrize(("p", "threshold"), [(0.85, 0.8), (0.75, 0.8), (0.99, 0.5), (0.9, 1.0)])
def test_so_many_rows_decide_a_gate_on_a_share(p, threshold):
    """At that number of rows Wilson's interval leaves the threshold out, at one less it may not."""
    n = intervals.rows_to_decide_share(p, threshold)

    low, high = intervals.wilson(p * n, n)
    assert not low <= threshold <= high
    if n > 1:
        low, high = intervals.wilson(p * (n - 1), n - 1)
        assert low <= threshold <= high


@pytest.mark.parametrize("stderr", [0.04, 0.4, 0.001])
def test_so_many_rows_decide_a_gate_on_a_mean(stderr):
    """At that number of rows the t interval leaves the threshold out, at one less it does not."""
    n = intervals.rows_to_decide_mean(0.85, 0.8, 100, stderr)

    def holds(rows):
        low, high = intervals.t_interval(0.85, stderr * math.sqrt(100 / rows), rows - 1)
        return low <= 0.8 <= high

    assert not holds(n)
    assert n == 2 or holds(n - 1)


def test_no_number_of_rows_decides_a_tie():
    """A figure that is the threshold stays undecided for ever."""
    assert intervals.rows_to_decide_share(0.8, 0.8) is None
    assert intervals.rows_to_decide_mean(0.8, 0.8, 10, 0.1) is None


def test_two_rows_without_spread_decide():
    """Equal values decide with the fewest rows that have a spread."""
    assert intervals.rows_to_decide_mean(0.9, 0.8, 10, 0.0) == 2
