from __future__ import annotations

import itertools
import math
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from doteval.errors import Busy, DamageError, NotFound, StoreError, UsageError
from doteval.keys import shard_of
from doteval.record import LIVE, STALE, SUPERSEDED, Result, Score, Usage
from doteval.storage import Place, archive, open_store
from doteval.storage.doctor import check
from doteval.storage.encoding import storable
from doteval.storage.sqlite import SqliteStore

from .made import (
    a_failure,
    a_record,
    a_run,
    a_store,
    an_attempt,
    an_entry,
    key_of,
    names_of,
    said_by,
)

V = "f.py::v"


@pytest.fixture(params=["file", "memory"])
def store(request, path):
    """Both kinds of stores, which must not differ."""
    store = a_store(path) if request.param == "file" else SqliteStore(None, path.parent)
    yield store
    store.close()


@pytest.fixture
def filed(path):
    store = a_store(path)
    yield store
    store.close()


def states(store, experiment="e"):
    """{state: names of the records}"""
    return {
        state: names_of(store.records(experiment, V, state=state))
        for state in (LIVE, STALE, SUPERSEDED)
    }


def ids(store, number):
    return {page.key.rstrip(b"\0").decode(): page.id for page in store.stored(number)}


# ------------------------------------------------------------------- records in and out


def test_what_was_added_is_read(store, number):
    """Every field, in the order in which it became durable."""
    first = a_record("a", Result(Score("right", True, ("accuracy",)), prompt="p"), position=1)
    second = a_record("b", a_failure(), position=0, attempts=5)
    store.add(number, [an_entry("a", first.outcome, position=1)])
    store.add(number, [an_entry("b", second.outcome, attempts=5)])

    assert list(store.records("e", V)) == [first, second]
    assert list(store.records("e", V, failed=True)) == [second]
    assert list(store.records("e", V, failed=False)) == [first]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0 and more",
        "\udfff\ud800",
        "\x1b[31m‮",
        "'; DROP TABLE records; --",
        "x" * 10_000_000,
    ],
    ids=["empty", "nul", "surrogates", "escapes", "sql", "10 MB"],
)
def test_texts_are_stored_exactly(store, number, text):
    """Prompts and answers are data, whatever is in them."""
    outcome = Result(Score("s", 1.0), prompt=text, model_response=[text], metadata={"m": text})
    store.add(number, [an_entry("a", outcome, row={text[:50]: text})])

    (record,) = store.records("e", V)

    assert record.row == {text[:50]: text}
    assert record.outcome.prompt == text
    assert record.outcome.model_response == [text]
    assert record.outcome.metadata == {"m": text}


@pytest.mark.parametrize("value", [math.inf, -math.inf, 2**62, 2**70, -(2**90), 1e-300, False])
def test_scores_are_stored_exactly(store, number, value):
    """With their type."""
    store.add(number, [an_entry("a", Result(Score("s", value)))])

    (record,) = store.records("e", V)

    assert record.outcome.scores == (Score("s", value),)
    assert type(record.outcome.scores[0].value) is type(value)


def test_a_score_that_is_nan_is_stored(store, number):
    """It never passes a gate, and is not lost either."""
    store.add(number, [an_entry("a", Result(Score("s", float("nan"))))])

    (record,) = store.records("e", V)

    assert math.isnan(record.outcome.scores[0].value)
    assert list(store.values("e", V, "s")) == [(key_of("a"), None)]


def test_names_of_any_kind_are_found_again(store):
    """They may hold what looks like SQL, a path or an escape; surrogates are written out."""
    for name in ["'; DROP TABLE runs; --", "../../etc/passwd", "a\0b", "é\U0001f600", "\ud800"]:
        run = a_run(name, f"{name}::v")
        number = store.begin(run)
        outcome = Result(Score(name, 1))
        store.add(number, [an_entry("a", outcome), an_attempt(error=name, message=name)])
        store.end(number, run)

        assert store.evaluations(name) == [storable(f"{name}::v")]
        assert len(list(store.records(name, f"{name}::v"))) == 1
        assert len(list(store.values(name, f"{name}::v", name))) == 1
        assert len(store.runs(name, f"{name}::v")) == 1
        assert store.tally(name, f"{name}::v").scored == 1
        store.rename(name, f"{name}!")
        assert store.delete(f"{name}!") == 1


def test_adding_nothing_is_allowed(store, number):
    """An empty commit harms nobody."""
    store.add(number, [])

    assert list(store.records("e", V)) == []


def test_entries_may_come_from_an_iterator(store, number):
    """It is gone through once, and nothing of it is lost."""
    store.add(number, iter([an_attempt("a"), an_entry("a"), an_attempt("b"), an_entry("b")]))

    assert names_of(store.records("e", V)) == ["a", "b"]
    assert [attempt.key for attempt in store.attempts("e", V)] == [key_of("a"), key_of("b")]


def test_what_fails_is_undone_whole(store, number):
    """A commit is all or nothing, and a name that it brought is not believed to be known."""
    broken = an_entry("b", Result(Score("new", 1)))
    broken = broken._replace(columns=(None, *broken.columns[1:]))
    store.add(number, [an_entry("a")])

    with pytest.raises(StoreError, match="NOT NULL"):
        store.add(number, [an_entry("c", Result(Score("new", 1))), broken])
    store.add(number, [an_entry("d", Result(Score("new", 2)))])

    assert names_of(store.records("e", V)) == ["a", "d"]
    assert list(store.values("e", V, "new")) == [(key_of("d"), 2)]


