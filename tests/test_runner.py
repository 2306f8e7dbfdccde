from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest

from doteval import ForEach, Result, Score, __version__, foreach, records, run, run_async, runner
from doteval.concurrency import Adaptive, Batch, RateLimit, Retry, Sequential, SlidingWindow
from doteval.errors import Busy, DatasetError, NotFound, StoreError, UsageError
from doteval.record import STALE, SUPERSEDED, Failure
from doteval.running import Options, sink
from doteval.running.environment import Checkout
from doteval.running.rows import Rows
from doteval.storage import Named, locate, open_store, stores
from doteval.storage.sqlite import SqliteStore
from tests import virtual

quiet = partial(run, progress=False)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The path of a store, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results.db"


class Model:
    """Stands in for a paid API: counts its calls, and fails for the texts it is told to."""

    def __init__(self, failing=()):
        self.calls = []
        self.failing = set(failing)

    def __call__(self, text):
        self.calls.append(text)
        if text in self.failing:
            raise KeyError(f"no answer to {text}")
        return text.upper()


def evaluation(rows, columns="text", **options):
    @ForEach(**options)(columns, rows)
    def eval_upper(text, model):
        answer = model(text)
        return Result(Score("upper", answer.isupper(), ("accuracy",)), prompt=text)

    return eval_upper


def live(store, name="e"):
    """The stored live records: {text: failed}."""
    opened = open_store(store, create=False)
    try:
        (title,) = opened.evaluations(name)
        return {record.row.get("text"): record.failed for record in opened.records(name, title)}
    finally:
        opened.close()


# --------------------------------------------------------------------- a whole run


def test_a_run_stores_every_row_and_sums_it_up(store):
    summary = quiet(evaluation(["a", "b", "1"]), "e", store, model=Model())

    assert (summary.total, summary.scored, summary.failed, summary.missing) == (3, 3, 0, 0)
    assert summary.scores["upper"]["accuracy"].value == pytest.approx(2 / 3)
    assert summary.status == "complete"
    assert summary.to_dict() == json.loads(json.dumps(summary.to_dict()))
    assert live(store) == {"a": False, "b": False, "1": False}


def test_an_integer_beyond_the_floats_is_stored_and_counts_as_infinite(store):
    """Whatever a function returns, its row is counted and the run goes on."""

    @foreach("n", range(3))
    def eval_huge(n):
        return 10**400

    told = []
    summary = run(eval_huge, "e", store, progress=told.append)

    assert (summary.status, summary.scored, len(told)) == ("complete", 3, 3)
    assert summary.scores["eval_huge"]["mean"].value == math.inf


def test_the_second_run_pays_for_nothing(store):
    rows, model = ["a", "b", "c"], Model()
    quiet(evaluation(rows), "e", store, model=model)

    summary = quiet(evaluation(rows), "e", store, model=model)

    assert len(model.calls) == 3
    assert (summary.scored, summary.runs) == (3, 2)


def test_only_what_failed_runs_again_and_the_old_failure_stays_in_the_ledger(store):
    rows, model = ["a", "b", "c"], Model(failing=["b"])
    first = quiet(evaluation(rows), "e", store, model=model)
    model.failing.clear()

    second = quiet(evaluation(rows), "e", store, model=model)

    assert (first.scored, first.failed, dict(first.errors)) == (2, 1, {"KeyError": 1})
    assert (second.scored, second.failed) == (3, 0)
    assert model.calls == ["a", "b", "c", "b"]
    opened = open_store(store)
    (name,) = opened.evaluations("e")
    (old,) = opened.records("e", name, state=SUPERSEDED)
    assert old.outcome.message == "'no answer to b'"
    (attempt,) = opened.attempts("e", name)
    assert (attempt.error, attempt.number, attempt.outcome) == ("KeyError", 1, "ignored")
    opened.close()


def test_a_credential_of_the_environment_stands_in_no_failure(store, monkeypatch):
    """Whoever raises it, and on whatever way it reaches the store or a message."""
    monkeypatch.setenv("MODEL_API_KEY", "hunter2hunter2")
    said = "401 for hunter2hunter2"

    def rows():
        yield from ["raise", "error", "usage", "unstorable"]
        raise ConnectionError(said)

    class Unstorable:
        def isoformat(self):
            raise ValueError(said)

    @ForEach(retries=0)("text", rows)
    def eval_key(text):
        if text == "raise":
            raise ValueError(said)
        answer = Unstorable() if text == "unstorable" else None
        usage = {"cost": "hunter2hunter2"} if text == "usage" else None
        return Result(
            True, error=said if text == "error" else None, metadata={"a": answer}, usage=usage
        )

    with pytest.raises(DatasetError, match=r"401 for \[redacted\]"):
        quiet(eval_key, "e", store)

    db = sqlite3.connect(store)
    stored = "\n".join(db.iterdump())
    db.close()
    assert stored.count("[redacted]") >= 5
    assert "hunter2" not in stored


def test_a_result_with_an_error_fails_and_runs_again(store):
    answers = [None, "fine"]

    @foreach("x", [1])
    def eval_x(x):
        answer = answers.pop(0)
        if answer is None:
            return Result(prompt="?", error="the model refused", usage={"input_tokens": 5})
        return True

    first = quiet(eval_x, "e", store)
    second = quiet(eval_x, "e", store)

    assert (first.failed, dict(first.errors), first.usage["input_tokens"]) == (1, {"error": 1}, 5)
    assert (second.scored, second.failed) == (1, 0)


def test_reordering_appending_and_repeating_rows_run_only_what_is_new(store):
    model = Model()
    quiet(evaluation(["a", "b", "a"]), "e", store, model=model)

    summary = quiet(evaluation(["c", "b", "a", "a", "a"]), "e", store, model=model)

    assert model.calls == ["a", "b", "a", "c", "a"]
    assert summary.total == summary.scored == 5


def test_rows_that_the_dataset_no_longer_has_are_stale_until_they_return(store):
    model = Model()
    quiet(evaluation(["a", "b"]), "e", store, model=model)

    without = quiet(evaluation(["b"]), "e", store, model=model)
    again = quiet(evaluation(["b", "a"]), "e", store, model=model)

    assert (without.scored, without.stale, without.total) == (1, 1, 1)
    assert (again.scored, again.stale, again.total) == (2, 0, 2)
    assert model.calls == ["a", "b"]


