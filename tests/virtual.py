"""
An event loop whose clock jumps to the next timer, so that no test has to wait.

Hours of backoff take milliseconds, the order of events depends on nothing but the code, and
waiting for ever becomes an error. No threads and no sockets.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from contextlib import contextmanager
from typing import Any, TypeVar

Value = TypeVar("Value")
EPOCH = 1_700_000_000.0  # what time.time() shows at the beginning


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: real code would wait for ever."""


class _Jumping(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self.loop.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual seconds from 0; `now += s` is what blocking for s seconds would do."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Jumping()
        super().__init__(selector)
        selector.loop = self
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now


@contextmanager
def virtual_loop():
    """A virtual loop whose clock `time.time` and `time.monotonic` follow."""
    loop = VirtualLoop()
    before = time.time, time.monotonic
    time.time, time.monotonic = lambda: EPOCH + loop.now, loop.time
    try:
        yield loop
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        time.time, time.monotonic = before
        loop.close()


def run(main: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine on a virtual loop of its own."""
    with virtual_loop() as loop:
        return loop.run_until_complete(main)
