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
from ..concurrency.attempts import GRACE
from ..concurrency.row import Row
from ..datasets import binder, tagger
from ..errors import RowError
from ..evaluation import Evaluation
from ..record import ATOMS
from ..replay import Shelf
from ..storage.encoding import dump, row_dumper
from ..views.figures import plural
from .answers import Answered
from .copies import on_copies
from .known import Known
from .options import Options

_MOST = 100  # positions of malformed rows that are kept


class Misfits:
    """
    Rows that do not fit the columns.

    Attributes:
        count: how many there are. positions: of the first 100 of them, from 0.
        example: what is wrong with the first one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.positions: list[int] = []
        self.example: str | None = None

    def add(self, position: int, problem: str) -> None:
        """One more."""
        self.count += 1
        if len(self.positions) < _MOST:
            self.positions.append(position)
        self.example = self.example or problem


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
        misfits: rows that do not fit the columns; they fail without a call.
        to_the_end: whether all rows of the dataset have been read.
        known: what earlier runs have stored.
        keys: of all rows read, where somebody wants them, who puts a list here.
    """

    def __init__(self, evaluation: Evaluation[..., Any], options: Options) -> None:
        self.read = self.ours = self.to_run = self.finished = self.final = self.failed = 0
        self.keys: list[bytes] | None = None
        self.to_the_end = False
        self.misfits = Misfits()
        self.known = Known(evaluation, options.shard)
        self._evaluation = evaluation
        self._options = options
        self._bind = binder(evaluation.columns)
        self._dump = row_dumper(evaluation.columns)
        beside = [tag for tag in evaluation.tags if tag not in evaluation.columns]
        self._tagged = tagger(evaluation.columns, evaluation.tags) if beside else None
        self._inline = evaluation.is_async and evaluation.executor is None
        self._function: Callable[..., Any] = _raise
        self._shelf: Shelf | None = None
        self._source: Any = None
        self._more: deque[Row | None] = deque()  # of the row that was read last

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
        self._function = function or _raise
        self._source = self._evaluation.source.open()
        if hasattr(self._source, "__anext__"):
            self._source = Ahead(self._source, self._options.samples, wake)

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
        samples = self._options.samples
        if samples is not None and self.read >= samples:
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

    def _recognised(self, row: Answered) -> Row | None:
        """One repeat of a row, by what is known of it in another experiment."""
        record = row.record
        key, repeat = record.key, record.repeat
        finished = self.known.identities.recognise(key, row.digest)
        self.read += repeat == 0
        self.ours += repeat == 0
        if finished >> repeat & 1:
            self.finished += 1
            self.final += self.known.is_final(key, repeat)
            return None
        self.to_run += 1
        call: Callable[[], Any] = partial(row.score, self._function)
        if self._shelf is not None:
            call = partial(self._shelf.serve, key, repeat, call)
        text = dump(record.row)
        made = Row(call, self._inline, key, row.digest, record.position, repeat, record.row, text)
        self.failed += self.known.replace(made)
        return made

    def _met(self, row: Any) -> Row | None:
        if type(row) is Answered:
            return self._recognised(row)
        position, inline, text = self.read, self._inline, ""
        values: tuple[Any, ...] | None = None
        call: Callable[..., Any]
        try:
            tags = None if self._tagged is None else self._tagged(row)
            values = self._bind(row)
        except RowError as error:
            named = {"row": row}
            problem = f"row {position}: {error}"
            key, digest, finished = self.known.identities.meet_malformed(position, row)
            call, inline = partial(_raise, RowError(problem)), True
        else:
            named = dict(zip(self._evaluation.columns, values, strict=True))
            key, digest, finished = self.known.identities.meet(values)
            call = self._function
            if not ATOMS.issuperset(map(type, values)):
                call = partial(on_copies, call)
            if tags is not None:
                call = partial(_without_tags, partial(call, **named))
                named = {**named, **tags}
        self.read += 1
        if self._options.shard is not None and not self.known.is_ours(key):
            return None
        self.ours += 1
        if self.keys is not None:
            self.keys.append(key)
        if values is None:
            self.misfits.add(position, problem)
        for repeat in range(self._evaluation.repeats):
            if finished >> repeat & 1:
                self.finished += 1
                self.final += self.known.is_final(key, repeat)
                self._more.append(None)
                continue
            if not text and self._function is not _raise:
                tagged = values is None or self._tagged is not None
                text = dump(named) if tagged else self._dump(values)  # type: ignore[arg-type]
            self.to_run += values is not None
            served = call
            if self._shelf is not None and values is not None:
                served = partial(self._shelf.serve, key, repeat, call)
            made = Row(served, inline, key, digest, position, repeat, named, text)
            if self.known.stored and self.known.replace(made):
                self.failed += values is not None
            self._more.append(made)
        return self._more.popleft()

    def told(self) -> list[str]:
        """Sentences about rows that were not run, for whoever reads what came of the others."""
        if not self.final:
            return []
        return [
            f"{plural(self.final, 'stored row')} failed with final=True: not run again; a fresh "
            "run runs all rows"
        ]

    async def close(self) -> None:
        """Who opens a dataset closes it, however the run ends. Raises what the dataset raises."""
        source, self._source = self._source, None
        self._function = _raise
        if isinstance(source, Ahead):
            await source.close(GRACE)
            source = source.source
        await self._evaluation.source.close(source)


def _raise(error: BaseException, /, **row: Any) -> None:
    raise error


def raising(error: BaseException) -> Callable[..., Any]:
    """A call that does nothing but fail its row."""
    return partial(_raise, error)


def is_malformed(row: Row) -> bool:
    """Whether its call does nothing but say that it does not fit the columns."""
    return getattr(row.call, "func", None) is _raise


def _without_tags(call: Callable[[], Any], /, **row: Any) -> Any:
    """Tags are kept with the record; the function does not take them."""
    return call()
