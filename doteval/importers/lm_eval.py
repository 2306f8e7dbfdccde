"""
Samples of lm-evaluation-harness: a file of JSON Lines for each task, in the folder of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .fields import get, head, objects, parsed, seconds
from .log import Answer, Lines, Part, lines, registry

_NAME = re.compile(r"samples_(.+)_(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d[.\d]*)\.jsonl")
_SHARES = re.compile("acc|exact_match|em$")  # metrics that are 1.0 where a row is right, else 0.0


@registry.register("lm-eval")
def read(path: Path) -> Lines | None:
    """The lines of a task, or of all tasks in a model's folder."""
    files = sorted(path.glob("samples_*.jsonl")) if path.is_dir() else [path]
    if not files or not all(re.match(rb'\s*\{"doc_id":', head(each)) for each in files):
        return None
    return _lines(path.absolute(), files)


def _lines(path: Path, files: list[Path]) -> Lines:
    parts = [part for file in files for part in _parts(file)]
    names = [part.evaluation for part in parts]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UsageError(f"there are several files of task {double!r:.200}: name one of them")
    name = path.name if path.is_dir() else path.parent.name
    yield from lines(name, min(part.started for part in parts), parts)


def _parts(file: Path) -> Iterator[Part]:
    """A part for each filter: what the model said is read anew by each, and has a line for it."""
    found = _NAME.fullmatch(file.name)
    task, when = (found[1], ":".join(found.groups()[1:])) if found else (file.stem, None)
    started = seconds(when) or file.stat().st_mtime
    beside = file.with_name(re.sub("^samples_.+(_[^_]+)[.]jsonl$", r"results\1.json", file.name))
    told = parsed(beside.read_bytes(), beside.name) if beside != file and beside.exists() else {}
    filters: dict[str, int] = {}
    for line in objects(file):
        name = get(line, "filter", str, "none")
        filters[name] = filters.get(name, 0) + 1
    for name, total in filters.items():
        yield Part(
            task if len(filters) == 1 else f"{task}[{name}]",
            [task, when, file.absolute().parent.name],
            lambda name=name: _answers(file, name),  # type: ignore[misc]
            started,
            total=total,
            header=_header(told, name),
        )


def _header(told: Mapping[str, Any], filter: str) -> dict[str, Any]:
    config = get(told, "config", dict, {})
    names = ("model", "model_args", "num_fewshot", "limit", "gen_kwargs")
    kept = {name: config[name] for name in names if config.get(name)}
    if told.get("model_name"):
        kept["model"] = told["model_name"]
    version = told.get("lm_eval_version")
    return {"config": kept, "imported": {"from": "lm-eval", "version": version, "filter": filter}}


def _answers(file: Path, filter: str) -> Iterator[Answer]:
    for line in objects(file):
        if get(line, "filter", str, "none") != filter:
            continue
        requests = [v for v in get(line, "arguments", dict, {}).values() if isinstance(v, dict)]
        answers = get(line, "filtered_resps", list, [])
        position, row = get(line, "doc_id", int), get(line, "doc", dict)
        names = [str(name) for name in get(line, "metrics", list)]
        yield Answer(
            position,
            row,
            {name: _score(name, line.get(name)) for name in names},
            texts={
                "prompt": requests[0].get("arg_0") if requests else None,
                "model_response": answers[0] if len(answers) == 1 else answers,
                "metadata": {name: line.get(name) for name in ("target", "resps")},
            },
        )


def _score(name: str, value: Any) -> Any:
    return bool(value) if value in (0, 1) and _SHARES.match(name) else value
