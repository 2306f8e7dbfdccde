"""
What can still be read of a damaged database, row by row, into a new one.

Where a page is damaged, its rows are passed over: the next readable row is looked for by number,
so a table loses what stood on its damaged pages and nothing else. A store without its header or
its list of tables gets those of a new store: all have the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreError
from ..record import LIVE, STALE, SUPERSEDED
from .database import Database, by_column
from .encoding import dump, load, load_body, value_of
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
    """The database, if need be with a list of tables of our own."""
    try:
        return _readable(damaged)
    except (sqlite3.Error, UnicodeDecodeError):  # it quotes what is damaged
        _replace_list_of_tables(damaged)
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


def _replace_list_of_tables(path: Path) -> None:
    """
    Put back the header and the list of tables.

    Tables are made in one order, so they begin at the same pages in every store; at others where
    VACUUM has put them, but these are the same again.
    """
    model = path.with_name(f"{path.name}.model")
    layouts = [_layout(model, "SELECT 1"), _layout(model, "VACUUM")]
    pages = [page for layout in layouts for page in (*layout.lists, *layout.tables)]
    size = len(layouts[0].lists[1])
    with open(path, "r+b") as file:
        content = file.read(max(pages) * size)
        layout = max(layouts, key=lambda each: each.likeness(content))
        if 2 * layout.likeness(content) < len(layout.tables):
            raise sqlite3.DatabaseError("its list of tables is lost, and so are its tables")
        for number, page in layout.lists.items():
            file.seek((number - 1) * size)
            file.write(page)
        file.seek(28)
        file.write((path.stat().st_size // size).to_bytes(4, "big"))  # pages of the file
        file.write(bytes(8))  # no free pages are known; they are lost, not harmful


class _Layout(NamedTuple):
    """
    Where what stands in a new store.

    Attributes:
        lists: the pages of the header and of the list of tables, by number from 1.
        tables: kinds of the pages at which tables and indexes begin, by number.
    """

    lists: dict[int, bytes]
    tables: dict[int, int]

    def likeness(self, content: bytes) -> int:
        """How many tables and indexes seem to begin where they do here."""
        size = len(self.lists[1])
        return sum(
            content[(page - 1) * size : (page - 1) * size + 1] in _KINDS[kind]
            for page, kind in self.tables.items()
        )


# First bytes of a page of an index and of one of a table, inside its tree and at its leaves.
_KINDS = {10: (b"\x02", b"\x0a"), 13: (b"\x05", b"\x0d")}


def _layout(model: Path, change: str) -> _Layout:
    """The layout of a new store after a statement."""
    _remove(model)
    make_room(model)
    database = Database(model)
    try:
        database.all(change)
        roots = {page for (page,) in database.all("SELECT rootpage FROM sqlite_master")}
    finally:
        database.close()
    content = model.read_bytes()
    _remove(model)
    size = int.from_bytes(content[16:18], "big")
    pages = {at // size + 1: content[at : at + size] for at in range(0, len(content), size)}
    return _Layout(
        {number: page for number, page in pages.items() if number not in roots},
        {number: pages[number][0] for number in roots},
    )


def _remove(model: Path) -> None:
    for leftover in model.parent.glob(f"{model.name}*"):
        leftover.unlink()


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
        self._evaluations: dict[int, int] = {}  # by numbers of the names of scores

    def everything(self) -> Saved:
        for table in ("experiments", "evaluations", "runs", "score_names", "attempts", "calls"):
            self._copy(table)
        self._evaluations.update(self._new.execute("SELECT id, evaluation FROM score_names"))
        for rows in self._pages("records", self._columns("records")):
            self._keep(rows)
        unnamed = self._name_the_nameless()
        self._drop_what_belongs_to_nothing()
        return Saved(self._records, self._without_texts, self._without_scores, unnamed)

    def _columns(self, table: str) -> dict[str, _Column]:
        """Those of a new store that the old one has, which may be of an earlier version."""
        there = {name for _, name, *_ in self._old.execute(f"PRAGMA table_info({table})")}
        return {
            name: _Column(_TYPES[declared], bool(required or key))
            for _, name, declared, required, _, key in self._new.execute(
                f"PRAGMA table_info({table})"
            )
            if name in there or not there
        }

    def _copy(self, table: str) -> None:
        columns = self._columns(table)
        marks = ", ".join("?" * len(columns))
        for rows in self._pages(table, columns):
            self._new.executemany(
                f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})",
                [_mended(row, columns) for row in rows if _is_whole(row, columns)],
            )

    # ------------------------------------------------------------------------ records

    def _keep(self, rows: list[tuple[Any, ...]]) -> None:
        """Records, with the texts and scores that are left of them."""
        columns = self._columns("records")
        error, evaluation = (list(columns).index(name) for name in ("error", "evaluation"))
        rows = [row for row in rows if _is_whole(row, columns) and _is_record(row, columns)]
        ids = [row[0] for row in rows]
        owners = {row[0]: row[evaluation] for row in rows}
        bodies = dict(self._some("bodies", "record, body", "record", ids))
        scores: dict[int, dict[int, Any]] = {}  # by record and name
        for row in self._some("scores", "record, name, value, boolean", "record", ids):
            owner = owners.get(row[0]) if _is_score(row) else None
            if owner is not None and self._evaluations.setdefault(row[1], owner) == owner:
                scores.setdefault(row[0], {})[row[1]] = row
        kept, texts = [], []
        for row in rows:
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
        self._store.insert("records", ", ".join(columns), by_column(kept))
        length = sum(len(body) for _, body in texts)
        self._store.insert("bodies", "record, body", by_column(texts), length)
        flat = [row for of in scores.values() for row in of.values()]
        self._store.insert("scores", "record, name, value, boolean", by_column(flat))

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
        self._new.execute("UPDATE evaluations SET sums = NULL, summed = -1")
        return len(lost)

    def _drop_what_belongs_to_nothing(self) -> None:
        for table in ("runs", "attempts", "calls", "score_names"):
            self._new.execute(
                f"DELETE FROM {table} WHERE evaluation NOT IN (SELECT id FROM evaluations)"
            )
        self._new.execute(  # of several live records of one row, the last counts
            f"UPDATE records SET state = {SUPERSEDED} WHERE state = {LIVE} AND id NOT IN "
            f"(SELECT max(id) FROM records WHERE state = {LIVE} GROUP BY evaluation, key, repeat)"
        )

    # ----------------------------------------------------------------- around the damage

    def _pages(self, table: str, columns: Iterable[str]) -> Iterator[list[tuple[Any, ...]]]:
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


class _Column(NamedTuple):
    """What may stand in a column; damaged pages can hold anything."""

    types: tuple[type, ...]
    required: bool


_TYPES = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}
_EMPTY = {"header": {}, "history": [], "metrics": ["mean"]}  # in place of a damaged document


def _is_whole(row: tuple[Any, ...], columns: dict[str, _Column]) -> bool:
    """Whether a row has values of the kinds that it must have."""
    return all(
        isinstance(value, column.types) or (value is None and not column.required)
        for value, column in zip(row, columns.values(), strict=True)
    )


def _is_record(row: tuple[Any, ...], columns: dict[str, _Column]) -> bool:
    values = dict(zip(columns, row, strict=True))
    return len(values["key"]) == 16 and values["state"] in (LIVE, STALE, SUPERSEDED)


def _is_score(row: tuple[Any, ...]) -> bool:
    _, name, value, boolean = row
    try:
        value_of(value, boolean)
    except ValueError:
        return False
    return isinstance(name, int) and boolean in range(16) and not isinstance(value, bytes)


def _mended(row: tuple[Any, ...], columns: Iterable[str]) -> tuple[Any, ...]:
    """A row with empty documents in place of damaged ones."""
    return tuple(
        value if value is None or name not in _EMPTY else _read_or(value, _EMPTY[name])
        for name, value in zip(columns, row, strict=True)
    )


def _read_or(text: str, empty: Any) -> str:
    try:
        return text if type(load(text)) is type(empty) else dump(empty)
    except StoreError:
        return dump(empty)


def _document(body: Any) -> Mapping[str, Any] | None:
    """The texts of a record; None: they are lost."""
    try:
        return load_body(body)
    except (TypeError, ValueError):
        return None
