from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time

import pytest

from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow
from doteval.concurrency.strategies import as_strategy
from doteval.errors import UsageError
from tests import virtual

ALL = [Sequential(), AsyncSequential(), Batch(4), SlidingWindow(4), Adaptive(2, 1, 8)]
each = pytest.mark.parametrize("strategy", ALL, ids=lambda s: type(s).__name__)


async def collect(strategy, tasks, **options):
    return [result async for result in strategy.execute(tasks, **options)]


def sleeping(seconds, value=None):
    async def task():
        await asyncio.sleep(seconds)
        return value

    return task


@each
def test_every_strategy_runs_async_tasks(strategy):
    results = virtual.run(collect(strategy, (sleeping(1, n) for n in range(20))))

    assert sorted(results) == list(range(20))


@each
def test_every_strategy_runs_plain_functions(strategy):
    results = asyncio.run(collect(strategy, (lambda n=n: n * n for n in range(20))))

    assert sorted(results) == [n * n for n in range(20)]


@each
def test_every_strategy_awaits_what_a_plain_function_returns(strategy):
    """functools.partial of an async function, or a lambda around one, is no trap."""
    results = asyncio.run(collect(strategy, (lambda n=n: sleeping(0, n)() for n in range(5))))

    assert sorted(results) == list(range(5))


@each
def test_no_tasks_give_no_results(strategy):
    assert virtual.run(collect(strategy, [])) == []


@each
def test_the_very_exception_of_a_task_comes_out(strategy):
    error = ValueError("mine")

    async def fails():
        raise error

    with pytest.raises(ValueError) as caught:
        virtual.run(collect(strategy, [sleeping(1), fails, sleeping(1)]))

    assert caught.value is error


@each
def test_an_exception_of_the_iterable_comes_out_after_the_results_before_it(strategy):
    got = []

    def tasks():
        yield sleeping(1, "kept")
        raise LookupError("broken iterable")

    async def main():
        async for result in strategy.execute(tasks()):
            got.append(result)

    with pytest.raises(LookupError, match="broken iterable"):
        virtual.run(main())

    assert got == ["kept"]


@each
def test_something_that_can_not_be_called_is_named(strategy):
    with pytest.raises(TypeError, match="task 1 is of type int"):
        virtual.run(collect(strategy, [sleeping(1), 42]))


def test_a_coroutine_in_place_of_its_function_is_explained():
    coroutine = sleeping(1)()

    with pytest.raises(TypeError, match="pass the function, not its call"):
        virtual.run(collect(Sequential(), [coroutine]))

    coroutine.close()


@each
def test_leaving_early_cancels_what_is_in_flight(strategy):
    cancelled, started = [], []

    def task(n):
        async def call():
            started.append(n)
            try:
                await asyncio.sleep(1 + n)
            except asyncio.CancelledError:
                cancelled.append(n)
                raise

        return call

    async def main():
        results = strategy.execute(task(n) for n in itertools.count())
        async for _ in results:
            break
        await results.aclose()
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) < 10
    assert len(started) == len(cancelled) + 1


def test_leaving_a_loop_without_closing_it_cancels_too():
    """The generator is closed when nobody refers to it any more."""
    cancelled = []

    async def waits():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def main():
        async for _ in SlidingWindow(3).execute([sleeping(1), waits, waits]):
            break
        gc.collect()
        await asyncio.sleep(1)

    virtual.run(main())

    assert cancelled == [1, 1]


def test_endless_tasks_are_read_lazily():
    taken = []

    def tasks():
        for n in itertools.count():
            taken.append(n)
            yield sleeping(1, n)

    async def main():
        async for result in SlidingWindow(5).execute(tasks()):
            if result == 20:
                return

    virtual.run(main())

    assert len(taken) < 40


@pytest.mark.long
def test_two_hundred_thousand_tasks_are_queued_lazily():
    """As many tasks exist as are in flight, not as there are rows."""
    most = []

    async def task():
        most.append(len(asyncio.all_tasks()))

    async def main():
        count = 0
        async for _ in SlidingWindow(10).execute(itertools.repeat(task, 200_000)):
            count += 1
        return count

    assert asyncio.run(main()) == 200_000
    assert max(most) < 30


def test_the_progress_callback_gets_each_result():
    seen = []

    results = virtual.run(
        collect(SlidingWindow(2), [sleeping(1, n) for n in range(5)], progress_callback=seen.append)
    )

    assert seen == results


def test_sequential_keeps_the_order_and_the_calling_thread():
    threads = set()

    def task(n):
        threads.add(threading.current_thread())
        return n

    results = asyncio.run(collect(Sequential(), [lambda n=n: task(n) for n in range(10)]))

    assert results == list(range(10))
    assert threads == {threading.current_thread()}


def test_async_sequential_keeps_the_loop_alive_during_a_plain_function():
    turns = []

    async def main():
        async def ticking():
            while True:
                turns.append(1)
                await asyncio.sleep(0.001)

        ticker = asyncio.ensure_future(ticking())
        release = threading.Event()
        asyncio.get_running_loop().call_later(0.05, release.set)
        results = await collect(AsyncSequential(), [lambda: release.wait(10)])
        ticker.cancel()
        return results

    assert asyncio.run(main()) == [True]
    assert len(turns) > 5


@pytest.mark.parametrize("strategy", [Batch(8), SlidingWindow(8)], ids=["Batch", "SlidingWindow"])
def test_plain_functions_run_on_as_many_threads_as_the_strategy_allows(strategy):
    """Eight calls that wait for one another only end if all eight run at a time."""
    together = threading.Barrier(8)

    results = asyncio.run(collect(strategy, [lambda: together.wait(20) for _ in range(8)]))

    assert sorted(results) == list(range(8))


