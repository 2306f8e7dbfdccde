from __future__ import annotations

import gc
import sqlite3
import threading

import pytest

from doteval.errors import StoreError
from doteval.storage.database import Database, by_column
from doteval.storage.entries import RECORD_COLUMNS


@pytest.fixture
def database(path):
    path.touch()
    database = Database(path, busy=0.01)
    yield database
    database.close()


def add(db, name):
    db.execute("INSERT INTO experiments (name, created) VALUES (?, 0)", (name,))


def write(database, *names, then=lambda: None):
    with database.writing() as db:
        for name in names:
            add(db, name)
        then()


def interrupt():
    raise KeyboardInterrupt


def names(database):
    return [name for (name,) in database.all("SELECT name FROM experiments ORDER BY id")]


def test_a_transaction_is_kept_whole(path, database):
    """What was written is there for others once the block is left."""
    with database.writing() as db:
        add(db, "a")
        add(db, "b")

    other = Database(path)
    assert names(other) == ["a", "b"]
    other.close()


def test_a_transaction_is_undone_whole_by_whatever_is_raised(database):
    """And the connection is ready for the next."""
    with pytest.raises(KeyboardInterrupt):
        write(database, "a", then=interrupt)
    with pytest.raises(StoreError, match="UNIQUE"):
        write(database, "a", "a")

    write(database, "b")

    assert names(database) == ["b"]


def test_a_commit_that_fails_leaves_nothing_open(path, database):
    """A reader that does not finish blocks the commit, not the writes before it."""
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM experiments").fetchall()

    with pytest.raises(StoreError, match="keeps it locked"):
        write(database, "a")

    reader.close()
    write(database, "b")
    assert names(database) == ["b"]


def test_a_lock_of_another_process_is_an_error_in_the_end(path, database):
    """The default waits a minute for it; here a hundredth of a second."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="keeps it locked"), database.writing():
        pass

    holder.close()


def test_reading_sees_one_moment(path, database):
    """What must fit together is read in one go."""
    other = Database(path, busy=0)
    with database.reading():
        before = names(database)
        with pytest.raises(StoreError, match="locked"):
            write(other, "a")
        after = names(database)

    assert before == after == []
    other.close()


def test_an_error_of_a_query_is_told(database):
    """Also where it shows only after some rows."""
    write(database, "a", "b")
    with pytest.raises(StoreError, match="no such table"):
        database.all("SELECT * FROM theirs")
    with pytest.raises(StoreError, match="integer overflow"):
        database.page(
            "id", "FROM (SELECT abs((1 - id) << 63) AS id FROM experiments)", text=0, most=9
        )


def test_a_page_ends_with_the_row_that_fills_it(database):
    """A page of long texts is a short page, and never an empty one."""

    def page(most, limit=9):
        rest = "FROM (SELECT column1 AS name FROM (VALUES ('aaa'), ('bbb'), ('ccc'))) LIMIT ?"
        rows = database.page("name", rest, limit, text=0, most=most)
        return [text for (text,) in rows]

    assert page(0) == ["aaa"]
    assert page(3) == ["aaa"]
    assert page(4) == ["aaa", "bbb"]
    assert page(1_000) == ["aaa", "bbb", "ccc"]
    assert page(1_000, limit=0) == []


def test_a_page_that_ended_early_holds_no_lock(path, database):
    """A writer does not wait for what a reader left unread."""
    with database.writing() as db:
        for n in range(100):
            add(db, f"{n}")
    database.page("name", "FROM experiments", text=0, most=1)

    writer = Database(path, busy=0)
    with writer.writing() as db:
        add(db, "more")
    writer.close()


@pytest.mark.parametrize("count", [0, 1, 2, 511, 512, 513, 1_100])
def test_rows_go_in_with_few_statements(database, count):
    """Each statement gives up the interpreter's lock, and may wait 5 ms to have it back."""
    statements = []
    database._db.set_trace_callback(statements.append)
    with database.writing():
        rows = [(f"{n}", 0) for n in range(count)]
        database.insert("experiments", "name, created", by_column(rows))
    database._db.set_trace_callback(None)

    assert names(database) == [f"{n}" for n in range(count)]
    assert len([one for one in statements if one.startswith("INSERT")]) <= 11


