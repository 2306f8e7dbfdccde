"""Somebody else's plain code sees no running event loop, and may begin one."""

from __future__ import annotations

import asyncio

import pytest

from doteval import ForEach, run
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow
from doteval.running import Options
from doteval.running.plan import plan
from doteval.storage import Named, locate

STRATEGIES = [Sequential(), AsyncSequential(), Batch(2), SlidingWindow(2), Adaptive(2, 1, 4)]


async def answer(value):
    await asyncio.sleep(0)
    return value


def quiet(evaluation, **options):
    return run(evaluation, storage="memory://", progress=False, **options)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_a_plain_function_may_run_a_loop_of_its_own(strategy):
    """As the synchronous faces of asynchronous clients do."""

    @ForEach(concurrency=strategy)("n", range(3))
    def eval_n(n):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return asyncio.run(answer(n)) == n

    assert quiet(eval_n).scored == 3


def test_it_may_do_so_where_a_loop_is_running():
    @ForEach()("n", range(3))
    def eval_n(n):
        return asyncio.run(answer(n)) == n

    async def main():
        return quiet(eval_n)

    assert asyncio.run(main()).scored == 3


def test_a_plain_function_that_raises_or_returns_an_awaitable_leaves_the_loop_as_it_was():
    @ForEach()("n", range(4))
    def eval_n(n):
        if n % 2:
            raise LookupError
        return answer(True)

    summary = quiet(eval_n)

    assert (summary.scored, dict(summary.errors)) == (2, {"LookupError": 2})


class Fetched:
    """Rows that are fetched with a loop of their own, all at once and one by one."""

    def __iter__(self):
        yield from (asyncio.run(answer(n)) for n in asyncio.run(answer([1, 2])))


@pytest.mark.parametrize(
    "rows", [Fetched(), Fetched, lambda: asyncio.run(answer([1, 2])), lambda: iter(Fetched())]
)
def test_a_dataset_may_run_a_loop_of_its_own(rows, tmp_path):
    work = ForEach()("n", rows)(lambda n: True)

    planned = asyncio.run(
        plan(work, Options(), name=Named("x"), experiment=None, place=locate("memory://"))
    )

    assert (planned.problem, planned.rows) == (None, 2)
    assert quiet(work).scored == 2


def test_tasks_of_a_strategy_may_run_loops_of_their_own():
    async def main():
        tasks = (lambda n=n: asyncio.run(answer(n)) for n in asyncio_range())
        return [result async for result in Sequential().execute(tasks)]

    def asyncio_range():
        yield from asyncio.run(answer([1, 2, 3]))

    assert asyncio.run(main()) == [1, 2, 3]


def test_an_asynchronous_dataset_and_its_rows_see_the_loop():
    class Rows:
        def __aiter__(self):
            self.task = asyncio.ensure_future(answer([1, 2]))
            return self.walk()

        async def walk(self):
            for n in await self.task:
                yield n

    @ForEach()("n", Rows())
    async def eval_n(n):
        return asyncio.get_running_loop().is_running()

    assert quiet(eval_n).scored == 2


def test_listeners_see_the_loop():
    """They are ours to call on it: one may begin a task."""
    loops = []

    @ForEach()("n", range(2))
    def eval_n(n):
        return True

    quiet(eval_n, on_record=lambda record: loops.append(asyncio.get_running_loop()))

    assert len(loops) == 2


def test_the_iterator_of_an_asynchronous_dataset_need_not_be_iterable(tmp_path):
    """`async for` asks for no more than `__anext__`."""

    class Walk:
        def __init__(self):
            self.left = [1, 2]

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    class Rows:
        def __aiter__(self):
            return Walk()

    work = ForEach()("n", Rows())(lambda n: True)

    planned = asyncio.run(
        plan(work, Options(), name=Named("x"), experiment=None, place=locate("memory://"))
    )

    assert (planned.problem, planned.rows) == (None, 2)
    assert quiet(work).scored == 2


def test_a_loop_that_a_row_leaves_running_is_there_for_the_next_row():
    """As Playwright's sync API does, which runs its loop in a greenlet from start to stop."""

    class Suspended:
        running = True

        def is_running(self):
            return self.running

    theirs, seen = Suspended(), []

    @ForEach()("n", range(4))
    def eval_n(n):
        seen.append(asyncio._get_running_loop())
        if n == 0:
            asyncio._set_running_loop(theirs)
        theirs.running = n < 2
        return True

    assert quiet(eval_n).scored == 4
    assert seen == [None, theirs, theirs, None]
