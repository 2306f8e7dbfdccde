"""Evaluations and what came of them, for the tests of doteval inside other programs."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from doteval import ForEach, foreach
from doteval.concurrency import SlidingWindow
from doteval.storage import open_store

QUICK = 20  # rows of `halves` that end by themselves


@foreach("n", range(50))
async def eval_n(n):
    await asyncio.sleep(0.001)
    return n % 2


@foreach("n", range(50))
def eval_plain(n):
    return n % 2


def halves(ended: list[int], cleaned: list[int], clean_up: float = 0.0):
    """
    An evaluation of which the first rows end at once, and five of the others never.

    Args:
        ended: gets the rows that ended. cleaned: those that were cancelled and had cleaned up.
        clean_up: seconds that this takes.
    """

    @ForEach(concurrency=SlidingWindow(5))("n", range(2 * QUICK))
    async def eval_halves(n):
        try:
            await asyncio.sleep(0 if n < QUICK else 3_600)
        except asyncio.CancelledError:
            await asyncio.sleep(clean_up)
            cleaned.append(n)
            raise
        ended.append(n)
        return True

    return eval_halves


def outcome(path: Path, experiment: str = "e") -> tuple[list[tuple[str, str | None]], int]:
    """Status and error of each run of the only evaluation, and how many records there are."""
    store = open_store(str(path))
    try:
        (name,) = store.evaluations(experiment)
        runs = [(run.status, run.error) for run in store.runs(experiment, name)]
        return runs, len(list(store.records(experiment, name)))
    finally:
        store.close()


def ours() -> list[str]:
    """
    Threads of doteval that do not end; what is just ending may take a moment.

    But for one: where a loop was running, the thread that called `run` keeps its helper and the
    loop in it for its next run, as clients may live there.
    """
    found = [each for each in threading.enumerate() if each.name.startswith("doteval")]
    kept = [each for each in found if each.name == "doteval-run"][:1]
    left = [each for each in found if each not in kept]
    for each in left:
        each.join(5)
    return [each.name for each in left if each.is_alive()]
