"""
One call for many rows: `foreach.batched`.

    rows ─▶ Groups ─▶ one Group ─▶ Loop ─▶ an attempt ─▶ its rows, each with what came of it
               ▲                              │ failed for good
               └────── each row by itself ◀───┘

To the loop a group is a row like any other: gates, rate limits, timeouts and retries count groups.
What is recorded are its rows.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ..concurrency.ahead import NotYet
from ..concurrency.notes import Noted
from ..concurrency.reading import Reading, read
from ..concurrency.row import Row
from ..concurrency.schedule import Schedule
from ..errors import ResultError
from ..evaluation import Evaluation
from ..record import Usage
from .rows import is_malformed

Function = Callable[..., Any]


class Group(Row):
    """Rows that one attempt is for; shown as the first of them, and goes on counting its tries."""

    __slots__ = ("members",)

    def __init__(self, together: Function, members: list[Row]) -> None:
        first = members[0]
        call = partial(together, [partial(row.call, **row.named) for row in members])
        super().__init__(call, first.inline, position=first.position, named=first.named)
        self.members = members
        self.attempts, self.waited = first.attempts, first.waited


class Holding:
    """
    An iterator of what the loop starts, which holds rows until they may start. None: a row was
    taken, and is held.

    Args:
        rows: whose calls return the row that a function is to get, by names.
        meet: called with each row; puts into `_ready` what may start.
        flush: called when no more rows come: what is held may wait for no other.
        is_under_way: whether anything may still become ready.
    """

    def __init__(
        self,
        rows: Iterator[Row | None],
        meet: Callable[[Row], None],
        flush: Callable[[], None],
        is_under_way: Callable[[], bool],
    ) -> None:
        self._rows = rows
        self._meet, self._flush, self._is_under_way = meet, flush, is_under_way
        self._ready: deque[Row] = deque()
        self._end: Exception | None = None  # what the rows have raised at their end

    def __iter__(self) -> Iterator[Row | None]:
        return self

    def __next__(self) -> Row | None:
        """
        Raises:
            NotYet: something is under way, or an asynchronous dataset works on its next row.
            Exception: whatever the dataset raises, after all that came before it.
        """
        if self._ready:
            return self._ready.popleft()
        if self._end is None:
            try:
                row = next(self._rows)
            except NotYet:
                raise
            except Exception as error:  # theirs, or the end: first what came before it
                self._end = error
                self._flush()
                return None
            if row is None or is_malformed(row):
                return row
            self._meet(row)
            return None
        if self._is_under_way():
            raise NotYet
        raise self._end


class Groups(Holding):
    """
    Groups of rows, and those of one row into which a group that has failed falls apart.

    Args:
        rows: see Holding.
        function: takes a list for each column, and returns one outcome for each row.
        evaluation: of it.
        schedule: what decides; once it has stopped, nothing is tried again.
        finish, failed, dropped: as the loop calls them, here with each row of a group.
    """

    def __init__(
        self,
        rows: Iterator[Row | None],
        function: Function,
        evaluation: Evaluation[..., Any],
        schedule: Schedule,
        finish: Callable[[Row], object],
        failed: Callable[[Row, Reading, bool], object],
        dropped: Callable[[Row], object],
    ) -> None:
        super().__init__(rows, self._join, self._fill, lambda: self._under_way > 0)
        self._together = partial(_together, function, evaluation.__name__)
        self._size = evaluation.size
        self._policy = evaluation.policy
        self._schedule = schedule
        self._finish, self._failed, self._dropped = finish, failed, dropped
        self._group: list[Row] = []  # that is not full
        self._under_way = 0  # groups, of which any may still fall apart

    def _join(self, row: Row) -> None:
        self._group.append(row)
        if len(self._group) == self._size:
            self._fill()

    def _fill(self) -> None:
        if self._group:
            self._start(self._group)
            self._group = []

    def _start(self, members: list[Row]) -> None:
        self._under_way += 1
        self._ready.append(Group(self._together, members))

    # ------------------------------------------------------------- what the loop tells

    def finished(self, row: Row) -> None:
        """An attempt at a group has finished, or a row that joined none."""
        if not isinstance(row, Group):
            self._finish(row)
            return
        self._under_way -= 1
        if row.error is not None:
            for member in row.members:
                self._next(member, again=self._falls_apart(row))
            return
        for member, value in zip(_members(row), row.value, strict=True):
            member.value, member.error = value, None
            again = False
            if isinstance(value, Exception):
                member.error, member.reading = value, read(value, time.time())
                again = self._policy.retryable(member.reading) and not self._schedule.exhausted
                self._failed(member, member.reading, not again)
            self._next(member, again)

    def _falls_apart(self, row: Row) -> bool:
        return isinstance(row, Group) and len(row.members) > 1 and not self._schedule.exhausted

    def _next(self, member: Row, again: bool) -> None:
        if again:
            self._start([member])
        else:
            self._finish(member)

    def failed(self, row: Row, reading: Reading, final: bool) -> None:
        """An attempt has failed: of a group, an attempt of each of its rows."""
        for member in _members(row):
            member.error, member.reading = row.error, reading
            self._failed(member, reading, final and not self._falls_apart(row))

    def dropped(self, row: Row) -> None:
        """An attempt was cancelled with the run."""
        for member in _members(row):
            self._dropped(member)


# --- calls ------------------------------------------------------------------------------------


def _together(function: Function, name: str, calls: list[Function], /, **first: Any) -> Any:
    """
    What a function makes of rows, one outcome for each; or an awaitable of that.

    Raises:
        ResultError: it returned anything else.
    """
    rows: list[Mapping[str, Any]] = [call() for call in calls]
    value = function(**{column: [row[column] for row in rows] for column in rows[0]})
    checked = partial(_one_each, len(rows), name)
    return _awaited(checked, value) if hasattr(value, "__await__") else checked(value)


async def _awaited(function: Callable[[Any], Any], value: Awaitable[Any]) -> Any:
    return function(await value)


def _one_each(count: int, name: str, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__"):
        raise ResultError(
            f"{name}() returned {type(value).__name__}; expected a list with a Result for each of "
            f"the {count} rows that it got, in their order"
        )
    outcomes = list(value)
    if len(outcomes) != count:
        raise ResultError(
            f"{name}() returned {len(outcomes)} results for {count} rows; expected one for each, "
            "in their order, such as Result(error=...) where there is none"
        )
    if count == 1 and isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return outcomes


# --- what rows of a group have in common ------------------------------------------------------


def _members(group: Row) -> list[Row]:
    """Its rows, each with its part in the last attempt: its times, and what it has noted."""
    if not isinstance(group, Group):
        return [group]
    noted, count = group.noted, len(group.members)
    assert noted is not None
    for at, row in enumerate(group.members):
        row.started, row.ended, row.waited = group.started, group.ended, group.waited
        row.attempts, row.concurrency = group.attempts, group.concurrency
        own = row.noted = Noted() if row.noted is None else row.noted.next()
        own.update({name: _part(value, at, count) for name, value in noted.items()})
    # The last row's is the key which they were looked for under, as its call was made last.
    own.calls, noted.calls = noted.calls, None
    return group.members


def _part(value: Any, at: int, count: int) -> Any:
    """Of something noted: a list as long as the group has one for each row; usage is divided."""
    if isinstance(value, list) and value and isinstance(value[0], Usage):
        return [Usage(*(_divided(part, at, count) for part in usage)) for usage in value]
    if isinstance(value, (list, tuple)) and len(value) == count:
        return value[at]
    return dict(value) if isinstance(value, dict) else value


def _divided(whole: Any, at: int, count: int) -> Any:
    """A share of a number; those of a whole number are whole, and add up to it."""
    if isinstance(whole, int):
        return whole * (at + 1) // count - whole * at // count
    return None if whole is None else whole / count
