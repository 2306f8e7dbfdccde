"""Batches of a provider: `foreach(batch=...)`."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from doteval import ForEach, Result, foreach, records, run, run_async
from doteval.cli import main
from doteval.concurrency import SlidingWindow
from doteval.errors import DatasetError, StoreError, UsageError
from doteval.running.ledger import Ledger
from doteval.storage import open_store
from doteval.storage.sqlite import SqliteStore
from tests import virtual

quiet = partial(run, progress=False)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The path of a store, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results.db"


class Provider:
    """
    Doubles numbers, a batch at a time.

    Attributes:
        submitted: rows, by the key of their batch. asked: how often each was looked at.
        late: looks before which a batch is not ready. replies: what comes back, by its rows.
    """

    size = 4

    def __init__(self, late=0, replies=None):
        self.submitted, self.asked, self.late = {}, {}, late
        self.replies = replies or (lambda rows: [2 * row["n"] for row in rows])

    def submit(self, rows, key):
        assert key not in self.submitted
        self.submitted[key] = rows
        return {"id": key}

    def collect(self, ticket):
        key = ticket["id"]
        self.asked[key] = self.asked.get(key, 0) + 1
        return None if self.asked[key] <= self.late else self.replies(self.submitted[key])

    @property
    def numbers(self):
        """All that were submitted."""
        return sorted(row["n"] for rows in self.submitted.values() for row in rows)


class Listing(Provider):
    """One that can say what it has."""

    def find(self, key):
        return {"id": key} if key in self.submitted else None


class Later(Provider):
    """One whose client is asynchronous."""

    async def submit(self, rows, key):
        await asyncio.sleep(2)
        return super().submit(rows, key)

    async def collect(self, ticket):
        await asyncio.sleep(1)
        return super().collect(ticket)


def doubling(rows, provider, **options):
    @ForEach(**options)("n", rows, batch=provider)
    def eval_double(n, reply):
        return Result(reply == 2 * n, model_response=reply)

    return eval_double


def failures(experiment, store):
    return {
        each.row["n"]: each.outcome.message
        for each in records(experiment, storage=store)
        if each.failed
    }


def test_rows_are_submitted_together_and_scored_with_their_replies(store):
    """A batch for as many rows as it takes, and what is left."""
    provider = Provider()

    summary = quiet(doubling(range(10), provider), "e", store)

    assert sorted(map(len, provider.submitted.values())) == [2, 4, 4]
    assert provider.numbers == [*range(10)]
    assert (summary.status, summary.scored) == ("complete", 10)
    assert summary.scores["eval_double"]["accuracy"].value == 1


def test_replies_are_waited_for_without_hurry():
    """The looks become rarer; what is scored is a row like any other, with a judge or a client."""
    provider = Later(late=20)

    @ForEach(concurrency=SlidingWindow(2), repeats=2)("n,chat", [(1, ["a"])], batch=provider)
    async def eval_double(n, chat, reply, factor):
        await asyncio.sleep(1)
        chat.append("b")
        return reply == factor * n and chat == ["a", "b"]

    async def main():
        began = asyncio.get_running_loop().time()
        summary = await run_async(eval_double, "e", "memory://", progress=False, factor=2)
        return summary, asyncio.get_running_loop().time() - began

    summary, took = virtual.run(main())

    assert (summary.scored, summary.scores["eval_double"]["accuracy"].value) == (2, 1)
    assert provider.numbers == [1, 1]
    assert list(provider.asked.values()) == [21]
    assert 700 < took < 900


def test_a_run_that_does_not_wait_says_what_it_waits_for_and_the_next_collects(store):
    """The ticket is in the store; nothing is submitted again."""
    provider = Provider(late=1)
    provider.wait = 0

    waiting = quiet(doubling(range(6), provider), "e", store)
    summary = quiet(doubling(range(8), provider), "e", store)
    rest = quiet(doubling(range(8), provider), "e", store)

    assert (waiting.status, waiting.scored, waiting.missing) == ("incomplete", 0, 6)
    assert "6 rows wait for their reply in batch {'id': " in waiting.notes[-1]
    assert "the same command collects" in waiting.notes[-1]
    assert (summary.scored, summary.missing) == (6, 2)
    assert (rest.status, rest.scored) == ("complete", 8)
    assert provider.numbers == [*range(8)]


def test_a_scoring_that_raised_pays_for_no_second_reply(store):
    """The reply is collected again, and scored by the code as it is now."""
    provider = Provider()

    @foreach("n", range(4), batch=provider)
    def eval_double(n, reply):
        return 6 / (n - 2) and reply == 2 * n

    first = quiet(eval_double, "e", store)
    second = quiet(doubling(range(4), provider), "e", store)

    assert (first.scored, first.failed) == (3, 1)
    assert second.scored == 4
    assert len(provider.submitted) == 1


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (lambda rows: [0, 2, None, 6], "no reply came back for this row in batch {'id':"),
        (lambda rows: {"0": 0, "1": 2, "3": 6}, "no reply came back for this row"),
        (lambda rows: {0: 0, 1: 2, 2: KeyError("filtered {out}"), 3: 6}, "KeyError: 'filtered"),
    ],
)
def test_a_row_without_a_reply_fails_alone_and_is_submitted_again(replies, said, store):
    """By a later run, not by this one: what it costs is somebody's decision."""
    provider = Provider(replies=replies)
    first = quiet(doubling(range(4), provider), "e", store)
    failed = failures("e", store)
    provider.replies = lambda rows: [2 * row["n"] for row in rows]
    second = quiet(doubling(range(4), provider), "e", store)

    assert (first.scored, first.failed) == (3, 1)
    assert said in failed[2] and "a later run submits it again" in failed[2]
    assert second.scored == 4
    assert [[row["n"] for row in rows] for rows in provider.submitted.values()] == [
        [0, 1, 2, 3],
        [2],
    ]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (lambda rows: [1], "collect() returned 1 replies for 4 rows"),
        (lambda rows: "abcd", "collect() returned str for 4 rows"),
        (lambda rows: {4: 1}, "collect() returned a reply to row 4"),
        (lambda rows: {"x": 1}, "collect() returned a reply to row 'x'"),
        (lambda rows: 1 / 0, "collect() raised ZeroDivisionError"),
    ],
)
def test_what_is_wrong_with_collect_loses_no_batch(replies, said, store):
    """Its rows fail and say so; once it is mended, they are collected."""
    provider = Provider(replies=replies)
    quiet(doubling(range(4), provider), "e", store)
    failed = failures("e", store)
    provider.replies = lambda rows: [2 * row["n"] for row in rows]
    summary = quiet(doubling(range(4), provider), "e", store)

    assert len(failed) == 4
    assert said in failed[0] and "the batch stays as it is" in failed[0]
    assert summary.scored == 4
    assert len(provider.submitted) == 1


