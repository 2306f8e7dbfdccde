"""
An experiment as a stream of facts: all that one store knows of it, and all that another needs.

    facts(one) ─▶ Opening · Ran… · Kept… · Paid… · Opening · … ─▶ adopt(other)

Nothing refers to a row of a table: runs are known by their random ids, records by what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from os import urandom
from sqlite3 import Connection
from typing import Any, NamedTuple, Union

from ..errors import StoreError, UsageError
from ..records import Attempt, Run
from .database import Database, by_column
from .encoding import (
    ATTEMPT_COLUMNS,
    RECORD_COLUMNS,
    attempt_columns,
    dump,
    load,
    marks_in,
    storable,
    value_of,
    value_to,
)

_PAGE = 500  # records read or written at a time
_PAGE_TEXT = 4 * 2**20  # characters of their texts, at which a page ends earlier
_COPY_OF = "copy_of"  # in the header of a run whose id this store has had in another experiment


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


Fact = Union[Opening, Ran, Kept, Paid]


class Contradiction(UsageError):
    """Facts that do not fit those before them."""


class Adopted(NamedTuple):
    """How much was adopted."""

    evaluations: int
    runs: int
    records: int
    attempts: int


def identity(uid: str, header: Mapping[str, Any]) -> str:
    """
    What a run is known by wherever it is stored. Its id is unique in a store: a run that is there
    in two experiments, as after a rename or an import, has another one in the second.
    """
    told: str = header.get(_COPY_OF) or uid
    return told


def free_uid(connection: Connection, uid: str, header: str) -> tuple[str, str]:
    """
    The id and the header, as JSON, for a run that comes into a store: as they are, or where the
    store has the id already another one, and a header that says of what.
    """
    if not connection.execute("SELECT 1 FROM runs WHERE uid = ?", (uid,)).fetchone():
        return uid, header
    return urandom(16).hex(), as_copy(header, uid)


def as_copy(header: str, uid: str) -> str:
    """A header, as JSON, that says of which run this one is a copy."""
    return dump({**load(header), _COPY_OF: uid})


# --- reading ----------------------------------------------------------------------------------


def facts(
    db: Database, experiment: int, runs: Callable[[str], list[Run]]
) -> Iterator[Fact]:  # fmt: skip
    """
    All that is stored of an experiment, read in pages, so that a run may go on meanwhile.

    What is added after the first fact is left out: a record and its replacement are never both
    told to be live.

    Args:
        experiment: its number.
        runs: those of an evaluation, by its name.
    """
    with db.reading():
        last_record = db.all("SELECT coalesce(max(id), 0) FROM records")[0][0]
        last_attempt = db.all("SELECT coalesce(max(id), 0) FROM attempts")[0][0]
        evaluations = db.all(
            "SELECT id, name, total FROM evaluations WHERE experiment = ? ORDER BY id", experiment
        )
        names = {
            number: db.all(
                "SELECT id, name, metrics FROM score_names WHERE evaluation = ? ORDER BY id", number
            )
            for number, _, _ in evaluations
        }
    for number, name, total in evaluations:
        must_be_there(db, number)
        yield Opening(
            name, total, tuple((score, tuple(load(each))) for _, score, each in names[number])
        )
        told = {run.uid: run for run in runs(name)}
        uids = {}
        for id, uid, part in db.all(
            "SELECT id, uid, part FROM runs WHERE evaluation = ? ORDER BY id", number
        ):
            if uid in told:  # else it began just now
                run = told[uid]
                uids[id] = identity(uid, run.header)
                header = {name: v for name, v in run.header.items() if name != _COPY_OF}
                yield Ran(replace(run, uid=uids[id], header=header), part)
        scores = {id: score for id, score, _ in names[number]}
        yield from _records(db, number, last_record, uids, scores)
        yield from _attempts(db, number, last_attempt, uids)


def must_be_there(db: Database, evaluation: int) -> None:
    """
    Asked with each page: an evaluation that is deleted between two of them would else seem to end.

    Raises:
        StoreError: there is no evaluation of this number any more.
    """
    if not db.all("SELECT 1 FROM evaluations WHERE id = ?", evaluation):
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
                f"SELECT records.id, run, state, body, {RECORD_COLUMNS} "
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
    for record, name, value, boolean in db.all(
        "SELECT record, scores.name, value, boolean FROM records INDEXED BY records_of "
        "JOIN scores ON record = records.id "
        "WHERE evaluation = ? AND state IN (0, 1, 2) AND records.id BETWEEN ? AND ?",
        evaluation, first, last,
    ):  # fmt: skip
        values.setdefault(record, []).append((scores[name], value_of(value, boolean)))
    return values


def _attempts(db: Database, evaluation: int, last: int, uids: dict[int, str]) -> Iterator[Paid]:
    after = 0
    while rows := db.all(
        "SELECT id, run, key, repeat, number, started, duration, outcome, error, message "
        "FROM attempts WHERE evaluation = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        evaluation, after, last, 10 * _PAGE,
    ):  # fmt: skip
        after = rows[-1][0]
        for _, run, *attempt in rows:
            if run in uids:
                yield Paid(uids[run], Attempt(*attempt))
    must_be_there(db, evaluation)


# --- writing ----------------------------------------------------------------------------------


def adopt(db: Database, experiment: str, created: float, facts: Iterable[Fact]) -> Adopted:
    """
    Write an experiment from its facts: all of them in one transaction, or nothing.

    Whatever the facts raise undoes it. Until it is done, other processes wait to write; beyond a
    few megabytes to read as well.

    Args:
        created: Unix seconds.

    Raises:
        UsageError: the name is blank or taken.
        Contradiction: a fact does not fit those before it.
        StoreError: the disk, the file or another process prevents it.
    """
    experiment = storable(experiment)
    if not experiment.strip():
        raise UsageError("an experiment needs a name that is not blank")
    with db.writing() as connection:
        if connection.execute("SELECT 1 FROM experiments WHERE name = ?", (experiment,)).fetchone():
            raise UsageError(f"there is an experiment {experiment!r} already; give another name")
        number = connection.execute(
            "INSERT INTO experiments (name, created) VALUES (?, ?)", (experiment, created)
        ).lastrowid
        assert number is not None
        adoption = _Adoption(db, connection, number)
        for fact in facts:
            adoption.take(fact)
        return adoption.finish()


class _Adoption:
    """
    The state of one adoption.

    Args:
        connection: inside its transaction.
        experiment: its number.
    """

    def __init__(self, db: Database, connection: Connection, experiment: int) -> None:
        self._db = db
        self._connection = connection
        self._experiment = experiment
        self._evaluation = 0  # its number
        self._name = ""
        self._runs: dict[str, int] = {}
        self._scores: dict[str, int] = {}
        self._ids = count(
            connection.execute("SELECT coalesce(max(id), 0) + 1 FROM records").fetchone()[0]
        )
        self._records: list[tuple[Any, ...]] = []
        self._bodies: list[tuple[Any, ...]] = []
        self._values: list[tuple[Any, ...]] = []
        self._attempts: list[tuple[Any, ...]] = []
        self._text = 0
        self._counts = dict.fromkeys((Opening, Ran, Kept, Paid), 0)

    def take(self, fact: Fact) -> None:
        """Write a fact, or gather it with others."""
        self._counts[type(fact)] += 1
        if isinstance(fact, Kept):
            self._keep(fact)
        elif isinstance(fact, Paid):
            self._attempts.append(
                (self._evaluation, self._run(fact.run), *attempt_columns(fact.attempt))
            )
        elif isinstance(fact, Ran):
            self._run_again(fact)
        else:
            self._open(fact)

    def finish(self) -> Adopted:
        """Write what is left, and check the last evaluation."""
        self._close()
        return Adopted(*self._counts.values())

    def _open(self, fact: Opening) -> None:
        self._close()
        self._name, self._runs = storable(fact.evaluation), {}
        known = "SELECT 1 FROM evaluations WHERE experiment = ? AND name = ?"
        if self._connection.execute(known, (self._experiment, self._name)).fetchone():
            raise Contradiction(f"evaluation {self._name!r} is there twice")
        self._evaluation = self._inserted(
            "evaluations (experiment, name, total, revision)",
            self._experiment,
            self._name,
            fact.total,
            1,  # which no sums are of
        )
        self._scores = {
            name: self._inserted(
                "score_names (evaluation, name, metrics)",
                self._evaluation,
                storable(name),
                dump(list(metrics)),
            )
            for name, metrics in dict(fact.scores).items()
        }

    def _inserted(self, target: str, *values: Any) -> int:
        marks = ", ".join("?" * len(values))
        number = self._connection.execute(
            f"INSERT INTO {target} VALUES ({marks})", values
        ).lastrowid
        assert number is not None
        return number

    def _run_again(self, fact: Ran) -> None:
        run = fact.run
        if run.uid in self._runs:
            raise Contradiction(f"run {run.uid!r} of evaluation {self._name!r} is there twice")
        uid, header = free_uid(self._connection, run.uid, dump(dict(run.header)))
        self._runs[run.uid] = self._inserted(
            "runs (uid, part, evaluation, started, finished, duration, status, pid, header, "
            "history, error)",
            uid,
            fact.part,
            self._evaluation,
            run.started,
            run.finished,
            run.duration,
            # It runs somewhere else, if at all; what it adds from now on does not come here.
            "interrupted" if run.status == "running" else run.status,
            run.pid,
            header,
            dump(list(run.history)),
            None if run.error is None else storable(run.error),
        )

    def _run(self, uid: str) -> int:
        if uid not in self._runs:
            raise Contradiction(f"there is no run {uid!r} of evaluation {self._name!r}")
        return self._runs[uid]

    def _keep(self, fact: Kept) -> None:
        id, run = next(self._ids), self._run(fact.run)
        self._records.append((id, self._evaluation, run, fact.state, *fact.columns))
        self._bodies.append((id, fact.body))
        self._text += len(fact.body)
        mark = marks_in(fact.body)
        for name, value in fact.scores:
            if name not in self._scores:
                raise Contradiction(f"evaluation {self._name!r} has no score {name!r}")
            self._values.append((id, self._scores[name], *value_to(value, mark(name))))
        if len(self._records) >= _PAGE or self._text >= _PAGE_TEXT:
            self._flush()

    def _flush(self) -> None:
        db = self._db
        db.insert(
            "records", f"id, evaluation, run, state, {RECORD_COLUMNS}", by_column(self._records)
        )
        db.insert("bodies", "record, body", by_column(self._bodies), self._text)
        db.insert("scores", "record, name, value, boolean", by_column(self._values))
        db.insert("attempts", f"evaluation, run, {ATTEMPT_COLUMNS}", by_column(self._attempts))
        for rows in (self._records, self._bodies, self._values, self._attempts):
            rows.clear()
        self._text = 0

    def _close(self) -> None:
        """The end of an evaluation: a row has one live record, or something is wrong."""
        self._flush()
        double = self._connection.execute(
            "SELECT position FROM records WHERE evaluation = ? AND state = 0 "
            "GROUP BY key, repeat HAVING count(*) > 1 LIMIT 1",
            (self._evaluation,),
        ).fetchone()
        if double:
            raise Contradiction(
                f"evaluation {self._name!r} has two live records of one row, at position "
                f"{double[0]}"
            )
