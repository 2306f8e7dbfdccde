"""
Logs of Inspect: `.eval`, a zip with a file for each sample, and `.json`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .fields import get, head, parsed, seconds
from .inspect_samples import answers
from .log import Lines, Part, lines, registry

_VERSION = 2
_STATUSES = {
    "success": "complete",
    "error": "failed",
    "cancelled": "interrupted",
    "started": "interrupted",
}
_ERRORS = {
    "cancelled": "it was cancelled",
    "started": "the log was never finished: the process was killed, or still runs",
}


@registry.register("inspect")
def read(path: Path) -> Lines | None:
    """The lines of a log, of whatever end."""
    start = b"" if path.is_dir() else head(path)
    if re.match(rb'\s*\{\s*"version":\s*\d+,\s*"status":', start):
        return _of_json(path)
    return _of_zip(path) if start[:4] == b"PK\x03\x04" else None


def _of_json(path: Path) -> Lines:
    log = parsed(path.read_bytes(), "the file")
    samples = get(log, "samples", list, [])
    yield from _lines(path.stem, log, lambda: iter(samples))


def _of_zip(path: Path) -> Lines:
    try:  # it is Python 3.14's, which reads zstd
        zipfile: Any = import_module("backports.zstd.zipfile")
    except ImportError:
        zipfile = import_module("zipfile")
    damages = [zipfile.BadZipFile, zlib.error, EOFError, RuntimeError]  # the last: a password
    if hasattr(zipfile, "zstd"):
        damages.append(zipfile.zstd.ZstdError)
    try:
        with zipfile.ZipFile(path) as file:
            names = list(dict.fromkeys(file.namelist()))

            def member(name: str) -> dict[str, Any]:
                return parsed(file.read(name), name)

            if "header.json" in names:
                log = member("header.json")
            elif "_journal/start.json" in names:
                log = {**member("_journal/start.json"), "status": "started"}
            else:
                raise UsageError("it is a zip without the header of a log")
            samples = [name for name in names if re.fullmatch(r"samples/.+\.json", name)]
            yield from _lines(path.stem, log, lambda: map(member, samples))
    except NotImplementedError:
        raise UsageError(
            "it is packed with zstd, which Python reads from 3.14 on: `pip install "
            "backports.zstd`, or convert it with `inspect log convert FILE --to json`"
        ) from None
    except tuple(damages) as error:
        raise UsageError(f"the zip is damaged ({error}); was it cut short?") from None


def _lines(
    name: str, log: Mapping[str, Any], samples: Callable[[], Iterator[Mapping[str, Any]]]
) -> Lines:
    if log.get("version") != _VERSION:
        raise UsageError(
            f"logs of version {log.get('version')!r:.20} are not known here, only {_VERSION}; "
            "convert it with the newest `inspect log convert`"
        )
    status, eval = get(log, "status", str), get(log, "eval", dict)
    if status not in _STATUSES:
        raise UsageError(f"'status' is {status!r:.40}, expected one of: {', '.join(_STATUSES)}")
    data, stats = get(eval, "dataset", dict, {}), get(log, "stats", dict, {})
    ids, config = get(data, "sample_ids", list, []), get(eval, "config", dict, {})
    epochs = get(config, "epochs", int, 1)
    created = seconds(eval.get("created")) or 0.0
    told = get(log, "error", dict, {}).get("message", _ERRORS.get(status))
    model, revision = get(eval, "model", str), get(eval, "revision", dict, {})
    named = ("task_args", "model_generate_config")
    version = get(eval, "packages", dict, {}).get("inspect_ai")
    part = Part(
        get(eval, "task", str),
        [eval.get("run_id"), eval.get("task_id"), eval.get("created")],
        lambda: answers(samples(), model, ids),
        seconds(stats.get("started_at")) or created,
        seconds(stats.get("completed_at")),
        _STATUSES[status],
        told,
        len(ids) * epochs or None,
        {
            "commit": revision.get("commit"),
            "repeats": epochs,
            "config": {"model": model, **{name: eval[name] for name in named if eval.get(name)}},
            "imported": {"from": "inspect", "version": version, "tags": log.get("tags") or []},
        },
    )
    yield from lines(name, created, [part])
