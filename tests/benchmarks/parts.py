"""
What the cost of a row consists of: each step by itself, on the rows of the whole.

    python -m tests.benchmarks.parts [ROWS]

A table without limits: it tells where to look. A step alone has its caches to itself, and the
writer works beside the loop, so the sum is not the whole; the last line says what is left.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from doteval import Score
from doteval.concurrency import SlidingWindow
from doteval.concurrency.loop import Loop
from doteval.concurrency.row import Row
from doteval.concurrency.schedule import Schedule
from doteval.datasets import binder
from doteval.keys import Identities
from doteval.outcomes import outcome_of
from doteval.record import Result, Run
from doteval.storage.encoding import dump
from doteval.storage.entries import Entry, encode
from doteval.storage.sqlite import SqliteStore
from doteval.usage import usage_of

from .figures import in_turns
from .work import bare, judge, rows_of, stored

_COLUMNS = ("question", "answer")
_IN_FLIGHT = 100
_COMMIT = 256  # records in a commit; about what gathers while one waits for the disk
_ROUNDS = 5

_TASK = "asyncio: a task, and the call in it"
_LOOP = "the loop: a slot for it, its start, its end"
_WHOLE = "whole, with all of it"
_BARE = "asyncio workers and sqlite3 alone"


def main(n: int) -> None:
    """Measure, and print the table."""
    for what, seconds in parts(n):
        print(f"{what:58}{seconds / n * 1e6:8.1f} µs", flush=True)


def parts(n: int) -> Iterator[tuple[str, float]]:
    """The steps of a row with the seconds that `n` of them take."""
    rows = list(rows_of(n)())
    entries = [_entry(position, row, _result(row)) for position, row in enumerate(rows)]
    results = [_result(row) for row in rows]
    bind = binder(_COLUMNS)
    with TemporaryDirectory(prefix="doteval-") as name:
        folder = Path(name)
        steps: dict[str, Callable[[], object]] = {
            "the row is made and matched to its columns": lambda: [
                dict(zip(_COLUMNS, bind(row), strict=True)) for row in rows_of(n)()
            ],
            "it is identified: a digest, and whether it is known": lambda: _identify(rows),
            "it is kept as JSON, before the function has it": lambda: [
                dump({"question": question, "answer": answer}) for question, answer in rows
            ],
            _TASK: lambda: asyncio.run(_tasks(rows)),
            _LOOP: lambda: asyncio.run(_looped(rows)),
            "the outcome is checked and made a record": lambda: [
                _entry(position, row, result)
                for position, (row, result) in enumerate(zip(rows, results, strict=True))
            ],
            _WHOLE: lambda: stored(folder, rows_of(n)),
            _BARE: lambda: bare(folder, rows_of(n)),
        }
        calls = [lambda turn, step=step: step() for step in steps.values()]
        taken = dict(zip(steps, map(min, in_turns(_ROUNDS, *calls)), strict=True))
        writing = [_write(folder / f"{turn}.db", entries) for turn in range(_ROUNDS)]
    whole, without = taken.pop(_WHOLE), taken.pop(_BARE)
    taken[_LOOP] -= taken[_TASK]
    taken["the writer's thread: the tables, and SQLite"] = min(cpu for cpu, _ in writing)
    yield from taken.items()
    yield "the rest: waiting for the disk and for the other thread", whole - sum(taken.values())
    yield _WHOLE, whole
    yield _BARE, without
    yield (
        "(a commit's wait for the disk, spread over its records)",
        min(wait for _, wait in writing),
    )


def _result(row: tuple[str, str]) -> Result:
    return Result(Score("right", True, ("accuracy",)), model_response=row[1])


def _entry(position: int, row: tuple[str, str], result: Result) -> Entry:
    """What the flow does with what a function has returned, but for the handing over."""
    outcome = outcome_of(result, "judge")
    usage = usage_of(result.usage)
    text = '{"question": "What is it?", "answer": "2"}'
    made = Row(judge, True, position.to_bytes(16, "big"), None, position, 0, {}, text)
    made.attempts, made.concurrency = 1, 100
    return encode(made, outcome, usage, 1.0, 0.5)


def _identify(rows: list[tuple[str, str]]) -> None:
    identities = Identities(_COLUMNS)
    for row in rows:
        identities.meet(row)


async def _tasks(rows: list[tuple[str, str]]) -> None:
    """As many tasks as rows, so many at a time, each of which only calls the function."""
    loop = asyncio.get_running_loop()
    for at in range(0, len(rows), _IN_FLIGHT):
        some = [loop.create_task(judge(*row)) for row in rows[at : at + _IN_FLIGHT]]
        for task in some:
            await task


async def _looped(rows: list[tuple[str, str]]) -> None:
    """The loop without a dataset and without a store."""

    def items() -> Iterator[Row]:
        for row in rows:
            yield Row(lambda row=row: judge(*row), True)  # type: ignore[misc]

    schedule = Schedule(SlidingWindow(_IN_FLIGHT).gate(), asyncio.get_running_loop().time())
    loop = Loop(items(), schedule, lambda row: None)
    while await loop.progress():
        pass


def _write(path: Path, entries: list[Entry]) -> tuple[float, float]:
    """Seconds on a processor, and seconds of waiting, while records are made durable."""
    store = SqliteStore(path, path.parent)
    header: dict[str, Any] = {}
    number = store.begin(Run("0" * 32, "e", "judge", 0.0, None, 0.0, "running", 1, header))
    cpu, began = time.thread_time(), time.perf_counter()
    for at in range(0, len(entries), _COMMIT):
        store.add(number, entries[at : at + _COMMIT])
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - began
    store.close()
    return cpu, wall - cpu


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
