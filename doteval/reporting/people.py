"""
What people said of some rows, from a file: labels that a judge is held against.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import Any

from ..errors import UsageError

_ROW, _HUMAN, _LABEL = "row.", "human.", "label"
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Labels:
    """
    Labels of people.

    The columns that are columns of the evaluation's rows, by their name or as an export calls them
    ("row.id"), tell which row is meant. The column of a score's labels is named as the score, or
    "human." and that name; where there is one score, "label" will do. An empty one is none.

    Args:
        path: a table or JSON lines, see `datafiles.read_file`.

    Raises:
        DatasetError: it can not be read.
        UsageError: its rows have no names.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        from ..datafiles import read_file  # here, as few look with labels

        self._path = path
        self._rows = list(read_file(path))
        if not self._rows or not all(isinstance(row, Mapping) for row in self._rows):
            raise UsageError(
                f"{path}: expected rows with named columns, one for each that was judged"
            )
        self._names = list(dict.fromkeys(name for row in self._rows for name in row))
        self._of: dict[str, str] = {}  # columns by score
        self._used = False  # whether any score had one
        self._scores: dict[str, None] = {}  # all that there were
        self._by: list[tuple[str, str]] = []  # (column of the file, column of the rows)
        self._known: dict[tuple[str, ...], Mapping[str, Any]] = {}

    def begin(self, scores: Collection[str]) -> None:
        """These are the scores of the evaluation that is asked about next."""
        self._of, self._by = {}, []
        for score in scores:
            names = [score, f"{_HUMAN}{score}", *[_LABEL] * (len(scores) == 1)]
            if there := [name for name in names if name in self._names]:
                self._of[score] = there[0]
        self._used |= bool(self._of)
        self._scores.update(dict.fromkeys(scores))

    def check(self) -> None:
        """
        See that they were of use.

        Raises:
            UsageError: no score of any evaluation has a column.
        """
        if not self._used:
            raise UsageError(
                f"{self._path}: no column is named as a score; the scores are "
                f"{', '.join(self._scores)}, the columns {', '.join(self._names)}"
            )

    def __contains__(self, score: str) -> bool:
        return score in self._of

    def of(self, row: Mapping[str, Any], score: str, value: Any) -> Any:
        """
        What people said of a row; None where nobody did.

        Args:
            value: the score's, which tells how to read a text.

        Raises:
            UsageError: no column tells which row is meant, several labels are of one row, or a
                label is not of the value's kind.
        """
        if not self._by:
            self._match(row)
        known = self._known.get(tuple(str(row.get(column)) for _, column in self._by), {})
        return self._read(known.get(self._of[score]), value)

    def _match(self, row: Mapping[str, Any]) -> None:
        columns = {name: name.removeprefix(_ROW) for name in self._names}
        taken = set(self._of.values())
        self._by = [
            (name, column)
            for name, column in columns.items()
            if column in row and name not in taken
        ]
        if not self._by:
            raise UsageError(
                f"{self._path}: no column tells which row is meant; the rows have "
                f"{', '.join(row)}, the file {', '.join(self._names)}"
            )
        self._known = {}
        for each in self._rows:
            key = tuple(str(each.get(name)) for name, _ in self._by)
            if self._known.setdefault(key, each) != each:
                raise UsageError(f"{self._path}: two labels of the row {', '.join(key)}")

    def _read(self, said: Any, value: Any) -> Any:
        """A label, as the judge would say it."""
        if said is None or (isinstance(said, str) and not said.strip()):
            return None
        if isinstance(value, str):
            return str(said)
        try:
            if isinstance(value, bool):
                return _TRUTHS[str(said).strip().casefold()]
            return float(said)
        except (KeyError, ValueError):
            kind = "true or false" if isinstance(value, bool) else "a number"
            raise UsageError(f"{self._path}: the label {said!r:.80}: expected {kind}") from None
