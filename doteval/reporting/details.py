"""
Records as lines of text, and the limit of concurrency over time.

What is long is made line by line, so that it can be printed while it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from .. import text
from ..cassette import nearest
from ..record import Call, Failure, Record, Result, Run, Score, Usage
from ..views.figures import figure
from ..views.media import as_text
from ..views.table import Column, Table
from ..views.terminal import Piece, Terminal, flow, sparkline
from .views import LONGEST_NAME

# --- records ----------------------------------------------------------------------------------

_WIDEST_LABEL = 16  # columns of a column's name beside its value
# What stands beside the row.
_OURS = ("prompt", "answer", "metadata", "edited", "error", "traceback")


def record_lines(record: Record, terminal: Terminal) -> Iterator[str]:
    """A record with all its texts: the row, prompt, answer, scores or error."""
    yield from _record_head(record, terminal)
    fields = [(row_label(name), value) for name, value in record.row.items()]
    outcome = record.outcome
    result = outcome.result if isinstance(outcome, Failure) else outcome
    if result is not None:
        fields += [("prompt", result.prompt), ("answer", result.model_response)]
        fields += [("metadata", result.metadata or None)]
        fields += [(f"unread: {name}", why) for name, why in _unread(result)]
        fields += [("edited", _edited(result) or None)]
    if isinstance(outcome, Failure):
        fields += [("error", outcome.message), ("traceback", outcome.traceback.rstrip() or None)]
    yield from _fields(fields, terminal)


def call_lines(
    calls: Sequence[Call], late: Sequence[tuple[bytes, str]], terminal: Terminal
) -> Iterator[str]:
    """
    The calls of a record: what was asked and answered.

    Args:
        late: keys and requests of other calls; what each differs in from the nearest of them is
            told as well.
    """
    for call in calls:
        request = json.loads(call.request)
        head = [Piece(terminal.shown(request["function"], 100), "strong")]
        head += [Piece(f"scope {terminal.shown(request['scope'], 100)}")] * bool(request["scope"])
        yield ""
        yield from flow([*head, Piece(text.duration(call.duration), "dim")], terminal, "  ", 2)
        asked: list[tuple[str, Any]] = [*request["arguments"].items()]
        others = [each for each in late if each[1] != call.request]
        differs = nearest(call.request, call.key, others) if others else None
        told = None if differs is None else "; ".join(differs) or "nothing: it was asked elsewhere"
        asked += [("response", json.loads(call.response)), ("new in", told)]
        yield from _fields(asked, terminal)


def _fields(fields: Sequence[tuple[str, Any]], terminal: Terminal) -> Iterator[str]:
    """Values beside their names; nothing for None."""
    fields = [each for each in fields if each[1] is not None]
    heads, indent = _heads(tuple([name for name, _ in fields]), terminal)
    for (name, value), head in zip(fields, heads, strict=True):
        whole = as_text(value, unicode=terminal.unicode)
        if terminal.width is None and whole.isascii() and whole.isprintable():
            lines: Iterable[str] = (terminal.shown(whole),)  # most, where most are printed
        else:
            lines = wrapped(terminal, whole, indent)
        for line in lines:
            painted = terminal.paint(line, "bad") if name == "error" else line
            yield f"{head}{painted}".rstrip()
            head = " " * indent


RIGHT, WRONG, FAILED, SCORED = range(4)  # verdicts on a record


def verdict(record: Record) -> int:
    """
    What a record came to.

    Returns:
        FAILED; WRONG: one of its true or false scores is false, or one that counts for an accuracy
        is 0; RIGHT: it has such scores and all are true; SCORED: it has numbers only.
    """
    if isinstance(record.outcome, Failure):
        return FAILED
    found = SCORED
    for score in record.outcome.scores:
        assert isinstance(score, Score)  # what is stored are no bare values
        number = score.number
        if isinstance(number, bool) or "accuracy" in score.metrics:
            if not number:
                return WRONG
            found = RIGHT
    return found


def _unread(result: Result) -> Iterator[tuple[str, str]]:
    """The names of the scores that could not read the answer, and why."""
    for score in result.scores:
        if isinstance(score, Score) and score.unread:
            yield score.name, str((score.metadata or {}).get("problem", "it was not said why"))


def _edited(result: Result) -> dict[str, Any]:
    """What was computed, of the scores that somebody has put right."""
    scores = [score for score in result.scores if isinstance(score, Score)]
    noted = {score.name: (score.metadata or {}).get("edited") for score in scores}
    return {name: edited for name, edited in noted.items() if edited is not None}


def row_label(column: str) -> str:
    """What to call a column beside our own texts: its name, told apart from theirs."""
    return f"row: {column}" if column in _OURS else column


def failure_lines(record: Record, terminal: Terminal) -> Iterator[str]:
    """A failed record in brief: what went wrong, and with which row."""
    assert isinstance(record.outcome, Failure)
    whole = partial(as_text, unicode=terminal.unicode)
    yield from _record_head(record, terminal)
    for line in wrapped(terminal, whole(record.outcome.message), 2):
        yield f"  {terminal.paint(line, 'bad')}"
    told = [", ".join(f"{k}={whole(v, limit=400)}" for k, v in record.row.items())]
    result = record.outcome.result
    for name, value in (
        ("prompt", None if result is None else result.prompt),
        ("answer", None if result is None else result.model_response),
    ):
        told += [] if value is None else [f"{name}: {whole(value)}"]
    room = None if terminal.width is None else terminal.width - 2
    for each in told:
        yield f"  {terminal.paint(_preview(each, room, terminal), 'dim')}"


def _record_head(record: Record, terminal: Terminal) -> list[str]:
    repeat = f" repeat {record.repeat}" if record.repeat else ""
    pieces = [Piece(f"row {record.position}{repeat}", "strong")]
    outcome = record.outcome
    if isinstance(outcome, Failure):
        pieces.append(Piece(terminal.shown(outcome.type, LONGEST_NAME), "bad"))
    else:
        pieces += [_score(score, terminal) for score in outcome.scores if isinstance(score, Score)]
    pieces.append(Piece(text.duration(record.duration), "dim"))
    if record.attempts > 1:
        pieces.append(Piece(f"{record.attempts} attempts", "warn"))
    if record.waited > 0:
        pieces.append(Piece(f"waiting {text.duration(record.waited)}", "dim"))
    result = outcome.result if isinstance(outcome, Failure) else outcome
    if result is not None and result.usage is not None:
        tokens = (result.usage.input_tokens or 0) + (result.usage.output_tokens or 0)
        pieces += [Piece(f"{text.count(tokens)} tokens", "dim")] if tokens else []
    return flow(pieces, terminal)


def _score(score: Score, terminal: Terminal) -> Piece:
    value = score.value
    name = terminal.shown(score.name, LONGEST_NAME)
    right = score.number
    style = ("good" if right else "warn") if isinstance(right, bool) else ""
    if isinstance(value, str):
        instead = f", not {terminal.shown(score.expected, LONGEST_NAME)}" if right is False else ""
        return Piece(f"{name} {terminal.shown(value, LONGEST_NAME)}{instead}", style)
    if isinstance(value, bool):
        return Piece(f"{name} {value}", style)
    return Piece(f"{name} {figure(value)}")


@lru_cache(maxsize=64)  # all rows of an evaluation have the same
def _heads(names: tuple[str, ...], terminal: Terminal) -> tuple[list[str], int]:
    """Names as they stand before values, and how many columns these then begin at."""
    shown = [terminal.shown(name, 100) for name in names]
    widest = min(max(map(text.display_width, shown), default=0), _WIDEST_LABEL)
    fitted = [text.fit(name, widest, mark=terminal.mark) for name in shown]
    return [
        f"  {terminal.paint(name, 'dim')}{' ' * (widest - text.display_width(name))}  "
        for name in fitted
    ], widest + 4


def _preview(value: str, width: int | None, terminal: Terminal) -> str:
    return text.encodable(text.one_line(value, width, mark=terminal.mark), terminal.encoding)


def wrapped(terminal: Terminal, value: str, indent: int) -> Iterator[str]:
    """
    The lines of a text, made safe and broken at blanks to what the terminal has left.

    Args:
        indent: columns that are taken already. Where fewer than 20 are left, nothing is broken.
    """
    shown = text.encodable(text.safe(value, newlines=True), terminal.encoding).expandtabs(4)
    room = None if terminal.width is None else terminal.width - indent
    for line in shown.split("\n"):
        if room is None or room < 20:
            yield line
        else:
            yield from _broken(line, room)


def _broken(line: str, room: int) -> Iterator[str]:
    at = 0
    while True:
        # A slice bounds the work: an answer may be one line of 10 MB.
        rest = line[at : at + 5 * room]
        part = text.fit(rest, room, mark="")
        if at + len(part) >= len(line) or not part:
            yield part or rest
            return
        cut = part.rfind(" ", len(part) // 2) + 1 or len(part)
        if line[at + len(part)] == " ":  # a word ends exactly at the edge
            cut = len(part)
        yield part[:cut].rstrip()
        at += cut
        at += line[at : at + 1] == " "


def record_dict(record: Record) -> dict[str, Any]:
    """A record as plain data, unrounded; what `doteval show --json --full` prints of it."""
    outcome = record.outcome
    result = outcome.result if isinstance(outcome, Failure) else outcome
    usage = None if result is None else result.usage
    told: dict[str, Any] = {
        "position": record.position,
        "repeat": record.repeat,
        "row": dict(record.row),
        "scores": {},
        "error": None,
        "prompt": None if result is None else result.prompt,
        "model_response": None if result is None else result.model_response,
        "metadata": None if result is None else result.metadata,
        "usage": usage._asdict() if isinstance(usage, Usage) else None,
        "attempts": record.attempts,
        "started": record.started,
        "duration": record.duration,
        "waited": record.waited,
        "concurrency": record.concurrency,
    }
    if isinstance(outcome, Failure):
        named = {"type": outcome.type, "message": outcome.message, "traceback": outcome.traceback}
        return {**told, "error": named}
    scores = {each.name: each.value for each in outcome.scores if isinstance(each, Score)}
    return {**told, "scores": scores}


# --- the limit of concurrency over time -------------------------------------------------------

_CHART_HEIGHT = 6  # lines
_CHART_WIDTH = 72  # columns at most, and in a pipe
_BLOCKS = " ▁▂▃▄▅▆▇█"


def limit_lines(run: Run, terminal: Terminal) -> list[str]:
    """How the limit of a run moved: a chart, and a table with the reasons."""
    changes = run.history
    if not changes:
        return [terminal.paint("  the limit did not move: only Adaptive's does", "dim")]
    end = max(run.duration, *(float(change["at"]) for change in changes))
    rows = [
        [
            text.duration(change["at"]),
            change["limit"],
            None if change.get("throughput") is None else text.rate(change["throughput"], "rows"),
            change.get("reason"),
        ]
        for change in changes
    ]
    columns = (
        Column("at", "right"),
        Column("limit", "right"),
        Column("throughput", "right", drop=1),
        Column("reason", least=10),
    )
    listed = Table(columns, rows).lines(terminal, 2)
    return [*_chart(changes, end, terminal), "", *listed]


def _chart(changes: Sequence[Mapping[str, Any]], end: float, terminal: Terminal) -> list[str]:
    """The limit over time as a surface: as many columns as fit, six lines high."""
    top = max(change["limit"] for change in changes)
    margin = max(len(f"{top:,}"), len("limit")) + 3
    width = min(_CHART_WIDTH, (terminal.width or 1_000) - margin - 1)
    if width < 10:
        return []
    heights = _heights(changes, end, width)
    lines = [terminal.paint("limit".rjust(margin - 1), "dim")]
    for level in reversed(range(_CHART_HEIGHT)):
        said = f"{top:,}" if level == _CHART_HEIGHT - 1 else ""
        bars = "".join(_block(height * _CHART_HEIGHT / top - level, terminal) for height in heights)
        lines.append(f"{said.rjust(margin - 1)} {terminal.paint(bars.rstrip(), 'accent')}")
    rule = ("─" if terminal.unicode else "-") * width
    lines.append(f"{'0'.rjust(margin - 1)} {terminal.paint(rule, 'dim')}")
    last = text.duration(end)
    lines.append(terminal.paint(f"{' ' * margin}0 s{last.rjust(width - 3)}", "dim"))
    return [*lines, *_throughput(changes, end, margin, width, terminal)]


def _throughput(
    changes: Sequence[Mapping[str, Any]], end: float, margin: int, width: int, terminal: Terminal
) -> list[str]:
    """The throughput below the limit, on the same axis: what it was last known to be."""
    known = [change for change in changes if change.get("throughput") is not None]
    if not known:
        return []
    values: list[float | None] = []
    for column in range(width):
        moment = end * (column + 0.5) / width
        before = [change["throughput"] for change in known if change["at"] <= moment]
        values.append(before[-1] if before else None)
    top = text.rate(max(change["throughput"] for change in known), "rows")
    line = sparkline(values, width, terminal.unicode)
    return [
        terminal.paint(f"{' ' * margin}throughput, at most {top}", "dim"),
        f"{' ' * margin}{terminal.paint(line.rstrip(), 'accent')}",
    ]


def _heights(changes: Sequence[Mapping[str, Any]], end: float, width: int) -> list[int]:
    """The limit at the middle of each of so many stretches of time."""
    heights, at = [], 0
    for column in range(width):
        moment = end * (column + 0.5) / width
        while at + 1 < len(changes) and changes[at + 1]["at"] <= moment:
            at += 1
        heights.append(int(changes[at]["limit"]))
    return heights


def _block(part: float, terminal: Terminal) -> str:
    """One place of the chart: full, partly filled, or empty."""
    part = min(max(part, 0.0), 1.0)
    if not terminal.unicode:
        return "#" if part >= 0.5 else " "
    return _BLOCKS[round(part * 8)]
