from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading

import pytest

from doteval.errors import StoreError
from doteval.storage import schema
from doteval.storage.schema import APPLICATION_ID, VERSION, connect, explain, statements, undo

from .made import a_run, a_store, an_entry, said_by


def rows(path, query):
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_a_new_store_says_what_it_is(path, store):
    """Application id and version are in the file's header, for `file` and for later versions."""
    assert rows(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert rows(path, "PRAGMA user_version") == [(VERSION,)]
    assert path.read_bytes()[68:72] == b"dote"


def test_a_connection_is_as_durable_as_sqlite_can_be(path, store):
    """Rollback journal and FULL: a commit that returned survives a power cut."""
    db = connect(path)

    assert db.execute("PRAGMA journal_mode").fetchone() == ("persist",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.isolation_level is None
    db.close()


def test_the_file_and_what_lies_beside_it_are_for_their_owner_alone(path, store):
    """Prompts and answers are nobody else's business."""
    store.add(store.begin(a_run()), [an_entry()])

    beside = sorted(path.parent.glob("results.db*"))

    assert [file.name for file in beside] == ["results.db", "results.db-journal", "results.db.lock"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in beside)


def test_comments_in_the_tables_definition_are_part_of_no_statement(path):
    """Each statement is whole, and makes one thing."""
    made = list(statements())

    assert all(sqlite3.complete_statement(statement) for statement in made)
    assert len(made) == sum(text.count("CREATE ") for text in made)


def test_every_table_and_column_is_explained_in_the_reference(path):
    """The documentation of the schema is complete."""
    from pathlib import Path

    page = Path(__file__).parents[2] / "docs" / "reference" / "storage.md"
    text = page.read_text(encoding="utf-8")
    db = connect(None)
    tables = [
        name
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_")
    ]
    columns = {
        column for table in tables for _, column, *_ in db.execute(f"PRAGMA table_info({table})")
    }
    db.close()

    assert [name for name in tables if f"`{name}`" not in text] == []
    assert [name for name in columns if f"`{name}`" not in text] == []


# ------------------------------------------------------------------- files that are no store


def test_a_missing_file_is_not_made_by_opening_it(path):
    """Making it is make_room's, which knows about permissions."""
    with pytest.raises(StoreError, match="can not be opened"):
        connect(path)

    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"\0"[:0]])
def test_an_empty_file_becomes_a_store(path, content):
    """A crash between making the file and its tables leaves one."""
    path.write_bytes(content)

    connect(path).close()

    assert rows(path, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize(
    "content", [b"question,answer\n" * 100, b"\0" * 4096, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(path, content):
    """Somebody named a file that is something else."""
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"not a database|damaged"):
        connect(path)

    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "make",
    ["CREATE TABLE theirs (a)", "PRAGMA user_version = 3", "PRAGMA application_id = 7"],
)
def test_another_programs_database_is_refused_and_stays_as_it_is(path, make):
    """A browser's history gets no tables of ours."""
    db = sqlite3.connect(path)
    db.execute(make)
    db.commit()
    db.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="a database of another program"):
        connect(path)

    assert path.read_bytes() == before


def test_a_newer_store_is_refused(path, store):
    """The message has both versions; nothing is touched."""
    store.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()

    with pytest.raises(StoreError, match=rf"newer doteval \(schema {VERSION + 1}, .*upgrade"):
        connect(path)


def test_a_store_whose_end_is_gone_is_told_as_damaged(path, store):
    """A truncated copy; some reads of it would still succeed."""
    number = store.begin(a_run())
    store.add(number, [an_entry(n, row={"text": "x" * 500}) for n in range(200)])
    store.close()
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)

    with pytest.raises(StoreError, match=r"damaged \(.*\); see `doteval doctor`"):
        list(a_store(path).records("e", "f.py::v"))


def test_a_store_whose_header_is_damaged_is_no_database(path, store):
    """The first bytes decide."""
    store.close()
    with open(path, "r+b") as file:
        file.write(b"\xff" * 100)

    with pytest.raises(StoreError, match="not a database"):
        connect(path)


def test_a_store_of_which_only_the_header_is_left_is_damaged(path, store):
    """100 bytes name a database whose tables are gone."""
    store.close()
    with open(path, "r+b") as file:
        file.truncate(100)

    with pytest.raises(StoreError):
        a_store(path).experiments()


# ---------------------------------------------------------------------------- permissions


def test_a_store_that_may_only_be_read_is_read(unprivileged):
    """`show` works on a colleague's store; a run says what is missing."""
    path = unprivileged / "results.db"
    store = a_store(path)
    store.add(store.begin(a_run()), [an_entry()])
    store.close()
    path.chmod(0o400)

    store = a_store(path)
    assert [record.row for record in store.records("e", "f.py::v")] == [{"text": "a"}]
    with pytest.raises(StoreError, match="may not be written"):
        store.begin(a_run())
    store.close()


