"""The statistics against scipy's, on data that nobody picked by hand."""

from __future__ import annotations

import math
import random

import pytest

from doteval import metrics
from doteval.statistics import clusters, distributions, intervals, resampling, shares, tests

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")


@pytest.fixture
def draw():
    """Random numbers, the same each time."""
    return random.Random(20260101)


def test_quantiles(draw):
    """Of the normal and of Student's distribution, far into the tail."""
    for _ in range(500):
        p = draw.choice([draw.random(), 10 ** draw.uniform(-12, -1)])
        df = draw.choice([draw.randint(1, 50), draw.uniform(0.3, 5), 10 ** draw.uniform(0, 9)])

        assert distributions.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12)
        assert distributions.t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_intervals_of_a_proportion(draw, confidence):
    """The exact one, for few and for many trials."""
    for _ in range(100):
        n = draw.choice([draw.randint(1, 30), draw.randint(1, 1_000_000)])
        successes = draw.randint(0, n)
        proportion = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")

        found = shares.exact(successes, n, confidence)

        assert found == pytest.approx((proportion.low, proportion.high), abs=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_interval_of_a_mean(draw, confidence):
    """The standard error and Student's interval."""
    for n in (2, 3, 10, 200):
        values = [draw.gauss(3, 2) for _ in range(n)]
        error = stats.sem(values)
        low, high = stats.t.interval(confidence, n - 1, loc=sum(values) / n, scale=error)

        found = metrics.mean.estimate([[value] for value in values], confidence=confidence)

        assert found.stderr == pytest.approx(error)
        assert (found.low, found.high) == pytest.approx((low, high))


def test_interval_of_a_median(draw):
    """The ranks are those of the inverted binomial test."""
    for n in range(6, 60):
        values = sorted(draw.random() for _ in range(n))
        interval = stats.quantile_test(values, q=0.5, p=0.5).confidence_interval(0.95)

        assert intervals.median_interval(values) == (interval.low, interval.high)


def test_mcnemars_exact_test(draw):
    """It is the sign test on the rows that differ."""
    for _ in range(200):
        only_a, only_b = draw.randint(0, 300), draw.randint(1, 300)
        p = stats.binomtest(only_a, only_a + only_b).pvalue

        assert tests.mcnemar(only_a, only_b) == pytest.approx(p)


def test_sign_flips(draw):
    """All patterns of signs, with ties and zeros among the differences."""
    for n in range(2, 13):
        values = [draw.choice([draw.gauss(0.5, 1), draw.randint(-1, 1)]) for _ in range(n)]
        p = stats.permutation_test(
            (values,),
            lambda flipped: sum(flipped) / len(flipped),
            permutation_type="samples",
            n_resamples=math.inf,
            vectorized=False,
        ).pvalue

        assert tests.sign_flip(values, seed=0).p == pytest.approx(p)


def test_bootstrap(draw):
    """Percentiles of other draws: both vary by a few percent of the width."""
    values = [draw.expovariate(1) for _ in range(80)]
    expected = stats.bootstrap(
        (values,),
        lambda sample, axis: sample.mean(axis=axis),
        n_resamples=9_999,
        method="percentile",
        rng=7,
    )
    interval = expected.confidence_interval
    found = resampling.bootstrap(intervals.mean_of, values, seed=0)

    assert found is not None
    near = 0.06 * (interval.high - interval.low)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=near)
    assert found.stderr == pytest.approx(expected.standard_error, rel=0.06)


def test_rows_of_a_group(draw):
    """For groups of one size the clustered standard error is the plain one of their means."""
    groups = [number // 4 for number in range(80)]
    values = [draw.gauss(group % 5, 1) for group in groups]
    means = [sum(values[at : at + 4]) / 4 for at in range(0, 80, 4)]

    assert clusters.clustered(values, groups).stderr == pytest.approx(stats.sem(means))


def test_two_samples_of_different_rows(draw):
    """Fisher's exact test, Student's, and Welch's where each row is a group."""
    for _ in range(100):
        n, m = draw.randint(2, 200), draw.randint(2, 200)
        xs = [float(draw.random() < 0.7) for _ in range(n)]
        ys = [float(draw.random() < 0.5) for _ in range(m)]
        table = [[sum(xs), n - sum(xs)], [sum(ys), m - sum(ys)]]

        exact = tests.unpaired(xs, ys, seed=0).p
        assert exact == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)

        xs, ys = (
            [draw.gauss(0, 1) for _ in range(n + 60)],
            [draw.gauss(0, 2) for _ in range(m + 60)],
        )
        assert tests.unpaired(xs, ys, seed=0).p == pytest.approx(stats.ttest_ind(xs, ys).pvalue)
        welch = tests.unpaired(xs, ys, (range(n + 60), range(m + 60)), seed=0).p
        assert welch == pytest.approx(stats.ttest_ind(xs, ys, equal_var=False).pvalue)
