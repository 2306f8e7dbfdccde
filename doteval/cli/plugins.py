"""
`doteval plugins`: what there is to use by name.
"""

from __future__ import annotations

from ..views.table import Cell, Column, Table
from .call import FAILED, OK, TABLE, Answer, Call, command


@command(
    "list metrics, evaluators, datasets, stores and importers, and where they come from",
    "doteval plugins\ndoteval plugins --json",
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """Everything that can be used by name; exit 1 if something of it can not be loaded."""
    from .. import datasets, evaluators, importers, metrics
    from ..storage import stores

    rooms = (evaluators, metrics, datasets, stores, importers)
    found = [each for room in rooms for each in room.registry.sources()]
    columns = [
        Column("kind", drop=1),
        Column("name", least=12, foreign=True),
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
    names = ("name", "kind", "from", "error")
    data = [dict(zip(names, each, strict=True)) for each in found]
    code = FAILED if any(each.error for each in found) else OK
    table = Table(columns, rows)
    return Answer(table.lines(call.terminal), code, data, table)
