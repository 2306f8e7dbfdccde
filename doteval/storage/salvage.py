"""
What can still be read of a damaged database, row by row, into a new one.

Where a page is damaged, its rows are passed over: the next readable row is looked for by number,
so a table loses what stood on its damaged pages and nothing else. A store without its first page,
which holds the header and the list of tables, gets that of a new store: all have the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..records import LIVE, STALE, SUPERSEDED
from .database import Database
from .encoding import dump, load_body
from .place import make_room

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


def salvage(damaged: Path, new: Path) -> Saved:
    """
    Bring what can be read of a database into a new one.

    Args:
        damaged: a copy that nobody else has open; its first page may be replaced.
        new: of the file to make.

    Raises:
        sqlite3.Error: not even the list of tables can be read.
        StoreError: the new file can not be made or written.
    """
    old = _opened(damaged)
    try:
        make_room(new)
        store = Database(new)
        try:
            with store.writing() as db:
                return _Salvage(old, db, store).everything()
        finally:
            store.close()
    finally:
        old.close()


def _opened(damaged: Path) -> sqlite3.Connection:
    """The database, if need be with a first page of our own."""
    try:
        return _readable(damaged)
    except sqlite3.Error:
        _replace_first_page(damaged)
        return _readable(damaged)


def _readable(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if "records" not in tables:
            raise sqlite3.DatabaseError("its list of tables is lost")
        return db
    except BaseException:
        db.close()
        raise


def _replace_first_page(path: Path) -> None:
    """Tables are made in one order, so they begin at the same pages in every store."""
    model = path.with_name(f"{path.name}.model")
    model.unlink(missing_ok=True)
    make_room(model)
    Database(model).close()
    content = model.read_bytes()
    page = bytearray(content[: int.from_bytes(content[16:18], "big")])
    for leftover in path.parent.glob(f"{model.name}*"):
        leftover.unlink()
    page[28:32] = (path.stat().st_size // len(page)).to_bytes(4, "big")  # pages of the file
    page[32:40] = bytes(8)  # no free pages are known; they are lost, not harmful
    with open(path, "r+b") as file:
        file.write(page)


class _Salvage:
    """
    One salvage.

    Args:
        old: the damaged database.
        new: the new one, inside a transaction; `store` knows how to insert many rows.
    """

    def __init__(self, old: sqlite3.Connection, new: sqlite3.Connection, store: Database) -> None:
        self._old, self._new, self._store = old, new, store
        self._records = self._without_texts = self._without_scores = 0

    def everything(self) -> Saved:
        for table in ("experiments", "evaluations", "runs", "score_names", "attempts"):
            self._copy(table)
        for rows in self._pages("records", self._columns("records")):
            self._keep(rows)
        unnamed = self._name_the_nameless()
        self._drop_what_belongs_to_nothing()
        return Saved(self._records, self._without_texts, self._without_scores, unnamed)

    def _columns(self, table: str) -> list[str]:
        return [column for _, column, *_ in self._new.execute(f"PRAGMA table_info({table})")]

    def _copy(self, table: str) -> None:
        columns = self._columns(table)
        marks = ", ".join("?" * len(columns))
        for rows in self._pages(table, columns):
            self._new.executemany(
                f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows
            )

    # ------------------------------------------------------------------------ records

    def _keep(self, rows: list[tuple[Any, ...]]) -> None:
        """Records, with the texts and scores that are left of them."""
        columns = self._columns("records")
        error = columns.index("error")
        ids = [row[0] for row in rows]
        bodies = dict(self._some("bodies", "record, body", "record", ids))
        scores: dict[int, list[Any]] = {}
        for row in self._some("scores", "record, name, value, boolean", "record", ids):
            if isinstance(row[1], int) and row[3] in (0, 1):
                scores.setdefault(row[0], []).append(row)
        kept, texts = [], []
        for row in rows:
            if not _is_whole(row, columns):
                continue
            document = _document(bodies.get(row[0]))
            if document is None:
                document = {"row": {"?": _LOST_TEXT}}
                self._without_texts += 1
            if row[error] is None and row[0] not in scores:
                row = (*row[:error], _LOST, *row[error + 1 :])
                message = f"its scores are lost: {_LOST_TEXT}"
                document = {**document, "failure": {"message": message}}
                self._without_scores += 1
            kept.append(row)
            texts.append((row[0], dump(document)))
        self._records += len(kept)
        self._store.insert(f"records ({', '.join(columns)})", len(columns), kept)
        length = sum(len(body) for _, body in texts)
        self._store.insert("bodies (record, body)", 2, texts, length)
        known = {row[0] for row in kept}
        flat = [row for id, of in scores.items() if id in known for row in of]
        self._store.insert("scores (record, name, value, boolean)", 4, flat)

    def _name_the_nameless(self) -> int:
        """Records whose evaluation or experiment is lost get one with a name of our own."""
        self._new.execute(
            "INSERT INTO experiments (id, name, created) "
            "SELECT experiment, 'recovered ' || experiment, 0 FROM evaluations "
            "WHERE experiment NOT IN (SELECT id FROM experiments) GROUP BY experiment"
        )
        lost = self._new.execute(
            "SELECT DISTINCT evaluation FROM records "
            "WHERE evaluation NOT IN (SELECT id FROM evaluations)"
        ).fetchall()
        if lost:
            self._new.execute("INSERT OR IGNORE INTO experiments VALUES (NULL, 'recovered', 0)")
            self._new.executemany(
                "INSERT INTO evaluations (id, experiment, name) SELECT ?, id, "
                "'recovered::' || ? FROM experiments WHERE name = 'recovered'",
                [(id, id) for (id,) in lost],
            )
        self._new.execute(
            "INSERT INTO score_names (id, evaluation, name, metrics) "
            "SELECT scores.name, evaluation, 'recovered ' || scores.name, '[\"mean\"]' FROM scores "
            "JOIN records ON records.id = record "
            "WHERE scores.name NOT IN (SELECT id FROM score_names) GROUP BY scores.name"
        )
        self._new.execute("UPDATE evaluations SET tally = NULL, tally_revision = NULL")
        return len(lost)

    def _drop_what_belongs_to_nothing(self) -> None:
        for table in ("runs", "attempts", "score_names"):
            self._new.execute(
                f"DELETE FROM {table} WHERE evaluation NOT IN (SELECT id FROM evaluations)"
            )
        self._new.execute(  # of several live records of one row, the last counts
            f"UPDATE records SET state = {SUPERSEDED} WHERE state = {LIVE} AND id NOT IN "
            f"(SELECT max(id) FROM records WHERE state = {LIVE} GROUP BY evaluation, key, repeat)"
        )

    # ----------------------------------------------------------------- around the damage

    def _pages(self, table: str, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
        """All rows of a table that can be read, by number."""
        last = -1
        query = (
            f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?"
        )
        while True:
            rows, is_whole = self._read(query, last)
            if rows:
                yield rows
                last = rows[-1][0]
            elif is_whole:
                return
            else:
                beyond = self._beyond(query, last)
                if beyond is None:
                    return
                last = beyond

    def _read(self, query: str, last: int) -> tuple[list[tuple[Any, ...]], bool]:
        """The next rows, up to the damage; and whether there was none."""
        rows: list[tuple[Any, ...]] = []
        try:
            for row in self._old.execute(query, (last, _PAGE)):
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
            self._old.execute(query, (last, 1)).fetchall()
        except sqlite3.Error:
            return False
        return True

    def _some(self, table: str, columns: str, key: str, ids: list[int]) -> Iterator[Any]:
        """The rows of a table that belong to some records: together, else one by one."""
        query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ?"
        try:
            yield from self._old.execute(query, (ids[0], ids[-1])).fetchall()
        except sqlite3.Error:
            for id in ids:
                try:
                    yield from self._old.execute(query, (id, id)).fetchall()
                except sqlite3.Error:
                    continue  # lost; it is counted where it is missed


def _is_whole(row: tuple[Any, ...], columns: list[str]) -> bool:
    """Whether a record's key and state are what they must be; damaged pages can hold anything."""
    values = dict(zip(columns, row, strict=True))
    return (
        isinstance(values["key"], bytes)
        and len(values["key"]) == 16
        and isinstance(values["evaluation"], int)
        and values["state"] in (LIVE, STALE, SUPERSEDED)
        and None not in (values[name] for name in ("run", "repeat", "position", "attempts"))
        and None not in (values[name] for name in ("started", "duration", "waited", "concurrency"))
    )


def _document(body: Any) -> Mapping[str, Any] | None:
    """The texts of a record; None: they are lost."""
    try:
        return load_body(body)
    except (TypeError, ValueError):
        return None