def test_a_store_in_a_folder_that_may_only_be_read_is_read(unprivileged):
    """SQLite can make no journal there, so nothing is written; reading needs none."""
    path = unprivileged / "in" / "results.db"
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry()])
    store.end(number, a_run(status="complete"))
    store.close()
    (path.parent / "results.db-journal").unlink()
    path.parent.chmod(0o500)

    store = a_store(path)
    assert store.tally("e", "f.py::v").scored == 1
    with pytest.raises(StoreError):
        store.rename("e", "other")
    store.close()


def test_a_store_that_may_not_be_opened_is_told_as_that(unprivileged):
    """Not as one that is not there."""
    path = unprivileged / "results.db"
    a_store(path).close()
    path.chmod(0)

    with pytest.raises(StoreError, match="can not be opened"):
        connect(path)


# ------------------------------------------------------------------------------ processes


def test_eight_processes_make_one_store_at_once(tmp_path, start):
    """Whoever comes first makes the tables; the others wait and find them."""
    code = """
        import sys
        from pathlib import Path
        from doteval.storage import open_store
        from storage.made import a_run, an_entry
        sys.stdin.readline()
        for n in range(3):
            store = open_store(Path("shared.db"))
            number = store.begin(a_run(f"{sys.argv[1]}-{n}"))
            store.add(number, [an_entry()])
            store.close()
    """
    processes = [start(code, n) for n in range(8)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        said_by(process)

    store = a_store(tmp_path / "shared.db")
    assert len(store.experiments()) == 24
    assert store._db.all("PRAGMA integrity_check") == [("ok",)]
    store.close()


def test_the_version_is_read_at_one_moment(path):
    """
    Between its two reads another process can make the tables; seen apart, they would be of a
    foreign database.
    """
    path.touch()
    made = threading.Event()

    class Interrupted(sqlite3.Connection):
        def execute(self, sql, *arguments):
            found = super().execute(sql, *arguments)
            if sql == "PRAGMA application_id" and not made.is_set():
                made.set()
                other = sqlite3.connect(path, timeout=0, isolation_level=None)
                try:
                    schema._make(other, str(path))  # as the other process would
                except sqlite3.OperationalError:
                    pass  # it has to wait until we have read both
                other.close()
            return found

    db = connect(path, connection=Interrupted)

    assert made.is_set()
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()


def test_a_store_that_somebody_else_made_meanwhile_is_taken_as_it_is(path):
    """The tables are looked for again once nobody else can make them."""
    path.touch()

    class Slow(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql == "BEGIN IMMEDIATE":
                connect(path).close()
            return super().execute(sql, *arguments)

    db = connect(path, connection=Slow)

    assert db.execute("SELECT count(*) FROM experiments").fetchone() == (0,)
    db.close()


def test_a_lock_of_another_process_is_waited_for_only_so_long(path, store):
    """The message says what is the matter and what to do."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    with pytest.raises(StoreError, match=r"keeps it locked .*end that process, or wait"):
        connect(path, busy=0.01)

    holder.close()


def test_a_wal_that_others_have_open_stays_one(path, store):
    """Some tools switch every database they open to a WAL; the store can be used meanwhile."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("SELECT * FROM runs").fetchall()

    again = a_store(path, busy=0.01)
    again.add(again.begin(a_run()), [an_entry()])
    assert again.tally("e", "f.py::v").scored == 1
    again.close()
    other.close()
    store.close()
    connect(path).close()

    assert rows(path, "PRAGMA journal_mode") == [("delete",)]  # no longer a WAL


def test_an_interrupted_write_is_undone_by_whoever_opens_the_store_next(path, store, tmp_path):
    """A crash leaves a hot journal beside the file."""
    number = store.begin(a_run())
    store.add(number, [an_entry(n, row={"text": "x" * 3000}) for n in range(20)])
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = PERSIST")
    db.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE bodies SET body = 'lost'")
    crashed = tmp_path / "crashed.db"
    shutil.copy(path, crashed)
    shutil.copy(f"{path}-journal", f"{crashed}-journal")
    db.close()
    assert b"lost" in crashed.read_bytes()

    again = a_store(crashed)

    assert len(list(again.records("e", "f.py::v"))) == 20
    again.close()


# --------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("database or disk is full", "the disk is full"),
        ("disk I/O error", "refused to read or write"),
        ("file is not a database", "not a database"),
        ("database disk image is malformed", "damaged"),
        ("attempt to write a readonly database", "may not be written"),
        ("database is locked", "keeps it locked"),
        ("unable to open database file", "can not be opened"),
        ("something new", "can not be used: something new"),
    ],
)
def test_errors_say_what_they_mean(said, meaning):
    """SQLite's own words are kept for whoever searches for them."""
    told = str(explain(sqlite3.OperationalError(said), "x.db"))

    assert meaning in told
    assert said in told
    assert "x.db" in told