def test_samples_judge_nothing_stale(store):
    """The first n rows of the dataset; twice the same five are five, not ten."""
    model = Model()
    rows = [f"row {n}" for n in range(20)]

    first = quiet(evaluation(rows), "e", store, samples=5, model=model)
    second = quiet(evaluation(rows), "e", store, samples=5, model=model)
    third = quiet(evaluation(rows), "e", store, model=model)

    assert (first.scored, first.missing, first.status) == (5, 15, "incomplete")
    assert second.scored == 5
    assert (third.scored, third.total, third.stale) == (20, 20, 0)
    assert model.calls == rows


def test_as_many_samples_as_rows_are_the_whole_dataset(store):
    summary = quiet(evaluation(["a", "b"]), "e", store, samples=2, model=Model())

    assert summary.total == 2


def test_a_changed_row_with_an_id_runs_again_and_replaces_the_old_one(store):
    model = Model()
    quiet(by_id([(1, "a"), (2, "b")]), "e", store, model=model)

    summary = quiet(by_id([(2, "b"), (1, "changed")]), "e", store, model=model)

    assert model.calls == ["a", "b", "changed"]
    assert (summary.scored, summary.total) == (2, 2)


def by_id(rows):
    @foreach("id,text", rows)
    def eval_by_id(id, text, model):
        return bool(model(text))

    return eval_by_id


def test_an_id_that_occurs_twice_names_both_rows(store):
    with pytest.raises(DatasetError, match="rows 0 and 2 have the same id 1"):
        quiet(by_id([(1, "a"), (2, "b"), (1, "c")]), "e", store, model=Model())

    assert len(live(store)) == 2


def test_fresh_supersedes_what_was_there(store):
    model = Model()
    quiet(evaluation(["a", "b"]), "e", store, model=model)

    summary = quiet(evaluation(["a", "b"]), "e", store, fresh=True, model=model)

    assert len(model.calls) == 4
    assert (summary.scored, summary.runs) == (2, 2)


def test_each_repeat_is_a_record_of_its_own(store):
    model = Model()

    summary = quiet(evaluation(["a", "b"], repeats=3), "e", store, model=model)
    fewer = quiet(evaluation(["a", "b"], repeats=2), "e", store, model=model)

    assert (summary.total, summary.scored, len(model.calls)) == (6, 6, 6)
    assert summary.scores["upper"]["accuracy"].n == 2
    assert (fewer.total, fewer.scored, fewer.stale) == (4, 4, 2)


def test_evaluations_of_one_experiment_are_kept_apart(store):
    @foreach("text", ["a"])
    def eval_other(text):
        return False

    quiet(evaluation(["a"]), "e", store, model=Model())
    summary = quiet(eval_other, "e", store)

    assert summary.scored == 1
    opened = open_store(store)
    assert [name.partition("::")[2] for name in opened.evaluations("e")] == [
        "eval_upper",
        "eval_other",
    ]
    opened.close()


def test_without_a_name_each_run_is_an_experiment_of_its_own(store):
    first = quiet(evaluation(["a"]), None, store, model=Model())
    second = quiet(evaluation(["a"]), None, store, model=Model())

    assert first.experiment != second.experiment
    assert len(first.experiment) == len("20260101_120000_01234567")


