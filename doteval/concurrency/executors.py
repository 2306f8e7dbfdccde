"""
Running a row somewhere else than on the event loop: out of its sight, or out of its thread.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock, Thread, current_thread, local, main_thread
from typing import Any, TypeVar

from ..errors import ExecutorError, UsageError
from ..text import safe
from .notes import ATTEMPT, Noted
from .reading import Reading, keep, read, speaker

Value = TypeVar("Value")
End = tuple["BaseException | None", Any]  # what a call raised, or else what it returned
_SPARE = 8  # threads for calls that were abandoned, where few are in flight


def off_loop(function: Callable[[], Value]) -> Value:
    """
    Call somebody else's plain code as if no event loop were running in this thread.

    It knows of no loop and may begin one: `asyncio.run`, and the many synchronous faces of
    asynchronous clients that call it, refuse where they see one running. The one loop that it does
    see is one that such code left running, as Playwright does from its start to its stop.
    """
    loop, theirs = asyncio._get_running_loop(), _left.loop
    asyncio._set_running_loop(None if theirs is None or not theirs.is_running() else theirs)
    try:
        return function()
    finally:
        _left.loop = asyncio._get_running_loop()
        asyncio._set_running_loop(loop)


def on_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Value], *given: Any) -> Value:
    """Call what has to see the event loop from where `off_loop` hides it."""
    hidden = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        return function(*given)
    finally:
        asyncio._set_running_loop(hidden)


class _Left(local):
    loop: asyncio.AbstractEventLoop | None = None


_left = _Left()


Job = tuple["asyncio.Future[Any]", asyncio.AbstractEventLoop, Callable[[], Any]]


class Threads:
    """
    Threads that grow with the work and never keep the interpreter from ending.

    `concurrent.futures` joins its threads when the interpreter exits, so that one call that
    never returns would keep a run from ending for ever; these are daemons. A thread is started
    when a call finds none idle; idle ones are used again.

    A call that was abandoned keeps its thread until it returns. So there may be more threads than
    calls that somebody waits for, but not without end: beyond twice as many, and where the system
    gives no more, a call waits for a thread that comes free, while its timeout runs.

    Args:
        width: the most calls that somebody waits for at a time. None: as many as are asked for.
    """

    def __init__(self, width: int | None = None) -> None:
        self._limit = None if width is None else width + max(width, _SPARE)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = Lock()
        self._started = 0
        self._busy = 0

    async def call(self, function: Callable[[], Any]) -> End:
        """
        What `function()` raises or returns, in a thread, in a copy of the current context.

        Both come back as values: a coroutine can not raise StopIteration. A cancelled caller gets
        its CancelledError at once, while the thread goes on to the end of the function; one that
        is cancelled before it has a thread is never called.

        Raises:
            RuntimeError: not one thread can be started.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            self._busy += 1
            if self._busy > self._started and (self._limit is None or self._started < self._limit):
                self._start()
        context = copy_context()
        self._jobs.put((future, loop, lambda: context.run(function)))
        end: End = await future
        return end

    def _start(self) -> None:
        name = f"doteval-{self._started + 1}"
        try:
            Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:  # "can't start new thread"
            if not self._started:
                self._busy -= 1
                raise
            self._limit = self._started
        else:
            self._started += 1

    def close(self) -> None:
        """Let the threads end when they have done what they are doing; waits for nothing."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, loop, function = job
            outcome: End = (None, None)
            try:
                if not future.done():  # else it was given up while it waited for a thread
                    outcome = (None, function())
            except BaseException as error:  # the attempt at a row: whatever it is, it is the row's
                outcome = (error, None)
            with self._lock:
                self._busy -= 1
            try:
                loop.call_soon_threadsafe(_settle, future, outcome)
            except RuntimeError:
                pass  # the loop is closed: the call was abandoned, and nobody waits for it
            del job, future, loop, function, outcome


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)


def as_executor(executor: Any) -> Any:
    """
    The executor, or the callable that makes one, that `executor=` stands for.

    Args:
        executor: either of them; a Dask client, whose executor is then made; or None.

    Raises:
        UsageError: it is nothing of the kind; tells what to write.
    """
    if callable(makes := getattr(executor, "get_executor", None)):
        return makes  # a client submits too, but its futures are others
    if executor is None or callable(executor) or hasattr(executor, "submit"):
        return executor
    hint = ""
    if isinstance(executor, str):
        kind = "ThreadPoolExecutor" if "thread" in executor.lower() else "ProcessPoolExecutor"
        hint = f"; write executor={kind}, imported from concurrent.futures"
    raise UsageError(
        f"ForEach(executor={safe(repr(executor), 80)}): expected an executor of "
        f"concurrent.futures, or a zero-argument callable that makes one{hint}"
    )


class Elsewhere:
    """
    Rows in an executor of `concurrent.futures`: processes, a cluster, somebody's threads.

    The strategy decides how many rows are in flight, the executor where they run. A pool that
    broke because a worker died is made again where we know how, and its rows run again.

    Args:
        executor: has `submit(function, *arguments)`; or a zero-argument callable that makes
            one, which is then shut down at the end.
    """

    def __init__(self, executor: Any) -> None:
        self._make = executor if callable(executor) else None
        self._executor = None if callable(executor) else executor

    async def call(self, function: Callable[[], Any]) -> End:
        """
        What `function()` raises or returns, computed by the executor.

        Raises:
            ExecutorError: no call has a chance: the executor can not be made, is shut down or
                broke and can not be made again, or its worker does not find the function.
            BrokenExecutor: the pool broke each time that this call was in it.
        """
        from concurrent.futures import BrokenExecutor

        tries = 0
        while True:
            if self._executor is None:
                self._executor = self._made()
            executor = self._executor
            try:
                end: End
                end, (noted, said) = await asyncio.wrap_future(_submitted(executor, function))
            except BrokenExecutor as error:
                tries += 1
                if self._make is None:
                    raise ExecutorError(
                        f"the executor is broken ({error}) and can not be made again: pass "
                        "executor= a function that makes one, such as "
                        "lambda: ProcessPoolExecutor(8)"
                    ) from error
                if tries > _LIVES:
                    raise
                if self._executor is executor:  # the first of its rows to notice
                    self._executor = None
                    executor.shutdown(wait=False)
            except ValueError as error:
                # Dask's executor takes a result for an error (of three parts) where the worker that
                # held it dies as it arrives. What a row raises is returned, and never raised here.
                tries += 1
                if "to unpack" not in str(error) or tries > _LIVES:
                    raise
            else:
                here = ATTEMPT.get()
                if here is not None:
                    here.update(noted)
                    here.calls = noted.calls
                if end[0] is not None and said is not None:
                    keep(end[0], said)
                return end

    def _made(self) -> Any:
        assert self._make is not None
        try:
            executor = off_loop(self._make)
        except Exception as error:  # somebody else's code; told with its name
            raise ExecutorError(
                f"the executor can not be made: {type(error).__name__}: {_said(error)}"
            ) from error
        if not hasattr(executor, "submit"):
            raise ExecutorError(
                f"executor=: expected a function that makes an executor of concurrent.futures; "
                f"it returned {safe(executor, 80)}"
            )
        _watch_from_the_start(executor)
        return executor

    def close(self) -> None:
        """Shut down an executor that was made here; somebody else's stays as it is."""
        if self._make is not None and self._executor is not None:
            _shut_down(self._executor)


