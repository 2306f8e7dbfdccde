"""
The adaptive gate: how many attempts may be in flight, and when the next one may start.

    attempts ──succeed──▶ limit          numbers in, a limit out
             ──refused──▶ a cap, or a learned rate
             ──fail─────▶ outage

The loop tells when attempts start and how they end; the gate answers with `limit` and
`ready_at`. It reads no clock, waits for nothing and knows neither asyncio nor any client, so the
same events always give the same decisions. docs/explanation/adaptive-controller.md has the
reasons, the sources and the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .evidence import Attempt, Attempts, Outcome
from .gates import Gate
from .learned_rate import LONGEST, PROOF, LearnedRate
from .limit import Change, Limit, Settings, State
from .outage import Outage
from .refusals import RARE, Refusals


class AdaptiveGate(Gate):
    """
    Evidence, limit, learned rate and outage behind one gate.

    Args:
        parameters: as `Adaptive` takes them, by name.

    Attributes:
        refusals: what is known about refusals at random.
    """

    counts = True

    def __init__(self, **parameters: float) -> None:
        self._settings = Settings(**parameters)  # type: ignore[arg-type]
        self._attempts = Attempts()
        self._limit = Limit(self._settings, self._attempts)
        self.refusals = Refusals()
        self._rate = LearnedRate()
        self._outage = Outage()
        self._next_start = -math.inf
        self._cut = 0  # attempts from this one on began after the last cut
        self._refused = -1, -math.inf  # the last refusal's token and start
        self._hold = 0.0  # seconds that it asked for
        self._told = RARE / 2  # the share at random that the history was last told
        self._binding = False  # whether the last congestion was the whole endpoint's
        self._accepted = 0  # most in flight at the start of an attempt that was accepted since
        self._spaced = 0  # attempts before this one start spaced, not in one volley

    # ---------------------------------------------------------------- the loop's side

    @property
    def limit(self) -> int:
        """Attempts that may be in flight now. Running ones are never pre-empted."""
        return self._limit.value

    @property
    def state(self) -> State:
        """What the gate is doing."""
        return State.OUTAGE if self._outage.active else self._limit.state

    @property
    def history(self) -> Sequence[Change]:
        """The limit's changes with their reasons: the first 200 and the latest 800."""
        return tuple(self._limit.history)

    @property
    def belief(self) -> str:
        """What it takes the endpoint for, in words for a person."""
        if self._outage.active:
            return "outage: nothing succeeds"
        words = []
        if self._rate.pace is not None:
            words.append(f"a rate limit near {self._rate.rate:.3g}/s: paced")
        words.append(self._limit.belief)
        if self.refusals.share >= RARE:
            words.append(self._random)
        return "; ".join(words)

    @property
    def _random(self) -> str:
        return f"refusals are at random ({100 * self.refusals.share:.1f} %): ignored"

    def room(self, in_flight: int) -> int:
        """How many more attempts may start."""
        return self._limit.value - in_flight

    def ready_at(self, now: float) -> float:
        """The earliest moment for the next start, seconds; `now` or before: at once."""
        return self._next_start

    def started(self, now: float) -> int:
        """An attempt starts. Returns a token for `ended`."""
        token = self._attempts.begin(now)
        self.refusals.started(token, now)
        if token == 0:
            self._note(now, "start")
        if self._outage.active:
            self._next_start = now + self._outage.gap
        elif self._rate.pace is not None:  # a late start may be made up for, by one gap
            gap = self._rate.gap
            self._next_start = max(self._next_start, now - gap) + gap
        elif token < self._spaced:
            self._next_start = now + self._attempts.mean / self._limit.value
        return token

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        """
        The attempt of this token ended. Each token is given back exactly once.

        Returns:
            whether a Retry-After that came with it binds everybody, not only its row.
        """
        attempt = self._attempts.end(token, now)
        if outcome is Outcome.CONGESTION:
            self._attempts.refused(attempt)
            return self._refused_one(attempt, now, retry_after or 0.0)
        self.refusals.credit = self._rate.pace is None or (
            self._rate.known and not self._rate.beyond
        )
        self.refusals.served(token, self._risked)
        if outcome is Outcome.SUCCESS:
            self._succeeded(attempt, now)
        elif outcome is Outcome.TROUBLE:
            self._failed(now)
        return False

    # ---------------------------------------------------------------- what an end means

    def _succeeded(self, attempt: Attempt, now: float) -> None:
        latency, level = self._attempts.succeeded(attempt, now)
        if attempt.token >= self._cut:
            self._accepted = max(self._accepted, attempt.in_flight)
        self._outage.succeeded()
        if self._rate.pace is not None and not (self._rate.beyond and self.refusals.pending):
            self._pace_on(now)
        if not self._outage.active:
            self._limit.succeeded(now, attempt, latency, level)
        elif attempt.epoch == self._attempts.epoch or self.limit > self._settings.min_concurrency:
            self._recover(now)  # but not by one from before the outage that comes back late

    def _pace_on(self, now: float) -> None:
        """One more was accepted under the pace: a little more is tried."""
        accepted = self._rate.accepted()
        if self._rate.pace is None:
            self._next_start = -math.inf
            self._note(now, "the rate limit is gone")
            return
        room = math.ceil(1.5 * self._rate.pace * self._attempts.mean) + 1
        grows = self.state is State.RESTING and accepted % self.limit == 0
        if grows and self.limit < min(room, self._settings.max_concurrency):
            self._limit.move(now, self.limit + 1, "grew: room for the pace")

    def _refused_one(self, attempt: Attempt, now: float, hold: float) -> bool:
        """One cut per episode: attempts begun before a cut belong to it."""
        if attempt.token < self._cut:
            last, start = self._refused
            self._refused = max(last, attempt.token), max(start, attempt.start)
            return self._binding
        if not self.refusals.refused(attempt, now, self._risked):
            if self.refusals.share >= 2 * self._told:
                self._told = self.refusals.share
                self._note(now, self._random)
            if not self._rate.beyond:  # its place is taken at once: that tells most
                self._next_start = min(self._next_start, now)
            return False
        self._congested(attempt, now, hold)
        return self._binding

    @property
    def _risked(self) -> bool:
        """Whether more is tried than is known to be served."""
        rare = self._rate.pace is not None and self.refusals.share < RARE
        return rare or self._rate.beyond or self._limit.beyond

    def _congested(self, attempt: Attempt, now: float, hold: float) -> None:
        """
        Was it a cap on concurrency, or on the rate? Refused with n in flight although as many
        were accepted since the last refusal: no cap explains that.
        """
        refusals, rate, (last, last_start) = self.refusals, self._rate, self._refused
        first = refusals.first or attempt
        elapsed = first.start - last_start
        accepted = first.token - last - 1 - (refusals.since - refusals.pending)
        # one of them may be a refusal at random, where those are common: then the largest tells
        n = refusals.least if refusals.share < RARE else refusals.most
        by_rate = n <= max(1, self._accepted)
        proven = by_rate and (n == 1 or (refusals.sure and refusals.soon(accepted)))
        # a hold costs everybody: it takes the second alarm, soon after the first
        again = rate.pace is not None or (elapsed < math.inf and refusals.soon(accepted))
        self._binding = again and (by_rate or not self._limit.beyond)
        pause = min(hold, LONGEST) if self._binding else 0.0
        odd = rate.pace is not None and not rate.beyond and refusals.pending == 1
        stale = not rate.beyond and not refusals.soon(accepted)  # no rate was kept for so long
        if (not by_rate and accepted >= PROOF) or stale:
            rate.forget()
            self._next_start = -math.inf
        elif (proven or rate.pace is not None) and accepted > 0 and 0 < elapsed < math.inf:
            known = rate.pace is not None
            rate.refused(accepted, elapsed, hold, self._hold)
            if not known:
                self._note(now, f"paced: {rate.rate:.3g} starts/s were accepted")
        if rate.pace is not None:
            self._next_start = max(self._next_start, now + pause)
            self._limit.stay(now, pause)
        else:
            self._limit.cut(now, refusals.least - 1, pause)
        self._cut, self._accepted, self._hold = self._attempts.count, 0, hold
        self._refused = attempt.token, attempt.start
        self._spaced = self._attempts.count + self.limit
        refusals.confirmed(odd)

    def _failed(self, now: float) -> None:
        begins = self._outage.failed(self.limit)
        if self._outage.pauses:
            self._limit.paused = now + self._settings.adaptation_interval
        if begins:
            self._outage.begin(self._limit.interrupted())
            self._next_start = now + self._outage.gap
            self._limit.move(now, self._settings.min_concurrency, "outage: nothing succeeds")
        elif self._outage.active:
            self._next_start = max(self._next_start, now + self._outage.gap)

    def _recover(self, now: float) -> None:
        self._next_start = -math.inf
        level = self._outage.recover(self.limit, self._settings.min_concurrency)
        if not self._outage.active:
            self._limit.startup.restart(level)
        self._limit.move(now, level, "recovering" if self._outage.active else "recovered")

    def _note(self, now: float, reason: str) -> None:
        self._limit.note(now, reason)

    def __repr__(self) -> str:
        parts = (self._limit, self.refusals, self._rate, self._outage, self._attempts)
        return f"AdaptiveGate({', '.join(map(repr, parts))})"