def test_the_header_tells_the_environment(store):
    (store.parent / ".git" / "refs" / "heads").mkdir(parents=True)
    (store.parent / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (store.parent / ".git" / "refs" / "heads" / "main").write_text("a" * 40 + "\n")

    quiet(evaluation(["a"], concurrency=SlidingWindow(3)), "e", store, model=Model())

    opened = open_store(store)
    (one,) = opened.runs("e")
    opened.close()
    assert one.header["strategy"] == {"name": "SlidingWindow", "max_concurrency": 3}
    assert one.header["doteval"] == __version__
    assert one.header["commit"] == "a" * 40
    assert one.header["columns"] == ["text"]
    assert (one.status, one.pid, one.error) == ("complete", os.getpid(), None)
    assert one.finished >= one.started
    assert len(one.uid) == 32


def test_the_path_of_an_adaptive_limit_is_stored():
    @ForEach(concurrency=Adaptive(2, 1, 8, adaptation_interval=1.0))("n", range(60))
    async def eval_n(n):
        await asyncio.sleep(0.4)
        return True

    changes = []
    summary = virtual.run(
        run_async(eval_n, storage="memory://", progress=False, on_limit=changes.append)
    )

    assert summary.limits[0] == 2
    assert max(summary.limits) == 8
    assert [change["limit"] for change in changes] == list(summary.limits)[:-1]  # then: a belief


# ------------------------------------------------------------------------- telling


def test_a_resume_with_nothing_to_do_keeps_the_path_of_the_limit(store):
    """What is shown is how the records were made; another strategy has no such path."""

    def summary(strategy):
        return quiet(evaluation(["a"], concurrency=strategy), "e", store, model=Model())

    assert summary(Adaptive(2)).limits == (2,)
    assert summary(Adaptive(2)).limits == (2,)
    assert summary(SlidingWindow(2)).limits == ()


def test_records_are_told_once_they_are_durable(store):
    """Another connection sees what a listener was told."""
    seen = []

    def look(record):
        with sqlite3.connect(store) as db:
            seen.append(db.execute("SELECT count(*) FROM records").fetchone()[0] >= len(seen) + 1)
        db.close()

    quiet(evaluation(list("abcdef")), "e", store, on_record=look, model=Model())

    assert seen == [True] * 6


def test_progress_may_be_a_callable_that_receives_records(store):
    seen, too = [], []

    run(evaluation(["a"]), "e", store, progress=seen.append, on_record=too.append, model=Model())

    assert seen[0].row == {"text": "a"}
    assert seen == too
    assert not seen[0].failed


def test_on_finish_receives_the_summary(store):
    seen = []

    summary = quiet(evaluation(["a"]), "e", store, on_finish=seen.append, model=Model())

    assert seen == [summary]


class Watched(SqliteStore):
    """
    A store that looks, at its first full commit, whether rows start while it is prepared, and
    goes on to the disk only when they start again.
    """

    loop: asyncio.AbstractEventLoop
    seen: list[int] | None = None

    def __init__(self, path, anchor):
        super().__init__(path, anchor)
        self.started = 0
        self.more = threading.Condition()

    def start(self):
        with self.more:
            self.started += 1
            self.more.notify()

    def add(self, number, entries):
        if self.seen is None:
            self.wait_for(700)  # so that the next commit is a full one
        if len(entries) < 512 or self.seen:
            self.seen = self.seen or []
            return super().add(number, entries)
        self.turns()
        self.seen = [self.started]
        self.turns()
        self.seen.append(self.started)
        tell, self.on_prepared = self.on_prepared, self.go_on
        self.tell = tell
        super().add(number, entries)
        self.on_prepared = tell

    def go_on(self):
        self.tell()
        self.wait_for(self.seen[-1] + 1)
        self.seen.append(self.started)

    def turns(self):
        for _ in range(20):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result(60)

    def wait_for(self, count):
        with self.more:
            assert self.more.wait_for(lambda: self.started >= count, 60)


def test_no_row_starts_while_a_full_commit_is_prepared(tmp_path, monkeypatch):
    """They would only keep the interpreter's lock from it; while it goes to the disk they do."""
    monkeypatch.setattr(sink, "_BACKLOG", 100_000)  # nothing else holds rows back
    monkeypatch.setattr(sink, "_OLDEST", 100.0)
    watched = Watched(tmp_path / "r.db", tmp_path)
    opened = {**stores.registry._registered, "watched": lambda *_: watched}
    monkeypatch.setattr(stores.registry, "_registered", opened)

    @ForEach(concurrency=SlidingWindow(10))("n", range(5_000))
    async def eval_n(n):
        watched.loop = asyncio.get_running_loop()
        watched.start()
        await asyncio.sleep(0.001)  # a busy loop would keep the writer from looking
        return True

    summary = quiet(eval_n, storage="watched://")
    before, after, then = watched.seen

    assert summary.done == watched.started == 5_000
    assert 700 <= before == after < then < 5_000


def test_a_listener_that_raises_ends_the_run_and_nothing_durable_is_lost(store):
    def listener(record):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        quiet(evaluation(list("abc")), "e", store, on_record=listener, model=Model())

    assert live(store)


@pytest.mark.parametrize("channel", ["on_record", "on_limit", "progress"])
@pytest.mark.parametrize(
    ("error", "told"), [(LookupError, LookupError), (StopIteration, RuntimeError)]
)
def test_what_a_listener_raises_ends_the_run_and_it_is_not_called_again(
    store, channel, error, told
):
    """Whichever it is: nothing new begins, and the run says that it has failed."""
    calls = []

    def listener(news):
        calls.append(news)
        raise error("mine")

    @ForEach(concurrency=Adaptive(1, 1, 50, adaptation_interval=0.02))("n", range(3_000))
    async def eval_n(n):
        await asyncio.sleep(0.01)
        return True

    with pytest.raises(told, match="mine"):
        run(eval_n, "e", store, **{"progress": False, channel: listener})

    opened = open_store(store)
    assert opened.runs("e")[0].status == "failed"
    opened.close()
    assert len(calls) == 1


def test_a_snapshot_tells_the_state_of_the_run():
    taken = []

    @ForEach(concurrency=SlidingWindow(2), repeats=2)("n", [1, 2, 3])
    async def eval_n(n):
        await asyncio.sleep(1)
        if n == 3:
            raise ValueError
        return Score("n", n)

    async def main():
        flow = runner.Execution(
            eval_n,
            Options(samples=3),
            name=Named("eval_n"),
            experiment="e",
            place=locate("memory://"),
            resources={},
            listener=taken.append,
        )
        return await flow.run()

    virtual.run(main())

    first, last = taken[0], taken[-1]
    assert (first.done, first.total, first.in_flight, first.limit) == (0, 6, 0, 2)
    assert (last.done, last.failed, last.total, last.in_flight) == (4, 0, 6, 2)
    assert last.scores == {"n": "1.50"}
    assert 0 < last.oldest <= 1.0
    assert last.path == ()


class Claiming:
    """A dataset that says how many rows all its splits have together."""

    num_rows = 9

    def __iter__(self):
        return iter("abc")


def test_rows_that_were_read_to_the_end_are_all_that_there_are(store):
    """Whatever the dataset said: else the evaluation would be incomplete for ever."""
    work = evaluation(Claiming())
    part = quiet(work, "e", store, samples=2, model=str.upper)
    whole = quiet(work, "e", store, model=str.upper)

    assert (part.total, part.missing, part.status) == (9, 7, "incomplete")
    assert (whole.total, whole.missing, whole.status) == (3, 0, "complete")


def test_the_total_is_unknown_until_an_iterator_has_ended():
    taken = []

    @foreach("n", lambda: iter([1, 2]))
    async def eval_n(n):
        await asyncio.sleep(1)
        return True

    async def main():
        flow = runner.Execution(
            eval_n, Options(), name=Named("n"), experiment="e", place=locate("memory://"),
            resources={},
            listener=taken.append,
        )  # fmt: skip
        await flow.run()

    virtual.run(main())

    assert taken[0].total is None
    assert taken[-1].total == 2


def test_progress_on_a_stream_that_is_no_terminal_is_plain(store, capsys):
    run(evaluation(["a"]), "e", store, progress=True, model=Model())

    assert "\x1b" not in capsys.readouterr().err


def test_a_changed_function_is_told(store):
    def flow_of(factor):
        namespace = {}
        source = f"def eval_n(n):\n    return n * {factor} > 0\n"
        path = store.parent / "eval_n.py"
        path.write_text(source)
        exec(compile(source, str(path), "exec"), namespace)
        function = foreach("n", [1])(namespace["eval_n"])
        return runner.Execution(
            function,
            Options(),
            name=Named("eval_n"),
            experiment="e",
            place=locate(store),
            resources={},
        )

    first = flow_of(1)
    runner.driver.drive(first.run)
    import linecache

    linecache.clearcache()
    second = flow_of(2)
    runner.driver.drive(second.run)

    assert first.notes == []
    assert "changed since the last run: the code of " in second.notes[0]


def test_stale_rows_are_told(store):
    quiet(evaluation(["a", "b"]), "e", store, model=Model())
    flow = flow_for(evaluation(["a"]), store)

    runner.driver.drive(flow.run)

    assert "1 stored record of rows that the dataset no longer has" in flow.notes[0]
    assert flow.skipped == 1


def flow_for(evaluation, store, **options):
    place = locate(store)
    return runner.Execution(
        evaluation,
        Options(**options),
        name=runner.evaluation_name(evaluation, place),
        experiment="e",
        place=place,
        resources={"model": Model()},
    )


def test_a_slow_step_of_the_dataset_is_told():
    def rows():
        loop.now += 0.5
        yield 1

    @foreach("n", rows)
    async def eval_n(n):
        return True

    flow = runner.Execution(
        eval_n, Options(), name=Named("n"), experiment="e", place=locate("memory://"), resources={}
    )
    with virtual.virtual_loop() as loop:
        loop.run_until_complete(flow.run())

    assert "one step of the dataset took 0.5 s" in flow.notes[0]


# ------------------------------------------------------------------------ bad input


def test_what_is_no_evaluation_is_explained():
    with pytest.raises(UsageError, match="a function decorated with @foreach"):
        run(print)


def test_a_missing_resource_is_named_before_any_row_runs(store):
    with pytest.raises(UsageError, match="needs a value for 'model': pass it as run"):
        quiet(evaluation(["a"]), "e", store)

    assert not store.exists()


def test_an_unknown_resource_is_named(store):
    with pytest.raises(UsageError, match="no parameter 'modle'.*columns are: model"):
        quiet(evaluation(["a"]), "e", store, modle=Model())


@pytest.mark.parametrize("experiment", ["", " ", 5])
def test_an_experiment_has_a_name(store, experiment):
    """An empty one, of an environment variable perhaps, must not become a name made of the time."""
    with pytest.raises(UsageError, match="expected a name that is not blank, or None for a new"):
        quiet(evaluation(["a"]), experiment, store, model=Model())

    assert not store.exists()


@pytest.mark.parametrize("samples", [0, -5, True, "5", 2.0])
def test_samples_are_a_whole_number_of_rows(store, samples):
    with pytest.raises(UsageError, match="expected a whole number of rows, 1 or more"):
        quiet(evaluation(["a"]), "e", store, samples=samples, model=Model())


def test_an_empty_dataset_is_an_error(store):
    with pytest.raises(DatasetError, match="the dataset of eval_upper has no rows"):
        quiet(evaluation([]), "e", store, model=Model())


def test_a_dataset_that_raises_midway_keeps_the_rows_before_it(store):
    def rows():
        yield "a"
        yield "b"
        raise OSError("line 3 is missing")

    with pytest.raises(DatasetError, match="raised OSError after 2 rows: line 3 is missing"):
        quiet(evaluation(rows), "e", store, model=Model())

    assert live(store) == {"a": False, "b": False}
    opened = open_store(store)
    assert opened.runs("e")[0].status == "incomplete"
    assert "line 3 is missing" in opened.runs("e")[0].error
    opened.close()


def test_a_dataset_that_can_not_be_opened_is_told_like_one_that_raises_midway(store):
    """A function that fetches its rows may raise before there is a first one."""

    def rows():
        raise OSError("no network")

    with pytest.raises(DatasetError, match="raised OSError before its first row: no") as caught:
        quiet(evaluation(rows), "e", store, model=Model())

    assert isinstance(caught.value.__cause__, OSError)
    opened = open_store(store)
    assert opened.runs("e")[0].status == "failed"
    opened.close()


def test_what_ends_the_run_may_come_from_opening_the_dataset(store):
    """It is no fault of the dataset's."""

    def rows():
        raise EOFError("the session ends")

    flow = runner.Execution(
        evaluation(rows), Options(), name=Named("v"), experiment="e", place=locate(store),
        resources={"model": Model()}, fatal=(EOFError,),
    )  # fmt: skip
    with pytest.raises(EOFError):
        asyncio.run(flow.run())


def test_a_row_that_fits_no_column_fails_alone(store):
    @foreach("a,b", [(1, 2), (1,), (1, 2, 3), {"a": 1}, {"a": 1, "b": 2}, 7])
    def eval_ab(a, b):
        return a < b

    summary = quiet(eval_ab, "e", store)

    assert (summary.scored, summary.failed, dict(summary.errors)) == (2, 4, {"RowError": 4})
    opened = open_store(store)
    (name,) = opened.evaluations("e")
    messages = [record.outcome.message for record in opened.records("e", name, failed=True)]
    opened.close()
    assert messages[0].startswith("row 1: expected 2 values (a, b), got 1 value")


def test_a_function_that_returns_none_fails_its_rows(store):
    @foreach("n", [1, 2])
    def eval_n(n):
        n + 1

    summary = quiet(eval_n, "e", store)

    assert dict(summary.errors) == {"ResultError": 2}


def test_a_result_that_can_not_be_recorded_keeps_prompt_and_answer(store):
    @foreach("n", [1])
    def eval_n(n):
        return Result(Score("a", 1), Score("a", 2), prompt="why?", model_response="because")

    quiet(eval_n, "e", store)

    opened = open_store(store)
    (name,) = opened.evaluations("e")
    (record,) = opened.records("e", name)
    opened.close()
    assert "two scores named 'a'" in record.outcome.message
    assert record.outcome.result.model_response == "because"


def test_a_result_belongs_to_whoever_returned_it(store):
    """One object may be the answer of many rows and evaluations; each is stored under its name."""
    right, wrong = Result(True), Result(1, 2, prompt="p")
    bad = Result(True, error="sk-" + "a" * 40, prompt="p")

    def judging(name):
        @foreach("n", range(6))
        def eval_n(n):
            return (right, wrong, bad)[n % 3]

        eval_n.__name__ = name
        return eval_n

    first, second = (quiet(judging(name), "e", store) for name in ("one", "two"))

    assert list(first.scores) == ["one"]
    assert list(second.scores) == ["two"]
    assert first.errors == second.errors == {"ResultError": 2, "error": 2}
    assert (right.scores, wrong.scores, wrong.error) == ((True,), (1, 2), None)
    assert bad.error == "sk-" + "a" * 40


def test_a_result_that_can_not_be_written_down_fails_its_row(store):
    class Hostile(dict):
        def items(self):
            raise SystemError("no")

    @foreach("n", [1, 2])
    def eval_n(n):
        return Result(True, metadata={"x": Hostile(y=1) if n == 1 else "fine"})

    summary = quiet(eval_n, "e", store)

    assert (summary.scored, dict(summary.errors)) == (1, {"ResultError": 1})


def test_rows_without_a_stable_identity_ask_for_an_id(store):
    @foreach("thing", [object()])
    def eval_thing(thing):
        return True

    with pytest.raises(DatasetError, match="give the rows an `id` column"):
        quiet(eval_thing, "e", store)


def test_a_store_that_breaks_ends_the_run_with_one_clear_message(store):
    """What was durable before stays, and the error is not lost in a thread."""
    rows = [str(n) for n in range(5000)]
    model = Model()

    def breaks(record):
        if len(model.calls) > 50 and store.exists():
            store.rename(store.with_suffix(".gone"))

    with pytest.raises(StoreError, match="deleted or replaced|may not be written"):
        quiet(evaluation(rows), "e", store, on_record=breaks, model=model)

    assert len(model.calls) < 5000


def test_two_runs_of_one_evaluation_exclude_each_other(store):
    async def main():
        running, release = asyncio.Event(), asyncio.Event()

        @foreach("n", [1])
        async def eval_n(n):
            running.set()
            await release.wait()
            return True

        one = asyncio.ensure_future(run_async(eval_n, "e", store, progress=False))
        await running.wait()
        with pytest.raises(Busy, match=f"is being run by process {os.getpid()}"):
            await run_async(eval_n, "e", store, progress=False)
        release.set()
        return await one

    assert asyncio.run(main()).scored == 1


# ------------------------------------------------------------------- retries and pace


class ServerError(Exception):
    status_code = 503


def test_retried_rows_tell_attempts_and_waiting():
    tries = []

    @ForEach(retries=Retry(first=4.0))("n", [1])
    async def eval_n(n):
        await asyncio.sleep(1)
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 3:
            raise ServerError("busy")
        return True

    seen = []
    summary = virtual.run(
        run_async(eval_n, storage="memory://", progress=False, on_record=seen.append)
    )

    (record,) = seen
    assert (record.attempts, summary.attempts) == (3, 3)
    assert record.duration == pytest.approx(1.0)
    assert record.waited == pytest.approx(tries[-1] - 3.0)
    assert summary.waited == pytest.approx(record.waited)
    assert record.started == pytest.approx(virtual.EPOCH + tries[-1] - 1)


def test_a_run_in_an_outage_ends_as_stalled_and_says_so():
    @ForEach(concurrency=SlidingWindow(5), retries=Retry(patience=60))("n", range(100))
    async def eval_n(n):
        await asyncio.sleep(0.1)
        raise ServerError("down")

    flow = runner.Execution(
        eval_n, Options(), name=Named("n"), experiment="e", place=locate("memory://"), resources={}
    )
    summary = virtual.run(flow.run())

    assert summary.status == "stalled"
    assert 0 < summary.failed < 100
    assert "nothing succeeded for 60 s" in flow.notes[0]


def test_a_rate_limit_spaces_the_starts():
    starts = []

    @ForEach(concurrency=SlidingWindow(50), rate_limit=RateLimit(requests=60, per=60, burst=1))(
        "n", range(10)
    )
    async def eval_n(n):
        starts.append(asyncio.get_running_loop().time())
        return True

    virtual.run(run_async(eval_n, storage="memory://", progress=False))

    assert starts[-1] - starts[0] >= 8.5


def test_tokens_are_charged_to_the_rate_limit():
    starts = []

    @ForEach(concurrency=Sequential(), rate_limit=RateLimit(tokens=100, per=10))("n", range(5))
    async def eval_n(n):
        starts.append(asyncio.get_running_loop().time())
        return Result(True, usage={"input_tokens": 60, "output_tokens": 40})

    virtual.run(run_async(eval_n, storage="memory://", progress=False))

    assert starts[-1] - starts[0] >= 25


class Awaiting:
    """Another library's retries of an `async def`."""

    def wraps(self, function):
        async def attempts(**row):
            try:
                return await function(**row)
            except ServerError:
                return await function(**row)

        return attempts


class Calling:
    """Another library's retries of a `def`."""

    def wraps(self, function):
        def attempts(**row):
            try:
                return function(**row)
            except ServerError:
                return function(**row)

        return attempts


@pytest.mark.parametrize("kind", ["async def", "def", "in threads"])
def test_a_retry_object_of_another_library_makes_the_attempts(kind):
    """They are one of ours, for the record too."""
    tries, records = [], []

    def plain(n):
        tries.append(n)
        if len(tries) == 1:
            raise ServerError("once")
        return True

    async def waits(n):
        return plain(n)

    policy = Awaiting() if kind == "async def" else Calling()
    concurrency = SlidingWindow(2) if kind == "in threads" else None
    function = waits if kind == "async def" else plain
    work = ForEach(concurrency=concurrency, retries=policy)("n", [1])(function)

    summary = run(work, storage="memory://", progress=False, on_record=records.append)

    assert (summary.scored, len(tries)) == (1, 2)
    assert [record.attempts for record in records] == [1]


def test_what_another_library_gives_up_with_gives_way_to_its_cause():
    """tenacity gives up with a RetryError whose text is the address of a Future."""

    class RetryError(Exception):
        last_attempt = "a Future"

    class Impatient:
        def wraps(self, function):
            def attempts(**row):
                try:
                    return function(**row)
                except ServerError as error:
                    raise RetryError("<Future at 0x7f43>") from error

            return attempts

    @ForEach(retries=Impatient())("n", [1])
    def eval_n(n):
        raise ServerError("down")

    records = []
    run(eval_n, storage="memory://", progress=False, on_record=records.append)

    (record,) = records
    assert (record.outcome.type, record.outcome.message) == ("ServerError", "down")


def test_a_timeout_is_a_failure_of_its_row():
    @ForEach(timeout=2, retries=0)("n", [1, 2])
    async def eval_n(n):
        await asyncio.sleep(100 if n == 1 else 0)
        return True

    summary = virtual.run(run_async(eval_n, storage="memory://", progress=False))

    assert (summary.scored, dict(summary.errors)) == (1, {"TimeoutError": 1})


# --------------------------------------------------------------------- kinds of datasets


def test_an_async_dataset_runs():
    async def rows():
        for n in range(10):
            await asyncio.sleep(0.01)
            yield n

    @foreach("n", rows)
    async def eval_n(n):
        return n >= 0

    summary = virtual.run(run_async(eval_n, storage="memory://", progress=False))

    assert (summary.total, summary.scored) == (10, 10)


def test_samples_of_an_async_dataset_read_no_further():
    taken = []

    async def rows():
        for n in range(1000):
            taken.append(n)
            yield n

    @foreach("n", rows)
    async def eval_n(n):
        return True

    summary = virtual.run(run_async(eval_n, storage="memory://", samples=3, progress=False))

    assert (summary.total, summary.scored, summary.status) == (None, 3, "incomplete")
    assert len(taken) <= 4


def test_a_one_shot_iterator_can_be_run_once(store):
    once = evaluation(iter(["a"]))
    quiet(once, "e", store, model=Model())

    with pytest.raises(DatasetError, match="function"):
        quiet(once, "e2", store, model=Model())


def test_a_method_runs_with_its_instance(store):
    class Suite:
        greeting = "hello"

        @foreach("name", ["ann"])
        def eval_greeting(self, name):
            return len(f"{self.greeting} {name}")

    summary = quiet(Suite().eval_greeting, "e", store)

    assert summary.scores["eval_greeting"]["mean"].value == 9


# ------------------------------------------------------------------------ embedding


def test_run_works_where_a_loop_is_running(store):
    """As in a notebook: in a thread with a loop of its own."""

    async def main():
        return quiet(evaluation(["a"]), "e", store, model=Model())

    assert asyncio.run(main()).scored == 1


def test_errors_come_out_of_that_thread_too(store):
    async def main():
        quiet(evaluation([]), "e", store, model=Model())

    with pytest.raises(DatasetError):
        asyncio.run(main())


def test_cancelling_a_run_from_outside_keeps_what_was_finished(store):
    finished = []

    @ForEach(concurrency=Sequential())("n", range(100))
    async def eval_n(n):
        await asyncio.sleep(0.001)
        finished.append(n)
        return True

    async def main():
        task = asyncio.ensure_future(run_async(eval_n, "e", store, progress=False))
        while len(finished) < 5:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    opened = open_store(store)
    (one,) = opened.runs("e")
    (name,) = opened.evaluations("e")
    kept = len(list(opened.records("e", name)))
    opened.close()
    assert one.status == "interrupted"
    assert kept == len(finished)


def test_a_keyboard_interrupt_in_a_row_ends_the_run(store):
    @foreach("n", [1, 2, 3])
    def eval_n(n):
        if n == 2:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        quiet(eval_n, "e", store)

    opened = open_store(store)
    assert opened.runs("e")[0].status == "interrupted"
    opened.close()


def test_system_exit_in_a_row_is_that_rows_failure(store):
    @foreach("n", [1, 2])
    def eval_n(n):
        if n == 1:
            sys.exit(3)
        return True

    summary = quiet(eval_n, "e", store)

    assert dict(summary.errors) == {"SystemExit": 1}


# -------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_cancels_and_lets_clean_up(number):
    cleaned = []

    async def main():
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, number)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            cleaned.append(True)
            raise

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught:
        runner.driver.drive(main, stops=lambda: bool)

    assert caught.value.args == (number,)
    assert cleaned == [True]
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_the_waiting_for_clean_up():
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, signal.raise_signal, signal.SIGINT)
        loop.call_later(0.05, signal.raise_signal, signal.SIGINT)
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if loop.time() - began > 0.03:
                    raise

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.driver.drive(main, stops=lambda: bool)


