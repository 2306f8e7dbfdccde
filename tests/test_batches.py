"""One call for many rows: `foreach.batched`."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from doteval import ForEach, Result, foreach, note, records, replayable, run, run_async
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow
from doteval.errors import DatasetError, UsageError
from doteval.record import Failure
from doteval.storage import open_store
from tests import travellers, virtual

quiet = partial(run, progress=False)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The path of a store, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results.db"


class Model:
    """Doubles numbers, lists of them at a time, and raises where one is poison."""

    def __init__(self, poison=(), error=ValueError):
        self.calls, self.poison, self.error = [], set(poison), error

    def __call__(self, numbers):
        self.calls.append(list(numbers))
        if self.poison & set(numbers):
            raise self.error(f"{self.poison & set(numbers)}")
        return [2 * n for n in numbers]


def doubling(rows, size, **options):
    @ForEach(**options).batched("n", rows, size=size)
    def eval_double(n, model):
        return [
            Result(got == 2 * each, model_response=got)
            for got, each in zip(model(n), n, strict=True)
        ]

    return eval_double


def doubling_later(rows, size, **options):
    @ForEach(**options).batched("n", rows, size=size)
    async def eval_double(n, model):
        await asyncio.sleep(1)
        return [
            Result(got == 2 * each, model_response=got)
            for got, each in zip(model(n), n, strict=True)
        ]

    return eval_double


def outcomes(experiment, store):
    """What became of each row, by its first column."""
    return {
        next(iter(each.row.values())): each.outcome for each in records(experiment, storage=store)
    }


@pytest.mark.parametrize("made", [doubling, doubling_later])
@pytest.mark.parametrize(
    "strategy",
    [None, Sequential(), AsyncSequential(), Batch(2), SlidingWindow(3), Adaptive()],
    ids=repr,
)
def test_a_call_gets_many_rows_and_each_has_its_own_record(made, strategy, store):
    """Whatever the strategy; the last call gets what is left."""
    model = Model()

    summary = quiet(made(range(10), 4, concurrency=strategy), "e", store, model=model)

    assert sorted(model.calls) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (summary.scored, summary.failed) == (10, 0)
    assert {n: each.model_response for n, each in outcomes("e", store).items()} == {
        n: 2 * n for n in range(10)
    }


def test_a_row_that_fails_its_call_costs_no_other(store):
    """Its group falls apart, and each of its rows is tried by itself."""
    model = Model(poison={5})

    summary = quiet(doubling(range(12), 4), "e", store, model=model)
    found = outcomes("e", store)

    assert (summary.scored, summary.failed) == (11, 1)
    assert found[5].message == "{5}"
    assert model.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [4], [5], [6], [7], [8, 9, 10, 11]]
    attempts = {each.row["n"]: each.attempts for each in records("e", storage=store)}
    assert attempts == {n: 2 if n in (4, 5, 6, 7) else 1 for n in range(12)}
    history = open_store(store, create=False)
    [name] = history.evaluations("e")
    assert len(history.attempts("e", name)) == 5  # of four rows with the group, of one alone
    history.close()


def test_what_waiting_may_heal_is_tried_again_together():
    """A policy's attempts come first: an endpoint that is down would be down for each row, too."""
    down = [ConnectionError("down"), TimeoutError("slow")]
    asked = []

    @ForEach(concurrency=SlidingWindow(1)).batched("n", range(4), size=2)
    async def eval_it(n):
        asked.append(n)
        if down:
            raise down.pop()
        return [True, True]

    summary = virtual.run(run_async(eval_it, "e", "memory://", progress=False))

    assert summary.scored == 4
    assert sorted(asked) == [[0, 1], [0, 1], [0, 1], [2, 3]]


def test_a_call_that_takes_too_long_falls_apart(store):
    """The time is up for a call; what its rows have noted by then is kept with each."""

    @ForEach(timeout=10, retries=0, concurrency=SlidingWindow(2)).batched("n", range(4), size=4)
    async def eval_it(n):
        note(model_response=[f"answer {each}" for each in n])
        await asyncio.sleep(60 if 2 in n else 1)
        return [True] * len(n)

    told = []
    virtual.run(run_async(eval_it, "e", "memory://", progress=told.append))
    failed = [each for each in told if each.failed]

    assert len(told) == 4
    assert [each.row["n"] for each in failed] == [2]
    assert failed[0].outcome.type == "TimeoutError"
    assert failed[0].outcome.result.model_response == "answer 2"
    assert (failed[0].duration, failed[0].attempts) == (10, 2)


