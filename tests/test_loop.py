from __future__ import annotations

import asyncio
import contextvars
import errno
import gc
import sys
import threading
from functools import partial
from itertools import count, pairwise

import pytest

from doteval.concurrency.ahead import Ahead
from doteval.concurrency.evidence import Outcome
from doteval.concurrency.executors import Threads
from doteval.concurrency.loop import Loop
from doteval.concurrency.pace import RateLimit
from doteval.concurrency.reading import MACHINE
from doteval.concurrency.retry import Retry
from doteval.concurrency.row import Row
from doteval.concurrency.schedule import Schedule
from doteval.concurrency.strategies import Batch, SlidingWindow
from tests import virtual

WINDOW = SlidingWindow(3).gate


class ServerError(Exception):
    status_code = 500


class TooMany(Exception):
    status_code = 429

    def __init__(self, retry_after=None):
        super().__init__("too many requests")
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def calm() -> float:
    """Stands in for random(): each backoff as long as it may be."""
    return 1.0


def loop_of(source, gate, *, policy=None, pace=None, openings=(), random=None, **options) -> Loop:
    """A loop with its schedule, and what has finished in it."""
    now = asyncio.get_running_loop().time()
    schedule = Schedule(gate, now, policy=policy, pace=pace, openings=openings, random=random)
    found: list[Row] = []
    loop = Loop(source, schedule, found.append, **options)
    loop.schedule, loop.found = schedule, found
    return loop


async def finished(loop: Loop) -> list[Row]:
    """What has finished since the last call; nothing at the end."""
    await loop.progress()
    batch = list(loop.found)
    loop.found.clear()
    return batch


async def drain(loop: Loop) -> list[Row]:
    found = []
    try:
        while batch := await finished(loop):
            found += batch
    finally:
        await loop.close()
    return found


def items(calls):
    return (Row(call, asyncio.iscoroutinefunction(call)) for call in calls)


def answers(seconds=1.0, value=None):
    """A call that takes so long."""

    async def call():
        await asyncio.sleep(seconds)
        return value

    return call


def failing(times, error, value="answer", seconds=1.0):
    """A call whose first attempts raise."""
    attempts = []

    async def call():
        attempts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(seconds)
        if len(attempts) <= times:
            raise error() if isinstance(error, type) else error
        return value

    call.attempts = attempts
    return call


def test_results_come_in_the_order_in_which_they_finish():
    async def main():
        calls = [answers(3, "slow"), answers(1, "fast"), answers(2, "middle")]
        return [item.value for item in await drain(loop_of(items(calls), WINDOW()))]

    assert virtual.run(main()) == ["fast", "middle", "slow"]


def test_the_window_is_never_exceeded_and_always_full():
    """Ten calls of a second, three at a time, take four seconds."""
    running, most = [], []

    async def call():
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(1)
        running.pop()

    async def main():
        await drain(loop_of(items([call] * 10), WINDOW()))
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) == 4.0
    assert max(most) == 3


def test_the_source_is_read_lazily():
    """With three in flight, no more than three rows are taken."""
    taken = []

    def source():
        for index in range(1_000_000):
            taken.append(index)
            yield Row(answers(1), True)

    async def main():
        loop = loop_of(source(), WINDOW())
        await finished(loop)
        await loop.close()

    virtual.run(main())

    assert len(taken) <= 6


def test_without_a_policy_the_first_error_ends_everything_and_comes_out_as_it_is():
    error = ServerError("boom")
    cancelled = []

    async def waits():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def main():
        await drain(loop_of(items([failing(1, error), waits]), WINDOW()))

    with pytest.raises(ServerError) as caught:
        virtual.run(main())

    assert caught.value is error
    assert cancelled == [1]


def test_a_failed_attempt_frees_its_slot_while_it_waits():
    """With a window of two, two other rows run during the backoff of the first."""
    first = failing(1, ServerError, "late")

    async def main():
        gate = SlidingWindow(2).gate()
        calls = [first, *[answers(1, name) for name in "abcdef"]]
        loop = loop_of(items(calls), gate, policy=Retry(first=1.5), random=calm)
        return [item.value for item in await drain(loop)]

    assert virtual.run(main()) == ["a", "b", "c", "d", "e", "late", "f"]