def doubling_later(provider, **options):
    @ForEach(concurrency=SlidingWindow(2), **options)("n", range(4), batch=provider)
    async def eval_double(n, reply):
        return reply == 2 * n

    return eval_double


def test_a_provider_that_is_down_is_asked_again():
    """For as long as patience lasts, where asking changes nothing."""
    down = [ConnectionError("down")] * 3

    class Flaky(Later):
        async def collect(self, ticket):
            if down:
                raise down.pop()
            return await super().collect(ticket)

    summary = virtual.run(run_async(doubling_later(Flaky()), "e", "memory://", progress=False))

    assert (summary.scored, down) == (4, [])


class Breaking(Listing):
    """Its `submit` raises so often, before it has done anything or after it has."""

    def __init__(self, *errors, after=False):
        super().__init__()
        self.errors, self.after, self.tried = list(errors), after, []

    async def submit(self, rows, key):
        self.tried.append(key)
        if not self.after or not self.errors:
            if self.errors:
                raise self.errors.pop()
            return super().submit(rows, key)
        super().submit(rows, key)
        raise self.errors.pop()

    async def collect(self, ticket):
        return super().collect(ticket)

    async def find(self, key):
        return super().find(key)


class Congestion(Exception):
    status_code = 429


@pytest.mark.parametrize(
    ("after", "error", "tries"),
    [
        (False, Congestion("busy"), 2),
        (False, ConnectionError("lost"), 2),
        (True, ConnectionError("lost on its way back"), 1),
    ],
)
def test_a_submit_that_was_lost_is_looked_for_before_it_is_repeated(after, error, tries):
    """Only what the provider does not have is submitted again."""
    provider = Breaking(error, after=after)

    summary = virtual.run(run_async(doubling_later(provider), "e", "memory://", progress=False))

    assert summary.scored == 4
    assert len(provider.tried) == tries and len(set(provider.tried)) == 1
    assert provider.numbers == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [ValueError("a wrong model"), ConnectionError("down")])