def test_a_row_may_have_an_exception_in_place_of_a_result(store):
    """As if it had raised it by itself: tried again where that may help, a failure where not."""
    asked = []
    said = {1: ValueError("unreadable"), 2: TimeoutError("slow"), 3: Result(error="refused")}

    @foreach.batched("n", range(5), size=5)
    def eval_it(n):
        asked.append(n)
        return [said.pop(each, True) if each != 4 else None for each in n]

    quiet(eval_it, "e", store)
    found = outcomes("e", store)

    assert asked == [[0, 1, 2, 3, 4], [2]]
    assert not isinstance(found[0], Failure) and not isinstance(found[2], Failure)
    assert (found[1].type, found[1].message) == ("ValueError", "unreadable")
    assert found[3].message == "refused"
    assert "returned NoneType; expected a Result" in found[4].message


def test_an_exception_of_a_row_by_itself_is_raised(store):
    """A list of one may have one, too."""

    @ForEach(retries=0).batched("n", range(3), size=2)
    async def eval_it(n):
        return [KeyError(each) if each else True for each in n]

    summary = quiet(eval_it, "e", store)

    assert (summary.scored, summary.failed) == (1, 2)
    assert {each.type for n, each in outcomes("e", store).items() if n} == {"KeyError"}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda n: [True] * (len(n) - (2 in n)), "returned 0 results for 1 rows"),
        (lambda n: [True] * len(n) if 2 not in n else True, "returned bool; expected a list"),
        (lambda n: [True] * len(n) if 2 not in n else {0: True}, "returned dict; expected a list"),
    ],
)
def test_a_return_that_fits_no_rows_loses_none(returned, said, store):
    """Which row lacks its result is found out one by one."""

    @foreach.batched("n", range(6), size=3)
    def eval_it(n):
        return returned(n)

    summary = quiet(eval_it, "e", store)

    assert (summary.scored, summary.failed) == (5, 1)
    assert said in outcomes("e", store)[2].message


def test_a_resume_runs_what_has_no_result_yet(store):
    """Results of a group stay, whatever became of the rows beside them."""
    model = Model(poison={2})
    quiet(doubling(range(4), 4), "e", store, model=model)
    model.poison.clear()
    model.calls.clear()

    summary = quiet(doubling(range(8), 4), "e", store, model=model)

    assert summary.scored == 8
    assert model.calls == [[2, 4, 5, 6], [7]]


def test_rows_that_do_not_fit_their_columns_join_no_group(store):
    """They fail by themselves, and no group is smaller for them."""
    asked = []

    @foreach.batched("a,b", [(1, 2), (3,), (4, 5)], size=2)
    def eval_it(a, b):
        asked.append((a, b))
        return [True] * len(a)

    summary = quiet(eval_it, "e", store)

    assert asked == [([1, 4], [2, 5])]
    assert (summary.scored, summary.failed) == (2, 1)


def test_repeats_and_samples_count_rows(store):
    """Repeats of a row may be in one call."""
    model = Model()

    summary = quiet(doubling(range(9), 4, repeats=2), "e", store, samples=3, model=model)

    assert summary.scored == 6
    assert model.calls == [[0, 0, 1, 1], [2, 2]]


def test_what_a_call_has_used_is_divided_among_its_rows(store):
    """To the last token: sums are those of the calls. What a Result says is its row's own."""

    @foreach.batched("n", range(6), size=3, tags="")
    def eval_it(n):
        note(
            usage={"input_tokens": 100, "output_tokens": 2, "cost": 0.3},
            prompt="all of them", model_response=[str(each) for each in n],
            metadata={"temperature": 0},
        )  # fmt: skip
        if 4 in n and len(n) > 1:
            raise ValueError("a call that was paid for, and failed")
        return [each == each for each in n]

    summary = quiet(eval_it, "e", store)
    found = [each.outcome for each in records("e", storage=store)]

    assert summary.usage["input_tokens"] == 100 + 100 + 3 * 100
    assert summary.usage["output_tokens"] == 2 + 2 + 3 * 2
    assert sum(each.usage.cost for each in found) == pytest.approx(5 * 0.3)
    assert {each.prompt for each in found} == {"all of them"}
    assert [each.model_response for each in found] == ["0", "1", "2", "3", "4", "5"]
    assert found[0].metadata == {"temperature": 0}


def test_attempts_of_rows_change_none_of_them(store):
    """Each call gets copies of what can be changed; the tags of a row are not passed."""
    rows = [{"chat": ["hi"], "level": 1}, {"chat": ["ho"], "level": 2}]
    seen = []

    @ForEach(repeats=2).batched("chat", rows, size=3, tags="level")
    def eval_it(chat):
        for each in chat:
            seen.append(len(each))
            each.append("said")
        return [True] * len(chat)

    quiet(eval_it, "e", store)

    assert seen == [1, 1, 1, 1]
    assert {each.row["level"] for each in records("e", storage=store)} == {1, 2}


