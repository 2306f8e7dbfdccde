"""
Virtual time, and the client side of an endpoint.

Events are callbacks in a heap; an hour takes about a second. A `Client` does what doteval's loop
does around a controller: it starts attempts while there is room, frees the slot of a failed
attempt, lets its row wait with a jittered backoff, and holds everything back while a Retry-After
runs.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from doteval.concurrency.evidence import Outcome

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0  # seconds; the defaults of doteval's retries


class World:
    """A clock in seconds and what happens next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, moment: float, action: Callable[..., None], *arguments: Any) -> None:
        """Do it at `moment`; events of one moment keep their order."""
        self._count += 1
        heapq.heappush(self._events, (max(moment, self.now), self._count, action, arguments))

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Let time pass until the horizon, until all is done, or until nothing can happen."""
        events = self._events
        while events and events[0][0] <= until and not done():
            self.now, _, action, arguments = heapq.heappop(events)
            action(*arguments)


Reply = Callable[[Outcome, "float | None"], None]


class Endpoint(Protocol):
    """Takes an attempt at a row of `size` seconds (alone on the endpoint) and replies once."""

    def submit(self, world: World, size: float, reply: Reply) -> None:
        """Begin; `reply(outcome, retry_after)` is called when the attempt ends."""
        ...


class Policy(Protocol):
    """What the client asks: the part of a gate that a loop uses."""

    limit: int

    def started(self, now: float) -> int: ...

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool: ...

    def ready_at(self, now: float) -> float: ...


class Fixed:
    """The baseline: a window that never changes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def started(self, now: float) -> int:
        return 0

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        return False

    def ready_at(self, now: float) -> float:
        return now


class Sizes:
    """The size of each row in seconds: the same for every policy."""

    def __init__(self, draw: Callable[[random.Random, int], float], seed: int) -> None:
        self._draw, self._random, self._known = draw, random.Random(seed), list[float]()

    def __getitem__(self, row: int) -> float:
        while len(self._known) <= row:
            self._known.append(self._draw(self._random, len(self._known)))
        return self._known[row]


@dataclass
class Log:
    """What one client saw: times of successes with their size and latency, and counts."""

    successes: list[tuple[float, float, float]] = field(default_factory=list)
    attempts: int = 0
    refused: int = 0
    failed: int = 0


class Client:
    """A loop around a policy: rows 0, 1, 2… until `rows` are done, or for ever."""

    def __init__(
        self,
        world: World,
        endpoint: Endpoint,
        policy: Policy,
        sizes: Sizes,
        rows: int | None = None,
        seed: int = 0,
    ) -> None:
        self.world, self.endpoint, self.policy, self.sizes = world, endpoint, policy, sizes
        self.rows = rows
        self.log = Log()
        self.in_flight = 0
        self._next = 0
        self._waiting: list[tuple[float, int, int]] = []  # due, row, failures so far
        self._hold = 0.0
        self._wake = float("inf")
        self._random = random.Random(seed)

    @property
    def done(self) -> bool:
        """Whether every row has succeeded."""
        return self.rows is not None and len(self.log.successes) >= self.rows

    def pump(self) -> None:
        """Start what may start now, and come back when the rest may."""
        world, policy, waiting = self.world, self.policy, self._waiting
        now = world.now
        while self.in_flight < policy.limit:
            due = bool(waiting) and waiting[0][0] <= now
            fresh = self._fresh()
            if not due and not fresh:
                if waiting:
                    self._sleep(waiting[0][0])
                return
            ready = max(self._hold, policy.ready_at(now))
            if ready > now:
                self._sleep(ready)
                return
            if due:
                _, row, failures = heapq.heappop(waiting)
            else:
                row, failures, self._next = self._next, 0, self._next + 1
            self._start(row, failures)

    def _fresh(self) -> bool:
        more = self.rows is None or self._next < self.rows
        return more and len(self._waiting) < self.policy.limit

    def _sleep(self, until: float) -> None:
        if until < self._wake:
            self._wake = until
            self.world.at(until, self._awake, until)

    def _awake(self, moment: float) -> None:
        if moment >= self._wake:
            self._wake = float("inf")
        self.pump()

    def _start(self, row: int, failures: int) -> None:
        begin, size = self.world.now, self.sizes[row]
        self.in_flight += 1
        self.log.attempts += 1
        token = self.policy.started(begin)

        def reply(outcome: Outcome, retry_after: float | None) -> None:
            now = self.world.now
            self.in_flight -= 1
            binding = self.policy.ended(token, now, outcome, retry_after)
            if outcome is Outcome.SUCCESS:
                self.log.successes.append((now, size, now - begin))
            else:
                self.log.failed += 1
                self.log.refused += outcome is Outcome.CONGESTION
                if retry_after is not None and binding:
                    self._hold = max(self._hold, now + retry_after)
                most = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 10))
                due = now + (retry_after or 0.0) + self._random.uniform(0.0, most)
                heapq.heappush(self._waiting, (due, row, failures + 1))
            self.pump()

        self.endpoint.submit(self.world, size, reply)
