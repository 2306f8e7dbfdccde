"""
The beginning: rounds that multiply the limit while that pays, and looks down.

    guess ──as much──▶ half ──as much──▶ half … ──less──▶ settled
      └────less────▶ rounds ──pay──▶ rounds … ──only queue──▶ settled, or a look down
"""

from __future__ import annotations

import math

from .evidence import INSTANT, Attempts, Evidence, Scale

GUESS = 4  # a first limit from this on is a guess: a look down comes first
LOWEST = 2  # nothing looks down to 1: with one in flight the endpoint idles between two calls
PAYS = 0.5  # elasticity that a doubling must keep; half of what was added must arrive
PAYS_WELL = 0.75  # elasticity from which on the limit is tripled
CALM = 8  # rounds up to this size show what a latency without a queue is
SURE = 2.0  # standard errors against it before the start-up ends: stopping early costs most


class Startup:
    """
    Rounds that double the limit while that pays, and then a look down.

    A first limit of GUESS or more is a guess: one volley of it, then the look down at once. So a
    small server is not taken for a large one that is cold, and it sees one volley and no more.

    Attributes:
        size: completions that make the present round.
        growth: how much each success adds.
        falling: whether this is the look down.
        guess: whether the first limit is still one.
        held: whether the present round repeats its level, in doubt.
        high, low: what the level above showed, and the one that is tried; while falling.
    """

    __slots__ = (
        "_before",
        "_calm",
        "_round",
        "falling",
        "growth",
        "guess",
        "held",
        "high",
        "low",
        "size",
    )

    def __init__(self, size: int) -> None:
        self._before, self._calm = Evidence(), Evidence()  # the last round; all calm ones
        self.falling = self.guess = size >= GUESS
        self.growth, self.held = 1, False
        self.begin(size)

    def begin(self, size: int) -> None:
        """A new round."""
        self.size, self._round = size, Evidence()
        self.high, self.low = Evidence(), Evidence()

    def add(self, level: float, latency: float) -> Evidence | None:
        """One more that succeeded. The round, when that was its last."""
        self._round.add(level, latency)
        return self._round if self._round.count >= self.size else None

    def judge(self, done: Evidence, scale: Scale) -> tuple[bool, float | None]:
        """
        Whether growth since the earlier rounds paid, and the level it brought if it surely did
        not; in between another round at this level tells more.
        """
        paid = True
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
                return False, earlier.level * math.exp(max(0.0, done.rate - earlier.rate))
            paid = paid and (gain > worth or self.size > CALM)
            if gain < PAYS_WELL:
                self.growth = 1
        return paid, None

    def paid(self, done: Evidence, scale: Scale) -> None:
        """The round goes into what the next ones are compared with."""
        if self.size <= CALM:
            self._calm.merge(done)
            scale.see_idle(self._calm)
        self._before = done

    def fall(self, high: Evidence) -> None:
        """Look down from a level that showed this."""
        self.falling, self.high, self.low = True, high, Evidence()

    def rise(self, size: int) -> None:
        """The guess was right: go on from there."""
        self.falling = self.guess = False
        self._before, self.growth = self.high, 2
        self._calm.merge(self.low)
        self.begin(size)

    def settle(self, attempts: Attempts, scale: Scale, now: float) -> None:
        """The start-up is over. Its rounds saw the short answers first: count the others too."""
        for attempt in attempts.running.values():
            if attempt.in_flight <= min(CALM, self.size // 2):  # begun while the rounds paid
                self._calm.add(attempt.in_flight, max(now - attempt.start, INSTANT))
        scale.idle = None
        if self._calm.count:
            scale.see_idle(self._calm)

    def __repr__(self) -> str:
        if self.falling:
            return f"Startup(looking down: {self.high}, then {self.low})"
        return f"Startup(round of {self.size}: {self._round}, before it {self._before})"
