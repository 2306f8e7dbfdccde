"""
What a run would do, before anything is paid for: rows, time and cost, without one call.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..budget import Budget
from ..concurrency.ahead import NotYet
from ..concurrency.executors import Journey, off_loop
from ..concurrency.strategies import summary_of
from ..errors import DotevalError, StoreError, UsageError
from ..evaluation import Evaluation
from ..record import STALE, Stored
from ..redaction import safe_error
from ..storage import Named, Place
from ..storage.history import Earlier, runs_before
from ..storage.schema import may
from ..storage.sqlite import SqliteStore
from .known import runs_of
from .options import Options
from .rows import Rows
from .version import version_of

_ENOUGH = 20  # records from which a run says something about the next


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
    evaluation: Evaluation[..., Any],
    options: Options,
    *,
    name: Named,
    experiment: str | None,
    place: Place,
) -> Plan:
    """
    Tell what `Execution` would do with the same arguments.

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
        rows = Rows(evaluation, options)
        stored: Callable[[], Iterator[Stored]] = partial(iter, ())
        if history is None:
            if place.scheme not in ("sqlite", "memory"):
                notes.append(f"what is stored in {place} is not looked at: all rows are counted")
        elif experiment is not None:
            version = version_of(evaluation, options.params)
            since = partial(version.since, source=evaluation.digest(), keep=options.keep_config)
            try:
                header, stored = _look_at(history, experiment, name, options.fresh, notes)
                for record in stored():
                    rows.known.remember(record)
                changed = None if header is None else since(header)
                notes += [] if changed is None else [changed]
            except UsageError as error:
                problem = str(error)
        wrong = await _read(rows, evaluation)
        problem = wrong or problem
        stale = 0
        if rows.to_the_end and wrong is None:
            stale = sum(rows.known.verdict(record, True) == STALE for record in stored())
        basis, estimates = _estimates(history, name.name, evaluation, rows.to_run, options.budget)
    finally:
        if history is not None:
            history.close()
    return Plan(
        evaluation=name.name,
        experiment=experiment,
        store=str(place),
        exists=history is not None,
        columns=evaluation.columns,
        repeats=evaluation.repeats,
        strategy=dict(summary_of(evaluation.strategy)),
        shard=None if options.shard is None else str(options.shard),
        rows=rows.ours,
        read=rows.read,
        malformed=rows.misfits.count,
        positions=tuple(rows.misfits.positions),
        example=rows.misfits.example,
        finished=rows.finished,
        failed=rows.failed,
        to_run=rows.to_run,
        stale=stale,
        basis=basis,
        notes=(*notes, *rows.told()),
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
        if not may(each, os.W_OK):
            return f"the store {place} can not be written: {_kind(each)} {each} is read-only"
    return None


def _kind(path: Path) -> str:
    return "the folder" if path.is_dir() else "the file"


def _look_at(
    history: SqliteStore,
    experiment: str,
    named: Named,
    fresh: bool,
    notes: list[str],
) -> tuple[Mapping[str, Any] | None, Callable[[], Iterator[Stored]]]:
    """
    What the experiment that would be resumed has, under today's name or an earlier one: the header
    of its last run, and its records. Nothing of either where the run would begin anew.
    """
    name, runs = runs_of(history, experiment, named)
    running = [run.pid for run in runs if run.status == "running"]
    if running:
        notes.append(f"it is being run just now, by process {running[0]}")
    if fresh or not runs:
        return None, partial(iter, ())
    return runs[-1].header, partial(history.stored_of, experiment, name)


# --- the rows ---------------------------------------------------------------------------------


async def _read(rows: Rows, evaluation: Evaluation[..., Any]) -> str | None:
    """Read the dataset. Returns what would end the run, or None."""
    more = asyncio.Event()
    try:
        if evaluation.executor is not None:
            Journey(evaluation.function, evaluation)
        try:
            rows.open(None, more.set)
            while not await _passed(rows, more):
                pass
        finally:
            await rows.close()
    except DotevalError as error:
        return str(error)
    except Exception as error:  # the dataset is theirs, and so is whatever it raises
        return (
            f"the dataset raised {type(error).__name__} after {rows.read} rows: "
            f"{safe_error(error, 500)}"
        )
    return "the dataset has no rows" if rows.to_the_end and rows.read == 0 else None


async def _passed(rows: Rows, more: asyncio.Event) -> bool:
    """Pass by all rows that are there; whether there are no more to wait for."""
    more.clear()
    try:
        off_loop(partial(deque, rows, 0))
    except NotYet:
        await more.wait()
        return False
    return True


# --- how long, and at what cost ---------------------------------------------------------------


def _estimates(
    history: SqliteStore | None,
    name: str,
    evaluation: Evaluation[..., Any],
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


def _chosen(
    candidates: Iterable[Earlier], evaluation: Evaluation[..., Any]
) -> tuple[Earlier, Basis] | None:
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
