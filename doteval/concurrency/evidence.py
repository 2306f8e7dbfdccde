"""
What attempts show: how they ended, how long they took, how many were in flight meanwhile.

Numbers only: moments are seconds on the caller's clock, and nothing here reads one.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

ROUND = 16  # attempts that make a window, where the limit is not smaller: 25 % noise or less
FEW = 4  # attempts that make a window at the smallest limits
NOISE = 0.1  # standard error of log latency that ends an undecided probe
PRIOR, PRIOR_WEIGHT, LEARNT = 0.4, 4.0, 200.0  # spread of log latency before it is known
WINDOWS = 10.0  # windows that the prior of the shared noise, none, counts for
JUMP = 1.0  # relative difference of two windows that is believed at most
BRIEF = 1e-3  # seconds of evidence, at least
INSTANT = 1e-6  # seconds; nothing is taken to be faster
KEPT = 5_000  # attempts that wait to be judged; more would not make a window better
UNFINISHED = 1.5  # a running attempt counts as this much of its age
SAME = 0.02  # relative difference of two levels below which they are one
WORTH, DEARER, DEAREST = 0.25, 0.3, 0.8  # elasticity that growth must show, see Scale.worth


class Outcome(enum.Enum):
    """How an attempt ended, as far as the endpoint's capacity is concerned."""

    SUCCESS = "success"
    CONGESTION = "congestion"  # 429, 529, 503 with Retry-After, throttling: too much was asked
    TROUBLE = "trouble"  # other 5xx, timeouts, lost connections: perhaps too much, perhaps not
    IGNORED = "ignored"  # cancelled, programming errors: says nothing about capacity


class Evidence:
    """
    What a level showed: attempts, how many were in flight meanwhile, how long they took.

    The typical latency is the square of the mean square root. The mean is at the mercy of the
    longest answers, the logarithm at that of the shortest (cached ones); the root is between, and
    an added wait shows twice as clearly against heavy-tailed answers as it does in the mean.

    Attributes:
        count: attempts.
        span: seconds in which they began.
    """

    __slots__ = ("count", "in_flight", "roots", "seconds", "span")

    def __init__(self) -> None:
        self.count = self.in_flight = self.roots = self.seconds = self.span = 0.0

    def add(self, in_flight: float, seconds: float) -> None:
        """One attempt."""
        self.count += 1
        self.in_flight += in_flight
        self.roots += math.sqrt(seconds)
        self.seconds += seconds

    def merge(self, other: Evidence, most: float = math.inf) -> None:
        """Add what another window showed; older evidence fades beyond `most` attempts."""
        keep = min(1.0, most / (self.count + other.count))
        for name in self.__slots__:
            setattr(self, name, keep * (getattr(self, name) + getattr(other, name)))

    @property
    def level(self) -> float:
        """Attempts in flight, on average."""
        return self.in_flight / self.count

    @property
    def latency(self) -> float:
        """Logarithm of the typical latency."""
        return 2.0 * math.log(self.roots / self.count)

    @property
    def rate(self) -> float:
        """Logarithm of the throughput, by Little's law (1961): concurrency ÷ latency."""
        return math.log(self.level) - self.latency

    @property
    def variance(self) -> float:
        """Of log latency, from the relative variance of the roots (delta method)."""
        return max(0.0, 4.0 * (self.seconds * self.count / self.roots**2 - 1.0))

    @property
    def throughput(self) -> float | None:
        """Successes per second, by Little's law with the plain mean; None if nothing is known."""
        return self.in_flight / self.seconds if self.count else None

    def __repr__(self) -> str:
        if not self.count:
            return "Evidence()"
        return f"Evidence({self.count:.3g} at {self.level:.3g}, {math.exp(self.latency):.3g} s)"


class Scale:
    """
    What latencies are held against: how much they spread, and the latency of an idle endpoint.

    Attributes:
        spread: standard deviation of log latency around its level's mean. Pooled over all levels,
            as it belongs to the dataset rather than to the level.
        idle: logarithm of the latency without a queue, no less than it is; None: not known yet.
    """

    def __init__(self) -> None:
        self._shared, self._windows = 0.0, WINDOWS
        self._deviations, self._weight = PRIOR_WEIGHT * PRIOR**2, PRIOR_WEIGHT
        self.spread = PRIOR
        self.idle: float | None = None

    def learn(self, window: Evidence) -> None:
        """How much latencies spread around their level's mean: pooled, slowly forgotten."""
        self._deviations += window.variance * window.count
        self._weight += window.count - 1.0
        keep = min(1.0, LEARNT / self._weight)
        self._deviations *= keep
        self._weight *= keep
        self.spread = max(0.05, math.sqrt(self._deviations / self._weight))

    def see_idle(self, seen: Evidence) -> None:
        """The lowest latency seen, plus two standard errors: the least of many is a lucky one."""
        least = seen.latency + 2.0 * self.spread / math.sqrt(seen.count)
        self.idle = least if self.idle is None else min(self.idle, least)

    def compare(self, window: Evidence, before: Evidence) -> None:
        """
        Learn the noise that all attempts share from two windows in a row, at one level.

        What they differ by beyond the spread of their attempts is a speed that jumps. It does not
        average out over attempts, only over time: its variance is c/T, T the seconds of evidence.
        """
        excess = min(JUMP, abs(window.rate - before.rate)) ** 2
        excess -= self.spread**2 * (1.0 / window.count + 1.0 / before.count)
        self._windows = min(self._windows + 1.0, 4.0 * WINDOWS)
        c = excess / (1.0 / window.span + 1.0 / before.span)
        self._shared += (c - self._shared) / self._windows

    @property
    def shared(self) -> float:
        """c of the noise that all attempts share, seconds."""
        return max(0.0, self._shared)

    def error(self, one: Evidence, other: Evidence) -> float:
        """Standard error of the difference of two rates."""
        own = self.spread**2 * (1.0 / one.count + 1.0 / other.count)
        shared = sum(self.shared / max(each.span, BRIEF) for each in (one, other))
        return math.sqrt(own + shared)

    def elasticity(self, new: Evidence, old: Evidence) -> tuple[float, float]:
        """
        Relative gain of throughput per relative change of concurrency, and its standard error.
        What is in fact one level says nothing: an infinite error.
        """
        step = math.log(new.level / old.level)
        if abs(step) < SAME:
            return 0.5, math.inf
        return (new.rate - old.rate) / step, self.error(new, old) / abs(step)

    def worth(self, seen: Evidence) -> float:
        """
        The elasticity that growth to a level must show.

        A quarter on an idle endpoint, more the longer it makes everybody wait: so a queue stays
        short, and of two clients of one endpoint the larger is the first to stop.
        """
        inflation = 1.0 if self.idle is None else math.exp(max(0.0, seen.latency - self.idle))
        return min(DEAREST, WORTH + DEARER * (inflation - 1.0))

    @property
    def plenty(self) -> float:
        """Attempts after which more of them would hardly make a level better known."""
        return (self.spread / NOISE) ** 2

    def __repr__(self) -> str:
        idle = "unknown" if self.idle is None else f"{math.exp(self.idle):.3g} s"
        return f"Scale(spread {self.spread:.2g}, idle {idle})"