def test_one_at_a_time_keeps_the_order_through_a_backoff():
    first = failing(1, ServerError, "first")

    async def main():
        gate = SlidingWindow(1).gate()
        loop = loop_of(items([first, answers(1, "second")]), gate, policy=Retry(), random=calm)
        return [item.value for item in await drain(loop)]

    assert virtual.run(main()) == ["first", "second"]


def test_no_more_rows_wait_for_another_attempt_than_may_be_in_flight():
    taken = []

    def source():
        for index in range(100):
            taken.append(index)
            yield Row(failing(1, TooMany(60)), True)

    async def main():
        loop = loop_of(source(), WINDOW(), policy=Retry(), random=calm)
        task = asyncio.ensure_future(drain(loop))
        await asyncio.sleep(30)
        seen = loop.schedule.waiting, len(taken)
        await task
        return seen

    assert virtual.run(main()) == (3, 3)


def test_attempts_are_spaced_by_exponential_backoff():
    call = failing(4, ServerError)

    async def main():
        return await drain(loop_of(items([call]), WINDOW(), policy=Retry(), random=calm))

    (item,) = virtual.run(main())

    assert call.attempts == [0.0, 2.0, 5.0, 10.0, 19.0]
    assert item.value == "answer"
    assert item.attempts == 5
    assert item.waited == 1 + 2 + 4 + 8


def test_a_row_with_a_short_backoff_does_not_wait_for_one_with_a_long_one():
    """The loop comes back for whichever is due first."""
    slow, soon = failing(1, ServerError), failing(1, ServerError, seconds=2.0)
    shares = iter([1.0, 0.1])

    async def main():
        policy = Retry(first=10.0)
        await drain(
            loop_of(items([slow, soon]), WINDOW(), policy=policy, random=lambda: next(shares))
        )

    virtual.run(main())

    assert soon.attempts[1] < 4
    assert slow.attempts[1] > 10


def test_a_row_fails_with_its_last_error_when_its_attempts_are_used_up():
    call = failing(9, ServerError)

    async def main():
        loop = loop_of(items([call]), WINDOW(), policy=Retry(attempts=3), random=calm)
        return await drain(loop), loop.schedule.failures, loop.schedule.stalled

    (item,), failed, stalled = virtual.run(main())

    assert isinstance(item.error, ServerError)
    assert (item.attempts, failed, stalled) == (3, 1, False)


def test_programming_errors_are_not_tried_again():
    call = failing(9, KeyError("answer"))

    async def main():
        return await drain(loop_of(items([call]), WINDOW(), policy=Retry()))

    (item,) = virtual.run(main())

    assert item.attempts == 1


def test_a_policy_of_one_attempt_never_tries_again():
    call = failing(9, TooMany)

    async def main():
        return await drain(loop_of(items([call]), WINDOW(), policy=Retry(attempts=1)))

    (item,) = virtual.run(main())

    assert item.attempts == 1


def test_retry_after_holds_back_the_whole_endpoint():
    """A refusal at second 1 that asks for 20 s: nobody starts before second 21."""
    refused = failing(1, TooMany(20))
    others = [failing(0, TooMany) for _ in range(6)]

    async def main():
        calls = [refused, *others]
        return await drain(loop_of(items(calls), WINDOW(), policy=Retry(), random=calm))

    virtual.run(main())

    starts = sorted(moment for call in [refused, *others] for moment in call.attempts)
    assert [moment for moment in starts if 1 < moment < 21] == []
    assert starts[-1] >= 21


def test_congestion_burns_no_attempts_while_somebody_succeeds():
    """A row that is refused twenty times gets through in the end."""
    refused = failing(20, TooMany)
    others = [answers(1)] * 2_000

    async def main():
        loop = loop_of(items([refused, *others]), WINDOW(), policy=Retry(attempts=2))
        return await drain(loop)

    assert all(item.error is None for item in virtual.run(main()))


def test_a_row_that_is_refused_while_all_others_are_served_gives_up_in_the_end():
    """One row that nothing but 429 ever answers costs no patience at the end of the run."""
    refused = failing(10_000, TooMany, seconds=0.1)

    async def main():
        policy = Retry(attempts=2, first=0.1, longest=0.1)
        loop = loop_of(items([refused, *[answers(1)] * 100]), WINDOW(), policy=policy)
        finished = await drain(loop)
        return finished, loop.schedule.stalled, asyncio.get_running_loop().time()

    finished, stalled, end = virtual.run(main())

    assert (len(finished), stalled) == (101, False)
    assert end < 60
    assert len(refused.attempts) == 41


