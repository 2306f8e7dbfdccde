"""
A coroutine that runs to its end, whatever interrupts it: `run` from a plain function, `drive` from
one where no loop is running, `in_order` on the loop that runs.

All that one thread drives shares one event loop, as in `asyncio.Runner`: a client that was opened
once, such as one that a module holds, serves all of its runs. It is closed when its thread ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

Value = TypeVar("Value")

_LAST = 1.0  # seconds for what is left on a loop at its end; rows had their grace period before


def drive(
    main: Callable[[], Coroutine[Any, Any, Value]],
    loop: asyncio.AbstractEventLoop | None = None,
    stops: Callable[[], Callable[[], bool]] | None = None,
) -> Value:
    """
    Run a coroutine to its end, on the loop that this thread keeps or on the one given.

    Whatever interrupts it, the coroutine is cancelled and may finish its cleaning up before the
    interruption goes on. Tasks that it leaves behind stay on the loop, for they may be a client's,
    and are cancelled when the loop is closed.

    Args:
        main: makes the coroutine.
        loop: an event loop that is not running; None: the one that this thread keeps.
        stops: where the process is ours (the command line, pytest): SIGINT, SIGTERM and SIGHUP
            cancel the coroutine, and a second one ends it at once. Called at a signal for a
            callable that tells whether a plain function is running in this thread, which only an
            exception can interrupt; it sees to it that no other is called.

    Raises:
        KeyboardInterrupt: one of these signals; `args[0]` is the signal's number.
    """
    loop = loop or _kept_loop()
    given_up: list[Callable[[], object]] = []
    token = releases.set(given_up)
    task = loop.create_task(main())
    releases.reset(token)
    try:
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
        if task.done():
            loop.run_until_complete(asyncio.sleep(0))  # callbacks that hold what has ended
        else:  # interrupted twice: what is left of it stays where it is
            for release in given_up:
                release()


def run(main: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """`drive`, or `in_thread` where a loop is running, as in a notebook."""
    return drive(main) if asyncio._get_running_loop() is None else in_thread(main)


async def in_order(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """
    Await a coroutine; cancelled, however often, wait until it has cleaned up.

    Timeouts within groups of tasks, and the scopes of anyio at every turn of the loop, cancel
    again and again. The coroutine itself hears of the first time; a run takes no longer than its
    rows' grace period.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        raise


releases: ContextVar[list[Callable[[], object]]] = ContextVar("releases")


def if_abandoned(release: Callable[[], object]) -> None:
    """
    Call this if the coroutine that is running is interrupted while it cleans up, and given up.

    It must not wait for the event loop, and may find its work done.
    """
    releases.get([]).append(release)


# --- the loops of a thread --------------------------------------------------------------------


class _Kept:
    """
    What one thread keeps for its runs, until it ends.

    Attributes:
        loops: its event loops; several, for a plain function may call `run` while one is running.
        helpers: the threads that drive for it where a loop of somebody else's is running.
        let_go: closes and ends them all.
    """

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.helpers: list[_Helper] = []
        self.process = os.getpid()
        self.let_go = weakref.finalize(self, _let_go, self.loops, self.helpers, self.process)


_thread = threading.local()
_strangers: list[_Kept] = []  # of the process that forked this one; its selectors are the same


def _kept() -> _Kept:
    """What the calling thread keeps."""
    kept: _Kept | None = getattr(_thread, "kept", None)
    if kept is None or kept.process != os.getpid():
        if kept is not None:
            _strangers.append(kept)
        kept = _thread.kept = _Kept()
    return kept


def _let_go(loops: list[asyncio.AbstractEventLoop], helpers: list[_Helper], process: int) -> None:
    if process == os.getpid():
        for helper in helpers:
            helper.end()
        for loop in loops:
            close(loop)


def _kept_loop() -> asyncio.AbstractEventLoop:
    """An event loop of this thread that is not running."""
    loops = _kept().loops
    for loop in loops:
        if not (loop.is_running() or loop.is_closed()):
            return loop
    loops.append(asyncio.new_event_loop())
    return loops[-1]


def close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on a loop, wait for it for a second, and close the loop."""
    if loop.is_running() or loop.is_closed():  # by a thread that is at work when all ends; a row
        return
    another = asyncio._get_running_loop()  # of whoever's thread it is in which a loop is collected
    asyncio._set_running_loop(None)
    try:
        _finish(loop)
    finally:
        asyncio._set_running_loop(another)
        loop.close()


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_LAST))
    if getattr(loop, "_asyncgens", True):  # else nothing runs: gevent's hub, which may be who lets
        loop.run_until_complete(loop.shutdown_asyncgens())  # go here, can not wait for anything


# SIGHUP: the terminal was closed, or the connection to it lost. Under `nohup` it is ignored.
_DEFAULTS = {
    getattr(signal, name): default
    for name, default in {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }.items()
    if hasattr(signal, name)  # not so on Windows
}


class _Signals:
    """SIGINT, SIGTERM and SIGHUP while a coroutine runs: once, it is cancelled; twice, it ends."""

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
        for number, default in _DEFAULTS.items():
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
        when its pool asks for that; what a terminal sends to all, at Ctrl-C or when it is closed,
        is for the pool's owner.
        """
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


class _Helper:
    """A thread that drives coroutines for another one, whose own loop is running."""

    def __init__(self) -> None:
        self.busy = False
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="doteval-run", daemon=True)
        self._thread.start()

    def begin(self, job: Callable[[], object]) -> None:
        """Do this, which raises nothing."""
        self.busy = True
        self._jobs.put(job)

    def end(self) -> None:
        """Close the thread's loop and end it; one that is at work does so later."""
        self._jobs.put(None)
        if not self.busy:
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
        _kept().let_go()


def in_thread(main: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """
    `drive` in another thread, where the caller's thread has a running loop.

    That thread and its loop are kept for the caller's next time. The coroutine sees the context
    variables of the caller, as it would without the thread. What interrupts the caller cancels the
    coroutine, which may finish its cleaning up.
    """
    begun, ended = threading.Event(), threading.Event()
    cancels: list[Callable[[], object]] = []  # one, while the coroutine runs
    outcome: list[Any] = [None, None]

    async def watched() -> Value:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        cancels.append(partial(loop.call_soon_threadsafe, task.cancel))
        begun.set()
        return await main()

    def work() -> None:
        try:
            outcome[1] = drive(watched)
        except BaseException as error:
            outcome[0] = error
        finally:
            cancels.clear()
            begun.set()
            helper.busy = False
            ended.set()  # an interrupted Thread.join() takes the thread for dead

    helpers = _kept().helpers
    if not helpers or helpers[-1].busy:  # with a run that was interrupted twice
        helpers.append(_Helper())
    helper = helpers[-1]
    helper.begin(partial(copy_context().run, work))
    try:
        ended.wait()
    except BaseException:
        begun.wait()
        for cancel in tuple(cancels):
            cancel()
        ended.wait()
        raise
    if outcome[0] is not None:
        raise outcome[0]
    value: Value = outcome[1]
    return value