def test_threads_grow_with_the_adaptive_limit():
    """Eight at a time are only reached by growing from two."""
    running, most = [], [0]

    def task():
        running.append(1)
        most[0] = max(most[0], len(running))
        time.sleep(0.02)
        running.pop()

    asyncio.run(collect(Adaptive(2, 1, 8), [task] * 60))

    assert most[0] == 8


def test_adaptive_reaches_its_maximum_where_nothing_limits_it():
    strategy = Adaptive(2, 1, 8, adaptation_interval=1.0)

    virtual.run(collect(strategy, (sleeping(0.4) for _ in range(200))))

    assert strategy.get_stats()["current_concurrency"] == 8


def test_stats_before_any_execution_are_empty():
    stats = SlidingWindow(3).get_stats()

    assert stats == {
        "completed": 0,
        "failed": 0,
        "in_flight": 0,
        "waiting": 0,
        "current_concurrency": 3,
        "elapsed": 0.0,
        "throughput": None,
        "adaptation_history": [],
    }


def test_stats_tell_about_the_current_execution():
    strategy = SlidingWindow(2)

    async def main():
        found = []
        async for _ in strategy.execute(sleeping(1) for _ in range(6)):
            found.append(strategy.get_stats())
        return found

    stats = virtual.run(main())

    assert stats[0]["completed"] == 2
    assert stats[-1]["completed"] == 6
    assert strategy.get_stats()["throughput"] == 2.0
    assert strategy.get_stats()["elapsed"] == 3.0


def test_stats_hold_the_history_of_an_adaptive_limit():
    strategy = Adaptive(2, 1, 8, adaptation_interval=1.0)
    virtual.run(collect(strategy, (sleeping(0.4) for _ in range(50))))

    history = strategy.get_stats()["adaptation_history"]

    assert history[0]["limit"] == 2
    assert history[-1]["limit"] == 8
    assert set(history[0]) == {"at", "limit", "reason", "throughput"}


def test_one_object_serves_two_executions_at_a_time():
    """They share parameters, not state: each has its own window."""
    strategy = SlidingWindow(2)

    async def main():
        both = (collect(strategy, [sleeping(1)] * 4) for _ in range(2))
        await asyncio.gather(*both)
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) == 2.0


def test_each_execution_of_an_adaptive_object_starts_anew():
    strategy = Adaptive(2, 1, 8, adaptation_interval=1.0)
    virtual.run(collect(strategy, (sleeping(0.4) for _ in range(50))))

    virtual.run(collect(strategy, [sleeping(1)]))

    assert strategy.get_stats()["adaptation_history"][0]["limit"] == 2


@pytest.mark.parametrize("bad", [0, -1, True, 2.0, "4", None])
def test_a_window_needs_a_whole_number_of_one_or_more(bad):
    with pytest.raises(ValueError, match="max_concurrency.*expected a whole number of 1 or more"):
        SlidingWindow(bad)
    with pytest.raises(ValueError, match="batch_size.*expected a whole number of 1 or more"):
        Batch(bad)


NAN = float("nan")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"initial_concurrency": 0}, "initial_concurrency"),
        ({"min_concurrency": 0}, "min_concurrency"),
        ({"max_concurrency": -3}, "max_concurrency"),
        ({"min_concurrency": 20, "max_concurrency": 10}, "min_concurrency <= initial"),
        ({"initial_concurrency": 200}, "5 <=|1 <= 200 <= 100"),
        ({"initial_concurrency": 2, "min_concurrency": 3}, "3 <= 2 <= 100"),
        ({"adaptation_interval": 0}, "seconds above 0"),
        ({"adaptation_interval": -1.0}, "seconds above 0"),
        ({"adaptation_interval": NAN}, "finite number"),
        ({"adaptation_interval": "2"}, "finite number"),
        ({"increase_threshold": NAN}, "finite number"),
        ({"increase_threshold": 1.5}, "<= 1"),
        ({"decrease_threshold": -0.1}, "0 <="),
        ({"increase_threshold": 0.5, "decrease_threshold": 0.8}, "decrease_threshold <="),
        ({"error_backoff_factor": 1.0}, "between 0 and 1"),
        ({"error_backoff_factor": 0}, "between 0 and 1"),
        ({"error_backoff_factor": True}, "finite number"),
    ],
)
def test_adaptive_says_which_parameter_is_wrong(parameters, message):
    with pytest.raises(ValueError, match=message):
        Adaptive(**parameters)


def test_repr_shows_how_to_make_it_again():
    for strategy in ALL:
        assert eval(repr(strategy)).parameters() == strategy.parameters()


def test_the_default_follows_the_function():
    assert isinstance(as_strategy(None, plain=True), Sequential)
    assert isinstance(as_strategy(None, plain=False), Adaptive)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (10, r"write SlidingWindow\(10\)"),
        (SlidingWindow, r"write SlidingWindow\(\)"),
        ("adaptive", "expected a strategy"),
    ],
)
def test_what_is_no_strategy_is_explained(value, hint):
    with pytest.raises(UsageError, match=hint):
        as_strategy(value, plain=True)


def test_a_consumer_that_stops_reading_holds_back_the_tasks():
    """Results that nobody takes do not pile up without bound."""
    strategy = SlidingWindow(3)

    async def task():
        await asyncio.sleep(0.001)

    async def main():
        results = strategy.execute([task] * 10_000)
        await results.__anext__()
        await asyncio.sleep(100)
        completed = strategy.get_stats()["completed"]
        await results.aclose()
        return completed

    assert virtual.run(main()) < 200
