"""Runs, records and stores for tests, with all that does not matter to them filled in."""

from __future__ import annotations

import os
from pathlib import Path

from doteval.concurrency.row import Row
from doteval.record import Attempt, Call, Failure, Record, Result, Run, Score, Usage
from doteval.storage.encoding import dump
from doteval.storage.entries import encode
from doteval.storage.sqlite import SqliteStore

NO_USAGE = Usage()


def a_run(experiment="e", evaluation="f.py::v", status="running", **others):
    values = {"finished": None, "duration": 0.0, "pid": os.getpid(), "header": {}, **others}
    return Run(os.urandom(16).hex(), experiment, evaluation, 1.0, status=status, **values)


def key_of(name):
    return str(name).encode().ljust(16, b"\0")


def a_record(name="a", outcome=None, row=None, repeat=0, **others):
    values = {
        "position": 0,
        "attempts": 1,
        "started": 100.0,
        "duration": 0.5,
        "waited": 0.0,
        "concurrency": 1,
        **others,
    }
    if outcome is None:
        outcome = Result(Score("right", True, ("accuracy",)))
    return Record(
        key=key_of(name),
        repeat=repeat,
        row={"text": name} if row is None else row,
        outcome=outcome,
        **values,
    )


def entry_of(record, *, digest=None, usage=NO_USAGE, replaces=None, cluster=None):
    """What a run would make of the row that this record is of."""
    row = Row(
        print, True, record.key, digest, record.position, record.repeat, record.row,
        dump(record.row),
    )  # fmt: skip
    row.replaces = replaces
    row.attempts, row.waited = record.attempts, record.waited
    row.concurrency = record.concurrency
    return encode(row, record.outcome, usage, record.started, record.duration, cluster, record)


def an_entry(
    name="a", outcome=None, row=None, *, digest=None, usage=NO_USAGE, replaces=None, **more
):
    record = a_record(name, outcome, row, **more)
    return entry_of(record, digest=digest, usage=usage, replaces=replaces)


def a_failure(kind="ValueError", message="no", **others):
    return Failure(kind, message, **others)


def an_attempt(name="a", **others):
    values = {
        "repeat": 0,
        "number": 1,
        "started": 1.0,
        "duration": 0.1,
        "outcome": "ignored",
        "error": "ValueError",
        "message": "no",
        **others,
    }
    return Attempt(key_of(name), **values)


def a_call(name="a", asked="?", **others):
    values = {
        "repeat": 0,
        "digest": key_of(asked),
        "number": 0,
        "started": 1.0,
        "duration": 0.1,
        "request": dump({"function": "ask", "arguments": {"text": asked}}),
        "response": dump("that"),
        **others,
    }
    return Call(key_of(name), **values)


def a_store(path, **options):
    path = Path(path)
    return SqliteStore(path, path.parent, **options)


def names_of(records):
    return [record.row["text"] for record in records]


def said_by(process, timeout=60):
    """What the process printed; it must end well."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out