def test_a_rollback_that_fails_hides_nothing():
    """The error that made it necessary is the one to tell."""

    class Refusing(sqlite3.Connection):
        def execute(self, sql, *arguments):
            if sql == "ROLLBACK":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *arguments)

    db = sqlite3.connect(":memory:", isolation_level=None, factory=Refusing)
    db.execute("BEGIN")

    undo(db)

    assert db.in_transaction
    db.close()


def test_a_connection_that_can_not_be_prepared_is_closed(path):
    """Whatever is raised, no descriptor stays open."""
    path.touch()
    opened = []

    class Interrupted(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

        def execute(self, sql, *arguments):
            if sql.startswith("CREATE TABLE runs"):
                raise KeyboardInterrupt
            return super().execute(sql, *arguments)

    with pytest.raises(KeyboardInterrupt):
        connect(path, connection=Interrupted)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].total_changes  # noqa: B018
    assert os.stat(path).st_size == 0
    connect(path).close()


@pytest.fixture(params=["journal", "wal"])
def left(request, unprivileged):
    """A store that was left in the midst of a commit, where nothing may be written."""
    made = unprivileged / "made" / "results.db"
    made.parent.mkdir()
    store = a_store(made)
    number = store.begin(a_run())
    store.add(number, [an_entry(f"{n}", row={"x": "x" * 3000}) for n in range(20)])
    store.end(number, a_run(status="complete"))
    store.close()
    db = sqlite3.connect(made, isolation_level=None)
    db.execute("PRAGMA cache_size = 1")
    if request.param == "wal":
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE runs SET pid = 7")
    else:
        db.execute("PRAGMA journal_mode = PERSIST")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE bodies SET body = 'unfinished'")
    left = unprivileged / "results.db"
    for file in made.parent.iterdir():
        if not file.name.endswith(("-shm", ".lock")):
            shutil.copyfile(file, unprivileged / file.name)
            (unprivileged / file.name).chmod(0o400)
    db.close()
    unprivileged.chmod(0o500)
    return left


def test_a_commit_that_was_left_unfinished_is_undone_in_a_copy(left):
    """Whoever may only read reads what was durable; what is there stays as it is."""
    before = {file.name: file.read_bytes() for file in left.parent.iterdir() if file.is_file()}

    store = a_store(left, create=False)

    assert [len(record.row["x"]) for record in store.records("e", "f.py::v")] == [3000] * 20
    with pytest.raises(StoreError, match="the file may not be written"):
        store.delete("e")
    store.close()
    assert before == {
        file.name: file.read_bytes() for file in left.parent.iterdir() if file.is_file()
    }


def test_where_there_is_no_room_for_a_copy_is_told_who_can_help(left, monkeypatch):
    """Somebody with the right to write, by looking at it; or a copy by hand."""
    monkeypatch.setattr("tempfile.tempdir", str(left))

    with pytest.raises(
        StoreError, match=r"a copy for that failed \(.* open it once .* folder of yours"
    ):
        a_store(left, create=False)


def test_a_copy_of_what_is_being_written_is_not_believed(left, monkeypatch):
    """It could be of two moments."""
    copy = shutil.copyfile

    def beside_a_run(source, to):
        os.utime(source, (1, 1))
        return copy(source, to)

    monkeypatch.setattr(shutil, "copyfile", beside_a_run)

    with pytest.raises(StoreError, match="it was written meanwhile"):
        a_store(left, create=False)


@pytest.mark.parametrize("through", ["a run", "SQL"])
def test_a_row_has_one_live_record_whoever_writes_it(path, through):
    """The schema forbids a second one; what was there before, and the run's store, go on."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a"), an_entry("b")])

    if through == "SQL":
        db = sqlite3.connect(path)
        with pytest.raises(sqlite3.IntegrityError, match="records.key"):
            db.execute("UPDATE records SET key = (SELECT key FROM records WHERE id = 1)")
        db.close()
    else:
        with pytest.raises(StoreError, match="a row of this run has a record by now.*run the same"):
            store.add(number, [an_entry("c"), an_entry("a")])

    store.add(number, [an_entry("a", repeat=1), an_entry("a", replaces=1)])
    assert rows(path, "SELECT count(*), sum(state = 0) FROM records") == [(4, 3)]
    assert store.tally("e", "f.py::v").scored == 3
    store.close()
