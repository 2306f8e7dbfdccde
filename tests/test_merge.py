"""Several stores become one: `doteval merge`, and what it rests on."""

from __future__ import annotations

import json
import os
import sqlite3
from itertools import chain
from pathlib import Path

import pytest

from doteval import foreach, run
from doteval.cli import main
from doteval.errors import Busy, NotFound, StoreError, UsageError
from doteval.record import LIVE, STALE, SUPERSEDED, Result, Run, Score, Usage
from doteval.reporting.gate import Stored as Evidence
from doteval.reporting.gate import judge, parse
from doteval.reporting.summary import summarise
from doteval.storage import locate, open_store
from doteval.storage.archive import Ran
from doteval.storage.merging import Disagreement, Merged, Theirs, merge, take
from doteval.storage.parts import shards_of
from doteval.storage.rivals import Rivals, Row
from doteval.storage.transfer import transfer
from tests.storage.made import a_failure, a_run, a_store, an_attempt, an_entry

NAME = "f.py::v"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory for stores that are named in short."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".doteval").mkdir()
    return tmp_path


def merged(out, *sources, **options):
    """Merge stores that are named in short."""
    return merge(locate(out), [locate(each) for each in sources], **options)


def recorded(path, *entries, started=10.0, status="complete", shard="", end=True, **more):
    """Add a run to a store; entries are what `an_entry` or `an_attempt` made."""
    header = {"columns": ["text"], "repeats": 1, "source": "abc", **more.pop("header", {})}
    total, fresh, uid = more.pop("total", None), more.pop("fresh", False), more.pop("uid", None)
    begun = a_run(header={**header, "shard": shard or None, "fresh": fresh}, **more)
    begun = Run(
        uid or begun.uid, begun.experiment, begun.evaluation, started, None, 0.0, "running",
        begun.pid, begun.header,
    )  # fmt: skip
    store = a_store(path)
    number = store.begin(begun, fresh=fresh, part=shard)
    store.add(number, entries)
    if total is not None:
        store.total(number, total)
    if end:
        store.end(
            number,
            Run(
                begun.uid, begun.experiment, begun.evaluation, started, started + 1, 1.0, status,
                begun.pid, begun.header,
            ),
        )  # fmt: skip
    store.close()
    return begun.uid


def rows(path, state=LIVE, experiment="e", evaluation=NAME):
    """(text of the row, whether it failed, start) of each record."""
    store = a_store(path)
    found = sorted(
        (record.row["text"], record.failed, record.started)
        for record in store.records(experiment, evaluation, state=state)
    )
    store.close()
    return found


def in_sql(path, statement):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()


def contents(path):
    """All that is in a store, whatever the numbers of its rows."""
    db = sqlite3.connect(path)
    found = {
        "runs": db.execute("SELECT uid, part, status, finished, error FROM runs").fetchall(),
        "records": db.execute(
            "SELECT uid, key, digest, repeat, state, records.error, body, input_tokens "
            "FROM records JOIN runs ON run = runs.id JOIN bodies ON record = records.id"
        ).fetchall(),
        "scores": db.execute(
            "SELECT uid, key, repeat, score_names.name, value, scores.boolean, metrics FROM scores "
            "JOIN records ON record = records.id JOIN runs ON run = runs.id "
            "JOIN score_names ON scores.name = score_names.id"
        ).fetchall(),
        "attempts": db.execute(
            "SELECT uid, key, number, message FROM attempts JOIN runs ON run = runs.id"
        ).fetchall(),
        "evaluations": db.execute("SELECT name, total FROM evaluations").fetchall(),
    }
    db.close()
    return {name: sorted(each, key=repr) for name, each in found.items()}


# ------------------------------------------------------------------------------ shards


def evaluation(n=60):
    @foreach("text", [f"row {i}" for i in range(n)])
    def eval_v(text):
        if text == "row 7":
            raise ValueError("seven")
        return Result(
            Score("right", len(text) % 2 == 0, ("accuracy",)),
            prompt=text,
            usage=Usage(input_tokens=3),
        )

    return eval_v


def in_shards(folder, n=60, shards=("1/3", "2/3", "3/3")):
    """A store for each shard."""
    paths = []
    for at, shard in enumerate(shards, 1):
        paths.append(str(folder / f"m{at}.db"))
        run(evaluation(n), "e", paths[-1], shard=shard, progress=False)
    return paths


