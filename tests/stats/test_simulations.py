"""What docs/explanation/statistics.md claims, borne out by short simulations; seconds each."""

from __future__ import annotations

import math
import os

import pytest

from tests.stats import simulations

pytestmark = pytest.mark.long

EFFORT = int(
    os.environ.get("DOTEVAL_SIMULATE", "3")
)  # 50 takes minutes, as `python -m tests.stats`


def noise_of(share, count):
    """Three standard errors of a share that was counted so often."""
    return 3 * math.sqrt(max(share * (1 - share), 0.005) / count)


def test_means_of_a_known_range_are_covered():
    """At every size, whatever the shape: 0.95, less the noise of so few draws."""
    table = simulations.bounded_means(EFFORT, (2, 5, 10, 30, 100))

    assert min(table.cells()) >= 0.95 - noise_of(0.95, 40 * EFFORT)


def test_gates_on_means_do_not_pass_falsely():
    """From two rows on."""
    table = simulations.false_passes(EFFORT, (2, 5, 10, 20, 50))

    assert max(table.cells()) <= 0.025 + noise_of(0.025, 60 * EFFORT)


def test_students_interval_is_marked_where_it_covers_too_little():
    """Where it holds the mean in less than 88 of 100 cases, most are marked, or have none."""
    held, told = simulations.open_means(EFFORT, (5, 10, 30, 100))

    for (_, covered), (_, marked) in zip(held.rows, told.rows, strict=True):
        for share, said in zip(covered, marked, strict=True):
            assert share is None or share > 0.85 or said > 0.5


def test_gates_on_shares_hold_their_error_near_0_and_1():
    """Computed, not drawn: neither side is wrong in more than 2.5 of 100 cases."""
    assert max(simulations.share_errors((10, 17, 50, 200)).cells()) <= 0.025


def test_clusters_of_unequal_size_are_covered():
    """Also where one of them holds most rows; where it holds nearly all there is no interval."""
    table = simulations.clusters(EFFORT)

    assert min(table.cells()) >= 0.92 - noise_of(0.92, 40 * EFFORT)


def test_no_regression_is_found_where_the_mean_did_not_fall():
    """Although nine rows of ten fell."""
    table = simulations.wrong_regressions(EFFORT, (6, 10, 16))

    assert max(table.cells()) <= 0.025 + noise_of(0.025, 60)


def test_what_could_be_seen_is_seen_four_times_in_five():
    """By the very test."""
    for _, (_, noticed) in simulations.power_of_flips(EFFORT).rows:
        assert noticed == pytest.approx(0.8, abs=0.03 + noise_of(0.8, 200))
    for noticed in simulations.power_of_numbers(EFFORT, (6, 12)).cells():
        assert noticed == pytest.approx(0.8, abs=0.03 + noise_of(0.8, 60))


def test_the_rows_that_would_decide_decide():
    """Four times in five."""
    for decided in simulations.rows_that_decide(EFFORT).cells():
        assert decided == pytest.approx(0.81, abs=0.03 + noise_of(0.8, 200))


def test_looking_at_every_row_is_rarely_wrong():
    """And decides where there is something to decide."""
    (_, (even,)), (_, (rare,)), (_, (apart,)) = simulations.looks(EFFORT, 1500).rows

    assert max(even, rare) <= 0.05 + noise_of(0.05, 20)
    assert apart == 1


def test_looking_at_a_dataset_is_rarely_wrong_about_its_rows():
    """Whatever their share is."""
    for _, (wrong,) in simulations.looks_at_a_dataset(EFFORT, 1000).rows:
        assert wrong <= 0.05 + noise_of(0.05, 20)


def test_a_corrected_judge_is_covered_and_narrower():
    """Than the labels of people alone."""
    for _, (held, width, alone) in simulations.corrected_judges(EFFORT).rows:
        assert held >= 0.93 - noise_of(0.95, 60)
        assert width < 0.85 * alone


def test_what_repeats_buy_is_what_is_said():
    """Within 5 %, and the noise of so few draws."""
    for _, (said, measured) in simulations.half_widths(EFFORT).rows:
        assert said == pytest.approx(measured, rel=0.05 + 3 / math.sqrt(2 * 200))


def test_slices_that_do_not_differ_are_seldom_called_different():
    """Of shares and of skewed numbers: at most 5 of 100 evaluations name one."""
    table = simulations.false_slices(EFFORT)

    assert max(table.cells()) <= 0.05 + noise_of(0.05, 10 * EFFORT)


def test_an_unchanged_model_rarely_flips_more_than_it_does_by_itself():
    """In 5 of 100 comparisons at most."""
    table = simulations.flips_of_nothing(EFFORT, 60)

    assert max(table.cells()) <= 0.05 + noise_of(0.05, 60)


def test_intervals_of_labels_and_forecasts_hold_the_truth():
    """At 100 rows, by resampling."""
    table = simulations.metrics_of_pairs(EFFORT, 40)

    assert min(table.cells()) >= 0.93 - noise_of(0.93, 40)


def test_of_equal_models_hardly_one_is_better():
    """Than any of the others, all pairs together."""
    table = simulations.equal_models(EFFORT, 100)

    assert max(table.cells()) <= 0.05 + noise_of(0.05, 100)
