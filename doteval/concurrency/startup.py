"""
The beginning: rounds that multiply the limit while that pays, and a look down where it is in doubt.

    round ──pays──▶ more … ──only queues──▶ half, if it is small ──as much──▶ half of that … ─▶ over
     ▲ └─in doubt─▶ half ──as much──▶ half of that … ──less──▶ over
     └─────less──────┘
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .evidence import INSTANT, Attempt, Attempts, Evidence, Scale

GUESS = 4  # a first limit from this on is a guess: a look down comes first
LOWEST = 2  # nothing looks down to 1: with one in flight the endpoint idles between two calls
PAYS = 0.5  # elasticity that a doubling must keep; half of what was added must arrive
CALM = 8  # a round of this size can be repeated; a larger one costs too much
SURE = 2.0  # standard errors against it before the start-up ends: stopping early costs most
IN_USE = 0.85  # share of the limit that must be in flight on average for it to be in use
QUEUES = "held: more only queues"


class Step(NamedTuple):
    """What is to be done: another limit, why in words for a person, and what tells it."""

    level: int
    reason: str
    seen: Evidence


class Startup:
    """
    Rounds that double the limit while that pays, from a first limit of GUESS on triple it.

    Where it is in doubt whether a round paid, half of its level is tried. If that brings more than
    half of the throughput away, more pays. If not, half of that is tried. So a cold endpoint, whose
    first calls are slow for another reason, is told from one that queues. A first limit of GUESS
    or more is in doubt at once.

    Args:
        first: the limit to begin with.
        floor, top: of the limit.

    Attributes:
        value: the limit now.
        over: whether the start-up has ended.
    """

    def __init__(self, first: int, floor: int, top: int, attempts: Attempts, scale: Scale) -> None:
        self.over = False
        self._floor, self._top = max(LOWEST, floor), top
        self._attempts, self._scale = attempts, scale
        self.begin(first)

    def begin(self, level: int) -> None:
        """Start up from this level."""
        self._doubt = level >= GUESS and level > self._floor
        self._growth = 2 if self._doubt else 1  # what a success adds
        self._try(level)

    def _try(self, level: int, other: Evidence | None = None, above: int = 0) -> None:
        """A round at this limit, to be held against another one; `above`: it looks down from it."""
        self.value = self._size = level
        self._round, self._other, self._above = Evidence(), other or Evidence(), above

    def succeeded(
        self, now: float, attempt: Attempt, latency: float, level: float, grows: bool
    ) -> Step | None:
        """One more, that took `latency` seconds with `level` in flight; the limit may grow."""
        seen, other, size = self._round, self._other, self._size
        if self._above and attempt.epoch != self._attempts.epoch:
            other.add(level, latency)  # it tells of the level above
            return None
        if grows and not self._above and not self._doubt:
            most = min((1 + self._growth) * size, self._top)
            self.value = max(self.value, min(self.value + self._growth, most))
        first = self._doubt and not other.count
        if first and size > CALM and attempt.in_flight < IN_USE * size:
            return None  # of a large volley those that began behind the others show the queue
        seen.add(level, latency)
        if first and (size <= CALM or seen.count >= size / 2):
            return self._half(seen)
        if seen.count < size and not (self._above and self._less(now)):
            return None
        if seen.level < IN_USE * size:  # nobody used it
            self._try(size, other, self._above)
            return None
        self._scale.learn(seen)
        return self._looked_down(seen, other) if self._above else self._grew(seen, other)

    def _grew(self, seen: Evidence, before: Evidence) -> Step:
        """As many have succeeded as were allowed when the round began: did its growth pay?"""
        size = self._size
        if before.count:
            gain, error = self._scale.elasticity(seen, before)
            if gain + SURE * error < PAYS:
                self._top = round(before.level * math.exp(max(0.0, seen.rate - before.rate)))
                self.over = not self._floor < self._top <= CALM
                self._doubt = True  # is even less enough?
                self._try(self._top)
                return Step(self._top, QUEUES, seen)
            self._doubt = gain < PAYS and size <= CALM
        if self._doubt:
            return self._half(seen)
        if size <= CALM:
            self._scale.see_idle(seen)
        self.over = size >= self._top
        self._try(self.value, seen)
        return Step(self.value, "held: the maximum" if self.over else "grew: starting up", seen)

    def _half(self, seen: Evidence) -> Step:
        self._try(max(self._floor, (self._size + 1) // 2), seen, self._size)
        return Step(self.value, "looking down", seen)

    def _less(self, now: float) -> bool:
        """Whether half is sure to bring less: those that run took at least as long until now."""
        seen = Evidence()
        seen.merge(self._round)
        for running in self._attempts.running.values():
            if running.epoch == self._attempts.epoch:
                seen.add(running.in_flight, max(now - running.start, INSTANT))
        return self._scale.elasticity(self._other, seen)[0] >= PAYS

    def _looked_down(self, seen: Evidence, above: Evidence) -> Step:
        """Half has been tried: does it bring as much as the level above?"""
        self._scale.see_idle(seen)
        gain, error = self._scale.elasticity(above, seen)
        if gain + error < PAYS:  # it does
            self._top = self._size
            if self._size > self._floor:
                return self._half(seen)
        self._doubt, level = False, self._above
        if level >= self._top:
            self.over = True
            level = round(seen.level * math.exp(max(0.0, above.rate - seen.rate)))
            self._try(min(level, self._top))
            return Step(self.value, QUEUES, seen)
        self._try(min((1 + self._growth) * level, self._top), above)
        return Step(self.value, "grew: starting up", above)

    def __repr__(self) -> str:
        way = f"looking down from {self._above}" if self._above else "up"
        return f"Startup({way}, round of {self._size}: {self._round}, against {self._other})"
