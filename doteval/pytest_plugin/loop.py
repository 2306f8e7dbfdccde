"""
The one event loop of the process, and the async fixtures that live on it.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any, TypeVar

import pytest

from ..running.driver import close, drive, releases

T = TypeVar("T")

_ASKED_LATE = (
    "an async fixture was asked for while rows were running; name it as a parameter of the "
    "evaluation instead of calling request.getfixturevalue()"
)
_OCCUPIED = (
    "an event loop is running in this thread already, and evaluations need one of their own: run "
    "pytest in a process of its own (in a notebook: !pytest ...), or use "
    "`await doteval.run_async(evaluation)` on the loop that runs"
)


class SessionLoop:
    """
    The event loop that evaluations and their async fixtures share, from setup to teardown.

    It is made when it is first needed. Sharing it is what makes a client that a fixture has
    opened work in the rows.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def drive(
        self,
        main: Callable[[], Coroutine[Any, Any, T]],
        interrupt: Callable[[], bool] = lambda: False,
    ) -> T:
        """
        Run a coroutine to its end; nothing else on the loop moves between two calls.

        Args:
            main: makes the coroutine.
            interrupt: called at a signal; tells whether a plain function is running in this
                thread, which only an exception can interrupt.

        Raises:
            KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP, after the coroutine was cancelled and
                has ended.
        """
        loop = self._loop = self._loop or asyncio.new_event_loop()
        if loop.is_running():
            pytest.fail(_ASKED_LATE, pytrace=False)
        if asyncio.events._get_running_loop() is not None:
            pytest.fail(_OCCUPIED, pytrace=False)
        try:
            return drive(main, loop, lambda: interrupt)
        except KeyboardInterrupt as stop:
            if stop.args in ((), (signal.SIGINT,)):
                raise KeyboardInterrupt from None
            raise KeyboardInterrupt(signal.Signals(stop.args[0]).name) from None

    def stand_in(
        self,
        function: Callable[..., Any],
        name: str,
        at_teardown: Callable[[Callable[[], None]], object],
    ) -> Callable[..., Any]:
        """
        A plain function that sets up an async fixture on this loop.

        Args:
            function: of the fixture: a coroutine function or an async generator function.
            name: of the fixture, for messages.
            at_teardown: takes what is to be called when the fixture is torn down.
        """

        def set_up(**arguments: Any) -> Any:
            if inspect.isasyncgenfunction(function):
                kept = _Kept(function, arguments, name)
                value, context = self.drive(kept.open)
                at_teardown(lambda: self.drive(kept.close))
            else:
                value, context = self.drive(lambda: _value(function, arguments))
            _adopt(context, at_teardown)
            return value

        return set_up

    def close(self) -> None:
        """Cancel what fixtures and rows have left on the loop, and close it."""
        loop, self._loop = self._loop, None
        if loop is not None:
            close(loop)


async def _value(function: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, Context]:
    """What a coroutine function returns, and the context variables that it has set."""
    return await function(**arguments), copy_context()


def _adopt(context: Context, at_teardown: Callable[[Callable[[], None]], object]) -> None:
    """Set the context variables that an async fixture has set, until it is torn down."""
    current = copy_context()
    tokens = [
        (variable, variable.set(value))
        for variable, value in context.items()
        if variable is not releases and (variable not in current or current[variable] is not value)
    ]

    def take_back() -> None:
        for variable, token in tokens:
            variable.reset(token)

    if tokens:
        at_teardown(take_back)


class _Kept:
    """
    An async generator fixture between its setup and its teardown.

    It runs as one task from the one to the other: task groups, cancel scopes and timeouts around
    its `yield` have to be left by the task that entered them.
    """

    _task: asyncio.Task[None]
    _opened: asyncio.Future[tuple[Any, Context]]
    _leave: asyncio.Future[None]

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], name: str
    ) -> None:
        self._function = function
        self._arguments = arguments
        self._name = name

    async def open(self) -> tuple[Any, Context]:
        """The value that the generator yields, and the context variables that it has set."""
        loop = asyncio.get_running_loop()
        self._opened, self._leave = loop.create_future(), loop.create_future()
        task = self._task = loop.create_task(self._live())
        either: set[asyncio.Future[Any]] = {task, self._opened}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if not self._opened.done():
            task.result()  # raises what the generator raised
        return self._opened.result()

    async def close(self) -> None:
        """Let the generator go on after its `yield`, to its end."""
        if not self._leave.done():
            self._leave.set_result(None)
        await self._task

    async def _live(self) -> None:
        generator = self._function(**self._arguments)
        try:
            value = await generator.__anext__()
        except StopAsyncIteration:
            raise ValueError(f"the fixture {self._name!r} did not yield a value") from None
        self._opened.set_result((value, copy_context()))
        try:
            try:
                await self._leave
            except asyncio.CancelledError as error:  # a task group around the yield has failed
                await generator.athrow(error)
            else:
                await generator.__anext__()
        except StopAsyncIteration:
            return
        await generator.aclose()
        raise ValueError(f"the fixture {self._name!r} yields more than once")