def test_a_submit_that_is_refused_fails_its_rows_and_the_next_run_submits_them(error, store):
    """What it raises is their failure; what was refused is not held to be submitted."""
    provider = Breaking(*[error] * 3)

    first = quiet(doubling(range(4), provider, retries=2), "e", store)
    failed = failures("e", store)
    provider.errors.clear()
    second = quiet(doubling(range(4), provider), "e", store)

    assert (first.status, first.failed) == ("failed", 4)
    assert failed[0].startswith(f"submit() raised {type(error).__name__}: {error}")
    assert second.scored == 4
    assert provider.numbers == [0, 1, 2, 3]


class Blind(Provider):
    """It can be asked for nothing but a ticket; the first `submit` ends its process, or raises."""

    error: BaseException = KeyboardInterrupt()

    def submit(self, rows, key):
        if not self.submitted:
            self.submitted[key] = rows
            raise self.error
        self.submitted[key] = rows
        return {"id": key}


def test_a_gap_that_nobody_can_close_is_told_and_costs_nothing(store):
    """Without find() or idempotency rows that may be submitted are not submitted again."""
    provider = Blind()
    with pytest.raises(KeyboardInterrupt):
        quiet(doubling(range(4), provider), "e", store)

    summary = quiet(doubling(range(6), provider), "e", store)
    told = failures("e", store)[0]
    provider.find = lambda key: {"id": key}
    rest = quiet(doubling(range(6), provider), "e", store)

    assert (summary.scored, summary.failed) == (2, 4)
    assert f"not known whether batch {next(iter(provider.submitted))} was submitted" in told
    assert "neither find() nor `idempotent` can tell" in told and "Give the class find(key)" in told
    assert rest.scored == 6
    assert provider.numbers == [*range(6)]


def test_a_lost_answer_of_a_provider_that_can_not_be_asked_is_no_refusal(store):
    """A lost connection may have lost the ticket of a batch that is there."""
    provider = Blind()
    provider.error = ConnectionError("lost")
    quiet(doubling(range(4), provider), "e", store)

    quiet(doubling(range(4), provider), "e", store)

    assert "not known whether" in failures("e", store)[0]
    assert len(provider.submitted) == 1


def test_a_refusal_of_a_provider_that_can_not_be_asked_is_believed(store):
    """What submit() raises says that nothing was submitted, but for a lost connection."""
    provider = Blind()
    provider.error = ValueError("a wrong model")
    quiet(doubling(range(4), provider), "e", store)
    provider.submitted.clear()
    provider.submit = partial(Provider.submit, provider)

    assert quiet(doubling(range(4), provider), "e", store).scored == 4


def test_a_batch_without_a_ticket_that_can_be_kept_is_there_all_the_same(store):
    """What submit() returned shows that it has submitted; nobody pays for it once more."""
    provider = Provider()
    provider.submit = lambda rows, key: Provider.submit(provider, rows, key) and None
    quiet(doubling(range(4), provider), "e", store)
    first = failures("e", store)[0]
    quiet(doubling(range(4), provider), "e", store)
    second = failures("e", store)[0]
    provider.find = lambda key: {"id": key}

    assert "it returned None; expected a ticket" in first
    assert "not known whether" in second
    assert quiet(doubling(range(4), provider), "e", store).scored == 4
    assert len(provider.submitted) == 1


