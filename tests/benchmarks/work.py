"""
The work that is measured: rows, no-op evaluations, and the same work without doteval.

The bare versions are what somebody would write who needs nothing but speed: workers over one
iterator, one table, WAL with NORMAL, 256 rows to a commit. They store what doteval stores of a row
(the row and the result as JSON, the score, a key, the times) and do without everything else: no
identity of rows (the key is the position), no resuming, no durability at a power cut, no
task for each row.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from doteval import ForEach, Result, Score, run
from doteval.concurrency import Sequential, SlidingWindow

_BATCH = 256
Rows = Callable[[], Iterator[tuple[str, str]]]


def rows_of(count: int, size: int = 0) -> Rows:
    """A function that generates rows; each has about `size` bytes more than a short question."""
    filling = "lorem ipsum dolor " * (size // 18 + 1)

    def rows() -> Iterator[tuple[str, str]]:
        for index in range(count):
            yield f"What is {index} + {index}?{filling[:size]}", str(2 * index)

    return rows


async def judge(question: str, answer: str) -> Result:
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


def judge_plainly(question: str, answer: str) -> Result:
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


async def judge_after_50_ms(question: str, answer: str) -> Result:
    await asyncio.sleep(0.05)
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


def judge_blocking_50_ms(question: str, answer: str) -> Result:
    time.sleep(0.05)
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


async def judge_twice(question: str, answer: str) -> Result:
    first = Score("right", len(question) % 2 == 0, ("accuracy",))
    return Result(first, Score("length", len(question) / 7), model_response=answer)


def evaluation(rows: Rows, function: Callable[..., Any] = judge, concurrency: int = 100) -> Any:
    """An evaluation of a window; a window of one is Sequential."""
    strategy = Sequential() if concurrency == 1 else SlidingWindow(concurrency)
    return ForEach(concurrency=strategy)("question,answer", rows)(function)


def stored(
    folder: Path, rows: Rows, function: Callable[..., Any] = judge, concurrency: int = 100
) -> None:
    """Run with doteval, into a new store."""
    path = _new(folder)
    run(evaluation(rows, function, concurrency), "benchmark", str(path), progress=False)
    _remove(path)


def bare(
    folder: Path,
    rows: Rows,
    function: Callable[..., Awaitable[Result]] = judge,
    concurrency: int = 100,
) -> None:
    """The same with asyncio and sqlite3 alone."""
    path = _new(folder)
    asyncio.run(_bare(path, rows(), function, concurrency))
    _remove(path)


async def _bare(
    path: Path,
    rows: Iterator[tuple[str, str]],
    function: Callable[..., Awaitable[Result]],
    concurrency: int,
) -> None:
    table = _Table(path)
    numbered = enumerate(rows)

    async def work() -> None:
        for position, (question, answer) in numbered:
            started = time.time()
            result = await function(question=question, answer=answer)
            table.add(position, question, answer, result, started)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    table.close()


def bare_plainly(folder: Path, rows: Rows, function: Callable[..., Result]) -> None:
    """A plain loop that writes to sqlite."""
    path = _new(folder)
    table = _Table(path)
    for position, (question, answer) in enumerate(rows()):
        started = time.time()
        table.add(position, question, answer, function(question=question, answer=answer), started)
    table.close()
    _remove(path)


class _Table:
    """One table, written in batches."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE records (id INTEGER PRIMARY KEY, key BLOB, position INTEGER, row TEXT, "
            "result TEXT, score REAL, started REAL, duration REAL)"
        )
        self._batch: list[tuple[Any, ...]] = []

    def add(self, position: int, question: str, answer: str, result: Result, at: float) -> None:
        row = json.dumps({"question": question, "answer": answer})
        outcome = json.dumps({"prompt": result.prompt, "model_response": result.model_response})
        score = result.scores[0]
        assert isinstance(score, Score)
        key = position.to_bytes(16, "big")
        self._batch.append((key, position, row, outcome, score.value, at, time.time() - at))
        if len(self._batch) == _BATCH:
            self._write()

    def _write(self) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO records (key, position, row, result, score, started, duration) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._batch,
        )
        self._db.execute("COMMIT")
        self._batch.clear()

    def close(self) -> None:
        self._write()
        self._db.close()


_made = iter(range(10**9))


def _new(folder: Path) -> Path:
    return folder / f"{next(_made)}.db"


def _remove(path: Path) -> None:
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
