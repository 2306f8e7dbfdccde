"""
How many attempts may be in flight: the number beyond which an endpoint gives nothing more.

    STARTING ──the rounds stop paying──▶ RESTING ◀──verdict──▶ PROBING

Everything is decided by the *elasticity* of throughput: its relative gain per relative change of
the limit. 1 where nobody queues, 0 behind a full queue, below 0 where the endpoint thrashes.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from .evidence import Attempt, Attempts, Evidence, Scale
from .probing import RESTS, Probing
from .startup import IN_USE, Startup, Step

OLD = 8.0  # times the latest latencies that an attempt need not be older than to be judged
OLDEST, KEPT = 200, 1000  # entries of the history that are kept: the oldest, and in all


class State(enum.Enum):
    """What the limit is doing."""

    STARTING = "starting"  # one more attempt per success, as long as the rounds pay
    RESTING = "resting"  # watching whether the level keeps its throughput
    PROBING = "probing"  # trying another level
    OUTAGE = "outage"  # nothing succeeds: the minimum, with spaced attempts


class Settings(NamedTuple):
    """The parameters of `Adaptive`; see there."""

    initial_concurrency: int = 5
    min_concurrency: int = 1
    max_concurrency: int = 100
    adaptation_interval: float = 2.0
    increase_threshold: float = 0.98
    decrease_threshold: float = 0.90
    error_backoff_factor: float = 0.7


class Change(NamedTuple):
    """
    One entry of the history.

    Attributes:
        at: seconds on the caller's clock.
        limit: from now on.
        reason: in words for a person.
        throughput: successes per second that were known at the time, None where nothing was.
    """

    at: float
    limit: int
    reason: str
    throughput: float | None


class Limit:
    """
    Finds the limit from what succeeds, and follows it.

    Attributes:
        value: attempts that may be in flight now. Running ones are never pre-empted.
        history: its changes; the oldest and the latest ones are kept.
        known: what the present level showed.
        ceiling: what was being served when more was refused; None: no cap is known.
        proven: whether the level has shown what it gives since it was last restored.
        paused: no growth before that moment.
    """

    def __init__(self, settings: Settings, attempts: Attempts) -> None:
        first, low, high, self._interval, increase, decrease, self._backoff = settings
        self.value, self._low, self._high = first, low, high
        self.history: list[Change] = []
        self.known = Evidence()
        self.ceiling: int | None = None
        self.proven = False
        self.paused = -math.inf
        self._attempts, self._scale = attempts, Scale()
        self.startup = Startup(first, low, high, attempts, self._scale)
        self.probing = Probing(low, high, increase, decrease, self._scale)
        self._decide_at = -math.inf
        self._window: Evidence | None = None  # the last one at this level
        self._looked = 0.0  # when the rest was last counted down

    @property
    def state(self) -> State:
        """See `State`; an outage is not this machine's business."""
        if not self.startup.over:
            return State.STARTING
        return State.PROBING if self.probing.active else State.RESTING

    @property
    def beyond(self) -> bool:
        """Whether more is tried than a known cap allows."""
        return self.ceiling is not None and self.probing.active and self.probing.up

    @property
    def belief(self) -> str:
        """The limit, and why it is what it is, in words for a person."""
        words = f"limit {self.value}"
        if self.known.throughput is not None:
            words += f": throughput {self.known.throughput:.3g}/s"
        elif not self.startup.over:
            words += ": starting up"
        if self.probing.gain is not None:
            words += f", elasticity {self.probing.gain:.2g}"
        if self.ceiling is not None:
            words += f", a cap near {self.ceiling}"
        return words

    def note(self, now: float, reason: str, seen: Evidence | None = None) -> None:
        """Put it into the history."""
        self.history.append(Change(now, self.value, reason, seen.throughput if seen else None))
        if len(self.history) > KEPT:
            del self.history[OLDEST]

    def succeeded(self, now: float, attempt: Attempt, latency: float, level: float) -> None:
        """One more, that took `latency` seconds with `level` in flight on average."""
        if self.startup.over:
            self._attempts.keep(attempt, now, latency, level)
            if now >= self._decide_at:
                self._decide(now)
            return
        step = self.startup.succeeded(now, attempt, latency, level, now >= self.paused)
        if step is None or step.known is not None:
            self.value = self.startup.value
        if step is not None:
            self._take(now, step)

    def _take(self, now: float, step: Step) -> None:
        """Do as one of the two says."""
        self.proven = True
        if step.level != self.value or step.known is None:
            self.move(now, step.level, step.reason, step.seen)
        else:
            self.note(now, step.reason, step.seen)
            if self.ceiling is not None and self.value > self.ceiling:
                self.ceiling = None  # more is served than it said
        if step.known is not None:
            self.known = step.known

    def move(self, now: float, level: int, reason: str, seen: Evidence | None = None) -> None:
        """Another limit: attempts that began before it say nothing about it."""
        self.value = min(self._high, max(self._low, level))
        self._attempts.new_epoch(now)
        self.known, self._window = Evidence(), None
        self._looked, self._decide_at = now, now + self._interval
        self.note(now, reason, seen)

    def cut(self, now: float, served: int, hold: float) -> None:
        """
        A cap was met: down to what was being served, at most by `error_backoff_factor`.

        Args:
            served: attempts in flight at the refusal, without the refused one.
            hold: seconds in which nothing starts. They are no rest, and nothing of them is made
                up for.
        """
        rest = RESTS[0]
        if self.beyond:  # what was tried from is known to be served
            served, rest = max(served, self.probing.base), 2.0 * self.probing.rest
        self.ceiling = max(self._low, served)
        level = max(served, math.floor(self._backoff * self.value))
        self._rest(now, min(level, self.value), rest, hold)

    def stay(self, now: float, hold: float) -> None:
        """A rate limit was met, which the number in flight does not change."""
        self.ceiling = None
        level = self.probing.base if self.probing.active else self.value
        self._rest(now, level, RESTS[0], hold)

    def _rest(self, now: float, level: int, rest: float, hold: float) -> None:
        """At this level, whatever was going on, and after a hold of so many seconds."""
        self.startup.over = True
        self.probing.pause(rest)
        self.move(now, level, "cut: congestion")
        self._looked = now + hold

    def interrupted(self) -> int:
        """An outage begins. The level to go back to."""
        level = self.probing.base if self.probing.active else self.value
        self.probing.active = False
        if not self.proven:  # it failed before it showed anything: it was perhaps too much
            level = max(self._low, level // 2)
        self.proven = False
        return level

    def _decide(self, now: float) -> None:
        """Once per interval, as soon as enough attempts are old enough."""
        attempts, scale, probing = self._attempts, self._scale, self.probing
        level = probing.before if probing.active else self.known
        age = 1.5 * attempts.mean
        if level.count:  # what the level was known for may be long ago
            age = min(math.exp(level.latency + scale.spread), OLD * attempts.mean)
        window = attempts.window(now, age, self.value)
        if window is None:
            self._decide_at = now + age / 8  # soon, but not at every completion
            return
        self._decide_at = now + self._interval
        used = attempts.peak >= IN_USE[0] * self.value and window.level >= IN_USE[1] * self.value
        attempts.peak = len(attempts.running)
        if not used:
            if self.history[-1].reason != "held: not in use":
                self.note(now, "held: not in use", window)
            return
        self.proven = True
        scale.learn(window)
        if self._window is not None:
            scale.compare(window, self._window)
            scale.compare(window, self.known)
        self._window = window
        if probing.active:
            step = probing.judge(self.value, self.known, window)
        else:
            rounds = (now - self._looked) / max(self._interval, attempts.mean)
            self._looked, calm = now, now >= self.paused
            step = probing.watch(self.value, self.known, window, rounds, calm, self.ceiling)
        if step is not None:
            self._take(now, step)

    def __repr__(self) -> str:
        cap = "" if self.ceiling is None else f", ceiling {self.ceiling}"
        doing = self.probing if self.startup.over else self.startup
        return f"Limit({self.value}, {self.state.value}{cap}, {self.known}, {self._scale}, {doing})"
