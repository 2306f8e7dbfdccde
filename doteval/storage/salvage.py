"""
What can still be read of a damaged store, as facts for a new one.

Where a page is damaged, its rows are passed over: the next readable row is looked for by number,
so a table loses what stood on its damaged pages and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreError
from ..record import LIVE, SUPERSEDED, Attempt, Call, Run
from .archive import Asked, Fact, Kept, Opening, Paid, Ran
from .claims import Claims
from .columns import kinds, odd_in
from .database import Database
from .encoding import check_header, check_history, dump, is_part, load, load_body, storable
from .entries import ATTEMPT_COLUMNS, CALL_COLUMNS, RECORD_COLUMNS, value_of
from .place import make_room
from .schema import version_in
from .transfer import transfer

_PAGE = 200  # rows read at a time, while nothing is in the way
_LAST = 2**62  # beyond any number of a row
_LOST = "Lost"  # the type of a failure whose scores could not be read
_LOST_TEXT = "it could not be read any more when the store was repaired"


class Saved(NamedTuple):
    """
    What was brought into the new store.

    Attributes:
        records: of them.
        without_texts: records whose prompt and answer are lost.
        without_scores: records that lost their scores; they count as failed and run again.
        unnamed: evaluations whose names are lost.
    """

    records: int
    without_texts: int
    without_scores: int
    unnamed: int


def salvage(damaged: Damaged, new: Path) -> Saved:
    """
    Bring what can be read of a store into a new one.

    Args:
        new: of the file to make.

    Raises:
        StoreError: the new file can not be made or written.
    """
    make_room(new)
    store = Database(new)
    try:
        for name, created in damaged.experiments():
            facts = damaged.facts(name)
            transfer(store, Claims(None), name, created, facts, merging=True)
    finally:
        store.close()
    return damaged.saved


class _Evaluation(NamedTuple):
    """An evaluation, its runs by their numbers, and its scores by theirs."""

    experiment: str
    name: str
    total: int | None
    runs: dict[int, Ran]
    scores: dict[int, tuple[str, tuple[str, ...]]]


class Damaged:
    """
    A store of which not all can be read. Nobody writes it as long as this is open.

    Attributes:
        saved: what was told so far.

    Raises:
        StoreError: nothing can be read of it, or it never was a store.
    """

    def __init__(self, path: Path) -> None:
        self.saved = Saved(0, 0, 0, 0)
        # What was read, by evaluation: of many records too much for memory, so a file of its own.
        self._read = sqlite3.connect("", isolation_level=None)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._open(path)
            self._created: dict[str, float] = {}
            self._names: set[tuple[str, str]] = set()
            self._evaluations: dict[int, _Evaluation] = {}
            self._survey()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others write it."""
        self._db.close()
        self._read.close()

    def _open(self, path: Path) -> None:
        try:
            self._db.execute("PRAGMA trusted_schema = OFF")
            self._db.execute("PRAGMA writable_schema = ON")  # reads a file that was cut short
            self._db.execute("BEGIN")
            known = version_in(self._db, str(path)) > 0
            tables = self._db.execute(
                "SELECT name FROM sqlite_master "
                "WHERE type = 'table' AND sql NOT LIKE 'create virtual%'"
            )
            self._tables = {name for (name,) in tables}
        except (sqlite3.Error, UnicodeDecodeError) as error:  # it quotes what is damaged
            raise StoreError(
                f"nothing can be read of {path} any more ({error}), and it was left as it is; "
                "take a backup, or try what `sqlite3` finds with its command .recover"
            ) from error
        if not known or "records" not in self._tables:
            raise StoreError(
                f"nothing can be read of {path} any more: its list of tables is lost. It was left "
                "as it is; take a backup, or try what `sqlite3` finds with its command .recover"
            )

    # ------------------------------------------------------------------------- as facts

    def experiments(self) -> list[tuple[str, float]]:
        """The names of its experiments, and when each was made."""
        return list(self._created.items())

    def facts(self, experiment: str) -> Iterator[Fact]:
        """What can be read of an experiment."""
        for number, each in self._evaluations.items():
            if each.experiment == experiment:
                yield Opening(each.name, each.total, tuple(each.scores.values()))
                yield from each.runs.values()
                yield from self._records(number, each)
                for row in self._rows_read("attempts", number):
                    yield Paid(each.runs[row[1]].run.uid, Attempt(*row[2:]))
                for row in self._rows_read("calls", number):
                    yield Asked(each.runs[row[1]].run.uid, Call(*row[2:]))

    def _records(self, number: int, of: _Evaluation) -> Iterator[Kept]:
        rows = self._rows_read("records", number)
        while page := [row for _, row in zip(range(_PAGE), rows, strict=False)]:
            ids = [row[0] for row in page]
            values: dict[int, dict[str, Any]] = {}
            for record, score, value, boolean in self._some(
                "scores", "record, name, value, boolean", ids
            ):
                if score in of.scores and _is_score(value, boolean):
                    name = of.scores[score][0]
                    values.setdefault(record, {})[name] = value_of(value, boolean)
            for id, run, state, *columns in page:
                texts = [text for (text,) in self._some("bodies", "body", [id])]  # may be long
                body, lost_texts, lost_scores = _body(texts[0] if texts else None), 0, 0
                if body is None:
                    body, lost_texts = dump({"row": {"?": _LOST_TEXT}}), 1
                scores = tuple(values.get(id, {}).items()) if columns[4] is None else ()
                if columns[4] is None and not scores:
                    columns[4], lost_scores = _LOST, 1
                    failure = {"message": f"its scores are lost: {_LOST_TEXT}"}
                    body = dump({**load(body), "failure": failure})
                records, blank, without, unnamed = self.saved
                self.saved = Saved(records + 1, blank + lost_texts, without + lost_scores, unnamed)
                yield Kept(of.runs[run].run.uid, state, tuple(columns), body, scores)

    # --------------------------------------------------------------------- what is there

    def _survey(self) -> None:
        names = {}
        for id, name, created in self._mended("experiments", "id, name, created"):
            names[id] = name
            self._created[name] = created
        deleted = []
        for id, experiment, name, total in self._mended(
            "evaluations", "id, experiment, name, total"
        ):
            if experiment < 0:
                deleted.append((id,))
            else:
                self._name(id, names.get(experiment, f"recovered {experiment}"), name, total)
        self._keep("records", f"id, evaluation, run, state, {RECORD_COLUMNS}")
        self._keep("attempts", f"id, evaluation, run, {ATTEMPT_COLUMNS}")
        self._keep("calls", f"id, evaluation, run, {CALL_COLUMNS}")
        for table in ("records", "attempts", "calls"):  # what is on its way out stays out
            self._read.executemany(f"DELETE FROM {table} WHERE evaluation = ?", deleted)
        self._read.execute(  # of several live records of one row, the last counts
            f"UPDATE records SET state = {SUPERSEDED} WHERE state = {LIVE} AND id NOT IN (SELECT "
            f"max(id) FROM records WHERE state = {LIVE} GROUP BY evaluation, key, repeat)"
        )
        for (id,) in self._read.execute("SELECT DISTINCT evaluation FROM records").fetchall():
            if id not in self._evaluations:
                self._name(id, "recovered", f"recovered::{id}", None)
                self.saved = self.saved._replace(unnamed=self.saved.unnamed + 1)
        for table in ("attempts", "calls"):
            told = self._read.execute(f"SELECT DISTINCT evaluation FROM {table}").fetchall()
            lost = [(id,) for (id,) in told if id not in self._evaluations]
            self._read.executemany(f"DELETE FROM {table} WHERE evaluation = ?", lost)
        self._survey_runs()
        self._survey_scores()

    def _name(self, id: int, experiment: str, name: str, total: int | None) -> None:
        self._created.setdefault(experiment, 0.0)
        if (experiment, name) in self._names:
            name = f"{name} (recovered {id})"
        self._names.add((experiment, name))
        self._evaluations[id] = _Evaluation(experiment, name, total, {}, {})

    def _survey_runs(self) -> None:
        told = "uid, started, finished, duration, status, pid, header, history, error"
        for id, number, part, *columns in self._mended("runs", f"id, evaluation, part, {told}"):
            of = self._evaluations.get(number)
            if of is not None and (run := _run(of, *columns)) is not None:
                of.runs[id] = Ran(run, part if is_part(part) else "")
        for number, id, started in self._read.execute(
            "SELECT evaluation, run, min(started) FROM (SELECT evaluation, run, started FROM "
            "records UNION ALL SELECT evaluation, run, started FROM attempts "
            "UNION ALL SELECT evaluation, run, started FROM calls) GROUP BY 1, 2"
        ):
            of = self._evaluations[number]
            if id not in of.runs:
                run = Run(
                    f"recovered-{id}", of.experiment, of.name, started, None, 0.0, "interrupted",
                    0, {}, (), _LOST_TEXT,
                )  # fmt: skip
                of.runs[id] = Ran(run, "")

    def _survey_scores(self) -> None:
        """The names of scores, and in place of those that are lost some of our own."""
        owners = {}
        columns = "id, evaluation, name, metrics"
        for id, number, name, metrics in self._mended("score_names", columns):
            of = self._evaluations.get(number)
            if of is not None:
                names = _loaded(metrics, list)
                fit = names is not None and all(isinstance(each, str) for each in names)
                of.scores[id] = (name, tuple(names) if names is not None and fit else ("mean",))
                owners[id] = number
        for number, of in self._evaluations.items():
            rows = self._rows_read("records", number)
            while ids := [row[0] for _, row in zip(range(_PAGE), rows, strict=False)]:
                for _, id, value, boolean in self._some(
                    "scores", "record, name, value, boolean", ids
                ):
                    if type(id) is int and id not in owners and _is_score(value, boolean):
                        of.scores[id] = (f"recovered {id}", ("mean",))
                        owners[id] = number

    def _keep(self, table: str, columns: str) -> None:
        """Note the rows of a table that can be read, by evaluation."""
        names = columns.split(", ")
        self._read.execute(
            f"CREATE TABLE {table} ({columns}, PRIMARY KEY (evaluation, id)) WITHOUT ROWID"
        )
        self._read.execute("BEGIN")
        self._read.executemany(
            f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})",
            self._mended(table, columns),
        )
        self._read.execute("COMMIT")

    def _rows_read(self, table: str, evaluation: int) -> Iterator[list[Any]]:
        """The noted rows of an evaluation: id, run, and what else was noted."""
        for id, _, *row in self._read.execute(
            f"SELECT * FROM {table} WHERE evaluation = ? ORDER BY id", (evaluation,)
        ):
            yield [id, *row]

    # ----------------------------------------------------------------- around the damage

    def _mended(self, table: str, columns: str) -> Iterator[list[Any]]:
        """The rows of a table that are worth having, without the damaged values in them."""
        mended = (_mended(table, columns, row) for row in self._rows(table, columns))
        return (row for row in mended if row is not None)

    def _rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """All rows of a table that can be read, by number; None for what it has no column of."""
        if table not in self._tables:
            return
        there = {name for _, name, *_ in self._db.execute(f"PRAGMA table_info({table})")}
        chosen = ", ".join(
            name if name in there else f"NULL AS {name}" for name in columns.split(", ")
        )
        query = f"SELECT {chosen} FROM {table} NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?"
        last = -1
        while True:
            rows, is_whole = self._next(query, last)
            if rows:
                yield from rows
                last = rows[-1][0]
            elif is_whole or (beyond := self._beyond(query, last)) is None:
                return
            else:
                last = beyond

    def _next(self, query: str, last: int) -> tuple[list[tuple[Any, ...]], bool]:
        """The next rows, up to the damage; and whether there was none."""
        rows: list[tuple[Any, ...]] = []
        try:
            for row in self._db.execute(query, (last, _PAGE)):
                if row[0] > last:  # a damaged tree can lead back, and in circles
                    last = row[0]
                    rows.append(row)
        except sqlite3.Error:
            return rows, False
        return rows, True

    def _beyond(self, query: str, last: int) -> int | None:
        """The number behind which the next row can be read; None: there is none."""
        step = 1
        while not self._reads(query, last + step):
            step *= 2
            if last + step > _LAST:
                return None
        low, high = last + step // 2, last + step  # damaged; readable
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._reads(query, middle) else (middle, high)
        return high

    def _reads(self, query: str, last: int) -> bool:
        try:
            self._db.execute(query, (last, 1)).fetchall()
        except sqlite3.Error:
            return False
        return True

    def _some(self, table: str, columns: str, ids: list[int]) -> Iterator[Any]:
        """What a table has of some records: of all together, else of one after the other."""
        query = f"SELECT {columns} FROM {table} WHERE record IN ({{}})"
        try:
            yield from self._db.execute(query.format(", ".join("?" * len(ids))), ids).fetchall()
        except sqlite3.Error:
            for id in ids:
                try:
                    yield from self._db.execute(query.format("?"), (id,)).fetchall()
                except sqlite3.Error:
                    continue  # lost; it is counted where it is missed