def test_what_was_added_is_durable_when_it_returns(filed, path):
    """Another connection, as another process has, sees it."""
    filed.add(filed.begin(a_run()), [an_entry("a")])

    other = a_store(path)
    assert names_of(other.records("e", V)) == ["a"]
    other.close()


def test_a_store_says_when_only_the_way_to_the_disk_is_left(filed, path):
    """All statements are done then, and nobody else sees what they did."""
    counts = "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM attempts)"
    seen = []
    number = filed.begin(a_run())
    other = SqliteStore(path, path.parent)

    def look():
        seen.extend(store.database.all(counts) for store in (filed, other))

    filed.on_prepared = look
    filed.add(number, [an_entry("a"), an_attempt("b")])
    other.close()

    assert seen == [[(1, 1)], [(0, 0)]]


def test_many_records_go_in_and_out_in_pages(store, number, monkeypatch):
    """Whatever the size of a page is, nothing is lost or read twice between two of them."""
    monkeypatch.setattr(archive, "_PAGE", 7)
    names = [f"{n}" for n in range(50)]
    outcomes = itertools.cycle([None, a_failure(), None])
    store.add(number, [an_entry(n, o) for n, o in zip(names, outcomes, strict=False)])

    assert names_of(store.records("e", V)) == names
    assert names_of(store.records("e", V, failed=True)) == names[1::3]
    assert len(list(store.values("e", V, "right"))) == 33


def test_a_page_of_long_texts_is_short(filed, monkeypatch):
    """Reading 500 answers of 10 MB at once would take 5 GB."""
    monkeypatch.setattr(archive, "_PAGE_TEXT", 1_000)
    number = filed.begin(a_run())
    filed.add(number, [an_entry(f"{n}", row={"text": "x" * 600}) for n in range(5)])
    statements = []
    filed._db._db.set_trace_callback(statements.append)

    assert len(list(filed.records("e", V))) == 5

    filed._db._db.set_trace_callback(None)
    assert len([one for one in statements if " body" in one]) == 4  # 2, 2, 1 and no more


def test_reading_failures_reads_no_scores(filed):
    """They have none, and between two of a page may lie a million records that do."""
    number = filed.begin(a_run())
    filed.add(number, [an_entry("a", a_failure()), an_entry("b"), an_entry("c", a_failure())])
    statements = []
    filed._db._db.set_trace_callback(statements.append)

    assert names_of(filed.records("e", V, failed=True)) == ["a", "c"]

    filed._db._db.set_trace_callback(None)
    assert [one for one in statements if "scores" in one] == []


def test_the_records_of_evaluations_do_not_mix(store):
    """Though they stand in one table, in the order in which they came."""
    first, second = store.begin(a_run(evaluation="a")), store.begin(a_run(evaluation="b"))
    for n in range(20):
        store.add(first, [an_entry(f"a{n}", Result(Score("s", n)))])
        store.add(second, [an_entry(f"b{n}", Result(Score("s", -n), Score("t", 1)))])

    assert [r.outcome.scores[0].value for r in store.records("e", "a")] == list(range(20))
    assert [len(r.outcome.scores) for r in store.records("e", "b")] == [2] * 20
    assert store.tally("e", "a").scores["s"]["total"] == 190


# ----------------------------------------------------------------- failures and the ledger


def test_a_replaced_failure_stays_as_superseded(store, number):
    """It was paid for; it no longer counts."""
    store.add(number, [an_entry("a", a_failure()), an_entry("b", a_failure())])
    known = ids(store, number)

    store.add(number, [an_entry("a", replaces=known["a"])])

    assert states(store) == {LIVE: ["b", "a"], STALE: [], SUPERSEDED: ["a"]}
    assert [record.failed for record in store.records("e", V, state=SUPERSEDED)] == [True]
    tally = store.tally("e", V)
    assert (tally.scored, tally.failed, tally.superseded) == (1, 1, 1)


def test_a_failure_is_replaced_only_with_its_replacement(store, number):
    """A crash between the two can not happen: they are one transaction."""
    store.add(number, [an_entry("a", a_failure())])
    broken = an_entry("a", replaces=1)
    broken = broken._replace(columns=(None, *broken.columns[1:]))

    with pytest.raises(StoreError):
        store.add(number, [broken])

    assert states(store) == {LIVE: ["a"], STALE: [], SUPERSEDED: []}


def test_the_result_of_a_changed_row_is_stale(store, number):
    """It counts again when the row is changed back."""
    store.add(number, [an_entry("a")])

    store.add(number, [an_entry("a", row={"text": "changed"}, replaces=ids(store, number)["a"])])

    assert states(store) == {LIVE: ["changed"], STALE: ["a"], SUPERSEDED: []}


def test_many_failures_are_replaced_at_once(store, number):
    """With a few statements."""
    store.add(number, [an_entry(f"{n}", a_failure()) for n in range(1_500)])
    known = ids(store, number)

    store.add(number, [an_entry(f"{n}", replaces=known[f"{n}"]) for n in range(1_500)])

    tally = store.tally("e", V)
    assert (tally.scored, tally.failed, tally.superseded) == (1_500, 0, 1_500)


