"""
How many attempts may be in flight: numbers in, a limit out.

The loop tells when attempts start and how they end; the controller answers with `limit` and
`ready_at`. It reads no clock, waits for nothing and knows neither asyncio nor any client, so the
same events always give the same decisions. docs/explanation/adaptive-controller.md has the
reasons, the sources and the measurements.

    STARTING ──the rounds stop paying──▶ RESTING ◀──verdict──▶ PROBING
        │                                 ▲  │
        └───────── refused: cut ──────────┘  └─ a whole window fails ─▶ OUTAGE ─▶ back

Everything is decided by the *elasticity* of throughput: its relative gain per relative change of
the limit. 1 where nobody queues, 0 behind a full queue, below 0 where the endpoint thrashes.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

# Starting up
CAUTIOUS = 16  # a first limit above this is no start but a guess: half of it is tried first
PAYS = 0.5  # elasticity that a doubling must keep; half of what was added must arrive
CALM = 8  # rounds up to this size show what a latency without a queue is
SURE = 2.0  # standard errors against it before the start-up ends: stopping early costs most

# Probing
SMALL, LARGE = math.log(1.18), math.log(1.6)  # steps of a probe; noisier latencies, larger steps
PRECISE = 0.25  # standard error of the elasticity that a step aims at
DOUBLING = math.log(2.0)  # the largest step, after probes that succeeded in a row
WORTH, DEARER, DEAREST = 0.25, 0.3, 0.8  # elasticity that growth must show, see _worth()
QUEUE = 1.15  # latency over the idle one from which on a queue is suspected
GIVE_UP = 1.5  # standard errors that a smaller limit must be sure by: too low costs the most
LOOK_DOWN = 6  # every sixth probe looks down in any case: what was idle may have changed
RESTS = 2.0, 20.0  # rounds between probes, first and last; at 20 a probe costs 1-2 % of them
TIRED, UNSURE = 2.0, 1.7  # the rest grows by this after a clear failure, and after a doubtful one

# Evidence
ROUND = 16  # attempts that make a window, where the limit is not smaller: 25 % noise or less
FEW = 4  # attempts that make a window at the smallest limits
MEMORY = 6  # rounds that a level's throughput is averaged over
NOISE = 0.1  # standard error of log latency that ends an undecided probe
PRIOR, PRIOR_WEIGHT, LEARNT = 0.4, 4.0, 200.0  # spread of log latency before it is known
INSTANT = 1e-6  # seconds; nothing is taken to be faster
KEPT = 5_000  # attempts that wait to be judged; more would not make a window better
UNFINISHED = 1.5  # a running attempt counts as this much of its age
USED = 0.9, 0.85  # share of the limit reached at most, and on average, for it to be in use
FELL = 2.5  # standard errors that a fall in throughput must be sure by; one look per interval

# Refusals
PROOF = 8  # attempts accepted since the last refusal that make the next one tell cap from rate
BELOW = 0.97  # pace after a refusal, as a share of the rate that was accepted
PLATEAU = 40.0  # accepted attempts until the pace is back at that rate; then it probes beyond
PATIENCE = 5.0  # a refusal that costs a hold of h seconds is risked once in 10·h seconds
LONGEST = 60.0  # seconds of a hold that are believed here; the loop obeys all of them
OVERSHOT = 1.2  # pace at a refusal over what was accepted: an overflowing bucket hid the rest
RATE_GONE = 3.0  # pace over the known rate from which on the old rate means nothing

# Trouble
STREAK = 5  # failures without a success, and at least a whole window of them: an outage
PROBE_GAPS = 1.0, 1.5, 5.0  # seconds between probes of an outage: first, factor, last

FIRST, RECENT = 200, 800  # entries of the history that are kept


class Outcome(enum.Enum):
    """How an attempt ended, as far as the endpoint's capacity is concerned."""

    SUCCESS = "success"
    CONGESTION = "congestion"  # 429, 529, 503 with Retry-After, throttling: too much was asked
    TROUBLE = "trouble"  # other 5xx, timeouts, lost connections: perhaps too much, perhaps not
    IGNORED = "ignored"  # cancelled, programming errors: says nothing about capacity