def test_the_shards_of_a_run_become_one_experiment(folder):
    """What comes together is what one machine would have made."""
    sources = in_shards(folder)
    run(evaluation(), "e", folder / "alone.db", progress=False)

    (found,) = merged("all.db", *sources)

    together, alone = (open_store(folder / name) for name in ("all.db", "alone.db"))
    (name,) = together.evaluations("e")
    summary, expected = summarise(together, "e", name), summarise(alone, "e", name)
    together.close()
    alone.close()
    assert (found.runs, found.records, found.total, found.live) == (3, 60, 60, 60)
    assert (found.missing, found.absent, found.conflicts) == (0, (), 0)
    assert summary.scores == expected.scores
    assert (summary.scored, summary.failed, summary.missing) == (59, 1, 0)
    assert summary.errors == {"ValueError": 1}
    assert summary.usage == expected.usage


def test_the_same_merge_twice_changes_nothing(folder):
    sources = in_shards(folder)
    merged("all.db", *sources)
    before = (folder / "all.db").read_bytes()

    (found,) = merged("all.db", *sources)

    assert (found.runs, found.records, found.attempts) == (0, 0, 0)
    assert (folder / "all.db").read_bytes() == before


def test_the_order_of_the_stores_does_not_matter(folder):
    recorded("a.db", an_entry("x", started=20.0), an_entry("y", a_failure(), started=21.0))
    recorded("b.db", an_entry("x", started=10.0), an_entry("y", started=11.0))
    recorded("c.db", an_entry("x", started=15.0), an_entry("z", a_failure(), started=11.0))

    merged("one.db", "a.db", "b.db", "c.db")
    merged("two.db", "c.db", "b.db", "a.db")
    merged("three.db", "b.db")
    merged("three.db", "a.db", "b.db")
    merged("three.db", "c.db", "a.db")

    assert contents("one.db") == contents("two.db") == contents("three.db")
    assert rows("one.db") == [("x", False, 10.0), ("y", False, 11.0), ("z", True, 11.0)]


def test_a_merged_experiment_resumes(folder):
    """Nothing that a shard has done is done again."""
    sources = in_shards(folder, shards=("1/3", "2/3"))
    (partial,) = merged("all.db", *sources)

    summary = run(evaluation(), "e", folder / "all.db", progress=False)

    assert partial.absent == ("3/3",)
    assert (summary.scored, summary.failed, summary.missing) == (59, 1, 0)
    assert summary.shards == {}


def test_a_merge_brings_what_is_new_in_a_store(folder):
    """A shard that was interrupted is resumed where it was, and merged again."""
    recorded("m.db", an_entry("x", a_failure()), an_attempt("x"), shard="1/2", status="interrupted")
    (first,) = merged("all.db", "m.db")
    recorded("m.db", an_entry("x", started=200.0, replaces=1), an_entry("y"), shard="1/2",
             started=30.0, total=4)  # fmt: skip

    (second,) = merged("all.db", "m.db")

    assert first.unfinished == (("1/2", "interrupted"),)
    assert (first.attempts, second.attempts) == (1, 0)
    assert (second.records, second.replaced, second.unfinished) == (2, 1, ())
    assert (second.total, second.live, second.missing) == (4, 2, 2)
    assert rows("all.db") == [("x", False, 200.0), ("y", False, 100.0)]
    assert rows("all.db", SUPERSEDED) == [("x", True, 100.0)]


def test_a_run_that_goes_on_is_merged_as_far_as_it_is(folder):
    """Its later records, and its end, come with the next merge."""
    store = a_store("m.db")
    begun = a_run()
    number = store.begin(begun)
    store.add(number, [an_entry("x"), an_attempt("x")])
    (first,) = merged("all.db", "m.db")
    half = contents("all.db")
    store.add(number, [an_entry("y"), an_attempt("y")])
    store.end(number, a_run(status="complete", finished=5.0))
    store.close()
    (second,) = merged("all.db", "m.db")

    assert (first.records, first.attempts, second.records, second.attempts) == (1, 1, 1, 1)
    assert half["runs"][0][2] == "interrupted"
    assert "still running" in half["runs"][0][4]
    assert contents("all.db") == contents("m.db")


