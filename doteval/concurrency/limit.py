"""
How many attempts may be in flight: the number beyond which an endpoint gives nothing more.

    STARTING ──the rounds stop paying──▶ RESTING ◀──verdict──▶ PROBING

Everything is decided by the *elasticity* of throughput: its relative gain per relative change of
the limit. 1 where nobody queues, 0 behind a full queue, below 0 where the endpoint thrashes.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from typing import NamedTuple

from .evidence import INSTANT, Attempt, Attempts, Evidence, Scale
from .startup import CALM, LOWEST, PAYS, Startup

# Probing
SMALL, LARGE = math.log(1.18), math.log(1.6)  # steps of a probe; noisier latencies, larger steps
PRECISE = 0.25  # standard error of the elasticity that a step aims at
DOUBLING = math.log(2.0)  # the largest step, after probes that succeeded in a row
QUEUE = 1.15  # latency over the idle one from which on a queue is suspected
GIVE_UP = 1.5  # standard errors that a smaller limit must be sure by: too low costs the most
LOOK_DOWN = 6  # every sixth probe looks down in any case: what was idle may have changed
RESTS = 2.0, 20.0  # rounds between probes, first and last; at 20 a probe costs 1-2 % of them
TIRED, UNSURE = 2.0, 1.7  # the rest grows by this after a clear failure, and after a doubtful one
OLD = 8.0  # times the latest latencies that an attempt need not be older than to be judged
MEMORY = 6  # rounds that a level's throughput is averaged over
USED = 0.9, 0.85  # share of the limit reached at most, and on average, for it to be in use
FELL = 2.5  # standard errors that a fall in throughput must be sure by; one look per interval

OLDEST, RECENT = 200, 800  # entries of the history that are kept


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


class History:
    """The limit's changes with their reasons: the first 200 and the latest 800."""

    def __init__(self) -> None:
        self._first: list[Change] = []
        self._recent: deque[Change] = deque(maxlen=RECENT)

    def note(self, now: float, limit: int, reason: str, seen: Evidence | None = None) -> None:
        """One more."""
        change = Change(now, limit, reason, seen.throughput if seen else None)
        (self._first if len(self._first) < OLDEST else self._recent).append(change)

    @property
    def last(self) -> Change:
        """The latest one."""
        return (self._recent or self._first)[-1]

    def all(self) -> tuple[Change, ...]:
        """From the oldest to the latest."""
        return (*self._first, *self._recent)

    def __repr__(self) -> str:
        return " → ".join(str(change.limit) for change in self.all()[-8:])


class Probe:
    """
    Trying other levels: where from, which way, how far, and when again.

    Attributes:
        base, known: the level that the present probe came from, and what it showed.
        direction: 1 up, -1 down; of the present probe, or of the last one.
        step: of the next probe in that direction, if the last one succeeded; else 0.
        rest, left: rounds between two probes, and until the next one.
        count: probes so far.
    """

    __slots__ = ("base", "count", "direction", "known", "left", "rest", "step")

    def __init__(self, base: int) -> None:
        self.base, self.known = base, Evidence()
        self.direction, self.step, self.count = 1, 0.0, 0
        self.rest = self.left = RESTS[0]

    def pause(self, rest: float) -> None:
        """So many rounds until the next one, within reason."""
        self.rest = self.left = min(RESTS[1], rest)

    def __repr__(self) -> str:
        way = "up" if self.direction > 0 else "down"
        return f"Probe({self.count}: {way} from {self.base}, next in {self.left:.3g} rounds)"


