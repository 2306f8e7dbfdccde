"""A store of an earlier version, opened by this one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from doteval.errors import StoreError
from doteval.storage.schema import VERSION, connect

from .made import a_run, a_store, an_entry, said_by

EARLIER = Path(__file__).parents[1] / "data" / "earlier"
TOLD = json.loads((EARLIER / "version_1.json").read_text(encoding="utf-8"))


@pytest.fixture
def earlier(path):
    """A store that version 0.1.0 made: resumed, stale, repeated, begun anew, killed, divided."""
    return laid(path)


def laid(path):
    db = sqlite3.connect(path)
    db.executescript((EARLIER / "version_1.sql").read_text(encoding="utf-8"))
    db.close()
    return path


def made(path):
    """The tables and indexes of a store: what they are made of."""
    db = sqlite3.connect(path)
    found = {}
    for kind, name in db.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall():
        # In later columns the order is that in which they came.
        found[name] = kind, db.execute(f"PRAGMA {kind}_info({name})").fetchall()
    db.close()
    return found


def version_of(path):
    db = sqlite3.connect(path)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    return found


def told_of(store):
    """What a store tells of each evaluation, of what the earlier version could tell."""
    found = {}
    for experiment, _ in store.experiments():
        for name in store.evaluations(experiment):
            told = TOLD[f"{experiment} {name}"]
            tally = store.tally(experiment, name)._asdict()
            scores = {
                score: {each: facts[each] for each in told["scores"][score]}
                for score, facts in tally["scores"].items()
            }
            found[f"{experiment} {name}"] = {
                **{each: tally[each] for each in told if each in tally},
                "scores": scores,
                "total": store.total_of(experiment, name),
                "runs": [[run.uid, run.status] for run in store.runs(experiment, name)],
                "ledger": len(store.attempts(experiment, name)),
                "records": [
                    [[*record.row.values(), record.repeat, record.failed]
                     for record in store.records(experiment, name, state=state)]
                    for state in range(3)
                ],
            }  # fmt: skip
    return found


def test_it_tells_what_the_earlier_version_told(earlier):
    """Every count, sum, record and run."""
    store = a_store(earlier)

    assert json.loads(json.dumps(told_of(store))) == TOLD
    store.close()
    assert version_of(earlier) == VERSION


def test_it_has_the_tables_of_a_new_store(earlier, tmp_path):
    """One definition, whichever way a store came to it."""
    a_store(earlier).close()
    a_store(tmp_path / "new.db").close()

    assert made(earlier) == made(tmp_path / "new.db")


def test_of_two_live_records_of_one_row_the_later_counts(earlier):
    """A lock that was taken away had let both in; nothing else changes."""
    db = sqlite3.connect(earlier)
    with db:
        db.execute("CREATE TEMP TABLE twin AS SELECT * FROM records WHERE state = 0 LIMIT 1")
        db.execute("UPDATE twin SET id = 9999, error = 'Late'")
        db.execute("INSERT INTO records SELECT * FROM twin")
        row = db.execute("SELECT evaluation, key, repeat FROM twin").fetchone()
    db.close()

    store = a_store(earlier)
    db = sqlite3.connect(earlier)
    states = db.execute(
        "SELECT state, error FROM records WHERE evaluation = ? AND key = ? AND repeat = ? "
        "ORDER BY id DESC LIMIT 2", row
    ).fetchall()  # fmt: skip
    assert states == [(0, "Late"), (2, None)]
    db.close()
    told = {name: told_of(store)[name]["scored"] for name in TOLD}
    lost = {name: TOLD[name]["scored"] - scored for name, scored in told.items()}
    assert sorted(lost.values()) == [*[0] * (len(lost) - 1), 1]
    store.close()


def test_a_run_goes_on_in_it(earlier):
    """What was finished is known, and a number that was used is not used again."""
    store = a_store(earlier)
    number = store.begin(a_run("plain"))
    assert len(store.stored(number)) == 12
    store.add(number, [an_entry("new")])
    store.end(number, a_run("plain", status="complete"))
    store.begin(a_run("later"))

    assert store.tally("plain", "f.py::v").scored == 10
    assert store.database.all("SELECT max(id) > 7 FROM evaluations") == [(1,)]
    store.close()


def test_eight_processes_open_it_at_once(earlier, start):
    """One of them makes the new tables, in one transaction; the others find them."""
    code = """
        import sys
        from pathlib import Path
        from doteval.storage import open_store
        sys.stdin.readline()
        store = open_store(Path("results.db"))
        print(sum(len(store.evaluations(name)) for name, _ in store.experiments()))
        store.close()
    """
    processes = [start(code) for _ in range(8)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    assert {said_by(process) for process in processes} == {"5\n"}
    assert version_of(earlier) == VERSION


@pytest.mark.parametrize(
    "statement", ["DROP TABLE runs", f"PRAGMA user_version = {VERSION}", "COMMIT"]
)
def test_a_process_that_is_killed_in_between_leaves_it_as_it_was(earlier, start, statement):
    """The next one begins again."""
    process = start(
        """
        import os, signal, sqlite3, sys
        from pathlib import Path
        from doteval.storage.schema import connect

        class Killed(sqlite3.Connection):
            def execute(self, sql, *arguments):
                if sql == sys.argv[1] and self.total_changes:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().execute(sql, *arguments)

        connect(Path("results.db"), connection=Killed)
        """,
        statement,
    )
    process.communicate(timeout=60)

    assert process.returncode == -9
    assert version_of(earlier) == 1
    connect(earlier).close()
    assert version_of(earlier) == VERSION


def test_who_only_reads_leaves_it_as_it_was(earlier):
    """The tables of this version are in a copy of which nothing stays."""
    before = earlier.read_bytes()
    store = a_store(earlier, read_only=True)

    assert json.loads(json.dumps(told_of(store))) == TOLD
    with pytest.raises(StoreError, match="may not be written"):
        store.begin(a_run())
    store.close()
    assert earlier.read_bytes() == before


def test_where_it_may_not_be_written_it_is_read(unprivileged):
    """`show` works on a colleague's store, whichever version made it."""
    path = laid(unprivileged / "results.db")
    path.chmod(0o400)
    store = a_store(path, create=False)

    assert json.loads(json.dumps(told_of(store))) == TOLD
    store.close()
    assert version_of(path) == 1