def test_a_crashed_run_is_merged_once(folder):
    """It has no end that would tell that all of it was merged; so its rows are compared."""
    recorded("m.db", an_entry("x"), an_attempt("x"), end=False)
    merged("all.db", "m.db")
    before = contents("all.db")

    (found,) = merged("all.db", "m.db")

    assert (found.records, found.runs, found.attempts) == (0, 0, 0)
    assert contents("all.db") == before
    assert found.live == 1


def test_a_run_that_begins_meanwhile_waits_for_the_next_merge(folder):
    """Only what a store had when it was first looked at is merged, so a run is whole or open."""
    recorded("m.db", an_entry("x"))
    source, target = a_store("m.db", read_only=True), a_store("all.db")
    facts = source.facts("e", NAME)
    begun = next(facts)
    recorded("m.db", an_entry("y"), an_attempt("y"), started=50.0)

    (found,) = transfer(
        target.database, target.claims, "e", 1.0, chain([begun], facts), merging=True
    )
    source.close()
    target.close()
    (later,) = merged("all.db", "m.db")

    assert (found.runs, found.records) == (1, 1)
    assert (later.runs, later.records, later.attempts) == (1, 1, 1)


def test_what_was_pruned_does_not_come_back(folder):
    recorded("m.db", an_entry("x", a_failure()))
    recorded("m.db", an_entry("x", replaces=1), started=20.0)
    merged("all.db", "m.db")
    main(["prune", "--storage", "all.db", "--keep", "0", "--yes"])
    recorded("m.db", an_entry("y"), started=30.0)

    (found,) = merged("all.db", "m.db")

    assert (found.runs, found.records) == (1, 1)
    assert rows("all.db", SUPERSEDED) == []


def test_what_was_pruned_in_a_source_meanwhile_is_left_out(folder):
    """A record whose text is gone between two looks at it is gone as a whole."""
    recorded("m.db", an_entry("x"), an_entry("y"))
    in_sql("m.db", "DELETE FROM bodies WHERE record = 2")

    (found,) = merged("all.db", "m.db")

    assert found.records == 1
    assert rows("all.db") == [("x", False, 100.0)]


def test_long_texts_are_read_a_page_at_a_time(folder):
    """Memory does not grow with the texts."""
    long = "x" * 3_000_000
    recorded("m.db", *[an_entry(n, row={"text": f"{n} {long}"}) for n in range(4)])

    (found,) = merged("all.db", "m.db")

    assert found.records == 4
    assert contents("all.db") == contents("m.db")


def test_scores_of_other_evaluations_are_not_read(folder):
    """Records of one evaluation may have all of another between them."""
    recorded("m.db", an_entry("x"))
    recorded("m.db", *[an_entry(n) for n in range(50)], evaluation="f.py::other")
    recorded("m.db", an_entry("y"), started=20.0)
    source, target = a_store("m.db", read_only=True), a_store("all.db")
    found, queries = Merged(), []
    source.database._db.set_trace_callback(queries.append)

    take(target, found, Theirs(source, ("e", NAME), 1.0, source.runs("e", NAME)))

    source.database._db.set_trace_callback(None)
    (query,) = [each for each in queries if "JOIN scores" in each]
    assert (found.records, len(source.database.all(query))) == (2, 2)
    source.close()
    target.close()


def test_many_records_are_read_in_pages(folder):
    recorded("m.db", *[an_entry(n) for n in range(1000)], *[an_attempt(n) for n in range(1000)])

    (found,) = merged("all.db", "m.db")

    assert (found.records, found.attempts, found.live) == (1000, 1000, 1000)
    assert contents("all.db") == contents("m.db")


def test_values_arrive_as_they_were(folder):
    """NaN, infinities and integers beyond 63 bits survive, and texts with lone surrogates."""
    values = [float("nan"), float("inf"), 2**70, True, 3]
    recorded(
        "m.db",
        *[
            an_entry(n, Result(Score("s", value, ("mean",)), prompt="\ud800"))
            for n, value in enumerate(values)
        ],
    )

    merged("all.db", "m.db")

    store = a_store("all.db")
    found = [record.outcome for record in store.records("e", NAME)]
    store.close()
    assert [repr(each.scores[0].value) for each in found] == [repr(each) for each in values]
    assert found[0].prompt == "\ud800"


