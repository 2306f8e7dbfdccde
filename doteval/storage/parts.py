"""
What the runs of an evaluation say together: which shards there are, and whether several stores
hold one and the same evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..quantities import Shard
from ..record import Run

ABSENT = "absent"


def heads(runs: Iterable[Run]) -> dict[str, Run]:
    """The last run of each shard by its name, "1/4" to "4/4"; "" for all rows."""
    found: dict[str, Run] = {}
    for run in runs:
        part = run.header.get("shard") or ""
        if part not in found or run.started >= found[part].started:
            found[part] = run
    return found


def total_of(runs: Sequence[Run], counted: int | None) -> int | None:
    """
    How many records an evaluation has when it is complete; None while that is unknown.

    Args:
        runs: in the order of their beginning.
        counted: by the last run that came to the dataset's end. Where that is the last of all, it
            knows better than the dataset, whose `num_rows` may be that of another split.
    """
    if not runs:
        return counted
    last = runs[-1]
    said: int | None = last.header.get("total")
    is_read = last.status == "complete" and last.header.get("samples") is None
    return counted if said is None or (is_read and counted is not None) else said


def shards_of(runs: Iterable[Run]) -> dict[str, str]:
    """
    The status of the last run of each shard, of as many as the last run of all says there are;
    ABSENT where nobody has run it. {} where that was a run of all rows.

    The rows of an absent shard may be there nevertheless, from a division into fewer or more.
    """
    ends = heads(runs)
    if not ends:
        return {}
    last = max(ends.values(), key=lambda run: run.started)
    shard = last.header.get("shard")
    of = Shard.parse(shard).of if shard else 0
    every = (str(Shard(at, of)) for at in range(of))
    return {part: ends[part].status if part in ends else ABSENT for part in every}


def differences(stores: Sequence[Sequence[Run]]) -> Iterator[str]:
    """
    In which way the last runs of stores are runs of different evaluations.

    A last run that another store has gone on from is history there, and says nothing.
    """
    current = _current(stores)
    for what, label in (
        ("columns", "columns"),
        ("source", "sources of the function"),
        ("repeats", "repeats"),
        ("total", "totals"),
    ):
        values = dict.fromkeys(_shown(run.header.get(what)) for run in current)
        values.pop("", None)
        if len(values) > 1:
            yield f"different {label}: {' and '.join(values)}"
    divisions = {
        part.partition("/")[2] for part in (run.header.get("shard") or "" for run in current)
    }
    divisions.discard("")
    if len(divisions) > 1:
        yield f"divided into {' and '.join(sorted(divisions, key=int))} shards"


def _current(stores: Sequence[Sequence[Run]]) -> list[Run]:
    """The last runs of each store, but those that another store has gone on from."""
    known = [{run.uid for run in runs} for runs in stores]
    ends = [{run.uid: run for run in _last(runs)} for runs in stores]
    return [
        run
        for uid, run in {uid: run for each in ends for uid, run in each.items()}.items()
        if all(uid in end or uid not in all_of for end, all_of in zip(ends, known, strict=True))
    ]


def _last(runs: Sequence[Run]) -> list[Run]:
    """The last run of each shard; those before the last run of all rows count for nothing."""
    ends = heads(runs)
    since = ends[""].started if "" in ends else 0.0
    return [run for run in ends.values() if run.started >= since]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