def test_a_plain_function_in_this_thread_is_interrupted_by_the_first_signal():
    """Only an exception reaches it."""

    async def main():
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(30)  # the function under evaluation, interrupted long before

    with pytest.raises(KeyboardInterrupt):
        runner.driver.drive(main, stops=lambda: lambda: True)


def test_a_signal_that_comes_when_all_is_done_is_not_forgotten():
    """Else the next evaluation of the session would begin."""

    async def main():
        signal.raise_signal(signal.SIGINT)
        return "done"

    with pytest.raises(KeyboardInterrupt):
        runner.driver.drive(main, stops=lambda: bool)


def test_a_dataset_that_takes_its_time_is_interrupted_by_the_first_signal(store):
    """It may wait for a network, and for ever; the rows before it are kept."""
    went_on = []

    def rows():
        yield "a"
        signal.raise_signal(signal.SIGINT)
        went_on.append(True)
        yield "b"

    flow = flow_for(evaluation(rows), store)
    with pytest.raises(KeyboardInterrupt):
        runner.driver.drive(flow.run, stops=lambda: flow.interrupt)

    assert went_on == []
    assert flow.done == 1


@pytest.mark.parametrize("place", ["memory://", "results.db"])
def test_a_function_that_swallows_the_interruption_is_the_last(tmp_path, place):
    """As one with a bare `except:` does. Its row has an answer, and no other row is begun."""
    called = []

    @foreach("n", range(9))
    def eval_deaf(n, model):
        called.append(n)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return True

    flow = flow_for(eval_deaf, tmp_path / place if "." in place else place)
    with pytest.raises(KeyboardInterrupt):
        runner.driver.drive(flow.run, stops=lambda: flow.interrupt)

    assert called == [0]
    assert flow.done == 1
    assert flow.interrupt() is False  # nothing is called any more


