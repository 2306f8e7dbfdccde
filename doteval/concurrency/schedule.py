"""
When attempts start, and which failed ones are worth another: all deciding, with numbers alone.

    fill ──▶ start ──▶ succeeded, or failed ──▶ finished
     ▲                            │
     └─────── due, a heap ◀───────┘ worth another attempt

It reads no clock and calls nobody's code: neither the dataset nor the function nor a listener. What
it decides, the loop does. A row that waits for another attempt holds no slot. Whether an attempt
may start *now* is asked of every opening: the gate's pace, a rate limit, the hold after a
Retry-After, a backlog that must be written first.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
from collections.abc import Callable

from .evidence import Outcome
from .gates import Gate
from .pace import Hold, RateLimit
from .reading import Reading
from .retry import Retry
from .row import Row

_REFUSALS = 20  # times its attempts that a row may be refused while others are served
_OUTAGE = 3  # rows that fail in a row, without a success of any, before it is the endpoint
_order = itertools.count()  # of rows that are due at one moment
_TRIED = 6  # rows that wait in an outage at least: it could also be a few bad rows in a row


def _uniform() -> float:
    return (int.from_bytes(os.urandom(7), "big") >> 3) / 2**53


class Tries:
    """
    What is remembered of a row that has failed.

    Attributes:
        burned: failed attempts that count towards the policy's limit.
        failures: failed attempts, for the backoff. failed_at: when the last of them ended.
        refused: times that the endpoint was congested for this row alone.
        suspect: others were served after it had failed, so its failures are its own.
    """

    __slots__ = ("burned", "failed_at", "failures", "refused", "suspect")

    def __init__(self) -> None:
        self.burned = self.failures = self.refused = 0
        self.failed_at = 0.0
        self.suspect = False


class Spell:
    """
    A spell of trouble, which lasts until something succeeds that began after its first failure.

    Attributes:
        since: when that was; `inf`: nothing has failed.
    """

    __slots__ = ("_given_up", "_waiting", "since")

    def __init__(self) -> None:
        self.since = math.inf
        self._waiting: set[int] = set()  # rows that failed in it, and wait
        self._given_up = 0  # rows that failed in it for good

    @property
    def is_outage(self) -> bool:
        """Whether rows fail, one after the other, without a success of any."""
        return len(self._waiting) + self._given_up >= _OUTAGE

    def failed(self, row: Row) -> None:
        """A row has failed in it."""
        self._waiting.add(id(row))
        self.since = min(self.since, row.ended)

    def gave_up(self, row: Row, suspect: bool) -> None:
        """A row has had its chances; what a suspect meets says nothing of the others."""
        self._waiting.discard(id(row))
        self._given_up += not suspect


class Schedule:
    """
    Args:
        gate: how many attempts may be in flight.
        now: the moment of the beginning. All moments are seconds on one clock.
        policy: which failed attempts are worth another; None: none is.
        pace: a rate limit that the starts count for.
        openings: more callables `now -> moment` beside the gate's and the pace's: nothing starts
            before the latest. `inf` means: whoever closed it says when to look again.
        random: numbers in [0, 1) for the jitter; None: the system's. Not those of `random`, which
            somebody may have seeded, and which can not be imported where no file can be opened.

    Attributes:
        in_flight: attempts that are running.
        exhausted: whether the source has no more rows; set by who fetches them.
        stalled: whether patience ran out.
        held: seconds of a pause that binds everybody and is longer than patience; 0: none is.
        completed, failures: finished rows, and how many of them failed.
        ended_at: when the last of them ended.
    """

    def __init__(
        self,
        gate: Gate,
        now: float,
        *,
        policy: Retry | None = None,
        pace: RateLimit | None = None,
        openings: tuple[Callable[[float], float], ...] = (),
        random: Callable[[], float] | None = None,
    ) -> None:
        self.gate = gate
        self.policy = policy
        self.in_flight = 0
        self.exhausted = self.stalled = False
        self.held = 0.0
        self.completed = self.failures = 0
        self.began = self.ended_at = now
        self._pace = pace
        paced = () if pace is None else (pace.ready_at,)
        waits = type(gate).ready_at is not Gate.ready_at  # nearly no gate does
        self._openings = (*(gate.ready_at,) * waits, *paced, *openings)
        self._is_paced = waits or pace is not None  # a start moves the moment of the next
        self._random = random or _uniform
        self._hold = Hold()
        self._due: list[tuple[float, int, Row]] = []
        self._stopped = False  # nothing gets another attempt
        self._last_success = now
        self._served = now  # when the latest of the attempts that succeeded began
        self._spell = Spell()

    @property
    def waiting(self) -> int:
        """Rows that wait for another attempt."""
        return len(self._due)

    @property
    def due_at(self) -> float:
        """When the next of them is due; `inf`: none waits."""
        return self._due[0][0] if self._due else math.inf

    @property
    def next_at(self) -> float:
        """When it may be tried, an endpoint's pause included; `inf`: none waits."""
        return max(self.due_at, self._hold.until)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done or waited for."""
        return self.exhausted and not self.in_flight and not self._due

    def fill(self, now: float) -> Row | int | float:
        """
        What to start now: due rows before new ones.

        Returns:
            a row that is due; or how many of the source may start before it is asked again; or, a
            float, the moment to look again: `inf` where that is when an attempt has ended or an
            opening has opened.
        """
        gate, due = self.gate, self._due
        room = gate.room(self.in_flight)
        if room <= 0:
            return math.inf
        opens = self._hold.until
        for opening in self._openings:
            moment = opening(now)
            if moment > opens:
                opens = moment
        if opens > now:
            return opens
        if due and due[0][0] <= now:
            row = heapq.heappop(due)[2]
            row.waited += now - row.ended
            return row
        if self.exhausted:
            return self.due_at
        if due and len(due) >= gate.limit and (len(due) >= _TRIED or not self._spell.is_outage):
            return self.due_at
        return 1 if due or self._is_paced else room

    def start(self, row: Row, now: float) -> None:
        """An attempt at a row starts."""
        self.in_flight += 1
        row.started = now
        row.attempts += 1
        row.concurrency = self.in_flight
        if self._pace is not None:
            self._pace.take(now)
        row.token = self.gate.started(now) if self.gate.counts else 0

    def dropped(self, row: Row, now: float) -> None:
        """The attempt was ended by us, and says nothing."""
        self.in_flight -= 1
        self.gate.ended(row.token, now, Outcome.IGNORED)

    def succeeded(self, row: Row) -> None:
        """The attempt returned something: the row is finished."""
        self.in_flight -= 1
        self._last_success = ended = row.ended
        if row.started > self._served:
            self._served = row.started
        if row.started >= self._spell.since:  # what began before says nothing of now
            self._spell = Spell()
        if self.gate.counts:
            self.gate.ended(row.token, ended, Outcome.SUCCESS)
        self.completed += 1
        self.ended_at = ended

    def failed(self, row: Row, reading: Reading, now: float) -> bool:
        """
        The attempt raised what reads so.

        Returns:
            whether the row is tried again, when it is due, or in a later run where the endpoint
            asked for a pause that this one does not wait for; else it is finished.
        """
        self.in_flight -= 1
        binding = self.gate.ended(row.token, row.ended, reading.outcome, reading.retry_after)
        wait = self._wait(row, reading, binding, now)
        if wait is None:
            self._finish(row)
            return False
        if self._stopped:  # it has no outcome: a resume tries it again
            return True
        heapq.heappush(self._due, (now + wait, next(_order), row))
        return True

    def stop(self) -> list[Row]:
        """Nothing starts from now on; returns the rows that wait, which nobody tries again."""
        self.exhausted = self._stopped = True
        left = [row for _, _, row in self._due]
        self._due.clear()
        return left

    def stall(self) -> list[Row]:
        """Patience is over: the rows that wait are finished with the errors that they have."""
        left = self.stop()
        for row in left:
            self._finish(row)
        return left

    def _finish(self, row: Row) -> None:
        self.completed += 1
        self.failures += 1
        self.ended_at = row.ended

    def _wait(self, row: Row, reading: Reading, binding: bool, now: float) -> float | None:
        """Seconds before the row is due again; None: it has had its chances."""
        policy = self.policy
        if policy is None or (self._stopped and not self.held):
            return None
        asked = reading.asked or 0.0
        if asked > policy.patience and (binding or row.started >= self._last_success):
            self.held = asked
        if not policy.retryable(reading):
            return None
        if self._stopped:
            return 0.0
        tries: Tries = row.tries or Tries()
        row.tries = tries
        if reading.again:  # at once, for nobody has to recover
            tries.burned += 1
            return 0.0 if tries.burned < policy.attempts else None
        if not self._worth_another(row, tries, policy, reading.outcome is Outcome.TROUBLE):
            return None
        # What began before says nothing of now: the process may have stood still since, with the
        # laptop that it is on.
        if row.started - self._last_success >= policy.patience:
            self.stalled = True
            return None
        wait = policy.delay(tries.failures, self._random)
        if reading.retry_after is None:
            return wait
        pause = min(reading.retry_after, policy.patience)  # a day's is no reason to hang
        if binding:
            self._hold.extend(now, pause)
        return max(wait, pause)

    def _worth_another(self, row: Row, tries: Tries, policy: Retry, troubled: bool) -> bool:
        """Whether the failure was the endpoint's, or the row has attempts left."""
        # In trouble an answer to what began before may be the last that an outage let through; but
        # where no row is left to be tried, nothing better will be known.
        served = self._served if troubled and not self.exhausted else self._last_success
        if tries.failures and served > tries.failed_at:
            tries.suspect = True
        tries.failures += 1
        tries.failed_at = row.ended
        if troubled:
            # An outage is no row's fault. A row that fails while others get through is.
            self._spell.failed(row)
            if not self._spell.is_outage or tries.suspect:
                tries.burned += 1
        elif tries.suspect:  # the endpoint refuses this row while it serves the others
            tries.refused += 1
            if tries.refused >= _REFUSALS * policy.attempts:
                return False
        if tries.burned >= policy.attempts:
            self._spell.gave_up(row, tries.suspect)
            return False
        return True

    def __repr__(self) -> str:
        return (
            f"Schedule({self.in_flight} in flight of {self.gate.limit}, {self.waiting} waiting, "
            f"{self.completed} finished, {self.failures} of them failed)"
        )
