"""
Records of OpenAI evals: JSON Lines, first the `spec`, then the report and an event on each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..usage import usage_of
from .fields import get, head, is_number, kind_of, objects, seconds
from .log import Answer, Lines, Part, lines, registry

_AT = re.compile(r"(\d+)\Z")  # of the sample, at the end of its id


@registry.register("openai-evals")
def read(path: Path) -> Lines | None:
    """The lines of a run."""
    if path.is_dir() or not re.match(rb'\s*\{"spec":', head(path)):
        return None
    return _lines(path)


def _lines(path: Path) -> Lines:
    spec = get(next(objects(path)), "spec", dict)
    is_reported, last = False, None
    for line in objects(path):
        is_reported |= "final_report" in line
        last = seconds(line.get("created_at")) or last
    started = seconds(spec.get("created_at")) or path.stat().st_mtime
    name = get(spec, "eval_name", str)
    part = Part(
        name,
        get(spec, "run_id", str),
        lambda: _answers(path),
        started,
        last,
        "complete" if is_reported else "interrupted",
        header={
            "config": {"completion_fns": spec.get("completion_fns")},
            "imported": {"from": "openai-evals"},
        },
    )
    yield from lines(name, started, [part])


def _answers(path: Path) -> Iterator[Answer]:
    """
    What the events of each sample tell together. Which samples were never answered stands nowhere:
    a report of what was done looks like one of all.
    """
    samples: dict[str, list[dict[str, Any]]] = {}
    for line in objects(path):
        if isinstance(line.get("sample_id"), str):
            samples.setdefault(line["sample_id"], []).append(line)
    for order, (name, events) in enumerate(samples.items()):
        row: dict[str, Any] = {"id": name}
        scores: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        used, error, failure = [], None, ""
        for event in events:
            kind, data = get(event, "type", str), event.get("data")
            data = data if isinstance(data, dict) else {}
            if kind == "sampling":
                texts = {"prompt": data.get("prompt"), "model_response": data.get("sampled")}
                used.append(data.get("usage"))
            elif kind == "match":
                scores["match"] = bool(data.get("correct"))
                row["expected"] = data.get("expected")
                texts["metadata"] = {"picked": data.get("picked")}
            elif kind == "error":
                failure = str(data.get("message") or data)
                error = get(data, "type", str, kind_of(failure))
            else:
                scores |= {each: told for each, told in data.items() if is_number(told)}
        if error is None and not scores:
            continue  # it was asked, and the run ended before it was judged
        at = _AT.search(name)
        yield Answer(
            int(at[1]) if at else order, row, scores, error=error, failure=(failure, ""),
            usage=usage_of(used), texts=texts, started=seconds(events[0].get("created_at")),
        )  # fmt: skip
