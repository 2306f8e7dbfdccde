"""
A run in a process of its own, for tests that kill it.

    python -m faults.worker STORE STRATEGY BYTES ROWS

What it asks its model is written to STORE.asked, and what it was told to be stored to STORE.told:
one line each, by one write, so that both survive whatever happens to the process.
"""

from __future__ import annotations

import asyncio
import os
import sys

from doteval import ForEach, Result, Score, run
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow

# name: strategy, attempts in flight at most, seconds that the model takes
STRATEGIES = {
    "sequential": (Sequential, 1, 0.0),
    "async": (AsyncSequential, 1, 0.0),
    "batch": (lambda: Batch(20), 20, 0.001),
    "window": (lambda: SlidingWindow(50), 50, 0.002),
    "adaptive": (lambda: Adaptive(adaptation_interval=0.05), 100, 0.002),
}
BACKLOG = 1_000  # rows that may have returned without being durable


def main(store: str, strategy: str, size: int, rows: int) -> None:
    asked = os.open(f"{store}.asked", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    told = os.open(f"{store}.told", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    make, _, seconds = STRATEGIES[strategy]
    filler = "x" * size

    def dataset():
        return ((f"{n}", filler) for n in range(rows))

    @ForEach(concurrency=make())("number,filler", dataset)
    async def eval_work(number, filler):
        os.write(asked, f"{number}\n".encode())
        await asyncio.sleep(seconds)
        return Result(Score("right", True), model_response=filler)

    summary = run(
        eval_work,
        "kills",
        store,
        progress=False,
        on_record=lambda record: os.write(told, f"{record.row['number']}\n".encode()),
    )
    print(summary.status, summary.scored, summary.total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
