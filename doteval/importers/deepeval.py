"""
Test runs of DeepEval: one object of JSON, `test_run_*.json` or `.latest_run_full.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..record import Usage
from .fields import count, get, head, kind_of, parsed, seconds
from .log import Answer, Lines, Part, lines, registry

_NAME = re.compile(r"test_run_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)\.json")
_ROW = ("name", "input", "expectedOutput", "context", "retrievalContext", "tags", "metadata")
_KEPT = ("toolsCalled", "comments", "additionalMetadata")


@registry.register("deepeval")
def read(path: Path) -> Lines | None:
    """The lines of a test run."""
    if path.is_dir() or not re.match(rb'\s*\{\s*"testCases":', head(path)):
        return None
    return _lines(path)


def _lines(path: Path) -> Lines:
    text = path.read_bytes()
    told = parsed(text, path.name)
    when = _NAME.fullmatch(path.name)
    moment = "{}-{}-{}T{}:{}:{}".format(*when.groups()) if when else None
    started = seconds(moment) or path.stat().st_mtime
    cases = [*get(told, "testCases", list), *get(told, "conversationalTestCases", list, [])]
    name = get(told, "identifier", str, "deepeval")
    part = Part(
        name,
        blake2b(text, digest_size=16).hexdigest(),
        lambda: _answers(cases),
        started,
        started + (count(told, "runDuration") or 0.0),
        total=len(cases),
        header={
            "config": get(told, "hyperparameters", dict, {}),
            "imported": {"from": "deepeval"},
        },
    )
    yield from lines(name, started, [part])


def _answers(cases: list[Any]) -> Iterator[Answer]:
    """Each test, whose `success` is a score like those of its metrics."""
    for position, case in enumerate(cases):
        metrics = [each for each in get(case, "metricsData", list, []) if isinstance(each, dict)]
        errors = [str(each["error"]) for each in metrics if each.get("error")]
        scores = {
            get(each, "name", str): each["score"]
            for each in metrics
            if each.get("score") is not None
        }
        notes = {
            each["name"]: {
                key: each[key] for key in ("reason", "threshold", "success") if key in each
            }
            for each in metrics
        }
        broken = bool(errors) and not scores
        yield Answer(
            position,
            {key: case[key] for key in _ROW if case.get(key) is not None},
            {"success": bool(case.get("success")), **scores},
            notes=notes,
            metrics={name: ["mean", "0..1"] for name in scores},
            error=kind_of(errors[0]) if broken else None,
            failure=("; ".join(errors), "") if broken else ("", ""),
            usage=Usage(cost=count(case, "tokenCost")),
            texts={
                "model_response": case.get("actualOutput"),
                "metadata": {
                    **{key: case[key] for key in _KEPT if case.get(key)},
                    **({"errors": errors} if errors else {}),
                },
            },
            duration=count(case, "completionTime") or count(case, "runDuration") or 0.0,
        )