def test_what_can_be_repeated_is_repeated_as_it_was(store):
    """The same rows in the same order under the same key, wherever they stand by now."""
    provider = Blind()
    provider.idempotent = True
    with pytest.raises(KeyboardInterrupt):
        quiet(doubling(range(4), provider), "e", store)
    [before] = provider.submitted.items()

    summary = quiet(doubling([3, 1, 2, 0], provider), "e", store)

    assert summary.scored == 4
    assert [*provider.submitted.items()] == [before]


def test_what_can_not_be_repeated_as_it_was_is_told(store):
    """A row of it has changed, so a second submission would be another one."""
    provider = Blind()
    provider.idempotent = True
    with pytest.raises(KeyboardInterrupt):
        quiet(doubling(range(4), provider), "e", store)

    summary = quiet(doubling([0, 1, 2, 30], provider), "e", store)

    assert (summary.scored, summary.failed) == (1, 3)
    assert "some of its rows have changed or are gone" in failures("e", store)[0]


def test_what_the_provider_never_got_is_submitted_with_what_is_left_of_it(store):
    """find() says that there is none; rows that have gone meanwhile are not submitted."""
    provider = Listing()
    provider.submit = lambda rows, key: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        quiet(doubling(range(4), provider), "e", store)
    del provider.submit

    summary = quiet(doubling([1, 2], provider), "e", store)

    assert summary.scored == 2
    assert provider.numbers == [1, 2]
    assert quiet(doubling(range(3), provider), "e", store).scored == 3
    assert provider.numbers == [0, 1, 2]


def test_a_batch_that_is_collected_again_takes_no_row_from_a_later_one(store):
    """A row that it had no reply to has been submitted again since."""
    provider = Provider(replies=lambda rows: [None if row["n"] == 2 else 0 for row in rows])

    @foreach("n", range(4), batch=provider)
    def eval_double(n, reply):
        return 1 / (n - 3) and reply == 0

    quiet(eval_double, "e", store)
    provider.late = 3  # the second batch is not ready when the first has been collected again
    provider.wait = 0
    for key in provider.submitted:
        provider.asked[key] = 4
    quiet(eval_double, "e", store)
    provider.late, provider.replies = 0, lambda rows: [2 * row["n"] for row in rows]

    assert quiet(doubling(range(4), provider), "e", store).scored == 4
    assert provider.numbers == [0, 1, 2, 2, 3]


def test_rows_that_have_changed_are_submitted_as_they_are_now(store):
    """The replies of those that have not are collected; the others' are nobody's."""
    provider = Provider(late=1)
    provider.wait = 0
    quiet(doubling(range(4), provider), "e", store)

    summary = quiet(doubling([0, 10, 2, 30], provider), "e", store)
    last = quiet(doubling([0, 10, 2, 30], provider), "e", store)

    assert (summary.scored, summary.missing) == (2, 2)
    assert last.scored == 4
    assert provider.numbers == [0, 1, 2, 3, 10, 30]


def test_a_fresh_run_submits_all_anew(store):
    """And whoever resumes it collects what that one has submitted."""
    provider = Provider(late=1)
    provider.wait = 0
    quiet(doubling(range(4), provider), "e", store)
    fresh = quiet(doubling(range(4), provider), "e", store, fresh=True)
    summary = quiet(doubling(range(4), provider), "e", store)

    assert (fresh.scored, summary.scored) == (0, 4)
    assert len(provider.submitted) == 2
    assert [*provider.asked.values()] == [1, 2]


def test_tickets_are_no_calls_that_can_be_pruned(store, capsys):
    """Who forgets them pays again."""
    provider = Provider(late=1)
    provider.wait = 0
    quiet(doubling(range(4), provider), "e", store)
    assert main(["--storage", str(store), "prune", "--calls", "--keep", "0s", "--yes"]) == 0
    assert "nothing" in capsys.readouterr().out

    assert quiet(doubling(range(4), provider), "e", store).scored == 4
    assert len(provider.submitted) == 1


def interrupted(evaluation, store, moment):
    """Run it, and interrupt it when this is true."""

    async def main():
        running = asyncio.ensure_future(run_async(evaluation, "e", store, progress=False))
        while not moment():
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_an_interruption_waits_for_a_ticket_that_is_on_its_way(store):
    """A moment of patience spares the question whether it was submitted."""
    begun = []

    class Slow(Provider):
        async def submit(self, rows, key):
            begun.append(key)
            await asyncio.sleep(0.2)
            return super().submit(rows, key)

    provider = Slow()
    interrupted(doubling_later(provider), store, lambda: begun)

    summary = quiet(doubling_later(provider), "e", store)

    assert summary.scored == 4
    assert len(begun) == 1