def test_columns_without_a_value_are_left_out_and_bytes_stay_bytes(database):
    """Mixed ones too; sqlite3 seeks an adapter for each None and each bytes, which takes long."""
    rows = [
        (1, 1, 1, b"\0key", None, 0, 0, 0, None, 1, 0.0, 0.0, 0.0, 1, 7, None, None, None),
        (2, 1, 1, b"", b"digest", 0, 1, 0, None, 1, 0.0, 0.0, 0.0, 1, None, 8, None, "c"),
    ]
    names = f"id, evaluation, run, {RECORD_COLUMNS}".replace("position,", "position, state,")
    with database.writing():
        database.insert("records", names, by_column(rows))

    assert database.all(f"SELECT {names} FROM records ORDER BY id") == rows


def test_long_texts_go_in_with_more_statements(database):
    """sqlite3 copies what a statement binds; a megabyte at a time is enough."""
    statements = []
    database._db.set_trace_callback(lambda one: statements.append(len(one)))
    rows = [("x" * 300_000 + str(n), 0) for n in range(10)]
    with database.writing():
        database.insert("experiments", "name, created", by_column(rows), text=3_000_010)
    database._db.set_trace_callback(None)

    assert len(names(database)) == 10
    assert max(statements) < 1.1 * 2**20


def test_many_ids_are_updated_with_few_statements(database):
    """As many as one statement may bind at a time."""
    with database.writing() as db:
        for n in range(1, 1_101):
            add(db, f"{n}")
        database.update("UPDATE experiments SET created = 1 WHERE id IN", range(2, 1_101))
        database.update("UPDATE experiments SET created = 2 WHERE id IN", [])

    assert database.all("SELECT created, count(*) FROM experiments GROUP BY 1") == [
        (0.0, 1),
        (1.0, 1_099),
    ]


def test_what_is_worth_no_waiting_is_written_at_once_or_not_at_all(path, database):
    """The cache of a reader must not make it wait, nor fail."""
    insert = "INSERT INTO experiments (name, created) VALUES (?, 0)"
    assert database.at_once(lambda db: db.execute(insert, "a"))

    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert not database.at_once(lambda db: db.execute(insert, "b"))
    holder.close()

    assert names(database) == ["a"]
    assert database.all("PRAGMA busy_timeout") == [(10,)]


# ------------------------------------------------------------------------- moved files


def test_a_file_that_is_deleted_while_open_is_told(path, database):
    """Nothing is written into a file that nobody will find."""
    path.unlink()

    with pytest.raises(StoreError, match="deleted or replaced while it was in use"):
        write(database, "a")


def test_a_file_that_is_replaced_while_open_is_told(path, database, tmp_path):
    """The one that is there now stays as it is."""
    other = tmp_path / "other.db"
    other.touch()
    Database(other).close()
    before = other.read_bytes()
    other.replace(path)

    with pytest.raises(StoreError, match="deleted or replaced while it was in use"):
        write(database, "a")

    assert path.read_bytes() == before


def test_a_file_that_goes_during_a_commit_is_told(path, database):
    """SQLite looks for it before a transaction, we after it."""
    with pytest.raises(StoreError, match="what was written last is lost with it"):
        write(database, "a", then=path.unlink)


def test_a_database_in_memory_is_never_moved():
    """It has no path that could be."""
    database = Database(None)
    with database.writing() as db:
        add(db, "a")

    assert database.name == ":memory:"
    assert not database.is_moved()
    database.close()


# ----------------------------------------------------------------------------- closing


def test_a_closed_database_says_so(database):
    """The writer's thread may come too late."""
    database.close()
    database.close()

    with pytest.raises(StoreError, match="closed"), database.writing():
        pass


def test_closing_waits_for_the_statement_of_another_thread(database):
    """Closing a connection under a thread that uses it crashes the interpreter."""
    inside, leave = threading.Event(), threading.Event()

    def work():
        with database.writing() as db:
            inside.set()
            leave.wait()
            add(db, "a")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    closing = threading.Thread(target=database.close)
    closing.start()
    leave.set()
    thread.join()
    closing.join()

    with pytest.raises(StoreError, match="closed"):
        database.all("SELECT 1")


def test_closing_does_not_wait_for_a_thread_that_is_stuck(path, monkeypatch):
    """The file stays open for it; the interruption goes on."""
    monkeypatch.setattr("doteval.storage.database._CLOSING", 0.01)
    path.touch()
    database = Database(path)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with database.writing():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()

    database.close()

    leave.set()
    thread.join()
    assert names(database) == []
    database.close()
    gc.collect()


def test_a_file_that_is_not_there_is_told_by_who_only_reads(tmp_path):
    """It is no empty store."""
    with pytest.raises(StoreError, match="can not be opened"):
        Database(tmp_path / "gone.db", read_only=True)
