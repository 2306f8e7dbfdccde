"""
Rows of an asynchronous source, read ahead, so that the loop never waits for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

_AHEAD = 64  # rows that wait to be taken


class NotYet(Exception):
    """The dataset is still working on its next row."""


class Ahead(Iterator[Any]):
    """
    Rows of an asynchronous source, read ahead by one task; `next()` never waits.

    Args:
        source: whoever made it closes it, after `close`.
        most: rows to read; None: all.
        wake: called when there is more to take than before, or the end.

    Attributes:
        source: the same.

    Raises:
        NotYet: in `next()`: the next row is not there yet.
    """

    def __init__(
        self, source: AsyncIterator[Any], most: int | None, wake: Callable[[], object]
    ) -> None:
        self.source = source
        self._most = most
        self._wake = wake
        self._rows: deque[Any] = deque()
        self._space = asyncio.Event()
        self._end: BaseException | None = None  # what `next` raises when all are taken
        self._task = asyncio.get_running_loop().create_task(self._pump())

    def __next__(self) -> Any:
        if self._rows:
            self._space.set()
            return self._rows.popleft()
        raise NotYet if self._end is None else self._end

    async def _pump(self) -> None:
        read = 0
        try:
            while self._most is None or read < self._most:
                self._rows.append(await self.source.__anext__())
                read += 1
                self._wake()
                if len(self._rows) >= _AHEAD:
                    self._space.clear()
                    await self._space.wait()
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # told by __next__, after the rows that came before it
            self._end = error
            self._wake()
            return
        self._end = StopIteration()
        self._wake()

    async def close(self, grace: float) -> None:
        """Stop reading, and wait until that has ended for at most so many seconds."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=grace)