def test_an_interrupted_merge_shows_as_interrupted_and_goes_on(folder):
    """What was on its way is not taken for all, and the next merge brings the rest."""
    recorded("m.db", an_entry("x"), evaluation="f.py::one")
    page = [an_entry(f"{n}") for n in range(400)]
    recorded("m.db", *page, an_entry("y"), an_attempt("z"), evaluation="f.py::two")
    in_sql("m.db", "UPDATE attempts SET outcome = 7")  # the last thing to be read

    with pytest.raises(StoreError, match="expected one of: congestion"):
        merged("all.db", "m.db")
    half = contents("all.db")
    in_sql("m.db", "UPDATE attempts SET outcome = 'ignored'")
    found = merged("all.db", "m.db")

    assert sorted(run[2:4] for run in half["runs"]) == [("complete", 11.0), ("interrupted", None)]
    assert len(half["records"]) == 401
    assert [each.records for each in found] == [0, 1]
    assert contents("all.db") == contents("m.db")


# ------------------------------------------------------------------------ which counts


def a_row(id=None, run=1, state=LIVE, failed=False, digest=None, started=10.0):
    return Row(id, run, state, failed, digest, started)


UIDS = {1: "a", 2: "b", 3: "c"}


def decided(theirs, *mine, here=(), there=()):
    """States by id, and whether it is a conflict; runs are given as when they began anew."""
    runs = [[a_run(header={"fresh": True}) for _ in side] for side in (here, there)]
    for side, times in zip(runs, (here, there), strict=True):
        side[:] = [
            Run(each.uid, "e", "v", time, None, 0.0, "complete", 1, each.header)
            for each, time in zip(side, times, strict=True)
        ]
    states, conflict = Rivals(*runs, UIDS).decide(theirs, list(mine))
    return dict(states), conflict


@pytest.mark.parametrize("state", [LIVE, STALE, SUPERSEDED])
def test_a_record_without_rivals_is_taken_as_it_is(state):
    assert decided(a_row(state=state)) == ({None: state}, False)


def test_a_result_counts_and_not_a_failure():
    failure, result = a_row(7, failed=True, started=50.0), a_row(run=2)

    assert decided(result, failure) == ({7: SUPERSEDED, None: LIVE}, False)
    assert decided(a_row(failed=True, run=2, started=50.0), a_row(7)) == (
        {None: SUPERSEDED, 7: LIVE},
        False,
    )


@pytest.mark.parametrize(("mine", "winner"), [(5.0, 7), (20.0, None), (10.0, 7)])
def test_of_two_results_the_earlier_counts_and_that_is_a_conflict(mine, winner):
    """Where both began at once, the run with the smaller id decides."""
    states, conflict = decided(a_row(run=2), a_row(7, started=mine))

    loser = None if winner else 7
    assert states == {winner: LIVE, loser: SUPERSEDED}
    assert conflict


@pytest.mark.parametrize(("mine", "winner"), [(5.0, None), (20.0, 7)])
def test_of_two_failures_the_later_counts(mine, winner):
    theirs, other = a_row(run=2, failed=True), a_row(7, started=mine, failed=True)

    states, conflict = decided(theirs, other)

    assert states == {winner: LIVE, (None if winner else 7): SUPERSEDED}
    assert not conflict


def test_a_row_counts_if_it_does_in_one_of_the_stores():
    """One of two records of the same content remains."""
    assert decided(a_row(run=2, state=STALE, started=5.0), a_row(7)) == (
        {7: SUPERSEDED, None: LIVE},
        False,
    )
    assert decided(a_row(run=2), a_row(7, state=STALE, started=5.0)) == (
        {None: SUPERSEDED, 7: LIVE},
        False,
    )


@pytest.mark.parametrize(("failed", "outdated"), [(False, STALE), (True, SUPERSEDED)])
def test_of_two_contents_of_a_row_the_newer_counts(failed, outdated):
    """The id says that it is one row; what it was before counts when it is that again."""
    old = a_row(7, digest=b"old", failed=failed)
    new = a_row(7, digest=b"new")

    assert decided(a_row(run=2, digest=b"new", started=20.0), old) == (
        {7: outdated, None: LIVE},
        False,
    )
    assert decided(a_row(run=2, digest=b"old", started=5.0, failed=failed), new) == (
        {None: outdated},
        False,
    )


def test_a_row_that_was_changed_and_changed_back_has_one_record_that_counts():
    """Its twin of the same content, and the record of the other content, both give way."""
    twin, other = a_row(7, state=STALE, digest=b"a"), a_row(8, digest=b"b", started=15.0)

    states, _ = decided(a_row(run=2, digest=b"a", started=20.0), twin, other)

    assert sorted(states.values()) == [LIVE, STALE, SUPERSEDED] or states == {
        None: SUPERSEDED,
        7: STALE,
    }


