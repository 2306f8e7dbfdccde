"""
The store: experiments, runs, records and scores in one SQLite file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import Busy, NotFound, StoreError, UsageError
from ..keys import shard_of
from ..record import FINAL, LIVE, STALE, SUPERSEDED, Attempt, Call, Record, Run, Stored
from ..text import similar
from .archive import CALL, Adopted, Fact, calls, facts, insert_calls, must_be_there
from .claims import Claim, Claims, lock_of
from .columns import KINDS
from .database import Database, by_column
from .deletion import sweep
from .encoding import (
    ATTEMPT_COLUMNS,
    RECORD_COLUMNS,
    Entry,
    attempt_columns,
    decode,
    dump,
    load,
    load_body,
    load_header,
    load_history,
    load_metrics,
    storable,
)
from .place import make_room
from .schema import BUSY
from .tally import Tally, add_scores, added, clear, tally

_PAGE = 500  # records read at a time
_PAGE_OF_KEYS = 5_000  # of which only the identity is read
_PAGE_TEXT = 4 * 2**20  # characters of their texts, at which a page ends earlier
VANISHED = "its process ended without a word"


@dataclass(slots=True)
class _Running:
    """
    What is being run through this object.

    Attributes:
        uid: of the run.
        evaluation: its number.
        revision: of the evaluation, as the run has left it; where it is `unsure`, whether its last
            commit was written or not, it may be one more.
        first, added: the number of its first record, and how many it has.
        scores: the numbers of the names of its scores.
    """

    uid: str
    evaluation: int
    claim: Claim
    revision: int
    unsure: bool = False
    first: int = 0
    added: int = 0
    scores: dict[str, int] = field(default_factory=dict)


class SqliteStore:
    """
    A store in a file, or in memory.

    Args:
        path: of the database; None: in memory, gone with the object.
        anchor: the folder that evaluations are named from.
        create: make the file where there is none, and the tables where it is empty.
        read_only: change nothing at all: not even what has to be added up anew is kept.
        busy: seconds to wait for other processes before giving up.
        connection: the class of the connection.

    Attributes:
        path, anchor: as given.
        on_prepared: called by `add` when only the way to the disk is left. Whoever runs may set
            it; a store need not call it.

    Raises:
        StoreError: it can not be opened, is not a store, or is newer than this doteval.
    """

    def __init__(
        self,
        path: Path | None,
        anchor: Path,
        create: bool = True,
        *,
        read_only: bool = False,
        busy: float = BUSY,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self.path = path
        self.anchor = anchor
        if path is not None and create:
            make_room(path)
        is_empty = not create and path is not None and _is_empty(path)
        self._db = Database(path, read_only=read_only or is_empty, busy=busy, connection=connection)
        self._claims = Claims(None if path is None else lock_of(path))
        self._runs: dict[int, _Running] = {}
        self.on_prepared: Callable[[], object] = _nothing

    @property
    def inline(self) -> bool:
        """Whether writing is so cheap that it needs no thread."""
        return self.path is None

    @property
    def database(self) -> Database:
        """The connection, for who looks after the file."""
        return self._db

    @property
    def claims(self) -> Claims:
        """Who may run what, for who brings it something."""
        return self._claims

    def __str__(self) -> str:
        return self._db.name

    def close(self) -> None:
        """Close the file; what was added is durable already."""
        self._claims.close()
        self._db.close()

    # --------------------------------------------------------------------- a run

    def begin(
        self, run: Run, *, fresh: bool = False, part: str = "", formerly: str | None = None
    ) -> int:
        """
        Register a run and take the lock of its evaluation.

        Args:
            run: its header; status "running".
            fresh: supersede what earlier runs recorded, of this part's rows.
            part: names the shard, "1/4" to "4/4"; runs of different shards do not exclude each
                other, a run of all rows excludes them all.
            formerly: the name that an earlier version stored this evaluation under; it has the
                run's name from now on.

        Returns:
            the number that the other methods know the run by.

        Raises:
            Busy: another run is working on this evaluation; names its process.
        """
        run = replace(run, experiment=storable(run.experiment), evaluation=storable(run.evaluation))
        claim = self._claims.make(run, part)
        if claim is None:
            raise self._busy(run, part)
        try:
            with self._db.writing() as db:
                if formerly is not None:
                    self._rename_evaluation(db, run, storable(formerly))
                evaluation = self._evaluation_of(db, run)
                db.execute(  # whoever has the lock is the only one: the others are dead
                    "UPDATE runs SET status = 'interrupted', error = coalesce(error, ?) "
                    "WHERE evaluation = ? AND part = ? AND status = 'running'",
                    (VANISHED, evaluation, part),
                )
                self._refuse_other_division(db, evaluation, run, part)
                if fresh:
                    self._supersede(db, evaluation, part)
                number = db.execute(
                    "INSERT INTO runs (uid, part, evaluation, started, status, pid, header) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (run.uid, part, evaluation, run.started, run.status, run.pid,
                     dump(dict(run.header))),
                ).lastrowid  # fmt: skip
                revision = self._db.all("SELECT revision FROM evaluations WHERE id = ?", evaluation)
        except BaseException:
            self._claims.give_back(claim)
            raise
        assert number is not None
        self._runs[number] = _Running(run.uid, evaluation, claim, revision[0][0])
        return number

    @contextmanager
    def _writing(
        self, number: int, revisions: int = 0
    ) -> Iterator[tuple[sqlite3.Connection, _Running, int, str | None]]:
        """
        A transaction of a run: the connection, the run, and what `_own` has found.

        Args:
            revisions: by how many it changes that of the evaluation.
        """
        run = self._runs[number]
        try:
            with self._db.writing() as db:
                yield db, run, *self._own(number, run)
        except BaseException:
            run.unsure = True
            raise
        run.revision += revisions

    def _own(self, number: int, run: _Running) -> tuple[int, str | None]:
        """
        Asked in each transaction of a run: whether it is still the one that works on its
        evaluation, and the store still the one that it has written. No lock can promise that: the
        lock file may be deleted, the database have two names, or a backup be copied over it.

        Returns:
            the last number of a record, and the sums of the evaluation.

        Raises:
            StoreError: it is not; says what happened.
        """
        found = self._db.all(
            "SELECT (SELECT coalesce(max(id), 0) FROM records), sums, revision, uid, status "
            "FROM runs JOIN evaluations ON evaluations.id = evaluation WHERE runs.id = ?",
            number,
        )
        last, sums, revision, uid, status = found[0] if found else (0, None, -1, "", "")
        if uid != run.uid or revision < run.revision:
            happened = (
                "an earlier state of it, such as a backup or a snapshot, or another store was put "
                "in its place"
            )
        elif status != "running" or (revision > run.revision + run.unsure and not run.claim.part):
            other = self._db.all(
                "SELECT pid FROM runs WHERE evaluation = ? AND id <> ? ORDER BY id DESC LIMIT 1",
                run.evaluation, number,
            )  # fmt: skip
            happened = (
                f"{f'process {other[0][0]}' if other else 'another process'} has taken this "
                "evaluation over (was the lock file deleted, or has the database two names?)"
            )
        elif not self._claims.holds(run.claim) and not self._db.is_moved():  # which tells itself
            happened = "its lock file was deleted or replaced, so that two runs could work on one"
        else:
            return last, sums
        raise self._ended_by(happened)

    def _count_own(self, number: int, run: _Running) -> None:
        """
        Whether all records of a run are there at its end: what is copied over a database in the
        midst of a commit can leave a mixture, of which each page is whole.
        """
        found = self._db.all(
            "SELECT count(*) FROM records WHERE id >= ? AND run = ?", run.first, number
        )[0][0]
        if found < run.added:
            raise self._ended_by(
                f"of {run.added:,} records that this run has stored there are {found:,}; something "
                "was copied over it, or wrote it past its locks"
            )

    def _ended_by(self, happened: str) -> StoreError:
        return StoreError(
            f"the store {self}: {happened}; this run stops, and writes nothing more. The same "
            "command goes on from what is there"
        )

    def _rename_evaluation(self, db: sqlite3.Connection, run: Run, old: str) -> None:
        """Give an evaluation a run's name, unless another run has just done so."""
        before = replace(run, evaluation=old)
        if self._claims.is_running(before, ""):
            raise self._busy(before, "")
        db.execute(
            "UPDATE OR IGNORE evaluations SET name = ? WHERE name = ? AND experiment = "
            "(SELECT id FROM experiments WHERE name = ?)",
            (run.evaluation, old, run.experiment),
        )

    def _busy(self, run: Run, part: str) -> Busy:
        owner = self._db.all(
            "SELECT pid FROM runs WHERE evaluation = (SELECT evaluations.id FROM evaluations "
            "JOIN experiments ON experiments.id = experiment "
            "WHERE experiments.name = ? AND evaluations.name = ?) AND status = 'running' "
            "AND (part = '' OR ? IN ('', part)) ORDER BY id DESC LIMIT 1",
            run.experiment, run.evaluation, part,
        )  # fmt: skip
        who = f"process {owner[0][0]}" if owner else "another process"
        return Busy(
            f"{run.evaluation} of experiment {run.experiment!r} is being run by {who}; "
            "wait for it, or give this run another --experiment name"
        )

    def _refuse_other_division(
        self, db: sqlite3.Connection, evaluation: int, run: Run, part: str
    ) -> None:
        """Halves and thirds of an evaluation have rows in common, which both would pay for."""
        for other, pid in db.execute(
            "SELECT part, pid FROM runs "
            "WHERE evaluation = ? AND status = 'running' AND part NOT IN ('', ?)",
            (evaluation, part),
        ).fetchall():
            same = other.partition("/")[2] == part.partition("/")[2]
            if not same and self._claims.is_running(run, other):
                raise Busy(
                    f"part {other} of {run.evaluation} of experiment {run.experiment!r} is being "
                    f"run by process {pid}; its parts must be of one number, not also {part}"
                )

    def _evaluation_of(self, db: sqlite3.Connection, run: Run) -> int:
        db.execute(
            "INSERT OR IGNORE INTO experiments (name, created) VALUES (?, ?)",
            (run.experiment, run.started),
        )
        db.execute(
            "INSERT OR IGNORE INTO evaluations (experiment, name) "
            "SELECT id, ? FROM experiments WHERE name = ?",
            (run.evaluation, run.experiment),
        )
        found: int = db.execute(
            "SELECT evaluations.id FROM evaluations JOIN experiments "
            "ON experiments.id = experiment WHERE experiments.name = ? AND evaluations.name = ?",
            (run.experiment, run.evaluation),
        ).fetchone()[0]
        return found

    def _supersede(self, db: sqlite3.Connection, evaluation: int, part: str) -> None:
        if part:
            at, _, shards = part.partition("/")
            theirs = db.execute(
                "SELECT id, key FROM records WHERE evaluation = ? AND state < 2", (evaluation,)
            ).fetchall()
            ids = [id for id, key in theirs if shard_of(key, int(shards)) == int(at) - 1]
            self._db.update("UPDATE records SET state = 2 WHERE id IN", ids)
        else:
            db.execute(
                "UPDATE records SET state = 2 WHERE evaluation = ? AND state < 2", (evaluation,)
            )
            clear(db, evaluation)
            db.execute(
                "UPDATE evaluations SET sums = NULL, summed = revision + 1 WHERE id = ?",
                (evaluation,),
            )
        touch(db, evaluation)

    def stored(self, number: int, after: int = 0, limit: int = 2_000) -> list[Stored]:
        """
        A page of what is stored of a run's evaluation: live and stale records, by id.

        Args:
            after: the last id of the page before.
        """
        return self._stored(self._runs[number].evaluation, after, limit)

    def _stored(self, evaluation: int, after: int, limit: int) -> list[Stored]:
        columns = "id, key, digest, repeat, error, state"
        of = "FROM records WHERE id > ? AND evaluation = ? AND state"
        return [
            Stored(id, key, digest, repeat, error is not None, state, error == FINAL)
            for id, key, digest, repeat, error, state in self._db.rows(
                columns,
                f"{of} = {LIVE} UNION ALL SELECT {columns} {of} = {STALE} ORDER BY id LIMIT ?",
                after, evaluation, after, evaluation, limit,
            )
        ]  # fmt: skip

    def stored_of(self, experiment: str, evaluation: str) -> Iterator[Stored]:
        """
        What `stored` has, for who is no run.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        number, after = self.number_of(experiment, evaluation), 0
        while page := self._stored(number, after, _PAGE_OF_KEYS):
            after = page[-1].id
            yield from page

    def add(self, number: int, entries: Iterable[Entry | Attempt | Call]) -> None:
        """
        Write records, failed attempts and calls of a run: durable when this returns, or not at all.

        Raises:
            StoreError: the disk, the file or another process prevents it.
        """
        run = self._runs[number]
        records: list[Entry] = []
        attempts: list[tuple[Any, ...]] = []
        calls: list[Call] = []
        for entry in entries:
            if isinstance(entry, Entry):
                records.append(entry)
            elif isinstance(entry, Call):
                calls.append(entry)
            else:
                attempts.append((run.evaluation, number, *attempt_columns(entry)))
        self._db.patiently(lambda: self._add(number, run, records, attempts, calls))

    def _add(
        self,
        number: int,
        run: _Running,
        records: list[Entry],
        attempts: list[tuple[Any, ...]],
        calls: list[Call],
    ) -> None:
        try:
            with self._writing(number, 1) as (db, _, last, sums):
                is_summed = True
                if records:
                    sums, is_summed = self._add_records(db, number, run, records, last, sums)
                self._db.insert(
                    "attempts", f"evaluation, run, {ATTEMPT_COLUMNS}", by_column(attempts)
                )
                insert_calls(self._db, run.evaluation, [(number, each) for each in calls])
                db.execute(
                    "UPDATE evaluations SET revision = revision + 1, "
                    "summed = coalesce(summed, 0) + ?, sums = ? WHERE id = ?",
                    (int(is_summed), sums or "", run.evaluation),
                )
                self.on_prepared()
            run.first = run.first or (last + 1 if records else 0)
            run.added += len(records)
        except BaseException:
            run.scores.clear()  # some may be names that were undone with the rest
            raise

    def _add_records(
        self,
        db: sqlite3.Connection,
        number: int,
        run: _Running,
        entries: list[Entry],
        last: int,
        sums: str | None,
    ) -> tuple[str | None, bool]:
        """Insert them; returns the sums with them, and whether all sums are right."""
        ids = list(range(last + 1, last + 1 + len(entries)))
        columns, bodies, scores, values, replaces, _ = by_column(entries)
        # A result whose row was changed is stale: it counts again when the row is as it was.
        replaced = [id for id in replaces if id is not None]
        results = self._db.update(
            f"UPDATE records SET state = {STALE} WHERE error IS NULL AND id IN", replaced
        )
        if results < len(replaced):
            self._db.update(
                f"UPDATE records SET state = {SUPERSEDED} WHERE error IS NOT NULL AND id IN",
                replaced,
            )
        is_summed = not results
        scored = [each for each in columns if each[4] is None]
        if scored:
            sums, fits = added(sums, by_column(scored))
            is_summed = is_summed and fits
        by_name: dict[str, tuple[tuple[str, ...], list[tuple[Any, int]]]] = {}
        for those, held in zip(scores, values, strict=True):
            for score, value in zip(those, held, strict=True):
                found = by_name.get(score.name)
                if found is None:
                    found = by_name[score.name] = score.metrics, []
                found[1].append(value)
        add_scores(self._db, run.evaluation, by_name)
        if not by_name.keys() <= run.scores.keys():
            known = {
                name: id
                for id, name in self._db.all(
                    "SELECT id, name FROM score_names WHERE evaluation = ?", run.evaluation
                )
            }
            run.scores.update((name, known[storable(name)]) for name in by_name)
        same = ([value] * len(ids) for value in (run.evaluation, number, LIVE))
        self._db.insert(
            "records",
            f"id, evaluation, run, state, {RECORD_COLUMNS}",
            (ids, *same, *by_column(columns)),
        )
        self._db.insert("bodies", "record, body", (ids, bodies), sum(map(len, bodies)))
        rows = [
            (id, run.scores[score.name], *value)
            for id, those, held in zip(ids, scores, values, strict=True)
            for score, value in zip(those, held, strict=True)
        ]
        self._db.insert("scores", "record, name, value, boolean", by_column(rows))
        return sums, is_summed

    def mark(self, number: int, ids: Iterable[int], state: int) -> None:
        """Say of stored records whether the dataset still has their rows (LIVE, STALE)."""
        with self._writing(number, 1) as (db, run, *_):
            self._db.update(f"UPDATE records SET state = {int(state)} WHERE id IN", list(ids))
            touch(db, run.evaluation)

    def total(self, number: int, total: int) -> None:
        """Note how many records the evaluation has when it is complete."""
        with self._writing(number) as (db, run, *_):
            db.execute("UPDATE evaluations SET total = ? WHERE id = ?", (total, run.evaluation))

    def tell(self, number: int, said: str | None) -> None:
        """Note what a run at work waits for, as its `error` until `end`; None: for nothing."""
        with self._writing(number) as (db, *_):
            shown = None if said is None else storable(said)
            db.execute("UPDATE runs SET error = ? WHERE id = ?", (shown, number))

    def end(self, number: int, run: Run) -> None:
        """
        Close a run: its last status, times and history, and what has come to its header. Gives its
        lock back.
        """
        running = self._runs[number]
        try:
            self._db.patiently(lambda: self._end(number, run, running))
            tally(self._db, running.evaluation, keeping=0)  # now, and not at a look
        finally:
            del self._runs[number]
            self._claims.give_back(running.claim)

    def _end(self, number: int, run: Run, running: _Running) -> None:
        with self._writing(number) as (db, *_):
            self._count_own(number, running)
            begun = self._db.all("SELECT header FROM runs WHERE id = ?", number)[0][0]
            db.execute(
                    "UPDATE runs SET finished = ?, duration = ?, status = ?, header = ?, "
                    "history = ?, error = ? WHERE id = ?",
                    (run.finished, run.duration, run.status, dump({**load(begun), **run.header}),
                     dump(list(run.history)),
                     None if run.error is None else storable(run.error), number),
                )  # fmt: skip

    # -------------------------------------------------------------------- reading

    def experiments(self) -> list[tuple[str, float]]:
        """Names of the experiments and when each was made (Unix seconds), oldest first."""
        found = []
        for id, name, created in self._db.all(
            "SELECT id, CAST(name AS BLOB), created FROM experiments ORDER BY id"
        ):
            try:
                told = name.decode()
            except (AttributeError, UnicodeDecodeError):
                told = f"experiment {id}, whose name is damaged"
            found.append((told, created if KINDS["created"].takes((created,)) else 0.0))
        return found

    def evaluations(self, experiment: str) -> list[str]:
        """
        Names of an experiment's evaluations, in the order in which they were first run.

        Raises:
            NotFound: there is no such experiment; names those that look alike.
        """
        rows = self._db.rows(
            "name", "FROM evaluations WHERE experiment = ? ORDER BY id",
            self._experiment(experiment),
        )  # fmt: skip
        return [name for (name,) in rows]

    def runs(self, experiment: str, evaluation: str | None = None) -> list[Run]:
        """
        Runs of an experiment, or of one of its evaluations; oldest first.

        Raises:
            NotFound: there is no such experiment.
        """
        only: str = ""
        of: list[int | str] = [self._experiment(experiment)]
        if evaluation is not None:  # by the index of names: an experiment may have thousands
            only, of = "AND evaluations.name = ? ", [*of, storable(evaluation)]
        rows = self._db.rows(
            "uid, evaluations.name, started, finished, duration, status, pid, header, history, "
            "error, part",
            "FROM runs JOIN evaluations ON evaluations.id = evaluation "
            f"WHERE experiment = ? {only}ORDER BY runs.id",
            *of,
        )  # fmt: skip
        found = []
        for (
            uid, name, started, finished, duration, status, pid, header, history, error, part
        ) in rows:  # fmt: skip
            run = Run(
                uid, storable(experiment), name, started, finished, duration, status, pid,
                load_header(header), load_history(history), error,
            )  # fmt: skip
            if status == "running" and not self._claims.is_running(run, part):
                run = replace(run, status="interrupted", error=VANISHED)
            found.append(run)
        return found

    def records(
        self,
        experiment: str,
        evaluation: str,
        *,
        failed: bool | None = None,
        state: int = LIVE,
    ) -> Iterator[Record]:
        """
        The records of an evaluation, in the order in which they became durable.

        They are read in pages, so a run may go on writing meanwhile.

        Args:
            failed: True: failures only; False: successes only; None: both.
            state: LIVE, STALE or SUPERSEDED.

        Raises:
            NotFound: there is no such experiment or evaluation.
            StoreError: it can not be read, or is deleted meanwhile.
        """
        number = self.number_of(experiment, evaluation)
        table = "records INDEXED BY records_failed" if failed else "records"
        condition = {None: "", True: "AND error IS NOT NULL", False: "AND error IS NULL"}[failed]
        last = 0
        while True:
            with self._db.reading():
                rows = self._db.page(
                    f"id, body, {RECORD_COLUMNS}",
                    f"FROM {table} JOIN bodies ON record = id "
                    f"WHERE evaluation = ? AND state = ? AND id > ? {condition} "
                    "ORDER BY id LIMIT ?",
                    number, state, last, _PAGE, text=1, most=_PAGE_TEXT,
                )  # fmt: skip
                must_be_there(self._db, number)
                if not rows:
                    return
                # Failures have none, and between two of them may lie all that was scored.
                scores = {} if failed else self._scores(number, state, rows[0][0], rows[-1][0])
            last = rows[-1][0]
            for row in rows:
                try:
                    record = decode(row[2:], load_body(row[1]), scores.get(row[0], ()))
                except ValueError as error:
                    raise self._db.damaged(f"record {row[0]}: {error}") from error
                yield record

    def _scores(self, evaluation: int, state: int, first: int, last: int) -> dict[int, list[Any]]:
        names = {
            id: (name, load_metrics(metrics))
            for id, name, metrics in self._db.rows(
                "id, name, metrics", "FROM score_names WHERE evaluation = ?", evaluation
            )
        }
        scores: dict[int, list[Any]] = {}
        for record, id, value, boolean in self._db.rows(
            "record, scores.name, value, scores.boolean",
            "FROM records JOIN scores ON record = records.id "
            "WHERE evaluation = ? AND state = ? AND records.id BETWEEN ? AND ?",
            evaluation, state, first, last,
        ):  # fmt: skip
            if id not in names:
                raise self._db.damaged(f"a score of record {record} has no name")
            name, metrics = names[id]
            scores.setdefault(record, []).append((name, value, boolean, metrics))
        return scores

    def attempts(self, experiment: str, evaluation: str) -> list[Attempt]:
        """
        The ledger: failed attempts of an evaluation's runs, oldest first.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        return [
            Attempt(*row)
            for row in self._db.rows(
                "key, repeat, number, started, duration, outcome, attempts.error, message",
                "FROM attempts WHERE evaluation = ? ORDER BY id",
                self.number_of(experiment, evaluation),
            )
        ]

    def calls(
        self, experiment: str, evaluation: str, key: bytes | None = None
    ) -> Iterator[tuple[str, Call]]:
        """
        The calls that an evaluation has kept, in the order in which they became durable, each with
        the uid of its run. They are read in pages.

        Args:
            key: of the only row whose calls to tell; None: of all.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        return calls(self._db, self.number_of(experiment, evaluation), key)

    def known_call(
        self, digest: bytes, repeat: int, number: int, key: bytes, experiment: str | None = None
    ) -> Call | None:
        """
        The latest call that was kept of what is asked: one of the same row, else of another.

        Args:
            digest, repeat, number, key: see Call.
            experiment: where to look; None: in all.

        Raises:
            NotFound: there is no such experiment.
        """
        within, of = "", [digest, repeat, number]
        if experiment is not None:
            within = "AND evaluation IN (SELECT id FROM evaluations WHERE experiment = ?)"
            of.append(self._experiment(experiment))
        for own in ([key], []):
            found = self._db.rows(
                CALL,
                f"FROM calls WHERE digest = ? AND repeat = ? AND number = ? {within} "
                f"{'AND key = ? ' * len(own)}ORDER BY key DESC, id DESC LIMIT 1",
                *of, *own,
            )  # fmt: skip
            if found:
                return Call(*found[0])
        return None

    def late_requests(self, limit: int, experiment: str | None = None) -> list[tuple[bytes, str]]:
        """
        Of the latest so many calls the key of the row, and the request.

        Args:
            experiment: where to look; None: in all.

        Raises:
            NotFound: there is no such experiment.
        """
        return self._db.rows(
            "key, request",
            "FROM calls WHERE ? IS NULL OR evaluation IN "
            "(SELECT id FROM evaluations WHERE experiment = ?) ORDER BY id DESC LIMIT ?",
            *[None if experiment is None else self._experiment(experiment)] * 2, limit,
        )  # fmt: skip

    def tally(self, experiment: str, evaluation: str) -> Tally:
        """
        Aggregates of an evaluation's records.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        return tally(self._db, self.number_of(experiment, evaluation))

    def values(self, experiment: str, evaluation: str, score: str) -> Iterator[tuple[bytes, Any]]:
        """
        The values of one score over the live records: (key of the row, number; NaN is None).
        The repeats of a row have the same key.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        number = self.number_of(experiment, evaluation)
        last = 0
        while rows := self._db.rows(
            "records.id, key, value",
            "FROM score_names JOIN records ON records.evaluation = score_names.evaluation "
            "JOIN scores ON record = records.id AND scores.name = score_names.id "
            "WHERE score_names.evaluation = ? AND score_names.name = ? "
            "AND state = 0 AND records.id > ? ORDER BY records.id LIMIT 5000",
            number, storable(score), last,
        ):  # fmt: skip
            last = rows[-1][0]
            for _, key, value in rows:
                yield key, float(value) if isinstance(value, str) else value
        must_be_there(self._db, number)

    def made_by(self, experiment: str, evaluation: str) -> dict[str, int]:
        """How many live records each run made, by the run's uid."""
        return dict(
            self._db.rows(
                "uid, n",
                "FROM (SELECT uid, count(*) AS n FROM records JOIN runs ON runs.id = run "
                f"WHERE records.evaluation = ? AND state = {LIVE} GROUP BY run)",
                self.number_of(experiment, evaluation),
            )
        )

    def total_of(self, experiment: str, evaluation: str) -> int | None:
        """
        How many records the evaluation has when it is complete; None while unknown.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        number = self.number_of(experiment, evaluation)
        total: int | None = self._db.rows("total", "FROM evaluations WHERE id = ?", number)[0][0]
        return total

    # ------------------------------------------------------------------- changing

    def rename(self, old: str, new: str) -> None:
        """
        Give an experiment another name.

        Raises:
            NotFound: there is no experiment `old`.
            UsageError: the new name is empty or taken.
            Busy: one of its evaluations is being run.
        """
        self._experiment(old)
        new = storable(new)
        if not new.strip():
            raise UsageError("an experiment needs a name that is not blank")
        with self._db.writing() as db:
            number = self._idle(old)
            if db.execute("SELECT 1 FROM experiments WHERE name = ?", (new,)).fetchone():
                raise UsageError(f"there is an experiment {new!r} already")
            db.execute("UPDATE experiments SET name = ? WHERE id = ?", (new, number))

    def delete(self, experiment: str) -> int:
        """
        Delete an experiment and all it holds. It is gone at once, and what it held is deleted a
        page at a time; where that is interrupted, who deletes something next goes on with it.

        Returns:
            how many records went.

        Raises:
            NotFound: there is no such experiment.
            Busy: one of its evaluations is being run.
        """
        records = self._db.all(
            "SELECT count(*) FROM records WHERE evaluation IN "
            "(SELECT id FROM evaluations WHERE experiment = ?)",
            self._experiment(experiment),
        )
        with self._db.writing() as db:
            number = self._idle(experiment)
            db.execute("UPDATE evaluations SET experiment = -id WHERE experiment = ?", (number,))
            db.execute("DELETE FROM experiments WHERE id = ?", (number,))
        sweep(self._db)
        gone: int = records[0][0]
        return gone

    def _idle(self, experiment: str) -> int:
        """
        The number of an experiment that nobody runs. Asked inside a transaction, in which no run
        can begin.
        """
        number = self._experiment(experiment)
        for uid, evaluation, part, pid in self._db.rows(
            "uid, evaluations.name, part, pid",
            "FROM runs JOIN evaluations ON evaluations.id = evaluation "
            "WHERE experiment = ? AND status = 'running'",
            number,
        ):
            run = Run(uid, storable(experiment), evaluation, 0.0, None, 0.0, "running", pid, {})
            if self._claims.is_running(run, part):
                raise Busy(
                    f"experiment {experiment!r} is being run by process {pid}; "
                    "wait for it, or end it"
                )
        return number

    # -------------------------------------------------------------- handing it on

    def facts(self, experiment: str, evaluation: str | None = None) -> Iterator[Fact]:
        """
        All that is stored of an experiment, as `adopt` of another store takes it.

        Args:
            evaluation: the only one to tell; None: all.

        Raises:
            NotFound: there is no such experiment.
        """
        number = self._experiment(experiment)
        return facts(self._db, number, lambda name: self.runs(experiment, name), evaluation)

    def adopt(self, experiment: str, created: float, facts: Iterable[Fact]) -> Adopted:
        """
        Make an experiment from its facts, a page at a time. What is interrupted goes on with the
        same facts; what is there already is not taken again.

        Args:
            created: Unix seconds.

        Returns:
            how much was new.

        Raises:
            UsageError: the name is blank, or that of an experiment of other runs; or a fact does
                not fit those before it.
            Busy: an evaluation is being run.
        """
        from .transfer import transfer  # of which who looks has no use

        arrived = transfer(self._db, self._claims, experiment, created, facts)
        return Adopted(
            len(arrived),
            sum(each.runs for each in arrived),
            sum(each.records for each in arrived),
            sum(each.attempts for each in arrived),
        )

    # ---------------------------------------------------------------------- names

    def _experiment(self, name: str) -> int:
        found = self._db.rows("id", "FROM experiments WHERE name = ?", storable(name))
        if not found:
            others = [other for other, _ in self.experiments()]
            if name in others:
                raise self._db.damaged(f"{name}")
            raise NotFound(
                f"there is no experiment {name!r} in {self}"
                + similar(name, others, others[-5:], cutoff=0.5)
            )
        number: int = found[0][0]
        return number

    def number_of(self, experiment: str, name: str) -> int:
        """
        The number of an evaluation in its tables.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        found = self._db.rows(
            "id", "FROM evaluations WHERE experiment = ? AND name = ?",
            self._experiment(experiment), storable(name),
        )  # fmt: skip
        if not found:
            others = self.evaluations(experiment)
            raise NotFound(
                f"experiment {experiment!r} has no evaluation {name!r}"
                + similar(name, others, others[-5:], cutoff=0.5)
            )
        number: int = found[0][0]
        return number


def touch(db: sqlite3.Connection, evaluation: int) -> None:
    """Its records were changed, and are not what its sums are of."""
    db.execute("UPDATE evaluations SET revision = revision + 1 WHERE id = ?", (evaluation,))


def _is_empty(path: Path) -> bool:
    """Whether it has not even tables: whoever only looks makes none."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False  # which opening it will tell


def _nothing() -> None:
    pass
