"""What attempts show, with numbers alone."""

from __future__ import annotations

import pytest

from doteval.concurrency.evidence import Attempts, Evidence, Scale


def evidence(count: int, level: float, seconds: float, span: float = 1.0) -> Evidence:
    made = Evidence()
    for _ in range(count):
        made.add(level, seconds)
    made.span = span
    return made


def test_windows_of_one_level_that_differ_teach_the_shared_noise():
    """A speed that doubles and halves: more attempts do not make the level better known."""
    calm, noisy = Scale(), Scale()
    for _ in range(50):
        calm.compare(evidence(100, 8, 1.0), evidence(100, 8, 1.0))
        noisy.compare(evidence(100, 8, 1.0), evidence(100, 8, 2.0))
    many, more = evidence(1000, 8, 1.0), evidence(100_000, 8, 1.0)

    assert calm.shared == 0.0
    assert noisy.shared > 0.1
    assert noisy.error(more, more) > 0.9 * noisy.error(many, many) > 3 * calm.error(many, many)


def test_seconds_of_evidence_make_a_noisy_level_known():
    """Four times the time, half the error."""
    scale = Scale()
    for _ in range(50):
        scale.compare(evidence(10_000, 8, 1.0), evidence(10_000, 8, 2.0))
    short, long = evidence(10_000, 8, 1.0, 10), evidence(40_000, 8, 1.0, 40)

    assert scale.error(long, long) == pytest.approx(scale.error(short, short) / 2, rel=0.01)


def test_refused_attempts_are_not_in_flight():
    """Who began beside one that was refused had one less in flight than it seemed."""
    attempts = Attempts()
    _, refused, beside = (attempts.begin(0.0) for _ in range(3))
    attempts.refused(attempts.end(refused, 0.1))

    assert attempts.end(beside, 1.0).in_flight == 2


def test_its_state_can_be_read():
    """Without evidence, and with some."""
    assert repr(Evidence()) == "Evidence()"
    assert repr(evidence(10, 4, 2.0)) == "Evidence(10 at 4, 2 s)"
    scale = Scale()
    assert repr(scale) == "Scale(spread 0.4, idle unknown)"
    scale.see_idle(evidence(1600, 4, 2.0))
    assert repr(scale) == "Scale(spread 0.4, idle 2.04 s)"
    assert repr(Attempts()) == "Attempts(0 begun, 0 running, epoch 0)"