def test_a_damaged_store_of_an_earlier_version_is_told(earlier):
    """Half of it can be neither migrated nor copied."""
    with open(earlier, "r+b") as file:
        file.truncate(earlier.stat().st_size // 2)

    for read_only in (True, False):
        with pytest.raises(StoreError, match="damaged"):
            a_store(earlier, read_only=read_only)


def test_a_copy_of_a_run_gets_the_id_of_what_it_is_a_copy_of(earlier):
    """An id was unique in a store of that version, so its header said so."""
    db = sqlite3.connect(earlier)
    first, second = (id for (id,) in db.execute("SELECT id FROM runs ORDER BY id LIMIT 2"))
    header = json.dumps({"copy_of": "its own", "python": "3.11"})
    db.execute("UPDATE runs SET header = ? WHERE id = ?", (header, first))
    db.execute("UPDATE runs SET header = ? WHERE id = ?", ('{"copy_of"', second))
    uid = db.execute("SELECT uid FROM runs WHERE id = ?", (second,)).fetchone()
    db.commit()
    db.close()

    connect(earlier).close()

    db = sqlite3.connect(earlier)
    found = {id: each for id, *each in db.execute("SELECT id, uid, header FROM runs")}
    db.close()
    assert (found[first][0], json.loads(found[first][1])) == ("its own", {"python": "3.11"})
    assert found[second] == [*uid, '{"copy_of"']


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_of_an_earlier_version_without_a_table_is_told(earlier, read_only):
    """Neither it nor a copy of it can be brought to this version."""
    db = sqlite3.connect(earlier)
    db.execute("DROP TABLE score_names")
    db.close()

    with pytest.raises(StoreError):
        a_store(earlier, read_only=read_only)
    assert version_of(earlier) == 1