class Limit:
    """
    Finds the limit from what succeeds, and follows it.

    Attributes:
        value: attempts that may be in flight now. Running ones are never pre-empted.
        state: see `State`.
        known: what the present level showed.
        ceiling: what was being served when more was refused; None: no cap is known.
        proven: whether the level has shown what it gives since it was last restored.
        paused: no growth before that moment.
    """

    def __init__(self, settings: Settings, attempts: Attempts, history: History) -> None:
        self.value = settings.initial_concurrency
        self.state = State.STARTING
        self.known = Evidence()
        self.ceiling: int | None = None
        self.proven = False
        self.paused = -math.inf
        self.scale = Scale()
        self.startup = Startup(self.value)
        self.probe = Probe(self.value)
        self._settings, self._attempts, self._history = settings, attempts, history
        self._decide_at = -math.inf
        self._window: Evidence | None = None  # the last one at this level
        self._gain: float | None = None  # elasticity that the last probe found
        self._down = False  # whether the level below is being tried
        self._looked = 0.0  # when the rest was last counted down
        if self.value <= self._floor:
            self.startup.falling = self.startup.guess = False

    @property
    def beyond(self) -> bool:
        """Whether more is tried than a known cap allows."""
        return self.ceiling is not None and self.state is State.PROBING and self.probe.direction > 0

    @property
    def belief(self) -> str:
        """The limit, and why it is what it is, in words for a person."""
        words = f"limit {self.value}"
        if self.known.throughput is not None:
            words += f": throughput {self.known.throughput:.3g}/s"
        elif self.state is State.STARTING:
            words += ": starting up"
        if self._gain is not None:
            words += f", elasticity {self._gain:.2g}"
        if self.ceiling is not None:
            words += f", a cap near {self.ceiling}"
        return words

    # ---------------------------------------------------------------- what others tell

    def succeeded(self, now: float, attempt: Attempt, latency: float, level: float) -> None:
        """One more, that took `latency` seconds with `level` in flight on average."""
        if self.state is State.STARTING and self.startup.falling:
            self._fall(now, attempt, latency, level)
            return
        if self.state is State.STARTING:
            startup = self.startup
            room = min((1 + startup.growth) * startup.size, self._settings.max_concurrency)
            if startup.held:
                room = startup.size
            if self.value < room and now >= self.paused:
                self.value = min(room, self.value + startup.growth)
            done = startup.add(level, latency)
            if done is not None:
                self._end_round(now, done)
            return
        self._attempts.keep(attempt, now, latency, level)
        if now >= self._decide_at:
            self._decide(now)

    def move(self, now: float, level: int, reason: str, seen: Evidence | None = None) -> None:
        """Another limit: attempts that began before it say nothing about it."""
        self.value = min(self._settings.max_concurrency, max(self._settings.min_concurrency, level))
        self._attempts.new_epoch(now)
        self._window = None
        self.known = Evidence()
        self._looked, self._decide_at = now, now + self._settings.adaptation_interval
        self._history.note(now, self.value, reason, seen)

    def cut(self, now: float, served: int, hold: float) -> None:
        """
        A cap was met: down to what was being served, at most by `error_backoff_factor`.

        Args:
            served: attempts in flight at the refusal, without the refused one.
            hold: seconds in which nothing starts. They are no rest, and nothing of them is made
                up for.
        """
        expected, probe = self.beyond, self.probe
        probe.pause(2.0 * probe.rest if expected else RESTS[0])
        probe.step = 0.0
        if expected:  # what was tried from is known to be served
            served = max(served, probe.base)
        self.ceiling = max(self._settings.min_concurrency, served)
        level = max(served, math.floor(self._settings.error_backoff_factor * self.value))
        self.rest(now, min(level, self.value), "cut: congestion", hold)

    def stay(self, now: float, hold: float) -> None:
        """A rate limit was met, which the number in flight does not change."""
        self.ceiling = None
        self.probe.pause(RESTS[0])
        level = self.probe.base if self.state is State.PROBING else self.value
        self.rest(now, level, "cut: congestion", hold)

    def rest(self, now: float, level: int, reason: str, hold: float) -> None:
        """At this level, whatever was going on, and after a hold of so many seconds."""
        self.state = State.RESTING
        self.move(now, level, reason)
        self._looked = now + hold

    def interrupted(self) -> int:
        """An outage begins. The level to go back to."""
        self._down = self.startup.guess = False
        level = self.value
        if self.state is State.PROBING:
            level, self.state = self.probe.base, State.RESTING
        if not self.proven:  # it failed before it showed anything: it was perhaps too much
            level = max(self._settings.min_concurrency, level // 2)
        self.proven = False
        return level

    # ---------------------------------------------------------------- starting up

    @property
    def _floor(self) -> int:
        """Nothing looks down to less."""
        return max(self._settings.min_concurrency, LOWEST)

    def _end_round(self, now: float, done: Evidence) -> None:
        """As many have succeeded as were allowed when the round began: did its growth pay?"""
        startup, attempts, top = self.startup, self._attempts, self._settings.max_concurrency
        self.proven = True
        self.scale.learn(done)
        paid, reached = startup.judge(done, self.scale)
        if reached is not None:
            level = round(reached)
            if not self._floor < level <= CALM:
                self._settle(now, level, "held: more only queues", done)
                return
            startup.fall(Evidence())
            self.move(now, level, "held: more only queues", done)
            return
        used, attempts.peak = attempts.peak >= USED[0] * startup.size, 0
        if not used or not (paid or startup.held):
            startup.held = used  # once: another round at this level
            self.value = startup.size
            startup.begin(self.value)
            return
        startup.held = False
        startup.paid(done, self.scale)
        if startup.size >= top:
            self._settle(now, top, "held: the maximum", done)
            return
        startup.begin(self.value)
        self._history.note(now, self.value, "grew: starting up", done)

    def _fall(self, now: float, attempt: Attempt, latency: float, level: float) -> None:
        """Half of the level, and half of that, as long as that brings as much."""
        startup, scale = self.startup, self.scale
        here = attempt.epoch == self._attempts.epoch
        if not self._down:
            volley = startup.guess and self.value <= CALM
            if here and (volley or attempt.in_flight >= USED[1] * self.value):
                startup.high.add(level, latency)
            if startup.high.count >= (1 if volley else max(CALM, self.value // 2)):
                self._look_down(now)
            return
        if not here:
            if startup.guess and startup.high.count < startup.size <= CALM:  # the volley's others
                startup.high.add(level, latency)
            return
        startup.low.add(level, latency)
        low = startup.low
        if low.count < self.value:  # those that run took at least as long until now
            low = Evidence()
            low.merge(startup.low)
            for running in self._attempts.running.values():
                if running.epoch == self._attempts.epoch:
                    low.add(running.in_flight, max(now - running.start, INSTANT))
            if scale.elasticity(startup.high, low)[0] < PAYS:
                return
        self.proven = True
        scale.learn(startup.low)
        gain, error = scale.elasticity(startup.high, low)
        if gain + error < PAYS:
            if self.value <= self._floor:
                self._settle(now, self.value, "held: more only queues", startup.low)
                return
            startup.fall(startup.low)
            startup.guess = False
            self._look_down(now)
            return
        self._down = False
        if startup.guess:
            factor = 3 if startup.size <= CALM else 2
            size = min(factor * startup.size, self._settings.max_concurrency)
            scale.see_idle(startup.low)
            self.move(now, size, "grew: starting up", startup.low)
            startup.rise(size)
            return
        reached = startup.low.level * math.exp(max(0.0, startup.high.rate - startup.low.rate))
        self._settle(now, round(reached), "held: more only queues", startup.low)

    def _look_down(self, now: float) -> None:
        self._down = True
        level = max(self._floor, (self.value + 1) // 2)
        self.move(now, level, "looking down", self.startup.high)

    def _settle(self, now: float, level: int, reason: str, seen: Evidence) -> None:
        """The start-up is over."""
        if self.startup.falling:
            self.scale.see_idle(seen)
        else:
            self.startup.settle(self._attempts, self.scale, now)
        self.move(now, level, reason, seen)
        self.probe.pause(RESTS[0])
        self.state = State.RESTING

    # ---------------------------------------------------------------- resting and probing

    def _decide(self, now: float) -> None:
        level = self.probe.known if self.state is State.PROBING else self.known
        scale, attempts = self.scale, self._attempts
        age = 1.5 * attempts.mean
        if level.count:  # what the level was known for may be long ago
            age = min(math.exp(level.latency + scale.spread), OLD * attempts.mean)
        window = attempts.window(now, age, self.value)
        if window is None:
            self._decide_at = now + age / 8  # soon, but not at every completion
            return
        self._decide_at = now + self._settings.adaptation_interval
        used = attempts.peak >= USED[0] * self.value and window.level >= USED[1] * self.value
        attempts.peak = len(attempts.running)
        if not used:
            if self._history.last.reason != "held: not in use":
                self._history.note(now, self.value, "held: not in use", window)
            return
        self.proven = True
        scale.learn(window)
        if self._window is not None:
            scale.compare(window, self._window)
            scale.compare(window, self.known)
        self._window = window
        if self.state is State.PROBING:
            self._judge_probe(now, window)
        else:
            self._watch(now, window)

    def _watch(self, now: float, window: Evidence) -> None:
        """Compare the last interval with what the level is known for."""
        known, probe, settings, ratio = self.known, self.probe, self._settings, 1.0
        if known.count:
            gain = window.rate - known.rate
            error = self.scale.error(window, known)
            ratio = math.exp(gain)
            fell = math.exp(gain + FELL * error) < settings.decrease_threshold
            if fell and self.value > settings.min_concurrency:
                level = min(self.value - 1, round(self.value * max(ratio, 0.5)))
                probe.step, probe.direction = 0.0, 1
                probe.pause(1.0)
                self.move(now, level, _told("shrank", known, window), window)
                return
        known.merge(window, max(MEMORY * max(8, self.value), 2.0 * self.scale.plenty))
        probe.left -= (now - self._looked) / max(settings.adaptation_interval, self._attempts.mean)
        self._looked = now
        if probe.left <= 0 and ratio >= settings.increase_threshold and now >= self.paused:
            self._probe(now)

    def _probe(self, now: float) -> None:
        """Try another level: up, or down where a queue is suspected."""
        known, probe, scale = self.known, self.probe, self.scale
        probe.count += 1
        queue = scale.idle is None or known.latency - scale.idle > math.log(QUEUE)
        direction = self._direction(queue)
        if direction == 0:
            return
        error = scale.error(known, known)
        step = max(probe.step, min(LARGE, max(SMALL, error / PRECISE)))
        level = round(self.value * math.exp(direction * step))
        level = max(level, self.value + 1) if direction > 0 else min(level, self.value - 1)
        if direction > 0 and self.ceiling is not None:
            level = min(level, max(self.ceiling, self.value + 1))
        probe.base, probe.known, probe.direction = self.value, known, direction
        self.state = State.PROBING
        self.move(now, level, "probing: more" if direction > 0 else "probing: less", known)

    def _direction(self, queue: bool) -> int:
        """Which way to probe; 0: there is nothing to gain either way."""
        probe, settings = self.probe, self._settings
        direction = probe.direction
        if not probe.step:  # nothing succeeded just now
            down = probe.count % 2 == 0 if queue else probe.count % LOOK_DOWN == 0
            direction = -1 if down and (queue or self.ceiling is None) else 1
        if direction > 0 and self.value >= settings.max_concurrency:
            if not queue:
                probe.left = probe.rest
                return 0
            direction = -1
        if direction < 0 and self.value <= self._floor:
            direction = 1
        return 0 if direction > 0 and self.value >= settings.max_concurrency else direction

    def _judge_probe(self, now: float, window: Evidence) -> None:
        """Keep the new level, go back, or wait for more evidence."""
        here, base, scale = self.known, self.probe.known, self.scale
        up = self.probe.direction > 0
        here.merge(window)
        gain, error = scale.elasticity(here, base)
        worth = scale.worth(here if up else base)
        enough = here.count >= max((3 if up else 6) * self.value, scale.plenty)
        if gain - error > worth:
            higher = True
        elif gain + (error if up else GIVE_UP * error) < worth:
            higher = False
        elif enough:
            higher = gain > worth if up else gain + 0.5 * error > worth
        else:
            return
        doubtful = abs(gain - worth) < error
        if not up or scale.idle is not None:  # before the first look down a queue may be in it
            scale.see_idle(base if up else here)
        self.state = State.RESTING
        if higher is up:
            self._keep(now, here, base)
        else:
            self._return(now, here, base, UNSURE if doubtful else TIRED)

    def _keep(self, now: float, here: Evidence, base: Evidence) -> None:
        """The probe succeeded: stay, and soon take a larger step in the same direction."""
        probe, up = self.probe, self.probe.direction > 0
        if up and self.ceiling is not None and self.value > self.ceiling:
            self.ceiling = None
        probe.step = min(DOUBLING, 2.0 * abs(math.log(self.value / probe.base)))
        probe.rest, probe.left = RESTS[0], RESTS[0] / 2
        self._gain = self.scale.elasticity(here, base)[0]
        told = _told("grew" if up else "shrank: not needed", base, here, self._gain)
        self._history.note(now, self.value, told, here)

    def _return(self, now: float, here: Evidence, base: Evidence, tired: float) -> None:
        """The probe failed: back, keeping the part that was gained, and rest longer."""
        probe, level = self.probe, float(self.probe.base)
        if probe.direction > 0:
            level *= math.exp(min(max(0.0, here.rate - base.rate), LARGE))
        probe.step = 0.0
        probe.pause(probe.rest * tired)
        self._gain = self.scale.elasticity(here, base)[0]
        self.move(now, round(level), _told("back", base, here, self._gain), here)
        if self.value == probe.base:
            self.known = base

    def __repr__(self) -> str:
        cap = "" if self.ceiling is None else f", ceiling {self.ceiling}"
        doing = self.startup if self.state is State.STARTING else self.probe
        return f"Limit({self.value}, {self.state.value}{cap}, {self.known}, {self.scale}, {doing})"


def _told(verb: str, before: Evidence, after: Evidence, gain: float | None = None) -> str:
    told = f"{verb}: throughput {before.throughput:.3g} → {after.throughput:.3g}/s"
    return told if gain is None else f"{told}, elasticity {gain:.2g}"
