"""When nothing succeeds, with numbers alone."""

from __future__ import annotations

from doteval.concurrency.outage import Outage


def test_a_whole_window_of_failures_is_one():
    """At a limit of 8 the eighth failure without a success."""
    outage = Outage()

    assert [outage.failed(8) for _ in range(8)] == [False] * 7 + [True]
    assert outage.pauses


def test_attempts_become_rarer_and_the_level_comes_back_in_two_steps():
    """1, 1.5, 2.25 s … at most 5 apart; then half of the level, then all of it."""
    outage = Outage()
    outage.begin(20)
    gaps = []
    for _ in range(6):
        gaps.append(outage.gap)
        outage.failed(1)

    assert gaps[:3] == [1.0, 1.5, 2.25]
    assert gaps[-1] == 5.0
    assert "active, then back to 20" in repr(outage)
    outage.succeeded()
    assert outage.recover(1, lowest=1) == 10
    assert outage.active
    assert outage.recover(10, lowest=1) == 20
    assert not outage.active
    assert repr(outage) == "Outage(none, 0 failures in a row)"
