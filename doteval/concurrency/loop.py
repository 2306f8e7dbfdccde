"""
The one asyncio loop behind every strategy: it starts attempts, not rows.

    source ──next──▶ row ──start──▶ attempt ──ended──▶ finish
                      ▲                │
                      └─── schedule ◀──┘ failed, and worth another attempt

What may start, and when, the schedule decides; here it is done: rows are fetched, and attempts
started. Everything happens in callbacks of the running loop and at the end of each attempt's own
task: no task of ours polls, and at a million rows there are never more tasks than attempts in
flight.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from .ahead import NotYet
from .attempts import GRACE, Attempts
from .evidence import Outcome
from .executors import Elsewhere, Threads, off_loop
from .reading import MACHINE, Reading, read
from .row import Ending, Row
from .schedule import Schedule

_TURN = 64  # rows started before other callbacks of the loop get their turn
_SHARE = 0.002  # seconds of starting after which they get it in any case
_SLOW_STEP = 0.1  # seconds that a step of the dataset or of rows may block the loop unmentioned


class Loop:
    """
    One execution: from a source of rows to finished rows, in the order in which they finish.

    Args:
        source: yields rows; None stands for "look at me again soon" (a row that needs no work), so
            that a long stretch of those does not block the loop. May raise NotYet, and must then
            `wake()` us when there is more.
        schedule: decides what starts. Without a policy the first error ends everything.
        finish: called with each row that has finished.
        threads: where calls that are not inline run; None: on the loop's thread.
        timeout: seconds for one attempt.
        grace: seconds for an attempt to obey its cancellation before it is abandoned.
        on_failed: called with (row, reading, final) after each failed attempt.
        on_dropped: called with each row whose attempt was ended with everything else.
        fatal: exceptions that end everything, wherever they are raised.
        on_slow: called once, with seconds, when a step of the source blocked the loop.

    Attributes:
        schedule: the same.
        error: what ends everything. source_error: what the source raised; rows in flight still
            finished.
        blocked: seconds that asynchronous rows have kept the loop from everything else.
    """

    def __init__(
        self,
        source: Iterable[Row | None],
        schedule: Schedule,
        finish: Callable[[Row], object],
        *,
        threads: Threads | Elsewhere | None = None,
        timeout: float | None = None,
        grace: float = GRACE,
        on_failed: Callable[[Row, Reading, bool], object] | None = None,
        on_dropped: Callable[[Row], object] | None = None,
        fatal: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
        on_slow: Callable[[float], object] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._fill_in = partial(self._loop.call_soon, self._fill, context=copy_context())
        self._attempts = attempts = Attempts(threads, timeout, grace, self._ended)
        self._now = attempts.now
        self._next = off_loop(partial(iter, source)).__next__
        self.schedule = schedule
        self._finish = finish
        self._on_failed = on_failed
        self._on_dropped = on_dropped
        self._fatal = fatal
        self._on_slow = on_slow

        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._coming = False  # _fill will be called in the next turn of the event loop
        self._closing = False
        self._news = False  # rows have finished since somebody waited
        self.error: BaseException | None = None
        self.source_error: BaseException | None = None
        self.blocked = 0.0
        self._asked = math.inf  # when the next filling was asked for

    # ------------------------------------------------------------ what others ask

    @property
    def calling(self) -> bool:
        """
        Whether a plain function, or a step of the source, is running on the loop's thread now.
        """
        return self._attempts.calling

    @property
    def oldest(self) -> float | None:
        """Seconds that the oldest attempt in flight has been running; None where there is none."""
        row = self.oldest_row
        return None if row is None else self._now() - row.started

    @property
    def oldest_row(self) -> Row | None:
        """Which row that attempt is for."""
        return next(iter(self._attempts.running), None)

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last end of a row, or to now while some are left."""
        schedule = self.schedule
        return (schedule.ended_at if schedule.over else self._now()) - schedule.began

    async def progress(self) -> bool:
        """
        Wait until rows have finished since the last call; False when all have.

        Raises:
            BaseException: without a policy, what the first failed row raised; with one, a
                fatal exception. Before either is raised, what was in flight has been cancelled.
        """
        self._fill_soon()
        while not self._news:
            if self.error is not None:
                await self.close()
                raise self.error
            if self.schedule.over:
                return False
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._news = False
        return True

    def wake(self) -> None:
        """Look again whether attempts may start; whoever closed an opening calls this."""
        if not self._closing:
            self._fill_soon()

    def fail(self, error: BaseException) -> None:
        """End with this error: `progress()` raises it after cancelling what is in flight."""
        if self.error is None:
            self.error = error
        self._notify()

    def stop(self) -> None:
        """Start nothing new and give up what waits; what is in flight may finish."""
        self.schedule.stop()
        self._notify()

    async def close(self) -> None:
        """
        Cancel what is in flight and wait until it has ended, for at most the grace period.

        Rows that end by themselves in that time still finish.
        """
        self._closing = True
        self.schedule.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        for row in await self._attempts.close():
            row.ended = self._now()
            self._dropped(row)

    def let_go(self) -> None:
        """Keep nothing but the figures: no rows, no functions, nothing that they hold."""
        self._next = self._finish = None  # type: ignore[assignment]
        self._on_failed = self._on_dropped = None
        self._attempts.let_go()

    # ------------------------------------------------------------------- starting

    def _fill_soon(self) -> None:
        """
        Fill once in a turn of the event loop, whoever asks for it, so that no turn is a long one.
        In the context of who began, not of who asks: rows see the caller's variables.
        """
        if not self._coming:
            self._coming = True
            self._asked = self._now()
            self._fill_in()

    def _fill(self) -> None:
        """Start what may start now; otherwise see to it that we come back in time."""
        self._coming = False
        if self._closing or self.error is not None:
            return
        off_loop(self._fill_up)  # for all that start together: to hide the loop takes 1 µs
        self._attempts.check_soon()

    def _fill_up(self) -> None:
        turn, began = _TURN, self._now()
        if began - self._asked > _SLOW_STEP:
            self.blocked += began - self._asked
        self._asked = math.inf
        now = began
        new = 0  # rows of the source that may start before the schedule is asked again
        while turn and now - began <= _SHARE:
            step: Row | int | float = new
            if not new or self.schedule.exhausted:
                step = self.schedule.fill(now)
            if isinstance(step, float):
                return self._come_back(step)
            if isinstance(step, int):
                new = step - 1
                try:
                    row = self._fetch()
                except NotYet:
                    return self._come_back(self.schedule.due_at)
                before, now = now, self._now()
                if now - before > _SLOW_STEP and self._on_slow is not None:
                    self._on_slow(now - before)
                    self._on_slow = None
            else:
                row = step
            if row is not None:
                self.schedule.start(row, now)
                if self._attempts.start(row):
                    before, now = now, self._now()
                    self.blocked += now - before if row.inline and now - before > _SLOW_STEP else 0
            if self.error is not None:  # of the source, or of a plain function
                return
            turn -= 1
        self._fill_soon()

    def _fetch(self) -> Row | None:
        """The next row of the source; None: this one needs no work, or there are no more."""
        try:
            self._attempts.calling = True
            row: Row | None = self._next()
            return row
        except StopIteration:
            self.schedule.exhausted = True
            self._notify()
        except NotYet:
            raise
        except BaseException as error:
            self.schedule.exhausted = True
            self.source_error = error
            if isinstance(error, self._fatal):
                self.error = error
            self._notify()
        finally:
            self._attempts.calling = False
        return None

    def _come_back(self, moment: float) -> None:
        if moment == float("inf"):
            return  # an attempt ends, or whoever closed that opening calls wake()
        if self._alarm is not None:
            if self._alarm.when() <= moment:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._fill()

    # --------------------------------------------------------------------- ending

    def _ended(self, row: Row) -> None:
        """An attempt has ended: what its end says, and whether the row is finished."""
        try:
            if row.error is None:
                self.schedule.succeeded(row)
                is_over = True
            else:
                is_over = self._judge(row, row.error)
            if is_over:
                self._finish(row)
                if not self._news:  # else whoever waits has been told
                    self._news = True
                    self._notify()
        except BaseException as problem:  # of who is told: no task may keep it for itself
            self.fail(problem)
        if not (self._coming or self._closing):
            self._fill_soon()

    def _judge(self, row: Row, error: BaseException) -> bool:
        """What the error of an attempt means for its row, and for the others; is it finished?"""
        schedule = self.schedule
        if row.ending is Ending.CLOSED:  # our own doing: the row has no outcome
            self._dropped(row)
            self._notify()
        elif isinstance(error, self._fatal):
            self._dropped(row)
            self.fail(error)
        else:
            reading = read(error, time.time())
            if reading.blocks == MACHINE and schedule.in_flight > 1:  # the others make room
                reading = replace(reading, blocks="")
            row.reading = reading
            again = schedule.failed(row, reading, self._now())
            if schedule.stalled:
                for left in schedule.stall():
                    self._failed(left, _IGNORED, True)
                    self._finish(left)
            self._failed(row, reading, not again)
            if schedule.policy is None:
                self.fail(error)
            return not again
        return False

    def _failed(self, row: Row, reading: Reading, final: bool) -> None:
        if self._on_failed is not None:
            self._on_failed(row, reading, final)

    def _dropped(self, row: Row) -> None:
        self.schedule.dropped(row, row.ended)
        if self._on_dropped is not None:
            self._on_dropped(row)

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_IGNORED = Reading(Outcome.IGNORED, None)