def test_an_outage_burns_no_attempts_and_patience_ends_it():
    """After `patience` seconds without a success all waiting rows fail, and no new one starts."""
    calls = [failing(10_000, ServerError) for _ in range(50)]

    async def main():
        policy = Retry(attempts=3, patience=100)
        loop = loop_of(items(calls), WINDOW(), policy=policy, random=calm)
        finished = await drain(loop)
        return finished, loop.schedule.stalled, asyncio.get_running_loop().time()

    finished, stalled, end = virtual.run(main())

    assert stalled
    assert 100 <= end < 170
    assert len(finished) < 10
    assert all(isinstance(item.error, ServerError) for item in finished)


def test_an_outage_that_ends_in_time_loses_nothing():
    async def call():
        await asyncio.sleep(1)
        if 10 < asyncio.get_running_loop().time() < 300:
            raise ServerError("down")

    async def main():
        loop = loop_of(items([call] * 60), WINDOW(), policy=Retry(attempts=3), random=calm)
        return await drain(loop), loop.schedule.stalled

    finished, stalled = virtual.run(main())

    assert not stalled
    assert [item.error for item in finished] == [None] * 60


def down(begin, end):
    """A call of a second that fails between two moments."""

    async def call():
        await asyncio.sleep(1)
        if begin < asyncio.get_running_loop().time() < end:
            raise ServerError("down")

    return call


def test_the_last_answers_before_an_outage_accuse_nobody():
    """A row that it met first fails no sooner because an answer from before it came later."""
    calls = [*[answers(seconds) for seconds in (3, 6, 12, 24)], *[down(2, 300)] * 20]

    async def main():
        gate = SlidingWindow(5).gate()
        return await drain(loop_of(items(calls), gate, policy=Retry(attempts=3), random=calm))

    assert [item.error for item in virtual.run(main())] == [None] * 24


def test_one_at_a_time_an_outage_costs_two_rows():
    """The third that fails in a row waits for its end, however many there are."""

    async def main():
        gate = SlidingWindow(1).gate()
        return await drain(loop_of(items([down(10, 500)] * 60), gate, policy=Retry(), random=calm))

    finished = virtual.run(main())

    assert len(finished) == 60
    assert sum(item.error is not None for item in finished) == 2


def test_a_few_bad_rows_in_a_row_are_no_outage():
    """One at a time, and seven always fail: the others are tried as well."""
    bad = [failing(10_000, ServerError) for _ in range(7)]
    calls = [answers(1), *bad, *[answers(1)] * 20]

    async def main():
        loop = loop_of(items(calls), SlidingWindow(1).gate(), policy=Retry(), random=calm)
        finished = await drain(loop)
        return finished, loop.schedule.stalled

    finished, stalled = virtual.run(main())

    assert (len(finished), stalled) == (28, False)
    assert sum(item.error is not None for item in finished) == 7


def test_rows_that_fail_while_others_succeed_are_no_outage():
    """Four rows that always fail, and six good ones: the run ends soon, without patience."""
    bad = [failing(10_000, ServerError) for _ in range(4)]

    async def main():
        calls = [*bad, *[answers(1)] * 6]
        loop = loop_of(items(calls), SlidingWindow(5).gate(), policy=Retry(), random=calm)
        finished = await drain(loop)
        return finished, loop.schedule.stalled, asyncio.get_running_loop().time()

    finished, stalled, end = virtual.run(main())

    assert (len(finished), stalled) == (10, False)
    assert end < 100


def test_a_timeout_bounds_one_attempt_and_is_tried_again():
    call = failing(0, ServerError, seconds=100)

    async def main():
        loop = loop_of(items([call]), WINDOW(), policy=Retry(attempts=2), timeout=5, random=calm)
        return await drain(loop)

    (item,) = virtual.run(main())

    assert isinstance(item.error, TimeoutError)
    assert str(item.error) == "no answer within 5 s"
    assert call.attempts == [0.0, 6.0]


def test_an_answer_in_time_leaves_no_timer_behind():
    async def main():
        await drain(loop_of(items([answers(1)] * 5), WINDOW(), timeout=1e6))
        return asyncio.get_running_loop().time()

    assert virtual.run(main()) == 2.0


