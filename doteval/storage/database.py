"""
One connection to a store: its transactions, its pages, its errors.

Every write is one BEGIN IMMEDIATE. Whoever reads holds no transaction while it prints or
computes: what is read is fetched whole, and what must fit together is read in one go.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import DamageError, StoreError
from .columns import odd_in
from .diagnosis import FILES, Exhausted, explain
from .schema import BUSY, connect, undo

# Values that one statement may bind: SQLite's own default. 3.31 and older stop at 999.
_MOST_VALUES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999
_MOST_ROWS = 512  # in one statement
_MOST_TEXT = 2**20  # characters in one statement: sqlite3 copies what it binds
_DRAINED = 1.0  # seconds until rows that could take a number first have ended: none begins now
_PAUSE = 0.05  # seconds until a file may have been closed
_CLOSING = 1.0  # seconds that closing waits for another thread's statement


class Database:
    """
    A connection that turns SQLite's errors into ours.

    One thread at a time uses it; a lock sees to it even when an interrupted run closes it under
    the writer's hands.

    Args:
        path: of the file, which exists; None: in memory.
        read_only: change nothing. An empty file is read as a store that holds nothing, and one of
            an earlier version through a copy of our own.
        busy: seconds to wait for other processes before giving up.
        connection: the class of the connection.

    Raises:
        StoreError: it can not be opened, is not a store, or is newer than this doteval.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        read_only: bool = False,
        busy: float = BUSY,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self.path = path
        self.name = ":memory:" if path is None else str(path)
        self._busy = busy
        self._mutex = threading.RLock()
        self._identity: tuple[int, int] | None = None
        status = _status(path) if read_only else None
        is_empty = status is not None and status.st_size == 0
        self._db = connect(
            None if is_empty else path, read_only=read_only, busy=busy, connection=connection
        )
        self._identity = _identity(path)
        self._spare: list[int] = []
        if path is not None and not read_only:
            self._save_up()

    def close(self) -> None:
        """Close the connection."""
        # Where another thread is stuck in a statement, the file stays open for it: closing it
        # under its hands crashes the interpreter, and nothing depends on it.
        if self._mutex.acquire(timeout=_CLOSING):
            try:
                self._db.close()
                self._spend()
            finally:
                self._mutex.release()

    def patiently(self, write: Callable[[], None]) -> None:
        """
        Do `write`, which is one transaction; again and again while this process has so many files
        open that SQLite can open none, for as long as one waits for other processes.

        Raises:
            StoreError: as `writing`.
        """
        since = math.inf
        while True:
            try:
                write()
            except Exhausted:
                now = time.monotonic()
                since = min(since, now)
                if now >= since + self._busy:
                    raise
                time.sleep(_PAUSE)
                if now >= since + _DRAINED:
                    self._spend()
            else:
                return self._save_up()

    def _save_up(self) -> None:
        """Keep files open of which the store may need the numbers, where rows leave none."""
        try:
            while len(self._spare) < FILES:
                self._spare.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass  # there are none now; the next transaction tries again

    def _spend(self) -> None:
        while self._spare:
            os.close(self._spare.pop())

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """
        One transaction: durable when the block is left, or undone by whatever is raised.

        Raises:
            StoreError: the disk, the file or another process prevents it.
        """
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db
        if self.is_moved():
            raise StoreError(
                f"the store {self.name} was deleted or replaced while it was in use; "
                "what was written last is lost with it"
            )

    def reading(self) -> Any:
        """One moment of the store, for what must fit together; keep the block short."""
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        db = self._db
        with self._mutex:
            try:
                db.execute(begin)
                yield db
                db.execute("COMMIT")
            except sqlite3.Error as error:
                undo(db)  # a COMMIT that failed leaves it open as well
                raise self._told(error) from error
            except MemoryError as error:
                undo(db)
                raise StoreError(
                    f"the store {self.name} can not be written: this process has no memory left; "
                    "lower max_concurrency, or give it more. What was stored before is kept"
                ) from error
            except BaseException:
                undo(db)
                raise

    def all(self, query: str, *arguments: Any) -> list[Any]:
        """All rows of a query."""
        with self._cursor(query, arguments) as cursor:
            return cursor.fetchall()

    def rows(self, select: str, rest: str, *arguments: Any) -> list[Any]:
        """
        All rows of a query of which each value is of its column's kind, see `columns`.

        Args:
            select: the names of the columns.
            rest: of the query, from "FROM" on.

        Raises:
            DamageError: one holds what nobody has written there.
        """
        return self.check(select, self.all(f"SELECT {select} {rest}", *arguments))

    def page(self, select: str, rest: str, *arguments: Any, text: int, most: int) -> list[Any]:
        """
        The first of such rows, at least one where there is any: a page of long texts is short.

        Args:
            text: which column may be long.
            most: characters of that column, over all rows, at which the page ends.
        """
        rows, total = [], 0
        with self._cursor(f"SELECT {select} {rest}", arguments) as cursor:
            for row in cursor:
                rows.append(row)
                total += len(row[text]) if isinstance(row[text], str) else 0
                if total >= most:
                    break
        return self.check(select, rows)

    def check(self, select: str, rows: list[Any]) -> list[Any]:
        """The same rows, if each value is of its column's kind; see `rows`."""
        odd = odd_in(select, rows)
        if odd is not None:
            raise self.damaged(odd)
        return rows

    def damaged(self, what: str) -> DamageError:
        """The error that something in this store can not be what was written."""
        return DamageError(f"the store {self.name} is damaged: {what}; see `doteval doctor`")

    @contextmanager
    def _cursor(self, query: str, arguments: tuple[Any, ...]) -> Iterator[sqlite3.Cursor]:
        """A query that reads no longer than the block, even where a traceback keeps its cursor."""
        with self._mutex:
            try:
                cursor = self._begun(query, arguments)
                try:
                    yield cursor
                finally:
                    cursor.close()
            except sqlite3.Error as error:
                raise self._told(error) from error

    def _begun(self, query: str, arguments: tuple[Any, ...]) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, arguments)
        except sqlite3.OperationalError as error:  # it looks for a journal that it must undo
            if "unable to open" not in str(error) or not self._spare:
                raise
            self._spend()
            return self._db.execute(query, arguments)

    def at_once(self, write: Callable[[sqlite3.Connection], None]) -> bool:
        """
        Write something that is worth no waiting, in one transaction.

        Returns:
            whether it was written; not where somebody else is writing, or nothing may be.
        """
        with self._mutex:
            try:
                self.all("PRAGMA busy_timeout = 0")
                try:
                    with self._transaction("BEGIN IMMEDIATE") as db:
                        write(db)
                finally:
                    self.all(f"PRAGMA busy_timeout = {round(self._busy * 1000)}")
            except StoreError:
                return False
        return True

    def insert(
        self,
        table: str,
        names: str,
        columns: Iterable[Sequence[Any]],
        text: int = 0,
        conflict: str = "",
    ) -> None:
        """
        Insert rows with few statements, inside `writing()`. sqlite3 gives up the interpreter's
        lock at each one, and getting it back beside a busy loop takes up to 5 ms: `executemany`
        starved for seconds.

        Args:
            names: of the columns, as "id, name"; none of them has a default.
            columns: the values of each, for all rows; nothing at all where there are no rows.
            text: characters in all rows together, where they may be long.
            conflict: what to do with a row that is there, as SQL.
        """
        # sqlite3 seeks an adapter for whatever is not an int, a float, a str or a bytearray, which
        # takes longer than to write the value: no None that could as well be left out, no bytes.
        filled = {
            name: _without_bytes(values) if type(values[0]) is bytes else values
            for name, values in zip(names.split(", "), columns, strict=False)
            if values.count(None) < len(values)
        }
        target, width = f"{table} ({', '.join(filled)})", len(filled)
        rows = list(zip(*filled.values(), strict=True))
        at, chunk = 0, _MOST_ROWS
        while chunk > 1 and (chunk * width > _MOST_VALUES or chunk * text > _MOST_TEXT * len(rows)):
            chunk //= 2
        while at < len(rows):
            if len(rows) - at < chunk:  # halves, so that few different statements are prepared
                chunk //= 2
                continue
            self._db.execute(
                f"{_insertion(target, width, chunk)} {conflict}",
                list(chain.from_iterable(rows[at : at + chunk])),
            )
            at += chunk

    def update(self, statement: str, ids: Sequence[int]) -> int:
        """
        Do `statement`, which ends in "id IN", for many ids with few statements; returns how many
        rows it has changed.
        """
        changed = 0
        for at in range(0, len(ids), _MOST_ROWS):
            some = ids[at : at + _MOST_ROWS]
            changed += self._db.execute(
                f"{statement} ({', '.join('?' * len(some))})", some
            ).rowcount
        return changed

    def is_moved(self) -> bool:
        """Whether the file is no longer the one that was opened."""
        return _identity(self.path) != self._identity

    def _told(self, error: sqlite3.Error) -> StoreError:
        if self._identity is not None and self.is_moved():
            return StoreError(
                f"the store {self.name} was deleted or replaced while it was in use ({error}); "
                "what was durable is where it went"
            )
        return explain(error, self.name)


@lru_cache(256)
def _insertion(target: str, width: int, rows: int) -> str:
    marks = f"({', '.join('?' * width)})"
    return f"INSERT INTO {target} VALUES {', '.join([marks] * rows)}"


def _status(path: Path | None) -> os.stat_result | None:
    """Of a file; None where there is none, or nobody says."""
    try:
        return None if path is None else os.stat(path)
    except OSError:
        return None


def _identity(path: Path | None) -> tuple[int, int] | None:
    status = _status(path)
    return None if status is None else (status.st_dev, status.st_ino)


def by_column(rows: Iterable[Sequence[Any]]) -> list[Any]:
    """The values of each column of some rows; [] where there are none."""
    return list(zip(*rows, strict=True))


def _without_bytes(values: Sequence[Any]) -> Sequence[Any]:
    return [bytearray(value) if type(value) is bytes else value for value in values]
