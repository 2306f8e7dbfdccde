"""`run_async` on other people's event loops: uvloop's, and anyio's on asyncio."""

from __future__ import annotations

import asyncio

import pytest

from doteval import foreach, run, run_async
from doteval.concurrency import Adaptive

from .work import QUICK, eval_n, eval_plain, halves, ours, outcome

INTERRUPTED = [("interrupted", None)]


@pytest.fixture
def uvloop():
    return pytest.importorskip("uvloop")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_run(request):
    """`anyio.run` on either loop."""
    anyio = pytest.importorskip("anyio")
    if request.param:
        pytest.importorskip("uvloop")

    def run(function):
        return anyio.run(function, backend_options={"use_uvloop": request.param})

    return run


@pytest.mark.parametrize("evaluation", [eval_n, eval_plain], ids=["async def", "def"])
def test_rows_run_on_uvloop(uvloop, evaluation, tmp_path):
    """Its clock, its timers and its threads do as asyncio's."""

    async def main():
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        return await run_async(evaluation, "e", tmp_path / "s.db", progress=False)

    loop = uvloop.new_event_loop()
    try:
        summary = loop.run_until_complete(main())
    finally:
        loop.close()

    assert (summary.status, summary.scored) == ("complete", 50)


def test_run_works_inside_uvloop(uvloop, tmp_path):
    """In a thread of its own, on a loop of its own."""

    async def main():
        return run(eval_n, "e", tmp_path / "s.db", progress=False)

    loop = uvloop.new_event_loop()
    try:
        summary = loop.run_until_complete(main())
    finally:
        loop.close()

    assert (summary.scored, ours()) == (50, [])


def test_the_adaptive_limit_moves_on_uvloop(uvloop):
    """The controller takes its times from the loop that runs."""
    strategy = Adaptive(1, adaptation_interval=0.01, max_concurrency=20)

    async def main():
        async def call():
            await asyncio.sleep(0.001)

        return [each async for each in strategy.execute(call for _ in range(500))]

    loop = uvloop.new_event_loop()
    try:
        results = loop.run_until_complete(main())
    finally:
        loop.close()

    assert len(results) == 500
    assert strategy.get_stats()["current_concurrency"] > 1


def test_runs_are_children_of_a_task_group_of_anyio(anyio_run, tmp_path):
    """Its scopes and tasks are asyncio's underneath."""
    anyio = pytest.importorskip("anyio")
    summaries = []

    async def main():
        async def child(name):
            summaries.append(await run_async(eval_n, name, tmp_path / "s.db", progress=False))

        async with anyio.create_task_group() as group:
            for name in ("a", "b", "c"):
                group.start_soon(child, name)

    anyio_run(main)

    assert [each.scored for each in summaries] == [50, 50, 50]


def test_a_scope_of_anyio_that_is_cancelled_ends_the_run_in_order(anyio_run, tmp_path):
    """Such a scope cancels again at every turn of the loop, for as long as somebody is in it."""
    anyio = pytest.importorskip("anyio")
    path, ended, cleaned = tmp_path / "results.db", [], []
    caught = []

    async def main():
        seen = []

        def on_record(record):
            seen.append(record)
            if len(seen) == QUICK:
                scope.cancel()

        with anyio.CancelScope() as scope:
            work = halves(ended, cleaned, clean_up=0.05)
            await run_async(work, "e", path, progress=False, on_record=on_record)
        caught.append(scope.cancelled_caught)

    anyio_run(main)

    assert (caught, len(cleaned), ours()) == ([True], 5, [])
    assert outcome(path) == (INTERRUPTED, QUICK)


def test_rows_may_use_anyio(anyio_run, tmp_path):
    """Timeouts and threads of anyio in a row bound that row, as httpx's do."""
    anyio = pytest.importorskip("anyio")

    @foreach("n", range(10))
    async def eval_scopes(n):
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(0 if n % 2 else 60)
        return scope.cancelled_caught == (n % 2 == 0) and await anyio.to_thread.run_sync(bool, 1)

    summaries = []

    async def main():
        summaries.append(await run_async(eval_scopes, "e", tmp_path / "s.db", progress=False))

    anyio_run(main)

    assert summaries[0].scores["eval_scopes"]["accuracy"].value == 1.0
