"""The test that tells congestion from refusals at random, with numbers alone."""

from __future__ import annotations

import random

import pytest

from doteval.concurrency.evidence import Attempt
from doteval.concurrency.refusals import ERROR, Refusals


def attempt(token: int, start: float = 0.0, in_flight: int = 5) -> Attempt:
    return Attempt(token, start, in_flight, 0.0, 0)


def refuse(refusals: Refusals, token: int, now: float = 0.1, risked: bool = False) -> bool:
    """An attempt of 0.1 s that is refused."""
    return refusals.refused(attempt(token, now - 0.1), now, risked)


def test_a_refused_follower_is_congestion_where_nothing_is_refused_at_random():
    """The second refusal in a row decides."""
    refusals = Refusals()

    assert not refuse(refusals, 5)
    refusals.started(9, 0.1)
    assert refuse(refusals, 9, 0.2)


def test_a_served_follower_makes_the_refusal_chance():
    """It teaches the share that is refused at random."""
    refusals = Refusals()
    before = refusals.share
    refuse(refusals, 5)
    refusals.started(9, 0.1)
    refusals.served(9, risked=False)

    assert refusals.pending == 0
    assert refusals.share > before


def test_the_attempt_right_behind_is_a_follower_too():
    """Of one volley the next one is refused as well."""
    refusals = Refusals()

    assert not refuse(refusals, 5)
    assert refuse(refusals, 6)


def test_an_attempt_that_outlives_refusals_was_served():
    """Four times what a refusal takes are enough."""
    refusals = Refusals()
    refuse(refusals, 5)
    refusals.started(9, 0.1)

    refuse(refusals, 20, 1.0)
    assert refusals.pending == 1


def test_who_starts_much_later_follows_nobody():
    """The endpoint may have recovered: such a start says nothing."""
    refusals = Refusals()
    refuse(refusals, 5)
    refusals.started(9, 10.0)

    assert not refuse(refusals, 9, 10.1)


def test_what_was_risked_needs_less_proof():
    """Beyond what is known to be served, the first refusal decides."""
    assert refuse(Refusals(), 5, risked=True)


def test_an_odd_alarm_teaches_chance():
    """A single refusal below a known rate is counted as random; another alarm is not."""
    plain, odd = Refusals(), Refusals()
    refuse(plain, 5), refuse(odd, 5)
    plain.confirmed(odd=False), odd.confirmed(odd=True)

    assert odd.share > plain.share


def test_no_credit_where_a_rate_explains_refusals():
    """They are dismissed, and teach nothing."""
    refusals = Refusals()
    refusals.credit = False
    refuse(refusals, 5)
    refusals.started(9, 0.1)
    refusals.served(9, risked=False)

    assert refusals.share < 0.0025


@pytest.mark.parametrize("share", [0.01, 0.03, 0.06])
def test_the_stated_error_holds(share):
    """Of the refusals at random at most 1 in 200 is an alarm, once their share is known."""
    rng, refusals = random.Random(4), Refusals()
    alarms = seen = 0
    for token in range(60_000):
        now = token * 1.0
        refusals.started(token, now)
        if rng.random() < share:
            seen += token > 5_000
            if refusals.refused(attempt(token, now), now + 0.9, False):
                alarms += token > 5_000
                refusals.confirmed(False)
        else:
            refusals.served(token, False)

    assert refusals.share == pytest.approx(share, rel=0.5)
    assert alarms <= 2 * ERROR * seen + 3
