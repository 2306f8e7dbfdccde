"""
The one asyncio loop behind every strategy: it starts attempts, not rows.

    source ──next──▶ item ──start──▶ attempt ──ended──▶ finished ──▶ whoever waits
                      ▲                 │
                      └── due, a heap ◀─┘ failed, and worth another attempt

A *gate* decides how many attempts may be in flight (a fixed window, batches, or the adaptive
gate) and hears of each one's start and end. An item that waits for another attempt holds no
slot. Whether an attempt may start *now* is asked of every *opening*: the gate's pace, a rate
limit, the hold after a Retry-After, a backlog that must be written first.

Everything happens in callbacks of the running loop and at the end of each attempt's own task: no
task of ours polls, and at a million rows there are never more tasks than attempts in flight.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from .ahead import Ahead, NotYet
from .evidence import Outcome
from .executors import Elsewhere, Threads, off_loop
from .pace import Hold
from .reading import Reading, read
from .retry import Retry

_TURN = 64  # rows started before other callbacks of the loop get their turn
_SHARE = 0.002  # seconds of starting after which they get it in any case
_SLOW_STEP = 0.1  # seconds that one step of a dataset may block the loop unmentioned
_REFUSALS = 20  # times its attempts that a row may be refused while others are served
_OUTAGE = 3  # rows that fail in a row, without a success of any, before it is the endpoint
_TRIED = 6  # rows that wait in an outage at least: it could also be a few bad rows in a row
GRACE = 5.0  # seconds that an attempt has to obey its cancellation


class Gate(Protocol):
    """How many attempts may be in flight. Times are seconds on the loop's clock."""

    @property
    def limit(self) -> int:
        """Attempts that may be in flight now."""
        ...

    def room(self, in_flight: int) -> int:
        """How many more attempts may start."""
        ...

    def started(self, now: float) -> int:
        """An attempt starts. Returns a token for `ended`."""
        ...

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        """
        The attempt of this token ended.

        Returns:
            whether a Retry-After that came with it holds back every start, not only its row.
        """
        ...

    def ready_at(self, now: float) -> float:
        """When the next attempt may start; not after `now`: at once."""
        ...


class Item:
    """
    One row, or one task, on its way through the loop.

    Attributes:
        call: starts one attempt: returns a value or an awaitable of one.
        inline: the call only makes an awaitable, so it may be made on the loop's thread.
        attempts: started so far.
        burned: failed attempts that count towards the policy's limit.
        failures: failed attempts, for the backoff.
        refused: times that the endpoint was congested for this row alone.
        started, ended: when the last attempt began and ended; seconds on the loop's clock.
        waited: seconds between attempts.
        concurrency: attempts in flight when the last one began, itself included.
        value: what the last attempt returned; meaningless while `error` is set.
        error: what the last attempt raised.
        suspect: others were served after it had failed, so its failures are its own.
    """

    __slots__ = (
        "call",
        "inline",
        "attempts",
        "burned",
        "failures",
        "started",
        "ended",
        "waited",
        "concurrency",
        "value",
        "error",
        "token",
        "timer",
        "expired",
        "cancelled",
        "suspect",
        "failed_at",
        "refused",
    )

    def __init__(self, call: Callable[[], Any], inline: bool) -> None:
        self.call = call
        self.inline = inline
        self.attempts = self.burned = self.failures = self.refused = 0
        self.concurrency = self.token = 0
        self.started = self.ended = self.waited = self.failed_at = 0.0
        self.value: Any = None
        self.error: BaseException | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.expired = self.cancelled = self.suspect = False


_End = tuple[Any, "BaseException | None", float]  # value, error, moment of its end


