"""
Summaries and records as lines of text: the blocks and tables that the command line and pytest show.

Everything here takes data and returns text or tables; nothing reads a store or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import text
from ..errors import NotFound, UsageError
from ..metrics import ANYTIME, Estimate
from ..views.figures import (
    estimate_figure,
    figure,
    interval,
    limit_path,
    percentage,
    plural,
    span,
    strategy_parts,
)
from ..views.table import Cell, Column, Table
from ..views.terminal import LABEL, Piece, Terminal, flow, labelled, words
from .figures import KEPT
from .summary import Summary

STATUS_STYLES = {
    "complete": "good",
    "running": "accent",
    "incomplete": "warn",
    "interrupted": "warn",
    "stalled": "bad",
    "stopped": "bad",
    "failed": "bad",
    "damaged": "bad",
}
LONGEST_NAME = 60  # characters shown of the name of a score, a metric or an error
_SENTENCES = (
    "strategy",
    "limit",
    "reason",
    "unknown",
    "kept",
    "note",
)  # parted by blanks
_MOST_ERRORS = 8  # types of error in a block; the others are counted
_MOST_LIMITS = 10  # steps of the adaptive limit in a block: the first ones and the last ones


# --- the block of an evaluation ---------------------------------------------------------------


def summary_lines(
    summary: Summary,
    terminal: Terminal,
    name: str | None = None,
    notes: Iterable[str] = (),
) -> list[str]:
    """
    What came out of an evaluation, as a block of lines that fit the terminal.

    Args:
        summary: of the evaluation.
        terminal: where the lines are shown.
        name: how to call the evaluation; None: by its short name.
        notes: sentences to add, such as those of a run.
    """
    title = short_name(summary.evaluation) if name is None else name
    status = Piece(summary.status, STATUS_STYLES.get(summary.status, ""))
    lines = flow([Piece(terminal.shown(title), "strong"), status], terminal)
    for label, facts in _facts(summary, terminal, notes):
        lines += _block(label, facts, terminal)
        if label == "scores":
            lines += _confusions(summary, terminal)
    return lines


def remark_lines(summary: Summary, terminal: Terminal, notes: Iterable[str] = ()) -> list[str]:
    """Of a block what must not be overlooked where only figures are shown."""
    return [
        line
        for label, facts in _facts(summary, terminal, notes)
        if label in _REMARKS
        for line in _block(label, facts, terminal)
    ]


def _block(label: str, facts: Iterable[Sequence[Piece]], terminal: Terminal) -> list[str]:
    return labelled(label, facts, terminal, " " if label in _SENTENCES else None)


_REMARKS = ("decided", "versions", "errors", "reason", "unknown", "kept", "note")


def _facts(
    summary: Summary, terminal: Terminal, notes: Iterable[str]
) -> Iterator[tuple[str, Iterable[Sequence[Piece]]]]:
    """The lines of a block by their labels."""
    said = (*summary.alike, *summary.notes, *notes)  # a run's may come both ways
    yield from (
        ("rows", [_rows(summary)]),
        ("scores", _scores(summary, terminal)),
        ("answers", _readings(summary, terminal)),
        ("bounds", _bounds(summary, terminal)),
        ("decided", _until(summary, terminal)),
        ("versions", _versions(summary, terminal)),
        ("time", [_times(summary)]),
        ("tokens", [_usage(summary)]),
        ("calls", [_calls(summary)]),
        ("answers", [_rescored(summary, terminal)]),
        ("errors", _errors(summary, terminal)),
        (
            "strategy",
            [[Piece(terminal.shown(part), "dim") for part in strategy_parts(summary.strategy)]],
        ),
        ("limit", [list(map(Piece, _path(summary, terminal)))]),
        ("reason", [words(summary.error or "", terminal, "warn")]),
        ("unknown", [words(each, terminal, "warn") for each in summary.unknown]),
        ("kept", [words(each, terminal, "warn") for each in summary.kept]),
        ("note", [words(each, terminal, "warn") for each in dict.fromkeys(said)]),
    )


def _versions(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    """What made the records, where that was not one and the same; the latest first."""
    configs = [each["config"] for each in summary.versions]
    told = []
    for at, each in enumerate(summary.versions):
        config = {
            name: value
            for name, value in each["config"].items()
            if any(other.get(name) != value for other in configs)
        }
        pieces = [Piece(plural(each["records"], "row"), "warn")]
        pieces += [
            Piece(terminal.shown(f"{name} = {text.one_line(value, 40, mark=terminal.mark)}"))
            for name, value in config.items()
        ]
        if each["changed"]:
            pieces.append(Piece(terminal.shown(f"other code: {', '.join(each['changed'][:3])}")))
        pieces += [Piece("latest", "dim")] * (at == 0)
        told.append(pieces)
    return told


def _rows(summary: Summary) -> list[Piece]:
    of = "" if summary.total is None else f" of {text.count(summary.total)}"
    pieces = [Piece(f"{text.count(summary.scored)}{of} scored")]
    if summary.failed:
        pieces.append(Piece(f"{text.count(summary.failed)} failed", "bad"))
    if summary.missing:
        pieces.append(Piece(f"{text.count(summary.missing)} missing", "warn"))
    if summary.stale:
        pieces.append(Piece(f"{text.count(summary.stale)} stale", "warn"))
    if summary.success is not None:
        pieces.append(Piece(f"{text.percent(summary.success)} answered"))
    if summary.repeats > 1:
        pieces.append(Piece(f"{text.count(summary.repeats)} repeats"))
    if summary.groups is not None:
        pieces.append(Piece(plural(summary.groups, "cluster")))
    return pieces


_MANY_UNREAD = 0.10  # of the answers: then the figure says little about the model


def _readings(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    """How many answers could not be read, and how many there were not."""
    told = []
    for name, each in summary.readings.items():
        pieces = [Piece(terminal.shown(name, LONGEST_NAME))]
        for kind in ("unread", "empty"):
            share = each[kind] / each["of"]
            if share:
                style = "warn" if share > _MANY_UNREAD else ""
                pieces.append(
                    Piece(f"{text.count(each[kind])} {kind} ({text.percent(share)})", style)
                )
        if len(pieces) > 1:
            told.append(pieces)
    return told


def _times(summary: Summary) -> list[Piece]:
    pieces = [Piece(text.duration(summary.duration), "strong")]
    if summary.rate is not None:
        pieces.append(Piece(text.rate(summary.rate, "rows")))
    if summary.latency.get("p50") is not None:
        p50, p95 = (text.duration(summary.latency.get(part)) for part in ("p50", "p95"))
        pieces.append(Piece(f"latency p50 {p50}, p95 {p95}"))
    if summary.waited > 0:
        pieces.append(Piece(f"waiting {text.duration(summary.waited)}"))
    if summary.attempts > summary.done:
        pieces.append(Piece(f"{text.count(summary.attempts)} attempts"))
    return pieces


def _usage(summary: Summary) -> list[Piece]:
    usage = summary.usage
    pieces = [
        Piece(f"{text.count(usage[key])} {word}")
        for key, word in (("input_tokens", "in"), ("output_tokens", "out"))
        if usage.get(key) is not None
    ]
    cost = usage.get("cost")
    if cost is not None:
        pieces.append(Piece(f"cost {figure(cost)}"))
    return pieces


def _rescored(summary: Summary, terminal: Terminal) -> list[Piece]:
    if not summary.rescored:
        return []
    edits = summary.rescored["edits"]
    pieces = [Piece(terminal.shown(f"of {summary.rescored['from']}, scored once more"))]
    return pieces + [Piece(f"{plural(edits, 'score')} put right by hand", "warn")] * bool(edits)


def _calls(summary: Summary) -> list[Piece]:
    if not summary.calls:
        return []
    made, served = summary.calls["made"], summary.calls["served"]
    pieces = [Piece(f"{text.count(made)} made")]
    return [*pieces, Piece(f"{text.count(served)} served from what was kept")] if served else pieces


def _errors(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    """One line a type, most frequent first."""
    shown = list(summary.errors.items())[:_MOST_ERRORS]
    counts = [text.count(n) for _, n in shown]
    widest = max(map(len, counts), default=0)
    lines = [
        [Piece(f"{n.rjust(widest)} {terminal.shown(kind, LONGEST_NAME)}", "bad")]
        for (kind, _), n in zip(shown, counts, strict=True)
    ]
    more = len(summary.errors) - len(shown)
    if more:
        lines.append([Piece(f"and {plural(more, 'other type')}", "dim")])
    return lines


def _path(summary: Summary, terminal: Terminal) -> list[str]:
    return limit_path(summary.limits, _MOST_LIMITS, terminal.unicode, _MOST_LIMITS // 2)


# --- scores -----------------------------------------------------------------------------------


def _scores(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    """A line for each metric of each score, in columns; a name is not said twice."""
    rows: list[list[Piece]] = []
    for name, by_metric in summary.scores.items():
        said = terminal.shown(name, LONGEST_NAME)
        for metric, estimate in by_metric.items():
            rows.append(
                [
                    Piece(said),
                    Piece(terminal.shown(metric, LONGEST_NAME)),
                    Piece(estimate_figure(metric, estimate), "strong"),
                    _sure(metric, estimate, summary.confidence, terminal),
                    Piece(f"n = {text.count(estimate.n)}", "dim"),
                ]
            )
            said = ""
    columns = zip(*rows, strict=True)
    widths = [max(text.display_width(piece.text) for piece in cells) for cells in columns]
    if terminal.width is not None and sum(widths) + 2 * len(widths) + LABEL > terminal.width:
        return [[piece for piece in row if piece.text] for row in rows]
    return [[Piece(_in_columns(row, widths, terminal))] for row in rows]


_MOST_LABELS = 10  # of a matrix that can be read; of more the commonest mistakes are told


_ENDS = {"pass": "holds", "fail": "does not hold", "undecided": "not decided"}


def until_told(kept: Mapping[str, Any]) -> str:
    """What became of `Summary.until`: "until ok >= 0.8 @ 95%: holds, decided at 18 of 100 rows"."""
    end = _ENDS.get(kept["outcome"], _ENDS["undecided"])
    rows = f"{text.count(kept['n'])} of {plural(kept['rows'], 'row')}"
    after = "after" if kept["outcome"] == "undecided" else "decided at"
    why = f" ({kept['problem']})" if kept["problem"] else ""
    return f"until {kept['gate']}: {end}, {after} {rows}{why}"


def _confusions(summary: Summary, terminal: Terminal) -> list[str]:
    """What was said for what was expected: a matrix for each score of labels."""
    lines = []
    for name, each in summary.confusion.items():
        labels, table = each["labels"], each["table"]
        if len(labels) <= _MOST_LABELS:
            columns = (Column(f"{name}: expected", foreign=True), *labels)
            shown = Table(columns, [[said, *row] for said, row in zip(labels, table, strict=True)])
            lines += ["", *shown.lines(terminal, 2), ""]
            continue
        mistakes = [
            (count, expected, said)
            for expected, row in zip(labels, table, strict=True)
            for said, count in zip(labels, row, strict=True)
            if count and said != expected
        ]
        lines += labelled(
            "mistakes",
            [
                [Piece(terminal.shown(f"{name}: {said}, not {expected}")), Piece(text.count(count))]
                for count, expected, said in sorted(mistakes, reverse=True)[:_MOST_ERRORS]
            ],
            terminal,
        )
    return lines


def _in_columns(row: Sequence[Piece], widths: Sequence[int], terminal: Terminal) -> str:
    cells = []
    for at, (piece, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - text.display_width(piece.text))
        painted = terminal.paint(piece.text, piece.style)
        cells.append(f"{padding}{painted}" if at in (2, 4) else f"{painted}{padding}")
    return "  ".join(cells).rstrip()


def _sure(metric: str, estimate: Estimate, confidence: float, terminal: Terminal) -> Piece:
    """The interval, or why there is none."""
    shown = interval(metric, estimate, terminal.unicode)
    if shown:
        shaky = f", shaky: {estimate.shaky}" if estimate.shaky else ""
        looks = " at any look" if estimate.method == ANYTIME else ""
        return Piece(f"{percentage(confidence)} CI{looks} {shown}{shaky}", "warn" if shaky else "")
    return Piece(terminal.shown(estimate.method, LONGEST_NAME), "dim")


def _until(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    if summary.until is None:
        return []
    return [[Piece(terminal.shown(until_told(summary.until)))]]


def _bounds(summary: Summary, terminal: Terminal) -> list[list[Piece]]:
    """What rows that failed could change: nothing is known of them, so both extremes are told."""
    if not summary.failed:
        return []
    return [
        [
            Piece(terminal.shown(f"{name} {metric}", 2 * LONGEST_NAME)),
            Piece(span(metric, low, high, terminal.unicode)),
            Piece("failures all wrong, or all right", "dim"),
        ]
        for name, by_metric in summary.bounds.items()
        for metric, (low, high) in by_metric.items()
    ]


def headline(summary: Summary) -> tuple[str, str, Estimate] | None:
    """The first score with its first metric: (what to call it, metric, estimate)."""
    heads = (
        (score_name(name, metric, estimate, share_unread(summary, name)), metric, estimate)
        for name, by_metric in summary.scores.items()
        for metric, estimate in by_metric.items()
    )
    return next(heads, None)


def score_name(name: str, metric: str, estimate: Estimate, unread: float = 0.0) -> str:
    """
    What to call a figure: its score, its metric where that says something, its origin, and which
    share of the answers could not be read, where that is many.
    """
    said = name if metric in ("accuracy", "mean") else f"{name} {metric}"
    marks = ["kept"] if estimate.method.startswith(KEPT) else []
    if unread > _MANY_UNREAD:
        marks.append(f"{text.percent(unread)} unread")
    return f"{said} ({', '.join(marks)})" if marks else said


def share_unread(summary: Summary, name: str) -> float:
    """Of the answers that a score judged."""
    read = summary.readings.get(name)
    return read["unread"] / read["of"] if read else 0.0


def estimate_cells(metric: str, estimate: Estimate, unicode: bool = True) -> tuple[Cell, Cell]:
    """Its value, and its interval."""
    shown = interval(metric, estimate, unicode) or text.NOTHING
    return (
        Cell(estimate.value, shown=estimate_figure(metric, estimate)),
        Cell((estimate.low, estimate.high), shown=shown),
    )


# --- names ------------------------------------------------------------------------------------


def short_name(evaluation: str) -> str:
    """The part after the file: "eval_x[gpt]" of "tests/eval_a.py::eval_x[gpt]"."""
    # Parameters may hold "::" too, so only what stands before the first bracket is looked at.
    head, bracket, rest = evaluation.partition("[")
    return head.rpartition("::")[2] + bracket + rest


def short_names(evaluations: Sequence[str]) -> dict[str, str]:
    """How to call each of these: by its short name, where no other has the same."""
    short = {name: short_name(name) for name in evaluations}
    seen = list(short.values())
    return {name: each if seen.count(each) == 1 else name for name, each in short.items()}


def one_of(names: Sequence[str], wanted: str, experiment: str) -> str:
    """
    The evaluation that is meant: by its full name, or by its short one where only one has it.

    Args:
        names: of the evaluations of the experiment.

    Raises:
        NotFound: there is none; a name with a file is never that of another file.
        UsageError: there are several.
    """
    fitting = [wanted] if wanted in names else [n for n in names if short_name(n) == wanted]
    if len(fitting) > 1:
        raise UsageError(
            f"several evaluations of {experiment!r} are called {wanted!r}; name one of them as a "
            f"whole: {', '.join(fitting)}"
        )
    if not fitting:
        others = list(short_names(names).values())
        raise NotFound(
            f"experiment {experiment!r} has no evaluation {wanted!r}"
            f"{text.similar(wanted, others, others[:10], cutoff=0.7)}"
        )
    return fitting[0]
