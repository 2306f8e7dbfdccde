"""
Reports of pydantic-evals: one object of JSON, as `EvaluationReportAdapter.dump_json` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..usage import usage_of
from .fields import count, get, head, kind_of, parsed
from .log import Answer, Lines, Part, lines, registry

_REPEAT = re.compile(r" \[(\d+)/\d+\]\Z")  # behind the name of a case that was run several times


@registry.register("pydantic-evals")
def read(path: Path) -> Lines | None:
    """The lines of a report."""
    if path.is_dir() or not re.match(rb'\s*\{\s*"name":[^\n]{0,500},\s*"cases":', head(path)):
        return None
    return _lines(path)


def _lines(path: Path) -> Lines:
    text = path.read_bytes()
    report = parsed(text, path.name)
    name, started = get(report, "name", str), path.stat().st_mtime  # no time stands in it
    cases = [*get(report, "cases", list), *get(report, "failures", list, [])]
    part = Part(
        get(report, "dataset_name", str, name),
        blake2b(text, digest_size=16).hexdigest(),
        lambda: _answers(cases),
        started,
        started,
        total=len(cases),
        header={
            "config": get(report, "experiment_metadata", dict, {}),
            "imported": {"from": "pydantic-evals"},
        },
    )
    yield from lines(name, started, [part])


def _answers(cases: list[Any]) -> Iterator[Answer]:
    positions: dict[str, int] = {}
    for case in cases:
        called = get(case, "name", str)
        repeat = _REPEAT.search(called)
        name = get(case, "source_case_name", str, called[: repeat.start()] if repeat else called)
        row = {"case": name, "inputs": case.get("inputs")}
        row |= {key: case[key] for key in ("expected_output", "metadata") if case.get(key)}
        scores, notes = _scores(case)
        failed = case.get("error_message")
        kept = ("metrics", "attributes", "evaluator_failures")
        yield Answer(
            positions.setdefault(name, len(positions)),
            row,
            scores,
            int(repeat[1]) - 1 if repeat else 0,
            notes,
            error=kind_of(failed) if failed else None,
            failure=(failed or "", get(case, "error_stacktrace", str, "")),
            usage=usage_of(case.get("metrics")),
            texts={
                "model_response": case.get("output"),
                "metadata": {key: case[key] for key in kept if case.get(key)},
            },
            duration=count(case, "task_duration") or 0.0,
        )


def _scores(case: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Numbers, labels, and true or false, each by its name, and the reasons for them."""
    scores, notes = {}, {}
    for kind in ("scores", "assertions", "labels"):
        for name, told in get(case, kind, dict, {}).items():
            called = f"{name} ({kind})" if name in scores else name
            scores[called] = told.get("value")
            if told.get("reason"):
                notes[called] = {"reason": told["reason"]}
    return scores, notes