def test_an_attempt_that_answers_although_it_was_cancelled_keeps_its_answer():
    async def stubborn():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return "saved"

    async def main():
        return await drain(loop_of(items([stubborn]), WINDOW(), policy=Retry(), timeout=5))

    (item,) = virtual.run(main())

    assert (item.value, item.error) == ("saved", None)


def test_an_attempt_that_ignores_its_cancellation_is_abandoned_after_the_grace_period():
    async def deaf():
        end = asyncio.get_running_loop().time() + 1000
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue

    async def main():
        policy = Retry(attempts=1)
        loop = loop_of(items([deaf, answers(1)]), WINDOW(), policy=policy, timeout=5, grace=2)
        finished = await drain(loop)
        end = asyncio.get_running_loop().time()
        await asyncio.sleep(2000)
        return finished, end

    finished, end = virtual.run(main())

    assert "abandoned" in str(finished[1].error)
    assert end == 7.0


def test_asyncio_says_nothing_of_an_attempt_that_was_given_up(caplog):
    """Its record does. "Task was destroyed but it is pending!" is not for users."""

    async def deaf():
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                continue

    async def main():
        policy = Retry(attempts=1)
        return await drain(loop_of(items([deaf]), WINDOW(), policy=policy, timeout=5, grace=2))

    (item,) = virtual.run(main())
    gc.collect()

    assert "abandoned" in str(item.error)
    assert not caplog.records


def test_closing_waits_no_longer_than_the_grace_period_for_the_deaf():
    async def deaf():
        for _ in range(2):
            try:
                await asyncio.sleep(500)
            except asyncio.CancelledError:
                continue

    async def main():
        loop = loop_of(items([deaf, answers(1)]), WINDOW(), grace=3)
        await finished(loop)
        await loop.close()
        end = asyncio.get_running_loop().time()
        await asyncio.sleep(2000)
        return end, loop.schedule.in_flight

    assert virtual.run(main()) == (4.0, 0)


def test_what_ends_while_closing_is_kept_unless_we_cancelled_it():
    async def saves():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return "saved"

    async def breaks():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            raise ServerError("connection lost") from None

    async def main():
        loop = loop_of(items([saves, answers(100), breaks]), WINDOW(), policy=Retry())
        task = asyncio.ensure_future(loop.progress())
        await asyncio.sleep(1)
        task.cancel()
        await loop.close()
        return [item.value for item in loop.found]

    assert virtual.run(main()) == ["saved"]


def test_a_row_may_raise_its_own_cancelled_error():
    """It fails that row; the run is not cancelled by it."""

    async def cancels():
        raise asyncio.CancelledError

    async def main():
        return await drain(loop_of(items([cancels, answers(1)]), WINDOW(), policy=Retry()))

    finished = virtual.run(main())

    assert [type(item.error) for item in finished] == [asyncio.CancelledError, type(None)]


def test_a_row_that_is_cancelled_before_its_first_step_has_failed():
    """No line of its task runs, so the loop looks after that itself."""
    started = []

    def cancelled(loop, coroutine, **options):
        task = asyncio.Task(coroutine, loop=loop, **options)
        task.cancel()
        return task

    async def call():
        started.append(call)

    async def main():
        asyncio.get_running_loop().set_task_factory(cancelled)
        found = await drain(loop_of(items([call] * 5), WINDOW(), policy=Retry()))
        asyncio.get_running_loop().set_task_factory(None)
        return found

    found = virtual.run(main())

    assert [type(item.error) for item in found] == [asyncio.CancelledError] * 5
    assert started == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_a_row_may_end_within_the_making_of_its_task():
    """As an eager task factory lets it; rows that wait are tasks like any other."""
    calls = [answers(0, "waited"), failing(1, ValueError("wrong"), seconds=0)]

    async def at_once():
        return "at once"

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await drain(loop_of(items([at_once, *calls, at_once]), WINDOW(), policy=Retry()))

    found = virtual.run(main())

    assert sorted(str(item.error or item.value) for item in found) == [
        "at once",
        "at once",
        "waited",
        "wrong",
    ]


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration("x"), GeneratorExit()])
def test_odd_exceptions_are_the_rows_own(error):
    def call():
        raise error

    async def main():
        calls = [Row(call, True), Row(answers(1), True)]
        return await drain(loop_of(iter(calls), WINDOW(), policy=Retry()))

    finished = virtual.run(main())

    assert finished[0].error is error
    assert finished[1].error is None


