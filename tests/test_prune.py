"""Deleting what no longer counts: `doteval prune`."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import sys
import time

import pytest

from doteval.cli import main
from doteval.errors import Busy, NotFound
from doteval.record import LIVE, STALE, SUPERSEDED
from doteval.storage.pruning import Pruning
from tests.storage.made import a_failure, a_run, a_store, an_attempt, an_entry

NOW = 1_000_000.0
PATH = "results.db"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".doteval").mkdir()
    return tmp_path


def recorded(experiment="e", *, at=NOW - 1000, rows=3, path=PATH, text="x"):
    """
    An experiment: `rows` live records, and as many superseded ones (failures that were
    replaced), stale ones, and failed attempts, all of one time.
    """
    store = a_store(path)
    begun = a_run(experiment)
    number = store.begin(begun)
    facts = {"started": at, "row": {"text": text}}
    store.add(number, [an_entry(f"r{n}", a_failure(), **facts) for n in range(rows)])
    store.add(number, [an_attempt(f"r{n}", started=at) for n in range(rows)])
    failures = [each.id for each in store.stored(number, limit=10_000)]
    store.add(
        number,
        [an_entry(f"r{n}", replaces=id, **facts) for n, id in enumerate(failures)]
        + [an_entry(f"s{n}", **facts) for n in range(rows)],
    )
    store.mark(number, [each.id for each in store.stored(number, limit=10_000)][rows:], STALE)
    store.end(number, a_run(status="complete", finished=2.0))
    store.close()


def counts(experiment="e", path=PATH):
    """Live, superseded and stale records, and failed attempts."""
    store = a_store(path)
    found = [
        sum(1 for _ in store.records(experiment, "f.py::v", state=state))
        for state in (LIVE, SUPERSEDED, STALE)
    ]
    found.append(len(store.attempts(experiment, "f.py::v")))
    store.close()
    return found


def in_sql(statement, path=PATH):
    db = sqlite3.connect(path)
    found = db.execute(statement).fetchall()
    db.close()
    return found


@pytest.fixture
def pruning(folder):
    """Makes a pruning of the store, which is closed with the test."""
    made = []

    def pruning(**options):
        made.append(a_store(folder / PATH))
        return Pruning(made[-1], **{"before": NOW, **options})

    yield pruning

    for each in made:
        each.close()


# --------------------------------------------------------------------------- deleting


def test_what_counts_stays(pruning):
    """Superseded records go with their texts, their scores and the ledger; nothing else does."""
    recorded()

    gone = pruning().delete("e")

    assert (gone.superseded, gone.stale, gone.attempts, gone.kept) == (3, 0, 3, 0)
    assert counts() == [3, 0, 3, 0]
    assert in_sql("SELECT count(*) FROM bodies") == [(6,)]
    assert in_sql("SELECT count(*) FROM scores") == [(6,)]


def test_stale_records_go_where_that_is_asked_for(pruning):
    recorded()

    gone = pruning(stale=True).delete("e")

    assert (gone.superseded, gone.stale, gone.records) == (3, 3, 6)
    assert counts() == [3, 0, 0, 0]


def test_what_is_younger_stays(pruning):
    recorded("old", at=NOW - 500)
    recorded("new", at=NOW - 50)
    one = pruning(before=NOW - 100)

    old, new = one.delete("old"), one.delete("new")

    assert (old.records, old.attempts, old.kept) == (3, 3, 0)
    assert (new.records, new.attempts, new.kept) == (0, 0, 6)
    assert counts("new") == [3, 3, 3, 3]


def test_counting_deletes_nothing_and_foretells_what_goes(pruning):
    recorded(text="0123456789")
    text = in_sql(
        "SELECT sum(length(body)) FROM bodies JOIN records ON record = id WHERE state = 2"
    )

    foretold = pruning().count("e")

    assert foretold.text == text[0][0] > 30
    assert counts() == [3, 3, 3, 3]
    assert pruning().delete("e") == foretold


def test_many_records_go_in_pages(pruning):
    """Between two of them, runs of other experiments write."""
    recorded(rows=2200)

    gone = pruning().delete("e")

    assert (gone.superseded, gone.attempts) == (2200, 2200)
    assert counts() == [2200, 0, 2200, 0]


def test_what_is_shown_is_added_up_anew(folder, pruning):
    """A store keeps its sums where there is much to add up; they do not outlive the records."""
    recorded(rows=2500)
    store = a_store(PATH)
    before = store.tally("e", "f.py::v")
    store.close()

    pruning().delete("e")

    store = a_store(PATH)
    after = store.tally("e", "f.py::v")
    store.close()
    assert (before.superseded, after.superseded, after.scored) == (2500, 0, 2500)


def test_other_experiments_stay_as_they_are(pruning):
    recorded("e")
    recorded("f")

    pruning().delete("e")

    assert counts("f") == [3, 3, 3, 3]


def test_an_experiment_that_is_being_run_is_refused(pruning):
    """A run may count on what it found when it began."""
    recorded()
    store = a_store(PATH)
    store.begin(a_run(evaluation="f.py::w"))
    one = pruning()

    with pytest.raises(
        Busy, match=f"f.py::w of experiment 'e' is being run by process {os.getpid()}"
    ):
        one.delete("e")
    running = one.count("e").running
    with pytest.raises(Busy, match="the file can be made smaller when nothing runs"):
        one.vacuum()
    store.close()

    assert running == os.getpid()
    assert counts() == [3, 3, 3, 3]
    assert one.delete("e").records == 3


def test_a_crashed_run_is_no_obstacle(pruning):
    recorded()
    store = a_store(PATH)
    store.begin(a_run())
    store.close()

    assert pruning().count("e").running is None
    assert pruning().delete("e").records == 3


def test_an_experiment_that_is_not_there(pruning):
    recorded()

    with pytest.raises(NotFound, match="there is no experiment 'f'"):
        pruning().count("f")


def test_the_file_grows_smaller_with_vacuum_only(pruning):
    recorded(rows=200, text="x" * 5000)
    one = pruning(stale=True)

    before, _ = one.size()
    one.delete("e")
    pruned, free = one.size()
    one.vacuum()
    after, left = one.size()

    assert pruned == before
    assert free > before / 3
    assert after < before / 2
    assert left == 0
    assert counts() == [200, 0, 0, 0]


# ------------------------------------------------------------------------- the command


def said(capsys, *arguments):
    capsys.readouterr()
    code = main(["prune", *arguments, "--storage", PATH])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_tells_what_went(folder, capsys):
    recorded(at=time.time() - 40 * 86400)
    recorded("idle", rows=0)

    code, out, err = said(capsys, "--yes", "--stale")

    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"e · 3 superseded records · 3 stale records · 3 failed attempts · \d+ bytes of text "
        r"deleted\nthe file has [\d.]+ kB, \d.* of them free.*\n",
        out,
    )
    assert counts() == [3, 0, 0, 0]


def test_the_command_keeps_a_month(folder, capsys):
    recorded(at=time.time() - 20 * 86400)

    _, month, _ = said(capsys, "--yes")
    code, week, _ = said(capsys, "e", "--keep", "1w", "--yes")

    assert month.startswith("e · 6 too young to go\n")
    assert code == 0
    assert week.startswith("e · 3 superseded records · 3 failed attempts · ")


def test_a_dry_run_deletes_nothing(folder, capsys):
    recorded()

    code, out, _ = said(capsys, "--dry-run", "--keep", "0")

    assert code == 0
    assert "of text would be deleted\n" in out
    assert counts() == [3, 3, 3, 3]


def test_nothing_to_delete(folder, capsys):
    recorded(rows=0)

    code, out, _ = said(capsys)
    _, listed, _ = said(capsys, "--json", "--dry-run")

    assert code == 0
    assert out.startswith("nothing to delete in 1 experiment\nthe file has ")
    assert json.loads(listed)["experiments"][0]["superseded"] == 0


def test_the_command_prints_json(folder, capsys):
    recorded()

    code, out, _ = said(capsys, "--keep", "0", "--yes", "--json")
    told = json.loads(out)

    assert code == 0
    assert told["deleted"] is True
    assert told["size"] == os.stat(PATH).st_size
    assert told["experiments"][0]["superseded"] == 3


def test_json_says_whether_anything_went(folder, capsys, monkeypatch):
    """Not where there was nothing to delete, and not after a "no", which is told as JSON too."""
    recorded()
    young = said(capsys, "--keep", "9000w", "--yes", "--json")[1]
    monkeypatch.setattr(sys, "stdin", Tty("n\n"))
    monkeypatch.setattr(sys, "stdout", Tty())
    refused = main(["prune", "--storage", PATH, "--keep", "0", "--json"])
    told = sys.stdout.getvalue()

    assert json.loads(young)["deleted"] is False
    assert refused == 1
    assert json.loads(told.partition("[y/N] ")[2])["deleted"] is False


def test_an_experiment_that_runs_is_refused_by_its_name_though_nothing_would_go(folder, capsys):
    recorded("busy")
    store = a_store(PATH)
    store.begin(a_run("busy"))

    code, out, err = said(capsys, "busy", "--yes")
    store.close()

    assert (code, out) == (4, "")
    assert "is being run by process" in err


def test_nobody_can_be_asked(folder, capsys):
    """Without --yes nothing is deleted where there is no terminal."""
    recorded()

    code, _, err = said(capsys, "--keep", "0")

    assert code == 2
    assert "delete 3 records and 3 failed attempts of 'e'? Nobody can be asked here" in err
    assert counts() == [3, 3, 3, 3]


class Tty(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("\n", 1, 3)])
def test_a_person_is_asked(folder, monkeypatch, answer, code, left):
    for at in range(6):
        recorded(f"e{at}")
    monkeypatch.setattr(sys, "stdin", Tty(answer))
    monkeypatch.setattr(sys, "stdout", Tty())

    found = main(["prune", "--keep", "0", "--vacuum", "--storage", PATH])

    out = sys.stdout.getvalue()
    assert found == code
    asked = "'e0', 'e1', 'e2', 'e3', 'e4' and 1 more, and write the file anew? [y/N] "
    assert "delete 18 records" in out
    assert asked in out.replace("\n", "")
    assert ("nothing was deleted" in out) == (code == 1)
    assert counts("e5")[1] == left


def test_an_experiment_that_runs_is_left_alone_where_none_was_named(folder, capsys):
    recorded("busy")
    recorded("idle")
    store = a_store(PATH)
    store.begin(a_run("busy"))

    code, out, _ = said(capsys, "--keep", "0", "--yes")
    named, _, err = said(capsys, "busy", "--keep", "0", "--yes")
    store.close()

    assert code == 0
    assert f"busy · left alone: process {os.getpid()} is running it\n" in out
    assert counts("idle")[1] == 0
    assert named == 4
    assert "is being run by process" in err
    assert counts("busy")[1] == 3


def test_vacuum_alone(folder, capsys):
    recorded(rows=0)

    _, _, err = said(capsys, "--vacuum")
    code, out, _ = said(capsys, "--vacuum", "--yes")

    assert code == 0
    assert out.startswith("nothing to delete in 1 experiment\n")
    assert err.startswith("doteval: write the file anew? Nobody can be asked here")


def test_what_is_free_is_told(folder, capsys):
    recorded(rows=100, text="x" * 5000)

    _, out, _ = said(capsys, "--keep", "0", "--yes")

    assert "for what is written next; --vacuum gives it back\n" in out


@pytest.mark.parametrize("said_", ["30", "d", "-3d", "1y", "x"])
def test_an_age_has_a_unit(folder, capsys, said_):
    code, _, err = said(capsys, f"--keep={said_}")

    assert code == 2
    assert "expected a time such as 12h, 30d or 8w, or 0" in err


def test_there_is_nothing_to_prune(folder, capsys):
    missing, _, err = said(capsys)
    memory = main(["prune", "--storage", "memory://"])

    assert (missing, memory) == (1, 2)
    assert "there is no store at" in err
