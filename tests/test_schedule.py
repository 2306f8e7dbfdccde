"""What starts when is decided with numbers alone: no event loop, no clock, no function."""

from __future__ import annotations

import math

import pytest

from doteval.concurrency.evidence import Outcome
from doteval.concurrency.gates import Batches, Gate, Window
from doteval.concurrency.pace import RateLimit
from doteval.concurrency.reading import Reading
from doteval.concurrency.retry import Retry
from doteval.concurrency.row import Row
from doteval.concurrency.schedule import Schedule

TROUBLE = Reading(Outcome.TROUBLE, None)
REFUSED = Reading(Outcome.CONGESTION, None)
WRONG = Reading(Outcome.IGNORED, None)


def schedule(gate=None, **options):
    options = {"policy": Retry(first=8.0), "random": lambda: 1.0, **options}
    return Schedule(gate or Window(2), 0.0, **options)


def started(plan, now=0.0):
    row = Row(print, True)
    plan.start(row, now)
    return row


def fails(plan, row, now, reading=TROUBLE):
    row.ended, row.error = now, ConnectionError()
    return plan.failed(row, reading, now)


def succeeds(plan, row, now):
    row.ended = now
    plan.succeeded(row)


def test_new_rows_are_fetched_while_there_is_room():
    plan = schedule()

    assert plan.fill(0.0) == 2
    started(plan)
    assert plan.fill(0.0) == 1
    started(plan)
    assert plan.fill(0.0) == math.inf  # until one has ended


def test_a_failed_row_frees_its_slot_and_comes_back_before_new_ones():
    plan = schedule(Gate())
    row = started(plan)

    assert fails(plan, row, 1.0)
    assert plan.in_flight == 0
    assert plan.fill(1.0) == 9.0  # one waits, and no more wait than may be in flight
    assert plan.fill(9.0) is row
    assert row.waited == 8.0


def test_rows_that_are_due_come_in_the_order_in_which_they_are():
    plan = schedule(Window(3), random=iter([1.0, 0.25, 0.5]).__next__)
    rows = [started(plan) for _ in range(3)]
    for row in rows:
        assert fails(plan, row, 1.0)

    assert [plan.fill(20.0) for _ in rows] == [rows[1], rows[2], rows[0]]


def test_the_latest_opening_says_when_to_come_back():
    plan = schedule(openings=(lambda now: 3.0, lambda now: 7.0))

    assert plan.fill(0.0) == 7.0
    assert plan.fill(7.0) == 2


def test_a_rate_limit_counts_every_start():
    pace = RateLimit(1, per=10, burst=1)
    plan = schedule(pace=pace)

    started(plan)

    assert plan.fill(0.0) == pytest.approx(10.0)


def test_a_retry_after_holds_back_everybody_where_it_binds():
    """A window can not tell congestion from chance, so it always does."""
    plan = schedule()
    refused = started(plan)

    assert fails(plan, refused, 1.0, Reading(Outcome.CONGESTION, 30.0))
    assert plan.fill(1.0) == 31.0
    assert plan.fill(31.0) is refused


def test_a_batch_opens_when_the_group_before_has_ended():
    plan = schedule(Batches(2))
    first, second = started(plan), started(plan)

    succeeds(plan, first, 1.0)
    assert plan.fill(1.0) == math.inf
    succeeds(plan, second, 2.0)
    assert plan.fill(2.0) == 2


def test_what_is_no_fault_of_the_endpoint_is_finished():
    plan = schedule()
    row = started(plan)

    assert not fails(plan, row, 1.0, WRONG)
    assert (plan.completed, plan.failures) == (1, 1)


def test_attempts_are_used_up():
    plan = schedule(policy=Retry(attempts=2, first=1.0))
    row = started(plan)

    assert fails(plan, row, 1.0)
    assert plan.fill(2.0) is row
    plan.start(row, 2.0)
    assert not fails(plan, row, 3.0)
    assert row.attempts == 2


def test_congestion_uses_up_none():
    plan = schedule(policy=Retry(attempts=2, first=1.0))
    row = started(plan)

    for now in range(1, 100):
        assert fails(plan, row, float(now), REFUSED)
        plan.start(row, float(now))


def test_what_waits_has_failed_when_patience_is_over():
    plan = schedule(policy=Retry(attempts=9, patience=60.0))
    first, second = started(plan), started(plan)

    assert fails(plan, first, 10.0)
    assert fails(plan, second, 90.0)  # it began before: the process may have stood still since
    again = plan.fill(200.0)
    assert again is first
    plan.start(again, 200.0)
    assert not fails(plan, again, 201.0)
    assert plan.stalled
    first = second
    assert plan.stall() == [first]
    assert plan.over
    assert (plan.completed, plan.failures) == (2, 2)


def test_nothing_starts_once_it_was_stopped():
    plan = schedule()
    waits, running = started(plan), started(plan)
    fails(plan, waits, 1.0)

    assert plan.stop() == [waits]
    assert plan.fill(1e9) == math.inf
    assert not plan.over
    succeeds(plan, running, 2.0)
    assert plan.over


def test_an_attempt_that_we_ended_says_nothing():
    plan = schedule()
    plan.dropped(started(plan), 1.0)

    assert (plan.in_flight, plan.completed) == (0, 0)


def test_its_state_can_be_read():
    plan = schedule(Window(3))
    started(plan)
    fails(plan, started(plan), 1.0)
    succeeds(plan, started(plan), 1.0)

    assert repr(plan) == "Schedule(1 in flight of 3, 1 waiting, 1 finished, 0 of them failed)"


def test_what_nobody_has_to_recover_from_is_tried_again_at_once():
    """Such as a connection that the endpoint had closed before; as often as there are attempts."""
    plan = schedule(policy=Retry(attempts=2))
    row = started(plan)
    stale = Reading(Outcome.IGNORED, None, again=True)

    assert fails(plan, row, 1.0, stale)
    assert plan.fill(1.0) is row
    plan.start(row, 1.0)
    assert not fails(plan, row, 2.0, stale)


def test_a_fixed_gate_is_always_ready():
    """And so the schedule does not ask it."""
    assert Window(3).ready_at(5.0) == 5.0


def test_a_gate_that_need_not_tell_attempts_apart_gives_them_one_token():
    """It is not even asked, unless it counts."""
    gate = Gate()

    assert gate.started(0.0) == gate.started(1.0) == 0
    assert not gate.counts