class Attempt(NamedTuple):
    """
    An attempt that is running, or has just ended.

    Attributes:
        token: its number, from 0.
        start: when it began.
        in_flight: attempts in flight then, itself included, without those that were refused.
        area: attempts in flight until then, integrated over time.
        epoch: of the limit it began under.
    """

    token: int
    start: float
    in_flight: int
    area: float
    epoch: int


class Attempts:
    """
    Those in flight, and what the finished ones showed since the limit last moved.

    Attributes:
        count: begun so far; the next one's token.
        running: by token, in the order of their start.
        peak: most in flight since somebody last set it back.
        mean: latency of recent successes, seconds.
        epoch: how often the limit moved.
    """

    def __init__(self) -> None:
        self.count = 0
        self.running: dict[int, Attempt] = {}
        self.peak = 0
        self.mean = 0.0
        self.epoch = 0
        self._area, self._area_at = 0.0, 0.0
        self._done: list[tuple[float, float, float]] = []  # start, mean in flight, latency
        self._judged = 0.0  # attempts begun until then have been counted

    def begin(self, now: float) -> int:
        """An attempt starts; its token."""
        token, in_flight = self.count, len(self.running) + 1
        self.count += 1
        self._integrate(now)
        self.peak = max(self.peak, in_flight)
        self.running[token] = Attempt(token, now, in_flight, self._area, self.epoch)
        return token

    def end(self, token: int, now: float) -> Attempt:
        """The attempt of this token has ended."""
        self._integrate(now)
        return self.running.pop(token)

    def refused(self, attempt: Attempt) -> None:
        """One was: those that began beside it had one less in flight than it seemed."""
        for token in reversed(self.running):
            if token < attempt.token:
                break
            beside = self.running[token]
            self.running[token] = beside._replace(in_flight=beside.in_flight - 1)

    def succeeded(self, attempt: Attempt, now: float) -> tuple[float, float]:
        """(seconds it took, attempts in flight meanwhile on average) of one that succeeded."""
        latency = max(now - attempt.start, INSTANT)
        level = self._level(attempt, latency) if latency > INSTANT else attempt.in_flight
        self.mean += (latency - self.mean) * (0.05 if self.mean else 1.0)
        return latency, max(1.0, level)

    def keep(self, attempt: Attempt, now: float, latency: float, level: float) -> None:
        """Put one that succeeded among those that the next window is made of."""
        late = now - latency < self._judged
        if attempt.epoch == self.epoch and not late and len(self._done) < KEPT:
            self._done.append((now - latency, level, latency))

    def new_epoch(self, now: float) -> None:
        """The limit moved: what began before says nothing about the new one."""
        self.epoch += 1
        self.peak = 0
        self._done, self._judged = [], now

    def window(self, now: float, age: float, limit: int) -> Evidence | None:
        """
        The attempts of this epoch that are old enough to be judged, each once; None if too few.

        Judging by age, not by completion, keeps the short answers from coming first: those still
        running at that age count by it (a censored sample).

        Args:
            age: seconds since their start.
            limit: that they ran under.
        """
        until = now - age
        window, young = Evidence(), []
        for done in self._done:
            if done[0] <= until:
                window.add(done[1], done[2])
            else:
                young.append(done)
        for attempt in self.running.values():
            if attempt.start > until:
                break
            if attempt.epoch == self.epoch and attempt.start >= self._judged:
                seconds = now - attempt.start
                window.add(self._level(attempt, seconds), UNFINISHED * seconds)
        if window.count < max(FEW, min(ROUND, limit)):
            return None
        window.span = max(INSTANT, until - self._judged)
        self._done, self._judged = young, until
        return window

    def _level(self, attempt: Attempt, seconds: float) -> float:
        return (self._area - attempt.area) / seconds

    def _integrate(self, now: float) -> None:
        self._area += len(self.running) * (now - self._area_at)
        self._area_at = now

    def __repr__(self) -> str:
        return f"Attempts({self.count} begun, {len(self.running)} running, epoch {self.epoch})"
