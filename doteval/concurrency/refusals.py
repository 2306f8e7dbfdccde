"""
Whether refusals say anything about the endpoint's capacity: a test before any cut.

Under congestion the endpoint is full: what takes a refused attempt's place, or was started right
behind it, is refused as well, with a probability of about one half at least. At random it is
refused with the probability p of any other. These *followers* decide between the two, in Wald's
sequential test (1945): each that is refused adds log(½/p) to a score, each that is served adds
log(½/(1-p)), which is less than nothing. At 0 the refusals were chance, and teach p; at
log(1/ERROR) they are congestion. So of the suspicions of chance at most ERROR become alarms.
"""

from __future__ import annotations

import math

from .evidence import Attempt

ERROR = 1 / 200  # of suspicions that are wrong: a false alarm in 6,000 attempts at p = 3 %
FULL = 0.5  # share of the followers that a full endpoint refuses, at least
# Where more is tried than is known to be served, refusals are expected: then every attempt counts,
# and what overloads by a quarter is refused by a fifth.
RISKED, RISKED_ERROR = 0.2, 1 / 20
SHARE, WEIGHT = 1 / 400, 200.0  # p before anything is known, and attempts that this counts for
RARE = 0.01  # p below which refusals at random are no matter
MOST = 0.15  # p is taken to be at most this
COMMON = 0.03  # p that is never ruled out: it may have begun just now
LEARNT = 500.0  # attempts that p is learnt from; older ones fade
SURVIVED = 4.0  # times that a refusal takes, after which an attempt is taken to be served


class Refusals:
    """
    Tells congestion from refusals at random.

    Attributes:
        first: the first attempt of the present suspicion that was refused; None: there is none.
        least, most: fewest and most in flight at the start of one of them, itself included.
        credit: whether refusals that are dismissed teach p; not where a rate explains them.
        since: refusals since congestion was last confirmed.
        pending: how many of them are of the present suspicion.
    """

    def __init__(self) -> None:
        self._noise, self._tried = SHARE * WEIGHT, WEIGHT
        self.credit = True
        self._seconds = 0.0  # that a refusal takes
        self.since = 0
        self._clear()

    def _clear(self) -> None:
        self._score = 0.0
        self._free = 0  # places of refused attempts that nobody has taken yet
        self._until = 0.0  # then these places are no longer fresh: the endpoint may have recovered
        self._followers: dict[int, float] = {}  # that are running: start by token
        self._last = -2  # token of the last one that was refused
        self.first: Attempt | None = None
        self.least = self.most = self.pending = 0

    @property
    def share(self) -> float:
        """p: of the attempts that met no congestion, how many are refused."""
        return min(MOST, self._noise / self._tried)

    def started(self, token: int, now: float) -> None:
        """An attempt starts: in the place of a refused one, if there is one that is fresh."""
        if now > self._until:
            self._free = 0
        if self._free:
            self._free -= 1
            self._followers[token] = now

    def served(self, token: int, risked: bool) -> None:
        """It was not refused."""
        self._count(0.0, 1.0)
        followed = self._followers.pop(token, None) is not None
        if self.pending and (risked or followed):
            self._spared(RISKED if risked else FULL)

    def refused(self, attempt: Attempt, now: float, risked: bool) -> bool:
        """
        It was. Whether that is congestion.

        Args:
            risked: more is tried than is known to be served.
        """
        seconds = now - attempt.start
        self._seconds += (seconds - self._seconds) * (0.2 if self._seconds else 1.0)
        follows = self._followers.pop(attempt.token, None) is not None
        for token, start in [*self._followers.items()]:
            if now - start > SURVIVED * self._seconds:
                del self._followers[token]
                self._spared(FULL)
        if self.first is None:
            self.first, self.least, self.most = attempt, attempt.in_flight, 0
        self.least = min(self.least, attempt.in_flight)
        self.most = max(self.most, attempt.in_flight)
        self.pending += 1
        self.since += 1
        if risked:
            self._score += math.log(RISKED / self.share)
        elif follows or self._last == attempt.token - 1:
            self._score += math.log(FULL / self.share)
        self._last = attempt.token
        self._free += 1
        self._until = now + SURVIVED * self._seconds
        return self._score >= math.log(1.0 / (RISKED_ERROR if risked else ERROR)) - 1e-9

    @property
    def sure(self) -> bool:
        """Whether the suspicion would hold if nothing had been risked."""
        return self._score >= math.log(1.0 / ERROR) - 1e-9

    def soon(self, accepted: int) -> bool:
        """Whether two false alarms with so many accepted between them would be a rare chance."""
        return accepted * max(self.share, COMMON) * ERROR < 0.05

    def confirmed(self, odd: bool) -> None:
        """
        It was congestion: that says nothing about chance, unless it was odd, as a single refusal
        below a rate that is known to be accepted.
        """
        if odd:
            self._count(1.0, 1.0)
        self.since = 0
        self._clear()

    def _spared(self, refused: float) -> None:
        """One was served of which congestion refuses such a share."""
        self._score -= math.log((1.0 - self.share) / (1.0 - refused))
        if self._score <= 0.0 and self.pending:
            if self.credit:
                self._count(self.pending, self.pending)
            self._score, self.pending, self.first = 0.0, 0, None

    def _count(self, refused: float, tried: float) -> None:
        keep = min(1.0, LEARNT / (self._tried + tried))
        self._noise = keep * (self._noise + refused)
        self._tried = keep * (self._tried + tried)

    def __repr__(self) -> str:
        return f"Refusals({self.share:.1%} at random, {self.pending} suspected)"