class Loop:
    """
    One execution: from a source of items to finished items, in the order in which they finish.

    Args:
        source: yields items; None stands for "look at me again soon" (a row that needs no
            work), so that a long stretch of those does not block the loop. May be an asynchronous
            generator, which is closed.
        gate: how many attempts may be in flight.
        policy: which failed attempts are worth another; None: the first error ends everything.
        threads: where calls that are not inline run; None: on the loop's thread.
        timeout: seconds for one attempt.
        grace: seconds for an attempt to obey its cancellation before it is abandoned.
        openings: more callables `now -> moment` beside the gate's: nothing starts before the
            latest. `inf` means: until `wake()`.
        on_start: called with the moment of each start (rate limits count them).
        on_failed: called with (item, reading, final) after each failed attempt.
        fatal: exceptions that end everything, wherever they are raised.
        on_slow: called once, with seconds, when a step of the source blocked the loop.

    Attributes:
        calling: whether a plain function, or a step of the source, is running on the loop's
            thread just now.
        completed, failed: finished items, and how many of them with an error.
        stalled: whether patience ran out.
        source_error: what the source raised; items in flight still finished.
    """

    def __init__(
        self,
        source: Iterable[Item | None] | AsyncGenerator[Item | None, None],
        gate: Gate,
        *,
        policy: Retry | None = None,
        threads: Threads | Elsewhere | None = None,
        timeout: float | None = None,
        grace: float = GRACE,
        openings: tuple[Callable[[float], float], ...] = (),
        on_start: Callable[[float], None] | None = None,
        on_failed: Callable[[Item, Reading, bool], None] | None = None,
        fatal: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
        on_slow: Callable[[float], None] | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._now, self._make_task = _calls_of(self._loop)
        self._gate = gate
        self._policy = policy
        self._threads = threads
        self._timeout = timeout
        self._grace = grace
        self._openings = (gate.ready_at, *openings)
        self._on_start = on_start
        self._on_failed = on_failed
        self._fatal = fatal
        self._on_slow = on_slow
        self._random = random

        self._hold = Hold()
        self._pump: asyncio.Task[None] | None = None
        self._source: Iterator[Item | None]
        if isinstance(source, AsyncGenerator):
            buffer = Ahead(self.wake)
            self._source = buffer
            self._pump = self._loop.create_task(buffer.pump(source))
        else:
            self._source = off_loop(partial(iter, source))
        self._next = self._source.__next__
        self._running: dict[asyncio.Task[_End], Item] = {}  # in order of their start
        self._launched: list[asyncio.Task[_End]] = []  # those that may not have begun
        self._due: list[tuple[float, int, Item]] = []
        self._finished: deque[Item] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = float("inf")
        self._exhausted = False
        self._closing = False
        self._stopped = False  # nothing gets another attempt
        self._coming = False  # _fill will be called in the next turn of the event loop
        self._error: BaseException | None = None
        self._last_success = self._began = self._now()
        self._served = self._began  # when the latest of the attempts that succeeded began
        # A spell of trouble lasts until something succeeds that began after its first failure.
        self._troubled: set[int] = set()  # rows that failed in it, and wait
        self._given_up = 0  # rows that failed in it for good
        self._troubled_since = math.inf  # when it began
        self._order = itertools.count()  # of rows that are due at one moment

        self.calling = False
        self.completed = 0
        self.failed = 0
        self.last_ended = self._began
        self.stalled = False
        self.source_error: BaseException | None = None

    # ------------------------------------------------------------ what others ask

    @property
    def in_flight(self) -> int:
        """Attempts that are running."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Items that wait for another attempt."""
        return len(self._due)

    @property
    def oldest(self) -> float | None:
        """Seconds that the oldest attempt in flight has been running; None where there is none."""
        for item in self._running.values():
            return self._now() - item.started
        return None

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last end of an item, or to now while some are left."""
        over = self._exhausted and not self._running and not self._due
        return (self.last_ended if over else self._now()) - self._began

    @property
    def _outage(self) -> bool:
        """Whether rows fail, one after the other, without a success of any."""
        return len(self._troubled) + self._given_up >= _OUTAGE

    async def finished(self) -> list[Item]:
        """
        The items that finished since the last call, waiting for at least one; [] at the end.

        Raises:
            BaseException: without a policy, what the first failed item raised; with one, a
                fatal exception. Before either is raised, what was in flight has been cancelled.
        """
        self._fill_soon()
        while not self._finished:
            if self._error is not None:
                await self.close()
                raise self._error
            if self._exhausted and not self._running and not self._due:
                return []
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch = list(self._finished)
        self._finished.clear()
        return batch

    def wake(self) -> None:
        """Look again whether attempts may start; whoever closed an opening calls this."""
        if not self._closing:
            self._fill_soon()

    def fail(self, error: BaseException) -> None:
        """End with this error: `finished()` raises it after cancelling what is in flight."""
        if self._error is None:
            self._error = error
        self._notify()

    def stop(self) -> None:
        """Start nothing new and give up what waits; what is in flight may finish."""
        self._exhausted = self._stopped = True
        self._due.clear()
        self._notify()

    async def close(self) -> None:
        """
        Cancel what is in flight and wait until it has ended, for at most the grace period.

        Items that end by themselves in that time are still found in `finished()`'s next batch.
        """
        self._closing = True
        self._exhausted = True
        self._due.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        tasks: list[asyncio.Task[Any]] = list(self._running)
        for task, item in self._running.items():
            item.cancelled = True
            _forget(task)
            task.cancel()
        if self._pump is not None:
            self._pump.cancel()
            tasks.append(self._pump)
        if tasks:
            await asyncio.wait(tasks, timeout=self._grace)
            await asyncio.sleep(0)  # the callbacks of what has just ended
        for task in tasks:
            if not task.done():
                left = self._running.pop(task, None)
                if left is not None and left.timer is not None:
                    left.timer.cancel()

    def let_go(self) -> None:
        """Keep nothing but the figures: no rows, no functions, nothing that they hold."""
        self._source = self._next = self._threads = None  # type: ignore[assignment]
        self._running.clear()
        self._launched.clear()

    def left(self) -> list[Item]:
        """Items that ended while `close()` waited: what was computed is kept."""
        batch = list(self._finished)
        self._finished.clear()
        return batch

    # ------------------------------------------------------------------- starting

    def _fill(self) -> None:
        """Start what may start now; otherwise see to it that we come back in time."""
        self._coming = False
        if self._closing or self._error is not None or (self._exhausted and not self._due):
            return
        self._fill_up()
        if self._launched:
            self._loop.call_soon(self._check_launched)

    def _fill_soon(self) -> None:
        """
        Fill once in a turn of the event loop, whoever asks for it, so that no turn is a long one.
        In the context of who began, not of who asks: rows see the caller's variables.
        """
        if not self._coming:
            self._coming = True
            self._loop.call_soon(self._fill, context=self._context)

    def _fill_up(self) -> None:
        gate, due = self._gate, self._due
        room = gate.room(len(self._running))
        turn, now = _TURN, self._now()
        began, enough = now, max(gate.limit, _TURN)  # that nobody has fetched yet
        while room > 0 and len(self._finished) <= enough:
            if turn == 0 or now - began > _SHARE:
                self._fill_soon()
                return
            opens = self._hold.until
            for opening in self._openings:
                moment = opening(now)
                if moment > opens:
                    opens = moment
            if opens > now:
                self._come_back(opens)
                return
            if due and due[0][0] <= now:
                item: Item | None = heapq.heappop(due)[2]
                item.waited += now - item.ended  # type: ignore[union-attr]
            elif self._exhausted or (
                len(due) >= gate.limit and (len(due) >= _TRIED or not self._outage)
            ):
                break
            else:
                try:
                    self.calling = True
                    item = off_loop(self._next)
                except StopIteration:
                    self._exhausted = True
                    self._notify()
                    break
                except NotYet:
                    break
                except BaseException as error:
                    self._exhausted = True
                    self.source_error = error
                    if isinstance(error, self._fatal):
                        self._error = error
                    self._notify()
                    break
                finally:
                    self.calling = False
                before, now = now, self._now()
                if now - before > _SLOW_STEP and self._on_slow is not None:
                    self._on_slow(now - before)
                    self._on_slow = None
            if item is not None:
                now = self._start(item, now)
                if self._error is not None:  # of a plain function, which has ended already
                    return
                room = gate.room(len(self._running))
            turn -= 1
        if due and room > 0:
            self._come_back(due[0][0])

    def _come_back(self, moment: float) -> None:
        if moment == float("inf"):
            return  # whoever closed that opening calls wake()
        if self._alarm is not None:
            if self._alarm_at <= moment and not self._alarm.cancelled():
                return
            self._alarm.cancel()
        self._alarm_at = moment
        self._alarm = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._fill()

    def _start(self, item: Item, now: float) -> float:
        """Start an attempt; the moment when that was done."""
        item.started = now
        item.error = None
        item.concurrency = len(self._running) + 1
        item.attempts += 1
        if self._on_start is not None:
            self._on_start(now)
        item.token = self._gate.started(now)
        if self._threads is None and not item.inline:
            return self._call(item)
        self._launch(item, self._make_task(self._attempt(item)))
        return now

    def _launch(self, item: Item, task: asyncio.Task[_End]) -> None:
        self._running[task] = item
        self._launched.append(task)
        if self._timeout is not None:
            item.timer = self._loop.call_later(self._timeout, self._expire, task, item)

    def _call(self, item: Item) -> float:
        """
        An attempt of a plain function on this thread. It has ended when the call returns, so it
        needs no task: with one, three turns of the event loop cost more than all the rest.
        """
        context = copy_context()  # as a task would have: what the function sets stays its own
        self.calling = True
        try:
            item.value = context.run(off_loop, item.call)
        except BaseException as error:  # the attempt at a row, as in _attempt
            item.error = error
        finally:
            self.calling = False
        now = self._now()
        if item.error is None and hasattr(item.value, "__await__"):
            task = context.run(self._loop.create_task, self._awaited(item.value))
            self._launch(item, task)
        else:
            item.ended = now
            self._judge(item)
        return now

    def _check_launched(self) -> None:
        """
        Judge attempts that have ended before they could do so themselves: cancelled by somebody
        before their first step, or done within `create_task`, as an eager task factory does it.
        """
        for task in self._launched:
            if task.done() and task in self._running:
                cancelled = None, asyncio.CancelledError(), self._now()
                self._ended(cancelled if task.cancelled() else task.result(), task)
        self._launched.clear()

    async def _attempt(self, item: Item) -> _End:
        """One attempt: with `_call` the only place that catches whatever a function raises."""
        try:
            if item.inline:
                value = item.call()
            else:
                assert self._threads is not None
                error, value = await self._threads.call(item.call)
                if error is not None:
                    return self._ended((None, error, self._now()))
            if hasattr(value, "__await__"):
                value = await value
        except BaseException as error:
            return self._ended((None, error, self._now()))
        return self._ended((value, None, self._now()))

    async def _awaited(self, value: Awaitable[Any]) -> _End:
        """The rest of an attempt whose function is plain and returned an awaitable."""
        try:
            result = await value
        except BaseException as error:
            return self._ended((None, error, self._now()))
        return self._ended((result, None, self._now()))

    # --------------------------------------------------------------------- ending

    def _expire(self, task: asyncio.Task[_End], item: Item) -> None:
        item.expired = True
        item.timer = self._loop.call_later(self._grace, self._abandon, task)
        task.cancel()

    def _abandon(self, task: asyncio.Task[_End]) -> None:
        """The attempt ignores its cancellation: go on without it."""
        item = self._running.pop(task)
        _forget(task)
        item.expired = False
        item.timer = None
        item.ended = self._now()
        item.error = TimeoutError(
            f"no answer within {self._timeout:g} s, and the attempt ignored its cancellation "
            f"for {self._grace:g} s more: abandoned"
        )
        self._judge(item)

    def _ended(self, end: _End, task: asyncio.Task[_End] | None = None) -> _End:
        """
        An attempt has ended, that of the running task where none is named. A callback of each
        task would do as well, after another turn of the event loop.
        """
        item = self._running.pop(task or asyncio.current_task(self._loop), None)  # type: ignore[arg-type]
        if item is None:
            return end  # abandoned before; or not known yet, see _check_launched
        if item.timer is not None:
            item.timer.cancel()
            item.timer = None
        item.value, item.error, item.ended = end
        if item.expired:
            item.expired = False
            if item.error is not None:
                late = TimeoutError(f"no answer within {self._timeout:g} s")
                late.__cause__ = item.error
                item.error = late
        self._judge(item)
        return end

    def _judge(self, item: Item) -> None:
        """Whether the item is finished, and what its end says about the endpoint."""
        error = item.error
        if error is None:
            self._last_success = item.ended
            if item.started > self._served:
                self._served = item.started
            if item.started >= self._troubled_since:  # what began before says nothing of now
                self._troubled.clear()
                self._given_up, self._troubled_since = 0, math.inf
            self._gate.ended(item.token, item.ended, Outcome.SUCCESS)
            self._finish(item)
        elif item.cancelled:
            self._gate.ended(item.token, item.ended, Outcome.IGNORED)
            self._notify()
            return  # our own doing: the row has no outcome
        else:
            self._failed(item, error)
        if not self._closing:
            self._fill_soon()

    def _failed(self, item: Item, error: BaseException) -> None:
        if isinstance(error, self._fatal):
            self._error = error
            reading = _IGNORED
        else:
            reading = read(error, time.time())
        token, hint = item.token, reading.retry_after
        binding = self._gate.ended(token, item.ended, reading.outcome, hint)
        if self._error is error:
            self._notify()
            return
        again = self._again(item, reading, binding)
        if self._on_failed is not None:
            self._on_failed(item, reading, not again)
        if not again:
            if self._policy is None and self._error is None:
                self._error = error
            self._finish(item)

    def _again(self, item: Item, reading: Reading, binding: bool) -> bool:
        """Put the item among those that wait for another attempt, unless it had its chances."""
        policy = self._policy
        if self._stopped or policy is None or policy.attempts == 1:
            return False
        if not policy.retryable(reading):
            return False
        now = self._now()
        if reading.again:  # at once, for nobody has to recover
            item.burned += 1
            if item.burned < policy.attempts:
                heapq.heappush(self._due, (now, next(self._order), item))
                return True
            return False
        # In trouble an answer to what began before may be the last that an outage let through; but
        # where no row is left to be tried, nothing better will be known.
        troubled = reading.outcome is Outcome.TROUBLE
        served = self._served if troubled and not self._exhausted else self._last_success
        if item.failures and served > item.failed_at:
            item.suspect = True
        item.failures += 1
        item.failed_at = item.ended
        if troubled:
            # An outage is no row's fault. A row that fails while others get through is.
            self._troubled.add(id(item))
            self._troubled_since = min(self._troubled_since, item.ended)
            if not self._outage or item.suspect:
                item.burned += 1
        elif item.suspect:  # the endpoint refuses this row while it serves the others
            item.refused += 1
            if item.refused >= _REFUSALS * policy.attempts:
                return False
        if item.burned >= policy.attempts:
            self._troubled.discard(id(item))
            self._given_up += not item.suspect
            return False
        if now - max(self._last_success, self._began) >= policy.patience:
            self._stall()
            return False
        if self._random is None:
            from random import Random  # for those who fail; it takes a while to load

            self._random = Random().random  # whoever seeds the module's keeps its numbers
        wait = policy.delay(item.failures, self._random)
        if reading.retry_after is not None:
            asked = min(reading.retry_after, policy.patience)  # a day's pause is no reason to hang
            if binding:
                self._hold.extend(now, asked)
            wait = max(wait, asked)
        heapq.heappush(self._due, (now + wait, next(self._order), item))
        return True

    def _stall(self) -> None:
        """Patience is over: what waits fails with the error it has, and nothing new starts."""
        self.stalled = self._exhausted = self._stopped = True
        for _, _, item in self._due:
            if self._on_failed is not None:
                self._on_failed(item, _IGNORED, True)
            self._finish(item)
        self._due.clear()

    def _finish(self, item: Item) -> None:
        self.completed += 1
        self.failed += item.error is not None
        self.last_ended = item.ended
        self._finished.append(item)
        self._notify()

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _calls_of(
    loop: asyncio.AbstractEventLoop,
) -> tuple[Callable[[], float], Callable[..., asyncio.Task[Any]]]:
    """The loop's `time` and `create_task`; of asyncio's own loops the calls that these make."""
    kind, base = type(loop), asyncio.BaseEventLoop
    now: Callable[[], float] = time.monotonic if kind.time is base.time else loop.time
    if kind.create_task is base.create_task and loop.get_task_factory() is None:
        return now, partial(asyncio.Task, loop=loop)
    return now, loop.create_task


def _forget(task: asyncio.Task[Any]) -> None:
    """Should it outlive the event loop, asyncio need not complain: we know that it is there."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]


_IGNORED = Reading(Outcome.IGNORED, None)