def test_the_ledger_has_every_failed_attempt(store, number):
    """In order, with all that is known of it."""
    first = an_attempt("a", number=1, outcome="congestion", error="RateLimit", message="slow\ud800")
    second = an_attempt("a", repeat=2, number=2, started=5.0, duration=0.5)

    store.add(number, [first, second])

    ledger = store.attempts("e", V)
    assert ledger[1] == second
    assert ledger[0].message == "slow\\ud800"
    assert ledger[0].outcome == "congestion"


# ------------------------------------------------------------------------ stale and live


def test_stale_records_wait_for_their_rows(store, number):
    """They do not count, are not lost, and can return."""
    store.add(number, [an_entry("a"), an_entry("b")])
    known = ids(store, number)

    store.mark(number, [known["b"]], STALE)
    without = store.tally("e", V)
    store.mark(number, iter([known["b"]]), LIVE)

    assert (without.scored, without.stale) == (1, 1)
    assert store.tally("e", V).scored == 2


def test_what_is_stored_is_paged_in_order_of_ids(store, number):
    """Live and stale, without what was superseded."""
    store.add(number, [an_entry(f"{n}", digest=b"d" * 8, repeat=n % 2) for n in range(10)])
    store.mark(number, [2, 5], STALE)
    store.mark(number, [3], SUPERSEDED)

    pages, last = [], 0
    while page := store.stored(number, last, 4):
        pages.append([one.id for one in page])
        last = page[-1].id

    assert pages == [[1, 2, 4, 5], [6, 7, 8, 9], [10]]
    assert [one.state for one in store.stored(number)][:4] == [LIVE, STALE, LIVE, STALE]
    assert store.stored(number)[0].digest == b"d" * 8
    assert [one.repeat for one in store.stored(number)][:2] == [0, 1]


def test_fresh_supersedes_everything(store):
    """The old records stay until somebody prunes them."""
    first = store.begin(a_run())
    store.add(first, [an_entry("a"), an_entry("b", a_failure())])
    store.mark(first, [1], STALE)
    store.end(first, a_run(status="complete"))

    second = store.begin(a_run(), fresh=True)

    assert store.stored(second) == []
    assert states(store) == {LIVE: [], STALE: [], SUPERSEDED: ["a", "b"]}


def test_a_fresh_shard_supersedes_only_its_own_rows(store):
    """The other shards may have begun, or be finished already."""
    names = [f"{n}" for n in range(20)]
    first = store.begin(a_run())
    store.add(first, [an_entry(name) for name in names])
    store.end(first, a_run(status="complete"))

    store.begin(a_run(), fresh=True, part="2/3")

    theirs = [name for name in names if shard_of(key_of(name), 3) == 1]
    assert 0 < len(theirs) < 20
    assert states(store)[SUPERSEDED] == theirs


# ------------------------------------------------------------------------------------ runs


def test_a_run_is_kept_with_all_that_is_known_of_it(store):
    """From its beginning to its end."""
    run = a_run(header={"strategy": {"name": "Batch", "x": [1, None]}})
    number = store.begin(run)
    (open_run,) = store.runs("e")

    closed = a_run(status="interrupted", finished=9.0, duration=8.0, error="Ctrl-C\ud800",
                   history=({"at": 1.0, "limit": 2},))  # fmt: skip
    store.end(number, closed)

    (found,) = store.runs("e", V)
    assert open_run == run
    assert found.uid == run.uid
    assert found.header == run.header
    assert (found.status, found.finished, found.duration) == ("interrupted", 9.0, 8.0)
    assert found.history == ({"at": 1.0, "limit": 2},)
    assert found.error == "Ctrl-C\\ud800"


def test_runs_of_an_experiment_or_of_one_evaluation(store):
    """Oldest first."""
    for name in ["a", "b", "a"]:
        store.end(store.begin(a_run(evaluation=name)), a_run(status="complete"))

    assert [run.evaluation for run in store.runs("e")] == ["a", "b", "a"]
    assert len(store.runs("e", "a")) == 2
    assert store.runs("e", "unknown") == []
    assert store.evaluations("e") == ["a", "b"]


def test_the_total_is_known_once_somebody_said_it(store, number):
    """The end of a dataset is not known before it was read."""
    before = store.total_of("e", V)

    store.total(number, 7)

    assert before is None
    assert store.total_of("e", V) == 7


def test_a_run_whose_process_died_is_interrupted(path):
    """Nobody else could have said so: its lock is free."""
    dead = a_store(path)
    dead.begin(a_run())
    dead._claims.close()  # as the kernel does

    (found,) = dead.runs("e")

    assert (found.status, found.error) == ("interrupted", "its process ended without a word")
    again = dead.begin(a_run())
    assert [run.status for run in dead.runs("e")] == ["interrupted", "running"]
    dead.end(again, a_run(status="complete"))
    assert dead.runs("e")[0].error == "its process ended without a word"
    dead.close()


# ----------------------------------------------------------------------------------- locks