def test_what_was_run_anew_counts():
    """`--fresh` in one store is no conflict with what another one has from before."""
    old, new = a_row(7, started=10.0), a_row(run=2, started=50.0)

    assert decided(new, old, there=[40.0]) == ({7: SUPERSEDED, None: LIVE}, False)
    assert decided(a_row(run=2), a_row(7, started=50.0), here=[40.0]) == (
        {None: SUPERSEDED, 7: LIVE},
        False,
    )
    assert decided(a_row(run=2, digest=b"a", started=50.0), a_row(7, digest=b"b", started=10.0),
                   there=[40.0])[0][None] == LIVE  # fmt: skip


def test_superseded_records_of_out_are_no_rivals():
    assert decided(a_row(run=2), a_row(7, state=SUPERSEDED)) == ({None: LIVE}, False)


@pytest.mark.parametrize(
    ("theirs", "mine", "states"),
    [
        (LIVE, LIVE, {}),
        (STALE, LIVE, {7: STALE}),
        (LIVE, STALE, {7: LIVE}),
        (SUPERSEDED, LIVE, {7: SUPERSEDED}),
        (LIVE, SUPERSEDED, {}),
    ],
)
def test_a_record_that_was_merged_follows_its_store(theirs, mine, states):
    assert decided(a_row(state=theirs), a_row(7, state=mine)) == (states, False)


def test_a_record_does_not_come_back_beside_one_that_counts():
    assert decided(a_row(), a_row(7, state=STALE), a_row(8, run=2)) == ({}, False)


def test_conflicts_are_told_with_their_rows(folder):
    for name, started in (("a.db", 10.0), ("b.db", 20.0)):
        recorded(name, *[an_entry(n, started=started, position=n) for n in range(12)])

    (found,) = merged("all.db", "b.db", "a.db")

    assert (found.conflicts, found.replaced, found.live) == (12, 12, 12)
    assert found.positions == tuple(range(10))
    assert {started for *_, started in rows("all.db")} == {10.0}


def test_a_row_with_an_id_that_was_changed_has_one_record_that_counts(folder):
    recorded("a.db", an_entry("x", digest=b"1" * 8, started=10.0))
    recorded("b.db", an_entry("x", digest=b"2" * 8, started=20.0))

    merged("all.db", "b.db", "a.db")

    assert rows("all.db") == [("x", False, 20.0)]
    assert rows("all.db", STALE) == [("x", False, 10.0)]


def test_metrics_and_total_are_those_of_the_later_run(folder):
    recorded("a.db", an_entry("x", Result(Score("s", 1, ("mean",)))), started=10.0, total=1)
    recorded("b.db", an_entry("y", Result(Score("s", 1, ("median",)))), started=20.0, total=2)

    for name, order in (("one.db", ("a.db", "b.db")), ("two.db", ("b.db", "a.db"))):
        merged(name, *order, force=True)

    assert contents("one.db")["scores"] == contents("two.db")["scores"]
    assert contents("one.db")["scores"][0][-1] == '["median"]'
    assert contents("one.db")["evaluations"] == contents("two.db")["evaluations"] == [(NAME, 2)]


# --------------------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"columns": ["text", "more"]}, "different columns: text and text, more"),
        ({"repeats": 3}, "different repeats: 1 and 3"),
        ({"source": "xyz"}, "different sources of the function: abc and xyz"),
        ({"total": 7}, "different totals: 5 and 7"),
    ],
)
def test_different_evaluations_of_one_name_are_not_merged(folder, header, said):
    recorded("a.db", an_entry("x"), header={"total": 5})
    recorded("b.db", an_entry("y"), header={"total": 5, **header})

    with pytest.raises(Disagreement, match=said):
        merged("all.db", "a.db", "b.db")
    nothing = (folder / "all.db").exists()
    (found,) = merged("all.db", "a.db", "b.db", force=True)

    assert not nothing
    assert (found.records, found.differ) == (2, (said,))


def test_different_divisions_are_told(folder):
    recorded("a.db", an_entry("x"), shard="1/2")
    recorded("b.db", an_entry("y"), shard="2/3")

    with pytest.raises(Disagreement, match="divided into 2 and 3 shards"):
        merged("all.db", "a.db", "b.db")


