"""
Attempts that are running: each in a task of its own, a plain function's on a thread, or on the
loop's own.

    start ──▶ the function ──▶ ended
                 │  timeout
                 └──▶ cancelled ──grace──▶ abandoned: go on without it
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from .executors import Elsewhere, Threads, on_loop
from .notes import ATTEMPT, Noted
from .row import Ending, Row

GRACE = 5.0  # seconds that an attempt has to obey its cancellation


class Attempts:
    """
    Args:
        threads: where calls that are not inline run; None: on the loop's thread.
        timeout: seconds for one attempt; None: as long as it takes.
        grace: seconds for an attempt to obey its cancellation before it is abandoned.
        ended: called with each row whose attempt has ended, with `value`, `error` and `ended` set.

    Attributes:
        running: tasks by row, in the order of their start; None: it is just being made.
        calling: whether code of theirs that is not asynchronous runs on the loop's thread now.
        now: the clock of the loop. eager: whether a task begins within the call that makes it.
    """

    def __init__(
        self,
        threads: Threads | Elsewhere | None,
        timeout: float | None,
        grace: float,
        ended: Callable[[Row], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.now, self._make_task, self.eager = _calls_of(self._loop)
        self.running: dict[Row, asyncio.Task[None] | None] = {}
        self.calling = False
        self._launched: list[tuple[Row, asyncio.Task[None]]] = []  # those that may not have begun
        self._threads = threads
        self._timeout = timeout
        self._grace = grace
        self._ended = ended

    # ------------------------------------------------------------------- starting

    def start(self, row: Row) -> bool:
        """Start an attempt; whether it has already run, to its end or as far as it could."""
        row.error = row.reading = None
        row.noted = Noted() if row.noted is None else row.noted.next()
        make_task, begun = self._make_task, None
        self.running[row] = None
        is_called = self._threads is None and not row.inline
        if is_called:
            context, begun = self._call(row)
            if begun is None:
                return True
            make_task = partial(context.run, make_task)
        task = make_task(self._attempt(row, row.attempts, begun))
        if row not in self.running:  # it ended within the making of its task
            return True
        self.running[row] = task
        if self._timeout is not None:
            row.timer = self._loop.call_later(self._timeout, self._expire, row)
        self._launched.append((row, task))
        return is_called or self.eager

    def check_soon(self) -> None:
        """Look in the next turn whether what was started has begun."""
        if self._launched:
            self._loop.call_soon(self._check)

    def _check(self) -> None:
        """An attempt that was cancelled before its first step can not tell that itself."""
        for row, task in self._launched:
            if task.cancelled() and self.running.get(row) is task:
                self._end(row, row.attempts, None, asyncio.CancelledError())
        self._launched.clear()

    # An attempt has two places that catch whatever a function raises.

    def _call(self, row: Row) -> tuple[Context, Awaitable[Any] | None]:
        """
        An attempt of a plain function on this thread. It has ended when the call returns, so it
        needs no task: with one, three turns of the event loop cost more than all the rest.

        Returns:
            the context that it ran in, and the awaitable that it has returned, if any.
        """
        context = copy_context()  # as a task would have: what the function sets stays its own
        context.run(ATTEMPT.set, row.noted)
        value, error = None, None
        self.calling = True
        try:
            value = context.run(row.call, **row.named)
        except BaseException as raised:
            error = raised
        finally:
            self.calling = False
        left = asyncio._get_running_loop()
        if left is not None and not left.is_running():  # the next call is not to find it
            asyncio._set_running_loop(None)
        if error is None and hasattr(value, "__await__"):
            return context, value
        self._end(row, row.attempts, value, error)
        return context, None

    async def _attempt(self, row: Row, number: int, begun: Awaitable[Any] | None = None) -> None:
        """
        Args:
            number: of the attempt, for one that was abandoned is followed by others.
            begun: what a plain function has returned.
        """
        ATTEMPT.set(row.noted)
        try:
            if begun is not None:
                value = await begun
            else:
                if row.inline:
                    value = row.call(**row.named)
                else:
                    assert self._threads is not None
                    error, value = await self._threads.call(partial(row.call, **row.named))
                    if error is not None:
                        return self._end(row, number, None, error)
                if hasattr(value, "__await__"):
                    value = await value
        except BaseException as error:
            return self._end(row, number, None, error)
        self._end(row, number, value, None)

    # --------------------------------------------------------------------- ending

    def _expire(self, row: Row) -> None:
        task = self.running[row]
        assert task is not None
        row.ending = Ending.EXPIRED
        row.timer = self._loop.call_later(self._grace, self._abandon, row, task)
        task.cancel()

    def _abandon(self, row: Row, task: asyncio.Task[None]) -> None:
        """The attempt ignores its cancellation: go on without it."""
        _forget(task)
        row.ending = None
        error = TimeoutError(
            f"no answer within {self._timeout:g} s, and the attempt ignored its cancellation "
            f"for {self._grace:g} s more: abandoned"
        )
        self._end(row, row.attempts, None, error)

    def _end(self, row: Row, number: int, value: Any, error: BaseException | None) -> None:
        """An attempt has ended."""
        if number != row.attempts or row not in self.running:
            return  # it was abandoned before
        del self.running[row]
        if row.timer is not None:
            row.timer.cancel()
            row.timer = None
        row.ended = self.now()
        if row.ending is Ending.EXPIRED:
            row.ending = None
            if error is not None:
                late = TimeoutError(f"no answer within {self._timeout:g} s")
                late.__cause__ = error
                error = late
        row.value, row.error = value, error
        self._ended(row)

    async def close(self) -> list[Row]:
        """
        Cancel what is running and wait until it has ended, for at most the grace period.

        Returns:
            the rows that did not: the deaf, and those that never began.
        """
        tasks = {row: task for row, task in self.running.items() if task is not None}
        for row, task in tasks.items():
            row.ending = Ending.CLOSED
            _forget(task)
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._grace)
        left = [*self.running]
        self.running.clear()
        for row in left:
            if row.timer is not None:
                row.timer.cancel()
        return left

    def let_go(self) -> None:
        """Keep no rows and no functions, nor what they hold."""
        self._threads = self._ended = None  # type: ignore[assignment]
        self.running.clear()
        self._launched.clear()


def _calls_of(
    loop: asyncio.AbstractEventLoop,
) -> tuple[Callable[[], float], Callable[..., asyncio.Task[Any]], bool]:
    """
    The loop's `time` and `create_task`; of asyncio's own loops the calls that these make. And
    whether a task begins within the latter, as Python can from 3.12 on.
    """
    seen, base = partial(on_loop, loop), asyncio.BaseEventLoop
    kind = type(loop)
    now: Callable[[], float] = time.monotonic if kind.time is base.time else loop.time
    if kind.create_task is not base.create_task or loop.get_task_factory() is not None:
        return now, partial(seen, loop.create_task), False
    eager = sys.version_info >= (3, 12)
    options: dict[str, Any] = {"eager_start": True} if eager else {}
    make = partial(asyncio.Task, loop=loop, **options)
    return now, partial(seen, make) if eager else make, eager


def _forget(task: asyncio.Task[Any]) -> None:
    """Should it outlive the event loop, asyncio need not complain: we know that it is there."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