def _said(error: Exception) -> str:
    """What it says, without what looks like a credential."""
    from ..redaction import safe_error  # its patterns are compiled by who has something to tell

    return safe_error(error, 500)


def _submitted(executor: Any, function: Callable[[], Any]) -> Any:
    """The future of a call, which is another for each: a cluster may take equal calls for one."""
    from concurrent.futures import BrokenExecutor

    try:
        return executor.submit(_guarded, function, os.urandom(8))
    except BrokenExecutor:
        raise
    except RuntimeError as error:  # as concurrent.futures says that it is shut down
        raise ExecutorError(f"the executor takes no rows: {_said(error)}") from error


def _shut_down(executor: Any) -> None:
    """Without waiting; what has not begun is cancelled, where the executor knows how."""
    from inspect import signature

    options = {"wait": False}
    if "cancel_futures" in signature(executor.shutdown).parameters:
        options["cancel_futures"] = True
    executor.shutdown(**options)


_LIVES = 3  # times that a row may be in flight when its pool breaks; then it is to blame


class Untransportable(Exception):
    """Stands in for an exception or a result that can not be pickled on its way back."""


def _guarded(function: Callable[[], Any], call: bytes) -> tuple[End, tuple[Noted, Reading | None]]:
    """
    In the worker: what a call returned or raised, as a value that can travel, what it noted, and
    what its error says; that is read here, because no cause travels, and few clients' errors do.

    Returned, not raised, because SystemExit would end the worker and StopIteration the pool.
    """
    if current_thread() is main_thread():  # as in a process of a pool, and not in a thread of ours
        _end_with_parent()
    noted = Noted()
    context = copy_context()
    context.run(ATTEMPT.set, noted)
    said = None
    try:
        end: End = (None, context.run(function))
    except BaseException as error:  # the attempt at a row: whatever it is, it is the row's
        end = (speaker(error), None)
        said = read(error, time.time())
    noted.update({name: _sent(value) for name, value in noted.items()})
    problem = _obstacle(end)
    if problem is not None:
        what = end[1] if end[0] is None else end[0]
        told = "result" if end[0] is None else f"{type(what).__name__}: {what}"
        told = f"the {type(what).__name__} can not be pickled ({problem}): {told}"
        end = Untransportable(told), None
    return end, (noted, said)


