"""Whoever embeds a run can cancel it: it ends in order, and the next one goes on from there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from doteval import ForEach, run, run_async
from doteval.concurrency import SlidingWindow

from .work import QUICK, halves, ours, outcome

INTERRUPTED = [("interrupted", None)]


async def started(evaluation, path, **options):
    """A task that runs an evaluation, once its quick rows are durable."""
    enough, seen = asyncio.Event(), []

    def on_record(record):
        seen.append(record)
        if len(seen) == QUICK:
            enough.set()

    task = asyncio.ensure_future(
        run_async(evaluation, "e", path, progress=False, on_record=on_record, **options)
    )
    await enough.wait()
    return task


def test_a_cancelled_run_leaves_nothing_behind(tmp_path):
    """No task, no thread, no lock: what was in flight has cleaned up, what ended is stored."""
    path, ended, cleaned = tmp_path / "results.db", [], []

    async def main():
        task = await started(halves(ended, cleaned), path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.all_tasks() - {asyncio.current_task()}

    left = asyncio.run(main())

    assert (len(ended), len(cleaned), left, ours()) == (QUICK, 5, set(), [])
    assert outcome(path) == (INTERRUPTED, QUICK)


def test_a_timeout_around_a_run_cancels_it(tmp_path):
    """`asyncio.wait_for` is the shortest way to bound a run from outside."""
    path, ended, cleaned = tmp_path / "results.db", [], []

    async def main():
        await asyncio.wait_for(run_async(halves(ended, cleaned), "e", path, progress=False), 1)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())

    assert outcome(path) == (INTERRUPTED, QUICK)


def test_cancelled_again_and_again_a_run_still_ends_in_order(tmp_path):
    """As by a group of tasks and by a timeout at a time, or by anyio's scopes, which repeat it."""
    path, ended, cleaned = tmp_path / "results.db", [], []

    async def main():
        task = await started(halves(ended, cleaned, clean_up=0.05), path)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        return task.cancelled(), asyncio.all_tasks() - {asyncio.current_task()}

    cancelled, left = asyncio.run(main())

    assert (cancelled, len(cleaned), left, ours()) == (True, 5, set(), [])
    assert outcome(path) == (INTERRUPTED, QUICK)


def test_a_loop_that_is_closed_under_a_run_ends_it(tmp_path):
    """`asyncio.run` cancels what is left when its own coroutine returns."""
    path, ended, cleaned = tmp_path / "results.db", [], []

    async def main():
        await started(halves(ended, cleaned), path)

    asyncio.run(main())

    assert ours() == []
    assert outcome(path) == (INTERRUPTED, QUICK)


def test_what_was_cancelled_goes_on_where_it_was(tmp_path):
    """Only rows without a result run again."""
    path, calls = tmp_path / "results.db", []
    patient = True

    @ForEach(concurrency=SlidingWindow(5))("n", range(2 * QUICK))
    async def eval_n(n):
        calls.append(n)
        if patient and n >= QUICK:
            await asyncio.sleep(3_600)
        return True

    async def main():
        task = await started(eval_n, path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    patient, calls[:] = False, []
    summary = run(eval_n, "e", path, progress=False)

    assert sorted(calls) == list(range(QUICK, 2 * QUICK))
    assert (summary.status, summary.scored) == ("complete", 2 * QUICK)


SCRIPT = """
import asyncio, json, os, signal, sys, threading, time
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

begun = []

@ForEach(concurrency=SlidingWindow(2))("n", range(1_000))
async def eval_n(n):
    begun.append(n)
    await asyncio.sleep(0.01)
    if n == 20:
        os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C, or the stop button of a notebook
    return True

async def cell():
    try:
        run(eval_n, "e", "results.db", progress=False)
    except KeyboardInterrupt:
        count = len(begun)
        await asyncio.sleep(0.2)
        return count, len(begun), [each.name for each in threading.enumerate()]

loop = asyncio.new_event_loop()
print(json.dumps(loop.run_until_complete(cell())))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_an_interrupt_of_a_cell_stops_the_run_in_its_thread(tmp_path):
    """Where a loop is running, `run` waits for a thread; Ctrl-C stops what costs money."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    at_interrupt, later, threads = json.loads(done.stdout)

    assert (later, threads) == (at_interrupt, ["MainThread", "doteval-run"])  # kept, and idle
    assert outcome(tmp_path / "results.db")[0] == INTERRUPTED
