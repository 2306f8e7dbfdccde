"""Running a scenario, and comparing it with the best fixed window."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from doteval.concurrency.adaptive import AdaptiveGate

from .scenarios import Scenario
from .world import Client, Fixed, Log, Policy, Sizes, World


@dataclass(frozen=True)
class Result:
    """
    How a policy did.

    Attributes:
        whole: successes compared with the best fixed window's, over the whole run; for a run of
            so many rows, the best window's time compared with its time.
        steady: the same over the second half.
        refused: congested attempts / attempts.
        slowdown: median of latency / latency on an idle endpoint, over the second half.
        fairness: Jain's index of the clients' successes in the second half; 1 is fair.
        limit: mean of the limit's last value over the clients.
    """

    whole: float
    steady: float
    refused: float
    slowdown: float
    fairness: float
    limit: float


@dataclass(frozen=True)
class Run:
    """Each client's log and policy, and when the last one was done (seconds)."""

    logs: list[Log]
    policies: list[Policy]
    end: float


def simulate(
    scenario: Scenario, policy: Callable[[], Policy], seed: int, alone: bool = False
) -> Run:
    """Run a scenario once; `alone`: its first client only."""
    world, endpoint = World(), scenario.endpoint(seed)
    starts = scenario.starts[:1] if alone else scenario.starts
    clients = []
    for number, start in enumerate(starts):
        sizes = Sizes(scenario.sizes, seed * 1009 + number)
        client = Client(world, endpoint, policy(), sizes, scenario.rows, seed + number)
        clients.append(client)
        world.at(start, client.pump)
    world.run(scenario.horizon, lambda: all(client.done for client in clients))
    end = world.now if scenario.rows is not None else scenario.horizon
    return Run([client.log for client in clients], [client.policy for client in clients], end)


def levels(low: int, high: int) -> list[int]:
    """Windows to try: all small ones, then steps of about a tenth."""
    found = [low]
    while found[-1] < high:
        found.append(min(high, max(found[-1] + 1, round(found[-1] * 1.12))))
    return found


class Oracle:
    """
    The best that one fixed window per part of the run gets: what a policy is compared with.

    Args:
        tried: the windows to compare; None: all that may be the best.
    """

    def __init__(self, scenario: Scenario, seed: int, tried: Sequence[int] | None = None) -> None:
        parameters = scenario.parameters
        self.scenario = scenario
        moments = sorted({0.0, scenario.horizon / 2, *scenario.edges, scenario.horizon})
        self.parts = list(pairwise(moments))
        self.rates = [0.0 for _ in self.parts]
        self.time, self.level = math.inf, 0
        if scenario.bound is not None and scenario.rows is None:
            return
        best = 0.0
        everything = levels(parameters["min_concurrency"], parameters["max_concurrency"])
        for level in tried or everything:
            run = simulate(scenario, partial(Fixed, level), seed, alone=True)
            times = [moment for moment, _, _ in run.logs[0].successes]
            if scenario.rows is not None:
                if len(times) == scenario.rows and run.end < self.time:
                    self.time, self.level = run.end, level
                continue
            for index, (begin, finish) in enumerate(self.parts):
                rate = count(times, begin, finish) / (finish - begin)
                self.rates[index] = max(self.rates[index], rate)
            if len(times) > best:
                best, self.level = len(times), level

    def successes(self, begin: float, end: float) -> float:
        """How many rows it gets in that time."""
        if self.scenario.bound is not None:
            return self.scenario.bound(end) - (self.scenario.bound(begin) if begin else 0.0)
        parts = zip(self.parts, self.rates, strict=True)
        return sum(rate * max(0.0, min(end, b) - max(begin, a)) for (a, b), rate in parts)


def count(times: Sequence[float], begin: float, end: float) -> int:
    return bisect.bisect_right(times, end) - bisect.bisect_left(times, begin)


def adaptive(scenario: Scenario) -> Callable[[], Policy]:
    return lambda: AdaptiveGate(**scenario.parameters)


def measure(scenario: Scenario, policy: Callable[[], Policy], seed: int, oracle: Oracle) -> Result:
    """Run it once and compare."""
    run = simulate(scenario, policy, seed)
    logs, end = run.logs, run.end
    half = end / 2
    times = sorted(moment for log in logs for moment, _, _ in log.successes)
    ratios = sorted(
        latency / size for log in logs for moment, size, latency in log.successes if moment >= half
    )
    shares = [count([moment for moment, _, _ in log.successes], half, end) for log in logs]
    attempts = sum(log.attempts for log in logs)
    if scenario.rows is not None:
        complete = len(times) == scenario.rows
        whole = steady = oracle.time / end if complete else 0.0
    else:
        whole = len(times) / oracle.successes(0.0, end)
        steady = count(times, half, end) / oracle.successes(half, end)
    return Result(
        whole=whole,
        steady=steady,
        refused=sum(log.refused for log in logs) / max(1, attempts),
        slowdown=ratios[len(ratios) // 2] if ratios else math.nan,
        fairness=sum(shares) ** 2 / max(1, len(shares) * sum(share**2 for share in shares)),
        limit=sum(policy.limit for policy in run.policies) / len(run.policies),
    )
