"""
Every call to the database fails once: at call 1, 2, 3, … until a run comes through.

A run stops at once with one clear message, whoever was told of a record finds it stored, and the
same command finishes the work.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from doteval import ForEach, Result, Score, run
from doteval.concurrency import Batch
from doteval.errors import StoreError
from doteval.storage.sqlite import SqliteStore

from . import recording

pytestmark = pytest.mark.long

ROWS = [f"{n}" for n in range(24)]


# How the journal is kept, how long others are waited for, sums that a look would add up too.
WORTH_NO_FAILURE = (
    "PRAGMA journal_", "PRAGMA busy_timeout", "the end of a query", "UPDATE evaluations SET sums",
    "UPDATE score_names SET n = ",
)  # fmt: skip


class Fault:
    """
    Raises at one call of a connection.

    Attributes:
        at: the number of that call, from 1; None: never.
        late: what was asked for is done all the same, as when only the answer is lost.
        lasting: all later calls fail too, as when the disk has gone.
        calls: how many there were.
    """

    def __init__(self, at, late=False, lasting=False):
        self.at, self.late, self.lasting = at, late, lasting
        self.calls = 0
        self.raised = 0
        self.failed = ""  # the first call that failed

    def hits(self):
        self.calls += 1
        hit = self.at is not None and (
            self.calls >= self.at if self.lasting else self.calls == self.at
        )
        self.raised += hit
        return hit

    def around(self, call, *arguments):
        if not self.hits():
            return call(*arguments)
        if self.late:
            call(*arguments)
        self.failed = self.failed or (arguments[0] if arguments else "the end of a query")
        raise sqlite3.OperationalError("disk I/O error")


def failing(fault):
    """A class of connections that fail as the fault says."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql, parameters=()):
            sql = sql.replace("synchronous = FULL", "synchronous = OFF")  # no power fails here
            try:
                return fault.around(super().execute, sql, parameters)
            except sqlite3.Error:
                self.close()  # SQLite would have reset the statement
                raise

        def fetchall(self):
            return fault.around(super().fetchall)

        def __next__(self):
            return fault.around(super().__next__)

    class Connection(sqlite3.Connection):
        def cursor(self, factory=Cursor):
            return super().cursor(factory)

        def execute(self, *arguments):
            return self.cursor().execute(*arguments)

    return Connection


def evaluation(asked, rows=ROWS, down=()):
    """Asks a model for each row; it is down for some."""

    @ForEach(concurrency=Batch(4))("text", rows)
    async def eval_text(text):
        asked.append(text)
        if text in down:
            raise KeyError(text)
        return Result(Score(f"score {len(text)}", 1))

    return eval_text


def stored(path):
    """The live records of a store that has seen a fault: {text: failed}; and it is whole."""
    store = SqliteStore(path, path.parent)
    assert store._db.all("PRAGMA integrity_check") == [("ok",)]
    try:
        names = [name for name, _ in store.experiments()]
        if not names or not (found := store.evaluations("e")):
            return {}
        return {record.row["text"]: record.failed for record in store.records("e", found[0])}
    finally:
        store.close()


def attempt(path, schemes, connection):
    """A run whose database fails. Returns what it told and asked, and its error or None."""
    schemes._registered.clear()
    schemes.register(
        "failing",
        lambda rest, anchor, create: SqliteStore(Path(rest), anchor, create, connection=connection),
    )
    told, asked = [], []
    rows = [*ROWS[2:], "new 1", "new 2"]
    try:
        run(
            evaluation(asked, rows), "e", f"failing://{path}", progress=False,
            on_record=lambda record: told.append(record.row["text"]),
        )  # fmt: skip
    except StoreError as error:
        return told, asked, error
    return told, asked, None


@pytest.mark.parametrize(
    ("late", "lasting"),
    [(False, False), (True, False), (False, True)],
    ids=["once", "the answer is lost", "from then on"],
)
def test_every_call_fails_once(path, schemes, late, lasting):
    """
    Over a store that has results, failures to replace and rows to forget, so that every part of a
    run comes into play.
    """
    at, errors, unhurt = 0, 0, []
    while True:
        at += 1
        here = path.with_name(f"{at}.db")
        before = prepared(path, here)
        fault = Fault(at, late, lasting)

        result = attempt(here, schemes, failing(fault))

        hurt = judge(here, before, *result, "disk refused", schemes)
        errors += hurt
        unhurt += [] if hurt else [fault.failed]
        if not fault.raised:
            break

    assert errors > 40
    left = [sql for sql in unhurt if sql and not sql.startswith(WORTH_NO_FAILURE)]
    assert set(left) <= {"BEGIN IMMEDIATE", "COMMIT"}  # around the sums
    assert len(left) <= 4  # which are kept again by who finds them missing


def judge(here, before, told, asked, error, meaning, schemes):
    """Nothing acknowledged is lost, and the work can be finished; whether there was an error."""
    found = stored(here)
    assert [text for text in told if found.get(text) is not False] == []
    kept = [text for text, failed in before.items() if not failed and text in ROWS[2:]]
    assert [text for text in kept if found.get(text) is not False] == []
    assert not set(asked) & set(kept)
    if error is not None:
        assert str(error).startswith(f"the store {here}: the {meaning}")
        assert attempt(here, schemes, sqlite3.Connection)[2] is None
    assert stored(here) == dict.fromkeys([*ROWS[2:], "new 1", "new 2"], False)
    for file in here.parent.glob(f"{here.name}*"):
        file.unlink()
    return error is not None


@pytest.mark.parametrize(
    ("kind", "code", "meaning"),
    [
        ("write", recording.FULL, "disk is full"),
        ("sync", recording.IOERR_FSYNC, "disk refused"),
    ],
    ids=["full", "sync"],
)
def test_every_write_and_sync_fails_once(path, schemes, recording, kind, code, meaning):
    """The disk itself refuses, below SQLite: its own undoing is a part of what is tested."""
    at, errors = 0, 0
    while True:
        at += 1
        here = path.with_name(f"{at}.db")
        before = prepared(path, here)
        calls = []

        def refuse(asked, calls=calls, at=at):
            calls.append(asked)
            return code if asked == kind and calls.count(kind) == at else 0

        recording.refuse = refuse
        result = attempt(here, schemes, recording.connection)
        recording.refuse = lambda asked: 0

        errors += judge(here, before, *result, meaning, schemes)
        if calls.count(kind) < at:
            break

    assert errors > 15


def prepared(path, here):
    """A store with results, failures and rows that the next dataset has no more."""
    if not path.exists():
        run(evaluation([], ROWS[:16], down=ROWS[4:8]), "e", str(path), progress=False)
    here.write_bytes(path.read_bytes())
    return stored(here)
