"""
From a plain function to a coroutine that runs to its end, whatever interrupts it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

Value = TypeVar("Value")


def drive(
    main: Callable[[], Coroutine[Any, Any, Value]],
    loop: asyncio.AbstractEventLoop | None = None,
    stops: Callable[[], Callable[[], bool]] | None = None,
) -> Value:
    """
    Run a coroutine to its end, on a new loop or on the one given.

    Whatever interrupts it, the coroutine is cancelled and may finish its cleaning up before the
    interruption goes on.

    Args:
        main: makes the coroutine.
        loop: an event loop that is not running; None: a new one, closed afterwards.
        stops: where the process is ours (the command line, pytest): SIGINT and SIGTERM cancel the
            coroutine, and a second one ends it at once. Called at a signal for a callable that
            tells whether a plain function is running in this thread, which only an exception
            can interrupt; it sees to it that no other is called.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM; `args[0]` is the signal's number.
    """
    own = loop is None
    loop = loop or asyncio.new_event_loop()
    try:
        task = loop.create_task(main())
        with _Signals(loop, task, stops) as signals:
            try:
                value = loop.run_until_complete(task)
            except BaseException as error:
                if not task.done():
                    task.cancel()
                    try:
                        loop.run_until_complete(task)
                    except BaseException:  # the interruption is what counts, and is raised below
                        pass
                if signals.received is None:
                    raise
                expected = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt))
                cause = None if expected else error
                raise KeyboardInterrupt(signals.received) from cause
            if signals.received is not None:  # at the very end: what comes next is not to begin
                raise KeyboardInterrupt(signals.received)
            return value
    finally:
        if own:
            try:
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                loop.close()


class _Signals:
    """SIGINT and SIGTERM while a coroutine runs: once, it is cancelled; twice, it ends."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        task: asyncio.Task[Any],
        stops: Callable[[], Callable[[], bool]] | None,
    ) -> None:
        self.received: int | None = None
        self._loop, self._task, self._stops = loop, task, stops
        self._process = os.getpid()
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> _Signals:
        if self._stops is None or threading.current_thread() is not threading.main_thread():
            return self
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, default in defaults.items():
            if signal.getsignal(number) is default:  # somebody else's handler stays
                self._before.append((number, default))
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:
            return self._handle_elsewhere(number)
        again, self.received = self.received is not None, number
        assert self._stops is not None
        if not again:
            self._loop.call_soon_threadsafe(self._task.cancel)
        if again or self._stops()():  # a function may swallow it, so that alone is not enough
            raise KeyboardInterrupt(number)

    @staticmethod
    def _handle_elsewhere(number: int) -> None:
        """
        In a process that was forked while the handlers stood, such as a worker of a pool: it ends
        when its pool asks for that; Ctrl-C, which a terminal sends to all, is for the pool's owner.
        """
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_thread(main: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """
    `drive` in a thread of its own, where the caller's thread has a running loop.

    The coroutine sees the context variables of the caller, as it would without the thread. What
    interrupts the caller cancels the coroutine, which may finish its cleaning up.
    """
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[Any]] = []
    outcome: list[Any] = [None, None]
    ended = threading.Event()  # an interrupted Thread.join() takes the thread for dead

    async def watched() -> Value:
        tasks.extend(each for each in (asyncio.current_task(),) if each is not None)
        return await main()

    def work() -> None:
        try:
            outcome[1] = drive(watched, loop)
        except BaseException as error:
            outcome[0] = error
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            ended.set()

    def cancel() -> None:
        for task in tasks:
            task.cancel()

    inside = partial(copy_context().run, work)
    thread = threading.Thread(target=inside, name="doteval-run", daemon=True)
    thread.start()
    try:
        ended.wait()
    except BaseException:
        loop.call_soon_threadsafe(cancel)
        ended.wait()
        raise
    if outcome[0] is not None:
        raise outcome[0]
    value: Value = outcome[1]
    return value
