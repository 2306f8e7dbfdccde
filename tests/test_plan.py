"""What a run would do, told without doing it."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from doteval import ForEach, Result, foreach, run
from doteval.budget import Budget
from doteval.cli import main
from doteval.concurrency import Sequential, SlidingWindow
from doteval.errors import StoreError
from doteval.quantities import Shard
from doteval.record import Run
from doteval.running import Options
from doteval.running.plan import plan
from doteval.storage import Named, Place, locate, open_store
from tests.storage.conftest import unprivileged  # noqa: F401 - a fixture
from tests.storage.made import a_run, a_store, an_entry

NAME = "test_plan.py::eval_v"


class Calls(list):
    """What the function was called for; some of it fails."""

    failing: frozenset = frozenset()


def evaluation(dataset, calls=None, columns="text", source=None, **policy):
    calls = Calls() if calls is None else calls

    def eval_v(text):
        calls.append(text)
        if text in calls.failing:
            raise ValueError(text)
        return Result(True, usage={"input_tokens": 10, "output_tokens": 4, "cost": 0.5})

    def eval_id(id, text):
        return True

    function = eval_id if columns == "id,text" else eval_v
    made = ForEach(concurrency=SlidingWindow(2), retries=0, **policy)(columns, dataset)(
        source or function
    )
    made.__name__ = "eval_v"
    return made


@pytest.fixture
def store(tmp_path):
    """The path of a store that is not there yet."""
    return tmp_path / "results.db"


def planned(evaluation, store=None, experiment="e", **options):
    name = Named(options.pop("name", NAME))
    place = locate("memory://" if store is None else store)
    return asyncio.run(
        plan(evaluation, Options.read(**options), name=name, experiment=experiment, place=place)
    )


def ran(evaluation, store, experiment="e", **options):
    """Run it under the name that plans are made for."""
    from doteval.running import Execution

    return asyncio.run(
        Execution(
            evaluation,
            Options.read(**options),
            name=Named(NAME),
            experiment=experiment,
            place=locate(store),
            resources={},
        ).run()
    )


def letters(n):
    return [f"row {i}" for i in range(n)]


# ---------------------------------------------------------------------------- counting


def test_a_plan_calls_nothing_and_makes_nothing(store):
    calls = Calls()

    found = planned(evaluation(letters(30), calls, repeats=2), store)

    assert (found.rows, found.to_run, found.finished) == (30, 60, 0)
    assert (found.exists, found.problem, found.basis) == (False, None, None)
    assert found.strategy == {"name": "SlidingWindow", "max_concurrency": 2}
    assert calls == []
    assert os.listdir(store.parent) == []


def test_a_plan_counts_what_a_run_then_does(store):
    calls = Calls()
    calls.failing = frozenset({"row 3", "row 40"})
    ran(evaluation(letters(30), calls), store)
    calls.clear()
    rows = letters(50)[1:]

    found = planned(evaluation(rows, calls), store)
    ran(evaluation(rows, calls), store)

    assert (found.rows, found.finished, found.failed, found.stale) == (49, 28, 1, 1)
    assert found.to_run == len(calls) == 21


@pytest.mark.parametrize("shard", [Shard(0, 3), Shard(2, 3)])
def test_a_plan_of_a_shard_counts_its_own_rows(store, shard):
    calls = Calls()
    ran(evaluation(letters(30), calls), store, shard=Shard(1, 3))
    ran(evaluation(letters(40), calls), store, shard=shard, samples=20)
    rows = [*letters(40)[1:], ("much", "too", "long")]
    calls.clear()

    found = planned(evaluation(rows, calls), store, shard=shard)
    ran(evaluation(rows, calls), store, shard=shard)

    assert found.shard == str(shard)
    assert found.read == 40
    assert found.rows < 30
    assert found.to_run == len(calls)
    assert found.stale in (0, 1)
    assert found.rows == found.finished + found.to_run + found.malformed


def test_a_plan_of_samples_reads_no_further():
    def endless():
        at = 0
        while True:
            yield f"row {at}"
            at += 1

    async def endlessly():
        for each in endless():
            yield each

    for dataset in (endless, endlessly):
        found = planned(evaluation(dataset), samples=7)

        assert (found.rows, found.to_run, found.stale) == (7, 7, 0)


def test_an_async_dataset_is_read(store):
    async def rows():
        for each in letters(5):
            await asyncio.sleep(0)
            yield each

    assert planned(evaluation(rows), store).to_run == 5


def test_fresh_runs_everything_again(store):
    ran(evaluation(letters(5)), store)

    assert planned(evaluation(letters(5)), store, fresh=True).to_run == 5
    assert planned(evaluation(letters(5)), store).to_run == 0
    assert planned(evaluation(letters(5)), store, experiment="other").to_run == 5
    assert planned(evaluation(letters(5)), store, experiment=None).to_run == 5


def test_repeats_are_counted_one_by_one(store):
    ran(evaluation(letters(5), repeats=2), store)

    more, fewer = (planned(evaluation(letters(5), repeats=n), store) for n in (3, 1))

    assert (more.finished, more.to_run, more.stale) == (10, 5, 0)
    assert (fewer.finished, fewer.to_run, fewer.stale) == (5, 0, 5)


def test_a_row_with_an_id_whose_content_has_changed_runs_again(store):
    rows = [(n, f"row {n}") for n in range(10)]
    ran(evaluation(rows, columns="id,text"), store)
    rows[4] = (4, "other")

    found = planned(evaluation(rows, columns="id,text"), store)

    assert (found.finished, found.to_run, found.stale) == (9, 1, 1)


def test_malformed_rows_are_told_by_their_positions():
    rows = [(str(n), "too many") if n % 3 else str(n) for n in range(300)]

    found = planned(evaluation(rows))

    assert (found.rows, found.malformed, found.to_run) == (300, 200, 100)
    assert found.positions[:4] == (1, 2, 4, 5)
    assert len(found.positions) == 100
    assert found.example.startswith("row 1: expected 1 value (text), got 2 values")


# ---------------------------------------------------------------------------- problems


def test_what_would_end_the_run_is_told():
    def raises():
        yield "row 0"
        raise OSError("the network is gone")

    assert planned(evaluation(raises)).problem == (
        "the dataset raised OSError after 1 rows: the network is gone"
    )
    assert planned(evaluation([])).problem == "the dataset has no rows"
    assert "have the same id" in planned(
        evaluation([(1, "a"), (1, "b")], columns="id,text")
    ).problem  # fmt: skip
    assert "give the rows an `id`" in planned(evaluation([object()])).problem


def test_a_function_that_can_not_travel_is_told():
    def eval_here(text):
        return True

    made = evaluation(["a"], source=eval_here, executor=ThreadPoolExecutor)

    assert "can not be found by its name in another process" in planned(made).problem


@ForEach(executor=ThreadPoolExecutor)("text", ["a"])
def at_the_top(text):
    return True


at_the_top.__test__ = False  # the plugin would collect it


def test_a_function_that_can_travel_is_planned():
    assert planned(at_the_top).problem is None


def test_a_store_that_can_not_be_written_is_told(unprivileged):  # noqa: F811
    store = unprivileged / "a" / "results.db"
    unprivileged.chmod(0o500)
    no_folder = planned(evaluation(["a"]), store).problem
    unprivileged.chmod(0o700)
    store.parent.mkdir()
    a_store(store).close()
    store.chmod(0o400)
    no_file = planned(evaluation(["a"]), store).problem

    assert no_folder.endswith(f"can not be written: the folder {unprivileged} is read-only")
    assert no_file.endswith(f"can not be written: the file {store} is read-only")


def test_a_store_that_can_not_be_read_ends_the_plan(unprivileged):  # noqa: F811
    unprivileged.joinpath("x.db").write_bytes(b"not a database at all, whatever its name says" * 50)
    locked = unprivileged / "a"
    locked.mkdir()
    locked.chmod(0)
    hidden = Place("sqlite", locked / "results.db", locked)

    with pytest.raises(StoreError, match="not a database"):
        planned(evaluation(["a"]), unprivileged / "x.db")
    with pytest.raises(StoreError, match="can not be read: Permission denied"):
        asyncio.run(
            plan(evaluation(["a"]), Options(), name=Named(NAME), experiment="e", place=hidden)
        )


def test_an_empty_file_is_no_store_yet(store):
    """It is left empty: a plan makes nothing."""
    store.touch()

    found = planned(evaluation(["a"]), store)

    assert not found.exists
    assert store.stat().st_size == 0


def test_what_a_storage_plugin_holds_is_not_looked_at():
    found = planned(evaluation(["a"]), "elsewhere://bucket")

    assert found.notes == (
        "what is stored in elsewhere://bucket is not looked at: all rows are counted",
    )


def test_a_run_that_is_going_on_and_a_changed_source_are_told(store):
    ran(evaluation(letters(3)), store)
    opened = open_store(store)
    opened.begin(a_run(evaluation=NAME))

    def changed(text):
        return len(text) > 0

    (running,) = planned(evaluation(letters(3)), store).notes
    opened.close()
    in_header = planned(evaluation(letters(3), source=changed), store).notes

    assert running == f"it is being run just now, by process {os.getpid()}"
    assert in_header == ()  # the header of the last run has no source


def test_a_source_that_was_changed_is_told(store):
    ran(evaluation(letters(3)), store)

    def changed(text):
        return len(text) > 0

    (note,) = planned(evaluation(letters(3), source=changed), store).notes

    assert note.startswith("changed since the last run: the code of ")


# --------------------------------------------------------------------------- estimates


def past(store, experiment, records, *, started, duration=10.0, strategy=None, **more):
    """An earlier run of so many records."""
    begun = a_run(experiment, NAME, header={"strategy": strategy or SAME, **more})
    begun = Run(begun.uid, experiment, NAME, started, None, 0.0, "running", begun.pid, begun.header)
    opened = a_store(store)
    number = opened.begin(begun)
    opened.add(number, [an_entry(f"{experiment} {n}") for n in range(records)])
    opened.end(
        number,
        Run(begun.uid, experiment, NAME, started, started + duration, duration, "complete", 1, {}),
    )
    opened.close()


SAME = {"name": "SlidingWindow", "max_concurrency": 2}
OTHER = {"name": "Sequential"}


def test_an_estimate_scales_an_earlier_run_of_any_experiment(store):
    ran(evaluation(letters(30)), store, "sample")

    found = planned(evaluation(letters(60)), store, "new")

    assert found.basis.experiment == "sample"
    assert (found.basis.records, found.basis.same_strategy, found.basis.same_source) == (
        30,
        True,
        True,
    )
    assert found.seconds == pytest.approx(2 * found.basis.duration)
    assert (found.input_tokens, found.output_tokens, found.cost) == (600, 240, 30)


@pytest.mark.parametrize(
    ("runs", "chosen"),
    [
        ([("a", 30, SAME), ("b", 30, SAME)], "b"),  # the last one
        ([("a", 30, SAME), ("b", 30, OTHER)], "a"),  # with the strategy of today
        ([("a", 30, OTHER), ("b", 5, SAME)], "a"),  # with enough records
        ([("a", 3, OTHER), ("b", 5, OTHER), ("c", 4, OTHER)], "b"),  # with the most
    ],
)
def test_an_estimate_goes_by_the_run_that_says_most(store, runs, chosen):
    for at, (experiment, records, strategy) in enumerate(runs):
        past(store, experiment, records, started=100.0 + at, strategy=strategy)

    found = planned(evaluation(letters(60)), store)

    assert found.basis.experiment == chosen
    assert found.input_tokens is None


def test_runs_without_records_or_without_an_end_are_nothing_to_go_by(store):
    past(store, "empty", 0, started=100.0)
    opened = a_store(store)
    number = opened.begin(a_run("crashed", NAME))
    opened.add(number, [an_entry()])
    opened.close()

    found = planned(evaluation(letters(60)), store, "crashed")

    assert (found.basis, found.notes) == (None, ())


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (None, None),
        (Budget(cost=15), 30),
        (Budget(tokens=420), 30),
        (Budget(tokens=420, cost=5), 10),
        (Budget(time=0.0), 0),
        (Budget(cost=1000, errors=3), None),
    ],
)
def test_a_budget_is_held_against_the_estimate(store, budget, expected):
    ran(evaluation(letters(30)), store, "sample")

    assert planned(evaluation(letters(60)), store, "new", budget=budget).budgeted == expected


def test_a_budget_without_an_estimate_says_nothing(store):
    past(store, "e", 30, started=100.0)

    assert planned(evaluation(letters(60)), store, budget=Budget(cost=1)).budgeted is None
    assert planned(evaluation(letters(60)), budget=Budget(cost=1)).budgeted is None


def test_a_plan_does_not_wait_for_a_writer_and_writes_nothing(store):
    """It only reads, so that it can be made beside a run."""
    ran(evaluation(letters(30)), store)
    before = store.read_bytes()
    db = sqlite3.connect(store, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")

    found = planned(evaluation(letters(40)), store)
    db.execute("ROLLBACK")
    db.close()

    assert found.to_run == 10
    assert store.read_bytes() == before


def test_a_history_of_many_records_is_read_in_pages(store):
    opened = a_store(store)
    number = opened.begin(a_run())
    for start in range(0, 6000, 1000):
        opened.add(number, [an_entry(n) for n in range(start, start + 1000)])
    opened.close()
    history = a_store(store, read_only=True)

    found = list(history.stored_of("e", "f.py::v"))

    assert len({each.key for each in found}) == 6000
    history.close()


# ------------------------------------------------------------------------- the command

FILE = """
from doteval import ForEach, Result, foreach
from doteval.concurrency import Sequential, SlidingWindow
rows = [str(n) for n in range(60)]

