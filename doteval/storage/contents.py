"""
The experiments of a store: read, renamed, deleted, handed on.

Whoever reads holds no transaction while it prints or computes: pages are read by their keys, each
fetched whole, so a run may go on writing meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..errors import Busy, NotFound, UsageError
from ..record import FINAL, LIVE, STALE, Attempt, Call, Record, Run, Stored
from ..text import similar
from .archive import CALL, Adopted, Fact, calls, facts, must_be_there, pages
from .claims import Claims
from .columns import KINDS
from .database import Database
from .deletion import sweep
from .encoding import cluster_of, load_body, storable
from .entries import RUN_COLUMNS, decode, run_of
from .tally import Tally, tally

_PAGE = 500  # records read at a time
_PAGE_OF_KEYS = 5_000  # of which only the identity is read
VANISHED = "its process ended without a word"


class Contents:
    """
    The experiments in a database. `SqliteStore` adds the runs that make them.

    Args:
        db: the connection.
        claims: which tell whether a run that says so is running.
    """

    def __init__(self, db: Database, claims: Claims) -> None:
        self._db = db
        self._claims = claims

    def __str__(self) -> str:
        return self._db.name

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
            f"evaluations.name, {RUN_COLUMNS}",
            "FROM runs JOIN evaluations ON evaluations.id = evaluation "
            f"WHERE experiment = ? {only}ORDER BY runs.id",
            *of,
        )  # fmt: skip
        found = []
        for name, *columns in rows:
            run = run_of(storable(experiment), name, columns)
            if run.status == "running" and not self._claims.is_running(run, columns[1]):
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
        for rows, scores in pages(self._db, number, (state,), failed=failed):
            for id, _, _, body, *columns in rows:
                try:
                    record = decode(columns, load_body(body), scores.get(id, ()))
                except ValueError as error:
                    raise self._db.damaged(f"record {id}: {error}") from error
                yield record

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

    def clusters(
        self, experiment: str, evaluation: str, column: str
    ) -> Iterator[tuple[bytes, str | None]]:
        """
        Which cluster the rows of the live records belong to: (key of the row, cluster; None: it is
        its own). A record that was stored before `column` named clusters has it in its row.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        number, last = self.number_of(experiment, evaluation), 0
        while rows := self._db.rows(
            "id, key, cluster",
            "FROM records WHERE evaluation = ? AND state = 0 AND id > ? ORDER BY id LIMIT ?",
            number, last, _PAGE,
        ):  # fmt: skip
            last = rows[-1][0]
            for id, key, cluster in rows:
                if cluster is None:  # texts one by one, as they may be long
                    for (body,) in self._db.rows("body", "FROM bodies WHERE record = ?", id):
                        cluster = cluster_of(load_body(body)["row"].get(column))
                yield key, cluster
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

    def stored_of(self, experiment: str, evaluation: str) -> Iterator[Stored]:
        """
        What `stored` has, for who is no run.

        Raises:
            NotFound: there is no such experiment or evaluation.
        """
        number, after = self.number_of(experiment, evaluation), 0
        while page := stored_in(self._db, number, after, _PAGE_OF_KEYS):
            after = page[-1].id
            yield from page

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


def stored_in(db: Database, evaluation: int, after: int, limit: int) -> list[Stored]:
    columns = "id, key, digest, repeat, error, state"
    of = "FROM records WHERE id > ? AND evaluation = ? AND state"
    return [
        Stored(id, key, digest, repeat, error is not None, state, error == FINAL)
        for id, key, digest, repeat, error, state in db.rows(
            columns,
            f"{of} = {LIVE} UNION ALL SELECT {columns} {of} = {STALE} ORDER BY id LIMIT ?",
            after, evaluation, after, evaluation, limit,
        )
    ]  # fmt: skip
