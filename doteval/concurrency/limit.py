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
from .startup import IN_USE, LOWEST, Startup

OLD = 8.0  # times the latest latencies that an attempt need not be older than to be judged
OLDEST, KEPT = 200, 1000  # entries of the history that are kept: the oldest, and in all
SMALL, LARGE = math.log(1.18), math.log(1.7)  # steps of a probe; noisier latencies, larger steps
PRECISE = 0.25  # standard error of the elasticity that a step aims at
QUEUE = 1.15  # latency over the idle one from which on a queue is suspected
CAUTION = 0.5  # standard errors in favour of what is: a limit too low costs the most
LOOK_DOWN = 6  # every sixth probe looks down in any case: what was idle may have changed
RESTS = 2.0, 20.0  # rounds between probes, first and last; at 20 a probe costs 1-2 % of them
TIRED, UNSURE = 2.0, 1.7  # the rest grows by this after a clear failure, and after a doubtful one
# A cap that has stood for long is perhaps shared: one part in so many is left free for so many
# rounds after a probe, or a client that came later is refused for ever.
SHARED, YIELDS = 10, 4.0
MEMORY = 6  # rounds that a level's throughput is averaged over
FELL = 2.5  # standard errors that a fall in throughput must be sure by; one look per interval


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
        base, before: the level that a probe came from, and what it showed; None: no probe.
        rest, left: rounds between two probes, and until the next one.
        ceiling: what was being served when more was refused; None: no cap is known.
        proven: whether the level has shown what it gives since it was last restored.
        paused: no growth before that moment.
    """

    def __init__(self, settings: Settings, attempts: Attempts) -> None:
        first, low, high = settings[:3]
        self.value, self.base = first, first
        self.history: list[Change] = []
        self.known = Evidence()
        self.before: Evidence | None = None
        self.rest = self.left = RESTS[0]
        self.ceiling: int | None = None
        self.proven = False
        self.paused = -math.inf
        self._settings, self._attempts, self._scale = settings, attempts, Scale()
        self.startup = Startup(first, low, high, attempts, self._scale)
        self._step = 0.0  # of the next probe, after one that succeeded: log, negative: down
        self._probes = 0
        self._gain: float | None = None  # elasticity that the last probe found
        self._decide_at = -math.inf
        self._looked = 0.0  # when the rest was last counted down

    @property
    def state(self) -> State:
        """See `State`; an outage is not this machine's business."""
        if not self.startup.over:
            return State.STARTING
        return State.RESTING if self.before is None else State.PROBING

    @property
    def beyond(self) -> bool:
        """Whether more is tried than a known cap allows."""
        return self.ceiling is not None and self.before is not None and self.value > self.base

    @property
    def _rested(self) -> bool:
        """Whether probes have failed for so long that they could not become rarer."""
        return self.rest >= RESTS[1]

    @property
    def belief(self) -> str:
        """The limit, and why it is what it is, in words for a person."""
        words = f"limit {self.value}"
        if self.known.throughput is not None:
            words += f": throughput {self.known.throughput:.3g}/s"
        elif not self.startup.over:
            words += ": starting up"
        if self._gain is not None:
            words += f", elasticity {self._gain:.2g}"
        if self.ceiling is not None:
            words += f", a cap near {self.ceiling}"
        return words

    def note(self, now: float, reason: str, seen: Evidence | None = None) -> None:
        """Put it into the history."""
        self.history.append(Change(now, self.value, reason, seen.throughput if seen else None))
        if len(self.history) > KEPT:
            del self.history[OLDEST]

    def move(
        self,
        now: float,
        level: int,
        reason: str,
        seen: Evidence | None = None,
        known: Evidence | None = None,
    ) -> None:
        """Another limit: attempts that began before it say nothing about it."""
        self.value = min(self._settings.max_concurrency, max(self._settings.min_concurrency, level))
        self._attempts.new_epoch(now)
        self.known = known or Evidence()
        self._looked, self._decide_at = now, now + self._settings.adaptation_interval
        self.note(now, reason, seen)

    def succeeded(self, now: float, attempt: Attempt, latency: float, level: float) -> None:
        """One more, that took `latency` seconds with `level` in flight on average."""
        if self.startup.over:
            if now >= self._decide_at:
                self._decide(now)
            return
        step = self.startup.succeeded(now, attempt, latency, level, now >= self.paused)
        if step is None:
            self.value = self.startup.value
            return
        self.proven = True
        self.move(now, *step)

    def cut(self, now: float, served: int, hold: float) -> None:
        """
        A cap was met: down to what was being served, at most by `error_backoff_factor`.

        Args:
            served: attempts in flight at the refusal, without the refused one.
            hold: seconds in which nothing starts. They are no rest, and nothing of them is made
                up for.
        """
        rest, yielded = RESTS[0], 0
        if self.beyond:  # what was tried from is known to be served
            served, rest = max(served, self.base), 2.0 * self.rest
            yielded = served // SHARED if self._rested else 0
        self.ceiling = max(self._settings.min_concurrency, served)
        level = max(served, math.floor(self._settings.error_backoff_factor * self.value))
        self._stop(now, min(level, self.value) - yielded, rest, hold)
        if yielded:
            self.left = YIELDS

    def stay(self, now: float, hold: float) -> None:
        """A rate limit was met, which the number in flight does not change."""
        self.ceiling = None
        self._stop(now, self.value if self.before is None else self.base, RESTS[0], hold)

    def _stop(self, now: float, level: int, rest: float, hold: float) -> None:
        """Rest at this level, whatever was going on, and after a hold of so many seconds."""
        self.startup.over = True
        self._pause(rest)
        self.move(now, level, "cut: congestion")
        self._looked = now + hold

    def interrupted(self) -> int:
        """An outage begins. The level to go back to."""
        level = self.value if self.before is None else self.base
        self.before = None
        if not self.proven:  # it failed before it showed anything: it was perhaps too much
            level = max(self._settings.min_concurrency, level // 2)
        self.proven = False
        return level

    def _decide(self, now: float) -> None:
        """Once per interval, as soon as enough attempts are old enough."""
        attempts, scale = self._attempts, self._scale
        level = self.before or self.known
        age = 1.5 * attempts.mean
        if level.count:  # what the level was known for may be long ago
            age = min(math.exp(level.latency + scale.spread), OLD * attempts.mean)
        window = attempts.window(now, age, self.value)
        if window is None:
            self._decide_at = now + age / 8  # soon, but not at every completion
            return
        self._decide_at = now + self._settings.adaptation_interval
        if window.level < IN_USE * self.value:
            if self.history[-1].reason != "held: not in use":
                self.note(now, "held: not in use", window)
            return
        self.proven = True
        scale.learn(window)
        if self.before is None:
            self._watch(now, window)
        else:
            self._judge(now, window, self.before)

    def _pause(self, rest: float) -> None:
        """So many rounds until the next probe, within reason."""
        self.before, self._step = None, 0.0
        self.rest = self.left = min(RESTS[1], rest)

    def _watch(self, now: float, window: Evidence) -> None:
        """Resting at a level: shrink, try another one, or nothing."""
        known, scale, settings = self.known, self._scale, self._settings
        ratio = 1.0
        if known.count:
            scale.compare(window, known)
            gain = window.rate - known.rate
            ratio = math.exp(gain)
            fell = math.exp(gain + FELL * scale.error(window, known)) < settings.decrease_threshold
            if fell and self.value > settings.min_concurrency:
                self._pause(1.0)
                level = min(self.value - 1, round(self.value * max(ratio, 0.5)))
                self.move(now, level, told("shrank", known, window), window)
                return
        known.merge(window, max(MEMORY * max(8, self.value), 2.0 * scale.plenty))
        self.left -= (now - self._looked) / max(settings.adaptation_interval, self._attempts.mean)
        self._looked = now
        if self.left <= 0 and ratio >= settings.increase_threshold and now >= self.paused:
            self._try(now)

    def _try(self, now: float) -> None:
        """Another level: up, or down where a queue is suspected."""
        scale, known, value = self._scale, self.known, self.value
        self._probes += 1
        top = value >= self._settings.max_concurrency
        queue = scale.idle is None or known.latency - scale.idle > math.log(QUEUE)
        up = self._step > 0
        if not self._step:  # nothing succeeded just now
            often = 2 if queue else LOOK_DOWN
            up = bool(self._probes % often) or (self.ceiling is not None and not queue)
        up = (up and not (top and queue)) or value <= max(self._settings.min_concurrency, LOWEST)
        if up and top:  # nothing to gain either way
            self.left = self.rest
            return
        error = scale.error(known, known)
        step = max(abs(self._step), min(LARGE, max(SMALL, error / PRECISE)))
        level, reason = min(value - 1, round(value / math.exp(step))), "probing: less"
        if up:
            level, reason = max(value + 1, round(value * math.exp(step))), "probing: more"
            if self.ceiling is not None:
                level = min(level, max(self.ceiling, value + 1))
        self.base, self.before = value, known
        self.move(now, level, reason, known)

    def _judge(self, now: float, window: Evidence, before: Evidence) -> None:
        """Keep the new level, go back, or wait for more evidence."""
        here, scale, up = self.known, self._scale, self.value > self.base
        here.merge(window)
        gain, error = scale.elasticity(here, before)
        worth = scale.worth(here if up else before)
        score, doubt = gain - worth, 0.0 if up else CAUTION * error
        enough = here.count >= max((3 if up else 6) * self.value, scale.plenty)
        if not enough and -error - doubt <= score <= error:
            return
        scale.see_idle(before if up else here)
        self._gain = gain
        if (score + doubt > 0) is up:
            self.before = None
            step = 2.0 * math.log(self.value / self.base)
            self._step = max(-LARGE, min(LARGE, step))
            if not self._rested or self.ceiling is None or self.value > self.ceiling:
                self.rest = RESTS[0]
            self.left = self.rest
            verb = "grew" if up else "shrank: not needed"
            self.note(now, told(verb, before, here, gain), here)
            if self.ceiling is not None and self.value > self.ceiling:
                self.ceiling = None  # more is served than it said
            return
        self._pause(self.rest * (UNSURE if abs(score) < error else TIRED))
        self.move(now, self.base, told("back", before, here, gain), here, before)

    def __repr__(self) -> str:
        cap = "" if self.ceiling is None else f", ceiling {self.ceiling}"
        doing = f"{self._probes} probes, next in {self.left:.3g} rounds"
        if not self.startup.over:
            doing = repr(self.startup)
        return f"Limit({self.value}, {self.state.value}{cap}, {self.known}, {self._scale}, {doing})"


def told(verb: str, before: Evidence, after: Evidence, gain: float | None = None) -> str:
    """What two levels showed, in words."""
    words = f"{verb}: throughput {before.throughput:.3g} → {after.throughput:.3g}/s"
    return words if gain is None else f"{words}, elasticity {gain:.2g}"