def test_a_handler_of_somebody_else_stays():
    def theirs(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGINT, theirs)
    try:

        async def main():
            return signal.getsignal(signal.SIGINT)

        assert runner.driver.drive(main, stops=lambda: bool) is theirs
    finally:
        signal.signal(signal.SIGINT, before)


FORKED = """
import os, signal
from doteval import runner

async def main():
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # where nothing else ends it
        os.write(tell, b"!")  # a signal that comes before Python has forked as well is lost
        while True:
            pass
    os.read(ready, 1)
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

print(runner.driver.drive(main, stops=lambda: bool))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_worker_ends_when_its_pool_asks_for_it():
    """With our handler it would go on, and a pool that broke would wait for it for ever."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60
    )

    assert (done.stdout, done.stderr) == (f"{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_ctrl_c_is_for_the_process_that_runs_and_not_for_its_forks(number, ends, monkeypatch):
    sent = []

    async def main():
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: -1)
            fork.setattr(os, "kill", lambda process, number: sent.append((process, number)))
            signal.raise_signal(number)
        await asyncio.sleep(0)
        return signal.getsignal(number) is signal.SIG_DFL

    assert runner.driver.drive(main, stops=lambda: bool) is ends
    assert sent == [(-1, number)] * ends


def test_an_error_that_comes_while_cleaning_up_does_not_hide_the_interruption():
    async def main():
        asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("clean-up failed")

    with pytest.raises(KeyboardInterrupt) as caught:
        runner.driver.drive(main, stops=lambda: bool)

    assert str(caught.value.__cause__) == "clean-up failed"