# --- what damaged pages hold ------------------------------------------------------------------


# What stands in place of a damaged value, where the row is worth having without it.
_INSTEAD: dict[str, Any] = {
    **dict.fromkeys(("created", "started", "duration", "waited"), 0.0),
    **dict.fromkeys(("finished", "total", "history", "digest", "cluster"), None),
    **dict.fromkeys(("input_tokens", "output_tokens", "cost"), None),
    **dict.fromkeys(("position", "pid"), 0),
    **dict.fromkeys(("attempts", "concurrency"), 1),
    **dict.fromkeys(("header", "metrics", "part"), ""),
    "status": "running",
}


def _mended(table: str, columns: str, row: tuple[Any, ...]) -> list[Any] | None:
    """A row with other values in place of damaged ones; None: it is lost with them."""
    values = []
    for name, value in zip(columns.split(", "), row, strict=True):
        (_, kind), *_ = kinds(f"{table}.{name}")
        if not kind.takes((value,)):
            if name not in _INSTEAD or f"{table}.{name}" == "calls.digest":
                return None
            value = _INSTEAD[name]
        values.append(value)
    return values


def _is_score(value: Any, boolean: Any) -> bool:
    if odd_in("value, scores.boolean", [(value, boolean)]) is not None:
        return False
    try:
        value_of(value, boolean)
    except ValueError:
        return False
    return True


def _run(of: _Evaluation, *columns: Any) -> Run | None:
    """A run with empty documents in place of damaged ones; None: too little of it is left."""
    uid, started, finished, duration, status, pid, header, history, error = columns
    if any(uid == each.run.uid for each in of.runs.values()):
        return None
    told, changes = _loaded(header, dict), _loaded(history or "[]", list)
    try:
        check_header(told)
    except ValueError:
        told = {}
    try:
        check_history(changes)
    except ValueError:
        changes = []
    return Run(
        uid, of.experiment, of.name, started, finished, duration, status, pid, told or {},
        tuple(changes or ()), None if error is None else storable(error),
    )  # fmt: skip


def _loaded(text: Any, kind: type) -> Any:
    """A document of a kind; None where it is not."""
    try:
        found = load(text)
    except StoreError:
        return None
    return found if isinstance(found, kind) else None


def _body(text: Any) -> str | None:
    """The texts of a record; None: they are lost."""
    try:
        load_body(text)
    except ValueError:
        return None
    return str(text)
