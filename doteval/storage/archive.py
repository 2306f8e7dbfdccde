"""
An experiment as a stream of facts: all that one store knows of it, and all that another needs.

    facts(one) ─▶ Opening · Ran… · Kept… · Paid… · Opening · … ─▶ transfer(other)

Nothing refers to a row of a table: runs are known by their random ids, records by what they hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Union

from ..errors import StoreError
from ..record import LIVE, STALE, SUPERSEDED, Attempt, Call, Run
from .database import Database, by_column
from .encoding import load_metrics
from .entries import CALL_COLUMNS, RECORD_COLUMNS, value_of

_PAGE = 500  # records read or written at a time
_PAGE_TEXT = 4 * 2**20  # characters of their texts, at which a page ends earlier
CALL = ", ".join(f"calls.{name}" for name in CALL_COLUMNS.split(", "))


class Opening(NamedTuple):
    """
    An evaluation; what follows belongs to it.

    Attributes:
        evaluation: its name.
        total: records that it has when it is complete; None while unknown.
        scores: the names of its scores, each with the names of its metrics.
    """

    evaluation: str
    total: int | None
    scores: tuple[tuple[str, tuple[str, ...]], ...]


class Ran(NamedTuple):
    """A run; `part` is the shard that it worked on, as "1/4", or "" for all rows."""

    run: Run
    part: str


class Kept(NamedTuple):
    """
    A record as it is stored.

    Attributes:
        run: uid of the run that made it.
        state: LIVE, STALE or SUPERSEDED.
        columns: as in Entry.columns.
        body: its texts, as a JSON object.
        scores: names and values.
    """

    run: str
    state: int
    columns: tuple[Any, ...]
    body: str
    scores: tuple[tuple[str, bool | int | float], ...]


class Paid(NamedTuple):
    """A failed attempt of the ledger, and the uid of its run."""

    run: str
    attempt: Attempt


class Asked(NamedTuple):
    """A call that was kept, and the uid of its run."""

    run: str
    call: Call


Fact = Union[Opening, Ran, Kept, Paid, Asked]


class Adopted(NamedTuple):
    """How much was adopted."""

    evaluations: int
    runs: int
    records: int
    attempts: int


# --- reading ----------------------------------------------------------------------------------


def facts(
    db: Database,
    experiment: int,
    runs: Callable[[str], list[Run]],
    evaluation: str | None = None,
) -> Iterator[Fact]:
    """
    All that is stored of an experiment, read in pages, so that a run may go on meanwhile.

    What is added after the first fact is left out: a record and its replacement are never both
    told to be live.

    Args:
        experiment: its number.
        runs: those of an evaluation, by its name.
        evaluation: the only one to tell; None: all.
    """
    with db.reading():
        last_record = db.all("SELECT coalesce(max(id), 0) FROM records")[0][0]
        last_attempt = db.all("SELECT coalesce(max(id), 0) FROM attempts")[0][0]
        last_call = db.all("SELECT coalesce(max(id), 0) FROM calls")[0][0]
        evaluations = db.rows(
            "id, name, total",
            "FROM evaluations WHERE experiment = ? AND (? IS NULL OR name = ?) ORDER BY id",
            experiment, evaluation, evaluation,
        )  # fmt: skip
        names = {number: score_names(db, number) for number, _, _ in evaluations}
        # Those that have ended by now have no record beyond the last.
        known = {number: runs(name) for number, name, _ in evaluations}
    for number, name, total in evaluations:
        must_be_there(db, number)
        yield Opening(name, total, tuple(names[number].values()))
        told = {run.uid: run for run in known[number]}
        uids = {}
        for id, uid, part in db.rows(
            "id, uid, part", "FROM runs WHERE evaluation = ? ORDER BY id", number
        ):
            if uid in told:  # else it began just now
                uids[id] = uid
                yield Ran(told[uid], part)
        for rows, scores in pages(db, number, last=last_record):
            for id, run, state, body, *columns in rows:
                if run in uids:
                    try:
                        values = [
                            (name, value_of(value, mark))
                            for name, value, mark, _ in scores.get(id, ())
                        ]
                    except ValueError as error:
                        raise db.damaged(f"record {id}: {error}") from error
                    yield Kept(uids[run], state, tuple(columns), body, tuple(values))
        yield from _attempts(db, number, last_attempt, uids)
        for uid, call in calls(db, number, None, last_call):
            yield Asked(uid, call)


def must_be_there(db: Database, evaluation: int) -> None:
    """
    Asked with each page: an evaluation that is deleted between two of them would else seem to end.

    Raises:
        StoreError: there is no evaluation of this number any more.
    """
    if not db.all("SELECT 1 FROM evaluations WHERE id = ? AND experiment > 0", evaluation):
        raise StoreError(
            f"an evaluation was deleted from the store {db.name} while it was read; what was read "
            "of it is not all"
        )


def pages(
    db: Database,
    evaluation: int,
    states: Sequence[int] = (LIVE, STALE, SUPERSEDED),
    *,
    failed: bool | None = None,
    last: int = 2**63 - 1,
) -> Iterator[tuple[list[Any], dict[int, list[tuple[str, Any, int, tuple[str, ...]]]]]]:
    """
    The records of an evaluation, in the order in which they became durable; each page is read in
    one go, so a run may go on writing meanwhile.

    Args:
        states: of those to tell. failed: only those that have failed, or have not; None: both.
        last: id of the last one to tell.

    Returns:
        rows of id, run, state, body and RECORD_COLUMNS; and by id the name, value, mark and metrics
        of each score.

    Raises:
        StoreError: it can not be read, or is deleted meanwhile.
    """
    condition = {None: "", True: "AND error IS NOT NULL", False: "AND error IS NULL"}[failed]
    # An arm for each state, because the index is by state: the ids come in order, and so do the
    # records, without sorting, which would hold the texts of all of them.
    ids = " UNION ALL ".join(
        f"SELECT id FROM records INDEXED BY {'records_failed' if failed else 'records_of'} "
        f"WHERE evaluation = ? AND state = {state} AND id > ? AND id <= ? {condition}"
        for state in states
    )
    said = ", ".join(map(str, states))
    names: dict[int, tuple[str, tuple[str, ...]]] = {}
    after = 0
    while True:
        with db.reading():
            rows = db.page(
                f"records.id, run, state, body, {RECORD_COLUMNS}",
                "FROM records JOIN bodies ON record = records.id "
                f"WHERE records.id IN (SELECT id FROM ({ids} ORDER BY id LIMIT ?)) "
                "ORDER BY records.id",
                *(evaluation, after, last) * len(states), _PAGE, text=3, most=_PAGE_TEXT,
            )  # fmt: skip
            must_be_there(db, evaluation)
            if not rows:
                return
            # Failures have none, and between two of them may lie all that was scored.
            found = [] if failed else db.rows(
                "record, scores.name, value, scores.boolean",
                "FROM records INDEXED BY records_of JOIN scores ON record = records.id "
                f"WHERE evaluation = ? AND state IN ({said}) AND records.id BETWEEN ? AND ?",
                evaluation, rows[0][0], rows[-1][0],
            )  # fmt: skip
            if not names.keys() >= {name for _, name, _, _ in found}:
                names = score_names(db, evaluation)
        after = rows[-1][0]
        scores: dict[int, list[tuple[str, Any, int, tuple[str, ...]]]] = {}
        for record, id, value, mark in found:
            if id not in names:
                raise db.damaged(f"a score of record {record} has no name")
            name, metrics = names[id]
            scores.setdefault(record, []).append((name, value, mark, metrics))
        yield rows, scores


def score_names(db: Database, evaluation: int) -> dict[int, tuple[str, tuple[str, ...]]]:
    """The scores of an evaluation by their numbers: their names, and those of their metrics."""
    return {
        id: (name, load_metrics(metrics))
        for id, name, metrics in db.rows(
            "id, name, metrics", "FROM score_names WHERE evaluation = ? ORDER BY id", evaluation
        )
    }


def _attempts(db: Database, evaluation: int, last: int, uids: dict[int, str]) -> Iterator[Paid]:
    after = 0
    while rows := db.rows(
        "id, run, key, repeat, number, started, duration, outcome, attempts.error, message",
        "FROM attempts WHERE evaluation = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        evaluation, after, last, 10 * _PAGE,
    ):  # fmt: skip
        after = rows[-1][0]
        for _, run, *attempt in rows:
            if run in uids:
                yield Paid(uids[run], Attempt(*attempt))
    must_be_there(db, evaluation)


def calls(
    db: Database, evaluation: int, only: bytes | None = None, last: int = 2**63 - 1
) -> Iterator[tuple[str, Call]]:
    """
    The calls that an evaluation has kept, row by row, each with the uid of its run; read in pages.

    Args:
        only: the key of the only row whose calls to tell; None: of all.
        last: id of the last one to tell.
    """
    key, after = only or b"", 0
    while rows := db.page(
        f"calls.id, uid, {CALL}",
        "FROM calls INDEXED BY calls_of JOIN runs ON runs.id = run "
        "WHERE calls.evaluation = ? AND (key, calls.id) > (?, ?) AND calls.id <= ? "
        "AND (? IS NULL OR key = ?) ORDER BY key, calls.id LIMIT ?",
        evaluation, key, after, last, only, only, _PAGE, text=9, most=_PAGE_TEXT,
    ):  # fmt: skip
        after, _, key, *_ = rows[-1]
        for _, uid, *call in rows:
            yield uid, Call(*call)
    must_be_there(db, evaluation)


# --- writing ----------------------------------------------------------------------------------


def insert_calls(db: Database, evaluation: int, calls: Sequence[tuple[int, Call]]) -> None:
    """Insert calls, each with the number of its run, inside `writing()`."""
    rows = [(evaluation, run, *call) for run, call in calls]
    text = sum(len(call.request) + len(call.response) for _, call in calls)
    db.insert("calls", f"evaluation, run, {CALL_COLUMNS}", by_column(rows), text)


def insert_records(
    db: Database,
    evaluation: int,
    records: Sequence[Sequence[Any]],
    bodies: Sequence[str],
    scores: Iterable[Sequence[Any]],
) -> None:
    """
    Insert records, inside `writing()`.

    Args:
        records: the columns `id`, `run`, `state` and RECORD_COLUMNS of all of them.
        bodies: their texts, in the same order.
        scores: for each score the record, the number of its name, its value and its mark.
    """
    ids, *columns = records
    same = [evaluation] * len(ids)
    db.insert("records", f"id, evaluation, run, state, {RECORD_COLUMNS}", (ids, same, *columns))
    db.insert("bodies", "record, body", (ids, bodies), sum(map(len, bodies)))
    db.insert("scores", "record, name, value, boolean", by_column(scores))


def make_experiment(db: sqlite3.Connection, name: str, created: float) -> None:
    """Make an experiment where there is none of this name; created: Unix seconds."""
    db.execute(
        "INSERT INTO experiments (name, created) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET created = min(created, excluded.created)",
        (name, created),
    )


def make_evaluation(db: sqlite3.Connection, experiment: str, created: float, name: str) -> int:
    """The number of an evaluation, which is made where it is not there, and its experiment too."""
    make_experiment(db, experiment, created)
    db.execute(
        "INSERT OR IGNORE INTO evaluations (experiment, name) "
        "SELECT id, ? FROM experiments WHERE name = ?",
        (name, experiment),
    )
    found: int = db.execute(
        "SELECT evaluations.id FROM evaluations JOIN experiments "
        "ON experiments.id = experiment WHERE experiments.name = ? AND evaluations.name = ?",
        (experiment, name),
    ).fetchone()[0]
    return found
