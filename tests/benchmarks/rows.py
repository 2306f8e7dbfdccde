"""Per row: what doteval adds to rows that cost nothing themselves."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from functools import partial

from .figures import Figure, Size, in_turns, report_of
from .work import bare, rows_of, stored


def figures(size: Size) -> Iterator[Figure]:
    folder, rounds = size.folder, size.rounds
    n = size.rows(20_000)

    def store(rows: int, concurrency: int = 100, each: int = 0) -> partial[None]:
        work = partial(stored, folder, rows_of(rows, each), concurrency=concurrency)
        return partial(_drop, work)

    def plain(rows: int, concurrency: int = 100, each: int = 0) -> partial[None]:
        work = partial(bare, folder, rows_of(rows, each), concurrency=concurrency)
        return partial(_drop, work)

    few, few_bare, many, many_bare, most = map(
        min,
        in_turns(rounds, store(n, 10), plain(n, 10), store(n, 100), plain(n, 100), store(n, 5_000)),
    )
    for concurrency, ours, theirs in ((10, few, few_bare), (100, many, many_bare)):
        yield Figure(
            f"a row, {concurrency} in flight: times bare asyncio",
            ours / theirs,
            6,
            detail=f"{ours / n * 1e6:.1f} µs, bare {theirs / n * 1e6:.1f} µs; the aim is 4",
        )
    yield Figure(
        "a row, 5,000 in flight: times 100 in flight", most / many, 1.5,
        detail=f"{most / n * 1e6:.1f} µs",
    )  # fmt: skip

    ours, theirs = map(min, in_turns(rounds, store(n, 100, 1_000), plain(n, 100, 1_000)))
    yield Figure(
        "a row of 1 KB, 100 in flight: times bare asyncio", ours / theirs, 2,
        detail=f"{ours / n * 1e6:.1f} µs, bare {theirs / n * 1e6:.1f} µs",
    )  # fmt: skip

    one, small, middle = map(min, in_turns(rounds, store(1), store(n // 10), store(n)))
    yield Figure("a run of one row", one * 1e3, 50, "ms")
    long, longer = size.rows(100_000), size.rows(200_000)
    before, after = map(min, in_turns(rounds, store(long), store(longer)))
    late = (after - before) / (longer - long)
    early = (middle - small) / (n - n // 10)
    yield Figure(
        f"a row between {long:,} and {longer:,}: times the early ones", late / early, 1.2,
        detail=f"{late * 1e6:.1f} µs, between {n // 10:,} and {n:,} {early * 1e6:.1f} µs",
    )  # fmt: skip

    taken = report_of(__name__, str(n), str(rounds), cwd=folder)
    yield Figure(
        "through pytest: times run()", taken["pytest"] / taken["run"], 1.2,
        detail=f"{taken['pytest'] / n * 1e6:.1f} µs a row, run() {taken['run'] / n * 1e6:.1f} µs",
    )  # fmt: skip


def _drop(work: partial[None], turn: int) -> None:
    work()


# --- through pytest, in a process of its own -------------------------------------------------

_FILE = """
from tests.benchmarks.work import evaluation, judge, rows_of

eval_judge = evaluation(rows_of({rows}), judge)
eval_judge.__name__ = "eval_judge"
"""


class _Calls:
    """A pytest plugin that keeps how long the calls of items took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pytest_runtest_logreport(self, report: object) -> None:
        if report.when == "call":  # type: ignore[attr-defined]
            self.seconds += report.duration  # type: ignore[attr-defined]


def main(n: int, rounds: int) -> None:
    """Print the seconds of the same rows through `run()` and through pytest, as JSON."""
    import contextlib
    import os
    from pathlib import Path
    from tempfile import mkdtemp

    import pytest

    folder = Path(mkdtemp(dir=Path.cwd()))
    os.chdir(folder)
    (folder / "eval_judge.py").write_text(_FILE.format(rows=n), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    taken: dict[str, list[float]] = {"run": [], "pytest": []}
    for _ in range(rounds):
        began = time.perf_counter()
        stored(folder, rows_of(n))
        taken["run"].append(time.perf_counter() - began)
        calls = _Calls()
        loaded = [] if _is_installed() else ["-p", "doteval.pytest_plugin"]
        with contextlib.redirect_stdout(sys.stderr):
            status = pytest.main(["-q", "eval_judge.py", *loaded], plugins=[calls])
        if status:
            raise SystemExit(f"pytest ended with {status!r}")
        taken["pytest"].append(calls.seconds)
    print(json.dumps({way: min(seconds) for way, seconds in taken.items()}))


def _is_installed() -> bool:
    """Whether pytest finds the plugin by its entry point."""
    from importlib.metadata import entry_points

    return any(point.name == "doteval" for point in entry_points(group="pytest11"))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