def test_rows_that_two_divisions_have_in_common_are_found(folder):
    """So are those of one shard that two machines have run."""
    recorded("a.db", an_entry("x"), shard="1/2")
    recorded("b.db", an_entry("x", started=50.0), shard="2/3")
    recorded("c.db", an_entry("x", started=10.0), shard="1/2")

    (divided,) = merged("one.db", "a.db", "b.db", force=True)
    (twice,) = merged("two.db", "a.db", "c.db")

    assert (divided.conflicts, divided.live, twice.conflicts, twice.live) == (1, 1, 1, 1)


def test_the_total_of_a_dataset_without_a_length_is_compared(folder):
    recorded("a.db", an_entry("x"), total=5)
    recorded("b.db", an_entry("y"), total=7)
    recorded("c.db", an_entry("y"), total=9, status="interrupted")

    with pytest.raises(Disagreement, match="different totals: 5 and 7"):
        merged("all.db", "a.db", "b.db")
    (found,) = merged("all.db", "a.db", "c.db")

    assert found.total == 5


def test_a_store_that_has_gone_on_agrees_with_what_it_was(folder):
    """What was merged before is the past of the same store, not another evaluation."""
    recorded("a.db", an_entry("x"), shard="1/2")
    merged("all.db", "a.db")
    recorded("a.db", an_entry("y"), shard="1/2", started=20.0, header={"source": "new"})
    (found,) = merged("all.db", "a.db")
    recorded("a.db", an_entry("z"), started=30.0, header={"source": "newer"})
    (again,) = merged("all.db", "a.db")

    assert (found.records, again.records) == (1, 1)


def test_shards_that_nobody_has_changed_do_not_agree_with_one_that_was(folder):
    recorded("a.db", an_entry("x"), shard="1/2")
    recorded("b.db", an_entry("y"), shard="2/2")
    merged("all.db", "a.db", "b.db")
    recorded("a.db", an_entry("z"), shard="1/2", started=20.0, header={"source": "new"})

    with pytest.raises(Disagreement, match="sources of the function"):
        merged("all.db", "a.db")
    recorded("b.db", an_entry("u"), shard="2/2", started=20.0, header={"source": "new"})
    (found,) = merged("all.db", "a.db", "b.db")

    assert found.records == 2


# ------------------------------------------------------------------------------ shards


def some_runs(*facts):
    return [
        Run(str(at), "e", "v", started, 1.0, 1.0, status, 1, {"shard": shard})
        for at, (shard, started, status) in enumerate(facts)
    ]


def test_the_shards_of_an_evaluation_are_known_from_its_runs():
    runs = some_runs(("1/3", 3.0, "complete"), ("3/3", 2.0, "stalled"), ("1/3", 1.0, "interrupted"))

    assert shards_of(runs) == {"1/3": "complete", "2/3": "absent", "3/3": "stalled"}
    assert shards_of(some_runs((None, 9.0, "complete")) + runs[:1]) == {}
    assert shards_of([]) == {}


def test_gates_wait_for_the_other_shards(folder):
    """Half of the rows prove nothing about all, unless somebody says that they do."""
    sources = in_shards(folder, shards=("1/2", "2/2"))
    merged("half.db", sources[0])
    merged("all.db", *sources)

    def outcomes(path, **options):
        store = open_store(path)
        gates = [parse("right >= 0"), parse("missing == 0"), parse("errors <= 1")]
        found = judge(gates, Evidence(store, "e"), **options)
        store.close()
        return [each.outcome for each in found], found[0].message

    half, said = outcomes("half.db")
    assert half == ["undecided", "fail", "undecided"]
    assert "shard 2/2 absent" in said and "--partial" in said
    assert outcomes("half.db", partial=True)[0] == ["pass", "fail", "pass"]
    assert outcomes("all.db")[0] == ["pass", "pass", "pass"]


def test_gates_wait_for_a_shard_that_is_there_in_part(folder):
    sources = in_shards(folder, shards=("1/2", "2/2"))
    run(evaluation(), "f", folder / "m1.db", shard="1/2", progress=False, samples=3)
    run(evaluation(), "f", folder / "m2.db", shard="2/2", progress=False)
    merged("all.db", *sources, experiments=["f"])

    code = main(["gate", "f", "right >= 0", "--storage", "all.db"])
    partial = main(["gate", "f", "right >= 0", "--storage", "all.db", "--partial"])

    assert (code, partial) == (3, 0)


