"""
What came out of the evaluations of a session, shown at its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .call import command, stored
from .options import Options

if TYPE_CHECKING:
    from ..reporting.summary import Summary
    from ..storage.place import Place
    from ..views.terminal import Terminal


def told_lines(
    told: Mapping[str, str],
    terminal: Terminal,
    place: Place,
    options: Options,
    arguments: list[str],
) -> Iterator[str]:
    """
    A block for each evaluation, and how to go on where some were interrupted.

    Args:
        told: the entries of evaluations (see `Call.entry`) by their node ids.
        terminal: where they are shown.
        place: of the store.
        options: of the session, its experiment named.
        arguments: of the session's command line.
    """
    from ..reporting.views import STATUS_STYLES, short_names, summary_lines
    from ..views.terminal import Piece, flow

    entries = [json.loads(entry) for entry in told.values()]
    names = short_names([entry["name"] for entry in entries])
    where = str(place) if place.path is None else _from_here(place.path)
    experiment = terminal.paint(terminal.shown(options.experiment), "strong")
    yield f"experiment {experiment} in {terminal.shown(where)}"
    for entry in entries:
        yield ""
        name, status = names[entry["name"]], entry["status"]
        summary = _summary(entry, place)
        if summary is None:
            head = Piece(terminal.shown(name), "strong")
            yield from flow([head, Piece(status, STATUS_STYLES.get(status, ""))], terminal)
        else:
            yield from summary_lines(summary, terminal, name, entry.get("notes", ()))
    for gate in options.gates:
        if not any(gate.concerns(entry["name"]) for entry in entries):
            said = terminal.shown(f"gate {gate.text}: about no evaluation of this session")
            yield ""
            yield terminal.paint(said, "warn")
    if any(entry["status"] in ("interrupted", "running") for entry in entries):
        again = [each for each in arguments if each != "--fresh"]
        if not options.named:
            again += ["--experiment", options.experiment]
        yield ""
        yield f"resume: {terminal.shown(command(again))}"


def _summary(entry: dict[str, Any], place: Place) -> Summary | None:
    """The summary that came with a report; of an item that could not report, what is stored."""
    packed = entry.get("summary")
    if packed is not None:
        return _unpacked(packed)
    return None if "notes" in entry else stored(place, entry["experiment"], entry["name"])


def _unpacked(packed: dict[str, Any]) -> Summary:
    """A Summary that was made plain data with `asdict`."""
    from ..metrics import Estimate
    from ..reporting.summary import Summary

    scores = {
        name: {metric: Estimate(**estimate) for metric, estimate in by_metric.items()}
        for name, by_metric in packed["scores"].items()
    }
    return Summary(**{**packed, "scores": scores})


def _from_here(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