def test_what_an_interrupted_run_waited_for_is_told(store):
    """How many rows, and in which batch for how long."""
    provider = Provider(late=1_000)

    interrupted(doubling_later(provider), store, lambda: provider.asked)
    held = open_store(store, create=False)
    said = held.runs("e")[-1].error
    held.close()

    assert "it waited: 4 waiting, oldest in flight batch {'id': " in said


def test_a_ticket_is_plain_data(store):
    """It has to come back from the store as it was; a provider that has none says what it has."""

    class Odd(Listing):
        def submit(self, rows, key):
            super().submit(rows, key)
            return {1} if len(rows) == 4 else None

    provider = Odd()
    quiet(doubling(range(6), provider), "e", store)
    failed = failures("e", store)
    summary = quiet(doubling(range(6), provider), "e", store)

    assert "its ticket is no plain data" in failed[0]
    assert "it returned None; expected a ticket" in failed[5]
    assert (summary.scored, provider.numbers) == (6, [*range(6)])


def test_a_dataset_that_raises_loses_no_reply(store):
    """What came before it is submitted and scored, and then that is told."""
    provider = Provider()

    def rows():
        yield from range(5)
        raise OSError("gone")

    with pytest.raises(DatasetError, match="after 5 rows: gone"):
        quiet(doubling(rows, provider), "e", store)

    assert len([*records("e", storage=store)]) == 5


def test_rows_that_come_late_or_do_not_fit_hold_up_no_other():
    """An asynchronous dataset is read while its first rows are with the provider."""

    async def rows():
        for n in range(6):
            await asyncio.sleep(100)
            yield (n,) if n else (n, n)

    @ForEach(concurrency=SlidingWindow(2))("n", rows, batch=Later())
    async def eval_double(n, reply):
        return reply == 2 * n

    told = []
    virtual.run(run_async(eval_double, "e", "memory://", progress=told.append))

    assert [each.failed for each in told] == [True, *[False] * 5]


def test_a_store_that_can_not_be_written_ends_the_run(store, monkeypatch):
    """Nothing is submitted that could not be written down."""

    async def refuses(self, call):
        raise StoreError("the disk is full")

    monkeypatch.setattr(Ledger, "keep", refuses)
    provider = Provider()

    with pytest.raises(StoreError, match="full"):
        quiet(doubling(range(4), provider), "e", store)

    assert not provider.submitted


def test_what_has_no_place_with_a_batch_is_refused(store, monkeypatch):
    """Before anything is submitted."""
    provider = Provider()
    for options, said in (
        ({"calls": "replay"}, "does not go with batch="),
        ({"until": "eval_double >= 0.5 @ 95%"}, "does not go with batch="),
    ):
        with pytest.raises(UsageError, match=said):
            quiet(doubling(range(4), provider), "e", store, **options)
    monkeypatch.setattr(SqliteStore, "keeps_calls", False)  # as of a plugin's
    with pytest.raises(UsageError, match="this store can keep no tickets"):
        quiet(doubling(range(4), provider), "e", store)

    assert not provider.submitted


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (object(), r"expected an object with submit\(\)"),
        (Provider, r"expected an instance: Provider\(...\)"),
        (type("Sized", (Provider,), {"size": 0})(), "its size is 0; expected a number, 1 or more"),
        (type("Slow", (Provider,), {"wait": "1h"})(), "its wait is '1h'; expected a number, 0"),
    ],
)
def test_what_is_no_batch_is_told_at_decoration(batch, said):
    """With what to write."""
    with pytest.raises(UsageError, match=said):
        foreach("n", range(3), batch=batch)


def test_the_function_takes_the_reply():
    """By that name."""
    with pytest.raises(UsageError, match="no parameter 'reply', which takes what collect"):

        @foreach("n", range(3), batch=Provider())
        def eval_it(n):
            return True
