"""
A run in its store: how it begins there, what it finds, what becomes of it, how it ends.

The store is opened, read, written and closed where the writer is: somebody else may hold it for a
minute, and the event loop does not wait for that.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from ..concurrency.attempts import GRACE
from ..concurrency.strategies import summary_of
from ..errors import UsageError
from ..evaluation import Evaluation
from ..record import LIVE, STALE, Call, Run, Stored
from ..replay import LIVE as MAKE
from ..replay import Shelf
from ..reporting.figures import HEADER as FIGURES
from ..reporting.summary import Summary, own_figures, summarise
from ..storage import NAMING, Named, Place, Store, open_store
from ..storage.writer import Grouped, Inline, Writer
from .driver import if_abandoned
from .environment import Checkout, version
from .known import runs_of
from .options import Options
from .rows import Rows
from .version import Version

Value = TypeVar("Value")
_LONGEST_LOOK = 5.0  # seconds that the end of a run waits for git

# The evaluations that this process has run, by store, experiment and name, while they are alive.
_ran: WeakValueDictionary[tuple[str, str, str], Evaluation[..., Any]] = WeakValueDictionary()


def _is_variant(one: Evaluation[..., Any] | None, other: Evaluation[..., Any]) -> bool:
    return one is not None and one.is_variant_of(other)


class Ledger:
    """
    Args:
        place: of the store.
        experiment: name to store the run under.
        name: of the evaluation in the store.
        made_by: what its records are made by.

    Attributes:
        place, experiment, name: the same; the name as the run has it.
        shelf: where rows look for the calls that they would make; None: every call is made.
    """

    def __init__(self, place: Place, experiment: str, name: Named, made_by: Version) -> None:
        self._made_by = made_by
        self.place = place
        self.experiment = experiment
        self._named, self.name = name, name.name
        self._store: Any = None  # while it is open
        self.shelf: Shelf | None = None
        self._number = 0  # of the evaluation in its store
        self._broken = False  # the store refused to write

    def refuse_namesake(self, evaluation: Evaluation[..., Any]) -> None:
        """
        Two evaluations that a factory or a loop has made would be one in the store.

        Raises:
            UsageError: another evaluation of the same lines of code has this name. One whose code
                has changed, as in a notebook's cell that was edited, goes on as the same.
        """
        if self.place.path is None:
            return
        entry = str(self.place), self.experiment, self.name
        if _is_variant(_ran.get(entry), evaluation):
            gc.collect()  # one that nobody holds any more is no other: its factory was called again
        if _is_variant(_ran.get(entry), evaluation):
            raise UsageError(
                f"two different evaluations are called {self.name} in the experiment "
                f"{self.experiment!r}: rows of one would count as the other's; give each a name of "
                f"its own ({evaluation.__name__}.__name__ = ...), or another experiment"
            )
        _ran[entry] = evaluation

    def writer(
        self,
        on_durable: Callable[[list[Any]], None],
        on_error: Callable[[BaseException], None],
        on_prepared: Callable[[], None],
    ) -> Writer:
        """The writer of this run, see `storage.Grouped`; `close` ends it."""

        def broken(error: BaseException) -> None:
            self._broken = True  # what is durable stays
            on_error(error)

        self._writer: Writer
        if self.place.scheme == "memory":
            self._writer = Inline(self._write, on_durable)
        else:
            self._writer = Grouped(self._write, on_durable, broken, on_prepared)
        if_abandoned(partial(self._writer.end, self._close, GRACE))
        return self._writer

    def _open(self) -> None:
        self._store = open_store(self.place)
        self._checkout = Checkout(self._store.anchor)
        if isinstance(self._writer, Grouped):
            self._store.on_prepared = self._writer.prepared

    def _close(self) -> None:
        if self._store is not None:
            self._checkout.wait(_LONGEST_LOOK)
            self._store.close()

    def _write(self, entries: list[Any]) -> None:
        self._store.add(self._number, entries)

    # ---------------------------------------------------------------------- begins

    async def begin(
        self,
        evaluation: Evaluation[..., Any],
        options: Options,
        at: float,
        beside: Mapping[str, Any],
    ) -> list[str]:
        """
        Open the store, and note there that a run begins.

        Args:
            at: Unix seconds.
            beside: what else its header is to have.

        Returns:
            sentences for whoever reads the result.

        Raises:
            Busy: another run is working on this evaluation.
            StoreError: the store can not be read or written.
            UsageError: the last run had another config, or calls can not be served.
            NotFound: there is no experiment whose calls are to be served.
        """
        await self._writer.call(self._open)
        self.shelf = await self._writer.call(self._shelf_of, evaluation, options)
        call, experiment = self._writer.call, self.experiment
        name, before = await call(runs_of, self._store, experiment, self._named)
        header = _header(evaluation, options, self._made_by)
        self._shard = header["shard"]
        header |= {**self._checkout.told(), **beside}
        notes = []
        if before and not options.fresh:
            last = before[-1].header
            changed = self._made_by.since(last, header["source"], options.keep_config)
            notes += [] if changed is None else [changed]
            told, since = last.get("rescored") or {}, beside.get("rescored") or {}
            if told.get("run") != since.get("run") and told.get("from") == since.get("from"):
                notes.append(
                    f"{since['from']!r} has been run since; what was scored before keeps its "
                    "scores, --fresh scores all anew"
                )
        known = bool(before) and "cluster" in before[-1].header
        if "group" in evaluation.columns and evaluation.cluster is None and not known:
            notes.append(
                "a column named 'group' clusters no rows any more; where rows of a group are not "
                "independent, write ForEach(cluster='group')"
            )
        self._run = Run(
            os.urandom(16).hex(), self.experiment, self.name, at, None, 0.0, "running",
            os.getpid(), header,
        )  # fmt: skip
        begin = partial(
            self._store.begin, self._run, fresh=options.fresh, part=header["shard"] or ""
        )
        if name != self.name:
            begin = partial(begin, formerly=name)
            notes.append(f"what an earlier version stored as {name} goes on")
        self._number = await self._writer.call(begin)
        return notes

    @property
    def keeps_calls(self) -> bool:
        """Whether the store can; a plugin's does not."""
        kept: bool = self._store.keeps_calls
        return kept

    def _shelf_of(self, evaluation: Evaluation[..., Any], options: Options) -> Shelf | None:
        mode = options.calls
        if mode == MAKE:
            return None
        if evaluation.executor is not None:
            raise UsageError(
                f"calls={mode!r}: rows that run in an executor do not reach the store; leave "
                "executor= out, or run them live"
            )
        return Shelf(mode, self._store, self._writer.look, options.calls_from)

    # -------------------------------------------------------------------- goes on

    async def look(self, function: Callable[[Any], Any]) -> Any:
        """What a function of the store returns, where the store's connection lives."""
        return await asyncio.wrap_future(self._writer.look(function, self._store))

    async def stored(self) -> AsyncIterator[Stored]:
        """What earlier runs have left, a page at a time."""
        after = 0
        while page := await self._writer.call(self._store.stored, self._number, after):
            for record in page:
                yield record
            after = page[-1].id

    async def settle(self, rows: Rows, repeats: int) -> int:
        """
        Tell which stored rows count: those of rows that came back, and not those of rows that
        have changed or, where the dataset was read to its end, are gone.

        Returns:
            how many are stale from now on.
        """
        call, store = self._writer.call, self._store
        if rows.to_the_end:
            await call(store.total, self._number, rows.read * repeats)
        changed: dict[int, list[int]] = {STALE: [], LIVE: []}  # one of a row's, before another
        if rows.known.stored:
            async for record in self.stored():
                state = rows.known.verdict(record, rows.to_the_end)
                if state is not None:
                    changed[state].append(record.id)
        for state, ids in changed.items():
            if ids:
                await call(store.mark, self._number, ids, state)
        return len(changed[STALE])

    async def keep(self, call: Call) -> None:
        """Write a call at once: it is durable when this returns."""
        await self._writer.call(self._write, [call])

    async def kept(self, key: bytes) -> list[Call]:
        """The calls of a key that were kept since the last fresh run, the earliest first."""
        return await self._writer.call(self._kept, key)

    def _kept(self, key: bytes) -> list[Call]:
        since: set[str] = set()
        for run in self._store.runs(self.experiment, self.name):
            if run.header.get("fresh") and run.header.get("shard") in (None, self._shard):
                since.clear()
            since.add(run.uid)
        calls = self._store.calls(self.experiment, self.name, key)
        return [call for uid, call in calls if uid in since]

    def tell(self, said: str | None) -> None:
        """Note soon what the run waits for, for who looks at the store; None: for nothing."""
        self._writer.look(self._store.tell, self._number, said)

    # ------------------------------------------------------------------------ ends

    async def end(
        self,
        status: str,
        duration: float,
        history: tuple[Mapping[str, Any], ...],
        error: str | None,
        beside: Mapping[str, Any],
    ) -> None:
        """
        Close the run in the store, if the store still works; see `record.Run`.

        Args:
            beside: what its header is to have in place of what it began with.
        """
        if self._broken:
            return
        call = self._writer.call
        await call(self._checkout.wait, _LONGEST_LOOK)
        header = {**self._run.header, **self._checkout.told(), **beside}
        closed = replace(
            self._run,
            finished=self._run.started + duration,
            duration=duration,
            status=status,
            header=header,
            history=history,
            error=error,
        )
        try:
            figures = await call(own_figures, self._store, self.experiment, self.name)
            header.update({FIGURES: figures} if figures else {})
        finally:  # whatever prevents them, the run ends
            await call(self._store.end, self._number, closed)

    async def summary(self) -> Summary:
        """Of everything stored for this evaluation of this experiment."""
        return await self.read(summarise)

    async def read(self, reader: Callable[[Store, str, str], Value]) -> Value:
        """What a function of the store, and the names of experiment and evaluation, returns."""
        return await self._writer.call(reader, self._store, self.experiment, self.name)

    async def close(self) -> None:
        """Write what was put, and close the store."""
        await self._writer.close(self._close)


def _header(evaluation: Evaluation[..., Any], options: Options, made_by: Version) -> dict[str, Any]:
    """What is worth knowing later about the environment of a run."""
    length = evaluation.source.length()
    return {
        "doteval": version(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": sys.platform,
        "strategy": summary_of(evaluation.strategy),
        "columns": list(evaluation.columns),
        "repeats": evaluation.repeats,
        "cluster": evaluation.cluster,
        "samples": options.samples,
        "total": None if length is None else length * evaluation.repeats,
        "fresh": options.fresh,
        "shard": None if options.shard is None else str(options.shard),
        "source": evaluation.digest(),
        "code": dict(made_by.code),
        "config": dict(made_by.config),
        "tags": dict(options.tags),
        "note": options.note,
        NAMING: "project",
    }
