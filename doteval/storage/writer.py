"""
The one writer of a process: group commit in a thread that owns the store's connection.

While a commit waits for the disk, entries gather; the next commit takes them all. At an idle
loop that makes a record durable in one or two syncs, and under load it makes hundreds of
records share one. A record counts once its commit has returned.

A full commit is prepared while the loop pauses, and is written and synced while the loop runs.
The preparing needs the interpreter's lock again after each statement, and a busy loop keeps it
for 5 ms, or for ever: whoever waits begins anew each time that the loop looks for events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import StoreError
from ..record import Call
from .entries import Entry

if TYPE_CHECKING:
    from asyncio import Future
    from concurrent.futures import Future as Answer

Value = TypeVar("Value")
_MOST = 512  # entries in one commit; so many go into a table with one statement
_MOST_TEXT = 8 * 2**20  # characters in one commit: the first of them would wait for the last


def nothing() -> None:
    """What a writer may be told to do, to know that it has done everything before."""


class Writer(Protocol):
    """
    Takes entries in order, and says when they are durable.

    Attributes:
        preparing: whether a full commit is being prepared, so that nothing new should start.
    """

    preparing: bool

    def put(self, entry: Any) -> None:
        """Write an entry soon; `on_durable` hears of it."""
        ...

    async def call(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """
        Call a function where the connection lives, after everything that was put before.

        Raises what the function raises; or what writing raised before it, and is not called.
        """
        ...

    def look(self, function: Callable[..., Value], *arguments: Any) -> Answer[Value]:
        """
        Call a function that only reads where the connection lives, soon: between two commits, and
        not after what was put before. Any thread may ask, and wait.
        """
        ...

    async def close(self, last: Callable[[], object] = nothing) -> None:
        """Write what was put, call `last` where the connection lives, whatever was, and end."""
        ...

    def end(self, last: Callable[[], object], patience: float) -> None:
        """
        `close` for who has no event loop any more.

        Args:
            patience: seconds to wait for it. One that is stuck goes on by itself afterwards.
        """
        ...


class Inline:
    """A writer for a store in memory: no thread, so that a virtual clock can drive a whole run."""

    def __init__(
        self, write: Callable[[list[Any]], None], on_durable: Callable[[list[Any]], None]
    ) -> None:
        self._write = write
        self._on_durable = on_durable
        self.preparing = False

    def put(self, entry: Any) -> None:
        self._write([entry])
        self._on_durable([entry])

    async def call(self, function: Callable[..., Value], *arguments: Any) -> Value:
        return function(*arguments)

    def look(self, function: Callable[..., Value], *arguments: Any) -> Answer[Value]:
        return _answered(function, arguments)

    async def close(self, last: Callable[[], object] = nothing) -> None:
        last()

    def end(self, last: Callable[[], object], patience: float) -> None:
        last()


class Grouped:
    """
    A writer with a thread of its own.

    Args:
        write: makes a list of entries durable in one transaction, or raises.
        on_durable: called on the loop's thread with the entries of each commit.
        on_error: called on the loop's thread, once, with what `write` raised. Nothing is
            written after that.
        on_prepared: called on the loop's thread when `preparing` is over, before `on_durable`
            is called, if whoever writes calls `prepared`.
    """

    def __init__(
        self,
        write: Callable[[list[Any]], None],
        on_durable: Callable[[list[Any]], None],
        on_error: Callable[[BaseException], None],
        on_prepared: Callable[[], None],
    ) -> None:
        from asyncio import get_running_loop  # here, as who only reads has none

        self._write = write
        self._on_durable = on_durable
        self._on_error = on_error
        self._on_prepared = on_prepared
        self.preparing = False
        self._loop = get_running_loop()
        self._context = copy_context()  # listeners see the caller's variables
        self._queue: deque[Any] = deque()
        self._asked: deque[Callable[[], object]] = deque()  # what `look` is to answer
        self._wake = Event()
        self._broken: BaseException | None = None
        self._over = False
        self._thread = Thread(target=self._work, name="doteval-writer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StoreError(
                f"the store can not be written: the system gives no thread ({error}); end other "
                "processes, or raise the limits (`ulimit -u`, `ulimit -v`)"
            ) from error

    def put(self, entry: Any) -> None:
        self._queue.append(entry)
        if not self._wake.is_set():
            self._wake.set()

    async def call(self, function: Callable[..., Value], *arguments: Any) -> Value:
        if self._over:
            from asyncio import CancelledError

            raise CancelledError  # of a run that was given up, whose rest goes on
        future: Future[Value] = self._loop.create_future()
        self.put(_Call(future, function, arguments))
        return await future

    def look(self, function: Callable[..., Value], *arguments: Any) -> Answer[Value]:
        from concurrent.futures import Future

        if not self._thread.is_alive():  # of a call that was abandoned and outlived the run
            return _answered(function, arguments)
        answer: Answer[Value] = Future()
        self._asked.append(partial(_answered, function, arguments, answer))
        self._wake.set()
        return answer

    async def close(self, last: Callable[[], object] = nothing) -> None:
        if self._over:
            return
        future: Future[object] = self._loop.create_future()
        self.put(_Call(future, last, (), is_last=True))
        await future
        self._thread.join()  # it has only to return: while it lives, it holds on to the run

    def end(self, last: Callable[[], object], patience: float) -> None:
        self._over = True
        self.put(_Call(self._loop.create_future(), last, (), is_last=True))
        self._thread.join(patience)

    def prepared(self) -> None:
        """What is being written needs nothing more than the disk."""
        if self.preparing:
            self.preparing = False
            self._tell(self._on_prepared)

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue or self._asked:
                while self._asked:
                    self._asked.popleft()()
                if not self._queue:
                    continue
                if not isinstance(self._queue[0], _Call):
                    self._commit(self._batch())
                elif not self._answer(self._queue.popleft()):
                    return

    def _batch(self) -> list[Any]:
        """What goes into the next commit: all that waits, up to a call or to what is too much."""
        batch: list[Any] = []
        text = 0
        queue = self._queue
        while queue and len(batch) < _MOST and text < _MOST_TEXT:
            if isinstance(queue[0], _Call):
                break
            entry = queue.popleft()
            if isinstance(entry, Entry):
                text += len(entry.body)
            elif isinstance(entry, Call):
                text += len(entry.request) + len(entry.response)
            batch.append(entry)
        return batch

    def _commit(self, batch: list[Any]) -> None:
        if self._broken is not None:
            return
        self.preparing = len(batch) == _MOST
        try:
            self._write(batch)
        except BaseException as error:
            self._broken = error
            self._tell(self._on_error, error)
        else:
            self._tell(self._on_durable, batch)
        finally:
            self.preparing = False

    def _answer(self, call: _Call) -> bool:
        """Do a call; False when it was the last."""
        value, error = None, None if call.is_last else self._broken
        if error is None:
            try:
                value = call.function(*call.arguments)
            except BaseException as raised:
                error = raised
        self._tell(call.settle, error, value)
        return not call.is_last

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments, context=self._context)
        except RuntimeError:
            pass  # the loop is closed: whoever asked was interrupted and has gone


def _answered(
    function: Callable[..., Value], arguments: Any, answer: Answer[Value] | None = None
) -> Answer[Value]:
    """A future with what a function returns or raises."""
    from concurrent.futures import Future

    answer = answer or Future()
    if not answer.set_running_or_notify_cancel():
        return answer  # who asked has gone
    try:
        answer.set_result(function(*arguments))
    except BaseException as error:
        answer.set_exception(error)
    return answer


class _Call:
    """A function to be called between two commits."""

    def __init__(
        self,
        future: Future[Any],
        function: Callable[..., Any],
        arguments: Any,
        is_last: bool = False,
    ) -> None:
        self._future = future
        self.function = function
        self.arguments = arguments
        self.is_last = is_last

    def settle(self, error: BaseException | None, value: Any) -> None:
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(value)