def test_a_fatal_exception_ends_the_run():
    class Exit(Exception):
        pass

    async def main():
        loop = loop_of(
            items([failing(9, Exit), answers(500)]), WINDOW(), policy=Retry(), fatal=(Exit,)
        )
        await drain(loop)

    with pytest.raises(Exit):
        virtual.run(main())


def test_a_source_that_raises_lets_the_rows_in_flight_finish():
    def source():
        yield Row(answers(1, "a"), True)
        raise ValueError("line 2")

    async def main():
        loop = loop_of(source(), WINDOW(), policy=Retry())
        return [item.value for item in await drain(loop)], loop.source_error

    values, error = virtual.run(main())

    assert values == ["a"]
    assert str(error) == "line 2"


def test_a_fatal_exception_of_the_source_ends_the_run():
    def source():
        yield Row(answers(1), True)
        raise KeyboardInterrupt

    async def main():
        await drain(loop_of(source(), WINDOW(), policy=Retry()))

    with pytest.raises(KeyboardInterrupt):
        virtual.run(main())


def ahead(source, width=3):
    """A loop whose source is asynchronous, and read ahead."""
    rows = Ahead(source, None, lambda: loop.wake())
    loop = loop_of(rows, SlidingWindow(width).gate(), policy=Retry())
    return loop


def test_an_asynchronous_source_is_read_while_rows_run():
    async def source():
        for index in range(200):
            await asyncio.sleep(0.01)
            yield Row(answers(1, index), True)

    async def main():
        loop = ahead(source(), 100)
        values = [item.value for item in await drain(loop)]
        return values, asyncio.get_running_loop().time()

    values, end = virtual.run(main())

    assert values == list(range(200))
    assert end == pytest.approx(3.0, abs=0.1)


def test_an_asynchronous_source_is_not_read_far_ahead():
    taken = []

    async def source():
        for index in range(1_000):
            taken.append(index)
            yield Row(answers(1), True)

    async def main():
        loop = ahead(source())
        await finished(loop)
        await loop.close()

    virtual.run(main())

    assert len(taken) < 80


def test_an_asynchronous_source_that_raises_lets_its_rows_finish():
    async def source():
        yield Row(answers(1, "a"), True)
        raise ValueError("stream ended")

    async def main():
        loop = ahead(source())
        return [item.value for item in await drain(loop)], loop.source_error

    values, error = virtual.run(main())

    assert values == ["a"]
    assert isinstance(error, ValueError)


def test_rows_that_need_no_work_do_not_block_the_loop():
    """A source of a million None lets other callbacks run in between."""
    turns = []

    def source():
        for _ in range(10_000):
            yield None
        yield Row(answers(1), True)

    async def main():
        loop = loop_of(source(), WINDOW(), policy=Retry())

        def turn():
            turns.append(1)
            if not loop.schedule.in_flight:
                asyncio.get_running_loop().call_soon(turn)

        turn()
        await drain(loop)

    virtual.run(main())

    assert len(turns) > 100


def test_a_turn_of_the_event_loop_starts_so_many_rows_at_most():
    """However many rows have ended, and whoever asks for more: other callbacks get their turn."""
    started = []
    turns = []

    async def call():
        return None

    def source():
        for n in range(2_000):
            started.append(n)
            yield Row(call, True)

    async def main():
        loop = loop_of(source(), SlidingWindow(500).gate(), policy=Retry())

        def tick():
            turns.append(len(started))
            loop.wake()
            asyncio.get_running_loop().call_soon(tick)

        tick()
        return await drain(loop)

    assert len(virtual.run(main())) == 2_000
    assert max(after - before for before, after in pairwise(turns)) <= 64


def test_a_slow_step_of_the_source_is_told_once():
    told = []

    async def main():
        running = asyncio.get_running_loop()

        def source():
            for _ in range(3):
                running.now += 0.5
                yield Row(answers(1), True)

        await drain(loop_of(source(), WINDOW(), policy=Retry(), on_slow=told.append))

    virtual.run(main())

    assert told == [0.5]


def test_an_opening_holds_back_starts_until_its_moment():
    """Here: one start every ten seconds, and the first after five."""
    call = failing(0, ServerError)
    pace = RateLimit(1, per=10, burst=1)

    async def main():
        loop = loop_of(items([call] * 3), WINDOW(), openings=(lambda now: 5.0,), pace=pace)
        await drain(loop)

    virtual.run(main())

    assert call.attempts == pytest.approx([5.0, 15.0, 25.0], abs=0.001)


