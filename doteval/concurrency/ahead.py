"""
Rows of an asynchronous source, read ahead, so that the loop never waits for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any


class NotYet(Exception):
    """The dataset is still working on its next row."""


class Ahead(Iterator[Any]):
    """Rows of an asynchronous source, read ahead by one task; `next()` never waits."""

    _AHEAD = 64

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._items: deque[Any] = deque()
        self._space = asyncio.Event()
        self._space.set()
        self._over = False
        self._error: BaseException | None = None

    def __next__(self) -> Any:
        if self._items:
            self._space.set()
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        if self._over:
            raise StopIteration
        raise NotYet

    async def pump(self, source: AsyncGenerator[Any, None]) -> None:
        try:
            async for item in source:
                self._items.append(item)
                if len(self._items) >= self._AHEAD:
                    self._space.clear()
                self._wake()
                await self._space.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # told by __next__, after the rows that came before it
            self._error = error
        finally:
            await source.aclose()
        self._over = True
        self._wake()
