"""The situations that the controller is measured in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .endpoints import (
    Bucket,
    Cap,
    Clock,
    Device,
    Flaky,
    Hanging,
    Hidden,
    Outage,
    Patience,
    Refusing,
    Slots,
    Workers,
    jumping,
    steps,
)
from .world import Endpoint

# The settings of the tutorial's example; a scenario overrides what it needs.
SETTINGS: dict[str, Any] = {
    "initial_concurrency": 2,
    "min_concurrency": 1,
    "max_concurrency": 64,
    "adaptation_interval": 1.0,
    "increase_threshold": 0.90,
    "decrease_threshold": 0.70,
    "error_backoff_factor": 0.7,
}

Draw = Callable[[random.Random, int], float]


def flat(mean: float, spread: float = 0.5) -> Draw:
    """Sizes uniform within ±spread of the mean."""
    return lambda rng, row: mean * rng.uniform(1 - spread, 1 + spread)


def heavy(mean: float, sigma: float = 1.0) -> Draw:
    """Lognormal sizes of that mean: many short answers, a few very long ones."""
    return lambda rng, row: mean * rng.lognormvariate(-(sigma**2) / 2, sigma)


def cached(slow: float, share: float) -> Draw:
    """A share of the answers comes from a cache, in 50 ms."""
    return lambda rng, row: 0.05 if rng.random() < share else slow * rng.uniform(0.5, 1.5)


def rising(mean: float, growth: float) -> Draw:
    """A dataset in order of size: each row takes `growth` more of the mean than the last."""
    return lambda rng, row: mean * rng.uniform(0.5, 1.5) * (1 + growth * row)


@dataclass(frozen=True)
class Scenario:
    """
    One situation.

    Attributes:
        endpoint: makes a fresh one from a seed.
        sizes: draws how long a row takes alone on the endpoint, seconds.
        rows: how many; None: the horizon ends the run.
        horizon: seconds.
        settings: of the controller, over SETTINGS.
        starts: when each client comes, seconds; all share the endpoint.
        bound: successes that any client can get until a moment, where a rate limit says so.
        edges: moments at which the best window may change.
    """

    name: str
    endpoint: Callable[[int], Endpoint]
    sizes: Draw
    horizon: float = 300.0
    rows: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    starts: tuple[float, ...] = (0.0,)
    bound: Callable[[float], float] | None = None
    edges: tuple[float, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        return {**SETTINGS, **self.settings}


def workers(count: float) -> Callable[[int], Endpoint]:
    return lambda seed: Workers(count)


def refills(rate: float, burst: float) -> Callable[[float], float]:
    return lambda moment: burst + rate * moment


FREE = math.inf
TOP8 = {"max_concurrency": 8}
TOP100 = {"max_concurrency": 100}
DEFAULTS = {
    "initial_concurrency": 5,
    "max_concurrency": 100,
    "adaptation_interval": 2.0,
    "increase_threshold": 0.98,
    "decrease_threshold": 0.90,
}

SCENARIOS = [
    # short runs
    Scenario("tutorial, 16 rows", workers(FREE), flat(0.4, 0.25), 30, 16, TOP8),
    Scenario("8 rows", workers(FREE), flat(0.4, 0.25), 30, 8, TOP8),
    Scenario("40 rows, heavy tail", workers(FREE), heavy(1, 0.8), 90, 40),
    Scenario("40 rows, cap 4", lambda s: Cap(Workers(FREE), 4), flat(1), 90, 40),
    Scenario("60 rows of 20 s", workers(FREE), flat(20), 900, 60),
    # no limit
    Scenario("no limit, top 8", workers(FREE), flat(0.4, 0.25), 60, settings=TOP8),
    Scenario("no limit, top 64", workers(FREE), flat(2), 180),
    Scenario("no limit, 50 ms", workers(FREE), flat(0.05), 30),
    # a queue
    Scenario("1 worker", workers(1), flat(1), 240),
    Scenario("5 workers, top 8", workers(5), flat(0.5), 120, settings=TOP8),
    Scenario("12 workers", workers(12), flat(1), 240),
    Scenario("12 workers, 50 ms", workers(12), flat(0.05), 30),
    Scenario("12 workers, 20 s", workers(12), flat(20), 3000),
    Scenario(
        "12 workers, interval 30 s",
        workers(12),
        flat(0.5),
        300,
        settings={"adaptation_interval": 30.0},
    ),
    Scenario(
        "12 workers, interval 0.05 s",
        workers(12),
        flat(2),
        300,
        settings={"adaptation_interval": 0.05},
    ),
    Scenario("30 workers, default settings", workers(30), flat(1), 300, settings=DEFAULTS),
    Scenario("8 workers, heavy tail", workers(8), heavy(2), 600),
    Scenario("20 workers, heavier tail", workers(20), heavy(4, 1.2), 900, settings=TOP100),
    Scenario("12 workers, half cached", workers(12), cached(2, 0.5), 400),
    Scenario("12 workers, 90 % cached", workers(12), cached(2, 0.9), 400),
    Scenario("12 workers, sorted rows", workers(12), rising(0.3, 0.003), 300),
    # one shared accelerator
    Scenario(
        "batch, memory 40", lambda s: Device(0.02, 40, 1.5), heavy(3, 0.4), 600, settings=TOP100
    ),
    Scenario("batch, memory 15", lambda s: Device(0.05, 15, 2.0), flat(2), 600, settings=TOP100),
    Scenario(
        "batch, no collapse", lambda s: Device(0.03, 30, 0.0), heavy(2, 0.5), 600, settings=TOP100
    ),
    Scenario(
        "batch, memory 40, sorted rows",
        lambda s: Device(0.02, 40, 1.5),
        rising(1, 0.001),
        600,
        settings=TOP100,
    ),
    Scenario(
        "batch, heavy tail", lambda s: Device(0.02, 30, 1.0), heavy(4, 0.9), 900, settings=TOP100
    ),
    # limits on concurrency
    Scenario("cap 10", lambda s: Cap(Workers(FREE), 10), flat(1), 240),
    Scenario("cap 10, hint always 30 s", lambda s: Cap(Workers(FREE), 10, hint=30.0), flat(2), 900),
    Scenario("cap 10, heavy tail", lambda s: Cap(Workers(FREE), 10), heavy(2), 400),
    Scenario(
        "cap 20, 6, 20",
        lambda s: Cap(Workers(FREE), steps((0, 20), (150, 6), (300, 20))),
        flat(1),
        450,
        edges=(150, 300),
    ),
    Scenario(
        "cap 10, hidden retries", lambda s: Hidden(Cap(Workers(FREE), 10), 2, s), flat(1), 300
    ),
    # limits on the rate
    Scenario(
        "120 a minute", lambda s: Bucket(Workers(FREE), 2, 5), flat(1.5), 300, bound=refills(2, 5)
    ),
    Scenario(
        "300 a minute, large burst",
        lambda s: Bucket(Workers(FREE), 5, 300),
        flat(1),
        600,
        bound=refills(5, 300),
    ),
    Scenario(
        "10 a minute",
        lambda s: Bucket(Workers(FREE), 1 / 6, 1),
        flat(1),
        900,
        bound=refills(1 / 6, 1),
    ),
    Scenario(
        "600 a minute, no hint",
        lambda s: Bucket(Workers(FREE), 10, 10, hint=None),
        flat(1.5),
        300,
        bound=refills(10, 10),
    ),
    Scenario(
        "120 a minute, refusals charged",
        lambda s: Bucket(Workers(FREE), 2, 5, charged=True),
        flat(1.5),
        300,
        bound=refills(2, 5),
    ),
    Scenario(
        "300 a minute, hint always 20 s",
        lambda s: Bucket(Workers(FREE), 5, 30, hint=20.0),
        flat(1.5),
        600,
        bound=refills(5, 30),
    ),
    Scenario(
        "300 a minute, heavy tail",
        lambda s: Bucket(Workers(FREE), 5, 20),
        heavy(4),
        600,
        settings=TOP100,
        bound=refills(5, 20),
    ),
    Scenario(
        "tokens a minute",
        lambda s: Bucket(Workers(FREE), 1.5, 12, cost=lambda size: size),
        flat(1.5, 0.8),
        300,
        bound=lambda t: (12 + 1.5 * t) / 1.5,
    ),
    Scenario(
        "120, 360, 120 a minute",
        lambda s: Bucket(Workers(FREE), 2, 5, scale=steps((0, 1), (200, 3), (400, 1))),
        flat(1.5),
        600,
        bound=lambda t: 5 + 2 * t + 4 * min(max(0.0, t - 200), 200),
    ),
    Scenario(
        "120 a minute, hidden retries",
        lambda s: Hidden(Bucket(Workers(FREE), 2, 5), 2, s),
        flat(1.5),
        300,
        bound=refills(2, 5),
    ),
    Scenario(
        "60 in each minute",
        lambda s: Clock(Workers(FREE), 60, 60),
        flat(1),
        600,
        bound=refills(1, 0),
    ),
    Scenario(
        "50 in each 10 s", lambda s: Clock(Workers(FREE), 50, 10), flat(1), 300, bound=refills(5, 0)
    ),
    # change
    Scenario(
        "workers 16, 8, 16",
        lambda s: Workers(steps((0, 16), (200, 8), (400, 16)), changes=(400,)),
        flat(1),
        600,
        edges=(200, 400),
    ),
    Scenario(
        "workers 4, 40",
        lambda s: Workers(steps((0, 4), (100, 40)), changes=(100,)),
        flat(1),
        300,
        edges=(100,),
    ),
    Scenario(
        "cold start",
        lambda s: Workers(12, slowness=lambda t: 1 + 4 * max(0.0, 1 - t / 60)),
        flat(1),
        300,
    ),
    # errors
    Scenario(
        "outage of 30 s", lambda s: Outage(Workers(10), 120, 150), flat(1), 300, edges=(120, 150)
    ),
    Scenario(
        "hangs for 30 s",
        lambda s: Outage(Workers(10), 120, 150, True),
        flat(1),
        300,
        edges=(120, 150),
    ),
    Scenario("3 % errors", lambda s: Flaky(Workers(10), 0.03, s), flat(1), 240),
    Scenario("20 % errors", lambda s: Flaky(Workers(10), 0.2, s), flat(1), 240),
    Scenario("3 % hang for 30 s", lambda s: Hanging(Workers(12), 0.03, 30, s), flat(1), 300),
    # a start far too high
    Scenario(
        "start 60, 12 workers", workers(12), flat(1), 300, settings={"initial_concurrency": 60}
    ),
    Scenario(
        "start 60, cap 6",
        lambda s: Cap(Workers(FREE), 6),
        flat(1),
        200,
        settings={"initial_concurrency": 60},
    ),
    Scenario(
        "start 80, batch, memory 20",
        lambda s: Device(0.03, 20, 1.5),
        flat(2),
        600,
        settings={"initial_concurrency": 80, "max_concurrency": 100},
    ),
    Scenario(
        "start 100, timeouts of 10 s",
        lambda s: Patience(Workers(6), 10),
        flat(1),
        300,
        settings={"initial_concurrency": 100, "max_concurrency": 100},
    ),
    Scenario(
        "start 64, no limit", workers(FREE), flat(1), 60, settings={"initial_concurrency": 64}
    ),
    # others
    Scenario(
        "two clients, 12 workers",
        workers(12),
        flat(1),
        400,
        settings={"max_concurrency": 32},
        starts=(0, 60),
    ),
    Scenario("three clients, 20 workers", workers(20), heavy(1, 0.5), 400, starts=(0, 30, 60)),
    Scenario("two clients, cap 10", lambda s: Cap(Workers(FREE), 10), flat(1), 400, starts=(0, 60)),
    Scenario(
        "min = max = 6",
        workers(12),
        flat(1),
        60,
        settings={"initial_concurrency": 6, "min_concurrency": 6, "max_concurrency": 6},
    ),
    # refusals at random: they come as often at low levels as at high ones
    Scenario("1 % refused", lambda s: Refusing(Workers(FREE), 0.01, s), flat(1), 240),
    Scenario("3 % refused", lambda s: Refusing(Workers(FREE), 0.03, s), flat(1), 240),
    Scenario("5 % refused", lambda s: Refusing(Workers(FREE), 0.05, s), flat(1), 240),
    Scenario("10 % refused", lambda s: Refusing(Workers(FREE), 0.1, s), flat(1), 240),
    Scenario(
        "2 % refused, hint 1 s", lambda s: Refusing(Workers(FREE), 0.02, s, 1.0), flat(1), 240
    ),
    Scenario(
        "4 % refused, hint 5 s", lambda s: Refusing(Workers(FREE), 0.04, s, 5.0), flat(1), 240
    ),
    Scenario("3 % refused, 10 workers", lambda s: Refusing(Workers(10), 0.03, s), flat(1), 240),
    Scenario(
        "5 % refused, 10 workers", lambda s: Refusing(Workers(10), 0.05, s, 2.0), flat(1), 240
    ),
    Scenario(
        "4 % refused from the middle",
        lambda s: Refusing(Workers(FREE), steps((0, 0.0), (120, 0.04)), s),
        flat(1),
        240,
        edges=(120,),
    ),
    Scenario(
        "3 % refused, cap 10", lambda s: Refusing(Cap(Workers(FREE), 10), 0.03, s), flat(1), 240
    ),
    Scenario(
        "3 % refused, 300 a minute",
        lambda s: Refusing(Bucket(Workers(FREE), 5, 5), 0.03, s),
        flat(1),
        300,
        bound=refills(5, 5),
    ),
    Scenario(
        "3 % refused, cap 20, 6, 20",
        lambda s: Refusing(
            Cap(Workers(FREE), steps((0, 20), (150, 6), (300, 20)), hint=2.0), 0.03, s, 2.0
        ),
        flat(1),
        450,
        edges=(150, 300),
    ),
    Scenario(
        "3 % refused, batch, memory 40",
        lambda s: Refusing(Device(0.02, 40, 1.5), 0.03, s),
        heavy(3, 0.4),
        600,
        settings=TOP100,
    ),
    # a speed that jumps
    Scenario("6 workers, jumps by half", lambda s: Workers(6, jumping(s, 0.5)), flat(0.5), 180),
    Scenario("12 workers, slow jumps", lambda s: Workers(12, jumping(s, 0.35, 6.0)), flat(1), 300),
    Scenario("no limit, jumps by half", lambda s: Workers(FREE, jumping(s, 0.5)), flat(1), 180),
    Scenario(
        "12 workers, jumps, 3 % refused",
        lambda s: Refusing(Workers(12, jumping(s, 0.35)), 0.03, s, 1.0),
        flat(1),
        300,
    ),
    Scenario(
        "300 a minute, jumps",
        lambda s: Bucket(Workers(FREE, jumping(s, 0.4)), 5, 20),
        flat(1),
        300,
        bound=refills(5, 20),
    ),
    # small servers, and what caution costs
    Scenario(
        "llama, start 5",
        lambda s: Slots(),
        flat(0.074, 0.4),
        60,
        settings={"initial_concurrency": 5},
    ),
    Scenario("llama, start 2", lambda s: Slots(), flat(0.074, 0.4), 60),
    Scenario(
        "llama, 120 rows, start 5",
        lambda s: Slots(),
        flat(0.074, 0.4),
        60,
        120,
        settings={"initial_concurrency": 5},
    ),
    Scenario("llama, 120 rows, start 2", lambda s: Slots(), flat(0.074, 0.4), 60, 120),
    Scenario("16 rows, defaults", workers(FREE), flat(1), 60, 16, DEFAULTS),
    Scenario("100 rows, defaults", workers(FREE), flat(1), 60, 100, DEFAULTS),
    Scenario("1,000 rows, defaults", workers(FREE), flat(1), 200, 1000, DEFAULTS),
    Scenario("start 24, 3 workers", workers(3), flat(1), 300, settings={"initial_concurrency": 24}),
    Scenario("3 workers, defaults", workers(3), flat(1), 300, settings=DEFAULTS),
]
