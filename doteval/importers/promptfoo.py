"""
The results of promptfoo as JSON: an evaluation for each provider with each prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..record import Usage
from .fields import count, get, head, kind_of, parsed, seconds
from .log import Answer, Lines, Part, lines, registry

_VERSION = 3  # of the results
_LABEL = 60  # characters; the label of a prompt may be all of it
_OWN = ("success", "score")  # the verdict, and the weighted mean of the assertions
_ERROR = 2  # failureReason: the row has no answer, or no verdict; 1: the answer is wrong


@registry.register("promptfoo")
def read(path: Path) -> Lines | None:
    """The lines of the file that `promptfoo eval --output FILE.json` writes."""
    if path.is_dir() or not re.match(rb'\s*\{\s*"evalId":', head(path)):
        return None
    return _lines(path)


def _lines(path: Path) -> Lines:
    told = parsed(path.read_bytes(), "the file")
    results = get(told, "results", dict)
    if results.get("version") != _VERSION:
        raise UsageError(
            f"results of version {results.get('version')!r:.20} are not known here, only "
            f"{_VERSION}; export them again with the newest promptfoo"
        )
    started = seconds(results.get("timestamp")) or 0.0
    columns: dict[int, list[dict[str, Any]]] = {}
    for cell in sorted(get(results, "results", list), key=lambda cell: get(cell, "testIdx", int)):
        columns.setdefault(get(cell, "promptIdx", int), []).append(cell)
    parts, taken = [], set[str]()
    for index, cells in sorted(columns.items()):
        name = _name(cells[0])
        name = f"{name} ({index})" if name in taken else name
        taken.add(name)
        parts.append(_part(told, name, cells, started))
    yield from lines(path.stem, started, parts)


def _name(cell: Mapping[str, Any]) -> str:
    provider, prompt = get(cell, "provider", dict), get(cell, "prompt", dict)
    label = " ".join(str(prompt.get("label") or prompt.get("raw")).split())
    label = label if len(label) <= _LABEL else f"{label[:_LABEL]}…"
    return f"{provider.get('label') or provider.get('id')} · {label}"


def _part(told: Mapping[str, Any], name: str, cells: list[dict[str, Any]], started: float) -> Part:
    names = dict.fromkeys(name for cell in cells for name in get(cell, "vars", dict, {}))
    rows: dict[str, tuple[int, int]] = {}  # where a test was met first, and how often
    answers = []
    for cell in cells:
        test = json.dumps([cell.get("vars"), cell.get("testCase")], sort_keys=True)
        position, repeat = rows.get(test, (cell["testIdx"], 0))
        rows[test] = position, repeat + 1
        variables = get(cell, "vars", dict, {})
        row = {name: variables.get(name) for name in names}
        answers.append(_answer(cell, row, position, repeat, started))
    provider, version = get(cells[0], "provider", dict), get(told, "metadata", dict, {})
    return Part(
        name,
        told.get("evalId"),
        lambda: iter(answers),
        started,
        seconds(version.get("exportedAt")),
        total=len(answers),
        header={
            "config": {"provider": provider.get("label") or provider.get("id")},
            "imported": {"from": "promptfoo", "version": version.get("promptfooVersion")},
        },
    )


def _answer(cell: Mapping[str, Any], row: Any, position: int, repeat: int, at: float) -> Answer:
    graded, response = get(cell, "gradingResult", dict, {}), get(cell, "response", dict, {})
    tokens, named = get(cell, "tokenUsage", dict, {}), get(cell, "namedScores", dict, {})
    message = str(cell.get("error") or "")
    failed = cell.get("failureReason") == _ERROR
    text, _, stack = message.partition("\n")
    kept = {"assertions": graded.get("componentResults"), "judge_usage": tokens.get("assertions")}
    return Answer(
        position,
        row,
        {
            **{name: cell.get(name) for name in _OWN},
            **{f"metric/{n}" if n in _OWN else n: value for n, value in named.items()},
        },
        repeat,
        notes={"success": {"reason": graded.get("reason")}},
        error=kind_of(text) if failed else None,
        failure=(text, stack),
        usage=Usage(count(tokens, "prompt"), count(tokens, "completion"), count(cell, "cost")),
        texts={
            "prompt": _messages(get(cell, "prompt", dict).get("raw")),
            "model_response": response.get("output"),
            "metadata": {name: value for name, value in kept.items() if value},
        },
        started=at,
        duration=(count(cell, "latencyMs") or 0) / 1000,
    )


def _messages(raw: Any) -> Any:
    """A prompt of a chat is a text that holds its messages as JSON."""
    try:
        read = json.loads(raw)
    except (TypeError, ValueError, RecursionError):
        return raw
    return read if isinstance(read, list) else raw
