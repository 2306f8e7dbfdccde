"""
What rows cost on this machine: the figures of docs/explanation/a-billion-rows.md.

    python -m tests.cluster.costs [ROWS] [FOLDER]

Each measurement runs in a process of its own, on rows whose function does nothing but return.
Time per row is wall and CPU time divided by the rows, memory is what the process grew by.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from doteval import ForEach, Result, Score, run
from doteval.concurrency import SlidingWindow

from .in_flight import ROOT, memory

SHARDS = 4
RARE = 1_000  # shards, of which one hardly has rows: what it costs to pass by those of others
FEW, MANY = 40, 1_000  # characters of a question and of an answer


def evaluation(rows: int, size: int) -> Any:
    """An evaluation that only returns; question and answer have about `size` characters each."""
    filling = ("lorem ipsum dolor sit amet " * (size // 27 + 1))[:size]

    def dataset() -> Any:
        for n in range(rows):
            yield f"{n} {filling}", f"{n}"

    @ForEach(concurrency=SlidingWindow(100))("question,expected", dataset)
    async def eval_nothing(question: str, expected: str) -> Result:
        score = Score("right", True, ("accuracy",))
        return Result(score, prompt=question, model_response=f"{expected} {filling}")

    return eval_nothing


def measured(work: Callable[[], Any], rows: int) -> dict[str, float]:
    before = memory()[0]
    began, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "us": seconds / rows * 1e6,
        "cpu_us": cpu / rows * 1e6,
        "bytes": (memory()[1] - before) * 1e6 / rows,
    }


def running(rows: str, size: str, store: str, shard: str = "") -> dict[str, float]:
    """Run what is not in the store yet."""
    run(evaluation(1, 1), "loads the modules", "memory://", progress=False)
    work = evaluation(int(rows), int(size))
    options = {"progress": False, "shard": shard or None}
    return measured(lambda: run(work, "costs", store, **options), int(rows))


def merging(rows: str, out: str, *stores: str) -> dict[str, float]:
    from doteval.storage import locate
    from doteval.storage.merging import merge

    return measured(lambda: merge(locate(out), [locate(each) for each in stores]), int(rows))


def showing(rows: str, store: str) -> dict[str, float]:
    from doteval.cli import main

    def show() -> None:
        assert main(["show", "costs", "--json", "--storage", store]) == 0

    sys.stdout = sys.stderr
    try:
        return measured(show, int(rows))
    finally:
        sys.stdout = sys.__stdout__


def taken(name: str, kind: str, rows: int, *arguments: object) -> dict[str, float]:
    """Measure in a process of its own, and print a line."""
    command = [sys.executable, "-m", "tests.cluster.costs", kind, str(rows), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name:48}{found['us']:9.1f} µs a row{found['cpu_us']:9.1f} µs of CPU"
        f"{found['bytes']:9.0f} bytes of memory",
        flush=True,
    )
    return found


def main(rows: int, folder: Path) -> None:
    for size in (FEW, MANY):
        store = folder / f"{size}.db"
        taken(f"run, {size} characters", "running", rows, size, store)
        print(f"{'':48}{store.stat().st_size / rows:9.0f} bytes a row in the file")
    store = folder / f"{FEW}.db"
    taken("run again: nothing to do", "running", rows, FEW, store)
    taken("show", "showing", rows, store)
    taken(f"a shard of {RARE:,}", "running", rows, FEW, folder / "no.db", f"{RARE}/{RARE}")
    parts = [folder / f"part-{part}.db" for part in range(1, SHARDS + 1)]
    for part, path in enumerate(parts, 1):
        taken(f"shard {part}/{SHARDS}", "running", rows, FEW, path, f"{part}/{SHARDS}")
    out = folder / "all.db"
    taken(f"merge {SHARDS} stores", "merging", rows, out, *parts)
    print(f"{'':48}{out.stat().st_size / rows:9.0f} bytes a row in the file")
    taken("merge them again", "merging", rows, out, *parts)
    taken("show what was merged", "showing", rows, out)


if __name__ == "__main__":
    kinds = {"running": running, "merging": merging, "showing": showing}
    if sys.argv[1:] and sys.argv[1] in kinds:
        print(json.dumps(kinds[sys.argv[1]](*sys.argv[2:])))
    else:
        count, *where = sys.argv[1:] or ["100000"]
        with TemporaryDirectory(prefix="doteval-", dir=where[0] if where else None) as made:
            main(int(count), Path(made))
