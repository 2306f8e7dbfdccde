"""The rate that is learnt from refusals, with numbers alone."""

from __future__ import annotations

import pytest

from doteval.concurrency.learned_rate import LearnedRate


def test_what_was_accepted_between_two_refusals_is_the_rate():
    """Twenty in ten seconds: two a second, and the pace a little below."""
    rate = LearnedRate()
    rate.refused(20, 10.0, hold=0.0, held=0.0)

    assert rate.rate == pytest.approx(2.0)
    assert rate.pace == pytest.approx(2.0 * 0.97)
    assert rate.gap == pytest.approx(1 / rate.pace)
    assert not rate.beyond


def test_the_pace_returns_to_the_rate_and_passes_it():
    """Flat where the rate is known, then beyond it, until it means nothing."""
    rate = LearnedRate()
    rate.refused(400, 200.0, hold=0.0, held=0.0)
    paces = []
    while rate.pace is not None:
        paces.append(rate.pace)
        rate.accepted()

    assert paces == sorted(paces)
    assert paces[39] == pytest.approx(2.0, rel=0.01)
    assert paces[-1] == pytest.approx(6.0, rel=0.1)
    assert rate.gap == 0.0


def test_its_state_can_be_read():
    """With a rate and without one."""
    rate = LearnedRate()
    assert repr(rate) == "LearnedRate(none)"

    rate.refused(20, 10.0, hold=0.0, held=0.0)
    assert repr(rate) == "LearnedRate(1.94/s, 2/s known by 20)"