def _watch_from_the_start(executor: Any) -> None:
    """Let the processes of a new pool know their parent's end, those too that never get a row."""
    from concurrent.futures import ProcessPoolExecutor

    if isinstance(executor, ProcessPoolExecutor) and hasattr(executor, "_initializer"):
        before = executor._initializer, executor._initargs
        executor._initializer, executor._initargs = _begin, before


def _begin(initializer: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    _end_with_parent()
    if initializer is not None:
        initializer(*arguments)


_watching = 0  # the process that does
_LOOK = 1.0  # seconds between two looks after a parent, where nothing tells of its end


def _end_with_parent(end: Callable[[int], object] = os._exit) -> None:
    """
    In a process of a pool: end when the process has ended whose pool it is, in whatever way. One
    that was killed tells nobody, and its pool would wait for work for ever.
    """
    global _watching
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None or _watching == os.getpid():
        return
    _watching = os.getpid()

    def watch() -> None:
        if parent.sentinel is None:  # loky's processes know no more than who it was
            while os.getppid() == parent.pid:
                time.sleep(_LOOK)
        else:
            connection.wait([parent.sentinel])
        end(1)

    Thread(target=watch, name="doteval-parent", daemon=True).start()


def _sent(value: Any) -> Any:
    """What can travel of what was noted: what can not, as a text."""
    if _obstacle(value) is None:
        return value
    if isinstance(value, dict):
        return {key: _sent(each) for key, each in value.items()}
    return safe(value)


def _obstacle(thing: object) -> Exception | None:
    """What prevents a thing from being pickled on one side and unpickled on the other."""
    import pickle

    try:
        pickle.loads(pickle.dumps(thing))
    except Exception as problem:
        return problem
    return None


class Journey:
    """
    A function by its name, so that it can be called in another process.

    What travels is the module, the file it is in and the name: the worker imports it and takes
    the plain function out of the evaluation that the decorator made of it.

    Args:
        function: of a module, at its top level or in a class.
        holder: what the module holds under that name: the function, or an evaluation of it.

    Raises:
        UsageError: the name does not lead to the holder; tells what to do.
    """

    def __init__(self, function: Callable[..., Any], holder: object) -> None:
        import sys

        self._module = function.__module__
        self._file = file_of(function)
        module = sys.modules.get(self._module)
        names = [function.__qualname__, getattr(holder, "__name__", function.__name__)]
        advice = f"define it at the top level of a module (here: {self._module})"
        for name in names:
            there = None if "<locals>" in name else _look_up(module, name)
            if there is holder or there is function is _attempt_of(holder):
                self._name = name
                return
            if there is function:
                advice = "decorate it where it is defined, or its retries do not travel with it"
        raise UsageError(
            f"executor=: {function.__qualname__}() can not be found by its name in another "
            f"process; {advice}"
        )

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        value = self._find()(*arguments, **named)
        return asyncio.run(_awaited(value)) if hasattr(value, "__await__") else value

    def _find(self) -> Callable[..., Any]:
        try:
            holder = _look_up(self._import(), self._name)
        except Exception as error:  # whatever their module does when it is imported there
            reason = f"{type(error).__name__}: {_said(error)}"
        else:
            if holder is not None:
                return _attempt_of(holder)
            reason = "it has no such name"
        raise ExecutorError(
            f"{self._name}() of the module {self._module} can not be found by a worker of the "
            f"executor: {reason}; put it into a module that workers can import"
        )

    def _import(self) -> Any:
        from importlib import import_module, util
        from sys import modules

        try:
            return import_module(self._module)
        except ImportError:
            spec = util.spec_from_file_location(self._module, self._file)
            if spec is None or spec.loader is None:
                raise
            module = modules[self._module] = util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module


def file_of(function: Callable[..., Any]) -> str:
    """Path of the file that a function stands in, not of a decorator's that wrapped it."""
    from inspect import unwrap

    code = getattr(unwrap(function), "__code__", function.__code__)
    file: str = code.co_filename
    return file


def _look_up(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _attempt_of(holder: Any) -> Callable[..., Any]:
    """What to call for an attempt: of an evaluation the function with its retries."""
    function: Callable[..., Any] = getattr(holder, "attempt", holder)
    return function


async def _awaited(value: Any) -> Any:
    return await value


def check_travel(thing: object, name: str) -> None:
    """
    See to it, before the first row, that a value can reach another process.

    Raises:
        UsageError: it can not be pickled.
    """
    import pickle

    try:
        pickle.dumps(thing)
    except Exception as problem:
        raise UsageError(
            f"executor=: the value of {name!r} can not travel to another process "
            f"({type(problem).__name__}: {problem}); make it inside the function"
        ) from problem