def test_an_embedded_run_installs_no_handlers():
    async def main():
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    assert runner.driver.drive(main) == (signal.default_int_handler, signal.SIG_DFL)


def test_a_process_that_is_interrupted_twice_resumes_where_it_was(tmp_path):
    """Ctrl-C in a script that calls `run`: Python's own interrupt, and nothing finished is lost."""
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, signal, sys\n"
        "from doteval import ForEach, run\n"
        "from doteval.concurrency import SlidingWindow\n"
        "@ForEach(concurrency=SlidingWindow(5))('n', range(40))\n"
        "async def eval_n(n):\n"
        "    await asyncio.sleep(0.01)\n"
        "    if n == int(sys.argv[1]):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    return True\n"
        "print(run(eval_n, 'e', 'results.db', progress=False).scored)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])}

    def once(argument):
        return subprocess.run(
            [sys.executable, str(script), argument],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    first, second, third = once("10"), once("30"), once("-1")

    assert first.returncode == second.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in first.stderr
    assert third.stdout == "40\n"


# ---------------------------------------------------------------------------- names


def test_an_evaluation_is_named_by_its_file_and_name(tmp_path):
    evaluation_ = evaluation(["a"])

    name = runner.evaluation_name(evaluation_, locate(tmp_path / "x.db")).name

    assert name == "tests/test_runner.py::eval_upper"


def test_a_method_is_named_with_its_class():
    name = runner.evaluation_name(Outer.eval_m, locate("memory://")).name

    assert name.endswith("test_runner.py::Outer.eval_m")


class Outer:
    __test__ = False  # run by hand

    @foreach("n", [1])
    def eval_m(self, n):
        return True


def checkout_of(folder):
    checkout = Checkout(folder)
    checkout.wait(60.0)
    return checkout.told()


def test_a_commit_is_read_from_files(tmp_path):
    git = tmp_path / "repo" / ".git"
    git.mkdir(parents=True)
    inside = tmp_path / "repo" / "a" / "b"
    inside.mkdir(parents=True)

    (git / "HEAD").write_text("b" * 40)
    detached = checkout_of(inside)["commit"]
    (git / "HEAD").write_text("ref: refs/heads/dev\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{'c' * 40} refs/heads/dev\n")
    packed = checkout_of(inside)["commit"]
    (git / "packed-refs").write_text("")
    unborn = checkout_of(inside)["commit"]
    (git / "packed-refs").unlink()
    missing = checkout_of(inside)["commit"]

    assert (detached, packed, unborn, missing) == ("b" * 40, "c" * 40, None, None)


def test_the_commit_of_a_worktree_is_found(tmp_path):
    main, tree = tmp_path / "main" / ".git", tmp_path / "tree"
    real = main / "worktrees" / "tree"
    real.mkdir(parents=True)
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {real}\n")
    (real / "HEAD").write_text("ref: refs/heads/dev\n")
    (real / "commondir").write_text("../..\n")
    (main / "refs" / "heads").mkdir(parents=True)
    (main / "refs" / "heads" / "dev").write_text("d" * 40)

    assert checkout_of(tree)["commit"] == "d" * 40


def test_outside_a_repository_there_is_no_commit(tmp_path):
    assert checkout_of(tmp_path) == {"commit": None, "branch": None, "clean": None}


def test_an_experiment_that_is_not_there_is_named(store):
    quiet(evaluation(["a"]), "first", store, model=Model())
    opened = open_store(store)

    with pytest.raises(NotFound, match="did you mean 'first'"):
        opened.evaluations("frist")

    opened.close()


def test_batches_run_plain_functions_on_threads(store):
    names = set()

    @ForEach(concurrency=Batch(4))("n", range(12))
    def eval_n(n):
        names.add(threading.current_thread().name)
        return True

    summary = quiet(eval_n, "e", store)

    assert summary.scored == 12
    assert all(name.startswith("doteval-") for name in names)


def test_a_stale_failure_is_replaced_when_its_row_returns(store):
    model = Model(failing=["a"])
    quiet(evaluation(["a", "b"]), "e", store, model=model)
    quiet(evaluation(["b"]), "e", store, model=model)
    model.failing.clear()

    summary = quiet(evaluation(["a", "b"]), "e", store, model=model)

    assert (summary.scored, summary.failed, summary.stale) == (2, 0, 0)
    opened = open_store(store)
    (name,) = opened.evaluations("e")
    assert list(opened.records("e", name, state=STALE)) == []
    assert isinstance(next(iter(opened.records("e", name, state=SUPERSEDED))).outcome, Failure)
    opened.close()


# ----------------------------------------------------------------------------- shards


def test_shards_share_the_rows_among_them_and_each_judges_its_own(store):
    model = Model()
    rows = [f"row {n}" for n in range(60)]
    for shard in ("1/3", "2/3", "3/3"):
        summary = quiet(evaluation(rows), "e", store, shard=shard, model=model)

    assert sorted(model.calls) == sorted(rows)
    assert (summary.scored, summary.total, summary.missing, summary.stale) == (60, 60, 0, 0)


def test_a_shard_alone_knows_what_is_missing(store):
    rows = [f"row {n}" for n in range(60)]

    summary = quiet(evaluation(rows), "e", store, shard="1/3", model=Model())

    assert summary.total == 60
    assert 5 < summary.scored < 40
    assert summary.status == "incomplete"


def test_a_shard_finds_only_its_own_rows_stale(store):
    model = Model()
    rows = [f"row {n}" for n in range(60)]
    quiet(evaluation(rows), "e", store, model=model)

    part = quiet(evaluation(rows[:30]), "e", store, shard="1/2", model=model)
    whole = quiet(evaluation(rows[:30]), "e", store, shard="2/2", model=model)

    assert 0 < part.stale < 30
    assert whole.stale == 30


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", ""])
def test_a_shard_is_a_part_of_a_whole(store, shard):
    with pytest.raises(UsageError, match="expected i/n with 1 <= i <= n"):
        quiet(evaluation(["a"]), "e", store, shard=shard, model=Model())


def test_listeners_see_the_variables_of_who_called(store):
    """Records come from the writer's thread, which has none."""
    variable = ContextVar("variable", default="lost")
    variable.set("kept")
    seen = []

    @foreach("n", [1])
    def eval_one(n):
        return True

    quiet(eval_one, "e", store, on_record=lambda record: seen.append(variable.get()))

    assert seen == ["kept"]


def test_rows_see_the_variables_of_who_called_where_a_loop_is_running(store):
    """As everywhere else, though `run` is then in a thread of its own."""
    variable = ContextVar("variable", default="lost")
    seen = []

    @foreach("n", [1])
    async def eval_one(n):
        seen.append(variable.get())
        return True

    async def cell():
        variable.set("kept")
        quiet(eval_one, "e", store)

    asyncio.run(cell())

    assert seen == ["kept"]


def test_a_parameter_may_be_named_like_an_option_of_run(store):
    @foreach("n", [1])
    def eval_n(n, samples, model):
        return samples + model == 3

    with pytest.raises(UsageError, match=r"resources=\{'samples': \.\.\.\}"):
        quiet(eval_n, "e", store, model=2)
    with pytest.raises(UsageError, match="'model' twice"):
        quiet(eval_n, "e", store, model=2, resources={"samples": 1, "model": 2})
    with pytest.raises(UsageError, match="expected a mapping"):
        quiet(eval_n, "e", store, resources=3)

    assert quiet(eval_n, "e", store, model=2, resources={"samples": 1}).scored == 1


def test_two_evaluations_of_one_def_need_two_names(store):
    """The second would run nothing, and report the figures of the first."""

    def judging(answer, name="eval_n"):
        @foreach("n", [1, 2])
        def eval_n(n):
            return n == answer

        eval_n.__name__ = name
        return eval_n

    good, same, bad = judging(1), judging(1), judging(3)
    quiet(good, "e", store)

    assert quiet(same, "e", store).scored == 2
    with pytest.raises(UsageError, match="two different evaluations are called"):
        quiet(bad, "e", store)
    assert quiet(bad, "another", store).scored == 2
    assert quiet(judging(3, "bad"), "e", store).scored == 2
    del good, same
    assert quiet(bad, "e", store).scored == 2  # as where a factory is called again


def test_the_callers_loop_never_waits_for_the_store(store):
    """Another process may hold it for a minute, as a VACUUM does."""
    work = evaluation(["a"])
    quiet(work, "e", store, model=Model())
    other = sqlite3.connect(store, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.6, other.close)
    pauses = []

    async def tick():
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            last, before = time.monotonic(), last
            pauses.append(last - before)

    async def main():
        ticking = asyncio.ensure_future(tick())
        await asyncio.sleep(0)
        release.start()
        await run_async(work, "e", store, progress=False, model=Model())
        ticking.cancel()

    asyncio.run(main())
    release.join()

    assert max(pauses) < 0.3


def test_a_row_that_raises_what_ends_an_iterator_is_not_the_end_of_the_dataset():
    """The rows behind it would be missing without a word."""

    class Odd:
        dtype = "float"

        def tolist(self):
            raise StopIteration

    work = foreach("n", [1, Odd(), 3])(lambda n: True)
    rows = Rows(work, Options())
    rows.open(None, print)

    with pytest.raises(RuntimeError, match="row 1 raised StopIteration"):
        list(rows)


def test_nothing_of_a_run_is_alive_when_it_has_ended(store):
    """Not its thread, which would hold on to the evaluation: a factory may make it anew at once."""
    before = {*threading.enumerate()}
    for bad in range(1, 9):

        @foreach("n", range(40))
        def eval_n(n, bad=bad):
            return 1 / (n % bad)

        run(eval_n, "e", store, progress=False, keep_going=True)

        assert not {*threading.enumerate()} - before


@pytest.mark.parametrize("seed", range(6))
def test_a_row_that_changes_and_fails_and_changes_back_has_one_record_that_counts(store, seed):
    """Whatever its content was before, and what became of it: the schema would refuse a second."""
    chance = random.Random(seed)

    for _ in range(8):
        rows = [(n, chance.choice("abc")) for n in range(6) if chance.random() < 0.8]
        failing = {n for n, _ in rows if chance.random() < 0.4}

        @foreach("id,q", rows)
        def eval_x(id, q, failing=failing):
            if id in failing:
                raise ValueError(q)
            return True

        summary = quiet(eval_x, "e")

        live = [(record.row["id"], record.row["q"]) for record in records("e")]
        assert len(live) == len(dict(live))
        if summary.status != "stopped":
            assert sorted(live) == rows
