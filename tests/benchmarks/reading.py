"""Reading: how soon what is stored can be looked at."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from doteval import run

from .figures import Figure, Size, in_turns, peak, python, report_of
from .work import evaluation, judge_twice, rows_of

_NAME = "benchmark"


def figures(size: Size) -> Iterator[Figure]:
    n = size.rows(20_000)
    store = _filled(size.folder / "reading.db", n)
    yield from _looks(size, store, n)
    yield from _streams(size, store, n)
    if size.million:
        yield from _million(size)


def _filled(store: Path, n: int, name: str = _NAME) -> Path:
    run(evaluation(rows_of(n), judge_twice), name, store, progress=False)
    return store


def _looks(size: Size, store: Path, n: int) -> Iterator[Figure]:
    """`list` and `show` against processes that only import what these have loaded."""
    for command in (["list"], ["show", _NAME]):
        loaded = report_of(__name__, "loaded", *command, "--storage", str(store))["modules"]
        imports = f"import {', '.join(loaded)}"
        first, again, importing = in_turns(
            size.rounds * 2,
            lambda turn, command=command: _first(store, *command),
            lambda turn, command=command: _doteval(store, *command),
            lambda turn, imports=imports: python("-c", imports),
        )
        for what, taken in (("", again), (", nothing added up before", first)):
            yield Figure(
                f"{command[0]} {n:,} records{what}: times its imports",
                min(taken) / min(importing), 2,
                detail=f"{min(taken) * 1e3:.0f} ms, imports {min(importing) * 1e3:.0f} ms",
            )  # fmt: skip


def _first(store: Path, *command: str) -> None:
    """A command that finds no aggregates in the store's cache: a run is adding records."""
    import sqlite3

    db = sqlite3.connect(store)
    db.execute("UPDATE evaluations SET sums = NULL, summed = -1")
    db.commit()
    db.close()
    _doteval(store, *command)


def _doteval(store: Path, *command: str) -> str:
    return python("-m", "doteval", *command, "--storage", str(store))


def _streams(size: Size, store: Path, n: int) -> Iterator[Figure]:
    """What prints every record, without the start of Python but with all imports."""
    for command in (["show", _NAME, "--full"], ["export", _NAME, "--format", "jsonl"]):
        whole = ("stream", *command, "--storage", str(store))
        told = [report_of(__name__, *whole) for _ in range(size.rounds)]
        seconds, most = (min(each[what] for each in told) for what in ("seconds", "peak"))
        name = " ".join(part for part in command if part != _NAME)
        yield Figure(
            f"{name}: records a second", n / seconds, 50_000, "/s", least=True,
            detail=f"{n:,} records in {seconds:.2f} s",
        )  # fmt: skip
        yield Figure(f"{name}: peak of the memory", most, 50, "MB")


def _million(size: Size) -> Iterator[Figure]:
    n = 1_000_000
    store = _filled(size.folder / "million.db", n)
    yield from _soon(store, n, "list", (0.2, 1))
    yield from _soon(store, n, "show", (0.2, 1), _NAME)
    _filled(store, n, "other")
    yield from _soon(store, n, "compare", (10, 10), _NAME, "other")


def _soon(
    store: Path, n: int, name: str, limits: tuple[float, float], *arguments: str
) -> Iterator[Figure]:
    """A command on what a run has left, and on a store where nothing was added up before."""
    again, first = in_turns(
        3,
        lambda turn: _doteval(store, name, *arguments),
        lambda turn: _first(store, name, *arguments),
    )
    yield Figure(f"{name} {n:,} records", min(again), limits[0], "s")
    yield Figure(f"{name} {n:,} records, nothing added up before", min(first), limits[1], "s")


# --- in a process of its own -----------------------------------------------------------------


def main(what: str, command: list[str]) -> None:
    """Run a command of doteval in this process and print what was asked about it, as JSON."""
    import contextlib
    import os
    import time

    before = set(sys.modules)
    from doteval.cli import main as doteval

    began = time.perf_counter()
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        status = doteval(command)
    if status:
        raise SystemExit(status)
    if what == "loaded":
        print(json.dumps({"modules": [name for name in sys.modules if name not in before]}))
    else:
        print(json.dumps({"seconds": time.perf_counter() - began, "peak": peak()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
