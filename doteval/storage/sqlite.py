"""
The store: a run writes its records and scores into one SQLite file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import Busy, StoreError
from ..keys import shard_of
from ..record import LIVE, STALE, SUPERSEDED, Attempt, Call, Run, Stored
from .archive import insert_calls, insert_records, make_evaluation
from .claims import Claim, Claims, lock_of
from .contents import VANISHED, Contents, stored_in
from .database import Database, by_column
from .encoding import dump, load, storable
from .entries import ATTEMPT_COLUMNS, RUN_COLUMNS, Entry, attempt_columns, run_columns
from .place import make_room
from .schema import BUSY
from .tally import add_scores, added, clear, tally


@dataclass(slots=True, eq=False, repr=False)
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


class SqliteStore(Contents):
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

    keeps_calls = True  # those of `replayable`

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
        super().__init__(
            Database(path, read_only=read_only or is_empty, busy=busy, connection=connection),
            Claims(None if path is None else lock_of(path)),
        )
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
            raise _busy(self._db, run, part)
        try:
            with self._db.writing() as db:
                if formerly is not None:
                    self._rename_evaluation(db, run, storable(formerly))
                evaluation = make_evaluation(db, run.experiment, run.started, run.evaluation)
                db.execute(  # whoever has the lock is the only one: the others are dead
                    "UPDATE runs SET status = 'interrupted', error = coalesce(error, ?) "
                    "WHERE evaluation = ? AND part = ? AND status = 'running'",
                    (VANISHED, evaluation, part),
                )
                _refuse_other_division(self._claims, db, evaluation, run, part)
                if fresh:
                    _supersede(self._db, db, evaluation, part)
                number = db.execute(
                    f"INSERT INTO runs (evaluation, {RUN_COLUMNS}) VALUES (?{', ?' * 10})",
                    (evaluation, *run_columns(run, part)),
                ).lastrowid
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
            raise _busy(self._db, before, "")
        db.execute(
            "UPDATE OR IGNORE evaluations SET name = ? WHERE name = ? AND experiment = "
            "(SELECT id FROM experiments WHERE name = ?)",
            (run.evaluation, old, run.experiment),
        )

    def stored(self, number: int, after: int = 0, limit: int = 2_000) -> list[Stored]:
        """
        A page of what is stored of a run's evaluation: live and stale records, by id.

        Args:
            after: the last id of the page before.
        """
        return stored_in(self._db, self._runs[number].evaluation, after, limit)

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
        rows = [
            (id, run.scores[score.name], *value)
            for id, those, held in zip(ids, scores, values, strict=True)
            for score, value in zip(those, held, strict=True)
        ]
        same = ([value] * len(ids) for value in (number, LIVE))
        records = (ids, *same, *by_column(columns))
        insert_records(self._db, run.evaluation, records, bodies, rows)
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


def _busy(db: Database, run: Run, part: str) -> Busy:
    owner = db.all(
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
    claims: Claims, db: sqlite3.Connection, evaluation: int, run: Run, part: str
) -> None:
    """Halves and thirds of an evaluation have rows in common, which both would pay for."""
    for other, pid in db.execute(
        "SELECT part, pid FROM runs "
        "WHERE evaluation = ? AND status = 'running' AND part NOT IN ('', ?)",
        (evaluation, part),
    ).fetchall():
        same = other.partition("/")[2] == part.partition("/")[2]
        if not same and claims.is_running(run, other):
            raise Busy(
                f"part {other} of {run.evaluation} of experiment {run.experiment!r} is being "
                f"run by process {pid}; its parts must be of one number, not also {part}"
            )


def _supersede(database: Database, db: sqlite3.Connection, evaluation: int, part: str) -> None:
    if part:
        at, _, shards = part.partition("/")
        theirs = db.execute(
            "SELECT id, key FROM records WHERE evaluation = ? AND state < 2", (evaluation,)
        ).fetchall()
        ids = [id for id, key in theirs if shard_of(key, int(shards)) == int(at) - 1]
        database.update("UPDATE records SET state = 2 WHERE id IN", ids)
    else:
        db.execute("UPDATE records SET state = 2 WHERE evaluation = ? AND state < 2", (evaluation,))
        clear(db, evaluation)
        db.execute(
            "UPDATE evaluations SET sums = NULL, summed = revision + 1 WHERE id = ?",
            (evaluation,),
        )
    touch(db, evaluation)


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