def test_one_record_of_another_shard_is_missing(folder, capsys):
    @foreach("letter", ["a", "b"])
    def eval_two(letter):
        return True

    run(eval_two, "e", "half.db", shard="2/4", progress=False)
    code = main(["gate", "e", "eval_two >= 0", "--storage", "half.db"])

    assert code == 3
    assert "1 record of other shards is missing" in capsys.readouterr().out


def test_gates_wait_where_the_end_of_the_dataset_is_unknown(folder):
    recorded("m.db", an_entry("x"), shard="1/2")
    merged("all.db", "m.db")
    store = open_store("all.db")

    (found,) = judge([parse("right >= 0")], Evidence(store, "e"))
    store.close()

    assert found.outcome == "undecided"
    assert found.message.startswith("rows of other shards are missing (shard 2/2 absent)")


# --------------------------------------------------------------------------- bad usage


def test_a_store_is_merged_into_another(folder):
    recorded("a.db", an_entry("x"))
    os.symlink("a.db", "same.db")

    with pytest.raises(UsageError, match="given twice"):
        merged("a.db", "same.db")
    with pytest.raises(UsageError, match="only stores in SQLite files"):
        merged("all.db", "memory://")
    with pytest.raises(NotFound, match="there is no store at .*nothing.db"):
        merged("all.db", "a.db", "nothing.db")

    assert not Path("all.db").exists()


def test_an_experiment_that_no_store_has_is_named(folder):
    recorded("a.db", an_entry("x"))
    recorded("a.db", an_entry("x"), experiment="other")
    a_store("empty.db").close()

    with pytest.raises(NotFound, match="no source has an experiment 'f'; there are: 'e', 'other'"):
        merged("all.db", "a.db", experiments=["f"])
    with pytest.raises(NotFound, match="there are: none"):
        merged("all.db", "empty.db", experiments=["f"])
    found = merged("all.db", "a.db", "empty.db", experiments=["other"])

    assert [each.experiment for each in found] == ["other"]


def test_an_evaluation_that_is_being_run_is_not_merged_into(folder):
    recorded("a.db", an_entry("x"))
    store = a_store("all.db")
    store.begin(a_run())

    with pytest.raises(Busy, match="f.py::v of experiment 'e' is being run in .*all.db"):
        merged("all.db", "a.db")
    store.close()
    (found,) = merged("all.db", "a.db")

    assert found.records == 1


