"""
A comparison as lines for a terminal, and as Markdown for a pull request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice

from .. import text
from ..record import Record, Result
from ..views.figures import (
    change,
    change_span,
    figure,
    p_value,
    percentage,
    plural,
    score_figure,
    width_of,
)
from ..views.media import as_text
from ..views.table import Cell, Column, Table, code
from ..views.terminal import Piece, Terminal, flow, sentence_lines
from .compare import Comparison, Contrast, Example, ScoreChange
from .details import wrapped
from .difference import BETTER, NO_LOSS, NONE, REGRESSION, UNJUDGED, UNSURE, Difference
from .slices import slice_name, slice_value
from .views import LONGEST_NAME, short_name

VERDICT_STYLES = {
    REGRESSION: "bad",
    UNSURE: "warn",
    NO_LOSS: "",
    NONE: "good",
    BETTER: "good",
    UNJUDGED: "dim",
}
_NAMED = 10  # slices in a sentence
_LINES = 2  # of a text of an example
_LONGEST_VALUE = 60  # characters of a value of a row, so that a long one hides no other
_LONGEST_TEXT = 400  # characters of a row or an answer that are looked at for an example


# --- for a terminal ---------------------------------------------------------------------------


def comparison_lines(comparison: Comparison, terminal: Terminal) -> list[str]:
    """A block for each evaluation: rows, differences with verdicts, and what changed."""
    lines = _head(comparison, terminal)
    for contrast in comparison.evaluations:
        lines += ["", *_contrast(comparison, contrast, terminal)]
    for names, where in ((comparison.gone, comparison.a), (comparison.new, comparison.b)):
        for name in names:
            said = f"{short_name(name)} is in {where} alone"
            lines += ["", terminal.paint(terminal.shown(said), "warn")]
    return [*lines, "", *_head(comparison, terminal)]  # where one looks when it has scrolled by


def _head(comparison: Comparison, terminal: Terminal) -> list[str]:
    arrow = "→" if terminal.unicode else "->"
    names = f" {arrow} ".join(map(terminal.shown, comparison.labels))
    pieces = [Piece(names, "strong"), _verdict(comparison.verdict)]
    if comparison.margin is not None:
        pieces.append(Piece(f"a loss of {comparison.margin!r} is accepted", "dim"))
    return flow(pieces, terminal)


def _verdict(verdict: str) -> Piece:
    return Piece(verdict, VERDICT_STYLES[verdict])


def _contrast(comparison: Comparison, contrast: Contrast, terminal: Terminal) -> list[str]:
    names = list(dict.fromkeys((contrast.a.evaluation, contrast.b.evaluation)))
    if len({short_name(name) for name in names}) == 1:
        names = [short_name(names[0])]
    arrow = " → " if terminal.unicode else " -> "
    title = terminal.shown(arrow.join(names))
    lines = flow([Piece(title, "strong"), _verdict(contrast.verdict)], terminal)
    for said in _rows(comparison, contrast):
        lines += flow([Piece(terminal.shown(each)) for each in said], terminal, "  ", 2)
    table = difference_table(comparison, [contrast])
    if table.rows:
        lines += table.without("evaluation", "rows", "worse", "better").lines(terminal, 2)
    for score in contrast.scores:
        lines += _notes(score, comparison.confidence, terminal)
    for note in contrast.notes:
        lines += sentence_lines(note, terminal, "warn", "  ")
    if contrast.slices:
        lines += ["", *_slices(comparison, contrast, terminal)]
    for what, examples in _worse(contrast).items():
        lines += ["", *flow([Piece(terminal.shown(what))], terminal, "  ", 2)]
        for example, record in examples:
            lines += _example(comparison, example, record, terminal)
    return lines


def _slices(comparison: Comparison, contrast: Contrast, terminal: Terminal) -> Iterator[str]:
    """The differences of each slice, the worst first."""
    table = slice_differences(comparison, contrast)
    by = ", ".join(contrast.slices[0].by)
    yield from flow([Piece(terminal.shown(f"by {by}"), "strong")], terminal, "  ", 2)
    yield from table.lines(terminal, 2)
    tested = [each.adjusted is not None for each in _differences(contrast.slices)]
    if sum(tested) > 1:
        yield f"  {terminal.paint('p is corrected for all slices', 'dim')}"
    for said in _reasons(contrast):
        yield from sentence_lines(said, terminal, "warn", "  ")


def _reasons(contrast: Contrast) -> Iterator[str]:
    """Why it can not be told of slices: each reason with those that it is of."""
    found: dict[str, dict[str, None]] = {}
    for part in contrast.slices:
        for each in _differences([part]):
            if each.reason:
                found.setdefault(each.reason, {})[slice_name(part.by)] = None
    for reason, names in found.items():
        named = [*islice(names, _NAMED)]
        if len(names) > _NAMED:
            named.append(f"and {plural(len(names) - _NAMED, 'other')}")
        yield f"{reason}: {'; '.join(named)}"


def slice_differences(comparison: Comparison, contrast: Contrast) -> Table:
    """A row for each metric of each score of each slice, the worst first."""
    parts = sorted(contrast.slices, key=_gain)
    asked = {(each.score, each.metric) for each in _differences(parts)}
    same = ("score", "metric") if len(asked) == 1 else ()
    table = difference_table(comparison, parts)
    return table.without("evaluation", "worse", "better", *same)


def _differences(contrasts: Iterable[Contrast]) -> Iterator[Difference]:
    for contrast in contrasts:
        for score in contrast.scores:
            yield from score.differences


def _gain(contrast: Contrast) -> float:
    """The least that B gains."""
    gains = (each.gain for each in _differences([contrast]) if each.verdict != UNJUDGED)
    return min((gain for gain in gains if gain is not None and gain == gain), default=math.inf)


def _worse(contrast: Contrast) -> dict[str, list[tuple[Example, Record]]]:
    """
    The examples of rows that got worse, each once, by the score and what became of it. Of the rows
    that got better there are enough in JSON.
    """
    found: dict[str, list[tuple[Example, Record]]] = {}
    shown: set[bytes] = set()
    for score in contrast.scores:
        for example in score.examples:
            record = example.after or example.before
            if record is not None and example.worse and record.key not in shown:
                shown.add(record.key)
                what = f"{text.safe(score.name, LONGEST_NAME)} {_values(score, example)}"
                found.setdefault(what, []).append((example, record))
    return found


def difference_table(comparison: Comparison, contrasts: Sequence[Contrast]) -> Table:
    """
    A row for each metric of each score of these evaluations, or slices of them.

    Args:
        contrasts: those of slices have columns for what their rows share.
    """
    by = list(next((each.by for each in contrasts if each.by), {}))
    before, after = (
        Column(label, "right", least=6, drop=drop, foreign_name=True)
        for label, drop in zip(comparison.labels, (3, 2), strict=True)
    )
    columns = (
        Column("evaluation", foreign=True),
        *(Column(name, least=_least(name), foreign=True, foreign_name=True) for name in by),
        Column("score", style="strong", least=8, foreign=True),
        Column("metric", drop=1, foreign=True),
        before,
        after,
        Column("change", "right"),
        Column(f"{percentage(comparison.confidence)} CI", "right", drop=4, below=True),
        Column(_p_title(comparison, contrasts), "right", drop=5, below=True),
        Column("rows", "right", drop=1),
        Column("worse", "right"),
        Column("better", "right"),
        Column("verdict", least=12 if by else None),
    )
    return Table(
        columns,
        [
            _difference(contrast, score, each, by)
            for contrast in contrasts
            for score in contrast.scores
            for each in score.differences
        ],
    )


def _difference(
    contrast: Contrast, score: ScoreChange, each: Difference, by: Sequence[str]
) -> list[object]:
    return [
        short_name(contrast.b.evaluation),
        *(slice_value(contrast.by[name]) if contrast.by else None for name in by),
        each.score,
        each.metric,
        _side(each, each.a),
        _side(each, each.b),
        Cell(each.value, "strong", change(each.metric, each.value, width_of(each.low, each.high))),
        Cell((each.low, each.high), shown=change_span(each.metric, each.low, each.high)),
        Cell(each.adjusted, shown=p_value(each.adjusted)),
        each.n,
        score.worse,
        score.better,
        Cell(each.verdict, VERDICT_STYLES[each.verdict]),
    ]


def _p_title(comparison: Comparison, contrasts: Sequence[Contrast]) -> str:
    """The intervals stand for themselves; the p-values of several tests are corrected together."""
    wholes = comparison.evaluations
    parts = [part for contrast in wholes for part in contrast.slices]
    families = [
        of for of in (wholes, parts) if any(bool(each.by) == (of is parts) for each in contrasts)
    ]
    most = max(sum(each.p is not None for each in _differences(of)) for of in families)
    return "p" if most < 2 else "p (Holm)"


def _rows(comparison: Comparison, contrast: Contrast) -> list[list[str]]:
    """How many rows could be paired; score by score, where that differs."""
    name_a, name_b = comparison.labels
    told: dict[tuple[int, int, int], list[str]] = {}
    for score in contrast.scores:
        told.setdefault((score.paired, score.only_a, score.only_b), []).append(score.name)
    lines = []
    for (paired, only_a, only_b), names in told.items():
        line = [f"{plural(paired, 'row')} paired"]
        if len(told) > 1:
            line[0] += f" in {', '.join(names)}"
        if only_a:
            line.append(f"{text.count(only_a)} only in {name_a}")
        if only_b:
            line.append(f"{text.count(only_b)} only in {name_b}")
        lines.append(line)
    for status, name in ((contrast.status_a, name_a), (contrast.status_b, name_b)):
        if status != "complete":
            lines.append([f"{name} is {status}"])
    failed = [
        f"{text.count(n)} failed in {name}"
        for n, name in ((contrast.failed_a, name_a), (contrast.failed_b, name_b))
        if n
    ]
    return [*lines, failed] if failed else lines


def _side(each: Difference, value: float | None) -> Cell:
    """The figure of A or of B, with the digits that tell them apart."""
    width = abs(each.value or 0.0) if (found := width_of(each.low, each.high)) is None else found
    return Cell(value, shown=score_figure(each.metric, value, width))


def _notes(score: ScoreChange, confidence: float, terminal: Terminal) -> Iterator[str]:
    pieces = [
        Piece(terminal.shown(score.name, LONGEST_NAME)),
        Piece(f"{plural(score.worse, 'row')} worse", "bad" if score.worse else ""),
        Piece(f"{text.count(score.better)} better", "good" if score.better else ""),
    ]
    for each in score.differences:
        if each.detectable is not None:
            seen = change(each.metric, each.detectable, 2 * each.detectable).removeprefix("+")
            which = f"{each.metric} " if len(score.differences) > 1 else ""
            pieces.append(Piece(f"{which}could see a change of {seen}", "dim"))
    yield from flow(pieces, terminal, "  ", 2)
    if score.flips is not None:
        beyond = score.flips.p < 1 - confidence
        said = (
            f"asked once, {score.flips.between:.1f} of {text.count(score.flips.rows)} rows would "
            f"flip; {score.flips.within:.1f} flip by themselves: "
            f"{'more than noise' if beyond else 'no more than noise'} (p {p_value(score.flips.p)})"
        )
        yield from sentence_lines(said, terminal, "", "  ")
    for each in score.differences:
        if each.reason:
            yield from sentence_lines(each.reason, terminal, "warn", "  ")


def _example(
    comparison: Comparison, example: Example, record: Record, terminal: Terminal
) -> Iterator[str]:
    """The row, and below it what either answered, one below the other."""
    (_, row), *answers = _texts(comparison, example, record)
    lines = [*islice(wrapped(terminal, f"row {record.position}  {row}", 6), _LINES + 1)]
    if len(lines) > _LINES:
        row = _row(record, _LONGEST_VALUE)
        lines = [*islice(wrapped(terminal, f"row {record.position}  {row}", 6), _LINES)]
    for at, line in enumerate(lines):
        yield f"{'      ' if at else '    '}{line}"
    widest = max((text.display_width(label) for label, _ in answers), default=0)
    for label, said in answers:
        named = label + " " * (widest - text.display_width(label))
        for line in islice(wrapped(terminal, f"{named}  {said}", 6), _LINES):
            yield f"      {terminal.paint(line, 'dim')}"


def _least(name: str) -> int:
    """Down to which a column of this name may be cut: its header should be readable."""
    return min(max(8, text.display_width(name)), 16)


def _row(record: Record, longest: int = _LONGEST_TEXT) -> str:
    """Its columns, each of so many characters at most."""
    return ", ".join(f"{name}={text.safe(value, longest)}" for name, value in record.row.items())


def _texts(comparison: Comparison, example: Example, record: Record) -> list[tuple[str, str]]:
    """The row in brief, and what was answered."""
    found = [("row", _row(record))]
    for name, each in zip(comparison.labels, (example.before, example.after), strict=True):
        answer = _answer(each)
        if answer is not None:
            found.append((name, _brief(answer)))
    return found


def _answer(record: Record | None) -> object:
    outcome = None if record is None else record.outcome
    return outcome.model_response if isinstance(outcome, Result) else None


def _brief(value: object) -> str:
    return text.safe(as_text(value, limit=_LONGEST_TEXT + 1), _LONGEST_TEXT)


def _values(score: ScoreChange, example: Example) -> str:
    """ "True to False"; of labels "answer to refusal"."""
    sides = ((example.before, example.a), (example.after, example.b))
    return " to ".join(_label(score, each) or _value(score, value) for each, value in sides)


def _label(score: ScoreChange, record: Record | None) -> str:
    """What a record said, where that is a label; of one of several repeats it would mislead."""
    scores = getattr(record and record.outcome, "scores", ()) if score.boolean else ()
    labels = [each.value for each in scores if each.name == score.name]
    return text.safe(labels[0], _LONGEST_TEXT) if labels and isinstance(labels[0], str) else ""


def _value(score: ScoreChange, value: float) -> str:
    if score.boolean and value in (0, 1):
        return str(bool(value))
    return figure(value)


# --- Markdown ---------------------------------------------------------------------------------


def comparison_markdown(comparison: Comparison) -> str:
    """
    For a pull request: the verdict, a table, and examples that can be unfolded.

    Whatever comes from experiments stands in code, where it can neither format nor mention.
    """
    sign = {REGRESSION: "❌", UNSURE: "❔"}.get(comparison.verdict, "✅")
    names = " → ".join(map(code, comparison.labels))
    head = f"### {sign} {names}: {comparison.verdict}"
    lines = [head, ""]
    if comparison.margin is not None:
        lines += [f"A loss of {comparison.margin!r} is accepted.", ""]
    table = "".join(difference_table(comparison, comparison.evaluations).markdown())
    lines += table.splitlines()
    for contrast in comparison.evaluations:
        if contrast.slices:
            by = ", ".join(map(code, contrast.slices[0].by))
            lines += ["", f"{code(short_name(contrast.b.evaluation))} by {by}:", ""]
            table = "".join(slice_differences(comparison, contrast).markdown())
            lines += table.splitlines()
    notes = [f"- {said}" for said in _markdown_notes(comparison)]
    lines += ["", *notes] if notes else []
    for contrast in comparison.evaluations:
        for score in contrast.scores:
            lines += _markdown_examples(comparison, contrast, score)
    return "\n".join(lines).rstrip() + "\n"


def _markdown_notes(comparison: Comparison) -> Iterator[str]:
    for contrast in comparison.evaluations:
        where = code(short_name(contrast.b.evaluation))
        for said in _rows(comparison, contrast):
            if len(said) > 1 or "failed" in said[0]:
                yield f"{where}: {escape(text.safe(', '.join(said)))}"
        for note in contrast.notes:
            yield f"{where}: {code(note)}"
        for score in contrast.scores:
            for each in score.differences:
                if each.reason:
                    yield f"{where} {code(each.score)}: {escape(text.safe(each.reason))}"
        for reason in _reasons(contrast):
            yield f"{where}: {code(reason)}"
    for names, where in ((comparison.gone, comparison.a), (comparison.new, comparison.b)):
        for name in names:
            yield f"{code(short_name(name))} is in {code(where)} alone"


def _markdown_examples(
    comparison: Comparison, contrast: Contrast, score: ScoreChange
) -> Iterator[str]:
    shown = [(each, record) for each in score.examples if (record := each.after or each.before)]
    if not shown:
        return
    yield ""
    title = f"{short_name(contrast.b.evaluation)} · {score.name}"
    yield f"<details><summary>Examples: {escape(text.safe(title, 200))}</summary>"
    yield ""
    for example, record in shown:
        yield f"- row {record.position}: {code(_values(score, example))}"
        for label, said in _texts(comparison, example, record):
            yield f"  - {code(label)} {code(said)}"
    yield ""
    yield "</details>"