def test_calls_of_a_group_are_kept_and_served(store):
    """A call for many rows is one call, whichever row it is kept with."""
    asked = []

    def model(numbers):
        asked.append(numbers)
        return [2 * n for n in numbers]

    ask = replayable(model)

    @foreach.batched("n", range(6), size=3)
    def eval_it(n):
        return [got == 2 * each for got, each in zip(ask(n), n, strict=True)]

    quiet(eval_it, "one", store)
    summary = quiet(eval_it, "two", store, calls="replay")

    assert summary.scored == 6
    assert asked == [[0, 1, 2], [3, 4, 5]]


def test_a_budget_stops_after_the_call_that_spends_it(store):
    """What is in flight comes to its end, and nothing starts after it."""

    @foreach.batched("n", range(100), size=10)
    def eval_it(n):
        note(usage={"input_tokens": 100})
        return [True] * len(n)

    summary = quiet(eval_it, "e", "memory://", budget="tokens=250")

    assert summary.status == "incomplete"
    assert summary.scored == 30


def test_what_was_interrupted_keeps_what_was_whole(store):
    """A listener that raises ends the run; its group stays, and the next run goes on."""
    model, told = Model(), []

    def listen(record):
        told.append(record)
        if len(told) == 8:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        quiet(doubling(range(100), 4), "e", store, progress=listen, model=model)
    kept = set(outcomes("e", store))
    model.calls.clear()
    summary = quiet(doubling(range(100), 4), "e", store, model=model)

    assert kept >= {each.row["n"] for each in told}
    assert not kept & {n for call in model.calls for n in call}
    assert summary.scored == 100


def test_what_can_not_succeed_ends_early(store):
    """The first rows that fail in one way end it, as those of other evaluations do."""
    model = Model(poison=range(1_000))

    summary = quiet(doubling(range(1_000), 8), "e", store, model=model)

    assert summary.status == "stopped"
    assert 20 <= summary.failed <= 24
    assert len(model.calls) < 30


def test_a_dataset_that_raises_keeps_the_rows_before_it(store):
    """They run, together or by themselves, before that is told."""
    model = Model(poison={1})

    def rows():
        yield from range(3)
        raise OSError("gone")

    with pytest.raises(DatasetError, match="after 3 rows: gone"):
        quiet(doubling(rows, 2), "e", store, model=model)

    assert model.calls == [[0, 1], [0], [1], [2]]
    assert len(outcomes("e", store)) == 3


def test_rows_that_come_late_are_waited_for():
    """An asynchronous dataset fills groups, however slow it is."""
    asked = []

    async def rows():
        for n in range(5):
            await asyncio.sleep(10)
            yield n

    @foreach.batched("n", rows, size=2)
    async def eval_it(n):
        asked.append(n)
        return [True] * len(n)

    virtual.run(run_async(eval_it, "e", "memory://", progress=False))

    assert asked == [[0, 1], [2, 3], [4]]


def test_patience_ends_for_all_rows_of_a_group():
    """A group that waited when it was over has failed with its error, each row of it."""

    @ForEach(concurrency=SlidingWindow(2)).batched("n", range(6), size=2)
    async def eval_it(n):
        raise ConnectionError("down")

    told = []
    summary = virtual.run(run_async(eval_it, "e", "memory://", progress=told.append))

    assert summary.status == "stalled"
    assert sorted(each.row["n"] for each in told)[:4] == [0, 1, 2, 3]
    assert {each.outcome.type for each in told} == {"ConnectionError"}


def test_rows_can_be_decided_by_before_all_are_run(store):
    """`until` takes groups of rows in the order of their keys."""
    summary = quiet(
        doubling(range(2_000), 10), "e", store, until="eval_double >= 0.5 @ 95%", model=Model()
    )

    assert summary.scored < 2_000
    assert summary.scored % 10 == 0


def test_a_call_can_be_made_in_another_process(store):
    """Its rows travel as the lists that the function gets."""
    summary = quiet(travellers.eval_together, "e", store)

    assert summary.scored == 5
    assert {each.model_response for each in outcomes("e", store).values()} == {*"01234"}


def test_what_is_cancelled_keeps_the_calls_that_were_paid_for(store):
    """An interruption in the midst of a call leaves what it has kept so far."""
    asked, never = [], threading.Event()

    async def model(numbers):
        asked.append(numbers)
        return numbers

    ask = replayable(model)

    @ForEach(concurrency=SlidingWindow(1)).batched("n", range(3), size=2)
    async def eval_it(n):
        await ask(n)
        if not never.is_set():
            await asyncio.sleep(3_600)
        return [True] * len(n)

    async def interrupted():
        running = asyncio.ensure_future(run_async(eval_it, "e", store, progress=False))
        while not asked:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(interrupted())
    never.set()
    summary = quiet(eval_it, "e", store, calls="reuse")

    assert summary.scored == 3
    assert asked == [[0, 1], [2]]


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "16"])
def test_a_size_is_a_number_of_rows(size):
    """Anything else is told at decoration."""
    with pytest.raises(UsageError, match="expected a whole number of rows"):
        foreach.batched("n", range(3), size=size)
