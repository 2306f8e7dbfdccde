"""
An experiment as a stream of facts: all that one store knows of it, and all that another needs.

    facts(one) ─▶ Opening · Ran… · Kept… · Paid… · Opening · … ─▶ transfer(other)

Nothing refers to a row of a table: runs are known by their random ids, records by what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Union

from ..errors import StoreError
from ..record import Attempt, Call, Run
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
        names = {
            number: {
                id: (score, load_metrics(metrics))
                for id, score, metrics in db.rows(
                    "id, name, metrics", "FROM score_names WHERE evaluation = ? ORDER BY id", number
                )
            }
            for number, _, _ in evaluations
        }
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
        scores = {id: score for id, (score, _) in names[number].items()}
        yield from _records(db, number, last_record, uids, scores)
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


def _records(
    db: Database, evaluation: int, last: int, uids: dict[int, str], scores: dict[int, str]
) -> Iterator[Kept]:
    # An arm for each state, because the index is by state: the rows come in order without sorting.
    one = (
        "SELECT id FROM records INDEXED BY records_of "
        "WHERE evaluation = ? AND state = {} AND id > ? AND id <= ?"
    )
    ids = f"{one.format(0)} UNION ALL {one.format(1)} UNION ALL {one.format(2)}"
    after = 0
    while True:
        with db.reading():
            rows = db.page(
                f"records.id, run, state, body, {RECORD_COLUMNS}",
                f"FROM ({ids} ORDER BY id LIMIT ?) AS chosen "
                "JOIN records ON records.id = chosen.id JOIN bodies ON record = chosen.id "
                "ORDER BY chosen.id",
                *(evaluation, after, last) * 3, _PAGE, text=3, most=_PAGE_TEXT,
            )  # fmt: skip
            must_be_there(db, evaluation)
            if not rows:
                return
            values = _values(db, evaluation, rows[0][0], rows[-1][0], scores)
        after = rows[-1][0]
        for id, run, state, body, *columns in rows:
            if run in uids:
                yield Kept(uids[run], state, tuple(columns), body, tuple(values.get(id, ())))


def _values(
    db: Database, evaluation: int, first: int, last: int, scores: dict[int, str]
) -> dict[int, list[tuple[str, Any]]]:
    values: dict[int, list[tuple[str, Any]]] = {}
    for record, name, value, boolean in db.rows(
        "record, scores.name, value, scores.boolean",
        "FROM records INDEXED BY records_of "
        "JOIN scores ON record = records.id "
        "WHERE evaluation = ? AND state IN (0, 1, 2) AND records.id BETWEEN ? AND ?",
        evaluation, first, last,
    ):  # fmt: skip
        if name not in scores:
            raise db.damaged(f"a score of record {record} has no name")
        try:
            values.setdefault(record, []).append((scores[name], value_of(value, boolean)))
        except ValueError as error:
            raise db.damaged(f"record {record}: {error}") from error
    return values


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
