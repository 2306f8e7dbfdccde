"""Simulated endpoints: what limits them, and what goes wrong with them."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable

from doteval.concurrency.evidence import Outcome

from .world import Endpoint, Reply, World

REFUSAL = 0.1  # seconds until a refused attempt knows it
# What 0 to 8 busy slots of a real llama.cpp server give together (two cores, 270M parameters).
LLAMA = (0.0, 1.0, 1.19, 1.12, 1.04, 0.98, 0.91, 0.86, 0.82)

When = Callable[[float], float]  # something that changes with time


def steps(*points: tuple[float, float]) -> When:
    """A value that changes at given moments: steps((0, 16), (200, 8))."""

    def value(now: float) -> float:
        return [v for moment, v in points if moment <= now][-1]

    return value


def jumping(seed: int, sigma: float, correlation: float = 2.0, step: float = 0.5) -> When:
    """A speed that jumps: lognormal, constant for `step` seconds, correlated over a few more."""
    rng, keep = random.Random(seed * 17 + 3), math.exp(-step / correlation)
    values = [rng.gauss(0, sigma)]

    def value(now: float) -> float:
        while len(values) <= now / step:
            values.append(keep * values[-1] + math.sqrt(1 - keep * keep) * rng.gauss(0, sigma))
        return math.exp(values[int(now / step)])

    return value


class Workers:
    """
    So many workers behind one queue, first come first served: throughput has a sharp knee.

    Args:
        count: workers, a number (infinity: no limit at all) or a function of time.
        slowness: factor on the service time, a function of time; a cold start falls towards 1.
        changes: the moments at which the count may have grown.
    """

    def __init__(
        self, count: float | When, slowness: When | None = None, changes: tuple[float, ...] = ()
    ) -> None:
        self._count: When = count if callable(count) else lambda now: float(count)
        self._slowness = slowness
        self._changes = changes
        self._busy = 0
        self._queue: deque[tuple[float, Reply]] = deque()

    def submit(self, world: World, size: float, reply: Reply) -> None:
        for moment in self._changes:
            world.at(moment, self._serve, world)
        self._changes = ()
        self._queue.append((size, reply))
        self._serve(world)

    def _serve(self, world: World) -> None:
        while self._queue and self._busy < self._count(world.now):
            size, reply = self._queue.popleft()
            self._busy += 1
            seconds = size * (self._slowness(world.now) if self._slowness else 1.0)
            world.at(world.now + seconds, self._finish, world, reply)

    def _finish(self, world: World, reply: Reply) -> None:
        self._busy -= 1
        self._serve(world)
        reply(Outcome.SUCCESS, None)


class Slots:
    """
    A small server that gets slower in all when more is asked, as llama.cpp's does on two cores.

    So many slots behind a queue, and `total[n]`: what n busy ones give together, beside one. The
    first call of a slot takes `cold` times as long; the slot that was used last is used next.
    """

    def __init__(self, total: tuple[float, ...] = LLAMA, cold: float = 3.0) -> None:
        self._total, self._cold = total, cold
        self._idle, self._warm = list(range(len(total) - 1)), set[int]()
        self._queue: deque[tuple[float, Reply]] = deque()
        self._left: dict[int, tuple[float, Reply]] = {}  # by slot: work that is left
        self._updated, self._plan = 0.0, 0

    def submit(self, world: World, size: float, reply: Reply) -> None:
        self._queue.append((size, reply))
        self._serve(world)

    def _serve(self, world: World) -> None:
        if self._left:
            n = len(self._left)
            done = (world.now - self._updated) * self._total[n] / n
            self._left = {slot: (work - done, to) for slot, (work, to) in self._left.items()}
        self._updated = world.now
        replies = [self._free(slot) for slot, (work, _) in [*self._left.items()] if work <= 1e-9]
        while self._queue and self._idle:
            size, reply = self._queue.popleft()
            slot = self._idle.pop()
            self._left[slot] = size * (1.0 if slot in self._warm else self._cold), reply
            self._warm.add(slot)
        self._plan += 1
        if self._left:
            n = len(self._left)
            wait = max(0.0, min(work for work, _ in self._left.values())) * n / self._total[n]
            world.at(world.now + wait, self._due, world, self._plan)
        for reply in replies:
            reply(Outcome.SUCCESS, None)

    def _due(self, world: World, plan: int) -> None:
        if plan == self._plan:
            self._serve(world)

    def _free(self, slot: int) -> Reply:
        self._idle.append(slot)
        return self._left.pop(slot)[1]


class Device:
    """
    One accelerator that all requests share, as in continuous batching.

    With n active each runs at 1/(1 + slope·(n-1)) of full speed, so the sum still grows. Past
    `memory` requests the cache is thrashed, and the sum falls as (memory/n)**collapse.
    """

    def __init__(self, slope: float, memory: int, collapse: float) -> None:
        self.slope, self.memory, self.collapse = slope, memory, collapse
        self._active: list[tuple[float, int, Reply]] = []  # finished at this much work each
        self._work, self._updated, self._count = 0.0, 0.0, 0

    def _speed(self, n: int) -> float:
        if n <= self.memory:
            return 1.0 / (1.0 + self.slope * (n - 1))
        full = self.memory / (1.0 + self.slope * (self.memory - 1))
        return full * (self.memory / n) ** self.collapse / n

    def submit(self, world: World, size: float, reply: Reply) -> None:
        self._advance(world)
        self._count += 1
        heapq.heappush(self._active, (self._work + size, self._count, reply))
        self._plan(world)

    def _advance(self, world: World) -> None:
        if self._active:
            self._work += (world.now - self._updated) * self._speed(len(self._active))
        self._updated = world.now

    def _plan(self, world: World) -> None:
        self._count += 1
        if self._active:
            left = max(0.0, self._active[0][0] - self._work)
            moment = world.now + left / self._speed(len(self._active))
            world.at(moment, self._finish, world, self._count)

    def _finish(self, world: World, plan: int) -> None:
        if plan != self._count:  # somebody came or went since
            return
        self._advance(world)
        replies = []
        while self._active and self._active[0][0] <= self._work + 1e-9:
            replies.append(heapq.heappop(self._active)[2])
        self._plan(world)
        for reply in replies:
            reply(Outcome.SUCCESS, None)


class Bucket:
    """
    A token bucket in front of `inner`: `rate` units a second, at most `burst` saved.

    Args:
        hint: the Retry-After: "ceil" (whole seconds), None (no header), or a number (always it).
        cost: units of an attempt of that size.
        charged: whether a refused attempt costs its units too.
        scale: factor on the rate, a function of time.
    """

    def __init__(
        self,
        inner: Endpoint,
        rate: float,
        burst: float,
        hint: str | float | None = "ceil",
        cost: Callable[[float], float] = lambda size: 1.0,
        charged: bool = False,
        scale: When = lambda now: 1.0,
    ) -> None:
        self.inner, self.rate, self.burst, self.hint = inner, rate, burst, hint
        self.cost, self.charged, self.scale = cost, charged, scale
        self._units, self._updated = float(burst), 0.0

    def submit(self, world: World, size: float, reply: Reply) -> None:
        rate = self.rate * self.scale(world.now)
        self._units = min(self.burst, self._units + (world.now - self._updated) * rate)
        self._updated = world.now
        cost = self.cost(size)
        if self._units >= cost:
            self._units -= cost
            self.inner.submit(world, size, reply)
            return
        wait = (cost - self._units) / rate
        if self.charged:
            self._units = max(self._units - cost, -self.burst)
        hint = float(math.ceil(wait)) if self.hint == "ceil" else self.hint
        assert not isinstance(hint, str)
        world.at(world.now + REFUSAL, reply, Outcome.CONGESTION, hint)


class Clock:
    """So many attempts in each window of the clock; then refusal until the next one."""

    def __init__(self, inner: Endpoint, count: int, window: float) -> None:
        self.inner, self.count, self.window = inner, count, window
        self._current, self._used = -1, 0

    def submit(self, world: World, size: float, reply: Reply) -> None:
        number = int(world.now // self.window)
        if number != self._current:
            self._current, self._used = number, 0
        if self._used < self.count:
            self._used += 1
            self.inner.submit(world, size, reply)
        else:
            wait = float(math.ceil((number + 1) * self.window - world.now))
            world.at(world.now + REFUSAL, reply, Outcome.CONGESTION, wait)


class Cap:
    """Refuses at once whatever comes past `cap` in flight; `hint` is its Retry-After."""

    def __init__(self, inner: Endpoint, cap: float | When, hint: float | None = None) -> None:
        self.inner, self.hint = inner, hint
        self._cap: When = cap if callable(cap) else lambda now: float(cap)
        self._active = 0

    def submit(self, world: World, size: float, reply: Reply) -> None:
        if self._active >= self._cap(world.now):
            world.at(world.now + REFUSAL, reply, Outcome.CONGESTION, self.hint)
            return
        self._active += 1

        def free(outcome: Outcome, retry_after: float | None) -> None:
            self._active -= 1
            reply(outcome, retry_after)

        self.inner.submit(world, size, free)


class Refusing:
    """A share of the attempts, a number or a function of time, is refused however few come."""

    def __init__(
        self, inner: Endpoint, share: float | When, seed: int, hint: float | None = None
    ) -> None:
        self.inner, self.hint, self._random = inner, hint, random.Random(seed * 131 + 7)
        self._share: When = share if callable(share) else lambda now: share

    def submit(self, world: World, size: float, reply: Reply) -> None:
        if self._random.random() < self._share(world.now):
            world.at(world.now + REFUSAL, reply, Outcome.CONGESTION, self.hint)
        else:
            self.inner.submit(world, size, reply)


class Flaky:
    """A share of the answers is a 500, after all the work was done."""

    def __init__(self, inner: Endpoint, share: float, seed: int) -> None:
        self.inner, self.share, self._random = inner, share, random.Random(seed)

    def submit(self, world: World, size: float, reply: Reply) -> None:
        fails = self._random.random() < self.share

        def answer(outcome: Outcome, retry_after: float | None) -> None:
            reply(Outcome.TROUBLE if fails else outcome, retry_after)

        self.inner.submit(world, size, answer)


class Outage:
    """From `begin` to `end` every attempt fails after 0.2 s, or hangs until the end."""

    def __init__(self, inner: Endpoint, begin: float, end: float, hang: bool = False) -> None:
        self.inner, self.begin, self.end, self.hang = inner, begin, end, hang

    def submit(self, world: World, size: float, reply: Reply) -> None:
        if not self.begin <= world.now < self.end:
            self.inner.submit(world, size, reply)
        elif self.hang:
            world.at(self.end, self.inner.submit, world, size, reply)
        else:
            world.at(world.now + 0.2, reply, Outcome.TROUBLE, None)


class Hanging:
    """A share of the attempts never reaches the endpoint and times out after `seconds`."""

    def __init__(self, inner: Endpoint, share: float, seconds: float, seed: int) -> None:
        self.inner, self.share, self.seconds = inner, share, seconds
        self._random = random.Random(seed)

    def submit(self, world: World, size: float, reply: Reply) -> None:
        if self._random.random() < self.share:
            world.at(world.now + self.seconds, reply, Outcome.TROUBLE, None)
        else:
            self.inner.submit(world, size, reply)


class Patience:
    """The client gives up after `seconds`; the endpoint works on, for nobody."""

    def __init__(self, inner: Endpoint, seconds: float) -> None:
        self.inner, self.seconds = inner, seconds

    def submit(self, world: World, size: float, reply: Reply) -> None:
        open_ = [True]

        def once(outcome: Outcome, retry_after: float | None) -> None:
            if open_:
                open_.clear()
                reply(outcome, retry_after)

        world.at(world.now + self.seconds, once, Outcome.TROUBLE, None)
        self.inner.submit(world, size, once)


class Hidden:
    """A client library that retries refusals by itself: they show as latency alone."""

    def __init__(self, inner: Endpoint, retries: int, seed: int) -> None:
        self.inner, self.retries, self._random = inner, retries, random.Random(seed)

    def submit(self, world: World, size: float, reply: Reply, tried: int = 0) -> None:
        def answer(outcome: Outcome, retry_after: float | None) -> None:
            if outcome is not Outcome.CONGESTION or tried >= self.retries:
                reply(outcome, retry_after)
                return
            wait = retry_after if retry_after is not None else 0.5 * 2.0**tried
            wait *= self._random.uniform(0.75, 1.0)
            world.at(world.now + wait, self.submit, world, size, reply, tried + 1)

        self.inner.submit(world, size, answer)
