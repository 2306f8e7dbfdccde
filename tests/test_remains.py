"""After a run nothing of it is alive: no resource, no dataset, no thread."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from doteval import ForEach, foreach, run, run_async
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Retry, Sequential, SlidingWindow
from doteval.concurrency.executors import Threads
from doteval.concurrency.gates import Gate
from doteval.concurrency.loop import Loop
from doteval.concurrency.row import Row
from doteval.concurrency.schedule import Schedule
from doteval.errors import DatasetError

STRATEGIES = [Sequential(), AsyncSequential(), Batch(2), SlidingWindow(2), Adaptive(2, 1, 4)]


class Thing(list):
    """A model, or whatever is large."""


def quiet(evaluation, **options):
    return run(evaluation, storage="memory://", progress=False, **options)


class Stop(Exception):
    pass


def stopping(record):
    raise Stop


def interrupting(record):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"samples": 3},
        {"budget": "errors=0"},
        {"on_record": stopping},
        {"on_record": interrupting},
    ],
    ids=["complete", "samples", "budget", "error", "interrupted"],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_nothing_of_a_run_stays_alive(strategy, kind, options):
    """Weak references tell; and whoever opened the dataset has closed it."""
    closed, kept = [], []

    def rows():
        row = Thing()
        kept.append(weakref.ref(row))
        try:
            for n in range(50):
                yield n, row
        finally:
            closed.append(True)

    async def rows_async():
        for each in rows():
            yield each
            await asyncio.sleep(0)

    @ForEach(concurrency=strategy)("n,thing", rows if kind == "sync" else rows_async)
    async def eval_n(n, thing, model):
        await asyncio.sleep(0)
        if n == 5:
            raise LookupError
        return True

    model = Thing()
    kept.append(weakref.ref(model))
    try:
        quiet(eval_n, model=model, **options)
    except (Stop, KeyboardInterrupt):
        pass
    del model
    gc.collect()

    assert [each() for each in kept] == [None, None]
    assert closed == [True]


def test_a_generator_that_was_given_is_closed_and_an_iterator_of_its_owner_is_not():
    closed = []

    def rows():
        try:
            yield from range(50)
        finally:
            closed.append(True)

    class Cursor:
        def __iter__(self):
            return self

        def __next__(self):
            return 1

        def close(self):
            closed.append("cursor")

    quiet(foreach("n", rows())(lambda n: True), samples=2)
    quiet(foreach("n", Cursor())(lambda n: True), samples=2)
    quiet(foreach("n", Cursor)(lambda n: True), samples=2)

    assert closed == [True, "cursor"]


def test_what_closing_a_dataset_raises_is_told(tmp_path):
    from doteval.running import Execution, Options
    from doteval.storage import Named, locate

    def rows():
        try:
            yield from range(50)
        finally:
            raise OSError("gone")

    flow = Execution(
        foreach("n", rows)(lambda n: True), Options(samples=2), name=Named("n"), experiment="e",
        place=locate("memory://"), resources={},
    )  # fmt: skip
    summary = asyncio.run(flow.run())

    assert summary.scored == 2
    assert flow.notes == ["the dataset raised OSError when it was closed: gone"]


def test_a_strategy_keeps_the_figures_of_an_execution_and_nothing_else():
    strategy = SlidingWindow(3)
    thing = Thing()
    watch = weakref.ref(thing)

    async def main(thing):
        tasks = [lambda thing=thing, n=n: n for n in range(10)]
        async for _ in strategy.execute(tasks):
            assert strategy.get_stats()["current_concurrency"] == 3

    asyncio.run(main(thing))
    del thing
    gc.collect()

    assert strategy.get_stats()["completed"] == 10
    assert watch() is None


def test_a_strategy_that_runs_within_itself_tells_of_the_execution_that_ended_last():
    strategy = SlidingWindow(3)

    async def inner():
        return [result async for result in strategy.execute([lambda: 1] * 3)]

    async def main():
        return [result async for result in strategy.execute([inner] * 5)]

    asyncio.run(main())

    assert strategy.get_stats()["completed"] == 5


# -------------------------------------------------------------------------- threads


def test_abandoned_calls_keep_their_threads_and_are_bounded():
    """Calls that outlive their timeout: beyond twice the window, others wait for a thread."""
    hold = threading.Event()
    most, lock, inside = [0], threading.Lock(), [0]

    @ForEach(concurrency=SlidingWindow(10), timeout=0.02, retries=Retry(attempts=1), fail_fast=0)(
        "n", range(60)
    )
    def eval_n(n):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        hold.wait(30)
        with lock:
            inside[0] -= 1
        return True

    summary = quiet(eval_n)
    called = inside[0]
    hold.set()

    assert dict(summary.errors) == {"TimeoutError": 60}
    assert (most[0], called) == (20, 20)


def test_a_call_that_was_given_up_before_it_had_a_thread_is_never_made():
    hold, called = threading.Event(), []

    async def main():
        threads = Threads(1)
        stuck = [asyncio.ensure_future(threads.call(hold.wait)) for _ in range(9)]
        late = asyncio.ensure_future(threads.call(lambda: called.append("late")))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait({late})
        hold.set()
        await asyncio.gather(*stuck)
        end = await threads.call(lambda: "after")
        threads.close()
        return end

    assert asyncio.run(main()) == (None, "after")
    assert called == []


FEW_THREADS = """
import resource, sys, threading, time
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

