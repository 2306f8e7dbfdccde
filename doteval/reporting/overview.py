"""
Several evaluations at a glance: one table of their scores, a matrix of what stands in brackets, and
how the headline of each moved from experiment to experiment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import text
from ..metrics import Estimate
from ..views.figures import limit_path, percentage, plural
from ..views.table import Cell, Column, Table
from ..views.terminal import Terminal, sparkline
from .experiments import Experiment
from .summary import Summary
from .views import (
    estimate_cells,
    remark_lines,
    score_name,
    share_unread,
    short_name,
    short_names,
)

_STEPS = 4  # of the adaptive limit: the first ones and the last ones
MANY = 3  # evaluations, from which on a table is easier to read than a block for each


def overview_lines(
    summaries: Sequence[Summary], terminal: Terminal, notes: Sequence[Iterable[str]] = ()
) -> list[str]:
    """
    Evaluations as one table, as a matrix where their names differ in brackets, and of each what
    must not be overlooked.

    Args:
        notes: of each evaluation, such as those of its run; () for none.
    """
    limits = any(each.limits for each in summaries)
    lines = summary_table(summaries, limits=limits).lines(terminal)
    for table in matrices(summaries):
        lines += ["", *table.lines(terminal)]
    names = short_names([each.evaluation for each in summaries])
    for at, summary in enumerate(summaries):
        remarks = remark_lines(summary, terminal, notes[at] if notes else ())
        if remarks:
            name = terminal.shown(names[summary.evaluation])
            lines += ["", terminal.paint(name, "strong"), *remarks]
    return lines


def summary_table(
    summaries: Sequence[Summary], most: int | None = None, limits: bool = False
) -> Table:
    """
    A row for each metric of each score of these evaluations; what they have together is said once.

    Args:
        most: metrics of an evaluation that are shown, the others are counted; None: all.
        limits: whether there is a column of how the adaptive limit moved.
    """
    columns = (
        Column("evaluation", foreign=True, above=True),
        Column("status", drop=2),
        Column("rows", "right", drop=1),
        Column("failed", "right"),
        Column("score", foreign=True),
        Column("value", "right"),
        Column(f"{percentage(summaries[0].confidence)} CI", "right"),
        Column("took", "right", drop=3),
        *([Column("limit", drop=4)] if limits else []),
    )
    names = short_names([each.evaluation for each in summaries])
    rows = [
        row
        for each in summaries
        for row in _summary_rows(each, names[each.evaluation], most, limits)
    ]
    return Table(columns, rows)


def _summary_rows(
    summary: Summary, name: str, most: int | None, limits: bool
) -> Iterator[list[object]]:
    of = "" if summary.total is None else f" of {text.count(summary.total)}"
    first = [
        Cell(name),
        Cell(summary.status),
        Cell(summary.done, shown=f"{text.count(summary.done)}{of}"),
        Cell(summary.failed),
    ]
    last = [Cell(summary.duration, shown=text.duration(summary.duration))]
    if limits:
        steps = limit_path(summary.limits, _STEPS, first=2)
        last.append(Cell(list(summary.limits), shown=" ".join(steps)))
    metrics = [
        (score, metric, estimate)
        for score, by_metric in summary.scores.items()
        for metric, estimate in by_metric.items()
    ]
    if not metrics:
        yield [*first, "", "", "", *last]
    for score, metric, estimate in metrics[:most]:
        said = score_name(score, metric, estimate, share_unread(summary, score))
        value, span = estimate_cells(metric, estimate)
        yield [*first, said, value._replace(style="strong"), span, *last]
        first, last = ([each._replace(shown="") for each in cells] for cells in (first, last))
    if most is not None and len(metrics) > most:
        more = plural(len(metrics) - most, "more score")
        yield [*first, "", Cell(None, shown=more), "", *last]


def matrices(summaries: Sequence[Summary]) -> Iterator[Table]:
    """
    For each score a table of what stands in the brackets of the names by what stands before them,
    such as models by evaluations, where there are two of both.
    """
    found: dict[tuple[str, str], dict[tuple[str, str], Estimate]] = {}
    for summary in summaries:
        bare, inside = _in_brackets(short_name(summary.evaluation))
        for name, by_metric in summary.scores.items() if inside else ():
            metric = next(iter(by_metric))
            called = metric if name == bare else name  # a bare value is named after its function
            found.setdefault((called, metric), {})[inside, bare] = by_metric[metric]
    for (name, metric), cells in found.items():
        lines, columns = (list(dict.fromkeys(key[at] for key in cells)) for at in (0, 1))
        if len(lines) < 2 or len(columns) < 2:
            continue
        rows = [
            [line, *(_cell(metric, cells.get((line, column))) for column in columns)]
            for line in lines
        ]
        titles = [Column(name, foreign_name=True, foreign=True), *(_titled(e) for e in columns)]
        yield Table(titles, rows)


def _in_brackets(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?)\[(.*)\]", name, re.DOTALL)
    return (found[1], found[2]) if found else (name, "")


def _titled(name: str) -> Column:
    return Column(name, "right", least=8, foreign_name=True)


def _cell(metric: str, estimate: Estimate | None) -> Cell:
    return Cell(None) if estimate is None else estimate_cells(metric, estimate)[0]


# --- from experiment to experiment ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trend:
    """
    The headline of an evaluation over experiments.

    Attributes:
        evaluation: its name.
        score, metric: its first ones.
        points: the experiment, when it began in Unix seconds, and the estimate; the oldest first.
    """

    evaluation: str
    score: str
    metric: str
    points: Sequence[tuple[str, float, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval list --trend --json` prints of an evaluation."""
        return {
            "evaluation": self.evaluation,
            "score": self.score,
            "metric": self.metric,
            "points": [
                {"experiment": experiment, "started": started, **estimate.to_dict()}
                for experiment, started, estimate in self.points
            ],
        }


