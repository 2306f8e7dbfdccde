"""
The beginning: rounds that multiply the limit while that pays, and looks down.

    guess ──as much──▶ half ──as much──▶ half … ──less──▶ over
      └────less────▶ rounds ──pay──▶ rounds … ──only queue──▶ over, or a look down
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .evidence import INSTANT, Attempt, Attempts, Evidence, Scale

GUESS = 4  # a first limit from this on is a guess: a look down comes first
LOWEST = 2  # nothing looks down to 1: with one in flight the endpoint idles between two calls
PAYS = 0.5  # elasticity that a doubling must keep; half of what was added must arrive
PAYS_WELL = 0.75  # elasticity from which on the limit is tripled
CALM = 8  # rounds up to this size show what a latency without a queue is
SURE = 2.0  # standard errors against it before the start-up ends: stopping early costs most
IN_USE = 0.9, 0.85  # share of the limit reached at most, and on average, for it to be in use


class Step(NamedTuple):
    """
    What is to be done: another limit, and why.

    Attributes:
        level: the limit from now on.
        reason: in words for a person.
        seen: what tells it.
        known: what that level showed before; None: nothing.
    """

    level: int
    reason: str
    seen: Evidence
    known: Evidence | None = None


class Startup:
    """
    Rounds that double the limit while that pays, and then a look down.

    A first limit of GUESS or more is a guess: one volley of it, then the look down at once. So a
    small server is not taken for a large one that is cold, and it sees one volley and no more.

    Args:
        first: the limit to begin with.
        floor, top: of the limit; nothing looks down to less than `floor`.

    Attributes:
        value: the limit now.
        size: completions that make the present round, and the limit when it began.
        guess: whether the first limit is still one.
        over: whether the start-up has ended.
    """

    def __init__(self, first: int, floor: int, top: int, attempts: Attempts, scale: Scale) -> None:
        self.over = False
        self._floor, self._top = max(LOWEST, floor), top
        self._attempts, self._scale = attempts, scale
        self._before, self._calm = Evidence(), Evidence()  # the last round; all calm ones
        self._growth = 1  # what a success adds
        self._held = False  # whether the round repeats its level, in doubt
        self.restart(first)
        self.guess = max(GUESS, self._floor + 1) <= first
        # While it looks down: what the level above showed, and whether the one below is tried.
        self._high: Evidence | None = Evidence() if self.guess else None

    def restart(self, level: int) -> None:
        """A new round at this limit, which is a guess no more."""
        self.value = self.size = level
        self._round, self._down, self.guess = Evidence(), False, False

    def succeeded(
        self, now: float, attempt: Attempt, latency: float, level: float, grows: bool
    ) -> Step | None:
        """One more, that took `latency` seconds with `level` in flight; the limit may grow."""
        if self._high is not None:
            return self._fall(now, self._high, attempt, latency, level)
        if grows and not self._held:
            most = min((1 + self._growth) * self.size, self._top)
            self.value = max(self.value, min(most, self.value + self._growth))
        self._round.add(level, latency)
        return self._judge(now, self._round) if self._round.count >= self.size else None

    def _judge(self, now: float, done: Evidence) -> Step | None:
        """As many have succeeded as were allowed when the round began: did its growth pay?"""
        scale, paid = self._scale, True
        scale.learn(done)
        for earlier in (self._before, self._calm):
            if not earlier.count:
                continue
            gain, error = scale.elasticity(done, earlier)
            both = Evidence()  # few attempts can look alike by chance: their whole spread counts
            both.merge(earlier)
            both.merge(done)
            error *= max(1.0, math.sqrt(both.variance) / scale.spread)
            worth = max(PAYS, scale.worth(done))
            if gain + SURE * error < worth:
                level = round(earlier.level * math.exp(max(0.0, done.rate - earlier.rate)))
                return self._stop(now, level, done)
            paid = paid and (gain > worth or self.size > CALM)
            if gain < PAYS_WELL:
                self._growth = 1
        used = self._attempts.peak >= IN_USE[0] * self.size
        self._attempts.peak = 0
        if not used or not (paid or self._held):
            self._held = used  # once, in doubt: another round at this level
            self.restart(self.size)
            return None
        self._held, self._before = False, done
        if self.size <= CALM:
            self._calm.merge(done)
            scale.see_idle(self._calm)
        if self.size >= self._top:
            self._count_running(now)
            self.over = True
            return Step(self._top, "held: the maximum", done)
        self.restart(self.value)
        return Step(self.value, "grew: starting up", done, done)

    def _stop(self, now: float, level: int, done: Evidence) -> Step:
        """More only queues. Where little is enough, is even less?"""
        self.over = not self._floor < level <= CALM
        if self.over:
            self._count_running(now)
        else:
            self._high = Evidence()
        self.restart(level)
        return Step(level, "held: more only queues", done)

    def _count_running(self, now: float) -> None:
        """The rounds saw the short answers first: the others belong to the idle latency too."""
        for attempt in self._attempts.running.values():
            if attempt.in_flight <= min(CALM, self.size // 2):  # begun while the rounds paid
                self._calm.add(attempt.in_flight, max(now - attempt.start, INSTANT))
        self._scale.idle = None
        if self._calm.count:
            self._scale.see_idle(self._calm)

    def _fall(
        self, now: float, high: Evidence, attempt: Attempt, latency: float, level: float
    ) -> Step | None:
        """Half of the level, and half of that, as long as that brings as much."""
        here, volley = attempt.epoch == self._attempts.epoch, self.guess and self.size <= CALM
        if not self._down:
            if here and (volley or attempt.in_flight >= IN_USE[1] * self.value):
                high.add(level, latency)
            enough = 1 if volley else max(CALM, self.value // 2)
            return self._look_down(high) if high.count >= enough else None
        if not here:
            if volley and high.count < self.size:  # the volley's others
                high.add(level, latency)
            return None
        self._round.add(level, latency)
        low = Evidence()
        low.merge(self._round)
        if low.count < self.value:  # those that run took at least as long until now
            for running in self._attempts.running.values():
                if running.epoch == self._attempts.epoch:
                    low.add(running.in_flight, max(now - running.start, INSTANT))
            if self._scale.elasticity(high, low)[0] < PAYS:
                return None
        low = self._round
        self._scale.learn(low)
        gain, error = self._scale.elasticity(high, low)
        if gain + error >= PAYS and self.guess:  # it was right: go on from there
            size = min((3 if self.size <= CALM else 2) * self.size, self._top)
            self._before, self._growth, self._high = high, 2, None
            self._calm.merge(low)
            self._scale.see_idle(low)
            self.restart(size)
            return Step(size, "grew: starting up", low)
        if gain + error < PAYS and self.value > self._floor:
            self.guess = False
            return self._look_down(low)
        self.over = True
        self._scale.see_idle(low)
        if gain + error >= PAYS:
            self.value = round(low.level * math.exp(max(0.0, high.rate - low.rate)))
        return Step(self.value, "held: more only queues", low)

    def _look_down(self, high: Evidence) -> Step:
        self._high, self._round, self._down = high, Evidence(), True
        self.value = max(self._floor, (self.value + 1) // 2)
        return Step(self.value, "looking down", high)

    def __repr__(self) -> str:
        if self._high is not None:
            return f"Startup(looking down: {self._high}, then {self._round})"
        return f"Startup(round of {self.size}: {self._round}, before it {self._before})"
