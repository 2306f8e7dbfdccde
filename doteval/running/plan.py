"""
What a run would do, before anything is paid for: rows, time and cost, without one call.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..budget import Budget
from ..concurrency.executors import Journey, off_loop
from ..concurrency.strategies import summary_of
from ..datasets import binder
from ..errors import DotevalError, NotFound, RowError, StoreError, UsageError
from ..evaluation import Evaluation
from ..keys import Identities, shard_of
from ..records import LIVE, Run, Stored
from ..redaction import safe_error
from ..storage import NAMING, Place
from ..storage.history import Earlier, runs_before
from ..storage.sqlite import SqliteStore
from .version import version_of

_ENOUGH = 20  # records from which a run says something about the next
_MOST = 100  # positions of malformed rows that are kept


@dataclass(frozen=True, slots=True)
class Basis:
    """
    The earlier run that an estimate rests on.

    Attributes:
        experiment: its name.
        started: Unix seconds. duration: seconds.
        records: how many it made.
        strategy: its name and parameters.
        same_strategy, same_source: whether it ran as this one would.
    """

    experiment: str
    started: float
    duration: float
    records: int
    strategy: dict[str, Any]
    same_strategy: bool
    same_source: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a run of an evaluation would do.

    Attributes:
        evaluation: its name in the store. experiment: None for a new one.
        store: its address. exists: whether it is there.
        columns, repeats: of the evaluation.
        strategy: name and parameters.
        shard: such as "2/4"; None: all rows.
        rows: that the run would read and that are its own (the shard's).
        read: all rows that it would read, those of other shards too.
        malformed: rows that do not fit the columns; they fail without a call.
        positions: of the first 100 of them, from 0. example: what is wrong with the first one.
        finished: records (a row times a repeat) that are stored and would not run again.
        failed: records that are stored as failures and would run again.
        to_run: records that the function would be called for.
        stale: stored records of rows that the dataset no longer has.
        basis: the run that the estimates rest on; None: there is nothing to go by.
        seconds, input_tokens, output_tokens, cost: estimates of what is to run; None: unknown.
        budgeted: about how many records the budget lets run; None where it suffices or that is
            not known.
        notes: sentences for whoever reads this.
        problem: what would end the run, such as a duplicate id; None: nothing that can be known.
    """

    evaluation: str
    experiment: str | None
    store: str
    exists: bool
    columns: tuple[str, ...]
    repeats: int
    strategy: dict[str, Any]
    shard: str | None
    rows: int = 0
    read: int = 0
    malformed: int = 0
    positions: tuple[int, ...] = ()
    example: str | None = None
    finished: int = 0
    failed: int = 0
    to_run: int = 0
    stale: int = 0
    basis: Basis | None = None
    seconds: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost: float | None = None
    budgeted: int | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval run --plan --json` prints."""
        from dataclasses import asdict

        return asdict(self)


async def plan(
    evaluation: Evaluation,
    *,
    name: str,
    experiment: str | None,
    place: Place,
    samples: int | None = None,
    fresh: bool = False,
    shard: tuple[int, int] | None = None,
    budget: Budget | None = None,
    formerly: tuple[str, ...] = (),
    params: Mapping[str, Any] | None = None,
    keep_config: bool = False,
) -> Plan:
    """
    Tell what `Flow` would do with the same arguments.

    The dataset is read as a run would read it: to its end, or for `samples` rows. The function is
    not called, no store is made, and no lock taken.

    Args:
        experiment: to resume; None: a new one.

    Raises:
        StoreError: the store is there and can not be read.
    """
    history = _history(place)
    notes: list[str] = []
    problem = _unwritable(place)
    try:
        pass_ = _Pass(evaluation, samples, shard)
        if history is None:
            if place.scheme not in ("sqlite", "memory"):
                notes.append(f"what is stored in {place} is not looked at: all rows are counted")
        elif experiment is not None:
            names = name, *formerly
            version = version_of(evaluation, params or {})
            since = partial(version.since, source=evaluation.digest(), keep=keep_config)
            try:
                _look_at(history, experiment, names, fresh, pass_, notes, since)
            except UsageError as error:
                problem = str(error)
        problem = await pass_.read() or problem
        basis, estimates = _estimates(history, name, evaluation, pass_.to_run, budget)
    finally:
        if history is not None:
            history.close()
    return Plan(
        evaluation=name,
        experiment=experiment,
        store=str(place),
        exists=history is not None,
        columns=evaluation.columns,
        repeats=evaluation.repeats,
        strategy=dict(summary_of(evaluation.strategy)),
        shard=None if shard is None else f"{shard[0] + 1}/{shard[1]}",
        rows=pass_.rows,
        read=pass_.position,
        malformed=pass_.malformed,
        positions=tuple(pass_.positions),
        example=pass_.example,
        finished=pass_.finished,
        failed=pass_.failed,
        to_run=pass_.to_run,
        stale=pass_.stale,
        basis=basis,
        notes=tuple(notes),
        problem=problem,
        **estimates,
    )


# --- the store --------------------------------------------------------------------------------


def _history(place: Place) -> SqliteStore | None:
    """What is stored; None where nothing is."""
    try:
        if place.path is None or os.stat(place.path).st_size == 0:
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the store {place} can not be read: {error.strerror}") from error
    return SqliteStore(place.path, place.anchor, create=False, read_only=True)


def _unwritable(place: Place) -> str | None:
    """Why a run could not write its store."""
    if place.path is None:
        return None
    there = place.path
    while not there.exists():
        there = there.parent
    folder = there if there != place.path else there.parent  # where SQLite puts its journal
    for each in {there, folder}:
        if not os.access(each, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return f"the store {place} can not be written: {_kind(each)} {each} is read-only"
    return None


def _kind(path: Path) -> str:
    return "the folder" if path.is_dir() else "the file"


def _runs(history: SqliteStore, experiment: str, name: str) -> list[Run]:
    try:
        return history.runs(experiment, name)
    except NotFound:
        return []


def _look_at(
    history: SqliteStore,
    experiment: str,
    names: tuple[str, ...],
    fresh: bool,
    pass_: _Pass,
    notes: list[str],
    since: Callable[[Mapping[str, Any]], str | None],
) -> None:
    """
    What the experiment that would be resumed has, under today's name or an earlier one.

    Raises:
        UsageError: its last run had another config.
    """
    runs = {name: _runs(history, experiment, name) for name in names}
    name, header = names[0], runs[names[0]][-1].header if runs[names[0]] else None
    for former in names[1:] if header is None else ():
        if runs[former] and NAMING not in runs[former][-1].header:  # as an earlier version named it
            name, header = former, runs[former][-1].header
            break
    running = [run.pid for run in runs[name] if run.status == "running"]
    if running:
        notes.append(f"it is being run just now, by process {running[0]}")
    if fresh or header is None:
        return
    pass_.remember(partial(history.stored_of, experiment, name))
    changed = since(header)
    if changed is not None:
        notes.append(changed)


# --- the rows ---------------------------------------------------------------------------------


class _Pass:
    """One pass over the dataset, which counts what a run would do with each row."""

    def __init__(
        self, evaluation: Evaluation, samples: int | None, shard: tuple[int, int] | None
    ) -> None:
        self._evaluation = evaluation
        self._samples = samples
        self._shard = shard
        self._identities = Identities(evaluation.columns)
        self._bind = binder(evaluation.columns)
        self._stored: Callable[[], Iterator[Stored]] = lambda: iter(())
        self._failures: set[tuple[bytes, int]] = set()
        self.position = 0
        self.rows = self.malformed = self.finished = self.failed = self.to_run = self.stale = 0
        self.positions: list[int] = []
        self.example: str | None = None
        self._to_the_end = False

    def remember(self, stored: Callable[[], Iterator[Stored]]) -> None:
        """Learn what earlier runs finished."""
        self._stored = stored
        for each in stored():
            if each.failed:
                self._failures.add((each.key, each.repeat))
            else:
                self._identities.remember(each.key, each.repeat, each.digest)

    async def read(self) -> str | None:
        """Read the dataset. Returns what would end the run, or None."""
        try:
            if self._evaluation.executor is not None:
                Journey(self._evaluation.function, self._evaluation)
            rows: Any = self._evaluation.source.open()
            if hasattr(rows, "__anext__"):
                await self._read_async(rows)
            else:
                off_loop(partial(self._read, rows))
        except DotevalError as error:
            return str(error)
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            return (
                f"the dataset raised {type(error).__name__} after {self.position} rows: "
                f"{safe_error(error, 500)}"
            )
        if self._to_the_end:
            if self.position == 0:
                return "the dataset has no rows"
            self._count_stale()
        return None

    def _wants_more(self) -> bool:
        return self._samples is None or self.position < self._samples

    def _read(self, rows: Iterator[Any]) -> None:
        while self._wants_more():
            try:
                row = next(rows)
            except StopIteration:
                self._to_the_end = True
                return
            self._meet(row)

    async def _read_async(self, rows: AsyncIterator[Any]) -> None:
        while self._wants_more():
            try:
                row = await rows.__anext__()
            except StopAsyncIteration:
                self._to_the_end = True
                return
            self._meet(row)

    def _meet(self, row: Any) -> None:
        position = self.position
        try:
            values = self._bind(row)
        except RowError as error:
            key = self._identities.meet_malformed(position, row)[0]
            self.position += 1
            if self._is_ours(key):
                self.rows += 1
                self._misfit(position, error)
            return
        key, _, finished = self._identities.meet(values)
        self.position += 1
        if not self._is_ours(key):
            return
        self.rows += 1
        for repeat in range(self._evaluation.repeats):
            if finished >> repeat & 1:
                self.finished += 1
            else:
                self.to_run += 1
                self.failed += (key, repeat) in self._failures

    def _misfit(self, position: int, error: RowError) -> None:
        self.malformed += 1
        if len(self.positions) < _MOST:
            self.positions.append(position)
        if self.example is None:
            self.example = f"row {position}: {error}"

    def _is_ours(self, key: bytes) -> bool:
        return self._shard is None or shard_of(key, self._shard[1]) == self._shard[0]

    def _count_stale(self) -> None:
        for each in self._stored():
            if each.state == LIVE and self._is_ours(each.key):
                met = self._identities.met(each.key, each.digest)
                self.stale += not met or each.repeat >= self._evaluation.repeats


# --- how long, and at what cost ---------------------------------------------------------------


def _estimates(
    history: SqliteStore | None,
    name: str,
    evaluation: Evaluation,
    to_run: int,
    budget: Budget | None,
) -> tuple[Basis | None, dict[str, Any]]:
    """The run to go by, and what it says about so many records."""
    chosen = _chosen([] if history is None else runs_before(history.database, name), evaluation)
    if chosen is None:
        return None, {}
    earlier, basis = chosen

    def scaled(sum: float | None) -> float | None:
        return None if sum is None else sum / earlier.records * to_run

    estimates = {
        "seconds": scaled(earlier.duration),
        "input_tokens": scaled(earlier.input_tokens),
        "output_tokens": scaled(earlier.output_tokens),
        "cost": scaled(earlier.cost),
    }
    return basis, {**estimates, "budgeted": _budgeted(budget, estimates, to_run)}


def _chosen(candidates: Iterable[Earlier], evaluation: Evaluation) -> tuple[Earlier, Basis] | None:
    """
    The last run with enough records and today's strategy; else with enough records; else the one
    with the most.
    """
    strategy, source = dict(summary_of(evaluation.strategy)), evaluation.digest()
    found = [
        (
            each,
            Basis(
                each.experiment,
                each.started,
                each.duration,
                each.records,
                dict(each.header.get("strategy") or {}),
                each.header.get("strategy") == strategy,
                each.header.get("source") == source,
            ),
        )
        for each in candidates
    ]
    if not found:
        return None
    return max(
        found,
        key=lambda pair: (
            min(pair[1].records, _ENOUGH),
            pair[1].same_strategy,
            pair[1].started,
        ),
    )


def _budgeted(budget: Budget | None, estimates: dict[str, float | None], to_run: int) -> int | None:
    """About how many records run before a limit is reached."""
    if budget is None:
        return None
    used = [estimates["input_tokens"], estimates["output_tokens"]]
    tokens = sum(each or 0 for each in used)
    shares = [
        limit / estimate
        for limit, estimate in (
            (budget.time, estimates["seconds"]),
            (budget.tokens, tokens),
            (budget.cost, estimates["cost"]),
        )
        if limit is not None and estimate
    ]
    share = min(shares, default=1.0)
    return int(share * to_run) if share < 1 else None
