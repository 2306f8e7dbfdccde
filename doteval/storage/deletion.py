"""
Deleting, a page at a time: a run beside it waits for no more than that.

An experiment that is deleted is gone with one small commit, its name free: its evaluations then
belong to none (`experiment` is negative). What they held is swept away afterwards; where that is
interrupted, by who deletes something next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .database import Database

_PAGE = 2_000  # rows in one transaction, 20 to 50 ms where texts are short


def pages(db: Database, query: str, *arguments: Any) -> Iterator[list[int]]:
    """Ids, page by page; the last two arguments of the query are where one begins, and ends."""
    last = 0
    while page := db.all(query, *arguments, last, _PAGE):
        last = page[-1][0]
        yield [id for (id,) in page]


def delete(db: Database, table: str, evaluation: int, ids: list[int]) -> None:
    """A page of an evaluation's records, with their texts and scores; or of another table."""
    with db.writing() as connection:
        if table == "records":
            db.update("DELETE FROM bodies WHERE record IN", ids)
            db.update("DELETE FROM scores WHERE record IN", ids)
        db.update(f"DELETE FROM {table} WHERE id IN", ids)
        connection.execute(
            "UPDATE evaluations SET revision = revision + 1 WHERE id = ?", (evaluation,)
        )


def sweep(db: Database) -> None:
    """What is left of experiments that were deleted."""
    for (number,) in db.all("SELECT id FROM evaluations WHERE experiment < 0"):
        for table in ("calls", "attempts", "records"):
            query = f"SELECT id FROM {table} WHERE evaluation = ? LIMIT ?"
            while found := db.all(query, number, _PAGE):
                delete(db, table, number, [id for (id,) in found])
        with db.writing() as connection:
            for table in ("score_names", "runs"):
                connection.execute(f"DELETE FROM {table} WHERE evaluation = ?", (number,))
            connection.execute("DELETE FROM evaluations WHERE id = ?", (number,))
