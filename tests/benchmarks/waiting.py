"""Rows that wait as for a model, and whether the event loop stays alive while rows are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from doteval import run_async

from .figures import Figure, Size, in_turns
from .work import bare, evaluation, judge_after_50_ms, rows_of, stored

_BEAT = 0.002  # seconds between two looks at the clock of the loop


def figures(size: Size) -> Iterator[Figure]:
    rounds, n = size.rounds, size.rows(2_000)
    rows, ideal = rows_of(n), n / 100 * 0.05
    ours, theirs = map(
        min,
        in_turns(
            rounds,
            lambda turn: stored(size.folder, rows, judge_after_50_ms),
            lambda turn: bare(size.folder, rows, judge_after_50_ms),
        ),
    )
    yield Figure(
        f"{n:,} rows of 50 ms, 100 in flight: times the ideal", ours / ideal, 1.08,
        detail=f"{ours:.3f} s, bare {theirs:.3f} s, ideal {ideal:.2f} s",
    )  # fmt: skip

    lags = [asyncio.run(_lags(size, turn)) for turn in range(rounds)]
    p99 = min(sorted(each)[int(len(each) * 0.99)] for each in lags)
    yield Figure(
        "lag of the loop while 1 KB rows are stored, p99", p99 * 1e3, 20, "ms",
        detail=f"the longest of {len(lags[0])} looks {min(map(max, lags)) * 1e3:.1f} ms",
    )  # fmt: skip


async def _lags(size: Size, turn: int) -> list[float]:
    """Seconds by which the loop is late, looked at every 2 ms."""
    loop = asyncio.get_running_loop()
    work = evaluation(rows_of(size.rows(20_000), 1_000))
    path = size.folder / f"lag-{turn}.db"
    running = loop.create_task(run_async(work, "benchmark", str(path), progress=False))
    lags = []
    while not running.done():
        due = loop.time() + _BEAT
        await asyncio.sleep(_BEAT)
        lags.append(loop.time() - due)
    await running
    return lags
