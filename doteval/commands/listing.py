"""
What there is to use: `plugins` and `datasets`.
"""

from __future__ import annotations

from ..reporting.tables import Cell, Column, table
from .call import FAILED, OK, Call, as_json, command, option


@command(
    "plugins",
    "list metrics, evaluators, datasets, stores and importers, and where they come from",
    "doteval plugins\ndoteval plugins --json",
    option("--json", action="store_true", help="print JSON instead of a table"),
)
def plugins(call: Call) -> int:
    """Everything that can be used by name; exit 1 if something of it can not be loaded."""
    from .. import datasets, evaluators, importers, metrics
    from ..storage import stores

    rooms = (evaluators, metrics, datasets, stores, importers)
    found = [each for room in rooms for each in room.registry.sources()]
    if call.options.json:
        call.say(
            as_json(
                [
                    {
                        "kind": each.kind,
                        "name": each.name,
                        "from": each.distribution,
                        "error": each.error,
                    }
                    for each in found
                ]
            )
        )
    else:
        columns = [
            Column("kind", drop=1),
            Column("name", least=12),
            Column("from", least=8, drop=2),
            Column("state", least=6),
        ]
        rows = [
            (
                each.kind,
                each.name,
                each.distribution,
                Cell("ok", "good") if each.error is None else Cell(each.error, "bad"),
            )
            for each in found
        ]
        call.say(table(columns, rows, call.terminal))
    return FAILED if any(each.error for each in found) else OK


@command(
    "datasets",
    "list the registered datasets, with their splits and columns",
    "doteval datasets\ndoteval datasets --json",
    option("--json", action="store_true", help="print JSON instead of a table"),
)
def datasets(call: Call) -> int:
    """Datasets that `foreach.NAME(split)` opens; exit 1 if one of them can not be loaded."""
    from .. import datasets as room
    from ..errors import DotevalError

    told, broken = [], False
    for name in room.list_available():
        try:
            told.append({**room.get_dataset_info(name), "error": None})
        except DotevalError as error:
            broken = True
            told.append({"name": name, "error": str(error)})
    if call.options.json:
        call.say(as_json(told))
    elif not told:
        call.say("no dataset is registered; a file or any iterable is a dataset too")
    else:
        columns = [
            Column("dataset", least=12),
            Column("splits", least=8, drop=2),
            Column("columns", least=8, drop=1),
            Column("rows", drop=3),
        ]
        call.say(
            table(
                columns,
                [
                    (each["name"], *_cells(each))
                    if each["error"] is None
                    else (each["name"], Cell(each["error"], "bad"), "", "")
                    for each in told
                ],
                call.terminal,
            )
        )
    return FAILED if broken else OK


def _cells(info: dict[str, object]) -> tuple[object, ...]:
    def joined(value: object) -> object:
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    rows = info.get("num_rows")
    return joined(info.get("splits")), joined(info.get("columns")), "" if rows is None else rows
