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
from .learned_rate import LONGEST, PROOF, LearnedRate
from .limit import Change, History, Limit, Settings, State
from .outage import Outage


class AdaptiveGate:
    """
    Evidence, limit, learned rate and outage behind one gate.

    Args:
        as `Adaptive` takes them: see there.
    """

    def __init__(self, **parameters: float) -> None:
        self._settings = Settings(**parameters)  # type: ignore[arg-type]
        self._history = History()
        self._attempts = Attempts()
        self._limit = Limit(self._settings, self._attempts, self._history)
        self._rate = LearnedRate()
        self._outage = Outage()
        self._next_start = -math.inf
        self._cut = 0  # attempts from this one on began after the last cut
        self._refused = -1, -math.inf  # the last refusal's token and start
        self._hold = 0.0  # seconds that it asked for
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
        return self._history.all()

    def room(self, in_flight: int) -> int:
        """How many more attempts may start."""
        return self._limit.value - in_flight

    def ready_at(self, now: float) -> float:
        """The earliest moment for the next start, seconds; `now` or before: at once."""
        return self._next_start

    def started(self, now: float) -> int:
        """An attempt starts. Returns a token for `ended`."""
        token = self._attempts.begin(now)
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
    ) -> None:
        """The attempt of this token ended. Each token is given back exactly once."""
        attempt = self._attempts.end(token, now)
        if outcome is Outcome.SUCCESS:
            self._succeeded(attempt, now)
        elif outcome is Outcome.CONGESTION:
            self._refusal(attempt, now, retry_after or 0.0)
        elif outcome is Outcome.TROUBLE:
            self._failed(now)

    # ---------------------------------------------------------------- what an end means

    def _succeeded(self, attempt: Attempt, now: float) -> None:
        latency, level = self._attempts.succeeded(attempt, now)
        if attempt.token >= self._cut:
            self._accepted = max(self._accepted, attempt.in_flight)
        self._outage.succeeded()
        if self._rate.pace is not None:
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

    def _refusal(self, attempt: Attempt, now: float, hold: float) -> None:
        """
        One cut per episode: attempts begun before a cut belong to it.

        Was it a cap on concurrency, or on the rate? Refused with n in flight although as many
        were accepted since the last refusal: no cap explains that.
        """
        token, start, n = attempt.token, attempt.start, attempt.in_flight
        last, last_start = self._refused
        self._refused = max(last, token), max(last_start, start)
        if token < self._cut:
            return
        accepted, elapsed = token - last - 1, start - last_start
        by_rate = n <= self._accepted or n == 1
        if not by_rate and accepted >= PROOF:
            self._rate.forget()
            self._next_start = -math.inf
        elif accepted and 0 < elapsed < math.inf and (by_rate or self._rate.pace is not None):
            known = self._rate.pace is not None
            self._rate.refused(accepted, elapsed, hold, self._hold)
            if not known:
                self._note(now, f"paced: {self._rate.rate:.3g} starts/s were accepted")
        self._cut, self._accepted, self._hold = self._attempts.count, 0, hold
        pause = min(hold, LONGEST)
        if self._rate.pace is not None:
            self._next_start = max(self._next_start, now + pause)
        self._limit.cut(now, n - 1, self._rate.pace is None, pause)
        if not self._outage.active:
            self._limit.state = State.RESTING
        self._spaced = self._attempts.count + self.limit

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
            self._limit.startup.begin(level)
        self._limit.move(now, level, "recovering" if self._outage.active else "recovered")

    def _note(self, now: float, reason: str) -> None:
        self._history.note(now, self._limit.value, reason)

    def __repr__(self) -> str:
        parts = (self._limit, self._rate, self._outage, self._attempts)
        return f"AdaptiveGate({', '.join(map(repr, parts))})"