def test_a_source_that_is_no_store_ends_it_before_anything_is_made(folder):
    recorded("a.db", an_entry("x"))
    Path("b.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)

    code = main(["merge", "all.db", "a.db", "b.db"])

    assert code == 4
    assert not Path("all.db").exists()


# ------------------------------------------------------------------------- the command


def said(capsys, *arguments):
    capsys.readouterr()
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_tells_what_is_missing(folder, capsys):
    recorded("a.db", an_entry("x"), shard="1/4", header={"total": 9}, status="interrupted")
    recorded("b.db", an_entry("y"), shard="2/4", header={"total": 9})

    code, out, err = said(capsys, "merge", "all.db", "a.db", "b.db")

    assert (code, err) == (0, "")
    assert out == (
        f"merged into {folder}/all.db: 2 new records\n"
        "\n"
        "experiment e\n"
        "v · 2 of 9 records · 2 new records · 2 new runs\n"
        "  missing     shards 3/4, 4/4: no run of it is in these stores\n"
        "  unfinished  shard 1/4 is interrupted: resume it there, and merge again\n"
        "  incomplete  7 records missing\n"
    )


def test_the_command_tells_conflicts_and_what_differs(folder, capsys):
    recorded("a.db", *[an_entry(n, started=1.0, position=n) for n in range(11)])
    recorded("b.db", *[an_entry(n, position=n) for n in range(11)], header={"repeats": 2})
    recorded("b.db", an_entry("x"), experiment="f", evaluation="f.py::w")
    recorded("b.db", an_entry("x"), experiment="f", evaluation="f.py::u")

    code, out, _ = said(capsys, "merge", "all.db", "a.db", "b.db", "--force")
    refused, _, why = said(capsys, "merge", "other.db", "a.db", "b.db")

    assert code == 0
    assert "v · 11 records · 22 new records · 2 new runs\n" in out
    assert "  conflicts   11 rows had a result in two stores, at 0, 1, 2, 3, 4, 5, 6, 7, 8" in out
    assert "9, ... (from 0)" in out
    assert "  different   different repeats: 1 and 2\n" in out
    assert "experiment f\nw · 1 record · 1 new record · 1 new run\nu · 1 record" in out
    assert refused == 2
    assert why.startswith("doteval: the stores hold different evaluations under one name: f.py::v")


def test_the_command_prints_json(folder, capsys):
    recorded("a.db", an_entry("x"), shard="1/2", status="stalled")
    said(capsys, "merge", "all.db", "a.db")

    _, out, _ = said(capsys, "merge", "all.db", "a.db", "--experiment", "e", "--json")

    (found,) = json.loads(out)["evaluations"]
    assert found["records"] == 0
    assert found["absent"] == ["2/2"]
    assert found["unfinished"] == {"1/2": "stalled"}
    assert (found["total"], found["missing"], found["live"]) == (None, None, 1)


def test_the_command_with_nothing_to_merge(folder, capsys):
    a_store("empty.db").close()
    recorded("a.db", an_entry("x"), an_entry("x", a_failure(), repeat=1))
    recorded("b.db", an_entry("x", started=1.0), started=5.0)
    said(capsys, "merge", "all.db", "a.db")

    assert said(capsys, "merge", "none.db", "empty.db")[1] == (
        "there is nothing to merge: the stores have no experiments\n"
    )
    assert "nothing new" in said(capsys, "merge", "all.db", "a.db")[1]
    assert "1 replaced" in said(capsys, "merge", "all.db", "b.db")[1]


def test_the_command_takes_no_storage(folder, capsys):
    code, _, err = said(capsys, "merge", "all.db", "a.db", "--storage", "x.db")

    assert code == 2
    assert "as arguments" in err


def test_a_merge_after_a_rename_brings_what_is_new(folder):
    """A nightly job merges, then names what came after the day: a run may be in both."""
    recorded("a.db", an_entry("x"))
    merged("all.db", "a.db")
    assert main(["rename", "e", "monday", "--storage", "all.db"]) == 0
    recorded("a.db", an_entry("y"), started=20.0)

    (found,) = merged("all.db", "a.db")
    (again,) = merged("all.db", "a.db")

    assert (found.runs, found.records, found.live) == (2, 2, 2)
    assert (again.runs, again.records, again.conflicts) == (0, 0, 0)
    assert rows("all.db", experiment="monday") == [("x", False, 100.0)]


def test_a_copy_is_merged_like_its_original(folder):
    """An imported experiment whose store has the original too is still the same runs."""
    recorded("a.db", an_entry("x"), an_attempt("x"))
    assert main(["export", "e", "-o", "e.jsonl", "--storage", "a.db"]) == 0
    assert main(["import", "e.jsonl", "--name", "copy", "--storage", "a.db"]) == 0
    recorded("a.db", an_entry("y"), started=20.0, experiment="copy")

    merged("all.db", "a.db")
    assert main(["delete", "e", "--yes", "--storage", "all.db"]) == 0
    assert main(["rename", "copy", "e", "--storage", "all.db"]) == 0
    found = {each.experiment: each for each in merged("all.db", "a.db")}

    assert (found["e"].runs, found["e"].records, found["e"].conflicts) == (0, 0, 0)
    assert (found["copy"].runs, found["copy"].records) == (2, 2)
    assert len(rows("all.db")) == len(rows("all.db", experiment="copy")) == 2


def test_a_copy_of_a_run_that_went_on_is_still_the_same_run(folder):
    """What is known of a run may change after it was merged; which run it is does not."""
    begun = recorded("a.db", an_entry("x"), end=False)
    merged("all.db", "a.db")
    assert main(["rename", "e", "monday", "--storage", "all.db"]) == 0
    merged("all.db", "a.db")
    in_sql("a.db", "UPDATE runs SET status = 'complete', finished = 30.0")

    (ended,) = merged("all.db", "a.db")
    (again,) = merged("all.db", "a.db")

    assert (ended.runs, ended.records, again.runs, again.records) == (0, 0, 0, 0)
    store = a_store("all.db")
    (fact,) = [each.run for each in store.facts("e") if isinstance(each, Ran)]
    store.close()
    assert (fact.uid, fact.status) == (begun, "complete")
