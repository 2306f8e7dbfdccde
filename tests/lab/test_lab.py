"""
The controller is no worse than it was: a regression check on the lab's endpoints.

Each bar lies below what the documentation's table shows, by about what three other seeds change.
`python -m tests.lab` prints the whole table, with every fixed window tried.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import pytest

from .measure import Oracle, Result, adaptive, measure, simulate
from .scenarios import SCENARIOS, TOP8, Scenario, flat, workers
from .world import Fixed

pytestmark = pytest.mark.long

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Bar:
    """What the median of the seeds must reach, next to the best of these fixed windows."""

    windows: tuple[int, ...] = ()
    whole: float = 0.0
    steady: float = 0.0
    refused: float = 0.0
    slowdown: float = 1.02
    fairness: float = 0.99


BARS = {
    "tutorial, 16 rows": Bar((8,), 0.55),
    "8 rows": Bar((8,), 0.36),
    "40 rows, heavy tail": Bar((24, 34), 0.50),
    "40 rows, cap 4": Bar((4,), 0.85, refused=0.09),
    "60 rows of 20 s": Bar((60,), 0.22),
    "no limit, top 8": Bar((8,), 0.97, 0.98),
    "no limit, top 64": Bar((64,), 0.92, 0.97),
    "no limit, 50 ms": Bar((64,), 0.96, 0.97),
    "1 worker": Bar((1, 2), 0.98, 0.98, slowdown=8.0),
    "5 workers, top 8": Bar((5, 6), 0.95, 0.95, slowdown=1.3),
    "12 workers": Bar((12, 13), 0.94, 0.96, slowdown=1.3),
    "12 workers, 50 ms": Bar((12, 13), 0.94, 0.96, slowdown=1.3),
    "12 workers, 20 s": Bar((12, 13), 0.93, 0.94, slowdown=1.35),
    "12 workers, interval 30 s": Bar((12, 13), 0.93, 0.94, slowdown=1.9),
    "12 workers, interval 0.05 s": Bar((12, 13), 0.93, 0.94, slowdown=1.35),
    "30 workers, default settings": Bar((30, 33), 0.96, 0.97, slowdown=1.3),
    "8 workers, heavy tail": Bar((8, 9), 0.85, 0.85, slowdown=1.4),
    "20 workers, heavier tail": Bar((21, 24), 0.78, 0.80, slowdown=1.5),
    "12 workers, half cached": Bar((12, 13), 0.74, 0.75, slowdown=1.5),
    "12 workers, 90 % cached": Bar((12, 13), 0.78, 0.78, slowdown=1.6),
    "12 workers, sorted rows": Bar((12, 13), 0.95, 0.95, slowdown=1.3),
    "batch, memory 40": Bar((38, 40), 0.80, 0.88, slowdown=1.9),
    "batch, memory 15": Bar((15,), 0.80, 0.85, slowdown=1.8),
    "batch, memory 40, sorted rows": Bar((38, 40), 0.90, 0.93, slowdown=1.9),
    "batch, heavy tail": Bar((30,), 0.75, 0.78, slowdown=1.8),
    "cap 10": Bar((10, 11), 0.96, 0.97, refused=0.02),
    "cap 10, hint always 30 s": Bar((10,), 0.80, 0.88, refused=0.01),
    "cap 10, heavy tail": Bar((10, 11), 0.88, 0.90, refused=0.02),
    "cap 20, 6, 20": Bar((6, 21), 0.88, 0.82, refused=0.03),
    "cap 10, hidden retries": Bar((10, 12, 17), 0.80, 0.82, refused=0.08),
    "120 a minute": Bar((), 0.96, 0.97, refused=0.05),
    "300 a minute, large burst": Bar((), 0.97, 0.97, refused=0.04),
    "10 a minute": Bar((), 0.80, 0.80, refused=0.10),
    "600 a minute, no hint": Bar((), 0.95, 0.96, refused=0.05),
    "120 a minute, refusals charged": Bar((), 0.90, 0.93, refused=0.06),
    "300 a minute, hint always 20 s": Bar((), 0.74, 0.82, refused=0.02),
    "300 a minute, heavy tail": Bar((), 0.86, 0.93, refused=0.03),
    "tokens a minute": Bar((), 0.82, 0.86, refused=0.10),
    "120, 360, 120 a minute": Bar((), 0.78, 0.93, refused=0.05),
    "60 in each minute": Bar((), 0.96, 0.95, refused=0.06),
    "50 in each 10 s": Bar((), 0.94, 0.93, refused=0.04),
    "workers 16, 8, 16": Bar((8, 17), 0.91, 0.89, slowdown=1.4),
    "workers 4, 40": Bar((4, 43), 0.80, 0.94, slowdown=1.3),
    "cold start": Bar((12,), 0.93, 0.93, slowdown=5.5),
    "outage of 30 s": Bar((10, 11), 0.93, 0.95, slowdown=1.4),
    "hangs for 30 s": Bar((10, 11), 0.89, 0.90, slowdown=1.4),
    "3 % errors": Bar((10, 12), 0.94, 0.95, slowdown=1.4),
    "20 % errors": Bar((10, 13), 0.93, 0.94, slowdown=1.5),
    "3 % hang for 30 s": Bar((26, 48), 0.78, 0.74, slowdown=1.5),
    "start 60, 12 workers": Bar((12, 13), 0.95, 0.95, slowdown=1.8),
    "start 60, cap 6": Bar((6,), 0.95, 0.96, refused=0.15),
    "start 80, batch, memory 20": Bar((19, 20), 0.38, 0.6, slowdown=2.0),
    "start 100, timeouts of 10 s": Bar((6, 7), 0.80, 0.92, slowdown=1.8),
    "start 64, no limit": Bar((64,), 0.95, 0.97),
    "two clients, 12 workers": Bar((12, 13), 0.96, 0.97, slowdown=3.6, fairness=0.90),
    "three clients, 20 workers": Bar((21,), 0.96, 0.97, slowdown=8.0, fairness=0.75),
    "two clients, cap 10": Bar((10, 11), 0.95, 0.95, refused=0.04, fairness=0.45),
    "min = max = 6": Bar((6,), 1.0, 1.0),
    "1 % refused": Bar((64,), 0.93, 0.97, refused=0.02),
    "3 % refused": Bar((64,), 0.92, 0.95, refused=0.04),
    "5 % refused": Bar((64,), 0.92, 0.95, refused=0.06),
    "10 % refused": Bar((64,), 0.50, 0.50, refused=0.12),
    "2 % refused, hint 1 s": Bar((64,), 0.92, 0.95, refused=0.03),
    "4 % refused, hint 5 s": Bar((64,), 0.90, 0.95, refused=0.05),
    "3 % refused, 10 workers": Bar((10, 12), 0.92, 0.95, refused=0.04, slowdown=1.3),
    "5 % refused, 10 workers": Bar((10, 12), 0.92, 0.95, refused=0.07, slowdown=1.3),
    "4 % refused from the middle": Bar((64,), 0.92, 0.95, refused=0.03),
    "3 % refused, cap 10": Bar((10, 11), 0.90, 0.90, refused=0.07),
    "3 % refused, 300 a minute": Bar((), 0.85, 0.85, refused=0.08),
    "3 % refused, cap 20, 6, 20": Bar((6, 20), 0.80, 0.75, refused=0.08),
    "3 % refused, batch, memory 40": Bar((38, 40), 0.77, 0.87, refused=0.04, slowdown=1.95),
    "6 workers, jumps by half": Bar((6, 8), 0.80, 0.90, slowdown=2.5),
    "12 workers, slow jumps": Bar((12, 14), 0.85, 0.85, slowdown=2.5),
    "no limit, jumps by half": Bar((64,), 0.60, 0.60),
    "12 workers, jumps, 3 % refused": Bar((12, 14), 0.75, 0.80, refused=0.04, slowdown=2.5),
    "300 a minute, jumps": Bar((), 0.95, 0.96, refused=0.05, slowdown=1.2),
    "llama, start 5": Bar((2,), 0.90, 0.95, slowdown=2.5),
    "llama, start 2": Bar((2,), 0.90, 0.95, slowdown=2.5),
    "llama, 120 rows, start 5": Bar((2,), 0.88, slowdown=4.0),
    "llama, 120 rows, start 2": Bar((2,), 0.88, slowdown=4.0),
    "16 rows, defaults": Bar((16,), 0.35),
    "100 rows, defaults": Bar((100,), 0.28),
    "1,000 rows, defaults": Bar((100,), 0.75),
    "start 24, 3 workers": Bar((3,), 0.95, 0.95, slowdown=1.85),
    "3 workers, defaults": Bar((3,), 0.95, 0.95, slowdown=2.0),
}
# What the second edition has not reached, or has given up for standing noise: a test of refusals
# costs one refusal more at each alarm, and a start-up that doubts repeats a round.
MISSED = {
    "40 rows, heavy tail": "whole 0.49: a doubtful round is repeated",
    "40 rows, cap 4": "refused 0.11: each alarm takes two refusals",
    "120 a minute, refusals charged": "refused 0.08: each alarm takes two refusals",
    "300 a minute, heavy tail": "refused 0.05: each alarm takes two refusals",
    "tokens a minute": "refused 0.11: each alarm takes two refusals",
    "120, 360, 120 a minute": "refused 0.06: each alarm takes two refusals",
    "llama, 120 rows, start 2": "whole 0.79: cold calls are not told from a queue soon enough",
}
NAMED = {scenario.name: scenario for scenario in SCENARIOS}


def runs(scenario: Scenario, bar: Bar) -> list[Result]:
    """One run per seed."""
    return [
        measure(scenario, adaptive(scenario), seed, Oracle(scenario, seed, bar.windows))
        for seed in SEEDS
    ]


def marked(name: str) -> object:
    """The name, or the name with why its bar is missed."""
    if name not in MISSED:
        return name
    return pytest.param(name, marks=pytest.mark.xfail(reason=MISSED[name], strict=True))


@pytest.mark.parametrize("name", [marked(name) for name in BARS])
def test_the_controller_reaches_its_bar(name):
    """Goodput, refusals, latency and fairness, on endpoints of every kind."""
    bar = BARS[name]
    results = runs(NAMED[name], bar)

    def middle(figure: str) -> float:
        return statistics.median(getattr(result, figure) for result in results)

    assert middle("whole") >= bar.whole
    assert middle("steady") >= bar.steady
    assert middle("refused") <= bar.refused
    assert middle("slowdown") <= bar.slowdown
    assert middle("fairness") >= bar.fairness


def test_a_run_depends_on_its_seed_alone():
    """The same seed gives the same run, to the last digit."""
    scenario = NAMED["two clients, 12 workers"]

    one, other = (simulate(scenario, adaptive(scenario), seed=5) for _ in range(2))
    assert [log.successes for log in one.logs] == [log.successes for log in other.logs]


def test_the_lab_knows_what_it_simulates():
    """Twelve workers of one second each give twelve a second, to as many or more in flight."""
    scenario = Scenario("twelve", workers(12), flat(1.0, 0.0), 100, settings=TOP8)

    few = simulate(scenario, lambda: Fixed(8), seed=0).logs[0].successes
    many = simulate(scenario, lambda: Fixed(30), seed=0).logs[0].successes
    assert len(few) == pytest.approx(800, abs=10)
    assert len(many) == pytest.approx(1200, abs=15)
    waits = [latency for _, _, latency in many[600:]]
    assert statistics.mean(waits) == pytest.approx(30 / 12, rel=0.02)