def test_rows_see_the_variables_of_who_began_and_not_of_who_wakes():
    """A writer's thread wakes the loop, and knows nothing of the caller's tracing."""
    variable = contextvars.ContextVar("variable", default="lost")

    async def call():
        return variable.get()

    async def main():
        opens = [float("inf")]
        loop = loop_of(items([call] * 5), WINDOW(), openings=(lambda now: opens[0],))
        asyncio.get_running_loop().call_later(1.0, opens.clear)
        asyncio.get_running_loop().call_later(1.0, opens.append, 0.0)
        asyncio.get_running_loop().call_later(1.0, loop.wake, context=contextvars.Context())
        return [item.value for item in await drain(loop)]

    variable.set("kept")
    assert virtual.run(main()) == ["kept"] * 5


def test_a_closed_opening_is_looked_at_again_after_wake():
    closed = [True]

    async def main():
        loop = loop_of(
            items([answers(1)]),
            WINDOW(),
            openings=(lambda now: float("inf") if closed[0] else now,),
        )
        task = asyncio.ensure_future(drain(loop))
        await asyncio.sleep(50)
        before = loop.schedule.in_flight
        closed[0] = False
        loop.wake()
        await task
        loop.wake()
        return before, asyncio.get_running_loop().time()

    assert virtual.run(main()) == (0, 51.0)


def test_stopping_lets_what_is_in_flight_finish():
    async def main():
        loop = loop_of(items([answers(1), failing(9, ServerError)] * 50), WINDOW(), policy=Retry())
        task = asyncio.ensure_future(drain(loop))
        await asyncio.sleep(0.5)
        loop.stop()
        return len(await task)

    assert virtual.run(main()) == 3


def test_failing_from_outside_ends_the_run_with_that_error():
    error = OSError("disk full")

    async def main():
        loop = loop_of(items([answers(100)] * 3), WINDOW(), policy=Retry())
        task = asyncio.ensure_future(drain(loop))
        await asyncio.sleep(1)
        loop.fail(error)
        loop.fail(KeyError("later ones do not count"))
        await task

    with pytest.raises(OSError) as caught:
        virtual.run(main())

    assert caught.value is error


def test_batches_start_when_the_group_before_has_ended():
    call = failing(0, ServerError)
    slow = failing(0, ServerError, seconds=5)

    async def main():
        await drain(loop_of(items([call, slow, call, call]), Batch(2).gate()))

    virtual.run(main())

    assert call.attempts == [0.0, 5.0, 5.0]


def test_a_row_that_waits_joins_a_later_batch():
    first = failing(1, ServerError)
    rest = failing(0, ServerError)

    async def main():
        loop = loop_of(items([first, *[rest] * 5]), Batch(2).gate(), policy=Retry(), random=calm)
        await drain(loop)

    virtual.run(main())

    assert first.attempts == [0.0, 2.0]
    assert rest.attempts == [0.0, 1.0, 1.0, 2.0, 3.0]


def test_a_gate_hears_of_every_attempt():
    """Adaptive sees starts, ends and their kind, also of attempts that are tried again."""
    told = []

    class Listening:
        counts, limit = True, 2

        def room(self, in_flight):
            return self.limit - in_flight

        def started(self, now):
            told.append(("start", now))
            return len(told)

        def ended(self, token, now, outcome, retry_after=None):
            told.append((outcome, now, retry_after))

        def ready_at(self, now):
            return now

    async def main():
        calls = [failing(1, TooMany(3))]
        await drain(loop_of(items(calls), Listening(), policy=Retry(first=0.0)))

    virtual.run(main())

    assert told == [
        ("start", 0.0),
        (Outcome.CONGESTION, 1.0, 3.0),
        ("start", 4.0),
        (Outcome.SUCCESS, 5.0, None),
    ]


def test_context_variables_of_a_row_do_not_reach_the_next():
    variable = contextvars.ContextVar("variable", default="clean")
    seen = []

    async def call():
        seen.append(variable.get())
        variable.set("dirty")

    async def main():
        await drain(loop_of(items([call] * 5), SlidingWindow(1).gate()))

    virtual.run(main())

    assert seen == ["clean"] * 5