class State(enum.Enum):
    """What the controller is doing."""

    STARTING = "starting"  # one more attempt per success, as long as the rounds pay
    RESTING = "resting"  # watching whether the level keeps its throughput
    PROBING = "probing"  # trying another level
    OUTAGE = "outage"  # nothing succeeds: the minimum, with spaced attempts


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


class Evidence:
    """
    What a level showed: attempts, how many were in flight meanwhile, how long they took.

    The typical latency is the square of the mean square root. The mean is at the mercy of the
    longest answers, the logarithm at that of the shortest (cached ones); the root is between, and
    an added wait shows twice as clearly against heavy-tailed answers as it does in the mean.
    """

    __slots__ = ("count", "in_flight", "roots", "seconds")

    def __init__(self) -> None:
        self.count = self.in_flight = self.roots = self.seconds = 0.0

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


class Controller:
    """
    Finds the number of attempts in flight beyond which an endpoint gives nothing more.

    Args:
        initial_concurrency: the limit to start with.
        min_concurrency, max_concurrency: the limit never leaves this range.
        adaptation_interval: seconds; at most one decision in each (the start-up decides per round
            of completions).
        increase_threshold: the limit may grow while the throughput of the last interval is at
            least this share of what the level is known for.
        decrease_threshold: it shrinks when that throughput is surely below this share.
        error_backoff_factor: a refusal cuts the limit to what was being served, at most by this.

    Attributes:
        limit: attempts that may be in flight now. Running ones are never pre-empted.
        state: see `State`.
    """

    def __init__(
        self,
        initial_concurrency: int = 5,
        min_concurrency: int = 1,
        max_concurrency: int = 100,
        adaptation_interval: float = 2.0,
        increase_threshold: float = 0.98,
        decrease_threshold: float = 0.90,
        error_backoff_factor: float = 0.7,
    ) -> None:
        self.limit = initial_concurrency
        self.state = State.STARTING
        self._min, self._max = min_concurrency, max_concurrency
        self._interval = adaptation_interval
        self._increase, self._decrease = increase_threshold, decrease_threshold
        self._factor = error_backoff_factor
        self._first: list[Change] = []
        self._recent: deque[Change] = deque(maxlen=RECENT)

        # Attempts. An epoch is the time between two changes of the limit.
        self._tokens = 0
        self._epoch = 0
        # start, in flight then, area then, epoch
        self._running: dict[int, tuple[float, int, float, int]] = {}
        self._done: list[tuple[float, float, float]] = []  # start, mean in flight, latency
        self._area, self._area_at = 0.0, 0.0  # attempts in flight, integrated over time
        self._judged = -math.inf  # attempts begun until then have been counted
        self._decide_at = -math.inf
        self._peak = 0  # most attempts in flight since the last look
        self._mean = 0.0  # latency of recent successes, seconds
        self._deviations, self._weight = PRIOR_WEIGHT * PRIOR**2, PRIOR_WEIGHT
        self._spread = PRIOR  # standard deviation of log latency around its level's mean

        # Starting
        self._size = self.limit  # completions that make the present round
        self._round, self._before = Evidence(), Evidence()
        self._calm = Evidence()  # all rounds that paid
        self._idle: float | None = None  # log latency without a queue, no less than it is

        # Resting and probing
        self._known = Evidence()  # of the present level
        self._base, self._base_known = self.limit, Evidence()  # where a probe came from
        self._rest = self._left = RESTS[0]  # rounds
        self._looked = 0.0  # when `_left` was last counted down
        self._probes = 0
        self._step = 0.0  # of the next probe in the direction that just succeeded
        self._direction = 1
        if self.limit > CAUTIOUS:
            self.state = State.RESTING
            self._step, self._direction = DOUBLING, -1

        # Refusals
        self._cut_token = 0  # attempts from this one on began after the last cut
        self._refused_token, self._refused_at = -1, -math.inf
        self._hold = 0.0  # seconds that the last refusal asked for
        self._accepted = 0  # most in flight at the start of an attempt that was accepted since
        self._ceiling: int | None = None  # what was being served when more was refused
        self._spaced = 0  # attempts before this one start spaced, not in one volley
        self._pace: float | None = None  # starts per second, once a rate limit is proven
        self._rate, self._rate_count, self._rate_known = 0.0, 0, 0
        self._plateau, self._width = PLATEAU, 1.0 - BELOW
        self._next_start = -math.inf

        # Trouble
        self._streak = 0
        self._pause = -math.inf  # no growth before
        self._proven = False  # the level has shown what it gives since it was last restored
        self._outage_limit, self._outage_gap = self.limit, PROBE_GAPS[0]
        self._outage_state = State.STARTING

    # ---------------------------------------------------------------- the loop's side

    @property
    def history(self) -> Sequence[Change]:
        """The limit's changes with their reasons: the first 200 and the latest 800."""
        return (*self._first, *self._recent)

    @property
    def outage(self) -> bool:
        """Whether nothing succeeds at present."""
        return self.state is State.OUTAGE

    def ready_at(self, now: float) -> float:
        """The earliest moment for the next start, seconds; `now` or before: at once."""
        return self._next_start

    def started(self, now: float) -> int:
        """An attempt starts. Returns a token for `ended`."""
        token = self._tokens
        self._tokens += 1
        if token == 0:
            self._note(now, "start")
        self._integrate(now)
        in_flight = len(self._running) + 1
        self._peak = max(self._peak, in_flight)
        self._running[token] = (now, in_flight, self._area, self._epoch)
        if self.state is State.OUTAGE:
            self._next_start = now + self._outage_gap
        elif self._pace is not None:  # a late start may be made up for, by one gap
            self._next_start = max(self._next_start, now - 1.0 / self._pace) + 1.0 / self._pace
        elif token < self._spaced:
            self._next_start = now + self._mean / self.limit
        return token

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> None:
        """The attempt of this token ended. Each token is given back exactly once."""
        self._integrate(now)
        start, in_flight, area, epoch = self._running.pop(token)
        if outcome is Outcome.SUCCESS:
            if token >= self._cut_token:
                self._accepted = max(self._accepted, in_flight)
            latency = max(now - start, INSTANT)
            mean = (self._area - area) / latency if latency > INSTANT else in_flight
            self._succeeded(now, latency, max(1.0, mean), epoch)
        elif outcome is Outcome.CONGESTION:
            self._refused(token, now, start, in_flight, retry_after or 0.0)
        elif outcome is Outcome.TROUBLE:
            self._failed(now)

    def _integrate(self, now: float) -> None:
        self._area += len(self._running) * (now - self._area_at)
        self._area_at = now

    # ---------------------------------------------------------------- successes

    def _succeeded(self, now: float, latency: float, n: float, epoch: int) -> None:
        """One more, that took `latency` seconds with `n` in flight on average."""
        self._streak = 0
        self._mean += (latency - self._mean) * (0.05 if self._mean else 1.0)
        if self._pace is not None:
            self._explore_rate(now)
        if self.state is State.OUTAGE:
            # an attempt from before the outage that comes back late does not end it
            if epoch == self._epoch or self.limit > self._min:
                self._recover(now)
        elif self.state is State.STARTING:
            self._round.add(n, latency)
            if self.limit < min(2 * self._size, self._max) and now >= self._pause:
                self.limit += 1
            if self._round.count >= self._size:
                self._end_round(now)
        else:
            if epoch == self._epoch and now - latency > self._judged and len(self._done) < KEPT:
                self._done.append((now - latency, n, latency))
            if now >= self._decide_at:
                self._decide(now)

    def _end_round(self, now: float) -> None:
        """As many have succeeded as were allowed when the round began: did its growth pay?"""
        done, before = self._round, self._before
        self._round, self._proven = Evidence(), True
        self._learn(done)
        for earlier in (before, self._calm):
            if earlier.count and self._stalls(done, earlier):
                reached = earlier.level * math.exp(max(0.0, done.rate - earlier.rate))
                self._settle(now, round(reached), "held: more only queues", done)
                return
        used, self._peak = self._peak >= USED[0] * self._size, 0
        if not used:
            self.limit = self._size
            return
        if self._size <= CALM:
            self._calm.merge(done)
            self._see_idle(self._calm)
        if self._size >= self._max:
            self._settle(now, self._max, "held: the maximum", done)
            return
        self._before, self._size = done, self.limit
        self._note(now, "grew: starting up", done)

    def _stalls(self, done: Evidence, earlier: Evidence) -> bool:
        """Whether growth since the earlier round surely brought less than it must."""
        gain, error = self._elasticity(done, earlier)
        both = Evidence()  # few attempts can look alike by chance: their whole spread counts
        both.merge(earlier)
        both.merge(done)
        error *= max(1.0, math.sqrt(both.variance) / self._spread)
        return gain + SURE * error < max(PAYS, self._worth(done))

    def _settle(self, now: float, level: int, reason: str, seen: Evidence) -> None:
        """The start-up is over. Its rounds saw the short answers first: count the others too."""
        for start, in_flight, _, _ in self._running.values():
            if in_flight <= min(CALM, self._size // 2):  # begun while the rounds paid
                self._calm.add(in_flight, max(now - start, INSTANT))
        self._idle = None
        if self._calm.count:
            self._see_idle(self._calm)
        self._move(now, level, reason, seen)
        self._rest = self._left = RESTS[0]
        self.state = State.RESTING

    # ---------------------------------------------------------------- evidence

    def _elasticity(self, new: Evidence, old: Evidence) -> tuple[float, float]:
        """Relative gain of throughput per relative change of concurrency, and its error."""
        step = math.log(new.level / old.level)
        if abs(step) < 0.02:  # in fact the same level
            return PAYS, math.inf
        error = self._spread * math.sqrt(1.0 / new.count + 1.0 / old.count)
        return (new.rate - old.rate) / step, error / abs(step)

    def _worth(self, seen: Evidence) -> float:
        """
        The elasticity that growth to a level must show.

        A quarter on an idle endpoint, more the longer it makes everybody wait: so a queue stays
        short, and of two clients of one endpoint the larger is the first to stop.
        """
        inflation = 1.0 if self._idle is None else math.exp(max(0.0, seen.latency - self._idle))
        return min(DEAREST, WORTH + DEARER * (inflation - 1.0))

    def _see_idle(self, seen: Evidence) -> None:
        """The lowest latency seen, plus two standard errors: the least of many is a lucky one."""
        least = seen.latency + 2.0 * self._spread / math.sqrt(seen.count)
        self._idle = least if self._idle is None else min(self._idle, least)

    def _learn(self, window: Evidence) -> None:
        """How much latencies spread around their level's mean: pooled, slowly forgotten."""
        self._deviations += window.variance * window.count
        self._weight += window.count - 1.0
        keep = min(1.0, LEARNT / self._weight)
        self._deviations *= keep
        self._weight *= keep
        self._spread = max(0.05, math.sqrt(self._deviations / self._weight))

    def _window(self, now: float) -> Evidence | None:
        """
        The attempts of this epoch that are old enough to be judged, each once; None if too few.

        Judging by age, not by completion, keeps the short answers from coming first: those still
        running at that age count by it (a censored sample).
        """
        level = self._base_known if self.state is State.PROBING else self._known
        age = math.exp(level.latency + self._spread) if level.count else 1.5 * self._mean
        until = now - age
        window, young = Evidence(), []
        for attempt in self._done:
            if attempt[0] <= until:
                window.add(attempt[1], attempt[2])
            else:
                young.append(attempt)
        for start, _, area, epoch in self._running.values():
            if start > until:
                break
            if epoch == self._epoch and start > self._judged:
                window.add((self._area - area) / (now - start), UNFINISHED * (now - start))
        if window.count < max(FEW, min(ROUND, self.limit)):
            self._decide_at = now + age / 8  # soon, but not at every completion
            return None
        self._done, self._judged = young, until
        self._decide_at = now + self._interval
        return window

    # ---------------------------------------------------------------- decisions

    def _decide(self, now: float) -> None:
        window = self._window(now)
        if window is None:
            return
        used = self._peak >= USED[0] * self.limit and window.level >= USED[1] * self.limit
        self._peak = len(self._running)
        if not used:
            if (self._recent or self._first)[-1].reason != "held: not in use":
                self._note(now, "held: not in use", window)
            return
        self._proven = True
        self._learn(window)
        if self.state is State.PROBING:
            self._judge_probe(now, window)
        else:
            self._watch(now, window)

    def _watch(self, now: float, window: Evidence) -> None:
        """Compare the last interval with what the level is known for."""
        known, ratio = self._known, 1.0
        if known.count:
            gain = window.rate - known.rate
            error = self._spread * math.sqrt(1.0 / window.count + 1.0 / known.count)
            ratio = math.exp(gain)
            if math.exp(gain + FELL * error) < self._decrease and self.limit > self._min:
                level = min(self.limit - 1, round(self.limit * max(ratio, 0.5)))
                self._step, self._direction = 0.0, 1
                self._rest = self._left = 1.0
                self._move(now, level, _told("shrank", known, window), window)
                return
        known.merge(window, max(MEMORY * max(8, self.limit), 2.0 * self._plenty()))
        self._left -= (now - self._looked) / max(self._interval, self._mean)
        self._looked = now
        if self._left <= 0 and ratio >= self._increase and now >= self._pause:
            self._probe(now)

    def _probe(self, now: float) -> None:
        """Try another level: up, or down where a queue is suspected."""
        known = self._known
        self._probes += 1
        queue = self._idle is None or known.latency - self._idle > math.log(QUEUE)
        direction = self._direction
        if not self._step:  # nothing succeeded just now
            down = self._probes % 2 == 0 if queue else self._probes % LOOK_DOWN == 0
            direction = -1 if down and (queue or self._ceiling is None) else 1
        if direction > 0 and self.limit >= self._max:
            if not queue:  # nothing to gain either way
                self._left = self._rest
                return
            direction = -1
        if direction < 0 and self.limit <= self._min:
            direction = 1
        if direction > 0 and self.limit >= self._max:  # the range has one level
            return
        error = self._spread * math.sqrt(1.0 / known.count + 1.0 / (3 * self.limit))
        step = max(self._step, min(LARGE, max(SMALL, error / PRECISE)))
        level = round(self.limit * math.exp(direction * step))
        level = max(level, self.limit + 1) if direction > 0 else min(level, self.limit - 1)
        if direction > 0 and self._ceiling is not None:
            level = min(level, max(self._ceiling, self.limit + 1))
        self._base, self._base_known, self._direction = self.limit, known, direction
        self.state = State.PROBING
        self._move(now, level, "probing: more" if direction > 0 else "probing: less", known)

    def _judge_probe(self, now: float, window: Evidence) -> None:
        """Keep the new level, go back, or wait for more evidence."""
        here, base, up = self._known, self._base_known, self._direction > 0
        here.merge(window)
        gain, error = self._elasticity(here, base)
        worth = self._worth(here if up else base)
        enough = here.count >= max((3 if up else 6) * self.limit, self._plenty())
        if gain - error > worth:
            higher = True
        elif gain + (error if up else GIVE_UP * error) < worth:
            higher = False
        elif enough:
            higher = gain > worth if up else True
        else:
            return
        doubtful = abs(gain - worth) < error
        if not up or self._idle is not None:  # before the first look down a queue may be in it
            self._see_idle(base if up else here)
        self.state = State.RESTING
        if higher is up:
            self._keep(now, here, base)
        else:
            self._return(now, here, base, UNSURE if doubtful else TIRED)

    def _keep(self, now: float, here: Evidence, base: Evidence) -> None:
        """The probe succeeded: stay, and soon take a larger step in the same direction."""
        up = self._direction > 0
        if up and self._ceiling is not None and self.limit > self._ceiling:
            self._ceiling = None
        self._step = min(DOUBLING, 2.0 * abs(math.log(self.limit / self._base)))
        self._rest, self._left = RESTS[0], RESTS[0] / 2
        self._note(now, _told("grew" if up else "shrank: not needed", base, here), here)

    def _return(self, now: float, here: Evidence, base: Evidence, tired: float) -> None:
        """The probe failed: back, keeping the part that was gained, and rest longer."""
        level = float(self._base)
        if self._direction > 0:
            level *= math.exp(min(max(0.0, here.rate - base.rate), LARGE))
        self._step = 0.0
        self._rest = self._left = min(RESTS[1], self._rest * tired)
        self._move(now, round(level), _told("back", base, here), here)
        if self.limit == self._base:
            self._known = base

    def _plenty(self) -> float:
        """Attempts after which more of them would hardly make a level better known."""
        return (self._spread / NOISE) ** 2

    # ---------------------------------------------------------------- refusals

    def _refused(self, token: int, now: float, start: float, n: int, hold: float) -> None:
        """
        One cut per episode: attempts begun before a cut belong to it.

        Was it a cap on concurrency, or on the rate? Refused with n in flight although as many
        were accepted since the last refusal: no cap explains that.
        """
        if token < self._cut_token:
            self._refused_token = max(self._refused_token, token)
            self._refused_at = max(self._refused_at, start)
            return
        accepted, elapsed = token - self._refused_token - 1, start - self._refused_at
        by_rate = n <= self._accepted or n == 1
        if not by_rate and accepted >= PROOF:
            self._pace, self._next_start = None, -math.inf
        elif accepted and 0 < elapsed < math.inf and (by_rate or self._pace is not None):
            self._set_pace(now, accepted, elapsed, hold)
        surprised = self._ceiling is None or self.state is not State.PROBING
        self._rest = self._left = RESTS[0] if surprised else min(RESTS[1], 2.0 * self._rest)
        self._step = 0.0
        self._cut_token, self._accepted, self._hold = self._tokens, 0, hold
        self._refused_token, self._refused_at = token, start
        self._ceiling = max(self._min, n - 1) if self._pace is None else None
        if self.state is not State.OUTAGE:
            self.state = State.RESTING
        level = max(n - 1, math.floor(self._factor * self.limit))
        self._move(now, min(level, self.limit), "cut: congestion")
        pause = min(hold, LONGEST)  # the loop holds: no rest, and nothing of it is made up for
        self._looked = now + pause
        if self._pace is not None:
            self._next_start = max(self._next_start, now + pause)
        elif not surprised:
            self._left = max(self._left, 2.0 * PATIENCE * pause / max(self._interval, self._mean))
        self._spaced = self._tokens + self.limit

    def _set_pace(self, now: float, accepted: int, elapsed: float, hold: float) -> None:
        """
        A rate limit is proven: what was accepted between two refusals is the rate.

        During a long hold a small bucket runs over, so the rate is between that and what was
        accepted outside the hold: their geometric mean.
        """
        rate = accepted / elapsed
        if accepted >= PROOF and 0.2 * elapsed < self._hold < elapsed:
            rate = math.sqrt(rate * accepted / (elapsed - self._hold))
        if self._pace is None:
            self._rate_known = 0
            self._note(now, f"paced: {rate:.3g} starts/s were accepted")
        else:
            if accepted >= PROOF and self._pace > OVERSHOT * rate:
                rate = math.sqrt(rate * self._pace)
            weight = accepted / (accepted + 5.0)  # few say little
            rate = self._rate ** (1.0 - weight) * rate**weight
        self._rate, self._rate_count, self._pace = rate, 0, BELOW * rate
        # The less the rate was known, the sooner and the wider more is tried; but rarely where
        # a refusal costs a long hold.
        self._rate_known += accepted
        self._plateau = max(
            min(PLATEAU, 4.0 + 0.5 * self._rate_known), PATIENCE * min(hold, LONGEST) * rate
        )
        self._width = max(1.0 - BELOW, min(0.5, 1.0 / max(1, self._rate_known)))

    def _explore_rate(self, now: float) -> None:
        """The pace follows CUBIC's curve: up to the known rate, flat there, then beyond it."""
        self._rate_count += 1
        x = self._rate_count / self._plateau - 1.0
        self._pace = self._rate * (1.0 + (self._width if x > 0 else 1.0 - BELOW) * x**3)
        if self._pace > RATE_GONE * self._rate:
            self._pace, self._next_start = None, -math.inf
            self._note(now, "the rate limit is gone")
            return
        room = math.ceil(1.5 * self._pace * self._mean) + 1
        grows = self.state is State.RESTING and self._rate_count % self.limit == 0
        if grows and self.limit < min(room, self._max):
            self._move(now, self.limit + 1, "grew: room for the pace")

    # ---------------------------------------------------------------- trouble

    def _failed(self, now: float) -> None:
        """Isolated failures change nothing, two in a row pause growth, a window is an outage."""
        self._streak += 1
        first, factor, last = PROBE_GAPS
        if self._streak >= 2:
            self._pause = now + self._interval
        if self.state is State.OUTAGE:
            self._outage_gap = min(last, self._outage_gap * factor)
            self._next_start = max(self._next_start, now + self._outage_gap)
        elif self._streak >= max(STREAK, self.limit):
            level = self._base if self.state is State.PROBING else self.limit
            # a level that fails before it has shown anything was perhaps too much
            self._outage_limit = level if self._proven else max(self._min, level // 2)
            starting = self.state is State.STARTING
            self._outage_state = State.STARTING if starting else State.RESTING
            self.state, self._proven = State.OUTAGE, False
            self._outage_gap, self._next_start = first, now + first
            self._move(now, self._min, "outage: nothing succeeds")

    def _recover(self, now: float) -> None:
        """The first success brings back half of the old level, the second all of it."""
        self._next_start = -math.inf
        half = max(self._min, self._outage_limit // 2)
        if self.limit < half:
            self._move(now, half, "recovering")
            return
        self.state = self._outage_state
        self._size, self._round = self._outage_limit, Evidence()
        self._move(now, self._outage_limit, "recovered")

    # ---------------------------------------------------------------- changes

    def _move(self, now: float, level: int, reason: str, seen: Evidence | None = None) -> None:
        """A new epoch: attempts that began before it say nothing about the new limit."""
        self.limit = min(self._max, max(self._min, level))
        self._epoch += 1
        self._known, self._done, self._judged = Evidence(), [], -math.inf
        self._peak, self._looked, self._decide_at = 0, now, now + self._interval
        self._note(now, reason, seen)

    def _note(self, now: float, reason: str, seen: Evidence | None = None) -> None:
        change = Change(now, self.limit, reason, seen.throughput if seen else None)
        (self._first if len(self._first) < FIRST else self._recent).append(change)


def _told(verb: str, before: Evidence, after: Evidence) -> str:
    return f"{verb}: throughput {before.throughput:.3g} → {after.throughput:.3g}/s"