def test_two_runs_in_one_process_exclude_each_other(filed, path):
    """The refusal names the process and what to do."""
    filed.begin(a_run())
    other = a_store(path)

    for store in (filed, other):
        with pytest.raises(Busy, match=rf"{V} .* is being run by process {os.getpid()}; wait"):
            store.begin(a_run())

    other.begin(a_run(evaluation="other"))
    other.close()


def test_two_runs_in_memory_exclude_each_other(path):
    """As in a file; and another store in memory is another world."""
    store, other = SqliteStore(None, path.parent), SqliteStore(None, path.parent)
    number = store.begin(a_run())

    with pytest.raises(Busy):
        store.begin(a_run())
    other.begin(a_run())
    assert store.runs("e")[0].status == "running"
    store.end(number, a_run(status="complete"))
    store.begin(a_run())
    store.close()
    other.close()


def test_another_process_is_named(start, path):
    """Whoever wants to wait for it, or to end it, needs its number."""
    process = start(
        """
        import sys
        from storage.made import a_run, a_store
        store = a_store(sys.argv[1])
        store.begin(a_run(), part=sys.argv[2])
        print("begun", flush=True)
        sys.stdin.readline()
        store.close()
        """,
        path,
        "1/2",
    )
    assert process.stdout.readline() == "begun\n"
    store = a_store(path)

    with pytest.raises(Busy, match=f"process {process.pid};"):
        store.begin(a_run())
    with pytest.raises(Busy, match=f"process {process.pid};"):
        store.begin(a_run(), part="1/2")
    shard = store.begin(a_run(), part="2/2")
    assert [run.status for run in store.runs("e")] == ["running", "running"]

    store.end(shard, a_run(status="complete"))
    said_by(process)
    store.begin(a_run())
    store.close()


def test_parts_of_two_divisions_exclude_each_other(store):
    """They have rows in common."""
    half = store.begin(a_run(), part="1/2")

    with pytest.raises(Busy, match=r"part 1/2 of .* must be of one number, not also 2/3"):
        store.begin(a_run(), part="2/3")
    other = store.begin(a_run(), part="2/2")
    store.end(other, a_run(status="complete"))
    store.end(half, a_run(status="complete"))
    store.end(store.begin(a_run(), part="2/3"), a_run(status="complete"))


def test_a_part_whose_process_died_excludes_nobody(path):
    """It only says that it runs."""
    dead = a_store(path)
    dead.begin(a_run(), part="1/2")
    dead.close()

    store = a_store(path)
    store.begin(a_run(), part="1/3")
    store.close()


def test_a_run_that_has_not_begun_yet_has_no_name(filed, path):
    """It has the lock, and its row comes with its first commit."""
    filed._claims.make(a_run(), "")
    other = a_store(path)

    with pytest.raises(Busy, match="by another process"):
        other.begin(a_run())

    other.close()


def test_a_run_that_can_not_begin_gives_its_lock_back(path):
    """Whoever comes next is not refused."""
    holder = a_store(path)
    blocked = a_store(path, busy=0)
    with holder._db.writing(), pytest.raises(StoreError, match="keeps it locked"):
        blocked.begin(a_run())

    holder.begin(a_run())

    holder.close()
    blocked.close()


def test_ending_gives_the_lock_back_even_where_it_can_not_be_written(path):
    """The store then says: interrupted."""
    store = a_store(path, busy=0)
    number = store.begin(a_run())
    other = a_store(path)
    with other._db.writing(), pytest.raises(StoreError):
        store.end(number, a_run(status="complete"))

    other.begin(a_run())

    assert [run.status for run in other.runs("e")] == ["interrupted", "running"]
    other.close()
    store.close()


def test_closing_gives_all_locks_back(filed, path):
    """Also those of runs that never ended."""
    filed.begin(a_run())
    filed.close()

    other = a_store(path)
    other.begin(a_run())
    other.close()


# ------------------------------------------------------------------------------- changing


def finished(store, name="e", **values):
    number = store.begin(a_run(name, **values))
    store.add(number, [an_entry("a", Result(Score("s", 1))), an_entry("b", a_failure())])
    store.add(number, [an_attempt("b")])
    store.end(number, a_run(name, status="complete", **values))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM score_names", "a score of record 1 has no name"),
        ("UPDATE scores SET boolean = 1, value = 7", "record 1: a score is 7, expected 0 or 1"),
    ],
)
def test_a_damaged_score_is_told_whoever_reads(store, damage, said):
    """No record is shown, and none is handed on, with another value than it had."""
    finished(store)
    store.database.all(damage)

    for read in (store.records("e", V), store.facts("e")):
        with pytest.raises(DamageError, match=said):
            list(read)


def test_an_experiment_is_renamed(store):
    """With all it holds; what is run under the new name resumes it."""
    finished(store)

    store.rename("e", "new")

    assert [name for name, _ in store.experiments()] == ["new"]
    assert store.tally("new", V).scored == 1
    assert len(store.stored(store.begin(a_run("new")))) == 2


@pytest.mark.parametrize("new", ["", "  ", "\t"])
def test_a_blank_name_is_refused(store, new):
    """Nobody could type it again."""
    finished(store)

    with pytest.raises(UsageError, match="not blank"):
        store.rename("e", new)


