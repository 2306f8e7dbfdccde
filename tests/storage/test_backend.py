from __future__ import annotations

from dataclasses import replace

import pytest

from doteval import foreach, replayable, run
from doteval.cli import main
from doteval.errors import Busy, NotFound, UsageError
from doteval.record import Attempt, Result, Score
from doteval.reporting.summary import summarise
from doteval.storage import stores
from doteval.storage.backend import BackedStore
from doteval.storage.exchange import export_lines, import_lines
from doteval.storage.transfer import transfer
from tests.plugin.doteval_folder import FolderStore, open_folder
from tests.stocked import BEGAN, EVALUATION, recorded, stock

from .made import a_run, an_entry, entry_of, key_of

OF = ("first", EVALUATION)


@pytest.fixture
def folder(tmp_path):
    """Of the store of a plugin."""
    return tmp_path / "folder"


@pytest.fixture
def backed(folder):
    """What doteval makes of it."""
    store = BackedStore(FolderStore(folder), folder)
    yield store
    store.close()


def fill(store, name="first"):
    """An experiment of two runs, with a failure, one that was replaced, and an attempt."""
    scored = [recorded(n, Score("exact", n % 3 == 0), Score("far", n / 7)) for n in range(9)]
    attempt = Attempt(key_of("a"), 0, 1, 1.0, 0.5, "trouble", "OSError", "no")
    stock(store, name, [*scored, recorded(9)], attempts=[attempt], total=12)
    again = replace(a_run(name, EVALUATION), started=BEGAN + 200)
    number = store.begin(again)
    (failed,) = (each for each in store.stored(number) if each.failed)
    entries = [recorded(10), recorded(9, Score("new", 1))]
    ids = [None, failed.id]
    store.add(number, [entry_of(e, replaces=id) for e, id in zip(entries, ids, strict=True)])
    store.end(number, replace(again, status="complete", finished=2.0, duration=1.0))


def lines_of(store, name="first"):
    return "".join(export_lines(store, name)).encode().splitlines(keepends=True)


def test_what_is_made_of_a_backend_is_what_a_file_holds(backed, store):
    """Figures, records, values, exports: the same, whoever keeps the records."""
    fill(store)
    import_lines(backed, lines_of(store))

    assert lines_of(backed) == lines_of(store)
    assert summarise(backed, *OF).to_dict() == summarise(store, *OF).to_dict()
    assert list(backed.values(*OF, "far")) == list(store.values(*OF, "far"))
    assert list(backed.records(*OF)) == list(store.records(*OF))
    assert backed.attempts(*OF) == store.attempts(*OF)
    assert backed.runs("first") == store.runs("first")
    assert list(backed.calls(*OF)) == []


def test_a_backend_that_runs_have_written_tells_what_a_file_does(backed, store):
    """Replaced failures, totals and names of scores among them, whichever run has told them."""
    fill(backed)
    fill(store)

    theirs, ours = (summarise(each, *OF).to_dict() for each in (backed, store))
    assert theirs == ours
    assert backed.tally(*OF).superseded == 1


def test_an_import_into_a_backend_is_done_once(backed, store):
    """The same again changes nothing; more of it, or another one, is refused."""
    fill(store)
    lines = lines_of(store)
    import_lines(backed, lines)

    assert tuple(import_lines(backed, lines).amount) == (1, 0, 0, 0)
    stock(store, "first", [recorded(11)])
    with pytest.raises(UsageError, match="there is a part of experiment 'first' already"):
        import_lines(backed, lines_of(store))
    stock(store, "other", [recorded(1)])
    with pytest.raises(UsageError, match="of other runs"):
        import_lines(backed, lines_of(store, "other"), "first")
    assert lines_of(backed) == lines


def test_a_backend_takes_large_imports_and_those_without_runs(backed, store, monkeypatch):
    """It is written to a page at a time."""
    monkeypatch.setattr("doteval.storage.backend._PAGE", 3)
    fill(store)
    lines = lines_of(store)

    import_lines(backed, lines)
    assert lines_of(backed) == lines
    empty = b'{"type": "evaluation", "evaluation": "x", "total": null, "scores": {}}\n'
    end = b'{"type": "end", "records": 0, "attempts": 0}\n'
    import_lines(backed, [lines[0], empty, end], "empty")
    assert [name for name, _ in backed.experiments()] == ["first"]


def test_experiments_of_a_backend_are_renamed(backed, store):
    """Written under the new name, and deleted under the old."""
    fill(store)
    import_lines(backed, lines_of(store))

    backed.rename("first", "second")
    assert lines_of(backed, "second")[1:] == lines_of(store)[1:]
    with pytest.raises(NotFound, match="no experiment 'first'"):
        backed.evaluations("first")
    with pytest.raises(UsageError, match="already"):
        backed.rename("second", "second")
    with pytest.raises(UsageError, match="not blank"):
        backed.rename("second", " ")


def test_nobody_renames_what_is_being_run(backed):
    """Nor does a run find what an earlier version has stored under another name."""
    number = backed.begin(a_run())

    with pytest.raises(Busy, match="is being run by process"):
        backed.rename("e", "f")
    with pytest.raises(UsageError, match="is stored as old"):
        backed.begin(a_run(evaluation="f.py::w"), formerly="old")
    backed.end(number, a_run())


def test_a_look_sees_what_was_written_since(backed):
    """And only what has changed is copied anew."""
    number = backed.begin(a_run())
    backed.add(number, [an_entry("a")])

    assert backed.tally("e", "f.py::v").scored == 1
    backed.add(number, [an_entry("b")])
    assert backed.tally("e", "f.py::v").scored == 2
    backed.tell(number, "it waits")
    assert backed.runs("e")[0].error is None
    with pytest.raises(NotFound, match="no evaluation 'x'"):
        backed.tally("e", "x")
    assert [run.status for run in backed.runs("e", "f.py::v")] == ["running"]


@pytest.fixture
def scheme(monkeypatch):
    """Of addresses that the plugin opens."""
    monkeypatch.setitem(stores.registry._registered, "folder", open_folder)
    return "folder://s"


def test_a_run_resumes_what_a_plugin_keeps(scheme, tmp_path, monkeypatch, capsys):
    """As through the command line one looks at it, and with what it can not do."""
    monkeypatch.chdir(tmp_path)
    asked = []
    ask = replayable(lambda n: asked.append(n) or n)

    @foreach("n", [1, 2, 3])
    def eval_small(n):
        if n == 3 and len(asked) < 3:
            ask(n)
            raise ValueError("no")
        return Result(Score("small", ask(n) < 3, ("accuracy",)), prompt=f"is {n}?")

    first = run(eval_small, "e", storage=scheme, progress=False)
    again = run(eval_small, "e", storage=scheme, progress=False)

    assert (first.failed, again.failed, again.total) == (1, 0, 3)
    assert asked == [1, 2, 3, 3]
    assert main(["show", "e", "--storage", scheme]) == 0
    assert "67%" in capsys.readouterr().out
    with pytest.raises(UsageError, match="FolderStore keeps no calls"):
        run(eval_small, "e", storage=scheme, progress=False, calls="reuse")


def test_a_store_in_which_two_records_of_a_row_count_gives_one(backed, store):
    """Whoever made it: the earlier result counts, as with any merge."""
    fill(store)
    twice = [
        each._replace(state=0) if hasattr(each, "state") else each for each in store.facts("first")
    ]

    (arrived,) = transfer(backed.database, backed.claims, "first", 1.0, twice, merging=True)
    assert arrived.records == 12
    assert [n for (n,) in backed.database.all("SELECT count(*) FROM records WHERE state = 0")] == [
        11
    ]