threading.stack_size(256 * 2**20)

@ForEach(concurrency=SlidingWindow(50), fail_fast=0)("n", range(200))
def eval_n(n):
    time.sleep(0.001)
    return True

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]) * 2**20,) * 2)
summary = run(eval_n, storage="memory://", progress=False)
print(summary.scored, dict(summary.errors))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize(("megabytes", "told"), [(900, "200 {}"), (100, "0 {'RuntimeError': 200}")])
def test_where_the_system_gives_no_more_threads_rows_wait_for_one(megabytes, told):
    """A container's limit: no row fails because of it while one thread is there."""
    done = subprocess.run(
        [sys.executable, "-c", FEW_THREADS, str(megabytes)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.stdout.strip(), done.stderr) == (told, "")


# ------------------------------------------------------------------- StopIteration


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: type(each).__name__)
def test_a_stop_iteration_is_told_in_one_way(strategy):
    """`next()` of what is at its end: a row's failure like any other."""

    @ForEach(concurrency=strategy)("n", [1, 2])
    def eval_n(n):
        return next(iter([]))

    assert dict(quiet(eval_n).errors) == {"StopIteration": 2}


def test_run_async_leaves_nothing_on_the_callers_loop():
    async def main():
        @foreach("n", range(5))
        async def eval_n(n, model):
            return True

        model = Thing()
        watch = weakref.ref(model)
        await run_async(eval_n, storage="memory://", progress=False, model=model)
        del model
        await asyncio.sleep(0)
        gc.collect()
        return watch()

    assert asyncio.run(main()) is None


def test_a_dataset_that_raises_is_let_go_too():
    def rows():
        yield thing[0]
        raise OSError

    thing = [Thing()]
    watch = weakref.ref(thing[0])
    with pytest.raises(DatasetError):
        quiet(
            foreach("n,thing", lambda: ((n, each) for n, each in enumerate(rows())))(
                lambda n, thing: True
            )
        )
    thing.clear()
    gc.collect()

    assert watch() is None


def test_a_fixture_that_was_torn_down_is_gone(pytester):
    """The next module's model has the memory of this one's, also where an evaluation has failed."""
    pytester.makepyfile(
        """
        import gc, weakref
        import pytest
        from doteval import foreach

        alive = weakref.WeakSet()

        class Model: pass

        @pytest.fixture
        def model():
            gc.collect()
            assert not list(alive)
            made = Model()
            alive.add(made)
            yield made

        @foreach("n", [1, 2])
        def eval_plain(n, model):
            return n == 1 or 1 / 0

        @foreach("n", [1, 2])
        async def eval_async(n, model):
            return n == 1 or 1 / 0

        @foreach("n", [])
        async def eval_empty(n, model): ...

        @foreach("n", [1, 2])
        def eval_fine(n, model):
            return True

        def test_last(model): ...
        """
    )

    pytester.runpytest_inprocess("--storage", "memory://").assert_outcomes(passed=2, failed=3)


def test_an_attempt_that_outlives_the_run_leaves_no_timer():
    """The timer of its timeout would keep the run on a loop that goes on."""

    async def deaf():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if over:
                    raise

    over = []

    async def main():
        schedule = Schedule(Gate(), asyncio.get_running_loop().time())
        loop = Loop([Row(deaf, True)], schedule, print, timeout=600, grace=0.01)
        waiting = asyncio.ensure_future(loop.progress())
        await asyncio.sleep(0.01)
        await loop.close()
        left = [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]
        over.append(True)
        waiting.cancel()
        return len(left)

    assert asyncio.run(main()) == 1  # its own sleep
