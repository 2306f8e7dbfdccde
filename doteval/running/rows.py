"""
The rows of a dataset as they come: read, bound, identified, and which of them are still to run.

A run and its plan read a dataset through the same door, so a plan counts what a run would do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ..concurrency.ahead import Ahead
from ..concurrency.loop import GRACE
from ..concurrency.row import Row
from ..datasets import binder, tagger
from ..errors import RowError
from ..evaluation import Evaluation
from ..keys import Identities, shard_of
from ..record import ATOMS, LIVE, STALE, Stored
from ..replay import Shelf
from ..storage.encoding import dump, row_dumper
from .copies import on_copies
from .options import Options

_MOST = 100  # positions of malformed rows that are kept


class Rows:
    """
    An iterator of what is to run: a Row for each repeat without a Result; None for what needs no
    work, so that who asks may do something else in between.

    Args:
        evaluation: whose dataset is read.
        options: which of its rows.

    Attributes:
        read: rows read so far. ours: those of them that are the shard's.
        to_run: records that the function is to be called for.
        finished: records (a row times a repeat) that are stored and do not run again.
        final: those of them that are failures.
        failed: stored failures that run again.
        malformed: rows that do not fit the columns. positions: of the first 100 of them, from 0.
        example: what is wrong with the first one.
        to_the_end: whether all rows of the dataset have been read.
        stored: records that are known from earlier runs.
        keys: of all rows read, where somebody wants them, who puts a list here.
    """

    def __init__(self, evaluation: Evaluation, options: Options) -> None:
        self.read = self.ours = self.malformed = 0
        self.to_run = self.finished = self.final = self.failed = self.stored = 0
        self.positions: list[int] = []
        self.keys: list[bytes] | None = None
        self.example: str | None = None
        self.to_the_end = False
        self._evaluation = evaluation
        self._samples = options.samples
        self._shard = options.shard
        self._identities = Identities(evaluation.columns)
        self._bind = binder(evaluation.columns)
        self._dump = row_dumper(evaluation.columns)
        beside = [tag for tag in evaluation.tags if tag not in evaluation.columns]
        self._tagged = tagger(evaluation.columns, evaluation.tags) if beside else None
        self._inline = evaluation.is_async and evaluation.executor is None
        self._failures: dict[int, int] = {}  # ids of stored failures
        self._named: dict[int, int] = {}  # ids of what counts for rows with an id
        self._final: set[int] = set()  # stored failures that do not run again
        self._function: Callable[..., Any] = _raise
        self._texts = False
        self._shelf: Shelf | None = None
        self._opened: Any = None
        self._source: Any = None
        self._more: deque[Row | None] = deque()  # of the row that was read last

    def remember(self, record: Stored) -> None:
        """Note a record of an earlier run, before the first row is read."""
        self.stored += 1
        number, finished = _number(record.key, record.repeat), record.final or not record.failed
        if record.final:
            self._final.add(number)
        if not finished:
            self._failures[number] = record.id
        elif record.digest is not None and record.state == LIVE:
            self._named[number] = record.id
        if record.digest is not None or finished:
            self._identities.remember(record.key, record.repeat, record.digest, finished)

    def open(
        self,
        function: Callable[..., Any] | None,
        wake: Callable[[], object],
        shelf: Shelf | None = None,
    ) -> None:
        """
        Begin to read. Raises what the dataset raises.

        Args:
            function: takes a row by names; None: nothing is to run.
            wake: called when there is more of an asynchronous dataset.
            shelf: where the calls of rows are looked for; None: nowhere.
        """
        self._shelf = shelf
        self._function, self._texts = function or _raise, function is not None
        self._opened = self._source = self._evaluation.source.open()
        if hasattr(self._opened, "__anext__"):
            self._source = Ahead(self._opened, self._samples, wake)

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> Row | None:
        """
        Raises:
            NotYet: an asynchronous dataset is still working on its next row.
            Exception: whatever the dataset raises.
        """
        if self._more:
            return self._more.popleft()
        if self._samples is not None and self.read >= self._samples:
            self.to_the_end = self.read == self._evaluation.source.length()
            raise StopIteration
        try:
            row = next(self._source)
        except StopIteration:
            self.to_the_end = True
            raise
        try:
            return self._met(row)
        except StopIteration as error:  # which would pass for the end of the dataset
            raise RuntimeError(f"row {self.read} raised StopIteration") from error

    def _met(self, row: Any) -> Row | None:
        position, inline, text = self.read, self._inline, ""
        values: tuple[Any, ...] | None = None
        call: Callable[[], Any]
        try:
            tags = None if self._tagged is None else self._tagged(row)
            values = self._bind(row)
        except RowError as error:
            named = {"row": row}
            problem = f"row {position}: {error}"
            key, digest, finished = self._identities.meet_malformed(position, row)
            call, inline = partial(_raise, RowError(problem)), True
        else:
            named = dict(zip(self._evaluation.columns, values, strict=True))
            key, digest, finished = self._identities.meet(values)
            if ATOMS.issuperset(map(type, values)):
                call = partial(self._function, **named)
            else:
                call = partial(on_copies, self._function, named)
            if tags is not None:
                named = {**named, **tags}
        self.read += 1
        if self._shard is not None and not self._is_ours(key):
            return None
        self.ours += 1
        if self.keys is not None:
            self.keys.append(key)
        if values is None:
            self._misfit(position, problem)
        for repeat in range(self._evaluation.repeats):
            if finished >> repeat & 1:
                self.finished += 1
                self.final += bool(self._final) and _number(key, repeat) in self._final
                self._more.append(None)
                continue
            if not text and self._texts:
                tagged = values is None or self._tagged is not None
                text = dump(named) if tagged else self._dump(values)  # type: ignore[arg-type]
            self.to_run += values is not None
            served = call
            if self._shelf is not None:
                served = partial(self._shelf.serve, key, repeat, call)
            made = Row(served, inline, key, digest, position, repeat, named, text)
            if self._failures or self._named:
                self._replace(made, values is not None)
            self._more.append(made)
        return self._more.popleft()

    def _misfit(self, position: int, problem: str) -> None:
        self.malformed += 1
        if len(self.positions) < _MOST:
            self.positions.append(position)
        self.example = self.example or problem

    def _replace(self, row: Row, fits: bool) -> None:
        """The stored record whose place the row's takes."""
        number = _number(row.key, row.repeat)
        row.replaces = self._failures.pop(number, None)
        if row.replaces is not None:
            self.failed += fits
        elif row.digest is not None:
            # It runs in spite of a result that counts: so its content has changed.
            row.replaces = self._named.pop(number, None)

    def _is_ours(self, key: bytes) -> bool:
        return self._shard is None or shard_of(key, self._shard.of) == self._shard.at

    def verdict(self, record: Stored) -> int | None:
        """
        The state that a stored record is to have now that the rows were read: it counts where its
        row came back, and not where the row has changed or, if all were read, is gone. None: it
        stays as it is, or is another shard's to judge.
        """
        if not self._is_ours(record.key):
            return None
        met = self._identities.met(record.key, record.digest)
        wanted = met and record.repeat < self._evaluation.repeats
        gone = self.to_the_end or self._identities.changed(record.key, record.digest)
        if wanted and record.state == STALE:
            return LIVE
        return STALE if gone and not wanted and record.state == LIVE else None

    async def close(self) -> None:
        """Who opens a dataset closes it, however the run ends. Raises what the dataset raises."""
        opened, source = self._opened, self._source
        self._opened = self._source = None
        self._function = _raise
        if isinstance(source, Ahead):
            await source.close(GRACE)
        await self._evaluation.source.close(opened)


def _number(key: bytes, repeat: int) -> int:
    return int.from_bytes(key, "big") + repeat  # a third of the memory of a tuple of both


def _raise(error: BaseException) -> None:
    raise error
