"""
A store of dotevals: a file of JSON Lines for each evaluation, in the folder of its experiment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..record import ATOMS
from .fields import count, get, head, kind_of, objects
from .log import Answer, Lines, Part, lines, registry

_STATUSES = {"completed": "complete", "failed": "failed", "running": "interrupted"}
_ERRORS = {
    "failed": "dotevals says that it failed",
    "running": "dotevals had not finished it: its process was killed, or still runs",
}


@registry.register("dotevals")
def read(path: Path) -> Lines | None:
    """The lines of an evaluation, or of the folder of an experiment."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not all(re.match(rb'\s*\{"evaluation_name":', head(each)) for each in files):
        return None
    experiment = path.name if path.is_dir() else path.absolute().parent.name
    return _lines(experiment, files)


def _lines(experiment: str, files: list[Path]) -> Lines:
    parts = [_part(file) for file in files]
    yield from lines(experiment, min(part.started for part in parts), parts)


def _part(file: Path) -> Part:
    first = next(objects(file))
    status = get(first, "status", str, "running")
    if status not in _STATUSES:
        raise UsageError(f"'status' is {status!r:.40}, expected one of: {', '.join(_STATUSES)}")
    name, started = get(first, "evaluation_name", str), count(first, "started_at") or 0.0
    total = sum(1 for _ in _answers(file)) if status == "completed" else None
    return Part(
        re.sub(r"\[None(-None)*\]$", "", name),  # what pytest makes of no parameters
        [name, started],
        lambda: _answers(file),
        started,
        count(first, "completed_at"),
        _STATUSES[status],
        _ERRORS.get(status),
        total,
        {"imported": {"from": "dotevals", "metadata": get(first, "metadata", dict, {})}},
    )


def _answers(file: Path) -> Iterator[Answer]:
    items = objects(file)
    next(items)
    for item in items:
        result = get(item, "result", dict, {})
        error = item.get("error") or result.get("error")
        scores = [(get(s, "name", str), s) for s in get(result, "scores", list, [])]
        row = {name: _value(v) for name, v in get(item, "dataset_row", dict, {}).items()}
        texts = {name: result[name] for name in ("prompt", "model_response") if result.get(name)}
        yield Answer(
            get(item, "item_id", int),
            row,
            {name: score.get("value") for name, score in scores},
            notes={name: get(score, "metadata", dict, {}) for name, score in scores},
            metrics={name: get(score, "metrics", list, ["mean"]) for name, score in scores},
            error=kind_of(str(error)) if error else None,
            failure=(str(error), ""),
            texts=texts,
            started=count(item, "timestamp"),
        )


def _value(value: Any) -> Any:
    """What dotevals wrote of a value that JSON does not know, as doteval would know it."""
    if isinstance(value, list):
        return [_value(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind, data = value.get("__type__"), value.get("data")
    if kind in ("tuple", "set") and isinstance(data, list):
        items = tuple(_value(each) for each in data)
        return set(items) if kind == "set" and ATOMS.issuperset(map(type, items)) else items
    return {name: _value(each) for name, each in value.items()}