@ForEach(concurrency={strategy}, repeats={repeats})("text", {rows})
def eval_v(text):
    assert {calm} or text != "7"
    return Result(True{usage})

@foreach("n", range(3))
def eval_w(n):
    return True
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".doteval").mkdir()
    written(tmp_path)
    return tmp_path


def written(folder, **changed):
    defaults = {
        "strategy": "SlidingWindow(2)",
        "repeats": 1,
        "rows": "rows",
        "calm": True,
        "usage": ", usage={'input_tokens': 10, 'output_tokens': 4, 'cost': 0.5}",
    }
    (folder / "eval_x.py").write_text(FILE.format(**{**defaults, **changed}), encoding="utf-8")


def said(capsys, *arguments):
    capsys.readouterr()
    code = main(["run", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_tells_each_evaluation(folder, capsys):
    code, out, err = said(capsys, "eval_x.py", "--plan")

    assert (code, err) == (0, "")
    assert out == (
        f"plan for a new experiment in {folder}/.doteval/results.db, which would be made; "
        "nothing is run\n"
        "\n"
        "eval_v · 60 to run\n"
        "  rows      60\n"
        "  columns   text\n"
        "  strategy  SlidingWindow(max_concurrency=2)\n"
        "  estimate  unknown: no earlier run of it in this store to go by\n"
        "\n"
        "eval_w · 3 to run\n"
        "  rows      3\n"
        "  columns   n\n"
        "  strategy  Sequential()\n"
        "  estimate  unknown: no earlier run of it in this store to go by\n"
    )
    assert os.listdir(folder / ".doteval") == []


def test_the_command_tells_what_it_goes_by(folder, capsys):
    written(folder, calm=False)
    said(capsys, "eval_x.py::eval_v", "--experiment", "e", "--samples", "30")
    written(folder, strategy="Sequential()", repeats=2, rows="rows[2:]")

    code, out, _ = said(
        capsys, "eval_x.py::eval_v", "--experiment", "e", "--plan", "--budget", "cost=11"
    )

    assert code == 0
    assert "plan for experiment e in " in out
    assert "eval_v · 89 to run\n" in out
    assert (
        "rows      58 · 2 repeats of each · 27 finished before · 1 failed before, to run again · "
        "2 stored ones gone from the dataset\n"
    ) in out
    assert "890 tokens in" not in out  # a failure reports no tokens
    assert "860 tokens in · 344 tokens out · cost 43.02" in out
    assert "30 records in " in out
    assert "experiment 'e', just now with another strategy: SlidingWindow(max_conc" in out
    assert "(the function has changed since)" in out
    assert "budget    ends it after about 22 of 89\n" in out
    assert "note      changed since the last run: the code of eval_x.py::eval_v" in out


def test_the_command_with_nothing_to_do(folder, capsys):
    written(folder, usage="")
    said(capsys, "eval_x.py::eval_v", "--experiment", "e")

    code, out, _ = said(capsys, "eval_x.py::eval_v", "--experiment", "e", "--plan")
    _, shard, _ = said(capsys, "eval_x.py::eval_v", "--experiment", "f", "--plan", "--shard", "1/2")

    assert code == 0
    assert "eval_v · 0 to run\n" in out
    assert "estimate" not in out and "going by" not in out
    assert "shard 1/2 of 60 rows\n" in shard
    assert "tokens" not in shard


def test_the_command_fails_where_the_run_would(folder, capsys):
    written(folder, rows="[(1, 2)] * 11 + rows")
    malformed, out, _ = said(capsys, "eval_x.py::eval_v", "--plan")
    allowed, _, _ = said(capsys, "eval_x.py::eval_v", "--plan", "--max-errors", "11")
    written(folder, rows="iter([])")
    empty, told, _ = said(capsys, "eval_x.py::eval_v", "--plan")

    assert (malformed, allowed, empty) == (1, 0, 1)
    assert "rows      71 · 11 malformed\n" in out
    assert "malformed at 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (from 0); row 0: expected 1 value" in out
    assert "problem   the dataset has no rows\n" in told


def test_the_command_prints_json(folder, capsys):
    said(capsys, "eval_x.py::eval_v", "--experiment", "e")

    code, out, _ = said(capsys, "eval_x.py", "--experiment", "e", "--plan", "--json")
    told = json.loads(out)

    assert code == 0
    assert told["experiment"] == "e"
    assert [each["to_run"] for each in told["plans"]] == [0, 3]
    assert told["plans"][0]["basis"]["same_strategy"] is True


def test_the_command_plans_for_memory(folder, capsys):
    _, out, _ = said(capsys, "eval_x.py::eval_w", "--plan", "--storage", "memory://")

    assert out.startswith("plan for a new experiment in memory://; nothing is run\n")


def test_run_and_plan_count_the_same_rows_of_an_embedded_run(tmp_path):
    """`run` names an evaluation by its file, and so does the plan that is asked for it."""

    @foreach("n", range(4))
    def eval_n(n):
        return True

    run(eval_n, "e", tmp_path / "r.db", progress=False)
    opened = open_store(tmp_path / "r.db")
    (name,) = opened.evaluations("e")
    opened.close()

    assert planned(eval_n, tmp_path / "r.db", name=name).finished == 4
    assert Sequential().parameters() == {}