def test_a_name_that_is_taken_is_refused(store):
    """Two experiments are not merged by accident."""
    finished(store)
    finished(store, "other")

    with pytest.raises(UsageError, match="there is an experiment 'other' already"):
        store.rename("e", "other")
    with pytest.raises(UsageError, match="already"):
        store.rename("e", "e")

    assert len(store.experiments()) == 2


def test_an_experiment_is_deleted_with_all_it_holds(store):
    """And nothing else goes."""
    finished(store, "other")
    finished(store)
    finished(store, evaluation="second")

    assert store.delete("e") == 4

    assert [name for name, _ in store.experiments()] == ["other"]
    tables = ["evaluations", "runs", "records", "bodies", "score_names", "scores", "attempts"]
    rows = {table: store._db.all(f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    assert rows == {"evaluations": 1, "runs": 1, "records": 2, "bodies": 2, "score_names": 1,
                    "scores": 1, "attempts": 1}  # fmt: skip
    assert len(list(store.records("other", V))) == 2


def test_a_deletion_is_whole_at_once_and_swept_up_by_the_next(path):
    """Its name is free; a reader fails; what was interrupted is no damage, and is not salvaged."""
    store = a_store(path)
    finished(store, "other")
    finished(store)
    reader = store.facts("e")
    next(reader)

    class Killed(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql.startswith("DELETE FROM bodies"):
                raise KeyboardInterrupt
            return super().execute(sql, *arguments)

    killed = a_store(path, connection=Killed)
    with pytest.raises(KeyboardInterrupt):
        killed.delete("e")
    killed.close()

    with pytest.raises(StoreError, match="was deleted"):
        list(reader)
    assert [name for name, _ in store.experiments()] == ["other"]
    report = check(Place("sqlite", path, path.parent))
    assert report.is_healthy
    assert "1 evaluation of deleted experiments not swept away" in report.findings[0].text
    finished(store)
    store.delete("e")
    assert store._db.all("SELECT count(*) FROM evaluations") == [(1,)]
    assert store._db.all("SELECT count(*) FROM records") == [(2,)]
    store.close()


def test_a_run_beside_a_deletion_waits_for_a_page(path):
    """It commits between two of them."""
    store = a_store(path)
    number = store.begin(a_run("large"))
    store.add(number, [an_entry(f"{n}") for n in range(2200)])
    store.end(number, a_run("large", status="complete"))
    run = a_store(path, busy=0)  # which would fail at once
    number, seen = run.begin(a_run()), []

    class Watched(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql.startswith("SELECT id FROM records"):
                run.add(number, [an_entry(f"{len(seen)}")])
                seen.append(sql)
            return super().execute(sql, *arguments)

    deleting = a_store(path, connection=Watched)
    assert deleting.delete("large") == 2200
    assert len(seen) == 3  # pages, the last of which is empty
    for each in (deleting, run, store):
        each.close()


def test_numbers_are_not_used_again(store):
    """A reader that still pages through what was deleted must not find another's records."""
    finished(store)
    finished(store, "last")
    reader = store.records("last", V)
    next(reader)
    store.delete("last")

    finished(store, "new")

    assert names_of([next(reader)]) == ["b"]  # of the page that it had
    with pytest.raises(StoreError, match="was deleted .* what was read of it is not all"):
        next(reader)
    numbers = store._db.all("SELECT id FROM evaluations")
    assert numbers == [(1,), (3,)]


@pytest.mark.parametrize("change", ["rename", "delete"])
def test_an_experiment_that_is_being_run_stays(filed, path, change):
    """Its rows are on their way."""
    number = filed.begin(a_run(evaluation="first"))
    filed.end(number, a_run(status="complete"))
    filed.begin(a_run(evaluation="second"))
    other = a_store(path)

    arguments = ["e", "new"] if change == "rename" else ["e"]
    with pytest.raises(Busy, match=f"being run by process {os.getpid()}; wait for it, or end it"):
        getattr(other, change)(*arguments)

    assert [name for name, _ in other.experiments()] == ["e"]
    other.close()


def test_a_run_that_begins_while_its_experiment_is_deleted_keeps_its_rows(path):
    """
    Whether somebody runs it is asked inside the transaction that deletes; asked before it, the
    rows of a run that began in between would go as well.
    """
    runner = a_store(path)
    finished(runner)

    class Late(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql == "BEGIN IMMEDIATE" and not begun:
                begun.append(runner.begin(a_run()))
            return super().execute(sql, *arguments)

    begun = [None]
    deleter = a_store(path, connection=Late)
    begun.clear()
    with pytest.raises(Busy):
        deleter.delete("e")
    runner.add(begun[0], [an_entry("c")])

    assert names_of(runner.records("e", V)) == ["a", "b", "c"]
    runner.close()
    deleter.close()


# ---------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "verb", ["evaluations", "runs", "records", "attempts", "tally", "values", "total_of",
             "rename", "delete"],
)  # fmt: skip
def test_an_unknown_experiment_is_told(store, verb):
    """With what there is, or what may have been meant."""
    more = {"records": [V], "attempts": [V], "tally": [V], "values": [V, "s"], "total_of": [V],
            "rename": ["new"]}.get(verb, [])  # fmt: skip

    def call(name):
        found = getattr(store, verb)(name, *more)
        return list(found) if found is not None and not isinstance(found, int) else found

    with pytest.raises(NotFound, match=r"no experiment 'gpt5' in .*; there is none yet"):
        call("gpt5")
    finished(store, "gpt-5")
    with pytest.raises(NotFound, match="did you mean 'gpt-5'"):
        call("gpt5")
    with pytest.raises(NotFound, match="there are: 'gpt-5'$"):
        call("something else")
    for letter in "abcdef":
        finished(store, letter)
    with pytest.raises(NotFound, match="there are: 'b', 'c', 'd', 'e', 'f' and 2 more$"):
        call("something else")


def test_an_unknown_evaluation_is_told(store):
    """Likewise."""
    finished(store)

    with pytest.raises(NotFound, match=r"experiment 'e' has no evaluation 'f.py::w'; did you mean"):
        store.tally("e", "f.py::w")
    with pytest.raises(NotFound, match=r"there are: 'f\.py::v'"):
        list(store.records("e", "xyz"))


# ------------------------------------------------------------------------------------- sums


def test_a_look_adds_nothing_up(store, number, monkeypatch):
    """Sums are kept at each commit, also in the place of a failure."""
    monkeypatch.setattr("doteval.storage.tally._anew", None)  # it would be called
    store.add(number, [an_entry("a"), an_entry("b", a_failure())])
    assert store.tally("e", V).scored == 1
    store.add(number, [an_entry("b", replaces=2)])
    store.end(number, a_run(status="complete"))

    assert (store.tally("e", V).scored, store.tally("e", V).failed) == (2, 0)
    store.begin(a_run(), fresh=True)
    assert store.tally("e", V).scored == 0


def test_sums_that_hold_no_more_are_added_up_at_the_end_of_the_run(store, number, monkeypatch):
    """Where a result goes, and where rows have repeats."""
    store.add(number, [an_entry("a"), an_entry("b"), an_entry("b", repeat=1)])
    store.mark(number, [1], STALE)
    store.end(number, a_run(status="complete"))

    monkeypatch.setattr("doteval.storage.tally._anew", None)
    assert store.tally("e", V).scores["right"]["n"] == 1


@pytest.mark.parametrize("told", ['{"scored": 99}', "[]"])
def test_sums_of_another_version_are_made_anew(store, number, told):
    """It may have known other figures."""
    store.add(number, [an_entry("a")])
    with store._db.writing() as db:
        db.execute("UPDATE evaluations SET sums = ?", (told,))

    assert store.tally("e", V).scored == 1
    store.add(number, [an_entry("b")])
    assert store.tally("e", V).scored == 2


def test_few_records_are_not_worth_a_commit(filed):
    """Reading must not write for a millisecond's gain."""
    number = filed.begin(a_run())
    filed.add(number, [an_entry("a"), an_entry("b")])
    filed.mark(number, [1], STALE)
    filed.tally("e", V)

    assert filed._db.all("SELECT summed < revision FROM evaluations") == [(1,)]


def test_a_link_to_a_store_has_its_locks(path, tmp_path):
    """Whichever way leads to it, one run works on an evaluation."""
    store = a_store(path)
    store.begin(a_run())
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(path)

    with pytest.raises(Busy):
        a_store(link).begin(a_run())
    store.close()


def test_a_run_that_another_has_taken_the_place_of_adds_nothing(path):
    """Else two would pay for the same rows, and each would count twice."""
    first, second = a_store(path), a_store(path)
    number = first.begin(a_run())
    first.add(number, [an_entry("a")])
    path.with_name(path.name + ".lock").unlink()
    second.begin(a_run())

    with pytest.raises(StoreError, match=f"process {os.getpid()} has taken this evaluation over"):
        first.add(number, [an_entry("b")])

    assert [record.row["text"] for record in second.records("e", V)] == ["a"]
    first.close()
    second.close()


def unlock(path):
    path.with_name(path.name + ".lock").unlink()


def replace_lock(path):
    unlock(path)
    path.with_name(path.name + ".lock").touch()


def take_over(path):
    unlock(path)
    other = a_store(path)
    other.begin(a_run())
    other.close()


def restore(path):
    path.write_bytes(path.with_name("backup").read_bytes())


def restore_before_it_began(path):
    path.write_bytes(path.with_name("empty").read_bytes())


def write_beside_it(path):
    db = sqlite3.connect(path)
    db.execute("UPDATE evaluations SET revision = revision + 1")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (unlock, "its lock file was deleted or replaced"),
        (replace_lock, "its lock file was deleted or replaced"),
        (take_over, f"process {os.getpid()} has taken this evaluation over"),
        (write_beside_it, "another process has taken this evaluation over"),
        (restore, "an earlier state of it, such as a backup"),
        (restore_before_it_began, "or another store was put in its place"),
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        lambda store, number: store.add(number, [an_entry("b")]),
        lambda store, number: store.mark(number, [1], STALE),
        lambda store, number: store.total(number, 7),
        lambda store, number: store.end(number, a_run(status="complete")),
    ],
    ids=["add", "mark", "total", "end"],
)
def test_a_run_that_is_no_longer_the_one_writes_nothing(path, happens, told, write):
    """No row counts twice, and no run ends well of which a record is lost."""
    store = a_store(path)
    path.with_name("empty").write_bytes(path.read_bytes())
    number = store.begin(a_run())
    path.with_name("backup").write_bytes(path.read_bytes())
    store.add(number, [an_entry("a")])
    happens(path)
    before = path.read_bytes()

    with pytest.raises(StoreError, match=told):
        write(store, number)

    assert path.read_bytes() == before
    store.close()


def test_a_run_that_lost_a_record_does_not_end_well(path):
    """Whatever wrote past its locks: the run counts what it has stored."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a"), an_entry("b")])
    other = sqlite3.connect(path)
    other.execute("DELETE FROM records WHERE id = 1")
    other.commit()
    other.close()

    with pytest.raises(StoreError, match="of 2 records that this run has stored there are 1"):
        store.end(number, a_run(status="complete"))
    store.close()


def test_shards_that_run_beside_each_other_write_one_evaluation(path):
    """What one adds is nothing that the other has to hear of; an earlier state is."""
    first, second = a_store(path), a_store(path)
    one, two = first.begin(a_run(), part="1/2"), second.begin(a_run(), part="2/2")
    path.with_name("backup").write_bytes(path.read_bytes())
    first.add(one, [an_entry("a")])
    second.add(two, [an_entry("b")])
    first.add(one, [an_entry("c")])
    restore(path)

    for store, number in ((first, one), (second, two)):
        with pytest.raises(StoreError, match="an earlier state"):
            store.add(number, [an_entry("d")])
        store.close()


def test_aggregates_fit_together_while_somebody_writes(path, monkeypatch):
    """They are of one moment: no figure counts what another has not seen."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a")])
    reader = a_store(path)
    waiting, real = [], reader._db.all

    def interrupted(query, *arguments):
        found = real(query, *arguments)
        if "revision" in query:
            thread = threading.Thread(target=store.add, args=(number, [an_entry("b", a_failure())]))
            thread.start()
            waiting.append(thread)
            thread.join(0.05)
        return found

    monkeypatch.setattr(reader._db, "all", interrupted)
    found = reader.tally("e", V)
    waiting[0].join()

    assert (found.scored, found.failed, sum(found.errors.values())) == (1, 0, 0)
    assert store.tally("e", V).failed == 1
    reader.close()
    store.close()


