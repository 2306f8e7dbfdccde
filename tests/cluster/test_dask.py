"""
Rows on a real Dask cluster of two processes on this machine, through `client.get_executor()`.

The optional environment `cluster` has Dask; elsewhere these tests are skipped.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial

import pytest

from doteval import ForEach, run, run_async
from doteval.concurrency import SlidingWindow
from tests.cluster import travellers

distributed = pytest.importorskip("distributed")

# Dask leaves sockets and loops to the garbage collector when it is closed.
pytestmark = pytest.mark.filterwarnings("ignore")

quiet = partial(run, storage="memory://", progress=False)


@pytest.fixture(scope="module")
def client():
    """Of a cluster with two workers, each a process with two threads, on the loopback interface."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,  # what is killed on purpose needs no traceback
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def awake(client):
    """
    Both workers are up, as their nannies know: one whose worker dies before it has heard that it is
    up ends itself, and without workers Dask answers nothing.
    """
    end = time.monotonic() + 60
    while {each.process.status for each in client.cluster.workers.values()} != {
        distributed.Status.running
    }:
        assert time.monotonic() < end, "the cluster has lost a worker for good"
        time.sleep(0.02)


@pytest.fixture
def strict(client):
    """A scheduler that gives up on a task at the first death, and not at the fourth."""

    def allow(failures, dask_scheduler):
        before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, failures
        return before

    before = client.run_on_scheduler(allow, 0)
    yield
    client.run_on_scheduler(allow, before)


@pytest.fixture(params=["object", "callable", "client"])
def executor(request, client):
    """What `executor=` takes."""
    return {
        "object": client.get_executor,
        "callable": lambda: client.get_executor,
        "client": lambda: client,
    }[request.param]()


def on(executor, function, rows=6, **policy):
    """An evaluation of a traveller, on the cluster."""
    policy = {"concurrency": SlidingWindow(4), **policy}
    return ForEach(executor=executor, **policy)("n", range(rows))(function)


def starts(folder):
    """How often each row was begun."""
    return {int(path.name[4:]): len(path.read_text()) for path in folder.glob("row-*")}


def stored(path):
    """How many records a store holds, and for how many rows."""
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute("SELECT count(*), count(DISTINCT key) FROM records").fetchone()


@pytest.mark.parametrize(
    "function", [travellers.eval_plain, travellers.eval_async], ids=["def", "async def"]
)
def test_rows_run_in_the_workers(client, executor, function):
    """Plain and async functions alike; the workers import them by their names."""
    seen = []
    workers = set(client.run(lambda: __import__("os").getpid()).values())
    summary = quiet(on(executor, function), on_record=seen.append)

    assert summary.scored == 6
    assert {score.value for record in seen for score in record.outcome.scores} <= workers


def test_what_a_row_raises_is_its_failure(executor):
    """SystemExit too, which would end the worker."""
    summary = quiet(on(executor, travellers.eval_raises, retries=0))

    assert (summary.scored, dict(summary.errors)) == (4, {"SystemExit": 1, "ValueError": 1})


def test_a_killed_worker_costs_no_row_and_nothing_is_stored_twice(executor, tmp_path):
    """Dask starts another worker and runs again what the dead one had; each row is one record."""
    path = tmp_path / "results.db"
    work = on(executor, travellers.eval_dies_once, rows=40)
    summary = run(work, "e", path, progress=False, folder=str(tmp_path))
    again = run(work, "e", path, progress=False, folder=str(tmp_path))

    assert (tmp_path / "died").exists()
    assert (summary.total, summary.scored, summary.failed) == (40, 40, 0), summary.errors
    assert starts(tmp_path)[5] == 2  # and `again` started nothing
    assert stored(path) == (40, 40)
    assert again.scored == 40


def test_a_result_that_is_lost_as_it_arrives_costs_no_row(client, monkeypatch):
    """Its worker has died between the result's arrival and Dask's look at it."""
    gather, lost = client._gather, []

    async def gather_and_lose(futures, **options):
        data = await gather(futures, **options)
        if len(lost) < 2:
            lost.append(futures[0])
            futures[0]._state.lose()
        return data

    monkeypatch.setattr(client, "_gather", gather_and_lose)
    summary = quiet(on(client, travellers.eval_plain, retries=0))

    assert len(lost) == 2
    assert (summary.scored, dict(summary.errors)) == (6, {})


def test_a_row_that_kills_its_workers_fails_and_the_others_do_not(executor, strict):
    """
    Dask gives up on it; it is the row's failure, not the run's. One at a time, because rows that
    are in the same workers each time can fail with it (and run again on resume).
    """
    work = on(executor, travellers.eval_always_dies, rows=5, concurrency=SlidingWindow(1))
    summary = quiet(work)

    assert (summary.scored, dict(summary.errors)) == (4, {"KilledWorker": 1})


def test_each_repeat_is_a_call_of_its_own(executor, tmp_path):
    """Dask would take equal calls for one, and three repeats would be one answer three times."""
    summary = quiet(on(executor, travellers.eval_counted, repeats=3), folder=str(tmp_path))

    assert summary.scored == 18
    assert starts(tmp_path) == dict.fromkeys(range(6), 3)


def test_another_attempt_is_another_call(executor, tmp_path):
    """And not the error that Dask remembers of the first."""
    work = on(executor, travellers.eval_better_the_second_time, rows=2)
    summary = quiet(work, folder=str(tmp_path))

    assert (summary.scored, summary.attempts) == (2, 4)


def test_a_timeout_gives_up_a_row_that_a_worker_does_not_end(executor, tmp_path):
    """The worker goes on to the end of a plain function; the run does not wait for it."""
    work = on(executor, travellers.eval_slow, rows=1, timeout=0.1, retries=0)
    summary = quiet(work, folder=str(tmp_path), seconds=1)

    assert dict(summary.errors) == {"TimeoutError": 1}


def test_a_cancelled_run_takes_its_rows_back(client, executor, tmp_path):
    """What was in flight when it was cancelled is not begun later, and runs on resume."""
    path = tmp_path / "results.db"
    work = on(executor, travellers.eval_slow, rows=30, concurrency=SlidingWindow(20))
    options = {"progress": False, "folder": str(tmp_path)}

    async def main():
        enough = asyncio.Event()
        task = asyncio.create_task(
            run_async(
                work, "e", path, on_record=lambda record: enough.set(), seconds=0.1, **options
            )
        )
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    client.submit(int, "3").result()  # behind everything that may still be in the cluster
    begun, kept = len(starts(tmp_path)), stored(path)[0]
    summary = run(work, "e", path, seconds=0, **options)

    assert 1 <= kept <= begun < 20
    assert (summary.scored, stored(path)) == (30, (30, 30))
    assert summary.attempts == 30


def test_an_executor_of_the_caller_stays_open(client):
    """A run shuts down what it made, and nothing else."""
    given = client.get_executor()
    quiet(on(given, travellers.eval_plain))

    assert given.submit(int, "3").result() == 3
