"""
`doteval datasets`: those that are registered.
"""

from __future__ import annotations

from ..views.table import Cell, Column, Table
from .call import FAILED, OK, TABLE, Answer, Call, command


@command(
    "list the registered datasets, with their splits and columns",
    "doteval datasets\ndoteval datasets --json",
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """Datasets that `foreach.NAME(split)` opens; exit 1 if one of them can not be loaded."""
    from .. import datasets as room
    from ..errors import DotevalError

    told, code = [], OK
    for name in room.list_available():
        try:
            told.append({**room.get_dataset_info(name), "error": None})
        except DotevalError as error:
            code = FAILED
            told.append({"name": name, "error": str(error)})
    columns = [
        Column("dataset", least=12, foreign=True),
        Column("splits", least=8, drop=2),
        Column("columns", least=8, drop=1, foreign=True),
        Column("rows", drop=3),
    ]
    table = Table(columns, list(map(_row, told)))
    lines = table.lines(call.terminal)
    if not told:
        lines = ["no dataset is registered; a file or any iterable is a dataset too"]
    return Answer(lines, code, told, table)


def _row(info: dict[str, object]) -> tuple[object, ...]:
    def joined(value: object) -> object:
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    if info["error"] is not None:
        return info["name"], Cell(info["error"], "bad"), "", ""
    rows = info.get("num_rows")
    splits, columns = joined(info.get("splits")), joined(info.get("columns"))
    return info["name"], splits, columns, "" if rows is None else rows