# --------------------------------------------------------------------- readers and writers


def test_a_slow_reader_does_not_hold_up_a_run(path, monkeypatch):
    """It holds nothing between its pages; what is added meanwhile is read at the end."""
    monkeypatch.setattr(archive, "_PAGE", 5)
    run = a_store(path, busy=0)  # which would fail at once
    number = run.begin(a_run())
    run.add(number, [an_entry(f"{n}") for n in range(20)])
    reader = a_store(path)

    found = []
    for n, record in enumerate(reader.records("e", V)):
        found.append(record.row["text"])
        if n < 20:
            run.add(number, [an_entry(f"new {n}", Result(Score(f"score {n}", n)))])

    assert found == [*map(str, range(20)), *(f"new {n}" for n in range(20))]
    reader.close()
    run.close()


def test_a_score_that_appears_while_somebody_reads_is_read(path, monkeypatch):
    """Its name was not known when the reading began."""
    monkeypatch.setattr(archive, "_PAGE", 1)
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a")])
    reader = store.records("e", V)
    next(reader)

    store.add(number, [an_entry("b", Result(Score("new", 1)))])

    assert [record.outcome.scores[0].name for record in reader] == ["new"]
    store.close()


def test_a_records_scores_are_of_the_same_moment(path, monkeypatch):
    """Between its texts and its scores nobody can change what it counts for."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a")])
    reader = a_store(path)
    waiting, real = [], reader._db.page

    def interrupted(*arguments, **options):
        found = real(*arguments, **options)
        thread = threading.Thread(target=store.mark, args=(number, [1], STALE))
        thread.start()
        waiting.append(thread)
        thread.join(0.05)
        return found

    monkeypatch.setattr(reader._db, "page", interrupted)
    record = next(reader.records("e", V))
    waiting[0].join()

    assert record.outcome.scores
    reader.close()
    store.close()


def test_a_damaged_text_is_told_with_its_record(filed):
    """Doctor can save the others."""
    filed.add(filed.begin(a_run()), [an_entry("a")])
    with filed._db.writing() as db:
        db.execute("UPDATE bodies SET body = 'x'")

    with pytest.raises(StoreError, match=r"is damaged: record 1: .* see `doteval doctor`"):
        list(filed.records("e", V))


def test_eight_processes_write_one_store(start, path):
    """Each its own evaluation; nobody fails and nothing is lost."""
    code = """
        import sys
        from storage.made import a_run, a_store, an_entry
        store = a_store(sys.argv[1])
        number = store.begin(a_run(evaluation=sys.argv[2]))
        for n in range(25):
            store.add(number, [an_entry(f"{sys.argv[2]}-{n}-{m}") for m in range(4)])
        store.end(number, a_run(status="complete"))
        store.close()
    """
    for process in [start(code, path, n) for n in range(8)]:
        said_by(process)

    store = a_store(path)
    assert [store.tally("e", f"{n}").scored for n in range(8)] == [100] * 8
    assert store._db.all("PRAGMA integrity_check") == [("ok",)]
    store.close()


# ------------------------------------------------------------------------------ query plans


def test_no_query_scans_a_table_where_an_index_will_do(filed):
    """
    A store may hold a million records of a hundred experiments: whatever is asked about one
    evaluation costs what that evaluation has.
    """
    queries = set()
    db = filed._db._db
    db.set_trace_callback(queries.add)
    for name in ("e", "other"):
        finished(filed, name)
    number = filed.begin(a_run())
    filed.stored(number)
    filed.add(number, [an_entry("c", Result(Score("s", 1)), replaces=2), an_entry("a", repeat=1)])
    filed.mark(number, [1, 2], STALE)
    filed.total(number, 3)
    with pytest.raises(Busy):
        filed.begin(a_run())
    for failed in (None, True, False):
        list(filed.records("e", V, failed=failed))
    list(filed.facts("e"))
    filed.attempts("e", V)
    filed.tally("e", V)
    filed.tally("other", V)
    list(filed.values("e", V, "s"))
    filed.total_of("e", V)
    filed.runs("e")
    filed.runs("e", V)
    filed.end(number, a_run(status="complete"))
    filed.begin(a_run(), fresh=True)
    filed.begin(a_run("other"), fresh=True, part="1/2")
    filed._claims.close()
    filed.rename("e", "new")
    filed.delete("new")
    db.set_trace_callback(None)

    allowed = {
        "SCAN experiments": "SELECT name, created FROM experiments",  # all are asked for
        "SCAN (subquery-1)": "GROUP BY name",  # the values of one evaluation
        **{f"SCAN (subquery-{n})": " LIMIT " for n in (2, 3, 4)},  # the ids of a page
    }
    plans = {}
    for query in queries:
        if not query.startswith(("SELECT", "UPDATE", "DELETE")) or "max(id)" in query:
            continue
        details = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
        plans[query] = [
            detail
            for detail in details
            if detail.startswith("SCAN") and allowed.get(detail, "\n") not in query
        ]
        sorted_by_hand = any("TEMP B-TREE FOR ORDER BY" in detail for detail in details)
        assert not (sorted_by_hand and " LIMIT " in query), query

    assert len(plans) > 40
    assert {query: scans for query, scans in plans.items() if scans} == {}


# ---------------------------------------------------------------------------------- opening


def test_memory_has_no_thread_and_no_file(tmp_path, monkeypatch):
    """So a virtual clock can drive a whole run, and nothing is left."""
    monkeypatch.chdir(tmp_path)
    before = threading.active_count()
    store = open_store("memory://")
    store.add(store.begin(a_run()), [an_entry()])

    assert store.inline
    assert str(store) == ":memory:"
    assert threading.active_count() == before
    assert os.listdir(tmp_path) == []
    store.close()


def test_a_file_is_opened_by_its_address(path, monkeypatch):
    """Made where there is none, unless somebody only wants to look."""
    monkeypatch.chdir(path.parent)
    with pytest.raises(StoreError, match=r"there is no store at .*results.db yet; run an eval"):
        open_store("results.db", create=False)
    assert not path.exists()

    store = open_store("results.db")

    assert not store.inline
    assert str(store) == str(path)
    assert store.anchor == path.parent
    store.close()
    open_store(path, create=False).close()


def test_odd_paths_are_only_paths(tmp_path):
    """Nothing in them is taken for a part of a URI."""
    for name in ["a b", "a?mode=ro", "a#b", "a%20b", "é", "a:b", "file:x", "a\udcffb"]:
        path = tmp_path / f"{name}.db"
        store = a_store(path)
        store.add(store.begin(a_run()), [an_entry()])
        store.close()

        assert path.exists()
    assert len([f for f in os.listdir(tmp_path) if f.endswith(".db")]) == 8


def test_a_plugin_makes_stores_of_its_scheme(tmp_path, monkeypatch):
    """It is given what follows the scheme, the anchor, and whether it may make one."""
    from doteval.storage import stores

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stores.registry, "_registered", dict(stores.registry._registered))
    stores.registry.register("mine", lambda *given: given)

    assert open_store("mine://host/db", create=False) == ("host/db", tmp_path, False)


def test_an_unknown_scheme_is_told(tmp_path, monkeypatch):
    """As any unknown name is; those that are built in are known like those of plugins."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotFound, match="no storage 'sqlit', did you mean 'sqlite'.* memory, "):
        open_store("sqlit://x")


def test_a_store_survives_having_its_row_of_a_run_seen_by_an_old_reader(path):
    """Two connections of one process, as the command line and a notebook have."""
    first, second = a_store(path), SqliteStore(Path(path), path.parent, create=False)
    number = first.begin(a_run())
    first.add(number, [an_entry("a", usage=Usage(1, 2, 0.5))])

    assert second.runs("e")[0].status == "running"
    assert second.tally("e", V).cost == 0.5
    first.end(number, a_run(status="complete"))
    assert second.runs("e")[0].status == "complete"
    first.close()
    second.close()


def test_a_store_that_is_not_there_is_not_made_by_who_only_looks(tmp_path):
    """Opening it tells so, whatever removed it since somebody looked."""
    with pytest.raises(StoreError):
        SqliteStore(tmp_path / "none.db", tmp_path, create=False)
    assert not (tmp_path / "none.db").exists()