def test_an_awaitable_that_a_plain_function_returns_may_raise():
    def call():
        return failing(1, ServerError)()

    async def main():
        return await drain(loop_of(iter([Row(call, False)]), WINDOW(), policy=Retry(attempts=1)))

    (item,) = virtual.run(main())

    assert isinstance(item.error, ServerError)


def test_oldest_is_the_age_of_the_longest_running_attempt():
    async def main():
        loop = loop_of(items([answers(10), answers(1), answers(1), answers(10)]), WINDOW())
        before = loop.oldest
        await finished(loop)
        await asyncio.sleep(1)
        age = loop.oldest
        await loop.close()
        return before, age, loop.elapsed

    assert virtual.run(main()) == (None, 2.0, 1.0)


def test_a_plain_call_on_the_loops_thread_can_be_told():
    """Only an exception can interrupt it, so a signal handler wants to know."""
    seen = []

    async def main():
        loop: Loop

        def call():
            seen.append(loop.calling)

        loop = loop_of(iter([Row(call, False)]), WINDOW())
        await drain(loop)
        seen.append(loop.calling)

    virtual.run(main())

    assert seen == [True, False]


def test_threads_are_used_again_and_bounded():
    names, begun, all_there = set(), count(), threading.Barrier(2 + 8)

    def call():
        names.add(threading.current_thread().name)
        if next(begun) < 2 + 8:  # none of these ends before all of them are needed
            all_there.wait(30)

    async def main():
        threads = Threads(2)
        await asyncio.gather(*(threads.call(call) for _ in range(50)))
        threads.close()

    asyncio.run(main())

    assert len(names) == 2 + 8


def test_a_thread_hands_back_what_its_call_raises():
    """As a value: a coroutine could not raise a StopIteration."""
    error = StopIteration("odd")

    def call():
        raise error

    async def main():
        threads = Threads()
        try:
            return await threads.call(call)
        finally:
            threads.close()

    assert asyncio.run(main()) == (error, None)


def test_a_thread_whose_caller_has_gone_ends_quietly():
    release = threading.Event()
    done = threading.Event()

    def call():
        release.wait(10)
        done.set()

    async def main():
        threads = Threads()
        task = asyncio.ensure_future(threads.call(call))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        while not done.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        other = asyncio.ensure_future(threads.call(release.wait))
        await other
        release.clear()
        done.clear()
        last = asyncio.ensure_future(threads.call(call))
        await asyncio.sleep(0.01)
        last.cancel()
        threads.close()

    asyncio.run(main())
    release.set()

    assert done.wait(10)


def test_what_is_raised_where_rows_finish_ends_everything():
    """No task keeps it for itself."""

    def refuses(row):
        raise LookupError("no room")

    async def main():
        schedule = Schedule(WINDOW(), asyncio.get_running_loop().time(), policy=Retry())
        loop = Loop(items([answers(1), answers(100)]), schedule, refuses)
        try:
            while await loop.progress():
                pass
        finally:
            await loop.close()

    with pytest.raises(LookupError, match="no room"):
        virtual.run(main())


def test_a_factory_of_tasks_may_run_a_row_to_its_end():
    """As eager factories do, which Python has from 3.12 on."""

    class Ended(asyncio.Future):
        def set_name(self, name):
            """Python 3.13 names whatever a factory has made."""

    def eagerly(loop, coroutine, **options):
        with pytest.raises(StopIteration):
            coroutine.send(None)
        done = Ended(loop=loop)
        done.set_result(None)
        return done

    async def call():
        return "at once"

    async def main():
        asyncio.get_running_loop().set_task_factory(eagerly)
        loop = loop_of(items([call] * 5), WINDOW(), timeout=10)
        return [row.value for row in await drain(loop)]

    assert virtual.run(main()) == ["at once"] * 5


def test_a_machine_that_is_full_blocks_nobody_while_others_hold_its_files():
    """They give them back; what fails alone finds none."""
    blocked = []

    async def main():
        async def opens(row):
            await asyncio.sleep(1 if row else 2)
            raise OSError(errno.EMFILE, "Too many open files")

        rows = [Row(partial(opens, n), True) for n in range(2)]
        loop = loop_of(
            iter(rows), WINDOW(), policy=Retry(attempts=1), random=calm,
            on_failed=lambda row, reading, final: blocked.append(reading.blocks),
        )  # fmt: skip
        await drain(loop)

    virtual.run(main())

    assert blocked[0] == ""
    assert MACHINE in blocked