def trends(experiments: Iterable[Experiment]) -> list[Trend]:
    """The trend of each evaluation that two and more experiments have scores of."""
    found: dict[tuple[str, str, str], list[tuple[str, float, Estimate]]] = {}
    for each in experiments:
        for summary in each.summaries:
            if (head := _first(summary)) is not None and summary.started is not None:
                name, metric, estimate = head
                key = summary.evaluation, name, metric
                found.setdefault(key, []).append((each.name, summary.started, estimate))
    return [
        Trend(*key, sorted(points, key=lambda point: point[1]))
        for key, points in found.items()
        if len(points) > 1
    ]


def _first(summary: Summary) -> tuple[str, str, Estimate] | None:
    each = (
        (name, metric, estimate)
        for name, by_metric in summary.scores.items()
        for metric, estimate in by_metric.items()
    )
    return next(each, None)


_CURVE = 20  # experiments of a curve; of more, neighbours share a column


def trend_table(found: Sequence[Trend], unicode: bool = True) -> Table:
    """A line for each evaluation: a curve that begins at 0, its ends, and the last experiment."""
    columns = (
        Column("evaluation", foreign=True, above=True),
        Column("score", foreign=True, least=8),
        Column("experiments", "right", drop=1),
        Column("trend"),
        Column("from", "right", drop=3),
        Column("to", "right"),
        Column("95% CI", "right"),
        Column("latest", foreign=True, drop=2),
    )
    return Table(columns, [_trend_row(each, unicode) for each in found])


def _trend_row(trend: Trend, unicode: bool) -> list[object]:
    estimates = [estimate for *_, estimate in trend.points]
    curve = sparkline([each.value for each in estimates], _CURVE, unicode)
    value, sure = estimate_cells(trend.metric, estimates[-1], unicode)
    return [
        short_name(trend.evaluation),
        score_name(trend.score, trend.metric, estimates[-1]),
        len(trend.points),
        curve,
        estimate_cells(trend.metric, estimates[0])[0],
        value._replace(style="strong"),
        sure,
        trend.points[-1][0],
    ]
