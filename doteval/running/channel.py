"""
The one way to whoever listens while a run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..concurrency.executors import on_loop
from ..concurrency.gates import Gate
from ..concurrency.strategies import as_mapping
from ..record import Record
from ..reporting.progress import Snapshot
from .environment import Clock

_TICK = 0.1  # seconds between two snapshots for whoever shows progress


class Channel:
    """
    What one of the listeners raises ends the run and comes out of it, and nobody is called again.

    Args:
        listener: called with a Snapshot about ten times a second.
        on_record: called with each Record, once it is durable.
        on_limit: called with each change of the adaptive limit, as plain data.
        fail: ends the run with an error.

    Attributes:
        on_record: the same; None: nobody listens.
        listened: whether a listener hears of snapshots.
    """

    def __init__(
        self,
        listener: Callable[[Snapshot], object] | None,
        on_record: Callable[[Record], object] | None,
        on_limit: Callable[[Mapping[str, Any]], object] | None,
        fail: Callable[[BaseException], object],
    ) -> None:
        self.on_record = on_record
        self.listened = listener is not None
        self._listener = listener
        self._on_limit = on_limit
        self._fail = fail
        self._raised = False
        self._told = 0  # changes of the limit
        self._timer: asyncio.TimerHandle | None = None

    def open(self, clock: Clock, gate: Gate, snapshot: Callable[[], Snapshot]) -> None:
        """Begin to tell of the run whose gate this is."""
        self._clock, self._gate, self._snapshot = clock, gate, snapshot
        self._loop = asyncio.get_running_loop()
        self._tick()

    def close(self) -> None:
        """Tell nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def tell(self, listener: Callable[[Any], object], news: Any) -> None:
        """Call one of them."""
        if self._raised:
            return
        try:
            on_loop(self._loop, listener, news)  # a plain function's row is told of out of sight
        except BaseException as error:
            self._raised = True
            if isinstance(error, StopIteration):  # which can not come out of a coroutine
                cause, error = error, RuntimeError(f"a listener raised StopIteration: {error}")
                error.__cause__ = cause
            self._fail(error)

    def _tick(self) -> None:
        if self._listener is None and self._on_limit is None:
            return
        self.tell_limits()
        if self._listener is not None:
            self.tell(self._listener, self._snapshot())
        self._timer = self._loop.call_later(_TICK, self._tick)

    def tell_limits(self) -> None:
        """Tell the changes of the limit that nobody has heard of."""
        if self._on_limit is None:
            return
        changes = self._gate.history
        for change in changes[self._told :]:
            news = {**as_mapping(change), "at": change.at - self._clock.began}
            self.tell(self._on_limit, news)
        self._told = len(changes)
